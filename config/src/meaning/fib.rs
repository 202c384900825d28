//! Words that routes and rules have in common: prefixes, tables, numbers, names of numbers.

use std::net::IpAddr;

use vipd_engine::Family;
use vipd_engine::config::fib::{MAIN_TABLE, Prefix};

use super::Line;
use crate::text::Word;

/// Tables that have a name everywhere (linux/rtnetlink.h, RT_TABLE).
const TABLES: [(&str, u32); 3] = [("default", 253), ("main", MAIN_TABLE), ("local", 255)];

/// Protocols that iproute2 has names for (linux/rtnetlink.h, RTPROT).
const PROTOCOLS: [(&str, u8); 20] = [
    ("redirect", 1),
    ("kernel", 2),
    ("boot", 3),
    ("static", 4),
    ("gated", 8),
    ("ra", 9),
    ("mrt", 10),
    ("zebra", 11),
    ("bird", 12),
    ("dnrouted", 13),
    ("xorp", 14),
    ("ntk", 15),
    ("dhcp", 16),
    ("mrouted", 17),
    ("keepalived", 18),
    ("babel", 42),
    ("bgp", 186),
    ("isis", 187),
    ("ospf", 188),
    ("rip", 189),
];

/// A prefix as it is written: every address, of whichever family, or some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    All,
    Some(Prefix),
}

impl Written {
    pub fn of(self, family: Family) -> Prefix {
        match self {
            Self::All => Prefix::all(family),
            Self::Some(prefix) => prefix,
        }
    }

    pub const fn family(self) -> Option<Family> {
        match self {
            Self::All => None,
            Self::Some(prefix) => Some(prefix.family()),
        }
    }
}

/// The next word as a prefix.
pub(super) fn prefix(line: &mut Line<'_>) -> Option<Written> {
    let word = line.word()?;
    prefix_of(line, word)
}

/// `default`, `all`, `any`, `ADDRESS` or `ADDRESS/LENGTH`.
pub(super) fn prefix_of(line: &mut Line<'_>, word: &Word) -> Option<Written> {
    if ["default", "all", "any"].contains(&word.text.as_str()) {
        return Some(Written::All);
    }
    let (text, length) = match word.text.split_once('/') {
        Some((text, length)) => (text, Some(length)),
        None => (word.text.as_str(), None),
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        line.invalid(word, "is not an IP address or prefix", None);
        return None;
    };
    let whole = Family::of(address).address_len() as u8 * 8;
    let Ok(length) = length.map_or(Ok(whole), str::parse::<u8>) else {
        line.invalid(word, "has no prefix length after the `/`", None);
        return None;
    };
    match Prefix::new(address, length) {
        Ok(prefix) => {
            if prefix.address() != address {
                let message = format!("`{}` has bits behind its prefix length", word.text);
                line.adjusted(word.span, message, &format!("{prefix} is used"));
            }
            Some(Written::Some(prefix))
        }
        Err(error) => {
            line.out_of_range(word.span, error);
            None
        }
    }
}

/// The number of a table, or one of the names that it has without a file of names.
pub(super) fn table(line: &mut Line<'_>) -> Option<u32> {
    named(line, &TABLES, u64::from(u32::MAX)).map(|table| table as u32)
}

pub(super) fn protocol(line: &mut Line<'_>) -> Option<u8> {
    let names = PROTOCOLS.map(|(name, number)| (name, u32::from(number)));
    named(line, &names, 255).map(|protocol| protocol as u8)
}

/// A number, or a name that stands for one.
pub(super) fn named(line: &mut Line<'_>, names: &[(&'static str, u32)], most: u64) -> Option<u64> {
    let number = line.peek().and_then(|word| parse(&word.text));
    if number.is_some() {
        return self::number(line, 0, most);
    }
    line.choice(names).map(|(number, _)| u64::from(number))
}

/// A whole number, decimal or with `0x`.
pub(super) fn number(line: &mut Line<'_>, least: u64, most: u64) -> Option<u64> {
    let word = line.word()?;
    let Some(value) = parse(&word.text) else {
        line.invalid(word, "is not a number", None);
        return None;
    };
    if (least..=most).contains(&value) {
        return Some(value);
    }
    let what = line.keyword.name;
    let (min, max) = (least as i64, most as i64);
    line.out_of_range(word.span, vipd_engine::names::OutOfRange { what, min, max });
    None
}

pub(super) fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Two numbers with `between` them, or one.
pub(super) fn pair(line: &mut Line<'_>, between: char, most: u32) -> Option<(u32, Option<u32>)> {
    let word = line.word()?;
    let one = |text: &str| {
        parse(text).and_then(|number| u32::try_from(number).ok()).filter(|number| *number <= most)
    };
    let (first, second) = match word.text.split_once(between) {
        Some((first, second)) => (first, Some(second)),
        None => (word.text.as_str(), None),
    };
    let read = match (one(first), second.map(one)) {
        (Some(first), None) => Some((first, None)),
        (Some(first), Some(Some(second))) => Some((first, Some(second))),
        (None, _) | (Some(_), Some(None)) => None,
    };
    if read.is_none() {
        let what = format!("is not `{}` of numbers up to {most}", line.keyword.arguments);
        line.invalid(word, &what, None);
    }
    read
}
