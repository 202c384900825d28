//! S1, S2 and S5: how long two masters, or two data planes, coexist.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::change::{Change, Place, What};
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::{SegmentId, WorldTime};

/// S1: two masters that hear each other do not coexist longer than `W`.
#[derive(Debug)]
pub(super) struct Masters {
    score: Score,
    /// By the higher and the lower one.
    open: BTreeMap<(Place, Place), WorldTime>,
}

impl Masters {
    pub(super) const fn new() -> Self {
        let missing = "nobody became master beside a router that hears it";
        Self { score: Score::new(PropertyId::S1, missing), open: BTreeMap::new() }
    }

    fn close(&mut self, view: &View, (a, b): (Place, Place), began: WorldTime, ended: WorldTime) {
        let lasted = since(ended, began);
        let excuse = || view.unusual(&[a, b], began).or_else(|| view.stalled(&[a, b], began));
        let what = || {
            let (a, b) = (view.name(a), view.name(b));
            format!("{a} and {b} heard each other and were both master for {lasted:?}")
        };
        self.score.at_most(lasted, view.coexistence(a, b, began), excuse, what);
    }

    /// An election between two that hear each other is an instance, if only one becomes master too.
    fn possible(&mut self, view: &View, change: &Change, a: Place, b: Place) {
        if let What::MasterStarts { place, .. } = change.what
            && (place == a || place == b)
            && view.is_running(a)
            && view.is_running(b)
            && view.hear_each_other(a, b)
        {
            let bound = view.coexistence(a, b, change.at);
            self.score.at_most(Duration::ZERO, bound, || None, String::new);
        }
    }
}

impl Property for Masters {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        !view.rearranged.is_empty() || matches!(change.what, What::Disagreement { .. })
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::Disagreement { place, text } = &change.what {
            let what = || format!("the two columns of {} disagree: {text}", view.name(*place));
            self.score.breach(|| view.too_late(), what);
        }
        if let Some(router) = view.reconciled(change) {
            for (pair, began) in
                self.open.extract_if(.., |(a, _), _| a.router == router).collect::<Vec<_>>()
            {
                self.close(view, pair, began, change.at);
            }
        }
        let starts = matches!(change.what, What::MasterStarts { .. });
        for &router in &view.rearranged {
            for (a, b) in pairs(view, router) {
                let both = view.member(a).master.is_some() && view.member(b).master.is_some();
                if !both && !starts && self.open.is_empty() {
                    continue;
                }
                let pair = view.ranked(a, b);
                let (a, b) = pair;
                self.possible(view, change, a, b);
                // The other way round it was another one that had to yield.
                if let Some(began) = self.open.remove(&(b, a)) {
                    self.close(view, (b, a), began, change.at);
                }
                if both && view.hear_each_other(a, b) {
                    self.open.entry(pair).or_insert(change.at);
                } else if let Some(began) = self.open.remove(&pair) {
                    self.close(view, pair, began, change.at);
                }
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (pair, began) in std::mem::take(&mut self.open) {
            self.close(view, pair, began, end);
        }
        vec![self.score.report()]
    }
}

/// S2: the same for the data planes, within `W + R`.
#[derive(Debug)]
pub(super) struct Owners {
    score: Score,
    /// By the higher and the lower one, and the address.
    open: BTreeMap<(Place, Place, (SegmentId, IpAddr)), WorldTime>,
}

impl Owners {
    pub(super) const fn new() -> Self {
        let missing = "nobody came to own an address beside a router that hears it";
        Self { score: Score::new(PropertyId::S2, missing), open: BTreeMap::new() }
    }

