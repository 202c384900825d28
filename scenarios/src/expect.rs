//! Whether what must be seen was seen: expectations, evaluated from the Record alone.
//!
//! [`Witness`] listens and keeps terms of mastership, spans of ownership, state changes and news,
//! and `expect::clients` what clients saw; after the run each expectation is put to it. A host is
//! master on the wire from its first advert with a priority above 0 until its priority-0 advert,
//! the end of its process, or silence: its last advert, if none follows within two intervals. Where
//! engines speak, their own word is a second column, and the two must agree; where they do not,
//! `expect::unheard` says what the outside shows of a change of state.

mod clients;
mod unheard;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::director::Service;
use vipd_engine::event::Seconds;
use vipd_engine::ipvs::Endpoint;
use vipd_engine::{Event, Family, News, StateKind};

use crate::record::{
    HostId, MachineChange, Observation, ProcessChange, Recorder, RouterKey, Seen, SeenAdvert,
    Setting, WorldTime,
};
use crate::scenario::{Expect, Expectation, Scenario};
use clients::Clients;
use unheard::Unheard;

/// From and until, both included.
type Span = (WorldTime, WorldTime);

/// A real server of a service in the kernel of a host.
type Pooled = (HostId, Service, Endpoint);

/// An expectation after the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Place of the expectation in the scenario.
    pub index: usize,
    /// `None` if it was met, else what was seen instead.
    pub instead: Option<String>,
    /// Why it cannot be judged in this world; it does not decide then.
    pub not_judged: Option<String>,
    /// What was measured, where the expectation sets a limit to a time.
    pub measured: Option<Duration>,
}

/// A term of mastership that may still go on.
#[derive(Clone, Copy, Debug)]
struct Term {
    first: WorldTime,
    last: WorldTime,
    /// The next advert is due by then, or the term ended with the last one.
    silent_after: WorldTime,
}

/// What an engine says of one virtual router.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    master: bool,
    /// Since when it says so; `None` also while its process stands still and says nothing.
    since: Option<WorldTime>,
}

/// Keeps what expectations ask for.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// By host; mostly one virtual router each.
    running: Vec<Vec<(RouterKey, Term)>>,
    terms: Vec<(HostId, RouterKey, Span)>,
    owning: BTreeMap<(IpAddr, HostId), WorldTime>,
    owned: Vec<(IpAddr, HostId, Span)>,
    /// Routes and rules that are held, since when, and those that were.
    holding: BTreeMap<(Arc<str>, HostId), WorldTime>,
    held: Vec<(Arc<str>, HostId, Span)>,
    /// Real servers that get connections, since when, and those that did.
    pooling: BTreeMap<Pooled, WorldTime>,
    pooled: Vec<(Pooled, Span)>,
    instances: BTreeMap<(HostId, String), (Family, u8)>,
    claims: BTreeMap<(HostId, (Family, u8)), Claim>,
    claimed: Vec<(HostId, (Family, u8), Span)>,
    entered: Vec<(WorldTime, HostId, (Family, u8), StateKind)>,
    news: Vec<(WorldTime, HostId, String)>,
    clients: Clients,
    unheard: Unheard,
}

impl Recorder for Witness {
    fn observe(&mut self, observation: &Observation) {
        let Observation { at, host, seen } = observation;
        if let Some((router, state)) = self.unheard.hear(observation) {
            self.entered.push((*at, *host, router, state));
        }
        match seen {
            Seen::AdvertSent(advert) => self.on_advert(*at, *host, advert),
            Seen::AdvertDelivered(_) | Seen::AdvertLost(..) | Seen::Dropped(_) => {}
            Seen::Owns { address, owns, .. } => self.on_owns(*at, *host, *address, *owns),
            Seen::Fib { entry, present } => self.on_fib(*at, *host, entry, *present),
            Seen::Process(change) => match change {
                ProcessChange::Stopped | ProcessChange::Killed => self.on_end(*at, *host),
                ProcessChange::Paused => self.suspend_claims(*at, *host),
                ProcessChange::Resumed => self.resume_claims(*at, *host),
                ProcessChange::Started | ProcessChange::Stopping => {}
            },
            Seen::Machine(change) => match change {
                MachineChange::Off => self.on_end(*at, *host),
                MachineChange::Frozen { .. } => self.suspend_claims(*at, *host),
                MachineChange::Thawed => self.resume_claims(*at, *host),
                MachineChange::On => {}
            },
            Seen::Configured(config) => {
                for instance in config.instances() {
                    let key = (*host, instance.name.to_string());
                    self.instances.insert(key, (instance.family, instance.vrid.get()));
                }
            }
            Seen::Engine(event) => self.on_event(*at, *host, event),
            Seen::Probe { sent, answered_by, .. } => {
                self.clients.on_probe(*host, *sent, *answered_by);
            }
            Seen::Request { sent, ended, answered_by } => {
                self.clients.on_request(*host, (*sent, *ended), *answered_by);
            }
            Seen::Destination { service, endpoint, weight } => {
                let gets = weight.is_some_and(|weight| weight > 0);
                self.on_destination(*at, (*host, *service, *endpoint), gets);
            }
            Seen::Address { .. }
            | Seen::Announced { .. }
            | Seen::Answered { .. }
            | Seen::Neighbour { .. }
            | Seen::Link { .. }
            | Seen::Path { .. }
            | Seen::Step(_) => {}
        }
    }
}

