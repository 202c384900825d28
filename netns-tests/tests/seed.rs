//! The whole seed on a kernel that has IPVS: two directors, two real servers and two clients, real
//! connections through the virtual address, before, during and after the stop of the master. One
//! director is vipd, the other one keepalived.
//!
//! On a machine whose kernel has no IPVS it is played inside of user-mode Linux.

use std::process::Command;

use serde_json::Value;
use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::uml;
use vipd_scenarios::scenario::Need;

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/seed/director.toml");
/// An advert and a gratuitous ARP of 100 us each, the skew of 157/256 s, and the 20 ms between two
/// connections.
const OUTAGE_NS: u64 = 633_481_250;
/// What a machine that tests other things as well may be late by. A backup that waits for its
/// down timer, or a client that waits for its TCP, is later by seconds.
const LATE_NS: u64 = 250_000_000;

#[test]
fn clients_are_served_before_during_and_after_the_stop_of_the_master() {
    if let Err(lacking) = possible() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
        eprintln!("skipped: {lacking}");
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_viplab"));
    // Two processes that start at once, without optimisation and on one processor, take their time.
    command.args(["run", SCENARIO, "--json", "--tolerance", "1500ms"]);
    command.args(["--node", "director-2=keepalived"]);
    let ran = command.output().expect("viplab");
    let object: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let said = String::from_utf8_lossy(&ran.stderr);
    let expectations = object["expectations"].as_array().expect("expectations");
    let not_met: Vec<_> = expectations.iter().filter(|one| one["instead"].is_string()).collect();
    assert_eq!(object["verdict"], "pass", "{not_met:#?}\n{}\n{said}", object["properties"]);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    let outage = expectations.iter().find(|one| {
        let text = one["expect"].as_str().expect("text");
        text.starts_with("4 s to ") && text.contains("client has no outage")
    });
    let measured = outage.expect("the outage")["measured_ns"].as_u64().expect("a time");
    // It was seen, so the backup took over, and no sooner than its skew.
    assert!(measured >= 580_000_000, "{measured} ns");
    assert!(measured <= OUTAGE_NS + LATE_NS, "{measured} ns");
}

/// What is missing, in words.
fn possible() -> Result<(), String> {
    if Command::new("keepalived").arg("--version").output().is_err() {
        return Err("keepalived is not installed (Debian package keepalived)".to_string());
    }
    let here = nix::unistd::geteuid().is_root() && lacking(&[Need::Ipvs]).is_empty();
    if here { Ok(()) } else { uml::is_possible() }
}
