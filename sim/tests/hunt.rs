//! `vipsim hunt` and `vipsim merge`: the same result whatever the threads and parts, and what is
//! said of unusable input. `./test` hunts over 15,500 seeds by the program itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_sim::hunt::{Over, Request, Shard, replay};
use vipd_sim::run::Ended;

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)
}

fn vipsim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
    command.args(arguments).output().expect("vipsim runs")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn hunt(name: &str, arguments: &[&str]) -> Output {
    let file = scenario(name).display().to_string();
    let mut all = vec!["hunt", &file];
    all.extend(arguments);
    vipsim(&all)
}

fn object(name: &str, arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let output = hunt(name, &all);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr));
    })
}

/// What may differ between two hunts of the same seeds is left out.
fn plain(mut object: Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    fields.remove("wall_ns");
    fields.remove("jobs");
    object
}

#[test]
fn the_number_of_threads_and_of_parts_changes_nothing() {
    let name = "quiet/pair.toml";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hunt-parts");
    fs::create_dir_all(&folder).expect("a folder");
    let whole = plain(object(name, &["--seeds", "30", "--for", "3m", "--jobs", "1"]));
    let threads = plain(object(name, &["--seeds", "30", "--for", "3m", "--jobs", "3"]));
    assert_eq!(whole, threads);
    let mut files = Vec::new();
    for part in ["2/3", "0/3", "1/3"] {
        let file = folder.join(part.replace('/', "-")).display().to_string();
        hunt(name, &["--seeds", "30", "--for", "3m", "--shard", part, "--out", &file]);
        files.push(file);
    }
    let merge = |files: &[String]| {
        let mut arguments = vec!["merge", "--json"];
        arguments.extend(files.iter().map(String::as_str));
        vipsim(&arguments)
    };
    let merged: Value = serde_json::from_slice(&merge(&files).stdout).expect("an object");
    assert_eq!(whole, plain(merged));
    let twice = merge(&[files[0].clone(), files[0].clone()]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(text(&twice.stderr).contains("the seeds 20 to 29 were added already"));
}

#[test]
fn a_hunt_for_some_classes_draws_no_other_ones() {
    let asked = ["--class", "cut", "--class", "5", "--seeds", "20", "--for", "3m"];
    let tally = object("quiet/pair.toml", &asked);
    let drawn = tally["faults"].as_object().expect("classes").iter();
    let drawn = drawn.filter(|(_, count)| count["faults"].as_u64() > Some(0));
    assert_eq!(drawn.map(|(class, _)| &**class).collect::<Vec<_>>(), ["5", "7"]);
    let words = tally["hunted"]["scenario"].as_str().expect("text");
    assert!(words.ends_with("quiet/pair.toml --class clean-stop --class cut"), "{words}");
}

#[test]
fn the_last_seeds_that_there_are_are_played_and_no_other_ones() {
    let asked = ["--first", "18446744073709551610", "--seeds", "5", "--for", "3m", "--jobs", "2"];
    let tally = object("quiet/pair.toml", &asked);
    let until = 18_446_744_073_709_551_615_u64;
    assert_eq!(tally["seeds"], serde_json::json!([[until - 5, until]]));
    let seeds = |field: &str| tally["properties"]["S1"][field].as_u64().expect("a count");
    let fields = ["held", "violated", "wanting", "not_provided", "not_exercised"];
    assert_eq!(fields.map(seeds).iter().sum::<u64>(), 5);
    assert_eq!(tally["interrupted"], false);
}

/// Why each class that takes two routers is not drawn, by its row in the table of faults.
#[track_caller]
fn draws_nothing_of_two(played: &Output) {
    let said = text(&played.stdout);
    assert_eq!(played.status.code(), Some(0), "{said}{}", text(&played.stderr));
    let classes = [
        "cut",
        "one-way-cut",
        "partial-cut",
        "multicast-lost",
        "adverts-lost",
        "rough-link",
        "mismatch",
        "upgrade",
    ];
    for class in classes {
        let of = |line: &&str| line.split_whitespace().nth(1) == Some(class);
        let row = said.lines().find(of).unwrap_or_else(|| panic!("{class}: {said}"));
        assert!(row.ends_with("no two hosts share a virtual router"), "{row}");
    }
}

#[test]
fn over_a_router_that_is_alone_no_fault_of_two_is_drawn() {
    draws_nothing_of_two(&hunt("dead-man/alone.toml", &["--seeds", "40", "--for", "3m"]));
}

#[test]
fn over_routers_that_share_no_virtual_router_no_fault_of_two_is_drawn() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hunt-apart");
    fs::create_dir_all(&folder).expect("a folder");
    let [lb1, lb2] = pair("hunt-apart", "100");
    let apart = fs::read_to_string(&lb2).expect("a file");
    let apart = apart.replace("_id 51", "_id 52").replace("2.100/", "2.101/");
    fs::write(&lb2, apart).expect("a file");
    let host = |name: &str, last: u8, config: &str| {
        format!(
            "[host.{name}]\n{config}interfaces.eth0 = \
             {{ segment = \"lan\", address = \"192.0.2.{last}/24\" }}\n"
        )
    };
    let config = |file: &str| format!("config = \"{file}\"\n");
    let (a, b) = (host("a", 1, &config(&lb1)), host("b", 2, &config(&lb2)));
    let client = host("c", 9, "");
    for (name, hosts) in [("one.toml", [a.clone(), client]), ("two.toml", [a, b])] {
        let file = folder.join(name).display().to_string();
        let text = format!("title = \"apart\"\nuntil = \"20s\"\n[segment.lan]\n{}", hosts.concat());
        fs::write(&file, text).expect("a scenario");
        draws_nothing_of_two(&vipsim(&["hunt", &file, "--seeds", "40", "--for", "3m"]));
    }
}

