//! The real world: hosts as namespaces, wires as packet sockets, and time that takes its time.
//!
//! One thread waits for whatever comes first: a frame, a word of a kernel, something of the wires'
//! own that is due. Frames carry the time at which the kernel had them, so that what the laboratory
//! was late to read is recorded at its own time.

use std::collections::BTreeMap;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use vipd_engine::event::Seconds;
use vipd_engine::{Event, MacAddress};
use vipd_scenarios::record::{HostId, Observation, Recorder, Seen, Setting, WorldTime};
use vipd_scenarios::scenario::{Need, Scenario, Step, TimedStep};
use vipd_scenarios::world::World;
use vipd_sim::capture::Capture;
use vipd_sim::configurations::Configurations;
use vipd_sim::inject::Running;
use vipd_sim::network::{Due, Network, PortId};
use vipd_sim::topology;

use crate::held::Held;
use crate::hosts::Host;
use crate::namespaces::{Namespace, Namespaces};
use crate::node::{Kind, Node};
use crate::requests::Ended;
use crate::steps;
use crate::watch::Word;
use crate::{kernel, observer};

/// What a real kernel, a real scheduler and a real process may add to an expected time. The one
/// declared tolerance: windows of expectations and bounds of properties are widened by it.
pub const TOLERANCE: Duration = Duration::from_millis(50);
/// How often it looks whether a process ended and whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);
/// Longer than the making of a host takes.
const PATIENCE: Duration = Duration::from_secs(10);
const NO_IPV6: &str = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
/// No frame and no netlink message is longer.
const LONGEST: usize = 1 << 16;

/// A scenario on real namespaces. They are gone when it is dropped.
pub struct Lab {
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Network,
    pub(crate) configurations: Configurations,
    pub(crate) injections: Vec<Running>,
    pub(crate) names: Vec<String>,
    /// Who used a MAC last that is burnt into no port.
    pub(crate) users: BTreeMap<MacAddress, HostId>,
    /// What went wrong in the laboratory itself: then the run tells nothing.
    pub(crate) trouble: Vec<String>,
    /// Steps that this machine took longer for than the tolerance allows: the run tells nothing.
    late: Vec<String>,
    /// What kernels and observers on the wire did not agree on.
    pub(crate) differences: Vec<String>,
    /// Where the end of an ownership showed by nobody's answer, and when that was enough.
    pub(crate) silences: Vec<(WorldTime, HostId)>,
    /// The other ends of all cables.
    pub(crate) wires: Namespace,
    /// Hosts whose process starts with the run.
    started: Vec<HostId>,
    setting: Setting,
    tolerance: Duration,
    begun: Option<Instant>,
    frames: u64,
    /// Removed last: fields are dropped in their order.
    _namespaces: Namespaces,
}

/// What came in, and when.
enum News {
    Frame(PortId, Vec<u8>),
    Word(HostId, Word),
    Event(HostId, Event),
    Seen(HostId, Seen),
}

