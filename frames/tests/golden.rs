//! The frames are, octet for octet, those that keepalived 2.2.7 and FRR 8.4.4 put on a wire.

use std::net::IpAddr;
use std::sync::Arc;

use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, AdvertFrame, Announcement, Frame, Ifindex, Interval, MacAddress, Password, Version,
    Vrid,
};
use vipd_frames::{Payload, decode, encode};

const A: MacAddress = MacAddress([2, 0, 0, 0, 0x99, 0x0a]);
const B: MacAddress = MacAddress([2, 0, 0, 0, 0x99, 0x0b]);
const ETH0: Ifindex = Ifindex(2);
/// Where the 20-bit flow label stands. The label is a sender's free choice; ours is 0.
const FLOW_LABEL: [usize; 3] = [15, 16, 17];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let octet = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(text, 16).unwrap()
    };
    digits.chunks_exact(2).map(octet).collect()
}

fn v2(dst: &str, priority: u8, password: Option<&[u8]>) -> AdvertFrame {
    let advert = Advert {
        version: Version::V2,
        vrid: Vrid::new(51).unwrap(),
        priority,
        interval: Interval::DEFAULT,
        password: password.map(|text| Password::new(text).unwrap()),
        addresses: Arc::from([ip("10.99.0.10")]),
    };
    AdvertFrame {
        interface: ETH0,
        mac: A,
        src: ip("10.99.0.1"),
        dst: ip(dst),
        ttl: 255,
        checksum: ChecksumForm::PseudoHeader,
        advert,
    }
}

fn v3(centiseconds: i64) -> AdvertFrame {
    let v2 = v2("224.0.0.18", 150, None);
    let interval = Interval::from_centiseconds(centiseconds).unwrap();
    let advert = Advert { version: Version::V3, interval, ..v2.advert };
    AdvertFrame { advert, ..v2 }
}

fn v3_over_ipv6() -> AdvertFrame {
    let v3 = v3(100);
    let addresses = Arc::from([ip("fe80::10"), ip("fd00:99::10")]);
    let advert = Advert { addresses, ..v3.advert };
    AdvertFrame { src: ip("fe80::ff:fe00:990a"), dst: ip("ff02::12"), advert, ..v3 }
}

fn wire(frame: &Frame, identification: u16) -> Vec<u8> {
    let mut out = Vec::new();
    encode(frame, B, identification, &mut out);
    out
}

fn advert_wire(frame: AdvertFrame, identification: u16) -> Vec<u8> {
    wire(&Frame::Advert(frame), identification)
}

#[test]
fn a_v2_multicast_advert_is_keepalived_s() {
    let golden = octets(
        "01005e000012 02000000990a 0800
         45c0 0028 0001 0000 ff 70 d02e 0a630001 e0000012
         21 33 96 01 00 01 3e5d 0a63000a 0000000000000000",
    );
    assert_eq!(advert_wire(v2("224.0.0.18", 150, None), 1), golden);
}

#[test]
fn a_v2_resignation_is_keepalived_s() {
    let golden = octets(
        "01005e000012 02000000990a 0800
         45c0 0028 0008 0000 ff 70 d027 0a630001 e0000012
         21 33 00 01 00 01 d45d 0a63000a 0000000000000000",
    );
    assert_eq!(advert_wire(v2("224.0.0.18", 0, None), 8), golden);
}

#[test]
fn a_v2_unicast_advert_with_a_password_is_keepalived_s() {
    let golden = octets(
        "02000000990b 02000000990a 0800
         45c0 0028 0001 0000 ff 70 a5dc 0a630001 0a630002
         21 33 96 01 01 01 3343 0a63000a 7333637233740000",
    );
    assert_eq!(advert_wire(v2("10.99.0.2", 150, Some(b"s3cr3t")), 1), golden);
}

#[test]
fn a_v2_multicast_advert_with_a_full_password_is_keepalived_s() {
    let golden = octets(
        "01005e000012 02000000990a 0800
         45c0 0028 0001 0000 ff 70 d02e 0a630001 e0000012
         21 33 96 01 01 01 c2cb 0a63000a 7333637233747077",
    );
    assert_eq!(advert_wire(v2("224.0.0.18", 150, Some(b"s3cr3tpw")), 1), golden);
}

