//! What a configuration wants of the process itself. The engine does not know it; a driver asks the
//! kernel for it when it starts.

use std::ops::RangeInclusive;

/// Real-time priorities of Linux (sched(7)).
pub const REALTIME: RangeInclusive<i64> = 1..=99;
/// Nice values (setpriority(2)).
pub const NICE: RangeInclusive<i64> = -20..=19;
/// Microseconds of a real-time limit (`RLIMIT_RTTIME`) that keepalived takes.
pub const REALTIME_LIMIT: RangeInclusive<i64> = 1..=u32::MAX as i64;

/// Priorities of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its nice value (`vrrp_priority`).
    pub nice: Option<i8>,
    /// Its real-time priority (`vrrp_rt_priority`).
    pub realtime: Option<u8>,
    /// Microseconds that it may compute without waiting while it has one (`vrrp_rlimit_rttime`).
    pub realtime_limit: Option<u32>,
}
