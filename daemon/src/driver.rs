//! The run loop: it chooses the next input, lets the engine handle it, performs the outputs in
//! their order, and waits.
//!
//! Before it fires a timer it reads what was queued when the deadline passed, and no more: a
//! process that was paused hears the adverts that wait for it, and a flood cannot starve its own.

mod freeing;
mod hearing;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, trace, warn};
use vipd_engine::health::Probe;
use vipd_engine::ipvs::{self, Answer, Observed, ServerOrder};
use vipd_engine::{
    CommandId, Config, Engine, Event, Frame, Input, InstanceName, KernelCommand, News, Order,
    Output, Outputs, Priority, StateKind, Timestamp, TrackerName, TrackerValue,
};

use crate::events::Events;
use crate::journal::Journal;
use crate::mail::Post;
use crate::process::{self, Urgency};
use crate::seam::{Clock, Kernel, NoServers, Servers, Socket, Told};
use crate::systemd::Supervisor;
use crate::{journal, log, loudness, notify, orders, status};

pub use freeing::{GIVE_BACK_AHEAD, GIVE_BACK_WITHIN};
pub use hearing::{
    HEAR_AT_ONCE, HEAR_TOGETHER, PAUSED_FROM, READ_AT_ONCE, READ_BEFORE_TIMER, READ_FOR,
};

/// Checks that are due within this time begin together: to wake for each of them costs more than
/// they do.
pub const TOGETHER: Duration = Duration::from_millis(10);
/// A timer that fires later than this counts as late. It is less than the skew between two
/// neighbouring priorities at the shortest common interval (1 s / 256).
pub const LATE_FROM: Duration = Duration::from_millis(3);
/// A timer that fires later than this is told, no more often than every [`TELL_LATE_EVERY`].
pub const TELL_LATE_FROM: Duration = Duration::from_millis(50);
/// See [`TELL_LATE_FROM`].
pub const TELL_LATE_EVERY: Duration = Duration::from_secs(10);
/// Portions of the director's work that follow each other before all else is looked at again: to
/// look takes longer than a portion does. No timer of a virtual router waits for more than one.
pub const PORTIONS_AT_ONCE: usize = 16;
/// And for this long at most.
pub const WORK_FOR: Duration = Duration::from_millis(1);
/// How long a stop waits for the kernel to take back what it was given.
pub const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What people and signals ask of the loop.
#[derive(Debug)]
pub enum Request {
    /// This configuration is in force from now on.
    Configure(Arc<Config>),
    /// A tracked script or file has a new value.
    Tracker {
        /// Which one.
        id: TrackerName,
        /// Its value.
        value: TrackerValue,
    },
    /// An operator orders something of a virtual router.
    Order {
        /// Its name.
        instance: String,
        /// What.
        order: Order,
        /// What came of it.
        answer: oneshot::Sender<serde_json::Value>,
    },
    /// An operator orders something of real servers.
    Server {
        /// Which ones.
        which: orders::Which,
        /// What.
        order: ServerOrder,
        /// What came of it.
        answer: oneshot::Sender<serde_json::Value>,
    },
    /// Somebody is done with much memory: give it back when there is time for it.
    GiveBack,
    /// Tell how things are, as JSON.
    Status(oneshot::Sender<serde_json::Value>),
    /// Resign, give everything back, and end.
    Stop,
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was given back.
    Released,
    /// The kernel did not take everything back in time.
    GaveUp,
}

/// Timers that fired late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lateness {
    /// How many by more than [`LATE_FROM`].
    pub count: u64,
    /// The latest.
    pub worst: Duration,
    told_at: Option<Timestamp>,
}

