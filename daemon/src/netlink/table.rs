//! Interfaces, addresses, routes and rules as the kernel told them, and the difference that a
//! message makes.
//!
//! The kernel holds an address once per prefix length, the engine knows it once per interface: it
//! hears of the first to come and of the last to go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use vipd_engine::config::FibEntry;
use vipd_engine::config::fib::Route;
use vipd_engine::{FibChange, Ifindex, InterfaceName, Link, LinkState, LocalAddress, MacAddress};

use super::{fib, rules};
use crate::seam::Told;

/// The whole state at one time.
pub struct Dump {
    pub links: Vec<LinkMessage>,
    pub addresses: Vec<AddressMessage>,
    pub routes: Vec<RouteMessage>,
    pub rules: Vec<RuleMessage>,
}

/// An address of an interface with its prefix length.
type Entry = (Ifindex, IpAddr, u8);

/// The interfaces of a dump, and the addresses that can be used.
pub fn seen(dump: &Dump) -> (Vec<Link>, Vec<Entry>) {
    let links = dump.links.iter().filter_map(interface).map(|interface| interface.link);
    let usable = dump.addresses.iter().filter(|message| can_be_used(message));
    (links.collect(), usable.filter_map(entry).collect())
}

/// What the kernel told so far.
#[derive(Debug, Default)]
pub struct Table {
    links: BTreeMap<Ifindex, Interface>,
    addresses: BTreeSet<Entry>,
    fib: BTreeSet<FibEntry>,
    /// Routes and rules of these protocols are followed, those of others are not.
    protocols: BTreeSet<u8>,
}

/// An interface, and what the engine does not ask about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    link: Link,
    /// It is a macvlan on this interface.
    macvlan_on: Option<Ifindex>,
}

impl Table {
    /// Takes in one message and appends what changed to `news`. `replaces`: what it tells stands in
    /// the place of another one. Returns whether the kernel did more than it tells, so that its
    /// state must be read anew.
    pub fn apply(
        &mut self,
        message: &RouteNetlinkMessage,
        replaces: bool,
        news: &mut VecDeque<Told>,
    ) -> bool {
        match message {
            RouteNetlinkMessage::NewRoute(message) => {
                return self.on_route(message, true, replaces, news);
            }
            RouteNetlinkMessage::DelRoute(message) => {
                return self.on_route(message, false, false, news);
            }
            RouteNetlinkMessage::NewRule(message) => self.on_rule(message, true, news),
            RouteNetlinkMessage::DelRule(message) => self.on_rule(message, false, news),
            RouteNetlinkMessage::NewLink(message) => {
                if let Some(interface) = interface(message) {
                    let changes_routes = self.changes_routes(&interface);
                    self.put_link(interface, news);
                    return changes_routes;
                }
            }
            RouteNetlinkMessage::DelLink(message) if is_of_an_interface(message) => {
                let index = Ifindex(message.header.index);
                let had_routes = self.has_route_by(index);
                self.remove_link(index, news);
                return had_routes;
            }
            RouteNetlinkMessage::NewAddress(message) => {
                if let Some(entry) = entry(message) {
                    if can_be_used(message) {
                        self.put_address(entry, news);
                    } else {
                        self.remove_address(entry, news);
                    }
                }
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let Some(entry) = entry(message) {
                    self.remove_address(entry, news);
                    return self.needed_by_route(entry);
                }
            }
            // Other groups are not subscribed to.
            _ => {}
        }
        false
    }

    /// Follows routes and rules of these protocols too. Returns whether that is more than before:
    /// then the state must be read anew.
    pub fn follow(&mut self, protocols: &BTreeSet<u8>) -> bool {
        let more = !protocols.is_subset(&self.protocols);
        self.protocols.extend(protocols);
        more
    }

    /// The protocols whose routes and rules are followed.
    pub const fn protocols(&self) -> &BTreeSet<u8> {
        &self.protocols
    }

