//! The `regex` of a `url`: PCRE's syntax and options to those of the regex crate, which has no
//! look-around and no back-references, and in return looks at each octet once.
//!
//! keepalived matches octets, so that classes are those of ASCII unless `utf` or `ucp` says
//! otherwise.

use std::ops::Range;

use regex_syntax::ast::{self, AssertionKind, Ast, Visitor};
use vipd_engine::config::health::Pattern;

use super::draft::PatternDraft;
use crate::diagnostics::{Diagnostic, Span};
use crate::meaning::{Draft, Line};

/// Words of `regex_options` that change something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    caseless: bool,
    multiline: bool,
    dotall: bool,
    extended: bool,
    ungreedy: bool,
    unicode: bool,
    dollar_endonly: bool,
}

/// What a word does.
#[derive(Clone, Copy)]
enum Word {
    Sets(fn(&mut Options)),
    /// It changes how PCRE works, not what matches, or what is refused here anyway.
    Nothing,
    /// Here there is no such thing.
    Missing,
}

/// The words that keepalived takes.
const WORDS: [(&str, Word); 24] = [
    ("caseless", Word::Sets(|options| options.caseless = true)),
    ("multiline", Word::Sets(|options| options.multiline = true)),
    ("dotall", Word::Sets(|options| options.dotall = true)),
    ("extended", Word::Sets(|options| options.extended = true)),
    ("ungreedy", Word::Sets(|options| options.ungreedy = true)),
    ("utf", Word::Sets(|options| options.unicode = true)),
    ("ucp", Word::Sets(|options| options.unicode = true)),
    ("dollar_endonly", Word::Sets(|options| options.dollar_endonly = true)),
    ("alt_circumflex", Word::Nothing),
    ("alt_verbnames", Word::Nothing),
    ("auto_callout", Word::Nothing),
    ("dupnames", Word::Nothing),
    ("match_unset_backref", Word::Nothing),
    ("never_backslash_c", Word::Nothing),
    ("never_ucp", Word::Nothing),
    ("never_utf", Word::Nothing),
    ("no_auto_capture", Word::Nothing),
    ("no_auto_possess", Word::Nothing),
    ("no_dotstar_anchor", Word::Nothing),
    ("no_start_optimize", Word::Nothing),
    ("use_offset_limit", Word::Nothing),
    ("allow_empty_class", Word::Missing),
    ("alt_bsux", Word::Missing),
    ("firstline", Word::Missing),
];

pub(crate) fn options(draft: &mut Draft, line: &mut Line<'_>) {
    if line.peek().is_none() {
        line.word();
    }
    while line.peek().is_some() {
        match line.choice(&WORDS) {
            Some((Word::Sets(set), _)) => set(&mut draft.url().pattern.options),
            Some((Word::Missing, at)) => {
                let message = "this option of PCRE is not built".to_owned();
                line.error("not-built", at, message);
            }
            Some((Word::Nothing, _)) | None => {}
        }
    }
}

/// The pattern of a url, or what is wrong with it.
pub(super) fn pattern(draft: &PatternDraft) -> Result<Option<Pattern>, Box<Diagnostic>> {
    let Some((text, place)) = &draft.expression else { return Ok(None) };
    let expression = translated(text, draft.options, *place)?;
    Ok(Some(Pattern {
        expression,
        must_not_match: draft.must_not_match,
        min_offset: draft.min_offset,
        max_offset: draft.max_offset,
    }))
}

