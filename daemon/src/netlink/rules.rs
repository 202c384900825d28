//! Rules of the routing policy as rtnetlink has them, and back.

use rtnetlink::packet_route::rule::{
    RuleAction as Kind, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use vipd_engine::InterfaceName;
use vipd_engine::config::FibEntry;
use vipd_engine::config::fib::{Prefix, Rule, RuleAction};

use super::fib::{family, family_of, short_table};

/// What the kernel tells of a rule that suppresses nothing.
const SUPPRESSES_NOTHING: u32 = u32::MAX;

/// A rule to add or to remove.
pub fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    (header.family, header.tos) = (family_of(rule.family), rule.tos);
    header.src_len = rule.from.map_or(0, Prefix::prefix_len);
    header.dst_len = rule.to.map_or(0, Prefix::prefix_len);
    if rule.inverted {
        header.flags = RuleFlags::Invert;
    }
    header.action = match rule.action {
        RuleAction::Table(table) => {
            header.table = short_table(table);
            Kind::ToTable
        }
        RuleAction::Goto(_) => Kind::Goto,
        RuleAction::Nop => Kind::Nop,
        RuleAction::Blackhole => Kind::Blackhole,
        RuleAction::Unreachable => Kind::Unreachable,
        RuleAction::Prohibit => Kind::Prohibit,
    };
    let name = |name: &InterfaceName| name.as_str().to_string();
    let ports = |(start, end): (u16, u16)| RulePortRange { start, end };
    let (mark, mask) = rule.fwmark.unzip();
    message.attributes =
        vec![RuleAttribute::Priority(rule.priority), RuleAttribute::Protocol(rule.protocol.into())];
    let optional = [
        rule.from.map(|from| RuleAttribute::Source(from.address())),
        rule.to.map(|to| RuleAttribute::Destination(to.address())),
        match rule.action {
            RuleAction::Table(0) => None,
            RuleAction::Table(table) => Some(RuleAttribute::Table(table)),
            RuleAction::Goto(priority) => Some(RuleAttribute::Goto(priority)),
            RuleAction::Nop
            | RuleAction::Blackhole
            | RuleAction::Unreachable
            | RuleAction::Prohibit => None,
        },
        rule.iif.as_ref().map(|iif| RuleAttribute::Iifname(name(iif))),
        rule.oif.as_ref().map(|oif| RuleAttribute::Oifname(name(oif))),
        mark.map(RuleAttribute::FwMark),
        mask.map(RuleAttribute::FwMask),
        rule.users.map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })),
        rule.ip_protocol.map(|number| RuleAttribute::IpProtocol(i32::from(number).into())),
        rule.source_ports.map(|range| RuleAttribute::SourcePortRange(ports(range))),
        rule.destination_ports.map(|range| RuleAttribute::DestinationPortRange(ports(range))),
        rule.l3mdev.then_some(RuleAttribute::L3MDev(true)),
        rule.suppress_prefix_len.map(RuleAttribute::SuppressPrefixLen),
        rule.suppress_group.map(RuleAttribute::SuppressIfGroup),
    ];
    message.attributes.extend(optional.into_iter().flatten());
    message
}

/// A rule as the kernel tells it, if it has nothing that we do not know.
pub fn rule(message: &RuleMessage) -> Option<FibEntry> {
    let header = &message.header;
    let mut rule = Rule::new(family(header.family)?, 0);
    (rule.protocol, rule.tos) = (0, header.tos);
    rule.inverted = header.flags.contains(RuleFlags::Invert);
    let (mut table, mut target) = (u32::from(header.table), 0);
    let (mut mark, mut mask) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(from) => {
                rule.from = Some(Prefix::new(*from, header.src_len).ok()?);
            }
            RuleAttribute::Destination(to) => {
                rule.to = Some(Prefix::new(*to, header.dst_len).ok()?);
            }
            RuleAttribute::Priority(number) => rule.priority = *number,
            RuleAttribute::Protocol(number) => rule.protocol = (*number).into(),
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Goto(number) => target = *number,
            RuleAttribute::Iifname(name) => rule.iif = Some(InterfaceName::new(name)),
            RuleAttribute::Oifname(name) => rule.oif = Some(InterfaceName::new(name)),
            RuleAttribute::FwMark(number) => mark = Some(*number),
            RuleAttribute::FwMask(number) => mask = Some(*number),
            RuleAttribute::UidRange(range) => rule.users = Some((range.start, range.end)),
            RuleAttribute::IpProtocol(number) => {
                rule.ip_protocol = u8::try_from(i32::from(*number)).ok();
            }
            RuleAttribute::SourcePortRange(range) => {
                rule.source_ports = Some((range.start, range.end));
            }
            RuleAttribute::DestinationPortRange(range) => {
                rule.destination_ports = Some((range.start, range.end));
            }
            RuleAttribute::L3MDev(on) => rule.l3mdev = *on,
            RuleAttribute::SuppressPrefixLen(length) => {
                rule.suppress_prefix_len = Some(*length).filter(|one| *one != SUPPRESSES_NOTHING);
            }
            RuleAttribute::SuppressIfGroup(group) => {
                rule.suppress_group = Some(*group).filter(|one| *one != SUPPRESSES_NOTHING);
            }
            RuleAttribute::Realm(_) | RuleAttribute::TunId(_) => return None,
            // Padding, and what newer kernels tell.
            _ => {}
        }
    }
    rule.fwmark = match (mark, mask) {
        (None, None) => None,
        (mark, mask) => Some((mark.unwrap_or(0), mask.unwrap_or(u32::MAX))),
    };
    rule.action = match header.action {
        Kind::ToTable => RuleAction::Table(table),
        Kind::Goto => RuleAction::Goto(target),
        Kind::Nop => RuleAction::Nop,
        Kind::Blackhole => RuleAction::Blackhole,
        Kind::Unreachable => RuleAction::Unreachable,
        Kind::Prohibit => RuleAction::Prohibit,
        _ => return None,
    };
    Some(FibEntry::Rule(Box::new(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vipd_engine::Family;

    #[test]
    fn a_rule_that_is_told_as_it_was_asked_for_is_the_same() {
        let plain = || Rule::new(Family::Ipv4, 16384);
        let prefix = |text: &str, len| Prefix::new(text.parse().expect("one"), len).ok();
        let full = Rule {
            inverted: true,
            from: prefix("10.0.0.0", 8),
            to: prefix("192.0.2.1", 32),
            tos: 4,
            fwmark: Some((1, 0xff)),
            iif: Some(InterfaceName::new("eth0")),
            oif: Some(InterfaceName::new("eth1")),
            users: Some((1000, 2000)),
            ip_protocol: Some(17),
            source_ports: Some((10, 20)),
            destination_ports: Some((53, 53)),
            suppress_prefix_len: Some(0),
            suppress_group: Some(3),
            action: RuleAction::Table(1000),
            ..plain()
        };
        let others = [
            Rule { action: RuleAction::Goto(20000), ..plain() },
            Rule { action: RuleAction::Prohibit, ..Rule::new(Family::Ipv6, 5) },
            Rule { l3mdev: true, action: RuleAction::Table(0), ..plain() },
        ];
        for asked in [full].into_iter().chain(others) {
            let told = rule(&message(&asked));
            assert_eq!(told, Some(FibEntry::Rule(Box::new(asked))));
        }
    }
}
