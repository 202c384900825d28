//! The table of a matrix, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Came, Cause, Cell, Played};
use crate::deviations::Fact;

const CAUSES: [Cause; 4] = [Cause::Stop, Cause::Kill, Cause::Cut, Cause::Link];

/// Prints it.
pub(super) fn print(
    cells: &[Cell],
    as_json: bool,
    wall: Duration,
    out: &mut dyn Write,
) -> io::Result<()> {
    if as_json {
        return writeln!(out, "{:#}", object(cells, wall));
    }
    out.write_all(text(cells).as_bytes())
}

fn text(cells: &[Cell]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:23} {:16} {:>9} {:>9} {:>9} {:>9}  verdict",
        "master+backup", "mode", "stop", "kill", "cut", "link down"
    );
    for cell in cells {
        let mut line = format!("{:23} {:16}", cell.pairing.to_string(), cell.mode.name());
        for cause in CAUSES {
            let time =
                cell.came.last.takeover(cause).map(|time| format!("{:.4}", time.as_secs_f64()));
            let _ = write!(line, " {:>9}", time.as_deref().unwrap_or("-"));
        }
        let again = if cell.came.first.is_some() { " (second try)" } else { "" };
        let _ = writeln!(text, "{line}  {}{again}", cell.came.last.words());
    }
    text.push_str(
        "seconds from the last advert that the backup heard (stop: the one with priority 0) to its \
         own first one\n",
    );
    for fact in facts(cells) {
        let _ = writeln!(text, "{fact}: {}", fact.words());
    }
    for Cell { pairing, mode, came } in cells {
        let name = mode.name();
        for told in came.first.iter().flat_map(Came::complaints) {
            let _ = writeln!(text, "{pairing} {name}, first try: {told}");
        }
        if let Came::Played(played) = &came.last {
            for failure in &played.failures {
                let _ = writeln!(text, "{pairing} {name}: {failure}");
            }
        }
    }
    let count = |verdict| cells.iter().filter(|cell| cell.came.last.verdict() == verdict).count();
    let _ = writeln!(
        text,
        "{} pass, {} deviate as is known, {} fail, {} not applicable",
        count("pass"),
        count("deviation"),
        count("fail"),
        count("not_applicable")
    );
    text
}

fn facts(cells: &[Cell]) -> BTreeSet<Fact> {
    let played = cells.iter().filter_map(|cell| match &cell.came.last {
        Came::Played(played) => Some(played),
        Came::NotApplicable(_) | Came::Unusable(_) | Came::Late(_) | Came::Interrupted => None,
    });
    played.flat_map(Played::facts).collect()
}

fn object(cells: &[Cell], wall: Duration) -> Value {
    let rows = cells.iter().map(|cell| {
        let (deviations, failures, reason) = match &cell.came.last {
            Came::Played(played) => (played.deviations.clone(), played.failures.clone(), None),
            Came::NotApplicable(reason) | Came::Unusable(reason) | Came::Late(reason) => {
                (Vec::new(), Vec::new(), Some(reason))
            }
            Came::Interrupted => (Vec::new(), Vec::new(), None),
        };
        let deviations = deviations.into_iter().map(|(fact, told)| {
            json!({ "name": fact.to_string(), "fact": fact.words(), "explains": told })
        });
        let takeovers = CAUSES.map(|cause| {
            let seconds = cell.came.last.takeover(cause).map(|time| time.as_secs_f64());
            (cause.name().to_string(), json!(seconds))
        });
        json!({
            "master": cell.pairing.master.to_string(),
            "backup": cell.pairing.backup.to_string(),
            "mode": cell.mode.name(),
            "verdict": cell.came.last.verdict(),
            "takeover_seconds": Value::Object(takeovers.into_iter().collect()),
            "deviations": deviations.collect::<Vec<_>>(),
            "failures": failures,
            "tries": if cell.came.first.is_some() { 2 } else { 1 },
            "first_try": cell.came.first.iter().flat_map(Came::complaints).collect::<Vec<_>>(),
            "reason": reason,
        })
    });
    json!({ "cells": rows.collect::<Vec<_>>(), "wall_seconds": wall.as_secs_f64() })
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Cut => "cut",
            Self::Link => "link_down",
        }
    }
}

impl Played {
    fn facts(&self) -> BTreeSet<Fact> {
        self.deviations.iter().map(|(fact, _)| *fact).collect()
    }
}

impl Came {
    fn takeover(&self, cause: Cause) -> Option<Duration> {
        let Self::Played(played) = self else { return None };
        let mut takeovers = played.takeovers.iter();
        takeovers.find(|(known, _)| *known == cause).and_then(|(_, time)| *time)
    }

    fn words(&self) -> String {
        match self {
            Self::NotApplicable(reason) => format!("not applicable: {reason}"),
            Self::Unusable(_) | Self::Late(_) | Self::Interrupted => self.verdict().to_string(),
            Self::Played(played) => {
                let facts: Vec<_> = played.facts().iter().map(Fact::to_string).collect();
                [self.verdict().to_string(), facts.join(" ")].join(" ").trim_end().to_string()
            }
        }
    }
}
