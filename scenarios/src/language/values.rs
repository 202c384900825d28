//! Single values with their places: text, times, numbers, addresses; and tables whose keys are
//! all known. Every mistake is reported into [`Mistakes`] and reading goes on.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vipd_config::diagnostics::{Diagnostic, Diagnostics, FileId, Span};
use vipd_config::text::did_you_mean;
use vipd_engine::ipvs::Endpoint;

use crate::language::units;
use crate::record::WorldTime;
use crate::scenario::Need;

/// A value and where it stands.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Mistakes that are shown; a file with more is no scenario at all.
pub(super) const MAX_MISTAKES: usize = 100;

/// What is wrong so far.
pub(super) struct Mistakes<'t> {
    file: FileId,
    text: &'t str,
    found: Diagnostics,
    count: usize,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(file: FileId, text: &'t str) -> Self {
        Self { file, text, found: Diagnostics::default(), count: 0 }
    }

    pub(super) fn into_diagnostics(mut self) -> Diagnostics {
        if self.count > MAX_MISTAKES {
            let message = format!("{} mistakes, of which {MAX_MISTAKES} are shown", self.count);
            self.found.push(Diagnostic::error("too-many", message));
        }
        self.found
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn span(&self, place: Range<usize>) -> Span {
        Span { file: self.file, start: place.start, end: place.end }
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.count < MAX_MISTAKES {
            self.found.push(diagnostic);
        }
        self.count += 1;
    }

    /// An error with what stands beside the underlining and the way out.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        place: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let span = self.span(place);
        self.push(Diagnostic::error(code, message).at(span).label(label).help(help));
    }

    pub(super) fn syntax(&mut self, message: &str, place: Option<Range<usize>>) {
        let place = place.unwrap_or(self.text.len()..self.text.len());
        let span = self.span(place);
        self.push(
            Diagnostic::error("toml", message)
                .at(span)
                .help("scenario files are TOML, see https://toml.io"),
        );
    }

    pub(super) fn wrong_type(&mut self, value: &Value, wanted: &str, help: &str) {
        let found = kind(value.get_ref());
        let message = format!("expected {wanted}, found {found}");
        self.error("wrong-type", value.span(), message, format!("this is {found}"), help);
    }

    /// A name that nothing has.
    pub(super) fn unknown<'c>(
        &mut self,
        what: &str,
        name: &str,
        place: Range<usize>,
        candidates: impl IntoIterator<Item = &'c str>,
    ) {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        let help = match did_you_mean(name, candidates.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if candidates.is_empty() => format!("there is no {what} in this scenario"),
            None => format!("there is {}", quoted(&candidates)),
        };
        let message = format!("unknown {what} `{name}`");
        self.error("unknown-name", place, message, format!("no {what} has this name"), help);
    }

    /// Where a piece of a text value stands, if the value is written without escapes.
    pub(super) fn piece(&self, value: &Value, piece: Range<usize>) -> Range<usize> {
        let Range { start, end } = value.span();
        let (from, to) = (start + 1 + piece.start, start + 1 + piece.end);
        let written = value.as_ref().as_str().and_then(|text| text.get(piece));
        match self.text.get(from..to) {
            Some(found) if Some(found) == written && to < end => from..to,
            Some(_) | None => start..end,
        }
    }
}

