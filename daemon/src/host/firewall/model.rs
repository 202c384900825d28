//! Rules of a packet filter, as far as they can concern adverts, and whether one applies to a
//! packet: yes, no, or not to be decided. Where rules come from is in `nft` and `legacy`.

use std::net::IpAddr;

use vipd_engine::Family;
use vipd_engine::vrrp::advert::IP_PROTOCOL;

/// Whether a packet comes to this machine or goes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Arriving,
    Leaving,
}

/// An advert as a filter sees it; `None` is what the file does not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    pub family: Family,
    pub direction: Direction,
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    /// Of an instance with a virtual MAC either of two.
    pub interfaces: Vec<String>,
}

/// All chains of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    pub chains: Vec<Chain>,
}

/// A chain and, if packets come to it by themselves, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `inet filter`; of legacy iptables `filter`.
    pub table: String,
    /// Whose packets it sees; both if `None`.
    pub family: Option<Family>,
    pub name: String,
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
    /// What lets adverts through before any other rule of it.
    pub way_out: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub direction: Direction,
    /// It sees packets of these interfaces only; of all if empty.
    pub devices: Vec<String>,
    pub drops: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// By which its author finds it: `rule 12`.
    pub name: String,
    /// As the program prints it.
    pub text: String,
    pub steps: Vec<Step>,
    /// It accepts a port with the number of the protocol: `UDP` or `TCP`.
    pub mistaken_port: Option<&'static str>,
}

/// What a rule does, one after the other, until a condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    If(Condition),
    Do(Action),
    /// The action of the first of these that holds.
    Select(Vec<(Condition, Action)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Accept,
    Drop,
    Jump(String),
    Goto(String),
    Return,
    Continue,
    /// Anything may come of it, such as another program's word.
    Unclear,
}

/// Targets of iptables behind which a packet goes on.
const PASSING: [&str; 8] =
    ["LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CHECKSUM", "CT", "NOTRACK"];
/// Those that change an address and let the packet through.
const TRANSLATING: [&str; 5] = ["MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"];

/// What a target of iptables does that is no chain of somebody's; `None`: the packet goes on.
pub fn target(name: &str) -> Option<Action> {
    match name {
        "ACCEPT" => Some(Action::Accept),
        "DROP" | "REJECT" => Some(Action::Drop),
        "RETURN" => Some(Action::Return),
        _ if TRANSLATING.contains(&name) => Some(Action::Accept),
        _ if PASSING.contains(&name) => None,
        _ => Some(Action::Unclear),
    }
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `4` or `6`.
    Family,
    Protocol,
    Source,
    Destination,
    ArrivesOn,
    LeavesBy,
    /// `multicast` and its like.
    Kind,
    /// Of connection tracking.
    State,
    /// What nothing is known of here.
    Other,
}

/// Whether a field has one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub field: Field,
    pub negated: bool,
    pub values: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Word(String),
    Prefix(IpAddr, u8),
    Range(String, String),
    /// A named set and its like.
    Unknown,
}

impl Value {
    pub fn word(text: &str) -> Self {
        Self::Word(text.to_owned())
    }
}

impl Condition {
    pub fn is(field: Field, value: &str) -> Self {
        Self { field, negated: false, values: vec![Value::word(value)] }
    }

    /// One that cannot be decided.
    pub const fn unknown() -> Self {
        Self { field: Field::Other, negated: false, values: Vec::new() }
    }

    /// Whether it names VRRP or its group.
    pub fn is_about(&self, packet: &Packet) -> bool {
        let names = matches!(self.field, Field::Protocol | Field::Destination);
        names && !self.negated && self.holds(packet) == Some(true)
    }

    /// `None`: that cannot be decided.
    pub fn holds(&self, packet: &Packet) -> Option<bool> {
        let elsewhere = match packet.direction {
            Direction::Arriving => Field::LeavesBy,
            Direction::Leaving => Field::ArrivesOn,
        };
        // There is no such interface to compare with: old kernels end a rule there, also a negated
        // one, newer ones compare with no name.
        if self.field == elsewhere {
            return (!self.negated).then_some(false);
        }
        let one = match self.field {
            Field::State => self.state(packet),
            Field::Other => None,
            _ => any(self.values.iter().map(|value| self.field.is(value, packet))),
        };
        one.map(|holds| holds != self.negated)
    }

