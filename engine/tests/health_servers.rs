//! What several checks say of a real server, who shares a check, what weight it has, and how much
//! is done at once.

mod health;

use health::{
    ANSWERS, Behaviour, REFUSES, SECOND, World, director, is_news_of_server, is_start, one, real,
    script, seconds, server, tcp, virtual_name, virtual_server,
};
use std::collections::BTreeMap;
use std::time::Duration;
use vipd_engine::config::director::{DirectorConfig, MAX_WEIGHT, VirtualServer};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::{
    Failure, Limits, MOST_CONNECTIONS, MOST_PER_CALL, MOST_SCRIPTS, Now, Outcome, Verdict,
};
use vipd_engine::{Timestamp, TrackerName, TrackerValue};

/// A script of the real server 1 whose outcome is that of the made-up server `number`.
fn script_of(number: u16, dynamic: bool) -> Check {
    Check { address: real(number), ..script(number, dynamic) }
}

fn file(weight: i32, reverse: bool, dynamic: bool) -> Check {
    let file = TrackerName::new("load");
    Check { kind: CheckKind::File { file, weight, reverse, dynamic }, ..tcp(1) }
}

fn tell(world: &mut World, value: TrackerValue) {
    let file = TrackerName::new("load");
    world.act(|health, now, out| health.on_tracker(now, file, value, out));
}

#[test]
fn a_server_is_up_only_if_none_of_its_checks_has_failed() {
    let checks = [script_of(11, false), script_of(12, false)];
    let mut world = World::new(one(vec![server(1, &checks)]));
    world.run(SECOND);
    world.told();
    world.set(11, REFUSES);
    world.run(seconds(6));
    world.set(12, Behaviour::Answers(Duration::ZERO, Outcome::Bad(Failure::Exit(1))));
    world.run(seconds(6));
    world.set(11, ANSWERS);
    world.run(seconds(6));
    world.set(12, ANSWERS);
    world.run(seconds(6));
    assert_eq!(
        world.told(),
        [
            "6.000000000 MISC_CHECK check-11 failed: connection refused",
            "6.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: connection refused",
            "12.000000000 MISC_CHECK check-12 failed: exit status 1",
            "18.000000000 MISC_CHECK check-11 is good again",
            "24.000000000 MISC_CHECK check-12 is good again",
            "24.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
        ]
    );
}

#[test]
fn a_server_without_a_check_is_up() {
    let mut world = World::new(one(vec![server(1, &[])]));
    assert_eq!(
        world.told(),
        ["0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: it has no check"]
    );
    assert_eq!(world.health.next_deadline(), None);
}

#[test]
fn an_alpha_server_is_down_until_every_check_was_good_once() {
    let alpha = |number| Check { alpha: true, ..script_of(number, false) };
    let mut world = World::new(one(vec![server(1, &[alpha(11), alpha(12)])]));
    world.set(11, REFUSES);
    world.set(12, Behaviour::Answers(seconds(1), Outcome::GOOD));
    world.run(seconds(5));
    world.set(11, ANSWERS);
    world.run(seconds(5));
    assert_eq!(
        world.told(),
        [
            "0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: not good yet",
            "0.000000000 MISC_CHECK check-11 failed: connection refused",
            "6.000000000 MISC_CHECK check-11 is good again",
            "6.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
        ]
    );
}

#[test]
fn equal_checks_are_made_once_and_each_real_server_hears_of_them() {
    let servers = |number| virtual_server(number, vec![server(1, &[tcp(1)]), server(2, &[tcp(2)])]);
    let mut world = World::new(director((1..=100).map(servers).collect()));
    world.run(SECOND);
    assert_eq!(world.log.iter().filter(|(_, output)| is_start(output)).count(), 2);
    world.log.clear();
    world.set(1, REFUSES);
    world.run(seconds(10));
    let downs = world.log.iter().filter(|(_, output)| is_news_of_server(output)).count();
    assert_eq!(downs, 100);
    assert!((1..=100).all(|number| !world.server(number, 1).is_up()));
    assert!((1..=100).all(|number| world.server(number, 2).is_up()));
}

