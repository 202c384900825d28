//! What holds a router back from a mastership that its rank would give it: a start-up or preempt
//! delay, and the hold-down of a master that yielded to a rival which does not hear it
//! (`one_way_yield`).
//!
//! The engine's word that it alarms and leaves the state Master begins a hold-down; the
//! configuration says how long it lasts. That the engine calls it over counts for nothing.

use std::time::Duration;

use vipd_engine::StateKind;

use super::{Host, View};
use crate::judge::change::Place;
use crate::judge::terms::plus;
use crate::record::{HostId, WorldTime};

impl View {
    pub(super) fn hold(&mut self, place: Place, delay: Duration) {
        self.hold_until(place, plus(self.now, self.up(delay) + self.late()));
    }

    fn hold_until(&mut self, place: Place, until: WorldTime) {
        self.member_mut(place).held = Some(until);
        self.holds.retain(|(_, held)| *held != place);
        self.holds.insert((until, place));
    }

    /// Nothing holds it any more.
    pub(super) fn release(&mut self, place: Place) {
        let member = self.member_mut(place);
        (member.held, member.held_down, member.starting) = (None, None, false);
        self.holds.retain(|(_, held)| *held != place);
    }

    /// The start-up delay of its process holds it.
    pub(super) fn hold_at_the_start(&mut self, place: Place, delay: Duration) {
        self.hold(place, delay);
        self.member_mut(place).starting = true;
    }

    /// Nothing holds it from now on. What it does is no change in a calm stretch that was before.
    pub(super) fn end_hold(&mut self, place: Place) {
        self.routers[place.router].hold_ended_at = self.now;
        self.release(place);
    }

    /// Whoever does something has started.
    pub(super) fn end_start(&mut self, place: Place) {
        if self.member(place).starting {
            self.end_hold(place);
        }
    }

    /// A master that becomes a backup as it tells of a rival that does not hear it is held down.
    pub(super) fn note_hold_down(&mut self, place: Place, to: StateKind) {
        let (now, slack) = (self.now, self.late() + self.tolerance());
        let member = self.member_mut(place);
        member.held_down = None;
        let alarmed = member.alarmed_at.take().filter(|at| now.since(*at) <= slack);
        let lasts = member.config.one_way_yield.filter(|_| to == StateKind::Backup);
        if let (Some(at), Some(lasts)) = (alarmed, lasts) {
            let least = self.down(lasts).saturating_sub(self.tolerance());
            self.member_mut(place).held_down = Some(plus(at, least));
            self.hold(place, lasts);
        }
    }

    /// The members of its sync group wait for one that is held down, and may be master as soon as
    /// that one is needed.
    pub(super) fn hold_with_group(&mut self, place: Place) {
        let one = self.member(place);
        let members = self.routers.iter().flat_map(|router| &router.members);
        let down = members.filter(|other| other.moves_with(one) && other.held_down.is_some());
        let until = down.filter_map(|one| one.held).max();
        if let Some(until) = until.filter(|until| self.member(place).held < Some(*until)) {
            self.hold_until(place, until);
        }
    }

    /// A new configuration shortens a hold-down or ends it, and never prolongs it.
    pub(super) fn shorten_hold_down(&mut self, place: Place) {
        let member = self.member(place);
        let (Some(least), Some(most)) = (member.held_down, member.held) else { return };
        let lasts = member.config.one_way_yield.unwrap_or_default();
        let (new_least, new_most) = (self.down(lasts), self.up(lasts) + self.late());
        self.member_mut(place).held_down = Some(least.min(plus(self.now, new_least)));
        self.hold_until(place, most.min(plus(self.now, new_most)));
    }

    /// The clock of a host stood still for at most so long: what holds its routers ends that much
    /// later, or earlier than that.
    pub(super) fn hold_longer(&mut self, host: HostId, stood: Duration) {
        for router in 0..self.routers.len() {
            for place in self.places(router) {
                let member = self.member(place);
                if let Some(until) = member.held.filter(|_| member.host == host) {
                    self.hold_until(place, plus(until, stood));
                }
            }
        }
    }
}

impl Host {
    /// Its machine is frozen, and its clock with it.
    pub(super) const fn clock_stands(&self) -> bool {
        self.frozen && self.clock_stood
    }
}
