//! Where an experiment takes place: a LAN of its own, the target's virtual routers on it, and the
//! hosts and routers that the suite plays there.
//!
//! Every experiment has its own interface of the target, so none can disturb another, and what a
//! frame is about follows from where it was seen.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vipd_engine::Profile;

use super::octets::{self, GROUP4, GROUP6, Header, Mac, Message, Sum, VRRP};
use crate::node::Kind;

/// What the whole run is about.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Who is judged.
    pub target: Kind,
    /// By whose rules.
    pub profile: Profile,
}

impl Terms {
    /// Whether each virtual router has its virtual MAC though its file does not ask for it.
    pub(super) fn virtual_mac(&self) -> bool {
        self.profile != Profile::DropIn
    }

    /// How the target sums version 3 over IPv4.
    pub(super) fn sum(&self) -> Sum {
        match (self.target, self.profile) {
            (Kind::Vipd, Profile::Rfc9568) => Sum::Message,
            _ => Sum::Pseudo,
        }
    }

    /// A `Skew_Time` as the target has it, in microseconds: FRR counts whole centiseconds. Only
    /// for what a judgement of something else rests on; what judges the time itself is exact.
    pub(super) fn skew(&self, micros: u64) -> u64 {
        match self.target {
            Kind::Vipd | Kind::Keepalived => micros,
            Kind::Frr => micros / CENTISECOND * CENTISECOND,
        }
    }

    /// A takeover of a virtual router whose interval is 1 s, until its first advert shows it, where
    /// it takes so many microseconds by the RFC. As [`Self::skew`].
    pub(super) fn down(&self, flavour: Flavour, micros: u64) -> u64 {
        self.skew(micros) + if self.is_silent_at_first(flavour) { 1_000_000 } else { 0 }
    }

    /// Whether the first advert of a takeover comes an interval after it.
    pub(super) fn is_silent_at_first(&self, flavour: Flavour) -> bool {
        match self.target {
            Kind::Vipd | Kind::Keepalived => false,
            Kind::Frr => flavour.is_v6(),
        }
    }
}

/// In microseconds.
const CENTISECOND: u64 = 10_000;

/// The version and family of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// VRRPv2.
    V2,
    /// VRRPv3 for IPv4.
    V3,
    /// VRRPv3 for IPv6.
    V6,
}

impl Flavour {
    pub(super) const ALL: [Self; 3] = [Self::V2, Self::V3, Self::V6];

    pub(super) const fn version(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 | Self::V6 => 3,
        }
    }

    pub(super) const fn is_v6(self) -> bool {
        matches!(self, Self::V6)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3-ipv4",
            Self::V6 => "v3-ipv6",
        }
    }

    /// The row of this version.
    pub(super) const fn row(self, v2: &'static str, v3: &'static str) -> &'static str {
        match self {
            Self::V2 => v2,
            Self::V3 | Self::V6 => v3,
        }
    }

    pub(super) const fn group(self) -> IpAddr {
        if self.is_v6() { GROUP6 } else { GROUP4 }
    }

    /// The MAC of a virtual router (RFC 3768 7.3, RFC 9568 7.3).
    pub(super) const fn mac(self, vrid: u8) -> Mac {
        [0, 0, 0x5e, 0, if self.is_v6() { 2 } else { 1 }, vrid]
    }
}

/// The number of an experiment's LAN, from which all of its addresses follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site(pub u8);

/// The target's own place in a LAN.
pub(super) const TARGET: u8 = 2;
/// A router with a lower address than the target.
pub(super) const LOWER: u8 = 1;
/// A router with a higher one.
pub(super) const HIGHER: u8 = 100;
/// A host that the target knows.
pub(super) const HOST: u8 = 50;
/// A host that the target has to ask for.
pub(super) const STRANGER: u8 = 51;
/// The first virtual address.
pub(super) const VIP: u8 = 10;

impl Site {
    /// The target's interface here.
    pub(super) fn interface(self) -> String {
        format!("l{}", self.0)
    }

