//! A kernel command as netlink messages. Each is "make it so": what is there already on adding, or
//! gone already on removing, is success.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::StreamExt;
use nix::errno::Errno;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, CacheInfo,
};
use rtnetlink::packet_route::link::{LinkMessage, MacVlanMode};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{AddressMessageBuilder, Error, Handle, LinkMacVlan, LinkUnspec};
use tracing::{info, warn};
use vipd_engine::config::{FibEntry, VirtualAddress};
use vipd_engine::{
    AddressSpec, EffectError, Family, Ifindex, InterfaceName, KernelCommand, MacAddress,
};

use super::table::Table;
use super::{fib, rules};
use crate::sysctl;

/// What is asked, as a whole.
pub type Message = NetlinkMessage<RouteNetlinkMessage>;

/// Deprecated (RFC 4862 section 5.5.4) for good: the kernel would speak from a `/128` rather than
/// from the interface's own address, which fits less (RFC 6724 section 5, rules 3 and 8), and a
/// real server that has the virtual address on `lo` would answer a health check to itself.
fn no_source() -> CacheInfo {
    let mut info = CacheInfo::default();
    (info.ifa_preferred, info.ifa_valid) = (0, u32::MAX);
    info
}

/// One thing to ask the kernel for, in order.
pub enum Step {
    AddLink(LinkMessage),
    ChangeLink(LinkMessage),
    RemoveLink(LinkMessage),
    /// Beside those that are there, if `exclusive` does not say that there must be none.
    AddRoute {
        message: RouteMessage,
        exclusive: bool,
    },
    RemoveRoute(RouteMessage),
    AddRule(RuleMessage),
    RemoveRule(RuleMessage),
    /// How an interface answers for addresses that it does not hold.
    AnswerForOwnAddressesOnly {
        macvlan: InterfaceName,
        parent: InterfaceName,
    },
}

/// What is to be done, as far as the table tells.
///
/// # Errors
/// [`EffectError::NoInterface`] if something is to be put on an interface that is not there,
/// [`EffectError::Refused`] if the name of a macvlan is somebody else's.
pub fn steps(command: &KernelCommand, table: &Table) -> Result<Vec<Step>, EffectError> {
    match command {
        KernelCommand::SetVirtualMac { name, parent, mac, up } => {
            set_virtual_mac(name, parent, *mac, *up, table)
        }
        KernelCommand::RemoveVirtualMac { name } => {
            let ours =
                table.macvlan_on(name).is_some() && table.mac_of(name).is_some_and(is_virtual);
            let link = LinkUnspec::new_with_name(name.as_str()).build();
            Ok(if ours { vec![Step::RemoveLink(link)] } else { Vec::new() })
        }
        KernelCommand::AddFib(entry) if table.has(entry) => Ok(Vec::new()),
        KernelCommand::AddFib(FibEntry::Route(route)) => {
            // IPv6 would share the packets among this one and whatever is there.
            let exclusive = route.destination.family() == Family::Ipv6;
            let message = fib::addition(route, table)?;
            Ok(vec![Step::AddRoute { message, exclusive }])
        }
        KernelCommand::AddFib(FibEntry::Rule(rule)) => {
            Ok(vec![Step::AddRule(rules::message(rule))])
        }
        KernelCommand::RemoveFib(FibEntry::Route(route)) => {
            // A route cannot be where no interface is.
            let message = fib::removal(route, table).ok();
            Ok(message.into_iter().map(Step::RemoveRoute).collect())
        }
        KernelCommand::RemoveFib(FibEntry::Rule(rule)) => {
            Ok(vec![Step::RemoveRule(rules::message(rule))])
        }
        // Addresses are asked for together; filters and gates are not netlink's business here.
        KernelCommand::SetGate { .. }
        | KernelCommand::RemoveGate { .. }
        | KernelCommand::RenewLease { .. }
        | KernelCommand::AddAddress(_)
        | KernelCommand::RemoveAddress(_)
        | KernelCommand::AddFilter(_)
        | KernelCommand::RemoveFilter(_) => Err(EffectError::Refused),
    }
}

