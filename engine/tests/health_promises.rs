//! What `Health` promises whatever it is told: the same at other times, the same after it was
//! written down and read back, and no harm from anything.

mod health;

use health::ops::{Draft, NARROW, Op, RECURRING, WIDE, all_do, draft, op};
use health::{ANSWERS, Behaviour, World, director, seconds, server, tcp, virtual_server};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use vipd_engine::Timestamp;
use vipd_engine::config::health::Check;
use vipd_engine::health::{
    AttemptId, Failure, Health, Limits, LocalError, News, Outcome, Output, ProbeCommand, Snapshot,
    SnapshotError,
};

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![Just(NARROW), Just(WIDE)]
}

fn ops(count: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..count)
}

/// Stray outcomes are left out: they name numbers, and numbers are a book.
fn answerable(count: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = op().prop_filter("names numbers", |op| !matches!(op, Op::Stray { .. }));
    prop::collection::vec(op, 0..count)
}

/// The log since it was last taken, times counted from `origin`.
fn take(world: &mut World, origin: Timestamp) -> Vec<(Duration, Output)> {
    world.log.drain(..).map(|(at, output)| (at - origin, output)).collect()
}

/// Attempts in the order in which they appear, those under way first.
#[derive(Default)]
struct Numbering(BTreeMap<AttemptId, u64>);

impl Numbering {
    fn new(world: &World) -> Self {
        let mut numbering = Self::default();
        for id in &world.running {
            numbering.of(*id);
        }
        numbering
    }

    fn of(&mut self, id: AttemptId) -> AttemptId {
        let next = self.0.len() as u64;
        AttemptId { number: *self.0.entry(id).or_insert(next), ..id }
    }

    fn output(&mut self, output: Output) -> Output {
        match output {
            Output::Probe(mut probe) => {
                probe.id = self.of(probe.id);
                Output::Probe(probe)
            }
            Output::News(news) => Output::News(news),
        }
    }
}

fn assert_same_future(mut one: World, mut other: World, ops: &[Op]) -> Result<(), TestCaseError> {
    let (origin_one, origin_other) = (one.now, other.now);
    let (mut numbers_one, mut numbers_other) = (Numbering::new(&one), Numbering::new(&other));
    for op in ops {
        one.apply(op);
        other.apply(op);
        let did = |world: &mut World, origin, numbers: &mut Numbering| -> Vec<_> {
            let log = take(world, origin).into_iter();
            log.map(|(at, output)| (at, numbers.output(output))).collect()
        };
        let did_one = did(&mut one, origin_one, &mut numbers_one);
        let did_other = did(&mut other, origin_other, &mut numbers_other);
        prop_assert_eq!(did_one, did_other, "after {:?}", op);
        prop_assert_eq!(one.fingerprint(), other.fingerprint(), "after {:?}", op);
    }
    Ok(())
}

fn written(health: &Health) -> String {
    serde_json::to_string(&health.snapshot()).expect("a snapshot can be written")
}

