//! The director's news: for logs, notify scripts and reports.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::config::director::{Service, Timeouts, VirtualServerName};
use crate::ipvs::command::{
    self, DestinationSpec, Endpoint, IpvsCommand, IpvsError, ServiceSpec, SyncRole,
};

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum News {
    /// The kernel has, changed or lost a service as we asked.
    Service {
        /// Which one.
        service: Service,
        /// What became of it.
        change: ServiceChange,
    },
    /// The kernel has, changed or lost a real server, or the sorry server, as we asked.
    Server {
        /// Its service.
        service: Service,
        /// Which one.
        server: Endpoint,
        /// It is the sorry server.
        sorry: bool,
        /// The weight as it was told last; `None`: it was not in the table.
        from: Option<u32>,
        /// The weight now; `None`: it is out of the table.
        to: Option<u32>,
        /// How that came.
        cause: Cause,
    },
    /// A virtual server gained or lost its quorum.
    Quorum {
        /// Which one.
        name: VirtualServerName,
        /// Whether it has it now.
        up: bool,
        /// Sum of the weights of the living real servers.
        live: u64,
        /// What it took (gained) or had to stay at (lost): quorum and hysteresis.
        limit: u32,
    },
    /// A service that the configuration names was in the kernel before us: it goes on from there.
    TakenOver {
        /// Which one.
        service: Service,
        /// How many destinations it had.
        destinations: u32,
    },
    /// Somebody else changed what is ours. It is put right.
    Found {
        /// In which service.
        service: Service,
        /// What.
        what: Found,
    },
    /// Somebody else changed what is ours and no service. It is put right.
    FoundSetting(FoundSetting),
    /// A command failed, and is tried again.
    CommandFailed {
        /// The command.
        command: IpvsCommand,
        /// How.
        error: IpvsError,
    },
    /// A batch failed as a whole: nobody knows what was done of it. What it was about is read.
    BatchFailed {
        /// How many commands it had.
        commands: u32,
        /// How.
        error: IpvsError,
    },
    /// Services could not be read, and are asked for again.
    ReadFailed {
        /// How many; none: only what is no service.
        services: u32,
        /// How.
        error: IpvsError,
    },
    /// A thread of the synchronisation runs, or does so no more.
    Sync {
        /// Which one.
        role: SyncRole,
        /// Whether it runs.
        runs: bool,
    },
    /// The kernel has no IPVS: nothing is directed until it has.
    Fault,
    /// The kernel has IPVS now.
    FaultOver,
}

/// How it came that the kernel has a real server another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// It is wanted so: by its health, an operator, the quorum, or a new configuration.
    Wanted,
    /// It is wanted so and took more than one try, or reading showed it, or it was told otherwise
    /// before.
    Belated,
    /// The configuration has it no more.
    Dropped,
    /// We stop, and are to tell that it is down (`omega`).
    Stop,
}

/// What became of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServiceChange {
    /// It is there.
    Added,
    /// It is another way.
    Edited,
    /// It is gone, its destinations with it.
    Removed,
}

/// What somebody else did to a service of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Found {
    /// It was removed.
    ServiceMissing,
    /// It was changed to this; `None`: to what no configuration could ask for.
    ServiceChanged(Option<ServiceSpec>),
    /// A destination was removed.
    DestinationMissing(Endpoint),
    /// A destination was changed to this; `None`: to what no configuration could ask for.
    DestinationChanged(Endpoint, Option<DestinationSpec>),
    /// A destination was added, one of ours that is out of the table among them.
    DestinationAdded(Endpoint),
}

/// What somebody else did to what is ours and no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FoundSetting {
    /// The time limits of connections were set to these.
    Timeouts(Timeouts),
    /// A thread of the synchronisation was stopped.
    SyncStopped(SyncRole),
    /// One was started.
    SyncStarted(SyncRole),
    /// One was started anew, another way.
    SyncChanged(SyncRole),
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { service, change } => {
                let change = match change {
                    ServiceChange::Added => "is in the kernel",
                    ServiceChange::Edited => "is changed in the kernel",
                    ServiceChange::Removed => "is out of the kernel",
                };
                write!(f, "{service} {change}")
            }
            Self::Server { service, server, sorry, from, to, cause: _ } => {
                let kind = if *sorry { "sorry server" } else { "real server" };
                write!(f, "{service}: {kind} {server} ")?;
                match (from, to) {
                    (_, None) => f.write_str("is out"),
                    (None, Some(weight)) => write!(f, "is in with weight {weight}"),
                    (Some(from), Some(to)) => write!(f, "has weight {to} after {from}"),
                }
            }
            Self::Quorum { name, up: true, live, limit } => {
                write!(f, "{name}: quorum gained, {live} of {limit}")
            }
            Self::Quorum { name, up: false, live, limit } => {
                write!(f, "{name}: quorum lost, {live} of {limit}")
            }
            Self::TakenOver { service, destinations } => {
                write!(f, "{service} was there with {destinations} destinations, taken over")
            }
            Self::Found { service, what } => write!(f, "{service}: somebody {what}"),
            Self::FoundSetting(what) => write!(f, "somebody {what}"),
            Self::CommandFailed { command, error } => write!(f, "{command}: {error}"),
            Self::BatchFailed { commands, error } => {
                write!(f, "batch of {commands} commands: {error}")
            }
            Self::ReadFailed { services: 0, error } => write!(f, "read the settings: {error}"),
            Self::ReadFailed { services, error } => write!(f, "read {services} services: {error}"),
            Self::Sync { role, runs: true } => write!(f, "sync {role} runs"),
            Self::Sync { role, runs: false } => write!(f, "sync {role} is stopped"),
            Self::Fault => f.write_str("the kernel has no IPVS, nothing is directed"),
            Self::FaultOver => f.write_str("the kernel has IPVS again"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceMissing => f.write_str("removed the service"),
            Self::ServiceChanged(Some(spec)) => write!(f, "changed the service to {spec}"),
            Self::ServiceChanged(None) => f.write_str("changed the service"),
            Self::DestinationMissing(endpoint) => write!(f, "removed {endpoint}"),
            Self::DestinationChanged(endpoint, Some(spec)) => {
                write!(f, "changed {endpoint} to {spec}")
            }
            Self::DestinationChanged(endpoint, None) => write!(f, "changed {endpoint}"),
            Self::DestinationAdded(endpoint) => write!(f, "added {endpoint}"),
        }
    }
}

impl fmt::Display for FoundSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeouts(timeouts) => write!(f, "set timeouts {}", command::timeouts(timeouts)),
            Self::SyncStopped(role) => write!(f, "stopped sync {role}"),
            Self::SyncStarted(role) => write!(f, "started sync {role}"),
            Self::SyncChanged(role) => write!(f, "started sync {role} another way"),
        }
    }
}
