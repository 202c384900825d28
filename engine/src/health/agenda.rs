//! What is due when: a book over the states of the checks, which decides nothing by itself.
//!
//! It is exact, unlike the index over virtual routers: nearly every attempt ends long before its
//! limit, and an index that keeps such limits would wake the daemon once more for each attempt.
//! Checks that may not begin because too many run wait here, the latest one first.

use serde::{Deserialize, Serialize};

use super::checker::State;
use super::output::CheckId;
use crate::config::health::{Check, CheckKind};
use crate::heap::{IndexedHeap, Numbered};
use crate::time::{Timestamp, earlier};

/// Most attempts over the network at once: each has a descriptor.
pub const MOST_CONNECTIONS: usize = 4096;
/// Most scripts at once: each is a process.
pub const MOST_SCRIPTS: usize = 256;
/// Most attempts that begin, that run out of time, and most real servers that are taken from a new
/// configuration, in one call.
pub const MOST_PER_CALL: usize = 64;

/// How much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Attempts over the network at once, at least 1.
    pub connections: usize,
    /// Scripts at once, at least 1.
    pub scripts: usize,
    /// Attempts begun, ended, and real servers taken in one call, each; at least 1.
    pub per_call: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: MOST_CONNECTIONS, scripts: MOST_SCRIPTS, per_call: MOST_PER_CALL }
    }
}

/// What an attempt takes of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Network,
    Script,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Network, Self::Script];

    pub(super) fn of(check: &Check) -> Self {
        match check.kind {
            CheckKind::Script { .. } => Self::Script,
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Ping
            | CheckKind::Udp(_)
            | CheckKind::File { .. } => Self::Network,
        }
    }
}

impl Numbered for CheckId {
    fn number(self) -> usize {
        self.0 as usize
    }
}

/// When each check begins or ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    begin: [IndexedHeap<CheckId>; 2],
    end: IndexedHeap<CheckId>,
    running: [usize; 2],
}

impl Agenda {
    pub(super) fn file(&mut self, id: CheckId, lane: Lane, state: State) {
        match state {
            State::Waits { start_at } => {
                self.begin[lane as usize].set(id, start_at);
            }
            State::Runs { until, .. } => {
                self.end.set(id, until);
                self.running[lane as usize] += 1;
            }
            State::IsTold => {}
        }
    }

    pub(super) fn withdraw(&mut self, id: CheckId, lane: Lane, state: State) {
        match state {
            State::Waits { .. } => self.begin[lane as usize].remove(id),
            State::Runs { .. } => {
                self.end.remove(id);
                self.running[lane as usize] -= 1;
            }
            State::IsTold => {}
        }
    }

    /// The check whose time to begin is longest over, if one more may run.
    pub(super) fn begins(&self, lane: Lane, limits: &Limits) -> Option<(Timestamp, CheckId)> {
        let most = match lane {
            Lane::Network => limits.connections,
            Lane::Script => limits.scripts,
        };
        let may_run = self.running[lane as usize] < most.max(1);
        self.begin[lane as usize].first().filter(|_| may_run)
    }

    /// The check whose limit comes first.
    pub(super) fn ends(&self) -> Option<(Timestamp, CheckId)> {
        self.end.first()
    }

    /// When something is due.
    pub(super) fn next(&self, limits: &Limits) -> Option<Timestamp> {
        let begins = |lane| self.begins(lane, limits).map(|(at, _)| at);
        let begin = earlier(begins(Lane::Network), begins(Lane::Script));
        earlier(begin, self.ends().map(|(at, _)| at))
    }

    /// Attempts that are under way.
    pub(super) fn running(&self) -> usize {
        self.running.iter().sum()
    }

    /// Whether a check stands where its state says.
    pub(super) fn has(&self, id: CheckId, lane: Lane, state: State) -> bool {
        match state {
            State::Waits { start_at } => self.begin[lane as usize].get(id) == Some(start_at),
            State::Runs { until, .. } => self.end.get(id) == Some(until),
            State::IsTold => true,
        }
    }

    /// How many checks stand in it.
    pub(super) fn len(&self) -> usize {
        self.end.len() + self.begin.iter().map(IndexedHeap::len).sum::<usize>()
    }

    /// How many of each kind run.
    pub(super) const fn counts(&self) -> [usize; 2] {
        self.running
    }
}
