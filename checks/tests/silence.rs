//! The engine ends an attempt whose time is over by itself, and the dialogue can say what that
//! silence means: both must say the same.

use std::sync::Arc;
use std::time::Duration;

use vipd_checks::{Attempt, Event, Plan};
use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, VirtualServer,
    VirtualServerName,
};
use vipd_engine::config::health::{
    Bind, Check, CheckKind, DnsRecord, HttpCheck, HttpProtocol, UdpCheck, Url,
};
use vipd_engine::health::{Failure, Health, Limits, Outcome};

fn check(kind: CheckKind) -> Check {
    Check {
        kind,
        address: [192, 0, 2, 1].into(),
        port: 80,
        bind: Bind::default(),
        timeout: Duration::from_secs(5),
        delay_loop: Duration::from_secs(60),
        retry: 0,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

/// What the engine makes of an attempt that nobody answers.
fn engine_says(check: Check) -> Outcome {
    let address = check.address;
    let real_server = RealServer {
        address,
        port: 80,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [check.into()].into(),
    };
    let virtual_server = VirtualServer {
        name: VirtualServerName::Address { address, port: 80, protocol: Protocol::Tcp },
        services: Vec::new(),
        scheduling: Scheduling {
            scheduler: Scheduler::Wlc,
            flags: 0,
            hashed: false,
            one_packet: false,
        },
        persistence: None,
        real_servers: vec![real_server],
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    };
    let virtual_servers = vec![Arc::new(virtual_server)];
    let config = DirectorConfig { virtual_servers, ..DirectorConfig::default() };
    let (mut health, mut out) = (Health::new(Limits::default()), Vec::new());
    health.configure(Timestamp::ZERO, Arc::new(config), &mut out);
    health.tick(Timestamp::ZERO, &mut out);
    let limit = health.next_deadline().expect("the limit of the attempt");
    health.tick(limit, &mut out);
    let (at, outcome) = health.status().checks().next().unwrap().last().expect("it is over");
    assert_eq!(at, limit);
    outcome
}

fn dialogue_says(check: &Check) -> Outcome {
    let mut dialogue = Plan::new(check).unwrap().begin(Attempt::default());
    let mut out = Vec::new();
    let _ = dialogue.on(Event::Opened, &mut out);
    dialogue.on_deadline().outcome()
}

#[test]
fn engine_and_dialogue_agree_on_what_silence_means() {
    let url = Url {
        path: "/".to_owned(),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    };
    let http = HttpCheck {
        tls: None,
        protocol: HttpProtocol::V1_1,
        virtualhost: None,
        fast_recovery: false,
        urls: vec![url],
    };
    let udp = |requires_reply| {
        CheckKind::Udp(Box::new(UdpCheck { requires_reply, ..UdpCheck::default() }))
    };
    let bad = Outcome::Bad(Failure::TimedOut);
    let kinds = [
        (CheckKind::Http(Box::new(http)), bad),
        (CheckKind::Smtp { helo_name: "director.example".to_owned() }, bad),
        (CheckKind::Dns { record: DnsRecord::Soa, name: ".".to_owned() }, bad),
        (CheckKind::Ping, bad),
        (udp(true), bad),
        (udp(false), Outcome::GOOD),
    ];
    for (kind, outcome) in kinds {
        let check = check(kind);
        assert_eq!(dialogue_says(&check), outcome, "{check}");
        assert_eq!(engine_says(check), outcome);
    }
}
