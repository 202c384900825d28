//! S1 to S12 at their bounds; S4 is in `crash`, S11 in `caches`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{Mismatch, News, Password, StateKind};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{ProcessChange, Seen, SeenAdvert, WorldTime};
use crate::scenario::{AdvertFields, Injection, Message, Step, TimedStep};

pub(super) const HEALED: u64 = 10 * SECOND;

/// a and b, cut from each other, are both master until `HEALED`. b sends its last advert `last`
/// after that and lets the address go at `gone`. `heard` by a or not.
pub(super) fn cut_and_heal(last: u64, gone: u64, heard: bool) -> Run {
    let mut run = Run::new(&[200, 100]);
    split(&mut run, last, gone, heard);
    run
}

pub(super) fn split(run: &mut Run, last: u64, gone: u64, heard: bool) {
    let ears: &[usize] = if heard { &[0] } else { &[] };
    run.start_all();
    run.cut(0, 0, 1);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, HEALED, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run.adverts_to(B_MASTER, HEALED, 1, &[]);
    run.heal(HEALED, 0, 1);
    run.adverts(A_MASTER + 7 * SECOND, 100 * SECOND, 0);
    run.advert_to(HEALED + last, 1, 100, ears);
    run.state(HEALED + last, 1, StateKind::Master, StateKind::Backup);
    run.owns(HEALED + gone, 1, false);
}

/// A pair that cannot understand each other: both become master.
fn odd_pair() -> Run {
    let password = |text: &[u8]| Some(Password::new(text).unwrap());
    let mut run = Run::new(&[200, 100])
        .with(0, |config| config.password = password(b"one"))
        .with(1, |config| config.password = password(b"two"));
    run.a_is_master(20 * SECOND);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, 20 * SECOND, 1);
    run
}

fn alone(id: PropertyId) -> PropertyReport {
    let mut run = Run::new(&[200]);
    run.start_all();
    run.judged(id, 2 * SECOND)
}

#[test]
fn nothing_is_exercised_by_a_router_alone_that_has_not_become_master() {
    for id in PropertyId::ALL {
        let report = alone(id);
        let verdict = match id {
            PropertyId::S8 => Verdict::NotProvided,
            PropertyId::S12 => Verdict::Held,
            _ => Verdict::NotExercised,
        };
        assert_eq!(report.verdict, verdict, "{report:?}");
        assert_eq!(report.reason.is_some(), verdict != Verdict::Held, "{report:?}");
    }
}

#[test]
fn s1_two_masters_that_hear_each_other_coexist_for_w_at_most() {
    at_the_bound(PropertyId::S1, W, |extra| {
        cut_and_heal(W + extra, W, true).judged(PropertyId::S1, 30 * SECOND)
    });
}

#[test]
fn s1_a_lost_advert_of_the_winner_widens_w_by_its_interval() {
    at_the_bound(PropertyId::S1, W + SECOND, |extra| {
        let mut run = cut_and_heal(W + SECOND + extra, W, true);
        run.lost(HEALED + 1, 0, 200);
        run.advert_to(HEALED + SECOND, 1, 100, &[]);
        run.judged(PropertyId::S1, 30 * SECOND)
    });
}

#[test]
fn s1_is_not_provided_for_a_pair_that_does_not_understand_each_other() {
    let report = odd_pair().judged(PropertyId::S1, 20 * SECOND);
    is(&report, Verdict::NotProvided, "a and b differ: password");
}

#[test]
fn s1_counts_anew_once_a_reload_ends_a_mismatch() {
    let reconciled = |last: u64| {
        let mut run = odd_pair();
        let mut run = {
            run.state(10 * SECOND + last, 1, StateKind::Master, StateKind::Backup);
            run.with(1, |config| config.password = Some(Password::new(b"one").unwrap()))
        };
        run.reload(10 * SECOND, 1);
        run.judged(PropertyId::S1, 10 * SECOND + last + 1)
    };
    let report = reconciled(SECOND);
    is(&report, Verdict::NotProvided, "a and b differ: password");
    // The last advert before it yields is at 12.609375 s, more than W after the reload.
    let report = reconciled(3 * SECOND);
    is(&report, Verdict::Violated, "a and b heard each other");
}

#[test]
fn s1_is_violated_where_the_engine_says_master_and_the_wire_is_silent() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    let report = run.judged(PropertyId::S1, 20 * SECOND);
    is(&report, Verdict::Violated, "the two columns of a disagree");
}