/// The same in the syntax of the regex crate, its options in front.
fn translated(text: &str, options: Options, place: Span) -> Result<String, Box<Diagnostic>> {
    let bad = |message: String| Diagnostic::error("invalid-value", message).at(place);
    let mut parser = ast::parse::ParserBuilder::new();
    parser.ignore_whitespace(options.extended);
    // PCRE's end of the text has no other name here.
    let (text, ends) = named_ends(text);
    let parsed = parser.build().parse(&text).map_err(|error| {
        let (kind, span) = (error.kind(), error.span());
        let range = span.start.offset..span.end.offset;
        let part = text.get(range.clone()).unwrap_or_default();
        Box::new(refused(kind, part).at(inside(place, &text, range)))
    })?;
    let differences = Differences { text: &text, found: Vec::new(), multiline: options.multiline };
    let mut found = ast::visit(&parsed, differences).map_err(|part| {
        let found = bad(format!("`{part}` is another thing to PCRE than here"));
        Box::new(found.help("write it so that it can be read in one way only"))
    })?;
    if options.dollar_endonly {
        found.retain(|(_, replacement)| *replacement != LINE_END);
    }
    found.extend(ends.iter().map(|at| (*at..*at + 2, LINE_END)));
    found.sort_by_key(|(range, _)| range.start);
    let mut expression = options.in_front();
    let mut at = 0;
    for (range, replacement) in found {
        expression.push_str(&text[at..range.start]);
        expression.push_str(replacement);
        at = range.end;
    }
    expression.push_str(&text[at..]);
    // Names of classes and the like are looked up only now.
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&expression);
    match parsed {
        Ok(parsed) if parsed.properties().look_set().contains_word_unicode() => {
            let message = "a word boundary of Unicode, and no such expression is built";
            let found = Diagnostic::error("not-built", message).at(place);
            Err(Box::new(found.help(r"write `(?-u:\b)`, which is one of ASCII")))
        }
        Ok(_) => Ok(expression),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            Err(Box::new(bad(format!("not a regular expression: {reason}"))))
        }
    }
}

/// The place of a part, if the word stands in the file as it is, in quotes or not.
fn inside(place: Span, text: &str, part: Range<usize>) -> Span {
    let quotes = match (place.end - place.start).checked_sub(text.len()) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return place,
    };
    let start = place.start + quotes;
    Span { file: place.file, start: start + part.start, end: start + part.end }
}

/// What `$` and `\Z` are to PCRE: the end, or before a line break there.
const LINE_END: &str = r"(?:\n?\z)";

/// The text with `\z` for each `\Z`, and where these are.
fn named_ends(text: &str) -> (String, Vec<usize>) {
    let (mut named, mut ends) = (String::with_capacity(text.len()), Vec::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\'
            && let Some(next) = letters.next()
        {
            if next == 'Z' {
                ends.push(named.len());
            }
            named.push('\\');
            named.push(if next == 'Z' { 'z' } else { next });
        } else {
            named.push(letter);
        }
    }
    (named, ends)
}

fn refused(kind: &ast::ErrorKind, part: &str) -> Diagnostic {
    let (what, help) = match kind {
        ast::ErrorKind::UnsupportedLookAround => (
            format!("`{part}` looks around"),
            "write what must match and, in a second `url`, with `regex_no_match` what must not",
        ),
        ast::ErrorKind::UnsupportedBackreference => (
            format!("`{part}` refers back to what matched before"),
            "write out what may stand there",
        ),
        kind => {
            let message = format!("not a regular expression: {kind}");
            let found = Diagnostic::error("invalid-value", message);
            return if part.is_empty() { found } else { found.label(format!("at `{part}`")) };
        }
    };
    let message = format!("{what}, and no such expression is built");
    Diagnostic::error("not-built", message).help(help)
}

impl Options {
    /// As the regex crate writes them at the start of an expression.
    fn in_front(self) -> String {
        let set = [
            (self.caseless, 'i'),
            (self.multiline, 'm'),
            (self.dotall, 's'),
            (self.extended, 'x'),
            (self.ungreedy, 'U'),
        ];
        let set: String = set.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect();
        let off = if self.unicode { "" } else { "-u" };
        if set.is_empty() && off.is_empty() { set } else { format!("(?{set}{off})") }
    }
}

/// Finds what reads alike and means something else.
struct Differences<'a> {
    text: &'a str,
    found: Vec<(Range<usize>, &'static str)>,
    multiline: bool,
}

