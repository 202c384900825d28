//! The VRRP ADVERTISEMENT on the wire: [`Advert`] is what we send, [`AdvertView`] what we got.
//!
//! v2 (RFC 3768 section 5, with the authentication data of RFC 2338):
//!
//! ```text
//! version|type  VRID  priority  count  auth_type  adver_int[s]  checksum(2)
//! addresses (4 each) ...  authentication data (8, always present)
//! ```
//!
//! v3 (RFC 5798 and RFC 9568 section 5):
//!
//! ```text
//! version|type  VRID  priority  count  rsvd(4 bits)|max_adver_int(12 bits)[cs]  checksum(2)
//! addresses (4 or 16 each) ...
//! ```
//!
//! Nothing here decides whether an advert counts: see `accept`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::names::{Family, Interval, Password, Version, Vrid};
use crate::rules::ChecksumForm;
use crate::vrrp::checksum;

/// IP protocol number of VRRP.
pub const IP_PROTOCOL: u8 = 112;
/// The one message type (RFC 3768 section 5.3.2).
pub const TYPE_ADVERTISEMENT: u8 = 1;
/// Octets before the addresses, in both versions.
pub const HEADER_LEN: usize = 8;
/// Octets of authentication data in v2, present without authentication too.
pub const AUTH_DATA_LEN: usize = 8;
/// v2 authentication type "none".
pub const AUTH_NONE: u8 = 0;
/// v2 authentication type "simple text password" (RFC 2338 section 5.3.6).
pub const AUTH_PASS: u8 = 1;

const CHECKSUM_AT: usize = 6;

/// An advert that we send.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Advert {
    /// Protocol version.
    pub version: Version,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Priority in force, or 0: "the master resigns".
    pub priority: u8,
    /// Advertisement interval.
    pub interval: Interval,
    /// v2 password; always `None` in v3.
    pub password: Option<Password>,
    /// Virtual addresses of one family, in the configured order, at most 255.
    pub addresses: Arc<[IpAddr]>,
}

impl Advert {
    /// Octets of the message.
    #[must_use]
    pub fn message_len(&self) -> usize {
        let address_len =
            self.addresses.first().map_or(0, |first| Family::of(*first).address_len());
        let tail = match self.version {
            Version::V2 => AUTH_DATA_LEN,
            Version::V3 => 0,
        };
        HEADER_LEN + self.addresses.len() * address_len + tail
    }

    /// Appends the message to `out`. `src` and `dst` are those of the IP header: the checksum of
    /// v3 covers them over IPv6, and over IPv4 if `form` says so.
    pub fn emit(&self, src: IpAddr, dst: IpAddr, form: ChecksumForm, out: &mut Vec<u8>) {
        let start = out.len();
        let count = self.addresses.len() as u8;
        let version_and_type = self.version.number() << 4 | TYPE_ADVERTISEMENT;
        let centiseconds = self.interval.centiseconds();
        let [high, low] = match self.version {
            Version::V2 => {
                let auth_type = if self.password.is_some() { AUTH_PASS } else { AUTH_NONE };
                [auth_type, (centiseconds / 100) as u8]
            }
            Version::V3 => (centiseconds & 0x0fff).to_be_bytes(),
        };
        let (vrid, priority) = (self.vrid.get(), self.priority);
        out.extend_from_slice(&[version_and_type, vrid, priority, count, high, low, 0, 0]);
        for address in self.addresses.iter() {
            match address {
                IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
            }
        }
        if self.version == Version::V2 {
            let data = self.password.map_or([0; AUTH_DATA_LEN], Password::octets);
            out.extend_from_slice(&data);
        }
        let sum = checksum::of_advert(self.version, form, src, dst, &out[start..]);
        out[start + CHECKSUM_AT..start + CHECKSUM_AT + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

impl fmt::Display for Advert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "advert v{} vrid {} prio {} int {}",
            self.version.number(),
            self.vrid,
            self.priority,
            self.interval
        )
    }
}

/// A length that does not fit the count of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthFault {
    /// The fixed part, an address or the authentication data is missing.
    Short,
    /// Octets are left over after the last field.
    Trailing,
}

/// The version nibble, if there is an octet.
#[must_use]
pub fn version_nibble(bytes: &[u8]) -> Option<u8> {
    bytes.first().map(|octet| octet >> 4)
}

/// The type nibble, if there is an octet.
#[must_use]
pub fn type_nibble(bytes: &[u8]) -> Option<u8> {
    bytes.first().map(|octet| octet & 0x0f)
}

/// The VRID octet, if it is there.
#[must_use]
pub fn vrid_octet(bytes: &[u8]) -> Option<u8> {
    bytes.get(1).copied()
}

/// A received message whose length fits its count. Reading it cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct AdvertView<'a> {
    version: Version,
    family: Family,
    bytes: &'a [u8],
}

impl<'a> AdvertView<'a> {
    /// Reads `bytes` as a message of `version` that came over `family`.
    ///
    /// # Errors
    /// [`LengthFault`] if the octets are not exactly the ones that the count asks for.
    pub fn new(version: Version, family: Family, bytes: &'a [u8]) -> Result<Self, LengthFault> {
        if bytes.len() < HEADER_LEN {
            return Err(LengthFault::Short);
        }
        let tail = match version {
            Version::V2 => AUTH_DATA_LEN,
            Version::V3 => 0,
        };
        let wanted = HEADER_LEN + usize::from(bytes[3]) * family.address_len() + tail;
        match bytes.len() {
            len if len < wanted => Err(LengthFault::Short),
            len if len > wanted => Err(LengthFault::Trailing),
            _ => Ok(Self { version, family, bytes }),
        }
    }

