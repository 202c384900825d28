//! The lines of one file: comments, carriage returns and merge conflicts taken out, lines that end
//! in `\` put together with the next. It knows nothing of macros but how a definition begins.

use crate::diagnostics::{Diagnostic, FileId, Span};

use super::findings::Findings;
use super::macros;
use super::traced::Traced;

/// Octets of keepalived's line buffer, its line break and final NUL included.
const KEEPALIVED_LINE: usize = 1024;

/// A file, line by line.
pub(super) struct Lines<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    limit: usize,
    conflict: Conflict,
    /// Whether octets were replaced by U+FFFD because they were not UTF-8.
    replaced: bool,
    nul_seen: bool,
}

/// Where in a merge conflict that git left. Our side is read, so that one conflict is one error
/// and not a second set of blocks as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conflict {
    None,
    OurSide,
    TheirSide,
}

/// One line, or several where each but the last ends in `\`. Never empty, no line blank.
pub(super) type Logical = Vec<Traced>;

impl<'a> Lines<'a> {
    /// From the start of `text`, which is what `file` holds.
    pub fn new(file: FileId, text: &'a str, limit: usize, replaced: bool) -> Self {
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        Lines { file, text, at, limit, conflict: Conflict::None, replaced, nul_seen: false }
    }

    /// The next that is not blank.
    pub fn next(&mut self, findings: &mut Findings) -> Option<Logical> {
        let mut parts: Logical = Vec::new();
        let mut definition = false;
        let mut octets = 0;
        let mut quote = None;
        while let Some((start, raw)) = self.physical(findings) {
            let line = strip_comment(raw, &mut quote);
            self.warn_of_cut_word(raw, line.len(), start, findings);
            self.refuse_replaced_octets(line, start, findings);
            let (line, continued) = split_continuation(line.trim_end());
            let blank = line[indentation(line)..].trim_start().is_empty();
            if parts.is_empty() {
                if blank {
                    quote = None;
                    continue;
                }
                definition = macros::begins_definition(line);
            } else if blank && definition && !continued {
                // Definitions in use have blank lines between their parts.
                continue;
            }
            if !blank {
                octets += line.len();
                // What is looked for stands at the start of a line, and is looked for often.
                let indent = if parts.is_empty() { indentation(line) } else { 0 };
                parts.push(Traced::literal(self.file, start + indent, &line[indent..]));
            }
            if octets > self.limit {
                let span = Span { file: self.file, start, end: start + line.len() };
                findings.report(too_long(octets, self.limit).at(span));
                return Some(parts);
            }
            if !continued {
                return Some(parts);
            }
        }
        (!parts.is_empty()).then_some(parts)
    }

    /// The next line as it stands in the file, if it is fit to be read.
    fn physical(&mut self, findings: &mut Findings) -> Option<(usize, &'a str)> {
        loop {
            let (start, raw) = self.raw()?;
            let span = Span { file: self.file, start, end: start + raw.len() };
            if self.is_out_of_conflict(raw, span, findings) {
                continue;
            }
            if raw.len() > self.limit {
                findings.report(too_long(raw.len(), self.limit).at(span));
            } else if let Some(nul) = raw.find('\0') {
                self.report_nul(start + nul, findings);
            } else {
                if raw.len() + 1 >= KEEPALIVED_LINE {
                    let message = format!("keepalived drops this line of {} octets", raw.len());
                    findings.report(
                        Diagnostic::warning("line-dropped-by-keepalived", message)
                            .at(span)
                            .help("split it, as keepalived reads lines of at most 1022 octets"),
                    );
                }
                return Some((start, raw));
            }
        }
    }

    /// The next line without its line break, and where it starts.
    fn raw(&mut self) -> Option<(usize, &'a str)> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let line = rest.split('\n').next().unwrap_or(rest);
        self.at = start + line.len() + 1;
        Some((start, line.strip_suffix('\r').unwrap_or(line)))
    }

    /// Whether the line is a merge marker, or on the side of a conflict that is not read.
    fn is_out_of_conflict(&mut self, raw: &str, span: Span, findings: &mut Findings) -> bool {
        let starts = raw.starts_with("<<<<<<< ");
        let splits = raw == "=======" || raw.starts_with("||||||| ");
        let ends = raw.starts_with(">>>>>>> ");
        if !(starts || splits || ends) {
            return self.conflict == Conflict::TheirSide;
        }
        if starts || self.conflict == Conflict::None {
            findings.report(
                Diagnostic::error("merge-conflict", "git left a merge conflict in the file")
                    .at(span)
                    .help("keep one side, remove the other and the marker lines"),
            );
        }
        self.conflict = match self.conflict {
            _ if ends => Conflict::None,
            Conflict::None if splits => Conflict::None,
            Conflict::None => Conflict::OurSide,
            Conflict::OurSide if starts => Conflict::OurSide,
            Conflict::OurSide | Conflict::TheirSide => Conflict::TheirSide,
        };
        true
    }

    /// One report for the whole file: a file in another encoding has a NUL in every line.
    fn report_nul(&mut self, at: usize, findings: &mut Findings) {
        if std::mem::replace(&mut self.nul_seen, true) {
            return;
        }
        findings.report(
            Diagnostic::error("nul-octet", "a NUL octet in the text")
                .at(Span { file: self.file, start: at, end: at + 1 })
                .label("the line with it is not read")
                .help("remove it, or save the file as UTF-8 if it was saved as UTF-16"),
        );
    }

