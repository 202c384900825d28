//! How soon a dead real server is known to be dead, and a living one to be back (property L7), with
//! keepalived's defaults: `delay_loop` 6 s, `connect_timeout` 5 s, `retry` 1, `delay_before_retry`
//! 1 s.

mod health;

use health::{
    ANSWERS, Behaviour, NANO, REFUSES, SECOND, World, at, bad, one, script, seconds, server, tcp,
};
use std::time::Duration;
use vipd_engine::config::director::DirectorConfig;
use vipd_engine::config::health::{Check, CheckKind, HttpCheck, HttpProtocol, UdpCheck, Url};
use vipd_engine::health::{Failure, LocalError, Outcome};

const SECOND_NANOS: u64 = 1_000_000_000;
const NEVER: Duration = Duration::from_secs(1000);

fn only(check: Check) -> DirectorConfig {
    one(vec![server(1, &[check])])
}

/// The worst of what it takes to know, over every time within a round at which it may die.
fn worst_until_down(check: &Check, dead: Behaviour) -> Duration {
    let mut world = World::new(only(check.clone()));
    world.run(seconds(60));
    let moments = (0..60).map(|tenth| Duration::from_millis(100) * tenth);
    let moments = moments.flat_map(|moment| [moment, moment + NANO]);
    let waits = moments.map(|moment| {
        let mut world = world.clone();
        world.run(moment);
        world.set(1, dead);
        world.until_it_is(1, false, NEVER)
    });
    waits.max().expect("some moments")
}

#[test]
fn a_refused_port_is_out_within_a_loop_and_the_delay_before_the_retry() {
    let worst = worst_until_down(&tcp(1), REFUSES);
    assert_eq!(worst, seconds(6 + 1), "it died in the instant of an attempt, after it");
}

#[test]
fn a_black_hole_is_out_within_a_loop_two_timeouts_and_the_delay_before_the_retry() {
    let worst = worst_until_down(&tcp(1), Behaviour::Silent);
    assert_eq!(worst, seconds(6 + 2 * 5 + 1));
}

#[test]
fn a_server_that_comes_back_is_in_after_one_success() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, REFUSES);
    world.run(seconds(60));
    let mut waits = Vec::new();
    for tenth in 0..60 {
        let mut world = world.clone();
        world.run(Duration::from_millis(100) * tenth + NANO);
        world.set(1, ANSWERS);
        waits.push(world.until_it_is(1, true, NEVER));
    }
    assert_eq!(waits.iter().max(), Some(&(seconds(6) - NANO)), "it came just after an attempt");
}

#[test]
fn a_server_that_comes_back_out_of_a_black_hole_is_in_within_a_loop_and_a_timeout() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, Behaviour::Silent);
    world.run(seconds(60) + NANO);
    world.set(1, ANSWERS);
    let wait = world.until_it_is(1, true, NEVER);
    assert!(wait <= seconds(6 + 5), "{wait:?}");
}

#[test]
fn a_server_that_drips_fails_at_the_one_limit_of_the_attempt() {
    // However often it says a little: the limit is one for the whole attempt.
    let mut world = World::new(only(Check { retry: 0, ..tcp(1) }));
    world.set(1, Behaviour::Answers(seconds(5) + NANO, Outcome::GOOD));
    world.run(seconds(5));
    assert_eq!(
        world.put_out(),
        [
            "0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: not checked yet",
            "0.000000000 start attempt 0: TCP_CHECK 192.168.0.1:80",
            "5.000000000 cancel attempt 0",
            "5.000000000 TCP_CHECK 192.168.0.1:80 failed: no complete answer in time",
            "5.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: no complete answer in time",
        ]
    );
}

#[test]
fn an_answer_at_the_last_nanosecond_counts() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, Behaviour::Answers(seconds(5), Outcome::GOOD));
    world.run(seconds(60));
    assert!(world.is_up(1));
}

#[test]
fn the_first_failure_after_the_start_counts_at_once() {
    let mut world = World::new(only(Check { retry: 3, ..tcp(1) }));
    world.set(1, REFUSES);
    world.run(Duration::ZERO);
    assert!(!world.is_up(1), "keepalived's counter of retries begins full");
}

