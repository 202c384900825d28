//! L6: every virtual address is reachable from every host of the component by L4 + announcement
//! delay after the last fault.
//!
//! Seen by the probes of clients and by the neighbour caches of all hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::caches::repeats_for_rival;
use super::change::{Change, Place, What};
use super::excuse::Excuse;
use super::mismatch;
use super::places::Places;
use super::score::Score;
use super::terms::{Outset, plus, since};
use super::view::{Member, View};
use super::{Property, PropertyId, PropertyReport};
use crate::record::{HostId, Seen, SegmentId, WorldTime};

/// L6.
#[derive(Debug)]
pub(super) struct Reachable {
    score: Score,
    /// By virtual router.
    stretches: Places<Stretch>,
    /// The terms of one are not worked out.
    pub(super) begun: bool,
    /// What was sent last by those who were master. A file that one of them reads after that
    /// changes nothing of what waits for a receiver.
    sent: BTreeMap<Place, Sent>,
}

/// The last adverts of a master.
#[derive(Debug)]
struct Sent {
    /// As its file was then.
    sender: Member,
    /// Who was to discard them, as their files were then.
    missed_by: Vec<Place>,
}

impl Sent {
    /// Whether somebody discards them: by the file that it had as they were sent, or by the one
    /// that it has as it reads what waited for it.
    fn is_missed_by(&self, place: Place, receiver: &Member) -> bool {
        self.missed_by.contains(&place) || mismatch::misses(receiver, &self.sender)
    }
}

/// What was seen of a virtual router since the last fault.
#[derive(Debug)]
pub(super) struct Stretch {
    began: WorldTime,
    /// Worked out once, behind all that is told of what it began with.
    terms: Option<Terms>,
    /// The cache that points elsewhere now.
    stale: Option<String>,
    /// Until when an address was not reachable, and from where.
    unreachable: Option<(WorldTime, String)>,
    asked_at: Option<WorldTime>,
    cached: bool,
    /// The last dual interval before the stretch or in it, and for how long S11 lets a cache be
    /// stale after it (`None`: for ever).
    dual: Option<(WorldTime, Option<Duration>)>,
    /// The way from the owner to the host that last could not reach it changed while it was the
    /// owner: what it announced before that may have been swallowed. And its refresh, as above.
    cut_off: Option<CutOff>,
}

/// What a stretch is held to.
#[derive(Clone, Copy, Debug)]
struct Terms {
    bound: Duration,
    excuse: Option<Excuse>,
}

/// A host, since when it may hear the owner again, and how long after that it does at most (`None`:
/// never).
type CutOff = (HostId, WorldTime, Option<Duration>);

impl Stretch {
    const fn new(began: WorldTime, dual: Option<(WorldTime, Option<Duration>)>) -> Self {
        Self {
            began,
            terms: None,
            stale: None,
            unreachable: None,
            asked_at: None,
            cached: false,
            dual,
            cut_off: None,
        }
    }

    /// Works out its terms, which begin with what was told last.
    pub(super) fn work_out(&mut self, view: &View, router: usize, outset: &Outset) {
        let running = view.routers[router].connections.running.iter();
        let delay = running.map(|place| announcement_delay(view, *place)).max();
        let bound = outset.patience.liveness
            + view.up(delay.unwrap_or_default())
            + view.most_delay(router)
            + view.setting.release;
        let is_empty = view.routers[router].connections.running.is_empty();
        let unusual = || {
            outset
                .odds
                .or_else(|| Excuse::ended_since(view, router, self.began))
                .or_else(|| Excuse::injected(view, router, self.began))
                .or(outset.slow)
        };
        let unusual = if is_empty { None } else { unusual() };
        let excuse = unusual.or_else(|| Excuse::irregular(view, router));
        self.terms = Some(Terms { bound, excuse });
    }

