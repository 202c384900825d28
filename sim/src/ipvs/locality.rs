//! The schedulers that keep one address with one destination (`lblc`) or a few (`lblcr`), as long
//! as these are not overloaded. The address is the one that is spoken to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vipd_engine::ipvs::Endpoint;

use super::Flow;
use super::scheduler::{Candidate, first_least, least_loaded};

/// `lblc`: the destination of each address.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache(BTreeMap<IpAddr, Endpoint>);

/// `lblcr`: the destinations of each address, the newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets(BTreeMap<IpAddr, Vec<Endpoint>>);

impl Cache {
    pub(super) fn pick<'a>(&mut self, pool: &'a [Candidate], flow: &Flow) -> Option<&'a Candidate> {
        let address = flow.target.ip();
        // A threshold does not count here.
        let kept = self.0.get(&address).and_then(|kept| find(*kept, pool));
        if let Some(kept) = kept.filter(|one| one.weight > 0 && !is_too_busy(one, pool)) {
            return Some(kept);
        }
        let chosen = least_loaded(pool)?;
        self.0.insert(address, chosen.endpoint);
        Some(chosen)
    }
}

impl Sets {
    pub(super) fn pick<'a>(&mut self, pool: &'a [Candidate], flow: &Flow) -> Option<&'a Candidate> {
        let set = self.0.get(&flow.target.ip()).map_or(&[][..], |set| set);
        let kept = set.iter().filter_map(|one| find(*one, pool)).filter(|one| one.is_usable());
        let kept = first_least(kept, |one| (one.overhead(), one.weight));
        if let Some(kept) = kept.filter(|one| !is_too_busy(one, pool)) {
            return Some(kept);
        }
        let chosen = least_loaded(pool)?;
        let set = self.0.entry(flow.target.ip()).or_default();
        if !set.contains(&chosen.endpoint) {
            set.insert(0, chosen.endpoint);
        }
        Some(chosen)
    }
}

fn find(endpoint: Endpoint, pool: &[Candidate]) -> Option<&Candidate> {
    pool.iter().find(|one| one.endpoint == endpoint)
}

/// More active connections than it weighs, and another one has less than half of its own weight.
fn is_too_busy(one: &Candidate, pool: &[Candidate]) -> bool {
    let has_room = |other: &Candidate| u64::from(other.load.active) * 2 < u64::from(other.weight);
    one.load.active > one.weight && pool.iter().any(has_room)
}
