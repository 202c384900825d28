//! The director as a whole, from what real servers do to the kernel's table: how long each change
//! takes, what is done about it and what is told.

mod director_world;
mod ipvs_world;

use std::time::Duration;

use director_world::{
    Behaviour, GOOD, LOOP, NANO, PAUSE, REFUSES, TIMEOUT, World, adds, alpha, checked, removes,
    tcp_check, with,
};
use ipvs_world::{Fate, config, ip, real, sorry, tcp, virtual_server};
use vipd_engine::Timestamp;
use vipd_engine::config::director::{RealServer, Service, VirtualServer};
use vipd_engine::config::health::Check;
use vipd_engine::director::{DirectorOutput, News};
use vipd_engine::health::Limits;
use vipd_engine::ipvs::{IpvsError, OrderError, PROBE_EVERY, ServerOrder};

const VIP: &str = "10.0.0.1:80";
const ONE: &str = "10.1.0.1:80";
const TWO: &str = "10.1.0.2:80";
const THREE: &str = "10.1.0.3:80";
const SORRY: &str = "10.9.0.1:80";

fn vip() -> Service {
    tcp(VIP)
}

fn pool(real_servers: Vec<RealServer>) -> VirtualServer {
    VirtualServer { real_servers, ..virtual_server(vip(), &[]) }
}

fn two() -> VirtualServer {
    pool(vec![checked(ONE), checked(TWO)])
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(server, weight)| ((*server).to_string(), *weight)).collect()
}

#[track_caller]
fn has(world: &World, expected: &[(&str, u32)]) {
    assert_eq!(world.weights(vip()), pairs(expected));
}

/// How long after each of many moments of death the command comes, the least and the most.
fn from_death_to_command(death: Behaviour) -> (Duration, Duration) {
    let steps = 0..=24_u32;
    let moments =
        steps.map(|step| LOOP / 24 * step + if step == 0 { NANO } else { Duration::ZERO });
    let times = moments.map(|moment| {
        let mut world = World::with(&config(&[two()]));
        world.run(LOOP + moment - if moment == LOOP { NANO } else { Duration::ZERO });
        world.set(ONE, death);
        let took = world.until(LOOP * 9, |output| removes(output, ONE));
        has(&world, &[(TWO, 1)]);
        took
    });
    let times: Vec<_> = times.collect();
    (*times.iter().min().unwrap(), *times.iter().max().unwrap())
}

#[test]
fn a_server_that_refuses_leaves_the_table_within_delay_loop_and_delay_before_retry() {
    let (least, most) = from_death_to_command(REFUSES);
    assert_eq!((least, most), (NANO + PAUSE, LOOP - NANO + PAUSE));
}

#[test]
fn a_server_that_is_silent_leaves_the_table_within_delay_loop_and_two_timeouts_and_the_retry() {
    let (least, most) = from_death_to_command(Behaviour::Silent);
    let rest = TIMEOUT * 2 + PAUSE;
    assert_eq!((least, most), (NANO + rest, LOOP - NANO + rest));
}

#[test]
fn a_server_is_back_after_one_success_within_delay_loop() {
    for death in [REFUSES, Behaviour::Silent] {
        let mut most = Duration::ZERO;
        for step in 0..12 {
            let mut world = World::with(&config(&[two()]));
            world.set(ONE, death);
            world.run(LOOP * 5 + LOOP / 12 * step + NANO);
            has(&world, &[(TWO, 1)]);
            world.set(ONE, GOOD);
            most = most.max(world.until(LOOP * 2, |output| adds(output, ONE)));
            has(&world, &[(ONE, 1), (TWO, 1)]);
        }
        assert_eq!(most, LOOP - NANO);
    }
}

#[test]
fn until_its_first_check_a_server_is_up_and_its_first_failure_counts_at_once() {
    let late = |server| with(server, Check { warmup: LOOP, ..tcp_check(server) });
    let mut world = World::new();
    world.set(TWO, REFUSES);
    world.configure(&config(&[pool(vec![late(ONE), late(TWO)])]));
    world.run(NANO);
    has(&world, &[(ONE, 1), (TWO, 1)]);
    world.log.clear();
    world.until(LOOP, |output| removes(output, TWO));
    assert_eq!(
        world.lines(),
        [
            "TCP_CHECK 10.1.0.2:80 failed: connection refused",
            "10.1.0.2:80 of TCP 10.0.0.1:80 is down: connection refused",
            "ipvs: remove destination 10.1.0.2:80 of TCP 10.0.0.1:80",
        ],
        "without a retry, and the kernel's doing it is no news"
    );
}