    fn close(&mut self, score: &mut Score, view: &View, router: usize, end: WorldTime) {
        // Without terms it has no length either.
        let Some(Terms { bound, excuse }) = self.terms else { return };
        if let Some(why) = self.stale.take() {
            self.unreachable = self.unreachable.take().max(Some((end, why)));
        }
        let asked = self.asked_at.map_or(Duration::ZERO, |at| since(at, self.began));
        let watched = self.cached && since(end, self.began) >= bound;
        if asked < bound && !watched {
            return;
        }
        let (value, why) = match &self.unreachable {
            Some((until, why)) => (since(*until, self.began), why.as_str()),
            None => (Duration::ZERO, ""),
        };
        // A probe that nobody answered was lost like any other frame.
        let lossy = || view.is_lossy(router).then(|| "frames are lost on this segment".to_owned());
        let shared = || {
            let addresses =
                view.routers[router].members.iter().flat_map(|member| &member.addresses);
            let mut shared = addresses.filter(|address| view.routers_of(**address).count() > 1);
            shared.next().map(|(_, address)| format!("two virtual routers have {address}"))
        };
        let stale = || {
            let (until, _) = self.unreachable.as_ref()?;
            // Each counts in its own clock, which may have stood still since then.
            let stood = |ended: WorldTime| {
                let hosts = view.places(router).map(|place| view.host(view.member(place).host));
                hosts.map(|host| host.clock_stood(ended, *until)).max().unwrap_or_default()
            };
            let allows = |(ended, refresh): &(WorldTime, Option<Duration>)| {
                refresh.is_none_or(|refresh| *until <= plus(*ended, refresh + stood(*ended)))
            };
            let dual = self.dual.is_some_and(|dual| allows(&dual));
            let s11 = || "S11 lets a cache be stale until the next refresh".to_owned();
            let cut_off = self.cut_off.filter(|(_, at, refresh)| allows(&(*at, *refresh)));
            let missed = |(host, ..): CutOff| {
                format!(
                    "{} was cut off from the owner until its next refresh",
                    view.host_name(host)
                )
            };
            dual.then(s11).or_else(|| cut_off.map(missed))
        };
        let excuse = || excuse.map(|excuse| excuse.text(view));
        let excuse = || excuse().or_else(lossy).or_else(stale).or_else(shared);
        score.at_most(value, bound, excuse, || format!("{why} {value:?} after the last fault"));
    }
}

impl Reachable {
    pub(super) const fn new() -> Self {
        let missing = "nobody asked for a virtual address long enough after the last fault";
        let score = Score::new(PropertyId::L6, missing);
        Self { score, stretches: Places::new(), begun: false, sent: BTreeMap::new() }
    }

    /// The stretch of a virtual router, if its terms are not worked out yet.
    pub(super) fn without_terms(&mut self, router: usize) -> Option<&mut Stretch> {
        self.stretches.get_mut(router).filter(|stretch| stretch.terms.is_none())
    }

    /// `rearranged`: somebody may own the address, hear another one or know a neighbour from this
    /// change on who did not before it, or the other way round.
    fn follow(&mut self, view: &View, router: usize, now: WorldTime, rearranged: bool) {
        let is_first = self.stretches.get(router).is_none();
        let begins = is_first || view.calm_since(router) == now;
        let stretch = self.stretches.or_put(router, || Stretch::new(now, None));
        if begins {
            stretch.close(&mut self.score, view, router, now);
            *stretch = Stretch::new(now, stretch.dual);
            self.begun = true;
        }
        let is_dual = view.routers[router].dual;
        if !begins && !rearranged && !is_dual && stretch.stale.is_none() {
            return;
        }
        if is_dual {
            stretch.dual = Some((now, refresh(view, router)));
        }
        if let Some(why) = stretch.stale.take() {
            stretch.unreachable = stretch.unreachable.take().max(Some((now, why)));
        }
        for address in view.routers[router].addresses() {
            // Where no engine of an owner runs, nobody is there to announce the address.
            let owner = only_owner(view, router, *address);
            let Some(owner) = owner.filter(|owner| view.is_running(*owner)) else { continue };
            for (cache, entry) in caches(view, owner, *address) {
                stretch.cached = true;
                if entry != Some(view.member(owner).host) {
                    let name = view.host_name(cache);
                    let why = format!("the cache of {name} pointed elsewhere for {}", address.1);
                    stretch.stale = Some(why);
                    stretch.cut_off = cut_off(view, owner, *address, cache);
                }
            }
        }
    }

