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
    !folded(pseudo + sum(message))
}

/// The same of octets that no pseudo-header goes with, such as an IPv4 header or a message of ICMP.
#[must_use]
pub fn of_octets(octets: &[u8]) -> u16 {
    !folded(sum(octets))
}

/// Length and protocol number, the part of the pseudo-header that both families share.
fn upper_layer(message: &[u8]) -> u64 {
    message.len() as u64 + u64::from(IP_PROTOCOL)
}

/// What folds to the sum of the big-endian 16-bit words; an odd last octet counts as the high one.
/// It is taken by 32 bits: a carry has the same weight wherever it is added (RFC 1071 section 2).
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let last = match *rest {
        [] => return sum,
        [first, second, third] => [first, second, third, 0],
        [first, second] => [first, second, 0, 0],
        [first, ..] => [first, 0, 0, 0],
    };
    sum + u64::from(u32::from_be_bytes(last))
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn an_odd_last_octet_counts_as_the_high_one() {
        assert_eq!(folded(sum(&[0x00, 0x01, 0xf2])), 0xf201);
    }

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(folded(sum(&octets)), 0xddf2);
        assert_eq!(of_octets(&octets), 0x220d);
    }

    #[test]
    fn it_is_that_of_16_bit_words_whatever_the_length() {
        let octets: alloc::vec::Vec<u8> = (0..=255).map(|octet: u8| octet ^ 0xa5).collect();
        for len in 0..octets.len() {
            let words = octets[..len].chunks(2);
            let word = |word: &[u8]| {
                u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low))
            };
            assert_eq!(folded(sum(&octets[..len])), folded(words.map(word).sum()), "{len}");
        }
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
