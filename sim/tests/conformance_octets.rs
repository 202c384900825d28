//! What a router in the simulator makes of messages whose octets somebody else chose: the vectors
//! of the engine's tests on a wire, row by row of `requirements.toml`.
//!
//! Each vector is heard once by the receiver that it supposes, a backup that started a second
//! before. What is discarded counts under its one reason and leaves the down timer of the start;
//! what counts begins that timer anew. Both times are the RFC's formulas, in `fixtures/vectors.rs`.

#[path = "../../engine/tests/fixtures/vectors.rs"]
mod fixture;
mod rehearsal;

use std::net::IpAddr;

use fixture::*;
use rehearsal::*;
use vipd_engine::rules::ChecksumRule;
use vipd_engine::vrrp::checksum;
use vipd_engine::{
    DropReason, Fault, InstanceConfig, Priority, Profile, StateKind, Timestamp, Version, Why,
};
use vipd_scenarios::record::{Observation, Seen, WorldTime};
use vipd_scenarios::scenario::{Injection, Message, Step, TimedStep};
use vipd_scenarios::world::World;
use vipd_sim::random::Random;
use vipd_sim::world::Simulation;

/// The scenario of a vector that is said `times` times, a millisecond apart, and first heard at
/// [`HEARD_AT`].
fn scenario(vector: &Vector, times: u64) -> String {
    let Vector { src, dst, ttl, ip_proto, hex_vrrp_payload, .. } = vector;
    let until = vector.down_at().max(vector.undisturbed_at()).as_nanos() + SECOND / 2;
    let said = HEARD_AT.as_nanos() - DELAY;
    format!(
        "title = \"a receiver and somebody who sends octets\"\nuntil = \"{until}ns\"\n\
         [segment.lan]\n[host.a]\nconfig = \"seed/director-1.conf\"\n\
         interfaces.eth0 = {{ segment = \"lan\", address = [\"{RECEIVER_V4}/24\", \
         \"{RECEIVER_V6}/64\"] }}\n\
         [[step]]\nat = \"{said}ns\"\ninject = \"lan\"\nsrc = \"{src}\"\ndst = \"{dst}\"\n\
         ttl = {ttl}\nprotocol = {ip_proto}\npayload = \"{hex_vrrp_payload}\"\n\
         count = {times}\nevery = \"1ms\"\n"
    )
}

fn rehearsal(vector: &Vector, config: &InstanceConfig, times: u64) -> Rehearsal {
    Rehearsal::new(&scenario(vector, times), |instance| *instance = config.clone())
}

fn hear_times(vector: &Vector, config: &InstanceConfig, times: u64) -> Played {
    rehearsal(vector, config, times).play()
}

fn hear(vector: &Vector, config: &InstanceConfig) -> Played {
    hear_times(vector, config, 1)
}

/// The reasons for which the receiver dropped something, in order, with their times.
fn dropped(played: &Played) -> Vec<(u64, &'static str)> {
    let dropped = played.seen.iter().filter_map(|seen| match seen.seen {
        Seen::Dropped(name) if seen.host == A => Some((seen.at.0, name)),
        _ => None,
    });
    dropped.collect()
}

/// What the receiver told about others.
fn told(played: &Played) -> Vec<(u64, String)> {
    let told = played.seen.iter().filter_map(|seen| match &seen.seen {
        Seen::Engine(event)
            if seen.host == A && ["mismatch", "advert-discarded"].contains(&event.news.name()) =>
        {
            Some((seen.at.0, format!("{}: {}", event.instance, event.news)))
        }
        _ => None,
    });
    told.collect()
}

fn assert_untouched(row: &str, vector: &Vector, played: &Played) {
    let name = &vector.name;
    assert_eq!(played.counters(A).received, 0, "{row}: {name}");
    assert_eq!(played.entered(A, StateKind::Backup), [0], "{row}: {name}");
    let undisturbed = vector.undisturbed_at().as_nanos();
    assert_eq!(played.entered(A, StateKind::Master), [undisturbed], "{row}: {name}");
}

fn assert_discarded(row: &str, vector: &Vector, profile: Profile, reason: DropReason) -> Played {
    let played = hear(vector, &vector.config(profile));
    assert_eq!(played.drops(A), [(reason, 1)], "{row}: {}", vector.name);
    assert_eq!(dropped(&played), [(HEARD_AT.as_nanos(), reason.name())], "{row}: {}", vector.name);
    assert_untouched(row, vector, &played);
    played
}

