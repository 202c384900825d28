//! The commands that every program of ours has: `check`, what is to be said of files, and `config`,
//! what a file means with every default filled in, each value with its origin. Nothing is run.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;
use vipd_engine::Profile;

use crate::diagnostics::{Colour, Diagnostics};
use crate::{Effective, Loaded, Options, Places, Report};

/// What was found, as the exit status of the process. The worst of several files is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// 0: nothing to remark but notes.
    Fine,
    /// 1: usable, with warnings.
    Warnings,
    /// 2: unusable, nothing was printed on `out`.
    Unusable,
}

impl Shown {
    /// The exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Warnings => 1,
            Self::Unusable => 2,
        }
    }

    /// Of a file that can be used, as far as the file alone tells.
    fn of(report: &Report) -> Self {
        let warned = report.diagnostics.warnings().next().is_some();
        match report.diagnostics.has_errors() {
            true => Self::Unusable,
            false if warned => Self::Warnings,
            false => Self::Fine,
        }
    }
}

/// How the effective configuration is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line per value: where it stands, the value, and its origin behind a `#`.
    Text,
    /// One JSON object.
    Json,
}

/// Prints the effective configuration on `out`, everything that is to be said of the file on `err`.
///
/// # Errors
/// Those of `out` and `err`.
pub fn show(
    file: &Path,
    options: &Options,
    form: Form,
    colour: Colour,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Shown> {
    match crate::explain(file, options) {
        Ok((loaded, effective)) => {
            remark(&loaded.report, colour, err)?;
            match form {
                Form::Text => out.write_all(text(&effective).as_bytes())?,
                Form::Json => {
                    let json = serde_json::to_string_pretty(&effective)?;
                    writeln!(out, "{json}")?;
                }
            }
            out.flush()?;
            Ok(Shown::of(&loaded.report))
        }
        Err(report) => {
            remark(&report, colour, err)?;
            Ok(Shown::Unusable)
        }
    }
}

/// Reads every file by itself, prints all that is to be said of them on `err`, and a line per file
/// on `out`. Answers with the worst.
///
/// # Errors
/// Those of `out` and `err`.
pub fn check(
    files: &[impl AsRef<Path>],
    options: &Options,
    colour: Colour,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Shown> {
    let nothing = |_: &Loaded, _: &Places, _: &mut dyn Write| Ok(Diagnostics::default());
    check_also(files, options, colour, out, err, nothing)
}

/// As [`check`], and `look` finds more about each file that can be used. It may talk on `err`.
///
/// # Errors
/// Those of `out` and `err`.
pub fn check_also(
    files: &[impl AsRef<Path>],
    options: &Options,
    colour: Colour,
    out: &mut dyn Write,
    err: &mut dyn Write,
    mut look: impl FnMut(&Loaded, &Places, &mut dyn Write) -> io::Result<Diagnostics>,
) -> io::Result<Shown> {
    let mut worst = Shown::Fine;
    for file in files {
        let file = file.as_ref();
        let (report, shown, verdict) = match crate::locate(file, options) {
            Ok((mut loaded, places)) => {
                let found = look(&loaded, &places, err)?;
                loaded.report.diagnostics.extend(found);
                let verdict = match Shown::of(&loaded.report) {
                    Shown::Fine => "fine",
                    Shown::Warnings => "usable, with warnings",
                    Shown::Unusable => "unusable on this machine",
                };
                let shown = Shown::of(&loaded.report);
                (loaded.report, shown, verdict)
            }
            Err(report) => (*report, Shown::Unusable, "unusable"),
        };
        remark(&report, colour, err)?;
        writeln!(out, "{}: {verdict}", file.display())?;
        worst = worst.max(shown);
    }
    out.flush()?;
    Ok(worst)
}

/// Whose rules hold where a file does not say, from an argument.
///
/// # Errors
/// The names that there are, if this is none of them.
pub fn profile(name: &str) -> Result<Profile, String> {
    let named = Profile::ALL.into_iter().find(|profile| profile.name() == name);
    named.ok_or_else(|| {
        let names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn remark(report: &Report, colour: Colour, err: &mut dyn Write) -> io::Result<()> {
    let text = report.render(colour);
    if text.trim().is_empty() { Ok(()) } else { writeln!(err, "{}", text.trim_end()) }
}

fn text(effective: &Effective) -> String {
    let mut lines = String::new();
    describe("", effective.as_value(), &mut lines);
    lines
}

/// A block is named by its keyword and its name; whatever has an origin and a value is a line.
fn describe(place: &str, value: &Value, lines: &mut String) {
    match value {
        Value::Object(keys) => {
            if let (Some(value), Some(origin)) = (keys.get("value"), keys.get("origin")) {
                let origin = origin.as_str().unwrap_or_default();
                lines.push_str(&format!("{place} = {value}  # {origin}\n"));
                return;
            }
            for (key, inner) in
                keys.iter().filter(|(key, _)| !["name", "origin"].contains(&&***key))
            {
                let inner_place =
                    if place.is_empty() { key.clone() } else { format!("{place} / {key}") };
                describe(&inner_place, inner, lines);
            }
        }
        Value::Array(blocks) => {
            for block in blocks {
                let name = block.get("name").and_then(Value::as_str);
                let place = name.map_or_else(|| place.to_owned(), |name| format!("{place} {name}"));
                describe(&place, block, lines);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.push_str(&format!("{place} = {value}\n"));
        }
    }
}
