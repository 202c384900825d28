//! What an operator feels of a run: how long a takeover took, how long two were master, how long
//! nobody was, how long a client waited. It hears the Record.
//!
//! A host counts as master while its engine says so and can act: a process that is dead or paused,
//! or on a machine that stands still, is none, whatever its state. What it left in its kernel
//! counts as owned.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::{Family, InstanceName, News, StateKind, Why};
use vipd_scenarios::record::{
    HostId, MachineChange, Observation, ProcessChange, Recorder, Seen, SegmentId, WorldTime,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// From what was done to the first new master that follows nobody better: by its down timer or
    /// after a resignation.
    Failover,
    /// Two masters of one virtual router at once.
    TwoMasters,
    /// Two data planes that own one address at once.
    TwoOwners,
    /// Nobody is master of a virtual router.
    NoMaster,
    /// From one answered probe of a client to the next.
    ClientGap,
}

impl Measure {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 5] =
        [Self::Failover, Self::TwoMasters, Self::TwoOwners, Self::NoMaster, Self::ClientGap];

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::TwoMasters => "two masters",
            Self::TwoOwners => "two owners",
            Self::NoMaster => "no master",
            Self::ClientGap => "client gap",
        }
    }

    /// In JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::TwoMasters => "two_masters",
            Self::TwoOwners => "two_owners",
            Self::NoMaster => "no_master",
            Self::ClientGap => "client_gap",
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// The longest of each, and when it ended; `None` if it did not happen.
pub type Measured = [Option<(Duration, WorldTime)>; Measure::ALL.len()];

/// A virtual router, wherever it runs.
type Router = (Family, u8);

/// A host and its process.
#[derive(Clone, Debug, Default)]
struct Seat {
    running: bool,
    paused: bool,
    off: bool,
    frozen: bool,
    /// Instances by name: their router and whether the engine says Master.
    instances: BTreeMap<InstanceName, (Router, bool)>,
}

impl Seat {
    const fn acts(&self) -> bool {
        self.running && !self.paused && !self.off && !self.frozen
    }
}

/// Measures a run from a time on.
#[derive(Debug)]
pub struct Meter {
    from: WorldTime,
    seats: Vec<Seat>,
    /// Since when a router has two masters, and since when none.
    two: BTreeMap<Router, WorldTime>,
    none: BTreeMap<Router, WorldTime>,
    owners: BTreeMap<(SegmentId, IpAddr), (Vec<HostId>, Option<WorldTime>)>,
    answered: BTreeMap<HostId, WorldTime>,
    last_step: Option<WorldTime>,
    longest: Measured,
}

impl Meter {
    /// Hears everything and measures from `from` on.
    #[must_use]
    pub fn new(hosts: usize, from: WorldTime) -> Self {
        Self {
            from,
            seats: vec![Seat::default(); hosts],
            two: BTreeMap::new(),
            none: BTreeMap::new(),
            owners: BTreeMap::new(),
            answered: BTreeMap::new(),
            last_step: None,
            longest: [None; Measure::ALL.len()],
        }
    }

    /// What came of it. What still lasts, lasts until `end`.
    #[must_use]
    pub fn finish(mut self, end: WorldTime) -> Measured {
        for (_, since) in std::mem::take(&mut self.two) {
            self.lasted(Measure::TwoMasters, since, end);
        }
        for (_, since) in std::mem::take(&mut self.none) {
            self.lasted(Measure::NoMaster, since, end);
        }
        for (_, (_, since)) in std::mem::take(&mut self.owners) {
            if let Some(since) = since {
                self.lasted(Measure::TwoOwners, since, end);
            }
        }
        for (_, last) in std::mem::take(&mut self.answered) {
            self.lasted(Measure::ClientGap, last, end);
        }
        self.longest
    }

    fn lasted(&mut self, measure: Measure, since: WorldTime, until: WorldTime) {
        if until <= self.from {
            return;
        }
        let lasted = until.since(since.max(self.from));
        let longest = &mut self.longest[measure.place()];
        if !lasted.is_zero() && longest.is_none_or(|(known, _)| lasted > known) {
            *longest = Some((lasted, until));
        }
    }

    fn seat(&mut self, host: HostId) -> &mut Seat {
        &mut self.seats[usize::from(host.0)]
    }

