//! A model of the kernel's IPVS table: it takes what the engine orders, answers as Linux does, and
//! picks a real server for each connection.
//!
//! Time is given, and nothing depends on hash order; only the scheduler `twos` draws, from a stream
//! of its own. The rules are those that Linux 6.1 shows: `netns-tests/tests/ipvs_model.rs` plays
//! the same random histories to a real kernel. Begin with [`Table`]; `commands` changes it,
//! `packets` sends packets through it, `connections` remembers them, `sync` tells another kernel of
//! them, `scheduler`, `hashing` and `locality` pick.
//!
//! | not modelled | what Linux does |
//! |---|---|
//! | SCTP packets, FTP's data connections, fragments, ICMP | knows them |
//! | persistence engines (`sip`) | a service with one is taken; the client's address decides here |
//! | timers are exact | up to 1/8 late, as its timer wheel is coarse |
//! | what `lblc` and `lblcr` remember stays | is forgotten when it was not used for 24 h |

mod commands;
mod connections;
mod hashing;
mod locality;
mod packets;
mod scheduler;
mod sync;
mod tcp;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use vipd_engine::config::director::Service;
use vipd_engine::ipvs::{DestinationSpec, Endpoint, ServiceSpec, SyncRole, SyncSpec};

use crate::random::Random;
use connections::Connections;
use scheduler::{Candidate, Memory};
use sync::Outbox;
pub use sync::Synced;

/// Switches below `/proc/sys/net/ipv4/vs`, by their names there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A connection whose destination has left the table ends; otherwise its packets are dropped
    /// until the destination comes back.
    pub expire_nodest_conn: bool,
    /// A client is not held to a destination of weight 0 by persistence.
    pub expire_quiescent_template: bool,
    /// A SYN on a connection in TIME_WAIT or CLOSE begins another one.
    pub conn_reuse_mode: bool,
}

impl Default for Settings {
    /// Those of Linux.
    fn default() -> Self {
        Self { expire_nodest_conn: false, expire_quiescent_template: false, conn_reuse_mode: true }
    }
}

/// Time limits of connections that can be set, as they are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Established TCP connections.
    pub tcp: Duration,
    /// TCP connections after a FIN (FIN_WAIT).
    pub tcp_fin: Duration,
    /// UDP.
    pub udp: Duration,
}

impl Default for Limits {
    /// Those of Linux.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { tcp: seconds(15 * 60), tcp_fin: seconds(2 * 60), udp: seconds(5 * 60) }
    }
}

/// What the packets of one connection have in common, whoever sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where the client is.
    pub client: SocketAddr,
    /// What it speaks to.
    pub target: SocketAddr,
    /// Mark of its packets by the firewall; 0: none.
    pub mark: u32,
}

/// What a packet is, as far as IPVS looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// UDP.
    Datagram,
    /// TCP with SYN.
    Syn,
    /// TCP with ACK alone.
    Ack,
    /// TCP with FIN.
    Fin,
    /// TCP with RST.
    Reset,
}

/// What becomes of a client's packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// IPVS leaves it alone: no service is meant, or it begins no connection.
    Passed,
    /// It goes to this destination.
    Forwarded {
        /// The destination in the table.
        endpoint: Endpoint,
        /// Address and port that it reaches there.
        to: SocketAddr,
    },
    /// No destination can take it: the client gets ICMP port unreachable.
    Refused,
    /// Its destination has left the table: nobody answers.
    Dropped,
}

/// How many connections a destination has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Active ones: of TCP, from SYN to FIN.
    pub active: u32,
    /// All others.
    pub inactive: u32,
    /// Clients that persistence holds.
    pub persistent: u32,
}

/// Names a destination in all of the table.
type Name = (Service, Endpoint);

/// A service that is in the table.
#[derive(Clone, Debug)]
struct Row {
    spec: ServiceSpec,
    /// Its destinations, the newest first.
    order: Vec<Endpoint>,
    memory: Memory,
}

/// A destination. It outlives its removal for as long as connections refer to it, and is the same
/// one when it comes back.
#[derive(Clone, Debug)]
struct Destination {
    spec: DestinationSpec,
    is_in_table: bool,
    load: Load,
    /// It is at its upper threshold, or was and is not yet below the lower one.
    is_overloaded: bool,
    /// Its last weight that was not 0, since it was added (`mh`).
    last_weight: u32,
}

/// The model of one kernel's table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its switches.
    pub settings: Settings,
    limits: Limits,
    services: BTreeMap<Service, Row>,
    destinations: BTreeMap<Name, Destination>,
    connections: Connections,
    sync: BTreeMap<SyncRole, SyncSpec>,
    outbox: Outbox,
    random: Random,
}

impl Table {
    /// An empty one. The seed is for `twos` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            settings: Settings::default(),
            limits: Limits::default(),
            services: BTreeMap::new(),
            destinations: BTreeMap::new(),
            connections: Connections::default(),
            sync: BTreeMap::new(),
            outbox: Outbox::default(),
            random: Random::stream(seed, "ipvs twos"),
        }
    }

    /// Its services.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        self.services.keys().copied()
    }

    /// The destinations of a service, the newest first; none if there is no such service.
    pub fn destinations(
        &self,
        service: Service,
    ) -> impl Iterator<Item = (Endpoint, DestinationSpec, Load)> {
        let order = self.services.get(&service).map_or(&[][..], |row| &row.order);
        order.iter().filter_map(move |endpoint| {
            let one = self.destinations.get(&(service, *endpoint))?;
            Some((*endpoint, one.spec, one.load))
        })
    }

    /// Time limits in force.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The threads of the synchronisation that run.
    #[must_use]
    pub const fn sync(&self) -> &BTreeMap<SyncRole, SyncSpec> {
        &self.sync
    }

    /// What a scheduler has to choose from.
    fn pool(&self, service: Service) -> Vec<Candidate> {
        let order = self.services.get(&service).map_or(&[][..], |row| &row.order);
        let of = |endpoint: &Endpoint| {
            let one = self.destinations.get(&(service, *endpoint))?;
            Some(Candidate {
                endpoint: *endpoint,
                weight: one.spec.weight,
                last_weight: one.last_weight,
                load: one.load,
                is_overloaded: one.is_overloaded,
            })
        };
        order.iter().filter_map(of).collect()
    }
}

impl Destination {
    /// One more connection.
    fn bind(&mut self, count: impl FnOnce(&mut Load) -> &mut u32) {
        *count(&mut self.load) += 1;
        let upper = self.spec.upper_threshold;
        if upper != 0 && self.total() >= u64::from(upper) {
            self.is_overloaded = true;
        }
    }

    /// One less.
    fn unbind(&mut self, count: impl FnOnce(&mut Load) -> &mut u32) {
        let count = count(&mut self.load);
        *count = count.saturating_sub(1);
        let (upper, lower) = (self.spec.upper_threshold, self.spec.lower_threshold);
        let relieved = match (lower, upper) {
            (0, 0) => true,
            (0, upper) => self.total() * 4 < u64::from(upper) * 3,
            (lower, _) => self.total() < u64::from(lower),
        };
        self.is_overloaded &= !relieved;
    }

    /// Connections that thresholds count: persistence is none.
    fn total(&self) -> u64 {
        u64::from(self.load.active) + u64::from(self.load.inactive)
    }

    fn is_idle(&self) -> bool {
        self.load == Load::default()
    }
}
