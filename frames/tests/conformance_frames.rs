//! What an engine's outputs are on the wire, octet by octet: the encapsulation rows and the formats
//! of gratuitous ARP and unsolicited NA of `requirements.toml`, one row a case.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;

use std::time::Duration;

use driver::{Driver, both, ip, priority, under_each_profile, v2, v3, v6, vrid};
use vipd_engine::config::{VirtualAddress, VirtualMac};
use vipd_engine::{
    Frame, Ifindex, Input, InstanceConfig, InterfaceName, LinkState, MacAddress, Profile, Rules,
    Vrid,
};
use vipd_frames::{Payload, decode, encode, neighbour};

/// Offsets in an Ethernet frame.
const ETHERNET_SRC: usize = 6;
const ETHERTYPE: usize = 12;
const IPV4: usize = 14;
const IPV6: usize = 14;
const IPV4_FLAGS: usize = IPV4 + 6;
const IPV4_TTL: usize = IPV4 + 8;
const IPV4_PROTOCOL: usize = IPV4 + 9;
const IPV4_SRC: usize = IPV4 + 12;
const IPV4_DST: usize = IPV4 + 16;
const IPV6_NEXT: usize = IPV6 + 6;
const IPV6_HOPS: usize = IPV6 + 7;
const IPV6_SRC: usize = IPV6 + 8;
const IPV6_DST: usize = IPV6 + 24;
const IPV6_PAYLOAD: usize = IPV6 + 40;
const ARP: usize = 14;

const LINK_LOCAL_2: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const GROUP_6: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Octets that stand at an offset of a frame.
type Place<'a> = (usize, &'a [u8]);

fn wire(frame: &Frame) -> Vec<u8> {
    let mut octets = Vec::new();
    encode(frame, MacAddress([2, 0, 0, 0, 0, 9]), 1, &mut octets);
    octets
}

/// All that an instance sends from its start to its resignation, 10 s later.
fn life(config: InstanceConfig) -> Vec<(Frame, Vec<u8>)> {
    let mut driver = Driver::new(config);
    driver.run_for(Duration::from_secs(10));
    driver.handle(Input::Shutdown);
    driver.frames().into_iter().map(|(_, frame)| (frame.clone(), wire(&frame))).collect()
}

fn adverts(config: InstanceConfig) -> Vec<Vec<u8>> {
    let life = life(config).into_iter();
    let adverts: Vec<_> = life
        .filter_map(|(frame, octets)| matches!(frame, Frame::Advert(_)).then_some(octets))
        .collect();
    assert!(adverts.len() > 5);
    adverts
}

fn announcements(config: InstanceConfig) -> Vec<Vec<u8>> {
    let life = life(config).into_iter();
    let announcements: Vec<_> = life
        .filter_map(|(frame, octets)| (!matches!(frame, Frame::Advert(_))).then_some(octets))
        .collect();
    assert!(!announcements.is_empty());
    announcements
}

