//! A rehearsal for the terminal and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use vipd_scenarios::language::duration_text;
use vipd_scenarios::record::whole_nanos;

use super::advice::Advice;
use super::formula::{GATE_DELAY, Symbols};
use super::meter::Measure;
use super::stage::{Rehearsed, Worst, Worsts};
use super::{Rehearsal, SHORT};
use crate::faults::FaultClass;

/// The page for the terminal.
#[must_use]
pub fn text(rehearsal: &Rehearsal) -> String {
    let mut text = format!("{}\n", heading(rehearsal));
    text.push_str(&advice_text(&rehearsal.advice));
    text.push_str(&summary(rehearsal));
    for class in &rehearsal.classes {
        block(&mut text, rehearsal, class);
    }
    let _ = writeln!(text, "\nsymbols: {}", symbols(&rehearsal.symbols));
    let _ = writeln!(text, "verdict: {}", verdict(rehearsal));
    text
}

/// `lb1 and lb2: what each fault means for them, ...`.
pub(super) fn heading(rehearsal: &Rehearsal) -> String {
    let names: Vec<_> = rehearsal.hosts.iter().map(|(name, _)| name.as_str()).collect();
    let most = if rehearsal.interrupted { "up to " } else { "" };
    format!(
        "{}: the worst of {most}{} runs of each fault class, {} each",
        names.join(" and "),
        rehearsal.runs,
        duration_text(rehearsal.length)
    )
}

/// Whether everything is within its formula.
pub(super) fn verdict(rehearsal: &Rehearsal) -> String {
    let beyond = |class: &&Rehearsed| class.worst.iter().flatten().any(Worst::is_beyond);
    let names: Vec<_> =
        rehearsal.classes.iter().filter(beyond).map(|class| class.class.name()).collect();
    let cut = if rehearsal.interrupted { ", interrupted before its end" } else { "" };
    if names.is_empty() {
        format!("everything is within its formula{cut}")
    } else {
        format!("longer than its formula: {}{cut}", names.join(", "))
    }
}

/// The advice alone.
#[must_use]
pub fn advice_text(advice: &[Advice]) -> String {
    if advice.is_empty() {
        return "\nNothing in these files is known to do better.\n".to_owned();
    }
    let mut text = "\nWhat the files could do better\n".to_owned();
    for Advice { keyword, what, instead, .. } in advice {
        let _ = writeln!(text, "  `{keyword}`: {what}");
        let _ = writeln!(text, "      better: {instead}");
    }
    text
}

fn summary(rehearsal: &Rehearsal) -> String {
    let mut text = format!("\n{:18}", "fault class");
    for measure in Measure::ALL {
        let _ = write!(text, "{:>14}", measure.words());
    }
    text.push('\n');
    for class in &rehearsal.classes {
        let _ = write!(text, "{:>2} {:15}", class.class.number(), class.class.name());
        if let Some(lacks) = class.lacks {
            let _ = writeln!(text, "  does not apply: {lacks}");
            continue;
        }
        for worst in &class.worst {
            let cell = worst.map_or_else(|| "-".to_owned(), |worst| cell(&worst));
            let _ = write!(text, "{cell:>14}");
        }
        text.push('\n');
    }
    text.push_str("-: did not happen; !: longer than its formula\n");
    text
}

/// A time to the tenth of a millisecond, rounded up: a worst case is not made better.
pub(super) fn cell(worst: &Worst) -> String {
    let tenths = whole_nanos(worst.value).div_ceil(100_000);
    let mark = if worst.is_beyond() { "!" } else { "" };
    format!("{mark}{}.{:04} s", tenths / 10_000, tenths % 10_000)
}

/// `at most M + D = 3.609575s`.
pub(super) fn bound(worst: &Worst) -> String {
    worst.bound.map_or_else(
        || "nothing bounds it".to_owned(),
        |bound| {
            let time = duration_text(bound.of(worst.fault));
            let kept = if worst.is_beyond() { "LONGER THAN" } else { "at most" };
            if bound.lasts() {
                format!("{kept} {} = {time}, f = {}", bound.formula, duration_text(worst.fault))
            } else {
                format!("{kept} {} = {time}", bound.formula)
            }
        },
    )
}

