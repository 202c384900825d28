//! What is ordered of IPVS and read from it, against a made-up kernel that reads every octet by the
//! numbers of the header and with another reader.

mod made_up_ipvs;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use vipd::ipvs::{
    Command, DestinationSpec, Error, Failure, Ipvs, Malformed, ServiceSpec, SyncRole, SyncSpec,
    Version,
};
use vipd_engine::config::director::{
    Forwarding, Persistence, Protocol, Scheduler, Scheduling, Service, Timeouts, Tunnel,
    TunnelChecksum,
};
use vipd_engine::{Family, InterfaceName};

use made_up_ipvs::{Destination, Identity, Peer, Row, numbers};

const HEADER: &str = "/usr/include/linux/ip_vs.h";

/// Every scheduler that the made-up kernel has.
fn scheduler() -> impl Strategy<Value = Scheduler> {
    prop::sample::select(Scheduler::NAMES.to_vec())
        .prop_map(|(_, scheduler)| scheduler)
        .prop_filter("it has none", |scheduler| *scheduler != Scheduler::Twos)
}

fn address(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::Ipv4 => any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()).boxed(),
        Family::Ipv6 => any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()).boxed(),
    }
}

fn family() -> impl Strategy<Value = Family> {
    prop::sample::select(vec![Family::Ipv4, Family::Ipv6])
}

fn service() -> impl Strategy<Value = Service> {
    let protocol = prop::sample::select(Protocol::NAMES.to_vec()).prop_map(|(_, one)| one);
    family().prop_flat_map(move |family| {
        let of_address = (address(family), any::<u16>(), protocol.clone())
            .prop_map(|(address, port, protocol)| Service::Address { address, port, protocol });
        prop_oneof![
            3 => of_address,
            1 => (1..=u32::MAX).prop_map(move |mark| Service::Fwmark { mark, family }),
        ]
    })
}

fn persistence(family: Family) -> impl Strategy<Value = Persistence> {
    // Linux takes no prefix length of 0 for IPv6.
    let prefix_len = if family == Family::Ipv4 { 0..=32_u8 } else { 1..=128_u8 };
    let engine = prop::option::of(Just("sip".to_string()));
    (1..=2_678_400_u64, prefix_len, engine).prop_map(|(seconds, prefix_len, engine)| Persistence {
        timeout: Duration::from_secs(seconds),
        prefix_len,
        engine,
    })
}

fn service_spec() -> impl Strategy<Value = ServiceSpec> {
    let scheduling = (scheduler(), 0..=7_u8, any::<bool>(), any::<bool>());
    let scheduling = scheduling.prop_map(|(scheduler, flags, hashed, one_packet)| Scheduling {
        scheduler,
        flags,
        hashed,
        one_packet,
    });
    (service(), scheduling).prop_flat_map(|(service, scheduling)| {
        prop::option::of(persistence(service.family())).prop_map(move |persistence| ServiceSpec {
            service,
            scheduling,
            persistence,
        })
    })
}

fn forwarding() -> impl Strategy<Value = Forwarding> {
    let checksum = prop::sample::select(vec![
        TunnelChecksum::None,
        TunnelChecksum::Whole,
        TunnelChecksum::Remote,
    ]);
    prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::DirectRouting),
        Just(Forwarding::Tunnel(Tunnel::Ipip)),
        (any::<u16>(), checksum.clone())
            .prop_map(|(port, checksum)| Forwarding::Tunnel(Tunnel::Gue { port, checksum })),
        checksum.prop_map(|checksum| Forwarding::Tunnel(Tunnel::Gre { checksum })),
    ]
}

fn destination_spec() -> impl Strategy<Value = DestinationSpec> {
    let address = family().prop_flat_map(address);
    let numbers = (any::<u16>(), any::<u32>(), any::<u32>(), any::<u32>());
    (address, numbers, forwarding()).prop_map(
        |(address, (port, weight, upper_threshold, lower_threshold), forwarding)| DestinationSpec {
            address,
            port,
            weight,
            forwarding,
            upper_threshold,
            lower_threshold,
        },
    )
}

