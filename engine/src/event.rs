//! The engine's news: for logs, notify scripts, timelines and reports. The engine does not log.

use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{FibEntry, Tracked};
use crate::director;
use crate::input::{EffectError, Order};
use crate::names::{GroupName, InstanceName, Interval, Priority, Vrid};
use crate::output::KernelCommand;
use crate::vrrp::drop_reason::DropReason;
use crate::vrrp::vanishing::{LOSSES, WITHIN};

/// The states of RFC 3768 section 6.4, and FAULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StateKind {
    /// Not started.
    Initialize,
    /// Listening.
    Backup,
    /// Master (RFC 3768, 5798), Active (RFC 9568).
    Master,
    /// Started, but something it needs is missing.
    Fault,
}

impl StateKind {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Initialize, Self::Backup, Self::Master, Self::Fault];

    /// The name in timelines and JSON: `init`, `backup`, `master`, `fault`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "init",
            Self::Backup => "backup",
            Self::Master => "master",
            Self::Fault => "fault",
        }
    }

    /// Every word for a state: its name, and `active`, which is what RFC 9568 calls a master.
    pub fn words() -> impl Iterator<Item = (&'static str, Self)> {
        let names = Self::ALL.into_iter().map(|state| (state.name(), state));
        names.chain([("active", Self::Master)])
    }

    /// The state that a word means. Whatever takes a state from people reads it here.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::words().find(|(known, _)| *known == word).map(|(_, state)| state)
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something an instance needs and does not have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// Its interface does not exist.
    InterfaceMissing,
    /// Its interface passes nothing.
    LinkDown,
    /// Its interface has no address to send from.
    NoPrimaryAddress,
    /// A thing with weight 0 is bad.
    Tracked(Watched),
    /// A thing with weight 0 has not reported yet.
    TrackerPending(Watched),
    /// Three adverts in a row were refused.
    SendsRefused,
    /// As Master it lost this address [`LOSSES`] times within [`WITHIN`]: somebody removes it again
    /// and again. It is tried again after [`QUIET`](crate::vrrp::vanishing::QUIET).
    AddressVanishes(IpAddr),
    /// Another member of the sync group is in FAULT.
    Group(GroupName),
    /// A virtual server has this address of it, and the kernel has no IPVS: whatever came to the
    /// address would end here.
    NoIpvs(IpAddr),
    /// The kernel did not take the gate that `dead_man` asks for. Without it the addresses could
    /// outlive this engine. It is tried again after a second.
    NoGate,
}

/// Name of a watched thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Watched(pub alloc::sync::Arc<str>);