#[test]
fn with_alpha_a_server_is_in_the_table_only_after_its_first_success() {
    let late = |server| with(server, Check { warmup: LOOP, alpha: true, ..tcp_check(server) });
    let mut world = World::new();
    world.set(ONE, REFUSES);
    world.configure(&config(&[pool(vec![late(ONE), late(TWO)])]));
    world.run(Duration::ZERO);
    has(&world, &[]);
    world.until(LOOP, |output| adds(output, TWO));
    has(&world, &[(TWO, 1)]);
    world.run(LOOP * 3);
    has(&world, &[(TWO, 1)]);
}

#[test]
fn a_start_tells_of_each_thing_once() {
    let mut world = World::new();
    world.configure(&config(&[two()]));
    world.run(Duration::ZERO);
    assert_eq!(
        world.lines(),
        [
            "10.1.0.1:80 of TCP 10.0.0.1:80 is up with weight 1: not checked yet",
            "10.1.0.2:80 of TCP 10.0.0.1:80 is up with weight 1: not checked yet",
            "TCP 10.0.0.1:80: quorum gained, 2 of 1",
            "the virtual servers are configured",
            "ipvs: add service TCP 10.0.0.1:80 wlc",
            "ipvs: add destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "TCP 10.0.0.1:80 is in the kernel",
        ]
    );
}

#[test]
fn a_command_that_fails_is_told_and_that_it_was_done_at_last_too() {
    let mut world = World::with(&config(&[two()]));
    world.set(ONE, REFUSES);
    world.machine.fates.push_back(Fate::Refused(0xff));
    world.run(LOOP * 3);
    assert_eq!(
        world.told(),
        [
            "TCP_CHECK 10.1.0.1:80 failed: connection refused",
            "10.1.0.1:80 of TCP 10.0.0.1:80 is down: connection refused",
            REFUSED,
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 is out",
        ]
    );
    has(&world, &[(TWO, 1)]);
}

const REFUSED: &str = "remove destination 10.1.0.1:80 of TCP 10.0.0.1:80: refused";

#[test]
fn when_an_answer_is_lost_what_became_of_it_is_told() {
    for fate in [Fate::Lost, Fate::Unanswered, Fate::Failed(IpvsError::Refused)] {
        let mut world = World::with(&config(&[two()]));
        world.set(ONE, REFUSES);
        world.machine.fates.push_back(fate);
        world.run(LOOP * 3);
        let told = world.told();
        assert!(told[2].starts_with("batch of 1 commands: "), "{told:?}");
        assert_eq!(told[3..], ["TCP 10.0.0.1:80: real server 10.1.0.1:80 is out"], "{fate:?}");
        has(&world, &[(TWO, 1)]);
    }
}

#[test]
fn when_all_die_the_table_is_empty_and_the_quorum_lost() {
    let mut world = World::with(&config(&[two()]));
    world.set(ONE, REFUSES);
    world.set(TWO, REFUSES);
    world.run(LOOP * 3);
    has(&world, &[]);
    let told = world.told();
    let quorum: Vec<_> = told.iter().filter(|line| line.contains("quorum")).collect();
    assert_eq!(quorum, ["TCP 10.0.0.1:80: quorum lost, 0 of 1"]);
    assert_eq!(told.len(), 5, "{told:?}");
    world.set(TWO, GOOD);
    world.run(LOOP);
    has(&world, &[(TWO, 1)]);
    assert_eq!(
        world.told(),
        [
            "TCP_CHECK 10.1.0.2:80 is good again",
            "10.1.0.2:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
            "TCP 10.0.0.1:80: quorum gained, 1 of 1",
        ]
    );
}

#[test]
fn when_all_die_the_sorry_server_comes_and_goes_with_the_first_that_is_back() {
    let sorry_server = Some(sorry(SORRY));
    let mut world = World::with(&config(&[VirtualServer { sorry_server, ..two() }]));
    world.set(ONE, REFUSES);
    world.set(TWO, REFUSES);
    world.run(LOOP * 3);
    has(&world, &[(SORRY, 1)]);
    let told = world.told();
    assert!(told.contains(&"TCP 10.0.0.1:80: sorry server 10.9.0.1:80 is in with weight 1".into()));
    world.set(TWO, GOOD);
    world.until(LOOP, |output| adds(output, TWO));
    assert_eq!(
        world.lines(),
        [
            "TCP_CHECK 10.1.0.2:80 is good again",
            "10.1.0.2:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
            "TCP 10.0.0.1:80: quorum gained, 1 of 1",
            "ipvs: add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: remove destination 10.9.0.1:80 of TCP 10.0.0.1:80",
            "TCP 10.0.0.1:80: sorry server 10.9.0.1:80 is out",
        ]
    );
}

