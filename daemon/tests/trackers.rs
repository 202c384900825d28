//! Tracked scripts, files and processes for real: what they do to a virtual router, as whom scripts
//! run, and that nothing of them is left.

mod netns;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use netns::{INTERFACE, PATIENCE, network};
use nix::sys::signal::Signal;

const OWN: &str = "192.0.2.1/24";
const VIP: &str = "192.0.2.9";
/// Well below the second after which files and processes are looked at anyway.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A virtual router with adverts every tenth of a second, and more lines in its block.
fn instance(more: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface {INTERFACE}\n virtual_router_id 7\n priority 100\n \
         version 3\n advert_int 0.1\n {more}\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
    )
}

fn script(folder: &Path, name: &str, mode: u32, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file of ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    path.display().to_string()
}

#[test]
fn an_instance_is_in_fault_while_a_script_fails_and_resigns_when_it_begins_to() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    let flag = network.folder.join("flag");
    let text = format!(
        "vrrp_script chk {{\n script \"/usr/bin/test -e '{}'\"\n interval 0.2\n fall 2\n}}\n{}",
        flag.display(),
        instance("track_script {\n chk\n }")
    );
    let mut vipd = host.launch(&host.file(&text));
    vipd.wait_for("VI_1: init -> fault: chk is down");
    fs::write(&flag, "").expect("a file of ours");
    vipd.wait_for("VI_1: fault -> backup: recovered");
    capture.announcement(0, 0, VIP);

    let mark = capture.mark();
    fs::remove_file(&flag).expect("it is ours");
    capture.advert(mark, 0, 0);
    vipd.wait_for("VI_1: master -> fault: chk is down");
    vipd.wait_for("remove address 192.0.2.9/32 on ens192: done");

    // A script that a reload takes away is tracked no more.
    host.file(&instance(""));
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for("VI_1: fault -> backup: recovered");
    // Killed, it can tell its helper nothing. Both have one standard error: its end is theirs.
    vipd.signal(Signal::SIGKILL);
    vipd.ended();
}

#[test]
fn the_number_in_a_file_is_multiplied_by_the_weight_and_added_to_the_priority() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    let file = network.folder.join("number");
    let text = format!(
        "track_file load {{\n file {}\n weight 10\n init_file 3\n}}\n{}",
        file.display(),
        instance("track_file {\n load\n }")
    );
    let vipd = host.launch(&host.file(&text));
    vipd.wait_for("VI_1: priority 100 -> 130");
    capture.advert(0, 0, 130);
    fs::write(&file, "-2\n").expect("a file of ours");
    vipd.wait_for("VI_1: priority 130 -> 80");
    let mark = capture.mark();
    capture.advert(mark, 0, 80);
    fs::write(&file, "many\n").expect("a file of ours");
    vipd.wait_for("its value stays");
    assert_eq!(host.status()["instances"][0]["priority"], 80);
    // Another file in its place, at once.
    let other = network.folder.join("other");
    fs::write(&other, "2\n").expect("a file of ours");
    let replaced = Instant::now();
    fs::rename(&other, &file).expect("they are ours");
    vipd.wait_for("VI_1: priority 80 -> 120");
    assert!(replaced.elapsed() < AT_ONCE, "after {:?}", replaced.elapsed());
}

#[test]
fn a_file_is_found_when_its_folder_comes_and_behind_a_link_that_is_changed() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let folder = network.folder.join("later");
    let text = format!(
        "track_file load {{\n file {}/number\n weight 10\n}}\n{}",
        folder.display(),
        instance("track_file {\n load\n }")
    );
    let vipd = host.launch(&host.file(&text));
    vipd.wait_for("No such file or directory (os error 2), its value stays");
    let version = |name: &str, number: &str| {
        let version = network.folder.join(name);
        fs::create_dir(&version).expect("a folder of ours");
        fs::write(version.join("number"), number).expect("a file of ours");
        symlink(&version, network.folder.join("new")).expect("a link of ours");
        fs::rename(network.folder.join("new"), &folder).expect("they are ours");
    };
    version("one", "1\n");
    vipd.wait_for("VI_1: priority 100 -> 110");
    version("two", "2\n");
    vipd.wait_for("VI_1: priority 110 -> 120");
    fs::write(network.folder.join("two/number"), "3\n").expect("a file of ours");
    vipd.wait_for("VI_1: priority 120 -> 130");
}

#[test]
fn an_instance_needs_as_many_processes_as_its_file_says_and_notices_the_end_of_one_at_once() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    // A name of its own: every process of this machine is looked at.
    let name = format!("vd{}", std::process::id());
    let program = network.folder.join(&name);
    fs::copy("/bin/sleep", &program).expect("sleep is there");
    let start = |seconds: &str| {
        let child = Command::new(&program).arg(seconds).spawn().expect("it is a program");
        Ended(child)
    };
    let text = format!(
        "vrrp_track_process pair {{\n process {name}\n quorum 2\n}}\n\
         vrrp_track_process one {{\n process {program} 1001\n weight 20\n \
         terminate_delay 0.5\n}}\n{}",
        instance("track_process {\n pair\n one\n }"),
        program = program.display(),
    );
    let first = start("1000");
    let mut vipd = host.launch(&host.file(&text));
    vipd.wait_for("vrrp_track_process pair is bad: 1 running");
    vipd.wait_for("VI_1: init -> fault: pair is down");
    let second = start("1001");
    vipd.wait_for_all(&["VI_1: fault -> backup: recovered", "VI_1: priority 100 -> 120"]);
    capture.announcement(0, 0, VIP);

    let mark = capture.mark();
    let ended = Instant::now();
    drop(first);
    capture.advert(mark, 0, 0);
    assert!(ended.elapsed() < AT_ONCE, "after {:?}", ended.elapsed());
    vipd.wait_for("VI_1: master -> fault: pair is down");
    let ended = Instant::now();
    drop(second);
    vipd.wait_for("VI_1: priority 120 -> 100");
    assert!(ended.elapsed() >= Duration::from_millis(500), "after {:?}", ended.elapsed());

    // What a reload leaves as it was goes on; what it takes away is watched no more.
    host.file(&instance(""));
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for("VI_1: fault -> backup: recovered");
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

