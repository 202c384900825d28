//! A rehearsal as a page: the tables of the terminal, and the timeline of each worst run, which is
//! played once more for it.

use std::collections::BTreeSet;
use std::time::Duration;

use vipd_scenarios::language::duration_text;
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::Shown;
use vipd_scenarios::report::page::gallery::{Cell, Exhibit, Gallery};
use vipd_scenarios::runner;
use vipd_scenarios::world::World as _;

use super::Rehearsal;
use super::advice::Advice;
use super::meter::Measure;
use super::page::{bound, cell, heading, story, symbols, verdict};
use super::stage::{Rehearsed, Stage, Worst};

/// The page.
#[must_use]
pub fn html(rehearsal: &Rehearsal, stage: &Stage) -> String {
    let mut lines = vec![format!("verdict: {}", verdict(rehearsal))];
    let hosts = rehearsal.hosts.iter();
    lines.extend(hosts.map(|(name, path)| format!("{name}: {}", path.display())));
    lines.extend(rehearsal.remarks.iter().cloned());
    let mut page = Gallery::new(&heading(rehearsal), &lines);
    advice(&mut page, &rehearsal.advice);
    summary(&mut page, rehearsal);
    for class in &rehearsal.classes {
        section(&mut page, rehearsal, stage, class);
    }
    page.heading("Symbols");
    page.paragraphs(&[symbols(&rehearsal.symbols)]);
    page.finish()
}

fn advice(page: &mut Gallery, advice: &[Advice]) {
    page.heading("What the files could do better");
    if advice.is_empty() {
        page.paragraphs(&["Nothing in these files is known to do better.".to_owned()]);
        return;
    }
    let row = |Advice { keyword, what, instead, .. }: &Advice| {
        [*keyword, what, instead].map(|text| Cell::Text(text.to_owned())).to_vec()
    };
    let rows: Vec<_> = advice.iter().map(row).collect();
    page.table(&["keyword", "what it means", "better"], &rows);
}

fn summary(page: &mut Gallery, rehearsal: &Rehearsal) {
    page.heading("The worst of each class");
    let mut head = vec!["fault class"];
    head.extend(Measure::ALL.map(Measure::words));
    let row = |class: &Rehearsed| {
        let (number, name) = (class.class.number(), class.class.name());
        let mut row = vec![Cell::Link(format!("{number} {name}"), name.to_owned())];
        match class.lacks {
            Some(lacks) => row.push(Cell::Dim(format!("does not apply: {lacks}"))),
            None => row.extend(class.worst.iter().map(|worst| match worst {
                None => Cell::Figure("-".to_owned()),
                Some(worst) => figure(worst, cell(worst)),
            })),
        }
        row
    };
    let rows: Vec<_> = rehearsal.classes.iter().map(row).collect();
    page.table(&head, &rows);
    page.paragraphs(&["-: did not happen; !: longer than its formula".to_owned()]);
}

fn figure(worst: &Worst, text: String) -> Cell {
    if worst.is_beyond() { Cell::Wrong(text) } else { Cell::Figure(text) }
}

fn section(page: &mut Gallery, rehearsal: &Rehearsal, stage: &Stage, class: &Rehearsed) {
    let (number, name) = (class.class.number(), class.class.name());
    page.section(name, &format!("{number} {name}"));
    let story = story(class.class);
    if let Some(lacks) = class.lacks {
        page.paragraphs(&[format!("{story}; does not apply: {lacks}.")]);
        return;
    }
    page.paragraphs(&[format!("{story}; {} runs.", class.runs)]);
    if class.worst.iter().all(Option::is_none) {
        page.paragraphs(&["Nothing of it was felt.".to_owned()]);
        return;
    }
    let rows = Measure::ALL.into_iter().zip(&class.worst).filter_map(|(measure, worst)| {
        let worst = worst.as_ref()?;
        Some(vec![
            Cell::Text(measure.words().to_owned()),
            figure(worst, duration_text(worst.value)),
            Cell::Text(bound(worst)),
            Cell::Link(worst.seed.to_string(), run_name(class, worst.seed)),
        ])
    });
    let rows: Vec<_> = rows.collect();
    page.table(&["", "worst", "formula", "seed"], &rows);
    let seeds: BTreeSet<u64> = class.worst.iter().flatten().map(|worst| worst.seed).collect();
    for seed in seeds {
        run(page, rehearsal, stage, class, seed);
    }
}

fn run_name(class: &Rehearsed, seed: u64) -> String {
    format!("{}-{seed}", class.class.name())
}

/// A worst run, from shortly before its fault to shortly after what it is shown for.
fn run(page: &mut Gallery, rehearsal: &Rehearsal, stage: &Stage, class: &Rehearsed, seed: u64) {
    let schedule = stage.schedule(class.class, seed);
    let scenario = stage.scenario(class.class, &schedule);
    let mut world = stage.world(&scenario);
    let mut history = History::new(world.setting());
    let outcome = runner::run(&scenario, &mut world, None, Some(&mut history));
    let worst = || {
        let all = Measure::ALL.into_iter().zip(&class.worst);
        all.filter_map(|(measure, worst)| Some((measure, worst.as_ref()?)))
            .filter(|(_, worst)| worst.seed == seed)
    };
    let told = |(measure, worst): (Measure, &Worst)| {
        format!("{} {}, {}", measure.words(), duration_text(worst.value), bound(worst))
    };
    let notes: Vec<_> = worst().map(told).collect();
    let words: Vec<_> = worst().map(|(measure, _)| measure.words()).collect();
    let heading = format!("seed {seed}: the worst {}", words.join(", "));
    let margin = rehearsal.symbols.interval * 2;
    let over = worst().map(|(_, worst)| worst.at).max().unwrap_or(outcome.end);
    let over = over.later(margin).min(outcome.end);
    let view = schedule.first_fault().map(|first| (before(first, margin), over));
    let key = (class.class, seed);
    page.exhibit(&Exhibit {
        name: &run_name(class, seed),
        heading: &heading,
        notes: &notes,
        commands: &[rehearsal.replay(class.class, seed)],
        lines: rehearsal.timelines.get(&key).map_or(&[], Vec::as_slice),
        shown: &Shown {
            label: "simulated",
            scenario: &scenario,
            seed: Some(seed),
            outcome: &outcome,
            history: &history,
        },
        view,
        open: class.shown().is_some_and(|worst| worst.seed == seed),
    });
}

fn before(time: WorldTime, margin: Duration) -> WorldTime {
    let since = time.since(WorldTime(0));
    WorldTime(0).later(since.saturating_sub(margin))
}
