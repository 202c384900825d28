//! What a reload keeps, what it ends, and what begins anew.

mod health;

use health::{
    ANSWERS, Behaviour, NANO, REFUSES, SECOND, World, director, is_start, one, script, seconds,
    server, tcp, virtual_name, virtual_server,
};
use std::sync::Arc;
use std::time::Duration;
use vipd_engine::Timestamp;
use vipd_engine::config::director::{DirectorConfig, VirtualServer};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::{Failure, Health, Limits, Now, Outcome, Verdict};

fn at_second(second: u64) -> Timestamp {
    Timestamp::ZERO + seconds(second)
}

fn only(check: Check) -> DirectorConfig {
    one(vec![server(1, &[check])])
}

#[test]
fn a_reload_that_changes_nothing_does_nothing() {
    let config = || {
        let servers = (1..=50).map(|number| server(number, &[tcp(number), script(number, true)]));
        one(servers.collect())
    };
    let mut world = World::new(config());
    world.set(1, REFUSES);
    world.set(2, Behaviour::Silent);
    world.run(seconds(16));
    let mut other = world.clone();
    other.log.clear();
    other.configure(config());
    while other.health.is_taking() {
        other.tick();
    }
    assert!(other.log.is_empty(), "{:?}", other.put_out());
    assert_eq!(world.fingerprint(), other.fingerprint());
}

#[test]
fn a_server_that_is_down_stays_down_and_its_check_keeps_its_phase() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, REFUSES);
    world.run(seconds(1));
    let more = one(vec![server(2, &[tcp(2)]), server(1, &[tcp(1)])]);
    world.configure(more);
    assert!(!world.is_up(1) && world.is_up(2));
    let next = world.server(1, 1).checks().next().unwrap().now();
    assert_eq!(next, Now::Waits(at_second(6)));
}

#[test]
fn other_times_and_limits_leave_known_what_is_known() {
    for dead in [REFUSES, Behaviour::Silent] {
        let mut world = World::new(only(tcp(1)));
        world.set(1, dead);
        world.run(seconds(10));
        assert!(!world.is_up(1));
        world.log.clear();
        let check = Check { retry: 3, delay_loop: seconds(2), timeout: seconds(1), ..tcp(1) };
        world.configure(only(check));
        assert!(!world.is_up(1) && world.told().is_empty());
        world.set(1, ANSWERS);
        assert!(world.until_it_is(1, true, seconds(60)) <= seconds(2), "the shorter loop");
    }
}

#[test]
fn checks_whose_loop_becomes_shorter_stay_spread_over_it() {
    let every = |time: Duration| {
        let check = move |number| Check { delay_loop: time, warmup: time, ..tcp(number) };
        one((0..60).map(|number| server(number, &[check(number)])).collect())
    };
    let mut world = World::new(every(seconds(60)));
    world.run(seconds(90));
    world.starts();
    world.configure(every(seconds(6)));
    world.run(seconds(6));
    let mut starts = world.starts();
    assert_eq!(starts.len(), 60, "each once");
    starts.dedup();
    assert_eq!(starts.len(), 60, "no two at once");
    let busiest = starts.windows(20).map(|some| some[19] - some[0]).min().unwrap();
    assert!(busiest > seconds(1), "20 of 60 within {busiest:?}");
}

#[test]
fn failures_that_were_tolerated_count_on_after_a_reload() {
    let mut world = World::new(only(Check { retry: 2, ..tcp(1) }));
    world.run(seconds(1));
    world.set(1, REFUSES);
    world.run(seconds(6));
    assert!(world.is_up(1));
    world.configure(only(tcp(1)));
    assert!(world.is_up(1), "two failures were seen, and one is tolerated: the next one counts");
    assert_eq!(world.until_it_is(1, false, seconds(60)), SECOND);
}

#[test]
fn an_attempt_under_way_is_made_again_at_once_if_its_times_change() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, Behaviour::Silent);
    world.run(seconds(1));
    world.log.clear();
    world.configure(only(Check { timeout: seconds(2), ..tcp(1) }));
    world.run(seconds(2));
    assert_eq!(
        world.put_out()[..3],
        [
            "1.000000000 cancel attempt 0",
            "1.000000000 start attempt 1: TCP_CHECK 192.168.0.1:80",
            "3.000000000 cancel attempt 1",
        ]
    );
}

