//! Lines of `virtual_ipaddress` and of `virtual_ipaddress_excluded`.

use std::net::{IpAddr, Ipv4Addr};

use vipd_engine::config::VirtualAddress;

use super::Line;
use super::instance::interface_name;
use super::walk::options;
use crate::diagnostics::Span;
use crate::keywords::{Place, Read};
use crate::text::Word;

/// Values of a list and where each stands.
pub(super) struct Listed<T> {
    pub values: Vec<T>,
    pub places: Vec<Span>,
    /// A line was left out, and an error says why.
    pub mistaken: bool,
}

impl<T> Listed<T> {
    /// One value per line; a line that cannot be read is left out.
    pub fn read(line: &mut Line<'_>, each: fn(&mut Line<'_>) -> Option<T>) -> Self {
        let mut listed = Self { values: Vec::new(), places: Vec::new(), mistaken: false };
        line.children(|line| {
            let at = line.span();
            match each(line) {
                Some(value) => {
                    listed.values.push(value);
                    listed.places.push(at);
                }
                None => {
                    listed.mistaken = true;
                    // What follows a mistake is not a second one.
                    line.rest();
                }
            }
        });
        listed
    }
}

pub(super) fn list(line: &mut Line<'_>) -> Listed<VirtualAddress> {
    Listed::read(line, |line| {
        let word = line.word()?;
        let mut address = parse(line, word)?;
        options(line, Place::AddressLine, |read, line| match read {
            Read::Address(read) => read(&mut address, line),
            Read::Nothing
            | Read::Statement(_)
            | Read::Peer(_)
            | Read::Track(_)
            | Read::Route(_)
            | Read::Rule(_) => {}
        });
        Some(address)
    })
}

/// `ADDRESS[/LENGTH]`.
fn parse(line: &mut Line<'_>, word: &Word) -> Option<VirtualAddress> {
    let (text, length) = match word.text.split_once('/') {
        Some((text, length)) => (text, Some(length)),
        None => (word.text.as_str(), None),
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        line.invalid(word, "is not an IP address", None);
        return None;
    };
    let mut address = VirtualAddress::new(address);
    if let Some(length) = length {
        let Ok(length) = length.parse::<u8>() else {
            line.invalid(word, "has no prefix length after the `/`", None);
            return None;
        };
        address.prefix_len = length;
    }
    Some(address)
}

pub(crate) fn dev(address: &mut VirtualAddress, line: &mut Line<'_>) {
    address.interface = interface_name(line);
}

pub(crate) fn label(address: &mut VirtualAddress, line: &mut Line<'_>) {
    if address.address.is_ipv6() {
        let at = line.span();
        line.error("invalid-value", at, "an IPv6 address has no label".to_owned());
    }
    address.label = interface_name(line).map(|name| name.as_str().to_owned());
}

/// An address, `+` for all host bits set, `-` for none.
pub(crate) fn broadcast(address: &mut VirtualAddress, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let IpAddr::V4(own) = address.address else {
        line.invalid(word, "cannot be: an IPv6 address has no broadcast address", None);
        return;
    };
    let host_bits = u32::MAX.checked_shr(u32::from(address.prefix_len)).unwrap_or(0);
    let broadcast = match word.text.as_str() {
        "+" => Ok(Ipv4Addr::from(u32::from(own) | host_bits)),
        "-" => Ok(Ipv4Addr::from(u32::from(own) & !host_bits)),
        text => text.parse(),
    };
    match broadcast {
        Ok(broadcast) => address.broadcast = Some(broadcast),
        Err(_) => line.invalid(word, "is neither an IPv4 address nor `+` nor `-`", None),
    }
}

/// Scope numbers of the kernel (linux/rtnetlink.h, RT_SCOPE).
pub(super) const SCOPES: [(&str, u8); 5] =
    [("global", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)];

pub(crate) fn scope(address: &mut VirtualAddress, line: &mut Line<'_>) {
    let number = line.peek().and_then(|word| word.text.parse::<u8>().ok());
    let scope = match number {
        Some(number) => {
            line.next();
            Some(number)
        }
        None => line.choice(&SCOPES).map(|(scope, _)| scope),
    };
    address.scope = scope.unwrap_or(address.scope);
}
