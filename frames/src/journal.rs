//! The journal of a daemon: every input of an engine and the outputs that it caused, so that what
//! happened in production can be replayed.
//!
//! A journal is a row of segments. Each is text, one JSON object a line: the [`Head`] with a
//! snapshot of the engine, then one [`Entry`] per input, in order. A line `{"lost":N}` ends a
//! segment where the daemon could not keep up; the next one begins with a snapshot again. Inputs
//! hold whole adverts and configurations, so passwords of version 2 stand in it.
//!
//! Here is the form. When a segment ends, how many there are and who may read them is the
//! daemon's. [`read`] reads one that anybody may have edited, [`replay`] feeds it to the engine.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vipd_engine::health::{AttemptId, Outcome, ServerName};
use vipd_engine::ipvs::{Answer, ServerOrder};
use vipd_engine::{
    CommandId, Config, EffectError, FibChange, Ifindex, Input, InstanceId, InstanceName, Link,
    LocalAddress, Order, Output, Received, Snapshot, Timestamp, TrackerName, TrackerValue,
};

pub mod read;
pub mod replay;

/// The number of this form. What is changed in it, in an input, an output or the engine's own
/// state, so that older segments cannot be read, makes it one more.
pub const FORM: u32 = 1;

/// What a segment begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// [`FORM`].
    pub vipd_journal: u32,
    /// The version of the program that wrote it.
    pub vipd: String,
    /// Counts the segments of one folder.
    pub segment: u64,
    /// When the snapshot was taken, by the clock of the inputs (`CLOCK_BOOTTIME`).
    pub at: Timestamp,
    /// The same by the wall clock: nanoseconds since 1970. For people, it decides nothing.
    pub unix_ns: u64,
    /// Inputs between the segment before and this one that are in none.
    pub lost_before: u64,
    /// The engine before the first input.
    pub engine: Snapshot,
}

impl Head {
    /// Writes it as a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_line(self, out)
    }
}

/// One input and what it caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When the engine was told.
    pub at: Timestamp,
    /// What it was told.
    pub input: OwnedInput,
    /// What it asked for, in order.
    pub outputs: Vec<Output>,
}

impl Entry {
    /// Writes it as a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_line(self, out)
    }
}

/// So many inputs that came next are in no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How many.
    pub lost: u64,
}

impl Loss {
    /// Writes it as a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_line(self, out)
    }
}

fn write_line(line: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// [`Input`] that borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnedInput {
    /// See [`Input::Tick`].
    Tick,
    /// See [`Input::Configure`].
    Configure(Arc<Config>),
    /// See [`Input::Advert`] and [`Received`].
    Advert {
        /// Interface it arrived on.
        interface: Ifindex,
        /// IP source.
        src: IpAddr,
        /// IP destination.
        dst: IpAddr,
        /// TTL or hop limit on arrival.
        ttl: u8,
        /// The VRRP message.
        bytes: Octets,
    },
    /// See [`Input::Link`].
    Link(Link),
    /// See [`Input::LocalAddress`].
    LocalAddress(LocalAddress),
    /// See [`Input::Fib`].
    Fib(FibChange),
    /// See [`Input::Tracker`].
    Tracker {
        /// Which one.
        id: TrackerName,
        /// Its value.
        value: TrackerValue,
    },
    /// See [`Input::Done`].
    Done {
        /// The effect.
        id: CommandId,
        /// Its result.
        result: Result<(), EffectError>,
    },
    /// See [`Input::Shutdown`].
    Shutdown,
    /// See [`Input::Operator`].
    Operator {
        /// Which instance.
        instance: InstanceName,
        /// What.
        order: Order,
    },
    /// See [`Input::Probe`].
    Probe {
        /// Which attempt.
        id: AttemptId,
        /// What came of it.
        outcome: Outcome,
    },
    /// See [`Input::Ipvs`].
    Ipvs {
        /// That of the request.
        number: u64,
        /// The answer.
        answer: Box<Answer>,
    },
    /// See [`Input::Server`].
    Server {
        /// Which one.
        server: Box<ServerName>,
        /// What.
        order: ServerOrder,
    },
}

