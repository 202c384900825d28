//! A stage on real namespaces: the target in one, with an interface per experiment; the other ends
//! of all cables in another, with a packet socket each. One thread waits for what comes first.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::experiment::{Act, Deed, Experiment, Reading, Stage, When, text};
use super::octets::{self, Frame, VRRP};
use super::site::{TARGET, Terms};
use super::target;
use super::view::{Change, Mark, Notes, Seen};
use crate::namespaces::{Namespace, Namespaces};
use crate::node::Node;
use crate::watch::{Watch, Word};
use crate::wire::Plug;

/// How long the target is looked at after SIGTERM. keepalived ends after a second.
const AFTERMATH: Duration = Duration::from_millis(1_500);
/// Longer than the making of a namespace takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks whether the process ended, and whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// A burst that is late by more is left out: what was not sent in time is no flood.
const STALE: Duration = Duration::from_millis(50);
/// How many frames of one cable are taken in before something else gets its turn.
const TURN: usize = 500;
/// No frame and no netlink message is longer.
const LONGEST: usize = 1 << 16;
/// Numbers of interfaces from here on are those of the cables' outer ends.
const FIRST_END: usize = 2000;

/// What was seen in a stage.
pub(super) struct Played {
    /// Of each experiment, in their order.
    pub notes: Vec<Notes>,
    pub marks: Vec<(Duration, Mark)>,
    /// What the target said last.
    pub last_words: String,
}

/// The LAN of an experiment.
struct Lan {
    near: Plug,
    far: Option<Plug>,
    notes: Notes,
    /// What waits for an advert of the target: from when on, and the cue.
    waiting: Vec<(Duration, usize)>,
}

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// A cue of an experiment.
    Cue(usize, usize),
    Act(Act),
    Stop,
}

/// A stage that is played.
struct Playing<'a> {
    stage: &'a Stage,
    terms: &'a Terms,
    lans: Vec<Lan>,
    /// By time, and by order among those of one time.
    due: BTreeMap<(Duration, usize), Due>,
    marks: Vec<(Duration, Mark)>,
    node: Node,
    target: Namespace,
    wires: Namespace,
    watch: Watch,
    /// Which LAN an interface of the target is on.
    links: BTreeMap<u32, usize>,
    file: PathBuf,
    begun: Instant,
    numbers: usize,
}

/// Plays a stage.
///
/// # Errors
/// What this machine lacks, or what went wrong in the laboratory, in words.
pub(super) fn play(
    stage: &Stage,
    terms: &Terms,
    program: &Path,
    stop: fn() -> bool,
) -> Result<Played, String> {
    crate::world::hurry();
    let mut namespaces = Namespaces::new()?;
    let wires = namespaces.add("wires")?;
    let own = namespaces.add("target")?;
    let _ = wires.within(|| fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))?;
    own.within(prepare_kernel)?.map_err(|error| format!("a setting of the kernel: {error}"))?;
    let watch = own.within(Watch::open)?.map_err(|error| error.to_string())?;
    let lans = lay_cables(stage, &wires, &own)?;
    let folder = namespaces.folder().to_path_buf();
    fs::create_dir_all(folder.join("files")).map_err(|error| error.to_string())?;
    let file = folder.join("files/target.conf");
    target::write(stage, terms, &own, &file, false)?;
    let arguments = target::arguments(terms);
    let program = (terms.target, program.to_path_buf());
    let node = Node::new(program, "target", &own, folder.join("node"), &file, arguments);
    let node = node.map_err(|error| format!("the target: {error}"))?;
    wait_for(&node)?;
    let mut playing = Playing {
        stage,
        terms,
        lans,
        due: BTreeMap::new(),
        marks: Vec::new(),
        node,
        target: own,
        wires,
        watch,
        links: BTreeMap::new(),
        file,
        begun: Instant::now(),
        numbers: 0,
    };
    playing.play(stop).map_err(|error| format!("stage {}: {error}", stage.name))?;
    let last_words = playing.node.last_words();
    let notes = playing.lans.into_iter().map(|lan| lan.notes).collect();
    Ok(Played { notes, marks: playing.marks, last_words })
}

