//! What of a scenario can be hit: its directors and what they run, who hears whom, what is tracked,
//! who is a real server, and how fast everything goes.
//!
//! Looked at once, drawn from many times.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{Tracked, Transport};
use vipd_engine::{Family, InstanceConfig, Version};
use vipd_scenarios::record::{HostId, SegmentId};
use vipd_scenarios::scenario::{Conditions, Scenario};

use super::FaultClass;
use super::spare::Spare;
use super::variants::{self, Around, Difference, Variant};
use crate::configurations::Configurations;
use crate::topology;

/// A virtual router on one host.
#[derive(Clone, Debug)]
pub struct Router {
    /// What is configured.
    pub config: Arc<InstanceConfig>,
    /// Where its interface leads.
    pub segment: SegmentId,
    /// Where its adverts come from.
    pub source: IpAddr,
}

/// A host with a configuration.
#[derive(Clone, Debug)]
pub struct Director {
    /// Which one.
    pub host: HostId,
    /// Its file.
    pub file: std::path::PathBuf,
    /// What it runs, in the order of the file.
    pub routers: Vec<Router>,
    /// Its interfaces with an instance on them.
    pub interfaces: Vec<Arc<str>>,
    /// Scripts, files and processes that it tracks.
    pub trackers: Vec<Arc<str>>,
    /// Other files for it.
    pub variants: Vec<Variant>,
}

/// How fast things go, over all virtual routers.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The shortest advert interval.
    pub shortest: Duration,
    /// The longest advert interval, at least that of any variant.
    pub longest: Duration,
    /// The longest `Master_Down_Interval`.
    pub down: Duration,
    /// How long nothing must happen until L4 to L6, and S11 with a refresh, are due.
    pub settle: Duration,
}

/// What can be hit.
#[derive(Clone, Debug)]
pub struct Ground {
    /// All hosts, by [`HostId`].
    pub hosts: Vec<HostId>,
    /// Those that run VRRP.
    pub directors: Vec<Director>,
    /// Directed pairs of directors, by place in `directors`, that share a virtual router.
    pub pairs: Vec<(usize, usize)>,
    /// Hosts that health checks of some director go to.
    pub real_servers: Vec<HostId>,
    /// What frames suffer when nothing is done to them, if it is the same everywhere.
    pub conditions: Option<Conditions>,
    /// How fast things go.
    pub pace: Pace,
}

impl Ground {
    /// Looks at a scenario. Of its steps, expectations and properties nothing is taken.
    #[must_use]
    pub fn survey(scenario: &Scenario, configurations: &Configurations) -> Self {
        let hosts: Vec<_> = (0..scenario.hosts.len()).map(|id| HostId(id as u16)).collect();
        let mut directors: Vec<_> = hosts
            .iter()
            .filter_map(|host| director(scenario, configurations, *host))
            .filter(|director| !director.routers.is_empty())
            .collect();
        let spare = Spare::of(scenario, configurations);
        for place in 0..directors.len() {
            let own = &directors[place];
            let fellows = |instance: &InstanceConfig| fellows(&directors, own, instance);
            let around = Around { spare: &spare, fellows: &fellows };
            let made = variants::of_host(scenario, configurations, own.host, &around);
            directors[place].variants = made;
        }
        let mut segments = scenario.segments.iter().map(|segment| segment.conditions);
        let first = segments.next();
        let same = segments.all(|conditions| Some(conditions) == first);
        Self {
            pairs: pairs(&directors),
            real_servers: real_servers(scenario, configurations),
            conditions: first.filter(|_| same),
            pace: pace(&directors, configurations),
            hosts,
            directors,
        }
    }