    /// The target's interface to the network behind it.
    pub(super) fn far_interface(self) -> String {
        format!("r{}", self.0)
    }

    /// An IPv4 address of this LAN.
    pub(super) const fn v4(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, self.0, host)
    }

    /// An IPv4 address of the network behind the target.
    pub(super) const fn far_v4(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 98, self.0, host)
    }

    /// A global IPv6 address of this LAN.
    pub(super) const fn global(self, host: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x99, self.0 as u16, 0, 0, 0, 0, host as u16)
    }

    /// The prefix of these.
    pub(super) fn global_prefix(self) -> String {
        format!("{}/64", Ipv6Addr::new(0xfd00, 0x99, u16::from(self.0), 0, 0, 0, 0, 0))
    }

    pub(super) const fn far_v6(self, host: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x98, self.0 as u16, 0, 0, 0, 0, host as u16)
    }

    /// A link-local address.
    pub(super) const fn link_local(host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)
    }

    /// The address that this place sends adverts from.
    pub(super) const fn own(self, flavour: Flavour, host: u8) -> IpAddr {
        if flavour.is_v6() {
            IpAddr::V6(Self::link_local(host as u16))
        } else {
            IpAddr::V4(self.v4(host))
        }
    }

    /// The address that a host here has for itself.
    pub(super) const fn host(self, flavour: Flavour, host: u8) -> IpAddr {
        if flavour.is_v6() { IpAddr::V6(self.global(host)) } else { IpAddr::V4(self.v4(host)) }
    }

    /// An address of the network behind the target.
    pub(super) const fn far(self, flavour: Flavour, host: u8) -> IpAddr {
        if flavour.is_v6() { IpAddr::V6(self.far_v6(host)) } else { IpAddr::V4(self.far_v4(host)) }
    }

    /// The burnt-in MAC of a place.
    pub(super) const fn mac(self, host: u8) -> Mac {
        [2, 0, 0, 0, self.0, host]
    }

    /// The MAC of a place in the network behind.
    pub(super) const fn far_mac(self, host: u8) -> Mac {
        [2, 0, 0, 1, self.0, host]
    }

    /// This many virtual addresses.
    pub(super) fn addresses(self, flavour: Flavour, count: u8) -> Vec<IpAddr> {
        let address = |at: u8| match flavour {
            Flavour::V2 | Flavour::V3 => IpAddr::V4(self.v4(VIP + at)),
            Flavour::V6 if at == 0 => IpAddr::V6(Self::link_local(u16::from(VIP))),
            Flavour::V6 => IpAddr::V6(self.global(VIP + at)),
        };
        (0..count).map(address).collect()
    }
}

/// A virtual router of the target.
#[derive(Clone, Debug)]
pub(super) struct Router {
    pub flavour: Flavour,
    pub vrid: u8,
    /// As the file says it; without one the default is tried.
    pub priority: Option<u8>,
    /// As the file says it, in seconds; without one the default is tried.
    pub interval: Option<String>,
    pub addresses: Vec<IpAddr>,
    pub preempt: bool,
    /// `None`: as the target has it by default.
    pub accept: Option<bool>,
    /// With the virtual MAC, also where the profile does not ask for it.
    pub virtual_mac: bool,
    pub password: Option<String>,
    /// Unicast to this peer, from the interface's address.
    pub peer: Option<(IpAddr, IpAddr)>,
    /// On the interface to the network behind.
    pub far: bool,
    /// More lines of its block.
    pub lines: String,
}

impl Router {
    pub(super) fn new(site: Site, flavour: Flavour, vrid: u8) -> Self {
        Self {
            flavour,
            vrid,
            priority: Some(100),
            interval: None,
            addresses: site.addresses(flavour, if flavour.is_v6() { 2 } else { 1 }),
            preempt: true,
            accept: None,
            virtual_mac: false,
            password: None,
            peer: None,
            far: false,
            lines: String::new(),
        }
    }

    pub(super) fn priority(self, priority: u8) -> Self {
        Self { priority: Some(priority), ..self }
    }

