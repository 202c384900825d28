//! The index over the instances' deadlines. A book: it decides nothing.
//!
//! It is lazy. A deadline that moves later is not filed again, so the index may wake too early; an
//! early tick does nothing and files the later deadline.

use crate::heap::{IndexedHeap, Numbered};
use crate::output::InstanceId;
use crate::time::Timestamp;

/// Earliest deadline first; among equal ones the lower instance first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule(IndexedHeap<InstanceId>);

impl Schedule {
    /// Files `deadline` for an instance unless an earlier one is filed already.
    pub(crate) fn file(&mut self, id: InstanceId, deadline: Option<Timestamp>) {
        if let Some(deadline) = deadline
            && self.filed(id).is_none_or(|filed| deadline < filed)
        {
            self.0.set(id, deadline);
        }
    }

    /// The earliest filed deadline and whose it is.
    pub(crate) fn next(&self) -> Option<(Timestamp, InstanceId)> {
        self.0.first()
    }

    /// Whether a deadline is filed that is not after `now`.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.next().is_some_and(|(at, _)| at <= now)
    }

    /// Takes out one instance whose filed deadline is not after `now`, with that deadline.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, InstanceId)> {
        let first = self.next().filter(|(at, _)| *at <= now)?;
        self.0.remove(first.1);
        Some(first)
    }

    /// What is filed for an instance.
    pub(crate) fn filed(&self, id: InstanceId) -> Option<Timestamp> {
        self.0.get(id)
    }
}

impl Numbered for InstanceId {
    /// The first place is that of [`InstanceId::STATIC`], whose number is the last one.
    fn number(self) -> usize {
        self.0.wrapping_add(1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn a_later_deadline_is_not_filed_again_and_an_earlier_one_is() {
        let mut schedule = Schedule::default();
        schedule.file(InstanceId(0), Some(at(10)));
        schedule.file(InstanceId(0), Some(at(20)));
        assert_eq!(schedule.next(), Some((at(10), InstanceId(0))));
        schedule.file(InstanceId(0), Some(at(5)));
        assert_eq!(schedule.pop_due(at(5)), Some((at(5), InstanceId(0))));
        assert_eq!(schedule.next(), None, "the entry at 10 is void");
    }

    #[test]
    fn equal_deadlines_come_in_the_order_of_instances() {
        let mut schedule = Schedule::default();
        for id in [2, 0, 1] {
            schedule.file(InstanceId(id), Some(at(7)));
        }
        let order: Vec<_> =
            core::iter::from_fn(|| schedule.pop_due(at(7))).map(|(_, id)| id).collect();
        assert_eq!(order, [InstanceId(0), InstanceId(1), InstanceId(2)]);
    }
}
