//! What a configuration wants to be run, and written, when a virtual router or a sync group changes
//! its state. The engine tells of the change; a driver does it.

use std::collections::BTreeMap;

use vipd_engine::{GroupName, InstanceName};

use crate::trackers::ScriptUser;

/// Everything that a file says of notification, mail excepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// The scripts of each virtual router that has any.
    pub instances: BTreeMap<InstanceName, NotifyScripts>,
    /// The scripts of each sync group that has any.
    pub groups: BTreeMap<GroupName, NotifyScripts>,
    /// Named pipes that are told of everything.
    pub fifos: Vec<Fifo>,
    /// They are told of every state again after a reload (`fifo_write_vrrp_states_on_reload`).
    pub states_on_reload: bool,
}

impl Notify {
    /// Every script in it.
    pub fn scripts(&self) -> impl Iterator<Item = &NotifyScript> {
        let own = self.instances.values().chain(self.groups.values());
        own.flat_map(NotifyScripts::all).chain(self.fifos.iter().filter_map(Fifo::script))
    }
}

/// What one virtual router or sync group wants to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyScripts {
    /// When it becomes master (`notify_master`).
    pub master: Option<NotifyScript>,
    /// When it becomes backup (`notify_backup`).
    pub backup: Option<NotifyScript>,
    /// When something it needs is missing (`notify_fault`).
    pub fault: Option<NotifyScript>,
    /// When it is stopped (`notify_stop`).
    pub stop: Option<NotifyScript>,
    /// When a reload takes it away (`notify_deleted` with a command).
    pub deleted: Option<NotifyScript>,
    /// That is told as `DELETED`, and not as `FAULT` (`notify_deleted`).
    pub says_deleted: bool,
    /// When it hears a lower master as master (`notify_master_rx_lower_pri`).
    pub lower_priority: Option<NotifyScript>,
    /// When a lower master does not hear it (`notify_one_way`).
    pub one_way: Option<NotifyScript>,
    /// At each state, with `INSTANCE` or `GROUP`, the name, the new state and the priority behind
    /// its own arguments (`notify`).
    pub any: Option<NotifyScript>,
    /// Its states are mailed (`smtp_alert`); `None` if it does not say.
    pub mail: Option<bool>,
    /// Changes of the priority are written to the named pipes (`notify_priority_changes`).
    pub priority_changes: Option<bool>,
}

impl NotifyScripts {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &NotifyScript> {
        let Self { master, backup, fault, stop, deleted, lower_priority, one_way, any, .. } = self;
        [master, backup, fault, stop, deleted, lower_priority, one_way, any].into_iter().flatten()
    }

    /// The same, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut NotifyScript> {
        let Self { master, backup, fault, stop, deleted, lower_priority, one_way, any, .. } = self;
        [master, backup, fault, stop, deleted, lower_priority, one_way, any].into_iter().flatten()
    }
}

/// A command and who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyScript {
    /// The command and its arguments as they stand in the file, in one word.
    pub command: String,
    /// Who runs it; `script_user` if `None`.
    pub user: Option<ScriptUser>,
}

/// A named pipe, and a script that reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fifo {
    /// Its path; nothing to write to if it is empty.
    pub path: String,
    /// Whose it is, if it has to be made; root's if `None`.
    pub owner: Option<ScriptUser>,
    /// Started with the path as its last argument.
    pub script: Option<NotifyScript>,
    /// It is told of virtual routers and sync groups alone (`vrrp_notify_fifo`).
    pub vrrp_only: bool,
}

impl Fifo {
    /// The script, if there is one.
    #[must_use]
    pub const fn script(&self) -> Option<&NotifyScript> {
        self.script.as_ref()
    }
}
