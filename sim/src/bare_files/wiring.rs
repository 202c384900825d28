//! Which interfaces bare files need, and which of them are on one segment.
//!
//! Two interfaces are, if instances of equal family and VRID run on them, or instances that share
//! a virtual address, or if one's unicast peer is the other's source: the last two so that a VRID
//! that differs is named (property S9) rather than parted. Interfaces without an instance, which
//! are tracked or carry an address or a route, are with those of the same name.

use std::net::IpAddr;
use std::sync::Arc;

use vipd_engine::config::{FibEntry, Track, Tracked, Transport};
use vipd_engine::{Config, InstanceConfig, InterfaceName};

use super::router_words;

/// A port of a host.
#[derive(Clone, Debug)]
pub(super) struct PortPlan {
    /// Its name.
    pub(super) name: Arc<str>,
    /// The segment that it is plugged into, by its place.
    pub(super) segment: usize,
    host: usize,
    /// The instances on it, by their place in the configuration.
    pub(super) instances: Vec<usize>,
}

/// All ports, in the order of hosts.
#[derive(Clone, Debug)]
pub(super) struct Wiring {
    ports: Vec<PortPlan>,
    segments: usize,
}

impl Wiring {
    pub(super) fn of(configs: &[Arc<Config>]) -> Self {
        let mut ports: Vec<PortPlan> = Vec::new();
        for (host, config) in configs.iter().enumerate() {
            for name in interfaces(config) {
                let on = |instance: &Arc<InstanceConfig>| instance.interface == name;
                let places = config.instances().iter().enumerate();
                let instances = places.filter(|(_, one)| on(one)).map(|(place, _)| place);
                let (name, instances) = (Arc::from(name.as_str()), instances.collect());
                ports.push(PortPlan { name, segment: ports.len(), host, instances });
            }
        }
        for one in 0..ports.len() {
            for other in 0..one {
                if are_together(configs, &ports[one], &ports[other]) {
                    let (from, to) = (ports[one].segment, ports[other].segment);
                    let moved = ports.iter_mut().filter(|port| port.segment == from);
                    moved.for_each(|port| port.segment = to);
                }
            }
        }
        // Numbered in the order in which they are met.
        let mut met = Vec::new();
        for port in &mut ports {
            let place = met.iter().position(|segment| *segment == port.segment);
            let place = place.unwrap_or_else(|| {
                met.push(port.segment);
                met.len() - 1
            });
            port.segment = place;
        }
        Self { ports, segments: met.len() }
    }

    pub(super) const fn segments(&self) -> usize {
        self.segments
    }

    pub(super) fn ports_of(&self, host: usize) -> impl Iterator<Item = &PortPlan> {
        self.ports.iter().filter(move |port| port.host == host)
    }

    /// The instances whose adverts pass on a segment.
    pub(super) fn instances_on<'a>(
        &'a self,
        segment: usize,
        configs: &'a [Arc<Config>],
    ) -> impl Iterator<Item = &'a InstanceConfig> {
        let ports = self.ports.iter().filter(move |port| port.segment == segment);
        ports.flat_map(move |port| instances(configs, port))
    }

    /// What is odd: instances that are alone, and hosts that are.
    pub(super) fn remarks(&self, names: &[Arc<str>], configs: &[Arc<Config>]) -> Vec<String> {
        let mut remarks = Vec::new();
        for (host, config) in configs.iter().enumerate() {
            let others = || (0..configs.len()).filter(|other| *other != host);
            for instance in config.instances() {
                let all = || {
                    others().flat_map(|other| {
                        configs[other].instances().iter().map(move |one| (other, one))
                    })
                };
                if all().any(|(_, other)| is_same_router(instance, other)) {
                    continue;
                }
                let (name, router) = (&names[host], router_words(instance));
                let mut remark = format!(
                    "{name}: no other file has {router} of {}: nobody takes over from it",
                    instance.name
                );
                let same =
                    all().find_map(|(other, one)| Some((other, one, shares(instance, one)?)));
                if let Some((other, one, address)) = same {
                    let (other, router) = (&names[other], router_words(one));
                    remark = format!("{remark}; {other} serves {address} with {router}");
                }
                remarks.push(remark);
            }
            if configs.len() > 1 && !others().any(|other| self.are_connected(host, other)) {
                let name = &names[host];
                remarks.push(format!("{name} shares nothing with another file: it is alone"));
            }
        }
        remarks
    }

    /// Whether two hosts have a segment in common.
    pub(super) fn are_connected(&self, one: usize, other: usize) -> bool {
        let of_other = || self.ports_of(other);
        self.ports_of(one).any(|port| of_other().any(|its| its.segment == port.segment))
    }
}