impl From<&Tracked> for Watched {
    fn from(tracked: &Tracked) -> Self {
        match tracked {
            Tracked::Interface(name) => Self(name.as_str().into()),
            Tracked::Tracker(name) => Self(name.as_str().into()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceMissing => f.write_str("interface is missing"),
            Self::LinkDown => f.write_str("link is down"),
            Self::NoPrimaryAddress => f.write_str("interface has no address to send from"),
            Self::Tracked(name) => write!(f, "{} is down", name.0),
            Self::TrackerPending(name) => write!(f, "{} has not reported yet", name.0),
            Self::SendsRefused => f.write_str("adverts are refused"),
            Self::AddressVanishes(address) => {
                let within = Seconds(WITHIN);
                write!(f, "{address} keeps vanishing, removed {LOSSES} times within {within} s")
            }
            Self::Group(name) => write!(f, "a member of {name} is in fault"),
            Self::NoIpvs(address) => {
                write!(f, "{address} is a virtual server's and the kernel has no IPVS")
            }
            Self::NoGate => f.write_str("the kernel takes no gate for dead_man"),
        }
    }
}

/// Why an instance changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Why {
    /// It was started.
    Startup,
    /// It was started and owns the addresses.
    OwnerStartup,
    /// `Master_Down_Timer` ran out: no advert that counts was heard for this long.
    MasterDown(Duration),
    /// The master resigned with priority 0 and `Skew_Time` is over.
    MasterResigned(IpAddr),
    /// `Master_Down_Timer` ran out while only this lower priority was heard.
    Preempts {
        /// The lower router.
        peer: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// A higher priority was heard.
    HigherPriority {
        /// The higher router.
        peer: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The same priority was heard from a greater address.
    GreaterAddress(IpAddr),
    /// The sync group changed.
    Group(GroupName),
    /// Its last advert that the kernel accepted is older than its lease (`dead_man`).
    LeaseOver,
    /// A lower master does not hear it, and it yields to that one (`one_way_yield`).
    OneWay {
        /// The router that does not hear it.
        peer: IpAddr,
        /// For so long it preempts nobody.
        hold_down: Duration,
    },
    /// Something it needs is missing.
    Fault(Fault),
    /// Everything it needs is there again.
    Recovered,
    /// It was stopped.
    Shutdown,
    /// The configuration does not have it any more.
    Removed,
    /// An operator ordered it.
    Ordered(Order),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Startup => f.write_str("started"),
            Self::OwnerStartup => f.write_str("started as owner of the addresses"),
            Self::MasterDown(after) => {
                write!(f, "no master heard for {} s", Seconds(*after))
            }
            Self::MasterResigned(peer) => write!(f, "{peer} resigned"),
            Self::Preempts { peer, priority } => {
                write!(f, "preempts {peer} with priority {priority}")
            }
            Self::HigherPriority { peer, priority } => {
                write!(f, "{peer} has priority {priority}")
            }
            Self::GreaterAddress(peer) => {
                write!(f, "{peer} has the same priority and the greater address")
            }
            Self::Group(name) => write!(f, "sync group {name}"),
            Self::LeaseOver => f.write_str("its own last advert is older than its lease"),
            Self::OneWay { peer, hold_down } => {
                let hold_down = Seconds(*hold_down);
                write!(f, "yields to {peer}, which does not hear us, held down for {hold_down} s")
            }
            Self::Fault(fault) => fault.fmt(f),
            Self::Recovered => f.write_str("recovered"),
            Self::Shutdown => f.write_str("stopped"),
            Self::Removed => f.write_str("no longer configured"),
            Self::Ordered(order) => write!(f, "an operator ordered {}", order.word()),
        }
    }
}

/// A time in seconds, without trailing zeros.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut fraction) = (self.0.as_secs(), self.0.subsec_nanos());
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let mut digits = 9;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{whole}.{fraction:0digits$}")
    }
}

/// Two routers do not agree (property S9). Each is named once per sender until it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mismatch {
    /// Another protocol version; carries theirs.
    Version(u8),
    /// v2: another interval; carries theirs in seconds.
    Interval(u8),
    /// Another authentication type; carries theirs.
    AuthenticationType(u8),
    /// The same authentication type and another password.
    Password,
    /// The checksum fits the form that we do not use.
    ChecksumForm,
    /// TTL or hop limit below 255; carries it.
    Ttl(u8),
    /// TTL or hop limit beyond `min_ttl` and `max_ttl` of a unicast peer; carries it.
    PeerTtl(u8),
    /// A unicast advert from an address that is not a configured peer.
    UnlistedPeer,
    /// Multicast where we use unicast, or the reverse.
    Transport,
    /// Another address list.
    AddressList,
    /// An IPv6 address list that does not begin with a link-local address.
    FirstAddress,
    /// An IPv6 multicast advert whose source is not link-local.
    SourceNotLinkLocal,
    /// We own the addresses, and somebody else advertises; carries the priority.
    Owner(u8),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(theirs) => write!(f, "version differs (theirs is {theirs})"),
            Self::Interval(theirs) => write!(f, "interval differs (theirs is {theirs} s)"),
            Self::AuthenticationType(theirs) => {
                write!(f, "authentication type differs (theirs is {theirs})")
            }
            Self::Password => f.write_str("password differs"),
            Self::ChecksumForm => f.write_str("checksum form differs"),
            Self::Ttl(theirs) => write!(f, "TTL is {theirs} instead of 255"),
            Self::PeerTtl(theirs) => write!(f, "TTL is {theirs}, beyond the limits of this peer"),
            Self::UnlistedPeer => f.write_str("not a configured peer"),
            Self::Transport => f.write_str("one side is multicast, the other unicast"),
            Self::AddressList => f.write_str("address list differs"),
            Self::FirstAddress => f.write_str("first IPv6 address is not link-local"),
            Self::SourceNotLinkLocal => f.write_str("IPv6 source is not link-local"),
            Self::Owner(theirs) => {
                write!(f, "advertises priority {theirs} for addresses that we own")
            }
        }
    }
}

