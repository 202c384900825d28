//! Rules of virtual servers: what holds is a configuration, each that does not is told with its
//! path.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::director::{
    Forwarding, Persistence, Protocol, RealServer, Scheduler, Scheduling, Service, SorryServer,
    SyncDaemon, Tunnel, VirtualServer, VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind, HttpCheck, HttpProtocol, UdpCheck, Url};
use vipd_engine::config::{Config, DirectorConfig};
use vipd_engine::{Family, InstanceName, InterfaceName};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn check() -> Check {
    Check {
        kind: CheckKind::Tcp,
        address: address("10.0.1.1"),
        port: 80,
        bind: Bind::default(),
        timeout: Duration::from_secs(5),
        delay_loop: Duration::from_secs(60),
        retry: 1,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::from_secs(60),
        alpha: false,
        tells_all_failures: false,
    }
}

fn url() -> Url {
    Url {
        path: "/".into(),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    }
}

fn http(urls: Vec<Url>) -> CheckKind {
    CheckKind::Http(Box::new(HttpCheck {
        tls: None,
        protocol: HttpProtocol::V1_0,
        virtualhost: None,
        fast_recovery: false,
        urls,
    }))
}

fn real(last: u8) -> RealServer {
    RealServer {
        address: address(&format!("10.0.1.{last}")),
        port: 80,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [check().into()].into(),
    }
}

fn service(port: u16, protocol: Protocol) -> Service {
    Service::Address { address: address("10.0.0.1"), port, protocol }
}

fn server() -> VirtualServer {
    VirtualServer {
        name: VirtualServerName::Address {
            address: address("10.0.0.1"),
            port: 80,
            protocol: Protocol::Tcp,
        },
        services: vec![service(80, Protocol::Tcp)],
        scheduling: Scheduling {
            scheduler: Scheduler::Wlc,
            flags: 0,
            hashed: false,
            one_packet: false,
        },
        persistence: None,
        real_servers: vec![real(1), real(2)],
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    }
}