    /// A master ended: what it sent was as its file was.
    fn note_sent(&mut self, view: &View, place: Place) {
        let sender = view.member(place).clone();
        let others = view.places(place.router).filter(|other| *other != place);
        let misses = |other: &Place| mismatch::misses(view.member(*other), &sender);
        let missed_by = others.filter(misses).collect();
        self.sent.insert(place, Sent { sender, missed_by });
    }

    /// A mastership that silence had ended goes on: its host stood still and never left the state.
    /// Whoever was master meanwhile announced last. What came back knows of it by an advert, or by
    /// its clock; without either it announces at its next refresh, as after any dual interval
    /// (S11).
    fn goes_on(&mut self, view: &View, place: Place, heard: &[Option<(WorldTime, u8)>]) {
        let member = view.member(place);
        let Some((silent, _)) = member.ended else { return };
        if view.announced_anew(place).is_some_and(|at| at > silent) {
            return;
        }
        let since_then = |at: WorldTime| at > silent;
        let unnoticed = |other: Place| {
            let rival = view.member(other);
            let was_master =
                rival.master.is_some() || rival.ended.is_some_and(|(at, _)| since_then(at));
            let told = heard.get(other.member).copied().flatten();
            let told = told.is_some_and(|(at, _)| since_then(at));
            let sent = self.sent.get(&other).filter(|_| rival.master.is_none());
            let discarded = sent.is_some_and(|sent| sent.is_missed_by(place, member))
                || mismatch::misses(member, rival);
            let repeats = repeats_for_rival(view, place) && !discarded;
            other != place && was_master && !(told && repeats)
        };
        if let Some(stretch) = self.stretches.get_mut(place.router)
            && view.places(place.router).any(unnoticed)
        {
            stretch.dual = Some((view.now, refresh(view, place.router)));
        }
    }

    fn probe(
        &mut self,
        view: &View,
        client: HostId,
        address: IpAddr,
        (sent, heard, answered_by): (WorldTime, WorldTime, Option<HostId>),
    ) {
        for router in 0..view.routers.len() {
            let segment = view.routers[router].key.segment;
            let ours = view.routers[router].has((segment, address));
            let Some(stretch) = self.stretches.get_mut(router).filter(|_| ours) else { continue };
            // Where no engine of a master runs, nobody is there to bring back what it lost.
            let keeps = |place| view.owns(place, (segment, address)).is_some();
            let mut masters = view.places(router).filter(|place| {
                let host = view.member(*place).host;
                view.member(*place).master.is_some()
                    && (view.is_running(*place) || keeps(*place))
                    && view.passes(segment, client, host, false)
                    && view.passes(segment, host, client, false)
            });
            // A question is given up when the next one is asked. Before the address is resolved and
            // the answer is back that says nothing.
            let in_time = || view.most_delay(router) * 4 + view.late() * 2 + view.tolerance();
            let too_early = answered_by.is_none() && since(heard, sent) < in_time();
            if sent < stretch.began || too_early || masters.next().is_none() {
                continue;
            }
            stretch.asked_at = Some(sent);
            if answered_by.is_none() {
                if let Some(owner) = only_owner(view, router, (segment, address)) {
                    stretch.cut_off = cut_off(view, owner, (segment, address), client);
                }
                let why = format!("{} could not reach {address}", view.host_name(client));
                stretch.unreachable = stretch.unreachable.take().max(Some((sent, why)));
            }
        }
    }
}

