//! Each fault of a frame has its own name, and what is no fault is read.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use vipd_engine::MacAddress;
use vipd_frames::neighbour::{arp_request, neighbour_solicitation};
use vipd_frames::{Endpoints, Ethernet, FrameFault, IpHeader, Payload, decode, encode_raw};

const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const MESSAGE: [u8; 20] = [7; 20];
const IP_AT: usize = 14;
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

fn endpoints(src: &str, dst: &str) -> Endpoints {
    Endpoints::new(src.parse().unwrap(), dst.parse().unwrap()).unwrap()
}

fn frame(src: &str, dst: &str, message: &[u8]) -> Vec<u8> {
    let endpoints = endpoints(src, dst);
    let ethernet = Ethernet::toward(A, endpoints.dst(), B);
    let mut out = Vec::new();
    encode_raw(ethernet, &IpHeader::vrrp(endpoints, 255, 1), message, &mut out);
    out
}

fn ipv4() -> Vec<u8> {
    frame("10.0.0.1", "224.0.0.18", &MESSAGE)
}

fn ipv6() -> Vec<u8> {
    frame("fe80::1", "ff02::12", &MESSAGE)
}

/// Sets the IPv4 header checksum right again, as RFC 1071 says.
fn resum(frame: &mut [u8]) {
    let words = usize::from(frame[IP_AT] & 0x0f) * 2;
    frame[IP_AT + 10..IP_AT + 12].fill(0);
    let word = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let mut sum: u32 = (0..words).map(|index| word(IP_AT + index * 2)).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let sum = !(sum as u16);
    frame[IP_AT + 10..IP_AT + 12].copy_from_slice(&sum.to_be_bytes());
}

/// The fault of `frame` after `change`, with a right header checksum.
fn fault(mut frame: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> FrameFault {
    change(&mut frame);
    if frame.len() >= IP_AT + 20 && frame[12..14] == [0x08, 0x00] {
        resum(&mut frame);
    }
    decode(&frame).expect_err("a faulty frame was read")
}

fn vrrp_bytes(frame: &[u8]) -> Vec<u8> {
    match decode(frame).map(|packet| packet.payload) {
        Ok(Payload::Vrrp(vrrp)) => vrrp.bytes.to_vec(),
        other => panic!("not VRRP: {other:?}"),
    }
}

#[test]
fn ethernet_padding_behind_a_short_packet_is_not_part_of_the_message() {
    for mut frame in [frame("10.0.0.1", "224.0.0.18", &[1, 2, 3]), ipv6()] {
        let message = vrrp_bytes(&frame);
        frame.resize(200, 0xee);
        assert_eq!(vrrp_bytes(&frame), message);
    }
}

#[test]
fn ipv4_options_are_passed_over() {
    let mut frame = ipv4();
    frame[IP_AT] = 0x46;
    frame[IP_AT + 3] += 4;
    frame.splice(IP_AT + 20..IP_AT + 20, [1, 1, 1, 1]);
    resum(&mut frame);
    assert_eq!(vrrp_bytes(&frame), MESSAGE);
}

#[test]
fn an_empty_message_is_for_the_engine_to_refuse() {
    assert!(vrrp_bytes(&frame("10.0.0.1", "224.0.0.18", &[])).is_empty());
    assert!(vrrp_bytes(&frame("fe80::1", "ff02::12", &[])).is_empty());
}

#[test]
fn any_type_of_service_ttl_and_df_is_accepted() {
    let mut frame = ipv4();
    frame[IP_AT + 1] = 0;
    frame[IP_AT + 6] = 0x40;
    frame[IP_AT + 8] = 3;
    resum(&mut frame);
    let Ok(Payload::Vrrp(vrrp)) = decode(&frame).map(|packet| packet.payload) else { panic!() };
    assert_eq!(vrrp.ttl, 3);
}

#[test]
fn each_fault_of_an_ip_packet_has_its_own_name() {
    let cases: Vec<(FrameFault, FrameFault, &str)> = vec![
        (
            fault(ipv4(), |frame| frame.truncate(13)),
            FrameFault::TruncatedEthernet,
            "truncated_ethernet",
        ),
        (
            fault(ipv4(), |frame| frame[12..14].copy_from_slice(&[0x88, 0xcc])),
            FrameFault::OtherEtherType(0x88cc),
            "other_ethertype",
        ),
        (
            fault(ipv4(), |frame| frame.truncate(IP_AT + 19)),
            FrameFault::TruncatedIpHeader,
            "truncated_ip_header",
        ),
        (
            fault(ipv6(), |frame| frame.truncate(IP_AT + 39)),
            FrameFault::TruncatedIpHeader,
            "truncated_ip_header",
        ),
        (fault(ipv4(), |frame| frame[IP_AT] = 0x65), FrameFault::BadIpVersion(6), "bad_ip_version"),
        (fault(ipv6(), |frame| frame[IP_AT] = 0x45), FrameFault::BadIpVersion(4), "bad_ip_version"),
        (
            fault(ipv4(), |frame| frame[IP_AT] = 0x44),
            FrameFault::BadIpv4HeaderLength(4),
            "bad_ipv4_header_length",
        ),
        (
            fault(ipv4(), |frame| frame[IP_AT + 2..IP_AT + 4].fill(0)),
            FrameFault::BadIpv4HeaderLength(5),
            "bad_ipv4_header_length",
        ),
        (
            fault(ipv4(), |frame| frame.truncate(IP_AT + 39)),
            FrameFault::TruncatedIpPayload,
            "truncated_ip_payload",
        ),
        (
            fault(ipv6(), |frame| frame.truncate(IP_AT + 59)),
            FrameFault::TruncatedIpPayload,
            "truncated_ip_payload",
        ),
        (fault(ipv4(), |frame| frame[IP_AT + 6] = 0x20), FrameFault::Fragment, "fragment"),
        (fault(ipv4(), |frame| frame[IP_AT + 7] = 1), FrameFault::Fragment, "fragment"),
        (fault(ipv6(), |frame| frame[IP_AT + 6] = 44), FrameFault::Fragment, "fragment"),
        (fault(ipv4(), |frame| frame[IP_AT + 9] = 113), FrameFault::NotVrrp(113), "not_vrrp"),
        (fault(ipv4(), |frame| frame[IP_AT + 9] = 58), FrameFault::NotVrrp(58), "not_vrrp"),
        (fault(ipv6(), |frame| frame[IP_AT + 6] = 0), FrameFault::NotVrrp(0), "not_vrrp"),
    ];
    for (found, expected, name) in cases {
        assert_eq!((found, found.name()), (expected, name));
    }
}

#[test]
fn a_wrong_ipv4_header_checksum_is_a_fault() {
    for bit in 0..160 {
        let mut frame = ipv4();
        frame[IP_AT + bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&frame).is_err(), "bit {bit} of the header was not missed");
    }
    let mut frame = ipv4();
    frame[IP_AT + 10] ^= 1;
    assert_eq!(decode(&frame), Err(FrameFault::BadIpv4Checksum));
}

