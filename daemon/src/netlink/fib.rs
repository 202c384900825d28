//! Routes and rules as rtnetlink has them, and back. Interfaces have numbers there and names here,
//! so both ways ask the table of interfaces.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric as Attribute, RouteNextHop,
    RouteNextHopFlags, RouteRealm, RouteType, RouteVia,
};
use vipd_engine::config::FibEntry;
use vipd_engine::config::fib::{NextHop, Prefix, Route, RouteKind, RouteMetric};
use vipd_engine::{EffectError, Family, Ifindex, InterfaceName};

use super::table::Table;

/// `RT_SCOPE_NOWHERE`: of any scope, in a removal.
const ANY_SCOPE: u8 = 255;

/// The kernel's name of each kind. It has more of them, none of which we ever add.
const KINDS: [(RouteKind, RouteType); 6] = [
    (RouteKind::Unicast, RouteType::Unicast),
    (RouteKind::Local, RouteType::Local),
    (RouteKind::Blackhole, RouteType::BlackHole),
    (RouteKind::Unreachable, RouteType::Unreachable),
    (RouteKind::Prohibit, RouteType::Prohibit),
    (RouteKind::Throw, RouteType::Throw),
];

/// Something known of a path, its number in linux/rtnetlink.h (RTAX), and the attribute of it.
type Metric = (RouteMetric, u8, fn(u32) -> Attribute);

const METRICS: [Metric; 14] = [
    (RouteMetric::Mtu, 2, Attribute::Mtu),
    (RouteMetric::Window, 3, Attribute::Window),
    (RouteMetric::Rtt, 4, Attribute::Rtt),
    (RouteMetric::RttVar, 5, Attribute::RttVar),
    (RouteMetric::Ssthresh, 6, Attribute::SsThresh),
    (RouteMetric::Cwnd, 7, Attribute::Cwnd),
    (RouteMetric::Advmss, 8, Attribute::Advmss),
    (RouteMetric::Reordering, 9, Attribute::Reordering),
    (RouteMetric::Hoplimit, 10, Attribute::Hoplimit),
    (RouteMetric::Initcwnd, 11, Attribute::InitCwnd),
    (RouteMetric::RtoMin, 13, Attribute::RtoMin),
    (RouteMetric::Initrwnd, 14, Attribute::InitRwnd),
    (RouteMetric::Quickack, 15, Attribute::QuickAck),
    (RouteMetric::FastopenNoCookie, 17, Attribute::FastopenNoCookie),
];

pub fn family_of(family: Family) -> AddressFamily {
    match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    }
}

pub fn family(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::Ipv4),
        AddressFamily::Inet6 => Some(Family::Ipv6),
        _ => None,
    }
}

/// As the message has it: 0 says "see the attribute".
pub fn short_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(0)
}

