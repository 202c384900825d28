//! Sync groups: which virtual routers move together, and so share what disturbs one of them.

use super::{Member, View};
use crate::judge::change::Place;

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
        for moved in self.joined_to(router) {
            self.routers[moved].disturbed_at = self.now;
        }
    }

    /// The virtual routers that a sync group of any host joins to this one, directly or by way of
    /// another one.
    pub(in crate::judge) fn joined_to(&self, router: usize) -> Vec<usize> {
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
