//! What was measured as rows: a figure of vipd, the same of keepalived, their ratio, and what vipd
//! must reach.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::checking::{Beside, Cost};
use crate::crowd::Crowd;
use crate::installing::Installed;
use crate::parsing::Parsed;
use crate::takeover::Takeovers;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// How many.
    Count,
    /// Nanoseconds, shown in milliseconds.
    Nanoseconds,
    /// Octets, shown in megabytes of a million.
    Octets,
}

/// What vipd must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Limit {
    /// At most this, in the unit of the figure.
    AtMost(i64),
    /// At least this, in the unit of the figure.
    AtLeast(i64),
    /// At most this part of keepalived's.
    Ratio(f64),
    /// It is told, not judged.
    None,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Of the two values.
    pub unit: Unit,
    /// Measured.
    pub vipd: i64,
    /// Measured beside it, unless it cannot do that.
    pub keepalived: Option<i64>,
    /// What the first must reach.
    pub limit: Limit,
}

impl Figure {
    /// `None` if keepalived's is zero, or not there.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let keepalived = self.keepalived.filter(|keepalived| *keepalived != 0)?;
        Some(self.vipd as f64 / keepalived as f64)
    }

    /// Whether vipd reaches its limit; `None` where there is none.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        match self.limit {
            Limit::AtMost(most) => Some(self.vipd <= most),
            Limit::AtLeast(least) => Some(self.vipd >= least),
            Limit::Ratio(most) => Some(self.ratio().is_some_and(|ratio| ratio <= most)),
            Limit::None => None,
        }
    }
}

const MILLISECOND: i64 = 1_000_000;

