//! The rules of virtual servers across fields.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::{Check, ConfigError, ConfigRule};
use crate::config::InstanceConfig;
use crate::config::director::{
    DirectorConfig, Forwarding, MAX_PERSISTENCE, MAX_SERVICES, MAX_SYNC_LEN, MAX_TIMEOUT,
    MAX_WEIGHT, Protocol, RealServer, Service, VirtualServer,
};
use crate::config::health::{self, CheckKind};
use crate::names::Family;

/// A rule of virtual servers that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerRule {
    /// A service of this virtual server or of another one stands twice; carries that one's name.
    SameService(Service, String),
    /// A virtual server without a service.
    NoService,
    /// More services than one virtual server may have; carries the limit.
    TooManyServices(usize),
    /// Every port, and clients do not stay with their real server.
    NeedsPersistence,
    /// The mark 0 is no mark.
    NoMark,
    /// Packets one by one exist for UDP only.
    OnePacketNeedsUdp,
    /// Not within the persistence that the kernel has; carries the most.
    PersistenceOutOfRange(Duration),
    /// A network of more bits than an address has, or of none; carries the most.
    GranularityOutOfRange(u8),
    /// A name that the kernel has no room for; carries the most octets.
    NameTooLong(usize),
    /// A quorum of 0, or more than all the weights together; carries these.
    QuorumOutOfReach(u64),
    /// A hysteresis of as much as the quorum.
    HysteresisNotBelowQuorum,
    /// A real server of the other family that is not reached by a tunnel.
    FamilyNeedsTunnel(IpAddr),
    /// The same real server twice.
    SameRealServer(IpAddr, u16),
    /// Another port than the kernel would send to; carries that.
    PortDiffers(u16),
    /// A weight that the kernel does not take; carries the most.
    WeightTooGreat(u32),
    /// The lower threshold is greater than the upper one.
    ThresholdsCross,
    /// A check of this kind breaks a rule of checks.
    Check(&'static str, CheckRule),
    /// Time limits of the kernel's connections are whole seconds; carries the most.
    TimeoutOutOfRange(Duration),
    /// Datagrams of the synchronisation have 1 octet to this many.
    SyncLenOutOfRange(u16),
}

/// A rule of one check that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckRule {
    /// It sends to a port, and there is none.
    NoPort,
    /// It comes from an address of the other family.
    SourceFamilyDiffers(IpAddr),
    /// A link-local address, and no interface.
    NeedsInterface(IpAddr),
    /// One of its times is 0.
    NoTime,
    /// No page to ask for.
    NoUrl,
    /// A path that does not begin with `/`.
    PathNotAbsolute,
    /// Not a range of status codes, 100 to 599.
    NoStatus(u16, u16),
    /// The match would have to begin before it may.
    OffsetsCross,
    /// The shortest answer is longer than the longest.
    LengthsCross,
}

impl fmt::Display for ServerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameService(service, other) => {
                write!(f, "{service} is a service of `virtual_server {other}` already")
            }
            Self::NoService => f.write_str("it has no service"),
            Self::TooManyServices(limit) => {
                write!(f, "a virtual server has at most {limit} services")
            }
            Self::NeedsPersistence => {
                f.write_str("without a port it needs `persistence_timeout`, says the kernel")
            }
            Self::NoMark => f.write_str("0 is not a firewall mark"),
            Self::OnePacketNeedsUdp => f.write_str("packets one by one exist for UDP only"),
            Self::PersistenceOutOfRange(most) => {
                write!(f, "persistence is 1 to {} whole seconds", most.as_secs())
            }
            Self::GranularityOutOfRange(most) => write!(f, "a prefix of 1 to {most} bits"),
            Self::NameTooLong(most) => write!(f, "a name of 1 to {most} octets"),
            Self::QuorumOutOfReach(sum) => {
                write!(f, "it is at least 1, and at most all the weights together, {sum}")
            }
            Self::HysteresisNotBelowQuorum => f.write_str("it must be less than the quorum"),
            Self::FamilyNeedsTunnel(address) => write!(
                f,
                "{address} is not of the family of the virtual server, and only a tunnel leads \
                 from one to the other"
            ),
            Self::SameRealServer(address, port) => {
                write!(f, "{address} port {port} stands here twice")
            }
            Self::PortDiffers(port) => write!(f, "the kernel sends to port {port} here"),
            Self::WeightTooGreat(most) => write!(f, "the weight is at most {most}"),
            Self::ThresholdsCross => {
                f.write_str("`lthreshold` is greater than `uthreshold`, which the kernel refuses")
            }
            Self::Check(kind, rule) => write!(f, "{kind}: {rule}"),
            Self::TimeoutOutOfRange(most) => {
                write!(f, "time limits are whole seconds, at most {}", most.as_secs())
            }
            Self::SyncLenOutOfRange(most) => write!(f, "`maxlen` is 1 to {most}"),
        }
    }
}

