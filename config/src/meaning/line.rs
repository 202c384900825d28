//! One statement while it is read: its arguments one after the other, and what is said about them.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use vipd_engine::Profile;
use vipd_engine::names::OutOfRange;

use super::value;
use crate::diagnostics::{Diagnostic, Diagnostics, Severity, Span};
use crate::keywords::Keyword;
use crate::text::{Statement, Word, did_you_mean};

/// After so many findings no statement is read any more: hostile input stays cheap.
pub(crate) const MOST_FINDINGS: usize = 200;

/// A statement, or a line of a list, of which some words have been taken.
pub(crate) struct Line<'a> {
    /// What is being read.
    pub keyword: &'static Keyword,
    /// The whole of it.
    pub statement: &'a Statement,
    /// Whose rules are asked for.
    pub profile: Profile,
    /// What is in the braces is not to be read.
    pub skip_block: bool,
    found: &'a mut Diagnostics,
    taken: usize,
}

impl<'a> Line<'a> {
    /// Words from the one with this number on are the arguments.
    pub fn new(
        keyword: &'static Keyword,
        statement: &'a Statement,
        first: usize,
        profile: Profile,
        found: &'a mut Diagnostics,
    ) -> Self {
        Line { keyword, statement, profile, skip_block: false, found, taken: first }
    }

    /// The statements in the braces as lines of their own, all words still to be taken.
    pub fn children(&mut self, mut each: impl FnMut(&mut Line<'_>)) {
        for child in self.statement.children() {
            if let Some(block) = &child.block {
                let message = format!("a line of `{}` has no block", self.keyword.name);
                self.error("unexpected-block", block.open, message);
            }
            let mut line = Line::new(self.keyword, child, 0, self.profile, self.found);
            each(&mut line);
            line.finish();
        }
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < MOST_FINDINGS {
            self.found.push(diagnostic);
        }
    }

    pub fn error(&mut self, code: &'static str, at: Span, message: String) {
        self.report(Diagnostic::error(code, message).at(at));
    }

    /// A value that keepalived cuts, rounds or ignores: a warning in `drop-in`, an error elsewhere.
    pub fn adjusted(&mut self, at: Span, message: String, label: &str) {
        let severity = adjusted_severity(self.profile);
        let found = Diagnostic::new(severity, "value-adjusted", message).at(at);
        self.report(if label.is_empty() { found } else { found.label(label) });
    }

    /// The next word, if there is one.
    pub fn next(&mut self) -> Option<&'a Word> {
        let word = self.statement.words.get(self.taken)?;
        self.taken += 1;
        Some(word)
    }

