//! What an accepted advert means for the election. Pure: the state machine acts on it.

use core::cmp::Ordering;
use core::net::IpAddr;

use crate::names::Priority;

/// What a Backup makes of an advert (RFC 9568 section 6.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InBackup {
    /// Priority 0: the master resigns, only the skew is waited for.
    Resigned,
    /// The master counts: the down timer begins anew.
    Follow,
    /// A lower router is master and we preempt: the down timer goes on.
    Lower,
}

/// What a Master makes of an advert (RFC 9568 section 6.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InMaster {
    /// Priority 0: somebody resigns, we advertise at once.
    Resigned,
    /// A higher priority: we yield.
    Higher,
    /// The same priority from a greater address: we yield.
    GreaterAddress,
    /// A lower priority, or the same from a smaller address: we stay.
    Lower,
    /// The same priority and the same address: our own advert, reflected.
    Reflection,
}

/// Decides for a Backup. `preempts` is Preempt_Mode, always true for the owner.
#[must_use]
pub fn in_backup(own: Priority, preempts: bool, heard: u8) -> InBackup {
    match heard {
        0 => InBackup::Resigned,
        heard if heard >= own.get() || !preempts => InBackup::Follow,
        _ => InBackup::Lower,
    }
}

/// Decides for a Master. Preempt_Mode plays no part. The addresses are the IP sources of the
/// adverts, compared as unsigned integers in network order.
#[must_use]
pub fn in_master(own: Priority, own_source: IpAddr, heard: u8, source: IpAddr) -> InMaster {
    if heard == 0 {
        return InMaster::Resigned;
    }
    match (heard.cmp(&own.get()), source.cmp(&own_source)) {
        (Ordering::Greater, _) => InMaster::Higher,
        (Ordering::Equal, Ordering::Greater) => InMaster::GreaterAddress,
        (Ordering::Equal, Ordering::Equal) => InMaster::Reflection,
        (Ordering::Equal, Ordering::Less) | (Ordering::Less, _) => InMaster::Lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn priority(value: i64) -> Priority {
        Priority::new(value).unwrap()
    }

    #[test]
    fn a_backup_follows_an_equal_priority_without_looking_at_addresses() {
        assert_eq!(in_backup(priority(100), true, 100), InBackup::Follow);
        assert_eq!(in_backup(priority(100), true, 99), InBackup::Lower);
        assert_eq!(in_backup(priority(100), false, 1), InBackup::Follow);
        assert_eq!(in_backup(priority(100), false, 0), InBackup::Resigned);
    }

    #[test]
    fn the_tie_break_is_unsigned_and_in_network_order() {
        let decide = |own, heard| in_master(priority(100), address(own), 100, address(heard));
        assert_eq!(decide("10.0.0.1", "192.0.2.1"), InMaster::GreaterAddress);
        assert_eq!(decide("128.0.0.1", "127.0.0.1"), InMaster::Lower);
        assert_eq!(decide("10.0.0.9", "10.0.1.1"), InMaster::GreaterAddress);
        assert_eq!(decide("fe80::7fff", "fe80::8000"), InMaster::GreaterAddress);
        assert_eq!(decide("10.0.0.1", "10.0.0.1"), InMaster::Reflection);
    }

    #[test]
    fn a_master_yields_to_a_higher_priority_from_a_smaller_address() {
        let decide =
            |heard| in_master(priority(100), address("10.0.0.2"), heard, address("10.0.0.1"));
        assert_eq!(decide(101), InMaster::Higher);
        assert_eq!(decide(100), InMaster::Lower);
        assert_eq!(decide(1), InMaster::Lower);
        assert_eq!(decide(0), InMaster::Resigned);
    }
}
