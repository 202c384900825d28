//! A read-only view: what is wanted, what the kernel has, since when, and why.

use crate::config::director::{RealServer, Service, VirtualServer};
use crate::ipvs::command::{DestinationSpec, Endpoint, IpvsError};
use crate::ipvs::director::Ipvs;
use crate::ipvs::pool::{self, Health, Pool, Server, Why};
use crate::ipvs::queue::Item;
use crate::ipvs::table::{Destination, Entry, InKernel, Table};
use crate::time::Timestamp;

/// What the kernel has of a service, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// It was not read yet.
    Unknown,
    /// It is not there.
    Absent,
    /// It is there, but not as it is to be.
    Differs,
    /// It is there as it is to be. Its destinations are another matter.
    Present,
}

/// One virtual server.
#[derive(Clone, Copy, Debug)]
pub struct VirtualServerStatus<'a> {
    ipvs: &'a Ipvs,
    pool: &'a Pool,
}

/// One service of a virtual server.
#[derive(Clone, Copy, Debug)]
pub struct ServiceStatus<'a> {
    ipvs: &'a Ipvs,
    pool: &'a Pool,
    entry: &'a Entry,
    service: Service,
}

/// One destination of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestinationStatus {
    /// Its address and port.
    pub endpoint: Endpoint,
    /// It is the sorry server.
    pub sorry: bool,
    /// What it is to be; `None`: not in the table.
    pub wanted: Option<DestinationSpec>,
    /// What the kernel has, as far as we know; `None`: nothing, or nothing that we have a word for.
    pub in_kernel: Option<DestinationSpec>,
    /// How the last try to put it right failed.
    pub error: Option<IpvsError>,
}

/// One real server of a virtual server.
#[derive(Clone, Copy, Debug)]
pub struct ServerStatus<'a> {
    /// Its configuration.
    pub config: &'a RealServer,
    /// What its checks say.
    pub health: Health,
    /// An operator drains it.
    pub drained: bool,
    /// The weight that an operator gave it.
    pub ordered: Option<u32>,
    /// The weight that it is to have; `None`: it is to be out of the table.
    pub wanted: Option<u32>,
    /// Why.
    pub why: Why,
    /// Since when its checks and the operator say so.
    pub since: Timestamp,
}

impl Ipvs {
    /// The virtual servers, by name.
    pub fn virtual_servers(&self) -> impl Iterator<Item = VirtualServerStatus<'_>> {
        let pools = self.table.names().values().filter_map(|id| self.table.pool(*id));
        pools.map(|pool| VirtualServerStatus { ipvs: self, pool })
    }
}

impl<'a> VirtualServerStatus<'a> {
    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &'a VirtualServer {
        &self.pool.config
    }

    /// Whether it has its quorum.
    #[must_use]
    pub const fn has_quorum(&self) -> bool {
        self.pool.up
    }

    /// Since when it has it, or does not.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.pool.since
    }

    /// Sum of the weights of its living real servers.
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.pool.live()
    }

    /// Whether its checks rest.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.suspension() == Some(true)
    }

    /// Whether its checks rest; `None`: that is not asked for (`ha_suspend`).
    #[must_use]
    pub const fn suspension(&self) -> Option<bool> {
        self.pool.rests
    }

    /// Its services, by key.
    pub fn services(&self) -> impl Iterator<Item = ServiceStatus<'a>> + use<'a> {
        let Self { ipvs, pool } = *self;
        pool.services.iter().filter_map(move |service| {
            let entry = ipvs.table.services.get(service)?;
            Some(ServiceStatus { ipvs, pool, entry, service: *service })
        })
    }

    /// Its real servers, in the order of the configuration.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus<'a>> + use<'a> {
        let pool = self.pool;
        (0..).zip(&pool.servers).filter_map(move |(number, server): (u32, &Server)| {
            let Server { health, drained, ordered, since, .. } = *server;
            let wanted = pool.server_spec(number).map(|spec| spec.weight);
            let (config, why) = (pool.real(server)?, pool.why(server));
            Some(ServerStatus { config, health, drained, ordered, wanted, why, since })
        })
    }
}

impl<'a> ServiceStatus<'a> {
    /// Its key.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.service
    }

    /// What the kernel has of it.
    #[must_use]
    pub fn state(&self) -> ServiceState {
        match &self.entry.kernel {
            InKernel::Unknown => ServiceState::Unknown,
            InKernel::Absent => ServiceState::Absent,
            InKernel::Present(spec) if spec.does_the_same_as(&self.pool.service_spec()) => {
                ServiceState::Present
            }
            InKernel::Otherwise | InKernel::Present(_) => ServiceState::Differs,
        }
    }

    /// How the last try to read it or to put it right failed.
    #[must_use]
    pub fn error(&self) -> Option<IpvsError> {
        let items = [Item::Service(self.service), Item::Read(self.service)];
        let trouble = items.iter().find_map(|item| self.ipvs.queue.trouble(item));
        trouble.map(|trouble| trouble.error)
    }

    /// Its destinations by address, those of somebody else that are about to go among them.
    pub fn destinations(&self) -> impl Iterator<Item = DestinationStatus> + use<'a> {
        let one = *self;
        one.entry.destinations.iter().map(move |(endpoint, it)| one.describe(*endpoint, it))
    }

    /// A real server of its virtual server as a destination of it.
    #[must_use]
    pub fn destination_of(&self, real: &RealServer) -> Option<DestinationStatus> {
        let endpoint = pool::endpoint(self.service, real);
        Some(self.describe(endpoint, self.entry.destinations.get(&endpoint)?))
    }

    fn describe(&self, endpoint: Endpoint, destination: &Destination) -> DestinationStatus {
        let trouble = self.ipvs.queue.trouble(&Item::Destination(self.service, endpoint));
        DestinationStatus {
            endpoint,
            sorry: destination.sorry,
            wanted: Table::wanted(self.pool, destination),
            in_kernel: destination.kernel.present().copied(),
            error: trouble.map(|trouble| trouble.error),
        }
    }
}
