//! A configuration, or a stop, worked off a portion per tick: start-up is a reload from nothing.
//!
//! First each virtual server of the configuration takes its services, whoever had them. Then those
//! that it has no more go. Only then go services that nobody took: one that moves to another
//! virtual server stays in the kernel throughout.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::config::director::{Service, VirtualServer, VirtualServerName};
use crate::ipvs::building::{WORK_AT_ONCE, comes_first, differs};
use crate::ipvs::command::Effect;
use crate::ipvs::director::{Ipvs, Judged, tell_quorum};
use crate::ipvs::news::{Cause, News};
use crate::ipvs::pool::Pool;
use crate::ipvs::queue::Item;
use crate::ipvs::table::{self, Entry, InKernel, PoolId, Table};
use crate::time::Timestamp;

/// How far it is.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) enum Course {
    /// Virtual servers take their services.
    Claim {
        virtual_servers: Vec<Arc<VirtualServer>>,
        /// The next one of them.
        next: u32,
    },
    /// Virtual servers that the configuration does not have go.
    Sweep {
        /// Where it is among the names.
        after: Option<VirtualServerName>,
    },
    /// All virtual servers give up their services: we stop.
    Stop {
        /// Where it is among the names.
        after: Option<VirtualServerName>,
    },
    /// Services that nobody has go.
    Orphans,
}

impl Ipvs {
    /// Works off a portion.
    pub(super) fn step_course(
        &mut self,
        now: Timestamp,
        judged: Judged<'_>,
        out: &mut Vec<Effect>,
    ) {
        let mut budget = WORK_AT_ONCE;
        while budget > 0
            && let Some(course) = self.course.take()
        {
            self.work_at = now;
            let (next, cost) = match course {
                Course::Claim { virtual_servers, next } => {
                    self.step_claim(now, virtual_servers, next, judged, out)
                }
                Course::Sweep { after } => self.step_sweep(after),
                Course::Stop { after } => self.step_stop(after, out),
                Course::Orphans => self.step_orphans(),
            };
            if next.is_none() && !self.stopping {
                out.push(Effect::InForce);
            }
            self.course = next;
            budget = budget.saturating_sub(cost);
        }
    }

    fn step_claim(
        &mut self,
        now: Timestamp,
        virtual_servers: Vec<Arc<VirtualServer>>,
        next: u32,
        judged: Judged<'_>,
        out: &mut Vec<Effect>,
    ) -> (Option<Course>, usize) {
        let Some(one) = virtual_servers.get(next as usize) else {
            return (Some(Course::Sweep { after: None }), 1);
        };
        self.claim(now, one, judged, out);
        let cost = 1 + one.real_servers.len() + one.services.len();
        (Some(Course::Claim { virtual_servers, next: next.saturating_add(1) }), cost)
    }

    fn step_sweep(&mut self, after: Option<VirtualServerName>) -> (Option<Course>, usize) {
        let Some((name, id)) = self.next_name(after) else { return (Some(Course::Orphans), 1) };
        let is_old = |pool: &Pool| pool.generation != self.generation;
        if self.table.pool(id).is_some_and(is_old)
            && let Some(pool) = self.table.remove(id)
        {
            for service in pool.services {
                self.disown(service);
            }
        }
        (Some(Course::Sweep { after: Some(name) }), 1)
    }

    fn step_stop(
        &mut self,
        after: Option<VirtualServerName>,
        out: &mut Vec<Effect>,
    ) -> (Option<Course>, usize) {
        let Some((name, id)) = self.next_name(after) else { return (Some(Course::Orphans), 1) };
        let services = self.services_of(id);
        self.tell_omega(id, &services, out);
        for service in &services {
            if self.fault.is_some() {
                // Nothing can be there.
                self.drop_service(*service);
            } else {
                // One request takes the destinations along, whichever `AtStop` it is.
                self.queue.bulk.push(Item::Service(*service));
            }
        }
        (Some(Course::Stop { after: Some(name) }), 1 + services.len())
    }

    fn step_orphans(&mut self) -> (Option<Course>, usize) {
        let Some(service) = self.orphans.pop_first() else { return (None, 1) };
        self.queue.bulk.push(Item::Service(service));
        (Some(Course::Orphans), 1)
    }

