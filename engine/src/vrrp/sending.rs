//! How the adverts of one round fared: refused sends are news, and three in a row a fault.
//!
//! A round is one advert to the group, or one to each unicast peer. It counts as sent if the
//! kernel took at least one of them, as refused if it took none by the time the next round begins.

use core::hash::{Hash, Hasher};

use crate::input::EffectError;

/// Refused rounds in a row that put an instance in FAULT.
pub const REFUSED_LIMIT: u8 = 3;

/// The running round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sending {
    /// Number of the first effect of the round (a book).
    first: u64,
    sent: u8,
    failed: u8,
    accepted: bool,
    refused_in_a_row: u8,
}

impl Sending {
    /// A round of `count` adverts begins whose effects are numbered from `first`. Returns how many
    /// rounds in a row are refused by now, if the one before was never answered.
    pub(crate) fn begin(&mut self, first: u64, count: u8) -> Option<u8> {
        let unanswered = self.sent > 0 && !self.accepted && self.failed < self.sent;
        if unanswered {
            self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        }
        (self.first, self.sent) = (first, count);
        (self.failed, self.accepted) = (0, false);
        unanswered.then_some(self.refused_in_a_row)
    }

    /// An answer came. Returns how many rounds in a row are refused by now, if this answer made
    /// this round a refused one.
    pub(crate) fn done(&mut self, number: u64, result: Result<(), EffectError>) -> Option<u8> {
        if number < self.first || number >= self.first + u64::from(self.sent) {
            return None;
        }
        match result {
            Ok(()) => {
                self.accepted = true;
                self.refused_in_a_row = 0;
                None
            }
            Err(_) => {
                self.failed += 1;
                let refused = self.failed == self.sent && !self.accepted;
                if refused {
                    self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
                }
                refused.then_some(self.refused_in_a_row)
            }
        }
    }

    /// Forgets what was refused, for a new try.
    pub(crate) fn forget(&mut self) {
        *self = Self { first: self.first + u64::from(self.sent), ..Self::default() };
    }

    /// Adverts of the running round.
    pub(crate) const fn round(&self) -> (u64, u8) {
        (self.first, self.sent)
    }

    pub(crate) fn fold(&self, hasher: &mut impl Hasher) {
        (self.sent, self.failed, self.accepted, self.refused_in_a_row).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Result<(), EffectError> = Err(EffectError::Refused);

    #[test]
    fn a_round_to_two_peers_is_refused_only_if_both_are() {
        let mut sending = Sending::default();
        assert_eq!(sending.begin(10, 2), None);
        assert_eq!(sending.done(10, REFUSED), None);
        assert_eq!(sending.done(11, REFUSED), Some(1));
        sending.begin(12, 2);
        assert_eq!(sending.done(12, REFUSED), None);
        assert_eq!(sending.done(13, Ok(())), None);
        sending.begin(14, 1);
        assert_eq!(sending.done(14, REFUSED), Some(1), "the round before was taken");
    }

    #[test]
    fn an_advert_that_is_never_answered_counts_as_refused_at_the_next_one() {
        let mut sending = Sending::default();
        sending.begin(0, 1);
        assert_eq!(sending.begin(1, 1), Some(1));
        assert_eq!(sending.begin(2, 1), Some(2));
        assert_eq!(sending.done(1, Ok(())), None, "a late answer is ignored");
        assert_eq!(sending.done(2, REFUSED), Some(3));
    }
}
