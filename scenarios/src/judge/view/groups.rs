//! Sync groups: which virtual routers move together, and so share what disturbs one of them.

use super::{Member, View};
use crate::judge::change::Place;
use crate::judge::mismatch;
use crate::record::WorldTime;

impl Member {
    pub(in crate::judge) const fn is_grouped(&self) -> bool {
        self.group.is_some()
    }

    /// Both are in one sync group of one host.
    pub(super) fn moves_with(&self, other: &Self) -> bool {
        self.is_grouped() && self.host == other.host && self.group == other.group
    }
}

impl View {
    /// A fault of one virtual router is one of those that move with it, too: a member that follows
    /// what happened takes its sync group along.
    pub(super) fn disturb(&mut self, router: usize) {
        self.routers[router].disturbed_at = self.now;
        for place in 0..self.routers[router].joined.len() {
            let moved = self.routers[router].joined[place];
            self.routers[moved].disturbed_at = self.now;
        }
    }

    /// The virtual routers that a sync group of any host joins to this one, directly or by way of
    /// another one.
    pub(in crate::judge) fn joined_to(&self, router: usize) -> &[usize] {
        &self.routers[router].joined
    }

    /// Somebody came to a sync group, or left one.
    pub(super) fn join_groups(&mut self) {
        for router in 0..self.routers.len() {
            self.routers[router].joined = self.find_joined(router);
        }
        self.grouped = self.routers.iter().any(|router| !router.joined.is_empty());
    }

    fn find_joined(&self, router: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let (mut one, mut next) = (router, 0);
        loop {
            for other in (0..self.routers.len()).filter(|other| *other != router) {
                if self.are_joined(one, other) && !found.contains(&other) {
                    found.push(other);
                }
            }
            let Some(following) = found.get(next) else { return found };
            (one, next) = (*following, next + 1);
        }
    }

    /// Its sync group keeps it a backup: another member of the group follows a master, and they
    /// become master together or not at all.
    pub(in crate::judge) fn is_kept_by_group(&self, place: Place) -> bool {
        self.group_leaders(place).any(|leader| self.member(leader).master.is_some())
    }

    /// Until when it is kept by one that fell silent: until the next advert of that one is due.
    pub(in crate::judge) fn kept_until(&self, place: Place) -> Option<WorldTime> {
        self.group_leaders(place).filter_map(|leader| self.next_advert_due(leader)).max()
    }

    /// Whom the other members of its sync group follow, if they are master.
    fn group_leaders(&self, place: Place) -> impl Iterator<Item = Place> {
        let one = self.member(place);
        let joined = if one.is_grouped() { self.joined_to(place.router) } else { &[] };
        let others = joined.iter().flat_map(|other| self.places(*other));
        let others = others.filter(move |other| {
            let member = self.member(*other);
            member.present && member.moves_with(one) && member.master.is_none()
        });
        others.flat_map(move |other| {
            let leads = move |leader: &Place| self.would_follow(other, *leader);
            self.places(other.router).filter(leads)
        })
    }

    /// It hears the other one, and would not take over from it.
    fn would_follow(&self, place: Place, leader: Place) -> bool {
        let (own, other) = (self.member(place), self.member(leader));
        leader != place
            && self.reaches(leader, place)
            && !own.discards_as_owner()
            && !mismatch::misses(own, other)
            && (!own.preempts() || other.priority >= own.priority)
    }

    fn are_joined(&self, a: usize, b: usize) -> bool {
        let present = |place: &Place| self.member(*place).present;
        let joins = |one: Place| {
            let mut others = self.places(b).filter(present);
            others.any(|other| self.member(one).moves_with(self.member(other)))
        };
        let grouped = |place: &Place| present(place) && self.member(*place).is_grouped();
        a != b && self.places(a).filter(grouped).any(joins)
    }
}
