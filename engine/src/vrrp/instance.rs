//! One virtual router: its state machine.
//!
//! Here are the transitions and what each of them does, in order. What an advert means is decided
//! in `election`, whether it counts in `accept`; reactions to adverts are in `hearing`, to
//! configuration changes in `reload`; what it sends is in `transmit`; its fingerprint in `folding`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{InstanceConfig, Track, VirtualAddress};
use crate::director::Director;
use crate::event::{Event, Fault, News, StateKind, Why};
use crate::input::{EffectError, LinkState};
use crate::names::{Ifindex, InterfaceName, Interval, MacAddress, Priority};
use crate::observed::Observed;
use crate::output::{CommandId, InstanceId, KernelCommand, Output, Outputs};
use crate::policy;
use crate::status::Counters;
use crate::time::{Timestamp, earlier};
use crate::vrrp::accept::Receiver;
use crate::vrrp::flapping::{self, Flapping};
use crate::vrrp::holdings::{Change, Holdings, Want};
use crate::vrrp::last_event::LastEvent;
use crate::vrrp::named::Named;
use crate::vrrp::operator::Standing;
use crate::vrrp::resigned::Resignations;
use crate::vrrp::sending::Sending;
use crate::vrrp::state::{Backup, Heard, Hold, Master, State};
use crate::vrrp::timers;
use crate::vrrp::vanishing::{self, Vanishing};

/// What an instance may see and where its effects go.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) observed: &'a Observed,
    pub(crate) director: Option<&'a Director>,
    pub(crate) out: &'a mut Outputs,
}

/// Where adverts leave: derived from what was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) interface: Ifindex,
    pub(crate) mac: MacAddress,
    pub(crate) source: IpAddr,
}

/// One virtual router.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) config: Arc<InstanceConfig>,
    /// What is watched, the group's included.
    pub(crate) tracks: Vec<Track>,
    /// Non-zero weights count.
    pub(crate) weights_count: bool,
    pub(crate) grouped: bool,
    /// Of the configuration.
    #[serde(skip)]
    pub(crate) advertised: Arc<[IpAddr]>,
    pub(crate) port: Option<Port>,
    /// In force, trackers included.
    pub(crate) priority: Priority,
    pub(crate) own_fault: Option<Fault>,
    pub(crate) group_fault: Option<Fault>,
    pub(crate) sends_refused: bool,
    pub(crate) standing: Standing,
    pub(crate) state: State,
    pub(crate) resignations: Resignations,
    pub(crate) named: Named,
    pub(crate) flapping: Flapping,
    pub(crate) sending: Sending,
    pub(crate) vanishing: Vanishing,
    pub(crate) holdings: Holdings,
    /// It is being stopped: nothing starts it again.
    pub(crate) stopping: bool,
    pub(crate) next_number: u64,
    // Books.
    pub(crate) since: Timestamp,
    pub(crate) why: Why,
    pub(crate) last_event: LastEvent,
    pub(crate) counters: Counters,
    pub(crate) last_heard: Option<(IpAddr, u8, Timestamp)>,
}

impl Instance {
    pub(crate) fn new(
        id: InstanceId,
        config: Arc<InstanceConfig>,
        now: Timestamp,
        start_at: Option<Timestamp>,
    ) -> Self {
        let mut instance = Self {
            id,
            priority: config.priority,
            config,
            tracks: Vec::new(),
            weights_count: true,
            grouped: false,
            advertised: Arc::from([]),
            port: None,
            own_fault: None,
            group_fault: None,
            sends_refused: false,
            standing: Standing::Free,
            state: State::Initialize { start_at },
            resignations: Resignations::default(),
            named: Named::default(),
            flapping: Flapping::default(),
            sending: Sending::default(),
            vanishing: Vanishing::default(),
            holdings: Holdings::default(),
            stopping: false,
            next_number: 0,
            since: now,
            why: Why::Startup,
            last_event: LastEvent::None,
            counters: Counters::default(),
            last_heard: None,
        };
        instance.apply_addresses();
        instance
    }

    /// Takes the address lists of the configuration over into the holdings.
    pub(crate) fn apply_addresses(&mut self) {
        self.derive();
        let config = &self.config;
        let needs_filter = !config.rules.accept && !config.priority.is_owner();
        let macvlan = config.virtual_mac.as_ref();
        let home = macvlan.map_or(&config.interface, |macvlan| &macvlan.interface);
        let wanted = config.addresses.iter().chain(&config.excluded).map(|address| {
            let interface = address.interface.clone().unwrap_or_else(|| home.clone());
            (VirtualAddress { interface: None, ..address.clone() }, interface, needs_filter)
        });
        let mac = MacAddress::virtual_router(config.family, config.vrid);
        let macvlan =
            macvlan.map(|macvlan| (macvlan.interface.clone(), config.interface.clone(), mac));
        self.holdings.configure(wanted, macvlan, &config.fib);
        self.holdings.gate.configure(config.dead_man.map_or_else(Vec::new, |_| config.places()));
        if !config.priority.is_owner() {
            self.holdings.claim();
        }
    }

