//! What the tests share: checks, and a driver that only passes on what a test says.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::net::IpAddr;
use std::time::Duration;

use vipd_checks::{Attempt, Dialogue, Event, Fault, Plan, Step, Verdict};
use vipd_engine::config::health::{
    Bind, Check, CheckKind, DnsRecord, HttpCheck, HttpProtocol, Pattern, UdpCheck, Url,
};

/// The attempt of every test that does not make its own.
pub const ATTEMPT: Attempt = Attempt { url: 0, id: 0x1234, sequence: 7 };

pub fn check_at(kind: CheckKind, address: &str, port: u16) -> Check {
    Check {
        kind,
        address: address.parse::<IpAddr>().expect("an address"),
        port,
        bind: Bind::default(),
        timeout: Duration::from_secs(5),
        delay_loop: Duration::from_secs(60),
        retry: 1,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

pub fn plan(kind: CheckKind) -> Plan {
    Plan::new(&check_at(kind, "192.0.2.7", 80)).expect("a check that can be asked")
}

pub fn url(path: &str) -> Url {
    let path = path.to_owned();
    Url { path, virtualhost: None, status: vec![(200, 299)], digest: None, pattern: None }
}

pub fn pattern(expression: &str) -> Pattern {
    Pattern {
        expression: expression.to_owned(),
        must_not_match: false,
        min_offset: 0,
        max_offset: None,
    }
}

pub fn http(urls: Vec<Url>) -> HttpCheck {
    HttpCheck {
        tls: None,
        protocol: HttpProtocol::V1_1,
        virtualhost: None,
        fast_recovery: false,
        urls,
    }
}

pub fn page(url: Url) -> Plan {
    plan(CheckKind::Http(Box::new(http(vec![url]))))
}

pub fn smtp() -> Plan {
    plan(CheckKind::Smtp { helo_name: "director.example".to_owned() })
}

pub fn dns(record: DnsRecord, name: &str) -> Plan {
    plan(CheckKind::Dns { record, name: name.to_owned() })
}

pub fn udp(check: UdpCheck) -> Plan {
    plan(CheckKind::Udp(Box::new(check)))
}

pub fn ping(address: &str) -> Plan {
    Plan::new(&check_at(CheckKind::Ping, address, 0)).expect("a check that can be asked")
}

/// Says one thing after the other; what was sent, and the last step.
pub fn say(dialogue: &mut Dialogue, events: &[Event<'_>]) -> (Step, Vec<u8>) {
    let mut out = Vec::new();
    let mut last = Step::Continue;
    for event in events {
        last = dialogue.on(*event, &mut out);
    }
    (last, out)
}

/// The verdict on a reply after which the server closes.
pub fn verdict(plan: &Plan, reply: &[u8]) -> Verdict {
    let mut dialogue = plan.begin(ATTEMPT);
    let (step, _) = say(&mut dialogue, &[Event::Opened, Event::Octets(reply), Event::Closed]);
    let Step::Over(verdict) = step else { panic!("{step:?} at the end") };
    verdict
}

/// The verdict on a reply after which the server neither says more nor closes.
pub fn verdict_open(plan: &Plan, reply: &[u8]) -> Verdict {
    let mut dialogue = plan.begin(ATTEMPT);
    say(&mut dialogue, &[Event::Opened, Event::Octets(reply)]);
    dialogue.on_deadline()
}

pub fn fault(verdict: Verdict) -> Fault {
    let Verdict::Bad(fault) = verdict else { panic!("it is good") };
    fault
}

/// The words of a fault.
pub fn words(verdict: Verdict) -> String {
    fault(verdict).to_string()
}
