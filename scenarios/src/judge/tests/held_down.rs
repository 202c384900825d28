//! A master that yields to a rival which does not hear it (`one_way_yield`): how soon it must, how
//! long it must leave that one alone, and what its hold-down excuses, each at its edge.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{Config, GroupConfig};
use vipd_engine::{Event, GroupName, InstanceName, News, Order, StateKind, Vrid, Why};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{HostId, MachineChange, ProcessChange, RouterKey, Seen, SeenAdvert, WorldTime};
use crate::scenario::{Step, TimedStep};

const ALARM: u64 = B_MASTER + 2 * SECOND + DELAY;
const HOLD_DOWN: u64 = 10_500 * MS;
/// When the hold-down is over at the latest.
const OVER: u64 = ALARM + HOLD_DOWN + LATE;
const HEALED: u64 = 8 * SECOND;
const SETTLING: u64 = B_MASTER + 2 * DELAY + 3 * LATE;
const END: u64 = 40 * SECOND;

/// a, which is to yield, is master until [`ALARM`] beside b, which does not hear it.
fn dual(run: Run) -> Run {
    let hold_down = Some(Duration::from_nanos(HOLD_DOWN));
    let mut run = run.with(0, |config| config.one_way_yield = hold_down);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, ALARM, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run
}

/// a tells that b does not hear it.
fn alarm(run: &mut Run) {
    run.news(ALARM, 0, News::OneWay { peer: address(2), asserts: 3 });
}

/// a resigns, which b does not hear, and lets its address go so long after that.
fn resign(run: &mut Run, gone: u64) {
    run.advert_to(ALARM, 0, 0, &[]);
    run.state(ALARM, 0, StateKind::Master, StateKind::Backup);
    run.owns(ALARM + gone, 0, false);
}

/// a yields at its alarm.
fn yielded() -> Run {
    yielded_in(pair())
}

fn yielded_in(run: Run) -> Run {
    let mut run = dual(run);
    alarm(&mut run);
    resign(&mut run, RELEASE);
    run
}

fn pair() -> Run {
    Run::new(&[200, 100])
}

/// The way to b is open again; b is master until a takes over. Nothing before counts as calm.
fn heals(run: &mut Run, taken: u64) {
    for second in [3, 6] {
        run.path(second * SECOND, 0, CLIENT, true);
    }
    run.path(HEALED, 0, 1, true);
    run.adverts(B_MASTER, taken, 1);
    run.takes_over(taken, 0);
    run.adverts(taken, END, 0);
    run.advert_to(taken, 1, 0, &[0]);
    run.yields(taken, 1);
}

fn settled(mut run: Run, taken: u64) -> PropertyReport {
    heals(&mut run, taken);
    run.judged(PropertyId::S7, END)
}

#[test]
fn s10_a_master_yields_at_its_alarm_within_r_and_a_handler() {
    let bound = RELEASE + LATE;
    at_the_bound(PropertyId::S10, bound, |extra| {
        let mut run = dual(pair());
        run.adverts(B_MASTER, END, 1);
        alarm(&mut run);
        resign(&mut run, bound + extra);
        run.judged(PropertyId::S10, END)
    });
}

#[test]
fn s10_a_master_that_is_to_yield_and_stays_is_a_violation() {
    let mut run = dual(pair());
    run.adverts(B_MASTER, END, 1);
    alarm(&mut run);
    run.adverts_to(A_MASTER + 3 * SECOND, END, 0, &[]);
    let report = run.judged(PropertyId::S10, END);
    is(&report, Verdict::Violated, "a did not yield to a rival that does not hear it");
}

#[test]
fn s10_a_master_that_stands_still_cannot_yield_and_one_that_dies_does_not() {
    let ends = |change| {
        let mut run = dual(pair());
        run.adverts(B_MASTER, END, 1);
        alarm(&mut run);
        run.process(ALARM + MS, 0, change);
        run.judged(PropertyId::S10, END)
    };
    is(&ends(ProcessChange::Paused), Verdict::NotProvided, "a was paused or frozen");
    is(&ends(ProcessChange::Killed), Verdict::Held, "");
}

#[test]
fn s10_a_reload_that_changes_the_alarm_or_what_follows_it_has_it_raised_anew() {
    let bound = 3 * SECOND + 2 * DELAY + 2 * LATE;
    let reloaded = |again: bool, after: u64| {
        let mut run = Run::new(&[200, 100]);
        run.start_all();
        run.path(0, 0, 1, false);
        run.takes_over(A_MASTER, 0);
        run.adverts_to(A_MASTER, END, 0, &[]);
        run.takes_over(B_MASTER, 1);
        run.adverts(B_MASTER, END, 1);
        let mut run = run.with(0, |config| config.one_way_alarm = if again { 2 } else { 3 });
        run.reload(5 * SECOND, 0);
        let mut run = run.with(0, |config| config.one_way_alarm = 3);
        run.reload(5 * SECOND + 1, 0);
        let began = if again { 5 * SECOND + 1 } else { B_MASTER };
        run.news(began + after, 0, News::OneWay { peer: address(2), asserts: 3 });
        run.judged(PropertyId::S10, END)
    };
    for again in [true, false] {
        at_the_bound(PropertyId::S10, bound, |extra| reloaded(again, bound + extra));
    }
}

