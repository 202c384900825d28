//! `vipsim suite`: the whole table, whatever the number of threads, and how it ends.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_sim::run::Ended;
use vipd_sim::suite::{Request, suite};

const CONF: &str = "
@a $PRIORITY=200
@b $PRIORITY=100
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority $PRIORITY
    virtual_ipaddress {
        10.0.0.100
    }
}
";

/// A pair whose `b` is expected to take over at this time.
fn scenario(takeover: &str) -> String {
    format!(
        r#"
title = "a pair, its master stopped"
fault_class = [5]
until = "20s"

[segment.lan]

[host.a]
config = "../pair.conf"
interfaces.eth0 = {{ segment = "lan", address = "10.0.0.1/24" }}

[host.b]
config = "../pair.conf"
interfaces.eth0 = {{ segment = "lan", address = "10.0.0.2/24" }}

[[step]]
at = "10s"
stop = "a"

[[expect]]
at = "{takeover}"
host = "b"
enters = "master"
"#
    )
}

/// A folder of its own with two families: `good/one`, `good/two`, `other/three`.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("suite-{name}"));
    for (family, names) in [("good", &["two", "one"][..]), ("other", &["three"])] {
        std::fs::create_dir_all(folder.join(family)).expect("a folder");
        for name in names {
            let file = folder.join(family).join(format!("{name}.toml"));
            std::fs::write(file, scenario("10.609475s")).expect("a scenario");
        }
    }
    std::fs::write(folder.join("pair.conf"), CONF).expect("a configuration");
    folder
}

struct Said {
    ended: Ended,
    out: String,
    err: String,
}

fn run(folder: &Path, pattern: Option<&str>, json: bool, jobs: usize) -> Said {
    let request = Request {
        folder: folder.to_path_buf(),
        also: None,
        pattern: pattern.map(str::to_owned),
        json,
        jobs: NonZeroUsize::new(jobs).expect("at least one"),
        colour: Colour::Never,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = suite(&request, &mut out, &mut err).expect("memory takes everything");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
    Said { ended, out: text(out), err: text(err) }
}

/// The first word of each row.
fn names(table: &str) -> Vec<&str> {
    let words = table.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| word.contains('/')).collect()
}

#[test]
fn the_table_has_the_order_of_the_names_and_is_the_same_for_any_number_of_jobs() {
    let folder = folder("order");
    let one = run(&folder, None, false, 1);
    assert_eq!(one.ended, Ended::Passed, "{}{}", one.out, one.err);
    assert_eq!(names(&one.out), ["good/one", "good/two", "other/three"]);
    assert!(one.out.ends_with("\n3 passed, 0 failed, 0 skipped\n"), "{}", one.out);
    for jobs in [2, 3, 16] {
        assert_eq!(run(&folder, None, false, jobs).out, one.out);
    }
}

#[test]
fn a_pattern_is_a_part_of_a_name() {
    let folder = folder("pattern");
    assert_eq!(names(&run(&folder, Some("good/"), false, 2).out), ["good/one", "good/two"]);
    assert_eq!(names(&run(&folder, Some("r/th"), false, 2).out), ["other/three"]);
}

#[test]
fn a_scenario_that_fails_shows_what_is_not_as_expected_and_ends_with_1() {
    let folder = folder("failing");
    std::fs::write(folder.join("good/two.toml"), scenario("11s")).expect("a scenario");
    let said = run(&folder, None, false, 2);
    assert_eq!(said.ended.status(), 1);
    let row = said.out.lines().find(|line| line.starts_with("good/two")).expect("its row");
    assert!(row.contains("fail") && row.contains("not met") && row.contains("b"), "{row}");
    assert!(said.out.ends_with("\n2 passed, 1 failed, 0 skipped\n"), "{}", said.out);
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_played() {
    let folder = folder("unusable");
    std::fs::write(folder.join("good/two.toml"), "titel = 1\n").expect("a file");
    let said = run(&folder, None, false, 2);
    assert_eq!(said.ended.status(), 2);
    assert!(said.err.contains("titel"), "{}", said.err);
    assert!(said.out.ends_with("\n2 passed, 0 failed, 0 skipped, 1 unusable\n"), "{}", said.out);
}

#[test]
fn where_nothing_matches_the_message_names_the_pattern_and_it_ends_with_2() {
    let folder = folder("nothing");
    let said = run(&folder, Some("no-such-name"), false, 2);
    assert_eq!(said.ended.status(), 2);
    assert!(said.err.contains("no-such-name") && said.out.is_empty(), "{}", said.err);
    let said = run(&folder.join("missing"), None, false, 2);
    assert_eq!(said.ended.status(), 2);
    assert!(said.err.contains("missing") && said.out.is_empty(), "{}", said.err);
}

/// The words in back quotes in the first column of the table that follows `heading`.
fn documented(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let text = std::fs::read_to_string(page.join("docs/json.md")).expect("docs/json.md");
    let mut lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let table = lines.by_ref().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = table.take_while(|line| line.starts_with('|'));
    let mut keys: Vec<_> =
        rows.filter_map(|row| row.split('`').nth(1)).map(str::to_string).collect();
    keys.sort();
    keys
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_json_has_the_documented_keys_for_every_verdict() {
    let folder = folder("json");
    std::fs::write(folder.join("good/two.toml"), "titel = 1\n").expect("a file");
    let said = run(&folder, None, true, 2);
    let whole: Value = serde_json::from_str(&said.out).expect("one JSON object");
    assert_eq!(keys(&whole), documented("# The JSON of `vipsim suite --json`"));
    let scenarios = whole["scenarios"].as_array().expect("an array");
    let verdicts: Vec<_> = scenarios.iter().filter_map(|row| row["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["pass", "unusable", "pass"]);
    for row in scenarios {
        assert_eq!(keys(row), documented("## `scenarios`"));
    }
}
