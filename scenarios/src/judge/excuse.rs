//! What leaves the conditions of nearly every property. A stretch without a fault keeps what it
//! began with, and it is put into words for who reads it alone.

use std::time::Duration;

use super::change::Place;
use super::mismatch;
use super::terms::plus;
use super::view::View;
use crate::record::{HostId, WorldTime};

/// What leaves the conditions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Excuse {
    /// Two cannot understand each other (S9), and why.
    Differ(Place, Place, &'static str),
    /// Both own the addresses and one of them discards what the other says.
    BothOwn(Place, Place),
    /// A cut that is one-way or partial: the second does not hear the first.
    Deaf(Place, Place),
    /// A handler is later than the setting allows.
    TooLate(HostId),
    /// The largest delay is above a fifth of the least interval.
    Slow { delay: Duration, least: Duration },
    /// Adverts so irregular that nothing settles.
    Restless,
    /// Somebody put adverts on the segment.
    Injected,
}

impl Excuse {
    /// Two of these are at odds.
    pub(super) fn at_odds(view: &View, places: &[Place]) -> Option<Self> {
        for (index, a) in places.iter().enumerate() {
            for b in &places[index + 1..] {
                let (one, other) = (view.member(*a), view.member(*b));
                if let Some(kind) = mismatch::between(one, other) {
                    return Some(Self::Differ(*a, *b, kind));
                }
                let both = one.is_owner() && other.is_owner();
                if both && (one.discards_as_owner() || other.discards_as_owner()) {
                    return Some(Self::BothOwn(*a, *b));
                }
            }
        }
        None
    }

    /// A cut that is one-way or partial among the running members.
    pub(super) fn irregular(view: &View, router: usize) -> Option<Self> {
        view.routers[router].connections.deaf.map(|(from, to)| Self::Deaf(from, to))
    }

    /// A handler that is later than the setting allows.
    pub(super) fn too_late(view: &View) -> Option<Self> {
        view.too_late.map(Self::TooLate)
    }

    /// A delay above A/5.
    pub(super) fn slow_network(view: &View, router: usize) -> Option<Self> {
        let least = view.routers[router].least_interval?;
        let delay = view.most_delay(router);
        (delay * 5 > least).then_some(Self::Slow { delay, least })
    }

    /// Delays so irregular that nothing settles among these.
    pub(super) fn restless(view: &View, router: usize, running: &[Place]) -> Option<Self> {
        let interval = running.iter().map(|place| view.member(*place).advertised).min()?;
        let rest = (view.delay_spread(router) + view.late() * 2).checked_sub(interval * 2)?;
        let skew = running.iter().map(|place| view.member(*place).skew()).min()?;
        (rest >= skew).then_some(Self::Restless)
    }

    /// Somebody put adverts on the segment at `since` or later, or less than A + D + 2L before.
    pub(super) fn injected(view: &View, router: usize, since: WorldTime) -> Option<Self> {
        let at = view.routers[router].injected_at?;
        // A resignation in somebody's name changes what is made of the adverts after it.
        let places = view.places(router).filter(|place| view.member(*place).present);
        let period = places.map(|place| view.pace(place)).max().unwrap_or_default();
        let echo = period + view.most_delay(router) + view.late() * 2;
        (plus(at, echo) >= since).then_some(Self::Injected)
    }

    /// A mismatch between running members that a reload ended later than that.
    pub(super) fn ended_since(view: &View, router: usize, since: WorldTime) -> Option<Self> {
        let ended = view.routers[router].odds_ended.filter(|(at, _)| *at > since);
        ended.map(|(_, odds)| odds)
    }

    /// In words.
    pub(super) fn text(self, view: &View) -> String {
        let name = |place| view.name(place);
        match self {
            Self::Differ(a, b, kind) => format!("{} and {} differ: {kind}", name(a), name(b)),
            Self::BothOwn(a, b) => format!("{} and {} both own the addresses", name(a), name(b)),
            Self::Deaf(from, to) => {
                let (from, to) = (name(from), name(to));
                format!("a one-way or partial cut: {to} does not hear {from}")
            }
            Self::TooLate(host) => {
                format!("handlers of {} are later than the run allows", view.host_name(host))
            }
            Self::Slow { delay, least } => format!(
                "the largest delay {delay:?} is more than a fifth of the interval {least:?}"
            ),
            Self::Restless => "delays too irregular to settle".to_owned(),
            Self::Injected => "somebody who runs no engine advertised".to_owned(),
        }
    }
}
