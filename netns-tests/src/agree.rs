//! `viplab agree`: scenarios simulated and real, and whether the same happened in the same order at
//! the same times, and the judge finds the real run as expected too.
//!
//! Several are played at a time, and what does not agree once more alone (`batch.rs`). What is
//! compared is in [`crate::marks`]. What needs another kernel than this machine's is compared
//! inside of user-mode Linux meanwhile (`uml/agree.rs`).

use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::{Value, json};
use vipd_config::diagnostics::Colour;
use vipd_engine::event::Seconds;
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::{Shown, html};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_scenarios::world::World;
use vipd_sim::configurations::Configurations;
use vipd_sim::files::NamedFiles;
use vipd_sim::output::Output;
use vipd_sim::run::{Ended, Read, read, said};
use vipd_sim::suite;
use vipd_sim::world::Simulation;

use crate::batch::{Tries, play_all, side_by_side};
use crate::kernel::Kernel;
use crate::marks::{Marks, Pair, disagreements, largest_difference, pair};
use crate::observer::SILENCE;
use crate::run::{Request as One, programs};
use crate::uml::agree::{Errand, PAGE, Told};
use crate::world::Lab;
use crate::{kernel, skips, steps};

/// What to compare and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The scenario files.
    pub files: Vec<PathBuf>,
    /// How each is played; its file is not looked at.
    pub how: One,
    /// How many are played at a time on this machine's kernel.
    pub jobs: NonZeroUsize,
    /// Whose kernel.
    pub kernel: Kernel,
    /// What user-mode Linux may be late by.
    pub tolerance_inside: Duration,
}

/// What came of a scenario.
struct Row {
    name: String,
    /// It is played inside of user-mode Linux.
    inside: bool,
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
    /// Both runs, if a page is asked for.
    page: Option<String>,
    /// Both runs side by side, in text.
    details: String,
    /// How many marks were compared, and what is between two of a kind at most.
    compared: usize,
    largest: Option<Duration>,
    found: Vec<String>,
}

/// A scenario that can be played in both worlds.
struct Playable {
    place: usize,
    scenario: Scenario,
    configurations: Configurations,
}

/// A scenario that is played inside of user-mode Linux.
struct Carried {
    place: usize,
    file: PathBuf,
    takes: Duration,
}

/// Where a scenario is played.
enum Stage {
    Here(Box<Playable>),
    Inside(Carried),
    Nowhere,
}

