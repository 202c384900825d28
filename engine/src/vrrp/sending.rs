//! How the adverts of one round fared: refused sends are news, and three in a row a fault.
//!
//! A round is one advert to the group, or one to each unicast peer. It counts as sent if the
//! kernel took at least one of them, as refused if it took none by the time the next round begins.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::input::EffectError;
use crate::time::Timestamp;

/// Refused rounds in a row that put an instance in FAULT.
pub const REFUSED_LIMIT: u8 = 3;

/// The running round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sending {
    /// Number of the first effect of the round (a book).
    first: u64,
    sent: u8,
    /// One bit for each advert of the round whose answer is still waited for.
    waiting: [u64; 4],
    accepted: bool,
    /// When the round began.
    #[serde(default)]
    begun: Timestamp,
    refused_in_a_row: u8,
    /// Without any answer by then, what was sent counts as refused.
    answer_until: Timestamp,
}

impl Sending {
    /// A round of `count` adverts begins at `now` whose effects are numbered from `first`. Returns
    /// how many rounds in a row are refused by now, if no answer came for a `limit`: an asserted
    /// advert may follow another one before the kernel could say anything.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        first: u64,
        count: u8,
        limit: Duration,
    ) -> Option<u8> {
        let silent = self.is_silent();
        let unanswered = silent && now >= self.answer_until;
        if unanswered {
            self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        }
        if !silent || unanswered {
            self.answer_until = now + limit;
        }
        (self.first, self.sent, self.accepted, self.begun) = (first, count, false, now);
        self.waiting = [0; 4];
        for place in 0..count {
            self.waiting[usize::from(place / 64)] |= 1 << (place % 64);
        }
        unanswered.then_some(self.refused_in_a_row)
    }

    /// An answer came. Returns how many rounds in a row are refused by now, if this answer made
    /// this round a refused one. An advert is answered once.
    pub(crate) fn done(&mut self, number: u64, result: Result<(), EffectError>) -> Option<u8> {
        let place = number.checked_sub(self.first).filter(|place| *place < u64::from(self.sent))?;
        let (word, bit) = ((place / 64) as usize, 1 << (place % 64));
        if self.waiting[word] & bit == 0 {
            return None;
        }
        self.waiting[word] &= !bit;
        if result.is_ok() {
            self.accepted = true;
            self.refused_in_a_row = 0;
            return None;
        }
        let refused = self.waiting == [0; 4] && !self.accepted;
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(u8::from(refused));
        refused.then_some(self.refused_in_a_row)
    }

    /// Forgets what was refused, for a new try.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether this advert is of the running round.
    pub(crate) fn has(&self, number: u64) -> bool {
        number.checked_sub(self.first).is_some_and(|place| place < u64::from(self.sent))
    }

    /// When the running round began, if the kernel took at least one of its adverts.
    pub(crate) fn accepted(&self) -> Option<Timestamp> {
        self.accepted.then_some(self.begun)
    }

    /// The round was neither taken nor refused yet.
    fn is_silent(&self) -> bool {
        self.waiting != [0; 4] && !self.accepted
    }

    /// Whether the adverts of the round have numbers below `next`.
    pub(crate) fn fits(&self, next: u64) -> bool {
        self.first.checked_add(u64::from(self.sent)).is_some_and(|end| end <= next)
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.refused_in_a_row.hash(hasher);
        // A round that is answered in full decides nothing any more.
        if self.waiting != [0; 4] {
            (self.sent, self.waiting, self.accepted).hash(hasher);
            self.is_silent().then_some(self.answer_until - now).hash(hasher);
        }
    }

    /// The same of a Master's round that a lease of this length is counted from, or will be.
    pub(crate) fn fold_lease(&self, now: Timestamp, lasts: Duration, hasher: &mut impl Hasher) {
        let left = (self.begun + lasts) - now;
        let counts = !left.is_zero() && (self.accepted || self.waiting != [0; 4]);
        counts.then_some((left, self.accepted)).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Result<(), EffectError> = Err(EffectError::Refused);
    const SECOND: Duration = Duration::from_secs(1);

    /// Begins a round in this second.
    fn begin(sending: &mut Sending, second: u32, first: u64, count: u8) -> Option<u8> {
        sending.begin(Timestamp::ZERO + SECOND * second, first, count, SECOND)
    }

    #[test]
    fn a_round_to_two_peers_is_refused_only_if_both_are() {
        let mut sending = Sending::default();
        assert_eq!(begin(&mut sending, 0, 10, 2), None);
        assert_eq!(sending.done(10, REFUSED), None);
        assert_eq!(sending.done(11, REFUSED), Some(1));
        begin(&mut sending, 1, 12, 2);
        assert_eq!(sending.done(12, REFUSED), None);
        assert_eq!(sending.done(13, Ok(())), None);
        begin(&mut sending, 2, 14, 1);
        assert_eq!(sending.done(14, REFUSED), Some(1), "the round before was taken");
    }

    #[test]
    fn an_advert_that_is_never_answered_counts_as_refused_at_the_next_one() {
        let mut sending = Sending::default();
        begin(&mut sending, 0, 0, 1);
        assert_eq!(begin(&mut sending, 1, 1, 1), Some(1));
        assert_eq!(begin(&mut sending, 2, 2, 1), Some(2));
        assert_eq!(sending.done(1, Ok(())), None, "a late answer is ignored");
        assert_eq!(sending.done(2, REFUSED), Some(3));
    }

    #[test]
    fn rounds_that_follow_each_other_faster_than_the_kernel_answers_are_not_refused() {
        let mut sending = Sending::default();
        for first in 0..4 {
            assert_eq!(begin(&mut sending, 0, first, 1), None);
        }
        assert_eq!(begin(&mut sending, 1, 4, 1), Some(1), "the silence itself goes on");
    }

    #[test]
    fn an_advert_is_answered_once() {
        let mut sending = Sending::default();
        begin(&mut sending, 0, 0, 2);
        for _ in 0..300 {
            assert_eq!(sending.done(0, REFUSED), None, "the other one is still waited for");
        }
        assert_eq!(sending.done(1, REFUSED), Some(1));
        assert_eq!(sending.done(1, REFUSED), None, "the round is refused already");
        begin(&mut sending, 1, 2, 255);
        assert!((2..256).all(|number| sending.done(number, REFUSED).is_none()));
        assert_eq!(sending.done(256, REFUSED), Some(2), "255 peers");
    }
}