fn block(text: &mut String, rehearsal: &Rehearsal, class: &Rehearsed) {
    if class.lacks.is_some() {
        return;
    }
    let (number, name) = (class.class.number(), class.class.name());
    let _ = writeln!(text, "\n{number} {name}: {} ({} runs)", story(class.class), class.runs);
    measures(text, &class.worst, |worst| format!("; seed {}", worst.seed));
    let Some(shown) = class.shown() else {
        text.push_str("  nothing of it was felt\n");
        return;
    };
    let key = (class.class, shown.seed);
    let lines = rehearsal.timelines.get(&key).map_or(&[][..], Vec::as_slice);
    for line in lines.iter().take(SHORT) {
        let _ = writeln!(text, "    {line}");
    }
    if lines.len() > SHORT {
        let _ = writeln!(text, "    ... {} more lines", lines.len() - SHORT);
    }
    let _ = writeln!(text, "  replay: {}", rehearsal.replay(class.class, shown.seed));
}

/// A line for each measure that happened.
fn measures(text: &mut String, worst: &Worsts, also: impl Fn(&Worst) -> String) {
    for (measure, worst) in Measure::ALL.into_iter().zip(worst) {
        let Some(worst) = worst else { continue };
        let (words, value) = (measure.words(), duration_text(worst.value));
        let _ = writeln!(text, "  {words:12} {value:>14}  {}{}", bound(worst), also(worst));
    }
}

/// One run beside its formulas; `None` if a rehearsal leaves it out.
#[must_use]
pub fn run_text(class: FaultClass, seed: u64, worst: Option<&Worsts>) -> String {
    let mut text = format!("\n{} {}, seed {seed}, ", class.number(), class.name());
    let Some(worst) = worst else {
        text.push_str("has no fault of a director: a rehearsal leaves it out\n");
        return text;
    };
    let mut all = worst.iter().flatten();
    text.push_str(match (all.clone().next(), all.any(Worst::is_beyond)) {
        (None, _) => "was not felt\n",
        (Some(_), false) => "is within its formula:\n",
        (Some(_), true) => "is longer than its formula:\n",
    });
    measures(&mut text, worst, |_| String::new());
    text
}

/// The symbols with their values.
pub(super) fn symbols(symbols: &Symbols) -> String {
    let Symbols { interval, skew, down, delay, probe, refresh, .. } = *symbols;
    let refresh = refresh.map_or_else(|| "never".to_owned(), duration_text);
    let lease = symbols.lease.map_or_else(String::new, |lease| {
        let [lease, late] = [lease, GATE_DELAY].map(duration_text);
        format!("l = {lease} (the longest lease), R = {late} (until its gate is shut), ")
    });
    let alarm = symbols.alarm.map_or_else(String::new, |alarm| {
        format!("Y = {} (until a master that is not heard yields), ", duration_text(alarm))
    });
    let startup = match symbols.startup {
        Duration::ZERO => String::new(),
        delay => format!("S = {} (the longest start-up delay), ", duration_text(delay)),
    };
    let [a, skew, m, d, p] = [interval, skew, down, delay, probe].map(duration_text);
    format!(
        "A = {a}, Skew = {skew}, M = {m} (the longest of all virtual routers), D = {d} (delay), \
         p = {p} (from probe to probe), G = {refresh} (until addresses are announced again), \
         {lease}{alarm}{startup}f = how long the fault lasted; A' and M' with the files that a \
         reload put in place"
    )
}

