//! From statement to reader, by way of the keyword table. What the table does not know, or knows
//! elsewhere, or knows as not built, is reported here and nowhere else.

use vipd_engine::Profile;

use super::director;
use super::draft::Draft;
use super::line::{Line, MOST_FINDINGS};
use crate::Scope;
use crate::diagnostics::{Diagnostic, Diagnostics, Span};
use crate::keywords::{Effect, Form, Keyword, Place, Read, Standing, places_of};
use crate::text::{Statement, Word, did_you_mean};

/// Reads statements that stand in one place, and what is in their braces, into the draft.
pub(crate) fn walk(
    statements: &[Statement],
    place: Place,
    draft: &mut Draft,
    profile: Profile,
    found: &mut Diagnostics,
) {
    for statement in statements {
        if found.len() >= MOST_FINDINGS {
            return;
        }
        match place.find(&statement.keyword().text) {
            Some(row) => known(statement, row, draft, profile, found),
            None => found.push(unknown(statement, place, draft)),
        }
    }
}

fn known(
    statement: &Statement,
    row: &'static Keyword,
    draft: &mut Draft,
    profile: Profile,
    found: &mut Diagnostics,
) {
    let at = statement.keyword().span;
    match row.standing {
        Standing::ActedOn => {
            if let Some(way_out) = row.deprecated {
                let message = format!("`{}` is deprecated", row.name);
                found.push(Diagnostic::warning("deprecated", message).at(at).help(way_out));
            }
        }
        Standing::NotBuilt(_) if draft.scope == Scope::VrrpOnly && row.is_of_virtual_servers() => {
            return;
        }
        Standing::NotBuilt(effect) => return found.push(not_built(row, effect, at)),
        Standing::NoEffect => {
            let message = format!("`{}` has no effect", row.name);
            let none = Diagnostic::warning("no-effect", message).at(at);
            return found.push(with_help(none, row.deprecated.map(str::to_owned)));
        }
        Standing::Dead => {
            let message = format!("keepalived does not know `{}`", row.name);
            let dead = Diagnostic::error("unknown-keyword", message).at(at);
            return found.push(with_help(dead, row.deprecated.map(str::to_owned)));
        }
    }
    if let Some(mistake) = wrong_form(statement, row) {
        let skipped = statement.block.is_none();
        found.push(mistake);
        if skipped {
            return;
        }
    }
    note_origin(statement, row, draft, found);
    let mut line = Line::new(row, statement, 1, profile, found);
    if let Read::Statement(read) = row.read {
        read(draft, &mut line);
        line.finish();
    }
    let skip_block = line.skip_block;
    if let (Form::Block(inside), false) = (row.form, skip_block) {
        walk(statement.children(), inside, draft, profile, found);
        director::end(draft, inside, found);
    }
}

/// Braces where none belong, or none where they do.
fn wrong_form(statement: &Statement, row: &Keyword) -> Option<Diagnostic> {
    let Keyword { name, arguments, .. } = *row;
    match (row.form, &statement.block) {
        (Form::Line, Some(block)) => {
            let message = format!("`{name}` has no block");
            let found = Diagnostic::error("unexpected-block", message).at(block.open);
            Some(found.help(format!("write `{}`", format!("{name} {arguments}").trim_end())))
        }
        (Form::Block(_) | Form::List(_), None) => {
            let message = format!("`{name}` needs a block");
            let found = Diagnostic::error("missing-block", message).at(statement.span());
            Some(found.help(format!("write `{name} {arguments}`")))
        }
        (Form::Line, None) | (Form::Block(_) | Form::List(_), Some(_)) => None,
    }
}

/// Remembers where a value was given; a second one overrides the first.
fn note_origin(
    statement: &Statement,
    row: &'static Keyword,
    draft: &mut Draft,
    found: &mut Diagnostics,
) {
    let Some(origins) = draft.origins(row.place) else { return };
    let value = match (row.form, statement.arguments()) {
        (Form::Line, [first, .., last]) => first.span.to(last.span),
        (Form::Line, [only]) => only.span,
        (Form::Line | Form::Block(_) | Form::List(_), _) => statement.keyword().span,
    };
    let earlier = origins.given.insert(row.sets, value);
    if let Some(earlier) = earlier.filter(|_| !row.many) {
        let message = format!("`{}` overrides what was said before", row.name);
        let twice = Diagnostic::warning("given-twice", message).at(statement.span());
        found.push(twice.also(earlier, "said here first"));
    }
}