fn read_back(health: &Health) -> Health {
    let read: Snapshot = serde_json::from_str(&written(health)).expect("what was written");
    read.try_into().expect("there was such a one")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_same_inputs_at_shifted_times_give_the_same_outputs_and_fingerprints(
        shift in prop_oneof![Just(1), 0..u64::MAX / 4],
        limits in limits(),
        draft in draft(),
        ops in ops(60),
    ) {
        let mut one = World::quiet(0, &draft, limits);
        let mut other = World::quiet(shift, &draft, limits);
        let origin = other.now;
        for op in &ops {
            one.apply(op);
            other.apply(op);
            prop_assert_eq!(take(&mut one, Timestamp::ZERO), take(&mut other, origin));
            prop_assert_eq!(one.fingerprint(), other.fingerprint(), "after {:?}", op);
        }
    }

    #[test]
    fn those_of_equal_fingerprint_do_the_same_however_long_they_were_quiet(
        draft in draft(),
        before in answerable(40),
        good in any::<bool>(),
        after in answerable(40),
    ) {
        let mut one = World::quiet(0, &draft, WIDE);
        before.iter().for_each(|op| one.apply(op));
        if good {
            all_do(&mut one, ANSWERS);
        }
        // Until all that was under way, tolerated or late is over.
        one.run(seconds(60));
        one.log.clear();
        let mut other = one.clone();
        // Loops of 2, 3 and 6 s, and three urls in turn.
        let equal = (1..=18).find(|_| {
            other.run(seconds(1));
            other.fingerprint() == one.fingerprint()
        });
        prop_assert!(equal.is_some(), "no equal fingerprint");
        other.log.clear();
        assert_same_future(one, other, &after)?;
    }

    /// Few things happen to few checks, so that the same state comes about again in other ways.
    #[test]
    fn those_of_equal_fingerprint_do_the_same_whatever_led_to_them(
        before in prop::collection::vec(recurrent(), 0..100),
        after in prop::collection::vec(recurrent(), 30),
    ) {
        let one_at_once = Limits { connections: 1, scripts: 1, per_call: 2 };
        let mut world = World::quiet(0, &Draft::of(&[RECURRING.start]), one_at_once);
        let mut seen: BTreeMap<u64, World> = BTreeMap::new();
        for op in &before {
            world.apply(op);
            world.log.clear();
            if let Some(earlier) = seen.insert(world.fingerprint(), world.clone()) {
                assert_same_future(earlier, world.clone(), &after)?;
            }
        }
    }

    #[test]
    fn one_that_was_read_back_does_the_same_from_then_on(
        limits in limits(),
        draft in draft(),
        before in ops(40),
        after in ops(40),
    ) {
        let mut world = World::quiet(1, &draft, limits);
        before.iter().for_each(|op| world.apply(op));
        let mut other = world.clone();
        other.health = read_back(&world.health);
        prop_assert_eq!(written(&world.health), written(&other.health));
        for op in &after {
            prop_assert_eq!(world.fingerprint(), other.fingerprint());
            world.apply(op);
            other.apply(op);
            let (one, two): (Vec<_>, Vec<_>) = (world.log.split_off(0), other.log.split_off(0));
            prop_assert_eq!(one, two, "after {:?}", op);
        }
        prop_assert_eq!(written(&world.health), written(&other.health));
    }

    /// What is done a little at a time is the same in the end as what is done at once.
    #[test]
    fn a_configuration_that_is_taken_slowly_comes_to_the_same(
        drafts in prop::collection::vec(draft(), 1..5),
    ) {
        let mut slow = World::quiet(0, &drafts[0], Limits { per_call: 1, ..WIDE });
        let mut fast = World::quiet(0, &drafts[0], WIDE);
        for draft in &drafts {
            for world in [&mut slow, &mut fast] {
                world.configure(draft.config());
                while world.health.is_taking() {
                    world.tick();
                }
            }
        }
        let by_name = |world: &World| {
            let mut standing = world.standing();
            standing.sort();
            standing
        };
        prop_assert_eq!(by_name(&slow), by_name(&fast));
        let checks = |world: &World| {
            let status = world.health.status();
            let mut checks: Vec<_> =
                status.checks().map(|one| (one.check().clone(), one.subscribers())).collect();
            checks.sort();
            checks
        };
        prop_assert_eq!(checks(&slow), checks(&fast));
    }

    /// Whoever hears the news and nothing else knows who is up and with what weight.
    #[test]
    fn the_news_alone_tell_how_every_server_stands(
        limits in limits(),
        draft in draft(),
        ops in ops(60),
    ) {
        let mut world = World::quiet(0, &draft, limits);
        // Up with a weight, or down.
        let mut heard: BTreeMap<String, Option<u32>> = BTreeMap::new();
        for op in &ops {
            world.apply(op);
            for (_, output) in world.log.drain(..) {
                let Output::News(news) = output else { continue };
                match news {
                    News::ServerUp { server, weight, .. } => {
                        let before = heard.insert(server.to_string(), Some(weight));
                        prop_assert!(!matches!(before, Some(Some(_))), "told twice: {}", server);
                    }
                    News::ServerDown { server, .. } => {
                        let before = heard.insert(server.to_string(), None);
                        prop_assert!(before != Some(None), "told twice: {}", server);
                    }
                    News::Weight { server, weight } => {
                        let before = heard.insert(server.to_string(), Some(weight)).flatten();
                        prop_assert!(before.is_some_and(|before| before != weight));
                    }
                    News::CheckFailed { .. }
                    | News::CheckPassed { .. }
                    | News::CheckNotMade { .. } => {}
                }
            }
            let standing: BTreeMap<_, _> = world
                .standing()
                .into_iter()
                .map(|(name, up, weight)| (name, up.then_some(weight)))
                .collect();
            heard.retain(|name, _| standing.contains_key(name));
            prop_assert_eq!(&heard, &standing, "after {:?}", op);
        }
    }

    /// Times and limits that no configuration file can have.
    #[test]
    fn no_check_however_absurd_makes_it_fail(
        absurd in absurd(),
        limits in prop_oneof![
            Just(NARROW),
            Just(Limits { connections: 0, scripts: 0, per_call: 0 }),
            Just(Limits { connections: usize::MAX, scripts: usize::MAX, per_call: 1 }),
        ],
        start in prop_oneof![Just(0), Just(u64::MAX - 5_000_000_000), Just(u64::MAX)],
        ops in ops(40),
    ) {
        let nothing = Draft::default();
        let mut world = World::quiet(start, &nothing, limits);
        let servers = (1..4).map(|number| server(number, &absurd)).collect();
        world.configure(director(vec![virtual_server(1, servers)]));
        for op in &ops {
            match op {
                // A driver does one call at a time, and so many of them prove enough.
                Op::Wait(nanos) => {
                    let until = world.now + Duration::from_nanos(*nanos);
                    (0..50).all(|_| world.step(until));
                }
                Op::Configure(_) => {}
                other => world.apply(other),
            }
            world.fingerprint();
        }
    }

    /// A snapshot in which somebody changed a number is refused or does no harm.
    #[test]
    fn one_that_was_edited_is_refused_or_does_no_harm(
        limits in limits(),
        draft in draft(),
        before in ops(30),
        edits in prop::collection::vec((any::<prop::sample::Index>(), edit()), 1..4),
        after in ops(20),
    ) {
        let mut world = World::quiet(1, &draft, limits);
        before.iter().for_each(|op| world.apply(op));
        let mut json: Value = serde_json::from_str(&written(&world.health)).unwrap();
        for (which, value) in edits {
            let mut leaves = 0;
            visit(&mut json, &mut |_| leaves += 1);
            let chosen = which.index(leaves);
            let mut place = 0;
            visit(&mut json, &mut |leaf| {
                if place == chosen {
                    *leaf = value.clone();
                }
                place += 1;
            });
        }
        let read = serde_json::from_value::<Snapshot>(json).map_err(|error| error.to_string());
        let health = read.and_then(|read| {
            Health::try_from(read).map_err(|error: SnapshotError| error.to_string())
        });
        if let Ok(mut health) = health {
            health.check_invariants();
            run(&mut health, world.now, &after);
        }
    }
}

