//! All checks written down and read back. What is derived from other things is derived again, and
//! what somebody may have edited is checked.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::agenda::{Agenda, Lane, Limits};
use super::arena::Arena;
use super::checker::{Checker, State};
use super::output::CheckId;
use super::reload::Taking;
use super::server::{Server, ServerId, VirtualId};
use super::{Counters, Health, Virtual};
use crate::config::health::CheckKind;
use crate::input::TrackerValue;
use crate::names::TrackerName;
use crate::status::MOST_COUNTED;

/// Everything that is known and cannot be derived, for serde. `Health::try_from` gives it back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    limits: Limits,
    checks: Vec<Option<Checker>>,
    servers: Vec<Option<Server>>,
    virtual_servers: Vec<Option<Virtual>>,
    trackers: BTreeMap<TrackerName, TrackerValue>,
    taking: Option<Taking>,
    generation: u64,
    next_number: u64,
    counters: Counters,
}

/// Why a snapshot is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Two equal checks, or a check that nobody needs.
    Check(CheckId),
    /// What a check never does.
    Unsound(CheckId, &'static str),
    /// A real server with a virtual server or a check that is not there, or one that is there
    /// twice.
    Server(u32),
    /// Two virtual servers with one name.
    VirtualServer(u32),
    /// More attempts are under way than may be.
    TooManyRun,
    /// A counter that cannot be counted on.
    Counted,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(id) => write!(f, "check {} is there twice or for nobody", id.0),
            Self::Unsound(id, what) => write!(f, "check {} {what}", id.0),
            Self::Server(place) => write!(f, "real server {place} has what is not there"),
            Self::VirtualServer(place) => {
                write!(f, "virtual server {place} is there twice, or not yet")
            }
            Self::TooManyRun => f.write_str("more attempts are under way than may be"),
            Self::Counted => f.write_str("counts too far"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Health {
    /// What is known now. It costs as much as a copy.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            limits: self.limits,
            checks: self.checks.places(),
            servers: self.servers.places(),
            virtual_servers: self.virtual_servers.places(),
            trackers: self.trackers.clone(),
            taking: self.taking.clone(),
            generation: self.generation,
            next_number: self.next_number,
            counters: self.counters,
        }
    }

    /// What must hold between any two calls and does not.
    pub(super) fn broken_invariant(&self) -> Option<SnapshotError> {
        for (place, checker) in self.checks.iter() {
            if let Some(what) = checker.broken_invariant(self.next_number) {
                return Some(SnapshotError::Unsound(CheckId(place), what));
            }
            let needs = |id: &ServerId| {
                let server = self.servers.get(id.0);
                server.is_some_and(|server| server.checks.contains(&CheckId(place)))
            };
            let is_needed = !checker.subscribers.is_empty() || self.is_taking();
            if !is_needed || !checker.subscribers.iter().all(needs) {
                return Some(SnapshotError::Check(CheckId(place)));
            }
        }
        for (place, server) in self.servers.iter() {
            let owner = self.virtual_servers.get(server.virtual_server.0);
            // A reload lets go of who was not named, and of a virtual server with all of its own.
            let is_owned = owner.is_some_and(|owner| {
                owner.name == server.name.virtual_server && server.generation <= owner.generation
            });
            let distinct: BTreeSet<_> = server.checks.iter().collect();
            let is_heard = |id: &CheckId| {
                let checker = self.checks.get(id.0);
                checker.is_some_and(|checker| {
                    checker.subscribers.binary_search(&ServerId(place)).is_ok()
                })
            };
            if !is_owned
                || distinct.len() != server.checks.len()
                || !server.checks.iter().all(is_heard)
                || !server.is_told_truly(&self.checks)
            {
                return Some(SnapshotError::Server(place));
            }
        }
        for (place, known) in self.virtual_servers.iter() {
            if known.generation > self.generation {
                return Some(SnapshotError::VirtualServer(place));
            }
        }
        let Counters { attempts, late, timed_out, stray, .. } = self.counters;
        let counted = [attempts, late, timed_out, stray, self.next_number, self.generation];
        let fits = counted.into_iter().all(|count| count <= MOST_COUNTED);
        (!fits).then_some(SnapshotError::Counted)
    }
}

impl TryFrom<Snapshot> for Health {
    type Error = SnapshotError;

    fn try_from(read: Snapshot) -> Result<Self, SnapshotError> {
        let Snapshot { limits, trackers, taking, generation, next_number, counters, .. } = read;
        let mut checks = Arena::from_places(read.checks);
        let servers = Arena::from_places(read.servers);
        let virtual_servers = Arena::<Virtual>::from_places(read.virtual_servers);
        let mut by_name = BTreeMap::new();
        for (place, known) in virtual_servers.iter() {
            if by_name.insert(known.name.clone(), VirtualId(place)).is_some() {
                return Err(SnapshotError::VirtualServer(place));
            }
        }
        let mut by_server = BTreeMap::new();
        for (place, server) in servers.iter() {
            let key = (server.virtual_server, server.name.address, server.name.port);
            let is_new = by_server.insert(key, ServerId(place)).is_none();
            let mut heard = server.checks.iter().map(|id| {
                let checker: Option<&mut Checker> = checks.get_mut(id.0);
                checker.map(|checker| checker.subscribe(ServerId(place)))
            });
            if !is_new || heard.any(|heard| heard != Some(true)) {
                return Err(SnapshotError::Server(place));
            }
        }
        let (mut agenda, mut by_check) = (Agenda::default(), BTreeMap::new());
        let mut by_file = BTreeMap::<_, BTreeSet<_>>::new();
        for (place, checker) in checks.iter() {
            let id = CheckId(place);
            agenda.file(id, Lane::of(&checker.check), checker.state);
            if let (CheckKind::File { file, .. }, State::IsTold) =
                (&checker.check.kind, checker.state)
            {
                by_file.entry(file.clone()).or_default().insert(id);
            }
            if by_check.insert(Arc::clone(&checker.check), id).is_some() {
                return Err(SnapshotError::Check(id));
            }
        }
        let [network, scripts] = agenda.counts();
        if network > limits.connections.max(1) || scripts > limits.scripts.max(1) {
            return Err(SnapshotError::TooManyRun);
        }
        let health = Self {
            limits,
            checks,
            servers,
            virtual_servers,
            trackers,
            taking,
            generation,
            next_number,
            counters,
            agenda,
            by_check,
            by_server,
            by_name,
            by_file,
        };
        health.broken_invariant().map_or(Ok(health), Err)
    }
}
