//! Whether an instance goes to and fro between Backup and Master because adverts come late
//! (RFC 9568 section 2.5): it hears nobody for `Master_Down_Interval`, takes over, and hears the
//! Master.
//!
//! Three such transitions within five intervals are told, and then no more until five intervals
//! passed without one: a link that stays bad does not fill a log.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{StateKind, Why};
use crate::names::Interval;
use crate::time::Timestamp;

/// As many transitions are flapping.
pub const TRANSITIONS: usize = 3;
/// Within this many intervals.
const INTERVALS: u32 = 5;

/// The transitions before the last one that may still count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flapping {
    /// Until when each counts, in no order.
    until: [Option<Timestamp>; TRANSITIONS - 1],
    told: bool,
}

impl Flapping {
    /// A transition happens. Returns the time in which there were [`TRANSITIONS`] of them, if that
    /// is to be told now.
    pub(crate) fn on_change(
        &mut self,
        now: Timestamp,
        to: StateKind,
        why: &Why,
        interval: Interval,
    ) -> Option<Duration> {
        self.until = self.until.map(|until| until.filter(|until| *until >= now));
        let goes_on = self.until.iter().any(Option::is_some);
        self.told &= goes_on;
        if !is_by_lateness(to, why, goes_on) {
            return None;
        }
        let is_flapping = self.until.iter().all(Option::is_some);
        let window = interval.duration() * INTERVALS;
        if let Some(oldest) = self.until.iter_mut().min() {
            *oldest = Some(now + window);
        }
        let is_new = is_flapping && !self.told;
        self.told |= is_flapping;
        is_new.then_some(window)
    }

    /// A transition that does not count any more is none.
    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        let mut left = self.until.map(|until| until.filter(|until| *until >= now));
        left.sort_unstable();
        left.map(|until| until.map(|until| until - now)).hash(hasher);
        (self.told && left.iter().any(Option::is_some)).hash(hasher);
    }
}

/// Whether adverts that come late can make this change. A spell begins with a takeover after
/// silence: who yields after a resignation or a preemption was master for another reason.
const fn is_by_lateness(to: StateKind, why: &Why, goes_on: bool) -> bool {
    match to {
        StateKind::Master => matches!(why, Why::MasterDown(_)),
        StateKind::Backup => {
            goes_on && matches!(why, Why::HigherPriority { .. } | Why::GreaterAddress(_))
        }
        StateKind::Initialize | StateKind::Fault => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use std::hash::DefaultHasher;

    const DOWN: Why = Why::MasterDown(Duration::from_secs(3));

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    /// How many of these transitions are told, in milliseconds, at one second an interval.
    fn told(transitions: &[u64]) -> Vec<u64> {
        let mut flapping = Flapping::default();
        let mut tell = |time: u64| {
            flapping.on_change(at(time), StateKind::Master, &DOWN, Interval::DEFAULT).is_some()
        };
        transitions.iter().copied().filter(|time| tell(*time)).collect()
    }

    #[test]
    fn whether_it_was_told_is_folded_while_a_transition_counts() {
        let folded = |told, until| {
            let mut hasher = DefaultHasher::new();
            Flapping { until: [until, None], told }.fold(at(1), &mut hasher);
            hasher.finish()
        };
        assert_ne!(folded(true, Some(at(2))), folded(false, Some(at(2))));
        assert_eq!(folded(true, Some(at(0))), folded(false, None), "it is over");
    }

    #[test]
    fn three_transitions_within_five_intervals_are_told_and_no_later_ones() {
        assert_eq!(told(&[0, 1, 5000]), [5000]);
        assert!(told(&[0, 1, 5001]).is_empty());
        assert_eq!(told(&[0, 1, 5001, 5001]), [5001]);
    }

    #[test]
    fn a_spell_is_told_once_and_the_next_one_again() {
        assert_eq!(told(&[0, 1, 2, 3, 1000, 5000, 9000, 9001]), [2]);
        assert_eq!(told(&[0, 1, 2, 5003, 5004, 5005]), [2, 5005]);
    }

    #[test]
    fn what_lateness_does_not_explain_does_not_count() {
        let mut flapping = Flapping::default();
        for time in 0..10 {
            for (to, why) in [
                (StateKind::Backup, Why::Startup),
                (StateKind::Master, Why::OwnerStartup),
                (StateKind::Backup, Why::Recovered),
                (StateKind::Master, Why::Preempts { peer: [10, 0, 0, 1].into(), priority: 1 }),
                (StateKind::Backup, Why::GreaterAddress([10, 0, 0, 1].into())),
            ] {
                assert!(flapping.on_change(at(time), to, &why, Interval::DEFAULT).is_none());
            }
        }
    }
}
