//! One machine: kernel, clock, process, ports, power.
//!
//! What its process does is in [`crate::process`], how its kernel treats frames in
//! [`crate::stack`], what it asks as a client in [`crate::client`] and [`crate::requests`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{Config, Ifindex, LinkState, Timestamp, TrackerName, TrackerValue};
use vipd_scenarios::record::{
    HostId, LossReason, MachineChange, Recorder, Seen, SegmentId, WorldTime,
};

use crate::balancing::{Balancing, Servers};
use crate::client::Client;
use crate::clock::Clock;
use crate::dripping::Drips;
use crate::kernel::{Change, Kernel};
use crate::network::{Due, Network, PortId};
use crate::packets::Slot;
use crate::process::{Process, Told};
use crate::random::Random;
use crate::requests::User;
use crate::serving::Waiting;

/// Frames that the network card of a frozen machine keeps; what comes after them is lost.
pub const CARD_QUEUE: usize = 256;

/// What is outside of a host: the wires, and whoever watches.
pub(crate) struct Outside<'a> {
    pub(crate) net: &'a mut Network,
    pub(crate) record: &'a mut dyn Recorder,
    pub(crate) servers: &'a Servers,
}

/// A port as its host sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostPort {
    pub(crate) id: PortId,
    pub(crate) index: Ifindex,
    pub(crate) segment: SegmentId,
}

/// One machine.
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) kernel: Kernel,
    pub(crate) balancing: Balancing,
    pub(crate) clock: Clock,
    /// The file in place: what a process that starts reads.
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) process: Option<Process>,
    pub(crate) client: Option<Client>,
    pub(crate) user: Option<User>,
    /// Its kernel sends on what is for somebody else, once it knows to which MAC.
    pub(crate) forwards: bool,
    pub(crate) waiting: Vec<Waiting>,
    /// Pages that it serves an octet at a time.
    pub(crate) drips: Drips,
    pub(crate) trackers: BTreeMap<TrackerName, TrackerValue>,
    pub(crate) late: Duration,
    pub(crate) lateness: Random,
    /// Counts timer filings; only the last one is not void.
    pub(crate) filing: u64,
    pub(crate) identification: u16,
    /// Whom each neighbour entry points to.
    pub(crate) points_to: BTreeMap<(Ifindex, IpAddr), Option<HostId>>,
    pub(crate) frozen: bool,
    powered: bool,
    /// What came due while it was frozen.
    held: Vec<Due>,
    owned: BTreeSet<(SegmentId, IpAddr)>,
    /// When it is looked next whether a lease is over.
    lease_due: Option<WorldTime>,
}

impl Host {
    pub(crate) fn new(
        id: HostId,
        kernel: Kernel,
        balancing: Balancing,
        ports: Vec<HostPort>,
        lateness: Random,
    ) -> Self {
        // Each clock has its own origin: a stamp that strays to another node shows.
        let reading = Timestamp::from_nanos((u64::from(id.0) + 1) * 1_000_000_000_000);
        Self {
            id,
            ports,
            kernel,
            balancing,
            clock: Clock::new(reading),
            config: None,
            process: None,
            client: None,
            user: None,
            forwards: false,
            waiting: Vec::new(),
            drips: Drips::default(),
            trackers: BTreeMap::new(),
            late: Duration::ZERO,
            lateness,
            filing: 0,
            identification: 0,
            points_to: BTreeMap::new(),
            frozen: false,
            powered: true,
            held: Vec::new(),
            owned: BTreeSet::new(),
            lease_due: None,
        }
    }

