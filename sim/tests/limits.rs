//! Every queue has a limit, and it holds.

mod rehearsal;

use std::time::Duration;

use rehearsal::*;
use vipd_engine::{Interval, Version};
use vipd_scenarios::record::{LossReason, Seen};
use vipd_sim::{CARD_QUEUE, SOCKET_QUEUE};

/// More adverts than either queue keeps, of a virtual router that nobody here has, while host B
/// does not take any in.
fn flood(fault: &str, mended: &str) -> Played {
    Rehearsal::pair(&format!(
        "[[step]]\nat = \"5s\"\n{fault} = \"b\"\n\
         [[step]]\nat = \"5500ms\"\ninject = \"lan\"\nsrc = \"10.0.0.66\"\nvrid = 52\n\
         priority = 1\ncount = 400\nevery = \"1ms\"\n\
         [[step]]\nat = \"6s\"\n{mended} = \"b\"\n"
    ))
    .play()
}

fn read_by_b(played: &Played) -> usize {
    played
        .times(|seen| {
            seen.host == B && seen.at.0 == 6 * SECOND && matches!(seen.seen, Seen::Dropped("vrid"))
        })
        .len()
}

#[test]
fn the_socket_of_a_paused_process_keeps_so_many_datagrams_and_no_more() {
    let played = flood("pause", "resume");
    // One of what waits is an advert of A.
    assert_eq!(read_by_b(&played), SOCKET_QUEUE - 1);
}

#[test]
fn the_card_of_a_frozen_machine_keeps_so_many_frames_and_the_rest_is_lost() {
    let played = flood("freeze", "thaw");
    assert!((CARD_QUEUE - 2..=CARD_QUEUE).contains(&read_by_b(&played)));
    let lost = played
        .times(|seen| seen.host == B && matches!(seen.seen, Seen::AdvertLost(_, LossReason::Lost)));
    assert!(lost.len() >= 400 - CARD_QUEUE);
}

#[test]
fn nothing_stays_in_flight_when_a_machine_is_switched_off_with_frames_in_its_card() {
    let rest = "[[step]]\nat = \"5s\"\nfreeze = \"b\"\n\
                [[step]]\nat = \"8s\"\npower_off = \"b\"\n";
    let played = Rehearsal::pair(rest).play();
    let off = played.times(|seen| {
        seen.host == B && matches!(seen.seen, Seen::AdvertLost(_, LossReason::PoweredOff))
    });
    assert!(off.iter().filter(|at| **at == 8 * SECOND).count() >= 3);
}

#[test]
fn a_lease_that_is_renewed_for_twice_as_long_takes_twice_as_many_events() {
    let events = |until: &str| {
        let mut instance = instance(100);
        instance.version = Version::V3;
        instance.password = None;
        instance.interval = Interval::from_centiseconds(10).expect("an interval");
        instance.dead_man = Some(Duration::from_millis(150));
        Rehearsal::alone(instance, until, "").play().world.events()
    };
    let (once, twice) = (events("30s"), events("60s"));
    assert!(once > 2 * 290, "an advert and its lease are two: {once}");
    assert!(twice < once * 9 / 4, "{once} and {twice}");
}
