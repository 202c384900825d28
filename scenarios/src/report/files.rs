//! The files that a command was asked for beside what it prints.

use std::path::PathBuf;

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
}
