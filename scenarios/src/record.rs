//! The Record: what an outsider can see of a run, in order of world time.
//!
//! Every world (simulated or real) tells it to a [`Recorder`]; runner, judge and report live on it
//! alone. What an engine says of itself ([`Seen::Engine`]) is a second column beside what is seen
//! on the wire, and the two must agree.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::director::Service;
use vipd_engine::ipvs::Endpoint;
use vipd_engine::{Config, Event, Family, MacAddress};

/// World time: nanoseconds since the run began. No node reads this clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorldTime(pub u64);

impl WorldTime {
    /// The time `by` after this one, at most the last one that can be written.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(whole_nanos(by)))
    }

    /// The time `by` before this one, at least the beginning of the run.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(whole_nanos(by)))
    }

    /// The time since `other`, zero if that is later.
    #[must_use]
    pub const fn since(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for WorldTime {
    /// Seconds with all nine decimals: a nanosecond must not be lost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A duration in nanoseconds, at most 584 years.
#[must_use]
pub fn whole_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A host's place in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u16);

/// A segment's place in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u16);

/// One datagram or frame, numbered as it leaves its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u64);

/// One virtual router on one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterKey {
    /// Where.
    pub segment: SegmentId,
    /// Which family.
    pub family: Family,
    /// VRID as it stands on the wire.
    pub vrid: u8,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When.
    pub at: WorldTime,
    /// Where: the sender, the receiver, or the host that changed.
    pub host: HostId,
    /// What.
    pub seen: Seen,
}

/// An advert as it stands on the wire, read by [`crate::wire`] and not by the engine's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAdvert {
    /// The datagram.
    pub packet: PacketId,
    /// The virtual router.
    pub router: RouterKey,
    /// The host whose process sent it; `None` for an injected one.
    pub sender: Option<HostId>,
    /// Of an injected one: which of the steps of the record that inject sent it, from 0.
    pub injection: Option<u32>,
    /// IP source.
    pub src: IpAddr,
    /// IP destination.
    pub dst: IpAddr,
    /// Version nibble.
    pub version: u8,
    /// Priority octet; 0 resigns.
    pub priority: u8,
    /// Advertised interval.
    pub interval: Duration,
}

/// Why a datagram did not reach a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossReason {
    /// The path is cut.
    Cut,
    /// A `lose` step took it.
    Lost,
    /// A link is down.
    LinkDown,
    /// The receiver is powered off.
    PoweredOff,
    /// It was corrupted on the way and delivered as something else.
    Corrupted,
}

/// What was seen.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A VRRP datagram left this host.
    AdvertSent(SeenAdvert),
    /// A VRRP datagram arrived at this host's port.
    AdvertDelivered(SeenAdvert),
    /// A VRRP datagram for this host was lost.
    AdvertLost(SeenAdvert, LossReason),
    /// The kernel of this host has this address now, or has it no longer.
    Address {
        /// The address.
        address: IpAddr,
        /// Whether it is there.
        present: bool,
    },
    /// The kernel of this host has this route or rule now, or has it no longer.
    Fib {
        /// As the engine prints it.
        entry: Arc<str>,
        /// Whether it is there.
        present: bool,
    },
    /// The kernel of this host has this destination in its IPVS table now, has it with another
    /// weight, or has it no longer.
    Destination {
        /// The service that it belongs to.
        service: Service,
        /// The destination.
        endpoint: Endpoint,
        /// Its weight; `None`: it is gone.
        weight: Option<u32>,
    },
    /// The data plane of this host owns a virtual address now, or no longer: it would answer ARP
    /// or ND for it or accept its traffic (present, link up, machine on and not frozen).
    Owns {
        /// The segment on which it would answer.
        segment: SegmentId,
        /// The virtual address.
        address: IpAddr,
        /// Whether it would.
        owns: bool,
    },
    /// This host said on the wire that `address` is at `mac`: a gratuitous ARP or unsolicited NA.
    Announced {
        /// The segment.
        segment: SegmentId,
        /// The address.
        address: IpAddr,
        /// The MAC.
        mac: MacAddress,
    },
    /// This host answered an ARP request or a neighbour solicitation for `address`.
    Answered {
        /// The segment.
        segment: SegmentId,
        /// The address.
        address: IpAddr,
        /// The MAC that it gave.
        mac: MacAddress,
    },
    /// This host's neighbour cache has this entry now.
    Neighbour {
        /// The segment.
        segment: SegmentId,
        /// The address.
        address: IpAddr,
        /// The MAC in the entry.
        mac: MacAddress,
        /// The host that has this MAC, if any.
        points_to: Option<HostId>,
    },
    /// The VRRP process of this host.
    Process(ProcessChange),
    /// The machine itself.
    Machine(MachineChange),
    /// A link of this host went up or down.
    Link {
        /// The segment it leads to.
        segment: SegmentId,
        /// Whether it passes frames.
        up: bool,
    },
    /// What passes from this host to another one on a segment, whenever it changes.
    Path {
        /// The segment.
        segment: SegmentId,
        /// The other host.
        to: HostId,
        /// Multicast and broadcast frames pass.
        multicast: bool,
        /// Unicast frames pass.
        unicast: bool,
    },
    /// The process of this host now runs this configuration: at its start and at each reload.
    Configured(Arc<Config>),
    /// A probe of this client was answered, or was not.
    Probe {
        /// The virtual address that it asked.
        address: IpAddr,
        /// When the probe left.
        sent: WorldTime,
        /// The host that answered.
        answered_by: Option<HostId>,
    },
    /// A request of this client ended. They are told in the order in which they began.
    Request {
        /// When it began.
        sent: WorldTime,
        /// When it ended, if it was answered; else when it was given up or refused.
        ended: WorldTime,
        /// The real server whose page came.
        answered_by: Option<HostId>,
    },
    /// The engine of this host said so itself.
    Engine(Event),
    /// The engine dropped a datagram; carries the name of its reason.
    Dropped(&'static str),
    /// A step of the scenario was applied. `host` is its (first) subject.
    Step(Arc<crate::scenario::TimedStep>),
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessChange {
    /// It was started.
    Started,
    /// It was asked to stop (SIGTERM).
    Stopping,
    /// It ended in good order.
    Stopped,
    /// It was killed (SIGKILL).
    Killed,
    /// It was paused (SIGSTOP).
    Paused,
    /// It goes on (SIGCONT).
    Resumed,
}

/// What happened to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MachineChange {
    /// Power came.
    On,
    /// Power went: process, addresses and caches are gone.
    Off,
    /// Process and kernel stand still.
    Frozen {
        /// Its clock stands still too.
        clock: bool,
    },
    /// It goes on.
    Thawed,
}

