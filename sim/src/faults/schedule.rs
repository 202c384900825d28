//! A random schedule: which classes, how often, and the steps in their order.
//!
//! Swarm style: each seed has its own random subset of the classes, its own rates and its own
//! limits, so that rare pairs of faults meet and no class drowns the others.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::TrackerValue;
use vipd_scenarios::record::{HostId, WorldTime};
use vipd_scenarios::scenario::{Scenario, Step, TimedStep};

use super::draw::Draw;
use super::{FaultClass, Ground};
use crate::random::Random;

/// Most faults of one schedule.
const MOST_FAULTS: u32 = 64;

/// Which classes a schedule draws from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// Each seed has its own random subset of these that the ground has, at least one.
    Swarm(Vec<FaultClass>),
    /// All of these that the ground has, each time.
    Exactly(Vec<FaultClass>),
}

/// What is wanted of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Simulated time from the start to the end of phase 2. See [`Plan::shortest`].
    pub length: Duration,
    /// The first fault is not before this.
    pub begin: Duration,
    /// Which classes.
    pub classes: Classes,
    /// Exactly this many faults, as far as they fit in; a random number if `None`.
    pub faults: Option<u32>,
    /// Some hosts may stay away in phase 2, without power or cut off, so that L4 to L6 are due in
    /// what is left. Without it everybody comes back.
    pub core: bool,
}

impl Plan {
    /// A swarm over all classes for this long.
    #[must_use]
    pub fn swarm(length: Duration) -> Self {
        let classes = Classes::Swarm(FaultClass::ALL.to_vec());
        Self { length, begin: Duration::ZERO, classes, faults: None, core: true }
    }

    /// That of a hunt: a swarm over these classes, or over all if there are none.
    #[must_use]
    pub fn hunt(length: Duration, classes: &[FaultClass]) -> Self {
        let whole = Self::swarm(length);
        if classes.is_empty() {
            return whole;
        }
        Self { classes: Classes::Swarm(classes.to_vec()), ..whole }
    }

    /// The shortest run over this ground that has a phase 1 worth its name.
    #[must_use]
    pub fn shortest(ground: &Ground) -> Duration {
        ground.pace.settle + ground.pace.down * 4
    }
}

/// One fault: what is done, and what ends it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its class.
    pub class: FaultClass,
    /// In order of time; the last one ends it. Without it the others are what they were.
    pub steps: Vec<Arc<TimedStep>>,
}

/// A schedule of faults.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What it was drawn from, also the seed of the network's randomness.
    pub seed: u64,
    /// When the run ends.
    pub until: WorldTime,
    /// From when on no fault lasts: phase 2.
    pub quiet: WorldTime,
    /// The classes that it was drawn from.
    pub classes: Vec<FaultClass>,
    /// What must be so at the beginning: everything that is tracked is well.
    pub setup: Vec<Arc<TimedStep>>,
    /// In order of their first steps.
    pub faults: Vec<Fault>,
    /// At [`Schedule::quiet`], after the ends of faults: processes that are to run do, and whoever
    /// stays away goes.
    pub restore: Vec<Arc<TimedStep>>,
    /// Who stays away in phase 2.
    pub away: Vec<HostId>,
}

impl Schedule {
    /// The schedule of this seed.
    #[must_use]
    pub fn draw(ground: &Ground, plan: &Plan, seed: u64) -> Self {
        let mut random = Random::stream(seed, "fault schedule");
        let until = WorldTime(0).later(plan.length);
        let quiet = until.earlier(ground.pace.settle.min(plan.length / 2));
        let classes = subset(ground, &plan.classes, &mut random);
        let weights: Vec<_> = classes.iter().map(|_| 1 + random.below(4)).collect();
        let away = if plan.core { away(ground, &mut random) } else { Vec::new() };
        let begin = WorldTime(0).later(plan.begin);
        let faults = match plan.faults {
            Some(count) => count,
            None => count(ground, quiet.since(begin), &mut random),
        };
        let mut draw = Draw::new(ground, random, quiet);
        let mut times: Vec<_> = (0..faults).map(|_| draw.time_between(begin, quiet)).collect();
        times.sort_unstable();
        let faults = times.into_iter().filter_map(|at| {
            let class = *weighted(&classes, &weights, draw.random())?;
            let steps = draw.fault(class, at)?;
            Some(Fault { class, steps: steps.into_iter().map(Arc::new).collect() })
        });
        let faults = faults.collect();
        let restore = restore(ground, quiet, &away, draw.random());
        Self { seed, until, quiet, classes, setup: setup(ground), faults, restore, away }
    }

