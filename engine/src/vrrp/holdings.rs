//! What is held in the kernel: desired minus observed, command by command. Routes and rules are in
//! [`super::fib`].
//!
//! An address goes up in steps (its filter, if packets to it are not accepted, then the address)
//! and down in the reverse order. The virtual-MAC interface is up before the first address comes
//! and goes down after the last one. Whoever changed the kernel, the next step follows from what
//! is there.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{FibConfig, FibEntry, VirtualAddress};
use crate::input::{EffectError, LinkState};
use crate::names::{InterfaceName, MacAddress};
use crate::output::{AddressSpec, InstanceId, KernelCommand};
use crate::time::{Timestamp, earlier};
use crate::vrrp::fib::Fib;
use crate::vrrp::gate::Gate;

/// A command without an answer for this long counts as failed.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(1);
/// A failed command is tried again after this long.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A command that waits for its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) number: u64,
    pub(crate) command: KernelCommand,
    pub(crate) limit: Timestamp,
}

/// One address, and what the kernel has of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holding {
    spec: AddressSpec,
    /// Packets to it are dropped while we hold it.
    needs_filter: bool,
    /// The configuration has it no more.
    retired: bool,
    present: bool,
    filtered: bool,
    /// We added it, or took it over from a run before us.
    ours: bool,
    pending: Option<Pending>,
    retry_at: Option<Timestamp>,
}

/// The virtual-MAC interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Macvlan {
    name: InterfaceName,
    parent: InterfaceName,
    mac: MacAddress,
    /// The configuration has it no more, or has another one.
    retired: bool,
    exists: bool,
    up: bool,
    pending: Option<Pending>,
    retry_at: Option<Timestamp>,
}

/// What an answer or an observation means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing to tell.
    None,
    /// The kernel has this address now.
    Present(IpAddr),
    /// Somebody removed this address although we want it.
    Lost(IpAddr),
    /// This address was there although we do not want it.
    Leftover(IpAddr),
    /// Somebody removed this route or rule although we want it.
    LostEntry {
        entry: FibEntry,
        /// It stays away.
        let_go: bool,
    },
    /// This route or rule was there although we do not want it.
    LeftoverEntry(FibEntry),
    /// A command failed.
    Failed(KernelCommand, EffectError),
    /// The gate is there, or gone, as it was asked for.
    Gate,
}

/// What is wanted of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// The addresses.
    Held,
    /// No address.
    Released,
    /// No address of those that we added; an owner's own address stays.
    ReleasedOnStop,
}

/// All that one instance holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Holdings {
    addresses: Vec<Holding>,
    /// The one of the configuration, and those of earlier ones until they are removed.
    macvlans: Vec<Macvlan>,
    #[serde(default)]
    pub(crate) fib: Fib,
    #[serde(default)]
    pub(crate) gate: Gate,
    /// The next time limit or retry: a book, for it is asked for after each input.
    #[serde(skip)]
    deadline: Option<Timestamp>,
}

impl Holdings {
    /// Takes over a configuration: what is no longer in it is retired, what is new is added.
    pub(crate) fn configure(
        &mut self,
        wanted: impl Iterator<Item = (VirtualAddress, InterfaceName, bool)>,
        macvlan: Option<(InterfaceName, InterfaceName, MacAddress)>,
        fib: &[FibConfig],
    ) {
        self.fib.configure(fib);
        for holding in &mut self.addresses {
            holding.retired = true;
        }
        for (address, interface, needs_filter) in wanted {
            let spec = AddressSpec { interface, address };
            match self.addresses.iter_mut().find(|holding| holding.spec == spec) {
                Some(holding) => (holding.retired, holding.needs_filter) = (false, needs_filter),
                None => self.addresses.push(Holding {
                    spec,
                    needs_filter,
                    retired: false,
                    present: false,
                    filtered: false,
                    ours: false,
                    pending: None,
                    retry_at: None,
                }),
            }
        }
        for known in &mut self.macvlans {
            known.retired = macvlan != Some((known.name.clone(), known.parent.clone(), known.mac));
        }
        if let Some((name, parent, mac)) = macvlan
            && self.macvlans.iter().all(|known| known.retired)
        {
            let (retired, exists, up, pending, retry_at) = (false, false, false, None, None);
            self.macvlans.push(Macvlan {
                name,
                parent,
                mac,
                retired,
                exists,
                up,
                pending,
                retry_at,
            });
        }
    }

    /// These are not an owner's real addresses: whoever added one, it is ours now.
    pub(crate) fn claim(&mut self) {
        for holding in &mut self.addresses {
            holding.ours = holding.present;
        }
    }

