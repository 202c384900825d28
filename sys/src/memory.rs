//! Memory that is never swapped out (mlockall(2)).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static LOCKED: AtomicBool = AtomicBool::new(false);

/// Every page that the process has, or will have, stays in memory from the first time that it is
/// touched. Pages that nobody touches cost nothing. Needs `RLIMIT_MEMLOCK` to be unlimited, or
/// `CAP_IPC_LOCK` for as long as it runs: every allocation beyond the limit would fail.
///
/// # Errors
/// Those of mlockall(2).
pub fn lock_touched_memory() -> io::Result<()> {
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: it takes flags, and changes only whether pages may leave the memory.
    #[allow(unsafe_code)]
    let locked = unsafe { libc::mlockall(flags) };
    LOCKED.store(locked == 0, Ordering::Relaxed);
    if locked < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether [`lock_touched_memory`] is in force.
#[must_use]
pub fn memory_is_locked() -> bool {
    LOCKED.load(Ordering::Relaxed)
}

/// Does what cannot be done to memory that is locked, and locks it again.
pub(crate) fn unlocked(act: impl FnOnce()) {
    if !memory_is_locked() {
        return act();
    }
    // SAFETY: it takes nothing, and changes only whether pages may leave the memory.
    #[allow(unsafe_code)]
    unsafe {
        libc::munlockall();
    }
    act();
    // It was allowed before. If it is not any more, `memory_is_locked` tells.
    let _ = lock_touched_memory();
}
