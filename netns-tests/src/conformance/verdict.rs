//! What a judge says of a row.

use std::time::Duration;

/// What was measured where the row holds, or what is wrong.
pub(super) type Verdict = Result<String, Wrong>;

/// Why a row does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What kind of fault it is, by which a known one is recognised.
    pub symptom: &'static str,
    /// What was measured.
    pub measured: String,
}

/// Earlier than exact by so little is the measurement's own: the injection is timed before it
/// leaves.
pub(super) const EARLY: Duration = Duration::from_millis(2);

pub(super) fn wrong<T>(symptom: &'static str, measured: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { symptom, measured: measured.into() })
}

/// What the experiment needs did not come about, so nothing was put to the test. Never a pass.
pub(super) fn untried<T>(measured: impl Into<String>) -> Result<T, Wrong> {
    wrong("untried", measured)
}

/// Whether a condition holds.
pub(super) fn hold(
    holds: bool,
    symptom: &'static str,
    measured: impl Into<String>,
) -> Result<(), Wrong> {
    if holds { Ok(()) } else { wrong(symptom, measured) }
}

/// Less than this is lost by who counts whole centiseconds.
const CENTISECOND: Duration = Duration::from_millis(10);
/// The intervals of the experiments that take a takeover's time, in seconds.
const INTERVALS: [u64; 2] = [1, 2];

/// Whether a time is what it has to be: not earlier, and later by no more than the tolerance. What
/// is earlier by less than a centisecond, or later by one interval, has a symptom of its own.
pub(super) fn exact(measured: Duration, expected: Duration, late: Duration) -> Verdict {
    match symptom(measured, expected, late) {
        None => Ok(format!("{} s for {} s", seconds(measured), seconds(expected))),
        Some(symptom) => {
            wrong(symptom, format!("{} s instead of {} s", seconds(measured), seconds(expected)))
        }
    }
}

/// What is wrong with a time, if anything is.
pub(super) fn symptom(
    measured: Duration,
    expected: Duration,
    late: Duration,
) -> Option<&'static str> {
    let one_late = |interval: u64| {
        let after_one = expected + Duration::from_secs(interval);
        measured + EARLY + CENTISECOND > after_one && measured <= after_one + late
    };
    if measured + EARLY < expected {
        let rounded = measured + EARLY + CENTISECOND > expected;
        Some(if rounded { "rounded-down" } else { "early" })
    } else if measured <= expected + late {
        None
    } else if INTERVALS.into_iter().any(one_late) {
        Some("an-interval-late")
    } else {
        Some("late")
    }
}

/// Whether a takeover follows what was heard at all, by whatever arithmetic: a control.
pub(super) fn follows(measured: Duration, expected: Duration, late: Duration) -> bool {
    !matches!(symptom(measured, expected, late), Some("early" | "late"))
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.4}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_exact_between_two_milliseconds_early_and_the_tolerance_late() {
        let (expected, late) = (Duration::from_millis(3_609), Duration::from_millis(50));
        for (millis, symptom) in [
            (3_597, Some("early")),
            (3_598, Some("rounded-down")),
            (3_606, Some("rounded-down")),
            (3_607, None),
            (3_659, None),
            (3_660, Some("late")),
            (4_597, Some("late")),
            (4_598, Some("an-interval-late")),
            (4_659, Some("an-interval-late")),
            (4_660, Some("late")),
        ] {
            let found = exact(Duration::from_millis(millis), expected, late);
            assert_eq!(found.err().map(|wrong| wrong.symptom), symptom, "{millis}");
        }
    }
}
