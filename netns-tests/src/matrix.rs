//! `viplab matrix`: each pairing of implementations in each mode of VRRP, through everything that
//! makes a backup take over, and one table.
//!
//! A mode is an ordinary scenario of the folder `matrix`: `a` has the higher priority, `b` takes
//! over. A cell is that scenario on two implementations, judged as `viplab run` judges it. Where a
//! peer is known to do something else than the scenario says, [`crate::deviations`] names it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use vipd_engine::Family;
use vipd_scenarios::record::{HostId, WorldTime};
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::{Scenario, Step};
use vipd_sim::configurations::Configurations;
use vipd_sim::run::{Ended, Read, read};

use crate::batch::{Tries, play_all, side_by_side};
use crate::deviations::{Evidence, Fact, Run};
use crate::frr;
use crate::node::Kind;
use crate::run::{Request as One, programs};
use crate::world::Lab;

mod table;

/// The hosts of every scenario of the matrix, by their places.
const MASTER: HostId = HostId(0);
const BACKUP: HostId = HostId(1);

/// What to play and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder with the scenario files; those of the matrix are in its folder `matrix`.
    pub folder: PathBuf,
    /// These pairings; all nine if empty.
    pub only: Vec<Pairing>,
    /// These modes; all if empty.
    pub modes: Vec<Mode>,
    /// How each cell is played; its file and its nodes are not looked at.
    pub how: One,
    /// How many cells are played at a time.
    pub jobs: NonZeroUsize,
}

/// Who is master and who is its backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// What runs on `a`, which has the higher priority.
    pub master: Kind,
    /// What runs on `b`.
    pub backup: Kind,
}

/// How they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// VRRPv2 by multicast.
    V2,
    /// VRRPv2 by unicast with a password.
    V2UnicastPass,
    /// VRRPv3 over IPv4.
    V3Ipv4,
    /// VRRPv3 over IPv6.
    V3Ipv6,
}

