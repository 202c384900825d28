//! A route. Which of two routes are the same one is said here.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{MAIN_TABLE, OUR_PROTOCOL, Prefix};
use crate::config::ConfigRule;
use crate::names::{Family, InterfaceName};

/// `RT_SCOPE_LINK`: the destination is on the link.
pub const SCOPE_LINK: u8 = 253;
/// `RT_SCOPE_HOST`: the destination is this machine.
pub const SCOPE_HOST: u8 = 254;
/// Metric of an IPv6 route that names none (`IP6_RT_PRIO_USER`).
pub const IPV6_METRIC: u32 = 1024;

/// What a route does with a packet (`RTN_UNICAST` and its like).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RouteKind {
    /// Sends it on.
    Unicast,
    /// Takes it in.
    Local,
    /// Drops it without a word.
    Blackhole,
    /// Drops it, "unreachable".
    Unreachable,
    /// Drops it, "prohibited".
    Prohibit,
    /// Has the next rule decide.
    Throw,
}

impl RouteKind {
    /// Every kind and its word.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("unicast", Self::Unicast),
        ("local", Self::Local),
        ("blackhole", Self::Blackhole),
        ("unreachable", Self::Unreachable),
        ("prohibit", Self::Prohibit),
        ("throw", Self::Throw),
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
        }
    }

    /// Whether packets leave by an interface.
    #[must_use]
    pub const fn has_next_hop(self) -> bool {
        match self {
            Self::Unicast | Self::Local => true,
            Self::Blackhole | Self::Unreachable | Self::Prohibit | Self::Throw => false,
        }
    }
}

/// Where packets go next.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// The router (`via`); `None`: the destination is on the link.
    pub via: Option<IpAddr>,
    /// The interface (`dev`); `None`: whichever leads to the router.
    pub interface: Option<InterfaceName>,
    /// Share of the packets among several, 1 to 256; the kernel counts from 0.
    pub weight: u8,
    /// The router is taken to be on the link (`onlink`).
    pub onlink: bool,
}

impl NextHop {
    /// Whether the kernel's `seen` is this one. An interface that is not configured is any.
    fn names(&self, seen: &Self) -> bool {
        self.via == seen.via
            && self.weight == seen.weight
            && (self.interface.is_none() || self.interface == seen.interface)
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(interface) = &self.interface {
            write!(f, " dev {interface}")?;
        }
        if self.weight > 0 {
            write!(f, " weight {}", u16::from(self.weight) + 1)?;
        }
        if self.onlink { f.write_str(" onlink") } else { Ok(()) }
    }
}

/// What the kernel knows of the path behind a route (`RTAX_MTU` and its like, in its units).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RouteMetric {
    /// Octets.
    Mtu,
    /// Octets.
    Window,
    /// Eighths of a millisecond.
    Rtt,
    /// Quarters of a millisecond.
    RttVar,
    /// Segments.
    Ssthresh,
    /// Segments.
    Cwnd,
    /// Octets.
    Advmss,
    /// Segments.
    Reordering,
    /// Hops.
    Hoplimit,
    /// Segments.
    Initcwnd,
    /// Milliseconds.
    RtoMin,
    /// Segments.
    Initrwnd,
    /// 0 or 1.
    Quickack,
    /// 0 or 1.
    FastopenNoCookie,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// What it does.
    pub kind: RouteKind,
    /// For packets to here.
    pub destination: Prefix,
    /// And from here, IPv6 only (`from`).
    pub from: Option<Prefix>,
    /// And of this type of service, IPv4 only; 0: any (`tos`).
    pub tos: u8,
    /// In this table.
    pub table: u32,
    /// Of several to the same destination the least counts (`metric`).
    pub metric: u32,
    /// Who is said to have added it.
    pub protocol: u8,
    /// Kernel scope number of the destination, IPv4 only.
    pub scope: u8,
    /// The address that packets of this machine leave with (`src`).
    pub source: Option<IpAddr>,
    /// Realm of the destination, and of the source in the upper half; 0: none (`realms`).
    pub realms: u32,
    /// Where packets go; none if it drops them.
    pub next_hops: Vec<NextHop>,
    /// Of the path, each once, in order.
    pub metrics: Vec<(RouteMetric, u32)>,
    /// Those among `metrics` that the kernel may not change (`lock`).
    pub locked: Vec<RouteMetric>,
}

