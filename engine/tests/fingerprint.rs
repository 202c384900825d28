//! What `Engine::fingerprint` promises: it folds all that decides and nothing else.
//!
//! Engines of equal fingerprint, given equal inputs at shifted times, do the same from then on.

mod inputs;

use inputs::{CONFIGS, Heard, Op, World, lease_since, map_commands, op};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use vipd_engine::{
    CommandId, EffectError, InstanceId, KernelCommand, LinkState, Output, StateKind, Timestamp,
    TrackerValue,
};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// The log since it was last taken, times counted from `origin`.
fn take(world: &mut World, origin: Timestamp) -> Vec<(Duration, Output)> {
    let shifted = |output| map_commands(output, |command| lease_from(command, origin));
    world.log.drain(..).map(|(at, output)| (at - origin, shifted(output))).collect()
}

/// The end of a lease counted from `origin`, and an instance that is always the same: it is also
/// that of the command's id.
fn lease_from(command: KernelCommand, origin: Timestamp) -> KernelCommand {
    let instance = InstanceId(0);
    match lease_since(command, origin) {
        KernelCommand::RenewLease { until, .. } => KernelCommand::RenewLease { instance, until },
        KernelCommand::SetGate { places, .. } => KernelCommand::SetGate { instance, places },
        KernelCommand::RemoveGate { .. } => KernelCommand::RemoveGate { instance },
        other => other,
    }
}

/// Numbers ids by their order of appearance, those that wait at the beginning first: a place in the
/// engine and a number of an effect are never used twice, however long ago they were.
#[derive(Default)]
struct Numbering {
    ids: BTreeMap<CommandId, u64>,
    instances: BTreeMap<InstanceId, u32>,
}

impl Numbering {
    fn new(world: &World) -> Self {
        let mut numbering = Self::default();
        for id in &world.waiting {
            numbering.of(*id);
        }
        numbering
    }

    fn of(&mut self, id: CommandId) -> CommandId {
        let next = self.ids.len() as u64;
        let number = *self.ids.entry(id).or_insert(next);
        let next = self.instances.len() as u32;
        let instance = InstanceId(*self.instances.entry(id.instance).or_insert(next));
        CommandId { instance, number }
    }

    fn output(&mut self, output: Output) -> Output {
        match output {
            Output::Send { id, frame } => Output::Send { id: self.of(id), frame },
            Output::Kernel { id, command } => Output::Kernel { id: self.of(id), command },
            other @ (Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_)) => other,
        }
    }
}

/// The same inputs for both, in turn: they must send and order the same, whatever they tell of it.
fn assert_same_election(mut one: World, mut other: World, ops: &[Op]) -> Result<(), TestCaseError> {
    let (origin_one, origin_other) = (one.now, other.now);
    let (mut numbers_one, mut numbers_other) = (Numbering::new(&one), Numbering::new(&other));
    for op in ops {
        one.apply(op);
        other.apply(op);
        let did = |world: &mut World, origin, numbers: &mut Numbering| -> Vec<_> {
            let log = take(world, origin).into_iter();
            let done = log.filter(|(_, output)| !matches!(output, Output::Notify(_)));
            done.map(|(at, output)| (at, numbers.output(output))).collect()
        };
        let did_one = did(&mut one, origin_one, &mut numbers_one);
        let did_other = did(&mut other, origin_other, &mut numbers_other);
        prop_assert_eq!(did_one, did_other, "after {:?}", op);
        prop_assert_eq!(one.election(), other.election(), "after {:?}", op);
    }
    Ok(())
}

/// The same inputs for both, in turn: they must do the same and stay the same.
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

