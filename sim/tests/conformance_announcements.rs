//! How a master announces its addresses, octet by octet as it crosses the link: gratuitous ARP and
//! unsolicited neighbour advertisements, one row of `requirements.toml` a case.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;
mod rehearsal;

use std::time::Duration;

use driver::*;
use rehearsal::wire::*;
use rehearsal::*;
use vipd_engine::config::{Announcements, VirtualAddress, VirtualMac};
use vipd_engine::{Family, InstanceConfig, InterfaceName, Profile, Rules, StateKind};
use vipd_scenarios::record::Seen;

const VIRTUAL_MAC_4: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];
const VIRTUAL_MAC_6: [u8; 6] = [0, 0, 0x5e, 0, 2, 51];
const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// The virtual addresses of `v6()`.
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
const UNIQUE_LOCAL: [u8; 16] = [0xfd, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];

/// Places of an ARP packet: what is before the addresses, the sender's and the target's.
const SHA: usize = ARP + 8;
const SPA: usize = ARP + 14;
const TPA: usize = ARP + 24;

fn with_virtual_mac(config: &InstanceConfig) -> InstanceConfig {
    let interface = InterfaceName::new("vrrp");
    let virtual_mac = Some(VirtualMac { interface, transmit_from_parent: false });
    InstanceConfig { virtual_mac, ..config.clone() }
}

fn capture(config: InstanceConfig, until: &str, steps: &str) -> Capture {
    Rehearsal::alone(config, until, steps).capture().1
}

fn addresses(list: &[&str]) -> Vec<VirtualAddress> {
    list.iter().map(|address| VirtualAddress::new(ip(address))).collect()
}

