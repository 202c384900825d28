//! The files that a command was asked for beside what it prints.

use std::fs;
use std::path::{Path, PathBuf};

use super::page::{Shown, html};
use super::{lines, perfetto};

/// Where to write what; nothing unless asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// A page to look at.
    pub html: Option<PathBuf>,
    /// A trace for ui.perfetto.dev.
    pub perfetto: Option<PathBuf>,
    /// An object per observation and line.
    pub jsonl: Option<PathBuf>,
}

impl Files {
    /// Whether any is asked for: then a run has to be kept.
    #[must_use]
    pub const fn wanted(&self) -> bool {
        self.html.is_some() || self.perfetto.is_some() || self.jsonl.is_some()
    }

    /// Writes what is asked for of one run. Each file that could not be written is a message; the
    /// others are written all the same.
    #[must_use]
    pub fn write(&self, shown: &Shown<'_>) -> Vec<String> {
        let page = |shown: &Shown<'_>| html(std::slice::from_ref(shown));
        let write_one = |path: &Option<PathBuf>, what: &str, text: fn(&Shown<'_>) -> String| {
            let path = path.as_deref()?;
            write(path, what, &text(shown)).err()
        };
        let written = [
            write_one(&self.html, "page", page),
            write_one(&self.perfetto, "trace", perfetto::text),
            write_one(&self.jsonl, "JSON lines", lines::text),
        ];
        written.into_iter().flatten().collect()
    }
}

/// Writes one file.
///
/// # Errors
/// What to tell people: which file, which path, why not.
pub fn write(path: &Path, what: &str, text: &str) -> Result<(), String> {
    fs::write(path, text)
        .map_err(|error| format!("cannot write the {what} {}: {error}", path.display()))
}
