//! S11: after any dual interval every host's neighbour cache ends on the survivor.
//!
//! Within A + D + announcement delay where the survivor repeats its announcement after the dual
//! interval (it heard an advert of the loser, it is the newcomer, or it stood still for long), else
//! within one `garp_master_refresh`.

use std::collections::BTreeMap;
use std::time::Duration;

use vipd_engine::config::Announcements;
use vipd_engine::rules::LowerPriorityRule;

use super::change::{Change, Place, What};
use super::mismatch;
use super::places::Places;
use super::reach::caches;
use super::score::Score;
use super::terms::{plus, since};
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::{Seen, WorldTime};

/// S11.
#[derive(Debug)]
pub(super) struct Caches {
    score: Score,
    /// By virtual router: the dual interval that runs, and the time after one.
    dual: Places<Dual>,
    after: Places<After>,
}

/// Several masters, or several owners, anywhere on the segment.
#[derive(Debug)]
struct Dual {
    began: WorldTime,
    /// When each last heard a rival whose adverts it takes, by member.
    heard: BTreeMap<usize, WorldTime>,
    /// Who was left over a moment ago and repeats its announcement.
    repeats: Option<Place>,
}

#[derive(Debug)]
struct After {
    survivor: Place,
    ended: WorldTime,
    /// The survivor announces again because of a rival, or because it is new.
    repeats: bool,
    stale: Option<String>,
    was_stale: Option<(WorldTime, String)>,
    cached: bool,
}

impl Caches {
    pub(super) const fn new() -> Self {
        let missing = "no dual interval ended long enough before the end or the next fault, with a \
                       neighbour entry to look at";
        let score = Score::new(PropertyId::S11, missing);
        Self { score, dual: Places::new(), after: Places::new() }
    }

    fn close(&mut self, view: &View, mut after: After, end: WorldTime) {
        if let Some(why) = after.stale.take() {
            after.was_stale = Some((end, why));
        }
        let place = after.survivor;
        let value =
            after.was_stale.as_ref().map_or(Duration::ZERO, |(at, _)| since(*at, after.ended));
        let announcements = view.member(place).config.announcements;
        let bound = if after.repeats {
            let delay = super::reach::announcement_delay(view, place);
            view.pace(place) + view.most_delay(place.router) + view.up(delay)
        } else if let Some(refresh) = announcements.refresh {
            view.up(refresh) + view.most_delay(place.router)
        } else {
            let name = view.name(place);
            if value > Duration::ZERO {
                self.score.leave(format!("{name} neither announces again nor refreshes"));
            }
            return;
        };
        let bound = bound + view.late() * 2 + view.tolerance();
        if !after.cached || since(end, after.ended) < bound {
            return;
        }
        let excuse = || {
            let refused = view.refused(&[place], after.ended);
            refused.or_else(|| view.too_late()).or_else(|| view.slow_network(place.router))
        };
        let what = || {
            let why = after.was_stale.as_ref().map_or("", |(_, why)| why.as_str());
            format!("{why} {value:?} after the dual interval")
        };
        self.score.at_most(value, bound, excuse, what);
    }

