//! A new configuration while checks are under way: the moments between the two parts' taking of it
//! show no server up that was not judged, and remove none that stays.

mod director_world;
mod ipvs_world;

use std::collections::BTreeSet;
use std::time::Duration;

use director_world::{
    Behaviour, LOOP, NANO, REFUSES, World, alpha, checked, removes, tcp_check, with,
};
use ipvs_world::{at, config, ip, real, tcp, virtual_server};
use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    DirectorConfig, Protocol, RealServer, Service, VirtualServer, VirtualServerName,
};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::director::{DirectorOutput, News};
use vipd_engine::health::{Limits, Outcome};
use vipd_engine::ipvs::{Endpoint, IpvsCommand};

const ONE: &str = "10.1.0.1:80";
const TWO: &str = "10.1.0.2:80";
/// As slow as can be.
const SLOW: Limits = Limits { connections: 1000, scripts: 10, per_call: 1 };
/// So slow that a configuration with a large virtual server takes a dozen calls or two.
const FAIR: Limits = Limits { per_call: 50, ..SLOW };
/// More calls than it takes to work off a configuration of these tests.
const CALLS: u32 = 40;

fn vip() -> Service {
    tcp("10.0.0.1:80")
}

fn pool(real_servers: Vec<RealServer>) -> VirtualServer {
    VirtualServer { real_servers, ..virtual_server(vip(), &[]) }
}

/// A virtual server that comes first and is a portion of work by itself.
fn large() -> VirtualServer {
    let real_servers = (1..=300_u16).map(|n| real(&format!("10.3.{}.{}:80", n / 200, n % 200)));
    VirtualServer {
        real_servers: real_servers.collect(),
        ..virtual_server(tcp("10.0.0.9:80"), &[])
    }
}

fn slowly(limits: Limits, config: &DirectorConfig) -> World {
    let mut world = World::of(Timestamp::ZERO, limits);
    world.configure(config);
    world
}

/// Whether a command gives connections to this real server.
fn gives(command: &IpvsCommand, server: &str) -> bool {
    match command {
        IpvsCommand::AddDestination { endpoint, spec, .. }
        | IpvsCommand::EditDestination { endpoint, spec, .. } => {
            *endpoint == at(server) && spec.weight > 0
        }
        _ => false,
    }
}

fn numbered(range: std::ops::Range<u16>, make: impl Fn(&str) -> RealServer) -> Vec<RealServer> {
    range.map(|n| make(&format!("10.2.{}.{}:80", n / 200, n % 200))).collect()
}

#[test]
fn a_reload_under_checks_adds_what_is_new_removes_what_is_gone_and_touches_nothing_else() {
    for limits in [FAIR, Limits::default()] {
        let mut world = World::of(Timestamp::ZERO, limits);
        let before = numbered(0..300, checked);
        world.configure(&config(&[pool(before.clone())]));
        world.run(LOOP);
        assert_eq!(world.weights(vip()).len(), 300);
        // All of them are being checked when the reload comes, and answer afterwards.
        for real in &before {
            let slow = Behaviour::Answers(Duration::from_secs(1), Outcome::GOOD);
            world.set(&format!("{}:80", real.address), slow);
        }
        world.run(LOOP + NANO);
        assert_eq!(world.machine.running.len(), 300);
        world.log.clear();
        let news = numbered(300..350, |server| {
            let late = Duration::from_secs(2);
            with(server, Check { alpha: true, warmup: late, ..tcp_check(server) })
        });
        let after: Vec<_> = before[100..].iter().cloned().chain(news.clone()).collect();
        world.configure(&config(&[pool(after)]));
        world.run(Duration::ZERO);
        let log = std::mem::take(&mut world.log);
        let mut removed = BTreeSet::new();
        for (_, output) in &log {
            let DirectorOutput::Batch(batch) = output else { continue };
            for command in &batch.commands {
                match command {
                    IpvsCommand::RemoveDestination { endpoint, .. } => {
                        removed.insert(*endpoint);
                    }
                    other => panic!("{other}"),
                }
            }
        }
        let endpoint = |real: &RealServer| Endpoint { address: real.address, port: real.port };
        assert_eq!(removed, before[..100].iter().map(endpoint).collect());
        assert_eq!(world.machine.running.len(), 200, "100 are dropped");
        world.run(LOOP * 2);
        assert_eq!(world.weights(vip()).len(), 250);
        assert!(!world.log.iter().any(|(_, output)| {
            before[100..].iter().any(|real| removes(output, &format!("{}:80", real.address)))
        }));
    }
}

#[test]
fn what_is_told_of_a_reload_is_what_came_and_what_went() {
    let mut world = World::with(&config(&[pool(vec![checked(ONE)])]));
    world.configure(&config(&[pool(vec![alpha(TWO)])]));
    world.run(Duration::ZERO);
    assert_eq!(
        world.told(),
        [
            "10.1.0.2:80 of TCP 10.0.0.1:80 is down: not good yet",
            "TCP 10.0.0.1:80: quorum lost, 0 of 1",
            "the virtual servers are configured",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 is out",
            "10.1.0.2:80 of TCP 10.0.0.1:80 is up with weight 1: good again",
            "TCP 10.0.0.1:80: quorum gained, 1 of 1",
        ]
    );
}

