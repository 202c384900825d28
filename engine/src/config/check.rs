//! The rules across fields, and the errors of those that do not hold.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

mod director;

pub(super) use director::director;
pub use director::{CheckRule, ServerRule};

use super::fib::RouteKind;
use super::{
    FibConfig, FibEntry, GroupConfig, HOLD_DOWN, InstanceConfig, MAX_ADDRESSES_V4,
    MAX_ADDRESSES_V6, MAX_PEERS, StaticConfig, Transport, VirtualAddress,
};
use crate::event::Seconds;
use crate::names::{Family, GroupName, InstanceName, Version};
use crate::rules::Profile;
use crate::vrrp::lease::{GATE_DELAY, LATENESS};

/// Where in a configuration a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigPath {
    /// The block: keyword and name.
    pub block: (&'static str, String),
    /// The keyword inside it.
    pub field: &'static str,
    /// Which one of several values, counted from 0.
    pub index: Option<usize>,
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (block, name) = &self.block;
        let blank = if name.is_empty() { "" } else { " " };
        write!(f, "{block}{blank}{name} / {}", self.field)?;
        self.index.map_or(Ok(()), |index| write!(f, " / {}", index + 1))
    }
}

/// A rule across fields that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigRule {
    /// Two instances have the same identity; carries the other one's name.
    SameIdentity(InstanceName),
    /// Two instances have the same name.
    SameName,
    /// An advertised address is of the other family.
    FamilyDiffers(IpAddr),
    /// More addresses than one advert carries; carries the limit.
    TooManyAddresses(usize),
    /// The same address twice in one instance.
    SameAddress(IpAddr),
    /// The prefix is longer than the address; carries the limit.
    PrefixTooLong(u8),
    /// VRRPv2 exists for IPv4 only.
    VersionNeedsIpv4,
    /// The version cannot carry this interval.
    IntervalDoesNotFit(Version),
    /// VRRPv3 has no authentication.
    AuthenticationNeedsV2,
    /// A peer or source is of the other family.
    EndpointFamilyDiffers(IpAddr),
    /// A unicast peer is the instance's own source.
    PeerIsSelf(IpAddr),
    /// More unicast peers than one instance sends to; carries the limit.
    TooManyPeers(usize),
    /// Unicast without a peer.
    NoPeer,
    /// Not a multicast group.
    NotAGroup(IpAddr),
    /// A multiplier of 0.
    NoDownTimer,
    /// The lease is not longer than the first or longer than the second.
    DeadManOutOfRange(Duration, Duration),
    /// The interval is too short for any lease.
    DeadManNeedsTime,
    /// The addresses of an owner (priority 255) are real ones, and stay.
    DeadManOfOwner,
    /// A hold-down that is not within [`HOLD_DOWN`].
    HoldDownOutOfRange,
    /// It yields at an alarm that is off, or that the last advert of a router that yields raises.
    OneWayYieldNeedsAlarm,
    /// An owner (priority 255) is to be master whoever else is.
    OneWayYieldOfOwner,
    /// A group member that no instance is called.
    UnknownMember(InstanceName),
    /// An instance in two groups; carries the other one's name.
    InTwoGroups(GroupName),
    /// The first IPv6 address is not link-local, under rules that demand it.
    FirstAddressNotLinkLocal(IpAddr),
    /// A router, source or prefix of a route is not of its destination's family.
    RouteFamilyDiffers(IpAddr),
    /// A prefix of a rule is not of its family.
    RuleFamilyDiffers(IpAddr),
    /// A route leads nowhere.
    NoNextHop,
    /// A route that drops packets leads somewhere.
    NextHopOfRefusal(RouteKind),
    /// A word that routes of IPv4 do not have.
    Ipv6Only(&'static str),
    /// A word that routes of IPv6 do not have.
    Ipv4Only(&'static str),
    /// A rule goes on at one that was asked before.
    GotoBackwards(u32),
    /// The same route or rule twice.
    SameEntry,
    /// A rule of virtual servers.
    Server(ServerRule),
}

const YIELD_NEEDS_ALARM: &str = "it yields at the one-way alarm, which must be 2 or more: 0 is \
                                 off, and 1 is raised by the last advert of a router that yields";
const YIELD_OF_OWNER: &str =
    "an owner (priority 255) is master of its addresses, and yields to none";

fn hold_down_range(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [least, most] = HOLD_DOWN.map(Seconds);
    write!(f, "the hold-down must be {least} to {most} s")
}

impl fmt::Display for ConfigRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameIdentity(other) => {
                write!(f, "same interface, family, VRID and destination as {other}")
            }
            Self::SameName => f.write_str("another instance has this name"),
            Self::FamilyDiffers(address) => {
                write!(f, "{address} is not of the family of the first address")
            }
            Self::TooManyAddresses(limit) => write!(f, "an advert carries at most {limit}"),
            Self::SameAddress(address) => write!(f, "{address} stands here twice"),
            Self::PrefixTooLong(limit) => write!(f, "the prefix length is at most {limit}"),
            Self::VersionNeedsIpv4 => f.write_str("VRRPv2 exists for IPv4 only"),
            Self::IntervalDoesNotFit(Version::V2) => {
                f.write_str("VRRPv2 carries whole seconds, 1 to 255")
            }
            Self::IntervalDoesNotFit(Version::V3) => f.write_str("VRRPv3 carries at most 40.95 s"),
            Self::AuthenticationNeedsV2 => f.write_str("VRRPv3 has no authentication"),
            Self::EndpointFamilyDiffers(address) => {
                write!(f, "{address} is not of the family of the virtual addresses")
            }
            Self::PeerIsSelf(address) => write!(f, "{address} is this router's own source"),
            Self::TooManyPeers(limit) => write!(f, "at most {limit} unicast peers"),
            Self::NoPeer => f.write_str("unicast needs at least one peer"),
            Self::NotAGroup(address) => write!(f, "{address} is not a multicast group"),
            Self::DeadManOutOfRange(least, most) => {
                let (least, most) = (Seconds(*least), Seconds(*most));
                write!(
                    f,
                    "with this interval a lease is longer than {least} s and at most {most} s"
                )
            }
            Self::DeadManNeedsTime => {
                let (late, delay) = (Seconds(LATENESS), Seconds(GATE_DELAY));
                write!(
                    f,
                    "the interval is too short for a lease: up to {late} s are kept for late \
                     adverts and {delay} s for the gate"
                )
            }
            Self::DeadManOfOwner => {
                f.write_str("an owner (priority 255) keeps its addresses, so it can have no lease")
            }
            Self::HoldDownOutOfRange => hold_down_range(f),
            Self::OneWayYieldNeedsAlarm => f.write_str(YIELD_NEEDS_ALARM),
            Self::OneWayYieldOfOwner => f.write_str(YIELD_OF_OWNER),
            Self::NoDownTimer => f.write_str("the down timer needs at least one advert"),
            Self::UnknownMember(name) => write!(f, "no instance is called {name}"),
            Self::InTwoGroups(other) => write!(f, "already a member of {other}"),
            Self::FirstAddressNotLinkLocal(address) => {
                write!(f, "{address} is not link-local, and the first IPv6 address must be")
            }
            Self::RouteFamilyDiffers(address) => {
                write!(f, "{address} is not of the family of the route's destination")
            }
            Self::RuleFamilyDiffers(address) => {
                write!(f, "{address} is not of the family of the rule")
            }
            Self::NoNextHop => f.write_str("the route leads nowhere: it needs `via` or `dev`"),
            Self::NextHopOfRefusal(kind) => {
                write!(f, "a route of type {} has neither `via` nor `dev`", kind.name())
            }
            Self::Ipv6Only(word) => write!(f, "an IPv4 route has no `{word}`"),
            Self::Ipv4Only(word) => write!(f, "an IPv6 route has no `{word}`"),
            Self::GotoBackwards(priority) => {
                write!(f, "`goto` leads forwards only, and rule {priority} is asked before")
            }
            Self::SameEntry => f.write_str("stands here twice"),
            Self::Server(rule) => rule.fmt(f),
        }
    }
}

