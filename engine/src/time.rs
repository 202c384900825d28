//! A node's own time: integer nanoseconds since an origin that the driver chose.
//!
//! `std::time::Instant` cannot be built from a number, printed stably or serialised, so it is not
//! used. Two nodes' stamps are never compared: each node reads its own clock.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in one node's time, in nanoseconds since that node's origin (584 years fit).
///
/// Its hash is that of an output, never of a state: a fingerprint folds distances from now.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// The last representable point, "never" in comparisons.
    pub const MAX: Self = Self(u64::MAX);

    /// A stamp `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The distance from `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`].
    fn add(self, rhs: Duration) -> Self {
        let nanos = rhs
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(rhs.subsec_nanos()));
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// The distance between the two, zero if `rhs` is later.
    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

/// The earlier one of two times, each of which may be missing. Deadlines are asked for after each
/// input, and a chain of iterators costs several times as much.
pub(crate) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    let at = one.unwrap_or(Timestamp::MAX).min(other.unwrap_or(Timestamp::MAX));
    (one.is_some() || other.is_some()).then_some(at)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_stamp_prints_as_seconds_with_nine_decimals() {
        assert_eq!(Timestamp::from_nanos(3_609_375_000).to_string(), "3.609375000");
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::ZERO - Timestamp::MAX, Duration::ZERO);
    }

    #[test]
    fn of_two_deadlines_the_earlier_one_counts_and_none_is_later_than_any() {
        let at = |nanos| Some(Timestamp::from_nanos(nanos));
        assert_eq!(earlier(at(2), at(1)), at(1));
        assert_eq!(earlier(at(1), at(2)), at(1));
        assert_eq!(earlier(at(1), None), at(1));
        assert_eq!(earlier(None, Some(Timestamp::MAX)), Some(Timestamp::MAX));
        assert_eq!(earlier(None, None), None);
    }
}
