//! What a configuration wants to be run when a virtual router changes its state. The engine tells
//! of the change; a driver runs the scripts.

use std::collections::BTreeMap;

use vipd_engine::InstanceName;

use crate::trackers::ScriptUser;

/// The scripts of each virtual router that has any.
pub type Notify = BTreeMap<InstanceName, NotifyScripts>;

/// What one virtual router wants to be run.
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
    /// At each of these, with `INSTANCE`, the name, the new state and the priority behind its own
    /// arguments (`notify`).
    pub any: Option<NotifyScript>,
}

impl NotifyScripts {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &NotifyScript> {
        let Self { master, backup, fault, stop, any } = self;
        [master, backup, fault, stop, any].into_iter().flatten()
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