/// Without the cases of keepalived's rules.
fn rfcs_only(
    mut cases: Vec<(&'static str, InstanceConfig)>,
) -> Vec<(&'static str, InstanceConfig)> {
    cases.retain(|(_, config)| config.rules.profile != Profile::DropIn);
    cases
}

/// An IPv6 address under every profile. Under RFC 3768, which knows no IPv6, it is one that a
/// router of VRRPv2 holds besides those in its adverts.
fn over_ipv6_under_every_profile(row: &'static str) -> Vec<(&'static str, InstanceConfig)> {
    let mut cases = under_each_profile(row, &v6());
    let excluded = addresses(&["fe80::10", "fd00:99::10"]);
    let rules = Rules::of(Profile::Rfc3768);
    cases.push((row, InstanceConfig { rules, excluded, ..v2() }));
    cases
}

#[test]
fn a_gratuitous_arp_is_a_broadcast_request_for_the_address_itself() {
    let vip: &[u8] = &[10, 0, 0, 100];
    let request: &[Place<'_>] = &[
        (ETHERNET_DST, &BROADCAST),
        (ETHERTYPE, &[0x08, 0x06]),
        (ARP, &[0, 1, 0x08, 0, 6, 4, 0, 1]),
        (SHA, &VIRTUAL_MAC_4),
        (SPA, vip),
        (TPA, vip),
    ];
    let mut cases = Vec::new();
    for (row, config) in rfcs_only(both("GARP-826-FMT", "GARP-826-FMT")) {
        cases.push((row, config, request));
    }
    for (row, config) in both("GARP-ETHSRC", "GARP-ETHSRC") {
        cases.push((row, config, &[(ETHERNET_SRC, &VIRTUAL_MAC_4)]));
    }
    for (row, config, places) in cases {
        let capture = capture(with_virtual_mac(&config), "12s", "");
        let broadcasts = capture.sent_to("a", BROADCAST);
        // Five at the transition and five after `garp_master_delay`.
        assert_eq!(broadcasts.len(), 10, "{row}");
        assert_octets(row, &broadcasts, places);
    }
}

/// The sender protocol addresses of the gratuitous ARPs of one time.
fn announced_at(capture: &Capture, at: u64) -> Vec<Vec<u8>> {
    let announced = capture.gratuitous_arps("a").into_iter().filter(|frame| frame.at == at);
    let mut spa: Vec<_> = announced.map(|frame| frame.octets[SPA..SPA + 4].to_vec()).collect();
    spa.sort();
    spa.dedup();
    spa
}

#[test]
fn each_address_is_announced_at_each_transition() {
    let addresses = addresses(&["10.0.0.100", "10.0.0.101", "10.0.0.102"]);
    for (row, config) in both("GARP-ALL", "GARP-ALL") {
        let config = InstanceConfig { addresses: addresses.clone(), ..config };
        let text = scenario("30s", &["lan"])
            + &host("a", Some(1), &[("lan", "10.0.0.1/24")])
            + &host("b", Some(2), &[("lan", "10.0.0.2/24")])
            + "started = false\n"
            + &step("6s", "start = \"b\"")
            + &step("20s", "kill = \"b\"");
        let better = InstanceConfig { priority: priority(200), ..config.clone() };
        let files = [(A, 1, rehearsal::config(config)), (B, 2, rehearsal::config(better))];
        let (played, capture) = Rehearsal::with_files(&text, files).capture();
        let times = played.entered(A, StateKind::Master);
        let last_of_b = capture.adverts("b").last().map(|frame| frame.at).expect("an advert");
        assert_eq!(times, [DOWN, last_of_b + DELAY + DOWN], "{row}");
        for time in times {
            let expected = [[10, 0, 0, 100], [10, 0, 0, 101], [10, 0, 0, 102]];
            assert_eq!(announced_at(&capture, time), expected, "{row}");
        }
    }
}

#[test]
fn number_delay_and_interval_of_gratuitous_arps_are_configured() {
    let announcements = Announcements {
        delay: Duration::from_secs(2),
        repeat: 3,
        refresh: Some(Duration::from_secs(7)),
        refresh_repeat: 2,
        ..Announcements::default()
    };
    for (row, config) in both("GARP-COUNT", "GARP-COUNT") {
        let capture = capture(InstanceConfig { announcements, ..config }, "18s", "");
        let times: Vec<_> = capture.gratuitous_arps("a").iter().map(|frame| frame.at).collect();
        let mut expected = vec![DOWN; 3];
        expected.extend([DOWN + 2 * SECOND; 3]);
        expected.extend([DOWN + 7 * SECOND; 2]);
        expected.extend([DOWN + 14 * SECOND; 2]);
        assert_eq!(times, expected, "{row}");
    }
}

#[test]
fn an_address_that_a_master_is_given_is_announced_at_once() {
    for (row, config) in both("ARP-8.1.2-CFG", "ARP-8.1.2-CFG") {
        let addresses = addresses(&["10.0.0.100", "10.0.0.101"]);
        let changed = InstanceConfig { addresses, ..config.clone() };
        let text = scenario("20s", &["lan"])
            + &host("a", Some(1), &[("lan", OWN)])
            + &host("witness", None, &[("lan", "10.0.0.9/24")])
            + &step("15s", "reload = \"a\"\nconfig = \"seed/director-2.conf\"");
        let files = [(A, 1, rehearsal::config(config)), (A, 2, rehearsal::config(changed))];
        let (_, capture) = Rehearsal::with_files(&text, files).capture();
        let new = capture.gratuitous_arps("a").into_iter();
        let mut new = new.filter(|frame| frame.octets[SPA..SPA + 4] == [10, 0, 0, 101]);
        assert_eq!(new.next().map(|frame| frame.at), Some(15 * SECOND), "{row}");
    }
}

/// When the kernel of `a` had this address.
fn given(played: &Played, given: &str) -> Vec<u64> {
    played.times(|seen| {
        let Seen::Address { address, present: true } = seen.seen else { return false };
        seen.host == A && address == ip(given)
    })
}

/// Type 136 and code 0, the flags R and O, and the option of the virtual router's MAC.
fn unsolicited(target: &[u8; 16]) -> Vec<Place<'_>> {
    vec![
        (ETHERNET_DST, &ALL_NODES_MAC),
        (IPV6_NEXT, &[58]),
        (IPV6_HOPS, &[255]),
        (IPV6_DST, &ALL_NODES),
        (IPV6_PAYLOAD, &[136, 0]),
        (IPV6_PAYLOAD + 4, &[0xa0, 0, 0, 0]),
        (IPV6_PAYLOAD + 8, target),
        (IPV6_PAYLOAD + 24, &[2, 1, 0, 0, 0x5e, 0, 2, 51]),
    ]
}

