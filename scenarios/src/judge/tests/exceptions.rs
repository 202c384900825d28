//! What leaves the conditions of a property explains no more than it says: each exception at its
//! edge, and beyond it the violation that it does not excuse. Those that random schedules brought
//! up are in `hunted`.

use std::time::Duration;

use vipd_engine::{Password, StateKind, Vrid};

use super::record::*;
use super::safety::{HEALED, cut_and_heal, split};
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange, Seen, SeenAdvert};

/// When a cache is right again at the latest if nobody repeats an announcement.
const REFRESH: u64 = 60 * SECOND + DELAY + 2 * LATE;
const NOBODY: &str = "somebody who runs no engine";

/// Somebody puts an advert on the segment that arrives at b at this time.
fn forge(run: &mut Run, at: u64) {
    let advert = SeenAdvert { sender: None, ..run.make(0, 0) };
    run.see(at, 1, Seen::AdvertDelivered(advert));
}

#[test]
fn s1_and_s2_a_forged_resignation_explains_for_an_interval_d_and_two_handlers() {
    let judged = |id: PropertyId, before: u64| {
        let mut run = cut_and_heal(W + 1, W + RELEASE + 1, true);
        forge(&mut run, HEALED - before);
        run.judged(id, 30 * SECOND)
    };
    for id in [PropertyId::S1, PropertyId::S2] {
        is(&judged(id, W), Verdict::NotProvided, NOBODY);
        is(&judged(id, W + 1), Verdict::Violated, "a and b");
    }
}

/// b goes on this long before a, which resigned while b stood still, is master again; it yields so
/// long after that.
fn overlap_after_a_stall(before: u64, overlap: u64) -> PropertyReport {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.machine(9 * SECOND, 1, MachineChange::Frozen { clock: false });
    run.stop(10 * SECOND, 0);
    run.start(10 * SECOND, 0);
    let again = 10 * SECOND + A_MASTER;
    run.machine(again - before, 1, MachineChange::Thawed);
    run.takes_over(again - before, 1);
    run.adverts(again - before, again + overlap, 1);
    run.takes_over(again, 0);
    run.adverts(again, 30 * SECOND, 0);
    run.advert(again + overlap, 1);
    run.yields(again + overlap, 1);
    run.judged(PropertyId::S1, 30 * SECOND)
}

#[test]
fn s1_a_resignation_that_waited_widens_w_by_an_interval_for_as_long_as_it_counts() {
    at_the_bound(PropertyId::S1, W + SECOND, |extra| overlap_after_a_stall(W, W + SECOND + extra));
    at_the_bound(PropertyId::S1, W, |extra| overlap_after_a_stall(W + 1, W + extra));
}

#[test]
fn s4_a_best_backup_that_had_started_earlier_must_win() {
    // c, at 50, waits 38.046875 ms; so long before the crash b's timer began, or later.
    let before = 105 * MS - 38_046_875;
    let starts = |mut run: Run, at: u64| {
        run.start(at, 1);
        run
    };
    // From another virtual router.
    let joins = |run: Run, at: u64| {
        let own = run.config(1).vrid;
        let mut run = run.with(1, |config| config.vrid = Vrid::new(7).unwrap());
        run.start(0, 1);
        let mut run = run.with(1, |config| config.vrid = own);
        run.reload(at, 1);
        run
    };
    let recovers = |mut run: Run, at: u64| {
        run.start(0, 1);
        run.state(0, 1, StateKind::Backup, StateKind::Fault);
        run.state(at, 1, StateKind::Fault, StateKind::Backup);
        run
    };
    let judged = |began: u64, begins: fn(Run, u64) -> Run| {
        let mut run = Run::new(&[200, 150, 50]).version_3(10 * MS);
        run.start(0, 0);
        let mut run = begins(run, began);
        run.start(0, 2);
        run.takes_over(40 * MS, 0);
        run.adverts(40 * MS, 105 * MS, 0);
        run.machine(105 * MS, 0, MachineChange::Off);
        run.takes_over(134 * MS, 2);
        run.advert(134 * MS, 2);
        run.takes_over(135 * MS, 1);
        run.adverts(135 * MS, 400 * MS, 1);
        run.advert(136 * MS, 2);
        run.yields(136 * MS, 2);
        run.judged(PropertyId::S4, 400 * MS)
    };
    for begins in [starts, joins, recovers] {
        is(&judged(before + 1, begins), Verdict::NotProvided, "b had started shortly before");
        let report = judged(before, begins);
        is(&report, Verdict::Violated, "c became master although b is far better");
    }
}