/// Plays the scenarios of the request in both worlds and prints what both show: of a single one
/// everything, of several a line each and everything of those that disagree.
///
/// # Errors
/// Those of `out` and `err`.
pub fn agree(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let began = Instant::now();
    let page = match open_page(request)? {
        Ok(page) => page,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    let (mut rows, mut playable, mut carried) = (Vec::new(), Vec::new(), Vec::new());
    for file in &request.files {
        let (row, stage) = prepare(request, file, rows.len(), err)?;
        rows.push(row);
        match stage {
            Stage::Here(one) => playable.push(*one),
            Stage::Inside(one) => carried.push(one),
            Stage::Nowhere => {}
        }
    }
    if let ([_], [one]) = (&rows[..], &carried[..]) {
        return alone_inside(request, one, page, out, err);
    }
    // Those that take equally long are played together.
    playable.sort_by_key(|one| one.scenario.until);
    let how = &request.how;
    let play = |batch| play_batch(how, batch);
    let (played, told) = thread::scope(|scope| {
        let inside = scope.spawn(|| play_inside(request, &carried));
        let played = play_all(playable, request.jobs, how.stop, play, Came::disagrees);
        (played, inside.join().expect("no errand panics"))
    });
    for (one, came) in played {
        rows[one.place].came = came;
    }
    for (one, came) in carried.iter().zip(told) {
        rows[one.place].came = came;
    }
    let tally = Tally::of(&rows);
    if request.how.json {
        writeln!(out, "{:#}", object(&rows, &tally, began.elapsed()))?;
    } else {
        out.write_all(text(&rows, &tally).as_bytes())?;
    }
    for Row { name, came, .. } in &rows {
        if let Came::Unusable(reason) = &came.last {
            writeln!(err, "error: {name}: {reason}")?;
        }
    }
    out.flush()?;
    let unwritten = page.and_then(|page| write_page(page, &rows).err());
    let ended = match tally {
        Tally { unusable: 1.., .. } => Ended::Unusable,
        Tally { disagree: 1.., .. } => Ended::Failed,
        // What was not played is not known to agree.
        Tally { .. } if (request.how.stop)() => Ended::Failed,
        Tally { agree: 0, .. } => Ended::Skipped,
        Tally { .. } => Ended::Passed,
    };
    said(ended, unwritten.as_slice(), err)
}

/// The page that is asked for. Whether it can be written is known before the work, not after it.
fn open_page(request: &Request) -> io::Result<Result<Option<Output>, String>> {
    let files = &request.how.files;
    let Some(page) = &files.html else { return Ok(Ok(None)) };
    for file in &request.files {
        // What is to be said of the scenario is said when it is prepared.
        let Some(read) = read(file, Colour::Never, &mut io::sink())? else { continue };
        let used = NamedFiles::of_run(file, &read.configurations, None, files);
        if let Err(why) = used.check() {
            return Ok(Err(why));
        }
    }
    Ok(Output::open(page).map(Some))
}

/// Writes the page of the scenario that was compared. What is to be said if it could not be
/// written, or there was nothing to write.
fn write_page(output: Output, rows: &[Row]) -> Result<(), String> {
    let page = rows.iter().find_map(|row| match &row.came.last {
        Came::Compared(compared) => compared.page.as_deref(),
        Came::Skipped(_) | Came::Unusable(_) => None,
    });
    match page {
        Some(page) => output.write(page.as_bytes()),
        None => Err("no page: the scenario was not played".to_string()),
    }
}

/// Reads a scenario. What its configurations are warned of is said only if it is the only one.
fn prepare(
    request: &Request,
    file: &std::path::Path,
    place: usize,
    err: &mut dyn Write,
) -> io::Result<(Row, Stage)> {
    let mut said = Vec::new();
    let read = read(file, request.how.colour, &mut said)?;
    if read.is_none() || request.files.len() == 1 {
        err.write_all(&said)?;
    }
    let Some(Read { scenario, configurations, .. }) = read else {
        let name = file.display().to_string();
        let came = Tries::one(Came::Unusable("not readable, see above".into()));
        return Ok((Row { name, inside: false, came }, Stage::Nowhere));
    };
    let name = scenario.name.clone();
    let is_uml = request.kernel.is_uml(&scenario.needs);
    let mut reasons = steps::lacking(&scenario, &request.how.nodes);
    reasons.extend(skips::reason(&scenario.name).map(str::to_string));
    if !is_uml {
        reasons.extend(kernel::lacking(&scenario.needs));
    }
    if !reasons.is_empty() {
        let came = Tries::one(Came::Skipped(reasons));
        return Ok((Row { name, inside: false, came }, Stage::Nowhere));
    }
    // What an interrupted command has not played stays this.
    let row = Row { name, inside: is_uml, came: Tries::one(Came::interrupted()) };
    if is_uml {
        let takes = Duration::from_nanos(scenario.until.0) + request.tolerance_inside;
        return Ok((row, Stage::Inside(Carried { place, file: file.to_path_buf(), takes })));
    }
    Ok((row, Stage::Here(Box::new(Playable { place, scenario, configurations }))))
}

/// All of these in one user-mode Linux. Their order stays.
fn play_inside(request: &Request, carried: &[Carried]) -> Vec<Tries<Came>> {
    if carried.is_empty() {
        return Vec::new();
    }
    match errand(request, carried, true).and_then(|errand| errand.told()) {
        Ok(told) => told.into_iter().map(tries).collect(),
        Err(_) if (request.how.stop)() => {
            carried.iter().map(|_| Tries::one(Came::interrupted())).collect()
        }
        Err(why) => carried.iter().map(|_| Tries::one(Came::Unusable(why.clone()))).collect(),
    }
}

/// The only scenario, inside: what is printed there is printed here.
fn alone_inside(
    request: &Request,
    one: &Carried,
    page: Option<Output>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Ended> {
    let came = errand(request, std::slice::from_ref(one), request.how.json);
    let finished = match came.and_then(|errand| errand.run()) {
        Ok(finished) => finished,
        Err(reason) => {
            writeln!(err, "error: {reason}")?;
            return Ok(Ended::Unusable);
        }
    };
    let unwritten = page.and_then(|page| finished.hand_over(PAGE, page).err());
    out.write_all(&finished.output)?;
    err.write_all(&finished.errors)?;
    let ends = [Ended::Passed, Ended::Failed, Ended::Unusable, Ended::Skipped];
    let ended = ends.into_iter().find(|ended| ended.status() == finished.status);
    said(ended.unwrap_or(Ended::Unusable), unwritten.as_slice(), err)
}

fn errand(request: &Request, carried: &[Carried], json: bool) -> Result<Errand, String> {
    let how = One { json, tolerance: request.tolerance_inside, ..request.how.clone() };
    let files = carried.iter().map(|one| one.file.clone()).collect();
    let takes = carried.iter().map(|one| one.takes).sum();
    let viplab = env::current_exe().map_err(|error| format!("cannot find viplab: {error}"))?;
    Ok(Errand { files, how, takes, viplab })
}

/// What came of a scenario inside.
fn tries(told: Told) -> Tries<Came> {
    let Told { scenario: name, verdict, compared, largest_difference_seconds, .. } = told;
    let compared = |found: Vec<String>| {
        let mut details = format!("{name}, inside of user-mode Linux\n\n");
        tell_found(&mut details, &found);
        let largest = largest_difference_seconds.map(Duration::from_secs_f64);
        let compared = compared.unwrap_or_default();
        Came::Compared(Box::new(Compared { page: None, details, compared, largest, found }))
    };
    let first = (told.tries > 1).then(|| compared(told.first_try));
    let last = match verdict.as_str() {
        "agree" | "disagree" => compared(told.reasons),
        "skipped" => Came::Skipped(told.reasons),
        _ => Came::Unusable(told.reasons.join("; ")),
    };
    Tries { last, first }
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
    real.date_back(&lab.silences, SILENCE);
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
    let (compared, largest) = (pairs.len(), largest_difference(&pairs));
    Compared { page, details: details(scenario, &pairs, &found), compared, largest, found }
}

/// How many ended in which way.
#[derive(Default)]
struct Tally {
    agree: usize,
    disagree: usize,
    skipped: usize,
    unusable: usize,
    /// On this machine's kernel, and inside of user-mode Linux.
    largest: Option<Duration>,
    largest_inside: Option<Duration>,
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
                    let largest =
                        if row.inside { &mut tally.largest_inside } else { &mut tally.largest };
                    *largest = (*largest).max(compared.largest);
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
            let _ = writeln!(text, "{}", compared.details);
        }
    }
    for Row { name, came, .. } in rows {
        for told in came.first.iter().flat_map(Came::complaints) {
            let _ = writeln!(text, "{name}, first try: {told}");
        }
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("scenario".len());
    let _ = writeln!(text, "{:width$}  compared  largest difference  verdict", "scenario");
    for Row { name, came, .. } in rows {
        let (compared, largest) = match &came.last {
            Came::Compared(compared) => (
                compared.compared.to_string(),
                compared.largest.map(|largest| format!("{} s", Seconds(largest))),
            ),
            Came::Skipped(_) | Came::Unusable(_) => ("-".to_string(), None),
        };
        let largest = largest.unwrap_or_else(|| "-".to_string());
        let again = if came.first.is_some() { " (second try)" } else { "" };
        let words = came.last.words();
        let _ = writeln!(text, "{name:width$}  {compared:>8}  {largest:>18}  {words}{again}");
    }
    let Tally { agree, disagree, skipped, unusable, largest, largest_inside } = tally;
    let _ = write!(text, "{agree} agree, {disagree} disagree, {skipped} skipped");
    if *unusable > 0 {
        let _ = write!(text, ", {unusable} unusable");
    }
    let places = [(largest, ""), (largest_inside, " inside of user-mode Linux")];
    for (largest, place) in places {
        if let Some(largest) = largest {
            let _ = write!(text, "; largest difference{place} {} s", Seconds(*largest));
        }
    }
    text.push('\n');
    text
}

impl Came {
    fn interrupted() -> Self {
        Self::Skipped(vec!["interrupted".to_string()])
    }

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
fn details(scenario: &Scenario, pairs: &[Pair], found: &[String]) -> String {
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
    tell_found(&mut text, found);
    text
}

fn tell_found(text: &mut String, found: &[String]) {
    for disagreement in found {
        let _ = writeln!(text, "not so: {disagreement}");
    }
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
            "compared": compared.map(|compared| compared.compared),
            "largest_difference_seconds": compared.and_then(|compared| seconds(compared.largest)),
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
        "largest_difference_inside_seconds": seconds(tally.largest_inside),
        "wall_seconds": wall.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use vipd_scenarios::report::files::Files;

    use super::*;

    #[test]
    fn a_page_that_would_overwrite_the_scenario_is_refused_before_anything_is_played() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/failover/kill-9.toml");
        let before = std::fs::read(file).expect("the scenario");
        let request = Request {
            files: vec![file.into()],
            how: One {
                file: PathBuf::new(),
                nodes: [].into(),
                vipd: None,
                json: false,
                capture: None,
                files: Files { html: Some(file.into()), ..Files::default() },
                tolerance: Duration::ZERO,
                until: None,
                colour: Colour::Never,
                // Who plays it is interrupted at once.
                stop: || true,
            },
            jobs: NonZeroUsize::MIN,
            kernel: Kernel::Host,
            tolerance_inside: Duration::ZERO,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = agree(&request, &mut out, &mut err).expect("memory takes everything");
        let wanted = format!("error: --html {file} would overwrite the scenario {file}: ");
        assert!(String::from_utf8(err).expect("text").starts_with(&wanted) && out.is_empty());
        assert_eq!(ended, Ended::Unusable);
        assert_eq!(std::fs::read(file).expect("the scenario"), before);
    }
}