#[test]
fn as_many_failures_in_a_row_are_tolerated_as_configured_and_no_more() {
    let mut world = World::new(only(Check { retry: 3, tells_all_failures: true, ..tcp(1) }));
    world.run(seconds(1));
    world.told();
    world.set(1, REFUSES);
    world.run(seconds(10));
    assert_eq!(
        world.told(),
        [
            "6.000000000 TCP_CHECK 192.168.0.1:80 failed, will be tried again: connection refused",
            "7.000000000 TCP_CHECK 192.168.0.1:80 failed, will be tried again: connection refused",
            "8.000000000 TCP_CHECK 192.168.0.1:80 failed, will be tried again: connection refused",
            "9.000000000 TCP_CHECK 192.168.0.1:80 failed: connection refused",
            "9.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: connection refused",
        ]
    );
}

#[test]
fn a_success_ends_the_row_of_failures() {
    let mut world = World::new(only(tcp(1)));
    world.run(seconds(1));
    for _ in 0..5 {
        world.set(1, REFUSES);
        world.run(seconds(5));
        world.set(1, ANSWERS);
        world.run(seconds(1));
    }
    assert!(world.told().iter().all(|line| line.contains("not checked yet")));
}

#[test]
fn attempts_keep_their_phase_whatever_happened_to_the_last_one() {
    let mut world = World::new(only(tcp(1)));
    world.run(seconds(1));
    world.set(1, Behaviour::Silent);
    world.run(seconds(20));
    world.set(1, ANSWERS);
    world.run(seconds(10));
    // 6 runs out at 11 and is tried again at 12, which runs out at 17.
    assert_eq!(world.starts(), [0, 6, 12, 18, 24, 30].map(|second| at(second * SECOND_NANOS)));
}

#[test]
fn a_process_that_was_paused_makes_up_for_it_once_and_falls_back_into_phase() {
    let mut world = World::new(only(tcp(1)));
    world.run(seconds(1));
    world.starts();
    world.now = at(40_500_000_000);
    world.run(seconds(10));
    assert_eq!(world.starts(), [40_500_000_000, 42_000_000_000, 48_000_000_000].map(at));
}

#[test]
fn an_attempt_that_outlasts_the_loop_is_not_doubled() {
    let slow = Check { timeout: seconds(20), ..script(1, false) };
    let mut world = World::new(only(slow));
    world.set(1, Behaviour::Answers(seconds(7), Outcome::GOOD));
    world.run(seconds(30));
    assert_eq!(world.starts(), [0, 12, 24].map(|second| at(second * SECOND_NANOS)));
}

#[test]
fn a_check_that_nobody_can_make_before_something_is_mended_holds_its_server_down() {
    for error in [LocalError::File, LocalError::Configuration] {
        let mut world = World::new(only(tcp(1)));
        world.set(1, Behaviour::Answers(Duration::ZERO, Outcome::Local(error)));
        world.run(seconds(3));
        assert!(!world.is_up(1), "{error}");
        let why = format!("not made: {error}");
        let told = world.told();
        assert!(told.iter().any(|line| line.ends_with(&format!("is down: {why}"))), "{told:?}");
        assert!(
            !told.iter().any(|line| line.contains("could not be made")),
            "told twice: {told:?}"
        );
        // It is like any other failure: one in turn is enough to come back, and of one that was
        // good as many are tolerated as of others.
        world.set(1, ANSWERS);
        world.run(seconds(6));
        assert!(world.is_up(1), "{error}");
        world.set(1, Behaviour::Answers(Duration::ZERO, Outcome::Local(error)));
        world.run(seconds(12));
        assert!(!world.is_up(1), "{error}");
    }
}

#[test]
fn what_this_machine_lacks_for_the_moment_never_counts_against_the_server() {
    let lacking = [
        LocalError::Bind,
        LocalError::Descriptors,
        LocalError::Memory,
        LocalError::Permission,
        LocalError::Process,
        LocalError::Unsupported,
    ];
    for error in lacking {
        let mut world = World::new(only(tcp(1)));
        world.set(1, Behaviour::Answers(Duration::ZERO, Outcome::Local(error)));
        world.run(seconds(3));
        let told = world.told();
        assert_eq!(told.len(), 2, "it is told once: {told:?}");
        assert_eq!(
            told[1],
            format!("0.000000000 TCP_CHECK 192.168.0.1:80 could not be made: {error}")
        );
        assert_eq!(world.server(1, 1).checks().next().unwrap().counters().local, 4, "each second");
        // Nor does it use up a retry, or end a row of failures.
        world.set(1, ANSWERS);
        world.run(seconds(3));
        world.set(1, REFUSES);
        world.run(seconds(6));
        world.set(1, Behaviour::Answers(Duration::ZERO, Outcome::Local(error)));
        world.run(seconds(60));
        assert!(world.is_up(1));
        world.set(1, REFUSES);
        world.run(SECOND);
        assert!(!world.is_up(1), "the second failure in a row");
    }
}

