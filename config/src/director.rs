//! What virtual servers want to be run and told. The virtual
//! servers themselves are the engine's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vipd_engine::config::director::VirtualServerName;

use crate::notify::{Fifo, NotifyScript};

/// What a driver runs and tells for virtual servers. The engine decides when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Director {
    /// Scripts that check real servers (`MISC_CHECK`), by the name that the engine has for them.
    pub checks: BTreeMap<String, NotifyScript>,
    /// What is run and told of each virtual server that says anything of it.
    pub notify: BTreeMap<VirtualServerName, ServerNotify>,
    /// A named pipe that is told of virtual servers and real servers (`lvs_notify_fifo`).
    pub fifo: Option<Fifo>,
    /// Real servers are told of at the start, too (`rs_init_notifies`).
    pub tells_start: bool,
    /// Mail of real servers, unless they say otherwise; on (`smtp_alert`, `smtp_alert_checker`).
    pub mails_real_servers: bool,
    /// Mail of virtual servers, unless they say otherwise; off (the same).
    pub mails_virtual_servers: bool,
    /// Mail of real servers that are added or removed only (`no_checker_emails`).
    pub mails_changes_only: bool,
}

impl Director {
    /// Every script in it.
    pub fn scripts(&self) -> impl Iterator<Item = &NotifyScript> {
        let notified = self.notify.values().flat_map(ServerNotify::scripts);
        let fifo = self.fifo.as_ref().and_then(Fifo::script);
        self.checks.values().chain(notified).chain(fifo)
    }
}

/// What one virtual server wants to be run and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNotify {
    /// When it gains its quorum (`quorum_up`).
    pub up: Option<NotifyScript>,
    /// When it loses it (`quorum_down`).
    pub down: Option<NotifyScript>,
    /// Whether mail is sent (`smtp_alert`).
    pub mail: Option<bool>,
    /// Its real servers that say anything, by address and port.
    pub real_servers: BTreeMap<(IpAddr, u16), RealServerNotify>,
}

impl ServerNotify {
    /// Every script in it.
    pub fn scripts(&self) -> impl Iterator<Item = &NotifyScript> {
        let real = self.real_servers.values().flat_map(|real| [&real.up, &real.down]);
        [&self.up, &self.down].into_iter().chain(real).flatten()
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What one real server wants to be run and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealServerNotify {
    /// When its checks are good (`notify_up`).
    pub up: Option<NotifyScript>,
    /// When one of them is not (`notify_down`).
    pub down: Option<NotifyScript>,
    /// Whether mail is sent (`smtp_alert`).
    pub mail: Option<bool>,
}
