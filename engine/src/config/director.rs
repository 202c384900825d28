//! Virtual servers and the real servers behind them: what the kernel's IPVS table is to be.
//!
//! How a real server is checked is in [`super::health`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::health::{CheckKind, PlacedCheck};
use crate::names::{Family, InterfaceName, TrackerName};

/// Most services of one virtual server, ranges of its group written out: those of a /16.
pub const MAX_SERVICES: usize = 1 << 16;
/// Greatest weight of a real server: the kernel's is a signed number (`ip_vs_add_dest`).
pub const MAX_WEIGHT: u32 = i32::MAX as u32;
/// Longest persistence of the kernel (`IP_VS_PERSISTENCE_MAX_TIMEOUT` in ip_vs.h): 31 days.
pub const MAX_PERSISTENCE: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Longest time limit of connections: more overflows the kernel's number of ticks at 1000 Hz.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(i32::MAX as u64 / 1000);
/// Most octets of a datagram of the synchronisation.
pub const MAX_SYNC_LEN: u16 = 65507;

/// Everything that concerns IPVS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectorConfig {
    /// In the order of the file.
    pub virtual_servers: Vec<Arc<VirtualServer>>,
    /// Time limits of connections (`lvs_timeouts`).
    pub timeouts: Timeouts,
    /// Synchronisation of the connection table (`lvs_sync_daemon`).
    pub sync_daemon: Option<SyncDaemon>,
    /// The whole table is emptied at the start, also of what is not ours (`lvs_flush`).
    pub flush_at_start: bool,
    /// What goes at the stop (`lvs_flush_onstop`).
    pub at_stop: AtStop,
}

impl DirectorConfig {
    /// Whether it says nothing at all of IPVS.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The tracked files whose values checks want to hear, as often as there are such checks.
    pub fn files(&self) -> impl Iterator<Item = &TrackerName> {
        let servers = self.virtual_servers.iter().flat_map(|one| &one.real_servers);
        let checks = servers.flat_map(|server| &server.checks);
        checks.filter_map(|check| match &check.manner().kind {
            CheckKind::File { file, .. } => Some(file),
            _ => None,
        })
    }
}

/// What happens to the table when the director stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AtStop {
    /// Our services go one by one. keepalived removes their real servers one by one before, which
    /// leaves the same.
    #[default]
    RemoveOurs,
    /// Our services go, their real servers with them (`lvs_flush_onstop VS`): the same here.
    RemoveServices,
    /// The whole table is emptied, also of what is not ours (`lvs_flush_onstop`).
    Flush,
}

/// Time limits of the kernel's connections; `None`: the kernel's stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timeouts {
    /// Established TCP connections, whole seconds.
    pub tcp: Option<Duration>,
    /// TCP connections after a FIN, whole seconds.
    pub tcp_fin: Option<Duration>,
    /// UDP, whole seconds.
    pub udp: Option<Duration>,
}

/// The kernel's threads that exchange connections with another director
/// (`include/uapi/linux/ip_vs.h`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncDaemon {
    /// Interface of the multicast.
    pub interface: InterfaceName,
    /// The instance whose state decides between sending and receiving; both run if `None`.
    pub instance: Option<crate::names::InstanceName>,
    /// Identifies the pair, 0 to 255.
    pub id: u8,
    /// Most octets of a datagram; the kernel's own if `None`.
    pub maxlen: Option<u16>,
    /// Port; the kernel's own, 8848, if `None`.
    pub port: Option<u16>,
    /// TTL; 1 if `None`.
    pub ttl: Option<u8>,
    /// Multicast group; the kernel's own, 224.0.0.81, if `None`.
    pub group: Option<IpAddr>,
}

/// What makes a virtual server the same one across a reload: the head of its block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VirtualServerName {
    /// `virtual_server ADDRESS PORT` with its protocol.
    Address {
        /// Its address.
        address: IpAddr,
        /// Its port; 0 is every port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
    },
    /// `virtual_server fwmark N`, of this family.
    Fwmark {
        /// The mark.
        mark: u32,
        /// Family of its real servers.
        family: Family,
    },
    /// `virtual_server group NAME` with its protocol.
    Group {
        /// Name of the `virtual_server_group`.
        name: String,
        /// Protocol of its addresses.
        protocol: Protocol,
    },
}

