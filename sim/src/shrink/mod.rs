//! `vipsim shrink`: from a scenario that fails to the smallest one that fails in the same way, as
//! a file: fewer steps and hosts, shorter times, rounder numbers.
//!
//! [`case`] plays and judges, [`minimise`] tries, `simpler` says what is simpler. This file is the
//! command: it reads, looks how it fails, and writes what is left. A violation that the file names
//! as expected stays expected; any other one is written as a property that must hold, so that the
//! file fails until what is wrong is mended.

pub mod case;
pub mod minimise;
mod simpler;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_scenarios::judge::{PropertyId, Verdict};
use vipd_scenarios::language::duration_text;
use vipd_scenarios::scenario::{Paths, Scenario, Step};

use crate::faults::{FaultClass, Ground, Plan, Schedule};
use crate::files::NamedFiles;
use crate::hunt::{self, Over};
use crate::output::Output;
use crate::run::Ended;
use case::{Case, Failure};
use minimise::{Finished, Minimiser};

/// Where files go that nobody named, if there is such a folder.
pub const REGRESSIONS: &str = "sim/regressions";

/// What to shrink and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// One scenario, or bare configuration files.
    pub over: Over,
    /// The property whose violation is kept; the first one that is violated if `None`.
    pub property: Option<PropertyId>,
    /// Seed of everything random; the scenario's own if `None`.
    pub seed: Option<u64>,
    /// The schedule of a seed of a hunt over these files, instead of the scenario's own steps.
    pub hunted: Option<Hunted>,
    /// Where to; `-` for standard output.
    pub out: Option<PathBuf>,
    /// Scenarios that are played at most.
    pub most_runs: u64,
    /// A line that is written over instead of one for each step forward.
    pub bar: bool,
    /// Colours on `err`.
    pub colour: Colour,
    /// Asked now and then: yes ends it, and the smallest one until then is written.
    pub stop: fn() -> bool,
}

/// A seed of a hunt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunted {
    /// Which one.
    pub seed: u64,
    /// How long each seed of that hunt was.
    pub length: Duration,
    /// The classes of faults that it was for; all of them if there is none.
    pub classes: Vec<FaultClass>,
}

