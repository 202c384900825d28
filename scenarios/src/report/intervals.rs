//! How long nobody was master, several were, or several data planes owned an address.
//!
//! Durations only. The bound that stands beside one is the judge's, of the property that bounds
//! such an interval; `super::page` puts the two together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::StateKind;

use super::picture::{Condition, Cut, Halt, Picture};
use crate::judge::PropertyId;
use crate::record::{HostId, RouterKey, SegmentId, WorldTime};

/// What an interval is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    Router(RouterKey),
    Address(IpAddr),
}

/// What was so in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody is master, for this reason.
    NoMaster(Cause),
    /// Two masters hear each other.
    TwoMasters,
    /// There are several masters, and no two of them hear each other.
    MastersApart,
    /// Several data planes own the address.
    TwoOwners,
    /// The same, and no two of them hear each other.
    OwnersApart,
}

/// Why nobody was master any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The run began.
    Start,
    /// The last master resigned.
    Resigned,
    /// It was killed, paused, frozen or lost its power.
    Crashed,
    /// Anything else.
    Other,
}

impl Kind {
    /// The name in files and in the DOM.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoMaster(_) => "no-master",
            Self::TwoMasters => "two-masters",
            Self::MastersApart => "masters-apart",
            Self::TwoOwners => "two-owners",
            Self::OwnersApart => "owners-apart",
        }
    }

    /// For people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NoMaster(Cause::Start) => "no master at the start",
            Self::NoMaster(Cause::Resigned) => "no master after a resignation",
            Self::NoMaster(Cause::Crashed) => "no master after a crash",
            Self::NoMaster(Cause::Other) => "no master",
            Self::TwoMasters => "two masters that hear each other",
            Self::MastersApart => "two masters, cut apart",
            Self::TwoOwners => "two owners",
            Self::OwnersApart => "two owners, cut apart",
        }
    }

    /// The property that bounds it, if any does.
    pub(super) const fn bounded_by(self) -> Option<PropertyId> {
        match self {
            Self::NoMaster(Cause::Start) => Some(PropertyId::L4),
            Self::NoMaster(Cause::Resigned) => Some(PropertyId::L2),
            Self::NoMaster(Cause::Crashed) => Some(PropertyId::L1),
            Self::TwoMasters => Some(PropertyId::S1),
            Self::TwoOwners => Some(PropertyId::S2),
            Self::NoMaster(Cause::Other) | Self::MastersApart | Self::OwnersApart => None,
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) about: About,
    pub(super) kind: Kind,
    pub(super) from: WorldTime,
    pub(super) to: WorldTime,
    /// The masters or owners.
    pub(super) hosts: Vec<HostId>,
}

/// Something begins or ends.
#[derive(Clone, Copy, Debug)]
enum Flip {
    Master(RouterKey, HostId, bool),
    Owner(IpAddr, HostId, bool),
    Mute(HostId, bool),
    Unplugged(HostId, bool),
    Deaf(SegmentId, HostId, HostId, Cut),
}

/// Every interval of the run that ended then, in order of time.
pub(super) fn of(picture: &Picture, slack: Duration, end: WorldTime) -> Vec<Interval> {
    let mut flips = flips(picture);
    flips.sort_by_key(|(at, _)| *at);
    let mut now = Now::new(picture, slack);
    let mut found = Vec::new();
    now.compare(WorldTime(0), &mut found);
    for together in flips.chunk_by(|(a, _), (b, _)| a == b) {
        for (_, flip) in together {
            now.flip(*flip);
        }
        now.compare(together[0].0, &mut found);
    }
    for (_, mut interval) in std::mem::take(&mut now.open) {
        interval.to = end;
        found.push(interval);
    }
    found.retain(|interval| interval.from < interval.to);
    found.sort_by_key(|interval| (interval.from, interval.about));
    found
}

fn flips(picture: &Picture) -> Vec<(WorldTime, Flip)> {
    let mut flips = Vec::new();
    for ((router, host), track) in &picture.lanes {
        let masters =
            track.spans.iter().filter(|span| span.what == Condition::State(StateKind::Master));
        for span in masters {
            flips.push((span.from, Flip::Master(*router, *host, true)));
            flips.push((span.to, Flip::Master(*router, *host, false)));
        }
    }
    for ((address, host), track) in &picture.owners {
        for span in &track.spans {
            flips.push((span.from, Flip::Owner(*address, *host, true)));
            flips.push((span.to, Flip::Owner(*address, *host, false)));
        }
    }
    for (host, track) in &picture.halts {
        for span in &track.spans {
            // Whoever has no link is not heard and hears nobody, and yet is master if it says so.
            let flip = |on| match span.what {
                Halt::LinkDown => Flip::Unplugged(*host, on),
                Halt::Off | Halt::Frozen | Halt::Paused => Flip::Mute(*host, on),
            };
            flips.push((span.from, flip(true)));
            flips.push((span.to, flip(false)));
        }
    }
    for ((segment, low, high), track) in &picture.cuts {
        for span in &track.spans {
            for (from, to, cut) in [(*low, *high, span.what.there), (*high, *low, span.what.back)] {
                flips.push((span.from, Flip::Deaf(*segment, from, to, cut)));
                flips.push((span.to, Flip::Deaf(*segment, from, to, Cut::Nothing)));
            }
        }
    }
    flips
}

