//! `vipsim suite`: plays every scenario of a folder, side by side, and prints one table.
//!
//! Each run is what [`crate::run`] does, on a thread of its choice. A run shares nothing with
//! another one, so the number of threads changes how long the whole takes and nothing else.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vipd_config::diagnostics::Colour;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::Scenario;

use crate::configurations::Configurations;
use crate::run::Ended;
use crate::world::Simulation;

/// What to play and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Every scenario file below this folder.
    pub folder: PathBuf,
    /// Those below this one, too; their names begin with its last word.
    pub also: Option<PathBuf>,
    /// Only those whose name contains this.
    pub pattern: Option<String>,
    /// One JSON object instead of a table.
    pub json: bool,
    /// How many are played at a time.
    pub jobs: NonZeroUsize,
    /// Colours on `err`.
    pub colour: Colour,
}

/// Does what is asked for. The order of the rows is that of the names.
///
/// # Errors
/// Those of `out` and `err`.
pub fn suite(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let mut files = match all_files(request) {
        Ok(files) => files,
        Err((folder, error)) => {
            let folder = folder.display();
            writeln!(
                err,
                "error: cannot read the folder {folder}: {error}; name one with --folder"
            )?;
            return Ok(Ended::Unusable);
        }
    };
    if let Some(pattern) = &request.pattern {
        files.retain(|(name, _)| name.contains(pattern));
    }
    if files.is_empty() {
        return nothing(request, err);
    }
    let began = Instant::now();
    let rows = play_all(&files, request.jobs, request.colour);
    let wall = began.elapsed();
    for row in &rows {
        if let Played::Unusable(text) = &row.played {
            writeln!(err, "{}", text.trim_end())?;
        }
    }
    let tally = Tally::of(&rows);
    if request.json {
        writeln!(out, "{:#}", object(&rows, &tally, wall))?;
    } else {
        out.write_all(table(&rows, &tally).as_bytes())?;
    }
    out.flush()?;
    Ok(match tally {
        Tally { unusable: 1.., .. } => Ended::Unusable,
        Tally { failed: 1.., .. } => Ended::Failed,
        Tally { .. } => Ended::Passed,
    })
}

fn nothing(request: &Request, err: &mut dyn Write) -> io::Result<Ended> {
    let folder = request.folder.display();
    match &request.pattern {
        Some(pattern) => writeln!(
            err,
            "error: no scenario below {folder} has `{pattern}` in its name; \
             a name is a path such as failover/kill-9"
        )?,
        None => writeln!(err, "error: no scenario below {folder}; name a folder with --folder")?,
    }
    Ok(Ended::Unusable)
}

/// The files of both folders. Which one cannot be read, if one cannot.
fn all_files(request: &Request) -> Result<Vec<(String, PathBuf)>, (&Path, io::Error)> {
    let mut found = files(&request.folder).map_err(|error| (&*request.folder, error))?;
    if let Some(also) = &request.also {
        let more = files(also).map_err(|error| (&**also, error))?;
        let word = also.file_name().unwrap_or_default().to_string_lossy();
        found.extend(more.into_iter().map(|(name, path)| (format!("{word}/{name}"), path)));
        found.sort();
    }
    Ok(found)
}

