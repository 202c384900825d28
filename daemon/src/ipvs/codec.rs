//! Commands to octets, octets to rows: pure, whatever the kernel says. Kinds of values are those of
//! the policies in the kernel's `ip_vs_ctl.c`.

mod decode;
mod encode;
mod numbers;

use std::fmt;

use nix::errno::Errno;
use vipd_engine::config::director::Service;

use super::spec::Command;
pub(super) use decode::{destination, family, service, sync, timeouts, version};
pub(super) use encode::{ask, order};

/// What the kernel said is not what `linux/ip_vs.h` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A datagram has this many octets, more than any kernel sends.
    Datagram(usize),
    /// The length of a message is not one.
    Message,
    /// The length of an attribute is not one.
    Attribute,
    /// An error without its number.
    Error,
    /// It answers another command.
    Command(u8),
    /// An attribute is missing.
    Missing(&'static str),
    /// An attribute has another size or an impossible value.
    Value(&'static str),
}

impl std::error::Error for Malformed {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram(length) => write!(f, "a datagram has {length} octets"),
            Self::Message => f.write_str("the length of a message is impossible"),
            Self::Attribute => f.write_str("the length of an attribute is impossible"),
            Self::Error => f.write_str("an error has no number"),
            Self::Command(number) => write!(f, "command {number} came as an answer"),
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::Value(what) => write!(f, "{what} has an impossible value"),
        }
    }
}

/// Why the kernel did not do one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is there already.
    Exists,
    /// The destination is not there.
    NotThere,
    /// The service, or the thread of the synchronisation, is not there.
    NoService,
    /// The kernel has no such scheduler or persistence engine.
    NoModule,
    /// It takes `CAP_NET_ADMIN` in the user namespace that owns this network namespace.
    NotPermitted,
    /// Anything else.
    Refused {
        /// The kernel's number.
        errno: Errno,
        /// The kernel's words, if it had any.
        text: Option<String>,
    },
    /// The answer was lost: whether it was done can only be read.
    Unknown,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("it exists already"),
            Self::NotThere => f.write_str("it does not exist"),
            Self::NoService => f.write_str("the service or the thread does not exist"),
            Self::NoModule => f.write_str("the kernel has no such scheduler or persistence engine"),
            Self::NotPermitted => f.write_str("not permitted, it takes CAP_NET_ADMIN"),
            Self::Refused { errno, text: Some(text) } => write!(f, "{}: {text}", errno.desc()),
            Self::Refused { errno, text: None } => f.write_str(errno.desc()),
            Self::Unknown => f.write_str("the kernel's answer was lost"),
        }
    }
}

impl Failure {
    /// What an error means as the answer to a command; to a question if there is none.
    #[must_use]
    pub fn of(errno: i32, text: Option<String>, command: Option<&Command>) -> Self {
        match (Errno::from_raw(errno), command) {
            (Errno::EEXIST, _) => Self::Exists,
            (Errno::ENOENT, Some(Command::AddService(_) | Command::SetService(_))) => {
                Self::NoModule
            }
            (Errno::ENOENT, _) => Self::NotThere,
            (Errno::ESRCH, _) => Self::NoService,
            (Errno::EPERM, _) => Self::NotPermitted,
            (errno, _) => Self::Refused { errno, text },
        }
    }
}

/// What can be asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The number of the family IPVS. It alone is no question to that family.
    Family,
    /// The version.
    Version,
    /// The time limits.
    Timeouts,
    /// All services.
    Services,
    /// One service.
    Service(Service),
    /// All destinations of a service. There are none if there is no such service.
    Destinations(Service),
    /// The threads of the connection synchronisation.
    Sync,
}

impl Question {
    /// Whether the answer is any number of rows.
    #[must_use]
    pub const fn is_dump(self) -> bool {
        matches!(self, Self::Services | Self::Destinations(_) | Self::Sync)
    }
}
