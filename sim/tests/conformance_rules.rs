//! What an instance's rules and books say in the simulator, one row of `requirements.toml` a case:
//! choices between the RFCs that show on the wire, and what is told of the transitions.

mod rehearsal;

use std::fs::{self, File};
use std::path::Path;

use rehearsal::*;
use vipd_engine::{MacAddress, Profile, Rules, Version};
use vipd_frames::{Arp, ArpOperation, Payload, decode};
use vipd_scenarios::record::Seen;
use vipd_scenarios::runner;

/// The ARP packets of a capture, in order.
fn arps(capture: &[u8]) -> Vec<Arp> {
    let frames = frames(capture).into_iter().filter_map(|frame| decode(frame).ok());
    let arps = frames.filter_map(|packet| match packet.payload {
        Payload::Arp(arp) => Some(arp),
        _ => None,
    });
    arps.collect()
}

/// The frames in the enhanced packet blocks of a pcapng file (draft-ietf-opsawg-pcapng 4.3).
fn frames(mut capture: &[u8]) -> Vec<&[u8]> {
    const PACKET: usize = 6;
    let word = |octets: &[u8], at| {
        let octets: [u8; 4] = octets[at..at + 4].try_into().expect("four octets");
        u32::from_le_bytes(octets) as usize
    };
    let mut frames = Vec::new();
    while !capture.is_empty() {
        if word(capture, 0) == PACKET {
            frames.push(&capture[28..28 + word(capture, 20)]);
        }
        capture = &capture[word(capture, 4)..];
    }
    frames
}

#[test]
fn the_target_of_a_gratuitous_arp_is_the_virtual_mac_under_rfc_9568_and_no_other() {
    let virtual_mac = MacAddress([0, 0, 0x5e, 0, 1, 51]);
    let broadcast = MacAddress([255; 6]);
    let rows = [
        ("GARP-9568-THA", Profile::Rfc9568, virtual_mac),
        ("GARP-9568-THA", Profile::Rfc5798, broadcast),
        ("GARP-9568-THA", Profile::DropIn, broadcast),
    ];
    for (row, profile, target) in rows {
        let rehearsal = Rehearsal::changed("", |instance| {
            instance.version = Version::V3;
            instance.rules = Rules::of(profile);
            instance.password = None;
        });
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gratuitous.pcapng");
        let mut world = rehearsal.simulation(1);
        let file = File::create(&path).expect("a file");
        world.capture_to(&rehearsal.scenario, file).expect("a capture");
        let mut seen = Vec::new();
        runner::run(&rehearsal.scenario, &mut world, None, Some(&mut seen));
        world.finish_capture().expect("a whole capture");
        let capture = fs::read(&path).expect("the capture");
        let said: Vec<_> = arps(&capture).into_iter().filter(|arp| arp.spa == arp.tpa).collect();
        assert!(!said.is_empty(), "{row}");
        for arp in said {
            assert_eq!(arp.operation, ArpOperation::Request, "{row}");
            assert_eq!(arp.tha, target, "{row} {profile:?}");
        }
        // The client takes the address over from it, whatever the target is.
        let entry = seen.iter().rev().find_map(|seen| match seen.seen {
            Seen::Neighbour { address: VIP, points_to, .. } if seen.host == CLIENT => points_to,
            _ => None,
        });
        assert_eq!(entry, Some(A), "{row} {profile:?}");
    }
}
