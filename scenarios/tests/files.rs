//! Every scenario file of this repository is read without a mistake.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vipd_scenarios::scenario::Scenario;

fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry is there").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.insert(path);
        }
    }
}

#[test]
fn every_scenario_file_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    files(root, &mut found);
    found.remove(&root.join("Cargo.toml"));
    let mut names = BTreeSet::new();
    for path in &found {
        let scenario = Scenario::load(path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!scenario.expectations.is_empty(), "{} expects nothing", scenario.name);
        assert!(names.insert(scenario.name.clone()), "two are called {}", scenario.name);
    }
    assert!(names.contains("failover/pkill-master"));
}

/// Everything but the places in the file.
fn content(scenario: &Scenario) -> String {
    let steps = scenario.steps.iter().map(|timed| (timed.at, &timed.step));
    let expectations = scenario.expectations.iter().map(|one| (one.window, &one.expect));
    let (steps, expectations): (Vec<_>, Vec<_>) = (steps.collect(), expectations.collect());
    let rest = Scenario { steps: Vec::new(), expectations: Vec::new(), ..scenario.clone() };
    format!("{rest:#?}{steps:#?}{expectations:#?}")
}

#[test]
fn every_scenario_file_is_written_and_read_back_as_the_same_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    files(root, &mut found);
    found.remove(&root.join("Cargo.toml"));
    assert!(found.len() >= 100);
    for path in &found {
        let scenario = Scenario::load(path).unwrap_or_else(|error| panic!("{error}"));
        let text = scenario.to_toml(path.parent().expect("a folder"));
        let again = Scenario::parse(path, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(content(&again), content(&scenario), "{}", scenario.name);
    }
}
