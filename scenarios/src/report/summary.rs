//! The end of a report: properties, expectations, verdict and trace; and the JSON object of a run.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use vipd_engine::event::Seconds;

use crate::judge::Verdict;
use crate::record::whole_nanos;
use crate::runner::{Judged, Outcome};
use crate::scenario::Scenario;

/// The part below the timeline, for people.
#[must_use]
pub fn text(scenario: &Scenario, outcome: &Outcome) -> String {
    let mut text = String::new();
    for reason in &outcome.skipped {
        let _ = writeln!(text, "skipped: {reason}");
    }
    if !outcome.properties.is_empty() {
        properties(&mut text, &outcome.properties);
        expectations(&mut text, scenario, outcome);
    }
    if outcome.interrupted {
        let end = time(Some(Duration::from_nanos(outcome.end.0)));
        let _ = writeln!(text, "interrupted at {end}: judged by what was seen until then");
    }
    let _ = writeln!(text, "verdict: {}", outcome.verdict.name());
    if let Some(trace) = outcome.trace {
        let _ = writeln!(text, "trace: {trace:032x}");
    }
    text
}

fn properties(text: &mut String, judged: &[Judged]) {
    let _ = writeln!(
        text,
        "\n{:8}  {:13}  {:13}  {:>14}  {:>14}  remark",
        "property", "verdict", "expected", "worst", "bound"
    );
    for Judged { report, expected } in judged {
        let expected = expected.map_or("-", |expected| expected.name());
        let wrong = if expected != "-" && expected != report.verdict.name() { "  <--" } else { "" };
        let line = format!(
            "{:8}  {:13}  {:13}  {:>14}  {:>14}  {}{wrong}",
            report.id.to_string(),
            report.verdict.name(),
            expected,
            time(report.worst),
            time(report.bound),
            report.reason.as_deref().unwrap_or(""),
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn expectations(text: &mut String, scenario: &Scenario, outcome: &Outcome) {
    let judged = outcome.expectations.iter().filter(|met| met.not_judged.is_none());
    let (met, judged) =
        (judged.clone().filter(|met| met.instead.is_none()).count(), judged.count());
    let _ = writeln!(text, "\nexpectations: {met} of {judged} met");
    for met in &outcome.expectations {
        if let Some(measured) = met.measured {
            let line = scenario.expectations[met.index].line(scenario);
            let _ = writeln!(text, "measured: {} s; {line}", Seconds(measured));
        }
        if let Some(reason) = &met.not_judged {
            let line = scenario.expectations[met.index].line(scenario);
            let _ = writeln!(text, "not judged: {line}; {reason}");
        }
        if let Some(instead) = &met.instead {
            let line = scenario.expectations[met.index].line(scenario);
            let _ = writeln!(text, "not met: {line}; seen: {instead}");
        }
    }
}

fn time(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_string(), |duration| format!("{} s", Seconds(duration)))
}

/// The one object of `--json`. Every key is always there; null where there is nothing. Only
/// `wall_seconds` may differ between two runs.
#[must_use]
pub fn json(
    scenario: &Scenario,
    seed: u64,
    outcome: &Outcome,
    wall: Duration,
    events: u64,
    notes: &[String],
) -> Value {
    let properties: Vec<_> = outcome.properties.iter().map(property).collect();
    let expectations = outcome.expectations.iter().map(|met| {
        json!({
            "expect": scenario.expectations[met.index].line(scenario),
            "met": met.instead.is_none() && met.not_judged.is_none(),
            "instead": met.instead,
            "not_judged": met.not_judged,
            "measured_ns": met.measured.map(whole_nanos),
        })
    });
    json!({
        "scenario": scenario.name,
        "seed": seed,
        "verdict": outcome.verdict.name(),
        "trace": outcome.trace.map(|trace| format!("{trace:032x}")),
        "simulated_seconds": Duration::from_nanos(outcome.end.0).as_secs_f64(),
        "wall_seconds": wall.as_secs_f64(),
        "events": events,
        "notes": notes,
        "skipped": outcome.skipped,
        "interrupted": outcome.interrupted,
        "timeline": outcome.timeline.json(),
        "properties": properties,
        "expectations": expectations.collect::<Vec<_>>(),
    })
}

fn property(judged: &Judged) -> Value {
    let Judged { report, expected } = judged;
    json!({
        "id": report.id.to_string(),
        "verdict": report.verdict.name(),
        "expected": expected.map(Verdict::name),
        "bound_ns": report.bound.map(whole_nanos),
        "worst_ns": report.worst.map(whole_nanos),
        "reason": report.reason,
    })
}
