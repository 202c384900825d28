//! What is wrong with a ledger, one line per mistake. Whether a proof proves what it says is for
//! its reader to judge; whether it is there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use vipd_engine::Profile;

use super::row::{Ledger, Proof, Ring, Row};
use super::source::Source;

const LEVELS: [&str; 6] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "info"];

/// Every row has its fields, and each id stands once.
pub fn rows(ledger: &Ledger) -> Vec<String> {
    let mut broken = Vec::new();
    let mut ids = BTreeSet::new();
    for row in &ledger.rows {
        let id = &row.id;
        if !ids.insert(id) {
            broken.push(format!("{id}: stands twice"));
        }
        if [&row.section, &row.source, &row.requirement].iter().any(|field| field.is_empty()) {
            broken.push(format!("{id}: section, source or requirement is missing"));
        }
        if !LEVELS.contains(&row.level.as_str()) {
            broken.push(format!("{id}: no level is called {}", row.level));
        }
        broken.extend(profiles(row));
    }
    broken
}

fn profiles(row: &Row) -> Vec<String> {
    let id = &row.id;
    let known = Profile::ALL.map(Profile::name);
    let unknown = row.profiles.iter().filter(|profile| !known.contains(&profile.as_str()));
    let mut broken: Vec<_> =
        unknown.map(|profile| format!("{id}: no profile is called {profile}")).collect();
    if !broken.is_empty() || !row.is_must() {
        return broken;
    }
    if !row.holds_in(Profile::DropIn) && row.deviation.is_none() {
        broken.push(format!("{id}: drop-in leaves it and no deviation says why"));
    }
    let left: Vec<_> = row.comes_from().filter(|profile| !row.holds_in(*profile)).collect();
    match &row.exception {
        Some(_) if left.is_empty() => {
            broken.push(format!("{id}: an exception, and no profile leaves it"));
        }
        Some(_) => {}
        None => broken.extend(left.iter().map(|profile| {
            format!("{id}: {} leaves it and no exception says why", profile.name())
        })),
    }
    broken
}

/// A deviation says what restores the RFC: a profile, a keyword that `keywords.md` has, or that
/// nothing does.
pub fn deviations(ledger: &Ledger, root: &Path) -> Vec<String> {
    let page = fs::read_to_string(root.join("docs/keywords.md")).expect("the keywords");
    let restores = |word: &str| {
        Profile::ALL.iter().any(|profile| profile.name() == word)
            || page.contains(&format!("| `{word}` |"))
    };
    let rows = ledger.rows.iter().filter_map(|row| Some((&row.id, row.deviation.as_ref()?)));
    let vague = rows.filter(|(_, why)| {
        let quoted = why.split('`').skip(1).step_by(2);
        let mut words = quoted.filter_map(|quoted| quoted.split(' ').next());
        !words.any(restores) && !why.contains("nothing restores it")
    });
    vague
        .map(|(id, _)| format!("{id}: its deviation names nothing that restores the RFC"))
        .collect()
}

/// What is optional in the RFCs, and left out whole.
const OPTIONAL: [&str; 1] = ["the optional v2 and v3 coexistence mode is not built"];

/// In the profile of an RFC every MUST of it has a proof in each ring that needs no real kernel.
pub fn unproved(ledger: &Ledger) -> Vec<String> {
    let must = ledger.rows.iter().filter(|row| row.is_must());
    let broken = must.flat_map(|row| {
        let rfcs = Profile::ALL.into_iter().filter(|profile| *profile != Profile::DropIn);
        let held: Vec<_> =
            rfcs.filter(|profile| row.holds_in(*profile)).map(Profile::name).collect();
        row.in_memory().filter_map(move |(ring, proof)| match proof {
            Proof::NotBuilt(reason) if !held.is_empty() && !OPTIONAL.contains(&reason.as_str()) => {
                let (id, held, ring) = (&row.id, held.join(", "), ring.name());
                Some(format!("{id}: a MUST of {held} without a proof in {ring}"))
            }
            _ => None,
        })
    });
    broken.collect()
}

