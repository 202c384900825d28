//! The one runner: it plays a scenario's steps in any world and hears what is seen.
//!
//! A world that lacks a step skips the scenario in plain sight, before anything is done. Windows
//! are widened by the world's one tolerance; expectations are never edited.

use std::sync::Arc;

use crate::expect::{Met, Witness};
use crate::judge::{Judge, PropertyId, PropertyReport, Verdict};
use crate::record::{HostId, Observation, Recorder, Seen, WorldTime};
use crate::report::timeline::Timeline;
use crate::scenario::Scenario;
use crate::world::World;

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunVerdict {
    /// Every named property has the verdict that the scenario expects, every expectation is met.
    Pass,
    /// Something is not so.
    Fail,
    /// The world lacks a step.
    Skip,
}

impl RunVerdict {
    /// The name in reports: `pass`, `fail`, `skip`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// A property and the verdict that the scenario names for it, if it names one.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What the judge says.
    pub report: PropertyReport,
    /// What the scenario expects.
    pub expected: Option<Verdict>,
}

impl Judged {
    /// Whether the scenario is content with it.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.report.verdict)
    }
}

/// A run, told.
#[derive(Debug)]
pub struct Outcome {
    /// What came of it.
    pub verdict: RunVerdict,
    /// Why it was skipped: one reason for each step that the world lacks.
    pub skipped: Vec<String>,
    /// Every property, in the order of reports.
    pub properties: Vec<Judged>,
    /// Every expectation, in the order of the scenario.
    pub expectations: Vec<Met>,
    /// What happened.
    pub timeline: Timeline,
    /// The world's trace.
    pub trace: Option<u128>,
    /// When it ended.
    pub end: WorldTime,
    /// It was told to end before its time.
    pub interrupted: bool,
}

/// Plays `scenario` in `world` until its end or `until`. `also` hears everything too.
pub fn run(
    scenario: &Scenario,
    world: &mut dyn World,
    until: Option<WorldTime>,
    also: Option<&mut dyn Recorder>,
) -> Outcome {
    run_unless(scenario, world, until, also, &|| false)
}

/// As [`run`], and the world asks `stop` now and then: once it says yes, the run ends there and is
/// judged by what was seen so far.
pub fn run_unless(
    scenario: &Scenario,
    world: &mut dyn World,
    until: Option<WorldTime>,
    also: Option<&mut dyn Recorder>,
    stop: &dyn Fn() -> bool,
) -> Outcome {
    let end = until.unwrap_or(scenario.until);
    let skipped: Vec<_> =
        scenario.steps.iter().filter_map(|timed| world.supports(&timed.step).err()).collect();
    if !skipped.is_empty() {
        return skip(scenario, skipped);
    }
    let timeline = Timeline::new(scenario);
    let setting = world.setting();
    let unheard = setting.hosts.iter().any(|host| host.runs_vrrp && !host.speaks);
    let witness = Witness::new(&setting);
    let mut observers = Observers { judge: Judge::new(setting), witness, timeline, also };
    let reached = play(scenario, world, end, &mut observers, stop);
    let outcome = conclude(scenario, world, reached, unheard, observers);
    Outcome { interrupted: reached < end, ..outcome }
}

/// A scenario that was not played, for these reasons.
#[must_use]
pub fn skip(scenario: &Scenario, reasons: Vec<String>) -> Outcome {
    Outcome {
        verdict: RunVerdict::Skip,
        skipped: reasons,
        properties: Vec::new(),
        expectations: Vec::new(),
        timeline: Timeline::new(scenario),
        trace: None,
        end: WorldTime(0),
        interrupted: false,
    }
}

/// Plays `scenario` in `world` until its end and tells `record` what is seen: no timeline, no
/// expectations, no verdict. Every step must be one that the world supports.
pub fn watch(scenario: &Scenario, world: &mut dyn World, record: &mut dyn Recorder) {
    watch_unless(scenario, world, record, &|| false);
}

/// As [`watch`], unless `stop` says yes before the end. Whether it was played to its end.
pub fn watch_unless(
    scenario: &Scenario,
    world: &mut dyn World,
    record: &mut dyn Recorder,
    stop: &dyn Fn() -> bool,
) -> bool {
    play(scenario, world, scenario.until, record, stop) >= scenario.until
}

/// Plays until `end`, or until `stop` says yes. Returns when it ended.
fn play(
    scenario: &Scenario,
    world: &mut dyn World,
    end: WorldTime,
    record: &mut dyn Recorder,
    stop: &dyn Fn() -> bool,
) -> WorldTime {
    for timed in scenario.steps.iter().take_while(|timed| timed.at <= end) {
        let reached = world.advance(timed.at, record, stop);
        if reached < timed.at {
            return reached;
        }
        let host = timed.step.subject().unwrap_or(HostId(0));
        let seen = Seen::Step(Arc::clone(timed));
        record.observe(&Observation { at: timed.at, host, seen });
        world.apply(timed, record);
    }
    world.advance(end, record, stop)
}

fn conclude(
    scenario: &Scenario,
    world: &dyn World,
    end: WorldTime,
    unheard: bool,
    observers: Observers<'_>,
) -> Outcome {
    let Observers { judge, witness, timeline, .. } = observers;
    let names = |host: HostId| scenario.hosts[usize::from(host.0)].name.to_string();
    let expectations = witness.judge(&scenario.expectations, end, world.tolerance(), &names);
    let expected = |report: &PropertyReport| {
        let named = scenario.properties.iter().find(|(id, _)| *id == report.id);
        named.map(|(_, verdict)| *verdict)
    };
    let reports = judge.finish(end).into_iter();
    let judged = |report: PropertyReport| match report {
        report if unheard && report.id.needs_word() => {
            Judged { report: no_word(report.id), expected: None }
        }
        report => Judged { expected: expected(&report), report },
    };
    let properties: Vec<_> = reports.map(judged).collect();
    let passed = properties.iter().all(Judged::is_as_expected)
        && expectations.iter().all(|met| met.instead.is_none());
    Outcome {
        verdict: if passed { RunVerdict::Pass } else { RunVerdict::Fail },
        skipped: Vec::new(),
        properties,
        expectations,
        timeline,
        trace: world.trace(),
        end,
        interrupted: false,
    }
}

/// What cannot be judged without the engines' own word is said to be so, and does not decide.
fn no_word(id: PropertyId) -> PropertyReport {
    let reason = "rests on the engines' own word, which this world does not hear";
    PropertyReport {
        id,
        verdict: Verdict::NotExercised,
        bound: None,
        worst: None,
        reason: Some(reason.to_string()),
        for_want_of: None,
    }
}

/// Everybody who listens to a run.
struct Observers<'a> {
    judge: Judge,
    witness: Witness,
    timeline: Timeline,
    also: Option<&'a mut dyn Recorder>,
}

impl Recorder for Observers<'_> {
    fn observe(&mut self, observation: &Observation) {
        self.judge.observe(observation);
        self.witness.observe(observation);
        self.timeline.observe(observation);
        if let Some(also) = &mut self.also {
            also.observe(observation);
        }
    }
}
