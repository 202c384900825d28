//! The runs of a rehearsal: each one fault of one class, drawn from a seed, over a pair's own
//! files. Which seeds are played, and what came of them, does not depend on the number of threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use vipd_scenarios::record::WorldTime;
use vipd_scenarios::runner;
use vipd_scenarios::scenario::{Scenario, Step};

use super::formula::{Bound, Symbols};
use super::meter::{Measure, Measured, Meter};
use crate::bare_files::Bare;
use crate::configurations::Configurations;
use crate::faults::{Classes, FaultClass, Ground, Plan, Schedule};
use crate::world::Simulation;

/// Seeds that are looked at for a fault that hits a director, before a run is left out.
const TRIES: u64 = 32;

/// Runs between two words about how many are done.
const STRIDE: u64 = 256;

/// Where it is played.
#[derive(Debug)]
pub struct Stage {
    scenario: Scenario,
    ground: Ground,
    configurations: Configurations,
    /// The symbols of the formulas for these files.
    pub symbols: Symbols,
    begin: Duration,
    length: Duration,
}

/// The worst of a class for one measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worst {
    /// How long it lasted.
    pub value: Duration,
    /// When it was over.
    pub at: WorldTime,
    /// How to see it again.
    pub seed: u64,
    /// How long the fault of that run was.
    pub fault: Duration,
    /// The bound for such a fault.
    pub bound: Option<Bound>,
}

impl Worst {
    /// Whether it is longer than its bound.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.bound.is_some_and(|bound| self.value > bound.of(self.fault))
    }

    /// How far beyond its bound, or else how long: the worse of two is the greater one.
    fn rank(&self) -> (bool, Duration, std::cmp::Reverse<u64>) {
        (self.is_beyond(), self.value, std::cmp::Reverse(self.seed))
    }
}

/// The worst of each measure, `None` where it did not happen.
pub type Worsts = [Option<Worst>; Measure::ALL.len()];

/// What came of a class.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Which.
    pub class: FaultClass,
    /// Why it does not apply.
    pub lacks: Option<&'static str>,
    /// How many runs.
    pub runs: u64,
    /// The worst of them.
    pub worst: Worsts,
}

impl Rehearsed {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        for (worst, more) in self.worst.iter_mut().zip(&other.worst) {
            if let Some(more) = more
                && worst.is_none_or(|known| more.rank() > known.rank())
            {
                *worst = Some(*more);
            }
        }
    }

    /// The run to show: the worst client gap, else the worst of what there is.
    #[must_use]
    pub fn shown(&self) -> Option<&Worst> {
        let order = [
            Measure::ClientGap,
            Measure::NoMaster,
            Measure::Failover,
            Measure::TwoMasters,
            Measure::TwoOwners,
        ];
        let mut all = order.iter().filter_map(|measure| self.worst[*measure as usize].as_ref());
        let beyond = self.worst.iter().flatten().find(|worst| worst.is_beyond());
        beyond.or_else(|| all.next())
    }
}

impl Stage {
    /// The stage for these files.
    #[must_use]
    pub fn new(bare: &Bare) -> Self {
        let ground = Ground::survey(&bare.scenario, &bare.configurations);
        let pace = &ground.pace;
        let waits = bare.files.iter().flat_map(|file| file.loaded.config.instances());
        let waits = waits.map(|instance| instance.preempt_delay).max().unwrap_or_default();
        let startup = bare.files.iter().map(|file| file.loaded.config.startup_delay()).max();
        let startup = startup.unwrap_or_default();
        let begin = pace.down + pace.longest * 2 + waits + startup;
        let length = begin + pace.down * 6 + pace.settle;
        let delay = bare.scenario.segments.iter().map(|one| one.conditions.delay).max();
        let probes = bare.scenario.hosts.iter().filter_map(|host| host.probe);
        let probe = probes.map(|probe| probe.every).max().unwrap_or_default();
        let symbols = Symbols::of(&ground, startup, delay.unwrap_or_default(), probe);
        let configurations = ground.with_variants(&bare.configurations);
        Self { scenario: bare.scenario.clone(), ground, configurations, symbols, begin, length }
    }

    /// Whether two files run one virtual router.
    #[must_use]
    pub const fn has_a_pair(&self) -> bool {
        !self.ground.pairs.is_empty()
    }