#[test]
fn checks_that_differ_in_anything_are_made_each_for_itself() {
    let slower = Check { delay_loop: seconds(7), ..tcp(1) };
    let servers = [
        virtual_server(1, vec![server(1, &[tcp(1)])]),
        virtual_server(2, vec![server(1, &[slower])]),
    ];
    let world = World::new(director(servers.into()));
    assert_eq!(world.health.status().checks().count(), 2);
}

#[test]
fn a_script_sets_the_weight_by_its_exit_status() {
    let mut world = World::new(one(vec![server(1, &[script_of(11, true)])]));
    world.told();
    let exits = |weight| Behaviour::Answers(Duration::ZERO, Outcome::Good { weight });
    world.set(11, exits(Some(8)));
    world.run(seconds(1));
    world.set(11, exits(Some(0)));
    world.run(seconds(6));
    world.set(11, REFUSES);
    world.run(seconds(6));
    world.set(11, exits(Some(5)));
    world.run(seconds(6));
    world.set(11, exits(None));
    world.run(seconds(6));
    assert_eq!(
        world.told(),
        [
            "0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 has weight 8",
            "6.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 has weight 0",
            "12.000000000 MISC_CHECK check-11 failed: connection refused",
            "12.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: connection refused",
            "18.000000000 MISC_CHECK check-11 is good again",
            "18.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 5: good again",
            "24.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 has weight 1",
        ]
    );
}

#[test]
fn the_wishes_of_several_checks_add_up_within_what_the_kernel_takes() {
    let mut real = server(1, &[script_of(11, true), script_of(12, true)]);
    real.weight = 10;
    let mut world = World::new(one(vec![real]));
    let cases = [
        (12, 9, 11),
        (15, 15, 20),
        (1, 1, 0),
        (u32::MAX, 10, MAX_WEIGHT),
        (9, u32::MAX, MAX_WEIGHT),
    ];
    for (one, other, weight) in cases {
        let exits = |weight| Outcome::Good { weight: Some(weight) };
        world.set(11, Behaviour::Answers(Duration::ZERO, exits(one)));
        world.set(12, Behaviour::Answers(Duration::ZERO, exits(other)));
        world.run(seconds(6));
        assert_eq!(world.server(1, 1).weight(), weight, "{one} and {other}");
    }
}

#[test]
fn a_file_makes_a_server_good_bad_or_heavier() {
    use TrackerValue::{Down, Number, Up};
    // Configured weight 1: value, weight of the check, reverse, dynamic -> up, weight in force.
    let table = [
        (Number(0), 0, false, false, true, 1),
        (Number(5), 0, false, false, false, 1),
        (Number(0), 0, true, false, false, 1),
        (Number(5), 0, true, false, true, 1),
        (Number(5), 2, false, false, true, 11),
        (Number(5), 2, true, false, true, 0),
        (Number(i32::MAX), i32::MAX, false, false, true, MAX_WEIGHT),
        (Number(i32::MIN), i32::MAX, false, false, true, 0),
        (Number(7), 0, false, true, true, 7),
        (Number(7), 3, false, true, true, 21),
        (Up, 0, false, false, true, 1),
        (Down, 2, false, false, false, 1),
    ];
    for (value, weight, reverse, dynamic, up, in_force) in table {
        let mut world = World::new(one(vec![server(1, &[file(weight, reverse, dynamic)])]));
        assert_eq!((world.is_up(1), world.health.files().count()), (false, 1), "it said nothing");
        tell(&mut world, value);
        let found = (world.is_up(1), world.server(1, 1).weight());
        assert_eq!(found, (up, in_force), "{value:?} {weight} {reverse} {dynamic}");
        tell(&mut world, TrackerValue::Pending);
        assert_eq!(world.is_up(1), up, "what is not known yet changes nothing");
        assert_eq!(world.health.next_deadline(), None, "a file is never run");
    }
}