    /// Why faults of this class cannot be drawn here; `None` if they can.
    #[must_use]
    pub fn lacks(&self, class: FaultClass) -> Option<&'static str> {
        let variant = |wanted: fn(Difference) -> bool| {
            self.directors.iter().flat_map(|one| &one.variants).any(|one| wanted(one.difference))
        };
        let alone = || self.pairs.is_empty().then_some("no two hosts share a virtual router");
        match class {
            FaultClass::HostCrash
            | FaultClass::ProcessCrash
            | FaultClass::Pause
            | FaultClass::Freeze
            | FaultClass::Stop
            | FaultClass::MidElection
            | FaultClass::LateHandlers
            | FaultClass::Clock
            | FaultClass::Carrier
            | FaultClass::Spoof => {
                self.directors.is_empty().then_some("no host runs a virtual router")
            }
            FaultClass::Cut
            | FaultClass::OneWayCut
            | FaultClass::MulticastLost
            | FaultClass::AdvertsLost => alone(),
            FaultClass::Isolation => (self.hosts.len() < 2).then_some("there is one host only"),
            FaultClass::PartialCut => alone()
                .or_else(|| (self.hosts.len() < 3).then_some("there are fewer than three hosts")),
            FaultClass::RoughLink => alone().or_else(|| {
                self.conditions.is_none().then_some("segments have different conditions")
            }),
            FaultClass::Mismatch => alone().or_else(|| {
                (!variant(Difference::is_mismatch))
                    .then_some("no file of a host can be given a line that does not fit")
            }),
            FaultClass::Upgrade => alone().or_else(|| {
                (!variant(|one| one == Difference::Version))
                    .then_some("no file of a host can be given another version")
            }),
            FaultClass::Flaps => {
                let tracks = self.directors.iter().any(|one| !one.trackers.is_empty());
                (!tracks && self.real_servers.is_empty())
                    .then_some("nothing is tracked and no host is a real server")
            }
        }
    }

    /// The classes that can be drawn here.
    #[must_use]
    pub fn classes(&self) -> Vec<FaultClass> {
        FaultClass::ALL.into_iter().filter(|class| self.lacks(*class).is_none()).collect()
    }

    /// The variants of all hosts, for whoever plays or writes the files.
    pub fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.directors.iter().flat_map(|director| &director.variants)
    }

    /// The configurations with those of the variants: what a schedule's reloads need.
    #[must_use]
    pub fn with_variants(&self, configurations: &Configurations) -> Configurations {
        let mut all = configurations.clone();
        for variant in self.variants() {
            all.insert(variant.host, &variant.path, Arc::clone(&variant.config));
        }
        all
    }
}

fn director(
    scenario: &Scenario,
    configurations: &Configurations,
    host: HostId,
) -> Option<Director> {
    let plan = &scenario.hosts[usize::from(host.0)];
    let file = plan.config.as_ref()?;
    let config = configurations.get(host, file)?;
    let mut routers = Vec::new();
    let mut interfaces = Vec::new();
    for instance in config.instances() {
        let named = plan.interfaces.iter().enumerate();
        let mut named = named.filter(|(_, port)| *port.name == *instance.interface.as_str());
        let Some((local, port)) = named.next() else { continue };
        let own = topology::addresses(plan, host.0, local).into_iter();
        let mut own = own.map(|(address, _)| address).filter(|address| match address {
            IpAddr::V4(_) => instance.family == Family::Ipv4,
            IpAddr::V6(address) => {
                instance.family == Family::Ipv6 && address.is_unicast_link_local()
            }
        });
        let Some(source) = instance.source().or_else(|| own.next()) else { continue };
        routers.push(Router { config: Arc::clone(instance), segment: port.segment, source });
        if !interfaces.contains(&port.name) {
            interfaces.push(Arc::clone(&port.name));
        }
    }
    let tracks = config.instances().iter().flat_map(|instance| &instance.tracks);
    let tracks = tracks.chain(config.groups().iter().flat_map(|group| &group.tracks));
    let mut trackers: Vec<Arc<str>> = Vec::new();
    for track in tracks {
        if let Tracked::Tracker(name) = &track.tracked
            && !trackers.iter().any(|known| **known == *name.as_str())
        {
            trackers.push(Arc::from(name.as_str()));
        }
    }
    let variants = Vec::new();
    Some(Director { host, file: file.clone(), routers, interfaces, trackers, variants })
}

