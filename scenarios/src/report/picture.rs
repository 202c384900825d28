//! What a report draws of a run: stretches of time, made of its [`History`].
//!
//! A lane is one host in one virtual router, coloured by what its engine says of itself; where a
//! host does not speak (keepalived, FRR), its adverts say whether it is master, as the judge reads
//! them (docs/properties.md). How long nobody or several were master is measured in
//! [`super::intervals`]. Nothing here judges.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use vipd_engine::config::Transport;
use vipd_engine::{Config, Event, Family, News, StateKind};

use super::history::History;
use super::intervals::{self, Interval};
use crate::record::{
    HostId, LossReason, MachineChange, Observation, PacketId, ProcessChange, RouterKey, Seen,
    SeenAdvert, SegmentId, WorldTime,
};
use crate::scenario::Scenario;

/// Something was so from one time to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub(super) from: WorldTime,
    pub(super) to: WorldTime,
    pub(super) what: T,
}

/// Stretches one after the other, of which the last one may still be open.
#[derive(Clone, Debug)]
pub(super) struct Track<T> {
    pub(super) spans: Vec<Span<T>>,
    open: Option<(WorldTime, T)>,
}

impl<T> Default for Track<T> {
    fn default() -> Self {
        Self { spans: Vec::new(), open: None }
    }
}

impl<T: Clone + PartialEq> Track<T> {
    /// From `at` on it is so; `None`: nothing is.
    fn set(&mut self, at: WorldTime, what: Option<T>) {
        if self.now() == what.as_ref() {
            return;
        }
        if let Some((from, what)) = self.open.take()
            && from < at
        {
            self.spans.push(Span { from, to: at, what });
        }
        self.open = what.map(|what| (at, what));
    }

    fn now(&self) -> Option<&T> {
        self.open.as_ref().map(|(_, what)| what)
    }
}

/// What a router is, as far as it can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The engine says so.
    State(StateKind),
    /// It runs and says nothing of itself.
    Silent,
}

impl Condition {
    /// The name on the page and in files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::State(state) => state.name(),
            Self::Silent => "running",
        }
    }
}

/// What keeps a whole host from taking part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    Off,
    Frozen,
    Paused,
    LinkDown,
}

impl Halt {
    /// The name on the page and in files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Frozen => "frozen",
            Self::Paused => "paused",
            Self::LinkDown => "link down",
        }
    }
}

/// One advert and where it arrived or was lost.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) at: WorldTime,
    pub(super) advert: SeenAdvert,
    pub(super) ends: Vec<(HostId, WorldTime, Option<LossReason>)>,
}

/// What can be drawn of a run.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) lanes: BTreeMap<(RouterKey, HostId), Track<Condition>>,
    pub(super) halts: BTreeMap<HostId, Track<Halt>>,
    pub(super) owners: BTreeMap<(IpAddr, HostId), Track<()>>,
    /// By the two hosts: which ways are cut.
    pub(super) cuts: BTreeMap<(SegmentId, HostId, HostId), Track<Ways>>,
    pub(super) clients: BTreeMap<HostId, Track<Option<HostId>>>,
    pub(super) flights: BTreeMap<PacketId, Flight>,
    pub(super) announcements: Vec<(WorldTime, HostId, IpAddr)>,
    pub(super) news: Vec<(WorldTime, HostId, String)>,
    pub(super) steps: Vec<(WorldTime, String)>,
    pub(super) intervals: Vec<Interval>,
    /// When a process or a machine stopped without a word.
    pub(super) crashes: Vec<WorldTime>,
    /// When a router's master sent priority 0.
    pub(super) resignations: Vec<(WorldTime, RouterKey)>,
    /// Routers whose adverts go to each peer by itself.
    pub(super) unicast: BTreeSet<RouterKey>,
}

/// What is cut between two hosts: from the first to the second, and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) there: Cut,
    pub(super) back: Cut,
}

/// What does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cut {
    #[default]
    Nothing,
    Multicast,
    Unicast,
    Everything,
}

impl Picture {
    /// What was so in a run that ended then.
    pub(super) fn of(history: &History, scenario: &Scenario, end: WorldTime) -> Self {
        let mut painter =
            Painter { history, scenario, picture: Self::default(), seen: Now::default() };
        for observation in &history.observations {
            painter.fall_silent(observation.at);
            painter.hear(observation);
        }
        painter.fall_silent(end);
        let mut picture = painter.picture;
        picture.end(end);
        picture.intervals = intervals::of(&picture, history.setting.tolerance, end);
        picture
    }