    /// Nobody answers to a group, so a multicast advert is always new to connection tracking, or
    /// not tracked. An advert is never invalid or related.
    fn state(&self, packet: &Packet) -> Option<bool> {
        let names = |word: &str| self.values.contains(&Value::word(word));
        let multicast = packet.destination.is_some_and(|address| address.is_multicast());
        let possible: &[&str] =
            if multicast { &["new", "untracked"] } else { &["new", "untracked", "established"] };
        let named = possible.iter().filter(|word| names(word)).count();
        match named {
            _ if self.values.contains(&Value::Unknown) => None,
            0 => Some(false),
            all if all == possible.len() => Some(true),
            _ => None,
        }
    }
}

impl Field {
    fn is(self, value: &Value, packet: &Packet) -> Option<bool> {
        match self {
            Self::Family => {
                let number = match packet.family {
                    Family::Ipv4 => "4",
                    Family::Ipv6 => "6",
                };
                Some(*value == Value::word(number))
            }
            Self::Protocol => is_vrrp(value),
            Self::Source => is_address(value, packet.source?),
            Self::Destination => is_address(value, packet.destination?),
            Self::ArrivesOn | Self::LeavesBy => {
                let all: Vec<_> =
                    packet.interfaces.iter().map(|name| is_named(value, name)).collect();
                let first = *all.first()?;
                first.filter(|_| all.iter().all(|one| *one == first))
            }
            Self::Kind => {
                let multicast = packet.destination?.is_multicast();
                match value {
                    Value::Word(word) if multicast => Some(word == "multicast"),
                    Value::Word(word) if word == "multicast" || word == "broadcast" => Some(false),
                    _ => None,
                }
            }
            Self::State | Self::Other => None,
        }
    }
}

/// One that holds is enough.
fn any(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut sum = Some(false);
    for one in all {
        match one {
            Some(true) => return one,
            Some(false) => {}
            None => sum = None,
        }
    }
    sum
}

fn is_vrrp(value: &Value) -> Option<bool> {
    match value {
        Value::Word(word) => {
            let number = word.parse() == Ok(IP_PROTOCOL);
            // As /etc/protocols has it, here and on BSD.
            Some(number || ["vrrp", "carp"].contains(&word.as_str()))
        }
        Value::Range(first, last) => {
            let range = first.parse::<u8>().ok()?..=last.parse().ok()?;
            Some(range.contains(&IP_PROTOCOL))
        }
        Value::Prefix(..) | Value::Unknown => None,
    }
}

fn is_address(value: &Value, address: IpAddr) -> Option<bool> {
    match value {
        Value::Word(word) => Some(word.parse::<IpAddr>().ok()? == address),
        Value::Prefix(net, length) => Some(is_within(address, *net, *length)),
        Value::Range(first, last) => {
            let (first, last) = (first.parse::<IpAddr>().ok()?, last.parse::<IpAddr>().ok()?);
            Some((first..=last).contains(&address))
        }
        Value::Unknown => None,
    }
}

/// Whether an address is of this network.
pub fn is_within(address: IpAddr, net: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, true),
        IpAddr::V6(address) => (u128::from(address), false),
    };
    let ((one, one_is_v4), (other, other_is_v4)) = (bits(address), bits(net));
    let differs = (one ^ other).checked_shr(128 - u32::from(length.min(128))).unwrap_or(0);
    one_is_v4 == other_is_v4 && differs == 0
}

fn is_named(value: &Value, name: &str) -> Option<bool> {
    match value {
        Value::Word(word) => Some(match word.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => word == name,
        }),
        Value::Prefix(..) | Value::Range(..) | Value::Unknown => None,
    }
}
