//! A third world for scenarios: the daemon's own run loop on hosts of turmoil.
//!
//! Everything above the seam is production code; below it are [`seam`] and [`host`]. A host has one
//! interface on the one segment. There are no clients and no neighbour caches: what a scenario
//! expects of those is left out in plain sight, by [`without_caches`].

#![allow(dead_code, reason = "each test file uses its part of it")]

pub mod host;
pub mod seam;
pub mod wires;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use turmoil::Sim;
use vipd_engine::{Config, Family, InterfaceName};
use vipd_scenarios::judge::PropertyId;
use vipd_scenarios::record::{HostId, Recorder, Setting, WorldTime};
use vipd_scenarios::scenario::{
    Conditions, Expect, Host as HostPlan, Paths, Scenario, Step, TimedStep,
};
use vipd_scenarios::world::World;
use vipd_sim::configurations::Configurations;
use vipd_sim::kernel::Kernel;
use vipd_sim::topology;

use host::{Host, Plant};
use wires::{LAN, Path, Wires};

/// turmoil's step. Its messages take one at least, or some would arrive before they are sent: hosts
/// run one after the other.
pub const TICK: Duration = Duration::from_millis(5);
/// tokio's timers are whole milliseconds.
const LATENESS: Duration = Duration::from_millis(1);
/// What a timer and a few datagrams in a row may add to an expected time: adverts count from when
/// an earlier one was answered.
const TOLERANCE: Duration = Duration::from_millis(25);
/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);
/// Datagrams between two hosts, and in a socket of turmoil.
const CAPACITY: usize = 4096;

/// A scenario on hosts of turmoil.
pub struct TurmoilWorld {
    sim: Sim<'static>,
    /// By [`HostId`]; `None` for one that runs no VRRP.
    hosts: Vec<Option<Rc<Host>>>,
    wires: Rc<RefCell<Wires>>,
    configurations: Configurations,
    setting: Setting,
    started: Vec<HostId>,
    cuts: Cuts,
    begun: bool,
}

/// What becomes of a datagram on a path that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// It is lost: turmoil's partitions.
    Lose,
    /// It waits until the path is healed: turmoil's hold and release. They are for both ways.
    Hold,
}

impl TurmoilWorld {
    /// The world of this scenario at time zero. `seed` decides everything that is random.
    ///
    /// # Errors
    /// What the scenario has that this world lacks.
    pub fn new(
        scenario: &Scenario,
        configurations: Configurations,
        cuts: Cuts,
        seed: u64,
    ) -> Result<Self, String> {
        let [segment] = &scenario.segments[..] else {
            return Err("hosts of turmoil have one segment".to_string());
        };
        let delay = delay_of(segment.conditions)?;
        let wires = Rc::new(RefCell::new(Wires::default()));
        wires.borrow_mut().virtual_addresses = virtual_addresses(&configurations);
        let mut hosts = Vec::new();
        for (plan, id) in scenario.hosts.iter().zip(0..) {
            hosts.push(machine(plan, HostId(id), &configurations, &wires)?.map(Rc::new));
        }
        let mut builder = turmoil::Builder::new();
        builder.rng_seed(seed).tick_duration(TICK).simulation_duration(FOR_EVER);
        builder.udp_capacity(CAPACITY);
        builder.min_message_latency(delay.start).max_message_latency(delay.end);
        let mut setting = topology::setting(scenario);
        setting.lateness = LATENESS;
        // Its machines have no IPVS.
        setting.tables_seen = false;
        for segment in &mut setting.segments {
            // What leaves within a tick leaves at its end for turmoil, and arrives at the beginning
            // of another: it is up to a tick faster than said.
            (segment.min_delay, segment.max_delay) = (delay.start - TICK, delay.end);
        }
        let started = scenario.hosts.iter().zip(0..).filter(|(plan, _)| plan.started);
        Ok(Self {
            sim: builder.build(),
            hosts,
            wires,
            configurations,
            setting,
            started: started.map(|(_, id)| HostId(id)).collect(),
            cuts,
            begun: false,
        })
    }

    /// Puts a mistake below the seam of this host.
    pub fn plant(&self, host: HostId, plant: Plant) {
        if let Some(host) = self.host(host) {
            host.plant.set(plant);
        }
    }

    fn host(&self, host: HostId) -> Option<&Rc<Host>> {
        self.hosts.get(usize::from(host.0))?.as_ref()
    }

    fn now(&self) -> WorldTime {
        WorldTime(0).later(self.sim.elapsed())
    }