#[test]
fn a_server_that_is_down_is_not_up_until_a_check_of_another_kind_was_good() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, REFUSES);
    world.run(seconds(1));
    world.told();
    world.configure(only(Check { kind: CheckKind::Ping, ..tcp(1) }));
    assert!(!world.is_up(1), "nobody knows yet whether it is alive");
    world.run(seconds(1));
    world.set(1, ANSWERS);
    world.run(seconds(6));
    assert_eq!(
        world.told(),
        [
            "1.000000000 PING_CHECK 192.168.0.1 failed: connection refused",
            "7.000000000 PING_CHECK 192.168.0.1 is good again",
            "7.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
        ]
    );
}

#[test]
fn it_decides_whether_a_server_was_down_when_its_new_check_came() {
    let before = || World::new(only(tcp(1)));
    let after = || {
        let further = Check { kind: CheckKind::Ping, warmup: seconds(60), ..tcp(1) };
        one(vec![server(1, &[tcp(1), further])])
    };
    let [mut down, mut up] = [before(), before()];
    for world in [&mut down, &mut up] {
        world.run(seconds(1));
        world.set(1, REFUSES);
        world.run(seconds(6) - NANO);
        world.now = at_second(7);
    }
    down.run(Duration::ZERO);
    down.configure(after());
    up.configure(after());
    up.run(Duration::ZERO);
    assert!(!down.is_up(1) && !up.is_up(1), "both failed for the second time");
    assert_ne!(down.fingerprint(), up.fingerprint());
    for (world, comes_back) in [(&mut down, false), (&mut up, true)] {
        world.set(1, ANSWERS);
        world.run(seconds(6));
        assert_eq!(world.is_up(1), comes_back);
    }
}

#[test]
fn a_server_that_is_up_stays_up_while_a_further_check_was_not_made_yet() {
    let mut world = World::new(only(tcp(1)));
    world.run(seconds(1));
    world.log.clear();
    let further = Check { kind: CheckKind::Ping, warmup: seconds(6), ..tcp(1) };
    world.configure(one(vec![server(1, &[tcp(1), further])]));
    assert!(world.is_up(1) && world.told().is_empty());
}

#[test]
fn a_server_that_loses_its_failed_check_is_up() {
    let mut world = World::new(one(vec![server(1, &[tcp(1)])]));
    world.set(1, REFUSES);
    world.run(seconds(1));
    world.told();
    world.configure(one(vec![server(1, &[])]));
    assert_eq!(
        world.told(),
        ["1.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: it has no check"]
    );
}

#[test]
fn a_server_that_goes_takes_its_attempt_along_and_comes_back_as_a_new_one() {
    let mut world = World::new(one(vec![server(1, &[tcp(1)]), server(2, &[tcp(2)])]));
    world.set(1, REFUSES);
    world.set(2, Behaviour::Silent);
    world.run(seconds(1));
    world.log.clear();
    world.configure(one(vec![]));
    assert_eq!(world.put_out(), ["1.000000000 cancel attempt 1"]);
    assert_eq!(world.health.next_deadline(), None);
    assert_eq!(world.health.status().servers().count(), 0);
    world.configure(only(tcp(1)));
    assert!(world.is_up(1));
    assert_eq!(world.server(1, 1).checks().next().unwrap().verdict(), Verdict::Untested);
}

#[test]
fn an_answer_to_a_check_that_went_does_not_reach_the_one_in_its_place() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, Behaviour::Silent);
    world.set(2, Behaviour::Silent);
    world.run(Duration::ZERO);
    let old = *world.running.first().unwrap();
    world.configure(one(vec![]));
    world.configure(only(tcp(2)));
    world.run(Duration::ZERO);
    let new = *world.running.first().unwrap();
    assert_eq!(old.check, new.check, "it has the same place");
    world.answer(old, Outcome::Bad(Failure::Refused));
    assert!(world.is_up(1));
}

#[test]
fn a_check_stays_while_one_real_server_needs_it() {
    let both = [
        virtual_server(1, vec![server(1, &[tcp(1)])]),
        virtual_server(2, vec![server(1, &[tcp(1)])]),
    ];
    let mut world = World::new(director(both.into()));
    world.set(1, Behaviour::Silent);
    world.run(seconds(1));
    world.log.clear();
    world.configure(director(vec![virtual_server(2, vec![server(1, &[tcp(1)])])]));
    assert!(world.log.is_empty(), "nothing is cancelled");
    let status = world.health.status();
    assert!(status.server(&virtual_name(1), health::real(1), 80).is_none());
    assert_eq!((status.checks().count(), status.running()), (1, 1));
}