impl fmt::Display for CheckRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort => f.write_str("there is no port to connect to"),
            Self::SourceFamilyDiffers(address) => {
                write!(f, "{address} is not of the family of the address that is checked")
            }
            Self::NeedsInterface(address) => {
                write!(f, "{address} is link-local, and there is no interface")
            }
            Self::NoTime => f.write_str("a time of 0"),
            Self::NoUrl => f.write_str("there is no page to ask for"),
            Self::PathNotAbsolute => f.write_str("a path begins with `/`"),
            Self::NoStatus(first, last) => {
                write!(f, "{first}-{last} is no range of status codes, 100 to 599")
            }
            Self::OffsetsCross => f.write_str("`regex_min_offset` is beyond `regex_max_offset`"),
            Self::LengthsCross => {
                f.write_str("`min_reply_length` is greater than `max_reply_length`")
            }
        }
    }
}

/// Longest name of a persistence engine (`IP_VS_PENAME_MAXLEN` with its NUL).
const MAX_ENGINE_NAME: usize = 15;

/// The broken rules of virtual servers, in their order.
pub(in crate::config) fn director(
    config: &DirectorConfig,
    instances: &[Arc<InstanceConfig>],
) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let block = ("global_defs", String::new());
    let mut check = Check { block, errors: &mut errors };
    check.settings(config, instances);
    let mut services = BTreeMap::new();
    for server in &config.virtual_servers {
        let block = ("virtual_server", server.name.to_string());
        let mut check = Check { block, errors: &mut errors };
        check.services(server, &mut services);
        check.scheduling(server);
        check.quorum(server);
        let mut seen = BTreeSet::new();
        for (index, real) in server.real_servers.iter().enumerate() {
            if !seen.insert((real.address, real.port)) {
                let rule = ServerRule::SameRealServer(real.address, real.port);
                check.server("real_server", Some(index), rule);
            }
            check.real_server(server, real, index);
        }
        if let Some(sorry) = &server.sorry_server {
            check.reachable(server, sorry.address, sorry.forwarding, "sorry_server", None);
        }
    }
    errors
}

impl Check<'_> {
    fn server(&mut self, field: &'static str, index: Option<usize>, rule: ServerRule) {
        self.broken(field, index, ConfigRule::Server(rule));
    }

    fn settings(&mut self, config: &DirectorConfig, instances: &[Arc<InstanceConfig>]) {
        let timeouts = [config.timeouts.tcp, config.timeouts.tcp_fin, config.timeouts.udp];
        let fits = |time: &Duration| {
            (Duration::from_secs(1)..=MAX_TIMEOUT).contains(time) && time.subsec_nanos() == 0
        };
        if !timeouts.iter().flatten().all(fits) {
            self.server("lvs_timeouts", None, ServerRule::TimeoutOutOfRange(MAX_TIMEOUT));
        }
        let Some(daemon) = &config.sync_daemon else { return };
        if let Some(name) = &daemon.instance
            && !instances.iter().any(|instance| instance.name == *name)
        {
            self.broken("lvs_sync_daemon", None, ConfigRule::UnknownMember(name.clone()));
        }
        if let Some(group) = daemon.group.filter(|group| !group.is_multicast()) {
            self.broken("lvs_sync_daemon", None, ConfigRule::NotAGroup(group));
        }
        if daemon.maxlen.is_some_and(|len| len == 0 || len > MAX_SYNC_LEN) {
            self.server("lvs_sync_daemon", None, ServerRule::SyncLenOutOfRange(MAX_SYNC_LEN));
        }
    }

    fn services<'a>(
        &mut self,
        server: &'a VirtualServer,
        seen: &mut BTreeMap<Service, &'a VirtualServer>,
    ) {
        if server.services.is_empty() {
            self.server("virtual_server", None, ServerRule::NoService);
        }
        if server.services.len() > MAX_SERVICES {
            let rule = ServerRule::TooManyServices(MAX_SERVICES);
            self.server("virtual_server", None, rule);
        }
        for service in &server.services {
            if let Some(other) = seen.insert(*service, server) {
                let rule = ServerRule::SameService(*service, other.name.to_string());
                self.server("virtual_server", None, rule);
            }
            match service {
                Service::Address { port: 0, .. } if server.persistence.is_none() => {
                    self.server("virtual_server", None, ServerRule::NeedsPersistence);
                }
                Service::Fwmark { mark: 0, .. } => {
                    self.server("virtual_server", None, ServerRule::NoMark);
                }
                Service::Address { .. } | Service::Fwmark { .. } => {}
            }
        }
    }

    fn scheduling(&mut self, server: &VirtualServer) {
        let not_udp = |service: &Service| match service {
            Service::Address { protocol, .. } => *protocol != Protocol::Udp,
            Service::Fwmark { .. } => false,
        };
        if server.scheduling.one_packet && server.services.iter().any(not_udp) {
            self.server("ops", None, ServerRule::OnePacketNeedsUdp);
        }
        let Some(persistence) = &server.persistence else { return };
        let time = persistence.timeout;
        if time.is_zero() || time > MAX_PERSISTENCE || time.subsec_nanos() != 0 {
            let rule = ServerRule::PersistenceOutOfRange(MAX_PERSISTENCE);
            self.server("persistence_timeout", None, rule);
        }
        let families = server.services.iter().map(|service| service.family());
        let bits = families.map(|family| family.address_len() as u8 * 8).max();
        if let Some(most) = bits
            && !(1..=most).contains(&persistence.prefix_len)
        {
            let rule = ServerRule::GranularityOutOfRange(most);
            self.server("persistence_granularity", None, rule);
        }
        let room = 1..=MAX_ENGINE_NAME;
        if persistence.engine.as_ref().is_some_and(|name| !room.contains(&name.len())) {
            let rule = ServerRule::NameTooLong(MAX_ENGINE_NAME);
            self.server("persistence_engine", None, rule);
        }
    }

    fn quorum(&mut self, server: &VirtualServer) {
        let sum: u64 = server.real_servers.iter().map(|real| u64::from(real.weight)).sum();
        if server.quorum == 0 || u64::from(server.quorum) > sum.max(1) {
            self.server("quorum", None, ServerRule::QuorumOutOfReach(sum));
        }
        if server.hysteresis >= server.quorum.max(1) {
            self.server("hysteresis", None, ServerRule::HysteresisNotBelowQuorum);
        }
    }

    fn real_server(&mut self, server: &VirtualServer, real: &RealServer, index: usize) {
        let at = Some(index);
        self.reachable(server, real.address, real.forwarding, "real_server", at);
        // A group may have services of several ports.
        if let [service] = server.services[..]
            && real.port_at(service) != real.port
        {
            self.server("real_server", at, ServerRule::PortDiffers(real.port_at(service)));
        }
        if real.weight > MAX_WEIGHT {
            self.server("real_server", at, ServerRule::WeightTooGreat(MAX_WEIGHT));
        }
        if real.lower_threshold > real.upper_threshold {
            self.server("real_server", at, ServerRule::ThresholdsCross);
        }
        for check in &real.checks {
            if let Some(rule) = broken_check(check) {
                let kind = check.manner().kind.name();
                self.server("real_server", at, ServerRule::Check(kind, rule));
            }
        }
    }

    fn reachable(
        &mut self,
        server: &VirtualServer,
        address: IpAddr,
        forwarding: Forwarding,
        field: &'static str,
        index: Option<usize>,
    ) {
        let differs = |service: &Service| service.family() != Family::of(address);
        if !matches!(forwarding, Forwarding::Tunnel(_)) && server.services.iter().any(differs) {
            self.server(field, index, ServerRule::FamilyNeedsTunnel(address));
        }
    }
}

