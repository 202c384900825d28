//! A hunt as a page: the tables that the terminal has, and of violations the timelines. Each seed
//! that is shown is played once more.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vipd_scenarios::judge::PropertyId;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::Shown;
use vipd_scenarios::report::page::gallery::{Cell, Exhibit, Gallery};
use vipd_scenarios::runner;
use vipd_scenarios::world::World as _;

use super::arena::Arena;
use super::report::{bound, classes, in_order, replay, seconds, shrink, sums};
use super::tally::{Card, PropertyCount, Tally};
use crate::faults::FaultClass;

/// Timelines of one page: each has ten minutes of adverts.
const MOST: usize = 20;

/// The page.
#[must_use]
pub fn html(tally: &Tally, arena: &Arena) -> String {
    let title = format!("hunt over {}", tally.hunted.scenario);
    let mut page = Gallery::new(&title, &sums(tally));
    let shown = seeds(tally);
    violations(&mut page, tally, &shown);
    properties(&mut page, tally);
    faults(&mut page, tally);
    counts(&mut page, "pairs of states", "times", tally.pairs.iter());
    counts(&mut page, "requirements of the RFCs", "in seeds", tally.rows.iter());
    if !shown.is_empty() {
        page.heading("Runs");
    }
    for (place, seed) in shown.into_iter().enumerate() {
        run(&mut page, tally, arena, seed, place == 0);
    }
    page.finish()
}

/// Cards of violated properties.
fn cards(tally: &Tally) -> impl Iterator<Item = (String, &Card)> {
    in_order(tally).flat_map(|(id, count)| count.cards.iter().map(move |card| (id.clone(), card)))
}

/// The seeds whose timelines are shown: the first violation of each property, the second, ...
fn seeds(tally: &Tally) -> BTreeSet<u64> {
    let mut seeds = BTreeSet::new();
    for place in 0..super::tally::CARDS {
        for (_, count) in in_order(tally) {
            if let Some(card) = count.cards.get(place)
                && seeds.len() < MOST
            {
                seeds.insert(card.seed);
            }
        }
    }
    seeds
}

fn name(seed: u64) -> String {
    format!("seed-{seed}")
}

fn violations(page: &mut Gallery, tally: &Tally, shown: &BTreeSet<u64>) {
    page.heading("Violations");
    if tally.violations() == 0 {
        page.paragraphs(&["None.".to_owned()]);
    }
    for (id, count) in in_order(tally).filter(|(_, count)| count.violated > 0) {
        match PropertyId::ALL.into_iter().find(|known| known.to_string() == id) {
            Some(known) => page.property(known),
            None => {
                page.paragraphs(&[format!("{id}: the program must not panic, whatever happens.")]);
            }
        }
        page.paragraphs(&[format!("Violated in {} of {} seeds.", count.violated, tally.played())]);
        let row = |card| card_row(tally, &id, card, shown);
        let rows: Vec<_> = count.cards.iter().map(row).collect();
        let head = ["seed", "what was seen", "worst", "bound", "faults", "again", "as a file"];
        page.table(&head, &rows);
        page.paragraphs(&count.more().into_iter().collect::<Vec<_>>());
    }
}

fn card_row(tally: &Tally, id: &str, card: &Card, shown: &BTreeSet<u64>) -> Vec<Cell> {
    let seed = card.seed.to_string();
    let figure = |nanos: Option<u64>, cell: fn(String) -> Cell| {
        nanos.map_or_else(|| Cell::Dim("-".to_owned()), |nanos| cell(seconds(nanos)))
    };
    vec![
        if shown.contains(&card.seed) {
            Cell::Link(seed, name(card.seed))
        } else {
            Cell::Text(seed)
        },
        Cell::Text(card.what.clone()),
        figure(card.value_ns, Cell::Wrong),
        figure(card.bound_ns, Cell::Figure),
        Cell::Text(classes(card)),
        Cell::Code(replay(tally, card.seed)),
        Cell::Code(shrink(tally, id, card.seed)),
    ]
}