    /// Whether the kernel has this configured route or rule.
    pub fn has(&self, entry: &FibEntry) -> bool {
        self.fib.iter().any(|told| entry.names(told))
    }

    /// The state is this. Appends the difference to `news`: what went first, then interfaces, then
    /// addresses in the kernel's order, whose first one is the primary one. A route that went with
    /// an interface which is back by now is so told while its interface is still said to be down.
    pub fn replace(&mut self, dump: &Dump, news: &mut VecDeque<Told>) {
        let links: Vec<_> = dump.links.iter().filter_map(interface).collect();
        let usable = dump.addresses.iter().filter(|message| can_be_used(message));
        let addresses: Vec<_> = usable.filter_map(entry).collect();
        let there: BTreeSet<_> = addresses.iter().copied().collect();
        for gone in self.addresses.difference(&there).copied().collect::<Vec<_>>() {
            self.remove_address(gone, news);
        }
        let known: BTreeSet<_> = links.iter().map(|one| one.link.interface).collect();
        let before: Vec<_> = self.links.keys().copied().collect();
        for gone in before.into_iter().filter(|index| !known.contains(index)) {
            self.remove_link(gone, news);
        }
        let mut came = VecDeque::new();
        for link in links {
            self.put_link(link, &mut came);
        }
        for address in addresses {
            self.put_address(address, &mut came);
        }
        let routes = dump.routes.iter().filter_map(|message| fib::route(message, self));
        let rules = dump.rules.iter().filter_map(rules::rule);
        let there: BTreeSet<_> = routes.chain(rules).filter(|one| self.follows(one)).collect();
        for gone in self.fib.difference(&there).cloned().collect::<Vec<_>>() {
            self.set_fib(gone, false, news);
        }
        news.append(&mut came);
        for entry in there {
            self.set_fib(entry, true, news);
        }
    }

    /// The index of the interface of this name.
    pub fn index_of(&self, name: &InterfaceName) -> Option<Ifindex> {
        self.named(name).map(|interface| interface.link.interface)
    }

    /// The name of the interface with this index.
    pub fn name_of(&self, index: Ifindex) -> Option<InterfaceName> {
        self.links.get(&index).map(|interface| interface.link.name.clone())
    }

    /// The interface below the macvlan of this name; `None` if it is no macvlan.
    pub fn macvlan_on(&self, name: &InterfaceName) -> Option<Ifindex> {
        self.named(name)?.macvlan_on
    }

    /// The MAC of the interface of this name.
    pub fn mac_of(&self, name: &InterfaceName) -> Option<MacAddress> {
        self.named(name).map(|interface| interface.link.mac)
    }

