//! A virtual server: the state of its real servers, and what each is to be in the kernel. It knows
//! of no kernel.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::config::director::{RealServer, Service, VirtualServer};
use crate::ipvs::command::{DestinationSpec, Endpoint, ServiceSpec};
use crate::ipvs::director::Judged;
use crate::ipvs::quorum;
use crate::time::Timestamp;

/// What the health checks say of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Health {
    /// It is good for this share of the connections.
    Up {
        /// That of the configuration, or what a check made of it.
        weight: u32,
    },
    /// It is not.
    Down,
}

/// What an operator may order of a real server. It holds over reloads and whatever the checks say,
/// until it is undone or the configuration has that server no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerOrder {
    /// No new connections: its weight is 0 while it is up. Those that it has may end.
    Drain,
    /// No drain any more.
    Undrain,
    /// This weight while it is up, at most
    /// [`MAX_WEIGHT`](crate::config::director::MAX_WEIGHT); `None`: no such order any more.
    Weight(Option<u32>),
}

impl fmt::Display for ServerOrder {
    /// As it is given: `drain`, `undrain`, `weight 5`, `weight -`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain => f.write_str("drain"),
            Self::Undrain => f.write_str("undrain"),
            Self::Weight(Some(weight)) => write!(f, "weight {weight}"),
            Self::Weight(None) => f.write_str("weight -"),
        }
    }
}

/// Why a real server is in the kernel as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Why {
    /// It is up.
    Up,
    /// Its checks say that it is down, or have not succeeded yet (`alpha`).
    Down,
    /// An operator drains it.
    Drained,
    /// An operator gave it its weight.
    Ordered,
    /// The sorry server has its connections: the quorum is lost.
    SorryServer,
}

impl Why {
    /// In a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Drained => "drained",
            Self::Ordered => "weight ordered",
            Self::SorryServer => "sorry server in use",
        }
    }
}

/// One real server of a virtual server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    /// Its place in the configuration.
    pub(super) place: u32,
    pub(super) health: Health,
    pub(super) drained: bool,
    pub(super) ordered: Option<u32>,
    /// Since when all of this is so: a book.
    pub(super) since: Timestamp,
}

impl Server {
    fn new(now: Timestamp, place: u32, pool: &VirtualServer, config: &RealServer) -> Self {
        // A server that nobody checks is up, whatever waits for a first success elsewhere.
        let alpha = pool.alpha && !config.checks.is_empty();
        let waits = alpha || config.checks.iter().any(|check| check.manner().alpha);
        let health = if waits { Health::Down } else { Health::Up { weight: config.weight } };
        Self { place, health, drained: false, ordered: None, since: now }
    }

    /// Goes on from the same server of an earlier configuration. A weight that was the configured
    /// one follows the configuration, one that a check made stays.
    fn go_on_from(&mut self, old: &Self, before: &RealServer, config: &RealServer) {
        let place = self.place;
        *self = Self { place, ..old.clone() };
        if self.health == (Health::Up { weight: before.weight }) {
            self.health = Health::Up { weight: config.weight };
        }
    }

    /// Its weight while it is up; `None`: it is down.
    pub(super) fn weight(&self) -> Option<u32> {
        match self.health {
            Health::Up { .. } if self.drained => Some(0),
            Health::Up { weight } => Some(self.ordered.unwrap_or(weight)),
            Health::Down => None,
        }
    }
}

/// A virtual server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pool {
    pub(super) config: Arc<VirtualServer>,
    /// The configuration that had it last, by number.
    pub(super) generation: u32,
    /// Those of its services that no other virtual server has.
    pub(super) services: BTreeSet<Service>,
    /// In the order of the configuration, each identity once.
    pub(super) servers: Vec<Server>,
    /// Whether it has its quorum.
    pub(super) up: bool,
    /// Since when: a book.
    pub(super) since: Timestamp,
    /// Whether checks rest; `None`: that is not asked for (`ha_suspend`).
    pub(super) rests: Option<bool>,
    /// Its services whose address is on this machine. Derived.
    #[serde(skip)]
    pub(super) here: u32,
    /// Places in `servers`. Derived.
    #[serde(skip)]
    by_endpoint: BTreeMap<Endpoint, u32>,
    /// Sum of the weights of the living ones. Derived.
    #[serde(skip)]
    live: u64,
}

