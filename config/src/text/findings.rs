//! What the reader reports, kept small: each mistake once per place, and an end after many.

use std::collections::BTreeSet;

use crate::diagnostics::{Diagnostic, Diagnostics, Span};

/// The findings of one reading, and whether it goes on.
#[derive(Debug)]
pub(super) struct Findings {
    diagnostics: Diagnostics,
    /// Text repeated by a macro makes the same mistake at the same place again.
    seen: BTreeSet<(&'static str, Option<Span>)>,
    most: usize,
    stopped: bool,
}

impl Findings {
    /// None yet; after `most` of them reading ends.
    pub fn new(most: usize) -> Self {
        Findings {
            diagnostics: Diagnostics::default(),
            seen: BTreeSet::new(),
            most,
            stopped: false,
        }
    }

    /// Adds one, unless the same was found at the same place.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if self.stopped || !self.seen.insert((diagnostic.code, diagnostic.span)) {
            return;
        }
        let span = diagnostic.span;
        self.diagnostics.push(diagnostic);
        if self.diagnostics.len() >= self.most {
            self.stopped = true;
            let message = format!("{} mistakes were found, the rest is not read", self.most);
            let last = Diagnostic::error("too-many-mistakes", message);
            self.diagnostics.push(span.into_iter().fold(last, Diagnostic::at));
        }
    }

    /// Adds one after which nothing more is read.
    pub fn stop(&mut self, diagnostic: Diagnostic) {
        self.report(diagnostic);
        self.stopped = true;
    }

    /// Whether reading has ended.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// What was found.
    pub fn finish(self) -> Diagnostics {
        self.diagnostics
    }
}
