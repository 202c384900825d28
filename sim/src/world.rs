//! The simulated world: hosts and wires made from a scenario, and time that jumps from event to
//! event. What a step does is in `steps`.

use std::io::{self, Write};
use std::time::Duration;

use vipd_engine::{InterfaceName, Status};
use vipd_scenarios::record::{HostId, Recorder, Setting, WorldTime};
use vipd_scenarios::scenario::{Host as HostPlan, Scenario, Step, TimedStep};
use vipd_scenarios::world::World;

use crate::balancing::{Balancing, Servers};
use crate::capture::Capture;
use crate::client::Client;
use crate::configurations::Configurations;
use crate::host::{Host, HostPort, Outside};
use crate::inject::Running;
use crate::kernel::Kernel;
use crate::network::{Due, Network, PortId};
use crate::random::Random;
use crate::requests::User;
use crate::topology::{self, addresses};
use crate::trace::Trace;

/// How long a run goes on before it asks whether it is to stop.
const SLICE: Duration = Duration::from_secs(3600);

/// A scenario that can be played.
pub struct Simulation {
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Network,
    pub(crate) servers: Servers,
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
        let mut net = topology::network(scenario, &configurations, seed);
        let hosts = (0..).zip(&scenario.hosts);
        let hosts = hosts.map(|(id, plan)| host(HostId(id), plan, &net, &configurations, seed));
        let hosts: Vec<_> = hosts.collect();
        for host in &hosts {
            if let Some(client) = &host.client {
                let first = WorldTime(0).later(client.probe.every);
                net.queue.push(first, Due::Probe { host: host.id });
            }
        }
        for host in &hosts {
            if let Some(user) = &host.user {
                let first = WorldTime(0).later(user.requests.every);
                net.queue.push(first, Due::Request { host: host.id });
            }
        }
        let started = scenario.hosts.iter().zip(0..).filter(|(plan, _)| plan.started);
        Self {
            started: started.map(|(_, id)| HostId(id)).collect(),
            setting: topology::setting(scenario),
            servers: Servers::new(scenario, &configurations, &hosts),
            hosts,
            net,
            configurations,
            injections: Vec::new(),
            begun: false,
            events: 0,
        }
    }

    /// The same without a trace, for runs that nobody compares: to hash it is a tenth of a run.
    #[must_use]
    pub fn untraced(mut self) -> Self {
        self.net.trace = None;
        self
    }

    /// Writes what passes at every port to `out`, from now on.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn capture_to(
        &mut self,
        scenario: &Scenario,
        out: impl Write + Send + 'static,
    ) -> io::Result<()> {
        self.net.capture = Some(Capture::new(out, topology::port_names(scenario, &self.net))?);
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
            act(host, &mut Outside { net: &mut self.net, record, servers: &self.servers });
        }
    }

    /// Tells what is there at time zero, and starts what starts with the run.
    pub(crate) fn begin(&mut self, record: &mut dyn Recorder) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.net.describe_paths(record);
        for host in &mut self.hosts {
            let servers = &self.servers;
            host.refresh_owned(&mut Outside { net: &mut self.net, record, servers });
        }
        for host in self.started.clone() {
            self.with(host, record, Host::start);
        }
    }

    fn on_due(&mut self, due: Due, record: &mut dyn Recorder) {
        let host = match due {
            Due::Arrival { port, packet } => {
                match self.net.port(port).host {
                    Some(host) => {
                        self.with(host, record, |host, out| host.arrive(port, packet, out));
                    }
                    // Nobody listens at the port where adverts are injected.
                    None => self.net.packets.release(packet),
                }
                return;
            }
            Due::Injection { index } => {
                if let Some(running) = self.injections.get_mut(index as usize) {
                    running.on_due(index, &mut self.net, record);
                }
                return;
            }
            Due::Sync { host } => return self.on_sync(host, record),
            Due::Timer { host, .. }
            | Due::Read { host }
            | Due::Command { host }
            | Due::Checked { host, .. }
            | Due::Lease { host }
            | Due::Request { host }
            | Due::RequestTimer { host, .. }
            | Due::Drip { host, .. }
            | Due::Probe { host } => host,
        };
        self.with(host, record, |host, out| host.on_due(due, out));
    }
}

impl World for Simulation {
    fn setting(&self) -> Setting {
        self.setting.clone()
    }

    fn supports(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Reload { host, config, refused: false }
                if self.configurations.get(*host, config).is_none() =>
            {
                Err(format!("{} was not read", config.display()))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, step: &TimedStep, record: &mut dyn Recorder) {
        self.begin(record);
        self.play(&step.step, record);
        self.servers.refresh(&self.hosts);
    }

    fn advance(
        &mut self,
        until: WorldTime,
        record: &mut dyn Recorder,
        stop: &dyn Fn() -> bool,
    ) -> WorldTime {
        self.begin(record);
        loop {
            let slice = until.min(self.net.now.later(SLICE));
            while let Some((at, due)) = self.net.queue.pop_until(slice) {
                self.net.now = at;
                self.events += 1;
                self.on_due(due, record);
            }
            self.net.now = self.net.now.max(slice);
            if slice >= until || stop() {
                return slice;
            }
        }
    }

    fn trace(&self) -> Option<u128> {
        self.net.trace.as_ref().map(Trace::digest)
    }
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
    let balancing =
        Balancing::new(Random::stream(seed, &format!("ipvs of {}", plan.name)).next_u64());
    let mut host = Host::new(id, kernel, balancing, ports, lateness);
    host.config = plan.config.as_ref().and_then(|file| configurations.get(id, file)).cloned();
    host.client = client(plan, id.0);
    host.forwards = plan.forwards;
    let asks = topology::requests(plan, id.0).zip(plan.requests);
    host.user = asks.map(|((port, ends), requests)| User::new(requests, port, ends));
    host
}

fn client(plan: &HostPlan, id: u16) -> Option<Client> {
    let (port, ends) = topology::asks(plan, id)?;
    Some(Client::new(plan.probe?, port, ends))
}
