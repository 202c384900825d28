//! Health: when real servers are checked, and what the outcomes mean.
//!
//! A driver makes the attempts ([`Probe`]) and tells how they ended ([`Outcome`]); what this part
//! learns ([`News`]) is for whoever keeps the kernel's table. There is no clock here, and no I/O.
//!
//! Each call does bounded work, but for one thing: a check has as much news as it has subscribers.
//! What is left over is due again at once, so that something more urgent can come in between.
//!
//! Go on with `checker` (one check), `server` (what several checks say of a real server), `reload`
//! (how a new configuration is taken), `agenda` (what is due when, and the limits).

mod agenda;
mod arena;
mod checker;
pub mod outcome;
pub mod output;
mod reload;
mod server;
mod snapshot;
mod status;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

pub use agenda::{Limits, MOST_CONNECTIONS, MOST_PER_CALL, MOST_SCRIPTS};
pub use checker::{CheckCounters, LOCAL_PAUSE, SHORTEST_LOOP, Verdict};
pub use outcome::{Failure, LocalError, Outcome, TlsFailure};
pub use output::{
    AttemptId, CheckId, News, Output, Probe, ProbeCommand, ServerName, WhyDown, WhyUp,
};
pub use snapshot::{Snapshot, SnapshotError};
pub use status::{CheckStatus, Now, ServerStatus, Status};

use crate::config::director::VirtualServerName;
use crate::config::health::{Check, CheckKind};
use crate::input::TrackerValue;
use crate::names::TrackerName;
use crate::time::{Timestamp, earlier};
use agenda::{Agenda, Lane};
use arena::Arena;
use checker::{Checker, State};
use reload::Taking;
use server::{Server, ServerId, VirtualId};

/// All checks of one director.
#[derive(Clone, Debug, Default)]
pub struct Health {
    limits: Limits,
    checks: Arena<Checker>,
    servers: Arena<Server>,
    virtual_servers: Arena<Virtual>,
    trackers: BTreeMap<TrackerName, TrackerValue>,
    /// The new configuration that is being taken.
    taking: Option<Taking>,
    /// Counts configurations.
    generation: u64,
    /// Of the next attempt.
    next_number: u64,
    counters: Counters,
    agenda: Agenda,
    by_check: BTreeMap<Arc<Check>, CheckId>,
    by_server: BTreeMap<(VirtualId, IpAddr, u16), ServerId>,
    by_name: BTreeMap<VirtualServerName, VirtualId>,
    by_file: BTreeMap<TrackerName, BTreeSet<CheckId>>,
}

/// What was counted over all checks since the start. All of it is a book: it decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Attempts that began.
    pub attempts: u64,
    /// Of these, later than when they were due.
    pub late: u64,
    /// The most that one was late.
    pub latest: Duration,
    /// Attempts that ran out of time.
    pub timed_out: u64,
    /// Outcomes that nobody waited for any more.
    pub stray: u64,
}

/// A virtual server, as far as it concerns its checks.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Virtual {
    name: VirtualServerName,
    ha_suspend: bool,
    /// `None`: nobody told yet.
    is_here: Option<bool>,
    generation: u64,
}

impl Virtual {
    /// Its checks are not made for its sake.
    const fn rests(&self) -> bool {
        self.ha_suspend && !matches!(self.is_here, Some(true))
    }
}