/// A broken rule and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub path: ConfigPath,
    /// What.
    pub rule: ConfigRule,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.rule)
    }
}

impl core::error::Error for ConfigError {}

/// Every broken rule, in the order of the blocks.
pub(super) fn all(instances: &[InstanceConfig], groups: &[GroupConfig]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut identities = BTreeMap::new();
    let mut names = BTreeSet::new();
    for instance in instances {
        let mut check = Check { block: instance_block(instance), errors: &mut errors };
        if let Some(other) = identities.insert(instance.identity(), instance.name.clone()) {
            check.broken("virtual_router_id", None, ConfigRule::SameIdentity(other));
        }
        if !names.insert(&instance.name) {
            check.broken("vrrp_instance", None, ConfigRule::SameName);
        }
        check.protocol(instance);
        check.transport(instance);
        check.addresses(instance);
        check.fib(["virtual_routes", "virtual_rules"], &instance.fib);
    }
    let mut grouped = BTreeMap::new();
    for group in groups {
        let block = ("vrrp_sync_group", group.name.to_string());
        let mut check = Check { block, errors: &mut errors };
        for (index, member) in group.members.iter().enumerate() {
            if !names.contains(member) {
                check.broken("group", Some(index), ConfigRule::UnknownMember(member.clone()));
            } else if let Some(other) = grouped.insert(member.clone(), group.name.clone()) {
                check.broken("group", Some(index), ConfigRule::InTwoGroups(other));
            }
        }
    }
    errors
}

