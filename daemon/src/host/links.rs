//! Whether the interfaces and addresses that a file names are on this machine. Pure.

use std::net::IpAddr;

use vipd_config::Places;
use vipd_config::diagnostics::{Diagnostic, Diagnostics, Span};
use vipd_engine::config::{Config, FibConfig, FibEntry, InstanceConfig, Tracked, Transport};
use vipd_engine::{Family, InterfaceName, Link, LinkState};

use crate::netlink::Seen;

/// Interfaces that are named where one is missing.
const NAMED: usize = 12;

/// Says what is missing, and what is down.
pub fn judge(seen: &Seen, config: &Config, places: &Places) -> Diagnostics {
    let mut look = Look { seen, config, found: Diagnostics::default() };
    for instance in config.instances() {
        look.instance(instance, places);
    }
    for group in config.groups() {
        for name in tracked(group.tracks.iter()) {
            look.named(name, None, &format!("vrrp_sync_group {}", group.name));
        }
    }
    for (index, (name, _)) in config.statics().addresses.iter().enumerate() {
        look.named(name, places.of_static_address(index), "static_ipaddress");
    }
    for name in routed(&config.statics().fib) {
        look.named(name, None, "static_routes");
    }
    if let Some(sync) = &config.director().sync_daemon {
        look.named(&sync.interface, None, "lvs_sync_daemon");
    }
    look.found
}

fn tracked<'a>(
    tracks: impl Iterator<Item = &'a vipd_engine::config::Track>,
) -> impl Iterator<Item = &'a InterfaceName> {
    tracks.filter_map(|track| match &track.tracked {
        Tracked::Interface(name) => Some(name),
        Tracked::Tracker(_) => None,
    })
}

fn routed(fib: &[FibConfig]) -> impl Iterator<Item = &InterfaceName> {
    let hops = fib.iter().flat_map(|one| match &one.entry {
        FibEntry::Route(route) => &route.next_hops[..],
        FibEntry::Rule(_) => &[],
    });
    hops.filter_map(|hop| hop.interface.as_ref())
}

struct Look<'a> {
    seen: &'a Seen,
    config: &'a Config,
    found: Diagnostics,
}

impl Look<'_> {
    fn instance(&mut self, instance: &InstanceConfig, places: &Places) {
        let place = |keyword| places.of_instance(&instance.name, keyword);
        let title = format!("vrrp_instance {}", instance.name);
        self.named(&instance.interface, place("interface"), &title);
        let lists = [
            ("virtual_ipaddress", &instance.addresses),
            ("virtual_ipaddress_excluded", &instance.excluded),
        ];
        for (list, addresses) in lists {
            for (index, address) in addresses.iter().enumerate() {
                if let Some(name) = &address.interface {
                    self.named(name, places.of_item(&instance.name, list, index), &title);
                }
            }
        }
        for name in tracked(instance.tracks.iter()) {
            self.named(name, place("track_interface"), &title);
        }
        for name in routed(&instance.fib) {
            self.named(name, place("virtual_routes"), &title);
        }
        if let Some(link) = self.seen.link(&instance.interface) {
            self.state(instance, link, place("interface"));
            self.source(instance, link, place("interface"), place("unicast_src_ip"));
        }
        if let Transport::Unicast { peers, .. } = &instance.transport {
            for (index, peer) in peers.iter().enumerate() {
                if self.seen.addresses.iter().any(|(_, address, _)| *address == peer.address) {
                    let message = format!("the peer {} is this machine", peer.address);
                    let warning = Diagnostic::warning("peer-is-here", message);
                    let at = places.of_item(&instance.name, "unicast_peer", index);
                    self.tell(warning.help("name the other machine here"), at);
                }
            }
        }
    }

    /// An interface that the file names for anything.
    fn named(&mut self, name: &InterfaceName, at: Option<Span>, by: &str) {
        let mut made = self.config.instances().iter().filter_map(|one| one.virtual_mac.as_ref());
        let is_made = made.any(|virtual_mac| virtual_mac.interface == *name);
        if is_made || self.seen.link(name).is_some() {
            return;
        }
        let message = format!("there is no interface `{name}` on this machine");
        let error = Diagnostic::error("no-interface", message).label(format!("named by {by}"));
        let names: Vec<_> = self.seen.links.iter().map(|link| link.name.as_str()).collect();
        let (shown, more) = names.split_at(names.len().min(NAMED));
        let more = if more.is_empty() { "" } else { ", ..." };
        let help = format!("there are {}{more}", shown.join(", "));
        self.tell(error.help(help), at);
    }

    fn state(&mut self, instance: &InstanceConfig, link: &Link, at: Option<Span>) {
        if link.state == LinkState::Up || instance.ignore_primary_link {
            return;
        }
        let message = format!("the interface `{}` is down, or has no carrier", link.name);
        let warning = Diagnostic::warning("interface-down", message);
        let warning = warning.label("in fault until it is up");
        self.tell(warning.help(format!("`ip link set {} up`, or its cable", link.name)), at);
    }

    /// What adverts leave from.
    fn source(
        &mut self,
        instance: &InstanceConfig,
        link: &Link,
        interface: Option<Span>,
        configured: Option<Span>,
    ) {
        let usable: Vec<_> = self.seen.addresses_of(link.interface).collect();
        let Some(source) = instance.source() else {
            let fits = |one: &IpAddr| match (instance.family, one) {
                (Family::Ipv4, one) => one.is_ipv4(),
                (Family::Ipv6, IpAddr::V6(one)) => one.is_unicast_link_local(),
                (Family::Ipv6, IpAddr::V4(_)) => false,
            };
            let what = match instance.family {
                Family::Ipv4 => "IPv4",
                Family::Ipv6 => "IPv6 link-local",
            };
            if !usable.iter().any(fits) {
                let message = format!("`{}` has no {what} address to send adverts from", link.name);
                let error = Diagnostic::error("no-source", message);
                let help = format!("`ip address add ADDRESS/LENGTH dev {}`", link.name);
                self.tell(error.label("in fault until it has one").help(help), interface);
            }
            return;
        };
        if self.seen.addresses.iter().any(|(_, address, _)| *address == source) {
            return;
        }
        let message = format!("{source} is not an address of this machine");
        let error = Diagnostic::error("no-source", message).label("adverts cannot leave from it");
        let of_family = usable.iter().filter(|one| one.is_ipv4() == source.is_ipv4());
        let names: Vec<_> = of_family.take(NAMED).map(ToString::to_string).collect();
        let help = match names.is_empty() {
            true => "is this the file of the other machine?".to_owned(),
            false => format!(
                "`{}` has {}; is this the file of the other machine?",
                link.name,
                names.join(", ")
            ),
        };
        self.tell(error.help(help), configured);
    }

    fn tell(&mut self, diagnostic: Diagnostic, at: Option<Span>) {
        self.found.push(super::placed(diagnostic, at));
    }
}