/// A keyword that keepalived knows and this version does not do.
fn not_built(row: &Keyword, effect: Effect, at: Span) -> Diagnostic {
    let name = row.name;
    let (found, way_out) = match effect {
        Effect::Mastership => (
            Diagnostic::error(
                "not-built",
                format!("`{name}` is not built yet, and it decides who is master"),
            ),
            "remove it if the pair can do without it",
        ),
        Effect::Kernel => (
            Diagnostic::error(
                "not-built",
                format!("`{name}` is not built yet, and it changes what the kernel has"),
            ),
            "remove it if the machine can do without it",
        ),
        Effect::Aside => {
            (Diagnostic::warning("not-built", format!("`{name}` is not built yet: ignored")), "")
        }
    };
    let help = row.deprecated.map_or(way_out, |newer| newer);
    let help = (!help.is_empty()).then(|| help.to_owned());
    with_help(found.at(at), help)
}

/// One error for a keyword that does not belong here, and for all that is in its braces.
fn unknown(statement: &Statement, place: Place, draft: &Draft) -> Diagnostic {
    let word = statement.keyword();
    let text = word.text.as_str();
    if let Some(elsewhere) = belonging_to(text, place) {
        return elsewhere.at_word(word).label("does not belong here");
    }
    let message = match place {
        Place::Root => format!("there is no block or keyword `{text}`"),
        _ => format!("there is no keyword `{text}` in {}", place.title()),
    };
    let found = Diagnostic::error("unknown-keyword", message).at_word(word);
    let member = draft.instances.iter().any(|instance| instance.value.name == text);
    if place == Place::SyncGroup && member {
        return found.help(format!("members stand in a block: `group {{ {text} }}`"));
    }
    let near = did_you_mean(text, names(place)).map(|near| format!("did you mean `{near}`?"));
    with_help(found, near.or_else(|| near_elsewhere(text)))
}

fn names(place: Place) -> impl Iterator<Item = &'static str> {
    place.rows_and_common().map(|row| row.name)
}

/// A keyword that stands in other places, or is called otherwise here.
fn belonging_to(text: &str, place: Place) -> Option<Diagnostic> {
    let rows: Vec<&Keyword> = places_of(text).collect();
    let first = rows.first()?;
    let titles: Vec<&str> = rows.iter().map(|row| row.place.title()).collect();
    let message = match first.place {
        Place::Root => format!("`{text}` stands outside any block"),
        _ => format!("`{text}` belongs in {}", titles.join(" or ")),
    };
    let found = Diagnostic::error("wrong-block", message);
    let here = place.rows().iter().find(|row| {
        let inherited = rows.iter().any(|other| other.inherits == Some(row.name));
        inherited || row.inherits == Some(text)
    });
    let help = here.map(|row| format!("in {} it is called `{}`", place.title(), row.name));
    Some(with_help(found, help))
}

/// A misspelt keyword of another place.
fn near_elsewhere(text: &str) -> Option<String> {
    let places = Place::ALL.into_iter().filter(|place| !place.is_line());
    let all = places.flat_map(|place| place.rows().iter().map(|row| row.name));
    let near = did_you_mean(text, all)?;
    let place = places_of(near).next()?.place;
    Some(match place {
        Place::Root => format!("did you mean `{near}`? It stands outside any block"),
        _ => format!("did you mean `{near}`? It belongs in {}", place.title()),
    })
}

/// Reads the words that are left of a line by the rows of its place.
pub(super) fn options(
    line: &mut Line<'_>,
    place: Place,
    mut apply: impl FnMut(Read, &mut Line<'_>),
) {
    let list = line.keyword;
    while let Some(word) = line.next() {
        let Some(row) = place.find(&word.text) else {
            let found = unknown_option(word, list, place);
            line.report(found);
            line.rest();
            return;
        };
        if !option(line, row, word, &mut apply) {
            return;
        }
    }
}

/// Reads one word of a line and what belongs to it. Returns whether the line goes on: how many
/// words belong to one that is not built is not known.
pub(super) fn option(
    line: &mut Line<'_>,
    row: &'static Keyword,
    word: &Word,
    apply: &mut impl FnMut(Read, &mut Line<'_>),
) -> bool {
    if let Standing::NotBuilt(effect) = row.standing {
        line.report(not_built(row, effect, word.span));
        line.rest();
        return false;
    }
    if let Some(way_out) = row.deprecated {
        let message = format!("`{}` is deprecated", row.name);
        line.report(Diagnostic::warning("deprecated", message).at_word(word).help(way_out));
    }
    let list = std::mem::replace(&mut line.keyword, row);
    apply(row.read, line);
    line.keyword = list;
    true
}

pub(super) fn unknown_option(word: &Word, list: &Keyword, place: Place) -> Diagnostic {
    let message = format!("`{}` is not an option in a line of `{}`", word.text, list.name);
    let found = Diagnostic::error("unknown-keyword", message).at_word(word);
    let near = did_you_mean(&word.text, names(place)).map(|near| format!("did you mean `{near}`?"));
    let looks_like_a_value = word.text.starts_with(|c: char| c.is_ascii_digit());
    let one_each = looks_like_a_value.then(|| "one value per line".to_owned());
    with_help(found, near.or(one_each))
}

fn with_help(found: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => found.help(help),
        None => found,
    }
}
