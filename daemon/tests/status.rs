//! `docs/daemon.md` names every key of the status, and none that is not there.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vipd::driver::Lateness;
use vipd::mail::Post;
use vipd::process::Urgency;
use vipd::status::{report, text};
use vipd_config::text::InMemory;
use vipd_config::{Options, load_from};
use vipd_engine::config::{DirectorConfig, VirtualAddress};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, Config, Engine, Family, Ifindex, Input, InstanceConfig, InterfaceName, Interval, Link,
    LinkState, LocalAddress, MacAddress, Output, Outputs, Priority, Received, Timestamp, Version,
    Vrid,
};

/// An owner on eth0, which is master at once and holds its address, five seconds after its start.
fn master() -> (Engine, Timestamp) {
    let vrid = Vrid::new(7).expect("in range");
    let mut instance = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
    instance.priority = Priority::OWNER;
    let [own, address] = ["192.0.2.1", "192.0.2.9"].map(|one| one.parse().expect("an address"));
    instance.addresses = vec![VirtualAddress::new(address)];
    let config = Config::new(vec![instance], Vec::new(), Duration::ZERO).expect("it is valid");
    let config = config.with_director(director(address)).expect("it is valid");
    let (mut engine, mut out) = (Engine::new(), Outputs::new());
    let interface = Ifindex(2);
    let link = Link {
        interface,
        name: InterfaceName::new("eth0"),
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
        state: LinkState::Up,
    };
    let now = Timestamp::from_nanos(1_000_000_000);
    engine.handle(now, Input::Link(link), &mut out);
    let own = LocalAddress { interface, address: own, present: true };
    engine.handle(now, Input::LocalAddress(own), &mut out);
    engine.handle(now, Input::Configure(Arc::new(config)), &mut out);
    let effects: Vec<_> = out.drain().collect();
    for effect in effects {
        if let Output::Send { id, .. } | Output::Kernel { id, .. } = effect {
            engine.handle(now, Input::Done { id, result: Ok(()) }, &mut out);
        }
    }
    // The director works off its configuration.
    for _ in 0..4 {
        engine.handle(now, Input::Tick, &mut out);
    }
    // Too short for an advert: it is dropped, for a reason.
    let (src, dst) = (address, "224.0.0.18".parse().expect("an address"));
    let received = Received { interface, src, dst, ttl: 255, bytes: &[0x21, 7] };
    engine.handle(now, Input::Advert(received), &mut out);
    (engine, now + Duration::from_secs(5))
}

/// A master with priority 200 that has heard this many adverts of 192.0.2.2, whose priority is 50,
/// one a second: it does not hear the master, which yields for so long or not at all.
fn not_heard(adverts: u64, hold_down: Option<Duration>) -> (Engine, Timestamp) {
    let vrid = Vrid::new(7).expect("in range");
    let mut instance = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
    instance.priority = Priority::new(200).expect("in range");
    let [own, peer, address, group] = ["192.0.2.1", "192.0.2.2", "192.0.2.9", "224.0.0.18"]
        .map(|one| one.parse().expect("an address"));
    instance.addresses = vec![VirtualAddress::new(address)];
    instance.one_way_yield = hold_down;
    let config = Config::new(vec![instance], Vec::new(), Duration::ZERO).expect("it is valid");
    let (mut engine, mut out) = (Engine::new(), Outputs::new());
    let interface = Ifindex(2);
    let link = Link {
        interface,
        name: InterfaceName::new("eth0"),
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
        state: LinkState::Up,
    };
    let mut now = Timestamp::from_nanos(1_000_000_000);
    engine.handle(now, Input::Link(link), &mut out);
    let own = LocalAddress { interface, address: own, present: true };
    engine.handle(now, Input::LocalAddress(own), &mut out);
    engine.handle(now, Input::Configure(Arc::new(config)), &mut out);
    let advert = Advert {
        version: Version::V2,
        vrid,
        priority: 50,
        interval: Interval::DEFAULT,
        password: None,
        addresses: Arc::from([address]),
    };
    let mut octets = Vec::new();
    advert.emit(peer, group, ChecksumForm::PseudoHeader, &mut octets);
    for second in 0..4 + adverts {
        now = now + Duration::from_secs(1);
        engine.handle(now, Input::Tick, &mut out);
        if second >= 4 {
            let (src, dst, ttl, bytes) = (peer, group, 255, &octets[..]);
            let received = Received { interface, src, dst, ttl, bytes };
            engine.handle(now, Input::Advert(received), &mut out);
        }
        // The machine obeys, or adverts that nobody can send would be a fault.
        let effects: Vec<_> = out.drain().collect();
        for effect in effects {
            if let Output::Send { id, .. } | Output::Kernel { id, .. } = effect {
                engine.handle(now, Input::Done { id, result: Ok(()) }, &mut out);
            }
        }
    }
    (engine, now)
}

