//! What the loop hears: datagrams, news of the kernel, outcomes of checks, and how much of each
//! before the timers are looked at again.

use std::time::Duration;

use tracing::trace;
use vipd_engine::Input;

use super::Driver;
use crate::journal;
use crate::seam::{Clock, Kernel, Servers, Socket};

/// Datagrams that are read before a due timer, at most.
pub const READ_BEFORE_TIMER: usize = 256;
/// And for this long at most.
pub const READ_FOR: Duration = Duration::from_millis(20);
/// Datagrams that are read otherwise, before the timers are looked at again.
pub const READ_AT_ONCE: usize = 16;
/// News of the kernel, or outcomes of checks, that are heard before the timers are looked at again.
pub const HEAR_AT_ONCE: usize = 256;
/// Outcomes of checks that are heard before it is looked whether a virtual router is due.
pub const HEAR_TOGETHER: usize = 16;
/// Who is later than this was paused: he hears of every outcome that waits before he gives it up.
pub const PAUSED_FROM: Duration = Duration::from_millis(100);

impl<S: Socket, C: Clock, K: Kernel, D: Servers> Driver<S, C, K, D> {
    /// Hands the datagrams that wait to the engine, `most` of them.
    pub(super) fn read(&mut self, most: usize) {
        let until = self.clock.now() + READ_FOR;
        for _ in 0..most {
            let Some(received) = self.socket.try_recv() else { return };
            let now = self.clock.now();
            let (src, dst, length) = (received.src, received.dst, received.bytes.len());
            trace!("received {length} octets {src} -> {dst}, TTL {}", received.ttl);
            let Self { journal, engine, outputs, .. } = self;
            journal::handle(journal, engine, now, Input::Advert(received), outputs);
            self.settle();
            if now >= until {
                return;
            }
        }
    }

    pub(super) fn hear_kernel(&mut self) {
        for _ in 0..HEAR_AT_ONCE {
            let Some(told) = self.kernel.try_next() else { break };
            self.told.push_back(told);
        }
        self.settle();
    }

    /// An advert waits for a portion of them at most.
    pub(super) fn hear_servers(&mut self) {
        for _ in 0..HEAR_AT_ONCE / HEAR_TOGETHER {
            while self.told.len() < HEAR_TOGETHER
                && let Some(told) = self.servers.try_next()
            {
                self.told.push_back(told);
            }
            let is_all = self.told.len() < HEAR_TOGETHER;
            self.settle();
            // Behind a pause all of them are heard first: they were on time, and we were late.
            let late = self.engine.next_timer().map(|timer| (self.clock.now(), timer.at));
            let is_due = late.is_some_and(|(now, at)| at <= now && now - at < PAUSED_FROM);
            if is_all || is_due {
                return;
            }
        }
    }
}