/// Services with their destinations, each once.
fn table() -> impl Strategy<Value = Vec<(ServiceSpec, Vec<DestinationSpec>)>> {
    vec((service_spec(), vec(destination_spec(), 0..8)), 0..12).prop_map(|mut table| {
        let mut seen = BTreeSet::new();
        table.retain(|(spec, _)| seen.insert(spec.service));
        for (_, destinations) in &mut table {
            let mut seen = BTreeSet::new();
            destinations.retain(|one| seen.insert((one.address, one.port)));
        }
        table
    })
}

fn adding(table: &[(ServiceSpec, Vec<DestinationSpec>)]) -> Vec<Command> {
    let mut commands = Vec::new();
    for (spec, destinations) in table {
        commands.push(Command::AddService(spec.clone()));
        for one in destinations {
            commands.push(Command::AddDestination(spec.service, one.clone()));
        }
    }
    commands
}

/// As it is read back: the kernel hashes every service.
fn as_listed(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.scheduling.hashed = false;
    spec
}

/// By the header alone.
fn as_row(spec: &ServiceSpec, destinations: &[DestinationSpec]) -> Row {
    let (identity, is_v4) = match spec.service {
        Service::Address { address, port, protocol } => {
            let protocol = match protocol {
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
                Protocol::Sctp => 132,
            };
            (Identity::Address { protocol, address, port }, address.is_ipv4())
        }
        Service::Fwmark { mark, family } => {
            let is_v4 = family == Family::Ipv4;
            (Identity::Mark { af: if is_v4 { 2 } else { 10 }, mark }, is_v4)
        }
    };
    let mut flags = 2 + u32::from(spec.scheduling.flags) * 8;
    flags += if spec.scheduling.one_packet { 4 } else { 0 };
    flags += u32::from(spec.persistence.is_some());
    let kept = spec.persistence.as_ref();
    let netmask = match (is_v4, kept.map(|one| one.prefix_len)) {
        (true, None) => [255; 4],
        (true, Some(length)) => {
            let mask = (0..32).fold(0_u32, |mask, bit| mask << 1 | u32::from(bit < length));
            mask.to_be_bytes()
        }
        (false, length) => u32::from(length.unwrap_or(128)).to_ne_bytes(),
    };
    Row {
        identity,
        scheduler: format!("{:?}", spec.scheduling.scheduler).to_lowercase(),
        flags,
        timeout: kept.map_or(0, |one| one.timeout.as_secs().try_into().expect("seconds")),
        netmask,
        engine: kept.and_then(|one| one.engine.clone()),
        destinations: destinations.iter().map(as_destination).collect(),
    }
}

fn as_destination(spec: &DestinationSpec) -> Destination {
    let flags = |checksum| match checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Whole => 1,
        TunnelChecksum::Remote => 2,
    };
    let (method, tunnel) = match spec.forwarding {
        Forwarding::Nat => (0, (0, 0, 0)),
        Forwarding::DirectRouting => (3, (0, 0, 0)),
        Forwarding::Tunnel(Tunnel::Ipip) => (2, (0, 0, 0)),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => (2, (1, port, flags(checksum))),
        Forwarding::Tunnel(Tunnel::Gre { checksum }) => (2, (2, 0, flags(checksum))),
    };
    Destination {
        address: spec.address,
        port: spec.port,
        method,
        weight: spec.weight,
        upper: spec.upper_threshold,
        lower: spec.lower_threshold,
        tunnel,
    }
}

fn speak() -> (Peer, Ipvs<Peer>) {
    let peer = Peer::default();
    let ipvs = Ipvs::over(peer.clone()).expect("a kernel with IPVS");
    (peer, ipvs)
}

fn some_service() -> Service {
    Service::Address { address: [192, 0, 2, 1].into(), port: 80, protocol: Protocol::Tcp }
}

fn some_spec() -> ServiceSpec {
    let scheduling =
        Scheduling { scheduler: Scheduler::Wlc, flags: 0, hashed: false, one_packet: false };
    ServiceSpec { service: some_service(), scheduling, persistence: None }
}