#[test]
fn s5_a_resignation_explains_for_an_interval_d_and_two_handlers() {
    let judged = |after: u64| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        run.stop(10 * SECOND, 0);
        run.takes_over(10 * SECOND + 100 * MS, 1);
        let again = 10 * SECOND + after;
        run.adverts(10 * SECOND + 100 * MS, again + 100 * MS, 1);
        run.start(10 * SECOND + 200 * MS, 0);
        run.takes_over(again, 0);
        run.adverts(again, 30 * SECOND, 0);
        run.advert(again + 100 * MS, 1);
        run.yields(again + 100 * MS, 1);
        run.judged(PropertyId::S5, 30 * SECOND)
    };
    is(&judged(W), Verdict::NotProvided, "a had just resigned");
    is(&judged(W + 1), Verdict::Violated, "b went on beside it");
}

/// a with this priority and its heir, b, are both master; b does not hear a.
fn deaf_loser(priority: i64) -> PropertyReport {
    let mut run = Run::new(&[priority, 100]);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, 20 * SECOND, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, 20 * SECOND, 1);
    run.judged(PropertyId::S10, 20 * SECOND)
}

#[test]
fn s10_an_owner_that_discards_counts_nobody_and_whoever_is_no_owner_does() {
    is(&deaf_loser(255), Verdict::NotProvided, "a discards adverts as owner");
    is(&deaf_loser(254), Verdict::Violated, "a raised no alarm");
}

/// After a cut heals, a, with this priority, hears b; the client's cache is right so much later.
fn repaired_by(priority: i64, repaired: u64) -> PropertyReport {
    let mut run = Run::new(&[priority, 100]);
    split(&mut run, MS, 2 * MS, true);
    run.neighbour(B_MASTER, CLIENT, 1);
    run.neighbour(HEALED + 2 * MS + repaired, CLIENT, 0);
    run.judged(PropertyId::S11, 90 * SECOND)
}

#[test]
fn s11_an_owner_that_discards_has_until_its_refresh_and_whoever_is_no_owner_has_not() {
    at_the_bound(PropertyId::S11, REFRESH, |extra| repaired_by(255, REFRESH + extra));
    is(&repaired_by(254, REFRESH), Verdict::Violated, "a, the survivor");
}

#[test]
fn s12_an_address_that_was_on_its_way_as_the_state_ended_goes_within_2r() {
    at_the_bound(PropertyId::S12, 2 * RELEASE, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(30 * SECOND);
        let at = 20 * SECOND;
        run.state(at, 1, StateKind::Backup, StateKind::Master);
        run.advert(at, 1);
        run.state(at + MS, 1, StateKind::Master, StateKind::Backup);
        run.owns(at + MS + RELEASE, 1, true);
        run.owns(at + MS + 2 * RELEASE + extra, 1, false);
        run.judged(PropertyId::S12, 30 * SECOND)
    });
}

#[test]
fn l1_a_cut_that_was_over_before_the_last_down_interval_explains_no_early_takeover() {
    let crashed = |healed: u64| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        run.path(healed - 50 * MS, 0, 1, false);
        run.path(healed, 0, 1, true);
        run.machine(10 * SECOND, 0, MachineChange::Off);
        run.takes_over(11 * SECOND, 1);
        run.advert(11 * SECOND, 1);
        run.judged(PropertyId::L1, 11 * SECOND + 1)
    };
    let armed = 10 * SECOND - B_MASTER;
    assert_ne!(crashed(armed).verdict, Verdict::Violated, "{:?}", crashed(armed));
    is(&crashed(armed - 1), Verdict::Violated, "too early");
}

#[test]
fn l6_a_dual_interval_that_nobody_noticed_leaves_a_cache_until_the_next_refresh() {
    let stale = |until: u64| {
        let mut run = cut_and_heal(MS, 2 * MS, false);
        run.neighbour(B_MASTER, CLIENT, 1);
        // The last that was seen of the dual interval is b's last advert.
        run.neighbour(HEALED + MS + until, CLIENT, 0);
        run.judged(PropertyId::L6, 95 * SECOND)
    };
    is(&stale(REFRESH), Verdict::NotProvided, "S11 lets a cache be stale");
    is(&stale(REFRESH + 1), Verdict::Violated, "the cache of client");
}

/// The virtual address is the first one of a, its owner.
fn owner() -> Run {
    let mut run = Run::new(&[255, 100]);
    run.setting.hosts[0].addresses = vec![(LAN, vip()), (LAN, address(1))];
    run
}

#[test]
fn s2_an_owner_keeps_its_real_address_as_a_backup_and_not_beside_what_a_dead_process_left() {
    let beside_b = |is_master: bool| {
        let mut run = owner();
        run.start(0, 1);
        run.takes_over(B_MASTER, 1);
        run.adverts(B_MASTER, 10 * SECOND, 1);
        run.owns(0, 0, true);
        run.start(4 * SECOND, 0);
        if is_master {
            run.process(10 * SECOND, 1, ProcessChange::Killed);
            run.takes_over(10 * SECOND, 0);
        }
        run.judged(PropertyId::S2, 10 * SECOND + W + RELEASE + 1)
    };
    assert_ne!(beside_b(false).verdict, Verdict::Violated, "{:?}", beside_b(false));
    let report = beside_b(true);
    is(&report, Verdict::Violated, "the process of b died and left the address");
}

