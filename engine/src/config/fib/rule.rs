//! A rule of the routing policy: which packets are looked up in which table.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{MAIN_TABLE, OUR_PROTOCOL, Prefix};
use crate::config::ConfigRule;
use crate::names::{Family, InterfaceName};

/// What a rule does with the packets that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RuleAction {
    /// Looks them up in a table.
    Table(u32),
    /// Goes on at the rule of this priority.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops them without a word.
    Blackhole,
    /// Drops them, "unreachable".
    Unreachable,
    /// Drops them, "prohibited".
    Prohibit,
}

/// A rule: which packets are looked up where. `None` is any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Its family.
    pub family: Family,
    /// The least is asked first.
    pub priority: u32,
    /// It is for all other packets (`not`).
    pub inverted: bool,
    /// Source.
    pub from: Option<Prefix>,
    /// Destination.
    pub to: Option<Prefix>,
    /// Type of service; 0: any.
    pub tos: u8,
    /// Mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// Interface that they came by.
    pub iif: Option<InterfaceName>,
    /// Interface that their socket is bound to.
    pub oif: Option<InterfaceName>,
    /// First and last user.
    pub users: Option<(u32, u32)>,
    /// IP protocol.
    pub ip_protocol: Option<u8>,
    /// First and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port.
    pub destination_ports: Option<(u16, u16)>,
    /// The table is that of the VRF of the packet.
    pub l3mdev: bool,
    /// Routes of prefixes no longer than this do not count.
    pub suppress_prefix_len: Option<u32>,
    /// Routes by an interface of this group do not count.
    pub suppress_group: Option<u32>,
    /// What it does.
    pub action: RuleAction,
    /// Who is said to have added it.
    pub protocol: u8,
}

impl Rule {
    /// A rule for every packet of a family.
    #[must_use]
    pub const fn new(family: Family, priority: u32) -> Self {
        Self {
            family,
            priority,
            inverted: false,
            from: None,
            to: None,
            tos: 0,
            fwmark: None,
            iif: None,
            oif: None,
            users: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            l3mdev: false,
            suppress_prefix_len: None,
            suppress_group: None,
            action: RuleAction::Table(MAIN_TABLE),
            protocol: OUR_PROTOCOL,
        }
    }

    pub(super) fn mistake(&self) -> Option<ConfigRule> {
        let mut named = [self.from, self.to].into_iter().flatten();
        if let Some(other) = named.find(|prefix| prefix.family() != self.family) {
            return Some(ConfigRule::RuleFamilyDiffers(other.address()));
        }
        match self.action {
            RuleAction::Goto(priority) if priority <= self.priority => {
                Some(ConfigRule::GotoBackwards(priority))
            }
            RuleAction::Table(_)
            | RuleAction::Goto(_)
            | RuleAction::Nop
            | RuleAction::Blackhole
            | RuleAction::Unreachable
            | RuleAction::Prohibit => None,
        }
    }
}

impl fmt::Display for Rule {
    /// As iproute2 prints it; what is as by default is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.family == Family::Ipv6 {
            f.write_str("(IPv6) ")?;
        }
        write!(f, "{}:", self.priority)?;
        if self.inverted {
            f.write_str(" not")?;
        }
        let all = |prefix: &Prefix| prefix.prefix_len() == 0;
        match self.from.filter(|prefix| !all(prefix)) {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {}", self.tos)?;
        }
        if let Some((mark, mask)) = self.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        for (word, interface) in [("iif", &self.iif), ("oif", &self.oif)] {
            if let Some(interface) = interface {
                write!(f, " {word} {interface}")?;
            }
        }
        match self.action {
            RuleAction::Table(table) if self.l3mdev && table == 0 => f.write_str(" l3mdev"),
            RuleAction::Table(table) => write!(f, " lookup {table}"),
            RuleAction::Goto(priority) => write!(f, " goto {priority}"),
            RuleAction::Nop => f.write_str(" nop"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
        }
    }
}
