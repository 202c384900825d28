//! Random inputs as data, and a world that feeds them to one engine: links, addresses, trackers,
//! answers in any order, adverts good and bad, reloads, ticks early and late.
//!
//! The world expects nothing but what must hold after every call. What a sequence is to prove is
//! said by the tests that use it.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod directed;

use proptest::prelude::*;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::fib::{NextHop, Prefix, Route, Rule, RuleAction};
use vipd_engine::config::{
    FibConfig, FibEntry, GroupConfig, MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, Peer, StaticConfig,
    Track, Tracked, Transport, VirtualAddress, VirtualMac, Weight,
};
use vipd_engine::health::{AttemptId, CheckId, Failure, Outcome};
use vipd_engine::ipvs::Answer;
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, CommandId, Config, Deadline, EffectError, Engine, Event, Family, FibChange, GroupName,
    Ifindex, Input, InstanceConfig, InstanceId, InstanceName, InterfaceName, Interval,
    KernelCommand, Link, LinkState, LocalAddress, MacAddress, News, Order, Output, Outputs,
    Password, Priority, Profile, Received, Rules, Timestamp, TrackerName, TrackerValue, Version,
    Vrid,
};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Op {
    /// Time passes, with a tick at each deadline.
    Wait(u64),
    /// Time passes and nobody ticks until the end of it.
    Sleep(u64),
    /// Time passes and nobody ticks.
    Stall(u64),
    /// A tick, early or late.
    Tick,
    /// An advert of another router.
    Hear(Heard),
    /// An interface changes.
    Link { interface: u8, state: LinkState },
    /// An address comes or goes.
    Address { interface: u8, address: u8, present: bool },
    /// A route or a rule comes or goes.
    Fib { entry: u8, present: bool },
    /// A tracker reports.
    Tracker { name: u8, value: TrackerValue },
    /// Effects are answered like this from now on, or left waiting.
    Answers(Option<Result<(), EffectError>>),
    /// One effect that waits is answered, counted from the first.
    Answer { place: u8, result: Result<(), EffectError> },
    /// An answer to an effect that nobody may have asked for.
    StrayAnswer { instance: u8, number: u64, result: Result<(), EffectError> },
    /// Another configuration.
    Configure(u8),
    /// Another configuration, with a virtual server.
    Direct(u8),
    /// An attempt of a check ended, that nobody may have made.
    Attempt { check: u8, number: u64, good: bool },
    /// An answer about the table, which nobody may have asked for.
    Table { number: u64, answer: Answer },
    /// An operator orders something.
    Order { instance: u8, order: Order },
    /// Stop.
    Shutdown,
}

/// An advert of another router.
#[derive(Clone, Debug)]
pub struct Heard {
    pub vrid: i64,
    pub version: Version,
    pub family: Family,
    pub peer: u8,
    pub priority: u8,
    pub centiseconds: i64,
    pub ttl: u8,
    pub password: bool,
    pub form: ChecksumForm,
    /// Lists the addresses that the instances of this VRID have.
    pub same_list: bool,
    /// One address more.
    pub extra: Option<[u8; 4]>,
    pub unicast: bool,
}

impl Heard {
    /// What an instance of the first configuration accepts.
    pub fn plain(vrid: i64, peer: u8, priority: u8) -> Self {
        Self {
            vrid,
            version: if vrid == 51 { Version::V2 } else { Version::V3 },
            family: if vrid == 53 { Family::Ipv6 } else { Family::Ipv4 },
            peer,
            priority,
            centiseconds: 100,
            ttl: 255,
            password: false,
            form: ChecksumForm::PseudoHeader,
            same_list: true,
            extra: None,
            unicast: false,
        }
    }
}