impl Witness {
    /// A witness who knows whose engines are heard; the default one hears all.
    #[must_use]
    pub fn new(setting: &Setting) -> Self {
        Self { unheard: Unheard::new(setting), ..Self::default() }
    }

    fn on_advert(&mut self, at: WorldTime, host: HostId, advert: &SeenAdvert) {
        let slot = usize::from(host.0);
        if advert.sender != Some(host) {
            return;
        }
        if self.running.len() <= slot {
            self.running.resize(slot + 1, Vec::new());
        }
        let running = &mut self.running[slot];
        let known = running.iter().position(|(router, _)| *router == advert.router);
        match known {
            Some(index) if advert.priority == 0 => {
                let (router, term) = running.remove(index);
                self.terms.push((host, router, (term.first, at)));
            }
            Some(index) => {
                let (router, term) = &mut running[index];
                if at > term.silent_after {
                    self.terms.push((host, *router, (term.first, term.last)));
                    term.first = at;
                }
                (term.last, term.silent_after) = (at, silent_after(at, advert));
            }
            None if advert.priority == 0 => {}
            None => {
                let silent_after = silent_after(at, advert);
                running.push((advert.router, Term { first: at, last: at, silent_after }));
            }
        }
    }

    fn end_terms(&mut self, at: WorldTime, host: HostId) {
        let Some(running) = self.running.get_mut(usize::from(host.0)) else { return };
        for (router, term) in running.drain(..) {
            let until = if at > term.silent_after { term.last } else { at };
            self.terms.push((host, router, (term.first, until)));
        }
    }

    /// The process is gone, and its word with it.
    fn on_end(&mut self, at: WorldTime, host: HostId) {
        self.end_terms(at, host);
        self.suspend_claims(at, host);
        for (_, claim) in claims_of(&mut self.claims, host) {
            claim.master = false;
        }
    }

    fn suspend_claims(&mut self, at: WorldTime, host: HostId) {
        for ((_, router), claim) in claims_of(&mut self.claims, host) {
            if let Some(since) = claim.since.take() {
                self.claimed.push((host, *router, (since, at)));
            }
        }
    }

    fn resume_claims(&mut self, at: WorldTime, host: HostId) {
        for (_, claim) in claims_of(&mut self.claims, host) {
            claim.since = claim.master.then_some(at);
        }
    }

    fn on_state(&mut self, at: WorldTime, host: HostId, router: (Family, u8), to: StateKind) {
        self.entered.push((at, host, router, to));
        let claim = self.claims.entry((host, router)).or_default();
        claim.master = to == StateKind::Master;
        if claim.master {
            claim.since.get_or_insert(at);
        } else if let Some(since) = claim.since.take() {
            self.claimed.push((host, router, (since, at)));
        }
    }

    fn on_owns(&mut self, at: WorldTime, host: HostId, address: IpAddr, owns: bool) {
        if owns {
            self.owning.entry((address, host)).or_insert(at);
        } else if let Some(from) = self.owning.remove(&(address, host)) {
            self.owned.push((address, host, (from, at)));
        }
    }

    fn on_fib(&mut self, at: WorldTime, host: HostId, entry: &Arc<str>, present: bool) {
        let key = (Arc::clone(entry), host);
        if present {
            self.holding.entry(key).or_insert(at);
        } else if let Some(from) = self.holding.remove(&key) {
            self.held.push((key.0, host, (from, at)));
        }
    }

