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
    /// By virtual router: since when one component has several masters.
    open: BTreeMap<usize, WorldTime>,
}

impl Heal {
    pub(super) const fn new() -> Self {
        let missing = "no cut healed between two masters";
        Self { score: Score::new(PropertyId::S6, missing), open: BTreeMap::new() }
    }

    fn close(&mut self, view: &View, router: usize, began: WorldTime, now: WorldTime) {
        let value = since(now, began);
        let places: Vec<_> = view.places(router).filter(|place| view.is_running(*place)).collect();
        let Some(best) = places.iter().copied().reduce(|a, b| better(view, a, b)) else { return };
        let lost = places.iter().map(|place| view.lost_since(best, *place, began)).max();
        let bound = view.pace(best) * (1 + lost.unwrap_or(0))
            + view.most_delay(router)
            + view.late() * 2
            + view.tolerance();
        let excuse = || {
            let unusual = view.unusual(&places, began).or_else(|| view.irregular(router));
            unusual.or_else(|| view.stalled(&places, began))
        };
        let what =
            || format!("a component still had several masters {value:?} after the last fault");
        self.score.at_most(value, bound, excuse, what);
    }
}

/// The one that will stay: a master before a backup, then by rank.
fn better(view: &View, a: Place, b: Place) -> Place {
    match (view.member(a).master, view.member(b).master) {
        (Some(_), None) => a,
        (None, Some(_)) => b,
        (Some(_), Some(_)) | (None, None) => {
            if view.outranks(b, a) {
                b
            } else {
                a
            }
        }
    }
}

/// Whether some component has several masters.
fn is_split(view: &View, router: usize) -> bool {
    let masters = |component: &Vec<Place>| {
        component.iter().filter(|place| view.member(**place).master.is_some()).count()
    };
    view.components(router).iter().any(|component| masters(component) > 1)
}

impl Property for Heal {
    fn after(&mut self, view: &View, change: &Change) {
        for router in view.touched(change) {
            let split = is_split(view, router);
            let disturbed = view.disturbed_at(router) == change.at;
            match (self.open.get(&router).copied(), split) {
                (None, true) if heals(change) => {
                    self.open.insert(router, change.at);
                }
                (Some(began), false) => {
                    self.open.remove(&router);
                    self.close(view, router, began, change.at);
                }
                (Some(_), true) if matches!(change.what, What::MasterStarts { .. }) => {
                    // Another node's down timer ran all along: not what this property is about.
                    self.open.remove(&router);
                }
                (Some(_), true) if disturbed && !is_loss(change) => {
                    self.open.insert(router, change.at);
                }
                (Some(_), true) | (None, false | true) => {}
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (router, began) in std::mem::take(&mut self.open) {
            if since(end, began) > Duration::ZERO {
                self.close(view, router, began, end);
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
