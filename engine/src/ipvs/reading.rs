//! What the kernel has, read service by service: before the first command about each, after an
//! error, and all of them in turn. IPVS sends no news.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::Bound;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::director::Service;
use crate::ipvs::answers::{tell_found, tell_server};
use crate::ipvs::building::{Waiting, is_as_wanted};
use crate::ipvs::command::{Effect, IpvsError, Observed, Read, Seen, SyncRole};
use crate::ipvs::director::{Ipvs, PROBE_EVERY};
use crate::ipvs::news::{Found, News};
use crate::ipvs::pool::Pool;
use crate::ipvs::queue::Item;
use crate::ipvs::table::{Entry, InKernel};
use crate::time::{Timestamp, earlier};

/// Each service is read once in this time, one after the other.
pub const READ_BACK_EVERY: Duration = Duration::from_secs(60);
/// Most services and destinations of one read, unless one service alone has more.
pub const READ_AT_ONCE: usize = 256;
/// A read that is not over after this long counts as lost.
pub const READ_LIMIT: Duration = Duration::from_secs(5);
/// Turns come no faster; where there are more services than fit, a turn has several.
const TURN: Duration = Duration::from_millis(100);
/// So many services are asked for at a time when all of them are to be read at once.
const HURRIED: usize = 64;

/// Whose turn it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reader {
    /// The service that had the last turn.
    after: Option<Service>,
    next_at: Option<Timestamp>,
    /// All of them without a pause, as if none had ever been read: the kernel got its IPVS.
    hurried: bool,
    /// When it is the turn of what is no service.
    #[serde(default)]
    settings_at: Option<Timestamp>,
}

impl Reader {
    /// There is something to read in turn.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.next_at.get_or_insert(now + READ_BACK_EVERY);
    }

    /// What is no service is read in turn, if there is any of ours.
    pub(super) fn begin_settings(&mut self, now: Timestamp, any: bool) {
        let at = self.settings_at.unwrap_or(now + READ_BACK_EVERY);
        self.settings_at = any.then_some(at);
    }

    pub(super) const fn hurries(&self) -> bool {
        self.hurried
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        earlier(self.next_at, self.settings_at)
    }

    pub(super) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        (self.after, self.next_at.map(|at| at - now), self.hurried).hash(hasher);
        self.settings_at.map(|at| at - now).hash(hasher);
    }
}

impl Ipvs {
    /// What a read found.
    pub fn on_observed(
        &mut self,
        now: Timestamp,
        number: u64,
        observed: Observed,
        out: &mut Vec<Effect>,
    ) {
        let Some(Waiting::Read { number: asked, services, begun, settings, .. }) =
            &mut self.waiting
        else {
            return;
        };
        if *asked != number {
            return;
        }
        match observed {
            Observed::Begin => *begun = true,
            Observed::Service(seen) => {
                let place = services.iter().position(|service| *service == seen.service);
                if let Some(place) = place.filter(|_| *begun) {
                    services.remove(place);
                    self.observe(seen.service, Some(seen), out);
                }
            }
            Observed::Settings(seen) => {
                if *begun && core::mem::take(settings) {
                    self.observe_settings(seen, out);
                }
            }
            Observed::End => {
                let (complete, services) = (*begun, core::mem::take(services));
                if *settings {
                    self.queue.fail(now, Item::Settings, IpvsError::Refused);
                }
                self.waiting = None;
                self.reads_next = false;
                if complete {
                    self.leave_fault(now, out);
                }
                for service in services {
                    if complete {
                        self.observe(service, None, out);
                    } else if self.table.services.contains_key(&service) {
                        self.queue.fail(now, Item::Read(service), IpvsError::Refused);
                    }
                }
                self.go_on(now, out);
            }
        }
    }

    /// Whether somebody asks for it, or will.
    pub(super) fn is_to_be_read(&self, service: Service) -> bool {
        let item = Item::Read(service);
        let asked = match &self.waiting {
            Some(Waiting::Read { services, .. }) => services.contains(&service),
            Some(Waiting::Batch { .. }) | None => false,
        };
        asked || self.queue.reads.contains(&item) || self.queue.waits(&item)
    }

