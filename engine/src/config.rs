//! A checked configuration: what [`crate::Input::Configure`] carries.
//!
//! A range stands in its type ([`crate::names`]); a rule across fields stands here, in
//! [`Config::new`], and its error carries the path of the field. Turning `keepalived.conf` text
//! into these settings, with spans and advice, is another crate's work.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::names::{
    Family, GroupName, InstanceName, InterfaceName, Interval, Password, Priority, TrackerName,
    Version, Vrid,
};
use crate::rules::{Profile, Rules};

/// The IPv4 group of VRRP (RFC 3768 section 5.2.2).
pub const MULTICAST_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group of VRRP (RFC 5798 section 5.1.2.2).
pub const MULTICAST_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// Most addresses of one advert: the count is one octet.
pub const MAX_ADDRESSES_V4: usize = 255;
/// Most IPv6 addresses of one advert at an MTU of 1500: (1500 - 40 - 8) / 16.
pub const MAX_ADDRESSES_V6: usize = 90;

/// What makes an instance the same one across a reload: never its name, never its position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Address family.
    pub family: Family,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Interface that carries the adverts.
    pub interface: InterfaceName,
    /// Multicast group, or unicast source (unspecified: the interface's primary address).
    pub endpoint: IpAddr,
}

/// How adverts travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// To a group on the link, TTL 255 both ways.
    Multicast {
        /// The group, [`MULTICAST_GROUP_V4`] or [`MULTICAST_GROUP_V6`] unless configured.
        group: IpAddr,
        /// Source address; the interface's primary address if `None` (`mcast_src_ip`).
        source: Option<IpAddr>,
    },
    /// To each peer by itself, as keepalived does. No RFC knows this.
    Unicast {
        /// Source address; the interface's primary address if `None` (`unicast_src_ip`).
        source: Option<IpAddr>,
        /// The other routers.
        peers: Vec<Peer>,
        /// TTL or hop limit of what we send (`unicast_ttl`).
        ttl: u8,
    },
}

/// One unicast peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Adverts that arrive with less are dropped (`min_ttl`).
    pub min_ttl: Option<u8>,
    /// Adverts that arrive with more are dropped (`max_ttl`).
    pub max_ttl: Option<u8>,
    /// The v3 checksum of this peer may be computed over the multicast group instead of our
    /// address, as keepalived before 1.3.6 did (`old_unicast_checksum`).
    pub old_unicast_checksum: bool,
}

impl Peer {
    /// A peer without any of the per-peer options.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self { address, min_ttl: None, max_ttl: None, old_unicast_checksum: false }
    }
}

/// One virtual address and how the kernel is to hold it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length, 32 or 128 unless configured.
    pub prefix_len: u8,
    /// Interface that gets it; the instance's own if `None` (`dev`).
    pub interface: Option<InterfaceName>,
    /// Interface label (`label`), IPv4 only.
    pub label: Option<String>,
    /// Broadcast address (`brd`), IPv4 only.
    pub broadcast: Option<Ipv4Addr>,
    /// Kernel scope number: 0 global, 200 site, 253 link, 254 host (`scope`).
    pub scope: u8,
}

impl VirtualAddress {
    /// An address with a full-length prefix and no options.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        let prefix_len = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self { address, prefix_len, interface: None, label: None, broadcast: None, scope: 0 }
    }
}

/// When and how often addresses are announced by gratuitous ARP or unsolicited NA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcements {
    /// Second burst this long after the first; zero: none (`garp_master_delay`).
    pub delay: Duration,
    /// Frames per address in a burst (`garp_master_repeat`).
    pub repeat: u8,
    /// Repeated for as long as the instance is master (`garp_master_refresh`); `None`: never.
    /// DEVIATION: 60 s by default, 0 in keepalived, so that a stale neighbour cache is repaired.
    pub refresh: Option<Duration>,
    /// Frames per address in a refresh (`garp_master_refresh_repeat`).
    pub refresh_repeat: u8,
    /// Second burst after a lower priority was heard (`garp_lower_prio_delay`).
    pub lower_priority_delay: Duration,
    /// Frames per address after a lower priority was heard (`garp_lower_prio_repeat`).
    pub lower_priority_repeat: u8,
}

