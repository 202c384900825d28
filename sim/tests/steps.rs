//! Each step of the language has the effect that its name promises.

mod rehearsal;

use rehearsal::*;
use vipd_engine::StateKind;
use vipd_scenarios::record::{LossReason, MachineChange, ProcessChange, Seen};

#[test]
fn both_start_and_the_higher_priority_takes_over_after_its_master_down_interval() {
    let played = Rehearsal::probed("").play();
    assert_eq!(played.entered(A, StateKind::Master), [DOWN]);
    assert_eq!(played.owned(A, true), [DOWN]);
    assert!(played.entered(B, StateKind::Master).is_empty());
    assert_eq!(played.answered_by(3_600_000_000), None);
    assert_eq!(played.answered_by(10 * SECOND), Some(A));
}

#[test]
fn a_stopped_master_resigns_and_the_other_takes_over_after_its_skew_time() {
    let played = Rehearsal::probed(&step("10s", "stop = \"a\"")).play();
    assert_eq!(played.entered(B, StateKind::Master), [10 * SECOND + DELAY + 613_281_250]);
    assert_eq!(played.owned(A, false), [10 * SECOND]);
    let ended = played.times(|seen| matches!(seen.seen, Seen::Process(ProcessChange::Stopped)));
    assert_eq!(ended, [10 * SECOND]);
    assert_eq!(played.answered_by(15 * SECOND), Some(B));
}