impl Pool {
    /// A virtual server that nothing is known of yet. It counts as having its quorum until that is
    /// looked at, as in keepalived, so that within the hysteresis it starts with it.
    pub(super) fn new(now: Timestamp, config: &Arc<VirtualServer>, judged: Judged<'_>) -> Self {
        let mut pool = Self {
            config: Arc::clone(config),
            generation: 0,
            services: BTreeSet::new(),
            servers: Vec::new(),
            up: true,
            since: now,
            rests: None,
            here: 0,
            by_endpoint: BTreeMap::new(),
            live: 0,
        };
        pool.configure(now, config, judged);
        pool
    }

    /// Takes over a configuration: a server of the same identity goes on as it was, unless the
    /// checks say another thing of it.
    pub(super) fn configure(
        &mut self,
        now: Timestamp,
        config: &Arc<VirtualServer>,
        judged: Judged<'_>,
    ) {
        let before = core::mem::replace(&mut self.config, Arc::clone(config));
        let servers = core::mem::take(&mut self.servers);
        let known = core::mem::take(&mut self.by_endpoint);
        for (place, real) in (0..).zip(&config.real_servers) {
            let next = place_after(&self.servers);
            if *self.by_endpoint.entry(identity(real)).or_insert(next) != next {
                continue;
            }
            let mut server = Server::new(now, place, config, real);
            let old = known.get(&identity(real)).and_then(|place| servers.get(*place as usize));
            if let Some(old) = old
                && let Some(before) = before.real_servers.get(old.place as usize)
            {
                server.go_on_from(old, before, real);
            }
            if let Some(health) = judged(&config.name, identity(real))
                && health != server.health
            {
                (server.health, server.since) = (health, now);
            }
            self.servers.push(server);
        }
        self.sum_up();
    }

    /// Derives what is derived after it was read back; false: it cannot be so.
    pub(super) fn derive(&mut self) -> bool {
        self.by_endpoint.clear();
        for (number, server) in (0..).zip(&self.servers) {
            let Some(real) = self.config.real_servers.get(server.place as usize) else {
                return false;
            };
            if self.by_endpoint.insert(identity(real), number).is_some() {
                return false;
            }
        }
        self.sum_up();
        true
    }

    fn sum_up(&mut self) {
        self.live = self.servers.iter().map(|server| u64::from(server.weight().unwrap_or(0))).sum();
    }

    /// The place of a server among `servers`, by its configured address and port.
    pub(super) fn find(&self, identity: Endpoint) -> Option<u32> {
        self.by_endpoint.get(&identity).copied()
    }

    /// Changes a server. Whether anything about it is another way now.
    pub(super) fn change(
        &mut self,
        now: Timestamp,
        number: u32,
        change: impl FnOnce(&mut Server),
    ) -> bool {
        let Some(server) = self.servers.get_mut(number as usize) else { return false };
        let before = (server.weight(), server.health, server.drained, server.ordered);
        change(server);
        let weight = server.weight();
        if before == (weight, server.health, server.drained, server.ordered) {
            return false;
        }
        server.since = now;
        self.live = self.live.saturating_sub(before.0.unwrap_or(0).into());
        self.live += u64::from(weight.unwrap_or(0));
        true
    }

    /// Looks at the quorum anew. Whether it was gained or lost.
    pub(super) fn look_at_quorum(&mut self, now: Timestamp) -> bool {
        let (quorum, hysteresis) = (self.config.quorum, self.config.hysteresis);
        let up = quorum::has_quorum(self.up, self.live, quorum, hysteresis);
        if up == self.up {
            return false;
        }
        (self.up, self.since) = (up, now);
        true
    }