impl Announcements {
    /// The time between two refreshes. Zero is "never", as in keepalived: a refresh that is due
    /// again at once would never end.
    #[must_use]
    pub fn refresh(&self) -> Option<Duration> {
        self.refresh.filter(|refresh| !refresh.is_zero())
    }
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: Some(Duration::from_secs(60)),
            refresh_repeat: 1,
            lower_priority_delay: Duration::from_secs(5),
            lower_priority_repeat: 5,
        }
    }
}

/// What a tracked thing's state does to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// 0: failure means FAULT. Positive: added while good. Negative: added while bad.
    pub value: i16,
    /// Swaps good and bad.
    pub reverse: bool,
}

impl Weight {
    /// Failure means FAULT.
    pub const FAULT: Self = Self { value: 0, reverse: false };
}

/// What an instance or a group watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tracked {
    /// Carrier of an interface (`track_interface`).
    Interface(InterfaceName),
    /// A script, file or process (`track_script`, `track_file`, `track_process`).
    Tracker(TrackerName),
}

/// A watched thing and its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What is watched.
    pub tracked: Tracked,
    /// What it does.
    pub weight: Weight,
}

/// Adverts leave from a macvlan that carries the virtual router's MAC (`use_vmac`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualMac {
    /// Name of the macvlan.
    pub interface: InterfaceName,
    /// Adverts leave from the parent interface all the same (`vmac_xmit_base`).
    pub transmit_from_parent: bool,
}

/// One virtual router on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceConfig {
    /// Name of the block.
    pub name: InstanceName,
    /// Address family.
    pub family: Family,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Interface that carries the adverts.
    pub interface: InterfaceName,
    /// Protocol version.
    pub version: Version,
    /// Configured priority.
    pub priority: Priority,
    /// Advertisement_Interval.
    pub interval: Interval,
    /// How adverts travel.
    pub transport: Transport,
    /// v2 PASS authentication.
    pub password: Option<Password>,
    /// Addresses that stand in the advert, in their order.
    pub addresses: Vec<VirtualAddress>,
    /// Addresses that do not (`virtual_ipaddress_excluded`), of any family.
    pub excluded: Vec<VirtualAddress>,
    /// Preempt_Mode. The owner always preempts.
    pub preempt: bool,
    /// How long a lower master is left alone after its first advert was heard.
    pub preempt_delay: Duration,
    /// Multiplier in `Master_Down_Interval` (`down_timer_adverts`, 3 in every RFC).
    pub down_timer_adverts: u8,
    /// Announcement schedule.
    pub announcements: Announcements,
    /// What is watched.
    pub tracks: Vec<Track>,
    /// Carrier of `interface` does not matter (`dont_track_primary`).
    pub ignore_primary_link: bool,
    /// Virtual router MAC mode.
    pub virtual_mac: Option<VirtualMac>,
    /// Choices between the RFCs and keepalived.
    pub rules: Rules,
    /// Asserted adverts to the same deaf rival before the one-way alarm (property S10).
    pub one_way_alarm: u8,
}

impl InstanceConfig {
    /// An instance with every default in place: v2 for IPv4 and v3 for IPv6, multicast, priority
    /// 100, one second, preempting, no address yet.
    #[must_use]
    pub fn new(name: &str, family: Family, interface: &str, vrid: Vrid) -> Self {
        let (version, group) = match family {
            Family::Ipv4 => (Version::V2, IpAddr::V4(MULTICAST_GROUP_V4)),
            Family::Ipv6 => (Version::V3, IpAddr::V6(MULTICAST_GROUP_V6)),
        };
        Self {
            name: InstanceName::new(name),
            family,
            vrid,
            interface: InterfaceName::new(interface),
            version,
            priority: Priority::DEFAULT,
            interval: Interval::DEFAULT,
            transport: Transport::Multicast { group, source: None },
            password: None,
            addresses: Vec::new(),
            excluded: Vec::new(),
            preempt: true,
            preempt_delay: Duration::ZERO,
            down_timer_adverts: 3,
            announcements: Announcements::default(),
            tracks: Vec::new(),
            ignore_primary_link: false,
            virtual_mac: None,
            rules: Rules::default(),
            one_way_alarm: 3,
        }
    }

