//! What an instance does with a received advert: count it, name what differs, act on the election.

use alloc::vec::Vec;
use core::time::Duration;

use crate::event::{News, Why};
use crate::input::Received;
use crate::names::{Interval, Version};
use crate::rules::LowerPriorityRule;
use crate::vrrp::accept::{Accepted, Receiver};
use crate::vrrp::drop_reason::DropReason;
use crate::vrrp::election::{self, InBackup, InMaster};
use crate::vrrp::instance::{Context, Instance};
use crate::vrrp::last_event::LastEvent;
use crate::vrrp::named::Cause;
use crate::vrrp::operator::Standing;
use crate::vrrp::state::{Heard, Hold, State};
use crate::vrrp::timers;

impl Instance {
    /// A datagram arrived whose VRID octet is ours.
    pub(crate) fn on_advert(&mut self, ctx: &mut Context<'_>, received: &Received<'_>) {
        let (State::Backup(_) | State::Master(_), Some(port)) = (&self.state, self.port) else {
            self.counters.drops.count(DropReason::NotListening);
            return;
        };
        let receiver = Receiver { config: &self.config, source: port.source };
        let mut found = Vec::new();
        let checked = receiver.check(received, |mismatch| found.push(mismatch));
        for mismatch in &found {
            if self.named.is_new(received.src, (*mismatch).into()) {
                let news = News::Mismatch { peer: received.src, mismatch: *mismatch };
                self.notify(ctx, news);
            }
        }
        match checked {
            Err(reason) => {
                self.counters.drops.count(reason);
                // A mismatch was told already and says more, and our own advert that comes back is
                // no fault.
                let untold = found.is_empty() && reason != DropReason::OwnSource;
                if untold && self.named.is_new(received.src, Cause::Discarded(reason)) {
                    self.notify(ctx, News::AdvertDiscarded { peer: received.src, reason });
                }
            }
            Ok(accepted) => {
                self.named.keep_only(received.src, &found);
                self.counters.received += 1;
                self.counters.received_priority_zero += u64::from(accepted.priority == 0);
                self.last_heard = Some((accepted.source, accepted.priority, ctx.now));
                self.name_equal_priority(ctx, &accepted);
                self.on_accepted(ctx, accepted);
            }
        }
    }

    /// RFC 9568 section 8.3.2: priorities should differ, or addresses decide who is Master. Two
    /// owners are a mismatch, and named as such.
    fn name_equal_priority(&mut self, ctx: &mut Context<'_>, heard: &Accepted) {
        let (peer, priority) = (heard.source, heard.priority);
        let is_equal = priority == self.priority.get() && !self.priority.is_owner();
        if is_equal && self.named.is_new(peer, Cause::EqualPriority) {
            self.notify(ctx, News::EqualPriority { peer, priority });
        }
    }

    fn on_accepted(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        match &self.state {
            State::Backup(_) => self.hear_in_backup(ctx, heard),
            State::Master(_) => self.hear_in_master(ctx, heard),
            State::Initialize { .. } | State::Fault { .. } => {}
        }
    }

    /// RFC 9568 section 6.4.2.
    fn hear_in_backup(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        self.end_hold_down(ctx);
        match election::in_backup(self.priority, self.preempts(), heard.priority) {
            InBackup::Resigned => self.on_resigned_in_backup(ctx, heard),
            InBackup::Follow => {
                if let State::Backup(backup) = &mut self.state {
                    backup.hold = Hold::Off;
                }
                self.follow(ctx, heard);
            }
            InBackup::Lower => self.on_lower_in_backup(ctx, heard),
        }
    }

    /// Only the skew is waited for now, whatever was left of the timer.
    fn on_resigned_in_backup(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        let (version, priority) = (self.config.version, self.priority);
        let State::Backup(backup) = &mut self.state else { return };
        let skew = timers::skew_time(version, priority, backup.interval);
        backup.armed_for = skew;
        backup.master_down_at = Some(ctx.now + skew);
        backup.heard = Heard::Resigned(heard.source);
        backup.hold = Hold::Off;
        if self.config.rules.resign_reorder {
            let interval = backup.interval.duration();
            self.resignations.begin(ctx.now, heard.source, interval);
        }
    }

