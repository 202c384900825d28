//! What is wrong with a configuration, where, and the way out: places, messages, their rendering
//! in the look of rustc and as JSON.
//!
//! It finds nothing itself. [`crate::text`] and the typed meaning report into [`Diagnostics`].

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::text::Word;

/// A file among the [`Sources`] of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A piece of a file: octets `start..end` of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first octet.
    pub start: usize,
    /// The octet after the last.
    pub end: usize,
}

impl Span {
    /// From the start of this to the end of `last`; this alone if `last` is elsewhere or before.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        if last.file == self.file && last.end >= self.start {
            Span { end: last.end, ..self }
        } else {
            self
        }
    }
}

/// A place as people count: line and column from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// The files that were read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    path: String,
    /// As it was read: to be moved into an `Arc<str>` it would be copied.
    text: Arc<String>,
    /// Where each line starts, once that is asked for.
    lines: OnceLock<Vec<u32>>,
}

impl Source {
    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let octets = self.text.as_bytes();
            let count = octets.iter().filter(|octet| **octet == b'\n').count();
            let mut lines = Vec::with_capacity(count + 1);
            lines.push(0);
            let breaks = octets.iter().zip(1..).filter(|(octet, _)| **octet == b'\n');
            // Files have far fewer octets than a `u32` counts: `Limits::octets`.
            lines.extend(breaks.map(|(_, next): (_, u32)| next));
            lines
        })
    }
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        let (path, text) = (path.into(), Arc::new(text.into()));
        self.files.push(Source { path, text, lines: OnceLock::new() });
        FileId(self.files.len() - 1)
    }

    /// The path under which it was read.
    pub fn path(&self, file: FileId) -> &str {
        &self.files[file.0].path
    }

    /// Its text; octets that were not UTF-8 stand as U+FFFD.
    pub fn text(&self, file: FileId) -> &str {
        &self.files[file.0].text
    }

    /// Its text, to be held while the sources grow.
    pub(crate) fn shared_text(&self, file: FileId) -> Arc<String> {
        Arc::clone(&self.files[file.0].text)
    }

    /// The text of a piece.
    pub fn slice(&self, span: Span) -> &str {
        let Range { start, end } = self.within(span);
        &self.files[span.file.0].text[start..end]
    }

    /// Where a piece starts.
    pub fn position(&self, span: Span) -> Position {
        let source = &self.files[span.file.0];
        let start = self.within(span).start;
        let lines = source.lines();
        let line = lines.partition_point(|first| *first as usize <= start).max(1);
        let column = source.text[lines[line - 1] as usize..start].chars().count() + 1;
        Position { line, column }
    }

    /// The paths of all files, in the order in which they were read.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|source| source.path.as_str())
    }

    /// The span's range, moved onto character boundaries of the text.
    fn within(&self, span: Span) -> Range<usize> {
        let text = &self.files[span.file.0].text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        start..end
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is used, and something in it does not do what it seems to say.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name, in kebab-case.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where, if it is anywhere.
    pub span: Option<Span>,
    /// What stands beside the underlining.
    pub label: Option<String>,
    /// The way out.
    pub help: Option<String>,
    /// Other places that matter, each with its label.
    pub secondary: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A note.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    /// Any of the three.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity,
            code,
            message: message.into(),
            span: None,
            label: None,
            help: None,
            secondary: Vec::new(),
        }
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// At a word, and where it was written if a macro made it.
    #[must_use]
    pub fn at_word(self, word: &Word) -> Self {
        let found = self.at(word.span);
        word.written
            .into_iter()
            .fold(found, |found, written| found.also(written, "the macro's value is written here"))
    }

    /// With these words beside the underlining.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place that matters.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push((span, label.into()));
        self
    }
}

/// The findings, in order of file and place; those without a place come first.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Whether any of them refuses the configuration.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All, in order of file and place; at one place in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        let mut order: Vec<&Diagnostic> = self.list.iter().collect();
        order.sort_by_key(|diagnostic| diagnostic.span);
        order.into_iter()
    }

    /// The errors, in order.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Error)
    }

    /// The warnings, in order.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Warning)
    }

    /// The notes, in order.
    pub fn notes(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Note)
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.iter().filter(move |diagnostic| diagnostic.severity == severity)
    }

    /// All of them as text for people, a blank line between two.
    pub fn render(&self, sources: &Sources, colour: Colour) -> String {
        let texts: Vec<String> = self.iter().map(|one| one.render(sources, colour)).collect();
        texts.join("\n")
    }

    /// All of them in the form that is written as JSON.
    pub fn to_records(&self, sources: &Sources) -> Vec<DiagnosticRecord> {
        self.iter().map(|one| one.to_record(sources)).collect()
    }
}

