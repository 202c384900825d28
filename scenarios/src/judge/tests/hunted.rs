//! What random schedules brought up about the judge: what it must not blame, and beside it what it
//! must go on to blame.

use vipd_engine::{Mismatch, News, Password, Priority, StateKind, Vrid};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange};

const KILLED: u64 = 10 * SECOND;
const B_FOLLOWS: u64 = KILLED + 3 * SECOND + skew(100);
const AGAIN: u64 = 20 * SECOND;

/// a is master and b its backup.
pub(super) fn pair(until: u64) -> Run {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(until);
    run
}

/// a was killed and started again, and lets its address go this long after that.
fn left_behind(gone: u64) -> PropertyReport {
    let mut run = pair(KILLED);
    run.process(KILLED, 0, ProcessChange::Killed);
    run.takes_over(B_FOLLOWS, 1);
    run.adverts(B_FOLLOWS, 40 * SECOND, 1);
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

#[test]
fn s3_who_heard_a_lower_priority_preempts_and_who_heard_the_higher_one_does_not() {
    let taken = |heard: u8| {
        let mut run = pair(5 * SECOND);
        let last = 5 * SECOND + 100 * MS;
        run.advert_to(last, 0, heard, &[1]);
        let to = Priority::new(200).unwrap();
        run.news(last + MS, 0, News::PriorityChanged { from: Priority::new(47).unwrap(), to });
        run.takes_over(last + 2 * MS, 1);
        run.advert(last + 2 * MS, 1);
        run.judged(PropertyId::S3, 6 * SECOND)
    };
    assert_ne!(taken(47).verdict, Verdict::Violated, "{:?}", taken(47));
    is(&taken(200), Verdict::Violated, "b took over");
}

/// b stands still while a resigns and comes back, and goes on this long before a is master again.
fn resigned_during_a_pause(before: u64) -> Run {
    let mut run = pair(10 * SECOND);
    run.process(9 * SECOND, 1, ProcessChange::Paused);
    run.stop(10 * SECOND, 0);
    run.start(10 * SECOND, 0);
    let again = 10 * SECOND + A_MASTER;
    run.process(again - before, 1, ProcessChange::Resumed);
    run.state(again - before, 1, StateKind::Backup, StateKind::Master);
    run.advert(again - before, 1);
    run.owns(again - before, 1, true);
    run.takes_over(again, 0);
    run.adverts(again, 30 * SECOND, 0);
    let yields = again + 3 * DELAY + RELEASE + LATE;
    run.advert(yields, 1);
    run.yields(yields, 1);
    run
}

#[test]
fn s5_a_resignation_counts_from_when_one_that_stood_still_goes_on() {
    let near = resigned_during_a_pause(SECOND / 2).judged(PropertyId::S5, 30 * SECOND);
    is(&near, Verdict::NotProvided, "a had just resigned");
    let far = resigned_during_a_pause(SECOND + DELAY + 2 * LATE + 1);
    is(&far.judged(PropertyId::S5, 30 * SECOND), Verdict::Violated, "b went on beside it");
}

#[test]
fn s9_a_router_in_fault_names_a_mismatch_within_the_bound_after_its_return() {
    let bound = 2 * SECOND + DELAY + 2 * LATE;
    let back = 20 * SECOND;
    let heard = A_MASTER + 17 * SECOND + DELAY;
    at_the_bound(PropertyId::S9, bound, |extra| {
        let password = Some(Password::new(b"two").unwrap());
        let mut run = pair(5 * SECOND).with(1, |config| config.password = password);
        run.adverts(A_MASTER + 2 * SECOND, 40 * SECOND, 0);
        run.state(5 * SECOND, 1, StateKind::Backup, StateKind::Fault);
        run.reload(5 * SECOND + 1, 1);
        run.state(back, 1, StateKind::Fault, StateKind::Backup);
        run.mismatch(heard + bound + extra, 1, 0, Mismatch::AuthenticationType(0));
        run.judged(PropertyId::S9, 40 * SECOND)
    });
}

#[test]
fn s9_what_no_longer_arrives_need_not_be_named_until_it_does() {
    let bound = 2 * SECOND + DELAY + 2 * LATE;
    let cut = |healed: bool| {
        let password = Some(Password::new(b"two").unwrap());
        let mut run = pair(5 * SECOND).with(1, |config| config.password = password);
        run.reload(5 * SECOND, 1);
        run.advert(A_MASTER + 2 * SECOND, 0);
        run.cut(6 * SECOND, 0, 1);
        run.adverts_to(A_MASTER + 3 * SECOND, 20 * SECOND, 0, &[]);
        if healed {
            run.heal(20 * SECOND, 0, 1);
        }
        let ears: &[usize] = if healed { &[1] } else { &[] };
        run.adverts_to(A_MASTER + 17 * SECOND, 30 * SECOND, 0, ears);
        run.judged(PropertyId::S9, 20 * SECOND + 2 * bound)
    };
    assert_eq!(cut(false).verdict, Verdict::NotExercised, "{:?}", cut(false));
    is(&cut(true), Verdict::Violated, "nobody named 10.0.0.1");
}

fn raised() -> News {
    News::OneWay { peer: address(2), asserts: 3 }
}

/// a, whom b does not hear, raised its alarm; they advertise until these times.
pub(super) fn alarmed(a_until: u64, b_until: u64) -> Run {
    let mut run = Run::new(&[200, 100]);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, a_until, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, b_until, 1);
    run.news(B_MASTER + 2 * SECOND + DELAY, 0, raised());
    run
}

