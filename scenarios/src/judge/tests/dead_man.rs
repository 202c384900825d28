//! S8 at its bound: the lease, counted from the last advert of an engine that then stops.

use std::time::Duration;

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange};

/// The last advert before it stops at `STOPS`.
const LAST: u64 = A_MASTER + 6 * SECOND;
const STOPS: u64 = 10 * SECOND;
const LEASE: u64 = 1_500 * MS;
/// The gate takes as long as any command.
const BOUND: u64 = LEASE + RELEASE;
const END: u64 = 30 * SECOND;

/// a is master, with a lease or without, and its engine stops.
fn run(lease: Option<u64>) -> Run {
    let dead_man = lease.map(Duration::from_nanos);
    let mut run = Run::new(&[200, 100]).with(0, |config| config.dead_man = dead_man);
    run.a_is_master(STOPS);
    run
}

fn process(change: ProcessChange, gone: u64) -> PropertyReport {
    let mut run = run(Some(LEASE));
    run.process(STOPS, 0, change);
    run.owns(gone, 0, false);
    run.judged(PropertyId::S8, END)
}

#[test]
fn s8_a_stopped_or_killed_process_owns_for_its_lease_after_its_last_advert() {
    for change in [ProcessChange::Paused, ProcessChange::Killed] {
        at_the_bound(PropertyId::S8, BOUND, |extra| process(change, LAST + BOUND + extra));
    }
}

#[test]
fn s8_is_violated_by_an_address_that_stays_to_the_end() {
    let mut run = run(Some(LEASE));
    run.process(STOPS, 0, ProcessChange::Killed);
    let report = run.judged(PropertyId::S8, END);
    is(&report, Verdict::Violated, "the kernel of a owned 10.0.0.100 for");
}

#[test]
fn s8_is_held_by_an_engine_that_goes_on_within_its_lease_and_violated_by_a_later_one() {
    at_the_bound(PropertyId::S8, BOUND, |extra| {
        let mut run = run(Some(LEASE));
        run.process(STOPS, 0, ProcessChange::Paused);
        run.process(LAST + BOUND + extra, 0, ProcessChange::Resumed);
        run.judged(PropertyId::S8, END)
    });
}

/// The machine of a stands still and owns the address again when it goes on.
fn frozen(clock: bool) -> PropertyReport {
    let mut run = run(Some(LEASE));
    run.machine(STOPS, 0, MachineChange::Frozen { clock });
    run.owns(STOPS, 0, false);
    run.machine(20 * SECOND, 0, MachineChange::Thawed);
    run.owns(20 * SECOND, 0, true);
    run.judged(PropertyId::S8, END)
}

#[test]
fn s8_is_violated_by_a_machine_that_goes_on_and_owns_again_unless_its_clock_stood_still_too() {
    is(&frozen(false), Verdict::Violated, "the kernel of a owned 10.0.0.100 for");
    is(&frozen(true), Verdict::NotProvided, "only S1 holds");
}

/// The machine stood still once already since the last advert, for 100 ms.
fn frozen_twice(clock: bool, until: u64) -> PropertyReport {
    let mut run = run(Some(LEASE));
    let mut freeze = |from: u64, clock: bool, until: u64| {
        run.machine(from, 0, MachineChange::Frozen { clock });
        run.owns(from, 0, false);
        run.machine(until, 0, MachineChange::Thawed);
        run.owns(until, 0, true);
    };
    freeze(LAST + 200 * MS, clock, LAST + 300 * MS);
    freeze(LAST + 400 * MS, false, until);
    run.judged(PropertyId::S8, END)
}

#[test]
fn s8_a_lease_is_longer_by_as_long_as_the_clock_stood_still_in_it() {
    let longer = BOUND + 100 * MS;
    at_the_bound(PropertyId::S8, longer, |extra| frozen_twice(true, LAST + longer + extra));
    at_the_bound(PropertyId::S8, BOUND, |extra| frozen_twice(false, LAST + BOUND + extra));
}

#[test]
fn s8_is_not_provided_to_an_engine_without_a_lease() {
    let mut run = run(None);
    run.process(STOPS, 0, ProcessChange::Killed);
    is(&run.judged(PropertyId::S8, END), Verdict::NotProvided, "a has no `dead_man`");
}

#[test]
fn s8_is_not_exercised_while_every_engine_goes_on() {
    let report = run(Some(LEASE)).judged(PropertyId::S8, END);
    is(&report, Verdict::NotExercised, "no engine with a lease stopped");
}
