//! L1 to L6 at their bounds.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{News, Priority, StateKind, Vrid};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange, Seen, WorldTime};
use crate::scenario::{Conditions, Paths, Step, TimedStep};

/// a is master and crashes; b follows so long after the crash.
fn crash(after: u64) -> Run {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.machine(10 * SECOND, 0, MachineChange::Off);
    run.takes_over(10 * SECOND + after, 1);
    run.adverts(10 * SECOND + after, 30 * SECOND, 1);
    run
}

#[test]
fn l1_a_backup_takes_over_by_its_down_interval_after_a_crash() {
    let bound = B_MASTER + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L1, bound, |extra| {
        crash(bound + extra).judged(PropertyId::L1, 30 * SECOND)
    });
}

#[test]
fn l1_a_backup_does_not_take_over_earlier_than_two_intervals_and_its_skew() {
    let earliest = B_MASTER + DELAY - SECOND - LATE;
    let report = crash(earliest).judged(PropertyId::L1, 30 * SECOND);
    assert_eq!(report.verdict, Verdict::Held);
    assert_eq!(report.bound, Some(Duration::from_nanos(earliest)));
    assert_eq!(report.worst, report.bound);
    let report = crash(earliest - 1).judged(PropertyId::L1, 30 * SECOND);
    is(&report, Verdict::Violated, "too early");
}

#[test]
fn l1_is_violated_if_nobody_follows() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.process(10 * SECOND, 0, ProcessChange::Killed);
    let report = run.judged(PropertyId::L1, 30 * SECOND);
    is(&report, Verdict::Violated, "nobody followed a");
}

#[test]
fn l1_has_no_lower_bound_in_the_time_after_a_resignation() {
    let mut run = crash(SECOND);
    run.advert_to(9 * SECOND, 0, 0, &[1]);
    run.advert(9 * SECOND + 500 * MS, 0);
    assert_eq!(run.judged(PropertyId::L1, 30 * SECOND).verdict, Verdict::Held);
}

#[test]
fn l1_is_not_provided_if_the_backup_was_paused_too() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.process(10 * SECOND, 0, ProcessChange::Killed);
    run.process(12 * SECOND, 1, ProcessChange::Paused);
    run.process(20 * SECOND, 1, ProcessChange::Resumed);
    let report = run.judged(PropertyId::L1, 30 * SECOND);
    is(&report, Verdict::NotExercised, "no master crashed");
}

#[test]
fn l1_who_ends_or_loses_its_link_at_the_same_instant_follows_nobody() {
    let crashed = |also: fn(&mut Run)| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        run.process(10 * SECOND, 0, ProcessChange::Killed);
        also(&mut run);
        run.judged(PropertyId::L1, 30 * SECOND)
    };
    is(&crashed(|_| {}), Verdict::Violated, "nobody followed a");
    let ends: fn(&mut Run) = |run| run.process(10 * SECOND, 1, ProcessChange::Killed);
    let is_off: fn(&mut Run) = |run| run.machine(10 * SECOND, 1, MachineChange::Off);
    for also in [ends, is_off] {
        is(&crashed(also), Verdict::NotExercised, "no master crashed");
    }
}

/// a stops; b follows so long after that.
fn stop(after: u64) -> Run {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.stop(10 * SECOND, 0);
    run.takes_over(10 * SECOND + after, 1);
    run.adverts(10 * SECOND + after, 30 * SECOND, 1);
    run
}

#[test]
fn l2_after_a_clean_stop_nobody_is_master_for_skew_at_most() {
    let bound = skew(100) + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L2, bound, |extra| {
        stop(bound + extra).judged(PropertyId::L2, 30 * SECOND)
    });
}

#[test]
fn l2_an_older_advert_that_overtakes_costs_one_interval() {
    let bound = SECOND + skew(100) + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L2, bound, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(9 * SECOND + 500 * MS);
        let late = run.make(0, 200);
        run.stop(10 * SECOND, 0);
        run.see(9 * SECOND + 900 * MS, 0, Seen::AdvertSent(late));
        run.see(10 * SECOND + DELAY + 1, 1, Seen::AdvertDelivered(late));
        run.takes_over(10 * SECOND + bound + extra, 1);
        run.adverts(10 * SECOND + bound + extra, 30 * SECOND, 1);
        run.judged(PropertyId::L2, 30 * SECOND)
    });
}