const NAMES: [&str; 3] = ["eth0", "eth1", "vrrp.53"];
const ADDRESSES: [&str; 6] =
    ["10.0.0.2", "fe80::2", "10.0.0.100", "10.0.0.101", "fe80::100", "10.0.0.3"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn track(name: &str, weight: i16) -> Track {
    let tracked = Tracked::Tracker(TrackerName::new(name));
    Track { tracked, weight: Weight { value: weight, reverse: false } }
}

fn instance(name: &str, vrid: i64, priority: i64, family: Family) -> InstanceConfig {
    let vrid = Vrid::new(vrid).unwrap();
    let addresses = match family {
        Family::Ipv4 => vec![VirtualAddress::new(listed(vrid.get(), family))],
        Family::Ipv6 => {
            vec![VirtualAddress::new(ip("fe80::100")), VirtualAddress::new(ip("fd00::100"))]
        }
    };
    let priority = Priority::new(priority).unwrap();
    InstanceConfig { priority, addresses, ..InstanceConfig::new(name, family, "eth0", vrid) }
}

/// The first address of the instances with this VRID.
fn listed(vrid: u8, family: Family) -> IpAddr {
    match (vrid, family) {
        (51, Family::Ipv4) => ip("10.0.0.100"),
        (_, Family::Ipv4) => ip("10.0.0.101"),
        (_, Family::Ipv6) => ip("fe80::100"),
    }
}

/// Two routes of which the second needs eth1, and a rule.
fn fib(which: u8) -> FibConfig {
    let by = |name| NextHop { interface: Some(InterfaceName::new(name)), ..NextHop::default() };
    let route = |octet, name| {
        let destination = Prefix::new(IpAddr::from([10, octet, 0, 0]), 16).unwrap();
        Route { next_hops: vec![by(name)], ..Route::new(destination) }
    };
    let action = RuleAction::Table(100);
    let entry = match which % 3 {
        0 => FibEntry::Route(Box::new(route(1, "eth0"))),
        1 => FibEntry::Route(Box::new(route(2, "eth1"))),
        _ => FibEntry::Rule(Box::new(Rule { action, ..Rule::new(Family::Ipv4, 16384) })),
    };
    FibConfig { entry, untracked: which % 3 == 1 }
}

/// How many configurations there are.
pub const CONFIGS: u8 = 6;

/// The configurations that a sequence may switch between.
pub fn config(which: u8) -> Arc<Config> {
    let v3 = |config: InstanceConfig| InstanceConfig { version: Version::V3, ..config };
    let one = instance("VI_1", 51, 100, Family::Ipv4);
    let two = v3(instance("VI_2", 52, 150, Family::Ipv4));
    let delayed = InstanceConfig {
        preempt_delay: Duration::from_secs(7),
        tracks: vec![track("b", -100)],
        ..two
    };
    let fast = Interval::from_centiseconds(20).unwrap();
    let macvlan =
        VirtualMac { interface: InterfaceName::new(NAMES[2]), transmit_from_parent: false };
    let six = InstanceConfig {
        virtual_mac: Some(macvlan),
        rules: Rules::of(Profile::Rfc9568),
        ..instance("VI_3", 53, 120, Family::Ipv6)
    };
    let dead_man = Some(Duration::from_millis(1500));
    let yields = InstanceConfig {
        one_way_alarm: 2,
        one_way_yield: Some(Duration::from_secs(5)),
        ..one.clone()
    };
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let group = GroupConfig { name, members, tracks: vec![track("a", 0)], tracking_weight: true };
    let (instances, groups, delay) = match which % CONFIGS {
        0 => {
            let fib = vec![fib(0), fib(1), fib(2)];
            (vec![InstanceConfig { fib, ..yields }, delayed], vec![], 0)
        }
        1 => (vec![InstanceConfig { dead_man, ..yields }, delayed], vec![group], 0),
        2 => {
            let mut more =
                InstanceConfig { preempt: false, rules: Rules::of(Profile::Rfc3768), ..one };
            more.dead_man = dead_man;
            more.priority = Priority::new(200).unwrap();
            more.addresses.push(VirtualAddress::new(ip("10.0.0.102")));
            more.excluded.push(VirtualAddress::new(ip("fd00::51")));
            (vec![more, six], vec![], 0)
        }
        3 => {
            let owner = InstanceConfig { priority: Priority::OWNER, interval: fast, ..delayed };
            let transport = Transport::Unicast { source: None, peers: peers(), ttl: 64 };
            (vec![owner, InstanceConfig { transport, ..one }], vec![], 3)
        }
        4 => {
            let password = Some(Password::new(b"1111").unwrap());
            let tracks = vec![Track {
                tracked: Tracked::Interface(InterfaceName::new("eth1")),
                weight: Weight::FAULT,
            }];
            (vec![InstanceConfig { password, tracks, ..one }, six], vec![], 0)
        }
        _ => (vec![], vec![], 0),
    };
    let config = Config::new(instances, groups, Duration::from_secs(delay)).expect("valid");
    let standing = StaticConfig {
        addresses: vec![(InterfaceName::new("eth1"), VirtualAddress::new(ip("10.0.0.3")))],
        fib: vec![fib(1), fib(2)],
    };
    Arc::new(if which % CONFIGS == 1 {
        config.with_static(standing).expect("valid")
    } else {
        config
    })
}

fn peers() -> Vec<Peer> {
    let routed = Peer { min_ttl: Some(250), ..Peer::new(ip("10.0.0.4")) };
    vec![Peer::new(ip("10.0.0.1")), Peer::new(ip("10.0.0.3")), routed]
}

fn result() -> impl Strategy<Value = Result<(), EffectError>> {
    prop_oneof![
        3 => Just(Ok(())),
        1 => Just(Err(EffectError::Refused)),
        1 => Just(Err(EffectError::NoInterface)),
    ]
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(609_375_000),
        Just(1_000_000_000),
        Just(3_609_375_000),
        Just(5_000_000_000),
        0..2_000_000_000_u64,
        0..15_000_000_000_u64,
    ]
}

