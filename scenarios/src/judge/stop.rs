//! L2: after a clean stop nobody is master for Skew at most; for A + Skew if an older advert
//! overtakes the priority-0 advert.

use std::collections::BTreeSet;
use std::time::Duration;

use super::change::{Change, Ending, Place, What};
use super::crash::heirs;
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::WorldTime;

/// L2.
#[derive(Debug)]
pub(super) struct Resignation {
    score: Score,
    open: Vec<Stop>,
}

#[derive(Debug)]
struct Stop {
    master: Place,
    at: WorldTime,
    heirs: Vec<Place>,
    overtaken: BTreeSet<Place>,
    /// To whom the priority-0 advert was lost.
    deaf: BTreeSet<Place>,
}

impl Resignation {
    pub(super) const fn new() -> Self {
        let missing = "no master resigned while a backup heard it";
        Self { score: Score::new(PropertyId::L2, missing), open: Vec::new() }
    }

    fn bound(view: &View, stop: &Stop, heir: Place) -> Duration {
        let late =
            if stop.overtaken.contains(&heir) { view.pace(stop.master) } else { Duration::ZERO };
        view.up(view.member(heir).skew())
            + late
            + view.most_delay(heir.router)
            + view.late() * 2
            + view.tolerance()
    }

    fn excuse(view: &View, stop: &Stop, heirs: &[Place]) -> Option<String> {
        let mut all = heirs.to_vec();
        all.push(stop.master);
        let names = |place: &Place| view.name(*place).to_owned();
        if let Some(deaf) = heirs.iter().find(|place| stop.deaf.contains(place)) {
            return Some(format!("the priority-0 advert was lost on the way to {}", names(deaf)));
        }
        let plain = |place: &&Place| {
            stop.overtaken.contains(place) && !view.member(**place).config.rules.resign_reorder
        };
        if let Some(place) = heirs.iter().find(plain) {
            return Some(format!(
                "an older advert overtook the priority-0 advert, and the rules of {} have no \
                 answer to that",
                names(place)
            ));
        }
        // It resigned as its old file has it.
        let odd = |heir: &&Place| view.are_odd_since(stop.master, **heir, stop.at);
        if let Some(heir) = heirs.iter().find(odd) {
            return Some(format!("{} and {} did not fit", names(&stop.master), names(heir)));
        }
        // One that stood still resigns as it was before the file that waited for it.
        if let Some((began, Some(ended))) = view.host(view.member(stop.master).host).stalled
            && ended == stop.at
            && heirs.iter().any(|heir| view.odds_since(stop.master, *heir, began))
        {
            return Some(format!("{} did not know its new file yet", names(&stop.master)));
        }
        let grouped = heirs.iter().find(|place| view.member(**place).is_grouped());
        view.unusual(&all, stop.at)
            .or_else(|| view.stalled(heirs, stop.at))
            .or_else(|| grouped.map(|place| format!("{} follows its sync group", names(place))))
    }

    fn over(&mut self, view: &View, stop: &Stop, now: WorldTime) {
        let waited = since(now, stop.at);
        let bounds = stop.heirs.iter().map(|heir| Self::bound(view, stop, *heir));
        let bound = bounds.max().unwrap_or_default();
        if waited > bound {
            let what = || format!("nobody followed {} for {waited:?}", view.name(stop.master));
            let excuse = || Self::excuse(view, stop, &stop.heirs);
            self.score.at_most(waited, bound, excuse, what);
        }
    }

    fn taken(&mut self, view: &View, stop: &Stop, taker: Place) {
        let gap = since(view.now, stop.at);
        let what = || {
            let (taker, master) = (view.name(taker), view.name(stop.master));
            format!("{taker} followed {master} {gap:?} after it resigned")
        };
        let excuse = || Self::excuse(view, stop, &[taker]);
        self.score.at_most(gap, Self::bound(view, stop, taker), excuse, what);
    }
}

impl Property for Resignation {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        !self.open.is_empty() || matches!(change.what, What::MasterEnds(_, Ending::Resigned))
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::MasterEnds(master, Ending::Resigned) = change.what
            && let Some(heirs) = heirs(view, master)
        {
            let (overtaken, deaf) = (BTreeSet::new(), BTreeSet::new());
            self.open.push(Stop { master, at: change.at, heirs, overtaken, deaf });
        }
        for mut stop in std::mem::take(&mut self.open) {
            if let What::Overtaken(pair) = change.what
                && (pair.router, pair.sender) == (stop.master.router, stop.master.member)
            {
                stop.overtaken.insert(Place { router: pair.router, member: pair.receiver });
            }
            if let What::Lost { pair, resigns: true, .. } = change.what
                && (pair.router, pair.sender) == (stop.master.router, stop.master.member)
            {
                stop.deaf.insert(Place { router: pair.router, member: pair.receiver });
            }
            // At the same instant is not later, and who is gone by then follows nobody.
            if change.at == stop.at {
                stop.heirs
                    .retain(|heir| view.is_running(*heir) && view.leads_to(stop.master, *heir));
            }
            if stop.heirs.is_empty() {
                continue;
            }
            let lost_resign = matches!(change.what, What::Lost { resigns: true, .. });
            if let What::MasterStarts { place, .. } = change.what
                && place.router == stop.master.router
            {
                // One that resigned and is master again is so because nobody followed it, and one
                // that could not hear it follows nobody.
                if stop.heirs.contains(&place) {
                    self.taken(view, &stop, place);
                } else {
                    self.over(view, &stop, change.at);
                }
            } else if view.disturbed_at(stop.master.router) > stop.at && !lost_resign {
                self.over(view, &stop, change.at);
            } else {
                self.open.push(stop);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for stop in std::mem::take(&mut self.open) {
            self.over(view, &stop, end);
        }
        vec![self.score.report()]
    }
}
