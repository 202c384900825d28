//! What the adverts of a router say, octet by octet as they cross the link: one row of
//! `requirements.toml` a case. The headers around them are in `conformance_frames`.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;
mod rehearsal;

use std::time::Duration;

use driver::*;
use rehearsal::wire::*;
use rehearsal::*;
use vipd_engine::config::{ConfigRule, Track, Tracked, VirtualAddress, Weight};
use vipd_engine::{
    Config, InstanceConfig, Interval, Password, Priority, Profile, Rules, StateKind, TrackerName,
    Version,
};
use vipd_scenarios::record::Seen;

fn capture(config: InstanceConfig, until: &str, steps: &str) -> Capture {
    Rehearsal::alone(config, until, steps).capture().1
}

/// The messages of an owner, which is master from the start, and the resignation.
fn messages(config: &InstanceConfig) -> Vec<Vec<u8>> {
    let config = InstanceConfig { priority: priority(255), ..config.clone() };
    let capture = capture(config, "10s", &step("9500ms", "stop = \"a\""));
    capture.adverts("a").iter().map(|frame| frame.message().to_vec()).collect()
}

fn addresses(list: &[&str]) -> Vec<VirtualAddress> {
    list.iter().map(|address| VirtualAddress::new(ip(address))).collect()
}

fn rules_broken(config: InstanceConfig) -> Vec<ConfigRule> {
    match Config::new(vec![config], vec![], Duration::ZERO) {
        Ok(_) => vec![],
        Err(errors) => errors.into_iter().map(|error| error.rule).collect(),
    }
}

#[test]
fn the_fixed_fields_are_the_configured_ones() {
    let pass = InstanceConfig { password: Password::new(b"s3cr3t").ok(), ..v2() };
    let list = InstanceConfig { addresses: addresses(&["10.0.0.102", "10.0.0.100"]), ..v2() };
    let rows: Vec<(&str, InstanceConfig, usize, &[u8])> = vec![
        ("V2-5.3.6-AUTHTX", v2(), 4, &[0]),
        ("AUTH-2338-TYPES", v2(), 4, &[0]),
        ("AUTH-2338-TYPES", pass, 4, &[1]),
        ("V2-5.3.9-ADDRS", list, 8, &[10, 0, 0, 102, 10, 0, 0, 100]),
    ];
    for (row, config, offset, octets) in rows {
        for (row, config) in under_each_profile(row, &config) {
            let messages = messages(&config);
            assert_eq!(messages.len(), 11, "{row}");
            for message in messages {
                assert_eq!(&message[offset..offset + octets.len()], octets, "{row}");
            }
        }
    }
}

#[test]
fn the_interval_is_the_one_that_is_said_and_kept() {
    let slow = |seconds| {
        let interval = Interval::from_seconds(seconds).unwrap();
        InstanceConfig { interval, rules: Rules::of(Profile::Rfc3768), ..v2() }
    };
    let default = InstanceConfig { version: Version::V3, ..v2() };
    let rows = [
        ("V2-5.3.7-INTTX", slow(1), [0, 1], 1_000_000_000),
        ("V2-5.3.7-INTTX", slow(255), [0, 255], 255_000_000_000),
        ("V3-5.2.6-RSVDTX", v3(1), [0x00, 0x01], 10_000_000),
        ("V3-5.2.6-RSVDTX", v3(100), [0x00, 0x64], 1_000_000_000),
        ("V3-5.2.6-RSVDTX", v3(4095), [0x0f, 0xff], 40_950_000_000),
        ("V3-5.2.7-INT", default, [0x00, 0x64], 1_000_000_000),
        ("V3-5.2.7-INT", v3(10), [0x00, 0x0a], 100_000_000),
        ("V3-5.2.7-INT", v3(1), [0x00, 0x01], 10_000_000),
        ("V3-5.2.7-INT", v3(4095), [0x0f, 0xff], 40_950_000_000),
    ];
    for (row, config, octets, nanoseconds) in rows {
        for (row, config) in under_each_profile(row, &config) {
            if row == "V2-5.3.7-INTTX" && config.rules.profile == Profile::DropIn {
                continue;
            }
            let config = InstanceConfig { priority: priority(255), ..config };
            // Four adverts: at the start, and at three intervals.
            let until = format!("{}ns", nanoseconds * 3);
            let capture = capture(config, &until, "");
            let sent: Vec<_> = capture.adverts("a");
            let times: Vec<_> = sent.iter().map(|frame| frame.at).collect();
            assert_eq!(times, [0, 1, 2, 3].map(|count| count * nanoseconds), "{row}");
            assert!(sent.iter().all(|frame| frame.message()[4..6] == octets), "{row}");
        }
    }
    let half = InstanceConfig { interval: Interval::from_centiseconds(50).unwrap(), ..v2() };
    assert_eq!(rules_broken(half), [ConfigRule::IntervalDoesNotFit(Version::V2)]);
}

