//! How a new configuration is taken: a few real servers in each call, the old ones that it does
//! not name last. Start-up is a change from nothing, a stop one to nothing.
//!
//! What is the same stays as it is, time of the next attempt included. A virtual server is the same
//! by its name, a real server by address and port there, a check if everything about it is equal.
//! A check of a real server that asks the same, but at other times or with other limits, keeps
//! what is known. A real server that is down stays down until its new checks are good.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::mem;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::output::{CheckId, Output, ServerName};
use super::server::{Server, ServerId, VirtualId};
use super::{Health, Virtual};
use crate::config::director::{DirectorConfig, RealServer, VirtualServer};
use crate::config::health::Check;
use crate::time::Timestamp;

/// A configuration that is being taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Taking {
    config: Arc<DirectorConfig>,
    since: Timestamp,
    cursor: Cursor,
}

/// What is taken next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Cursor {
    /// A real server, by its place in the configuration.
    Named { virtual_server: usize, real_server: usize },
    /// This real server goes if it was not named.
    Servers(u32),
    /// This virtual server goes if it was not named.
    VirtualServers(u32),
    /// This check goes if nobody needs it. Last, because it may have moved from one real server to
    /// another.
    Checks(u32),
}

impl Taking {
    pub(super) const fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn fold(&self, hasher: &mut impl Hasher) {
        self.cursor.hash(hasher);
        for virtual_server in &self.config.virtual_servers {
            (&virtual_server.name, virtual_server.ha_suspend).hash(hasher);
            for real_server in &virtual_server.real_servers {
                (real_server.address, real_server.port, real_server.weight).hash(hasher);
                real_server.checks.hash(hasher);
            }
        }
    }
}

impl Health {
    /// The configuration is now this one. A large one is taken in several calls; one that comes
    /// meanwhile takes its place.
    pub fn configure(
        &mut self,
        now: Timestamp,
        config: Arc<DirectorConfig>,
        out: &mut Vec<Output>,
    ) {
        self.generation += 1;
        let cursor = Cursor::Named { virtual_server: 0, real_server: 0 };
        self.taking = Some(Taking { config, since: now, cursor });
        self.take_some(now, out);
    }

    /// Whether a configuration was told and is not in force in full.
    #[must_use]
    pub const fn is_taking(&self) -> bool {
        self.taking.is_some()
    }

    pub(super) fn take_some(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let Some(taking) = &self.taking else { return };
        let (config, mut next) = (Arc::clone(&taking.config), Some(taking.cursor));
        for _ in 0..self.per_call() {
            let Some(cursor) = next else { break };
            next = self.take(now, &config, cursor, out);
        }
        self.taking =
            self.taking.take().zip(next).map(|(taking, cursor)| Taking { cursor, ..taking });
    }

    /// Takes one thing. Returns what comes next.
    fn take(
        &mut self,
        now: Timestamp,
        config: &DirectorConfig,
        cursor: Cursor,
        out: &mut Vec<Output>,
    ) -> Option<Cursor> {
        match cursor {
            Cursor::Named { virtual_server, real_server } => {
                let Some(named) = config.virtual_servers.get(virtual_server) else {
                    return Some(Cursor::Servers(0));
                };
                let id = self.name(named);
                let Some(real) = named.real_servers.get(real_server) else {
                    let virtual_server = virtual_server + 1;
                    return Some(Cursor::Named { virtual_server, real_server: 0 });
                };
                self.take_server(now, id, named, real, out);
                Some(Cursor::Named { virtual_server, real_server: real_server + 1 })
            }
            Cursor::Servers(place) if place >= self.servers.end() => {
                Some(Cursor::VirtualServers(0))
            }
            Cursor::Servers(place) => {
                let server = self.servers.get(place);
                if server.is_some_and(|server| server.generation != self.generation) {
                    self.remove_server(ServerId(place));
                }
                Some(Cursor::Servers(place + 1))
            }
            Cursor::VirtualServers(place) if place >= self.virtual_servers.end() => {
                Some(Cursor::Checks(0))
            }
            Cursor::VirtualServers(place) => {
                let known = self.virtual_servers.get(place);
                if known.is_some_and(|known| known.generation != self.generation)
                    && let Some(gone) = self.virtual_servers.remove(place)
                {
                    self.by_name.remove(&gone.name);
                }
                Some(Cursor::VirtualServers(place + 1))
            }
            Cursor::Checks(place) if place >= self.checks.end() => None,
            Cursor::Checks(place) => {
                let checker = self.checks.get(place);
                if checker.is_some_and(|checker| checker.subscribers.is_empty()) {
                    self.remove(CheckId(place), out);
                }
                Some(Cursor::Checks(place + 1))
            }
        }
    }