    /// Closes what is open.
    fn end(&mut self, end: WorldTime) {
        self.lanes.values_mut().for_each(|track| track.set(end, None));
        self.halts.values_mut().for_each(|track| track.set(end, None));
        self.owners.values_mut().for_each(|track| track.set(end, None));
        self.cuts.values_mut().for_each(|track| track.set(end, None));
        self.clients.values_mut().for_each(|track| track.set(end, None));
    }
}

/// What holds at the moment, by host.
#[derive(Default)]
struct Now {
    /// Virtual routers by the names that engines give them.
    named: BTreeMap<(HostId, String), RouterKey>,
    paused: BTreeSet<HostId>,
    frozen: BTreeSet<HostId>,
    off: BTreeSet<HostId>,
    down: BTreeSet<(HostId, SegmentId)>,
    /// Last adverts of those who say nothing, and how long may pass until the next.
    last: BTreeMap<(RouterKey, HostId), (WorldTime, WorldTime)>,
}

struct Painter<'a> {
    history: &'a History,
    scenario: &'a Scenario,
    picture: Picture,
    seen: Now,
}

impl Painter<'_> {
    fn hear(&mut self, observation: &Observation) {
        let Observation { at, host, seen } = observation;
        let (at, host) = (*at, *host);
        match seen {
            Seen::AdvertSent(advert) => self.on_advert(at, *advert),
            Seen::AdvertDelivered(advert) => self.on_arrival(at, host, *advert, None),
            Seen::AdvertLost(advert, why) => self.on_arrival(at, host, *advert, Some(*why)),
            Seen::Owns { address, owns, .. } => {
                let track = self.picture.owners.entry((*address, host)).or_default();
                track.set(at, owns.then_some(()));
            }
            Seen::Announced { address, .. } => {
                self.picture.announcements.push((at, host, *address));
            }
            Seen::Process(change) => self.on_process(at, host, *change),
            Seen::Machine(change) => self.on_machine(at, host, *change),
            Seen::Link { segment, up } => {
                let key = (host, *segment);
                if *up {
                    self.seen.down.remove(&key)
                } else {
                    self.seen.down.insert(key)
                };
                self.halt(at, host);
            }
            Seen::Path { segment, to, multicast, unicast } => {
                let cut = match (multicast, unicast) {
                    (true, true) => Cut::Nothing,
                    (false, true) => Cut::Multicast,
                    (true, false) => Cut::Unicast,
                    (false, false) => Cut::Everything,
                };
                self.on_path(at, *segment, (host, *to), cut);
            }
            Seen::Configured(config) => self.on_config(at, host, config),
            Seen::Probe { sent, answered_by, .. } | Seen::Request { sent, answered_by, .. } => {
                let track = self.picture.clients.entry(host).or_default();
                track.set(*sent, Some(*answered_by));
            }
            Seen::Engine(event) => self.on_engine(at, host, event),
            Seen::Step(timed) => {
                let line = timed.step.line(self.scenario).to_string();
                self.picture.steps.push((at, line));
            }
            Seen::Address { .. }
            | Seen::Fib { .. }
            | Seen::Destination { .. }
            | Seen::Answered { .. }
            | Seen::Neighbour { .. }
            | Seen::Dropped(_) => {}
        }
    }

    fn speaks(&self, host: HostId) -> bool {
        self.history.setting.hosts.get(usize::from(host.0)).is_some_and(|host| host.speaks)
    }

    fn on_advert(&mut self, at: WorldTime, advert: SeenAdvert) {
        if advert.priority == 0 {
            self.picture.resignations.push((at, advert.router));
        }
        let flight = Flight { at, advert, ends: Vec::new() };
        self.picture.flights.entry(advert.packet).or_insert(flight);
        let Some(host) = advert.sender.filter(|host| !self.speaks(*host)) else { return };
        let key = (advert.router, host);
        let (condition, patience) = match advert.priority {
            0 => (Condition::Silent, None),
            _ => (Condition::State(StateKind::Master), Some(at.later(advert.interval * 2))),
        };
        self.picture.lanes.entry(key).or_default().set(at, Some(condition));
        match patience {
            Some(patience) => self.seen.last.insert(key, (at, patience)),
            None => self.seen.last.remove(&key),
        };
    }

    /// Who says nothing was master until its last advert, if none follows within two intervals.
    fn fall_silent(&mut self, now: WorldTime) {
        let over = self.seen.last.extract_if(.., |_, (_, patience)| *patience < now);
        for (key, (last, _)) in over.collect::<Vec<_>>() {
            let track = self.picture.lanes.entry(key).or_default();
            if track.now() == Some(&Condition::State(StateKind::Master)) {
                track.set(last, Some(Condition::Silent));
            }
        }
    }

    fn on_arrival(
        &mut self,
        at: WorldTime,
        host: HostId,
        advert: SeenAdvert,
        lost: Option<LossReason>,
    ) {
        let flight = Flight { at, advert, ends: Vec::new() };
        let flight = self.picture.flights.entry(advert.packet).or_insert(flight);
        flight.ends.push((host, at, lost));
    }

    fn on_process(&mut self, at: WorldTime, host: HostId, change: ProcessChange) {
        match change {
            ProcessChange::Started | ProcessChange::Stopping => return,
            ProcessChange::Stopped => self.leave(at, host),
            ProcessChange::Killed => {
                self.picture.crashes.push(at);
                self.leave(at, host);
                self.seen.paused.remove(&host);
            }
            ProcessChange::Paused => {
                self.picture.crashes.push(at);
                self.seen.paused.insert(host);
            }
            ProcessChange::Resumed => {
                self.seen.paused.remove(&host);
            }
        }
        self.halt(at, host);
    }

    fn on_machine(&mut self, at: WorldTime, host: HostId, change: MachineChange) {
        match change {
            MachineChange::On => {
                self.seen.off.remove(&host);
            }
            MachineChange::Off => {
                self.picture.crashes.push(at);
                self.leave(at, host);
                self.seen.off.insert(host);
                self.seen.paused.remove(&host);
                self.seen.frozen.remove(&host);
            }
            MachineChange::Frozen { .. } => {
                self.picture.crashes.push(at);
                self.seen.frozen.insert(host);
            }
            MachineChange::Thawed => {
                self.seen.frozen.remove(&host);
            }
        }
        self.halt(at, host);
    }

    /// The process is no more.
    fn leave(&mut self, at: WorldTime, host: HostId) {
        for ((_, of), track) in &mut self.picture.lanes {
            if *of == host {
                track.set(at, None);
            }
        }
        self.seen.last.retain(|(_, of), _| *of != host);
    }

    fn halt(&mut self, at: WorldTime, host: HostId) {
        let seen = &self.seen;
        let halt = if seen.off.contains(&host) {
            Some(Halt::Off)
        } else if seen.frozen.contains(&host) {
            Some(Halt::Frozen)
        } else if seen.paused.contains(&host) {
            Some(Halt::Paused)
        } else if seen.down.iter().any(|(of, _)| *of == host) {
            Some(Halt::LinkDown)
        } else {
            None
        };
        self.picture.halts.entry(host).or_default().set(at, halt);
    }

    fn on_path(
        &mut self,
        at: WorldTime,
        segment: SegmentId,
        (from, to): (HostId, HostId),
        cut: Cut,
    ) {
        let (low, high) = (from.min(to), from.max(to));
        let track = self.picture.cuts.entry((segment, low, high)).or_default();
        let mut ways = track.now().copied().unwrap_or_default();
        *if from == low { &mut ways.there } else { &mut ways.back } = cut;
        track.set(at, (ways != Ways::default()).then_some(ways));
    }

    fn on_config(&mut self, at: WorldTime, host: HostId, config: &Arc<Config>) {
        let speaks = self.speaks(host);
        let Some(setting) = self.history.setting.hosts.get(usize::from(host.0)) else { return };
        let mut runs = BTreeSet::new();
        for instance in config.instances() {
            let interface = instance.interface.to_string();
            let leads = setting.interfaces.iter().find(|(name, _)| **name == *interface);
            let Some((_, segment)) = leads else { continue };
            let (family, vrid) = (instance.family, instance.vrid.get());
            let router = RouterKey { segment: *segment, family, vrid };
            runs.insert(router);
            self.seen.named.insert((host, instance.name.to_string()), router);
            if matches!(instance.transport, Transport::Unicast { .. }) {
                self.picture.unicast.insert(router);
            }
            let track = self.picture.lanes.entry((router, host)).or_default();
            if track.now().is_none() {
                let silent = if speaks {
                    Condition::State(StateKind::Initialize)
                } else {
                    Condition::Silent
                };
                track.set(at, Some(silent));
            }
        }
        for ((router, of), track) in &mut self.picture.lanes {
            if *of == host && !runs.contains(router) {
                track.set(at, None);
            }
        }
    }

    fn on_engine(&mut self, at: WorldTime, host: HostId, event: &Event) {
        if let News::State { to, .. } = &event.news
            && let Some(router) = self.seen.named.get(&(host, event.instance.to_string()))
        {
            let track = self.picture.lanes.entry((*router, host)).or_default();
            track.set(at, Some(Condition::State(*to)));
        }
        self.picture.news.push((at, host, event.to_string()));
    }
}

/// How a virtual router is called.
pub(super) fn router_name(router: &RouterKey, history: &History) -> String {
    let segment = history.setting.segments.get(usize::from(router.segment.0));
    let family = match router.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    format!("vrid {} {family} on {}", router.vrid, segment.map_or("?", |segment| &segment.name))
}
