//! What is emitted, an independent decoder (pnet_packet) reads, and `decode` gives back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use pnet_packet::Packet as _;
use pnet_packet::arp::{ArpOperations, ArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::icmp::{self, IcmpPacket};
use pnet_packet::icmpv6::{self, Icmpv6Packet};
use pnet_packet::ipv4::{self, Ipv4Packet};
use pnet_packet::ipv6::Ipv6Packet;
use proptest::prelude::*;
use vipd_engine::rules::ChecksumForm;
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::{
    Advert, AdvertFrame, Announcement, Family, Frame, Ifindex, Interval, MacAddress, Password,
    Version, Vrid,
};
use vipd_frames::echo::{echo_reply, echo_request};
use vipd_frames::neighbour::{
    arp_reply, arp_request, neighbour_reply, neighbour_solicitation, solicited_node,
};
use vipd_frames::{
    Arp, ArpOperation, Echo, Endpoints, Ethernet, NeighbourAdvert, NeighbourSolicitation, Payload,
    decode, encode,
};

const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const A6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x12, 0x3456);
const A4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A fresh buffer that is not empty: everything is appended.
fn append(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0xaa; 3];
    emit(&mut out);
    out.split_off(3)
}

fn advert(version: Version, family: Family) -> impl Strategy<Value = AdvertFrame> {
    let count = match version {
        Version::V2 => 0..=20_usize,
        Version::V3 => 1..=20_usize,
    };
    let addresses = prop::collection::vec(any::<[u8; 16]>(), count);
    let password = prop::option::of(prop::collection::vec(any::<u8>(), 1..=8));
    (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        1_i64..=255,
        any::<(u8, u8, bool)>(),
        password,
        addresses,
    )
        .prop_map(
            move |(src, dst, vrid, (priority, ttl, pseudo_header), password, addresses)| {
                let interval = match version {
                    Version::V2 => Interval::from_seconds(vrid).unwrap(),
                    Version::V3 => Interval::from_centiseconds(vrid * 16).unwrap(),
                };
                let addresses: Vec<_> =
                    addresses.into_iter().map(|octets| address(family, octets)).collect();
                AdvertFrame {
                    interface: Ifindex(1),
                    mac: A,
                    src: address(family, src),
                    dst: address(family, dst),
                    ttl,
                    checksum: if pseudo_header {
                        ChecksumForm::PseudoHeader
                    } else {
                        ChecksumForm::MessageOnly
                    },
                    advert: Advert {
                        version,
                        vrid: Vrid::new(vrid).unwrap(),
                        priority,
                        interval,
                        password: password
                            .filter(|_| version == Version::V2)
                            .map(|octets| Password::new(&octets).unwrap()),
                        addresses: Arc::from(addresses),
                    },
                }
            },
        )
}

fn address(family: Family, octets: [u8; 16]) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
        Family::Ipv6 => IpAddr::from(octets),
    }
}

fn any_advert() -> impl Strategy<Value = AdvertFrame> {
    prop_oneof![
        advert(Version::V2, Family::Ipv4),
        advert(Version::V3, Family::Ipv4),
        advert(Version::V3, Family::Ipv6),
    ]
}

/// The header of `frame` as pnet_packet reads it, next to what it should say.
fn check_headers(octets: &[u8], frame: &AdvertFrame, identification: u16) {
    let ethernet = EthernetPacket::new(octets).unwrap();
    assert_eq!(ethernet.get_source().octets(), A.0);
    let message_len = frame.advert.message_len();
    match (frame.src, frame.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            assert_eq!(ethernet.get_ethertype(), EtherTypes::Ipv4);
            let ip = Ipv4Packet::new(ethernet.payload()).unwrap();
            assert_eq!((ip.get_source(), ip.get_destination()), (src, dst));
            assert_eq!((ip.get_ttl(), ip.get_next_level_protocol().0), (frame.ttl, 112));
            assert_eq!((ip.get_dscp(), ip.get_ecn(), ip.get_flags()), (48, 0, 0));
            assert_eq!((ip.get_identification(), ip.get_header_length()), (identification, 5));
            assert_eq!(usize::from(ip.get_total_length()), 20 + message_len);
            assert_eq!(ip.get_checksum(), ipv4::checksum(&ip));
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            assert_eq!(ethernet.get_ethertype(), EtherTypes::Ipv6);
            let ip = Ipv6Packet::new(ethernet.payload()).unwrap();
            assert_eq!((ip.get_source(), ip.get_destination()), (src, dst));
            assert_eq!((ip.get_hop_limit(), ip.get_next_header().0), (frame.ttl, 112));
            assert_eq!((ip.get_traffic_class(), ip.get_flow_label()), (0xc0, 0));
            assert_eq!(usize::from(ip.get_payload_length()), message_len);
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => unreachable!(),
    }
}

