//! Two hosts with a cable between them: a master, and a backup at whose end everything is recorded.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use vipd_netns_tests::namespaces::{Namespace, Namespaces};

use crate::recorder::{Record, Recorder, Seen};
use crate::running::{Daemon, Role, Running};

/// Longer than anything that is waited for takes, but for the intervals that are asked for.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The interface of both.
const INTERFACE: &str = "eth0";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Has the better priorities.
    Master,
    /// Takes over.
    Backup,
}

impl Side {
    /// Its own address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Master => Ipv4Addr::new(10, 8, 0, 1),
            Self::Backup => Ipv4Addr::new(10, 8, 0, 2),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// A virtual router of a file.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    /// 1 to 255; its address follows from it.
    pub vrid: u8,
    /// 1 to 254.
    pub priority: u8,
    /// Between two adverts.
    pub interval: Duration,
    /// Whether it takes over from a worse one.
    pub preempt: bool,
}

/// The virtual address of a virtual router.
#[must_use]
pub const fn virtual_address(vrid: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, vrid)
}

/// `Skew_Time` (RFC 9568 section 6.1), to the nanosecond.
#[must_use]
pub fn skew(priority: u8, interval: Duration) -> Duration {
    interval * (256 - u32::from(priority)) / 256
}

/// `Master_Down_Interval` (RFC 9568 section 6.1).
#[must_use]
pub fn master_down(priority: u8, interval: Duration) -> Duration {
    3 * interval + skew(priority, interval)
}

/// The hosts.
pub struct Pair {
    /// Before the namespaces, which it is in.
    recorder: Option<Recorder>,
    master: Namespace,
    backup: Namespace,
    folder: PathBuf,
    /// Last: they are removed with everything that still runs in them.
    _namespaces: Namespaces,
}

impl Pair {
    /// Makes them.
    ///
    /// # Errors
    /// What this machine lacks, in words.
    pub fn new() -> Result<Self, String> {
        let mut namespaces = Namespaces::new()?;
        let (master, backup) = (namespaces.add("master")?, namespaces.add("backup")?);
        let there = backup.name();
        master
            .ip(&format!("link add {INTERFACE} type veth peer name {INTERFACE} netns {there}\n"))?;
        for (namespace, side) in [(&master, Side::Master), (&backup, Side::Backup)] {
            let address = side.address();
            namespace.ip(&format!(
                "address add {address}/24 dev {INTERFACE}\nlink set {INTERFACE} up\n"
            ))?;
        }
        let folder = namespaces.folder().to_path_buf();
        let mut pair = Self { recorder: None, master, backup, folder, _namespaces: namespaces };
        pair.record()?;
        Ok(pair)
    }

    /// Records from now on, and has forgotten what was before.
    ///
    /// # Errors
    /// Those of [`Recorder::start`].
    pub fn record(&mut self) -> Result<(), String> {
        self.recorder = None;
        self.recorder = Some(Recorder::start(&self.backup, INTERFACE)?);
        Ok(())
    }

    /// Records nothing from now on. On a cable within a machine the kernel delivers a frame in its
    /// sender's time: whoever listens would be paid for by whom is measured.
    pub fn be_deaf(&mut self) {
        self.recorder = None;
    }

    /// Looks at what was recorded.
    pub fn recorded<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        match &self.recorder {
            Some(recorder) => look(&recorder.lock()),
            None => look(&Record::default()),
        }
    }

    /// Starts a daemon for these virtual routers.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(
        &self,
        side: Side,
        daemon: &Daemon,
        routers: &[Router],
    ) -> Result<Running, String> {
        self.write(side, routers, "")?;
        self.start_as(side, daemon, Role::Routes)
    }

    /// Starts a daemon with the file that was written for it.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start_as(&self, side: Side, daemon: &Daemon, role: Role) -> Result<Running, String> {
        let (file, log) = (self.file(side), self.folder.join(format!("{}.log", side.name())));
        let running = Running::start(daemon, role, self.namespace(side), &file, &log);
        running.map_err(|error| format!("{daemon}: {error}"))
    }

    /// Writes a file with these virtual routers, and what else is to be in it.
    ///
    /// # Errors
    /// Those of the file system, in words.
    pub fn write(&self, side: Side, routers: &[Router], more: &str) -> Result<(), String> {
        let text = [&text(routers), more].concat();
        fs::write(self.file(side), text).map_err(|error| error.to_string())
    }

    /// The namespace of a host.
    #[must_use]
    pub const fn namespace(&self, side: Side) -> &Namespace {
        match side {
            Side::Master => &self.master,
            Side::Backup => &self.backup,
        }
    }

    fn file(&self, side: Side) -> PathBuf {
        self.folder.join(format!("{}.conf", side.name()))
    }

    /// Waits for something that is seen.
    ///
    /// # Errors
    /// That it did not come, with what a daemon said last.
    pub fn wait<T>(&self, what: &str, find: impl Fn(&Record) -> Option<T>) -> Result<T, String> {
        self.recorder.as_ref().and_then(|recorder| recorder.wait(PATIENCE, find)).ok_or_else(|| {
            let words = [Side::Master, Side::Backup].map(|side| {
                let log = fs::read_to_string(self.folder.join(format!("{}.log", side.name())));
                let log = log.unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                format!("{}:\n{}", side.name(), lines[lines.len().saturating_sub(5)..].join("\n"))
            });
            format!("{what} never came\n{}", words.join("\n"))
        })
    }
}

/// The adverts of one side.
pub fn of(record: &Record, side: Side) -> impl DoubleEndedIterator<Item = Seen> {
    record.adverts.iter().copied().filter(move |seen| seen.src == side.address())
}

fn text(routers: &[Router]) -> String {
    let mut text = String::from("global_defs {\n  vrrp_version 3\n}\n");
    for Router { vrid, priority, interval, preempt } in routers {
        let (seconds, address) = (interval.as_secs_f64(), virtual_address(*vrid));
        let nopreempt = if *preempt { "" } else { "  nopreempt\n" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "vrrp_instance VI_{vrid} {{\n  state BACKUP\n  interface {INTERFACE}\n  \
             virtual_router_id {vrid}\n  priority {priority}\n  advert_int {seconds}\n{nopreempt}  \
             virtual_ipaddress {{\n    {address}/32\n  }}\n}}\n"
        );
    }
    text
}