/// Who is what at a time.
struct Now<'a> {
    picture: &'a Picture,
    /// What the world may be late by.
    slack: Duration,
    routers: BTreeSet<RouterKey>,
    masters: BTreeSet<(RouterKey, HostId)>,
    owners: BTreeSet<(IpAddr, HostId)>,
    mute: BTreeSet<HostId>,
    unplugged: BTreeSet<HostId>,
    deaf: BTreeMap<(SegmentId, HostId, HostId), Cut>,
    open: BTreeMap<About, Interval>,
}

impl<'a> Now<'a> {
    fn new(picture: &'a Picture, slack: Duration) -> Self {
        Self {
            picture,
            slack,
            routers: picture.lanes.keys().map(|(router, _)| *router).collect(),
            masters: BTreeSet::new(),
            owners: BTreeSet::new(),
            mute: BTreeSet::new(),
            unplugged: BTreeSet::new(),
            deaf: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    fn flip(&mut self, flip: Flip) {
        match flip {
            Flip::Master(router, host, on) => put(&mut self.masters, (router, host), on),
            Flip::Owner(address, host, on) => put(&mut self.owners, (address, host), on),
            Flip::Mute(host, on) => put(&mut self.mute, host, on),
            Flip::Unplugged(host, on) => put(&mut self.unplugged, host, on),
            Flip::Deaf(segment, from, to, cut) => {
                self.deaf.insert((segment, from, to), cut);
            }
        }
    }

    /// Ends what is no longer so, begins what is so from now on.
    fn compare(&mut self, at: WorldTime, found: &mut Vec<Interval>) {
        let routers = self.routers.iter().copied().map(About::Router);
        let addresses: BTreeSet<_> =
            self.picture.owners.keys().map(|(address, _)| *address).collect();
        for about in routers.chain(addresses.into_iter().map(About::Address)).collect::<Vec<_>>() {
            let now = self.kind(about, at);
            if let Some(open) = self.open.get_mut(&about) {
                // Why nobody is master is what it was when it began.
                let same = now.as_ref().is_some_and(|(kind, hosts)| {
                    kind.name() == open.kind.name() && *hosts == open.hosts
                });
                if same {
                    continue;
                }
                open.to = at;
                found.extend(self.open.remove(&about));
            }
            if let Some((kind, hosts)) = now {
                self.open.insert(about, Interval { about, kind, from: at, to: at, hosts });
            }
        }
    }

    fn kind(&self, about: About, at: WorldTime) -> Option<(Kind, Vec<HostId>)> {
        match about {
            About::Router(router) => {
                let masters = self.masters.iter().filter(|(of, _)| *of == router);
                let heard = masters.filter(|(_, host)| !self.mute.contains(host));
                let hosts: Vec<_> = heard.map(|(_, host)| *host).collect();
                match hosts.len() {
                    0 => Some((Kind::NoMaster(self.cause(router, at)), hosts)),
                    1 => None,
                    _ if self.any_two_hear(&hosts, &[router]) => Some((Kind::TwoMasters, hosts)),
                    _ => Some((Kind::MastersApart, hosts)),
                }
            }
            About::Address(address) => {
                let owners = self.owners.iter().filter(|(of, _)| *of == address);
                let hosts: Vec<_> = owners.map(|(_, host)| *host).collect();
                let routers: Vec<_> = self.routers.iter().copied().collect();
                match hosts.len() {
                    0 | 1 => None,
                    _ if self.any_two_hear(&hosts, &routers) => Some((Kind::TwoOwners, hosts)),
                    _ => Some((Kind::OwnersApart, hosts)),
                }
            }
        }
    }

    fn any_two_hear(&self, hosts: &[HostId], routers: &[RouterKey]) -> bool {
        let mut pairs = hosts
            .iter()
            .enumerate()
            .flat_map(|(place, a)| hosts[place + 1..].iter().map(move |b| (*a, *b)));
        pairs.any(|(a, b)| {
            let unplugged = self.unplugged.contains(&a) || self.unplugged.contains(&b);
            let hears = |router: &RouterKey, from, to| {
                let cut = self.deaf.get(&(router.segment, from, to)).copied().unwrap_or_default();
                match cut {
                    Cut::Nothing => true,
                    Cut::Everything => false,
                    Cut::Multicast => self.picture.unicast.contains(router),
                    Cut::Unicast => !self.picture.unicast.contains(router),
                }
            };
            !unplugged && routers.iter().any(|router| hears(router, a, b) && hears(router, b, a))
        })
    }

    fn cause(&self, router: RouterKey, at: WorldTime) -> Cause {
        // In a real world the advert and the engine's word have times of their own.
        let near = |when: WorldTime| at.since(when).max(when.since(at)) <= self.slack;
        let resigned = |(when, of): &(WorldTime, RouterKey)| *of == router && near(*when);
        if at == WorldTime(0) {
            Cause::Start
        } else if self.picture.resignations.iter().any(resigned) {
            Cause::Resigned
        } else if self.picture.crashes.iter().any(|when| near(*when)) {
            Cause::Crashed
        } else {
            Cause::Other
        }
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, item: T, on: bool) {
    if on {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}