/// The engine and the machine below it.
pub struct Driver<S, C, K, D = NoServers> {
    engine: Engine,
    outputs: Outputs,
    /// Frames that are to be sent before anything else is done.
    leaving: Vec<(CommandId, Frame)>,
    /// Commands that are to be begun behind them.
    commands: Vec<(CommandId, KernelCommand)>,
    /// What real servers and their table are asked for behind all that.
    asked: Vec<Asked>,
    /// Events that are to be told once the frames have left.
    untold: Vec<Untold>,
    /// What is told before the next input.
    told: VecDeque<Told>,
    socket: S,
    clock: C,
    kernel: K,
    servers: D,
    late: Lateness,
    /// Where inputs and outputs are written down.
    journal: Option<Journal>,
    /// Where events are told.
    events: Events,
    /// Who else hears of them.
    listener: Option<notify::Teller>,
    /// Where events are mailed.
    post: Option<Post>,
    supervisor: Supervisor,
    urgency: Urgency,
    /// Since when free memory is to be given back, and how.
    owes_since: Option<Timestamp>,
    give_back: fn(),
    /// What of the kernel's table was ordered last and not answered yet, by its number.
    ordered: Option<u64>,
    /// When the supervisor is to hear that we are alive.
    alive_at: Option<Timestamp>,
    /// When a stop is given up, once one was asked for.
    stops_by: Option<Timestamp>,
}

impl<S: Socket, C: Clock, K: Kernel> Driver<S, C, K> {
    /// A driver whose engine knows nothing yet, and which acts on no virtual server.
    pub fn new(socket: S, clock: C, kernel: K) -> Self {
        Self::over(socket, clock, kernel, NoServers)
    }
}

/// An event that is to be told.
struct Untold {
    event: Event,
    /// Of its instance.
    priority: Option<Priority>,
    /// When it was, if that was before the frames have left.
    at: Option<Timestamp>,
}

/// For who performs what a director asks for.
enum Asked {
    Probe(Probe),
    Ipvs(ipvs::Request),
}

impl<S: Socket, C: Clock, K: Kernel, D: Servers> Driver<S, C, K, D> {
    /// A driver whose engine knows nothing yet.
    pub fn over(socket: S, clock: C, kernel: K, servers: D) -> Self {
        Self {
            engine: Engine::with_limits(servers.limits()),
            outputs: Outputs::new(),
            leaving: Vec::new(),
            commands: Vec::new(),
            asked: Vec::new(),
            untold: Vec::new(),
            told: VecDeque::new(),
            socket,
            clock,
            kernel,
            servers,
            late: Lateness::default(),
            journal: None,
            events: Events::new(),
            listener: None,
            post: None,
            supervisor: Supervisor::default(),
            urgency: Urgency::default(),
            owes_since: None,
            give_back: process::give_back_memory,
            ordered: None,
            alive_at: None,
            stops_by: None,
        }
    }

    /// Tells of every event from now on.
    pub fn tell(&mut self, listener: notify::Teller) {
        self.listener = Some(listener);
    }

    /// Mails events from now on, if the file says so.
    pub fn mail(&mut self, post: Post) {
        self.post = Some(post);
    }