/// The broken rules of what stands whoever is master.
pub(super) fn statics(statics: &StaticConfig) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut check = Check { block: ("static_ipaddress", String::new()), errors: &mut errors };
    let mut seen = BTreeSet::new();
    for (index, (interface, address)) in statics.addresses.iter().enumerate() {
        if !seen.insert((interface, address.address)) {
            check.broken("static_ipaddress", Some(index), ConfigRule::SameAddress(address.address));
        }
        check.prefix("static_ipaddress", index, address);
    }
    check.fib(["static_routes", "static_rules"], &statics.fib);
    errors
}

fn instance_block(instance: &InstanceConfig) -> (&'static str, String) {
    ("vrrp_instance", instance.name.to_string())
}

fn dead_man(instance: &InstanceConfig) -> Option<ConfigRule> {
    let lasts = instance.dead_man?;
    if instance.priority.is_owner() {
        return Some(ConfigRule::DeadManOfOwner);
    }
    let Some((least, most)) = instance.dead_man_range() else {
        return Some(ConfigRule::DeadManNeedsTime);
    };
    let fits = least < lasts && lasts <= most;
    (!fits).then_some(ConfigRule::DeadManOutOfRange(least, most))
}

fn one_way_yield(instance: &InstanceConfig) -> Option<ConfigRule> {
    let hold_down = instance.one_way_yield?;
    let [least, most] = HOLD_DOWN;
    if instance.priority.is_owner() {
        Some(ConfigRule::OneWayYieldOfOwner)
    } else if instance.one_way_alarm < 2 {
        Some(ConfigRule::OneWayYieldNeedsAlarm)
    } else {
        let fits = least <= hold_down && hold_down <= most;
        (!fits).then_some(ConfigRule::HoldDownOutOfRange)
    }
}

/// The rules of one block.
struct Check<'a> {
    block: (&'static str, String),
    errors: &'a mut Vec<ConfigError>,
}