    fn follow(&mut self, view: &View, router: usize, now: WorldTime) {
        if view.routers[router].dual {
            let after = self.after.take(router);
            // On a real machine the owners' dual interval comes a moment after that of the masters.
            let just = |after: &&After| after.repeats && since(now, after.ended) < view.tolerance();
            let repeats = after.as_ref().filter(just).map(|after| after.survivor);
            if let Some(after) = after {
                self.close(view, after, now);
            }
            if self.dual.get(router).is_none() {
                self.dual.put(router, Dual { began: now, heard: BTreeMap::new(), repeats });
            }
        } else if let Some(dual) = self.dual.take(router) {
            let mut masters =
                view.places(router).filter(|place| view.member(*place).master.is_some());
            let (Some(survivor), None) = (masters.next(), masters.next()) else { return };
            let member = view.member(survivor);
            // Its data plane follows its state by the time that the kernel takes: the dual interval
            // of the owners may come after that of the masters.
            let owned = member.addresses.iter().filter_map(|one| view.owns(survivor, *one));
            // What it owns again as its machine goes on is nothing new to it: nothing is announced.
            let went_on = view.host(member.host).stalled.and_then(|(_, until)| until);
            let owned = owned.filter(|at| Some(*at) != went_on);
            let new = member.master.into_iter().chain(owned).filter(|at| *at >= dual.began);
            let new = new.max().filter(|_| !member.resumed);
            let config = &member.config.announcements;
            let heard = dual.heard.get(&survivor.member).copied();
            let heard = heard.filter(|_| repeats_for_rival(view, survivor));
            let anew = view.announced_anew(survivor).filter(|at| *at >= dual.began);
            // What it announced again while the loser was still there mends nothing.
            let after = |from: Option<WorldTime>, delay| {
                let last = plus(now, view.most_delay(router));
                from.is_some_and(|from| plus(from, view.down(delay)) > last)
            };
            let repeats = dual.repeats == Some(survivor)
                || after(new, config.delay)
                || after(anew, shortest(config))
                || after(heard, config.lower_priority_delay);
            let (stale, was_stale) = (None, None);
            let after = After { survivor, ended: now, repeats, stale, was_stale, cached: false };
            self.after.put(router, after);
        } else if let Some(after) = self.after.get(router) {
            let gone = view.member(after.survivor).master.is_none();
            if (gone || view.disturbed_at(router) > after.ended)
                && let Some(after) = self.after.take(router)
            {
                self.close(view, after, now);
            }
        }
        self.look(view, router, now);
    }

    fn look(&mut self, view: &View, router: usize, now: WorldTime) {
        let Some(after) = self.after.get_mut(router) else { return };
        if let Some(why) = after.stale.take() {
            after.was_stale = Some((now, why));
        }
        let host = view.member(after.survivor).host;
        for address in &view.member(after.survivor).addresses {
            for (cache, entry) in caches(view, after.survivor, *address) {
                after.cached = true;
                if entry != Some(host) {
                    let (cache, survivor) = (view.host_name(cache), view.host_name(host));
                    let address = address.1;
                    after.stale = Some(format!(
                        "{cache} did not have {address} at {survivor}, the survivor,"
                    ));
                }
            }
        }
    }
}

/// What it announces again once has been announced after so long: whatever it heard meanwhile has
/// put the other announcement in its place.
fn shortest(config: &Announcements) -> Duration {
    match config.lower_priority_delay {
        Duration::ZERO => config.delay,
        lower => lower.min(config.delay),
    }
}

/// Whether it announces again, more than D later, when it hears a rival.
pub(super) fn repeats_for_rival(view: &View, place: Place) -> bool {
    let config = &view.member(place).config;
    !view.member(place).discards_as_owner()
        && config.rules.lower_priority == LowerPriorityRule::Assert
        && config.announcements.lower_priority_repeat > 0
        && config.announcements.lower_priority_delay > view.most_delay(place.router)
}

impl Property for Caches {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        !view.touched.is_empty()
            || matches!(change.what, What::HeardInMaster(_) | What::Seen(Seen::Neighbour { .. }))
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::HeardInMaster(pair) = change.what {
            let sender = Place { router: pair.router, member: pair.sender };
            let receiver = Place { router: pair.router, member: pair.receiver };
            let (dual, after) = (self.dual.get(pair.router), self.after.get(pair.router));
            if (dual.is_none() && after.is_none())
                || mismatch::misses(view.member(receiver), view.member(sender))
                || view.member(receiver).discards_as_owner()
                || view.may_be_of_before(pair.router)
            {
                return;
            }
            if let Some(dual) = self.dual.get_mut(pair.router) {
                dual.heard.insert(pair.receiver, change.at);
            }
            if let Some(after) = self.after.get_mut(pair.router)
                && after.survivor.member == pair.receiver
            {
                after.repeats |= repeats_for_rival(view, after.survivor);
            }
            return;
        }
        for &router in &view.touched {
            self.follow(view, router, change.at);
        }
        if let What::Seen(Seen::Neighbour { segment, address, .. }) = &change.what {
            for router in view.routers_of((*segment, *address)) {
                self.look(view, router, change.at);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (_, after) in self.after.drain() {
            self.close(view, after, end);
        }
        vec![self.score.report()]
    }
}