impl Lab {
    /// Builds the scenario's hosts and wires. `programs` says what runs on each host.
    ///
    /// # Errors
    /// What this machine lacks, in words.
    pub fn new(
        scenario: &Scenario,
        configurations: Configurations,
        programs: &[(Kind, PathBuf)],
        tolerance: Duration,
    ) -> Result<Self, String> {
        hurry();
        let net = topology::network(scenario, &configurations, scenario.seed);
        let mut namespaces = Namespaces::new()?;
        let wires = namespaces.add("wires")?;
        // The other ends of the cables say nothing by themselves. A kernel without IPv6 has no such
        // file and nothing to say.
        let _ = wires.within(|| std::fs::write(NO_IPV6, "1"))?;
        let serves = scenario.needs.contains(&Need::Ipvs);
        if serves {
            kernel::load(Need::Ipvs);
        }
        let serving = topology::serving(scenario, &configurations);
        let mut hosts = Vec::new();
        for ((plan, program), id) in scenario.hosts.iter().zip(programs).zip(0..) {
            let mut host = Host::new((HostId(id), plan), &net, &wires, &mut namespaces)?;
            host.config =
                plan.config.as_ref().and_then(|file| configurations.get(host.id, file)).cloned();
            let folder = namespaces.folder().join(format!("{id}"));
            host.install(plan, program.clone(), folder, serves)?;
            host.equip(plan, &serving[usize::from(id)])?;
            hosts.push(host);
        }
        wait_for(&hosts)?;
        let mut setting = topology::setting(scenario);
        setting.tolerance = tolerance;
        setting.routes_seen = false;
        setting.tables_seen = serves;
        if hosts.iter().any(Host::is_seen_from_outside) {
            setting.release = setting.release.max(observer::LATE);
        }
        for (host, (kind, _)) in setting.hosts.iter_mut().zip(programs) {
            host.speaks = *kind == Kind::Vipd;
        }
        let started = scenario.hosts.iter().zip(0..).filter(|(plan, _)| plan.started);
        Ok(Self {
            started: started.map(|(_, id)| HostId(id)).collect(),
            names: scenario.hosts.iter().map(|host| host.name.to_string()).collect(),
            hosts,
            net,
            configurations,
            injections: Vec::new(),
            users: BTreeMap::new(),
            trouble: Vec::new(),
            late: Vec::new(),
            differences: Vec::new(),
            silences: Vec::new(),
            wires,
            setting,
            tolerance,
            begun: None,
            frames: 0,
            _namespaces: namespaces,
        })
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

    /// How many frames passed.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// What went wrong in the laboratory itself. A run with trouble tells nothing.
    #[must_use]
    pub fn trouble(&self) -> &[String] {
        &self.trouble
    }

    /// Steps that took longer than the tolerance, mostly because something else made or removed
    /// links on this machine: Linux changes one at a time. Such a run tells nothing either.
    #[must_use]
    pub fn late(&self) -> &[String] {
        &self.late
    }

    /// Where kernels and the observers on the wire do not agree on who owns an address.
    #[must_use]
    pub fn differences(&self) -> &[String] {
        &self.differences
    }

    /// Tells what is there at time zero, and starts what starts with the run.
    fn begin(&mut self, record: &mut dyn Recorder) {
        if self.begun.is_some() {
            return;
        }
        self.net.describe_paths(record);
        // What the making of the hosts brought about is no news, but for whose address is where.
        for (_, news) in self.take_in(Instant::now()) {
            if let News::Word(id, word) = news {
                self.on_word(id, &word, record);
            }
        }
        let now = Instant::now();
        self.begun = Some(now);
        self.hosts.iter().filter_map(|host| host.user.as_ref()).for_each(|user| user.begin(now));
        for host in self.started.clone() {
            self.start(host, record);
        }
        for host in &self.hosts {
            if let Some(client) = &host.client {
                let first = WorldTime(0).later(client.every);
                self.net.queue.push(first, Due::Probe { host: host.id });
            }
        }
    }

    pub(crate) fn now(&self) -> WorldTime {
        let begun = self.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        WorldTime(0).later(begun)
    }

    /// Everything that came in, in order of time. What a process says is read first and frames are
    /// read last: a process sends before it says so, and it may do both while this goes on. What
    /// it says later still of this time finds its place in [`Held`].
    fn take_in(&mut self, begun: Instant) -> Vec<(WorldTime, News)> {
        let mut buffer = vec![0; LONGEST];
        let mut later = Vec::new();
        for host in &self.hosts {
            let mut words = Vec::new();
            if let Err(error) = host.watch.read(&mut buffer, &mut words) {
                self.trouble.push(format!("the kernel of {}: {error}", host.namespace.name()));
            }
            let now = WorldTime(0).later(begun.elapsed());
            later.extend(words.into_iter().map(|word| (now, News::Word(host.id, word))));
        }
        self.take_requests(begun, &mut later);
        for id in self.hosts.iter().map(|host| host.id).collect::<Vec<_>>() {
            let heard = self.hear(id).into_iter();
            later.extend(heard.map(|(at, event)| (at, News::Event(id, event))));
        }
        let mut news = self.take_frames(begun, &mut buffer);
        news.extend(later);
        news.sort_by_key(|(at, _)| *at);
        news
    }

    /// What became of requests. A machine that is off asks nothing.
    fn take_requests(&mut self, begun: Instant, news: &mut Vec<(WorldTime, News)>) {
        let now = WorldTime(0).later(begun.elapsed());
        let at = |instant: Instant| WorldTime(0).later(instant.saturating_duration_since(begun));
        for host in &self.hosts {
            let Some(user) = &host.user else { continue };
            match user.hear() {
                Ok(heard) => {
                    for Ended { sent, ended, page } in heard {
                        let named = |name: &String| page.as_ref() == Some(name);
                        let by = self.names.iter().position(named);
                        let answered_by = by.map(|place| HostId(place as u16));
                        let (sent, ended) = (at(sent), at(ended));
                        let seen = Seen::Request { sent, ended, answered_by };
                        if host.is_running() {
                            news.push((now, News::Seen(host.id, seen)));
                        }
                    }
                }
                Err(error) => {
                    let name = &self.names[usize::from(host.id.0)];
                    self.trouble.push(format!("the client of {name}: {error}"));
                }
            }
        }
    }

    /// Reads the tables of IPVS that are to be read by now.
    fn read_tables(&mut self, record: &mut dyn Recorder) {
        let now = self.net.now;
        let mut changes = Vec::new();
        for host in &mut self.hosts {
            let Some(table) = host.table.as_mut().filter(|table| table.next() <= now) else {
                continue;
            };
            match table.read(now) {
                Ok(seen) => changes.extend(seen.into_iter().map(|seen| (host.id, seen))),
                Err(error) => {
                    let name = host.namespace.name();
                    self.trouble.push(format!("the table of {name}: {error}"));
                }
            }
        }
        changes.into_iter().for_each(|(host, seen)| self.see(host, seen, record));
    }

    fn take_frames(&mut self, begun: Instant, buffer: &mut [u8]) -> Vec<(WorldTime, News)> {
        let mut news = Vec::new();
        let (now, wall) = (WorldTime(0).later(begun.elapsed()), SystemTime::now());
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for cable in self.hosts.iter().flat_map(|host| &host.cables) {
            loop {
                match cable.plug.receive(buffer) {
                    Ok(Some((length, stamp))) => {
                        let at = now.earlier(wall.saturating_sub(stamp));
                        news.push((at, News::Frame(cable.port, buffer[..length].to_vec())));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.trouble.push(format!("frames from {}: {error}", cable.end));
                        break;
                    }
                }
            }
        }
        news
    }

    /// Does what came in and what is due, up to now and no further than `until`.
    fn turn(&mut self, until: WorldTime, record: &mut dyn Recorder) {
        let Some(begun) = self.begun else { return };
        for (at, news) in self.take_in(begun) {
            let at = at.min(until);
            self.do_due(at, record);
            self.net.now = self.net.now.max(at);
            match news {
                News::Frame(port, bytes) => {
                    self.frames += 1;
                    self.on_left(port, &bytes, record);
                }
                News::Word(host, word) => self.on_word(host, &word, record),
                News::Event(host, event) => {
                    record.observe(&Observation { at, host, seen: Seen::Engine(event) });
                }
                News::Seen(host, seen) => record.observe(&Observation { at, host, seen }),
            }
        }
        self.do_due(self.now().min(until), record);
        self.net.now = self.net.now.max(self.now().min(until));
        self.observe_hosts(record);
        self.read_tables(record);
        self.look_after(record);
    }

    fn do_due(&mut self, until: WorldTime, record: &mut dyn Recorder) {
        while let Some((at, due)) = self.net.queue.pop_until(until) {
            self.net.now = self.net.now.max(at);
            match due {
                Due::Arrival { port, packet } => self.on_arrival(port, packet, record),
                Due::Injection { index } => {
                    if let Some(running) = self.injections.get_mut(index as usize) {
                        running.on_due(index, &mut self.net, record);
                    }
                }
                Due::Probe { host } => self.ask(host, at, record),
                Due::Timer { .. }
                | Due::Read { .. }
                | Due::Command { .. }
                | Due::Checked { .. }
                | Due::Request { .. }
                | Due::RequestTimer { .. }
                | Due::Drip { .. }
                | Due::Lease { .. }
                | Due::Sync { .. } => {}
            }
        }
    }

    fn ask(&mut self, id: HostId, at: WorldTime, record: &mut dyn Recorder) {
        let now = self.net.now;
        let host = &mut self.hosts[usize::from(id.0)];
        let running = host.is_running();
        let Some(client) = &mut host.client else { return };
        self.net.queue.push(at.later(client.every), Due::Probe { host: id });
        let address = client.address();
        let lost = if running { client.ask(now) } else { Ok(client.forget()) };
        match lost {
            Ok(Some(sent)) => {
                self.see(id, Seen::Probe { address, sent, answered_by: None }, record);
            }
            Ok(None) => {}
            Err(error) => self.trouble.push(format!("a probe for {address}: {error}")),
        }
    }

    /// Waits until something comes in or is due, at most until `until`.
    fn wait(&self, until: WorldTime) -> io::Result<()> {
        let first = self.net.queue.first().unwrap_or(until).min(until);
        let observers = self.hosts.iter().filter_map(|host| host.observer.as_ref()?.next());
        let tables = self.hosts.iter().filter_map(|host| Some(host.table.as_ref()?.next()));
        let first = observers.chain(tables).min().unwrap_or(first).min(first);
        let wait = first.since(self.now()).min(LOOK);
        let cables = self.hosts.iter().flat_map(|host| &host.cables);
        let watches = self.hosts.iter().map(|host| host.watch.as_fd());
        let words = self.hosts.iter().filter_map(|host| host.node.as_ref()?.word());
        let fds = cables.map(|cable| cable.plug.as_fd()).chain(watches);
        let fds = fds.chain(words.map(AsFd::as_fd));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, Some(TimeSpec::from(wait)), None) {
            // A signal: whoever asks whether to stop is told.
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The run begins when all processes can start at once.
fn wait_for(hosts: &[Host]) -> Result<(), String> {
    let patience = Instant::now() + PATIENCE;
    let waits = |host: &Host| host.node.as_ref().is_some_and(|node| !node.is_ready());
    while let Some(host) = hosts.iter().find(|host| waits(host)) {
        if Instant::now() > patience {
            let words = host.node.as_ref().map(Node::last_words).unwrap_or_default();
            return Err(format!("no process can be started in {}: {words}", host.namespace.name()));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// What else runs on this machine is not to be measured: this thread, and with it what it
/// starts, goes first (sched(7), `SCHED_RR`; a nice value counts within a session only).
/// Where that is not allowed the tolerance has to do.
pub(crate) fn hurry() {
    let own = nix::unistd::gettid().to_string();
    let mut command = Command::new("chrt");
    command.args(["--rr", "--pid", "1", &own]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.status();
}

impl World for Lab {
    fn setting(&self) -> Setting {
        self.setting.clone()
    }

    fn supports(&self, step: &Step) -> Result<(), String> {
        let kind = |id: HostId| self.hosts[usize::from(id.0)].node.as_ref().map(Node::kind);
        steps::lacks(step, |id| kind(id).unwrap_or_default())
    }

    fn apply(&mut self, step: &TimedStep, record: &mut dyn Recorder) {
        self.begin(record);
        // Its effects stand in the Record at the step's own time, as two steps of one time must.
        self.net.now = self.net.now.max(step.at);
        let began = Instant::now();
        if let Err(error) = self.play(&step.step, record) {
            self.trouble.push(error);
        }
        let took = began.elapsed();
        if took > self.tolerance {
            let name = step.step.name();
            self.late.push(format!("{}: {name} took {} s", step.at, Seconds(took)));
        }
    }

    /// From step to step at one go: what is of one time can be told in its order only as long as
    /// all of it is held.
    fn advance(
        &mut self,
        until: WorldTime,
        record: &mut dyn Recorder,
        stop: &dyn Fn() -> bool,
    ) -> WorldTime {
        self.begin(record);
        let mut held = Held::since(self.net.now);
        while !stop() {
            self.turn(until, &mut held);
            if self.now() >= until {
                self.net.now = self.net.now.max(until);
                break;
            }
            held.tell_older(self.net.now, record);
            if let Err(error) = self.wait(until) {
                self.trouble.push(format!("cannot wait: {error}"));
                break;
            }
        }
        held.tell_all(record);
        self.net.now.min(until)
    }

    fn trace(&self) -> Option<u128> {
        None
    }

    fn tolerance(&self) -> Duration {
        self.tolerance
    }
}
