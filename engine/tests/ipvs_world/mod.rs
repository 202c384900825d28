//! A director and a model of the kernel's IPVS table, which answers, fails, is silent or late as it
//! is told to. Its rules are those of `net/netfilter/ipvs/ip_vs_ctl.c`, written down anew.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod stage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, Service, SorryServer,
    Timeouts, VirtualServer, VirtualServerName,
};
use vipd_engine::ipvs::{
    Batch, DestinationSpec, Effect, Endpoint, Failure, Health, Ipvs, IpvsCommand, IpvsError, News,
    Observed, Read, Seen, ServerOrder, ServiceSpec, Settings, SyncRole, SyncSpec,
};

pub type Destinations = BTreeMap<Endpoint, DestinationSpec>;
pub type Tables = BTreeMap<Service, (ServiceSpec, Destinations)>;

/// The model of the kernel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernel {
    pub table: Tables,
    pub sync: BTreeMap<SyncRole, SyncSpec>,
    /// Threads that somebody else started.
    pub foreign: BTreeSet<SyncRole>,
    pub timeouts: Timeouts,
    /// It has no IPVS.
    pub is_bare: bool,
}

impl Kernel {
    pub fn perform(&mut self, command: &IpvsCommand) -> Result<(), IpvsError> {
        if self.is_bare {
            return Err(IpvsError::NoIpvs);
        }
        match command {
            IpvsCommand::Flush => self.table.clear(),
            IpvsCommand::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
                self.timeouts.tcp = tcp.or(self.timeouts.tcp);
                self.timeouts.tcp_fin = tcp_fin.or(self.timeouts.tcp_fin);
                self.timeouts.udp = udp.or(self.timeouts.udp);
            }
            IpvsCommand::AddService { service, .. } if self.table.contains_key(service) => {
                return Err(IpvsError::Exists);
            }
            IpvsCommand::AddService { service, spec } => {
                let mut spec = spec.clone();
                spec.scheduling.hashed = true;
                self.table.insert(*service, (spec, Destinations::new()));
            }
            IpvsCommand::EditService { service, spec } => {
                let (there, _) = self.table.get_mut(service).ok_or(IpvsError::NoService)?;
                *there = spec.clone();
                there.scheduling.hashed = true;
            }
            IpvsCommand::RemoveService(service) => {
                self.table.remove(service).ok_or(IpvsError::NoService)?;
            }
            IpvsCommand::AddDestination { service, endpoint, spec } => {
                let (_, there) = self.table.get_mut(service).ok_or(IpvsError::NoService)?;
                if there.contains_key(endpoint) {
                    return Err(IpvsError::Exists);
                }
                there.insert(*endpoint, *spec);
            }
            IpvsCommand::EditDestination { service, endpoint, spec } => {
                let (_, there) = self.table.get_mut(service).ok_or(IpvsError::NoService)?;
                *there.get_mut(endpoint).ok_or(IpvsError::NotThere)? = *spec;
            }
            IpvsCommand::RemoveDestination { service, endpoint } => {
                let (_, there) = self.table.get_mut(service).ok_or(IpvsError::NoService)?;
                there.remove(endpoint).ok_or(IpvsError::NotThere)?;
            }
            IpvsCommand::StartSync { role, .. } if self.sync.contains_key(role) => {
                return Err(IpvsError::Exists);
            }
            IpvsCommand::StartSync { role, spec } => {
                self.sync.insert(*role, spec.clone());
                self.foreign.remove(role);
            }
            IpvsCommand::StopSync(role) => {
                self.sync.remove(role).ok_or(IpvsError::NoService)?;
            }
        }
        Ok(())
    }

    /// As Linux tells them: it has filled in what was left open.
    pub fn settings(&self) -> Settings {
        let filled = |spec: &SyncSpec| SyncSpec {
            maxlen: Some(spec.maxlen.unwrap_or(1472)),
            port: Some(spec.port.unwrap_or(8848)),
            ttl: Some(spec.ttl.unwrap_or(1)),
            group: Some(spec.group.unwrap_or([224, 0, 0, 81].into())),
            ..spec.clone()
        };
        let sync = self.sync.iter().map(|(role, spec)| (*role, filled(spec))).collect();
        let limit = |set: Option<Duration>, own| Some(set.unwrap_or(Duration::from_secs(own)));
        let Timeouts { tcp, tcp_fin, udp } = self.timeouts;
        let timeouts =
            Timeouts { tcp: limit(tcp, 900), tcp_fin: limit(tcp_fin, 120), udp: limit(udp, 300) };
        Settings { timeouts, sync }
    }

    pub fn seen(&self, service: Service) -> Option<Seen> {
        let (spec, destinations) = self.table.get(&service)?;
        let destinations = destinations.iter().map(|(key, spec)| (*key, Some(*spec))).collect();
        Some(Seen { service, spec: Some(spec.clone()), destinations })
    }
}

