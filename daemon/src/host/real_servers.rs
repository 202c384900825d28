//! Whether this machine, where it is itself a real server behind direct routing, takes packets to
//! the virtual address and leaves the answer about it to the director. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vipd_config::Places;
use vipd_config::diagnostics::{Diagnostic, Diagnostics};
use vipd_engine::config::Config;
use vipd_engine::config::director::{Forwarding, Service};
use vipd_engine::{Ifindex, InterfaceName, Link};

use super::placed;
use super::settings::Settings;
use crate::netlink::Seen;

/// Says what is missing for that.
pub fn judge(
    settings: &dyn Settings,
    seen: &Seen,
    config: &Config,
    places: &Places,
) -> Diagnostics {
    let (mut found, mut told) = (Diagnostics::default(), BTreeSet::new());
    for (index, server) in config.director().virtual_servers.iter().enumerate() {
        for (number, real) in server.real_servers.iter().enumerate() {
            let direct = real.forwarding == Forwarding::DirectRouting;
            let Some(link) = holder(seen, real.address).filter(|_| direct) else { continue };
            let at = places.of_real_server(index, number);
            for service in &server.services {
                let Service::Address { address, .. } = service else { continue };
                if !told.insert(*address) {
                    continue;
                }
                if !is_taken(seen, config, *address) {
                    found.push(placed(not_taken(real.address, *address), at));
                }
                if address.is_ipv4() {
                    let said = answers(settings, &link.name, *address);
                    said.into_iter().for_each(|one| found.push(placed(one, at)));
                }
            }
        }
    }
    found
}

fn holder(seen: &Seen, address: IpAddr) -> Option<&Link> {
    let (index, ..) = seen.addresses.iter().find(|(_, own, _)| *own == address)?;
    seen.links.iter().find(|link| link.interface == *index)
}

/// Where a virtual router puts the address it comes and goes: that is not enough.
fn is_taken(seen: &Seen, config: &Config, address: IpAddr) -> bool {
    let instances = config.instances().iter();
    let passing = instances.filter_map(|instance| {
        let mut listed = instance.addresses.iter().chain(&instance.excluded);
        let own = listed.find(|one| one.address == address)?;
        let macvlan = instance.virtual_mac.as_ref().map(|virtual_mac| &virtual_mac.interface);
        let name = own.interface.as_ref().or(macvlan).unwrap_or(&instance.interface);
        seen.link(name).map(|link| link.interface)
    });
    let passing: BTreeSet<Ifindex> = passing.collect();
    let mut held = seen.addresses.iter().filter(|(_, own, _)| *own == address);
    held.any(|(index, ..)| !passing.contains(index))
}

fn not_taken(real: IpAddr, address: IpAddr) -> Diagnostic {
    let length = if address.is_ipv4() { 32 } else { 128 };
    let message = format!(
        "this machine is the real server {real}, and {address} is not on `lo`: it does not take \
         what another director sends it"
    );
    let warning = Diagnostic::warning("real-server-here", message);
    warning.help(format!("`ip address add {address}/{length} dev lo`"))
}

fn answers(settings: &dyn Settings, name: &InterfaceName, address: IpAddr) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (key, least) in [("arp_ignore", 1), ("arp_announce", 2)] {
        let value = settings.greater(name, key);
        if value < least {
            let message = format!(
                "this machine is a real server of {address}, and {key} of `{name}` is {value}: it \
                 draws to itself what is for the director"
            );
            let warning = Diagnostic::warning("arp-setting", message);
            found.push(warning.help(format!("`sysctl -w net.ipv4.conf.{name}.{key}={least}`")));
        }
    }
    found
}