#[test]
fn s3_a_router_that_is_held_down_does_not_take_over_from_the_rival_that_it_hears() {
    let taken = |after: u64| {
        let mut run = yielded();
        run.adverts(B_MASTER, 20 * SECOND, 1);
        run.takes_over(ALARM + after, 0);
        run.adverts_to(ALARM + after, 20 * SECOND, 0, &[]);
        run.judged(PropertyId::S3, 20 * SECOND)
    };
    is(&taken(HOLD_DOWN), Verdict::Held, "");
    is(&taken(HOLD_DOWN - 1), Verdict::Violated, "a took over");
}

#[test]
fn s7_a_router_that_is_held_down_outranks_nobody_until_it_is_over() {
    at_the_bound(PropertyId::S7, SETTLING, |extra| settled(yielded(), OVER + SETTLING + extra));
}

#[test]
fn s7_whoever_resigns_without_an_alarm_or_without_the_keyword_is_not_held_down() {
    let mut untold = dual(pair());
    resign(&mut untold, RELEASE);
    let report = settled(untold, OVER + SETTLING);
    is(&report, Verdict::Violated, "b was master although a is better");
    let mut without = yielded().with(0, |config| config.one_way_yield = None);
    without.reload(SECOND, 0);
    let report = settled(without, OVER + SETTLING);
    is(&report, Verdict::Violated, "b was master although a is better");
}

#[test]
fn s7_an_operator_who_resumes_ends_a_hold_down() {
    at_the_bound(PropertyId::S7, SETTLING, |extra| {
        let (at, mut run) = (WorldTime(10 * SECOND), yielded());
        let step =
            Step::Operator { host: HostId(0), instance: "VI_1".into(), order: Order::Resume };
        run.see(at.0, 0, Seen::Step(Arc::new(TimedStep { at, step, span: 0..0 })));
        settled(run, at.0 + SETTLING + extra)
    });
}

#[test]
fn s7_a_reload_shortens_a_hold_down_or_ends_it_and_does_not_prolong_it() {
    let reloaded = |hold_down: Option<u64>, taken: u64| {
        let hold_down = hold_down.map(Duration::from_nanos);
        let mut run = yielded().with(0, |config| config.one_way_yield = hold_down);
        run.reload(10 * SECOND, 0);
        settled(run, taken)
    };
    let at = 10 * SECOND + LATE;
    at_the_bound(PropertyId::S7, SETTLING, |extra| reloaded(None, at + SETTLING + extra));
    let two = Some(2 * SECOND);
    let taken = at + 2 * SECOND + SETTLING;
    at_the_bound(PropertyId::S7, SETTLING, |extra| reloaded(two, taken + extra));
    let hour = Some(3600 * SECOND);
    at_the_bound(PropertyId::S7, SETTLING, |extra| reloaded(hour, OVER + SETTLING + extra));
}

#[test]
fn s7_a_clock_that_stood_still_prolongs_a_hold_down_and_one_that_went_on_does_not() {
    let frozen = |clock: bool, taken: u64| {
        let mut run = yielded();
        // The hold-down would end meanwhile.
        run.machine(15 * SECOND, 0, MachineChange::Frozen { clock });
        run.machine(20 * SECOND, 0, MachineChange::Thawed);
        settled(run, taken)
    };
    let taken = OVER + 5 * SECOND + SETTLING;
    at_the_bound(PropertyId::S7, SETTLING, |extra| frozen(true, taken + extra));
    is(&frozen(false, taken), Verdict::Violated, "b was master although a is better");
}