/// What becomes of the next batch or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done and answered.
    Answered,
    /// It is done, and the answer is lost.
    Unanswered,
    /// It is lost.
    Lost,
    /// It is done when the next one is asked for, and is never answered.
    Late,
    /// As a whole it fails like this.
    Failed(IpvsError),
    /// Of a batch, every command of which this bit is set (by its place modulo 8) is refused.
    Refused(u8),
}

/// A director above a model kernel.
#[derive(Clone, Debug)]
pub struct World {
    pub ipvs: Ipvs,
    pub kernel: Kernel,
    pub now: Timestamp,
    /// Everything that was asked and told since it was last taken.
    pub log: Vec<Effect>,
    /// What becomes of what is asked for next; then all is answered.
    pub fates: VecDeque<Fate>,
    late: Vec<IpvsCommand>,
    /// What is asked for waits until it is told to be done.
    pub held: bool,
    pub waiting: Vec<Effect>,
    /// Somebody edited the director: what must hold need not hold of it.
    pub edited: bool,
}

pub const SECOND: Duration = Duration::from_secs(1);

impl World {
    pub fn new() -> Self {
        Self::at(Timestamp::from_nanos(7))
    }

    pub fn at(now: Timestamp) -> Self {
        Self {
            ipvs: Ipvs::new(),
            kernel: Kernel::default(),
            now,
            log: Vec::new(),
            fates: VecDeque::new(),
            late: Vec::new(),
            held: false,
            waiting: Vec::new(),
            edited: false,
        }
    }

    /// A director that has this configuration in the kernel.
    pub fn with(config: &DirectorConfig) -> Self {
        let mut world = Self::new();
        world.configure(config);
        world.log.clear();
        world
    }