impl From<&Input<'_>> for OwnedInput {
    fn from(input: &Input<'_>) -> Self {
        match input {
            Input::Tick => Self::Tick,
            Input::Configure(config) => Self::Configure(Arc::clone(config)),
            Input::Advert(Received { interface, src, dst, ttl, bytes }) => Self::Advert {
                interface: *interface,
                src: *src,
                dst: *dst,
                ttl: *ttl,
                bytes: Octets(bytes.to_vec()),
            },
            Input::Link(link) => Self::Link(link.clone()),
            Input::LocalAddress(address) => Self::LocalAddress(*address),
            Input::Fib(change) => Self::Fib(change.clone()),
            Input::Tracker { id, value } => Self::Tracker { id: id.clone(), value: *value },
            Input::Done { id, result } => Self::Done { id: *id, result: *result },
            Input::Shutdown => Self::Shutdown,
            Input::Operator { instance, order } => {
                Self::Operator { instance: instance.clone(), order: *order }
            }
            Input::Probe { id, outcome } => Self::Probe { id: *id, outcome: *outcome },
            Input::Ipvs { number, answer } => {
                Self::Ipvs { number: *number, answer: answer.clone() }
            }
            Input::Server { server, order } => {
                Self::Server { server: server.clone(), order: *order }
            }
        }
    }
}

impl OwnedInput {
    /// The same for the engine.
    #[must_use]
    pub fn input(&self) -> Input<'_> {
        match self {
            Self::Tick => Input::Tick,
            Self::Configure(config) => Input::Configure(Arc::clone(config)),
            Self::Advert { interface, src, dst, ttl, bytes } => Input::Advert(Received {
                interface: *interface,
                src: *src,
                dst: *dst,
                ttl: *ttl,
                bytes: &bytes.0,
            }),
            Self::Link(link) => Input::Link(link.clone()),
            Self::LocalAddress(address) => Input::LocalAddress(*address),
            Self::Fib(change) => Input::Fib(change.clone()),
            Self::Tracker { id, value } => Input::Tracker { id: id.clone(), value: *value },
            Self::Done { id, result } => Input::Done { id: *id, result: *result },
            Self::Shutdown => Input::Shutdown,
            Self::Operator { instance, order } => {
                Input::Operator { instance: instance.clone(), order: *order }
            }
            Self::Probe { id, outcome } => Input::Probe { id: *id, outcome: *outcome },
            Self::Ipvs { number, answer } => {
                Input::Ipvs { number: *number, answer: answer.clone() }
            }
            Self::Server { server, order } => {
                Input::Server { server: server.clone(), order: *order }
            }
        }
    }
}

impl fmt::Display for OwnedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick => f.write_str("tick"),
            Self::Configure(config) => {
                write!(f, "configuration with {} instances", config.instances().len())
            }
            Self::Advert { src, dst, ttl, bytes, .. } => {
                write!(f, "{} octets {src} -> {dst}, TTL {ttl}", bytes.0.len())
            }
            Self::Link(link) => write!(f, "interface {} is {:?}", link.name, link.state),
            Self::LocalAddress(LocalAddress { address, present, .. }) => {
                let state = if *present { "present" } else { "gone" };
                write!(f, "address {address} is {state}")
            }
            Self::Fib(FibChange { entry, present }) => {
                let state = if *present { "present" } else { "gone" };
                write!(f, "{entry} is {state}")
            }
            Self::Tracker { id, value } => write!(f, "tracker {id} is {value:?}"),
            Self::Done { id, result } => {
                match id.instance {
                    InstanceId::STATIC => write!(f, "effect {} of what is static: ", id.number)?,
                    InstanceId(instance) => {
                        write!(f, "effect {} of instance {instance}: ", id.number)?;
                    }
                }
                match result {
                    Ok(()) => f.write_str("done"),
                    Err(error) => error.fmt(f),
                }
            }
            Self::Shutdown => f.write_str("shutdown"),
            Self::Operator { instance, order } => write!(f, "{} {instance}", order.word()),
            Self::Probe { id, outcome } => {
                write!(f, "attempt {} of check {}: {outcome}", id.number, id.check.0)
            }
            Self::Ipvs { number, answer } => write!(f, "ipvs request {number}: {answer}"),
            Self::Server { server, order } => write!(f, "{server}: {order}"),
        }
    }
}

/// Octets, in hexadecimal where they are written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Octets(pub Vec<u8>);

/// A text that is not octets in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHexadecimal;

impl fmt::Display for NotHexadecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("octets must be pairs of hexadecimal digits")
    }
}

impl std::error::Error for NotHexadecimal {}

impl TryFrom<String> for Octets {
    type Error = NotHexadecimal;

    fn try_from(text: String) -> Result<Self, NotHexadecimal> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NotHexadecimal);
        let octet = |pair: &[u8; 2]| Ok((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
        if rest.is_empty() { pairs.iter().map(octet).collect() } else { Err(NotHexadecimal) }
            .map(Self)
    }
}

impl From<Octets> for String {
    fn from(octets: Octets) -> Self {
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        octets.0.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
    }
}