    fn on_destination(&mut self, at: WorldTime, server: Pooled, gets: bool) {
        if gets {
            self.pooling.entry(server).or_insert(at);
        } else if let Some(from) = self.pooling.remove(&server) {
            self.pooled.push((server, (from, at)));
        }
    }

    fn on_event(&mut self, at: WorldTime, host: HostId, event: &Event) {
        match &event.news {
            News::State { to, .. } => {
                let key = (host, event.instance.to_string());
                if let Some(router) = self.instances.get(&key) {
                    self.on_state(at, host, *router, *to);
                }
            }
            News::Mismatch { mismatch, .. } => {
                self.news.push((at, host, format!("mismatch/{}", mismatch.name())));
            }
            other => self.news.push((at, host, other.name().to_string())),
        }
    }

    /// Puts every expectation to what was seen. `tolerance` widens each window at its outer ends,
    /// and narrows it where something must hold all through.
    #[must_use]
    pub fn judge(
        mut self,
        expectations: &[Expectation],
        end: WorldTime,
        tolerance: Duration,
        names: &dyn Fn(HostId) -> String,
    ) -> Vec<Met> {
        self.close(end);
        let put = |expectation: &Expectation| {
            let (from, until) = expectation.window;
            if from > end {
                return Some("the run ended before the window began".to_string());
            }
            let outer = (from.earlier(tolerance), until.later(tolerance));
            let inner = (from.later(tolerance), until.earlier(tolerance).min(end));
            // A window shorter than two tolerances shrinks to its middle, not to nothing.
            let middle = WorldTime(from.0.midpoint(until.0.min(end.0)));
            let inner = if inner.0 > inner.1 { (middle, middle) } else { inner };
            self.put(&expectation.expect, (outer, inner), end, tolerance, names)
        };
        let judged = |(index, expectation): (usize, &Expectation)| {
            let (from, until) = expectation.window;
            let outer = (from.earlier(tolerance), until.later(tolerance));
            let not_judged = self.unheard.cannot_judge(&expectation.expect, outer, names);
            let instead = if not_judged.is_none() { put(expectation) } else { None };
            let measured = self.clients.measure(&expectation.expect, outer, end);
            Met { index, instead, not_judged, measured }
        };
        expectations.iter().enumerate().map(judged).collect()
    }

    fn close(&mut self, end: WorldTime) {
        let hosts = 0..self.running.len() as u16;
        hosts.for_each(|host| self.end_terms(end, HostId(host)));
        for ((host, router), claim) in &self.claims {
            if let Some(since) = claim.since {
                self.claimed.push((*host, *router, (since, end)));
            }
        }
        for ((address, host), from) in std::mem::take(&mut self.owning) {
            self.owned.push((address, host, (from, end)));
        }
        for (server, from) in std::mem::take(&mut self.pooling) {
            self.pooled.push((server, (from, end)));
        }
        for ((entry, host), from) in std::mem::take(&mut self.holding) {
            self.held.push((entry, host, (from, end)));
        }
    }

