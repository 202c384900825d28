//! The program under the name `keepalived`: options, exit statuses, pid files, the background.

mod netns;

use std::path::{Path, PathBuf};
use std::time::Instant;

use netns::process::Process;
use netns::{Host, INTERFACE, PATIENCE, network};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const VIP: &str = "192.0.2.9";

fn link(folder: &Path) -> String {
    let link = folder.join("keepalived");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vipd"), &link).expect("a link of ours");
    }
    link.display().to_string()
}

fn file(host: &Host) -> PathBuf {
    host.file(&format!(
        "vrrp_instance VI_1 {{\n interface {INTERFACE}\n virtual_router_id 7\n priority 255\n \
         virtual_ipaddress {{\n {VIP}\n }}\n}}\nvirtual_server {VIP} 80 {{\n protocol TCP\n \
         lb_algo rr\n lb_kind NAT\n real_server 192.0.2.10 80 {{\n HTTP_GET {{\n }}\n }}\n}}\n"
    ))
}

/// The options that keep a run of ours apart from everybody else's.
fn apart(folder: &Path, host: &Host) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let options = ["-p", &path("pid"), "-r", &path("vrrp.pid"), "--socket", &host.socket()]
        .map(str::to_string);
    options.to_vec()
}

fn number(folder: &Path, name: &str) -> Option<i32> {
    std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not become true");
        std::thread::yield_now();
    }
}

fn start(host: &Host, words: &[&str], more: &[String]) -> Process {
    let more = more.iter().map(String::as_str);
    host.run(&words.iter().copied().chain(more).collect::<Vec<_>>())
}

#[test]
fn in_the_foreground_it_names_itself_in_its_pid_files_and_says_what_is_not_honoured() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let (host, folder) = (&network.hosts[0], &network.folder);
    let (keepalived, file) = (link(folder), file(host).display().to_string());
    let words = [&keepalived, "-nlDGPV", "-x", "-f", &file];
    let options = apart(folder, host);
    let mut first = start(host, &words, &options);
    first.wait_for("warning: -V (--dont-release-vrrp) is not honoured");
    first.wait_for("warning: -x (--snmp) is not honoured");
    first.wait_for("ready: 1 instances");
    first.wait_for("add address 192.0.2.9/32 on ens192: done");
    for name in ["pid", "vrrp.pid"] {
        assert_eq!(number(folder, name), i32::try_from(first.id()).ok(), "{name}");
    }
    // -P: nothing is said of the virtual server, with whose check nothing would be started.
    assert!(!first.said().contains("virtual_server"), "{}", first.said());

    let mut second = start(host, &words, &options);
    second.wait_for(&format!("process {} runs already", first.id()));
    assert_eq!(second.ended().code(), Some(1));
    assert!(folder.join("pid").exists(), "the second one leaves the first one's file alone");

    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        first.signal(signal);
        first.wait_for("no file is written on a signal");
    }
    assert_eq!(host.status()["instances"][0]["state"], "master");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().code(), Some(0), "{}", first.said());
    assert!(!host.holds(VIP) && !folder.join("pid").exists() && !folder.join("vrrp.pid").exists());
}

#[test]
fn with_checks_alone_virtual_routers_are_left_to_somebody_else() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let (host, folder) = (&network.hosts[0], &network.folder);
    let text = std::fs::read_to_string(file(host)).expect("a file of ours");
    let file = host.file(&text.replace("HTTP_GET", "TCP_CHECK")).display().to_string();
    let keepalived = link(folder);
    let checkers = folder.join("checkers.pid").display().to_string();
    let words = [&keepalived, "-nlGC", "-f", &file, "-c", &checkers];
    let mut checking = start(host, &words, &apart(folder, host));
    checking.wait_for("ready: 0 instances");
    for name in ["pid", "checkers.pid"] {
        assert_eq!(number(folder, name), i32::try_from(checking.id()).ok(), "{name}");
    }
    assert!(!folder.join("vrrp.pid").exists());
    let status = host.status();
    assert_eq!(status["instances"].as_array().map(Vec::len), Some(0), "{status}");
    assert!(!host.holds(VIP));
    checking.signal(Signal::SIGTERM);
    checking.ended();
    assert!(!Path::new(&checkers).exists());
}

#[test]
fn without_n_it_goes_into_the_background_and_is_reached_by_its_pid_file() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let (host, folder) = (&network.hosts[0], &network.folder);
    let (keepalived, file) = (link(folder), file(host).display().to_string());
    let mut words = vec![keepalived, "-PG".to_string(), "-f".to_string(), file];
    words.extend(apart(folder, host));
    // It ends at once, and with it its output.
    host.output(&words.iter().map(String::as_str).collect::<Vec<_>>());
    until("master", || {
        let asked = host.vipd(&["status", "--json"]);
        String::from_utf8_lossy(&asked.stdout).contains("\"state\": \"master\"")
    });
    let process = Pid::from_raw(number(folder, "pid").expect("its number"));
    let fact = |name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a fact").trim().to_string()
    };
    assert_eq!(fact("Threads:"), "1");
    let here = std::fs::read_link(format!("/proc/{process}/cwd")).expect("it runs");
    assert_eq!(here, Path::new("/"));
    // A reload finds the file from there.
    assert_eq!(host.vipd(&["reload"]).status.code(), Some(0));
    kill(process, Signal::SIGTERM).expect("it runs");
    until("gone", || !Path::new(&format!("/proc/{process}")).exists());
    assert!(!host.holds(VIP) && !folder.join("pid").exists());
}

#[test]
fn each_reason_not_to_start_has_the_exit_status_that_keepalived_has_for_it() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let (host, folder) = (&network.hosts[0], &network.folder);
    let (keepalived, good) = (link(folder), file(host).display().to_string());
    let bad = folder.join("bad.conf");
    std::fs::write(&bad, "vrrp_instance VI_1 {\n}\n").expect("a file of ours");
    let bad = bad.display().to_string();
    let log = folder.join("log").display().to_string();
    let unprivileged = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", &keepalived];
    let keepalived = [&*keepalived];
    let of_log = format!("--config-test={log}");
    let cases: [(&[&str], &[&str], i32); 12] = [
        (&keepalived, &["-nP", "-f", "/nonexistent"], 6),
        (&keepalived, &["-P", "-f", "/nonexistent"], 6),
        (&keepalived, &["-nP", "-f", &bad], 2),
        (&keepalived, &["-P", "-f", &bad], 2),
        (&keepalived, &["--bogus"], 1),
        (&keepalived, &["-nC", "-f", &good], 2),
        (&keepalived, &["-nP", "-S", "local9", "-f", &good], 1),
        (&keepalived, &["-nP", "-s", "no-such-namespace", "-f", &good], 1),
        (&unprivileged, &["-nP", "-f", &good], 4),
        (&keepalived, &["-t", "-f", &bad], 4),
        (&keepalived, &[&of_log, "-f", &bad], 4),
        (&keepalived, &["-Pt", "-f", &good], 0),
    ];
    let apart = apart(folder, host);
    for (program, words, expected) in cases {
        let mut process = start(host, &[program, words].concat(), &apart);
        let code = process.ended().code();
        assert_eq!(code, Some(expected), "{words:?} said:\n{}", process.said());
    }
    let said = std::fs::read_to_string(log).expect("it was written");
    assert!(said.contains("missing-keyword"), "{said}");
    assert!(!folder.join("pid").exists());
}
