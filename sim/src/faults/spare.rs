//! What is nobody's in a topology: VRIDs and addresses that a variant of a file can have instead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vipd_engine::InstanceConfig;
use vipd_engine::config::{Peer, Transport};
use vipd_scenarios::scenario::Scenario;

use crate::configurations::Configurations;
use crate::topology;

/// For each VRID, and for the last address and the last peer of each virtual router, another one
/// that is nobody's. No two get the same one: a virtual router that leaves its own VRID does not
/// come to another one, and none gets the address of another one.
#[derive(Clone, Debug)]
pub struct Spare {
    vrids: BTreeMap<u8, u8>,
    addresses: BTreeMap<IpAddr, IpAddr>,
}

impl Spare {
    /// Looks at all files and interfaces.
    #[must_use]
    pub fn of(scenario: &Scenario, configurations: &Configurations) -> Self {
        let instances: Vec<_> =
            configurations.iter().flat_map(|config| config.instances()).collect();
        let vrids: BTreeSet<_> = instances.iter().map(|one| one.vrid.get()).collect();
        let mut used = BTreeSet::new();
        let mut replaced = BTreeSet::new();
        for instance in instances {
            let held = instance.addresses.iter().chain(&instance.excluded);
            let peers = peers(instance);
            used.extend(held.map(|one| one.address).chain(peers.iter().map(|peer| peer.address)));
            replaced.extend(instance.addresses.last().map(|one| one.address));
            replaced.extend(peers.last().map(|peer| peer.address));
        }
        for (host, plan) in scenario.hosts.iter().enumerate() {
            for local in 0..plan.interfaces.len() {
                let own = topology::addresses(plan, host as u16, local);
                used.extend(own.into_iter().map(|(address, _)| address));
            }
        }
        Self {
            vrids: others(&vrids, vrids.clone(), vrids_after),
            addresses: others(&replaced, used, neighbours_after),
        }
    }

    /// A VRID instead of this one; none where all are in use.
    #[must_use]
    pub fn vrid(&self, instead_of: u8) -> Option<u8> {
        self.vrids.get(&instead_of).copied()
    }

    /// An address instead of this one, or beside it; none where all its neighbours are in use.
    #[must_use]
    pub fn address(&self, instead_of: IpAddr) -> Option<IpAddr> {
        self.addresses.get(&instead_of).copied()
    }
}

fn peers(instance: &InstanceConfig) -> &[Peer] {
    match &instance.transport {
        Transport::Multicast { .. } => &[],
        Transport::Unicast { peers, .. } => peers,
    }
}

/// For each of `replaced` the next one that is not `used`, nor instead of another one already.
fn others<T: Copy + Ord, I: Iterator<Item = T>>(
    replaced: &BTreeSet<T>,
    mut used: BTreeSet<T>,
    after: impl Fn(T) -> I,
) -> BTreeMap<T, T> {
    let other = |one: &T| {
        let free = after(*one).find(|other| !used.contains(other))?;
        used.insert(free);
        Some((*one, free))
    };
    replaced.iter().filter_map(other).collect()
}

fn vrids_after(vrid: u8) -> impl Iterator<Item = u8> {
    (vrid..u8::MAX).chain(0..vrid).map(|before| before + 1)
}

/// All that differ in the last octet, but for 0 and 255: no host of a /24 has those.
fn neighbours_after(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let last = match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    let with = move |octet: u8| match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, octet))
        }
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[15] = octet;
            IpAddr::V6(Ipv6Addr::from(octets))
        }
    };
    (last..u8::MAX).skip(1).chain(1..last).map(with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vrid_is_nobodys_and_no_two_get_the_same_one() {
        let others = |used: BTreeSet<u8>| others(&used, used.clone(), vrids_after);
        let some = others(BTreeSet::from([10, 11, 51, 255]));
        assert_eq!(some, BTreeMap::from([(10, 12), (11, 13), (51, 52), (255, 1)]));
        assert_eq!(others((1..=255).collect()), BTreeMap::new());
        assert_eq!(others((1..=254).collect()), BTreeMap::from([(1, 255)]));
    }

    #[test]
    fn another_address_is_a_neighbour_that_a_host_can_have() {
        let neighbours = |address: &str| {
            let address = address.parse().expect("an address");
            neighbours_after(address).map(|one| one.to_string()).collect::<Vec<_>>()
        };
        let all = neighbours("10.0.0.253");
        assert_eq!(all[..2], ["10.0.0.254", "10.0.0.1"]);
        assert_eq!((all.len(), &*all[252]), (253, "10.0.0.252"));
        assert_eq!(neighbours("10.0.0.255")[0], "10.0.0.1");
        assert_eq!(neighbours("fe80::ff")[0], "fe80::1");
        assert_eq!(neighbours("2001:db8::100")[0], "2001:db8::101");
    }
}
