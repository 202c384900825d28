//! The runner against a scripted world: what it plays, what it tells, what it decides.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use vipd_engine::{Event, Family, InstanceName, MacAddress, Mismatch, News, StateKind, Why};
use vipd_scenarios::record::{
    HostId, HostSetting, LossReason, Observation, PacketId, ProcessChange, Recorder, RouterKey,
    Seen, SeenAdvert, SegmentId, SegmentSetting, Setting, WorldTime,
};
use vipd_scenarios::report::summary;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::{Scenario, Step, TimedStep};
use vipd_scenarios::world::World;

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const CLIENT: HostId = HostId(2);
const SECOND: u64 = 1_000_000_000;

/// Tells a fixed script, whatever is done to it.
#[derive(Default)]
struct Scripted {
    script: Vec<Observation>,
    told: usize,
    played: Vec<(u64, &'static str)>,
    lacks: Option<&'static str>,
    tolerance: Duration,
    /// No engine's own word is heard.
    mute: bool,
}

impl World for Scripted {
    fn setting(&self) -> Setting {
        let host = |name: &str, runs_vrrp| HostSetting {
            name: name.into(),
            addresses: Vec::new(),
            interfaces: Vec::new(),
            runs_vrrp,
            speaks: !self.mute,
        };
        let delay = Duration::from_micros(100);
        let lan = SegmentSetting { name: "lan".into(), min_delay: delay, max_delay: delay };
        Setting {
            hosts: vec![host("a", true), host("b", true), host("client", false)],
            segments: vec![lan],
            lateness: Duration::ZERO,
            rate_error_ppb: 0,
            release: Duration::ZERO,
            tolerance: self.tolerance,
            routes_seen: true,
            tables_seen: false,
        }
    }

    fn supports(&self, step: &Step) -> Result<(), String> {
        match self.lacks {
            Some(name) if name == step.name() => Err(format!("no {name} here")),
            Some(_) | None => Ok(()),
        }
    }

    fn apply(&mut self, step: &TimedStep, _record: &mut dyn Recorder) {
        self.played.push((step.at.0, step.step.name()));
    }

    fn advance(
        &mut self,
        until: WorldTime,
        record: &mut dyn Recorder,
        stop: &dyn Fn() -> bool,
    ) -> WorldTime {
        if stop() {
            return WorldTime(until.0 / 2);
        }
        let due = self.script[self.told..].iter().take_while(|one| one.at <= until);
        self.told += due.map(|one| record.observe(one)).count();
        self.played.push((until.0, "advance"));
        until
    }

    fn trace(&self) -> Option<u128> {
        Some(0x2a)
    }

