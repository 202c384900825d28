//! The binary as people meet it: exit statuses, determinism over processes, captures.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PASSING: &str = r#"
title = "a pair, its master stopped"
until = "20s"

[segment.lan]
delay = "1ms"
jitter = "2ms"
loss = "1%"

[host.a]
config = "pair.conf"
interfaces.eth0 = { segment = "lan", address = "10.0.0.1/24" }

[host.b]
config = "pair.conf"
interfaces.eth0 = { segment = "lan", address = "10.0.0.2/24" }

[host.client]
interfaces.eth0 = { segment = "lan", address = "10.0.0.9/24" }
probe = { address = "10.0.0.100", every = "100ms" }

[[step]]
at = "10s"
stop = "a"

[[expect]]
within = ["10s", "12s"]
host = "b"
enters = "master"
"#;

const CONF: &str = "
@a $PRIORITY=150
@b $PRIORITY=100
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority $PRIORITY
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        10.0.0.100
    }
}
";

/// A folder of its own with a scenario and its configuration.
fn folder(name: &str, scenario: &str, conf: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("pair.toml"), scenario).expect("a scenario");
    std::fs::write(folder.join("pair.conf"), conf).expect("a configuration");
    folder
}

fn vipsim(at: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
    command.current_dir(at).args(arguments).output().expect("vipsim runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of `--json` without the one line that may differ.
fn without_wall_seconds(output: &Output) -> Vec<String> {
    let lines = text(&output.stdout);
    let kept: Vec<_> =
        lines.lines().filter(|line| !line.contains("\"wall_seconds\"")).map(String::from).collect();
    assert_eq!(kept.len() + 1, lines.lines().count());
    kept
}

#[test]
fn two_processes_in_other_folders_and_environments_say_the_same() {
    let place = folder("same", PASSING, CONF);
    let here = vipsim(&place, &["run", "pair.toml", "--json"]);
    let absolute = place.join("pair.toml").display().to_string();
    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_vipsim"));
    elsewhere.current_dir("/").env_clear().env("TZ", "Asia/Tokyo").env("LC_ALL", "tr_TR.UTF-8");
    let elsewhere = elsewhere.args(["run", &absolute, "--json"]).output().expect("vipsim runs");
    assert_eq!(here.status.code(), Some(0), "{}", text(&here.stderr));
    let lines = without_wall_seconds(&here);
    assert_eq!(lines, without_wall_seconds(&elsewhere));
    assert!(lines.iter().any(|line| line.contains("\"trace\": \"")));
    let other = vipsim(&place, &["run", "pair.toml", "--json", "--seed", "2"]);
    assert_ne!(lines, without_wall_seconds(&other));
}

#[test]
fn a_run_that_meets_its_expectations_ends_with_0_and_another_with_1() {
    let place = folder("verdicts", PASSING, CONF);
    let passed = vipsim(&place, &["run", "pair.toml"]);
    assert_eq!(passed.status.code(), Some(0));
    let shown = text(&passed.stdout);
    assert!(shown.contains("verdict: pass\ntrace: "), "{shown}");
    assert!(shown.contains("legend: "));
    let cut_short = vipsim(&place, &["run", "pair.toml", "--until", "9s"]);
    assert_eq!(cut_short.status.code(), Some(1), "nobody took over by then");
    assert!(text(&cut_short.stdout).contains("verdict: fail"));
}

#[test]
fn unusable_input_is_one_message_on_standard_error_and_ends_with_2() {
    let place = folder("unusable", PASSING, &CONF.replace("$PRIORITY\n", "300\n"));
    let broken = PASSING.replace("stop =", "stopp =");
    std::fs::write(place.join("broken.toml"), broken).expect("a scenario");
    let cases: [(&[&str], &str); 5] = [
        (&["run", "missing.toml"], "missing.toml"),
        (&["run", "broken.toml"], "stopp"),
        (&["run", "pair.toml"], "priority"),
        (&["run", "pair.toml", "--until", "soon"], "soon"),
        (&["run"], "FILE"),
    ];
    for (arguments, named) in cases {
        let output = vipsim(&place, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
        assert!(!text(&output.stderr).contains('\u{1b}'), "no colours where no terminal is");
    }
    let good = folder("unwritable", PASSING, CONF);
    let output = vipsim(&good, &["run", "pair.toml", "--pcap", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_that_is_said_to_be_refused_must_not_be_usable() {
    let reload =
        "[[step]]\nat = \"10s\"\nreload = \"a\"\nconfig = \"refused.conf\"\nrefused = true\n";
    let scenario = PASSING.replace("[[step]]\nat = \"10s\"\nstop = \"a\"", reload);
    let place = folder("refused", &scenario, CONF);
    std::fs::write(place.join("refused.conf"), CONF).expect("a configuration");
    let output = vipsim(&place, &["run", "pair.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    let reason = "refused.conf can be used by a: `refused = true` is for a file that cannot";
    assert!(said.contains(reason), "{said}");
    // One that cannot be used is no reason not to play.
    std::fs::write(place.join("refused.conf"), "priority 300").expect("a configuration");
    let output = vipsim(&place, &["run", "pair.toml"]);
    assert_eq!(output.status.code(), Some(1), "nobody takes over: {}", text(&output.stderr));
}

#[test]
fn the_help_shows_examples_and_exit_statuses() {
    let help = vipsim(Path::new("/"), &["run", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let shown = text(&help.stdout);
    for part in ["Examples:", "vipsim run scenarios/", "Exit status:", "--pcap", "--until"] {
        assert!(shown.contains(part), "{part} is missing");
    }
}

/// Runs a tool that reads captures. A machine without it says so and skips.
fn read_with(tool: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool}: {}", text(&output.stderr));
            Some(text(&output.stdout))
        }
        Err(error) => {
            eprintln!("SKIPPED: {tool} cannot be run ({error}); ./test installs it");
            None
        }
    }
}

fn capture(name: &str, scenario: &str) -> String {
    let place = folder(name, scenario, CONF);
    let output = vipsim(&place, &["run", "pair.toml", "--pcap", "run.pcapng"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    place.join("run.pcapng").display().to_string()
}

#[test]
fn tshark_decodes_every_packet_and_reads_why_some_were_dropped() {
    let cut = "[[step]]\nat = \"6s\"\nlose = 2\non = \"a -> b\"\n";
    let path = capture("tshark", &format!("{PASSING}\n{cut}"));
    let fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"];
    let fields: Vec<_> = ["-r", &path].into_iter().chain(fields).collect();
    let Some(packets) = read_with("tshark", &fields) else { return };
    for port in ["a/eth0", "b/eth0", "client/eth0"] {
        assert!(packets.lines().any(|line| line.starts_with(port)), "{port}");
    }
    assert!(packets.lines().filter(|line| line.contains("dropped: lost")).count() >= 2);
    let wrong = "_ws.malformed || vrrp.checksum.status == 0 || ip.checksum.status == 0";
    let strict = ["-r", &path, "-o", "ip.check_checksum:TRUE", "-Y", wrong];
    assert_eq!(read_with("tshark", &strict).as_deref(), Some(""));
    let kinds = ["-r", &path, "-Y", "vrrp || arp || icmp"];
    let known = read_with("tshark", &kinds).unwrap_or_default().lines().count();
    assert_eq!(known, packets.lines().count(), "nothing else is on the wire");
}

#[test]
fn tcpdump_shows_the_adverts_of_the_article() {
    let path = capture("tcpdump", PASSING);
    let Some(shown) = read_with("tcpdump", &["-n", "-vvv", "-r", &path]) else { return };
    let adverts: Vec<_> = shown.lines().filter(|line| line.contains("vrid 51")).collect();
    assert!(adverts.len() >= 20);
    assert!(adverts.iter().all(|line| line.contains("VRRPv2, Advertisement")), "{adverts:?}");
    assert!(adverts.iter().any(|line| line.contains("prio 0")));
}