    /// When the first fault begins.
    #[must_use]
    pub fn first_fault(&self) -> Option<WorldTime> {
        self.faults.iter().flat_map(|fault| &fault.steps).map(|timed| timed.at).min()
    }

    /// All steps, in order of time.
    #[must_use]
    pub fn steps(&self) -> Vec<Arc<TimedStep>> {
        let faults = self.faults.iter().flat_map(|fault| &fault.steps);
        let all = self.setup.iter().chain(faults).chain(&self.restore);
        let mut steps: Vec<_> = all.cloned().collect();
        steps.sort_by_key(|step| step.at);
        steps
    }

    /// The scenario's topology under this schedule, and nothing else of it: its own steps,
    /// expectations and properties are left out.
    #[must_use]
    pub fn over(&self, scenario: &Scenario) -> Scenario {
        let mut numbers: Vec<_> = self.faults.iter().map(|fault| fault.class.number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Scenario {
            name: scenario.name.clone(),
            title: format!("hunt, seed {}", self.seed),
            fault_classes: numbers,
            needs: scenario.needs.clone(),
            seed: self.seed,
            until: self.until,
            segments: scenario.segments.clone(),
            hosts: scenario.hosts.clone(),
            steps: self.steps(),
            expectations: Vec::new(),
            properties: Vec::new(),
        }
    }
}

/// A step of a schedule: it stands in no file.
pub(super) fn timed(at: WorldTime, step: Step) -> TimedStep {
    TimedStep { at, step, span: 0..0 }
}

fn subset(ground: &Ground, wanted: &Classes, random: &mut Random) -> Vec<FaultClass> {
    let there = |classes: &[FaultClass]| -> Vec<FaultClass> {
        classes.iter().copied().filter(|class| ground.lacks(*class).is_none()).collect()
    };
    match wanted {
        Classes::Exactly(classes) => there(classes),
        Classes::Swarm(classes) => {
            let mut all = there(classes);
            let share = [125_000, 250_000, 500_000][random.below(3) as usize];
            let last = all.pop();
            all.retain(|_| random.chance(share));
            if let Some(last) = last
                && (all.is_empty() || random.chance(share))
            {
                all.push(last);
            }
            all
        }
    }
}

/// How many faults: about one each 4 to 120 intervals, the same share of seeds for each half.
fn count(ground: &Ground, time: Duration, random: &mut Random) -> u32 {
    let octave = 1 << random.below(5);
    let gap = ground.pace.longest * (4 * octave) + times_share(ground.pace.longest * 4, random);
    let most = time.as_nanos() / gap.as_nanos().max(1);
    u32::try_from(most).unwrap_or(u32::MAX).clamp(1, MOST_FAULTS)
}

fn times_share(most: Duration, random: &mut Random) -> Duration {
    Duration::from_nanos(random.up_to(most))
}

fn weighted<'a, T>(items: &'a [T], weights: &[u64], random: &mut Random) -> Option<&'a T> {
    let mut at = random.below(weights.iter().sum());
    for (item, weight) in items.iter().zip(weights) {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return Some(item),
        }
    }
    None
}

/// In one schedule of four some directors stay away, never all of them.
fn away(ground: &Ground, random: &mut Random) -> Vec<HostId> {
    if ground.directors.len() < 2 || !random.chance(250_000) {
        return Vec::new();
    }
    let stays = random.below(ground.directors.len() as u64) as usize;
    let others = ground.directors.iter().enumerate().filter(|(place, _)| *place != stays);
    others.filter(|_| random.chance(500_000)).map(|(_, director)| director.host).collect()
}

fn setup(ground: &Ground) -> Vec<Arc<TimedStep>> {
    let up = |host, name: &Arc<str>| {
        let step = Step::Tracker { host, name: Arc::clone(name), value: TrackerValue::Up };
        Arc::new(timed(WorldTime(0), step))
    };
    let directors = ground.directors.iter();
    directors.flat_map(|one| one.trackers.iter().map(|name| up(one.host, name))).collect()
}

fn restore(
    ground: &Ground,
    quiet: WorldTime,
    away: &[HostId],
    random: &mut Random,
) -> Vec<Arc<TimedStep>> {
    let step = |director: &super::Director| {
        let host = director.host;
        if !away.contains(&host) {
            Step::Start(host)
        } else if random.chance(500_000) {
            Step::PowerOff(host)
        } else {
            let others = ground.hosts.iter().copied().filter(|other| *other != host);
            Step::Cut(vipd_scenarios::scenario::Paths::Between(vec![host], others.collect()))
        }
    };
    let steps = ground.directors.iter().map(step);
    steps.map(|step| Arc::new(timed(quiet, step))).collect()
}
