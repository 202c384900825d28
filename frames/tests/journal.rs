//! A journal is replayed octet for octet, wherever it begins, and one that somebody edited is read
//! as far as it makes sense: never a panic, always the line.

#[path = "../../engine/tests/inputs/mod.rs"]
mod inputs;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use inputs::{CONFIGS, config, directed};
use proptest::prelude::*;
use vipd_engine::config::director::{Protocol, Service, VirtualServerName};
use vipd_engine::health::{AttemptId, CheckId, Failure, Outcome, ServerName};
use vipd_engine::ipvs::{
    Answer, Endpoint, Failure as Failed, IpvsError, Observed, Seen, ServerOrder,
};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, CommandId, EffectError, Engine, Ifindex, InstanceId, InstanceName, InterfaceName,
    Interval, Link, LinkState, LocalAddress, MacAddress, Order, Outputs, Timestamp, TrackerName,
    TrackerValue, Version, Vrid,
};
use vipd_frames::journal::read::{LATEST, ReadError};
use vipd_frames::journal::replay::{Replay, Step};
use vipd_frames::journal::{Entry, FORM, Head, Loss, Octets, OwnedInput};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn advert(priority: u8, version: Version) -> OwnedInput {
    let (src, dst) = (ip("10.0.0.1"), ip("224.0.0.18"));
    let vrid = Vrid::new(if version == Version::V2 { 51 } else { 52 }).expect("in range");
    let addresses = Arc::from([ip("10.0.0.100")]);
    let interval = Interval::DEFAULT;
    let advert = Advert { version, vrid, priority, interval, password: None, addresses };
    let mut bytes = Vec::new();
    advert.emit(src, dst, ChecksumForm::PseudoHeader, &mut bytes);
    OwnedInput::Advert { interface: Ifindex(2), src, dst, ttl: 255, bytes: Octets(bytes) }
}

fn link(state: LinkState) -> OwnedInput {
    let (name, mac) = (InterfaceName::new("eth0"), MacAddress([2, 0, 0, 0, 0, 1]));
    OwnedInput::Link(Link { interface: Ifindex(2), name, mac, state })
}

fn address(address: IpAddr, present: bool) -> OwnedInput {
    OwnedInput::LocalAddress(LocalAddress { interface: Ifindex(2), address, present })
}

fn order(order: Order) -> OwnedInput {
    OwnedInput::Operator { instance: InstanceName::new("VI_1"), order }
}

fn done(instance: u32, number: u64, result: Result<(), EffectError>) -> OwnedInput {
    OwnedInput::Done { id: CommandId { instance: InstanceId(instance), number }, result }
}

fn attempt(outcome: Outcome) -> OwnedInput {
    OwnedInput::Probe { id: AttemptId { check: CheckId(3), number: 7 }, outcome }
}

fn ipvs(answer: Answer) -> OwnedInput {
    OwnedInput::Ipvs { number: 9, answer: Box::new(answer) }
}

fn failed() -> Failed {
    Failed { place: 1, error: IpvsError::Exists }
}

fn seen() -> Seen {
    let (service, address) = (service(), ip("10.1.0.1"));
    Seen { service, spec: None, destinations: vec![(Endpoint { address, port: 80 }, None)] }
}

fn service() -> Service {
    Service::Address { address: ip("10.0.0.100"), port: 80, protocol: Protocol::Tcp }
}

fn server(order: ServerOrder) -> OwnedInput {
    let (address, port, protocol) = (ip("10.0.0.100"), 80, Protocol::Tcp);
    let virtual_server = VirtualServerName::Address { address, port, protocol };
    let server = ServerName { virtual_server, address: ip("10.1.0.1"), port: 80 };
    OwnedInput::Server { server: Box::new(server), order }
}