#[test]
fn who_owns_the_addresses_says_255() {
    for (row, config) in both("V2-5.3.4-PRI255", "V3-5.2.4-PRI255") {
        // Its virtual address is the one of its interface.
        let text = scenario("10s", &["lan"])
            + &host("a", Some(1), &[("lan", "10.0.0.100/24")])
            + &host("witness", None, &[("lan", "10.0.0.9/24")])
            + &step("9500ms", "stop = \"a\"");
        let config = rehearsal::config(InstanceConfig { priority: priority(255), ..config });
        let (played, capture) = Rehearsal::with_files(&text, [(A, 1, config)]).capture();
        let sent = capture.adverts("a");
        let (resignation, periodic) = sent.split_last().expect("adverts");
        assert_eq!(resignation.message()[2], 0, "{row}");
        let expected: Vec<_> = (0..10).map(|count| (count * SECOND, 255)).collect();
        let said = periodic.iter().map(|frame| (frame.at, frame.message()[2]));
        assert_eq!(said.collect::<Vec<_>>(), expected, "{row}");
        assert_octets(row, &sent, &[(IPV4_SRC, &[10, 0, 0, 100])]);
        assert_eq!(played.entered(A, StateKind::Master), [0], "{row}");
    }
}

/// A tracker adds `weight` to the priority; it is good at first, and bad from 6 s.
fn tracked(config: &InstanceConfig, own: i64, weight: i16) -> InstanceConfig {
    let weight = Weight { value: weight, reverse: false };
    let track = Track { tracked: Tracked::Tracker(TrackerName::new("check")), weight };
    InstanceConfig { priority: priority(own), tracks: vec![track], ..config.clone() }
}

#[test]
fn a_router_that_is_not_the_owner_says_1_to_254() {
    let fails = step("6s", "tracker = \"a\"\nname = \"check\"\nvalue = \"down\"");
    for (row, config) in both("V2-5.3.4-PRI1-254", "V3-5.2.4-PRI1-254") {
        let cases = [
            (config.clone(), 100, 100),
            (tracked(&config, 10, -100), 10, 1),
            (tracked(&config, 250, 100), 254, 250),
            (tracked(&config, 254, 1), 254, 254),
        ];
        for (config, before, after) in cases {
            let capture = capture(config, "12s", &fails);
            let said = capture.adverts("a").into_iter();
            let said: Vec<_> = said.map(|frame| (frame.at, frame.message()[2])).collect();
            assert!(said.len() >= 8, "{row}: {said:?}");
            for (at, own) in said {
                assert_eq!(own, if at < 6 * SECOND { before } else { after }, "{row}: {at}");
            }
        }
        assert!(Priority::new(0).is_err() && Priority::new(256).is_err(), "{row}");
    }
}

fn many(count: usize, over_ipv6: bool) -> Vec<VirtualAddress> {
    let address = |n: usize| match over_ipv6 {
        true => format!("fe80::1:{n:x}"),
        false => format!("10.1.{}.{}", n / 256, n % 256),
    };
    (1..=count).map(|n| VirtualAddress::new(ip(&address(n)))).collect()
}

