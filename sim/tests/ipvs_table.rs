//! The model of the IPVS table by itself: its answers, and who gets a connection. That it does as
//! Linux does is tried in `netns-tests/tests/ipvs.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    Forwarding, Persistence, Protocol, Scheduler, Scheduling, Service, Timeouts, Tunnel,
};
use vipd_engine::ipvs::{
    DestinationSpec, Endpoint, IpvsCommand, IpvsError, Observed, Read, ServiceSpec,
};
use vipd_sim::ipvs::{Flow, Load, Segment, Table, Verdict};

const START: Timestamp = Timestamp::from_nanos(1_000);

fn at(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

fn tcp(text: &str) -> Service {
    let target = at(text);
    Service::Address { address: target.ip(), port: target.port(), protocol: Protocol::Tcp }
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint { address: at(text).ip(), port: at(text).port() }
}

const fn by(scheduler: Scheduler) -> ServiceSpec {
    let scheduling = Scheduling { scheduler, flags: 0, hashed: false, one_packet: false };
    ServiceSpec { scheduling, persistence: None }
}

fn kept(scheduler: Scheduler, seconds: u64) -> ServiceSpec {
    let timeout = Duration::from_secs(seconds);
    let persistence = Some(Persistence { timeout, prefix_len: 32, engine: None });
    ServiceSpec { persistence, ..by(scheduler) }
}

const fn weight(weight: u32) -> DestinationSpec {
    let forwarding = Forwarding::DirectRouting;
    DestinationSpec { weight, forwarding, upper_threshold: 0, lower_threshold: 0 }
}

const VIP: &str = "192.0.2.1:80";
const SERVERS: [&str; 3] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];

/// A service with these real servers, added in this order.
fn table(spec: ServiceSpec, servers: &[(&str, DestinationSpec)]) -> Table {
    let mut table = Table::new(1);
    let service = tcp(VIP);
    table.perform(START, &IpvsCommand::AddService { service, spec }).expect("a service");
    for (server, spec) in servers {
        let (endpoint, spec) = (endpoint(server), *spec);
        let command = IpvsCommand::AddDestination { service, endpoint, spec };
        table.perform(START, &command).expect("a destination");
    }
    table
}

fn flow(client: &str) -> Flow {
    Flow { client: at(client), target: at(VIP), mark: 0 }
}

/// Who gets it; `None`: nobody.
fn connect(table: &mut Table, now: Timestamp, client: &str) -> Option<String> {
    match table.arrive(now, &flow(client), Segment::Syn) {
        Verdict::Forwarded { endpoint, .. } => Some(endpoint.address.to_string()),
        Verdict::Passed | Verdict::Refused | Verdict::Dropped => None,
    }
}

/// Who gets so many connections of one client, by the last number of their addresses.
fn choices(table: &mut Table, count: u16) -> Vec<u8> {
    let connect =
        |port| match table.arrive(START, &flow(&format!("198.51.100.7:{port}")), Segment::Syn) {
            Verdict::Forwarded { endpoint, .. } => {
                let text = endpoint.address.to_string();
                text.rsplit('.').next().and_then(|last| last.parse().ok()).expect("a number")
            }
            other => panic!("{other:?}"),
        };
    (2000..2000 + count).map(connect).collect()
}

fn equal(weights: [u32; 3]) -> Vec<(&'static str, DestinationSpec)> {
    SERVERS.into_iter().zip(weights.map(weight)).collect()
}

#[test]
fn what_cannot_be_done_is_answered_as_linux_does() {
    let mut table = table(by(Scheduler::Wlc), &equal([1, 1, 1])[..1]);
    let (service, other) = (tcp(VIP), tcp("192.0.2.1:81"));
    let (there, missing) = (endpoint(SERVERS[0]), endpoint(SERVERS[1]));
    let add = |service, endpoint, spec| IpvsCommand::AddDestination { service, endpoint, spec };
    let v6 = endpoint("[2001:db8::1]:80");
    let tunnel = DestinationSpec { forwarding: Forwarding::Tunnel(Tunnel::Ipip), ..weight(1) };
    let expected = [
        (IpvsCommand::AddService { service, spec: by(Scheduler::Rr) }, Err(IpvsError::Exists)),
        (
            IpvsCommand::EditService { service: other, spec: by(Scheduler::Rr) },
            Err(IpvsError::NoService),
        ),
        (IpvsCommand::RemoveService(other), Err(IpvsError::NoService)),
        (add(service, there, weight(1)), Err(IpvsError::Exists)),
        (add(other, there, weight(1)), Err(IpvsError::NoService)),
        (
            IpvsCommand::EditDestination { service, endpoint: missing, spec: weight(1) },
            Err(IpvsError::NotThere),
        ),
        (IpvsCommand::RemoveDestination { service, endpoint: missing }, Err(IpvsError::NotThere)),
        (add(service, missing, weight(1 << 31)), Err(IpvsError::Refused)),
        (
            add(service, missing, DestinationSpec { lower_threshold: 1, ..weight(1) }),
            Err(IpvsError::Refused),
        ),
        (add(service, endpoint("224.0.0.1:80"), weight(1)), Err(IpvsError::Refused)),
        (add(service, v6, weight(1)), Err(IpvsError::Refused)),
        (add(service, v6, tunnel), Ok(())),
        (IpvsCommand::StopSync(vipd_engine::ipvs::SyncRole::Backup), Err(IpvsError::NoService)),
    ];
    for (command, result) in expected {
        assert_eq!(table.perform(START, &command), result, "{command}");
    }
}

