//! The JSON of a run has the keys that docs/json.md lists, and no others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use vipd_config::diagnostics::Colour;
use vipd_scenarios::report::files::Files;
use vipd_sim::run::{Ended, Request, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// Runs a scenario for as long as `until` and returns its object.
fn object(scenario: &str, until: Option<Duration>) -> Value {
    object_unless(scenario, until, || false)
}

/// The same, with Ctrl-C pressed when `stop` says so.
fn object_unless(scenario: &str, until: Option<Duration>, stop: fn() -> bool) -> Value {
    let file = root().join("scenarios").join(scenario);
    let (seed, capture, colour) = (None, None, Colour::Never);
    let files = Files::default();
    let request = Request { file, seed, json: true, capture, files, until, colour, stop };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run(&request, &mut out, &mut err).expect("memory takes everything");
    assert_ne!(ended, Ended::Unusable, "{}", String::from_utf8_lossy(&err));
    serde_json::from_slice(&out).expect("one JSON object")
}

/// The words in back quotes in the first column of the table that follows `heading`.
fn documented(heading: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/json.md")).expect("docs/json.md");
    let mut lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let table = lines.by_ref().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = table.take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1)).map(str::to_string);
    first
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>())
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn a_run_has_the_documented_keys() {
    let whole = object("failover/pkill-master.toml", None);
    assert_eq!(keys(&whole), documented("# The JSON of `vipsim run --json`"));
    let properties = whole["properties"].as_array().expect("an array");
    assert_eq!(properties.len(), 19);
    for property in properties {
        assert_eq!(keys(property), documented("## `properties`"));
    }
}

#[test]
fn every_entry_of_the_seeds_timeline_is_documented() {
    let known = documented("## `timeline`");
    let whole = object("failover/pkill-master.toml", None);
    for entry in whole["timeline"].as_array().expect("an array") {
        let what = entry["what"].as_str().expect("text");
        assert!(known.contains(what), "{what} is not in docs/json.md");
        assert!(entry["at_ns"].is_u64() && entry.get("host").is_some(), "{entry}");
    }
}

#[test]
fn the_seed_prints_what_the_reader_proposes_as_a_note_once_per_file() {
    let whole = object("failover/pkill-master.toml", Some(Duration::from_secs(1)));
    let notes = whole["notes"].as_array().expect("an array");
    let sentence = "`check_unicast_src` accepts those of its peers only";
    let about =
        notes.iter().filter(|note| note.as_str().is_some_and(|note| note.contains(sentence)));
    assert_eq!(about.count(), 2, "{notes:?}");
}

#[test]
fn an_interrupted_run_tells_what_it_found_until_then() {
    let day = Some(Duration::from_secs(86_400));
    let told = object_unless("quiet/pair.toml", day, || true);
    assert_eq!((&told["interrupted"], &told["simulated_seconds"]), (&json!(true), &json!(3600.0)));
    let hour = object("quiet/pair.toml", Some(Duration::from_secs(3600)));
    assert_eq!(hour["interrupted"], false);
    for key in ["trace", "timeline", "properties"] {
        assert_eq!(told[key], hour[key], "{key}");
    }
}

#[test]
fn state_changes_carry_the_four_names() {
    let whole = object("failover/pkill-master.toml", None);
    let timeline = whole["timeline"].as_array().expect("an array");
    let changes = timeline.iter().filter(|entry| entry["what"] == "state");
    let told: Vec<_> = changes
        .map(|entry| format!("{} {} {}", entry["host"], entry["from"], entry["to"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""director-1" "init" "backup""#,
            r#""director-2" "init" "backup""#,
            r#""director-1" "backup" "master""#,
            r#""director-1" "master" "init""#,
            r#""director-2" "backup" "master""#,
            r#""director-1" "init" "backup""#,
            r#""director-1" "backup" "master""#,
            r#""director-2" "master" "backup""#,
        ]
    );
}
