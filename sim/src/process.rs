//! The VRRP process of a host: an engine, and a driver as the production one is.
//!
//! It performs the outputs of one input in their order and answers each before it takes the next
//! input. Before it fires a timer it reads what waits for it, so that a process which was paused
//! hears the adverts of that time first.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::health::{AttemptId, Outcome};
use vipd_engine::ipvs::Answer;
use vipd_engine::{
    CommandId, Config, DropReason, EffectError, Engine, Frame, Ifindex, Input, InstanceName, Order,
    Output, Outputs, Received, Status, Timestamp, TrackerName, TrackerValue,
};
use vipd_frames::{Ethernet, Payload};
use vipd_scenarios::record::{ProcessChange, Seen, WorldTime};

use crate::host::{Host, HostPort, Outside};
use crate::kernel::Change;
use crate::network::{Due, seen_advert};
use crate::packets::Slot;

/// Datagrams that wait in the socket of a process that does not read; what comes after is lost.
pub const SOCKET_QUEUE: usize = 256;

/// Something other than a datagram that a process is told. What is rare is boxed: an advert that
/// was sent is told by one of these.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Done { id: CommandId, result: Result<(), EffectError> },
    Change(Box<Change>),
    Tracker { id: TrackerName, value: TrackerValue },
    Order { instance: InstanceName, order: Order },
    Probe { id: AttemptId, outcome: Outcome },
    Ipvs { number: u64, answer: Box<Answer> },
    Configure(Arc<Config>),
    Shutdown,
}

/// Something that waits for a process.
enum Waiting {
    Datagram { packet: Slot, interface: Ifindex },
    Told(Told),
}

/// A running process.
pub(crate) struct Process {
    engine: Engine,
    outputs: Outputs,
    paused: bool,
    /// SIGTERM was sent; a process that stands still has not heard it yet.
    asked_to_stop: bool,
    stopping: bool,
    /// A start came meanwhile. It waits for the end in good order, and goes with any other end.
    start_wanted: bool,
    /// What waits because the process is paused, frozen or late, in order.
    inbox: VecDeque<Waiting>,
    datagrams_waiting: usize,
    /// What is told before the next input.
    told: VecDeque<Told>,
    /// The deadline that a timer is filed for.
    filed: Option<Timestamp>,
    read_filed: bool,
    counted: Counted,
}

/// The engine's counters when they were last looked at.
#[derive(Default)]
struct Counted {
    received: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Process {
    fn new() -> Self {
        Self {
            engine: Engine::new(),
            outputs: Outputs::new(),
            paused: false,
            asked_to_stop: false,
            stopping: false,
            start_wanted: false,
            inbox: VecDeque::new(),
            datagrams_waiting: 0,
            told: VecDeque::new(),
            filed: None,
            read_filed: false,
            counted: Counted::default(),
        }
    }

    /// Why the advert that was just handled did not count, if it did not.
    fn drop_reason(&mut self) -> Option<DropReason> {
        let status = self.engine.status();
        let received = status.instances().map(|instance| instance.counters().received).sum();
        if mem::replace(&mut self.counted.received, received) != received {
            return None;
        }
        let before = mem::take(&mut self.counted.drops);
        let all = status.instances().map(|instance| &instance.counters().drops);
        for counters in all.chain([status.unclaimed()]) {
            for (sum, (_, count)) in self.counted.drops.iter_mut().zip(counters.iter()) {
                *sum += count;
            }
        }
        let grown = self.counted.drops.iter().zip(before).position(|(now, before)| *now > before);
        grown.map(|reason| DropReason::ALL[reason])
    }
}

impl Host {
    /// What the engine says of itself, while the process is there.
    pub(crate) fn status(&self) -> Option<Status<'_>> {
        self.process.as_ref().map(|process| process.engine.status())
    }

    /// Starts the process with the file in place, if there is one and none runs. While one stops,
    /// the start waits for its end.
    pub(crate) fn start(&mut self, out: &mut Outside<'_>) {
        if let Some(process) = &mut self.process {
            process.start_wanted = process.asked_to_stop;
            return;
        }
        let Some(config) = self.config.clone().filter(|_| self.is_powered()) else { return };
        self.process = Some(Process::new());
        self.see(Seen::Process(ProcessChange::Started), out);
        let has_gates = config.instances().iter().any(|one| one.dead_man.is_some());
        self.kernel.gates.begin_process(has_gates);
        self.note_gates(out);
        for change in self.kernel.report() {
            self.tell(Told::Change(Box::new(change)));
        }
        self.tell(Told::Configure(config));
        self.drain(out);
        self.tell_trackers(out);
    }

