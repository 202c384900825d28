//! `vipsim hunt`: random fault schedules over one scenario's topology, or over that of bare
//! configuration files, thousands of them.
//!
//! [`arena`] plays one seed, [`tally`] adds up what many brought, [`report`] prints it, [`html`]
//! makes a page of it, [`merge`] adds what several machines wrote. This file is the command: it
//! reads, shares the seeds out to threads, and says how far it is. It reads the time of this
//! machine for the rate alone.

pub mod arena;
pub mod html;
pub mod merge;
pub mod reached;
pub mod report;
pub mod rows;
pub mod tally;

use std::hash::Hasher as _;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use vipd_config::diagnostics::Colour;
use vipd_scenarios::judge::Verdict;
use vipd_scenarios::language::duration_text;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::Scenario;
use xxhash_rust::xxh3::Xxh3Default;

use crate::bare_files;
use crate::configurations::Configurations;
use crate::faults::{FaultClass, Ground, Plan};
use crate::files::NamedFiles;
use crate::output::Output;
use crate::run::{self, Ended};
use arena::Arena;
use tally::{FORM, Hunted, Tally};

/// Seeds that a thread takes at a time.
const PORTION: u64 = 8;
/// So long after it took its seeds a thread goes on with them although it was told to stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most threads.
pub const MOST_JOBS: u64 = 1024;

/// What to hunt and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose topology is hunted over.
    pub over: Over,
    /// Only faults of these classes; of all of them if there is none.
    pub classes: Vec<FaultClass>,
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Only the part `index` (from 0) of `parts` of them.
    pub shard: Shard,
    /// How many threads.
    pub jobs: u64,
    /// Simulated time of each seed.
    pub length: Duration,
    /// One JSON object instead of tables.
    pub json: bool,
    /// Where the JSON object is written too, for `vipsim merge`.
    pub out: Option<PathBuf>,
    /// Where a page is written.
    pub html: Option<PathBuf>,
    /// A bar instead of a line now and then.
    pub bar: bool,
    /// Colours on `err`.
    pub colour: Colour,
    /// Asked now and then: yes ends the hunt, and what was found is printed.
    pub stop: fn() -> bool,
}

/// Where a topology comes from.
#[derive(Clone, Debug)]
pub enum Over {
    /// A scenario.
    Scenario(PathBuf),
    /// Configuration files alone, each as `FILE` or as `NAME=FILE`.
    Files(Vec<PathBuf>),
}

impl Request {
    /// The words of a command line for what is hunted over, and for which faults.
    fn words(&self) -> String {
        let classes = self.classes.iter().map(|class| format!(" --class {}", class.name()));
        self.over.words() + &classes.collect::<String>()
    }
}

impl Over {
    /// What files are that are named without an option: a scenario if there is one file alone,
    /// else configurations.
    ///
    /// # Errors
    /// A scenario is among several, in words.
    pub fn named(mut files: Vec<PathBuf>) -> Result<Self, String> {
        if bare_files::are_bare(&files) {
            return Ok(Self::Files(files));
        }
        match (files.pop(), files.is_empty()) {
            (Some(file), true) => Ok(Self::Scenario(file)),
            _ => Err("name one scenario, or configuration files alone".to_owned()),
        }
    }

    /// Reads it. What is to be said of the files is said on `err`; `None` if they cannot be used.
    pub(crate) fn read(
        &self,
        colour: Colour,
        err: &mut dyn Write,
    ) -> io::Result<Option<(Scenario, Configurations)>> {
        Ok(match self {
            Self::Scenario(file) => {
                run::read(file, colour, err)?.map(|read| (read.scenario, read.configurations))
            }
            Self::Files(files) => bare_files::read(files, colour, err)?
                .map(|bare| (bare.scenario, bare.configurations)),
        })
    }

    /// Whether it is configuration files alone.
    pub(crate) const fn is_bare(&self) -> bool {
        matches!(self, Self::Files(_))
    }

    /// The scenario, if there is one.
    pub(crate) fn files(&self) -> NamedFiles {
        let files = NamedFiles::default();
        match self {
            Self::Scenario(path) => files.reads("the scenario", [path.as_path()]),
            Self::Files(_) => files,
        }
    }

    /// The words of a command line that name it.
    fn words(&self) -> String {
        let word = |path: &PathBuf| bare_files::shell(&path.display().to_string());
        match self {
            Self::Scenario(path) => word(path),
            Self::Files(files) => {
                let words: Vec<_> = files.iter().map(word).collect();
                format!("--conf {}", words.join(" "))
            }
        }
    }
}

