//! What the director of a host asks for: attempts of health checks, which model real servers
//! answer, and its kernel's IPVS table. Users' packets go through it in [`crate::serving`].
//!
//! An attempt takes the path to the host that has the address: there and back, one delay each,
//! without jitter and chance loss. Nothing comes back through a cut, from a host without power or
//! from one that is frozen; a SYN that nobody hears is sent again. An address that no host of the
//! scenario has always answers.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::health::Check;
use vipd_engine::health::{AttemptId, Outcome, Probe, ProbeCommand};
use vipd_engine::ipvs::{Answer, Batch, Failure, IpvsCommand, Request};
use vipd_scenarios::record::{HostId, Seen, WorldTime};
use vipd_scenarios::scenario::{Conduct, Host as Plan, Scenario};

use crate::configurations::Configurations;
use crate::host::{Host, Outside};
use crate::ipvs::Table;
use crate::link::Cut;
use crate::network::{Due, Network, PortId};
use crate::process::Told;
use crate::real_server::{Asked, ModelServer};
use crate::requests::{AGAIN_SYN, MOST_SYNS};
use crate::topology::{self, Serving, addresses};

/// There and back on a quiet LAN, to whoever is not in the scenario.
const ELSEWHERE: Duration = Duration::from_micros(200);

/// The hosts as real servers.
pub(crate) struct Servers {
    hosts: Vec<ServerHost>,
    /// Who has an address always, and at which port; in the order of [`key`].
    directory: Vec<(u128, HostId, PortId)>,
    /// What each host asks gets from each place of the directory, as far as somebody asked since
    /// the last step.
    ways: Vec<Cell<Option<Way>>>,
    /// Whoever is not in the scenario.
    elsewhere: ModelServer,
    /// Whoever is not reached.
    silent: ModelServer,
}

/// How a host gets to an address.
#[derive(Clone, Copy)]
enum Way {
    /// There and back.
    Open(Duration),
    Cut,
}

struct ServerHost {
    model: ModelServer,
    addresses: Vec<IpAddr>,
    /// Ports that pass frames.
    open: Vec<PortId>,
    /// Ports and addresses at which it takes connections that directors send it.
    serving: Serving,
}

impl Servers {
    pub(crate) fn new(
        scenario: &Scenario,
        configurations: &Configurations,
        hosts: &[Host],
    ) -> Self {
        let serving = topology::serving(scenario, configurations).into_iter();
        let mut directory = Vec::new();
        let of = |((host, plan), serving): ((&Host, &Plan), Serving)| {
            let all = host.ports.iter().enumerate().flat_map(|(local, port)| {
                let all = addresses(plan, host.id.0, local).into_iter();
                all.map(|(address, _)| (address, host.id, port.id))
            });
            let all: Vec<_> = all.collect();
            let addresses = all.iter().map(|(address, ..)| *address).collect();
            directory
                .extend(all.into_iter().map(|(address, host, port)| (key(address), host, port)));
            ServerHost { serving, model: ModelServer::default(), addresses, open: Vec::new() }
        };
        let known = hosts.iter().zip(&scenario.hosts).zip(serving).map(of).collect();
        // Of several that have it the first one.
        directory.sort_by_key(|(key, ..)| *key);
        directory.dedup_by_key(|(key, ..)| *key);
        let mut servers = Self {
            ways: vec![Cell::new(None); hosts.len() * directory.len()],
            hosts: known,
            directory,
            elsewhere: ModelServer::default(),
            silent: ModelServer::new(WorldTime(0), Conduct::Silent),
        };
        servers.refresh(hosts);
        servers
    }

    /// Only steps change what passes, so this is asked for behind each.
    pub(crate) fn refresh(&mut self, hosts: &[Host]) {
        for (server, host) in self.hosts.iter_mut().zip(hosts) {
            let ports = host.ports.iter();
            let open = ports.filter(|port| host.is_running() && host.kernel.passes(port.index));
            server.open.clear();
            server.open.extend(open.map(|port| port.id));
        }
        self.ways.iter().for_each(|way| way.set(None));
    }

    pub(crate) fn set(&mut self, now: WorldTime, host: HostId, conduct: Conduct) {
        if let Some(server) = self.hosts.get_mut(usize::from(host.0)) {
            server.model = ModelServer { conduct, since: now, ..server.model.clone() };
        }
    }

