//! What a row of the IPVS table is, and what can be ordered of it.

use std::fmt;
use std::net::IpAddr;

use vipd_engine::InterfaceName;
use vipd_engine::config::director::{Forwarding, Persistence, Scheduling, Service, Timeouts};

/// A virtual service as the kernel is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its identity.
    pub service: Service,
    /// How a destination is chosen. `hashed` is not sent, and read as false: the kernel sets that
    /// flag of every service itself.
    pub scheduling: Scheduling,
    /// A client stays with its destination.
    pub persistence: Option<Persistence>,
}

/// A destination of a service. Its identity there is address and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationSpec {
    /// Its address; with [`Forwarding::Tunnel`] of either family.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Share of the connections; the kernel takes 0 to 2^31 - 1.
    pub weight: u32,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// No new connections from this many on; 0: no limit.
    pub upper_threshold: u32,
    /// And new ones again below this many; at most the upper one.
    pub lower_threshold: u32,
}

/// Which of the two threads of the connection synchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncRole {
    /// It sends.
    Master,
    /// It receives.
    Backup,
}

/// A thread of the connection synchronisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSpec {
    /// Which one.
    pub role: SyncRole,
    /// Interface of the multicast.
    pub interface: InterfaceName,
    /// Identifies the pair.
    pub id: u8,
    /// Most octets of a datagram; the kernel's own, by the interface's MTU, if `None`. Linux raises
    /// that of a backup to 1024.
    pub maxlen: Option<u16>,
    /// Multicast group; the kernel's own, 224.0.0.81, if `None`.
    pub group: Option<IpAddr>,
    /// UDP port; the kernel's own, 8848, if `None`.
    pub port: Option<u16>,
    /// TTL; 1 if `None`.
    pub ttl: Option<u8>,
}

/// What can be ordered of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Empty the whole table, also of what is not ours.
    Flush,
    /// Add a service.
    AddService(ServiceSpec),
    /// Change a service; its destinations and connections stay.
    SetService(ServiceSpec),
    /// Remove a service with its destinations.
    RemoveService(Service),
    /// Add a destination to a service.
    AddDestination(Service, DestinationSpec),
    /// Change a destination; its connections stay.
    SetDestination(Service, DestinationSpec),
    /// Remove the destination with this address and port.
    RemoveDestination(Service, IpAddr, u16),
    /// Set the time limits that are given, whole seconds.
    SetTimeouts(Timeouts),
    /// Start a thread of the connection synchronisation.
    StartSync(SyncSpec),
    /// Stop it.
    StopSync(SyncRole),
}

/// A service that is in the table, whoever added it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedService {
    /// Its identity.
    pub service: Service,
    /// `None`: it has something that we never give one, such as an unknown scheduler.
    pub spec: Option<ServiceSpec>,
}

/// A destination that is in the table, whoever added it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDestination {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// `None`: it has something that we never give one, such as an unknown tunnel.
    pub spec: Option<DestinationSpec>,
    /// Its connections.
    pub connections: Connections,
}

/// How many connections a destination has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Established.
    pub active: u32,
    /// In any other state.
    pub inactive: u32,
    /// Clients that persistence holds.
    pub persistent: u32,
}

/// Version of the kernel's IPVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u8,
    /// Second number.
    pub minor: u8,
    /// Third number.
    pub patch: u8,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