    /// Why a class does not apply to these files.
    #[must_use]
    pub fn lacks(&self, class: FaultClass) -> Option<&'static str> {
        self.ground.lacks(class)
    }

    /// Simulated time of a run.
    #[must_use]
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// The schedule of this seed: one fault of the class.
    #[must_use]
    pub fn schedule(&self, class: FaultClass, seed: u64) -> Schedule {
        let plan = Plan {
            length: self.length,
            begin: self.begin,
            classes: Classes::Exactly(vec![class]),
            faults: Some(1),
            core: false,
        };
        Schedule::draw(&self.ground, &plan, seed)
    }

    /// The scenario of this schedule.
    #[must_use]
    pub fn scenario(&self, class: FaultClass, schedule: &Schedule) -> Scenario {
        let title = format!("rehearsal of {}, seed {}", class.name(), schedule.seed);
        Scenario { title, ..schedule.over(&self.scenario) }
    }

    /// The world of such a scenario.
    #[must_use]
    pub fn world(&self, scenario: &Scenario) -> Simulation {
        Simulation::new(scenario, self.configurations.clone(), scenario.seed)
    }

    /// Plays `runs` of each class on so many threads; asks `stop` before each and tells `told` how
    /// many are done now and then.
    pub fn play(
        &self,
        classes: &[FaultClass],
        runs: u64,
        jobs: u64,
        stop: &(dyn Fn() -> bool + Sync),
        told: &mut dyn FnMut(u64),
    ) -> Vec<Rehearsed> {
        let empty = |class: &FaultClass| Rehearsed {
            class: *class,
            lacks: self.ground.lacks(*class),
            runs: 0,
            worst: [None; Measure::ALL.len()],
        };
        let empty: Vec<_> = classes.iter().map(empty).collect();
        let can: Vec<_> = empty.iter().enumerate().filter(|(_, one)| one.lacks.is_none()).collect();
        let can: Vec<usize> = can.into_iter().map(|(place, _)| place).collect();
        let (next, all) = (AtomicU64::new(0), can.len() as u64 * runs);
        let work = |sender: mpsc::Sender<u64>| {
            let mut found = empty.clone();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= all || stop() {
                    return found;
                }
                // Class by class within each number, so that an early end leaves all of them.
                let place = can[(index % can.len() as u64) as usize];
                let number = index / can.len() as u64;
                self.run(&mut found[place], number, runs);
                if index.is_multiple_of(STRIDE) {
                    // Nobody listens any more only if the rehearsal is over.
                    let _ = sender.send(index);
                }
            }
        };
        let mut whole = empty.clone();
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let start = |_| {
                let (sender, work) = (sender.clone(), &work);
                scope.spawn(move || work(sender))
            };
            let workers: Vec<_> = (0..jobs.max(1)).map(start).collect();
            drop(sender);
            receiver.iter().for_each(told);
            for worker in workers {
                let found = worker.join().expect("no run panics");
                whole.iter_mut().zip(&found).for_each(|(one, more)| one.add(more));
            }
        });
        whole
    }

    fn run(&self, found: &mut Rehearsed, number: u64, runs: u64) {
        let class = found.class;
        let seeds = (0..TRIES).map(|again| 1 + number + again * runs);
        let mut schedules = seeds.map(|seed| self.schedule(class, seed));
        let Some(schedule) = schedules.find(|schedule| self.hits(schedule)) else { return };
        let measured = self.measure(class, &schedule);
        let worst = self.beside_bounds(class, &schedule, measured);
        found.add(&Rehearsed { runs: 1, worst, ..found.clone() });
    }

    /// What one run brought, beside its bounds.
    #[must_use]
    pub fn beside_bounds(
        &self,
        class: FaultClass,
        schedule: &Schedule,
        measured: Measured,
    ) -> Worsts {
        let fault = length(schedule);
        let mut worst = [None; Measure::ALL.len()];
        for (measure, seen) in Measure::ALL.into_iter().zip(measured) {
            // Who was answered each time waited for the next probe only.
            let least = match measure {
                Measure::ClientGap => self.symbols.probe,
                _ => Duration::ZERO,
            };
            let seen = seen.filter(|(value, _)| *value > least);
            worst[measure as usize] = seen.map(|(value, at)| {
                let bound = self.symbols.bound(class, measure);
                Worst { value, at, seed: schedule.seed, fault, bound }
            });
        }
        worst
    }

    /// What one schedule brings.
    #[must_use]
    pub fn measure(&self, class: FaultClass, schedule: &Schedule) -> Measured {
        let scenario = self.scenario(class, schedule);
        let mut world = self.world(&scenario).untraced();
        let mut meter = self.meter(&scenario);
        runner::watch(&scenario, &mut world, &mut meter);
        meter.finish(scenario.until)
    }

    /// What measures a run of this scenario.
    #[must_use]
    pub fn meter(&self, scenario: &Scenario) -> Meter {
        Meter::new(scenario.hosts.len(), WorldTime(0).later(self.begin))
    }

    /// Whether a fault was drawn, and it is not one of a client's own machine or cable.
    #[must_use]
    pub fn hits(&self, schedule: &Schedule) -> bool {
        let is_director = |host| self.ground.directors.iter().any(|one| one.host == host);
        let steps = schedule.faults.iter().flat_map(|fault| &fault.steps);
        let first = steps.map(|timed| &timed.step).next();
        first.is_some_and(|step| match step {
            Step::Inject(_) => true,
            step => step.subject().is_none_or(is_director),
        })
    }
}

/// From the first step of a schedule's faults to the last one.
fn length(schedule: &Schedule) -> Duration {
    let times = schedule.faults.iter().flat_map(|fault| &fault.steps).map(|timed| timed.at);
    let (first, last) = (times.clone().min(), times.max());
    last.zip(first).map_or(Duration::ZERO, |(last, first)| last.since(first))
}