#[test]
fn what_is_read_is_what_is_there_and_a_service_is_hashed() {
    let table = table(by(Scheduler::Rr), &equal([1, 2, 0]));
    let read = Read { number: 1, services: vec![tcp(VIP), tcp("192.0.2.1:81")], settings: false };
    let seen = table.read(&read);
    let [Observed::Begin, Observed::Service(one), Observed::End] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(one.service, tcp(VIP));
    let spec = one.spec.as_ref().expect("a service of ours");
    assert!(spec.does_the_same_as(&by(Scheduler::Rr)) && spec.scheduling.hashed);
    let weights: BTreeMap<_, _> = one
        .destinations
        .iter()
        .map(|(endpoint, spec)| (endpoint.to_string(), spec.expect("one of ours").weight))
        .collect();
    assert_eq!(weights, SERVERS.map(str::to_string).into_iter().zip([1, 2, 0]).collect());
}

#[test]
fn round_robin_takes_turns_the_newest_first() {
    let mut table = table(by(Scheduler::Rr), &equal([1, 1, 1]));
    assert_eq!(choices(&mut table, 6), [3, 2, 1, 3, 2, 1]);
}

#[test]
fn weighted_round_robin_goes_on_at_its_level_when_servers_come() {
    let mut table = table(by(Scheduler::Wrr), &equal([1, 2, 3]));
    // Level 1 since the first one came, then 3, 2 and 1: who weighs as much as the level.
    assert_eq!(choices(&mut table, 9), [3, 2, 1, 3, 3, 2, 3, 2, 1]);
}

#[test]
fn overflow_fills_the_heaviest_before_the_next() {
    let mut table = table(by(Scheduler::Ovf), &equal([1, 2, 3]));
    // More than it weighs: one connection is one too many.
    assert_eq!(choices(&mut table, 9), [3, 3, 3, 3, 2, 2, 2, 1, 1]);
    assert_eq!(connect(&mut table, START, "198.51.100.9:1"), None);
}

