//! A machine: its kernel is the simulator's model, its process is the daemon's own run loop above
//! [`super::seam`]. The kernel goes on while the process is paused, and outlives it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use turmoil::net::UdpSocket;
use vipd::driver::{Driver, Ended, Request};
use vipd::notify;
use vipd::seam::Told;
use vipd_engine::config::Tracked;
use vipd_engine::{
    AdvertFrame, CommandId, Config, Ifindex, KernelCommand, LinkState, Order, TrackerName,
    TrackerValue,
};
use vipd_scenarios::record::{
    HostId, LossReason, MachineChange, PacketId, ProcessChange, Seen, WorldTime,
};
use vipd_sim::kernel::{Change, Kernel};
use vipd_sim::network::seen_advert;

use super::seam::{HostClock, ModelKernel, UdpPort};
use super::wires::{LAN, Wires};

/// The port of all adverts.
pub const PORT: u16 = 112;
/// Octets in front of an advert: its number.
pub const NUMBER: usize = 8;
/// Requests that wait for the loop.
const WAITING_REQUESTS: usize = 16;

/// A mistake that a machine below the seam can make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// None.
    #[default]
    Nothing,
    /// Its socket gives a datagram only after somebody waited for it to be readable: whatever
    /// waits while a timer is due is read after that timer.
    TimersFirst,
    /// Its socket forgets, after this many times, to say that it is readable.
    LostReadiness(u32),
}

/// A datagram that waits in the socket.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub bytes: Vec<u8>,
}

/// A machine with one interface.
pub struct Host {
    pub id: HostId,
    /// turmoil's address of it, and the source of its adverts.
    pub ip: IpAddr,
    pub interface: Ifindex,
    pub plant: Cell<Plant>,
    /// The gate: while this is true the process gets no further.
    paused: watch::Sender<bool>,
    /// Somebody put a datagram into the socket.
    pub arrived: Notify,
    /// The kernel has news.
    pub told: Notify,
    wires: Rc<RefCell<Wires>>,
    state: RefCell<State>,
}

struct State {
    kernel: Kernel,
    /// The file in place.
    config: Arc<Config>,
    powered: bool,
    runs: bool,
    socket: VecDeque<Datagram>,
    news: VecDeque<Told>,
    /// What the engine says of itself.
    events: Option<mpsc::UnboundedReceiver<notify::Told>>,
    requests: Option<mpsc::Sender<Request>>,
    /// What is asked of a process that is paused, or takes no requests yet.
    asked: Vec<Request>,
    /// What tracked scripts and files say; the others are good.
    trackers: BTreeMap<TrackerName, TrackerValue>,
    owned: BTreeSet<IpAddr>,
}

/// World time, on a host.
pub fn now() -> WorldTime {
    WorldTime(0).later(turmoil::sim_elapsed().expect("a host is running"))
}

impl Host {
    pub fn new(
        id: HostId,
        ip: IpAddr,
        (kernel, interface): (Kernel, Ifindex),
        config: Arc<Config>,
        wires: Rc<RefCell<Wires>>,
    ) -> Self {
        let state = State {
            kernel,
            config,
            powered: true,
            runs: false,
            socket: VecDeque::new(),
            news: VecDeque::new(),
            events: None,
            requests: None,
            asked: Vec::new(),
            trackers: BTreeMap::new(),
            owned: BTreeSet::new(),
        };
        Self {
            id,
            ip,
            interface,
            plant: Cell::default(),
            paused: watch::Sender::new(false),
            arrived: Notify::new(),
            told: Notify::new(),
            wires,
            state: RefCell::new(state),
        }
    }

    pub fn runs(&self) -> bool {
        self.state.borrow().runs
    }

    pub fn is_powered(&self) -> bool {
        self.state.borrow().powered
    }

    /// Waits while the process is paused.
    pub async fn gate(&self) {
        // The sender lives as long as this machine.
        let _ = self.paused.subscribe().wait_for(|paused| !*paused).await;
    }

    fn see(&self, at: WorldTime, seen: Seen) {
        self.wires.borrow_mut().see(at, self.id, seen);
    }
}

