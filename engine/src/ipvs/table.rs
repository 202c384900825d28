//! The services of the kernel's table that concern us, what the kernel has of each, and whose they
//! are. What is to be done about a difference is in [`super::building`].

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::director::{Protocol, Service, VirtualServerName};
use crate::ipvs::command::{DestinationSpec, Endpoint, ServiceSpec};
use crate::ipvs::pairs;
use crate::ipvs::pool::{self, Pool};

/// What the kernel has of something, as far as we know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum InKernel<T> {
    /// It must be read first.
    Unknown,
    /// It is not there.
    #[default]
    Absent,
    /// It is there, and no configuration could ask for it.
    Otherwise,
    /// It is there like this.
    Present(T),
}

impl<T> InKernel<T> {
    pub(super) const fn is_there(&self) -> bool {
        matches!(self, Self::Otherwise | Self::Present(_))
    }

    pub(super) const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(spec) => Some(spec),
            Self::Unknown | Self::Absent | Self::Otherwise => None,
        }
    }

    pub(super) fn from_seen(seen: Option<T>) -> Self {
        seen.map_or(Self::Otherwise, Self::Present)
    }
}

/// A virtual server's place. It may be used again after that one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PoolId(pub(super) u32);

/// One destination of a service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Destination {
    /// The real server, by its place in the pool.
    pub(super) server: Option<u32>,
    /// It is the sorry server.
    pub(super) sorry: bool,
    pub(super) kernel: InKernel<DestinationSpec>,
    /// The weight that was told last; `None`: that it is out.
    pub(super) told: Option<u32>,
    /// A command about it failed or was lost, or what reading showed was told: how that ends is
    /// told as belated.
    pub(super) owed: bool,
}

impl Destination {
    /// Whether the configuration has it.
    pub(super) const fn is_ours(&self) -> bool {
        self.server.is_some() || self.sorry
    }
}

/// One service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Whose it is; `None`: it is to go.
    pub(super) owner: Option<PoolId>,
    /// The configuration that had it last, by number.
    pub(super) generation: u32,
    /// It was not read since it was configured: what is found there is taken over.
    pub(super) is_new: bool,
    pub(super) kernel: InKernel<ServiceSpec>,
    #[serde(with = "pairs")]
    pub(super) destinations: BTreeMap<Endpoint, Destination>,
}

impl Entry {
    pub(super) const fn new() -> Self {
        Self {
            owner: None,
            generation: 0,
            is_new: true,
            kernel: InKernel::Unknown,
            destinations: BTreeMap::new(),
        }
    }

    /// The service is not in the kernel, and its destinations went with it.
    pub(super) fn is_gone(&mut self) {
        self.kernel = InKernel::Absent;
        self.destinations.retain(|_, destination| {
            destination.kernel = InKernel::Absent;
            destination.is_ours()
        });
    }

    /// Says of each destination which server of this pool it is.
    pub(super) fn link(&mut self, service: Service, pool: &Pool) {
        for destination in self.destinations.values_mut() {
            (destination.server, destination.sorry) = (None, false);
        }
        for (number, server) in (0..).zip(&pool.servers) {
            let Some(real) = pool.real(server) else { continue };
            let endpoint = pool::endpoint(service, real);
            // Two that are one to the kernel: the first one counts.
            self.destinations.entry(endpoint).or_default().server.get_or_insert(number);
        }
        if let Some(endpoint) = pool.sorry_endpoint(service) {
            self.destinations.entry(endpoint).or_default().sorry = true;
        }
        self.destinations.retain(|_, destination| {
            destination.is_ours() || destination.kernel != InKernel::Absent
        });
    }
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) pools: Vec<Option<Pool>>,
    #[serde(with = "pairs")]
    pub(super) services: BTreeMap<Service, Entry>,
    /// Derived.
    #[serde(skip)]
    by_name: BTreeMap<VirtualServerName, PoolId>,
    /// Places that are free. Derived.
    #[serde(skip)]
    free: BTreeSet<u32>,
}

impl Table {
    pub(super) fn find(&self, name: &VirtualServerName) -> Option<PoolId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn pool_mut(&mut self, id: PoolId) -> Option<&mut Pool> {
        self.pools.get_mut(id.0 as usize)?.as_mut()
    }

    pub(super) fn names(&self) -> &BTreeMap<VirtualServerName, PoolId> {
        &self.by_name
    }

    pub(super) fn insert(&mut self, pool: Pool) -> PoolId {
        let place = self.free.pop_first().unwrap_or_else(|| {
            self.pools.push(None);
            u32::try_from(self.pools.len() - 1).unwrap_or(u32::MAX)
        });
        let id = PoolId(place);
        self.by_name.insert(pool.config.name.clone(), id);
        if let Some(slot) = self.pools.get_mut(place as usize) {
            *slot = Some(pool);
        }
        id
    }

