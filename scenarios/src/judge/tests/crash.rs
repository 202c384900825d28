//! S4 at its bound: who becomes master once one of three crashes.

use super::record::*;
use crate::judge::{PropertyId, Verdict};
use crate::record::MachineChange;

/// Three routers at 10 ms; a crashes, c is first and b, the best, 50 µs later. c goes on for so
/// long beside b.
fn crash_of_three(priorities: &[i64], overlap: u64) -> Run {
    let mut run = Run::new(priorities).version_3(10 * MS);
    run.start_all();
    run.takes_over(40 * MS, 0);
    run.adverts(40 * MS, 105 * MS, 0);
    run.machine(105 * MS, 0, MachineChange::Off);
    run.takes_over(134 * MS, 2);
    run.advert(134 * MS, 2);
    let best = 134 * MS + 50_000;
    run.takes_over(best, 1);
    run.adverts(best, 400 * MS, 1);
    run.advert(best + overlap, 2);
    run.yields(best + overlap, 2);
    run
}

#[test]
fn s4_a_transient_dual_after_a_crash_is_no_longer_than_d_and_a_handler() {
    at_the_bound(PropertyId::S4, DELAY + LATE, |extra| {
        crash_of_three(&[200, 150, 149], DELAY + LATE + extra).judged(PropertyId::S4, 400 * MS)
    });
}

#[test]
fn s4_a_backup_far_below_the_best_one_must_not_become_master() {
    let report = crash_of_three(&[200, 150, 50], 1).judged(PropertyId::S4, 400 * MS);
    is(&report, Verdict::Violated, "c became master although b is far better");
}

#[test]
fn s4_is_not_provided_where_adverts_were_lost_before_the_crash() {
    let mut run = crash_of_three(&[200, 150, 50], 1);
    run.lost(101 * MS, 0, 200);
    is(&run.judged(PropertyId::S4, 400 * MS), Verdict::NotProvided, "before the crash");
}

#[test]
fn s4_is_not_provided_where_the_crash_parts_backups_that_do_not_hear_each_other() {
    for lowest in [149, 50] {
        let mut run = crash_of_three(&[200, 150, lowest], DELAY + LATE + 1);
        run.cut(50 * MS, 1, 2);
        let report = run.judged(PropertyId::S4, 400 * MS);
        is(&report, Verdict::NotProvided, "c does not hear b");
    }
}
