//! What the kernel is asked for this process: memory that stays, and priorities. Whatever it
//! refuses is a warning; an election goes on without.

use std::io;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tracing::{debug, warn};
use vipd_config::process::Process;

/// Nice value of the loop, unless the file has one. It hardly computes, and an advert that waits
/// for its turn on a busy machine is an election.
pub const GOES_FIRST: i8 = -20;
/// Nice value of the threads that no advert needs.
const GIVES_WAY: i8 = 5;

/// The priorities that this process has been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Urgency {
    /// Its real-time priority.
    pub realtime: Option<u8>,
    /// Its nice value, if it was changed.
    pub nice: Option<i8>,
}

impl Urgency {
    /// For the status.
    #[must_use]
    pub fn report(&self) -> Value {
        json!({
            "memory_locked": vipd_sys::memory_is_locked(),
            "realtime_priority": self.realtime,
            "nice": self.nice,
        })
    }
}

/// Asks for everything. Privileges are needed for most of it.
#[must_use]
pub fn prepare(wanted: &Process) -> Urgency {
    if let Err(error) = lock_memory() {
        warn!("memory is not locked, and may be swapped out: {error}");
    }
    let mut urgency = Urgency::default();
    let nice = wanted.nice.unwrap_or(GOES_FIRST);
    match vipd_sys::set_nice(nice) {
        Ok(()) => urgency.nice = Some(nice),
        Err(error) if wanted.nice.is_some() => {
            warn!("no nice value of {nice} (vrrp_priority): {error}");
        }
        Err(error) => debug!("no nice value of {nice}: {error}"),
    }
    if let Some(micros) = wanted.realtime_limit
        && let Err(error) = setrlimit(Resource::RLIMIT_RTTIME, micros.into(), micros.into())
    {
        warn!("no limit of {micros} µs (vrrp_rlimit_rttime): {error}");
    }
    if let Some(priority) = wanted.realtime {
        match vipd_sys::set_realtime(priority) {
            Ok(()) => {
                urgency.realtime = Some(priority);
                // For a thread that begins when we may not any more, see `be_as_urgent`.
                let limit = priority.into();
                if let Err(error) = setrlimit(Resource::RLIMIT_RTPRIO, limit, limit) {
                    debug!("no limit of {priority} on real-time priorities: {error}");
                }
            }
            Err(error) => {
                warn!("no real-time priority of {priority} (vrrp_rt_priority): {error}");
            }
        }
    }
    urgency
}

/// Where there is no processor for both, this thread goes behind that of the adverts, and behind
/// others of this machine: beside one of them it still gets a quarter of the time.
pub fn give_way() {
    if let Err(error) = vipd_sys::set_nice(GIVES_WAY) {
        debug!("a thread goes beside that of the adverts: {error}");
    }
}

/// This thread is as urgent as that of the adverts, whose real-time priority it did not inherit.
pub fn be_as_urgent(urgency: Urgency) {
    if let Some(priority) = urgency.realtime
        && let Err(error) = vipd_sys::set_realtime(priority)
    {
        warn!("a thread has no real-time priority of {priority} (vrrp_rt_priority): {error}");
    }
}

/// So many descriptors may be open, or as many as the hard limit allows. How many that are.
pub fn allow_descriptors(most: u64) -> u64 {
    let raise = || {
        let (now, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let wanted = now.max(most.min(hard));
        if wanted > now {
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
        }
        Ok(wanted)
    };
    raise().unwrap_or_else(|error: Errno| {
        debug!("the limit of descriptors stays as it is: {error}");
        getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(now, _)| now)
    })
}

/// The limit counts every page that might be touched, so nothing is ever refused only without one,
/// or for who has the capability for as long as it runs.
fn lock_memory() -> io::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    let lifted = limit == RLIM_INFINITY
        || setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok();
    if !lifted {
        let capable = caps::has_cap(None, CapSet::Effective, Capability::CAP_IPC_LOCK);
        if !capable.map_err(io::Error::other)? {
            return Err(io::Error::other("it needs LimitMEMLOCK=infinity, or CAP_IPC_LOCK"));
        }
    }
    vipd_sys::lock_touched_memory()
}

/// Gives back what it took to read a file and to begin with it: memory, and pages of the program.
/// What of these is needed again comes back from the page cache.
pub fn give_back_memory() {
    vipd_sys::give_back_free_memory();
    if let Err(error) = vipd_sys::give_back_program() {
        debug!("the pages of the program stay: {error}");
    }
}

/// The capability that [`prepare`] turned out to need for as long as the process runs, beside those
/// of every vipd.
#[must_use]
pub fn needed_to_stay_locked() -> Option<Capability> {
    let unlimited =
        getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(limit, _)| limit == RLIM_INFINITY);
    (vipd_sys::memory_is_locked() && !unlimited).then_some(Capability::CAP_IPC_LOCK)
}
