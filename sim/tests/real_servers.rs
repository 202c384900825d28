//! What each kind of check gets from a model real server of each conduct, and when.

use std::time::Duration;

use vipd_engine::config::health::{
    Bind, Check, CheckKind, DnsRecord, HttpCheck, HttpProtocol, Pattern, Tls, UdpCheck, Url,
};
use vipd_engine::health::{Failure, Outcome};
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::scenario::Conduct;
use vipd_sim::real_server::{Asked, ModelServer, Reaction};

const MS: Duration = Duration::from_millis(1);
const NOW: WorldTime = WorldTime(0);
/// Five seconds for each attempt, and a round trip takes this long.
const TRIP: Duration = Duration::from_millis(10);

fn check(kind: CheckKind) -> Check {
    Check {
        kind,
        address: "192.0.2.25".parse().expect("an address"),
        port: 80,
        bind: Bind::default(),
        timeout: Duration::from_secs(5),
        delay_loop: Duration::from_secs(6),
        retry: 0,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

fn url(path: &str) -> Url {
    Url {
        path: path.to_string(),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    }
}

fn http(urls: Vec<Url>, tls: Option<Tls>) -> Check {
    let protocol = HttpProtocol::V1_0;
    let http = HttpCheck { tls, protocol, virtualhost: None, fast_recovery: true, urls };
    check(CheckKind::Http(Box::new(http)))
}

fn udp(requires_reply: bool) -> Check {
    check(CheckKind::Udp(Box::new(UdpCheck {
        payload: b"ping".to_vec(),
        requires_reply,
        reply: b"pong".iter().map(|octet| (*octet, 0xff)).collect(),
        min_reply: 4,
        max_reply: 255,
    })))
}

/// One of each kind, with how many round trips a good answer takes.
fn checks() -> Vec<(&'static str, Check, u32)> {
    let smtp = CheckKind::Smtp { helo_name: "director.example".to_string() };
    let dns = CheckKind::Dns { record: DnsRecord::Soa, name: "example.".to_string() };
    vec![
        ("TCP_CHECK", check(CheckKind::Tcp), 1),
        ("HTTP_GET", http(vec![url("/")], None), 2),
        ("HTTP_GET of two pages", http(vec![url("/"), url("/b")], None), 4),
        ("SSL_GET", http(vec![url("/")], Some(Tls::default())), 3),
        // Greeting, HELO, QUIT.
        ("SMTP_CHECK", check(smtp), 4),
        ("DNS_CHECK", check(dns), 1),
        ("UDP_CHECK", udp(true), 1),
        ("PING_CHECK", check(CheckKind::Ping), 1),
    ]
}

fn ask(server: &ModelServer, now: WorldTime, check: &Check) -> Option<Reaction> {
    server.react(now, Asked { check, url: 0, number: 70_000, round_trip: TRIP })
}

fn outcome(conduct: Conduct, check: &Check) -> Option<Outcome> {
    ask(&ModelServer::new(NOW, conduct), NOW, check).map(|reaction| reaction.outcome)
}

#[test]
fn a_good_answer_takes_its_round_trips_and_the_time_that_the_server_thinks() {
    for (name, check, trips) in checks() {
        let server = ModelServer::default();
        let after = TRIP * trips;
        let good = Some(Reaction { after, outcome: Outcome::GOOD });
        assert_eq!(ask(&server, NOW, &check), good, "{name}");
        let slow = ModelServer { thinks: 7 * MS, ..server };
        let reaction = ask(&slow, NOW, &check).expect(name);
        assert_eq!(reaction.outcome, Outcome::GOOD, "{name}");
        // It does not think about a connection.
        let answers = match name {
            "TCP_CHECK" => 0,
            "HTTP_GET of two pages" => 2,
            "SMTP_CHECK" => 3,
            _ => 1,
        };
        assert_eq!(reaction.after, after + 7 * MS * answers, "{name}");
    }
}

#[test]
fn one_who_refuses_is_refused_to_all() {
    for (name, check, _) in checks() {
        let refused = Some(Reaction { after: TRIP, outcome: Outcome::Bad(Failure::Refused) });
        assert_eq!(ask(&ModelServer::new(NOW, Conduct::Refuses), NOW, &check), refused, "{name}");
        let unreachable = Some(Outcome::Bad(Failure::Unreachable));
        assert_eq!(outcome(Conduct::Unreachable, &check), unreachable, "{name}");
    }
}

#[test]
fn nothing_comes_from_a_dead_machine_and_a_connection_alone_from_one_that_hangs() {
    for (name, check, _) in checks() {
        assert_eq!(outcome(Conduct::Silent, &check), None, "{name}");
        let expected = (name == "TCP_CHECK").then_some(Outcome::GOOD);
        assert_eq!(outcome(Conduct::Hangs, &check), expected, "{name}");
    }
}

#[test]
fn one_who_lies_is_found_out_by_each_check_that_looks() {
    for (name, check, _) in checks() {
        let expected = match name {
            "TCP_CHECK" | "PING_CHECK" => Outcome::GOOD,
            "SMTP_CHECK" => Outcome::Bad(Failure::SmtpReply(421)),
            "DNS_CHECK" => Outcome::Bad(Failure::DnsCode(2)),
            "UDP_CHECK" => Outcome::Bad(Failure::ReplyDiffers),
            _ => Outcome::Bad(Failure::Status(500)),
        };
        assert_eq!(outcome(Conduct::Lies, &check), Some(expected), "{name}");
    }
}

#[test]
fn a_connection_that_is_reset_or_closed_is_told_as_such() {
    let page = http(vec![url("/")], None);
    assert_eq!(outcome(Conduct::Resets, &page), Some(Outcome::Bad(Failure::Reset)));
    assert_eq!(outcome(Conduct::Closes, &page), Some(Outcome::Bad(Failure::Closed)));
}

#[test]
fn a_page_that_drips_is_good_if_it_is_whole_in_time() {
    let page = http(vec![url("/")], None);
    let octets = "HTTP/1.0 200 Model\r\nContent-Length: 0\r\n\r\n".len() as u32;
    let every = |every| ask(&ModelServer::new(NOW, Conduct::Drips { every }), NOW, &page);
    let after = 2 * TRIP + 100 * MS * octets;
    assert_eq!(every(100 * MS), Some(Reaction { after, outcome: Outcome::GOOD }));
    // 41 octets, one each 122 ms, are 5.002 s; the limit is 5 s.
    assert_eq!(octets, 41);
    assert_eq!(every(122 * MS), None);
}

#[test]
fn one_who_flaps_answers_and_refuses_in_turn() {
    let (good, bad) = (Duration::from_secs(3), Duration::from_secs(2));
    let server = ModelServer::new(NOW, Conduct::Flaps { good, bad });
    let tcp = check(CheckKind::Tcp);
    let at = |nanos| ask(&server, WorldTime(nanos), &tcp).map(|one| one.outcome);
    let refused = Some(Outcome::Bad(Failure::Refused));
    let second = 1_000_000_000;
    assert_eq!(at(3 * second - 1), Some(Outcome::GOOD));
    assert_eq!(at(3 * second), refused);
    assert_eq!(at(5 * second - 1), refused);
    assert_eq!(at(5 * second), Some(Outcome::GOOD));
    assert_eq!(at(8 * second), refused);
}

#[test]
fn a_page_is_what_the_server_has() {
    let pattern = Pattern {
        expression: "ready".to_string(),
        must_not_match: false,
        min_offset: 0,
        max_offset: None,
    };
    let check = http(vec![Url { pattern: Some(pattern), ..url("/") }], None);
    let with = |body: &[u8]| {
        let server = ModelServer { body: body.to_vec(), ..ModelServer::default() };
        ask(&server, NOW, &check).map(|reaction| reaction.outcome)
    };
    assert_eq!(with(b"all is ready"), Some(Outcome::GOOD));
    assert_eq!(with(b"nothing is"), Some(Outcome::Bad(Failure::PatternMissing)));
}

#[test]
fn a_script_ends_as_it_is_told_to_and_never_where_its_server_is_dead() {
    let script = |dynamic| check(CheckKind::Script { script: "probe".to_string(), dynamic });
    let server = ModelServer { exit: 7, thinks: MS, ..ModelServer::default() };
    let good = Outcome::Good { weight: Some(5) };
    assert_eq!(ask(&server, NOW, &script(true)), Some(Reaction { after: MS, outcome: good }));
    let bad = Some(Outcome::Bad(Failure::Exit(7)));
    assert_eq!(ask(&server, NOW, &script(false)).map(|one| one.outcome), bad);
    let refused = Some(Outcome::Bad(Failure::Exit(1)));
    assert_eq!(outcome(Conduct::Refuses, &script(false)), refused);
    assert_eq!(outcome(Conduct::Hangs, &script(false)), None);
}

#[test]
fn a_datagram_that_needs_no_answer_is_bad_only_if_it_is_refused() {
    let check = udp(false);
    // Silence is good at the time limit: the engine knows that.
    assert_eq!(outcome(Conduct::Silent, &check), None);
    assert_eq!(outcome(Conduct::Lies, &check), Some(Outcome::GOOD));
    assert_eq!(outcome(Conduct::Refuses, &check), Some(Outcome::Bad(Failure::Refused)));
}