    /// The virtual server is named by the configuration.
    fn name(&mut self, named: &VirtualServer) -> VirtualId {
        let VirtualServer { name, ha_suspend, .. } = named;
        let (generation, ha_suspend) = (self.generation, *ha_suspend);
        if let Some(id) = self.by_name.get(name) {
            if let Some(known) = self.virtual_servers.get_mut(id.0) {
                (known.generation, known.ha_suspend) = (generation, ha_suspend);
            }
            return *id;
        }
        let new = Virtual { name: name.clone(), ha_suspend, is_here: None, generation };
        let id = VirtualId(self.virtual_servers.insert(new));
        self.by_name.insert(name.clone(), id);
        id
    }

    /// The real server is named by the configuration.
    fn take_server(
        &mut self,
        now: Timestamp,
        owner: VirtualId,
        named: &VirtualServer,
        real: &RealServer,
        out: &mut Vec<Output>,
    ) {
        let key = (owner, real.address, real.port);
        let id = self.by_server.get(&key).copied().unwrap_or_else(|| {
            let name = Arc::new(ServerName::of(named, real));
            let new = Server::new(now, name, owner, real.weight);
            let id = ServerId(self.servers.insert(new));
            self.by_server.insert(key, id);
            id
        });
        let Some(server) = self.servers.get_mut(id.0) else { return };
        (server.generation, server.configured_weight) = (self.generation, real.weight);
        let before = mem::take(&mut server.checks);
        let mut checks = Vec::new();
        for check in &real.checks {
            let made = self.subscribe(now, id, Arc::new(check.check()), &before);
            if !checks.contains(&made) {
                checks.push(made);
            }
        }
        for gone in before.iter().filter(|old| !checks.contains(old)) {
            self.unsubscribe(id, *gone);
        }
        if let Some(server) = self.servers.get_mut(id.0) {
            if checks != before {
                server.is_doubted = server.is_down();
            }
            server.checks = checks;
            server.evaluate(now, &self.checks, out);
        }
    }

    /// The check that is equal to this one; a new one, which knows what the one of `before` knows
    /// that asks the same, if there is none yet.
    fn subscribe(
        &mut self,
        now: Timestamp,
        server: ServerId,
        check: Arc<Check>,
        before: &[CheckId],
    ) -> CheckId {
        let id = self.by_check.get(&check).copied().unwrap_or_else(|| {
            let mut known = before.iter().filter_map(|id| self.checks.get(id.0));
            let new = match known.find(|known| known.asks(&check)) {
                Some(known) => known.heir(now, check),
                None => Checker::new(now, self.checks.next(), check),
            };
            self.add(now, new)
        });
        if let Some(checker) = self.checks.get_mut(id.0) {
            checker.subscribe(server);
        }
        id
    }

    fn unsubscribe(&mut self, server: ServerId, id: CheckId) {
        if let Some(checker) = self.checks.get_mut(id.0) {
            checker.unsubscribe(server);
        }
    }

    fn remove_server(&mut self, id: ServerId) {
        let Some(gone) = self.servers.remove(id.0) else { return };
        self.by_server.remove(&(gone.virtual_server, gone.name.address, gone.name.port));
        for check in gone.checks {
            self.unsubscribe(id, check);
        }
    }
}
