//! Things with a number, which is used again once the thing is gone.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Things in a portion. With 80,000 real servers one piece of memory for all of them would be
/// megabytes that are copied, in one call, whenever it grows.
const PORTION: usize = 256;

/// Things by number. A new one gets the lowest free number, so that the numbers follow from what
/// is there and not from what was.
#[derive(Clone, Debug)]
pub(crate) struct Arena<T> {
    /// All but the last one are full, and none is empty.
    portions: Vec<Vec<Option<T>>>,
    free: BTreeSet<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { portions: Vec::new(), free: BTreeSet::new() }
    }
}

impl<T> Arena<T> {
    /// The number that the next new thing gets.
    pub(crate) fn next(&self) -> u32 {
        self.free.first().copied().unwrap_or(self.end())
    }

    /// Puts a thing in and returns its number.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        if let Some(number) = self.free.pop_first()
            && let Some(place) = self.place_mut(number)
        {
            *place = Some(thing);
            return number;
        }
        let number = self.end();
        match self.portions.last_mut() {
            Some(last) if last.len() < PORTION => last.push(Some(thing)),
            _ => self.portions.push([Some(thing)].into()),
        }
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let thing = self.place_mut(number)?.take()?;
        self.free.insert(number);
        // What follows from what is there must not depend on the most there ever was.
        while let Some(last) = self.portions.last_mut()
            && let Some(None) = last.last()
        {
            last.pop();
            if last.is_empty() {
                self.portions.pop();
            }
            self.free.remove(&self.end());
        }
        Some(thing)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (portion, place) = split(number);
        self.portions.get(portion)?.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.place_mut(number)?.as_mut()
    }

    fn place_mut(&mut self, number: u32) -> Option<&mut Option<T>> {
        let (portion, place) = split(number);
        self.portions.get_mut(portion)?.get_mut(place)
    }

    /// One more than the greatest number.
    pub(crate) fn end(&self) -> u32 {
        let last = self.portions.last().map_or(0, Vec::len);
        (self.portions.len().saturating_sub(1) * PORTION + last) as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = (0..).zip(self.portions.iter().flatten());
        numbered.filter_map(|(number, place)| Some((number, place.as_ref()?)))
    }

    /// As it is written down.
    pub(crate) fn places(&self) -> Vec<Option<T>>
    where
        T: Clone,
    {
        self.portions.concat()
    }

    /// As it was written down.
    pub(crate) fn from_places(mut places: Vec<Option<T>>) -> Self {
        while let Some(None) = places.last() {
            places.pop();
        }
        let numbered = (0..).zip(&places);
        let free = numbered.filter(|(_, place)| place.is_none()).map(|(number, _)| number);
        let (free, mut portions) = (free.collect(), Vec::new());
        let mut places = places.into_iter().peekable();
        while places.peek().is_some() {
            portions.push(places.by_ref().take(PORTION).collect());
        }
        Self { portions, free }
    }
}

/// Where a thing with this number is: the portion, and the place in it.
const fn split(number: u32) -> (usize, usize) {
    (number as usize / PORTION, number as usize % PORTION)
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

    #[test]
    fn many_things_are_found_over_all_portions_and_go_until_nothing_is_left() {
        let most = 3 * PORTION as u32 + 1;
        let mut arena = Arena::default();
        assert!((0..most).all(|thing| arena.insert(thing) == thing));
        assert!((0..most).all(|number| arena.get(number) == Some(&number)));
        assert_eq!((arena.end(), arena.get(most)), (most, None));
        assert_eq!(arena.remove(PORTION as u32), Some(PORTION as u32));
        let read = Arena::from_places(arena.places());
        assert_eq!((read.end(), read.next()), (most, PORTION as u32));
        assert!(read.iter().eq(arena.iter()) && read.iter().count() + 1 == most as usize);
        (0..most).rev().for_each(|number| _ = arena.remove(number));
        assert_eq!((arena.end(), arena.next(), arena.portions.len()), (0, 0, 0));
    }
}
