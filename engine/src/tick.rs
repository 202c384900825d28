//! Timers of virtual routers and of what is static: who is due, in which order, and which adverts
//! leave together.

use alloc::vec::Vec;

use crate::engine::Engine;
use crate::names::Interval;
use crate::output::{InstanceId, Outputs};
use crate::statics::Statics;
use crate::time::Timestamp;
use crate::vrrp::instance::Instance;
use crate::vrrp::timers;

impl Engine {
    /// Whoever is due acts in the order of the deadlines. What the index filed too early is filed
    /// anew first, or a book would decide the order.
    #[inline(never)]
    pub(crate) fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        while let Some((filed, id)) = self.schedule.pop_due(now) {
            let deadline = self.deadline_of(id);
            if deadline != Some(filed) {
                self.schedule.file(id, deadline);
            } else if id == InstanceId::STATIC {
                self.with_statics(now, out, Statics::on_tick);
            } else {
                if let Some((interval, at)) = self.adver_timer(id).filter(|(_, at)| *at <= now) {
                    match self.place_among_fired(interval) {
                        Ok(place) => self.fired[place].1 = at,
                        Err(place) => self.fired.insert(place, (interval, at)),
                    }
                }
                self.with(id, now, out, Instance::on_tick);
            }
        }
        let slack = timers::advert_slack;
        let until = self.fired.iter().map(|(interval, at)| *at + slack(*interval)).max();
        if let Some(until) = until.filter(|until| self.schedule.is_due(*until)) {
            self.gather_adverts(now, until, out);
        }
        self.fired.clear();
    }

    /// Adverts that would be due within the slack after one of the same interval that has just left
    /// go with it, so that the machine wakes once for all of them. Their timers move to where that
    /// one stood, so each is early once, and they stay together. Nothing else is early.
    fn gather_adverts(&mut self, now: Timestamp, until: Timestamp, out: &mut Outputs) {
        let mut others = Vec::new();
        while let Some((filed, id)) = self.schedule.pop_due(until) {
            let deadline = self.deadline_of(id);
            if deadline != Some(filed) {
                self.schedule.file(id, deadline);
                continue;
            }
            let adver_timer = self.adver_timer(id).filter(|(_, at)| *at == filed);
            let leader = adver_timer.and_then(|(interval, at)| {
                let leader = self.fired[self.place_among_fired(interval).ok()?].1;
                (at <= leader + timers::advert_slack(interval)).then_some(leader)
            });
            match leader {
                Some(leader) => {
                    self.with(id, now, out, |instance, ctx| instance.advertise_with(ctx, leader));
                }
                None => others.push((filed, id)),
            }
        }
        for (at, id) in others {
            self.schedule.file(id, Some(at));
        }
    }

    fn place_among_fired(&self, interval: Interval) -> Result<usize, usize> {
        self.fired.binary_search_by_key(&interval, |(interval, _)| *interval)
    }

    fn deadline_of(&self, id: InstanceId) -> Option<Timestamp> {
        if id == InstanceId::STATIC {
            return self.statics.deadline();
        }
        self.instance(id)?.deadline()
    }

    fn adver_timer(&self, id: InstanceId) -> Option<(Interval, Timestamp)> {
        self.instance(id)?.adver_timer()
    }
}