#[test]
fn the_count_and_the_length_are_those_of_the_list() {
    // A count, the octets of an address, and those around the list.
    let rows: [(&str, InstanceConfig, &[usize], usize, usize); 3] = [
        ("V2-5.3.5-COUNT", v2(), &[1, 2, 20, 255], 4, 8 + 8),
        ("V3-5.2.5-COUNT", v3(100), &[1, 3, 255], 4, 8),
        // 90 are what a link with an MTU of 1500 carries.
        ("V3-5.2.5-COUNT", v6(), &[1, 3, 90], 16, 8),
    ];
    for (row, config, counts, each, around) in rows {
        for (row, config) in under_each_profile(row, &config) {
            for count in counts {
                let addresses = many(*count, each == 16);
                let messages = messages(&InstanceConfig { addresses, ..config.clone() });
                assert_eq!(messages.len(), 11, "{row}");
                for message in messages {
                    let expected = (*count as u8, around + each * count);
                    assert_eq!((message[3], message.len()), expected, "{row}");
                }
            }
        }
    }
}

#[test]
fn the_list_is_of_one_family_in_its_order_and_the_last_thing_of_a_v3_message() {
    let over_ipv4 = addresses(&["10.0.0.103", "10.0.0.101", "10.0.0.102"]);
    let over_ipv6 = addresses(&["fe80::12", "fe80::10", "fd00:99::11"]);
    let octets_4 = [10, 0, 0, 103, 10, 0, 0, 101, 10, 0, 0, 102];
    let mut octets_6 = [0; 48];
    (octets_6[0], octets_6[1], octets_6[15]) = (0xfe, 0x80, 0x12);
    (octets_6[16], octets_6[17], octets_6[31]) = (0xfe, 0x80, 0x10);
    (octets_6[32], octets_6[35], octets_6[47]) = (0xfd, 0x99, 0x11);
    for row in ["V3-5.2.9-ADDRS", "V3-NOAUTH"] {
        let config = InstanceConfig { addresses: over_ipv4.clone(), ..v3(100) };
        for (row, config) in under_each_profile(row, &config) {
            assert!(messages(&config).iter().all(|message| message[8..] == octets_4), "{row}");
        }
        let config = InstanceConfig { addresses: over_ipv6.clone(), ..v6() };
        for (row, config) in under_each_profile(row, &config) {
            assert!(messages(&config).iter().all(|message| message[8..] == octets_6), "{row}");
        }
    }
}

#[test]
fn the_first_ipv6_address_is_link_local_under_the_rfcs() {
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let row = "V3-5.2.9-LLFIRST";
        let mut config = InstanceConfig { rules: Rules::of(profile), ..v6() };
        for message in messages(&config) {
            let first = u16::from_be_bytes([message[8], message[9]]);
            assert_eq!(first & 0xffc0, 0xfe80, "{row}");
        }
        config.addresses.reverse();
        let broken = [ConfigRule::FirstAddressNotLinkLocal(ip("fd00:99::10"))];
        assert_eq!(rules_broken(config), broken, "{row}");
    }
}

#[test]
fn a_password_is_zero_filled_in_the_last_eight_octets() {
    let texts: [(&[u8], [u8; 8]); 2] = [(b"s3cr3t", *b"s3cr3t\0\0"), (b"12345678", *b"12345678")];
    for (text, octets) in texts {
        let row = "AUTH-2338-PASSTX";
        let config = InstanceConfig { password: Password::new(text).ok(), ..v2() };
        let capture = capture(config, "10s", "");
        let sent = capture.adverts("a");
        assert_eq!(sent.len(), 7, "{row}");
        for frame in sent {
            assert_eq!(frame.message()[12..], octets, "{row}");
            assert_eq!(frame.sum(), 0xffff, "{row}: the checksum covers them");
        }
    }
}

/// What the engine of `a` dropped, and when it took over.
fn dropped(played: &Played) -> (Vec<&'static str>, Vec<u64>) {
    let reasons = played.seen.iter().filter_map(|seen| match seen.seen {
        Seen::Dropped(reason) if seen.host == A => Some(reason),
        _ => None,
    });
    (reasons.collect(), played.entered(A, StateKind::Master))
}

