//! Random configurations and random inputs as data.

use proptest::prelude::*;
use std::time::Duration;

use super::{
    Behaviour, World, at, director, real, script, server, tcp, virtual_name, virtual_server,
};
use vipd_engine::config::director::DirectorConfig;
use vipd_engine::config::health::{Check, CheckKind, HttpCheck, HttpProtocol, Url};
use vipd_engine::health::{AttemptId, CheckId, Failure, Limits, LocalError, Outcome};
use vipd_engine::{TrackerName, TrackerValue};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Op {
    /// Time passes, with a tick at each deadline.
    Wait(u64),
    /// Time passes and nobody ticks.
    Stall(u64),
    /// A tick, early or late.
    Tick,
    /// One of the attempts under way ends.
    Answer { which: usize, outcome: Outcome },
    /// An outcome of an attempt that perhaps never was.
    Stray { check: u32, number: u64, outcome: Outcome },
    /// The tracked file says this.
    Tracker(TrackerValue),
    /// Addresses come and go.
    Presence { virtual_server: u8, is_here: bool },
    /// Another configuration.
    Configure(Draft),
}

/// Number and weight of a real server, and which checks of the pool it has.
type RealDraft = (u16, u32, Vec<usize>);

/// What a configuration is made of: virtual servers, some with `ha_suspend`.
#[derive(Clone, Debug, Default)]
pub struct Draft(Vec<(bool, Vec<RealDraft>)>);

pub const FILE: &str = "load";
/// Virtual servers of a configuration at most.
const VIRTUAL: u8 = 3;
/// Checks that a real server can have.
pub const POOL: usize = 10;
/// Further ones, whose retries coincide with turns, for states that come about again.
pub const RECURRING: std::ops::Range<usize> = POOL..POOL + 4;

/// One of the checks of the real server with this number. Some ask the same and differ in times.
pub fn pooled(number: u16, which: usize) -> Check {
    let quick = Check {
        timeout: Duration::from_secs(1),
        delay_loop: Duration::from_secs(2),
        ..tcp(number)
    };
    let file = |weight, reverse, dynamic| {
        let file = TrackerName::new(FILE);
        Check { kind: CheckKind::File { file, weight, reverse, dynamic }, ..tcp(number) }
    };
    let url = |path: &str| Url {
        path: path.to_owned(),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    };
    let http = |urls: &[&str], fast_recovery| {
        CheckKind::Http(Box::new(HttpCheck {
            tls: None,
            protocol: HttpProtocol::V1_0,
            virtualhost: None,
            fast_recovery,
            urls: urls.iter().map(|path| url(path)).collect(),
        }))
    };
    match which {
        0 => quick,
        1 => Check {
            retry: 2,
            delay_loop: Duration::from_secs(3),
            delay_before_retry: Duration::from_millis(250),
            ..quick
        },
        2 => Check { alpha: true, warmup: Duration::from_secs(2), ..quick },
        3 => Check { kind: http(&["/a", "/b", "/c"], false), tells_all_failures: true, ..quick },
        4 => Check { kind: http(&["/a", "/b"], true), warmup: Duration::from_secs(1), ..quick },
        5 => Check {
            delay_loop: Duration::from_secs(2),
            delay_before_retry: Duration::from_secs(3),
            ..script(number, true)
        },
        6 => Check { timeout: Duration::from_secs(4), ..script(number, false) },
        7 => file(0, false, false),
        8 => file(3, true, false),
        9 => file(0, false, true),
        _ => Check {
            timeout: Duration::from_secs(2),
            retry: 2,
            delay_before_retry: Duration::from_secs(1 << (which - POOL).min(2)),
            alpha: which == POOL + 3,
            ..quick
        },
    }
}

impl Draft {
    /// One real server with these checks of the pool.
    pub fn of(checks: &[usize]) -> Self {
        Self(vec![(false, vec![(1, 1, checks.to_vec())])])
    }

    pub fn config(&self) -> DirectorConfig {
        let drafts = (1..).zip(&self.0);
        let virtual_servers = drafts.map(|(name, (ha_suspend, servers))| {
            // No configuration has the same real server twice in a virtual one.
            let servers = servers.iter().enumerate().filter(|(place, (number, ..))| {
                servers[..*place].iter().all(|(other, ..)| other != number)
            });
            let servers = servers.map(|(_, (number, weight, checks))| {
                let checks: Vec<_> = checks.iter().map(|which| pooled(*number, *which)).collect();
                let mut real = server(*number, &checks);
                real.weight = *weight;
                real
            });
            let mut named = virtual_server(name, servers.collect());
            named.ha_suspend = *ha_suspend;
            named
        });
        director(virtual_servers.collect())
    }
}

