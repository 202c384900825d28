//! What a million random schedules brought up about the alarm of S10: what the judge must
//! not blame, and beside it what it must go on to blame.

use vipd_engine::config::{Peer, Transport};
use vipd_engine::rules::LowerPriorityRule::{self, Assert, Silent};
use vipd_engine::{Interval, News, StateKind};

use super::hunted::alarmed;
use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{MachineChange, ProcessChange};

/// How long a winner remembers a loser that is silent.
const MEMORY: u64 = 4 * SECOND + 2 * LATE;

/// b is killed and started again, and becomes master then.
fn back_again(run: &mut Run, killed: u64, again: u64) {
    run.process(killed, 1, ProcessChange::Killed);
    run.owns(killed, 1, false);
    run.start(killed + MS, 1);
    run.takes_over(again, 1);
    run.adverts(again, 60 * SECOND, 1);
}

#[test]
fn s10_each_third_master_costs_the_loser_s_timer_an_interval() {
    let normal = 3 * SECOND + 2 * DELAY + 2 * LATE;
    let judged = |third_until: u64, after: u64| {
        let mut run = Run::new(&[200, 100, 50]);
        run.start_all();
        run.path(0, 0, 1, false);
        run.takes_over(A_MASTER, 0);
        run.adverts_to(A_MASTER, 20 * SECOND, 0, &[2]);
        run.takes_over(B_MASTER - SECOND, 2);
        run.advert(third_until, 2);
        run.yields(third_until, 2);
        run.takes_over(B_MASTER, 1);
        run.adverts(B_MASTER, 20 * SECOND, 1);
        run.news(B_MASTER + after, 0, News::OneWay { peer: address(2), asserts: 3 });
        run.judged(PropertyId::S10, 20 * SECOND)
    };
    at_the_bound(PropertyId::S10, normal + SECOND, |extra| {
        judged(B_MASTER + MS, normal + SECOND + extra)
    });
    at_the_bound(PropertyId::S10, normal, |extra| judged(B_MASTER - MS, normal + extra));
}