    /// The prefix lengths with which an interface holds an address.
    pub fn prefixes(&self, interface: Ifindex, address: IpAddr) -> impl Iterator<Item = u8> + '_ {
        let all = (interface, address, 0)..=(interface, address, u8::MAX);
        self.addresses.range(all).map(|(_, _, prefix_len)| *prefix_len)
    }

    fn follows(&self, entry: &FibEntry) -> bool {
        self.protocols.contains(&entry.protocol())
    }

    /// A route that stands in the place of ours is told, that ours is gone is not.
    fn on_route(
        &mut self,
        message: &RouteMessage,
        present: bool,
        replaces: bool,
        news: &mut VecDeque<Told>,
    ) -> bool {
        let is_followed = self.protocols.contains(&message.header.protocol.into());
        if !is_followed && !replaces {
            return false;
        }
        let Some(entry) = fib::route(message, self) else { return false };
        let took_a_place = replaces && self.routes().any(|held| stands_in_place_of(&entry, held));
        if is_followed {
            self.set_fib(entry, present, news);
        }
        took_a_place
    }

    fn on_rule(&mut self, message: &RuleMessage, present: bool, news: &mut VecDeque<Told>) {
        if let Some(entry) = rules::rule(message).filter(|entry| self.follows(entry)) {
            self.set_fib(entry, present, news);
        }
    }

    fn set_fib(&mut self, entry: FibEntry, present: bool, news: &mut VecDeque<Told>) {
        let changed =
            if present { self.fib.insert(entry.clone()) } else { self.fib.remove(&entry) };
        if changed {
            news.push_back(Told::Fib(FibChange { entry, present }));
        }
    }

    fn routes(&self) -> impl Iterator<Item = &Route> {
        self.fib.iter().filter_map(|entry| match entry {
            FibEntry::Route(route) => Some(&**route),
            FibEntry::Rule(_) => None,
        })
    }

    /// IPv4 routes by an interface that goes down go without a word, and names are ours to keep.
    fn changes_routes(&self, now: &Interface) -> bool {
        let index = now.link.interface;
        let before = self.links.get(&index).map(|interface| &interface.link);
        before.is_some_and(|before| {
            let down = now.link.state != LinkState::Up && before.state == LinkState::Up;
            (down || before.name != now.link.name) && self.has_route_by(index)
        })
    }

    fn has_route_by(&self, index: Ifindex) -> bool {
        let Some(name) = self.name_of(index) else { return false };
        self.routes()
            .any(|route| route.next_hops.iter().any(|hop| hop.interface.as_ref() == Some(&name)))
    }

    /// Routes go with their source address, and with the last address of their interface.
    fn needed_by_route(&self, (interface, address, _): Entry) -> bool {
        let last = !self.addresses.iter().any(|one| one.0 == interface);
        self.routes().any(|route| route.source == Some(address))
            || (last && self.has_route_by(interface))
    }

    fn named(&self, name: &InterfaceName) -> Option<&Interface> {
        self.links.values().find(|interface| interface.link.name == *name)
    }

    fn put_link(&mut self, interface: Interface, news: &mut VecDeque<Told>) {
        let before = self.links.insert(interface.link.interface, interface.clone());
        if before.is_none_or(|before| before.link != interface.link) {
            news.push_back(Told::Link(interface.link));
        }
    }

    /// Its addresses went with it.
    fn remove_link(&mut self, index: Ifindex, news: &mut VecDeque<Told>) {
        let Some(Interface { link, .. }) = self.links.remove(&index) else { return };
        let of_it: Vec<_> = self.addresses.iter().filter(|one| one.0 == index).copied().collect();
        for entry in of_it {
            self.remove_address(entry, news);
        }
        news.push_back(Told::Link(Link { state: LinkState::Absent, ..link }));
    }

    fn put_address(&mut self, entry: Entry, news: &mut VecDeque<Told>) {
        let is_first = self.prefixes(entry.0, entry.1).next().is_none();
        if self.addresses.insert(entry) && is_first {
            news.push_back(told_address(entry, true));
        }
    }

    fn remove_address(&mut self, entry: Entry, news: &mut VecDeque<Told>) {
        if self.addresses.remove(&entry) && self.prefixes(entry.0, entry.1).next().is_none() {
            news.push_back(told_address(entry, false));
        }
    }
}

/// Whether the kernel puts the one where the other was: it is not the other.
fn stands_in_place_of(entry: &FibEntry, held: &Route) -> bool {
    let FibEntry::Route(new) = entry else { return false };
    let place = |route: &Route| (route.destination, route.tos, route.table, route.metric);
    place(new) == place(held) && **new != *held
}

const fn told_address((interface, address, _): Entry, present: bool) -> Told {
    Told::Address(LocalAddress { interface, address, present })
}

/// A bridge tells of its ports by messages of its own family. A port that leaves a bridge is no
/// interface that goes.
fn is_of_an_interface(message: &LinkMessage) -> bool {
    message.header.interface_family == AddressFamily::Unspec
}

