//! Commands and a scenario inside of user-mode Linux.
//!
//! They need the Debian packages user-mode-linux and kmod; what is missing is a skip in plain
//! sight, and a failure under `CI=true`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::uml::{Inside, MEMORY, init, is_possible};
use vipd_scenarios::scenario::Need;

fn sh(script: &str) -> Inside {
    Inside {
        command: ["sh", "-c", script].map(str::to_string).to_vec(),
        viplab: env!("CARGO_BIN_EXE_viplab").into(),
        memory: MEMORY,
        within: Duration::from_secs(120),
        stop: || false,
    }
}

fn is_skipped() -> bool {
    let Err(lacking) = is_possible() else { return false };
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
    eprintln!("skipped: {lacking}");
    true
}

/// Processes that have this word in their command line.
fn processes(word: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("processes").flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(word)).collect()
}

/// The folders of results that this process has made.
fn folders() -> Vec<String> {
    let own = format!("viplab-{}-", std::process::id());
    let all = fs::read_dir(std::env::temp_dir()).expect("a folder").flatten();
    let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&own) && name.ends_with("-uml")).collect()
}

// One test, so that no boot waits for another.
#[test]
fn a_command_runs_as_it_would_outside() {
    if is_skipped() {
        return;
    }
    it_has_what_it_had_outside();
    nothing_outside_is_written_to();
    the_kernel_has_what_the_laboratory_needs();
    a_command_that_is_not_there_or_dies_says_so();
    one_that_takes_too_long_is_ended_with_all_its_processes();
    a_scenario_is_played_inside_and_its_results_come_out();
    assert_eq!(folders(), Vec::<String>::new(), "a folder is left");
}

fn it_has_what_it_had_outside() {
    let script = "pwd; id -u; uname -m; echo \"$PATH\"; cat; echo talk >&2; exit 3";
    let ran = sh(script).run().expect("a run");
    assert_eq!(ran.status, 3);
    assert_eq!(String::from_utf8_lossy(&ran.errors), "talk\n");
    let output = String::from_utf8(ran.output).expect("text");
    let here = std::env::current_dir().expect("a folder").display().to_string();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], [&here, "0"], "{output}");
    assert_eq!(lines[3..], [std::env::var("PATH").expect("a path")], "{output}");
}

fn nothing_outside_is_written_to() {
    let mark = std::env::temp_dir().join(format!("viplab-test-{}", std::process::id()));
    fs::write(&mark, "outside").expect("a file");
    let script = format!(
        "cat {mark}; echo inside >{mark}; cat {mark}; touch /etc/viplab 2>/dev/null || echo no
        touch /var/log/a /run/a && echo result >{}/file",
        init::RESULTS,
        mark = mark.display()
    );
    let ran = sh(&script).run().expect("a run");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.output), "outsideinside\nno\n");
    assert_eq!(fs::read_to_string(&mark).expect("a file"), "outside");
    assert!(!Path::new("/etc/viplab").exists());
    assert_eq!(fs::read_to_string(ran.file("file")).expect("a result"), "result\n");
    fs::remove_file(mark).expect("the file");
}

fn the_kernel_has_what_the_laboratory_needs() {
    // Whatever it lacks is named, and what it is known to lack if it has that.
    let script = "
        nft add table netdev x 2>/dev/null && echo 'netdev: gates of dead_man work in it'
        ip -br link show lo | grep -q LOOPBACK,UP || echo lo
        test -e /proc/net/ip_vs || echo ip_vs
        for kind in dummy veth macvlan nlmon bridge; do
          ip link add x-$kind type $kind 2>/dev/null ||
            ip link add link x-dummy x-$kind type $kind || echo $kind
        done
        ip netns add other && ip netns exec other true || echo netns
        tc qdisc add dev x-dummy root netem delay 1ms || echo netem";
    let ran = sh(script).run().expect("a run");
    assert_eq!(String::from_utf8_lossy(&ran.output), "", "{ran:?}");
}

fn a_command_that_is_not_there_or_dies_says_so() {
    let missing = Inside { command: vec!["/no/such/program".to_string()], ..sh("") };
    let ran = missing.run().expect("a run");
    assert_eq!(ran.status, 127);
    assert!(String::from_utf8_lossy(&ran.errors).contains("/no/such/program"), "{ran:?}");
    let ran = sh("kill -9 $$").run().expect("a run");
    assert_eq!(ran.status, 128 + 9);
}

fn one_that_takes_too_long_is_ended_with_all_its_processes() {
    let within = Duration::from_secs(20);
    let busy = Inside { within, ..sh("echo so far; while :; do :; done & sleep 1000") };
    let began = Instant::now();
    let error = busy.run().expect_err("it takes too long");
    assert!(error.contains("20s") && error.contains("so far"), "{error}");
    assert!(began.elapsed() < within + Duration::from_secs(10), "{:?}", began.elapsed());
    let own = format!("viplab-{}-", std::process::id());
    assert_eq!(processes(&own), Vec::<String>::new(), "a process is left");
}

/// It needs IPVS, so it goes inside by itself where this kernel has none. How it ends there is a
/// matter of time, which is not measured beside other tests.
fn a_scenario_is_played_inside_and_its_results_come_out() {
    if Command::new("keepalived").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no keepalived");
        eprintln!("skipped: keepalived is not installed (Debian package keepalived)");
        return;
    }
    let capture = std::env::temp_dir().join(format!("viplab-test-{}.pcapng", std::process::id()));
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/serves.toml");
    let run = |kernel: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_viplab"));
        command.args(["run", scenario, "--pcap"]).arg(&capture).args(kernel);
        command.args(["--node", "director-1=keepalived", "--node", "director-2=keepalived"]);
        command.output().expect("viplab")
    };
    let lacking = lacking(&[Need::Ipvs]);
    if !lacking.is_empty() {
        let ran = run(&["--kernel", "host"]);
        assert_eq!(ran.status.code(), Some(3), "{ran:?}");
        assert!(String::from_utf8_lossy(&ran.stdout).contains("no ipvs"), "{ran:?}");
    }
    let ran = run(if lacking.is_empty() { &["--kernel", "uml"] } else { &[] });
    let output = String::from_utf8_lossy(&ran.stdout);
    let said = match output.lines().last().unwrap_or_default() {
        "verdict: pass" => Some(0),
        "verdict: fail" => Some(1),
        _ => panic!("{ran:?}"),
    };
    assert_eq!(ran.status.code(), said, "{ran:?}");
    assert!(output.contains("director-2  + owns 200.222.0.113"), "{output}");
    let captured = fs::read(&capture).expect("a capture");
    assert_eq!(captured[..4], [0x0a, 0x0d, 0x0d, 0x0a], "pcapng");
    assert!(captured.len() > 1000, "{} octets", captured.len());
    fs::remove_file(capture).expect("the capture");
}
