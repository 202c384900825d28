//! What a million random schedules brought up about resignations: what the judge must
//! not blame, and beside it what it must go on to blame.

use std::time::Duration;

use vipd_engine::StateKind;

use super::hunted::pair;
use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange};

const KILLED: u64 = 10 * SECOND;
/// How long whoever heard a resignation answers who resigned.
const ANSWERS: u64 = SECOND + DELAY + 2 * LATE;

/// a is master again, beside b, which answers once more and then yields.
fn preempted(mut run: Run, again: u64) -> PropertyReport {
    run.takes_over(again, 0);
    run.adverts(again, 30 * SECOND, 0);
    let yields = again + 3 * DELAY + RELEASE + LATE;
    run.advert(yields, 1);
    run.yields(yields, 1);
    run.judged(PropertyId::S5, 30 * SECOND)
}

/// a is killed, so long after somebody forged its resignation or that of `name`; b follows early.
fn killed_after_a_forged_resignation(before: u64, name: u8) -> PropertyReport {
    let mut run = pair(KILLED);
    run.forge(KILLED - before, 1, name, 0);
    run.process(KILLED, 0, ProcessChange::Killed);
    run.takes_over(KILLED + SECOND, 1);
    run.advert(KILLED + SECOND, 1);
    run.judged(PropertyId::L1, KILLED + SECOND + 1)
}

#[test]
fn l1_a_forged_resignation_of_the_master_counts_like_a_true_one() {
    assert_eq!(killed_after_a_forged_resignation(2 * SECOND, 1).verdict, Verdict::Held);
    is(&killed_after_a_forged_resignation(2 * SECOND + 1, 1), Verdict::Violated, "too early");
    is(&killed_after_a_forged_resignation(2 * SECOND, 77), Verdict::Violated, "too early");
}

#[test]
fn l1_a_forged_resignation_counts_from_when_one_that_stood_still_goes_on() {
    let killed = |before: u64| {
        let mut run = pair(KILLED);
        run.process(5 * SECOND, 1, ProcessChange::Paused);
        run.forge(6 * SECOND, 1, 1, 0);
        run.process(KILLED - before, 1, ProcessChange::Resumed);
        run.process(KILLED, 0, ProcessChange::Killed);
        run.takes_over(KILLED + SECOND, 1);
        run.advert(KILLED + SECOND, 1);
        run.judged(PropertyId::L1, KILLED + SECOND + 1)
    };
    assert_eq!(killed(2 * SECOND).verdict, Verdict::Held);
    is(&killed(2 * SECOND + 1), Verdict::Violated, "too early");
}

/// a was frozen and resigns as it goes on, if it does. b was paused shortly before that and goes
/// on so long before a is master again.
fn resigned_after_a_silence(resigns: bool, before: u64) -> PropertyReport {
    let (frozen, thawed) = (6 * SECOND, 20 * SECOND);
    let mut run = pair(frozen);
    run.machine(frozen, 0, MachineChange::Frozen { clock: false });
    let b_master = frozen + B_MASTER;
    run.takes_over(b_master, 1);
    run.adverts(b_master, 19 * SECOND, 1);
    run.process(19 * SECOND, 1, ProcessChange::Paused);
    run.machine(thawed, 0, MachineChange::Thawed);
    if resigns {
        run.advert_to(thawed, 0, 0, &[1]);
    }
    run.state(thawed, 0, StateKind::Master, StateKind::Fault);
    run.owns(thawed, 0, false);
    run.state(thawed, 0, StateKind::Fault, StateKind::Backup);
    let again = thawed + A_MASTER;
    run.process(again - before, 1, ProcessChange::Resumed);
    run.advert(again - before, 1);
    preempted(run, again)
}