/// Somebody with priority 200 says wrong checksums, 8 times from 100 ms on.
fn wrong_checksum(src: &str, addresses: &str, error: u16) -> String {
    let rest = format!("count = 8\nevery = \"400ms\"\nchecksum_error = {error}");
    step(
        "100ms",
        &format!(
            "inject = \"lan\"\nsrc = \"{src}\"\nvrid = 51\npriority = 200\n\
             addresses = {addresses}\n{rest}"
        ),
    )
}

/// V2-5.3.8-CSUM
#[test]
fn a_v2_message_sums_to_ffff_without_a_pseudo_header() {
    let twenty = InstanceConfig { addresses: many(20, false), ..v2() };
    let pass = InstanceConfig { password: Password::new(b"s3cr3t").ok(), ..v2() };
    for config in [v2(), twenty, pass] {
        for (_, config) in under_each_profile("", &config) {
            let capture = capture(config, "12s", &step("10s", "stop = \"a\""));
            assert_eq!(capture.adverts("a").len(), 8);
            for frame in capture.adverts("a") {
                assert_eq!(frame.sum(), 0xffff);
                assert_ne!(frame.sum_with_pseudo_header(VRRP), 0xffff);
            }
        }
    }
    // 2133 c801 0001 0000 0a00 0064 sum to f399: the checksum is 0c66. The pseudo-header 0a00 0001
    // e000 0012 0070 0014 adds ea97: with it the checksum would be 21ce.
    let wrong = wrong_checksum("10.0.0.1", "\"10.0.0.100\"", 0x21ce - 0x0c66);
    for (_, config) in under_each_profile("", &v2()) {
        let (played, capture) = Rehearsal::alone(config, "10s", &wrong).capture();
        for frame in capture.sent_by("injected into lan") {
            assert_eq!(frame.sum_with_pseudo_header(VRRP), 0xffff);
        }
        assert_eq!(dropped(&played), (vec!["checksum"; 8], vec![DOWN]));
    }
}

/// V3-5.2.8-CSUM6
#[test]
fn an_ipv6_message_sums_to_ffff_with_the_pseudo_header_of_rfc_8200() {
    for (_, config) in under_each_profile("", &v6()) {
        let capture = capture(config, "12s", &step("10s", "stop = \"a\""));
        assert_eq!(capture.adverts("a").len(), 8);
        for frame in capture.adverts("a") {
            assert_eq!(frame.sum_with_pseudo_header(VRRP), 0xffff);
            assert_ne!(frame.sum(), 0xffff);
        }
    }
    // 3133 c802 0064 fe80 0010 fd00 0099 0010 sum to f5d4, with the pseudo-header fe80 0001 ff02
    // 0012 0028 0070 to f403, and with a next header of 58 instead of 112 to f3cd.
    let right = !0xf403_u16;
    let wrongs = [(!0xf5d4, None), (!0xf3cd, Some(ICMPV6))];
    let list = "[\"fe80::10\", \"fd00:99::10\"]";
    for (wrong, of) in wrongs {
        let wrong = wrong_checksum("fe80::1", list, u16::wrapping_sub(wrong, right));
        for (_, config) in under_each_profile("", &v6()) {
            let (played, capture) = Rehearsal::alone(config, "10s", &wrong).capture();
            for frame in capture.sent_by("injected into lan") {
                let sum = of.map_or(frame.sum(), |next| frame.sum_with_pseudo_header(next));
                assert_eq!(sum, 0xffff);
            }
            assert_eq!(dropped(&played), (vec!["checksum"; 8], vec![DOWN]));
        }
    }
}

/// Priority 150 for 10.99.0.10 of VRID 51, from 10.99.0.1 to the group, until it resigns.
fn director(config: InstanceConfig) -> Vec<Vec<u8>> {
    let text = scenario("10s", &["lan"])
        + &host("a", Some(1), &[("lan", "10.99.0.1/24")])
        + &host("witness", None, &[("lan", "10.99.0.9/24")])
        + &step("6s", "stop = \"a\"");
    let addresses = addresses(&["10.99.0.10"]);
    let config = InstanceConfig { priority: priority(150), addresses, ..config };
    let files = [(A, 1, rehearsal::config(config))];
    let (_, capture) = Rehearsal::with_files(&text, files).capture();
    capture.adverts("a").iter().map(|frame| frame.message()[..8].to_vec()).collect()
}

