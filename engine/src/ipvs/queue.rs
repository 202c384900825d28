//! What is to be looked at, in which order, and what is to be tried again when. An item says where
//! to look, never what to do: that follows from what is there when its turn comes. So an item that
//! waits twice, or in vain, does no harm.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::director::Service;
use crate::ipvs::command::{Endpoint, IpvsCommand, IpvsError, SyncRole};
use crate::ipvs::pairs;
use crate::time::Timestamp;

/// What failed is tried again after this long; each further failure doubles it.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// That often at most: 32 s.
pub const MOST_DOUBLINGS: u8 = 5;

/// Something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Item {
    /// The whole table is to be emptied.
    Flush,
    /// The time limits of connections.
    Timeouts,
    /// A thread of the synchronisation.
    Sync(SyncRole),
    /// A service without its destinations.
    Service(Service),
    /// All destinations of a service, in one batch: the sorry server comes or goes.
    Exchange(Service),
    /// One destination.
    Destination(Service, Endpoint),
    /// A service that is to be read.
    Read(Service),
    /// Time limits and threads are to be read.
    Settings,
}

impl Item {
    /// What a command is about.
    pub(super) const fn of(command: &IpvsCommand) -> Self {
        match command {
            IpvsCommand::Flush => Self::Flush,
            IpvsCommand::SetTimeouts(_) => Self::Timeouts,
            IpvsCommand::AddService { service, .. }
            | IpvsCommand::EditService { service, .. }
            | IpvsCommand::RemoveService(service) => Self::Service(*service),
            IpvsCommand::AddDestination { service, endpoint, .. }
            | IpvsCommand::EditDestination { service, endpoint, .. }
            | IpvsCommand::RemoveDestination { service, endpoint } => {
                Self::Destination(*service, *endpoint)
            }
            IpvsCommand::StartSync { role, .. } | IpvsCommand::StopSync(role) => Self::Sync(*role),
        }
    }

    /// The service that it is about.
    pub(super) const fn service(&self) -> Option<Service> {
        match self {
            Self::Service(service)
            | Self::Exchange(service)
            | Self::Destination(service, _)
            | Self::Read(service) => Some(*service),
            Self::Flush | Self::Timeouts | Self::Sync(_) | Self::Settings => None,
        }
    }
}

/// Items in order, each once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Line {
    items: VecDeque<Item>,
    /// Derived.
    #[serde(skip)]
    within: BTreeSet<Item>,
}

impl Line {
    pub(super) fn push(&mut self, item: Item) {
        if self.within.insert(item) {
            self.items.push_back(item);
        }
    }