/// Whether rendered text carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Colour {
    /// Plain text.
    #[default]
    Never,
    /// ANSI escapes.
    Always,
}

/// A diagnostic as JSON shows it; what it does not have is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticRecord {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file's path.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// The way out.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The form that is written as JSON.
    pub fn to_record(&self, sources: &Sources) -> DiagnosticRecord {
        let position = self.span.map(|span| sources.position(span));
        DiagnosticRecord {
            severity: self.severity,
            code: self.code,
            message: self.message.clone(),
            file: self.span.map(|span| sources.path(span.file).to_owned()),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            help: self.help.clone(),
        }
    }

    /// Text for people: the message, the line with the offending text underlined, the way out.
    /// It ends in a line break.
    pub fn render(&self, sources: &Sources, colour: Colour) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(&self.message).id(self.code));
        for excerpt in self.excerpts(sources) {
            group = excerpt.add_to(group);
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        let text = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
        format!("{text}\n")
    }

    /// What to show, the place of the diagnostic first. Marks that are near each other share an
    /// excerpt.
    fn excerpts<'a>(&'a self, sources: &'a Sources) -> Vec<Excerpt<'a>> {
        let primary = self.span.map(|span| (span, self.label.as_deref(), true));
        let others = self.secondary.iter().map(|(span, label)| (*span, Some(&**label), false));
        let mut excerpts: Vec<Excerpt<'a>> = Vec::new();
        for (span, label, primary) in primary.into_iter().chain(others) {
            let line = sources.position(span).line;
            let mark = Mark { range: sources.within(span), label, primary };
            let near = |excerpt: &&mut Excerpt<'_>| {
                excerpt.file == span.file && excerpt.line.abs_diff(line) <= SHARED_LINES
            };
            match excerpts.iter_mut().find(near) {
                Some(excerpt) => excerpt.marks.push(mark),
                None => {
                    let source = &sources.files[span.file.0];
                    excerpts.push(Excerpt { file: span.file, line, source, marks: vec![mark] });
                }
            }
        }
        excerpts
    }
}

/// Marks at most this many lines from the first are shown in one excerpt: a renderer reads every
/// line from the first mark to the last.
const SHARED_LINES: usize = 500;

/// Octets of a line that is shown; of a longer one only the place is given.
const SHOWN_LINE: usize = 4096;

/// The lines of one file that a diagnostic shows.
struct Excerpt<'a> {
    file: FileId,
    /// The line of the first mark.
    line: usize,
    source: &'a Source,
    marks: Vec<Mark<'a>>,
}

struct Mark<'a> {
    range: Range<usize>,
    label: Option<&'a str>,
    primary: bool,
}

impl<'a> Excerpt<'a> {
    fn add_to(&self, group: Group<'a>) -> Group<'a> {
        let Source { path, text, .. } = self.source;
        let lines = self.source.lines();
        let first = self.marks.iter().map(|mark| mark.range.start).min().unwrap_or(0);
        let last = self.marks.iter().map(|mark| mark.range.end).max().unwrap_or(first);
        let first_line = lines.partition_point(|start| *start as usize <= first).max(1) - 1;
        let last = last.max(first + 1);
        let end_line = lines.partition_point(|start| (*start as usize) < last).max(1);
        let bounds = |line: usize| lines.get(line).map_or(text.len(), |start| *start as usize);
        let long = |line: usize| bounds(line + 1) - bounds(line) > SHOWN_LINE;
        if (first_line..end_line).any(long) {
            return group.element(Origin::path(path).line(self.line));
        }
        let from = bounds(first_line);
        let shown = &text[from..bounds(end_line)];
        let snippet = Snippet::source(shown).path(path).line_start(first_line + 1).fold(true);
        let marks = self.marks.iter().map(|mark| {
            let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(mark.range.start - from..mark.range.end - from).label(mark.label)
        });
        group.element(snippet.annotations(marks))
    }
}