#[test]
fn every_advert_has_its_checksum_the_last_one_too() {
    // Under 9568 without the pseudo-header: 3133 9601 0064 0a63 000a sum to d205. Without it the
    // priority 0 one is 9600 more, and with it too: 3133 0001 0064 0a63 000a and eaf2.
    let pseudo = (0x4307_u16, 0xd907);
    let rows = [
        ("V2-7.2-CSUM", v2(), Profile::DropIn, (0x3e5d, 0xd45d)),
        ("V2-7.2-CSUM", v2(), Profile::Rfc3768, (0x3e5d, 0xd45d)),
        ("V3-7.2-CSUM", v3(100), Profile::DropIn, pseudo),
        ("V3-7.2-CSUM", v3(100), Profile::Rfc5798, pseudo),
        ("V3-7.2-CSUM", v3(100), Profile::Rfc9568, (0x2dfa, 0xc3fa)),
    ];
    for (row, config, profile, (periodic, last)) in rows {
        let sent = director(InstanceConfig { rules: Rules::of(profile), ..config });
        let said = sent.iter().map(|it| (it[2], u16::from_be_bytes([it[6], it[7]])));
        let expected = [(150, periodic), (150, periodic), (150, periodic), (0, last)];
        assert_eq!(said.collect::<Vec<_>>(), expected, "{row}");
    }
}

#[test]
fn a_change_of_the_configuration_stands_in_the_next_advert() {
    for (row, config) in both("V2-7.2-FILL", "V3-7.2-FILL") {
        let text = scenario("12s", &["lan"])
            + &host("a", Some(1), &[("lan", OWN)])
            + &host("witness", None, &[("lan", "10.0.0.9/24")])
            + &step("6s", "reload = \"a\"\nconfig = \"seed/director-2.conf\"");
        let addresses = addresses(&["10.0.0.100", "10.0.0.101"]);
        let changed = InstanceConfig { priority: priority(77), addresses, ..config.clone() };
        let files = [(A, 1, rehearsal::config(config)), (A, 2, rehearsal::config(changed))];
        let (_, capture) = Rehearsal::with_files(&text, files).capture();
        let (mut before, mut after) = (0, 0);
        for frame in capture.adverts("a") {
            let message = frame.message();
            if frame.at < 6 * SECOND {
                assert_eq!((message[2], message[3]), (100, 1), "{row}");
                before += 1;
            } else {
                assert_eq!((message[2], message[3]), (77, 2), "{row}");
                assert_eq!(message[8..16], [10, 0, 0, 100, 10, 0, 0, 101], "{row}");
                after += 1;
            }
        }
        assert!(before == 3 && after >= 6, "{row}");
    }
}

/// `b` is master with priority 99 when `a`, which is told nothing but its address, begins at 10 s.
fn beginner(config: InstanceConfig) -> (Played, Capture) {
    let second = InstanceConfig { priority: priority(99), ..config.clone() };
    let text = scenario("20s", &["lan"])
        + &host("a", Some(1), &[("lan", "10.0.0.1/24 fe80::1/64")])
        + "started = false\n"
        + &host("b", Some(2), &[("lan", "10.0.0.2/24 fe80::2/64")])
        + &host("client", None, &[("lan", "10.0.0.9/24 fe80::9/64")])
        + &format!(
            "probe = {{ address = \"{}\", every = \"100ms\" }}\n",
            config.addresses[0].address
        )
        + &step("10s", "start = \"a\"");
    let files = [(A, 1, rehearsal::config(config)), (B, 2, rehearsal::config(second))];
    Rehearsal::with_files(&text, files).capture()
}