    /// Counts the masters of every router anew.
    fn recount(&mut self, now: WorldTime) {
        let mut masters: BTreeMap<Router, usize> = BTreeMap::new();
        for seat in &self.seats {
            for (router, is_master) in seat.instances.values() {
                let counts = *is_master && seat.acts();
                *masters.entry(*router).or_default() += usize::from(counts);
            }
        }
        for measure in [Measure::TwoMasters, Measure::NoMaster] {
            let (open, is_so): (&mut BTreeMap<_, _>, fn(usize) -> bool) = match measure {
                Measure::TwoMasters => (&mut self.two, |count| count > 1),
                _ => (&mut self.none, |count| count == 0),
            };
            let over = |router: &Router| !masters.get(router).copied().is_some_and(is_so);
            let ended: Vec<_> = open.keys().copied().filter(over).collect();
            let ended: Vec<_> = ended.iter().filter_map(|router| open.remove(router)).collect();
            for (router, count) in &masters {
                if is_so(*count) {
                    open.entry(*router).or_insert(now);
                }
            }
            for since in ended {
                self.lasted(measure, since, now);
            }
        }
    }

    fn owns(&mut self, at: WorldTime, key: (SegmentId, IpAddr), host: HostId, owns: bool) {
        let (owners, since) = self.owners.entry(key).or_default();
        owners.retain(|owner| *owner != host);
        if owns {
            owners.push(host);
        }
        match (owners.len() > 1, *since) {
            (true, None) => *since = Some(at),
            (false, Some(began)) => {
                *since = None;
                self.lasted(Measure::TwoOwners, began, at);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn engine(&mut self, at: WorldTime, host: HostId, name: &InstanceName, news: &News) {
        let News::State { to, why, .. } = news else { return };
        if let Some((_, is_master)) = self.seat(host).instances.get_mut(name) {
            *is_master = *to == StateKind::Master;
        }
        let follows = matches!(why, Why::MasterDown(_) | Why::MasterResigned(_) | Why::Group(_));
        if *to == StateKind::Master
            && follows
            && let Some(step) = self.last_step
        {
            self.lasted(Measure::Failover, step, at);
        }
        self.recount(at);
    }
}

impl Recorder for Meter {
    fn observe(&mut self, observation: &Observation) {
        let Observation { at, host, seen } = observation;
        match seen {
            Seen::Step(_) => self.last_step = Some(*at).filter(|at| *at >= self.from),
            Seen::Engine(event) => self.engine(*at, *host, &event.instance, &event.news),
            Seen::Configured(config) => {
                let seat = self.seat(*host);
                let was = std::mem::take(&mut seat.instances);
                let instances = config.instances().iter().map(|instance| {
                    let is_master = was.get(&instance.name).is_some_and(|(_, master)| *master);
                    let router = (instance.family, instance.vrid.get());
                    (instance.name.clone(), (router, is_master))
                });
                seat.instances = instances.collect();
                self.recount(*at);
            }
            Seen::Process(change) => {
                let seat = self.seat(*host);
                match change {
                    ProcessChange::Started => (seat.running, seat.paused) = (true, false),
                    ProcessChange::Stopping => {}
                    ProcessChange::Stopped | ProcessChange::Killed => {
                        seat.running = false;
                        seat.instances.values_mut().for_each(|(_, master)| *master = false);
                    }
                    ProcessChange::Paused => seat.paused = true,
                    ProcessChange::Resumed => seat.paused = false,
                }
                self.recount(*at);
            }
            Seen::Machine(change) => {
                let seat = self.seat(*host);
                match change {
                    MachineChange::On => seat.off = false,
                    MachineChange::Off => {
                        (seat.off, seat.running, seat.paused) = (true, false, false);
                        seat.frozen = false;
                        seat.instances.values_mut().for_each(|(_, master)| *master = false);
                    }
                    MachineChange::Frozen { .. } => seat.frozen = true,
                    MachineChange::Thawed => seat.frozen = false,
                }
                self.recount(*at);
            }
            Seen::Owns { segment, address, owns } => {
                self.owns(*at, (*segment, *address), *host, *owns);
            }
            Seen::Probe { sent, answered_by, .. } => {
                let last = *self.answered.entry(*host).or_insert(self.from);
                if answered_by.is_some() {
                    self.lasted(Measure::ClientGap, last, *sent);
                    self.answered.insert(*host, *sent);
                }
            }
            _ => {}
        }
    }
}
