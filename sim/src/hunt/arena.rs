//! One seed, played: a schedule over a scenario, the whole world, the judge, and what was reached.

use std::hash::Hasher as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vipd_scenarios::judge::{Judge, PropertyReport};
use vipd_scenarios::record::{Observation, Recorder};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_scenarios::world::World as _;
use xxhash_rust::xxh3::Xxh3Default;

use super::reached::Reached;
use crate::configurations::Configurations;
use crate::faults::{FaultClass, Ground, Plan, Schedule};
use crate::world::Simulation;

/// What is hunted over, and how. Shared by all who hunt.
#[derive(Clone, Debug)]
pub struct Arena {
    scenario: Scenario,
    ground: Ground,
    configurations: Configurations,
    plan: Plan,
}

/// What came of one seed.
#[derive(Debug)]
pub struct Played {
    /// Which one.
    pub seed: u64,
    /// The class of each fault that was drawn.
    pub faults: Vec<FaultClass>,
    /// What the judge says, a report for each property; the words of a panic if there was one.
    pub judged: Result<Vec<PropertyReport>, String>,
    /// What was reached.
    pub reached: Reached,
    /// How many things came due.
    pub events: u64,
}

impl Arena {
    /// Schedules of this plan over the topology of a scenario.
    #[must_use]
    pub fn new(scenario: Scenario, configurations: &Configurations, plan: Plan) -> Self {
        let ground = Ground::survey(&scenario, configurations);
        let configurations = ground.with_variants(configurations);
        Self { scenario, ground, configurations, plan }
    }

    /// What can be hit.
    #[must_use]
    pub const fn ground(&self) -> &Ground {
        &self.ground
    }

    /// What is hunted over.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The schedule of a seed.
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Schedule {
        Schedule::draw(&self.ground, &self.plan, seed)
    }

    /// The world in which this scenario, a schedule's, is played.
    #[must_use]
    pub fn world(&self, scenario: &Scenario) -> Simulation {
        Simulation::new(scenario, self.configurations.clone(), scenario.seed)
    }

    /// 64 bits in hex: a hash over all that happens in short runs, one for each class of faults
    /// that applies, and over what the judge says of them. Programs that differ in it do not play
    /// or judge alike.
    #[must_use]
    pub fn behaviour(&self) -> String {
        let mut hash = Xxh3Default::new();
        let length = Plan::shortest(&self.ground) * 2;
        let can = |class: &FaultClass| self.ground.lacks(*class).is_none();
        for class in FaultClass::ALL.into_iter().filter(can) {
            let run = || {
                let plan = Plan::hunt(length, &[class]);
                let schedule = Schedule::draw(&self.ground, &plan, class.number().into());
                let scenario = schedule.over(&self.scenario);
                let mut world = self.world(&scenario);
                let mut judge = Judge::new(world.setting());
                runner::watch(&scenario, &mut world, &mut judge);
                format!("{:?}{:?}", world.trace(), judge.finish(scenario.until))
            };
            // The hunt itself tells of a panic.
            let text = catch_unwind(AssertUnwindSafe(run)).unwrap_or_default();
            hash.write(text.as_bytes());
        }
        format!("{:016x}", hash.finish())
    }

    /// Plays a seed. A panic is a finding like any other, also one while its schedule is drawn.
    #[must_use]
    pub fn play(&self, seed: u64) -> Played {
        self.play_unless(seed, &|| false).expect("nothing stops it")
    }

    /// The same; `None` if `stop` says yes before its end.
    #[must_use]
    pub fn play_unless(&self, seed: u64, stop: &dyn Fn() -> bool) -> Option<Played> {
        let mut faults = Vec::new();
        let run = || {
            let schedule = self.schedule(seed);
            faults.extend(schedule.faults.iter().map(|fault| fault.class));
            let scenario = schedule.over(&self.scenario);
            let mut world = self.world(&scenario).untraced();
            let judge = Judge::new(world.setting());
            let mut ears = Ears { judge, reached: Reached::new(scenario.hosts.len()) };
            if !runner::watch_unless(&scenario, &mut world, &mut ears, stop) {
                return None;
            }
            let Ears { judge, reached } = ears;
            Some((judge.finish(scenario.until), reached, world.events()))
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(ended) => ended.map(|(reports, reached, events)| Played {
                seed,
                faults,
                judged: Ok(reports),
                reached,
                events,
            }),
            Err(panic) => {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or(panic.downcast_ref::<&str>().copied());
                let judged = Err(words.unwrap_or("a panic without words").to_owned());
                let reached = Reached::new(0);
                Some(Played { seed, faults, judged, reached, events: 0 })
            }
        }
    }
}

/// Who listens to a run.
struct Ears {
    judge: Judge,
    reached: Reached,
}

impl Recorder for Ears {
    fn observe(&mut self, observation: &Observation) {
        self.judge.observe(observation);
        self.reached.observe(observation);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::html;
    use super::super::tally::{FORM, Hunted, PANIC, Tally};
    use super::*;
    use crate::run;

    #[test]
    fn a_panic_while_a_schedule_is_drawn_is_a_card_and_ends_no_hunt() {
        let pair = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/quiet/pair.toml");
        let read = run::read(&pair, vipd_config::diagnostics::Colour::Never, &mut Vec::new());
        let run::Read { scenario, configurations, .. } = read.expect("memory").expect("a pair");
        let plan = Plan::hunt(Duration::from_secs(180), &[FaultClass::Cut]);
        let mut arena = Arena::new(scenario, &configurations, plan);
        let played = arena.play(3);
        assert!(played.judged.is_ok() && played.faults.contains(&FaultClass::Cut));
        arena.ground.pairs = vec![(7, 8)];
        let hunted = Hunted {
            form: FORM,
            version: String::new(),
            scenario: "pair.toml".to_owned(),
            ground: String::new(),
            for_ns: 0,
            behaviour: String::new(),
        };
        let mut tally = Tally::new(&arena, hunted);
        tally.add(&arena.play(3));
        let panics = &tally.properties[PANIC];
        assert_eq!((panics.violated, panics.cards[0].seed), (1, 3));
        assert!(panics.cards[0].what.contains("index out of bounds"), "{}", panics.cards[0].what);
        assert!(html::html(&tally, &arena).contains("seed 3 ends in a panic"));
    }
}