/// A reload to one or two of few checks, one answer or a little time.
fn recurrent() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        3 => Just(Outcome::GOOD),
        3 => Just(Outcome::Bad(Failure::Refused)),
        1 => Just(Outcome::Local(LocalError::Bind)),
    ];
    let checks = prop_oneof![
        RECURRING.prop_map(|one| vec![one]),
        RECURRING.prop_map(|one| vec![one, 3]),
        Just(vec![RECURRING.start, RECURRING.start + 1]),
    ];
    prop_oneof![
        8 => Just(Op::Wait(1_000_000_000)),
        4 => Just(Op::Stall(1_000_000_000)),
        8 => (0..2_usize, outcome).prop_map(|(which, outcome)| Op::Answer { which, outcome }),
        1 => checks.prop_map(|checks| Op::Configure(Draft::of(&checks))),
    ]
}

fn absurd() -> impl Strategy<Value = Vec<Check>> {
    let time = || {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::from_nanos(1)),
            Just(Duration::MAX),
            Just(seconds(1)),
        ]
    };
    let check = (time(), time(), time(), time(), prop_oneof![Just(0), Just(u32::MAX)]);
    let check = check.prop_map(|(timeout, delay_loop, delay_before_retry, warmup, retry)| Check {
        timeout,
        delay_loop,
        delay_before_retry,
        warmup,
        retry,
        ..tcp(1)
    });
    prop::collection::vec(check, 1..3)
}

fn edit() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..5_u64).prop_map(Value::from),
        Just(Value::from(u32::MAX)),
        Just(Value::from(u64::MAX)),
        Just(Value::from("Good")),
        Just(Value::Array(Vec::new())),
    ]
}

/// Calls `act` with every leaf, in order.
fn visit(value: &mut Value, act: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter_mut().for_each(|item| visit(item, act));
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, act)),
        _ => act(value),
    }
}

/// A driver that knows nothing of what was under way before.
fn run(health: &mut Health, mut now: Timestamp, ops: &[Op]) {
    let (mut out, mut running) = (Vec::new(), Vec::<AttemptId>::new());
    for op in ops {
        match op {
            Op::Wait(nanos) | Op::Stall(nanos) => now = now + Duration::from_nanos(*nanos),
            Op::Tick | Op::Tracker(_) | Op::Presence { .. } => {}
            Op::Answer { outcome, .. } | Op::Stray { outcome, .. } => {
                if let Some(id) = running.pop() {
                    health.on_outcome(now, id, *outcome, &mut out);
                }
            }
            Op::Configure(draft) => health.configure(now, Arc::new(draft.config()), &mut out),
        }
        for _ in 0..20 {
            health.tick(now, &mut out);
        }
        health.check_invariants();
        running.extend(out.drain(..).filter_map(|output| match output {
            Output::Probe(probe) => {
                matches!(probe.command, ProbeCommand::Start { .. }).then_some(probe.id)
            }
            Output::News(_) => None,
        }));
    }
}

#[test]
fn a_server_that_flaps_with_every_attempt_costs_two_news_each_time() {
    let mut world = World::new(health::one(vec![server(1, &[Check { retry: 0, ..tcp(1) }])]));
    world.run(seconds(1));
    world.log.clear();
    for round in 0..1000 {
        let dead = Behaviour::Answers(Duration::ZERO, Outcome::Bad(Failure::Refused));
        world.set(1, if round % 2 == 0 { dead } else { ANSWERS });
        world.run(seconds(6));
    }
    assert_eq!(world.told().len(), 2000, "the check and the server");
}