fn heard() -> impl Strategy<Value = Heard> {
    let mostly = |good: bool| prop::bool::weighted(if good { 0.9 } else { 0.1 });
    let priority = prop_oneof![Just(0_u8), Just(100), Just(150), Just(254), Just(255), any::<u8>()];
    let interval = prop_oneof![5 => Just(100_i64), 1 => Just(200), 1 => Just(20), 1 => 1..4096_i64];
    let shape = (mostly(true), mostly(false), mostly(true), mostly(true), mostly(false));
    let router = (prop_oneof![51..=53_i64, Just(54)], 1..=8_u8, priority, interval, any::<u8>());
    (router, shape).prop_map(|((vrid, peer, priority, centiseconds, ttl), shape)| {
        let (usual_version, password, usual_ttl, same_list, unicast) = shape;
        let plain = Heard::plain(vrid, peer, priority);
        let version = match (usual_version, plain.version) {
            (true, version) => version,
            (false, Version::V2) => Version::V3,
            (false, Version::V3) => Version::V2,
        };
        let ttl = if usual_ttl { 255 } else { ttl };
        // The one configuration with RFC 9568's rules is IPv6, where the form does not matter.
        Heard { version, centiseconds, ttl, password, same_list, unicast, ..plain }
    })
}

fn link_state() -> impl Strategy<Value = LinkState> {
    prop_oneof![4 => Just(LinkState::Up), 2 => Just(LinkState::Down), 1 => Just(LinkState::Absent)]
}

fn value() -> impl Strategy<Value = TrackerValue> {
    prop_oneof![
        Just(TrackerValue::Up),
        Just(TrackerValue::Down),
        Just(TrackerValue::Pending),
        (-3..300_i32).prop_map(TrackerValue::Number),
    ]
}

