//! What each fault class does: one drawn fault as the language's own steps, with its end.
//!
//! A fault lasts a quarter of an interval at least, so that it is felt, and none lasts beyond the
//! end of phase 1. On one host one fault of its process or machine runs at a time, and one of its
//! configuration; everything else overlaps as it comes.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::TrackerValue;
use vipd_scenarios::record::{HostId, WorldTime};
use vipd_scenarios::scenario::{Conditions, Conduct, Paths, Step, TimedStep};

use super::schedule::timed;
use super::variants::Difference;
use super::{Director, FaultClass, Ground, spoof};
use crate::random::Random;

/// Times are multiples of this: as fine as any timer that matters, and still to be read.
const GRAIN: u64 = 10_000;

/// Draws the faults of one schedule.
pub(super) struct Draw<'a> {
    ground: &'a Ground,
    random: Random,
    quiet: WorldTime,
    limits: Limits,
    /// By host: until when its process or machine suffers something.
    hurt: Vec<WorldTime>,
    /// By host: until when another file is in place.
    altered: Vec<WorldTime>,
}

/// What holds for a whole run, because the bounds of the properties do.
struct Limits {
    lateness: Duration,
    drift: u64,
    delay: Duration,
}

impl Limits {
    fn draw(ground: &Ground, random: &mut Random) -> Self {
        let interval = ground.pace.shortest;
        // The properties are promised up to a fifth of the interval; one schedule of eight goes
        // beyond it.
        let delay = if random.below(8) == 0 { interval } else { interval / 5 };
        let lateness = interval / [200, 50, 20, 10][random.below(4) as usize];
        let drift = [20, 200, 2000, 20_000][random.below(4) as usize];
        Self { lateness, drift, delay }
    }
}

impl<'a> Draw<'a> {
    pub(super) fn new(ground: &'a Ground, mut random: Random, quiet: WorldTime) -> Self {
        let limits = Limits::draw(ground, &mut random);
        let never = vec![WorldTime(0); ground.hosts.len()];
        Self { ground, random, quiet, limits, hurt: never.clone(), altered: never }
    }

    pub(super) const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// A fault of this class that begins at `at`; `None` if nobody is free for it, or nothing of
    /// phase 1 is left.
    pub(super) fn fault(&mut self, class: FaultClass, at: WorldTime) -> Option<Vec<TimedStep>> {
        let until = self.end(at)?;
        match class {
            FaultClass::HostCrash => self.life(at, until, Step::PowerOff, Step::PowerOn),
            FaultClass::ProcessCrash => self.life(at, until, Step::Kill, Step::Start),
            FaultClass::Pause => self.life(at, until, Step::Pause, Step::Resume),
            FaultClass::Freeze => {
                let clock = self.coin();
                let freeze = |host| Step::Freeze { host, clock };
                self.life(at, until, freeze, Step::Thaw)
            }
            FaultClass::Stop => self.life(at, until, Step::Stop, Step::Start),
            FaultClass::MidElection => self.mid_election(at, until),
            FaultClass::Cut => {
                let paths = self.two_sides();
                Some(cut(at, until, Step::Cut, paths))
            }
            FaultClass::Isolation => {
                let host = self.any_host();
                let paths = Paths::Between(vec![host], self.others(&[host]));
                Some(cut(at, until, Step::Cut, paths))
            }
            FaultClass::OneWayCut => {
                let paths = self.one_way();
                Some(cut(at, until, Step::Cut, paths))
            }
            FaultClass::PartialCut => {
                let (a, b) = self.pair();
                Some(cut(at, until, Step::Cut, Paths::Between(vec![a], vec![b])))
            }
            FaultClass::MulticastLost => {
                let paths = self.some_paths();
                Some(cut(at, until, Step::CutMulticast, paths))
            }
            FaultClass::AdvertsLost => Some(self.adverts_lost(at)),
            FaultClass::RoughLink => self.rough_link(at, until),
            FaultClass::LateHandlers => {
                let host = self.director().host;
                let by = self.up_to(self.limits.lateness);
                let late = |by| Step::Late { host, by };
                Some(vec![timed(at, late(by)), timed(until, late(Duration::ZERO))])
            }
            FaultClass::Clock => Some(self.clock(at, until)),
            FaultClass::Carrier => Some(self.carrier(at, until)),
            FaultClass::Mismatch => self.mismatch(at, until),
            FaultClass::Spoof => self.spoof(at, until),
            FaultClass::Flaps => self.flaps(at, until),
            FaultClass::Upgrade => self.upgrade(at),
        }
    }