#[test]
fn bare_files_of_which_no_two_share_a_virtual_router_are_nothing_to_hunt_over() {
    let [lb1, lb2] = pair("hunt-bare-apart", "100");
    let apart = fs::read_to_string(&lb2).expect("a file").replace("_id 51", "_id 52");
    fs::write(&lb2, apart).expect("a file");
    let empty = lb2.replace("lb2.conf", "empty.conf");
    fs::write(&empty, "").expect("a file");
    for files in [&[&*lb1][..], &[&lb1, &lb2], &[&empty, &lb1]] {
        let output = vipsim(&[&["hunt", "--conf"], files].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{files:?}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        let why = "nobody takes over from anybody, and there is nothing to hunt for; name the \
                   files of routers that share a virtual router";
        assert!(said.contains(why) && output.stdout.is_empty(), "{files:?}: {said}");
    }
}

#[test]
fn a_file_whose_name_begins_like_an_option_is_named_so_that_it_is_none() {
    let [lb1, lb2] = pair("hunt-option", "100");
    let folder = Path::new(&lb1).parent().expect("a folder");
    fs::rename(&lb1, folder.join("-lb1.conf")).expect("it moves");
    fs::rename(&lb2, folder.join("-lb 2.conf")).expect("it moves");
    let words = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
        let output = command.current_dir(folder).args(arguments).output().expect("vipsim runs");
        let said = text(&output.stderr);
        let tally: Value = serde_json::from_slice(&output.stdout).expect(&said);
        tally["hunted"]["scenario"].as_str().expect("text").to_owned()
    };
    let asked = ["hunt", "--seeds", "1", "--for", "3m", "--json"];
    let said = words(&[&asked[..], &["--conf=-lb1.conf", "--conf=-lb 2.conf"]].concat());
    assert_eq!(said, "--conf ./-lb1.conf './-lb 2.conf'");
    let again = ["--conf", "./-lb1.conf", "./-lb 2.conf"];
    assert_eq!(words(&[&asked[..], &again].concat()), said);
}