/// Every proof that is named is there, and what is not built has its reason.
pub fn proofs(ledger: &Ledger, root: &Path) -> Vec<String> {
    let entries = ledger.rows.iter().flat_map(|row| {
        let proofs = Ring::ALL.into_iter().filter_map(|ring| row.proof_text(ring));
        proofs.map(|text| (&row.id, text))
    });
    let broken = entries.filter_map(|(id, text)| {
        let mistake = match Proof::parse(text) {
            Proof::Test { package, file, test, case } => {
                missing_test(root, &package, &file, &test, case.as_deref())
            }
            Proof::Scenario { file, case } => missing_scenario(root, &file, case.as_deref()),
            Proof::Experiment(name) => {
                name.is_empty().then(|| "an experiment without a name".to_owned())
            }
            Proof::NotBuilt(reason) => {
                reason.is_empty().then(|| "not built without a reason".to_owned())
            }
            Proof::NotApplicable(reason) => {
                reason.is_empty().then(|| "not applicable without a reason".to_owned())
            }
            Proof::Unreadable => Some(format!("`{text}` names no proof")),
        };
        mistake.map(|mistake| format!("{id}: {mistake}"))
    });
    broken.collect()
}

fn missing_test(
    root: &Path,
    package: &str,
    file: &str,
    test: &str,
    case: Option<&str>,
) -> Option<String> {
    let places = ["tests", "src"].map(|folder| format!("{package}/{folder}/{file}.rs"));
    let Some(place) = places.iter().find(|place| root.join(place).is_file()) else {
        return Some(format!("no file {} or {}", places[0], places[1]));
    };
    let text = fs::read_to_string(root.join(place)).expect("readable text");
    let source = Source::new(&text);
    if source.test(test).is_none() {
        return Some(format!("{place} has no test {test}"));
    }
    let case = case.filter(|case| !source.has_case(test, case))?;
    Some(format!("{place}: {test} has no case {case}"))
}

fn missing_scenario(root: &Path, file: &str, case: Option<&str>) -> Option<String> {
    let Ok(text) = fs::read_to_string(root.join(file)) else {
        return Some(format!("no file {file}"));
    };
    let case = case.filter(|case| !text.contains(case))?;
    Some(format!("{file} has no case {case}"))
}

/// A proof belongs to one row. A table has one case per row, and the case makes it another proof;
/// an experiment has a judge per row.
pub fn shared_proofs(ledger: &Ledger) -> Vec<String> {
    let mut owners = BTreeMap::new();
    let mut broken = Vec::new();
    for row in &ledger.rows {
        let own = |proof: &Proof| proof.is_built() && !matches!(proof, Proof::Experiment(_));
        let built = |ring| row.proof(ring).is_some_and(|proof| own(&proof));
        let texts = Ring::ALL.into_iter().filter(|ring| built(*ring));
        for text in texts.filter_map(|ring| row.proof_text(ring)) {
            if let Some(owner) = owners.insert(text, &row.id) {
                broken.push(format!("{}: {text} is already the proof of {owner}", row.id));
            }
        }
    }
    broken
}

/// The code of a requirement is `file::name`, or a file.
pub fn code(ledger: &Ledger, root: &Path) -> Vec<String> {
    let rows = ledger.rows.iter().filter_map(|row| Some((&row.id, row.code.as_deref()?)));
    let broken = rows.filter_map(|(id, code)| {
        let (file, name) = code.split_once("::").unwrap_or((code, ""));
        let Ok(text) = fs::read_to_string(root.join(file)) else {
            return Some(format!("{id}: no file {file}"));
        };
        (!text.contains(name)).then(|| format!("{id}: {file} has no {name}"))
    });
    broken.collect()
}
