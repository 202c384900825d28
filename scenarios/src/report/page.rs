//! A page of one run, or of several side by side: one file that needs no server and loads nothing.
//!
//! The tables are written here, so that they are there without a script; the timeline is drawn by
//! `page/page.js` from the data that stand in the page (`page/data.rs`). Names in configurations
//! are hostile text: `escaped` and `embedded` are the only ways into the page. A page of many runs
//! that have nothing in common but who looks for something in them is [`gallery`].

mod data;
pub mod gallery;

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;
use vipd_engine::event::Seconds;

use super::history::History;
use super::intervals::{About, Interval};
use super::lines::name;
use super::picture::{Picture, router_name};
use crate::judge::{PropertyId, Verdict};
use crate::runner::{Judged, Outcome};
use crate::scenario::Scenario;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What each property says and how its bound is computed: the tables of the catalogue itself.
const CATALOGUE: &str = include_str!("../../../docs/properties.md");

const LEGEND: &str = "<div id=legend></div>";
/// Leads to what its symbols are.
const BOUND: &str = "<a href=\"#symbols\">bound</a>";
const NO_SCRIPT: &str = "<noscript><p>Timelines are drawn by a script inside this page; the tables \
                         need none.</noscript>";

/// Rows of the table of intervals; what comes after is counted, and drawn all the same.
const MAX_ROWS: usize = 200;

/// A run that a report shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// In which world it was played: `simulated`, `real`.
    pub label: &'a str,
    /// What was played.
    pub scenario: &'a Scenario,
    /// The seed of everything random; `None` in a world that has none.
    pub seed: Option<u64>,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What was seen.
    pub history: &'a History,
}

impl Shown<'_> {
    /// The bound of a property in this run, if it has one and was exercised.
    fn bound(&self, id: Option<PropertyId>) -> Option<Duration> {
        let mut judged = self.outcome.properties.iter();
        judged.find(|judged| Some(judged.report.id) == id)?.report.bound
    }
}

/// The page.
#[must_use]
pub fn html(runs: &[Shown<'_>]) -> String {
    let pictures: Vec<_> = runs
        .iter()
        .map(|shown| Picture::of(shown.history, shown.scenario, shown.outcome.end))
        .collect();
    let mut page = String::new();
    head(&mut page, runs);
    verdicts(&mut page, runs);
    expectations(&mut page, runs);
    let _ = write!(
        page,
        "<section><h2>Timeline</h2><div class=timeline></div>{NO_SCRIPT}{LEGEND}</section>"
    );
    for (shown, picture) in runs.iter().zip(&pictures) {
        intervals(&mut page, shown, picture, runs.len() > 1);
    }
    let data = runs.iter().zip(&pictures).map(|(shown, picture)| data::run(shown, picture));
    foot(&mut page, vec![data.collect()]);
    page
}

/// What the bounds are made of, folded away, the data of each timeline, in their order, and the
/// script that draws them.
fn foot(page: &mut String, timelines: Vec<Value>) {
    page.push_str("<details><summary>symbols of the properties</summary><table id=symbols>");
    for (symbol, meaning) in symbols() {
        let _ = write!(page, "\n<tr><td>{}<td>{}", prose(symbol), prose(&meaning));
    }
    page.push_str("</table></details>\n");
    let data = embedded(&Value::from(timelines));
    let _ = writeln!(
        page,
        "<div id=tip role=status hidden></div>\n<script type=application/json id=data>{data}\
         </script>\n<script>{SCRIPT}</script>\n</html>"
    );
}

/// What every page begins with.
fn top(page: &mut String, title: &str) {
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\">\
         <link rel=icon href=\"data:,\"><title>{title}</title>\n<style>{STYLE}</style>\n",
        title = escaped(title)
    );
}

