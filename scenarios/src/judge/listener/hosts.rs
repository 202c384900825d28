//! What the wire column takes from hosts: configurations, processes, machines, the engine's column.

use std::net::IpAddr;
use std::sync::Arc;

use vipd_engine::{Config, Event, InstanceConfig, News, StateKind, Version, Why};

use super::super::change::{Ending, Place, What};
use super::super::terms::source_of;
use super::Listener;
use super::members::Router;
use crate::record::{HostId, MachineChange, ProcessChange, RouterKey, Seen, SegmentId, WorldTime};

impl Listener {
    pub(super) fn configured(&mut self, at: WorldTime, host: HostId, config: &Arc<Config>) {
        let starts = (self.started.get(&host) == Some(&at)).then(|| config.startup_delay());
        let before = self.places_of(host);
        let mut now = Vec::new();
        for instance in config.instances() {
            let place = self.join(at, host, instance);
            now.push(place);
            let mut groups = config.groups().iter();
            let group = groups.find(|group| group.members.contains(&instance.name));
            let group = group.map(|group| group.name.clone());
            let config = Arc::clone(instance);
            self.push(at, host, What::Joined { place, config, group, starts });
            let (in_force, waits) = (self.sender(place).in_force, self.sender(place).waits);
            if waits.is_some_and(|taught| taught.interval == in_force) {
                self.sender(place).or_own = true;
                self.push(at, host, What::InForceOrOwn(place, in_force));
            }
        }
        for place in before.into_iter().filter(|place| !now.contains(place)) {
            self.sender(place).present = false;
            // One that comes back is another instance, as after a start.
            self.routers[place.router].forget_heard(place.member);
            let name = self.sender(place).config.name.clone();
            self.former.insert((host, name), place);
            if self.end_mastership(place) {
                self.sender(place).removed_at = Some(at);
                self.push(at, host, What::MasterEnds(place, Ending::Stopped));
            }
            self.push(at, host, What::Left(place));
        }
        self.strangers.retain(|(receiver, ..)| *receiver != host);
        self.freshen(host);
        for place in now {
            for ears in &mut self.routers[place.router].ears {
                ears[place.member].read_file_after = self.last_sent;
            }
        }
    }

    fn join(&mut self, at: WorldTime, host: HostId, instance: &Arc<InstanceConfig>) -> Place {
        let segment = self.segment_of(host, instance);
        let key = RouterKey { segment, family: instance.family, vrid: instance.vrid.get() };
        let router = *self.by_key.entry(key).or_insert_with(|| {
            let router = Router { key, members: vec![], by_host: vec![], ears: vec![] };
            self.routers.push(router);
            self.routers.len() - 1
        });
        let own = self.addresses.get(usize::from(host.0)).map_or(&[][..], |list| list);
        let source = source_of(own, segment, instance);
        let now = (at, self.slack);
        let member = self.routers[router].join(host, instance, source, now);
        let place = Place { router, member };
        self.names.insert((host, instance.name.clone()), place);
        place
    }

    /// Where the interface of an instance leads; the host's first segment if nobody said so.
    fn segment_of(&self, host: HostId, instance: &InstanceConfig) -> SegmentId {
        let interfaces = self.interfaces.get(usize::from(host.0)).map_or(&[][..], |list| list);
        let named = interfaces.iter().find(|(name, _)| **name == *instance.interface.as_str());
        named.or(interfaces.first()).map_or(SegmentId(0), |(_, segment)| *segment)
    }

    pub(super) fn engine(&mut self, at: WorldTime, host: HostId, event: &Event) {
        let Some(place) = self.place_of(host, event) else { return };
        let News::State { from, to, why } = &event.news else {
            if let News::SendRefused { .. } = event.news {
                self.sender(place).free_since = Some(at);
            }
            if let News::PriorityChanged { to, .. } = event.news {
                self.sender(place).rank = to.get();
            }
            if let News::HoldDownOver | News::Ordered(_) = event.news {
                self.sender(place).held_down = false;
            }
            self.push(at, host, What::News(place, event.news.clone()));
            return;
        };
        self.silence_one(place, at);
        self.check_explained(place, at, false);
        if *to != StateKind::Master {
            self.leave(place);
        }
        let slack = self.slack;
        let sender = self.sender(place);
        if *to == StateKind::Master && sender.unexplained == Some(at) {
            sender.unexplained = None;
        }
        sender.state = Some(*to);
        sender.state_since = at;
        sender.silent = false;
        let in_fault = [*from, *to].contains(&StateKind::Fault);
        sender.held_down = matches!(why, Why::OneWay { .. }) || (sender.held_down && in_fault);
        if *to == StateKind::Backup && *from != StateKind::Master {
            let begins = sender.begins_anew(at, slack);
            if std::mem::replace(&mut sender.in_force, begins) != begins {
                self.push(at, host, What::InForce(place, begins));
            }
        }
        if let Why::OneWay { peer, .. } = why {
            self.leaves_it_to(at, place, *peer);
        }
        self.freshen_receiver(place);
        self.push(at, host, What::State { place, from: *from, to: *to });
    }