/// Every scenario file below the folder with its name, in order of names. A package's own file is
/// none.
pub fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next)? {
            let entry = entry?;
            let path = entry.path();
            // A link to a folder is not followed: it may lead in a circle.
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml")
                && !path.ends_with("Cargo.toml")
            {
                let below = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
                let parts = below.iter().map(|part| part.to_string_lossy());
                found.push((parts.collect::<Vec<_>>().join("/"), path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// One scenario, played.
struct Row {
    name: String,
    played: Played,
}

enum Played {
    /// It, or a configuration, cannot be used: what the readers say.
    Unusable(String),
    Judged(Box<Judged>),
}

struct Judged {
    title: String,
    fault_classes: Vec<u8>,
    seed: u64,
    verdict: RunVerdict,
    trace: Option<u128>,
    simulated: Duration,
    events: u64,
    /// What is not as expected; the steps that the world lacks if it was skipped.
    remarks: Vec<String>,
}

fn play_all(files: &[(String, PathBuf)], jobs: NonZeroUsize, colour: Colour) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = Vec::new();
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some((name, file)) = files.get(index)
        {
            rows.push((index, Row { name: name.clone(), played: play(file, colour) }));
        }
        rows
    };
    let mut rows: Vec<_> = thread::scope(|scope| {
        let threads = jobs.get().min(files.len());
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().expect("no run panics"));
        ended.flatten().collect()
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn play(file: &Path, colour: Colour) -> Played {
    let scenario = match Scenario::load(file) {
        Ok(scenario) => scenario,
        Err(unreadable) => return Played::Unusable(unreadable.render(colour)),
    };
    let (configurations, findings) = Configurations::load(&scenario);
    if findings.unusable {
        let name = &scenario.name;
        let reports = findings.texts(colour).concat();
        let text = format!("{reports}error: {name} cannot be run with these configurations");
        return Played::Unusable(text);
    }
    let mut world = Simulation::new(&scenario, configurations, scenario.seed);
    let outcome = runner::run(&scenario, &mut world, None, None);
    let remarks = remarks(&scenario, &outcome);
    Played::Judged(Box::new(Judged {
        title: scenario.title,
        fault_classes: scenario.fault_classes,
        seed: scenario.seed,
        verdict: outcome.verdict,
        trace: outcome.trace,
        simulated: Duration::from_nanos(outcome.end.0),
        events: world.events(),
        remarks,
    }))
}

/// What of a run is not as expected, a line each; the steps that the world lacks if it was skipped.
#[must_use]
pub fn remarks(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let mut remarks = outcome.skipped.clone();
    for met in &outcome.expectations {
        if let Some(instead) = &met.instead {
            let line = scenario.expectations[met.index].line(scenario);
            remarks.push(format!("not met: {line}; seen: {instead}"));
        }
    }
    for judged in outcome.properties.iter().filter(|judged| !judged.is_as_expected()) {
        let report = &judged.report;
        let reason = report.reason.as_deref().unwrap_or("no reason given");
        remarks.push(format!("{} {}: {reason}", report.id, report.verdict.name()));
    }
    remarks
}

impl Row {
    const fn verdict(&self) -> &'static str {
        match &self.played {
            Played::Unusable(_) => "unusable",
            Played::Judged(judged) => judged.verdict.name(),
        }
    }
}

/// How many ended in which way.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    unusable: usize,
}

impl Tally {
    fn of(rows: &[Row]) -> Self {
        let mut tally = Self::default();
        for row in rows {
            let count = match &row.played {
                Played::Unusable(_) => &mut tally.unusable,
                Played::Judged(judged) => match judged.verdict {
                    RunVerdict::Pass => &mut tally.passed,
                    RunVerdict::Fail => &mut tally.failed,
                    RunVerdict::Skip => &mut tally.skipped,
                },
            };
            *count += 1;
        }
        tally
    }
}

fn table(rows: &[Row], tally: &Tally) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("scenario".len());
    let mut text = String::new();
    let mut line = |name: &str, classes: &str, seconds: &str, verdict: &str, remark: &str| {
        let row = format!("{name:width$}  {classes:>8}  {seconds:>9}  {verdict:8}  {remark}");
        let _ = writeln!(text, "{}", row.trim_end());
    };
    line("scenario", "faults", "simulated", "verdict", "what is not as expected");
    for row in rows {
        match &row.played {
            Played::Unusable(_) => line(&row.name, "-", "-", row.verdict(), "see the message"),
            Played::Judged(judged) => {
                let classes: Vec<_> = judged.fault_classes.iter().map(u8::to_string).collect();
                let classes = if classes.is_empty() { "-".to_owned() } else { classes.join(",") };
                let seconds = format!("{} s", judged.simulated.as_secs_f64());
                line(&row.name, &classes, &seconds, row.verdict(), &judged.remark());
            }
        }
    }
    let Tally { passed, failed, skipped, unusable } = tally;
    let _ = write!(text, "{passed} passed, {failed} failed, {skipped} skipped");
    let _ = match unusable {
        0 => writeln!(text),
        _ => writeln!(text, ", {unusable} unusable"),
    };
    text
}

impl Judged {
    /// The first remark, and how many more there are.
    fn remark(&self) -> String {
        match self.remarks.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [first, more @ ..] => format!("{first} (and {} more)", more.len()),
        }
    }
}

fn object(rows: &[Row], tally: &Tally, wall: Duration) -> Value {
    let scenarios = rows.iter().map(|row| {
        let judged = match &row.played {
            Played::Unusable(_) => None,
            Played::Judged(judged) => Some(judged),
        };
        let error = match &row.played {
            Played::Unusable(text) => Some(text),
            Played::Judged(_) => None,
        };
        json!({
            "scenario": row.name,
            "title": judged.map(|judged| &judged.title),
            "fault_classes": judged.map(|judged| &judged.fault_classes),
            "seed": judged.map(|judged| judged.seed),
            "verdict": row.verdict(),
            "trace": judged.and_then(|judged| judged.trace).map(|trace| format!("{trace:032x}")),
            "simulated_seconds": judged.map(|judged| judged.simulated.as_secs_f64()),
            "events": judged.map(|judged| judged.events),
            "remarks": judged.map(|judged| &judged.remarks),
            "error": error,
        })
    });
    json!({
        "scenarios": scenarios.collect::<Vec<_>>(),
        "passed": tally.passed,
        "failed": tally.failed,
        "skipped": tally.skipped,
        "unusable": tally.unusable,
        "wall_seconds": wall.as_secs_f64(),
    })
}
