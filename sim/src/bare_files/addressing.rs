//! Which addresses the interfaces of bare files have: the configured sources of adverts first, then
//! what the peers of others leave to be guessed, then the next free one of the network.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use vipd_engine::config::{Transport, VirtualAddress};
use vipd_engine::{Config, Family, InstanceConfig};

use super::wiring::{PortPlan, Wiring, is_same_router};

/// Where nobody lives: TEST-NET-1 (RFC 5737) and the documentation prefix (RFC 3849).
const NOWHERE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0));
const NOWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0));

/// Addresses of one network that are looked at.
const MOST_NUMBERS: u32 = 65_534;

/// Gives addresses out.
#[derive(Debug)]
pub(super) struct Addressing<'a> {
    configs: &'a [Arc<Config>],
    wiring: &'a Wiring,
    /// Whatever stands in a file, and what was given out.
    used: BTreeSet<IpAddr>,
    /// Sources of adverts: configured or guessed.
    claimed: BTreeSet<IpAddr>,
}

impl<'a> Addressing<'a> {
    pub(super) fn new(configs: &'a [Arc<Config>], wiring: &'a Wiring) -> Self {
        let (mut used, mut claimed) = (BTreeSet::new(), BTreeSet::new());
        for config in configs {
            for instance in config.instances() {
                claimed.extend(instance.source());
                used.extend(instance.addresses.iter().chain(&instance.excluded).map(|a| a.address));
                used.extend(peers(instance));
            }
            used.extend(config.statics().addresses.iter().map(|(_, held)| held.address));
            let services = &config.director().virtual_servers;
            let servers = services.iter().flat_map(|service| &service.real_servers);
            used.extend(servers.map(|server| server.address));
        }
        used.extend(&claimed);
        Self { configs, wiring, used, claimed }
    }

    /// The addresses of a port, the primary one of a family first. Tells what it made up, and what
    /// is odd.
    pub(super) fn of_port(
        &mut self,
        host: usize,
        port: &PortPlan,
        told: &mut dyn FnMut(String),
    ) -> Vec<(IpAddr, u8)> {
        let configs = self.configs;
        let on_port = || port.instances.iter().map(|place| &configs[host].instances()[*place]);
        let mut given: Vec<(IpAddr, u8)> = Vec::new();
        for source in on_port().filter_map(|instance| instance.source()) {
            if !given.iter().any(|(address, _)| *address == source) {
                given.push((source, self.prefix_len(port.segment, Family::of(source))));
                if let Some(other) = self.also_says(host, source) {
                    let files = if other == 1 { "file" } else { "files" };
                    told(format!(
                        "{source} is the source of adverts of {other} other {files}, too"
                    ));
                }
            }
        }
        for instance in on_port().filter(|instance| instance.source().is_none()) {
            let has = given.iter().any(|(address, _)| Family::of(*address) == instance.family);
            if has {
                continue;
            }
            let len = self.prefix_len(port.segment, instance.family);
            if let Some(address) = self.guessed(host, instance) {
                told(format!(
                    "no `unicast_src_ip`: its address is taken to be {address}, a peer of others"
                ));
                self.claimed.insert(address);
                given.push((address, len));
            } else if instance.family == Family::Ipv4 {
                let address = self.next_free(port.segment, Family::Ipv4);
                told(format!(
                    "no `unicast_src_ip` and no `mcast_src_ip`: its address is made up, {address}"
                ));
                given.push((address, len));
            }
        }
        given
    }