    /// It is next, unless it waits already.
    pub(super) fn push_front(&mut self, item: Item) {
        if self.within.insert(item) {
            self.items.push_front(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.within.remove(&item);
        Some(item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn contains(&self, item: &Item) -> bool {
        self.within.contains(item)
    }

    fn derive(&mut self) {
        let Self { items, within } = self;
        within.clear();
        items.retain(|item| within.insert(*item));
    }
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// In a row, counted up to [`MOST_DOUBLINGS`].
    failures: u8,
    pub(super) error: IpvsError,
    /// `None`: it is being tried.
    retry_at: Option<Timestamp>,
}

/// All that waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    /// What health checks, operators and answers ask for.
    pub(super) urgent: Line,
    /// What configurations and differences ask for.
    pub(super) bulk: Line,
    pub(super) reads: Line,
    #[serde(with = "pairs")]
    troubles: BTreeMap<Item, Trouble>,
    /// Those that wait for their next try. Derived.
    #[serde(skip)]
    due: BTreeSet<(Timestamp, Item)>,
}

impl Queue {
    /// The next item, and whether it is an urgent one.
    pub(super) fn pop(&mut self) -> Option<(Item, bool)> {
        let urgent = self.urgent.pop().map(|item| (item, true));
        urgent.or_else(|| self.bulk.pop().map(|item| (item, false)))
    }

    /// It failed, and is tried again in a while.
    pub(super) fn fail(&mut self, now: Timestamp, item: Item, error: IpvsError) {
        let failures = self.recover(item).map_or(0, |trouble| trouble.failures);
        let failures = failures.min(MOST_DOUBLINGS);
        let at = now + RETRY_AFTER * (1 << failures);
        let failures = (failures + 1).min(MOST_DOUBLINGS);
        self.troubles.insert(item, Trouble { failures, error, retry_at: Some(at) });
        self.due.insert((at, item));
    }

    /// It did not fail: it is as somebody else left it. Whether it may be tried at once: so it is
    /// once, the next time it failed, or two of us would chase each other.
    pub(super) fn surprise(&mut self, now: Timestamp, item: Item, error: IpvsError) -> bool {
        if self.troubles.contains_key(&item) {
            self.fail(now, item, error);
            return false;
        }
        self.troubles.insert(item, Trouble { failures: 0, error, retry_at: None });
        true
    }

    /// It went well, or is no more.
    pub(super) fn recover(&mut self, item: Item) -> Option<Trouble> {
        let trouble = self.troubles.remove(&item)?;
        if let Some(at) = trouble.retry_at {
            self.due.remove(&(at, item));
        }
        Some(trouble)
    }

    /// There is a new reason to try it: it does not wait any more.
    pub(super) fn hasten(&mut self, item: Item) {
        if let Some(trouble) = self.troubles.get_mut(&item)
            && let Some(at) = trouble.retry_at.take()
        {
            self.due.remove(&(at, item));
        }
    }

    /// One that is to be tried again by now.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Item> {
        let (at, item) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, item));
        if let Some(trouble) = self.troubles.get_mut(&item) {
            trouble.retry_at = None;
        }
        Some(item)
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn trouble(&self, item: &Item) -> Option<&Trouble> {
        self.troubles.get(item)
    }

    /// Whether it waits for its next try.
    pub(super) fn waits(&self, item: &Item) -> bool {
        self.troubles.get(item).is_some_and(|trouble| trouble.retry_at.is_some())
    }

    /// A service is no more: nothing about it is in trouble.
    pub(super) fn forget(&mut self, service: Service) {
        let ends = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::from(u128::MAX).into()];
        let [first, last] = ends.map(|address: IpAddr| address);
        let first = Item::Destination(service, Endpoint { address: first, port: 0 });
        let last = Item::Destination(service, Endpoint { address: last, port: u16::MAX });
        let destinations = self.troubles.range(first..=last).map(|(item, _)| *item);
        let gone: alloc::vec::Vec<_> = destinations.collect();
        for item in gone.into_iter().chain([Item::Service(service), Item::Read(service)]) {
            self.recover(item);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.urgent.is_empty() || !self.bulk.is_empty() || !self.reads.is_empty()
    }

    /// Derives what is derived after it was read back.
    pub(super) fn derive(&mut self) {
        for line in [&mut self.urgent, &mut self.bulk, &mut self.reads] {
            line.derive();
        }
        let waiting = self.troubles.iter();
        self.due = waiting.filter_map(|(item, trouble)| Some((trouble.retry_at?, *item))).collect();
    }

    pub(super) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        for line in [&self.urgent, &self.bulk, &self.reads] {
            line.items.hash(hasher);
        }
        for (item, trouble) in &self.troubles {
            let Trouble { failures, error, retry_at } = trouble;
            (item, failures, error, retry_at.map(|at| at - now)).hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: Item = Item::Timeouts;

    #[test]
    fn the_time_to_the_next_try_doubles_up_to_half_a_minute() {
        let (mut queue, mut now) = (Queue::default(), Timestamp::ZERO);
        for seconds in [1, 2, 4, 8, 16, 32, 32, 32] {
            queue.fail(now, ITEM, IpvsError::Refused);
            let due = now + Duration::from_secs(seconds);
            assert_eq!(queue.next_due(), Some(due));
            now = due;
            assert_eq!(queue.pop_due(now), Some(ITEM));
            assert_eq!(queue.pop_due(now), None);
        }
        queue.recover(ITEM);
        queue.fail(now, ITEM, IpvsError::Refused);
        assert_eq!(queue.next_due(), Some(now + RETRY_AFTER), "it begins anew");
    }

    #[test]
    fn a_surprise_is_tried_at_once_the_first_time_only() {
        let mut queue = Queue::default();
        assert!(queue.surprise(Timestamp::ZERO, ITEM, IpvsError::Exists));
        assert!(!queue.surprise(Timestamp::ZERO, ITEM, IpvsError::NotThere));
        assert!(queue.waits(&ITEM));
    }

    #[test]
    fn an_item_waits_once_and_what_is_urgent_comes_first() {
        let mut queue = Queue::default();
        queue.bulk.push(Item::Flush);
        queue.bulk.push(Item::Flush);
        queue.urgent.push(ITEM);
        assert_eq!(queue.pop(), Some((ITEM, true)));
        assert_eq!(queue.pop(), Some((Item::Flush, false)));
        assert_eq!(queue.pop(), None);
    }
}
