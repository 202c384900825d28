//! S8: a data plane does not outlive its engine by more than the lease.
//!
//! Judged from the last advert of the engine that the kernel accepted, which is what the lease is
//! counted from, to the moment from which the address is owned no more.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::change::{Change, Place, What};
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::{MachineChange, ProcessChange, Seen, SegmentId, WorldTime};

/// S8.
#[derive(Debug)]
pub(super) struct DeadMan {
    score: Score,
    /// Somebody has a lease.
    leased: bool,
    /// Whose engine stopped while its host owned this.
    open: BTreeMap<(Place, (SegmentId, IpAddr)), Stopped>,
}

/// An engine that stopped.
#[derive(Clone, Copy, Debug)]
struct Stopped {
    /// Its last advert.
    last: WorldTime,
    at: WorldTime,
    /// Its machine stood still with it: what it owned comes back with it.
    frozen: bool,
    /// And so did the clock that the kernel ends leases by.
    without_clock: bool,
}

impl DeadMan {
    pub(super) const fn new() -> Self {
        let missing = "no engine with a lease stopped while its host owned an address";
        Self { score: Score::new(PropertyId::S8, missing), leased: false, open: BTreeMap::new() }
    }

    /// An engine of this host stops, and is called no more.
    fn stops(&mut self, view: &View, change: &Change, machine: Option<bool>) {
        for router in 0..view.routers.len() {
            for place in view.places(router).filter(|one| view.member(*one).host == change.host) {
                let member = view.member(place);
                for address in &member.addresses {
                    if !member.present || view.owns(place, *address).is_none() {
                        continue;
                    }
                    if member.config.dead_man.is_none() {
                        self.unbounded(view, place, address.1);
                    } else if let Some(last) = member.last_advert {
                        let (frozen, without_clock) = (machine.is_some(), machine == Some(true));
                        let at = change.at;
                        let stopped = Stopped { last, at, frozen, without_clock };
                        self.open.entry((place, *address)).or_insert(stopped);
                    }
                }
            }
        }
    }

    /// What happens without a lease, in words.
    fn unbounded(&mut self, view: &View, place: Place, address: IpAddr) {
        let excuse = || {
            let name = view.name(place);
            Some(format!(
                "{name} has no `dead_man`: when its engine stopped its kernel went on answering \
                 for {address}, for as long as nobody takes it away"
            ))
        };
        self.score.breach(excuse, String::new);
    }

    fn judge(
        &mut self,
        view: &View,
        (place, (_, address)): (Place, (SegmentId, IpAddr)),
        stopped: Stopped,
        until: WorldTime,
    ) {
        let Some(lease) = view.member(place).config.dead_man else { return };
        let value = since(until, stopped.last);
        let name = view.name(place);
        let excuse = || {
            let what = "and its clock with it: only S1 holds, from when it goes on";
            stopped.without_clock.then(|| format!("the machine of {name} stood still, {what}"))
        };
        let what =
            || format!("the kernel of {name} owned {address} for {value:?} after its last advert");
        // The kernel ends leases by the machine's clock, which may have stood still before as well.
        let host = view.host(view.member(place).host);
        let stood = host.clock_stood(stopped.last, stopped.at);
        let bound = view.up(lease) + stood + view.setting.release + view.tolerance();
        self.score.at_most(value, bound, excuse, what);
    }

    /// The engines of this host go on: from here on it is their own affair.
    fn goes_on(&mut self, view: &View, change: &Change) {
        let of_it = |(place, _): &(Place, _)| view.member(*place).host == change.host;
        let over: Vec<_> = self.open.extract_if(.., |key, _| of_it(key)).collect();
        for (key, stopped) in over {
            if view.owns(key.0, key.1).is_some() {
                self.judge(view, key, stopped, change.at);
            } else {
                self.score.held();
            }
        }
    }
}

impl Property for DeadMan {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        matches!(
            change.what,
            What::Joined { .. }
                | What::State { .. }
                | What::MasterStarts { .. }
                | What::Seen(Seen::Process(_) | Seen::Machine(_) | Seen::Owns { .. })
        )
    }

    fn after(&mut self, view: &View, change: &Change) {
        match &change.what {
            What::Joined { config, .. } => self.leased |= config.dead_man.is_some(),
            What::Seen(Seen::Process(ProcessChange::Killed | ProcessChange::Paused)) => {
                self.stops(view, change, None);
            }
            What::Seen(Seen::Machine(MachineChange::Frozen { clock })) => {
                self.stops(view, change, Some(*clock));
            }
            What::Seen(Seen::Process(ProcessChange::Resumed | ProcessChange::Started)) => {
                self.goes_on(view, change);
            }
            // The power went: nothing is owned any more, whoever had a lease.
            What::Seen(Seen::Machine(MachineChange::Off)) => {
                self.open.retain(|(place, _), _| view.member(*place).host != change.host);
            }
            What::Seen(Seen::Owns { segment, address, owns }) => {
                let key = (*segment, *address);
                let of_it = |(place, what): &(Place, _), stopped: &mut Stopped| {
                    let standing = view.host(view.member(*place).host).frozen;
                    let ends = if stopped.frozen { *owns } else { !*owns };
                    *what == key && view.member(*place).host == change.host && ends && !standing
                };
                let over: Vec<_> = self.open.extract_if(.., of_it).collect();
                for (key, stopped) in over {
                    self.judge(view, key, stopped, change.at);
                }
            }
            // A machine that went on and owns nothing by its next word keeps its lease.
            What::State { .. } | What::MasterStarts { .. } => {
                let thawed = |place: Place| !view.host(view.member(place).host).frozen;
                let host = change.host;
                let of_it = |(place, _): &(Place, _), stopped: &mut Stopped| {
                    stopped.frozen && view.member(*place).host == host && thawed(*place)
                };
                let over = self.open.extract_if(.., of_it).count();
                if over > 0 {
                    self.score.held();
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (key, stopped) in std::mem::take(&mut self.open) {
            if view.owns(key.0, key.1).is_some() {
                self.judge(view, key, stopped, end);
            }
        }
        if !self.leased {
            self.score.breach(
                || {
                    let what = "a data plane whose engine is killed or stopped goes on";
                    Some(format!("no router has a lease (`dead_man`): {what}"))
                },
                String::new,
            );
        }
        vec![self.score.report()]
    }
}