    /// Derives what is derived: the addresses that stand in an advert, the deadline of commands.
    pub(crate) fn derive(&mut self) {
        let addresses = self.config.addresses.iter();
        self.advertised = addresses.map(|address| address.address).collect();
        self.holdings.file();
    }

    /// Looks at everything observed and starts, faults, recovers or changes its priority.
    pub(crate) fn evaluate(&mut self, ctx: &mut Context<'_>) {
        if self.stopping {
            return;
        }
        self.group_fault = self.group_fault.take().filter(|_| self.grouped);
        self.port = self.find_port(ctx.observed);
        let mut delta = 0;
        let (mut tracked, mut pending) = (None, None);
        for track in &self.tracks {
            match ctx.observed.judge(track) {
                Ok(change) => delta += change,
                Err(fault @ Fault::TrackerPending(_)) => pending = pending.or(Some(fault)),
                Err(fault) => tracked = tracked.or(Some(fault)),
            }
        }
        // What runs goes on while a tracker that a reload added has not reported yet.
        let pending = pending.filter(|_| !self.is_running());
        let undirected = || policy::undirected(ctx.director, &self.config).map(Fault::NoIpvs);
        let fault = self.port_fault(ctx.observed).or(tracked).or(pending).or_else(undirected);
        let event = LastEvent::of_fault(self.own_fault.as_ref(), fault.as_ref());
        self.last_event = event.unwrap_or(self.last_event);
        self.own_fault = fault;
        let weighted = if self.weights_count { delta } else { 0 };
        self.set_priority(ctx, self.config.priority.adjusted(weighted));
        self.follow_who_is_no_longer_lower(ctx);
        self.act_on_faults(ctx);
        if !self.grouped {
            self.become_master_if_wanted(ctx);
        }
    }

    fn find_port(&self, observed: &Observed) -> Option<Port> {
        let (index, interface) = observed.by_name(&self.config.interface)?;
        let source = match self.config.source() {
            Some(source) => observed.has_address(source).then_some(source),
            None => interface.primary(self.config.family, |address| observed.is_virtual(address)),
        }?;
        let mac = match &self.config.virtual_mac {
            Some(macvlan) if !macvlan.transmit_from_parent => {
                MacAddress::virtual_router(self.config.family, self.config.vrid)
            }
            Some(_) | None => interface.mac,
        };
        Some(Port { interface: index, mac, source })
    }

    fn port_fault(&self, observed: &Observed) -> Option<Fault> {
        match observed.by_name(&self.config.interface) {
            None => Some(Fault::InterfaceMissing),
            Some((_, interface)) if !interface.up && !self.config.ignore_primary_link => {
                Some(Fault::LinkDown)
            }
            Some(_) if self.port.is_none() => Some(Fault::NoPrimaryAddress),
            Some(_) if self.sends_refused => Some(Fault::SendsRefused),
            Some(_) if self.holdings.gate.is_refused() => Some(Fault::NoGate),
            Some(_) => self.vanishing.fault(),
        }
    }

    /// The kernel took or refused a gate.
    fn evaluate_gate(&mut self, ctx: &mut Context<'_>) {
        if self.holdings.gate.is_refused() != (self.own_fault == Some(Fault::NoGate)) {
            self.evaluate(ctx);
        }
        self.settle_lease(ctx.now);
    }

    fn set_priority(&mut self, ctx: &mut Context<'_>, priority: Priority) {
        if priority == self.priority {
            return;
        }
        let from = self.priority;
        let skew = |priority, interval| timers::skew_time(self.config.version, priority, interval);
        if let State::Backup(backup) = &mut self.state
            && let Some(down_at) = backup.master_down_at
        {
            // A running down timer moves by the change of its skew, not into the past.
            let later = skew(priority, backup.interval);
            let earlier = skew(from, backup.interval);
            let moved = Timestamp::from_nanos(
                (down_at + later).as_nanos().saturating_sub(earlier.as_nanos() as u64),
            );
            backup.master_down_at = Some(moved.max(ctx.now));
            backup.armed_for = (backup.armed_for + later).saturating_sub(earlier);
        }
        self.priority = priority;
        self.notify(ctx, News::PriorityChanged { from, to: priority });
    }