#[test]
fn an_attempt_that_could_not_be_made_is_made_again_after_a_second_or_the_delay_of_a_retry() {
    for (delay, pause) in [(Duration::ZERO, 1), (SECOND / 10, 1), (seconds(2), 2)] {
        let mut world = World::new(only(Check { delay_before_retry: delay, ..tcp(1) }));
        world.set(1, Behaviour::Answers(Duration::ZERO, Outcome::Local(LocalError::Bind)));
        world.run(seconds(4));
        let starts: Vec<_> =
            (0..=4 / pause).map(|number| at(number * pause * SECOND_NANOS)).collect();
        assert_eq!(world.starts(), starts, "{delay:?}");
    }
}

#[test]
fn a_late_answer_is_ignored() {
    let mut world = World::new(only(tcp(1)));
    world.set(1, Behaviour::Silent);
    world.run(Duration::ZERO);
    let late = *world.running.first().unwrap();
    world.run(seconds(5));
    assert!(!world.is_up(1));
    world.answer(late, Outcome::GOOD);
    assert!(!world.is_up(1));
    assert_eq!(world.health.status().counters().stray, 1);
}

#[test]
fn a_datagram_that_need_not_be_answered_is_good_unless_it_is_refused() {
    let udp = |requires_reply| {
        let udp = UdpCheck { requires_reply, ..UdpCheck::default() };
        only(Check { kind: CheckKind::Udp(Box::new(udp)), ..tcp(1) })
    };
    for (requires_reply, dead, up) in [
        (false, Behaviour::Silent, true),
        (true, Behaviour::Silent, false),
        (false, REFUSES, false),
        (true, ANSWERS, true),
    ] {
        let mut world = World::new(udp(requires_reply));
        world.set(1, dead);
        world.run(seconds(20));
        assert_eq!(world.is_up(1), up, "{requires_reply} {dead:?}");
    }
}

fn http(urls: usize) -> Check {
    let url = |number| Url {
        path: format!("/{number}"),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    };
    let http = HttpCheck {
        tls: None,
        protocol: HttpProtocol::V1_0,
        virtualhost: None,
        fast_recovery: false,
        urls: (0..urls).map(url).collect(),
    };
    Check { kind: CheckKind::Http(Box::new(http)), ..tcp(1) }
}

#[test]
fn urls_are_visited_one_in_each_attempt_and_a_failed_one_is_visited_again() {
    let mut world = World::new(only(http(2)));
    world.run(seconds(7));
    world.set(1, bad(Failure::Status(500)));
    world.run(seconds(6));
    world.set(1, ANSWERS);
    world.run(seconds(12));
    assert_eq!(
        world.put_out(),
        [
            "0.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: not checked yet",
            "0.000000000 start attempt 0: HTTP_GET 192.168.0.1:80, url 1",
            "6.000000000 start attempt 1: HTTP_GET 192.168.0.1:80, url 2",
            "12.000000000 start attempt 2: HTTP_GET 192.168.0.1:80, url 1",
            "13.000000000 start attempt 3: HTTP_GET 192.168.0.1:80, url 1",
            "13.000000000 HTTP_GET 192.168.0.1:80 failed: HTTP status 500",
            "13.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is down: HTTP status 500",
            "18.000000000 start attempt 4: HTTP_GET 192.168.0.1:80, url 1",
            "24.000000000 start attempt 5: HTTP_GET 192.168.0.1:80, url 2",
            "24.000000000 HTTP_GET 192.168.0.1:80 is good again",
            "24.000000000 192.168.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
        ]
    );
}

#[test]
fn with_two_urls_the_bounds_are_those_of_two_loops() {
    let mut world = World::new(only(http(2)));
    world.run(seconds(60) + NANO);
    world.set(1, REFUSES);
    assert!(world.until_it_is(1, false, NEVER) <= 2 * seconds(6 + 1));
    world.set(1, ANSWERS);
    assert!(world.until_it_is(1, true, NEVER) <= 2 * seconds(6));
}
