//! A second VRRP router, written from the text of RFC 3768, 5798 and 9568 and of this project's
//! deviations, and shown the same random life as the engine: they must agree after every step.
//!
//! It imports no timer, election or codec of the engine: its times are plain nanoseconds, and it
//! writes its own messages. It knows one virtual router, no trackers and no groups.

mod driver;

use driver::Driver;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use vipd_engine::config::{Announcements, MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, VirtualAddress};
use vipd_engine::{
    Family, Input, InstanceConfig, Interval, LinkState, Priority, Profile, Rules, StateKind,
    Timestamp, Version,
};

const CENTISECOND: u64 = 10_000_000;
/// The last octet of the engine's own source address.
const OWN: u8 = 2;

/// The router that both are.
#[derive(Clone, Copy, Debug)]
struct Router {
    version: u8,
    ipv6: bool,
    profile: Profile,
    priority: u8,
    /// Advertisement_Interval; whole seconds in v2.
    centiseconds: u64,
    preempt: bool,
    /// Nanoseconds that a lower master is left alone.
    preempt_delay: u64,
}

#[derive(Clone, Debug)]
enum Step {
    /// Time passes and timers are on time.
    Wait(u64),
    /// Time passes and nothing runs: a process that does not get the processor.
    Stall(u64),
    /// Timers that are due act, late as they may be.
    Tick,
    /// `interval` is the field of the message: seconds in v2, centiseconds in v3.
    Hear {
        from: u8,
        priority: u8,
        interval: u16,
        reserved: u8,
    },
    LinkDown,
    LinkUp,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Initialize,
    /// Master_Down_Timer and Master_Adver_Interval.
    Backup {
        down_at: u64,
        centiseconds: u64,
    },
    /// Adver_Timer.
    Master {
        advert_at: u64,
    },
    Fault,
}

/// Some time after a priority-0 advert.
#[derive(Clone, Copy, Debug)]
struct Resigned {
    until: u64,
    answered: bool,
}

/// While it runs, a lower master is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Off,
    Until(u64),
    Over,
}

struct Model {
    router: Router,
    now: u64,
    state: State,
    stopped: bool,
    hold: Hold,
    resigned: BTreeMap<u8, Resigned>,
    /// Begin of the interval in which asserted adverts are counted, and their number.
    asserted: Option<(u64, u8)>,
    sent: Vec<(u64, u8)>,
}

impl Model {
    fn new(router: Router) -> Self {
        let mut model = Self {
            router,
            now: 0,
            state: State::Initialize,
            stopped: false,
            hold: Hold::Off,
            resigned: BTreeMap::new(),
            asserted: None,
            sent: Vec::new(),
        };
        model.startup();
        model
    }

    fn interval(&self) -> u64 {
        self.router.centiseconds * CENTISECOND
    }

    /// Section 6.1. In v3 half a nanosecond is cut off where there is one.
    fn skew(&self, centiseconds: u64) -> u64 {
        let steps = 256 - u64::from(self.router.priority);
        match self.router.version {
            2 => steps * 3_906_250,
            _ => steps * centiseconds * 78_125 / 2,
        }
    }

    fn is_owner(&self) -> bool {
        self.router.priority == 255
    }

    fn drop_in(&self) -> bool {
        self.router.profile == Profile::DropIn
    }

    fn send(&mut self, priority: u8) {
        self.sent.push((self.now, priority));
    }

    /// Section 6.4.1.
    fn startup(&mut self) {
        if self.is_owner() { self.become_master() } else { self.backup(self.router.centiseconds) }
    }

    fn become_master(&mut self) {
        self.send(self.router.priority);
        self.asserted = None;
        self.state = State::Master { advert_at: self.now + self.interval() };
    }

    fn backup(&mut self, centiseconds: u64) {
        let down_at = self.now + 3 * centiseconds * CENTISECOND + self.skew(centiseconds);
        self.state = State::Backup { down_at, centiseconds };
        self.hold = Hold::Off;
    }

    fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Initialize | State::Fault => None,
            State::Backup { down_at, .. } => match self.hold {
                Hold::Until(at) => Some(down_at.min(at)),
                Hold::Off | Hold::Over => Some(down_at),
            },
            State::Master { advert_at } => Some(advert_at),
        }
    }

    fn end_hold(&mut self) {
        if matches!(self.hold, Hold::Until(at) if at <= self.now) {
            self.hold = Hold::Over;
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(nanos) => {
                let end = self.now + nanos;
                while let Some(at) = self.deadline().filter(|at| *at <= end) {
                    self.now = self.now.max(at);
                    self.tick();
                }
                self.now = end;
            }
            Step::Stall(nanos) => self.now += nanos,
            Step::Tick => self.tick(),
            Step::Hear { from, priority, interval, .. } => self.receive(from, priority, interval),
            Step::LinkDown => {
                if !self.stopped && self.state != State::Fault {
                    self.leave(State::Fault);
                }
            }
            Step::LinkUp => {
                if self.state == State::Fault {
                    self.startup();
                }
            }
            Step::Stop => {
                self.leave(State::Initialize);
                self.stopped = true;
            }
        }
    }

    /// Shutdown of section 6.4.2 and 6.4.3.
    fn leave(&mut self, state: State) {
        if matches!(self.state, State::Master { .. }) {
            self.send(0);
        }
        self.state = state;
        self.resigned.clear();
    }

    fn tick(&mut self) {
        self.end_hold();
        match self.state {
            State::Initialize | State::Fault => {}
            State::Backup { down_at, .. } if down_at <= self.now => self.become_master(),
            State::Master { advert_at } if advert_at <= self.now => {
                self.send(self.router.priority);
                let next = advert_at + self.interval();
                let next = if next > self.now { next } else { self.now + self.interval() };
                self.state = State::Master { advert_at: next };
            }
            State::Backup { .. } | State::Master { .. } => {}
        }
    }

    /// Section 7.1, for messages that are well formed.
    fn receive(&mut self, from: u8, priority: u8, interval: u16) {
        let owner_listens = self.router.version == 3
            && matches!(self.router.profile, Profile::DropIn | Profile::Rfc9568);
        let own_seconds = self.router.centiseconds / 100;
        let (fits, centiseconds) = match self.router.version {
            2 => (u64::from(interval) == own_seconds, self.router.centiseconds),
            // Erratum 8301.
            _ => (interval != 0, u64::from(interval)),
        };
        if !fits || from == OWN || (self.is_owner() && !owner_listens) {
            return;
        }
        match self.state {
            State::Initialize | State::Fault => {}
            State::Backup { centiseconds: learnt, .. } => {
                self.receive_in_backup(from, priority, centiseconds, learnt);
            }
            State::Master { .. } => self.receive_in_master(from, priority, centiseconds),
        }
    }

    /// Section 6.4.2.
    fn receive_in_backup(&mut self, from: u8, priority: u8, centiseconds: u64, learnt: u64) {
        if priority == 0 {
            let down_at = self.now + self.skew(learnt);
            self.state = State::Backup { down_at, centiseconds: learnt };
            self.hold = Hold::Off;
            self.note_resignation(from, learnt * CENTISECOND);
        } else if priority >= self.router.priority || !(self.router.preempt || self.is_owner()) {
            self.follow(from, centiseconds);
            self.hold = Hold::Off;
        } else if self.router.preempt_delay > 0 {
            self.end_hold();
            if self.hold == Hold::Off {
                self.hold = Hold::Until(self.now + self.router.preempt_delay);
            }
            if self.hold != Hold::Over {
                self.follow(from, centiseconds);
            }
        }
    }

    fn follow(&mut self, from: u8, centiseconds: u64) {
        let adverts = if self.period_runs(from) { 1 } else { 3 };
        let down_at = self.now + adverts * centiseconds * CENTISECOND + self.skew(centiseconds);
        self.state = State::Backup { down_at, centiseconds };
    }

    /// Section 6.4.3.
    fn receive_in_master(&mut self, from: u8, priority: u8, centiseconds: u64) {
        if priority == 0 {
            self.note_resignation(from, self.interval());
            self.assert();
        } else if (priority, from) > (self.router.priority, OWN) {
            if self.period_runs(from) && !self.resigned[&from].answered {
                self.resigned.get_mut(&from).expect("it runs").answered = true;
                self.assert();
                return;
            }
            self.resigned.remove(&from);
            if self.drop_in() {
                self.send(self.router.priority);
            }
            self.backup(centiseconds);
        } else if matches!(self.router.profile, Profile::DropIn | Profile::Rfc9568) {
            self.assert();
        }
    }

    /// An advert out of turn, four in one interval at most.
    fn assert(&mut self) {
        let (from, count) = self
            .asserted
            .filter(|(from, _)| self.now < from + self.interval())
            .unwrap_or((self.now, 0));
        self.asserted = Some((from, (count + 1).min(5)));
        if count < 4 {
            self.send(self.router.priority);
            self.state = State::Master { advert_at: self.now + self.interval() };
        }
    }

    /// The reorder rule: for one interval an advert of the resigned router may be an older one.
    fn note_resignation(&mut self, from: u8, interval: u64) {
        if self.drop_in() {
            let until = self.now + interval;
            self.resigned.insert(from, Resigned { until, answered: false });
        }
    }

    fn period_runs(&self, from: u8) -> bool {
        self.resigned.get(&from).is_some_and(|resigned| self.now < resigned.until)
    }

    fn kind(&self) -> StateKind {
        match self.state {
            State::Initialize => StateKind::Initialize,
            State::Backup { .. } => StateKind::Backup,
            State::Master { .. } => StateKind::Master,
            State::Fault => StateKind::Fault,
        }
    }
}