    /// Tells what is there at time zero, and starts what starts with the run.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let at = self.now();
        for path in self.paths(&Paths::All) {
            self.wires.borrow_mut().describe(at, path);
        }
        for host in self.hosts.iter().flatten() {
            if self.started.contains(&host.id) {
                host.start(at);
            }
            let (ip, host) = (host.ip, Rc::clone(host));
            self.sim.host(ip, move || host::software(Rc::clone(&host)));
        }
    }

    fn paths(&self, paths: &Paths) -> Vec<Path> {
        let all: Vec<_> = (0..self.hosts.len() as u16).map(HostId).collect();
        let (left, right, both) = match paths {
            Paths::All => (&all, &all, false),
            Paths::Between(left, right) => (left, right, true),
            Paths::FromTo(left, right) => (left, right, false),
        };
        let pairs = left.iter().flat_map(|from| right.iter().map(move |to| (*from, *to)));
        let pairs = pairs.filter(|(from, to)| from != to);
        pairs.flat_map(|(a, b)| [(a, b), (b, a)].into_iter().take(1 + usize::from(both))).collect()
    }

    fn set_cut(&self, paths: &Paths, cut: bool) {
        for (from, to) in self.paths(paths) {
            if !self.wires.borrow_mut().set_cut(self.now(), (from, to), self.cuts, cut) {
                continue;
            }
            let (Some(from), Some(to)) = (self.host(from), self.host(to)) else { continue };
            match (self.cuts, cut) {
                (Cuts::Lose, true) => self.sim.partition_oneway(from.ip, to.ip),
                (Cuts::Lose, false) => self.sim.repair_oneway(from.ip, to.ip),
                (Cuts::Hold, true) => self.sim.hold(from.ip, to.ip),
                (Cuts::Hold, false) => self.sim.release(from.ip, to.ip),
            }
        }
    }

    fn bounce(&mut self, id: HostId, act: impl FnOnce(&Host, WorldTime) -> bool) {
        let Some(host) = self.host(id).cloned() else { return };
        if act(&host, self.now()) {
            self.sim.bounce(host.ip);
        }
    }

    fn crash(&mut self, id: HostId, act: impl FnOnce(&Host, WorldTime) -> bool) {
        let Some(host) = self.host(id).cloned() else { return };
        if act(&host, self.now()) {
            self.sim.crash(host.ip);
        }
    }

    fn play(&mut self, step: &Step) {
        let at = self.now();
        match step {
            Step::Start(host) => self.bounce(*host, Host::start),
            Step::PowerOn(host) => self.bounce(*host, Host::power_on),
            Step::Kill(host) => self.crash(*host, Host::kill),
            Step::PowerOff(host) => self.crash(*host, Host::power_off),
            Step::Cut(paths) => self.set_cut(paths, true),
            Step::Heal(paths) => self.set_cut(paths, false),
            step => {
                let host = step.subject().and_then(|host| self.host(host));
                if let Some(host) = host {
                    self.play_inside(host, at, step);
                }
            }
        }
    }

    fn play_inside(&self, host: &Host, at: WorldTime, step: &Step) {
        match step {
            Step::Stop(_) => host.stop(at),
            Step::Pause(_) => host.pause(at),
            Step::Resume(_) => host.resume(at),
            Step::Reload { config, .. } => {
                if let Some(config) = self.configurations.get(host.id, config) {
                    host.reload(at, config);
                }
            }
            Step::LinkDown { interface, .. } => host.change_kernel(at, |kernel, changes| {
                kernel.set_carrier(interface, false, changes);
            }),
            Step::LinkUp { interface, .. } => host.change_kernel(at, |kernel, changes| {
                kernel.set_carrier(interface, true, changes);
            }),
            Step::RemoveAddress { address, .. } => host.change_kernel(at, |kernel, changes| {
                kernel.remove_address(*address, changes);
            }),
            Step::RemoveEntry { entry, .. } => host.change_kernel(at, |kernel, changes| {
                kernel.remove_entry(entry, changes);
            }),
            Step::Tracker { name, value, .. } => host.track(at, name, *value),
            Step::Operator { instance, order, .. } => host.order(at, instance, *order),
            Step::KernelFails { count, .. } => {
                host.change_kernel(at, |kernel, _| kernel.fail_next(*count));
            }
            Step::KernelLate { by, .. } => {
                host.change_kernel(at, |kernel, _| kernel.set_delay(*by));
            }
            other => panic!("a step that this world does not support: {other:?}"),
        }
    }
}

impl World for TurmoilWorld {
    fn setting(&self) -> Setting {
        self.setting.clone()
    }

