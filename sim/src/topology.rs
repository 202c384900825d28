//! What a scenario says of wires and addresses, made into a [`Network`]: the same in every world
//! that carries its frames by it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::director::{Forwarding, Protocol, Service};
use vipd_engine::{Family, MacAddress};
use vipd_frames::Endpoints;
use vipd_scenarios::record::{HostId, HostSetting, SegmentId, SegmentSetting, Setting};
use vipd_scenarios::scenario::{Conditions, Host as HostPlan, Scenario, Step, TimedStep};

use crate::configurations::Configurations;
use crate::inject::STRANGER;
use crate::link::Path;
use crate::network::{Network, Port, PortId};
use crate::random::Random;

/// The wires of this scenario, with nothing on them. `seed` decides what is random about them.
#[must_use]
pub fn network(scenario: &Scenario, configurations: &Configurations, seed: u64) -> Network {
    let mut net = Network::new(ports(scenario, seed), directory(scenario));
    for config in configurations.iter() {
        for instance in config.instances() {
            for held in instance.addresses.iter().chain(&instance.excluded) {
                if !net.virtual_addresses.contains(&held.address) {
                    net.virtual_addresses.push(held.address);
                }
            }
        }
    }
    net
}

/// What a capture calls each port, and the segment that it is plugged into.
#[must_use]
pub fn port_names(scenario: &Scenario, net: &Network) -> Vec<(String, String)> {
    let names = net.ports().iter().map(|port| {
        let segment = scenario.segments[usize::from(port.segment.0)].name.to_string();
        let name = port.host.map_or_else(
            || format!("injected into {segment}"),
            |host| {
                let plan = &scenario.hosts[usize::from(host.0)];
                format!("{}/{}", plan.name, plan.interfaces[port.local].name)
            },
        );
        (name, segment)
    });
    names.collect()
}

/// The MAC burnt into a port: the host's number and the port's place in it.
#[must_use]
pub fn burnt_in(host: u16, local: usize) -> MacAddress {
    let [high, low] = host.to_be_bytes();
    MacAddress([0x02, 0x00, 0x00, high, low, local as u8])
}

/// The addresses of an interface: those of the file, and a link-local one if there is none.
#[must_use]
pub fn addresses(plan: &HostPlan, host: u16, local: usize) -> Vec<(IpAddr, u8)> {
    let mut addresses = plan.interfaces[local].addresses.clone();
    let has_link_local = addresses.iter().any(|(address, _)| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    });
    if !has_link_local {
        let MacAddress([a, b, c, d, e, f]) = burnt_in(host, local);
        // Modified EUI-64 (RFC 4291 appendix A).
        let id = [a ^ 0x02, b, c, 0xff, 0xfe, d, e, f];
        let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        octets[8..].copy_from_slice(&id);
        addresses.insert(0, (IpAddr::V6(Ipv6Addr::from(octets)), 64));
    }
    addresses
}

/// Every interface of every host as a port, and one more in each segment that a step injects into.
#[must_use]
pub fn ports(scenario: &Scenario, seed: u64) -> Vec<Port> {
    let mut ports = Vec::new();
    let mut names = Vec::new();
    for (plan, id) in scenario.hosts.iter().zip(0..) {
        for (local, interface) in plan.interfaces.iter().enumerate() {
            let (segment, mac) = (interface.segment, burnt_in(id, local));
            ports.push(Port { host: Some(HostId(id)), local, segment, mac, paths: Vec::new() });
            names.push(format!("{} {}", plan.name, interface.name));
        }
    }
    for id in 0..scenario.segments.len() {
        let segment = SegmentId(id as u16);
        let injects = |timed: &Arc<TimedStep>| match &timed.step {
            Step::Inject(injection) => injection.segment == segment,
            _ => false,
        };
        if !scenario.steps.iter().any(injects) {
            continue;
        }
        ports.push(Port { host: None, local: 0, segment, mac: STRANGER, paths: Vec::new() });
        names.push(format!("injected {id}"));
    }
    let places: Vec<_> = ports.iter().map(|port| (port.segment, port.host)).collect();
    for (from, port) in ports.iter_mut().enumerate() {
        let conditions = scenario.segments[usize::from(port.segment.0)].conditions;
        for (to, (segment, host)) in places.iter().enumerate() {
            if to != from && *segment == port.segment && host.is_some() {
                let random = Random::stream(seed, &format!("{} to {}", names[from], names[to]));
                port.paths.push((PortId(to as u32), Path::new(conditions, random)));
            }
        }
    }
    ports
}

/// Where the MAC of an address that never moves is found, by segment.
#[must_use]
pub fn directory(scenario: &Scenario) -> Vec<(SegmentId, IpAddr, MacAddress)> {
    let mut directory = Vec::new();
    for (plan, id) in scenario.hosts.iter().zip(0..) {
        for (local, interface) in plan.interfaces.iter().enumerate() {
            for (address, _) in addresses(plan, id, local) {
                directory.push((interface.segment, address, burnt_in(id, local)));
            }
        }
    }
    directory
}