    /// Writes every input from now on down, and what it caused.
    pub fn keep(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Where events are told, to be followed.
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// Tells the supervisor how we are from now on.
    pub fn report_to(&mut self, supervisor: Supervisor) {
        self.alive_at = supervisor.watchdog().map(|_| self.clock.now());
        self.supervisor = supervisor;
    }

    /// The priorities of the process, for the status.
    pub fn runs_with(&mut self, urgency: Urgency) {
        self.urgency = urgency;
    }

    /// Gives free memory back like this.
    pub fn gives_back_with(&mut self, give_back: fn()) {
        self.give_back = give_back;
    }

    /// Hears what the kernel told so far, then starts with this configuration.
    pub fn start(&mut self, config: &Arc<Config>) {
        while let Some(told) = self.kernel.try_next() {
            self.told.push_back(told);
        }
        self.settle();
        self.configure(config);
    }

    /// Runs until it is stopped.
    pub async fn run(&mut self, requests: &mut mpsc::Receiver<Request>) -> Ended {
        loop {
            self.kernel.work().await;
            if let Some(ended) = self.ended() {
                return ended;
            }
            self.give_back_in_time();
            let at = self.wakes_at();
            // In this order: a timer that is due first, whatever anybody can flood us with last.
            tokio::select! {
                biased;
                () = self.clock.sleep_until(at) => {
                    self.on_deadline().await;
                    // A configuration with many servers is due again and again for a while.
                    if let Ok(request) = requests.try_recv() {
                        self.on_request(request);
                    }
                }
                Some(request) = requests.recv() => self.on_request(request),
                () = self.kernel.readable() => self.hear_kernel(),
                told = self.servers.next() => {
                    self.told.push_back(told);
                    self.hear_servers();
                }
                () = self.socket.readable() => self.read(READ_AT_ONCE),
            }
        }
    }

    /// When something is to be done. Virtual routers are exact; what the director is to do later on
    /// is done together with what comes within [`TOGETHER`] after it.
    fn wakes_at(&self) -> Option<Timestamp> {
        let (next, timer) = (self.engine.next_deadline(), self.engine.next_timer());
        let director = next.filter(|next| Some(*next) != timer).map(|next| match next.at {
            at if at <= self.clock.now() => at,
            at => at + TOGETHER,
        });
        let at = timer.map(|timer| timer.at).into_iter().chain(director);
        at.chain(self.stops_by).chain(self.alive_at).min()
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Configure(config) if self.stops_by.is_none() => {
                self.configure(&config);
                // What was in force before, and what it took to read the file.
                self.owe_memory();
            }
            Request::Configure(_) => {}
            Request::GiveBack => self.owe_memory(),
            Request::Tracker { id, value } => self.handle(Input::Tracker { id, value }),
            Request::Order { instance, order, answer } => {
                // Whoever asked may be gone.
                let _ = answer.send(self.obey(&instance, order));
            }
            Request::Server { which, order, answer } => {
                // Whoever asked may be gone.
                let _ = answer.send(self.direct(&which, order));
            }
            Request::Status(answer) => {
                let (late, unreadable) = (self.late, self.socket.unreadable());
                let (now, urgency) = (self.clock.now(), &self.urgency);
                let journal = self.journal.as_ref();
                let mail = self.post.as_ref().map(Post::report).unwrap_or_default();
                let engine = &self.engine;
                let report = status::report(engine, now, late, unreadable, journal, urgency, &mail);
                // Whoever asked may be gone.
                let _ = answer.send(report);
            }
            Request::Stop => {
                if self.stops_by.is_none() {
                    info!("stopping");
                    self.supervisor.stopping();
                    self.stops_by = Some(self.clock.now() + STOP_LIMIT);
                    self.handle(Input::Shutdown);
                }
            }
        }
    }

    /// Lets the engine obey, if it has such an instance.
    fn obey(&mut self, name: &str, order: Order) -> serde_json::Value {
        if self.stops_by.is_some() {
            return json!({ "error": "vipd is stopping" });
        }
        let instance = InstanceName::new(name);
        if self.state_of(&instance).is_some() {
            self.handle(Input::Operator { instance: instance.clone(), order });
            let state = self.state_of(&instance).map(StateKind::name);
            return json!({ "ordered": order.word(), "of": name, "state": state });
        }
        let status = self.engine.status();
        let known: Vec<_> = status.instances().map(|one| one.config().name.as_str()).collect();
        let known = if known.is_empty() { "none at all".to_string() } else { known.join(", ") };
        json!({ "error": format!("there is no vrrp_instance {name}; there is {known}") })
    }

    /// Lets the engine obey an order about real servers, of each virtual server that has them.
    fn direct(&mut self, which: &orders::Which, order: ServerOrder) -> serde_json::Value {
        if self.stops_by.is_some() {
            return json!({ "error": "vipd is stopping" });
        }
        let found = match orders::find(&self.engine, which, order) {
            Ok(found) => found,
            Err(error) => return json!({ "error": error }),
        };
        let of: Vec<_> = found.iter().map(ToString::to_string).collect();
        for server in found {
            self.handle(Input::Server { server: Box::new(server), order });
        }
        json!({ "ordered": order.to_string(), "of": of })
    }

    fn state_of(&self, name: &InstanceName) -> Option<StateKind> {
        let status = self.engine.status();
        status.instances().find(|one| one.config().name == *name).map(|one| one.state())
    }