impl Router {
    /// Sections 5.1 and 5.2, octet by octet, with the one address of the tests.
    fn message(&self, from: u8, priority: u8, interval: u16, reserved: u8) -> Vec<u8> {
        let mut message = vec![self.version << 4 | 1, 51, priority, 1];
        match self.version {
            2 => message.extend([0, interval as u8, 0, 0]),
            _ => message.extend([(interval >> 8) as u8 | reserved << 4, interval as u8, 0, 0]),
        }
        match self.virtual_address() {
            IpAddr::V4(address) => message.extend(address.octets()),
            IpAddr::V6(address) => message.extend(address.octets()),
        }
        if self.version == 2 {
            message.extend([0; 8]);
        }
        let pseudo = match (self.source(from), self.group()) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => [src.octets(), dst.octets()].concat(),
            (IpAddr::V4(src), IpAddr::V4(dst))
                if self.version == 3 && self.profile != Profile::Rfc9568 =>
            {
                [src.octets(), dst.octets()].concat()
            }
            _ => vec![],
        };
        let mut sum = if pseudo.is_empty() { 0 } else { 112 + message.len() as u32 };
        for pair in pseudo.chunks(2).chain(message.chunks(2)) {
            sum += u32::from(pair[0]) * 256 + u32::from(pair[1]);
            sum = sum % 0x1_0000 + sum / 0x1_0000;
        }
        message[6] = !(sum / 256) as u8;
        message[7] = !sum as u8;
        message
    }

    fn source(&self, octet: u8) -> IpAddr {
        let text = if self.ipv6 { format!("fe80::{octet:x}") } else { format!("10.0.0.{octet}") };
        text.parse().unwrap()
    }

    fn virtual_address(&self) -> IpAddr {
        self.source(100)
    }

    fn group(&self) -> IpAddr {
        if self.ipv6 { MULTICAST_GROUP_V6.into() } else { MULTICAST_GROUP_V4.into() }
    }

    fn config(&self) -> InstanceConfig {
        let family = if self.ipv6 { Family::Ipv6 } else { Family::Ipv4 };
        let centiseconds = self.centiseconds as i64;
        let (version, interval) = match self.version {
            2 => (Version::V2, Interval::from_seconds(centiseconds / 100)),
            _ => (Version::V3, Interval::from_centiseconds(centiseconds)),
        };
        InstanceConfig {
            version,
            interval: interval.unwrap(),
            priority: Priority::new(i64::from(self.priority)).unwrap(),
            preempt: self.preempt,
            preempt_delay: Duration::from_nanos(self.preempt_delay),
            addresses: vec![VirtualAddress::new(self.virtual_address())],
            rules: Rules::of(self.profile),
            // Announcements have deadlines of their own, and none of these is of interest here.
            announcements: Announcements {
                delay: Duration::ZERO,
                refresh: None,
                lower_priority_delay: Duration::ZERO,
                ..Announcements::default()
            },
            ..InstanceConfig::new("VI_1", family, "eth0", driver::vrid())
        }
    }
}

fn apply(driver: &mut Driver, router: &Router, step: &Step) {
    match *step {
        Step::Wait(nanos) => driver.run_for(Duration::from_nanos(nanos)),
        Step::Stall(nanos) => driver.now = driver.now + Duration::from_nanos(nanos),
        Step::Tick => driver.handle(Input::Tick),
        Step::Hear { from, priority, interval, reserved } => {
            let bytes = router.message(from, priority, interval, reserved);
            driver.hear_bytes(&router.source(from).to_string(), router.group(), 255, &bytes);
        }
        Step::LinkDown => driver.link(LinkState::Down),
        Step::LinkUp => driver.link(LinkState::Up),
        Step::Stop => driver.handle(Input::Shutdown),
    }
}

fn router() -> impl Strategy<Value = Router> {
    let profile = prop_oneof![
        4 => Just((2, false, Profile::DropIn)),
        4 => Just((3, false, Profile::DropIn)),
        1 => Just((3, true, Profile::DropIn)),
        1 => Just((2, false, Profile::Rfc3768)),
        1 => Just((3, false, Profile::Rfc5798)),
        1 => Just((3, false, Profile::Rfc9568)),
        1 => Just((3, true, Profile::Rfc9568)),
    ];
    let priority = prop_oneof![3 => Just(100), 1 => Just(254), 1 => Just(255), 2 => 1..=255_u8];
    let interval = prop_oneof![Just(1_u64), Just(10), Just(100), Just(4095), 1..4096_u64];
    // In intervals, so that holds end at the very time of an advert.
    let delay = prop_oneof![3 => Just(0), 1 => 1..4_u64];
    (profile, priority, interval, prop::bool::weighted(0.7), delay).prop_map(
        |((version, ipv6, profile), priority, interval, preempt, preempt_delay)| {
            let centiseconds = if version == 2 { 100 * (1 + interval % 255) } else { interval };
            let preempt_delay = preempt_delay * centiseconds * CENTISECOND;
            Router { version, ipv6, profile, priority, centiseconds, preempt, preempt_delay }
        },
    )
}