#[test]
fn a_master_says_who_does_not_hear_it() {
    for (adverts, deaf) in [(2, false), (3, true)] {
        let (engine, now) = not_heard(adverts, None);
        let urgency = Urgency::default();
        let report = report(&engine, now, Lateness::default(), 0, None, &urgency, &Value::Null);
        let instance = &report["instances"][0];
        assert_eq!(instance["state"], "master");
        let expected = if deaf { serde_json::json!(["192.0.2.2"]) } else { serde_json::json!([]) };
        assert_eq!(instance["does_not_hear_us"], expected);
        let words = "  two masters: 192.0.2.2 has less priority and does not hear us";
        assert_eq!(text(&report).lines().any(|line| line == words), deaf);
    }
}

#[test]
fn a_master_that_yielded_to_one_that_does_not_hear_it_says_why_and_until_when() {
    let urgency = Urgency::default();
    let (engine, now) = not_heard(5, Some(Duration::from_secs(60)));
    let report = report(&engine, now, Lateness::default(), 0, None, &urgency, &Value::Null);
    let instance = &report["instances"][0];
    assert_eq!(instance["state"], "backup");
    assert!(instance["order"].is_null());
    // It yielded at the third advert.
    assert_eq!(instance["held_down_ns"], 58_000_000_000_u64);
    let text = text(&report);
    for words in [
        "  for 2.000 s: yields to 192.0.2.2, which does not hear us, held down for 60 s",
        "  held down, a rival does not hear it: preempts nobody for 58.000 s, until it is needed",
    ] {
        assert!(text.lines().any(|line| line == words), "{text}");
    }
}

/// A virtual server at this address with a real server that is checked and one that is not.
fn director(address: IpAddr) -> DirectorConfig {
    let text = format!(
        "virtual_server {address} 80 {{\n protocol TCP\n lb_algo rr\n lb_kind NAT\n \
         real_server 10.1.0.1 80 {{\n TCP_CHECK {{\n }}\n }}\n \
         real_server 10.1.0.2 80 {{\n weight 3\n }}\n}}\n"
    );
    let files = InMemory::new().with("/k.conf", text);
    let loaded = load_from(&files, Path::new("/k.conf"), &Options::default());
    DirectorConfig::clone(loaded.expect("it can be used").config.director())
}

/// The keys that a table of the page names, under this heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let page = include_str!("../../docs/daemon.md");
    let section = page.split(&format!("\n{heading}\n")).nth(1).expect("the heading");
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_string))
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn the_page_names_every_key_and_none_that_is_not_there() {
    let (engine, now) = master();
    let post = Post::default();
    let (late, urgency) = (Lateness::default(), Urgency::default());
    let report = report(&engine, now, late, 0, None, &urgency, &post.report());
    assert_eq!(keys(&report), documented("## The JSON of `vipd status --json`"));
    assert_eq!(keys(&report["instances"][0]), documented("### Of an instance"));
    let director = &report["director"];
    assert_eq!(keys(director), documented("### Of the director"));
    let pool = &director["virtual_servers"][0];
    assert_eq!(keys(pool), documented("### Of a virtual server"));
    assert_eq!(keys(&pool["real_servers"][0]), documented("### Of a real server"));
    assert_eq!(report["journal"], Value::Null, "there is none");
    assert_eq!(report["mail"], Value::Null, "and nobody to write to");
    let text =
        "global_defs {\n smtp_server 192.0.2.25\n notification_email {\n a@x.example\n }\n}\n";
    let files = InMemory::new().with("/k.conf", text);
    let loaded = load_from(&files, Path::new("/k.conf"), &Options::default());
    post.configure(&loaded.expect("it can be used"));
    assert_eq!(keys(&post.report()), documented("### Of the mail"));
}

#[test]
fn a_master_says_since_when_why_what_it_holds_and_what_it_dropped() {
    let (engine, now) = master();
    let urgency = Urgency { realtime: Some(10), nice: Some(-5) };
    let report = report(&engine, now, Lateness::default(), 3, None, &urgency, &Value::Null);
    let instance = &report["instances"][0];
    assert_eq!(instance["for_ns"], 5_000_000_000_u64);
    assert_eq!(report["unreadable"], 3);
    assert_eq!(instance["counters"]["drops"].as_object().map(serde_json::Map::len), Some(1));
    let text = text(&report);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "VI_1: master on eth0, vrid 7, priority 255");
    assert_eq!(lines[1], "  for 5.000 s: started as owner of the addresses");
    assert_eq!(lines[2], "  holds 192.0.2.9/32 on eth0");
    assert!(lines.iter().any(|line| line.starts_with("  dropped: 1 ")), "{text}");
    let process = "memory: not locked; real-time priority: 10; nice value: -5";
    assert_eq!(lines.last(), Some(&process));
    let pool = lines.iter().position(|line| line.starts_with("TCP 192.0.2.9:80")).expect("it");
    assert_eq!(
        lines[pool..pool + 4],
        [
            "TCP 192.0.2.9:80: quorum for 5.000 s, weight 4 of 1",
            "  TCP 192.0.2.9:80 is unknown",
            "  10.1.0.1:80: up for 5.000 s, not in the table, to be weight 1",
            "  10.1.0.2:80: up for 5.000 s, not in the table, to be weight 3",
        ]
    );
}
