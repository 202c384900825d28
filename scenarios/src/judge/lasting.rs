//! S3: no takeover while the master lives.
//!
//! Two things are looked at. The time between two adverts of a living master, as they arrive at a
//! backup: at most (k+1)(A + L) + dD, which is less than the backup's Master_Down_Interval as long
//! as the property is promised. And each takeover: over a master that lives it is a breach, unless
//! a named fault explains the silence.

use std::time::Duration;

use vipd_engine::StateKind;

use super::change::{Change, Ending, Pair, Place, What};
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::WorldTime;

/// S3.
#[derive(Debug)]
pub(super) struct Lasting {
    score: Score,
}

impl Lasting {
    pub(super) const fn new() -> Self {
        let missing = "no backup heard a master twice";
        Self { score: Score::new(PropertyId::S3, missing) }
    }

    fn gap(&mut self, view: &View, pair: Pair, gap: Duration, lost: u32) {
        let sender = Place { router: pair.router, member: pair.sender };
        let receiver = Place { router: pair.router, member: pair.receiver };
        if view.member(sender).master.is_none() || !view.is_running(receiver) {
            return;
        }
        let bound = longest_gap(view, sender, view.member(sender).advertised, lost);
        let began = view.now.earlier(gap);
        let both = [sender, receiver];
        let excuse = || {
            let unusual = view.too_late().or_else(|| view.slow_network(pair.router));
            unusual.or_else(|| view.stalled(&both, began)).or_else(|| view.refused(&both, began))
        };
        let what = || {
            let (from, to) = (view.name(sender), view.name(receiver));
            format!("{to} heard nothing of the master {from} for {gap:?}")
        };
        self.score.at_most(gap, bound, excuse, what);
    }

    fn takeover(&mut self, view: &View, taker: Place, heard: &[Option<(WorldTime, u8)>]) {
        // An owner that starts, or recovers, waits for nobody (RFC 9568 section 6.4.1).
        let member = view.member(taker);
        if member.is_owner() && member.state != Some(StateKind::Backup) {
            return;
        }
        for (member, last) in heard.iter().enumerate() {
            let master = Place { router: taker.router, member };
            let Some((last, priority)) = last else { continue };
            if master == taker || !is_living_master(view, master) {
                continue;
            }
            // It decides by what it heard, whatever the master's priority is by now.
            let may_preempt = view.member(taker).may_preempt(view.now);
            if view.member(taker).priority > *priority && may_preempt {
                continue;
            }
            if has_no_chance(view, master, taker, *last) {
                continue;
            }
            let silence = since(view.now, *last);
            let what = || {
                let (taker, master) = (view.name(taker), view.name(master));
                format!("{taker} took over {silence:?} after it last heard {master}, which lives")
            };
            self.score.breach(|| excuse(view, master, taker, *last), what);
        }
    }
}

/// The longest that the promise allows between two arrivals with `lost` lost ones between them.
fn longest_gap(view: &View, master: Place, interval: Duration, lost: u32) -> Duration {
    (view.up(interval) + view.late()) * (lost + 1)
        + view.delay_spread(master.router)
        + view.tolerance()
}

/// The wire says master, or said so until it fell silent without a reason.
fn is_living_master(view: &View, place: Place) -> bool {
    let member = view.member(place);
    let silent = matches!(member.ended, Some((_, Ending::Silent)));
    let claims = matches!(member.state, None | Some(StateKind::Master));
    view.lives(place) && member.present && (member.master.is_some() || (silent && claims))
}

/// The taker has not handled an advert of this mastership yet and could not have: two of nearly
/// equal rank, or with a lost advert between them, start or follow a third one at nearly the same
/// time.
fn has_no_chance(view: &View, master: Place, taker: Place, last: WorldTime) -> bool {
    // Also of one whose only advert so far was lost, if it fell silent behind it.
    let Some(began) = view.member(master).began else { return false };
    let waits = since(view.now, last) <= view.late() + view.tolerance();
    if last >= began && !waits {
        return false;
    }
    let lost = view.lost_since(master, taker, began);
    let first = (view.pace(master) + view.late()) * lost
        + view.most_delay(master.router)
        + view.late()
        + view.tolerance();
    since(view.now, began) <= first
}

/// What explains that `taker` took over from a living `master`.
fn excuse(view: &View, master: Place, taker: Place, last: WorldTime) -> Option<String> {
    let (from, to) = (view.name(master), view.name(taker));
    let both = [master, taker];
    if let Some(stalled) = view.stalled(&both, last) {
        return Some(stalled);
    }
    if view.was_cut(master, taker, last, view.now) || !view.reaches(master, taker) {
        return Some(format!("{to} was cut off from {from}"));
    }
    let lost = view.lost_since(master, taker, last);
    let down = view.down(view.member(taker).down_interval_floor());
    // Of an interval that was longer for a while the taker may have lost every advert.
    let interval = view.member(master).longest_interval_since(last);
    if longest_gap(view, master, interval, lost) >= down {
        return Some(format!("{lost} adverts of {from} in a row were lost on the way to {to}"));
    }
    // An older resignation that arrives after the first advert of the new master restarts the skew.
    if let Some(name) = view.just_resigned(taker) {
        return Some(format!("{name} had resigned shortly before"));
    }
    let period = view.up(view.member(master).advertised * 3);
    let resigned = view.resigned_before(master, taker, view.now);
    if resigned.is_some_and(|before| before <= period) {
        return Some(format!("{from} had just resigned"));
    }
    view.unusual(&both, last.earlier(down)).or_else(|| view.refused(&both, last))
}

impl Property for Lasting {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        matches!(change.what, What::Gap { .. } | What::MasterStarts { .. })
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::Gap { pair, gap, lost } = &change.what {
            self.gap(view, *pair, *gap, *lost);
        }
        // A member of a sync group follows its group, it does not elect.
        if let What::MasterStarts { place, heard, resumed: false, .. } = &change.what
            && !view.member(*place).is_grouped()
        {
            self.takeover(view, *place, heard);
        }
    }

    fn finish(&mut self, _view: &View, _end: WorldTime) -> Vec<PropertyReport> {
        vec![self.score.report()]
    }
}
