//! A new configuration for an instance that goes on: the same identity, changed in place.
//!
//! State and timers are kept. No advert is missed and none is sent for the reload's sake. What was
//! named is forgotten: whoever reloads wants to know what still does not fit. Rivals are counted
//! anew where another alarm is configured, or another answer to it: what was only told may decide
//! now.

use alloc::sync::Arc;

use crate::config::InstanceConfig;
use crate::vrrp::instance::{Context, Instance};
use crate::vrrp::named::Named;
use crate::vrrp::state::State;

impl Instance {
    /// Puts `config` in force. The caller evaluates faults and priority afterwards.
    pub(crate) fn reconfigure(&mut self, ctx: &mut Context<'_>, config: Arc<InstanceConfig>) {
        let old = core::mem::replace(&mut self.config, config);
        self.named = Named::default();
        self.apply_addresses();
        let new = Arc::clone(&self.config);
        let same_timing = old.version == new.version
            && old.interval == new.interval
            && old.down_timer_adverts == new.down_timer_adverts;
        let same_alarm =
            old.one_way_alarm == new.one_way_alarm && old.one_way_yield == new.one_way_yield;
        let armed_for = self.master_down_interval(new.interval);
        match &mut self.state {
            // A timer of other length begins anew: never earlier than a master could be heard.
            State::Backup(backup) if !same_timing => {
                backup.interval = new.interval;
                backup.armed_for = armed_for;
                backup.master_down_at = Some(ctx.now + armed_for);
            }
            State::Master(master) => {
                master.advert_at = master.advert_at.min(ctx.now + new.interval.duration());
                master.announcing.reconfigure(ctx.now, &new.announcements);
                if !same_alarm {
                    master.rivals.forget();
                }
            }
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => {}
        }
        self.settle_lease(ctx.now);
        self.reconfigure_hold_down(ctx);
        self.reconcile(ctx);
    }
}