    fn configure(&mut self, config: &Arc<Config>) {
        self.socket.configure(config);
        self.kernel.configure(config);
        let config = match self.servers.are_directed() {
            true => Arc::clone(config),
            false => Arc::new(config.without_director()),
        };
        self.handle(Input::Configure(config));
        self.supervisor.ready(&self.summary());
    }

    /// The engine wants to be called, or the time for a stop is over.
    async fn on_deadline(&mut self) {
        // Lets the runtime look at every descriptor, and netlink's task hand over what it has.
        tokio::task::yield_now().await;
        self.hear_kernel();
        self.hear_servers();
        self.read(READ_BEFORE_TIMER);
        let begun = self.clock.now();
        self.show_life(begun);
        let mut now = begun;
        for _ in 0..PORTIONS_AT_ONCE {
            if self.engine.next_deadline().is_none_or(|deadline| deadline.at > now) {
                return;
            }
            let timer = self.engine.next_timer().filter(|timer| timer.at <= now);
            self.decide(now, Input::Tick);
            // The engine may ask to be called too early: then it does nothing, and is not late.
            // Virtual routers act before the director.
            if let Some(timer) = timer
                && self.outputs.as_slice().first().is_some_and(is_of_no_server)
            {
                self.note_lateness(now, now.since(timer.at));
            }
            self.settle();
            now = self.clock.now();
            // Adverts that wait are heard before a timer of theirs.
            let is_due = self.engine.next_timer().is_some_and(|timer| timer.at <= now);
            if is_due || now - begun >= WORK_FOR {
                return;
            }
        }
    }

    /// A watchdog hears of us from the loop itself, so that it notices one that hangs, and twice as
    /// often as it demands.
    fn show_life(&mut self, now: Timestamp) {
        if let (Some(at), Some(limit)) = (self.alive_at, self.supervisor.watchdog())
            && at <= now
        {
            self.supervisor.alive();
            self.alive_at = Some(now + limit / 2);
        }
    }

    /// What people read of us beside our name.
    fn summary(&self) -> String {
        let status = self.engine.status();
        let (mut masters, mut all) = (0, 0);
        for instance in status.instances() {
            all += 1;
            masters += usize::from(instance.state() == StateKind::Master);
        }
        format!("master of {masters} of {all} virtual routers")
    }

    fn note_lateness(&mut self, now: Timestamp, late: Duration) {
        if late < LATE_FROM {
            return;
        }
        self.late.count += 1;
        self.late.worst = self.late.worst.max(late);
        let told = self.late.told_at.is_some_and(|at| now.since(at) < TELL_LATE_EVERY);
        if late >= TELL_LATE_FROM && !told {
            self.late.told_at = Some(now);
            warn!("a timer fired {} ms late, {} so far", late.as_millis(), self.late.count);
        }
    }

    /// One input, and whatever follows from it.
    fn handle(&mut self, input: Input<'_>) {
        self.decide(self.clock.now(), input);
        self.settle();
    }

    fn decide(&mut self, now: Timestamp, input: Input<'_>) {
        let Self { journal, engine, outputs, .. } = self;
        journal::handle(journal, engine, now, input, outputs);
    }

    /// Performs what the engine asked for and tells it the answers, until it is content.
    fn settle(&mut self) {
        // Answers that cause nothing are of one time: to look at the clock takes as long as they.
        let mut now = None;
        loop {
            if !self.outputs.as_slice().is_empty() {
                self.perform_all();
                now = None;
            }
            let Some(told) = self.told.pop_front() else { break };
            let input = match told {
                Told::Link(link) => {
                    debug!("interface {} is {:?}", link.name, link.state);
                    self.socket.on_link(&link);
                    Input::Link(link)
                }
                Told::Address(address) => Input::LocalAddress(address),
                Told::Fib(change) => Input::Fib(change),
                Told::Done { id, result } => Input::Done { id, result },
                Told::Probe { id, outcome } => Input::Probe { id, outcome },
                Told::Ipvs { number, answer } => {
                    let goes_on = |seen| !matches!(seen, &Observed::End);
                    if !matches!(&answer, Answer::Observed(seen) if goes_on(seen)) {
                        self.ordered = self.ordered.filter(|ordered| *ordered != number);
                    }
                    Input::Ipvs { number, answer: Box::new(answer) }
                }
            };
            self.decide(*now.get_or_insert_with(|| self.clock.now()), input);
        }
        self.tell_events();
    }

