//! Deadlines in order, each of something that has a number: a binary heap that knows where each of
//! them is, so that any one can be moved or taken out. Few of them cost little, and many no more
//! than the logarithm of their number.

use alloc::vec::Vec;

use crate::time::Timestamp;

/// Something that has a number. Numbers are small: each takes room up to the greatest one.
pub(crate) trait Numbered: Copy + Ord {
    /// Its number.
    fn number(self) -> usize;
}

/// The earliest deadline is first; among equal ones the lower thing.
#[derive(Clone, Debug)]
pub(crate) struct IndexedHeap<T> {
    entries: Vec<(Timestamp, T)>,
    /// By number: one more than the place in `entries`, or 0.
    places: Vec<u32>,
}

impl<T> Default for IndexedHeap<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Vec::new() }
    }
}

impl<T: Numbered> IndexedHeap<T> {
    /// The first one.
    pub(crate) fn first(&self) -> Option<(Timestamp, T)> {
        self.entries.first().copied()
    }

    /// Its deadline, if it has one.
    pub(crate) fn get(&self, thing: T) -> Option<Timestamp> {
        self.place(thing).map(|place| self.entries[place].0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Its deadline is this one, whatever it was.
    pub(crate) fn set(&mut self, thing: T, at: Timestamp) {
        let place = self.place(thing).unwrap_or_else(|| {
            if self.places.len() <= thing.number() {
                self.places.resize(thing.number() + 1, 0);
            }
            self.entries.push((at, thing));
            self.entries.len() - 1
        });
        self.settle(place, (at, thing));
    }

    /// It has none any more.
    pub(crate) fn remove(&mut self, thing: T) {
        let Some(place) = self.place(thing) else { return };
        self.places[thing.number()] = 0;
        if let Some(last) = self.entries.pop()
            && place < self.entries.len()
        {
            self.settle(place, last);
        }
    }

    fn place(&self, thing: T) -> Option<usize> {
        (*self.places.get(thing.number())? as usize).checked_sub(1)
    }

    /// Puts an entry where it belongs; `place` is free.
    // Twice in this file: a call would cost as much as what it does to few entries.
    #[inline(always)]
    fn settle(&mut self, mut place: usize, entry: (Timestamp, T)) {
        while let Some(above) = place.checked_sub(1).map(|below| below / 2)
            && entry < self.entries[above]
        {
            self.put(place, self.entries[above]);
            place = above;
        }
        while let Some(below) = self.first_below(place)
            && self.entries[below] < entry
        {
            self.put(place, self.entries[below]);
            place = below;
        }
        self.put(place, entry);
    }

    /// The earlier one of the two below a place.
    fn first_below(&self, place: usize) -> Option<usize> {
        let (left, right) = (2 * place + 1, 2 * place + 2);
        let one = self.entries.get(left)?;
        let is_right = self.entries.get(right).is_some_and(|other| other < one);
        Some(if is_right { right } else { left })
    }

    fn put(&mut self, place: usize, entry: (Timestamp, T)) {
        self.entries[place] = entry;
        self.places[entry.1.number()] = place as u32 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};

    impl Numbered for u8 {
        fn number(self) -> usize {
            usize::from(self)
        }
    }

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn the_earliest_is_first_and_of_equal_ones_the_lower() {
        let mut heap = IndexedHeap::default();
        for (thing, nanos) in [(7, 30), (2, 20), (9, 10), (1, 20)] {
            heap.set(thing, at(nanos));
        }
        let order: Vec<u8> = core::iter::from_fn(|| {
            let (_, first) = heap.first()?;
            heap.remove(first);
            Some(first)
        })
        .collect();
        assert_eq!(order, [9, 1, 2, 7]);
    }

    #[test]
    fn one_that_is_set_again_moves_either_way_and_is_there_once() {
        let mut heap = IndexedHeap::default();
        (1..=3).for_each(|thing| heap.set(thing, at(10 * u64::from(thing))));
        heap.set(1, at(25));
        assert_eq!(heap.first(), Some((at(20), 2)));
        heap.set(3, at(5));
        assert_eq!((heap.first(), heap.len()), (Some((at(5), 3)), 3));
        assert_eq!((heap.get(1), heap.get(4)), (Some(at(25)), None));
    }

    /// Against a set that is searched from one end to the other.
    #[test]
    fn whatever_is_set_and_removed_the_first_one_is_the_least() {
        let (mut heap, mut model) = (IndexedHeap::<u8>::default(), BTreeMap::new());
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (thing, time) = ((random >> 59) as u8, at(random >> 40 & 0x3f));
            if random >> 58 & 1 == 0 {
                heap.set(thing, time);
                model.insert(thing, time);
            } else {
                heap.remove(thing);
                model.remove(&thing);
            }
            let sorted: BTreeSet<_> = model.iter().map(|(thing, at)| (*at, *thing)).collect();
            assert_eq!((heap.first(), heap.len()), (sorted.first().copied(), sorted.len()));
            assert_eq!(heap.get(thing), model.get(&thing).copied());
        }
    }
}
