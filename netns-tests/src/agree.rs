//! `viplab agree`: a scenario simulated and real, and whether the same happened in the same order
//! at the same times.
//!
//! Compared is what the outside shows in both worlds: who takes and gives up which address, and who
//! resigns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use vipd_engine::event::Seconds;
use vipd_scenarios::record::{HostId, Observation, Recorder, Seen, WorldTime};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_sim::run::{Ended, Read, read};
use vipd_sim::world::Simulation;

use crate::run::{Request, programs};
use crate::steps;
use crate::world::Lab;

/// Something that the outside shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: WorldTime,
    /// Whose.
    pub host: HostId,
    /// What.
    pub what: String,
}

/// Keeps the marks of a run.
#[derive(Clone, Debug, Default)]
pub struct Marks(pub Vec<Mark>);

impl Recorder for Marks {
    fn observe(&mut self, observation: &Observation) {
        let what = match &observation.seen {
            Seen::Owns { address, owns: true, .. } => format!("owns {address}"),
            Seen::Owns { address, owns: false, .. } => format!("no longer owns {address}"),
            Seen::AdvertSent(advert) if advert.priority == 0 => {
                format!("resigns vrid {}", advert.router.vrid)
            }
            _ => return,
        };
        self.0.push(Mark { at: observation.at, host: observation.host, what });
    }
}

/// The same mark in both worlds, or in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Whose.
    pub host: HostId,
    /// What.
    pub what: String,
    /// When in the simulation, if there.
    pub simulated: Option<WorldTime>,
    /// When in reality, if there.
    pub real: Option<WorldTime>,
}

/// Puts the nth mark of a kind in one world beside the nth in the other, in the order of the
/// simulation; what is only real comes last.
#[must_use]
pub fn pair(simulated: &Marks, real: &Marks) -> Vec<Pair> {
    let mut waiting: BTreeMap<(HostId, &str), Vec<WorldTime>> = BTreeMap::new();
    for mark in real.0.iter().rev() {
        waiting.entry((mark.host, &mark.what)).or_default().push(mark.at);
    }
    let mut pairs: Vec<_> = simulated
        .0
        .iter()
        .map(|mark| {
            let times = waiting.get_mut(&(mark.host, mark.what.as_str()));
            let real = times.and_then(Vec::pop);
            let (host, what) = (mark.host, mark.what.clone());
            Pair { host, what, simulated: Some(mark.at), real }
        })
        .collect();
    for ((host, what), times) in waiting {
        let only_real = times.into_iter().rev();
        pairs.extend(only_real.map(|at| Pair {
            host,
            what: what.to_string(),
            simulated: None,
            real: Some(at),
        }));
    }
    pairs
}

/// What does not agree: a mark of one world only, one that is further apart than the tolerance, or
/// two in another order. What the simulation has closer together than the tolerance may come in
/// either order.
#[must_use]
pub fn disagreements(pairs: &[Pair], tolerance: Duration) -> Vec<String> {
    let mut found = Vec::new();
    for pair in pairs {
        match (pair.simulated, pair.real) {
            (Some(simulated), Some(real)) => {
                let apart = simulated.since(real).max(real.since(simulated));
                if apart > tolerance {
                    found.push(format!("{} is {} s apart", pair.what, Seconds(apart)));
                }
            }
            (Some(_), None) => found.push(format!("{} is simulated only", pair.what)),
            (None, _) => found.push(format!("{} is real only", pair.what)),
        }
    }
    for (place, first) in pairs.iter().enumerate() {
        for second in &pairs[place + 1..] {
            let times = (first.simulated, first.real, second.simulated, second.real);
            let (Some(before), Some(real_before), Some(after), Some(real_after)) = times else {
                continue;
            };
            if after.since(before) > tolerance && real_after < real_before {
                found.push(format!("{} comes after {}", first.what, second.what));
            }
        }
    }
    found
}