#[test]
fn an_unsolicited_neighbour_advertisement_has_the_flags_and_the_option_that_the_rfc_asks_for() {
    for (row, config) in rfcs_only(under_each_profile("ND-UNA-FMT", &v6())) {
        let capture = capture(with_virtual_mac(&config), "12s", "");
        let frames = capture.sent_to("a", ALL_NODES_MAC);
        // Of each address one at the transition and one after `garp_master_delay`.
        assert_eq!(frames.len(), 4, "{row}");
        for (frame, target) in frames.into_iter().zip([LINK_LOCAL, UNIQUE_LOCAL].iter().cycle()) {
            assert_octets(row, &[frame], &unsolicited(target));
            assert_eq!(frame.message().len(), 32, "{row}");
            assert_eq!(frame.sum_with_pseudo_header(ICMPV6), 0xffff, "{row}");
        }
    }
}

/// V3-6.4.1-OWNER6
#[test]
fn an_owner_advertises_and_announces_each_ipv6_address_once_at_its_startup() {
    for (row, config) in rfcs_only(under_each_profile("V3-6.4.1-OWNER6", &v6())) {
        let config = InstanceConfig { priority: priority(255), ..config };
        let capture = capture(with_virtual_mac(&config), "4s", "");
        let at_start: Vec<_> = capture.sent_by("a").into_iter().filter(|it| it.at == 0).collect();
        assert_eq!(at_start.len(), 3, "{row}: an advert and two addresses");
        let mac: Place<'_> = (ETHERNET_SRC, &VIRTUAL_MAC_6);
        let advert: &[Place<'_>] = &[mac, (ETHERNET_DST, &GROUP_6), (IPV6_NEXT, &[112])];
        assert_octets(row, &at_start[..1], advert);
        assert_eq!(at_start[0].message()[2], 255, "{row}");
        assert_octets(row, &at_start[1..2], &unsolicited(&LINK_LOCAL));
        assert_octets(row, &at_start[2..], &unsolicited(&UNIQUE_LOCAL));
        assert_octets(row, &at_start[1..], &[mac]);
        let later: Vec<_> = capture.adverts("a").iter().map(|frame| frame.at).collect();
        assert_eq!(later, [0, 1, 2, 3, 4].map(|count| count * SECOND), "{row}");
    }
}

/// V3-6.4.2-TIMER6: joining the solicited-node group is what a kernel does when it is given the
/// address; the model kernel takes in every group. What is seen is that it has the address.
#[test]
fn when_its_timer_fires_a_backup_advertises_and_announces_each_ipv6_address() {
    for (_, config) in under_each_profile("", &v6()) {
        let (played, capture) = Rehearsal::alone(config, "6s", "").capture();
        let sent = capture.sent_by("a");
        assert_eq!(sent[0].at, DOWN);
        assert_octets("", &sent[..1], &[(ETHERNET_DST, &GROUP_6), (IPV6_NEXT, &[112])]);
        let announced = capture.neighbour_advertisements("a").into_iter();
        let announced = announced.filter(|frame| frame.at == DOWN);
        let mut targets: Vec<_> = announced.map(|frame| frame.target().to_vec()).collect();
        targets.sort();
        targets.dedup();
        assert_eq!(targets, [UNIQUE_LOCAL, LINK_LOCAL]);
        for address in ["fe80::10", "fd00:99::10"] {
            assert_eq!(given(&played, address), [DOWN]);
        }
    }
}

/// ND-UNA-SRC
#[test]
fn a_neighbour_advertisement_comes_from_the_address_that_it_advertises() {
    for (row, config) in over_ipv6_under_every_profile("ND-UNA-SRC") {
        let capture = capture(config, "12s", "");
        let mut targets = Vec::new();
        for frame in capture.neighbour_advertisements("a") {
            assert_eq!(&frame.octets[IPV6_SRC..IPV6_DST], frame.target(), "{row}");
            targets.push(frame.target().to_vec());
        }
        targets.sort();
        targets.dedup();
        assert_eq!(targets, [UNIQUE_LOCAL, LINK_LOCAL], "{row}");
    }
}

/// ND-UNA-RATE
#[test]
fn neighbour_advertisements_of_one_address_are_a_second_apart_under_the_rfcs() {
    // It is told to announce again and again: by lower routers, and by reloads.
    let lower = "inject = \"lan\"\nsrc = \"fe80::1\"\nvrid = 51\npriority = 50\n\
                 addresses = [\"fe80::10\", \"fd00:99::10\"]\ncount = 40\nevery = \"50ms\"";
    let reload = |number| format!("reload = \"a\"\nconfig = \"seed/director-{number}.conf\"");
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let config = InstanceConfig { rules: Rules::of(profile), ..v6() };
        let addresses = addresses(&["fe80::10", "fd00:99::10", "fd00:99::11"]);
        let changed = InstanceConfig { addresses, ..config.clone() };
        let text = scenario("200s", &["lan"])
            + &host("a", Some(1), &[("lan", OWN)])
            + &host("witness", None, &[("lan", "10.0.0.9/24")])
            + &step("3500ms", lower)
            + &step("20s", &reload(2))
            + &step("20300ms", &reload(1))
            + &step("20600ms", &reload(2))
            + &step("150s", lower);
        let files = [(A, 1, rehearsal::config(config)), (A, 2, rehearsal::config(changed))];
        let (_, capture) = Rehearsal::with_files(&text, files).capture();
        for target in [LINK_LOCAL, UNIQUE_LOCAL] {
            let own = capture.neighbour_advertisements("a").into_iter();
            let own = own.filter(|frame| frame.target() == target);
            let times: Vec<_> = own.map(|frame| frame.at).collect();
            assert_eq!(times.first(), Some(&DOWN));
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SECOND), "{times:?}");
            // Those of the transition, before the refresh each 60 s.
            let first = times.iter().filter(|at| **at < DOWN + 10 * SECOND).count();
            assert!((2..=3).contains(&first), "{times:?}");
        }
    }
}

