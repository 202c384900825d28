//! Addresses that somebody removes from a Master again and again.
//!
//! Each time the address is added again, which is right for an accident. Where it goes on,
//! something on this machine undoes what we do, and a router that has no such thing serves the
//! address better: the instance resigns, goes to FAULT and tries again after [`QUIET`].

use alloc::collections::BTreeMap;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Fault, News};
use crate::policy;
use crate::time::Timestamp;
use crate::vrrp::instance::{Context, Instance};

/// As many losses of one address within [`WITHIN`] put the instance in FAULT. Who restarts the
/// network of a machine removes an address two or three times; a program that does not want it
/// there does so as often as it finds it.
pub const LOSSES: usize = 5;
/// The time in which losses count together, both ends included. A program that looks every two
/// seconds is noticed. One that looks more seldom does little harm: the address is back at once,
/// and a change of the Master would cost more.
pub const WITHIN: Duration = Duration::from_secs(10);
/// It stays in FAULT for this long. Whether the address would vanish again can only be seen by
/// adding it, and a router that preempts then takes it from one that serves it: twice a minute at
/// most.
pub const QUIET: Duration = Duration::from_secs(30);
/// Most addresses whose losses are counted. While all of them still count, a further one is not:
/// whoever removes so many at once is noticed by these.
pub const MAX_VANISHING: usize = 16;

/// The losses of one address before the last one.
type Losses = [Option<Timestamp>; LOSSES - 1];

/// What was lost a moment ago.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Vanishing {
    /// Until when each loss of an address counts, in no order.
    until: BTreeMap<IpAddr, Losses>,
    /// The address that the instance is in FAULT for.
    address: Option<IpAddr>,
}

impl Vanishing {
    /// An address was lost that we held. Returns whether that is once too often.
    fn on_loss(&mut self, now: Timestamp, address: IpAddr) -> bool {
        self.until.retain(|_, losses| {
            *losses = counting(*losses, now);
            losses.iter().any(Option::is_some)
        });
        if self.until.len() >= MAX_VANISHING && !self.until.contains_key(&address) {
            return false;
        }
        let losses = self.until.entry(address).or_default();
        let free = losses.iter_mut().find(|until| until.is_none());
        match free {
            Some(until) => *until = Some(now + WITHIN),
            None => *self = Self { until: BTreeMap::new(), address: Some(address) },
        }
        self.address.is_some()
    }

    /// Forgets what was lost, for a new try.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What it puts the instance in FAULT for.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.address.map(Fault::AddressVanishes)
    }

    /// Whether it is within its limits.
    pub(crate) fn fits(&self) -> bool {
        self.until.len() <= MAX_VANISHING
    }

    /// A loss that does not count any more is none.
    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.address.hash(hasher);
        for (address, losses) in &self.until {
            let mut left = counting(*losses, now);
            left.sort_unstable();
            if left.iter().any(Option::is_some) {
                (address, left.map(|until| until.map(|until| until - now))).hash(hasher);
            }
        }
    }
}

fn counting(losses: Losses, now: Timestamp) -> Losses {
    losses.map(|until| until.filter(|until| *until >= now))
}

impl Instance {
    /// Somebody removed an address that this instance wants. It is added again, unless that was
    /// once too often.
    pub(crate) fn on_lost(&mut self, ctx: &mut Context<'_>, address: IpAddr) {
        if policy::owns(&self.state, ctx.now) && self.vanishing.on_loss(ctx.now, address) {
            self.own_fault = self.vanishing.fault();
            self.act_on_faults(ctx);
        } else {
            self.notify(ctx, News::AddressLost(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use std::hash::DefaultHasher;

    fn address(last: usize) -> IpAddr {
        [10, 0, 0, last as u8].into()
    }

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    const WINDOW: u64 = WITHIN.as_nanos() as u64;

    /// Whether one address vanishes too often at these times.
    fn vanishes(losses: &[u64]) -> bool {
        let mut vanishing = Vanishing::default();
        losses.iter().any(|time| vanishing.on_loss(at(*time), address(1)))
    }

    #[test]
    fn five_losses_within_ten_seconds_are_too_many_and_a_nanosecond_more_is_time_enough() {
        assert!(!vanishes(&[0, 1, 2, 3]));
        assert!(vanishes(&[0, 1, 2, 3, 3]));
        assert!(vanishes(&[0, 1, 2, 3, WINDOW]));
        assert!(!vanishes(&[0, 1, 2, 3, WINDOW + 1]));
        assert!(vanishes(&[0, 1, 2, 3, WINDOW + 1, WINDOW + 1]));
        let slow: Vec<_> = (0..1000).map(|count| count * (WINDOW / 4 + 1)).collect();
        assert!(!vanishes(&slow), "four losses in any ten seconds, for ever");
    }

    #[test]
    fn each_address_counts_for_itself() {
        let mut vanishing = Vanishing::default();
        for time in 0..4 {
            assert!((0..MAX_VANISHING).all(|last| !vanishing.on_loss(at(time), address(last))));
        }
        assert!(vanishing.on_loss(at(4), address(7)));
        assert_eq!(vanishing.fault(), Some(Fault::AddressVanishes(address(7))));
    }

    #[test]
    fn one_address_more_than_are_remembered_counts_once_another_one_does_not() {
        let mut vanishing = Vanishing::default();
        for last in 0..MAX_VANISHING {
            vanishing.on_loss(at(0), address(last));
        }
        assert!((0..9).all(|_| !vanishing.on_loss(at(WINDOW), address(99))));
        assert!(vanishing.fits() && vanishing.until.len() == MAX_VANISHING);
        assert!((0..4).all(|_| !vanishing.on_loss(at(WINDOW + 1), address(99))));
        assert!(vanishing.on_loss(at(WINDOW + 1), address(99)));
    }

    #[test]
    fn what_counts_is_folded_and_nothing_else() {
        let folded = |losses: &[u64], now| {
            let mut vanishing = Vanishing::default();
            for time in losses {
                vanishing.on_loss(at(*time), address(1));
            }
            let mut hasher = DefaultHasher::new();
            vanishing.fold(at(now), &mut hasher);
            hasher.finish()
        };
        assert_ne!(folded(&[5], 5), folded(&[], 5));
        assert_ne!(folded(&[5], 5), folded(&[5, 5], 5));
        assert_ne!(folded(&[5], 5), folded(&[4], 5));
        assert_ne!(folded(&[5], 5 + WINDOW), folded(&[], 0), "it counts to the last nanosecond");
        assert_eq!(folded(&[5], 6 + WINDOW), folded(&[], 0), "it is over");
        assert_eq!(folded(&[5], 6), folded(&[7], 8), "times are distances");
        assert_ne!(folded(&[1, 1, 1, 1, 1], 1), folded(&[], 1), "it is in fault");
    }
}
