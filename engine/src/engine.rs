//! The engine: it routes inputs to the instances and keeps the index over their deadlines.
//!
//! What an instance does is in `vrrp`, what several of them mean to each other in `policy`, which
//! instance an advert is for in `routing`, what health checks and IPVS have to do with it in
//! `directing`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;

use crate::config::{Config, GroupConfig, InstanceConfig, Tracked};
use crate::director::{Director, DirectorOutput};
use crate::event::{StateKind, Why};
use crate::health::Limits;
use crate::input::{FibChange, Input, Link, LocalAddress, Order, TrackerValue};
use crate::names::{InstanceName, Interval, TrackerName};
use crate::observed::Observed;
use crate::output::{InstanceId, Outputs};
use crate::policy::Group;
use crate::routing::{Routing, push_once};
use crate::schedule::Schedule;
use crate::statics::Statics;
use crate::status::Status;
use crate::time::Timestamp;
use crate::vrrp::drop_reason::DropCounters;
use crate::vrrp::instance::{Context, Instance};
use crate::vrrp::named::Named;
use crate::vrrp::operator::Standing;

/// When the engine wants to be called next, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// No later than this. It may be too early: then the call does nothing.
    pub at: Timestamp,
    /// The instance that asked for it, [`InstanceId::STATIC`] or [`InstanceId::DIRECTOR`].
    pub instance: InstanceId,
}

/// All virtual routers of one network namespace, and its virtual servers.
///
/// It is written down as a [`Snapshot`](crate::Snapshot).
#[derive(Clone, Debug, Default)]
pub struct Engine {
    pub(crate) config: Arc<Config>,
    /// The start-up delay is over with the first configuration, also with an empty one.
    pub(crate) is_configured: bool,
    /// By [`InstanceId`]; the place of one that is gone is never used again.
    pub(crate) instances: Vec<Option<Instance>>,
    pub(crate) observed: Observed,
    pub(crate) statics: Statics,
    /// What it may do at once.
    pub(crate) limits: Limits,
    /// From the first configuration on that has anything for it.
    pub(crate) director: Option<Box<Director>>,
    /// When the director is due: a book, for each call asks several times.
    pub(crate) director_due: Option<Timestamp>,
    /// What the director says in a call; empty between calls.
    pub(crate) told: Vec<DirectorOutput>,
    /// The instance whose state the synchronisation of connections follows: a book.
    pub(crate) followed: Option<InstanceId>,
    pub(crate) groups: Vec<Group>,
    /// Place in `groups` of each instance that is in one.
    pub(crate) group_of: BTreeMap<InstanceId, usize>,
    /// Who watches a thing.
    pub(crate) watchers: BTreeMap<Tracked, Vec<InstanceId>>,
    pub(crate) routing: Routing,
    /// An instance went away, and the indexes still name it.
    pub(crate) indexes_are_stale: bool,
    pub(crate) schedule: Schedule,
    /// The `Adver_Timer` of each interval that fired last in a tick, in the order of intervals;
    /// empty between calls.
    pub(crate) fired: Vec<(Interval, Timestamp)>,
    /// The ends of leases, of those that have one.
    pub(crate) leases: Schedule,
    /// Mismatches of datagrams that no instance claimed.
    pub(crate) named: Named,
    pub(crate) unclaimed: DropCounters,
}

