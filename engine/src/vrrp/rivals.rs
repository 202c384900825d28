//! Lower masters that a Master goes on hearing (property S10), and how often it asserts itself.
//!
//! A rival that hears us yields at our first asserted advert. One that does not is deaf to us, by
//! a one-way cut or a mismatch, and nothing but an alarm can mend that.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use crate::time::Timestamp;

/// Most rivals watched; the one heard longest ago is forgotten first.
pub const MAX_RIVALS: usize = 8;
/// Most asserted adverts per interval: a forger must not make an amplifier of us. The periodic
/// advert is not counted and never delayed.
pub const MAX_ASSERTS_PER_INTERVAL: u8 = 4;

#[derive(Clone, Debug)]
struct Rival {
    peer: IpAddr,
    asserts: u8,
    heard_at: Timestamp,
}

/// Rivals of one term as Master.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rivals {
    rivals: Vec<Rival>,
    window_from: Timestamp,
    in_window: u8,
}

impl Rivals {
    /// `peer` was heard as a lower master. Returns how often it was so in a row. A silence of four
    /// of its intervals begins the count anew.
    pub(crate) fn heard(&mut self, now: Timestamp, peer: IpAddr, interval: Duration) -> u8 {
        if let Some(rival) = self.rivals.iter_mut().find(|rival| rival.peer == peer) {
            let silence = now - rival.heard_at;
            rival.asserts =
                if silence > interval * 4 { 1 } else { rival.asserts.saturating_add(1) };
            rival.heard_at = now;
            return rival.asserts;
        }
        if self.rivals.len() >= MAX_RIVALS {
            let oldest = (0..self.rivals.len()).min_by_key(|index| self.rivals[*index].heard_at);
            self.rivals.remove(oldest.unwrap_or(0));
        }
        self.rivals.push(Rival { peer, asserts: 1, heard_at: now });
        1
    }

    /// Whether one more asserted advert may be sent in this interval.
    pub(crate) fn may_assert(&mut self, now: Timestamp, interval: Duration) -> bool {
        if now >= self.window_from + interval {
            (self.window_from, self.in_window) = (now, 0);
        }
        self.in_window += u8::from(self.in_window <= MAX_ASSERTS_PER_INTERVAL);
        self.in_window <= MAX_ASSERTS_PER_INTERVAL
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        for rival in &self.rivals {
            (rival.peer, rival.asserts, now - rival.heard_at).hash(hasher);
        }
        (now - self.window_from, self.in_window).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn peer(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn a_rival_is_counted_by_itself_and_forgotten_after_a_silence() {
        let mut rivals = Rivals::default();
        assert_eq!(rivals.heard(at(0), peer(1), SECOND), 1);
        assert_eq!(rivals.heard(at(500), peer(2), SECOND), 1);
        assert_eq!(rivals.heard(at(1000), peer(1), SECOND), 2);
        assert_eq!(rivals.heard(at(5001), peer(1), SECOND), 1);
    }

    #[test]
    fn a_flood_of_low_adverts_draws_four_asserted_ones_per_interval() {
        let mut rivals = Rivals::default();
        let asserts = |rivals: &mut Rivals, from: u64| {
            (from..from + 100).filter(|ms| rivals.may_assert(at(*ms), SECOND)).count()
        };
        assert_eq!(asserts(&mut rivals, 1000), 4);
        assert_eq!(asserts(&mut rivals, 1900), 0);
        assert_eq!(asserts(&mut rivals, 2000), 4);
    }

    #[test]
    fn more_rivals_than_the_limit_forget_the_one_heard_longest_ago() {
        let mut rivals = Rivals::default();
        for last in 0..=MAX_RIVALS as u8 {
            rivals.heard(at(u64::from(last)), peer(last), SECOND);
        }
        assert_eq!(rivals.heard(at(100), peer(0), SECOND), 1);
        assert_eq!(rivals.heard(at(100), peer(8), SECOND), 2);
    }
}
