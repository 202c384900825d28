//! The members of one virtual router as the wire column knows them.
//!
//! Only what [`super::Listener`] needs to tell a plain advert from one that changes something; what
//! the properties ask is in [`super::super::view`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{InstanceConfig, StateKind, Version};

use super::super::terms::{keeps_its_timer, plus};
use crate::record::{HostId, PacketId, RouterKey, SeenAdvert, WorldTime};

#[derive(Debug)]
pub(super) struct Router {
    pub(super) key: RouterKey,
    pub(super) members: Vec<Sender>,
    /// By host; hosts are few.
    pub(super) by_host: Vec<Option<usize>>,
    /// By receiver, then by sender.
    pub(super) ears: Vec<Vec<Ear>>,
}

/// A member as a sender, and the engine's own column beside it.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) host: HostId,
    pub(super) config: Arc<InstanceConfig>,
    pub(super) present: bool,
    /// Where its adverts come from, as far as that is known.
    pub(super) source: Option<IpAddr>,
    pub(super) master: bool,
    /// It is no master by silence alone: its engine has not left the state since.
    pub(super) silent: bool,
    pub(super) last: WorldTime,
    pub(super) silence: u64,
    pub(super) priority: u8,
    pub(super) advertised: Duration,
    pub(super) in_force: Duration,
    /// Or its own interval is, until the next advert that teaches one.
    pub(super) or_own: bool,
    /// What the last advert teaches that came while it was paused or frozen: it is read when it
    /// goes on, after what it does first.
    pub(super) waits: Option<Taught>,
    /// The priority that its engine goes by.
    pub(super) rank: u8,
    /// The last advert that somebody forged and it took: in whose name, and its interval.
    pub(super) forged: Option<(IpAddr, Duration)>,
    /// It says that it yielded to a lower router that does not hear it, and follows lower ones.
    pub(super) held_down: bool,
    pub(super) state: Option<StateKind>,
    pub(super) state_since: WorldTime,
    pub(super) paused: bool,
    pub(super) frozen: bool,
    /// Neither paused nor frozen, nor refused a send, since then; `None` while it is.
    pub(super) free_since: Option<WorldTime>,
    /// When a reload took the instance away from a master: its last word comes after that.
    pub(super) removed_at: Option<WorldTime>,
    /// When it last resigned.
    pub(super) resigned_at: Option<WorldTime>,
    /// An advert that the engine's column does not explain yet.
    pub(super) unexplained: Option<WorldTime>,
}

/// An advert that teaches its interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taught {
    src: IpAddr,
    priority: u8,
    pub(super) interval: Duration,
}

/// What one member heard of another one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ear {
    pub(super) last: WorldTime,
    pub(super) ever: bool,
    /// Anything below needs attention at the next delivery.
    pub(super) special: bool,
    pub(super) fresh: bool,
    pub(super) lost: u32,
    pub(super) resigned: Option<PacketId>,
    pub(super) priority: u8,
    pub(super) interval: Duration,
    pub(super) longest: u64,
    /// The last advert that left before the sender read another file.
    pub(super) read_file_after: Option<PacketId>,
}

impl Router {
    pub(super) fn member(&self, host: HostId) -> Option<usize> {
        *self.by_host.get(usize::from(host.0))?
    }