impl Mismatch {
    /// A stable name without the peer's value, for expectations and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::Interval(_) => "interval",
            Self::AuthenticationType(_) => "authentication-type",
            Self::Password => "password",
            Self::ChecksumForm => "checksum-form",
            Self::Ttl(_) | Self::PeerTtl(_) => "ttl",
            Self::UnlistedPeer => "unlisted-peer",
            Self::Transport => "transport",
            Self::AddressList => "address-list",
            Self::FirstAddress => "first-address",
            Self::SourceNotLinkLocal => "source-not-link-local",
            Self::Owner(_) => "owner",
        }
    }
}

/// What events of no instance carry as its name: those of what stands whoever is master.
pub const STATIC_NAME: &str = "static";

/// What events of virtual and real servers carry as the name of an instance.
pub const DIRECTOR_NAME: &str = "director";

/// News of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// Whose; [`STATIC_NAME`] or [`DIRECTOR_NAME`] if no instance's.
    pub instance: InstanceName,
    /// What.
    pub news: News,
}

/// What happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum News {
    /// It changed its state.
    State {
        /// The old state.
        from: StateKind,
        /// The new state.
        to: StateKind,
        /// The reason.
        why: Why,
    },
    /// A router does not agree with us.
    Mismatch {
        /// The other router.
        peer: IpAddr,
        /// In what.
        mismatch: Mismatch,
    },
    /// A virtual router that we do not run carries one of our addresses or is sent by our peer.
    ForeignVrid {
        /// The sender.
        peer: IpAddr,
        /// Its virtual router.
        vrid: Vrid,
    },
    /// A lower master goes on advertising although we asserted ourselves this often (S10).
    OneWay {
        /// The router that does not hear us.
        peer: IpAddr,
        /// Asserted adverts so far.
        asserts: u8,
    },
    /// v3: the master's interval replaces the one in force. Once per master and interval.
    IntervalLearned {
        /// The master.
        peer: IpAddr,
        /// The interval now in force.
        interval: Interval,
    },
    /// Trackers changed the priority in force.
    PriorityChanged {
        /// The old one.
        from: Priority,
        /// The new one.
        to: Priority,
    },
    /// A lower master is left alone until the preempt delay is over.
    PreemptDelayed {
        /// The lower master.
        peer: IpAddr,
        /// How long.
        delay: Duration,
    },
    /// The preempt delay is over: the down timer decides when a lower master is preempted.
    PreemptDelayOver,
    /// A router has the priority in force here, so that addresses decide. Once per sender; legal.
    EqualPriority {
        /// The other router.
        peer: IpAddr,
        /// The priority.
        priority: u8,
    },
    /// An advert for this VRID was discarded, and not because two routers disagree: it is damaged
    /// or malformed. Once per sender and reason (RFC 3768 and RFC 9568 section 7.1).
    AdvertDiscarded {
        /// Its source.
        peer: IpAddr,
        /// Why.
        reason: DropReason,
    },
    /// It goes to and fro between Backup and Master because adverts come late. Once per spell.
    Flapping {
        /// As many transitions.
        transitions: u8,
        /// Within this time.
        within: Duration,
    },
    /// A virtual address was on the machine before the election: it is ours, and removed.
    LeftoverAddress(IpAddr),
    /// Somebody removed an address that we hold. It is added again. The loss that is once too often
    /// is told by [`Fault::AddressVanishes`] instead.
    AddressLost(IpAddr),
    /// A route or a rule was on the machine before the election: it is ours, and removed.
    LeftoverEntry(FibEntry),
    /// Somebody removed a route or a rule that we hold.
    EntryLost {
        /// Which.
        entry: FibEntry,
        /// It is not added again, as `no_track` says.
        let_go: bool,
    },
    /// A kernel command failed; it is tried again.
    CommandFailed {
        /// The command.
        command: KernelCommand,
        /// Why.
        error: EffectError,
    },
    /// An advert was refused.
    SendRefused {
        /// Why.
        error: EffectError,
        /// How many in a row by now.
        in_a_row: u8,
    },
    /// An operator ordered something else than what is in force.
    Ordered(Order),
    /// It yields or is held down, and is needed: it becomes Master and is as before.
    YieldOver,
    /// The hold-down after it yielded to a rival that does not hear it (`one_way_yield`) is over:
    /// it preempts as before.
    HoldDownOver,
    /// The state of a sync group that it is in, which is that of all members, or Fault if one of
    /// them is in it. Told once, of the first member, after what the members did.
    GroupState {
        /// The group.
        group: GroupName,
        /// Before.
        from: StateKind,
        /// After. Initialize: it was stopped.
        to: StateKind,
    },
    /// As Master it heard a lower one, of several within half an interval the first. Told only if
    /// [`crate::InstanceConfig::tells_lower_priority`] says so.
    LowerPriority {
        /// The lower router.
        peer: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Of virtual and real servers: of no instance.
    Director(Box<director::News>),
}

