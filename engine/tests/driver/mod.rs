//! A driver for tests: one engine on one interface, a kernel that does what it is told, and a list
//! of what the engine did. No timer, election or codec of its own. `frames/tests/captures.rs` uses
//! it too.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{FibEntry, GroupConfig, VirtualAddress};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, Config, EffectError, Engine, Family, FibChange, Frame, Ifindex, Input, InstanceConfig,
    InstanceName, InterfaceName, Interval, KernelCommand, Link, LinkState, LocalAddress,
    MacAddress, Order, Output, Outputs, Priority, Profile, Received, Rules, StateKind, Timestamp,
    TrackerName, TrackerValue, Version, Vrid,
};

pub const ETH0: Ifindex = Ifindex(2);
pub const OWN_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn vrid() -> Vrid {
    Vrid::new(51).unwrap()
}

pub fn priority(value: i64) -> Priority {
    Priority::new(value).unwrap()
}

pub fn nanos(count: u64) -> Duration {
    Duration::from_nanos(count)
}

/// A v2 instance `VI_1` with priority 100 and the address 10.0.0.100.
pub fn v2() -> InstanceConfig {
    let mut config = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid());
    config.addresses = vec![VirtualAddress::new(ip("10.0.0.100"))];
    config
}

/// The same in v3 with this many centiseconds.
pub fn v3(centiseconds: i64) -> InstanceConfig {
    let interval = Interval::from_centiseconds(centiseconds).unwrap();
    InstanceConfig { version: Version::V3, interval, ..v2() }
}

/// A v3 instance over IPv6 with the addresses fe80::10 and fd00:99::10, one second.
pub fn v6() -> InstanceConfig {
    let mut config = InstanceConfig::new("VI_6", Family::Ipv6, "eth0", vrid());
    config.addresses =
        ["fe80::10", "fd00:99::10"].map(|address| VirtualAddress::new(ip(address))).into();
    config
}

/// A row and its instance under drop-in and under each RFC of its version.
pub fn under_each_profile(
    row: &'static str,
    config: &InstanceConfig,
) -> Vec<(&'static str, InstanceConfig)> {
    let profiles = match config.version {
        Version::V2 => vec![Profile::DropIn, Profile::Rfc3768],
        Version::V3 => vec![Profile::DropIn, Profile::Rfc5798, Profile::Rfc9568],
    };
    let with = |profile| InstanceConfig { rules: Rules::of(profile), ..config.clone() };
    profiles.into_iter().map(|profile| (row, with(profile))).collect()
}

/// A row of v2 and the row of v3 that says the same, each under its profiles.
pub fn both(v2_row: &'static str, v3_row: &'static str) -> Vec<(&'static str, InstanceConfig)> {
    let mut cases = under_each_profile(v2_row, &v2());
    cases.extend(under_each_profile(v3_row, &v3(100)));
    cases
}

/// What the kernel of the test does with a command or a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done at once.
    Ok,
    /// Failed at once.
    Fails,
    /// Never answered.
    Silent,
}

/// One engine and its surroundings.
pub struct Driver {
    pub engine: Engine,
    pub now: Timestamp,
    /// Everything the engine did, with its time.
    pub log: Vec<(Timestamp, Output)>,
    pub kernel: Answer,
    pub wire: Answer,
}

impl Driver {
    /// eth0 with 10.0.0.2 and fe80::2, and no configuration.
    pub fn unconfigured() -> Self {
        let mut driver = Self {
            engine: Engine::new(),
            now: Timestamp::ZERO,
            log: Vec::new(),
            kernel: Answer::Ok,
            wire: Answer::Ok,
        };
        driver.link(LinkState::Up);
        driver.address("10.0.0.2", true);
        driver.address("fe80::2", true);
        driver
    }

    /// The same with one instance, started at 0.
    pub fn new(config: InstanceConfig) -> Self {
        let mut driver = Self::unconfigured();
        driver.configure(vec![config], vec![]);
        driver
    }

    pub fn configure(&mut self, instances: Vec<InstanceConfig>, groups: Vec<GroupConfig>) {
        let config = Config::new(instances, groups, Duration::ZERO).expect("a valid configuration");
        self.handle(Input::Configure(Arc::new(config)));
    }

    pub fn link(&mut self, state: LinkState) {
        self.link_of(ETH0, "eth0", state);
    }

    pub fn link_of(&mut self, interface: Ifindex, name: &str, state: LinkState) {
        let name = InterfaceName::new(name);
        self.handle(Input::Link(Link { interface, name, mac: OWN_MAC, state }));
    }

    pub fn address(&mut self, address: &str, present: bool) {
        let address = LocalAddress { interface: ETH0, address: ip(address), present };
        self.handle(Input::LocalAddress(address));
    }

    /// Somebody adds or removes a route or a rule.
    pub fn fib(&mut self, entry: &FibEntry, present: bool) {
        self.handle(Input::Fib(FibChange { entry: entry.clone(), present }));
    }

    pub fn tracker(&mut self, name: &str, value: TrackerValue) {
        self.handle(Input::Tracker { id: TrackerName::new(name), value });
    }

    pub fn order(&mut self, name: &str, order: Order) {
        self.handle(Input::Operator { instance: InstanceName::new(name), order });
    }

    /// Feeds one input, performs what comes out of it, and what comes out of that.
    pub fn handle(&mut self, input: Input<'_>) {
        let mut out = Outputs::new();
        self.engine.handle(self.now, input, &mut out);
        self.perform(&mut out);
        self.engine.check_invariants();
    }