fn input() -> impl Strategy<Value = OwnedInput> {
    let links = vec![LinkState::Up, LinkState::Up, LinkState::Down, LinkState::Absent];
    let values = vec![TrackerValue::Up, TrackerValue::Down, TrackerValue::Number(-7)];
    let versions = vec![Version::V2, Version::V3];
    let results = vec![Ok(()), Err(EffectError::Refused), Err(EffectError::TimedOut)];
    let addresses = ["10.0.0.2", "10.0.0.100", "fe80::2"].map(ip).to_vec();
    let junk = prop::collection::vec(any::<u8>(), 0..64);
    let tracker = |value| OwnedInput::Tracker { id: TrackerName::new("a"), value };
    prop_oneof![
        6 => Just(OwnedInput::Tick),
        1 => (0..CONFIGS).prop_map(|which| OwnedInput::Configure(config(which))),
        1 => (0..CONFIGS).prop_map(|which| OwnedInput::Configure(directed::config(which))),
        4 => (any::<u8>(), prop::sample::select(versions))
            .prop_map(|(priority, version)| advert(priority, version)),
        1 => junk.prop_map(|bytes| OwnedInput::Advert {
            interface: Ifindex(2),
            src: ip("10.0.0.3"),
            dst: ip("224.0.0.18"),
            ttl: 255,
            bytes: Octets(bytes),
        }),
        1 => prop::sample::select(vec![
            attempt(Outcome::Good { weight: Some(3) }),
            ipvs(Answer::Observed(Observed::Service(seen()))),
            ipvs(Answer::Done(Ok(vec![failed()]))),
            server(ServerOrder::Weight(Some(5))),
        ]),
        2 => prop::sample::select(links).prop_map(link),
        2 => (prop::sample::select(addresses), any::<bool>())
            .prop_map(|(one, present)| address(one, present)),
        1 => prop::sample::select(values).prop_map(tracker),
        3 => (0..3_u32, 0..40_u64, prop::sample::select(results))
            .prop_map(|(instance, number, result)| done(instance, number, result)),
        1 => prop::sample::select(vec![Order::Yield, Order::Hold, Order::Resume]).prop_map(order),
        1 => Just(OwnedInput::Shutdown),
    ]
}

/// Inputs with the time before each.
fn inputs(most: usize) -> impl Strategy<Value = Vec<(u64, OwnedInput)>> {
    let pause = prop_oneof![Just(0), 0..4_000_000_000_u64];
    prop::collection::vec((pause, input()), 0..most)
}

/// An engine that is a backup on eth0, and its time.
fn running() -> (Engine, Timestamp) {
    let (mut engine, mut out) = (Engine::new(), Outputs::new());
    let now = Timestamp::from_nanos(1_000_000_000);
    for input in
        [link(LinkState::Up), address(ip("10.0.0.2"), true), OwnedInput::Configure(config(0))]
    {
        engine.handle(now, input.input(), &mut out);
    }
    (engine, now)
}

/// Lets an engine handle these, and writes what comes of it as a segment.
fn segment(mut engine: Engine, mut now: Timestamp, inputs: &[(u64, OwnedInput)]) -> Vec<u8> {
    let head = Head {
        vipd_journal: FORM,
        vipd: "0.0.0".to_string(),
        segment: 1,
        at: now,
        unix_ns: 0,
        lost_before: 0,
        engine: engine.snapshot(),
    };
    let (mut text, mut out) = (Vec::new(), Outputs::new());
    head.write(&mut text).expect("memory takes all");
    for (pause, input) in inputs {
        now = now + Duration::from_nanos(*pause);
        engine.handle(now, input.input(), &mut out);
        let entry = Entry { at: now, input: input.clone(), outputs: out.drain().collect() };
        entry.write(&mut text).expect("memory takes all");
    }
    text
}

