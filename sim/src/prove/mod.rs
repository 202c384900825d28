//! `vipsim prove`: tries every placement of a few faults among a few nodes, at every instant of a
//! lattice, and says whether the properties hold in all of them.
//!
//! [`plan`] is what is searched, [`node`] what one engine does, [`world`] how all of it goes on,
//! [`claims`] what is to hold, [`mod@search`] the search, [`counterexample`] the scenario file of
//! what does not, [`report`] what is printed. docs/proving.md says what a complete search promises.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::prove::counterexample::{Counterexample, HEADER};
use crate::prove::plan::Plan;
use crate::prove::report::Report;
use crate::prove::search::{Layer, search};
use crate::run::Ended;

pub mod claims;
pub mod counterexample;
pub mod node;
pub mod plan;
pub mod report;
pub mod search;
mod visited;
pub mod world;

/// What to search and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is searched.
    pub plan: Plan,
    /// Most octets of memory, about.
    pub memory: usize,
    /// Where the scenario of a counter-example goes; its configuration is put beside it.
    pub out: Option<PathBuf>,
    /// One JSON object instead of text.
    pub json: bool,
    /// Asked now and then: yes ends the search there, and what was found is printed.
    pub stop: fn() -> bool,
}

/// Does what is asked for. It says on `err` how far it is.
///
/// # Errors
/// Those of `out` and `err`.
pub fn prove(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    if let Some(path) = &request.out
        && let Err(reason) = check_out(path)
    {
        writeln!(err, "error: cannot write {reason}")?;
        return Ok(Ended::Unusable);
    }
    let began = Instant::now();
    let mut told = Ok(());
    let mut tell = |layer: &Layer| {
        let Layer { faults, states, steps } = layer;
        let line = format!("{faults} faults: {states} states, {steps} steps");
        told = writeln!(err, "{line}, {:.1} s", began.elapsed().as_secs_f64());
    };
    let found = search(request.plan.clone(), request.memory, &request.stop, &mut tell);
    told?;
    let wall = began.elapsed();
    let name = request.out.as_deref().unwrap_or(Path::new("counterexample.toml"));
    let mut counterexample = found
        .counterexample
        .as_ref()
        .map(|(violation, path)| Counterexample::new(&request.plan, *violation, path, name));
    let mut unwritten = None;
    if let (Some(path), Some(counterexample)) = (&request.out, &mut counterexample) {
        unwritten = counterexample.write(path).err();
    }
    let (plan, file) = (&request.plan, request.out.as_deref().filter(|_| unwritten.is_none()));
    let report =
        Report { plan, found: &found, counterexample: counterexample.as_ref(), file, wall };
    if request.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        out.write_all(report.text().as_bytes())?;
    }
    out.flush()?;
    if let (Some(error), Some(found)) = (unwritten, &counterexample) {
        writeln!(err, "error: {error}: here it is")?;
        writeln!(err, "{}\n{}", found.scenario, found.configuration)?;
        return Ok(Ended::Unusable);
    }
    Ok(match (&counterexample, found.is_complete()) {
        (Some(_), _) => Ended::Failed,
        (None, true) => Ended::Passed,
        (None, false) => Ended::Skipped,
    })
}

/// Whether both files can be written, before a search that may take hours. A file that somebody
/// else wrote is not touched. The error names the one that cannot.
fn check_out(path: &Path) -> Result<(), String> {
    if path.extension().is_none_or(|extension| extension != "toml") {
        let shown = path.display();
        return Err(format!("{shown}: a scenario is a file whose name ends in .toml"));
    }
    for path in [path.to_path_buf(), path.with_extension("conf")] {
        let shown = path.display();
        if path.exists() {
            let mut first = String::new();
            let opened = File::open(&path).map(BufReader::new);
            let read = opened.and_then(|mut file| file.read_line(&mut first));
            if read.is_err() || first.trim_end() != HEADER {
                return Err(format!("{shown}: it is not of `vipsim prove`: name another file"));
            }
            let opened = OpenOptions::new().append(true).open(&path);
            opened.map_err(|error| format!("{shown}: {error}"))?;
        } else {
            let made = File::create_new(&path).and_then(|_| fs::remove_file(&path));
            made.map_err(|error| format!("{shown}: {error}"))?;
        }
    }
    Ok(())
}

/// Octets with a unit: `500M`, `4G`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_octets(text: &str) -> Result<usize, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(format!("has the unknown unit `{unit}`; K, M and G are known")),
    };
    let number: usize =
        number.parse().map_err(|_| "is no number of octets such as 500M".to_owned())?;
    let octets = number.checked_mul(1 << shift).ok_or("is more than can be counted")?;
    if octets < 16 << 20 { Err("is too little: 16M at least".to_owned()) } else { Ok(octets) }
}