/// What is told of many values: a name, the rank that is looked for in a thousandth, a limit.
type Told = (&'static str, usize, Limit);

/// The rows about one virtual router.
#[must_use]
pub fn of_takeovers(found: &[Takeovers; 2]) -> Vec<Figure> {
    let exact: [Told; 2] =
        [("median", 500, Limit::AtMost(3 * MILLISECOND)), ("worst", 1000, Limit::None)];
    let prompt: [Told; 2] =
        [("median", 500, Limit::None), ("worst", 1000, Limit::AtMost(10 * MILLISECOND))];
    let [vipd, keepalived] = found;
    let of_times =
        |what, get: fn(&Takeovers) -> &[i64], told| times(what, [get(vipd), get(keepalived)], told);
    let mut rows = of_times("takeover after the last advert", |one| &one.after_last_advert, exact);
    let after = "takeover after the resignation";
    rows.extend(of_times(after, |one| &one.after_resignation, exact));
    rows.extend(of_times("resignation after SIGTERM", |one| &one.resignation, prompt));
    let resident = [vipd.resident, keepalived.resident];
    rows.push(octets("resident, 1 virtual router", resident, Limit::AtMost(5_000_000)));
    rows
}

/// The rows about many virtual routers. `where_` says how their adverts stand to each other.
#[must_use]
pub fn of_crowds(found: &[Crowd; 2], how: &str) -> Vec<Figure> {
    let [vipd, keepalived] = found;
    let row = |what: &str, of: fn(&Crowd) -> Duration, limit| {
        let [vipd, keepalived] = [of(vipd), of(keepalived)].map(nanos);
        let (what, keepalived) = (format!("{how}: {what}"), Some(keepalived));
        Figure { what, unit: Unit::Nanoseconds, vipd, keepalived, limit }
    };
    let taken: [Told; 1] = [("worst", 1000, Limit::AtMost(50 * MILLISECOND))];
    let late: [Told; 2] =
        [("99.9 %", 999, Limit::AtMost(10 * MILLISECOND)), ("worst", 1000, Limit::None)];
    let mut rows = vec![row("adverts begin within", |one| one.phases, Limit::None)];
    let of_times = |what: &str, get: fn(&Crowd) -> &[i64], told: &[Told]| {
        times(&format!("{how}: {what}"), [get(vipd), get(keepalived)], told.iter().copied())
    };
    rows.extend(of_times("address from its exact instant", |one| &one.addresses, &taken));
    rows.push(row("first address to last", |one| one.first_to_last, Limit::None));
    rows.extend(of_times("own advert from its time", |one| &one.adverts, &late));
    rows.push(row("processor time per second", |one| one.processor, Limit::Ratio(0.5)));
    let resident = [vipd.resident, keepalived.resident];
    rows.push(octets(&format!("{how}: resident"), resident, Limit::AtMost(8_000_000)));
    rows
}

/// The rows about a large file.
#[must_use]
pub fn of_parsing(found: &[Parsed; 2]) -> Vec<Figure> {
    let [vipd, keepalived] = found;
    let told = [("median", 500, Limit::Ratio(0.5)), ("worst", 1000, Limit::None)];
    let what = "80,000 real servers read: processor time";
    let mut rows = times(what, [&vipd.processor, &keepalived.processor], told);
    let memory = [vipd.memory, keepalived.memory];
    rows.push(octets("80,000 real servers read: memory", memory, Limit::Ratio(0.5)));
    rows
}

/// The rows about the kernel's table.
#[must_use]
pub fn of_installing(found: &[Installed; 2]) -> Vec<Figure> {
    let [vipd, keepalived] = found;
    let told = [("median", 500, Limit::Ratio(0.5)), ("worst", 1000, Limit::None)];
    let complete = [&vipd.complete[..], &keepalived.complete];
    let mut rows = times("1,000 x 10 real servers: table complete", complete, told);
    let kernel = [&vipd.kernel[..], &keepalived.kernel];
    let told = [("median", 500, Limit::None)];
    rows.extend(times("1,000 x 10: the kernel's part of that", kernel, told));
    let exchange = [&vipd.exchange[..], &keepalived.exchange];
    let told = [("median", 500, Limit::None), ("worst", 1000, Limit::None)];
    rows.extend(times("10 real servers give way to the sorry server within", exchange, told));
    rows
}

/// The rows about the cost of checks.
#[must_use]
pub fn of_checks(found: &[Cost; 2]) -> Vec<Figure> {
    let row = |what: &str, of: fn(&Cost) -> i64, unit, limit| {
        let (vipd, keepalived) = (of(&found[0]), Some(of(&found[1])));
        Figure { what: format!("10,000 TCP_CHECK: {what}"), unit, vipd, keepalived, limit }
    };
    let time = Unit::Nanoseconds;
    // Whoever checks less pays less.
    let per_second = |one: &Cost| one.per_second as i64;
    // What lies across the ends of the time that is looked at counts for one of the two or not.
    let as_many = Limit::AtLeast(per_second(&found[1]) - 1);
    vec![
        row("answered per second", per_second, Unit::Count, as_many),
        row("processor time per second", |one| nanos(one.processor), time, Limit::None),
        row("processor time of each", |one| nanos(one.each), time, Limit::Ratio(0.5)),
    ]
}

/// The rows about adverts beside all of that, `where_` it was measured.
#[must_use]
pub fn of_adverts(vipd: &Beside, keepalived: Option<&Beside>, where_: &str) -> Vec<Figure> {
    let late: [Told; 3] = [
        ("median", 500, Limit::None),
        ("99.9 %", 999, Limit::AtMost(10 * MILLISECOND)),
        ("worst", 1000, Limit::None),
    ];
    let adverts = keepalived.map(|keepalived| &keepalived.adverts[..]);
    let mut rows = times_of(&format!("{where_}: advert"), &vipd.adverts, adverts, late);
    let row = |what: &str, of: fn(&Beside) -> i64, limit| {
        let what = format!("{where_}: {what}");
        Figure { what, unit: Unit::Count, vipd: of(vipd), keepalived: keepalived.map(of), limit }
    };
    rows.push(row("adverts of the backup", |one| one.of_backup as i64, Limit::AtMost(0)));
    let per_second = |one: &Beside| one.per_second as i64;
    // As many as keepalived; nine in ten of what the file says where that is not measured.
    let least = keepalived.map_or(1_500, per_second);
    rows.push(row("answered per second", per_second, Limit::AtLeast(least)));
    rows
}

/// Distances from what is exact, too early or too late.
fn times(what: &str, found: [&[i64]; 2], told: impl IntoIterator<Item = Told>) -> Vec<Figure> {
    let [vipd, keepalived] = found;
    times_of(what, vipd, Some(keepalived), told)
}

fn times_of(
    what: &str,
    vipd: &[i64],
    keepalived: Option<&[i64]>,
    told: impl IntoIterator<Item = Told>,
) -> Vec<Figure> {
    let row = |(name, permille, limit)| Figure {
        what: format!("{what}, {name}"),
        unit: Unit::Nanoseconds,
        vipd: rank(vipd, permille),
        keepalived: keepalived.map(|keepalived| rank(keepalived, permille)),
        limit,
    };
    told.into_iter().map(row).collect()
}

fn octets(what: &str, found: [u64; 2], limit: Limit) -> Figure {
    let [vipd, keepalived] = found.map(|octets| i64::try_from(octets).unwrap_or(i64::MAX));
    let (what, keepalived) = (what.to_string(), Some(keepalived));
    Figure { what, unit: Unit::Octets, vipd, keepalived, limit }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The distance that this part of all do not exceed, whichever side they are on. Zero if there are
/// none.
fn rank(values: &[i64], permille: usize) -> i64 {
    let mut distances: Vec<_> = values.iter().map(|value| value.saturating_abs()).collect();
    distances.sort_unstable();
    let place = (distances.len() * permille).div_ceil(1000).max(1) - 1;
    distances.get(place).copied().unwrap_or(0)
}

/// For people.
#[must_use]
pub fn table(rows: &[Figure]) -> String {
    let widest = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let head = ["vipd", "keepalived", "ratio", "vipd must reach"];
    let mut text =
        format!("{:widest$}  {:>11}  {:>11}  {:>6}  {}\n", "", head[0], head[1], head[2], head[3]);
    for row in rows {
        let vipd = shown(row.vipd, row.unit);
        let keepalived = row.keepalived.map_or_else(|| "-".to_string(), |it| shown(it, row.unit));
        let ratio = row.ratio().map_or_else(|| "-".to_string(), |ratio| format!("{ratio:.2}"));
        let limit = match row.limit {
            Limit::AtMost(most) => format!("{} at most", shown(most, row.unit)),
            Limit::AtLeast(least) => format!("{} at least", shown(least, row.unit)),
            Limit::Ratio(most) => format!("a ratio of {most} at most"),
            Limit::None => String::new(),
        };
        let met = match row.is_met() {
            Some(true) => ": reached",
            Some(false) => ": NOT REACHED",
            None => "",
        };
        let what = &row.what;
        let line =
            format!("{what:widest$}  {vipd:>11}  {keepalived:>11}  {ratio:>6}  {limit}{met}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// For programs: values in the unit that `unit` names.
#[must_use]
pub fn json(rows: &[Figure]) -> Value {
    let row = |row: &Figure| {
        let unit = match row.unit {
            Unit::Count => "count",
            Unit::Nanoseconds => "ns",
            Unit::Octets => "octets",
        };
        let (most, least, part) = match row.limit {
            Limit::AtMost(most) => (Some(most), None, None),
            Limit::AtLeast(least) => (None, Some(least), None),
            Limit::Ratio(part) => (None, None, Some(part)),
            Limit::None => (None, None, None),
        };
        json!({
            "what": row.what,
            "unit": unit,
            "vipd": row.vipd,
            "keepalived": row.keepalived,
            "ratio": row.ratio(),
            "at_most": most,
            "at_least": least,
            "ratio_at_most": part,
            "reached": row.is_met(),
        })
    };
    json!({ "figures": rows.iter().map(row).collect::<Vec<_>>(), "reached": reached(rows) })
}

/// Whether vipd reaches every limit.
#[must_use]
pub fn reached(rows: &[Figure]) -> bool {
    rows.iter().all(|row| row.is_met() != Some(false))
}

fn shown(value: i64, unit: Unit) -> String {
    let millionths = value as f64 / 1e6;
    match unit {
        Unit::Count => value.to_string(),
        Unit::Nanoseconds => format!("{millionths:.3} ms"),
        Unit::Octets => format!("{millionths:.2} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_of_distances_and_the_whole_of_them_is_the_worst() {
        let values: Vec<i64> =
            (1..=10).map(|value| if value % 2 == 0 { value } else { -value }).collect();
        let ranks = [500, 999, 1000].map(|permille| rank(&values, permille));
        assert_eq!(ranks, [5, 10, 10]);
        assert_eq!(rank(&[], 500), 0);
        assert_eq!(rank(&[-7], 1), 7);
    }

    #[test]
    fn a_limit_is_vipds_alone_and_a_ratio_needs_a_keepalived() {
        let figure = |vipd, keepalived, limit| {
            let (what, keepalived) = ("a thing".to_string(), Some(keepalived));
            Figure { what, unit: Unit::Nanoseconds, vipd, keepalived, limit }
        };
        assert_eq!(figure(3, 100, Limit::AtMost(3)).is_met(), Some(true));
        assert_eq!(figure(4, 100, Limit::AtMost(3)).is_met(), Some(false));
        assert_eq!(figure(3, 100, Limit::AtLeast(3)).is_met(), Some(true));
        assert_eq!(figure(2, 100, Limit::AtLeast(3)).is_met(), Some(false));
        assert_eq!(figure(4, 8, Limit::Ratio(0.5)).is_met(), Some(true));
        assert_eq!(figure(5, 8, Limit::Ratio(0.5)).is_met(), Some(false));
        assert_eq!(figure(0, 0, Limit::Ratio(0.5)).is_met(), Some(false));
        let rows = [figure(4, 100, Limit::None), figure(4, 100, Limit::AtMost(3))];
        assert!(reached(&rows[..1]) && !reached(&rows));
        assert!(table(&rows).lines().last().expect("a line").ends_with(": NOT REACHED"));
        let alone = Figure { keepalived: None, ..figure(3, 0, Limit::AtMost(3)) };
        assert_eq!((alone.ratio(), alone.is_met()), (None, Some(true)));
    }
}