/// The words of a list for people.
pub(super) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn kind(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A table that reports the keys which nobody asked for.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    place: Range<usize>,
    what: &'static str,
    asked: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, place: Range<usize>, what: &'static str) -> Self {
        Self { table, place, what, asked: Vec::new() }
    }

    /// The fields of a value that must be a table.
    pub(super) fn of(
        value: &'t Value<'t>,
        what: &'static str,
        help: &str,
        m: &mut Mistakes,
    ) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(table, value.span(), what)),
            _ => {
                m.wrong_type(value, "a table", help);
                None
            }
        }
    }

    pub(super) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.asked.push(key);
        self.table.get(key)
    }

    pub(super) fn required(
        &mut self,
        key: &'static str,
        m: &mut Mistakes,
    ) -> Option<&'t Value<'t>> {
        let found = self.optional(key);
        if found.is_none() {
            let message = format!("{} needs `{key}`", self.what);
            let help = format!("add `{key} = ...`");
            m.error("missing-key", self.place(), message, format!("`{key}` is missing"), help);
        }
        found
    }

    /// Keys of the table in order of the file.
    pub(super) fn keys(&self) -> Vec<(&'t str, Range<usize>)> {
        let mut keys: Vec<_> =
            self.table.keys().map(|key| (key.get_ref().as_ref(), key.span())).collect();
        keys.sort_by_key(|(_, place)| place.start);
        keys
    }

    /// Every key that nobody asked for is a mistake.
    pub(super) fn finish(self, m: &mut Mistakes) {
        let asked = self.asked.clone();
        self.finish_among(&asked, m);
    }

    /// As [`Self::finish`]; `candidates` are what a misspelt key may have meant.
    pub(super) fn finish_among(self, candidates: &[&'static str], m: &mut Mistakes) {
        for (key, place) in self.keys() {
            if self.asked.contains(&key) {
                continue;
            }
            let free: Vec<&str> = candidates
                .iter()
                .copied()
                .filter(|candidate| !self.table.contains_key(*candidate))
                .collect();
            let help = match did_you_mean(key, candidates.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if free.is_empty() => format!("{} has no other key", self.what),
                None => format!("{} may also have {}", self.what, quoted(&free)),
            };
            let message = format!("unknown key `{key}`");
            m.error("unknown-key", place, message, format!("not a key of {}", self.what), help);
        }
    }
}

/// The elements of a list, or the one value that stands without brackets.
pub(super) fn list<'t>(value: &'t Value<'t>) -> Vec<&'t Value<'t>> {
    match value.get_ref() {
        DeValue::Array(array) => array.iter().collect(),
        _ => vec![value],
    }
}

pub(super) fn text<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<&'t str> {
    let found = value.get_ref().as_str();
    if found.is_none() {
        m.wrong_type(value, "text", "write it in quotes");
    }
    found
}

pub(super) fn boolean(value: &Value, m: &mut Mistakes) -> Option<bool> {
    let found = value.get_ref().as_bool();
    if found.is_none() {
        m.wrong_type(value, "true or false", "write true or false without quotes");
    }
    found
}

/// A number from 0 to `max`.
pub(super) fn integer<T>(value: &Value, max: T, m: &mut Mistakes) -> Option<T>
where
    T: TryFrom<i128> + Into<i128> + Copy,
{
    signed(value, 0, max.into(), m).and_then(|number| T::try_from(number).ok())
}

/// A number from `min` to `max`.
pub(super) fn signed(value: &Value, min: i128, max: i128, m: &mut Mistakes) -> Option<i128> {
    let help = format!("write a whole number from {min} to {max}, without quotes");
    let Some(integer) = value.get_ref().as_integer() else {
        m.wrong_type(value, "a whole number", &help);
        return None;
    };
    match i128::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) if (min..=max).contains(&number) => Some(number),
        Ok(_) | Err(_) => {
            let message = format!("{} is out of range", integer.as_str());
            m.error("out-of-range", value.span(), message, "out of range", help);
            None
        }
    }
}

