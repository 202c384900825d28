//! `viplab conformance`: judges an implementation of VRRP by the requirements of the RFCs, from
//! packets and kernel state alone.
//!
//! An [`experiment`] is a virtual router on a LAN of its own, with what is put on the wire when and
//! what each requirement makes of what was seen; [`rows`] has them all. A [`stage`] plays many of
//! them with one process of the target. What comes of it is a [`Row`] per requirement, which
//! [`report`] prints. [`requirement`] is what `requirements.toml` says.

mod deviations;
#[allow(dead_code, reason = "rows that are not built yet need the rest")]
mod experiment;
mod octets;
mod report;
pub mod requirement;
mod rows;
mod site;
mod stage;
mod target;
mod verdict;
#[allow(dead_code, reason = "rows that are not built yet need the rest")]
mod view;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use experiment::Stage;
use requirement::{Requirement, Wire, requirements};
pub use site::Terms;
use stage::Played;
use verdict::{Verdict, Wrong};
use vipd_engine::Profile;
use vipd_sim::run::Ended;

use crate::node::Kind;
use crate::run::program;

/// What the start of a target may take, besides the tolerance.
const START: Duration = Duration::from_millis(400);

/// What to judge, by what, and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom.
    pub target: Kind,
    /// By whose rules.
    pub profile: Profile,
    /// The program vipd; the one beside this program if `None`.
    pub vipd: Option<PathBuf>,
    /// Print one JSON object instead of text.
    pub json: bool,
    /// Where to write a page.
    pub html: Option<PathBuf>,
    /// What this machine may be late by.
    pub tolerance: Duration,
    /// Asked now and then: yes ends the run.
    pub stop: fn() -> bool,
}

/// How a requirement fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It does not hold, and that is known, with its reason.
    Deviation,
    /// It is no requirement of the profile, or nothing of the target's.
    NotApplicable,
    /// No experiment judges it.
    NotBuilt,
}

impl Outcome {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Deviation => "deviation",
            Self::NotApplicable => "not_applicable",
            Self::NotBuilt => "not_built",
        }
    }
}

/// What came of a requirement.
#[derive(Clone, Debug)]
pub struct Row {
    /// The requirement.
    pub requirement: Requirement,
    /// How it fares.
    pub outcome: Outcome,
    /// What was measured.
    pub measured: Option<String>,
    /// Why it is not a plain pass.
    pub reason: Option<String>,
    /// The number of the known deviation.
    pub deviation: Option<&'static str>,
}

/// What came of a whole run.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Of each requirement, in the order of the ledger.
    pub rows: Vec<Row>,
    /// Known deviations of the target, with what they are, and whether they were found; `None` if
    /// no row that was judged could show it.
    pub known: Vec<(&'static str, &'static str, Option<bool>)>,
    /// How long it took.
    pub wall: Duration,
}

/// Each requirement with the experiments that judge it. Needs no root.
#[must_use]
pub fn proofs() -> BTreeMap<&'static str, Vec<String>> {
    let terms = Terms { target: Kind::Vipd, profile: Profile::DropIn };
    let mut proofs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for experiment in rows::catalogue(&terms).iter().flat_map(|stage| &stage.experiments) {
        for (row, _) in &experiment.judges {
            let names = proofs.entry(*row).or_default();
            if !names.contains(&experiment.name) {
                names.push(experiment.name.clone());
            }
        }
    }
    proofs
}