impl Health {
    /// Nothing to check yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A deadline may have passed. An early call does nothing, a late one makes up for it once.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for _ in 0..self.per_call() {
            let Some((_, id)) = self.agenda.ends().filter(|(at, _)| *at <= now) else { break };
            self.expire(now, id, out);
        }
        for lane in Lane::ALL {
            for _ in 0..self.per_call() {
                let next = self.agenda.begins(lane, &self.limits);
                let Some((_, id)) = next.filter(|(at, _)| *at <= now) else { break };
                self.begin(now, id, out);
            }
        }
        if self.is_taking() {
            self.take_some(now, out);
        }
    }

    /// An attempt ended. One that nobody waits for any more is counted and ignored. One whose limit
    /// is over counts as long as no tick came: it was on time, and we were late.
    pub fn on_outcome(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        let checker = self.checks.get(id.check.0);
        let runs = checker.is_some_and(
            |checker| matches!(checker.state, State::Runs { number, .. } if number == id.number),
        );
        if runs {
            self.conclude(now, id.check, outcome, out);
        } else {
            self.counters.stray += 1;
        }
    }

    /// A tracked file says something else. One that is not known yet is remembered.
    pub fn on_tracker(
        &mut self,
        now: Timestamp,
        file: TrackerName,
        value: TrackerValue,
        out: &mut Vec<Output>,
    ) {
        for id in self.by_file.get(&file).cloned().unwrap_or_default() {
            let told = self.checks.get_mut(id.0).map(|checker| checker.on_value(now, value, out));
            if told == Some(true) {
                self.inform(now, id, out);
            }
        }
        self.trackers.insert(file, value);
    }

    /// Whether the addresses of a virtual server are on this machine. Checks of one with
    /// `ha_suspend` rest while they are not, and from its first configuration until this is told;
    /// then they come in their turn. A check that somebody else needs too does not rest.
    pub fn on_presence(&mut self, name: &VirtualServerName, is_here: bool) {
        let id = self.by_name.get(name);
        if let Some(known) = id.and_then(|id| self.virtual_servers.get_mut(id.0)) {
            known.is_here = Some(is_here);
        }
    }

    /// What was told of the addresses of a virtual server last; `None`: nothing.
    #[must_use]
    pub fn presence(&self, name: &VirtualServerName) -> Option<bool> {
        let id = self.by_name.get(name)?;
        self.virtual_servers.get(id.0)?.is_here
    }

    /// When to call [`Self::tick`], if nothing else happens before. Never too early.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        earlier(self.agenda.next(&self.limits), self.taking.as_ref().map(Taking::since))
    }

    /// The tracked files whose values it wants to hear.
    pub fn files(&self) -> impl Iterator<Item = &TrackerName> {
        self.by_file.keys()
    }

    /// Folds what decides: every time as its distance from `now`, books left out.
    ///
    /// Two of equal limits and fingerprints, told the same at equal distances, put out the same
    /// (but for the numbers of attempts) and stay equal.
    pub fn fingerprint(&self, now: Timestamp, hasher: &mut impl Hasher) {
        for (place, checker) in self.checks.iter() {
            place.hash(hasher);
            checker.fold(now, hasher);
        }
        for (place, server) in self.servers.iter() {
            place.hash(hasher);
            server.fold(self.generation, hasher);
        }
        for (place, known) in self.virtual_servers.iter() {
            (place, &known.name, known.ha_suspend, known.is_here).hash(hasher);
            (known.generation == self.generation).hash(hasher);
        }
        for (file, value) in &self.trackers {
            file.hash(hasher);
            match value {
                TrackerValue::Pending => (0_u8, 0).hash(hasher),
                TrackerValue::Up => (1_u8, 0).hash(hasher),
                TrackerValue::Down => (2_u8, 0).hash(hasher),
                TrackerValue::Number(number) => (3_u8, *number).hash(hasher),
            }
        }
        let places = (self.checks.end(), self.servers.end(), self.virtual_servers.end());
        (places, self.trackers.len()).hash(hasher);
        if let Some(taking) = &self.taking {
            taking.fold(hasher);
        }
    }

    /// Checks what must hold between any two calls.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        let broken = self.broken_invariant();
        assert!(broken.is_none(), "{broken:?}");
        let mut running = [0; 2];
        let mut filed = 0;
        for (place, checker) in self.checks.iter() {
            let lane = Lane::of(&checker.check);
            assert!(self.agenda.has(CheckId(place), lane, checker.state), "{place} is not filed");
            filed += usize::from(checker.state != State::IsTold);
            running[lane as usize] += usize::from(matches!(checker.state, State::Runs { .. }));
            let known = self.by_check.get(&checker.check);
            assert_eq!(known, Some(&CheckId(place)), "a check is not known");
        }
        assert_eq!((self.agenda.len(), self.agenda.counts()), (filed, running));
        assert_eq!(self.by_check.len(), self.checks.iter().count());
        assert_eq!(self.by_server.len(), self.servers.iter().count());
        assert_eq!(self.by_name.len(), self.virtual_servers.iter().count());
        let [network, scripts] = running;
        let Limits { connections, scripts: most, .. } = self.limits;
        assert!(network <= connections.max(1) && scripts <= most.max(1), "too many run");
    }

    fn per_call(&self) -> usize {
        self.limits.per_call.max(1)
    }

    /// Lets one check act, and files what it does then.
    fn with<R>(&mut self, id: CheckId, act: impl FnOnce(&mut Checker) -> R) -> Option<R> {
        let checker = self.checks.get_mut(id.0)?;
        let lane = Lane::of(&checker.check);
        self.agenda.withdraw(id, lane, checker.state);
        let result = act(checker);
        self.agenda.file(id, lane, checker.state);
        Some(result)
    }

    /// Its turn has come: it begins, unless nobody wants to know.
    fn begin(&mut self, now: Timestamp, id: CheckId, out: &mut Vec<Output>) {
        if !self.is_wanted(id) {
            self.with(id, |checker| checker.pass(now));
            return;
        }
        let number = self.next_number;
        let begun = self.with(id, |checker| checker.start(now, number)).flatten();
        let Some((late, command)) = begun else { return };
        out.push(Output::Probe(Probe { id: AttemptId { check: id, number }, command }));
        self.next_number += 1;
        self.counters.attempts += 1;
        self.counters.late += u64::from(!late.is_zero());
        self.counters.latest = self.counters.latest.max(late);
    }

    /// Its limit is over.
    fn expire(&mut self, now: Timestamp, id: CheckId, out: &mut Vec<Output>) {
        self.cancel(id, out);
        self.counters.timed_out += 1;
        let silence = self.checks.get(id.0).map(|checker| checker.check.silence());
        self.conclude(now, id, silence.unwrap_or(Outcome::Bad(Failure::TimedOut)), out);
    }

    /// Has the attempt dropped that is under way.
    fn cancel(&self, id: CheckId, out: &mut Vec<Output>) {
        if let Some(Checker { state: State::Runs { number, .. }, .. }) = self.checks.get(id.0) {
            let id = AttemptId { check: id, number: *number };
            out.push(Output::Probe(Probe { id, command: ProbeCommand::Cancel }));
        }
    }

    fn conclude(&mut self, now: Timestamp, id: CheckId, outcome: Outcome, out: &mut Vec<Output>) {
        if !self.is_wanted(id) {
            self.with(id, |checker| checker.pass(now));
        } else if self.with(id, |checker| checker.conclude(now, outcome, out)) == Some(true) {
            self.inform(now, id, out);
        }
    }

    /// Its subscribers hear that something is new.
    fn inform(&mut self, now: Timestamp, id: CheckId, out: &mut Vec<Output>) {
        let Some(checker) = self.checks.get(id.0) else { return };
        for server in &checker.subscribers {
            if let Some(server) = self.servers.get_mut(server.0) {
                server.evaluate(now, &self.checks, out);
            }
        }
    }

    /// Whether a virtual server that does not rest needs it.
    fn is_wanted(&self, id: CheckId) -> bool {
        let subscribers = self.checks.get(id.0).map(|checker| checker.subscribers.iter());
        subscribers.into_iter().flatten().any(|server| {
            let server = self.servers.get(server.0);
            let owner = server.and_then(|server| self.virtual_servers.get(server.virtual_server.0));
            owner.is_some_and(|owner| !owner.rests())
        })
    }

    /// A new check; what its tracker says is known at once.
    fn add(&mut self, now: Timestamp, checker: Checker) -> CheckId {
        let (check, lane, state) =
            (Arc::clone(&checker.check), Lane::of(&checker.check), checker.state);
        let id = CheckId(self.checks.insert(checker));
        self.agenda.file(id, lane, state);
        if let CheckKind::File { file, .. } = &check.kind {
            self.by_file.entry(file.clone()).or_default().insert(id);
            if let (Some(value), Some(checker)) =
                (self.trackers.get(file), self.checks.get_mut(id.0))
            {
                checker.on_value(now, *value, &mut Vec::new());
            }
        }
        self.by_check.insert(check, id);
        id
    }

    /// Nobody subscribes to it any more.
    fn remove(&mut self, id: CheckId, out: &mut Vec<Output>) {
        self.cancel(id, out);
        let Some(checker) = self.checks.remove(id.0) else { return };
        self.agenda.withdraw(id, Lane::of(&checker.check), checker.state);
        self.by_check.remove(&checker.check);
        if let CheckKind::File { file, .. } = &checker.check.kind
            && let Some(ids) = self.by_file.get_mut(file)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_file.remove(file);
            }
        }
    }
}