/// Where the adverts of the other routers of a virtual router of `own` come from.
fn fellows(directors: &[Director], own: &Director, instance: &InstanceConfig) -> Vec<IpAddr> {
    let mut own_routers = own.routers.iter();
    let Some(router) = own_routers.find(|one| *one.config == *instance) else { return Vec::new() };
    let others = directors.iter().filter(|other| other.host != own.host);
    let others = others.flat_map(|other| &other.routers).filter(|other| other.shares(router));
    others.map(|other| other.source).collect()
}

fn pairs(directors: &[Director]) -> Vec<(usize, usize)> {
    let share = |a: &Director, b: &Director| {
        a.routers.iter().any(|one| b.routers.iter().any(|other| one.shares(other)))
    };
    let places = 0..directors.len();
    places
        .clone()
        .flat_map(|a| places.clone().map(move |b| (a, b)))
        .filter(|(a, b)| a != b && share(&directors[*a], &directors[*b]))
        .collect()
}

fn real_servers(scenario: &Scenario, configurations: &Configurations) -> Vec<HostId> {
    let services = configurations.iter().flat_map(|config| &config.director().virtual_servers);
    let checked: Vec<IpAddr> = services
        .flat_map(|service| &service.real_servers)
        .filter(|server| !server.checks.is_empty())
        .map(|server| server.address)
        .collect();
    let has = |host: &usize| {
        let interfaces = scenario.hosts[*host].interfaces.iter();
        let mut addresses = interfaces.flat_map(|interface| &interface.addresses);
        addresses.any(|(address, _)| checked.contains(address))
    };
    (0..scenario.hosts.len()).filter(has).map(|id| HostId(id as u16)).collect()
}

fn pace(directors: &[Director], configurations: &Configurations) -> Pace {
    let own = directors.iter().flat_map(|one| &one.routers).map(|router| &router.config);
    let changed = directors.iter().flat_map(|one| &one.variants);
    let changed = changed.flat_map(|variant| variant.config.instances());
    let shortest = own.clone().map(|one| one.interval.duration()).min();
    let shortest = shortest.unwrap_or(Duration::from_secs(1));
    let (mut longest, mut down, mut waits) = (shortest, shortest * 4, Duration::ZERO);
    for instance in own.chain(changed) {
        let interval = instance.interval.duration();
        longest = longest.max(interval);
        // v2 skews over a second whatever the interval is.
        let skew = match instance.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => interval,
        };
        down = down.max(interval * u32::from(instance.down_timer_adverts) + skew);
        let announcements = &instance.announcements;
        let announced = announcements.delay.max(announcements.lower_priority_delay);
        let refreshed = announcements.refresh().unwrap_or_default().min(Duration::from_secs(60));
        // A judge who hears of a hold-down need not see its end.
        let held_down = instance.one_way_yield.unwrap_or_default().min(Duration::from_secs(60));
        waits = waits.max(instance.preempt_delay + held_down + announced.max(refreshed));
    }
    let startup = configurations.iter().map(|config| config.startup_delay()).max();
    let settle = (down + longest) * 3 + waits + startup.unwrap_or_default();
    Pace { shortest, longest, down, settle }
}

impl Router {
    /// Whether the two are of one virtual router.
    #[must_use]
    pub fn shares(&self, other: &Self) -> bool {
        self.segment == other.segment
            && self.config.family == other.config.family
            && self.config.vrid == other.config.vrid
    }

    /// Where an outsider sends an advert that this router is to hear.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        match &self.config.transport {
            Transport::Multicast { group, .. } => *group,
            Transport::Unicast { .. } => self.source,
        }
    }
}
