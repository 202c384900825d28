//! The routes and rules that are held: desired minus observed, command by command.
//!
//! They come after the addresses, routes before rules, and go before them in the reverse order. A
//! route waits for its interfaces: the kernel refuses it without, and drops it when they go down.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::config::{FibConfig, FibEntry};
use crate::input::EffectError;
use crate::names::InterfaceName;
use crate::output::KernelCommand;
use crate::time::Timestamp;
use crate::vrrp::holdings::{Change, Pending, RETRY_AFTER, Want, pending, ready};
use crate::vrrp::instance::{Context, Instance};

/// After a failure to add the time to the next try doubles, so often at most: what waits for
/// somebody else's route or address may wait for hours.
const MOST_DOUBLINGS: u32 = 5;

/// One entry, and what the kernel has of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    config: FibConfig,
    /// The configuration has it no more.
    retired: bool,
    /// As the kernel has it.
    seen: Option<FibEntry>,
    /// The kernel has it otherwise than configured: it is removed, then added.
    stale: bool,
    /// Somebody removed it, and is not gainsaid until it is wanted anew.
    let_go: bool,
    failures: u32,
    pending: Option<Pending>,
    retry_at: Option<Timestamp>,
}

/// All that one instance holds, or that stands whoever is master.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fib {
    /// Routes, then rules.
    held: Vec<Held>,
}

impl Fib {
    /// Takes over a configuration: what is no longer in it is retired, what is new is added.
    pub(crate) fn configure(&mut self, wanted: &[FibConfig]) {
        for held in &mut self.held {
            held.retired = true;
        }
        for config in wanted {
            match self.held.iter_mut().find(|held| held.is(&config.entry)) {
                Some(held) => {
                    held.stale |= held.seen.is_some() && held.config.entry != config.entry;
                    held.retired = false;
                    held.let_go &= config.untracked;
                    held.config.clone_from(config);
                }
                None => self.held.push(Held {
                    config: config.clone(),
                    retired: false,
                    seen: None,
                    stale: false,
                    let_go: false,
                    failures: 0,
                    pending: None,
                    retry_at: None,
                }),
            }
        }
        // What a reload adds among the routes comes before the rules too.
        self.held.sort_by_key(|held| matches!(held.config.entry, FibEntry::Rule(_)));
    }

    /// Removes what is not wanted, the last one first.
    pub(crate) fn take_back(
        &mut self,
        now: Timestamp,
        want: Want,
        mut number: impl FnMut(&KernelCommand) -> u64,
    ) {
        for held in self.held.iter_mut().rev() {
            held.let_go &= want == Want::Held;
            if held.seen.is_none() && (want != Want::Held || held.retired) {
                // Nothing is left to try again.
                (held.retry_at, held.failures) = (None, 0);
            }
            if ready(&held.pending, &mut held.retry_at, now)
                && let Some(command) = held.removal(want)
            {
                held.pending = Some(pending(now, number(&command), command));
            }
        }
        self.held.retain(|held| !held.retired || held.is_busy());
    }

    /// Adds what is wanted and missing: routes, and once they are settled, rules.
    pub(crate) fn put(
        &mut self,
        now: Timestamp,
        is_up: impl Fn(&InterfaceName) -> bool,
        mut number: impl FnMut(&KernelCommand) -> u64,
    ) {
        let mut settled = true;
        for held in &mut self.held {
            if matches!(held.config.entry, FibEntry::Rule(_)) && !settled {
                return;
            }
            if !held.is_missing() || !held.config.entry.interfaces().all(&is_up) {
                continue;
            }
            if ready(&held.pending, &mut held.retry_at, now) {
                let command = KernelCommand::AddFib(held.config.entry.clone());
                held.pending = Some(pending(now, number(&command), command));
            }
            settled &= held.pending.is_none();
        }
    }

    /// Interfaces or addresses changed: what failed may go well now.
    pub(crate) fn try_anew(&mut self) {
        for held in &mut self.held {
            (held.retry_at, held.failures) = (None, 0);
        }
    }

    /// A command was answered, if it is one of these.
    pub(crate) fn done(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<(), EffectError>,
    ) -> Option<Change> {
        let is_it = |held: &&mut Held| held.pending.as_ref().is_some_and(|it| it.number == number);
        self.held.iter_mut().find(is_it).map(|held| held.answered(now, result))
    }

    /// Commands whose time limit is over count as failed. Returns one of them a call.
    pub(crate) fn overdue(&mut self, now: Timestamp) -> Option<Change> {
        let is_over = |held: &&mut Held| held.pending.as_ref().is_some_and(|it| it.limit <= now);
        let held = self.held.iter_mut().find(is_over)?;
        Some(held.answered(now, Err(EffectError::TimedOut)))
    }