    pub(crate) fn act_on_faults(&mut self, ctx: &mut Context<'_>) {
        if self.stopping {
            return;
        }
        let fault = self.own_fault.clone().or_else(|| self.group_fault.clone());
        match (&self.state, fault) {
            (State::Initialize { start_at: Some(at) }, _) if *at > ctx.now => {}
            (State::Initialize { .. }, Some(Fault::TrackerPending(_))) => {}
            (State::Initialize { .. }, None) => self.start(ctx, Why::Startup),
            (State::Fault { .. }, None) => self.start(ctx, Why::Recovered),
            (State::Fault { .. }, Some(_)) | (State::Backup(_) | State::Master(_), None) => {}
            (State::Initialize { .. } | State::Backup(_) | State::Master(_), Some(fault)) => {
                self.enter_fault(ctx, fault);
            }
        }
    }

    /// RFC 9568 section 6.4.1.
    fn start(&mut self, ctx: &mut Context<'_>, why: Why) {
        let waits = self.grouped || self.standing != Standing::Free;
        match (self.config.priority.is_owner(), waits) {
            (true, false) => self.enter_master(ctx, Why::OwnerStartup),
            (true, true) if self.standing == Standing::Free => {
                self.enter_backup(ctx, why, self.config.interval);
                self.want_master();
            }
            (true, true) | (false, _) => self.enter_backup(ctx, why, self.config.interval),
        }
    }

    /// `Master_Down_Interval` with this interval in force.
    pub(crate) fn master_down_interval(&self, interval: Interval) -> Duration {
        let (version, adverts) = (self.config.version, self.config.down_timer_adverts);
        timers::master_down_interval(version, self.priority, interval, adverts)
    }

    /// Arms `Master_Down_Timer` and goes to Backup. `interval` is `Master_Adver_Interval`.
    pub(crate) fn enter_backup(&mut self, ctx: &mut Context<'_>, why: Why, interval: Interval) {
        let armed_for = self.master_down_interval(interval);
        let backup = Backup {
            master_down_at: Some(ctx.now + armed_for),
            interval,
            armed_for,
            heard: Heard::Nothing,
            hold: Hold::Off,
        };
        self.change_state(ctx, State::Backup(backup), why);
    }

    /// The advert leaves first, then come the addresses, then, once the kernel has them, the
    /// announcements (RFC 9568 section 6.4.2).
    fn enter_master(&mut self, ctx: &mut Context<'_>, why: Why) {
        self.end_yield(ctx);
        self.send_adverts(ctx, self.priority.get());
        self.counters.master_transitions += 1;
        self.change_state(ctx, State::Master(Master::new(ctx.now, &self.config)), why);
        self.settle_lease(ctx.now);
        // An owner's address may be there already.
        self.announce(ctx, self.config.announcements.repeat);
    }

    fn enter_fault(&mut self, ctx: &mut Context<'_>, fault: Fault) {
        self.resign(ctx);
        let retry_at = match &fault {
            Fault::SendsRefused => Some(ctx.now + self.master_down_interval(self.config.interval)),
            Fault::AddressVanishes(_) => Some(ctx.now + vanishing::QUIET),
            Fault::InterfaceMissing | Fault::LinkDown | Fault::NoPrimaryAddress => None,
            Fault::Tracked(_) | Fault::TrackerPending(_) | Fault::Group(_) => None,
            Fault::NoIpvs(_) | Fault::NoGate => None,
        };
        self.resignations.clear();
        self.change_state(ctx, State::Fault { retry_at }, Why::Fault(fault));
    }

    /// Resigns if Master, gives everything back, and stays in Initialize.
    pub(crate) fn stop(&mut self, ctx: &mut Context<'_>, why: Why) {
        self.stopping = true;
        self.standing = self.standing.ordered();
        self.resign(ctx);
        self.resignations.clear();
        self.change_state(ctx, State::Initialize { start_at: None }, why);
    }

    pub(crate) fn resign(&mut self, ctx: &mut Context<'_>) {
        if self.state.kind() == StateKind::Master {
            self.send_adverts(ctx, 0);
        }
    }

    fn change_state(&mut self, ctx: &mut Context<'_>, state: State, why: Why) {
        let from = self.state.kind();
        self.state = state;
        let to = self.state.kind();
        if from != to {
            (self.since, self.why) = (ctx.now, why.clone());
            let event = LastEvent::of_change(&why, self.config.priority.is_owner());
            self.last_event = event.unwrap_or(self.last_event);
            let flapping = self.flapping.on_change(ctx.now, to, &why, self.config.interval);
            self.notify(ctx, News::State { from, to, why });
            if let Some(within) = flapping {
                let transitions = flapping::TRANSITIONS as u8;
                self.notify(ctx, News::Flapping { transitions, within });
            }
        }
        self.reconcile(ctx);
    }

