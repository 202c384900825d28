//! `viplab agree`: scenarios simulated and real, and whether the same happened in the same order at
//! the same times, and the judge finds the real run as expected too.
//!
//! Several are played at a time, and what does not agree once more alone (`batch.rs`). What is
//! compared is in [`crate::marks`].

use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vipd_engine::event::Seconds;
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::report::files::write;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::{Shown, html};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_scenarios::world::World;
use vipd_sim::configurations::Configurations;
use vipd_sim::run::{Ended, Read, read, said};
use vipd_sim::suite;
use vipd_sim::world::Simulation;

use crate::batch::{Tries, play_all, side_by_side};
use crate::marks::{Marks, Pair, disagreements, largest_difference, pair};
use crate::run::{Request as One, programs};
use crate::world::Lab;
use crate::{kernel, skips, steps};

/// What to compare and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The scenario files.
    pub files: Vec<PathBuf>,
    /// How each is played; its file is not looked at.
    pub how: One,
    /// How many are played at a time.
    pub jobs: NonZeroUsize,
}

/// What came of a scenario.
struct Row {
    name: String,
    came: Tries<Came>,
}

enum Came {
    /// Why it cannot be played.
    Unusable(String),
    /// Why it is not compared.
    Skipped(Vec<String>),
    Compared(Box<Compared>),
}

struct Compared {
    scenario: Scenario,
    /// Both runs, if a page is asked for.
    page: Option<String>,
    pairs: Vec<Pair>,
    found: Vec<String>,
}

/// A scenario that can be played in both worlds.
struct Playable {
    place: usize,
    scenario: Scenario,
    configurations: Configurations,
}

/// Plays the scenarios of the request in both worlds and prints what both show: of a single one
/// everything, of several a line each and everything of those that disagree.
///
/// # Errors
/// Those of `out` and `err`.
pub fn agree(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let began = Instant::now();
    let mut rows = Vec::new();
    let mut playable = Vec::new();
    for file in &request.files {
        let (row, play) = prepare(request, file, rows.len(), err)?;
        rows.push(row);
        playable.extend(play);
    }
    // Those that take equally long are played together.
    playable.sort_by_key(|one| one.scenario.until);
    let how = &request.how;
    let play = |batch| play_batch(how, batch);
    for (one, came) in play_all(playable, request.jobs, how.stop, play, Came::disagrees) {
        rows[one.place].came = came;
    }
    let tally = Tally::of(&rows);
    if request.how.json {
        writeln!(out, "{:#}", object(&rows, &tally, began.elapsed()))?;
    } else {
        out.write_all(text(&rows, &tally).as_bytes())?;
    }
    for Row { name, came } in &rows {
        if let Came::Unusable(reason) = &came.last {
            writeln!(err, "error: {name}: {reason}")?;
        }
    }
    out.flush()?;
    let unwritten = write_page(request, &rows);
    let ended = match tally {
        Tally { unusable: 1.., .. } => Ended::Unusable,
        Tally { disagree: 1.., .. } => Ended::Failed,
        // What was not played is not known to agree.
        Tally { .. } if (request.how.stop)() => Ended::Failed,
        Tally { agree: 0, .. } => Ended::Skipped,
        Tally { .. } => Ended::Passed,
    };
    said(ended, &unwritten, err)
}

/// Writes the page of the scenario that was compared, if one is asked for. What is to be said if it
/// could not be written, or there was nothing to write.
fn write_page(request: &Request, rows: &[Row]) -> Vec<String> {
    let Some(path) = &request.how.files.html else { return Vec::new() };
    let page = rows.iter().find_map(|row| match &row.came.last {
        Came::Compared(compared) => compared.page.as_deref(),
        Came::Skipped(_) | Came::Unusable(_) => None,
    });
    let written = match page {
        Some(page) => write(path, "page", page),
        None => Err(format!("no page in {}: the scenario was not played", path.display())),
    };
    written.err().into_iter().collect()
}

