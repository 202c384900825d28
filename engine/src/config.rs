//! A checked configuration: what [`crate::Input::Configure`] carries.
//!
//! A range stands in its type ([`crate::names`]); a rule across fields stands in `check`, is
//! applied by [`Config::new`], and its error carries the path of the field. Turning
//! `keepalived.conf` text into these settings, with spans and advice, is another crate's work.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{
    Family, GroupName, InstanceName, InterfaceName, Interval, Password, Priority, TrackerName,
    Version, Vrid,
};
use crate::rules::Rules;

mod check;
pub mod director;
pub mod fib;
pub mod health;

pub use check::{CheckRule, ConfigError, ConfigPath, ConfigRule, ServerRule};
pub use director::{DirectorConfig, VirtualServer};
pub use fib::{FibConfig, FibEntry};

/// The shortest and the longest hold-down of `one_way_yield`.
pub const HOLD_DOWN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(86_400)];
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Most unicast peers of one instance: each of them is answered for by itself.
pub const MAX_PEERS: usize = 255;

/// One unicast peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tracked {
    /// Carrier of an interface (`track_interface`).
    Interface(InterfaceName),
    /// A script, file or process (`track_script`, `track_file`, `track_process`).
    Tracker(TrackerName),
}

/// A watched thing and its weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// What is watched.
    pub tracked: Tracked,
    /// What it does.
    pub weight: Weight,
}

/// Adverts leave from a macvlan that carries the virtual router's MAC (`use_vmac`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VirtualMac {
    /// Name of the macvlan.
    pub interface: InterfaceName,
    /// Adverts leave from the parent interface all the same (`vmac_xmit_base`).
    pub transmit_from_parent: bool,
}

/// One virtual router on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Routes, then rules (`virtual_routes`, `virtual_rules`). They come after the addresses.
    #[serde(default)]
    pub fib: Vec<FibConfig>,
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
    /// At that alarm it yields, and preempts nobody for so long (`one_way_yield`); `None`: it stays
    /// Master beside the rival.
    #[serde(default)]
    pub one_way_yield: Option<Duration>,
    /// Each lower master that it hears as Master is told (`notify_master_rx_lower_pri`).
    pub tells_lower_priority: bool,
    /// The addresses can be reached no longer than this after the last advert that the kernel
    /// accepted (`dead_man`, property S8); `None`: for as long as the kernel has them.
    #[serde(default)]
    pub dead_man: Option<Duration>,
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
            fib: Vec::new(),
            preempt: true,
            preempt_delay: Duration::ZERO,
            down_timer_adverts: 3,
            announcements: Announcements::default(),
            tracks: Vec::new(),
            ignore_primary_link: false,
            virtual_mac: None,
            rules: Rules::default(),
            one_way_alarm: 3,
            one_way_yield: None,
            tells_lower_priority: false,
            dead_man: None,
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

    /// Its addresses, each with the interface that their frames come by: a macvlan's frames are
    /// those of the interface below it.
    pub(crate) fn places(&self) -> Vec<(InterfaceName, IpAddr)> {
        let addresses = self.addresses.iter().chain(&self.excluded);
        let places = addresses.map(|address| {
            let own = self.virtual_mac.as_ref().map(|macvlan| &macvlan.interface);
            let other = address.interface.as_ref().filter(|name| Some(*name) != own);
            (other.unwrap_or(&self.interface).clone(), address.address)
        });
        places.collect()
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// What stands as long as the configuration says so, whoever is master (`static_ipaddress`,
/// `static_routes`, `static_rules`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticConfig {
    /// Addresses, each with its interface.
    pub addresses: Vec<(InterfaceName, VirtualAddress)>,
    /// Routes, then rules.
    pub fib: Vec<FibConfig>,
}

/// A configuration in which every rule across fields holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Config {
    instances: Vec<Arc<InstanceConfig>>,
    groups: Vec<GroupConfig>,
    startup_delay: Duration,
    statics: StaticConfig,
    director: Arc<DirectorConfig>,
}

/// A configuration as it was written down, by whomever.
#[derive(Deserialize)]
struct Unchecked {
    instances: Vec<InstanceConfig>,
    groups: Vec<GroupConfig>,
    startup_delay: Duration,
    #[serde(default)]
    statics: StaticConfig,
    #[serde(default)]
    director: DirectorConfig,
}

impl TryFrom<Unchecked> for Config {
    type Error = ConfigError;

    /// The first of the broken rules is the error.
    fn try_from(read: Unchecked) -> Result<Self, ConfigError> {
        let Unchecked { instances, groups, startup_delay, statics, director } = read;
        let config = Self::new(instances, groups, startup_delay);
        let config = config.and_then(|config| config.with_static(statics));
        let config = config.and_then(|config| config.with_director(director));
        config.map_err(|mut errors| errors.remove(0))
    }
}

impl InstanceConfig {
    /// The first rule within this block that does not hold.
    pub(crate) fn broken_rule(&self) -> Option<ConfigError> {
        check::all(core::slice::from_ref(self), &[]).into_iter().next()
    }
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
        let errors = check::all(&instances, &groups);
        if errors.is_empty() {
            let instances = instances.into_iter().map(Arc::new).collect();
            Ok(Self { instances, groups, startup_delay, ..Self::default() })
        } else {
            Err(errors)
        }
    }

    /// The same with what stands whoever is master.
    ///
    /// # Errors
    /// All the broken rules, in the order of the lists.
    pub fn with_static(self, statics: StaticConfig) -> Result<Self, Vec<ConfigError>> {
        let errors = check::statics(&statics);
        if errors.is_empty() { Ok(Self { statics, ..self }) } else { Err(errors) }
    }

    /// The same with virtual servers.
    ///
    /// # Errors
    /// All the broken rules, in the order of the blocks.
    pub fn with_director(self, director: DirectorConfig) -> Result<Self, Vec<ConfigError>> {
        let errors = check::director(&director, &self.instances);
        let director = Arc::new(director);
        if errors.is_empty() { Ok(Self { director, ..self }) } else { Err(errors) }
    }

    /// The same without virtual servers: an engine that is told no other one checks nobody, leaves
    /// the kernel's table alone, and lets no virtual router depend on it.
    #[must_use]
    pub fn without_director(&self) -> Self {
        Self { director: Arc::default(), ..self.clone() }
    }

    /// Virtual servers and what concerns IPVS as a whole.
    #[must_use]
    pub const fn director(&self) -> &Arc<DirectorConfig> {
        &self.director
    }

    /// What stands whoever is master.
    #[must_use]
    pub const fn statics(&self) -> &StaticConfig {
        &self.statics
    }

    /// Every route and rule of it.
    pub fn fib(&self) -> impl Iterator<Item = &FibEntry> {
        let instances = self.instances.iter().flat_map(|instance| &instance.fib);
        self.statics.fib.iter().chain(instances).map(|configured| &configured.entry)
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
