//! Delta debugging: simpler and simpler cases that fail in the same way, until none is left.
//!
//! Everything is tried in one order that depends on the case alone, so the same case shrinks to
//! the same case on every machine.

use std::sync::Arc;
use std::time::Duration;

use vipd_scenarios::record::{HostId, WorldTime};
use vipd_scenarios::scenario::{Scenario, Step, TimedStep};

use super::case::{Case, Failure};
use super::simpler;

/// A case on its way.
pub struct Minimiser<'a> {
    /// The simplest one that fails.
    pub case: Case,
    failure: Failure,
    /// How many were played.
    pub runs: u64,
    most_runs: u64,
    stop: &'a dyn Fn() -> bool,
    told: &'a mut dyn FnMut(&Case, u64),
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Nothing simpler fails.
    Smallest,
    /// So many were played.
    OutOfRuns,
    /// It was told to.
    Stopped,
}

impl<'a> Minimiser<'a> {
    /// A case that fails in this way. `told` hears of each simpler one.
    pub fn new(
        case: Case,
        failure: Failure,
        most_runs: u64,
        stop: &'a dyn Fn() -> bool,
        told: &'a mut dyn FnMut(&Case, u64),
    ) -> Self {
        Self { case, failure, runs: 0, most_runs, stop, told }
    }

    /// Shrinks it as far as it goes.
    pub fn run(&mut self) -> Finished {
        loop {
            let changed = [
                self.end_earlier(),
                self.drop_steps(),
                self.drop_hosts(),
                self.forget_clients(),
                self.calm_segments(),
                self.take_seed_1(),
                self.bring_steps_nearer(),
                self.simplify_steps(),
            ];
            if !changed.contains(&true) {
                break;
            }
        }
        // Last, and once: a rounder time may be a later one, which could be brought nearer again.
        self.round_times();
        self.ends().unwrap_or(Finished::Smallest)
    }

    fn ends(&self) -> Option<Finished> {
        if (self.stop)() {
            Some(Finished::Stopped)
        } else if self.runs >= self.most_runs {
            Some(Finished::OutOfRuns)
        } else {
            None
        }
    }

    /// Takes this case if it fails, too.
    fn takes(&mut self, case: Case) -> bool {
        if self.ends().is_some() {
            return false;
        }
        self.runs += 1;
        let fails = case.fails(self.failure, self.stop);
        if fails {
            self.case = case;
            (self.told)(&self.case, self.runs);
        }
        fails
    }

    /// Takes the case with another scenario, the hosts being what they are.
    fn takes_scenario(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut case = self.case.clone();
        change(&mut case.scenario);
        self.takes(case)
    }

    fn steps(&self) -> &[Arc<TimedStep>] {
        &self.case.scenario.steps
    }

    /// The end, with the steps behind it left out.
    fn end_earlier(&mut self) -> bool {
        let mut changed = false;
        loop {
            let until = Duration::from_nanos(self.case.scenario.until.0);
            let earlier = simpler::times(until).into_iter().filter(|time| *time < until);
            let earlier: Vec<_> = earlier.filter(|time| !time.is_zero()).collect();
            let ends_at = |this: &mut Self, until: Duration| {
                let until = WorldTime(0).later(until);
                this.takes_scenario(|scenario| {
                    scenario.until = until;
                    scenario.steps.retain(|timed| timed.at <= until);
                })
            };
            if !earlier.into_iter().any(|until| ends_at(self, until)) {
                return changed;
            }
            changed = true;
        }
    }

    /// Zeller's ddmin: halves, quarters and so on are left out while it still fails.
    fn drop_steps(&mut self) -> bool {
        let mut changed = false;
        let mut portion = self.steps().len();
        while portion > 0 {
            let mut from = 0;
            while from < self.steps().len() {
                let until = (from + portion).min(self.steps().len());
                if self.takes_scenario(|scenario| drop(scenario.steps.drain(from..until))) {
                    changed = true;
                } else {
                    from = until;
                }
            }
            portion /= 2;
        }
        changed
    }

