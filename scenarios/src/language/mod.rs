//! The scenario language: a TOML file to a [`Scenario`], or every mistake in it at once.
//!
//! It reads and checks, and plays nothing. `topology` reads segments and hosts, `steps` what is
//! done to them, `expectations` what must be seen and which properties judge it, `values` single
//! values, `units` times and shares, `write` gives steps back as lines, `file` whole scenarios as
//! files. The reference for people is docs/scenarios.md; the types are in [`crate::scenario`].

mod expectations;
mod file;
mod steps;
mod topology;
mod units;
mod values;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Component, Path};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use vipd_config::diagnostics::{Colour, Diagnostic, Diagnostics, Sources};

use crate::record::WorldTime;
use crate::scenario::{Expect, Need, Scenario, Step};
use topology::Names;
use values::{Fields, Mistakes, Value};

pub use units::{duration_text, parse_duration};
pub use write::StepLine;

/// Octets of a scenario file that are read.
const LONGEST_FILE: u64 = 1 << 20;

/// A file that is no scenario: every mistake in it, each with its place and the way out.
#[derive(Clone, Debug)]
pub struct Unreadable {
    sources: Sources,
    diagnostics: Diagnostics,
}

impl Unreadable {
    /// All the mistakes for people, with or without terminal colours.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        self.diagnostics.render(&self.sources, colour)
    }

    /// The mistakes.
    #[must_use]
    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The text that the places in them are in.
    #[must_use]
    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    fn without_place(diagnostic: Diagnostic) -> Self {
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(diagnostic);
        Self { sources: Sources::default(), diagnostics }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for Unreadable {}

impl Scenario {
    /// Reads a scenario file. Paths in it are relative to it.
    ///
    /// # Errors
    /// [`Unreadable`] if the file cannot be read or holds any mistake.
    pub fn load(path: &Path) -> Result<Self, Unreadable> {
        Self::parse(path, &read(path)?)
    }

    /// As [`Self::load`], from text that stands at `path`.
    ///
    /// # Errors
    /// [`Unreadable`] with every mistake in the text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Unreadable> {
        let mut sources = Sources::default();
        let file = sources.add(path.display().to_string(), text);
        let mut mistakes = Mistakes::new(file, text);
        let (document, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            mistakes.syntax(error.message(), error.span());
        }
        // Half a table would be reported as missing keys that are there for everyone to see.
        let scenario = if syntax.is_empty() {
            let folder = path.parent().unwrap_or(Path::new(""));
            let whole = Fields::new(document.get_ref(), 0..0, "a scenario");
            scenario(whole, folder, name_of(path), &mut mistakes)
        } else {
            None
        };
        let diagnostics = mistakes.into_diagnostics();
        match scenario {
            Some(scenario) if diagnostics.is_empty() => Ok(scenario),
            Some(_) | None => Err(Unreadable { sources, diagnostics }),
        }
    }
}

fn scenario(mut whole: Fields, folder: &Path, name: String, m: &mut Mistakes) -> Option<Scenario> {
    let title = whole.required("title", m).and_then(|value| values::text(value, m));
    let until = whole.required("until", m).and_then(|value| values::time(value, m));
    let until = until.map(values::world_time);
    let seed = whole.optional("seed").map_or(Some(1), |value| values::integer(value, u64::MAX, m));
    let fault_classes = whole.optional("fault_class").map_or(Vec::new(), |value| {
        let listed = values::list(value).into_iter();
        listed.filter_map(|one| values::fault_class(one, m)).collect()
    });
    let mut needs = whole.optional("needs").map_or(Vec::new(), |value| {
        let listed = values::list(value).into_iter();
        listed.filter_map(|one| values::need(one, m)).collect()
    });
    let segments = topology::segments(whole.optional("segment"), m);
    let hosts = topology::hosts(whole.optional("host"), &segments, folder, m);
    let names = Names::new(&segments, &hosts, until.unwrap_or(WorldTime(u64::MAX)));
    let mut steps: Vec<_> = array_of_tables(whole.optional("step"), "step", m)
        .filter_map(|(table, place)| {
            steps::step(Fields::new(table, place, "a step"), &names, folder, m)
        })
        .map(Arc::new)
        .collect();
    steps.sort_by_key(|step| step.at);
    let expectations = array_of_tables(whole.optional("expect"), "expect", m)
        .filter_map(|(table, place)| {
            expectations::expectation(Fields::new(table, place, "an expectation"), &names, m)
        })
        .collect::<Vec<_>>();
    let directs = hosts.iter().any(|one| one.host.requests.is_some())
        || steps.iter().any(|timed| matches!(timed.step, Step::Server { .. }))
        || expectations.iter().any(|one| matches!(one.expect, Expect::Pool { .. }));
    if directs && !needs.contains(&Need::Ipvs) {
        needs.push(Need::Ipvs);
    }
    let properties = expectations::properties(whole.optional("properties"), m);
    whole.finish(m);
    Some(Scenario {
        name,
        title: title?.to_owned(),
        fault_classes,
        needs,
        seed: seed?,
        until: until?,
        segments: segments.into_iter().map(|one| one.segment).collect(),
        hosts: hosts.into_iter().map(|one| one.host).collect(),
        steps,
        expectations,
        properties,
    })
}

type Place = std::ops::Range<usize>;

/// The tables of `[[key]]`, in the order of the file.
fn array_of_tables<'t>(
    value: Option<&'t Value<'t>>,
    key: &str,
    m: &mut Mistakes,
) -> std::vec::IntoIter<(&'t DeTable<'t>, Place)> {
    let mut tables = Vec::new();
    for one in value.map_or(Vec::new(), values::list) {
        match one.get_ref() {
            DeValue::Table(table) => tables.push((table, one.span())),
            _ => m.wrong_type(one, "a table", &format!("write each as `[[{key}]]`")),
        }
    }
    tables.into_iter()
}

/// The path below the nearest folder called `scenarios`, without extension.
fn name_of(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).with_extension("");
    let mut words: Vec<&str> = Vec::new();
    for component in whole.components() {
        match component {
            Component::Normal(word) => words.push(word.to_str().unwrap_or("?")),
            Component::ParentDir => drop(words.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let folder = words.iter().rposition(|word| *word == "scenarios");
    let first = folder.map_or(words.len().saturating_sub(1), |at| at + 1);
    words[first.min(words.len())..].join("/")
}

fn read(path: &Path) -> Result<String, Unreadable> {
    let fail = |code, why: String| {
        let message = format!("cannot read {}: {why}", path.display());
        Unreadable::without_place(
            Diagnostic::error(code, message).help("name a scenario file, such as NAME.toml"),
        )
    };
    let about = std::fs::metadata(path).map_err(|error| fail("unreadable", error.to_string()))?;
    if about.is_dir() {
        return Err(fail("unreadable", "it is a directory".to_owned()));
    }
    if about.len() > LONGEST_FILE {
        return Err(fail("too-long", format!("it is longer than {LONGEST_FILE} octets")));
    }
    let octets = std::fs::read(path).map_err(|error| fail("unreadable", error.to_string()))?;
    String::from_utf8(octets).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|octet| **octet == b'\n').count() + 1;
        fail("not-utf-8", format!("line {line} is not UTF-8"))
    })
}