#[test]
fn a_dead_server_that_a_reload_drops_and_the_next_one_brings_back_gets_no_connection() {
    let both = pool(vec![alpha(ONE), checked(TWO)]);
    let one = pool(vec![checked(TWO)]);
    for (limits, first, second) in [
        (FAIR, vec![large(), both.clone()], vec![large(), one.clone()]),
        (FAIR, vec![both.clone(), large()], vec![large()]),
        (SLOW, vec![both.clone()], vec![one]),
        (SLOW, vec![both], vec![]),
    ] {
        let (first, second) = (config(&first), config(&second));
        let mut base = slowly(limits, &first);
        base.set(ONE, REFUSES);
        base.run(LOOP * 3);
        for calls in 0..CALLS {
            let mut world = base.clone();
            world.log.clear();
            world.configure(&second);
            (0..calls).for_each(|_| world.tick());
            // Whatever the second one has come to by now.
            let is_in_force = world.log.iter().any(|(_, output)| is_in_force(output));
            assert!(calls > 0 || !is_in_force);
            assert!(calls < CALLS - 1 || is_in_force);
            world.configure(&first);
            world.run(LOOP * 2);
            assert_eq!(world.weights(vip()), [(TWO.to_string(), 1)], "after {calls} calls");
            assert!(!world.commands().iter().any(|command| gives(command, ONE)));
        }
    }
}

fn is_in_force(output: &DirectorOutput) -> bool {
    matches!(output, DirectorOutput::News(News::InForce))
}

#[test]
fn checks_go_on_where_the_address_is_whatever_reloads_came_in_between() {
    let suspended = VirtualServer { ha_suspend: true, ..pool(vec![checked(ONE), checked(TWO)]) };
    let with_it = config(&[large(), suspended]);
    for ticks in 0..CALLS {
        let mut world = World::of(Timestamp::ZERO, FAIR);
        world.address(ip("10.0.0.1"), true);
        world.configure(&with_it);
        world.run(LOOP);
        world.configure(&config(&[large()]));
        (0..ticks).for_each(|_| world.tick());
        world.configure(&with_it);
        world.run(LOOP);
        world.set(ONE, REFUSES);
        world.run(LOOP * 2);
        assert_eq!(world.weights(vip()), [(TWO.to_string(), 1)], "after {ticks} ticks");
    }
}

#[test]
fn checks_follow_the_addresses_that_a_reload_gives_a_virtual_server_at_rest() {
    let group = |service| {
        let (name, protocol) = ("VG".to_string(), Protocol::Tcp);
        let name = VirtualServerName::Group { name, protocol };
        let real_servers = vec![checked(ONE), checked(TWO)];
        let empty = virtual_server(tcp(service), &[]);
        VirtualServer { name, real_servers, ha_suspend: true, ..empty }
    };
    let (before, after) = ("10.0.0.1:80", "10.0.0.2:80");
    for ticks in 0..CALLS {
        for here in [before, after] {
            let mut world = World::of(Timestamp::ZERO, FAIR);
            world.set(ONE, REFUSES);
            world.address(at(here).address, true);
            world.configure(&config(&[large(), group(before)]));
            (0..ticks).for_each(|_| world.tick());
            world.configure(&config(&[large(), group(after)]));
            world.run(Duration::ZERO);
            world.log.clear();
            world.run(LOOP * 2);
            let attempts =
                world.log.iter().any(|(_, output)| matches!(output, DirectorOutput::Probe(_)));
            assert_eq!(attempts, here == after, "after {ticks} ticks, {here} is here");
        }
    }
}

#[test]
fn a_check_that_is_known_to_fail_keeps_a_server_out_of_another_virtual_server() {
    let other = VirtualServer {
        real_servers: vec![checked(ONE), checked(TWO)],
        ..virtual_server(tcp("10.0.0.2:80"), &[])
    };
    let mut world = slowly(SLOW, &config(&[pool(vec![checked(ONE)])]));
    world.set(ONE, REFUSES);
    world.run(LOOP * 3);
    world.log.clear();
    world.configure(&config(&[other, pool(vec![checked(ONE)])]));
    world.run(LOOP);
    assert_eq!(world.weights(tcp("10.0.0.2:80")), [(TWO.to_string(), 1)]);
    assert!(!world.commands().iter().any(|command| gives(command, ONE)));
}

#[test]
fn a_weight_that_a_check_wishes_for_stays_whatever_the_file_says() {
    let dynamic = |weight| {
        let kind = CheckKind::Script { script: "load".into(), dynamic: true };
        let checks = [Check { kind, retry: 0, ..tcp_check(ONE) }.into()].into();
        config(&[pool(vec![RealServer { checks, weight, ..real(ONE) }])])
    };
    let mut world = slowly(SLOW, &dynamic(3));
    world.set(ONE, Behaviour::Answers(Duration::ZERO, Outcome::Good { weight: Some(3) }));
    world.run(LOOP);
    // The wish is the configured weight by chance.
    world.configure(&dynamic(8));
    world.run(Duration::ZERO);
    assert_eq!(world.weights(vip()), [(ONE.to_string(), 3)]);
    world.set(ONE, Behaviour::Answers(Duration::ZERO, Outcome::GOOD));
    world.run(LOOP);
    assert_eq!(world.weights(vip()), [(ONE.to_string(), 8)]);
}

#[test]
fn a_new_configuration_undoes_a_stop_wherever_it_is() {
    let all = config(&[pool(vec![checked(ONE), checked(TWO)])]);
    let mut base = slowly(SLOW, &all);
    base.run(LOOP);
    for ticks in 0..CALLS {
        let mut world = base.clone();
        world.stop();
        (0..ticks).for_each(|_| world.tick());
        world.configure(&all);
        assert!(!world.director().is_stopped());
        world.run(LOOP);
        assert_eq!(world.weights(vip()).len(), 2, "after {ticks} ticks");
        world.set(ONE, REFUSES);
        world.run(LOOP * 2);
        assert_eq!(world.weights(vip()), [(TWO.to_string(), 1)]);
    }
}
