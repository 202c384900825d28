//! Routers that resigned a moment ago, and what a late advert of theirs may still do.
//!
//! An ordinary advert sent just before the priority-0 advert and delivered after it would re-arm
//! the full down timer of a plain implementation. For one interval after the priority-0 advert a
//! Backup re-arms only the interval and its skew on adverts of that sender, and a Master answers
//! the first of them instead of yielding and obeys the second. DEVIATION: no RFC has this rule
//! (`Rules::resign_reorder`).

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Most senders remembered; the oldest is forgotten first.
pub const MAX_RESIGNED: usize = 8;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Resigned {
    peer: IpAddr,
    until: Timestamp,
    answered: bool,
}

/// Senders of a priority-0 advert whose period is not over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Resignations(Vec<Resigned>);

impl Resignations {
    /// `peer` resigned now; its period lasts one interval.
    pub(crate) fn begin(&mut self, now: Timestamp, peer: IpAddr, interval: Duration) {
        self.0.retain(|resigned| resigned.peer != peer && resigned.until > now);
        if self.0.len() >= MAX_RESIGNED {
            self.0.remove(0);
        }
        self.0.push(Resigned { peer, until: now + interval, answered: false });
    }

    /// Whether the period of `peer` is still running.
    pub(crate) fn covers(&self, now: Timestamp, peer: IpAddr) -> bool {
        self.0.iter().any(|resigned| resigned.peer == peer && now < resigned.until)
    }

    /// A Master hears `peer`: whether it answers (the first advert in the period) instead of
    /// yielding. The second one ends the period.
    pub(crate) fn answer(&mut self, now: Timestamp, peer: IpAddr) -> bool {
        let covered =
            self.0.iter().position(|resigned| resigned.peer == peer && now < resigned.until);
        match covered {
            Some(index) if !self.0[index].answered => {
                self.0[index].answered = true;
                true
            }
            Some(index) => {
                self.0.remove(index);
                false
            }
            None => false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether it is within its limits.
    pub(crate) fn fits(&self) -> bool {
        self.0.len() <= MAX_RESIGNED
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        for resigned in self.0.iter().filter(|resigned| now < resigned.until) {
            (resigned.peer, resigned.until - now, resigned.answered).hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use std::hash::DefaultHasher;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn peer(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn the_first_late_advert_is_answered_and_the_second_obeyed() {
        let mut resigned = Resignations::default();
        resigned.begin(at(0), peer(1), SECOND);
        assert!(!resigned.answer(at(1), peer(2)), "another sender is not meant");
        assert!(resigned.answer(at(1), peer(1)));
        assert!(!resigned.answer(at(2), peer(1)));
        assert!(!resigned.covers(at(3), peer(1)), "the second advert ended the period");
    }

    #[test]
    fn the_period_ends_after_one_interval_to_the_nanosecond() {
        let mut resigned = Resignations::default();
        resigned.begin(at(0), peer(1), SECOND);
        assert!(resigned.covers(at(999_999_999), peer(1)));
        assert!(!resigned.covers(at(1_000_000_000), peer(1)));
        assert!(!resigned.answer(at(1_000_000_000), peer(1)));
        assert!(resigned.answer(at(999_999_999), peer(1)));
    }

    #[test]
    fn a_sender_that_resigns_again_begins_a_period_anew() {
        let mut resigned = Resignations::default();
        resigned.begin(at(0), peer(1), SECOND);
        assert!(resigned.answer(at(1), peer(1)));
        resigned.begin(at(2), peer(1), SECOND);
        assert!(resigned.answer(at(3), peer(1)), "the first advert of this period");
        assert!(!resigned.answer(at(4), peer(1)));
    }

    #[test]
    fn a_period_that_is_over_is_not_folded() {
        let folded = |now| {
            let mut resigned = Resignations::default();
            resigned.begin(at(0), peer(1), SECOND);
            let mut hasher = DefaultHasher::new();
            resigned.fold(at(now), &mut hasher);
            hasher.finish()
        };
        assert_eq!(folded(1_000_000_000), DefaultHasher::new().finish());
        assert_ne!(folded(999_999_999), DefaultHasher::new().finish());
    }

    #[test]
    fn a_flood_of_resignations_forgets_the_oldest() {
        let mut resigned = Resignations::default();
        for last in 0..=MAX_RESIGNED as u8 {
            resigned.begin(at(0), peer(last), SECOND);
        }
        assert!(!resigned.covers(at(1), peer(0)));
        assert!(resigned.covers(at(1), peer(1)));
    }
}