/// ND-DELAY
#[test]
fn an_address_is_announced_once_the_machine_has_it_and_its_mac_and_not_before() {
    // Commands take 700 ms from now on: one for the address, and one before it for its filter, for
    // the macvlan, or for both.
    let late = step("2s", "kernel_late = \"a\"\nby = \"700ms\"");
    let each = 700_000_000;
    for (row, config) in over_ipv6_under_every_profile("ND-DELAY") {
        let alone = if config.rules.accept { DOWN + each } else { DOWN + 2 * each };
        let mac = match config.family {
            Family::Ipv4 => VIRTUAL_MAC_4,
            Family::Ipv6 => VIRTUAL_MAC_6,
        };
        let cases = [
            (config.clone(), alone, [0x02, 0, 0, 0, 0, 0]),
            (with_virtual_mac(&config), DOWN + 2 * each, mac),
        ];
        for (config, ready, mac) in cases {
            let (played, capture) = Rehearsal::alone(config, "12s", &late).capture();
            assert_eq!(played.entered(A, StateKind::Master), [DOWN], "{row}");
            for (target, address) in [(LINK_LOCAL, "fe80::10"), (UNIQUE_LOCAL, "fd00:99::10")] {
                assert_eq!(given(&played, address), [ready], "{row}: {address}");
                let announced = capture.neighbour_advertisements("a").into_iter();
                let announced: Vec<_> = announced.filter(|it| it.target() == target).collect();
                assert_eq!(announced[0].at, ready, "{row}: {address}");
                let option: Place<'_> = (IPV6_PAYLOAD + 26, &mac);
                assert_octets(row, &announced, &[(ETHERNET_SRC, &mac), option]);
            }
        }
    }
}
