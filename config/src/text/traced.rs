//! Text that knows where each octet of it stands: in a file, or made by a macro that is used there.
//!
//! It substitutes, and decides nothing. [`super::reader`] says what is put in place of what.

use std::ops::Range;
use std::rc::Rc;

use crate::diagnostics::{FileId, Span};

/// A stretch of text without line breaks, in pieces of different origin.
#[derive(Clone, Debug, Default)]
pub(super) struct Traced {
    text: String,
    /// In order of `at`; the first starts at 0 unless the text is empty.
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    /// Its first octet in the text.
    at: usize,
    /// Where its first octet stands in a file. `None` for text that stands nowhere, as the value
    /// of a counter.
    written: Option<(FileId, usize)>,
    /// The macro that put it here.
    via: Option<Rc<Via>>,
}

/// A macro that was replaced by its value.
#[derive(Debug)]
pub(super) struct Via {
    /// Its name.
    name: String,
    /// Where the outermost macro is used.
    used: Span,
    /// The macro whose value uses this one.
    inside: Option<Rc<Via>>,
    /// How many macros this one is inside of, itself included.
    pub depth: usize,
}

impl Via {
    /// Whether `name` is among the macros whose values this text comes from.
    pub fn contains(&self, name: &str) -> bool {
        self.name == name || self.inside.as_ref().is_some_and(|outer| outer.contains(name))
    }

    /// The names from the outermost macro to this one.
    pub fn names(&self) -> Vec<&str> {
        let mut names = self.inside.as_ref().map(|outer| outer.names()).unwrap_or_default();
        names.push(&self.name);
        names
    }
}

impl Traced {
    /// Text that stands in `file` from octet `start`.
    pub fn literal(file: FileId, start: usize, text: &str) -> Self {
        let written = Some((file, start));
        Traced { text: text.to_owned(), pieces: vec![Piece { at: 0, written, via: None }] }
    }

    /// Text that stands nowhere, to be put in place of a macro.
    pub fn generated(text: &str) -> Self {
        Traced { text: text.to_owned(), pieces: vec![Piece { at: 0, written: None, via: None }] }
    }

    /// Adds other text at the end.
    pub fn push(&mut self, other: &Traced) {
        self.push_range(other, 0..other.text.len(), None);
    }

    /// The same with `range`, which uses a macro, replaced by the macro's value.
    #[must_use]
    pub fn replaced(&self, range: Range<usize>, value: &Traced, via: &Rc<Via>) -> Traced {
        let mut result = self.slice(0..range.start);
        result.push_range(value, 0..value.text.len(), Some(via));
        result.push_range(self, range.end..self.text.len(), None);
        result
    }

    fn push_range(&mut self, other: &Traced, range: Range<usize>, via: Option<&Rc<Via>>) {
        if range.is_empty() {
            return;
        }
        let first = other.piece_index(range.start);
        for piece in other.pieces[first..].iter().take_while(|piece| piece.at < range.end) {
            let skipped = range.start.saturating_sub(piece.at);
            self.pieces.push(Piece {
                at: self.text.len() + (piece.at + skipped - range.start),
                written: piece.written.map(|(file, start)| (file, start + skipped)),
                via: via.or(piece.via.as_ref()).cloned(),
            });
        }
        self.text.push_str(&other.text[range]);
    }

    /// A part of it.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Traced {
        let mut result = Traced::default();
        result.push_range(self, range, None);
        result
    }

    /// Without white space at its ends.
    #[must_use]
    pub fn trimmed(&self) -> Traced {
        let start = self.text.len() - self.text.trim_start().len();
        self.slice(start..self.text.trim_end().len().max(start))
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of it stands; for a part that a macro made, where the outermost one is used.
    /// `None` only for text that stands nowhere.
    pub fn span(&self, range: Range<usize>) -> Option<Span> {
        let first = self.place(range.start)?;
        let last = self.place(range.end.saturating_sub(1).max(range.start))?;
        // A place in the file is an octet; the end of a part that is not empty lies behind it.
        Some(if range.is_empty() { Span { end: first.start, ..first } } else { first.to(last) })
    }

    /// Where a part that one macro made was written, which is where the macro got its value.
    pub fn written(&self, range: Range<usize>) -> Option<Span> {
        let index = self.piece_index(range.start);
        let piece = self.pieces.get(index)?;
        piece.via.as_ref()?;
        let (file, start) = piece.written?;
        let next = self.pieces.get(index + 1).map_or(self.text.len(), |next| next.at);
        let start = start + (range.start - piece.at);
        Some(Span { file, start, end: start + (next.min(range.end) - range.start) })
    }

    /// The macro that made the octet at `at`.
    pub fn via(&self, at: usize) -> Option<&Rc<Via>> {
        self.pieces.get(self.piece_index(at))?.via.as_ref()
    }

    /// What to record when the macro used at `range` is replaced.
    pub fn via_of(&self, range: Range<usize>, name: &str) -> Option<Rc<Via>> {
        let inside = self.via(range.start).cloned();
        let depth = inside.as_ref().map_or(1, |outer| outer.depth + 1);
        let used = self.span(range)?;
        Some(Rc::new(Via { name: name.to_owned(), used, inside, depth }))
    }

    /// The octet at `at` as a span.
    fn place(&self, at: usize) -> Option<Span> {
        let piece = self.pieces.get(self.piece_index(at))?;
        if let Some(via) = &piece.via {
            return Some(via.used);
        }
        let (file, start) = piece.written?;
        let at = start + (at - piece.at);
        Some(Span { file, start: at, end: at + 1 })
    }

    fn piece_index(&self, at: usize) -> usize {
        self.pieces.partition_point(|piece| piece.at <= at).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Sources;

    #[test]
    fn text_that_a_macro_made_stands_where_the_macro_is_used() {
        let mut sources = Sources::default();
        let file = sources.add("a.conf", "$NET=10.0\naddress ${NET}.1 up\n");
        let value = Traced::literal(file, 5, "10.0");
        let line = Traced::literal(file, 10, "address ${NET}.1 up");
        let via = line.via_of(8..14, "NET").unwrap();
        let result = line.replaced(8..14, &value, &via);
        assert_eq!(result.text(), "address 10.0.1 up");
        let said = |range| sources.slice(result.span(range).unwrap()).to_owned();
        assert_eq!(said(0..7), "address");
        assert_eq!(said(8..12), "${NET}");
        assert_eq!(said(8..14), "${NET}.1");
        assert_eq!(said(15..17), "up");
        assert_eq!(sources.slice(result.written(8..14).unwrap()), "10.0");
        assert_eq!(result.written(0..7), None);
    }

    #[test]
    fn a_slice_keeps_its_places() {
        let mut sources = Sources::default();
        let file = sources.add("a.conf", "  one two  ");
        let line = Traced::literal(file, 0, "  one two  ").trimmed();
        assert_eq!(line.text(), "one two");
        let two = line.slice(4..7);
        assert_eq!(sources.slice(two.span(0..3).unwrap()), "two");
    }
}