    /// A master that yields to a lower one has that one's interval in force, in v3.
    fn leaves_it_to(&mut self, at: WorldTime, place: Place, rival: IpAddr) {
        let router = &mut self.routers[place.router];
        let known = router.members.iter().position(|member| member.source == Some(rival));
        let heard = known.map(|member| router.ears[place.member][member].interval);
        let sender = &mut router.members[place.member];
        let forged = sender.forged.filter(|(name, _)| *name == rival).map(|(_, interval)| interval);
        let interval = heard.max(forged).unwrap_or(sender.in_force);
        let learns = sender.config.version == Version::V3 && !interval.is_zero();
        if learns && std::mem::replace(&mut sender.in_force, interval) != interval {
            let host = sender.host;
            self.push(at, host, What::InForce(place, interval));
        }
    }

    /// Whose word this is. A VRID is what a virtual router is known by, and a new configuration may
    /// give its name to another one: who leaves speaks by the name that it had.
    fn place_of(&self, host: HostId, event: &Event) -> Option<Place> {
        let key = (host, event.instance.clone());
        let leaves = matches!(event.news, News::State { why: Why::Removed, .. });
        let former = self.former.get(&key).filter(|_| leaves);
        former.or_else(|| self.names.get(&key)).copied()
    }

    pub(super) fn process(&mut self, at: WorldTime, host: HostId, change: ProcessChange) {
        for place in self.places_of(host) {
            self.silence_one(place, at);
            if matches!(change, ProcessChange::Killed | ProcessChange::Paused) {
                self.tell_last_advert(at, place);
            }
            let ending = match change {
                ProcessChange::Killed => Some(Ending::Crashed),
                ProcessChange::Stopped => Some(Ending::Stopped),
                ProcessChange::Started
                | ProcessChange::Stopping
                | ProcessChange::Paused
                | ProcessChange::Resumed => None,
            };
            if let Some(ending) = ending {
                self.process_ends(at, place, ending);
            }
            let sender = self.sender(place);
            match change {
                ProcessChange::Paused => sender.paused = true,
                ProcessChange::Resumed => sender.paused = false,
                ProcessChange::Started => {
                    sender.paused = false;
                    self.routers[place.router].forget_heard(place.member);
                }
                ProcessChange::Stopping | ProcessChange::Stopped | ProcessChange::Killed => {}
            }
            self.sender(place).note_freedom(at);
        }
        if change == ProcessChange::Started {
            self.started.insert(host, at);
        }
        self.freshen(host);
        self.push(at, host, What::Seen(Seen::Process(change)));
    }

    pub(super) fn machine(&mut self, at: WorldTime, host: HostId, change: MachineChange) {
        for place in self.places_of(host) {
            self.silence_one(place, at);
            if let MachineChange::Frozen { .. } = change {
                self.tell_last_advert(at, place);
            }
            match change {
                MachineChange::Off => self.process_ends(at, place, Ending::Crashed),
                MachineChange::Frozen { .. } => self.sender(place).frozen = true,
                MachineChange::Thawed => self.sender(place).frozen = false,
                MachineChange::On => self.sender(place).frozen = false,
            }
            self.sender(place).note_freedom(at);
        }
        self.freshen(host);
        self.push(at, host, What::Seen(Seen::Machine(change)));
    }

    fn tell_last_advert(&mut self, at: WorldTime, place: Place) {
        let sender = self.sender(place);
        let (host, last) = (sender.host, sender.last);
        if sender.master && sender.config.dead_man.is_some() {
            self.push(at, host, What::LastAdvert(place, last));
        }
    }

    /// The engine says that it left: the last advert was the last one. Should it advertise all the
    /// same, the columns disagree.
    fn leave(&mut self, place: Place) {
        if self.end_mastership(place) {
            let (host, last) = (self.sender(place).host, self.sender(place).last);
            self.push_late(last, host, What::MasterEnds(place, Ending::Silent));
        }
    }

    fn process_ends(&mut self, at: WorldTime, place: Place, ending: Ending) {
        self.check_explained(place, at, false);
        let host = self.sender(place).host;
        if self.end_mastership(place) {
            self.push(at, host, What::MasterEnds(place, ending));
        }
        let sender = self.sender(place);
        sender.state = None;
        sender.silent = false;
        sender.unexplained = None;
        sender.waits = None;
    }

    pub(super) fn end_mastership(&mut self, place: Place) -> bool {
        std::mem::take(&mut self.sender(place).master)
    }
}