fn assert_processed(row: &str, vector: &Vector, config: &InstanceConfig) -> Played {
    let played = hear(vector, config);
    let name = &vector.name;
    assert_eq!((played.counters(A).received, dropped(&played)), (1, vec![]), "{row}: {name}");
    assert_eq!(played.drops(A), [], "{row}: {name}");
    let down = vector.down_at().as_nanos();
    assert_eq!(played.entered(A, StateKind::Master), [down], "{row}: {name}");
    played
}

type Row = (&'static str, Profile, &'static [&'static str], DropReason);

fn assert_rows(rows: &[Row]) {
    for (row, profile, names, reason) in rows {
        for name in *names {
            assert_discarded(row, &vector(name), *profile, *reason);
        }
    }
}

#[test]
fn a_header_that_is_not_of_this_protocol_is_discarded() {
    use DropReason::{AddressCount, Length, Trailing, Ttl, Type};
    use Profile::{DropIn, Rfc3768, Rfc5798, Rfc9568};
    assert_rows(&[
        ("V3-5.1.2.3-HLRX", Rfc5798, &["bad-v3-6-hlim-254", "bad-v3-6-hlim-1"], Ttl),
        ("V3-5.1.2.3-HLRX", Rfc9568, &["bad-v3-6-hlim-254", "bad-v3-6-hlim-1"], Ttl),
        ("V2-5.3.2-TYPE", Rfc3768, &["bad-v2-type-0", "bad-v2-type-2", "bad-v2-type-15"], Type),
        (
            "V3-5.2.2-TYPE",
            Rfc5798,
            &["bad-v3-type-0", "bad-v3-type-2", "bad-v3-type-15", "bad-v3-6-type-2"],
            Type,
        ),
        ("V3-5.2.2-TYPE", Rfc9568, &["bad-v3-6-type-2"], Type),
        ("V3-5.2.5-COUNT0RX", DropIn, &["bad-v3-count-0", "bad-v3-6-count-0"], AddressCount),
        ("V3-5.2.5-COUNT0RX", Rfc9568, &["bad-v3-6-count-0"], AddressCount),
        ("V3-5.2.9-FAMILY", Rfc5798, &["bad-v3-4-ipv6-list"], Trailing),
        ("V3-5.2.9-FAMILY", Rfc5798, &["bad-v3-6-ipv4-list"], Length),
        ("V3-7.1-LLFIRST-RX", Rfc9568, &["bad-v3-6-no-linklocal-first"], DropReason::FirstAddress),
    ]);
    // What the router sends itself has its version and the one type that there is.
    for (row, name, first) in [
        ("V2-5.3.2-TYPE", "bad-v2-type-2", 0x21),
        ("V3-5.2.2-TYPE", "bad-v3-type-2", 0x31),
        ("V3-5.2.2-TYPE", "bad-v3-6-type-2", 0x31),
    ] {
        let vector = vector(name);
        let (_, capture) = rehearsal(&vector, &vector.config(DropIn), 1).capture();
        assert!(!capture.adverts("a").is_empty(), "{row}");
        assert!(capture.adverts("a").iter().all(|frame| frame.message()[0] == first), "{row}");
    }
}

#[test]
fn a_message_that_is_not_whole_is_discarded() {
    use DropReason::{Length, Trailing};
    use Profile::{DropIn, Rfc3768, Rfc5798, Rfc9568};
    let v2: &[&str] = &[
        "bad-empty",
        "bad-len-1",
        "bad-len-7",
        "bad-v2-no-addresses",
        "bad-v2-no-authdata",
        "bad-v2-half-authdata",
        "bad-v2-count-high",
        "bad-v2-count-255",
    ];
    let v3: &[&str] = &[
        "bad-v3-len-4",
        "bad-v3-no-addresses",
        "bad-v3-count-high",
        "bad-v3-6-half-address",
        "bad-v3-6-count-high",
    ];
    let trailing: &[&str] = &[
        "bad-v2-count-low",
        "bad-v2-trailing-4-summed",
        "bad-v2-trailing-4-unsummed",
        "bad-v3-trailing-8",
    ];
    assert_rows(&[
        ("V2-7.1-LEN", Rfc3768, v2, Length),
        ("V2-7.1-LEN", DropIn, v2, Length),
        ("V3-7.1-LEN", Rfc5798, v3, Length),
        ("V3-7.1-LEN", Rfc9568, v3, Length),
        ("X-7.1-TRAIL", Rfc3768, trailing, Trailing),
        ("X-7.1-TRAIL", DropIn, trailing, Trailing),
    ]);
}

#[test]
fn an_advert_that_does_not_agree_is_discarded_and_nobody_takes_over_at_once() {
    use DropReason::{AuthData, AuthType, Interval};
    use Profile::{DropIn, Rfc3768, Rfc9568};
    let types: &[&str] = &[
        "bad-v2-auth-unexpected-pass",
        "bad-v2-auth-missing",
        "bad-v2-auth-ah-type",
        "bad-v2-auth-type-3",
        "bad-v2-auth-type-254",
    ];
    let data: &[&str] =
        &["bad-v2-auth-wrong-password", "bad-v2-auth-unpadded", "bad-v2-auth-prefix"];
    assert_rows(&[
        ("V2-7.1-AUTH", Rfc3768, types, AuthType),
        ("V2-7.1-AUTH", DropIn, types, AuthType),
        ("V2-7.1-AUTH", Rfc3768, data, AuthData),
        ("V2-7.1-AUTH", DropIn, data, AuthData),
        ("V3-7.1-INT0", DropIn, &["bad-v3-interval-0", "bad-v3-interval-0-rsvd-f"], Interval),
        ("V3-7.1-INT0", Rfc9568, &["bad-v3-6-interval-0"], Interval),
    ]);
}

#[test]
fn of_several_faults_the_first_in_the_order_of_rfc_3768_is_the_reason() {
    use DropReason::{AddressList, AuthType, Checksum, Interval, Length, Ttl, Version, Vrid};
    let order = |name, reason| {
        assert_discarded("V2-7.1-ORDER", &vector(name), Profile::Rfc3768, reason);
    };
    order("order-ttl-before-version", Ttl);
    order("order-ttl-before-checksum", Ttl);
    order("order-version-before-length", Version);
    order("order-version-before-type", Version);
    order("order-length-before-checksum", Length);
    order("order-checksum-before-vrid", Checksum);
    order("order-vrid-before-auth", Vrid);
    order("order-auth-before-list", AuthType);
    order("order-list-before-interval", AddressList);
    order("order-owner-list-then-interval", Interval);
}

/// V3-7.1-ORDER: message after message has one fault less, from the TTL on.
#[test]
fn in_v3_a_fault_hides_all_that_come_after_it() {
    let receiver = vector("v3-4-basic-ph");
    let octets = |ttl: u8, payload: &str| format!("ttl = {ttl}\npayload = \"{payload}\"");
    // The last fault is interval 0, and the receiver owns the addresses. The VRID is another one
    // from the checksum on: of a virtual router that is not ours, any version may be right.
    let fields = |vrid: u8| {
        format!(
            "vrid = {vrid}\npriority = 150\nversion = 3\ninterval = \"0s\"\n\
                 addresses = [\"192.0.2.10\", \"192.0.2.11\"]"
        )
    };
    let faults = [
        (octets(254, "22339602 00000000 c000020a c00002"), DropReason::Ttl),
        (octets(255, "22339602 00000000 c000020a c00002"), DropReason::Version),
        (octets(255, "32339602 00000000 c000020a c00002"), DropReason::Type),
        (octets(255, "31339602 00000000 c000020a c00002"), DropReason::Length),
        (octets(255, "31349602 00000000 c000020a c000020b"), DropReason::Checksum),
        (fields(52), DropReason::Vrid),
        (fields(51), DropReason::Owner),
    ];
    let owner = InstanceConfig {
        priority: Priority::new(255).expect("a priority"),
        ..receiver.config(Profile::Rfc5798)
    };
    assert_order(&receiver, &owner, &faults);
    // The checks that errata added to RFC 9568 come last.
    let receiver = vector("v3-6-basic");
    let fields = |addresses: &str| {
        format!("vrid = 51\npriority = 150\ninterval = \"0s\"\naddresses = [{addresses}]")
    };
    let faults = [
        (fields(""), DropReason::AddressCount),
        (fields("\"2001:db8::10\", \"fe80::10\""), DropReason::FirstAddress),
        (fields("\"fe80::10\""), DropReason::Interval),
    ];
    assert_order(&receiver, &receiver.config(Profile::Rfc9568), &faults);
}

/// Each message is dropped for its fault, in this order.
fn assert_order(receiver: &Vector, config: &InstanceConfig, faults: &[(String, DropReason)]) {
    let whole = scenario(receiver, 1);
    let (topology, _) = whole.split_once("[[step]]").expect("a step");
    let (mut text, mut expected) = (topology.to_owned(), Vec::new());
    for ((message, reason), count) in faults.iter().zip(1_u64..) {
        let at = count * 100_000_000;
        let src = &receiver.src;
        text +=
            &format!("[[step]]\nat = \"{at}ns\"\ninject = \"lan\"\nsrc = \"{src}\"\n{message}\n");
        expected.push((at + DELAY, reason.name()));
    }
    let played = Rehearsal::new(&text, |instance| *instance = config.clone()).play();
    assert_eq!(dropped(&played), expected);
    assert_eq!(played.drops(A), faults.iter().map(|(_, reason)| (*reason, 1)).collect::<Vec<_>>());
    assert_eq!(played.counters(A).received, 0);
}

/// V2-7.1-LIST
#[test]
fn another_list_is_named_whether_it_is_dropped_or_not() {
    let vector = vector("bad-v2-list-mismatch");
    let named = [(HEARD_AT.as_nanos(), "VI_1: 192.0.2.2: address list differs".to_owned())];
    let strict = assert_discarded("", &vector, Profile::Rfc3768, DropReason::AddressList);
    assert_eq!(told(&strict), named);
    let lenient = assert_processed("", &vector, &vector.config(Profile::DropIn));
    assert_eq!(told(&lenient)[0], named[0]);
}

/// V2-7.1-LOG
#[test]
fn a_receiver_says_once_who_sent_what_it_cannot_use() {
    let rows = [
        ("bad-v2-ttl-254", "TTL is 254 instead of 255"),
        ("bad-version-4", "version differs (theirs is 4)"),
        ("bad-v2-dst-unicast", "one side is multicast, the other unicast"),
        ("bad-v2-auth-missing", "authentication type differs (theirs is 0)"),
        ("bad-v2-auth-wrong-password", "password differs"),
        ("bad-v2-list-mismatch", "address list differs"),
        ("bad-v2-interval-2", "interval differs (theirs is 2 s)"),
        ("bad-v2-type-15", "advert discarded: type"),
        ("bad-v2-half-authdata", "advert discarded: length"),
        ("bad-v2-trailing-4-summed", "advert discarded: trailing"),
        ("bad-v2-checksum-zero", "advert discarded: checksum"),
        ("bad-v2-count-0", "advert discarded: addr_count"),
    ];
    for (name, text) in rows {
        let vector = vector(name);
        let played = hear_times(&vector, &vector.config(Profile::Rfc3768), 5);
        let expected = (HEARD_AT.as_nanos(), format!("VI_1: 192.0.2.2: {text}"));
        assert_eq!(told(&played), [expected], "{name}");
        assert_eq!(dropped(&played).len(), 5, "{name}");
    }
}

/// V2-5.3.10-AUTHDATA
#[test]
fn authentication_data_that_nobody_uses_is_ignored_and_sent_as_zero() {
    let vector = vector("v2-auth0-nonzero-data");
    for profile in [Profile::DropIn, Profile::Rfc3768] {
        let config = vector.config(profile);
        assert_processed("", &vector, &config);
        let (_, capture) = rehearsal(&vector, &config, 1).capture();
        let sent = capture.adverts("a");
        assert!(!sent.is_empty());
        assert!(sent.iter().all(|frame| frame.message()[12..] == [0; 8]));
    }
}

/// V3-5.2.6-RSVDRX
#[test]
fn the_reserved_bits_are_no_part_of_the_interval() {
    // f064 is 100 cs: three of them and the skew of priority 100.
    let down = HEARD_AT.as_nanos() + 3_609_375_000;
    let rows = [
        ("v3-4-rsvd-f", Profile::Rfc5798),
        ("v3-4-rsvd-f", Profile::DropIn),
        ("v3-6-rsvd-f", Profile::Rfc9568),
    ];
    for (name, profile) in rows {
        let vector = vector(name);
        let played = assert_processed("", &vector, &vector.config(profile));
        assert_eq!(played.entered(A, StateKind::Master), [down], "{name}");
    }
}

#[test]
fn the_checksum_over_ipv4_has_the_form_of_the_profile_on_both_ways() {
    let (with, without) = (vector("v3-4-basic-ph"), vector("v3-4-basic-noph"));
    let differs = [(HEARD_AT.as_nanos(), "VI_1: 192.0.2.2: checksum form differs".to_owned())];
    let rows = [
        ("V3-5.2.8-CSUM4-5798", Profile::Rfc5798, &with, &without, false),
        ("V3-5.2.8-CSUM4-9568", Profile::Rfc9568, &without, &with, true),
    ];
    for (row, profile, accepted, refused, message_only) in rows {
        let config = accepted.config(profile);
        assert_processed(row, accepted, &config);
        let played = assert_discarded(row, refused, profile, DropReason::Checksum);
        assert_eq!(told(&played), differs, "{row}");
        let (_, capture) = rehearsal(accepted, &config, 1).capture();
        let sent = capture.adverts("a");
        assert!(!sent.is_empty(), "{row}");
        for frame in sent {
            assert_eq!(frame.sum() == 0xffff, message_only, "{row}");
            assert_eq!(frame.sum_with_pseudo_header(112) == 0xffff, !message_only, "{row}");
        }
    }
}

/// X-CSUM4-DUAL
#[test]
fn a_receiver_that_takes_either_form_still_drops_a_wrong_sum() {
    let either = |vector: &Vector| {
        let mut config = vector.config(Profile::DropIn);
        config.rules.checksum_accepted = ChecksumRule::Either;
        config
    };
    for name in ["v3-4-basic-ph", "v3-4-basic-noph"] {
        let vector = vector(name);
        assert_processed(name, &vector, &either(&vector));
    }
    for name in ["bad-v3-4-checksum-flip", "bad-v3-4-checksum-wrong-ph-dst"] {
        let vector = vector(name);
        let played = hear(&vector, &either(&vector));
        assert_eq!(played.drops(A), [(DropReason::Checksum, 1)], "{name}");
        assert_untouched(name, &vector, &played);
    }
}

#[test]
fn a_counter_goes_up_by_the_number_of_faults_and_no_other_does() {
    use DropReason::{AuthData, AuthType, Length, Trailing, Type};
    let rows = [
        ("MIB-6527-LEN", "bad-empty", Length),
        ("MIB-6527-LEN", "bad-len-7", Length),
        ("MIB-6527-LEN", "bad-v2-half-authdata", Length),
        ("MIB-6527-LEN", "bad-v2-count-low", Trailing),
        ("MIB-6527-TYPE", "bad-v2-type-0", Type),
        ("MIB-6527-TYPE", "bad-v3-type-2", Type),
        ("MIB-6527-TYPE", "bad-v3-6-type-2", Type),
        ("MIB-2787-AUTH", "bad-v2-auth-missing", AuthType),
        ("MIB-2787-AUTH", "bad-v2-auth-type-3", AuthType),
        ("MIB-2787-AUTH", "bad-v2-auth-wrong-password", AuthData),
    ];
    for (row, name, reason) in rows {
        let vector = vector(name);
        let played = hear_times(&vector, &vector.config(Profile::DropIn), 7);
        assert_eq!(played.drops(A), [(reason, 7)], "{row}: {name}");
        assert_untouched(row, &vector, &played);
    }
}

/// SEC-MALFORM
#[test]
fn nothing_malformed_crashes_a_router_or_changes_its_state() {
    let vectors = vectors();
    let bad: Vec<_> = vectors.iter().filter(|vector| vector.name.starts_with("bad-")).collect();
    assert_eq!(bad.len(), 77);
    for vector in bad {
        for profile in Profile::ALL {
            assert_verdict(vector, profile);
        }
    }
    let receivers = ["v2-basic", "v2-pass-short", "v3-4-basic-ph", "v3-6-basic"].map(vector);
    let mut golden = vectors;
    golden.retain(|vector| vector.valid && !vector.receiver.unicast);
    for receiver in &receivers {
        sweep(receiver, &golden);
    }
}

/// The receiver does with the vector what stands there under the profile.
fn assert_verdict(vector: &Vector, profile: Profile) {
    match vector.under[profile.name()].as_str() {
        "process" => {
            assert_processed(profile.name(), vector, &vector.config(profile));
        }
        "not_vrrp" => {
            let played = hear(vector, &vector.config(profile));
            assert_eq!(played.drops(A), [], "{}: it never comes to VRRP", vector.name);
            assert_untouched(profile.name(), vector, &played);
        }
        name => {
            let reason = DropReason::ALL.into_iter().find(|reason| reason.name() == name);
            assert_discarded(profile.name(), vector, profile, reason.expect("a reason"));
        }
    }
}

/// How many mutations each receiver hears, a millisecond apart.
const MUTATIONS: u64 = 2000;

/// A receiver hears mutations of golden messages: each is counted once, and one that does not count
/// changes nothing.
fn sweep(receiver: &Vector, golden: &[Vector]) {
    let rehearsal = rehearsal(receiver, &receiver.config(Profile::DropIn), 1);
    let template = (*rehearsal.scenario.steps[0]).clone();
    let Step::Inject(injection) = &template.step else { panic!("an injection") };
    let mut world = rehearsal.simulation(1);
    let mut random = Random::stream(1, "mutations");
    let mut seen = Vec::new();
    for number in 1..=MUTATIONS {
        let at = WorldTime(number * 1_000_000);
        let injection = mutation(injection, golden, &mut random);
        let octets = format!("{}: {number}: {:?}", receiver.name, injection.message);
        let step = TimedStep { at, step: Step::Inject(Box::new(injection)), ..template.clone() };
        world.advance(at, &mut seen, &|| false);
        world.apply(&step, &mut seen);
        world.advance(WorldTime(at.0 + DELAY - 1), &mut seen, &|| false);
        let before = Snapshot::of(&world);
        world.advance(WorldTime(at.0 + DELAY), &mut seen, &|| false);
        let after = Snapshot::of(&world);
        assert_eq!(after.received + after.dropped, number, "{octets}");
        if after.received == before.received {
            assert_eq!(Snapshot { dropped: before.dropped + 1, ..before }, after, "{octets}");
        }
    }
    assert!(Snapshot::of(&world).received > 0, "{}: some mutations are valid", receiver.name);
    for reason in ["ttl", "version", "type", "length", "trailing", "checksum", "vrid"] {
        let is_one = |seen: &Observation| matches!(seen.seen, Seen::Dropped(it) if it == reason);
        assert!(seen.iter().any(is_one), "{}: {reason}", receiver.name);
    }
}

/// What a receiver is and waits for, and how much it heard.
#[derive(Debug, PartialEq)]
struct Snapshot {
    state: (StateKind, Timestamp, Why, Option<Fault>),
    priority: Priority,
    last_heard: Option<(IpAddr, u8, Timestamp)>,
    deadline: Option<(Timestamp, &'static str)>,
    received: u64,
    dropped: u64,
}

impl Snapshot {
    fn of(world: &Simulation) -> Self {
        let status = world.status(A).expect("a process");
        let it = status.instances().next().expect("an instance");
        Self {
            state: (it.state(), it.since(), it.why().clone(), it.fault().cloned()),
            priority: it.priority(),
            last_heard: it.last_heard(),
            deadline: it.deadline(),
            received: it.counters().received,
            dropped: it.counters().drops.total() + status.unclaimed().total(),
        }
    }
}

/// A golden message with up to three other octets, perhaps cut or longer, perhaps from further
/// away. Half of them have the right checksum all the same, and come as far as the later checks.
fn mutation(template: &Injection, golden: &[Vector], random: &mut Random) -> Injection {
    let golden = &golden[random.below(golden.len() as u64) as usize];
    let mut octets = golden.bytes();
    for _ in 0..=random.below(3) {
        let at = random.below(octets.len().min(24) as u64) as usize;
        octets[at] ^= 1 + random.below(255) as u8;
    }
    match random.below(4) {
        0 => octets.truncate(random.below(octets.len() as u64) as usize),
        1 => octets.push(random.below(256) as u8),
        _ => {}
    }
    let src = golden.src.parse().expect("an address");
    let dst = golden.dst.parse().expect("an address");
    if octets.len() >= 8 && random.below(2) == 0 {
        octets[6..8].fill(0);
        let version = if golden.receiver.version == 2 { Version::V2 } else { Version::V3 };
        let sum = checksum::of_advert(version, golden.form(), src, dst, &octets);
        octets[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    let ttl = if random.below(8) == 0 { random.below(256) as u8 } else { 255 };
    Injection { src, dst, ttl, message: Message::Octets(octets), ..template.clone() }
}