pub fn draft() -> impl Strategy<Value = Draft> {
    let checks = prop::collection::vec(0..POOL, 0..4);
    let weight = prop_oneof![Just(1_u32), 0..20_u32, Just(u32::MAX)];
    let servers = prop::collection::vec((1..4_u16, weight, checks), 0..4);
    let virtual_servers = (prop::bool::weighted(0.3), servers);
    prop::collection::vec(virtual_servers, 0..=usize::from(VIRTUAL)).prop_map(Draft)
}

pub fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::GOOD),
        1 => prop_oneof![0..254_u32, Just(u32::MAX)]
            .prop_map(|weight| Outcome::Good { weight: Some(weight) }),
        3 => prop_oneof![Just(Failure::Refused), Just(Failure::Exit(1)), Just(Failure::TimedOut)]
            .prop_map(Outcome::Bad),
        1 => prop_oneof![Just(LocalError::Bind), Just(LocalError::Descriptors)]
            .prop_map(Outcome::Local),
    ]
}

fn value() -> impl Strategy<Value = TrackerValue> {
    prop_oneof![
        Just(TrackerValue::Pending),
        Just(TrackerValue::Up),
        Just(TrackerValue::Down),
        (-3..100).prop_map(TrackerValue::Number),
        any::<i32>().prop_map(TrackerValue::Number),
    ]
}

pub fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        0..5_000_000_000_u64,
        (0..20_u64).prop_map(|halves| halves * 500_000_000)
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => nanos().prop_map(Op::Wait),
        2 => nanos().prop_map(Op::Stall),
        2 => Just(Op::Tick),
        8 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Op::Answer { which, outcome }),
        1 => (0..12_u32, 0..60_u64, outcome())
            .prop_map(|(check, number, outcome)| Op::Stray { check, number, outcome }),
        1 => value().prop_map(Op::Tracker),
        1 => (1..=VIRTUAL, any::<bool>())
            .prop_map(|(virtual_server, is_here)| Op::Presence { virtual_server, is_here }),
        2 => draft().prop_map(Op::Configure),
    ]
}

/// So little at once that everything has to wait for something.
pub const NARROW: Limits = Limits { connections: 2, scripts: 1, per_call: 2 };
/// A limit that no test reaches.
pub const WIDE: Limits = Limits { connections: 1000, scripts: 1000, per_call: 1000 };

impl World {
    /// Nobody answers by itself.
    pub fn quiet(now: u64, draft: &Draft, limits: Limits) -> Self {
        let mut world = Self::at(at(now), DirectorConfig::default(), limits);
        world.otherwise = Behaviour::Silent;
        world.configure(draft.config());
        world
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Wait(nanos) => self.run(Duration::from_nanos(*nanos)),
            Op::Stall(nanos) => self.now = self.now + Duration::from_nanos(*nanos),
            Op::Tick => self.tick(),
            Op::Answer { which, outcome } => {
                let count = self.running.len().max(1);
                if let Some(id) = self.running.iter().nth(which % count).copied() {
                    self.answer(id, *outcome);
                }
            }
            Op::Stray { check, number, outcome } => {
                let id = AttemptId { check: CheckId(*check), number: *number };
                self.answer(id, *outcome);
            }
            Op::Tracker(value) => {
                let file = TrackerName::new(FILE);
                self.act(|health, now, out| health.on_tracker(now, file, *value, out));
            }
            Op::Presence { virtual_server, is_here } => {
                let name = virtual_name(*virtual_server);
                self.act(|health, _, _| health.on_presence(&name, *is_here));
            }
            Op::Configure(draft) => self.configure(draft.config()),
        }
    }

    /// Everything that is told of each real server: up, weight.
    pub fn standing(&self) -> Vec<(String, bool, u32)> {
        let status = self.health.status();
        let servers = status.servers();
        servers.map(|one| (one.name().to_string(), one.is_up(), one.weight())).collect()
    }
}

/// Every real server of the pool does this.
pub fn all_do(world: &mut World, behaviour: Behaviour) {
    for number in 1..4 {
        world.behaviour.insert(real(number), behaviour);
    }
}