    /// The next commands towards `want`, each numbered by `number`. The address `source`, which the
    /// adverts leave from, is not removed unless we added it: whoever forged the advert of a second
    /// owner would take the machine off the network.
    pub(crate) fn reconcile(
        &mut self,
        instance: InstanceId,
        now: Timestamp,
        want: Want,
        source: Option<IpAddr>,
        is_up: impl Fn(&InterfaceName) -> bool,
        mut number: impl FnMut(&KernelCommand) -> u64,
    ) {
        if want == Want::Held && self.is_complete() {
            return;
        }
        self.fib.take_back(now, want, &mut number);
        for macvlan in &mut self.macvlans {
            let on_it = |holding: &Holding| holding.spec.interface == macvlan.name;
            let used = self.addresses.iter().any(|holding| holding.present && on_it(holding));
            if ready(&macvlan.pending, &mut macvlan.retry_at, now)
                && let Some(command) = macvlan.next_step(want, used)
            {
                macvlan.pending = Some(pending(now, number(&command), command));
            }
        }
        if !self.macvlans.is_empty() {
            self.macvlans.retain(|macvlan| !macvlan.retired || macvlan.is_busy());
        }
        let up = self.gate.is_in_place()
            && self.macvlans.iter().all(|macvlan| macvlan.up || macvlan.retired);
        let is_source = |holding: &Holding| Some(holding.spec.address.address) == source;
        for holding in &mut self.addresses {
            let stays = holding.present && !holding.ours && is_source(holding);
            if ready(&holding.pending, &mut holding.retry_at, now)
                && !stays
                && let Some(command) = holding.next_step(want, up)
            {
                holding.pending = Some(pending(now, number(&command), command));
            }
        }
        if self.addresses.iter().any(|holding| holding.retired) {
            self.addresses.retain(|holding| !holding.retired || holding.is_busy());
        }
        if !self.gate.is_idle() {
            let released = !self.addresses.iter().any(Holding::is_busy);
            self.gate.reconcile(instance, (now, want, released), &mut number);
        }
        if want == Want::Held && self.addresses.iter().all(Holding::is_settled) {
            self.fib.put(now, is_up, &mut number);
        }
        self.file();
    }

    /// Whether nothing but addresses is wanted, all of them are held, and nothing waits.
    fn is_complete(&self) -> bool {
        let is_held = |holding: &Holding| {
            holding.present && !holding.retired && holding.filtered == holding.needs_filter
        };
        let is_plain = self.macvlans.is_empty() && self.fib.is_empty() && self.gate.is_idle();
        self.deadline.is_none() && is_plain && self.addresses.iter().all(is_held)
    }

    /// A command was answered. [`Self::reconcile`] follows.
    pub(crate) fn done(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<(), EffectError>,
    ) -> Change {
        if self.deadline.is_none() {
            return Change::None;
        }
        let is_it = |waiting: &Option<Pending>| {
            waiting.as_ref().is_some_and(|waiting| waiting.number == number)
        };
        if let Some(macvlan) = self.macvlans.iter_mut().find(|macvlan| is_it(&macvlan.pending)) {
            return macvlan.answered(now, result);
        }
        if let Some(change) = self.fib.done(now, number, result) {
            return change;
        }
        if is_it(&self.gate.pending) {
            return self.gate.answered(now, result);
        }
        let holding = self.addresses.iter_mut().find(|holding| is_it(&holding.pending));
        holding.map_or(Change::None, |holding| holding.answered(now, result))
    }

    /// Commands whose time limit is over count as failed. Returns one of them a call.
    pub(crate) fn overdue(&mut self, now: Timestamp) -> Option<Change> {
        self.deadline.filter(|at| *at <= now)?;
        let change = self.give_up(now);
        self.file();
        change
    }

    fn give_up(&mut self, now: Timestamp) -> Option<Change> {
        let is_over = |waiting: &Option<Pending>| {
            waiting.as_ref().is_some_and(|waiting| waiting.limit <= now)
        };
        let result = Err(EffectError::TimedOut);
        if let Some(macvlan) = self.macvlans.iter_mut().find(|macvlan| is_over(&macvlan.pending)) {
            return Some(macvlan.answered(now, result));
        }
        if let Some(change) = self.fib.overdue(now) {
            return Some(change);
        }
        if is_over(&self.gate.pending) {
            return Some(self.gate.answered(now, result));
        }
        let holding = self.addresses.iter_mut().find(|holding| is_over(&holding.pending))?;
        Some(holding.answered(now, result))
    }

