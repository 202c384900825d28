//! What is seen at the backup's end of the cable: adverts with the kernel's time, and addresses that
//! its kernel has from now on, with the time at which that was heard.
//!
//! Both are by the wall clock, since that is what the kernel stamps frames with: a clock that is
//! set while something is measured spoils it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vipd_frames::{Payload, decode};
use vipd_netns_tests::namespaces::Namespace;
use vipd_netns_tests::watch::{Watch, Word};
use vipd_netns_tests::wire::Plug;

/// A frame or a message of netlink, at most.
const BUFFER: usize = 1 << 16;
/// How often the thread asks whether it is to end, in milliseconds.
const ASK_EVERY: u16 = 100;

/// An advert on the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When the kernel had it, since 1970.
    pub at: Duration,
    /// Who sent it.
    pub src: Ipv4Addr,
    /// The virtual router.
    pub vrid: u8,
    /// Zero is a resignation.
    pub priority: u8,
}

/// Everything that was seen, in the order in which it was read.
#[derive(Debug, Default)]
pub struct Record {
    /// Adverts.
    pub adverts: Vec<Seen>,
    /// Addresses that came, and when that was heard.
    pub addresses: Vec<(Duration, IpAddr)>,
}

type Shared = Arc<(Mutex<Record>, Condvar)>;

/// Records until it is dropped.
pub struct Recorder {
    record: Shared,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Records what is seen on this interface of this namespace.
    ///
    /// # Errors
    /// Those of the sockets, in words.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self, String> {
        let open = || Ok::<_, io::Error>((Plug::open(interface)?, Watch::open()?));
        let opened = namespace.within(open)?.map_err(|error| format!("cannot record: {error}"))?;
        let (record, stop) = (Shared::default(), Arc::new(AtomicBool::new(false)));
        let (shared, ends) = (Arc::clone(&record), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            hurry();
            let (plug, watch) = opened;
            while !ends.load(Ordering::Relaxed) && follow(&plug, &watch, &shared).is_ok() {}
        });
        Ok(Self { record, stop, thread: Some(thread) })
    }

    /// Waits for what `find` looks for; `None` if it does not come within `patience`.
    pub fn wait<T>(&self, patience: Duration, find: impl Fn(&Record) -> Option<T>) -> Option<T> {
        let until = Instant::now() + patience;
        let mut record = self.lock();
        loop {
            if let Some(found) = find(&record) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.record.1.wait_timeout(record, left);
            record = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What was seen so far.
    pub fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the clock shows that the kernel stamps frames with.
#[must_use]
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// An address is heard of when this thread runs: it goes before others where that is allowed
/// (sched(7), `SCHED_RR`). It starts no process, so nobody inherits that.
fn hurry() {
    let own = nix::unistd::gettid().to_string();
    let mut command = Command::new("chrt");
    command.args(["--rr", "--pid", "1", &own]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.status();
}

fn follow(plug: &Plug, watch: &Watch, shared: &Shared) -> io::Result<()> {
    let wanted = PollFlags::POLLIN;
    let mut ready = [PollFd::new(watch.as_fd(), wanted), PollFd::new(plug.as_fd(), wanted)];
    poll(&mut ready, PollTimeout::from(ASK_EVERY))?;
    let [told, came] = ready.map(|fd| fd.any().unwrap_or(false));
    let (mut buffer, mut words) = (vec![0; BUFFER], Vec::new());
    let mut addresses = Vec::new();
    if told {
        watch.read(&mut buffer, &mut words)?;
        let at = now();
        addresses.extend(words.into_iter().filter_map(|word| match word {
            Word::Address { address, present: true, .. } => Some((at, address)),
            Word::Address { .. } | Word::Link { .. } | Word::Neighbour { .. } => None,
        }));
    }
    let mut adverts = Vec::new();
    // Some at a time: an address must not wait for a burst of adverts.
    while came && adverts.len() < 16 {
        let Some((length, at)) = plug.receive(&mut buffer)? else { break };
        adverts.extend(advert(&buffer[..length], at));
    }
    let mut record = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    record.addresses.extend(addresses);
    record.adverts.extend(adverts);
    shared.1.notify_all();
    Ok(())
}

fn advert(frame: &[u8], at: Duration) -> Option<Seen> {
    let Payload::Vrrp(vrrp) = decode(frame).ok()?.payload else { return None };
    let (IpAddr::V4(src), [_, vrid, priority, ..]) = (vrrp.src, vrrp.bytes) else { return None };
    Some(Seen { at, src, vrid: *vrid, priority: *priority })
}
