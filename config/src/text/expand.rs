//! What happens to a line on its way to the tree: conditions, definitions, repetition,
//! substitution. Files and includes are [`super::reader`]'s.

use std::ops::Range;
use std::rc::Rc;

use crate::diagnostics::{Diagnostic, Severity, Span};

use super::include::{self, Checks};
use super::lines::Logical;
use super::macros::{self, Cursor, Use, UseKind, Value};
use super::reader::Reader;
use super::repeat;
use super::traced::{Traced, Via};
use super::words::{self, Braces, Token};

/// What a use of a macro becomes.
enum Replacement {
    /// It stays as it stands.
    None,
    /// The lines of the value, recorded under a name.
    Lines(String, Rc<Value>),
}

impl Reader<'_> {
    /// Reads a line, or several that were put together.
    pub(super) fn logical(&mut self, parts: Logical) {
        if parts.len() > 1 && macros::begins_definition(parts[0].text()) {
            self.define_lines(parts);
            return;
        }
        // Nearly every line is one, and files have a million.
        let mut parts = parts.into_iter();
        let Some(mut line) = parts.next() else { return };
        for part in parts {
            line.push(&part);
        }
        self.line(line);
    }

    /// Expands a line and gives what it makes to the tree.
    fn line(&mut self, line: Traced) {
        let most = self.options.limits.macro_depth;
        if self.nesting >= most {
            let message = format!("more than {most} macros or repetitions inside each other");
            let error = Diagnostic::error("macro-too-deep", message);
            let span = line.span(0..line.text().len());
            self.findings.stop(span.into_iter().fold(error, Diagnostic::at));
            return;
        }
        self.nesting += 1;
        self.expand(line);
        self.nesting -= 1;
    }

    fn expand(&mut self, mut line: Traced) {
        let mut cursor = Cursor::default();
        while !self.findings.stopped() {
            let text = line.text();
            let start = text.len() - text.trim_start().len();
            if text[start..].starts_with('@') {
                let Some(kept) = self.conditions(&line) else { return };
                line = line.slice(kept..line.text().len());
                cursor = Cursor::default();
                continue;
            }
            if let Some((name, value)) = macros::definition(text) {
                let value = line.slice(value..text.len()).trimmed();
                let value = if value.text().is_empty() { Vec::new() } else { vec![value] };
                self.define(name, value, line.span(start..start + 1 + name.len()));
                return;
            }
            let inside = repeat::arguments(&text[start..]);
            let found = macros::next_use(text, &mut cursor);
            if let Some(inside) = inside {
                let inside = start + inside.start..start + inside.end;
                if found.as_ref().is_none_or(|found| found.range.start >= inside.end) {
                    self.repeat(&line.slice(start..text.len()), inside.start - start);
                    return;
                }
            }
            let Some(found) = found else {
                self.finished(&line);
                return;
            };
            let range = found.range.clone();
            match self.replacement(&line, &found) {
                Replacement::None => cursor.at = range.end,
                Replacement::Lines(name, value) => {
                    let Some(via) = line.via_of(range.clone(), &name) else { return };
                    self.charge(&line, &value);
                    if value.len() > 1 {
                        self.several_lines(&line, range, &value, &via);
                        return;
                    }
                    let nothing = Traced::default();
                    let value = value.first().unwrap_or(&nothing);
                    let Some(replaced) = self.replaced(&line, range, value, &via) else { return };
                    line = replaced;
                }
            }
        }
    }

    /// Gives a line without macros to the tree, or follows its include.
    fn finished(&mut self, line: &Traced) {
        let keyword = line.text().split_whitespace().next().unwrap_or_default();
        if let Some(checks) = Checks::of_keyword(keyword) {
            self.include(line, checks);
            return;
        }
        let is_check = keyword == include::INCLUDE_CHECK;
        let tokens = words::split(line, Braces::Blocks, &mut self.findings);
        if is_check {
            self.change_checks(&tokens);
        }
        let start = line.text().len() - line.text().trim_start().len();
        let place = line.span(start..start + 1).filter(|_| line.via(start).is_none());
        let indent = place.and_then(|place| self.indentation(place));
        self.refuse_include_behind_brace(&tokens);
        self.tree.line(tokens, indent, &mut self.findings);
        for statement in self.tree.take_complete() {
            (self.each)(statement);
        }
    }

    /// keepalived looks for `include` at the start of a line only.
    fn refuse_include_behind_brace(&mut self, tokens: &[Token]) {
        for pair in tokens.windows(2) {
            if let [Token::Open(_) | Token::Close(_), Token::Word(word)] = pair
                && !word.quoted
                && Checks::of_keyword(&word.text).is_some()
            {
                self.findings.report(
                    Diagnostic::error("include-in-line", "an include behind a brace")
                        .at(word.span)
                        .help("put it on a line of its own"),
                );
            }
        }
    }

    /// Tests the conditions at the start of a line. `None` if one leaves the line out, else where
    /// the rest starts.
    fn conditions(&mut self, line: &Traced) -> Option<usize> {
        let text = line.text();
        let mut at = text.len() - text.trim_start().len();
        while let Some(rest) = text[at..].strip_prefix('@') {
            let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let word = &rest[..length];
            let (negative, wanted) =
                word.strip_prefix('^').map_or((false, word), |wanted| (true, wanted));
            let span = line.span(at..at + 1 + length)?;
            let kept = self.condition_holds(wanted, negative, span);
            if !kept {
                if let Some(span) = line.span(at..text.len()).filter(|_| opens_block(text)) {
                    self.tree.leave_out(span);
                }
                return None;
            }
            at += 1 + length;
            at = text.len() - text[at..].trim_start().len();
        }
        Some(at)
    }

    fn condition_holds(&mut self, wanted: &str, negative: bool, span: Span) -> bool {
        if wanted.is_empty() {
            self.findings.report(
                Diagnostic::error("empty-condition", "a condition without an id")
                    .at(span)
                    .help("write the id directly behind the `@`, or quote the `@` if it is text"),
            );
            return false;
        }
        let Some(id) = &self.options.config_id else {
            self.findings.report(
                Diagnostic::error("unknown-config-id", "a condition, and no config id to compare")
                    .at(span)
                    .help("give the config id; keepalived takes the short host name"),
            );
            return false;
        };
        (id == wanted) != negative
    }

    fn define_lines(&mut self, parts: Logical) {
        let Some(kept) = self.conditions(&parts[0]) else { return };
        let first = parts[0].slice(kept..parts[0].text().len());
        let Some((name, value)) = macros::definition(first.text()) else { return };
        let start = first.text().find('$').unwrap_or(0);
        let place = first.span(start..start + 1 + name.len());
        let head = first.slice(value..first.text().len());
        let body = std::iter::once(head).chain(parts.into_iter().skip(1));
        let value = body.map(|line| line.trimmed()).filter(|line| !line.text().is_empty());
        self.define(name, value.collect(), place);
    }

    fn define(&mut self, name: &str, value: Value, place: Option<Span>) {
        if name.starts_with('_') {
            let error = if BUILT_IN.contains(&name) {
                let message = format!("`${name}` is built in and cannot be defined");
                Diagnostic::error("reserved-macro", message)
            } else {
                let message = format!("`${name}` has a name that keepalived reserves");
                Diagnostic::warning("reserved-macro", message)
            };
            let error = error.help("take a name that does not begin with `_`");
            self.findings.report(place.into_iter().fold(error, Diagnostic::at));
        }
        self.macros.define(name, value);
    }

    /// Reads the rest of a line once for each value. `inside` is where the arguments start.
    fn repeat(&mut self, line: &Traced, inside: usize) {
        let text = line.text();
        let Some(arguments) = repeat::arguments(text) else { return };
        debug_assert_eq!(arguments.start, inside);
        let end = arguments.end;
        let repetition = match repeat::parse(text, arguments) {
            Ok(repetition) => repetition,
            Err(bad) => {
                let error = Diagnostic::error("bad-repetition", bad.message).help(bad.help);
                let span = line.span(bad.range);
                self.findings.report(span.into_iter().fold(error, Diagnostic::at));
                return;
            }
        };
        let rest = line.slice(end + 1..text.len()).trimmed();
        let names = repetition.names();
        let before: Vec<_> = names.iter().map(|name| self.macros.get(name).cloned()).collect();
        let mut rounds = 0;
        for values in repetition.rounds() {
            rounds += 1;
            self.charge(line, &[]);
            for (name, value) in names.iter().zip(&values) {
                let value = if value.is_empty() { vec![] } else { vec![Traced::generated(value)] };
                self.macros.define(name, value);
            }
            self.line(rest.clone());
            if self.findings.stopped() {
                return;
            }
        }
        for (name, value) in names.iter().zip(before) {
            self.macros.restore(name, value);
        }
        if rounds == 0 || rest.text().is_empty() {
            let what = if rounds == 0 { "this has no values" } else { "this repeats nothing" };
            let warning = Diagnostic::warning("empty-repetition", what);
            self.findings.report(line.span(0..end + 1).into_iter().fold(warning, Diagnostic::at));
        }
    }

    /// Reads the lines that a macro of several lines makes of the line that uses it.
    fn several_lines(&mut self, line: &Traced, range: Range<usize>, value: &Value, via: &Rc<Via>) {
        let text = line.text();
        if !text[range.end..].trim().is_empty() {
            let name = &text[range.clone()];
            let message = format!("`{name}` has several lines, and text stands behind it");
            let behind = line.slice(range.end..text.len()).trimmed();
            let span = behind.span(0..behind.text().len());
            let error = Diagnostic::error("text-behind-macro", message)
                .help("put what follows on a line of its own");
            self.findings.report(span.into_iter().fold(error, Diagnostic::at));
        }
        let head = line.slice(0..range.end);
        let alone = line.slice(range.clone());
        for (index, part) in value.iter().enumerate() {
            let made = if index == 0 {
                self.replaced(&head, range.clone(), part, via)
            } else {
                self.replaced(&alone, 0..range.len(), part, via)
            };
            let Some(made) = made.filter(|_| !self.findings.stopped()) else { return };
            self.line(made);
        }
    }

    /// The line with a use replaced, unless that makes it too long.
    fn replaced(
        &mut self,
        line: &Traced,
        range: Range<usize>,
        value: &Traced,
        via: &Rc<Via>,
    ) -> Option<Traced> {
        let limit = self.options.limits.line;
        let octets = line.text().len() - range.len() + value.text().len();
        if octets <= limit {
            return Some(line.replaced(range, value, via));
        }
        let message = format!("macros make this line longer than {limit} octets");
        let error = Diagnostic::error("line-too-long", message);
        self.findings.report(line.span(range).into_iter().fold(error, Diagnostic::at));
        None
    }

    /// Counts the work of one substitution, so that macros inside macros end soon.
    fn charge(&mut self, line: &Traced, value: &[Traced]) {
        let limit = self.options.limits.expansion;
        let octets: usize = value.iter().map(|part| part.text().len() + PER_LINE).sum();
        self.expanded += line.text().len() + octets + PER_LINE;
        if self.expanded > limit {
            let message = format!("macros and repetitions make more than {limit} octets");
            let error = Diagnostic::error("expansion-too-large", message);
            let span = line.span(0..line.text().len());
            self.findings.stop(span.into_iter().fold(error, Diagnostic::at));
        }
    }

    fn replacement(&mut self, line: &Traced, found: &Use<'_>) -> Replacement {
        let Some(span) = line.span(found.range.clone()) else { return Replacement::None };
        let name = match found.kind {
            UseKind::Macro(name) => name,
            UseKind::WithArguments(name, arguments) => {
                return self.built_in(name, arguments, span, line, found);
            }
            UseKind::NotDelimited(name) => {
                self.report_not_delimited(name, span, found);
                return Replacement::None;
            }
            UseKind::OtherBraces => {
                self.report_other_braces(span, found);
                return Replacement::None;
            }
            UseKind::Unclosed => {
                let error = Diagnostic::error("unclosed-macro", "a `${` without its `}`");
                self.findings.report(error.at(span).help("write `\\$` if a dollar sign is meant"));
                return Replacement::None;
            }
        };
        if BUILT_IN.contains(&name) {
            return self.built_in(name, "", span, line, found);
        }
        let Some(value) = self.macros.get(name).cloned() else {
            self.report_undefined(name, span, line, found);
            return Replacement::None;
        };
        match line.via(found.range.start) {
            Some(via) if via.contains(name) => {
                let mut names: Vec<String> =
                    via.names().iter().map(|name| format!("${name}")).collect();
                names.push(format!("${name}"));
                let message = format!("a loop of macros: {}", names.join(" uses "));
                let error = Diagnostic::error("macro-loop", message).at(span);
                self.findings.report(error.help("take one of the uses out of its definition"));
                Replacement::None
            }
            Some(via) if via.depth >= self.options.limits.macro_depth => {
                let message = format!("more than {} macros inside each other", via.depth);
                self.findings.report(Diagnostic::error("macro-too-deep", message).at(span));
                Replacement::None
            }
            Some(_) | None => Replacement::Lines(name.to_owned(), value),
        }
    }

    fn built_in(
        &mut self,
        name: &str,
        arguments: &str,
        span: Span,
        line: &Traced,
        found: &Use<'_>,
    ) -> Replacement {
        let value = match (name, arguments) {
            ("_PWD", "") => self.folder().display().to_string(),
            ("_HASH", "") => "#".to_owned(),
            ("_BANG", "") => "!".to_owned(),
            ("_INSTANCE", "") => self.instance(span),
            ("_RANDOM", _) => {
                self.findings.report(
                    Diagnostic::error("random-macro", "`${_RANDOM}` is not supported")
                        .at(span)
                        .label("two readings of one file would differ")
                        .help("write the number; `@id` lines give each host its own"),
                );
                arguments.split_whitespace().next().unwrap_or("0").to_owned()
            }
            ("_ENV", variable) if !variable.is_empty() => self.environment(variable, span),
            _ if BUILT_IN.contains(&name) => {
                let message = format!("`{}` is not how `${name}` is used", self.slice(span));
                let help = "`${_ENV NAME}` has one argument, `${_RANDOM MIN MAX}` up to two, and \
                            the other built-in macros have none";
                self.findings
                    .report(Diagnostic::error("bad-built-in", message).at(span).help(help));
                return Replacement::None;
            }
            _ => {
                let inside = found.quote.is_some() || line.via(found.range.start).is_some();
                if !inside {
                    self.report_other_braces(span, found);
                }
                return Replacement::None;
            }
        };
        let recorded = format!("{name} {arguments}");
        if line.via(found.range.start).is_some_and(|via| via.contains(&recorded)) {
            return Replacement::None;
        }
        Replacement::Lines(recorded, Rc::new(vec![Traced::generated(&value)]))
    }

    fn instance(&mut self, span: Span) -> String {
        let options = self.options;
        if let Some(name) = options.instance.as_ref().or(options.config_id.as_ref()) {
            return name.clone();
        }
        self.findings.report(
            Diagnostic::error("unknown-instance", "`${_INSTANCE}`, and no instance has a name")
                .at(span)
                .help("give the config id; keepalived takes the host name"),
        );
        String::new()
    }

    fn environment(&mut self, variable: &str, span: Span) -> String {
        if let Some(value) = self.files.environment(variable) {
            return value;
        }
        let message = format!("the environment has no variable `{variable}`");
        self.findings.report(Diagnostic::error("unset-environment", message).at(span));
        String::new()
    }

    fn report_undefined(&mut self, name: &str, span: Span, line: &Traced, found: &Use<'_>) {
        let used = &line.text()[found.range.clone()];
        let braces = used.starts_with("${");
        let near = self.macros.near(name).map(str::to_owned);
        // A script has variables of its own in quotes.
        if found.quote.is_some() && !braces && near.is_none() {
            return;
        }
        let sure = found.quote.is_none() && (braces || found.begins_word);
        let severity = if sure { Severity::Error } else { Severity::Warning };
        let message = format!("the macro `{used}` is not defined");
        let behind = line.text()[found.range.end..].trim_start();
        let help = if behind.starts_with('=') && found.begins_word {
            "a definition has no space before its `=`".to_owned()
        } else if let Some(near) = near {
            format!("did you mean `{}`?", used.replace(name, &near))
        } else {
            format!("define it above by `${name}=value`, or write `\\$` if a dollar sign is meant")
        };
        let found = Diagnostic::new(severity, "undefined-macro", message).at(span);
        self.findings.report(found.label("taken as it stands").help(help));
    }

    fn report_not_delimited(&mut self, name: &str, span: Span, found: &Use<'_>) {
        let defined = self.macros.get(name).is_some();
        let message = if defined {
            format!("`${name}` is replaced before white space only, and here it is not")
        } else if found.quote.is_none() {
            format!("the macro `${name}` is not defined")
        } else {
            return;
        };
        let help = if defined {
            format!("write `${{{name}}}`, or `\\$` if a dollar sign is meant")
        } else {
            "write `\\$` if a dollar sign is meant".to_owned()
        };
        let severity = if defined { Severity::Error } else { Severity::Warning };
        let code = if defined { "macro-not-delimited" } else { "undefined-macro" };
        self.findings.report(Diagnostic::new(severity, code, message).at(span).help(help));
    }

    fn report_other_braces(&mut self, span: Span, found: &Use<'_>) {
        if found.quote.is_some() {
            return;
        }
        let message = format!("`{}` is not a macro and stays as it is", self.slice(span));
        self.findings.report(
            Diagnostic::error("not-a-macro", message)
                .at(span)
                .help("a macro is `${NAME}`; the shell's forms must be filled in beforehand"),
        );
    }
}

/// Octets that a line costs beside its text.
const PER_LINE: usize = 32;

/// The macros that need no definition.
const BUILT_IN: [&str; 6] = ["_PWD", "_INSTANCE", "_RANDOM", "_HASH", "_BANG", "_ENV"];

fn opens_block(line: &str) -> bool {
    line.trim_end().ends_with('{')
}
