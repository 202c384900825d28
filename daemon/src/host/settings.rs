//! Whether settings of the kernel (sysctl) contradict what a file needs: addresses that are
//! answered for, packets that come back another way, persistence of virtual servers.
//!
//! Pure: [`Settings`] reads. Meanings and maxima as in Documentation/networking/ip-sysctl.rst and
//! ipvs-sysctl.rst of Linux.

use vipd_config::Places;
use vipd_config::diagnostics::{Diagnostic, Diagnostics};
use vipd_engine::config::director::{Protocol, Service};
use vipd_engine::config::{Config, InstanceConfig, VirtualMac, VirtualServer};
use vipd_engine::{Family, InterfaceName, LinkState};

use super::firewall::is_within;
use super::placed;
use crate::netlink::Seen;

/// Values below /proc/sys.
pub trait Settings {
    /// The value of a path such as `net/ipv4/conf/eth0/rp_filter`; `None` if there is none.
    fn get(&self, path: &str) -> Option<i64>;

    /// Whether nobody can change it, since it is mounted so.
    fn is_read_only(&self, path: &str) -> bool;

    /// What counts for an interface where the greater of its value and that for all does.
    fn greater(&self, interface: &InterfaceName, key: &str) -> i64 {
        let value = |name: &str| self.get(&path(name, key)).unwrap_or(0);
        value("all").max(value(interface.as_str()))
    }
}

fn path(interface: &str, key: &str) -> String {
    format!("net/ipv4/conf/{interface}/{key}")
}

/// Says what contradicts the file.
pub fn judge(
    settings: &dyn Settings,
    seen: &Seen,
    config: &Config,
    places: &Places,
) -> Diagnostics {
    let mut found = Diagnostics::default();
    let mut looked_at = std::collections::BTreeSet::new();
    for instance in config.instances().iter().filter(|one| one.family == Family::Ipv4) {
        if looked_at.insert((&instance.interface, instance.virtual_mac.is_some())) {
            of_interface(settings, seen, instance, places, &mut found);
        }
        if let Some(virtual_mac) = &instance.virtual_mac {
            of_macvlan(settings, instance, virtual_mac, places, &mut found);
        }
    }
    for (index, server) in config.director().virtual_servers.iter().enumerate() {
        let said = of_server(settings, server);
        for diagnostic in said {
            found.push(placed(diagnostic, places.of_server(index)));
        }
    }
    found
}

fn of_interface(
    settings: &dyn Settings,
    seen: &Seen,
    instance: &InstanceConfig,
    places: &Places,
    found: &mut Diagnostics,
) {
    let name = &instance.interface;
    let at = places.of_instance(&instance.name, "interface");
    if settings.greater(name, "arp_ignore") == 8 {
        let message = format!("arp_ignore is 8: nobody is told where an address of `{name}` is");
        let warning = Diagnostic::warning("arp-setting", message);
        let help = format!("`sysctl -w net.ipv4.conf.{name}.arp_ignore=0`, and that of `all`");
        found.push(placed(warning.help(help), at));
    }
    if settings.greater(name, "rp_filter") != 1 {
        return;
    }
    if let Some(other) = beside(seen, name) {
        let message = format!(
            "rp_filter of `{name}` is 1, and `{other}` is in the same network: adverts are dropped \
             where the way back to their sender is by `{other}`"
        );
        let warning = Diagnostic::warning("rp-filter", message);
        let help = format!("`sysctl -w net.ipv4.conf.{name}.rp_filter=2`");
        found.push(placed(warning.help(help), at));
    }
}

/// Another interface with an address of the same network.
fn beside<'a>(seen: &'a Seen, name: &InterfaceName) -> Option<&'a InterfaceName> {
    let own = seen.link(name)?.interface;
    let nets = |of: &dyn Fn(vipd_engine::Ifindex) -> bool| -> Vec<_> {
        let all = seen.addresses.iter();
        all.filter(|(index, address, length)| of(*index) && address.is_ipv4() && *length < 32)
            .collect()
    };
    let others = nets(&|index| index != own);
    let shared = nets(&|index| index == own).into_iter().find_map(|(_, address, length)| {
        let same =
            |(_, other, other_length): &&&_| is_within(*address, *other, *length.min(other_length));
        others.iter().find(same).map(|(index, ..)| *index)
    })?;
    let link = seen.links.iter().find(|link| link.interface == shared)?;
    (link.state == LinkState::Up).then_some(&link.name)
}

/// The daemon sets what it can (`sysctl.rs`).
fn of_macvlan(
    settings: &dyn Settings,
    instance: &InstanceConfig,
    virtual_mac: &VirtualMac,
    places: &Places,
    found: &mut Diagnostics,
) {
    let (macvlan, parent) = (&virtual_mac.interface, &instance.interface);
    let at = places.of_instance(&instance.name, "use_vmac");
    if settings.get(&path("all", "rp_filter")) == Some(1) {
        let message = format!(
            "net.ipv4.conf.all.rp_filter is 1 and counts for `{macvlan}` too: packets that arrive \
             there are dropped, since the way back is by `{parent}`"
        );
        let warning = Diagnostic::warning("rp-filter", message);
        let help =
            "`sysctl -w net.ipv4.conf.all.rp_filter=0`, and what is wanted of each interface";
        found.push(placed(warning.help(help), at));
    }
    for (key, least) in [("arp_ignore", 1), ("arp_announce", 2)] {
        let own = path(parent.as_str(), key);
        if settings.greater(parent, key) < least && settings.is_read_only(&own) {
            let message = format!(
                "{key} of `{parent}` is not {least}, and /proc/sys is read-only: `{parent}` would \
                 answer for the virtual addresses with its own MAC"
            );
            let warning = Diagnostic::warning("arp-setting", message);
            let help = format!("outside: `sysctl -w net.ipv4.conf.{parent}.{key}={least}`");
            found.push(placed(warning.help(help), at));
        }
    }
}

/// Values of IPVS are there only with it.
fn of_server(settings: &dyn Settings, server: &VirtualServer) -> Vec<Diagnostic> {
    let is_off = |key: &str| settings.get(&format!("net/ipv4/vs/{key}")) == Some(0);
    let mut found = Vec::new();
    let stays = server.real_servers.iter().find(|real| real.inhibit_on_failure);
    if let Some(real) = stays.filter(|_| server.persistence.is_some())
        && is_off("expire_quiescent_template")
    {
        let message = format!(
            "with inhibit_on_failure, clients that were at {} stay there when it fails: \
             persistence outlives weight 0",
            real.address
        );
        let warning = Diagnostic::warning("persistence-setting", message);
        found.push(warning.help("`sysctl -w net.ipv4.vs.expire_quiescent_template=1`"));
    }
    let is_udp =
        |service: &Service| matches!(service, Service::Address { protocol: Protocol::Udp, .. });
    let goes = server.real_servers.iter().find(|real| !real.inhibit_on_failure);
    if let Some(real) = goes.filter(|_| server.services.iter().any(is_udp))
        && is_off("expire_nodest_conn")
    {
        let message = format!(
            "when {} is taken out, a client that keeps its UDP port is not heard until its \
             connection expires",
            real.address
        );
        let note = Diagnostic::note("udp-setting", message);
        found.push(note.help("`sysctl -w net.ipv4.vs.expire_nodest_conn=1`"));
    }
    found
}