/// One thing that happens, a stop excepted.
pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => nanos().prop_map(Op::Wait),
        2 => nanos().prop_map(Op::Sleep),
        1 => nanos().prop_map(Op::Stall),
        1 => Just(Op::Tick),
        12 => heard().prop_map(Op::Hear),
        2 => (0..3_u8, link_state()).prop_map(|(interface, state)| Op::Link { interface, state }),
        3 => (0..3_u8, 0..6_u8, prop::bool::weighted(0.7)).prop_map(
            |(interface, address, present)| Op::Address { interface, address, present }
        ),
        2 => (0..3_u8, any::<bool>()).prop_map(|(entry, present)| Op::Fib { entry, present }),
        2 => (0..2_u8, value()).prop_map(|(name, value)| Op::Tracker { name, value }),
        2 => prop::option::of(result()).prop_map(Op::Answers),
        3 => (any::<u8>(), result()).prop_map(|(place, result)| Op::Answer { place, result }),
        1 => (0..4_u8, 0..60_u64, result())
            .prop_map(|(instance, number, result)| Op::StrayAnswer { instance, number, result }),
        1 => (0..CONFIGS).prop_map(Op::Configure),
        1 => (1..=4_u8, prop::sample::select(&Order::ALL))
            .prop_map(|(instance, order)| Op::Order { instance, order }),
    ]
}

/// One engine, its time, and what it waits for.
#[derive(Clone)]
pub struct World {
    pub engine: Engine,
    pub now: Timestamp,
    /// What the engine did since it was last taken.
    pub log: Vec<(Timestamp, Output)>,
    /// Effects that nobody answered yet, oldest first.
    pub waiting: Vec<CommandId>,
    answers: Option<Result<(), EffectError>>,
}

impl World {
    /// A machine with eth0, its addresses and good trackers, and a configuration.
    pub fn new(now: Timestamp, which: u8) -> Self {
        Self::with(Engine::new(), now, which)
    }

    /// The same with this engine, which knows nothing yet.
    pub fn with(engine: Engine, now: Timestamp, which: u8) -> Self {
        let (log, waiting, answers) = (Vec::new(), Vec::new(), Some(Ok(())));
        let mut world = Self { engine, now, log, waiting, answers };
        world.apply(&Op::Link { interface: 0, state: LinkState::Up });
        for address in 0..2 {
            world.apply(&Op::Address { interface: 0, address, present: true });
        }
        for name in 0..2 {
            world.apply(&Op::Tracker { name, value: TrackerValue::Up });
        }
        world.apply(&Op::Configure(which));
        world
    }

