//! Every VRRP packet of 27 captures of keepalived 2.2.7 and FRR 8.4.4, through `decode` and the
//! engine's receive checks under each profile, and through our own codec.
//!
//! `captures/fixture.rs` reads them, `captures/lab.rs` knows who sent what to whom,
//! `captures/page.rs` makes `docs/captures.md`. The vectors, and the driver around the engine, are
//! those of the engine's tests.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;
#[path = "../../engine/tests/vector/mod.rs"]
mod vector;
mod captures {
    pub mod fixture;
    pub mod lab;
    pub mod page;
}

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use captures::fixture;
use captures::lab::{CAPTURES, Capture, Packet, Sender, Setting, expected, under};
use captures::page;
use driver::{Answer, Driver};
use vector::{Vector, all_drops, received, vectors};
use vipd_engine::{
    Advert, AdvertFrame, Engine, Frame, Ifindex, LinkState, MacAddress, Profile, Timestamp,
};
use vipd_frames::pcapng::{Direction, Writer};
use vipd_frames::{FrameFault, decode, encode};

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every capture with its packets.
fn all(vectors: &[Vector]) -> Vec<(Capture, Vec<Packet>)> {
    CAPTURES.iter().map(|capture| (*capture, capture.packets(vectors))).collect()
}

/// What a fresh receiver does with a packet: `process`, or the reason of its one drop.
fn verdict(packet: &Packet, profile: Profile) -> String {
    let Some(vrrp) = packet.vrrp() else {
        let fault = decode(&packet.frame.octets).map(|_| ()).expect_err("no VRRP");
        return fault.name().to_owned();
    };
    let mut driver = Driver {
        engine: Engine::new(),
        now: Timestamp::ZERO,
        log: Vec::new(),
        kernel: Answer::Ok,
        wire: Answer::Ok,
    };
    driver.link(LinkState::Up);
    driver.address(&packet.own.to_string(), true);
    driver.configure(vec![under(packet, profile)], vec![]);
    driver.hear_bytes(&vrrp.src.to_string(), vrrp.dst, vrrp.ttl, vrrp.bytes);
    match (received(&driver), &all_drops(&driver)[..]) {
        (1, []) => "process".to_owned(),
        (0, [(reason, 1)]) => reason.name().to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_capture_of_the_folder_is_judged() {
    let mut names = CAPTURES.map(|capture| capture.name);
    names.sort_unstable();
    assert_eq!(fixture::names(), names);
}

#[test]
fn each_packet_is_processed_or_dropped_as_its_vector_or_its_rfc_says() {
    let vectors = vectors();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for (capture, packets) in all(&vectors) {
        for (number, packet) in (1..).zip(&packets) {
            for profile in Profile::ALL {
                let verdict = verdict(packet, profile);
                let expected = expected(packet, &vectors, profile);
                if verdict != expected {
                    let (name, sender) = (capture.name, packet.sender);
                    let profile = profile.name();
                    wrong.push(format!(
                        "{name} frame {number} of {sender:?} under {profile}: {verdict}, \
                         not {expected}"
                    ));
                }
            }
            judged += packet.frame.times;
        }
    }
    report(&wrong);
    assert_eq!(judged, 12_147);
}

/// What a slot is held for: the rebuilt vector has the octets of the original, but for the VRID,
/// the addresses and the checksum.
#[test]
fn each_vector_that_was_tried_is_the_one_that_its_slot_stands_for() {
    let vectors = vectors();
    let mut found = vec![0; vectors.len()];
    for (capture, packets) in all(&vectors) {
        for packet in &packets {
            let Sender::Vector(at) = packet.sender else { continue };
            found[at] += 1;
            let (vector, Some(vrrp)) = (&vectors[at], packet.vrrp()) else { continue };
            let (name, ours, theirs) = (&vector.name, vector.bytes(), vrrp.bytes);
            assert_eq!((theirs.len(), vrrp.ttl), (ours.len(), vector.ttl), "{name}");
            for octet in [0, 2, 3, 4, 5] {
                assert_eq!(theirs.get(octet), ours.get(octet), "{name}, octet {octet}");
            }
            let to_group = driver::ip(&vector.dst).is_multicast();
            assert_eq!(vrrp.dst.is_multicast(), to_group, "{name}");
            if capture.setting == Setting::AsTheyStand {
                assert_eq!(
                    (vrrp.src, vrrp.dst),
                    (driver::ip(&vector.src), driver::ip(&vector.dst))
                );
                assert_eq!(theirs, ours, "{name}");
            } else if vector.fields.auth_type == Some(1) {
                assert_eq!(theirs[theirs.len() - 8..], ours[ours.len() - 8..], "{name}");
            }
        }
    }
    let tried = |vector: &Vector| vector.observed.len() - usize::from(vector.ip_proto != 112) * 2;
    let wanted: Vec<_> = vectors.iter().map(|vector| 1 + tried(vector)).collect();
    assert_eq!(found, wanted);
}

/// A router that took no vector for an advert took over when its down timer had run out, 3.8 s
/// after the last valid advert; one that learned a very short interval did at once.
#[test]
fn what_stands_of_the_routers_is_what_their_captures_show() {
    let vectors = vectors();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (capture, packets) in all(&vectors) {
        if capture.setting != Setting::Tried {
            continue;
        }
        let mut tried = packets.iter().filter(|packet| matches!(packet.sender, Sender::Vector(_)));
        let start = tried.next().expect("a vector").frame.at;
        for (slot, at) in (1..).zip(capture.tried_here(&vectors)) {
            let mut adverts = packets.iter().filter(|packet| {
                let is_router = matches!(packet.sender, Sender::Keepalived | Sender::Frr);
                is_router && packet.frame.message()[1] == slot
            });
            let after = adverts.next().map(|packet| packet.frame.at - start);
            let shown = match after {
                None => "accepted",
                Some(after) if after < Duration::from_secs(1) => "accepted, very short down timer",
                Some(after) if after > Duration::from_secs(3) => "discarded",
                Some(_) => "neither",
            };
            let stands = &vectors[at].observed[capture.peer()];
            if stands != shown {
                let (name, vector) = (capture.name, &vectors[at].name);
                wrong.push(format!("{name}, {vector}: {stands}, not {shown} ({after:?})"));
            }
            seen += 1;
        }
    }
    report(&wrong);
    assert_eq!(seen, 218);
}

#[test]
fn the_one_packet_of_another_ip_protocol_is_no_vrrp() {
    let vectors = vectors();
    let faults = all(&vectors)
        .into_iter()
        .flat_map(|(_, packets)| packets)
        .filter_map(|packet| Some((packet.sender, decode(&packet.frame.octets).err()?)));
    let number = vectors.iter().position(|vector| vector.name == "bad-proto-113").unwrap();
    let expected = (Sender::Vector(number), FrameFault::NotVrrp(113));
    assert_eq!(faults.collect::<Vec<_>>(), [expected]);
}

/// The frame that we would send in the place of the router: the configuration of the lab, and of
/// the captured frame only its priority, MACs, addresses and IP identification.
fn ours(packet: &Packet) -> Vec<u8> {
    let (octets, config) = (&packet.frame.octets, &packet.receiver);
    let vrrp = packet.vrrp().expect("VRRP");
    let mac = |at: usize| MacAddress(octets[at..at + 6].try_into().unwrap());
    let advert = Advert {
        version: config.version,
        vrid: config.vrid,
        priority: vrrp.bytes[2],
        interval: config.interval,
        password: config.password,
        addresses: config.addresses.iter().map(|address| address.address).collect(),
    };
    let frame = Frame::Advert(AdvertFrame {
        interface: Ifindex(1),
        mac: mac(6),
        src: vrrp.src,
        dst: vrrp.dst,
        ttl: 255,
        checksum: config.rules.checksum_sent,
        advert,
    });
    let mut out = Vec::new();
    encode(&frame, mac(0), u16::from_be_bytes([octets[18], octets[19]]), &mut out);
    out
}

/// FRR sets "don't fragment" (octet 20, and so the IP checksum, 24 and 25), the kernel a flow label
/// (octets 15 to 17).
#[test]
fn what_the_routers_sent_is_what_we_would_send_octet_for_octet() {
    let vectors = vectors();
    let (mut wrong, mut sent) = (Vec::new(), [0, 0]);
    for (capture, packets) in all(&vectors) {
        for (number, packet) in (1..).zip(&packets) {
            let theirs = &packet.frame.octets;
            let free: &[usize] = match (packet.sender, packet.own) {
                (Sender::Keepalived, IpAddr::V4(_)) => &[],
                (Sender::Frr, IpAddr::V4(_)) => &[20, 24, 25],
                (Sender::Keepalived | Sender::Frr, IpAddr::V6(_)) => &[15, 16, 17],
                (Sender::Lab | Sender::Vector(_), _) => continue,
            };
            sent[usize::from(packet.sender == Sender::Frr)] += packet.frame.times;
            let ours = ours(packet);
            let differ: Vec<_> = (0..ours.len().max(theirs.len()))
                .filter(|at| ours.get(*at) != theirs.get(*at) && !free.contains(at))
                .collect();
            if !differ.is_empty() {
                wrong.push(format!("{} frame {number}: octets {differ:?}", capture.name));
            }
        }
    }
    report(&wrong);
    assert_eq!(sent, [1_998, 1_821]);
}

/// What tshark says of each frame's VRRP checksum, `None` if it is not installed: said on stderr.
fn checksums_by_tshark(frames: &[&[u8]]) -> Option<Vec<String>> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("captures.pcapng");
    let mut writer = Writer::new(Vec::new()).unwrap();
    let interface = writer.add_interface("eth0", "lab").unwrap();
    for octets in frames {
        writer.packet(interface, 0, octets, Direction::Inbound, None).unwrap();
    }
    fs::write(&path, writer.finish().unwrap()).unwrap();
    let fields = ["-T", "fields", "-e", "vrrp.checksum.status"];
    match Command::new("tshark").arg("-r").arg(path).args(fields).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: tshark is not installed");
            None
        }
        Err(error) => panic!("tshark: {error}"),
    }
}