fn interface(message: &LinkMessage) -> Option<Interface> {
    if !is_of_an_interface(message) {
        return None;
    }
    let (mut name, mut mac, mut parent, mut is_macvlan) = (None, [0; 6], None, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(InterfaceName::new(text)),
            // Tunnels have addresses of other lengths. No advert leaves with one.
            LinkAttribute::Address(octets) => mac = octets[..].try_into().unwrap_or(mac),
            LinkAttribute::Link(index) => parent = Some(Ifindex(*index)),
            LinkAttribute::LinkInfo(infos) => {
                is_macvlan = infos.contains(&LinkInfo::Kind(InfoKind::MacVlan));
            }
            _ => {}
        }
    }
    let flags = message.header.flags;
    let up = flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::Running);
    let state = if up { LinkState::Up } else { LinkState::Down };
    let interface = Ifindex(message.header.index);
    let link = Link { interface, name: name?, mac: MacAddress(mac), state };
    Some(Interface { link, macvlan_on: parent.filter(|_| is_macvlan) })
}

fn entry(message: &AddressMessage) -> Option<Entry> {
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point interface the other one is the peer's.
            AddressAttribute::Local(own) => local = Some(*own),
            AddressAttribute::Address(own) => address = Some(*own),
            _ => {}
        }
    }
    let interface = Ifindex(message.header.index);
    Some((interface, local.or(address)?, message.header.prefix_len))
}