impl Mode {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::V2, Self::V2UnicastPass, Self::V3Ipv4, Self::V3Ipv6];

    /// The name in arguments, tables and JSON, and of the scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V2UnicastPass => "v2-unicast-pass",
            Self::V3Ipv4 => "v3-ipv4",
            Self::V3Ipv6 => "v3-ipv6",
        }
    }

    const fn family(self) -> Family {
        match self {
            Self::V2 | Self::V2UnicastPass | Self::V3Ipv4 => Family::Ipv4,
            Self::V3Ipv6 => Family::Ipv6,
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{text}` is no mode; there are {names}")
        })
    }
}

impl Pairing {
    /// All of them: each implementation as master of each.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let kinds = [Kind::Vipd, Kind::Keepalived, Kind::Frr];
        let of = |master| kinds.map(|backup| Self { master, backup });
        kinds.into_iter().flat_map(of).collect()
    }
}

impl FromStr for Pairing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (master, backup) =
            text.split_once('+').ok_or("MASTER+BACKUP, such as vipd+keepalived")?;
        Ok(Self { master: master.parse()?, backup: backup.parse()? })
    }
}

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.master, self.backup)
    }
}

/// One scenario on one pairing.
struct Cell {
    pairing: Pairing,
    mode: Mode,
    came: Tries<Came>,
}

/// What came of it.
enum Came {
    /// A peer has no such mode, and why.
    NotApplicable(String),
    /// It cannot be played here, and why.
    Unusable(String),
    /// This machine was too busy, twice.
    Late(String),
    /// Ctrl-C came before.
    Interrupted,
    Played(Played),
}

struct Played {
    /// From the last advert that the backup heard to its own first one, by what made it take over.
    takeovers: Vec<(Cause, Option<Duration>)>,
    /// What was not met, and the fact that accounts for it.
    deviations: Vec<(Fact, String)>,
    /// What was not met and nothing accounts for.
    failures: Vec<String>,
}

/// What made the backup take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Stop,
    Kill,
    Cut,
    Link,
}

/// A mode's scenario, read.
struct Prepared {
    mode: Mode,
    scenario: Scenario,
    configurations: Configurations,
}

/// A cell to be played.
struct Playable<'a> {
    place: usize,
    prepared: &'a Prepared,
    one: One,
}

/// Plays what is asked for and prints one table.
///
/// # Errors
/// Those of `out` and `err`.
pub fn matrix(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let began = Instant::now();
    let chosen = |mode: &Mode| request.modes.is_empty() || request.modes.contains(mode);
    let mut modes = Vec::new();
    for mode in Mode::ALL.into_iter().filter(chosen) {
        let file = request.folder.join("matrix").join(mode.name()).with_extension("toml");
        let mut said = Vec::new();
        let Some(Read { scenario, configurations, .. }) =
            read(&file, request.how.colour, &mut said)?
        else {
            err.write_all(&said)?;
            writeln!(err, "error: the scenarios are in the folder scenarios, or in --folder")?;
            return Ok(Ended::Unusable);
        };
        modes.push(Prepared { mode, scenario, configurations });
    }
    let pairings = if request.only.is_empty() { Pairing::all() } else { request.only.clone() };
    let mut cells = Vec::new();
    let mut playable = Vec::new();
    for pairing in pairings {
        for prepared in &modes {
            let mode = prepared.mode;
            let came = match prepared.lacks(pairing) {
                Some(reason) => Came::NotApplicable(reason),
                None => {
                    let one = request.one(pairing, &prepared.scenario);
                    playable.push(Playable { place: cells.len(), prepared, one });
                    Came::Interrupted
                }
            };
            cells.push(Cell { pairing, mode, came: Tries::one(came) });
        }
    }
    let stop = request.how.stop;
    for (cell, came) in play_all(playable, request.jobs, stop, play_batch, Came::may_be_chance) {
        cells[cell.place].came = came;
    }
    table::print(&cells, request.how.json, began.elapsed(), out)?;
    for Cell { pairing, mode, came, .. } in &cells {
        if let Came::Unusable(reason) | Came::Late(reason) = &came.last {
            writeln!(err, "error: {pairing} {}: {reason}", mode.name())?;
        }
    }
    out.flush()?;
    Ok(ended(&cells))
}

fn ended(cells: &[Cell]) -> Ended {
    let any = |is: fn(&Came) -> bool| cells.iter().any(|cell| is(&cell.came.last));
    if any(|came| matches!(came, Came::Unusable(_) | Came::Late(_))) {
        Ended::Unusable
    } else if any(|came| matches!(came, Came::Interrupted))
        || any(|came| matches!(came, Came::Played(played) if !played.failures.is_empty()))
    {
        Ended::Failed
    } else if any(|came| matches!(came, Came::Played(_))) {
        Ended::Passed
    } else {
        Ended::Skipped
    }
}

impl Request {
    fn one(&self, pairing: Pairing, scenario: &Scenario) -> One {
        let name = |host: HostId| scenario.hosts[usize::from(host.0)].name.to_string();
        let nodes = [(name(MASTER), pairing.master), (name(BACKUP), pairing.backup)];
        One { nodes: BTreeMap::from(nodes), ..self.how.clone() }
    }
}

impl Prepared {
    /// What of this mode one of the two does not have.
    fn lacks(&self, Pairing { master, backup }: Pairing) -> Option<String> {
        let hosts = [(MASTER, master), (BACKUP, backup)];
        let mut frr = hosts.into_iter().filter(|(_, kind)| *kind == Kind::Frr);
        frr.find_map(|(host, _)| {
            let file = self.scenario.hosts[usize::from(host.0)].config.as_ref()?;
            frr::equivalent(self.configurations.get(host, file)?).err()
        })
    }

    fn interval(&self) -> Duration {
        let mut instances = self.configurations.iter().flat_map(|config| config.instances());
        instances.next().map(|instance| instance.interval.duration()).unwrap_or_default()
    }
}

impl Came {
    /// Real time: a moment in which this machine was busy may be behind it.
    fn may_be_chance(&self) -> bool {
        match self {
            Self::NotApplicable(_) | Self::Unusable(_) | Self::Interrupted => false,
            Self::Late(_) => true,
            Self::Played(played) => !played.failures.is_empty(),
        }
    }

    /// What was wrong, in words.
    fn complaints(&self) -> Vec<String> {
        match self {
            Self::Played(played) => played.failures.clone(),
            Self::Unusable(reason) | Self::Late(reason) => vec![reason.clone()],
            Self::NotApplicable(_) | Self::Interrupted => Vec::new(),
        }
    }

    fn verdict(&self) -> &'static str {
        match self {
            Self::NotApplicable(_) => "not_applicable",
            Self::Unusable(_) | Self::Late(_) => "unusable",
            Self::Interrupted => "interrupted",
            Self::Played(played) if !played.failures.is_empty() => "fail",
            Self::Played(played) if !played.deviations.is_empty() => "deviation",
            Self::Played(_) => "pass",
        }
    }
}

fn play_batch(batch: Vec<Playable<'_>>) -> Vec<(Playable<'_>, Came)> {
    let build = |Playable { prepared, one, .. }: &Playable<'_>| {
        let programs = programs(one, &prepared.scenario)?;
        let configurations = prepared.configurations.clone();
        Lab::new(&prepared.scenario, configurations, &programs, one.tolerance)
    };
    let played = side_by_side(batch, build, |cell, lab| play(cell, lab)).into_iter();
    played.map(|(cell, came)| (cell, came.unwrap_or_else(Came::Unusable))).collect()
}

fn play(Playable { prepared, one, .. }: &Playable<'_>, lab: &mut Lab) -> Came {
    let scenario = &prepared.scenario;
    let mut evidence = Evidence::default();
    let outcome = runner::run_unless(scenario, lab, None, Some(&mut evidence), &one.stop);
    if outcome.interrupted {
        return Came::Interrupted;
    }
    if !lab.late().is_empty() {
        return Came::Late(format!("this machine was too busy: {}", lab.late().join("; ")));
    }
    if outcome.verdict == RunVerdict::Skip {
        return Came::NotApplicable(outcome.skipped.join("; "));
    }
    let kinds: Vec<_> = scenario.hosts.iter().map(|host| one.kind_of(host)).collect();
    let run = Run {
        scenario,
        kinds: &kinds,
        family: prepared.mode.family(),
        interval: prepared.interval(),
        tolerance: one.tolerance,
        evidence: &evidence,
    };
    let takeovers = takeovers(scenario, &evidence);
    let mut played = explained(&run, &outcome);
    played.failures.extend(lab.trouble().iter().map(|trouble| format!("trouble: {trouble}")));
    let differences = lab.differences().iter();
    played.failures.extend(differences.map(|told| format!("kernel and wire differ: {told}")));
    Came::Played(Played { takeovers, ..played })
}

/// Puts everything that was not met to the facts that are known.
fn explained(run: &Run<'_>, outcome: &Outcome) -> Played {
    let (mut deviations, mut failures) = (Vec::new(), Vec::new());
    for met in &outcome.expectations {
        let Some(instead) = &met.instead else { continue };
        let expectation = &run.scenario.expectations[met.index];
        let told = format!("not met: {}; seen: {instead}", expectation.line(run.scenario));
        match run.explains(expectation) {
            Some(fact) => deviations.push((fact, told)),
            None => failures.push(told),
        }
    }
    let seen: Vec<_> = deviations.iter().map(|(fact, _)| *fact).collect();
    for judged in outcome.properties.iter().filter(|judged| !judged.is_as_expected()) {
        let report = &judged.report;
        let reason = report.reason.as_deref().unwrap_or("no reason");
        let told = format!("{} is {}: {reason}", report.id, report.verdict.name());
        match run.explains_property(judged, &seen) {
            Some(fact) => deviations.push((fact, told)),
            None => failures.push(told),
        }
    }
    Played { takeovers: Vec::new(), deviations, failures }
}

/// How long the backup took, each time that something made it take over.
fn takeovers(scenario: &Scenario, evidence: &Evidence) -> Vec<(Cause, Option<Duration>)> {
    let mut found = Vec::new();
    for (timed, next) in scenario.steps.iter().zip(1..) {
        let cause = match &timed.step {
            Step::Stop(MASTER) => Cause::Stop,
            Step::Kill(MASTER) => Cause::Kill,
            Step::Cut(_) => Cause::Cut,
            Step::LinkDown { host: MASTER, .. } => Cause::Link,
            _ => continue,
        };
        let until = scenario.steps.get(next).map_or(scenario.until, |step| step.at);
        found.push((cause, takeover(evidence, timed.at, until)));
    }
    found
}

fn takeover(evidence: &Evidence, from: WorldTime, until: WorldTime) -> Option<Duration> {
    let taken = evidence.first(BACKUP, from, until)?;
    let heard = evidence.delivered.iter().rev();
    let mut heard = heard.filter(|(_, host, sender)| (*host, *sender) == (BACKUP, MASTER));
    heard.find(|(at, ..)| *at <= taken).map(|(at, ..)| taken.since(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairings_and_modes_are_what_arguments_say_and_nothing_else() {
        assert_eq!(Pairing::all().len(), 9);
        for pairing in Pairing::all() {
            assert_eq!(pairing.to_string().parse(), Ok(pairing));
        }
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        for wrong in ["vipd", "vipd+", "vipd-frr", "vipd+bird"] {
            assert!(wrong.parse::<Pairing>().is_err(), "{wrong}");
        }
        let refused = "v4".parse::<Mode>().expect_err("there is none");
        assert_eq!(refused, "`v4` is no mode; there are v2, v2-unicast-pass, v3-ipv4, v3-ipv6");
    }

    #[test]
    fn a_takeover_is_timed_from_the_last_advert_that_the_backup_heard() {
        let at = |millis: u64| WorldTime(millis * 1_000_000);
        let evidence = Evidence {
            sent: vec![
                (at(9_000), MASTER, 200),
                (at(9_500), MASTER, 0),
                // A resignation of its own is no takeover.
                (at(9_600), BACKUP, 0),
                (at(10_110), BACKUP, 100),
                (at(11_110), BACKUP, 100),
            ],
            delivered: vec![
                (at(9_001), BACKUP, MASTER),
                (at(9_501), BACKUP, MASTER),
                (at(10_111), MASTER, BACKUP),
            ],
            ..Evidence::default()
        };
        assert_eq!(takeover(&evidence, at(9_400), at(12_000)), Some(Duration::from_millis(609)));
        assert_eq!(takeover(&evidence, at(9_400), at(10_000)), None);
    }

    #[test]
    fn the_worst_cell_decides_how_it_ends() {
        let cell =
            |came| Cell { pairing: Pairing::all()[0], mode: Mode::V2, came: Tries::one(came) };
        let played = |deviates: bool, fails: bool| {
            let told = "not met".to_string();
            Came::Played(Played {
                takeovers: Vec::new(),
                deviations: if deviates { vec![(Fact::R12, told.clone())] } else { Vec::new() },
                failures: if fails { vec![told] } else { Vec::new() },
            })
        };
        let reason = || "no such thing".to_string();
        let none = cell(Came::NotApplicable(reason()));
        assert_eq!(ended(std::slice::from_ref(&none)), Ended::Skipped);
        let mut cells = vec![none, cell(played(true, false))];
        assert_eq!(ended(&cells), Ended::Passed);
        cells.push(cell(played(true, true)));
        assert_eq!(ended(&cells), Ended::Failed);
        cells.push(cell(Came::Unusable(reason())));
        assert_eq!(ended(&cells), Ended::Unusable);
        let verdicts: Vec<_> = cells.iter().map(|cell| cell.came.last.verdict()).collect();
        assert_eq!(verdicts, ["not_applicable", "deviation", "fail", "unusable"]);
    }
}