proptest! {
    #[test]
    fn an_advert_that_was_encoded_is_decoded_to_itself(frame in any_advert(), id in any::<u16>()) {
        let octets = append(|out| encode(&Frame::Advert(frame.clone()), B, id, out));
        check_headers(&octets, &frame, id);
        let packet = decode(&octets).unwrap();
        prop_assert_eq!(packet.ethernet, Ethernet::toward(A, frame.dst, B));
        let Payload::Vrrp(vrrp) = packet.payload else { panic!("not VRRP") };
        prop_assert_eq!((vrrp.src, vrrp.dst, vrrp.ttl), (frame.src, frame.dst, frame.ttl));
        let family = Family::of(frame.src);
        let view = AdvertView::new(frame.advert.version, family, vrrp.bytes).unwrap();
        prop_assert!(view.checksum_fits(frame.checksum, vrrp.src, vrrp.dst));
        prop_assert_eq!(view.vrid(), frame.advert.vrid.get());
        prop_assert_eq!(view.priority(), frame.advert.priority);
        prop_assert_eq!(view.interval(), Some(frame.advert.interval));
        prop_assert_eq!(&view.addresses().collect::<Vec<_>>()[..], &frame.advert.addresses[..]);
    }

    #[test]
    fn an_echo_of_any_data_is_decoded_to_itself(
        v4: bool,
        is_request: bool,
        id: u16,
        sequence: u16,
        data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let endpoints = if v4 {
            Endpoints::V4 { src: A4, dst: B4 }
        } else {
            Endpoints::V6 { src: A6, dst: B6 }
        };
        let echo = Echo { endpoints, ttl: 64, id, sequence, data: &data };
        let ethernet = Ethernet { src: A, dst: B };
        let emit = if is_request { echo_request } else { echo_reply };
        let octets = append(|out| emit(ethernet, &echo, out));
        let expected =
            if is_request { Payload::EchoRequest(echo) } else { Payload::EchoReply(echo) };
        prop_assert_eq!(decode(&octets).map(|packet| packet.payload), Ok(expected));
        let outer = EthernetPacket::new(&octets).unwrap();
        if v4 {
            let ip = Ipv4Packet::new(outer.payload()).unwrap();
            let message = IcmpPacket::new(ip.payload()).unwrap();
            prop_assert_eq!(message.get_checksum(), icmp::checksum(&message));
            prop_assert_eq!(message.get_icmp_type().0, if is_request { 8 } else { 0 });
        } else {
            let ip = Ipv6Packet::new(outer.payload()).unwrap();
            let message = Icmpv6Packet::new(ip.payload()).unwrap();
            prop_assert_eq!(message.get_checksum(), icmpv6::checksum(&message, &A6, &B6));
            prop_assert_eq!(message.get_icmpv6_type().0, if is_request { 128 } else { 129 });
        }
    }
}

#[test]
fn an_advert_between_two_families_is_not_sent() {
    let frame = AdvertFrame {
        interface: Ifindex(1),
        mac: A,
        src: IpAddr::V4(A4),
        dst: IpAddr::V6(B6),
        ttl: 255,
        checksum: ChecksumForm::PseudoHeader,
        advert: Advert {
            version: Version::V3,
            vrid: Vrid::new(1).unwrap(),
            priority: 1,
            interval: Interval::DEFAULT,
            password: None,
            addresses: Arc::from([IpAddr::V4(A4)]),
        },
    };
    assert!(append(|out| encode(&Frame::Advert(frame), B, 0, out)).is_empty());
}

#[test]
fn groups_have_the_macs_that_belong_to_them() {
    let mac = |group: &str| Ethernet::toward(A, group.parse().unwrap(), B).dst.to_string();
    assert_eq!(mac("224.0.0.18"), "01:00:5e:00:00:12");
    assert_eq!(mac("239.255.1.2"), "01:00:5e:7f:01:02");
    assert_eq!(mac("ff02::12"), "33:33:00:00:00:12");
    assert_eq!(mac("10.0.0.2"), B.to_string());
    assert_eq!(mac("fe80::2"), B.to_string());
    let group = solicited_node("fe80::12:3456:789a".parse().unwrap());
    assert_eq!(group.to_string(), "ff02::1:ff56:789a");
}

