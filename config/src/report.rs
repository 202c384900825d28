//! Findings together with the files they point into, so that they can be shown.
//!
//! It adds nothing to [`Diagnostics`]; it is what leaves this crate.

use std::fmt;

use crate::diagnostics::{Colour, DiagnosticRecord, Diagnostics, Sources};

/// What was found in a configuration, and the text that it was found in.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The files that were read.
    pub sources: Sources,
    /// The findings.
    pub diagnostics: Diagnostics,
}

impl Report {
    /// All findings as text for people: file, line, column, the offending text underlined.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        self.diagnostics.render(&self.sources, colour)
    }

    /// All findings in the form that is written as JSON.
    #[must_use]
    pub fn records(&self) -> Vec<DiagnosticRecord> {
        self.diagnostics.to_records(&self.sources)
    }

    /// The texts of the notes, in the order of the file.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.diagnostics.notes().map(|note| note.message.clone()).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for Report {}
