//! `viplab conformance`: judges an implementation of VRRP by the requirements of the RFCs, from
//! packets and kernel state alone.
//!
//! An `experiment` is a virtual router on a LAN of its own, with what is put on the wire when and
//! what each requirement makes of what was seen; `rows` has them all. A `stage` plays many of
//! them with one process of the target. `judging` makes a [`Row`] per requirement of it, which
//! `report` prints. [`requirement`] is what `requirements.toml` says.

mod deviations;
mod experiment;
mod judging;
mod octets;
mod report;
pub mod requirement;
mod rows;
mod site;
mod stage;
mod target;
mod verdict;
mod view;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

pub use judging::judge;
use requirement::Requirement;
pub use site::Terms;
use vipd_engine::Profile;
use vipd_sim::output::Output;
use vipd_sim::run::{Ended, said};

use crate::node::Kind;

/// What the start of a target may take, besides the tolerance.
const START: Duration = Duration::from_millis(400);

/// What to judge, by what, and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom.
    pub target: Kind,
    /// By whose rules.
    pub profile: Profile,
    /// Only these rows and experiments, by name; all if there is none.
    pub only: Vec<String>,
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
}

/// What came of a whole run.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Of each requirement that was asked for, in the order of the ledger.
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
    // Whether it can be written is known before the work, not after it.
    let page = match request.html.as_deref().map(Output::open).transpose() {
        Ok(page) => page,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
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
    let unwritten =
        page.and_then(|page| page.write(report::page(request, &judged).as_bytes()).err());
    let failed = judged.rows.iter().any(|row| row.outcome == Outcome::Fail);
    said(if failed { Ended::Failed } else { Ended::Passed }, unwritten.as_slice(), err)
}
