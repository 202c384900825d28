//! `vipsim rehearse`: what each class of faults means for one's own pair, as one page: the worst of
//! a thousand runs of each class with these files, next to its formula, and what the files could do
//! better.
//!
//! [`stage`] plays, [`meter`] measures, [`formula`] knows the bounds, [`advice`] reads the files,
//! [`page`] and [`html`] show it. This file is the command. It reads no clock.

pub mod advice;
pub mod formula;
pub mod html;
pub mod meter;
mod mute;
pub mod page;
pub mod stage;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_engine::News;
use vipd_scenarios::report::timeline::What;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};

use crate::bare_files::{self, Bare};
use crate::faults::FaultClass;
use crate::files::NamedFiles;
use crate::output::Output;
use crate::run::{Ended, Told, said};
use advice::Advice;
use formula::Symbols;
use stage::{Rehearsed, Stage};

/// Runs of each class unless somebody wants another number.
pub const RUNS: u64 = 1000;

/// Lines of a timeline on the terminal.
const SHORT: usize = 14;

/// What to rehearse and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The files, each as `FILE` or as `NAME=FILE`.
    pub files: Vec<PathBuf>,
    /// Only these classes.
    pub classes: Vec<FaultClass>,
    /// Runs of each.
    pub runs: u64,
    /// This run of the one class alone, with its whole timeline.
    pub seed: Option<u64>,
    /// How many threads.
    pub jobs: u64,
    /// One JSON object instead of the page.
    pub json: bool,
    /// Where the page is written as HTML, too.
    pub html: Option<PathBuf>,
    /// A bar while it works.
    pub bar: bool,
    /// Colours on `err`.
    pub colour: Colour,
    /// Asked now and then: yes ends it, and what was found is shown.
    pub stop: fn() -> bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Hosts and their files.
    pub hosts: Vec<(String, PathBuf)>,
    /// What was made up, and what is odd.
    pub remarks: Vec<String>,
    /// What the files could do better.
    pub advice: Vec<Advice>,
    /// Each class.
    pub classes: Vec<Rehearsed>,
    /// The symbols of the formulas.
    pub symbols: Symbols,
    /// Runs of each class that were wanted.
    pub runs: u64,
    /// Simulated time of each run.
    pub length: Duration,
    /// The lines of the worst runs, by class and seed.
    pub timelines: BTreeMap<(FaultClass, u64), Vec<String>>,
    /// It was told to end before its time.
    pub interrupted: bool,
}

impl Rehearsal {
    /// The command that plays a run again.
    #[must_use]
    pub fn replay(&self, class: FaultClass, seed: u64) -> String {
        let files = self.hosts.iter().map(|(name, path)| {
            let stem = path.file_stem().unwrap_or_default();
            let path = path.display().to_string();
            bare_files::shell(&if stem == name.as_str() { path } else { format!("{name}={path}") })
        });
        let files: Vec<_> = files.collect();
        format!("vipsim rehearse {} --class {} --seed {seed}", files.join(" "), class.name())
    }