#[test]
fn below_the_quorum_the_living_give_way_to_the_sorry_server_and_only_the_quorum_is_told() {
    let three = pool(vec![checked(ONE), checked(TWO), checked(THREE)]);
    let mut world = World::with(&config(&[VirtualServer {
        quorum: 2,
        sorry_server: Some(sorry(SORRY)),
        ..three
    }]));
    world.set(ONE, REFUSES);
    world.run(LOOP * 3);
    has(&world, &[(TWO, 1), (THREE, 1)]);
    world.log.clear();
    world.set(TWO, REFUSES);
    world.run(LOOP * 3);
    has(&world, &[(SORRY, 1)]);
    assert_eq!(
        world.lines(),
        [
            "TCP_CHECK 10.1.0.2:80 failed: connection refused",
            "10.1.0.2:80 of TCP 10.0.0.1:80 is down: connection refused",
            "TCP 10.0.0.1:80: quorum lost, 1 of 2",
            "ipvs: remove destination 10.1.0.2:80 of TCP 10.0.0.1:80",
            "ipvs: remove destination 10.1.0.3:80 of TCP 10.0.0.1:80",
            "ipvs: add destination 10.9.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "TCP 10.0.0.1:80: sorry server 10.9.0.1:80 is in with weight 1",
        ]
    );
    world.set(ONE, GOOD);
    world.run(LOOP);
    has(&world, &[(ONE, 1), (THREE, 1)]);
}

#[test]
fn a_flapping_server_is_in_the_table_exactly_while_its_checks_are_good() {
    let mut world = World::with(&config(&[two()]));
    for _ in 0..5 {
        world.set(ONE, REFUSES);
        world.run(LOOP + PAUSE);
        has(&world, &[(TWO, 1)]);
        world.set(ONE, GOOD);
        world.run(LOOP);
        has(&world, &[(ONE, 1), (TWO, 1)]);
    }
    let told = world.told();
    let count = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count(" is down: "), count(" is up with "), told.len()), (5, 5, 20), "{told:?}");
}

#[test]
fn a_short_outage_between_two_attempts_is_not_seen_and_one_failure_is_forgiven() {
    let mut world = World::with(&config(&[two()]));
    world.run(PAUSE);
    world.set(ONE, REFUSES);
    world.run(LOOP - PAUSE * 2);
    world.set(ONE, GOOD);
    world.run(LOOP - PAUSE);
    world.set(ONE, REFUSES);
    world.run(PAUSE * 3 / 2);
    world.set(ONE, GOOD);
    world.run(LOOP * 3);
    assert_eq!((world.told(), world.commands()), (vec![], vec![]));
}

#[test]
fn a_drain_holds_over_what_the_checks_say_and_is_told_when_it_is_ordered() {
    let mut world = World::with(&config(&[two()]));
    world.order(vip(), ONE, ServerOrder::Drain).unwrap();
    has(&world, &[(ONE, 0), (TWO, 1)]);
    assert_eq!(
        world.lines(),
        [
            "10.1.0.1:80 of TCP 10.0.0.1:80 is drained by an operator",
            "ipvs: edit destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 0 NAT",
        ]
    );
    world.set(ONE, REFUSES);
    world.run(LOOP * 3);
    has(&world, &[(TWO, 1)]);
    world.set(ONE, GOOD);
    world.run(LOOP);
    has(&world, &[(ONE, 0), (TWO, 1)]);
    world.order(vip(), ONE, ServerOrder::Weight(Some(9))).unwrap();
    world.order(vip(), ONE, ServerOrder::Undrain).unwrap();
    has(&world, &[(ONE, 9), (TWO, 1)]);
    let missing = world.order(vip(), THREE, ServerOrder::Drain);
    assert_eq!(missing, Err(OrderError::NoRealServer));
}

#[test]
fn a_stop_cancels_the_checks_then_tells_and_empties_the_table() {
    let mut world = World::new();
    world.configure(&config(&[VirtualServer { omega: true, ..two() }]));
    world.set(TWO, Behaviour::Silent);
    world.run(PAUSE);
    assert_eq!(world.machine.running.len(), 1);
    world.log.clear();
    world.stop();
    assert!(!world.director().is_stopped());
    world.run(Duration::ZERO);
    assert!(world.director().is_stopped());
    assert_eq!(
        world.lines(),
        [
            "cancel attempt 1",
            "TCP 10.0.0.1:80: quorum lost, 2 of 1",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 is out",
            "TCP 10.0.0.1:80: real server 10.1.0.2:80 is out",
            "ipvs: remove service TCP 10.0.0.1:80",
            "TCP 10.0.0.1:80 is out of the kernel",
        ]
    );
    world.run(LOOP * 20);
    assert!(world.log.is_empty() && world.machine.kernel.table.is_empty());
    // And from there it starts as from nothing.
    world.set(TWO, GOOD);
    world.configure(&config(&[two()]));
    world.run(LOOP);
    has(&world, &[(ONE, 1), (TWO, 1)]);
}