    fn put(
        &self,
        expect: &Expect,
        (outer, inner): (Span, Span),
        end: WorldTime,
        tolerance: Duration,
        names: &dyn Fn(HostId) -> String,
    ) -> Option<String> {
        match expect {
            Expect::Masters { router, hosts } => self.masters(*router, hosts, inner, names),
            Expect::Owners { address, hosts } => {
                let of_address = self.owned.iter().filter(|(known, _, _)| known == address);
                all_through(of_address.map(|(_, host, span)| (*host, *span)), hosts, inner, names)
            }
            Expect::Holders { entry, hosts } => {
                let of_entry = self.held.iter().filter(|(known, _, _)| known == entry);
                all_through(of_entry.map(|(_, host, span)| (*host, *span)), hosts, inner, names)
            }
            Expect::Pool { host, service, servers } => {
                let asked = service.as_deref();
                self.pool(*host, asked, servers, inner)
            }
            Expect::Enters { host, router, state } => {
                if router.is_none() && self.routers_of(Some(*host)).len() > 1 {
                    return Some(AMBIGUOUS.to_string());
                }
                let entered = self.entered.iter().filter(|(_, who, key, to)| {
                    who == host && to == state && router.is_none_or(|router| router == *key)
                });
                exactly_once(entered.map(|(at, ..)| *at), outer)
            }
            Expect::Event { host, name, times } => {
                let named = |known: &str| {
                    known == name
                        || known.strip_prefix("mismatch/").is_some_and(|_| name == "mismatch")
                };
                let seen = self.news.iter().filter(|(_, who, known)| who == host && named(known));
                let count = seen.filter(|(at, ..)| within(*at, outer)).count();
                let met = times.map_or(count > 0, |times| count == times as usize);
                (!met).then(|| format!("{count} times"))
            }
            Expect::ClientGap { at_most, .. } => {
                let longest = self.clients.measure(expect, outer, end);
                let longest = longest.ok_or_else(|| "nothing was asked".to_string());
                longest.map_or_else(Some, |gap| {
                    let late = gap > at_most.saturating_add(tolerance);
                    late.then(|| format!("a gap of {} s", Seconds(gap)))
                })
            }
            Expect::Outage { at_most, .. } => {
                let longest = self.clients.measure(expect, outer, end);
                let longest = longest.ok_or_else(|| "nothing was asked".to_string());
                longest.map_or_else(Some, |outage| {
                    let late = outage > at_most.saturating_add(tolerance);
                    late.then(|| format!("an outage of {} s", Seconds(outage)))
                })
            }
            Expect::AnsweredBy { client, host } => {
                let met = self.clients.is_answered_by(*client, *host, outer);
                (!met).then(|| format!("nothing was answered by {}", names(*host)))
            }
        }
    }

    fn pool(
        &self,
        host: HostId,
        service: Option<&str>,
        servers: &[Endpoint],
        window: Span,
    ) -> Option<String> {
        let own = || self.pooled.iter().filter(|((of, ..), _)| *of == host);
        let services: BTreeSet<Service> = own().map(|((_, service, _), _)| *service).collect();
        let mut asked =
            services.iter().filter(|one| service.is_none_or(|service| one.to_string() == service));
        let (first, second) = (asked.next(), asked.next());
        if second.is_some() {
            return Some("several services: the expectation must name one by `service`".into());
        }
        let of_it = own().filter(|((_, service, _), _)| Some(service) == first);
        let spans = of_it.map(|((.., endpoint), span)| (*endpoint, *span));
        all_through(spans, servers, window, &|endpoint| endpoint.to_string())
    }

    /// On the wire and by their own word; an engine that never speaks has no second column.
    fn masters(
        &self,
        router: Option<(Family, u8)>,
        hosts: &[HostId],
        window: Span,
        names: &dyn Fn(HostId) -> String,
    ) -> Option<String> {
        if router.is_none() && self.routers_of(None).len() > 1 {
            return Some(AMBIGUOUS.to_string());
        }
        let asked = |key: (Family, u8)| router.is_none_or(|router| router == key);
        let on_wire = self.terms.iter().filter(|(_, key, _)| asked((key.family, key.vrid)));
        let on_wire = on_wire.map(|(host, _, span)| (*host, *span));
        if let Some(instead) = all_through(on_wire, hosts, window, names) {
            return Some(instead);
        }
        let speaks = |host: &HostId| self.claims.keys().any(|(speaker, _)| speaker == host);
        let speakers: Vec<HostId> = hosts.iter().copied().filter(speaks).collect();
        let claimed = self.claimed.iter().filter(|(_, key, _)| asked(*key));
        let claimed = claimed.map(|(host, _, span)| (*host, *span));
        let instead = all_through(claimed, &speakers, window, names);
        instead.map(|instead| format!("{instead} by its own word, not on the wire"))
    }

    /// The virtual routers of one host, or of all.
    fn routers_of(&self, host: Option<HostId>) -> BTreeSet<(Family, u8)> {
        let known = self.instances.iter();
        let of_host = known.filter(|((who, _), _)| host.is_none_or(|host| host == *who));
        of_host.map(|(_, router)| *router).collect()
    }
}

