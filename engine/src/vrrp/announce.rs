//! When a Master announces its addresses by gratuitous ARP or unsolicited NA.
//!
//! At once when the kernel has an address, again after `garp_master_delay`, and at every
//! `garp_master_refresh`; after a lower priority or a resignation was heard at once and again after
//! `garp_lower_prio_delay`. A Master that stood still for so long that another one may have
//! announced them meanwhile announces as if the kernel had them since now: nothing that it hears
//! need tell it of that one. The schedule is part of the Master state, so none of it outlives the
//! state.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Announcements;
use crate::time::{Timestamp, earlier};

/// What is still to be announced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Announcing {
    again: Option<Again>,
    refresh_at: Option<Timestamp>,
    /// No unsolicited neighbour advertisement before then, where the rules space them.
    rests_until: Timestamp,
}

/// RetransTimer (RFC 4861 section 7.2.6).
const NA_SPACING: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Again {
    at: Timestamp,
    frames: u8,
}

impl Announcing {
    /// Mastership begins now.
    pub(crate) fn new(now: Timestamp, config: &Announcements) -> Self {
        let mut announcing = Self { again: None, refresh_at: None, rests_until: Timestamp::ZERO };
        announcing.repeat(now, config);
        announcing.refresh_at = config.refresh().map(|refresh| now + refresh);
        announcing
    }

    /// An address came to the kernel: it is announced now, by the caller, and again later.
    pub(crate) fn repeat(&mut self, now: Timestamp, config: &Announcements) {
        if !config.delay.is_zero() {
            self.again = Some(Again { at: now + config.delay, frames: config.repeat });
        }
    }

    /// A lower master was heard: announced now, by the caller, and again later.
    pub(crate) fn repeat_for_lower(&mut self, now: Timestamp, config: &Announcements) {
        if !config.lower_priority_delay.is_zero() {
            let at = now + config.lower_priority_delay;
            self.again = Some(Again { at, frames: config.lower_priority_repeat });
        }
    }

    /// Whether neighbour advertisements were sent less than a second ago. If not, they are now.
    pub(crate) fn rests(&mut self, now: Timestamp) -> bool {
        let rests = now < self.rests_until;
        if !rests {
            self.rests_until = now + NA_SPACING;
        }
        rests
    }

    /// Frames per address that are due now, zero if none are.
    pub(crate) fn due(&mut self, now: Timestamp, config: &Announcements) -> u8 {
        let mut frames = 0;
        if let Some(again) = self.again
            && again.at <= now
        {
            self.again = None;
            frames = again.frames;
        }
        if let (Some(at), Some(refresh)) = (self.refresh_at, config.refresh())
            && at <= now
        {
            // From the deadline, not from now: the period does not drift. A late one acts once.
            let next = at + refresh;
            self.refresh_at = Some(if next > now { next } else { now + refresh });
            frames = frames.max(config.refresh_repeat);
        }
        frames
    }

    /// Other settings are in force: a refresh begins, ends or comes earlier.
    pub(crate) fn reconfigure(&mut self, now: Timestamp, config: &Announcements) {
        self.refresh_at = config
            .refresh()
            .map(|refresh| self.refresh_at.map_or(now + refresh, |at| at.min(now + refresh)));
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        earlier(self.again.map(|again| again.at), self.refresh_at)
    }

    /// Whether a refresh is due only where one is configured: another one would always be due.
    pub(crate) fn fits(&self, config: &Announcements) -> bool {
        self.refresh_at.is_none() || config.refresh().is_some()
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.again.map(|again| (again.at - now, again.frames)).hash(hasher);
        (self.rests_until - now).hash(hasher);
        // From a late refresh the next one is counted, so lateness decides.
        self.refresh_at.map(|at| (at - now, now - at)).hash(hasher);
    }
}
