//! The clock of this machine: `CLOCK_BOOTTIME`, which counts suspend and never goes back, and a
//! timerfd on it.
//!
//! A timer of tokio rounds to milliseconds and stands still while the machine is suspended.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;

use futures_util::FutureExt;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as PosixClock, clock_gettime};
use tokio::io::unix::AsyncFd;
use vipd_engine::Timestamp;

use crate::seam::Clock;

/// The time since this machine was booted.
pub struct BootClock {
    timer: TimerFd,
    /// The runtime watches for edges: every ring is one, whether the timer was read or not, and
    /// setting it makes it quiet. So it is never read.
    ringing: AsyncFd<OwnedFd>,
    /// What it was set for last, while it has not been heard.
    set_for: Cell<Option<Timestamp>>,
}

impl BootClock {
    /// Makes the timer. Must be called inside a runtime.
    ///
    /// # Errors
    /// Those of `timerfd_create(2)`.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        Ok(Self { ringing: vipd_sys::watch(&timer)?, timer, set_for: Cell::new(None) })
    }
}

/// What the clock shows, whoever asks.
pub fn now() -> Timestamp {
    // It cannot fail on a kernel that has this clock, and every one since 2.6.39 has it.
    clock_gettime(PosixClock::CLOCK_BOOTTIME).map_or(Timestamp::ZERO, timestamp)
}

impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        let Some(at) = at else { return std::future::pending().await };
        while self.now() < at {
            if self.set_for.get() != Some(at) && self.set(at).is_err() {
                // No timer: better to look at the clock too often than to let a deadline pass.
                return tokio::task::yield_now().await;
            }
            match self.ringing.readable().await {
                Ok(mut rang) => rang.clear_ready(),
                // The runtime is being shut down.
                Err(_) => return tokio::task::yield_now().await,
            }
            self.set_for.set(None);
        }
    }
}

impl BootClock {
    fn set(&self, at: Timestamp) -> io::Result<()> {
        // A ring that nobody has heard was for another time.
        if let Some(rang) = self.ringing.readable().now_or_never() {
            rang?.clear_ready();
        }
        self.set_for.set(None);
        let expiration = Expiration::OneShot(time_spec(at));
        self.timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.set_for.set(Some(at));
        Ok(())
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
