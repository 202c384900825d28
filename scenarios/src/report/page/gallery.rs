//! A page of many runs that were looked through for something: tables of what was found, and of
//! each run that shows it a timeline, folded away until somebody opens it.
//!
//! It is written from top to bottom, a run at a time, so that one run at most is in memory with all
//! that was seen of it. What stands on it is up to who looked: here is no word of their own.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    BOUND, LEGEND, NO_SCRIPT, Shown, catalogue, data, escaped, foot, intervals, is_told, prose,
    table, top,
};
use crate::judge::PropertyId;
use crate::record::WorldTime;
use crate::report::picture::Picture;

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Words, `code` among them.
    Text(String),
    /// A figure, at the right.
    Figure(String),
    /// A figure that is not as it is to be.
    Wrong(String),
    /// Words about a cell that has nothing.
    Dim(String),
    /// A command.
    Code(String),
    /// Words that lead to the run or section of this name.
    Link(String, String),
}

/// A run of the page.
#[derive(Clone, Copy, Debug)]
pub struct Exhibit<'a> {
    /// Its name on this page, for [`Cell::Link`] and for `page.html#NAME`: letters, digits, dashes.
    pub name: &'a str,
    /// What it shows.
    pub heading: &'a str,
    /// What is to be said of it, a line each.
    pub notes: &'a [String],
    /// The command that plays it again, and those that do more with it.
    pub commands: &'a [String],
    /// Its timeline in words, if there is one.
    pub lines: &'a [String],
    /// What was played and seen.
    pub shown: &'a Shown<'a>,
    /// What the timeline shows at first; all of it if `None`.
    pub view: Option<(WorldTime, WorldTime)>,
    /// It is not folded away.
    pub open: bool,
}

/// A page that is being written.
#[derive(Debug)]
pub struct Gallery {
    page: String,
    timelines: Vec<Value>,
}

impl Gallery {
    /// A page with this title and, below it, these lines.
    #[must_use]
    pub fn new(title: &str, lines: &[String]) -> Self {
        let mut page = String::new();
        top(&mut page, title);
        let _ = writeln!(page, "<header><h1>{}</h1>", escaped(title));
        let mut gallery = Self { page, timelines: Vec::new() };
        gallery.paragraphs(lines);
        let _ = writeln!(gallery.page, "</header>{NO_SCRIPT}{LEGEND}");
        gallery
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.page, "<h2>{}</h2>", escaped(text));
    }

    /// A heading that a link leads to by this name.
    pub fn section(&mut self, name: &str, text: &str) {
        let _ = writeln!(self.page, "<h2 id=\"{}\">{}</h2>", escaped(name), escaped(text));
    }

    /// Lines of text, `code` among them.
    pub fn paragraphs(&mut self, lines: &[String]) {
        for line in lines {
            let _ = writeln!(self.page, "<p>{}</p>", prose(line));
        }
    }

    /// A table with a row of headings.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<Cell>]) {
        let page = &mut self.page;
        let is_figure = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.into_iter().any(|cell| matches!(cell, Cell::Figure(_) | Cell::Wrong(_)))
        };
        page.push_str("<table><tr>");
        for (column, words) in head.iter().enumerate() {
            let class = if is_figure(column) { " class=n" } else { "" };
            let _ = write!(page, "<th{class}>{}", escaped(words));
        }
        for row in rows {
            page.push_str("\n<tr>");
            for cell in row {
                let _ = match cell {
                    Cell::Text(text) => write!(page, "<td>{}", prose(text)),
                    Cell::Figure(text) => write!(page, "<td class=n>{}", escaped(text)),
                    Cell::Wrong(text) => write!(page, "<td class=\"n bad\">{}", escaped(text)),
                    Cell::Code(text) => write!(page, "<td><code>{}</code>", escaped(text)),
                    Cell::Dim(text) => write!(page, "<td class=dim>{}", escaped(text)),
                    Cell::Link(text, to) => {
                        write!(page, "<td><a href=\"#{}\">{}</a>", escaped(to), escaped(text))
                    }
                };
            }
        }
        page.push_str("</table>\n");
    }

    /// A table that is folded away behind a line.
    pub fn folded_table(&mut self, summary: &str, head: &[&str], rows: &[Vec<Cell>]) {
        let _ = write!(self.page, "<details><summary>{}</summary>", escaped(summary));
        self.table(head, rows);
        self.page.push_str("</details>\n");
    }

    /// A property, as the catalogue has it.
    pub fn property(&mut self, id: PropertyId) {
        let (statement, formula) = catalogue(id);
        let _ = writeln!(
            self.page,
            "<p><b>{id}</b> {}; {BOUND}: {}.</p>",
            escaped(statement),
            escaped(formula)
        );
    }

    /// A run.
    pub fn exhibit(&mut self, exhibit: &Exhibit<'_>) {
        let Exhibit { name, heading, notes, commands, lines, shown, view, open } = *exhibit;
        let picture = Picture::of(shown.history, shown.scenario, shown.outcome.end);
        let mut run = data::run(shown, &picture);
        run["view"] = view.map_or(Value::Null, |(from, to)| json!([from.0, to.0]));
        self.timelines.push(Value::from(vec![run]));
        let (id, is_open) = (escaped(name), if open { " open" } else { "" });
        let page = &mut self.page;
        let _ = writeln!(
            page,
            "<details class=exhibit id=\"{id}\"{is_open}><summary>{}</summary>",
            escaped(heading)
        );
        for note in notes {
            let _ = writeln!(page, "<p>{}</p>", prose(note));
        }
        for command in commands {
            let _ = writeln!(page, "<p><code>{}</code></p>", escaped(command));
        }
        page.push_str("<div class=timeline></div>\n");
        if !lines.is_empty() {
            let lines = escaped(&lines.join("\n"));
            let _ =
                writeln!(page, "<details><summary>in words</summary><pre>{lines}</pre></details>");
        }
        page.push_str("<details><summary>verdicts and intervals</summary>");
        let told = shown.outcome.properties.iter().filter(|judged| is_told(judged));
        let told: Vec<_> = told.map(|judged| judged.report.id).collect();
        table(page, std::slice::from_ref(shown), &told);
        intervals(page, shown, &picture, false);
        page.push_str("</details></details>\n");
    }

    /// The page.
    #[must_use]
    pub fn finish(mut self) -> String {
        foot(&mut self.page, self.timelines);
        self.page
    }
}
