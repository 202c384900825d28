//! A scenario that fails, and how it is told that a simpler one still does: it is played, and the
//! judge violates the same property.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use vipd_engine::Config;
use vipd_scenarios::judge::{Judge, PropertyId, PropertyReport, Verdict};
use vipd_scenarios::record::{HostId, SegmentId};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::{Host, Injection, Interface, Paths, Scenario, Step, TimedStep};
use vipd_scenarios::world::World as _;

use crate::configurations::Configurations;
use crate::world::Simulation;

/// In which way a case fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This property does not hold.
    Violates {
        /// Which.
        id: PropertyId,
        /// Each time for want of this one, which nothing provides.
        for_want_of: Option<PropertyId>,
    },
    /// The engine panics.
    Panics,
}

impl Failure {
    /// What fails, as a word: `S1`, `panic`.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Violates { id, .. } => id.to_string(),
            Self::Panics => "panic".to_owned(),
        }
    }
}

/// A scenario with everything that it takes to play it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is played, with its own seed.
    pub scenario: Scenario,
    /// What its hosts' files say.
    pub configurations: Configurations,
}

impl Case {
    /// Plays it; no report if `stop` says yes before its end.
    ///
    /// # Errors
    /// The engine panicked.
    pub fn play(&self, stop: &dyn Fn() -> bool) -> Result<Vec<PropertyReport>, Panicked> {
        let run = || {
            let Self { scenario, configurations } = self;
            let world = Simulation::new(scenario, configurations.clone(), scenario.seed);
            let mut world = world.untraced();
            let mut judge = Judge::new(world.setting());
            let whole = runner::watch_unless(scenario, &mut world, &mut judge, stop);
            if whole { judge.finish(scenario.until) } else { Vec::new() }
        };
        catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
    }

    /// In which ways it fails, those that nothing explains first; in none if `stop` says yes
    /// before its end.
    #[must_use]
    pub fn failures(&self, stop: &dyn Fn() -> bool) -> Vec<Failure> {
        let Ok(reports) = self.play(stop) else { return vec![Failure::Panics] };
        let violated = reports.iter().filter(|report| report.verdict == Verdict::Violated);
        let mut failures: Vec<_> = violated
            .map(|report| (report.for_want_of.is_some(), report.id, report.for_want_of))
            .collect();
        failures.sort_by_key(|(explained, id, _)| (*explained, *id));
        failures
            .into_iter()
            .map(|(_, id, for_want_of)| Failure::Violates { id, for_want_of })
            .collect()
    }

    /// Whether it fails in this way.
    #[must_use]
    pub fn fails(&self, failure: Failure, stop: &dyn Fn() -> bool) -> bool {
        self.failures(stop).contains(&failure)
    }

    /// The same without a host: its steps are gone, and nobody's paths lead to it.
    #[must_use]
    pub fn without_host(&self, gone: HostId) -> Option<Self> {
        let Scenario { hosts, steps, .. } = &self.scenario;
        if hosts.len() < 2 {
            return None;
        }
        let new_id = |host: HostId| match host.0.cmp(&gone.0) {
            std::cmp::Ordering::Less => Some(host),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(HostId(host.0 - 1)),
        };
        let mut hosts = hosts.clone();
        hosts.remove(usize::from(gone.0));
        let steps = steps.iter().filter_map(|timed| {
            let step = renumbered(&timed.step, &new_id)?;
            Some(Arc::new(TimedStep { at: timed.at, step, span: 0..0 }))
        });
        let steps = steps.collect();
        let mut configurations = Configurations::default();
        for (host, file, config) in self.files() {
            if let Some(host) = new_id(host) {
                configurations.insert(host, &file, config);
            }
        }
        let scenario = Scenario { hosts, steps, ..self.scenario.clone() };
        Some(Self { scenario, configurations }.without_empty_segments())
    }