/// The messages that add an address, and the refusal that says that it is there.
///
/// # Errors
/// [`EffectError::NoInterface`] if its interface is not there.
pub fn addition(spec: &AddressSpec, table: &Table) -> Result<(Vec<Message>, Errno), EffectError> {
    let index = table.index_of(&spec.interface).ok_or(EffectError::NoInterface)?;
    let message = RouteNetlinkMessage::NewAddress(address_message(index, &spec.address));
    Ok((vec![request(message, NLM_F_CREATE | NLM_F_EXCL)], Errno::EEXIST))
}

/// The messages that remove an address, and the refusal that says that it is gone.
pub fn removal(spec: &AddressSpec, table: &Table) -> (Vec<Message>, Errno) {
    // An address cannot be where no interface is.
    let index = table.index_of(&spec.interface);
    let messages = index.map(|index| removals(index, &spec.address, table)).unwrap_or_default();
    (messages, Errno::EADDRNOTAVAIL)
}

/// Does the steps. A refusal is logged with the kernel's own reason.
///
/// # Errors
/// The first that was refused.
pub async fn perform(
    handle: &Handle,
    command: &KernelCommand,
    steps: Vec<Step>,
) -> Result<(), EffectError> {
    for step in steps {
        let (result, fine) = match step {
            Step::AddLink(message) => (handle.link().add(message).execute().await, Errno::EEXIST),
            Step::ChangeLink(message) => {
                (handle.link().change(message).execute().await, Errno::UnknownErrno)
            }
            Step::RemoveLink(message) => {
                (handle.link().del_with_message(message).execute().await, Errno::ENODEV)
            }
            Step::AddRoute { message, exclusive } => {
                let flags = NLM_F_CREATE | if exclusive { NLM_F_EXCL } else { 0 };
                let fine = if exclusive { Errno::UnknownErrno } else { Errno::EEXIST };
                (ask(handle, RouteNetlinkMessage::NewRoute(message), flags).await, fine)
            }
            Step::RemoveRoute(message) => {
                (ask(handle, RouteNetlinkMessage::DelRoute(message), 0).await, Errno::ESRCH)
            }
            Step::AddRule(message) => {
                let flags = NLM_F_CREATE | NLM_F_EXCL;
                let asked = RouteNetlinkMessage::NewRule(message);
                (ask(handle, asked, flags).await, Errno::UnknownErrno)
            }
            Step::RemoveRule(message) => {
                (ask(handle, RouteNetlinkMessage::DelRule(message), 0).await, Errno::ENOENT)
            }
            Step::AnswerForOwnAddressesOnly { macvlan, parent } => {
                sysctl::answer_for_own_addresses_only(&macvlan, &parent);
                continue;
            }
        };
        if let Err(error) = result {
            let errno = errno(&error);
            if errno != Some(fine) {
                return tell(command, Err((errno, &error.to_string())));
            }
        }
    }
    tell(command, Ok(()))
}

/// Logs what came of a command: a refusal with the kernel's own reason, or another one.
///
/// # Errors
/// The refusal.
pub fn tell(
    command: &KernelCommand,
    result: Result<(), (Option<Errno>, &str)>,
) -> Result<(), EffectError> {
    match result {
        Ok(()) => {
            info!("{command}: done");
            Ok(())
        }
        Err((errno, other)) => {
            warn!("{command}: {}", errno.map_or(other, |errno| errno.desc()));
            Err(effect_error(errno))
        }
    }
}

/// What rtnetlink has no request for: with these flags and no others.
async fn ask(handle: &Handle, message: RouteNetlinkMessage, flags: u16) -> Result<(), Error> {
    let mut answers = handle.clone().request(request(message, flags))?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload {
            return Err(Error::NetlinkError(error));
        }
    }
    Ok(())
}

/// With these flags, and with an answer.
fn request(message: RouteNetlinkMessage, flags: u16) -> Message {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    request
}

fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::NetlinkError(message) => message.code.map(|code| Errno::from_raw(-code.get())),
        _ => None,
    }
}

const fn effect_error(errno: Option<Errno>) -> EffectError {
    match errno {
        Some(Errno::ENODEV | Errno::ENETDOWN) => EffectError::NoInterface,
        Some(_) | None => EffectError::Refused,
    }
}

