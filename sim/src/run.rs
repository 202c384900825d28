//! `vipsim run`: reads a scenario and its configurations, plays it, prints what came of it.
//!
//! Results go to `out`, everything that is about the files to `err`. It reads the time of this
//! machine once before and once after the run, for `wall_seconds` alone.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vipd_config::diagnostics::Colour;
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::report::summary;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::Scenario;

use crate::configurations::{Configurations, Findings};
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
    /// 3: a step that this world lacks.
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
    let scenario = match Scenario::load(&request.file) {
        Ok(scenario) => scenario,
        Err(unreadable) => {
            writeln!(err, "{}", unreadable.render(request.colour).trim_end())?;
            return Ok(Ended::Unusable);
        }
    };
    let (configurations, findings) = Configurations::load(&scenario);
    for text in findings.texts(request.colour) {
        writeln!(err, "{}", text.trim_end())?;
    }
    if findings.unusable {
        writeln!(err, "error: {} cannot be run with these configurations", scenario.name)?;
        return Ok(Ended::Unusable);
    }
    let seed = request.seed.unwrap_or(scenario.seed);
    let mut world = Simulation::new(&scenario, configurations, seed);
    if let Some(path) = &request.capture
        && let Err(error) =
            File::create(path).and_then(|file| world.capture_to(&scenario, BufWriter::new(file)))
    {
        return unwritable(path, &error, err);
    }
    let until = request.until.map(|until| WorldTime(0).later(until));
    let began = Instant::now();
    let outcome = runner::run_unless(&scenario, &mut world, until, None, &request.stop);
    let wall = began.elapsed();
    if let (Some(path), Err(error)) = (&request.capture, world.finish_capture()) {
        return unwritable(path, &error, err);
    }
    if request.json {
        let notes = findings.notes();
        let object = summary::json(&scenario, seed, &outcome, wall, world.events(), &notes);
        writeln!(out, "{object:#}")?;
    } else {
        out.write_all(text(&scenario, seed, &outcome).as_bytes())?;
    }
    out.flush()?;
    Ok(match outcome.verdict {
        RunVerdict::Pass => Ended::Passed,
        RunVerdict::Fail => Ended::Failed,
        RunVerdict::Skip => Ended::Skipped,
    })
}

fn text(scenario: &Scenario, seed: u64, outcome: &Outcome) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {} (seed {seed})\n", scenario.name, scenario.title);
    text.push_str(&outcome.timeline.text());
    text.push_str(&summary::text(scenario, outcome));
    text
}

fn unwritable(path: &Path, error: &io::Error, err: &mut dyn Write) -> io::Result<Ended> {
    writeln!(err, "error: cannot write the capture {}: {error}", path.display())?;
    Ok(Ended::Unusable)
}

impl Findings {
    /// Every report once: hosts may share a file.
    pub(crate) fn texts(&self, colour: Colour) -> Vec<String> {
        let mut texts = Vec::new();
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