/// Replays to the end: how many inputs are the same, or what is wrong.
fn replayed(text: &[u8]) -> Result<usize, String> {
    let (_, mut replay) = Replay::open(text).map_err(|error| error.to_string())?;
    let mut count = 0;
    while let Some(step) = replay.step().map_err(|error| error.to_string())? {
        match step {
            Step::Input(replayed) => match replayed.difference {
                None => count += 1,
                Some(difference) => return Err(format!("line {} differs", difference.line)),
            },
            Step::Lost(lost) => return Err(format!("{lost} lost after {count}")),
        }
    }
    Ok(count)
}

proptest! {
    #[test]
    fn whatever_an_engine_is_told_is_replayed_to_the_octet_wherever_a_segment_begins(
        all in inputs(60),
        begin in any::<prop::sample::Index>(),
    ) {
        let (mut engine, mut now) = running();
        let (before, after) = all.split_at(begin.index(all.len() + 1));
        let mut out = Outputs::new();
        for (pause, input) in before {
            now = now + Duration::from_nanos(*pause);
            engine.handle(now, input.input(), &mut out);
        }
        prop_assert_eq!(replayed(&segment(engine, now, after)), Ok(after.len()));
    }

    #[test]
    fn an_input_is_read_as_it_was_written(input in input()) {
        prop_assert_eq!(&OwnedInput::from(&input.input()), &input, "as the engine gets it");
        let text = serde_json::to_string(&input).expect("JSON");
        let back: OwnedInput = serde_json::from_str(&text).expect("what was written");
        prop_assert_eq!(back, input, "{}", text);
    }

    #[test]
    fn octets_that_somebody_changed_are_an_error_or_another_journal_and_never_a_panic(
        all in inputs(20),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        digits in any::<bool>(),
    ) {
        let (engine, now) = running();
        let mut text = segment(engine, now, &all);
        for (place, octet) in edits {
            let place = place.index(text.len());
            // Digits among digits keep the JSON whole and reach what is behind it.
            match (digits, text[place].is_ascii_digit()) {
                (true, true) => text[place] = b'0' + octet % 10,
                (true, false) => {}
                (false, _) => text[place] = octet,
            }
        }
        let _ = replayed(&text);
    }
}

fn two_ticks() -> String {
    let (engine, now) = running();
    let ticks = [(1, OwnedInput::Tick), (1, OwnedInput::Tick)];
    String::from_utf8(segment(engine, now, &ticks)).expect("JSON is text")
}

#[test]
fn each_fault_of_a_line_is_named_with_its_line() {
    let text = two_ticks();
    assert_eq!(replayed(text.as_bytes()), Ok(2));
    let with = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        replayed(text.replacen(from, to, 1).as_bytes()).expect_err("it is refused")
    };
    let second = r#"{"at":1000000002,"input":"Tick","outputs":[]}"#;
    let cases = [
        ("", "line 3 is damaged: EOF while parsing a value (column 0)"),
        (
            r#"{"at":1,"input":"Tick","outputs":[]}"#,
            "line 3 is damaged: it is earlier than the line above",
        ),
        (
            r#"{"at":9999999999999999999,"input":"Tick","outputs":[]}"#,
            "line 3 is damaged: it is later than 4611686018.427387904 s after the start",
        ),
        (
            r#"{"at":1000000002,"input":"Tack","outputs":[]}"#,
            "line 3 is damaged: unknown variant `Tack`",
        ),
        (
            r#"{"at":1000000002,"input":"Tick"}"#,
            "line 3 is damaged: neither an input with its outputs nor a loss",
        ),
        (
            r#"{"at":1000000002,"input":"Tick","outputs":[],"lost":1}"#,
            "line 3 is damaged: neither an input with its outputs nor a loss",
        ),
        (
            r#"{"at":1000000002,"input":"Tick","outputs":[],"more":1}"#,
            "line 3 is damaged: unknown field `more`",
        ),
        (r#"{"lost":3}"#, "3 lost after 1"),
        (&second[..20], "line 3 is damaged: EOF while parsing"),
    ];
    for (line, expected) in cases {
        let error = with(second, line);
        assert!(error.starts_with(expected), "{error}");
    }
    let bad_octets = second.replace(
        "\"Tick\"",
        r#"{"Advert":{"interface":2,"src":"10.0.0.1","dst":"10.0.0.2","ttl":255,"bytes":"2 "}}"#,
    );
    let expected = "line 3 is damaged: octets must be pairs of hexadecimal digits";
    assert!(with(second, &bad_octets).starts_with(expected));
    let behind = text.replacen(second, &format!("{{\"lost\":3}}\n{second}"), 1);
    let (_, mut replay) = Replay::open(behind.as_bytes()).expect("a head");
    let steps: Vec<_> = std::iter::from_fn(|| replay.step().transpose()).take(3).collect();
    assert!(matches!(steps[2], Err(ReadError::AfterTheEnd { line: 4 })), "{steps:?}");
}