    fn perform_all(&mut self) {
        let mut outputs = mem::take(&mut self.outputs);
        for output in outputs.drain() {
            self.perform(output);
        }
        self.send();
        for (id, command) in self.commands.drain(..) {
            debug!("{command}");
            self.kernel.submit(id, command);
        }
        for asked in self.asked.drain(..) {
            match asked {
                Asked::Probe(probe) => self.servers.probe(probe),
                Asked::Ipvs(request) => {
                    debug!("{request}");
                    self.ordered = Some(request.number());
                    self.servers.order(request);
                }
            }
        }
        // Keeps the memory. Performing adds nothing to it.
        self.outputs = outputs;
    }

    /// What follows each other leaves together: a call is a sixth of what an advert costs.
    fn send(&mut self) {
        for (_, frame) in &self.leaving {
            trace!("{frame}");
        }
        self.socket.send_all(&self.leaving, &mut self.told);
        self.leaving.clear();
    }

    /// A command is only begun, and whoever needs it to be done waits for the answer. So all frames
    /// of an input leave before its first command, many by one call.
    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { id, frame } => self.leaving.push((id, frame)),
            Output::Kernel { id, command } => self.commands.push((id, command)),
            Output::Notify(event) if matches!(event.news, News::Director(_)) => {
                self.untold.push(Untold { event, priority: None, at: None });
            }
            Output::Notify(event) => {
                let status = self.engine.status();
                let mut instances = status.instances();
                let whose = instances.find(|instance| instance.config().name == event.instance);
                // One that was stopped and held nothing is gone already.
                let priority = whose.map(|instance| instance.priority());
                // Others may answer its first advert before we look at the clock again.
                let begins = matches!(event.news, News::State { to: StateKind::Master, .. });
                let at = begins.then(|| self.clock.now());
                self.untold.push(Untold { event, priority, at });
            }
            Output::Probe(probe) => self.asked.push(Asked::Probe(probe)),
            Output::Ipvs(request) => self.asked.push(Asked::Ipvs(request)),
        }
    }

    /// Tells what happened, as of now: what is on the wire was before. Only that an instance became
    /// Master was before its first advert, and so was what led to it. The kernel goes on behind it:
    /// whoever watches hears that an instance is Master before it sees the address.
    fn tell_events(&mut self) {
        if self.untold.is_empty() {
            return;
        }
        let mut latest = self.clock.now();
        for untold in self.untold.iter_mut().rev() {
            latest = untold.at.map_or(latest, |at| at.min(latest));
            untold.at = Some(latest);
        }
        let all = mem::take(&mut self.untold);
        log::gathered(|| all.iter().for_each(|untold| loudness::log(&untold.event)));
        let mut changed = false;
        for Untold { event, priority, at } in all {
            let at = at.unwrap_or(latest);
            self.events.tell(at, &event);
            changed |= matches!(event.news, News::State { .. });
            if let Some(post) = &self.post {
                post.tell(&event);
            }
            if let Some(listener) = &self.listener {
                // It ends only after us.
                let _ = listener.send(notify::Told::Event(event, priority));
            }
        }
        if changed && self.stops_by.is_none() {
            self.supervisor.status(&self.summary());
        }
    }

    fn ended(&self) -> Option<Ended> {
        let by = self.stops_by?;
        if !self.engine.status().is_releasing() {
            return Some(Ended::Released);
        }
        (self.clock.now() >= by).then_some(Ended::GaveUp)
    }
}

/// Whether it is something else than the director's.
fn is_of_no_server(output: &Output) -> bool {
    match output {
        Output::Probe(_) | Output::Ipvs(_) => false,
        Output::Notify(event) => !matches!(event.news, News::Director(_)),
        Output::Send { .. } | Output::Kernel { .. } => true,
    }
}
