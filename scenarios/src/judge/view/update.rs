//! Bringing the view up to date with a change. What the change touches is in [`super::touch`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use vipd_engine::{InstanceConfig, KernelCommand, News, Order, StateKind};

use super::removed::QUIET;
use super::resigned::Forged;
use super::{Connections, Host, LOSSES_KEPT, Member, Path, Process, Router, View};
use crate::judge::change::{Change, Ending, Pair, Place, What};
use crate::judge::excuse::Excuse;
use crate::judge::terms::{keeps_its_timer, source_of};
use crate::record::{HostId, MachineChange, ProcessChange, RouterKey, Seen, SegmentId, WorldTime};
use crate::scenario::Step;

/// Bringing it up to date.
impl View {
    /// Brings the state up to date. `key` is that of the router that the change joins.
    pub(in crate::judge) fn apply(&mut self, change: &Change, key: impl Fn(usize) -> RouterKey) {
        let (at, host) = (change.at, change.host);
        self.now = at;
        // Nothing is as frequent as what users see, and it changes nothing here.
        if let What::Seen(Seen::Probe { .. } | Seen::Announced { .. } | Seen::Answered { .. }) =
            &change.what
        {
            self.touch_nothing();
            return;
        }
        match &change.what {
            What::Joined { place, config, group, starts } => {
                self.note_odds(place.router);
                self.join(*place, host, config, key);
                self.shares = self.shares_addresses();
                self.member_mut(*place).group.clone_from(group);
                self.join_groups();
                self.routers[place.router].note_least_interval();
                self.disturb(place.router);
                if starts.is_some() {
                    self.release(*place);
                    self.member_mut(*place).ordered = None;
                } else {
                    self.shorten_hold_down(*place);
                }
                if let Some(delay) = starts.filter(|delay| !delay.is_zero()) {
                    self.hold_at_the_start(*place, delay);
                }
            }
            What::Left(place) => {
                self.disturb(place.router);
                self.note_odds(place.router);
                self.member_mut(*place).present = false;
                self.join_groups();
                self.routers[place.router].note_least_interval();
                self.release(*place);
            }
            What::State { place, from, to, .. } => {
                self.end_start(*place);
                self.engine_state(*place, *from, *to);
            }
            What::News(place, news) => self.news(*place, news),
            What::MasterStarts { place, priority, source, interval, resumed, .. } => {
                if self.member(*place).held_down.is_some() {
                    // Whether it was needed is asked with `held_down`, which stays until it yields.
                    self.holds.retain(|(_, held)| held != place);
                }
                self.end_start(*place);
                let member = self.member_mut(*place);
                (member.master, member.began) = (Some(at), Some(at));
                member.resumed = *resumed;
                if !*resumed {
                    member.term_began = Some(at);
                }
                member.source = Some(*source);
                member.priority = *priority;
                member.advertises(*interval, at);
                member.held = None;
                // Who yields and is needed is as before.
                member.ordered = member.ordered.filter(|order| *order != Order::Yield);
            }
            What::MasterEnds(place, ending) => {
                let member = self.member_mut(*place);
                member.master = None;
                member.ended = Some((at, *ending));
                if *ending == Ending::Resigned {
                    member.resigned_at = Some(at);
                }
            }
            What::LastAdvert(place, last) => self.member_mut(*place).last_advert = Some(*last),
            What::Advertises { place, priority, interval } => {
                let member = self.member_mut(*place);
                member.priority = *priority;
                member.advertises(*interval, at);
            }
            What::InForce(place, interval) => {
                let member = self.member_mut(*place);
                (member.in_force, member.or_own) = (*interval, false);
            }
            What::InForceOrOwn(place, interval) => {
                let member = self.member_mut(*place);
                (member.in_force, member.or_own) = (*interval, true);
            }
            What::Heard { pair, priority, .. } => self.first_heard(*pair, *priority),
            What::Lost { pair, run, .. } => self.lose(*pair, *run),
            What::Injected(advert, injection) => {
                for router in 0..self.routers.len() {
                    if self.routers[router].key == advert.router
                        && self.forge(router, host, advert, injection.as_deref())
                    {
                        self.routers[router].injected_at = Some(at);
                        self.disturb(router);
                    }
                }
            }
            // A clock that stands still ends nothing.
            What::HoldEnds(_) if self.host(host).clock_stands() => {}
            What::HoldEnds(place) => self.end_hold(*place),
            What::Disagreement { .. }
            | What::HeardInMaster(_)
            | What::Gap { .. }
            | What::Overtaken(_)
            | What::Foreign { .. } => {}
            What::Seen(seen) => self.seen(host, seen),
        }
        self.touch(change);
        self.rearrange(change);
    }

