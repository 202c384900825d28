//! The language by example: each step, each mistake.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::record::{HostId, SegmentId};
use crate::scenario::{Expect, Paths, Step};

const FILE: &str = "scenarios/failover/test.toml";

const PAIR: &str = r#"
title = "two directors and a client"
until = "20s"

[segment.lan]

[host.a]
config = "../seed/director-1.conf"
interfaces.ens192 = { segment = "lan", address = "200.222.0.73/24" }

[host.b]
config = "../seed/director-2.conf"
interfaces.ens192 = { segment = "lan", address = "200.222.0.74/24" }

[host.client]
interfaces.eth0 = { segment = "lan", address = ["200.222.0.10/24", "2001:db8::10/64"] }
probe = { address = "200.222.0.113", every = "100ms" }
"#;

/// Paths in it are relative to a folder beside `seed`.
fn parse(text: &str) -> Result<Scenario, Unreadable> {
    Scenario::parse(&Path::new(env!("CARGO_MANIFEST_DIR")).join("failover/test.toml"), text)
}

fn with(text: &str) -> Result<Scenario, Unreadable> {
    parse(&format!("{PAIR}\n{text}"))
}

/// The mistakes, without the place of this crate.
fn mistakes(text: &str) -> String {
    let rendered = parse(text).expect_err("the text holds mistakes").to_string();
    rendered.replace(env!("CARGO_MANIFEST_DIR"), "scenarios")
}

fn mistakes_with(text: &str) -> String {
    mistakes(&format!("{PAIR}\n{text}"))
}

#[test]
fn the_seed_scenario_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("failover/pkill-master.toml");
    let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.name, "failover/pkill-master");
    assert_eq!((scenario.hosts.len(), scenario.steps.len()), (3, 2));
    assert_eq!(scenario.steps[0].step, Step::Stop(HostId(0)));
    assert_eq!(scenario.expectations[0].window.0, WorldTime(3_609_375_000));
}
