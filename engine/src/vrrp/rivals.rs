//! Lower masters that a Master goes on hearing (property S10), and how often it asserts itself.
//!
//! A rival that hears us yields at our first advert. One that does not is deaf to us, by a one-way
//! cut or a mismatch. That is told, and with `one_way_yield` we yield to it.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Most rivals watched; the one heard longest ago is forgotten first.
pub const MAX_RIVALS: usize = 8;
/// Most asserted adverts per interval: a forger must not make an amplifier of us. The periodic
/// advert is not counted and never delayed.
pub const MAX_ASSERTS_PER_INTERVAL: u8 = 4;
/// A rival that is silent for more than this many of its intervals is forgotten.
const FORGOTTEN_AFTER: u32 = 4;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rival {
    peer: IpAddr,
    asserts: u8,
    /// Half its interval.
    half: Duration,
    /// Adverts before then came in a heap with the last one that did not.
    apart_from: Timestamp,
    /// From then on it has had the time to hear what we advertised after it was counted. `None`: we
    /// have advertised nothing since.
    answered_from: Option<Timestamp>,
    /// Heard again by then, it goes on; later, it begins anew.
    until: Timestamp,
}

/// What is to be made of the advert of a lower master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeardLower {
    /// It came in no heap: of several within half an interval only the first is news. Adverts that
    /// waited for a paused process do.
    pub(crate) is_news: bool,
    /// How often it was heard so in a row although it could have heard us before, the first time
    /// included, if this advert counts.
    pub(crate) counted: Option<u8>,
}

/// Rivals of one term as Master.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rivals {
    /// The one heard longest ago comes first.
    rivals: Vec<Rival>,
    window_until: Timestamp,
    in_window: u8,
}

impl Rivals {
    /// `peer` was heard as a lower master with this interval. It is counted if we advertised since
    /// it was counted last, and half an interval ago: what it sends before that it may send because
    /// it has not heard us yet.
    pub(crate) fn heard(&mut self, now: Timestamp, peer: IpAddr, interval: Duration) -> HeardLower {
        self.rivals.retain(|rival| now <= rival.until);
        let known = self.rivals.iter().position(|rival| rival.peer == peer);
        let before = known.map(|index| self.rivals.remove(index));
        if self.rivals.len() >= MAX_RIVALS {
            self.rivals.remove(0);
        }
        let is_news = before.as_ref().is_none_or(|rival| now >= rival.apart_from);
        let had_time = |rival: &Rival| rival.answered_from.is_some_and(|from| now >= from);
        let counts = before.as_ref().is_none_or(had_time);
        let half = interval / 2;
        let mut rival = before.unwrap_or(Rival {
            peer,
            asserts: 0,
            half,
            apart_from: now,
            answered_from: None,
            until: now,
        });
        if is_news {
            rival.apart_from = now + half;
        }
        let counted = rival.asserts.checked_add(1).filter(|_| counts);
        if let Some(asserts) = counted {
            (rival.asserts, rival.answered_from) = (asserts, None);
        }
        (rival.half, rival.until) = (half, now + interval * FORGOTTEN_AFTER);
        self.rivals.push(rival);
        HeardLower { is_news, counted }
    }

    /// We advertised: whoever hears it yields.
    pub(crate) fn answered(&mut self, now: Timestamp) {
        for rival in &mut self.rivals {
            rival.answered_from.get_or_insert(now + rival.half);
        }
    }

    /// Those who still go on although they were heard so often in a row: they are deaf to us.
    /// `alarm` 0 stands for never.
    pub(crate) fn deaf(&self, now: Timestamp, alarm: u8) -> impl Iterator<Item = IpAddr> {
        let are = self
            .rivals
            .iter()
            .filter(move |rival| alarm > 0 && rival.asserts >= alarm && now <= rival.until);
        are.map(|rival| rival.peer)
    }

    /// They are counted anew. What was sent in this interval was sent.
    pub(crate) fn forget(&mut self) {
        self.rivals.clear();
    }

    /// Whether one more asserted advert may be sent in this interval.
    pub(crate) fn may_assert(&mut self, now: Timestamp, interval: Duration) -> bool {
        if now >= self.window_until {
            (self.window_until, self.in_window) = (now + interval, 0);
        }
        let may = self.in_window < MAX_ASSERTS_PER_INTERVAL;
        self.in_window += u8::from(may);
        may
    }

    /// Whether it is within its limits.
    pub(crate) fn fits(&self) -> bool {
        self.rivals.len() <= MAX_RIVALS && self.in_window <= MAX_ASSERTS_PER_INTERVAL
    }

    /// Folds who is heard how often. It is told, and decides nothing without `one_way_yield`.
    pub(crate) fn fold_rivals(&self, now: Timestamp, hasher: &mut impl Hasher) {
        for rival in self.rivals.iter().filter(|rival| now <= rival.until) {
            (rival.peer, rival.asserts, rival.half, rival.apart_from - now).hash(hasher);
            (rival.answered_from.map(|from| from - now), rival.until - now).hash(hasher);
        }
    }

