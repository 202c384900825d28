//! `~SEQ`, `~SEQx` and `~LST`: which values a line is repeated with. It repeats nothing itself.

use std::ops::Range;

use super::did_you_mean;
use super::macros::name_at_start;

/// A line's repetition, as it stands at the start of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// A counter.
    Sequence {
        /// The macro that takes the values.
        name: String,
        /// The first value.
        start: i64,
        /// What is added each time; not 0.
        step: i64,
        /// The last value that may be taken.
        end: i64,
        /// Whether values are written in hexadecimal.
        hexadecimal: bool,
    },
    /// A list.
    List {
        /// The macros that take the values.
        names: Vec<String>,
        /// Their values, as many in each row as there are names.
        rows: Vec<Vec<String>>,
    },
}

/// What is wrong with a repetition, and which part of the line it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRepetition {
    pub range: Range<usize>,
    pub message: String,
    pub help: String,
}

/// The parentheses of a repetition at the start of a line, without themselves.
pub(super) fn arguments(line: &str) -> Option<Range<usize>> {
    let open = line.find('(')?;
    let name = line[..open].strip_prefix('~')?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    Some(open + 1..open + 1 + line[open + 1..].find(')').unwrap_or(line.len() - open - 1))
}

/// What the line is repeated with, given where its [`arguments`] stand.
pub(super) fn parse(line: &str, inside: Range<usize>) -> Result<Repetition, BadRepetition> {
    let name = &line[..inside.start - 1];
    let bad = |range: Range<usize>, message: String, help: &str| BadRepetition {
        range,
        message,
        help: help.to_owned(),
    };
    if inside.end == line.len() {
        let message = format!("`{name}(` without its `)`");
        return Err(bad(0..inside.start, message, "close the parenthesis on the same line"));
    }
    let result = match name {
        "~SEQ" => sequence(&line[inside.clone()], false),
        "~SEQx" => sequence(&line[inside.clone()], true),
        "~LST" => list(&line[inside.clone()]),
        _ => {
            let message = format!("there is no `{name}`");
            let near = did_you_mean(name, ["~SEQ", "~SEQx", "~LST"]);
            let help = near.map_or_else(
                || "lines are repeated by `~SEQ`, `~SEQx` and `~LST`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(BadRepetition { range: 0..name.len(), message, help });
        }
    };
    let help = if name == "~LST" { LIST_HELP } else { SEQUENCE_HELP };
    result.map_err(|message| bad(0..inside.end + 1, message, help))
}

const SEQUENCE_HELP: &str = "write `~SEQ(NAME, start, step, end)`, `~SEQ(NAME, start, end)` or \
                             `~SEQ(NAME, end)`, with numbers in decimal or as 0x1f";
const LIST_HELP: &str =
    "write `~LST(NAME, a, b)`, or `~LST({NAME1, NAME2}, {a, b}, {c, d})` for several at once";

fn sequence(inside: &str, hexadecimal: bool) -> Result<Repetition, String> {
    let mut parts = inside.split(',').map(str::trim);
    let name = macro_name(parts.next().unwrap_or_default())?;
    let numbers: Vec<i64> = parts.map(number).collect::<Result<_, _>>()?;
    let towards = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match numbers[..] {
        [end] => (towards(0, end), towards(0, end), end),
        [start, end] => (start, towards(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return Err(format!("a sequence of {} numbers", numbers.len())),
    };
    if step == 0 {
        return Err("a step of 0 never ends".to_owned());
    }
    Ok(Repetition::Sequence { name, start, step, end, hexadecimal })
}

fn number(text: &str) -> Result<i64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let value = match hexadecimal {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    // 32 bits hold every address and number that a line can be repeated over.
    let signed = !digits.starts_with('+') && !hexadecimal.is_some_and(|d| d.starts_with('+'));
    match value {
        Ok(value) if signed => Ok(sign * i64::from(value)),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a number of at most 32 bits")),
    }
}

fn list(inside: &str) -> Result<Repetition, String> {
    let mut parts = split_outside_braces(inside)?.into_iter();
    let names = row(parts.next().unwrap_or_default());
    let names: Vec<String> = names.iter().map(|name| macro_name(name)).collect::<Result<_, _>>()?;
    let rows: Vec<Vec<String>> = parts.map(row).collect();
    if rows.is_empty() {
        return Err("a list without values".to_owned());
    }
    if let Some(short) = rows.iter().find(|row| row.len() != names.len()) {
        return Err(format!("{} values for {} names", short.len(), names.len()));
    }
    Ok(Repetition::List { names, rows })
}

fn macro_name(text: &str) -> Result<String, String> {
    match name_at_start(text) {
        Some(name) if name.len() == text.len() => Ok(name.to_owned()),
        Some(_) | None => Err(format!("`{text}` is not a macro's name")),
    }
}

/// `a` or `{a, b}`.
fn row(part: &str) -> Vec<String> {
    let part = part.trim();
    match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(inner) => inner.split(',').map(|value| value.trim().to_owned()).collect(),
        None => vec![part.to_owned()],
    }
}

fn split_outside_braces(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '}' if inside == (c == '{') => return Err(format!("an unexpected `{c}`")),
            '{' | '}' => inside = !inside,
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err("a `{` without its `}`".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// The values, one binding of all names at a time.
pub(super) struct Rounds<'a> {
    repetition: &'a Repetition,
    next: i64,
}

impl Repetition {
    /// Its values in order; perhaps none.
    pub fn rounds(&self) -> Rounds<'_> {
        let next = match self {
            Repetition::Sequence { start, .. } => *start,
            Repetition::List { .. } => 0,
        };
        Rounds { repetition: self, next }
    }

    /// The names that take the values.
    pub fn names(&self) -> &[String] {
        match self {
            Repetition::Sequence { name, .. } => std::slice::from_ref(name),
            Repetition::List { names, .. } => names,
        }
    }
}

impl Iterator for Rounds<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        match self.repetition {
            Repetition::Sequence { step, end, hexadecimal, .. } => {
                let value = self.next;
                if if *step > 0 { value > *end } else { value < *end } {
                    return None;
                }
                // Numbers of 32 bits: their sum cannot overflow.
                self.next = value + step;
                let sign = if value < 0 { "-" } else { "" };
                let size = value.unsigned_abs();
                let hexadecimal = *hexadecimal;
                Some(vec![if hexadecimal { format!("{sign}{size:x}") } else { value.to_string() }])
            }
            Repetition::List { rows, .. } => {
                let row = rows.get(usize::try_from(self.next).ok()?)?;
                self.next += 1;
                Some(row.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Result<Vec<String>, String> {
        let repetition = parse(line, arguments(line).unwrap()).map_err(|bad| bad.message)?;
        Ok(repetition.rounds().map(|values| values.join(" ")).collect())
    }

    #[test]
    fn a_sequence_counts_from_start_to_end_by_its_step() {
        assert_eq!(values("~SEQ(A, 1, 2, 6)").unwrap(), ["1", "3", "5"]);
        assert_eq!(values("~SEQ(A, 3, 1)").unwrap(), ["3", "2", "1"]);
        assert_eq!(values("~SEQ(A,-2)").unwrap(), ["-1", "-2"]);
        assert_eq!(values("~SEQ(A,3)").unwrap(), ["1", "2", "3"]);
        assert_eq!(values("~SEQx(A, 0x90, 0x10, 0xb0)").unwrap(), ["90", "a0", "b0"]);
        assert_eq!(values("~SEQx(A, 0x12, -1, 0x10)").unwrap(), ["12", "11", "10"]);
        assert!(values("~SEQ(A, 3, 1, 1)").unwrap().is_empty());
    }

    #[test]
    fn a_list_gives_one_or_several_macros_their_values() {
        assert_eq!(values("~LST(A, x, y)").unwrap(), ["x", "y"]);
        assert_eq!(values("~LST({A, B}, {10,1},{20, 4})").unwrap(), ["10 1", "20 4"]);
    }

    #[test]
    fn mistakes_in_a_repetition_are_named() {
        let message = |line| values(line).unwrap_err();
        assert_eq!(message("~SEQ(A)"), "a sequence of 0 numbers");
        assert_eq!(message("~SEQ(A, x)"), "`x` is not a number of at most 32 bits");
        assert_eq!(message("~SEQ(1, 2)"), "`1` is not a macro's name");
        assert_eq!(message("~SEQ(A, 1, 0, 2)"), "a step of 0 never ends");
        assert_eq!(message("~SEQ(A, 1"), "`~SEQ(` without its `)`");
        assert_eq!(message("~LST(A)"), "a list without values");
        assert_eq!(message("~LST({A, B}, {1})"), "1 values for 2 names");
        assert_eq!(message("~LST({A, B, 1"), "`~LST(` without its `)`");
        assert_eq!(message("~LST({A, B)"), "a `{` without its `}`");
        assert_eq!(message("~seq(A, 1)"), "there is no `~seq`");
    }
}