#[test]
fn s10_a_paused_winner_hears_the_loser_when_it_goes_on() {
    let silent = |after: u64| {
        let mut run = alarmed(60 * SECOND, 10 * SECOND);
        let (killed, resumed) = (10 * SECOND, 10 * SECOND + 500 * MS);
        run.process(killed - 100 * MS, 0, ProcessChange::Paused);
        run.process(resumed, 0, ProcessChange::Resumed);
        back_again(&mut run, killed, resumed + after);
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    assert_eq!(silent(MEMORY).verdict, Verdict::Held);
    is(&silent(MEMORY + 1), Verdict::Violated, "a raised no alarm");
}

#[test]
fn s10_adverts_in_the_name_of_the_loser_keep_an_alarm() {
    let silent = |name: u8, priority: u8, after: u64| {
        let mut run = alarmed(60 * SECOND, 10 * SECOND);
        let forged = 12 * SECOND;
        run.forge(forged, 0, name, priority);
        back_again(&mut run, 10 * SECOND, forged + after);
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    assert_eq!(silent(2, 9, MEMORY).verdict, Verdict::Held);
    is(&silent(2, 9, MEMORY + 1), Verdict::Violated, "a raised no alarm");
    is(&silent(77, 9, MEMORY), Verdict::Violated, "a raised no alarm");
    is(&silent(2, 0, MEMORY), Verdict::Violated, "a raised no alarm");
}

/// b of the v3 pair advertised every `before` until it was killed at 10 s. Somebody may speak in
/// its name a second later, with the second of a's interval. So long after that b is master again,
/// every `then`.
fn another_interval(before: u64, then: u64, forged: bool, after: u64) -> PropertyReport {
    let every = |interval: u64| {
        let interval = Interval::from_centiseconds((interval / MS / 10) as i64).unwrap();
        move |config: &mut vipd_engine::InstanceConfig| config.interval = interval
    };
    let mut run = Run::new(&[200, 100]).version_3(SECOND).with(1, every(before));
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, 60 * SECOND, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, 10 * SECOND, 1);
    let raised = News::OneWay { peer: address(2), asserts: 3 };
    run.news(B_MASTER + 2 * before + DELAY, 0, raised);
    let mut heard = 10 * SECOND;
    if forged {
        heard = 11 * SECOND;
        run.forge(heard, 0, 2, 9);
    }
    let mut run = run.with(1, every(then));
    back_again(&mut run, 10 * SECOND, heard + after);
    run.judged(PropertyId::S10, 50 * SECOND)
}

#[test]
fn s10_a_silent_loser_is_remembered_for_four_of_the_intervals_that_the_winner_heard() {
    let cases = [
        (SECOND, 100 * MS, false, MEMORY),
        (100 * MS, SECOND, false, 400 * MS + 2 * LATE),
        (100 * MS, 100 * MS, true, MEMORY),
    ];
    for (before, then, forged, memory) in cases {
        let report = another_interval(before, then, forged, memory);
        assert_eq!(report.verdict, Verdict::Held, "{before} {then}: {report:?}");
        let report = another_interval(before, then, forged, memory + 1);
        is(&report, Verdict::Violated, "a raised no alarm");
    }
}

#[test]
fn s10_a_winner_that_was_silent_forgets_its_alarm_only_if_it_left_the_state() {
    let frozen = |left: bool| {
        let mut run = alarmed(8 * SECOND, 60 * SECOND);
        let thawed = 11 * SECOND;
        run.machine(8 * SECOND, 0, MachineChange::Frozen { clock: false });
        run.machine(thawed, 0, MachineChange::Thawed);
        if left {
            run.state(thawed, 0, StateKind::Master, StateKind::Backup);
            run.takes_over(thawed + SECOND, 0);
        }
        let again = if left { thawed + SECOND } else { thawed };
        run.adverts_to(again, 60 * SECOND, 0, &[]);
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    assert_eq!(frozen(false).verdict, Verdict::Held);
    is(&frozen(true), Verdict::Violated, "a raised no alarm");
}

fn lost_in_a_row(lost: u64, alarm: u64) -> PropertyReport {
    lost_after(2, lost, alarm)
}

/// So many adverts of the loser in a row are lost after the first ones, and the alarm comes so long
/// after the last lost one.
fn lost_after(heard: u64, lost: u64, alarm: u64) -> PropertyReport {
    let mut run = Run::new(&[200, 100]);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, 60 * SECOND, 0, &[]);
    run.takes_over(B_MASTER, 1);
    let first = B_MASTER + heard * SECOND;
    run.adverts(B_MASTER, first, 1);
    for number in 0..lost {
        run.lost(first + number * SECOND, 1, 100);
    }
    let last = first + (lost - 1) * SECOND;
    run.adverts(last + SECOND, 60 * SECOND, 1);
    run.news(last + alarm, 0, News::OneWay { peer: address(2), asserts: 3 });
    run.judged(PropertyId::S10, 50 * SECOND)
}

#[test]
fn s10_after_a_silence_longer_than_its_memory_the_winner_counts_anew() {
    let slack = 2 * DELAY + 2 * LATE;
    assert_eq!(lost_in_a_row(4, 3 * SECOND + slack).verdict, Verdict::Held);
    is(&lost_in_a_row(4, 3 * SECOND + slack + 2), Verdict::Violated, "a raised no alarm");
    // It heard two before, and knows them still.
    let known = 2 * SECOND + slack;
    assert_eq!(lost_in_a_row(2, known).verdict, Verdict::Held);
    is(&lost_in_a_row(2, known + 1), Verdict::Violated, "a raised no alarm");
    is(&lost_after(5, 4, 3 * SECOND + slack), Verdict::Violated, "a raised no alarm");
}

/// The file of a router lists these unicast peers from now on.
fn to_peers(run: Run, at: u64, host: usize, peers: &[u8]) -> Run {
    let peers = peers.iter().map(|last| Peer::new(address(*last))).collect();
    let transport = Transport::Unicast { source: None, peers, ttl: 255 };
    let mut run = run.with(host, |config| config.transport = transport);
    run.reload(at, host);
    run
}

#[test]
fn s10_a_loser_whose_file_does_not_list_the_winner_is_silent_to_it() {
    let unlisted_for = |silence: u64| {
        let mut run = alarmed(60 * SECOND, 10 * SECOND);
        run = to_peers(run, 0, 0, &[2]);
        run = to_peers(run, 0, 1, &[1]);
        run = to_peers(run, 10 * SECOND, 1, &[3]);
        run.adverts_to(B_MASTER + 7 * SECOND, 10 * SECOND + silence, 1, &[]);
        let mut run = to_peers(run, 10 * SECOND + silence, 1, &[1]);
        run.adverts(10 * SECOND + silence, 60 * SECOND, 1);
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    assert_eq!(unlisted_for(MEMORY).verdict, Verdict::Held);
    is(&unlisted_for(MEMORY + 1), Verdict::Violated, "a raised no alarm");
}

/// A pair of which b hears nothing of a, up to its first advert as a second master.
fn deaf(rule: LowerPriorityRule, a_every: u64, b_every: u64) -> Run {
    let every = |interval: u64| {
        let interval = Interval::from_centiseconds((interval / MS / 10) as i64).unwrap();
        move |config: &mut vipd_engine::InstanceConfig| config.interval = interval
    };
    let run = Run::new(&[200, 100, 50]).version_3(SECOND);
    let run = run.with(0, every(a_every)).with(1, every(b_every));
    let mut run = run.with(0, |config| config.rules.lower_priority = rule);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, 60 * SECOND, 0, &[2]);
    run.takes_over(B_MASTER, 1);
    run
}

/// It goes on, and a says so of it after so long, as the last of so many.
fn said_after(mut run: Run, asserts: u8, after: u64) -> PropertyReport {
    run.adverts(B_MASTER, 60 * SECOND, 1);
    run.news(B_MASTER + after, 0, News::OneWay { peer: address(2), asserts });
    run.judged(PropertyId::S10, 50 * SECOND)
}

#[test]
fn s10_an_alarm_is_not_raised_before_the_loser_can_have_heard_an_advert_for_each_that_counts() {
    const HALF: u64 = SECOND / 2;
    let cases = [
        (Assert, 2, HALF),
        (Assert, 3, 2 * HALF),
        (Silent, 2, HALF),
        (Silent, 3, SECOND - LATE + HALF),
        (Silent, 4, 2 * SECOND - LATE + HALF),
    ];
    for (rule, asserts, least) in cases {
        let said = |after| said_after(deaf(rule, SECOND, SECOND), asserts, after);
        assert_eq!(said(least).verdict, Verdict::Held, "{rule:?} {asserts}");
        is(&said(least - 1), Verdict::Violated, "that b does not hear it");
    }
    // The first advert of all raises it, if it is to.
    for rule in [Assert, Silent] {
        let said = said_after(deaf(rule, SECOND, SECOND), 1, 1);
        assert_eq!(said.verdict, Verdict::Held, "{rule:?}");
    }
}

#[test]
fn s10_the_shorter_interval_of_the_loser_has_it_said_no_sooner_by_a_master_that_is_silent() {
    let said = |after| said_after(deaf(Silent, SECOND, 200 * MS), 3, after);
    let least = SECOND - LATE + 100 * MS;
    assert_eq!(said(least).verdict, Verdict::Held);
    is(&said(least - 1), Verdict::Violated, "a said after");
}

#[test]
fn s10_a_master_that_is_silent_otherwise_answers_a_resignation() {
    let said = |resigned: bool, after: u64| {
        let mut run = deaf(Silent, SECOND, SECOND);
        run.advert(B_MASTER + MS, 2);
        if resigned {
            run.advert_to(B_MASTER + 2 * MS, 2, 0, &[0]);
        }
        said_after(run, 3, after)
    };
    assert_eq!(said(true, SECOND).verdict, Verdict::Held);
    is(&said(true, SECOND - 1), Verdict::Violated, "a said after");
    is(&said(false, SECOND), Verdict::Violated, "a said after");
}

#[test]
fn s10_a_winner_that_stood_still_may_advertise_twice_within_its_interval() {
    let said = |stood_still: bool| {
        let mut run = deaf(Silent, SECOND, SECOND);
        if stood_still {
            run.machine(B_MASTER + MS, 0, MachineChange::Frozen { clock: false });
            run.machine(B_MASTER + SECOND, 0, MachineChange::Thawed);
        }
        said_after(run, 3, SECOND)
    };
    assert_eq!(said(true).verdict, Verdict::NotProvided);
    assert_eq!(said(false).verdict, Verdict::Violated);
}

#[test]
fn s10_after_a_silence_longer_than_its_memory_a_winner_says_nothing_of_what_it_heard_before() {
    let said = |silence: u64| {
        let mut run = deaf(Assert, SECOND, SECOND);
        let (began, ended) = (B_MASTER + 1, B_MASTER + 1 + silence);
        run.path(began, 1, 0, false);
        run.path(ended, 1, 0, true);
        run.adverts(B_MASTER, 60 * SECOND, 1);
        run.news(ended + SECOND - 1, 0, News::OneWay { peer: address(2), asserts: 3 });
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    assert_eq!(said(MEMORY).verdict, Verdict::Held);
    is(&said(MEMORY + 1), Verdict::Violated, "a said after");
}

#[test]
fn s10_a_winner_that_does_not_answer_each_advert_waits_for_its_own_next_ones() {
    let slack = 2 * DELAY + 2 * LATE;
    let waits = |b_every: u64| 2 * (SECOND + b_every / 2 + 2 * LATE);
    let cases = [
        (Silent, SECOND, waits(SECOND)),
        // Four of b come in each interval of a, and one more at its edge.
        (Assert, 250 * MS, waits(250 * MS)),
        (Assert, 500 * MS, 0),
    ];
    for (rule, b_every, waits) in cases {
        at_the_bound(PropertyId::S10, 3 * b_every + slack + waits, |extra| {
            let after = 3 * b_every + slack + waits + extra;
            said_after(deaf(rule, SECOND, b_every), 3, after)
        });
    }
}

#[test]
fn s10_a_winner_remembers_by_a_clock_that_may_stand_still() {
    let said = |clock: bool| {
        let mut run = deaf(Assert, SECOND, SECOND);
        let (began, ended) = (B_MASTER + 1, B_MASTER + 1 + MEMORY + SECOND);
        run.path(began, 1, 0, false);
        run.machine(began + SECOND, 0, MachineChange::Frozen { clock });
        run.machine(began + 2 * SECOND, 0, MachineChange::Thawed);
        run.path(ended, 1, 0, true);
        run.adverts(B_MASTER, 60 * SECOND, 1);
        run.news(ended + SECOND - 1, 0, News::OneWay { peer: address(2), asserts: 3 });
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    assert_eq!(said(true).verdict, Verdict::Held);
    is(&said(false), Verdict::Violated, "a said after");
}

#[test]
fn s10_an_advert_in_the_name_of_the_loser_counts_as_one_of_the_loser() {
    // The way of b's own is cut for longer than a remembers.
    let (began, ended) = (B_MASTER + 1, B_MASTER + 20 * SECOND);
    let said = |forged: Option<u64>| {
        let mut run = deaf(Assert, SECOND, SECOND);
        run.path(began, 1, 0, false);
        if let Some(before) = forged {
            run.forge(ended - before, 0, 2, 9);
        }
        run.path(ended, 1, 0, true);
        run.adverts(B_MASTER, 60 * SECOND, 1);
        run.news(ended + SECOND - 1, 0, News::OneWay { peer: address(2), asserts: 3 });
        run.judged(PropertyId::S10, 50 * SECOND)
    };
    is(&said(None), Verdict::Violated, "a said after");
    assert_eq!(said(Some(MEMORY)).verdict, Verdict::Held);
    is(&said(Some(MEMORY + 1)), Verdict::Violated, "a said after");
}