/// One service of the kernel's table, by the kernel's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Service {
    /// Packets to an address and a port.
    Address {
        /// Its address.
        address: IpAddr,
        /// Its port; 0 is every port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
    },
    /// Packets that the firewall marked.
    Fwmark {
        /// The mark, not 0.
        mark: u32,
        /// The family.
        family: Family,
    },
}

impl Service {
    /// Family of its address or mark.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Address { address: IpAddr::V4(_), .. } => Family::Ipv4,
            Self::Address { address: IpAddr::V6(_), .. } => Family::Ipv6,
            Self::Fwmark { family, .. } => family,
        }
    }
}

/// A virtual server: the same real servers for one service or several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualServer {
    /// Its identity.
    pub name: VirtualServerName,
    /// Its services in the kernel: one, or those of its group, ranges written out.
    pub services: Vec<Service>,
    /// How a real server is chosen.
    pub scheduling: Scheduling,
    /// A client stays with its real server.
    pub persistence: Option<Persistence>,
    /// In the order of the file.
    pub real_servers: Vec<RealServer>,
    /// Where connections go when the quorum is lost.
    pub sorry_server: Option<SorryServer>,
    /// It is up when the weights of the living real servers come to this much and the hysteresis.
    pub quorum: u32,
    /// It is down when they come to less than the quorum by more than this, or to nothing.
    pub hysteresis: u32,
    /// It counts as down until a check of it succeeded (`alpha`).
    pub alpha: bool,
    /// It is told to be down when we stop (`omega`).
    pub omega: bool,
    /// Checks rest while its address is not on this machine (`ha_suspend`).
    pub ha_suspend: bool,
}

/// How the kernel chooses a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scheduling {
    /// The scheduler (`lb_algo`).
    pub scheduler: Scheduler,
    /// Its own flags (`flag-1` to `flag-3`, `sh-port`, `mh-fallback`, ...): bits 0 to 2.
    pub flags: u8,
    /// The service is hashed by the kernel (`hashed`, `IP_VS_SVC_F_HASHED`).
    pub hashed: bool,
    /// Each packet by itself (`ops`, `IP_VS_SVC_F_ONEPACKET`), UDP only.
    pub one_packet: bool,
}

/// A client stays with its real server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Persistence {
    /// This long after its last connection; whole seconds, 1 s to 31 days.
    pub timeout: Duration,
    /// Clients of one network of this prefix length are one client: 32 or 128 unless configured.
    pub prefix_len: u8,
    /// Persistence engine of the kernel (`sip`), at most 15 octets.
    pub engine: Option<String>,
}

/// A real server behind one virtual server. Its identity there is address and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RealServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port: with DR and TUN the service's, and so 0 with a fwmark. Where a group has services
    /// of several ports see [`RealServer::port_at`].
    pub port: u16,
    /// Share of the connections, 0 to [`MAX_WEIGHT`]. 0: no new ones.
    pub weight: u32,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// It gets no new connections from this many on; 0: no limit (`uthreshold`).
    pub upper_threshold: u32,
    /// And new ones again below this many (`lthreshold`).
    pub lower_threshold: u32,
    /// When it is down its weight becomes 0, and it stays in the table (`inhibit_on_failure`).
    pub inhibit_on_failure: bool,
    /// All of them must be good. None: it is up.
    pub checks: Box<[PlacedCheck]>,
}

impl RealServer {
    /// Its port behind one of the services, as the kernel is to have it.
    #[must_use]
    pub const fn port_at(&self, service: Service) -> u16 {
        port_at(self.port, self.forwarding, service)
    }
}

/// Gets the connections when the quorum is lost.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SorryServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port, as that of a real server.
    pub port: u16,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// It stays in the table with weight 0 while it is not needed (`sorry_server_inhibit`).
    pub inhibit: bool,
}

impl SorryServer {
    /// Its port behind one of the services, as the kernel is to have it.
    #[must_use]
    pub const fn port_at(&self, service: Service) -> u16 {
        port_at(self.port, self.forwarding, service)
    }
}

