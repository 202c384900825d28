//! A capture with every kind of frame: its octets are the same each time, and tshark and tcpdump
//! read all of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, AdvertFrame, Announcement, Frame, Ifindex, Interval, MacAddress, Password, Version,
    Vrid,
};
use vipd_frames::echo::{echo_reply, echo_request};
use vipd_frames::neighbour::{arp_reply, arp_request, neighbour_reply, neighbour_solicitation};
use vipd_frames::pcapng::Direction::{Inbound, Outbound};
use vipd_frames::pcapng::Writer;
use vipd_frames::{Arp, ArpOperation, Echo, Endpoints, Ethernet, NeighbourSolicitation, encode};

const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const A6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const A4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Exact in nanoseconds, and beyond 32 bits of them.
const FIRST_AT: u64 = 3_609_375_001;
const COMMENT: &str = "dropped: cut";

fn advert(version: Version, dst: IpAddr, password: Option<&[u8]>) -> Frame {
    let (src, address) = match dst {
        IpAddr::V4(_) => (IpAddr::V4(A4), IpAddr::from([10, 0, 0, 100])),
        IpAddr::V6(_) => (IpAddr::V6(A6), "fe80::100".parse().unwrap()),
    };
    Frame::Advert(AdvertFrame {
        interface: Ifindex(1),
        mac: A,
        src,
        dst,
        ttl: 255,
        checksum: ChecksumForm::PseudoHeader,
        advert: Advert {
            version,
            vrid: Vrid::new(51).unwrap(),
            priority: 150,
            interval: Interval::DEFAULT,
            password: password.map(|text| Password::new(text).unwrap()),
            addresses: Arc::from([address]),
        },
    })
}

fn announcement(address: IpAddr) -> Announcement {
    Announcement { interface: Ifindex(1), mac: A, address, arp_target: MacAddress::BROADCAST }
}

/// One frame of each kind.
fn frames() -> Vec<Vec<u8>> {
    let engine = [
        advert(Version::V2, "224.0.0.18".parse().unwrap(), None),
        advert(Version::V2, "224.0.0.18".parse().unwrap(), Some(b"s3cr3t")),
        advert(Version::V2, IpAddr::V4(B4), None),
        advert(Version::V3, "224.0.0.18".parse().unwrap(), None),
        advert(Version::V3, "ff02::12".parse().unwrap(), None),
        Frame::GratuitousArp(announcement(IpAddr::from([10, 0, 0, 100]))),
        Frame::UnsolicitedNa(announcement("fe80::100".parse().unwrap())),
    ];
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut add = |emit: &dyn Fn(&mut Vec<u8>)| {
        let mut octets = Vec::new();
        emit(&mut octets);
        frames.push(octets);
    };
    for (frame, identification) in engine.iter().zip(1..) {
        add(&|out| encode(frame, B, identification, out));
    }
    let tha = MacAddress([0; 6]);
    let asked = Arp { operation: ArpOperation::Request, sha: A, spa: A4, tha, tpa: B4 };
    add(&|out| arp_request(A, A4, B4, out));
    add(&|out| arp_reply(&asked, B, out));
    let asked = NeighbourSolicitation { src: A6, dst: B6, target: B6, link_layer: Some(A) };
    add(&|out| neighbour_solicitation(A, A6, B6, out));
    add(&|out| neighbour_reply(A, &asked, B, true, out));
    let there = Ethernet { src: A, dst: B };
    let back = Ethernet { src: B, dst: A };
    for endpoints in [Endpoints::V4 { src: A4, dst: B4 }, Endpoints::V6 { src: A6, dst: B6 }] {
        let echo = Echo { endpoints, ttl: 64, id: 7, sequence: 1, data: b"vipd" };
        add(&|out| echo_request(there, &echo, out));
        add(&|out| echo_reply(back, &Echo { endpoints: endpoints.reversed(), ..echo }, out));
    }
    frames
}

fn capture() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    let near = writer.add_interface("director-1", "lan").unwrap();
    let far = writer.add_interface("director-2", "").unwrap();
    for (octets, at) in frames().iter().zip(FIRST_AT..) {
        writer.packet(near, at, octets, Outbound, None).unwrap();
        writer.packet(far, at, octets, Inbound, Some(COMMENT)).unwrap();
    }
    writer.finish().unwrap()
}

