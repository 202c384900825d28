//! The gate in front of the addresses of an instance (`dead_man`): what the kernel has of it.
//!
//! It stands before the first address comes and until the last one is gone, also while the instance
//! is Backup: to write it takes longer than to renew its lease, and no takeover waits for it.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::input::EffectError;
use crate::names::InterfaceName;
use crate::output::{InstanceId, KernelCommand};
use crate::time::Timestamp;
use crate::vrrp::holdings::{Change, Pending, RETRY_AFTER, Want, pending, ready};

/// Addresses, each with the interface whose frames pass the gate.
pub(crate) type Places = Vec<(InterfaceName, IpAddr)>;

/// The gate of one instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Gate {
    /// What it is to stand in front of; nothing if there is to be none.
    wanted: Places,
    /// What it stands in front of, as far as the kernel said. Of nothing: it may be there, because
    /// a command about it failed or was given up.
    stands: Option<Places>,
    /// The kernel did not take it the last time.
    refused: bool,
    pub(crate) pending: Option<Pending>,
    pub(crate) retry_at: Option<Timestamp>,
}

impl Gate {
    /// Takes over a configuration.
    pub(crate) fn configure(&mut self, wanted: Places) {
        self.refused &= !wanted.is_empty();
        self.wanted = wanted;
    }

    /// The next command towards `want`, numbered by `number`. It goes when none of the addresses
    /// is left (`released`), or when the configuration has none any more.
    pub(crate) fn reconcile(
        &mut self,
        instance: InstanceId,
        (now, want, released): (Timestamp, Want, bool),
        number: impl FnOnce(&KernelCommand) -> u64,
    ) {
        if !ready(&self.pending, &mut self.retry_at, now) {
            return;
        }
        let goes = self.wanted.is_empty() || (want == Want::ReleasedOnStop && released);
        let command = match (goes, &self.stands) {
            (true, Some(_)) => KernelCommand::RemoveGate { instance },
            (false, stands)
                if want != Want::ReleasedOnStop && stands.as_ref() != Some(&self.wanted) =>
            {
                KernelCommand::SetGate { instance, places: self.wanted.clone() }
            }
            (true, None) | (false, _) => return,
        };
        self.pending = Some(pending(now, number(&command), command));
    }

    /// The command was answered, or not in time.
    pub(crate) fn answered(&mut self, now: Timestamp, result: Result<(), EffectError>) -> Change {
        let Some(Pending { command, .. }) = self.pending.take() else { return Change::None };
        self.refused = result.is_err() && !self.wanted.is_empty();
        if let Err(error) = result {
            self.retry_at = Some(now + RETRY_AFTER);
            self.stands = Some(Places::new());
            return Change::Failed(command, error);
        }
        self.stands = match command {
            KernelCommand::SetGate { places, .. } => Some(places),
            _ => None,
        };
        Change::Gate
    }

    /// Whether addresses may come: it stands in front of all of them, or there is to be none.
    pub(crate) fn is_in_place(&self) -> bool {
        self.wanted.is_empty() || self.stands.as_ref() == Some(&self.wanted)
    }

    /// Whether there is a lease to be renewed.
    pub(crate) fn stands(&self) -> bool {
        self.stands.as_ref().is_some_and(|places| !places.is_empty())
    }

    /// Whether the kernel did not take it.
    pub(crate) const fn is_refused(&self) -> bool {
        self.refused
    }

    pub(crate) const fn is_busy(&self) -> bool {
        self.pending.is_some() || self.stands.is_some()
    }

    /// Whether there is to be none, and is none.
    pub(crate) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && !self.is_busy() && self.retry_at.is_none()
    }

    pub(crate) fn fold(&self, now: Timestamp, first: u64, hasher: &mut impl Hasher) {
        if self.wanted.is_empty() && !self.is_busy() {
            return;
        }
        let waiting = self.pending.as_ref();
        waiting.map(|waiting| (waiting.limit - now, waiting.number - first)).hash(hasher);
        (&self.wanted, &self.stands, self.refused).hash(hasher);
        self.retry_at.map(|at| at - now).hash(hasher);
    }
}
