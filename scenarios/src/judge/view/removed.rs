//! Addresses that steps remove from a host again and again: when that ends as a fault.
//!
//! Five removals of one address within ten seconds put a router in FAULT for thirty seconds.
//! Nothing happens in the world when that time is over, and all the same a fault ends.

use std::net::IpAddr;
use std::time::Duration;

use crate::record::WorldTime;

const TIMES: usize = 5;
const WITHIN: Duration = Duration::from_secs(10);
pub(super) const QUIET: Duration = Duration::from_secs(30);

/// The removals on one host, oldest first, and when it stood still; as many as a scenario has
/// steps.
#[derive(Debug, Default)]
pub(super) struct Removed {
    removals: Vec<(IpAddr, WorldTime)>,
    stalls: Vec<(WorldTime, WorldTime)>,
}

impl Removed {
    pub(super) fn add(&mut self, address: IpAddr, at: WorldTime) {
        self.removals.push((address, at));
    }

    /// Its process or its machine went on.
    pub(super) fn add_stall(&mut self, began: WorldTime, ended: WorldTime) {
        self.stalls.push((began, ended));
    }

    /// How long it stood still after this time: so much later does it hear of a removal, or is the
    /// time over that it counts itself.
    pub(super) fn stood_still(&self, since: WorldTime) -> Duration {
        self.stalls.iter().map(|(began, ended)| ended.since(since.max(*began))).sum()
    }

    /// Whether a router that leaves FAULT now does so because an address is quiet again. Its clock
    /// and its handlers may differ from the world's by `slack`.
    pub(super) fn is_quiet_again(&self, now: WorldTime, slack: Duration) -> bool {
        self.removals.iter().any(|(address, last)| {
            let same = self.removals.iter().filter(|(other, at)| other == address && at <= last);
            let within = |at: &WorldTime| WITHIN + slack + self.stood_still(*at);
            let counted = same.filter(|(_, at)| last.since(*at) <= within(at)).count();
            let quiet = now.since(*last);
            let latest = QUIET + slack + self.stood_still(*last);
            counted >= TIMES && QUIET <= quiet + slack && quiet <= latest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const SLACK: Duration = Duration::from_millis(1);

    fn is_quiet_again(removals: &[(u8, u64)], now: u64) -> bool {
        let mut removed = Removed::default();
        for (last, at) in removals {
            removed.add([10, 0, 0, *last].into(), WorldTime(*at));
        }
        removed.is_quiet_again(WorldTime(now), SLACK)
    }

    #[test]
    fn who_stood_still_since_then_is_later_by_that_time_at_most() {
        let mut removed = Removed::default();
        for _ in 0..5 {
            removed.add([10, 0, 0, 1].into(), WorldTime(5 * SECOND));
        }
        removed.add_stall(WorldTime(SECOND), WorldTime(2 * SECOND));
        removed.add_stall(WorldTime(4 * SECOND), WorldTime(8 * SECOND));
        let latest = 35 * SECOND + 3 * SECOND + 1_000_000;
        assert!(removed.is_quiet_again(WorldTime(35 * SECOND), SLACK));
        assert!(removed.is_quiet_again(WorldTime(latest), SLACK));
        assert!(!removed.is_quiet_again(WorldTime(latest + 1), SLACK));
    }

    #[test]
    fn five_removals_of_one_address_in_ten_seconds_are_over_half_a_minute_later() {
        let five = [(1, 0), (1, 1), (1, 2), (1, 3), (1, 10 * SECOND)];
        let slack = 1_000_000;
        assert!(is_quiet_again(&five, 40 * SECOND));
        assert!(is_quiet_again(&five, 40 * SECOND + slack));
        assert!(is_quiet_again(&five, 40 * SECOND - slack));
        assert!(!is_quiet_again(&five, 40 * SECOND - slack - 1));
        assert!(!is_quiet_again(&five, 40 * SECOND + slack + 1));
        assert!(!is_quiet_again(&five[1..], 40 * SECOND), "four are no fault");
        let slow = [(1, 0), (1, 1), (1, 2), (1, 3), (1, 10 * SECOND + slack + 1)];
        assert!(!is_quiet_again(&slow, 40 * SECOND + slack + 1));
        let two = [(1, 0), (1, 1), (1, 2), (2, 3), (1, 10 * SECOND)];
        assert!(!is_quiet_again(&two, 40 * SECOND), "each address by itself");
    }
}