    /// Lets one thing happen, and what follows from it.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Wait(nanos) => self.run_until(self.now + Duration::from_nanos(*nanos)),
            Op::Sleep(nanos) => {
                self.now = self.now + Duration::from_nanos(*nanos);
                self.tick();
            }
            Op::Stall(nanos) => self.now = self.now + Duration::from_nanos(*nanos),
            Op::Tick => self.tick(),
            Op::Hear(heard) => self.hear(heard),
            Op::Link { interface, state } => {
                let name = InterfaceName::new(NAMES[usize::from(*interface) % NAMES.len()]);
                let mac = MacAddress([2, 0, 0, 0, 0, *interface]);
                let interface = Ifindex(2 + u32::from(*interface));
                self.handle(Input::Link(Link { interface, name, mac, state: *state }));
            }
            Op::Address { interface, address, present } => {
                let interface = Ifindex(2 + u32::from(*interface));
                let address = ip(ADDRESSES[usize::from(*address) % ADDRESSES.len()]);
                let report = LocalAddress { interface, address, present: *present };
                self.handle(Input::LocalAddress(report));
            }
            Op::Fib { entry, present } => {
                let entry = fib(*entry).entry;
                self.handle(Input::Fib(FibChange { entry, present: *present }));
            }
            Op::Tracker { name, value } => {
                let id = TrackerName::new(["a", "b"][usize::from(*name) % 2]);
                self.handle(Input::Tracker { id, value: *value });
            }
            Op::Answers(answers) => self.answers = *answers,
            Op::Answer { place, result } => {
                if !self.waiting.is_empty() {
                    let id = self.waiting.remove(usize::from(*place) % self.waiting.len());
                    self.handle(Input::Done { id, result: *result });
                }
            }
            Op::StrayAnswer { instance, number, result } => {
                let instance = InstanceId(u32::from(*instance));
                let id = CommandId { instance, number: *number };
                self.handle(Input::Done { id, result: *result });
            }
            Op::Configure(which) => self.handle(Input::Configure(config(*which))),
            Op::Direct(which) => self.handle(Input::Configure(directed::config(*which))),
            Op::Attempt { check, number, good } => {
                let id = AttemptId { check: CheckId(u32::from(*check)), number: *number };
                let bad = Outcome::Bad(Failure::Refused);
                let outcome = if *good { Outcome::GOOD } else { bad };
                self.handle(Input::Probe { id, outcome });
            }
            Op::Table { number, answer } => {
                self.handle(Input::Ipvs { number: *number, answer: Box::new(answer.clone()) });
            }
            Op::Order { instance, order } => {
                let instance = InstanceName::new(&format!("VI_{instance}"));
                self.handle(Input::Operator { instance, order: *order });
            }
            Op::Shutdown => self.handle(Input::Shutdown),
        }
    }

    /// A second in which all effects succeed and, with `master`, a better router advertises for
    /// every VRID that is not our own address: with two owners it is never quiet.
    pub fn quiet_second(&mut self, master: bool) {
        let answers = self.answers.replace(Ok(()));
        self.run_until(self.now + Duration::from_secs(1));
        let owned: Vec<_> = self.owned_vrids();
        for vrid in (51..=53).filter(|vrid| master && !owned.contains(vrid)) {
            self.hear(&Heard::plain(vrid, 8, 250));
        }
        self.answers = answers;
    }

    fn owned_vrids(&self) -> Vec<i64> {
        let instances = self.engine.status().instances();
        let owners = instances.filter(|instance| instance.priority().is_owner());
        owners.map(|instance| i64::from(instance.config().vrid.get())).collect()
    }

    /// Effects are answered as in another world from now on.
    pub fn adopt_answers(&mut self, other: &Self) {
        self.answers = other.answers;
    }

    /// What the engine folds, octet for octet.
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut folded = Folded(Vec::new());
        self.engine.fingerprint(self.now, &mut folded);
        folded.0
    }

    /// The same without what is only told.
    pub fn election(&self) -> Vec<u8> {
        let mut folded = Folded(Vec::new());
        self.engine.election_fingerprint(self.now, &mut folded);
        folded.0
    }

    pub fn run_until(&mut self, until: Timestamp) {
        while let Some(deadline) = self.engine.next_deadline().filter(|due| due.at <= until) {
            self.now = self.now.max(deadline.at);
            self.tick();
        }
        self.now = until;
    }

    fn tick(&mut self) {
        self.handle(Input::Tick);
        let next = self.engine.next_deadline();
        // What is left of a director's work has its turn after whatever comes in between.
        let is_left = |next: &Deadline| next.instance == InstanceId::DIRECTOR;
        assert!(
            next.is_none_or(|next| next.at > self.now || is_left(&next)),
            "{next:?} was not done at {}",
            self.now
        );
    }

    fn hear(&mut self, heard: &Heard) {
        let (src, group) = match heard.family {
            Family::Ipv4 => (format!("10.0.0.{}", heard.peer), IpAddr::V4(MULTICAST_GROUP_V4)),
            Family::Ipv6 => (format!("fe80::{:x}", heard.peer), IpAddr::V6(MULTICAST_GROUP_V6)),
        };
        let (src, own) = (ip(&src), ip(ADDRESSES[usize::from(heard.family == Family::Ipv6)]));
        let dst = if heard.unicast { own } else { group };
        let vrid = Vrid::new(heard.vrid).unwrap();
        let mut addresses = vec![listed(vrid.get(), heard.family)];
        if heard.family == Family::Ipv6 {
            addresses.push(ip("fd00::100"));
        }
        if !heard.same_list {
            addresses.reverse();
            addresses[0] = ip(if heard.family == Family::Ipv4 { "10.9.9.9" } else { "fd00::9" });
        }
        addresses.extend(heard.extra.map(IpAddr::from));
        let advert = Advert {
            version: heard.version,
            vrid,
            priority: heard.priority,
            interval: Interval::from_centiseconds(heard.centiseconds).unwrap(),
            password: heard.password.then(|| Password::new(b"1111").unwrap()),
            addresses: addresses.into(),
        };
        let mut bytes = Vec::new();
        advert.emit(src, dst, heard.form, &mut bytes);
        let received = Received { interface: Ifindex(2), src, dst, ttl: heard.ttl, bytes: &bytes };
        self.handle(Input::Advert(received));
    }

    /// Feeds one input and whatever answers follow from it.
    pub fn handle(&mut self, input: Input<'_>) {
        let mut out = Outputs::new();
        let mut waiting = std::collections::VecDeque::new();
        self.engine.handle(self.now, input, &mut out);
        loop {
            self.engine.check_invariants();
            assert_virtual_routers_come_first(out.as_slice());
            for output in out.drain() {
                match &output {
                    Output::Send { id, .. } | Output::Kernel { id, .. } => waiting.push_back(*id),
                    Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => {}
                }
                self.log.push((self.now, output));
            }
            let (Some(result), Some(id)) = (self.answers, waiting.pop_front()) else { break };
            self.engine.handle(self.now, Input::Done { id, result }, &mut out);
        }
        self.waiting.extend(waiting);
    }
}

