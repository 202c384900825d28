//! The fixed fields of an advert as they stand on the wire, read for the Record.
//!
//! A second, independent reading of RFC 3768 section 5 and RFC 9568 section 5: the judge must not
//! see adverts through the engine's codec. It checks nothing (no checksum, no length of the list):
//! whether an advert counts is the receiver's business. Go on with [`crate::record`].

use std::time::Duration;

/// The eight octets that every advert begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireAdvert {
    /// Version nibble.
    pub version: u8,
    /// Virtual router identifier.
    pub vrid: u8,
    /// Priority; 0 resigns.
    pub priority: u8,
    /// Addresses that it claims to list.
    pub count: u8,
    /// v2: the authentication type. Zero otherwise.
    pub auth_type: u8,
    /// v2: seconds of octet 5. v3: centiseconds of the twelve bits before the checksum. Zero for
    /// versions whose layout nobody has defined.
    pub interval: Duration,
}

/// Reads a VRRP message: the octets after the IP header.
///
/// `None` if the fixed part is not complete or the type nibble is not 1 (ADVERTISEMENT).
#[must_use]
pub fn read_advert(bytes: &[u8]) -> Option<WireAdvert> {
    let &[first, vrid, priority, count, fifth, sixth, _, _, ..] = bytes else {
        return None;
    };
    if first & 0x0f != 1 {
        return None;
    }
    let version = first >> 4;
    let (auth_type, interval) = match version {
        2 => (fifth, Duration::from_secs(u64::from(sixth))),
        3 => {
            let centiseconds = u64::from(fifth & 0x0f) << 8 | u64::from(sixth);
            (0, Duration::from_millis(centiseconds * 10))
        }
        _ => (0, Duration::ZERO),
    };
    Some(WireAdvert { version, vrid, priority, count, auth_type, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets that keepalived 2.2.7 sent, checksum included.
    #[test]
    fn a_v2_advert_carries_seconds() {
        let bytes = [0x21, 51, 150, 1, 0, 1, 0x3e, 0x5d, 10, 99, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        let advert = read_advert(&bytes).unwrap();
        assert_eq!((advert.version, advert.vrid, advert.priority, advert.count), (2, 51, 150, 1));
        assert_eq!(advert.interval, Duration::from_secs(1));
    }

    #[test]
    fn a_v3_advert_carries_twelve_bits_of_centiseconds() {
        let advert = read_advert(&[0x31, 51, 0, 1, 0xff, 0xff, 0, 0]).unwrap();
        assert_eq!((advert.version, advert.priority, advert.auth_type), (3, 0, 0));
        assert_eq!(advert.interval, Duration::from_millis(40_950));
    }

    #[test]
    fn seven_octets_or_another_type_are_no_advert() {
        assert_eq!(read_advert(&[0x21, 51, 150, 1, 0, 1, 0]), None);
        assert_eq!(read_advert(&[0x22, 51, 150, 1, 0, 1, 0, 0]), None);
    }
}
