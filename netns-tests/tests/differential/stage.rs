//! A case on its stage: one daemon in a namespace with real servers on its loopback, what is done
//! to them, and what is ordered of the kernel behind each event.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Barrier, Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use vipd_netns_tests::namespaces::Namespace;

use crate::daemon::{Daemon, Kind};
use crate::server::Server;
use crate::tap::Tap;
use crate::words::{self, SERVERS, address, address6, virtual_address};

/// Nothing was ordered of any of the kernels for so long: the event is over. Checks run twice a
/// second.
const QUIET: Duration = Duration::from_millis(1800);
/// How long the first command of one that starts or reloads may take.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// What is done.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Starts,
    /// SIGTERM.
    Stops,
    /// SIGKILL, of all its processes.
    Killed,
    /// SIGHUP with another file, in these words.
    Reloads(&'static str, fn() -> String),
    /// Nobody listens at a real server any more.
    Refuses(char),
    Answers(char),
    /// Pages of a real server have this status from now on.
    Pages(char, u16),
    /// A virtual address comes onto the machine.
    Comes(char),
    Goes(char),
    /// A script ends with this from now on.
    Ends(u8),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starts => f.write_str("starts"),
            Self::Stops => f.write_str("stops"),
            Self::Killed => f.write_str("is killed"),
            Self::Reloads(what, _) => write!(f, "reloads: {what}"),
            Self::Refuses(server) => write!(f, "{server} refuses"),
            Self::Answers(server) => write!(f, "{server} answers"),
            Self::Pages(server, status) => write!(f, "{server} says {status}"),
            Self::Comes(service) => write!(f, "the address of {service} comes"),
            Self::Goes(service) => write!(f, "the address of {service} goes"),
            Self::Ends(code) => write!(f, "the script ends with {code}"),
        }
    }
}

/// A file, who is dead from the beginning, and what happens.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub file: fn() -> String,
    pub dead: &'static str,
    pub events: &'static [Event],
}

/// What came of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    pub commands: Vec<String>,
    pub table: Vec<String>,
}

/// What all stages have in common: an event begins everywhere at once, and is over when nothing
/// happens anywhere. So it takes as long as this machine needs, however busy it is.
pub struct Theatre {
    all: Barrier,
    starting: Mutex<()>,
    last: Mutex<Instant>,
}

impl Theatre {
    /// For so many stages.
    pub fn new(stages: usize) -> Self {
        let last = Mutex::new(Instant::now());
        Self { all: Barrier::new(stages), starting: Mutex::new(()), last }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().expect("no stage has failed")
    }
}

/// Plays a case with a daemon: a phase for each event, and its log. Each stage has so many events;
/// in the rest of them nothing is done.
pub fn play(
    case: &Case,
    kind: Kind,
    (namespace, folder): (&Namespace, PathBuf),
    (theatre, events): (&Theatre, usize),
) -> (Vec<Phase>, String) {
    let mut stage = Stage::new(case, kind, namespace, folder);
    let mut phases = Vec::new();
    for place in 0..events {
        theatre.all.wait();
        let event = case.events.get(place);
        let mut commands = event.map(|event| stage.act(*event, theatre)).unwrap_or_default();
        *theatre.last() = Instant::now();
        theatre.all.wait();
        let awaits = matches!(event, Some(Event::Reloads(..)));
        commands.extend(stage.heard(theatre, awaits));
        if event.is_some() {
            phases.push(Phase { commands, table: words::table(namespace) });
        }
    }
    (phases, stage.daemon.log())
}

struct Stage<'a> {
    namespace: &'a Namespace,
    daemon: Daemon,
    tap: Tap,
    listeners: BTreeMap<char, [Server; 2]>,
}

impl<'a> Stage<'a> {
    fn new(case: &Case, kind: Kind, namespace: &'a Namespace, folder: PathBuf) -> Self {
        for server in SERVERS {
            let (four, six) = (address(server), address6(server));
            let lines = format!("addr add {four}/32 dev lo\naddr add {six}/128 dev lo nodad\n");
            namespace.ip(&lines).expect("addresses");
        }
        let daemon = Daemon::new(kind, namespace.clone(), folder);
        let tap = Tap::open(namespace).expect("a tap");
        let mut stage = Self { namespace, daemon, tap, listeners: BTreeMap::new() };
        SERVERS.iter().filter(|server| !case.dead.contains(**server)).for_each(|server| {
            stage.listen(*server);
        });
        stage.write(&(case.file)());
        stage.script(0);
        stage
    }

    /// `FOLDER` in a file is that of the daemon.
    fn write(&self, file: &str) {
        self.daemon.write(&file.replace("FOLDER", &self.daemon.folder().display().to_string()));
    }

    fn script(&self, code: u8) {
        let folder = self.daemon.folder();
        std::fs::write(folder.join("new"), format!("{code}\n")).expect("a file of ours");
        std::fs::rename(folder.join("new"), folder.join("code")).expect("a file of ours");
    }

    fn listen(&mut self, server: char) {
        let bind = |address: IpAddr| {
            let started = self.namespace.within(|| Server::start(address));
            started.expect("in it").expect("a port")
        };
        self.listeners.insert(server, [bind(address(server)), bind(address6(server))]);
    }

    /// Does it, and what is ordered meanwhile.
    fn act(&mut self, event: Event, theatre: &Theatre) -> Vec<String> {
        match event {
            // One after the other, or none of them has the time that it needs.
            Event::Starts => {
                let _turn = theatre.starting.lock().expect("no stage has failed");
                self.daemon.start();
                return self.first();
            }
            Event::Stops => self.daemon.stop(),
            Event::Killed => self.daemon.kill(),
            Event::Reloads(_, file) => {
                self.write(&file());
                self.daemon.reload();
            }
            Event::Refuses(server) => drop(self.listeners.remove(&server)),
            Event::Answers(server) => self.listen(server),
            Event::Pages(server, status) => {
                self.listeners[&server].iter().for_each(|one| one.says(status));
            }
            Event::Comes(service) => self.address("add", service),
            Event::Goes(service) => self.address("del", service),
            Event::Ends(code) => self.script(code),
        }
        Vec::new()
    }

    fn address(&self, what: &str, service: char) {
        let address = virtual_address(service);
        let line = format!("addr {what} {address}/32 dev lo\n");
        self.namespace.ip(&line).expect("an address");
    }

    /// The first commands that are ordered.
    fn first(&mut self) -> Vec<String> {
        let began = Instant::now();
        loop {
            let commands = self.commands();
            if !commands.is_empty() || began.elapsed() > PATIENCE {
                return commands;
            }
            sleep(POLL);
        }
    }

    /// What is ordered until nothing more is, here and elsewhere.
    fn heard(&mut self, theatre: &Theatre, awaits: bool) -> Vec<String> {
        let mut heard = if awaits { self.first() } else { Vec::new() };
        loop {
            let more = self.commands();
            if !more.is_empty() {
                *theatre.last() = Instant::now();
                heard.extend(more);
            } else if theatre.last().elapsed() >= QUIET {
                return heard;
            }
            sleep(POLL);
        }
    }

    fn commands(&mut self) -> Vec<String> {
        self.tap.commands().iter().map(|line| words::command(line)).collect()
    }
}