/// One part of a hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u64,
    /// Of how many, at least 1.
    pub parts: u64,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, parts: 1 };

    /// Reads `i/n`, with i from 0 to n-1.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let help = "write i/n with i from 0 to n-1, such as 0/8";
        let (index, parts) = text.split_once('/').ok_or(help)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| help.to_owned());
        let (index, parts) = (number(index)?, number(parts)?);
        if parts == 0 || index >= parts {
            return Err(format!("there is no part {index} of {parts}; {help}"));
        }
        Ok(Self { index, parts })
    }

    /// The first seed of this part, and the one after its last.
    #[must_use]
    pub fn of(self, first: u64, seeds: u64) -> (u64, u64) {
        let edge = |index: u64| {
            let part = u128::from(seeds) * u128::from(index) / u128::from(self.parts);
            first + u64::try_from(part).unwrap_or(seeds)
        };
        (edge(self.index), edge(self.index + 1))
    }
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn hunt(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let Some((arena, mut hunted)) = prepare(request, err)? else {
        return Ok(Ended::Unusable);
    };
    hunted.behaviour = arena.behaviour();
    // Whether they can be written is known before the hunt, not after it.
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let (file, page) = match (open(&request.out), open(&request.html)) {
        (Ok(file), Ok(page)) => (file, page),
        (Err(why), _) | (_, Err(why)) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    let (from, until) = request.shard.of(request.first, request.seeds);
    let tally = play_all(request, &arena, hunted, (from, until), err)?;
    let part = file.map(|file| file.write(format!("{}\n", report::json(&tally)).as_bytes()));
    let page = page.map(|page| page.write(html::html(&tally, &arena).as_bytes()));
    let ended = print(&tally, request.json, out)?;
    let unwritten: Vec<_> = [part, page].into_iter().flatten().filter_map(Result::err).collect();
    run::said(ended, &unwritten, err)
}

/// Prints a tally. It failed if something was violated that nothing explains; without that it is
/// incomplete if it was interrupted.
///
/// # Errors
/// Those of `out`.
pub fn print(tally: &Tally, json: bool, out: &mut dyn Write) -> io::Result<Ended> {
    if json {
        writeln!(out, "{:#}", report::json(tally))?;
    } else {
        out.write_all(report::text(tally).as_bytes())?;
    }
    out.flush()?;
    Ok(match (tally.violations(), tally.interrupted) {
        (1.., _) => Ended::Failed,
        (0, true) => Ended::Skipped,
        (0, false) => Ended::Passed,
    })
}

/// Plays one seed as `vipsim run` would play its schedule, with the whole timeline.
///
/// # Errors
/// Those of `out` and `err`.
pub fn replay(
    request: &Request,
    seed: u64,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Ended> {
    let Some((arena, _)) = prepare(request, err)? else {
        return Ok(Ended::Unusable);
    };
    let scenario = arena.schedule(seed).over(arena.scenario());
    let mut world = arena.world(&scenario);
    let began = Instant::now();
    let outcome = runner::run_unless(&scenario, &mut world, None, None, &request.stop);
    let wall = began.elapsed();
    let outcome = as_hunted(outcome);
    let told = run::Told { scenario: &scenario, seed, outcome: &outcome, wall, notes: &[] };
    told.print(world.events(), request.json, out)
}

/// A schedule expects nothing by name: what a hunt calls a violation fails it.
fn as_hunted(outcome: Outcome) -> Outcome {
    let unexplained = outcome.properties.iter().any(|judged| {
        judged.report.verdict == Verdict::Violated && judged.report.for_want_of.is_none()
    });
    let verdict = if unexplained { RunVerdict::Fail } else { outcome.verdict };
    Outcome { verdict, ..outcome }
}

/// Reads what is hunted over and looks whether it can be. Says on `err` what is not so.
fn prepare(request: &Request, err: &mut dyn Write) -> io::Result<Option<(Arena, Hunted)>> {
    let Some((scenario, configurations)) = request.over.read(request.colour, err)? else {
        return Ok(None);
    };
    let used = request.over.files().reads("the configuration", configurations.paths());
    let used = used.writes("--out", request.out.as_deref());
    if let Err(why) = used.writes("--html", request.html.as_deref()).check() {
        writeln!(err, "error: {why}")?;
        return Ok(None);
    }
    let hunted = Hunted {
        form: FORM,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: request.words(),
        ground: fingerprint(&scenario, &configurations),
        for_ns: u64::try_from(request.length.as_nanos()).unwrap_or(u64::MAX),
        behaviour: String::new(),
    };
    let plan = Plan::hunt(request.length, &request.classes);
    let arena = Arena::new(scenario, &configurations, plan);
    let bare = request.over.is_bare();
    let (ground, Request { length, classes, .. }) = (arena.ground(), request);
    if let Some(why) = refusal(&hunted.scenario, bare, ground, *length, classes) {
        writeln!(err, "error: {why}")?;
        return Ok(None);
    }
    Ok(Some((arena, hunted)))
}

/// Why there is nothing to hunt over this ground for so long and for these classes, in words.
/// `over` names it; `bare` if it is of configuration files alone.
#[must_use]
pub fn refusal(
    over: &str,
    bare: bool,
    ground: &Ground,
    length: Duration,
    classes: &[FaultClass],
) -> Option<String> {
    if ground.directors.is_empty() {
        return Some(format!("no host of {over} runs a virtual router"));
    }
    if bare && ground.pairs.is_empty() {
        let why = "no two of these files have an instance of one family and VRID: nobody takes \
                   over from anybody, and there is nothing to hunt for; name the files of routers \
                   that share a virtual router";
        return Some(why.to_owned());
    }
    let shortest = Plan::shortest(ground);
    lacks(ground, classes).or_else(|| {
        let (given, least) = (duration_text(length), duration_text(shortest));
        (length < shortest).then(|| {
            format!(
                "--for {given} leaves no time for faults: with these intervals and delays it \
                 takes {least} at least"
            )
        })
    })
}

/// The first of these classes that cannot be drawn here, and why.
fn lacks(ground: &Ground, classes: &[FaultClass]) -> Option<String> {
    let why = |class: &FaultClass| {
        let lacks = ground.lacks(*class)?;
        Some(format!("{} does not apply: {lacks}", class.name()))
    };
    classes.iter().find_map(why)
}

/// Which topology and configurations these are, in short.
fn fingerprint(scenario: &Scenario, configurations: &Configurations) -> String {
    let mut hash = Xxh3Default::new();
    hash.write(format!("{:?}{:?}", scenario.segments, scenario.hosts).as_bytes());
    for config in configurations.iter() {
        hash.write(format!("{config:?}").as_bytes());
    }
    format!("{:016x}", hash.finish())
}

/// Takes the next places, from 0, of `all` seeds: none once all of them are taken. What is taken
/// never passes `all`, so seeds may end where numbers do.
fn portion(taken: &AtomicU64, all: u64) -> Range<u64> {
    let end = |first: u64| first.saturating_add(PORTION).min(all);
    let first = taken
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |first| Some(end(first)))
        .unwrap_or(all);
    first..end(first)
}

/// Plays the seeds of this range on as many threads as are asked for.
fn play_all(
    request: &Request,
    arena: &Arena,
    hunted: Hunted,
    (from, until): (u64, u64),
    err: &mut dyn Write,
) -> io::Result<Tally> {
    let began = Instant::now();
    let (next, played) = (AtomicU64::new(0), AtomicU64::new(0));
    let empty = Tally::new(arena, hunted);
    let work = || {
        let mut tally = empty.clone();
        while !(request.stop)() {
            let places = portion(&next, until - from);
            // Each thread ends what it took, so that the seeds that were played are without a gap,
            // unless that takes too long.
            let taken = Instant::now();
            let stop = || (request.stop)() && taken.elapsed() > PATIENCE;
            if places.is_empty() {
                break;
            }
            for place in places {
                let seed = if stop() { None } else { arena.play_unless(from + place, &stop) };
                let Some(seed) = seed else { return tally };
                tally.add(&seed);
                played.fetch_add(1, Ordering::Relaxed);
            }
        }
        tally
    };
    let jobs = request.jobs.clamp(1, (until - from).div_ceil(PORTION).max(1));
    let mut told = Ok(());
    let (done, all_done) = mpsc::channel::<()>();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let work = &work;
        let spawn = |_| {
            let done = done.clone();
            scope.spawn(move || {
                let tally = work();
                drop(done);
                tally
            })
        };
        let workers: Vec<_> = (0..jobs).map(spawn).collect();
        drop(done);
        let mut progress = Progress { bar: request.bar, began, told_at: began };
        while let Err(RecvTimeoutError::Timeout) = all_done.recv_timeout(Duration::from_millis(200))
        {
            if told.is_ok() {
                told = progress.tell(played.load(Ordering::Relaxed), until - from, err);
            }
        }
        workers.into_iter().map(|worker| worker.join().expect("panics are caught")).collect()
    });
    told?;
    if request.bar {
        write!(err, "\r\x1b[K")?;
    }
    let mut tally = empty;
    for part in tallies {
        tally.merge(part).expect("threads share no seed");
    }
    tally.jobs = jobs;
    tally.wall_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    tally.interrupted = tally.played() < until - from;
    Ok(tally)
}

