//! Notification for real: sync groups, named pipes and what reads them, what a reload takes away,
//! and that scripts of one object do not overtake each other.

mod netns;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use netns::{INTERFACE, Network, network};
use nix::sys::signal::Signal;

const OWN: &str = "192.0.2.1/24";

/// A virtual router with adverts every tenth of a second, and more lines in its block.
fn instance(number: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI_{number} {{\n interface {INTERFACE}\n virtual_router_id {number}\n \
         version 3\n advert_int 0.1\n {more}\n virtual_ipaddress {{\n 192.0.2.10{number}\n }}\n}}\n"
    )
}

/// A script that appends what it is given to a file.
fn script(network: &Network, name: &str, text: &str) -> (String, PathBuf) {
    let (path, heard) = (network.folder.join(name), network.folder.join(format!("{name}.heard")));
    let text = text.replace("HEARD", &heard.display().to_string());
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file of ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    (path.display().to_string(), heard)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_string).collect()
}

const OF_A_START: [&str; 6] = [
    "INSTANCE \"VI_1\" BACKUP 100",
    "INSTANCE \"VI_2\" BACKUP 100",
    "GROUP \"VG\" BACKUP 0",
    "INSTANCE \"VI_1\" MASTER 100",
    "INSTANCE \"VI_2\" MASTER 100",
    "GROUP \"VG\" MASTER 0",
];
const OF_A_STOP: [&str; 3] =
    ["INSTANCE \"VI_1\" STOP 100", "INSTANCE \"VI_2\" STOP 100", "GROUP \"VG\" STOP 0"];

#[test]
fn named_pipes_hear_of_every_state_in_order_also_those_that_nobody_read_at_the_time() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let (reader, heard) =
        script(&network, "reader", "cat \"$2\" >>'HEARD'; echo \"end $1\" >>'HEARD'");
    let (group, told) = script(&network, "group", "echo \"$@\" >>'HEARD'");
    let (late, read) = (network.folder.join("late pipe"), network.folder.join("pipe"));
    let text = format!(
        "global_defs {{\n script_user root\n vrrp_notify_fifo \"{}\" nobody\n notify_fifo {}\n \
         notify_fifo_script \"{reader} one\"\n}}\n{}{}vrrp_sync_group VG {{\n group {{\n VI_1\n \
         VI_2\n }}\n notify {group}\n notify_stop \"{group} own\"\n}}\n",
        late.display(),
        read.display(),
        instance(1, ""),
        instance(2, ""),
    );
    let mut vipd = host.start(&host.file(&text));
    vipd.wait_for("VI_1: sync group VG: backup -> master");
    vipd.wait_for(&format!("notify script {group} GROUP VG MASTER 0: done"));
    let facts = fs::symlink_metadata(&late).expect("it was made");
    assert!(facts.file_type().is_fifo());
    assert_eq!((facts.mode() & 0o777, facts.uid()), (0o600, 65534), "for nobody alone");

    // A reload that leaves a pipe as it was leaves its script as well.
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for("read anew");
    let pipe = late.clone();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(&pipe).expect("it is there").read_to_string(&mut text).expect("text");
        text
    });
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    let expected = [&OF_A_START[..], &OF_A_STOP].concat();
    let text = reading.join().expect("no panic");
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(lines(&heard), [&expected[..], &["end one"]].concat());
    assert!(!late.exists() && !read.exists(), "what it made it removes");
    let states = ["BACKUP", "MASTER"].map(|state| format!("GROUP VG {state} 0"));
    assert_eq!(lines(&told)[..2], states);
    assert_eq!(lines(&told)[2..], ["own", "GROUP VG STOP 0"]);
}

#[test]
fn what_a_reload_takes_away_is_told_of_its_end_by_the_file_before() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let (tell, heard) = script(&network, "tell", "echo \"$@\" >>'HEARD'");
    let deleted = format!("notify_deleted \"{tell} deleted\"\n notify {tell}");
    let fault = format!("notify_fault \"{tell} fault\"");
    let more = [instance(2, &deleted), instance(3, &fault)].concat();
    let text = format!("global_defs {{\n script_user root\n}}\n{}{more}", instance(1, ""));
    let mut vipd = host.start(&host.file(&text));
    vipd.wait_for_all(&[
        "VI_3: backup -> master",
        &format!("notify script {tell} INSTANCE VI_2 MASTER 100: done"),
    ]);
    fs::write(&heard, "").expect("it is ours");
    host.file(&instance(1, ""));
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for_all(&[
        &format!("notify script {tell} INSTANCE VI_2 DELETED 100: done"),
        &format!("notify script {tell} fault: done"),
    ]);
    let mut told = lines(&heard);
    told.sort_unstable();
    assert_eq!(told, ["INSTANCE VI_2 DELETED 100", "deleted", "fault"]);
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

