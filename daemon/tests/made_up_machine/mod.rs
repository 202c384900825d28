//! A machine for the run loop: its clock jumps from event to event, its socket and its kernel are
//! lists, and what was done stands in it in order.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use vipd::driver::{Driver, Ended, Request};
use vipd::mail::Post;
use vipd::seam::{Clock, Kernel, Servers, Socket, Told};
use vipd::systemd::Supervisor;
use vipd_engine::config::VirtualAddress;
use vipd_engine::health::{AttemptId, CheckId, Outcome, Probe, ProbeCommand};
use vipd_engine::ipvs;
use vipd_engine::{
    Advert, CommandId, Config, EffectError, Family, Frame, Ifindex, InstanceConfig, InterfaceName,
    Interval, KernelCommand, Link, LinkState, LocalAddress, MacAddress, Priority, Received,
    Timestamp, Version, Vrid,
};

pub const ETH0: Ifindex = Ifindex(2);
pub const OWN: &str = "10.0.0.2";
pub const PEER: &str = "10.0.0.1";
pub const GROUP: &str = "224.0.0.18";
pub const VIP: &str = "10.0.0.9";
/// Of priority 99: three intervals and 157/256 s.
pub const MASTER_DOWN: u64 = 3_613_281_250;

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Something that happens while the process sleeps.
pub enum Event {
    Datagram(Vec<u8>),
    /// An address comes and goes, so often in all.
    News(u32),
    /// So many attempts end that nobody waits for.
    Outcomes(u32),
    /// The kernel answers about its table.
    Answered(Vec<Told>),
    Ask(Request),
}

/// There is always one more datagram, until this time. Reading one takes so long.
#[derive(Clone, Copy)]
pub struct Flood {
    pub until: u64,
    pub takes: u64,
}

/// The machine.
pub struct Machine {
    pub now: u64,
    pub events: BTreeMap<u64, Event>,
    /// The process does not get to run before this time.
    pub paused_until: u64,
    pub requests: mpsc::Sender<Request>,
    pub waiting: VecDeque<Vec<u8>>,
    pub flood: Option<Flood>,
    pub news: VecDeque<Told>,
    /// Hearing one takes so long.
    pub hearing_takes: u64,
    /// An order about the table takes so long.
    pub order_takes: u64,
    /// Sending a frame takes so long.
    pub sending_takes: u64,
    /// The kernel answers these.
    pub answered: fn(&KernelCommand) -> bool,
    /// Adverts are refused until this time.
    pub refuses_until: u64,
    pub done: Vec<(u64, String)>,
    pub supervisor: Supervisor,
    /// Who mails.
    pub post: Post,
    pub config: Arc<Config>,
    /// Of real servers and their table.
    pub answers: VecDeque<Told>,
}

pub type Shared = Rc<RefCell<Machine>>;

thread_local! {
    /// Whose memory is given back.
    static MACHINE: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

fn give_back() {
    MACHINE.with_borrow(|machine| {
        let mut machine = machine.as_ref().expect("one runs").borrow_mut();
        let now = machine.now;
        machine.done.push((now, "give memory back".to_string()));
    });
}

impl Machine {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Datagram(octets) => self.waiting.push_back(octets),
            Event::News(count) => {
                let told = |number: u32| {
                    let (address, present) = (ip("10.0.0.77"), number.is_multiple_of(2));
                    Told::Address(LocalAddress { interface: ETH0, address, present })
                };
                self.news.extend((0..count).map(told));
            }
            Event::Outcomes(count) => {
                let id = AttemptId { check: CheckId(7), number: 7 };
                let told = (0..count).map(|_| Told::Probe { id, outcome: Outcome::GOOD });
                self.answers.extend(told);
            }
            Event::Answered(told) => self.answers.extend(told),
            Event::Ask(request) => self.requests.try_send(request).expect("there is room"),
        }
    }

    /// The process sleeps until `at`, or until something happens, and longer while it is paused.
    /// What happened meanwhile waits for it.
    fn sleep(&mut self, at: Option<u64>) {
        let next = self.events.first_key_value().map(|(when, _)| *when);
        let wake = at.into_iter().chain(next).min().expect("something is to happen");
        self.now = wake.max(self.paused_until).max(self.now);
        while let Some(first) = self.events.first_entry().filter(|first| *first.key() <= self.now) {
            let event = first.remove();
            self.happen(event);
        }
    }

    fn is_readable(&self) -> bool {
        !self.waiting.is_empty() || self.flood.is_some()
    }

    /// What is read next. Reading a flood takes its time.
    fn read(&mut self) -> Option<Vec<u8>> {
        if let Some(octets) = self.waiting.pop_front() {
            return Some(octets);
        }
        let Flood { until, takes } = self.flood?;
        self.now += takes;
        if self.now >= until {
            self.flood = None;
        }
        // Version 2, our VRID, and too short for an advert.
        Some(vec![0x21, 51, 1])
    }
}

