//! The nouns of VRRP and of the host as types: a range is checked once, here, in a constructor.
//!
//! Rules across several of them are in [`crate::config`].

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A value outside the range of its type. `Display` states the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// What the value was meant to be.
    pub what: &'static str,
    /// The smallest allowed value.
    pub min: i64,
    /// The largest allowed value.
    pub max: i64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {} to {}", self.what, self.min, self.max)
    }
}

impl core::error::Error for OutOfRange {}

/// IPv4 or IPv6. A virtual router serves one of them (RFC 9568 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Octets of one address in an advert: 4 or 16.
    #[must_use]
    pub const fn address_len(self) -> usize {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 16,
        }
    }
}

/// VRRP protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// RFC 3768 (and RFC 2338), IPv4 only.
    V2,
    /// RFC 5798 and RFC 9568.
    V3,
}

impl Version {
    /// The number in the version nibble.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Virtual router identifier, 1 to 255 (RFC 3768 section 5.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Vrid(u8);

impl Vrid {
    /// # Errors
    /// [`OutOfRange`] for 0 and for more than 255.
    pub const fn new(value: i64) -> Result<Self, OutOfRange> {
        if value >= 1 && value <= 255 {
            Ok(Self(value as u8))
        } else {
            Err(OutOfRange { what: "virtual_router_id", min: 1, max: 255 })
        }
    }

    /// The octet on the wire.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Vrid {
    type Error = OutOfRange;

    fn try_from(value: i64) -> Result<Self, OutOfRange> {
        Self::new(value)
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Election priority of a virtual router, 1 to 255 (RFC 3768 section 5.3.4).
///
/// The 0 of the wire ("the master resigns") is not a `Priority`: see [`crate::Advert::priority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Priority(u8);

impl Priority {
    /// The priority of the router that owns the addresses.
    pub const OWNER: Self = Self(255);
    /// What a router without a configured priority uses.
    pub const DEFAULT: Self = Self(100);

    /// # Errors
    /// [`OutOfRange`] for 0 and for more than 255.
    pub const fn new(value: i64) -> Result<Self, OutOfRange> {
        if value >= 1 && value <= 255 {
            Ok(Self(value as u8))
        } else {
            Err(OutOfRange { what: "priority", min: 1, max: 255 })
        }
    }

    /// The octet on the wire.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this is the address owner's priority.
    #[must_use]
    pub const fn is_owner(self) -> bool {
        self.0 == 255
    }

    /// This priority moved by `delta` and kept within 1 to 254; the owner's is never moved.
    #[must_use]
    pub fn adjusted(self, delta: i32) -> Self {
        if self.is_owner() {
            return self;
        }
        let moved = i32::from(self.0).saturating_add(delta).clamp(1, 254);
        Self(moved as u8)
    }
}

impl TryFrom<i64> for Priority {
    type Error = OutOfRange;

    fn try_from(value: i64) -> Result<Self, OutOfRange> {
        Self::new(value)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Advertisement_Interval: whole seconds 1 to 255 in v2, 0.01 s to 40.95 s in v3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Interval {
    centiseconds: u16,
}

impl Interval {
    /// One second, the default of every version.
    pub const DEFAULT: Self = Self { centiseconds: 100 };

    /// An interval that VRRPv2 can carry: whole seconds.
    ///
    /// # Errors
    /// [`OutOfRange`] for anything but 1 to 255.
    pub const fn from_seconds(seconds: i64) -> Result<Self, OutOfRange> {
        if seconds >= 1 && seconds <= 255 {
            Ok(Self { centiseconds: seconds as u16 * 100 })
        } else {
            Err(OutOfRange { what: "advert_int in seconds", min: 1, max: 255 })
        }
    }

    /// An interval that VRRPv3 can carry: twelve bits of centiseconds.
    ///
    /// # Errors
    /// [`OutOfRange`] for anything but 1 to 4095.
    pub const fn from_centiseconds(centiseconds: i64) -> Result<Self, OutOfRange> {
        if centiseconds >= 1 && centiseconds <= 4095 {
            Ok(Self { centiseconds: centiseconds as u16 })
        } else {
            Err(OutOfRange { what: "advert_int in centiseconds", min: 1, max: 4095 })
        }
    }

    /// Centiseconds, for the wire only.
    #[must_use]
    pub const fn centiseconds(self) -> u16 {
        self.centiseconds
    }

    /// The interval as a time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.centiseconds as u64 * 10_000_000)
    }

    /// Whether `version` can carry this interval.
    #[must_use]
    pub const fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => self.centiseconds.is_multiple_of(100),
            Version::V3 => self.centiseconds <= 4095,
        }
    }
}

impl TryFrom<u16> for Interval {
    type Error = OutOfRange;

    /// From centiseconds, in the range of either version.
    fn try_from(centiseconds: u16) -> Result<Self, OutOfRange> {
        if centiseconds.is_multiple_of(100) && centiseconds > 4095 {
            Self::from_seconds(i64::from(centiseconds / 100))
        } else {
            Self::from_centiseconds(i64::from(centiseconds))
        }
    }
}

impl From<Interval> for u16 {
    fn from(interval: Interval) -> Self {
        interval.centiseconds
    }
}

impl fmt::Display for Interval {
    /// Seconds without trailing zeros: `1 s`, `0.1 s`, `40.95 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.centiseconds / 100, self.centiseconds % 100);
        match rest {
            0 => write!(f, "{seconds} s"),
            r if r % 10 == 0 => write!(f, "{seconds}.{} s", r / 10),
            r => write!(f, "{seconds}.{r:02} s"),
        }
    }
}

/// A shared, cheaply cloned name.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A name from its text.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Name of a network interface, part of an instance's identity. Its ifindex comes and goes.
    InterfaceName
}
name! {
    /// Name of a `vrrp_instance` block. For people; the identity is [`crate::Identity`].
    InstanceName
}
name! {
    /// Name of a `vrrp_sync_group` block.
    GroupName
}
name! {
    /// Name of a tracked thing other than an interface: script, file, process.
    TrackerName
}