/// Writes a capture for another program to read.
fn capture_file(name: &str, capture: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, capture).unwrap();
    path
}

/// What `program` prints, or `None` if it is not installed: said on stderr.
fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn the_same_frames_make_the_same_octets() {
    assert_eq!(capture(), capture());
}

#[test]
fn a_packet_of_an_unknown_interface_is_refused() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    assert!(writer.packet(0, 0, &[0; 60], Inbound, None).is_err());
    let interface = writer.add_interface("director-1", "lan").unwrap();
    assert!(writer.packet(interface, 0, &[0; 60], Inbound, None).is_ok());
}

#[test]
fn a_comment_beyond_what_pcapng_can_hold_is_cut_between_two_characters() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    let interface = writer.add_interface("director-1", "lan").unwrap();
    writer.packet(interface, 0, &[0; 60], Inbound, Some(&"é".repeat(40_000))).unwrap();
    assert!(writer.finish().unwrap().len() < 66_000);
}

#[test]
fn tshark_reads_every_frame_without_a_fault() {
    let path = capture_file("tshark.pcapng", &capture());
    let path = path.to_str().unwrap();
    let options = "-T fields -E separator=| -e frame.time_epoch -e frame.interface_name \
                   -e frame.comment -e _ws.malformed -e frame.protocols \
                   -e frame.packet_flags_direction";
    let fields: Vec<_> = ["-r", path].into_iter().chain(options.split_whitespace()).collect();
    let Some(text) = output_of("tshark", &fields) else { return };
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(lines.len(), frames().len() * 2);
    for (index, line) in lines.iter().enumerate() {
        let at = FIRST_AT + index as u64 / 2;
        assert_eq!(line[0], format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000));
        let (name, comment, direction) = match index % 2 {
            0 => ("director-1", "", "0x00000002"),
            _ => ("director-2", COMMENT, "0x00000001"),
        };
        assert_eq!((line[1], line[2], line[5]), (name, comment, direction));
        assert_eq!(line[3], "", "frame {} is malformed: {line:?}", index + 1);
    }
    let count = |protocol: &str| lines.iter().filter(|line| line[4].contains(protocol)).count();
    assert_eq!((count(":vrrp"), count(":arp")), (10, 6));
    assert_eq!((count(":icmpv6"), count(":icmp") - count(":icmpv6")), (10, 4));
}

/// The last octet of each frame is flipped in turn, so that the test would see a checksum that
/// tshark does not check. It takes the last octet of ARP for what it is: an address.
#[test]
fn tshark_finds_every_checksum_right_and_every_flipped_octet() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    let interface = writer.add_interface("director-1", "lan").unwrap();
    let mut wrong = Vec::new();
    for (index, mut octets) in frames().into_iter().enumerate() {
        writer.packet(interface, 0, &octets, Inbound, None).unwrap();
        if octets[12..14] != [0x08, 0x06] {
            wrong.push((index * 2 + 2).to_string());
        }
        *octets.last_mut().unwrap() ^= 1;
        writer.packet(interface, 0, &octets, Inbound, None).unwrap();
    }
    let path = capture_file("checksums.pcapng", &writer.finish().unwrap());
    let filter = "vrrp.checksum.status == 0 || ip.checksum.status == 0 \
                  || icmp.checksum.status == 0 || icmpv6.checksum.status == 0";
    let path = path.to_str().unwrap();
    let arguments = ["-r", path, "-o", "ip.check_checksum:TRUE", "-Y", filter];
    let arguments = [&arguments[..], &["-T", "fields", "-e", "frame.number"]].concat();
    let Some(text) = output_of("tshark", &arguments) else { return };
    assert_eq!(text.lines().collect::<Vec<_>>(), wrong);
}

#[test]
fn tcpdump_prints_the_adverts_with_their_vrid_and_priority() {
    let path = capture_file("tcpdump.pcapng", &capture());
    let Some(text) = output_of("tcpdump", &["-nvvvr", path.to_str().unwrap()]) else { return };
    let adverts: Vec<_> = text.lines().filter(|line| line.contains("vrid 51")).collect();
    assert_eq!(adverts.len(), 10, "{text}");
    assert!(adverts.iter().all(|line| line.contains("prio 150")), "{adverts:#?}");
    assert!(!text.contains("bad") && !text.contains("incorrect"), "{text}");
}
