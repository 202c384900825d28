//! The headers around what a router sends, octet by octet as they cross the link: the encapsulation
//! rows of `requirements.toml`, one row a case. What the adverts say is in `conformance_adverts`.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;
mod rehearsal;

use std::sync::Arc;
use std::time::Duration;

use driver::*;
use rehearsal::wire::*;
use rehearsal::*;
use vipd_engine::config::VirtualMac;
use vipd_engine::{Config, Family, InstanceConfig, InterfaceName, Profile, StateKind};
use vipd_engine::{Rules, Vrid};

/// A router that is stopped at 10 s sent an advert each second from `DOWN`, and its resignation.
const ADVERTS: usize = 8;

fn life(config: InstanceConfig) -> Capture {
    Rehearsal::alone(config, "12s", &step("10s", "stop = \"a\"")).capture().1
}

fn group(config: &InstanceConfig) -> [u8; 6] {
    match config.family {
        Family::Ipv4 => GROUP_4,
        Family::Ipv6 => GROUP_6,
    }
}

/// The cases of RFCs alone: without keepalived's rules.
fn under_each_rfc(
    row: &'static str,
    config: &InstanceConfig,
) -> Vec<(&'static str, InstanceConfig)> {
    let mut cases = under_each_profile(row, config);
    cases.retain(|(_, config)| config.rules.profile != Profile::DropIn);
    cases
}

#[test]
fn every_frame_that_is_sent_arrives_octet_by_octet() {
    for config in [v2(), v3(100), v6()] {
        let capture = life(config);
        let sent = capture.sent_by("a").into_iter();
        let sent: Vec<_> = sent.map(|frame| (frame.at + DELAY, &frame.octets)).collect();
        let arrived = capture.frames.iter().filter(|frame| frame.host() == "witness");
        let arrived: Vec<_> = arrived.map(|frame| (frame.at, &frame.octets)).collect();
        assert_eq!(sent, arrived);
        assert_eq!(capture.adverts("a").len(), ADVERTS);
        assert!(sent.len() > ADVERTS, "and announcements");
    }
}

