//! Lines of `virtual_rules` and of `static_rules`.

use std::collections::BTreeMap;

use vipd_engine::Family;
use vipd_engine::config::fib::{OUR_PROTOCOL, Prefix, Rule, RuleAction};
use vipd_engine::config::{FibConfig, FibEntry};

use super::Line;
use super::address::Listed;
use super::fib::{self, Written};
use super::instance::interface_name;
use super::walk::option;
use crate::keywords::{Place, Read};

/// Rules that name no priority are asked in the reverse order of the file, from this one down, as
/// keepalived numbers them: the order in which the kernel gets them does not count.
const FIRST_PRIORITY: u32 = 16384;

/// IP protocols by name.
const IP_PROTOCOLS: [(&str, u32); 8] = [
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("sctp", 132),
];

/// A line. What it does not say is as in [`Rule::new`].
#[derive(Clone, Debug)]
pub(crate) struct RuleDraft {
    rule: Rule,
    priority: Option<u32>,
    family: Option<Family>,
    from: Option<Written>,
    to: Option<Written>,
    untracked: bool,
}

impl Default for RuleDraft {
    fn default() -> Self {
        let rule = Rule::new(Family::Ipv4, FIRST_PRIORITY);
        Self { rule, priority: None, family: None, from: None, to: None, untracked: false }
    }
}

pub(super) fn list(line: &mut Line<'_>) -> Listed<RuleDraft> {
    Listed::read(line, |line| {
        let mut draft = RuleDraft::default();
        while let Some(word) = line.next() {
            let row = Place::RuleLine.find(&word.text);
            let Some(row) = row else {
                let found = super::walk::unknown_option(word, line.keyword, Place::RuleLine);
                line.report(found);
                return None;
            };
            let go_on = option(line, row, word, &mut |read, line| match read {
                Read::Rule(read) => read(&mut draft, line),
                Read::Nothing
                | Read::Statement(_)
                | Read::Address(_)
                | Read::Peer(_)
                | Read::Track(_)
                | Read::Route(_) => {}
            });
            if !go_on {
                return None;
            }
        }
        Some(draft)
    })
}

/// Gives numbers to the rules that have none, in the order in which they are asked for.
#[derive(Debug, Default)]
pub(super) struct Numbering(BTreeMap<Family, u32>);

impl Numbering {
    pub fn settle(&mut self, draft: &RuleDraft) -> FibConfig {
        let prefixes = [draft.from, draft.to].into_iter().flatten();
        let written = prefixes.filter_map(Written::family).next();
        let family = written.or(draft.family).unwrap_or(Family::Ipv4);
        let priority = draft.priority.unwrap_or_else(|| {
            let next = self.0.entry(family).or_insert(FIRST_PRIORITY);
            let priority = *next;
            // A file with more rules than that has other troubles.
            *next = next.saturating_sub(1).max(1);
            priority
        });
        let of = |written: Option<Written>| {
            written.map(|written| written.of(family)).filter(|one: &Prefix| one.prefix_len() > 0)
        };
        let (from, to) = (of(draft.from), of(draft.to));
        let rule = Rule { family, priority, from, to, ..draft.rule.clone() };
        FibConfig { entry: FibEntry::Rule(Box::new(rule)), untracked: draft.untracked }
    }
}

pub(crate) fn from(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.from = fib::prefix(line);
}

pub(crate) fn to(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.to = fib::prefix(line);
}

pub(crate) fn table(draft: &mut RuleDraft, line: &mut Line<'_>) {
    if let Some(table) = fib::table(line) {
        draft.rule.action = RuleAction::Table(table);
    }
}

pub(crate) fn iif(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.iif = interface_name(line);
}

pub(crate) fn oif(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.oif = interface_name(line);
}

/// `MARK[/MASK]`; without a mask every bit counts.
pub(crate) fn fwmark(draft: &mut RuleDraft, line: &mut Line<'_>) {
    let pair = fib::pair(line, '/', u32::MAX);
    draft.rule.fwmark = pair.map(|(mark, mask)| (mark, mask.unwrap_or(u32::MAX)));
}

pub(crate) fn tos(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.tos = fib::number(line, 0, 255).unwrap_or(0) as u8;
}

pub(crate) fn preference(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.priority = fib::number(line, 0, u64::from(u32::MAX)).map(|number| number as u32);
}

pub(crate) fn goto(draft: &mut RuleDraft, line: &mut Line<'_>) {
    if let Some(priority) = fib::number(line, 1, u64::from(u32::MAX)) {
        draft.rule.action = RuleAction::Goto(priority as u32);
    }
}

/// What a rule does, by the word for it.
const ACTIONS: [(&str, RuleAction); 4] = [
    ("nop", RuleAction::Nop),
    ("blackhole", RuleAction::Blackhole),
    ("unreachable", RuleAction::Unreachable),
    ("prohibit", RuleAction::Prohibit),
];

pub(crate) fn action(draft: &mut RuleDraft, line: &mut Line<'_>) {
    // A rule of type `unicast` is one with a table.
    let named = line.peek().is_some_and(|word| word.text == "unicast");
    if named {
        line.next();
    } else if let Some((action, _)) = line.choice(&ACTIONS) {
        draft.rule.action = action;
    }
}

/// The word is the action itself.
pub(crate) fn action_word(draft: &mut RuleDraft, line: &mut Line<'_>) {
    let word = line.keyword.name;
    if let Some((_, action)) = ACTIONS.into_iter().find(|(name, _)| *name == word) {
        draft.rule.action = action;
    }
}

pub(crate) fn not(draft: &mut RuleDraft, _line: &mut Line<'_>) {
    draft.rule.inverted = true;
}

pub(crate) fn suppress_prefix_len(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.suppress_prefix_len = fib::number(line, 0, 128).map(|length| length as u32);
}

pub(crate) fn suppress_group(draft: &mut RuleDraft, line: &mut Line<'_>) {
    let group = fib::named(line, &[("default", 0)], u64::from(u32::MAX));
    draft.rule.suppress_group = group.map(|group| group as u32);
}

pub(crate) fn users(draft: &mut RuleDraft, line: &mut Line<'_>) {
    let pair = fib::pair(line, '-', u32::MAX);
    draft.rule.users = pair.map(|(first, last)| (first, last.unwrap_or(first)));
}

pub(crate) fn l3mdev(draft: &mut RuleDraft, _line: &mut Line<'_>) {
    draft.rule.l3mdev = true;
    draft.rule.action = RuleAction::Table(0);
}

pub(crate) fn protocol(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.protocol = fib::protocol(line).unwrap_or(OUR_PROTOCOL);
}

pub(crate) fn ip_protocol(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.ip_protocol = fib::named(line, &IP_PROTOCOLS, 255).map(|number| number as u8);
}

pub(crate) fn sport(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.source_ports = ports(line);
}

pub(crate) fn dport(draft: &mut RuleDraft, line: &mut Line<'_>) {
    draft.rule.destination_ports = ports(line);
}

fn ports(line: &mut Line<'_>) -> Option<(u16, u16)> {
    let pair = fib::pair(line, '-', u32::from(u16::MAX));
    pair.map(|(first, last)| (first as u16, last.unwrap_or(first) as u16))
}

pub(crate) fn inet(draft: &mut RuleDraft, _line: &mut Line<'_>) {
    draft.family = Some(Family::Ipv4);
}

pub(crate) fn inet6(draft: &mut RuleDraft, _line: &mut Line<'_>) {
    draft.family = Some(Family::Ipv6);
}

pub(crate) fn no_track(draft: &mut RuleDraft, _line: &mut Line<'_>) {
    draft.untracked = true;
}