/// When the way from the owner to this host last changed, if it was the owner then, and how long
/// after that it says again that it is.
fn cut_off(
    view: &View,
    owner: Place,
    address: (SegmentId, IpAddr),
    host: HostId,
) -> Option<CutOff> {
    let changed = view.path_changed(address.0, view.member(owner).host, host)?;
    let owns = owned_since(view, owner, address)?;
    (owns <= changed).then(|| (host, changed, refresh(view, owner.router)))
}

/// Since when it owns an address of which it announced nothing later. What a frozen machine of a
/// master had is there again when it goes on, and where the master knows nothing of that it says
/// nothing.
fn owned_since(view: &View, owner: Place, address: (SegmentId, IpAddr)) -> Option<WorldTime> {
    let owns = view.owns(owner, address)?;
    let member = view.member(owner);
    let (froze, went_on) = view.host(member.host).stalled.unwrap_or_default();
    let silent = view.announced_anew(owner).is_none_or(|at| at < owns);
    if went_on != Some(owns) || !silent {
        return Some(owns);
    }
    let left = |at: &WorldTime| member.left_master_at.is_some_and(|left| left >= *at);
    Some(member.term_began.filter(|at| *at <= froze && !left(at)).unwrap_or(owns))
}

/// The longest refresh of the announcements, with its way; `None` if somebody has none.
fn refresh(view: &View, router: usize) -> Option<Duration> {
    let mut longest = None;
    for place in view.places(router).filter(|place| view.member(*place).present) {
        longest = longest.max(Some(view.member(place).config.announcements.refresh?));
    }
    let longest = longest?;
    Some(view.up(longest) + view.most_delay(router) + view.late() * 2 + view.tolerance())
}

/// How long after it has the address a master says so for the last time of its own accord.
pub(super) fn announcement_delay(view: &View, place: Place) -> Duration {
    let announcements = &view.member(place).config.announcements;
    announcements.delay.max(announcements.lower_priority_delay)
}

/// The only owner of an address among the members, if there is one.
pub(super) fn only_owner(
    view: &View,
    router: usize,
    address: (SegmentId, IpAddr),
) -> Option<Place> {
    let hosts = view.owners.of(address);
    let owns = |place: &Place| hosts.iter().any(|(host, _)| *host == view.member(*place).host);
    let mut owners = view.places(router).filter(owns);
    owners.next().filter(|_| owners.next().is_none())
}

/// The hosts that have a neighbour entry for an address of this member and hear it, with what the
/// entry says.
pub(super) fn caches(
    view: &View,
    owner: Place,
    address: (SegmentId, IpAddr),
) -> impl Iterator<Item = (HostId, Option<HostId>)> {
    let host = view.member(owner).host;
    let segment = address.0;
    view.neighbours.of(address).iter().copied().filter(move |(cache, _)| {
        *cache != host
            && view.passes(segment, host, *cache, false)
            && view.passes(segment, *cache, host, false)
    })
}

impl Property for Reachable {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        // A mastership that ends or goes on is one of those that are touched.
        !view.touched.is_empty()
            || matches!(change.what, What::Seen(Seen::Neighbour { .. } | Seen::Probe { .. }))
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::Seen(Seen::Neighbour { segment, address, .. }) = &change.what {
            for router in view.routers_of((*segment, *address)) {
                self.follow(view, router, change.at, true);
            }
        }
        for &router in &view.touched {
            self.follow(view, router, change.at, change.what.rearranges());
        }
        if let What::MasterEnds(place, _) = change.what {
            self.note_sent(view, place);
        }
        if let What::MasterStarts { place, heard, resumed: true, .. } = &change.what {
            self.goes_on(view, *place, heard);
        }
        if let What::Seen(Seen::Probe { address, sent, answered_by }) = &change.what {
            self.probe(view, change.host, *address, (*sent, change.at, *answered_by));
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (router, mut stretch) in self.stretches.drain() {
            stretch.close(&mut self.score, view, router, end);
        }
        vec![self.score.report()]
    }
}