fn instances<'a>(
    configs: &'a [Arc<Config>],
    port: &'a PortPlan,
) -> impl Iterator<Item = &'a InstanceConfig> {
    port.instances.iter().map(|place| &*configs[port.host].instances()[*place])
}

fn are_together(configs: &[Arc<Config>], one: &PortPlan, other: &PortPlan) -> bool {
    if one.host == other.host {
        return false;
    }
    if one.instances.is_empty() && other.instances.is_empty() {
        return one.name == other.name;
    }
    instances(configs, one).any(|a| {
        instances(configs, other).any(|b| {
            is_same_router(a, b) || shares(a, b).is_some() || is_peer(a, b) || is_peer(b, a)
        })
    })
}

/// Whether these are one virtual router.
pub(super) fn is_same_router(one: &InstanceConfig, other: &InstanceConfig) -> bool {
    one.family == other.family && one.vrid == other.vrid
}

/// A virtual address of both.
fn shares(one: &InstanceConfig, other: &InstanceConfig) -> Option<IpAddr> {
    let own = one.addresses.iter().chain(&one.excluded).map(|held| held.address);
    let its = || other.addresses.iter().chain(&other.excluded).map(|held| held.address);
    own.into_iter().find(|address| its().any(|other| other == *address))
}

fn is_peer(one: &InstanceConfig, other: &InstanceConfig) -> bool {
    match &one.transport {
        Transport::Unicast { peers, .. } => {
            peers.iter().any(|peer| Some(peer.address) == other.source())
        }
        Transport::Multicast { .. } => false,
    }
}

/// Every interface that this configuration names, but those that it makes itself.
fn interfaces(config: &Config) -> Vec<InterfaceName> {
    let of_instances = config.instances().iter().map(|instance| &instance.interface);
    let tracked = config.instances().iter().flat_map(|instance| &instance.tracks);
    let tracked = tracked.chain(config.groups().iter().flat_map(|group| &group.tracks));
    let tracked = tracked.filter_map(|Track { tracked, .. }| match tracked {
        Tracked::Interface(name) => Some(name),
        Tracked::Tracker(_) => None,
    });
    let held = config.instances().iter();
    let held = held.flat_map(|instance| instance.addresses.iter().chain(&instance.excluded));
    let held = held.filter_map(|held| held.interface.as_ref());
    let statics = config.statics().addresses.iter().map(|(interface, _)| interface);
    let hops = config.fib().flat_map(|entry| match entry {
        FibEntry::Route(route) => &route.next_hops[..],
        FibEntry::Rule(_) => &[],
    });
    let hops = hops.filter_map(|hop| hop.interface.as_ref());
    let made = |name: &InterfaceName| {
        let mut macvlans = config.instances().iter().filter_map(|one| one.virtual_mac.as_ref());
        macvlans.any(|macvlan| macvlan.interface == *name)
    };
    let mut found: Vec<InterfaceName> = Vec::new();
    for name in of_instances.chain(tracked).chain(held).chain(statics).chain(hops) {
        if !found.contains(name) && !made(name) {
            found.push(name.clone());
        }
    }
    found
}