    /// Its down timer ran out in a group, or while it is held: it waits there.
    fn want_master(&mut self) {
        if let State::Backup(backup) = &mut self.state {
            backup.master_down_at = None;
        }
    }

    pub(crate) const fn wants_master(&self) -> bool {
        matches!(&self.state, State::Backup(backup) if backup.master_down_at.is_none())
    }

    /// Its group has nothing against it any more, or no operator.
    pub(crate) fn become_master_if_wanted(&mut self, ctx: &mut Context<'_>) {
        if let State::Backup(backup) = &self.state
            && backup.master_down_at.is_none()
            && !self.is_held()
        {
            self.enter_master(ctx, backup.why());
        }
    }

    /// Becomes Master with a group of masters that it is new in, if it has heard of no other one.
    pub(crate) fn join_masters(&mut self, ctx: &mut Context<'_>, why: Why) {
        let heard_nobody =
            matches!(&self.state, State::Backup(backup) if backup.heard == Heard::Nothing);
        if heard_nobody && !self.is_held() {
            self.enter_master(ctx, why);
        }
    }

    /// Leaves Master because another member of the group is Backup.
    pub(crate) fn yield_with_group(&mut self, ctx: &mut Context<'_>, why: Why) {
        match self.state {
            State::Master(_) => self.enter_backup(ctx, why, self.config.interval),
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => {}
        }
    }

    pub(crate) fn set_group_fault(&mut self, ctx: &mut Context<'_>, fault: Option<Fault>) {
        if self.group_fault != fault {
            self.group_fault = fault;
            self.act_on_faults(ctx);
        }
    }

    /// Does what is due. A late timer acts once.
    pub(crate) fn on_tick(&mut self, ctx: &mut Context<'_>) {
        while self.holdings.deadline().is_some_and(|at| at <= ctx.now) {
            let Some(change) = self.holdings.overdue(ctx.now) else {
                self.reconcile(ctx);
                break;
            };
            self.on_change(ctx, change);
        }
        self.end_hold_down(ctx);
        self.end_hold(ctx);
        match &mut self.state {
            State::Initialize { start_at: Some(at) } if *at <= ctx.now => {
                self.state = State::Initialize { start_at: None };
                self.act_on_faults(ctx);
            }
            State::Backup(backup) if backup.master_down_at.is_some_and(|at| at <= ctx.now) => {
                if self.grouped || self.standing == Standing::Held {
                    self.want_master();
                } else {
                    let why = backup.why();
                    self.enter_master(ctx, why);
                }
            }
            State::Master(_) => self.on_master_tick(ctx),
            State::Fault { retry_at: Some(at) } if *at <= ctx.now => {
                self.sends_refused = false;
                self.sending.forget();
                self.vanishing.forget();
                self.state = State::Fault { retry_at: None };
                self.evaluate(ctx);
            }
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => {}
        }
    }

    pub(crate) fn on_master_tick(&mut self, ctx: &mut Context<'_>) {
        let interval = self.config.interval.duration();
        let State::Master(master) = &mut self.state else { return };
        let frames = master.announcements_due(ctx.now, &self.config);
        if master.advert_at <= ctx.now {
            // From the deadline, not from now: the period does not drift.
            let next = master.advert_at + interval;
            master.advert_at = if next > ctx.now { next } else { ctx.now + interval };
            if let Some(in_a_row) = self.send_adverts(ctx, self.priority.get()) {
                self.on_refused(ctx, EffectError::TimedOut, in_a_row);
            }
        }
        self.announce(ctx, frames);
    }

    pub(crate) fn reconcile(&mut self, ctx: &mut Context<'_>) {
        let (want, id, source) = (self.want(ctx.now), self.id, self.port.map(|port| port.source));
        let Self { holdings, next_number, .. } = self;
        let is_up = |name: &InterfaceName| ctx.observed.is_up(name);
        holdings.reconcile(id, ctx.now, want, source, is_up, |command: &KernelCommand| {
            let number = *next_number;
            *next_number += 1;
            let id = CommandId { instance: id, number };
            ctx.out.push(Output::Kernel { id, command: command.clone() });
            number
        });
    }

