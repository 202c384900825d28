//! What each host has to do with each address: few of both, in sorted arrays, since nearly every
//! property asks at nearly every change.

use std::net::IpAddr;

use crate::record::{HostId, SegmentId};

/// What hosts have of one address, in the order of hosts.
type Hosts<T> = Vec<(HostId, T)>;

/// Of each address on a segment what hosts have of it.
#[derive(Debug)]
pub(in crate::judge) struct Whose<T>(Vec<((SegmentId, IpAddr), Hosts<T>)>);

impl<T: Copy> Whose<T> {
    /// All that have something of this address.
    pub(in crate::judge) fn of(&self, address: (SegmentId, IpAddr)) -> &[(HostId, T)] {
        let place = self.0.binary_search_by_key(&address, |(known, _)| *known);
        place.map_or(&[], |place| &self.0[place].1)
    }

    /// What this host has of it.
    pub(super) fn get(&self, address: (SegmentId, IpAddr), host: HostId) -> Option<T> {
        let mut hosts = self.of(address).iter();
        hosts.find(|(known, _)| *known == host).map(|(_, item)| *item)
    }

    /// Enters what a host has, whatever was there.
    pub(super) fn put(&mut self, address: (SegmentId, IpAddr), host: HostId, item: T) {
        let place = self.0.binary_search_by_key(&address, |(known, _)| *known);
        let place = place.unwrap_or_else(|place| {
            self.0.insert(place, (address, Vec::new()));
            place
        });
        let hosts = &mut self.0[place].1;
        match hosts.binary_search_by_key(&host, |(known, _)| *known) {
            Ok(place) => hosts[place].1 = item,
            Err(place) => hosts.insert(place, (host, item)),
        }
    }

    /// The host has nothing of it any more.
    pub(super) fn remove(&mut self, address: (SegmentId, IpAddr), host: HostId) {
        if let Ok(place) = self.0.binary_search_by_key(&address, |(known, _)| *known) {
            self.0[place].1.retain(|(known, _)| *known != host);
        }
    }

    /// The host has nothing of any address any more.
    pub(super) fn forget(&mut self, host: HostId) {
        for (_, hosts) in &mut self.0 {
            hosts.retain(|(known, _)| *known != host);
        }
    }
}

impl<T> Default for Whose<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_in_order_and_each_has_one_thing_of_an_address() {
        let (one, other) = (IpAddr::from([10, 0, 0, 9]), IpAddr::from([10, 0, 0, 2]));
        let (here, there) = ((SegmentId(0), one), (SegmentId(0), other));
        let mut whose = Whose::default();
        for (address, host, item) in [(here, 3, 'a'), (there, 1, 'b'), (here, 1, 'c')] {
            whose.put(address, HostId(host), item);
        }
        whose.put(here, HostId(3), 'd');
        assert_eq!(whose.of(here), [(HostId(1), 'c'), (HostId(3), 'd')]);
        assert_eq!(whose.get(there, HostId(1)), Some('b'));
        whose.remove(here, HostId(3));
        assert_eq!(whose.get(here, HostId(3)), None);
        whose.forget(HostId(1));
        assert!(whose.of(here).is_empty() && whose.of(there).is_empty());
        assert!(whose.of((SegmentId(1), one)).is_empty());
    }
}