#[test]
fn l2_a_resignation_counts_where_the_engines_word_of_it_came_first() {
    let judged = |before: u64, after: u64| {
        let mut run = Run::new(&[200, 100]);
        run.setting.tolerance = Duration::from_nanos(10 * MS);
        run.a_is_master(10 * SECOND);
        run.process(10 * SECOND, 0, ProcessChange::Stopping);
        run.state(10 * SECOND, 0, StateKind::Master, StateKind::Initialize);
        let resigned = 10 * SECOND + before;
        run.advert_to(resigned, 0, 0, &[1]);
        run.process(resigned, 0, ProcessChange::Stopped);
        run.takes_over(resigned + after, 1);
        run.adverts(resigned + after, 30 * SECOND, 1);
        run.judged(PropertyId::L2, 30 * SECOND)
    };
    let bound = skew(100) + DELAY + 2 * LATE + 10 * MS;
    for before in [0, MS, 10 * MS] {
        at_the_bound(PropertyId::L2, bound, |extra| judged(before, bound + extra));
    }
    is(&judged(10 * MS + 1, bound), Verdict::NotExercised, "no master resigned");
}

#[test]
fn s5_a_master_that_was_silent_until_it_resigned_was_master_all_along() {
    let near = resigned_after_a_silence(true, SECOND / 2);
    is(&near, Verdict::NotProvided, "a had just resigned");
    is(&resigned_after_a_silence(true, ANSWERS + 1), Verdict::Violated, "b went on beside it");
    is(&resigned_after_a_silence(false, SECOND / 2), Verdict::Violated, "b went on beside it");
}

/// b becomes master by a resignation of a and stands still right after it, with or without its
/// clock. It goes on `before` a is master again.
fn stood_still_after_a_resignation(clock: bool, before: u64) -> PropertyReport {
    let mut run = pair(KILLED);
    run.stop(KILLED, 0);
    run.start(KILLED, 0);
    run.machine(KILLED + DELAY + LATE + 1, 1, MachineChange::Frozen { clock });
    let again = KILLED + A_MASTER;
    run.machine(again - before, 1, MachineChange::Thawed);
    run.takes_over(again - before, 1);
    run.advert(again - before, 1);
    preempted(run, again)
}

#[test]
fn s5_what_a_resignation_begins_lasts_as_long_as_a_clock_stands_still() {
    // Until the freeze it had answered for D + L already, counted from when a resigned.
    let rest = ANSWERS - (DELAY + LATE + 1);
    let near = stood_still_after_a_resignation(true, rest);
    is(&near, Verdict::NotProvided, "a had just resigned");
    let far = stood_still_after_a_resignation(true, rest + 1);
    is(&far, Verdict::Violated, "b went on beside it");
    is(&stood_still_after_a_resignation(false, rest), Verdict::Violated, "b went on beside it");
}

/// c stands still while a resigns and comes back, reads both when it goes on at 14 s, and becomes
/// master a second after a crash of a, which is so long after that.
fn crash_after_a_resignation_that_waited(after: u64) -> PropertyReport {
    let (resigns, back) = (10 * SECOND, 14 * SECOND);
    let mut run = Run::new(&[200, 150, 50]);
    run.a_is_master(resigns);
    run.process(9 * SECOND, 2, ProcessChange::Paused);
    run.stop(resigns, 0);
    run.start(resigns, 0);
    let again = resigns + A_MASTER;
    run.takes_over(again, 0);
    run.process(back, 2, ProcessChange::Resumed);
    run.adverts(again, back + after, 0);
    run.machine(back + after, 0, MachineChange::Off);
    let taken = back + after + SECOND;
    run.takes_over(taken, 2);
    run.advert(taken, 2);
    run.judged(PropertyId::S4, taken + 1)
}

#[test]
fn s4_a_resignation_that_waited_explains_a_crash_within_two_intervals() {
    let explained = 2 * SECOND;
    let report = crash_after_a_resignation_that_waited(explained);
    is(&report, Verdict::NotProvided, "c had read a resignation shortly before");
    let report = crash_after_a_resignation_that_waited(explained + 1);
    is(&report, Verdict::Violated, "c became master although b is far better");
}