#[test]
fn l2_is_not_provided_if_the_resignation_is_lost() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.process(10 * SECOND, 0, ProcessChange::Stopping);
    run.lost(10 * SECOND, 0, 0);
    run.state(10 * SECOND, 0, StateKind::Master, StateKind::Initialize);
    run.process(10 * SECOND, 0, ProcessChange::Stopped);
    run.takes_over(10 * SECOND + 3 * SECOND, 1);
    run.adverts(13 * SECOND, 30 * SECOND, 1);
    let report = run.judged(PropertyId::L2, 30 * SECOND);
    is(&report, Verdict::NotProvided, "the priority-0 advert was lost on the way to b");
}

#[test]
fn l2_is_violated_if_nobody_follows() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.stop(10 * SECOND, 0);
    let report = run.judged(PropertyId::L2, 30 * SECOND);
    is(&report, Verdict::Violated, "nobody followed a");
}

#[test]
fn l2_who_leaves_or_ends_or_is_cut_off_at_the_same_instant_follows_nobody() {
    let at = 10 * SECOND;
    let stopped = |also: fn(Run) -> Run| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(at);
        run.stop(at, 0);
        also(run).judged(PropertyId::L2, 30 * SECOND)
    };
    let reloads = |mut run: Run| {
        run.reload(10 * SECOND, 1);
        run
    };
    is(&stopped(reloads), Verdict::Violated, "nobody followed a");
    let leaves = |run: Run| {
        let mut run = run.with(1, |config| config.vrid = Vrid::new(7).unwrap());
        run.reload(10 * SECOND, 1);
        run
    };
    let ends = |mut run: Run| {
        run.process(10 * SECOND, 1, ProcessChange::Killed);
        run
    };
    let is_cut_off = |mut run: Run| {
        run.path(10 * SECOND, 0, 1, false);
        run
    };
    for also in [leaves, ends, is_cut_off] {
        is(&stopped(also), Verdict::NotExercised, "no master resigned");
    }
}

#[test]
fn l2_who_could_not_hear_the_resignation_follows_nobody() {
    let judged = |after: u64| {
        let mut run = Run::new(&[200, 100, 50]);
        run.start_all();
        run.takes_over(4 * SECOND, 0);
        run.adverts(4 * SECOND, 10 * SECOND, 0);
        run.cut(8 * SECOND, 0, 1);
        run.stop(10 * SECOND, 0);
        run.takes_over(10 * SECOND + after, 1);
        run.adverts(10 * SECOND + after, 30 * SECOND, 1);
        run.judged(PropertyId::L2, 30 * SECOND)
    };
    // c hears b from then on. Before that it had its own time to follow.
    let bound = skew(50) + DELAY + 2 * LATE;
    is(&judged(bound), Verdict::NotExercised, "no master resigned");
    is(&judged(bound + 1), Verdict::Violated, "nobody followed a");
}

/// b is master; a comes back at 10 s and is master so long after that.
fn comeback(mut run: Run, after: u64) -> Run {
    run.start(0, 1);
    run.takes_over(B_MASTER, 1);
    let taken = 10 * SECOND + after;
    run.adverts(B_MASTER, taken, 1);
    run.start(10 * SECOND, 0);
    run.takes_over(taken, 0);
    run.adverts(taken, 60 * SECOND, 0);
    run.yields(taken + DELAY, 1);
    run
}

#[test]
fn l3_a_returning_better_node_is_master_by_its_down_interval() {
    let bound = A_MASTER + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L3, bound, |extra| {
        comeback(Run::new(&[200, 100]), bound + extra).judged(PropertyId::L3, 40 * SECOND)
    });
}

#[test]
fn l3_a_preempt_delay_adds_itself_and_the_first_lower_advert() {
    let bound = SECOND + 20 * SECOND + A_MASTER + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L3, bound, |extra| {
        let run =
            Run::new(&[200, 100]).with(0, |config| config.preempt_delay = Duration::from_secs(20));
        comeback(run, bound + extra).judged(PropertyId::L3, 50 * SECOND)
    });
}

#[test]
fn l3_an_owner_is_master_at_once() {
    at_the_bound(PropertyId::L3, 2 * LATE, |extra| {
        comeback(Run::new(&[255, 100]), 2 * LATE + extra).judged(PropertyId::L3, 40 * SECOND)
    });
}

#[test]
fn l3_says_nothing_about_a_node_that_does_not_preempt() {
    let run = Run::new(&[200, 100]).with(0, |config| config.preempt = false);
    let report = comeback(run, 20 * SECOND).judged(PropertyId::L3, 25 * SECOND);
    is(&report, Verdict::NotExercised, "no better node that may preempt");
}

#[test]
fn l3_is_not_provided_if_the_network_is_too_slow() {
    let mut run = Run::new(&[200, 100]);
    run.setting.segments[0].max_delay = Duration::from_millis(201);
    let report = comeback(run, 20 * SECOND).judged(PropertyId::L3, 40 * SECOND);
    is(&report, Verdict::NotProvided, "more than a fifth of the interval");
}