/// a raised its alarm; the way back is cut for so long.
fn way_back_cut_for(silence: u64, alarm: Option<u64>) -> PropertyReport {
    let mut run = alarmed(40 * SECOND, 10 * SECOND);
    run.path(10 * SECOND, 1, 0, false);
    run.adverts_to(B_MASTER + 7 * SECOND, 10 * SECOND + silence, 1, &[]);
    run.path(10 * SECOND + silence, 1, 0, true);
    run.adverts(10 * SECOND + silence, 40 * SECOND, 1);
    if let Some(at) = alarm {
        run.news(10 * SECOND + silence + at, 0, raised());
    }
    run.judged(PropertyId::S10, 30 * SECOND)
}

#[test]
fn s10_an_alarm_stands_for_four_intervals_of_silence_and_no_longer() {
    let stands = 4 * SECOND + 2 * LATE;
    assert_eq!(way_back_cut_for(stands, None).verdict, Verdict::Held);
    is(&way_back_cut_for(stands + 1, None), Verdict::Violated, "a raised no alarm");
    assert_eq!(way_back_cut_for(stands + 1, Some(3 * SECOND)).verdict, Verdict::Held);
}

#[test]
fn s11_a_new_master_that_announced_while_the_loser_was_there_repairs_within_a_refresh() {
    // Both became master long before the dual interval ends, and neither heard the other one.
    let report = |repaired: u64| {
        let mut run = Run::new(&[200, 100]);
        run.start_all();
        run.cut(0, 0, 1);
        run.takes_over(A_MASTER, 0);
        run.adverts_to(A_MASTER, 100 * SECOND, 0, &[]);
        run.takes_over(B_MASTER, 1);
        run.adverts_to(B_MASTER, 20 * SECOND, 1, &[]);
        run.neighbour(B_MASTER, CLIENT, 1);
        run.machine(20 * SECOND, 1, MachineChange::Off);
        run.owns(20 * SECOND, 1, false);
        run.neighbour(20 * SECOND + repaired, CLIENT, 0);
        run.judged(PropertyId::S11, 95 * SECOND)
    };
    let bound = 60 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| report(bound + extra));
}

