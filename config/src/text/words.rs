//! A line to words and braces: quotes and escapes, as a shell has them. Comments and macros are
//! gone by now; what the words mean is not known here.

use std::ops::Range;

use crate::diagnostics::{Diagnostic, Span};

use super::Word;
use super::findings::Findings;
use super::traced::Traced;

/// What a line consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word.
    Word(Word),
    /// A `{`.
    Open(Span),
    /// A `}`.
    Close(Span),
}

/// Whether `{` and `}` open and close blocks; in the path of an include they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Braces {
    Blocks,
    Text,
}

/// The words and braces of a line, in order.
pub(super) fn split(line: &Traced, braces: Braces, findings: &mut Findings) -> Vec<Token> {
    let text = line.text();
    let mut tokens = Vec::with_capacity(4);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if braces == Braces::Blocks && (c == '{' || c == '}') {
            if let Some(span) = line.span(at..at + 1) {
                tokens.push(if c == '{' { Token::Open(span) } else { Token::Close(span) });
            }
            at += 1;
        } else {
            let mut scan = Scan { line, at, said: Vec::new(), quoted: false, findings };
            scan.word(braces);
            let Scan { at: end, said, quoted, .. } = scan;
            if let Some(span) = line.span(at..end) {
                let written = line.written(at..end);
                let text = into_text(said, span, findings);
                tokens.push(Token::Word(Word { text, span, quoted, written }));
            }
            at = end;
        }
    }
    tokens
}

