//! `vipsim run`: reads a scenario and its configurations, plays it, prints what came of it.
//!
//! Results go to `out`, everything that is about the files to `err`. It reads the time of this
//! machine once before and once after the run, for `wall_seconds` alone.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_scenarios::record::{Recorder, WorldTime};
use vipd_scenarios::report::files::Files;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::Shown;
use vipd_scenarios::report::summary;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::Scenario;
use vipd_scenarios::world::World;

use crate::configurations::{Configurations, Findings};
use crate::files::NamedFiles;
use crate::output::{Output, Outputs};
use crate::world::Simulation;

/// How a run ended, as the exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// 0: every named property has the expected verdict, every expectation is met.
    Passed,
    /// 1: something is not so.
    Failed,
    /// 2: the scenario, a configuration or an output file cannot be used.
    Unusable,
    /// 3: a step that this world lacks, or a search that was not complete.
    Skipped,
}

impl Ended {
    /// The exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Unusable => 2,
            Self::Skipped => 3,
        }
    }
}

/// What to run and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The scenario file.
    pub file: PathBuf,
    /// Seed of everything random; the scenario's own if `None`.
    pub seed: Option<u64>,
    /// One JSON object instead of text.
    pub json: bool,
    /// Where to write a capture of every port.
    pub capture: Option<PathBuf>,
    /// Which files to write about the run.
    pub files: Files,
    /// End earlier or later than the scenario says.
    pub until: Option<Duration>,
    /// Colours on `err`.
    pub colour: Colour,
    /// Asked now and then: yes ends the run there, and what was found is printed.
    pub stop: fn() -> bool,
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn run(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let Some(read) = read(&request.file, request.colour, err)? else {
        return Ok(Ended::Unusable);
    };
    let capture = request.capture.as_deref();
    let used =
        NamedFiles::of_run(&request.file, &read.configurations, capture, &request.files).check();
    if let Err(why) = used {
        writeln!(err, "error: {why}")?;
        return Ok(Ended::Unusable);
    }
    let Read { scenario, configurations, notes } = read;
    // Whether they can be written is known before the work, not after it.
    let files = match Outputs::open(&request.files) {
        Ok(files) => files,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    let seed = request.seed.unwrap_or(scenario.seed);
    let mut world = Simulation::new(&scenario, configurations, seed);
    let mut captured = None;
    if let Some(path) = &request.capture {
        match begin_capture(path, &mut world, &scenario) {
            Ok(output) => captured = Some((path, output)),
            Err(why) => {
                writeln!(err, "error: {why}")?;
                return Ok(Ended::Unusable);
            }
        }
    }
    let until = request.until.map(|until| WorldTime(0).later(until));
    let began = Instant::now();
    let mut history = request.files.wanted().then(|| History::new(world.setting()));
    let also = history.as_mut().map(|history| history as &mut dyn Recorder);
    let outcome = runner::run_unless(&scenario, &mut world, until, also, &request.stop);
    let wall = began.elapsed();
    let mut unwritten = Vec::new();
    if let Some((path, output)) = captured {
        let whole = world.finish_capture().map_err(|error| no_capture(path, &error));
        unwritten.extend(whole.and_then(|()| output.keep()).err());
    }
    let told = Told { scenario: &scenario, seed, outcome: &outcome, wall, notes: &notes };
    let ended = told.print(world.events(), request.json, out)?;
    if let Some(history) = &history {
        let (label, seed) = ("simulated", Some(seed));
        let shown = Shown { label, scenario: &scenario, seed, outcome: &outcome, history };
        unwritten.extend(files.write(&shown));
    }
    said(ended, &unwritten, err)
}

/// Opens the capture of this world, and begins it.
fn begin_capture(
    path: &Path,
    world: &mut Simulation,
    scenario: &Scenario,
) -> Result<Output, String> {
    let output = Output::open(path)?;
    let begun = output.handle().and_then(|file| world.capture_to(scenario, BufWriter::new(file)));
    begun.map_err(|error| no_capture(path, &error))?;
    Ok(output)
}

/// What is said of a capture that cannot be written.
#[must_use]
pub fn no_capture(path: &Path, error: &io::Error) -> String {
    format!("cannot write the capture {}: {error}", path.display())
}

/// Says which files could not be written, after the verdict: it is not lost with them. A run that
/// passed has then ended as one whose output file cannot be used.
///
/// # Errors
/// Those of `err`.
pub fn said(ended: Ended, unwritten: &[String], err: &mut dyn Write) -> io::Result<Ended> {
    for message in unwritten {
        writeln!(err, "error: {message}")?;
    }
    Ok(match ended {
        Ended::Passed | Ended::Skipped if !unwritten.is_empty() => Ended::Unusable,
        Ended::Passed | Ended::Skipped | Ended::Failed | Ended::Unusable => ended,
    })
}

/// A scenario and the configurations that it names, read.
#[derive(Debug)]
pub struct Read {
    /// The scenario.
    pub scenario: Scenario,
    /// What each host's files say.
    pub configurations: Configurations,
    /// What is to be said of them and does no harm.
    pub notes: Vec<String>,
}

/// Reads a scenario and its configurations, and says on `err` what is to be said of them. `None`
/// if they cannot be used.
///
/// # Errors
/// Those of `err`.
pub fn read(file: &Path, colour: Colour, err: &mut dyn Write) -> io::Result<Option<Read>> {
    let scenario = match Scenario::load(file) {
        Ok(scenario) => scenario,
        Err(unreadable) => {
            writeln!(err, "{}", unreadable.render(colour).trim_end())?;
            return Ok(None);
        }
    };
    let (configurations, findings) = Configurations::load(&scenario);
    for text in findings.texts(colour) {
        writeln!(err, "{}", text.trim_end())?;
    }
    if findings.unusable {
        writeln!(err, "error: {} cannot be run with these configurations", scenario.name)?;
        return Ok(None);
    }
    let notes = findings.notes();
    Ok(Some(Read { scenario, configurations, notes }))
}

/// A run, to be printed.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What was played.
    pub scenario: &'a Scenario,
    /// With which seed.
    pub seed: u64,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// How long it took here.
    pub wall: Duration,
    /// What the reader of the configurations remarks.
    pub notes: &'a [String],
}

