//! The director: what it is told, and when it wants to be called.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::director::{AtStop, DirectorConfig, MAX_WEIGHT, Service, VirtualServerName};
use crate::ipvs::building::Waiting;
use crate::ipvs::command::{Effect, Endpoint, SyncRole};
use crate::ipvs::course::Course;
use crate::ipvs::news::News;
use crate::ipvs::pool::{self, Health, Pool, Server, ServerOrder};
use crate::ipvs::queue::{Item, Queue};
use crate::ipvs::reading::Reader;
use crate::ipvs::sync::{Limits, Sync};
use crate::ipvs::table::{Entry, InKernel, PoolId, Table};
use crate::time::{Timestamp, earlier};

/// While the kernel has no IPVS it is asked again this often.
pub const PROBE_EVERY: Duration = Duration::from_secs(10);

/// The director.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ipvs {
    pub(super) table: Table,
    pub(super) queue: Queue,
    pub(super) waiting: Option<Waiting>,
    /// What waited last was a batch: reads come first now.
    pub(super) reads_next: bool,
    pub(super) reader: Reader,
    /// A configuration or a stop that is being worked off.
    pub(super) course: Option<Course>,
    /// Services that lost their virtual server while a configuration is being worked off. Another
    /// one may still have them.
    pub(super) orphans: BTreeSet<Service>,
    /// Counts configurations.
    pub(super) generation: u32,
    pub(super) at_stop: AtStop,
    pub(super) stopping: bool,
    pub(super) limits: Limits,
    pub(super) sync: Sync,
    /// Addresses of this machine.
    local: BTreeSet<IpAddr>,
    /// The kernel has no IPVS; it is asked again at this time.
    pub(super) fault: Option<Timestamp>,
    /// When the work that waits began to: a book.
    pub(super) work_at: Timestamp,
    /// Counts batches and reads: a book.
    pub(super) next_number: u64,
}

/// What the checks say of a real server by now, by its configured address and port; `None`: nothing
/// is known, so it is what it was, or what its `alpha` says if it is new.
pub type Judged<'a> = &'a dyn Fn(&VirtualServerName, Endpoint) -> Option<Health>;

/// Why an order was not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderError {
    /// There is no such virtual server.
    NoVirtualServer,
    /// It has no such real server.
    NoRealServer,
    /// The weight is above [`MAX_WEIGHT`].
    TooHeavy,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVirtualServer => f.write_str("there is no such virtual server"),
            Self::NoRealServer => f.write_str("the virtual server has no such real server"),
            Self::TooHeavy => write!(f, "weight must be 0 to {MAX_WEIGHT}"),
        }
    }
}

impl core::error::Error for OrderError {}