/// M_max + 2D + 3L + A.
const LIVENESS: u64 = B_MASTER + 2 * DELAY + 3 * LATE + SECOND;

/// All start at once, and the first one is master from then on.
fn settled_at(mut run: Run, at: u64) -> PropertyReport {
    run.start_all();
    run.takes_over(at, 0);
    run.adverts(at, 30 * SECOND, 0);
    run.judged(PropertyId::L4, 30 * SECOND)
}

#[test]
fn l4_every_component_is_settled_one_interval_after_its_longest_down_interval() {
    at_the_bound(PropertyId::L4, LIVENESS, |extra| {
        settled_at(Run::new(&[200, 100]), LIVENESS + extra)
    });
}

#[test]
fn l4_of_two_of_equal_priority_waits_for_the_tie_between_them_to_be_broken() {
    let bound = LIVENESS + DELAY + LATE;
    at_the_bound(PropertyId::L4, bound, |extra| settled_at(Run::new(&[100, 100]), bound + extra));
}

/// A delay and a late handler for each member but one.
const ECHO: u64 = 2 * (DELAY + LATE);

#[test]
fn l4_of_three_that_obey_everybody_waits_for_the_echo_of_a_last_advert() {
    let down_c = 3 * SECOND + skew(50);
    let bound = down_c + 2 * DELAY + 3 * LATE + SECOND + ECHO;
    at_the_bound(PropertyId::L4, bound, |extra| {
        let run = Run::new(&[200, 100, 50]).with(1, |config| config.preempt = false);
        settled_at(run, bound + extra)
    });
}

#[test]
fn l4_counts_from_no_step_that_changes_delays_alone() {
    let conditions = |loss_ppm| {
        let conditions = Conditions { loss_ppm, ..Conditions::default() };
        Seen::Step(Arc::new(TimedStep {
            at: WorldTime(2 * SECOND),
            step: Step::Conditions { paths: Paths::All, conditions },
            span: 0..0,
        }))
    };
    for (loss_ppm, verdict) in [(0, Verdict::Violated), (1, Verdict::Held)] {
        let mut run = Run::new(&[200, 100]);
        run.start_all();
        run.see(2 * SECOND, 0, conditions(loss_ppm));
        run.takes_over(LIVENESS + 2, 0);
        run.adverts(LIVENESS + 2, 30 * SECOND, 0);
        assert_eq!(run.judged(PropertyId::L4, 30 * SECOND).verdict, verdict, "{loss_ppm} ppm");
    }
}

#[test]
fn l4_counts_from_the_end_of_a_preempt_delay() {
    let mut run =
        Run::new(&[200, 100]).with(0, |config| config.preempt_delay = Duration::from_secs(20));
    run.setting.lateness = Duration::ZERO;
    let run = comeback(run, SECOND + 20 * SECOND + A_MASTER);
    assert_eq!(run.judged(PropertyId::L4, 60 * SECOND).verdict, Verdict::Held);
}

#[test]
fn l5_nothing_changes_once_all_is_settled() {
    at_the_bound(PropertyId::L5, LIVENESS, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(30 * SECOND);
        run.state(LIVENESS + extra, 1, StateKind::Backup, StateKind::Fault);
        run.judged(PropertyId::L5, 30 * SECOND)
    });
}

#[test]
fn l4_and_l5_are_not_provided_if_two_routers_do_not_understand_each_other() {
    let odd = || {
        let mut run = Run::new(&[200, 100])
            .with(1, |config| config.interval = vipd_engine::Interval::from_seconds(2).unwrap());
        run.a_is_master(40 * SECOND);
        run.takes_over(20 * SECOND, 1);
        run.adverts(20 * SECOND, 40 * SECOND, 1);
        run
    };
    for id in [PropertyId::L4, PropertyId::L5] {
        is(&odd().judged(id, 40 * SECOND), Verdict::NotProvided, "a and b differ: interval");
    }
}

#[test]
fn l6_the_address_answers_by_l4_and_the_announcement_delay() {
    let bound = LIVENESS + 5 * SECOND + DELAY + RELEASE;
    at_the_bound(PropertyId::L6, bound, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(30 * SECOND);
        run.probe(bound + extra, None);
        run.probe(20 * SECOND, Some(0));
        run.judged(PropertyId::L6, 30 * SECOND)
    });
}

#[test]
fn l6_is_violated_by_a_cache_that_never_comes_to_point_to_the_owner() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(30 * SECOND);
    run.neighbour(0, CLIENT, 1);
    let report = run.judged(PropertyId::L6, 30 * SECOND);
    is(&report, Verdict::Violated, "the cache of client pointed elsewhere");
}