#[test]
fn s2_a_dead_owner_has_left_its_real_address() {
    let mut run = owner();
    run.a_is_master(10 * SECOND);
    run.process(10 * SECOND, 0, ProcessChange::Killed);
    run.takes_over(10 * SECOND + B_MASTER, 1);
    run.adverts(10 * SECOND + B_MASTER, 30 * SECOND, 1);
    let report = run.judged(PropertyId::S2, 30 * SECOND);
    is(&report, Verdict::Violated, "the process of a died and left the address");
}

/// One of three has another password, and gives it up then.
fn with_another_password(odd: usize, until: u64) -> Run {
    let another = Some(Password::new(b"another").unwrap());
    let mut run = Run::new(&[200, 100, 50]).with(odd, |config| config.password = another);
    run.start_all();
    let mut run = run.with(odd, |config| config.password = None);
    run.reload(until, odd);
    run
}

#[test]
fn l2_a_heir_is_late_for_a_mismatch_of_its_own_and_for_nobody_elses() {
    let followed_by_b = |odd: usize| {
        let bound = skew(100) + DELAY + 2 * LATE;
        let (at, taken) = (10 * SECOND, 10 * SECOND + bound + 1);
        let mut run = with_another_password(odd, at);
        run.takes_over(A_MASTER, 0);
        run.adverts(A_MASTER, at, 0);
        run.stop(at, 0);
        run.takes_over(taken, 1);
        run.adverts(taken, 20 * SECOND, 1);
        run.judged(PropertyId::L2, 20 * SECOND)
    };
    is(&followed_by_b(1), Verdict::NotProvided, "a and b did not fit");
    is(&followed_by_b(2), Verdict::Violated, "b followed a");
}

#[test]
fn s5_an_overlap_is_explained_by_a_mismatch_of_the_two_and_by_nobody_elses() {
    let overlap_with_b = |odd: usize| {
        let taken = 10 * SECOND;
        let mut run = with_another_password(odd, taken);
        run.takes_over(B_MASTER, 1);
        run.adverts(B_MASTER, taken, 1);
        run.takes_over(taken, 0);
        run.adverts(taken, 20 * SECOND, 0);
        run.yields(taken + DELAY + RELEASE + LATE + 1, 1);
        run.judged(PropertyId::S5, 20 * SECOND)
    };
    is(&overlap_with_b(1), Verdict::NotProvided, "a and b did not fit");
    is(&overlap_with_b(2), Verdict::Violated, "b went on beside it");
}

#[test]
fn s7_and_l4_and_l5_count_from_the_end_of_a_start_up_delay() {
    let delay = 20 * SECOND;
    let settling = A_MASTER + 2 * DELAY + 3 * LATE;
    let started = |after: u64, id: PropertyId| {
        let mut run = Run::new(&[200]);
        run.start_after(0, 0, delay);
        run.takes_over(delay + after, 0);
        run.adverts(delay + after, 60 * SECOND, 0);
        run.judged(id, 60 * SECOND)
    };
    let liveness = settling + SECOND;
    for (id, bound) in
        [(PropertyId::S7, settling), (PropertyId::L4, liveness), (PropertyId::L5, liveness)]
    {
        at_the_bound(id, bound, |extra| started(bound + extra, id));
    }
}

#[test]
fn s7_nobody_is_missed_during_a_start_up_delay_and_somebody_is_after_it() {
    let mut run = Run::new(&[200]);
    run.start_after(0, 0, 20 * SECOND);
    let report = run.judged(PropertyId::S7, 19 * SECOND);
    assert_ne!(report.verdict, Verdict::Violated, "{report:?}");
    let mut run = Run::new(&[200]);
    run.start_after(0, 0, 20 * SECOND);
    is(&run.judged(PropertyId::S7, 40 * SECOND), Verdict::Violated, "nobody was master");
}

#[test]
fn l5_where_no_engine_speaks_the_first_advert_ends_a_start_up_delay() {
    let taken = 25 * SECOND;
    let mut run = Run::new(&[255, 100]);
    run.process(0, 1, ProcessChange::Started);
    run.reload(0, 1);
    run.adverts(B_MASTER, taken + DELAY, 1);
    run.process(5 * SECOND, 0, ProcessChange::Started);
    run.configured(5 * SECOND, 0, Duration::from_secs(20));
    run.adverts(taken, 60 * SECOND, 0);
    is(&run.judged(PropertyId::L5, 60 * SECOND), Verdict::Held, "");
}