    /// Whether something lasted longer than its bound.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        let worst = self.classes.iter().flat_map(|class| class.worst.iter().flatten());
        worst.into_iter().any(stage::Worst::is_beyond)
    }
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn rehearse(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let Some(bare) = bare_files::read(&request.files, request.colour, err)? else {
        return Ok(Ended::Unusable);
    };
    let used = NamedFiles::default().reads("the configuration", bare.configurations.paths());
    if let Err(why) = used.writes("--html", request.html.as_deref()).check() {
        writeln!(err, "error: {why}")?;
        return Ok(Ended::Unusable);
    }
    let advice = advice::advise(&bare.files);
    let stage = Stage::new(&bare);
    if !stage.has_a_pair() {
        out.write_all(page::advice_text(&advice).as_bytes())?;
        writeln!(
            err,
            "error: no two of these files have an instance of one family and VRID: nobody takes \
             over from anybody, and there is nothing to rehearse"
        )?;
        return Ok(Ended::Unusable);
    }
    if let Some(seed) = request.seed {
        let [class] = request.classes[..] else {
            writeln!(err, "error: --seed is of one class: name it with --class")?;
            return Ok(Ended::Unusable);
        };
        return replay(request, &stage, class, seed, (out, err));
    }
    // Whether it can be written is known before the work, not after it.
    let file = match request.html.as_deref().map(Output::open).transpose() {
        Ok(file) => file,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    let rehearsal = play(request, &stage, &bare, advice, err)?;
    let written = file.map(|file| file.write(html::html(&rehearsal, &stage).as_bytes()));
    if request.json {
        writeln!(out, "{:#}", page::json(&rehearsal))?;
    } else {
        out.write_all(page::text(&rehearsal).as_bytes())?;
    }
    out.flush()?;
    let ended = match (rehearsal.is_beyond(), rehearsal.interrupted) {
        (true, _) => Ended::Failed,
        (false, true) => Ended::Skipped,
        (false, false) => Ended::Passed,
    };
    let unwritten: Vec<_> = written.and_then(Result::err).into_iter().collect();
    said(ended, &unwritten, err)
}

fn play(
    request: &Request,
    stage: &Stage,
    bare: &Bare,
    advice: Vec<Advice>,
    err: &mut dyn Write,
) -> io::Result<Rehearsal> {
    let all = request.classes.len() as u64 * request.runs;
    let bar = request.bar;
    let mut told = |done: u64| {
        if bar {
            let _ = write!(err, "\r\x1b[K{done} of {all} runs");
            let _ = err.flush();
        }
    };
    let classes =
        stage.play(&request.classes, request.runs, request.jobs, &request.stop, &mut told);
    if bar {
        write!(err, "\r\x1b[K")?;
    }
    let wanted = |class: &Rehearsed| class.lacks.is_none();
    let interrupted = (request.stop)()
        && classes.iter().filter(|one| wanted(one)).any(|one| one.runs < request.runs);
    if interrupted {
        writeln!(err, "note: interrupted; this is the worst of what was played until then")?;
    }
    let mut timelines = BTreeMap::new();
    for class in &classes {
        for worst in class.worst.iter().flatten() {
            let key = (class.class, worst.seed);
            timelines.entry(key).or_insert_with(|| timeline(stage, class.class, worst.seed));
        }
    }
    let hosts = bare.files.iter().map(|file| (file.name.to_string(), file.path.clone()));
    Ok(Rehearsal {
        hosts: hosts.collect(),
        remarks: bare.remarks.clone(),
        advice,
        classes,
        symbols: stage.symbols,
        runs: request.runs,
        length: stage.length(),
        timelines,
        interrupted,
    })
}

/// What happened to the virtual routers and the clients in a run, from its fault on.
fn timeline(stage: &Stage, class: FaultClass, seed: u64) -> Vec<String> {
    let schedule = stage.schedule(class, seed);
    let scenario = stage.scenario(class, &schedule);
    let outcome = runner::run(&scenario, &mut stage.world(&scenario), None, None);
    let first = schedule.first_fault().unwrap_or_default();
    // After a single fault everybody runs again: what restores them changes nothing.
    let restores = |what: &What| match what {
        What::Step(timed) => schedule.restore.iter().any(|one| Arc::ptr_eq(one, timed)),
        _ => false,
    };
    let text = outcome.timeline.text();
    let lines = outcome.timeline.entries().iter().zip(text.lines());
    let lines = lines.filter(|(entry, _)| entry.at >= first && tells(&entry.what));
    let lines = lines.filter(|(entry, _)| !restores(&entry.what));
    lines.map(|(_, line)| line.trim_end().to_owned()).collect()
}

/// Whether a line is about who is master, why, and who answers.
const fn tells(what: &What) -> bool {
    match what {
        What::Step(_) | What::Resigned(_) | What::Owns(..) | What::AnsweredBy(_) => true,
        What::Engine(event) => matches!(
            event.news,
            News::State { .. }
                | News::Mismatch { .. }
                | News::ForeignVrid { .. }
                | News::OneWay { .. }
                | News::Flapping { .. }
        ),
        What::Ended
        | What::LostAdvert(_)
        | What::Fib(..)
        | What::Destination(..)
        | What::Announced(..) => false,
    }
}

/// Plays one run with its whole timeline, and says of it what a rehearsal would.
fn replay(
    request: &Request,
    stage: &Stage,
    class: FaultClass,
    seed: u64,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> io::Result<Ended> {
    if let Some(lacks) = stage.lacks(class) {
        writeln!(err, "error: {} does not apply: {lacks}", class.name())?;
        return Ok(Ended::Unusable);
    }
    let schedule = stage.schedule(class, seed);
    let scenario = stage.scenario(class, &schedule);
    let mut world = stage.world(&scenario);
    let mut meter = stage.meter(&scenario);
    let outcome = runner::run_unless(&scenario, &mut world, None, Some(&mut meter), &request.stop);
    let worst = stage
        .hits(&schedule)
        .then(|| stage.beside_bounds(class, &schedule, meter.finish(outcome.end)));
    let is_beyond = worst.iter().flatten().flatten().any(stage::Worst::is_beyond);
    // A schedule expects nothing by name; what a rehearsal marks fails it.
    let verdict = if is_beyond { RunVerdict::Fail } else { outcome.verdict };
    let outcome = Outcome { verdict, ..outcome };
    let told =
        Told { scenario: &scenario, seed, outcome: &outcome, wall: Duration::ZERO, notes: &[] };
    if request.json {
        let mut object = told.json(world.events());
        object["worst"] = worst.as_ref().map_or(Value::Null, page::run_json);
        writeln!(out, "{object:#}")?;
    } else {
        out.write_all(told.text().as_bytes())?;
        out.write_all(page::run_text(class, seed, worst.as_ref()).as_bytes())?;
    }
    out.flush()?;
    Ok(told.ended())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::output::tests::folder;

    /// How the first run of this class ends, and what it says; with `shorter` beside formulas in
    /// which `M` is 0.
    fn replayed(class: FaultClass, json: bool, shorter: bool) -> (Ended, String) {
        let folder = folder(&format!("rehearsed-{json}-{shorter}"));
        let files = [("lb1", 200), ("lb2", 100)].map(|(name, priority)| {
            let text = format!(
                "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority \
                 {priority}\n mcast_src_ip 192.0.2.{priority}\n virtual_ipaddress {{\n \
                 192.0.2.250/24\n }}\n}}\n"
            );
            let path = folder.join(name).with_extension("conf");
            fs::write(&path, text).expect("a file");
            path
        });
        let request = Request {
            files: files.to_vec(),
            classes: vec![class],
            runs: 1,
            seed: Some(1),
            jobs: 1,
            json,
            html: None,
            bar: false,
            colour: Colour::Never,
            stop: || false,
        };
        let bare = bare_files::read(&request.files, Colour::Never, &mut Vec::new());
        let mut stage = Stage::new(&bare.expect("memory").expect("usable files"));
        if shorter {
            stage.symbols.down = Duration::ZERO;
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = replay(&request, &stage, class, 1, (&mut out, &mut err)).expect("memory");
        fs::remove_dir_all(&folder).expect("it goes");
        (ended, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_run_that_lasts_longer_than_its_formula_fails_as_the_whole_rehearsal_does() {
        let (ended, said) = replayed(FaultClass::HostCrash, false, true);
        assert_eq!(ended, Ended::Failed, "{said}");
        assert!(said.contains("\nverdict: fail\n"), "{said}");
        assert!(said.contains("1 host-crash, seed 1, is longer than its formula:\n"), "{said}");
        assert!(said.contains("  LONGER THAN M + D = 100us\n"), "{said}");
        let (ended, said) = replayed(FaultClass::HostCrash, true, true);
        let whole: Value = serde_json::from_str(&said).expect("an object");
        assert_eq!((ended, &whole["verdict"]), (Ended::Failed, &"fail".into()));
        assert_eq!(whole["worst"]["failover"]["beyond"], true, "{whole}");
    }

    #[test]
    fn a_run_within_its_formula_passes_and_says_what_was_measured() {
        let (ended, said) = replayed(FaultClass::HostCrash, false, false);
        assert_eq!(ended, Ended::Passed, "{said}");
        assert!(said.contains("\nverdict: pass\n") && !said.contains("LONGER"), "{said}");
        assert!(said.contains("1 host-crash, seed 1, is within its formula:\n"), "{said}");
        assert!(said.contains("  at most M + D = 3.609475s\n"), "{said}");
    }
}
