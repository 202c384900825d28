//! What changed: the Record boiled down to what decides, in strict order of time.
//!
//! Made by [`super::listener`], kept as state by [`super::view`], judged by the properties. A quiet
//! run is a stream of adverts and no change at all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{GroupName, InstanceConfig, News, StateKind};

use crate::record::{HostId, Seen, SeenAdvert, WorldTime};
use crate::scenario::Injection;

/// One virtual router on one host: index of the router, index of its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub router: usize,
    pub member: usize,
}

/// A directed pair of members of one virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub router: usize,
    pub receiver: usize,
    pub sender: usize,
}

/// One change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub at: WorldTime,
    pub host: HostId,
    pub what: What,
}

/// How the wire column says that a mastership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A priority-0 advert.
    Resigned,
    /// No advert followed within twice the interval: it ended with the last one.
    Silent,
    /// The process was killed or the power went.
    Crashed,
    /// The process ended in good order, or no longer has the instance.
    Stopped,
}

/// What changed.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A host runs this instance from now on, or runs it with new settings.
    Joined {
        place: Place,
        config: Arc<InstanceConfig>,
        /// The sync group that it is in.
        group: Option<GroupName>,
        /// Its process starts now and nobody becomes master for this long; `None`: a reload.
        starts: Option<Duration>,
    },
    /// A host no longer runs this instance.
    Left(Place),
    /// The first advert with a priority above 0.
    MasterStarts {
        place: Place,
        priority: u8,
        source: IpAddr,
        interval: Duration,
        /// When the new master last heard each member and with which priority, by member.
        heard: Vec<Option<(WorldTime, u8)>>,
        /// This took back the mastership that silence had ended: it never left the state.
        resumed: bool,
    },
    /// The wire says that a mastership ended.
    MasterEnds(Place, Ending),
    /// The engine of a master stops, or its machine: this was its last advert.
    LastAdvert(Place, WorldTime),
    /// A master advertises another priority or interval.
    Advertises { place: Place, priority: u8, interval: Duration },
    /// v3: another interval is in force at a backup.
    InForce(Place, Duration),
    /// The same, if the advert that waited is read behind the file; else its own one is.
    InForceOrOwn(Place, Duration),
    /// The engine's own column.
    State { place: Place, from: StateKind, to: StateKind },
    /// Other news of the engine.
    News(Place, News),
    /// The two columns disagree.
    Disagreement { place: Place, text: &'static str },
    /// The first advert of a mastership, or after a change between the two, that got through.
    Heard {
        pair: Pair,
        priority: u8,
        /// It left before its sender read the file that it has now.
        of_before: bool,
    },
    /// A master heard another one.
    HeardInMaster(Pair),
    /// The longest time between two adverts so far, or one with losses in it.
    Gap { pair: Pair, gap: Duration, lost: u32 },
    /// An advert was lost though the path is open; so many in a row now.
    Lost { pair: Pair, run: u32, resigns: bool },
    /// An advert that is older than the priority-0 advert arrived after it.
    Overtaken(Pair),
    /// An advert of somebody who runs no engine arrived.
    Injected(SeenAdvert, Option<Arc<Injection>>),
    /// An advert of a virtual router that this host does not run arrived for the first time.
    Foreign { sender: Place, source: IpAddr },
    /// A start-up delay or a preempt delay is over.
    HoldEnds(Place),
    /// Anything else that was seen.
    Seen(Seen),
}

impl What {
    /// Whether it may change who is master, who outranks whom, who owns an address, or who hears
    /// whom. What asks for nothing else is as it was without it.
    pub(super) const fn rearranges(&self) -> bool {
        match self {
            Self::Joined { .. }
            | Self::Left(_)
            | Self::MasterStarts { .. }
            | Self::MasterEnds(..)
            | Self::Advertises { .. }
            | Self::News(_, News::PriorityChanged { .. }) => true,
            Self::Seen(seen) => matches!(
                seen,
                Seen::Owns { .. }
                    | Seen::Process(_)
                    | Seen::Machine(_)
                    | Seen::Link { .. }
                    | Seen::Path { .. }
            ),
            Self::LastAdvert(..)
            | Self::InForce(..)
            | Self::InForceOrOwn(..)
            | Self::State { .. }
            | Self::News(..)
            | Self::Disagreement { .. }
            | Self::Heard { .. }
            | Self::HeardInMaster(_)
            | Self::Gap { .. }
            | Self::Lost { .. }
            | Self::Overtaken(_)
            | Self::Injected(..)
            | Self::Foreign { .. }
            | Self::HoldEnds(_) => false,
        }
    }

    /// Whether another member may run, or hear another one, after it.
    pub(super) const fn connects(&self) -> bool {
        matches!(
            self,
            Self::Joined { .. }
                | Self::Left(_)
                | Self::Seen(
                    Seen::Process(_) | Seen::Machine(_) | Seen::Link { .. } | Seen::Path { .. }
                )
        )
    }

    /// Whether it touches every virtual router that there is.
    pub(super) const fn touches_all(&self) -> bool {
        matches!(
            self,
            Self::Seen(
                Seen::Process(_)
                    | Seen::Machine(_)
                    | Seen::Link { .. }
                    | Seen::Path { .. }
                    | Seen::Step(_)
            )
        )
    }

    /// Whether it may change who must be mute, or who owns an address.
    pub(super) const fn mutes(&self) -> bool {
        matches!(
            self,
            Self::Joined { .. }
                | Self::Left(_)
                | Self::State { .. }
                | Self::Seen(Seen::Owns { .. } | Seen::Process(_) | Seen::Machine(_))
        )
    }
}