    pub(crate) fn want(&self, now: Timestamp) -> Want {
        let state = self.state.kind();
        match (policy::owns(&self.state, now), self.stopping, self.config.priority.is_owner()) {
            (true, _, _) => Want::Held,
            (false, true, _) => Want::ReleasedOnStop,
            // An owner's real address stays through a fault, and goes when it yields.
            (false, false, true) if state != StateKind::Backup => Want::ReleasedOnStop,
            (false, false, _) => Want::Released,
        }
    }

    /// An effect of this instance ended.
    pub(crate) fn on_done(
        &mut self,
        ctx: &mut Context<'_>,
        number: u64,
        result: Result<(), EffectError>,
    ) {
        if self.sending.has(number) {
            let before = self.sending.accepted();
            if let (Some(in_a_row), Err(error)) = (self.sending.done(number, result), result) {
                self.on_refused(ctx, error, in_a_row);
            }
            if before.is_none() {
                self.renew_lease(ctx);
            }
            return;
        }
        if self.on_renewed(ctx, number, result) {
            return;
        }
        let change = self.holdings.done(ctx.now, number, result);
        self.on_change(ctx, change);
        self.reconcile(ctx);
    }

    /// The kernel has or lost an address of this instance.
    pub(crate) fn on_address(
        &mut self,
        ctx: &mut Context<'_>,
        interface: &InterfaceName,
        address: IpAddr,
        present: bool,
    ) {
        let is_owner = self.config.priority.is_owner();
        let yielded = self.state.kind() == StateKind::Backup;
        let own = is_owner && !self.stopping && !yielded;
        let want = if own { Want::Held } else { self.want(ctx.now) };
        let change = self.holdings.observe(interface, address, present, want, is_owner);
        if change != Change::None {
            self.on_change(ctx, change);
            self.reconcile(ctx);
        }
    }

    /// The virtual-MAC interface changed.
    pub(crate) fn on_link(&mut self, ctx: &mut Context<'_>, name: &InterfaceName, to: LinkState) {
        self.holdings.observe_link(name, to);
        self.reconcile(ctx);
    }

    pub(crate) fn on_change(&mut self, ctx: &mut Context<'_>, change: Change) {
        match change {
            Change::None => {}
            Change::Present(address) => {
                let State::Master(master) = &mut self.state else { return };
                let announcements = self.config.announcements;
                master.announcing.repeat(ctx.now, &announcements);
                self.announce_address(ctx, address, announcements.repeat);
            }
            Change::Lost(address) => self.on_lost(ctx, address),
            Change::Leftover(address) => self.notify(ctx, News::LeftoverAddress(address)),
            Change::LostEntry { entry, let_go } => {
                self.notify(ctx, News::EntryLost { entry, let_go });
            }
            Change::LeftoverEntry(entry) => self.notify(ctx, News::LeftoverEntry(entry)),
            Change::Failed(command, error) => {
                self.notify(ctx, News::CommandFailed { command, error });
                self.evaluate_gate(ctx);
            }
            Change::Gate => {
                self.evaluate_gate(ctx);
                self.renew_lease(ctx);
            }
        }
    }

    pub(crate) fn notify(&self, ctx: &mut Context<'_>, news: News) {
        ctx.out.push(Output::Notify(Event { instance: self.config.name.clone(), news }));
    }

    /// What its group looks at: state, whether it waits for the group, whether it holds it back.
    pub(crate) const fn bearing(&self) -> (StateKind, bool, bool) {
        (self.state.kind(), self.wants_master(), self.is_faulty())
    }

    pub(crate) const fn state_kind(&self) -> StateKind {
        self.state.kind()
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Backup(_) | State::Master(_))
    }

    /// Whether it holds its group back by a fault. One that only waits for its trackers does not.
    pub(crate) const fn is_faulty(&self) -> bool {
        match (&self.state, &self.own_fault) {
            (_, None) | (State::Initialize { .. }, Some(Fault::TrackerPending(_))) => false,
            (_, Some(_)) => true,
        }
    }

    pub(crate) const fn own_fault(&self) -> Option<&Fault> {
        self.own_fault.as_ref()
    }

    pub(crate) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a datagram to this destination is for it.
    pub(crate) fn listens_to(&self, destination: IpAddr) -> bool {
        self.port.is_some_and(|port| {
            Receiver { config: &self.config, source: port.source }.is_for_us(destination)
        })
    }

    /// Whether it was stopped and holds nothing any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.stopping && !self.holdings.is_busy()
    }

    /// The earliest time at which something is to be done.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let own = earlier(self.state.deadline(), self.holdings.deadline());
        earlier(own, self.standing.held_down_until())
    }
}