#[test]
fn v3_adverts_over_ipv4_are_keepalived_s() {
    let golden = octets(
        "01005e000012 02000000990a 0800
         45c0 0020 0001 0000 ff 70 d036 0a630001 e0000012
         31 33 96 01 0064 4307 0a63000a",
    );
    assert_eq!(advert_wire(v3(100), 1), golden);
    let fast = octets(
        "01005e000012 02000000990a 0800
         45c0 0020 0001 0000 ff 70 d036 0a630001 e0000012
         31 33 96 01 000a 4361 0a63000a",
    );
    assert_eq!(advert_wire(v3(10), 1), fast);
}

#[test]
fn in_virtual_mac_mode_only_the_ethernet_source_differs() {
    let mac = MacAddress([0, 0, 0x5e, 0, 1, 0x33]);
    let virtual_mac = advert_wire(AdvertFrame { mac, ..v3(100) }, 1);
    assert_eq!(virtual_mac[6..12], mac.0);
    let plain = advert_wire(v3(100), 1);
    assert_eq!((&virtual_mac[..6], &virtual_mac[12..]), (&plain[..6], &plain[12..]));
}

#[test]
fn a_v3_advert_over_ipv6_is_keepalived_s_but_for_the_flow_label() {
    let mut golden = octets(
        "333300000012 02000000990a 86dd
         6c0da969 0028 70 ff fe8000000000000000000 0fffe00990a
         ff020000000000000000000000000012
         31 33 96 02 0064 a5f2 fe800000000000000000000000000010
         fd000099000000000000000000000010",
    );
    golden[FLOW_LABEL[0]] &= 0xf0;
    golden[FLOW_LABEL[1]] = 0;
    golden[FLOW_LABEL[2]] = 0;
    assert_eq!(advert_wire(v3_over_ipv6(), 1), golden);
}

#[test]
fn an_advert_with_df_and_any_identification_is_read_as_frr_sends_it() {
    let frr = octets(
        "01005e000012 00005e000133 0800
         45c0 0028 ccae 4000 ff 70 c380 0a630001 e0000012
         21 33 96 01 00 01 3e5d 0a63000a 0000000000000000",
    );
    let Payload::Vrrp(read) = decode(&frr).unwrap().payload else { panic!("not VRRP") };
    assert_eq!((read.src, read.dst, read.ttl), (ip("10.99.0.1"), ip("224.0.0.18"), 255));
    assert_eq!(read.bytes, &frr[34..]);
}

fn announcement(address: &str) -> Announcement {
    let (interface, arp_target) = (ETH0, MacAddress::BROADCAST);
    Announcement { interface, mac: A, address: ip(address), arp_target }
}

#[test]
fn a_gratuitous_arp_is_keepalived_s() {
    let golden = octets(
        "ffffffffffff 02000000990a 0806
         0001 0800 06 04 0001 02000000990a 0a63000a ffffffffffff 0a63000a",
    );
    let announcement = announcement("10.99.0.10");
    assert_eq!(wire(&Frame::GratuitousArp(announcement), 0), golden);
}

#[test]
fn an_unsolicited_neighbour_advertisement_is_keepalived_s_and_frr_s() {
    let keepalived = octets(
        "333300000001 02000000990a 86dd
         60000000 0020 3a ff fe800000000000000000000000000010
         ff020000000000000000000000000001
         88 00 3e73 a0000000 fe800000000000000000000000000010 02 01 02000000990a",
    );
    let announcement = announcement("fe80::10");
    assert_eq!(wire(&Frame::UnsolicitedNa(announcement), 0), keepalived);
    let frr = octets(
        "333300000001 00005e000233 86dd
         60000000 0020 3a ff fe800000000000000000000000000010
         ff020000000000000000000000000001
         88 00 794a a0000000 fe800000000000000000000000000010 02 01 00005e000233",
    );
    let mac = MacAddress([0, 0, 0x5e, 0, 2, 0x33]);
    let announcement = Announcement { mac, ..announcement };
    assert_eq!(wire(&Frame::UnsolicitedNa(announcement), 0), frr);
}