    /// The kernel reported an address, whoever changed it.
    pub(crate) fn observe(
        &mut self,
        interface: &InterfaceName,
        address: IpAddr,
        present: bool,
        want: Want,
        is_owner: bool,
    ) -> Change {
        let holding = self.addresses.iter_mut().find(|holding| {
            holding.spec.address.address == address && holding.spec.interface == *interface
        });
        let Some(holding) = holding.filter(|holding| holding.present != present) else {
            return Change::None;
        };
        let pending = holding.pending.as_ref().map(|waiting| &waiting.command);
        let adding = matches!(pending, Some(KernelCommand::AddAddress(_)));
        // It may be wanted again by the time that our own command is obeyed.
        let removing = matches!(pending, Some(KernelCommand::RemoveAddress(_)));
        holding.present = present;
        // Only an owner's address can be somebody else's: any other one goes when we stop, also if
        // our command to add it was given up before the kernel obeyed.
        holding.ours = present && (!is_owner || adding);
        match (present, want) {
            (true, _) if adding => Change::Present(address),
            (true, Want::Held) => Change::Present(address),
            (true, Want::Released | Want::ReleasedOnStop) => Change::Leftover(address),
            (false, Want::Held) if !holding.retired && !removing => Change::Lost(address),
            (false, Want::Held | Want::Released | Want::ReleasedOnStop) => Change::None,
        }
    }

    /// The virtual-MAC interface went up or down, whoever did it.
    pub(crate) fn observe_link(&mut self, name: &InterfaceName, state: LinkState) {
        for macvlan in self.macvlans.iter_mut().filter(|macvlan| macvlan.name == *name) {
            macvlan.exists = state != LinkState::Absent;
            macvlan.up = state == LinkState::Up;
        }
    }

    /// Addresses that the kernel has, with the interface that was configured for each.
    pub(crate) fn present(&self) -> impl Iterator<Item = &AddressSpec> {
        let held = self.addresses.iter().filter(|holding| holding.present && !holding.retired);
        held.map(|holding| &holding.spec)
    }

    /// Whether a command waits for its answer or its next try, or something of ours is there.
    pub(crate) fn is_busy(&self) -> bool {
        let macvlans = self.macvlans.iter().any(Macvlan::is_busy);
        let addresses = self.addresses.iter().any(Holding::is_busy);
        macvlans || addresses || self.fib.is_busy() || self.gate.is_busy()
    }

    /// The next time limit or retry.
    pub(crate) const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Brings the book of deadlines up to date.
    pub(crate) fn file(&mut self) {
        self.deadline = self.first_due();
    }

    /// Whether the book of deadlines is right.
    pub(crate) fn is_filed(&self) -> bool {
        self.deadline == self.first_due()
    }

    fn first_due(&self) -> Option<Timestamp> {
        let due = |waiting: &Option<Pending>, retry_at: Option<Timestamp>| {
            waiting.as_ref().map(|waiting| waiting.limit).or(retry_at)
        };
        let mut first = due(&self.gate.pending, self.gate.retry_at);
        first = earlier(first, self.fib.deadline());
        for macvlan in &self.macvlans {
            first = earlier(first, due(&macvlan.pending, macvlan.retry_at));
        }
        for holding in &self.addresses {
            first = earlier(first, due(&holding.pending, holding.retry_at));
        }
        first
    }

    /// Whether the commands that wait have numbers below `next`.
    pub(crate) fn fits(&self, next: u64) -> bool {
        let macvlans = self.macvlans.iter().filter_map(|macvlan| macvlan.pending.as_ref());
        let addresses = self.addresses.iter().filter_map(|holding| holding.pending.as_ref());
        let waiting = macvlans.chain(addresses).chain(&self.gate.pending);
        waiting.into_iter().all(|waiting| waiting.number < next) && self.fib.fits(next)
    }

    pub(crate) fn fold(&self, now: Timestamp, first: u64, hasher: &mut impl Hasher) {
        let waiting = |waiting: &Option<Pending>| {
            waiting.as_ref().map(|waiting| (waiting.limit - now, waiting.number - first))
        };
        for holding in &self.addresses {
            holding.spec.hash(hasher);
            (holding.needs_filter, holding.retired, holding.present).hash(hasher);
            (holding.filtered, holding.ours).hash(hasher);
            (waiting(&holding.pending), holding.retry_at.map(|at| at - now)).hash(hasher);
        }
        for macvlan in &self.macvlans {
            (&macvlan.name, macvlan.retired, macvlan.exists, macvlan.up).hash(hasher);
            (waiting(&macvlan.pending), macvlan.retry_at.map(|at| at - now)).hash(hasher);
        }
        self.fib.fold(now, first, hasher);
        self.gate.fold(now, first, hasher);
    }

    /// The lowest number that a waiting command has, so that ids fold by order of appearance.
    pub(crate) fn first_waiting(&self) -> Option<u64> {
        let macvlans = self.macvlans.iter().filter_map(|macvlan| macvlan.pending.as_ref());
        let addresses = self.addresses.iter().filter_map(|holding| holding.pending.as_ref());
        let waiting = macvlans.chain(addresses).chain(&self.gate.pending);
        let numbers = waiting.map(|waiting| waiting.number);
        numbers.chain(self.fib.first_waiting()).min()
    }
}

