//! What is not a service: the time limits of connections, and the threads that exchange connections
//! with another director. They are set, not read back: a thread that runs another way is noticed
//! when ours is started.

use core::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::config::director::{SyncDaemon, Timeouts};
use crate::ipvs::command::{IpvsCommand, SyncRole, SyncSpec};
use crate::ipvs::table::InKernel;

/// Time limits of connections.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Limits {
    pub(super) wanted: Timeouts,
    /// What we set last.
    pub(super) set: Option<Timeouts>,
}

impl Limits {
    pub(super) fn difference(&self) -> Option<IpvsCommand> {
        let Timeouts { tcp, tcp_fin, udp } = self.wanted;
        let any = [tcp, tcp_fin, udp].iter().any(Option::is_some);
        (any && self.set != Some(self.wanted)).then_some(IpvsCommand::SetTimeouts(self.wanted))
    }
}

/// The threads of the synchronisation.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Sync {
    config: Option<SyncDaemon>,
    /// That of the instance which it follows.
    pub(super) role: SyncRole,
    pub(super) stopping: bool,
    master: InKernel<SyncSpec>,
    backup: InKernel<SyncSpec>,
}

impl Sync {
    /// Takes over a configuration. Whoever has none leaves threads of others alone.
    pub(super) fn configure(&mut self, config: Option<&SyncDaemon>) {
        if self.config.is_none() && config.is_some() {
            for role in SyncRole::ALL {
                *self.thread_mut(role) = InKernel::Unknown;
            }
        }
        self.config = config.cloned();
    }

    pub(super) fn is_wanted(&self, role: SyncRole) -> bool {
        let follows = |config: &SyncDaemon| config.instance.is_none() || self.role == role;
        self.config.as_ref().filter(|_| !self.stopping).is_some_and(follows)
    }

    pub(super) fn difference(&self, role: SyncRole) -> Option<IpvsCommand> {
        let wanted = self.config.as_ref().filter(|_| self.is_wanted(role)).map(SyncSpec::from);
        match (wanted, self.thread(role)) {
            (Some(spec), InKernel::Present(there)) if *there == spec => None,
            (None, InKernel::Absent) => None,
            (Some(spec), InKernel::Unknown | InKernel::Absent) => {
                Some(IpvsCommand::StartSync { role, spec })
            }
            // It is started anew once it is stopped.
            (_, InKernel::Otherwise | InKernel::Present(_)) | (None, InKernel::Unknown) => {
                Some(IpvsCommand::StopSync(role))
            }
        }
    }

    pub(super) const fn thread_mut(&mut self, role: SyncRole) -> &mut InKernel<SyncSpec> {
        match role {
            SyncRole::Master => &mut self.master,
            SyncRole::Backup => &mut self.backup,
        }
    }

    /// Whether it runs may be another way now.
    pub(super) fn forget(&mut self, role: SyncRole) {
        if self.config.is_some() || *self.thread(role) != InKernel::Absent {
            *self.thread_mut(role) = InKernel::Unknown;
        }
    }

    /// Whether one of them is left, as far as we know.
    pub(super) fn is_busy(&self) -> bool {
        SyncRole::ALL.into_iter().any(|role| *self.thread(role) != InKernel::Absent)
    }

    const fn thread(&self, role: SyncRole) -> &InKernel<SyncSpec> {
        match role {
            SyncRole::Master => &self.master,
            SyncRole::Backup => &self.backup,
        }
    }
}