    /// The VRID octet; 0 is not a valid one.
    #[must_use]
    pub const fn vrid(&self) -> u8 {
        self.bytes[1]
    }

    /// The priority octet; 0 means that the master resigns.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.bytes[2]
    }

    /// How many addresses it lists.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.bytes[3]
    }

    /// v2: the authentication type octet. v3: always [`AUTH_NONE`].
    #[must_use]
    pub const fn auth_type(&self) -> u8 {
        match self.version {
            Version::V2 => self.bytes[4],
            Version::V3 => AUTH_NONE,
        }
    }

    /// v2: the eight octets after the addresses. v3: none.
    #[must_use]
    pub fn auth_data(&self) -> &'a [u8] {
        match self.version {
            Version::V2 => &self.bytes[self.bytes.len() - AUTH_DATA_LEN..],
            Version::V3 => &[],
        }
    }

    /// The interval, or `None` for the 0 that nobody may send. The reserved nibble is ignored.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        match self.version {
            Version::V2 => Interval::from_seconds(i64::from(self.bytes[5])).ok(),
            Version::V3 => {
                let field = u16::from_be_bytes([self.bytes[4], self.bytes[5]]) & 0x0fff;
                Interval::from_centiseconds(i64::from(field)).ok()
            }
        }
    }

    /// The octet or field that [`Self::interval`] reads, as it stands on the wire, reserved bits
    /// masked: seconds in v2, centiseconds in v3.
    #[must_use]
    pub fn interval_field(&self) -> u16 {
        match self.version {
            Version::V2 => u16::from(self.bytes[5]),
            Version::V3 => u16::from_be_bytes([self.bytes[4], self.bytes[5]]) & 0x0fff,
        }
    }

    /// The listed addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + 'a {
        let family = self.family;
        let len = usize::from(self.bytes[3]) * family.address_len();
        self.bytes[HEADER_LEN..HEADER_LEN + len].chunks_exact(family.address_len()).map(
            move |octets| match family {
                Family::Ipv4 => {
                    let octets: [u8; 4] = octets.try_into().unwrap_or_default();
                    IpAddr::V4(Ipv4Addr::from(octets))
                }
                Family::Ipv6 => {
                    let octets: [u8; 16] = octets.try_into().unwrap_or_default();
                    IpAddr::V6(Ipv6Addr::from(octets))
                }
            },
        )
    }

    /// Whether the checksum is right, by re-summing as RFC 1071 says.
    #[must_use]
    pub fn checksum_fits(&self, form: ChecksumForm, src: IpAddr, dst: IpAddr) -> bool {
        checksum::of_advert(self.version, form, src, dst, self.bytes) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advert(version: Version) -> Advert {
        Advert {
            version,
            vrid: Vrid::new(51).unwrap(),
            priority: 150,
            interval: Interval::DEFAULT,
            password: None,
            addresses: Arc::from([IpAddr::V4(Ipv4Addr::new(10, 99, 0, 10))]),
        }
    }

    fn bytes(advert: &Advert, form: ChecksumForm) -> Vec<u8> {
        let mut out = Vec::new();
        let src = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
        advert.emit(src, IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)), form, &mut out);
        assert_eq!(out.len(), advert.message_len());
        out
    }

    /// The checksums are those that keepalived 2.2.7 and FRR 8.4.4 put on the wire.
    #[test]
    fn adverts_are_the_octets_that_deployed_routers_send() {
        let v2 = bytes(&advert(Version::V2), ChecksumForm::PseudoHeader);
        assert_eq!(v2[..8], [0x21, 51, 150, 1, 0, 1, 0x3e, 0x5d]);
        assert_eq!(v2[8..], [10, 99, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
        let resign =
            bytes(&Advert { priority: 0, ..advert(Version::V2) }, ChecksumForm::MessageOnly);
        assert_eq!(resign[6..8], [0xd4, 0x5d]);
        let v3 = bytes(&advert(Version::V3), ChecksumForm::PseudoHeader);
        assert_eq!(v3, [0x31, 51, 150, 1, 0, 100, 0x43, 0x07, 10, 99, 0, 10]);
    }

    #[test]
    fn a_message_one_octet_short_or_long_is_refused() {
        let mut message = bytes(&advert(Version::V2), ChecksumForm::PseudoHeader);
        let view = |bytes: &[u8]| AdvertView::new(Version::V2, Family::Ipv4, bytes).err();
        assert_eq!(view(&message), None);
        assert_eq!(view(&message[..19]), Some(LengthFault::Short));
        message.push(0);
        assert_eq!(view(&message), Some(LengthFault::Trailing));
    }

    #[test]
    fn the_reserved_nibble_of_v3_is_ignored() {
        let mut message = bytes(&advert(Version::V3), ChecksumForm::PseudoHeader);
        message[4] |= 0xf0;
        let view = AdvertView::new(Version::V3, Family::Ipv4, &message).unwrap();
        assert_eq!(view.interval(), Some(Interval::DEFAULT));
    }
}