    fn drop_hosts(&mut self) -> bool {
        let mut changed = false;
        let mut place = self.case.scenario.hosts.len();
        while place > 0 {
            place -= 1;
            if let Some(case) = self.case.without_host(HostId(place as u16)) {
                changed |= self.takes(case);
            }
        }
        changed
    }

    fn forget_clients(&mut self) -> bool {
        let mut changed = false;
        for place in 0..self.case.scenario.hosts.len() {
            if self.case.scenario.hosts[place].probe.is_some() {
                changed |= self.takes_scenario(|scenario| scenario.hosts[place].probe = None);
            }
        }
        changed
    }

    fn calm_segments(&mut self) -> bool {
        let mut changed = false;
        for place in 0..self.case.scenario.segments.len() {
            loop {
                let now = self.case.scenario.segments[place].conditions;
                let calmer = simpler::conditions(now);
                let takes = |this: &mut Self, conditions| {
                    this.takes_scenario(|scenario| scenario.segments[place].conditions = conditions)
                };
                if !calmer.into_iter().any(|conditions| takes(self, conditions)) {
                    break;
                }
                changed = true;
            }
        }
        changed
    }

    fn take_seed_1(&mut self) -> bool {
        self.case.scenario.seed != 1 && self.takes_scenario(|scenario| scenario.seed = 1)
    }

    /// Less time before a step, what follows it coming sooner as well.
    fn bring_steps_nearer(&mut self) -> bool {
        let mut changed = false;
        for place in 0..self.steps().len() {
            loop {
                let steps = self.steps();
                let before = if place == 0 { WorldTime(0) } else { steps[place - 1].at };
                let gap = steps[place].at.since(before);
                let smaller = simpler::times(gap).into_iter().filter(|new| *new < gap);
                let smaller: Vec<_> = smaller.map(|new| gap - new).collect();
                let takes = |this: &mut Self, sooner: Duration| {
                    this.takes_scenario(|scenario| {
                        for timed in &mut scenario.steps[place..] {
                            *timed = at(timed, timed.at.earlier(sooner));
                        }
                        scenario.until = scenario.until.earlier(sooner);
                    })
                };
                if !smaller.into_iter().any(|sooner| takes(self, sooner)) {
                    break;
                }
                changed = true;
            }
        }
        changed
    }

    /// Rounder times of steps and of the end, each between its neighbours.
    fn round_times(&mut self) {
        for place in 0..=self.steps().len() {
            let steps = self.steps();
            let first = place.checked_sub(1).map_or(WorldTime(0), |before| steps[before].at);
            let (now, last) = match steps.get(place) {
                Some(timed) => {
                    let next = steps.get(place + 1).map(|timed| timed.at);
                    (timed.at, next.unwrap_or(self.case.scenario.until))
                }
                None => (self.case.scenario.until, WorldTime(u64::MAX)),
            };
            let rounder = simpler::numbers(now.0).into_iter().map(WorldTime);
            let rounder = rounder.filter(|at| (first..=last).contains(at));
            // An end at once would be none.
            let rounder: Vec<_> = rounder.filter(|at| at.0 > 0 || place < steps.len()).collect();
            let takes = |this: &mut Self, time: WorldTime| {
                this.takes_scenario(|scenario| match scenario.steps.get_mut(place) {
                    Some(timed) => *timed = at(timed, time),
                    None => scenario.until = time,
                })
            };
            rounder.into_iter().any(|time| takes(self, time));
        }
    }

    fn simplify_steps(&mut self) -> bool {
        let mut changed = false;
        for place in 0..self.steps().len() {
            loop {
                let now: &Step = &self.steps()[place].step;
                let takes = |this: &mut Self, step: Step| {
                    this.takes_scenario(|scenario| {
                        let at = scenario.steps[place].at;
                        scenario.steps[place] = Arc::new(TimedStep { at, step, span: 0..0 });
                    })
                };
                if !simpler::steps(now).into_iter().any(|step| takes(self, step)) {
                    break;
                }
                changed = true;
            }
        }
        changed
    }
}

fn at(timed: &TimedStep, at: WorldTime) -> Arc<TimedStep> {
    Arc::new(TimedStep { at, step: timed.step.clone(), span: 0..0 })
}