/// Octets in hexadecimal, with spaces wherever they help.
pub(super) fn octets(value: &Value, max: usize, m: &mut Mistakes) -> Option<Vec<u8>> {
    let help = "write two hexadecimal digits for each octet, such as \"21339601 0001\"";
    let text = text(value, m)?;
    let mut digits = Vec::new();
    for (at, letter) in text.char_indices().filter(|(_, letter)| !letter.is_whitespace()) {
        let Some(digit) = letter.to_digit(16) else {
            let place = m.piece(value, at..at + letter.len_utf8());
            let message = format!("`{letter}` is no hexadecimal digit");
            m.error("bad-octets", place, message, "not a digit", help);
            return None;
        };
        digits.push(digit as u8);
    }
    let (pairs, half) = digits.as_chunks();
    if !half.is_empty() {
        let message = format!("{} digits are no whole octets", digits.len());
        m.error("bad-octets", value.span(), message, "half an octet", help);
        return None;
    }
    if pairs.len() > max {
        let message = format!("{} octets do not fit into a frame", pairs.len());
        let help = format!("at most {max} octets fit");
        m.error("out-of-range", value.span(), message, "too long", help);
        return None;
    }
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

pub(super) fn fault_class(value: &Value, m: &mut Mistakes) -> Option<u8> {
    let help = "write the number of a fault class, 1 to 20: see docs/properties.md";
    let Some(number) = value.get_ref().as_integer() else {
        m.wrong_type(value, "a whole number", help);
        return None;
    };
    match number.as_str().parse() {
        Ok(class @ 1..=20) => Some(class),
        Ok(_) | Err(_) => {
            let message = format!("there is no fault class {}", number.as_str());
            m.error("out-of-range", value.span(), message, "out of range", help);
            None
        }
    }
}

pub(super) fn need(value: &Value, m: &mut Mistakes) -> Option<Need> {
    let known = Need::ALL.map(Need::name);
    let text = text(value, m)?;
    let need = Need::ALL.into_iter().find(|need| need.name() == text);
    if need.is_none() {
        m.unknown("need", text, value.span(), known);
    }
    need
}

const TIME_HELP: &str = "write a number and a unit in quotes, such as \"10s\" or \"100us\" \
                         (units: ns us ms s m h d)";

/// A time with its unit.
pub(super) fn time(value: &Value, m: &mut Mistakes) -> Option<Duration> {
    let Some(text) = value.get_ref().as_str() else {
        m.wrong_type(value, "a time", TIME_HELP);
        return None;
    };
    match units::parse_duration(text) {
        Ok(time) => Some(time),
        Err(fault) => {
            let message = format!("`{text}` is not a time: it {fault}");
            m.error("bad-time", value.span(), message, "not a time", TIME_HELP);
            None
        }
    }
}

/// A time with its unit, and perhaps a sign before it.
pub(super) fn signed_time<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<(bool, Duration)> {
    let text = text(value, m)?;
    let (back, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match units::parse_duration(rest) {
        Ok(time) => Some((back, time)),
        Err(fault) => {
            let message = format!("`{text}` is not a time: it {fault}");
            m.error("bad-time", value.span(), message, "not a time", TIME_HELP);
            None
        }
    }
}

/// A share of all frames.
pub(super) fn share(value: &Value, m: &mut Mistakes) -> Option<u32> {
    let help = "write a number and a unit in quotes, such as \"5%\" or \"50ppm\"";
    let Some(text) = value.get_ref().as_str() else {
        m.wrong_type(value, "a share", help);
        return None;
    };
    match units::parse_share(text) {
        Ok(ppm) => Some(ppm),
        Err(fault) => {
            let message = format!("`{text}` is not a share: it {fault}");
            m.error("bad-share", value.span(), message, "not a share", help);
            None
        }
    }
}

pub(super) fn address<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<IpAddr> {
    let text = text(value, m)?;
    let found = text.parse().ok();
    if found.is_none() {
        let message = format!("`{text}` is not an IP address");
        let help = "write an address such as \"192.0.2.1\" or \"2001:db8::1\", without a prefix \
                    length";
        m.error("bad-address", value.span(), message, "not an address", help);
    }
    found
}

/// A real server: `"192.0.2.21:80"`, `"[2001:db8::1]:80"`.
pub(super) fn endpoint<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<Endpoint> {
    let text = text(value, m)?;
    let Ok(socket) = text.parse::<SocketAddr>() else {
        let help = "write an address and a port, such as \"192.0.2.21:80\"";
        let message = format!("`{text}` is no address with a port");
        m.error("bad-endpoint", value.span(), message, "not a real server", help);
        return None;
    };
    Some(Endpoint { address: socket.ip(), port: socket.port() })
}

/// An address and its prefix length.
pub(super) fn network<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<(IpAddr, u8)> {
    let text = text(value, m)?;
    let found = text.split_once('/').and_then(|(address, len)| {
        let address: IpAddr = address.parse().ok()?;
        let len: u8 = len.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (len <= longest).then_some((address, len))
    });
    if found.is_none() {
        let message = format!("`{text}` is not an address with a prefix length");
        let help = "write both, such as \"192.0.2.1/24\" or \"2001:db8::1/64\"";
        m.error("bad-address", value.span(), message, "not an address with a length", help);
    }
    found
}

/// A time of the scenario; times too long for it do not come out of [`time`].
pub(super) fn world_time(time: Duration) -> WorldTime {
    WorldTime(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
