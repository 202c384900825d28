//! What the director asks of the drivers, and what it tells people and scripts.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::config::director::VirtualServerName;
use crate::health::{self, Probe, ServerName};
use crate::ipvs::{self, Batch, Read, ServerOrder};

/// One thing to do or to tell, in the order in which it must be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DirectorOutput {
    /// For the driver of checks. Answered by `on_outcome`.
    Probe(Probe),
    /// For the driver of the kernel: change the table. Answered by `on_done`.
    Batch(Batch),
    /// For the driver of the kernel: read the table. Answered by `on_observed`.
    Read(Read),
    /// For people, scripts, and the rest of the engine.
    News(News),
}

/// What is told. Nothing is told twice: what the kernel did because of some other news is news only
/// where it did not follow at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum News {
    /// Of checks, and what they say of real servers.
    Health(health::News),
    /// Of the kernel's table, the quorum, and the synchronisation.
    Table(ipvs::News),
    /// An operator ordered something, and it holds from now on.
    Ordered {
        /// Of which real server.
        server: ServerName,
        /// What.
        order: ServerOrder,
    },
    /// Checks of this virtual server's real servers rest, or go on (`ha_suspend`).
    Rest {
        /// Which one.
        name: VirtualServerName,
        /// Whether they rest.
        rests: bool,
    },
    /// The configuration is worked off: every virtual server of it is known. The kernel may still
    /// have to follow.
    InForce,
}

impl News {
    /// A stable name, for expectations: `server-up`, `server-down`, `quorum-up`, ...
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Health(news) => match news {
                health::News::ServerUp { .. } => "server-up",
                health::News::ServerDown { .. } => "server-down",
                health::News::Weight { .. } => "server-weight",
                health::News::CheckFailed { .. } => "check-failed",
                health::News::CheckPassed { .. } => "check-passed",
                health::News::CheckNotMade { .. } => "check-not-made",
            },
            Self::Table(news) => match news {
                ipvs::News::Service { .. } => "service",
                ipvs::News::Server { .. } => "destination",
                ipvs::News::Quorum { up: true, .. } => "quorum-up",
                ipvs::News::Quorum { up: false, .. } => "quorum-down",
                ipvs::News::TakenOver { .. } => "taken-over",
                ipvs::News::Found { .. } | ipvs::News::FoundSetting(_) => "found",
                ipvs::News::CommandFailed { .. } => "ipvs-command-failed",
                ipvs::News::BatchFailed { .. } => "ipvs-batch-failed",
                ipvs::News::ReadFailed { .. } => "ipvs-read-failed",
                ipvs::News::Sync { .. } => "sync",
                ipvs::News::Fault => "ipvs-missing",
                ipvs::News::FaultOver => "ipvs-there",
            },
            Self::Ordered { .. } => "server-ordered",
            Self::Rest { rests: true, .. } => "checks-rest",
            Self::Rest { rests: false, .. } => "checks-go-on",
            Self::InForce => "servers-in-force",
        }
    }
}

impl fmt::Display for DirectorOutput {
    /// Each command of a batch on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe(probe) => probe.fmt(f),
            Self::Batch(batch) => batch.fmt(f),
            Self::Read(read) => read.fmt(f),
            Self::News(news) => news.fmt(f),
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Health(news) => news.fmt(f),
            Self::Table(news) => news.fmt(f),
            Self::Ordered { server, order } => match order {
                ServerOrder::Drain => write!(f, "{server} is drained by an operator"),
                ServerOrder::Undrain => write!(f, "{server} is not drained any more"),
                ServerOrder::Weight(Some(weight)) => {
                    write!(f, "{server} is to have weight {weight}, says an operator")
                }
                ServerOrder::Weight(None) => write!(f, "{server} has no ordered weight any more"),
            },
            Self::Rest { name, rests: true } => write!(f, "{name}: checks rest"),
            Self::Rest { name, rests: false } => write!(f, "{name}: checks go on"),
            Self::InForce => f.write_str("the virtual servers are configured"),
        }
    }
}
