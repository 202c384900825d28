//! `$NAME=value` and the uses `$NAME` and `${NAME}`: what they look like and what stands for what.
//!
//! It finds and answers; [`super::reader`] replaces. What keepalived leaves alone because it is no
//! macro (`$1`, `$(date)`) is left alone here.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::did_you_mean;
use super::traced::Traced;

/// The macros defined so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Macros {
    values: BTreeMap<String, Rc<Value>>,
}

/// The lines that stand for a macro, none for an empty one.
pub(super) type Value = Vec<Traced>;

impl Macros {
    /// Gives a name its value from here on; returns the one it had.
    pub fn define(&mut self, name: &str, value: Value) -> Option<Rc<Value>> {
        self.values.insert(name.to_owned(), Rc::new(value))
    }

    /// Gives a name back what [`Macros::define`] returned.
    pub fn restore(&mut self, name: &str, value: Option<Rc<Value>>) {
        match value {
            Some(value) => self.values.insert(name.to_owned(), value),
            None => self.values.remove(name),
        };
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&Rc<Value>> {
        self.values.get(name)
    }

    /// The defined name that is nearest to one that is not.
    pub fn near(&self, name: &str) -> Option<&str> {
        did_you_mean(name, self.values.keys().map(String::as_str))
    }
}

/// A definition at the start of a line: its name, and where the value starts.
pub(super) fn definition(line: &str) -> Option<(&str, usize)> {
    let start = line.len() - line.trim_start().len();
    let rest = line[start..].strip_prefix('$')?;
    let name = name_at_start(rest)?;
    rest[name.len()..].starts_with('=').then_some((name, start + 1 + name.len() + 1))
}

/// Whether a definition begins here, perhaps behind conditions.
pub(super) fn begins_definition(line: &str) -> bool {
    let mut rest = line.trim_start();
    while rest.starts_with('@') {
        let Some((_, behind)) = rest.split_once(char::is_whitespace) else { return false };
        rest = behind.trim_start();
    }
    definition(rest).is_some()
}

/// Something that begins with `$` in a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use<'a> {
    /// All of it, braces included.
    pub range: Range<usize>,
    /// What it is.
    pub kind: UseKind<'a>,
    /// The quotation mark that is open there.
    pub quote: Option<u8>,
    /// Whether it begins a word.
    pub begins_word: bool,
}

/// What a `$` begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UseKind<'a> {
    /// `${NAME}`, or `$NAME` before white space or the end.
    Macro(&'a str),
    /// `${NAME words}`.
    WithArguments(&'a str, &'a str),
    /// `$NAME` before something else, which keepalived does not replace.
    NotDelimited(&'a str),
    /// `${` with something else in its braces.
    OtherBraces,
    /// `${` without its `}`.
    Unclosed,
}

/// Where the search goes on, and the quotation mark that is open there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub at: usize,
    pub quote: Option<u8>,
}

/// The next use at or behind the cursor. Single quotes do not protect it: keepalived replaces
/// before it looks at quotes. A backslash does.
pub(super) fn next_use<'a>(line: &'a str, cursor: &mut Cursor) -> Option<Use<'a>> {
    let octets = line.as_bytes();
    if !line.get(cursor.at..)?.contains('$') {
        return None;
    }
    while cursor.at < octets.len() {
        let at = cursor.at;
        match (cursor.quote, octets[at]) {
            (_, b'$') => {
                if let Some((length, kind)) = use_at_start(&line[at + 1..]) {
                    let before = line[..at].chars().next_back();
                    let begins_word = before.is_none_or(char::is_whitespace);
                    let range = at..at + 1 + length;
                    return Some(Use { range, kind, quote: cursor.quote, begins_word });
                }
            }
            (None | Some(b'"'), b'\\') => cursor.at += 1,
            (None, mark @ (b'"' | b'\'')) => cursor.quote = Some(mark),
            (Some(open), mark) if open == mark => cursor.quote = None,
            (None | Some(_), _) => {}
        }
        cursor.at += 1;
    }
    None
}

/// What follows a `$`, and its length.
fn use_at_start(rest: &str) -> Option<(usize, UseKind<'_>)> {
    let Some(inner) = rest.strip_prefix('{') else {
        let name = name_at_start(rest)?;
        let next = rest[name.len()..].chars().next();
        let delimited = next.is_none_or(char::is_whitespace);
        let kind = if delimited { UseKind::Macro(name) } else { UseKind::NotDelimited(name) };
        return Some((name.len(), kind));
    };
    let Some(end) = inner.find('}') else { return Some((1, UseKind::Unclosed)) };
    let inner = &inner[..end];
    let kind = match name_at_start(inner) {
        Some(name) if name.len() == inner.len() => UseKind::Macro(name),
        Some(name) if inner[name.len()..].starts_with(char::is_whitespace) => {
            UseKind::WithArguments(name, inner[name.len()..].trim())
        }
        Some(_) | None => UseKind::OtherBraces,
    };
    Some((end + 2, kind))
}

/// The name that `text` begins with: letters, digits and `_`, no digit first.
pub(super) fn name_at_start(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let name = &text[..end];
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(line: &str) -> Option<(Range<usize>, UseKind<'_>)> {
        next_use(line, &mut Cursor::default()).map(|found| (found.range, found.kind))
    }

    #[test]
    fn a_definition_has_a_name_and_no_space_before_the_equals_sign() {
        assert_eq!(definition("  $PRIO=100"), Some(("PRIO", 8)));
        assert_eq!(definition("$EMPTY="), Some(("EMPTY", 7)));
        assert_eq!(definition("$PRIO =100"), None);
        assert_eq!(definition("$1=100"), None);
        assert!(begins_definition("@main @^spare $PRIO=100"));
        assert!(!begins_definition("@main priority 100"));
    }

    #[test]
    fn a_use_has_braces_or_white_space_behind_it() {
        assert_eq!(first("10.${NET}.1"), Some((3..9, UseKind::Macro("NET"))));
        assert_eq!(first("priority $PRIO"), Some((9..14, UseKind::Macro("PRIO"))));
        assert_eq!(first("10.$NET.1"), Some((3..7, UseKind::NotDelimited("NET"))));
        assert_eq!(first("${_ENV HOME}"), Some((0..12, UseKind::WithArguments("_ENV", "HOME"))));
        assert_eq!(first("${X:-y}"), Some((0..7, UseKind::OtherBraces)));
        assert_eq!(first("a ${X"), Some((2..4, UseKind::Unclosed)));
    }

    #[test]
    fn what_keepalived_leaves_alone_is_no_use() {
        assert_eq!(first("kill $(cat pid) $1 $ \\$NAME"), None);
    }

    #[test]
    fn quotes_do_not_protect_a_use() {
        assert_eq!(first("'a ${B}'"), Some((3..7, UseKind::Macro("B"))));
    }
}