impl Ipvs {
    /// A director without a configuration, which asks for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration is now this one. It is worked off with the ticks that follow.
    pub fn configure(&mut self, now: Timestamp, config: &DirectorConfig, out: &mut Vec<Effect>) {
        if self.generation == 0 && config.flush_at_start {
            self.queue.urgent.push(Item::Flush);
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        self.stopping = false;
        self.at_stop = config.at_stop;
        self.limits.configure(config.timeouts);
        self.sync.configure(config.sync_daemon.as_ref());
        let settings = self.has_settings();
        self.reader.begin_settings(now, settings);
        self.queue.bulk.push(Item::Timeouts);
        self.look_at_sync();
        let virtual_servers = config.virtual_servers.clone();
        self.course = Some(Course::Claim { virtual_servers, next: 0 });
        self.go_on(now, out);
    }

    /// The checks say this of a real server: address and port are those of the configuration. One
    /// that is not there yet is ignored: it is asked for when it comes ([`Judged`]).
    pub fn on_server(
        &mut self,
        now: Timestamp,
        name: &VirtualServerName,
        server: Endpoint,
        health: Health,
        out: &mut Vec<Effect>,
    ) {
        let health = match health {
            Health::Up { weight } => Health::Up { weight: weight.min(MAX_WEIGHT) },
            Health::Down => Health::Down,
        };
        if let Ok((id, number)) = self.find(name, server) {
            self.change_server(now, id, number, |server| server.health = health, out);
        }
        self.go_on(now, out);
    }

    /// An operator orders something of a real server: address and port are those of the
    /// configuration.
    ///
    /// # Errors
    /// If there is no such server, or the weight is too great.
    pub fn order(
        &mut self,
        now: Timestamp,
        name: &VirtualServerName,
        server: Endpoint,
        order: ServerOrder,
        out: &mut Vec<Effect>,
    ) -> Result<(), OrderError> {
        self.may_order(name, server, order)?;
        let (id, number) = self.find(name, server)?;
        let change = |server: &mut Server| match order {
            ServerOrder::Drain => server.drained = true,
            ServerOrder::Undrain => server.drained = false,
            ServerOrder::Weight(weight) => server.ordered = weight,
        };
        self.change_server(now, id, number, change, out);
        self.go_on(now, out);
        Ok(())
    }

    /// Whether an operator may order this, see [`Self::order`].
    ///
    /// # Errors
    /// If there is no such server, or the weight is too great.
    pub fn may_order(
        &self,
        name: &VirtualServerName,
        server: Endpoint,
        order: ServerOrder,
    ) -> Result<(), OrderError> {
        if matches!(order, ServerOrder::Weight(Some(weight)) if weight > MAX_WEIGHT) {
            return Err(OrderError::TooHeavy);
        }
        self.find(name, server).map(|_| ())
    }

    /// An address is on this machine now, on whichever interface, or on none any more.
    pub fn on_address(
        &mut self,
        now: Timestamp,
        address: IpAddr,
        present: bool,
        out: &mut Vec<Effect>,
    ) {
        let news = if present { self.local.insert(address) } else { self.local.remove(&address) };
        if !news {
            return;
        }
        let owners: Vec<_> =
            self.table.services_of(address).filter_map(|(_, entry)| entry.owner).collect();
        for id in owners {
            if let Some(pool) = self.table.pool_mut(id) {
                pool.here =
                    if present { pool.here.saturating_add(1) } else { pool.here.saturating_sub(1) };
            }
            self.look_at_rest(id, false, out);
        }
        self.go_on(now, out);
    }

    /// The instance that the synchronisation follows is master, or not.
    pub fn on_instance(&mut self, now: Timestamp, role: SyncRole, out: &mut Vec<Effect>) {
        self.sync.role = role;
        self.look_at_sync();
        self.go_on(now, out);
    }

    /// A deadline may have passed. Early ticks do only work that waits, a late one acts once.
    /// Real servers that a configuration brings or changes are asked for by `judged`.
    pub fn on_tick(&mut self, now: Timestamp, judged: Judged<'_>, out: &mut Vec<Effect>) {
        self.give_up_what_is_overdue(now, out);
        self.try_again(now);
        self.read_in_turn(now);
        self.step_course(now, judged, out);
        self.probe(now, out);
        self.go_on(now, out);
    }

    /// Removes what is ours, and stops. [`Ipvs::is_stopped`] says when that is done.
    pub fn stop(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        if self.at_stop == AtStop::Flush {
            self.queue.urgent.push(Item::Flush);
        }
        self.look_at_sync();
        self.course = Some(Course::Stop { after: None });
        self.go_on(now, out);
    }

    /// Whether it was stopped and nothing of ours is left in the kernel, as far as we know.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let left = || {
            self.waiting.is_some()
                || !self.table.services.is_empty()
                || self.queue.urgent.contains(&Item::Flush)
                || self.queue.waits(&Item::Flush)
                || self.sync.is_busy()
        };
        self.stopping && self.course.is_none() && (self.fault.is_some() || !left())
    }

    /// Whether it was stopped, whatever is left to do.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a configuration or a stop is being worked off.
    #[must_use]
    pub const fn is_taking(&self) -> bool {
        self.course.is_some()
    }

    /// What it was told last of the instance that the synchronisation follows.
    #[must_use]
    pub const fn sync_role(&self) -> SyncRole {
        self.sync.role
    }

    /// The addresses of this machine, as it was told.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.local
    }

    /// When it wants to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let limit = self.waiting.as_ref().map(Waiting::limit);
        let free = self.waiting.is_none() && self.fault.is_none();
        let works = self.course.is_some() || (free && self.has_work());
        let turn = match self.fault {
            _ if self.stopping => None,
            None => self.reader.next_at(),
            Some(probe_at) => limit.is_none().then_some(probe_at),
        };
        let own = earlier(works.then_some(self.work_at), turn);
        earlier(own, earlier(self.queue.next_due(), limit))
    }

    /// Whether there is something to ask the kernel for.
    pub(super) fn has_work(&self) -> bool {
        self.queue.has_work() || self.reader.hurries()
    }

    /// Whether the kernel has no IPVS: nothing is directed.
    #[must_use]
    pub const fn is_in_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// Whether packets to this address need IPVS: a virtual server has it.
    #[must_use]
    pub fn needs_ipvs(&self, address: IpAddr) -> bool {
        self.table.services_of(address).any(|(_, entry)| entry.owner.is_some())
    }

    /// Whether the checks of this virtual server's real servers are to rest (`ha_suspend`).
    #[must_use]
    pub fn rests(&self, name: &VirtualServerName) -> bool {
        let pool = self.table.find(name).and_then(|id| self.table.pool(id));
        pool.is_some_and(|pool| pool.rests == Some(true))
    }

    /// Folds all that decides, every time as its distance from `now`.
    pub fn fingerprint(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.table.fold(self.generation, hasher);
        self.queue.fold(now, hasher);
        self.reader.fold(now, hasher);
        if let Some(waiting) = &self.waiting {
            waiting.fold(now, hasher);
        }
        if let Some(course) = &self.course {
            course.hash(hasher);
        }
        (&self.orphans, self.generation == 0).hash(hasher);
        (self.reads_next, self.at_stop, self.stopping, &self.limits, &self.sync).hash(hasher);
        (&self.local, self.fault.map(|at| at - now)).hash(hasher);
    }

    /// Checks what must hold between any two calls, for tests, simulation and fuzzing.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        if let Err(what) = self.soundness() {
            panic!("{what}");
        }
    }

    pub(super) fn soundness(&self) -> Result<(), &'static str> {
        self.table.soundness()?;
        // Whoever looks at one that is unknown asks for it.
        let looked_at = |service: Service| {
            let item = Item::Service(service);
            let Queue { urgent, bulk, .. } = &self.queue;
            let on_its_way = self.waiting.as_ref().is_some_and(|waiting| waiting.is_about(&item));
            let queued = urgent.contains(&item) || bulk.contains(&item);
            on_its_way || queued || self.queue.waits(&item)
        };
        let unread = |(service, entry): (&Service, &Entry)| {
            entry.kernel == InKernel::Unknown
                && entry.owner.is_some()
                && !self.is_to_be_read(*service)
                && !looked_at(*service)
        };
        let reads = self.fault.is_none() && !self.reader.hurries() && !self.stopping;
        if reads && self.table.services.iter().any(unread) {
            return Err("a service is unknown and nobody asks for it");
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.number() >= self.next_number) {
            return Err("what waits has a number that was not given yet");
        }
        Ok(())
    }

    /// Derives what is derived after it was read back.
    pub(super) fn derive(&mut self) -> Result<(), &'static str> {
        self.queue.derive();
        let local = &self.local;
        self.table.derive(|address| local.contains(&address))
    }

    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        self.local.contains(&address)
    }

    fn find(
        &self,
        name: &VirtualServerName,
        server: Endpoint,
    ) -> Result<(PoolId, u32), OrderError> {
        let id = self.table.find(name).ok_or(OrderError::NoVirtualServer)?;
        let pool = self.table.pool(id).ok_or(OrderError::NoVirtualServer)?;
        Ok((id, pool.find(server).ok_or(OrderError::NoRealServer)?))
    }

    fn change_server(
        &mut self,
        now: Timestamp,
        id: PoolId,
        number: u32,
        change: impl FnOnce(&mut Server),
        out: &mut Vec<Effect>,
    ) {
        let Some(pool) = self.table.pool_mut(id) else { return };
        if !pool.change(now, number, change) || self.look_at_quorum(now, id, out) {
            return;
        }
        self.look_at_server(id, number);
    }

    /// Whether the quorum was gained or lost and thus the sorry server goes or comes.
    pub(super) fn look_at_quorum(
        &mut self,
        now: Timestamp,
        id: PoolId,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(pool) = self.table.pool_mut(id) else { return false };
        if self.stopping || !pool.look_at_quorum(now) {
            return false;
        }
        tell_quorum(pool, out);
        if pool.config.sorry_server.is_none() {
            return false;
        }
        for service in &pool.services {
            self.queue.urgent.push(Item::Exchange(*service));
        }
        true
    }

    /// A real server may be wanted another way in each service.
    fn look_at_server(&mut self, id: PoolId, number: u32) {
        let Some(pool) = self.table.pool(id) else { return };
        let Some(real) = pool.servers.get(number as usize).and_then(|one| pool.real(one)) else {
            return;
        };
        for service in &pool.services {
            let item = Item::Destination(*service, pool::endpoint(*service, real));
            self.queue.hasten(item);
            self.queue.urgent.push(item);
        }
    }

    /// Says whether checks rest if that changed, or `anew`: whoever is told may know nothing of it.
    pub(super) fn look_at_rest(&mut self, id: PoolId, anew: bool, out: &mut Vec<Effect>) {
        let Some(pool) = self.table.pool_mut(id) else { return };
        let rests = pool.should_rest();
        let before = core::mem::replace(&mut pool.rests, rests);
        let is_told = match rests {
            Some(_) => anew || before != rests,
            None => before == Some(true),
        };
        if is_told {
            let rests = rests == Some(true);
            out.push(Effect::Rest { name: pool.config.name.clone(), rests });
        }
    }

    fn look_at_sync(&mut self) {
        self.sync.stopping = self.stopping;
        for item in self.sync.in_order().map(Item::Sync) {
            self.queue.hasten(item);
            self.queue.urgent.push(item);
        }
    }
}

pub(super) fn tell_quorum(pool: &Pool, out: &mut Vec<Effect>) {
    let (up, live, limit) = (pool.up, pool.live(), pool.limit(pool.up));
    out.push(Effect::News(News::Quorum { name: pool.config.name.clone(), up, live, limit }));
}
