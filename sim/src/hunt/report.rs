//! A tally for people: how often each fault, pair of states and requirement was reached, what
//! became of each property, and a card for each violation.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use vipd_engine::event::Seconds;
use vipd_scenarios::judge::PropertyId;
use vipd_scenarios::language::duration_text;

use super::tally::{Card, Hunted, PANIC, PropertyCount, Tally, Tightest};
use crate::faults::FaultClass;

/// Seeds in a second of real time, with a fraction where they are few.
#[must_use]
pub fn rate(seeds: u64, wall: Duration) -> String {
    let hundredths = u128::from(seeds) * 100_000_000_000 / wall.as_nanos().max(1);
    match hundredths {
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        _ => (hundredths / 100).to_string(),
    }
}

/// All of it.
#[must_use]
pub fn text(tally: &Tally) -> String {
    let mut text = String::new();
    faults(&mut text, tally);
    pairs(&mut text, tally);
    rows(&mut text, tally);
    properties(&mut text, tally);
    cards(&mut text, tally);
    sum(&mut text, tally);
    text
}

fn faults(text: &mut String, tally: &Tally) {
    let _ = writeln!(text, "{:22}{:>12}  {:>12}  remark", "fault", "times", "in seeds");
    for (number, count) in &tally.faults {
        let Some(class) = FaultClass::from_number(*number) else { continue };
        let remark = match (&count.lacks, count.faults) {
            (Some(lacks), _) => lacks.as_str(),
            (None, 0) => "NEVER",
            (None, _) => "",
        };
        let name = class.to_string();
        let line = format!("{name:22}{:>12}  {:>12}  {remark}", count.faults, count.seeds);
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn pairs(text: &mut String, tally: &Tally) {
    let _ = writeln!(text, "\n{:22}{:>12}  remark", "pair of states", "times");
    for (pair, times) in &tally.pairs {
        let remark = if *times == 0 { "NEVER" } else { "" };
        let line = format!("{pair:22}{times:>12}  {remark}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn rows(text: &mut String, tally: &Tally) {
    let reached = tally.rows.values().filter(|seeds| **seeds > 0).count();
    let _ = writeln!(text, "\nrequirements reached: {reached} of {}", tally.rows.len());
    let _ = writeln!(text, "{:22}{:>12}  remark", "row", "in seeds");
    for (row, seeds) in &tally.rows {
        let remark = if *seeds == 0 { "NEVER" } else { "" };
        let line = format!("{row:22}{seeds:>12}  {remark}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn properties(text: &mut String, tally: &Tally) {
    let _ = writeln!(
        text,
        "\n{:8}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>16}  {:>16}  {:>6}  seed",
        "property",
        "held",
        "violated",
        "want S8",
        "outside",
        "no test",
        "tightest",
        "bound",
        "used"
    );
    for (id, count) in in_order(tally) {
        let PropertyCount { held, violated, wanting, not_provided, not_exercised, .. } = count;
        let _ = write!(
            text,
            "{id:8}  {held:>9}  {violated:>9}  {wanting:>9}  {not_provided:>9}  \
             {not_exercised:>9}"
        );
        if let Some(tightest) = &count.tightest {
            let permille = tightest.permille();
            let _ = write!(
                text,
                "  {:>16}  {:>16}  {:>4}.{}%  {}",
                seconds(tightest.value_ns),
                bound(*tightest),
                permille / 10,
                permille % 10,
                tightest.seed
            );
        }
        if count.is_untested() && id != PANIC {
            let _ = write!(text, "  NEVER");
        }
        let _ = writeln!(text);
    }
}

/// A bound, and on which side of it the value had to be if that is not below.
pub(super) fn bound(tightest: Tightest) -> String {
    let side = if tightest.is_at_least() { ">= " } else { "" };
    format!("{side}{}", seconds(tightest.bound_ns))
}

/// Properties in the order of reports, and what is none behind them.
pub(super) fn in_order(tally: &Tally) -> impl Iterator<Item = (String, &PropertyCount)> {
    let known = PropertyId::ALL.into_iter().map(|id| id.to_string());
    let names = known.chain([PANIC.to_owned()]);
    names.filter_map(|id| tally.properties.get(&id).map(|count| (id, count)))
}

fn cards(text: &mut String, tally: &Tally) {
    for (id, count) in in_order(tally).filter(|(_, count)| count.violated > 0) {
        let (statement, formula) = said(&id);
        let _ = writeln!(text, "\n{id} VIOLATED in {} of {} seeds", count.violated, tally.played());
        let _ = writeln!(text, "  property  {statement}");
        let _ = writeln!(text, "  bound     {formula}");
        for card in &count.cards {
            self::card(text, tally, &id, card);
        }
        if let Some(more) = count.more() {
            let _ = writeln!(text, "  {more}");
        }
    }
}

/// What is promised, and its bound.
fn said(id: &str) -> (&'static str, &'static str) {
    let known = PropertyId::ALL.into_iter().find(|known| known.to_string() == id);
    known.map_or(("the program must not panic, whatever happens", "none"), |known| {
        (known.statement(), known.formula())
    })
}

fn card(text: &mut String, tally: &Tally, id: &str, card: &Card) {
    let _ = writeln!(text, "  seed {}", card.seed);
    let _ = writeln!(text, "    seen    {}", card.what);
    if let (Some(value), Some(bound)) = (card.value_ns, card.bound_ns) {
        let _ = writeln!(text, "    worst   {}, its bound {}", seconds(value), seconds(bound));
    }
    let _ = writeln!(text, "    faults  {}", classes(card));
    let _ = writeln!(text, "    replay  {}", replay(tally, card.seed));
    let _ = writeln!(text, "    shrink  {}", shrink(tally, id, card.seed));
}

/// The classes of faults of a card's schedule.
pub(super) fn classes(card: &Card) -> String {
    let names = card.faults.iter().filter_map(|number| FaultClass::from_number(*number));
    let names: Vec<_> = names.map(|class| class.to_string()).collect();
    names.join(", ")
}

/// The command that plays a seed again.
pub(super) fn replay(tally: &Tally, seed: u64) -> String {
    let Hunted { scenario, .. } = &tally.hunted;
    format!("vipsim hunt {scenario} --for {} --seed {seed}", duration_text(tally.hunted.length()))
}

/// The command that makes a small scenario of what a seed violates.
pub(super) fn shrink(tally: &Tally, id: &str, seed: u64) -> String {
    let Hunted { scenario, .. } = &tally.hunted;
    let length = duration_text(tally.hunted.length());
    let property = if id == PANIC { String::new() } else { format!(" --property {id}") };
    format!("vipsim shrink {scenario} --for {length} --hunted {seed}{property}")
}

/// All of it for programs: what `vipsim merge` reads, and of each card how it is read and used.
#[must_use]
pub fn json(tally: &Tally) -> Value {
    let mut whole = json!(tally);
    for (id, count) in &tally.properties {
        let (statement, formula) = said(id);
        for (place, card) in count.cards.iter().enumerate() {
            let shown = &mut whole["properties"][id]["cards"][place];
            shown["statement"] = statement.into();
            shown["formula"] = formula.into();
            shown["replay"] = replay(tally, card.seed).into();
            shown["shrink"] = shrink(tally, id, card.seed).into();
        }
    }
    whole
}

fn sum(text: &mut String, tally: &Tally) {
    text.push('\n');
    for line in sums(tally) {
        let _ = writeln!(text, "{line}");
    }
}

/// What was played, and the verdict.
pub(super) fn sums(tally: &Tally) -> Vec<String> {
    let played = tally.played();
    let wall = Duration::from_nanos(tally.wall_ns);
    let ranges = tally.seeds.iter().map(|(from, until)| match until - from {
        1 => format!("{from}"),
        _ => format!("{from} to {}", until - 1),
    });
    let ranges: Vec<_> = ranges.collect();
    if played == 0 && !tally.interrupted {
        let none = "0 seeds: there are more parts than seeds, and this one has none";
        return vec![none.to_owned(), "verdict: nothing was played".to_owned()];
    }
    let mut lines = vec![format!(
        "{played} seeds ({}) of {} each, {} events, in {:.1} s on {} threads: {} seeds/s",
        ranges.join(", "),
        duration_text(tally.hunted.length()),
        tally.events,
        wall.as_secs_f64(),
        tally.jobs,
        rate(played, wall)
    )];
    for (from, until) in tally.gaps() {
        lines.push(format!("seeds {from} to {} were not played: is a part missing?", until - 1));
    }
    if tally.interrupted {
        lines.push("interrupted: this is what was found until then".to_owned());
    }
    lines.extend(unjudged(tally));
    lines.push(match tally.violations() {
        0 => "verdict: no violation".to_owned(),
        many => format!("verdict: {many} violations"),
    });
    lines
}

/// That nobody looked for two masters: two files that do not fit are two from the start.
fn unjudged(tally: &Tally) -> Option<String> {
    let (first, _) = tally.seeds.first()?;
    let count = tally.properties.get(&PropertyId::S1.to_string())?;
    (count.not_provided == tally.played()).then(|| {
        format!(
            "S1 (two masters) was outside its conditions in every seed: nothing is said of it. \
             Why: {}",
            replay(tally, *first)
        )
    })
}

pub(super) fn seconds(nanos: u64) -> String {
    format!("{} s", Seconds(Duration::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_seeds_a_second_have_a_fraction() {
        assert_eq!(rate(1, Duration::from_secs(8)), "0.12");
        assert_eq!(rate(19, Duration::from_secs(2)), "9.50");
        assert_eq!(rate(21, Duration::from_secs(2)), "10");
        assert_eq!(rate(0, Duration::ZERO), "0.00");
    }
}
