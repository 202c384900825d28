//! Plays every stage, asks every judge, and settles what all verdicts of a row make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::Instant;

use vipd_engine::Profile;

use super::deviations::{self, Known};
use super::experiment::Stage;
use super::requirement::{Requirement, Wire, requirements};
use super::stage::{self, Played};
use super::verdict::{Verdict, Wrong};
use super::view::View;
use super::{Judged, Outcome, Request, Row, START, Terms, rows, target};
use crate::node::Kind;
use crate::run::program;

/// What the experiments say of each row.
type Verdicts = BTreeMap<&'static str, Vec<(String, Verdict)>>;

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
    choose(&mut stages, &request.only)?;
    let lacking = leave_out(&mut stages, &terms);
    let mut verdicts = play_all(&target::divide(stages, &terms), request, &terms, &program)?;
    let again = unexplained(&verdicts, &requirements, &terms);
    if !again.is_empty() {
        // Real machines stall: what is wrong has to be wrong twice, the second time without the
        // crowd.
        let mut stages = rows::catalogue(&terms);
        choose(&mut stages, &request.only)?;
        leave_out(&mut stages, &terms);
        for stage in &mut stages {
            stage.experiments.retain(|experiment| again.contains(&experiment.name));
        }
        let second = play_all(&target::divide(stages, &terms), request, &terms, &program)?;
        replace(&mut verdicts, second, &again);
    }
    let mut found = BTreeSet::new();
    let asked = |it: &Requirement| {
        let id = it.id.as_str();
        request.only.is_empty() || verdicts.contains_key(id) || lacking.contains_key(id)
    };
    let requirements: Vec<_> = requirements.into_iter().filter(asked).collect();
    let settled = requirements.into_iter().map(|requirement| {
        let verdicts = verdicts.remove(requirement.id.as_str()).unwrap_or_default();
        let lacking = lacking.get(requirement.id.as_str()).map(String::as_str);
        let settling = Settling { requirement: &requirement, terms: &terms };
        settling.settle(&verdicts, lacking, &mut found)
    });
    let rows: Vec<_> = settled.collect();
    let known = deviations::known(request.target).iter().map(|known| {
        let of = |row: &&Row| known.shown_by.iter().any(|(id, _)| *id == row.requirement.id);
        let judged = rows.iter().filter(of).any(|row| row.outcome <= Outcome::Deviation);
        (known.id, known.fact, judged.then_some(found.contains(known.id)))
    });
    Ok(Judged { known: known.collect(), rows, wall: began.elapsed() })
}

/// Leaves the rows and the experiments that are named, if any is.
fn choose(stages: &mut [Stage], only: &[String]) -> Result<(), String> {
    let mut unknown: BTreeSet<&String> = only.iter().collect();
    for experiment in stages.iter_mut().flat_map(|stage| &mut stage.experiments) {
        let whole = only.contains(&experiment.name);
        unknown.remove(&experiment.name);
        experiment.judges.retain(|(row, _)| {
            let named = only.iter().find(|name| name == row);
            named.inspect(|name| {
                unknown.remove(name);
            });
            only.is_empty() || whole || named.is_some()
        });
    }
    for stage in stages {
        stage.experiments.retain(|experiment| !experiment.judges.is_empty());
    }
    unknown.first().map_or(Ok(()), |name| {
        Err(format!("no row and no experiment is called {name}: --list has them all"))
    })
}