fn into_text(said: Vec<u8>, span: Span, findings: &mut Findings) -> String {
    if said.contains(&0) {
        findings.report(
            Diagnostic::error("nul-octet", "this word contains a NUL octet")
                .at(span)
                .help("remove the escape that makes it"),
        );
    }
    String::from_utf8(said).unwrap_or_else(|error| {
        findings.report(
            Diagnostic::error("not-utf8", "the escapes in this word do not make UTF-8").at(span),
        );
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

/// One word, as it is read.
struct Scan<'a> {
    line: &'a Traced,
    at: usize,
    said: Vec<u8>,
    quoted: bool,
    findings: &'a mut Findings,
}

impl Scan<'_> {
    /// Reads to the end of the word.
    fn word(&mut self, braces: Braces) {
        while let Some(c) = self.peek() {
            match c {
                '"' | '\'' => self.quotation(c),
                '\\' => self.escape(),
                '{' | '}' if braces == Braces::Blocks => return,
                // A macro that is not defined stays as it stands, its braces included.
                '$' => match self.rest().find('}') {
                    Some(end) if self.rest().starts_with("${") => self.take(end + 1),
                    Some(_) | None => self.take(1),
                },
                c if c.is_whitespace() => return,
                c => self.take(self.plain().max(c.len_utf8())),
            }
        }
    }

    /// Octets up to the next that may not be taken as it stands: most words are nothing else.
    fn plain(&self) -> usize {
        let plain = |octet: &u8| {
            octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\'' | b'\\' | b'{' | b'}' | b'$')
        };
        self.rest().bytes().take_while(plain).count()
    }

    /// Reads from an opening quotation mark to the closing one.
    fn quotation(&mut self, mark: char) {
        let open = self.at;
        self.quoted = true;
        self.at += 1;
        while let Some(c) = self.peek() {
            if c == mark {
                self.at += 1;
                return;
            }
            if c == '\\' && mark == '"' {
                self.escape();
            } else {
                self.take(c.len_utf8());
            }
        }
        self.report(open..open + 1, "unclosed-quote", |error| {
            error
                .label(format!("this {mark} has no other on its line"))
                .help(format!("close the quotation, or write `\\{mark}` if the mark is meant"))
        });
    }

    /// Reads a backslash and what it protects or stands for.
    fn escape(&mut self) {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.peek() else {
            self.said.push(b'\\');
            self.report(start..self.at, "bad-escape", |error| error.label("nothing follows"));
            return;
        };
        let named = match c {
            'a' => Some(0x07),
            'b' => Some(0x08),
            'E' => Some(0x1b),
            'f' => Some(0x0c),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(0x0b),
            _ => None,
        };
        match c {
            'x' => self.number(start, 1, 2, 16),
            '0'..='7' => self.number(start, 0, 3, 8),
            'c' => self.control(start),
            _ => match named {
                Some(octet) => {
                    self.said.push(octet);
                    self.at += 1;
                }
                None => self.take(c.len_utf8()),
            },
        }
    }

    /// `\xHH` and `\NNN`: `letters` before at most `most` digits.
    fn number(&mut self, start: usize, letters: usize, most: usize, radix: u32) {
        let digits = &self.rest()[letters..];
        let count = digits.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let value = u8::from_str_radix(&digits[..count], radix);
        self.at += letters + count;
        match value {
            Ok(octet) => self.said.push(octet),
            Err(_) => self.report(start..self.at, "bad-escape", |error| {
                error.help("write `\\x` and two hexadecimal digits, or `\\` and at most `377`")
            }),
        }
    }

    /// `\cC`.
    fn control(&mut self, start: usize) {
        self.at += 1;
        match self.peek() {
            Some(c) if c.is_ascii_graphic() => {
                self.said.push(c.to_ascii_uppercase() as u8 & 0x1f);
                self.at += 1;
            }
            Some(_) | None => self.report(start..self.at, "bad-escape", |error| {
                error.help("write `\\c` and the letter of the control character")
            }),
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        &self.line.text()[self.at..]
    }

    /// Takes octets as they stand.
    fn take(&mut self, octets: usize) {
        let line = self.line;
        self.said.extend_from_slice(&line.text().as_bytes()[self.at..self.at + octets]);
        self.at += octets;
    }

    fn report(
        &mut self,
        range: Range<usize>,
        code: &'static str,
        detail: impl FnOnce(Diagnostic) -> Diagnostic,
    ) {
        let message = match code {
            "unclosed-quote" => "a quotation is not closed",
            _ => "an escape that means nothing",
        };
        if let Some(span) = self.line.span(range) {
            self.findings.report(detail(Diagnostic::error(code, message).at(span)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Sources;

    /// Words as they are, quoted ones in parentheses, braces as braces, and the mistakes' codes.
    fn split_text(text: &str) -> String {
        let mut sources = Sources::default();
        let file = sources.add("a.conf", text);
        let mut findings = Findings::new(100);
        let line = Traced::literal(file, 0, text);
        let tokens = split(&line, Braces::Blocks, &mut findings);
        let mut said: Vec<String> = tokens.iter().map(show).collect();
        said.extend(findings.finish().iter().map(|found| format!("!{}", found.code)));
        said.join(" ")
    }

    fn show(token: &Token) -> String {
        match token {
            Token::Word(word) if word.quoted => format!("({})", word.text.escape_debug()),
            Token::Word(word) => word.text.escape_debug().to_string(),
            Token::Open(_) => "{".to_owned(),
            Token::Close(_) => "}".to_owned(),
        }
    }

    #[test]
    fn braces_are_tokens_even_where_they_are_glued_to_words() {
        assert_eq!(split_text("virtual_server 1.2.3.4 80{"), "virtual_server 1.2.3.4 80 {");
        assert_eq!(split_text("a{b c}d"), "a { b c } d");
    }

    #[test]
    fn white_space_joins_inside_quotes_and_quotes_join_words() {
        assert_eq!(split_text(r#"abcd" efg h jkl "mnop"#), "(abcd efg h jkl mnop)");
        assert_eq!(split_text(r#"abcd "efg h jkl" mnop"#), "abcd (efg h jkl) mnop");
        assert_eq!(split_text(r#"'a "b" \n' "" "{}" '#'"#), r##"(a \"b\" \\n) () ({}) (#)"##);
    }

    #[test]
    fn escapes_stand_for_octets_as_in_a_shell() {
        assert_eq!(split_text(r#"a\ b "\n\t\x41\101\cA\"\\\#""#), r#"a b (\n\tAA\u{1}\"\\#)"#);
        assert_eq!(split_text(r"\xc3\xa9 \{"), "é {");
        assert_eq!(split_text(r"\!\#"), "!#");
    }

    #[test]
    fn escapes_that_mean_nothing_are_errors() {
        assert_eq!(split_text(r"a \xg b"), "a g b !bad-escape");
        assert_eq!(split_text(r"\777"), " !bad-escape");
        assert_eq!(split_text(r"a\"), "a\\\\ !bad-escape");
        assert_eq!(split_text(r"\xff"), "\u{fffd} !not-utf8");
        assert_eq!(split_text(r"\0"), "\\0 !nul-octet");
    }

    #[test]
    fn a_quotation_without_its_end_is_an_error() {
        assert_eq!(split_text("a 'b c"), "a (b c) !unclosed-quote");
    }

    #[test]
    fn braces_of_a_macro_that_is_not_defined_open_no_block() {
        assert_eq!(split_text("priority ${PRIO} {"), "priority ${PRIO} {");
    }
}
