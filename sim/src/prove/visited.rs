//! Which states were met, in 16 octets each: 120 bits of a hash, and for how long it was calm.

/// A set of states.
///
/// The hash of a state stands for the state. Among 10^9 states the chance that two share one is
/// below 10^-18.
#[derive(Debug, Default)]
pub struct Visited {
    /// Open addressing; 0 is an empty place.
    slots: Vec<u128>,
    len: usize,
}

const CALM: u128 = 0xff;
const SMALLEST: usize = 1 << 10;

impl Visited {
    /// Notes a state. Whether it is to be looked at: it is new, or it was met only in histories
    /// that were calm for a shorter time.
    pub fn meet(&mut self, hash: u128, calm: u8) -> bool {
        if (self.len + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let place = self.place(hash);
        let slot = &mut self.slots[place];
        let entry = key(hash) | u128::from(calm);
        if *slot == 0 {
            self.len += 1;
        } else if (*slot & CALM) as u8 >= calm {
            return false;
        }
        *slot = entry;
        true
    }

    /// For how long it was calm at most when this state was met; 0 if it was not.
    #[must_use]
    pub fn calm(&self, hash: u128) -> u8 {
        if self.slots.is_empty() { 0 } else { (self.slots[self.place(hash)] & CALM) as u8 }
    }

    /// How many states it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Octets that it takes.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.slots.capacity() * size_of::<u128>()
    }

    fn place(&self, hash: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = (hash >> 64) as usize & mask;
        while self.slots[place] != 0 && self.slots[place] & !CALM != key(hash) {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let larger = vec![0; (self.slots.len() * 2).max(SMALLEST)];
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot != 0 {
                let place = self.place(slot);
                self.slots[place] = slot;
            }
        }
    }
}

/// The part of a hash that is compared; never 0.
const fn key(hash: u128) -> u128 {
    (hash & !CALM) | 0x100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_looked_at_again_only_if_it_was_calm_for_longer() {
        let mut visited = Visited::default();
        assert!(visited.meet(7 << 64, 3));
        assert!(!visited.meet(7 << 64, 3) && !visited.meet(7 << 64, 2));
        assert!(visited.meet(7 << 64, 4));
        assert_eq!((visited.len(), visited.calm(7 << 64), visited.calm(8 << 64)), (1, 4, 0));
    }

    #[test]
    fn states_that_share_a_place_are_told_apart_also_after_it_grew() {
        let mut visited = Visited::default();
        let hashes = || (0..5000_u128).map(|number| (number % 3) << 64 | number << 9);
        assert!(hashes().all(|hash| visited.meet(hash, 1)));
        assert_eq!(visited.len(), 5000);
        assert!(hashes().all(|hash| !visited.meet(hash, 1) && visited.calm(hash) == 1));
    }
}