#[test]
fn while_a_script_runs_only_the_last_state_waits_for_it() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    // As a master it goes on until there is this file.
    let enough = network.folder.join("enough");
    let text = format!(
        "echo \"begin $3\" >>'HEARD'; while test \"$3\" = MASTER && ! test -e '{}'; do sleep 0.02; \
         done; echo \"end $3\" >>'HEARD'",
        enough.display()
    );
    let (slow, heard) = script(&network, "slow", &text);
    let text = format!(
        "global_defs {{\n script_user root\n}}\n{}",
        instance(1, &format!("notify {slow}"))
    );
    let mut vipd = host.start(&host.file(&text));
    vipd.wait_for_all(&[
        "VI_1: backup -> master",
        &format!("notify script {slow} INSTANCE VI_1 BACKUP 100: done"),
    ]);
    network.cable(0, false);
    vipd.wait_for("VI_1: master -> fault");
    network.cable(0, true);
    vipd.wait_for_all(&[
        "FAULT is passed over",
        "VI_1: fault -> backup",
        "BACKUP is passed over",
        "VI_1: backup -> master",
    ]);
    fs::write(&enough, "").expect("a file of ours");
    vipd.wait_for(&format!("notify script {slow} INSTANCE VI_1 MASTER 100: done"));
    vipd.wait_for(&format!("notify script {slow} INSTANCE VI_1 MASTER 100: done"));
    let heard = lines(&heard);
    let expected = ["BACKUP", "MASTER", "MASTER"]
        .map(|state| [format!("begin {state}"), format!("end {state}")]);
    assert_eq!(heard, expected.concat(), "each ends before the next begins");
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

#[test]
fn a_master_that_hears_a_lower_one_runs_its_script_each_time() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let (first, second) = (&network.hosts[0], &network.hosts[1]);
    let (tell, heard) = script(&network, "tell", "echo \"$@\" >>'HEARD'");
    let more = format!("priority 200\n notify_master_rx_lower_pri \"{tell} lower\"");
    let text = format!("global_defs {{\n script_user root\n}}\n{}", instance(1, &more));
    let better = first.start(&first.file(&text));
    better.wait_for("VI_1: backup -> master");
    // It hears nobody until its cable is in.
    network.cable(1, false);
    let lower = second.start(&second.file(&instance(1, "priority 50\n dont_track_primary")));
    lower.wait_for("VI_1: backup -> master");
    network.cable(1, true);
    better.wait_for("192.0.2.2 is master too, with priority 50");
    better.wait_for(&format!("notify script {tell} lower: done"));
    assert_eq!(lines(&heard)[0], "lower");
    lower.wait_for("VI_1: master -> backup: 192.0.2.1 has priority 200");
}

#[test]
fn a_master_that_is_not_heard_yields_by_a_keyword_and_comes_back_by_an_order() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let (first, second) = (&network.hosts[0], &network.hosts[1]);
    let more = "priority 200\n one_way_alarm 2\n one_way_yield 3600";
    let better = first.start(&first.file(&instance(1, more)));
    better.wait_for("VI_1: backup -> master");
    let rules = "table inet t { chain in { type filter hook input priority 0; \
                 meta l4proto 112 drop; }; }";
    second.output(&["nft", rules]);
    let lower = second.start(&second.file(&instance(1, "priority 50")));
    lower.wait_for("VI_1: backup -> master");
    better.wait_for("VI_1: master -> backup: yields to 192.0.2.2, which does not hear us");
    let said = first.vipd(&["status"]);
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("held down, a rival does not hear it: preempts nobody for"), "{said}");
    second.output(&["nft", "delete table inet t"]);
    assert_eq!(first.vipd(&["resume", "VI_1"]).status.code(), Some(0));
    lower.wait_for("VI_1: master -> backup: 192.0.2.1 has priority 200");
}

#[test]
fn a_master_that_a_lower_one_does_not_hear_says_so_to_its_script_its_pipe_and_its_status() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let (first, second) = (&network.hosts[0], &network.hosts[1]);
    let (tell, heard) = script(&network, "tell", "echo \"$@\" >>'HEARD'");
    let more = format!("priority 200\n notify_one_way \"{tell} deaf\"\n one_way_alarm 2");
    let pipe = network.folder.join("fifo");
    let globals = format!("script_user root\n vrrp_notify_fifo {}", pipe.display());
    let text = format!("global_defs {{\n {globals}\n}}\n{}", instance(1, &more));
    let better = first.start(&first.file(&text));
    better.wait_for("VI_1: backup -> master");
    // What comes in is dropped; what goes out is not.
    let rules = "table inet t { chain in { type filter hook input priority 0; \
                 meta l4proto 112 drop; }; }";
    second.output(&["nft", rules]);
    let lower = second.start(&second.file(&instance(1, "priority 50")));
    lower.wait_for("VI_1: backup -> master");
    better.wait_for(&format!("notify script {tell} deaf: done"));
    assert_eq!(lines(&heard), ["deaf"]);
    let status = first.status();
    assert_eq!(status["instances"][0]["does_not_hear_us"], serde_json::json!(["192.0.2.2"]));
    let said = first.vipd(&["status"]);
    let said = String::from_utf8_lossy(&said.stdout);
    let expected = "two masters: 192.0.2.2 has less priority and does not hear us";
    assert!(said.contains(expected), "{said}");
    // It goes on writing: what is in the pipe until now is one read.
    let mut octets = [0; 4096];
    let count = fs::File::open(&pipe).expect("it is there").read(&mut octets).expect("lines");
    let told = String::from_utf8_lossy(&octets[..count]).into_owned();
    assert_eq!(told.matches("INSTANCE \"VI_1\" MASTER_ONE_WAY 200\n").count(), 1, "{told}");
    second.output(&["nft", "delete table inet t"]);
    lower.wait_for("VI_1: master -> backup: 192.0.2.1 has priority 200");
}