    fn close(
        &mut self,
        view: &View,
        (a, b, (_, address)): (Place, Place, (SegmentId, IpAddr)),
        began: WorldTime,
        ended: WorldTime,
    ) {
        let lasted = since(ended, began);
        let bound = view.coexistence(a, b, began) + view.setting.release;
        let left = [a, b].into_iter().filter_map(|place| view.member(place).left_master_at).min();
        let asked = left.map_or(began, |left| left.min(began));
        let excuse = || view.unusual(&[a, b], began).or_else(|| view.refused(&[a, b], asked));
        let what = || {
            let mut text = format!(
                "{} and {} both owned {address} for {lasted:?}",
                view.name(a),
                view.name(b)
            );
            for place in [a, b] {
                let name = view.name(place);
                if let Some(stalled) = view.stalled(&[place], began) {
                    text += &format!("; {stalled}, and nothing took the address from it (S8)");
                } else if !view.lived_since(place, began) {
                    text += &format!("; the process of {name} died and left the address (S8)");
                }
            }
            text
        };
        // Whoever lives and runs again for longer than the bound had time to give the address up.
        let well_since = [a, b].into_iter().filter_map(|place| well_again(view, place, began));
        let wanting = || {
            let last = well_since.max()?;
            (since(ended, last) <= bound).then_some(PropertyId::S8)
        };
        self.score.at_most_wanting((lasted, bound), excuse, wanting, what);
    }

    /// One of them owns it from now on: an instance, if that is the only one too.
    fn possible(
        &mut self,
        view: &View,
        change: &Change,
        (a, b, address): (Place, Place, (SegmentId, IpAddr)),
    ) {
        let present = view.member(a).present && view.member(b).present;
        let elsewhere = || [a, b].iter().any(|place| view.has_elsewhere(*place, address));
        if present && !elsewhere() && view.hear_each_other(a, b) {
            let bound = view.coexistence(a, b, change.at) + view.setting.release;
            self.score.at_most(Duration::ZERO, bound, || None, String::new);
        }
    }

    /// A file no longer lists the address: it is none of this virtual router's any more.
    fn close_unlisted(&mut self, view: &View, router: usize, now: WorldTime) {
        let unlisted = |(a, b, address): &(Place, Place, _)| {
            let lists = |place: &Place| view.member(*place).addresses.contains(address);
            a.router == router && ![a, b].into_iter().all(lists)
        };
        let gone: Vec<_> = self.open.extract_if(.., |key, _| unlisted(key)).collect();
        for (key, began) in gone {
            self.close(view, key, began, now);
        }
    }
}

/// Until when the process of this host was dead or stood still, if it was at `since` or later.
fn well_again(view: &View, place: Place, since: WorldTime) -> Option<WorldTime> {
    let host = view.host(view.member(place).host);
    let was_not_well = view.stalled(&[place], since).is_some() || !view.lived_since(place, since);
    was_not_well.then(|| if host.is_running() { host.running_since } else { view.now })
}

impl Property for Owners {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        // What an owner keeps depends on the state of its engine.
        let owner =
            matches!(change.what, What::State { place, .. } if view.member(place).is_owner());
        // Who joins another virtual router may have an address of this one.
        change.what.rearranges() || owner || view.shares
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let Some(router) = view.reconciled(change) {
            for (key, began) in
                self.open.extract_if(.., |(a, ..), _| a.router == router).collect::<Vec<_>>()
            {
                self.close(view, key, began, change.at);
            }
        }
        for &router in &view.touched {
            self.close_unlisted(view, router, change.at);
            for (a, b) in pairs(view, router).map(|(a, b)| view.ranked(a, b)) {
                for address in &view.member(a).addresses {
                    let owned = [a, b].map(|place| view.owns(place, *address));
                    if owned.contains(&Some(change.at)) {
                        self.possible(view, change, (a, b, *address));
                    }
                    let both = owned.iter().all(Option::is_some);
                    if !both && self.open.is_empty() {
                        continue;
                    }
                    if let Some(began) = self.open.remove(&(b, a, *address)) {
                        self.close(view, (b, a, *address), began, change.at);
                    }
                    // In two virtual routers it is a mismatch (S9), and each has its own master.
                    let counts = |place: &Place| {
                        view.member(*place).addresses.contains(address)
                            && !view.has_elsewhere(*place, *address)
                            && !view.keeps(*place, *address)
                    };
                    let key = (a, b, *address);
                    if both && [a, b].iter().all(counts) && view.hear_each_other(a, b) {
                        self.open.entry(key).or_insert(change.at);
                    } else if let Some(began) = self.open.remove(&key) {
                        self.close(view, key, began, change.at);
                    }
                }
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (key, began) in std::mem::take(&mut self.open) {
            self.close(view, key, began, end);
        }
        vec![self.score.report()]
    }
}

/// S5: when a better node takes over, the overlap is at most D + R + L, and k*A more under loss.
#[derive(Debug)]
pub(super) struct Preemptions {
    score: Score,
    open: Vec<Preemption>,
}

#[derive(Debug)]
struct Preemption {
    better: Place,
    lower: Place,
    began: WorldTime,
    /// Since when both own an address.
    both_own: Option<WorldTime>,
    overlap: Duration,
}

impl Preemptions {
    pub(super) const fn new() -> Self {
        let missing = "no better node took over from a master that it hears";
        Self { score: Score::new(PropertyId::S5, missing), open: Vec::new() }
    }

