//! What random schedules brought up about the judge.

use vipd_engine::{StateKind, Vrid};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::ProcessChange;

const A_MASTER: u64 = 3 * SECOND + skew(200);
const KILLED: u64 = 10 * SECOND;
const B_MASTER: u64 = KILLED + 3 * SECOND + skew(100);
const AGAIN: u64 = 20 * SECOND;
const W: u64 = SECOND + DELAY + 2 * LATE;

/// a is master and b its backup.
fn pair(until: u64) -> Run {
    let mut run = Run::new(&[200, 100]);
    run.start_all();
    run.takes_over(A_MASTER, 0);
    run.adverts(A_MASTER, until, 0);
    run
}

/// a was killed and started again, and lets its address go this long after that.
fn left_behind(gone: u64) -> PropertyReport {
    let mut run = pair(KILLED);
    run.process(KILLED, 0, ProcessChange::Killed);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, 40 * SECOND, 1);
    run.start(AGAIN, 0);
    run.owns(AGAIN + gone, 0, false);
    run.judged(PropertyId::S2, 40 * SECOND)
}

#[test]
fn s2_of_a_dead_process_is_for_want_of_the_lease_and_of_one_that_lives_again_for_w_plus_r() {
    let bound = W + RELEASE;
    for (gone, want) in
        [(0, Some(PropertyId::S8)), (bound, Some(PropertyId::S8)), (bound + 1, None)]
    {
        let report = left_behind(gone);
        is(&report, Verdict::Violated, "both owned");
        assert_eq!(report.for_want_of, want, "{gone} ns after the start");
    }
}

#[test]
fn s2_is_not_about_two_virtual_routers_that_have_one_address() {
    let mut run = pair(60 * SECOND).with(1, |config| config.vrid = Vrid::new(7).unwrap());
    run.reload(10 * SECOND, 1);
    run.owns(15 * SECOND, 1, true);
    let report = run.judged(PropertyId::S2, 50 * SECOND);
    assert_ne!(report.verdict, Verdict::Violated, "{report:?}");
    // Back in the same one it is.
    let mut run = pair(60 * SECOND);
    run.reload(10 * SECOND, 1);
    run.owns(15 * SECOND, 1, true);
    run.state(15 * SECOND, 1, StateKind::Backup, StateKind::Master);
    let report = run.judged(PropertyId::S2, 50 * SECOND);
    assert_eq!((report.verdict, report.for_want_of), (Verdict::Violated, None), "{report:?}");
}
