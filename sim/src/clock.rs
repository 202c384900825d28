//! A node's own clock: a rational rate and an offset of world time, in whole nanoseconds.
//!
//! It is the monotonic clock that timers use. A wall clock that jumps is not modelled here,
//! because nothing in the protocol reads one.

use vipd_engine::Timestamp;
use vipd_scenarios::record::WorldTime;

const MILLION: u128 = 1_000_000;

/// How one node's time follows world time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    world_origin: WorldTime,
    node_origin: Timestamp,
    ppm: i32,
    stands: bool,
}

impl Clock {
    /// A clock at the right rate that shows `reading` when the run begins.
    #[must_use]
    pub const fn new(reading: Timestamp) -> Self {
        Self { world_origin: WorldTime(0), node_origin: reading, ppm: 0, stands: false }
    }

    /// From `now` on the clock gains `ppm` millionths. At -1,000,000 and below it stands still.
    pub fn set_rate(&mut self, now: WorldTime, ppm: i32) {
        self.rebase(now);
        self.ppm = ppm;
    }

    /// From `now` on the clock stands still.
    pub fn stop(&mut self, now: WorldTime) {
        self.rebase(now);
        self.stands = true;
    }

    /// From `now` on the clock goes on from where it stands.
    pub fn go_on(&mut self, now: WorldTime) {
        self.rebase(now);
        self.stands = false;
    }

    /// What the clock shows at `now`.
    #[must_use]
    pub fn read(&self, now: WorldTime) -> Timestamp {
        let passed = now.0.saturating_sub(self.world_origin.0);
        let gained = if self.stands {
            0
        } else if self.ppm == 0 {
            passed
        } else {
            narrow(u128::from(passed) * self.rate() / MILLION)
        };
        Timestamp::from_nanos(self.node_origin.as_nanos().saturating_add(gained))
    }

    /// The first nanosecond of world time at which the clock shows `reading` or more, not before
    /// its last change; `None` if it never will as it runs now.
    #[must_use]
    pub fn when(&self, reading: Timestamp) -> Option<WorldTime> {
        let missing = reading.as_nanos().saturating_sub(self.node_origin.as_nanos());
        let passed = match missing {
            0 => 0,
            _ if self.stands || self.rate() == 0 => return None,
            _ if self.ppm == 0 => missing,
            _ => narrow((u128::from(missing) * MILLION).div_ceil(self.rate())),
        };
        self.world_origin.0.checked_add(passed).map(WorldTime)
    }

    fn rebase(&mut self, now: WorldTime) {
        self.node_origin = self.read(now);
        self.world_origin = now;
    }

    /// Node nanoseconds in a million world nanoseconds.
    fn rate(&self) -> u128 {
        u128::try_from(1_000_000 + i64::from(self.ppm)).unwrap_or(0)
    }
}

fn narrow(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn stamp(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn a_fast_clock_reaches_its_deadline_early() {
        let mut clock = Clock::new(stamp(0));
        clock.set_rate(WorldTime(0), 500);
        assert_eq!(clock.read(WorldTime(10 * SECOND)), stamp(10_005_000_000));
        assert_eq!(clock.when(stamp(10_005_000_000)), Some(WorldTime(10 * SECOND)));
    }

    #[test]
    fn a_clock_that_stood_still_goes_on_from_where_it_stood() {
        let mut clock = Clock::new(stamp(5 * SECOND));
        clock.stop(WorldTime(SECOND));
        assert_eq!(clock.read(WorldTime(9 * SECOND)), stamp(6 * SECOND));
        assert_eq!(clock.when(stamp(7 * SECOND)), None);
        clock.go_on(WorldTime(9 * SECOND));
        assert_eq!(clock.when(stamp(7 * SECOND)), Some(WorldTime(10 * SECOND)));
    }

    #[test]
    fn a_deadline_that_has_passed_is_due_at_once_even_on_a_clock_that_stands() {
        let mut clock = Clock::new(stamp(SECOND));
        clock.stop(WorldTime(3));
        assert_eq!(clock.when(stamp(1)), Some(WorldTime(3)));
    }

    proptest! {
        #[test]
        fn a_deadline_is_met_at_its_first_nanosecond_and_never_missed(
            ppm in -900_000_i32..2_000_000,
            changed in 0..SECOND,
            ahead in 0..10 * SECOND,
        ) {
            let mut clock = Clock::new(stamp(77));
            clock.set_rate(WorldTime(changed), ppm);
            let deadline = stamp(clock.read(WorldTime(changed)).as_nanos() + ahead);
            let due = clock.when(deadline).unwrap();
            prop_assert!(clock.read(due) >= deadline);
            prop_assert!(due.0 == changed || clock.read(WorldTime(due.0 - 1)) < deadline);
        }
    }
}