    fn perform(&mut self, out: &mut Outputs) {
        let mut queue: std::collections::VecDeque<_> = out.drain().collect();
        while let Some(output) = queue.pop_front() {
            let answer = match &output {
                Output::Send { id, frame: Frame::Advert(_) } => Some((*id, self.wire)),
                Output::Send { id, .. } => Some((*id, Answer::Ok)),
                Output::Kernel { id, .. } => Some((*id, self.kernel)),
                Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => None,
            };
            self.log.push((self.now, output));
            let (id, result) = match answer {
                Some((id, Answer::Ok)) => (id, Ok(())),
                Some((id, Answer::Fails)) => (id, Err(EffectError::Refused)),
                Some((_, Answer::Silent)) | None => continue,
            };
            self.engine.handle(self.now, Input::Done { id, result }, out);
            queue.extend(out.drain());
        }
    }

    /// Lets time pass, ticking at each deadline.
    pub fn run_until(&mut self, until: Timestamp) {
        while let Some(deadline) = self.engine.next_deadline().filter(|due| due.at <= until) {
            self.now = self.now.max(deadline.at);
            self.handle(Input::Tick);
        }
        self.now = until;
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// An advert of another router with the default address list, v2 without a password.
    pub fn hear(&mut self, source: &str, heard_priority: u8) {
        let config = self.config();
        let addresses = config.addresses.iter().map(|address| address.address).collect();
        let advert = Advert {
            version: config.version,
            vrid: config.vrid,
            priority: heard_priority,
            interval: config.interval,
            password: config.password,
            addresses,
        };
        self.hear_advert(source, &advert);
    }

    pub fn hear_advert(&mut self, source: &str, advert: &Advert) {
        let group = match Family::of(ip(source)) {
            Family::Ipv4 => ip("224.0.0.18"),
            Family::Ipv6 => ip("ff02::12"),
        };
        let form =
            self.engine.status().instances().next().map(|it| it.config().rules.checksum_sent);
        let mut bytes = Vec::new();
        advert.emit(ip(source), group, form.unwrap_or(ChecksumForm::PseudoHeader), &mut bytes);
        self.hear_bytes(source, group, 255, &bytes);
    }

    pub fn hear_bytes(&mut self, source: &str, dst: IpAddr, ttl: u8, bytes: &[u8]) {
        let received = Received { interface: ETH0, src: ip(source), dst, ttl, bytes };
        self.handle(Input::Advert(received));
    }

    pub fn config(&self) -> InstanceConfig {
        self.engine.status().instances().next().expect("an instance").config().clone()
    }

    pub fn state(&self) -> StateKind {
        self.engine.status().instances().next().expect("an instance").state()
    }

    pub fn states(&self) -> Vec<StateKind> {
        self.engine.status().instances().map(|instance| instance.state()).collect()
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        self.engine.status().instances().next()?.deadline().map(|(at, _)| at)
    }

    pub fn drops(&self, reason: vipd_engine::DropReason) -> u64 {
        let status = self.engine.status();
        let claimed = status.instances().map(|instance| instance.counters().drops.get(reason));
        claimed.sum::<u64>() + status.unclaimed().get(reason)
    }

    /// Takes the log as lines `seconds output`.
    pub fn take_lines(&mut self) -> Vec<String> {
        self.log.drain(..).map(|(at, output)| format!("{at} {output}")).collect()
    }

    /// Times and priorities of the adverts sent, oldest first; the log stays.
    pub fn adverts(&self) -> Vec<(Timestamp, u8)> {
        let sent = self.log.iter().filter_map(|(at, output)| match output {
            Output::Send { frame: Frame::Advert(frame), .. } => Some((*at, frame.advert.priority)),
            Output::Send { .. }
            | Output::Kernel { .. }
            | Output::Notify(_)
            | Output::Probe(_)
            | Output::Ipvs(_) => None,
        });
        sent.collect()
    }

    /// The frames sent, with their times, oldest first.
    pub fn frames(&self) -> Vec<(Timestamp, Frame)> {
        let sent = self.log.iter().filter_map(|(at, output)| match output {
            Output::Send { frame, .. } => Some((*at, frame.clone())),
            Output::Kernel { .. } | Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => None,
        });
        sent.collect()
    }

    /// The octets of the adverts sent, oldest first.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let sent = self.frames().into_iter().filter_map(|(_, frame)| match frame {
            Frame::Advert(frame) => {
                let mut octets = Vec::new();
                frame.emit(&mut octets);
                Some(octets)
            }
            Frame::GratuitousArp(_) | Frame::UnsolicitedNa(_) => None,
        });
        sent.collect()
    }

    /// Times of the announcements sent.
    pub fn announcements(&self) -> Vec<Timestamp> {
        let sent = self.log.iter().filter_map(|(at, output)| match output {
            Output::Send { frame: Frame::GratuitousArp(_) | Frame::UnsolicitedNa(_), .. } => {
                Some(*at)
            }
            Output::Send { .. }
            | Output::Kernel { .. }
            | Output::Notify(_)
            | Output::Probe(_)
            | Output::Ipvs(_) => None,
        });
        sent.collect()
    }

    /// Kernel commands, without their times.
    pub fn commands(&self) -> Vec<KernelCommand> {
        let commands = self.log.iter().filter_map(|(_, output)| match output {
            Output::Kernel { command, .. } => Some(command.clone()),
            Output::Send { .. } | Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => None,
        });
        commands.collect()
    }

    /// Names of the news, with their times.
    pub fn news(&self) -> Vec<(Timestamp, &'static str)> {
        let news = self.log.iter().filter_map(|(at, output)| match output {
            Output::Notify(event) => Some((*at, event.news.name())),
            Output::Send { .. } | Output::Kernel { .. } | Output::Probe(_) | Output::Ipvs(_) => {
                None
            }
        });
        news.collect()
    }
}