/// A client asks from the port whose prefix holds the address, else from the first of its family:
/// the place of that port among its own, and both ends of what it asks.
#[must_use]
pub fn asks(plan: &HostPlan, id: u16) -> Option<(usize, Endpoints)> {
    from_where(plan, id, plan.probe?.address)
}

/// The same for whoever asks a virtual server for pages.
#[must_use]
pub fn requests(plan: &HostPlan, id: u16) -> Option<(usize, Endpoints)> {
    from_where(plan, id, plan.requests?.address)
}

fn from_where(plan: &HostPlan, id: u16, to: IpAddr) -> Option<(usize, Endpoints)> {
    let family = Family::of(to);
    let mut own = Vec::new();
    for local in 0..plan.interfaces.len() {
        own.extend(addresses(plan, id, local).into_iter().map(|(from, len)| (local, from, len)));
    }
    own.retain(|(_, from, _)| Family::of(*from) == family);
    let near = own.iter().find(|(_, from, len)| holds(*from, *len, to));
    let (port, from, _) = near.or(own.first())?;
    Some((*port, Endpoints::new(*from, to)?))
}

fn holds(network: IpAddr, len: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = u32::from(network) ^ u32::from(address);
            differ.leading_zeros() >= u32::from(len)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differ = u128::from(network) ^ u128::from(address);
            differ.leading_zeros() >= u32::from(len)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// What a host serves as a real server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// The ports of TCP at which directors send it connections.
    pub ports: BTreeSet<u16>,
    /// Addresses of services that reach it by direct routing: it has them, and tells nobody.
    pub hidden: BTreeSet<IpAddr>,
}

/// What each host serves, by the configurations of all directors.
#[must_use]
pub fn serving(scenario: &Scenario, configurations: &Configurations) -> Vec<Serving> {
    let own = |(plan, id): (&HostPlan, u16)| {
        let locals = 0..plan.interfaces.len();
        let own = locals.flat_map(|local| addresses(plan, id, local));
        let own: Vec<_> = own.map(|(address, _)| address).collect();
        let mut serving = Serving::default();
        let servers = configurations.iter().flat_map(|config| &config.director().virtual_servers);
        for (virtual_server, service) in
            servers.flat_map(|one| one.services.iter().map(move |service| (one, *service)))
        {
            let Service::Address { address, protocol: Protocol::Tcp, .. } = service else {
                continue;
            };
            let real = virtual_server.real_servers.iter();
            let real = real.map(|one| (one.address, one.port_at(service), one.forwarding));
            let sorry = virtual_server.sorry_server.iter();
            let sorry = sorry.map(|one| (one.address, one.port_at(service), one.forwarding));
            for (_, port, forwarding) in real.chain(sorry).filter(|(at, ..)| own.contains(at)) {
                serving.ports.insert(port);
                if forwarding == Forwarding::DirectRouting {
                    serving.hidden.insert(address);
                }
            }
        }
        serving
    };
    scenario.hosts.iter().zip(0..).map(own).collect()
}

/// The largest of everything that the scenario can bring about.
#[must_use]
pub fn setting(scenario: &Scenario) -> Setting {
    let (mut lateness, mut release, mut ppm) = (Duration::ZERO, Duration::ZERO, 0);
    let mut conditions: Vec<Conditions> = Vec::new();
    for timed in &scenario.steps {
        match &timed.step {
            Step::Late { by, .. } => lateness = lateness.max(*by),
            Step::KernelLate { by, .. } => release = release.max(*by),
            Step::ClockDrift { ppm: drift, .. } => ppm = ppm.max(drift.unsigned_abs()),
            Step::Conditions { conditions: changed, .. } => conditions.push(*changed),
            _ => {}
        }
    }
    let hosts = scenario.hosts.iter().zip(0..).map(|(plan, id)| {
        let own = plan.interfaces.iter().enumerate().flat_map(|(local, interface)| {
            let addresses = addresses(plan, id, local).into_iter();
            addresses.map(|(address, _)| (interface.segment, address))
        });
        let (name, runs_vrrp) = (plan.name.clone(), plan.config.is_some());
        let ports = plan.interfaces.iter();
        let interfaces = ports.map(|port| (port.name.clone(), port.segment)).collect();
        HostSetting { name, addresses: own.collect(), interfaces, runs_vrrp, speaks: true }
    });
    let segments = scenario.segments.iter().map(|segment| {
        let in_force = || conditions.iter().chain([&segment.conditions]);
        let min_delay = in_force().map(|conditions| conditions.delay).min().unwrap_or_default();
        let longest = in_force().map(|conditions| conditions.delay + conditions.jitter).max();
        let max_delay = longest.unwrap_or_default();
        SegmentSetting { name: segment.name.clone(), min_delay, max_delay }
    });
    Setting {
        hosts: hosts.collect(),
        segments: segments.collect(),
        lateness,
        rate_error_ppb: ppm.saturating_mul(1000),
        release,
        tolerance: Duration::ZERO,
        routes_seen: true,
        tables_seen: true,
    }
}
