//! The lease of a Master (`dead_man`, property S8): it may own its addresses for so long after the
//! last round of adverts that the kernel accepted, and no longer.
//!
//! It stands twice. In the kernel it holds the gate open, whatever becomes of this engine. Here it
//! ends the state: an engine that was not called in time does not believe that it is still Master.
//!
//! The range of a lease `l`, with the interval `A` and `N` adverts in the down timer:
//!
//! ```text
//! A + L  <  l  <=  (N - 1) A + Skew_min - L - gate delay
//! ```
//!
//! Below it a living Master would lose its addresses between two adverts. Above it a backup that
//! missed one advert, the last one before the end, could take over before the gate is shut.
//! `Skew_min` is that of priority 255. The lateness `L` stands on both sides, because two adverts
//! that follow each other may lie `A + L` apart.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::InstanceConfig;
use crate::event::{News, Why};
use crate::input::EffectError;
use crate::names::Priority;
use crate::output::{CommandId, KernelCommand, Output};
use crate::time::Timestamp;
use crate::vrrp::instance::{Context, Instance};
use crate::vrrp::state::{Heard, State};
use crate::vrrp::timers;

/// `L` in the range of a lease: how late adverts, their answers and renewals may be in all.
pub const LATENESS: Duration = Duration::from_millis(5);
/// How long after the end of its lease a gate is shut at the latest: a tick of a kernel that counts
/// 100 in a second.
pub const GATE_DELAY: Duration = Duration::from_millis(10);

impl InstanceConfig {
    /// The range of `dead_man`: longer than the first, and at most the second. `None` if the
    /// interval is too short for any.
    #[must_use]
    pub fn dead_man_range(&self) -> Option<(Duration, Duration)> {
        let interval = self.interval.duration();
        let skew = timers::skew_time(self.version, Priority::OWNER, self.interval);
        let adverts = u32::from(self.down_timer_adverts.saturating_sub(1));
        let most = (interval * adverts + skew).checked_sub(LATENESS + GATE_DELAY)?;
        let least = interval + LATENESS;
        (least < most).then_some((least, most))
    }
}

/// Until when a Master may own its addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) until: Timestamp,
    /// The renewal that the kernel has not answered yet: its number, and until when.
    asked: Option<(u64, Timestamp)>,
}

impl Lease {
    /// What goes on of a lease that ends at `latest`, or one that begins. A renewal beyond that is
    /// not waited for any more.
    fn within(running: Option<Self>, latest: Timestamp) -> Self {
        let (until, asked) = running.map_or((latest, None), |lease| (lease.until, lease.asked));
        Self { until: until.min(latest), asked: asked.filter(|(_, until)| *until <= latest) }
    }

    pub(crate) fn runs(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Whether the renewal that waits has a number below `next`.
    pub(crate) fn fits(&self, next: u64) -> bool {
        self.asked.is_none_or(|(number, _)| number < next)
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        (self.until - now).hash(hasher);
        self.asked.map(|(_, until)| until - now).hash(hasher);
    }
}

impl Instance {
    /// When it has to have left Master, unless the kernel accepts another advert before.
    pub(crate) fn lease_end(&self) -> Option<Timestamp> {
        match &self.state {
            State::Master(master) => master.lease.as_ref().map(|lease| lease.until),
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => None,
        }
    }

    /// Begins the lease with the state, or as soon as its gate stands: one that ended before would
    /// end a Master in good health. It counts from the round that is due, if that is late, and a
    /// shorter one that a reload brings holds at once.
    pub(crate) fn settle_lease(&mut self, now: Timestamp) {
        let State::Master(master) = &mut self.state else { return };
        let lasts = self.config.dead_man.filter(|_| self.holdings.gate.stands());
        let latest = lasts.map(|lasts| now.min(master.advert_at) + lasts);
        master.lease = latest.map(|latest| Lease::within(master.lease.take(), latest));
    }

    /// Has the gate kept open for as long as the lease is from the begin of the last round, if the
    /// kernel accepted it.
    pub(crate) fn renew_lease(&mut self, ctx: &mut Context<'_>) {
        let until = self.sending.accepted().zip(self.config.dead_man);
        let until = until.map(|(begun, lasts)| begun + lasts).filter(|until| *until > ctx.now);
        let State::Master(master) = &mut self.state else { return };
        let (Some(until), Some(lease)) = (until, &mut master.lease) else { return };
        let id = CommandId { instance: self.id, number: self.next_number };
        self.next_number += 1;
        lease.asked = Some((id.number, until));
        let command = KernelCommand::RenewLease { instance: self.id, until };
        ctx.out.push(Output::Kernel { id, command });
    }

    /// Whether this was the answer to the renewal. The lease is what the kernel has of it.
    pub(crate) fn on_renewed(
        &mut self,
        ctx: &mut Context<'_>,
        number: u64,
        result: Result<(), EffectError>,
    ) -> bool {
        let State::Master(master) = &mut self.state else { return false };
        let Some(lease) = &mut master.lease else { return false };
        let Some((_, until)) = lease.asked.take_if(|asked| asked.0 == number) else { return false };
        match result {
            Ok(()) => lease.until = lease.until.max(until),
            Err(error) => {
                let command = KernelCommand::RenewLease { instance: self.id, until };
                self.notify(ctx, News::CommandFailed { command, error });
            }
        }
        true
    }

    /// It is Backup because its lease was over, and has not heard anybody since then.
    pub(crate) fn has_lost_its_lease(&self) -> bool {
        matches!(&self.state, State::Backup(backup) if backup.heard == Heard::Unread)
    }

    /// Its lease is over. It says nothing of it on the wire: the others may have another Master by
    /// now, and priority 0 would end their wait for that one.
    pub(crate) fn on_lease_over(&mut self, ctx: &mut Context<'_>) {
        self.enter_backup(ctx, Why::LeaseOver, self.config.interval);
        // Nor does it join the masters of its group: it takes them along.
        if let State::Backup(backup) = &mut self.state {
            backup.heard = Heard::Unread;
        }
    }
}