    pub(super) fn member_mut(&mut self, place: Place) -> &mut Member {
        &mut self.routers[place.router].members[place.member]
    }

    fn join(
        &mut self,
        place: Place,
        host: HostId,
        config: &Arc<InstanceConfig>,
        key: impl Fn(usize) -> RouterKey,
    ) {
        while self.routers.len() <= place.router {
            let key = key(self.routers.len());
            self.routers.push(Router::new(key));
        }
        let segment = self.routers[place.router].key.segment;
        let setting = self.setting.hosts.get(usize::from(host.0));
        let own = setting.map_or(&[][..], |host| &host.addresses[..]);
        let source = source_of(own, segment, config);
        let addresses = self.addresses_of(host, segment, config);
        let (interval, now) = (config.interval.duration(), self.now);
        let members = &mut self.routers[place.router].members;
        if members.len() <= place.member {
            members.push(Member {
                host,
                config: Arc::clone(config),
                present: true,
                joined: now,
                group: None,
                source,
                master: None,
                began: None,
                term_began: None,
                resumed: false,
                ended: None,
                resigned_at: None,
                last_advert: None,
                state: None,
                left_master_at: None,
                priority: config.priority.get(),
                advertised: interval,
                longer: Vec::new(),
                in_force: interval,
                or_own: false,
                held: None,
                starting: false,
                alarmed_at: None,
                held_down: None,
                ordered: None,
                addresses,
            });
            return;
        }
        let member = &mut members[place.member];
        let begins = !member.present || member.state.is_none();
        if begins || member.config.priority != config.priority {
            member.priority = config.priority.get();
        }
        if begins || !keeps_its_timer(&member.config, config) {
            (member.in_force, member.or_own) = (interval, false);
        }
        member.config = Arc::clone(config);
        if !member.present {
            (member.present, member.joined) = (true, now);
        }
        member.source = source;
        member.advertises(interval, now);
        member.addresses = addresses;
    }

    fn addresses_of(
        &self,
        host: HostId,
        segment: SegmentId,
        config: &InstanceConfig,
    ) -> Vec<(SegmentId, IpAddr)> {
        let setting = self.setting.hosts.get(usize::from(host.0));
        let interfaces = setting.map_or(&[][..], |host| &host.interfaces[..]);
        let all = config.addresses.iter().chain(&config.excluded);
        all.map(|address| {
            let named = address.interface.as_ref().and_then(|name| {
                interfaces.iter().find(|(interface, _)| **interface == *name.as_str())
            });
            (named.map_or(segment, |(_, segment)| *segment), address.address)
        })
        .collect()
    }

    /// A configuration is about to change: what did not fit until now.
    fn note_odds(&mut self, router: usize) {
        if router >= self.routers.len() {
            return;
        }
        // What waits for one that stands still is discarded all the same.
        let alive: Vec<_> = self.places(router).filter(|place| self.is_alive(*place)).collect();
        let Some(odds) = Excuse::at_odds(self, &alive) else { return };
        let pairs = alive.iter().flat_map(|a| alive.iter().map(|b| [*a, *b]));
        let is_odd =
            |pair: &[Place; 2]| pair[0] != pair[1] && Excuse::at_odds(self, pair).is_some();
        let odd: Vec<_> = pairs.filter(is_odd).collect();
        let ended = self.routers[router].odds_ended.replace((self.now, odds));
        let pairs = &mut self.routers[router].odd_pairs;
        if ended.is_none_or(|(at, _)| at < self.now) {
            pairs.clear();
        }
        pairs.extend(odd);
    }

    /// The preempt delay begins at the first lower advert that is heard.
    fn first_heard(&mut self, pair: Pair, priority: u8) {
        let place = Place { router: pair.router, member: pair.receiver };
        let member = self.member(place);
        let delay = member.config.preempt_delay;
        let waits = self.is_running(place)
            && member.master.is_none()
            && member.held.is_none()
            && member.may_preempt(self.now)
            && !delay.is_zero()
            && priority < member.priority;
        if waits {
            self.hold(place, delay);
        }
    }

    fn engine_state(&mut self, place: Place, from: StateKind, to: StateKind) {
        let now = self.now;
        if from == StateKind::Fault && self.is_over_by_itself(place) {
            self.disturbed_at = now;
        }
        let member = self.member_mut(place);
        member.state = Some(to);
        if from == StateKind::Master && to != StateKind::Master {
            member.left_master_at = Some(now);
        }
        if from == StateKind::Fault && to != StateKind::Fault {
            member.joined = now;
        }
        // Each time as a backup has its own preempt delay.
        let begins = to == StateKind::Backup && !matches!(from, StateKind::Initialize);
        if begins && !member.config.preempt_delay.is_zero() && member.held_down.is_none() {
            member.held = None;
            self.holds.retain(|(_, held)| *held != place);
        }
        if from == StateKind::Master {
            self.note_hold_down(place, to);
        }
        if to == StateKind::Backup {
            self.hold_with_group(place);
        }
    }