    /// Something of this host came due. Frames have their own way in: `arrive`.
    pub(crate) fn on_due(&mut self, due: Due, out: &mut Outside<'_>) {
        match due {
            Due::Timer { filing, .. } => self.on_timer(filing, out),
            Due::Read { .. } => self.on_read(out),
            Due::Command { .. } | Due::Checked { .. } if self.frozen => self.held.push(due),
            Due::Checked { number, .. } => self.on_checked(number, out),
            Due::Command { .. } => {
                self.complete_commands(out);
                self.complete_ipvs(out);
                self.drain(out);
            }
            Due::Lease { .. } => {
                self.lease_due = self.lease_due.filter(|at| *at > out.net.now);
                if !self.frozen {
                    self.end_leases(out);
                }
            }
            Due::Probe { .. } => self.on_probe(out),
            Due::Request { .. } => self.on_request(out),
            Due::RequestTimer { number, filing, .. } => self.on_request_timer(number, filing, out),
            Due::Drip { number, .. } => self.on_drip(number, out),
            Due::Arrival { .. } | Due::Injection { .. } | Due::Sync { .. } => {}
        }
    }

    pub(crate) fn freeze(&mut self, clock: bool, out: &mut Outside<'_>) {
        if self.frozen || !self.powered {
            return;
        }
        self.frozen = true;
        if clock {
            self.clock.stop(out.net.now);
        }
        self.void_timer();
        self.see(Seen::Machine(MachineChange::Frozen { clock }), out);
        self.refresh_owned(out);
    }

    /// What came due meanwhile happens now, in order, and before any timer.
    pub(crate) fn thaw(&mut self, out: &mut Outside<'_>) {
        if !self.frozen {
            return;
        }
        self.frozen = false;
        self.clock.go_on(out.net.now);
        self.see(Seen::Machine(MachineChange::Thawed), out);
        self.end_leases(out);
        self.refresh_owned(out);
        for due in std::mem::take(&mut self.held) {
            out.net.queue.push(out.net.now, due);
        }
        self.wake(out);
    }

    pub(crate) fn power_off(&mut self, out: &mut Outside<'_>) {
        if !self.powered {
            return;
        }
        self.end_process(out);
        if self.frozen {
            self.frozen = false;
            self.clock.go_on(out.net.now);
        }
        self.powered = false;
        self.see(Seen::Machine(MachineChange::Off), out);
        for due in std::mem::take(&mut self.held) {
            if let Due::Arrival { port, packet } = due {
                out.net.lost(port, packet, LossReason::PoweredOff, out.record);
                out.net.packets.release(packet);
            }
        }
        let mut changes = Vec::new();
        self.kernel.reboot(&mut changes);
        self.reset_balancing(out);
        self.points_to.clear();
        self.see_changes(&changes, out);
        // An owner's address is its interface's own: the kernel keeps it, and answers no more.
        self.refresh_owned(out);
        if let Some(client) = &mut self.client {
            client.reboot();
        }
        self.forget_requests(out);
        self.waiting.clear();
        self.drips.forget();
    }

    pub(crate) fn power_on(&mut self, out: &mut Outside<'_>) {
        if self.powered {
            return;
        }
        self.powered = true;
        self.see(Seen::Machine(MachineChange::On), out);
        self.refresh_owned(out);
        self.start(out);
    }

    /// Changes the kernel from outside the process, which is told.
    pub(crate) fn change_kernel(
        &mut self,
        out: &mut Outside<'_>,
        change: impl FnOnce(&mut Kernel, &mut Vec<Change>),
    ) {
        let mut changes = Vec::new();
        change(&mut self.kernel, &mut changes);
        self.see_changes(&changes, out);
        for change in changes {
            self.tell(Told::Change(Box::new(change)));
        }
        self.drain(out);
    }

    pub(crate) fn set_clock_rate(&mut self, ppm: i32, out: &mut Outside<'_>) {
        self.clock.set_rate(out.net.now, ppm);
        // What is due already is late by what was drawn for it, not by that and as much again.
        if !self.is_timer_due(out.net.now) {
            self.void_timer();
            self.file_timer(out);
        }
        self.end_leases(out);
    }

    /// Timers and packet handlers run late by up to this much from now on.
    pub(crate) fn set_lateness(&mut self, late: Duration, out: &mut Outside<'_>) {
        self.late = late;
        self.void_timer();
        self.file_timer(out);
    }

