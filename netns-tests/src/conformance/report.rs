//! What came of a run: a table, one JSON object, one page.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Judged, Outcome, Request, Row};

const OUTCOMES: [Outcome; 5] =
    [Outcome::Pass, Outcome::Fail, Outcome::Deviation, Outcome::NotApplicable, Outcome::NotBuilt];

fn count(judged: &Judged, outcome: Outcome) -> usize {
    judged.rows.iter().filter(|row| row.outcome == outcome).count()
}

/// What there is to say of a row besides its outcome.
fn told(row: &Row) -> String {
    let parts = [row.measured.as_deref(), row.reason.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" | ")
}

/// A line per requirement, and the sums.
pub(super) fn table(request: &Request, judged: &Judged, out: &mut dyn Write) -> io::Result<()> {
    let mut section = "";
    for row in &judged.rows {
        if row.requirement.section != section {
            section = &row.requirement.section;
            writeln!(out, "\n{section}")?;
        }
        let (id, level) = (&row.requirement.id, &row.requirement.level);
        writeln!(out, "  {:<14} {id:<24} {level:<10} {}", row.outcome.name(), told(row))?;
    }
    writeln!(out)?;
    for (id, fact, found) in &judged.known {
        let found = match found {
            Some(true) => "found",
            Some(false) => "NOT found",
            None if request.only.is_empty() => "not looked for",
            None => continue,
        };
        writeln!(out, "  {id:<4} {found:<14} {fact}")?;
    }
    let sums = OUTCOMES.map(|outcome| format!("{} {}", count(judged, outcome), outcome.name()));
    let (target, profile) = (request.target, request.profile.name());
    writeln!(
        out,
        "{target}, {profile}: {} in {:.1} s",
        sums.join(", ").replace('_', " "),
        judged.wall.as_secs_f64()
    )?;
    let verdict = if count(judged, Outcome::Fail) == 0 { "pass" } else { "fail" };
    writeln!(out, "verdict: {verdict}")
}

/// One object.
pub(super) fn json(request: &Request, judged: &Judged, out: &mut dyn Write) -> io::Result<()> {
    let profile = request.profile.name();
    let rows = judged.rows.iter().map(|row| {
        json!({
            "id": row.requirement.id,
            "level": row.requirement.level,
            "profile": profile,
            "result": row.outcome.name(),
            "measured": row.measured,
            "reason": row.reason,
        })
    });
    let known = judged
        .known
        .iter()
        .map(|(id, fact, found)| json!({ "id": id, "fact": fact, "found": found }));
    let object = json!({
        "target": request.target.to_string(),
        "profile": profile,
        "rows": rows.collect::<Vec<_>>(),
        "known": known.collect::<Vec<_>>(),
        "sums": OUTCOMES
            .map(|outcome| (outcome.name().to_owned(), Value::from(count(judged, outcome))))
            .into_iter()
            .collect::<serde_json::Map<_, _>>(),
        "wall_seconds": judged.wall.as_secs_f64(),
    });
    writeln!(out, "{object:#}")
}

const STYLE: &str = "body{font:14px/1.4 sans-serif;margin:2em;max-width:100em}\
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.2em .6em;\
text-align:left;vertical-align:top}.pass{color:#070}.fail{color:#b00;font-weight:bold}\
.deviation{color:#960}.not_applicable,.not_built{color:#777}code{white-space:nowrap}";

/// One page that stands by itself.
pub(super) fn page(request: &Request, judged: &Judged) -> String {
    let title = format!("VRRP conformance of {}, {}", request.target, request.profile.name());
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
         <style>{STYLE}</style><h1>{title}</h1><p>"
    );
    for outcome in OUTCOMES {
        let (name, sum) = (outcome.name(), count(judged, outcome));
        let _ = write!(page, "<span class={name}>{sum} {}</span> ", name.replace('_', " "));
    }
    let mut section = "";
    for row in &judged.rows {
        let requirement = &row.requirement;
        if requirement.section != section {
            let close = if section.is_empty() { "" } else { "</table>" };
            section = &requirement.section;
            let _ = write!(
                page,
                "{close}<h2>{}</h2><table><tr><th>row<th>level<th>requirement<th>result<th>\
                 measured<th>reason",
                escaped(section)
            );
        }
        let name = row.outcome.name();
        let _ = write!(
            page,
            "\n<tr><td><code>{}</code><td>{}<td>{}<td class={name}>{}<td>{}<td>{}",
            escaped(&requirement.id),
            requirement.level,
            escaped(&requirement.text),
            name.replace('_', " "),
            escaped(row.measured.as_deref().unwrap_or_default()),
            escaped(row.reason.as_deref().unwrap_or_default())
        );
    }
    page.push_str("</table>");
    if !judged.known.is_empty() {
        page.push_str("<h2>Known deviations</h2><table><tr><th>number<th>what<th>found");
        for (id, fact, found) in &judged.known {
            let found = found.map_or("not looked for", |found| if found { "yes" } else { "no" });
            let _ = write!(page, "\n<tr><td>{id}<td>{}<td>{found}", escaped(fact));
        }
        page.push_str("</table>");
    }
    page.push_str("</html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
