//! A world for tests of `health`: real servers that answer, refuse or keep silent, and a list of
//! what was put out.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod ops;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, VirtualServer,
    VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::health::{
    AttemptId, Failure, Health, Limits, News, Outcome, Output, ProbeCommand, ServerStatus,
};

pub const SECOND: Duration = Duration::from_secs(1);
pub const NANO: Duration = Duration::from_nanos(1);

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Address of the real server with this number.
pub fn real(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::from([192, 168, high, low])
}

pub fn virtual_name(number: u8) -> VirtualServerName {
    VirtualServerName::Address {
        address: IpAddr::from([10, 0, 0, number]),
        port: 80,
        protocol: Protocol::Tcp,
    }
}

/// keepalived's `TCP_CHECK` of a real server: `connect_timeout` 5 s, `retry` 1,
/// `delay_before_retry` 1 s; with `delay_loop` 6 s, and no warmup.
pub fn tcp(number: u16) -> Check {
    Check {
        kind: CheckKind::Tcp,
        address: real(number),
        port: 80,
        bind: Bind::default(),
        timeout: seconds(5),
        delay_loop: seconds(6),
        retry: 1,
        delay_before_retry: SECOND,
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

/// A script of that number, with keepalived's defaults: no retry.
pub fn script(number: u16, dynamic: bool) -> Check {
    let script = format!("check-{number}");
    Check { kind: CheckKind::Script { script, dynamic }, retry: 0, ..tcp(number) }
}

/// A real server with that number and these checks.
pub fn server(number: u16, checks: &[Check]) -> RealServer {
    RealServer {
        address: real(number),
        port: 80,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: checks.iter().cloned().map(Into::into).collect(),
    }
}

/// A virtual server with that number.
pub fn virtual_server(number: u8, real_servers: Vec<RealServer>) -> VirtualServer {
    VirtualServer {
        name: virtual_name(number),
        services: Vec::new(),
        scheduling: Scheduling {
            scheduler: Scheduler::Wlc,
            flags: 0,
            hashed: false,
            one_packet: false,
        },
        persistence: None,
        real_servers,
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    }
}

pub fn director(virtual_servers: Vec<VirtualServer>) -> DirectorConfig {
    let virtual_servers = virtual_servers.into_iter().map(Arc::new).collect();
    DirectorConfig { virtual_servers, ..DirectorConfig::default() }
}

/// One virtual server with these real ones.
pub fn one(real_servers: Vec<RealServer>) -> DirectorConfig {
    director(vec![virtual_server(1, real_servers)])
}

/// What a real server does when it is checked.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// It comes to this after so long.
    Answers(Duration, Outcome),
    /// Nothing comes back.
    Silent,
}

pub const ANSWERS: Behaviour = Behaviour::Answers(Duration::ZERO, Outcome::GOOD);
pub const REFUSES: Behaviour = bad(Failure::Refused);

pub const fn bad(failure: Failure) -> Behaviour {
    Behaviour::Answers(Duration::ZERO, Outcome::Bad(failure))
}

#[derive(Clone, Debug)]
pub struct World {
    pub health: Health,
    pub now: Timestamp,
    pub log: Vec<(Timestamp, Output)>,
    /// By address.
    pub behaviour: BTreeMap<IpAddr, Behaviour>,
    /// What the others do.
    pub otherwise: Behaviour,
    /// Attempts under way.
    pub running: BTreeSet<AttemptId>,
    /// Answers on their way.
    coming: BTreeSet<(Timestamp, AttemptId, Outcome)>,
}

impl World {
    pub fn new(config: DirectorConfig) -> Self {
        Self::at(Timestamp::ZERO, config, Limits::default())
    }

    pub fn at(now: Timestamp, config: DirectorConfig, limits: Limits) -> Self {
        let mut world = Self {
            health: Health::new(limits),
            now,
            log: Vec::new(),
            behaviour: BTreeMap::new(),
            otherwise: ANSWERS,
            running: BTreeSet::new(),
            coming: BTreeSet::new(),
        };
        world.configure(config);
        world
    }

    pub fn configure(&mut self, config: DirectorConfig) {
        self.act(|health, now, out| health.configure(now, Arc::new(config), out));
    }

    pub fn tick(&mut self) {
        self.act(Health::tick);
    }

    /// The real server with this number does this from now on.
    pub fn set(&mut self, number: u16, behaviour: Behaviour) {
        self.behaviour.insert(real(number), behaviour);
    }

    /// Lets it act now, and the servers answer what it starts.
    pub fn act(&mut self, act: impl FnOnce(&mut Health, Timestamp, &mut Vec<Output>)) {
        let mut out = Vec::new();
        act(&mut self.health, self.now, &mut out);
        self.health.check_invariants();
        for output in out {
            if let Output::Probe(probe) = &output {
                let id = probe.id;
                match &probe.command {
                    ProbeCommand::Start { check, .. } => {
                        assert!(self.running.insert(id), "a number is used twice");
                        let known = self.behaviour.get(&check.address);
                        if let Behaviour::Answers(after, outcome) = known.unwrap_or(&self.otherwise)
                        {
                            self.coming.insert((self.now + *after, id, *outcome));
                        }
                    }
                    ProbeCommand::Cancel => {
                        assert!(self.running.remove(&id), "nothing to cancel");
                        self.coming.retain(|(_, coming, _)| *coming != id);
                    }
                }
            }
            self.log.push((self.now, output));
        }
    }

    /// The next answer or deadline, if it comes until then. Answers come first.
    pub fn step(&mut self, until: Timestamp) -> bool {
        let answer = self.coming.first().copied().filter(|(at, ..)| *at <= until);
        let deadline = self.health.next_deadline().filter(|at| *at <= until);
        if let Some((at, id, outcome)) = answer
            && deadline.is_none_or(|deadline| at <= deadline)
        {
            self.coming.pop_first();
            self.now = self.now.max(at);
            self.answer(id, outcome);
        } else if let Some(at) = deadline {
            self.now = self.now.max(at);
            self.tick();
        } else {
            return false;
        }
        true
    }

    pub fn answer(&mut self, id: AttemptId, outcome: Outcome) {
        self.running.remove(&id);
        self.act(|health, now, out| health.on_outcome(now, id, outcome, out));
    }

    pub fn run_until(&mut self, until: Timestamp) {
        while self.step(until) {}
        self.now = until;
    }

    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// What was told since this was asked last, in words, each with the seconds.
    pub fn told(&mut self) -> Vec<String> {
        let log = self.log.drain(..);
        log.filter(|(_, output)| matches!(output, Output::News(_)))
            .map(|(at, output)| format!("{at} {output}"))
            .collect()
    }

    /// What was put out since this was asked last, in words.
    pub fn put_out(&mut self) -> Vec<String> {
        self.log.drain(..).map(|(at, output)| format!("{at} {output}")).collect()
    }

    /// When attempts began since this was asked last.
    pub fn starts(&mut self) -> Vec<Timestamp> {
        let log = self.log.drain(..);
        log.filter(|(_, output)| is_start(output)).map(|(at, _)| at).collect()
    }

    pub fn server(&self, virtual_server: u8, number: u16) -> ServerStatus<'_> {
        let status = self.health.status();
        status.server(&virtual_name(virtual_server), real(number), 80).expect("such a server")
    }

    pub fn is_up(&self, number: u16) -> bool {
        self.server(1, number).is_up()
    }

    /// Runs until the real server is up or down. Returns how long that took.
    pub fn until_it_is(&mut self, number: u16, up: bool, limit: Duration) -> Duration {
        let since = self.now;
        while self.is_up(number) != up {
            assert!(self.step(since + limit), "it took longer than {limit:?}");
        }
        self.now - since
    }

    /// Runs until an attempt begins.
    pub fn until_it_starts(&mut self) {
        let before = self.log.len();
        while !self.log[before..].iter().any(|(_, output)| is_start(output)) {
            assert!(self.step(self.now + seconds(1000)), "nothing begins");
        }
    }

    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.health.fingerprint(self.now, &mut hasher);
        hasher.finish()
    }
}

pub fn is_start(output: &Output) -> bool {
    matches!(output, Output::Probe(probe) if matches!(probe.command, ProbeCommand::Start { .. }))
}

pub fn is_news_of_server(output: &Output) -> bool {
    matches!(output, Output::News(News::ServerUp { .. } | News::ServerDown { .. }))
}