impl News {
    /// A stable name, for expectations: `state`, `mismatch`, `foreign-vrid`, `one-way`, ...
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::State { .. } => "state",
            Self::Mismatch { .. } => "mismatch",
            Self::ForeignVrid { .. } => "foreign-vrid",
            Self::OneWay { .. } => "one-way",
            Self::IntervalLearned { .. } => "interval-learned",
            Self::PriorityChanged { .. } => "priority-changed",
            Self::PreemptDelayed { .. } => "preempt-delayed",
            Self::PreemptDelayOver => "preempt-delay-over",
            Self::EqualPriority { .. } => "equal-priority",
            Self::AdvertDiscarded { .. } => "advert-discarded",
            Self::Flapping { .. } => "flapping",
            Self::LeftoverAddress(_) => "leftover-address",
            Self::AddressLost(_) => "address-lost",
            Self::LeftoverEntry(_) => "leftover-entry",
            Self::EntryLost { .. } => "entry-lost",
            Self::CommandFailed { .. } => "command-failed",
            Self::SendRefused { .. } => "send-refused",
            Self::Ordered(_) => "ordered",
            Self::YieldOver => "yield-over",
            Self::HoldDownOver => "hold-down-over",
            Self::GroupState { .. } => "group-state",
            Self::LowerPriority { .. } => "lower-priority",
            Self::Director(news) => news.name(),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.instance, self.news)
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { from, to, why } => write!(f, "{from} -> {to}: {why}"),
            Self::Mismatch { peer, mismatch } => write!(f, "{peer}: {mismatch}"),
            Self::ForeignVrid { peer, vrid } => {
                write!(f, "{peer} uses VRID {vrid} for our addresses or from our peer's address")
            }
            Self::OneWay { peer, asserts } => {
                write!(f, "{peer} does not hear us: still master after {asserts} asserted adverts")
            }
            Self::IntervalLearned { peer, interval } => {
                write!(f, "{peer} advertises every {interval}")
            }
            Self::PriorityChanged { from, to } => write!(f, "priority {from} -> {to}"),
            Self::PreemptDelayed { peer, delay } => {
                write!(f, "would preempt {peer}, held for {} s", Seconds(*delay))
            }
            Self::PreemptDelayOver => f.write_str("the preempt delay is over"),
            Self::AdvertDiscarded { peer, reason } => {
                write!(f, "{peer}: advert discarded: {reason}")
            }
            Self::EqualPriority { peer, priority } => {
                write!(f, "{peer} has priority {priority} too: priorities should differ")
            }
            Self::Flapping { transitions, within } => {
                let within = Seconds(*within);
                write!(f, "flapping: {transitions} transitions within {within} s, adverts are late")
            }
            Self::LeftoverAddress(address) => {
                write!(f, "{address} was on this machine before the election, removed")
            }
            Self::AddressLost(address) => {
                write!(f, "{address} was removed behind our back, added again")
            }
            Self::LeftoverEntry(entry) => {
                write!(f, "{entry} was on this machine before the election, removed")
            }
            Self::EntryLost { entry, let_go: false } => {
                write!(f, "{entry} was removed behind our back, added again")
            }
            Self::EntryLost { entry, let_go: true } => {
                write!(f, "{entry} was removed behind our back, left so (no_track)")
            }
            Self::CommandFailed { command, error } => write!(f, "{command}: {error}, tried again"),
            Self::SendRefused { error, in_a_row } => {
                write!(f, "advert not sent: {error} ({in_a_row} in a row)")
            }
            Self::Ordered(order) => write!(f, "an operator ordered {}", order.word()),
            Self::YieldOver => f.write_str("needed again: it yields no longer"),
            Self::HoldDownOver => f.write_str("the hold-down is over"),
            Self::GroupState { group, from, to } => {
                write!(f, "sync group {group}: {from} -> {to}")
            }
            Self::LowerPriority { peer, priority } => {
                write!(f, "{peer} is master too, with priority {priority}")
            }
            Self::Director(news) => news.fmt(f),
        }
    }
}
