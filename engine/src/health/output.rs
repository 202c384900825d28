//! What this part asks of a driver, and the news that it has for the others.

use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::outcome::{Failure, LocalError, Outcome};
use crate::config::director::{RealServer, VirtualServer, VirtualServerName};
use crate::config::health::{Check, CheckKind};

/// Place of a check. It is used again after the check is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckId(pub u32);

/// One attempt of a check. No number is used twice, so that a late answer is known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// Which check.
    pub check: CheckId,
    /// Counts the attempts of all checks.
    pub number: u64,
}

/// A real server behind a virtual server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerName {
    /// The virtual server.
    pub virtual_server: VirtualServerName,
    /// Address of the real server.
    pub address: IpAddr,
    /// Its port, as the kernel has it.
    pub port: u16,
}

impl ServerName {
    /// The name of a real server of this virtual server.
    #[must_use]
    pub fn of(virtual_server: &VirtualServer, real_server: &RealServer) -> Self {
        let RealServer { address, port, .. } = *real_server;
        Self { virtual_server: virtual_server.name.clone(), address, port }
    }
}

/// One thing to do or to tell, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// For the driver of checks.
    Probe(Probe),
    /// For the other parts, scripts and people.
    News(News),
}

/// What the driver of checks is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probe {
    /// Which attempt. Its outcome is told with this id, once; after `Cancel` none is needed.
    pub id: AttemptId,
    /// What.
    pub command: ProbeCommand,
}

/// What is to be done with an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProbeCommand {
    /// Make it. It is cancelled if it takes longer than the `timeout` of the check.
    Start {
        /// What it is.
        check: Arc<Check>,
        /// Which url, for an HTTP check that visits one in each attempt; 0 for every other one.
        url: u32,
    },
    /// Drop it: its time is over, or nobody wants to know any more.
    Cancel,
}

/// What this part learnt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum News {
    /// A real server may have connections. A new one is told to be up or down once, at once.
    ServerUp {
        /// Which one.
        server: Arc<ServerName>,
        /// Its weight in force, at most `MAX_WEIGHT` of the configuration.
        weight: u32,
        /// Why.
        why: WhyUp,
    },
    /// A real server may have none.
    ServerDown {
        /// Which one.
        server: Arc<ServerName>,
        /// Why.
        why: WhyDown,
    },
    /// A real server that is up has another weight: a check wishes for it, or a reload.
    Weight {
        /// Which one.
        server: Arc<ServerName>,
        /// Its weight in force, at most `MAX_WEIGHT` of the configuration.
        weight: u32,
    },
    /// A check failed.
    CheckFailed {
        /// Which one.
        check: Arc<Check>,
        /// How.
        failure: Failure,
        /// It does not count yet, the check is made again soon. Told only if the check
        /// `tells_all_failures`.
        tolerated: bool,
    },
    /// A check that had failed is good again.
    CheckPassed {
        /// Which one.
        check: Arc<Check>,
    },
    /// A check could not be made here. Told once, until it could be made.
    CheckNotMade {
        /// Which one.
        check: Arc<Check>,
        /// Why.
        error: LocalError,
    },
}

/// Why a real server is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WhyUp {
    /// It is new and none of its checks has failed yet.
    Assumed,
    /// It has no checks.
    Unchecked,
    /// None of its checks fails any more.
    Passed,
}

/// Why a real server is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WhyDown {
    /// This was wrong with it.
    Failed(Failure),
    /// It has to be good once before it is up (`alpha`).
    Untested,
    /// Its file has told no number yet: it is not there, or has none.
    NoNumber,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe(probe) => probe.fmt(f),
            Self::News(news) => news.fmt(f),
        }
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {}", self.number)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            ProbeCommand::Start { check, url } if check.urls() > 1 => {
                write!(f, "start {}: {check}, url {}", self.id, u64::from(*url) + 1)
            }
            ProbeCommand::Start { check, .. } => write!(f, "start {}: {check}", self.id),
            ProbeCommand::Cancel => write!(f, "cancel {}", self.id),
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerUp { server, weight, why } => {
                write!(f, "{server} is up with weight {weight}: {why}")
            }
            Self::ServerDown { server, why } => write!(f, "{server} is down: {why}"),
            Self::Weight { server, weight } => write!(f, "{server} has weight {weight}"),
            Self::CheckFailed { check, failure, tolerated: true } => {
                write!(f, "{check} failed, will be tried again: {failure}")
            }
            Self::CheckFailed { check, failure, tolerated: false } => {
                write!(f, "{check} failed: {failure}")
            }
            Self::CheckPassed { check } => write!(f, "{check} is good again"),
            Self::CheckNotMade { check, error } => write!(f, "{check} could not be made: {error}"),
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { virtual_server, address, port } = self;
        write!(f, "{} of {virtual_server}", SocketAddr::new(*address, *port))
    }
}

impl fmt::Display for WhyUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assumed => "not checked yet",
            Self::Unchecked => "it has no check",
            Self::Passed => "good again",
        })
    }
}

impl fmt::Display for WhyDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Untested => f.write_str("not good yet"),
            Self::NoNumber => f.write_str("its file has told no number yet"),
        }
    }
}

impl fmt::Display for Check {
    /// Its keyword and what it is for: `TCP_CHECK 192.0.2.1:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyword = match &self.kind {
            CheckKind::Tcp => "TCP_CHECK",
            CheckKind::Http(http) if http.tls.is_some() => "SSL_GET",
            CheckKind::Http(_) => "HTTP_GET",
            CheckKind::Smtp { .. } => "SMTP_CHECK",
            CheckKind::Dns { .. } => "DNS_CHECK",
            CheckKind::Ping => return write!(f, "PING_CHECK {}", self.address),
            CheckKind::Udp(_) => "UDP_CHECK",
            CheckKind::Script { script, .. } => return write!(f, "MISC_CHECK {script}"),
            CheckKind::File { file, .. } => return write!(f, "FILE_CHECK {file}"),
        };
        write!(f, "{keyword} {}", SocketAddr::new(self.address, self.port))
    }
}

impl Check {
    /// What it means that an attempt ran out of time. A datagram that need not be answered was at
    /// least not refused.
    pub(crate) fn silence(&self) -> Outcome {
        match &self.kind {
            CheckKind::Udp(udp) if !udp.requires_reply => Outcome::GOOD,
            CheckKind::Udp(_)
            | CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Ping
            | CheckKind::Script { .. }
            | CheckKind::File { .. } => Outcome::Bad(Failure::TimedOut),
        }
    }

    /// How many attempts it takes to see all of it: the urls of an HTTP check, unless it visits
    /// them all in one attempt.
    pub(crate) fn urls(&self) -> u32 {
        match &self.kind {
            CheckKind::Http(http) if !http.fast_recovery => http.urls.len().max(1) as u32,
            CheckKind::Http(_)
            | CheckKind::Tcp
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Ping
            | CheckKind::Udp(_)
            | CheckKind::Script { .. }
            | CheckKind::File { .. } => 1,
        }
    }
}