    /// What it takes to gain the quorum, or what must be there to keep it.
    pub(super) fn limit(&self, to_gain: bool) -> u32 {
        quorum::limit(to_gain, self.config.quorum, self.config.hysteresis)
    }

    /// Sum of the weights of the living real servers.
    pub(super) const fn live(&self) -> u64 {
        self.live
    }

    /// Whether the sorry server has the connections.
    pub(super) fn is_sorry(&self) -> bool {
        !self.up && self.config.sorry_server.is_some()
    }

    /// Whether checks are to rest, where that is asked for: none of its addresses is here. A mark
    /// has no address, so one that has nothing else never rests.
    pub(super) fn should_rest(&self) -> Option<bool> {
        let has_address = |service: &Service| matches!(service, Service::Address { .. });
        let rests = || self.here == 0 && self.services.iter().any(has_address);
        self.config.ha_suspend.then(rests)
    }

    pub(super) fn real(&self, server: &Server) -> Option<&RealServer> {
        self.config.real_servers.get(server.place as usize)
    }

    /// What its services are to be.
    pub(super) fn service_spec(&self) -> ServiceSpec {
        let VirtualServer { scheduling, persistence, .. } = &*self.config;
        ServiceSpec { scheduling: *scheduling, persistence: persistence.clone() }
    }

    /// What a real server is to be in the kernel; `None`: not in the table.
    pub(super) fn server_spec(&self, number: u32) -> Option<DestinationSpec> {
        let server = self.servers.get(number as usize)?;
        let real = self.real(server)?;
        let weight = match (server.weight(), self.is_sorry()) {
            (Some(weight), false) => weight,
            // Connections of one that is drained may end, and it gets no new ones either way.
            (Some(_), true) if server.drained => 0,
            (Some(_), true) | (None, _) if real.inhibit_on_failure => 0,
            (Some(_), true) | (None, _) => return None,
        };
        let RealServer { forwarding, upper_threshold, lower_threshold, .. } = *real;
        Some(DestinationSpec { weight, forwarding, upper_threshold, lower_threshold })
    }

    /// Why it is to be so.
    pub(super) fn why(&self, server: &Server) -> Why {
        match server.weight() {
            None => Why::Down,
            Some(_) if server.drained => Why::Drained,
            Some(_) if self.is_sorry() => Why::SorryServer,
            Some(_) if server.ordered.is_some() => Why::Ordered,
            Some(_) => Why::Up,
        }
    }

    /// What the sorry server is to be in the kernel; `None`: not in the table.
    pub(super) fn sorry_spec(&self) -> Option<DestinationSpec> {
        let sorry = self.config.sorry_server.as_ref()?;
        let weight = match (self.up, sorry.inhibit) {
            (false, _) => 1,
            (true, true) => 0,
            (true, false) => return None,
        };
        let forwarding = sorry.forwarding;
        Some(DestinationSpec { weight, forwarding, upper_threshold: 0, lower_threshold: 0 })
    }

    /// The sorry server as a destination of a service.
    pub(super) fn sorry_endpoint(&self, service: Service) -> Option<Endpoint> {
        let sorry = self.config.sorry_server.as_ref()?;
        Some(Endpoint { address: sorry.address, port: sorry.port_at(service) })
    }

    pub(super) fn fold(&self, current: u32, hasher: &mut impl Hasher) {
        self.config.hash(hasher);
        (self.generation == current, &self.services, self.up, self.rests).hash(hasher);
        for server in &self.servers {
            (server.place, server.health, server.drained, server.ordered).hash(hasher);
        }
    }
}

fn place_after(servers: &[Server]) -> u32 {
    u32::try_from(servers.len()).unwrap_or(u32::MAX)
}

/// What a real server is told from the others of its virtual server by.
#[must_use]
pub const fn identity(real: &RealServer) -> Endpoint {
    Endpoint { address: real.address, port: real.port }
}

/// A real server as a destination of a service: a group may have services on several ports.
pub(super) const fn endpoint(service: Service, real: &RealServer) -> Endpoint {
    Endpoint { address: real.address, port: real.port_at(service) }
}
