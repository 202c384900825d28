//! What comes from the network is hostile, and what comes from a driver comes in any order: nothing
//! panics, nothing that does not count changes anything, and every limit is reached here.

mod driver;
mod inputs;

use driver::{Driver, ETH0, ip, nanos, priority, v2, v3, vrid};
use inputs::{CONFIGS, Op, World, op};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use vipd_engine::config::VirtualAddress;
use vipd_engine::rules::{ChecksumForm, LowerPriorityRule};
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::vrrp::named::MAX_NAMED;
use vipd_engine::vrrp::resigned::MAX_RESIGNED;
use vipd_engine::vrrp::rivals::MAX_RIVALS;
use vipd_engine::{
    Advert, Family, Input, InstanceConfig, Interval, News, Output, Outputs, Password, Received,
    Rules, StateKind, Timestamp, Version, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);
const M: Duration = Duration::from_nanos(3_609_375_000);

/// A world with v2 and v3, both families, unicast and a macvlan among its instances, all masters
/// or all backups.
fn settled(which: u8, masters: bool) -> World {
    let mut world = World::new(Timestamp::ZERO, which);
    if masters {
        world.apply(&Op::Wait(5_000_000_000));
    }
    world
}

/// States and deadlines, and how many adverts counted.
fn standing(world: &World) -> (Vec<(StateKind, Option<Timestamp>)>, u64) {
    let instances = || world.engine.status().instances();
    let standing = instances().map(|one| (one.state(), one.deadline().map(|(at, _)| at)));
    (standing.collect(), instances().map(|one| one.counters().received).sum())
}

/// Feeds a datagram. If no instance counts it, nothing may have changed and nothing is sent.
fn assert_harmless(world: &mut World, received: Received<'_>) {
    let before = standing(world);
    world.log.clear();
    world.handle(Input::Advert(received));
    let after = standing(world);
    if before.1 == after.1 {
        assert_eq!(before.0, after.0, "{received:?}");
        let sends = |output: &Output| !matches!(output, Output::Notify(_));
        assert!(!world.log.iter().any(|(_, output)| sends(output)), "{received:?}");
    }
}

fn address(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::Ipv4 => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
        Family::Ipv6 => any::<[u8; 16]>().prop_map(IpAddr::from).boxed(),
    }
}

