//! The synchronisation of connections between two tables of the model: what a backup knows of the
//! connections of its master, and from when on.

use std::net::SocketAddr;
use std::time::Duration;

use vipd_engine::config::director::{Forwarding, Protocol, Scheduler, Scheduling, Service};
use vipd_engine::ipvs::{DestinationSpec, Endpoint, IpvsCommand, ServiceSpec, SyncRole, SyncSpec};
use vipd_engine::{InterfaceName, Timestamp};
use vipd_sim::ipvs::{Flow, Segment, Table, Verdict};

const SERVERS: [&str; 2] = ["10.0.0.1:80", "10.0.0.2:80"];

fn at(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

const fn second(number: u64) -> Timestamp {
    Timestamp::from_nanos(number * 1_000_000_000)
}

fn service() -> Service {
    Service::Address { address: at("192.0.2.1:80").ip(), port: 80, protocol: Protocol::Tcp }
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint { address: at(text).ip(), port: at(text).port() }
}

fn spec(id: u8) -> SyncSpec {
    let interface = InterfaceName::new("eth0");
    SyncSpec { interface, id, maxlen: None, port: None, ttl: None, group: None }
}

/// Two real servers, and a thread of this role.
fn table(role: SyncRole, id: u8) -> Table {
    let mut table = Table::new(1);
    let scheduling =
        Scheduling { scheduler: Scheduler::Rr, flags: 0, hashed: false, one_packet: false };
    let spec_of_service = ServiceSpec { scheduling, persistence: None };
    let add = IpvsCommand::AddService { service: service(), spec: spec_of_service };
    table.perform(second(0), &add).expect("a service");
    for server in SERVERS {
        let forwarding = Forwarding::DirectRouting;
        let spec =
            DestinationSpec { weight: 1, forwarding, upper_threshold: 0, lower_threshold: 0 };
        let endpoint = endpoint(server);
        let add = IpvsCommand::AddDestination { service: service(), endpoint, spec };
        table.perform(second(0), &add).expect("a destination");
    }
    table.perform(second(0), &IpvsCommand::StartSync { role, spec: spec(id) }).expect("a thread");
    table
}

fn pair(id: u8) -> (Table, Table) {
    (table(SyncRole::Master, 7), table(SyncRole::Backup, id))
}

fn flow() -> Flow {
    Flow { client: at("198.51.100.7:1024"), target: at("192.0.2.1:80"), mark: 0 }
}

/// Where such packets of the client go, all in one second.
fn send(table: &mut Table, now: Timestamp, segments: &[Segment]) -> Vec<Verdict> {
    segments.iter().map(|segment| table.arrive(now, &flow(), *segment)).collect()
}

/// What waits is sent and heard.
fn tell(master: &mut Table, backup: &mut Table, now: Timestamp) -> usize {
    let Some((from, told)) = master.send_sync(now) else { return 0 };
    backup.hear_sync(now, &from, &told);
    told.len()
}

const OPENED: [Segment; 2] = [Segment::Syn, Segment::Ack];

#[test]
fn a_connection_goes_on_by_its_backup_at_the_real_server_that_it_began_at() {
    let (mut master, mut backup) = pair(7);
    let begun = send(&mut master, second(1), &[&OPENED[..], &[Segment::Ack]].concat());
    let Verdict::Forwarded { endpoint, to } = begun[2] else { panic!("{begun:?}") };
    assert_eq!(master.next_sync(), Some(second(3)), "it waits for others");
    assert_eq!(tell(&mut master, &mut backup, Timestamp::from_nanos(2_999_999_999)), 0);
    assert_eq!(send(&mut backup, second(2), &[Segment::Ack]), [Verdict::Passed], "unknown yet");
    assert_eq!(tell(&mut master, &mut backup, second(3)), 1);
    let goes_on = send(&mut backup, second(4), &[Segment::Ack, Segment::Fin]);
    assert_eq!(goes_on, [Verdict::Forwarded { endpoint, to }; 2]);
    let active = |table: &Table| {
        let loads = table.destinations(service()).map(|(of, _, load)| (of, load.active));
        loads.filter(|(_, active)| *active > 0).collect::<Vec<_>>()
    };
    assert_eq!(active(&master), [(endpoint, 1)]);
    assert_eq!(active(&backup), [], "it ends there");
}

#[test]
fn two_packets_are_not_worth_telling_and_the_end_is_told_at_once() {
    let (mut master, mut backup) = pair(7);
    send(&mut master, second(1), &OPENED);
    assert_eq!(master.next_sync(), None);
    send(&mut master, second(5), &[Segment::Ack]);
    // 53 is the next after 3.
    send(&mut master, second(6), &[Segment::Ack; 49]);
    assert_eq!(tell(&mut master, &mut backup, second(9)), 1);
    send(&mut master, second(10), &[Segment::Ack]);
    assert_eq!(tell(&mut master, &mut backup, second(12)), 1);
    send(&mut master, second(20), &[Segment::Fin, Segment::Ack]);
    assert_eq!(tell(&mut master, &mut backup, second(22)), 1);
}

#[test]
fn only_those_of_the_own_number_are_heard_and_0_hears_all() {
    for (id, knows) in [(7, true), (8, false), (0, true)] {
        let (mut master, mut backup) = pair(id);
        send(&mut master, second(1), &[&OPENED[..], &[Segment::Ack]].concat());
        tell(&mut master, &mut backup, second(3));
        let goes_on = send(&mut backup, second(4), &[Segment::Ack]);
        assert_eq!(goes_on != [Verdict::Passed], knows, "{id}");
    }
}

#[test]
fn nothing_is_told_without_a_thread_and_nothing_learnt_of_a_server_that_is_not_there() {
    let (mut master, mut backup) = pair(7);
    let opened = [&OPENED[..], &[Segment::Ack]].concat();
    send(&mut master, second(1), &opened);
    master.perform(second(2), &IpvsCommand::StopSync(SyncRole::Master)).expect("it runs");
    assert_eq!(tell(&mut master, &mut backup, second(3)), 0, "what waited is gone with it");

    let (mut master, mut backup) = pair(7);
    send(&mut master, second(1), &opened);
    for server in SERVERS {
        let remove =
            IpvsCommand::RemoveDestination { service: service(), endpoint: endpoint(server) };
        backup.perform(second(2), &remove).expect("it is there");
    }
    assert_eq!(tell(&mut master, &mut backup, second(3)), 1);
    assert_eq!(send(&mut backup, second(4), &[Segment::Ack]), [Verdict::Passed]);
}

#[test]
fn a_connection_that_is_learnt_lives_as_long_as_one_of_its_own() {
    let (mut master, mut backup) = pair(7);
    send(&mut master, second(1), &[&OPENED[..], &[Segment::Ack]].concat());
    tell(&mut master, &mut backup, second(3));
    let limit = second(3) + Duration::from_secs(15 * 60);
    backup.expire(Timestamp::from_nanos(limit.as_nanos() - 1));
    assert_eq!(backup.destinations(service()).map(|(_, _, load)| load.active).sum::<u32>(), 1);
    backup.expire(limit);
    assert_eq!(backup.destinations(service()).map(|(_, _, load)| load.active).sum::<u32>(), 0);
}