/// Leaves out what the target lacks something for, and says what, by row.
fn leave_out(stages: &mut [Stage], terms: &Terms) -> BTreeMap<&'static str, String> {
    let mut lacking = BTreeMap::new();
    for stage in stages {
        let made = target::lacks_stage(stage, terms).map(str::to_owned);
        stage.experiments.retain(|experiment| {
            let found = made.clone().or_else(|| target::lacks(experiment, terms));
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

/// Plays stages, round after round, and asks their judges.
fn play_all(
    stages: &[Stage],
    request: &Request,
    terms: &Terms,
    program: &Path,
) -> Result<Verdicts, String> {
    let mut verdicts = Verdicts::new();
    for round in stages.chunk_by(|one, other| one.round == other.round) {
        let played: Vec<Result<Played, String>> = thread::scope(|scope| {
            let stop = request.stop;
            let play = |stage| scope.spawn(move || stage::play(stage, terms, program, stop));
            let threads: Vec<_> = round.iter().map(play).collect();
            let ended = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            ended.collect()
        });
        for (stage, played) in round.iter().zip(played) {
            ask(stage, &played?, request, &mut verdicts)?;
        }
    }
    Ok(verdicts)
}

fn ask(
    stage: &Stage,
    played: &Played,
    request: &Request,
    verdicts: &mut Verdicts,
) -> Result<(), String> {
    let silent = played.notes.iter().all(|notes| notes.frames.is_empty());
    if silent && stage.configuration.is_none() {
        let words = &played.last_words;
        return Err(format!("stage {}: the target said nothing at all: {words}", stage.name));
    }
    for (experiment, notes) in stage.experiments.iter().zip(&played.notes) {
        let (marks, late) = (&played.marks[..], request.tolerance);
        let view = View { experiment, notes, marks, late, start: START };
        for (row, judge) in &experiment.judges {
            verdicts.entry(row).or_default().push((experiment.name.clone(), judge(&view)));
        }
    }
    Ok(())
}

/// Experiments with a fault that nothing explains.
fn unexplained(
    verdicts: &Verdicts,
    requirements: &[Requirement],
    terms: &Terms,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for requirement in requirements {
        let settling = Settling { requirement, terms };
        let verdicts = verdicts.get(requirement.id.as_str()).map(Vec::as_slice);
        for (name, verdict) in verdicts.unwrap_or_default() {
            let fault = verdict.as_ref().err().filter(|_| settling.is_judged());
            if fault.is_some_and(|wrong| settling.explains(wrong).is_none()) {
                names.insert(name.clone());
            }
        }
    }
    names
}

/// What was wrong is as the second try says; what holds only then says so.
fn replace(verdicts: &mut Verdicts, mut second: Verdicts, again: &BTreeSet<String>) {
    for (row, verdicts) in verdicts {
        let mut second = second.remove(row).unwrap_or_default();
        for (name, verdict) in verdicts.iter_mut() {
            let place = second.iter().position(|(other, _)| other == name);
            let Some(place) = place.filter(|_| again.contains(name)) else { continue };
            let (_, newer) = second.remove(place);
            if let Err(Wrong { measured, .. }) = verdict {
                let told = |newer| format!("{newer} (second try; first: {measured})");
                *verdict = newer.map(told);
            }
        }
    }
}

/// A row that is being settled.
struct Settling<'a> {
    requirement: &'a Requirement,
    terms: &'a Terms,
}

impl Settling<'_> {
    /// It is one of the profile's.
    fn is_judged(&self) -> bool {
        let profile = self.terms.profile;
        profile == Profile::DropIn || self.requirement.holds_in(profile)
    }

    /// Why a fault is a deviation, and its number if it has one.
    fn explains(&self, wrong: &Wrong) -> Option<(String, Option<&'static str>)> {
        let shows =
            |(id, symptom): &(&str, &str)| *id == self.requirement.id && *symptom == wrong.symptom;
        let mut known = deviations::known(self.terms.target).iter();
        if let Some(Known { id, fact, .. }) = known.find(|known| known.shown_by.iter().any(shows)) {
            return Some((format!("{id}: {fact}"), Some(id)));
        }
        let left = self.terms.target == Kind::Vipd
            && !self.requirement.holds_in(self.terms.profile)
            && wrong.symptom != "untried";
        Some((self.requirement.deviation.clone().filter(|_| left)?, None))
    }

    fn row(&self, outcome: Outcome, measured: Option<String>, reason: Option<String>) -> Row {
        Row { requirement: self.requirement.clone(), outcome, measured, reason }
    }

    /// All verdicts of a row make one. Notes which known deviations were found.
    fn settle(
        &self,
        verdicts: &[(String, Verdict)],
        lacking: Option<&str>,
        found: &mut BTreeSet<&'static str>,
    ) -> Row {
        if !self.is_judged() {
            let reason = format!("no requirement of {}", self.terms.profile.name());
            return self.row(Outcome::NotApplicable, None, Some(reason));
        }
        if verdicts.is_empty() {
            return self.unjudged(lacking);
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let (mut reasons, mut unexplained) = (BTreeSet::new(), false);
        for (name, verdict) in verdicts {
            match verdict {
                Ok(text) => good.push(format!("{name}: {text}")),
                Err(wrong) => {
                    bad.push(format!("{name}: {}", wrong.measured));
                    match self.explains(wrong) {
                        Some((reason, number)) => {
                            reasons.insert(reason);
                            found.extend(number);
                        }
                        None => unexplained = true,
                    }
                }
            }
        }
        if bad.is_empty() {
            return self.row(Outcome::Pass, Some(good.join("; ")), None);
        }
        let reason: Vec<_> = reasons.into_iter().collect();
        let reason = Some(reason.join(" ")).filter(|_| !unexplained);
        let outcome = if unexplained { Outcome::Fail } else { Outcome::Deviation };
        self.row(outcome, Some(bad.join("; ")), reason)
    }

    fn unjudged(&self, lacking: Option<&str>) -> Row {
        let (outcome, reason) = match (lacking, self.requirement.wire()) {
            (Some(lacking), _) => (Outcome::NotApplicable, lacking),
            (None, Some(Wire::NotApplicable(why))) => (Outcome::NotApplicable, why),
            (None, Some(Wire::NotBuilt(why))) => (Outcome::NotBuilt, why),
            (None, Some(Wire::Judged(_)) | None) => (Outcome::NotBuilt, "no experiment judges it"),
        };
        self.row(outcome, None, Some(reason.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::verdict::wrong;

    fn settled(target: Kind, profile: Profile, id: &str, verdicts: &[Verdict]) -> Row {
        let all = requirements().expect("a ledger");
        let requirement = all.iter().find(|row| row.id == id).expect("a row");
        let terms = Terms { target, profile };
        let verdicts: Vec<_> =
            verdicts.iter().map(|verdict| ("it".to_owned(), verdict.clone())).collect();
        let settling = Settling { requirement, terms: &terms };
        settling.settle(&verdicts, None, &mut BTreeSet::new())
    }

    #[test]
    fn a_fault_is_a_deviation_only_where_it_is_the_known_one() {
        let good: Verdict = Ok("as it should be".to_owned());
        let physical = wrong("physical-mac", "from 02:00");
        let other = wrong("silent", "0 adverts");
        let untried = wrong("untried", "nobody spoke");
        let of = |target, profile, verdicts: &[Verdict]| {
            settled(target, profile, "V2-7.2-SMAC", verdicts).outcome
        };
        let (vipd, keepalived, drop_in) = (Kind::Vipd, Kind::Keepalived, Profile::DropIn);
        assert_eq!(of(vipd, drop_in, &[good.clone(), good.clone()]), Outcome::Pass);
        assert_eq!(of(vipd, drop_in, &[good.clone(), physical.clone()]), Outcome::Deviation);
        assert_eq!(of(vipd, Profile::Rfc3768, &[good, physical.clone()]), Outcome::Fail);
        assert_eq!(of(vipd, drop_in, &[untried]), Outcome::Fail);
        assert_eq!(of(keepalived, drop_in, std::slice::from_ref(&physical)), Outcome::Deviation);
        assert_eq!(of(keepalived, drop_in, &[physical.clone(), other]), Outcome::Fail);
        assert_eq!(of(vipd, Profile::Rfc9568, &[physical]), Outcome::NotApplicable);
        assert_eq!(of(vipd, drop_in, &[]), Outcome::NotBuilt);
    }

    #[test]
    fn what_is_named_is_left_and_a_name_that_nobody_has_is_told() {
        let terms = Terms { target: Kind::Vipd, profile: Profile::DropIn };
        let left = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            let mut stages = rows::catalogue(&terms);
            choose(&mut stages, &only)?;
            let all = stages.iter().flat_map(|stage| &stage.experiments);
            let each = all.flat_map(|it| it.judges.iter().map(|(row, _)| (it.name.clone(), *row)));
            Ok::<Vec<_>, String>(each.collect())
        };
        let one = left(&["X-MTU"]).expect("a row");
        assert_eq!(one, [("refused-too-many".to_owned(), "X-MTU")]);
        let whole = left(&["seat-v2", "X-MTU"]).expect("an experiment and a row");
        assert!(whole.len() > 5, "{whole:?}");
        assert!(whole.iter().all(|(name, row)| name == "seat-v2" || *row == "X-MTU"), "{whole:?}");
        let unknown = left(&["X-MTU", "seat-v4"]).expect_err("no such name");
        assert!(unknown.contains("seat-v4"), "{unknown}");
        let all = left(&[]).expect("everything");
        assert!(all.len() > 500, "{}", all.len());
    }

    #[test]
    fn only_what_was_wrong_is_as_the_second_try_says() {
        let of = |verdict: Verdict| vec![("one".to_owned(), verdict)];
        let late = wrong("late", "later than exact");
        let mut first = Verdicts::from([("A", of(late.clone())), ("B", of(Ok("first".into())))]);
        let second = Verdicts::from([("A", of(Ok("second".into()))), ("B", of(late))]);
        replace(&mut first, second, &BTreeSet::from(["one".to_owned()]));
        assert_eq!(first["A"], of(Ok("second (second try; first: later than exact)".into())));
        assert_eq!(first["B"], of(Ok("first".into())));
    }
}
