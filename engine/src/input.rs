//! What a driver tells the engine. One engine lives in one network namespace.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::{Config, FibEntry};
use crate::health::{AttemptId, Outcome, ServerName};
use crate::ipvs::{Answer, ServerOrder};
use crate::names::{Ifindex, InstanceName, InterfaceName, MacAddress, TrackerName};
use crate::output::CommandId;

/// One thing that happened, told to [`crate::Engine::handle`].
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A deadline may have passed. Early ticks do nothing, a late one acts once.
    Tick,
    /// The configuration is now this one. Start-up is a change from nothing.
    Configure(Arc<Config>),
    /// A datagram of IP protocol 112 arrived.
    Advert(Received<'a>),
    /// An interface appeared, changed or went away.
    Link(Link),
    /// An address of this machine appeared or went away, whoever did it.
    LocalAddress(LocalAddress),
    /// A route or a rule of this machine appeared or went away, whoever did it. One that no
    /// configuration names need not be told.
    Fib(FibChange),
    /// A tracked script, file or process has a new value.
    Tracker {
        /// Which one.
        id: TrackerName,
        /// Its value.
        value: TrackerValue,
    },
    /// How an effect with an id ended.
    Done {
        /// The effect. An id that is no longer waited for is ignored.
        id: CommandId,
        /// Its result.
        result: Result<(), EffectError>,
    },
    /// Resign, remove what was added, and stop.
    Shutdown,
    /// An operator orders something. It holds for the whole sync group, also after a change of
    /// configuration. Nothing happens if there is no such instance.
    Operator {
        /// Which instance.
        instance: InstanceName,
        /// What.
        order: Order,
    },
    /// How an attempt of a health check ended.
    Probe {
        /// Which attempt. One that is no longer waited for is counted and ignored.
        id: AttemptId,
        /// What came of it.
        outcome: Outcome,
    },
    /// What the kernel answered about its IPVS table.
    Ipvs {
        /// That of the request. One that is no longer waited for is ignored.
        number: u64,
        /// The answer.
        answer: Box<Answer>,
    },
    /// An operator orders something of a real server. It holds until it is undone or the
    /// configuration has the server no more. Nothing happens if
    /// [`may_order`](crate::Engine::may_order) says that it cannot be.
    Server {
        /// Which one.
        server: Box<ServerName>,
        /// What.
        order: ServerOrder,
    },
}

/// What an operator may order of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// Leave Master at once and preempt nobody, until there is no other master.
    Yield,
    /// Leave Master at once and do not become it, whoever else is there.
    Hold,
    /// No such order any more.
    Resume,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Yield, Self::Hold, Self::Resume];

    /// The word that people use: `yield`, `hold`, `resume`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yield => "yield",
            Self::Hold => "hold",
            Self::Resume => "resume",
        }
    }

    /// The order that a word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.word() == word)
    }
}

/// A datagram as the frame layer hands it over: the IP header is read, the VRRP message is not.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Interface it arrived on.
    pub interface: Ifindex,
    /// IP source.
    pub src: IpAddr,
    /// IP destination.
    pub dst: IpAddr,
    /// TTL or hop limit on arrival.
    pub ttl: u8,
    /// The VRRP message: everything after the IP header up to the IP total length. Hostile.
    pub bytes: &'a [u8],
}

/// State of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its index, valid until it is absent.
    pub interface: Ifindex,
    /// Its name.
    pub name: InterfaceName,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// What it can do.
    pub state: LinkState,
}

/// What an interface can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinkState {
    /// It has carrier and is up.
    Up,
    /// It exists but passes nothing.
    Down,
    /// It does not exist any more.
    Absent,
}

/// An address on an interface of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAddress {
    /// The interface.
    pub interface: Ifindex,
    /// The address.
    pub address: IpAddr,
    /// Whether it is there now.
    pub present: bool,
}

/// A route or a rule of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FibChange {
    /// As the kernel has it: every value that it reports is filled in.
    pub entry: FibEntry,
    /// Whether it is there now.
    pub present: bool,
}

/// Value of a tracked script, file or process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrackerValue {
    /// It has not reported yet.
    Pending,
    /// Good.
    Up,
    /// Bad.
    Down,
    /// A number from a file: multiplied by the weight; at weight 0 anything but 0 is bad.
    Number(i32),
}

/// Why an effect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EffectError {
    /// The driver or the kernel refused.
    Refused,
    /// The interface is down or gone.
    NoInterface,
    /// Nothing was heard of it within the time limit.
    TimedOut,
}

impl fmt::Display for EffectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::NoInterface => "interface is down or gone",
            Self::TimedOut => "no answer in time",
        })
    }
}
