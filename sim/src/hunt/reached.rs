//! What a run reached: pairs of states, and what the requirements of the RFCs are about.
//!
//! It hears the Record beside the judge. What a [`Sight`] proves of which requirement is in
//! [`super::rows`].

use std::collections::BTreeMap;

use vipd_engine::{Config, Event, Family, InstanceConfig, InstanceName, News, StateKind, Why};
use vipd_scenarios::record::{
    HostId, MachineChange, Observation, ProcessChange, Recorder, Seen, SeenAdvert,
};

/// Something that a requirement is about and that happened, under one of the [`Flavour`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// An advert of a priority above 0 leaves.
    Advertises,
    /// The advert with priority 0 leaves.
    Resigns,
    /// An advert with priority 255 leaves.
    AdvertisesAsOwner,
    /// Started, and a backup.
    StartsAsBackup,
    /// Started, and master at once.
    StartsAsOwner,
    /// `Master_Down_Timer` fired.
    MasterDown,
    /// A backup followed a master that resigned.
    FollowsResigned,
    /// A backup took over from a lower master.
    Preempts,
    /// A master yielded to a higher priority.
    YieldsToHigher,
    /// A master yielded to an equal priority and a greater address.
    YieldsToGreater,
    /// A master was stopped.
    StopsAsMaster,
    /// A backup was stopped.
    StopsAsBackup,
    /// Something that a router needs went missing.
    Fails,
    /// What it needs is there again.
    Recovers,
    /// A master heard a lower priority.
    HearsLowerAsMaster,
    /// A master heard an equal priority.
    HearsEqualAsMaster,
    /// A master heard priority 0.
    HearsZeroAsMaster,
    /// A backup heard priority 0.
    HearsZeroAsBackup,
    /// A backup that preempts heard a lower priority.
    HearsLowerAsBackup,
    /// A backup that does not preempt heard a lower priority.
    HearsLowerPatiently,
    /// A backup heard an equal or higher priority.
    HearsBetterAsBackup,
    /// A backup learned another interval.
    LearnsInterval,
    /// An address was announced by gratuitous ARP or unsolicited NA.
    Announces,
    /// Somebody was answered who asked for an address.
    Answers,
    /// An advert was dropped for its TTL or hop limit.
    DropsTtl,
    /// For its version.
    DropsVersion,
    /// For its checksum.
    DropsChecksum,
    /// For its VRID.
    DropsVrid,
    /// Because the receiver owns the addresses.
    DropsAsOwner,
    /// For its authentication type.
    DropsAuthType,
    /// For its password.
    DropsPassword,
    /// For its interval.
    DropsInterval,
    /// A mismatch was named.
    NamesMismatch,
    /// Masters that change because adverts are late were named.
    NamesFlapping,
    /// A process was killed as master.
    KilledAsMaster,
    /// A configuration was reloaded by a master.
    ReloadsAsMaster,
    /// An advert of somebody who runs no engine arrived.
    HearsStranger,
    /// An advert that carries a password leaves.
    Authenticates,
}

/// Version and family, by which the RFCs divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// VRRPv2.
    V2,
    /// VRRPv3 over IPv4.
    V3Ipv4,
    /// VRRPv3 over IPv6.
    V3Ipv6,
}

impl Flavour {
    const COUNT: u32 = 3;

    const fn of(version: u8, family: Family) -> Self {
        match (version, family) {
            (2, _) => Self::V2,
            (_, Family::Ipv4) => Self::V3Ipv4,
            (_, Family::Ipv6) => Self::V3Ipv6,
        }
    }

    pub(super) fn of_instance(config: &InstanceConfig) -> Self {
        Self::of(config.version.number(), config.family)
    }
}

/// A set of [`Sight`]s, each under a [`Flavour`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sights(u128);

impl Sights {
    const fn bit(sight: Sight, flavour: Flavour) -> u128 {
        1 << (sight as u32 * Flavour::COUNT + flavour as u32)
    }

    /// Whether it was seen.
    #[must_use]
    pub const fn has(self, sight: Sight, flavour: Flavour) -> bool {
        self.0 & Self::bit(sight, flavour) != 0
    }

    const fn add(&mut self, sight: Sight, flavour: Flavour) {
        self.0 |= Self::bit(sight, flavour);
    }
}

/// The state of a router as a pair of states counts it: what its engine says, or none.
pub type PairState = Option<StateKind>;

/// A virtual router on a host.
#[derive(Debug)]
struct Member {
    name: InstanceName,
    family: Family,
    vrid: u8,
    flavour: Flavour,
    priority: u8,
    preempts: bool,
    authenticated: bool,
    present: bool,
    state: PairState,
}