impl Expectation {
    /// One line, such as `10.6 s to 19 s: masters director-2`.
    #[must_use]
    pub fn line(&self, scenario: &Scenario) -> String {
        let name = |host: &HostId| scenario.hosts[usize::from(host.0)].name.to_string();
        let list = |hosts: &[HostId]| match hosts {
            [] => "nobody".to_string(),
            hosts => hosts.iter().map(name).collect::<Vec<_>>().join(", "),
        };
        let vrid = |router: &Option<(Family, u8)>| {
            router.map_or_else(String::new, |(_, vrid)| format!(" of vrid {vrid}"))
        };
        let what = match &self.expect {
            Expect::Masters { router, hosts } => format!("masters{} {}", vrid(router), list(hosts)),
            Expect::Owners { address, hosts } => format!("owners of {address} {}", list(hosts)),
            Expect::Holders { entry, hosts } => format!("holders of {entry} {}", list(hosts)),
            Expect::Pool { host, service, servers } => {
                let servers: Vec<_> = servers.iter().map(Endpoint::to_string).collect();
                let servers = if servers.is_empty() { "nobody".into() } else { servers.join(", ") };
                let of = service.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
                format!("pool{of} at {} {servers}", name(host))
            }
            Expect::Enters { host, router, state } => {
                format!("{} enters {state}{}", name(host), vrid(router))
            }
            Expect::Event { host, name: event, times: None } => {
                format!("{} reports {event}", name(host))
            }
            Expect::Event { host, name: event, times: Some(times) } => {
                format!("{} reports {event} {times} times", name(host))
            }
            Expect::ClientGap { host, at_most } => {
                format!("{} waits at most {} s", name(host), Seconds(*at_most))
            }
            Expect::Outage { host, at_most } => {
                format!("{} has no outage of more than {} s", name(host), Seconds(*at_most))
            }
            Expect::AnsweredBy { client, host } => {
                format!("{} is answered by {}", name(client), name(host))
            }
        };
        let (from, until) = self.window;
        format!("{} to {}: {what}", short(from), short(until))
    }
}

fn short(at: WorldTime) -> String {
    format!("{} s", Seconds(Duration::from_nanos(at.0)))
}

const AMBIGUOUS: &str = "several virtual routers: the expectation must name one by `vrid`";

fn claims_of(
    claims: &mut BTreeMap<(HostId, (Family, u8)), Claim>,
    host: HostId,
) -> impl Iterator<Item = (&(HostId, (Family, u8)), &mut Claim)> {
    claims.range_mut((host, (Family::Ipv4, 0))..=(host, (Family::Ipv6, u8::MAX)))
}

/// Whether exactly `hosts` (or real servers) have spans that cover the window, and nobody else one
/// that touches it.
fn all_through<K: Copy + Ord>(
    spans: impl Iterator<Item = (K, Span)>,
    hosts: &[K],
    window: Span,
    names: &dyn Fn(K) -> String,
) -> Option<String> {
    let mut by_host: BTreeMap<K, Vec<Span>> = BTreeMap::new();
    for (host, span) in spans.filter(|(_, span)| span.0 <= window.1 && span.1 >= window.0) {
        by_host.entry(host).or_default().push(span);
    }
    for host in hosts {
        let covers = |span: &Span| span.0 <= window.0 && span.1 >= window.1;
        if !by_host.get(host).is_some_and(|spans| spans.iter().any(covers)) {
            let seen = by_host.get(host).map(|spans| spans_text(spans));
            let seen = seen.unwrap_or_else(|| "never".to_string());
            return Some(format!("{} {seen}", names(*host)));
        }
    }
    let other = by_host.iter().find(|(host, _)| !hosts.contains(host));
    other.map(|(host, spans)| format!("{} too: {}", names(*host), spans_text(spans)))
}

fn exactly_once(times: impl Iterator<Item = WorldTime>, window: Span) -> Option<String> {
    let times: Vec<_> = times.collect();
    match times.iter().filter(|at| within(**at, window)).count() {
        1 => None,
        0 if times.is_empty() => Some("never".to_string()),
        0 => {
            let listed: Vec<_> = times.iter().map(|at| format!("{at} s")).collect();
            Some(format!("at {}", listed.join(", ")))
        }
        count => Some(format!("{count} times")),
    }
}

fn spans_text(spans: &[Span]) -> String {
    let texts = spans.iter().map(|(from, until)| format!("{from} s to {until} s"));
    texts.collect::<Vec<_>>().join(", ")
}

/// Two intervals after an advert. No advert carries more than a few minutes.
fn silent_after(at: WorldTime, advert: &SeenAdvert) -> WorldTime {
    at.later(advert.interval * 2)
}

const fn within(at: WorldTime, window: Span) -> bool {
    at.0 >= window.0.0 && at.0 <= window.1.0
}

#[cfg(test)]
mod tests;
