//! Addresses that steps remove from a host again and again: when that ends as a fault.
//!
//! Five removals of one address within ten seconds put a router in FAULT for thirty seconds.
//! Nothing happens in the world when that time is over, and all the same a fault ends.

use std::net::IpAddr;
use std::time::Duration;

use super::stalls::Stalls;
use crate::record::WorldTime;

const TIMES: usize = 5;
const WITHIN: Duration = Duration::from_secs(10);
pub(super) const QUIET: Duration = Duration::from_secs(30);

/// The removals on one host, oldest first; as many as a scenario has steps.
#[derive(Debug, Default)]
pub(super) struct Removed(Vec<(IpAddr, WorldTime)>);

impl Removed {
    pub(super) fn add(&mut self, address: IpAddr, at: WorldTime) {
        self.0.push((address, at));
    }

    /// Whether a router that leaves FAULT now does so because an address is quiet again. Its clock
    /// and its handlers may differ from the world's by `slack`, and it is later by as long as it
    /// stood still.
    pub(super) fn is_quiet_again(&self, now: WorldTime, slack: Duration, stalls: &Stalls) -> bool {
        self.0.iter().any(|(address, last)| {
            let same = self.0.iter().filter(|(other, at)| other == address && at <= last);
            let within = |at: &WorldTime| WITHIN + slack + stalls.stood_still(*at);
            let counted = same.filter(|(_, at)| last.since(*at) <= within(at)).count();
            let quiet = now.since(*last);
            let latest = QUIET + slack + stalls.stood_still(*last);
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
        removed.is_quiet_again(WorldTime(now), SLACK, &Stalls::default())
    }

    #[test]
    fn who_stood_still_since_then_is_later_by_that_time_at_most() {
        let mut removed = Removed::default();
        for _ in 0..5 {
            removed.add([10, 0, 0, 1].into(), WorldTime(5 * SECOND));
        }
        let mut stalls = Stalls::default();
        stalls.add(WorldTime(SECOND), WorldTime(2 * SECOND), true);
        stalls.add(WorldTime(4 * SECOND), WorldTime(8 * SECOND), false);
        let latest = 35 * SECOND + 3 * SECOND + 1_000_000;
        let is_quiet_again = |at| removed.is_quiet_again(WorldTime(at), SLACK, &stalls);
        assert!(is_quiet_again(35 * SECOND));
        assert!(is_quiet_again(latest));
        assert!(!is_quiet_again(latest + 1));
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