fn head(page: &mut String, runs: &[Shown<'_>]) {
    let Some(first) = runs.first() else { return };
    let (title, scenario) = (escaped(&first.scenario.name), escaped(&first.scenario.title));
    top(page, &first.scenario.name);
    let _ = write!(page, "<header><h1>{scenario}</h1><p class=name>{title}</p><p>");
    for Shown { label, seed, outcome, history, .. } in runs {
        let verdict = outcome.verdict.name();
        let end = time(Duration::from_nanos(outcome.end.0));
        let _ = write!(
            page,
            "<span class=\"badge {verdict}\" data-run=\"{label}\">{label}: {verdict}</span> {end}",
            label = escaped(label)
        );
        if let Some(seed) = seed {
            let _ = write!(page, ", seed {seed}");
        }
        if outcome.interrupted {
            let _ = write!(page, ", <b>interrupted</b>: judged by what was seen until then");
        }
        if history.left_out() > 0 {
            let _ = write!(page, ", {} observations left out", history.left_out());
        }
        page.push_str(". ");
    }
    page.push_str("</header>\n");
}

/// The verdicts: what was put to the test first, the rest folded away.
fn verdicts(page: &mut String, runs: &[Shown<'_>]) {
    page.push_str("<section><h2>Verdicts</h2>");
    let told = |id: PropertyId| {
        runs.iter().any(|shown| {
            let mut judged = shown.outcome.properties.iter();
            judged.any(|judged| judged.report.id == id && is_told(judged))
        })
    };
    let (shown, rest): (Vec<_>, Vec<_>) = PropertyId::ALL.into_iter().partition(|id| told(*id));
    table(page, runs, &shown);
    if !rest.is_empty() {
        let _ =
            write!(page, "<details><summary>{} more, not put to the test</summary>", rest.len());
        table(page, runs, &rest);
        page.push_str("</details>");
    }
    page.push_str("</section>\n");
}

fn is_told(judged: &Judged) -> bool {
    matches!(judged.report.verdict, Verdict::Held | Verdict::Violated) || judged.expected.is_some()
}

fn table(page: &mut String, runs: &[Shown<'_>], ids: &[PropertyId]) {
    let _ = write!(page, "<table class=verdicts><tr><th>property<th>{BOUND}");
    for shown in runs {
        let label = if runs.len() > 1 { escaped(shown.label) + ": " } else { String::new() };
        let _ = write!(page, "<th>{label}verdict<th class=n>worst<th class=n>bound");
    }
    for id in ids {
        let (statement, formula) = catalogue(*id);
        let (statement, formula) = (escaped(statement), escaped(formula));
        let _ = write!(page, "\n<tr data-property={id}><td><b>{id}</b> {statement}<td>{formula}");
        for shown in runs {
            let mut judged = shown.outcome.properties.iter();
            match judged.find(|judged| judged.report.id == *id) {
                Some(judged) => cells(page, judged),
                None => page.push_str("<td>-<td class=n>-<td class=n>-"),
            }
        }
    }
    page.push_str("</table>");
}

fn cells(page: &mut String, judged: &Judged) {
    let report = &judged.report;
    let verdict = report.verdict.name();
    let _ = write!(page, "<td><span class=\"v {verdict}\">{}</span>", verdict.replace('_', " "));
    if !judged.is_as_expected() {
        let expected = judged.expected.map_or("-", Verdict::name).replace('_', " ");
        let _ = write!(page, " <b class=wrong>expected {expected}</b>");
    }
    if let Some(reason) = &report.reason {
        let _ = write!(page, "<br><small>{}</small>", escaped(reason));
    }
    for duration in [report.worst, report.bound] {
        let text = duration.map_or_else(|| "-".into(), time);
        let _ = write!(page, "<td class=n>{text}");
    }
}

/// Statement and bound of a property, as they stand in the catalogue.
fn catalogue(id: PropertyId) -> (&'static str, &'static str) {
    let start = format!("| {id} | ");
    let row = CATALOGUE.lines().find_map(|line| line.strip_prefix(start.as_str()));
    let mut cells = row.unwrap_or_default().split(" | ");
    (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
}

/// The symbols of the bounds and what they are, as they stand in the catalogue.
fn symbols() -> impl Iterator<Item = (&'static str, String)> {
    let rows = CATALOGUE.lines().skip_while(|line| *line != "## Symbols");
    let rows = rows.skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| "));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let (symbol, meaning) = (cells.next(), cells.next().unwrap_or_default());
        // What it leads to is not on the page.
        (symbol.unwrap_or_default(), meaning.replace(" ([why](#counter-examples))", ""))
    })
}

fn expectations(page: &mut String, runs: &[Shown<'_>]) {
    if runs.iter().all(|shown| shown.outcome.expectations.is_empty()) {
        return;
    }
    page.push_str("<section><h2>Expectations</h2>");
    for shown in runs {
        let all = &shown.outcome.expectations;
        let met = all.iter().filter(|met| met.instead.is_none() && met.not_judged.is_none());
        let label = escaped(shown.label);
        let _ = write!(page, "<p>{label}: {} of {} met", met.count(), all.len());
        for met in all.iter().filter(|met| met.instead.is_some() || met.not_judged.is_some()) {
            let line = escaped(&shown.scenario.expectations[met.index].line(shown.scenario));
            let seen = met.instead.as_deref().map(|instead| format!("seen: {}", escaped(instead)));
            let why = met.not_judged.as_deref().map(|why| format!("not judged: {}", escaped(why)));
            let (seen, why) = (seen.unwrap_or_default(), why.unwrap_or_default());
            let _ = write!(page, "<br><b class=wrong>{line}</b> {seen}{why}");
        }
    }
    page.push_str("</section>\n");
}

fn intervals(page: &mut String, shown: &Shown<'_>, picture: &Picture, several: bool) {
    let label = if several { format!(", {}", escaped(shown.label)) } else { String::new() };
    let _ = write!(page, "<section><h2>Without exactly one master or owner{label}</h2>");
    if picture.intervals.is_empty() {
        page.push_str("<p>Never.</section>\n");
        return;
    }
    page.push_str(
        "<table class=intervals><tr><th>from<th>what<th>of<th>hosts<th class=n>lasted\
         <th class=n>bound<th>by",
    );
    for one in picture.intervals.iter().take(MAX_ROWS) {
        interval(page, shown, one);
    }
    page.push_str("</table>");
    if let Some(more @ 1..) = picture.intervals.len().checked_sub(MAX_ROWS) {
        let _ = write!(page, "<p>... and {more} more, in the timeline.");
    }
    page.push_str("</section>\n");
}

fn interval(page: &mut String, shown: &Shown<'_>, one: &Interval) {
    let about = match one.about {
        About::Router(router) => router_name(&router, shown.history),
        About::Address(address) => address.to_string(),
    };
    let hosts: Vec<_> = one.hosts.iter().map(|host| name(*host, shown.history)).collect();
    let lasted = one.to.since(one.from);
    let bound = shown.bound(one.kind.bounded_by());
    let (class, by) = match bound {
        Some(bound) if lasted > bound => ("beyond", "beyond the bound"),
        Some(_) => ("within", "within"),
        None => ("free", "no bound"),
    };
    let _ = write!(
        page,
        "\n<tr class={class} data-kind={}><td class=n>{} s<td>{}<td>{}<td>{}<td class=n>{}\
         <td class=n>{}<td>{by}",
        one.kind.name(),
        one.from,
        one.kind.text(),
        escaped(&about),
        escaped(&hosts.join(", ")),
        time(lasted),
        bound.map_or_else(|| "-".into(), time),
    );
    if let (Some(_), Some(id)) = (bound, one.kind.bounded_by()) {
        let _ = write!(page, ", {id}");
    }
}

fn time(duration: Duration) -> String {
    format!("{} s", Seconds(duration))
}

/// Text as it may stand between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Words in which backticks are around what is code. One without another is itself.
fn prose(text: &str) -> String {
    let mut parts = text.split('`').map(escaped);
    let mut page = parts.next().unwrap_or_default();
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(words) => page.extend(["<code>", &*code, "</code>", &*words]),
            None => page.extend(["`", &*code]),
        }
    }
    page
}

/// JSON as it may stand inside of a script element: nothing in it can end that, whatever a name is.
fn embedded(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_and_one_alone_is_itself() {
        let prose = |text| prose(text);
        assert_eq!(
            prose("no `dead_man` and no `a<b`"),
            "no <code>dead_man</code> and no <code>a&lt;b</code>"
        );
        assert_eq!(prose("`"), "`");
        assert_eq!(prose("`a` and ` b"), "<code>a</code> and ` b");
        assert_eq!(prose("nothing & nobody"), "nothing &amp; nobody");
    }

    #[test]
    fn every_property_has_its_statement_and_its_bound_from_the_catalogue() {
        for id in PropertyId::ALL {
            let (statement, formula) = catalogue(id);
            assert!(statement.len() > 10 && !formula.is_empty(), "{id}: {statement}, {formula}");
        }
        assert_eq!(catalogue(PropertyId::S2), ("the same for data planes", "W + R"));
    }

    #[test]
    fn every_symbol_of_the_catalogue_is_on_the_page() {
        let all: Vec<_> = symbols().collect();
        for symbol in
            ["`A`", "`M`", "`M_max`", "`D`, `d`", "`L`", "`R`", "`k`", "`E`", "`X`", "`W`"]
        {
            let found = all.iter().find(|(name, _)| *name == symbol);
            let (_, meaning) = found.unwrap_or_else(|| panic!("{symbol}: {all:?}"));
            assert!(!meaning.is_empty() && !meaning.contains("]("), "{symbol}: {meaning}");
        }
        let mut page = String::new();
        foot(&mut page, Vec::new());
        assert!(page.contains("<td><code>W</code><td>how long two masters that hear each other"));
    }

    #[test]
    fn no_name_can_leave_the_script_element_or_an_attribute() {
        let hostile = "</script><!--<script>\"'&\u{2028}";
        let inside = embedded(&json!([hostile]));
        assert!(!inside.contains(['<', '>', '&']), "{inside}");
        assert_eq!(serde_json::from_str::<Value>(&inside).unwrap(), json!([hostile]));
        assert!(!escaped(hostile).contains(['<', '>', '"']));
    }
}