/// How far it is, on standard error.
struct Progress {
    bar: bool,
    began: Instant,
    told_at: Instant,
}

impl Progress {
    fn tell(&mut self, played: u64, all: u64, err: &mut dyn Write) -> io::Result<()> {
        const WIDTH: u64 = 30;
        const PAUSE: Duration = Duration::from_secs(30);
        if !self.bar && self.told_at.elapsed() < PAUSE {
            return Ok(());
        }
        self.told_at = Instant::now();
        let rate = report::rate(played, self.began.elapsed());
        if self.bar {
            let full = (u128::from(played) * u128::from(WIDTH) / u128::from(all.max(1))) as usize;
            let (done, left) = ("#".repeat(full), ".".repeat(WIDTH as usize - full));
            write!(err, "\r[{done}{left}] {played} of {all} seeds, {rate} seeds/s\x1b[K")?;
        } else {
            writeln!(err, "{played} of {all} seeds, {rate} seeds/s")?;
        }
        err.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vipd_scenarios::judge::PropertyId;

    use super::*;

    /// How a seed ends that is played again, and what it says, with S1 violated as nothing but this
    /// test saw.
    fn violated(json: bool, for_want_of: Option<PropertyId>) -> (Ended, String) {
        let pair = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/quiet/pair.toml");
        let read = run::read(&pair, Colour::Never, &mut Vec::new());
        let run::Read { scenario, configurations, .. } = read.expect("memory").expect("a pair");
        let plan = Plan::hunt(Duration::from_secs(180), &[FaultClass::Stop]);
        let arena = Arena::new(scenario, &configurations, plan);
        let scenario = arena.schedule(1).over(arena.scenario());
        let mut world = arena.world(&scenario);
        let mut outcome = runner::run(&scenario, &mut world, None, None);
        let mut all = outcome.properties.iter_mut().map(|judged| &mut judged.report);
        let s1 = all.find(|report| report.id == PropertyId::S1).expect("it is judged");
        (s1.verdict, s1.for_want_of) = (Verdict::Violated, for_want_of);
        let (outcome, wall, mut out) = (as_hunted(outcome), Duration::ZERO, Vec::new());
        let told = run::Told { scenario: &scenario, seed: 1, outcome: &outcome, wall, notes: &[] };
        let ended = told.print(world.events(), json, &mut out).expect("memory");
        (ended, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_seed_with_a_violation_that_is_played_again_fails() {
        let (ended, said) = violated(false, None);
        assert_eq!(ended, Ended::Failed);
        assert!(said.contains("\nS1        violated ") && said.contains("\nverdict: fail\n"));
        let (ended, said) = violated(true, None);
        let whole: serde_json::Value = serde_json::from_str(&said).expect("an object");
        assert_eq!((ended.status(), &whole["verdict"]), (1, &"fail".into()));
    }

    #[test]
    fn a_seed_whose_violation_is_for_want_of_another_property_passes() {
        let (ended, said) = violated(false, Some(PropertyId::S8));
        assert_eq!(ended, Ended::Passed);
        assert!(said.contains("\nS1        violated ") && said.contains("\nverdict: pass\n"));
    }

    #[test]
    fn shards_share_the_seeds_out_without_a_gap() {
        for (seeds, parts) in [(10, 3), (1_000_000_007, 1000), (2, 5), (u64::MAX / 2, 7)] {
            let mut next = 5;
            for index in 0..parts {
                let (from, until) = Shard { index, parts }.of(5, seeds);
                assert_eq!(from, next);
                next = until;
            }
            assert_eq!(next, 5 + seeds);
        }
    }

    #[test]
    fn a_shard_is_a_part_that_there_is() {
        assert_eq!(Shard::parse("3/8"), Ok(Shard { index: 3, parts: 8 }));
        for text in ["8/8", "0/0", "1", "a/2", "-1/2", "1/2/3"] {
            assert!(Shard::parse(text).is_err(), "{text}");
        }
    }
}
