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