    /// What a host does now to connections that come to this address and port as to a real server;
    /// `None`: it is none there.
    pub(crate) fn conduct(
        &self,
        now: WorldTime,
        host: HostId,
        (address, port): (IpAddr, u16),
    ) -> Option<Conduct> {
        let server = self.hosts.get(usize::from(host.0))?;
        let own = server.addresses.contains(&address);
        let takes = own || server.serving.hidden.contains(&address);
        (takes && server.serving.ports.contains(&port)).then(|| server.model.conduct_at(now))
    }

    /// The model of whoever has the address, and how long the way there and back is; silent if
    /// there is none.
    fn ask(&self, net: &Network, from: &Host, address: IpAddr) -> (&ModelServer, Duration) {
        let key = key(address);
        let Ok(place) = self.directory.binary_search_by_key(&key, |(known, ..)| *known) else {
            return (&self.elsewhere, ELSEWHERE);
        };
        let (_, host, port) = self.directory[place];
        let server = &self.hosts[usize::from(host.0)];
        let known = &self.ways[usize::from(from.id.0) * self.directory.len() + place];
        let way = known.get().unwrap_or_else(|| {
            let own = from.ports.iter().any(|own| own.id == port);
            let round_trip = match own {
                true => Some(Duration::ZERO),
                false => self.round_trip(net, from, server, port),
            };
            round_trip.map_or(Way::Cut, Way::Open)
        });
        known.set(Some(way));
        match way {
            Way::Open(round_trip) => (&server.model, round_trip),
            Way::Cut => (&self.silent, Duration::ZERO),
        }
    }

    fn round_trip(
        &self,
        net: &Network,
        from: &Host,
        server: &ServerHost,
        port: PortId,
    ) -> Option<Duration> {
        let mine = self.hosts.get(usize::from(from.id.0))?;
        let delay = |from: PortId, to: PortId| {
            let (_, path) = net.port(from).paths.iter().find(|(end, _)| *end == to)?;
            (path.cut() != Cut::Everything).then(|| path.delay())
        };
        let way = |own: &PortId| Some(delay(*own, port)? + delay(port, *own)?);
        let open = server.open.contains(&port);
        mine.open.iter().filter(|_| open).find_map(way)
    }
}

/// One number for an address: each attempt looks two up. No host has an IPv4-mapped address.
fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// What a host has of it.
#[derive(Debug)]
pub(crate) struct Balancing {
    pub(crate) table: Table,
    seed: u64,
    /// What the kernel was asked for, when it does it, and whether somebody waits for the answer.
    requests: VecDeque<(WorldTime, bool, Request)>,
    /// Attempts whose end is known, or whose SYN is sent again, by the number that they are due
    /// under, in its order.
    attempts: VecDeque<(u64, Attempt)>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Attempt {
    id: AttemptId,
    check: Arc<Check>,
    url: u32,
    /// How often its SYN was sent again.
    again: u32,
    /// `None`: nobody has heard of it.
    outcome: Option<Outcome>,
}

impl Balancing {
    pub(crate) fn new(seed: u64) -> Self {
        let (requests, attempts) = (VecDeque::new(), VecDeque::new());
        Self { table: Table::new(seed), seed, requests, attempts, last: 0 }
    }
}

impl Host {
    /// The engine orders something of an attempt.
    pub(crate) fn perform_probe(&mut self, probe: Probe, out: &mut Outside<'_>) {
        let id = probe.id;
        let (check, url) = match probe.command {
            ProbeCommand::Start { check, url } => (check, url),
            ProbeCommand::Cancel => {
                self.balancing.attempts.retain(|(_, attempt)| attempt.id != id);
                return;
            }
        };
        self.attempt(Attempt { id, check, url, again: 0, outcome: None }, out);
    }

    /// Makes an attempt, as one that nobody has heard of until now.
    fn attempt(&mut self, mut attempt: Attempt, out: &mut Outside<'_>) {
        let Attempt { id, ref check, url, again, .. } = attempt;
        let (server, round_trip) = out.servers.ask(out.net, self, check.address);
        let asked = Asked { check, url, number: id.number, round_trip };
        let after = match server.react(out.net.now, asked) {
            Some(reaction) => {
                attempt.outcome = Some(reaction.outcome);
                reaction.after
            }
            None if server.hears_no_syn(check) => {
                attempt.again += 1;
                AGAIN_SYN.saturating_mul(1 << again.min(MOST_SYNS))
            }
            None => return,
        };
        self.balancing.last += 1;
        let number = self.balancing.last;
        self.balancing.attempts.push_back((number, attempt));
        out.net.queue.push(out.net.now.later(after), Due::Checked { host: self.id, number });
    }