/// a has a second virtual router that c follows, in a sync group with the first one or not. Both of
/// a's are master again at this time.
fn beside_another(grouped: bool, taken: u64) -> PropertyReport {
    let (backup, master) = (StateKind::Backup, StateKind::Master);
    let vrid = Vrid::new(52).unwrap();
    let three = Run::new(&[200, 100, 100]).with(2, |config| config.vrid = vrid);
    let mut run = yielded_in(three);
    let mut second = run.config(0);
    (second.name, second.vrid, second.one_way_yield) = (InstanceName::new("VI_2"), vrid, None);
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let group = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
    let groups = if grouped { vec![group] } else { vec![] };
    let config = Config::new(vec![run.config(0), second], groups, Duration::ZERO).unwrap();
    run.see(1, 0, Seen::Configured(Arc::new(config)));
    let states = [(A_MASTER, backup, master), (ALARM, master, backup), (taken, backup, master)];
    for (at, from, to) in states {
        let news = News::State { from, to, why: Why::Startup };
        run.see(at, 0, Seen::Engine(Event { instance: InstanceName::new("VI_2"), news }));
    }
    let every_second = |from: u64, to: u64| (from..to).step_by(SECOND as usize);
    let adverts = every_second(A_MASTER, ALARM).map(|at| (at, 200)).chain([(ALARM, 0)]);
    for (at, priority) in adverts.chain(every_second(taken, END).map(|at| (at, 200))) {
        let router = RouterKey { vrid: 52, ..key() };
        let advert = SeenAdvert { router, ..run.make(0, priority) };
        run.see(at, 0, Seen::AdvertSent(advert));
        run.see(at + DELAY, 2, Seen::AdvertDelivered(advert));
    }
    let followed = ALARM + DELAY + skew(100);
    run.state(followed, 2, backup, master);
    run.adverts_to(followed, taken, 2, &[0]);
    run.advert_to(taken, 2, 0, &[0]);
    run.state(taken, 2, master, backup);
    settled(run, taken)
}

#[test]
fn s7_the_sync_group_of_a_router_that_is_held_down_waits_for_it_and_nobody_else_does() {
    let taken = OVER + SETTLING;
    at_the_bound(PropertyId::S7, SETTLING, |extra| beside_another(true, taken + extra));
    is(&beside_another(false, taken), Verdict::Violated, "c was master although a is better");
}

/// Both were master on their sides of a cut; it heals, two adverts of a are lost, and a yields so
/// long after that.
fn healed_and_yielded(after: u64) -> PropertyReport {
    let hold_down = Some(Duration::from_nanos(HOLD_DOWN));
    let mut run = pair().with(0, |config| config.one_way_yield = hold_down);
    run.start_all();
    run.cut(0, 0, 1);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, HEALED, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run.adverts_to(B_MASTER, HEALED, 1, &[]);
    run.heal(HEALED, 0, 1);
    run.lost(A_MASTER + 5 * SECOND, 0, 200);
    run.lost(A_MASTER + 6 * SECOND, 0, 200);
    run.adverts(B_MASTER + 5 * SECOND, END, 1);
    let yields = HEALED + after;
    run.news(yields, 0, News::OneWay { peer: address(2), asserts: 3 });
    run.advert_to(yields, 0, 0, &[]);
    run.yields(yields, 0);
    run.judged(PropertyId::S6, END)
}

#[test]
fn s6_counts_the_adverts_of_the_winner_that_were_lost_also_if_it_is_the_one_that_yields() {
    let bound = 3 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S6, bound, |extra| healed_and_yielded(bound + extra));
}

/// a yields, b does not follow, and a is master again; its resignation was lost on the way or not.
fn nobody_followed(lost: bool) -> PropertyReport {
    let hold_down = Some(Duration::from_nanos(HOLD_DOWN));
    let mut run = pair().with(0, |config| config.one_way_yield = hold_down);
    run.a_is_master(ALARM);
    alarm(&mut run);
    if lost {
        run.lost(ALARM, 0, 0);
    } else {
        run.advert_to(ALARM, 0, 0, &[1]);
    }
    run.yields(ALARM, 0);
    run.takes_over(ALARM + A_MASTER, 0);
    run.adverts(ALARM + A_MASTER, END, 0);
    run.judged(PropertyId::L2, END)
}

#[test]
fn l2_one_that_resigned_and_is_master_again_was_not_followed_by_those_who_heard_it() {
    is(
        &nobody_followed(true),
        Verdict::NotProvided,
        "the priority-0 advert was lost on the way to b",
    );
    is(&nobody_followed(false), Verdict::Violated, "nobody followed a");
}

/// b crashes at this time, and a takes over so early that b's last adverts cannot have counted.
fn taken_early(crash: u64, after: u64) -> PropertyReport {
    let mut run = yielded();
    run.adverts(B_MASTER, crash, 1);
    run.machine(crash, 1, MachineChange::Off);
    run.takes_over(crash + after, 0);
    run.adverts_to(crash + after, crash + 5 * SECOND, 0, &[]);
    run.judged(PropertyId::L1, crash + 5 * SECOND)
}

#[test]
fn l1_a_router_that_is_held_down_counts_the_adverts_of_its_rival_until_it_is_over() {
    let earliest = A_MASTER + DELAY - SECOND - LATE;
    is(&taken_early(12 * SECOND, earliest), Verdict::Held, "");
    is(&taken_early(12 * SECOND, earliest - 1), Verdict::Violated, "too early");
    is(&taken_early(30 * SECOND, earliest - 1), Verdict::Held, "");
}

#[test]
fn l1_a_router_that_is_held_down_follows_a_rival_that_crashed_as_soon_as_ever() {
    let bound = A_MASTER + DELAY + 2 * LATE;
    at_the_bound(PropertyId::L1, bound, |extra| taken_early(12 * SECOND, bound + extra));
}