    pub(super) fn time_between(&mut self, from: WorldTime, until: WorldTime) -> WorldTime {
        let spread = until.since(from).as_nanos() as u64 / GRAIN;
        WorldTime(from.0 + self.random.below(spread.max(1)) * GRAIN)
    }
}

/// Chances.
impl<'a> Draw<'a> {
    fn coin(&mut self) -> bool {
        self.random.chance(500_000)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.random.below(many) == 0
    }

    /// A time of whole grains from one grain to `most`.
    fn up_to(&mut self, most: Duration) -> Duration {
        let grains = most.as_nanos() as u64 / GRAIN;
        Duration::from_nanos((1 + self.random.below(grains)) * GRAIN)
    }

    fn pick<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.random.below(items.len() as u64) as usize)
    }

    /// When a fault that begins at `at` ends: shorter than an interval, than an election, or long.
    fn end(&mut self, at: WorldTime) -> Option<WorldTime> {
        let pace = &self.ground.pace;
        let (least, most) = match self.random.below(3) {
            0 => (pace.shortest / 4, pace.longest),
            1 => (pace.longest, pace.down),
            _ => (pace.down, pace.down * 4),
        };
        let lasts = least + self.up_to(most.saturating_sub(least).max(Duration::from_nanos(GRAIN)));
        let until = at.later(lasts).min(self.quiet);
        (until.since(at) >= pace.shortest / 4).then_some(until)
    }
}

/// Who and where.
impl<'a> Draw<'a> {
    fn director(&mut self) -> &'a Director {
        let directors = &self.ground.directors;
        &directors[self.random.below(directors.len() as u64) as usize]
    }

    /// Mostly a director.
    fn any_host(&mut self) -> HostId {
        if self.one_in(8) {
            let hosts = &self.ground.hosts;
            return hosts[self.random.below(hosts.len() as u64) as usize];
        }
        self.director().host
    }

    /// A director whose process and machine are well at `at`; it is taken until `until`.
    fn free(&mut self, at: WorldTime, until: WorldTime) -> Option<&'a Director> {
        let ground = self.ground;
        let free = ground.directors.iter().filter(|one| self.hurt[usize::from(one.host.0)] < at);
        let free: Vec<_> = free.collect();
        let chosen = *self.pick(&free)?;
        self.hurt[usize::from(chosen.host.0)] = until;
        Some(chosen)
    }

    fn pair(&mut self) -> (HostId, HostId) {
        let ground = self.ground;
        let (a, b) = ground.pairs[self.random.below(ground.pairs.len() as u64) as usize];
        (ground.directors[a].host, ground.directors[b].host)
    }

    fn others(&self, hosts: &[HostId]) -> Vec<HostId> {
        self.ground.hosts.iter().copied().filter(|host| !hosts.contains(host)).collect()
    }

    /// Two directors apart, everybody else on either side.
    fn two_sides(&mut self) -> Paths {
        let (a, b) = self.pair();
        let (mut left, mut right) = (vec![a], vec![b]);
        for host in self.others(&[a, b]) {
            if self.coin() { left.push(host) } else { right.push(host) }
        }
        Paths::Between(left, right)
    }

    fn one_way(&mut self) -> Paths {
        let (a, b) = self.pair();
        match self.random.below(4) {
            0 => Paths::FromTo(vec![a], self.others(&[a])),
            1 => Paths::FromTo(self.others(&[a]), vec![a]),
            _ => Paths::FromTo(vec![a], vec![b]),
        }
    }

    fn some_paths(&mut self) -> Paths {
        let (a, b) = self.pair();
        match self.random.below(3) {
            0 => Paths::All,
            1 => Paths::Between(vec![a], vec![b]),
            _ => Paths::FromTo(vec![a], vec![b]),
        }
    }
}

/// The classes that are more than a step and its end.
impl<'a> Draw<'a> {
    fn life(
        &mut self,
        at: WorldTime,
        until: WorldTime,
        fault: impl Fn(HostId) -> Step,
        end: impl Fn(HostId) -> Step,
    ) -> Option<Vec<TimedStep>> {
        let host = self.free(at, until)?.host;
        Some(vec![timed(at, fault(host)), timed(until, end(host))])
    }

