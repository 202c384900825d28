//! A pair of directors and a client, ready to be played: what the tests of the world share.
#![allow(dead_code, reason = "each test file uses its part of it")]

pub mod wire;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vipd_engine::config::{Peer, Transport, VirtualAddress};
use vipd_engine::{
    Config, Counters, DropReason, Family, InstanceConfig, News, Password, Priority, StateKind, Vrid,
};
use vipd_scenarios::record::{HostId, Observation, Seen, WorldTime};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_sim::configurations::Configurations;
use vipd_sim::world::Simulation;

use wire::Capture;

pub const A: HostId = HostId(0);
pub const B: HostId = HostId(1);
pub const CLIENT: HostId = HostId(2);
pub const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 100));
/// The addresses of a router that is alone.
pub const OWN: &str = "10.0.0.2/24 fe80::2/64 2001:db8::2/64";
/// What a frame needs to cross the link.
pub const DELAY: u64 = 100_000;
pub const SECOND: u64 = 1_000_000_000;
/// 3 A + Skew_Time of priority 100 at one second.
pub const DOWN: u64 = 3_609_375_000;

/// A router, and a link on which somebody may speak.
pub const ALONE: &str = r#"
title = "a router and somebody who speaks"
until = "40s"
[segment.lan]
[host.a]
config = "seed/director-1.conf"
interfaces.eth0 = { segment = "lan", address = "10.0.0.2/24" }
"#;

const PAIR: &str = r#"
title = "a pair and a client"
until = "20s"
[segment.lan]
[host.a]
config = "seed/director-1.conf"
interfaces.eth0 = { segment = "lan", address = "10.0.0.1/24" }
[host.b]
config = "seed/director-2.conf"
interfaces.eth0 = { segment = "lan", address = "10.0.0.2/24" }
"#;

const PROBING: &str = r#"
[host.client]
interfaces.eth0 = { segment = "lan", address = "10.0.0.9/24" }
probe = { address = "10.0.0.100", every = "100ms" }
"#;

/// A scenario with configurations that the test made.
pub struct Rehearsal {
    pub scenario: Scenario,
    pub configurations: Configurations,
}

/// A run, everything that was seen in it, and the world as it was at its end.
pub struct Played {
    pub seen: Vec<Observation>,
    pub trace: u128,
    pub world: Simulation,
}

/// The virtual router 51 of the tests: v2, multicast, 1 s, priorities 100 and 99.
pub fn instance(priority: i64) -> InstanceConfig {
    let mut instance =
        InstanceConfig::new("VI_1", Family::Ipv4, "eth0", Vrid::new(51).expect("a VRID"));
    instance.priority = Priority::new(priority).expect("a priority");
    instance.password = Password::new(b"1111").ok();
    instance.addresses = vec![VirtualAddress::new(VIP)];
    instance
}

pub fn config(instance: InstanceConfig) -> Arc<Config> {
    Arc::new(Config::new(vec![instance], vec![], std::time::Duration::ZERO).expect("a config"))
}

impl Rehearsal {
    /// The pair without a client, and `rest` below it.
    pub fn pair(rest: &str) -> Self {
        Self::new(&format!("{PAIR}{rest}"), |_| ())
    }

    /// The pair and a client that probes ten times a second.
    pub fn probed(rest: &str) -> Self {
        Self::new(&format!("{PAIR}{PROBING}{rest}"), |_| ())
    }

    /// The probed pair with a change to both instances.
    pub fn changed(rest: &str, change: impl Fn(&mut InstanceConfig)) -> Self {
        Self::new(&format!("{PAIR}{PROBING}{rest}"), change)
    }

    pub fn new(text: &str, change: impl Fn(&mut InstanceConfig)) -> Self {
        let files = [(A, 1, 100), (B, 2, 99)].map(|(host, file, priority)| {
            let mut instance = instance(priority);
            change(&mut instance);
            (host, file, config(instance))
        });
        Self::with_files(text, files)
    }

    /// A router `a` and a machine that listens to it, until this time.
    pub fn alone(instance: InstanceConfig, until: &str, steps: &str) -> Self {
        let a = host("a", Some(1), &[("lan", OWN)]);
        let witness = host("witness", None, &[("lan", "10.0.0.9/24")]);
        let text = scenario(until, &["lan"]) + &a + &witness + steps;
        Self::with_files(&text, [(A, 1, config(instance))])
    }

    /// What the file with this number (see [`conf`]) says on a host.
    pub fn with_files(
        text: &str,
        files: impl IntoIterator<Item = (HostId, u8, Arc<Config>)>,
    ) -> Self {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/test.toml");
        let scenario = Scenario::parse(&place, text).unwrap_or_else(|error| panic!("{error}"));
        let mut configurations = Configurations::default();
        for (host, file, config) in files {
            configurations.insert(host, &conf(file), config);
        }
        Self { scenario, configurations }
    }

