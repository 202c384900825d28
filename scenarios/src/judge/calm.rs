//! S7, L4 and L5: what holds once nothing disturbs a virtual router any more.
//!
//! One calm stretch runs from the last fault (or the end of a delay that held a router back) to the
//! next one. In it every component that has an eligible node must come to exactly one master, the
//! best-ranked one if it preempts, and then nothing changes any more.

use std::time::Duration;

use super::change::{Change, Ending, Place, What};
use super::excuse::Excuse;
use super::places::Places;
use super::score::Score;
use super::terms::{Outset, Patience, since};
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::WorldTime;

/// S7, L4 and L5.
#[derive(Debug)]
pub(super) struct Calm {
    scores: Scores,
    /// By virtual router.
    stretches: Places<Stretch>,
    /// The terms of one are not worked out.
    pub(super) begun: bool,
}

#[derive(Debug)]
struct Scores {
    one_master: Score,
    settled: Score,
    no_livelock: Score,
}

/// What happened to a virtual router since the last fault.
#[derive(Debug)]
pub(super) struct Stretch {
    began: WorldTime,
    /// Worked out once, behind all that is told of what it began with.
    terms: Option<Terms>,
    /// Since when it is not settled, and why.
    unsettled: Option<(WorldTime, Unrest)>,
    /// Until when it was not settled, and why.
    was_unsettled: Option<(WorldTime, Unrest)>,
    /// The last change of a state in it, and whose.
    changed: Option<(WorldTime, Place)>,
    /// A change of this very moment, at which a fault may still turn up.
    changes: Option<(WorldTime, Place)>,
    /// A mastership fell silent: when, and until when a fault explains that.
    silent: Option<(WorldTime, WorldTime, Place)>,
    /// A component with an eligible node was seen.
    counts: bool,
}

/// What a stretch is held to.
#[derive(Clone, Copy, Debug)]
struct Terms {
    patience: Patience,
    excuse: Option<Excuse>,
}

/// Why a virtual router is not settled.
#[derive(Debug)]
enum Unrest {
    Nobody,
    Outranked { master: Place, better: Place },
    Together(Vec<Place>),
}

impl Unrest {
    fn text(&self, view: &View) -> String {
        match self {
            Self::Nobody => "nobody was master".to_owned(),
            Self::Outranked { master, better } => {
                let (master, better) = (view.name(*master), view.name(*better));
                format!("{master} was master although {better} is better")
            }
            Self::Together(masters) => {
                let names: Vec<_> = masters.iter().map(|place| view.name(*place)).collect();
                format!("{} were master together", names.join(" and "))
            }
        }
    }
}

impl Stretch {
    const fn new(began: WorldTime) -> Self {
        Self {
            began,
            terms: None,
            unsettled: None,
            was_unsettled: None,
            changed: None,
            changes: None,
            silent: None,
            counts: false,
        }
    }

    /// Works out its terms, which begin with what was told last.
    pub(super) fn work_out(&mut self, view: &View, router: usize, outset: &Outset) {
        let running = &view.routers[router].connections.running;
        let excuse = outset
            .odds
            .or_else(|| Excuse::irregular(view, router))
            .or(outset.slow)
            .or_else(|| Excuse::restless(view, router, running));
        self.terms = Some(Terms { patience: outset.patience, excuse });
    }

    /// Time goes on until `now`, when a fault ends the stretch or something else happens in it.
    fn pass(&mut self, now: WorldTime, fault: bool) {
        if let Some((began, why)) = self.unsettled.take()
            && began < now
        {
            self.was_unsettled = Some((now, why));
        }
        if self.changes.is_some_and(|(at, _)| at < now) {
            self.changed = self.changes.take();
        }
        match self.silent.take() {
            Some((_, due, _)) if fault && now <= due => {}
            Some((silent, due, place)) if now <= due => self.silent = Some((silent, due, place)),
            Some((silent, _, place)) if self.changed.is_none_or(|(last, _)| last < silent) => {
                self.changed = Some((silent, place));
            }
            Some(_) | None => {}
        }
    }
}

