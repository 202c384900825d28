//! The observations of one run, kept for reports that are made after it: page, trace, lines.
//!
//! Memory has a limit. What comes in masses (adverts, probes, announcements) is left out beyond it
//! and counted; what changes a state is kept as long as there is any room. What is made of them is
//! in `picture.rs`, [`super::lines`], [`super::perfetto`] and [`super::page`].

use crate::record::{Observation, Recorder, Seen, Setting};

/// Adverts, probes, announcements and their like that are kept: some two hours of a pair whose
/// interval is 100 ms, two weeks of one whose interval is a minute.
pub const MAX_PACKETS: usize = 300_000;

/// Everything that is kept.
pub const MAX_OBSERVATIONS: usize = 400_000;

/// What was seen of a run.
#[derive(Debug)]
pub struct History {
    pub(super) setting: Setting,
    pub(super) observations: Vec<Observation>,
    packets: usize,
    left_out: u64,
}

impl History {
    /// Nothing yet, of a world of which this is known.
    #[must_use]
    pub const fn new(setting: Setting) -> Self {
        Self { setting, observations: Vec::new(), packets: 0, left_out: 0 }
    }

    /// How many observations had no room.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl Recorder for History {
    fn observe(&mut self, observation: &Observation) {
        let mass = comes_in_masses(&observation.seen);
        if self.observations.len() >= MAX_OBSERVATIONS || (mass && self.packets >= MAX_PACKETS) {
            self.left_out += 1;
            return;
        }
        self.packets += usize::from(mass);
        self.observations.push(observation.clone());
    }
}

const fn comes_in_masses(seen: &Seen) -> bool {
    match seen {
        Seen::AdvertSent(_)
        | Seen::AdvertDelivered(_)
        | Seen::AdvertLost(..)
        | Seen::Announced { .. }
        | Seen::Answered { .. }
        | Seen::Neighbour { .. }
        | Seen::Probe { .. }
        | Seen::Request { .. }
        | Seen::Dropped(_) => true,
        Seen::Address { .. }
        | Seen::Fib { .. }
        | Seen::Destination { .. }
        | Seen::Owns { .. }
        | Seen::Process(_)
        | Seen::Machine(_)
        | Seen::Link { .. }
        | Seen::Path { .. }
        | Seen::Configured(_)
        | Seen::Engine(_)
        | Seen::Step(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::record::{HostId, WorldTime};

    use super::*;

    #[test]
    fn adverts_beyond_the_limit_are_counted_and_changes_are_still_kept() {
        let setting = Setting {
            hosts: Vec::new(),
            segments: Vec::new(),
            lateness: Duration::ZERO,
            rate_error_ppb: 0,
            release: Duration::ZERO,
            tolerance: Duration::ZERO,
            routes_seen: true,
            tables_seen: true,
        };
        let mut history = History::new(setting);
        let see = |at, seen| Observation { at: WorldTime(at), host: HostId(0), seen };
        for at in 0..MAX_PACKETS as u64 + 7 {
            history.observe(&see(at, Seen::Dropped("ttl")));
        }
        assert_eq!((history.observations.len(), history.left_out()), (MAX_PACKETS, 7));
        let address = "10.0.0.100".parse().unwrap();
        history.observe(&see(u64::MAX, Seen::Address { address, present: true }));
        assert_eq!((history.observations.len(), history.left_out()), (MAX_PACKETS + 1, 7));
    }
}
