//! Why a received datagram does not count: one variant per distinct fault, each with a counter.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The first fault found, in the order of RFC 9568 section 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DropReason {
    /// The virtual router is not started or in FAULT: it does not listen.
    NotListening,
    /// TTL or hop limit is not what the transport demands.
    Ttl,
    /// Another version, or none at all.
    Version,
    /// Not an ADVERTISEMENT.
    Type,
    /// The fixed part, an address or the authentication data is missing.
    Length,
    /// Octets are left over after the last field.
    Trailing,
    /// The checksum is wrong.
    Checksum,
    /// No virtual router here has this VRID.
    Vrid,
    /// Multicast to a unicast virtual router, or the reverse.
    Destination,
    /// We own the addresses and our rules discard adverts of others.
    Owner,
    /// It carries our own source address.
    OwnSource,
    /// IPv6 multicast from a source that is not link-local.
    SourceNotLinkLocal,
    /// A unicast source that is not a configured peer, where peers are checked.
    UnlistedPeer,
    /// Authentication type differs.
    AuthType,
    /// Authentication data differs.
    AuthData,
    /// It lists no address.
    AddressCount,
    /// It lists other addresses, and our rules discard it for that.
    AddressList,
    /// Its first IPv6 address is not link-local, and our rules discard it for that.
    FirstAddress,
    /// Interval 0, or in v2 another interval.
    Interval,
}

impl DropReason {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 19] = [
        Self::NotListening,
        Self::Ttl,
        Self::Version,
        Self::Type,
        Self::Length,
        Self::Trailing,
        Self::Checksum,
        Self::Vrid,
        Self::Destination,
        Self::Owner,
        Self::OwnSource,
        Self::SourceNotLinkLocal,
        Self::UnlistedPeer,
        Self::AuthType,
        Self::AuthData,
        Self::AddressCount,
        Self::AddressList,
        Self::FirstAddress,
        Self::Interval,
    ];

    /// A stable name for counters and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotListening => "not_listening",
            Self::Ttl => "ttl",
            Self::Version => "version",
            Self::Type => "type",
            Self::Length => "length",
            Self::Trailing => "trailing",
            Self::Checksum => "checksum",
            Self::Vrid => "vrid",
            Self::Destination => "destination",
            Self::Owner => "owner",
            Self::OwnSource => "own_source",
            Self::SourceNotLinkLocal => "source_not_link_local",
            Self::UnlistedPeer => "unlisted_peer",
            Self::AuthType => "auth_type",
            Self::AuthData => "auth_data",
            Self::AddressCount => "addr_count",
            Self::AddressList => "addr_list",
            Self::FirstAddress => "addr_first_not_ll",
            Self::Interval => "interval",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many datagrams were dropped for each reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCounters([u64; DropReason::ALL.len()]);

impl DropCounters {
    /// Counts one.
    pub const fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// How many for this reason.
    #[must_use]
    pub const fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every reason with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        for reason in DropReason::ALL {
            let mut counters = DropCounters::default();
            counters.count(reason);
            assert_eq!((counters.get(reason), counters.total()), (1, 1), "{reason}");
        }
    }
}