#[test]
fn an_arp_request_is_answered_to_its_sender() {
    let request = append(|out| arp_request(A, A4, B4, out));
    let packet = decode(&request).unwrap();
    assert_eq!(packet.ethernet, Ethernet { src: A, dst: Ethernet::BROADCAST });
    let Payload::Arp(asked) = packet.payload else { panic!("not ARP") };
    let tha = MacAddress([0; 6]);
    let expected = Arp { operation: ArpOperation::Request, sha: A, spa: A4, tha, tpa: B4 };
    assert_eq!(asked, expected);

    let reply = append(|out| arp_reply(&asked, B, out));
    let packet = decode(&reply).unwrap();
    assert_eq!(packet.ethernet, Ethernet { src: B, dst: A });
    let answered = Arp { operation: ArpOperation::Reply, sha: B, spa: B4, tha: A, tpa: A4 };
    assert_eq!(packet.payload, Payload::Arp(answered));
    let read = ArpPacket::new(&reply[14..]).unwrap();
    assert_eq!((read.get_operation(), read.get_sender_proto_addr()), (ArpOperations::Reply, B4));
}

#[test]
fn a_solicitation_is_answered_to_its_sender_or_to_all_nodes() {
    let octets = append(|out| neighbour_solicitation(A, A6, B6, out));
    let packet = decode(&octets).unwrap();
    assert_eq!(packet.ethernet.dst.to_string(), "33:33:ff:12:34:56");
    let group = solicited_node(B6);
    let asked = NeighbourSolicitation { src: A6, dst: group, target: B6, link_layer: Some(A) };
    assert_eq!(packet.payload, Payload::NeighbourSolicitation(asked));
    let message = Icmpv6Packet::new(&octets[54..]).unwrap();
    assert_eq!(message.get_checksum(), icmpv6::checksum(&message, &A6, &group));

    let octets = append(|out| neighbour_reply(A, &asked, B, true, out));
    let packet = decode(&octets).unwrap();
    assert_eq!(packet.ethernet, Ethernet { src: B, dst: A });
    let answer = NeighbourAdvert {
        src: B6,
        dst: A6,
        target: B6,
        router: true,
        solicited: true,
        overrides: true,
        link_layer: Some(B),
    };
    assert_eq!(packet.payload, Payload::NeighbourAdvert(answer));

    let probe = NeighbourSolicitation { src: Ipv6Addr::UNSPECIFIED, link_layer: None, ..asked };
    let octets = append(|out| neighbour_solicitation(A, Ipv6Addr::UNSPECIFIED, B6, out));
    let packet = decode(&octets).unwrap();
    assert_eq!(packet.payload, Payload::NeighbourSolicitation(probe));
    let octets = append(|out| neighbour_reply(A, &probe, B, false, out));
    let packet = decode(&octets).unwrap();
    assert_eq!(packet.ethernet.dst.to_string(), "33:33:00:00:00:01");
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let answer = NeighbourAdvert { dst: all_nodes, router: false, solicited: false, ..answer };
    assert_eq!(packet.payload, Payload::NeighbourAdvert(answer));
}

#[test]
fn announcements_are_decoded_to_what_was_announced() {
    let arp_target = Ethernet::BROADCAST;
    let announce = |address| Announcement { interface: Ifindex(1), mac: A, address, arp_target };
    let octets = append(|out| encode(&Frame::GratuitousArp(announce(IpAddr::V4(A4))), B, 0, out));
    let arp = Arp {
        operation: ArpOperation::Request,
        sha: A,
        spa: A4,
        tha: Ethernet::BROADCAST,
        tpa: A4,
    };
    assert_eq!(decode(&octets).unwrap().payload, Payload::Arp(arp));

    let octets = append(|out| encode(&Frame::UnsolicitedNa(announce(IpAddr::V6(A6))), B, 0, out));
    let advert = NeighbourAdvert {
        src: A6,
        dst: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        target: A6,
        router: true,
        solicited: false,
        overrides: true,
        link_layer: Some(A),
    };
    assert_eq!(decode(&octets).unwrap().payload, Payload::NeighbourAdvert(advert));
}