    /// One input, and all that follows from it at once.
    pub fn tell(&mut self, input: impl FnOnce(&mut Ipvs, Timestamp, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        input(&mut self.ipvs, self.now, &mut out);
        self.perform(out);
        self.drain();
    }

    pub fn configure(&mut self, config: &DirectorConfig) {
        self.tell(|ipvs, now, out| ipvs.configure(now, config, out));
    }

    pub fn health(&mut self, name: &VirtualServerName, server: Endpoint, health: Health) {
        self.tell(|ipvs, now, out| ipvs.on_server(now, name, server, health, out));
    }

    pub fn order(&mut self, name: &VirtualServerName, server: Endpoint, order: ServerOrder) {
        self.tell(|ipvs, now, out| ipvs.order(now, name, server, order, out).expect("a server"));
    }

    pub fn address(&mut self, address: IpAddr, present: bool) {
        self.tell(|ipvs, now, out| ipvs.on_address(now, address, present, out));
    }

    pub fn instance(&mut self, role: SyncRole) {
        self.tell(|ipvs, now, out| ipvs.on_instance(now, role, out));
    }

    pub fn stop(&mut self) {
        self.tell(Ipvs::stop);
    }

    /// Ticks that are due by now.
    fn drain(&mut self) {
        for _ in 0..10_000 {
            if !self.edited {
                self.ipvs.check_invariants();
            }
            if self.ipvs.deadline().is_none_or(|at| at > self.now) {
                return;
            }
            self.tick();
        }
        panic!("it has no end: {:?}", self.ipvs.deadline());
    }

    fn tick(&mut self) {
        let mut out = Vec::new();
        self.ipvs.on_tick(self.now, &|_, _| None, &mut out);
        self.perform(out);
    }

    /// Time passes, with a tick at each deadline.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.ipvs.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tick();
            self.drain();
        }
        self.now = end;
        self.drain();
    }

    /// What was held is done now.
    pub fn release(&mut self) {
        self.held = false;
        let waiting = std::mem::take(&mut self.waiting);
        self.perform_all(waiting);
        self.drain();
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        self.log.extend(effects.iter().cloned());
        if self.held {
            let asks = |effect: &Effect| matches!(effect, Effect::Batch(_) | Effect::Read(_));
            self.waiting.extend(effects.into_iter().filter(asks));
        } else {
            self.perform_all(effects);
        }
    }

    fn perform_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Batch(batch) => self.do_batch(&batch),
                Effect::Read(read) => self.do_read(&read),
                Effect::Rest { .. } | Effect::InForce | Effect::News(_) => {}
            }
        }
    }

    fn do_batch(&mut self, batch: &Batch) {
        self.catch_up();
        let fate = self.fates.pop_front().unwrap_or(Fate::Answered);
        let mut failures = Vec::new();
        match fate {
            Fate::Lost => return,
            Fate::Late => return self.late.extend(batch.commands.iter().cloned()),
            Fate::Failed(error) => return self.done(batch.number, Err(error)),
            Fate::Answered | Fate::Unanswered | Fate::Refused(_) => {}
        }
        for (place, command) in (0..).zip(&batch.commands) {
            let refused = matches!(fate, Fate::Refused(bits) if bits & (1 << (place % 8)) != 0);
            let result =
                if refused { Err(IpvsError::Refused) } else { self.kernel.perform(command) };
            failures.extend(result.err().map(|error| Failure { place, error }));
        }
        if fate != Fate::Unanswered {
            self.done(batch.number, Ok(&failures));
        }
    }

    fn do_read(&mut self, read: &Read) {
        self.catch_up();
        match self.fates.pop_front().unwrap_or(Fate::Answered) {
            _ if self.kernel.is_bare => return self.done(read.number, Err(IpvsError::NoIpvs)),
            Fate::Answered => {}
            // The end of it is lost.
            Fate::Unanswered => {
                self.observed(read.number, Observed::Begin);
                let first = read.services.first().and_then(|service| self.kernel.seen(*service));
                if let Some(seen) = first {
                    self.observed(read.number, Observed::Service(seen));
                }
                return;
            }
            Fate::Lost | Fate::Late => return,
            Fate::Refused(_) => return self.done(read.number, Err(IpvsError::Refused)),
            Fate::Failed(error) => return self.done(read.number, Err(error)),
        }
        self.observed(read.number, Observed::Begin);
        for service in &read.services {
            if let Some(seen) = self.kernel.seen(*service) {
                self.observed(read.number, Observed::Service(seen));
            }
        }
        if read.settings {
            self.observed(read.number, Observed::Settings(self.kernel.settings()));
        }
        self.observed(read.number, Observed::End);
    }

    /// What was late is done.
    pub fn catch_up(&mut self) {
        for command in std::mem::take(&mut self.late) {
            let _ = self.kernel.perform(&command);
        }
    }

    fn done(&mut self, number: u64, result: Result<&[Failure], IpvsError>) {
        let mut out = Vec::new();
        self.ipvs.on_done(self.now, number, result, &mut out);
        self.perform(out);
    }

    fn observed(&mut self, number: u64, observed: Observed) {
        let mut out = Vec::new();
        self.ipvs.on_observed(self.now, number, observed, &mut out);
        self.perform(out);
    }

    pub fn fingerprint(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.ipvs.fingerprint(self.now, &mut hasher);
        hasher.finish()
    }

    /// The commands of the log, which is empty then.
    pub fn commands(&mut self) -> Vec<IpvsCommand> {
        let log = std::mem::take(&mut self.log);
        let commands = log.into_iter().flat_map(|effect| match effect {
            Effect::Batch(batch) => batch.commands,
            Effect::Read(_) | Effect::Rest { .. } | Effect::InForce | Effect::News(_) => Vec::new(),
        });
        commands.collect()
    }

    /// The log as lines without the reads and that a configuration is in force, which is empty
    /// then.
    pub fn lines(&mut self) -> Vec<String> {
        let log = std::mem::take(&mut self.log);
        let told = log.iter().filter(|effect| !matches!(effect, Effect::Read(_) | Effect::InForce));
        told.flat_map(|effect| effect.to_string().lines().map(str::to_string).collect::<Vec<_>>())
            .collect()
    }

    /// The news of the log, which is empty then.
    pub fn news(&mut self) -> Vec<News> {
        let log = std::mem::take(&mut self.log);
        let news = log.into_iter().filter_map(|effect| match effect {
            Effect::News(news) => Some(news),
            Effect::Batch(_) | Effect::Read(_) | Effect::Rest { .. } | Effect::InForce => None,
        });
        news.collect()
    }

    /// Destinations with their weights, as the kernel has them.
    pub fn weights(&self, service: Service) -> Vec<(String, u32)> {
        let (_, destinations) = self.kernel.table.get(&service).expect("the service is there");
        destinations.iter().map(|(endpoint, spec)| (endpoint.to_string(), spec.weight)).collect()
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn at(text: &str) -> Endpoint {
    let socket: std::net::SocketAddr = text.parse().expect("address and port");
    Endpoint { address: socket.ip(), port: socket.port() }
}

pub fn tcp(text: &str) -> Service {
    let Endpoint { address, port } = at(text);
    Service::Address { address, port, protocol: Protocol::Tcp }
}

pub fn name(service: Service) -> VirtualServerName {
    match service {
        Service::Address { address, port, protocol } => {
            VirtualServerName::Address { address, port, protocol }
        }
        Service::Fwmark { mark, family } => VirtualServerName::Fwmark { mark, family },
    }
}

pub fn real(text: &str) -> RealServer {
    let Endpoint { address, port } = at(text);
    RealServer {
        address,
        port,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [].into(),
    }
}

pub fn sorry(text: &str) -> SorryServer {
    let Endpoint { address, port } = at(text);
    SorryServer { address, port, forwarding: Forwarding::Nat, inhibit: false }
}

/// A virtual server of one service with these real servers.
pub fn virtual_server(service: Service, servers: &[&str]) -> VirtualServer {
    let scheduler = Scheduler::Wlc;
    VirtualServer {
        name: name(service),
        services: vec![service],
        scheduling: Scheduling { scheduler, flags: 0, hashed: false, one_packet: false },
        persistence: None,
        real_servers: servers.iter().map(|text| real(text)).collect(),
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    }
}

pub fn config(virtual_servers: &[VirtualServer]) -> DirectorConfig {
    let virtual_servers = virtual_servers.iter().cloned().map(Arc::new).collect();
    DirectorConfig { virtual_servers, ..DirectorConfig::default() }
}