/// What is done to it. Each returns whether it made a difference.
impl Host {
    /// What its process will find when it runs.
    pub fn start(&self, at: WorldTime) -> bool {
        let mut state = self.state.borrow_mut();
        if state.runs || !state.powered {
            return false;
        }
        state.runs = true;
        state.news = state.kernel.report().into_iter().map(told).collect();
        let config = Arc::clone(&state.config);
        drop(state);
        self.wires.borrow_mut().listen(self.id, self.ip, false);
        self.see(at, Seen::Process(ProcessChange::Started));
        self.see(at, Seen::Configured(config));
        true
    }

    /// SIGTERM.
    pub fn stop(&self, at: WorldTime) {
        if self.runs() {
            self.see(at, Seen::Process(ProcessChange::Stopping));
            self.ask(at, Request::Stop);
        }
    }

    /// Another file is in place, and SIGHUP.
    pub fn reload(&self, at: WorldTime, config: &Arc<Config>) {
        self.state.borrow_mut().config = Arc::clone(config);
        if self.runs() {
            self.ask(at, Request::Configure(Arc::clone(config)));
            for request in self.tracked() {
                self.ask(at, request);
            }
        }
    }

    /// The process is no more: SIGKILL. What it asked the kernel for is done all the same.
    pub fn kill(&self, at: WorldTime) -> bool {
        if !self.end() {
            return false;
        }
        self.see(at, Seen::Process(ProcessChange::Killed));
        true
    }

    pub fn pause(&self, at: WorldTime) {
        if self.runs() && !self.paused.send_replace(true) {
            self.see(at, Seen::Process(ProcessChange::Paused));
        }
    }

    pub fn resume(&self, at: WorldTime) {
        if self.runs() && *self.paused.borrow() {
            self.see(at, Seen::Process(ProcessChange::Resumed));
            let asked = std::mem::take(&mut self.state.borrow_mut().asked);
            for request in asked {
                self.hand_over(at, request);
            }
            self.paused.send_replace(false);
        }
    }

    pub fn power_off(&self, at: WorldTime) -> bool {
        if !self.is_powered() {
            return false;
        }
        self.end();
        self.state.borrow_mut().powered = false;
        self.see(at, Seen::Machine(MachineChange::Off));
        self.change_kernel(at, Kernel::reboot);
        true
    }

    pub fn power_on(&self, at: WorldTime) -> bool {
        if self.is_powered() {
            return false;
        }
        self.state.borrow_mut().powered = true;
        self.see(at, Seen::Machine(MachineChange::On));
        self.refresh_owned(at);
        self.start(at)
    }

    /// Changes the kernel from outside of the process, which is told.
    pub fn change_kernel(&self, at: WorldTime, change: impl FnOnce(&mut Kernel, &mut Vec<Change>)) {
        let mut changes = Vec::new();
        change(&mut self.state.borrow_mut().kernel, &mut changes);
        self.on_changes(at, changes);
    }

    /// An operator's order, on the control socket.
    pub fn order(&self, at: WorldTime, instance: &str, order: Order) {
        if self.runs() {
            // Nobody waits for the answer.
            let (answer, _) = oneshot::channel();
            self.ask(at, Request::Order { instance: instance.to_string(), order, answer });
        }
    }

    /// A tracked script or file has a new value.
    pub fn track(&self, at: WorldTime, name: &str, value: TrackerValue) {
        let id = TrackerName::new(name);
        self.state.borrow_mut().trackers.insert(id.clone(), value);
        if self.runs() {
            self.ask(at, Request::Tracker { id, value });
        }
    }

    fn ask(&self, at: WorldTime, request: Request) {
        let mut state = self.state.borrow_mut();
        if *self.paused.borrow() || state.requests.is_none() {
            state.asked.push(request);
        } else {
            drop(state);
            self.hand_over(at, request);
        }
    }

    fn hand_over(&self, at: WorldTime, request: Request) {
        if let Request::Configure(config) = &request {
            self.see(at, Seen::Configured(Arc::clone(config)));
        }
        if let Some(requests) = &self.state.borrow().requests {
            requests.try_send(request).expect("there is room for a request");
        }
    }

