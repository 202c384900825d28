//! What `vipsim shrink` kept: every file still ends as it says, and the README tells what it is.

use std::path::{Path, PathBuf};

use vipd_scenarios::runner::{self, RunVerdict};
use vipd_scenarios::scenario::Scenario;
use vipd_sim::configurations::Configurations;
use vipd_sim::suite;
use vipd_sim::world::Simulation;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

#[test]
fn every_regression_ends_as_it_says() {
    let files = suite::files(&folder()).expect("the regressions");
    assert!(files.len() >= 2, "only {} were found", files.len());
    for (name, file) in files {
        let scenario = Scenario::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let (configurations, findings) = Configurations::load(&scenario);
        assert!(!findings.unusable, "{name} names an unusable configuration");
        assert!(!scenario.properties.is_empty(), "{name} names no property");
        let mut world = Simulation::new(&scenario, configurations, scenario.seed);
        let outcome = runner::run(&scenario, &mut world, None, None);
        let remarks = suite::remarks(&scenario, &outcome);
        assert_eq!(outcome.verdict, RunVerdict::Pass, "{name}: {remarks:?}");
    }
}

#[test]
fn every_regression_has_its_row_in_the_readme_and_every_row_its_file() {
    let page = std::fs::read_to_string(folder().join("README.md")).expect("the README");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut rows: Vec<_> = rows.map(|(name, _)| name.to_owned()).collect();
    rows.sort();
    let files = suite::files(&folder()).expect("the regressions").into_iter();
    let files: Vec<_> = files.map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(rows, files);
}