/// What is done in a class, in a few words.
pub(super) const fn story(class: FaultClass) -> &'static str {
    match class {
        FaultClass::HostCrash => "a machine loses its power and comes back",
        FaultClass::ProcessCrash => "the process is killed, its addresses stay, it starts again",
        FaultClass::Pause => "the process is stopped (SIGSTOP) and goes on",
        FaultClass::Freeze => "a machine stands still and goes on, as a virtual one does",
        FaultClass::Stop => "the process is stopped in good order and starts again",
        FaultClass::MidElection => "a second one restarts or reloads while an election runs",
        FaultClass::Cut => "the network falls into two sides and heals",
        FaultClass::Isolation => "one machine hears nobody and nobody hears it, then all heals",
        FaultClass::OneWayCut => "one direction is cut and heals",
        FaultClass::PartialCut => "two do not hear each other, everybody else hears both",
        FaultClass::MulticastLost => "multicast and broadcast are lost, unicast passes",
        FaultClass::AdvertsLost => "one to six adverts in a row are lost",
        FaultClass::RoughLink => "delay, jitter, reordering, duplicates, damage and loss",
        FaultClass::LateHandlers => "timers and packets are handled late on one machine",
        FaultClass::Clock => "a clock runs fast or slow, or the wall clock jumps",
        FaultClass::Carrier => "a cable is pulled, or an address removed, and put back",
        FaultClass::Mismatch => "one is reloaded with a file that does not fit, and back",
        FaultClass::Spoof => "somebody who is no router sends adverts",
        FaultClass::Flaps => "what is tracked fails and recovers again and again",
        FaultClass::Upgrade => "one after the other changes its version, and back",
    }
}

/// The page for programs.
#[must_use]
pub fn json(rehearsal: &Rehearsal) -> Value {
    let advice = rehearsal.advice.iter().map(|one| {
        json!({
            "code": one.code, "keyword": one.keyword, "what": one.what, "instead": one.instead,
        })
    });
    let hosts = rehearsal
        .hosts
        .iter()
        .map(|(name, path)| json!({ "name": name, "file": path.display().to_string() }));
    let classes = rehearsal.classes.iter().map(|class| class_json(rehearsal, class));
    json!({
        "hosts": hosts.collect::<Vec<_>>(),
        "remarks": rehearsal.remarks,
        "advice": advice.collect::<Vec<_>>(),
        "runs": rehearsal.runs,
        "run_ns": whole_nanos(rehearsal.length),
        "classes": classes.collect::<Vec<_>>(),
        "symbols": symbols(&rehearsal.symbols),
        "interrupted": rehearsal.interrupted,
        "verdict": if rehearsal.is_beyond() { "beyond" } else { "within" },
    })
}

fn class_json(rehearsal: &Rehearsal, class: &Rehearsed) -> Value {
    let worst = measures_json(&class.worst, |worst| {
        let mut value = worst_json(worst);
        value["seed"] = worst.seed.into();
        value["replay"] = rehearsal.replay(class.class, worst.seed).into();
        value["timeline"] = json!(rehearsal.timelines.get(&(class.class, worst.seed)));
        value
    });
    json!({
        "class": class.class.number(),
        "name": class.class.name(),
        "story": story(class.class),
        "lacks": class.lacks,
        "runs": class.runs,
        "worst": worst,
    })
}

/// One run beside its formulas.
#[must_use]
pub fn run_json(worst: &Worsts) -> Value {
    measures_json(worst, worst_json)
}

fn measures_json(worst: &Worsts, value: impl Fn(&Worst) -> Value) -> Value {
    let measures = Measure::ALL.into_iter().zip(worst);
    let measures = measures
        .map(|(measure, worst)| (measure.name(), worst.as_ref().map_or(Value::Null, &value)));
    measures.collect()
}

fn worst_json(worst: &Worst) -> Value {
    json!({
        "value_ns": whole_nanos(worst.value),
        "bound_ns": worst.bound.map(|bound| whole_nanos(bound.of(worst.fault))),
        "formula": worst.bound.map(|bound| bound.formula),
        "fault_ns": whole_nanos(worst.fault),
        "beyond": worst.is_beyond(),
    })
}