#[test]
fn a_seed_is_played_again_with_its_timeline() {
    let output = hunt("quiet/pair.toml", &["--for", "3m", "--seed", "7"]);
    let said = text(&output.stdout);
    assert!(said.contains("hunt, seed 7") && said.contains("trace: "), "{said}");
    assert_eq!(said, text(&hunt("quiet/pair.toml", &["--for", "3m", "--seed", "7"]).stdout));
}

/// Days of simulated time for each seed, which end once `stop` says yes. It is asked each hour.
fn stopped(days: u64, stop: fn() -> bool) -> Request {
    Request {
        over: Over::Scenario(scenario("quiet/pair.toml")),
        classes: Vec::new(),
        first: 0,
        seeds: 1,
        shard: Shard::WHOLE,
        jobs: 1,
        length: Duration::from_secs(days * 86_400),
        json: false,
        out: None,
        html: None,
        bar: false,
        colour: Colour::Never,
        stop,
    }
}

#[test]
fn a_seed_that_is_interrupted_prints_what_it_has_and_is_none_without_a_violation() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = replay(&stopped(1, || true), 7, &mut out, &mut err).expect("memory takes it");
    let said = text(&out);
    assert_eq!(ended, Ended::Skipped, "{said}{}", text(&err));
    assert!(said.contains("interrupted at ") && said.contains("backup -> master"), "{said}");
}

#[test]
fn a_hunt_that_is_interrupted_in_the_middle_of_a_long_seed_does_not_play_it_to_its_end() {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let request = stopped(100_000, || ASKED.fetch_add(1, Ordering::Relaxed) > 0);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = vipd_sim::hunt::hunt(&request, &mut out, &mut err).expect("memory takes it");
    let said = text(&out);
    assert_eq!(ended, Ended::Skipped, "{said}{}", text(&err));
    assert!(said.contains("interrupted: this is what was found"), "{said}");
}

/// What a hunt for pauses over a pair wrote, with a violation of S1 that nothing but this test saw.
fn violated(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hunt-violated");
    fs::create_dir_all(&folder).expect("a folder");
    let part = folder.join(name).display().to_string();
    let asked = ["--class", "pause", "--seeds", "2", "--for", "3m", "--out", &part];
    hunt("quiet/pair.toml", &asked);
    let text = fs::read_to_string(&part).expect("a part");
    let mut whole: Value = serde_json::from_str(&text).expect("an object");
    let card = serde_json::json!({
        "seed": 1, "what": "two masters", "value_ns": 2_500_000_000_u64,
        "bound_ns": 1_000_000_000, "faults": [3],
    });
    let property = &mut whole["properties"]["S1"];
    for (field, seeds) in [("held", 1), ("violated", 1), ("not_exercised", 0)] {
        property[field] = seeds.into();
    }
    property["cards"] = Value::from(vec![card]);
    fs::write(&part, whole.to_string()).expect("a part");
    part
}

#[test]
fn a_card_has_its_property_its_bound_and_the_commands_that_go_on_with_its_seed() {
    let part = violated("card.json");
    let merged = vipsim(&["merge", "--json", &part]);
    let merged: Value = serde_json::from_slice(&merged.stdout).expect("an object");
    let card = &merged["properties"]["S1"]["cards"][0];
    let words = |key: &str| card[key].as_str().unwrap_or_else(|| panic!("{key}: {card}"));
    assert_eq!(words("statement"), "two masters that hear each other do not coexist longer than W");
    assert!(words("formula").starts_with("W = A_hi (k+1) + D + 2L"), "{card}");
    let said = text(&vipsim(&["merge", &part]).stdout);
    for key in ["statement", "formula"] {
        assert!(said.contains(words(key)), "{said}");
    }
    for (key, status) in [("replay", 0), ("shrink", 1)] {
        let command = words(key);
        assert!(said.contains(&format!("    {key}  {command}\n")), "{said}");
        let arguments: Vec<_> = command.split(' ').skip(1).collect();
        let ended = vipsim(&arguments);
        // The seed violates S1 for this test alone.
        assert_eq!(ended.status.code(), Some(status), "{command}: {}", text(&ended.stderr));
        let told = text(&ended.stdout) + &text(&ended.stderr);
        assert!(key == "replay" || told.contains("pair does not violate S1"), "{told}");
    }
}