/// What goes to the group is all the adverts that there are, the one with priority 0 too.
fn adverts_to_group(row: &str, config: &InstanceConfig, places: &[Place<'_>]) {
    let capture = life(config.clone());
    let frames = capture.sent_to("a", group(config));
    assert_eq!(frames.len(), ADVERTS, "{row}");
    assert_octets(row, &frames, places);
    let priorities: Vec<_> = frames.iter().map(|frame| frame.message()[2]).collect();
    assert_eq!(priorities, [100, 100, 100, 100, 100, 100, 100, 0], "{row}");
    assert_eq!(capture.adverts("a").len(), ADVERTS, "{row}: and none to somebody else");
}

#[test]
fn an_advert_over_ipv4_has_the_header_that_the_rfc_asks_for() {
    // No fragment: neither "more fragments" nor an offset. Type 1 is the one there is.
    let datagram: &[Place<'_>] =
        &[(ETHERTYPE, &[0x08, 0x00]), (IP, &[0x45]), (IPV4_FRAGMENT, &[0, 0]), (IP + 20, &[0x21])];
    for (row, config) in under_each_profile("V2-5-IPENC", &v2()) {
        adverts_to_group(row, &config, datagram);
    }
    let rows: [(&str, &str, Place<'_>); 2] = [
        ("V2-5.2.3-TTLTX", "V3-5.1.1.3-TTL4TX", (IPV4_TTL, &[255])),
        ("V2-5.2.4-PROTO", "V3-5.1.1.4-PROTO4", (IPV4_PROTOCOL, &[112])),
    ];
    for (v2_row, v3_row, place) in rows {
        for (row, config) in both(v2_row, v3_row) {
            adverts_to_group(row, &config, &[place]);
        }
    }
}

/// The other half of "IP protocol 112": what a better router says behind another number.
#[test]
fn what_stands_behind_another_ip_protocol_is_no_advert() {
    let says = |protocol: u8| {
        let advert = "2133c801 00010c66 0a000064 00000000 00000000";
        let rest = format!("protocol = {protocol}\npayload = \"{advert}\"\ncount = 8");
        step("100ms", &format!("inject = \"lan\"\nsrc = \"10.0.0.1\"\nevery = \"400ms\"\n{rest}"))
    };
    for (row, config) in under_each_profile("V2-5.2.4-PROTO", &v2()) {
        for (protocol, master) in [(113, DOWN), (112, 100_000_000 + 7 * 400_000_000 + DELAY + DOWN)]
        {
            let rehearsal = Rehearsal::alone(config.clone(), "10s", &says(protocol));
            let (played, capture) = rehearsal.capture();
            assert_eq!(played.entered(A, StateKind::Master), [master], "{row}");
            let said = capture.sent_by("injected into lan");
            assert_eq!(said.len(), 8, "{row}");
            assert_octets(row, &said, &[(IPV4_PROTOCOL, &[protocol])]);
        }
    }
}

#[test]
fn an_advert_over_ipv6_has_the_header_that_the_rfc_asks_for() {
    let source: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let group: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];
    let rows: [(&str, &[Place<'_>]); 4] = [
        ("V3-5.1.2.1-SRC6", &[(IPV6_SRC, &source)]),
        ("V3-5.1.2.2-DST6", &[(ETHERNET_DST, &GROUP_6), (IPV6_DST, &group)]),
        ("V3-5.1.2.3-HLTX", &[(IPV6_HOPS, &[255])]),
        (
            "V3-5.1.2.4-NH",
            &[(ETHERTYPE, &[0x86, 0xdd]), (IPV6_NEXT, &[112]), (IPV6_PAYLOAD, &[0x31])],
        ),
    ];
    for (row, places) in rows {
        for (row, config) in under_each_profile(row, &v6()) {
            adverts_to_group(row, &config, places);
        }
    }
}

#[test]
fn without_a_link_local_address_nothing_is_sent_over_ipv6() {
    for profile in [Profile::DropIn, Profile::Rfc5798] {
        let row = "V3-5.1.2.1-SRC6-MISSING";
        let config = InstanceConfig { rules: Rules::of(profile), ..v6() };
        let removed = step("8s", "remove_address = \"a\"\naddress = \"fe80::2\"");
        let (played, capture) = Rehearsal::alone(config, "60s", &removed).capture();
        let times: Vec<_> = capture.adverts("a").iter().map(|frame| frame.at).collect();
        assert_eq!(times, [0, 1, 2, 3, 4].map(|count| DOWN + count * SECOND), "{row}");
        assert_eq!(played.entered(A, StateKind::Fault), [8 * SECOND], "{row}");
        assert_eq!(capture.sent_to("a", GROUP_6).len(), 5, "{row}");
    }
}

fn with_virtual_mac(config: &InstanceConfig, id: i64) -> InstanceConfig {
    let interface = InterfaceName::new(&format!("vrrp.{}", config.name));
    InstanceConfig {
        vrid: Vrid::new(id).unwrap(),
        virtual_mac: Some(VirtualMac { interface, transmit_from_parent: false }),
        ..config.clone()
    }
}

#[test]
fn an_advert_leaves_from_the_mac_of_the_virtual_router() {
    let rows = [
        ("V2-7.2-SMAC", v2(), 51, [0, 0, 0x5e, 0, 1, 51]),
        ("V3-7.2-SMAC", v3(100), 51, [0, 0, 0x5e, 0, 1, 51]),
        ("V3-7.2-SMAC", v6(), 51, [0, 0, 0x5e, 0, 2, 51]),
        ("V2-7.3-VMAC", v2(), 1, [0, 0, 0x5e, 0, 1, 1]),
        ("V2-7.3-VMAC", v2(), 51, [0, 0, 0x5e, 0, 1, 0x33]),
        ("V2-7.3-VMAC", v2(), 255, [0, 0, 0x5e, 0, 1, 0xff]),
        ("V3-7.3-VMAC4", v3(100), 1, [0, 0, 0x5e, 0, 1, 1]),
        ("V3-7.3-VMAC4", v3(100), 51, [0, 0, 0x5e, 0, 1, 0x33]),
        ("V3-7.3-VMAC4", v3(100), 255, [0, 0, 0x5e, 0, 1, 0xff]),
        ("V3-7.3-VMAC6", v6(), 1, [0, 0, 0x5e, 0, 2, 1]),
        ("V3-7.3-VMAC6", v6(), 255, [0, 0, 0x5e, 0, 2, 0xff]),
    ];
    for (row, config, id, mac) in rows {
        for (row, config) in under_each_rfc(row, &config) {
            adverts_to_group(row, &with_virtual_mac(&config, id), &[(ETHERNET_SRC, &mac)]);
        }
    }
}

/// Two hosts on one link, each with an instance of VRID 51 in both families.
fn in_both_families(priorities: [(i64, i64); 2], profile: Profile) -> Capture {
    let files = priorities.map(|(over_ipv4, over_ipv6)| {
        let of = |config: InstanceConfig, own| {
            let rules = Rules::of(profile);
            with_virtual_mac(&InstanceConfig { priority: priority(own), rules, ..config }, 51)
        };
        let instances = vec![of(v3(100), over_ipv4), of(v6(), over_ipv6)];
        Arc::new(Config::new(instances, vec![], Duration::ZERO).expect("a config"))
    });
    let text = scenario("20s", &["lan"])
        + &host("a", Some(1), &[("lan", "10.0.0.1/24 fe80::1/64")])
        + &host("b", Some(2), &[("lan", "10.0.0.2/24 fe80::2/64")]);
    let [a, b] = files;
    Rehearsal::with_files(&text, [(A, 1, a), (B, 2, b)]).capture().1
}

#[test]
fn one_vrid_in_two_families_is_two_macs_and_two_elections() {
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let row = "V3-7.3-VMAC6";
        let capture = in_both_families([(200, 100), (100, 200)], profile);
        // 3 s and 56/256 s after the start, and each second until 20 s.
        let times: Vec<_> = (0..17).map(|count| 3_218_750_000 + count * SECOND).collect();
        for (host, group, mac) in
            [("a", GROUP_4, [0, 0, 0x5e, 0, 1, 51]), ("b", GROUP_6, [0, 0, 0x5e, 0, 2, 51])]
        {
            let frames = capture.adverts(host);
            assert_octets(row, &frames, &[(ETHERNET_DST, &group), (ETHERNET_SRC, &mac)]);
            let sent: Vec<_> = frames.iter().map(|frame| frame.at).collect();
            assert_eq!(sent, times, "{row}");
        }
    }
}

#[test]
fn adverts_go_to_the_group_on_the_one_interface() {
    let group_4: &[Place<'_>] = &[(ETHERNET_DST, &GROUP_4), (IPV4_DST, &[224, 0, 0, 18])];
    let address = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];
    let group_6: &[Place<'_>] = &[(ETHERNET_DST, &GROUP_6), (IPV6_DST, &address)];
    let mut cases = both("V2-7.2-GROUP", "V3-7.2-GROUP");
    cases.extend(under_each_profile("V3-7.2-GROUP", &v6()));
    for (row, config) in cases {
        let text = scenario("10s", &["lan", "other"])
            + &host("a", Some(1), &[("other", "10.1.0.2/24 fe80::2/64"), ("lan", OWN)])
            + &host("witness", None, &[("lan", "10.0.0.9/24"), ("other", "10.1.0.9/24")]);
        let interface = InterfaceName::new("eth1");
        let places = if config.family == Family::Ipv4 { group_4 } else { group_6 };
        let config = rehearsal::config(InstanceConfig { interface, ..config });
        let (_, capture) = Rehearsal::with_files(&text, [(A, 1, config)]).capture();
        assert_octets(row, &capture.adverts("a"), places);
        let ports: Vec<_> = capture.adverts("a").iter().map(|frame| &*frame.port).collect();
        assert_eq!(ports, ["a/eth1"; 7], "{row}");
        let heard = capture.frames.iter().filter(|frame| frame.is_advert());
        let heard = heard.filter(|frame| frame.passage == Passage::Arrived);
        assert!(heard.map(|frame| &frame.port).eq(["witness/eth0"; 7]), "{row}");
    }
}

#[test]
fn in_initialize_nothing_is_sent_and_nothing_heard_counts() {
    for (row, config) in under_each_profile("V2-6.4.1-WAIT", &v2()) {
        // The Startup of the state machine comes 10 s after that of the process.
        let ten = Duration::from_secs(10);
        let config = Arc::new(Config::new(vec![config], vec![], ten).expect("a config"));
        let hears = |at, priority| {
            let rest = format!("vrid = 51\npriority = {priority}\naddresses = \"10.0.0.100\"");
            step(at, &format!("inject = \"lan\"\nsrc = \"10.0.0.1\"\n{rest}"))
        };
        let text = scenario("20s", &["lan"])
            + &host("a", Some(1), &[("lan", OWN)])
            + &hears("3s", 0)
            + &hears("6s", 255)
            + &hears("9900ms", 255);
        let (played, capture) = Rehearsal::with_files(&text, [(A, 1, config)]).capture();
        assert_eq!(played.entered(A, StateKind::Backup), [10 * SECOND], "{row}");
        let first = capture.sent_by("a").first().map(|frame| frame.at);
        assert_eq!(first, Some(10 * SECOND + DOWN), "{row}");
        let heard = capture.frames.iter().filter(|frame| frame.passage == Passage::Arrived);
        assert_eq!(heard.filter(|frame| frame.host() == "a").count(), 3, "{row}");
    }
}
