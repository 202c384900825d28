//! `vipsim merge`: adds what the parts of a hunt wrote, and prints it as one.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use vipd_scenarios::judge::PropertyId;

use super::MOST_JOBS;
use super::rows::ROWS;
use super::tally::{FORM, PANIC, Tally, all_pairs, pair_name};
use crate::faults::FaultClass;
use crate::files::NamedFiles;
use crate::run::Ended;

/// Octets of one file that are read.
const LONGEST: u64 = 16 << 20;

/// What to add and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What `vipsim hunt --out` wrote.
    pub files: Vec<PathBuf>,
    /// One JSON object instead of tables. It can be merged again.
    pub json: bool,
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn merge(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let parts = request.files.iter().map(PathBuf::as_path);
    if let Err(why) = NamedFiles::default().reads("the part", parts).check() {
        writeln!(err, "error: {why}")?;
        return Ok(Ended::Unusable);
    }
    let mut all: Option<Tally> = None;
    for file in &request.files {
        let tally = match read(file) {
            Ok(tally) => tally,
            Err(why) => return unusable(file, &why, err),
        };
        match &mut all {
            None => all = Some(tally),
            Some(all) => {
                if all.hunted.is_of_another_program(&tally.hunted) {
                    let first = request.files[0].display();
                    let why = format!(
                        "the build that wrote it does not do the same as that of {first}: their \
                         `behaviour` is \"{}\" and \"{}\"; hunt over the seeds of one of them anew",
                        tally.hunted.behaviour, all.hunted.behaviour
                    );
                    return unusable(file, &why, err);
                }
                if let Err(why) = all.merge(tally) {
                    return unusable(file, &why, err);
                }
            }
        }
    }
    match all {
        Some(all) => super::print(&all, request.json, out),
        None => {
            writeln!(err, "error: nothing to merge: name what `vipsim hunt --out` wrote")?;
            Ok(Ended::Unusable)
        }
    }
}

fn read(path: &Path) -> Result<Tally, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let text = io::read_to_string(BufReader::new(file).take(LONGEST));
    let text = text.map_err(|error| error.to_string())?;
    // A form that is not ours is said to be so, whatever else it has.
    let form = serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| format!("it is not what `vipsim hunt --out` writes: {error}"))?;
    let form = form.pointer("/hunted/form").and_then(serde_json::Value::as_u64);
    match form {
        Some(form) if form == u64::from(FORM) => {}
        Some(form) => return Err(format!("its form is {form}, this version reads {FORM}")),
        None => return Err("it is not what `vipsim hunt --out` writes".to_owned()),
    }
    let tally: Tally =
        serde_json::from_str(&text).map_err(|error| format!("it is damaged: {error}"))?;
    match damage(&tally) {
        Some(damage) => Err(format!("it is damaged: {damage}")),
        None => Ok(tally),
    }
}

/// What no hunt writes.
fn damage(tally: &Tally) -> Option<String> {
    if !tally.is_in_order() {
        return Some("its ranges of seeds are not in order".to_owned());
    }
    if !(1..=MOST_JOBS).contains(&tally.jobs) {
        return Some(format!("its `jobs` is {}, of 1 to {MOST_JOBS}", tally.jobs));
    }
    unknown(tally).or_else(|| too_many(tally))
}

/// The first name that this version does not know, or misses.
fn unknown(tally: &Tally) -> Option<String> {
    let is_class = |number: u8| FaultClass::from_number(number).is_some();
    let cards = tally.properties.values().flat_map(|count| &count.cards);
    let mut classes = tally.faults.keys().chain(cards.flat_map(|card| &card.faults));
    if let Some(class) = classes.find(|class| !is_class(**class)) {
        return Some(format!("there is no class of faults {class}"));
    }
    let missing = |class: &FaultClass| !tally.faults.contains_key(&class.number());
    if let Some(class) = FaultClass::ALL.into_iter().find(missing) {
        return Some(format!("the class of faults {} is missing", class.name()));
    }
    // Two that are gone together are counted where it happens, and missed nowhere.
    let pairs = all_pairs().into_iter().chain([(None, None)]);
    let pairs: Vec<_> = pairs.map(pair_name).collect();
    if let Some(pair) = tally.pairs.keys().find(|pair| !pairs.contains(pair)) {
        return Some(format!("there is no pair of states {pair:?}"));
    }
    if let Some(row) = tally.rows.keys().find(|id| ROWS.iter().all(|row| row.id != **id)) {
        return Some(format!("there is no row {row:?}"));
    }
    let is_property =
        |id: &str| id == PANIC || PropertyId::ALL.into_iter().any(|known| known.to_string() == id);
    let property = tally.properties.keys().find(|id| !is_property(id))?;
    Some(format!("there is no property {property:?}"))
}

/// The first count of seeds that is of more seeds than were played.
fn too_many(tally: &Tally) -> Option<String> {
    let faults = tally
        .faults
        .iter()
        .map(|(class, count)| (format!("class of faults {class}"), Some(count.seeds)));
    let rows = tally.rows.iter().map(|(row, seeds)| (format!("row {row}"), Some(*seeds)));
    let properties =
        tally.properties.iter().map(|(id, count)| (format!("property {id}"), count.seeds()));
    let played = tally.played();
    let mut all = faults.chain(rows).chain(properties);
    let (what, _) = all.find(|(_, seeds)| seeds.is_none_or(|seeds| seeds > played))?;
    Some(format!("its {what} has more seeds than the {played} that were played"))
}

fn unusable(path: &Path, why: &str, err: &mut dyn Write) -> io::Result<Ended> {
    writeln!(err, "error: cannot merge {}: {why}", path.display())?;
    Ok(Ended::Unusable)
}