#[test]
fn s1_is_violated_by_an_advert_of_a_router_that_says_backup() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(20 * SECOND);
    run.advert_to(5 * SECOND, 1, 100, &[]);
    let report = run.judged(PropertyId::S1, 20 * SECOND);
    is(&report, Verdict::Violated, "the two columns of b disagree");
}

#[test]
fn s1_holds_where_the_word_of_a_master_that_yields_overtakes_its_last_advert() {
    let judged = |tolerance, late| {
        let mut run = preemption(DELAY);
        run.setting.tolerance = Duration::from_nanos(tolerance);
        run.advert(20 * SECOND + A_MASTER + DELAY + late, 1);
        run.judged(PropertyId::S1, 30 * SECOND)
    };
    for (tolerance, late) in [(0, 0), (50 * MS, 0), (50 * MS, MS), (50 * MS, 50 * MS)] {
        is(&judged(tolerance, late), Verdict::Held, "");
    }
    // Simulated time has no excuse.
    for (tolerance, late) in [(0, 1), (50 * MS, 50 * MS + 1)] {
        is(&judged(tolerance, late), Verdict::Violated, "the two columns of b disagree");
    }
}

#[test]
fn s2_two_data_planes_coexist_for_w_plus_r_at_most() {
    at_the_bound(PropertyId::S2, W + RELEASE, |extra| {
        cut_and_heal(W, W + RELEASE + extra, true).judged(PropertyId::S2, 30 * SECOND)
    });
}

#[test]
fn s2_is_violated_by_an_address_that_a_killed_process_left() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.process(10 * SECOND, 0, ProcessChange::Killed);
    run.takes_over(A_MASTER + 6 * SECOND + B_MASTER, 1);
    run.adverts(A_MASTER + 6 * SECOND + B_MASTER, 30 * SECOND, 1);
    let report = run.judged(PropertyId::S2, 30 * SECOND);
    is(&report, Verdict::Violated, "the process of a died and left the address (S8)");
}

#[test]
fn s2_is_not_provided_where_the_kernel_refuses_to_remove_the_address() {
    let mut run = cut_and_heal(W, 2 * W, true);
    let error = vipd_engine::EffectError::Refused;
    run.news(HEALED + SECOND, 1, News::SendRefused { error, in_a_row: 1 });
    let report = run.judged(PropertyId::S2, 30 * SECOND);
    is(&report, Verdict::NotProvided, "the kernel of b refused");
}

#[test]
fn s3_a_living_master_is_heard_every_interval() {
    at_the_bound(PropertyId::S3, SECOND + LATE, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        run.adverts(A_MASTER + 7 * SECOND + LATE + extra, 20 * SECOND, 0);
        run.judged(PropertyId::S3, 20 * SECOND)
    });
}

#[test]
fn s3_a_takeover_from_a_living_master_is_a_violation() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(20 * SECOND);
    run.takes_over(10 * SECOND, 1);
    run.adverts(10 * SECOND, 11 * SECOND, 1);
    run.yields(10 * SECOND + 1, 1);
    let report = run.judged(PropertyId::S3, 20 * SECOND);
    is(&report, Verdict::Violated, "b took over");
}

/// Two of nearly the same rank start together: the first advert of one waits for the handler of the
/// other, whose timer runs out.
#[test]
fn s3_a_takeover_before_the_first_advert_could_be_handled_is_no_violation() {
    for (extra, verdict) in [(0, Verdict::Held), (1, Verdict::Violated)] {
        let mut run = Run::new(&[200, 199]);
        run.a_is_master(20 * SECOND);
        let taken = A_MASTER + DELAY + LATE + extra;
        run.takes_over(taken, 1);
        run.advert(taken, 1);
        run.yields(taken + MS, 1);
        let report = run.judged(PropertyId::S3, 20 * SECOND);
        is(&report, verdict, if extra == 0 { "" } else { "b took over" });
    }
}

#[test]
fn s3_is_not_provided_once_three_adverts_in_a_row_are_lost_and_held_with_two() {
    for lost in [2, 3] {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(10 * SECOND);
        for number in 0..lost {
            run.lost(A_MASTER + (7 + number) * SECOND, 0, 200);
        }
        run.adverts(A_MASTER + (7 + lost) * SECOND, 20 * SECOND, 0);
        let taken = A_MASTER + 6 * SECOND + DELAY + B_MASTER;
        if lost == 3 {
            run.takes_over(taken, 1);
            run.advert(taken, 1);
            run.yields(taken + 400 * MS, 1);
        }
        let report = run.judged(PropertyId::S3, 20 * SECOND);
        match lost {
            2 => is(&report, Verdict::Held, ""),
            _ => is(&report, Verdict::NotProvided, "3 adverts of a in a row were lost"),
        }
    }
}