/// It sums v3 over IPv4 with a pseudo-header, as `drop-in` does. Of what has other faults, and
/// of what it does not know, it says what it likes.
#[test]
fn tshark_finds_the_same_checksums_right_and_wrong() {
    let vectors = vectors();
    let packets: Vec<_> = all(&vectors).into_iter().flat_map(|(_, packets)| packets).collect();
    let frames: Vec<_> = packets.iter().map(|packet| &packet.frame.octets[..]).collect();
    let Some(theirs) = checksums_by_tshark(&frames) else { return };
    assert_eq!(theirs.len(), packets.len());
    let (mut wrong, mut right, mut bad) = (Vec::new(), 0, 0);
    for (packet, status) in packets.iter().zip(&theirs) {
        let said = match &verdict(packet, Profile::DropIn)[..] {
            "process" => "1",
            "checksum" => "0",
            _ => continue,
        };
        (right, bad) = (right + usize::from(said == "1"), bad + usize::from(said == "0"));
        if status != said {
            wrong.push(format!("{:?} {:02x?}: {status}", packet.sender, packet.frame.octets));
        }
    }
    report(&wrong);
    assert_eq!((right, bad), (3_623, 47));
}

#[test]
fn the_committed_page_is_the_one_that_the_captures_make() {
    let vectors = vectors();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/captures.md");
    let page = page::page(&all(&vectors), &vectors);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("a writable page");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let how = "run `UPDATE_DOCS=1 cargo test -p vipd-frames --test captures`, commit";
    assert!(committed == page, "{how}");
}