pub(crate) fn pending(now: Timestamp, number: u64, command: KernelCommand) -> Pending {
    Pending { number, command, limit: now + COMMAND_LIMIT }
}

/// Whether a command may be given. A retry that is due is over, also where nothing is left to do.
pub(crate) fn ready(
    waiting: &Option<Pending>,
    retry_at: &mut Option<Timestamp>,
    now: Timestamp,
) -> bool {
    *retry_at = retry_at.filter(|at| *at > now);
    waiting.is_none() && retry_at.is_none()
}

impl Holding {
    fn next_step(&self, want: Want, macvlan_up: bool) -> Option<KernelCommand> {
        let address = self.spec.address.address;
        let keep = match want {
            // What an owner's configuration no longer lists was never ours to remove.
            Want::Held => !self.retired || (self.present && !self.ours),
            Want::Released => false,
            Want::ReleasedOnStop => self.present && !self.ours,
        };
        match (keep, self.present, self.filtered) {
            (true, false, false) if self.needs_filter => Some(KernelCommand::AddFilter(address)),
            (true, false, _) if macvlan_up => Some(KernelCommand::AddAddress(self.spec.clone())),
            (true, true, true) if !self.needs_filter => Some(KernelCommand::RemoveFilter(address)),
            (true, true, false) if self.needs_filter && !self.retired && want == Want::Held => {
                Some(KernelCommand::AddFilter(address))
            }
            (false, true, _) => Some(KernelCommand::RemoveAddress(self.spec.clone())),
            (false, false, true) => Some(KernelCommand::RemoveFilter(address)),
            (true, _, _) | (false, false, false) => None,
        }
    }

    fn answered(&mut self, now: Timestamp, result: Result<(), EffectError>) -> Change {
        let Some(Pending { command, .. }) = self.pending.take() else { return Change::None };
        if let Err(error) = result {
            self.retry_at = Some(now + RETRY_AFTER);
            return Change::Failed(command, error);
        }
        match &command {
            KernelCommand::AddAddress(_) => {
                let is_new = !self.present;
                (self.present, self.ours) = (true, true);
                if is_new { Change::Present(self.spec.address.address) } else { Change::None }
            }
            KernelCommand::RemoveAddress(_) => {
                (self.present, self.ours) = (false, false);
                Change::None
            }
            KernelCommand::AddFilter(_) => {
                self.filtered = true;
                Change::None
            }
            KernelCommand::RemoveFilter(_) => {
                self.filtered = false;
                Change::None
            }
            KernelCommand::SetVirtualMac { .. }
            | KernelCommand::RemoveVirtualMac { .. }
            | KernelCommand::AddFib(_)
            | KernelCommand::RemoveFib(_)
            | KernelCommand::SetGate { .. }
            | KernelCommand::RemoveGate { .. }
            | KernelCommand::RenewLease { .. } => Change::None,
        }
    }

    /// A route may need it, and no longer waits for it.
    const fn is_settled(&self) -> bool {
        self.retired || self.present || self.retry_at.is_some()
    }

    fn is_busy(&self) -> bool {
        self.pending.is_some()
            || self.retry_at.is_some()
            || (self.present && self.ours)
            || self.filtered
    }
}

impl Macvlan {
    fn is_busy(&self) -> bool {
        self.pending.is_some() || self.retry_at.is_some() || self.exists
    }

    fn next_step(&self, want: Want, used: bool) -> Option<KernelCommand> {
        let set = |up| {
            let (name, parent) = (self.name.clone(), self.parent.clone());
            Some(KernelCommand::SetVirtualMac { name, parent, mac: self.mac, up })
        };
        match want {
            _ if self.retired => self.removal(used),
            Want::Held if !self.up => set(true),
            Want::Released if self.up && !used => set(false),
            Want::ReleasedOnStop => self.removal(used),
            Want::Held | Want::Released => None,
        }
    }

    fn removal(&self, used: bool) -> Option<KernelCommand> {
        let name = self.name.clone();
        (self.exists && !used).then_some(KernelCommand::RemoveVirtualMac { name })
    }

    fn answered(&mut self, now: Timestamp, result: Result<(), EffectError>) -> Change {
        let Some(Pending { command, .. }) = self.pending.take() else { return Change::None };
        match (result, &command) {
            (Err(error), _) => {
                self.retry_at = Some(now + RETRY_AFTER);
                Change::Failed(command, error)
            }
            (Ok(()), KernelCommand::SetVirtualMac { up, .. }) => {
                (self.exists, self.up) = (true, *up);
                Change::None
            }
            (Ok(()), _) => {
                (self.exists, self.up) = (false, false);
                Change::None
            }
        }
    }
}
