//! The commands that need no privilege: `vipd check`, `vipd config`, and the help.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn vipd(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_vipd");
    Command::new(program).args(arguments).output().expect("it was built")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn seed(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("scenarios/seed").join(name).display().to_string()
}

fn file_of_ours(name: &str, content: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, content).expect("a file of ours");
    file
}

#[test]
fn check_ends_with_0_for_a_fine_file_and_1_for_one_with_warnings() {
    let fine = vipd(&["check", &seed("director-2.conf")]);
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine.stderr));
    let both = vipd(&["check", &seed("director-1.conf"), &seed("director-2.conf")]);
    assert_eq!(both.status.code(), Some(1));
    let said = text(&both.stderr);
    assert!(said.contains("`state MASTER` has no effect below 255"), "{said}");
    assert_eq!(text(&both.stdout).lines().count(), 2, "{}", text(&both.stdout));
}

#[test]
fn check_ends_with_2_for_an_unusable_file_and_says_every_mistake_in_it() {
    let broken =
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 256\n priority 300\n}\n";
    let file = file_of_ours("broken.conf", broken);
    let checked = vipd(&["check", file.to_str().expect("plain letters")]);
    assert_eq!(checked.status.code(), Some(2));
    let said = text(&checked.stderr);
    for place in ["broken.conf:3:", "broken.conf:4:"] {
        assert!(said.contains(place), "{place} is not named in\n{said}");
    }
    let missing = vipd(&["check", "no-such-file.conf"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("no-such-file.conf"), "{}", text(&missing.stderr));
}

#[test]
fn a_result_that_nobody_reads_to_its_end_has_the_exit_status_of_one_that_is_read() {
    for closes_both in [false, true] {
        let closed = || {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            writer
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_vipd"));
        command.args(["check", &seed("director-1.conf"), &seed("director-2.conf")]);
        command.stdout(closed()).stderr(Stdio::piped());
        if closes_both {
            command.stderr(closed());
        }
        let checked = command.output().expect("it was built");
        assert_eq!(checked.status.code(), Some(1), "{closes_both}");
        let said = text(&checked.stderr);
        assert_eq!(said.contains("`state MASTER` has no effect"), !closes_both, "{said}");
    }
}

#[test]
fn config_prints_lines_or_one_json_object_with_the_same_values() {
    let file = seed("director-2.conf");
    let lines = vipd(&["config", &file]);
    assert_eq!(lines.status.code(), Some(0));
    let priority = "vrrp_instance VI_1 / priority = 99  # ";
    assert!(text(&lines.stdout).lines().any(|line| line.starts_with(priority)));
    let json = vipd(&["config", &file, "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one object");
    assert_eq!(value["vrrp_instance"][0]["priority"]["value"], 99);
}

#[test]
fn arguments_that_make_no_sense_end_with_2_and_the_help_shows_examples_and_exit_statuses() {
    assert_eq!(vipd(&["check"]).status.code(), Some(2));
    assert_eq!(vipd(&["config", "x.conf", "--profile", "rfc1"]).status.code(), Some(2));
    for command in ["check", "config", "yield", "hold", "resume"] {
        let help = vipd(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        for part in ["Examples:", "Exit status:"] {
            assert!(text(&help.stdout).contains(part), "{command} --help has no {part}");
        }
    }
}