    fn supports(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Cut(Paths::FromTo(..)) | Step::Heal(Paths::FromTo(..))
                if self.cuts == Cuts::Hold =>
            {
                Err("turmoil holds both ways".to_string())
            }
            Step::Start(_)
            | Step::Stop(_)
            | Step::Kill(_)
            | Step::Pause(_)
            | Step::Resume(_)
            | Step::PowerOff(_)
            | Step::PowerOn(_)
            | Step::Cut(_)
            | Step::Heal(_)
            | Step::LinkDown { .. }
            | Step::LinkUp { .. }
            | Step::RemoveAddress { .. }
            | Step::RemoveEntry { .. }
            | Step::Reload { .. }
            | Step::Tracker { .. }
            | Step::Operator { .. }
            | Step::KernelFails { .. }
            | Step::KernelLate { .. } => Ok(()),
            Step::Freeze { .. }
            | Step::Thaw(_)
            | Step::CutMulticast(_)
            | Step::Lose { .. }
            | Step::Conditions { .. }
            | Step::ClockDrift { .. }
            | Step::WallClockJump { .. }
            | Step::Late { .. }
            | Step::FlapVirtualMac { .. }
            | Step::Server { .. }
            | Step::Inject(_) => Err(format!("turmoil has no step such as {step:?}")),
        }
    }

    fn apply(&mut self, step: &TimedStep, _: &mut dyn Recorder) {
        self.begin();
        self.play(&step.step);
    }

    fn advance(
        &mut self,
        until: WorldTime,
        record: &mut dyn Recorder,
        _: &dyn Fn() -> bool,
    ) -> WorldTime {
        self.begin();
        while self.now() < until {
            self.sim.step().expect("every process ends in good order");
            for host in self.hosts.iter().flatten() {
                host.complete_commands(self.now());
            }
        }
        self.wires.borrow_mut().hand_on(until, record);
        until
    }

    fn trace(&self) -> Option<u128> {
        None
    }

    fn tolerance(&self) -> Duration {
        TOLERANCE
    }
}

/// Leaves out what rests on clients and neighbour caches.
pub fn without_caches(mut scenario: Scenario) -> Scenario {
    scenario.properties.retain(|(id, _)| !matches!(id, PropertyId::S11 | PropertyId::L6));
    scenario.expectations.retain(|expectation| {
        !matches!(expectation.expect, Expect::ClientGap { .. } | Expect::AnsweredBy { .. })
    });
    scenario
}

/// Shortest and longest delay. turmoil's messages do not take less than a tick.
fn delay_of(conditions: Conditions) -> Result<std::ops::Range<Duration>, String> {
    let Conditions { delay, jitter, reorder: _, duplicate_ppm, corrupt_ppm, loss_ppm } = conditions;
    if duplicate_ppm + corrupt_ppm + loss_ppm > 0 {
        return Err("turmoil neither duplicates nor damages, and loses in both ways".to_string());
    }
    let shortest = delay.max(TICK);
    Ok(shortest..shortest + jitter)
}

fn virtual_addresses(configurations: &Configurations) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for instance in configurations.iter().flat_map(|config| config.instances()) {
        for held in instance.addresses.iter().chain(&instance.excluded) {
            if !addresses.contains(&held.address) {
                addresses.push(held.address);
            }
        }
    }
    addresses
}

/// `None` for a host that runs no VRRP.
fn machine(
    plan: &HostPlan,
    id: HostId,
    configurations: &Configurations,
    wires: &Rc<RefCell<Wires>>,
) -> Result<Option<Host>, String> {
    let config = plan.config.as_ref().and_then(|file| configurations.get(id, file));
    let Some(config) = config else { return Ok(None) };
    let [interface] = &plan.interfaces[..] else {
        return Err("hosts of turmoil have one interface".to_string());
    };
    debug_assert_eq!(interface.segment, LAN);
    let family = family_of(config)?;
    let addresses = topology::addresses(plan, id.0, 0).into_iter().map(|(address, _)| address);
    let addresses: Vec<_> = addresses.collect();
    let mut own = addresses.iter().filter(|address| Family::of(**address) == family);
    let ip = *own.next().ok_or("hosts of turmoil have an address")?;
    let mut kernel = Kernel::default();
    let name = InterfaceName::new(&interface.name);
    let index = kernel.add_interface(name, topology::burnt_in(id.0, 0), &addresses);
    let config = Arc::clone(config);
    Ok(Some(Host::new(id, ip, (kernel, index), config, Rc::clone(wires))))
}

fn family_of(config: &Config) -> Result<Family, String> {
    let mut families = config.instances().iter().map(|instance| instance.family);
    let first = families.next().ok_or("a host of turmoil has an instance")?;
    if families.all(|family| family == first) {
        Ok(first)
    } else {
        Err("hosts of turmoil have one family".to_string())
    }
}
