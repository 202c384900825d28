//! What tracked scripts can tell: one that asks somebody else is no witness of a crash, and of one
//! that is a program of its own nobody here can tell.

use std::net::IpAddr;

use vipd_engine::config::Tracked;

use super::Files;
use crate::bare_files::BareFile;

/// Programs that ask whether somebody else is there.
const ASKS_OTHERS: [&str; 6] = ["ping", "ping6", "fping", "arping", "traceroute", "mtr"];

/// Programs that ask whom they are told to ask.
const ASKS_ANYBODY: [&str; 11] =
    ["curl", "wget", "nc", "ncat", "netcat", "dig", "drill", "nslookup", "host", "nmap", "telnet"];

/// Programs that look at their own machine.
const ASKS_NOBODY: [&str; 16] = [
    "pgrep",
    "pidof",
    "killall",
    "kill",
    "ps",
    "systemctl",
    "service",
    "ss",
    "netstat",
    "ip",
    "test",
    "[",
    "[[",
    "true",
    "false",
    "cat",
];

/// Whom a script asks.
enum Asks {
    /// Its own machine.
    Nobody,
    /// Somebody else, by this program.
    Others(String),
    /// What this program asks does not stand in the file.
    Unknown(String),
}

pub(super) fn script_is_no_witness(files: &Files<'_>) -> Vec<String> {
    let told = |(file, name, asks): (&BareFile, String, Asks)| match asks {
        Asks::Others(program) => Some(format!(
            "{}: `{name}` runs {program}: it cannot tell a cut between the pair from a crash, \
             both sides may reach what it asks; it is no witness against two masters",
            file.name
        )),
        Asks::Nobody | Asks::Unknown(_) => None,
    };
    tracked(files).into_iter().filter_map(told).collect()
}

pub(super) fn script_is_opaque(files: &Files<'_>) -> Vec<String> {
    let told = |(file, name, asks): (&BareFile, String, Asks)| match asks {
        Asks::Unknown(program) => Some(format!(
            "{}: `{name}` runs {program}: whom that asks does not stand in the file, so nobody \
             can tell here whether it tells a cut between the pair from a crash; it does not if \
             both sides may reach what it asks",
            file.name
        )),
        Asks::Nobody | Asks::Others(_) => None,
    };
    tracked(files).into_iter().filter_map(told).collect()
}

/// The scripts that something tracks, each with its file.
fn tracked<'a>(files: &Files<'a>) -> Vec<(&'a BareFile, String, Asks)> {
    let mut found = Vec::new();
    for file in files.files {
        let config = &file.loaded.config;
        let tracks = config.instances().iter().flat_map(|one| &one.tracks);
        let tracks: Vec<_> =
            tracks.chain(config.groups().iter().flat_map(|one| &one.tracks)).collect();
        for script in &file.loaded.trackers.scripts {
            let is_tracked = tracks.iter().any(|track| match &track.tracked {
                Tracked::Tracker(name) => *name == script.name,
                Tracked::Interface(_) => false,
            });
            if is_tracked {
                found.push((file, script.name.to_string(), asks(&script.command, file)));
            }
        }
    }
    found
}

fn asks(command: &str, file: &BareFile) -> Asks {
    let words = command.split(|c: char| c.is_whitespace() || "'\"`$();|&<>".contains(c));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let programs: Vec<_> =
        words.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
    let first_of = |known: &[&str]| programs.iter().find(|program| known.contains(program));
    if let Some(program) = first_of(&ASKS_OTHERS) {
        return Asks::Others((*program).to_owned());
    }
    if let Some(program) = first_of(&ASKS_ANYBODY) {
        let mut addresses = words.iter().filter_map(|word| address(word));
        if addresses.clone().any(|address| !is_own(address, file)) {
            return Asks::Others((*program).to_owned());
        }
        let local = words.iter().any(|word| word.contains("localhost"));
        if local || addresses.next().is_some() {
            return Asks::Nobody;
        }
        return Asks::Unknown((*program).to_owned());
    }
    match words.first() {
        Some(program) if first_of(&ASKS_NOBODY).is_none() => Asks::Unknown((*program).to_owned()),
        Some(_) | None => Asks::Nobody,
    }
}

/// The address that a word names: `192.0.2.1`, `http://192.0.2.1:80/`, `[2001:db8::1]:80`,
/// `@192.0.2.53`.
fn address(word: &str) -> Option<IpAddr> {
    let word = word.split_once("://").map_or(word, |(_, rest)| rest);
    let word = word.split('/').next().unwrap_or(word);
    let word = word.rsplit('@').next().unwrap_or(word);
    let whole = word.parse().ok();
    let in_brackets = || word.strip_prefix('[')?.split(']').next()?.parse().ok();
    let with_port = || word.split_once(':')?.0.parse().ok();
    whole.or_else(in_brackets).or_else(with_port)
}

/// Whether a host asks itself by this address, or whoever is the master.
fn is_own(address: IpAddr, file: &BareFile) -> bool {
    let config = &file.loaded.config;
    let mut instances = config.instances().iter();
    address.is_loopback()
        || address.is_unspecified()
        || config.statics().addresses.iter().any(|(_, held)| held.address == address)
        || instances.any(|one| {
            let mut held = one.addresses.iter().chain(&one.excluded);
            one.source() == Some(address) || held.any(|held| held.address == address)
        })
}
