//! The daemon's IPVS codec on a real kernel, with ipvsadm as the independent reader.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;
mod ipvs_model;

use std::net::IpAddr;
use std::process::Command as Process;
use std::time::Duration;

use vipd::ipvs::{
    Command, DestinationSpec, Error, Failure, Ipvs, ServiceSpec, SyncRole, SyncSpec, Worker,
};
use vipd_engine::config::director::{
    Forwarding, Persistence, Protocol, Scheduler, Scheduling, Service, Timeouts, Tunnel,
    TunnelChecksum,
};
use vipd_engine::ipvs::{self as ordered, Answer, IpvsCommand, Observed, Request};
use vipd_engine::{Family, InterfaceName};
use vipd_netns_tests::namespaces::Namespaces;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn tcp(text: &str, port: u16) -> Service {
    Service::Address { address: address(text), port, protocol: Protocol::Tcp }
}

const fn by(scheduler: Scheduler) -> Scheduling {
    Scheduling { scheduler, flags: 0, hashed: false, one_packet: false }
}

fn plain(service: Service, scheduler: Scheduler) -> ServiceSpec {
    ServiceSpec { service, scheduling: by(scheduler), persistence: None }
}

fn kept(seconds: u64, prefix_len: u8, engine: Option<&str>) -> Option<Persistence> {
    let timeout = Duration::from_secs(seconds);
    Some(Persistence { timeout, prefix_len, engine: engine.map(str::to_string) })
}

