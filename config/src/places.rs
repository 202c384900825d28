//! Where in the files the things of a configuration stand, for whoever has more to say of them than
//! the file alone tells.
//!
//! It finds nothing itself: [`crate::locate`] gives it with what was loaded.

use std::collections::BTreeMap;

use vipd_engine::InstanceName;

use crate::diagnostics::Span;
use crate::meaning::{Draft, Origins, Settled};

/// Places of virtual routers and virtual servers.
#[derive(Clone, Debug, Default)]
pub struct Places {
    instances: BTreeMap<InstanceName, Origins>,
    root: Origins,
    servers: Vec<Server>,
}

#[derive(Clone, Debug, Default)]
struct Server {
    head: Option<Span>,
    real_servers: Vec<Span>,
}

impl Places {
    pub(crate) fn new(draft: &Draft, settled: &Settled) -> Self {
        let instances = settled.instances.iter();
        let of_instance =
            |one: &crate::meaning::Instance| (one.config.name.clone(), one.origins.clone());
        let servers = draft.director.servers.iter().filter(|one| one.value.settled.is_some());
        Self {
            instances: instances.map(of_instance).collect(),
            root: draft.root.clone(),
            servers: servers
                .map(|one| Server {
                    head: one.origins.block,
                    real_servers: one.value.places.clone(),
                })
                .collect(),
        }
    }

    /// Of a virtual router: where this keyword is given, or the head of its block if it is not.
    #[must_use]
    pub fn of_instance(&self, name: &InstanceName, keyword: &str) -> Option<Span> {
        self.instances.get(name)?.place(keyword, None)
    }

    /// Of a virtual router: value `index` of a list such as `virtual_ipaddress`.
    #[must_use]
    pub fn of_item(&self, name: &InstanceName, list: &str, index: usize) -> Option<Span> {
        self.instances.get(name)?.place(list, Some(index))
    }

    /// Of `static_ipaddress`: its line `index`.
    #[must_use]
    pub fn of_static_address(&self, index: usize) -> Option<Span> {
        self.root.place("static_ipaddress", Some(index))
    }

    /// The head of virtual server `index` of the configuration.
    #[must_use]
    pub fn of_server(&self, index: usize) -> Option<Span> {
        self.servers.get(index)?.head
    }

    /// Real server `real` of virtual server `index`, or the head of that one.
    #[must_use]
    pub fn of_real_server(&self, index: usize, real: usize) -> Option<Span> {
        let server = self.servers.get(index)?;
        server.real_servers.get(real).copied().or(server.head)
    }
}