/// Hears a run.
pub trait Recorder {
    /// Called for each observation, in order of time.
    fn observe(&mut self, observation: &Observation);
}

/// Keeps everything, for tests.
impl Recorder for Vec<Observation> {
    fn observe(&mut self, observation: &Observation) {
        self.push(observation.clone());
    }
}

/// Two who hear the same.
impl<A: Recorder, B: Recorder> Recorder for (A, B) {
    fn observe(&mut self, observation: &Observation) {
        self.0.observe(observation);
        self.1.observe(observation);
    }
}

/// Who is lent out hears as well.
impl<R: Recorder + ?Sized> Recorder for &mut R {
    fn observe(&mut self, observation: &Observation) {
        (**self).observe(observation);
    }
}

/// What is known of a run before it begins, and does not change.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Hosts, by [`HostId`].
    pub hosts: Vec<HostSetting>,
    /// Segments, by [`SegmentId`].
    pub segments: Vec<SegmentSetting>,
    /// Largest lateness of a timer or packet handler that the scenario allows (`L`).
    pub lateness: Duration,
    /// Largest clock-rate error, in parts per billion (`r`).
    pub rate_error_ppb: u32,
    /// Time from "leave master" to the address really gone (`R`): the slowest kernel command.
    pub release: Duration,
    /// What a real world may be late by; zero in a simulated one. Widens windows, never
    /// expectations.
    pub tolerance: Duration,
    /// Whether the Record has the routes and rules of kernels.
    pub routes_seen: bool,
    /// Whether it has the IPVS tables of kernels.
    pub tables_seen: bool,
}

/// One host.
#[derive(Clone, Debug)]
pub struct HostSetting {
    /// Its name.
    pub name: Arc<str>,
    /// Its addresses by segment, the primary one of a family first. IPv6: the link-local one too.
    pub addresses: Vec<(SegmentId, IpAddr)>,
    /// Its interfaces by name, and where each leads: a configuration names interfaces.
    pub interfaces: Vec<(Arc<str>, SegmentId)>,
    /// Whether it runs VRRP (otherwise it is a client or a bystander).
    pub runs_vrrp: bool,
    /// Whether its engine's own word is in the Record. Otherwise the wire alone tells what it is.
    pub speaks: bool,
}

/// One segment.
#[derive(Clone, Debug)]
pub struct SegmentSetting {
    /// Its name.
    pub name: Arc<str>,
    /// Smallest one-way delay of what is delivered (`d`), over the whole run.
    pub min_delay: Duration,
    /// Largest one-way delay of what is delivered (`D`), over the whole run.
    pub max_delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn world_time_saturates_at_both_ends_and_prints_every_nanosecond() {
        let at = WorldTime(10_613_381_250);
        assert_eq!(at.to_string(), "10.613381250");
        assert_eq!(at.earlier(Duration::MAX), WorldTime(0));
        assert_eq!(at.later(Duration::MAX), WorldTime(u64::MAX));
        assert_eq!(at.since(at.later(Duration::from_nanos(1))), Duration::ZERO);
        assert_eq!(at.later(Duration::from_nanos(1)).since(at), Duration::from_nanos(1));
    }
}