/// Only NAT writes another port into a packet, behind a mark, too; otherwise a mark stands for any.
const fn port_at(own: u16, forwarding: Forwarding, service: Service) -> u16 {
    match (service, forwarding) {
        (_, Forwarding::Nat) => own,
        (Service::Fwmark { .. }, Forwarding::DirectRouting | Forwarding::Tunnel(_)) => 0,
        (Service::Address { port, .. }, Forwarding::DirectRouting | Forwarding::Tunnel(_)) => port,
    }
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All of them by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("TCP", Self::Tcp), ("UDP", Self::Udp), ("SCTP", Self::Sctp)];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// How packets reach the real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Forwarding {
    /// Addresses are translated.
    Nat,
    /// The frame is sent on unchanged.
    DirectRouting,
    /// In a tunnel.
    Tunnel(Tunnel),
}

impl Forwarding {
    /// All of them by name, a tunnel as IPIP.
    pub const NAMES: [(&'static str, Self); 3] =
        [("NAT", Self::Nat), ("DR", Self::DirectRouting), ("TUN", Self::Tunnel(Tunnel::Ipip))];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::DirectRouting => "DR",
            Self::Tunnel(_) => "TUN",
        }
    }
}

/// Form of the tunnel to a real server (`IP_VS_CONN_F_TUNNEL_TYPE_*` in ip_vs.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// UDP port of the real server.
        port: u16,
        /// Checksum of the UDP header.
        checksum: TunnelChecksum,
    },
    /// GRE.
    Gre {
        /// Checksum of the GRE header; it has no remote one.
        checksum: TunnelChecksum,
    },
}

/// Checksum of a tunnel's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TunnelChecksum {
    /// None (`nocsum`).
    #[default]
    None,
    /// Of header and content (`csum`).
    Whole,
    /// Remote checksum offload (`remcsum`), GUE only.
    Remote,
}

/// Scheduler of the kernel, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections.
    Wlc,
    /// Locality-based least connections.
    Lblc,
    /// The same with replication.
    Lblcr,
    /// Source hashing.
    Sh,
    /// Maglev hashing.
    Mh,
    /// Destination hashing.
    Dh,
    /// Weighted failover.
    Fo,
    /// Weighted overflow.
    Ovf,
    /// Shortest expected delay.
    Sed,
    /// Never queue.
    Nq,
    /// The better of two random ones.
    Twos,
}

impl Scheduler {
    /// All of them by the kernel's name.
    pub const NAMES: [(&'static str, Self); 14] = [
        ("rr", Self::Rr),
        ("wrr", Self::Wrr),
        ("lc", Self::Lc),
        ("wlc", Self::Wlc),
        ("lblc", Self::Lblc),
        ("lblcr", Self::Lblcr),
        ("sh", Self::Sh),
        ("mh", Self::Mh),
        ("dh", Self::Dh),
        ("fo", Self::Fo),
        ("ovf", Self::Ovf),
        ("sed", Self::Sed),
        ("nq", Self::Nq),
        ("twos", Self::Twos),
    ];

    /// Its name in the kernel.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(_, one)| *one == self);
        known.map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, port, protocol } => socket(f, *protocol, *address, *port),
            Self::Fwmark { mark, family } => fwmark(f, *mark, *family),
        }
    }
}

impl fmt::Display for VirtualServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, port, protocol } => socket(f, *protocol, *address, *port),
            Self::Fwmark { mark, family } => fwmark(f, *mark, *family),
            Self::Group { name, protocol } => write!(f, "{} group {name}", protocol.name()),
        }
    }
}

fn socket(
    f: &mut fmt::Formatter<'_>,
    protocol: Protocol,
    address: IpAddr,
    port: u16,
) -> fmt::Result {
    let protocol = protocol.name();
    write!(f, "{protocol} {}", core::net::SocketAddr::new(address, port))
}

fn fwmark(f: &mut fmt::Formatter<'_>, mark: u32, family: Family) -> fmt::Result {
    match family {
        Family::Ipv4 => write!(f, "fwmark {mark}"),
        Family::Ipv6 => write!(f, "fwmark {mark} inet6"),
    }
}