#[test]
fn l1_a_mismatch_that_ended_before_the_last_down_interval_explains_no_early_takeover() {
    let crashed = |ended: u64| {
        let password = Some(Password::new(b"two").unwrap());
        let mut run = pair(10 * SECOND).with(1, |config| config.password = password);
        run.reload(SECOND, 1);
        let mut run = run.with(1, |config| config.password = None);
        run.reload(ended, 1);
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
fn l4_refused_adverts_keep_a_router_in_fault_for_a_down_interval_and_no_longer() {
    let refused = |waits: u64| {
        let mut run = pair(5 * SECOND);
        let error = vipd_engine::EffectError::Refused;
        run.news(5 * SECOND, 0, News::SendRefused { error, in_a_row: 3 });
        run.state(5 * SECOND, 0, StateKind::Master, StateKind::Fault);
        run.owns(5 * SECOND, 0, false);
        run.takes_over(5 * SECOND + B_MASTER, 1);
        run.adverts(5 * SECOND + B_MASTER, 40 * SECOND, 1);
        run.state(5 * SECOND + waits, 0, StateKind::Fault, StateKind::Backup);
        let again = 5 * SECOND + waits + A_MASTER;
        run.takes_over(again, 0);
        run.adverts(again, 40 * SECOND, 0);
        run.yields(again + DELAY, 1);
        run.judged(PropertyId::L5, 39 * SECOND)
    };
    let most = A_MASTER + 2 * LATE;
    assert_ne!(refused(most).verdict, Verdict::Violated, "{:?}", refused(most));
    is(&refused(most + 1), Verdict::Violated, "changed its state");
}

#[test]
fn l6_a_question_that_is_given_up_before_an_answer_could_be_there_proves_nothing() {
    let asked = |waits: u64| {
        let mut run = pair(40 * SECOND);
        run.probe(20 * SECOND, Some(0));
        run.probe_told(21 * SECOND, 21 * SECOND + waits, None);
        run.judged(PropertyId::L6, 30 * SECOND)
    };
    assert_eq!(asked(ANSWERED - 1).verdict, Verdict::Held);
    is(&asked(ANSWERED), Verdict::Violated, "client could not reach 10.0.0.100");
}

/// The machine of a stands still for 15 s, with its clock if `clock`. b is master meanwhile if
/// `other`, and resigns before a goes on, which reads one of its adverts then if `told`; the
/// client's entry is right again so long after that.
fn came_back(clock: bool, other: bool, told: bool, repaired: u64) -> PropertyReport {
    let (back, ends) = (25 * SECOND, 99 * SECOND);
    let mut run = pair(KILLED);
    run.machine(KILLED, 0, MachineChange::Frozen { clock });
    run.owns(KILLED, 0, false);
    run.neighbour(15 * SECOND, CLIENT, 1);
    if other {
        run.takes_over(B_FOLLOWS, 1);
        run.adverts_to(B_FOLLOWS, 20 * SECOND, 1, &[]);
        run.stop(20 * SECOND, 1);
    }
    run.machine(back, 0, MachineChange::Thawed);
    run.owns(back, 0, true);
    if told {
        run.advert_to(back - DELAY, 1, 100, &[0]);
    }
    run.adverts(back, ends, 0);
    run.neighbour(back + repaired, CLIENT, 0);
    run.judged(PropertyId::L6, 98 * SECOND)
}

#[test]
fn l6_who_stood_still_and_heard_of_no_other_master_has_until_the_next_refresh() {
    let refresh = 60 * SECOND + DELAY + 2 * LATE;
    is(&came_back(true, true, false, refresh), Verdict::NotProvided, "until the next refresh");
    is(&came_back(true, true, false, refresh + 1), Verdict::Violated, "the cache of client");
    // Nobody else was master, or it heard an advert of the other one and announces again for it.
    is(&came_back(true, false, false, refresh), Verdict::Violated, "the cache of client");
    is(&came_back(true, true, true, refresh), Verdict::Violated, "the cache of client");
}

#[test]
fn l6_who_sees_by_its_clock_that_it_stood_still_announces_as_it_goes_on() {
    is(&came_back(false, true, false, 60 * SECOND), Verdict::Violated, "the cache of client");
    assert_eq!(came_back(false, true, false, DELAY).verdict, Verdict::Held);
}

#[test]
fn l6_a_host_that_was_cut_off_from_the_owner_has_until_the_next_refresh() {
    let stale = |cut: bool, repaired: u64| {
        let mut run = pair(99 * SECOND);
        run.neighbour(15 * SECOND, CLIENT, 1);
        if cut {
            run.path(10 * SECOND, 0, CLIENT, false);
            run.path(20 * SECOND, 0, CLIENT, true);
        }
        run.neighbour(20 * SECOND + repaired, CLIENT, 0);
        run.judged(PropertyId::L6, 98 * SECOND)
    };
    let refresh = 60 * SECOND + DELAY + 2 * LATE;
    is(&stale(true, refresh), Verdict::NotProvided, "client was cut off from the owner");
    is(&stale(true, refresh + 1), Verdict::Violated, "the cache of client");
    is(&stale(false, refresh), Verdict::Violated, "the cache of client");
}

/// b stands still while a resigns and comes back, hears both when it goes on at 14 s, and takes
/// over so long after that although it hears a each second.
fn followed_a_resignation_that_waited(after: u64) -> PropertyReport {
    let mut run = pair(10 * SECOND);
    let back = 14 * SECOND;
    run.process(9 * SECOND, 1, ProcessChange::Paused);
    run.stop(10 * SECOND, 0);
    run.start(10 * SECOND, 0);
    let again = 10 * SECOND + A_MASTER;
    run.takes_over(again, 0);
    run.process(back, 1, ProcessChange::Resumed);
    run.adverts(again, back + after, 0);
    run.takes_over(back + after, 1);
    run.advert(back + after, 1);
    run.judged(PropertyId::S3, back + after + 1)
}

#[test]
fn s3_a_resignation_counts_from_when_one_that_stood_still_goes_on() {
    let explained = 3 * SECOND;
    is(&followed_a_resignation_that_waited(explained), Verdict::NotProvided, "a had just resigned");
    is(&followed_a_resignation_that_waited(explained + 1), Verdict::Violated, "b took over");
}

/// a and b, which do not hear each other, are both master, and c hears both. b resigns because its
/// new file has another VRID, and c takes over so long after that.
fn followed_one_of_two(after: u64) -> PropertyReport {
    let resigns = 20 * SECOND;
    let mut run = Run::new(&[200, 150, 100]);
    run.start_all();
    run.cut(0, 0, 1);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, resigns + after, 0, &[2]);
    let b_master = 3 * SECOND + skew(150);
    run.takes_over(b_master, 1);
    run.adverts_to(b_master, resigns, 1, &[2]);
    let mut run = run.with(1, |config| config.vrid = Vrid::new(7).unwrap());
    run.reload(resigns, 1);
    let mut run = run.with(1, |config| config.vrid = Vrid::new(51).unwrap());
    run.advert_to(resigns, 1, 0, &[2]);
    run.takes_over(resigns + after, 2);
    run.advert(resigns + after, 2);
    run.judged(PropertyId::S3, resigns + after + 1)
}

#[test]
fn s3_a_router_that_a_reload_takes_away_resigns_like_any_other() {
    let explained = skew(100) + DELAY + 2 * LATE;
    is(&followed_one_of_two(explained), Verdict::NotProvided, "b had resigned shortly before");
    is(&followed_one_of_two(explained + 1), Verdict::Violated, "c took over");
}

#[test]
fn l2_a_master_that_a_reload_takes_away_is_followed_like_any_other() {
    let bound = skew(100) + DELAY + 2 * LATE;
    let resigns = 10 * SECOND;
    at_the_bound(PropertyId::L2, bound, |extra| {
        let mut run = pair(resigns).with(0, |config| config.vrid = Vrid::new(7).unwrap());
        run.reload(resigns, 0);
        let mut run = run.with(0, |config| config.vrid = Vrid::new(51).unwrap());
        run.advert_to(resigns, 0, 0, &[1]);
        run.owns(resigns, 0, false);
        run.takes_over(resigns + bound + extra, 1);
        run.advert(resigns + bound + extra, 1);
        run.judged(PropertyId::L2, resigns + bound + extra + 1)
    });
}

/// a raised its alarm; b yields to it at 8.2 s, is cut off again, and so long after its last advert
/// it is master once more.
fn cut_off_again(after: u64, alarm: Option<u64>) -> PropertyReport {
    let mut run = alarmed(8 * SECOND, 8 * SECOND);
    run.path(7 * SECOND + 900 * MS, 0, 1, true);
    let told = A_MASTER + 5 * SECOND;
    run.advert_to(told, 0, 200, &[1]);
    let yields = told + DELAY;
    run.advert(yields, 1);
    run.yields(yields, 1);
    run.path(9 * SECOND, 0, 1, false);
    run.adverts_to(told + SECOND, 60 * SECOND, 0, &[]);
    let again = yields + after;
    run.takes_over(again, 1);
    run.adverts(again, 60 * SECOND, 1);
    if let Some(at) = alarm {
        run.news(again + at, 0, raised());
    }
    run.judged(PropertyId::S10, 50 * SECOND)
}

#[test]
fn s10_the_silence_that_ends_an_alarm_counts_from_the_last_advert_of_the_loser() {
    let stands = 4 * SECOND + 2 * LATE;
    assert_eq!(cut_off_again(stands, None).verdict, Verdict::Held);
    is(&cut_off_again(stands + 1, None), Verdict::Violated, "a raised no alarm");
    assert_eq!(cut_off_again(stands + 1, Some(3 * SECOND)).verdict, Verdict::Held);
}

/// a has the address in virtual router 7, which c left, and b in 51. c owns it for a second, b
/// until it stops at 20 s; the client's cache points to b. The machine of a may have stood still
/// shortly before that.
fn address_of_two_routers(b_stops: bool, stood: bool, repaired: u64) -> PropertyReport {
    let seven = |config: &mut vipd_engine::InstanceConfig| config.vrid = Vrid::new(7).unwrap();
    let mut run = Run::new(&[200, 150, 100]).with(0, seven).with(2, seven);
    run.a_is_master(95 * SECOND);
    let stops = if b_stops { 20 * SECOND } else { 95 * SECOND };
    run.takes_over(5 * SECOND, 1);
    run.adverts(5 * SECOND, stops, 1);
    run.neighbour(5 * SECOND, CLIENT, 1);
    let mut run = run.with(2, |config| config.vrid = Vrid::new(51).unwrap());
    run.reload(10 * SECOND, 2);
    run.owns(12 * SECOND, 2, true);
    run.owns(13 * SECOND, 2, false);
    if stood {
        run.machine(stops - 500 * MS, 0, MachineChange::Frozen { clock: false });
        run.owns(stops - 500 * MS, 0, false);
        run.machine(stops - 400 * MS, 0, MachineChange::Thawed);
        run.owns(stops - 400 * MS, 0, true);
    }
    if b_stops {
        run.stop(stops, 1);
    }
    run.neighbour(20 * SECOND + repaired, CLIENT, 0);
    run.judged(PropertyId::S11, 90 * SECOND)
}

#[test]
fn s11_whoever_has_the_address_in_another_virtual_router_is_an_owner_too() {
    let report = address_of_two_routers(false, false, 69 * SECOND);
    assert_eq!(report.verdict, Verdict::NotExercised, "{report:?}");
    let bound = 60 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| {
        address_of_two_routers(true, false, bound + extra)
    });
}

