//! S6: after a cut heals, one master per component within A_hi + D + 2L, counted from the last
//! fault, and k*A_hi more under loss.

use std::collections::BTreeMap;
use std::time::Duration;

use super::change::{Change, Place, What};
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::{Seen, WorldTime};

/// S6.
#[derive(Debug)]
pub(super) struct Heal {
    score: Score,
    /// By virtual router: where components have several masters.
    open: BTreeMap<usize, Split>,
}

/// The components that have several masters, since the last fault.
#[derive(Debug)]
struct Split {
    began: WorldTime,
    components: Vec<Vec<Place>>,
}

impl Heal {
    pub(super) const fn new() -> Self {
        let missing = "no cut healed between two masters";
        Self { score: Score::new(PropertyId::S6, missing), open: BTreeMap::new() }
    }

    fn close(&mut self, view: &View, router: usize, split: &Split, now: WorldTime) {
        let began = split.began;
        let value = since(now, began);
        // The best of those that hear each other: a better one elsewhere has no say.
        let waits = |component: &Vec<Place>| {
            let best = component.iter().copied().reduce(|a, b| better(view, a, b))?;
            let lost = component.iter().map(|place| view.lost_since(best, *place, began)).max();
            Some(view.pace_since(best, began) * (1 + lost.unwrap_or(0)))
        };
        let Some(waits) = split.components.iter().filter_map(waits).max() else { return };
        let bound = waits + view.most_delay(router) + view.late() * 2 + view.tolerance();
        let places: Vec<_> = view.places(router).filter(|place| view.is_running(*place)).collect();
        let excuse = || {
            let unusual = view.unusual(&places, began).or_else(|| view.irregular(router));
            unusual.or_else(|| view.stalled(&places, began))
        };
        let what =
            || format!("a component still had several masters {value:?} after the last fault");
        self.score.at_most(value, bound, excuse, what);
    }
}

/// The one that will stay: a master before a backup, then by rank. One that ends right now, however
/// it does, was it until now.
fn better(view: &View, a: Place, b: Place) -> Place {
    let is_master = |place| {
        let member = view.member(place);
        member.master.is_some() || member.ended.is_some_and(|(ended, _)| ended == view.now)
    };
    match (is_master(a), is_master(b)) {
        (true, false) => a,
        (false, true) => b,
        (true, true) | (false, false) => {
            if view.outranks(b, a) {
                b
            } else {
                a
            }
        }
    }
}

/// The components that have several masters.
fn split(view: &View, router: usize) -> impl Iterator<Item = &Vec<Place>> {
    let masters = |component: &[Place]| {
        component.iter().filter(|place| view.member(**place).master.is_some()).count()
    };
    let components = view.routers[router].connections.components.iter();
    components.filter(move |component| masters(component) > 1)
}

impl Property for Heal {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        !self.open.is_empty() || heals(change)
    }

    fn after(&mut self, view: &View, change: &Change) {
        for &router in &view.touched {
            let is_split = split(view, router).next().is_some();
            let split = || {
                let components = split(view, router).cloned().collect();
                Split { began: change.at, components }
            };
            let disturbed = view.disturbed_at(router) == change.at;
            match (self.open.contains_key(&router), is_split) {
                (false, true) if heals(change) => {
                    self.open.insert(router, split());
                }
                (true, false) => {
                    if let Some(split) = self.open.remove(&router) {
                        self.close(view, router, &split, change.at);
                    }
                }
                (true, true) if matches!(change.what, What::MasterStarts { .. }) => {
                    // Another node's down timer ran all along: not what this property is about.
                    self.open.remove(&router);
                }
                (true, true) if disturbed && !is_loss(change) => {
                    self.open.insert(router, split());
                }
                (true, true) | (false, false | true) => {}
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (router, split) in std::mem::take(&mut self.open) {
            if since(end, split.began) > Duration::ZERO {
                self.close(view, router, &split, end);
            }
        }
        vec![self.score.report()]
    }
}

/// Only what joins two sides can heal.
const fn heals(change: &Change) -> bool {
    matches!(change.what, What::Seen(Seen::Path { .. } | Seen::Link { .. }))
}

const fn is_loss(change: &Change) -> bool {
    matches!(change.what, What::Lost { .. })
}