impl Check<'_> {
    fn broken(&mut self, field: &'static str, index: Option<usize>, rule: ConfigRule) {
        let path = ConfigPath { block: self.block.clone(), field, index };
        self.errors.push(ConfigError { path, rule });
    }

    fn protocol(&mut self, instance: &InstanceConfig) {
        if instance.version == Version::V2 && instance.family == Family::Ipv6 {
            self.broken("version", None, ConfigRule::VersionNeedsIpv4);
        }
        if !instance.interval.fits(instance.version) {
            self.broken("advert_int", None, ConfigRule::IntervalDoesNotFit(instance.version));
        }
        if instance.version == Version::V3 && instance.password.is_some() {
            self.broken("authentication", None, ConfigRule::AuthenticationNeedsV2);
        }
        if instance.down_timer_adverts == 0 {
            self.broken("down_timer_adverts", None, ConfigRule::NoDownTimer);
        }
        if let Some(rule) = dead_man(instance) {
            self.broken("dead_man", None, rule);
        }
        if let Some(rule) = one_way_yield(instance) {
            self.broken("one_way_yield", None, rule);
        }
    }

    fn transport(&mut self, instance: &InstanceConfig) {
        let differs = |address: &IpAddr| Family::of(*address) != instance.family;
        match &instance.transport {
            Transport::Multicast { group, source } => {
                if !group.is_multicast() {
                    self.broken("mcast_dst_ip", None, ConfigRule::NotAGroup(*group));
                } else if differs(group) {
                    let rule = ConfigRule::EndpointFamilyDiffers(*group);
                    self.broken("mcast_dst_ip", None, rule);
                }
                if let Some(source) = source.filter(differs) {
                    let rule = ConfigRule::EndpointFamilyDiffers(source);
                    self.broken("mcast_src_ip", None, rule);
                }
            }
            Transport::Unicast { source, peers, .. } => {
                if let Some(source) = source.filter(differs) {
                    let rule = ConfigRule::EndpointFamilyDiffers(source);
                    self.broken("unicast_src_ip", None, rule);
                }
                if peers.is_empty() {
                    self.broken("unicast_peer", None, ConfigRule::NoPeer);
                } else if peers.len() > MAX_PEERS {
                    self.broken("unicast_peer", None, ConfigRule::TooManyPeers(MAX_PEERS));
                }
                for (index, peer) in peers.iter().enumerate() {
                    if differs(&peer.address) {
                        let rule = ConfigRule::EndpointFamilyDiffers(peer.address);
                        self.broken("unicast_peer", Some(index), rule);
                    } else if Some(peer.address) == *source {
                        let rule = ConfigRule::PeerIsSelf(peer.address);
                        self.broken("unicast_peer", Some(index), rule);
                    }
                }
            }
        }
    }

    fn addresses(&mut self, instance: &InstanceConfig) {
        let limit = match instance.family {
            Family::Ipv4 => MAX_ADDRESSES_V4,
            Family::Ipv6 => MAX_ADDRESSES_V6,
        };
        if instance.addresses.len() > limit {
            self.broken("virtual_ipaddress", None, ConfigRule::TooManyAddresses(limit));
        }
        let mut seen = BTreeSet::new();
        let advertised = instance.addresses.iter().enumerate();
        let excluded = instance.excluded.iter().enumerate();
        let listed = advertised
            .map(|(index, address)| ("virtual_ipaddress", index, address))
            .chain(excluded.map(|(index, address)| ("virtual_ipaddress_excluded", index, address)));
        for (field, index, address) in listed {
            if field == "virtual_ipaddress" && Family::of(address.address) != instance.family {
                self.broken(field, Some(index), ConfigRule::FamilyDiffers(address.address));
            }
            if !seen.insert(address.address) {
                self.broken(field, Some(index), ConfigRule::SameAddress(address.address));
            }
            self.prefix(field, index, address);
        }
        let strict = instance.rules.profile != Profile::DropIn;
        if let Some(VirtualAddress { address: IpAddr::V6(first), .. }) = instance.addresses.first()
            && strict
            && !first.is_unicast_link_local()
        {
            let rule = ConfigRule::FirstAddressNotLinkLocal(IpAddr::V6(*first));
            self.broken("virtual_ipaddress", Some(0), rule);
        }
    }

    fn prefix(&mut self, field: &'static str, index: usize, address: &VirtualAddress) {
        let longest = Family::of(address.address).address_len() as u8 * 8;
        if address.prefix_len > longest {
            self.broken(field, Some(index), ConfigRule::PrefixTooLong(longest));
        }
    }

    /// `fields` are those of routes and of rules; each list has its own indexes.
    fn fib(&mut self, fields: [&'static str; 2], listed: &[FibConfig]) {
        let mut counts = [0; 2];
        let mut seen = BTreeMap::<_, Vec<&FibEntry>>::new();
        for FibConfig { entry, .. } in listed {
            let which = match entry {
                FibEntry::Route(_) => 0,
                FibEntry::Rule(_) => 1,
            };
            let index = Some(counts[which]);
            counts[which] += 1;
            if let Some(mistake) = entry.mistake() {
                self.broken(fields[which], index, mistake);
            }
            let alike = seen.entry(entry.place()).or_default();
            if alike.iter().any(|earlier| earlier.names(entry) || entry.names(earlier)) {
                self.broken(fields[which], index, ConfigRule::SameEntry);
            }
            alike.push(entry);
        }
    }
}