/// What is for real servers and IPVS comes last, unless it is news of IPVS that virtual routers act
/// on.
fn assert_virtual_routers_come_first(out: &[Output]) {
    let told = |output: &Output| match output {
        Output::Notify(event) => match &event.news {
            News::Director(news) => Some(news.name()),
            _ => None,
        },
        Output::Send { .. } | Output::Kernel { .. } | Output::Probe(_) | Output::Ipvs(_) => None,
    };
    let concerns = ["ipvs-missing", "ipvs-there", "servers-in-force"];
    if out.iter().filter_map(told).any(|name| concerns.contains(&name)) {
        return;
    }
    let first = out.iter().position(is_of_director).unwrap_or(out.len());
    assert!(out[first..].iter().all(is_of_director), "{:?}", &out[first..]);
}

/// Whether it is about virtual and real servers.
pub fn is_of_director(output: &Output) -> bool {
    match output {
        Output::Notify(event) => matches!(event.news, News::Director(_)),
        Output::Probe(_) | Output::Ipvs(_) => true,
        Output::Send { .. } | Output::Kernel { .. } => false,
    }
}

/// The same with each command of it changed so.
pub fn map_commands(output: Output, change: impl Fn(KernelCommand) -> KernelCommand) -> Output {
    match output {
        Output::Kernel { id, command } => Output::Kernel { id, command: change(command) },
        Output::Notify(Event { instance, news: News::CommandFailed { command, error } }) => {
            let news = News::CommandFailed { command: change(command), error };
            Output::Notify(Event { instance, news })
        }
        other => other,
    }
}

/// The end of a lease counted from `origin`.
pub fn lease_since(command: KernelCommand, origin: Timestamp) -> KernelCommand {
    match command {
        KernelCommand::RenewLease { instance, until } => {
            KernelCommand::RenewLease { instance, until: Timestamp::ZERO + (until - origin) }
        }
        other => other,
    }
}

/// A hasher that keeps what it is given, so that nothing collides.
struct Folded(Vec<u8>);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