    pub(super) fn join(
        &mut self,
        host: HostId,
        config: &Arc<InstanceConfig>,
        source: Option<IpAddr>,
        (at, slack): (WorldTime, Duration),
    ) -> usize {
        let interval = config.interval.duration();
        if let Some(member) = self.member(host) {
            let sender = &mut self.members[member];
            let goes_on = sender.present && sender.state.is_some();
            let begins_anew = !goes_on || !keeps_its_timer(&sender.config, config);
            if !goes_on || sender.config.priority != config.priority {
                sender.rank = config.priority.get();
            }
            sender.config = Arc::clone(config);
            if begins_anew {
                sender.waits = sender.waits.filter(|taught| sender.follows(taught));
                (sender.in_force, sender.or_own) = (sender.begins_anew(at, slack), false);
            }
            sender.present = true;
            sender.source = source.or(sender.source);
            return member;
        }
        let member = self.members.len();
        let slot = usize::from(host.0);
        self.by_host.resize(self.by_host.len().max(slot + 1), None);
        self.by_host[slot] = Some(member);
        self.members.push(Sender {
            host,
            config: Arc::clone(config),
            present: true,
            source,
            master: false,
            silent: false,
            last: WorldTime(0),
            silence: 0,
            priority: config.priority.get(),
            advertised: interval,
            in_force: interval,
            or_own: false,
            waits: None,
            rank: config.priority.get(),
            forged: None,
            held_down: false,
            state: None,
            state_since: WorldTime(0),
            paused: false,
            frozen: false,
            free_since: Some(WorldTime(0)),
            removed_at: None,
            resigned_at: None,
            unexplained: None,
        });
        self.ears.push(Vec::new());
        for ears in &mut self.ears {
            ears.resize(member + 1, Ear { fresh: true, special: true, ..Ear::default() });
        }
        member
    }

    pub(super) fn heard(&self, receiver: usize) -> Vec<Option<(WorldTime, u8)>> {
        self.ears[receiver].iter().map(|ear| ear.ever.then_some((ear.last, ear.priority))).collect()
    }

    pub(super) fn forget_heard(&mut self, receiver: usize) {
        self.ears[receiver].fill(Ear { fresh: true, special: true, ..Ear::default() });
    }

    /// v3: the interval of the master that a backup follows is in force there (RFC 9568 6.4.2).
    pub(super) fn learns(&mut self, index: usize, advert: &SeenAdvert) -> Option<Duration> {
        let receiver = &mut self.members[index];
        let taught =
            Taught { src: advert.src, priority: advert.priority, interval: advert.interval };
        let learns = advert.priority > 0
            && receiver.config.version == Version::V3
            && advert.version == 3
            && receiver.follows(&taught)
            && !advert.interval.is_zero();
        if learns && (receiver.paused || receiver.frozen) {
            receiver.waits = Some(taught);
        }
        let unsure = learns && std::mem::take(&mut receiver.or_own);
        (unsure || (learns && receiver.in_force != advert.interval)).then(|| {
            receiver.in_force = advert.interval;
            // The next advert of anybody else may teach another interval.
            for ear in &mut self.ears[index] {
                ear.special = true;
            }
            advert.interval
        })
    }
}

impl Sender {
    /// Its process was paused, its machine frozen, or the reverse.
    pub(super) fn note_freedom(&mut self, at: WorldTime) {
        self.free_since = (!self.paused && !self.frozen).then_some(at);
    }

    /// What is in force as it begins anew, as master or backup or with another file: its own
    /// interval, or in v3 that of an advert that it is yet to read.
    pub(super) fn begins_anew(&mut self, at: WorldTime, slack: Duration) -> Duration {
        let reads = self.free_since.is_some_and(|free| at <= plus(free, slack));
        self.waits = self.waits.filter(|_| reads);
        let taught = self.waits.filter(|_| self.config.version == Version::V3);
        taught.map_or(self.config.interval.duration(), |taught| taught.interval)
    }

    /// Whether it follows who sent such an advert.
    fn follows(&self, taught: &Taught) -> bool {
        let config = &self.config;
        let patient = !config.preempt || !config.preempt_delay.is_zero() || self.held_down;
        if self.master {
            let greater = self.source.is_some_and(|source| taught.src > source);
            taught.priority > self.rank || (taught.priority == self.rank && greater)
        } else {
            patient || taught.priority >= config.priority.get()
        }
    }

    /// Whether it left the state Master at this moment, or where time is real so little before it
    /// that its word may have overtaken its last advert. A resignation is the last one.
    pub(super) fn left_just_now(&self, at: WorldTime, tolerance: Duration) -> bool {
        let resigned = self.resigned_at.is_some_and(|resigned| resigned >= self.state_since);
        self.state.is_some_and(|state| state != StateKind::Master)
            && !resigned
            && self.state_since <= at
            && at <= plus(self.state_since, tolerance)
    }
}

impl Ear {
    pub(super) const fn freshen(&mut self) {
        self.fresh = true;
        self.special = true;
    }
}
