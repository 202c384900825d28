//! What the director asks of the kernel, as data: commands, batches, reads, and their answers.
//!
//! How a command becomes a message of generic netlink is the driver's.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::director::{
    Forwarding, Persistence, Scheduling, Service, SyncDaemon, Timeouts, VirtualServerName,
};
use crate::ipvs::news::News;
use crate::names::InterfaceName;

/// What one destination of a service is told from the others by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its port as the kernel has it.
    pub port: u16,
}

/// A service without its key, as the kernel has it or is to have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// How a destination is chosen.
    pub scheduling: Scheduling,
    /// A client stays with its destination.
    pub persistence: Option<Persistence>,
}

impl ServiceSpec {
    /// Whether the kernel does the same with both. It sets the flag `IP_VS_SVC_F_HASHED` of every
    /// service by itself (`ip_vs_svc_hash`), so that one tells nothing.
    #[must_use]
    pub fn does_the_same_as(&self, other: &Self) -> bool {
        let plain = |scheduling: Scheduling| Scheduling { hashed: false, ..scheduling };
        plain(self.scheduling) == plain(other.scheduling) && self.persistence == other.persistence
    }
}

/// A destination without its key, as the kernel has it or is to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DestinationSpec {
    /// Share of the new connections; 0: none.
    pub weight: u32,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// No new connections from this many on; 0: no limit.
    pub upper_threshold: u32,
    /// New ones again below this many.
    pub lower_threshold: u32,
}

/// Which of the two threads of the connection synchronisation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum SyncRole {
    /// It sends (`IP_VS_STATE_MASTER`).
    Master,
    /// It receives (`IP_VS_STATE_BACKUP`).
    #[default]
    Backup,
}

impl SyncRole {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Master, Self::Backup];

    /// Its name: `master`, `backup`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// A thread of the synchronisation as the kernel is to have it; `None`: the kernel's own value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncSpec {
    /// Interface of the multicast.
    pub interface: InterfaceName,
    /// Identifies the pair.
    pub id: u8,
    /// Most octets of a datagram.
    pub maxlen: Option<u16>,
    /// Port.
    pub port: Option<u16>,
    /// TTL.
    pub ttl: Option<u8>,
    /// Multicast group.
    pub group: Option<IpAddr>,
}

impl From<&SyncDaemon> for SyncSpec {
    fn from(config: &SyncDaemon) -> Self {
        let SyncDaemon { interface, instance: _, id, maxlen, port, ttl, group } = config;
        let (id, maxlen, port, ttl, group) = (*id, *maxlen, *port, *ttl, *group);
        Self { interface: interface.clone(), id, maxlen, port, ttl, group }
    }
}

impl SyncSpec {
    /// Whether a thread of this role runs as this says. Linux fills in what was left open
    /// (`start_sync_thread`); its `maxlen` follows the MTU, so one that is left open is any.
    #[must_use]
    pub fn runs_as(&self, role: SyncRole, seen: &Self) -> bool {
        let Self { interface, id, maxlen, port, ttl, group } = self;
        let group = group.unwrap_or(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81)));
        let (ip, least) = match (group, role) {
            (IpAddr::V4(_), SyncRole::Master) => (20, 1),
            (IpAddr::V4(_), SyncRole::Backup) => (20, 1024),
            (IpAddr::V6(_), SyncRole::Master) => (40, 1),
            (IpAddr::V6(_), SyncRole::Backup) => (40, 1024),
        };
        let maxlen = maxlen.map(|maxlen| maxlen.clamp(least, u16::MAX - ip - 8));
        // A kernel before 4.3 tells less: what it does not tell is as it is to be.
        let is = |wanted: u16, seen: Option<u16>| seen.is_none_or(|seen| seen == wanted);
        (interface, id) == (&seen.interface, &seen.id)
            && maxlen.is_none_or(|maxlen| is(maxlen, seen.maxlen))
            && is(port.unwrap_or(8848), seen.port)
            && is(ttl.unwrap_or(1).into(), seen.ttl.map(u16::from))
            && seen.group.is_none_or(|seen| seen == group)
    }
}