impl Route {
    /// A route with every default in place and no next hop.
    #[must_use]
    pub const fn new(destination: Prefix) -> Self {
        let metric = match destination.family() {
            Family::Ipv4 => 0,
            Family::Ipv6 => IPV6_METRIC,
        };
        Self {
            kind: RouteKind::Unicast,
            destination,
            from: None,
            tos: 0,
            table: MAIN_TABLE,
            metric,
            protocol: OUR_PROTOCOL,
            scope: 0,
            source: None,
            realms: 0,
            next_hops: Vec::new(),
            metrics: Vec::new(),
            locked: Vec::new(),
        }
    }

    /// The kernel can hold both at once unless these are equal.
    fn place(&self) -> (RouteKind, Prefix, Option<Prefix>, u8, u32, u32, u8) {
        let Self { kind, destination, from, tos, table, metric, protocol, .. } = self;
        (*kind, *destination, *from, *tos, *table, *metric, *protocol)
    }

    pub(super) fn names(&self, seen: &Self) -> bool {
        let hops = self.kind.has_next_hop();
        let same = |hop: &NextHop| seen.next_hops.iter().any(|seen| hop.names(seen));
        self.place() == seen.place()
            && (!hops || self.next_hops.len() == seen.next_hops.len())
            && (!hops || self.next_hops.iter().all(same))
    }

    pub(super) fn has_options_of(&self, seen: &Self) -> bool {
        let scope = |route: &Self| match route.destination.family() {
            Family::Ipv4 => route.scope,
            Family::Ipv6 => 0,
        };
        let paths = |route: &Self| (route.source, route.realms, scope(route));
        paths(self) == paths(seen) && self.metrics == seen.metrics && self.locked == seen.locked
    }

    pub(super) fn mistake(&self) -> Option<ConfigRule> {
        let family = self.destination.family();
        let vias = self.next_hops.iter().filter_map(|hop| hop.via);
        let from = self.from.map(Prefix::address);
        let mut named = vias.chain(self.source).chain(from);
        if let Some(other) = named.find(|address| Family::of(*address) != family) {
            return Some(ConfigRule::RouteFamilyDiffers(other));
        }
        match (self.kind.has_next_hop(), self.next_hops.is_empty()) {
            (true, true) => return Some(ConfigRule::NoNextHop),
            (false, false) => return Some(ConfigRule::NextHopOfRefusal(self.kind)),
            (true, false) | (false, true) => {}
        }
        match family {
            Family::Ipv4 if self.from.is_some() => Some(ConfigRule::Ipv6Only("from")),
            Family::Ipv6 if self.tos != 0 => Some(ConfigRule::Ipv4Only("tos")),
            Family::Ipv6 if self.realms != 0 => Some(ConfigRule::Ipv4Only("realms")),
            Family::Ipv4 | Family::Ipv6 => None,
        }
    }
}

impl fmt::Display for Route {
    /// As iproute2 prints it; what is as by default is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind.name())?;
        }
        write!(f, "{}", self.destination)?;
        if self.destination.prefix_len() == 0 && self.destination.family() == Family::Ipv6 {
            f.write_str(" (IPv6)")?;
        }
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        match &self.next_hops[..] {
            [one] => one.fmt(f)?,
            several => {
                for hop in several {
                    write!(f, " nexthop{hop}")?;
                }
            }
        }
        let plain = Self::new(self.destination);
        if self.table != MAIN_TABLE {
            write!(f, " table {}", self.table)?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        for (name, value, default) in [
            ("metric", self.metric, plain.metric),
            ("tos", u32::from(self.tos), 0),
            ("proto", u32::from(self.protocol), OUR_PROTOCOL.into()),
        ] {
            if value != default {
                write!(f, " {name} {value}")?;
            }
        }
        Ok(())
    }
}
