//! What a property has seen so far, and the report made of it.
//!
//! An instance is one occasion on which a property is put to the test. The verdict follows from
//! all of them: a breach under the conditions of the property is `violated`; a breach outside them
//! is `not_provided`; neither, and at least one instance, is `held`. Which occasions are instances
//! is decided in the file of each property.

use std::time::Duration;

use super::{PropertyId, PropertyReport, Verdict};

/// The book of one property.
#[derive(Debug)]
pub(super) struct Score {
    id: PropertyId,
    /// Why nothing was put to the test, if nothing is.
    missing: &'static str,
    tightest: Option<Measured>,
    exercised: bool,
    violated: Option<Breach>,
    /// Violated for want of a property that nothing provides.
    wanting: Option<(PropertyId, Breach)>,
    outside: Option<String>,
}

/// A value and its bound.
#[derive(Clone, Copy, Debug)]
struct Measured {
    value: Duration,
    bound: Duration,
    side: Side,
}

/// An instance that did not hold: of several the one that is furthest beyond its bound, or the
/// first one without a figure.
#[derive(Debug)]
struct Breach {
    seen: Option<Measured>,
    what: String,
}

impl Breach {
    fn is_worse_than(&self, seen: &Measured) -> bool {
        self.seen.is_none_or(|worst| !seen.is_tighter_than(&worst))
    }
}

/// On which side of its bound a value must stay.
#[derive(Clone, Copy, Debug)]
enum Side {
    AtMost,
    AtLeast,
}

impl Measured {
    fn holds(&self) -> bool {
        match self.side {
            Side::AtMost => self.value <= self.bound,
            Side::AtLeast => self.value >= self.bound,
        }
    }

    /// How much of the bound is used, as a fraction.
    fn used(&self) -> (u128, u128) {
        let (value, bound) = (self.value.as_nanos(), self.bound.as_nanos());
        match self.side {
            Side::AtMost => (value, bound),
            Side::AtLeast => (bound, value),
        }
    }

    fn is_tighter_than(&self, other: &Self) -> bool {
        let ((top, bottom), (other_top, other_bottom)) = (self.used(), other.used());
        top * other_bottom > other_top * bottom
    }
}

impl Score {
    /// An empty book. `missing` completes "not exercised: ".
    pub(super) const fn new(id: PropertyId, missing: &'static str) -> Self {
        Self {
            id,
            missing,
            tightest: None,
            exercised: false,
            violated: None,
            wanting: None,
            outside: None,
        }
    }

    /// An instance with a value that must not exceed `bound`. `excuse` names what left the
    /// conditions of the property, `what` says what was seen; both are asked on a breach only.
    pub(super) fn at_most(
        &mut self,
        value: Duration,
        bound: Duration,
        excuse: impl FnOnce() -> Option<String>,
        what: impl FnOnce() -> String,
    ) {
        self.measure(Measured { value, bound, side: Side::AtMost }, excuse, what);
    }

    /// As [`Self::at_most`]; `wanting` names the property that would end a breach and is not
    /// provided, if it is that.
    pub(super) fn at_most_wanting(
        &mut self,
        (value, bound): (Duration, Duration),
        excuse: impl FnOnce() -> Option<String>,
        wanting: impl FnOnce() -> Option<PropertyId>,
        what: impl FnOnce() -> String,
    ) {
        let seen = Measured { value, bound, side: Side::AtMost };
        if !seen.holds()
            && let Some(wanting) = wanting()
        {
            match excuse() {
                Some(excuse) => self.leave(excuse),
                None => {
                    self.exercise(seen);
                    if self.wanting.as_ref().is_none_or(|(_, worst)| !worst.is_worse_than(&seen)) {
                        self.wanting = Some((wanting, Breach { seen: Some(seen), what: what() }));
                    }
                }
            }
            return;
        }
        self.measure(seen, excuse, what);
    }

    /// An instance with a value that must not be less than `bound`.
    pub(super) fn at_least(
        &mut self,
        value: Duration,
        bound: Duration,
        excuse: impl FnOnce() -> Option<String>,
        what: impl FnOnce() -> String,
    ) {
        self.measure(Measured { value, bound, side: Side::AtLeast }, excuse, what);
    }

    /// An instance that held and has no figure.
    pub(super) const fn held(&mut self) {
        self.exercised = true;
    }

    /// An instance that did not hold and has no figure.
    pub(super) fn breach(
        &mut self,
        excuse: impl FnOnce() -> Option<String>,
        what: impl FnOnce() -> String,
    ) {
        match excuse() {
            Some(excuse) => self.leave(excuse),
            None => {
                self.exercised = true;
                if self.violated.as_ref().is_none_or(|worst| worst.seen.is_some()) {
                    self.violated = Some(Breach { seen: None, what: what() });
                }
            }
        }
    }