/// A change of the kernel's table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IpvsCommand {
    /// Empty the whole table, also of what is not ours.
    Flush,
    /// Set the time limits of connections. What is `None` stays.
    SetTimeouts(Timeouts),
    /// Add a service.
    AddService {
        /// Its key.
        service: Service,
        /// The rest of it.
        spec: ServiceSpec,
    },
    /// Change a service.
    EditService {
        /// Its key.
        service: Service,
        /// What it is to be.
        spec: ServiceSpec,
    },
    /// Remove a service, its destinations with it.
    RemoveService(Service),
    /// Add a destination.
    AddDestination {
        /// Key of its service.
        service: Service,
        /// Its key.
        endpoint: Endpoint,
        /// The rest of it.
        spec: DestinationSpec,
    },
    /// Change a destination.
    EditDestination {
        /// Key of its service.
        service: Service,
        /// Its key.
        endpoint: Endpoint,
        /// What it is to be.
        spec: DestinationSpec,
    },
    /// Remove a destination.
    RemoveDestination {
        /// Key of its service.
        service: Service,
        /// Its key.
        endpoint: Endpoint,
    },
    /// Start a thread of the synchronisation.
    StartSync {
        /// Which one.
        role: SyncRole,
        /// How.
        spec: SyncSpec,
    },
    /// Stop a thread of the synchronisation.
    StopSync(SyncRole),
}

/// How a command or a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IpvsError {
    /// It is there already (`EEXIST`).
    Exists,
    /// The destination is not there; of a service: its scheduler or persistence engine (`ENOENT`).
    NotThere,
    /// The service, or the thread of the synchronisation, is not there (`ESRCH`).
    NoService,
    /// The kernel or the driver refused for another reason.
    Refused,
    /// The kernel has no IPVS: generic netlink does not know the family.
    NoIpvs,
    /// Nothing was heard within the time limit. It may have been done.
    TimedOut,
}

/// One command of a batch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// Its place in the batch, from 0.
    pub place: u32,
    /// How.
    pub error: IpvsError,
}

/// Commands to be performed in this order. One that fails does not keep the next from being tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// Names the answer.
    pub number: u64,
    /// At least one.
    pub commands: Vec<IpvsCommand>,
}

/// A wish to be told of these services: `Begin`, each one that there is, what else was asked for,
/// `End`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Read {
    /// Names the answer.
    pub number: u64,
    /// Their keys. None, and no settings: only whether the kernel has IPVS.
    pub services: Vec<Service>,
    /// What is no service, too.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub settings: bool,
}

/// A service as it was found in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// Its key.
    pub service: Service,
    /// The rest of it; `None`: what no configuration could ask for, such as another scheduler.
    pub spec: Option<ServiceSpec>,
    /// All its destinations, in any order; `None`: what no configuration could ask for.
    pub destinations: Vec<(Endpoint, Option<DestinationSpec>)>,
}

/// What is no service, as it was found in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// Time limits of connections; `None`: this kernel has no such one.
    pub timeouts: Timeouts,
    /// The threads of the synchronisation that run.
    pub sync: BTreeMap<SyncRole, SyncSpec>,
}

/// The answer to a [`Read`], which is named by its number. A failed read is told by `on_done`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Observed {
    /// It begins.
    Begin,
    /// A service that is there. One that was not asked for is ignored.
    Service(Seen),
    /// What is no service, if it was asked for.
    Settings(Settings),
    /// It is over: what was asked for and not told is not there.
    End,
}

/// What is asked of the kernel, one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Request {
    /// Change the table. The answer is [`Answer::Done`].
    Batch(Batch),
    /// Read it. The answers are [`Answer::Observed`] to the end, or one failed [`Answer::Done`].
    Read(Read),
}

impl Request {
    /// Names the answers.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.number,
            Self::Read(read) => read.number,
        }
    }
}

/// What the kernel answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// A part of what was read.
    Observed(Observed),
    /// How a batch ended, each command done but for these; or why a batch or a read failed as a
    /// whole.
    Done(Result<Vec<Failure>, IpvsError>),
}

