//! The wire column: who is master by what stands on the wire, and nothing else.
//!
//! A mastership begins with the first advert of a priority above 0. It ends with the priority-0
//! advert, the end of the process, or by silence: with the last advert, if none follows within
//! twice its interval. The last one is known late, so every change waits in a queue until nothing
//! earlier can turn up any more, and what leaves the queue is in strict order of time.
//!
//! The quiet path is here: an advert that changes nothing costs a few comparisons and no
//! allocation. The state built from the changes is in [`super::view`].

mod hosts;
mod members;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{InstanceName, StateKind};

use super::change::{Change, Ending, Pair, Place, What};
use super::mismatch;
use super::terms::{plus, since};
use crate::record::{
    HostId, LossReason, Observation, PacketId, RouterKey, Seen, SeenAdvert, SegmentId, Setting,
    WorldTime, whole_nanos,
};
use crate::scenario::{Injection, Step};
use members::{Ear, Router, Sender};

/// Hears observations, hands out changes.
#[derive(Debug)]
pub(super) struct Listener {
    interfaces: Vec<Vec<(Arc<str>, SegmentId)>>,
    addresses: Vec<Vec<(SegmentId, IpAddr)>>,
    /// What a clock's rate and a late handler may add to twice the interval, beside `2A`.
    rate_error_ppb: u64,
    slack: Duration,
    /// What of the slack is there because time is real.
    tolerance: Duration,
    routers: Vec<Router>,
    by_key: BTreeMap<RouterKey, usize>,
    latest: Option<(RouterKey, usize)>,
    /// The last datagram that anybody sent.
    last_sent: Option<PacketId>,
    names: BTreeMap<(HostId, InstanceName), Place>,
    /// Where an instance was, by its name then, before a configuration that lacks it there.
    former: BTreeMap<(HostId, InstanceName), Place>,
    started: BTreeMap<HostId, WorldTime>,
    /// What the steps inject, in their order.
    injections: Vec<Arc<Injection>>,
    strangers: BTreeSet<(HostId, usize, HostId)>,
    queue: VecDeque<Change>,
    /// The master whose last advert is the oldest: nothing after that advert is settled yet.
    brake: Option<Brake>,
}

#[derive(Clone, Copy, Debug)]
struct Brake {
    place: Place,
    last: WorldTime,
    silent_at: WorldTime,
}

impl Listener {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            interfaces: setting.hosts.iter().map(|host| host.interfaces.clone()).collect(),
            addresses: setting.hosts.iter().map(|host| host.addresses.clone()).collect(),
            rate_error_ppb: u64::from(setting.rate_error_ppb),
            slack: setting.lateness + setting.tolerance,
            tolerance: setting.tolerance,
            routers: Vec::new(),
            by_key: BTreeMap::new(),
            latest: None,
            last_sent: None,
            names: BTreeMap::new(),
            former: BTreeMap::new(),
            started: BTreeMap::new(),
            injections: Vec::new(),
            strangers: BTreeSet::new(),
            queue: VecDeque::new(),
            brake: None,
        }
    }

    /// Takes one observation in. True if [`Self::settled`] may have something.
    pub(super) fn hear(&mut self, observation: &Observation) -> bool {
        let (at, host) = (observation.at, observation.host);
        match &observation.seen {
            Seen::AdvertSent(advert) => self.sent(at, host, advert),
            Seen::AdvertDelivered(advert) => self.delivered(at, host, advert),
            _ => self.hear_no_advert(observation),
        }
        if self.queue.is_empty() {
            return false;
        }
        self.find_brake(at);
        true
    }

    /// Apart from [`Self::hear`], like all else that is not called for nearly every observation:
    /// what it needs on the stack would be made ready for each plain advert.
    #[inline(never)]
    fn hear_no_advert(&mut self, observation: &Observation) {
        let (at, host) = (observation.at, observation.host);
        match &observation.seen {
            Seen::AdvertSent(_) | Seen::AdvertDelivered(_) => {}
            Seen::AdvertLost(advert, reason) => self.lost(at, host, advert, *reason),
            Seen::Dropped(_) | Seen::Address { .. } | Seen::Fib { .. } | Seen::Request { .. } => {}
            Seen::Configured(config) => {
                self.configured(at, host, config);
                if !config.director().virtual_servers.is_empty() {
                    self.push(at, host, What::Seen(observation.seen.clone()));
                }
            }
            Seen::Engine(event) => self.engine(at, host, event),
            Seen::Process(change) => self.process(at, host, *change),
            Seen::Machine(change) => self.machine(at, host, *change),
            Seen::Path { .. } | Seen::Link { .. } => {
                self.freshen(host);
                self.push(at, host, What::Seen(observation.seen.clone()));
            }
            Seen::Step(step) => {
                if let Step::Inject(injection) = &step.step {
                    self.injections.push(Arc::new((**injection).clone()));
                }
                self.push(at, host, What::Seen(observation.seen.clone()));
            }
            Seen::Owns { .. }
            | Seen::Announced { .. }
            | Seen::Answered { .. }
            | Seen::Neighbour { .. }
            | Seen::Destination { .. }
            | Seen::Probe { .. } => self.push(at, host, What::Seen(observation.seen.clone())),
        }
    }

    /// The first change that waits, if nothing earlier can turn up any more.
    pub(super) fn settled(&self) -> Option<&Change> {
        let first = self.queue.front()?;
        self.brake.is_none_or(|brake| first.at <= brake.last).then_some(first)
    }

    /// It was told.
    pub(super) fn drop_settled(&mut self) {
        self.queue.pop_front();
    }

    /// The run is over: whoever was heard within twice its interval is master to the end.
    pub(super) fn end(&mut self, at: WorldTime) {
        self.silence_all(at);
        let places: Vec<_> = self.places().collect();
        for place in places {
            self.check_explained(place, at, true);
        }
        self.brake = None;
    }

    pub(super) fn key(&self, router: usize) -> RouterKey {
        self.routers[router].key
    }

    fn push(&mut self, at: WorldTime, host: HostId, what: What) {
        self.queue.push_back(Change { at, host, what });
    }

    /// Something that is known late: it takes its place among what waits.
    fn push_late(&mut self, at: WorldTime, host: HostId, what: What) {
        let place = self.queue.partition_point(|change| change.at <= at);
        self.queue.insert(place, Change { at, host, what });
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let members = move |router: usize| {
            (0..self.routers[router].members.len()).map(move |member| Place { router, member })
        };
        (0..self.routers.len()).flat_map(members)
    }

    fn places_of(&self, host: HostId) -> Vec<Place> {
        let member = |router: usize| self.routers[router].member(host);
        let routers = 0..self.routers.len();
        routers.filter_map(|router| Some(Place { router, member: member(router)? })).collect()
    }

    fn sender(&mut self, place: Place) -> &mut Sender {
        &mut self.routers[place.router].members[place.member]
    }

    fn router(&mut self, key: RouterKey) -> Option<usize> {
        if let Some((latest, index)) = self.latest
            && latest == key
        {
            return Some(index);
        }
        let index = *self.by_key.get(&key)?;
        self.latest = Some((key, index));
        Some(index)
    }
}