    /// An election is brought about, and while it runs another router is restarted or reloaded.
    fn mid_election(&mut self, at: WorldTime, until: WorldTime) -> Option<Vec<TimedStep>> {
        let first = self.free(at, until)?.host;
        let fault = if self.coin() { Step::Stop(first) } else { Step::Kill(first) };
        let mut steps = vec![timed(at, fault), timed(until, Step::Start(first))];
        let window = self.ground.pace.down.min(until.since(at));
        let then = at.later(self.up_to(window)).min(until);
        if self.coin() {
            let Some(second) = self.free(at, until) else { return Some(steps) };
            let started = then.later(self.up_to(self.ground.pace.shortest)).min(until);
            steps.push(timed(then, Step::Stop(second.host)));
            steps.push(timed(started, Step::Start(second.host)));
        } else {
            let second = self.director();
            let variant = second.variants.iter().find(|one| one.difference == Difference::Priority);
            let file = match variant {
                Some(variant) if self.takes_file(second, at, until) => variant.path.clone(),
                Some(_) | None => second.file.clone(),
            };
            steps.push(timed(then, reload(second.host, file)));
            steps.push(timed(until, reload(second.host, second.file.clone())));
        }
        steps.sort_by_key(|step| step.at);
        Some(steps)
    }

    /// Whether the director has its own file at `at`; another one is in place until `until`.
    fn takes_file(&mut self, director: &Director, at: WorldTime, until: WorldTime) -> bool {
        let altered = &mut self.altered[usize::from(director.host.0)];
        let free = *altered < at;
        if free {
            *altered = until;
        }
        free
    }

    fn adverts_lost(&mut self, at: WorldTime) -> Vec<TimedStep> {
        let most = if self.one_in(8) { 6 } else { 3 };
        let count = 1 + self.random.below(most) as u32;
        let paths = self.some_paths();
        let lose = |count| Step::Lose { paths: paths.clone(), count };
        vec![timed(at, lose(count)), timed(self.quiet, lose(0))]
    }

    fn rough_link(&mut self, at: WorldTime, until: WorldTime) -> Option<Vec<TimedStep>> {
        let usual = self.ground.conditions?;
        let most = self.limits.delay.saturating_sub(usual.delay);
        let delay = self.up_to(most / 2);
        let jitter = if self.coin() { self.up_to(most - delay) } else { Duration::ZERO };
        let mut share = |most: u64| {
            if self.random.chance(500_000) { self.random.below(most) as u32 } else { 0 }
        };
        let (duplicate_ppm, corrupt_ppm, loss_ppm) =
            (share(200_000), share(20_000), share(100_000));
        let reorder = self.coin();
        let rough = Conditions { delay, jitter, reorder, duplicate_ppm, corrupt_ppm, loss_ppm };
        let paths = self.some_paths();
        let on = |conditions| Step::Conditions { paths: paths.clone(), conditions };
        Some(vec![timed(at, on(rough)), timed(until, on(usual))])
    }

    fn clock(&mut self, at: WorldTime, until: WorldTime) -> Vec<TimedStep> {
        let host = self.director().host;
        if self.one_in(4) {
            let seconds = self.random.below(7200) as i64 - 3600;
            return vec![timed(at, Step::WallClockJump { host, seconds })];
        }
        let most = self.limits.drift;
        let ppm = self.random.below(2 * most + 1) as i32 - most as i32;
        let drift = |ppm| Step::ClockDrift { host, ppm };
        vec![timed(at, drift(ppm)), timed(until, drift(0))]
    }

    fn carrier(&mut self, at: WorldTime, until: WorldTime) -> Vec<TimedStep> {
        let director = self.director();
        let host = director.host;
        let macvlans = director.routers.iter().filter_map(|one| one.config.virtual_mac.as_ref());
        let macvlans: Vec<_> = macvlans.map(|one| Arc::from(one.interface.as_str())).collect();
        let all = director.routers.iter().flat_map(|one| &one.config.addresses);
        let addresses: Vec<_> = all.map(|address| address.address).collect();
        match (self.random.below(4), self.pick(&macvlans), self.pick(&addresses)) {
            (0, Some(interface), _) => {
                vec![timed(at, Step::FlapVirtualMac { host, interface: Arc::clone(interface) })]
            }
            (1, _, Some(address)) => {
                let times = 1 + self.random.below(6);
                let every = until.since(at) / times as u32;
                let step = Step::RemoveAddress { host, address: *address };
                let at = |time| at.later(every * time);
                (0..times as u32).map(|time| timed(at(time), step.clone())).collect()
            }
            _ => {
                let Some(interface) = self.pick(&director.interfaces) else { return Vec::new() };
                let down = Step::LinkDown { host, interface: Arc::clone(interface) };
                let up = Step::LinkUp { host, interface: Arc::clone(interface) };
                vec![timed(at, down), timed(until, up)]
            }
        }
    }