/// What the director asks of the rest of the engine, in the order in which it must be performed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Change the kernel. Answered by `on_done`.
    Batch(Batch),
    /// Read the kernel. Answered by `on_observed`.
    Read(Read),
    /// Checks of this virtual server's real servers rest, or go on (`ha_suspend`). It is told with
    /// each configuration, and whenever it changes.
    Rest {
        /// Which one.
        name: VirtualServerName,
        /// Whether they rest.
        rests: bool,
    },
    /// The configuration is worked off: every virtual server of it is known, and what
    /// [`Ipvs::needs_ipvs`](crate::ipvs::Ipvs::needs_ipvs) says is all of it.
    InForce,
    /// Tell people and scripts.
    News(News),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl fmt::Display for ServiceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scheduling { scheduler, flags, hashed: _, one_packet } = self.scheduling;
        f.write_str(scheduler.name())?;
        for bit in (0..3).filter(|bit| flags & (1 << bit) != 0) {
            write!(f, " flag-{}", bit + 1)?;
        }
        if one_packet {
            f.write_str(" ops")?;
        }
        if let Some(Persistence { timeout, prefix_len, engine }) = &self.persistence {
            write!(f, " persistent {} s /{prefix_len}", timeout.as_secs())?;
            if let Some(engine) = engine {
                write!(f, " {engine}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for DestinationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight {} {}", self.weight, self.forwarding.name())?;
        if self.upper_threshold > 0 {
            write!(f, " thresholds {}-{}", self.lower_threshold, self.upper_threshold)?;
        }
        Ok(())
    }
}

impl fmt::Display for SyncRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for IpvsCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flush => f.write_str("flush"),
            Self::SetTimeouts(limits) => write!(f, "set timeouts {}", timeouts(limits)),
            Self::AddService { service, spec } => write!(f, "add service {service} {spec}"),
            Self::EditService { service, spec } => write!(f, "edit service {service} {spec}"),
            Self::RemoveService(service) => write!(f, "remove service {service}"),
            Self::AddDestination { service, endpoint, spec } => {
                write!(f, "add destination {endpoint} of {service} {spec}")
            }
            Self::EditDestination { service, endpoint, spec } => {
                write!(f, "edit destination {endpoint} of {service} {spec}")
            }
            Self::RemoveDestination { service, endpoint } => {
                write!(f, "remove destination {endpoint} of {service}")
            }
            Self::StartSync { role, spec } => {
                write!(f, "start sync {role} on {} id {}", spec.interface, spec.id)
            }
            Self::StopSync(role) => write!(f, "stop sync {role}"),
        }
    }
}

/// Time limits in words.
pub(super) fn timeouts(Timeouts { tcp, tcp_fin, udp }: &Timeouts) -> String {
    let seconds = |limit: &Option<Duration>| {
        limit.map_or_else(|| String::from("-"), |limit| format!("{} s", limit.as_secs()))
    };
    format!("tcp {} tcpfin {} udp {}", seconds(tcp), seconds(tcp_fin), seconds(udp))
}

impl fmt::Display for IpvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "it is there already",
            Self::NotThere => "it, its scheduler or its persistence engine is not there",
            Self::NoService => "the service is not there",
            Self::Refused => "refused",
            Self::NoIpvs => "the kernel has no IPVS",
            Self::TimedOut => "no answer in time",
        })
    }
}

impl core::error::Error for IpvsError {}

impl fmt::Display for Batch {
    /// Each command on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, command) in self.commands.iter().enumerate() {
            write!(f, "{}ipvs: {command}", if place > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.services.len(), self.settings) {
            (0, true) => f.write_str("ipvs: read the settings"),
            (count, true) => write!(f, "ipvs: read {count} services and the settings"),
            (count, false) => write!(f, "ipvs: read {count} services"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(batch) => batch.fmt(f),
            Self::Read(read) => read.fmt(f),
        }
    }
}

impl fmt::Display for Answer {
    /// One line, for journals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observed(Observed::Begin) => f.write_str("begins"),
            Self::Observed(Observed::Service(Seen { service, destinations, .. })) => {
                write!(f, "{service} with {} destinations", destinations.len())
            }
            Self::Observed(Observed::Settings(Settings { sync, .. })) => {
                write!(f, "settings with {} threads", sync.len())
            }
            Self::Observed(Observed::End) => f.write_str("ends"),
            Self::Done(Ok(failures)) if failures.is_empty() => f.write_str("done"),
            Self::Done(Ok(failures)) => write!(f, "done, {} failed", failures.len()),
            Self::Done(Err(error)) => error.fmt(f),
        }
    }
}

impl fmt::Display for Effect {
    /// Each command of a batch on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(batch) => batch.fmt(f),
            Self::Read(read) => read.fmt(f),
            Self::Rest { name, rests: true } => write!(f, "{name}: checks rest"),
            Self::Rest { name, rests: false } => write!(f, "{name}: checks go on"),
            Self::InForce => f.write_str("ipvs: the configuration is in force"),
            Self::News(news) => news.fmt(f),
        }
    }
}