#[test]
fn the_first_scripts_that_a_reload_brings_are_run_and_the_helper_ends_with_vipd_alone() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let mut vipd = host.start(&host.file(&instance("")));
    let helper = vipd.child("script-helper");
    // As `pkill vipd` and its like do to all that is called vipd.
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        nix::sys::signal::kill(helper, signal).expect("it runs");
    }
    let heard = network.folder.join("heard");
    // The shell's own, by nothing but itself: what it starts may begin with another mask.
    let line = format!(
        "while read -r key value; do case $key in SigBlk:|CapEff:) echo \"$key $value\";; esac; \
         done </proc/$$/status >>'{}'",
        heard.display()
    );
    let tell = script(&network.folder, "tell", 0o755, &line);
    let more = format!("track_script {{\n chk\n }}\n notify_fault {tell}");
    host.file(&format!("vrrp_script chk {{\n script /bin/false\n}}\n{}", instance(&more)));
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for_all(&[
        "vrrp_script chk is bad: exit status: 1",
        &format!("notify script {tell}: done"),
    ]);
    let heard = fs::read_to_string(&heard).expect("it wrote it");
    let own = fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let fact = |status: &str, key: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(key));
        found.map(|value| value.trim().to_string())
    };
    assert_eq!(fact(&heard, "CapEff:"), fact(&own, "CapEff:"), "what vipd was started with");
    assert_eq!(fact(&heard, "SigBlk:").as_deref(), Some("0000000000000000"));
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

/// How many processes have this word as their last argument.
fn processes(word: &str) -> usize {
    let all = fs::read_dir("/proc").expect("proc is mounted").flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let last = format!("\0{word}\0");
    lines.filter(|line| line.ends_with(last.as_bytes())).count()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process of ours that is ended and waited for.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn notify_scripts_hear_of_each_state_in_its_order_also_of_the_stop() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let heard = network.folder.join("heard");
    let tell = |name: &str, text: &str| {
        let line = format!("echo {text} >>'{}'", heard.display());
        script(&network.folder, name, 0o755, &line)
    };
    let (any, master) = (tell("any", "\"$@\""), tell("master", "own $#"));
    let text = instance(&format!("notify \"{any} first\"\n notify_master {master} root"));
    let mut vipd = host.start(&host.file(&text));
    let done = |state: &str| format!("notify script {any} first INSTANCE VI_1 {state} 100: done");
    vipd.wait_for_all(&[&done("MASTER"), &format!("notify script {master}: done")]);
    network.cable(0, false);
    vipd.wait_for(&done("FAULT"));
    network.cable(0, true);
    vipd.wait_for(&done("MASTER"));
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    let heard = fs::read_to_string(&heard).expect("they wrote it");
    let general: Vec<_> = heard.lines().filter(|line| line.starts_with("first")).collect();
    let states = general.iter().map(|line| line.split(' ').nth(3).unwrap_or_default());
    let states: Vec<_> = states.collect();
    assert_eq!(states, ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP"]);
    assert_eq!(general[1], "first INSTANCE VI_1 MASTER 100");
    assert_eq!(heard.lines().filter(|line| *line == "own 0").count(), 2, "{heard}");
}

#[test]
fn scripts_run_as_their_account_within_their_time_and_only_if_nobody_can_replace_them() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let account = script(&network.folder, "account", 0o755, "test \"$(id -un)\" = nobody");
    // Its child would keep the pipe of a script that is killed alone.
    let seconds = format!("1000{}", std::process::id());
    let sleeps = format!("sleep {seconds} & sleep {seconds}");
    let endless = script(&network.folder, "endless", 0o755, &sleeps);
    let replaceable = script(&network.folder, "replaceable", 0o777, "true");
    let text = format!(
        "global_defs {{\n script_user root\n enable_script_security\n}}\n\
         vrrp_script account {{\n script {account}\n user nobody\n weight 1\n}}\n\
         vrrp_script endless {{\n script {endless}\n timeout 1\n weight 1\n}}\n\
         vrrp_script replaceable {{\n script {replaceable}\n weight 1\n}}\n{}",
        instance("track_script {\n account\n endless\n replaceable\n }")
    );
    let mut vipd = host.launch(&host.file(&text));
    vipd.wait_for_all(&[
        "vrrp_script account is good",
        "vrrp_script endless is bad: did not end within 1s",
        "vrrp_script replaceable is bad: not run as root: others may change",
    ]);
    assert_eq!(host.status()["instances"][0]["priority"], 101, "one is good");
    until("it runs again", || processes(&seconds) == 2);
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    until("nothing of a script that ran at the stop is left", || processes(&seconds) == 0);
}