/// Which way of failing the smaller case has to have: this property, or else the first one.
fn choose(
    failures: &[Failure],
    property: Option<PropertyId>,
    name: &str,
    err: &mut dyn Write,
) -> io::Result<Option<Failure>> {
    let named = |failure: &&Failure| match (property, failure) {
        (None, _) => true,
        (Some(wanted), Failure::Violates { id, .. }) => *id == wanted,
        (Some(_), Failure::Panics) => false,
    };
    let chosen = failures.iter().find(named).copied();
    if chosen.is_none() {
        let words: Vec<_> = failures.iter().map(|failure| failure.word()).collect();
        match property {
            Some(wanted) if words.is_empty() => {
                writeln!(err, "error: {name} does not violate {wanted}, or anything else")?;
            }
            Some(wanted) => {
                let others = words.join(", ");
                writeln!(err, "error: {name} does not violate {wanted}; it violates {others}")?;
            }
            None => writeln!(err, "error: {name} violates nothing: there is nothing to shrink")?,
        }
    }
    Ok(chosen)
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn shrink(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let Some(found) = read(request, err)? else { return Ok(Ended::Unusable) };
    let failures = found.case.failures(&request.stop);
    let name = found.case.scenario.name.clone();
    if failures.is_empty() && (request.stop)() {
        writeln!(err, "interrupted before {name} was played once: nothing is known of it")?;
        return Ok(Ended::Skipped);
    }
    let Some(failure) = choose(&failures, request.property, &name, err)? else {
        return Ok(Ended::Failed);
    };
    let target = Target::choose(request, &found.case.scenario, failure);
    // Whether it can be written is known before the work, not after it.
    let output = match target.open(found.files) {
        Ok(output) => output,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    writeln!(err, "{}: {}", failure.word(), size(&found.case.scenario))?;
    let bar = request.bar;
    let mut told = |case: &Case, runs: u64| {
        if bar {
            let _ = write!(err, "\r\x1b[K{}, {runs} played", size(&case.scenario));
            let _ = err.flush();
        }
    };
    let quiet = Silence::of_panics(failure);
    let mut minimiser =
        Minimiser::new(found.case, failure, request.most_runs, &request.stop, &mut told);
    let finished = minimiser.run();
    let Minimiser { mut case, runs, .. } = minimiser;
    drop(quiet);
    if bar {
        write!(err, "\r\x1b[K")?;
    }
    writeln!(err, "{}: {}, after {runs} runs", failure.word(), size(&case.scenario))?;
    match finished {
        Finished::Smallest => {}
        Finished::OutOfRuns => writeln!(err, "note: it may get smaller yet with more --runs")?,
        Finished::Stopped => writeln!(err, "note: interrupted; this is the smallest until then")?,
    }
    case.scenario.fault_classes = classes(&case.scenario);
    case.scenario.expectations.clear();
    case.scenario.properties = match failure {
        Failure::Violates { id, .. } => {
            let expected = found.expected.contains(&(id, Verdict::Violated));
            vec![(id, if expected { Verdict::Violated } else { Verdict::Held })]
        }
        Failure::Panics => Vec::new(),
    };
    let word = failure.word();
    case.scenario.title = format!("{word}, shrunk from {}", found.origin);
    write_out(&target, output, &case, &found.made_up, out, err)
}

/// What was read.
struct Found {
    case: Case,
    /// Where it is from, in words.
    origin: String,
    /// The verdicts that the scenario names.
    expected: Vec<(PropertyId, Verdict)>,
    /// Files that stand nowhere: where they would, and their text.
    made_up: Vec<(PathBuf, String)>,
    /// What was read.
    files: NamedFiles,
}

fn read(request: &Request, err: &mut dyn Write) -> io::Result<Option<Found>> {
    let Some((scenario, configurations)) = request.over.read(request.colour, err)? else {
        return Ok(None);
    };
    let files = request.over.files().reads("the configuration", configurations.paths());
    let expected = scenario.properties.clone();
    if let Some(Hunted { seed, length, classes }) = &request.hunted {
        let ground = Ground::survey(&scenario, &configurations);
        let bare = request.over.is_bare();
        if let Some(why) = hunt::refusal(&scenario.name, bare, &ground, *length, classes) {
            writeln!(err, "error: {why}")?;
            return Ok(None);
        }
        let schedule = Schedule::draw(&ground, &Plan::hunt(*length, classes), *seed);
        let made_up = ground.variants().map(|one| (one.path.clone(), one.text.clone())).collect();
        let names: Vec<_> = classes.iter().map(|class| class.name()).collect();
        let only = if names.is_empty() { "" } else { " for " };
        let name = &scenario.name;
        let origin = format!("seed {seed} of a hunt over {name}{only}{}", names.join(", "));
        let configurations = ground.with_variants(&configurations);
        let case = Case { scenario: schedule.over(&scenario), configurations };
        return Ok(Some(Found { case, origin, expected: Vec::new(), made_up, files }));
    }
    let seed = request.seed.unwrap_or(scenario.seed);
    let origin = format!("{} with seed {seed}", scenario.name);
    let case = Case { scenario: Scenario { seed, ..scenario }, configurations };
    Ok(Some(Found { case, origin, expected, made_up: Vec::new(), files }))
}

/// How large a scenario is: `3 steps, 2 hosts, 12s`.
fn size(scenario: &Scenario) -> String {
    let (steps, hosts) = (scenario.steps.len(), scenario.hosts.len());
    let until = duration_text(Duration::from_nanos(scenario.until.0));
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!("{steps} step{}, {hosts} host{}, {until}", plural(steps), plural(hosts))
}

/// The fault classes of docs/properties.md that these steps are of.
fn classes(scenario: &Scenario) -> Vec<u8> {
    let class = |step: &Step| match step {
        Step::PowerOff(_) => Some(1),
        Step::Kill(_) => Some(2),
        Step::Pause(_) => Some(3),
        Step::Freeze { .. } => Some(4),
        Step::Stop(_) => Some(5),
        Step::Reload { .. } => Some(6),
        Step::Cut(Paths::FromTo(..)) => Some(9),
        Step::Cut(_) => Some(7),
        Step::CutMulticast(_) => Some(11),
        Step::Lose { .. } => Some(12),
        Step::Conditions { .. } => Some(13),
        Step::Late { .. } | Step::KernelLate { .. } => Some(14),
        Step::ClockDrift { .. } | Step::WallClockJump { .. } => Some(15),
        Step::LinkDown { .. }
        | Step::LinkUp { .. }
        | Step::RemoveAddress { .. }
        | Step::RemoveEntry { .. }
        | Step::FlapVirtualMac { .. }
        | Step::KernelFails { .. } => Some(16),
        Step::Inject(_) => Some(18),
        Step::Tracker { .. } | Step::Server { .. } => Some(19),
        Step::Start(_)
        | Step::Resume(_)
        | Step::Thaw(_)
        | Step::PowerOn(_)
        | Step::Heal(_)
        | Step::Operator { .. } => None,
    };
    let mut classes: Vec<u8> =
        scenario.steps.iter().filter_map(|timed| class(&timed.step)).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Where the file goes.
#[derive(Debug)]
enum Target {
    Standard,
    /// Only one that was named may be written over.
    File {
        path: PathBuf,
        is_named: bool,
    },
}

impl Target {
    fn choose(request: &Request, scenario: &Scenario, failure: Failure) -> Self {
        match &request.out {
            Some(path) if path.as_os_str() == "-" => Self::Standard,
            Some(path) => Self::File { path: path.clone(), is_named: true },
            None => {
                let name = scenario.name.replace('/', "-");
                let hunted = request.hunted.as_ref().map(|hunted| hunted.seed);
                let seed = hunted.or(request.seed);
                let seed = seed.map_or_else(String::new, |seed| format!("-{seed}"));
                let file = format!("{name}-{}{seed}.toml", failure.word().to_lowercase());
                let folder = Path::new(REGRESSIONS);
                let path = if folder.is_dir() { folder.join(file) } else { PathBuf::from(file) };
                Self::File { path, is_named: false }
            }
        }
    }

    /// Opens it; none of the files that are read may be overwritten. `None` for standard output.
    fn open(&self, files: NamedFiles) -> Result<Option<Output>, String> {
        let Self::File { path, .. } = self else { return Ok(None) };
        files.writes("-o", Some(path)).check()?;
        let opened = if path.is_dir() {
            Err(format!("cannot write {}: it is a folder", path.display()))
        } else {
            Output::open(path)
        };
        opened.map(Some).map_err(|why| format!("{why}; name another file with -o"))
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Standard => Path::new(""),
            Self::File { path, .. } => path.parent().unwrap_or(Path::new("")),
        }
    }
}

/// Writes the case; where that does not work it is printed, so that nothing is lost.
fn write_out(
    target: &Target,
    output: Option<Output>,
    case: &Case,
    made_up: &[(PathBuf, String)],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Ended> {
    let mut scenario = case.scenario.clone();
    let named = |step: &Step| match step {
        Step::Reload { config, .. } => made_up.iter().find(|(path, _)| path == config),
        _ => None,
    };
    let files: Vec<_> = made_up
        .iter()
        .filter(|file| {
            scenario.steps.iter().filter_map(|one| named(&one.step)).any(|it| it == *file)
        })
        .map(|(path, text)| (target.folder().join(path.file_name().unwrap_or_default()), text))
        .collect();
    for timed in &mut scenario.steps {
        if let Some((path, _)) = named(&timed.step) {
            let beside = target.folder().join(path.file_name().unwrap_or_default());
            let mut moved = (**timed).clone();
            if let Step::Reload { config, .. } = &mut moved.step {
                *config = beside;
            }
            *timed = moved.into();
        }
    }
    let text = scenario.to_toml(target.folder());
    let (Target::File { path, is_named }, Some(output)) = (target, output) else {
        out.write_all(text.as_bytes())?;
        for (path, text) in &files {
            writeln!(err, "note: {} would be:\n{}", path.display(), text.trim_end())?;
        }
        return Ok(Ended::Passed);
    };
    let kept = if *is_named { Ok(()) } else { is_to_be_written(path, &text).map(drop) };
    let beside = || files.iter().try_for_each(|(path, text)| write_beside(path, text));
    let written = kept.and_then(|()| beside()).and_then(|()| output.write(text.as_bytes()));
    if let Err(why) = written {
        writeln!(err, "error: {why}; here it is")?;
        out.write_all(text.as_bytes())?;
        return Ok(Ended::Unusable);
    }
    writeln!(out, "{}", path.display())?;
    if let Err(unreadable) = Scenario::load(path) {
        writeln!(err, "error: it cannot be read back\n{}", unreadable.render(Colour::Never))?;
        return Ok(Ended::Unusable);
    }
    Ok(Ended::Passed)
}

/// Writes a file that nobody named.
fn write_beside(path: &Path, text: &str) -> Result<(), String> {
    if is_to_be_written(path, text)? { Output::open(path)?.write(text.as_bytes()) } else { Ok(()) }
}

/// Whether a file that nobody named is not there yet. What is there already stays as it is.
fn is_to_be_written(path: &Path, text: &str) -> Result<bool, String> {
    match fs::read(path) {
        Ok(there) if there == text.as_bytes() => Ok(false),
        Ok(_) => Err(format!("cannot write {}: another file is there", path.display())),
        Err(_) => Ok(true),
    }
}

/// Keeps thousands of equal panics from the terminal while one is shrunk.
struct Silence(bool);

impl Silence {
    fn of_panics(failure: Failure) -> Self {
        let silent = failure == Failure::Panics;
        if silent {
            std::panic::set_hook(Box::new(|_| ()));
        }
        Self(silent)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if self.0 {
            drop(std::panic::take_hook());
        }
    }
}
