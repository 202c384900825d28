//! What happens to what was found when an operator presses Ctrl-C, when the disk is full, and when
//! nobody can be told how far it is: it is kept, printed, and the exit status says so.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here may take, also beside other work.
const PATIENCE: Duration = Duration::from_secs(120);

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operator").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for (host, priority) in [("lb1", 200), ("lb2", 100)] {
        let text = format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             mcast_src_ip 192.0.2.{priority}\n virtual_ipaddress {{\n 192.0.2.250/24\n }}\n}}\n"
        );
        fs::write(folder.join(host).with_extension("conf"), text).expect("a file");
    }
    folder
}

fn vipsim(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends this signal.
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
}

/// Presses Ctrl-C, and returns what the process says until it ends by itself.
fn interrupt(child: Child) -> Output {
    signal(&child, "-INT");
    end_of(child)
}

/// What the process says until it ends by itself.
fn end_of(mut child: Child) -> Output {
    // Its output must be read for it to end.
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reader = thread::spawn(move || {
        let mut octets = Vec::new();
        out.map(|mut out| out.read_to_end(&mut octets)).transpose().expect("its output");
        octets
    });
    let errors = thread::spawn(move || {
        let mut octets = Vec::new();
        err.map(|mut err| err.read_to_end(&mut octets)).transpose().expect("its errors");
        octets
    });
    let mut status = None;
    until("it ends after Ctrl-C", || {
        status = child.try_wait().expect("its status");
        status.is_some()
    });
    let (stdout, stderr) = (reader.join().expect("text"), errors.join().expect("text"));
    Output { status: status.expect("it ended"), stdout, stderr }
}

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = vipsim(folder, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vipsim runs")
}

const CONF: [&str; 3] = ["--conf", "lb1.conf", "lb2.conf"];

#[test]
fn ctrl_c_in_a_hunt_keeps_what_was_found_and_says_that_it_is_not_all() {
    let folder = folder("hunt");
    let asked = ["--seeds", "1000000000", "--for", "3m", "--out", "part.json", "--html", "p.html"];
    let child = spawn(&folder, &[&["hunt"], &CONF[..], &asked[..]].concat());
    until("the hunt begins", || folder.join("part.json.part").exists());
    thread::sleep(Duration::from_secs(2));
    let ended = interrupt(child);
    let (said, status) = (text(&ended.stdout), ended.status.code());
    let tally = fs::read_to_string(folder.join("part.json")).expect("the object");
    let tally: Value = serde_json::from_str(&tally).expect("an object");
    assert_eq!(tally["interrupted"], true);
    let played = tally["seeds"][0][1].as_u64().expect("seeds were played");
    assert!(played > 0 && tally["seeds"].as_array().map(Vec::len) == Some(1), "without a gap");
    assert!(said.contains(&format!("{played} seeds (0 to {}) of 180s each", played - 1)), "{said}");
    assert!(said.contains("interrupted: this is what was found until then"), "{said}");
    // Three minutes of a pair show nothing that is not explained; if they do, it is said.
    let violated = said.contains("VIOLATED");
    assert_eq!(status, Some(if violated { 1 } else { 3 }), "{said}");
    let page = fs::read_to_string(folder.join("p.html")).expect("a page");
    assert!(page.contains("interrupted: this is what was found until then"));
    // What was kept can be merged, and is still no whole hunt.
    let merged = vipsim(&folder, &["merge", "part.json"]).output().expect("vipsim runs");
    assert_eq!(merged.status.code(), status, "{}", text(&merged.stderr));
}

#[test]
fn a_signal_that_comes_twice_within_a_second_is_one_and_what_was_found_is_written() {
    let folder = folder("twice");
    let child = spawn(
        &folder,
        &[&["hunt"], &CONF[..], &["--seeds", "1000000000", "--for", "3m", "--out", "part.json"]]
            .concat(),
    );
    until("the hunt begins", || folder.join("part.json.part").exists());
    thread::sleep(Duration::from_secs(2));
    // As `timeout` does: its child, and then the whole group, which that is in.
    for name in ["-TERM", "-INT", "-TERM"] {
        signal(&child, name);
    }
    let ended = end_of(child);
    let said = text(&ended.stdout);
    assert!(said.contains("interrupted: this is what was found until then"), "{said}");
    let violated = said.contains("VIOLATED");
    assert_eq!(ended.status.code(), Some(if violated { 1 } else { 3 }), "{said}");
    assert!(folder.join("part.json").is_file() && !folder.join("part.json.part").exists());
}