/// Prints a line per row that is judged: the row and the experiments.
///
/// # Errors
/// Those of `out`.
pub fn list(out: &mut dyn Write) -> io::Result<()> {
    for (row, experiments) in proofs() {
        writeln!(out, "{row} {}", experiments.join(" "))?;
    }
    Ok(())
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn run(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let judged = match judge(request) {
        Ok(judged) => judged,
        Err(reason) => {
            writeln!(err, "error: {reason}")?;
            return Ok(if nix::unistd::geteuid().is_root() {
                Ended::Unusable
            } else {
                Ended::Skipped
            });
        }
    };
    if request.json {
        report::json(request, &judged, out)?;
    } else {
        report::table(request, &judged, out)?;
    }
    if let Some(path) = &request.html
        && let Err(error) = std::fs::write(path, report::page(request, &judged))
    {
        writeln!(err, "error: cannot write {}: {error}", path.display())?;
        return Ok(Ended::Unusable);
    }
    let failed = judged.rows.iter().any(|row| row.outcome == Outcome::Fail);
    Ok(if failed { Ended::Failed } else { Ended::Passed })
}

/// Plays every stage and judges every requirement.
///
/// # Errors
/// What this machine lacks, or what went wrong in the laboratory, in words.
pub fn judge(request: &Request) -> Result<Judged, String> {
    let began = Instant::now();
    let requirements = requirements()?;
    let program = program(request.target, request.vipd.as_deref())?;
    let terms = Terms { target: request.target, profile: request.profile };
    let mut stages = rows::catalogue(&terms);
    let lacking = leave_out(&mut stages, &terms);
    let mut played = Vec::new();
    for round in stages.chunk_by(|one, other| one.round == other.round) {
        played.extend(play(round, &terms, &program, request.stop)?);
    }
    let mut verdicts: BTreeMap<&str, Vec<(String, Verdict)>> = BTreeMap::new();
    for (stage, played) in stages.iter().zip(played) {
        for (experiment, notes) in stage.experiments.iter().zip(&played.notes) {
            let (marks, late) = (&played.marks[..], request.tolerance);
            let view = view::View { terms: &terms, experiment, notes, marks, late, start: START };
            for (row, judge) in &experiment.judges {
                verdicts.entry(row).or_default().push((experiment.name.clone(), judge(&view)));
            }
        }
        if played.notes.iter().all(|notes| notes.frames.is_empty()) && stage.configuration.is_none()
        {
            return Err(format!("the target said nothing at all: {}", played.last_words));
        }
    }
    let rows: Vec<_> = requirements
        .into_iter()
        .map(|requirement| {
            let verdicts = verdicts.remove(requirement.id.as_str()).unwrap_or_default();
            let lacking = lacking.get(requirement.id.as_str()).map(String::as_str);
            settle(&requirement, &verdicts, lacking, &terms)
        })
        .collect();
    let known = deviations::known(request.target).iter().map(|known| {
        let of = |row: &&Row| known.shown_by.iter().any(|(id, _)| *id == row.requirement.id);
        let judged = rows.iter().filter(of).any(|row| row.outcome <= Outcome::Deviation);
        let found = rows.iter().any(|row| row.deviation == Some(known.id));
        (known.id, known.fact, judged.then_some(found))
    });
    Ok(Judged { known: known.collect(), rows, wall: began.elapsed() })
}

/// Leaves out what the target lacks something for, and says what, by row.
fn leave_out(stages: &mut [Stage], terms: &Terms) -> BTreeMap<&'static str, String> {
    let mut lacking = BTreeMap::new();
    for stage in stages {
        stage.experiments.retain(|experiment| {
            let found = target::lacks(experiment, terms);
            if let Some(reason) = &found {
                for (row, _) in &experiment.judges {
                    lacking.entry(*row).or_insert_with(|| reason.clone());
                }
            }
            found.is_none()
        });
    }
    lacking
}

/// Plays the stages of a round side by side.
fn play(
    round: &[Stage],
    terms: &Terms,
    program: &Path,
    stop: fn() -> bool,
) -> Result<Vec<Played>, String> {
    thread::scope(|scope| {
        let play = |stage| scope.spawn(move || stage::play(stage, terms, program, stop));
        let threads: Vec<_> = round.iter().map(play).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        ended.collect()
    })
}

/// All verdicts of a row make one.
fn settle(
    requirement: &Requirement,
    verdicts: &[(String, Verdict)],
    lacking: Option<&str>,
    terms: &Terms,
) -> Row {
    let row = |outcome, measured, reason| {
        let requirement = requirement.clone();
        Row { requirement, outcome, measured, reason, deviation: None }
    };
    if terms.profile != Profile::DropIn && !requirement.holds_in(terms.profile) {
        let reason = format!("no requirement of {}", terms.profile.name());
        return row(Outcome::NotApplicable, None, Some(reason));
    }
    if let Some(lacking) = lacking.filter(|_| verdicts.is_empty()) {
        return row(Outcome::NotApplicable, None, Some(lacking.to_owned()));
    }
    if verdicts.is_empty() {
        return match requirement.wire() {
            Some(Wire::NotApplicable(why)) => {
                row(Outcome::NotApplicable, None, Some(why.to_owned()))
            }
            Some(Wire::NotBuilt(why)) => row(Outcome::NotBuilt, None, Some(why.to_owned())),
            Some(Wire::Judged(_)) | None => {
                row(Outcome::NotBuilt, None, Some("no experiment judges it".to_owned()))
            }
        };
    }
    let wrongs: Vec<_> = verdicts
        .iter()
        .filter_map(|(name, verdict)| Some((name, verdict.as_ref().err()?)))
        .collect();
    if wrongs.is_empty() {
        let told =
            verdicts.iter().filter_map(|(name, verdict)| Some((name, verdict.as_ref().ok()?)));
        let told: Vec<_> = told.map(|(name, text)| format!("{name}: {text}")).collect();
        return row(Outcome::Pass, Some(told.join("; ")), None);
    }
    let told: Vec<_> =
        wrongs.iter().map(|(name, wrong)| format!("{name}: {}", wrong.measured)).collect();
    let measured = Some(told.join("; "));
    let known = deviations::known(terms.target);
    let of = |wrong: &Wrong| {
        let shows =
            |(id, symptom): &(&str, &str)| *id == requirement.id && *symptom == wrong.symptom;
        known.iter().find(|known| known.shown_by.iter().any(shows))
    };
    let found: Option<Vec<_>> = wrongs.iter().map(|(_, wrong)| of(wrong)).collect();
    if let Some(found) = found
        && let Some(first) = found.first()
    {
        let reason = Some(format!("{}: {}", first.id, first.fact));
        let deviation = Some(first.id);
        return Row { deviation, ..row(Outcome::Deviation, measured, reason) };
    }
    let tried = wrongs.iter().all(|(_, wrong)| wrong.symptom != "untried");
    let left = terms.target == Kind::Vipd && !requirement.holds_in(terms.profile) && tried;
    match requirement.deviation.clone().filter(|_| left) {
        Some(why) => row(Outcome::Deviation, measured, Some(why)),
        None => row(Outcome::Fail, measured, None),
    }
}