    /// The next word, without taking it.
    pub fn peek(&self) -> Option<&'a Word> {
        self.statement.words.get(self.taken)
    }

    /// The rest, joined by blanks.
    pub fn rest(&mut self) -> Option<(String, Span)> {
        let words = &self.statement.words[self.taken.min(self.statement.words.len())..];
        self.taken = self.statement.words.len();
        let span = words.first()?.span.to(words.last()?.span);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        Some((texts.join(" "), span))
    }

    /// The next word; an error if there is none.
    pub fn word(&mut self) -> Option<&'a Word> {
        let word = self.next();
        if word.is_none() {
            self.missing();
        }
        word
    }

    fn missing(&mut self) {
        let Keyword { name, arguments, .. } = *self.keyword;
        let message = format!("`{name}` needs a value");
        let found = Diagnostic::error("missing-value", message).at(self.statement.span());
        self.report(found.help(format!("write `{name} {arguments}`")));
    }

    /// What is left over does nothing.
    pub fn finish(&mut self) {
        let left = self.rest();
        if let Some((text, span)) = left {
            let message = format!("`{text}` is one word too many for `{}`", self.keyword.name);
            self.adjusted(span, message, "keepalived ignores it");
        }
    }

    pub fn integer(&mut self) -> Option<(i64, Span)> {
        let word = self.word()?;
        let value = value::integer(&word.text);
        if value.is_none() {
            self.invalid(word, "is not a whole number", None);
        }
        Some((value?, word.span))
    }

    /// A whole number within a range that is keepalived's, not the engine's.
    pub fn integer_in(&mut self, range: RangeInclusive<i64>) -> Option<i64> {
        let (value, span) = self.integer()?;
        if range.contains(&value) {
            return Some(value);
        }
        let (what, min, max) = (self.keyword.name, *range.start(), *range.end());
        self.out_of_range(span, OutOfRange { what, min, max });
        None
    }

    /// A whole number within the range of its type.
    pub fn typed<T>(&mut self, make: impl FnOnce(i64) -> Result<T, OutOfRange>) -> Option<T> {
        let (value, span) = self.integer()?;
        make(value).map_err(|error| self.out_of_range(span, error)).ok()
    }

    pub fn out_of_range(&mut self, at: Span, error: OutOfRange) {
        let found = Diagnostic::error("out-of-range", error.to_string()).at(at);
        let label = format!("outside {} to {}", error.min, error.max);
        self.report(found.label(label));
    }

    /// A time in seconds, down to the microsecond.
    pub fn seconds(&mut self) -> Option<(Duration, Span)> {
        let word = self.word()?;
        let value = value::seconds(&word.text);
        if value.is_none() {
            self.invalid(word, "is not a time in seconds", None);
        }
        Some((value?, word.span))
    }

    /// A time in seconds within a range.
    pub fn seconds_in(&mut self, range: RangeInclusive<u32>) -> Option<Duration> {
        let (value, span) = self.seconds()?;
        let (min, max) = (u64::from(*range.start()), u64::from(*range.end()));
        if value >= Duration::from_secs(min) && value <= Duration::from_secs(max) {
            return Some(value);
        }
        let (min, max) = (i64::from(*range.start()), i64::from(*range.end()));
        self.out_of_range(span, OutOfRange { what: self.keyword.name, min, max });
        None
    }

    /// `on`, `off` and the like; on if there is none.
    pub fn flag(&mut self) -> Option<bool> {
        let Some(word) = self.next() else { return Some(true) };
        let value = value::NAMED_BOOLEANS.into_iter().find(|(name, _)| *name == word.text);
        if value.is_none() {
            let names = value::NAMED_BOOLEANS.map(|(name, _)| name);
            self.invalid(word, "is neither `on` nor `off`", did_you_mean(&word.text, names));
        }
        value.map(|(_, value)| value)
    }

    pub fn address(&mut self) -> Option<(IpAddr, Span)> {
        let word = self.word()?;
        let value = word.text.parse().ok();
        if value.is_none() {
            self.invalid(word, "is not an IP address", None);
        }
        Some((value?, word.span))
    }

    pub fn port(&mut self) -> Option<u16> {
        self.integer_in(0..=65535).map(|port| port as u16)
    }

    /// One of some names.
    pub fn choice<T: Copy>(&mut self, names: &[(&'static str, T)]) -> Option<(T, Span)> {
        let word = self.word()?;
        let value = names.iter().find(|(name, _)| *name == word.text).map(|(_, value)| *value);
        if value.is_none() {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            let near = did_you_mean(&word.text, known.iter().copied());
            let message = format!("is none of `{}`", known.join("`, `"));
            self.invalid(word, &message, near);
        }
        Some((value?, word.span))
    }

    /// One of some names, in any case.
    pub fn choice_of_any_case<T: Copy>(
        &mut self,
        names: &[(&'static str, T)],
    ) -> Option<(T, Span)> {
        let same = |text: &str| names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        match self.peek().and_then(|word| Some((same(&word.text)?, word.span))) {
            Some((&(_, value), span)) => {
                self.taken += 1;
                Some((value, span))
            }
            None => self.choice(names),
        }
    }

    /// A value that cannot be meant.
    pub fn invalid(&mut self, word: &Word, what: &str, near: Option<&str>) {
        let message = format!("`{}` {what}", word.text);
        let found = Diagnostic::error("invalid-value", message).at_word(word);
        let found = found.label(format!("in `{}`", self.keyword.name));
        self.report(match near {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found,
        });
    }

    /// Where the keyword stands.
    pub fn span(&self) -> Span {
        self.statement.keyword().span
    }
}

/// How bad a value is that keepalived cuts, rounds or ignores.
pub(crate) fn adjusted_severity(profile: Profile) -> Severity {
    match profile {
        Profile::DropIn => Severity::Warning,
        Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568 => Severity::Error,
    }
}