#[test]
fn a_second_ctrl_c_a_second_later_ends_the_process_at_once_and_leaves_nothing_half_written() {
    let folder = folder("second");
    fs::write(folder.join("part.json"), "what was there").expect("a file");
    // A seed of a year: whoever is told to end gives it up two seconds after it began, and a signal
    // that comes within one of the first is the same.
    let asked = ["--seeds", "1", "--for", "8760h", "--out", "part.json", "--html", "p.html"];
    let child = spawn(&folder, &[&["hunt"], &CONF[..], &asked[..]].concat());
    until("the hunt begins", || folder.join("p.html.part").exists());
    signal(&child, "-INT");
    thread::sleep(Duration::from_secs(1));
    // Whichever of them comes more than a second after the first was heard is the second one.
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(100));
        signal(&child, "-INT");
    }
    let ended = end_of(child);
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    let kept = fs::read_to_string(folder.join("part.json")).expect("the old one");
    assert_eq!(kept, "what was there");
    for name in ["part.json.part", "p.html.part", "p.html"] {
        assert!(!folder.join(name).exists(), "{name}");
    }
}

/// The script of the Kubernetes Job in docs/hunting.md, with the folders of this test.
fn job_script(folder: &Path) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hunting.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, script) = page.split_once("            - |\n").expect("the script");
    let (script, _) = script.split_once("          env:\n").expect("its end");
    let here = folder.display().to_string();
    let lines = script.lines().map(str::trim_start);
    lines.collect::<Vec<_>>().join("\n").replace("/pair", &here).replace("/parts", &here)
}

