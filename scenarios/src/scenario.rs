//! A scenario as data: hosts, links, timed steps, and what must be seen. Reading it from TOML is
//! in [`crate::language`].

use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::ipvs::Endpoint;
use vipd_engine::{Family, Order, StateKind, TrackerValue};

use crate::judge::{PropertyId, Verdict};
use crate::record::{HostId, SegmentId, WorldTime};

/// One rehearsal: a topology, what is done to it, what must be seen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Path without extension below the scenario folder, such as `failover/pkill-master`.
    pub name: String,
    /// One sentence: what it shows.
    pub title: String,
    /// Fault classes of the catalogue, 1 to 20; empty for a run without a fault.
    pub fault_classes: Vec<u8>,
    /// What a real kernel must have for it. A simulated world plays it without.
    pub needs: Vec<Need>,
    /// Seed of the links' randomness unless the command line has another.
    pub seed: u64,
    /// When it ends.
    pub until: WorldTime,
    /// Segments, by [`SegmentId`].
    pub segments: Vec<Segment>,
    /// Hosts, by [`HostId`].
    pub hosts: Vec<Host>,
    /// Steps in order of time; steps of one time in order of the file.
    pub steps: Vec<Arc<TimedStep>>,
    /// What must be seen.
    pub expectations: Vec<Expectation>,
    /// The properties that judge it and the verdict each must get.
    pub properties: Vec<(PropertyId, Verdict)>,
}

/// A part of Linux that not every kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// IPVS: the virtual servers of the configurations are served, too.
    Ipvs,
    /// The queueing discipline netem.
    Netem,
}

impl Need {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ipvs, Self::Netem];

    /// Its name in a scenario file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipvs => "ipvs",
            Self::Netem => "netem",
        }
    }
}

/// A broadcast domain.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its name.
    pub name: Arc<str>,
    /// What a frame on it suffers until a step changes that.
    pub conditions: Conditions,
}

/// What happens to frames between two ports. Probabilities are parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Shortest one-way delay.
    pub delay: Duration,
    /// Uniform random addition to it.
    pub jitter: Duration,
    /// A later frame may overtake an earlier one. Without it jitter keeps the order.
    pub reorder: bool,
    /// A frame arrives twice.
    pub duplicate_ppm: u32,
    /// One bit of a frame is flipped.
    pub corrupt_ppm: u32,
    /// A frame is lost.
    pub loss_ppm: u32,
}

impl Default for Conditions {
    /// A quiet LAN: 100 µs, nothing else.
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(100),
            jitter: Duration::ZERO,
            reorder: false,
            duplicate_ppm: 0,
            corrupt_ppm: 0,
            loss_ppm: 0,
        }
    }
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name, also the config-id of its keepalived.conf.
    pub name: Arc<str>,
    /// Its keepalived.conf; a host without one runs no VRRP.
    pub config: Option<PathBuf>,
    /// The process is started with the run; otherwise a `start` step does it.
    pub started: bool,
    /// Its kernel sends on what is for somebody else (`ip_forward`).
    pub forwards: bool,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Asks for a virtual address at an interval.
    pub probe: Option<Probe>,
    /// Asks a virtual server for a page, again and again.
    pub requests: Option<Requests>,
}

/// A port of a host.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is plugged in.
    pub segment: SegmentId,
    /// Its addresses with prefix lengths; the first of a family is the primary one. An IPv6
    /// link-local address is made up from the MAC if none is given.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// What a client asks.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The virtual address.
    pub address: IpAddr,
    /// How often.
    pub every: Duration,
}

/// What a user of a virtual server asks: a page by HTTP, each time on a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// The virtual address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// How often. A request begins on time whatever became of those before it.
    pub every: Duration,
    /// As an ordinary client does it: TCP sends again what is lost, and the next request waits for
    /// the end of the one before it. Otherwise a request is given up after [`Requests::LIMIT`].
    pub patient: bool,
}

impl Requests {
    /// After this long a request counts as failed, unless its client is patient. It is shorter than
    /// the second after which TCP sends a lost SYN again (RFC 6298 section 2).
    pub const LIMIT: Duration = Duration::from_millis(500);
}

/// A step and its time.
#[derive(Clone, Debug)]
pub struct TimedStep {
    /// When.
    pub at: WorldTime,
    /// What.
    pub step: Step,
    /// Octets of the scenario file that it stands in, for diagnostics.
    pub span: Range<usize>,
}