    /// Octets that are not UTF-8 are harmless in comments, as old files have them, and nowhere
    /// else: the value would be another one.
    fn refuse_replaced_octets(&mut self, line: &str, start: usize, findings: &mut Findings) {
        if !self.replaced {
            return;
        }
        if let Some(at) = line.find(char::REPLACEMENT_CHARACTER) {
            self.replaced = false;
            let end = at + char::REPLACEMENT_CHARACTER.len_utf8();
            findings.report(
                Diagnostic::error("not-utf8", "an octet here is not UTF-8")
                    .at(Span { file: self.file, start: start + at, end: start + end })
                    .help("save the file as UTF-8"),
            );
        }
    }

    /// `auth_pass abc#123` means `abc`, to keepalived and here, and hardly ever to who wrote it.
    fn warn_of_cut_word(&self, raw: &str, cut: usize, start: usize, findings: &mut Findings) {
        let Some(mark) = raw[cut..].chars().next() else { return };
        let before = raw[..cut].chars().next_back();
        if before.is_none_or(|c| c.is_whitespace() || matches!(c, '{' | '}')) {
            return;
        }
        findings.report(
            Diagnostic::warning("comment-in-word", format!("`{mark}` ends this word"))
                .at(Span { file: self.file, start: start + cut, end: start + cut + 1 })
                .label("from here on it is a comment")
                .help(format!(
                    "write `\\{mark}` if it belongs to the word, or a space before the comment"
                )),
        );
    }
}

/// What some editors put before the text. keepalived takes it for a part of the first word.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

fn too_long(octets: usize, limit: usize) -> Diagnostic {
    let message = format!("a line of {octets} octets, and the longest that is read has {limit}");
    Diagnostic::error("line-too-long", message).help("split it into several lines")
}

/// The line up to a `#` or `!` that neither quotes nor a backslash protect. `quote` is the
/// quotation mark that is open, before and after.
fn strip_comment<'a>(line: &'a str, quote: &mut Option<u8>) -> &'a str {
    let octets = line.as_bytes();
    let mark = |octet: &u8| matches!(octet, b'#' | b'!' | b'"' | b'\'' | b'\\');
    // Most lines have none. All octets are looked at, which is faster than to stop at one.
    if !octets.iter().fold(false, |found, octet| found | mark(octet)) {
        return line;
    }
    let mut at = 0;
    while at < octets.len() {
        match (*quote, octets[at]) {
            (None | Some(b'"'), b'\\') => at += 1,
            (None, b'#' | b'!') => return &line[..at],
            (None, mark @ (b'"' | b'\'')) => *quote = Some(mark),
            (Some(open), mark) if open == mark => *quote = None,
            (None | Some(_), _) => {}
        }
        at += 1;
    }
    line
}

/// Octets of white space before the text; only plain one is looked for.
fn indentation(line: &str) -> usize {
    line.bytes().take_while(|octet| matches!(octet, b' ' | b'\t')).count()
}

/// The line without a `\` at its end that puts it together with the next, and whether it has one.
fn split_continuation(line: &str) -> (&str, bool) {
    let backslashes = line.bytes().rev().take_while(|octet| *octet == b'\\').count();
    if backslashes % 2 == 1 { (&line[..line.len() - 1], true) } else { (line, false) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Sources;

    fn read(text: &str) -> Vec<Vec<String>> {
        let mut sources = Sources::default();
        let file = sources.add("a.conf", text);
        let mut findings = Findings::new(100);
        let mut lines = Lines::new(file, text, 1 << 16, false);
        let mut result = Vec::new();
        while let Some(logical) = lines.next(&mut findings) {
            result.push(logical.iter().map(|part| part.text().to_owned()).collect());
        }
        result
    }

    #[test]
    fn a_comment_starts_at_a_hash_or_an_exclamation_mark_outside_quotes() {
        assert_eq!(read("one # two\n! all\n#\nthree!"), [["one"], ["three"]]);
        assert_eq!(read("a \"#b\" '!c' \\#d # e"), [["a \"#b\" '!c' \\#d"]]);
        assert_eq!(read("a \"\\\"#b\" # c"), [["a \"\\\"#b\""]]);
        assert_eq!(read("a '\\' # b"), [["a '\\'"]]);
    }

    #[test]
    fn a_backslash_at_the_end_puts_lines_together_and_two_do_not() {
        assert_eq!(read("a \\\n b \\ # c\nd\ne"), [vec!["a ", " b ", "d"], vec!["e"]]);
        assert_eq!(read("a \\\\\nb"), [["a \\\\"], ["b"]]);
        assert_eq!(read("a \\\n\nb"), [["a "], ["b"]]);
    }

    #[test]
    fn a_blank_line_does_not_end_a_definition_of_several_lines() {
        assert_eq!(read("$A= \\\n b \\\n\n # c\n d\ne"), [vec!["$A= ", " b ", " d"], vec!["e"]]);
    }

    #[test]
    fn carriage_returns_and_a_byte_order_mark_are_not_text() {
        assert_eq!(read("\u{feff}a\r\nb\r\n"), [["a"], ["b"]]);
    }

    #[test]
    fn of_a_merge_conflict_our_side_is_read() {
        let text = "a\n<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> branch\nb";
        assert_eq!(read(text), [["a"], ["ours"], ["b"]]);
    }
}