fn assert_octets(row: &str, frames: &[Vec<u8>], places: &[Place<'_>]) {
    for frame in frames {
        for (at, octets) in places {
            assert_eq!(&frame[*at..at + octets.len()], *octets, "{row}: offset {at}");
        }
    }
}

#[test]
fn an_advert_over_ipv4_has_the_header_that_the_rfc_asks_for() {
    let group: &[u8] = &[224, 0, 0, 18];
    let group_mac: &[u8] = &[0x01, 0, 0x5e, 0, 0, 0x12];
    let source: &[u8] = &[10, 0, 0, 2];
    let pairs: [(&str, &str, &[Place<'_>]); 4] = [
        ("V2-5.2.1-SRC", "V3-5.1.1.1-SRC4", &[(IPV4_SRC, source)]),
        ("V2-5.2.2-DST", "V3-5.1.1.2-DST4", &[(0, group_mac), (IPV4_DST, group)]),
        ("V2-5.2.3-TTLTX", "V3-5.1.1.3-TTL4TX", &[(IPV4_TTL, &[255])]),
        ("V2-5.2.4-PROTO", "V3-5.1.1.4-PROTO4", &[(IPV4_PROTOCOL, &[112])]),
    ];
    for (v2_row, v3_row, places) in pairs {
        for (row, config) in both(v2_row, v3_row) {
            assert_octets(row, &adverts(config), places);
        }
    }
    // No fragment: neither "more fragments" nor an offset.
    for (row, config) in under_each_profile("V2-5-IPENC", &v2()) {
        let places: [Place<'_>; 3] =
            [(ETHERTYPE, &[0x08, 0x00]), (IPV4, &[0x45]), (IPV4_FLAGS, &[0, 0])];
        assert_octets(row, &adverts(config), &places);
    }
    assert_octets("X-DSCP", &adverts(v2()), &[(IPV4 + 1, &[0xc0])]);
}

#[test]
fn an_advert_over_ipv6_has_the_header_that_the_rfc_asks_for() {
    let rows: [(&str, &[Place<'_>]); 4] = [
        ("V3-5.1.2.1-SRC6", &[(IPV6_SRC, &LINK_LOCAL_2)]),
        ("V3-5.1.2.2-DST6", &[(0, &[0x33, 0x33, 0, 0, 0, 0x12]), (IPV6_DST, &GROUP_6)]),
        ("V3-5.1.2.3-HLTX", &[(IPV6_HOPS, &[255])]),
        ("V3-5.1.2.4-NH", &[(IPV6_NEXT, &[112]), (IPV6_PAYLOAD, &[0x31])]),
    ];
    for (row, places) in rows {
        for (row, config) in under_each_profile(row, &v6()) {
            assert_octets(row, &adverts(config), places);
        }
    }
}

fn with_virtual_mac(config: &InstanceConfig, id: i64) -> InstanceConfig {
    let interface = InterfaceName::new("vrrp");
    InstanceConfig {
        vrid: Vrid::new(id).unwrap(),
        virtual_mac: Some(VirtualMac { interface, transmit_from_parent: false }),
        ..config.clone()
    }
}

/// What an owner sends from the macvlan of its virtual router, adverts first.
fn from_macvlan(config: InstanceConfig) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut driver = Driver::unconfigured();
    let link = vipd_engine::Link {
        interface: Ifindex(7),
        name: InterfaceName::new("vrrp"),
        mac: MacAddress::virtual_router(config.family, config.vrid),
        state: LinkState::Up,
    };
    driver.handle(Input::Link(link));
    driver.configure(vec![InstanceConfig { priority: priority(255), ..config }], vec![]);
    driver.run_for(Duration::from_secs(3));
    let frames: Vec<_> = driver.frames();
    let pick = |wanted: bool| {
        let frames = frames.iter().filter(|(_, frame)| matches!(frame, Frame::Advert(_)) == wanted);
        let octets: Vec<_> = frames.map(|(_, frame)| wire(frame)).collect();
        assert!(!octets.is_empty());
        octets
    };
    (pick(true), pick(false))
}

#[test]
fn with_use_vmac_every_advert_leaves_from_the_virtual_mac() {
    let rows = [
        ("V2-7.2-SMAC", v2(), 51, [0, 0, 0x5e, 0, 1, 51]),
        ("V3-7.2-SMAC", v3(100), 51, [0, 0, 0x5e, 0, 1, 51]),
        ("V3-7.2-SMAC", v6(), 51, [0, 0, 0x5e, 0, 2, 51]),
        ("V2-7.3-VMAC", v2(), 1, [0, 0, 0x5e, 0, 1, 1]),
        ("V2-7.3-VMAC", v2(), 255, [0, 0, 0x5e, 0, 1, 255]),
        ("V3-7.3-VMAC4", v3(100), 1, [0, 0, 0x5e, 0, 1, 1]),
        ("V3-7.3-VMAC4", v3(100), 255, [0, 0, 0x5e, 0, 1, 255]),
        ("V3-7.3-VMAC6", v6(), 51, [0, 0, 0x5e, 0, 2, 51]),
        ("V3-7.3-VMAC6", v3(100), 51, [0, 0, 0x5e, 0, 1, 51]),
    ];
    for (row, config, id, mac) in rows {
        for (row, config) in under_each_profile(row, &config) {
            let (adverts, _) = from_macvlan(with_virtual_mac(&config, id));
            assert_octets(row, &adverts, &[(ETHERNET_SRC, &mac)]);
        }
    }
}

#[test]
fn a_gratuitous_arp_is_a_broadcast_request_for_the_address_itself() {
    let mac: &[u8] = &[0, 0, 0x5e, 0, 1, 51];
    let vip: &[u8] = &[10, 0, 0, 100];
    let broadcast: &[u8] = &[255; 6];
    let head: &[u8] = &[0, 1, 8, 0, 6, 4, 0, 1];
    let rows: [(&str, &[Place<'_>]); 2] = [
        (
            "GARP-826-FMT",
            &[
                (0, broadcast),
                (ETHERTYPE, &[0x08, 0x06]),
                (ARP, head),
                (ARP + 8, mac),
                (ARP + 14, vip),
                (ARP + 24, vip),
            ],
        ),
        ("GARP-ETHSRC", &[(ETHERNET_SRC, mac)]),
    ];
    for (row, places) in rows {
        for (row, config) in both(row, row) {
            let (_, announcements) = from_macvlan(with_virtual_mac(&config, 51));
            assert_octets(row, &announcements, places);
        }
    }
}

#[test]
fn the_target_of_a_gratuitous_arp_is_the_virtual_mac_under_rfc_9568_and_no_other() {
    let (virtual_mac, broadcast) = ([0, 0, 0x5e, 0, 1, 51], [255; 6]);
    let rows = [
        ("GARP-9568-THA", Profile::Rfc9568, virtual_mac),
        ("GARP-9568-THA", Profile::Rfc5798, broadcast),
        ("GARP-9568-THA", Profile::DropIn, broadcast),
    ];
    for (row, profile, target) in rows {
        let config = InstanceConfig { rules: Rules::of(profile), ..v3(100) };
        let (_, announcements) = from_macvlan(with_virtual_mac(&config, 51));
        let vip = [10, 0, 0, 100];
        assert_octets(row, &announcements, &[(ARP + 18, &target), (ARP + 24, &vip)]);
    }
}

/// The ones-complement sum of an ICMPv6 message and its pseudo-header (RFC 4443 section 2.3).
fn icmpv6_sum(frame: &[u8]) -> u16 {
    let message = &frame[IPV6_PAYLOAD..];
    let mut covered = frame[IPV6_SRC..IPV6_PAYLOAD].to_vec();
    covered.extend((message.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, 58]);
    covered.extend(message);
    let words = covered.chunks(2).map(|pair| u32::from(pair[0]) * 256 + u32::from(pair[1]));
    let sum: u32 = words.sum();
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[test]
fn an_unsolicited_neighbour_advertisement_has_the_flags_and_the_option_that_the_rfc_asks_for() {
    for row in ["V3-6.4.1-OWNER6", "ND-UNA-FMT"] {
        for (row, config) in under_each_profile(row, &v6()) {
            let (_, announcements) = from_macvlan(with_virtual_mac(&config, 51));
            let places: [Place<'_>; 7] = [
                (0, &[0x33, 0x33, 0, 0, 0, 1]),
                (IPV6_NEXT, &[58]),
                (IPV6_HOPS, &[255]),
                (IPV6_DST, &ALL_NODES),
                (IPV6_PAYLOAD, &[136, 0]),
                (IPV6_PAYLOAD + 4, &[0xa0, 0, 0, 0]),
                (IPV6_PAYLOAD + 24, &[2, 1, 0, 0, 0x5e, 0, 2, 51]),
            ];
            assert_octets(row, &announcements, &places);
            let mut targets = Vec::new();
            for frame in &announcements {
                assert_eq!(icmpv6_sum(frame), 0xffff, "{row}");
                targets.push(frame[IPV6_PAYLOAD + 8..IPV6_PAYLOAD + 24].to_vec());
            }
            targets.dedup();
            targets.sort();
            targets.dedup();
            assert_eq!(targets.len(), 2, "{row}: one for each address");
        }
    }
}

/// ND-UNA-SRC
#[test]
fn a_neighbour_advertisement_comes_from_the_address_that_it_advertises() {
    for frame in announcements(v6()) {
        let target = &frame[IPV6_PAYLOAD + 8..IPV6_PAYLOAD + 24];
        assert_eq!(&frame[IPV6_SRC..IPV6_DST], target);
    }
}

/// The octets of a valid v3 advert from 192.0.2.2 for VRID 51 and 192.0.2.10.
const MESSAGE: [u8; 12] = [0x31, 51, 150, 1, 0, 0x64, 0xd3, 0xca, 192, 0, 2, 10];

fn ipv4_frame(header_words: u8, options: &[u8], padding: usize) -> Vec<u8> {
    let mut frame = vec![0x01, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 9, 0x08, 0x00];
    let length = header_words * 4 + MESSAGE.len() as u8;
    frame.extend([0x40 | header_words, 0, 0, length, 0, 1, 0, 0, 255, 112, 0, 0]);
    frame.extend([192, 0, 2, 2, 224, 0, 0, 18]);
    frame.extend(options);
    let words = frame[14..].chunks(2).map(|pair| u32::from(pair[0]) * 256 + u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(MESSAGE);
    frame.extend(vec![0; padding]);
    frame
}

fn read(frame: &[u8]) -> Vec<u8> {
    let packet = decode(frame).expect("a packet");
    let Payload::Vrrp(vrrp) = packet.payload else { panic!("no VRRP") };
    assert_eq!((vrrp.src, vrrp.ttl), (ip("192.0.2.2"), 255));
    vrrp.bytes.to_vec()
}

/// X-7.1-ETHPAD
#[test]
fn padding_behind_the_ip_packet_is_no_part_of_the_message() {
    let frame = ipv4_frame(5, &[], 14);
    assert_eq!(frame.len(), 60);
    assert_eq!(read(&frame), MESSAGE);
}

/// X-IPOPT
#[test]
fn options_of_the_ip_header_are_no_part_of_the_message() {
    assert_eq!(read(&ipv4_frame(6, &[1, 1, 1, 1], 0)), MESSAGE);
}

/// V3-5.1.2.1-SRC6-MISSING
#[test]
fn without_a_link_local_address_nothing_is_sent_over_ipv6() {
    let mut driver = Driver::new(v6());
    driver.address("2001:db8::2", true);
    driver.run_for(Duration::from_secs(10));
    assert!(!driver.frames().is_empty());
    driver.log.clear();
    driver.address("fe80::2", false);
    driver.run_for(Duration::from_secs(100));
    assert!(driver.frames().iter().all(|(_, frame)| !matches!(frame, Frame::Advert(_))));
    let why = driver.engine.status().instances().next().unwrap().fault().unwrap().to_string();
    assert_eq!(why, "interface has no address to send from");
}

#[test]
fn each_address_is_announced_at_the_transition() {
    for (row, config) in both("GARP-ALL", "GARP-ALL") {
        let addresses = ["10.0.0.100", "10.0.0.101", "10.0.0.102"];
        let addresses = addresses.map(|address| VirtualAddress::new(ip(address))).into();
        let mut driver = Driver::new(InstanceConfig { addresses, vrid: vrid(), ..config });
        let down = driver.deadline().unwrap();
        driver.run_until(down);
        let frames = driver.frames().into_iter();
        let spa = frames.filter_map(|(_, frame)| match frame {
            Frame::GratuitousArp(_) => Some(wire(&frame)[ARP + 14..ARP + 18].to_vec()),
            Frame::Advert(_) | Frame::UnsolicitedNa(_) => None,
        });
        let mut spa: Vec<_> = spa.collect();
        spa.sort();
        spa.dedup();
        assert_eq!(spa, [[10, 0, 0, 100], [10, 0, 0, 101], [10, 0, 0, 102]], "{row}");
    }
}

/// ND-SNM-4291
#[test]
fn the_solicited_node_group_ends_in_the_low_24_bits_of_the_address() {
    let group = |text: &str| neighbour::solicited_node(text.parse().unwrap()).to_string();
    assert_eq!(group("fe80::10"), "ff02::1:ff00:10");
    assert_eq!(group("fd00:99::1234:5678"), "ff02::1:ff34:5678");
}
