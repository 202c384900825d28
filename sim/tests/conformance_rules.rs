//! What an instance's rules and books say in the simulator, one row of `requirements.toml` a case:
//! choices between the RFCs that show on the wire, and what is told of the transitions.

mod rehearsal;

use std::ops::Range;
use std::time::Duration;

use rehearsal::*;
use vipd_engine::rules::ChecksumRule;
use vipd_engine::{InstanceConfig, Priority, Profile, Rules, StateKind, Version};
use vipd_scenarios::record::{Seen, WorldTime};
use vipd_scenarios::runner;

/// Where operation and target hardware address stand in an Ethernet frame with ARP (RFC 826).
const OPERATION: Range<usize> = 20..22;
const TARGET_HARDWARE_ADDRESS: Range<usize> = 32..38;

#[test]
fn the_target_of_a_gratuitous_arp_is_the_virtual_mac_under_rfc_9568_and_no_other() {
    let virtual_mac = [0, 0, 0x5e, 0, 1, 51];
    let broadcast = [255; 6];
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
        let (played, capture) = rehearsal.capture();
        let said = capture.gratuitous_arps("a");
        assert!(!said.is_empty(), "{row}");
        for arp in said {
            assert_eq!(arp.octets[OPERATION], [0, 1], "{row}");
            assert_eq!(arp.octets[TARGET_HARDWARE_ADDRESS], target, "{row} {profile:?}");
        }
        // The client takes the address over from it, whatever the target is.
        let entry = played.seen.iter().rev().find_map(|seen| match seen.seen {
            Seen::Neighbour { address: VIP, points_to, .. } if seen.host == CLIENT => points_to,
            _ => None,
        });
        assert_eq!(entry, Some(A), "{row} {profile:?}");
    }
}

/// A router of v3 with priority 100, changed, and what is done to it.
fn alone(steps: &str, change: impl Fn(&mut InstanceConfig)) -> Rehearsal {
    Rehearsal::new(&format!("{ALONE}{steps}"), |instance| {
        instance.version = Version::V3;
        instance.password = None;
        change(instance);
    })
}

/// Somebody advertises.
fn hears(at: &str, priority: u8, rest: &str) -> String {
    let advert = "inject = \"lan\"\nsrc = \"10.0.0.1\"\nvrid = 51\nversion = 3";
    step(at, &format!("{advert}\npriority = {priority}\naddresses = \"10.0.0.100\"\n{rest}"))
}

#[test]
fn a_router_whose_master_is_heard_late_tells_of_its_flapping_once() {
    for (row, profile) in [("LOG-2.5", Profile::DropIn), ("LOG-2.5", Profile::Rfc9568)] {
        // What is injected has the checksum of RFC 5798.
        let rules = Rules { checksum_accepted: ChecksumRule::Either, ..Rules::of(profile) };
        // Each advert is heard some 90 ms after the down timer ran out.
        let late = hears("3.7s", 150, "count = 9\nevery = \"3.7s\"");
        let rehearsal = alone(&late, |instance| instance.rules = rules);
        let played = rehearsal.play();
        let heard = 3_700_000_000 + DELAY;
        assert_eq!(played.entered(A, StateKind::Master)[..2], [DOWN, heard + DOWN], "{row}");
        assert_eq!(played.entered(A, StateKind::Master).len(), 10, "{row}");
        assert_eq!(played.entered(A, StateKind::Backup)[1], heard, "{row}");
        // The third transition, 3.7001 s after the first one, and no other.
        assert_eq!(played.reported(A, "flapping"), [heard + DOWN], "{row}");
        // Heard at 5.5 s, the third transition is 5.5001 s after the first one.
        let slow = hears("5.5s", 150, "");
        let played = alone(&slow, |instance| instance.rules = rules).play();
        let third = 5_500_000_000 + DELAY + DOWN;
        assert_eq!(played.entered(A, StateKind::Master), [DOWN, third], "{row}");
        assert!(played.reported(A, "flapping").is_empty(), "{row}");
    }
}

/// The last event that the router can name at a time of the run.
fn last_event(rehearsal: &Rehearsal, at: u64) -> Option<&'static str> {
    let mut world = rehearsal.simulation(1);
    runner::run(&rehearsal.scenario, &mut world, Some(WorldTime(at)), None);
    let status = world.status(A)?;
    status.instances().next().map(|instance| instance.last_event().name())
}

/// YANG-8347-EVENT
#[test]
fn each_event_of_rfc_8347_can_be_read_from_a_router_in_the_simulator() {
    const LATE: u64 = 7 * SECOND;
    let changed = |steps: &[String], change: fn(&mut InstanceConfig), at, expected| {
        let read = last_event(&alone(&steps.concat(), change), at);
        assert_eq!(read, Some(expected), "{steps:?} at {at}");
    };
    let plain = |steps: &[String], at, expected| changed(steps, |_| (), at, expected);
    let interface = "link_down = \"a\"\ninterface = \"eth0\"";
    let address = "remove_address = \"a\"\naddress = \"10.0.0.2\"";
    plain(&[], 0, "startup");
    plain(&[], DOWN - 1, "startup");
    plain(&[], DOWN, "master-timeout");
    plain(&[hears("6s", 150, "")], LATE, "higher-priority-backup");
    plain(&[hears("1s", 50, "")], 2 * SECOND, "lower-priority-master");
    let down = step("6s", interface);
    plain(std::slice::from_ref(&down), LATE, "interface-down");
    let up = step("6.5s", &interface.replace("link_down", "link_up"));
    plain(&[down, up], LATE, "interface-up");
    plain(&[step("6s", address)], LATE, "no-primary-ip-address");
    let late = step("5s", "kernel_late = \"a\"\nby = \"10s\"");
    plain(&[late, step("6s", "stop = \"a\"")], LATE, "shutdown");
    let delay = |instance: &mut InstanceConfig| instance.preempt_delay = Duration::from_secs(5);
    let lower = [hears("1s", 50, "count = 20\nevery = \"1s\"")];
    let over = 6 * SECOND + DELAY;
    changed(&lower, delay, over - 1, "lower-priority-master");
    changed(&lower, delay, over, "preempt-hold-timeout");
    let owner = |instance: &mut InstanceConfig| instance.priority = Priority::OWNER;
    changed(&[], owner, 0, "owner-preempt");
}
