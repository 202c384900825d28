//! A world for tests of the director: the model of the kernel's table, real servers that answer,
//! refuse or keep silent, and a list of everything that was put out.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::director::{DirectorConfig, RealServer, Service};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::director::{Director, DirectorOutput};
use vipd_engine::health::{AttemptId, Failure, Limits, Outcome, Probe, ProbeCommand, ServerName};
use vipd_engine::ipvs::{
    Batch, Failure as Failed, IpvsCommand, IpvsError, Observed, OrderError, Read, ServerOrder,
};

use crate::ipvs_world::{Fate, Kernel, at, name, real};

pub const LOOP: Duration = Duration::from_secs(6);
pub const TIMEOUT: Duration = Duration::from_secs(5);
pub const PAUSE: Duration = Duration::from_secs(1);
pub const NANO: Duration = Duration::from_nanos(1);

/// keepalived's `TCP_CHECK` of a real server: `connect_timeout` 5 s, `retry` 1,
/// `delay_before_retry` 1 s; with `delay_loop` 6 s and no warmup.
pub fn tcp_check(server: &str) -> Check {
    let endpoint = at(server);
    Check {
        kind: CheckKind::Tcp,
        address: endpoint.address,
        port: endpoint.port,
        bind: Bind::default(),
        timeout: TIMEOUT,
        delay_loop: LOOP,
        retry: 1,
        delay_before_retry: PAUSE,
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

/// A real server with that check.
pub fn checked(server: &str) -> RealServer {
    with(server, tcp_check(server))
}

/// The same, which has to be good once before it is up.
pub fn alpha(server: &str) -> RealServer {
    with(server, Check { alpha: true, ..tcp_check(server) })
}

pub fn with(server: &str, check: Check) -> RealServer {
    RealServer { checks: vec![Arc::new(check)], ..real(server) }
}

/// What a real server does when it is checked.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// It comes to this after so long.
    Answers(Duration, Outcome),
    /// Nothing comes back.
    Silent,
}

pub const GOOD: Behaviour = Behaviour::Answers(Duration::ZERO, Outcome::GOOD);
pub const REFUSES: Behaviour = Behaviour::Answers(Duration::ZERO, Outcome::Bad(Failure::Refused));

#[derive(Clone, Debug)]
pub struct World {
    pub director: Director,
    pub kernel: Kernel,
    pub now: Timestamp,
    pub log: Vec<(Timestamp, DirectorOutput)>,
    /// What becomes of what is asked of the kernel next; then all is answered.
    pub fates: VecDeque<Fate>,
    /// By address; the others are good.
    behaviour: BTreeMap<IpAddr, Behaviour>,
    /// Attempts under way.
    pub running: BTreeMap<AttemptId, IpAddr>,
    /// Answers on their way.
    coming: BTreeSet<(Timestamp, AttemptId, Outcome)>,
}

impl World {
    pub fn new() -> Self {
        Self::of(Timestamp::from_nanos(0), Limits::default())
    }

    pub fn of(now: Timestamp, limits: Limits) -> Self {
        Self {
            director: Director::new(limits),
            kernel: Kernel::default(),
            now,
            log: Vec::new(),
            fates: VecDeque::new(),
            behaviour: BTreeMap::new(),
            running: BTreeMap::new(),
            coming: BTreeSet::new(),
        }
    }

    /// A director that has this configuration in force, with an empty log.
    pub fn with(config: &DirectorConfig) -> Self {
        let mut world = Self::new();
        world.configure(config);
        world.run(Duration::ZERO);
        world.log.clear();
        world
    }

    pub fn configure(&mut self, config: &DirectorConfig) {
        let config = Arc::new(config.clone());
        self.act(|director, now, out| director.configure(now, config, out));
    }

    pub fn address(&mut self, address: IpAddr, present: bool) {
        self.act(|director, now, out| director.on_address(now, address, present, out));
    }

    pub fn order(
        &mut self,
        service: Service,
        server: &str,
        order: ServerOrder,
    ) -> Result<(), OrderError> {
        let endpoint = at(server);
        let server = ServerName {
            virtual_server: name(service),
            address: endpoint.address,
            port: endpoint.port,
        };
        let mut result = Ok(());
        self.act(|director, now, out| result = director.order(now, &server, order, out));
        result
    }

    /// The real server does this from now on. What it was asked before is lost if it is silent.
    pub fn set(&mut self, server: &str, behaviour: Behaviour) {
        let address = at(server).address;
        self.behaviour.insert(address, behaviour);
        if let Behaviour::Silent = behaviour {
            let running = &self.running;
            self.coming.retain(|(_, id, _)| running[id] != address);
        }
    }

    pub fn behaviour(&self, address: IpAddr) -> Behaviour {
        self.behaviour.get(&address).copied().unwrap_or(GOOD)
    }

    /// One input, and what the kernel and the real servers do about it.
    pub fn act(&mut self, act: impl FnOnce(&mut Director, Timestamp, &mut Vec<DirectorOutput>)) {
        let mut out = Vec::new();
        act(&mut self.director, self.now, &mut out);
        self.director.check_invariants();
        self.log.extend(out.iter().map(|output| (self.now, output.clone())));
        for output in out {
            match output {
                DirectorOutput::Probe(probe) => self.probe(&probe),
                DirectorOutput::Batch(batch) => self.do_batch(&batch),
                DirectorOutput::Read(read) => self.do_read(&read),
                DirectorOutput::News(_) => {}
            }
        }
    }

    fn probe(&mut self, probe: &Probe) {
        let id = probe.id;
        match &probe.command {
            ProbeCommand::Start { check, .. } => {
                assert!(self.running.insert(id, check.address).is_none(), "a number is used twice");
                if let Behaviour::Answers(after, outcome) = self.behaviour(check.address) {
                    self.coming.insert((self.now + after, id, outcome));
                }
            }
            ProbeCommand::Cancel => {
                assert!(self.running.remove(&id).is_some(), "nothing to cancel");
                self.coming.retain(|(_, coming, _)| *coming != id);
            }
        }
    }

    fn do_batch(&mut self, batch: &Batch) {
        let fate = self.fates.pop_front().unwrap_or(Fate::Answered);
        let mut failures = Vec::new();
        match fate {
            Fate::Lost | Fate::Late => return,
            Fate::Failed(error) => return self.done(batch.number, Err(error)),
            Fate::Answered | Fate::Unanswered | Fate::Refused(_) => {}
        }
        for (place, command) in (0..).zip(&batch.commands) {
            let refused = matches!(fate, Fate::Refused(bits) if bits & (1 << (place % 8)) != 0);
            let result =
                if refused { Err(IpvsError::Refused) } else { self.kernel.perform(command) };
            failures.extend(result.err().map(|error| Failed { place, error }));
        }
        if fate != Fate::Unanswered {
            self.done(batch.number, Ok(&failures));
        }
    }

    fn do_read(&mut self, read: &Read) {
        match self.fates.pop_front().unwrap_or(Fate::Answered) {
            _ if self.kernel.is_bare => return self.done(read.number, Err(IpvsError::NoIpvs)),
            Fate::Answered => {}
            Fate::Failed(error) => return self.done(read.number, Err(error)),
            Fate::Refused(_) => return self.done(read.number, Err(IpvsError::Refused)),
            Fate::Unanswered | Fate::Lost | Fate::Late => return,
        }
        let seen = read.services.iter().filter_map(|service| self.kernel.seen(*service));
        let seen: Vec<_> = seen.map(Observed::Service).collect();
        for observed in [Observed::Begin].into_iter().chain(seen).chain([Observed::End]) {
            self.act(|director, now, out| director.on_observed(now, read.number, observed, out));
        }
    }

    fn done(&mut self, number: u64, result: Result<&[Failed], IpvsError>) {
        self.act(|director, now, out| director.on_done(now, number, result, out));
    }

    /// The next answer or deadline, if it comes until then. Answers come first.
    pub fn step(&mut self, until: Timestamp) -> bool {
        let answer = self.coming.first().copied().filter(|(at, ..)| *at <= until);
        let deadline = self.director.deadline().filter(|at| *at <= until);
        if let Some((at, id, outcome)) = answer
            && deadline.is_none_or(|deadline| at <= deadline)
        {
            self.coming.pop_first();
            self.running.remove(&id);
            self.now = self.now.max(at);
            self.act(|director, now, out| director.on_outcome(now, id, outcome, out));
        } else if let Some(at) = deadline {
            self.now = self.now.max(at);
            self.act(Director::tick);
        } else {
            return false;
        }
        true
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        while self.step(until) {
            at_once += 1;
            assert!(at_once < 1_000_000, "it has no end: {:?}", self.director.deadline());
        }
        self.now = until;
    }

    /// Runs until something is put out that is meant. Returns how long that took.
    pub fn until(
        &mut self,
        limit: Duration,
        is_meant: impl Fn(&DirectorOutput) -> bool,
    ) -> Duration {
        let (since, mut seen) = (self.now, self.log.len());
        loop {
            if self.log[seen..].iter().any(|(_, output)| is_meant(output)) {
                return self.now - since;
            }
            seen = self.log.len();
            assert!(self.step(since + limit), "it took longer than {limit:?}");
        }
    }

    /// The commands since the log was last taken, with the log.
    pub fn commands(&mut self) -> Vec<IpvsCommand> {
        let commands = self.log.drain(..).flat_map(|(_, output)| match output {
            DirectorOutput::Batch(batch) => batch.commands,
            DirectorOutput::Probe(_) | DirectorOutput::Read(_) | DirectorOutput::News(_) => vec![],
        });
        commands.collect()
    }

    /// What people were told since the log was last taken, with the log.
    pub fn told(&mut self) -> Vec<String> {
        let log = self.log.drain(..);
        let news = log.filter(|(_, output)| matches!(output, DirectorOutput::News(_)));
        news.map(|(_, output)| output.to_string()).collect()
    }

    /// All lines since the log was last taken but for reads and attempts, with the log.
    pub fn lines(&mut self) -> Vec<String> {
        let log = self.log.drain(..).filter(|(_, output)| {
            !matches!(output, DirectorOutput::Read(_))
                && !matches!(output, DirectorOutput::Probe(probe)
                    if matches!(probe.command, ProbeCommand::Start { .. }))
        });
        log.flat_map(|(_, one)| one.to_string().lines().map(str::to_string).collect::<Vec<_>>())
            .collect()
    }

    /// Destinations with their weights, as the kernel has them.
    pub fn weights(&self, service: Service) -> Vec<(String, u32)> {
        let (_, destinations) = self.kernel.table.get(&service).expect("the service is there");
        destinations.iter().map(|(endpoint, spec)| (endpoint.to_string(), spec.weight)).collect()
    }

    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.director.fingerprint(self.now, &mut hasher);
        hasher.finish()
    }
}

/// Whether it takes this real server out of the table.
pub fn removes(output: &DirectorOutput, server: &str) -> bool {
    let server = at(server);
    commands(output).iter().any(|command| {
        matches!(command, IpvsCommand::RemoveDestination { endpoint, .. } if *endpoint == server)
    })
}

/// Whether it puts this real server into the table.
pub fn adds(output: &DirectorOutput, server: &str) -> bool {
    let server = at(server);
    commands(output).iter().any(|command| {
        matches!(command, IpvsCommand::AddDestination { endpoint, .. } if *endpoint == server)
    })
}

fn commands(output: &DirectorOutput) -> &[IpvsCommand] {
    match output {
        DirectorOutput::Batch(batch) => &batch.commands,
        DirectorOutput::Probe(_) | DirectorOutput::Read(_) | DirectorOutput::News(_) => &[],
    }
}
