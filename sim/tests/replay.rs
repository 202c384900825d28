//! `vipsim replay`: an incident that a daemon wrote down becomes a test.
//!
//! The fixture is the segment of director-2 of the seed in the middle of which director-1 is
//! killed, on real namespaces: `daemon/tests/journal_failover.rs` writes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vipd_sim::replay::{Request, replay};
use vipd_sim::run::Ended;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn takeover() -> String {
    let file = root().join("tests/segments/takeover.jsonl");
    std::fs::read_to_string(file).expect("the fixture")
}

/// A file of a test's own with this text.
fn file(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.jsonl"));
    std::fs::write(&file, text).expect("a file");
    file
}

/// What comes of it, what is printed, and what is said on standard error.
fn replayed(file: PathBuf, json: bool) -> (Ended, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = replay(&Request { file, json }, &mut out, &mut err).expect("memory takes all");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended, text(&out), text(&err))
}

fn object(name: &str, text: &str) -> (Ended, Value) {
    let (ended, out, _) = replayed(file(name, text), true);
    (ended, serde_json::from_str(&out).expect("one JSON object"))
}

/// The fixture with one thing in it replaced, and in which line that is.
fn edited(from: &str, to: &str) -> (String, usize) {
    let text = takeover();
    let place = text.find(from).unwrap_or_else(|| panic!("no {from} in the fixture"));
    let line = text[..place].matches('\n').count() + 1;
    (text.replacen(from, to, 1), line)
}

#[test]
fn the_takeover_of_a_real_daemon_is_the_same_octet_for_octet() {
    let (ended, out, err) = replayed(root().join("tests/segments/takeover.jsonl"), false);
    assert_eq!((ended, err.as_str()), (Ended::Passed, ""), "{out}");
    // The advert leaves first, then the address comes, then the kernel has it and it is announced.
    let expected = [
        "send advert v2 vrid 51 prio 99 int 1 s 200.222.0.74 -> 200.222.0.73",
        "VI_1: backup -> master: no master heard for 3.61328125 s",
        "add address 200.222.0.113/32 on ens192",
        "send gratuitous ARP 200.222.0.113 is-at ",
    ];
    let mut lines = out.lines();
    for words in expected {
        assert!(lines.any(|line| line.contains(words)), "{words} in\n{out}");
    }
    assert!(out.contains("\nverdict: same ("), "{out}");
}

/// An incident in production becomes a test by its segment in this folder.
#[test]
fn every_segment_that_is_kept_here_is_replayed() {
    let files = std::fs::read_dir(root().join("tests/segments")).expect("the folder");
    for file in files.map(|entry| entry.expect("an entry").path()) {
        let (ended, out, err) = replayed(file, false);
        let renew = "CONTRIBUTING.md says how one of another form is renewed";
        assert_eq!(ended, Ended::Passed, "{err}{out}{renew}");
    }
}