    fn close(&mut self, view: &View, preemption: &Preemption) {
        let Preemption { better, lower, began, overlap, .. } = *preemption;
        let lost = view.lost_since(better, lower, began);
        let bound = view.most_delay(better.router)
            + view.setting.release
            + view.late()
            + view.pace_since(better, began) * lost
            + view.tolerance();
        let both = [better, lower];
        let excuse = || {
            let unusual = view.unusual(&both, began).or_else(|| view.stalled(&both, began));
            unusual.or_else(|| view.refused(&both, began)).or_else(|| {
                let just = view.had_resigned(better, lower, began);
                let odd = view.are_odd_since(better, lower, began);
                let (name, other) = (view.name(better), view.name(lower));
                let odd = odd.then(|| format!("{name} and {other} did not fit"));
                odd.or_else(|| just.then(|| format!("{name} had just resigned")))
            })
        };
        let what = || {
            let (better, lower) = (view.name(better), view.name(lower));
            format!("{better} took over and {lower} went on beside it for {overlap:?}")
        };
        self.score.at_most(overlap, bound, excuse, what);
    }

    fn open(&mut self, view: &View, better: Place, now: WorldTime) {
        for lower in view.places(better.router) {
            let is_lower = view.member(lower).priority < view.member(better).priority;
            let is_master = view.is_still_master(lower);
            if lower != better && is_lower && is_master && view.hear_each_other(better, lower) {
                let overlap = Duration::ZERO;
                let both_own = None;
                self.open.push(Preemption { better, lower, began: now, both_own, overlap });
            }
        }
    }
}

impl Preemption {
    /// True when it is over.
    fn follow(&mut self, view: &View, now: WorldTime) -> bool {
        let (better, lower) = (self.better, self.lower);
        let owns = |place, address| view.owns(place, address).is_some();
        // What a file does not list is none of this virtual router's there.
        let listed = &view.member(lower).addresses;
        let mut both =
            view.member(better).addresses.iter().filter(|address| listed.contains(*address));
        let shared = both.any(|address| owns(better, *address) && owns(lower, *address));
        if let Some(began) = self.both_own {
            self.overlap = self.overlap.max(since(now, began));
        }
        self.both_own = shared.then(|| self.both_own.unwrap_or(now));
        if view.member(lower).master.is_some() {
            return false;
        }
        if let Some((ended, _)) = view.member(lower).ended {
            self.overlap = self.overlap.max(since(ended, self.began));
        }
        !shared
    }

    /// Something else ended it.
    fn is_void(&self, view: &View) -> bool {
        view.member(self.better).master.is_none()
            || !view.lives(self.lower)
            || !view.hear_each_other(self.better, self.lower)
    }
}

impl Property for Preemptions {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        let begins = matches!(change.what, What::MasterStarts { resumed: false, .. });
        begins || (!self.open.is_empty() && !view.touched.is_empty())
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::MasterStarts { place, resumed: false, .. } = change.what {
            self.open(view, place, change.at);
        }
        for mut preemption in std::mem::take(&mut self.open) {
            if preemption.follow(view, change.at) {
                self.close(view, &preemption);
            } else if !preemption.is_void(view) {
                self.open.push(preemption);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for mut preemption in std::mem::take(&mut self.open) {
            preemption.follow(view, end);
            preemption.overlap = preemption.overlap.max(since(end, preemption.began));
            self.close(view, &preemption);
        }
        vec![self.score.report()]
    }
}

fn pairs(view: &View, router: usize) -> impl Iterator<Item = (Place, Place)> + use<> {
    let count = view.routers[router].members.len();
    let place = move |member| Place { router, member };
    (0..count).flat_map(move |a| (a + 1..count).map(move |b| (place(a), place(b))))
}