#[test]
fn beside_its_cards_a_property_names_the_next_seeds_that_violated_it_also_of_two_parts() {
    let part = violated("seeds.json");
    let mut whole: Value = serde_json::from_slice(&fs::read(&part).expect("a part")).expect("JSON");
    let other = part.replace("seeds.json", "more-seeds.json");
    for (path, ranges, violating) in [
        (&part, (0, 100), (1..100).step_by(2).collect::<Vec<u64>>()),
        (&other, (100, 200), vec![101]),
    ] {
        whole["seeds"] = serde_json::json!([ranges]);
        let property = &mut whole["properties"]["S1"];
        property["violated"] = violating.len().into();
        property["violating"] = violating.into();
        fs::write(path, whole.to_string()).expect("a part");
    }
    let merged = vipsim(&["merge", "--json", &other, &part]);
    let merged: Value = serde_json::from_slice(&merged.stdout).expect("an object");
    let all: Vec<u64> = (1..102).step_by(2).collect();
    assert_eq!(merged["properties"]["S1"]["violating"], serde_json::json!(all));
    let said = text(&vipsim(&["merge", &other, &part]).stdout);
    let twelve = "and in seed 5, seed 7, seed 9, seed 11, seed 13, seed 15, seed 17, seed 19, seed \
                  21, seed 23, seed 25, seed 27, 37 others";
    assert!(said.contains(&format!("\n  {twelve}\n")), "{said}");
}

#[test]
fn a_merge_names_seeds_that_no_part_has_and_refuses_ranges_that_no_hunt_writes() {
    let part = violated("gap.json");
    let mut whole: Value = serde_json::from_slice(&fs::read(&part).expect("a part")).expect("JSON");
    let other = part.replace("gap.json", "third.json");
    let mut merge = |ranges: Value| {
        whole["seeds"] = ranges;
        fs::write(&other, whole.to_string()).expect("a part");
        vipsim(&["merge", &part, &other])
    };
    let said = text(&merge(serde_json::json!([[100, 200]])).stdout);
    assert!(said.contains("\nseeds 2 to 99 were not played: is a part missing?\n"), "{said}");
    let said = text(&merge(serde_json::json!([[2, 200]])).stdout);
    assert!(!said.contains("not played"), "{said}");
    for damaged in [serde_json::json!([[10, 5]]), serde_json::json!([[20, 30], [10, 20]])] {
        let refused = merge(damaged);
        assert_eq!(refused.status.code(), Some(2));
        let said = text(&refused.stderr);
        assert!(said.contains("it is damaged: its ranges of seeds are not in order"), "{said}");
    }
}

