//! What is due, in order of time; of two things due at the same time, what was filed first.
//!
//! Nothing is ever taken back out: whoever files a thing that may become void marks it, and
//! ignores it when it comes due.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use vipd_scenarios::record::WorldTime;

/// Things due, keyed (time, sequence).
#[derive(Clone, Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Filed<T>>,
    sequence: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Files `item` for `at`.
    pub fn push(&mut self, at: WorldTime, item: T) {
        let key = u128::from(at.0) << 64 | u128::from(self.sequence);
        self.sequence += 1;
        self.heap.push(Filed { key, item });
    }

    /// Takes the next thing that is due at `until` or earlier.
    pub fn pop_until(&mut self, until: WorldTime) -> Option<(WorldTime, T)> {
        let next = self.heap.peek()?;
        if next.at() > until {
            return None;
        }
        self.heap.pop().map(|filed| (filed.at(), filed.item))
    }

    /// When the next thing is due.
    #[must_use]
    pub fn first(&self) -> Option<WorldTime> {
        self.heap.peek().map(Filed::at)
    }

    /// How many things are filed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is filed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

/// Ordered so that the heap, which gives the greatest, gives the earliest.
#[derive(Clone, Debug)]
struct Filed<T> {
    key: u128,
    item: T,
}

impl<T> Filed<T> {
    const fn at(&self) -> WorldTime {
        WorldTime((self.key >> 64) as u64)
    }
}

impl<T> PartialEq for Filed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Filed<T> {}

impl<T> PartialOrd for Filed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Filed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_order_of_time_and_then_in_the_order_of_filing() {
        let mut queue = Queue::default();
        for (at, item) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b'), (9, 'e')] {
            queue.push(WorldTime(at), item);
        }
        let mut order = Vec::new();
        while let Some((at, item)) = queue.pop_until(WorldTime(5)) {
            order.push((at.0, item));
        }
        assert_eq!(order, [(1, 'a'), (2, 'b'), (5, 'c'), (5, 'd')]);
        assert_eq!(queue.len(), 1, "what is due later stays");
        assert_eq!(queue.first(), Some(WorldTime(9)));
    }
}