#[test]
fn faults_of_arp_have_their_names() {
    let request = || {
        let mut out = Vec::new();
        arp_request(A, Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), &mut out);
        out
    };
    assert_eq!(fault(request(), |frame| frame.truncate(41)), FrameFault::TruncatedArp);
    assert_eq!(fault(request(), |frame| frame[15] = 6), FrameFault::OtherArp);
    assert_eq!(fault(request(), |frame| frame[18] = 8), FrameFault::OtherArp);
    assert_eq!(fault(request(), |frame| frame[21] = 3), FrameFault::OtherArpOperation(3));
}

#[test]
fn faults_of_neighbour_messages_have_their_names() {
    let solicitation = || {
        let mut out = Vec::new();
        neighbour_solicitation(A, LINK_LOCAL, LINK_LOCAL, &mut out);
        out
    };
    let flipped = fault(solicitation(), |frame| frame[IP_AT + 40 + 8] ^= 1);
    assert_eq!(flipped, FrameFault::BadIcmpChecksum);
    let from_afar = fault(solicitation(), |frame| frame[IP_AT + 7] = 254);
    assert_eq!(from_afar, FrameFault::NeighbourHopLimit(254));
    // The checksum is kept right by adding to one word what is taken from another.
    let zero_length = fault(solicitation(), |frame| {
        frame[IP_AT + 40 + 25] = 0;
        frame[IP_AT + 40 + 5] += 1;
    });
    assert_eq!(zero_length, FrameFault::BadNeighbourOption);
    let other_type = fault(solicitation(), |frame| {
        frame[IP_AT + 40] = 133;
        frame[IP_AT + 40 + 4] += 2;
    });
    assert_eq!(other_type, FrameFault::OtherIcmpType(133));
    let other_code = fault(solicitation(), |frame| {
        frame[IP_AT + 40 + 1] = 1;
        frame[IP_AT + 40 + 25] = 0;
    });
    assert_eq!(other_code, FrameFault::BadIcmpCode(1));
}

proptest! {
    #[test]
    fn no_octets_make_decoding_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&octets);
    }

    /// Plain random octets hardly get past the EtherType: these begin as good frames do.
    #[test]
    fn no_change_of_a_good_frame_makes_decoding_panic(
        which in 0..4,
        changes in prop::collection::vec((12_usize..120, any::<u8>()), 0..6),
        cut in 0_usize..120,
    ) {
        let mut frame = Vec::new();
        match which {
            0 => frame = ipv4(),
            1 => frame = ipv6(),
            2 => neighbour_solicitation(A, LINK_LOCAL, LINK_LOCAL, &mut frame),
            _ => arp_request(A, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, &mut frame),
        }
        for (at, octet) in changes {
            if let Some(place) = frame.get_mut(at) {
                *place = octet;
            }
        }
        if frame[12..14] == [0x08, 0x00] && frame[IP_AT] & 0x0f <= 10 {
            resum(&mut frame);
        }
        frame.truncate(cut);
        let payload = decode(&frame).map(|packet| packet.payload);
        if let Ok(Payload::Vrrp(vrrp)) = payload {
            prop_assert!(vrrp.bytes.len() <= frame.len());
        }
    }

    #[test]
    fn a_message_of_any_octets_is_handed_over_as_it_is(
        message in prop::collection::vec(any::<u8>(), 0..300),
        ttl in any::<u8>(),
        identification in any::<u16>(),
        v4: bool,
    ) {
        let endpoints = if v4 {
            endpoints("192.0.2.1", "224.0.0.18")
        } else {
            endpoints("fe80::1", "ff02::12")
        };
        let mut out = Vec::new();
        let ethernet = Ethernet::toward(A, endpoints.dst(), B);
        let header = IpHeader::vrrp(endpoints, ttl, identification);
        encode_raw(ethernet, &header, &message, &mut out);
        let packet = decode(&out).unwrap();
        prop_assert_eq!(packet.ethernet, ethernet);
        let Payload::Vrrp(vrrp) = packet.payload else { panic!("not VRRP") };
        prop_assert_eq!((vrrp.src, vrrp.dst), (endpoints.src(), endpoints.dst()));
        prop_assert_eq!((vrrp.ttl, vrrp.bytes), (ttl, &message[..]));
    }
}