impl Engine {
    /// An engine without a configuration: it observes and does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, whose health checks keep within these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes in one thing that happened at `now` and appends what is to be done to `out`, in the
    /// order in which it must be done. `now` never goes back. Nothing that the network says makes
    /// it fail.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>, out: &mut Outputs) {
        if self.leases.is_due(now) {
            self.end_leases(now, out);
        }
        if self.on_frequent(now, &input, out) {
            // Nothing in it is to be dropped, and to look would cost as much as to do it.
            mem::forget(input);
        } else {
            self.on_rare(now, input, out);
        }
        if self.indexes_are_stale {
            self.refresh_indexes();
        }
        self.follow(now, out);
    }

    /// Does what is frequent, all of it of inputs that own nothing. Whether it was that.
    ///
    /// What it calls is apart (`inline(never)`), or each kind would pay for the frame of all.
    fn on_frequent(&mut self, now: Timestamp, input: &Input<'_>, out: &mut Outputs) -> bool {
        match input {
            Input::Tick => {
                if self.schedule.is_due(now) {
                    self.on_tick(now, out);
                }
                if self.director_due.is_some_and(|at| at <= now) {
                    self.tick_director(now, out);
                }
            }
            Input::Advert(received) => self.on_advert(now, received, out),
            Input::Done { id, result } => {
                if !self.is_sent(*id, *result) {
                    self.on_done(now, *id, *result, out);
                }
            }
            Input::Probe { id, outcome } => self.on_outcome(now, *id, *outcome, out),
            _ => return false,
        }
        true
    }

    #[inline(never)]
    fn on_rare(&mut self, now: Timestamp, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Configure(config) => self.on_configure(now, &config, out),
            Input::Link(link) => self.on_link(now, link, out),
            Input::LocalAddress(address) => self.on_local_address(now, address, out),
            Input::Fib(change) => self.on_fib(now, change, out),
            Input::Tracker { id, value } => self.on_tracker(now, id, value, out),
            Input::Shutdown => self.stop_all(now, out),
            Input::Operator { instance, order } => self.on_order(now, &instance, order, out),
            Input::Ipvs { number, answer } => self.on_ipvs(now, number, *answer, out),
            Input::Server { server, order } => self.on_server_order(now, &server, order, out),
            Input::Tick | Input::Advert(_) | Input::Done { .. } | Input::Probe { .. } => {}
        }
    }

    /// When to call next, with [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        let timer = self.next_timer();
        match self.director_due {
            Some(at) if timer.is_none_or(|timer| at < timer.at) => {
                Some(Deadline { at, instance: InstanceId::DIRECTOR })
            }
            _ => timer,
        }
    }

    /// The same of virtual routers and what is static alone. What the director is due for may wait
    /// for its turn, and is never late.
    #[must_use]
    pub fn next_timer(&self) -> Option<Deadline> {
        self.schedule.next().map(|(at, instance)| Deadline { at, instance })
    }

    /// A read-only view.
    #[must_use]
    pub fn status(&self) -> Status<'_> {
        let (statics, unclaimed) = (&self.statics, &self.unclaimed);
        Status {
            instances: &self.instances,
            statics,
            unclaimed,
            director: self.director.as_deref(),
        }
    }

    /// Checks what must hold between any two calls, for tests, simulation and fuzzing.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        assert!(self.statics.holdings().is_filed(), "what stands waits at another time");
        if let Some(at) = self.statics.deadline() {
            let filed = self.schedule.filed(InstanceId::STATIC);
            assert!(filed.is_some_and(|filed| filed <= at), "what stands is not filed");
        }
        for instance in self.instances.iter().flatten() {
            let filed = self.schedule.filed(instance.id);
            if let Some(at) = instance.deadline() {
                let name = &instance.config.name;
                assert!(filed.is_some_and(|filed| filed <= at), "{name} is not filed");
            }
            if let Some(at) = instance.lease_end() {
                let filed = self.leases.filed(instance.id);
                assert!(filed.is_some_and(|filed| filed <= at), "the lease is not filed");
            }
        }
        if let Some(director) = &self.director {
            director.check_invariants();
            assert_eq!(self.director_due, director.deadline(), "the director is not filed");
        }
        let broken = self.broken_invariant();
        assert!(broken.is_none(), "{}", broken.unwrap_or_default());
    }

    /// What must hold of instances and groups and does not.
    pub(crate) fn broken_invariant(&self) -> Option<String> {
        let mut instances = self.instances.iter().flatten();
        let broken = instances.find_map(|instance| {
            instance.broken_invariant().map(|what| format!("{} {what}", instance.config.name))
        });
        let split = || self.groups.iter().find(|group| group.is_split(&self.instances));
        let broken = broken.or_else(|| split().map(|group| format!("{} is split", group.name)));
        broken.or_else(|| self.apart_from_director().map(String::from))
    }

    /// Lets one instance act, then whatever follows from it: its group, the index.
    pub(crate) fn with(
        &mut self,
        id: InstanceId,
        now: Timestamp,
        out: &mut Outputs,
        act: impl FnOnce(&mut Instance, &mut Context<'_>),
    ) {
        let director = self.director.as_deref();
        let mut ctx = Context { now, observed: &self.observed, director, out };
        let slot = id.0 as usize;
        let Some(Some(instance)) = self.instances.get_mut(slot) else { return };
        let before = instance.grouped.then(|| instance.bearing());
        act(instance, &mut ctx);
        file(instance, &mut self.schedule, &mut self.leases);
        if instance.is_gone() {
            self.instances[slot] = None;
            self.indexes_are_stale = true;
        } else if before.is_some_and(|before| before != instance.bearing())
            && let Some(place) = self.group_of.get(&id)
        {
            self.settle(*place, now, out);
        }
    }

    /// Whose lease is over leaves Master before anything else is looked at: an engine that was not
    /// called for so long may have another Master beside it.
    #[inline(never)]
    fn end_leases(&mut self, now: Timestamp, out: &mut Outputs) {
        while let Some((_, id)) = self.leases.pop_due(now) {
            match self.instance(id).and_then(Instance::lease_end) {
                Some(end) if end <= now => self.with(id, now, out, Instance::on_lease_over),
                end => self.leases.file(id, end),
            }
        }
    }

    /// Lets what stands whoever is master act.
    pub(crate) fn with_statics(
        &mut self,
        now: Timestamp,
        out: &mut Outputs,
        act: impl FnOnce(&mut Statics, &mut Context<'_>),
    ) {
        let director = self.director.as_deref();
        act(&mut self.statics, &mut Context { now, observed: &self.observed, director, out });
        self.schedule.file(InstanceId::STATIC, self.statics.deadline());
    }

    /// Brings the members of a group together.
    fn settle(&mut self, place: usize, now: Timestamp, out: &mut Outputs) {
        let group = &mut self.groups[place];
        let director = self.director.as_deref();
        let mut ctx = Context { now, observed: &self.observed, director, out };
        group.settle(&mut self.instances, &mut ctx);
        group.tell(&self.instances, &mut ctx);
        for member in &group.members {
            if let Some(Some(instance)) = self.instances.get(member.0 as usize) {
                file(instance, &mut self.schedule, &mut self.leases);
            }
        }
    }

    /// Once per input: to leave one by one would cost the square of their number.
    #[inline(never)]
    fn refresh_indexes(&mut self) {
        self.indexes_are_stale = false;
        self.watch();
        self.routing.rebuild(&self.config, &self.instances, &self.observed);
    }

    pub(crate) fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(id.0 as usize)?.as_ref()
    }

    fn on_tracker(
        &mut self,
        now: Timestamp,
        id: TrackerName,
        value: TrackerValue,
        out: &mut Outputs,
    ) {
        self.observed.on_tracker(id.clone(), value);
        self.evaluate_watchers(now, &Tracked::Tracker(id.clone()), out);
        self.direct(now, out, |director, out| director.on_tracker(now, id, value, out));
    }

    fn on_link(&mut self, now: Timestamp, link: Link, out: &mut Outputs) {
        let (name, state) = (link.name.clone(), link.state);
        let renamed = self.observed.interface(link.interface).map(|known| known.name.clone());
        let index_of = |observed: &Observed| observed.by_name(&name).map(|(index, _)| index);
        let before = index_of(&self.observed);
        let gone = self.observed.on_link(link);
        if index_of(&self.observed) != before {
            self.routing.rebuild(&self.config, &self.instances, &self.observed);
        }
        for id in self.routing.with_macvlan(&name) {
            self.with(id, now, out, |instance, ctx| instance.on_link(ctx, &name, state));
        }
        self.with_statics(now, out, Statics::on_link);
        for id in self.routing.with_next_hop(&name) {
            self.with(id, now, out, Instance::on_next_hop);
        }
        for name in renamed.filter(|old| *old != name).into_iter().chain([name]) {
            self.evaluate_watchers(now, &Tracked::Interface(name), out);
        }
        for address in gone {
            self.tell_director_of(now, address, out);
        }
    }

    fn on_local_address(&mut self, now: Timestamp, address: LocalAddress, out: &mut Outputs) {
        let LocalAddress { interface, address: changed, present } = address;
        if !self.observed.on_address(address) {
            return;
        }
        let Some(name) = self.observed.interface(interface).map(|known| known.name.clone()) else {
            return;
        };
        self.with_statics(now, out, |statics, ctx| {
            statics.on_address(ctx, &name, changed, present);
        });
        for id in self.routing.with_address(changed) {
            self.with(id, now, out, |instance, ctx| {
                instance.on_address(ctx, &name, changed, present);
            });
        }
        // A configured source may stand on any interface, and be virtual.
        let mut concerned = self.routing.with_source(changed);
        if !self.observed.is_virtual(changed) {
            let own = self.watchers.get(&Tracked::Interface(name));
            concerned.extend(own.into_iter().flatten());
        }
        concerned.sort_unstable();
        concerned.dedup();
        for id in concerned {
            self.with(id, now, out, Instance::evaluate);
        }
        self.tell_director_of(now, changed, out);
    }

    fn on_fib(&mut self, now: Timestamp, change: FibChange, out: &mut Outputs) {
        if !self.observed.on_fib(change.clone()) {
            return;
        }
        let FibChange { entry, present } = change;
        self.with_statics(now, out, |statics, ctx| statics.on_fib(ctx, &entry, present));
        for id in self.routing.with_fib(&entry) {
            self.with(id, now, out, |instance, ctx| instance.on_fib(ctx, &entry, present));
        }
    }

    fn evaluate_watchers(&mut self, now: Timestamp, tracked: &Tracked, out: &mut Outputs) {
        for id in self.watchers.get(tracked).cloned().unwrap_or_default() {
            self.with(id, now, out, Instance::evaluate);
        }
    }

    /// Every member of a group obeys before the group looks at what came of it: each of them was
    /// ordered, and resigns for itself.
    fn on_order(&mut self, now: Timestamp, name: &InstanceName, order: Order, out: &mut Outputs) {
        let mut running = self.instances.iter().flatten().filter(|one| !one.is_stopping());
        let Some(id) = running.find(|one| one.config.name == *name).map(|one| one.id) else {
            return;
        };
        let place = self.group_of.get(&id).copied();
        let members = place.map_or_else(|| vec![id], |place| self.groups[place].members.clone());
        for member in members {
            let Some(Some(instance)) = self.instances.get_mut(member.0 as usize) else { continue };
            let director = self.director.as_deref();
            instance.on_order(&mut Context { now, observed: &self.observed, director, out }, order);
            file(instance, &mut self.schedule, &mut self.leases);
        }
        if let Some(place) = place {
            self.settle(place, now, out);
        }
    }

    fn stop_all(&mut self, now: Timestamp, out: &mut Outputs) {
        // Together, so that no member of a group takes over from another one on the way.
        let groups = self.ungroup();
        for id in self.ids() {
            self.with(id, now, out, |instance, ctx| instance.stop(ctx, Why::Shutdown));
        }
        for mut group in groups {
            let director = self.director.as_deref();
            let mut ctx = Context { now, observed: &self.observed, director, out };
            group.tell_state(StateKind::Initialize, &mut ctx);
        }
        self.with_statics(now, out, Statics::stop);
        self.direct(now, out, |director, out| director.stop(now, out));
    }

    /// Start-up is a reload from nothing. The same identity is changed in place, with its state and
    /// timers kept; another one is stop plus start.
    fn on_configure(&mut self, now: Timestamp, config: &Arc<Config>, out: &mut Outputs) {
        let first = !mem::replace(&mut self.is_configured, true);
        let start_at =
            (first && !config.startup_delay().is_zero()).then(|| now + config.startup_delay());
        self.config = Arc::clone(config);
        // Whoever reloads asks what does not fit now.
        self.named = Named::default();
        self.observed.set_virtual(virtual_addresses(config));
        self.with_statics(now, out, |statics, ctx| statics.configure(ctx, config.statics()));
        let groups = self.ungroup();
        let mut known: BTreeMap<_, _> = self
            .instances
            .iter()
            .flatten()
            .filter(|instance| !instance.is_stopping())
            .map(|instance| (instance.config.identity(), instance.id))
            .collect();
        let kept: Vec<_> = config
            .instances()
            .iter()
            .map(|instance| (Arc::clone(instance), known.remove(&instance.identity())))
            .collect();
        let mut orders = BTreeMap::new();
        for id in known.into_values() {
            if let Some(Some(gone)) = self.instances.get(id.0 as usize) {
                orders.insert(gone.config.name.clone(), gone.standing.ordered());
            }
            self.with(id, now, out, |instance, ctx| instance.stop(ctx, Why::Removed));
        }
        let mut by_name = BTreeMap::new();
        for (instance, id) in kept {
            let name = instance.name.clone();
            let id = match id {
                Some(id) => {
                    self.with(id, now, out, |known, ctx| known.reconfigure(ctx, instance));
                    id
                }
                // An operator means what has this name, whatever else of it is new.
                None => {
                    let standing = orders.remove(&name).unwrap_or_default();
                    self.add(instance, standing, now, start_at)
                }
            };
            by_name.insert(name, id);
        }
        self.group(&by_name, groups);
        self.refresh_indexes();
        self.claim_leftovers(now, out);
        for id in by_name.into_values() {
            self.with(id, now, out, Instance::evaluate);
        }
        for place in 0..self.groups.len() {
            self.settle(place, now, out);
        }
        self.configure_director(now, out);
    }

    fn add(
        &mut self,
        config: Arc<InstanceConfig>,
        standing: Standing,
        now: Timestamp,
        start_at: Option<Timestamp>,
    ) -> InstanceId {
        let id = InstanceId(self.instances.len() as u32);
        let mut instance = Instance::new(id, config, now, start_at);
        instance.standing = standing;
        self.instances.push(Some(instance));
        id
    }

    /// Virtual addresses, routes and rules that are there already: removed before the election.
    fn claim_leftovers(&mut self, now: Timestamp, out: &mut Outputs) {
        // Rules stand behind routes in that order, and routes need addresses.
        for entry in self.observed.fib().into_iter().rev() {
            for id in self.routing.with_fib(&entry) {
                self.with(id, now, out, |instance, ctx| instance.on_fib(ctx, &entry, true));
            }
        }
        for (name, address) in self.observed.addresses() {
            for id in self.routing.with_address(address) {
                self.with(id, now, out, |instance, ctx| {
                    instance.on_address(ctx, &name, address, true);
                });
            }
        }
    }

    /// Nobody is in a group any more. Answers with what there was.
    fn ungroup(&mut self) -> Vec<Group> {
        self.group_of.clear();
        for instance in self.instances.iter_mut().flatten() {
            instance.grouped = false;
        }
        mem::take(&mut self.groups)
    }

    /// Forms the groups of the configuration and tells each member what is watched for it. One that
    /// was there `before` goes on in its state.
    fn group(&mut self, by_name: &BTreeMap<InstanceName, InstanceId>, before: Vec<Group>) {
        let mut states: BTreeMap<_, _> =
            before.into_iter().map(|group| (group.name, group.state)).collect();
        let config = Arc::clone(&self.config);
        for instance in self.instances.iter_mut().flatten() {
            instance.tracks.clone_from(&instance.config.tracks);
            instance.weights_count = true;
        }
        for group in config.groups() {
            let ids = group.members.iter().filter_map(|name| by_name.get(name).copied());
            let members: Vec<_> = ids.collect();
            for id in &members {
                self.group_of.insert(*id, self.groups.len());
                if let Some(Some(instance)) = self.instances.get_mut(id.0 as usize) {
                    join(instance, group);
                }
            }
            let state = states.remove(&group.name).unwrap_or(StateKind::Initialize);
            self.groups.push(Group::new(group, members, state));
        }
    }

    pub(crate) fn watch(&mut self) {
        self.followed = self.find_followed();
        self.watchers.clear();
        for instance in self.instances.iter().flatten() {
            let own = Tracked::Interface(instance.config.interface.clone());
            for tracked in instance.tracks.iter().map(|track| track.tracked.clone()).chain([own]) {
                push_once(self.watchers.entry(tracked).or_default(), instance.id);
            }
        }
    }

    pub(crate) fn ids(&self) -> Vec<InstanceId> {
        self.instances.iter().flatten().map(|instance| instance.id).collect()
    }

    /// The trackers whose values the engine wants to hear, each once.
    pub fn trackers(&self) -> impl Iterator<Item = &TrackerName> {
        let watched = self.watchers.keys().filter_map(|tracked| match tracked {
            Tracked::Tracker(name) => Some(name),
            Tracked::Interface(_) => None,
        });
        watched.chain(self.config.director().files()).collect::<BTreeSet<_>>().into_iter()
    }
}

/// Files what an instance waits for.
pub(crate) fn file(instance: &Instance, schedule: &mut Schedule, leases: &mut Schedule) {
    schedule.file(instance.id, instance.deadline());
    if let Some(end) = instance.lease_end() {
        leases.file(instance.id, Some(end));
    }
}

fn join(instance: &mut Instance, group: &GroupConfig) {
    instance.grouped = true;
    instance.tracks.extend(group.tracks.iter().cloned());
    instance.weights_count = group.tracking_weight;
}

/// Addresses that come and go. An owner's are real ones.
pub(crate) fn virtual_addresses(config: &Config) -> BTreeSet<IpAddr> {
    let instances = config.instances().iter();
    instances
        .filter(|instance| !instance.priority.is_owner())
        .flat_map(|instance| instance.addresses.iter().chain(&instance.excluded))
        .map(|address| address.address)
        .collect()
}
