//! Files that come between two adverts: what the others have heard by then, and what they have not.

use vipd_engine::{Interval, Priority, StateKind, Version};

use super::hunted::pair;
use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange};

/// A file gives a the priority 47 between two adverts, or for as long as one of them; then it is
/// killed, and b takes over so long after that.
fn killed_after_a_low_advert(heard: bool, after: u64) -> PropertyReport {
    let killed = A_MASTER + 7 * SECOND + 500 * MS;
    let low = A_MASTER + 6 * SECOND + 500 * MS;
    let mut run = pair(low);
    let lowered = |run: Run, at: u64, priority: i64| {
        let mut run = run.with(0, |config| config.priority = Priority::new(priority).unwrap());
        run.reload(at, 0);
        run
    };
    run = lowered(run, low, 47);
    if heard {
        run.advert(A_MASTER + 7 * SECOND, 0);
    }
    run = lowered(run, A_MASTER + 7 * SECOND + 100 * MS, 200);
    if !heard {
        run.advert(A_MASTER + 7 * SECOND + 100 * MS, 0);
    }
    run.process(killed, 0, ProcessChange::Killed);
    run.takes_over(killed + after, 1);
    run.advert(killed + after, 1);
    run.judged(PropertyId::L1, killed + after + 1)
}

#[test]
fn l1_a_backup_preempts_a_crashed_master_whose_last_advert_was_lower() {
    // Three intervals and its skew after the last advert that was higher.
    let early = 3 * SECOND + skew(100) + DELAY - 1500 * MS;
    assert_ne!(killed_after_a_low_advert(true, early).verdict, Verdict::Violated);
    is(&killed_after_a_low_advert(false, early), Verdict::Violated, "too early");
}

/// In v3, a has the interval `then` from 500 ms after an advert on, and for a second. The next two
/// adverts are lost, and b takes over as its timer has it.
fn two_lost(then: u64) -> PropertyReport {
    let every = |run: Run, interval: u64, at: u64| {
        let interval = Interval::from_centiseconds((interval / MS / 10) as i64).unwrap();
        let mut run = run.with(0, |config| config.interval = interval);
        run.reload(at, 0);
        run
    };
    let last = A_MASTER + 6 * SECOND;
    let mut run = Run::new(&[200, 100]).version_3(SECOND);
    run.a_is_master(last + 1);
    let mut run = every(run, then, last + 500 * MS);
    run.lost(last + SECOND, 0, 200);
    let mut run = every(run, SECOND, last + 1500 * MS);
    run.lost(last + 2500 * MS, 0, 200);
    let taken = last + DELAY + 3 * SECOND + skew(100);
    run.takes_over(taken, 1);
    run.advert(taken, 1);
    run.judged(PropertyId::S3, taken + 1)
}

#[test]
fn s3_lost_adverts_are_as_far_apart_as_the_longest_interval_since_the_last_one_that_was_heard() {
    is(&two_lost(2 * SECOND), Verdict::NotProvided, "2 adverts of a in a row were lost");
    is(&two_lost(SECOND), Verdict::Violated, "b took over");
}

/// In v3, a has the interval `before` until a file gives it a second, 900 ms after b became master
/// beside it; b yields so long after it began.
fn beside_a_slow_one(before: u64, after: u64) -> PropertyReport {
    let every = |run: Run, interval: u64| {
        let interval = Interval::from_centiseconds((interval / MS / 10) as i64).unwrap();
        run.with(0, |config| config.interval = interval)
    };
    let began = A_MASTER + 200 * MS;
    let mut run = every(Run::new(&[200, 100]).version_3(SECOND), before);
    run.start_all();
    run.takes_over(A_MASTER, 0);
    run.advert_to(A_MASTER, 0, 200, &[]);
    run.takes_over(began, 1);
    run.advert_to(began, 1, 100, &[]);
    let mut run = every(run, SECOND);
    run.reload(began + 900 * MS, 0);
    run.advert_to(began + SECOND, 1, 100, &[0]);
    run.advert(began + SECOND + DELAY, 0);
    run.advert_to(began + after, 1, 100, &[]);
    run.yields(began + after, 1);
    run.judged(PropertyId::S1, began + after + 1)
}

#[test]
fn s1_two_masters_coexist_for_the_longest_interval_that_the_higher_one_had_meanwhile() {
    // It answers the second advert of the lower one before its own is due.
    let answered = SECOND + 2 * DELAY + 3 * LATE;
    at_the_bound(PropertyId::S1, answered, |extra| beside_a_slow_one(2 * SECOND, answered + extra));
    let own = SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S1, own, |extra| beside_a_slow_one(SECOND, own + extra));
}