/// What a run reached.
#[derive(Debug)]
pub struct Reached {
    /// What happened.
    pub sights: Sights,
    /// How often two members of one virtual router came to be in these states together, the lesser
    /// one first.
    pub pairs: BTreeMap<(PairState, PairState), u64>,
    /// By host.
    members: Vec<Vec<Member>>,
}

impl Reached {
    /// Nothing yet.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        let members = (0..hosts).map(|_| Vec::new()).collect();
        Self { sights: Sights::default(), pairs: BTreeMap::new(), members }
    }

    fn of_host(&mut self, host: HostId) -> &mut Vec<Member> {
        &mut self.members[usize::from(host.0)]
    }

    fn sent(&mut self, host: HostId, advert: &SeenAdvert) {
        let flavour = Flavour::of(advert.version, advert.router.family);
        let sight = match advert.priority {
            0 => Sight::Resigns,
            255 => Sight::AdvertisesAsOwner,
            _ => Sight::Advertises,
        };
        let known = self.sights.has(sight, flavour);
        self.sights.add(sight, flavour);
        if !known {
            let with_password =
                |member: &Member| member.vrid == advert.router.vrid && member.authenticated;
            if self.of_host(host).iter().any(with_password) {
                self.sights.add(Sight::Authenticates, flavour);
            }
        }
    }

    fn delivered(&mut self, host: HostId, advert: &SeenAdvert) {
        let of_router = |member: &&Member| {
            member.vrid == advert.router.vrid && member.family == advert.router.family
        };
        let Some(member) = self.members[usize::from(host.0)].iter().find(of_router) else { return };
        let flavour = member.flavour;
        if advert.sender.is_none() {
            self.sights.add(Sight::HearsStranger, flavour);
        }
        let sight = match (member.state, advert.priority) {
            (Some(StateKind::Master), 0) => Sight::HearsZeroAsMaster,
            (Some(StateKind::Master), heard) if heard < member.priority => {
                Sight::HearsLowerAsMaster
            }
            (Some(StateKind::Master), heard) if heard == member.priority => {
                Sight::HearsEqualAsMaster
            }
            (Some(StateKind::Backup), 0) => Sight::HearsZeroAsBackup,
            (Some(StateKind::Backup), heard) if heard >= member.priority => {
                Sight::HearsBetterAsBackup
            }
            (Some(StateKind::Backup), _) if member.preempts => Sight::HearsLowerAsBackup,
            (Some(StateKind::Backup), _) => Sight::HearsLowerPatiently,
            (Some(StateKind::Master | StateKind::Initialize | StateKind::Fault) | None, _) => {
                return;
            }
        };
        self.sights.add(sight, flavour);
    }

    fn configured(&mut self, host: HostId, config: &Config) {
        let members = &mut self.members[usize::from(host.0)];
        for member in members.iter_mut() {
            member.present = false;
        }
        for instance in config.instances() {
            let place = members.iter().position(|member| member.name == instance.name);
            let state = place.and_then(|place| members[place].state);
            let flavour = Flavour::of_instance(instance);
            if state == Some(StateKind::Master) {
                self.sights.add(Sight::ReloadsAsMaster, flavour);
            }
            let member = Member {
                name: instance.name.clone(),
                family: instance.family,
                vrid: instance.vrid.get(),
                flavour,
                priority: instance.priority.get(),
                preempts: instance.preempt || instance.priority.is_owner(),
                authenticated: instance.password.is_some(),
                present: true,
                state,
            };
            match place {
                Some(place) => members[place] = member,
                None => members.push(member),
            }
        }
        members.retain(|member| member.present);
    }

    fn engine(&mut self, host: HostId, event: &Event) {
        let members = &mut self.members[usize::from(host.0)];
        let Some(place) = members.iter().position(|one| one.name == event.instance) else { return };
        let flavour = members[place].flavour;
        match &event.news {
            News::State { from, to, why } => {
                let sight = sight_of(*from, *to, why);
                members[place].state = Some(*to);
                if let Some(sight) = sight {
                    self.sights.add(sight, flavour);
                }
                self.count_pairs(host, place);
            }
            News::PriorityChanged { to, .. } => members[place].priority = to.get(),
            News::Mismatch { .. } => self.sights.add(Sight::NamesMismatch, flavour),
            News::IntervalLearned { .. } => self.sights.add(Sight::LearnsInterval, flavour),
            News::Flapping { .. } => self.sights.add(Sight::NamesFlapping, flavour),
            _ => {}
        }
    }

    fn count_pairs(&mut self, host: HostId, place: usize) {
        let changed = &self.members[usize::from(host.0)][place];
        let (family, vrid, state) = (changed.family, changed.vrid, changed.state);
        for (other, members) in self.members.iter().enumerate() {
            if other == usize::from(host.0) {
                continue;
            }
            for member in members.iter().filter(|one| (one.family, one.vrid) == (family, vrid)) {
                let pair = (state.min(member.state), state.max(member.state));
                *self.pairs.entry(pair).or_default() += 1;
            }
        }
    }

    /// The process is no more.
    fn ends(&mut self, host: HostId, killed: bool) {
        for place in 0..self.of_host(host).len() {
            let member = &mut self.of_host(host)[place];
            let (was, flavour) = (member.state.take(), member.flavour);
            if killed && was == Some(StateKind::Master) {
                self.sights.add(Sight::KilledAsMaster, flavour);
            }
            if was.is_some() {
                self.count_pairs(host, place);
            }
        }
    }

    fn dropped(&mut self, host: HostId, reason: &str) {
        let sight = match reason {
            "ttl" => Sight::DropsTtl,
            "version" => Sight::DropsVersion,
            "checksum" => Sight::DropsChecksum,
            "vrid" => Sight::DropsVrid,
            "owner" => Sight::DropsAsOwner,
            "auth_type" => Sight::DropsAuthType,
            "auth_data" => Sight::DropsPassword,
            "interval" => Sight::DropsInterval,
            _ => return,
        };
        // The Record does not say which router of the host dropped it.
        let flavours: Vec<_> = self.of_host(host).iter().map(|member| member.flavour).collect();
        for flavour in flavours {
            self.sights.add(sight, flavour);
        }
    }

    fn of_all(&mut self, host: HostId, sight: Sight, family: Family) {
        for place in 0..self.of_host(host).len() {
            let member = &self.of_host(host)[place];
            let (flavour, same) = (member.flavour, member.family == family);
            if same {
                self.sights.add(sight, flavour);
            }
        }
    }
}