fn address_message(index: Ifindex, virtual_address: &VirtualAddress) -> AddressMessage {
    let prefix_len = virtual_address.prefix_len;
    let mut message = match virtual_address.address {
        IpAddr::V4(address) => {
            let builder = AddressMessageBuilder::<Ipv4Addr>::new().index(index.0);
            let mut message = builder.address(address, prefix_len).build();
            // The builder invents one; only a configured broadcast address is set.
            let is_broadcast =
                |one: &AddressAttribute| matches!(one, AddressAttribute::Broadcast(_));
            message.attributes.retain(|attribute| !is_broadcast(attribute));
            message.attributes.extend(virtual_address.broadcast.map(AddressAttribute::Broadcast));
            let label = virtual_address.label.clone();
            message.attributes.extend(label.map(AddressAttribute::Label));
            message
        }
        IpAddr::V6(address) => {
            let builder = AddressMessageBuilder::<Ipv6Addr>::new().index(index.0);
            let mut message = builder.address(address, prefix_len).build();
            // It must be usable at once: the election already says that nobody else has it.
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            if prefix_len == u128::BITS as u8 {
                message.attributes.push(AddressAttribute::CacheInfo(no_source()));
            }
            message
        }
    };
    message.header.scope = virtual_address.scope.into();
    message
}

/// The address with whatever prefix length the kernel has it, the configured one in any case: the
/// table may be behind.
fn removals(index: Ifindex, virtual_address: &VirtualAddress, table: &Table) -> Vec<Message> {
    let mut prefixes: Vec<_> = table.prefixes(index, virtual_address.address).collect();
    if !prefixes.contains(&virtual_address.prefix_len) {
        prefixes.push(virtual_address.prefix_len);
    }
    let step = |prefix_len| {
        let plain = VirtualAddress::new(virtual_address.address);
        let message = address_message(index, &VirtualAddress { prefix_len, ..plain });
        request(RouteNetlinkMessage::DelAddress(message), 0)
    };
    prefixes.into_iter().map(step).collect()
}

/// A macvlan that passes nothing to its siblings (mode private), made if there is none.
fn set_virtual_mac(
    name: &InterfaceName,
    parent: &InterfaceName,
    mac: MacAddress,
    up: bool,
    table: &Table,
) -> Result<Vec<Step>, EffectError> {
    let below = table.index_of(parent).ok_or(EffectError::NoInterface)?;
    if table.index_of(name).is_some() && table.macvlan_on(name) != Some(below) {
        warn!("{name} is there and no macvlan on {parent}, it is left alone");
        return Err(EffectError::Refused);
    }
    let mut steps = Vec::new();
    if table.index_of(name).is_none() {
        let link = LinkMacVlan::new(name.as_str(), below.0, MacVlanMode::Private);
        steps.push(Step::AddLink(link.address(mac.0.to_vec()).build()));
    }
    let (macvlan, parent) = (name.clone(), parent.clone());
    steps.push(Step::AnswerForOwnAddressesOnly { macvlan, parent });
    let link = LinkUnspec::new_with_name(name.as_str()).address(mac.0.to_vec());
    let link = if up { link.up() } else { link.down() };
    steps.push(Step::ChangeLink(link.build()));
    Ok(steps)
}

/// 00-00-5E-00-01-xx and -02-xx (RFC 9568 section 7.3).
fn is_virtual(mac: MacAddress) -> bool {
    mac.0.starts_with(&[0, 0, 0x5e, 0, 1]) || mac.0.starts_with(&[0, 0, 0x5e, 0, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(address: &str, prefix_len: u8) -> Option<(u32, u32)> {
        let plain = VirtualAddress::new(address.parse().expect("an address"));
        let message = address_message(Ifindex(2), &VirtualAddress { prefix_len, ..plain });
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::CacheInfo(info) => Some((info.ifa_preferred, info.ifa_valid)),
            _ => None,
        })
    }

    #[test]
    fn nobody_speaks_from_a_128_by_himself_and_it_lasts_for_good() {
        assert_eq!(lifetimes("2001:db8::100", 128), Some((0, u32::MAX)));
        assert_eq!(lifetimes("fe80::100", 128), Some((0, u32::MAX)));
        assert_eq!(lifetimes("2001:db8::100", 64), None);
        assert_eq!(lifetimes("192.0.2.100", 32), None);
    }
}
