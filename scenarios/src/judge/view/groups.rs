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
        for moved in self.moving_with(router) {
            self.routers[moved].disturbed_at = self.now;
        }
    }

    /// This virtual router and those that a sync group of any host joins to it, directly or by way
    /// of another one.
    pub(in crate::judge) fn moving_with(&self, router: usize) -> Vec<usize> {
        let mut found = vec![router];
        let mut next = 0;
        while let Some(one) = found.get(next).copied() {
            next += 1;
            let others = (0..self.routers.len()).filter(|other| self.are_joined(one, *other));
            let new: Vec<_> = others.filter(|other| !found.contains(other)).collect();
            found.extend(new);
        }
        found
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
