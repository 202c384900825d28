//! S11 at its bounds.

use std::time::Duration;

use vipd_engine::StateKind;

use super::record::*;
use super::safety::{HEALED, cut_and_heal, split};
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::MachineChange;

/// The client's cache points to b until so long after the dual interval.
fn stale_cache(mut run: Run, repaired: u64) -> PropertyReport {
    run.neighbour(B_MASTER, CLIENT, 1);
    run.neighbour(HEALED + repaired, CLIENT, 0);
    run.judged(PropertyId::S11, 90 * SECOND)
}

#[test]
fn s11_a_survivor_that_heard_the_loser_announces_again_within_the_announcement_delay() {
    let bound = SECOND + DELAY + 5 * SECOND + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| {
        stale_cache(cut_and_heal(MS, 2 * MS, true), 2 * MS + bound + extra)
    });
}

#[test]
fn s11_a_survivor_whose_address_came_after_the_loser_had_left_its_state_announces_again() {
    // b preempts a's backup and both data planes overlap later than both states.
    let at = 20 * SECOND;
    let bound = SECOND + DELAY + 5 * SECOND + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| {
        let mut run = Run::new(&[100, 200]);
        run.start(0, 0);
        run.takes_over(B_MASTER, 0);
        run.adverts(B_MASTER, at, 0);
        run.start(at - 4 * SECOND, 1);
        run.state(at, 1, StateKind::Backup, StateKind::Master);
        run.adverts(at, 90 * SECOND, 1);
        run.state(at + MS, 0, StateKind::Master, StateKind::Backup);
        run.owns(at + 2 * MS, 1, true);
        run.owns(at + 3 * MS, 0, false);
        run.neighbour(B_MASTER, CLIENT, 0);
        run.neighbour(at + 3 * MS + bound + extra, CLIENT, 1);
        run.judged(PropertyId::S11, 90 * SECOND)
    });
}

/// b is master for a moment, which a hears; its address comes after that, for as short a moment.
fn address_after_the_state(after: u64) -> PropertyReport {
    let mut run = Run::new(&[200, 100]);
    run.setting.tolerance = Duration::from_millis(50);
    run.a_is_master(90 * SECOND);
    let at = 20 * SECOND + 10 * MS;
    run.state(at, 1, StateKind::Backup, StateKind::Master);
    run.advert_to(at, 1, 100, &[0]);
    run.state(at + MS, 1, StateKind::Master, StateKind::Backup);
    run.owns(at + after, 1, true);
    run.owns(at + after + MS, 1, false);
    run.neighbour(at + after, CLIENT, 1);
    run.neighbour(at + after + MS, CLIENT, 0);
    run.judged(PropertyId::S11, 90 * SECOND)
}

#[test]
fn s11_an_address_that_comes_just_after_its_state_belongs_to_the_same_dual_interval() {
    assert_eq!(address_after_the_state(2 * MS).verdict, Verdict::Held);
    // Later, the survivor has no reason to announce again: what is left is the next refresh.
    let later = address_after_the_state(200 * MS);
    assert!(later.bound > address_after_the_state(2 * MS).bound, "{later:?}");
}

#[test]
fn s11_a_survivor_that_heard_nothing_repairs_the_caches_within_a_refresh() {
    let bound = 60 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| {
        stale_cache(cut_and_heal(MS, 2 * MS, false), 2 * MS + bound + extra)
    });
}

/// The machine of a stands still for so long in the dual interval, with its clock if `clock`.
fn goes_on_in_a_dual_interval(stands: u64, clock: bool, repaired: u64) -> PropertyReport {
    let mut run = cut_and_heal(MS, 2 * MS, false);
    run.machine(HEALED - MS - stands, 0, MachineChange::Frozen { clock });
    run.owns(HEALED - MS - stands, 0, false);
    run.machine(HEALED - MS, 0, MachineChange::Thawed);
    run.owns(HEALED - MS, 0, true);
    stale_cache(run, 2 * MS + repaired)
}

#[test]
fn s11_a_machine_that_goes_on_in_a_dual_interval_has_nothing_new_to_announce() {
    let bound = 60 * SECOND + DELAY + 2 * LATE;
    for (stands, clock) in [(3 * SECOND + 2 * LATE, false), (5 * SECOND, true)] {
        at_the_bound(PropertyId::S11, bound, |extra| {
            goes_on_in_a_dual_interval(stands, clock, bound + extra)
        });
    }
}

#[test]
fn s11_a_machine_that_stood_still_for_three_intervals_of_its_clock_announces_again() {
    let bound = SECOND + DELAY + 5 * SECOND + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| {
        goes_on_in_a_dual_interval(3 * SECOND + 2 * LATE + 1, false, bound + extra)
    });
}

#[test]
fn s11_is_not_provided_if_nothing_is_heard_and_nothing_is_refreshed() {
    let mut run = Run::new(&[200, 100]).with(0, |config| config.announcements.refresh = None);
    split(&mut run, MS, 2 * MS, false);
    let report = stale_cache(run, 80 * SECOND);
    is(&report, Verdict::NotProvided, "a neither announces again nor refreshes");
}

#[test]
fn s11_needs_a_neighbour_entry() {
    let report = cut_and_heal(MS, 2 * MS, true).judged(PropertyId::S11, 90 * SECOND);
    is(&report, Verdict::NotExercised, "neighbour entry");
}