    pub fn simulation(&self, seed: u64) -> Simulation {
        Simulation::new(&self.scenario, self.configurations.clone(), seed)
    }

    pub fn play(&self) -> Played {
        self.play_with(1)
    }

    pub fn play_with(&self, seed: u64) -> Played {
        let mut world = self.simulation(seed);
        let mut seen = Vec::new();
        let outcome = runner::run(&self.scenario, &mut world, None, Some(&mut seen));
        Played { seen, trace: outcome.trace.expect("a simulated run has a trace"), world }
    }

    /// Plays it and keeps what passed at every port.
    pub fn capture(&self) -> (Played, Capture) {
        let mut world = self.simulation(1);
        let file = wire::File::default();
        world.capture_to(&self.scenario, file.clone()).expect("a capture");
        let mut seen = Vec::new();
        let outcome = runner::run(&self.scenario, &mut world, None, Some(&mut seen));
        world.finish_capture().expect("a capture");
        let trace = outcome.trace.expect("a simulated run has a trace");
        (Played { seen, trace, world }, Capture::read(&file.octets()))
    }
}

/// The head of a scenario with these segments.
pub fn scenario(until: &str, segments: &[&str]) -> String {
    let segments: String = segments.iter().map(|name| format!("[segment.{name}]\n")).collect();
    format!("title = \"a rehearsal\"\nuntil = \"{until}\"\n{segments}")
}

/// A host, perhaps with the file of this number, and its interfaces `eth0`, `eth1` and so on: the
/// segment of each and its addresses.
pub fn host(name: &str, file: Option<u8>, interfaces: &[(&str, &str)]) -> String {
    let mut text = format!("[host.{name}]\n");
    if let Some(number) = file {
        text += &format!("config = \"seed/director-{number}.conf\"\n");
    }
    for (index, (segment, addresses)) in interfaces.iter().enumerate() {
        let addresses = addresses.replace(' ', "\", \"");
        text += &format!("interfaces.eth{index} = ");
        text += &format!("{{ segment = \"{segment}\", address = [\"{addresses}\"] }}\n");
    }
    text
}

/// A step and its arguments.
pub fn step(at: &str, what: &str) -> String {
    format!("[[step]]\nat = \"{at}\"\n{what}\n")
}

/// The file of a director.
pub fn conf(number: u8) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    folder.join(format!("seed/director-{number}.conf"))
}

/// Adverts to each other instead of to the group.
pub fn unicast(instance: &mut InstanceConfig) {
    let peer = if instance.priority.get() == 100 { [10, 0, 0, 2] } else { [10, 0, 0, 1] };
    let peers = vec![Peer::new(IpAddr::from(peer))];
    instance.transport = Transport::Unicast { source: None, peers, ttl: 255 };
}

impl Played {
    /// When this was seen, in order.
    pub fn times(&self, what: impl Fn(&Observation) -> bool) -> Vec<u64> {
        self.seen.iter().filter(|seen| what(seen)).map(|seen| seen.at.0).collect()
    }

    /// When a host entered a state.
    pub fn entered(&self, host: HostId, state: StateKind) -> Vec<u64> {
        self.times(|seen| {
            let Seen::Engine(event) = &seen.seen else { return false };
            seen.host == host && matches!(event.news, News::State { to, .. } if to == state)
        })
    }

    /// When a host's engine reported something of this name.
    pub fn reported(&self, host: HostId, name: &str) -> Vec<u64> {
        self.times(|seen| {
            let Seen::Engine(event) = &seen.seen else { return false };
            seen.host == host && event.news.name() == name
        })
    }

    /// What the one instance of a host counted.
    pub fn counters(&self, host: HostId) -> &Counters {
        let status = self.world.status(host).expect("a process");
        status.instances().next().expect("an instance").counters()
    }

    /// The reasons for which a host dropped something, and how often.
    pub fn drops(&self, host: HostId) -> Vec<(DropReason, u64)> {
        let unclaimed = self.world.status(host).expect("a process").unclaimed();
        let claimed = &self.counters(host).drops;
        let counts = DropReason::ALL
            .into_iter()
            .map(|reason| (reason, claimed.get(reason) + unclaimed.get(reason)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// When a host's data plane took (or gave up) the virtual address.
    pub fn owned(&self, host: HostId, expected: bool) -> Vec<u64> {
        self.times(|seen| {
            seen.host == host && matches!(seen.seen, Seen::Owns { owns, .. } if owns == expected)
        })
    }

    /// Who answered the last probe that was over at this time.
    pub fn answered_by(&self, at: u64) -> Option<HostId> {
        let before = self.seen.iter().rev().filter(|seen| seen.at <= WorldTime(at));
        before
            .filter_map(|seen| match seen.seen {
                Seen::Probe { answered_by, .. } => Some(answered_by),
                _ => None,
            })
            .next()
            .flatten()
    }
}