    fn tolerance(&self) -> Duration {
        self.tolerance
    }
}

fn scenario(rest: &str) -> Scenario {
    let text = format!(
        r#"
title = "two directors and a client"
until = "20s"
[segment.lan]
[host.a]
config = "../seed/director-1.conf"
interfaces.ens192 = {{ segment = "lan", address = "200.222.0.73/24" }}
[host.b]
config = "../seed/director-2.conf"
interfaces.ens192 = {{ segment = "lan", address = "200.222.0.74/24" }}
[host.client]
interfaces.eth0 = {{ segment = "lan", address = "200.222.0.10/24" }}
[[step]]
at = "10s"
stop = "a"
[[step]]
at = "10s"
cut = "a <-> b"
[[step]]
at = "18s"
start = "a"
{rest}"#
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("failover/scripted.toml");
    Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"))
}

fn seen(at: u64, host: HostId, seen: Seen) -> Observation {
    Observation { at: WorldTime(at), host, seen }
}

fn says(at: u64, host: HostId, news: News) -> Observation {
    seen(at, host, Seen::Engine(Event { instance: InstanceName::new("VI_1"), news }))
}

fn address() -> IpAddr {
    "200.222.0.113".parse().expect("an address")
}

fn advert(priority: u8, sender: HostId) -> SeenAdvert {
    SeenAdvert {
        packet: PacketId(1),
        router: RouterKey { segment: SegmentId(0), family: Family::Ipv4, vrid: 51 },
        sender: Some(sender),
        injection: None,
        src: IpAddr::from([200, 222, 0, 73]),
        dst: IpAddr::from([200, 222, 0, 74]),
        version: 2,
        priority,
        interval: Duration::from_secs(1),
    }
}

/// `a` resigns at 10 s, `b` takes over 0.6 s later and announces the address.
fn handover() -> Vec<Observation> {
    let segment = SegmentId(0);
    let probe = |sent: u64, answered_by| {
        let sent = WorldTime(sent);
        seen(sent.0, CLIENT, Seen::Probe { address: address(), sent, answered_by })
    };
    let owns = |owns| Seen::Owns { segment, address: address(), owns };
    let announced = Seen::Announced { segment, address: address(), mac: MacAddress([2; 6]) };
    let takeover = 10_613_381_250;
    let mut script = vec![
        seen(9 * SECOND, A, Seen::AdvertSent(advert(100, A))),
        probe(9 * SECOND, Some(A)),
        probe(9 * SECOND + 1, Some(A)),
        seen(10 * SECOND, A, Seen::AdvertSent(advert(0, A))),
        seen(10 * SECOND, A, owns(false)),
        seen(10 * SECOND, A, Seen::Process(ProcessChange::Stopped)),
        probe(10_100_000_000, None),
        seen(takeover, B, Seen::AdvertSent(advert(99, B))),
        says(
            takeover,
            B,
            News::State {
                from: StateKind::Backup,
                to: StateKind::Master,
                why: Why::MasterResigned(IpAddr::from([200, 222, 0, 73])),
            },
        ),
        seen(takeover, B, owns(true)),
    ];
    for at in [takeover, takeover, takeover + 5 * SECOND, takeover + 6 * SECOND] {
        script.push(seen(at, B, announced.clone()));
    }
    script.push(probe(takeover + 6 * SECOND, Some(B)));
    let peer = IpAddr::from([200, 222, 0, 73]);
    let news = News::Mismatch { peer, mismatch: Mismatch::Password };
    script.push(says(17 * SECOND, B, news));
    script.push(seen(19 * SECOND, A, Seen::AdvertLost(advert(99, B), LossReason::Lost)));
    script.push(seen(19 * SECOND, A, Seen::AdvertLost(advert(99, B), LossReason::Cut)));
    script
}

fn play(scenario: &Scenario, world: &mut Scripted) -> Outcome {
    runner::run(scenario, world, None, None)
}

const TAKEOVER: &str = r#"[[expect]]
at = "10.613381250s"
host = "b"
event = "mismatch"
times = 0
"#;

#[test]
fn steps_are_played_at_their_times_and_in_their_order() {
    let mut world = Scripted::default();
    let scenario = scenario("");
    let outcome = play(&scenario, &mut world);
    let s = SECOND;
    let expected = [
        (10 * s, "advance"),
        (10 * s, "stop"),
        (10 * s, "advance"),
        (10 * s, "cut"),
        (18 * s, "advance"),
        (18 * s, "start"),
        (20 * s, "advance"),
    ];
    assert_eq!(world.played, expected);
    assert_eq!((outcome.verdict, outcome.trace), (RunVerdict::Pass, Some(0x2a)));
}

#[test]
fn an_earlier_end_leaves_later_steps_out() {
    let mut world = Scripted::default();
    let outcome = runner::run(&scenario(""), &mut world, Some(WorldTime(12 * SECOND)), None);
    assert_eq!(outcome.end, WorldTime(12 * SECOND));
    assert!(world.played.iter().all(|(_, what)| *what != "start"));
}

#[test]
fn a_world_that_is_told_to_stop_plays_no_further_step_and_is_judged_up_to_there() {
    let mut world = Scripted::default();
    let outcome = runner::run_unless(&scenario(""), &mut world, None, None, &|| true);
    assert_eq!((outcome.interrupted, outcome.end), (true, WorldTime(5 * SECOND)));
    assert_eq!(world.played, []);
}

#[test]
fn a_world_that_lacks_a_step_skips_the_scenario_before_anything_is_done() {
    let mut world = Scripted { lacks: Some("cut"), ..Scripted::default() };
    let scenario = scenario("");
    let outcome = play(&scenario, &mut world);
    assert_eq!(outcome.verdict, RunVerdict::Skip);
    assert_eq!(outcome.skipped, ["no cut here"]);
    assert!(world.played.is_empty());
    assert!(summary::text(&scenario, &outcome).contains("verdict: skip"));
}

#[test]
fn an_expectation_that_is_not_met_fails_the_run_and_says_what_was_seen() {
    let expect = "[[expect]]\nwithin = [\"16s\", \"17s\"]\nhost = \"b\"\nevent = \"mismatch\"\n";
    let wrong = scenario(&format!("{expect}times = 2\n"));
    let outcome = play(&wrong, &mut Scripted { script: handover(), ..Scripted::default() });
    assert_eq!(outcome.verdict, RunVerdict::Fail);
    let text = summary::text(&wrong, &outcome);
    let line = "not met: 16 s to 17 s: b reports mismatch 2 times; seen: 1 times";
    assert!(text.contains(line), "{text}");
    let right = scenario(&format!("{expect}times = 1\n"));
    let outcome = play(&right, &mut Scripted { script: handover(), ..Scripted::default() });
    assert_eq!(outcome.verdict, RunVerdict::Pass);
}

#[test]
fn a_named_property_that_is_not_put_to_the_test_fails_the_run() {
    let named = scenario("[properties]\nheld = [\"S1\"]\n");
    assert_eq!(play(&named, &mut Scripted::default()).verdict, RunVerdict::Fail);
    assert_eq!(play(&scenario(""), &mut Scripted::default()).verdict, RunVerdict::Pass);
}

#[test]
fn without_the_engines_own_word_what_rests_on_it_is_told_and_does_not_decide() {
    let event = "[[expect]]\nat = \"16s\"\nhost = \"b\"\nevent = \"mismatch\"\n";
    let named = scenario(&format!("{event}[properties]\nheld = [\"S9\", \"S12\"]\n"));
    assert_eq!(play(&named, &mut Scripted::default()).verdict, RunVerdict::Fail);
    let outcome = play(&named, &mut Scripted { mute: true, ..Scripted::default() });
    assert_eq!(outcome.verdict, RunVerdict::Pass);
    let text = summary::text(&named, &outcome);
    assert!(text.contains("expectations: 0 of 0 met"), "{text}");
    assert!(
        text.contains("not judged: 16 s to 16 s: b reports mismatch; what it reports"),
        "{text}"
    );
    assert!(text.contains("rests on the engines' own word, which this world does not hear"));
    let on_the_wire = scenario("[properties]\nheld = [\"S1\"]\n");
    let outcome = play(&on_the_wire, &mut Scripted { mute: true, ..Scripted::default() });
    assert_eq!(outcome.verdict, RunVerdict::Fail, "the wire tells S1, so it decides");
}

#[test]
fn the_timeline_has_a_line_for_each_change_and_none_for_adverts() {
    let scenario = scenario(TAKEOVER);
    let outcome = play(&scenario, &mut Scripted { script: handover(), ..Scripted::default() });
    insta::assert_snapshot!(outcome.timeline.text());
}

#[test]
fn every_key_of_the_json_object_is_always_there() {
    let scenario = scenario(TAKEOVER);
    let outcome = play(&scenario, &mut Scripted { script: handover(), ..Scripted::default() });
    let wall = Duration::from_millis(1);
    let object = summary::json(&scenario, 7, &outcome, wall, 42, &[]);
    for key in [
        "scenario",
        "seed",
        "verdict",
        "trace",
        "simulated_seconds",
        "wall_seconds",
        "events",
        "notes",
        "timeline",
        "properties",
    ] {
        assert!(object.get(key).is_some(), "{key}");
    }
    for property in object["properties"].as_array().expect("a list") {
        for key in ["id", "verdict", "expected", "bound_ns", "worst_ns", "reason"] {
            assert!(property.get(key).is_some(), "{key}");
        }
    }
    let timeline = serde_json::to_string_pretty(&object["timeline"]).expect("JSON");
    insta::assert_snapshot!(timeline);
}
