//! L7: a real server that is dead leaves the pool in time and a live one comes back; where there is
//! a sorry server the pool is empty for no longer than the exchange takes.
//!
//! What a real server does is known from the steps of the scenario, and from paths and machines;
//! what the pool is, from the kernel's table. The engine's word is not asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::Config;
use vipd_engine::config::director::{RealServer, Service, VirtualServer};
use vipd_engine::config::health::{Check, CheckKind, PlacedCheck};
use vipd_engine::ipvs::Endpoint;

use super::change::{Change, What};
use super::score::Score;
use super::terms::{plus, since};
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::{HostId, Seen, SegmentId, WorldTime};
use crate::scenario::{Conduct, Step};

/// L7.
#[derive(Debug)]
pub(super) struct Pool {
    score: Score,
    conducts: BTreeMap<HostId, Conduct>,
    directors: BTreeMap<HostId, Director>,
}

/// A host whose process has virtual servers.
#[derive(Debug)]
struct Director {
    config: Arc<Config>,
    /// The hosts that its checks ask.
    asks: Vec<HostId>,
    /// Its checks count from here: it started, went on, or read a file.
    since: WorldTime,
    running: bool,
    /// Destinations with their weights.
    table: BTreeMap<(Service, Endpoint), u32>,
    /// By the places of virtual server and real server.
    servers: BTreeMap<(usize, usize), Server>,
    /// Services without a destination that gets connections, and since when.
    empty: BTreeMap<Service, WorldTime>,
}

/// What is expected of a real server.
#[derive(Clone, Copy, Debug)]
struct Server {
    health: Health,
    /// How long that may take to show.
    bound: Duration,
    since: WorldTime,
    /// It is where it must be.
    settled: bool,
}

/// What checks must find of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// All of them are good, each time.
    Good,
    /// One of them is bad, each time.
    Bad,
    /// Nothing is promised.
    Unsure,
}

impl Pool {
    pub(super) const fn new() -> Self {
        let missing = "no real server of a virtual server died or came back";
        let score = Score::new(PropertyId::L7, missing);
        Self { score, conducts: BTreeMap::new(), directors: BTreeMap::new() }
    }

    fn note(&mut self, view: &View, change: &Change) {
        let What::Seen(seen) = &change.what else { return };
        match seen {
            Seen::Step(step) => {
                if let Step::Server { host, conduct } = step.step {
                    self.conducts.insert(host, conduct);
                }
            }
            Seen::Configured(config) => {
                let director = self.directors.entry(change.host);
                let director = director.or_insert_with(|| Director::new(Arc::clone(config)));
                director.config = Arc::clone(config);
                director.asks = asked_by(view, config);
                director.begin(change.at);
            }
            Seen::Destination { service, endpoint, weight } => {
                if let Some(director) = self.directors.get_mut(&change.host) {
                    director.put((*service, *endpoint), *weight);
                    director.note_empty(view, *service, &mut self.score);
                }
            }
            _ => {}
        }
    }
}

impl Property for Pool {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        view.setting.tables_seen && concerns(&change.what)
    }

    fn after(&mut self, view: &View, change: &Change) {
        self.note(view, change);
        let Self { score, conducts, directors } = self;
        if let What::Seen(Seen::Destination { endpoint, .. }) = &change.what {
            // What must be is as before.
            let director = directors.get_mut(&change.host).filter(|director| director.running);
            if let Some(director) = director {
                director.compare(view, endpoint.address, score);
            }
            return;
        }
        // A real server answers whatever becomes of a process beside it.
        let may_differ = !matches!(change.what, What::Seen(Seen::Process(_)));
        for (host, director) in directors {
            let running = view.host(*host).is_running();
            let turns = running != director.running;
            if turns {
                director.running = running;
                director.begin(view.now);
            }
            // Of paths it is asked for those between itself and whom its checks ask.
            let elsewhere = match change.what {
                What::Seen(Seen::Path { to, .. }) => {
                    let asks = |one, other| one == *host && director.asks.contains(&other);
                    !asks(change.host, to) && !asks(to, change.host)
                }
                _ => false,
            };
            if running && (turns || (may_differ && !elsewhere)) {
                director.look(view, *host, conducts, score);
            }
        }
    }

    fn finish(&mut self, view: &View, _end: WorldTime) -> Vec<PropertyReport> {
        for director in self.directors.values().filter(|director| director.running) {
            for place in director.servers.keys() {
                director.overdue(view, *place, &mut self.score);
            }
            for (service, since) in &director.empty {
                director.measure_empty(view, *service, *since, &mut self.score);
            }
        }
        vec![self.score.report()]
    }
}