fn properties(page: &mut Gallery, tally: &Tally) {
    page.heading("Properties");
    let row = |(id, count): (String, &PropertyCount)| {
        let figures =
            [count.held, count.violated, count.wanting, count.not_provided, count.not_exercised];
        let mut row = vec![Cell::Text(id)];
        row.extend(figures.map(|figure| Cell::Figure(figure.to_string())));
        if let Some(tightest) = count.tightest {
            let permille = tightest.permille();
            row.push(Cell::Figure(seconds(tightest.value_ns)));
            row.push(Cell::Figure(bound(tightest)));
            row.push(Cell::Figure(format!("{}.{}%", permille / 10, permille % 10)));
            row.push(Cell::Figure(tightest.seed.to_string()));
        }
        row
    };
    let rows: Vec<_> = in_order(tally).map(row).collect();
    page.table(
        &[
            "property",
            "held",
            "violated",
            "for want of S8",
            "outside of its conditions",
            "not put to the test",
            "tightest",
            "its bound",
            "used",
            "seed",
        ],
        &rows,
    );
}

fn faults(page: &mut Gallery, tally: &Tally) {
    page.heading("What was reached");
    let rows = tally.faults.iter().filter_map(|(number, count)| {
        let class = FaultClass::from_number(*number)?;
        let remark = match (&count.lacks, count.faults) {
            (Some(lacks), _) => lacks.as_str(),
            (None, 0) => "NEVER",
            (None, _) => "",
        };
        Some(vec![
            Cell::Text(class.to_string()),
            Cell::Figure(count.faults.to_string()),
            Cell::Figure(count.seeds.to_string()),
            Cell::Dim(remark.to_owned()),
        ])
    });
    let rows: Vec<_> = rows.collect();
    page.folded_table("faults", &["class", "times", "in seeds", ""], &rows);
}

fn counts<'a>(
    page: &mut Gallery,
    what: &str,
    unit: &str,
    counts: impl Iterator<Item = (&'a String, &'a u64)>,
) {
    let row = |(name, count): (&String, &u64)| {
        let remark = if *count == 0 { "NEVER" } else { "" };
        vec![
            Cell::Text(name.clone()),
            Cell::Figure(count.to_string()),
            Cell::Dim(remark.to_owned()),
        ]
    };
    let rows: Vec<_> = counts.map(row).collect();
    page.folded_table(what, &["", unit, ""], &rows);
}

/// A seed, played once more.
fn run(page: &mut Gallery, tally: &Tally, arena: &Arena, seed: u64, open: bool) {
    let violated: Vec<_> = cards(tally).filter(|(_, card)| card.seed == seed).collect();
    let notes = violated.iter().map(|(id, card)| format!("{id}: {}", card.what));
    let notes: Vec<_> = notes.collect();
    let mut commands = vec![replay(tally, seed)];
    commands.extend(violated.iter().map(|(id, _)| shrink(tally, id, seed)));
    let play = || {
        let scenario = arena.schedule(seed).over(arena.scenario());
        let mut world = arena.world(&scenario);
        let mut history = History::new(world.setting());
        let outcome = runner::run(&scenario, &mut world, None, Some(&mut history));
        (scenario, outcome, history)
    };
    let Ok((scenario, outcome, history)) = catch_unwind(AssertUnwindSafe(play)) else {
        // The words of the panic are in the table; what led to it ends nowhere.
        page.section(&name(seed), &format!("seed {seed} ends in a panic"));
        page.paragraphs(&commands);
        return;
    };
    let (label, shown_seed) = ("simulated", Some(seed));
    page.exhibit(&Exhibit {
        name: &name(seed),
        heading: &format!("seed {seed}"),
        notes: &notes,
        commands: &commands,
        lines: &[],
        shown: &Shown {
            label,
            scenario: &scenario,
            seed: shown_seed,
            outcome: &outcome,
            history: &history,
        },
        view: None,
        open,
    });
}