    pub(super) fn interval(self, interval: &'static str) -> Self {
        Self { interval: Some(interval.to_owned()), ..self }
    }

    /// Whether its adverts and answers carry the virtual MAC.
    pub(super) fn uses_mac(&self, terms: &Terms) -> bool {
        self.virtual_mac || terms.virtual_mac()
    }

    /// An advert of another router of the same virtual router: its fields are right, so what
    /// matters is what the caller changes.
    pub(super) fn message(&self, terms: &Terms, priority: u8) -> Message {
        let interval = if self.flavour == Flavour::V2 { 1 } else { 100 };
        let sum = match self.flavour {
            Flavour::V2 => Sum::Message,
            Flavour::V3 => terms.sum(),
            Flavour::V6 => Sum::Pseudo,
        };
        Message {
            version: self.flavour.version(),
            vrid: self.vrid,
            priority,
            interval,
            addresses: self.addresses.clone(),
            sum,
            password: self.password.clone(),
        }
    }

    /// That advert in a frame, from this place of the LAN.
    pub(super) fn advert(&self, terms: &Terms, site: Site, from: u8, priority: u8) -> Vec<u8> {
        self.frame(site.own(self.flavour, from), &self.message(terms, priority))
    }

    /// A message in a frame, by multicast.
    pub(super) fn frame(&self, src: IpAddr, message: &Message) -> Vec<u8> {
        let dst = self.flavour.group();
        let header = Header::new(src, dst, VRRP);
        let (to, from) = (octets::group_mac(dst), self.flavour.mac(self.vrid));
        octets::packet(to, from, &header, &message.octets(src, dst))
    }

    /// The name of its macvlan, if it has one.
    pub(super) fn macvlan(&self, terms: &Terms, site: Site) -> Option<String> {
        let leg = if self.far { "f" } else { "" };
        let six = if self.flavour.is_v6() { "x" } else { "v" };
        self.uses_mac(terms).then(|| format!("{six}{}{leg}.{}", site.0, self.vrid))
    }

    /// Its block of keepalived's language.
    pub(super) fn block(&self, terms: &Terms, site: Site, out: &mut String) {
        let leg = if self.far { "f" } else { "" };
        let name = format!("{}_{}_{}{leg}", self.flavour.name(), site.0, self.vrid);
        let interface = if self.far { site.far_interface() } else { site.interface() };
        let _ = writeln!(out, "vrrp_instance {name} {{\n  interface {interface}");
        let _ = writeln!(out, "  version {}", self.flavour.version());
        let _ = writeln!(out, "  virtual_router_id {}", self.vrid);
        // keepalived takes an instance without `state` for a Backup.
        if let Some(priority) = self.priority {
            let _ = writeln!(out, "  priority {priority}");
        }
        if let Some(interval) = &self.interval {
            let _ = writeln!(out, "  advert_int {interval}");
        }
        if !self.preempt {
            out.push_str("  nopreempt\n");
        }
        match self.accept {
            Some(true) => out.push_str("  accept\n"),
            Some(false) => out.push_str("  no_accept\n"),
            None => {}
        }
        if let Some(macvlan) = self.macvlan(terms, site) {
            let _ = writeln!(out, "  use_vmac {macvlan}");
        }
        if let Some(password) = &self.password {
            let _ = writeln!(
                out,
                "  authentication {{\n    auth_type PASS\n    auth_pass {password}\n  }}"
            );
        }
        if let Some((own, peer)) = self.peer {
            let _ = writeln!(out, "  unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n  }}");
        }
        out.push_str(&self.lines);
        out.push_str("  virtual_ipaddress {\n");
        for address in &self.addresses {
            let _ = writeln!(out, "    {address}");
        }
        out.push_str("  }\n}\n");
    }
}

/// What stands above all blocks.
pub(super) fn head(terms: &Terms) -> String {
    match (terms.target, terms.profile) {
        (Kind::Keepalived, Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568) => {
            "global_defs {\n  vrrp_strict\n}\n".to_owned()
        }
        _ => String::new(),
    }
}