/// Whether it may change what checks find, what is expected of them, or a table.
fn concerns(what: &What) -> bool {
    match what {
        What::Seen(Seen::Step(step)) => matches!(step.step, Step::Server { .. }),
        What::Seen(
            Seen::Configured(_)
            | Seen::Destination { .. }
            | Seen::Process(_)
            | Seen::Machine(_)
            | Seen::Link { .. }
            | Seen::Path { .. },
        ) => true,
        _ => false,
    }
}

impl Director {
    const fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            asks: Vec::new(),
            since: WorldTime(0),
            running: false,
            table: BTreeMap::new(),
            servers: BTreeMap::new(),
            empty: BTreeMap::new(),
        }
    }

    /// What was expected is void.
    fn begin(&mut self, now: WorldTime) {
        self.since = now;
        self.servers.clear();
        self.empty.clear();
    }

    fn put(&mut self, key: (Service, Endpoint), weight: Option<u32>) {
        match weight {
            Some(weight) => self.table.insert(key, weight),
            None => self.table.remove(&key),
        };
    }

    fn virtual_server(&self, place: usize) -> &VirtualServer {
        &self.config.director().virtual_servers[place]
    }

    fn server(&self, (first, second): (usize, usize)) -> (&VirtualServer, &RealServer) {
        let virtual_server = self.virtual_server(first);
        (virtual_server, &virtual_server.real_servers[second])
    }

    /// Compares what must be, which is as before, with what is of the servers at an address.
    fn compare(&mut self, view: &View, address: IpAddr, score: &mut Score) {
        let config = Arc::clone(&self.config);
        for (first, virtual_server) in config.director().virtual_servers.iter().enumerate() {
            for (second, server) in virtual_server.real_servers.iter().enumerate() {
                if server.address == address {
                    self.settle(view, (first, second), score);
                }
            }
        }
    }

    /// Compares what must be with what is.
    fn look(
        &mut self,
        view: &View,
        host: HostId,
        conducts: &BTreeMap<HostId, Conduct>,
        score: &mut Score,
    ) {
        let config = Arc::clone(&self.config);
        for (first, virtual_server) in config.director().virtual_servers.iter().enumerate() {
            let finds = |check: &PlacedCheck| {
                finds(check.manner(), conduct(view, host, conducts, check.address()))
            };
            for (second, health) in healths(virtual_server, finds).into_iter().enumerate() {
                let place = (first, second);
                let known = self.servers.get(&place);
                if known.is_none_or(|known| known.health != health) {
                    self.overdue(view, place, score);
                    let server = &virtual_server.real_servers[second];
                    let bound = bound(view, server, health, finds);
                    let server = Server { health, bound, since: view.now, settled: false };
                    self.servers.insert(place, server);
                    // The table is as before, and so is what else must be.
                    self.settle(view, place, score);
                }
            }
        }
    }

    /// Whether it gets connections of all services, and of any.
    fn gets(&self, place: (usize, usize)) -> (bool, bool) {
        let (virtual_server, server) = self.server(place);
        let weight = |service: &Service| {
            let port = server.port_at(*service);
            let endpoint = Endpoint { address: server.address, port };
            self.table.get(&(*service, endpoint)).copied().unwrap_or(0)
        };
        let gets = virtual_server.services.iter().map(|service| weight(service) > 0);
        gets.fold((true, false), |(all, any), gets| (all && gets, any || gets))
    }

    fn is_right(&self, place: (usize, usize), health: Health) -> bool {
        let (all, any) = self.gets(place);
        match health {
            Health::Good => all,
            Health::Bad => !any,
            Health::Unsure => false,
        }
    }

    fn settle(&mut self, view: &View, place: (usize, usize), score: &mut Score) {
        let server = self.servers.get(&place).copied();
        let Some(server) = server.filter(|server| server.health != Health::Unsure) else { return };
        let right = self.is_right(place, server.health);
        match (server.health, server.settled, right) {
            (Health::Unsure, ..) | (_, true, true) | (_, false, false) => {}
            (_, false, true) => {
                // What was right from the beginning is no instance.
                if view.now > server.since {
                    self.measure(view, place, server, score);
                }
                self.servers.insert(place, Server { settled: true, ..server });
            }
            // An attempt that began before still has its say: it only seemed to be right.
            (_, true, false) if since(view.now, server.since) <= self.echo(view, place) => {
                self.servers.insert(place, Server { settled: false, ..server });
            }
            (Health::Good, true, false) => {
                let name = self.name(place);
                score.breach(|| None, || format!("{name} lives and was taken out"));
                self.servers.insert(place, Server { settled: false, since: view.now, ..server });
            }
            (Health::Bad, true, false) => {
                let name = self.name(place);
                score.breach(|| None, || format!("{name} is dead and was put in"));
                self.servers.insert(place, Server { settled: false, since: view.now, ..server });
            }
        }
    }

    /// How long an attempt may still end as its server was before.
    fn echo(&self, view: &View, place: (usize, usize)) -> Duration {
        let checks = self.server(place).1.checks.iter();
        let longest = checks.map(|check| check.manner().timeout).max().unwrap_or_default();
        view.up(longest) + around(view, 2)
    }

    /// It was not right until now, or is not: beyond the bound that is a breach.
    fn overdue(&self, view: &View, place: (usize, usize), score: &mut Score) {
        let open = self.servers.get(&place).filter(|server| !server.settled);
        let Some(server) = open.filter(|server| server.health != Health::Unsure) else { return };
        let (from, bound) = self.terms(view, place, server);
        if since(view.now, from) > bound {
            self.measure(view, place, *server, score);
        }
    }

    fn measure(&self, view: &View, place: (usize, usize), server: Server, score: &mut Score) {
        let (from, bound) = self.terms(view, place, &server);
        let took = since(view.now, from);
        let what = || {
            let name = self.name(place);
            match server.health {
                Health::Bad => format!("{name} was dead for {took:?} and got connections"),
                _ => format!("{name} lived for {took:?} and got none"),
            }
        };
        let too_late = || view.too_late.map(|host| format!("{} is late", view.host_name(host)));
        score.at_most(took, bound, too_late, what);
    }

    /// From when a server counts, and for how long it may be wrong.
    fn terms(&self, view: &View, place: (usize, usize), server: &Server) -> (WorldTime, Duration) {
        let (_, real) = self.server(place);
        let warmup =
            real.checks.iter().map(|check| check.manner().warmup).max().unwrap_or_default();
        (server.since.max(plus(self.since, view.up(warmup))), server.bound)
    }

    fn name(&self, place: (usize, usize)) -> String {
        let (virtual_server, server) = self.server(place);
        format!("{} of {}", server.address, virtual_server.name)
    }

    /// A service without a destination that gets connections, once it had one.
    fn note_empty(&mut self, view: &View, service: Service, score: &mut Score) {
        let own = self.table.iter().filter(|((of, _), _)| *of == service);
        let is_empty = own.map(|(_, weight)| weight).all(|weight| *weight == 0);
        if is_empty {
            if self.running {
                self.empty.entry(service).or_insert(view.now);
            }
        } else if let Some(began) = self.empty.remove(&service) {
            self.measure_empty(view, service, began, score);
        }
    }

    fn measure_empty(&self, view: &View, service: Service, began: WorldTime, score: &mut Score) {
        let servers = &self.config.director().virtual_servers;
        let owner = servers.iter().find(|one| one.services.contains(&service));
        // Before, it had none either.
        if owner.is_none_or(|owner| owner.sorry_server.is_none()) {
            return;
        }
        let bound = view.setting.release + view.tolerance();
        let empty = since(view.now, began);
        let what = || format!("{service} had no server for {empty:?}, and a sorry server");
        score.at_most(empty, bound, || None, what);
    }
}