/// Adverts.
impl Listener {
    fn sent(&mut self, at: WorldTime, host: HostId, advert: &SeenAdvert) {
        self.last_sent = Some(advert.packet);
        let Some(router) = self.router(advert.router) else { return };
        let Some(member) = self.routers[router].member(host) else { return };
        let place = Place { router, member };
        let sender = &mut self.routers[router].members[member];
        let plain = sender.master
            && advert.priority == sender.priority
            && advert.interval == sender.advertised
            && at.0 - sender.last.0 <= sender.silence
            && matches!(sender.state, None | Some(StateKind::Master));
        if plain {
            sender.last = at;
        } else {
            self.sent_otherwise(at, place, advert);
        }
    }

    #[inline(never)]
    fn sent_otherwise(&mut self, at: WorldTime, place: Place, advert: &SeenAdvert) {
        self.silence_one(place, at);
        self.check_explained(place, at, false);
        let host = self.sender(place).host;
        if advert.priority == 0 {
            // Where time is real, its engine's word may have overtaken the resignation.
            let tolerance = self.tolerance;
            let overtaken = self.sender(place).left_just_now(at, tolerance);
            self.sender(place).resigned_at = Some(at);
            // A new configuration is told before what the engine says as it takes it.
            let removed = self.sender(place).removed_at.take();
            let removed = removed.is_some_and(|removed| at <= plus(removed, self.slack));
            // One that fell silent, and whose engine did not leave the state, was master all along.
            let silent = std::mem::take(&mut self.sender(place).silent);
            if self.end_mastership(place) || removed || silent || overtaken {
                self.push(at, host, What::MasterEnds(place, Ending::Resigned));
            }
            return;
        }
        let silence = self.silence_of(advert.interval);
        let (slack, tolerance) = (self.slack, self.tolerance);
        let sender = self.sender(place);
        if !matches!(sender.state, None | Some(StateKind::Master)) {
            sender.unexplained.get_or_insert(at);
            // The last advert of a master that yields at this moment begins nothing.
            if !sender.master && sender.left_just_now(at, tolerance) {
                return;
            }
        }
        let (priority, interval) = (advert.priority, advert.interval);
        let began = !sender.master;
        // Where time is real, the first advert of a master leaves later than its engine's word.
        let resumed =
            sender.state == Some(StateKind::Master) && plus(sender.state_since, slack) < at;
        let changed = sender.priority != priority || sender.advertised != interval;
        sender.master = true;
        sender.silent = false;
        sender.last = at;
        sender.silence = silence;
        (sender.priority, sender.rank) = (priority, priority);
        sender.advertised = interval;
        if began {
            let begins = sender.begins_anew(at, slack);
            let relearns = std::mem::replace(&mut sender.in_force, begins) != begins;
            sender.source = Some(advert.src);
            let heard = self.routers[place.router].heard(place.member);
            self.freshen_sender(place);
            let source = advert.src;
            let what = What::MasterStarts { place, priority, source, interval, heard, resumed };
            self.push(at, host, what);
            if relearns {
                self.push(at, host, What::InForce(place, begins));
            }
        } else if changed {
            self.push(at, host, What::Advertises { place, priority, interval });
        }
    }