    fn mismatch(&mut self, at: WorldTime, until: WorldTime) -> Option<Vec<TimedStep>> {
        let director = self.director();
        let variants = director.variants.iter().filter(|one| one.difference.is_mismatch());
        let variants: Vec<_> = variants.collect();
        let variant = *self.pick(&variants)?;
        self.takes_file(director, at, until).then(|| {
            let host = director.host;
            vec![
                timed(at, reload(host, variant.path.clone())),
                timed(until, reload(host, director.file.clone())),
            ]
        })
    }

    fn spoof(&mut self, at: WorldTime, until: WorldTime) -> Option<Vec<TimedStep>> {
        let victim = self.director();
        let router = self.pick(&victim.routers)?;
        let injection = spoof::injection(self.ground, router, until.since(at), &mut self.random);
        Some(vec![timed(at, Step::Inject(Box::new(injection)))])
    }

    /// Something that is tracked goes down and up again and again, or a real server does.
    fn flaps(&mut self, at: WorldTime, until: WorldTime) -> Option<Vec<TimedStep>> {
        let tracking = self.ground.directors.iter().filter(|one| !one.trackers.is_empty());
        let tracking: Vec<_> = tracking.collect();
        let server = self.pick(&self.ground.real_servers).copied();
        let tracker = match self.pick(&tracking) {
            Some(director) => self.pick(&director.trackers).map(|name| (director.host, name)),
            None => None,
        };
        let by_tracker = server.is_none() || self.coin();
        if let Some((host, name)) = tracker.filter(|_| by_tracker) {
            let times = 1 + self.random.below(8) as u32;
            let half = until.since(at) / (times * 2);
            let set = |at, value| {
                let name = Arc::clone(name);
                timed(at, Step::Tracker { host, name, value })
            };
            let flap = |time: u32| {
                let down = set(at.later(half * (2 * time)), TrackerValue::Down);
                [down, set(at.later(half * (2 * time + 1)), TrackerValue::Up)]
            };
            return Some((0..times).flat_map(flap).collect());
        }
        let host = server?;
        let whole = until.since(at);
        let bad = match self.random.below(6) {
            0 => Conduct::Refuses,
            1 => Conduct::Silent,
            2 => Conduct::Hangs,
            3 => Conduct::Unreachable,
            _ => Conduct::Flaps { good: self.up_to(whole / 4), bad: self.up_to(whole / 4) },
        };
        let does = |conduct| Step::Server { host, conduct };
        Some(vec![timed(at, does(bad)), timed(until, does(Conduct::Answers))])
    }

    /// One router after the other goes to another version, and one after the other back.
    fn upgrade(&mut self, at: WorldTime) -> Option<Vec<TimedStep>> {
        let pace = self.ground.pace;
        let until = at.later(pace.down * 8).min(self.quiet);
        let (way, back) = (at, at.later(until.since(at) / 2));
        let mut steps = Vec::new();
        for director in &self.ground.directors {
            let mut variants = director.variants.iter();
            let variant = variants.find(|one| one.difference == Difference::Version);
            let Some(variant) = variant else { continue };
            if !self.takes_file(director, at, until) {
                continue;
            }
            let there = self.time_between(way, back);
            let again = self.time_between(back, until);
            steps.push(timed(there, reload(director.host, variant.path.clone())));
            steps.push(timed(again, reload(director.host, director.file.clone())));
        }
        steps.sort_by_key(|step| step.at);
        (!steps.is_empty()).then_some(steps)
    }
}

fn cut(
    at: WorldTime,
    until: WorldTime,
    fault: impl Fn(Paths) -> Step,
    paths: Paths,
) -> Vec<TimedStep> {
    vec![timed(at, fault(paths.clone())), timed(until, Step::Heal(paths))]
}

fn reload(host: HostId, config: std::path::PathBuf) -> Step {
    Step::Reload { host, config, refused: false }
}
