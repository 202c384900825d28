//! When free memory is given back: when nothing works that would fetch it again, and no advert is
//! about to leave.

use std::time::Duration;

use super::Driver;
use crate::seam::{Clock, Kernel, Servers, Socket};

/// Free memory is given back, which may take milliseconds, when no timer of a virtual router is due
/// within this time.
pub const GIVE_BACK_AHEAD: Duration = Duration::from_millis(50);
/// Or, where there is always one, after this long.
pub const GIVE_BACK_WITHIN: Duration = Duration::from_secs(2);

impl<S: Socket, C: Clock, K: Kernel, D: Servers> Driver<S, C, K, D> {
    /// Gives free memory back when there is time for it.
    pub fn owe_memory(&mut self) {
        let now = self.clock.now();
        self.owes_since.get_or_insert(now);
    }

    /// Gives free memory back if that is owed and delays no advert.
    pub(super) fn give_back_in_time(&mut self) {
        let Some(since) = self.owes_since else { return };
        let (now, timer) = (self.clock.now(), self.engine.next_timer());
        let director = self.engine.next_deadline().filter(|next| Some(*next) != timer);
        if self.ordered.is_some() || director.is_some_and(|next| next.at <= now) {
            // What works would fetch it again.
            self.owes_since = Some(now);
            return;
        }
        let has_time = timer.is_none_or(|timer| timer.at - now >= GIVE_BACK_AHEAD);
        if has_time || now - since >= GIVE_BACK_WITHIN {
            self.owes_since = None;
            (self.give_back)();
        }
    }
}