/// The script as a Job's container runs it.
fn job(folder: &Path, script: &str, index: &str) -> Child {
    let programs = Path::new(env!("CARGO_BIN_EXE_vipsim")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", format!("{}:{path}", programs.display()));
    command.env("JOB_COMPLETION_INDEX", index);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh runs")
}

#[test]
fn a_kubernetes_job_that_is_ended_writes_what_its_hunt_found_and_is_not_done() {
    let folder = folder("job-ended");
    let child = job(&folder, &job_script(&folder), "0");
    until("the hunt begins", || folder.join("0.json.part").exists());
    thread::sleep(Duration::from_secs(2));
    signal(&child, "-TERM");
    let ended = end_of(child);
    let said = text(&ended.stdout);
    let tally = fs::read_to_string(folder.join("0.json")).expect("the part is written");
    let tally: Value = serde_json::from_str(&tally).expect("an object");
    assert_eq!(tally["interrupted"], true);
    assert!(!folder.join("0.json.part").exists());
    // `[` says 1 of what is no part that is done.
    let violated = said.contains("VIOLATED");
    assert_eq!(ended.status.code(), Some(if violated { 0 } else { 1 }), "{said}");
}

#[test]
fn a_kubernetes_job_is_done_with_a_violation_and_without_one_and_not_with_an_error() {
    let folder = folder("job-done");
    let script = job_script(&folder);
    let with = |status: &str| {
        let stand_in = script.replace("vipsim hunt", &format!("sh -c 'exit {status}' hunt"));
        end_of(job(&folder, &stand_in, "0")).status.code()
    };
    for (status, wanted) in [("0", 0), ("1", 0), ("2", 1), ("3", 1), ("130", 1)] {
        assert_eq!(with(status), Some(wanted), "{status}");
    }
}

#[test]
fn ctrl_c_in_a_rehearsal_shows_the_worst_until_then_on_the_page_too() {
    let folder = folder("rehearse");
    let asked =
        ["rehearse", "lb1.conf", "lb2.conf", "--runs", "1000000", "--html", "r.html", "--json"];
    let child = spawn(&folder, &asked);
    until("the rehearsal begins", || folder.join("r.html.part").exists());
    thread::sleep(Duration::from_secs(2));
    let ended = interrupt(child);
    let whole: Value = serde_json::from_slice(&ended.stdout).expect("an object");
    assert_eq!((&whole["interrupted"], &whole["verdict"]), (&true.into(), &"within".into()));
    assert!(whole["classes"][0]["runs"].as_u64() > Some(0), "{}", whole["classes"][0]);
    assert_eq!(ended.status.code(), Some(3), "{}", text(&ended.stderr));
    let page = fs::read_to_string(folder.join("r.html")).expect("a page");
    assert!(page.contains("interrupted before its end"));
    assert!(!folder.join("r.html.part").exists());
}

#[test]
fn ctrl_c_in_a_proof_says_how_far_it_was_and_that_it_is_not_complete() {
    let folder = folder("prove");
    let mut child = spawn(&folder, &["prove", "--nodes", "4", "--faults", "4", "--json"]);
    let mut first = String::new();
    let mut err = BufReader::new(child.stderr.take().expect("its errors"));
    err.read_line(&mut first).expect("a line");
    assert!(first.starts_with("0 faults: "), "{first}");
    let ended = interrupt(child);
    let whole: Value = serde_json::from_slice(&ended.stdout).expect("an object");
    assert_eq!(whole["complete"], false, "{whole}");
    assert_eq!(ended.status.code(), Some(3));
}

/// A full disk.
fn full() -> Stdio {
    Stdio::from(File::options().write(true).open("/dev/full").expect("/dev/full"))
}

/// The same where files have this many blocks of 512 octets at most.
fn limited(folder: &Path, blocks: u64, arguments: &[&str]) -> Command {
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", &script, env!("CARGO_BIN_EXE_vipsim")]);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// One of each command that works for long, in little.
fn commands() -> [(&'static str, Vec<&'static str>); 3] {
    [
        ("hunt", [&["hunt"], &CONF[..], &["--seeds", "2", "--for", "3m"]].concat()),
        (
            "rehearse",
            vec!["rehearse", "lb1.conf", "lb2.conf", "--class", "clean-stop", "--runs", "2"],
        ),
        ("prove", vec!["prove", "--nodes", "2", "--faults", "1"]),
    ]
}

#[test]
fn a_full_disk_behind_standard_output_is_one_clear_message_and_the_files_are_kept() {
    let folder = folder("full-output");
    for (name, mut arguments) in commands() {
        let file = folder.join(name).with_extension("html");
        if name != "prove" {
            arguments.extend(["--html", file.to_str().expect("text")]);
        }
        let ended = vipsim(&folder, &arguments).stdout(full()).output().expect("vipsim runs");
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{name}: {said}");
        let told: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(told.len(), 1, "{name}: {said}");
        assert!(told[0].starts_with("error: cannot write the result: No space left"), "{said}");
        assert!(name == "prove" || file.is_file(), "{name}: the page is lost");
    }
}

#[test]
fn a_file_on_a_full_disk_is_named_and_the_result_is_printed_all_the_same() {
    let folder = folder("full-file");
    for (name, mut arguments) in commands() {
        if name == "prove" {
            continue;
        }
        arguments.extend(["--html", "/dev/full"]);
        let ended = vipsim(&folder, &arguments).output().expect("vipsim runs");
        let (out, err) = (text(&ended.stdout), text(&ended.stderr));
        assert_eq!(ended.status.code(), Some(2), "{name}: {err}");
        assert!(out.contains("verdict: "), "{name}: {out}");
        assert!(err.contains("error: cannot write /dev/full: No space left"), "{name}: {err}");
    }
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/failover/pkill-master.toml");
    let captured = vipsim(&folder, &["run", scenario, "--pcap", "/dev/full"]).output();
    let captured = captured.expect("vipsim runs");
    let (out, err) = (text(&captured.stdout), text(&captured.stderr));
    assert_eq!(captured.status.code(), Some(2), "{err}");
    assert!(out.contains("verdict: pass"), "{out}");
    assert!(err.contains("error: cannot write the capture /dev/full: No space left"), "{err}");
    assert!(!fs::metadata("/dev/full").expect("/dev/full").is_file(), "it stays a device");
}

#[test]
fn a_capture_that_a_full_disk_cuts_off_is_not_left_and_the_old_one_is_kept() {
    let folder = folder("full-capture");
    fs::write(folder.join("run.pcap"), "what was there").expect("a file");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/failover/pkill-master.toml");
    // Too little for the capture.
    let ended = limited(&folder, 8, &["run", scenario, "--pcap", "run.pcap"]).output();
    let ended = ended.expect("sh runs");
    let (out, err) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(ended.status.code(), Some(2), "{err}");
    assert!(out.contains("verdict: pass"), "{out}");
    assert!(err.contains("error: cannot write the capture run.pcap: File too large"), "{err}");
    let kept = fs::read_to_string(folder.join("run.pcap")).expect("the old one");
    assert_eq!(kept, "what was there");
    assert!(!folder.join("run.pcap.part").exists());
}

#[test]
fn a_file_that_outgrows_its_limit_is_named_and_what_was_found_is_kept() {
    let folder = folder("limited-file");
    let lines = |octets: &[u8]| text(octets).lines().count();
    for (name, mut arguments) in commands() {
        let whole = vipsim(&folder, &arguments).output().expect("vipsim runs");
        let into = File::create(folder.join("out")).expect("a file");
        let ended = limited(&folder, 0, &arguments).stdout(into).output().expect("sh runs");
        let err = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{name}: {err}");
        assert!(err.contains("error: cannot write the result: File too large"), "{name}: {err}");
        if name != "prove" {
            arguments.extend(["--html", "page.html"]);
            let ended = limited(&folder, 1, &arguments).output().expect("sh runs");
            let err = text(&ended.stderr);
            assert_eq!(ended.status.code(), Some(2), "{name}: {err}");
            assert_eq!(lines(&ended.stdout), lines(&whole.stdout), "{name}: {err}");
            assert!(err.contains("error: cannot write page.html: File too large"), "{name}: {err}");
            assert!(!folder.join("page.html").exists() && !folder.join("page.html.part").exists());
        }
    }
    let found = ["prove", "--nodes", "2", "--faults", "1", "--strict", "--property", "L2"];
    let ended = limited(&folder, 0, &[&found[..], &["--out", "found.toml"]].concat()).output();
    let ended = ended.expect("sh runs");
    let err = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{err}");
    assert!(err.contains("error: cannot write found.conf: File too large"), "{err}");
    assert!(err.contains(": here it is\n") && err.contains("vrrp_instance"), "{err}");
    for left in ["found.toml", "found.conf", "found.toml.part", "found.conf.part"] {
        assert!(!folder.join(left).exists(), "{left}");
    }
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/failover/pkill-master.toml");
    for option in ["--html", "--perfetto", "--jsonl", "--pcap"] {
        let ended = limited(&folder, 0, &["run", scenario, option, "run.out"]).output();
        let ended = ended.expect("sh runs");
        let (out, err) = (text(&ended.stdout), text(&ended.stderr));
        assert_eq!(ended.status.code(), Some(2), "{option}: {err}");
        assert!(out.contains("verdict: pass"), "{option}: {out}");
        assert!(err.contains("run.out: File too large"), "{option}: {err}");
        assert!(!folder.join("run.out").exists(), "{option}");
    }
}

#[test]
fn who_cannot_be_told_how_far_it_is_still_gets_the_result() {
    let folder = folder("full-errors");
    for (name, arguments) in commands() {
        let told = vipsim(&folder, &arguments).output().expect("vipsim runs");
        let untold = vipsim(&folder, &arguments).stderr(full()).output().expect("vipsim runs");
        assert_eq!(untold.status.code(), told.status.code(), "{name}");
        assert_eq!(untold.status.code(), Some(0), "{name}: {}", text(&told.stderr));
        let lines = |output: &Output| text(&output.stdout).lines().count();
        assert_eq!(lines(&untold), lines(&told), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_any_work() {
    let folder = folder("unwritable");
    for option in ["--out", "--html"] {
        let arguments = [&["hunt"], &CONF[..], &["--seeds", "1000000000", option, "no/such/file"]];
        let ended = vipsim(&folder, &arguments.concat()).output().expect("vipsim runs");
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("error: cannot write no/such/file: "), "{said}");
    }
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/quiet/pair.toml");
    for option in ["--html", "--perfetto", "--jsonl", "--pcap"] {
        let year = ["run", scenario, "--until", "8760h", option, "no/such/file"];
        let ended = vipsim(&folder, &year).output().expect("vipsim runs");
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("error: cannot write ") && said.contains("no/such/file: "), "{said}");
        assert!(ended.stdout.is_empty(), "{option}");
    }
    let missing = "no/such/found.toml";
    let proof = ["prove", "--nodes", "2", "--faults", "1", "--out", missing];
    let ended = vipsim(&folder, &proof).output().expect("vipsim runs");
    let said = text(&ended.stderr);
    assert_eq!(said.matches(missing).count(), 1, "{said}");
    assert!(said.starts_with("error: cannot write no/such/found.toml: No such file"), "{said}");
    let mixed = [&["hunt"], &CONF[..], &["--seed", "1", "--html", "page.html"]].concat();
    let ended = vipsim(&folder, &mixed).output().expect("vipsim runs");
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("cannot be used with"), "{}", text(&ended.stderr));
}

#[test]
fn a_verdict_is_the_same_whether_or_not_anybody_reads_it_to_the_end() {
    let folder = folder("unread");
    let asked = ["--seeds", "1", "--for", "3m", "--out", "part.json"];
    let hunt = vipsim(&folder, &[&["hunt"], &CONF[..], &asked[..]].concat()).output();
    assert!(hunt.is_ok());
    // With a violation that nothing but this test saw.
    let part = fs::read_to_string(folder.join("part.json")).expect("a part");
    let mut whole: Value = serde_json::from_str(&part).expect("an object");
    let card = serde_json::json!({ "seed": 0, "what": "", "value_ns": null, "bound_ns": null,
                                   "faults": [] });
    whole["properties"]["S1"] = serde_json::json!({
        "held": 0, "violated": 1, "wanting": 0, "not_provided": 0, "not_exercised": 0,
        "tightest": null, "cards": [card],
    });
    fs::write(folder.join("part.json"), whole.to_string()).expect("a part");
    for asked in [&["merge", "part.json"][..], &["merge", "--json", "part.json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = vipsim(&folder, asked);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().expect("vipsim runs");
        assert_eq!(ended.status.code(), Some(1), "{asked:?}: {}", text(&ended.stderr));
        assert!(ended.stderr.is_empty(), "{}", text(&ended.stderr));
    }
}

#[test]
fn a_shrunk_scenario_that_nobody_named_replaces_no_other_file() {
    let folder = folder("unnamed");
    // Both have one address: each takes what the other one says for its own.
    for host in ["lb1.conf", "lb2.conf"] {
        let text = fs::read_to_string(folder.join(host)).expect("a file");
        let source = text.replace("192.0.2.200", "192.0.2.1").replace("192.0.2.100", "192.0.2.1");
        fs::write(folder.join(host), source).expect("a file");
    }
    let shrink = |more: &[&str]| {
        let hunted = ["--for", "3m", "--hunted", "1", "--property", "S1", "--runs", "1"];
        let arguments = [&["shrink", "--conf", "lb1.conf", "lb2.conf"][..], &hunted, more].concat();
        vipsim(&folder, &arguments).output().expect("vipsim runs")
    };
    let first = shrink(&[]);
    let name = text(&first.stdout).trim().to_owned();
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(shrink(&[]).status.code(), Some(0), "it is the same again");
    fs::write(folder.join(&name), "kept").expect("a file");
    let second = shrink(&[]);
    let said = format!("error: cannot write {name}: another file is there; here it is");
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains(&said), "{}", text(&second.stderr));
    assert!(text(&second.stdout).contains("title = "));
    assert_eq!(fs::read_to_string(folder.join(&name)).expect("a file"), "kept");
    assert_eq!(shrink(&["-o", &name]).status.code(), Some(0), "who names it means it");
    assert_ne!(fs::read_to_string(folder.join(&name)).expect("a file"), "kept");
}
