//! What is due, in order of time; of two things due at the same time, what was filed first.
//!
//! Nothing is ever taken back out: whoever files a thing that may become void marks it, and
//! ignores it when it comes due.

use vipd_scenarios::record::WorldTime;

/// Things due, keyed (time, sequence).
///
/// Few things are due at a time and most are filed for soon: a sorted list is quicker than a heap.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    /// The latest first.
    filed: Vec<(u128, T)>,
    sequence: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { filed: Vec::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Files `item` for `at`.
    pub fn push(&mut self, at: WorldTime, item: T) {
        let key = u128::from(at.0) << 64 | u128::from(self.sequence);
        self.sequence += 1;
        let later = self.filed.partition_point(|(filed, _)| *filed > key);
        self.filed.insert(later, (key, item));
    }

    /// Takes the next thing that is due at `until` or earlier.
    pub fn pop_until(&mut self, until: WorldTime) -> Option<(WorldTime, T)> {
        let (key, item) = self.filed.pop_if(|(key, _)| at(*key) <= until)?;
        Some((at(key), item))
    }

    /// When the next thing is due.
    #[must_use]
    pub fn first(&self) -> Option<WorldTime> {
        self.filed.last().map(|(key, _)| at(*key))
    }

    /// How many things are filed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.filed.len()
    }

    /// Whether nothing is filed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.filed.is_empty()
    }
}

const fn at(key: u128) -> WorldTime {
    WorldTime((key >> 64) as u64)
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

    #[test]
    fn what_is_filed_between_comes_in_order_too() {
        let mut queue = Queue::default();
        let mut order = Vec::new();
        queue.push(WorldTime(100), 0);
        for round in 1..50_u64 {
            // Before what is next, after it, and at the same time.
            for (number, ahead) in [(0, 7), (1, 3), (2, 40), (3, 3)] {
                queue.push(WorldTime(round * 10 + ahead), round * 4 + number);
            }
            let filed = queue.len();
            order.extend(queue.pop_until(WorldTime(round * 10 + 5)));
            order.extend(queue.pop_until(WorldTime(round * 10 + 5)));
            assert_eq!(queue.len(), filed - 2, "two of each round are due");
        }
        while let Some(next) = queue.pop_until(WorldTime(u64::MAX)) {
            order.push(next);
        }
        assert!(queue.is_empty());
        assert_eq!(order.len(), 1 + 49 * 4);
        assert!(order.is_sorted(), "by time, then by number: {order:?}");
    }
}
