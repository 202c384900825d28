//! `Skew_Time` and `Master_Down_Interval`, in integer nanoseconds.
//!
//! v2 (RFC 3768 section 6.1): `Skew_Time = (256 - Priority) / 256` seconds, whatever the interval.
//! v3 (RFC 9568 section 6.1): `Skew_Time = (256 - Priority) * Master_Adver_Interval / 256`.
//! A centisecond is 10,000,000 ns and 10,000,000 / 256 = 39,062.5, so v3 is exact but for half a
//! nanosecond where `(256 - Priority) * centiseconds` is odd; that half is cut off.

use core::time::Duration;

use crate::names::{Interval, Priority, Version};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_CENTISECOND: u64 = 10_000_000;

/// `Skew_Time` for a priority in force and the interval in force.
#[must_use]
pub fn skew_time(version: Version, priority: Priority, interval: Interval) -> Duration {
    Duration::from_nanos(skew_nanos(version, priority, interval))
}

fn skew_nanos(version: Version, priority: Priority, interval: Interval) -> u64 {
    let steps = 256 - u64::from(priority.get());
    match version {
        Version::V2 => steps * NANOS_PER_SECOND / 256,
        Version::V3 => steps * u64::from(interval.centiseconds()) * NANOS_PER_CENTISECOND / 256,
    }
}

/// `Master_Down_Interval`: `adverts` intervals (3 in every RFC) and the skew.
#[must_use]
pub fn master_down_interval(
    version: Version,
    priority: Priority,
    interval: Interval,
    adverts: u8,
) -> Duration {
    let intervals = u64::from(interval.centiseconds()) * u64::from(adverts);
    let skew = skew_nanos(version, priority, interval);
    Duration::from_nanos(intervals * NANOS_PER_CENTISECOND + skew)
}

/// How early an advert may leave to go with another one of its interval, whose `Adver_Timer` has
/// just fired: a tenth of the interval, and 10 ms at most.
///
/// DEVIATION: RFC 9568 section 6.4.3 sends it when its own timer fires. Early harms no backup,
/// whose `Master_Down_Timer` begins anew; late would bring it nearer to its end.
#[must_use]
pub fn advert_slack(interval: Interval) -> Duration {
    let tenth = u64::from(interval.centiseconds()) * NANOS_PER_CENTISECOND / 10;
    Duration::from_nanos(tenth.min(NANOS_PER_CENTISECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cs(centiseconds: i64) -> Interval {
        Interval::from_centiseconds(centiseconds).unwrap()
    }

    fn seconds(seconds: i64) -> Interval {
        Interval::from_seconds(seconds).unwrap()
    }

    fn priority(value: i64) -> Priority {
        Priority::new(value).unwrap()
    }

    /// One row per priority and version: the skew in nanoseconds by a second formula, counted down
    /// from priority 255 in steps instead of multiplied.
    #[test]
    fn the_skew_of_all_255_priorities_is_exact_at_the_limits_of_every_interval() {
        let mut half_nanos = [0_u64; 4];
        for value in (1..=255).rev() {
            let v3 = [cs(1), cs(10), cs(100), cs(4095)];
            for (sum, interval) in half_nanos.iter_mut().zip(v3) {
                *sum += 78_125 * u64::from(interval.centiseconds());
                let skew = skew_time(Version::V3, priority(value), interval);
                assert_eq!(skew.as_nanos() as u64, *sum / 2, "priority {value}, {interval}");
            }
            for interval in [seconds(1), seconds(10), seconds(255)] {
                let skew = skew_time(Version::V2, priority(value), interval);
                let expected = (256 - value as u64) * 3_906_250;
                assert_eq!(skew.as_nanos() as u64, expected, "priority {value}, {interval}");
            }
        }
    }

    #[test]
    fn the_down_interval_is_what_the_rfcs_compute() {
        let v2 = |a, p| master_down_interval(Version::V2, priority(p), seconds(a), 3).as_nanos();
        assert_eq!(v2(1, 100), 3_609_375_000);
        assert_eq!(v2(1, 254), 3_007_812_500);
        assert_eq!(v2(10, 100), 30_609_375_000);
        assert_eq!(v2(255, 1), 765_996_093_750);
        let v3 = |a, p| master_down_interval(Version::V3, priority(p), cs(a), 3).as_nanos();
        assert_eq!(v3(100, 100), 3_609_375_000);
        assert_eq!(v3(10, 100), 360_937_500);
        assert_eq!(v3(200, 100), 7_218_750_000);
        assert_eq!(v3(4095, 100), 147_803_906_250);
        assert_eq!(v3(1, 254), 30_078_125);
    }

    #[test]
    fn at_the_shortest_interval_neighbouring_priorities_still_differ() {
        let skew = |p| skew_time(Version::V3, priority(p), cs(1));
        assert_eq!(skew(253) - skew(254), Duration::from_nanos(39_062));
    }

    #[test]
    fn an_advert_is_early_by_a_small_part_of_its_interval_and_never_by_more_than_10_ms() {
        let micros = |interval| advert_slack(interval).as_micros();
        assert_eq!([cs(1), cs(5), cs(10), cs(11)].map(micros), [1000, 5000, 10_000, 10_000]);
        assert_eq!([seconds(1), seconds(255)].map(micros), [10_000, 10_000]);
    }
}
