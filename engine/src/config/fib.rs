//! Routes and rules as the kernel holds them: entries of its forwarding information base.
//!
//! What is said of defaults is Linux's (linux/rtnetlink.h, linux/fib_rules.h). How they are written
//! in a file is another crate's work; when they are added is `crate::vrrp::fib`'s.

use alloc::boxed::Box;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::check::ConfigRule;
use crate::names::{Family, InterfaceName};

mod prefix;
mod route;
mod rule;

pub use prefix::Prefix;
pub use route::{IPV6_METRIC, NextHop, Route, RouteKind, RouteMetric, SCOPE_HOST, SCOPE_LINK};
pub use rule::{Rule, RuleAction};

/// `RT_TABLE_MAIN`.
pub const MAIN_TABLE: u32 = 254;
/// `RTPROT_KEEPALIVED`: the mark of routes and rules of ours, by which a run after a crash knows
/// them.
pub const OUR_PROTOCOL: u8 = 18;

/// A route or a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FibEntry {
    /// A route.
    Route(Box<Route>),
    /// A rule.
    Rule(Box<Rule>),
}

/// Where an entry is looked for: different places, different entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FibPlace {
    Route(Prefix, u32),
    Rule(Family, u32),
}

impl FibEntry {
    pub(crate) fn place(&self) -> FibPlace {
        match self {
            Self::Route(route) => FibPlace::Route(route.destination, route.table),
            Self::Rule(rule) => FibPlace::Rule(rule.family, rule.priority),
        }
    }

    /// Whether this configured entry is the one that the kernel has as `seen`. A route of the same
    /// destination by another way, or of another protocol, is somebody else's.
    #[must_use]
    pub fn names(&self, seen: &Self) -> bool {
        match (self, seen) {
            (Self::Route(own), Self::Route(seen)) => own.names(seen),
            (Self::Rule(own), Self::Rule(seen)) => own == seen,
            (Self::Route(_), Self::Rule(_)) | (Self::Rule(_), Self::Route(_)) => false,
        }
    }

    /// Whether the kernel has it with everything as it is configured.
    #[must_use]
    pub fn is_held_as(&self, seen: &Self) -> bool {
        match (self, seen) {
            (Self::Route(own), Self::Route(seen)) => own.names(seen) && own.has_options_of(seen),
            (Self::Rule(_), _) | (_, Self::Rule(_)) => self.names(seen),
        }
    }

    /// Who is said to have added it.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        match self {
            Self::Route(route) => route.protocol,
            Self::Rule(rule) => rule.protocol,
        }
    }

    /// The interfaces without which the kernel does not take it.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &InterfaceName> {
        let hops = match self {
            Self::Route(route) => &route.next_hops[..],
            Self::Rule(_) => &[],
        };
        hops.iter().filter_map(|hop| hop.interface.as_ref())
    }

    pub(super) fn mistake(&self) -> Option<ConfigRule> {
        match self {
            Self::Route(route) => route.mistake(),
            Self::Rule(rule) => rule.mistake(),
        }
    }
}

impl fmt::Display for FibEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => write!(f, "route {route}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}

/// A route or a rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FibConfig {
    /// What the kernel is to hold.
    pub entry: FibEntry,
    /// Whoever removes it is not gainsaid (`no_track`).
    pub untracked: bool,
}

#[cfg(test)]
mod tests;