fn sight_of(from: StateKind, to: StateKind, why: &Why) -> Option<Sight> {
    Some(match (from, to, why) {
        (_, StateKind::Backup, Why::Startup) => Sight::StartsAsBackup,
        (_, StateKind::Master, Why::OwnerStartup) => Sight::StartsAsOwner,
        (_, StateKind::Master, Why::MasterDown(_)) => Sight::MasterDown,
        (_, StateKind::Master, Why::MasterResigned(_)) => Sight::FollowsResigned,
        (_, StateKind::Master, Why::Preempts { .. }) => Sight::Preempts,
        (StateKind::Master, _, Why::HigherPriority { .. }) => Sight::YieldsToHigher,
        (StateKind::Master, _, Why::GreaterAddress(_)) => Sight::YieldsToGreater,
        (StateKind::Master, _, Why::Shutdown) => Sight::StopsAsMaster,
        (StateKind::Backup, _, Why::Shutdown) => Sight::StopsAsBackup,
        (_, StateKind::Fault, _) => Sight::Fails,
        (StateKind::Fault, _, _) => Sight::Recovers,
        _ => return None,
    })
}

impl Recorder for Reached {
    fn observe(&mut self, observation: &Observation) {
        let host = observation.host;
        match &observation.seen {
            Seen::AdvertSent(advert) => self.sent(host, advert),
            Seen::AdvertDelivered(advert) => self.delivered(host, advert),
            _ => self.observe_no_advert(observation),
        }
    }
}

impl Reached {
    /// Apart, since nearly all observations are adverts: what it needs on the stack would be made
    /// ready for each of them.
    #[inline(never)]
    fn observe_no_advert(&mut self, observation: &Observation) {
        let host = observation.host;
        match &observation.seen {
            Seen::Engine(event) => self.engine(host, event),
            Seen::Configured(config) => self.configured(host, config),
            Seen::Dropped(reason) => self.dropped(host, reason),
            Seen::Process(ProcessChange::Killed) => self.ends(host, true),
            Seen::Process(ProcessChange::Stopped) | Seen::Machine(MachineChange::Off) => {
                self.ends(host, false);
            }
            Seen::Announced { address, .. } => {
                self.of_all(host, Sight::Announces, Family::of(*address));
            }
            Seen::Answered { address, .. } => {
                self.of_all(host, Sight::Answers, Family::of(*address));
            }
            _ => {}
        }
    }
}