#[test]
fn s3_is_not_provided_while_the_master_is_paused() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(10 * SECOND);
    run.process(10 * SECOND, 0, ProcessChange::Paused);
    run.takes_over(A_MASTER + 6 * SECOND + DELAY + B_MASTER, 1);
    run.adverts(A_MASTER + 6 * SECOND + DELAY + B_MASTER, 20 * SECOND, 1);
    let report = run.judged(PropertyId::S3, 20 * SECOND);
    is(&report, Verdict::NotProvided, "a was paused or frozen");
}

/// b is master, a comes back and takes over; b lets the address go so much later.
fn preemption(overlap: u64) -> Run {
    late_preemption(overlap, 0)
}

/// The same; the engine of a says that it is master so long before its first advert.
fn late_preemption(overlap: u64, late: u64) -> Run {
    let mut run = Run::new(&[200, 100]);
    run.start(0, 1);
    run.takes_over(B_MASTER, 1);
    let taken = 20 * SECOND + A_MASTER;
    run.adverts(B_MASTER, taken, 1);
    run.start(20 * SECOND, 0);
    run.takes_over(taken - late, 0);
    run.adverts(taken, 100 * SECOND, 0);
    run.state(taken + DELAY, 1, StateKind::Master, StateKind::Backup);
    run.owns(taken + overlap, 1, false);
    run
}

#[test]
fn s5_a_preemption_overlaps_for_d_and_r_and_a_handler_at_most() {
    let bound = DELAY + RELEASE + LATE;
    at_the_bound(PropertyId::S5, bound, |extra| {
        preemption(bound + extra).judged(PropertyId::S5, 30 * SECOND)
    });
}

#[test]
fn s5_counts_from_a_first_advert_that_comes_within_the_tolerance_after_the_engines_word() {
    let judged = |late| {
        let mut run = late_preemption(DELAY, late);
        run.setting.tolerance = Duration::from_millis(50);
        run.judged(PropertyId::S5, 30 * SECOND)
    };
    let slack = LATE + 50 * MS;
    for late in [0, 1, MS, slack] {
        is(&judged(late), Verdict::Held, "");
    }
    // It was master already, and its first advert is no takeover.
    is(&judged(slack + 1), Verdict::NotExercised, "no better node took over");
}

#[test]
fn s5_is_not_provided_where_the_lower_master_is_paused() {
    let mut run = preemption(4 * SECOND);
    run.process(20 * SECOND + A_MASTER + DELAY, 1, ProcessChange::Paused);
    let report = run.judged(PropertyId::S5, 30 * SECOND);
    is(&report, Verdict::NotProvided, "b was paused or frozen");
}

#[test]
fn s6_after_a_heal_one_master_is_left_within_a_plus_d_and_two_handlers() {
    at_the_bound(PropertyId::S6, W, |extra| {
        cut_and_heal(W + extra, W, true).judged(PropertyId::S6, 30 * SECOND)
    });
}

#[test]
fn s6_counts_the_lost_adverts_of_the_best_one_also_if_it_is_master_until_it_dies() {
    let bound = 3 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S6, bound, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.start_all();
        run.cut(0, 0, 1);
        run.takes_over(A_MASTER, 0);
        run.adverts_to(A_MASTER, HEALED, 0, &[]);
        run.takes_over(B_MASTER, 1);
        run.adverts_to(B_MASTER, HEALED, 1, &[]);
        run.heal(HEALED, 0, 1);
        run.lost(A_MASTER + 7 * SECOND, 0, 200);
        run.lost(A_MASTER + 8 * SECOND, 0, 200);
        run.adverts(B_MASTER + 7 * SECOND, 30 * SECOND, 1);
        run.process(HEALED + bound + extra, 0, ProcessChange::Killed);
        run.judged(PropertyId::S6, 30 * SECOND)
    });
}

#[test]
fn s6_is_not_provided_if_only_one_way_heals() {
    let mut run = Run::new(&[200, 100]);
    run.start_all();
    run.cut(0, 0, 1);
    run.takes_over(A_MASTER, 0);
    run.takes_over(B_MASTER, 1);
    run.adverts_to(A_MASTER, 20 * SECOND, 0, &[]);
    run.adverts_to(B_MASTER, 20 * SECOND, 1, &[]);
    run.path(HEALED, 1, 0, true);
    let report = run.judged(PropertyId::S6, 20 * SECOND);
    is(&report, Verdict::NotProvided, "b does not hear a");
}

