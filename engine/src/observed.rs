//! What the driver reported of this machine: interfaces, their addresses, trackers.
//!
//! A fault is derived from these tables each time and never counted, so none can leak.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::{FibEntry, Track, Tracked};
use crate::event::Fault;
use crate::input::{FibChange, Link, LinkState, LocalAddress, TrackerValue};
use crate::names::{Family, Ifindex, InterfaceName, MacAddress, TrackerName};

/// An interface as last reported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Interface {
    pub(crate) name: InterfaceName,
    pub(crate) mac: MacAddress,
    pub(crate) up: bool,
    /// In the order in which they were reported: the first of a family is the primary one.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Interfaces and trackers as they were reported.
pub(crate) type Reports = (BTreeMap<Ifindex, Interface>, BTreeMap<TrackerName, TrackerValue>);

/// Interfaces and trackers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    interfaces: BTreeMap<Ifindex, Interface>,
    by_name: BTreeMap<InterfaceName, Ifindex>,
    fib: BTreeSet<FibEntry>,
    trackers: BTreeMap<TrackerName, TrackerValue>,
    /// Configured virtual addresses of non-owners: never the source of an advert.
    virtual_addresses: BTreeSet<IpAddr>,
}

impl Observed {
    /// What was reported, without what is derived from it.
    pub(crate) fn reports(&self) -> Reports {
        (self.interfaces.clone(), self.trackers.clone())
    }

    /// What was reported, taken in again. `None` if two interfaces have one name.
    pub(crate) fn from_reports(reports: Reports) -> Option<Self> {
        let (interfaces, trackers) = reports;
        let by_name: BTreeMap<_, _> =
            interfaces.iter().map(|(index, interface)| (interface.name.clone(), *index)).collect();
        let distinct = by_name.len() == interfaces.len();
        let (fib, virtual_addresses) = (BTreeSet::new(), BTreeSet::new());
        distinct.then_some(Self { interfaces, by_name, fib, trackers, virtual_addresses })
    }

    /// Takes in a link report. A name that comes back under another index is a new interface; an
    /// index under another name is the same one renamed, and keeps its addresses. Answers with the
    /// addresses that left with an interface.
    pub(crate) fn on_link(&mut self, link: Link) -> Vec<IpAddr> {
        if let Some(known) = self.interfaces.get(&link.interface)
            && (known.name != link.name || link.state == LinkState::Absent)
        {
            self.by_name.remove(&known.name);
        }
        if link.state == LinkState::Absent {
            let gone = self.interfaces.remove(&link.interface);
            return gone.map(|gone| gone.addresses).unwrap_or_default();
        }
        let replaced = self.by_name.insert(link.name.clone(), link.interface);
        let gone = replaced.filter(|index| *index != link.interface);
        let gone = gone.and_then(|index| self.interfaces.remove(&index));
        let up = link.state == LinkState::Up;
        let interface = self.interfaces.entry(link.interface).or_insert_with(|| Interface {
            name: link.name.clone(),
            mac: link.mac,
            up,
            addresses: Vec::new(),
        });
        (interface.name, interface.mac, interface.up) = (link.name, link.mac, up);
        gone.map(|gone| gone.addresses).unwrap_or_default()
    }

    /// Takes in an address report. Returns whether it changed anything.
    pub(crate) fn on_address(&mut self, report: LocalAddress) -> bool {
        let Some(interface) = self.interfaces.get_mut(&report.interface) else {
            return false;
        };
        let known = interface.addresses.iter().position(|known| *known == report.address);
        match (known, report.present) {
            (None, true) => interface.addresses.push(report.address),
            (Some(index), false) => {
                interface.addresses.remove(index);
            }
            (None, false) | (Some(_), true) => return false,
        }
        true
    }

    /// Takes in a route or a rule. Returns whether it changed anything.
    pub(crate) fn on_fib(&mut self, change: FibChange) -> bool {
        if change.present { self.fib.insert(change.entry) } else { self.fib.remove(&change.entry) }
    }

    /// Takes in a tracker's value.
    pub(crate) fn on_tracker(&mut self, id: TrackerName, value: TrackerValue) {
        self.trackers.insert(id, value);
    }

    pub(crate) fn interface(&self, index: Ifindex) -> Option<&Interface> {
        self.interfaces.get(&index)
    }

    pub(crate) fn by_name(&self, name: &InterfaceName) -> Option<(Ifindex, &Interface)> {
        let index = *self.by_name.get(name)?;
        Some((index, self.interfaces.get(&index)?))
    }

    /// Every address of this machine with its interface.
    pub(crate) fn addresses(&self) -> Vec<(InterfaceName, IpAddr)> {
        let interfaces = self.interfaces.values();
        let listed = interfaces.flat_map(|interface| {
            interface.addresses.iter().map(|address| (interface.name.clone(), *address))
        });
        listed.collect()
    }

    /// Every tracker with what it reported last.
    pub(crate) fn trackers(&self) -> Vec<(TrackerName, TrackerValue)> {
        self.trackers.iter().map(|(name, value)| (name.clone(), *value)).collect()
    }

    /// These routes and rules were told.
    pub(crate) fn set_fib(&mut self, fib: BTreeSet<FibEntry>) {
        self.fib = fib;
    }