/// Steps of a router's life. Times are mostly of the size of its interval.
fn steps(router: Router) -> impl Strategy<Value = Vec<Step>> {
    let own = match router.version {
        2 => router.centiseconds / 100,
        _ => router.centiseconds,
    } as u16;
    let (unit, skew) = (router.centiseconds * CENTISECOND, Model::new(router).skew(u64::from(own)));
    let time = prop_oneof![
        Just(0),
        Just(1),
        Just(unit / 4),
        Just(unit),
        Just(unit - 1),
        Just(skew),
        Just(3 * unit),
        0..unit,
        0..6 * unit,
    ];
    let near = vec![router.priority - 1, router.priority, router.priority.saturating_add(1)];
    let priority = prop_oneof![2 => Just(0), 4 => prop::sample::select(near), 1 => any::<u8>()];
    let interval = match router.version {
        2 => prop_oneof![9 => Just(own), 1 => 0..256_u16].boxed(),
        _ => prop_oneof![6 => Just(own), 1 => Just(0), 3 => 1..4096_u16].boxed(),
    };
    let hear = (1..=5_u8, priority, interval, 0..16_u8).prop_map(
        |(from, priority, interval, reserved)| Step::Hear { from, priority, interval, reserved },
    );
    let step = prop_oneof![
        40 => time.clone().prop_map(Step::Wait),
        8 => time.prop_map(Step::Stall),
        8 => Just(Step::Tick),
        50 => hear,
        2 => Just(Step::LinkDown),
        4 => Just(Step::LinkUp),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_and_the_model_agree_after_every_step(
        (router, steps) in router().prop_flat_map(|router| (Just(router), steps(router)))
    ) {
        let mut model = Model::new(router);
        let mut driver = Driver::unconfigured();
        driver.configure(vec![router.config()], vec![]);
        for step in std::iter::once(&Step::Tick).chain(&steps) {
            model.step(step);
            apply(&mut driver, &router, step);
            let status = driver.engine.status();
            let state = status.instances().next().map_or(StateKind::Initialize, |it| it.state());
            prop_assert_eq!(state, model.kind(), "after {:?}", step);
            let deadline = driver.deadline().map(Timestamp::as_nanos);
            prop_assert_eq!(deadline, model.deadline(), "after {:?}", step);
            let sent: Vec<_> =
                driver.adverts().iter().map(|(at, priority)| (at.as_nanos(), *priority)).collect();
            prop_assert_eq!(&sent, &model.sent, "after {:?}", step);
            driver.log.clear();
            model.sent.clear();
        }
    }
}

/// The model is no use if the random lives never come to the rare places.
#[test]
fn random_lives_visit_every_state_and_every_rule() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = router().prop_flat_map(|router| (Just(router), steps(router)));
    let mut seen = BTreeMap::<&str, u32>::new();
    for _ in 0..200 {
        let (router, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let mut model = Model::new(router);
        for step in &steps {
            let before = model.state;
            model.step(step);
            let heard = matches!(step, Step::Hear { .. });
            let passage = match (before, model.state) {
                (State::Backup { .. }, State::Master { .. }) => "backup to master",
                (State::Master { .. }, State::Backup { .. }) => "master to backup",
                (State::Master { .. }, State::Fault) => "master to fault",
                (State::Backup { .. }, State::Fault) => "backup to fault",
                (State::Fault, State::Backup { .. }) => "recovery",
                (State::Fault, State::Master { .. }) => "recovery of an owner",
                (State::Master { .. }, State::Initialize) => "stop of a master",
                (one, other) if heard && one == other => "an advert without effect",
                _ => "the rest",
            };
            *seen.entry(passage).or_default() += 1;
            let answered = model.resigned.values().any(|resigned| resigned.answered);
            *seen.entry("a late advert answered").or_default() += u32::from(answered);
            let silenced = model.asserted.is_some_and(|(_, count)| count > 4);
            *seen.entry("an assert too many").or_default() += u32::from(silenced);
            *seen.entry("held").or_default() += u32::from(matches!(model.hold, Hold::Until(_)));
            *seen.entry("held no longer").or_default() += u32::from(model.hold == Hold::Over);
        }
    }
    assert!(seen.len() == 13 && seen.values().all(|count| *count > 0), "{seen:?}");
}