    /// The kernel reported an entry, whoever changed it.
    pub(crate) fn observe(
        &mut self,
        entry: &FibEntry,
        present: bool,
        want: Want,
        is_up: impl Fn(&InterfaceName) -> bool,
    ) -> Change {
        let Some(held) = self.held.iter_mut().find(|held| held.is(entry)) else {
            return Change::None;
        };
        let was_there = held.seen.is_some();
        held.seen = present.then(|| entry.clone());
        if present && !was_there {
            // Nothing is left to be added again, and to remove it must not wait for that.
            (held.retry_at, held.failures) = (None, 0);
        }
        // What a command of ours changes is no news.
        if was_there == present || held.pending.is_some() {
            return Change::None;
        }
        let wanted = want == Want::Held && !held.retired;
        match (present, wanted) {
            (true, true) => {
                held.stale = !held.config.entry.is_held_as(entry);
                Change::None
            }
            (true, false) => Change::LeftoverEntry(entry.clone()),
            // The kernel itself drops routes of an interface that goes down.
            (false, true) if held.config.entry.interfaces().all(is_up) => {
                held.let_go = held.config.untracked;
                Change::LostEntry { entry: entry.clone(), let_go: held.let_go }
            }
            (false, true) => Change::None,
            (false, false) => Change::None,
        }
    }

    /// Whether nothing is wanted, and nothing there.
    pub(crate) const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What the kernel has, as it has it.
    pub(crate) fn present(&self) -> impl Iterator<Item = &FibEntry> {
        self.held.iter().filter(|held| !held.retired).filter_map(|held| held.seen.as_ref())
    }

    /// Whether a command waits for its answer or its next try, or something of ours is there.
    pub(crate) fn is_busy(&self) -> bool {
        self.held.iter().any(Held::is_busy)
    }

    /// The next time limit or retry.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let times = self.held.iter().filter_map(|held| {
            let limit = held.pending.as_ref().map(|waiting| waiting.limit);
            [limit, held.retry_at].into_iter().flatten().min()
        });
        times.min()
    }

    /// Whether the commands that wait have numbers below `next`, and no failure counts further than
    /// it can.
    pub(crate) fn fits(&self, next: u64) -> bool {
        self.held.iter().all(|held| {
            let below = held.pending.as_ref().is_none_or(|waiting| waiting.number < next);
            below && held.failures <= MOST_DOUBLINGS
        })
    }

    pub(crate) fn fold(&self, now: Timestamp, first: u64, hasher: &mut impl Hasher) {
        self.held.len().hash(hasher);
        for held in &self.held {
            (&held.config, held.retired, &held.seen).hash(hasher);
            (held.stale, held.let_go, held.failures).hash(hasher);
            let waiting = held.pending.as_ref();
            let waiting = waiting.map(|waiting| (waiting.limit - now, waiting.number - first));
            (waiting, held.retry_at.map(|at| at - now)).hash(hasher);
        }
    }

    /// The lowest number that a waiting command has.
    pub(crate) fn first_waiting(&self) -> Option<u64> {
        self.held.iter().filter_map(|held| Some(held.pending.as_ref()?.number)).min()
    }
}

impl Instance {
    /// The kernel has or lost a route or a rule of this instance.
    pub(crate) fn on_fib(&mut self, ctx: &mut Context<'_>, entry: &FibEntry, present: bool) {
        let (want, observed) = (self.want(ctx.now), ctx.observed);
        let change = self.holdings.fib.observe(entry, present, want, |name| observed.is_up(name));
        self.on_change(ctx, change);
        self.reconcile(ctx);
    }

    /// An interface that a route needs changed.
    pub(crate) fn on_next_hop(&mut self, ctx: &mut Context<'_>) {
        self.holdings.fib.try_anew();
        self.reconcile(ctx);
    }
}

impl Held {
    /// Whether this is the entry that is configured or reported as `entry`.
    fn is(&self, entry: &FibEntry) -> bool {
        let own = &self.config.entry;
        own.place() == entry.place() && (own.names(entry) || entry.names(own))
    }

    fn is_missing(&self) -> bool {
        !self.retired && !self.let_go && self.seen.is_none()
    }

    fn is_busy(&self) -> bool {
        self.pending.is_some() || self.retry_at.is_some() || self.seen.is_some()
    }

    fn removal(&self, want: Want) -> Option<KernelCommand> {
        let keep = match want {
            Want::Held => !self.retired && !self.stale,
            Want::Released | Want::ReleasedOnStop => false,
        };
        let seen = self.seen.as_ref().filter(|_| !keep)?;
        Some(KernelCommand::RemoveFib(seen.clone()))
    }

    fn answered(&mut self, now: Timestamp, result: Result<(), EffectError>) -> Change {
        let Some(Pending { command, .. }) = self.pending.take() else { return Change::None };
        if let Err(error) = result {
            // What is to go is tried every time as soon: a stop waits for it.
            self.retry_at = Some(now + RETRY_AFTER);
            if matches!(command, KernelCommand::AddFib(_)) {
                self.retry_at = Some(now + RETRY_AFTER * (1 << self.failures));
                self.failures = (self.failures + 1).min(MOST_DOUBLINGS);
            }
            return Change::Failed(command, error);
        }
        self.failures = 0;
        self.stale = false;
        match command {
            // The kernel's own word of it, with the interface that it found, may have come before.
            KernelCommand::AddFib(entry) => {
                self.seen.get_or_insert(entry);
            }
            KernelCommand::RemoveFib(_) => self.seen = None,
            KernelCommand::AddAddress(_)
            | KernelCommand::RemoveAddress(_)
            | KernelCommand::AddFilter(_)
            | KernelCommand::RemoveFilter(_)
            | KernelCommand::SetVirtualMac { .. }
            | KernelCommand::RemoveVirtualMac { .. }
            | KernelCommand::SetGate { .. }
            | KernelCommand::RemoveGate { .. }
            | KernelCommand::RenewLease { .. } => {}
        }
        Change::None
    }
}