#[test]
fn a_check_that_moves_from_one_real_server_to_another_knows_what_it_knew() {
    let with = |number, checks: &[Check]| virtual_server(number, vec![server(1, checks)]);
    let mut world = World::new(director(vec![with(1, &[tcp(1)])]));
    world.set(1, REFUSES);
    world.run(seconds(1));
    world.told();
    world.configure(director(vec![with(1, &[]), with(2, &[tcp(1)])]));
    assert_eq!(
        world.told(),
        [
            "1.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: it has no check",
            "1.000000000 192.168.0.1:80 of TCP 10.0.0.2:80 is down: connection refused",
        ]
    );
}

#[test]
fn a_new_virtual_server_hears_at_once_what_an_equal_check_knows() {
    let first = || virtual_server(1, vec![server(1, &[tcp(1)])]);
    let mut world = World::new(director(vec![first()]));
    world.set(1, REFUSES);
    world.run(seconds(1));
    world.configure(director(vec![first(), virtual_server(2, vec![server(1, &[tcp(1)])])]));
    assert!(!world.server(2, 1).is_up());
}

#[test]
fn a_changed_weight_is_told_and_what_a_script_wished_for_stays() {
    let weighted = |number: u16, weight| {
        let mut real = server(number, &[script(number, true)]);
        real.weight = weight;
        real
    };
    let mut world = World::new(one(vec![weighted(1, 1), weighted(2, 1)]));
    world.set(1, Behaviour::Answers(Duration::ZERO, Outcome::Good { weight: Some(7) }));
    world.run(seconds(1));
    world.told();
    world.configure(one(vec![weighted(1, 5), weighted(2, 5)]));
    assert_eq!(world.told(), ["1.000000000 192.168.0.2:80 of TCP 10.0.0.1:80 has weight 5"]);
    assert_eq!(world.server(1, 1).weight(), 7);
}

fn large(count: u16) -> Arc<DirectorConfig> {
    let servers = (0..count).map(|number| server(number, &[tcp(number)]));
    Arc::new(one(servers.collect()))
}

#[test]
fn a_large_configuration_is_taken_a_little_in_each_call() {
    let mut health = Health::new(Limits { per_call: 10, ..Limits::default() });
    let mut out = Vec::new();
    health.configure(at_second(1), large(1000), &mut out);
    let mut calls = 0;
    while health.is_taking() {
        assert!(health.next_deadline().is_some_and(|at| at <= at_second(1)), "due at once");
        let told = out.iter().filter(|output| !is_start(output)).count();
        assert!(told <= 10, "{told}");
        out.clear();
        health.tick(at_second(1), &mut out);
        calls += 1;
    }
    health.check_invariants();
    assert!((300..=305).contains(&calls), "as many again to look for what went, twice: {calls}");
    assert_eq!(health.status().servers().count(), 1000);
}

#[test]
fn a_configuration_that_comes_meanwhile_takes_the_place_of_the_one_that_is_taken() {
    let mut health = Health::new(Limits { per_call: 10, ..Limits::default() });
    let mut out = Vec::new();
    health.configure(Timestamp::ZERO, large(1000), &mut out);
    (0..30).for_each(|_| health.tick(Timestamp::ZERO, &mut out));
    health.configure(Timestamp::ZERO, large(5), &mut out);
    while health.is_taking() {
        health.tick(Timestamp::ZERO, &mut out);
        health.check_invariants();
    }
    assert_eq!(health.status().servers().count(), 5);
}

#[test]
fn ten_thousand_reloads_leave_nothing_behind() {
    let mut world = World::new(one(vec![]));
    for round in 0..10_000_u16 {
        world
            .configure(only(Check { delay_loop: seconds(u64::from(round) + 1), ..tcp(round % 7) }));
        world.log.clear();
    }
    let status = world.health.status();
    assert_eq!((status.checks().count(), status.servers().count()), (1, 1));
    let written = serde_json::to_string(&world.health.snapshot()).unwrap();
    assert!(written.len() < 2500, "{} octets: {written}", written.len());
}

#[test]
fn suspension_follows_the_configuration_and_what_was_told_stays() {
    let suspendable =
        |ha_suspend| VirtualServer { ha_suspend, ..virtual_server(1, vec![server(1, &[tcp(1)])]) };
    let mut world = World::new(director(vec![suspendable(false)]));
    world.run(seconds(1));
    assert_eq!(world.starts().len(), 1);
    world.configure(director(vec![suspendable(true)]));
    world.run(seconds(12));
    assert!(world.starts().is_empty(), "its address is not here");
    world.act(|health, _, _| health.on_presence(&virtual_name(1), true));
    world.configure(director(vec![suspendable(true)]));
    world.run(seconds(12));
    assert_eq!(world.starts().len(), 2);
}
