//! The simulated world: hosts and wires made from a scenario, and time that jumps from event to
//! event. What a step does is in `steps`.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{Family, InterfaceName, MacAddress, Status};
use vipd_frames::Endpoints;
use vipd_scenarios::record::{
    HostId, HostSetting, Recorder, SegmentId, SegmentSetting, Setting, WorldTime,
};
use vipd_scenarios::scenario::{Conditions, Host as HostPlan, Scenario, Step, TimedStep};
use vipd_scenarios::world::World;

use crate::capture::Capture;
use crate::client::Client;
use crate::configurations::Configurations;
use crate::host::{Host, HostPort, Outside};
use crate::inject::{Running, STRANGER};
use crate::kernel::Kernel;
use crate::link::Path;
use crate::network::{Due, Network, Port, PortId};
use crate::random::Random;

/// A scenario that can be played.
pub struct Simulation {
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Network,
    pub(crate) configurations: Configurations,
    pub(crate) injections: Vec<Running>,
    setting: Setting,
    /// Hosts whose process starts with the run.
    started: Vec<HostId>,
    begun: bool,
    events: u64,
}

impl Simulation {
    /// The world of this scenario at time zero. `seed` decides everything that is random.
    #[must_use]
    pub fn new(scenario: &Scenario, configurations: Configurations, seed: u64) -> Self {
        let ports = ports(scenario, seed);
        let mut net = Network::new(ports, directory(scenario));
        for config in configurations.iter() {
            for instance in config.instances() {
                for held in instance.addresses.iter().chain(&instance.excluded) {
                    if !net.virtual_addresses.contains(&held.address) {
                        net.virtual_addresses.push(held.address);
                    }
                }
            }
        }
        let hosts = (0..).zip(&scenario.hosts);
        let hosts = hosts.map(|(id, plan)| host(HostId(id), plan, &net, &configurations, seed));
        let hosts: Vec<_> = hosts.collect();
        for host in &hosts {
            if let Some(client) = &host.client {
                let first = WorldTime(0).later(client.probe.every);
                net.queue.push(first, Due::Probe { host: host.id });
            }
        }
        let started = scenario.hosts.iter().zip(0..).filter(|(plan, _)| plan.started);
        Self {
            started: started.map(|(_, id)| HostId(id)).collect(),
            setting: setting(scenario),
            hosts,
            net,
            configurations,
            injections: Vec::new(),
            begun: false,
            events: 0,
        }
    }

    /// Writes what passes at every port to `out`, from now on.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn capture_to(&mut self, scenario: &Scenario, out: impl Write + 'static) -> io::Result<()> {
        let names = self.net.ports().iter().map(|port| {
            let segment = scenario.segments[usize::from(port.segment.0)].name.to_string();
            let name = port.host.map_or_else(
                || format!("injected into {segment}"),
                |host| {
                    let plan = &scenario.hosts[usize::from(host.0)];
                    format!("{}/{}", plan.name, plan.interfaces[port.local].name)
                },
            );
            (name, segment)
        });
        self.net.capture = Some(Capture::new(out, names)?);
        Ok(())
    }

    /// Ends the capture, if there is one.
    ///
    /// # Errors
    /// The first error that writing it met.
    pub fn finish_capture(&mut self) -> io::Result<()> {
        self.net.capture.take().map_or(Ok(()), Capture::finish)
    }

    /// What the engine of a host says of itself, counters included, while its process is there.
    #[must_use]
    pub fn status(&self, host: HostId) -> Option<Status<'_>> {
        self.hosts.get(usize::from(host.0))?.status()
    }

    /// How many things came due so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Lets a host act in the world.
    pub(crate) fn with(
        &mut self,
        host: HostId,
        record: &mut dyn Recorder,
        act: impl FnOnce(&mut Host, &mut Outside<'_>),
    ) {
        if let Some(host) = self.hosts.get_mut(usize::from(host.0)) {
            act(host, &mut Outside { net: &mut self.net, record });
        }
    }

    /// Tells what is there at time zero, and starts what starts with the run.
    pub(crate) fn begin(&mut self, record: &mut dyn Recorder) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.net.describe_paths(record);
        for host in &mut self.hosts {
            host.refresh_owned(&mut Outside { net: &mut self.net, record });
        }
        for host in self.started.clone() {
            self.with(host, record, Host::start);
        }
    }

    fn on_due(&mut self, due: Due, record: &mut dyn Recorder) {
        let host = match due {
            Due::Arrival { port, .. } => self.net.port(port).host,
            Due::Injection { index } => {
                if let Some(running) = self.injections.get_mut(index as usize) {
                    running.on_due(index, &mut self.net, record);
                }
                None
            }
            Due::Timer { host, .. }
            | Due::Read { host }
            | Due::Command { host }
            | Due::Probe { host } => Some(host),
        };
        match (host, due) {
            (Some(host), due) => self.with(host, record, |host, out| host.on_due(due, out)),
            // Nobody listens at the port where adverts are injected.
            (None, Due::Arrival { packet, .. }) => self.net.packets.release(packet),
            (None, _) => {}
        }
    }
}

