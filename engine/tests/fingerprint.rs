//! What `Engine::fingerprint` promises: it folds all that decides and nothing else.
//!
//! Engines of equal fingerprint, given equal inputs at shifted times, do the same from then on.

mod inputs;

use inputs::{CONFIGS, Heard, Op, World, op};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use vipd_engine::{
    CommandId, EffectError, InstanceId, LinkState, Output, StateKind, Timestamp, TrackerValue,
};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// The log since it was last taken, times counted from `origin`.
fn take(world: &mut World, origin: Timestamp) -> Vec<(Duration, Output)> {
    world.log.drain(..).map(|(at, output)| (at - origin, output)).collect()
}

/// Numbers ids by their order of appearance, those that wait at the beginning first.
struct Numbering(BTreeMap<CommandId, u64>);

impl Numbering {
    fn new(world: &World) -> Self {
        Self((0..).zip(&world.waiting).map(|(number, id)| (*id, number)).collect())
    }

    fn of(&mut self, id: CommandId) -> CommandId {
        let next = self.0.len() as u64;
        CommandId { number: *self.0.entry(id).or_insert(next), ..id }
    }

    fn output(&mut self, output: Output) -> Output {
        match output {
            Output::Send { id, frame } => Output::Send { id: self.of(id), frame },
            Output::Kernel { id, command } => Output::Kernel { id: self.of(id), command },
            Output::Notify(event) => Output::Notify(event),
        }
    }
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
        // Until holds, second announcements, retries and the longest learnt down timer are over.
        (0..170).for_each(|_| one.quiet_second(master));
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

fn learnt(centiseconds: i64) -> Op {
    Op::Hear(Heard { centiseconds, ..Heard::plain(52, 1, 200) })
}

#[test]
fn each_thing_that_decides_is_folded() {
    let wait = Op::Wait;
    let master = wait(5 * SECOND);
    let refused = || Op::Answers(Some(Err(EffectError::Refused)));
    let hold = || Op::Answers(None);
    let bad_ttl = Op::Hear(Heard { ttl: 1, ..Heard::plain(51, 1, 50) });
    let present = |address| Op::Address { interface: 0, address, present: true };
    let gone = |address| Op::Address { interface: 0, address, present: false };
    let tracker = |value| Op::Tracker { name: 1, value: TrackerValue::Number(value) };
    let stay = || (0..3).map(|_| Op::Tick).collect::<Vec<_>>();
    let pairs: Vec<(&str, u8, Vec<Op>, Vec<Op>)> = vec![
        (
            "a nanosecond of the down timer",
            0,
            vec![wait(10), hear(51, 1, 200), wait(11)],
            vec![wait(11), hear(51, 1, 200), wait(10)],
        ),
        (
            "a nanosecond of lateness of the down timer",
            0,
            vec![hear(51, 1, 200), Op::Sleep(0), Op::Wait(1)],
            vec![hear(51, 1, 200), Op::Sleep(0), Op::Wait(2)],
        ),
        ("the learnt interval", 0, vec![learnt(100)], vec![learnt(101)]),
        (
            "a period after a resignation",
            0,
            vec![hear(51, 1, 0), wait(MILLISECOND), hear(51, 2, 200)],
            vec![wait(MILLISECOND), hear(51, 2, 200)],
        ),
        (
            "who resigned",
            0,
            vec![hear(51, 1, 0), hear(51, 3, 200)],
            vec![hear(51, 2, 0), hear(51, 3, 200)],
        ),
        (
            "that a late advert was answered",
            0,
            vec![master.clone(), hear(51, 1, 0), hear(51, 1, 200)],
            vec![master.clone(), hear(51, 1, 0), hear(51, 2, 0)],
        ),
        (
            "a nanosecond of the advert timer",
            0,
            vec![wait(10 * SECOND), wait(1)],
            vec![wait(10 * SECOND), wait(2)],
        ),
        ("who was heard last", 0, vec![hear(51, 1, 200)], vec![hear(51, 2, 200)]),
        (
            "a nanosecond of the preempt hold",
            0,
            vec![hear(52, 1, 50), wait(SECOND), hear(52, 1, 50)],
            vec![wait(1), hear(52, 1, 50), wait(SECOND - 1), hear(52, 1, 50)],
        ),
        ("what was named", 0, vec![bad_ttl.clone()], stay()),
        (
            "how many rounds were refused",
            0,
            vec![master.clone(), refused(), wait(SECOND)],
            vec![master.clone(), refused(), wait(2 * SECOND)],
        ),
        (
            "an advert that nobody answered",
            0,
            vec![wait(4 * SECOND), hold(), wait(SECOND)],
            vec![wait(4 * SECOND), wait(SECOND)],
        ),
        (
            "an address that the kernel has not added yet",
            0,
            vec![hold(), master.clone()],
            vec![master.clone()],
        ),
        ("a filter", 2, vec![hold(), wait(3_300 * MILLISECOND)], vec![wait(3_300 * MILLISECOND)]),
        ("whose address it is", 3, vec![present(3), gone(3), present(3)], vec![Op::Tick]),
        ("the priority in force", 0, vec![tracker(1)], vec![tracker(2)]),
        (
            "a tracker",
            0,
            vec![Op::Tracker { name: 0, value: TrackerValue::Up }],
            vec![Op::Tracker { name: 0, value: TrackerValue::Down }],
        ),
        ("the order of addresses", 0, vec![present(5), gone(0), present(0)], vec![present(5)]),
        (
            "a link that nobody uses yet",
            0,
            vec![Op::Link { interface: 1, state: LinkState::Up }],
            vec![Op::Link { interface: 1, state: LinkState::Down }],
        ),
        ("that it was stopped", 0, vec![hold(), Op::Shutdown], vec![hold()]),
        (
            "the second announcement",
            0,
            vec![wait(3_700 * MILLISECOND), hear(51, 1, 50), wait(SECOND)],
            vec![wait(3_700 * MILLISECOND), hear(51, 1, 0), wait(SECOND)],
        ),
    ];
    for (what, which, one, other) in pairs {
        let (one, other) = (world(which, &one), world(which, &other));
        assert_ne!(one.fingerprint(), other.fingerprint(), "{what}");
    }
}

#[test]
fn how_often_a_rival_was_heard_counts_until_it_is_forgotten() {
    // The rules of config 2 answer a lower advert with silence, so that only the count differs.
    let heard = |times: u64| {
        let mut world = World::new(Timestamp::ZERO, 2);
        world.apply(&Op::Wait(5 * SECOND));
        for _ in times..2 {
            world.apply(&Op::Wait(600 * MILLISECOND));
        }
        for _ in 0..times {
            world.apply(&Op::Wait(600 * MILLISECOND));
            world.apply(&Op::Hear(with_list_of_config_two(Heard::plain(51, 1, 50))));
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

/// The owner's advert counts whatever it lists (RFC 3768 section 7.1), but is higher: so the list
/// must be right.
fn with_list_of_config_two(heard: Heard) -> Heard {
    Heard { extra: Some([10, 0, 0, 102]), ..heard }
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
    let stray = Op::StrayAnswer { instance: 0, number: 7, result: Ok(()) };
    busy.apply(&stray);
    assert_eq!(quiet.fingerprint(), busy.fingerprint(), "an answer nobody waits for");
    assert_eq!(InstanceId(0), busy.engine.status().instances().next().unwrap().id());
}