    /// Every route and rule that was told.
    pub(crate) fn fib(&self) -> Vec<FibEntry> {
        self.fib.iter().cloned().collect()
    }

    /// Whether an interface passes frames.
    pub(crate) fn is_up(&self, name: &InterfaceName) -> bool {
        self.by_name(name).is_some_and(|(_, interface)| interface.up)
    }

    /// Whether any interface has this address.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        self.interfaces.values().any(|interface| interface.addresses.contains(&address))
    }

    /// Sets which addresses come and go with virtual routers.
    pub(crate) fn set_virtual(&mut self, addresses: BTreeSet<IpAddr>) {
        self.virtual_addresses = addresses;
    }

    /// Whether this address comes and goes with a virtual router.
    pub(crate) fn is_virtual(&self, address: IpAddr) -> bool {
        self.virtual_addresses.contains(&address)
    }

    /// What a watched thing does: a fault, or a change of priority.
    pub(crate) fn judge(&self, track: &Track) -> Result<i32, Fault> {
        let value = match &track.tracked {
            Tracked::Interface(name) => match self.by_name(name) {
                Some((_, interface)) if interface.up => TrackerValue::Up,
                _ => TrackerValue::Down,
            },
            Tracked::Tracker(name) => {
                self.trackers.get(name).copied().unwrap_or(TrackerValue::Pending)
            }
        };
        let weight = i32::from(track.weight.value);
        let (good, number) = match value {
            TrackerValue::Pending if weight == 0 => {
                return Err(Fault::TrackerPending((&track.tracked).into()));
            }
            TrackerValue::Pending => return Ok(0),
            TrackerValue::Up => (true, None),
            TrackerValue::Down => (false, None),
            TrackerValue::Number(number) => (number == 0, Some(number)),
        };
        let good = good != track.weight.reverse;
        match (weight, number) {
            (0, _) if good => Ok(0),
            (0, _) => Err(Fault::Tracked((&track.tracked).into())),
            (_, Some(number)) => {
                let sign = if track.weight.reverse { -1 } else { 1 };
                Ok(number.saturating_mul(weight).saturating_mul(sign).clamp(-254, 254))
            }
            (1.., None) => Ok(if good { weight } else { 0 }),
            (_, None) => Ok(if good { 0 } else { weight }),
        }
    }

    /// Folds what decides into `hasher`.
    pub(crate) fn fold(&self, hasher: &mut impl Hasher) {
        self.interfaces.len().hash(hasher);
        for (index, interface) in &self.interfaces {
            (index, &interface.name, interface.mac, interface.up).hash(hasher);
            interface.addresses.hash(hasher);
        }
        self.fib.hash(hasher);
        self.trackers.len().hash(hasher);
        for (name, value) in &self.trackers {
            name.hash(hasher);
            match value {
                TrackerValue::Pending => 0_i64.hash(hasher),
                TrackerValue::Up => 1_i64.hash(hasher),
                TrackerValue::Down => 2_i64.hash(hasher),
                TrackerValue::Number(number) => (3 + (i64::from(*number) << 2)).hash(hasher),
            }
        }
    }
}

impl Interface {
    /// The first address of a family that can be the source of adverts: link-local in IPv6, and
    /// none of those that `is_virtual` says come and go.
    pub(crate) fn primary(
        &self,
        family: Family,
        is_virtual: impl Fn(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| {
            let usable = match address {
                IpAddr::V4(_) => family == Family::Ipv4,
                IpAddr::V6(address) => family == Family::Ipv6 && address.is_unicast_link_local(),
            };
            usable && !is_virtual(*address)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Weight;

    fn observed(value: TrackerValue) -> Observed {
        let mut observed = Observed::default();
        observed.on_tracker(TrackerName::new("check"), value);
        observed
    }

    fn judge(value: TrackerValue, weight: i16, reverse: bool) -> Result<i32, ()> {
        let tracked = Tracked::Tracker(TrackerName::new("check"));
        let track = Track { tracked, weight: Weight { value: weight, reverse } };
        observed(value).judge(&track).map_err(|_| ())
    }

    #[test]
    fn a_weight_is_added_while_good_or_subtracted_while_bad() {
        use TrackerValue::{Down, Number, Pending, Up};
        let table = [
            (Up, 0, false, Ok(0)),
            (Down, 0, false, Err(())),
            (Pending, 0, false, Err(())),
            (Up, 0, true, Err(())),
            (Down, 0, true, Ok(0)),
            (Up, 20, false, Ok(20)),
            (Down, 20, false, Ok(0)),
            (Up, -20, false, Ok(0)),
            (Down, -20, false, Ok(-20)),
            (Down, -20, true, Ok(0)),
            (Up, -20, true, Ok(-20)),
            (Pending, -20, false, Ok(0)),
            (Number(3), 10, false, Ok(30)),
            (Number(3), 10, true, Ok(-30)),
            (Number(1), 0, false, Err(())),
            (Number(0), 0, false, Ok(0)),
            (Number(i32::MAX), 253, false, Ok(254)),
        ];
        for (value, weight, reverse, expected) in table {
            assert_eq!(judge(value, weight, reverse), expected, "{value:?} {weight} {reverse}");
        }
    }
}
