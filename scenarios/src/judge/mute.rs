//! S12: a backup is mute. It neither owns a virtual address nor answers for it nor announces it.
//!
//! Who is a backup is read from the engine's own column, as long as its process runs: a host whose
//! process is dead or paused is S2's business.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vipd_engine::StateKind;

use super::change::{Change, Place, What};
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport};
use crate::record::{Seen, SegmentId, WorldTime};

/// S12.
#[derive(Debug)]
pub(super) struct Mute {
    score: Score,
    /// A backup owns this: since when it must not, and since when that was seen.
    owning: BTreeMap<(Place, (SegmentId, IpAddr)), (WorldTime, WorldTime)>,
    /// Somebody had to be mute.
    watched: bool,
}

impl Mute {
    pub(super) const fn new() -> Self {
        let missing = "no host was a backup while it ran";
        let score = Score::new(PropertyId::S12, missing);
        Self { score, owning: BTreeMap::new(), watched: false }
    }

    fn spoke(&mut self, view: &View, place: Place, key: (SegmentId, IpAddr), did: &str) {
        if view.keeps(place, key) {
            return;
        }
        let address = key.1;
        let Some(backup_since) = backup_since(view, place) else { return };
        let owning =
            self.owning.iter().find(|((by, (_, what)), _)| *by == place && *what == address);
        let late = owning.is_some_and(|(_, (from, seen))| from < seen);
        let did = || format!("{did} {address}");
        self.judge(view, place, (backup_since, view.now), late, did);
    }

    /// A file no longer lists the address: it is none of this virtual router's any more.
    fn close_unlisted(&mut self, view: &View, router: usize, now: WorldTime) {
        let unlisted = |(place, address): &(Place, _)| {
            place.router == router && !view.member(*place).addresses.contains(address)
        };
        let gone: Vec<_> = self.owning.extract_if(.., |key, _| unlisted(key)).collect();
        for ((place, address), (from, seen)) in gone {
            let did = || format!("owned {}", address.1);
            self.judge(view, place, (from, now), from < seen, did);
        }
    }

    fn judge(
        &mut self,
        view: &View,
        place: Place,
        (from, until): (WorldTime, WorldTime),
        late: bool,
        did: impl FnOnce() -> String,
    ) {
        let value = since(until, from);
        // The command that adds it was still on its way: it is done first, then the removal.
        let commands = if late { 2 } else { 1 };
        let bound = view.setting.release * commands + view.tolerance();
        let name = view.name(place);
        let what = || format!("{name} {} {value:?} after it last had a reason to", did());
        self.score.at_most(value, bound, || view.refused(&[place], from), what);
    }
}

/// Since when it must be mute: it is no master, and its process runs. `None` if it need not be.
fn backup_since(view: &View, place: Place) -> Option<WorldTime> {
    let member = view.member(place);
    let mute =
        matches!(member.state, Some(StateKind::Backup | StateKind::Initialize | StateKind::Fault));
    if !mute || !view.is_running(place) {
        return None;
    }
    let running = view.host(member.host).running_since;
    Some(member.left_master_at.map_or(running, |left| left.max(running)))
}

impl Property for Mute {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        change.what.mutes()
            || matches!(change.what, What::Seen(Seen::Answered { .. } | Seen::Announced { .. }))
    }

    fn after(&mut self, view: &View, change: &Change) {
        let touched = if change.what.mutes() { &view.touched[..] } else { &[] };
        for &router in touched {
            self.close_unlisted(view, router, change.at);
            for place in view.places(router) {
                let mute = backup_since(view, place);
                self.watched |= mute.is_some();
                for address in &view.member(place).addresses {
                    let key = (place, *address);
                    let owned =
                        || view.owns(place, *address).is_some() && !view.keeps(place, *address);
                    if let Some(from) = mute.filter(|_| owned()) {
                        self.owning.entry(key).or_insert((from, change.at));
                    } else if !self.owning.is_empty()
                        && let Some((from, seen)) = self.owning.remove(&key)
                        && (seen < change.at || from == seen)
                    {
                        let did = || format!("owned {}", address.1);
                        self.judge(view, place, (from, change.at), from < seen, did);
                    }
                }
            }
        }
        let What::Seen(
            Seen::Answered { segment, address, .. } | Seen::Announced { segment, address, .. },
        ) = &change.what
        else {
            return;
        };
        let answered = matches!(change.what, What::Seen(Seen::Answered { .. }));
        let did = if answered { "answered for" } else { "announced" };
        for (router, members) in view.routers.iter().enumerate() {
            let member = members.members.iter().position(|member| member.host == change.host);
            if let Some(member) = member.filter(|_| members.has((*segment, *address))) {
                self.spoke(view, Place { router, member }, (*segment, *address), did);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for ((place, address), (from, seen)) in std::mem::take(&mut self.owning) {
            let did = || format!("owned {}", address.1);
            self.judge(view, place, (from, end), from < seen, did);
        }
        if self.watched {
            let bound = view.setting.release + view.tolerance();
            self.score.at_most(std::time::Duration::ZERO, bound, || None, String::new);
        }
        vec![self.score.report()]
    }
}