/// Nothing can be sent from an address whose duplicate is still looked for, or was found.
fn can_be_used(message: &AddressMessage) -> bool {
    let whole = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    let short = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let flags = whole.unwrap_or(short);
    !flags.intersects(AddressFlags::Dadfailed)
        && (!flags.contains(AddressFlags::Tentative) || flags.contains(AddressFlags::Optimistic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::route::RouteProtocol;
    use rtnetlink::{AddressMessageBuilder, RouteMessageBuilder};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn link(index: u32, name: &str, up: bool) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if up {
            message.header.flags = LinkFlags::Up | LinkFlags::Running;
        }
        message.attributes.push(LinkAttribute::IfName(name.to_string()));
        message.attributes.push(LinkAttribute::Address(vec![2, 0, 0, 0, 0, index as u8]));
        message
    }

    fn address(index: u32, last: u8, prefix_len: u8) -> AddressMessage {
        let builder = AddressMessageBuilder::<Ipv4Addr>::new().index(index);
        builder.address(Ipv4Addr::new(10, 0, 0, last), prefix_len).build()
    }

    fn lines(news: &mut VecDeque<Told>) -> Vec<String> {
        let line = |told| match told {
            Told::Link(link) => format!("{} {:?}", link.name, link.state),
            Told::Address(LocalAddress { interface, address, present }) => {
                format!("{address} on {} {present}", interface.0)
            }
            Told::Fib(FibChange { entry, present }) => format!("{entry} {present}"),
            Told::Done { .. } | Told::Probe { .. } | Told::Ipvs { .. } => "done".to_string(),
        };
        news.drain(..).map(line).collect()
    }

    fn dump(links: &[LinkMessage], addresses: &[AddressMessage]) -> Dump {
        let (links, addresses) = (links.to_vec(), addresses.to_vec());
        Dump { links, addresses, routes: Vec::new(), rules: Vec::new() }
    }

    #[test]
    fn a_dump_after_lost_messages_tells_the_difference_and_nothing_else() {
        let (mut table, mut news) = (Table::default(), VecDeque::new());
        let all = [link(2, "eth0", true), link(3, "eth1", true)];
        table.replace(&dump(&all, &[address(2, 1, 24), address(3, 2, 24)]), &mut news);
        let first = ["eth0 Up", "eth1 Up", "10.0.0.1 on 2 true", "10.0.0.2 on 3 true"];
        assert_eq!(lines(&mut news), first);
        table.replace(&dump(&all, &[address(2, 1, 24), address(3, 2, 24)]), &mut news);
        assert!(news.is_empty(), "nothing is different");
        let left = [link(2, "eth0", false)];
        table.replace(&dump(&left, &[address(2, 1, 24), address(2, 9, 32)]), &mut news);
        let difference = ["10.0.0.2 on 3 false", "eth1 Absent", "eth0 Down", "10.0.0.9 on 2 true"];
        assert_eq!(lines(&mut news), difference);
    }

    #[test]
    fn a_route_that_went_with_its_interface_is_told_before_that_one_is_back() {
        let (mut table, mut news) = (Table::default(), VecDeque::new());
        table.follow(&BTreeSet::from([RouteProtocol::Static.into()]));
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::new(10, 8, 0, 0), 16)
            .output_interface(2)
            .build();
        let up = dump(&[link(2, "eth0", true)], &[]);
        table.replace(&Dump { routes: vec![route], ..up }, &mut news);
        news.clear();
        let down = RouteNetlinkMessage::NewLink(link(2, "eth0", false));
        assert!(table.apply(&down, false, &mut news), "its routes are asked for");
        table.replace(&dump(&[link(2, "eth0", true)], &[]), &mut news);
        let told = ["eth0 Down", "route 10.8.0.0/16 dev eth0 proto 4 false", "eth0 Up"];
        assert_eq!(lines(&mut news), told);
    }

    #[test]
    fn an_address_with_two_prefix_lengths_comes_with_the_first_and_goes_with_the_last() {
        let (mut table, mut news) = (Table::default(), VecDeque::new());
        table.replace(&dump(&[link(2, "eth0", true)], &[]), &mut news);
        news.clear();
        for prefix_len in [24, 32] {
            table.apply(
                &RouteNetlinkMessage::NewAddress(address(2, 9, prefix_len)),
                false,
                &mut news,
            );
        }
        assert_eq!(lines(&mut news), ["10.0.0.9 on 2 true"]);
        let held = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(table.prefixes(Ifindex(2), held).collect::<Vec<_>>(), [24, 32]);
        table.apply(&RouteNetlinkMessage::DelAddress(address(2, 9, 24)), false, &mut news);
        assert!(news.is_empty());
        table.apply(&RouteNetlinkMessage::DelAddress(address(2, 9, 32)), false, &mut news);
        assert_eq!(lines(&mut news), ["10.0.0.9 on 2 false"]);
    }

    #[test]
    fn an_address_is_there_only_when_no_duplicate_is_looked_for_any_more() {
        let (mut table, mut news) = (Table::default(), VecDeque::new());
        let with = |flags| {
            let builder = AddressMessageBuilder::<Ipv6Addr>::new().index(2);
            let mut message = builder.address(Ipv6Addr::LOCALHOST, 64).build();
            message.attributes.push(AddressAttribute::Flags(flags));
            RouteNetlinkMessage::NewAddress(message)
        };
        table.apply(&with(AddressFlags::Tentative), false, &mut news);
        assert!(news.is_empty());
        table.apply(&with(AddressFlags::Permanent), false, &mut news);
        assert_eq!(lines(&mut news), ["::1 on 2 true"]);
        table.apply(&with(AddressFlags::Tentative | AddressFlags::Permanent), false, &mut news);
        assert_eq!(lines(&mut news), ["::1 on 2 false"]);
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_no_interface_that_goes() {
        let (mut table, mut news) = (Table::default(), VecDeque::new());
        table.replace(&dump(&[link(2, "eth0", true)], &[]), &mut news);
        news.clear();
        let mut of_the_bridge = link(2, "eth0", true);
        of_the_bridge.header.interface_family = AddressFamily::Bridge;
        table.apply(&RouteNetlinkMessage::DelLink(of_the_bridge), false, &mut news);
        assert!(news.is_empty());
        table.apply(&RouteNetlinkMessage::DelLink(link(2, "eth0", true)), false, &mut news);
        assert_eq!(lines(&mut news), ["eth0 Absent"]);
    }
}
