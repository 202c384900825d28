//! The clock of this machine: `CLOCK_BOOTTIME`, which counts suspend and never goes back, and a
//! timerfd on it.
//!
//! A timer of tokio rounds to milliseconds and stands still while the machine is suspended.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as PosixClock, clock_gettime};
use tokio::io::unix::AsyncFd;
use vipd_engine::Timestamp;

use crate::seam::Clock;

/// The time since this machine was booted.
pub struct BootClock {
    timer: TimerFd,
    ringing: AsyncFd<OwnedFd>,
}

impl BootClock {
    /// Makes the timer. Must be called inside a runtime.
    ///
    /// # Errors
    /// Those of `timerfd_create(2)`.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        Ok(Self { ringing: vipd_sys::watch(&timer)?, timer })
    }
}

impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        // It cannot fail on a kernel that has this clock, and every one since 2.6.39 has it.
        clock_gettime(PosixClock::CLOCK_BOOTTIME).map_or(Timestamp::ZERO, timestamp)
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        let Some(at) = at else { return std::future::pending().await };
        while self.now() < at {
            let expiration = Expiration::OneShot(time_spec(at));
            let set = self.timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME);
            let Ok(mut ringing) = (match set {
                Ok(()) => self.ringing.readable().await,
                Err(error) => Err(error.into()),
            }) else {
                // No timer: better to look at the clock too often than to let a deadline pass.
                return tokio::task::yield_now().await;
            };
            // Reading it makes it quiet, also if it rang for an earlier time.
            let _ = ringing.try_io(|_| self.timer.wait().map_err(io::Error::from));
        }
    }
}

fn timestamp(time: TimeSpec) -> Timestamp {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    Timestamp::from_nanos(seconds * 1_000_000_000 + nanos)
}

fn time_spec(at: Timestamp) -> TimeSpec {
    // 584 years fit into both; a timer of zero would never ring.
    let nanos = at.as_nanos().max(1);
    TimeSpec::new((nanos / 1_000_000_000) as i64, (nanos % 1_000_000_000) as i64)
}