#[test]
fn without_ipvs_in_the_kernel_checks_go_on_and_the_table_is_right_once_it_has_it() {
    let mut world = World::new();
    world.machine.kernel.is_bare = true;
    world.configure(&config(&[two()]));
    world.run(LOOP);
    assert!(world.director().is_in_fault());
    assert!(
        world.director().needs_ipvs(ip("10.0.0.1")) && !world.director().needs_ipvs(ip("10.0.0.2"))
    );
    world.set(ONE, REFUSES);
    world.run(LOOP * 2);
    let status = world.director();
    let up: Vec<_> =
        status.virtual_servers().flat_map(|one| one.servers()).map(|one| one.is_up()).collect();
    assert_eq!(up, [false, true]);
    world.machine.kernel.is_bare = false;
    world.run(PROBE_EVERY);
    assert!(!world.director().is_in_fault());
    has(&world, &[(TWO, 1)]);
}

#[test]
fn checks_of_a_virtual_server_rest_while_its_address_is_elsewhere() {
    let suspended = VirtualServer { ha_suspend: true, ..two() };
    let mut world = World::new();
    world.set(ONE, REFUSES);
    world.configure(&config(std::slice::from_ref(&suspended)));
    world.run(LOOP * 3);
    has(&world, &[(ONE, 1), (TWO, 1)]);
    world.address(ip("10.0.0.1"), true);
    world.run(LOOP);
    has(&world, &[(TWO, 1)]);
    world.set(ONE, GOOD);
    world.address(ip("10.0.0.1"), false);
    world.run(LOOP * 3);
    has(&world, &[(TWO, 1)]);
    let told = world.told();
    let rest: Vec<_> = told.iter().filter(|line| line.contains("checks")).collect();
    assert_eq!(
        rest,
        [
            "TCP 10.0.0.1:80: checks rest",
            "TCP 10.0.0.1:80: checks go on",
            "TCP 10.0.0.1:80: checks rest"
        ]
    );
    world.configure(&config(&[suspended]));
    world.run(PAUSE);
    assert_eq!(world.told(), ["the virtual servers are configured"], "nothing changed");
    world.address(ip("10.0.0.1"), true);
    world.run(LOOP);
    has(&world, &[(ONE, 1), (TWO, 1)]);
}

#[test]
fn status_says_what_is_wanted_what_the_kernel_has_why_and_what_comes_next() {
    let mut world = World::with(&config(&[two()]));
    world.set(ONE, REFUSES);
    world.machine.fates.push_back(Fate::Refused(0xff));
    world.run(LOOP + PAUSE);
    let down_at = world.now;
    world.run(PAUSE / 2);
    let status = world.director();
    let one = status.virtual_servers().next().unwrap();
    assert!(one.table.has_quorum());
    let [server, other] = &one.servers().collect::<Vec<_>>()[..] else { panic!("two") };
    assert_eq!((server.is_up(), server.since(), server.wanted()), (false, down_at, None));
    assert_eq!(server.why().name(), "down");
    let (at, last) = server.last().unwrap();
    assert_eq!((at, last.to_string().as_str()), (down_at, "connection refused"));
    assert_eq!(server.next_check(), Some(down_at + (LOOP - PAUSE)));
    let (service, there) = server.in_kernel().next().unwrap();
    assert_eq!(service, vip());
    assert_eq!(there.in_kernel.map(|spec| spec.weight), Some(1), "it was refused");
    assert_eq!((there.wanted, there.error), (None, Some(IpvsError::Refused)));
    assert_eq!((other.is_up(), other.wanted(), other.why().name()), (true, Some(1), "up"));
    assert_eq!(status.checks().counters().attempts, 5);
    let real = real(ONE);
    assert_eq!((server.config().address, server.checks().count()), (real.address, 1));
}

#[test]
fn in_force_is_told_once_the_last_virtual_server_is_known() {
    let mut world = World::of(Timestamp::ZERO, Limits { per_call: 1, ..Limits::default() });
    world.configure(&config(&[pool(vec![alpha(ONE)])]));
    assert!(!world.director().needs_ipvs(ip("10.0.0.1")), "it is being taken");
    let is_in_force =
        |output: &DirectorOutput| matches!(output, DirectorOutput::News(News::InForce));
    world.until(Duration::ZERO, is_in_force);
    assert!(world.director().needs_ipvs(ip("10.0.0.1")));
}
