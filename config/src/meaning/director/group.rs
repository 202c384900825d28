//! `virtual_server_group`: addresses, ranges of them and firewall marks, and the services that
//! they are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vipd_engine::Family;
use vipd_engine::config::director::{Protocol, Service};

use crate::diagnostics::Span;
use crate::keywords::{Place, Read};
use crate::meaning::draft::Placed;
use crate::meaning::{Draft, Line};

/// `virtual_server_group` as it was written.
#[derive(Clone, Debug)]
pub(crate) struct ServiceGroup {
    pub name: String,
    pub entries: Vec<(Entry, Span)>,
}

/// One line of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// All addresses from the first to the last, of one family.
    Addresses { first: IpAddr, last: IpAddr, port: u16 },
    /// `fwmark N [inet|inet6]`.
    Fwmark { mark: u32, family: Option<Family> },
}

/// The words for families.
pub(super) const FAMILIES: [(&str, Family); 2] = [("inet", Family::Ipv4), ("inet6", Family::Ipv6)];

impl Entry {
    /// How many services it is.
    pub fn count(&self) -> u128 {
        match *self {
            Self::Addresses { first, last, .. } => (number(last) - number(first)).saturating_add(1),
            Self::Fwmark { .. } => 1,
        }
    }

    /// The family, if the line says it.
    pub fn family(&self) -> Option<Family> {
        match *self {
            Self::Addresses { first, .. } => Some(Family::of(first)),
            Self::Fwmark { family, .. } => family,
        }
    }

    /// Its services; `otherwise` is the family of a mark that says none.
    pub fn services(
        self,
        protocol: Protocol,
        otherwise: Family,
    ) -> Box<dyn Iterator<Item = Service>> {
        match self {
            Self::Addresses { first, last, port } => {
                let all = number(first)..=number(last);
                Box::new(all.map(move |number| {
                    let address = address(Family::of(first), number);
                    Service::Address { address, port, protocol }
                }))
            }
            Self::Fwmark { mark, family } => {
                let family = family.unwrap_or(otherwise);
                Box::new(std::iter::once(Service::Fwmark { mark, family }))
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses { first, last, port } if first == last => write!(f, "{first} {port}"),
            Self::Addresses { first, last, port } => write!(f, "{first}-{last} {port}"),
            Self::Fwmark { mark, family } => {
                write!(f, "fwmark {mark}")?;
                let known = FAMILIES.iter().find(|(_, one)| Some(*one) == *family);
                known.map_or(Ok(()), |(word, _)| write!(f, " {word}"))
            }
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::from_bits(number as u32).into(),
        Family::Ipv6 => Ipv6Addr::from_bits(number).into(),
    }
}

pub(crate) fn block(draft: &mut Draft, line: &mut Line<'_>) {
    let name = line.word().map_or_else(String::new, |word| word.text.clone());
    let group = ServiceGroup { name, entries: Vec::new() };
    draft.director.groups.push(Placed::new(group, line.statement.span()));
    line.children(|line| {
        let at = line.span();
        let row = line.peek().and_then(|word| Place::VirtualServerGroup.find(&word.text));
        if let Some(row) = row {
            line.next();
            line.keyword = row;
            if let Read::Statement(read) = row.read {
                read(draft, line);
            }
            return;
        }
        match (addresses(line), draft.director.groups.last_mut()) {
            (Some(entry), Some(group)) => group.value.entries.push((entry, at)),
            // What follows a mistake is not a second one.
            (Some(_) | None, _) => drop(line.rest()),
        }
    });
}

/// `fwmark N [inet|inet6]`.
pub(crate) fn fwmark(draft: &mut Draft, line: &mut Line<'_>) {
    let at = line.span();
    let Some(mark) = super::mark(line) else {
        line.rest();
        return;
    };
    let family = line.peek().and_then(|_| line.choice(&FAMILIES)).map(|(family, _)| family);
    if let Some(group) = draft.director.groups.last_mut() {
        group.value.entries.push((Entry::Fwmark { mark, family }, at));
    }
}

/// `ADDRESS[-ADDRESS|-LAST|/LENGTH] [PORT]`.
fn addresses(line: &mut Line<'_>) -> Option<Entry> {
    let word = line.word()?;
    let Some((first, last)) = range(&word.text) else {
        let what = "is neither an address nor a range `A-B`, `A-LAST` or `A/LENGTH` of addresses, \
                    the last after the first, a prefix without bits behind it";
        line.invalid(word, what, None);
        return None;
    };
    let port = if line.peek().is_some() { line.port()? } else { 0 };
    Some(Entry::Addresses { first, last, port })
}

fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, length)) = text.split_once('/') {
        return prefix(first.parse().ok()?, length.parse().ok()?);
    }
    let Some((first, last)) = text.split_once('-') else {
        let only = text.parse().ok()?;
        return Some((only, only));
    };
    let first: IpAddr = first.parse().ok()?;
    let last = match (last.parse(), first) {
        (Ok(last), _) => last,
        // The last part of the address alone, hexadecimal in IPv6.
        (Err(_), IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, last.parse().ok()?).into()
        }
        (Err(_), IpAddr::V6(address)) => {
            let part = u16::from_str_radix(last, 16).ok()?;
            Ipv6Addr::from_bits((address.to_bits() >> 16 << 16) | u128::from(part)).into()
        }
    };
    (Family::of(first) == Family::of(last) && first < last).then_some((first, last))
}

fn prefix(first: IpAddr, length: u32) -> Option<(IpAddr, IpAddr)> {
    let family = Family::of(first);
    let free = (family.address_len() as u32 * 8).checked_sub(length)?;
    let hosts = 1_u128.checked_shl(free).map_or(u128::MAX, |count| count - 1);
    let own = number(first);
    (own & hosts == 0).then(|| (first, address(family, own | hosts)))
}