    /// Does the kernel commands that are due. The process hears of the changes first, then of the
    /// end of each command.
    pub(crate) fn complete_commands(&mut self, out: &mut Outside<'_>) {
        let mut changes = Vec::new();
        while let Some(completed) = self.kernel.complete(out.net.now, &mut changes) {
            self.see_changes(&changes, out);
            for change in changes.drain(..) {
                self.tell(Told::Change(Box::new(change)));
            }
            if let Some(id) = completed.id {
                self.tell(Told::Done { id, result: completed.result });
            }
        }
        self.note_gates(out);
    }

    /// What is reachable, and the next end of a lease, after gates came, went or were opened.
    pub(crate) fn note_gates(&mut self, out: &mut Outside<'_>) {
        if self.kernel.gates.have_moved() {
            self.refresh_owned(out);
            self.end_leases(out);
        }
    }

    /// Shuts the gates whose lease is over by this machine's clock, and files the next end.
    fn end_leases(&mut self, out: &mut Outside<'_>) {
        if self.kernel.gates.end_leases(self.clock.read(out.net.now)) {
            self.refresh_owned(out);
        }
        // One that was filed for an earlier end files the next one: each renewal would be one more.
        if let Some(at) = self.kernel.gates.next_end().and_then(|end| self.clock.when(end))
            && self.lease_due.is_none_or(|filed| at < filed)
        {
            let at = at.max(out.net.now);
            out.net.queue.push(at, Due::Lease { host: self.id });
            self.lease_due = Some(at);
        }
    }

    /// A frame came to a frozen machine.
    pub(crate) fn hold_arrival(&mut self, port: PortId, packet: Slot, out: &mut Outside<'_>) {
        if self.held.len() < CARD_QUEUE {
            self.held.push(Due::Arrival { port, packet });
        } else {
            out.net.lost(port, packet, LossReason::Lost, out.record);
            out.net.packets.release(packet);
        }
    }

    /// Tells of every virtual address that the data plane owns now and did not, or the reverse.
    pub(crate) fn refresh_owned(&mut self, out: &mut Outside<'_>) {
        let mut owned = BTreeSet::new();
        if self.is_running() {
            for port in &self.ports {
                for address in &out.net.virtual_addresses {
                    if self.kernel.answers(port.index, *address).is_some() {
                        owned.insert((port.segment, *address));
                    }
                }
            }
        }
        let before = std::mem::replace(&mut self.owned, owned);
        for (places, owns) in
            [(before.difference(&self.owned), false), (self.owned.difference(&before), true)]
        {
            for (segment, address) in places {
                let seen = Seen::Owns { segment: *segment, address: *address, owns };
                out.net.observe(self.id, seen, out.record);
            }
        }
    }

    pub(crate) fn see(&self, seen: Seen, out: &mut Outside<'_>) {
        out.net.observe(self.id, seen, out.record);
    }

    pub(crate) const fn is_powered(&self) -> bool {
        self.powered
    }

    /// Power is on and nothing stands still.
    pub(crate) const fn is_running(&self) -> bool {
        self.powered && !self.frozen
    }

    fn see_changes(&mut self, changes: &[Change], out: &mut Outside<'_>) {
        for change in changes {
            match change {
                Change::Link(link) => {
                    let port = self.ports.iter().find(|port| port.index == link.interface);
                    if let Some(segment) = port.map(|port| port.segment) {
                        let up = link.state == LinkState::Up;
                        self.see(Seen::Link { segment, up }, out);
                    }
                }
                Change::Address(change) => {
                    let (address, present) = (change.address, change.present);
                    self.see(Seen::Address { address, present }, out);
                }
                Change::Fib(change) => {
                    let (entry, present) = (change.entry.to_string().into(), change.present);
                    self.see(Seen::Fib { entry, present }, out);
                }
            }
        }
        if !changes.is_empty() {
            self.refresh_owned(out);
        }
    }
}