fn destination(last: u8) -> DestinationSpec {
    DestinationSpec {
        address: [192, 0, 2, last].into(),
        port: 80,
        weight: 1,
        forwarding: Forwarding::DirectRouting,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

fn destinations(count: u8) -> Vec<Command> {
    let all = (0..count).map(|last| Command::AddDestination(some_service(), destination(last)));
    std::iter::once(Command::AddService(some_spec())).chain(all).collect()
}

proptest! {
    #[test]
    fn a_table_is_what_was_ordered_and_is_read_back(table in table()) {
        let (peer, mut ipvs) = speak();
        let results = ipvs.perform(&adding(&table)).expect("answers");
        prop_assert!(results.iter().all(Result::is_ok), "{results:?}");
        let rows: Vec<_> = table.iter().map(|(spec, own)| as_row(spec, own)).collect();
        prop_assert_eq!(&peer.kernel().table.rows, &rows);

        let listed = ipvs.services().expect("services");
        let specs: Vec<_> = listed.into_iter().map(|one| one.spec.expect("ours")).collect();
        let ordered: Vec<_> = table.iter().map(|(spec, _)| as_listed(spec)).collect();
        prop_assert_eq!(specs, ordered);
        for (spec, own) in &table {
            let one = ipvs.service(spec.service).expect("an answer").expect("it is there");
            prop_assert_eq!((one.service, one.spec), (spec.service, Some(as_listed(spec))));
            let listed = ipvs.destinations(spec.service).expect("destinations");
            let specs: Vec<_> = listed.into_iter().map(|one| one.spec.expect("ours")).collect();
            prop_assert_eq!(&specs, own);
        }
    }

    #[test]
    fn what_is_changed_keeps_its_place_and_what_is_removed_is_gone(
        spec in service_spec(),
        other in service_spec(),
        first in destination_spec(),
        second in destination_spec(),
    ) {
        let (peer, mut ipvs) = speak();
        let service = spec.service;
        let persistence = other.persistence.filter(|_| service.family() == other.service.family());
        let changed = ServiceSpec { service, persistence, ..other };
        let (address, port) = (first.address, first.port);
        let moved = DestinationSpec { address, port, ..second };
        let commands = [
            Command::AddService(spec.clone()),
            Command::AddDestination(service, first.clone()),
            Command::SetService(changed.clone()),
            Command::SetDestination(service, moved.clone()),
        ];
        let results = ipvs.perform(&commands).expect("answers");
        prop_assert!(results.iter().all(Result::is_ok), "{results:?}");
        let rows = vec![as_row(&changed, std::slice::from_ref(&moved))];
        prop_assert_eq!(&peer.kernel().table.rows, &rows);

        let again = [
            Command::AddService(spec),
            Command::AddDestination(service, first.clone()),
            Command::RemoveDestination(service, address, port),
            Command::RemoveDestination(service, address, port),
            Command::SetDestination(service, first.clone()),
            Command::RemoveService(service),
            Command::RemoveService(service),
            Command::SetService(changed),
            Command::AddDestination(service, first),
        ];
        let (exists, gone) = (Err(Failure::Exists), Ok(()));
        let (absent, no_service) = (Err(Failure::NotThere), Err(Failure::NoService));
        prop_assert_eq!(ipvs.perform(&again).expect("answers"), vec![
            exists.clone(), exists, gone.clone(), absent.clone(), absent, gone,
            no_service.clone(), no_service.clone(), no_service,
        ]);
        prop_assert!(peer.kernel().table.rows.is_empty());
    }

    #[test]
    fn time_limits_and_threads_are_what_was_ordered(
        limits in prop::array::uniform3(prop::option::of(1..100_000_u64)),
        ids in any::<[u8; 2]>(),
        maxlen in prop::option::of(any::<u16>()),
        port in prop::option::of(any::<u16>()),
        ttl in prop::option::of(any::<u8>()),
        group in prop::option::of(family().prop_flat_map(address)),
    ) {
        let (peer, mut ipvs) = speak();
        let [tcp, tcp_fin, udp] = limits.map(|limit| limit.map(Duration::from_secs));
        let interface = InterfaceName::new("eth0");
        let role = SyncRole::Master;
        let master = SyncSpec { role, interface, id: ids[0], maxlen, group, port, ttl };
        let backup = SyncSpec { role: SyncRole::Backup, id: ids[1], ..master.clone() };
        let commands = [
            Command::SetTimeouts(Timeouts { tcp, tcp_fin, udp }),
            Command::StartSync(master.clone()),
            Command::StartSync(backup.clone()),
            Command::StartSync(master.clone()),
        ];
        let results = ipvs.perform(&commands).expect("answers");
        prop_assert_eq!(results, vec![Ok(()), Ok(()), Ok(()), Err(Failure::Exists)]);
        let read = ipvs.timeouts().expect("time limits");
        let kept = |limit: Option<Duration>, own| limit.or(Some(Duration::from_secs(own)));
        let (tcp, tcp_fin, udp) = (kept(tcp, 900), kept(tcp_fin, 120), kept(udp, 300));
        prop_assert_eq!(read, Timeouts { tcp, tcp_fin, udp });
        let whole = |spec: SyncSpec| SyncSpec {
            maxlen: spec.maxlen.or(Some(1472)),
            group: spec.group.or(Some([224, 0, 0, 81].into())),
            port: spec.port.or(Some(8848)),
            ttl: spec.ttl.or(Some(1)),
            ..spec
        };
        prop_assert_eq!(ipvs.sync().expect("threads"), vec![whole(master), whole(backup)]);
        let stop = [Command::StopSync(SyncRole::Master), Command::StopSync(SyncRole::Master)];
        let results = ipvs.perform(&stop).expect("answers");
        prop_assert_eq!(results, vec![Ok(()), Err(Failure::NoService)]);
        prop_assert_eq!(peer.kernel().table.sync.len(), 1);
    }

    #[test]
    fn a_table_survives_short_sends_signals_and_lost_answers(
        table in table(),
        takes_at_most in 300..2000_usize,
        room in 1..20_usize,
        signals in 0..20_usize,
    ) {
        let (peer, mut ipvs) = speak();
        {
            let mut kernel = peer.kernel();
            kernel.takes_at_most = Some(takes_at_most);
            (kernel.room, kernel.signals) = (room, signals);
        }
        let commands = adding(&table);
        let results = ipvs.perform(&commands).expect("answers");
        prop_assert_eq!(results.len(), commands.len());
        for result in results {
            prop_assert!(matches!(result, Ok(()) | Err(Failure::Unknown)), "{result:?}");
        }
        let rows: Vec<_> = table.iter().map(|(spec, own)| as_row(spec, own)).collect();
        prop_assert_eq!(&peer.kernel().table.rows, &rows);
    }
}

#[test]
fn the_numbers_are_those_of_the_header() {
    let Ok(header) = std::fs::read_to_string(HEADER) else {
        eprintln!("skipped: no {HEADER} (Debian package linux-libc-dev)");
        return;
    };
    for one in numbers::ALL {
        let begin = header.find(&format!("\t{}UNSPEC", one.prefix)).expect(one.prefix);
        let text = &header[begin..begin + header[begin..].find("};").expect("an end")];
        let names = text.lines().filter_map(|line| line.trim().strip_prefix(one.prefix));
        let names: Vec<_> =
            names.map(|name| name.split([',', ' ']).next().expect("a name")).collect();
        assert_eq!(names[..one.names.len()], *one.names, "{}", one.prefix);
    }
}

#[test]
fn a_kernel_without_ipvs_is_told_apart() {
    let peer = Peer::default();
    peer.kernel().has_none = true;
    let error = Ipvs::over(peer).err().expect("an error");
    assert!(matches!(error, Error::NotInKernel), "{error:?}");
    assert!(error.to_string().contains("modprobe ip_vs"), "{error}");
}

#[test]
fn a_service_that_is_not_there_is_no_error() {
    let (_, mut ipvs) = speak();
    assert_eq!(ipvs.service(some_service()).expect("an answer"), None);
}

#[test]
fn services_are_found_by_one_datagram_and_where_answers_are_lost_one_by_one() {
    let (peer, mut ipvs) = speak();
    ipvs.perform(&[Command::AddService(some_spec())]).expect("an answer");
    let missing = Service::Fwmark { mark: 7, family: Family::Ipv4 };
    let asked = [missing, some_service(), missing, some_service()];
    let before = peer.kernel().received.len();
    let found = ipvs.find(&asked).expect("answers");
    assert_eq!(peer.kernel().received.len(), before + 1);
    let there: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(there, [false, true, false, true]);
    peer.kernel().room = 3;
    assert_eq!(ipvs.find(&asked).expect("answers"), found);
    assert_eq!(peer.kernel().received.len(), before + 2 + asked.len());
}

#[test]
fn the_version_is_read() {
    let (_, mut ipvs) = speak();
    let version = ipvs.version().expect("a version");
    assert_eq!(version, Version { major: 1, minor: 2, patch: 1 });
    assert_eq!(version.to_string(), "1.2.1");
}

#[test]
fn hundreds_of_commands_need_a_few_datagrams_and_each_has_its_answer() {
    let (peer, mut ipvs) = speak();
    let mut commands = destinations(255);
    commands.insert(100, Command::RemoveDestination(some_service(), [10, 0, 0, 1].into(), 80));
    let results = ipvs.perform(&commands).expect("answers");
    let failed: Vec<_> = results.iter().enumerate().filter(|(_, one)| one.is_err()).collect();
    assert_eq!(failed, [(100, &Err(Failure::NotThere))]);
    let kernel = peer.kernel();
    assert_eq!(kernel.table.rows[0].destinations.len(), 255);
    assert_eq!(kernel.received.len() - 1, 257_usize.div_ceil(64));
}

#[test]
fn answers_that_were_lost_are_said_to_be_unknown_and_the_others_stay() {
    let (peer, mut ipvs) = speak();
    let commands = destinations(20);
    assert!(ipvs.perform(&commands).expect("answers").iter().all(Result::is_ok));
    // Each of them fails, and there is room for so many answers.
    peer.kernel().room = 10;
    let results = ipvs.perform(&commands[1..]).expect("answers");
    assert!(results[..10].iter().all(|one| *one == Err(Failure::Exists)), "{results:?}");
    assert!(results[10..].iter().all(|one| *one == Err(Failure::Unknown)), "{results:?}");
    assert_eq!(ipvs.destinations(some_service()).expect("destinations").len(), 20);
}

#[test]
fn only_the_last_command_of_a_datagram_asks_for_an_answer_if_all_is_well() {
    let (peer, mut ipvs) = speak();
    let before = peer.kernel().told;
    let results = ipvs.perform(&destinations(20)).expect("answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(peer.kernel().told - before, 1);
}

#[test]
fn a_scheduler_that_the_kernel_lacks_is_told_apart_from_a_service() {
    let (_, mut ipvs) = speak();
    let mut spec = some_spec();
    spec.scheduling.scheduler = Scheduler::Twos;
    let results = ipvs.perform(&[Command::AddService(spec)]).expect("an answer");
    assert_eq!(results, [Err(Failure::NoModule)]);
}

#[test]
fn what_the_kernel_refuses_is_told_in_its_words() {
    let (peer, mut ipvs) = speak();
    peer.kernel().refuses = Some((made_up_ipvs::EINVAL, Some("Invalid attribute")));
    let [Err(failure)] = &ipvs.perform(&[Command::Flush]).expect("an answer")[..] else {
        panic!("it was not refused")
    };
    assert_eq!(failure.to_string(), "Invalid argument: Invalid attribute");
    peer.kernel().refuses = Some((made_up_ipvs::EPERM, None));
    let results = ipvs.perform(&[Command::Flush]).expect("an answer");
    assert_eq!(results, [Err(Failure::NotPermitted)]);
    let error = ipvs.services().expect_err("an error");
    assert!(matches!(error, Error::Refused(Failure::NotPermitted)), "{error:?}");
}

#[test]
fn names_that_no_kernel_takes_are_refused_by_it_whole() {
    let (peer, mut ipvs) = speak();
    let mut spec = some_spec();
    let engine = Some("s".repeat(100_000));
    spec.persistence =
        Some(Persistence { timeout: Duration::from_secs(1), prefix_len: 32, engine });
    let commands = [Command::AddService(spec), Command::AddService(some_spec())];
    let results = ipvs.perform(&commands).expect("answers");
    assert!(matches!(results[..], [Err(Failure::Refused { .. }), Ok(())]), "{results:?}");
    assert_eq!(peer.kernel().table.rows.len(), 1);
}

#[test]
fn a_dump_that_is_disturbed_is_read_again() {
    let (peer, mut ipvs) = speak();
    ipvs.perform(&destinations(8)).expect("answers");
    peer.kernel().disturbs = 2;
    assert_eq!(ipvs.destinations(some_service()).expect("destinations").len(), 8);
    // One datagram of the dump is lost on the way.
    peer.kernel().room = 2;
    let error = ipvs.destinations(some_service()).expect_err("an error");
    assert!(matches!(error, Error::NoAnswer), "{error:?}");
    (peer.kernel().room, peer.kernel().disturbs) = (0, usize::MAX);
    let error = ipvs.destinations(some_service()).expect_err("an error");
    assert!(matches!(error, Error::Unsettled), "{error:?}");
}

#[test]
fn a_kernel_that_does_not_answer_is_given_up() {
    let (peer, mut ipvs) = speak();
    peer.kernel().is_deaf = true;
    let error = ipvs.perform(&[Command::Flush]).expect_err("an error");
    assert!(matches!(error, Error::NoAnswer), "{error:?}");
    // What is left of another exchange is no answer.
    peer.kernel().is_deaf = false;
    let stale = [(-1_i32).to_ne_bytes().as_slice(), &[0; 16]].concat();
    peer.kernel().say(made_up_ipvs::message(2, 0x100, 2, &stale));
    assert_eq!(ipvs.perform(&[Command::Flush]).expect("an answer"), [Ok(())]);
}

#[test]
fn rows_that_others_made_are_listed_and_are_none_of_ours() {
    let (peer, mut ipvs) = speak();
    ipvs.perform(&destinations(2)).expect("answers");
    {
        let rows = &mut peer.kernel().table.rows;
        let own = rows[0].clone();
        rows[0].destinations[0].method = 1;
        rows[0].destinations[1].method = 2;
        rows[0].destinations[1].tunnel = (9, 0, 0);
        let identity =
            |port| Identity::Address { protocol: 6, address: [192, 0, 2, 1].into(), port };
        rows.push(Row { identity: identity(1), scheduler: "none".to_string(), ..own.clone() });
        let (flags, netmask) = (own.flags | 1, [255, 0, 255, 0]);
        rows.push(Row { identity: identity(2), flags, netmask, ..own.clone() });
        // The Authentication Header is a protocol of IPVS too.
        let esp = Identity::Address { protocol: 51, address: [192, 0, 2, 1].into(), port: 0 };
        rows.push(Row { identity: esp, ..own });
    }
    let services = ipvs.services().expect("services");
    let ours: Vec<_> = services.iter().map(|one| one.spec.is_some()).collect();
    assert_eq!(ours, [true, false, false]);
    let listed = ipvs.destinations(some_service()).expect("destinations");
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|one| one.spec.is_none()), "{listed:?}");
    assert_eq!(listed[0].connections.active, 3);
    assert_eq!(listed[0].connections.inactive, 2);
    assert_eq!(listed[0].connections.persistent, 1);
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    let (peer, mut ipvs) = speak();
    // The command of another answer, under the number of the next question.
    peer.kernel().say(made_up_ipvs::message(0x1e, 0, 2, &[9, 1, 0, 0]));
    let error = ipvs.services().expect_err("an error");
    assert!(matches!(error, Error::Malformed(Malformed::Command(9))), "{error:?}");
    let (peer, mut ipvs) = speak();
    peer.kernel().say(vec![0; 70_000]);
    let error = ipvs.services().expect_err("an error");
    assert!(matches!(error, Error::Malformed(Malformed::Datagram(70_000))), "{error:?}");
}