/// What checks must find of the real servers of a virtual server; `finds` is what one finds now.
fn healths(virtual_server: &VirtualServer, finds: impl Fn(&PlacedCheck) -> Health) -> Vec<Health> {
    let servers = &virtual_server.real_servers;
    // Checks rest while the address is elsewhere.
    if virtual_server.ha_suspend {
        return vec![Health::Unsure; servers.len()];
    }
    let of = |server: &RealServer| {
        let mut worst = None;
        for check in server.checks.iter().filter(|_| server.weight > 0) {
            match finds(check) {
                Health::Bad => return Health::Bad,
                Health::Unsure => worst = Some(Health::Unsure),
                Health::Good => worst = worst.or(Some(Health::Good)),
            }
        }
        worst.unwrap_or(Health::Unsure)
    };
    let mut healths: Vec<_> = servers.iter().map(of).collect();
    if virtual_server.sorry_server.is_some() {
        // Without a quorum live ones make room for the sorry server.
        let live = servers.iter().zip(&healths).filter(|(_, health)| **health == Health::Good);
        let weight: u64 = live.map(|(server, _)| u64::from(server.weight)).sum();
        let needed = u64::from(virtual_server.quorum) + u64::from(virtual_server.hysteresis);
        if weight < needed.max(1) {
            let good = healths.iter_mut().filter(|health| **health == Health::Good);
            good.for_each(|one| *one = Health::Unsure);
        }
    }
    healths
}