#[test]
fn a_router_that_is_told_nothing_has_the_defaults_of_the_rfc() {
    let mut cases = Vec::new();
    for profile in [Profile::DropIn, Profile::Rfc3768] {
        let rules = Rules::of(profile);
        cases.push(("V2-6.1-DEF", InstanceConfig { rules, ..v2() }, [0, 1]));
    }
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let rules = Rules::of(profile);
        let over_ipv4 = InstanceConfig { version: Version::V3, rules, ..v2() };
        cases.push(("V3-6.1-DEF", over_ipv4, [0, 100]));
        cases.push(("V3-6.1-DEF", InstanceConfig { rules, ..v6() }, [0, 100]));
    }
    for (row, config, interval) in cases {
        let (played, capture) = beginner(config);
        // Preempt_Mode: what it hears from the lower one does not hold it.
        assert_eq!(played.entered(A, StateKind::Master), [10 * SECOND + DOWN], "{row}");
        let sent = capture.adverts("a");
        let times: Vec<_> = sent.iter().map(|frame| frame.at).collect();
        assert_eq!(times[0], 10 * SECOND + DOWN, "{row}");
        // The lower one may say a last word and get an answer; then it goes on each second.
        assert!(times[2..].windows(2).all(|pair| pair[1] - pair[0] == SECOND), "{row}");
        assert!(times.len() >= 7, "{row}");
        for frame in sent {
            let message = frame.message();
            assert_eq!((message[2], &message[4..6]), (100, &interval[..]), "{row}");
        }
        if row == "V3-6.1-DEF" {
            assert_not_accepted(row, &played, &capture);
        }
    }
}

/// Accept_Mode false: the client is told the MAC, asks, and nobody answers.
fn assert_not_accepted(row: &str, played: &Played, capture: &Capture) {
    let asked = played.times(|seen| matches!(seen.seen, Seen::Probe { .. }));
    assert!(asked.len() > 100, "{row}");
    assert_eq!(played.answered_by(20 * SECOND), None, "{row}");
    // Echo request and reply of ICMP and of ICMPv6.
    let is = |frame: &Frame, request: bool| match frame.protocol() {
        Some(1) => frame.message()[0] == if request { 8 } else { 0 },
        Some(ICMPV6) => frame.message()[0] == if request { 128 } else { 129 },
        _ => false,
    };
    let client = capture.sent_by("client");
    assert!(client.iter().filter(|frame| is(frame, true)).count() > 100, "{row}");
    assert!(!capture.frames.iter().any(|frame| is(frame, false)), "{row}");
}

/// V3-5.2.7-SLOWHIGH
#[test]
fn a_slow_master_of_high_priority_is_heard_at_last_and_followed_then() {
    for profile in [Profile::DropIn, Profile::Rfc5798, Profile::Rfc9568] {
        let of = |own, centiseconds| {
            let rules = Rules::of(profile);
            let config = InstanceConfig { priority: priority(own), rules, ..v3(centiseconds) };
            rehearsal::config(config)
        };
        let text = scenario("40s", &["lan"])
            + &host("a", Some(1), &[("lan", "10.0.0.1/24")])
            + &host("b", Some(2), &[("lan", "10.0.0.2/24")])
            + &step("18s", "kill = \"a\"");
        let files = [(A, 1, of(200, 400)), (B, 2, of(100, 100))];
        let (played, capture) = Rehearsal::with_files(&text, files).capture();
        let slow: Vec<_> = capture.adverts("a").iter().map(|frame| frame.at).collect();
        // (3 + 56/256) x 4 s, and 4 s later.
        let first = 12_875_000_000;
        let yields = first + DELAY;
        // Under drop-in, the last advert of `b` is answered, which begins the interval anew.
        let expected = match profile {
            Profile::DropIn => vec![first, yields + DELAY, yields + DELAY + 4 * SECOND],
            _ => vec![first, first + 4 * SECOND],
        };
        assert_eq!(slow, expected);
        assert_eq!(played.entered(B, StateKind::Backup).last(), Some(&yields));
        // (3 + 156/256) x 4 s after the last advert of the slow one: its interval was learned.
        let again = slow[slow.len() - 1] + DELAY + 14_437_500_000;
        assert_eq!(played.entered(B, StateKind::Master), [DOWN, again]);
        let fast = capture.adverts("b").into_iter().map(|frame| frame.at);
        let fast: Vec<_> = fast.filter(|at| *at != yields && *at < again).collect();
        let expected: Vec<_> = (0..10).map(|count| DOWN + count * SECOND).collect();
        assert_eq!(fast, expected);
    }
}