    /// Whether a member that leaves Fault now does so because some time is over, and nothing else
    /// happened.
    fn is_over_by_itself(&self, place: Place) -> bool {
        // It hears of the removal late, acts late, and its clock has a rate of its own.
        let slack = self.late() * 2 + self.tolerance() + self.up(QUIET).saturating_sub(QUIET);
        let host = self.host(self.member(place).host);
        let quiet = host.removed.is_quiet_again(self.now, slack, &host.stalls);
        let tried_again = host.refused_at.is_some_and(|at| {
            let waits = self.up(self.member(place).configured_down_interval()) + slack;
            self.now.since(at) <= waits + host.stalls.stood_still(at)
        });
        quiet || tried_again
    }

    fn news(&mut self, place: Place, news: &News) {
        let now = self.now;
        match news {
            News::PriorityChanged { to, .. } => self.member_mut(place).priority = to.get(),
            // A route that the kernel refuses excuses nothing of what addresses promise.
            News::CommandFailed {
                command: KernelCommand::AddFib(_) | KernelCommand::RemoveFib(_),
                ..
            } => {}
            News::CommandFailed { .. } | News::SendRefused { .. } => {
                let host = self.member(place).host;
                self.hosts[usize::from(host.0)].refused_at = Some(now);
                self.disturb(place.router);
            }
            // The engine says that the delay begins anew; L3 counts from the start all the same.
            News::PreemptDelayed { .. } => {
                let delay = self.member(place).config.preempt_delay;
                self.hold(place, delay);
            }
            News::OneWay { .. } => self.member_mut(place).alarmed_at = Some(now),
            News::State { .. }
            | News::Mismatch { .. }
            | News::ForeignVrid { .. }
            | News::IntervalLearned { .. }
            | News::PreemptDelayOver
            | News::EqualPriority { .. }
            | News::AdvertDiscarded { .. }
            | News::Flapping { .. }
            | News::LeftoverAddress(_)
            | News::AddressLost(_)
            | News::LeftoverEntry(_)
            | News::EntryLost { .. }
            | News::Ordered(_)
            | News::YieldOver
            | News::HoldDownOver
            | News::GroupState { .. }
            | News::LowerPriority { .. }
            | News::Director(_) => {}
        }
    }

    fn lose(&mut self, pair: Pair, run: u32) {
        let now = self.now;
        self.disturb(pair.router);
        let losses = self.routers[pair.router].losses.entry(pair).or_default();
        if run > 1
            && let Some(last) = losses.last_mut()
        {
            *last = (now, run);
            return;
        }
        if losses.len() == LOSSES_KEPT {
            let (_, oldest) = losses.remove(0);
            losses[0].1 = losses[0].1.max(oldest);
        }
        losses.push((now, run));
    }

    fn seen(&mut self, host: HostId, seen: &Seen) {
        let now = self.now;
        match seen {
            Seen::Owns { segment, address, owns } => {
                let address = (*segment, *address);
                if !*owns {
                    self.owners.remove(address, host);
                } else if self.owners.get(address, host).is_none() {
                    self.owners.put(address, host, now);
                }
            }
            Seen::Neighbour { segment, address, points_to, .. } => {
                self.neighbours.put((*segment, *address), host, *points_to);
            }
            Seen::Process(change) => self.process(host, *change),
            Seen::Machine(change) => self.machine(host, *change),
            Seen::Link { segment, up } => {
                self.disturbed_at = now;
                self.hosts[usize::from(host.0)].links.put(usize::from(segment.0), (*up, now));
            }
            Seen::Path { segment, to, multicast, unicast } => {
                self.disturbed_at = now;
                let path = Path { multicast: *multicast, unicast: *unicast, changed: now };
                let place = self.path_place(*segment, host, *to);
                self.paths.put(place, path);
            }
            Seen::Step(step) => {
                let mut disturbs = true;
                if let Step::Conditions { conditions, .. } = &step.step {
                    self.lossy |= conditions.loss_ppm > 0 || conditions.corrupt_ppm > 0;
                    // Every bound holds for any delays, in any order, that are no longer than D.
                    disturbs = self.lossy || conditions.duplicate_ppm > 0;
                }
                if disturbs {
                    self.disturbed_at = now;
                }
                if let Step::Operator { host, instance, order } = &step.step {
                    self.order(*host, instance, *order);
                }
                if let Step::RemoveAddress { host, address } = &step.step {
                    self.hosts[usize::from(host.0)].removed.add(*address, now);
                }
                if let Step::Late { host, by } = &step.step
                    && *by > self.setting.lateness
                {
                    self.too_late = Some(*host);
                }
            }
            Seen::AdvertSent(_)
            | Seen::AdvertDelivered(_)
            | Seen::AdvertLost(..)
            | Seen::Address { .. }
            | Seen::Fib { .. }
            | Seen::Destination { .. }
            | Seen::Announced { .. }
            | Seen::Answered { .. }
            | Seen::Configured(_)
            | Seen::Probe { .. }
            | Seen::Request { .. }
            | Seen::Engine(_)
            | Seen::Dropped(_) => {}
        }
    }