#[test]
fn s7_a_component_has_its_one_master_by_t() {
    let settling = B_MASTER + 2 * DELAY + 3 * LATE;
    at_the_bound(PropertyId::S7, settling, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.start_all();
        run.takes_over(settling + extra, 0);
        run.adverts(settling + extra, 30 * SECOND, 0);
        run.judged(PropertyId::S7, 30 * SECOND)
    });
}

#[test]
fn s7_is_violated_by_a_master_that_a_preempting_backup_outranks() {
    let mut run = Run::new(&[100, 200]);
    run.start_all();
    run.takes_over(B_MASTER, 0);
    run.adverts(B_MASTER, 30 * SECOND, 0);
    let report = run.judged(PropertyId::S7, 30 * SECOND);
    is(&report, Verdict::Violated, "a was master although b is better");
}

#[test]
fn s7_lets_a_better_node_wait_that_does_not_preempt() {
    let mut run = Run::new(&[100, 200]).with(1, |config| config.preempt = false);
    run.start_all();
    run.takes_over(B_MASTER, 0);
    run.adverts(B_MASTER, 30 * SECOND, 0);
    assert_eq!(run.judged(PropertyId::S7, 30 * SECOND).verdict, Verdict::Held);
}

#[test]
fn s7_is_not_provided_in_a_one_way_cut() {
    let mut run = Run::new(&[200, 100]);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.takes_over(B_MASTER, 1);
    run.adverts_to(A_MASTER, 20 * SECOND, 0, &[]);
    run.adverts(B_MASTER, 20 * SECOND, 1);
    let report = run.judged(PropertyId::S7, 20 * SECOND);
    is(&report, Verdict::NotProvided, "one-way or partial cut");
}

#[test]
fn s7_says_nothing_where_no_stretch_is_long_enough() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(20 * SECOND);
    for second in 1..20 {
        run.path(second * SECOND, 0, CLIENT, true);
    }
    let report = run.judged(PropertyId::S7, 20 * SECOND);
    is(&report, Verdict::NotExercised, "no stretch without a fault");
}

#[test]
fn s8_is_not_provided_where_nobody_has_a_lease() {
    let report = alone(PropertyId::S8);
    is(&report, Verdict::NotProvided, "no router has a lease (`dead_man`)");
}

#[test]
fn s9_a_mismatch_is_named_within_two_intervals_and_d() {
    let bound = 2 * SECOND + DELAY + 2 * LATE;
    at_the_bound(PropertyId::S9, bound, |extra| {
        let mut run = odd_pair();
        run.mismatch(A_MASTER + DELAY + bound + extra, 1, 0, Mismatch::Password);
        run.judged(PropertyId::S9, 20 * SECOND)
    });
}

#[test]
fn s9_a_name_for_something_else_does_not_count() {
    let mut run = odd_pair();
    run.mismatch(A_MASTER + DELAY, 1, 0, Mismatch::Version(3));
    let report = run.judged(PropertyId::S9, 20 * SECOND);
    is(&report, Verdict::Violated, "nobody named 10.0.0.1");
}

#[test]
fn s9_a_foreign_vrid_with_our_address_must_be_named() {
    let foreign = |named: bool| {
        let mut run = Run::new(&[200, 100])
            .with(1, |config| config.vrid = vipd_engine::Vrid::new(7).unwrap());
        run.a_is_master(20 * SECOND);
        if named {
            let vrid = vipd_engine::Vrid::new(51).unwrap();
            run.news(A_MASTER + DELAY, 1, News::ForeignVrid { peer: address(1), vrid });
        }
        run.judged(PropertyId::S9, 20 * SECOND)
    };
    assert_eq!(foreign(true).verdict, Verdict::Held);
    is(&foreign(false), Verdict::Violated, "foreign-vrid");
}

