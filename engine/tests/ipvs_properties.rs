//! What holds of the director for any configurations, checks, orders, failures, lost answers and
//! changes by somebody else: once it is quiet the kernel has what is wanted and nothing more.

mod ipvs_world;

use std::collections::{BTreeMap, BTreeSet};

use ipvs_world::Tables;
use ipvs_world::stage::{Op, Stage, op, others, plain};
use proptest::prelude::*;
use vipd_engine::Timestamp;
use vipd_engine::ipvs::{Effect, READ_BACK_EVERY};

/// Commands that it takes at least from one table to the other.
fn distance(before: &Tables, after: &Tables) -> usize {
    let gone = before.keys().filter(|service| !after.contains_key(service)).count();
    let each = after.iter().map(|(service, (spec, destinations))| match before.get(service) {
        None => 1 + destinations.len(),
        Some((old, there)) => {
            let keys: BTreeSet<_> = there.keys().chain(destinations.keys()).collect();
            let changed = keys.iter().filter(|key| there.get(key) != destinations.get(key)).count();
            changed + usize::from(old != spec)
        }
    });
    gone + each.sum::<usize>()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256, max_global_rejects: 4096, ..ProptestConfig::default()
    })]

    #[test]
    fn once_it_is_quiet_the_kernel_has_what_is_wanted_and_what_is_others_is_untouched(
        ops in prop::collection::vec(op(), 1..40),
        stop in prop::bool::weighted(0.3),
    ) {
        let mut stage = Stage::new(Timestamp::from_nanos(1));
        let (key, value) = others();
        stage.world.kernel.table.insert(key, value.clone());
        ops.iter().for_each(|op| stage.apply(op));
        if stop {
            stage.apply(&Op::Stop);
        }
        stage.calm();
        prop_assert_eq!(stage.world.kernel.table.get(&key), Some(&value));
        let wanted = stage.wanted();
        prop_assert_eq!(stage.ours(), wanted.clone());
        prop_assert_eq!(stage.stopped, stage.world.ipvs.is_stopped());
        let config = stage.config.as_ref().filter(|_| !stage.stopped);
        let daemon = config.and_then(|config| config.sync_daemon.as_ref());
        if let Some(daemon) = daemon {
            let ids: BTreeSet<_> = stage.world.kernel.sync.values().map(|spec| spec.id).collect();
            prop_assert_eq!(ids, BTreeSet::from([daemon.id]));
            let threads = stage.world.kernel.sync.len();
            prop_assert_eq!(threads, if daemon.instance.is_some() { 1 } else { 2 });
        } else {
            // One of somebody else that was never read of stays, and none of ours.
            let kernel = &stage.world.kernel;
            prop_assert!(kernel.sync.keys().all(|role| kernel.foreign.contains(role)));
        }
        if let Some(tcp) = config.and_then(|config| config.timeouts.tcp) {
            prop_assert_eq!(stage.world.kernel.timeouts.tcp, Some(tcp));
        }
        // And then it is: no command, whatever time passes.
        stage.world.log.clear();
        stage.world.wait(READ_BACK_EVERY * 2);
        prop_assert_eq!(stage.world.commands(), vec![]);
        prop_assert_eq!(stage.ours(), wanted);
    }

    #[test]
    fn without_failures_the_kernel_has_what_is_wanted_as_soon_as_it_answered(
        ops in prop::collection::vec(
            prop_oneof![3 => plain(), 2 => any::<bool>().prop_map(Op::Hold)], 1..40,
        ),
    ) {
        let mut stage = Stage::new(Timestamp::ZERO);
        ops.iter().for_each(|op| stage.apply(op));
        stage.world.release();
        prop_assert_eq!(stage.ours(), stage.wanted());
        prop_assert_eq!(stage.world.kernel.table.len(), stage.wanted().len());
    }

    #[test]
    fn no_change_takes_more_commands_than_there_are_differences(
        ops in prop::collection::vec(op(), 1..20),
        changes in prop::collection::vec(plain(), 1..6),
    ) {
        let mut stage = Stage::new(Timestamp::ZERO);
        ops.iter().for_each(|op| stage.apply(op));
        stage.calm();
        for change in &changes {
            let before = stage.ours();
            let (sync, timeouts) = (stage.world.kernel.sync.clone(), stage.world.kernel.timeouts);
            stage.world.log.clear();
            let foreign: BTreeSet<_> = stage.world.kernel.table.keys().copied()
                .filter(|key| !before.contains_key(key)).collect();
            stage.apply(change);
            // What is there and becomes ours is read first, which is no matter of this test.
            prop_assume!(stage.wanted().keys().all(|key| !foreign.contains(key)));
            prop_assert_eq!(stage.ours(), stage.wanted(), "at once, after {:?}", change);
            prop_assume!(sync == stage.world.kernel.sync);
            prop_assume!(timeouts == stage.world.kernel.timeouts);
            let commands = stage.world.commands();
            let services = commands.iter().filter(|command| {
                !command.to_string().contains("sync") && !command.to_string().contains("timeouts")
            }).count();
            prop_assert_eq!(services, distance(&before, &stage.ours()), "{:?}", commands);
        }
    }

    #[test]
    fn the_same_inputs_at_shifted_times_give_the_same_effects_and_fingerprints(
        shift in prop_oneof![Just(1), 0..u64::MAX / 4],
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut one = Stage::new(Timestamp::ZERO);
        let mut other = Stage::new(Timestamp::from_nanos(shift));
        for op in &ops {
            one.apply(op);
            other.apply(op);
            prop_assert_eq!(one.world.fingerprint(), other.world.fingerprint(), "after {:?}", op);
            prop_assert_eq!(one.world.log.split_off(0), other.world.log.split_off(0));
        }
    }

    #[test]
    fn wherever_two_fingerprints_of_one_history_are_equal_so_are_their_futures(
        history in prop::collection::vec(op(), 1..40),
        after in prop::collection::vec(op(), 1..12),
    ) {
        let mut stage = Stage::new(Timestamp::ZERO);
        let mut seen = BTreeMap::<u64, Stage>::new();
        let mut compared = 0;
        for op in &history {
            stage.apply(op);
            stage.world.log.clear();
            // The kernel and what waits for it are a matter of the world, not of the director.
            stage.world.release();
            stage.world.log.clear();
            let earlier = seen.insert(stage.world.fingerprint(), stage.clone());
            if let Some(mut earlier) = earlier.filter(|_| compared < 4) {
                compared += 1;
                let mut later = stage.clone();
                earlier.world.kernel = later.world.kernel.clone();
                earlier.world.fates = later.world.fates.clone();
                earlier.world.catch_up();
                later.world.catch_up();
                earlier.world.kernel = later.world.kernel.clone();
                earlier.states.clone_from(&later.states);
                for op in &after {
                    earlier.apply(op);
                    later.apply(op);
                    let did = |stage: &mut Stage| without_numbers(stage.world.log.split_off(0));
                    prop_assert_eq!(did(&mut earlier), did(&mut later), "after {:?}", op);
                    prop_assert_eq!(earlier.world.fingerprint(), later.world.fingerprint());
                }
            }
        }
    }
}

/// Numbers of batches and reads are a book.
fn without_numbers(mut log: Vec<Effect>) -> Vec<Effect> {
    for effect in &mut log {
        match effect {
            Effect::Batch(batch) => batch.number = 0,
            Effect::Read(read) => read.number = 0,
            Effect::Rest { .. } | Effect::InForce | Effect::News(_) => {}
        }
    }
    log
}
