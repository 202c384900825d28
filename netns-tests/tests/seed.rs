//! The whole seed on a kernel that has IPVS: two directors, two real servers and two clients, real
//! connections through the virtual address, before, during and after the stop of the master. Both
//! directors are vipd, or either one is keepalived.
//!
//! On a machine whose kernel has no IPVS it is played inside of user-mode Linux.

use std::process::Command;

use serde_json::Value;
use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::uml;
use vipd_scenarios::scenario::Need;

/// An advert and a gratuitous ARP of 100 us each, the skew of 157/256 s, and the 20 ms between two
/// connections.
const OUTAGE_NS: u64 = 633_481_250;
/// No sooner than this after the resignation does the backup take over: its skew, less what a
/// kernel's clock rounds.
const SKEW_NS: u64 = 580_000_000;
/// What a machine that tests other things as well may be late by. A backup that waits for its
/// down timer, or a client that waits for its TCP, is later by seconds.
const LATE_NS: u64 = 250_000_000;

#[test]
fn clients_are_served_before_during_and_after_the_stop_of_the_master() {
    follows_in_time(&[]);
}

#[test]
fn clients_are_served_before_during_and_after_the_stop_of_the_master_by_a_keepalived() {
    follows_in_time(&["director-2=keepalived"]);
}

#[test]
fn clients_are_served_before_during_and_after_the_stop_of_the_master_keepalived_by_a_vipd() {
    follows_in_time(&["director-1=keepalived"]);
}

#[test]
fn clients_are_served_before_during_and_after_the_stop_of_the_master_that_forwards() {
    let Some(run) = played("director-forwards", &[]) else { return };
    assert!(run.takes_over_after >= SKEW_NS, "{run:?}");
    // The stopped one forwards what comes to its MAC until it gives the address back, and to its
    // successor's from then on: the skew is no outage, as it is for one that does not forward.
    assert!(run.outage < SKEW_NS, "{run:?}");
    assert!(run.waited < 1_000_000_000, "its SYN was sent again: {run:?}");
}

fn follows_in_time(nodes: &[&str]) {
    let Some(run) = played("director", nodes) else { return };
    assert!(run.takes_over_after >= SKEW_NS, "{run:?}");
    // The stopped one serves until it gives the address back, a moment after it resigned.
    assert!(run.outage > 0, "nobody took over from it: {run:?}");
    assert!(run.outage <= OUTAGE_NS + LATE_NS, "{run:?}");
}

/// What is measured around the stop of the master, in nanoseconds.
#[derive(Debug)]
struct Run {
    /// From its resignation to the address at the other one.
    takes_over_after: u64,
    /// How long a client had no answer.
    outage: u64,
    /// How long one waited that asks for new connections.
    waited: u64,
}

/// A scenario of the seed whose expectations are all met. `None`: it cannot be played here, and
/// that is said.
fn played(scenario: &str, nodes: &[&str]) -> Option<Run> {
    if let Err(lacking) = possible() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
        eprintln!("skipped: {lacking}");
        return None;
    }
    let file = format!("{}/../scenarios/seed/{scenario}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_viplab"));
    // Two processes that start at once, without optimisation and on one processor, take their time.
    command.args(["run", &file, "--json", "--tolerance", "1500ms"]);
    for node in nodes {
        command.args(["--node", node]);
    }
    let ran = command.output().expect("viplab");
    let object: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let said = String::from_utf8_lossy(&ran.stderr);
    let expectations = object["expectations"].as_array().expect("expectations");
    let not_met: Vec<_> = expectations.iter().filter(|one| one["instead"].is_string()).collect();
    assert_eq!(object["verdict"], "pass", "{not_met:#?}\n{}\n{said}", object["properties"]);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    Some(Run {
        takes_over_after: takes_over_after(&object["timeline"]),
        outage: measured(expectations, "client has no outage"),
        waited: measured(expectations, "ordinary waits"),
    })
}

/// From the first resignation of director-1 to the first address that director-2 has behind it.
fn takes_over_after(timeline: &Value) -> u64 {
    let entries = timeline.as_array().expect("a timeline");
    let first = |host: &str, what: &str, from: u64| {
        let is_it = |one: &&Value| one["host"] == *host && one["what"] == *what;
        let times = entries.iter().filter(is_it).filter_map(|one| one["at_ns"].as_u64());
        times.filter(|at| *at >= from).min().unwrap_or_else(|| panic!("{host} {what}"))
    };
    let resigned = first("director-1", "resign", 0);
    first("director-2", "owns", resigned) - resigned
}

/// What was measured of the first expectation with these words: that about the stop of the master.
fn measured(expectations: &[Value], words: &str) -> u64 {
    let has = |one: &&Value| one["expect"].as_str().is_some_and(|text| text.contains(words));
    let found = expectations.iter().find(has).expect("the expectation");
    found["measured_ns"].as_u64().expect("a time")
}

/// What is missing, in words.
fn possible() -> Result<(), String> {
    if Command::new("keepalived").arg("--version").output().is_err() {
        return Err("keepalived is not installed (Debian package keepalived)".to_string());
    }
    let here = nix::unistd::geteuid().is_root() && lacking(&[Need::Ipvs]).is_empty();
    if here { Ok(()) } else { uml::is_possible() }
}