    /// The run left the conditions, or nothing promises the property.
    pub(super) fn leave(&mut self, excuse: String) {
        self.outside.get_or_insert(excuse);
    }

    /// The verdict.
    pub(super) fn report(&mut self) -> PropertyReport {
        let (for_want_of, wanting) = self.wanting.take().unzip();
        let for_want_of = for_want_of.filter(|_| self.violated.is_none());
        let violated = self.violated.take().or(wanting);
        let tightest = self.tightest;
        let (verdict, reason, seen) = match (violated, self.outside.take()) {
            (Some(Breach { seen, what }), _) => (Verdict::Violated, Some(what), seen),
            (None, Some(outside)) => (Verdict::NotProvided, Some(outside), tightest),
            (None, None) if self.exercised => (Verdict::Held, None, tightest),
            (None, None) => (Verdict::NotExercised, Some(self.missing.to_owned()), tightest),
        };
        let (bound, worst) = seen.map(|seen| (seen.bound, seen.value)).unzip();
        PropertyReport { id: self.id, verdict, bound, worst, reason, for_want_of }
    }

    fn measure(
        &mut self,
        seen: Measured,
        excuse: impl FnOnce() -> Option<String>,
        what: impl FnOnce() -> String,
    ) {
        if !seen.holds() {
            if let Some(excuse) = excuse() {
                self.leave(excuse);
                return;
            }
            if self.violated.as_ref().is_none_or(|worst| !worst.is_worse_than(&seen)) {
                self.violated = Some(Breach { seen: Some(seen), what: what() });
            }
        }
        self.exercise(seen);
    }

    fn exercise(&mut self, seen: Measured) {
        self.exercised = true;
        if self.tightest.is_none_or(|tightest| seen.is_tighter_than(&tightest)) {
            self.tightest = Some(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn score() -> Score {
        Score::new(PropertyId::S1, "nothing")
    }

    #[test]
    fn the_tightest_value_is_reported_with_its_own_bound() {
        let mut score = score();
        for (value, bound) in [(1, 4), (3, 5), (5, 10)] {
            score.at_most(SECOND * value, SECOND * bound, || None, String::new);
        }
        score.at_least(SECOND * 9, SECOND, || None, String::new);
        let report = score.report();
        assert_eq!(report.verdict, Verdict::Held);
        assert_eq!((report.worst, report.bound), (Some(SECOND * 3), Some(SECOND * 5)));
    }

    #[test]
    fn a_violation_outweighs_an_excuse_and_an_excuse_outweighs_what_held() {
        let mut score = score();
        score.held();
        score.breach(|| Some("a cut".into()), || "late".into());
        assert_eq!(score.report().verdict, Verdict::NotProvided);
        score.leave("a cut".into());
        score.breach(|| None, || "late".into());
        let report = score.report();
        assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Violated, Some("late")));
    }

    #[test]
    fn a_violation_for_want_of_another_property_is_one_and_does_not_hide_a_plain_one() {
        let mut score = score();
        let lease = || Some(PropertyId::S8);
        score.at_most_wanting((SECOND * 2, SECOND), || None, lease, || "for ever".into());
        let report = score.report();
        assert_eq!(report.verdict, Verdict::Violated);
        assert_eq!(report.for_want_of, Some(PropertyId::S8));
        assert_eq!(report.worst, Some(SECOND * 2));
        let mut score = self::score();
        score.at_most_wanting((SECOND * 2, SECOND), || None, lease, || "for ever".into());
        score.at_most_wanting((SECOND * 2, SECOND), || None, || None, || "late".into());
        let report = score.report();
        assert_eq!((report.for_want_of, report.reason.as_deref()), (None, Some("late")));
    }

    #[test]
    fn the_words_of_a_violation_and_its_figures_are_of_the_same_instance() {
        let mut score = score();
        let lease = || Some(PropertyId::S8);
        score.at_most_wanting((SECOND * 9, SECOND), || None, lease, || "for ever".into());
        for (value, what) in [(2, "late"), (4, "later"), (3, "late again")] {
            score.at_most(SECOND * value, SECOND, || None, || what.into());
        }
        score.at_most(SECOND * 8, SECOND, || Some("a cut".into()), || "latest".into());
        let report = score.report();
        assert_eq!((report.worst, report.reason.as_deref()), (Some(SECOND * 4), Some("later")));
        let mut score = self::score();
        score.at_most(SECOND, SECOND, || None, String::new);
        score.breach(|| None, || "twice".into());
        let report = score.report();
        assert_eq!((report.worst, report.reason.as_deref()), (None, Some("twice")));
    }

    #[test]
    fn nothing_seen_is_not_exercised_and_says_what_was_missing() {
        let report = score().report();
        assert_eq!(report.verdict, Verdict::NotExercised);
        assert_eq!(report.reason.as_deref(), Some("nothing"));
    }
}
