//! Every scenario file passes in the simulated world, and its timeline is the golden one beside it.
//!
//! A golden timeline records what is. Read it against the RFC before you accept it.

use std::path::{Path, PathBuf};

use vipd_scenarios::judge::Verdict;
use vipd_scenarios::report::summary;
use vipd_scenarios::runner::{self, RunVerdict};
use vipd_scenarios::scenario::Scenario;
use vipd_sim::configurations::Configurations;
use vipd_sim::suite;
use vipd_sim::world::Simulation;

/// Lines of a golden timeline, so that a person can read it.
const MAX_GOLDEN_LINES: usize = 150;

/// Every scenario file, in order.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files = suite::files(&folder).expect("the scenarios");
    assert!(files.len() >= 100, "only {} scenarios were found", files.len());
    files.into_iter().map(|(_, file)| file).collect()
}

/// Plays a file: its timeline, and what is wrong with it if it does not pass, or if a property is
/// violated that it does not name.
fn play(file: &Path) -> (Scenario, String, Option<String>) {
    let scenario = Scenario::load(file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (configurations, findings) = Configurations::load(&scenario);
    assert!(!findings.unusable, "{} names an unusable configuration", file.display());
    let mut world = Simulation::new(&scenario, configurations, scenario.seed);
    let outcome = runner::run(&scenario, &mut world, None, None);
    let surprising = outcome
        .properties
        .iter()
        .any(|judged| judged.expected.is_none() && judged.report.verdict == Verdict::Violated);
    let wrong = (surprising || outcome.verdict != RunVerdict::Pass)
        .then(|| format!("{}\n{}", scenario.name, summary::text(&scenario, &outcome)));
    let timeline = outcome.timeline.text();
    (scenario, timeline, wrong)
}

#[test]
fn every_scenario_passes_and_violates_nothing_that_it_does_not_name() {
    let wrong: Vec<_> = files().iter().filter_map(|file| play(file).2).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_timeline_is_the_golden_one_beside_its_scenario() {
    for file in files() {
        let (scenario, timeline, _) = play(&file);
        let lines = timeline.lines().count();
        assert!(lines <= MAX_GOLDEN_LINES, "{}: {lines} lines", scenario.name);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(file.parent().expect("a family"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_description(scenario.title);
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        settings.bind(|| insta::assert_snapshot!(stem, timeline));
    }
}