#[test]
fn a_merge_refuses_counts_and_names_that_no_hunt_writes() {
    let part = violated("counts.json");
    let whole: Value = serde_json::from_slice(&fs::read(&part).expect("a part")).expect("JSON");
    let merge = |changes: &[(&str, Value)]| {
        let mut whole = whole.clone();
        for (path, value) in changes {
            let (parent, key) = path.rsplit_once('/').expect("a path");
            whole.pointer_mut(parent).expect(path)[key] = value.clone();
        }
        fs::write(&part, whole.to_string()).expect("a part");
        vipsim(&["merge", &part])
    };
    let most = Value::from(u64::MAX);
    let row = whole["rows"].as_object().and_then(|rows| rows.keys().next()).expect("a row");
    let row = format!("/rows/{row}");
    let fault = serde_json::json!({ "faults": 0, "seeds": 0, "lacks": null });
    for (path, value, why) in [
        ("/jobs", 0.into(), "its `jobs` is 0, of 1 to 1024"),
        ("/jobs", 1025.into(), "its `jobs` is 1025, of 1 to 1024"),
        ("/faults/77", fault, "there is no class of faults 77"),
        ("/pairs/master + nobody", 1.into(), "there is no pair of states \"master + nobody\""),
        ("/rows/V9-1", 1.into(), "there is no row \"V9-1\""),
        ("/properties/S99", whole["properties"]["S1"].clone(), "there is no property \"S99\""),
        (&row, 3.into(), "has more seeds than the 2 that were played"),
        ("/faults/3/seeds", 3.into(), "its class of faults 3 has more seeds than the 2 "),
        ("/properties/S1/held", 2.into(), "its property S1 has more seeds than the 2 "),
        ("/properties/S1/violated", most.clone(), "its property S1 has more seeds than the 2 "),
    ] {
        let refused = merge(&[(path, value)]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{path}: {said}");
        assert!(said.contains("it is damaged: ") && said.contains(why), "{path}: {said}");
    }
    // Nothing bounds these; the sum stays at the most that there is.
    merge(&[("/events", most.clone()), ("/pairs/backup + master", most.clone())]);
    let other = part.replace("counts.json", "more-counts.json");
    fs::write(&other, whole.to_string().replace("\"seeds\":[[0,2]]", "\"seeds\":[[2,4]]"))
        .expect("a part");
    let merged = vipsim(&["merge", "--json", &other, &part]);
    let merged: Value = serde_json::from_slice(&merged.stdout).expect("an object");
    assert_eq!((&merged["events"], &merged["pairs"]["backup + master"]), (&most, &most));
}

#[test]
fn a_property_that_no_seed_puts_to_the_test_is_named_like_a_row_that_is_never_reached() {
    let said = text(&vipsim(&["merge", &violated("never.json")]).stdout);
    let line = |id: &str| said.lines().find(|line| line.starts_with(id)).expect("a line");
    assert!(line("L7 ").ends_with("  NEVER"), "{said}");
    assert!(!line("S1 ").ends_with("NEVER") && !line("S7 ").ends_with("NEVER"), "{said}");
}

#[test]
fn a_part_that_another_program_wrote_is_not_merged_whatever_its_version() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hunt-behaviour");
    fs::create_dir_all(&folder).expect("a folder");
    let [one, other] =
        ["one.json", "other.json"].map(|name| folder.join(name).display().to_string());
    for (shard, part) in [("0/2", &one), ("1/2", &other)] {
        hunt("quiet/pair.toml", &["--seeds", "4", "--for", "3m", "--shard", shard, "--out", part]);
    }
    assert_eq!(vipsim(&["merge", &one, &other]).status.code(), Some(0));
    let read = |part: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(part).expect("a part")).expect("an object")
    };
    let behaviour = read(&one)["hunted"]["behaviour"].as_str().expect("text").to_owned();
    assert_eq!(behaviour.len(), 16, "{behaviour}");
    // As of an older build, and as of one that did not say it yet.
    for before in ["0123456789abcdef", ""] {
        let mut whole = read(&other);
        whole["hunted"]["behaviour"] = before.into();
        fs::write(&other, whole.to_string()).expect("a part");
        let merged = vipsim(&["merge", &one, &other]);
        let said = text(&merged.stderr);
        assert_eq!(merged.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("error: cannot merge {other}: ")), "{said}");
        assert!(said.contains(&format!("the same as that of {one}")), "{said}");
        assert!(said.contains(&behaviour), "{said}");
    }
}