/// A route to add.
///
/// # Errors
/// [`EffectError::NoInterface`] if it names an interface that is not there.
pub fn addition(route: &Route, table: &Table) -> Result<RouteMessage, EffectError> {
    let mut message = head(route, table)?;
    message.header.scope = route.scope.into();
    message.attributes.extend(route.source.map(|one| RouteAttribute::PrefSource(one.into())));
    if route.realms != 0 {
        let [source, destination] = [route.realms >> 16, route.realms & 0xffff];
        let realm = RouteRealm { source: source as u16, destination: destination as u16 };
        message.attributes.push(RouteAttribute::Realm(realm));
    }
    let mut metrics = Vec::new();
    let mut locked = 0;
    for (metric, number, make) in METRICS {
        metrics.extend(route.metrics.iter().filter(|one| one.0 == metric).map(|one| make(one.1)));
        locked |= u32::from(route.locked.contains(&metric)) << number;
    }
    if locked != 0 {
        metrics.push(Attribute::Lock(locked));
    }
    if !metrics.is_empty() {
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    Ok(message)
}

/// A route to remove: by all that tells it from others to the same destination.
///
/// # Errors
/// [`EffectError::NoInterface`] if it names an interface that is not there: it cannot be there.
pub fn removal(route: &Route, table: &Table) -> Result<RouteMessage, EffectError> {
    let mut message = head(route, table)?;
    if route.destination.family() == Family::Ipv4 {
        message.header.scope = ANY_SCOPE.into();
    }
    Ok(message)
}

/// Destination, table, protocol and next hops.
fn head(route: &Route, table: &Table) -> Result<RouteMessage, EffectError> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family_of(route.destination.family());
    header.destination_prefix_length = route.destination.prefix_len();
    header.tos = route.tos;
    header.table = short_table(route.table);
    header.protocol = route.protocol.into();
    let kind = KINDS.into_iter().find(|(kind, _)| *kind == route.kind);
    header.kind = kind.map_or(RouteType::Unspec, |(_, kind)| kind);
    let destination = RouteAttribute::Destination(route.destination.address().into());
    message.attributes.push(destination);
    if let Some(from) = route.from {
        message.header.source_prefix_length = from.prefix_len();
        message.attributes.push(RouteAttribute::Source(from.address().into()));
    }
    message.attributes.push(RouteAttribute::Table(route.table));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    match &route.next_hops[..] {
        [] => {}
        [only] => {
            if only.onlink {
                message.header.flags |= RouteFlags::Onlink;
            }
            message.attributes.extend(only.via.map(|via| RouteAttribute::Gateway(via.into())));
            let index = index_of(only, table)?;
            message.attributes.extend(index.map(|index| RouteAttribute::Oif(index.0)));
        }
        several => {
            let hops = several.iter().map(|hop| next_hop(hop, table));
            message.attributes.push(RouteAttribute::MultiPath(hops.collect::<Result<_, _>>()?));
        }
    }
    Ok(message)
}

fn next_hop(hop: &NextHop, table: &Table) -> Result<RouteNextHop, EffectError> {
    let mut message = RouteNextHop::default();
    message.hops = hop.weight;
    message.interface_index = index_of(hop, table)?.map_or(0, |index| index.0);
    if hop.onlink {
        message.flags = RouteNextHopFlags::Onlink;
    }
    message.attributes.extend(hop.via.map(|via| RouteAttribute::Gateway(via.into())));
    Ok(message)
}

fn index_of(hop: &NextHop, table: &Table) -> Result<Option<Ifindex>, EffectError> {
    let index = |name: &InterfaceName| table.index_of(name).ok_or(EffectError::NoInterface);
    hop.interface.as_ref().map(index).transpose()
}

/// A route as the kernel tells it, if it is of a kind that we know.
pub fn route(message: &RouteMessage, table: &Table) -> Option<FibEntry> {
    let header = &message.header;
    let protocol = u8::from(header.protocol);
    // What the kernel made of another one goes with it.
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let family = family(header.address_family)?;
    let (kind, _) = KINDS.into_iter().find(|(_, kind)| *kind == header.kind)?;
    let mut route = Route::new(Prefix::all(family));
    (route.kind, route.tos, route.protocol) = (kind, header.tos, protocol);
    (route.table, route.scope) = (u32::from(header.table), header.scope.into());
    let mut only = NextHop { onlink: header.flags.contains(RouteFlags::Onlink), ..hop() };
    let mut several = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(one) => {
                route.destination = prefix(one, header.destination_prefix_length)?;
            }
            RouteAttribute::Source(one) => {
                route.from = Some(prefix(one, header.source_prefix_length)?);
            }
            RouteAttribute::Table(number) => route.table = *number,
            RouteAttribute::Priority(number) => route.metric = *number,
            RouteAttribute::PrefSource(one) => route.source = address(one),
            RouteAttribute::Realm(realm) => {
                route.realms = u32::from(realm.source) << 16 | u32::from(realm.destination);
            }
            RouteAttribute::Metrics(known) => note_metrics(known, &mut route),
            RouteAttribute::MultiPath(hops) => {
                several = hops.iter().map(|hop| hop_told(hop, table)).collect();
            }
            other => note_hop(other, &mut only, table),
        }
    }
    let hops = if several.is_empty() { vec![only] } else { several };
    route.next_hops = if kind.has_next_hop() { hops } else { Vec::new() };
    Some(FibEntry::Route(Box::new(route)))
}

fn hop() -> NextHop {
    NextHop::default()
}

