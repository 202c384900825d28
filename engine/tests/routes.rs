//! Routes and rules: those of an instance follow its addresses, static ones stand by themselves.

mod driver;

use driver::{Answer, Driver, ip, v2};
use std::sync::Arc;
use std::time::Duration;
use vipd_engine::config::fib::{NextHop, Prefix, Route, Rule, RuleAction};
use vipd_engine::config::{FibConfig, FibEntry, StaticConfig, VirtualAddress};
use vipd_engine::{
    Config, Family, Ifindex, Input, InstanceConfig, InterfaceName, LinkState, StateKind, Timestamp,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SECOND: Duration = Duration::from_secs(1);
const ETH1: Ifindex = Ifindex(3);

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

fn by(octet: u8, interface: &str) -> Route {
    let destination = Prefix::new([10, octet, 0, 0].into(), 16).unwrap();
    let interface = Some(InterfaceName::new(interface));
    let next_hop = NextHop { via: Some(ip("10.0.0.254")), interface, ..NextHop::default() };
    Route { next_hops: vec![next_hop], ..Route::new(destination) }
}

fn route(route: Route) -> FibEntry {
    FibEntry::Route(Box::new(route))
}

fn rule() -> FibEntry {
    let action = RuleAction::Table(100);
    FibEntry::Rule(Box::new(Rule { action, ..Rule::new(Family::Ipv4, 16384) }))
}

const fn tracked(entry: FibEntry) -> FibConfig {
    FibConfig { entry, untracked: false }
}

/// Two routes by eth0 and a rule.
fn routed() -> InstanceConfig {
    let fib = vec![tracked(route(by(1, "eth0"))), tracked(route(by(2, "eth0"))), tracked(rule())];
    InstanceConfig { fib, ..v2() }
}

fn lines(driver: &mut Driver) -> Vec<String> {
    let lines = driver.log.drain(..).map(|(_, output)| output.to_string());
    lines.filter(|line| !line.starts_with("send")).collect()
}

/// A master that has everything.
fn master(config: InstanceConfig) -> Driver {
    let mut driver = Driver::new(config);
    driver.run_until(at(M));
    assert_eq!(driver.state(), StateKind::Master);
    driver.log.clear();
    driver
}

fn held(driver: &Driver) -> Vec<String> {
    let status = driver.engine.status();
    let instance = status.instances().next().expect("an instance");
    instance.fib().map(ToString::to_string).collect()
}

#[test]
fn a_master_gets_its_addresses_then_routes_then_rules_and_gives_them_back_the_other_way() {
    let mut driver = Driver::new(routed());
    driver.run_until(at(M));
    let up = [
        "VI_1: backup -> master: no master heard for 3.609375 s",
        "add address 10.0.0.100/32 on eth0",
        "add route 10.1.0.0/16 via 10.0.0.254 dev eth0",
        "add route 10.2.0.0/16 via 10.0.0.254 dev eth0",
        "add rule 16384: from all lookup 100",
    ];
    assert_eq!(lines(&mut driver)[1..], up);
    assert_eq!(held(&driver).len(), 3);
    driver.hear("10.0.0.1", 200);
    let down = [
        "VI_1: master -> backup: 10.0.0.1 has priority 200",
        "remove rule 16384: from all lookup 100",
        "remove route 10.2.0.0/16 via 10.0.0.254 dev eth0",
        "remove route 10.1.0.0/16 via 10.0.0.254 dev eth0",
        "remove address 10.0.0.100/32 on eth0",
    ];
    assert_eq!(lines(&mut driver), down);
    assert!(held(&driver).is_empty());
}

#[test]
fn routes_wait_for_the_addresses_and_rules_for_the_routes_while_the_kernel_is_slow() {
    let mut driver = Driver::new(routed());
    driver.kernel = Answer::Silent;
    driver.run_until(at(M));
    let asked = |driver: &Driver| driver.commands().last().map(ToString::to_string);
    assert_eq!(asked(&driver).unwrap(), "add address 10.0.0.100/32 on eth0");
    driver.address("10.0.0.100", true);
    assert_eq!(asked(&driver).unwrap(), "add route 10.2.0.0/16 via 10.0.0.254 dev eth0");
}

#[test]
fn an_address_that_the_kernel_refuses_keeps_no_route_back() {
    let mut driver = Driver::new(routed());
    driver.kernel = Answer::Fails;
    driver.run_until(at(M));
    let commands = driver.commands();
    assert_eq!(commands.len(), 4, "{commands:?}");
}

#[test]
fn a_route_that_somebody_removes_comes_back_and_one_that_is_not_tracked_does_not() {
    let mut driver = master(routed());
    driver.fib(&route(by(1, "eth0")), false);
    let expected = [
        "VI_1: route 10.1.0.0/16 via 10.0.0.254 dev eth0 was removed behind our back, added again",
        "add route 10.1.0.0/16 via 10.0.0.254 dev eth0",
    ];
    // It was told that the route is there before.
    assert!(driver.log.is_empty(), "the engine never heard of it");
    driver.fib(&route(by(1, "eth0")), true);
    driver.fib(&route(by(1, "eth0")), false);
    assert_eq!(lines(&mut driver), expected);

    let mut untracked = routed();
    untracked.fib[0].untracked = true;
    let mut driver = master(untracked);
    driver.fib(&route(by(1, "eth0")), true);
    driver.fib(&route(by(1, "eth0")), false);
    assert_eq!(lines(&mut driver).len(), 1, "told, and left so");
    driver.hear("10.0.0.1", 200);
    driver.run_for(SECOND * 4);
    assert_eq!(driver.state(), StateKind::Master);
    assert_eq!(held(&driver).len(), 3, "the next mastership begins anew");
}

#[test]
fn what_a_killed_run_left_is_removed_before_the_election_and_what_nobody_names_is_not() {
    let mut driver = Driver::unconfigured();
    let unnamed = route(Route { protocol: 4, ..by(1, "eth0") });
    driver.fib(&unnamed, true);
    driver.fib(&route(by(1, "eth0")), true);
    driver.fib(&rule(), true);
    driver.configure(vec![routed()], vec![]);
    let told = lines(&mut driver);
    let removed: Vec<_> = told.iter().filter(|line| line.starts_with("remove")).collect();
    assert_eq!(
        removed,
        [
            "remove rule 16384: from all lookup 100",
            "remove route 10.1.0.0/16 via 10.0.0.254 dev eth0"
        ]
    );
    assert!(told.iter().any(|line| line.ends_with("before the election, removed")), "{told:?}");
}

#[test]
fn a_reload_keeps_what_is_the_same_and_changes_the_rest() {
    let mut driver = master(routed());
    let mut changed = routed();
    let sourced = Route { source: Some(ip("10.0.0.100")), ..by(2, "eth0") };
    changed.fib =
        vec![tracked(route(by(1, "eth0"))), tracked(route(sourced)), tracked(route(by(3, "eth0")))];
    driver.configure(vec![changed], vec![]);
    let commands: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    let expected = [
        "remove rule 16384: from all lookup 100",
        "remove route 10.2.0.0/16 via 10.0.0.254 dev eth0",
        "add route 10.3.0.0/16 via 10.0.0.254 dev eth0",
        "add route 10.2.0.0/16 via 10.0.0.254 dev eth0 src 10.0.0.100",
    ];
    assert_eq!(commands, expected);
    driver.log.clear();
    driver.handle(Input::Shutdown);
    assert!(!driver.engine.status().is_releasing());
    assert_eq!(driver.commands().len(), 4, "three routes and the address");
}

#[test]
fn a_route_by_an_interface_that_is_down_waits_for_it_without_a_word() {
    let mut config = routed();
    config.fib[1].entry = route(by(2, "eth1"));
    let mut driver = master(config);
    assert_eq!(held(&driver).len(), 2);
    driver.link_of(ETH1, "eth1", LinkState::Up);
    let added = ["add route 10.2.0.0/16 via 10.0.0.254 dev eth1"];
    assert_eq!(lines(&mut driver), added);
    driver.fib(&route(by(2, "eth1")), true);
    // The kernel drops it when the interface goes down.
    driver.link_of(ETH1, "eth1", LinkState::Down);
    driver.fib(&route(by(2, "eth1")), false);
    assert!(driver.log.is_empty());
    driver.link_of(ETH1, "eth1", LinkState::Up);
    assert_eq!(lines(&mut driver), added);
}

#[test]
fn a_refused_route_is_tried_again_after_longer_and_longer() {
    let mut driver = master(v2());
    driver.kernel = Answer::Fails;
    let fib = vec![tracked(route(by(1, "eth0")))];
    driver.configure(vec![InstanceConfig { fib, ..v2() }], vec![]);
    let start = driver.now;
    driver.run_for(SECOND * 100);
    let tries = driver.log.iter().filter(|(_, output)| output.to_string().starts_with("add route"));
    let after: Vec<_> = tries.map(|(at, _)| at.since(start).as_secs()).collect();
    assert_eq!(after, [0, 1, 3, 7, 15, 31, 63, 95]);
}

#[test]
fn what_is_to_go_is_tried_each_second_however_often_its_adding_failed() {
    let mut driver = master(v2());
    driver.kernel = Answer::Fails;
    let fib = vec![tracked(route(by(1, "eth0")))];
    driver.configure(vec![InstanceConfig { fib, ..v2() }], vec![]);
    driver.run_for(SECOND * 100);
    // Somebody else adds it, and the kernel does not let it go.
    driver.fib(&route(by(1, "eth0")), true);
    driver.log.clear();
    let start = driver.now;
    driver.configure(vec![v2()], vec![]);
    driver.run_for(SECOND * 4);
    let tries = driver.log.iter().filter(|(_, one)| one.to_string().starts_with("remove route"));
    let after: Vec<_> = tries.map(|(at, _)| at.since(start).as_secs()).collect();
    assert_eq!(after, [0, 1, 2, 3, 4]);
}

fn standing(entries: &[FibEntry], addresses: &[&str]) -> StaticConfig {
    let address = |text: &&str| (InterfaceName::new("eth0"), VirtualAddress::new(ip(text)));
    StaticConfig {
        addresses: addresses.iter().map(address).collect(),
        fib: entries.iter().cloned().map(tracked).collect(),
    }
}

fn configure(driver: &mut Driver, instances: Vec<InstanceConfig>, standing: StaticConfig) {
    let config = Config::new(instances, vec![], Duration::ZERO).expect("valid");
    let config = config.with_static(standing).expect("valid");
    driver.handle(Input::Configure(Arc::new(config)));
}

#[test]
fn static_things_stand_in_every_state_and_go_with_the_configuration_or_at_the_stop() {
    let mut driver = Driver::unconfigured();
    let both = standing(&[route(by(1, "eth0")), rule()], &["10.0.0.77"]);
    configure(&mut driver, vec![v2()], both.clone());
    let added = [
        "add address 10.0.0.77/32 on eth0",
        "VI_1: init -> backup: started",
        "add route 10.1.0.0/16 via 10.0.0.254 dev eth0",
        "add rule 16384: from all lookup 100",
    ];
    assert_eq!(lines(&mut driver), added);
    driver.fib(&rule(), true);
    driver.fib(&rule(), false);
    driver.address("10.0.0.77", true);
    driver.address("10.0.0.77", false);
    let back = [
        "static: rule 16384: from all lookup 100 was removed behind our back, added again",
        "add rule 16384: from all lookup 100",
        "static: 10.0.0.77 was removed behind our back, added again",
        "add address 10.0.0.77/32 on eth0",
    ];
    assert_eq!(lines(&mut driver), back);

    configure(&mut driver, vec![v2()], standing(&[route(by(1, "eth0"))], &["10.0.0.77"]));
    assert_eq!(lines(&mut driver), ["remove rule 16384: from all lookup 100"]);
    assert_eq!(driver.engine.status().static_fib().count(), 1);
    driver.handle(Input::Shutdown);
    let gone = [
        "VI_1: backup -> init: stopped",
        "remove route 10.1.0.0/16 via 10.0.0.254 dev eth0",
        "remove address 10.0.0.77/32 on eth0",
    ];
    assert_eq!(lines(&mut driver), gone);
    assert!(!driver.engine.status().is_releasing());
}

#[test]
fn a_static_route_that_is_there_already_is_kept_and_one_that_is_there_otherwise_is_replaced() {
    let entry = route(by(1, "eth0"));
    for (seen, commands) in [(entry.clone(), 0), (route(Route { scope: 7, ..by(1, "eth0") }), 2)] {
        let mut driver = Driver::unconfigured();
        driver.fib(&seen, true);
        configure(&mut driver, vec![], standing(std::slice::from_ref(&entry), &[]));
        assert_eq!(driver.commands().len(), commands);
    }
}

#[test]
fn a_static_route_that_is_refused_is_told_and_tried_again() {
    let mut driver = Driver::unconfigured();
    driver.kernel = Answer::Fails;
    configure(&mut driver, vec![], standing(&[route(by(1, "eth0"))], &[]));
    assert_eq!(driver.news().len(), 1);
    driver.kernel = Answer::Ok;
    driver.run_for(SECOND);
    assert_eq!(driver.engine.status().static_fib().count(), 1);
}