    fn next_name(&self, after: Option<VirtualServerName>) -> Option<(VirtualServerName, PoolId)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (name, id) = self.table.names().range((from, Bound::Unbounded)).next()?;
        Some((name.clone(), *id))
    }

    /// A virtual server is configured like this.
    fn claim(
        &mut self,
        now: Timestamp,
        config: &Arc<VirtualServer>,
        judged: Judged<'_>,
        out: &mut Vec<Effect>,
    ) {
        let known = self.table.find(&config.name);
        let id = known.unwrap_or_else(|| self.table.insert(Pool::new(now, config, judged)));
        let Some(pool) = self.table.pool_mut(id) else { return };
        if known.is_some() && pool.generation == self.generation {
            // The name stands twice: the first one counts.
            return;
        }
        pool.generation = self.generation;
        let same = known.is_some() && (Arc::ptr_eq(&pool.config, config) || pool.config == *config);
        if known.is_some() && !same {
            pool.configure(now, config, judged);
        }
        let moved = self.claim_services(id, &config.services);
        if !same || moved {
            let exchanged = self.look_at_quorum(now, id, out);
            if known.is_none()
                && let Some(pool) = self.table.pool(id).filter(|pool| pool.up)
            {
                tell_quorum(pool, out);
            }
            self.look_at_pool(id, exchanged);
            self.recount(id);
        }
        self.look_at_rest(id, true, out);
        self.reader.begin(now);
    }

    /// Takes these services, except those that another virtual server of this configuration took.
    /// Whether any came or went.
    fn claim_services(&mut self, id: PoolId, services: &[Service]) -> bool {
        let before = self.services_of(id);
        let mut moved = false;
        for service in services {
            let entry = self.table.services.entry(*service).or_insert_with(Entry::new);
            if entry.owner.is_some() && entry.generation == self.generation {
                continue;
            }
            entry.generation = self.generation;
            let owner = entry.owner.replace(id);
            if owner == Some(id) {
                continue;
            }
            moved = true;
            if let Some(pool) = owner.and_then(|owner| self.table.pool_mut(owner)) {
                pool.services.remove(service);
            }
            if let Some(pool) = self.table.pool_mut(id) {
                pool.services.insert(*service);
            }
        }
        for service in before {
            let is_old = |entry: &Entry| entry.generation != self.generation;
            if self.table.services.get(&service).is_some_and(is_old) {
                moved = true;
                self.disown(service);
            }
        }
        moved
    }

    fn services_of(&self, id: PoolId) -> Vec<Service> {
        let pool = self.table.pool(id);
        pool.map_or_else(Vec::new, |pool| pool.services.iter().copied().collect())
    }

    /// A service has no virtual server any more.
    fn disown(&mut self, service: Service) {
        let Some(entry) = self.table.services.get_mut(&service) else { return };
        let owner = entry.owner.take();
        for destination in entry.destinations.values_mut() {
            (destination.server, destination.sorry) = (None, false);
        }
        self.orphans.insert(service);
        if let Some(pool) = owner.and_then(|owner| self.table.pool_mut(owner)) {
            pool.services.remove(&service);
        }
    }

    /// Everything about a virtual server may be wanted another way.
    fn look_at_pool(&mut self, id: PoolId, exchanged: bool) {
        let services = self.services_of(id);
        for service in services {
            let Table { services, pools, .. } = &mut self.table;
            let Some(pool) = pools.get(id.0 as usize).and_then(Option::as_ref) else { return };
            let Some(entry) = services.get_mut(&service) else { continue };
            entry.link(service, pool);
            match &entry.kernel {
                InKernel::Unknown if self.queue.waits(&Item::Read(service)) => {}
                InKernel::Unknown => self.queue.reads.push(Item::Read(service)),
                InKernel::Absent | InKernel::Otherwise | InKernel::Present(_) => {
                    self.queue.hasten(Item::Service(service));
                    self.queue.bulk.push(Item::Service(service));
                }
            }
            // An exchange looks at all of them, in its own order.
            if !exchanged {
                self.look_at_destinations(service, true);
            }
        }
    }

    /// Destinations of a service that are not as they are to be have their turn, so that there is
    /// always somebody to take connections.
    pub(super) fn look_at_destinations(&mut self, service: Service, anew: bool) {
        let Some((entry, pool)) = self.table.service(service) else { return };
        if !entry.kernel.is_there() {
            return;
        }
        for first in [true, false] {
            for (endpoint, destination) in &entry.destinations {
                let wanted = Table::wanted(pool, destination);
                if comes_first(pool, destination, wanted) != first || !differs(wanted, destination)
                {
                    continue;
                }
                let item = Item::Destination(service, *endpoint);
                if anew {
                    self.queue.hasten(item);
                }
                if !self.queue.waits(&item) {
                    self.queue.bulk.push(item);
                }
            }
        }
    }

    fn recount(&mut self, id: PoolId) {
        let Some(pool) = self.table.pool(id) else { return };
        let here = table::here(&pool.services, |address| self.is_local(address));
        if let Some(pool) = self.table.pool_mut(id) {
            pool.here = here;
        }
    }

    /// Whoever asked for it hears that the virtual server is down now that we stop (`omega`).
    fn tell_omega(&mut self, id: PoolId, services: &[Service], out: &mut Vec<Effect>) {
        let Some(pool) = self.table.pool_mut(id).filter(|pool| pool.config.omega) else { return };
        if core::mem::replace(&mut pool.up, false) {
            tell_quorum(pool, out);
        }
        for service in services {
            let Some(entry) = self.table.services.get_mut(service) else { continue };
            for (endpoint, destination) in &mut entry.destinations {
                if let Some(weight) = destination.told.take() {
                    out.push(Effect::News(News::Server {
                        service: *service,
                        server: *endpoint,
                        sorry: destination.sorry && destination.server.is_none(),
                        from: Some(weight),
                        to: None,
                        cause: Cause::Stop,
                    }));
                }
            }
        }
    }

    /// A service is not in the kernel and nobody wants it there.
    pub(super) fn drop_service(&mut self, service: Service) {
        let Some(entry) = self.table.services.remove(&service) else { return };
        if let Some(pool) = entry.owner.and_then(|owner| self.table.pool_mut(owner)) {
            pool.services.remove(&service);
        }
        self.queue.forget(service);
    }
}