/// Reads a scenario. What its configurations are warned of is said only if it is the only one.
fn prepare(
    request: &Request,
    file: &std::path::Path,
    place: usize,
    err: &mut dyn Write,
) -> io::Result<(Row, Option<Playable>)> {
    let mut said = Vec::new();
    let read = read(file, request.how.colour, &mut said)?;
    if read.is_none() || request.files.len() == 1 {
        err.write_all(&said)?;
    }
    let Some(Read { scenario, configurations, .. }) = read else {
        let name = file.display().to_string();
        let came = Tries::one(Came::Unusable("not readable, see above".into()));
        return Ok((Row { name, came }, None));
    };
    let name = scenario.name.clone();
    let mut reasons = steps::lacking(&scenario, &request.how.nodes);
    reasons.extend(kernel::lacking(&scenario.needs));
    reasons.extend(skips::reason(&scenario.name).map(str::to_string));
    if !reasons.is_empty() {
        return Ok((Row { name, came: Tries::one(Came::Skipped(reasons)) }, None));
    }
    // What an interrupted command has not played stays this.
    let came = Tries::one(Came::Skipped(vec!["interrupted".to_string()]));
    Ok((Row { name, came }, Some(Playable { place, scenario, configurations })))
}

fn play_batch(how: &One, batch: Vec<Playable>) -> Vec<(Playable, Came)> {
    let build = |one: &Playable| {
        let programs = programs(how, &one.scenario)?;
        Lab::new(&one.scenario, one.configurations.clone(), &programs, how.tolerance)
    };
    let play = |one: &Playable, lab: &mut Lab| compare(how, one, lab);
    let played = side_by_side(batch, build, play).into_iter();
    let came = played.map(|(one, came)| match came {
        Ok(compared) => (one, Came::Compared(Box::new(compared))),
        Err(reason) => (one, Came::Unusable(reason)),
    });
    came.collect()
}

fn compare(how: &One, one: &Playable, lab: &mut Lab) -> Compared {
    let Playable { scenario, configurations, .. } = one;
    let until = how.until.map(|until| WorldTime(0).later(until));
    let (mut simulated, mut real) = (Marks::default(), Marks::default());
    let mut world = Simulation::new(scenario, configurations.clone(), scenario.seed);
    let (mut told, mut shown) = (History::new(world.setting()), History::new(lab.setting()));
    let wanted = how.files.wanted();
    let foreseen = if wanted {
        runner::run(scenario, &mut world, until, Some(&mut (&mut simulated, &mut told)))
    } else {
        runner::run(scenario, &mut world, until, Some(&mut simulated))
    };
    let outcome = if wanted {
        let mut both = (&mut real, &mut shown);
        runner::run_unless(scenario, lab, until, Some(&mut both), &how.stop)
    } else {
        runner::run_unless(scenario, lab, until, Some(&mut real), &how.stop)
    };
    let page = wanted.then(|| {
        let (seed, outcomes) = (Some(scenario.seed), (&foreseen, &outcome));
        html(&[
            Shown { label: "simulated", scenario, seed, outcome: outcomes.0, history: &told },
            Shown { label: "real", scenario, seed: None, outcome: outcomes.1, history: &shown },
        ])
    });
    let pairs = pair(&simulated, &real);
    let mut found = disagreements(&pairs, how.tolerance);
    found.extend(lab.trouble().iter().map(|trouble| format!("trouble: {trouble}")));
    found.extend(lab.late().iter().map(|late| format!("this machine was too busy: {late}")));
    let differences = lab.differences().iter();
    found.extend(differences.map(|told| format!("kernel and wire differ: {told}")));
    if !outcome.interrupted {
        found.extend(suite::remarks(scenario, &outcome));
    }
    Compared { scenario: scenario.clone(), page, pairs, found }
}

/// How many ended in which way.
#[derive(Default)]
struct Tally {
    agree: usize,
    disagree: usize,
    skipped: usize,
    unusable: usize,
    largest: Option<Duration>,
}

impl Tally {
    fn of(rows: &[Row]) -> Self {
        let mut tally = Self::default();
        for row in rows {
            match &row.came.last {
                Came::Unusable(_) => tally.unusable += 1,
                Came::Skipped(_) => tally.skipped += 1,
                Came::Compared(compared) => {
                    let agrees = compared.found.is_empty();
                    *if agrees { &mut tally.agree } else { &mut tally.disagree } += 1;
                    tally.largest = tally.largest.max(largest_difference(&compared.pairs));
                }
            }
        }
        tally
    }
}

