//! Things with a number, which is used again once the thing is gone.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Things by number. A new one gets the lowest free number, so that the numbers follow from what
/// is there and not from what was.
#[derive(Clone, Debug)]
pub(crate) struct Arena<T> {
    places: Vec<Option<T>>,
    free: BTreeSet<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: BTreeSet::new() }
    }
}

impl<T> Arena<T> {
    /// The number that the next new thing gets.
    pub(crate) fn next(&self) -> u32 {
        self.free.first().copied().unwrap_or(self.places.len() as u32)
    }

    /// Puts a thing in and returns its number.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        if let Some(number) = self.free.pop_first() {
            self.places[number as usize] = Some(thing);
            return number;
        }
        self.places.push(Some(thing));
        self.places.len() as u32 - 1
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let thing = self.places.get_mut(number as usize)?.take()?;
        self.free.insert(number);
        // What follows from what is there must not depend on the most there ever was.
        while let Some(None) = self.places.last() {
            self.places.pop();
            self.free.remove(&(self.places.len() as u32));
        }
        Some(thing)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.places.get(number as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.places.get_mut(number as usize)?.as_mut()
    }

    /// One more than the greatest number.
    pub(crate) fn end(&self) -> u32 {
        self.places.len() as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = (0..).zip(&self.places);
        numbered.filter_map(|(number, place)| Some((number, place.as_ref()?)))
    }

    /// As it is written down.
    pub(crate) fn places(&self) -> &[Option<T>] {
        &self.places
    }

    /// As it was written down.
    pub(crate) fn from_places(mut places: Vec<Option<T>>) -> Self {
        while let Some(None) = places.last() {
            places.pop();
        }
        let numbered = (0..).zip(&places);
        let free = numbered.filter(|(_, place)| place.is_none()).map(|(number, _)| number);
        Self { free: free.collect(), places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_thing_gets_the_lowest_free_number() {
        let mut arena = Arena::default();
        assert_eq!(['a', 'b', 'c', 'd'].map(|thing| arena.insert(thing)), [0, 1, 2, 3]);
        assert_eq!(
            (arena.remove(2), arena.remove(1), arena.remove(1)),
            (Some('c'), Some('b'), None)
        );
        assert_eq!(arena.next(), 1);
        assert_eq!((arena.insert('e'), arena.insert('f'), arena.insert('g')), (1, 2, 4));
        assert_eq!(arena.get(1), Some(&'e'));
    }

    #[test]
    fn nothing_is_left_of_numbers_at_the_end() {
        let mut arena = Arena::default();
        (0..4).for_each(|thing| {
            arena.insert(thing);
        });
        arena.remove(2);
        arena.remove(3);
        assert_eq!((arena.end(), arena.next()), (2, 2));
        let read = Arena::from_places([Some(7), None, Some(9), None].into());
        assert_eq!((read.end(), read.next()), (3, 1));
        assert_eq!(read.iter().collect::<Vec<_>>(), [(0, &7), (2, &9)]);
    }
}