/// The first rule of a check that does not hold.
fn broken_check(placed: &health::PlacedCheck) -> Option<CheckRule> {
    let (check, address) = (placed.manner(), placed.address());
    let rule = match &check.kind {
        CheckKind::Http(http) => broken_http(http),
        CheckKind::Udp(udp) if udp.min_reply > udp.max_reply => Some(CheckRule::LengthsCross),
        CheckKind::Tcp
        | CheckKind::Smtp { .. }
        | CheckKind::Dns { .. }
        | CheckKind::Ping
        | CheckKind::Udp(_)
        | CheckKind::Script { .. }
        | CheckKind::File { .. } => None,
    };
    if rule.is_some() {
        return rule;
    }
    if check.delay_loop.is_zero() || check.timeout.is_zero() {
        return Some(CheckRule::NoTime);
    }
    if placed.port() == 0 && check.kind.needs_port() {
        return Some(CheckRule::NoPort);
    }
    let family = Family::of(address);
    if let Some(source) = check.bind.address.filter(|source| Family::of(*source) != family) {
        return Some(CheckRule::SourceFamilyDiffers(source));
    }
    let network = check.kind.needs_port() || check.kind == CheckKind::Ping;
    match address {
        IpAddr::V6(own)
            if network && own.is_unicast_link_local() && check.bind.interface.is_none() =>
        {
            Some(CheckRule::NeedsInterface(address))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

fn broken_http(http: &health::HttpCheck) -> Option<CheckRule> {
    if http.urls.is_empty() {
        return Some(CheckRule::NoUrl);
    }
    http.urls.iter().find_map(|url| {
        if !url.path.starts_with('/') {
            return Some(CheckRule::PathNotAbsolute);
        }
        let valid = |(first, last): &(u16, u16)| 100 <= *first && first <= last && *last <= 599;
        if let Some((first, last)) = url.status.iter().find(|range| !valid(range)) {
            return Some(CheckRule::NoStatus(*first, *last));
        }
        let pattern = url.pattern.as_ref()?;
        let crossed = pattern.max_offset.is_some_and(|most| most < pattern.min_offset);
        crossed.then_some(CheckRule::OffsetsCross)
    })
}