#[test]
fn l6_an_owner_whose_engine_does_not_run_announces_to_nobody() {
    let stale = |stops: fn(&mut Run)| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        stops(&mut run);
        run.neighbour(0, CLIENT, 0);
        run.neighbour(11 * SECOND, CLIENT, 1);
        run.process(12 * SECOND, 1, ProcessChange::Killed);
        run.judged(PropertyId::L6, 60 * SECOND)
    };
    let runs: fn(&mut Run) = |run| run.adverts(10 * SECOND + A_MASTER % SECOND, 60 * SECOND, 0);
    is(&stale(runs), Verdict::Violated, "the cache of client pointed elsewhere");
    let is_paused: fn(&mut Run) = |run| run.process(10 * SECOND, 0, ProcessChange::Paused);
    let is_killed: fn(&mut Run) = |run| run.process(10 * SECOND, 0, ProcessChange::Killed);
    for ends in [is_paused, is_killed] {
        assert_eq!(stale(ends).verdict, Verdict::Held);
    }
}

#[test]
fn l6_is_not_provided_in_a_partial_cut() {
    let mut run = Run::new(&[200, 100, 50]);
    run.a_is_master(30 * SECOND);
    run.cut(0, 0, 1);
    run.probe(20 * SECOND, None);
    let report = run.judged(PropertyId::L6, 30 * SECOND);
    is(&report, Verdict::NotProvided, "one-way or partial cut");
}

#[test]
fn a_reload_changes_what_is_in_force() {
    // b is reloaded with priority 50: its skew, and with it L1's bound, grows.
    let bound = 3 * SECOND + skew(50) + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L1, bound, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        let mut run = run.with(1, |config| config.priority = Priority::new(50).unwrap());
        run.reload(5 * SECOND, 1);
        run.machine(10 * SECOND, 0, MachineChange::Off);
        run.takes_over(10 * SECOND + bound + extra, 1);
        run.adverts(10 * SECOND + bound + extra, 30 * SECOND, 1);
        run.judged(PropertyId::L1, 30 * SECOND)
    });
}

#[test]
fn a_tracked_priority_counts_in_the_bounds() {
    let bound = 3 * SECOND + skew(60) + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L1, bound, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        run.machine(10 * SECOND, 0, MachineChange::Off);
        run.takes_over(10 * SECOND + bound + extra, 1);
        run.advert_to(10 * SECOND + bound + extra, 1, 60, &[]);
        let (from, to) = (Priority::DEFAULT, Priority::new(60).unwrap());
        run.news(5 * SECOND, 1, News::PriorityChanged { from, to });
        run.judged(PropertyId::L1, 15 * SECOND)
    });
}

#[test]
fn a_learned_interval_counts_in_the_bounds() {
    // a advertises every 2 s, b would every second: b waits 3 * 2 s and its skew over 2 s.
    let bound = 6 * SECOND + 2 * skew(100) + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L1, bound, |extra| {
        let mut run = Run::new(&[200, 100]).version_3(SECOND).with(0, |config| {
            config.interval = vipd_engine::Interval::from_centiseconds(200).unwrap();
        });
        run.start_all();
        run.takes_over(8 * SECOND, 0);
        run.adverts(8 * SECOND, 16 * SECOND, 0);
        run.machine(16 * SECOND, 0, MachineChange::Off);
        run.takes_over(16 * SECOND + bound + extra, 1);
        run.adverts(16 * SECOND + bound + extra, 40 * SECOND, 1);
        run.judged(PropertyId::L1, 40 * SECOND)
    });
}

#[test]
fn a_clock_that_is_off_widens_upper_bounds_by_its_rate() {
    let mut run = crash(0);
    run.setting.rate_error_ppb = 1_000_000;
    let report = run.judged(PropertyId::L1, 30 * SECOND);
    assert_eq!(report.verdict, Verdict::Violated);
    let exact = Duration::from_nanos(B_MASTER);
    let widened = exact.as_secs_f64() / 0.999;
    let mut run = crash(B_MASTER);
    run.setting.rate_error_ppb = 1_000_000;
    let report = run.judged(PropertyId::L1, 30 * SECOND);
    let bound = report.bound.unwrap().as_secs_f64() - 0.0001 - 0.002;
    assert!((bound - widened).abs() < 1e-8, "{bound} {widened}");
}

#[test]
fn s7_and_l4_a_link_that_is_down_is_no_partial_cut() {
    for id in [PropertyId::S7, PropertyId::L4] {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        run.see(10 * SECOND, 1, Seen::Link { segment: key().segment, up: false });
        is(&run.judged(id, 40 * SECOND), Verdict::Violated, "nobody was master");
    }
}
