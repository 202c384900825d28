//! A rehearsal as one HTML file that needs nothing else: no script, no font, no picture.

use std::fmt::{self, Write as _};

use vipd_scenarios::language::duration_text;

use super::Rehearsal;
use super::advice::Advice;
use super::meter::Measure;
use super::page::{bound, cell, heading, story, symbols, verdict};
use super::stage::Rehearsed;

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; }
td.time, th.time { text-align: right; white-space: nowrap; }
td.beyond { background: #c002; font-weight: bold; }
.none { opacity: .5; }
.advice { border-left: .3rem solid #c80; padding: .2rem .8rem; margin: .6rem 0; background: #c801; }
pre { overflow-x: auto; padding: .6rem; background: #8881; font-size: .85rem; line-height: 1.4; }
code { font-size: .9em; }
.verdict { font-weight: bold; }
@media print { details { display: block; } }
";

/// The page.
#[must_use]
pub fn html(rehearsal: &Rehearsal) -> String {
    let mut page = String::new();
    let title = Escaped(&heading(rehearsal)).to_string();
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <p class=\"verdict\">{}</p>\n",
        Escaped(&verdict(rehearsal))
    );
    page.push_str("<ul>\n");
    for (name, path) in &rehearsal.hosts {
        let (name, path) = (Escaped(name), path.display().to_string());
        let _ = writeln!(page, "<li>{name}: <code>{}</code></li>", Escaped(&path));
    }
    for remark in &rehearsal.remarks {
        let _ = writeln!(page, "<li>{}</li>", Escaped(remark));
    }
    page.push_str("</ul>\n");
    advice(&mut page, &rehearsal.advice);
    summary(&mut page, rehearsal);
    for class in &rehearsal.classes {
        section(&mut page, rehearsal, class);
    }
    let _ = writeln!(
        page,
        "<h2>Symbols</h2>\n<p>{}</p>\n</body></html>",
        Escaped(&symbols(&rehearsal.symbols))
    );
    page
}

fn advice(page: &mut String, advice: &[Advice]) {
    page.push_str("<h2>What the files could do better</h2>\n");
    if advice.is_empty() {
        page.push_str("<p>Nothing in these files is known to do better.</p>\n");
    }
    for Advice { keyword, what, instead, .. } in advice {
        let (keyword, what, instead) = (Escaped(keyword), Escaped(what), Escaped(instead));
        let _ = writeln!(
            page,
            "<p class=\"advice\"><code>{keyword}</code>: {what}.<br>Better: {instead}.</p>"
        );
    }
}

fn summary(page: &mut String, rehearsal: &Rehearsal) {
    page.push_str("<h2>The worst of each class</h2>\n<table><tr><th>Fault class</th>");
    for measure in Measure::ALL {
        let _ = write!(page, "<th class=\"time\">{}</th>", measure.words());
    }
    page.push_str("</tr>\n");
    for class in &rehearsal.classes {
        let (number, name) = (class.class.number(), class.class.name());
        let _ = write!(page, "<tr><td>{number} <a href=\"#{name}\">{name}</a></td>");
        match class.lacks {
            Some(lacks) => {
                let lacks = Escaped(lacks);
                let _ =
                    write!(page, "<td class=\"none\" colspan=\"5\">does not apply: {lacks}</td>");
            }
            None => {
                for worst in &class.worst {
                    let _ = match worst {
                        None => write!(page, "<td class=\"time none\">-</td>"),
                        Some(worst) => {
                            let beyond = if worst.is_beyond() { " beyond" } else { "" };
                            write!(page, "<td class=\"time{beyond}\">{}</td>", cell(worst))
                        }
                    };
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n<p class=\"none\">-: did not happen</p>\n");
}

fn section(page: &mut String, rehearsal: &Rehearsal, class: &Rehearsed) {
    let (number, name) = (class.class.number(), class.class.name());
    let _ = writeln!(page, "<h2 id=\"{name}\">{number} {name}</h2>");
    let _ = write!(page, "<p>{}", Escaped(story(class.class)));
    if let Some(lacks) = class.lacks {
        let _ = writeln!(page, "; does not apply: {}.</p>", Escaped(lacks));
        return;
    }
    let _ = writeln!(page, "; {} runs.</p>", class.runs);
    if class.worst.iter().all(Option::is_none) {
        page.push_str("<p>Nothing of it was felt.</p>\n");
        return;
    }
    page.push_str(
        "<table><tr><th></th><th class=\"time\">worst</th><th>formula</th>\
         <th class=\"time\">seed</th></tr>\n",
    );
    for (measure, worst) in Measure::ALL.into_iter().zip(&class.worst) {
        let Some(worst) = worst else { continue };
        let beyond = if worst.is_beyond() { " beyond" } else { "" };
        let (words, value) = (measure.words(), duration_text(worst.value));
        let (formula, seed) = (bound(worst), worst.seed);
        let _ = writeln!(
            page,
            "<tr><td>{words}</td><td class=\"time{beyond}\">{value}</td><td>{}</td>\
             <td class=\"time\">{seed}</td></tr>",
            Escaped(&formula)
        );
    }
    page.push_str("</table>\n");
    let shown = class.shown().map(|worst| worst.seed);
    let of_class = rehearsal.timelines.iter().filter(|((of, _), _)| *of == class.class);
    for ((_, seed), lines) in of_class {
        let open = if Some(*seed) == shown { " open" } else { "" };
        let replay = rehearsal.replay(class.class, *seed);
        let _ = writeln!(
            page,
            "<details{open}><summary>seed {seed}: <code>{}</code></summary>\n\
             <pre>{}</pre></details>",
            Escaped(&replay),
            Escaped(&lines.join("\n"))
        );
    }
}

/// Text in HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
