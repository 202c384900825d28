//! The synchronisation of connections: what the thread of a master tells, and what that of a backup
//! learns (`ip_vs_sync.c`).
//!
//! A connection is told of with its third packet, and with each fiftieth after that; one that ends
//! is told of at once. What is told waits for a datagram to fill up, at most 2 s.
//!
//! | not modelled | what Linux does |
//! |---|---|
//! | templates | tells of them with their connections |
//! | full datagrams | are sent before the 2 s are over |
//! | the thread wakes when it has to | it looks once a second: up to 1 s later |

use std::net::SocketAddr;
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::ipvs::{SyncRole, SyncSpec};

use super::connections::{Id, Key, What};
use super::tcp::State;
use super::{Name, Table};

/// With which packet a connection is told of, and how many later again (`sync_threshold`).
const THRESHOLD: u64 = 3;
const PERIOD: u64 = 50;

/// A connection as one kernel tells another one of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    key: Key,
    name: Name,
    /// Of TCP.
    state: Option<State>,
    to: SocketAddr,
}

impl Synced {
    /// How long news wait for others (`IPVS_SYNC_FLUSH_TIME`).
    pub const GATHERED: Duration = Duration::from_secs(2);
}

/// What waits to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    since: Option<Timestamp>,
    waiting: Vec<Synced>,
}

impl Table {
    /// A packet of a client went by a connection, which was in this state before.
    pub(super) fn tell(&mut self, now: Timestamp, id: Id, before: What) {
        let Some(packets) = self.connections.counted(id) else { return };
        let Some(one) = self.connections.get(id) else { return };
        let regularly = packets % PERIOD == THRESHOLD;
        let (state, is_due) = match (one.what, before) {
            (What::Tcp { state, .. }, What::Tcp { state: before, .. }) => {
                (Some(state), state.is_told(before, regularly))
            }
            _ => (None, regularly),
        };
        if is_due && self.sync.contains_key(&SyncRole::Master) {
            let (key, name, to) = (one.key, one.name, one.to);
            self.outbox.since.get_or_insert(now);
            self.outbox.waiting.push(Synced { key, name, state, to });
        }
    }

    /// When there is something to be sent.
    #[must_use]
    pub fn next_sync(&self) -> Option<Timestamp> {
        self.outbox.since.map(|since| since + Synced::GATHERED)
    }

    /// What the thread of a master sends now, and by which settings.
    pub fn send_sync(&mut self, now: Timestamp) -> Option<(SyncSpec, Vec<Synced>)> {
        self.next_sync().filter(|due| *due <= now)?;
        let Outbox { waiting, .. } = std::mem::take(&mut self.outbox);
        // Nobody sends what waited when the thread was stopped.
        self.sync.get(&SyncRole::Master).map(|spec| (spec.clone(), waiting))
    }

    /// What the thread of a backup hears of a master with these settings.
    pub fn hear_sync(&mut self, now: Timestamp, from: &SyncSpec, told: &[Synced]) {
        self.expire(now);
        let Some(own) = self.sync.get(&SyncRole::Backup) else { return };
        // 0 hears everybody.
        if own.id != 0 && own.id != from.id || own.port != from.port || own.group != from.group {
            return;
        }
        for one in told {
            self.learn(now, one);
        }
    }

    fn learn(&mut self, now: Timestamp, told: &Synced) {
        let Synced { key, name, state, to } = *told;
        let Some(destination) = self.destinations.get(&name).filter(|one| one.is_in_table) else {
            return;
        };
        let forwarding = destination.spec.forwarding;
        let (what, timeout) = match state {
            Some(state) => {
                let what = What::Tcp { state, hears_server: false, template: None };
                (what, state.limit(self.limits))
            }
            None => (What::Udp { template: None }, self.limits.udp),
        };
        match self.connections.find(&key).map(|(id, _)| id) {
            Some(id) => self.advance(now, id, what, timeout),
            None => {
                self.begin(now, key, name, (what, timeout), (forwarding, to));
            }
        }
    }
}

impl State {
    /// Whether a connection in this state is told of, which was in that one before.
    fn is_told(self, before: Self, regularly: bool) -> bool {
        match self {
            Self::Established => regularly,
            Self::FinWait | Self::TimeWait | Self::Closed | Self::CloseWait => {
                self != before || regularly
            }
            Self::New | Self::SynSent | Self::SynReceived => false,
        }
    }
}