#[test]
fn a_server_whose_file_has_told_nothing_is_down_and_says_so() {
    let mut world = World::new(one(vec![server(1, &[file(0, false, false)])]));
    world.run(seconds(60));
    assert_eq!(
        world.told(),
        ["0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: its file has told no number yet"]
    );
    tell(&mut world, TrackerValue::Number(0));
    assert_eq!(
        world.told(),
        ["60.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: good again"]
    );
}

#[test]
fn a_server_that_is_up_and_gets_a_file_stays_up_until_the_file_says_no() {
    let mut world = World::new(one(vec![server(1, &[])]));
    world.configure(one(vec![server(1, &[file(0, false, false)])]));
    world.run(SECOND);
    assert!(world.is_up(1));
    tell(&mut world, TrackerValue::Number(1));
    assert!(!world.is_up(1));
}

#[test]
fn what_a_file_said_before_is_known_at_once() {
    let mut world = World::new(one(vec![]));
    tell(&mut world, TrackerValue::Number(1));
    world.configure(one(vec![server(1, &[file(0, false, false)])]));
    assert_eq!(
        world.told(),
        ["0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: the file says 1"]
    );
}

fn suspendable() -> VirtualServer {
    let mut suspendable = virtual_server(1, vec![server(1, &[tcp(1)])]);
    suspendable.ha_suspend = true;
    suspendable
}

fn present(world: &mut World, is_here: bool) {
    world.act(|health, _, _| health.on_presence(&virtual_name(1), is_here));
}

#[test]
fn checks_rest_while_the_address_is_elsewhere_and_come_in_their_turn_afterwards() {
    let mut world = World::new(director(vec![suspendable()]));
    world.run(seconds(20));
    assert!(world.starts().is_empty(), "until it is told where the address is");
    let rests = world.server(1, 1).checks().next().unwrap().now();
    assert_eq!(rests, Now::Rests(Timestamp::ZERO + seconds(24)));
    present(&mut world, true);
    world.run(seconds(10));
    present(&mut world, false);
    world.run(seconds(13));
    present(&mut world, true);
    world.run(seconds(6));
    let starts = [24, 30, 48].map(|second| Timestamp::ZERO + seconds(second));
    assert_eq!(world.starts(), starts);
}

#[test]
fn what_comes_of_an_attempt_while_it_rests_does_not_count() {
    let mut world = World::new(director(vec![suspendable()]));
    present(&mut world, true);
    world.run(seconds(1));
    for behaviour in [Behaviour::Silent, Behaviour::Answers(SECOND, Outcome::Bad(Failure::Refused))]
    {
        world.set(1, behaviour);
        world.until_it_starts();
        present(&mut world, false);
        world.run(seconds(30));
        assert!(world.is_up(1) && world.running.is_empty());
        present(&mut world, true);
    }
}

#[test]
fn a_check_that_somebody_else_needs_does_not_rest() {
    let other = virtual_server(2, vec![server(1, &[tcp(1)])]);
    let mut world = World::new(director(vec![suspendable(), other]));
    world.set(1, REFUSES);
    world.run(seconds(1));
    assert!(!world.server(1, 1).is_up() && !world.server(2, 1).is_up());
}

fn many(count: u16, check: fn(u16) -> Check) -> DirectorConfig {
    one((0..count).map(|number| server(number, &[check(number)])).collect())
}

#[test]
fn no_more_attempts_run_at_once_than_may_and_those_that_wait_keep_their_order() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let spread = |number| Check { warmup: seconds(6), timeout: seconds(2), ..tcp(number) };
    let mut world = World::at(Timestamp::ZERO, many(12, spread), limits);
    let mut due: Vec<_> = world
        .health
        .status()
        .checks()
        .map(|check| match check.now() {
            Now::Waits(at) => (at, check.id()),
            Now::Runs(_) | Now::IsTold | Now::Rests(_) => panic!("it waits"),
        })
        .collect();
    due.sort_unstable();
    for number in 0..12 {
        world.set(number, Behaviour::Silent);
    }
    world.run(seconds(8));
    let began: Vec<_> = world
        .log
        .iter()
        .filter(|(_, output)| is_start(output))
        .map(|(_, output)| match output {
            vipd_engine::health::Output::Probe(probe) => probe.id.check,
            vipd_engine::health::Output::News(_) => panic!("a start"),
        })
        .collect();
    assert!(began.len() >= 12, "{}", began.len());
    assert_eq!(began[..12], due.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    assert_eq!(world.health.status().running(), 3);
    let counters = world.health.status().counters();
    assert!(counters.late > 0 && counters.latest > Duration::ZERO);
}