    /// The process takes requests from now on: the first are what is tracked, then what was asked.
    fn take_requests(&self, requests: mpsc::Sender<Request>) -> Arc<Config> {
        let (config, asked) = {
            let mut state = self.state.borrow_mut();
            state.requests = Some(requests);
            (Arc::clone(&state.config), std::mem::take(&mut state.asked))
        };
        for request in self.tracked().into_iter().chain(asked) {
            self.hand_over(now(), request);
        }
        config
    }

    /// What is known of everything that the file in place tracks.
    fn tracked(&self) -> Vec<Request> {
        let state = self.state.borrow();
        let tracks = state.config.instances().iter().flat_map(|instance| &instance.tracks);
        let known = tracks.filter_map(|track| match &track.tracked {
            Tracked::Tracker(id) => {
                let value = state.trackers.get(id).copied().unwrap_or(TrackerValue::Up);
                Some(Request::Tracker { id: id.clone(), value })
            }
            Tracked::Interface(_) => None,
        });
        known.collect()
    }

    fn end(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.asked.clear();
        state.socket.clear();
        state.news.clear();
        state.kernel.orphan_commands();
        (state.requests, state.events) = (None, None);
        self.paused.send_replace(false);
        self.wires.borrow_mut().leave(self.id);
        std::mem::take(&mut state.runs)
    }
}

/// What its kernel does.
impl Host {
    pub fn submit(&self, at: WorldTime, id: CommandId, command: KernelCommand) {
        self.hear_engine(at);
        self.state.borrow_mut().kernel.submit(at, id, command);
        self.complete_commands(at);
    }

    /// Does the commands that are due. The process hears of the changes first, then of the end.
    pub fn complete_commands(&self, at: WorldTime) {
        loop {
            let mut changes = Vec::new();
            let completed = self.state.borrow_mut().kernel.complete(at, &mut changes);
            let Some(completed) = completed else { return };
            self.on_changes(at, changes);
            if let Some(id) = completed.id {
                let result = completed.result;
                self.tell(Told::Done { id, result });
            }
        }
    }

    pub fn has_news(&self) -> bool {
        !self.state.borrow().news.is_empty()
    }

    pub fn next_news(&self) -> Option<Told> {
        self.state.borrow_mut().news.pop_front()
    }

    /// Whether frames pass at this interface, a macvlan's included.
    pub fn passes(&self, interface: Ifindex) -> bool {
        self.state.borrow().kernel.passes(interface)
    }

    /// An advert leaves: its octets, its number in front. `None` if it is no advert.
    pub fn emit(&self, at: WorldTime, frame: &AdvertFrame) -> Option<Vec<u8>> {
        self.hear_engine(at);
        let mut wires = self.wires.borrow_mut();
        let packet = wires.next_packet();
        let mut octets = packet.0.to_be_bytes().to_vec();
        frame.emit(&mut octets);
        let ends = (frame.src, frame.dst);
        let advert = seen_advert(packet, LAN, Some(self.id), ends, &octets[NUMBER..])?;
        wires.sent(at, self.id, advert);
        Some(octets)
    }

    /// An announcement leaves. Nobody keeps neighbour caches in this world.
    pub fn announce(&self, at: WorldTime, announced: &vipd_engine::Announcement) {
        self.hear_engine(at);
        let (address, mac) = (announced.address, announced.mac);
        self.see(at, Seen::Announced { segment: LAN, address, mac });
    }

    /// A datagram is at the port.
    fn arrive(&self, at: WorldTime, octets: &[u8]) {
        let (number, bytes) = octets.split_first_chunk::<NUMBER>().expect("a number in front");
        let packet = PacketId(u64::from_be_bytes(*number));
        let advert = self.wires.borrow_mut().arrived(packet, self.id);
        let advert = advert.expect("an advert that was sent");
        if !self.passes(self.interface) {
            return self.see(at, Seen::AdvertLost(advert, LossReason::LinkDown));
        }
        self.see(at, Seen::AdvertDelivered(advert));
        let (src, dst) = (advert.src, advert.dst);
        let socket = &mut self.state.borrow_mut().socket;
        if socket.len() < vipd_sim::SOCKET_QUEUE {
            socket.push_back(Datagram { src, dst, bytes: bytes.to_vec() });
            self.arrived.notify_one();
        }
    }