/// How long it may take until that shows.
fn bound(
    view: &View,
    server: &RealServer,
    health: Health,
    finds: impl Fn(&PlacedCheck) -> Health,
) -> Duration {
    let checks = server.checks.iter();
    let bound = match health {
        Health::Bad => {
            let bad = checks.filter(|check| finds(check) == Health::Bad);
            bad.map(|check| until_out(view, check.manner())).min()
        }
        Health::Good => checks.map(|check| until_back(view, check.manner())).max(),
        Health::Unsure => None,
    };
    bound.unwrap_or_default()
}

/// How long a dead server may stay: an attempt in turn, and each that tries again.
fn until_out(view: &View, check: &Check) -> Duration {
    let again = (check.delay_before_retry + check.timeout) * check.retry;
    let whole = (check.delay_loop + check.timeout + again) * urls(check);
    view.up(whole) + around(view, 2 * (check.retry + 1))
}

/// How long a live server may be out.
fn until_back(view: &View, check: &Check) -> Duration {
    view.up((check.delay_loop + check.timeout) * urls(check)) + around(view, 2)
}

/// Timers and answers may be handled late, and a command may wait for another one.
fn around(view: &View, handlers: u32) -> Duration {
    view.late() * handlers + view.setting.release * 2 + view.tolerance()
}

/// Urls that are visited one in each attempt.
fn urls(check: &Check) -> u32 {
    match &check.kind {
        CheckKind::Http(http) if !http.fast_recovery => {
            u32::try_from(http.urls.len()).unwrap_or(u32::MAX).max(1)
        }
        _ => 1,
    }
}

/// The hosts that the checks of a configuration ask, as often as they do.
fn asked_by(view: &View, config: &Config) -> Vec<HostId> {
    let servers = config.director().virtual_servers.iter().flat_map(|one| &one.real_servers);
    let addresses = servers.flat_map(|server| &server.checks).map(PlacedCheck::address);
    addresses.filter_map(|address| Some(host_at(view, address)?.0)).collect()
}

/// Who has an address, and on which segment.
fn host_at(view: &View, address: IpAddr) -> Option<(HostId, SegmentId)> {
    (0..).zip(&view.setting.hosts).find_map(|(id, host)| {
        let known = host.addresses.iter().find(|(_, known)| *known == address)?;
        Some((HostId(id), known.0))
    })
}

/// What a host gets from an address.
fn conduct(
    view: &View,
    from: HostId,
    conducts: &BTreeMap<HostId, Conduct>,
    address: IpAddr,
) -> Conduct {
    let on = |segment| {
        let own = view.setting.hosts.get(usize::from(from.0));
        own.is_some_and(|own| own.addresses.iter().any(|(on, _)| *on == segment))
    };
    match host_at(view, address) {
        Some((host, segment))
            if on(segment)
                && view.passes(segment, from, host, true)
                && view.passes(segment, host, from, true) =>
        {
            conducts.get(&host).copied().unwrap_or_default()
        }
        Some(_) => Conduct::Silent,
        // Whoever is not in the scenario is well.
        None => Conduct::Answers,
    }
}

/// What a check finds of such a server, each time.
fn finds(check: &Check, conduct: Conduct) -> Health {
    // It looks at an answer, and has what it wants without more ado.
    let (looks, is_stream, is_plain) = match &check.kind {
        CheckKind::Tcp => (false, true, true),
        CheckKind::Http(http) => {
            let plain = http.urls.iter().all(|url| url.digest.is_none() && url.pattern.is_none());
            (true, true, plain)
        }
        CheckKind::Smtp { .. } => (true, true, true),
        CheckKind::Dns { .. } => (true, false, true),
        CheckKind::Udp(udp) => (udp.requires_reply, false, true),
        CheckKind::Ping => (true, false, true),
        CheckKind::Script { .. } | CheckKind::File { .. } => return Health::Unsure,
    };
    let is_echo = matches!(check.kind, CheckKind::Ping);
    match conduct {
        Conduct::Refuses | Conduct::Unreachable => Health::Bad,
        Conduct::Answers if is_plain => Health::Good,
        Conduct::Silent if looks || is_stream => Health::Bad,
        Conduct::Hangs if looks => Health::Bad,
        Conduct::Silent | Conduct::Hangs => Health::Good,
        Conduct::Lies | Conduct::Resets | Conduct::Closes | Conduct::Drips { .. }
            if is_stream && !looks =>
        {
            Health::Good
        }
        Conduct::Lies | Conduct::Resets | Conduct::Closes if is_stream => Health::Bad,
        Conduct::Lies if is_echo => Health::Good,
        Conduct::Answers
        | Conduct::Lies
        | Conduct::Resets
        | Conduct::Closes
        | Conduct::Drips { .. }
        | Conduct::Flaps { .. } => Health::Unsure,
    }
}
