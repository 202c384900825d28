//! A directed path between two ports of a segment, and what a frame suffers on it.
//!
//! It decides when a frame arrives, how often, and with which bit flipped. It never looks into a
//! frame and keeps none: [`crate::world`] carries them.

use std::time::Duration;

use vipd_scenarios::record::{LossReason, WorldTime};
use vipd_scenarios::scenario::Conditions;

use crate::random::Random;

/// What a path does not let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Everything passes.
    #[default]
    Nothing,
    /// Multicast and broadcast do not pass, unicast does.
    Multicast,
    /// Nothing passes.
    Everything,
}

/// What the path has to know of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Octets.
    pub len: usize,
    /// To a group, or to all.
    pub multicast: bool,
    /// Carries a VRRP advert.
    pub advert: bool,
}

/// One copy of a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is there.
    pub at: WorldTime,
    /// The bit that is flipped, counted from the first octet's lowest.
    pub flipped_bit: Option<usize>,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transit {
    /// It never arrives.
    Lost(LossReason),
    /// It arrives, perhaps twice.
    Arrives(Arrival, Option<Arrival>),
}

/// One direction between two ports.
#[derive(Clone, Debug)]
pub struct Path {
    conditions: Conditions,
    cut: Cut,
    adverts_to_lose: u32,
    last_arrival: WorldTime,
    random: Random,
}

impl Path {
    /// A path that lets everything through under these conditions.
    #[must_use]
    pub const fn new(conditions: Conditions, random: Random) -> Self {
        Self {
            conditions,
            cut: Cut::Nothing,
            adverts_to_lose: 0,
            last_arrival: WorldTime(0),
            random,
        }
    }

    /// Says what passes from now on. What is on its way arrives.
    pub const fn set_cut(&mut self, cut: Cut) {
        self.cut = cut;
    }

    /// The next `count` adverts are lost, instead of what was left to be lost before.
    pub const fn lose(&mut self, count: u32) {
        self.adverts_to_lose = count;
    }

    /// Puts other conditions in force, for what is sent from now on.
    pub const fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// The shortest time that a frame takes.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        self.conditions.delay
    }

    /// What passes.
    #[must_use]
    pub const fn cut(&self) -> Cut {
        self.cut
    }

    /// Decides what becomes of a frame that enters the path now.
    #[inline]
    pub fn carry(&mut self, now: WorldTime, frame: Shape) -> Transit {
        let stopped = match self.cut {
            Cut::Nothing => false,
            Cut::Multicast => frame.multicast,
            Cut::Everything => true,
        };
        if stopped {
            return Transit::Lost(LossReason::Cut);
        }
        if frame.advert && self.adverts_to_lose > 0 {
            self.adverts_to_lose -= 1;
            return Transit::Lost(LossReason::Lost);
        }
        if self.random.chance(self.conditions.loss_ppm) {
            return Transit::Lost(LossReason::Lost);
        }
        let first = self.arrival(now, frame);
        let twice = self.random.chance(self.conditions.duplicate_ppm);
        Transit::Arrives(first, twice.then(|| self.arrival(now, frame)))
    }

    #[inline]
    fn arrival(&mut self, now: WorldTime, frame: Shape) -> Arrival {
        let mut at = now.later(self.conditions.delay);
        if !self.conditions.jitter.is_zero() {
            at = at.later(Duration::from_nanos(self.random.up_to(self.conditions.jitter)));
        }
        if !self.conditions.reorder {
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        let corrupted = self.random.chance(self.conditions.corrupt_ppm);
        let flipped_bit = corrupted.then(|| self.random.below(frame.len as u64 * 8) as usize);
        Arrival { at, flipped_bit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVERT: Shape = Shape { len: 54, multicast: true, advert: true };
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn path(change: impl FnOnce(&mut Conditions)) -> Path {
        let mut conditions = Conditions::default();
        change(&mut conditions);
        Path::new(conditions, Random::stream(1, "path"))
    }

    fn arrivals(path: &mut Path, frames: u64) -> Vec<u64> {
        let carried = (0..frames).map(|frame| path.carry(WorldTime(frame * 1000), ADVERT));
        carried
            .filter_map(|transit| match transit {
                Transit::Arrives(arrival, _) => Some(arrival.at.0),
                Transit::Lost(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_quiet_path_delays_and_does_nothing_else() {
        let expected = Arrival { at: WorldTime(100_007), flipped_bit: None };
        let transit = path(|_| ()).carry(WorldTime(7), ADVERT);
        assert_eq!(transit, Transit::Arrives(expected, None));
    }

    #[test]
    fn jitter_keeps_the_order_unless_reordering_is_asked_for() {
        let kept = arrivals(&mut path(|conditions| conditions.jitter = MILLISECOND), 200);
        assert!(kept.is_sorted());
        let mut reordering = path(|conditions| {
            conditions.jitter = MILLISECOND;
            conditions.reorder = true;
        });
        let mixed = arrivals(&mut reordering, 200);
        assert!(!mixed.is_sorted());
        assert!(mixed.iter().zip(0..).all(|(at, frame)| {
            (frame * 1000 + 100_000..=frame * 1000 + 1_100_000).contains(at)
        }));
    }

    #[test]
    fn a_multicast_cut_lets_unicast_through() {
        let mut path = path(|_| ());
        path.set_cut(Cut::Multicast);
        assert_eq!(path.carry(WorldTime(0), ADVERT), Transit::Lost(LossReason::Cut));
        let unicast = Shape { multicast: false, ..ADVERT };
        assert!(matches!(path.carry(WorldTime(0), unicast), Transit::Arrives(..)));
        path.set_cut(Cut::Everything);
        assert_eq!(path.carry(WorldTime(0), unicast), Transit::Lost(LossReason::Cut));
    }

    #[test]
    fn exactly_the_next_k_adverts_are_lost_and_nothing_but_adverts() {
        let mut path = path(|_| ());
        path.lose(2);
        let other = Shape { advert: false, ..ADVERT };
        assert!(matches!(path.carry(WorldTime(0), other), Transit::Arrives(..)));
        assert_eq!(arrivals(&mut path, 5).len(), 3);
    }

    #[test]
    fn loss_duplication_and_corruption_happen_about_as_often_as_asked() {
        assert!((400..600).contains(&arrivals(&mut path(|c| c.loss_ppm = 500_000), 1000).len()));
        let mut path = path(|conditions| {
            conditions.duplicate_ppm = 100_000;
            conditions.corrupt_ppm = 100_000;
        });
        let (mut twice, mut corrupted) = (0, 0);
        for frame in 0..1000 {
            let Transit::Arrives(first, second) = path.carry(WorldTime(frame), ADVERT) else {
                panic!("nothing is lost here");
            };
            twice += u32::from(second.is_some());
            corrupted += u32::from(first.flipped_bit.is_some());
            assert!(first.flipped_bit.is_none_or(|bit| bit < ADVERT.len * 8));
        }
        assert!((60..140).contains(&twice) && (60..140).contains(&corrupted));
    }
}