#[test]
fn s9_an_injected_advert_of_another_version_must_be_named() {
    let spoofed = |named: bool| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(20 * SECOND);
        let injection = Injection {
            segment: LAN,
            src: address(77),
            dst: IpAddr::V4(vipd_engine::config::MULTICAST_GROUP_V4),
            ttl: 255,
            protocol: 112,
            message: Message::Advert(AdvertFields {
                version: 3,
                vrid: 51,
                priority: 250,
                interval: 100,
                auth_type: 0,
                auth_data: [0; 8],
                addresses: vec![vip()],
                checksum_error: 0,
            }),
            count: 1,
            every: Duration::ZERO,
        };
        let advert = SeenAdvert { sender: None, src: address(77), version: 3, ..run.make(0, 250) };
        let advert = SeenAdvert { injection: Some(0), ..advert };
        let step = Step::Inject(Box::new(injection));
        let step = TimedStep { at: WorldTime(5 * SECOND), step, span: 0..0 };
        run.see(5 * SECOND, 0, Seen::Step(Arc::new(step)));
        run.see(5 * SECOND + 1, 0, Seen::AdvertDelivered(advert));
        if named {
            let peer = address(77);
            let mismatch = Mismatch::Version(3);
            run.news(5 * SECOND + 1, 0, News::Mismatch { peer, mismatch });
        }
        run.judged(PropertyId::S9, 20 * SECOND)
    };
    assert_eq!(spoofed(true).verdict, Verdict::Held);
    is(&spoofed(false), Verdict::Violated, "nobody named 10.0.0.77");
}

#[test]
fn s10_the_winner_raises_the_alarm_within_three_intervals_of_a_deaf_loser() {
    let bound = 3 * SECOND + 2 * DELAY + 2 * LATE;
    at_the_bound(PropertyId::S10, bound, |extra| {
        let mut run = Run::new(&[200, 100]);
        run.start_all();
        run.path(0, 0, 1, false);
        run.takes_over(A_MASTER, 0);
        run.adverts_to(A_MASTER, 20 * SECOND, 0, &[]);
        run.takes_over(B_MASTER, 1);
        run.adverts(B_MASTER, 20 * SECOND, 1);
        let alarm = News::OneWay { peer: address(2), asserts: 3 };
        run.news(B_MASTER + bound + extra, 0, alarm);
        run.judged(PropertyId::S10, 20 * SECOND)
    });
}

#[test]
fn s10_is_not_provided_with_the_alarm_off() {
    let mut run = Run::new(&[200, 100]).with(0, |config| config.one_way_alarm = 0);
    run.start_all();
    run.path(0, 0, 1, false);
    run.takes_over(A_MASTER, 0);
    run.adverts_to(A_MASTER, 20 * SECOND, 0, &[]);
    run.takes_over(B_MASTER, 1);
    run.adverts(B_MASTER, 20 * SECOND, 1);
    let report = run.judged(PropertyId::S10, 20 * SECOND);
    is(&report, Verdict::NotProvided, "the one-way alarm is off");
}

#[test]
fn s10_a_deaf_winner_takes_over_once_and_no_more() {
    let taken = |times: u64| {
        let mut run = Run::new(&[200, 100]);
        run.a_is_master(30 * SECOND);
        run.path(0, 1, 0, false);
        for number in 0..times {
            let at = 10 * SECOND + 3 * number * SECOND;
            run.takes_over(at, 1);
            run.advert_to(at, 1, 100, &[]);
            run.yields(at + 1, 1);
        }
        run.judged(PropertyId::S10, 30 * SECOND)
    };
    assert_eq!(taken(1).verdict, Verdict::Held);
    is(&taken(2), Verdict::Violated, "2 takeovers while a did not hear its rival");
}

#[test]
fn s12_a_backup_lets_the_address_go_within_r() {
    at_the_bound(PropertyId::S12, RELEASE, |extra| {
        cut_and_heal(MS, MS + RELEASE + extra, true).judged(PropertyId::S12, 30 * SECOND)
    });
}

#[test]
fn s12_is_violated_by_a_backup_that_answers() {
    let mut run = Run::new(&[200, 100]);
    run.a_is_master(20 * SECOND);
    let mac = vipd_engine::MacAddress([2; 6]);
    run.see(5 * SECOND, 1, Seen::Answered { segment: LAN, address: vip(), mac });
    let report = run.judged(PropertyId::S12, 20 * SECOND);
    is(&report, Verdict::Violated, "b answered for 10.0.0.100");
}

#[test]
fn s12_is_not_provided_where_the_kernel_refuses() {
    let mut run = cut_and_heal(MS, SECOND, true);
    let error = vipd_engine::EffectError::Refused;
    run.news(HEALED + 2 * MS, 1, News::SendRefused { error, in_a_row: 1 });
    let report = run.judged(PropertyId::S12, 30 * SECOND);
    is(&report, Verdict::NotProvided, "the kernel of b refused");
}