    /// The master counts: its interval is learnt in v3 and the down timer begins anew.
    fn follow(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        let interval = self.interval_in_force(heard.interval);
        let armed_for = if self.resignations.covers(ctx.now, heard.source) {
            interval.duration() + timers::skew_time(self.config.version, self.priority, interval)
        } else {
            self.master_down_interval(interval)
        };
        let State::Backup(backup) = &mut self.state else { return };
        let learnt = backup.interval != interval;
        backup.interval = interval;
        backup.armed_for = armed_for;
        backup.master_down_at = Some(ctx.now + armed_for);
        backup.heard = Heard::Master(heard.source);
        if learnt && self.named.is_new(heard.source, Cause::Interval(interval)) {
            self.notify(ctx, News::IntervalLearned { peer: heard.source, interval });
        }
    }

    /// A lower router is master: the timer goes on, unless a preempt delay holds us.
    fn on_lower_in_backup(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        self.end_hold(ctx);
        let delay = self.config.preempt_delay;
        let (peer, priority) = (heard.source, heard.priority);
        let State::Backup(backup) = &mut self.state else { return };
        let is_known = matches!(backup.heard, Heard::Lower { .. });
        match backup.hold {
            Hold::Off if !delay.is_zero() => {
                backup.hold = Hold::Until(ctx.now + delay);
                self.last_event = LastEvent::LowerPriorityMaster;
                self.notify(ctx, News::PreemptDelayed { peer, delay });
                self.follow(ctx, heard);
            }
            Hold::Until(_) => self.follow(ctx, heard),
            Hold::Off | Hold::Over => {
                backup.heard = Heard::Lower { peer, priority };
                if !is_known && backup.hold == Hold::Off {
                    self.last_event = LastEvent::LowerPriorityMaster;
                }
            }
        }
    }

    /// Our priority fell, or we preempt no more, since a lower master was heard: that advert counts
    /// after all, or we would take over before the next one tells us. Once for each advert, so that
    /// a tracker that flaps does not put the takeover off for ever.
    pub(crate) fn follow_who_is_no_longer_lower(&mut self, ctx: &Context<'_>) {
        let State::Backup(backup) = &self.state else { return };
        let Heard::Lower { peer, priority } = backup.heard else { return };
        let interval = backup.interval;
        if election::in_backup(self.priority, self.preempts(), priority) != InBackup::Follow {
            return;
        }
        let armed_for = self.master_down_interval(interval);
        let State::Backup(backup) = &mut self.state else { return };
        backup.armed_for = armed_for;
        backup.master_down_at = Some(ctx.now + armed_for);
        backup.heard = Heard::Master(peer);
        backup.hold = Hold::Off;
    }

    /// The preempt delay ends when it is due: what was held back happens from now on.
    pub(crate) fn end_hold(&mut self, ctx: &mut Context<'_>) {
        let State::Backup(backup) = &mut self.state else { return };
        if backup.hold.is_due(ctx.now) {
            backup.hold = Hold::Over;
            self.last_event = LastEvent::PreemptHoldTimeout;
            self.notify(ctx, News::PreemptDelayOver);
        }
    }

    /// RFC 9568 section 6.4.3.
    fn hear_in_master(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        let Some(port) = self.port else { return };
        let peer = heard.source;
        match election::in_master(self.priority, port.source, heard.priority, peer) {
            InMaster::Resigned => {
                if self.config.rules.resign_reorder {
                    let interval = self.config.interval.duration();
                    self.resignations.begin(ctx.now, peer, interval);
                }
                self.assert(ctx);
            }
            InMaster::Higher if !self.resignations.answer(ctx.now, peer) => {
                let why = Why::HigherPriority { peer, priority: heard.priority };
                self.yield_to(ctx, heard, why);
            }
            InMaster::GreaterAddress if !self.resignations.answer(ctx.now, peer) => {
                self.yield_to(ctx, heard, Why::GreaterAddress(peer));
            }
            // A late advert of a router that resigned: answered instead of obeyed.
            InMaster::Higher | InMaster::GreaterAddress => self.assert(ctx),
            InMaster::Lower => self.on_lower_in_master(ctx, heard),
            InMaster::Reflection => {}
        }
    }