impl World for Simulation {
    fn setting(&self) -> Setting {
        self.setting.clone()
    }

    fn supports(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Reload { host, config } if self.configurations.get(*host, config).is_none() => {
                Err(format!("{} was not read", config.display()))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, step: &TimedStep, record: &mut dyn Recorder) {
        self.begin(record);
        self.play(&step.step, record);
    }

    fn advance(&mut self, until: WorldTime, record: &mut dyn Recorder) {
        self.begin(record);
        while let Some((at, due)) = self.net.queue.pop_until(until) {
            self.net.now = at;
            self.events += 1;
            self.on_due(due, record);
        }
        self.net.now = self.net.now.max(until);
    }

    fn trace(&self) -> Option<u128> {
        Some(self.net.trace.digest())
    }
}

/// The MAC burnt into a port: the host's number and the port's place in it.
fn burnt_in(host: u16, local: usize) -> MacAddress {
    let [high, low] = host.to_be_bytes();
    MacAddress([0x02, 0x00, 0x00, high, low, local as u8])
}

/// The addresses of an interface: those of the file, and a link-local one if there is none.
fn addresses(plan: &HostPlan, host: u16, local: usize) -> Vec<(IpAddr, u8)> {
    let mut addresses = plan.interfaces[local].addresses.clone();
    let has_link_local = addresses.iter().any(|(address, _)| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    });
    if !has_link_local {
        let MacAddress([a, b, c, d, e, f]) = burnt_in(host, local);
        // Modified EUI-64 (RFC 4291 appendix A).
        let id = [a ^ 0x02, b, c, 0xff, 0xfe, d, e, f];
        let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        octets[8..].copy_from_slice(&id);
        addresses.insert(0, (IpAddr::V6(Ipv6Addr::from(octets)), 64));
    }
    addresses
}

/// Every interface of every host as a port, and one more in each segment that a step injects into.
fn ports(scenario: &Scenario, seed: u64) -> Vec<Port> {
    let mut ports = Vec::new();
    let mut names = Vec::new();
    for (plan, id) in scenario.hosts.iter().zip(0..) {
        for (local, interface) in plan.interfaces.iter().enumerate() {
            let (segment, mac) = (interface.segment, burnt_in(id, local));
            ports.push(Port { host: Some(HostId(id)), local, segment, mac, paths: Vec::new() });
            names.push(format!("{} {}", plan.name, interface.name));
        }
    }
    for id in 0..scenario.segments.len() {
        let segment = SegmentId(id as u16);
        let injects = |timed: &Arc<TimedStep>| match &timed.step {
            Step::Inject(injection) => injection.segment == segment,
            _ => false,
        };
        if !scenario.steps.iter().any(injects) {
            continue;
        }
        ports.push(Port { host: None, local: 0, segment, mac: STRANGER, paths: Vec::new() });
        names.push(format!("injected {id}"));
    }
    let places: Vec<_> = ports.iter().map(|port| (port.segment, port.host)).collect();
    for (from, port) in ports.iter_mut().enumerate() {
        let conditions = scenario.segments[usize::from(port.segment.0)].conditions;
        for (to, (segment, host)) in places.iter().enumerate() {
            if to != from && *segment == port.segment && host.is_some() {
                let random = Random::stream(seed, &format!("{} to {}", names[from], names[to]));
                port.paths.push((PortId(to as u32), Path::new(conditions, random)));
            }
        }
    }
    ports
}