fn advert() -> impl Strategy<Value = (Advert, IpAddr, IpAddr)> {
    let kind = prop_oneof![
        Just((Version::V2, Family::Ipv4)),
        Just((Version::V3, Family::Ipv4)),
        Just((Version::V3, Family::Ipv6)),
    ];
    kind.prop_flat_map(|(version, family)| {
        let interval = match version {
            Version::V2 => (1..=255_i64).prop_map(Interval::from_seconds).boxed(),
            Version::V3 => (1..=4095_i64).prop_map(Interval::from_centiseconds).boxed(),
        };
        let password = match version {
            Version::V2 => prop::option::of(prop::collection::vec(1..=255_u8, 1..=8)).boxed(),
            Version::V3 => Just(None).boxed(),
        };
        let count = prop_oneof![4 => 0..8_usize, 1 => Just(255), 1 => 0..=255_usize];
        let addresses =
            count.prop_flat_map(move |count| prop::collection::vec(address(family), count));
        let fields = (1..=255_i64, any::<u8>(), interval, password, addresses);
        (fields, address(family), address(family)).prop_map(move |(fields, src, dst)| {
            let (vrid, priority, interval, password, addresses) = fields;
            let advert = Advert {
                version,
                vrid: Vrid::new(vrid).unwrap(),
                priority,
                interval: interval.unwrap(),
                password: password.map(|text: Vec<u8>| Password::new(&text).unwrap()),
                addresses: addresses.into(),
            };
            (advert, src, dst)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_from_anywhere_change_nothing_unless_they_count(
        which in 0..CONFIGS,
        masters in any::<bool>(),
        datagrams in prop::collection::vec(
            (
                prop::collection::vec(any::<u8>(), 0..300),
                prop::option::of((0..=255_u8, prop_oneof![Just(0x21_u8), Just(0x31)])),
                any::<bool>().prop_flat_map(|six| {
                    let family = if six { Family::Ipv6 } else { Family::Ipv4 };
                    (address(family), address(family))
                }),
                any::<u8>(),
            ),
            0..20,
        ),
    ) {
        let mut world = settled(which, masters);
        for (mut bytes, header, (src, dst), ttl) in datagrams {
            if let (Some((vrid, first)), true) = (header, bytes.len() > 1) {
                (bytes[0], bytes[1]) = (first, vrid);
            }
            for dst in [dst, ip("224.0.0.18"), ip("ff02::12"), ip("10.0.0.2")] {
                if Family::of(src) == Family::of(dst) {
                    for ttl in [ttl, 255] {
                        let received = Received { interface: ETH0, src, dst, ttl, bytes: &bytes };
                        assert_harmless(&mut world, received);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_emitted_is_read_back_field_by_field(
        (advert, src, dst) in advert(),
        form in prop_oneof![Just(ChecksumForm::PseudoHeader), Just(ChecksumForm::MessageOnly)],
        before in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = before.clone();
        advert.emit(src, dst, form, &mut bytes);
        prop_assert_eq!(&bytes[..before.len()], &before[..], "emit appends");
        let message = &bytes[before.len()..];
        // Without an address nothing tells the families apart, and nothing needs to.
        let view = AdvertView::new(advert.version, Family::of(src), message).unwrap();
        let password = match view.auth_type() {
            0 => None,
            _ => {
                let text: Vec<_> =
                    view.auth_data().iter().copied().take_while(|octet| *octet != 0).collect();
                Some(Password::new(&text).unwrap())
            }
        };
        let read = Advert {
            version: advert.version,
            vrid: Vrid::new(i64::from(view.vrid())).unwrap(),
            priority: view.priority(),
            interval: view.interval().unwrap(),
            password,
            addresses: view.addresses().collect(),
        };
        prop_assert_eq!(&read, &advert);
        prop_assert_eq!(message.len(), advert.message_len());
        prop_assert!(view.checksum_fits(form, src, dst));
        let mut again = Vec::new();
        read.emit(src, dst, form, &mut again);
        prop_assert_eq!(message, &again[..]);
    }

    /// The world checks the engine's invariants after every call, and that nothing is left due
    /// after a tick.
    #[test]
    fn any_order_of_any_inputs_keeps_the_invariants(
        which in 0..CONFIGS,
        ops in prop::collection::vec(op(), 0..80),
        after in prop::collection::vec(op(), 0..20),
    ) {
        let mut world = World::new(Timestamp::ZERO, which);
        ops.iter().for_each(|op| world.apply(op));
        world.apply(&Op::Shutdown);
        after.iter().for_each(|op| world.apply(op));
        world.apply(&Op::Shutdown);
        world.apply(&Op::Answers(Some(Ok(()))));
        world.run_until(world.now + SECOND * 3);
        prop_assert!(!world.engine.status().is_releasing(), "something was never given back");
        world.log.clear();
        world.run_until(world.now + SECOND * 600);
        prop_assert!(world.log.is_empty(), "a stopped engine is silent");
    }
}

/// A generator that needs no crate: the same sequence everywhere (Knuth's MMIX constants).
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// One to three changes of a message.
    fn mutate(&mut self, message: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(message.len());
            match self.below(6) {
                0 | 1 if !message.is_empty() => message[at] ^= 1 << self.below(8),
                2 if !message.is_empty() => message[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                3 => message.truncate(at),
                4 => message.extend((0..self.below(20)).map(|octet| octet as u8)),
                _ => message.insert(at, 0),
            }
        }
    }
}

fn golden() -> Vec<(Vec<u8>, IpAddr, IpAddr)> {
    let text = include_str!("fixtures/vectors.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(text).expect("JSON");
    let of = |vector: &serde_json::Value| {
        let field = |name| vector[name].as_str().expect("text");
        let hex = field("hex_vrrp_payload");
        let octets = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
        (octets.collect::<Result<_, _>>().expect("hex"), ip(field("src")), ip(field("dst")))
    };
    vectors.iter().map(of).collect()
}

#[test]
fn a_hundred_thousand_mutations_of_golden_adverts_change_nothing_unless_they_count() {
    let golden = golden();
    let mut sequence = Sequence(1);
    let mut worlds: Vec<_> = (0..CONFIGS)
        .flat_map(|which| [true, false].map(|masters| settled(which, masters)))
        .collect();
    let mut counted = BTreeSet::new();
    for round in 0..100_000 {
        let (bytes, src, dst) = &golden[sequence.below(golden.len())];
        let mut bytes = bytes.clone();
        sequence.mutate(&mut bytes);
        let which = sequence.below(worlds.len());
        let before = standing(&worlds[which]).1;
        let ttl = if sequence.below(9) == 0 { 254 } else { 255 };
        let received = Received { interface: ETH0, src: *src, dst: *dst, ttl, bytes: &bytes };
        assert_harmless(&mut worlds[which], received);
        if standing(&worlds[which]).1 != before {
            counted.insert(round);
        }
    }
    assert!(
        (1..1000).contains(&counted.len()),
        "a changed message hardly ever counts: {}",
        counted.len()
    );
}

/// An advert of this router with the right list.
fn hear(driver: &mut Driver, last: u8, heard: u8) {
    driver.hear(&format!("10.0.1.{last}"), heard);
}

#[test]
fn forged_senders_are_named_up_to_the_limit_and_counted_beyond_it() {
    let mut driver = Driver::new(v2());
    for last in 0..200 {
        let mut bytes = Vec::new();
        let src = format!("10.0.1.{last}");
        let advert = Advert {
            version: Version::V2,
            vrid: vrid(),
            priority: 200,
            interval: Interval::DEFAULT,
            password: Some(Password::new(b"forged").unwrap()),
            addresses: [ip("10.0.0.100")].into(),
        };
        let group = ip("224.0.0.18");
        advert.emit(ip(&src), group, ChecksumForm::PseudoHeader, &mut bytes);
        driver.hear_bytes(&src, group, 255, &bytes);
        // A VRID that nobody has here, with our address.
        bytes.clear();
        let foreign = Advert { vrid: Vrid::new(9).unwrap(), ..advert };
        foreign.emit(ip(&src), group, ChecksumForm::PseudoHeader, &mut bytes);
        driver.hear_bytes(&src, group, 255, &bytes);
    }
    let news = driver.news();
    let named = |name| news.iter().filter(|(_, found)| *found == name).count();
    assert_eq!((named("mismatch"), named("foreign-vrid")), (MAX_NAMED, MAX_NAMED));
    assert_eq!(driver.drops(vipd_engine::DropReason::AuthType), 200);
    assert_eq!(driver.drops(vipd_engine::DropReason::Vrid), 200);
}

#[test]
fn of_more_routers_that_resign_than_the_limit_the_first_is_forgotten() {
    let mut driver = Driver::new(v2());
    for last in 0..=MAX_RESIGNED as u8 {
        hear(&mut driver, last, 0);
    }
    hear(&mut driver, 1, 200);
    let short = Duration::from_nanos(1_609_375_000);
    assert_eq!(driver.deadline(), Some(Timestamp::ZERO + short), "still remembered");
    hear(&mut driver, 0, 200);
    assert_eq!(driver.deadline(), Some(Timestamp::ZERO + M), "forgotten: a full down timer");
}

#[test]
fn of_more_rivals_than_the_limit_the_one_heard_longest_ago_is_forgotten() {
    let rules = Rules { lower_priority: LowerPriorityRule::Silent, ..Rules::default() };
    let alarms = |rivals: u8| {
        let mut driver = Driver::new(InstanceConfig { rules, ..v2() });
        driver.run_for(M);
        // Each second advert counts: in between there is one of its own that it may have heard.
        for _ in 0..6 {
            for last in 0..rivals {
                hear(&mut driver, last, 50);
                driver.run_for(nanos(1_000_000));
            }
            driver.run_for(SECOND);
        }
        driver.news().iter().filter(|(_, name)| *name == "one-way").count()
    };
    assert_eq!(alarms(MAX_RIVALS as u8), MAX_RIVALS);
    assert_eq!(alarms(MAX_RIVALS as u8 + 1), 0, "each is forgotten before it is heard again");
}

#[test]
fn an_alarm_at_the_greatest_count_is_raised_once() {
    let rules = Rules { lower_priority: LowerPriorityRule::Silent, ..Rules::default() };
    let mut driver = Driver::new(InstanceConfig { rules, one_way_alarm: 255, ..v2() });
    driver.run_for(M);
    for _ in 0..600 {
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", 50);
    }
    assert_eq!(driver.news().iter().filter(|(_, name)| *name == "one-way").count(), 1);
}

#[test]
fn two_hundred_and_fifty_five_addresses_are_advertised_held_and_announced() {
    let addresses = (0..=254).map(|last| VirtualAddress::new(ip(&format!("10.0.2.{last}"))));
    let mut driver = Driver::new(InstanceConfig { addresses: addresses.collect(), ..v3(100) });
    driver.run_for(M);
    let sent = driver.log.iter().find_map(|(_, output)| match output {
        Output::Send { frame: vipd_engine::Frame::Advert(frame), .. } => Some(frame.clone()),
        Output::Send { .. }
        | Output::Kernel { .. }
        | Output::Notify(_)
        | Output::Probe(_)
        | Output::Ipvs(_) => None,
    });
    let mut bytes = Vec::new();
    sent.expect("an advert").emit(&mut bytes);
    assert_eq!((bytes.len(), bytes[3]), (8 + 255 * 4, 255));
    assert_eq!((driver.commands().len(), driver.announcements().len()), (255, 255 * 5));
}

#[test]
fn an_owner_that_hears_itself_reflected_raises_no_alarm() {
    let owner = InstanceConfig { priority: priority(255), ..v3(100) };
    let mut driver = Driver::new(owner);
    driver.log.clear();
    driver.hear("10.0.0.2", 255);
    assert!(driver.log.is_empty(), "{:?}", driver.take_lines());
    assert_eq!(driver.drops(vipd_engine::DropReason::OwnSource), 1);
}

#[test]
fn a_router_that_alternates_between_right_and_wrong_adverts_is_named_once() {
    let mut driver = Driver::new(v2());
    let good = driver.config();
    for _ in 0..20 {
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", 200);
        let addresses = good.addresses.iter().map(|address| address.address).collect();
        let advert = Advert {
            version: Version::V3,
            vrid: vrid(),
            priority: 200,
            interval: Interval::DEFAULT,
            password: None,
            addresses,
        };
        driver.hear_advert("10.0.0.1", &advert);
    }
    let named = driver.log.iter().filter(|(_, output)| {
        matches!(output, Output::Notify(event) if matches!(event.news, News::Mismatch { .. }))
    });
    assert_eq!(named.count(), 1);
}

#[test]
fn two_masters_with_two_intervals_are_told_once_each() {
    let mut driver = Driver::new(v3(100));
    for round in 0..1000 {
        driver.run_for(nanos(1_000_000));
        let interval = Interval::from_centiseconds([20, 200][round % 2]).unwrap();
        let addresses = [ip("10.0.0.100")].into();
        let (version, vrid, password) = (Version::V3, vrid(), None);
        let advert = Advert { version, vrid, priority: 200, interval, password, addresses };
        driver.hear_advert(["10.0.0.1", "10.0.0.3"][round % 2], &advert);
    }
    let told = driver.news().iter().filter(|(_, name)| *name == "interval-learned").count();
    assert_eq!(told, 2);
}

#[test]
fn an_input_for_nothing_at_all_is_no_trouble() {
    let mut engine = vipd_engine::Engine::new();
    let mut out = Outputs::new();
    let (src, dst) = (ip("10.0.0.1"), ip("224.0.0.18"));
    let received = Received { interface: ETH0, src, dst, ttl: 255, bytes: &[] };
    engine.handle(Timestamp::MAX, Input::Advert(received), &mut out);
    engine.handle(Timestamp::MAX, Input::Tick, &mut out);
    engine.handle(Timestamp::MAX, Input::Shutdown, &mut out);
    engine.check_invariants();
    assert!(out.as_slice().is_empty() && engine.next_deadline().is_none());
}