impl Scores {
    fn close(&mut self, view: &View, stretch: &mut Stretch, end: WorldTime, fault: bool) {
        // Without terms it has no length either.
        let Some(terms) = stretch.terms.filter(|_| stretch.counts) else { return };
        stretch.pass(end, fault);
        let length = since(end, stretch.began);
        let Patience { settling, liveness } = terms.patience;
        let unrest = stretch.was_unsettled.as_ref();
        let value = unrest.map_or(Duration::ZERO, |(until, _)| since(*until, stretch.began));
        let excuse = || terms.excuse.map(|excuse| excuse.text(view));
        let what = || {
            let why = unrest.map_or_else(String::new, |(_, why)| why.text(view));
            format!("{why} {value:?} after the last fault")
        };
        if length >= settling {
            self.one_master.at_most(value, settling, excuse, what);
        }
        if length >= liveness {
            self.settled.at_most(value, liveness, excuse, what);
            let value = stretch.changed.map_or(Duration::ZERO, |(at, _)| since(at, stretch.began));
            let what = || {
                let name = stretch.changed.map_or("nobody", |(_, place)| view.name(place));
                format!("{name} changed its state {value:?} after the last fault")
            };
            self.no_livelock.at_most(value, liveness, excuse, what);
        }
    }
}

impl Calm {
    pub(super) const fn new() -> Self {
        let too_short = "no stretch without a fault was long enough for a component to settle";
        let scores = Scores {
            one_master: Score::new(PropertyId::S7, too_short),
            settled: Score::new(PropertyId::L4, too_short),
            no_livelock: Score::new(PropertyId::L5, too_short),
        };
        Self { scores, stretches: Places::new(), begun: false }
    }

    /// The stretch of a virtual router, if its terms are not worked out yet.
    pub(super) fn without_terms(&mut self, router: usize) -> Option<&mut Stretch> {
        self.stretches.get_mut(router).filter(|stretch| stretch.terms.is_none())
    }
}

/// From when on a virtual router is not settled, if it stays like this, and why; `Ok(false)` if
/// there is nobody to settle.
fn settled(view: &View, router: usize) -> Result<bool, (WorldTime, Unrest)> {
    let mut counts = false;
    for component in &view.routers[router].connections.components {
        let of_it = || component.iter().copied();
        let free = |place: Place| view.is_eligible(place) && !view.is_kept_by_group(place);
        if !of_it().any(|place| view.is_eligible(place)) {
            continue;
        }
        let masters = || of_it().filter(|place| view.member(*place).master.is_some());
        let mut two = masters();
        let two = (two.next(), two.next());
        if two.0.is_none() && !of_it().any(free) {
            continue;
        }
        counts = true;
        match two {
            (None, _) => {
                // Whoever fell silent is missed when its next advert is due.
                let due = |place: &Place| view.next_advert_due(*place).max(view.kept_until(*place));
                let due = component.iter().filter_map(due).max();
                return Err((due.unwrap_or(view.now), Unrest::Nobody));
            }
            (Some(master), None) => {
                let outranked = of_it().find(|place| {
                    let member = view.member(*place);
                    let better = member.priority > view.member(master).priority;
                    better && member.preempts() && free(*place)
                });
                if let Some(better) = outranked {
                    let from = view.kept_until(better).unwrap_or(view.now);
                    return Err((from, Unrest::Outranked { master, better }));
                }
            }
            (Some(_), Some(_)) => return Err((view.now, Unrest::Together(masters().collect()))),
        }
    }
    Ok(counts)
}

impl Property for Calm {
    #[inline]
    fn heeds(&self, view: &View, _change: &Change) -> bool {
        !view.moved.is_empty()
    }

    fn after(&mut self, view: &View, change: &Change) {
        // Whether a member is kept back may change with any other one of its sync group.
        for &router in &view.moved {
            let is_first = self.stretches.get(router).is_none();
            let stretch = self.stretches.or_put(router, || Stretch::new(change.at));
            if is_first || view.calm_since(router) == change.at {
                self.scores.close(view, stretch, change.at, true);
                *stretch = Stretch::new(change.at);
                self.begun = true;
            }
            stretch.pass(change.at, false);
            match settled(view, router) {
                Ok(counts) => stretch.counts |= counts,
                Err((from, why)) => {
                    stretch.counts = true;
                    stretch.unsettled = Some((from, why));
                }
            }
            if let What::MasterStarts { place, .. }
            | What::MasterEnds(place, _)
            | What::State { place, .. } = change.what
                && change.at > stretch.began
            {
                if let What::MasterEnds(_, Ending::Silent) = change.what
                    && let Some(due) = view.next_advert_due(place)
                {
                    stretch.silent = Some((change.at, due, place));
                } else {
                    stretch.changes = Some((change.at, place));
                }
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        let Self { scores, stretches, .. } = self;
        for (_, mut stretch) in stretches.drain() {
            scores.close(view, &mut stretch, end, false);
        }
        vec![scores.one_master.report(), scores.settled.report(), scores.no_livelock.report()]
    }
}