#[test]
fn the_head_is_refused_for_a_time_that_cannot_be() {
    let text = two_ticks();
    let late =
        text.replacen("\"at\":1000000000,", &format!("\"at\":{},", LATEST.as_nanos() + 1), 1);
    let refused = Replay::open(late.as_bytes()).map(|(head, _)| head.segment);
    assert!(matches!(refused, Err(ReadError::TooLate { line: 1 })), "{refused:?}");
}

#[test]
fn a_loss_is_one_short_line() {
    let mut line = Vec::new();
    Loss { lost: 12 }.write(&mut line).expect("memory takes all");
    assert_eq!(line, b"{\"lost\":12}\n");
}

#[test]
fn each_input_is_told_in_a_few_words() {
    let cases = [
        (OwnedInput::Tick, "tick"),
        (OwnedInput::Configure(config(0)), "configuration with 2 instances"),
        (advert(100, Version::V2), "20 octets 10.0.0.1 -> 224.0.0.18, TTL 255"),
        (link(LinkState::Down), "interface eth0 is Down"),
        (address(ip("10.0.0.2"), false), "address 10.0.0.2 is gone"),
        (
            OwnedInput::Tracker { id: TrackerName::new("a"), value: TrackerValue::Up },
            "tracker a is Up",
        ),
        (done(1, 7, Ok(())), "effect 7 of instance 1: done"),
        (done(1, 7, Err(EffectError::Refused)), "effect 7 of instance 1: refused"),
        (order(Order::Hold), "hold VI_1"),
        (OwnedInput::Shutdown, "shutdown"),
        (attempt(Outcome::Bad(Failure::Refused)), "attempt 7 of check 3: connection refused"),
        (ipvs(Answer::Done(Ok(vec![]))), "ipvs request 9: done"),
        (ipvs(Answer::Done(Ok(vec![failed()]))), "ipvs request 9: done, 1 failed"),
        (ipvs(Answer::Done(Err(IpvsError::NoIpvs))), "ipvs request 9: the kernel has no IPVS"),
        (ipvs(Answer::Observed(Observed::Begin)), "ipvs request 9: begins"),
        (
            ipvs(Answer::Observed(Observed::Service(seen()))),
            "ipvs request 9: TCP 10.0.0.100:80 with 1 destinations",
        ),
        (ipvs(Answer::Observed(Observed::End)), "ipvs request 9: ends"),
        (server(ServerOrder::Drain), "10.1.0.1:80 of TCP 10.0.0.100:80: drain"),
        (server(ServerOrder::Undrain), "10.1.0.1:80 of TCP 10.0.0.100:80: undrain"),
        (server(ServerOrder::Weight(Some(5))), "10.1.0.1:80 of TCP 10.0.0.100:80: weight 5"),
        (server(ServerOrder::Weight(None)), "10.1.0.1:80 of TCP 10.0.0.100:80: weight -"),
    ];
    for (input, words) in cases {
        assert_eq!(input.to_string(), words);
    }
}
