//! Pairs of configurations, and what is said of them.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_sim::bare_files;
use vipd_sim::faults::FaultClass;
use vipd_sim::rehearse::advice::{Advice, advise};
use vipd_sim::rehearse::{Request, rehearse};
use vipd_sim::run::Ended;

pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rehearse-{name}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Files `lb1.conf` and `lb2.conf` of these texts.
pub fn pair(name: &str, one: &str, other: &str) -> Vec<PathBuf> {
    let folder = folder(name);
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        std::fs::write(&path, text).expect("a file");
        path
    };
    vec![write("lb1.conf", one), write("lb2.conf", other)]
}

/// An instance that no advice is about, if it is the lesser one.
pub fn instance(priority: u8, rest: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n version 3\n \
         advert_int 0.1\n priority {priority}\n nopreempt\n garp_master_refresh 10\n \
         dead_man 0.15\n one_way_yield 5\n {rest}\n virtual_ipaddress {{\n \
         192.0.2.100/24\n }}\n}}\n"
    )
}

pub fn lb1(rest: &str) -> String {
    instance(200, &format!("mcast_src_ip 192.0.2.11\n {rest}"))
}

pub fn lb2(rest: &str) -> String {
    instance(100, &format!("mcast_src_ip 192.0.2.12\n {rest}"))
}

pub fn request(files: Vec<PathBuf>, classes: &[FaultClass], runs: u64) -> Request {
    Request {
        files,
        classes: classes.to_vec(),
        runs,
        seed: None,
        jobs: 2,
        json: false,
        html: None,
        bar: false,
        colour: Colour::Never,
        stop: || false,
    }
}

pub struct Said {
    pub ended: Ended,
    pub out: String,
    pub err: String,
}

pub fn run(request: &Request) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = rehearse(request, &mut out, &mut err).expect("memory takes everything");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
    Said { ended, out: text(out), err: text(err) }
}

pub fn json(request: &Request) -> Value {
    let said = run(&Request { json: true, ..request.clone() });
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err))
}

/// The codes of the advice for a pair.
pub fn codes(name: &str, one: &str, other: &str) -> Vec<&'static str> {
    advice(name, one, other).into_iter().map(|one| one.code).collect()
}

pub fn advice(name: &str, one: &str, other: &str) -> Vec<Advice> {
    let mut err = Vec::new();
    let files = pair(name, one, other);
    let bare = bare_files::read(&files, Colour::Never, &mut err).expect("memory takes it all");
    let bare = bare.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&err)));
    advise(&bare.files)
}

/// These lines of both files are gone.
pub fn plain(lines: &[&str]) -> [String; 2] {
    [lb1(""), lb2("")].map(|text| {
        lines.iter().fold(text, |text, line| {
            assert!(text.contains(line), "{line} is not in {text}");
            text.replace(line, "")
        })
    })
}