    /// One last advert, so that a master that never heard us learns of us and announces again; it
    /// re-arms no timer of ours. Backups have heard the new master by then and take this for its
    /// like: in v3 it teaches no shorter interval than that one's, or they would not wait for its
    /// next advert.
    fn yield_to(&mut self, ctx: &mut Context<'_>, heard: Accepted, why: Why) {
        if self.config.rules.yield_advert {
            let interval = self.config.interval.max(self.interval_in_force(heard.interval));
            self.send_adverts_of(ctx, self.priority.get(), interval);
        }
        self.leave_it_to(ctx, heard, why);
    }

    /// Goes to Backup behind the master that was heard.
    fn leave_it_to(&mut self, ctx: &mut Context<'_>, heard: Accepted, why: Why) {
        let interval = self.interval_in_force(heard.interval);
        self.enter_backup(ctx, why, interval);
        if let State::Backup(backup) = &mut self.state {
            backup.heard = Heard::Master(heard.source);
        }
    }

    fn on_lower_in_master(&mut self, ctx: &mut Context<'_>, heard: Accepted) {
        let (peer, alarm) = (heard.source, self.config.one_way_alarm);
        let State::Master(master) = &mut self.state else { return };
        let lower = master.rivals.heard(ctx.now, peer, heard.interval.duration());
        let is_deaf = lower.counted == Some(alarm);
        let hold_down = self.config.one_way_yield.filter(|_| is_deaf);
        if self.config.tells_lower_priority && lower.is_news {
            self.notify(ctx, News::LowerPriority { peer, priority: heard.priority });
        }
        match self.config.rules.lower_priority {
            // To assert itself and resign at once would make a rival that hears again yield to
            // nobody.
            LowerPriorityRule::Assert if hold_down.is_none() => self.assert(ctx),
            LowerPriorityRule::Assert | LowerPriorityRule::Silent => {}
        }
        if is_deaf {
            self.notify(ctx, News::OneWay { peer, asserts: alarm });
        }
        if let Some(hold_down) = hold_down {
            self.yield_to_deaf(ctx, heard, hold_down);
        }
    }

    /// Two masters are worth less than one: we leave it to the one that does not hear us and stays
    /// whatever happens. Whoever hears us is told.
    ///
    /// DEVIATION: no RFC has a Master that yields to a lower priority (`one_way_yield`).
    fn yield_to_deaf(&mut self, ctx: &mut Context<'_>, heard: Accepted, hold_down: Duration) {
        self.resign(ctx);
        self.standing = Standing::HeldDown { until: ctx.now + hold_down };
        self.leave_it_to(ctx, heard, Why::OneWay { peer: heard.source, hold_down });
    }

    /// Advertises at once and announces the addresses again, within the budget of asserted adverts.
    fn assert(&mut self, ctx: &mut Context<'_>) {
        let interval = self.config.interval.duration();
        let announcements = self.config.announcements;
        let State::Master(master) = &mut self.state else { return };
        if !master.rivals.may_assert(ctx.now, interval) {
            return;
        }
        let anew = master.announces_anew(ctx.now, &self.config);
        master.advert_at = ctx.now + interval;
        master.announcing.repeat_for_lower(ctx.now, &announcements);
        self.send_adverts(ctx, self.priority.get());
        self.announce(ctx, announcements.lower_priority_repeat.max(anew));
    }

    /// `Master_Adver_Interval` after an advert with this interval: v3 learns it, v2 has its own.
    fn interval_in_force(&self, heard: Interval) -> Interval {
        match self.config.version {
            Version::V2 => self.config.interval,
            Version::V3 => heard,
        }
    }
}