    pub(super) fn issue_read(&mut self, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        let (mut services, mut cost, mut settings) = (Vec::new(), 0, false);
        while cost < READ_AT_ONCE
            && let Some(item) = self.queue.reads.pop()
        {
            if item == Item::Settings && self.has_settings() && !self.stopping {
                (settings, cost) = (true, cost + 1);
            }
            let Some(service) = item.service() else { continue };
            let Some(entry) = self.table.services.get(&service) else { continue };
            let next = 1 + entry.destinations.len();
            if cost > 0 && cost + next > READ_AT_ONCE {
                self.queue.reads.push_front(item);
                break;
            }
            services.push(service);
            cost += next;
        }
        if services.is_empty() && !settings {
            return false;
        }
        self.ask_for(now, services, settings, out);
        true
    }

    fn ask_for(
        &mut self,
        now: Timestamp,
        services: Vec<Service>,
        settings: bool,
        out: &mut Vec<Effect>,
    ) {
        let (number, limit, asked) = (self.next_number(), now + READ_LIMIT, services.clone());
        let begun = false;
        self.waiting = Some(Waiting::Read { number, limit, services: asked, begun, settings });
        out.push(Effect::Read(Read { number, services, settings }));
    }

    /// Who has its turn is asked for.
    pub(super) fn read_in_turn(&mut self, now: Timestamp) {
        self.read_settings_in_turn(now);
        let due = self.reader.next_at.is_some_and(|at| at <= now);
        if !due || self.fault.is_some() || self.stopping || self.reader.hurried {
            return;
        }
        let count = u32::try_from(self.table.services.len()).unwrap_or(u32::MAX);
        if count == 0 {
            (self.reader.after, self.reader.next_at) = (None, None);
            return;
        }
        let pause = (READ_BACK_EVERY / count).max(TURN);
        let turns = (READ_BACK_EVERY.as_nanos() / pause.as_nanos()).max(1);
        for _ in 0..u128::from(count).div_ceil(turns) {
            let next = self.next_service().or_else(|| {
                self.reader.after = None;
                self.next_service()
            });
            let Some(service) = next else { break };
            self.reader.after = Some(service);
            if !self.is_to_be_read(service) {
                self.queue.reads.push(Item::Read(service));
            }
        }
        self.reader.next_at = Some(now + pause);
    }

    fn read_settings_in_turn(&mut self, now: Timestamp) {
        let due = self.reader.settings_at.is_some_and(|at| at <= now);
        if due && self.fault.is_none() && !self.stopping {
            self.reader.settings_at = Some(now + READ_BACK_EVERY);
            self.ask_for_settings();
        }
    }

    fn next_service(&self) -> Option<Service> {
        let from = self.reader.after.map_or(Bound::Unbounded, Bound::Excluded);
        self.table.services.range((from, Bound::Unbounded)).next().map(|(service, _)| *service)
    }

    /// All of them are asked for, some at a time.
    pub(super) fn hurry(&mut self) {
        if !self.reader.hurried || !self.queue.reads.is_empty() {
            return;
        }
        for _ in 0..HURRIED {
            let Some(service) = self.next_service() else {
                (self.reader.hurried, self.reader.after) = (false, None);
                return;
            };
            self.reader.after = Some(service);
            if let Some(entry) = self.table.services.get_mut(&service) {
                entry.kernel = InKernel::Unknown;
            }
            self.queue.recover(Item::Read(service));
            self.queue.reads.push(Item::Read(service));
        }
    }

    /// Asks whether the kernel has IPVS by now.
    pub(super) fn probe(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.fault.is_some_and(|at| at <= now) && self.waiting.is_none() && !self.stopping {
            self.fault = Some(now + PROBE_EVERY);
            let first = self.table.services.keys().next().copied();
            self.ask_for(now, first.into_iter().collect(), false, out);
        }
    }