    pub fn has_datagrams(&self) -> bool {
        !self.state.borrow().socket.is_empty()
    }

    pub fn next_datagram(&self) -> Option<Datagram> {
        self.state.borrow_mut().socket.pop_front()
    }

    /// Writes down what the engine said so far.
    pub fn hear_engine(&self, at: WorldTime) {
        let mut state = self.state.borrow_mut();
        let Some(events) = &mut state.events else { return };
        while let Ok(notify::Told::Event(event, _)) = events.try_recv() {
            self.see(at, Seen::Engine(event));
        }
    }

    fn tell(&self, told: Told) {
        let mut state = self.state.borrow_mut();
        if state.runs {
            state.news.push_back(told);
            self.told.notify_one();
        }
    }

    fn on_changes(&self, at: WorldTime, changes: Vec<Change>) {
        for change in changes {
            match &change {
                Change::Link(link) if link.interface == self.interface => {
                    self.see(at, Seen::Link { segment: LAN, up: link.state == LinkState::Up });
                }
                Change::Link(_) => {}
                Change::Address(address) => {
                    let (address, present) = (address.address, address.present);
                    self.see(at, Seen::Address { address, present });
                }
                Change::Fib(change) => {
                    let (entry, present) = (change.entry.to_string().into(), change.present);
                    self.see(at, Seen::Fib { entry, present });
                }
            }
            self.tell(told(change));
        }
        self.refresh_owned(at);
    }

    /// Tells of every virtual address that the data plane owns now and did not, or the reverse.
    pub fn refresh_owned(&self, at: WorldTime) {
        let mut state = self.state.borrow_mut();
        let mut wires = self.wires.borrow_mut();
        for address in wires.virtual_addresses.clone() {
            let owns = state.powered && state.kernel.answers(self.interface, address).is_some();
            let changed =
                if owns { state.owned.insert(address) } else { state.owned.remove(&address) };
            if changed {
                wires.see(at, self.id, Seen::Owns { segment: LAN, address, owns });
            }
        }
    }
}

fn told(change: Change) -> Told {
    match change {
        Change::Link(link) => Told::Link(link),
        Change::Address(address) => Told::Address(address),
        Change::Fib(change) => Told::Fib(change),
    }
}

/// The software of a host: a machine whose process runs the production loop, if it is to run.
///
/// # Errors
/// A daemon that did not give everything back.
pub async fn software(host: Rc<Host>) -> turmoil::Result {
    if !host.runs() {
        return Ok(());
    }
    let any = match host.ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = Rc::new(UdpSocket::bind((any, PORT)).await?);
    socket.set_multicast_loop_v4(false)?;
    socket.set_multicast_loop_v6(false)?;
    let (teller, events) = mpsc::unbounded_channel();
    let (requests, mut due) = mpsc::channel(WAITING_REQUESTS);
    host.state.borrow_mut().events = Some(events);
    let config = host.take_requests(requests);
    let port = UdpPort::new(Rc::clone(&host), Rc::clone(&socket));
    let mut driver = Driver::new(port, HostClock(Rc::clone(&host)), ModelKernel(Rc::clone(&host)));
    driver.tell(teller);
    driver.start(&config);
    host.wires.borrow_mut().listen(host.id, host.ip, true);
    let ended = tokio::select! {
        biased;
        never = card(&host, &socket) => never?,
        ended = driver.run(&mut due) => ended,
    };
    host.hear_engine(now());
    host.end();
    host.see(now(), Seen::Process(ProcessChange::Stopped));
    match ended {
        Ended::Released => Ok(()),
        Ended::GaveUp => Err("something was not given back".into()),
    }
}

/// Takes datagrams from the wire into the socket, whatever the process does.
async fn card(host: &Host, socket: &UdpSocket) -> std::io::Result<Ended> {
    let mut octets = [0; 4096];
    loop {
        let (length, _) = socket.recv_from(&mut octets).await?;
        host.arrive(now(), &octets[..length]);
    }
}

/// How far the clock of a host is ahead of world time: a stamp that strays to another host shows.
pub fn ahead(host: HostId) -> Duration {
    Duration::from_secs((u64::from(host.0) + 1) * 1000)
}
