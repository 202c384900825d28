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

/// The removals on one host, oldest first; as many as a scenario has steps.
#[derive(Debug, Default)]
pub(super) struct Removed(Vec<(IpAddr, WorldTime)>);

impl Removed {
    pub(super) fn add(&mut self, address: IpAddr, at: WorldTime) {
        self.0.push((address, at));
    }

    /// Whether a router that leaves FAULT now does so because an address is quiet again. Its clock
    /// and its handlers may differ from the world's by `slack`.
    pub(super) fn is_quiet_again(&self, now: WorldTime, slack: Duration) -> bool {
        self.0.iter().any(|(address, last)| {
            let same = self.0.iter().filter(|(other, at)| other == address && at <= last);
            let counted = same.filter(|(_, at)| last.since(*at) <= WITHIN + slack).count();
            counted >= TIMES && now.since(*last).abs_diff(QUIET) <= slack
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