    fn leave_fault(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.fault.take().is_none() {
            return;
        }
        out.push(Effect::News(News::FaultOver));
        (self.reader.after, self.reader.hurried) = (None, true);
        self.reader.begin(now);
        self.limits.forget();
        self.queue.recover(Item::Settings);
        self.queue.bulk.push(Item::Timeouts);
        for role in SyncRole::ALL {
            self.sync.forget(role);
            self.queue.bulk.push(Item::Sync(role));
        }
    }

    /// A service is like this in the kernel, or not there.
    fn observe(&mut self, service: Service, seen: Option<Seen>, out: &mut Vec<Effect>) {
        self.queue.recover(Item::Read(service));
        let Some(entry) = self.table.services.get_mut(&service) else { return };
        let is_new = core::mem::take(&mut entry.is_new);
        match seen {
            Some(seen) => entry.take_over(is_new, seen, out),
            None => {
                if entry.kernel.is_there() {
                    tell_found(service, Found::ServiceMissing, out);
                }
                let is_unknown = entry.kernel == InKernel::Unknown;
                entry.is_gone();
                for (endpoint, destination) in &mut entry.destinations {
                    if is_unknown {
                        tell_server(service, *endpoint, destination, true, out);
                    }
                }
            }
        }
        let pool = entry.owner.and_then(|owner| self.table.pool(owner));
        let wanted = pool.filter(|_| !self.stopping).map(Pool::service_spec);
        let Some(entry) = self.table.services.get(&service) else { return };
        let is_right = match &wanted {
            Some(wanted) => is_as_wanted(&entry.kernel, wanted),
            None => false,
        };
        if !is_right && !self.queue.waits(&Item::Service(service)) {
            self.queue.bulk.push(Item::Service(service));
        }
        self.look_at_destinations(service, false);
    }
}

impl Entry {
    /// The kernel has it like this. What differs from what we believed was somebody else.
    fn take_over(&mut self, is_new: bool, seen: Seen, out: &mut Vec<Effect>) {
        let Seen { service, spec, destinations } = seen;
        let found = InKernel::from_seen(spec.clone());
        let before = core::mem::replace(&mut self.kernel, found);
        let adopted = is_new || before == InKernel::Absent;
        let same = match (&before, &spec) {
            (InKernel::Present(before), Some(spec)) => before.does_the_same_as(spec),
            (InKernel::Otherwise, None) => true,
            (InKernel::Present(_) | InKernel::Otherwise, _) => false,
            (InKernel::Unknown | InKernel::Absent, _) => true,
        };
        if !same {
            tell_found(service, Found::ServiceChanged(spec), out);
        }
        if adopted {
            let destinations = u32::try_from(destinations.len()).unwrap_or(u32::MAX);
            out.push(Effect::News(News::TakenOver { service, destinations }));
        }
        let mut there = BTreeSet::new();
        for (endpoint, spec) in destinations {
            there.insert(endpoint);
            let destination = self.destinations.entry(endpoint).or_default();
            let found = InKernel::from_seen(spec);
            let known = core::mem::replace(&mut destination.kernel, found);
            if adopted {
                destination.told = spec.map(|spec| spec.weight);
            } else if !before.is_there() {
                tell_server(service, endpoint, destination, true, out);
            } else if known == InKernel::Absent {
                tell_found(service, Found::DestinationAdded(endpoint), out);
            } else if known != destination.kernel {
                tell_found(service, Found::DestinationChanged(endpoint, spec), out);
            }
        }
        for (endpoint, destination) in &mut self.destinations {
            if there.contains(endpoint) {
                continue;
            }
            let known = core::mem::take(&mut destination.kernel);
            if !before.is_there() {
                tell_server(service, *endpoint, destination, true, out);
            } else if known.is_there() {
                tell_found(service, Found::DestinationMissing(*endpoint), out);
            }
        }
        self.destinations
            .retain(|endpoint, destination| destination.is_ours() || there.contains(endpoint));
    }
}