    fn delivered(&mut self, at: WorldTime, host: HostId, advert: &SeenAdvert) {
        let Some(sender) = advert.sender else {
            self.injected(at, host, advert);
            return;
        };
        let Some(router) = self.router(advert.router) else { return };
        let members = &mut self.routers[router];
        let Some(from) = members.member(sender) else { return };
        let Some(to) = members.member(host).filter(|to| members.members[*to].present) else {
            self.stranger(at, host, Place { router, member: from }, advert);
            return;
        };
        let ear = &mut members.ears[to][from];
        let plain = !ear.special
            && !members.members[to].master
            && at.0 - ear.last.0 <= ear.longest
            && advert.priority == ear.priority
            && advert.interval == ear.interval;
        if plain {
            ear.last = at;
        } else {
            self.heard_otherwise(at, Pair { router, receiver: to, sender: from }, advert);
        }
    }

    /// An advert of somebody who runs no engine: who discards it learns nothing of it.
    #[inline(never)]
    fn injected(&mut self, at: WorldTime, host: HostId, advert: &SeenAdvert) {
        let injection = self.injection_of(advert);
        self.push(at, host, What::Injected(*advert, injection.clone()));
        let Some(router) = self.router(advert.router) else { return };
        let members = &mut self.routers[router];
        let Some(member) = members.member(host) else { return };
        let receiver = &members.members[member];
        let takes =
            mismatch::takes(advert, injection.as_deref(), receiver.source, &receiver.config);
        let learns = takes.then(|| members.learns(member, advert)).flatten();
        if takes && advert.priority > 0 {
            members.members[member].forged = Some((advert.src, advert.interval));
        }
        if let Some(interval) = learns {
            self.push(at, host, What::InForce(Place { router, member }, interval));
        }
    }

    #[inline(never)]
    fn heard_otherwise(&mut self, at: WorldTime, pair: Pair, advert: &SeenAdvert) {
        let Self { routers, queue, .. } = self;
        let router = &mut routers[pair.router];
        let host = router.members[pair.receiver].host;
        let in_master = router.members[pair.receiver].master;
        let ear = &mut router.ears[pair.receiver][pair.sender];
        let mut push = |what| queue.push_back(Change { at, host, what });
        if advert.priority == 0 {
            ear.resigned = Some(advert.packet);
            ear.special = true;
            if in_master {
                push(What::HeardInMaster(pair));
            }
        } else if ear.resigned.is_some_and(|resigned| advert.packet < resigned) {
            push(What::Overtaken(pair));
        } else {
            let gap = since(at, ear.last);
            let of_before = ear.read_file_after.is_some_and(|last| advert.packet <= last);
            if ear.fresh || !ear.ever {
                ear.longest = 0;
                push(What::Heard { pair, priority: advert.priority, of_before });
            } else if !in_master {
                push(What::Gap { pair, gap, lost: ear.lost });
                // Every unusually long one is looked at, not only the longest.
                if whole_nanos(gap) <= whole_nanos(advert.interval) * 3 / 2 {
                    ear.longest = ear.longest.max(whole_nanos(gap));
                }
            }
            *ear = Ear {
                last: at,
                ever: true,
                priority: advert.priority,
                interval: advert.interval,
                longest: ear.longest,
                // What it sends with its file of now is news as well.
                fresh: of_before,
                special: of_before,
                read_file_after: ear.read_file_after.filter(|_| of_before),
                ..Ear::default()
            };
            if in_master {
                push(What::HeardInMaster(pair));
            }
            if let Some(interval) = router.learns(pair.receiver, advert) {
                let member = pair.receiver;
                push(What::InForce(Place { router: pair.router, member }, interval));
            }
        }
    }