#[test]
fn the_limits_that_are_in_force_are_reached_and_kept() {
    fn at_once(number: u16) -> Check {
        Check { timeout: seconds(100), ..tcp(number) }
    }
    fn scripts(number: u16) -> Check {
        Check { timeout: seconds(100), ..script(number, false) }
    }
    let most = |count: u16, check| {
        let mut world = World::new(one(vec![]));
        for number in 0..count {
            world.set(number, Behaviour::Silent);
        }
        // The world looks at everything after each call, and here are many.
        let (mut out, mut running) = (Vec::new(), 0);
        let config = std::sync::Arc::new(many(count, check));
        world.health.configure(world.now, config, &mut out);
        while world.health.next_deadline().is_some_and(|at| at <= world.now) {
            out.clear();
            world.health.tick(world.now, &mut out);
            let began = out.iter().filter(|output| is_start(output)).count();
            assert!(began <= MOST_PER_CALL);
            running += began;
        }
        world.health.check_invariants();
        assert_eq!(running, world.health.status().running());
        running
    };
    assert_eq!(most(5000, at_once), MOST_CONNECTIONS);
    assert_eq!(most(300, scripts), MOST_SCRIPTS);
}

#[test]
fn scripts_that_hang_keep_nobody_else_waiting() {
    let limits = Limits { scripts: 1, ..Limits::default() };
    let config = one(vec![
        server(1, &[script_of(11, false)]),
        server(2, &[script_of(12, false)]),
        server(3, &[tcp(3)]),
    ]);
    let mut world = World::at(Timestamp::ZERO, config, limits);
    world.set(11, Behaviour::Silent);
    world.set(12, Behaviour::Silent);
    world.run(seconds(20));
    let attempts: BTreeMap<_, _> = (1..=3)
        .map(|number| {
            let check = world.server(1, number).checks().next().unwrap();
            (number, check.counters().attempts)
        })
        .collect();
    assert_eq!(attempts[&3], 4, "0, 6, 12, 18");
    assert_eq!((attempts[&1], attempts[&2]), (3, 2), "in turn: 0, 5, 10, 15, 20");
}

#[test]
fn what_is_left_over_of_a_call_is_due_again_at_once() {
    let limits = Limits { per_call: 2, ..Limits::default() };
    let mut world = World::at(Timestamp::ZERO, one(vec![]), limits);
    world.configure(many(5, tcp));
    let mut starts = Vec::new();
    while world.health.next_deadline() == Some(Timestamp::ZERO) {
        world.log.clear();
        world.tick();
        starts.push(world.log.iter().filter(|(_, output)| is_start(output)).count());
    }
    assert_eq!(starts.iter().sum::<usize>(), 5);
    assert!(starts.iter().all(|count| *count <= 2), "{starts:?}");
    for number in 0..5 {
        assert!(world.is_up(number));
    }
}

#[test]
fn a_status_tells_the_last_result_in_words_and_when_the_next_one_comes() {
    let mut world = World::new(one(vec![server(1, &[tcp(1)])]));
    world.set(1, REFUSES);
    world.run(seconds(1));
    let status = world.server(1, 1);
    assert_eq!((status.is_up(), status.since()), (false, Timestamp::ZERO));
    let check = status.checks().next().unwrap();
    assert_eq!(check.verdict(), Verdict::Failed(Failure::Refused));
    let (when, outcome) = check.last().unwrap();
    assert_eq!((when, outcome.to_string()), (Timestamp::ZERO, "connection refused".to_owned()));
    assert_eq!(check.now(), Now::Waits(Timestamp::ZERO + seconds(6)));
    assert_eq!((check.counters().attempts, check.counters().bad, check.subscribers()), (1, 1, 1));
}