fn directory(scenario: &Scenario) -> Vec<(SegmentId, IpAddr, MacAddress)> {
    let mut directory = Vec::new();
    for (plan, id) in scenario.hosts.iter().zip(0..) {
        for (local, interface) in plan.interfaces.iter().enumerate() {
            for (address, _) in addresses(plan, id, local) {
                directory.push((interface.segment, address, burnt_in(id, local)));
            }
        }
    }
    directory
}

fn host(
    id: HostId,
    plan: &HostPlan,
    net: &Network,
    configurations: &Configurations,
    seed: u64,
) -> Host {
    let mut kernel = Kernel::default();
    let own = net.ports().iter().zip(0..).filter(|(port, _)| port.host == Some(id));
    let ports = own.map(|(port, place)| {
        let fixed = addresses(plan, id.0, port.local);
        let fixed: Vec<_> = fixed.into_iter().map(|(address, _)| address).collect();
        let name = InterfaceName::new(&plan.interfaces[port.local].name);
        let index = kernel.add_interface(name, port.mac, &fixed);
        HostPort { id: PortId(place), index, segment: port.segment }
    });
    let ports = ports.collect();
    let lateness = Random::stream(seed, &format!("lateness of {}", plan.name));
    let mut host = Host::new(id, kernel, ports, lateness);
    host.config = plan.config.as_ref().and_then(|file| configurations.get(id, file)).cloned();
    host.client = client(plan, id.0);
    host
}

/// A client asks from the port whose prefix holds the address, else from the first of its family.
fn client(plan: &HostPlan, id: u16) -> Option<Client> {
    let probe = plan.probe?;
    let family = Family::of(probe.address);
    let mut own = Vec::new();
    for local in 0..plan.interfaces.len() {
        own.extend(addresses(plan, id, local).into_iter().map(|(from, len)| (local, from, len)));
    }
    own.retain(|(_, from, _)| Family::of(*from) == family);
    let near = own.iter().find(|(_, from, len)| holds(*from, *len, probe.address));
    let (port, from, _) = near.or(own.first())?;
    Some(Client::new(probe, *port, Endpoints::new(*from, probe.address)?))
}

fn holds(network: IpAddr, len: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = u32::from(network) ^ u32::from(address);
            differ.leading_zeros() >= u32::from(len)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differ = u128::from(network) ^ u128::from(address);
            differ.leading_zeros() >= u32::from(len)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// The largest of everything that the scenario can bring about.
fn setting(scenario: &Scenario) -> Setting {
    let (mut lateness, mut release, mut ppm) = (Duration::ZERO, Duration::ZERO, 0);
    let mut conditions: Vec<Conditions> = Vec::new();
    for timed in &scenario.steps {
        match &timed.step {
            Step::Late { by, .. } => lateness = lateness.max(*by),
            Step::KernelLate { by, .. } => release = release.max(*by),
            Step::ClockDrift { ppm: drift, .. } => ppm = ppm.max(drift.unsigned_abs()),
            Step::Conditions { conditions: changed, .. } => conditions.push(*changed),
            _ => {}
        }
    }
    let hosts = scenario.hosts.iter().zip(0..).map(|(plan, id)| {
        let own = plan.interfaces.iter().enumerate().flat_map(|(local, interface)| {
            let addresses = addresses(plan, id, local).into_iter();
            addresses.map(|(address, _)| (interface.segment, address))
        });
        let (name, runs_vrrp) = (plan.name.clone(), plan.config.is_some());
        let ports = plan.interfaces.iter();
        let interfaces = ports.map(|port| (port.name.clone(), port.segment)).collect();
        HostSetting { name, addresses: own.collect(), interfaces, runs_vrrp }
    });
    let segments = scenario.segments.iter().map(|segment| {
        let in_force = || conditions.iter().chain([&segment.conditions]);
        let min_delay = in_force().map(|conditions| conditions.delay).min().unwrap_or_default();
        let longest = in_force().map(|conditions| conditions.delay + conditions.jitter).max();
        let max_delay = longest.unwrap_or_default();
        SegmentSetting { name: segment.name.clone(), min_delay, max_delay }
    });
    Setting {
        hosts: hosts.collect(),
        segments: segments.collect(),
        lateness,
        rate_error_ppb: ppm.saturating_mul(1000),
        release,
        tolerance: Duration::ZERO,
    }
}