    /// The address of a client that asks for `held`.
    pub(super) fn of_client(&mut self, segment: usize, held: &VirtualAddress) -> Vec<(IpAddr, u8)> {
        match held.address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Vec::new(),
            address => {
                let family = Family::of(address);
                vec![(self.next_free(segment, family), self.prefix_len(segment, family))]
            }
        }
    }

    /// How many other hosts have this source, if any.
    fn also_says(&self, host: usize, source: IpAddr) -> Option<usize> {
        let others = self.configs.iter().enumerate().filter(|(other, _)| *other != host);
        let says = |config: &Config| {
            config.instances().iter().any(|instance| instance.source() == Some(source))
        };
        let count = others.filter(|(_, config)| says(config)).count();
        (count > 0).then_some(count)
    }

    /// A peer of the same virtual router elsewhere that nobody is yet and that is not one's own.
    fn guessed(&self, host: usize, instance: &InstanceConfig) -> Option<IpAddr> {
        let own: Vec<_> = peers(instance).collect();
        let others = self.configs.iter().enumerate().filter(|(other, _)| *other != host);
        let routers = others.flat_map(|(_, config)| config.instances());
        let named = routers.filter(|other| is_same_router(instance, other));
        let mut named = named.flat_map(|other| peers(other));
        named.find(|peer| !own.contains(peer) && !self.claimed.contains(peer))
    }

    /// Of the first virtual address of the segment that says more than itself, else a usual one.
    fn prefix_len(&self, segment: usize, family: Family) -> u8 {
        let (single, usual) = match family {
            Family::Ipv4 => (31, 24),
            Family::Ipv6 => (127, 64),
        };
        let held = self.held(segment, family);
        let len = held.map(|held| held.prefix_len).find(|len| (1..single).contains(len));
        len.unwrap_or(usual)
    }

    fn held(&self, segment: usize, family: Family) -> impl Iterator<Item = &'a VirtualAddress> {
        let instances = self.wiring.instances_on(segment, self.configs);
        let held = instances.flat_map(|one| one.addresses.iter().chain(&one.excluded));
        held.filter(move |held| Family::of(held.address) == family && !is_link_local(held.address))
    }

    /// The first free address of the segment's network.
    fn next_free(&mut self, segment: usize, family: Family) -> IpAddr {
        let configs = self.configs;
        let known = self.held(segment, family).map(|held| held.address).next();
        let mut sources =
            self.wiring.instances_on(segment, configs).filter_map(InstanceConfig::source);
        let known = known.or_else(|| sources.find(|source| Family::of(*source) == family));
        let nowhere = match family {
            Family::Ipv4 => NOWHERE_V4,
            Family::Ipv6 => NOWHERE_V6,
        };
        let len = self.prefix_len(segment, family);
        let free = numbered(known.unwrap_or(nowhere), len).find(|one| !self.used.contains(one));
        // A network that is full already: it is not the real one.
        let free = free.or_else(|| numbered(nowhere, 16).find(|one| !self.used.contains(one)));
        let address = free.unwrap_or(nowhere);
        self.used.insert(address);
        address
    }
}

/// The addresses of a network by their numbers, without the first and the last one.
fn numbered(address: IpAddr, len: u8) -> Box<dyn Iterator<Item = IpAddr>> {
    match address {
        IpAddr::V4(address) => {
            let size = 1_u64 << (32 - u32::from(len.min(32)));
            let network = u64::from(u32::from(address)) / size * size;
            let numbers = 1..(size - 1).min(u64::from(MOST_NUMBERS)).max(1);
            let at = move |number| IpAddr::V4(Ipv4Addr::from((network + number) as u32));
            Box::new(numbers.map(at))
        }
        IpAddr::V6(address) => {
            let bits = 128 - u32::from(len.min(128));
            let network = u128::from(address).checked_shr(bits).unwrap_or(0);
            let network = network.checked_shl(bits).unwrap_or(0);
            let size = 1_u128.checked_shl(bits).unwrap_or(u128::MAX);
            let numbers = 1..(size - 1).min(u128::from(MOST_NUMBERS)).max(1);
            Box::new(numbers.map(move |number| IpAddr::V6(Ipv6Addr::from(network + number))))
        }
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn peers(instance: &InstanceConfig) -> impl Iterator<Item = IpAddr> {
    let peers = match &instance.transport {
        Transport::Unicast { peers, .. } => &peers[..],
        Transport::Multicast { .. } => &[],
    };
    peers.iter().map(|peer| peer.address)
}