    /// An attempt ends, unless its server fell silent meanwhile; or its SYN is sent again.
    pub(crate) fn on_checked(&mut self, number: u64, out: &mut Outside<'_>) {
        let attempts = &mut self.balancing.attempts;
        let place = attempts.binary_search_by_key(&number, |(known, _)| *known);
        let Some((_, attempt)) = place.ok().and_then(|place| attempts.remove(place)) else {
            return;
        };
        let Some(outcome) = attempt.outcome else { return self.attempt(attempt, out) };
        let (server, _) = out.servers.ask(out.net, self, attempt.check.address);
        if server.conduct != Conduct::Silent {
            self.tell(Told::Probe { id: attempt.id, outcome });
            self.drain(out);
        }
    }

    /// The engine asks the kernel about its table.
    pub(crate) fn submit_ipvs(&mut self, request: Request, out: &mut Outside<'_>) {
        let now = out.net.now;
        let requests = &mut self.balancing.requests;
        let earliest = requests.back().map_or(now, |(due, ..)| (*due).max(now));
        let due = earliest.max(now.later(self.kernel.delay()));
        requests.push_back((due, true, request));
        if due > now {
            out.net.queue.push(due, Due::Command { host: self.id });
        } else {
            self.complete_ipvs(out);
        }
    }

    /// Does what is due of it.
    pub(crate) fn complete_ipvs(&mut self, out: &mut Outside<'_>) {
        while let Some((due, ..)) = self.balancing.requests.front()
            && *due <= out.net.now
            && let Some((_, is_awaited, request)) = self.balancing.requests.pop_front()
        {
            let number = request.number();
            let answers = match request {
                Request::Batch(batch) => vec![Answer::Done(Ok(self.change_table(&batch, out)))],
                Request::Read(read) => {
                    self.balancing.table.read(&read).into_iter().map(Answer::Observed).collect()
                }
            };
            for answer in answers.into_iter().filter(|_| is_awaited) {
                let answer = Box::new(answer);
                self.tell(Told::Ipvs { number, answer });
            }
        }
    }

    fn change_table(&mut self, batch: &Batch, out: &mut Outside<'_>) -> Vec<Failure> {
        let now = Timestamp::from_nanos(out.net.now.0);
        let mut failures = Vec::new();
        for (place, command) in (0..).zip(&batch.commands) {
            let seen = self.foreseen(command);
            match self.balancing.table.perform(now, command) {
                Ok(()) => seen.into_iter().for_each(|seen| self.see(seen, out)),
                Err(error) => failures.push(Failure { place, error }),
            }
        }
        failures
    }

    /// What is seen of a command that is done.
    fn foreseen(&self, command: &IpvsCommand) -> Vec<Seen> {
        let table = &self.balancing.table;
        let gone = |service| {
            table.destinations(service).map(move |(endpoint, ..)| Seen::Destination {
                service,
                endpoint,
                weight: None,
            })
        };
        match *command {
            IpvsCommand::AddDestination { service, endpoint, spec }
            | IpvsCommand::EditDestination { service, endpoint, spec } => {
                vec![Seen::Destination { service, endpoint, weight: Some(spec.weight) }]
            }
            IpvsCommand::RemoveDestination { service, endpoint } => {
                vec![Seen::Destination { service, endpoint, weight: None }]
            }
            IpvsCommand::RemoveService(service) => gone(service).collect(),
            IpvsCommand::Flush => table.services().flat_map(gone).collect(),
            IpvsCommand::SetTimeouts(_)
            | IpvsCommand::AddService { .. }
            | IpvsCommand::EditService { .. }
            | IpvsCommand::StartSync { .. }
            | IpvsCommand::StopSync(_) => Vec::new(),
        }
    }

    /// The process is gone: nobody waits for anything any more. The table stays.
    pub(crate) fn orphan_balancing(&mut self) {
        self.balancing.attempts.clear();
        self.balancing.requests.iter_mut().for_each(|(_, is_awaited, _)| *is_awaited = false);
    }

    /// The machine is off: its table is gone.
    pub(crate) fn reset_balancing(&mut self, out: &mut Outside<'_>) {
        for seen in self.foreseen(&IpvsCommand::Flush) {
            self.see(seen, out);
        }
        let Balancing { seed, last, .. } = self.balancing;
        self.balancing = Balancing { last, ..Balancing::new(seed) };
    }
}
