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
    pub(crate) fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        let mut fired = core::mem::take(&mut self.fired);
        while let Some((filed, id)) = self.schedule.pop_due(now) {
            let deadline = self.deadline_of(id);
            if deadline != Some(filed) {
                self.schedule.file(id, deadline);
            } else if id == InstanceId::STATIC {
                self.with_statics(now, out, Statics::on_tick);
            } else {
                if let Some((interval, at)) = self.adver_timer(id).filter(|(_, at)| *at <= now) {
                    match fired.binary_search_by_key(&interval, |(interval, _)| *interval) {
                        Ok(place) => fired[place].1 = at,
                        Err(place) => fired.insert(place, (interval, at)),
                    }
                }
                self.with(id, now, out, Instance::on_tick);
            }
        }
        if !fired.is_empty() {
            self.gather_adverts(now, &fired, out);
            fired.clear();
        }
        self.fired = fired;
    }

    /// Adverts that would be due within the slack after one of the same interval that has just left
    /// go with it, so that the machine wakes once for all of them. Their timers move to where that
    /// one stood, so each is early once, and they stay together. Nothing else is early.
    ///
    /// `fired` is the `Adver_Timer` of each interval that fired last, in the order of intervals.
    fn gather_adverts(
        &mut self,
        now: Timestamp,
        fired: &[(Interval, Timestamp)],
        out: &mut Outputs,
    ) {
        let slack = timers::advert_slack;
        let until = fired.iter().map(|(interval, at)| *at + slack(*interval)).max();
        let Some(until) = until else { return };
        let mut others = Vec::new();
        while let Some((filed, id)) = self.schedule.pop_due(until) {
            let deadline = self.deadline_of(id);
            if deadline != Some(filed) {
                self.schedule.file(id, deadline);
                continue;
            }
            let adver_timer = self.adver_timer(id).filter(|(_, at)| *at == filed);
            let leader = adver_timer.and_then(|(interval, at)| {
                let place = fired.binary_search_by_key(&interval, |(interval, _)| *interval);
                let leader = place.ok().map(|place| fired[place].1);
                leader.filter(|leader| at <= *leader + slack(interval))
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