/// Kernel interface index: an observation that comes and goes, never an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ifindex(pub u32);

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The virtual router's MAC: 00-00-5E-00-01-{VRID} for IPv4, -02- for IPv6 (RFC 9568 7.3).
    #[must_use]
    pub const fn virtual_router(family: Family, vrid: Vrid) -> Self {
        let kind = match family {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        };
        Self([0x00, 0x00, 0x5e, 0x00, kind, vrid.get()])
    }
}

/// A text that is no Ethernet address: six octets in hexadecimal, `02:00:00:00:00:01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMacAddress;

impl fmt::Display for NoMacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an Ethernet address must be six octets in hexadecimal, 02:00:00:00:00:01")
    }
}

impl core::error::Error for NoMacAddress {}

impl TryFrom<&str> for MacAddress {
    type Error = NoMacAddress;

    fn try_from(text: &str) -> Result<Self, NoMacAddress> {
        let mut octets = [0; 6];
        let mut words = text.split(':');
        for octet in &mut octets {
            let word = words.next().unwrap_or_default();
            let is_octet = word.len() == 2 && word.bytes().all(|digit| digit.is_ascii_hexdigit());
            let read = is_octet.then(|| u8::from_str_radix(word, 16).ok()).flatten();
            *octet = read.ok_or(NoMacAddress)?;
        }
        if words.next().is_some() { Err(NoMacAddress) } else { Ok(Self(octets)) }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = NoMacAddress;

    fn try_from(text: String) -> Result<Self, NoMacAddress> {
        Self::try_from(&*text)
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A v2 PASS password: up to 8 octets, zero filled (RFC 2338 section 5.3.10). Never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Password([u8; 8]);

impl Password {
    /// # Errors
    /// [`OutOfRange`] for an empty password and for one of more than 8 octets.
    pub fn new(text: &[u8]) -> Result<Self, OutOfRange> {
        if text.is_empty() || text.len() > 8 {
            return Err(OutOfRange { what: "length of auth_pass", min: 1, max: 8 });
        }
        let mut octets = [0; 8];
        octets[..text.len()].copy_from_slice(text);
        Ok(Self(octets))
    }

    /// The eight octets of the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn ranges_end_where_the_rfc_says() {
        assert!(Vrid::new(0).is_err() && Vrid::new(256).is_err());
        assert!(Vrid::new(1).is_ok() && Vrid::new(255).is_ok());
        assert!(Priority::new(0).is_err() && Priority::new(300).is_err());
        assert!(Interval::from_seconds(0).is_err() && Interval::from_seconds(256).is_err());
        assert!(
            Interval::from_centiseconds(0).is_err() && Interval::from_centiseconds(4096).is_err()
        );
    }

    #[test]
    fn a_tracked_priority_stays_within_1_and_254_and_the_owners_stays_255() {
        assert_eq!(Priority::new(100).unwrap().adjusted(-254).get(), 1);
        assert_eq!(Priority::new(100).unwrap().adjusted(254).get(), 254);
        assert_eq!(Priority::OWNER.adjusted(-100), Priority::OWNER);
    }

    #[test]
    fn intervals_print_without_trailing_zeros() {
        assert_eq!(Interval::DEFAULT.to_string(), "1 s");
        assert_eq!(Interval::from_centiseconds(10).unwrap().to_string(), "0.1 s");
        assert_eq!(Interval::from_centiseconds(1).unwrap().to_string(), "0.01 s");
        assert_eq!(Interval::from_centiseconds(4095).unwrap().to_string(), "40.95 s");
    }

    #[test]
    fn a_password_is_zero_filled_and_never_printed() {
        let password = Password::new(b"1111").unwrap();
        assert_eq!(password.octets(), *b"1111\0\0\0\0");
        assert_eq!(format!("{password:?}"), "Password(..)");
        assert!(Password::new(b"").is_err() && Password::new(b"123456789").is_err());
    }

    #[test]
    fn a_mac_address_is_read_as_it_is_printed_and_nothing_else_is() {
        let mac = MacAddress([0x02, 0xab, 0, 0, 0, 0xff]);
        assert_eq!(MacAddress::try_from("02:ab:00:00:00:ff"), Ok(mac));
        assert_eq!(MacAddress::try_from(&*mac.to_string()), Ok(mac));
        for text in
            ["", "02:ab:00:00:00", "02:ab:00:00:00:ff:00", "2:ab:0:0:0:ff", "+2:ab:00:00:00:ff"]
        {
            assert_eq!(MacAddress::try_from(text), Err(NoMacAddress), "{text}");
        }
    }

    #[test]
    fn an_interval_is_read_from_the_centiseconds_of_either_version() {
        assert_eq!(Interval::try_from(25_500), Interval::from_seconds(255));
        assert_eq!(Interval::try_from(4095), Interval::from_centiseconds(4095));
        assert_eq!(Interval::try_from(4100), Interval::from_seconds(41));
        for centiseconds in [0, 4096, 25_600] {
            assert!(Interval::try_from(centiseconds).is_err(), "{centiseconds}");
        }
    }

    #[test]
    fn the_virtual_mac_ends_in_the_vrid() {
        let vrid = Vrid::new(51).unwrap();
        let mac = |family| MacAddress::virtual_router(family, vrid).to_string();
        assert_eq!(mac(Family::Ipv4), "00:00:5e:00:01:33");
        assert_eq!(mac(Family::Ipv6), "00:00:5e:00:02:33");
    }
}
