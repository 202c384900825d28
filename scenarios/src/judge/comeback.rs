//! L3: a returning better node is master by start + M, with a preempt delay by start + A + delay
//! + M, an owner at once.

use std::time::Duration;

use vipd_engine::StateKind;

use super::change::{Change, Place, What};
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::WorldTime;

/// L3.
#[derive(Debug)]
pub(super) struct Comeback {
    score: Score,
    open: Vec<Return>,
}

#[derive(Debug)]
struct Return {
    place: Place,
    at: WorldTime,
    startup_delay: Duration,
    bound: Duration,
}

impl Comeback {
    pub(super) const fn new() -> Self {
        let missing = "no better node that may preempt came back while a lower one was master";
        Self { score: Score::new(PropertyId::L3, missing), open: Vec::new() }
    }

    fn open(&mut self, view: &View, place: Place, startup_delay: Duration, now: WorldTime) {
        let member = view.member(place);
        if !member.may_preempt(now) || member.held_down.is_some() {
            return;
        }
        let Some(master) = lower_master(view, place) else { return };
        let waits = if member.is_owner() {
            Duration::ZERO
        } else {
            let delay = member.config.preempt_delay;
            let delay = if delay.is_zero() { delay } else { view.pace(master) + view.up(delay) };
            view.up(member.down_interval()) + delay + view.most_delay(place.router)
        };
        let bound = waits + view.up(startup_delay) + view.late() * 2 + view.tolerance();
        self.open.retain(|open| open.place != place);
        self.open.push(Return { place, at: now, startup_delay, bound });
    }

    fn close(&mut self, view: &View, open: &Return, now: WorldTime) {
        let value = since(now, open.at);
        let excuse = || {
            let mut places: Vec<_> = view.places(open.place.router).collect();
            places.retain(|place| view.is_running(*place));
            view.unusual(&places, open.at)
                .or_else(|| view.stalled(&[open.place], open.at))
                .or_else(|| view.irregular(open.place.router))
                .or_else(|| {
                    let grouped = view.member(open.place).is_grouped();
                    grouped.then(|| format!("{} follows its sync group", view.name(open.place)))
                })
        };
        let what =
            || format!("{} was not master {value:?} after it came back", view.name(open.place));
        self.score.at_most(value, open.bound, excuse, what);
    }
}

/// The best master that this one hears and is better than.
fn lower_master(view: &View, place: Place) -> Option<Place> {
    let masters = view.places(place.router).filter(|other| {
        *other != place && view.is_still_master(*other) && view.hear_each_other(*other, place)
    });
    let master = masters.reduce(|a, b| if view.outranks(b, a) { b } else { a })?;
    (view.member(master).priority < view.member(place).priority).then_some(master)
}

impl Property for Comeback {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        let comes = matches!(
            change.what,
            What::Joined { starts: Some(_), .. }
                | What::State { from: StateKind::Fault, to: StateKind::Backup, .. }
        );
        comes || !self.open.is_empty()
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::Joined { place, starts: Some(delay), .. } = change.what {
            self.open(view, place, delay, change.at);
        }
        if let What::State { place, from: StateKind::Fault, to: StateKind::Backup } = change.what {
            self.open(view, place, Duration::ZERO, change.at);
        }
        for open in std::mem::take(&mut self.open) {
            let place = open.place;
            if view.member(place).master.is_some() {
                self.close(view, &open, change.at);
                continue;
            }
            let over = matches!(view.member(place).state, Some(StateKind::Fault))
                || lower_master(view, place).is_none();
            // It comes back with what it is told at the same instant.
            if change.at == open.at {
                if !over {
                    self.open(view, place, open.startup_delay, change.at);
                }
                continue;
            }
            if !over && view.disturbed_at(place.router) <= open.at {
                self.open.push(open);
            } else if since(change.at, open.at) > open.bound {
                self.close(view, &open, change.at);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for open in std::mem::take(&mut self.open) {
            if since(end, open.at) > open.bound {
                self.close(view, &open, end);
            }
        }
        vec![self.score.report()]
    }
}