#[test]
fn a_process_that_is_started_again_takes_its_role_back() {
    let rest = step("6s", "stop = \"a\"") + &step("10s", "start = \"a\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.entered(A, StateKind::Master), [DOWN, 10 * SECOND + DOWN]);
    assert_eq!(played.entered(B, StateKind::Backup).len(), 2);
}

/// The kernel of `a` takes a second for each command, so that a stop at 6 s takes until 7 s.
fn slow_to_stop(rest: &str) -> Played {
    let late = step("5s", "kernel_late = \"a\"\nby = \"1s\"") + &step("6s", "stop = \"a\"");
    Rehearsal::probed(&(late + rest)).play()
}

/// What became of the process of `a`, each with when.
fn life(played: &Played) -> Vec<(u64, ProcessChange)> {
    let changes = played.seen.iter().filter_map(|seen| match seen.seen {
        Seen::Process(change) if seen.host == A => Some((seen.at.0, change)),
        _ => None,
    });
    changes.collect()
}

#[test]
fn a_start_that_comes_while_the_process_stops_waits_for_its_end() {
    let played = slow_to_stop(&step("6500ms", "start = \"a\""));
    let ended = [
        (0, ProcessChange::Started),
        (6 * SECOND, ProcessChange::Stopping),
        (7 * SECOND, ProcessChange::Stopped),
        (7 * SECOND, ProcessChange::Started),
    ];
    assert_eq!(life(&played), ended);
    assert_eq!(played.entered(A, StateKind::Master), [DOWN, 7 * SECOND + DOWN]);
    assert_eq!(played.answered_by(15 * SECOND), Some(A));
}

#[test]
fn a_start_that_waits_is_for_the_file_that_is_in_place_when_the_process_has_ended() {
    let file = "config = \"seed/director-1.conf\"";
    let rest =
        step("6500ms", "start = \"a\"") + &step("6600ms", &format!("reload = \"a\"\n{file}"));
    let played = slow_to_stop(&rest);
    let configured =
        played.times(|seen| seen.host == A && matches!(seen.seen, Seen::Configured(_)));
    assert_eq!(configured, [0, 7 * SECOND]);
}

#[test]
fn a_start_waits_as_well_behind_a_stop_that_a_paused_process_has_not_heard() {
    let rest = step("5500ms", "pause = \"a\"")
        + &step("6s", "stop = \"a\"")
        + &step("7s", "start = \"a\"")
        + &step("8s", "resume = \"a\"");
    let played = Rehearsal::probed(&rest).play();
    let changes = life(&played);
    let last = [(8 * SECOND, ProcessChange::Stopped), (8 * SECOND, ProcessChange::Started)];
    assert_eq!(changes[changes.len() - 2..], last, "{changes:?}");
}

#[test]
fn a_stop_a_kill_or_a_loss_of_power_takes_back_a_start_that_waits() {
    for (what, ended) in [("stop", 7 * SECOND), ("kill", 6_600_000_000), ("power_off", 0)] {
        let last = step("6600ms", &format!("{what} = \"a\""));
        let played = slow_to_stop(&(step("6500ms", "start = \"a\"") + &last));
        let changes = life(&played);
        let starts = changes.iter().filter(|(_, change)| *change == ProcessChange::Started);
        assert_eq!(starts.count(), 1, "{what}: {changes:?}");
        let is_end = |change| matches!(change, ProcessChange::Stopped | ProcessChange::Killed);
        let end = changes.iter().find(|(_, change)| is_end(*change)).map(|(at, _)| *at);
        assert_eq!(end.unwrap_or_default(), ended, "{what}");
        assert!(played.world.status(A).is_none(), "{what}");
    }
}

#[test]
fn a_killed_process_leaves_its_address_and_two_data_planes_own_it() {
    let played = Rehearsal::probed(&step("10s", "kill = \"a\"")).play();
    assert!(played.owned(A, false).is_empty());
    assert_eq!(played.owned(B, true).len(), 1);
    assert!(played.owned(B, true)[0] > 12 * SECOND);
}

#[test]
fn without_power_the_address_goes_and_a_boot_starts_the_process() {
    let rest = step("8s", "power_off = \"a\"") + &step("14s", "power_on = \"a\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.owned(A, false), [8 * SECOND]);
    assert_eq!(played.entered(A, StateKind::Master).last(), Some(&(14 * SECOND + DOWN)));
    let lost = played.times(
        |seen| matches!(seen.seen, Seen::AdvertLost(_, LossReason::PoweredOff) if seen.host == A),
    );
    assert!(!lost.is_empty(), "adverts of the other one find nobody");
}

#[test]
fn a_paused_process_keeps_its_address_and_reads_what_waited_before_it_fires_a_timer() {
    let rest = step("8s", "pause = \"a\"") + &step("14s", "resume = \"a\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.owned(A, false).first(), None, "it is never taken away: A preempts");
    assert_eq!(played.entered(B, StateKind::Master).len(), 1);
    let resumed = 14 * SECOND;
    let sent = played.times(|seen| {
        seen.host == A && seen.at.0 == resumed && matches!(seen.seen, Seen::AdvertSent(_))
    });
    assert!(!sent.is_empty(), "it answers the lower priority that it reads first");
    assert!(played.entered(B, StateKind::Backup).last() > Some(&resumed));
}

#[test]
fn a_paused_master_of_lower_priority_yields_on_resume_without_an_advert_of_its_timer() {
    let rest = step("1s", "pause = \"a\"")
        + &step("6s", "pause = \"b\"")
        + &step("6500ms", "resume = \"a\"")
        + &step("14s", "resume = \"b\"");
    let played = Rehearsal::probed(&rest).play();
    let resumed = 14 * SECOND;
    assert_eq!(played.entered(B, StateKind::Backup).last(), Some(&resumed));
    assert_eq!(played.owned(B, false), [resumed]);
    let priorities: Vec<_> = played
        .seen
        .iter()
        .filter(|seen| seen.host == B && seen.at.0 >= resumed)
        .filter_map(|seen| match seen.seen {
            Seen::AdvertSent(advert) => Some(advert.priority),
            _ => None,
        })
        .collect();
    assert!(priorities.len() <= 1, "at most the last advert of a master that yields");
}

#[test]
fn a_frozen_machine_owns_nothing_and_its_clock_may_stand_still_too() {
    for clock in [false, true] {
        let freeze = format!("freeze = \"a\"\nclock_stops = {clock}");
        let rest = step("8s", &freeze) + &step("14s", "thaw = \"a\"");
        let played = Rehearsal::probed(&rest).play();
        assert_eq!(played.owned(A, false).first(), Some(&(8 * SECOND)));
        assert_eq!(played.owned(A, true).get(1), Some(&(14 * SECOND)));
        let machine = played.times(|seen| match seen.seen {
            Seen::Machine(MachineChange::Frozen { clock: stands }) => stands == clock,
            _ => false,
        });
        assert_eq!(machine, [8 * SECOND]);
        assert_eq!(played.entered(B, StateKind::Master).len(), 1);
    }
}

#[test]
fn a_cut_makes_two_masters_and_its_healing_leaves_one() {
    let rest = step("6s", "cut = \"a <-> b\"") + &step("14s", "heal = \"all\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.entered(B, StateKind::Master).len(), 1);
    let back = played.entered(B, StateKind::Backup).last().copied().unwrap_or(0);
    assert!((14 * SECOND..15 * SECOND + 2 * DELAY).contains(&back));
}

#[test]
fn a_one_way_cut_leaves_the_other_way_open() {
    let played = Rehearsal::probed(&step("6s", "cut = \"a -> b\"")).play();
    let (cut, delivered): (Vec<_>, Vec<_>) = (
        played.times(|seen| {
            seen.host == B && matches!(seen.seen, Seen::AdvertLost(_, LossReason::Cut))
        }),
        played.times(|seen| seen.host == A && matches!(seen.seen, Seen::AdvertDelivered(_))),
    );
    assert!(!cut.is_empty() && !delivered.is_empty());
    assert_eq!(played.reported(A, "one-way").len(), 1);
}

#[test]
fn a_multicast_cut_hurts_multicast_adverts_and_spares_unicast_ones() {
    let rest = step("6s", "cut_multicast = \"a <-> b\"");
    assert_eq!(Rehearsal::probed(&rest).play().entered(B, StateKind::Master).len(), 1);
    let unicast = Rehearsal::changed(&rest, unicast).play();
    assert!(unicast.entered(B, StateKind::Master).is_empty());
    assert_eq!(unicast.entered(A, StateKind::Master), [DOWN]);
}

#[test]
fn two_lost_adverts_are_borne_and_three_are_not() {
    for (count, takeovers) in [(2, 0), (3, 1)] {
        let rest = step("6s", &format!("lose = {count}\non = \"a -> b\""));
        let played = Rehearsal::probed(&rest).play();
        assert_eq!(played.entered(B, StateKind::Master).len(), takeovers, "{count} lost");
    }
}

#[test]
fn conditions_change_the_delay_of_what_is_sent_from_now_on() {
    let rest = step("6s", "conditions = { delay = \"5ms\", duplicate = \"100%\" }\non = \"all\"");
    let played = Rehearsal::pair(&rest).play();
    let sent = played.times(|seen| matches!(seen.seen, Seen::AdvertSent(_)));
    let last = sent.iter().rfind(|at| **at < 19 * SECOND).copied().unwrap_or(0);
    let arrived = played.times(|seen| {
        matches!(seen.seen, Seen::AdvertDelivered(_))
            && (last..last + SECOND / 2).contains(&seen.at.0)
    });
    assert_eq!(arrived, [last + 5_000_000, last + 5_000_000], "late, and twice");
}

#[test]
fn a_corrupted_advert_is_lost_for_the_record_and_dropped_by_the_engine() {
    let rest = step("6s", "conditions = { corrupt = \"100%\" }\non = \"all\"");
    let played = Rehearsal::pair(&rest).play();
    let lost = played.times(|seen| matches!(seen.seen, Seen::AdvertLost(_, LossReason::Corrupted)));
    assert!(lost.len() >= 2, "{lost:?}");
    assert_eq!(played.entered(B, StateKind::Master).len(), 1);
}

#[test]
fn without_carrier_the_master_is_in_fault_and_frames_are_lost() {
    let rest = step("6s", "link_down = \"a\"\ninterface = \"eth0\"")
        + &step("14s", "link_up = \"a\"\ninterface = \"eth0\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.entered(A, StateKind::Fault), [6 * SECOND]);
    assert_eq!(played.entered(A, StateKind::Master).last(), Some(&(14 * SECOND + DOWN)));
    let lost = played.times(|seen| matches!(seen.seen, Seen::AdvertLost(_, LossReason::LinkDown)));
    assert!(!lost.is_empty());
    assert_eq!(played.answered_by(13 * SECOND), Some(B));
}

#[test]
fn an_address_that_somebody_removes_is_noticed_and_added_again() {
    let rest = step("6s", "remove_address = \"a\"\naddress = \"10.0.0.100\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.reported(A, "address-lost"), [6 * SECOND]);
    assert_eq!(played.owned(A, false).len(), 1);
    assert_eq!(played.answered_by(10 * SECOND), Some(A));
}

#[test]
fn a_reload_with_another_file_is_in_force_at_once() {
    let rest = step("6s", "reload = \"a\"\nconfig = \"seed/director-2.conf\"");
    let mut rehearsal = Rehearsal::probed(&rest);
    rehearsal.configurations.insert(A, &conf(2), config(instance(90)));
    let played = rehearsal.play();
    let configured = played.times(|seen| matches!(seen.seen, Seen::Configured(_)));
    assert_eq!(configured, [0, 0, 6 * SECOND]);
    assert_eq!(played.entered(B, StateKind::Master).len(), 1, "99 is more than 90");
}

#[test]
fn a_fast_clock_takes_over_early() {
    let rest = step("0s", "clock_drift = \"a\"\nppm = 10000");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.entered(A, StateKind::Master), [DOWN * 100 / 101 + 1]);
}

#[test]
fn a_wall_clock_jump_changes_nothing() {
    let rest = step("5s", "wall_clock_jump = \"a\"\nby = \"1h\"");
    assert_eq!(Rehearsal::probed(&rest).play().trace, Rehearsal::probed("").play().trace);
}

#[test]
fn late_handlers_are_late_and_never_later_than_they_may_be() {
    let rest = step("0s", "late = \"a\"\nby = \"20ms\"");
    let played = Rehearsal::probed(&rest).play();
    let entered = played.entered(A, StateKind::Master);
    assert!(entered.iter().all(|at| (DOWN..=DOWN + 20_000_000).contains(at)), "{entered:?}");
    assert_ne!(entered, [DOWN]);
    assert_ne!(entered, Rehearsal::probed(&rest).play_with(2).entered(A, StateKind::Master));
}

#[test]
fn a_macvlan_that_comes_up_by_itself_is_put_down_again() {
    let rest = step("6s", "flap_virtual_mac = \"b\"\ninterface = \"vrrp.51\"");
    let played = Rehearsal::changed(&rest, |instance| {
        instance.virtual_mac = Some(vipd_engine::config::VirtualMac {
            interface: vipd_engine::InterfaceName::new("vrrp.51"),
            transmit_from_parent: false,
        });
    })
    .play();
    assert_eq!(played.answered_by(5 * SECOND), Some(A));
    let virtual_mac = played.times(
        |seen| matches!(seen.seen, Seen::Answered { mac, .. } if mac.0 == [0, 0, 0x5e, 0, 1, 51]),
    );
    assert!(!virtual_mac.is_empty());
    assert_eq!(played.answered_by(19 * SECOND), Some(A));
    assert!(played.owned(B, true).is_empty());
}

#[test]
fn a_bad_tracker_of_weight_zero_is_a_fault() {
    let rest = step("6s", "tracker = \"a\"\nname = \"web\"\nvalue = \"down\"");
    let played = Rehearsal::changed(&rest, |instance| {
        instance.tracks = vec![vipd_engine::config::Track {
            tracked: vipd_engine::config::Tracked::Tracker(vipd_engine::TrackerName::new("web")),
            weight: vipd_engine::config::Weight::FAULT,
        }];
    })
    .play();
    assert_eq!(played.entered(A, StateKind::Master), [DOWN], "unset trackers are good");
    assert_eq!(played.entered(A, StateKind::Fault).last(), Some(&(6 * SECOND)));
}

#[test]
fn a_kernel_command_that_fails_is_news_and_is_tried_again() {
    let rest = step("1s", "kernel_fails = \"a\"\ncount = 1");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.reported(A, "command-failed").len(), 1);
    assert!(played.owned(A, true)[0] > DOWN);
}

#[test]
fn late_kernel_commands_delay_the_data_plane_and_the_announcement() {
    let rest = step("1s", "kernel_late = \"a\"\nby = \"300ms\"");
    let played = Rehearsal::probed(&rest).play();
    assert_eq!(played.entered(A, StateKind::Master), [DOWN]);
    assert_eq!(played.owned(A, true), [DOWN + 300_000_000]);
    let announced = played.times(|seen| matches!(seen.seen, Seen::Announced { .. }));
    assert_eq!(announced.first(), Some(&(DOWN + 300_000_000)));
}

#[test]
fn injected_adverts_reach_every_host() {
    let rest = step(
        "6s",
        "inject = \"lan\"\nsrc = \"10.0.0.66\"\nvrid = 51\npriority = 200\nauth_pass = \"1111\"\n\
         addresses = \"10.0.0.100\"\ncount = 3\nevery = \"1s\"",
    );
    let played = Rehearsal::probed(&rest).play();
    let strange = played.times(
        |seen| matches!(seen.seen, Seen::AdvertDelivered(advert) if advert.sender.is_none()),
    );
    assert_eq!(strange.len(), 9, "three adverts at three hosts");
    assert_eq!(played.entered(A, StateKind::Backup).last(), Some(&(6 * SECOND + DELAY)));
    assert_eq!(played.entered(A, StateKind::Master).len(), 2);
}

#[test]
fn an_injected_payload_is_an_advert_for_an_outsider_only_if_it_looks_like_one() {
    let payload = |at: &str, payload: &str, protocol: u8| {
        let octets = format!("payload = \"{payload}\"\nprotocol = {protocol}");
        step(at, &format!("inject = \"lan\"\nsrc = \"10.0.0.66\"\n{octets}"))
    };
    let (better, another_type) = ["21", "22"]
        .map(|first| format!("{first}33c801 0101a903 0a000064 31313131 00000000"))
        .into();
    let rest = payload("5s", "", 112)
        + &payload("6s", &another_type, 112)
        + &payload("7s", &better, 113)
        + &payload("8s", &better, 112);
    let played = Rehearsal::pair(&rest).play();
    let strange = played.times(
        |seen| matches!(seen.seen, Seen::AdvertDelivered(advert) if advert.sender.is_none()),
    );
    assert_eq!(strange, [8 * SECOND + DELAY; 2]);
    let dropped = played.seen.iter().filter_map(|seen| match seen.seen {
        Seen::Dropped(reason) if seen.host == A => Some((seen.at.0, reason)),
        _ => None,
    });
    let expected = [(5 * SECOND + DELAY, "length"), (6 * SECOND + DELAY, "type")];
    assert_eq!(dropped.collect::<Vec<_>>(), expected);
    assert_eq!(played.entered(A, StateKind::Backup).last(), Some(&(8 * SECOND + DELAY)));
}

#[test]
fn the_counters_of_a_process_are_read_at_the_end_and_go_with_it() {
    let played = Rehearsal::pair(&step("10s", "stop = \"a\"")).play();
    assert!(played.world.status(A).is_none());
    // The adverts of `a` at 3.609375 s and each second from there, and its resignation.
    let counters = played.counters(B);
    assert_eq!((counters.received, counters.received_priority_zero), (8, 1));
    // From 10 s and 157/256 s on.
    assert_eq!((counters.sent, counters.master_transitions), (10, 1));
    assert_eq!(played.drops(B), []);
}