/// Which directed paths between ports a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    /// All of them.
    All,
    /// Both ways between the two sides, each a set of hosts.
    Between(Vec<HostId>, Vec<HostId>),
    /// One way.
    FromTo(Vec<HostId>, Vec<HostId>),
}

/// One action. A fault schedule is a list of these and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start the process.
    Start(HostId),
    /// SIGTERM.
    Stop(HostId),
    /// SIGKILL: the addresses stay.
    Kill(HostId),
    /// SIGSTOP: inputs wait, the kernel goes on.
    Pause(HostId),
    /// SIGCONT.
    Resume(HostId),
    /// Process and kernel stand still; by option the clock too.
    Freeze {
        /// The machine.
        host: HostId,
        /// Its clock stands still too.
        clock: bool,
    },
    /// A frozen machine goes on.
    Thaw(HostId),
    /// Power off: addresses and caches are gone.
    PowerOff(HostId),
    /// Power on; the process starts.
    PowerOn(HostId),
    /// Nothing passes any more.
    Cut(Paths),
    /// Multicast and broadcast do not pass any more, unicast does.
    CutMulticast(Paths),
    /// Everything passes again.
    Heal(Paths),
    /// The next adverts are lost.
    Lose {
        /// Where.
        paths: Paths,
        /// How many on each path.
        count: u32,
    },
    /// New conditions.
    Conditions {
        /// Where.
        paths: Paths,
        /// The conditions.
        conditions: Conditions,
    },
    /// Carrier goes.
    LinkDown {
        /// Whose.
        host: HostId,
        /// Name of the interface.
        interface: Arc<str>,
    },
    /// Carrier comes.
    LinkUp {
        /// Whose.
        host: HostId,
        /// Name of the interface.
        interface: Arc<str>,
    },
    /// Somebody else removes an address.
    RemoveAddress {
        /// From where.
        host: HostId,
        /// Which.
        address: IpAddr,
    },
    /// Somebody else removes a route or a rule.
    RemoveEntry {
        /// From where.
        host: HostId,
        /// Which, as the engine prints it: `route 10.1.0.0/16 via 10.0.0.254`.
        entry: Arc<str>,
    },
    /// SIGHUP with another file in place.
    Reload {
        /// Whose.
        host: HostId,
        /// The new file.
        config: PathBuf,
        /// It cannot be used: nothing changes, and who starts later reads the file before it.
        refused: bool,
    },
    /// The clock runs fast (positive) or slow, in parts per million.
    ClockDrift {
        /// Whose.
        host: HostId,
        /// By how much.
        ppm: i32,
    },
    /// The wall clock jumps. Protocol timers do not use it.
    WallClockJump {
        /// Whose.
        host: HostId,
        /// By how many seconds.
        seconds: i64,
    },
    /// Every timer and packet handler runs late by up to this much.
    Late {
        /// Whose.
        host: HostId,
        /// At most.
        by: Duration,
    },
    /// The virtual-MAC interface comes up by itself.
    FlapVirtualMac {
        /// Whose.
        host: HostId,
        /// Name of the macvlan.
        interface: Arc<str>,
    },
    /// A tracked script, file or process has a new value.
    Tracker {
        /// Whose.
        host: HostId,
        /// Which.
        name: Arc<str>,
        /// Its value.
        value: TrackerValue,
    },
    /// An operator orders something of a virtual router.
    Operator {
        /// Whose.
        host: HostId,
        /// Which one.
        instance: Arc<str>,
        /// What.
        order: Order,
    },
    /// A real server does something else to whoever asks it, from now on.
    Server {
        /// Which one.
        host: HostId,
        /// What.
        conduct: Conduct,
    },
    /// The next kernel commands fail.
    KernelFails {
        /// Whose.
        host: HostId,
        /// How many.
        count: u32,
    },
    /// Kernel commands take this long from now on.
    KernelLate {
        /// Whose.
        host: HostId,
        /// How long.
        by: Duration,
    },
    /// Somebody on the segment sends adverts, or what should have been some.
    Inject(Box<Injection>),
}