/// A router: it forwards, doubts no source, limits no answer, and may join many groups.
fn prepare_kernel() -> io::Result<()> {
    for (key, value) in [
        ("ipv4/conf/all/forwarding", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/igmp_max_memberships", "1000"),
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv6/icmp/ratelimit", "0"),
    ] {
        fs::write(format!("/proc/sys/net/{key}"), value)
            .map_err(|error| io::Error::new(error.kind(), format!("{key}: {error}")))?;
    }
    Ok(())
}

fn lay_cables(stage: &Stage, wires: &Namespace, target: &Namespace) -> Result<Vec<Lan>, String> {
    let (mut outer, mut inner) = (String::new(), String::new());
    let there = target.name();
    for experiment in &stage.experiments {
        let site = experiment.site;
        let mut cable = |interface: &str, mac: octets::Mac, place: usize| {
            let number = FIRST_END + 2 * usize::from(site.0) + place;
            let far = format!("peer name {interface} address {} netns {there}", text(mac));
            let _ = writeln!(outer, "link add o{interface} index {number} type veth {far}");
            if experiment.ground.carrier {
                let _ = writeln!(outer, "link set o{interface} up");
            }
        };
        cable(&site.interface(), site.mac(TARGET), 0);
        if experiment.ground.far {
            cable(&site.far_interface(), site.far_mac(TARGET), 1);
        }
        inner.push_str(&experiment.interfaces());
    }
    wires.ip(&outer)?;
    target.ip(&inner)?;
    let open = |experiment: &Experiment| {
        let near = Plug::open(&format!("o{}", experiment.site.interface()))?;
        let far = experiment.ground.far;
        let far = far.then(|| Plug::open(&format!("o{}", experiment.site.far_interface())));
        let (notes, waiting) = (Notes::default(), Vec::new());
        Ok(Lan { near, far: far.transpose()?, notes, waiting })
    };
    let opened = wires.within(|| stage.experiments.iter().map(open).collect::<io::Result<_>>())?;
    opened.map_err(|error| format!("a packet socket: {error}"))
}

fn wait_for(node: &Node) -> Result<(), String> {
    let patience = Instant::now() + PATIENCE;
    while !node.is_ready() {
        if Instant::now() > patience {
            return Err(format!("the target cannot be started: {}", node.last_words()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Playing<'_> {
    fn play(&mut self, stop: fn() -> bool) -> Result<(), String> {
        self.schedule();
        let mut words = Vec::new();
        let mut buffer = vec![0; LONGEST];
        // What the making of the cables brought about.
        self.watch.read(&mut buffer, &mut words).map_err(|error| error.to_string())?;
        self.note(&mut words, Duration::ZERO);
        self.begun = Instant::now();
        self.node.start().map_err(|error| error.to_string())?;
        self.marks.push((Duration::ZERO, Mark::Started));
        let end = self.stage.ends + AFTERMATH;
        while self.begun.elapsed() < end {
            if stop() {
                return Err("interrupted".to_owned());
            }
            self.take_in(&mut buffer)?;
            self.do_due()?;
            if let Some(orderly) = self.node.ended() {
                self.marks.push((self.begun.elapsed(), Mark::Ended(orderly)));
            }
            self.wait(end)?;
        }
        self.take_in(&mut buffer)
    }

    fn schedule(&mut self) {
        for (lan, experiment) in self.stage.experiments.iter().enumerate() {
            for (place, cue) in experiment.cues.iter().enumerate() {
                match cue.when {
                    When::At(at) => self.push(at, Due::Cue(lan, place)),
                    When::Every { from, until, period } => {
                        let mut at = from;
                        while at < until {
                            self.push(at, Due::Cue(lan, place));
                            at += period;
                        }
                    }
                    When::AfterAdvert { from, .. } => self.lans[lan].waiting.push((from, place)),
                }
            }
        }
        for (at, act) in &self.stage.acts {
            self.push(*at, Due::Act(*act));
        }
        self.push(self.stage.ends, Due::Stop);
    }

    fn push(&mut self, at: Duration, due: Due) {
        self.numbers += 1;
        self.due.insert((at, self.numbers), due);
    }

    /// Reads every frame and every word that waits.
    fn take_in(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = self.begun.elapsed();
        for place in 0..self.lans.len() {
            for far in [false, true] {
                for _ in 0..TURN {
                    let Some(seen) = self.next(place, far, buffer, now, wall)? else { break };
                    self.on_frame(place, &seen);
                    self.lans[place].notes.frames.push(seen);
                }
            }
        }
        let mut words = Vec::new();
        self.watch.read(buffer, &mut words).map_err(|error| format!("netlink: {error}"))?;
        self.note(&mut words, now);
        Ok(())
    }

    fn next(
        &self,
        place: usize,
        far: bool,
        buffer: &mut [u8],
        now: Duration,
        wall: Duration,
    ) -> Result<Option<Seen>, String> {
        let lan = &self.lans[place];
        let plug = if far { lan.far.as_ref() } else { Some(&lan.near) };
        let Some(plug) = plug else { return Ok(None) };
        let received = plug.receive(buffer).map_err(|error| format!("a frame: {error}"))?;
        Ok(received.map(|(length, stamp)| {
            // One that came after `wall` was read is from now.
            let at = now.saturating_sub(wall.saturating_sub(stamp));
            let at = at + stamp.saturating_sub(wall);
            Seen { at, far, octets: buffer[..length].to_vec() }
        }))
    }

    /// What a frame brings about: a cue that waited for it, an answer of a host.
    fn on_frame(&mut self, place: usize, seen: &Seen) {
        let Some(frame) = Frame::read(&seen.octets) else { return };
        let experiment = &self.stage.experiments[place];
        if frame.ip().is_some_and(|ip| ip.protocol == VRRP) {
            let waiting = std::mem::take(&mut self.lans[place].waiting);
            for (from, cue) in waiting {
                match experiment.cues[cue].when {
                    When::AfterAdvert { offset, .. } if seen.at >= from => {
                        self.push(seen.at + offset, Due::Cue(place, cue));
                    }
                    _ => self.lans[place].waiting.push((from, cue)),
                }
            }
        }
        let answer = answer(experiment, &frame);
        if let Some(answer) = answer {
            let _ = self.lans[place].near.send(&answer);
        }
    }

    fn note(&mut self, words: &mut Vec<Word>, at: Duration) {
        for word in words.drain(..) {
            match word {
                Word::Link { index, name, below } => {
                    let own = |experiment: &Experiment| {
                        let site = experiment.site;
                        name == site.interface() || name == site.far_interface()
                    };
                    let lan = self.stage.experiments.iter().position(own);
                    let above = below.and_then(|below| self.links.get(&below).copied());
                    if let Some(lan) = lan.or(above) {
                        self.links.insert(index, lan);
                    }
                    if let (None, Some(lan)) = (lan, above) {
                        self.lans[lan].notes.upper = Some(name);
                    }
                }
                Word::Address { index, address, present } => {
                    if let Some(lan) = self.links.get(&index) {
                        let change = Change { at, address, present };
                        self.lans[*lan].notes.changes.push(change);
                    }
                }
                Word::Neighbour { .. } => {}
            }
        }
    }

    fn do_due(&mut self) -> Result<(), String> {
        while let Some(first) = self.due.first_entry() {
            let (at, now) = (first.key().0, self.begun.elapsed());
            if at > now {
                break;
            }
            match first.remove() {
                Due::Cue(lan, cue) if self.is_burst(lan, cue) && now > at + STALE => {}
                Due::Cue(lan, cue) => self.do_cue(lan, cue)?,
                Due::Act(act) => self.act(act)?,
                Due::Stop => {
                    self.marks.push((self.begun.elapsed(), Mark::Stopped));
                    self.node.stop();
                }
            }
        }
        Ok(())
    }

    fn is_burst(&self, lan: usize, cue: usize) -> bool {
        matches!(self.stage.experiments[lan].cues[cue].deed, Deed::Burst(_))
    }

    fn do_cue(&mut self, place: usize, cue: usize) -> Result<(), String> {
        let experiment = &self.stage.experiments[place];
        let cue = &experiment.cues[cue];
        let lan = &mut self.lans[place];
        lan.notes.sent.push((cue.label, self.begun.elapsed()));
        match &cue.deed {
            Deed::Send(frame) => lan.near.send(frame).map_err(|error| error.to_string())?,
            Deed::SendFar(frame) => {
                if let Some(far) = &lan.far {
                    far.send(frame).map_err(|error| error.to_string())?;
                }
            }
            Deed::Burst(frames) => {
                for frame in frames {
                    lan.near.send(frame).map_err(|error| error.to_string())?;
                }
            }
            Deed::Carrier(up) => {
                let state = if *up { "up" } else { "down" };
                self.wires.ip(&format!("link set o{} {state}\n", experiment.site.interface()))?;
            }
            Deed::Ip(lines) => self.target.ip(lines)?,
            Deed::Proxy(address) => {
                let own = experiment.site.interface();
                let device = lan.notes.upper.as_ref().unwrap_or(&own);
                self.target.ip(&format!("neighbour add proxy {address} dev {device}\n"))?;
            }
            Deed::Read(reading) => {
                let text = self.read(*reading)?;
                self.lans[place].notes.readings.push((self.begun.elapsed(), *reading, text));
            }
        }
        Ok(())
    }

    fn read(&self, reading: Reading) -> Result<String, String> {
        let ip = |words: &[&str]| -> Result<String, String> {
            let output = Command::new("ip").args(["-n", self.target.name()]).args(words).output();
            let output = output.map_err(|error| error.to_string())?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        match reading {
            Reading::Addresses => Ok(ip(&["-d", "address"])? + &ip(&["-d", "link"])?),
            Reading::Neighbours => ip(&["neighbour"]),
            Reading::Groups => {
                let read = || fs::read_to_string("/proc/thread-self/net/igmp6");
                self.target.within(read)?.map_err(|error| error.to_string())
            }
            Reading::Process => Ok(self.node.statuses()),
        }
    }

    fn act(&mut self, act: Act) -> Result<(), String> {
        let mark = match act {
            Act::Reload => {
                target::write(self.stage, self.terms, &self.target, &self.file, true)?;
                self.node.reload();
                Mark::Reloaded
            }
            Act::Kill => {
                self.node.kill();
                self.node.make_ready().map_err(|error| error.to_string())?;
                Mark::Killed
            }
            Act::Start => {
                target::tidy(self.stage, self.terms, &self.target)?;
                self.node.start().map_err(|error| error.to_string())?;
                Mark::Started
            }
        };
        self.marks.push((self.begun.elapsed(), mark));
        Ok(())
    }

    fn wait(&self, end: Duration) -> Result<(), String> {
        let due = self.due.first_key_value().map_or(end, |((at, _), _)| *at);
        let wait = due.min(end).saturating_sub(self.begun.elapsed()).min(LOOK);
        let near = self.lans.iter().map(|lan| lan.near.as_fd());
        let far = self.lans.iter().filter_map(|lan| Some(lan.far.as_ref()?.as_fd()));
        let fds = near.chain(far).chain([self.watch.as_fd()]);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, Some(TimeSpec::from(wait)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(format!("cannot wait: {error}")),
        }
    }
}

/// What a host of the LAN answers when the target asks for it.
fn answer(experiment: &Experiment, frame: &Frame<'_>) -> Option<Vec<u8>> {
    let site = experiment.site;
    let known = |host: u8| experiment.ground.answering.iter().find(|(known, _)| *known == host);
    if let Some(arp) = frame.arp() {
        let (_, mac) = known(arp.tpa.octets()[3]).filter(|(host, _)| site.v4(*host) == arp.tpa)?;
        let own = (*mac, arp.tpa);
        let to = (arp.sha, arp.spa);
        return (arp.operation == 1).then(|| octets::arp((frame.src, *mac), 2, own, to));
    }
    let ip = frame.ip()?;
    let (135, message) = ip.icmp6()? else { return None };
    let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    let target = std::net::Ipv6Addr::from(target);
    let (_, mac) = known(target.octets()[15]).filter(|(host, _)| site.global(*host) == target)?;
    Some(octets::advertise((frame.src, *mac), (target.into(), ip.src), 0x60, target))
}