#[test]
fn two_random_choices_depend_on_the_seed_alone_and_follow_the_weights() {
    let play = |seed| {
        let mut table = Table::new(seed);
        let service = tcp(VIP);
        let spec = by(Scheduler::Twos);
        table.perform(START, &IpvsCommand::AddService { service, spec }).expect("a service");
        for (server, spec) in equal([1, 0, 3]) {
            let endpoint = endpoint(server);
            let command = IpvsCommand::AddDestination { service, endpoint, spec };
            table.perform(START, &command).expect("a destination");
        }
        choices(&mut table, 400)
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
    let of = |server| play(1).iter().filter(|one| **one == server).count();
    assert_eq!(of(2), 0);
    assert!((80..=120).contains(&of(1)), "{} of 400", of(1));
}

#[test]
fn a_threshold_keeps_new_connections_away_until_enough_have_ended() {
    let limited = DestinationSpec { upper_threshold: 4, ..weight(1) };
    let mut table = table(by(Scheduler::Rr), &[(SERVERS[0], limited)]);
    choices(&mut table, 4);
    assert_eq!(connect(&mut table, START, "198.51.100.9:1"), None);
    // A FIN leaves it in the table for two minutes. Below three quarters it is taken again.
    for (port, segment) in (2000..).zip([Segment::Fin, Segment::Fin, Segment::Ack, Segment::Ack]) {
        let verdict = table.arrive(START, &flow(&format!("198.51.100.7:{port}")), segment);
        assert!(matches!(verdict, Verdict::Forwarded { .. }), "{verdict:?}");
    }
    let ended = START + Duration::from_secs(120);
    let early = Timestamp::from_nanos(ended.as_nanos() - 1);
    assert_eq!(connect(&mut table, early, "198.51.100.9:1"), None);
    assert_eq!(connect(&mut table, ended, "198.51.100.9:1").as_deref(), Some("10.0.0.1"));
}

#[test]
fn with_weight_0_connections_and_persistence_go_on_and_nothing_new_comes() {
    let mut table = table(kept(Scheduler::Rr, 300), &equal([1, 1, 1])[..2]);
    assert_eq!(connect(&mut table, START, "198.51.100.7:1").as_deref(), Some("10.0.0.2"));
    let (service, endpoint) = (tcp(VIP), endpoint(SERVERS[1]));
    let quiesce = IpvsCommand::EditDestination { service, endpoint, spec: weight(0) };
    table.perform(START, &quiesce).expect("it is there");
    assert_eq!(connect(&mut table, START, "198.51.100.8:1").as_deref(), Some("10.0.0.1"));
    assert_eq!(connect(&mut table, START, "198.51.100.9:1").as_deref(), Some("10.0.0.1"));
    assert_eq!(connect(&mut table, START, "198.51.100.7:2").as_deref(), Some("10.0.0.2"));
    table.settings.expire_quiescent_template = true;
    assert_eq!(connect(&mut table, START, "198.51.100.7:3").as_deref(), Some("10.0.0.1"));
    // The connection itself is not touched by that.
    let old = table.arrive(START, &flow("198.51.100.7:1"), Segment::Ack);
    assert!(matches!(old, Verdict::Forwarded { endpoint: to, .. } if to == endpoint), "{old:?}");
}

#[test]
fn persistence_ends_its_time_after_the_last_connection_began() {
    let mut table = table(kept(Scheduler::Rr, 300), &equal([1, 1, 1])[..2]);
    let limits = Timeouts { tcp: Some(Duration::from_secs(1)), ..Timeouts::default() };
    table.perform(START, &IpvsCommand::SetTimeouts(limits)).expect("time limits");
    let mut begin = |now, client: &str| {
        let server = connect(&mut table, now, client);
        table.arrive(now, &flow(client), Segment::Ack);
        server
    };
    let later = |seconds| START + Duration::from_secs(seconds);
    assert_eq!(begin(START, "198.51.100.7:1").as_deref(), Some("10.0.0.2"));
    assert_eq!(begin(later(299), "198.51.100.7:2").as_deref(), Some("10.0.0.2"));
    assert_eq!(begin(later(598), "198.51.100.7:3").as_deref(), Some("10.0.0.2"));
    assert_eq!(begin(later(898), "198.51.100.7:4").as_deref(), Some("10.0.0.1"));
}

#[test]
fn packets_to_a_removed_server_are_dropped_and_go_on_when_it_is_back() {
    let mut table = table(by(Scheduler::Rr), &equal([1, 1, 1])[..1]);
    assert!(connect(&mut table, START, "198.51.100.7:1").is_some());
    let (service, endpoint) = (tcp(VIP), endpoint(SERVERS[0]));
    let remove = IpvsCommand::RemoveDestination { service, endpoint };
    table.perform(START, &remove).expect("it is there");
    let packet = |table: &mut Table| table.arrive(START, &flow("198.51.100.7:1"), Segment::Ack);
    assert_eq!(packet(&mut table), Verdict::Dropped);
    assert_eq!(connect(&mut table, START, "198.51.100.7:2"), None);
    let add = IpvsCommand::AddDestination { service, endpoint, spec: weight(1) };
    table.perform(START, &add).expect("it is not there");
    assert!(matches!(packet(&mut table), Verdict::Forwarded { .. }));
    let loads: Vec<_> = table.destinations(service).map(|(_, _, load)| load).collect();
    assert_eq!(loads, [Load { active: 1, inactive: 0, persistent: 0 }]);
}

#[test]
fn what_no_service_is_for_passes() {
    let mut table = table(by(Scheduler::Rr), &equal([1, 1, 1]));
    let other = Flow { target: at("192.0.2.1:81"), ..flow("198.51.100.7:1") };
    assert_eq!(table.arrive(START, &other, Segment::Syn), Verdict::Passed);
    assert_eq!(table.arrive(START, &flow("198.51.100.7:1"), Segment::Datagram), Verdict::Passed);
    assert_eq!(table.arrive(START, &flow("198.51.100.7:1"), Segment::Ack), Verdict::Passed);
}
