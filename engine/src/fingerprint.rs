//! What an engine is but for its books: two engines of equal fingerprint do the same from then on.
//!
//! What an instance adds is in `vrrp/folding`.

use core::hash::{Hash, Hasher};

use crate::engine::Engine;
use crate::time::Timestamp;

impl Engine {
    /// Folds what decides: protocol state, every time as its distance from `now`, books left out.
    ///
    /// Engines of the same configuration and equal fingerprints, given equal inputs at equal
    /// distances, give equal outputs (but for the numbers in ids) and equal fingerprints.
    pub fn fingerprint(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.fold_rest(now, hasher);
        for instance in self.instances.iter().flatten() {
            instance.fold(now, hasher);
        }
        self.named.fold(hasher);
    }

    /// The same without what decides only which news are told: rivals and peers that were named,
    /// transitions that may be flapping, why a router becomes Master.
    ///
    /// The outputs that such engines give may differ in their [`Notify`](crate::Output::Notify),
    /// and in nothing else, as long as nothing changes a priority or whether somebody preempts (a
    /// file, a tracker, a link, an operator): that a Backup heard a lower router is left out, and
    /// decides once it is lower no more.
    pub fn election_fingerprint(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.fold_rest(now, hasher);
        for instance in self.instances.iter().flatten() {
            instance.fold_election(now, hasher);
        }
    }

    /// All but the instances, and what was named of datagrams that are for none of them.
    fn fold_rest(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.is_configured.hash(hasher);
        self.observed.fold(hasher);
        self.statics.fold(now, hasher);
        for group in &self.groups {
            (&group.name, group.state).hash(hasher);
        }
        self.instances.iter().flatten().count().hash(hasher);
        if let Some(director) = &self.director {
            director.fingerprint(now, hasher);
        }
    }
}