#[test]
fn one_altered_output_makes_it_differ_and_both_are_shown_with_their_line() {
    let (text, line) = edited(r#""to":"Master""#, r#""to":"Fault""#);
    let (ended, out, err) = replayed(file("altered", &text), false);
    assert_eq!((ended, err.as_str()), (Ended::Failed, ""), "{out}");
    let difference = format!(
        "line {line}, output 2, after: tick\n\
         \x20 recorded: VI_1: backup -> fault: no master heard for 3.61328125 s\n\
         \x20 replayed: VI_1: backup -> master: no master heard for 3.61328125 s\n\
         verdict: differs ("
    );
    assert!(out.contains(&difference), "{out}");
}

#[test]
fn an_output_that_differs_in_nothing_but_its_number_is_shown_as_it_stands_in_the_file() {
    let (text, _) = edited(
        r#"{"Send":{"id":{"instance":0,"number":0}"#,
        r#"{"Send":{"id":{"instance":0,"number":9}"#,
    );
    let (ended, out, _) = replayed(file("number", &text), false);
    assert_eq!(ended, Ended::Failed);
    assert!(out.contains("  recorded: {\"Send\":{\"id\":{\"instance\":0,\"number\":9}"), "{out}");
    assert!(out.contains("  replayed: {\"Send\":{\"id\":{\"instance\":0,\"number\":0}"), "{out}");
}

#[test]
fn an_output_that_is_missing_or_too_much_is_a_difference() {
    let text = takeover();
    let heard = text.lines().nth(1).expect("an advert");
    assert!(heard.ends_with(r#""outputs":[]}"#), "nothing came of it: {heard}");
    let more = heard.replace(r#""outputs":[]"#, r#""outputs":[{"Lie":null}]"#);
    let (ended, object) = object("more", &text.replacen(heard, &more, 1));
    assert_eq!(ended, Ended::Failed);
    let expected = json!({ "text": null, "json": "{\"Lie\":null}" });
    assert_eq!(object["difference"]["recorded"], expected);
    assert_eq!(object["difference"]["replayed"], Value::Null);
    assert_eq!((&object["difference"]["line"], &object["inputs"]), (&json!(2), &json!(1)));
}

#[test]
fn an_input_that_is_left_out_is_noticed_by_what_follows() {
    let text = takeover();
    let came = text.lines().find(|line| line.contains(r#"{"LocalAddress""#)).expect("it came");
    let (ended, object) = object("deaf", &text.replacen(&format!("{came}\n"), "", 1));
    assert_eq!(ended, Ended::Failed, "the kernel's answer brings the announcements now");
    assert_eq!(object["difference"]["recorded"], Value::Null);
    let announced = object["difference"]["replayed"]["text"].as_str().expect("an output");
    assert!(announced.starts_with("send gratuitous ARP 200.222.0.113"), "{announced}");
}

#[test]
fn of_a_file_that_is_cut_what_can_be_read_is_replayed_and_the_rest_is_said() {
    let text = takeover();
    let lines = text.lines().count();
    let (ended, out, err) = replayed(file("cut", &text[..text.len() - 9]), false);
    assert_eq!(ended, Ended::Unusable);
    assert!(
        err.ends_with(&format!(": line {lines} ends in the middle: the file is cut\n")),
        "{err}"
    );
    assert!(out.contains("VI_1: backup -> master"), "{out}");
    let inputs = lines - 2;
    assert!(out.contains(&format!("\nverdict: unusable ({inputs} inputs, ")), "{out}");
    assert!(out.ends_with(" outputs: what could be read is the same)\n"), "{out}");
}

#[test]
fn a_loss_ends_a_segment_and_is_told() {
    let (ended, out, _) = replayed(file("loss", &format!("{}{{\"lost\":7}}\n", takeover())), false);
    assert_eq!(ended, Ended::Passed);
    assert!(out.contains("\n7 inputs after this are in no segment\nverdict: same ("), "{out}");
}

#[test]
fn what_is_no_segment_that_this_program_reads_is_one_message_and_ends_with_2() {
    let text = takeover();
    let other = text.replacen("\"vipd_journal\":1", "\"vipd_journal\":2", 1);
    let engine = text.replacen("\"state\":{\"Backup\"", "\"state\":{\"Asleep\"", 1);
    let cases = [
        ("empty", "", "not a segment of a journal of vipd"),
        ("text", "some words\n", "not a segment of a journal of vipd"),
        ("head", &text[..200], "line 1 ends in the middle: the file is cut"),
        (
            "form",
            &other,
            "form 2, and this program reads form 1: use the one that came with vipd 0.1.0",
        ),
        ("engine", &engine, "line 1 is damaged: unknown variant `Asleep`"),
    ];
    for (name, text, message) in cases {
        let (ended, out, err) = replayed(file(name, text), false);
        assert_eq!((ended, out.as_str()), (Ended::Unusable, ""), "{name}");
        assert!(err.starts_with("error: ") && err.contains(message), "{name}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let (ended, _, err) = replayed(root().join("tests/segments/missing.jsonl"), false);
    assert_eq!(ended, Ended::Unusable);
    assert!(err.contains("missing.jsonl: No such file"), "{err}");
}

#[test]
fn the_object_has_the_documented_keys() {
    let page = include_str!("../../docs/json.md");
    let documented = |heading: &str| -> BTreeSet<String> {
        let section = page.split(&format!("\n{heading}\n")).nth(1).expect("the heading");
        let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
        let cells = rows.take_while(|line| line.starts_with('|'));
        let first = cells.filter_map(|row| row.split('|').nth(1));
        first.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_string)).collect()
    };
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    let (_, same) = object("same", &takeover());
    assert_eq!(keys(&same), documented("# The JSON of `vipsim replay --json`"));
    assert_eq!((&same["verdict"], &same["unusable"]), (&json!("same"), &Value::Null));
    assert_eq!(
        same["timeline"].as_array().map(Vec::len),
        Some(same["outputs"].as_u64().expect("a count") as usize)
    );
    let (text, _) = edited(r#""to":"Master""#, r#""to":"Fault""#);
    let (_, differs) = object("differs", &text);
    assert_eq!(keys(&differs["difference"]), documented("## `difference`"));
    let (_, none) = object("none", "");
    assert_eq!(keys(&none), keys(&same));
    assert_eq!(none["verdict"], "unusable");
}