    /// Puts another file in place and tells the process to read it.
    pub(crate) fn reload(&mut self, config: &Arc<Config>, out: &mut Outside<'_>) {
        self.config = Some(Arc::clone(config));
        if self.process.is_some() {
            self.tell(Told::Configure(Arc::clone(config)));
            self.drain(out);
            self.tell_trackers(out);
        }
    }

    /// SIGTERM. A start that waits is wanted no more.
    pub(crate) fn stop(&mut self, out: &mut Outside<'_>) {
        if let Some(process) = &mut self.process {
            process.asked_to_stop = true;
            process.start_wanted = false;
            self.see(Seen::Process(ProcessChange::Stopping), out);
            self.tell(Told::Shutdown);
            self.drain(out);
        }
    }

    /// SIGKILL. The kernel keeps what it has and does what it was asked to.
    pub(crate) fn kill(&mut self, out: &mut Outside<'_>) {
        if self.process.is_some() {
            self.end_process(out);
            self.see(Seen::Process(ProcessChange::Killed), out);
        }
    }

    /// SIGSTOP.
    pub(crate) fn pause(&mut self, out: &mut Outside<'_>) {
        if let Some(process) = self.process.as_mut().filter(|process| !process.paused) {
            process.paused = true;
            self.void_timer();
            self.see(Seen::Process(ProcessChange::Paused), out);
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self, out: &mut Outside<'_>) {
        if let Some(process) = self.process.as_mut().filter(|process| process.paused) {
            process.paused = false;
            self.see(Seen::Process(ProcessChange::Resumed), out);
            self.wake(out);
        }
    }

    /// A tracked script, file or process of this machine has a new value.
    pub(crate) fn track(&mut self, id: TrackerName, value: TrackerValue, out: &mut Outside<'_>) {
        self.trackers.insert(id.clone(), value);
        self.tell(Told::Tracker { id, value });
        self.drain(out);
    }

    /// An operator orders something of a virtual router of this machine.
    pub(crate) fn order(&mut self, instance: &str, order: Order, out: &mut Outside<'_>) {
        self.tell(Told::Order { instance: InstanceName::new(instance), order });
        self.drain(out);
    }

    /// Reads what waits, as late as this host is, and looks after the timer.
    pub(crate) fn wake(&mut self, out: &mut Outside<'_>) {
        if self.late.is_zero() {
            self.read_inbox(out);
        } else {
            self.file_read(out);
        }
        self.file_timer(out);
    }

    /// A datagram of IP protocol 112 is in the socket. Its place is kept if it has to wait.
    pub(crate) fn on_datagram(
        &mut self,
        packet: Slot,
        received: &Received<'_>,
        out: &mut Outside<'_>,
    ) {
        let stalled = self.is_stalled();
        let Some(process) = &mut self.process else { return };
        if !stalled && self.late.is_zero() && process.inbox.is_empty() {
            self.feed_advert(received, out);
            return;
        }
        if process.datagrams_waiting < SOCKET_QUEUE {
            process.datagrams_waiting += 1;
            let interface = received.interface;
            process.inbox.push_back(Waiting::Datagram { packet, interface });
            out.net.packets.retain(packet);
        }
        self.file_read(out);
    }

    pub(crate) fn on_read(&mut self, out: &mut Outside<'_>) {
        if let Some(process) = &mut self.process {
            process.read_filed = false;
        }
        self.read_inbox(out);
    }

    pub(crate) fn on_timer(&mut self, filing: u64, out: &mut Outside<'_>) {
        if filing != self.filing || self.is_stalled() {
            return;
        }
        if let Some(process) = &mut self.process {
            process.filed = None;
        }
        self.read_inbox(out);
        let now = self.clock.read(out.net.now);
        let Some(process) = &self.process else { return };
        if process.engine.next_deadline().is_some_and(|deadline| deadline.at <= now) {
            self.handle(Input::Tick, out);
            self.drain(out);
        } else {
            self.file_timer(out);
        }
    }

    /// Files the next deadline of the engine, unless an earlier one is filed.
    pub(crate) fn file_timer(&mut self, out: &mut Outside<'_>) {
        let stalled = self.is_stalled();
        let Some(process) = &mut self.process else { return };
        let Some(deadline) = process.engine.next_deadline() else { return };
        if stalled || process.filed.is_some_and(|filed| filed <= deadline.at) {
            return;
        }
        let Some(at) = self.clock.when(deadline.at) else { return };
        process.filed = Some(deadline.at);
        self.filing += 1;
        let at = if self.late.is_zero() { at } else { self.some_time_after(at) };
        let (host, filing) = (self.id, self.filing);
        out.net.queue.push(at.max(out.net.now), Due::Timer { host, filing });
    }

    /// Whether the deadline that is filed has passed on this machine's clock.
    pub(crate) fn is_timer_due(&self, now: WorldTime) -> bool {
        let filed = self.process.as_ref().and_then(|process| process.filed);
        filed.is_some_and(|deadline| deadline <= self.clock.read(now))
    }

    /// Whatever timer is filed will do nothing.
    pub(crate) fn void_timer(&mut self) {
        self.filing += 1;
        if let Some(process) = &mut self.process {
            process.filed = None;
        }
    }

    /// Tells the process something: before its next input, or behind what it was told before and
    /// has not read yet.
    pub(crate) fn tell(&mut self, told: Told) {
        let stalled = self.is_stalled();
        let Some(process) = &mut self.process else { return };
        if stalled || process.inbox.len() > process.datagrams_waiting {
            process.inbox.push_back(Waiting::Told(told));
        } else {
            process.told.push_back(told);
        }
    }

    /// Lets the process hear everything that it was told, and whatever follows from it.
    pub(crate) fn drain(&mut self, out: &mut Outside<'_>) {
        while let Some(told) = self.process.as_mut().and_then(|process| process.told.pop_front()) {
            self.hear(told, out);
        }
        let Some(process) = &self.process else { return };
        if process.stopping && !process.engine.status().is_releasing() {
            let start_wanted = process.start_wanted;
            self.end_process(out);
            self.see(Seen::Process(ProcessChange::Stopped), out);
            if start_wanted {
                self.start(out);
            }
        } else {
            self.file_timer(out);
        }
    }

    /// The process is no more. What it asked the kernel for is done all the same.
    pub(crate) fn end_process(&mut self, out: &mut Outside<'_>) {
        self.void_timer();
        self.kernel.orphan_commands();
        self.orphan_balancing();
        let Some(process) = self.process.take() else { return };
        for waiting in process.inbox {
            if let Waiting::Datagram { packet, .. } = waiting {
                out.net.packets.release(packet);
            }
        }
    }

    fn hear(&mut self, told: Told, out: &mut Outside<'_>) {
        let input = match told {
            Told::Done { id, result } => Input::Done { id, result },
            Told::Change(change) => match *change {
                Change::Link(link) => Input::Link(link),
                Change::Address(address) => Input::LocalAddress(address),
                Change::Fib(change) => Input::Fib(change),
            },
            Told::Tracker { id, value } => Input::Tracker { id, value },
            Told::Probe { id, outcome } => Input::Probe { id, outcome },
            Told::Ipvs { number, answer } => Input::Ipvs { number, answer },
            Told::Order { instance, order } => Input::Operator { instance, order },
            // As in production: a file that comes while we stop is for the next start.
            Told::Configure(_) if self.process.as_ref().is_some_and(|one| one.stopping) => return,
            Told::Configure(config) => {
                self.see(Seen::Configured(Arc::clone(&config)), out);
                Input::Configure(config)
            }
            Told::Shutdown => {
                if let Some(process) = &mut self.process {
                    process.stopping = true;
                }
                Input::Shutdown
            }
        };
        self.handle(input, out);
    }

    /// One input, and its outputs in their order.
    fn handle(&mut self, input: Input<'_>, out: &mut Outside<'_>) {
        let Some(process) = &mut self.process else { return };
        let now = self.clock.read(out.net.now);
        if let Some(trace) = &mut out.net.trace {
            trace.input(out.net.now, self.id, &input);
        }
        process.engine.handle(now, input, &mut process.outputs);
        #[cfg(debug_assertions)]
        process.engine.check_invariants();
        // Most inputs ask for nothing.
        if !process.outputs.as_slice().is_empty() {
            self.perform_all(out);
        }
    }

    #[inline(never)]
    fn perform_all(&mut self, out: &mut Outside<'_>) {
        let Some(process) = &mut self.process else { return };
        let mut outputs = mem::take(&mut process.outputs);
        for output in outputs.drain() {
            if let Some(trace) = &mut out.net.trace {
                trace.output(&output);
            }
            self.perform(output, out);
        }
        if let Some(process) = &mut self.process {
            process.outputs = outputs;
        }
    }

    fn perform(&mut self, output: Output, out: &mut Outside<'_>) {
        match output {
            Output::Send { id, frame } => {
                let result = self.send(&frame, out);
                if let Some(process) = &mut self.process {
                    process.told.push_back(Told::Done { id, result });
                }
            }
            Output::Kernel { id, command } => {
                let due = self.kernel.submit(out.net.now, id, command);
                if due > out.net.now {
                    out.net.queue.push(due, Due::Command { host: self.id });
                } else {
                    self.complete_commands(out);
                }
            }
            Output::Notify(event) => self.see(Seen::Engine(event), out),
            Output::Probe(probe) => self.perform_probe(probe, out),
            Output::Ipvs(request) => self.submit_ipvs(request, out),
        }
    }

    fn send(&mut self, frame: &Frame, out: &mut Outside<'_>) -> Result<(), EffectError> {
        let interface = match frame {
            Frame::Advert(frame) => frame.interface,
            Frame::GratuitousArp(announced) | Frame::UnsolicitedNa(announced) => {
                announced.interface
            }
        };
        let port = self.port_of(interface).filter(|_| self.kernel.passes(interface));
        let Some(HostPort { id: port, segment, .. }) = port else {
            return Err(EffectError::NoInterface);
        };
        let dst = match frame {
            Frame::Advert(frame) if !frame.dst.is_multicast() => {
                out.net.resolve(segment, frame.dst)
            }
            Frame::Advert(_) | Frame::GratuitousArp(_) | Frame::UnsolicitedNa(_) => {
                Ethernet::BROADCAST
            }
        };
        let packet = out.net.packets.take();
        self.identification = self.identification.wrapping_add(1);
        let in_flight = out.net.packets.get_mut(packet);
        in_flight.sender = Some(self.id);
        vipd_frames::encode(frame, dst, self.identification, &mut in_flight.bytes);
        if in_flight.bytes.is_empty() {
            out.net.packets.release(packet);
            return Err(EffectError::Refused);
        }
        match frame {
            Frame::Advert(frame) => {
                let number = out.net.number_packet();
                let in_flight = out.net.packets.get_mut(packet);
                let message =
                    &in_flight.bytes[in_flight.bytes.len() - frame.advert.message_len()..];
                let ends = (frame.src, frame.dst);
                let advert = seen_advert(number, segment, Some(self.id), ends, message);
                in_flight.advert = advert;
                if let Some(advert) = advert {
                    self.see(Seen::AdvertSent(advert), out);
                }
            }
            Frame::GratuitousArp(announced) | Frame::UnsolicitedNa(announced) => {
                let (address, mac) = (announced.address, announced.mac);
                self.see(Seen::Announced { segment, address, mac }, out);
            }
        }
        out.net.transmit(port, packet, out.record);
        Ok(())
    }

    fn feed_advert(&mut self, received: &Received<'_>, out: &mut Outside<'_>) {
        self.handle(Input::Advert(*received), out);
        if let Some(reason) = self.process.as_mut().and_then(Process::drop_reason) {
            self.see(Seen::Dropped(reason.name()), out);
        }
        self.drain(out);
    }

    fn read_inbox(&mut self, out: &mut Outside<'_>) {
        while !self.is_stalled() {
            let waiting = self.process.as_mut().and_then(|process| process.inbox.pop_front());
            match waiting {
                Some(Waiting::Datagram { packet, interface }) => {
                    self.read_datagram(packet, interface, out);
                }
                Some(Waiting::Told(told)) => {
                    self.hear(told, out);
                    self.drain(out);
                }
                None => return,
            }
        }
    }

    fn read_datagram(&mut self, packet: Slot, interface: Ifindex, out: &mut Outside<'_>) {
        if let Some(process) = &mut self.process {
            process.datagrams_waiting -= 1;
        }
        let bytes = mem::take(&mut out.net.packets.get_mut(packet).bytes);
        if let Ok(frame) = vipd_frames::decode(&bytes)
            && let Payload::Vrrp(datagram) = frame.payload
        {
            let vipd_frames::Vrrp { src, dst, ttl, bytes } = datagram;
            self.feed_advert(&Received { interface, src, dst, ttl, bytes }, out);
        }
        out.net.packets.get_mut(packet).bytes = bytes;
        out.net.packets.release(packet);
    }

    fn file_read(&mut self, out: &mut Outside<'_>) {
        let stalled = self.is_stalled();
        let Some(process) = &mut self.process else { return };
        if stalled || process.read_filed || process.inbox.is_empty() {
            return;
        }
        process.read_filed = true;
        let at = self.some_time_after(out.net.now);
        out.net.queue.push(at, Due::Read { host: self.id });
    }

    fn some_time_after(&mut self, at: WorldTime) -> WorldTime {
        at.later(Duration::from_nanos(self.lateness.up_to(self.late)))
    }

    /// What the engine watches and no step has set is good: its script succeeds at once.
    fn tell_trackers(&mut self, out: &mut Outside<'_>) {
        let Some(process) = &self.process else { return };
        let watched: Vec<_> = process.engine.trackers().cloned().collect();
        for id in watched {
            let value = self.trackers.get(&id).copied().unwrap_or(TrackerValue::Up);
            self.tell(Told::Tracker { id, value });
        }
        self.drain(out);
    }

    pub(crate) fn port_of(&self, interface: Ifindex) -> Option<HostPort> {
        let lower = self.kernel.lower(interface)?;
        self.ports.iter().find(|port| port.index == lower).copied()
    }

    fn is_stalled(&self) -> bool {
        self.frozen || self.process.as_ref().is_some_and(|process| process.paused)
    }
}