/// The machine of a stands still for 15 s with its clock. b is master meanwhile, both with these
/// versions, stops, and starts anew with v2; then a goes on, reads v2, too, and finds one of the
/// adverts of b. The client's entry is right again so long after that.
fn came_back_beside_another_file(of: [Version; 2], repaired: u64) -> PropertyReport {
    let (stands, back, ends) = (10 * SECOND, 25 * SECOND, 99 * SECOND);
    let run = Run::new(&[200, 100]).with(0, |config| config.version = of[0]);
    let mut run = run.with(1, |config| config.version = of[1]);
    run.a_is_master(stands);
    run.machine(stands, 0, MachineChange::Frozen { clock: true });
    run.owns(stands, 0, false);
    run.neighbour(15 * SECOND, CLIENT, 1);
    let b_master = stands + B_MASTER;
    run.takes_over(b_master, 1);
    run.adverts_to(b_master, 20 * SECOND, 1, &[]);
    run.stop(20 * SECOND, 1);
    run.advert_to(back - DELAY, 1, 100, &[0]);
    let run = run.with(0, |config| config.version = Version::V2);
    let mut run = run.with(1, |config| config.version = Version::V2);
    run.start(back, 1);
    run.machine(back, 0, MachineChange::Thawed);
    run.reload(back, 0);
    run.owns(back, 0, true);
    run.adverts(back, ends, 0);
    run.neighbour(back + repaired, CLIENT, 0);
    run.judged(PropertyId::L6, ends - SECOND)
}

#[test]
fn l6_who_stood_still_heard_the_other_master_if_it_took_its_adverts_as_they_were() {
    let refresh = 60 * SECOND + DELAY + 2 * LATE;
    for discarded in [[Version::V2, Version::V3], [Version::V3, Version::V3]] {
        let report = came_back_beside_another_file(discarded, refresh);
        is(&report, Verdict::NotProvided, "until the next refresh");
    }
    let taken = came_back_beside_another_file([Version::V2, Version::V2], refresh);
    is(&taken, Verdict::Violated, "the cache of client");
}

/// b speaks v3 beside a until its file fits at 20 s, and yields with an advert so long after that;
/// the client's cache points to b.
fn yields_after_a_mismatch(after: u64, repaired: u64) -> PropertyReport {
    let fits = 20 * SECOND;
    let mut run = Run::new(&[200, 100]).with(1, |config| config.version = Version::V3);
    run.a_is_master(95 * SECOND);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, fits, 1);
    run.neighbour(B_MASTER, CLIENT, 1);
    let mut run = run.with(1, |config| config.version = Version::V2);
    run.reload(fits, 1);
    run.advert_to(fits + after, 1, 100, &[0]);
    run.yields(fits + after, 1);
    run.neighbour(fits + after + repaired, CLIENT, 0);
    run.judged(PropertyId::S11, 90 * SECOND)
}

#[test]
fn s11_an_advert_that_may_have_left_before_the_end_of_a_mismatch_is_not_one_that_was_heard() {
    let refresh = 60 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S11, refresh, |extra| yields_after_a_mismatch(LATE, refresh + extra));
    let announced = SECOND + DELAY + 5 * SECOND + 2 * LATE;
    at_the_bound(PropertyId::S11, announced, |extra| {
        yields_after_a_mismatch(LATE + 1, announced + extra)
    });
}

/// a comes out of Fault and gets a file that says 200 so long after that instead of 240; it is
/// master so long after it came back.
fn back_with_another_file(reloaded: u64, after: u64) -> PropertyReport {
    let prefers = |run: Run, priority: i64| {
        run.with(0, |config| config.priority = Priority::new(priority).unwrap())
    };
    let back = 10 * SECOND;
    let mut run = prefers(Run::new(&[200, 100]), 240);
    run.start_all();
    run.state(0, 0, StateKind::Backup, StateKind::Fault);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, 30 * SECOND, 1);
    run.state(back, 0, StateKind::Fault, StateKind::Backup);
    let mut run = prefers(run, 200);
    run.reload(back + reloaded, 0);
    run.takes_over(back + after, 0);
    run.advert(back + after, 0);
    run.judged(PropertyId::L3, back + after + 1)
}

#[test]
fn l3_a_router_comes_back_with_what_a_file_says_at_the_same_instant() {
    let bound = 3 * SECOND + skew(200) + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L3, bound, |extra| back_with_another_file(0, bound + extra));
    // One that comes later is a fault of its own.
    let later = back_with_another_file(1, bound + 1);
    is(&later, Verdict::NotExercised, "no better node");
}