#[test]
fn a_bound_from_below_is_told_apart_from_one_from_above() {
    let part = violated("least.json");
    let mut whole: Value = serde_json::from_slice(&fs::read(&part).expect("a part")).expect("JSON");
    for (id, value) in [("L1", 3_000_000_000_u64), ("L2", 1_000_000_000)] {
        let tightest =
            serde_json::json!({ "value_ns": value, "bound_ns": 2_000_000_000, "seed": 0 });
        whole["properties"][id]["tightest"] = tightest;
    }
    fs::write(&part, whole.to_string()).expect("a part");
    let said = text(&vipsim(&["merge", &part]).stdout);
    let line = |id: &str| {
        let line = said.lines().find(|line| line.starts_with(id)).expect("a line");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("L1 ").contains(" 3 s >= 2 s 66.6%"), "{said}");
    assert!(line("L2 ").contains(" 1 s 2 s 50.0%"), "{said}");
}

/// The words in back quotes in the first column of the first table below this heading of the
/// chapter about hunts in docs/json.md.
fn documented(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
    let text = fs::read_to_string(page).expect("docs/json.md");
    let (_, own) = text.split_once("# The JSON of `vipsim hunt --json`\n").expect("its chapter");
    let (own, _) = own.split_once("\n# ").expect("the next chapter");
    let (_, rest) = own.split_once(heading).expect("the heading");
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let keys = first.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned));
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    keys
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_json_of_a_hunt_and_of_a_merge_has_the_documented_keys() {
    let part = violated("keys.json");
    let merged = vipsim(&["merge", "--json", &part]);
    let merged: Value = serde_json::from_slice(&merged.stdout).expect("an object");
    let asked = ["--class", "pause", "--seeds", "2", "--for", "3m"];
    let hunted = object("quiet/pair.toml", &asked);
    for whole in [&hunted, &merged] {
        assert_eq!(keys(whole), documented(""));
        assert_eq!(keys(&whole["hunted"]), documented("\n## `hunted`\n"));
        for class in 1..=20 {
            let count = &whole["faults"][class.to_string()];
            assert_eq!(keys(count), documented("\n## `faults`\n"));
        }
        let properties = whole["properties"].as_object().expect("an object");
        assert_eq!(properties.len(), 19);
        for count in properties.values() {
            assert_eq!(keys(count), documented("\n## `properties`\n"));
        }
    }
    let card = &merged["properties"]["S1"]["cards"][0];
    assert_eq!(keys(card), documented("\n## `cards`\n"));
    let tightest = ["bound_ns", "seed", "value_ns"];
    let properties = merged["properties"].as_object().expect("an object").values();
    let seen = properties.map(|count| &count["tightest"]).find(|seen| !seen.is_null());
    assert_eq!(keys(seen.expect("a value")), tightest);
    assert_eq!(hunted["hunted"]["form"], 1);
}

/// Two bare files of one pair, and no network.
fn pair(folder: &str, lb2: &str) -> [String; 2] {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).expect("a folder");
    let instance = |priority: &str| {
        format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             virtual_ipaddress {{\n 192.0.2.100/24\n }}\n}}\n"
        )
    };
    [("lb1.conf", "200"), ("lb2.conf", lb2)].map(|(name, priority)| {
        let path = folder.join(name);
        fs::write(&path, instance(priority)).expect("a file");
        path.display().to_string()
    })
}