impl Told<'_> {
    /// Prints it, for people or for programs. `events` is how many things came due.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn print(self, events: u64, json: bool, out: &mut dyn Write) -> io::Result<Ended> {
        if json {
            writeln!(out, "{:#}", self.json(events))?;
        } else {
            out.write_all(self.text().as_bytes())?;
        }
        out.flush()?;
        Ok(self.ended())
    }

    /// How it ended.
    pub(crate) const fn ended(self) -> Ended {
        match self.outcome.verdict {
            // What is yet to come may fail.
            RunVerdict::Pass if self.outcome.interrupted => Ended::Skipped,
            RunVerdict::Pass => Ended::Passed,
            RunVerdict::Fail => Ended::Failed,
            RunVerdict::Skip => Ended::Skipped,
        }
    }

    /// For programs. `events` is how many things came due.
    pub(crate) fn json(self, events: u64) -> Value {
        let Self { scenario, seed, outcome, wall, notes } = self;
        summary::json(scenario, seed, outcome, wall, events, notes)
    }

    /// For people.
    pub(crate) fn text(self) -> String {
        let Self { scenario, seed, outcome, .. } = self;
        let mut text = String::new();
        // What a terminal would obey is none of a title.
        let title = scenario.title.replace(char::is_control, "\u{fffd}");
        let _ = writeln!(text, "{}: {title} (seed {seed})\n", scenario.name);
        text.push_str(&outcome.timeline.text());
        text.push_str(&summary::text(scenario, outcome));
        text
    }
}

impl Findings {
    /// Every report once: hosts may share a file.
    pub(crate) fn texts(&self, colour: Colour) -> Vec<String> {
        let mut texts: Vec<_> =
            self.mistakes.iter().map(|mistake| format!("error: {mistake}")).collect();
        for report in &self.reports {
            let text = report.render(colour);
            if !text.trim().is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// The notes of every file, each report once.
    fn notes(&self) -> Vec<String> {
        let mut shown = Vec::new();
        let mut notes = Vec::new();
        for report in &self.reports {
            let text = report.render(Colour::Never);
            if !shown.contains(&text) {
                notes.extend(report.notes());
                shown.push(text);
            }
        }
        notes
    }
}