pub struct FakeClock(Shared);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.borrow().now)
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        let at = at.map(Timestamp::as_nanos);
        poll_fn(|context| {
            let mut machine = self.0.borrow_mut();
            if at.is_some_and(|at| at <= machine.now) {
                return Poll::Ready(());
            }
            // Whatever waits already is looked at first.
            let waits = !machine.news.is_empty() || !machine.answers.is_empty();
            if !machine.is_readable() && !waits {
                machine.sleep(at);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

pub struct FakeSocket(Shared, Vec<u8>);

impl Socket for FakeSocket {
    async fn readable(&self) {
        if !self.0.borrow().is_readable() {
            std::future::pending::<()>().await;
        }
    }

    fn try_recv(&mut self) -> Option<Received<'_>> {
        self.1 = self.0.borrow_mut().read()?;
        let (src, dst) = (ip(PEER), ip(GROUP));
        Some(Received { interface: ETH0, src, dst, ttl: 255, bytes: &self.1 })
    }

    fn try_send(&mut self, frame: &Frame) -> Result<(), EffectError> {
        let what = match frame {
            Frame::Advert(frame) => format!("advert {}", frame.advert.priority),
            Frame::GratuitousArp(_) => "announcement".to_string(),
            Frame::UnsolicitedNa(_) => "neighbour advertisement".to_string(),
        };
        let mut machine = self.0.borrow_mut();
        let now = machine.now;
        machine.done.push((now, what));
        machine.now += machine.sending_takes;
        let refused = now < machine.refuses_until && matches!(frame, Frame::Advert(_));
        if refused { Err(EffectError::Refused) } else { Ok(()) }
    }

    fn unreadable(&self) -> u64 {
        0
    }

    fn configure(&mut self, _: &Arc<Config>) {}

    fn on_link(&mut self, _: &Link) {}
}

pub struct FakeServers(Shared);

impl Servers for FakeServers {
    fn are_directed(&self) -> bool {
        true
    }

    fn probe(&mut self, probe: Probe) {
        let mut machine = self.0.borrow_mut();
        let now = machine.now;
        machine.done.push((now, probe.to_string()));
        if let ProbeCommand::Start { .. } = probe.command {
            let told = Told::Probe { id: probe.id, outcome: Outcome::GOOD };
            machine.answers.push_back(told);
        }
    }

    fn order(&mut self, request: ipvs::Request) {
        let mut machine = self.0.borrow_mut();
        let now = machine.now;
        machine.done.push((now, request.to_string()));
        let number = request.number();
        let answers = match request {
            ipvs::Request::Batch(_) => vec![ipvs::Answer::Done(Ok(vec![]))],
            ipvs::Request::Read(read) => {
                let settings =
                    read.settings.then(|| ipvs::Observed::Settings(ipvs::Settings::default()));
                let begin = [ipvs::Observed::Begin].into_iter();
                let observed = begin.chain(settings).chain([ipvs::Observed::End]);
                observed.map(ipvs::Answer::Observed).collect()
            }
        };
        let told = answers.into_iter().map(|answer| Told::Ipvs { number, answer }).collect();
        if machine.order_takes == 0 {
            machine.answers.extend::<Vec<_>>(told);
        } else {
            let at = now + machine.order_takes;
            machine.events.insert(at, Event::Answered(told));
        }
    }

    async fn next(&mut self) -> Told {
        match self.try_next() {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    fn try_next(&mut self) -> Option<Told> {
        let mut machine = self.0.borrow_mut();
        let told = machine.answers.pop_front()?;
        machine.now += machine.hearing_takes;
        Some(told)
    }
}

pub struct FakeKernel(Shared);

impl Kernel for FakeKernel {
    fn submit(&mut self, id: CommandId, command: KernelCommand) {
        let mut machine = self.0.borrow_mut();
        let now = machine.now;
        let answers = (machine.answered)(&command);
        machine.done.push((now, command.to_string()));
        if answers {
            machine.news.push_back(Told::Done { id, result: Ok(()) });
        }
    }

    async fn readable(&mut self) {
        if self.0.borrow().news.is_empty() {
            std::future::pending::<()>().await;
        }
    }

    fn try_next(&mut self) -> Option<Told> {
        let mut machine = self.0.borrow_mut();
        let told = machine.news.pop_front()?;
        machine.now += machine.hearing_takes;
        Some(told)
    }
}

pub fn config() -> Arc<Config> {
    let vrid = Vrid::new(51).expect("in range");
    let mut instance = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
    instance.priority = Priority::new(99).expect("in range");
    instance.addresses = vec![VirtualAddress::new(ip(VIP))];
    instance.announcements.repeat = 1;
    Arc::new(Config::new(vec![instance], Vec::new(), Duration::ZERO).expect("it is valid"))
}

/// The same with version 3 and adverts so often, in centiseconds.
pub fn every(centiseconds: i64) -> Arc<Config> {
    let mut instance = InstanceConfig::clone(&config().instances()[0]);
    instance.version = Version::V3;
    instance.interval = Interval::from_centiseconds(centiseconds).expect("in range");
    Arc::new(Config::new(vec![instance], Vec::new(), Duration::ZERO).expect("it is valid"))
}

/// An advert of the peer, whose priority is 100.
pub fn advert() -> Vec<u8> {
    let advert = Advert {
        version: Version::V2,
        vrid: Vrid::new(51).expect("in range"),
        priority: 100,
        interval: Interval::DEFAULT,
        password: None,
        addresses: Arc::from([ip(VIP)]),
    };
    let mut octets = Vec::new();
    let form = vipd_engine::rules::ChecksumForm::PseudoHeader;
    advert.emit(ip(PEER), ip(GROUP), form, &mut octets);
    octets
}

/// Runs until it is stopped. Answers with what it did and how it ended.
pub fn run(prepare: impl FnOnce(&mut Machine)) -> (Vec<(u64, String)>, Ended) {
    let (done, ended, _) = run_followed(prepare);
    (done, ended)
}

/// Answers with the events that it told as well.
pub fn run_followed(
    prepare: impl FnOnce(&mut Machine),
) -> (Vec<(u64, String)>, Ended, Vec<serde_json::Value>) {
    let (sender, mut requests) = mpsc::channel(8);
    let link = Link {
        interface: ETH0,
        name: InterfaceName::new("eth0"),
        mac: MacAddress([2, 0, 0, 0, 0, 2]),
        state: LinkState::Up,
    };
    let own = LocalAddress { interface: ETH0, address: ip(OWN), present: true };
    let mut machine = Machine {
        now: 1,
        events: BTreeMap::new(),
        paused_until: 0,
        requests: sender,
        waiting: VecDeque::new(),
        flood: None,
        news: VecDeque::from([Told::Link(link), Told::Address(own)]),
        hearing_takes: 0,
        order_takes: 0,
        sending_takes: 0,
        answered: |_| true,
        refuses_until: 0,
        done: Vec::new(),
        supervisor: Supervisor::default(),
        post: Post::default(),
        config: config(),
        answers: VecDeque::new(),
    };
    prepare(&mut machine);
    let (supervisor, post) = (machine.supervisor.clone(), machine.post.clone());
    let config = Arc::clone(&machine.config);
    let machine = Rc::new(RefCell::new(machine));
    let socket = FakeSocket(Rc::clone(&machine), Vec::new());
    let (clock, kernel) = (FakeClock(Rc::clone(&machine)), FakeKernel(Rc::clone(&machine)));
    let servers = FakeServers(Rc::clone(&machine));
    let mut driver = Driver::over(socket, clock, kernel, servers);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    MACHINE.set(Some(Rc::clone(&machine)));
    driver.gives_back_with(give_back);
    driver.report_to(supervisor);
    driver.mail(post);
    driver.start(&config);
    let events = driver.events();
    let ended = runtime.block_on(driver.run(&mut requests));
    let mut told = Vec::new();
    runtime.block_on(events.follow(tokio::io::empty(), &mut told)).expect("a list takes all");
    let told = std::str::from_utf8(&told).expect("JSON").lines();
    let told = told.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let done = std::mem::take(&mut machine.borrow_mut().done);
    (done, ended, told)
}

pub fn words(done: &[(u64, String)]) -> Vec<&str> {
    done.iter().map(|(_, what)| what.as_str()).collect()
}