fn text(rows: &[Row], tally: &Tally) -> String {
    let mut text = String::new();
    for row in rows {
        if let Came::Compared(compared) = &row.came.last
            && (rows.len() == 1 || !compared.found.is_empty())
        {
            let _ = writeln!(text, "{}", details(compared));
        }
    }
    for Row { name, came } in rows {
        for told in came.first.iter().flat_map(Came::complaints) {
            let _ = writeln!(text, "{name}, first try: {told}");
        }
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("scenario".len());
    let _ = writeln!(text, "{:width$}  compared  largest difference  verdict", "scenario");
    for Row { name, came } in rows {
        let (compared, largest) = match &came.last {
            Came::Compared(compared) => (
                compared.pairs.len().to_string(),
                largest_difference(&compared.pairs)
                    .map(|largest| format!("{} s", Seconds(largest))),
            ),
            Came::Skipped(_) | Came::Unusable(_) => ("-".to_string(), None),
        };
        let largest = largest.unwrap_or_else(|| "-".to_string());
        let again = if came.first.is_some() { " (second try)" } else { "" };
        let words = came.last.words();
        let _ = writeln!(text, "{name:width$}  {compared:>8}  {largest:>18}  {words}{again}");
    }
    let Tally { agree, disagree, skipped, unusable, largest } = tally;
    let _ = write!(text, "{agree} agree, {disagree} disagree, {skipped} skipped");
    if *unusable > 0 {
        let _ = write!(text, ", {unusable} unusable");
    }
    let _ = match largest {
        Some(largest) => writeln!(text, "; largest difference {} s", Seconds(*largest)),
        None => writeln!(text),
    };
    text
}

impl Came {
    fn disagrees(&self) -> bool {
        !self.complaints().is_empty()
    }

    /// What does not agree.
    fn complaints(&self) -> Vec<String> {
        match self {
            Self::Compared(compared) => compared.found.clone(),
            Self::Skipped(_) | Self::Unusable(_) => Vec::new(),
        }
    }

    const fn verdict(&self) -> &'static str {
        match self {
            Self::Unusable(_) => "unusable",
            Self::Skipped(_) => "skipped",
            Self::Compared(compared) if compared.found.is_empty() => "agree",
            Self::Compared(_) => "disagree",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Skipped(reasons) => format!("skipped: {}", reasons.join("; ")),
            Self::Unusable(_) | Self::Compared(_) => self.verdict().to_string(),
        }
    }
}

/// Everything that was compared of a scenario.
fn details(Compared { scenario, pairs, found, .. }: &Compared) -> String {
    let mut text = format!("{}: {}\n\n", scenario.name, scenario.title);
    let _ = writeln!(text, "{:>14}  {:>14}  {:>13}", "simulated", "real", "difference");
    let time = |at: Option<WorldTime>| at.map_or_else(|| "-".to_string(), |at| at.to_string());
    for pair in pairs {
        let difference = match (pair.simulated, pair.real) {
            (Some(simulated), Some(real)) if real < simulated => {
                format!("-{}", WorldTime(simulated.0 - real.0))
            }
            (Some(simulated), Some(real)) => format!("+{}", WorldTime(real.0 - simulated.0)),
            (Some(_), None) | (None, _) => String::new(),
        };
        let host = &scenario.hosts[usize::from(pair.host.0)].name;
        let (simulated, real) = (time(pair.simulated), time(pair.real));
        let _ =
            writeln!(text, "{simulated:>14}  {real:>14}  {difference:>13}  {host} {}", pair.what);
    }
    for disagreement in found {
        let _ = writeln!(text, "not so: {disagreement}");
    }
    text
}

fn object(rows: &[Row], tally: &Tally, wall: Duration) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let scenarios = rows.iter().map(|row| {
        let compared = match &row.came.last {
            Came::Compared(compared) => Some(compared),
            Came::Skipped(_) | Came::Unusable(_) => None,
        };
        let reasons = match &row.came.last {
            Came::Compared(compared) => compared.found.clone(),
            Came::Skipped(reasons) => reasons.clone(),
            Came::Unusable(reason) => vec![reason.clone()],
        };
        json!({
            "scenario": row.name,
            "verdict": row.came.last.verdict(),
            "compared": compared.map(|compared| compared.pairs.len()),
            "largest_difference_seconds":
                compared.and_then(|compared| seconds(largest_difference(&compared.pairs))),
            "reasons": reasons,
            "tries": if row.came.first.is_some() { 2 } else { 1 },
            "first_try": row.came.first.iter().flat_map(Came::complaints).collect::<Vec<_>>(),
        })
    });
    json!({
        "scenarios": scenarios.collect::<Vec<_>>(),
        "agree": tally.agree,
        "disagree": tally.disagree,
        "skipped": tally.skipped,
        "unusable": tally.unusable,
        "largest_difference_seconds": seconds(tally.largest),
        "wall_seconds": wall.as_secs_f64(),
    })
}
