//! The part of an instance in the fingerprints of the engine.
//!
//! In two halves: what decides who is Master and what is sent, and what decides only which news are
//! told of it. A field that decides anything belongs to one of them; what decides nothing is a book
//! and to neither.

use core::hash::{Hash, Hasher};

use crate::time::Timestamp;
use crate::vrrp::instance::Instance;
use crate::vrrp::state::State;

impl Instance {
    /// Folds what decides: protocol state, every time as its distance from `now`.
    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.fold_election(now, hasher);
        self.state.fold_news(now, hasher);
        self.named.fold(hasher);
        self.flapping.fold(now, hasher);
    }

    /// The same without what decides only which news are told.
    pub(crate) fn fold_election(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.config.name.hash(hasher);
        (self.priority, self.stopping, self.sends_refused).hash(hasher);
        self.standing.fold(now, hasher);
        (&self.own_fault, &self.group_fault).hash(hasher);
        self.state.fold_election(now, hasher);
        self.resignations.fold(now, hasher);
        self.sending.fold(now, hasher);
        if let (State::Master(_), Some(lasts)) = (&self.state, self.config.dead_man) {
            self.sending.fold_lease(now, lasts, hasher);
        }
        if let (State::Master(master), Some(_)) = (&self.state, self.config.one_way_yield) {
            master.rivals.fold_rivals(now, hasher);
        }
        self.vanishing.fold(now, hasher);
        let first = self.holdings.first_waiting().unwrap_or(0);
        self.holdings.fold(now, first, hasher);
    }
}
