//! No command overwrites what it reads, and none writes two things to one file: it says so before
//! it does anything, and the files are as they were.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCENARIO: &str = r#"
title = "b stands still"
until = "30s"
seed = 1

[segment.lan]
delay = "100us"

[host.a]
config = "pair.conf"
interfaces.eth0 = { segment = "lan", address = "192.0.2.1/24" }

[host.b]
config = "pair.conf"
interfaces.eth0 = { segment = "lan", address = "192.0.2.2/24" }

[[step]]
at = "6s"
pause = "b"
"#;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("overwriting").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let router = |more: &str| {
        format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n{more}\n \
             virtual_ipaddress {{\n 192.0.2.250/24\n }}\n}}\n"
        )
    };
    fs::write(folder.join("k.toml"), SCENARIO).expect("a file");
    fs::write(folder.join("pair.conf"), "include router.conf\n").expect("a file");
    fs::write(folder.join("router.conf"), router(" priority 100")).expect("a file");
    for (name, priority) in [("a.conf", 200), ("b.conf", 100)] {
        let text = router(&format!(" priority {priority}\n mcast_src_ip 192.0.2.{priority}"));
        fs::write(folder.join(name), text).expect("a file");
    }
    folder
}

fn vipsim(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
    command.current_dir(folder).args(words.split(' ')).stdin(Stdio::null());
    command
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

/// Its one line of error.
fn refused(ended: &Output) -> String {
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(ended.stdout.is_empty(), "{}", String::from_utf8_lossy(&ended.stdout));
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("one error: {said}") };
    error.to_owned()
}

#[test]
fn no_output_overwrites_a_file_that_the_command_reads() {
    let folder = folder("inputs");
    let before = files(&folder);
    for (words, output, input) in [
        ("run k.toml --html k.toml", "--html k.toml", "the scenario k.toml"),
        ("run k.toml --pcap pair.conf", "--pcap pair.conf", "the configuration pair.conf"),
        ("run k.toml --jsonl router.conf", "--jsonl router.conf", "the configuration router.conf"),
        ("run k.toml --perfetto ./k.toml", "--perfetto ./k.toml", "the scenario k.toml"),
        ("hunt k.toml --seeds 2 --html k.toml", "--html k.toml", "the scenario k.toml"),
        (
            "hunt --conf a.conf b.conf --seeds 2 --out a.conf",
            "--out a.conf",
            "the configuration a.conf",
        ),
        (
            "rehearse a.conf b.conf --runs 2 --html a.conf",
            "--html a.conf",
            "the configuration a.conf",
        ),
        ("shrink k.toml -o pair.conf", "-o pair.conf", "the configuration pair.conf"),
        (
            "shrink a.conf b.conf --hunted 0 --class pause --for 3m -o a.conf",
            "-o a.conf",
            "the configuration a.conf",
        ),
    ] {
        let error = refused(&vipsim(&folder, words).output().expect("vipsim runs"));
        // A file that includes others names them by their whole path.
        let (start, end) = (format!("error: {output} would overwrite "), ": name another file");
        assert!(error.starts_with(&start) && error.ends_with(end), "{words}: {error}");
        let name = input.rsplit(' ').next().expect("a name");
        let kind = input.strip_suffix(name).expect("what it is");
        assert!(error.contains(kind) && error.contains(&format!("{name}: ")), "{words}: {error}");
        assert_eq!(files(&folder), before, "{words}");
    }
}

#[test]
fn no_two_outputs_are_one_file() {
    let folder = folder("outputs");
    let before = files(&folder);
    for (words, one, other) in [
        ("run k.toml --html o --pcap o", "--html o", "--pcap o"),
        ("run k.toml --html o --jsonl ./o", "--html o", "--jsonl ./o"),
        ("hunt --conf a.conf b.conf --seeds 2 --html q --out q", "--html q", "--out q"),
    ] {
        let error = refused(&vipsim(&folder, words).output().expect("vipsim runs"));
        assert!(error.contains(one) && error.contains(other), "{words}: {error}");
        assert!(error.ends_with("would be written to one file: name another one"), "{error}");
        assert_eq!(files(&folder), before, "{words}");
    }
}

#[test]
fn a_dash_is_no_file_and_the_way_out_is_said() {
    let folder = folder("dash");
    let before = files(&folder);
    for (words, output) in [
        ("run k.toml --jsonl -", "--jsonl -"),
        ("hunt --conf a.conf b.conf --seeds 2 --out -", "--out -"),
        ("rehearse a.conf b.conf --runs 2 --html -", "--html -"),
    ] {
        let error = refused(&vipsim(&folder, words).output().expect("vipsim runs"));
        assert!(error.starts_with(&format!("error: {output} is no file: ")), "{words}: {error}");
        assert_eq!(files(&folder), before, "{words}");
    }
}

#[test]
fn standard_output_is_no_file_that_is_read_or_written_besides() {
    let folder = folder("stream");
    let onto = |name: &str| {
        let file = File::options().append(true).create(true).open(folder.join(name));
        Stdio::from(file.expect("a file"))
    };
    let words = "hunt k.toml --seeds 2 --for 3m --out part.json";
    let hunted = vipsim(&folder, words).output().expect("vipsim runs");
    assert!(hunted.status.code().is_some_and(|code| code < 2), "{hunted:?}");
    let before = files(&folder);
    let merged = vipsim(&folder, "merge --json part.json").stdout(onto("part.json")).output();
    let error = refused(&merged.expect("vipsim runs"));
    let wanted = "error: standard output would overwrite the part part.json: name another file";
    assert_eq!(error, wanted);
    assert_eq!(files(&folder), before);
    let run = vipsim(&folder, "run k.toml --html o").stdout(onto("o")).output();
    let error = refused(&run.expect("vipsim runs"));
    assert!(error.contains("--html o and standard output would be written to one file"), "{error}");
    // One file for all that is printed is what `> log 2>&1` makes.
    let both = File::create(folder.join("log")).expect("a file");
    let again = Stdio::from(both.try_clone().expect("a handle"));
    let run = vipsim(&folder, "run k.toml --html o").stdout(both).stderr(again).status();
    assert!(run.expect("vipsim runs").code().is_some_and(|code| code < 2));
}
