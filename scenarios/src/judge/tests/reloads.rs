//! Files that come between two adverts: what the others have heard by then, and what they have not.

use vipd_engine::Priority;

use super::hunted::{A_MASTER, pair};
use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::ProcessChange;

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
