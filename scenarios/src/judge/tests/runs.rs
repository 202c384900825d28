//! Whole runs: what the judge says of everything that a common record puts to the test.

use vipd_engine::StateKind;

use super::record::*;
use crate::judge::{Judge, PropertyId, Verdict};
use crate::record::{HostId, Observation, ProcessChange, Recorder, Seen, WorldTime};

use PropertyId::{L1, L2, L3, L4, L5, L6, S1, S2, S3, S5, S6, S7, S11, S12};

/// Asserts that exactly these are held and that none is violated.
#[track_caller]
fn holds(run: impl Fn() -> Run, end: u64, held: &[PropertyId]) {
    for id in PropertyId::ALL {
        let report = run().judged(id, end);
        assert_ne!(report.verdict, Verdict::Violated, "{report:?}");
        assert_eq!(report.verdict == Verdict::Held, held.contains(&id), "{report:?}");
    }
}

#[test]
fn a_quiet_pair_holds_what_an_election_puts_to_the_test() {
    let run = || {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(60 * SECOND);
        run
    };
    holds(run, 60 * SECOND, &[S1, S2, S3, S7, S12, L4, L5]);
}

#[test]
fn a_clean_stop_and_the_return_of_the_better_node_hold() {
    let run = || {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(20 * SECOND);
        run.neighbour(A_MASTER, CLIENT, 0);
        run.stop(20 * SECOND, 0);
        let taken = 20 * SECOND + DELAY + skew(100);
        run.takes_over(taken, 1);
        run.neighbour(taken + DELAY, CLIENT, 1);
        run.probe(35 * SECOND, Some(1));
        let back = 40 * SECOND + A_MASTER;
        run.adverts(taken, back, 1);
        run.start(40 * SECOND, 0);
        run.takes_over(back, 0);
        run.adverts(back, 80 * SECOND, 0);
        run.yields(back + DELAY, 1);
        run.neighbour(back + DELAY, CLIENT, 0);
        run
    };
    holds(run, 80 * SECOND, &[S1, S2, S3, S5, S7, S11, S12, L2, L3, L4, L5, L6]);
}

#[test]
fn a_crash_holds() {
    let run = || {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(20 * SECOND);
        run.process(20 * SECOND, 0, ProcessChange::Killed);
        run.owns(20 * SECOND, 0, false);
        let last = A_MASTER + 16 * SECOND;
        run.takes_over(last + DELAY + B_MASTER, 1);
        run.adverts(last + DELAY + B_MASTER, 60 * SECOND, 1);
        run
    };
    holds(run, 60 * SECOND, &[S1, S2, S3, S7, S12, L1, L4, L5]);
}

#[test]
fn a_cut_that_heals_holds_on_both_sides() {
    let run = || {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(20 * SECOND);
        run.neighbour(A_MASTER, CLIENT, 0);
        run.cut(20 * SECOND, 0, 1);
        run.adverts_to(A_MASTER + 17 * SECOND, 40 * SECOND, 0, &[]);
        let taken = A_MASTER + 16 * SECOND + DELAY + B_MASTER;
        run.takes_over(taken, 1);
        run.adverts_to(taken, 40 * SECOND, 1, &[]);
        run.neighbour(taken + DELAY, CLIENT, 1);
        run.heal(40 * SECOND, 0, 1);
        let heard = A_MASTER + 37 * SECOND;
        run.adverts(heard, 80 * SECOND, 0);
        run.advert(heard + DELAY, 1);
        run.yields(heard + DELAY, 1);
        run.neighbour(heard + 3 * DELAY, CLIENT, 0);
        run
    };
    // S3 is not provided: b took over because it was cut off.
    holds(run, 80 * SECOND, &[S1, S2, S6, S7, S11, S12, L4, L5, L6]);
}

#[test]
fn routers_of_different_vrids_do_not_interact() {
    let run = || {
        let vrid = vipd_engine::Vrid::new(7).unwrap();
        let mut run = Run::new(&[200, 100]).with(1, |config| {
            config.vrid = vrid;
            config.addresses = vec![vipd_engine::config::VirtualAddress::new(address(101))];
        });
        run.a_is_master(60 * SECOND);
        run.state(B_MASTER, 1, StateKind::Backup, StateKind::Master);
        run.adverts(B_MASTER, 60 * SECOND, 1);
        run
    };
    holds(run, 60 * SECOND, &[S7, S12, L4, L5]);
}

#[test]
fn a_pause_shorter_than_the_down_interval_breaks_nothing() {
    let run = || {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(20 * SECOND);
        run.process(20 * SECOND, 0, ProcessChange::Paused);
        run.process(21 * SECOND, 0, ProcessChange::Resumed);
        run.adverts(21 * SECOND, 60 * SECOND, 0);
        run
    };
    holds(run, 60 * SECOND, &[S1, S2, S3, S7, S12, L4, L5]);
}

#[test]
fn a_day_of_quiet_adverts_is_held_to_the_end() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    let (start, sent) = (run.take(), run.make(0, 200));
    let mut judge = Judge::new(run.setting);
    for observation in &start {
        judge.observe(observation);
    }
    let (a, b) = (HostId(0), HostId(1));
    for second in 10..86_400 {
        let at = second * SECOND + 218_750_000;
        let seen = Seen::AdvertSent(sent);
        judge.observe(&Observation { at: WorldTime(at), host: a, seen });
        let seen = Seen::AdvertDelivered(sent);
        judge.observe(&Observation { at: WorldTime(at + DELAY), host: b, seen });
    }
    let reports = judge.finish(WorldTime(86_400 * SECOND));
    assert_eq!(reports[2].verdict, Verdict::Held, "{:?}", reports[2]);
    assert_eq!(reports[2].worst, Some(std::time::Duration::from_secs(1)));
}
