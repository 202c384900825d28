//! How urgent this process is for the scheduler (sched(7)).

use std::io;

/// This thread runs before every thread of a lower real-time priority and every one without; those
/// of the same take turns (`SCHED_RR`). Threads and programs that it starts are as urgent as any
/// other. Needs `CAP_SYS_NICE`, or `RLIMIT_RTPRIO`.
///
/// # Errors
/// Those of sched_setscheduler(2): `EINVAL` outside 1 to 99.
pub fn set_realtime(priority: u8) -> io::Result<()> {
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    let parameters = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: the pointer is to a live value, and the kernel only reads it during the call.
    #[allow(unsafe_code)]
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives this thread, and those that it starts, another nice value, -20 (much) to 19 (little).
/// Needs `CAP_SYS_NICE`, or `RLIMIT_NICE`, unless it is a greater one.
///
/// # Errors
/// Those of setpriority(2).
pub fn set_nice(value: i8) -> io::Result<()> {
    // SAFETY: it takes three numbers.
    #[allow(unsafe_code)]
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value.into()) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