    /// What makes this the same instance across a reload.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let unspecified = match self.family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Identity {
            family: self.family,
            vrid: self.vrid,
            interface: self.interface.clone(),
            endpoint: match &self.transport {
                Transport::Multicast { group, .. } => *group,
                Transport::Unicast { source, .. } => source.unwrap_or(unspecified),
            },
        }
    }

    /// The configured source of adverts, if any.
    #[must_use]
    pub const fn source(&self) -> Option<IpAddr> {
        match &self.transport {
            Transport::Multicast { source, .. } | Transport::Unicast { source, .. } => *source,
        }
    }
}

/// Instances that change state together (`vrrp_sync_group`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Name of the block.
    pub name: GroupName,
    /// Its members.
    pub members: Vec<InstanceName>,
    /// What the group watches on behalf of each member.
    pub tracks: Vec<Track>,
    /// Non-zero weights count inside the group (`sync_group_tracking_weight`).
    pub tracking_weight: bool,
}

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
        write!(f, "{} {} / {}", self.block.0, self.block.1, self.field)?;
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
    /// Unicast without a peer.
    NoPeer,
    /// Not a multicast group.
    NotAGroup(IpAddr),
    /// A multiplier of 0.
    NoDownTimer,
    /// A group member that no instance is called.
    UnknownMember(InstanceName),
    /// An instance in two groups; carries the other one's name.
    InTwoGroups(GroupName),
    /// The first IPv6 address is not link-local, under rules that demand it.
    FirstAddressNotLinkLocal(IpAddr),
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
            Self::NoPeer => f.write_str("unicast needs at least one peer"),
            Self::NotAGroup(address) => write!(f, "{address} is not a multicast group"),
            Self::NoDownTimer => f.write_str("the down timer needs at least one advert"),
            Self::UnknownMember(name) => write!(f, "no instance is called {name}"),
            Self::InTwoGroups(other) => write!(f, "already a member of {other}"),
            Self::FirstAddressNotLinkLocal(address) => {
                write!(f, "{address} is not link-local, and the first IPv6 address must be")
            }
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

/// A configuration in which every rule across fields holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    instances: Vec<Arc<InstanceConfig>>,
    groups: Vec<GroupConfig>,
    startup_delay: Duration,
}

impl Config {
    /// Checks every rule across fields.
    ///
    /// # Errors
    /// All the broken rules, in the order of the blocks.
    pub fn new(
        instances: Vec<InstanceConfig>,
        groups: Vec<GroupConfig>,
        startup_delay: Duration,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut identities = BTreeMap::new();
        let mut names = BTreeSet::new();
        for instance in &instances {
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
        }
        let mut grouped = BTreeMap::new();
        for group in &groups {
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
        if errors.is_empty() {
            let instances = instances.into_iter().map(Arc::new).collect();
            Ok(Self { instances, groups, startup_delay })
        } else {
            Err(errors)
        }
    }

    /// The virtual routers, in the order of the file.
    #[must_use]
    pub fn instances(&self) -> &[Arc<InstanceConfig>] {
        &self.instances
    }

    /// The sync groups, in the order of the file.
    #[must_use]
    pub fn groups(&self) -> &[GroupConfig] {
        &self.groups
    }

    /// How long after a start adverts are ignored and nobody becomes master.
    #[must_use]
    pub const fn startup_delay(&self) -> Duration {
        self.startup_delay
    }
}

fn instance_block(instance: &InstanceConfig) -> (&'static str, String) {
    ("vrrp_instance", instance.name.to_string())
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
            let longest = Family::of(address.address).address_len() as u8 * 8;
            if address.prefix_len > longest {
                self.broken(field, Some(index), ConfigRule::PrefixTooLong(longest));
            }
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
}