fn hop_told(message: &RouteNextHop, table: &Table) -> NextHop {
    let mut told = NextHop {
        interface: table.name_of(Ifindex(message.interface_index)),
        weight: message.hops,
        onlink: message.flags.contains(RouteNextHopFlags::Onlink),
        ..hop()
    };
    for attribute in &message.attributes {
        note_hop(attribute, &mut told, table);
    }
    told
}

fn note_hop(attribute: &RouteAttribute, hop: &mut NextHop, table: &Table) {
    match attribute {
        RouteAttribute::Gateway(gateway) => hop.via = address(gateway),
        RouteAttribute::Via(RouteVia::Inet(gateway)) => hop.via = Some(IpAddr::V4(*gateway)),
        RouteAttribute::Via(RouteVia::Inet6(gateway)) => hop.via = Some(IpAddr::V6(*gateway)),
        RouteAttribute::Oif(index) => hop.interface = table.name_of(Ifindex(*index)),
        _ => {}
    }
}

/// In the order of the numbers, as the kernel has them.
fn note_metrics(known: &[Attribute], route: &mut Route) {
    for (metric, number, make) in METRICS {
        for attribute in known {
            if let Some(value) = value_of(attribute).filter(|value| make(*value) == *attribute) {
                route.metrics.push((metric, value));
            }
            if let Attribute::Lock(locked) = attribute
                && locked >> number & 1 == 1
            {
                route.locked.push(metric);
            }
        }
    }
}

const fn value_of(attribute: &Attribute) -> Option<u32> {
    match attribute {
        Attribute::Mtu(value)
        | Attribute::Window(value)
        | Attribute::Rtt(value)
        | Attribute::RttVar(value)
        | Attribute::SsThresh(value)
        | Attribute::Cwnd(value)
        | Attribute::Advmss(value)
        | Attribute::Reordering(value)
        | Attribute::Hoplimit(value)
        | Attribute::InitCwnd(value)
        | Attribute::RtoMin(value)
        | Attribute::InitRwnd(value)
        | Attribute::QuickAck(value)
        | Attribute::FastopenNoCookie(value) => Some(*value),
        _ => None,
    }
}

fn prefix(address: &RouteAddress, len: u8) -> Option<Prefix> {
    Prefix::new(self::address(address)?, len).ok()
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use rtnetlink::packet_route::RouteNetlinkMessage;
    use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

    fn table() -> Table {
        let mut table = Table::default();
        let mut link = LinkMessage::default();
        link.header.index = 2;
        link.attributes.push(LinkAttribute::IfName("eth0".to_string()));
        table.apply(&RouteNetlinkMessage::NewLink(link), false, &mut VecDeque::new());
        table
    }

    #[test]
    fn a_route_that_is_told_as_it_was_asked_for_is_the_same_with_all_its_options() {
        let table = table();
        let eth0 = || NextHop { interface: Some(InterfaceName::new("eth0")), ..hop() };
        let via = |text: &str| NextHop { via: Some(text.parse().expect("one")), ..eth0() };
        let to = |text: &str, len| {
            Route::new(Prefix::new(text.parse().expect("an address"), len).expect("a prefix"))
        };
        let measured = Route {
            next_hops: vec![via("192.0.2.254")],
            source: Some([192, 0, 2, 9].into()),
            table: 1000,
            metric: 7,
            realms: 0x1_0002,
            metrics: vec![(RouteMetric::Mtu, 1400), (RouteMetric::Advmss, 1360)],
            locked: vec![RouteMetric::Mtu],
            ..to("10.1.0.0", 16)
        };
        let several = Route {
            next_hops: vec![via("fe80::1"), NextHop { weight: 3, onlink: true, ..via("fe80::2") }],
            ..to("2001:db8::", 32)
        };
        let dropped = Route { kind: RouteKind::Blackhole, ..to("0.0.0.0", 0) };
        for asked in [measured, several, dropped] {
            let message = addition(&asked, &table).expect("the interface is there");
            let told = route(&message, &table);
            assert_eq!(told, Some(FibEntry::Route(Box::new(asked))));
        }
        let elsewhere = NextHop { interface: Some(InterfaceName::new("eth9")), ..hop() };
        let lost = Route { next_hops: vec![elsewhere], ..to("10.1.0.0", 16) };
        assert_eq!(addition(&lost, &table), Err(EffectError::NoInterface));
    }
}