#[test]
fn s11_an_owner_that_stood_still_and_goes_on_is_not_new_and_has_until_its_refresh() {
    let bound = 60 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S11, bound, |extra| address_of_two_routers(true, true, bound + extra));
}

/// a stands still from 9.7 s on, and is killed at 10.5 s; b takes over so long after that.
fn killed_after_a_stall(stall: impl Fn(&mut Run), after: u64) -> PropertyReport {
    let killed = 10 * SECOND + 500 * MS;
    let mut run = pair(9 * SECOND + 700 * MS);
    stall(&mut run);
    run.process(killed, 0, ProcessChange::Killed);
    run.takes_over(killed + after, 1);
    run.advert(killed + after, 1);
    run.judged(PropertyId::L1, killed + after + 1)
}

#[test]
fn l1_the_lower_bound_counts_from_the_last_advert_of_a_master_that_stood_still() {
    type Stall<'a> = &'a dyn Fn(&mut Run);
    let from = 9 * SECOND + 700 * MS;
    let back = 10 * SECOND + 200 * MS;
    let frozen = |clock: bool| {
        move |run: &mut Run| {
            run.machine(from, 0, MachineChange::Frozen { clock });
            run.machine(back, 0, MachineChange::Thawed);
        }
    };
    let paused = |run: &mut Run| run.process(from, 0, ProcessChange::Paused);
    let earliest = 3 * SECOND + skew(100) + DELAY - SECOND - LATE;
    let at = |after: u64, stall: Stall<'_>| killed_after_a_stall(stall, after);
    // Its clock stood still for half a second; it went on, and what was due left at once; it never
    // went on.
    let cases: [(Stall<'_>, u64); 3] = [
        (&frozen(true), earliest - 500 * MS),
        (&frozen(false), earliest),
        (&paused, earliest - 800 * MS),
    ];
    for (stall, earliest) in cases {
        assert_ne!(at(earliest, stall).verdict, Verdict::Violated, "{:?}", at(earliest, stall));
        is(&at(earliest - 1, stall), Verdict::Violated, "too early");
    }
}

#[test]
fn l1_a_resignation_counts_from_when_one_that_stood_still_goes_on() {
    let back = 14 * SECOND;
    let crashed = |after: u64| {
        let mut run = pair(10 * SECOND);
        run.process(9 * SECOND, 1, ProcessChange::Paused);
        run.stop(10 * SECOND, 0);
        run.start(10 * SECOND, 0);
        let again = 10 * SECOND + A_MASTER;
        run.takes_over(again, 0);
        run.process(back, 1, ProcessChange::Resumed);
        run.adverts(again, back + after, 0);
        run.machine(back + after, 0, MachineChange::Off);
        run.takes_over(back + after + SECOND, 1);
        run.advert(back + after + SECOND, 1);
        run.judged(PropertyId::L1, back + after + SECOND + 1)
    };
    let explained = 2 * SECOND;
    assert_ne!(crashed(explained).verdict, Verdict::Violated, "{:?}", crashed(explained));
    is(&crashed(explained + 1), Verdict::Violated, "too early");
}

#[test]
fn l1_a_resignation_of_another_router_explains_an_early_takeover_for_skew_d_and_two_handlers() {
    let crashed = |after: u64| {
        let at = 20 * SECOND;
        let mut run = Run::new(&[200, 150, 100]);
        run.start_all();
        run.cut(0, 0, 1);
        run.takes_over(A_MASTER, 0);
        run.adverts_to(A_MASTER, at, 0, &[2]);
        run.takes_over(3 * SECOND + skew(150), 1);
        run.adverts_to(3 * SECOND + skew(150), at, 1, &[2]);
        run.stop(at, 1);
        run.machine(at, 0, MachineChange::Off);
        run.takes_over(at + after, 2);
        run.advert(at + after, 2);
        run.judged(PropertyId::L1, at + after + 1)
    };
    let explained = skew(100) + DELAY + 2 * LATE;
    assert_ne!(crashed(explained).verdict, Verdict::Violated, "{:?}", crashed(explained));
    is(&crashed(explained + 1), Verdict::Violated, "too early");
}

#[test]
fn s3_a_router_that_has_left_the_virtual_router_is_no_master_that_lives() {
    let mut run = Run::new(&[200, 150, 100]);
    run.start_all();
    run.takes_over(3 * SECOND + skew(150), 1);
    run.adverts(3 * SECOND + skew(150), 5 * SECOND, 1);
    run.takes_over(5 * SECOND, 0);
    run.adverts(5 * SECOND, 10 * SECOND, 0);
    run.advert(5 * SECOND + DELAY, 1);
    run.yields(5 * SECOND + DELAY, 1);
    let mut run = run.with(1, |config| config.vrid = Vrid::new(7).unwrap());
    run.reload(7 * SECOND, 1);
    run.process(8 * SECOND, 1, ProcessChange::Killed);
    run.start(8 * SECOND, 1);
    run.path(10 * SECOND, 0, 2, false);
    run.adverts_to(10 * SECOND, 20 * SECOND, 0, &[1]);
    run.takes_over(14 * SECOND, 2);
    run.advert(14 * SECOND, 2);
    let report = run.judged(PropertyId::S3, 14 * SECOND + 1);
    is(&report, Verdict::NotProvided, "c was cut off from a");
}