    /// Folds whether an asserted advert may be sent.
    pub(crate) fn fold_budget(&self, now: Timestamp, hasher: &mut impl Hasher) {
        // A window that is over decides nothing, however long ago it was.
        (now < self.window_until).then_some((self.window_until - now, self.in_window)).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use std::hash::DefaultHasher;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn peer(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    /// Heard at this time, and answered at once.
    fn hear_and_answer(rivals: &mut Rivals, ms: u64, last: u8) -> Option<u8> {
        let heard = rivals.heard(at(ms), peer(last), SECOND);
        rivals.answered(at(ms));
        heard.counted
    }

    #[test]
    fn a_rival_is_counted_by_itself_and_forgotten_after_a_silence() {
        let mut rivals = Rivals::default();
        assert_eq!(hear_and_answer(&mut rivals, 0, 1), Some(1));
        assert_eq!(hear_and_answer(&mut rivals, 500, 2), Some(1));
        assert_eq!(hear_and_answer(&mut rivals, 1000, 1), Some(2));
        assert_eq!(hear_and_answer(&mut rivals, 5001, 1), Some(1));
    }

    #[test]
    fn a_rival_is_deaf_from_the_alarm_on_until_it_is_silent() {
        let mut rivals = Rivals::default();
        let mut deaf = |heard: u64, asked: u64, alarm: u8| {
            hear_and_answer(&mut rivals, heard, 1);
            rivals.deaf(at(asked), alarm).collect::<Vec<_>>()
        };
        assert!(deaf(0, 0, 3).is_empty());
        assert!(deaf(1000, 1000, 3).is_empty());
        assert_eq!(deaf(2000, 2000, 3), [peer(1)]);
        assert_eq!(deaf(3000, 7000, 3), [peer(1)], "four intervals of silence are still heard");
        assert!(deaf(4000, 8001, 3).is_empty());
        assert!(deaf(5000, 5000, 0).is_empty(), "the alarm is off");
    }

    #[test]
    fn adverts_that_come_in_a_heap_count_once() {
        let mut rivals = Rivals::default();
        let mut heard = |ms| {
            let heard = rivals.heard(at(ms), peer(1), SECOND);
            rivals.answered(at(ms));
            (heard.is_news, heard.counted)
        };
        let heap = (false, None);
        assert_eq!([heard(0), heard(0), heard(499)], [(true, Some(1)), heap, heap]);
        assert_eq!([heard(500), heard(501), heard(999)], [(true, Some(2)), heap, heap]);
        assert_eq!(heard(1000), (true, Some(3)));
    }

    #[test]
    fn a_rival_that_had_no_time_to_hear_us_is_not_counted() {
        let mut rivals = Rivals::default();
        let heard = |rivals: &mut Rivals, ms| rivals.heard(at(ms), peer(1), SECOND);
        let news = |counted| HeardLower { is_news: true, counted };
        assert_eq!(heard(&mut rivals, 0), news(Some(1)));
        assert_eq!(heard(&mut rivals, 1000), news(None), "we have said nothing");
        rivals.answered(at(1800));
        assert_eq!(heard(&mut rivals, 2000), news(None), "it may have left before that arrived");
        rivals.answered(at(2800));
        assert_eq!(heard(&mut rivals, 3000), news(Some(2)), "the first answer counts");
        assert_eq!(heard(&mut rivals, 4000), news(None), "not one from before it was counted");
    }

    #[test]
    fn a_window_that_is_over_is_not_folded() {
        let folded = |now| {
            let mut rivals = Rivals::default();
            assert!(rivals.may_assert(at(0), SECOND));
            let mut hasher = DefaultHasher::new();
            rivals.fold_budget(at(now), &mut hasher);
            hasher.finish()
        };
        assert_eq!(folded(1000), folded(5000));
        assert_ne!(folded(999), folded(1000));
    }

    #[test]
    fn a_flood_of_low_adverts_draws_four_asserted_ones_per_interval() {
        let mut rivals = Rivals::default();
        let asserts = |rivals: &mut Rivals, from: u64| {
            (from..from + 100).filter(|ms| rivals.may_assert(at(*ms), SECOND)).count()
        };
        assert_eq!(asserts(&mut rivals, 1000), 4);
        assert_eq!(asserts(&mut rivals, 1900), 0);
        assert_eq!(asserts(&mut rivals, 2000), 4);
    }

    #[test]
    fn more_rivals_than_the_limit_forget_the_one_heard_longest_ago() {
        let mut rivals = Rivals::default();
        for last in 0..=MAX_RIVALS as u8 {
            hear_and_answer(&mut rivals, u64::from(last), last);
        }
        assert_eq!(hear_and_answer(&mut rivals, 600, 0), Some(1));
        assert_eq!(hear_and_answer(&mut rivals, 600, 8), Some(2));
    }
}