fn to(text: &str, forwarding: Forwarding) -> DestinationSpec {
    DestinationSpec {
        address: address(text),
        port: 80,
        weight: 1,
        forwarding,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

/// Services of every kind, each with what ipvsadm says of it.
fn services() -> Vec<(ServiceSpec, &'static str)> {
    let udp = Service::Address { address: address("10.0.0.1"), port: 53, protocol: Protocol::Udp };
    let sctp =
        Service::Address { address: address("2001:db8::1"), port: 38412, protocol: Protocol::Sctp };
    let mark = |mark, family| Service::Fwmark { mark, family };
    vec![
        (plain(tcp("10.0.0.1", 80), Scheduler::Wlc), "-A -t 10.0.0.1:80 -s wlc"),
        (plain(tcp("2001:db8::1", 80), Scheduler::Rr), "-A -t [2001:db8::1]:80 -s rr"),
        (
            ServiceSpec {
                scheduling: Scheduling { one_packet: true, ..by(Scheduler::Rr) },
                ..plain(udp, Scheduler::Rr)
            },
            "-A -u 10.0.0.1:53 -s rr -o",
        ),
        (plain(sctp, Scheduler::Lc), "-A --sctp-service [2001:db8::1]:38412 -s lc"),
        (plain(mark(7, Family::Ipv4), Scheduler::Wrr), "-A -f 7 -s wrr"),
        (plain(mark(7, Family::Ipv6), Scheduler::Wrr), "-A -f 7 -6 -s wrr"),
    ]
}

/// The same of services with persistence or with flags of their scheduler.
fn services_with_more() -> Vec<(ServiceSpec, &'static str)> {
    let flags = |scheduler, flags| Scheduling { flags, ..by(scheduler) };
    vec![
        (
            ServiceSpec {
                persistence: kept(600, 32, None),
                ..plain(tcp("10.0.0.2", 443), Scheduler::Sed)
            },
            "-A -t 10.0.0.2:443 -s sed -p 600",
        ),
        (
            ServiceSpec {
                persistence: kept(90, 24, None),
                ..plain(tcp("10.0.0.3", 443), Scheduler::Nq)
            },
            "-A -t 10.0.0.3:443 -s nq -p 90 -M 255.255.255.0",
        ),
        (
            ServiceSpec {
                persistence: kept(300, 64, None),
                ..plain(tcp("2001:db8::3", 443), Scheduler::Fo)
            },
            "-A -t [2001:db8::3]:443 -s fo -p 300 -M 64",
        ),
        (
            ServiceSpec {
                persistence: kept(3600, 32, Some("sip")),
                ..plain(
                    Service::Address {
                        address: address("10.0.0.4"),
                        port: 5060,
                        protocol: Protocol::Udp,
                    },
                    Scheduler::Rr,
                )
            },
            "-A -u 10.0.0.4:5060 -s rr -p 3600 --pe sip",
        ),
        (
            ServiceSpec {
                scheduling: flags(Scheduler::Sh, 3),
                ..plain(tcp("10.0.0.5", 80), Scheduler::Sh)
            },
            "-A -t 10.0.0.5:80 -s sh -b sh-fallback,sh-port",
        ),
        (
            ServiceSpec {
                scheduling: flags(Scheduler::Mh, 2),
                ..plain(tcp("10.0.0.6", 80), Scheduler::Mh)
            },
            "-A -t 10.0.0.6:80 -s mh -b mh-port",
        ),
        (
            ServiceSpec {
                scheduling: flags(Scheduler::Wlc, 5),
                ..plain(tcp("10.0.0.7", 80), Scheduler::Wlc)
            },
            "-A -t 10.0.0.7:80 -s wlc -b flag-1,flag-3",
        ),
    ]
}

/// Destinations of every kind for a service of IPv4, each with what ipvsadm says of it.
fn destinations() -> Vec<(DestinationSpec, &'static str)> {
    use TunnelChecksum::{None as Nothing, Remote, Whole};
    let tunnel = Forwarding::Tunnel;
    let gue = |checksum| tunnel(Tunnel::Gue { port: 6080, checksum });
    let gre = |checksum| tunnel(Tunnel::Gre { checksum });
    let limited = DestinationSpec {
        weight: 65_535,
        upper_threshold: 1000,
        lower_threshold: 800,
        ..to("10.1.0.1", Forwarding::DirectRouting)
    };
    let idle = DestinationSpec { weight: 0, port: 8080, ..to("10.1.0.2", Forwarding::Nat) };
    vec![
        (limited, "-r 10.1.0.1:80 -g -w 65535"),
        (idle, "-r 10.1.0.2:8080 -m -w 0"),
        (to("10.1.0.3", tunnel(Tunnel::Ipip)), "-r 10.1.0.3:80 -i -w 1 --tun-type ipip"),
        (
            to("10.1.0.4", gue(Nothing)),
            "-r 10.1.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        ),
        (
            to("10.1.0.5", gue(Whole)),
            "-r 10.1.0.5:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
        ),
        (
            to("10.1.0.6", gue(Remote)),
            "-r 10.1.0.6:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        ),
        (to("10.1.0.7", gre(Nothing)), "-r 10.1.0.7:80 -i -w 1 --tun-type gre --tun-nocsum"),
        (to("10.1.0.8", gre(Whole)), "-r 10.1.0.8:80 -i -w 1 --tun-type gre --tun-csum"),
        // A tunnel may lead through the other family.
        (to("2001:db8::8", tunnel(Tunnel::Ipip)), "-r [2001:db8::8]:80 -i -w 1 --tun-type ipip"),
    ]
}

fn ipvsadm(words: &[&str]) -> Vec<String> {
    let output = Process::new("ipvsadm").args(words).output().expect("ipvsadm");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.trim().to_string()).collect()
}

fn ok(results: &[Result<(), Failure>]) {
    let failed: Vec<_> = results.iter().enumerate().filter(|(_, one)| one.is_err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// One after the other on one kernel, so that there is one boot.
#[test]
fn on_a_kernel_with_ipvs() {
    if let Ok(mut ipvs) = Ipvs::open() {
        let version = ipvs.version().expect("a version");
        println!("IPVS {version}");
        let mut namespaces = Namespaces::new().expect("namespaces");
        for (name, test) in [
            ("ipvsadm", ipvsadm_reads_what_was_ordered as fn()),
            ("model", ipvs_model::model_and_kernel_pick_the_same),
        ] {
            namespaces.add(name).expect("a namespace").within(test).expect("in it");
        }
        return;
    }
    again_inside::run("on_a_kernel_with_ipvs", "ipvsadm", Duration::from_secs(600));
}

fn ipvsadm_reads_what_was_ordered() {
    let mut ipvs = Ipvs::open().expect("IPVS");
    every_service_is_as_ordered(&mut ipvs);
    every_destination_is_as_ordered(&mut ipvs);
    every_scheduler_is_there_or_said_not_to_be(&mut ipvs);
    what_cannot_be_done_is_told_apart(&mut ipvs);
    hundreds_are_done_at_once(&mut ipvs);
    time_limits_are_as_ordered(&mut ipvs);
    threads_are_as_ordered(&mut ipvs);
    a_worker_orders_and_reads(&mut ipvs);
}

fn every_service_is_as_ordered(ipvs: &mut Ipvs) {
    let all = [services(), services_with_more()].concat();
    let adding: Vec<_> = all.iter().map(|(spec, _)| Command::AddService(spec.clone())).collect();
    ok(&ipvs.perform(&adding).expect("answers"));
    let mut said = ipvsadm(&["-Sn"]);
    let mut wanted: Vec<_> = all.iter().map(|(_, line)| (*line).to_string()).collect();
    said.sort();
    wanted.sort();
    assert_eq!(said, wanted);
    let listed = ipvs.services().expect("services");
    for (spec, line) in &all {
        let one = listed.iter().find(|one| one.service == spec.service);
        assert_eq!(one.and_then(|one| one.spec.as_ref()), Some(spec), "{line}");
    }
    assert_eq!(listed.len(), all.len());
    // Each becomes another, and keeps its identity.
    let other = |spec: &ServiceSpec| plain(spec.service, Scheduler::Lblc);
    let setting: Vec<_> = all.iter().map(|(spec, _)| Command::SetService(other(spec))).collect();
    ok(&ipvs.perform(&setting).expect("answers"));
    let said = ipvsadm(&["-Sn"]);
    assert_eq!(said.len(), all.len());
    // A persistence engine stays with a service that has none any more: `ip_vs_edit_service`.
    assert!(said.iter().all(|line| line.contains("-s lblc") && !line.contains("-p ")), "{said:?}");
    let removing = all.iter().map(|(spec, _)| Command::RemoveService(spec.service));
    ok(&ipvs.perform(&removing.collect::<Vec<_>>()).expect("answers"));
    assert!(ipvsadm(&["-Sn"]).is_empty());
}

fn every_destination_is_as_ordered(ipvs: &mut Ipvs) {
    let (service, all) = (tcp("10.0.0.1", 80), destinations());
    let adding = all.iter().map(|(spec, _)| Command::AddDestination(service, spec.clone()));
    let first = Command::AddService(plain(service, Scheduler::Wlc));
    let commands: Vec<_> = std::iter::once(first).chain(adding).collect();
    ok(&ipvs.perform(&commands).expect("answers"));
    let mut said = ipvsadm(&["-Sn"]);
    assert_eq!(said.remove(0), "-A -t 10.0.0.1:80 -s wlc");
    let mut wanted: Vec<_> =
        all.iter().map(|(_, line)| format!("-a -t 10.0.0.1:80 {line}")).collect();
    said.sort();
    wanted.sort();
    assert_eq!(said, wanted);
    let table = ipvsadm(&["-Ln", "--thresholds"]);
    let limited = table.iter().find(|line| line.starts_with("-> 10.1.0.1:80"));
    let columns: Vec<_> = limited.expect("a line").split_whitespace().skip(2).take(2).collect();
    assert_eq!(columns, ["1000", "800"], "{table:?}");
    let listed = ipvs.destinations(service).expect("destinations");
    for (spec, line) in &all {
        let one = listed.iter().find(|one| (one.address, one.port) == (spec.address, spec.port));
        assert_eq!(one.and_then(|one| one.spec.as_ref()), Some(spec), "{line}");
    }
    assert_eq!(listed.len(), all.len());
    // What was a tunnel of one kind becomes one of another.
    let forwarding = Forwarding::Tunnel(Tunnel::Ipip);
    let setting = all.iter().map(|(spec, _)| {
        Command::SetDestination(service, DestinationSpec { forwarding, ..spec.clone() })
    });
    ok(&ipvs.perform(&setting.collect::<Vec<_>>()).expect("answers"));
    let said = ipvsadm(&["-Sn"]);
    assert!(said[1..].iter().all(|line| line.ends_with("--tun-type ipip")), "{said:?}");
    let ends = all.iter().map(|(spec, _)| (spec.address, spec.port));
    let removing = ends.map(|(address, port)| Command::RemoveDestination(service, address, port));
    ok(&ipvs.perform(&removing.collect::<Vec<_>>()).expect("answers"));
    assert_eq!(ipvsadm(&["-Sn"]), ["-A -t 10.0.0.1:80 -s wlc"]);
    ok(&ipvs.perform(&[Command::Flush]).expect("an answer"));
    assert!(ipvsadm(&["-Sn"]).is_empty());
}

fn every_scheduler_is_there_or_said_not_to_be(ipvs: &mut Ipvs) {
    let mut there = Vec::new();
    for (name, scheduler) in Scheduler::NAMES {
        let spec = plain(tcp("10.0.0.9", 80), scheduler);
        match &ipvs.perform(&[Command::AddService(spec)]).expect("an answer")[0] {
            Ok(()) => {
                assert_eq!(ipvsadm(&["-Sn"]), [format!("-A -t 10.0.0.9:80 -s {name}")]);
                ok(&ipvs.perform(&[Command::Flush]).expect("an answer"));
                there.push(name);
            }
            Err(failure) => assert_eq!(*failure, Failure::NoModule, "{name}"),
        }
    }
    println!("schedulers of this kernel: {}", there.join(" "));
    assert!(there.len() >= 13, "{there:?}");
}

fn what_cannot_be_done_is_told_apart(ipvs: &mut Ipvs) {
    let (service, other) = (tcp("10.0.0.1", 80), tcp("10.0.0.1", 81));
    let spec = plain(service, Scheduler::Rr);
    let destination = to("10.1.0.1", Forwarding::DirectRouting);
    let (end, port) = (destination.address, destination.port);
    let strange = kept(60, 32, Some("nonsense"));
    let results = ipvs.perform(&[
        Command::AddService(spec.clone()),
        Command::AddService(spec.clone()),
        Command::SetService(plain(other, Scheduler::Rr)),
        Command::RemoveService(other),
        Command::AddDestination(service, destination.clone()),
        Command::AddDestination(service, destination.clone()),
        Command::AddDestination(other, destination.clone()),
        Command::RemoveDestination(service, end, port + 1),
        Command::StopSync(SyncRole::Backup),
        Command::AddService(ServiceSpec { persistence: strange, ..plain(other, Scheduler::Rr) }),
    ]);
    let (exists, no_service) = (Err(Failure::Exists), Err(Failure::NoService));
    let wanted = [
        Ok(()),
        exists.clone(),
        no_service.clone(),
        no_service.clone(),
        Ok(()),
        exists,
        no_service.clone(),
        Err(Failure::NotThere),
        no_service,
        Err(Failure::NoModule),
    ];
    assert_eq!(results.expect("answers"), wanted);
    let listed = ipvs.service(service).expect("an answer").expect("it is there");
    assert_eq!((listed.service, listed.spec), (service, Some(spec)));
    assert_eq!(ipvs.service(other).expect("an answer"), None);
    assert!(ipvs.destinations(other).expect("none").is_empty());
    let long = kept(60, 32, Some("a-name-that-is-too-long"));
    let spec = ServiceSpec { persistence: long, ..plain(other, Scheduler::Rr) };
    let results = ipvs.perform(&[Command::AddService(spec)]).expect("an answer");
    assert_eq!(results[0].as_ref().expect_err("too long").to_string(), "Invalid argument");
    ok(&ipvs.perform(&[Command::Flush]).expect("an answer"));
}

fn hundreds_are_done_at_once(ipvs: &mut Ipvs) {
    let service = tcp("10.0.0.1", 80);
    let mut commands = vec![Command::AddService(plain(service, Scheduler::Wlc))];
    for last in 0..1000_u16 {
        let [third, fourth] = last.to_be_bytes();
        let end = DestinationSpec {
            address: IpAddr::from([10, 2, third, fourth]),
            ..to("10.2.0.0", Forwarding::DirectRouting)
        };
        commands.push(Command::AddDestination(service, end));
    }
    let began = std::time::Instant::now();
    ok(&ipvs.perform(&commands).expect("answers"));
    println!("1000 destinations in {:?}", began.elapsed());
    // A dump of many datagrams.
    assert_eq!(ipvs.destinations(service).expect("destinations").len(), 1000);
    assert_eq!(ipvsadm(&["-Sn"]).len(), 1001);
    ok(&ipvs.perform(&[Command::Flush]).expect("an answer"));
}

fn time_limits_are_as_ordered(ipvs: &mut Ipvs) {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let all = Timeouts { tcp: seconds(1800), tcp_fin: seconds(60), udp: seconds(600) };
    ok(&ipvs.perform(&[Command::SetTimeouts(all)]).expect("an answer"));
    assert_eq!(ipvsadm(&["-L", "--timeout"]), ["Timeout (tcp tcpfin udp): 1800 60 600"]);
    // What is not given stays.
    let one = Timeouts { udp: seconds(42), ..Timeouts::default() };
    ok(&ipvs.perform(&[Command::SetTimeouts(one)]).expect("an answer"));
    assert_eq!(ipvsadm(&["-L", "--timeout"]), ["Timeout (tcp tcpfin udp): 1800 60 42"]);
    assert_eq!(ipvs.timeouts().expect("time limits"), Timeouts { udp: seconds(42), ..all });
}

fn threads_are_as_ordered(ipvs: &mut Ipvs) {
    let plain = SyncSpec {
        role: SyncRole::Master,
        interface: InterfaceName::new("d0"),
        id: 7,
        maxlen: None,
        group: None,
        port: None,
        ttl: None,
    };
    let missing = ipvs.perform(&[Command::StartSync(plain.clone())]).expect("an answer");
    assert!(matches!(missing[..], [Err(Failure::Refused { .. })]), "{missing:?}");
    for words in ["link add d0 type dummy", "addr add 10.9.0.1/24 dev d0", "link set d0 up"] {
        let status = Process::new("ip").args(words.split(' ')).status().expect("ip");
        assert!(status.success(), "ip {words}");
    }
    let full = SyncSpec {
        role: SyncRole::Backup,
        id: 9,
        maxlen: Some(1400),
        group: Some(address("224.0.0.99")),
        port: Some(9999),
        ttl: Some(5),
        ..plain.clone()
    };
    let starting = [Command::StartSync(plain.clone()), Command::StartSync(full.clone())];
    ok(&ipvs.perform(&starting).expect("answers"));
    let master = "mcast=d0, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1";
    let backup = "mcast=d0, syncid=9, maxlen=1400, group=224.0.0.99, port=9999, ttl=5";
    let wanted = [("master", master), ("backup", backup)];
    let wanted = wanted.map(|(role, rest)| format!("{role} sync daemon ({rest})"));
    assert_eq!(ipvsadm(&["-L", "--daemon"]), wanted);
    let whole = SyncSpec {
        maxlen: Some(1472),
        group: Some(address("224.0.0.81")),
        port: Some(8848),
        ttl: Some(1),
        ..plain
    };
    assert_eq!(ipvs.sync().expect("threads"), [whole, full]);
    let stop = [Command::StopSync(SyncRole::Master), Command::StopSync(SyncRole::Backup)];
    ok(&ipvs.perform(&stop).expect("answers"));
    assert!(ipvs.sync().expect("threads").is_empty());
}

fn answers(worker: &mut Worker, count: usize) -> Vec<(u64, Answer)> {
    let began = std::time::Instant::now();
    let mut all = Vec::new();
    while all.len() < count {
        match worker.try_next() {
            Some(answer) => all.push(answer),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{all:?}");
    }
    all
}

fn a_worker_orders_and_reads(ipvs: &mut Ipvs) {
    let (service, other) = (tcp("10.0.0.1", 80), Service::Fwmark { mark: 7, family: Family::Ipv4 });
    let wanted = |scheduler| ordered::ServiceSpec { scheduling: by(scheduler), persistence: None };
    let endpoint = ordered::Endpoint { address: address("10.1.0.1"), port: 80 };
    let to = ordered::DestinationSpec {
        weight: 5,
        forwarding: Forwarding::DirectRouting,
        upper_threshold: 100,
        lower_threshold: 80,
    };
    let mut worker = Worker::new();
    let commands = vec![
        IpvsCommand::AddService { service, spec: wanted(Scheduler::Wlc) },
        IpvsCommand::AddDestination { service, endpoint, spec: to },
        IpvsCommand::AddService { service: other, spec: wanted(Scheduler::Twos) },
        IpvsCommand::AddDestination { service: other, endpoint, spec: to },
        IpvsCommand::EditDestination {
            service,
            endpoint: ordered::Endpoint { port: 81, ..endpoint },
            spec: to,
        },
    ];
    worker.order(Request::Batch(ordered::Batch { number: 1, commands }));
    let services = vec![other, service];
    worker.order(Request::Read(ordered::Read { number: 2, services, settings: false }));
    let failed = [
        (2, ordered::IpvsError::NotThere),
        (3, ordered::IpvsError::NoService),
        (4, ordered::IpvsError::NotThere),
    ];
    let failed = failed.map(|(place, error)| ordered::Failure { place, error });
    let seen = ordered::Seen {
        service,
        spec: Some(wanted(Scheduler::Wlc)),
        destinations: vec![(endpoint, Some(to))],
    };
    let observed = [Observed::Begin, Observed::Service(seen), Observed::End];
    let observed = observed.map(|one| (2, Answer::Observed(one)));
    let all = std::iter::once((1, Answer::Done(Ok(failed.to_vec())))).chain(observed);
    assert_eq!(answers(&mut worker, 4), all.collect::<Vec<_>>());
    let weight = "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 5";
    assert_eq!(ipvsadm(&["-Sn"]), ["-A -t 10.0.0.1:80 -s wlc", weight]);
    ok(&ipvs.perform(&[Command::Flush]).expect("an answer"));
}

#[test]
fn a_kernel_without_ipvs_says_so() {
    match Ipvs::open() {
        Ok(_) => println!("skipped: this kernel has IPVS"),
        Err(error) => assert!(matches!(error, Error::NotInKernel), "{error:?}"),
    }
}
