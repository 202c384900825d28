//! The Internet checksum (RFC 1071) of an advert, in its three forms.

use core::net::IpAddr;

use crate::names::Version;
use crate::rules::ChecksumForm;
use crate::vrrp::advert::IP_PROTOCOL;

/// The ones-complement checksum of `message`.
///
/// With the checksum field zero this is the value to send; over a received message it is zero if
/// the field is right. v2 covers the message only (RFC 3768 section 5.3.8); v3 over IPv6 also the
/// pseudo-header of RFC 8200 section 8.1; v3 over IPv4 what `form` says.
pub fn of_advert(
    version: Version,
    form: ChecksumForm,
    src: IpAddr,
    dst: IpAddr,
    message: &[u8],
) -> u16 {
    let pseudo = match (version, src, dst) {
        (Version::V3, IpAddr::V4(src), IpAddr::V4(dst)) => match form {
            ChecksumForm::PseudoHeader => {
                sum(&src.octets()) + sum(&dst.octets()) + upper_layer(message)
            }
            ChecksumForm::MessageOnly => 0,
        },
        (Version::V3, IpAddr::V6(src), IpAddr::V6(dst)) => {
            sum(&src.octets()) + sum(&dst.octets()) + upper_layer(message)
        }
        // v2, and a family mix that no IP header can carry.
        (Version::V2 | Version::V3, _, _) => 0,
    };
    let mut total = pseudo + sum(message);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

/// Length and protocol number, the part of the pseudo-header that both families share.
fn upper_layer(message: &[u8]) -> u64 {
    message.len() as u64 + u64::from(IP_PROTOCOL)
}

/// Sum of big-endian 16-bit words; an odd last octet counts as the high one.
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let odd = words.remainder().first().map_or(0, |octet| u64::from(*octet) << 8);
    words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>() + odd
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn an_odd_last_octet_counts_as_the_high_one() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2]), 0xf201);
    }

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x2_ddf0);
    }

    #[test]
    fn ipv6_always_has_the_pseudo_header_and_v2_never() {
        let message = [0x31, 51, 150, 1, 0, 100, 0, 0];
        let v6 = |octet| IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, octet));
        let of = |form| of_advert(Version::V3, form, v6(1), v6(2), &message);
        assert_eq!(of(ChecksumForm::PseudoHeader), of(ChecksumForm::MessageOnly));
        let v4 = |octet| IpAddr::V4(Ipv4Addr::new(10, 0, 0, octet));
        let of = |form| of_advert(Version::V2, form, v4(1), v4(2), &message);
        assert_eq!(of(ChecksumForm::PseudoHeader), of(ChecksumForm::MessageOnly));
    }
}