#[test]
fn bare_files_are_hunted_over_and_what_was_made_up_is_said() {
    let [lb1, lb2] = pair("hunt-bare", "100");
    let files = ["hunt", "--conf", &lb1, &lb2, "--for", "3m"];
    let with = |more: &[&str]| vipsim(&[&files[..], more].concat());
    let hunted = with(&["--seeds", "20", "--json"]);
    let said = text(&hunted.stderr);
    assert!(said.contains("note: lb1 eth0: ") && said.contains("note: lb2 eth0: "), "{said}");
    let tally: Value = serde_json::from_slice(&hunted.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(tally["seeds"], serde_json::json!([[0, 20]]));
    assert_eq!(tally["hunted"]["scenario"], format!("--conf {lb1} {lb2}"));
    assert!(tally["faults"]["3"]["faults"].as_u64() > Some(0), "{tally}");
    // A seed is played again by the words that a card has for it; hosts are called by their files.
    let again = text(&with(&["--seed", "7"]).stdout);
    let of = |host: &str| again.lines().any(|line| line.contains(&format!("  {host} ")));
    assert!(of("lb1") && of("lb2") && of("client"), "{again}");
}

#[test]
fn bare_files_that_contradict_each_other_or_the_options_are_one_clear_message() {
    let [lb1, lb2] = pair("hunt-bare-mistakes", "300");
    let toml = scenario("quiet/pair.toml").display().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&["--conf", &lb1, &lb2], "priority"),
        (&["--conf", &lb1, &lb1], "is given twice"),
        (&["--conf", &lb1, "/nowhere/lb2.conf"], "/nowhere/lb2.conf"),
        (&[&toml, "--conf", &lb1], "cannot be used with"),
        (&[], "<SCENARIO|--conf <FILE>...>"),
    ];
    for (arguments, expected) in cases {
        let output = vipsim(&[&["hunt"], arguments].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected) && output.stdout.is_empty(), "{arguments:?}: {said}");
    }
}

#[test]
fn a_part_of_a_hunt_that_has_no_seed_says_so_and_is_merged_like_any_other() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hunt-no-seed");
    fs::create_dir_all(&folder).expect("a folder");
    let (none, some) = (folder.join("none.json"), folder.join("some.json"));
    let part = |shard: &str, out: &Path| {
        let out = out.display().to_string();
        let asked = ["--shard", shard, "--seeds", "2", "--for", "3m", "--out", &out];
        let output = hunt("quiet/pair.toml", &asked);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let said = part("0/3", &none);
    assert!(said.contains("\n0 seeds: there are more parts than seeds, and this one has none\n"));
    assert!(said.ends_with("\nverdict: nothing was played\n"), "{said}");
    assert!(part("2/3", &some).ends_with("\nverdict: no violation\n"));
    let files = [&none, &some].map(|path| path.display().to_string());
    let merged = vipsim(&["merge", &files[0], &files[1]]);
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    assert!(
        text(&merged.stdout).contains("\n1 seeds (1) of 180s each"),
        "{}",
        text(&merged.stdout)
    );
}

#[test]
fn whatever_cannot_be_used_ends_in_one_clear_message() {
    let cases: [(&[&str], &str); 9] = [
        (&["--for", "1s"], "leaves no time for faults"),
        (&["--shard", "3/3"], "there is no part 3 of 3"),
        (&["--seed", "1", "--seeds", "5"], "cannot be used with"),
        (&["--seeds", "0"], "at least 1 is needed"),
        (&["--jobs", "0"], "0 is not in 1..=1024"),
        (&["--class", "thunder"], "there are 1 host-crash"),
        (&["--class", "flaps"], "flaps does not apply: nothing is tracked"),
        (&["--first", "18446744073709551615"], "a hunt ends at seed 18446744073709551614"),
        (&["--out", "/nowhere/part.json"], "cannot write /nowhere/part.json"),
    ];
    for (arguments, expected) in cases {
        let output = hunt("quiet/pair.toml", arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let missing = hunt("quiet/nobody.toml", &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("cannot read"));
    let foreign = scenario("quiet/pair.toml").display().to_string();
    let merged = vipsim(&["merge", &foreign]);
    assert_eq!(merged.status.code(), Some(2));
    assert!(text(&merged.stderr).contains("not what `vipsim hunt --out` writes"));
}

#[test]
fn every_row_that_a_hunt_reaches_is_in_the_ledger() {
    let ledger = Path::new(env!("CARGO_MANIFEST_DIR")).join("../requirements.toml");
    let ledger = fs::read_to_string(ledger).expect("the ledger");
    for row in vipd_sim::hunt::rows::ROWS {
        assert!(ledger.contains(&format!("id = \"{}\"", row.id)), "{}", row.id);
    }
}
