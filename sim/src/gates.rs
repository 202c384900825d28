//! The gates of a model kernel: what stands in front of addresses and lets nothing through without
//! a lease (`dead_man`), and what becomes of those that a killed process left.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipd_engine::{EffectError, InstanceId, Timestamp};

/// All gates of one machine.
#[derive(Clone, Debug, Default)]
pub struct Gates {
    by_instance: BTreeMap<InstanceId, Gate>,
    /// A gate came, went or was opened.
    moved: bool,
}

#[derive(Clone, Debug, Default)]
struct Gate {
    addresses: BTreeSet<IpAddr>,
    /// The end of the lease, by this machine's clock, as long as it runs.
    open_until: Option<Timestamp>,
    /// An earlier process put it there.
    left: bool,
}

impl Gates {
    /// Puts a gate in front of these addresses. A new one is shut, and so is one in the place of
    /// one that was left.
    pub fn put(&mut self, instance: InstanceId, addresses: BTreeSet<IpAddr>) {
        let there = self.by_instance.remove(&instance).filter(|gate| !gate.left);
        let open_until = there.and_then(|gate| gate.open_until);
        self.by_instance.insert(instance, Gate { addresses, open_until, left: false });
        self.moved = true;
    }

    /// Takes it away, with its lease.
    pub fn remove(&mut self, instance: InstanceId) {
        self.by_instance.remove(&instance);
        self.moved = true;
    }

    /// Lets everything through until then.
    ///
    /// # Errors
    /// [`EffectError::Refused`] if there is no such gate.
    pub fn open(&mut self, instance: InstanceId, until: Timestamp) -> Result<(), EffectError> {
        self.moved = true;
        let gate = self.by_instance.get_mut(&instance).ok_or(EffectError::Refused)?;
        gate.open_until = Some(until);
        Ok(())
    }

    /// Without any, as after a loss of power.
    pub fn clear(&mut self) {
        self.by_instance.clear();
    }

    /// A new process is there. Where it `has_gates` itself, those that an earlier one left go once
    /// one of its own stands and nothing else is to be done, and else at once.
    pub fn begin_process(&mut self, has_gates: bool) {
        self.by_instance.values_mut().for_each(|gate| gate.left = true);
        if !has_gates {
            self.remove_left();
        }
    }

    /// Who put it there is gone.
    pub fn leave(&mut self, instance: InstanceId) {
        if let Some(gate) = self.by_instance.get_mut(&instance) {
            gate.left = true;
        }
    }

    /// The kernel has nothing else to do.
    pub fn on_idle(&mut self) {
        if self.by_instance.values().any(|gate| !gate.left) {
            self.remove_left();
        }
    }

    fn remove_left(&mut self) {
        let before = self.by_instance.len();
        self.by_instance.retain(|_, gate| !gate.left);
        self.moved |= self.by_instance.len() < before;
    }

    /// Whether a gate came, went or was opened since this was last asked.
    pub const fn have_moved(&mut self) -> bool {
        std::mem::replace(&mut self.moved, false)
    }

    /// Whether a gate without a lease stands in front of the address.
    #[must_use]
    pub fn is_shut(&self, address: IpAddr) -> bool {
        let mut shut = self.by_instance.values().filter(|gate| gate.open_until.is_none());
        shut.any(|gate| gate.addresses.contains(&address))
    }

    /// Ends the leases that are over, by this machine's clock. Whether one was.
    pub fn end_leases(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        for gate in self.by_instance.values_mut() {
            any |= gate.open_until.take_if(|until| *until <= now).is_some();
        }
        any
    }

    /// The next end of a lease, by this machine's clock.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.by_instance.values().filter_map(|gate| gate.open_until).min()
    }
}