fn broken(director: DirectorConfig) -> Vec<String> {
    match Config::default().with_director(director) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn of(server: VirtualServer) -> Vec<String> {
    let virtual_servers = vec![Arc::new(server)];
    broken(DirectorConfig { virtual_servers, ..DirectorConfig::default() })
}

/// What is said of a virtual server with one mistake.
#[track_caller]
fn told(change: impl FnOnce(&mut VirtualServer), expected: &str) {
    let mut server = server();
    change(&mut server);
    assert_eq!(of(server), [format!("virtual_server TCP 10.0.0.1:80 / {expected}")]);
}

/// The same of the check of its second real server.
#[track_caller]
fn told_of_check(change: impl FnOnce(&mut Check), expected: &str) {
    told(
        |server| {
            let mut check = check();
            change(&mut check);
            server.real_servers[1].checks = [check.into()].into();
        },
        &format!("real_server / 2: {expected}"),
    );
}

#[test]
fn a_virtual_server_without_a_mistake_is_used_and_read_back_from_a_journal() {
    let mut director = DirectorConfig::default();
    director.virtual_servers.push(Arc::new(server()));
    let config = Config::default().with_director(director.clone()).expect("valid");
    assert_eq!(**config.director(), director);
    let written = serde_json::to_value(&config).expect("JSON");
    assert_eq!(serde_json::from_value::<Config>(written.clone()).expect("it is ours"), config);
    let mut old = written.clone();
    old.as_object_mut().expect("an object").remove("director");
    assert_eq!(serde_json::from_value::<Config>(old).expect("an older one"), Config::default());
    let mut edited = written;
    edited["director"]["virtual_servers"][0]["quorum"] = 0.into();
    assert!(serde_json::from_value::<Config>(edited).is_err(), "rules hold there too");
}

#[test]
fn services_stand_once_and_can_be_told_to_the_kernel() {
    told(|server| server.services.clear(), "virtual_server: it has no service");
    told(
        |server| server.services = vec![service(0, Protocol::Tcp)],
        "virtual_server: without a port it needs `persistence_timeout`, says the kernel",
    );
    told(
        |server| {
            server.services.push(Service::Fwmark { mark: 0, family: Family::Ipv4 });
            server.real_servers[0].port = 0;
        },
        "virtual_server: 0 is not a firewall mark",
    );
    let virtual_servers = vec![Arc::new(server()), Arc::new(server())];
    let twice = broken(DirectorConfig { virtual_servers, ..DirectorConfig::default() });
    assert_eq!(
        twice,
        ["virtual_server TCP 10.0.0.1:80 / virtual_server: TCP 10.0.0.1:80 is a service of \
          `virtual_server TCP 10.0.0.1:80` already"]
    );
}

#[test]
fn scheduling_and_persistence_are_what_the_kernel_has() {
    told(
        |server| server.scheduling.one_packet = true,
        "ops: packets one by one exist for UDP only",
    );
    let persistent = |seconds, prefix_len, engine: &str| Persistence {
        timeout: Duration::from_secs(seconds),
        prefix_len,
        engine: Some(engine.into()),
    };
    told(
        |server| server.persistence = Some(persistent(0, 32, "sip")),
        "persistence_timeout: persistence is 1 to 2678400 whole seconds",
    );
    told(
        |server| server.persistence = Some(persistent(1, 33, "sip")),
        "persistence_granularity: a prefix of 1 to 32 bits",
    );
    told(
        |server| server.persistence = Some(persistent(1, 32, "a name too long!")),
        "persistence_engine: a name of 1 to 15 octets",
    );
}

#[test]
fn a_quorum_can_be_reached_and_lost() {
    told(
        |server| server.quorum = 0,
        "quorum: it is at least 1, and at most all the weights together, 2",
    );
    told(
        |server| server.quorum = 3,
        "quorum: it is at least 1, and at most all the weights together, 2",
    );
    told(|server| server.hysteresis = 1, "hysteresis: it must be less than the quorum");
    let mut drained = server();
    for real in &mut drained.real_servers {
        real.weight = 0;
    }
    assert!(of(drained).is_empty(), "weights may be 0 for a while");
}

#[test]
fn a_real_server_can_be_reached_from_its_service() {
    told(
        |server| server.real_servers[1] = real(1),
        "real_server / 2: 10.0.1.1 port 80 stands here twice",
    );
    let other_family = "fe80::1 is not of the family of the virtual server, and only a tunnel \
                        leads from one to the other";
    told(
        |server| server.real_servers[1].address = address("fe80::1"),
        &format!("real_server / 2: {other_family}"),
    );
    let mut tunnelled = server();
    tunnelled.real_servers[1].address = address("fe80::1");
    tunnelled.real_servers[1].forwarding = Forwarding::Tunnel(Tunnel::Ipip);
    assert!(of(tunnelled).is_empty());
    told(
        |server| {
            server.real_servers[0].forwarding = Forwarding::DirectRouting;
            server.real_servers[0].port = 8080;
        },
        "real_server / 1: the kernel sends to port 80 here",
    );
    told(
        |server| server.real_servers[0].weight = 1 << 31,
        "real_server / 1: the weight is at most 2147483647",
    );
    told(
        |server| server.real_servers[0].lower_threshold = 1,
        "real_server / 1: `lthreshold` is greater than `uthreshold`, which the kernel refuses",
    );
    told(
        |server| {
            server.sorry_server = Some(SorryServer {
                address: address("fe80::1"),
                port: 80,
                forwarding: Forwarding::Nat,
                inhibit: false,
            });
        },
        &format!("sorry_server: {other_family}"),
    );
}

#[test]
fn the_kernel_writes_another_port_for_nat_only() {
    let (web, mark) =
        (service(80, Protocol::Tcp), Service::Fwmark { mark: 1, family: Family::Ipv4 });
    let mut real = RealServer { port: 8080, ..real(1) };
    assert_eq!((real.port_at(web), real.port_at(mark)), (8080, 8080));
    real.forwarding = Forwarding::DirectRouting;
    assert_eq!((real.port_at(web), real.port_at(mark)), (80, 0));
}

#[test]
fn a_check_can_be_made() {
    told_of_check(|check| check.port = 0, "TCP_CHECK: there is no port to connect to");
    told_of_check(|check| check.delay_loop = Duration::ZERO, "TCP_CHECK: a time of 0");
    told_of_check(
        |check| check.bind.address = Some(address("fe80::1")),
        "TCP_CHECK: fe80::1 is not of the family of the address that is checked",
    );
    told_of_check(
        |check| check.address = address("fe80::1"),
        "TCP_CHECK: fe80::1 is link-local, and there is no interface",
    );
    told_of_check(|check| check.kind = http(Vec::new()), "HTTP_GET: there is no page to ask for");
    let relative = Url { path: "x".into(), ..url() };
    told_of_check(
        |check| check.kind = http(vec![url(), relative]),
        "HTTP_GET: a path begins with `/`",
    );
    let beyond = Url { status: vec![(200, 299), (500, 600)], ..url() };
    told_of_check(
        |check| check.kind = http(vec![beyond]),
        "HTTP_GET: 500-600 is no range of status codes, 100 to 599",
    );
    told_of_check(
        |check| {
            let udp = UdpCheck { min_reply: 2, max_reply: 1, ..UdpCheck::default() };
            check.kind = CheckKind::Udp(Box::new(udp));
        },
        "UDP_CHECK: `min_reply_length` is greater than `max_reply_length`",
    );
}

#[test]
fn the_synchronisation_follows_an_instance_that_there_is() {
    let daemon = SyncDaemon {
        interface: InterfaceName::new("eth0"),
        instance: Some(InstanceName::new("VI_1")),
        id: 0,
        maxlen: Some(0),
        port: None,
        ttl: None,
        group: Some(address("10.0.0.1")),
    };
    let director = DirectorConfig { sync_daemon: Some(daemon), ..DirectorConfig::default() };
    let place = "global_defs / lvs_sync_daemon";
    assert_eq!(
        broken(director),
        [
            format!("{place}: no instance is called VI_1"),
            format!("{place}: 10.0.0.1 is not a multicast group"),
            format!("{place}: `maxlen` is 1 to 65507"),
        ]
    );
}