impl Visitor for Differences<'_> {
    type Output = Vec<(Range<usize>, &'static str)>;
    /// What cannot be written otherwise.
    type Err = String;

    fn finish(self) -> Result<Self::Output, String> {
        Ok(self.found)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        let span = ast.span();
        let range = span.start.offset..span.end.offset;
        let sets_lines = |flags: &ast::Flags| {
            let lines = ast::FlagsItemKind::Flag(ast::Flag::MultiLine);
            flags.items.iter().any(|item| item.kind == lines)
        };
        match ast {
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::EndLine if !self.multiline => self.found.push((range, LINE_END)),
                AssertionKind::WordBoundaryStartAngle => self.found.push((range, "<")),
                AssertionKind::WordBoundaryEndAngle => self.found.push((range, ">")),
                _ => {}
            },
            // `a++` gives nothing back in PCRE.
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => {
                return Err(self.text[range].to_owned());
            }
            Ast::Flags(flags) if sets_lines(&flags.flags) => self.multiline = true,
            Ast::Group(group) if group.flags().is_some_and(sets_lines) => self.multiline = true,
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(
        &mut self,
        operation: &ast::ClassSetBinaryOp,
    ) -> Result<(), String> {
        let span = operation.span;
        Err(self.text[span.start.offset..span.end.offset].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Sources;

    fn place() -> Span {
        let file = Sources::default().add("a.conf", "x");
        Span { file, start: 0, end: 1 }
    }

    fn becomes(text: &str, options: Options) -> String {
        match translated(text, options, place()) {
            Ok(expression) => expression,
            Err(found) => format!("{}: {}", found.code, found.message),
        }
    }

    fn plain(text: &str) -> String {
        becomes(text, Options::default())
    }

    #[test]
    fn options_stand_in_front() {
        let all = Options {
            caseless: true,
            multiline: true,
            dotall: true,
            extended: true,
            ungreedy: true,
            ..Options::default()
        };
        assert_eq!(becomes("a b", all), "(?imsxU-u)a b");
        assert_eq!(becomes("é", Options { unicode: true, ..Options::default() }), "é");
        assert_eq!(plain("é\\w"), "(?-u)é\\w");
    }

    #[test]
    fn the_end_may_be_before_a_last_line_break() {
        assert_eq!(plain("OK$"), r"(?-u)OK(?:\n?\z)");
        assert_eq!(plain(r"OK\Z|\z|\\Z"), r"(?-u)OK(?:\n?\z)|\z|\\Z");
        let at_end = Options { dollar_endonly: true, ..Options::default() };
        assert_eq!(becomes("OK$", at_end), "(?-u)OK$");
        let lines = Options { multiline: true, ..Options::default() };
        assert_eq!(becomes("OK$", lines), "(?m-u)OK$");
        assert_eq!(plain("(?m)OK$"), "(?-u)(?m)OK$");
    }

    #[test]
    fn words_end_by_ascii_only() {
        assert_eq!(plain(r"\bup\b"), r"(?-u)\bup\b");
        let unicode = Options { unicode: true, ..Options::default() };
        assert!(becomes(r"\bup", unicode).starts_with("not-built: a word boundary of Unicode"));
        assert_eq!(becomes(r"(?-u:\b)up", unicode), r"(?-u:\b)up");
    }

    #[test]
    fn an_angle_with_a_backslash_is_itself() {
        assert_eq!(plain(r"\<html\>"), "(?-u)<html>");
    }

    #[test]
    fn what_there_is_not_here_is_refused() {
        let refused = [
            ("(?=a)b", "not-built: `(?=` looks around, and no such expression is built"),
            ("(?<!a)b", "not-built: `(?<!` looks around, and no such expression is built"),
            (
                r"(a)\1",
                "not-built: `\\1` refers back to what matched before, and no such expression is \
                 built",
            ),
            ("a++", "invalid-value: `a++` is another thing to PCRE than here"),
            ("[a&&b]", "invalid-value: `a&&b` is another thing to PCRE than here"),
            ("(", "invalid-value: not a regular expression: unclosed group"),
            ("[[:bogus:]x", "invalid-value: not a regular expression: unclosed character class"),
        ];
        for (text, said) in refused {
            assert_eq!(plain(text), said);
        }
    }
}
