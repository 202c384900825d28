//! What is not compared between the simulation and reality: little, and each with its reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use vipd_netns_tests::skips::SKIPS;
use vipd_netns_tests::steps;
use vipd_scenarios::scenario::Scenario;
use vipd_sim::suite;

fn scenarios() -> Vec<Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let files = suite::files(&root.join("scenarios")).expect("the folder is there");
    let load = |(_, file): (_, std::path::PathBuf)| Scenario::load(&file).expect("it is usable");
    files.into_iter().map(load).collect()
}

#[test]
fn at_most_a_quarter_of_all_scenarios_is_not_compared() {
    let all = scenarios();
    let skipped = all.iter().filter(|scenario| {
        !steps::lacking(scenario, &BTreeMap::new()).is_empty()
            || SKIPS.iter().any(|(name, _)| *name == scenario.name)
    });
    let skipped = skipped.count();
    assert!(skipped * 4 <= all.len(), "{skipped} of {}", all.len());
}

#[test]
fn every_skip_names_a_scenario_that_could_be_played() {
    let all = scenarios();
    for (name, _) in SKIPS {
        let named = all.iter().find(|scenario| scenario.name == name);
        let named = named.unwrap_or_else(|| panic!("there is no scenario {name}"));
        assert!(
            steps::lacking(named, &BTreeMap::new()).is_empty(),
            "{name} lacks a step: the entry is unused"
        );
    }
}

#[test]
fn a_skip_is_told_by_the_exit_status_also_where_nobody_reads_why() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/clock/drift.toml");
    let run = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_viplab"));
        command.args(["run", file, "--kernel", "host"]);
        command.stdout(out).stderr(Stdio::piped()).output().expect("viplab runs")
    };
    let read = run(Stdio::piped());
    assert!(String::from_utf8_lossy(&read.stdout).contains("clock_drift"), "{read:?}");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let unread = run(writer.into());
    assert_eq!((read.status.code(), unread.status.code()), (Some(3), Some(3)), "{unread:?}");
}