    /// Every file that a host reads, and what it says.
    fn files(&self) -> Vec<(HostId, PathBuf, Arc<Config>)> {
        let hosts = self.scenario.hosts.iter().zip(0..);
        let started = hosts.filter_map(|(host, id)| Some((HostId(id), host.config.clone()?)));
        let steps = self.scenario.steps.iter();
        let reloaded = steps.filter_map(|timed| match &timed.step {
            Step::Reload { host, config, .. } => Some((*host, config.clone())),
            _ => None,
        });
        let all = started.chain(reloaded).filter_map(|(host, file)| {
            let config = Arc::clone(self.configurations.get(host, &file)?);
            Some((host, file, config))
        });
        all.collect()
    }

    /// The same without segments that nobody is plugged into.
    #[must_use]
    fn without_empty_segments(&self) -> Self {
        let Scenario { segments, hosts, steps, .. } = &self.scenario;
        let ports = || hosts.iter().flat_map(|host| &host.interfaces);
        let injected = |place: usize| {
            steps.iter().any(|timed| match &timed.step {
                Step::Inject(injection) => usize::from(injection.segment.0) == place,
                _ => false,
            })
        };
        let used = |place: &usize| {
            ports().any(|port| usize::from(port.segment.0) == *place) || injected(*place)
        };
        let kept: Vec<_> = (0..segments.len()).filter(used).collect();
        if kept.len() == segments.len() {
            return self.clone();
        }
        let new_id = |old: SegmentId| {
            let place = kept.iter().position(|kept| *kept == usize::from(old.0));
            place.map_or(old, |place| SegmentId(place as u16))
        };
        let plugged =
            |port: &Interface| Interface { segment: new_id(port.segment), ..port.clone() };
        let host = |host: &Host| Host {
            interfaces: host.interfaces.iter().map(plugged).collect(),
            ..host.clone()
        };
        let step = |timed: &Arc<TimedStep>| match &timed.step {
            Step::Inject(one) => {
                let one = Injection { segment: new_id(one.segment), ..(**one).clone() };
                let step = Step::Inject(Box::new(one));
                Arc::new(TimedStep { at: timed.at, step, span: 0..0 })
            }
            _ => Arc::clone(timed),
        };
        let scenario = Scenario {
            segments: kept.iter().map(|place| segments[*place].clone()).collect(),
            hosts: hosts.iter().map(host).collect(),
            steps: steps.iter().map(step).collect(),
            ..self.scenario.clone()
        };
        Self { scenario, configurations: self.configurations.clone() }
    }
}

/// The engine panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// The step where hosts have other numbers; `None` if it is about a host that is gone.
fn renumbered(step: &Step, new_id: &dyn Fn(HostId) -> Option<HostId>) -> Option<Step> {
    let mut step = step.clone();
    match &mut step {
        Step::Start(host)
        | Step::Stop(host)
        | Step::Kill(host)
        | Step::Pause(host)
        | Step::Resume(host)
        | Step::Freeze { host, .. }
        | Step::Thaw(host)
        | Step::PowerOff(host)
        | Step::PowerOn(host)
        | Step::LinkDown { host, .. }
        | Step::LinkUp { host, .. }
        | Step::RemoveAddress { host, .. }
        | Step::RemoveEntry { host, .. }
        | Step::Reload { host, .. }
        | Step::ClockDrift { host, .. }
        | Step::WallClockJump { host, .. }
        | Step::Late { host, .. }
        | Step::FlapVirtualMac { host, .. }
        | Step::Tracker { host, .. }
        | Step::Operator { host, .. }
        | Step::KernelFails { host, .. }
        | Step::Server { host, .. }
        | Step::KernelLate { host, .. } => *host = new_id(*host)?,
        Step::Cut(paths)
        | Step::CutMulticast(paths)
        | Step::Heal(paths)
        | Step::Lose { paths, .. }
        | Step::Conditions { paths, .. } => match paths {
            Paths::All => {}
            Paths::Between(left, right) | Paths::FromTo(left, right) => {
                for side in [left, right] {
                    *side = side.iter().filter_map(|host| new_id(*host)).collect();
                    if side.is_empty() {
                        return None;
                    }
                }
            }
        },
        Step::Inject(_) => {}
    }
    Some(step)
}