/// What a real server does to whoever asks it: a health check, in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It answers as the check wants it.
    #[default]
    Answers,
    /// Its machine is up and nobody listens (RST, ICMP port unreachable).
    Refuses,
    /// A router says that there is no way.
    Unreachable,
    /// Nothing comes back, as from a dead machine.
    Silent,
    /// It takes connections and says nothing on them. Datagrams are lost.
    Hangs,
    /// It answers an octet at a time.
    Drips {
        /// From one to the next.
        every: Duration,
    },
    /// It answers for a while, refuses for a while, and so on.
    Flaps {
        /// How long it answers, first.
        good: Duration,
        /// How long it refuses.
        bad: Duration,
    },
    /// It answers something else: another status, another code, other octets. A connection alone
    /// and an echo are still good.
    Lies,
    /// It takes a connection and resets it at the first octet.
    Resets,
    /// It takes a connection and closes it without an answer.
    Closes,
}

impl Conduct {
    /// The names that a scenario has for them, those that need no more first.
    pub const NAMES: [&str; 10] = [
        "answers",
        "refuses",
        "unreachable",
        "silent",
        "hangs",
        "lies",
        "resets",
        "closes",
        "drips",
        "flaps",
    ];

    /// Its name in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Refuses => "refuses",
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::Hangs => "hangs",
            Self::Lies => "lies",
            Self::Resets => "resets",
            Self::Closes => "closes",
            Self::Drips { .. } => "drips",
            Self::Flaps { .. } => "flaps",
        }
    }
}

/// Datagrams of somebody who runs no engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Where.
    pub segment: SegmentId,
    /// IP source.
    pub src: IpAddr,
    /// IP destination.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IP protocol or next header; 112 is VRRP.
    pub protocol: u8,
    /// What stands behind the IP header.
    pub message: Message,
    /// How many.
    pub count: u32,
    /// Time between two of them.
    pub every: Duration,
}

/// What is injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An advert that is made from its fields.
    Advert(AdvertFields),
    /// These octets as they are.
    Octets(Vec<u8>),
}

/// The fields of an injected advert. Any of them may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertFields {
    /// Version nibble.
    pub version: u8,
    /// VRID.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Interval field as it goes on the wire: seconds in v2, centiseconds in v3.
    pub interval: u16,
    /// v2 authentication type.
    pub auth_type: u8,
    /// v2 authentication data.
    pub auth_data: [u8; 8],
    /// The address list.
    pub addresses: Vec<IpAddr>,
    /// Added to the right checksum; 0 for a valid advert.
    pub checksum_error: u16,
}

/// Something that must be seen.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The window, both ends included.
    pub window: (WorldTime, WorldTime),
    /// What.
    pub expect: Expect,
    /// Octets of the scenario file that it stands in, for diagnostics.
    pub span: Range<usize>,
}

/// What must be seen in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// All through the window exactly these hosts are master of the virtual router.
    Masters {
        /// VRID; `None` if the scenario has one virtual router only.
        router: Option<(Family, u8)>,
        /// The hosts.
        hosts: Vec<HostId>,
    },
    /// All through the window the data planes of exactly these hosts own the address.
    Owners {
        /// The virtual address.
        address: IpAddr,
        /// The hosts.
        hosts: Vec<HostId>,
    },
    /// All through the window the kernels of exactly these hosts have the route or rule.
    Holders {
        /// As the engine prints it.
        entry: Arc<str>,
        /// The hosts.
        hosts: Vec<HostId>,
    },
    /// All through the window exactly these real servers get connections of the service.
    Pool {
        /// Whose kernel sends them.
        host: HostId,
        /// As it prints; `None` if the host has one service only.
        service: Option<Arc<str>>,
        /// The real servers.
        servers: Vec<Endpoint>,
    },
    /// Within the window the host enters this state, exactly once.
    Enters {
        /// The host.
        host: HostId,
        /// VRID; `None` if the host has one instance only.
        router: Option<(Family, u8)>,
        /// The state.
        state: StateKind,
    },
    /// Within the window the engine of the host reports this.
    Event {
        /// The host.
        host: HostId,
        /// [`vipd_engine::News::name`], for a mismatch `mismatch/NAME`.
        name: String,
        /// How many times; `None`: at least once.
        times: Option<u32>,
    },
    /// No gap between two answers that begins in the window is longer than this.
    ClientGap {
        /// The client.
        host: HostId,
        /// Of probes: from the last answered one before the gap to the first answered one after
        /// it. Of requests: from answer to answer.
        at_most: Duration,
    },
    /// No run of failed requests that begins in the window is longer than this.
    Outage {
        /// The client.
        host: HostId,
        /// From the beginning of the first one that fails to that of the first one that does not.
        at_most: Duration,
    },
    /// Within the window at least one probe or request is answered by this host.
    AnsweredBy {
        /// The client.
        client: HostId,
        /// Who answers.
        host: HostId,
    },
}