/// Plays the scenario of the request in both worlds and prints the table.
///
/// # Errors
/// Those of `out` and `err`.
pub fn agree(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let Some(read) = read(&request.file, request.colour, err)? else {
        return Ok(Ended::Unusable);
    };
    let Read { scenario, configurations, .. } = read;
    let lacking = steps::lacking(&scenario);
    if !lacking.is_empty() {
        writeln!(out, "{}: skipped: {}", scenario.name, lacking.join("; "))?;
        return Ok(Ended::Skipped);
    }
    let until = request.until.map(|until| WorldTime(0).later(until));
    let mut simulated = Marks::default();
    let mut world = Simulation::new(&scenario, configurations.clone(), scenario.seed);
    runner::run(&scenario, &mut world, until, Some(&mut simulated));
    let lab = programs(request, &scenario)
        .and_then(|programs| Lab::new(&scenario, configurations, &programs, request.tolerance));
    let mut lab = match lab {
        Ok(lab) => lab,
        Err(reason) => {
            writeln!(err, "error: {reason}")?;
            return Ok(Ended::Unusable);
        }
    };
    let mut real = Marks::default();
    runner::run_unless(&scenario, &mut lab, until, Some(&mut real), &request.stop);
    let pairs = pair(&simulated, &real);
    let mut found = disagreements(&pairs, request.tolerance);
    found.extend(lab.trouble().iter().map(|trouble| format!("trouble: {trouble}")));
    out.write_all(table(&scenario, &pairs, &found).as_bytes())?;
    out.flush()?;
    Ok(if found.is_empty() { Ended::Passed } else { Ended::Failed })
}

fn table(scenario: &Scenario, pairs: &[Pair], found: &[String]) -> String {
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
    let verdict = if found.is_empty() { "agree" } else { "disagree" };
    let _ = writeln!(text, "verdict: {verdict}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MARGIN: Duration = Duration::from_nanos(10);

    fn marks(of: &[(u64, u16, &str)]) -> Marks {
        let mark = |(at, host, what): &(u64, u16, &str)| Mark {
            at: WorldTime(*at),
            host: HostId(*host),
            what: (*what).to_string(),
        };
        Marks(of.iter().map(mark).collect())
    }

    fn found(simulated: &[(u64, u16, &str)], real: &[(u64, u16, &str)]) -> Vec<String> {
        disagreements(&pair(&marks(simulated), &marks(real)), MARGIN)
    }

    #[test]
    fn the_same_marks_agree_up_to_the_tolerance_and_no_further() {
        let simulated =
            [(3 * SECOND, 0, "owns"), (9 * SECOND, 1, "owns"), (20 * SECOND, 0, "owns")];
        let late = |by| simulated.map(|(at, host, what)| (at + by, host, what));
        assert_eq!(found(&simulated, &late(10)), Vec::<String>::new());
        assert_eq!(found(&simulated, &late(11)).len(), 3);
        assert_eq!(found(&late(11), &simulated)[0], "owns is 0.000000011 s apart");
    }

    #[test]
    fn a_mark_of_one_world_only_is_told() {
        let one = [(SECOND, 0, "owns")];
        let two = [(SECOND, 0, "owns"), (2 * SECOND, 0, "owns")];
        assert_eq!(found(&two, &one), ["owns is simulated only"]);
        assert_eq!(found(&one, &two), ["owns is real only"]);
        let elsewhere = [(SECOND, 1, "owns")];
        assert_eq!(found(&one, &elsewhere), ["owns is simulated only", "owns is real only"]);
    }

    #[test]
    fn what_the_simulation_has_at_one_time_may_come_in_either_order() {
        let simulated = [(100, 0, "owns"), (105, 1, "releases"), (111, 0, "resigns")];
        let swapped = [(109, 0, "owns"), (106, 1, "releases"), (112, 0, "resigns")];
        assert_eq!(found(&simulated, &swapped), Vec::<String>::new());
        let too_far = [(110, 0, "owns"), (106, 1, "releases"), (109, 0, "resigns")];
        assert_eq!(found(&simulated, &too_far), ["owns comes after resigns"]);
    }
}