/// Stray answers are left out: they name numbers, and numbers are a book.
fn ops(count: usize) -> impl Strategy<Value = Vec<Op>> {
    let answerable = op().prop_filter("names numbers", |op| !matches!(op, Op::StrayAnswer { .. }));
    prop::collection::vec(answerable, 0..count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_same_inputs_at_shifted_times_give_the_same_outputs_and_fingerprints(
        shift in prop_oneof![Just(1), 0..u64::MAX / 4],
        which in 0..CONFIGS,
        ops in ops(60),
    ) {
        let shift = Timestamp::from_nanos(shift);
        let mut one = World::new(Timestamp::ZERO, which);
        let mut other = World::new(shift, which);
        for op in &ops {
            one.apply(op);
            other.apply(op);
            prop_assert_eq!(take(&mut one, Timestamp::ZERO), take(&mut other, shift));
            prop_assert_eq!(one.fingerprint(), other.fingerprint(), "after {:?}", op);
        }
    }

    #[test]
    fn engines_of_equal_fingerprint_do_the_same_however_long_they_were_quiet(
        which in 0..CONFIGS,
        before in ops(40),
        master in any::<bool>(),
        after in ops(40),
    ) {
        let mut one = World::new(Timestamp::ZERO, which);
        before.iter().for_each(|op| one.apply(op));
        // Until holds, second announcements, retries and the longest learnt down timer are over,
        // and no more adverts are counted of a rival that sends one a second.
        (0..300).for_each(|_| one.quiet_second(master));
        one.log.clear();
        let mut other = one.clone();
        // The refresh of announcements comes each minute.
        let equal = (1..=60).find(|_| {
            other.quiet_second(master);
            other.fingerprint() == one.fingerprint()
        });
        prop_assert!(equal.is_some(), "a minute of quiet brought no equal fingerprint");
        other.log.clear();
        assert_same_future(one, other, &after)?;
    }

    #[test]
    fn wherever_two_fingerprints_of_one_history_are_equal_so_are_their_futures(
        which in 0..CONFIGS,
        history in ops(60),
        after in ops(12),
    ) {
        let mut world = World::new(Timestamp::ZERO, which);
        let mut seen = BTreeMap::<_, World>::new();
        let mut configured = which;
        let mut compared = 0;
        for op in &history {
            world.apply(op);
            world.log.clear();
            // Which effects may be answered is a matter of the world, not of the engine.
            world.waiting.clear();
            if let Op::Configure(which) = op {
                configured = *which;
            }
            let earlier = seen.insert((configured, world.fingerprint()), world.clone());
            if let Some(earlier) = earlier.filter(|_| compared < 5) {
                compared += 1;
                let mut earlier = earlier;
                earlier.adopt_answers(&world);
                assert_same_future(earlier, world.clone(), &after)?;
            }
        }
    }
}

/// What leaves each router the priority and the preemption that it has.
fn steady_ops(count: usize) -> impl Strategy<Value = Vec<Op>> {
    let changes = |op: &Op| {
        let file = matches!(op, Op::Configure(_) | Op::Direct(_));
        file || matches!(op, Op::Tracker { .. } | Op::Link { .. } | Op::Order { .. })
    };
    ops(count).prop_map(move |ops| ops.into_iter().filter(|op| !changes(op)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn engines_of_equal_election_fingerprint_send_and_order_the_same_as_long_as_ranks_stay(
        which in 0..CONFIGS,
        history in ops(60),
        after in steady_ops(20),
    ) {
        let mut world = World::new(Timestamp::ZERO, which);
        let mut seen = BTreeMap::<_, World>::new();
        let mut configured = which;
        let mut compared = 0;
        for op in &history {
            world.apply(op);
            world.log.clear();
            world.waiting.clear();
            if let Op::Configure(which) = op {
                configured = *which;
            }
            let earlier = seen.insert((configured, world.election()), world.clone());
            if let Some(mut earlier) = earlier.filter(|_| compared < 5) {
                compared += usize::from(earlier.fingerprint() != world.fingerprint());
                earlier.adopt_answers(&world);
                assert_same_election(earlier, world.clone(), &after)?;
            }
        }
    }
}

#[test]
fn what_is_only_told_is_no_part_of_the_election() {
    let half = SECOND / 2;
    let bad_ttl = Op::Hear(Heard { ttl: 1, ..Heard::plain(51, 1, 50) });
    let follow = |peer| [hear(51, peer, 200)];
    let full = [hear(51, 1, 200), wait(3 * SECOND)];
    let resigned = [wait(3 * half), hear(51, 1, 0), wait(half), hear(51, 1, 200), wait(SECOND)];
    let yielded = [wait(4 * SECOND), hear(51, 1, 200), hear(52, 1, 200)];
    let backup = [&[wait(2 * SECOND)][..], &yielded[1..], &[wait(2 * SECOND)], &yielded[1..]];
    let lower = [hear(51, 1, 200), hear(51, 1, 1)];
    let pairs: [(&str, &[Op], &[Op]); 5] = [
        ("what was named", &[bad_ttl], &[]),
        ("which master was heard", &follow(1), &follow(4)),
        ("that a lower router was heard behind it", &lower, &lower[..1]),
        ("what the down timer was armed with", &full, &resigned),
        ("that it was master a moment ago", &yielded, &backup.concat()),
    ];
    for (what, one, other) in pairs {
        let (one, other) = (world(0, one), world(0, other));
        assert_ne!(one.fingerprint(), other.fingerprint(), "{what}");
        assert_eq!(one.election(), other.election(), "{what}");
    }
}

/// Fingerprints of 2,000 quiet seconds, one at each tick.
fn quiet_fingerprints(master: bool) -> usize {
    let mut world = World::new(Timestamp::ZERO, 0);
    (0..20).for_each(|_| world.quiet_second(master));
    let mut seen = BTreeSet::new();
    let end = world.now + Duration::from_secs(2000);
    let mut heard_at = world.now;
    while world.now < end {
        let deadline = world.engine.next_deadline().expect("something runs").at;
        heard_at = heard_at.max(world.now);
        if master && heard_at <= deadline {
            world.now = heard_at;
            for vrid in 51..=52 {
                world.apply(&Op::Hear(Heard::plain(vrid, 8, 250)));
            }
            heard_at = heard_at + Duration::from_secs(1);
        } else {
            world.run_until(deadline);
        }
        seen.insert(world.fingerprint());
    }
    seen.len()
}

#[test]
fn two_thousand_quiet_seconds_of_a_backup_are_a_handful_of_states() {
    let states = quiet_fingerprints(true);
    assert!(states <= 4, "{states}");
}

#[test]
fn two_thousand_quiet_seconds_of_a_master_are_the_sixty_of_its_refresh() {
    let states = quiet_fingerprints(false);
    assert!((60..=130).contains(&states), "two instances tick at two phases: {states}");
}

/// A world after these things.
fn world(which: u8, ops: &[Op]) -> World {
    let mut world = World::new(Timestamp::ZERO, which);
    ops.iter().for_each(|op| world.apply(op));
    world
}

fn hear(vrid: i64, peer: u8, priority: u8) -> Op {
    Op::Hear(Heard::plain(vrid, peer, priority))
}

fn wait(nanos: u64) -> Op {
    Op::Wait(nanos)
}

/// VI_1 and VI_2 of config 0 are masters after this.
const MASTER: Op = Op::Wait(10 * SECOND);

fn present(address: u8) -> Op {
    Op::Address { interface: 0, address, present: true }
}

fn gone(address: u8) -> Op {
    Op::Address { interface: 0, address, present: false }
}

fn tracker(value: TrackerValue) -> Op {
    Op::Tracker { name: 1, value }
}

fn answers(result: Option<Result<(), EffectError>>) -> Op {
    Op::Answers(result)
}

const REFUSED: Result<(), EffectError> = Err(EffectError::Refused);

/// These two histories differ in nothing but `what`, and their fingerprints do.
fn assert_folded(what: &str, which: u8, one: &[Op], other: &[Op]) {
    let (one, other) = (world(which, one), world(which, other));
    assert_ne!(one.fingerprint(), other.fingerprint(), "{what}");
}

#[test]
fn each_nanosecond_of_a_timer_is_folded_and_its_lateness_too() {
    let later = |ops: &[Op], by: Op| [ops, &[by]].concat();
    let pairs: [(&str, &[Op]); 5] = [
        ("of the down timer", &[hear(51, 1, 200)]),
        ("of lateness of the down timer", &[hear(51, 1, 200), Op::Stall(4 * SECOND)]),
        ("of the advert timer", &[MASTER]),
        ("of lateness of the advert timer", &[MASTER, Op::Stall(2 * SECOND)]),
        ("of the preempt hold", &[hear(52, 1, 50)]),
    ];
    for (what, ops) in pairs {
        assert_folded(what, 0, &later(ops, Op::Stall(0)), &later(ops, Op::Stall(1)));
    }
    let hold = |from: u64| [wait(from), hear(52, 1, 50), wait(SECOND - from), hear(52, 1, 50)];
    assert_folded("the preempt hold alone", 0, &hold(0), &hold(1));
    // Both heard it at 6 s for the last time; a delay of seven seconds from 0 s is over at 7 s.
    let held = |from: u64| {
        let (begin, rest) = ([wait(from), hear(52, 1, 50)], [wait(3 * SECOND), hear(52, 1, 50)]);
        let second = [wait(3 * SECOND - from), hear(52, 1, 50)];
        [&begin[..], &second, &rest, &[wait(SECOND)]].concat()
    };
    assert_folded("that the preempt hold is over", 0, &held(0), &held(1));
    let again = |from: u64| [MASTER, wait(from), present(2), gone(2), wait(2 - from)];
    assert_folded("the second announcement", 0, &again(0), &again(1));
    // Three intervals and the skew from 0 s, or one interval and the skew from 2 s.
    let half = SECOND / 2;
    let full = [hear(51, 1, 200), wait(3 * SECOND)];
    let resigned = [wait(3 * half), hear(51, 1, 0), wait(half)];
    let late = [&resigned[..], &[hear(51, 1, 200), wait(SECOND)]].concat();
    assert_folded("what the down timer was armed with", 0, &full, &late);
}

#[test]
fn what_was_heard_is_folded_as_far_as_it_decides() {
    let learnt = |centiseconds| Op::Hear(Heard { centiseconds, ..Heard::plain(52, 1, 200) });
    assert_folded("the learnt interval", 0, &[learnt(100)], &[learnt(101)]);
    assert_folded("the master", 0, &[hear(51, 1, 200)], &[hear(51, 4, 200)]);
    let period = |peer| [hear(51, peer, 0), hear(51, 3, 200)];
    assert_folded("a period after a resignation", 0, &period(1), &period(1)[1..]);
    assert_folded("who resigned", 0, &period(1), &period(4));
    let period = |from| [wait(from), hear(51, 1, 0), wait(2 - from), hear(51, 4, 200)];
    assert_folded("how long the period lasts", 0, &period(0), &period(1));
    let resigned_and = |heard| [MASTER, hear(51, 1, 0), hear(51, 1, heard)];
    assert_folded("that a late advert was answered", 0, &resigned_and(200), &resigned_and(0));
    let window = |from| [MASTER, wait(from), hear(51, 1, 0), wait(300 - from), hear(51, 1, 0)];
    assert_folded("until when asserted adverts are counted", 0, &window(0), &window(100));
    let low = || Op::Hear(with_list_of_config_two(&Heard::plain(51, 1, 50)));
    let heap = |from| [MASTER, wait(from), low(), wait(300 - from), low()];
    assert_folded("until when a rival's adverts are one", 2, &heap(0), &heap(100));
    let bad_ttl = Op::Hear(Heard { ttl: 1, ..Heard::plain(51, 1, 50) });
    assert_folded("what was named", 0, &[bad_ttl], &[]);
}

#[test]
fn what_the_machine_has_and_what_it_was_asked_for_is_folded() {
    let hold = || answers(None);
    let refusals = |seconds| [MASTER, answers(Some(REFUSED)), wait(seconds * SECOND)];
    assert_folded("how many rounds were refused", 0, &refusals(1), &refusals(2));
    let advert = [MASTER, hold(), wait(SECOND)];
    assert_folded("an advert that nobody answered", 0, &advert, &[MASTER, wait(SECOND)]);
    let added = wait(3_700 * MILLISECOND);
    assert_folded("an address on its way", 0, &[hold(), added.clone()], &[added]);
    let answer = |place, result| Op::Answer { place, result };
    let filter = [hold(), wait(3_300 * MILLISECOND), answer(1, Ok(())), answer(3, REFUSED)];
    let no_filter = [hold(), wait(3_300 * MILLISECOND), answer(1, REFUSED)];
    assert_folded("a filter", 2, &filter, &no_filter);
    let owned = [present(3), wait(4 * SECOND)];
    assert_folded("whose address it is", 3, &owned, &[wait(4 * SECOND), present(3)]);
    let macvlan = [wait(4 * SECOND), hear(53, 1, 200)];
    let none = [Op::Stall(4 * SECOND), hear(53, 1, 200), Op::Tick];
    assert_folded("a macvlan that is down", 2, &macvlan, &none);
    assert_folded("that it was stopped", 0, &[Op::Shutdown], &[]);
    let number = |value| [tracker(TrackerValue::Number(value))];
    assert_folded("the priority in force", 0, &number(1), &number(2));
    // Nothing in this configuration watches a tracker; the next one may.
    let values = [TrackerValue::Pending, TrackerValue::Number(0), TrackerValue::Number(1)];
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        let (one, other) = ([tracker(values[one])], [tracker(values[other])]);
        assert_folded("a value that nobody uses yet", 2, &one, &other);
    }
    assert_folded("the order of addresses", 0, &[present(5), gone(0), present(0)], &[present(5)]);
    let link = |state| [Op::Link { interface: 1, state }];
    let (up, down) = (link(LinkState::Up), link(LinkState::Down));
    assert_folded("a link that nobody uses yet", 0, &up, &down);
}

#[test]
fn how_often_a_rival_was_heard_counts_until_it_is_forgotten() {
    // The rules of config 2 answer a lower advert with silence, so that only the count differs. In
    // 2 s it advertises, and the rival has time to hear that.
    let heard = |times: u64| {
        let mut world = World::new(Timestamp::ZERO, 2);
        world.apply(&Op::Wait(5 * SECOND));
        for _ in times..2 {
            world.apply(&Op::Wait(2 * SECOND));
        }
        for _ in 0..times {
            world.apply(&Op::Wait(2 * SECOND));
            world.apply(&Op::Hear(with_list_of_config_two(&Heard::plain(51, 1, 50))));
        }
        world
    };
    let (mut once, mut twice) = (heard(1), heard(2));
    assert_ne!(once.fingerprint(), twice.fingerprint());
    for world in [&mut once, &mut twice] {
        world.apply(&Op::Wait(4 * SECOND));
    }
    assert_ne!(once.fingerprint(), twice.fingerprint(), "heard again by now, it goes on");
    for world in [&mut once, &mut twice] {
        world.apply(&Op::Wait(1));
    }
    assert_eq!(once.fingerprint(), twice.fingerprint());
}

/// An advert that the strict rules of config 2 accept.
fn with_list_of_config_two(heard: &Heard) -> Heard {
    Heard { extra: Some([10, 0, 0, 102]), ..heard.clone() }
}

/// A master of 3.609375 s that yields at 4 s remembers both for five seconds each; a router that
/// was a backup all along remembers nothing.
#[test]
fn transitions_count_as_flapping_until_they_are_forgotten() {
    let follow = |seconds: u64| {
        let each = (0..seconds).flat_map(|_| [wait(SECOND), hear(51, 1, 200)]);
        each.collect::<Vec<_>>()
    };
    let fingerprints = |seconds| {
        let yielded = [vec![wait(4 * SECOND), hear(51, 1, 200)], follow(seconds)].concat();
        let backup = [follow(4), follow(seconds)].concat();
        (world(0, &yielded).fingerprint(), world(0, &backup).fingerprint())
    };
    let (yielded, backup) = fingerprints(5);
    assert_ne!(yielded, backup, "it still counts");
    let (yielded, backup) = fingerprints(6);
    assert_eq!(yielded, backup, "five seconds are over");
}

#[test]
fn books_are_not_folded() {
    let quiet = world(0, &[Op::Wait(SECOND), hear(51, 1, 200), hear(52, 1, 200)]);
    let mut busy = World::new(Timestamp::ZERO, 0);
    for _ in 0..10 {
        busy.apply(&hear(51, 1, 200));
        busy.apply(&hear(52, 1, 200));
        busy.apply(&Op::Wait(SECOND / 10));
    }
    busy.apply(&hear(51, 1, 200));
    busy.apply(&hear(52, 1, 200));
    assert_eq!(quiet.fingerprint(), busy.fingerprint(), "adverts received");
    let states: Vec<_> = busy.engine.status().instances().map(|one| one.state()).collect();
    assert_eq!(states, [StateKind::Backup; 2]);
    let told = world(0, &[Op::Wait(SECOND), hear(51, 1, 50), hear(51, 1, 200), hear(52, 1, 200)]);
    assert_eq!(quiet.fingerprint(), told.fingerprint(), "the last event");
    let stray = Op::StrayAnswer { instance: 0, number: 7, result: Ok(()) };
    busy.apply(&stray);
    assert_eq!(quiet.fingerprint(), busy.fingerprint(), "an answer nobody waits for");
    assert_eq!(InstanceId(0), busy.engine.status().instances().next().unwrap().id());
}
