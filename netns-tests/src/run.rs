//! `viplab run`: reads a scenario and its configurations, plays it on real namespaces, prints what
//! came of it as `vipsim run` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vipd_config::diagnostics::Colour;
use vipd_scenarios::record::{Recorder, WorldTime};
use vipd_scenarios::report::files::Files;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::Shown;
use vipd_scenarios::runner::{self, Outcome};
use vipd_scenarios::scenario::{Host, Scenario};
use vipd_scenarios::world::World;
use vipd_sim::output::Outputs;
use vipd_sim::run::{Ended, Read, Told, no_capture, read, said};

use crate::frr;
use crate::kernel;
use crate::node::Kind;
use crate::steps;
use crate::world::Lab;

/// What to run, on what, and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The scenario file.
    pub file: PathBuf,
    /// What runs on a host, by its name; vipd where nothing is said.
    pub nodes: BTreeMap<String, Kind>,
    /// The program vipd; the one beside this program if `None`.
    pub vipd: Option<PathBuf>,
    /// Print one JSON object instead of text.
    pub json: bool,
    /// Where to write a capture of every port.
    pub capture: Option<PathBuf>,
    /// Which files to write about the run.
    pub files: Files,
    /// What this machine may be late by.
    pub tolerance: Duration,
    /// End earlier or later than the scenario says.
    pub until: Option<Duration>,
    /// Colours on `err`.
    pub colour: Colour,
    /// Asked now and then: yes ends the run there, and what was found is printed.
    pub stop: fn() -> bool,
}

impl Request {
    /// What runs on a host.
    pub(crate) fn kind_of(&self, host: &Host) -> Kind {
        self.nodes.get(&*host.name).copied().unwrap_or_default()
    }
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn run(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let Some(read) = read(&request.file, request.colour, err)? else {
        return Ok(Ended::Unusable);
    };
    let Read { scenario, configurations, notes } = read;
    // Whether they can be written is known before the work, not after it.
    let files = match Outputs::open(&request.files) {
        Ok(files) => files,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    let print = |outcome: &Outcome, wall: Duration, frames: u64, out: &mut dyn Write| {
        let (scenario, seed) = (&scenario, scenario.seed);
        Told { scenario, seed, outcome, wall, notes: &notes }.print(frames, request.json, out)
    };
    let mut lacking = steps::lacking(&scenario, &request.nodes);
    lacking.extend(kernel::lacking(&scenario.needs));
    if !lacking.is_empty() {
        return print(&runner::skip(&scenario, lacking), Duration::ZERO, 0, out);
    }
    let lab = programs(request, &scenario)
        .inspect(|programs| warm(programs))
        .and_then(|programs| Lab::new(&scenario, configurations, &programs, request.tolerance));
    let mut lab = match lab {
        Ok(lab) => lab,
        Err(reason) => {
            writeln!(err, "error: {reason}")?;
            return Ok(Ended::Unusable);
        }
    };
    if let Some(path) = &request.capture
        && let Err(error) =
            File::create(path).and_then(|file| lab.capture_to(&scenario, BufWriter::new(file)))
    {
        writeln!(err, "error: {}", no_capture(path, &error))?;
        return Ok(Ended::Unusable);
    }
    let until = request.until.map(|until| WorldTime(0).later(until));
    let began = Instant::now();
    let mut history = request.files.wanted().then(|| History::new(lab.setting()));
    let also = history.as_mut().map(|history| history as &mut dyn Recorder);
    let outcome = runner::run_unless(&scenario, &mut lab, until, also, &request.stop);
    let wall = began.elapsed();
    let mut unwritten = Vec::new();
    if let (Some(path), Err(error)) = (&request.capture, lab.finish_capture()) {
        unwritten.push(no_capture(path, &error));
    }
    let ended = print(&outcome, wall, lab.frames(), out)?;
    if let Some(history) = &history {
        let (label, scenario, outcome) = ("real", &scenario, &outcome);
        let shown = Shown { label, scenario, seed: None, outcome, history };
        unwritten.extend(files.write(&shown));
    }
    let ended = said(ended, &unwritten, err)?;
    tell(&lab, err)?;
    let sound = [lab.trouble(), lab.late(), lab.differences()].iter().all(|told| told.is_empty());
    Ok(if sound { ended } else { Ended::Failed })
}

/// Says what was wrong with the laboratory itself.
fn tell(lab: &Lab, err: &mut dyn Write) -> io::Result<()> {
    for trouble in lab.trouble() {
        writeln!(err, "trouble in the laboratory: {trouble}")?;
    }
    for late in lab.late() {
        writeln!(err, "this machine was too busy: {late}")?;
    }
    for difference in lab.differences() {
        writeln!(err, "kernel and wire differ: {difference}")?;
    }
    Ok(())
}

/// What runs on each host: which kind, and where its program is.
pub(crate) fn programs(
    request: &Request,
    scenario: &Scenario,
) -> Result<Vec<(Kind, PathBuf)>, String> {
    let runs_vrrp =
        |name: &str| scenario.hosts.iter().any(|host| *host.name == *name && host.config.is_some());
    if let Some(name) = request.nodes.keys().find(|name| !runs_vrrp(name)) {
        return Err(format!("{} has no host {name} that runs VRRP", scenario.name));
    }
    let of_host = |host: &Host| {
        let kind = request.kind_of(host);
        let program = if host.config.is_some() {
            program(kind, request.vipd.as_deref())?
        } else {
            PathBuf::new()
        };
        Ok((kind, program))
    };
    scenario.hosts.iter().map(of_host).collect()
}

/// The first start of a program reads it and its libraries from a disk: that is not to be measured.
fn warm(programs: &[(Kind, PathBuf)]) {
    let distinct: BTreeSet<_> = programs.iter().map(|(_, program)| program).collect();
    for program in distinct.into_iter().filter(|program| !program.as_os_str().is_empty()) {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.status();
    }
}

/// Where the program of a kind is.
pub(crate) fn program(kind: Kind, vipd: Option<&Path>) -> Result<PathBuf, String> {
    match kind {
        Kind::Keepalived => found("keepalived")
            .ok_or_else(|| "keepalived is not installed (Debian package keepalived)".to_string()),
        Kind::Frr => {
            let daemons = ["zebra", "vrrpd"].map(|name| Path::new(frr::FOLDER).join(name));
            let [_, vrrpd] = daemons.clone();
            let complete = daemons.iter().all(|path| path.is_file());
            complete.then_some(vrrpd).ok_or_else(|| {
                format!("FRR is not installed in {} (Debian package frr)", frr::FOLDER)
            })
        }
        Kind::Vipd => match vipd {
            Some(path) if path.is_file() => Ok(path.to_path_buf()),
            Some(path) => Err(format!("there is no program {}", path.display())),
            None => beside().ok_or_else(|| {
                "there is no vipd beside viplab: build it with `cargo build --release`, or name \
                 it with --vipd PATH, or try keepalived instead"
                    .to_string()
            }),
        },
    }
}

/// The vipd in the folder of this program, or in the one above it, where a test finds it.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let folders = own.ancestors().skip(1).take(2);
    folders.map(|folder| folder.join("vipd")).find(|path| path.is_file())
}

/// Where a program is.
#[must_use]
pub fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}