    /// The members of a sync group obey together.
    fn order(&mut self, host: HostId, instance: &str, order: Order) {
        let members = self.routers.iter_mut().flat_map(|router| &mut router.members);
        let mut own: Vec<_> = members.filter(|member| member.host == host).collect();
        let named = |member: &&mut Member| member.config.name.as_str() == instance;
        let group = own.iter().find(|member| named(member)).and_then(|one| one.group.clone());
        let together = |member: &&mut Member| group.is_some() && member.group == group;
        for member in own.iter_mut().filter(|member| named(member) || together(member)) {
            member.ordered = (order != Order::Resume).then_some(order);
            // An order takes the place of a hold-down.
            if member.held_down.take().is_some() {
                member.held = None;
            }
        }
    }

    fn process(&mut self, id: HostId, change: ProcessChange) {
        let now = self.now;
        let host = &mut self.hosts[usize::from(id.0)];
        // The end of a clean stop is no news: its beginning was.
        if !(change == ProcessChange::Stopped && host.process == Process::Stopping) {
            self.disturbed_at = now;
        }
        match change {
            ProcessChange::Started => {
                host.process = Process::Running;
                host.running_since = now;
                host.stalled = None;
            }
            ProcessChange::Stopping => host.process = Process::Stopping,
            ProcessChange::Stopped | ProcessChange::Killed => self.process_ends(id),
            ProcessChange::Paused => {
                host.process = Process::Paused;
                host.stall(now);
            }
            ProcessChange::Resumed => {
                host.process = Process::Running;
                host.go_on(now);
            }
        }
    }

    fn machine(&mut self, id: HostId, change: MachineChange) {
        let now = self.now;
        self.disturbed_at = now;
        let host = &mut self.hosts[usize::from(id.0)];
        match change {
            MachineChange::On => host.on = true,
            MachineChange::Off => {
                host.on = false;
                host.frozen = false;
                self.process_ends(id);
                self.neighbours.forget(id);
                self.owners.forget(id);
            }
            MachineChange::Frozen { clock } => {
                host.frozen = true;
                host.stall(now);
                host.clock_stood |= clock;
            }
            MachineChange::Thawed => {
                let stood = host.clock_stood.then_some(host.stalled).flatten();
                host.frozen = false;
                host.go_on(now);
                if let Some((since, None)) = stood {
                    self.hold_longer(id, now.since(since));
                }
            }
        }
    }

    fn process_ends(&mut self, id: HostId) {
        self.hosts[usize::from(id.0)].process = Process::None;
        for router in &mut self.routers {
            for member in router.members.iter_mut().filter(|member| member.host == id) {
                member.state = None;
                (member.held, member.alarmed_at, member.held_down) = (None, None, None);
                member.starting = false;
                member.left_master_at = None;
            }
        }
    }
}

impl Host {
    fn stall(&mut self, now: WorldTime) {
        if !matches!(self.stalled, Some((_, None))) {
            self.stalled = Some((now, None));
            self.clock_stood = false;
        }
    }

    fn go_on(&mut self, now: WorldTime) {
        if self.frozen || self.process == Process::Paused {
            return;
        }
        self.running_since = now;
        if let Some((since, None)) = self.stalled {
            self.stalled = Some((since, Some(now)));
            self.stalls.add(since, now, self.clock_stood);
        }
    }
}

impl Router {
    fn note_least_interval(&mut self) {
        let present = self.members.iter().filter(|member| member.present);
        self.least_interval = present.map(|member| member.config.interval.duration()).min();
    }

    const fn new(key: RouterKey) -> Self {
        Self {
            key,
            members: Vec::new(),
            disturbed_at: WorldTime(0),
            hold_ended_at: WorldTime(0),
            injected_at: None,
            forged: Forged::new(),
            odds_ended: None,
            odd_pairs: Vec::new(),
            losses: BTreeMap::new(),
            connections: Connections { running: Vec::new(), components: Vec::new(), deaf: None },
            dual: false,
            joined: Vec::new(),
            least_interval: None,
        }
    }
}