    fn lost(&mut self, at: WorldTime, host: HostId, advert: &SeenAdvert, reason: LossReason) {
        match reason {
            LossReason::Cut | LossReason::LinkDown | LossReason::PoweredOff => return,
            LossReason::Lost | LossReason::Corrupted => {}
        }
        let Some(sender) = advert.sender else { return };
        let Some(index) = self.router(advert.router) else { return };
        let router = &mut self.routers[index];
        let (Some(sender), Some(receiver)) = (router.member(sender), router.member(host)) else {
            return;
        };
        let ear = &mut router.ears[receiver][sender];
        ear.lost += 1;
        ear.special = true;
        let pair = Pair { router: index, receiver, sender };
        let (run, resigns) = (ear.lost, advert.priority == 0);
        self.push(at, host, What::Lost { pair, run, resigns });
    }

    /// An advert of a virtual router that the receiver does not run: told once.
    #[inline(never)]
    fn stranger(&mut self, at: WorldTime, host: HostId, sender: Place, advert: &SeenAdvert) {
        let from = self.sender(sender).host;
        if self.strangers.insert((host, sender.router, from)) {
            self.push(at, host, What::Foreign { sender, source: advert.src });
        }
    }

    /// What the step says that injected it. Several may run at once, and look alike in all that is
    /// seen of an advert.
    fn injection_of(&self, advert: &SeenAdvert) -> Option<Arc<Injection>> {
        self.injections.get(advert.injection? as usize).map(Arc::clone)
    }
}

/// Silence, found late, and the order of what waits for it.
impl Listener {
    /// `2A` in the clock of a sender whose handler is late.
    fn silence_of(&self, interval: Duration) -> u64 {
        let twice = whole_nanos(interval) * 2;
        twice + twice * self.rate_error_ppb / 1_000_000_000 + whole_nanos(self.slack)
    }

    fn silence_one(&mut self, place: Place, now: WorldTime) {
        let sender = self.sender(place);
        if !sender.master || now.0 - sender.last.0 <= sender.silence {
            return;
        }
        let (host, last) = (sender.host, sender.last);
        let claims = sender.state == Some(StateKind::Master) && sender.state_since <= last;
        let free = sender.free_since.is_some_and(|free| free <= last);
        sender.master = false;
        sender.silent = sender.state == Some(StateKind::Master);
        self.push_late(last, host, What::MasterEnds(place, Ending::Silent));
        if claims && free {
            let text = "its engine says master and nothing is on the wire";
            self.push(now, host, What::Disagreement { place, text });
        }
    }

    fn silence_all(&mut self, now: WorldTime) {
        for router in 0..self.routers.len() {
            for member in 0..self.routers[router].members.len() {
                self.silence_one(Place { router, member }, now);
            }
        }
    }

    /// An advert of a router that does not say it is master must be explained at once: it becomes
    /// master or it yields at that moment.
    fn check_explained(&mut self, place: Place, now: WorldTime, over: bool) {
        let (slack, tolerance) = (self.slack, self.tolerance);
        let sender = self.sender(place);
        let Some(odd) = sender.unexplained else { return };
        let left = sender.left_just_now(odd, tolerance);
        if matches!(sender.state, None | Some(StateKind::Master)) || left {
            sender.unexplained = None;
        } else if over || now > plus(odd, slack) {
            sender.unexplained = None;
            let host = sender.host;
            let text = "it advertises and its engine does not say master";
            self.push(now, host, What::Disagreement { place, text });
        }
    }

    fn find_brake(&mut self, now: WorldTime) {
        if let Some(brake) = self.brake {
            let sender = &self.routers[brake.place.router].members[brake.place.member];
            if sender.master && sender.last == brake.last && now <= brake.silent_at {
                return;
            }
        }
        self.find_another_brake(now);
    }

    #[inline(never)]
    fn find_another_brake(&mut self, now: WorldTime) {
        let mut brake: Option<Brake> = None;
        for router in 0..self.routers.len() {
            for member in 0..self.routers[router].members.len() {
                let place = Place { router, member };
                self.silence_one(place, now);
                let sender = self.sender(place);
                if sender.master && brake.is_none_or(|brake| sender.last < brake.last) {
                    let silent_at = WorldTime(sender.last.0.saturating_add(sender.silence));
                    brake = Some(Brake { place, last: sender.last, silent_at });
                }
            }
        }
        self.brake = brake;
    }

    /// After a change at this host its next adverts, and those that it hears, are news again.
    fn freshen(&mut self, host: HostId) {
        for router in 0..self.routers.len() {
            if let Some(member) = self.routers[router].member(host) {
                self.freshen_sender(Place { router, member });
                self.freshen_receiver(Place { router, member });
            }
        }
    }

    fn freshen_sender(&mut self, place: Place) {
        for ears in &mut self.routers[place.router].ears {
            ears[place.member].freshen();
        }
    }

    fn freshen_receiver(&mut self, place: Place) {
        for ear in &mut self.routers[place.router].ears[place.member] {
            ear.freshen();
        }
    }
}