    pub(super) fn remove(&mut self, id: PoolId) -> Option<Pool> {
        let pool = self.pools.get_mut(id.0 as usize)?.take()?;
        self.by_name.remove(&pool.config.name);
        self.free.insert(id.0);
        Some(pool)
    }

    /// A service with its owner.
    pub(super) fn service(&self, service: Service) -> Option<(&Entry, &Pool)> {
        let entry = self.services.get(&service)?;
        Some((entry, self.pool(entry.owner?)?))
    }

    /// The services that packets to an address may be for.
    pub(super) fn services_of(
        &self,
        address: IpAddr,
    ) -> impl Iterator<Item = (&Service, &Entry)> + use<'_> {
        let first = Service::Address { address, port: 0, protocol: Protocol::Tcp };
        let last = Service::Address { address, port: u16::MAX, protocol: Protocol::Sctp };
        self.services.range(first..=last)
    }

    /// What a destination is to be; `None`: not in the table.
    pub(super) fn wanted(pool: &Pool, destination: &Destination) -> Option<DestinationSpec> {
        let server = destination.server.and_then(|number| pool.server_spec(number));
        let sorry = || destination.sorry.then(|| pool.sorry_spec()).flatten();
        match server {
            // A server that is its own sorry server: the one that gets connections counts.
            Some(spec) if spec.weight == 0 => sorry().filter(|sorry| sorry.weight > 0).or(server),
            Some(_) => server,
            None => sorry(),
        }
    }

    /// Derives what is derived after it was read back.
    pub(super) fn derive(&mut self, is_local: impl Fn(IpAddr) -> bool) -> Result<(), &'static str> {
        for (place, slot) in (0..).zip(&mut self.pools) {
            let Some(pool) = slot else {
                self.free.insert(place);
                continue;
            };
            if !pool.derive() {
                return Err("a virtual server has real servers that cannot be");
            }
            pool.here = here(&pool.services, &is_local);
            if self.by_name.insert(pool.config.name.clone(), PoolId(place)).is_some() {
                return Err("two virtual servers have one name");
            }
        }
        Ok(())
    }

    /// What must hold between any two calls.
    pub(super) fn soundness(&self) -> Result<(), &'static str> {
        let ours = self.pools.iter().flatten().flat_map(|pool| &pool.services);
        let owned = self.services.values().filter(|entry| entry.owner.is_some());
        if ours.count() != owned.count() {
            return Err("services and virtual servers do not agree in number");
        }
        for (place, pool) in (0..).zip(&self.pools) {
            for service in pool.iter().flat_map(|pool| &pool.services) {
                let owner = self.services.get(service).and_then(|entry| entry.owner);
                if owner != Some(PoolId(place)) {
                    return Err("a virtual server has a service that is not its own");
                }
            }
        }
        for (service, entry) in &self.services {
            let servers = entry.owner.and_then(|owner| self.pool(owner));
            let servers = servers.map_or(0, |pool| pool.servers.len());
            let fits = |server: u32| (server as usize) < servers;
            if !entry.destinations.values().all(|one| one.server.is_none_or(fits)) {
                return Err("a destination is of no real server");
            }
            if entry.owner.is_some() && self.service(*service).is_none() {
                return Err("a service is of no virtual server");
            }
        }
        Ok(())
    }

    pub(super) fn fold(&self, current: u32, hasher: &mut impl Hasher) {
        for id in self.by_name.values() {
            if let Some(pool) = self.pool(*id) {
                pool.fold(current, hasher);
            }
        }
        for (service, entry) in &self.services {
            // By name: places are a book.
            let owner = entry.owner.and_then(|owner| self.pool(owner));
            (service, owner.map(|pool| &pool.config.name)).hash(hasher);
            (entry.generation == current, entry.is_new, &entry.kernel).hash(hasher);
            for (endpoint, destination) in &entry.destinations {
                let Destination { server, sorry, kernel, told, owed } = destination;
                (endpoint, server, sorry, kernel, told, owed).hash(hasher);
            }
        }
    }
}

/// How many of these services have their address on this machine.
pub(super) fn here(services: &BTreeSet<Service>, is_local: impl Fn(IpAddr) -> bool) -> u32 {
    let local = services.iter().filter(|service| match service {
        Service::Address { address, .. } => is_local(*address),
        Service::Fwmark { .. } => false,
    });
    u32::try_from(local.count()).unwrap_or(u32::MAX)
}
