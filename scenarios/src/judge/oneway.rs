//! S10: a one-way cut. Where the loser does not hear the winner, the winner says so within
//! K*A_lo + 2D, and with `one_way_yield` is neither master nor owner R + L after that; it says so
//! of nobody who had no time to hear it. Where the winner does not hear the loser, there is at most
//! one takeover and no lasting effect.

use std::collections::BTreeMap;
use std::time::Duration;

use vipd_engine::News;
use vipd_engine::rules::LowerPriorityRule;

use super::change::{Change, Ending, Place, What};
use super::counted::Counted;
use super::score::Score;
use super::terms::{plus, since};
use super::view::View;
use super::{Property, PropertyId, PropertyReport, mismatch};
use crate::record::{HostId, SeenAdvert, WorldTime};
use crate::scenario::Injection;

/// S10.
#[derive(Debug)]
pub(super) struct OneWay {
    score: Score,
    /// By winner and loser: the loser is deaf and both are master.
    deaf_losers: BTreeMap<(Place, Place), Deaf>,
    /// By winner and loser: the winner is deaf.
    deaf_winners: BTreeMap<(Place, Place), Window>,
    /// By winner and loser: the alarm of this term of the winner.
    alarms: BTreeMap<(Place, Place), Alarm>,
    counted: Counted,
    /// The interval of the last advert of each master.
    intervals: BTreeMap<Place, Duration>,
    /// Winners that are to yield: when they raised their alarm.
    yields: BTreeMap<Place, WorldTime>,
}

/// An alarm that was given.
#[derive(Debug)]
struct Alarm {
    /// Until when the loser was heard, and the interval of what was heard: the winner knows no
    /// other one.
    heard: WorldTime,
    interval: Duration,
    /// The loser is master, deaf or not, and the way from it is open.
    goes_on: bool,
}

#[derive(Debug)]
struct Deaf {
    /// Since when the winner could count: what was lost before that counts no more.
    began: WorldTime,
    alarmed: bool,
    /// What the winner makes of it. A reload that changes that has it count anew.
    rule: (u8, Option<Duration>),
}

#[derive(Debug)]
struct Window {
    began: WorldTime,
    takeovers: u32,
    dual_since: Option<WorldTime>,
}

impl OneWay {
    pub(super) const fn new() -> Self {
        let missing = "no one-way cut lasted between two nodes";
        Self {
            score: Score::new(PropertyId::S10, missing),
            deaf_losers: BTreeMap::new(),
            deaf_winners: BTreeMap::new(),
            alarms: BTreeMap::new(),
            counted: Counted::new(),
            intervals: BTreeMap::new(),
            yields: BTreeMap::new(),
        }
    }

    /// Whether it follows what a change touches and does not rearrange: a window ends with each
    /// fault, and whoever joins another virtual router may have an address of one that is to yield.
    fn follows_all(&self) -> bool {
        !self.deaf_winners.is_empty() || !self.yields.is_empty()
    }

    fn follow(&mut self, view: &View, change: &Change, winner: Place, loser: Place) {
        let running = view.is_running(winner) && view.is_running(loser);
        let (one, other) = (view.member(winner), view.member(loser));
        let down = running && view.reaches(winner, loser) && mismatch::sends_to(one, other);
        let up = running && view.reaches(loser, winner) && mismatch::sends_to(other, one);
        let both = one.master.is_some() && other.master.is_some();
        let key = (winner, loser);
        self.note_heard(view, key, change.at);
        if up && !down && both {
            let config = &view.member(winner).config;
            let rule = (config.one_way_alarm, config.one_way_yield);
            let before = self.deaf_losers.get(&key).map(|deaf| deaf.rule);
            if before.is_some_and(|before| before != rule) {
                self.end_deaf(view, key, change.at);
            }
            if before != Some(rule) {
                let alarmed = before.is_none() && self.alarm_stands(view, key, change.at);
                self.deaf_losers.insert(key, Deaf { began: change.at, alarmed, rule });
            }
        } else {
            self.end_deaf(view, key, change.at);
        }
        if up || !down {
            self.end_window(view, key, change.at);
            return;
        }
        let disturbed = view.disturbed_at(winner.router);
        if let Some(window) = self.deaf_winners.get(&key)
            && window.began < disturbed
            && let Some(window) = self.deaf_winners.remove(&key)
        {
            self.close_window(view, key, &window, change.at);
        }
        let window = self.deaf_winners.entry(key).or_insert(Window {
            began: change.at,
            takeovers: 0,
            dual_since: None,
        });
        if let What::MasterStarts { place, resumed: false, .. } = change.what
            && ((place == winner && view.is_still_master(loser))
                || (place == loser && view.is_still_master(winner)))
        {
            window.takeovers += 1;
        }
        let ended = if both { None } else { window.dual_since };
        window.dual_since = both.then(|| window.dual_since.unwrap_or(change.at));
        if let Some(began) = ended {
            self.dual_ended(view, key, began, change.at);
        }
    }

    /// The winner hears the loser from now on, or no longer.
    fn note_heard(&mut self, view: &View, key: (Place, Place), now: WorldTime) {
        let is_heard = is_heard(view, key);
        let interval = self.interval(view, key.1);
        self.counted.note(view, key, is_heard, interval);
        let Some(alarm) = self.alarms.get_mut(&key) else { return };
        if std::mem::replace(&mut alarm.goes_on, is_heard) {
            (alarm.heard, alarm.interval) = (now, interval);
        }
    }

    /// That of its last advert, or of its file as long as there was none.
    fn interval(&self, view: &View, place: Place) -> Duration {
        self.intervals.get(&place).copied().unwrap_or(view.member(place).advertised)
    }

    /// An alarm is given once as long as the winner goes on hearing the loser. A loser that is
    /// silent for more than four of its intervals is news again.
    fn alarm_stands(&mut self, view: &View, key: (Place, Place), now: WorldTime) -> bool {
        let Some(alarm) = self.alarms.get(&key) else { return false };
        let (winner, _) = key;
        // What arrives while the winner stands still is heard when it goes on.
        let silence = since(now, view.read_at(winner, alarm.heard));
        let stands = silence <= view.memory(winner, alarm.interval);
        if stands {
            self.score.held();
        }
        stands
    }

    /// Adverts in the loser's name are the loser's to the winner, if it takes them for adverts of a
    /// lower router.
    fn forged(&mut self, view: &View, host: HostId, advert: &SeenAdvert, by: Option<&Injection>) {
        let hears = |place: &Place| {
            let member = view.member(*place);
            let lower = 0 < advert.priority && advert.priority < member.priority;
            let takes = mismatch::takes(advert, by, member.source, &member.config);
            member.host == host && lower && takes
        };
        let router = view.routers.iter().position(|router| router.key == advert.router);
        let Some(router) = router else { return };
        let Some(winner) = view.places(router).find(hears) else { return };
        let named = |place: &Place| view.member(*place).source == Some(advert.src);
        for loser in view.places(router).filter(named) {
            let key = (winner, loser);
            self.counted.note_one(view, key, is_heard(view, key), advert.interval);
            if let Some(alarm) = self.alarms.get_mut(&key) {
                (alarm.heard, alarm.interval) = (view.now, advert.interval);
            }
        }
    }

    /// The winner was without the loser's adverts for longer than it remembers one: it counts anew
    /// from the next one on.
    fn count_anew(&mut self, view: &View, key: (Place, Place), run: u32, now: WorldTime) {
        let (winner, loser) = key;
        let silence = view.pace(loser) * (run + 1)
            + view.delay_spread(winner.router)
            + view.late() * 2
            + view.tolerance();
        if silence <= view.down(view.member(loser).advertised * 4) {
            return;
        }
        if let Some(deaf) = self.deaf_losers.remove(&key) {
            let mut began = deaf.began;
            if !deaf.alarmed {
                self.close_deaf(view, key, &deaf, now);
                began = plus(now, Duration::from_nanos(1));
            }
            self.deaf_losers.insert(key, Deaf { began, ..deaf });
        }
    }

    fn end_window(&mut self, view: &View, key: (Place, Place), now: WorldTime) {
        if !self.deaf_winners.is_empty()
            && let Some(window) = self.deaf_winners.remove(&key)
        {
            self.close_window(view, key, &window, now);
        }
    }

    /// A third router resigned, and who follows it does so for that.
    fn takeover_is_another_s(&mut self, resigned: Place) {
        for ((winner, loser), window) in &mut self.deaf_winners {
            if winner.router == resigned.router && ![*winner, *loser].contains(&resigned) {
                window.takeovers = 0;
            }
        }
    }

    fn end_deaf(&mut self, view: &View, key: (Place, Place), now: WorldTime) {
        if !self.deaf_losers.is_empty()
            && let Some(deaf) = self.deaf_losers.remove(&key)
            && !deaf.alarmed
        {
            self.close_deaf(view, key, &deaf, now);
        }
    }

    fn alarm(&mut self, view: &View, key: (Place, Place), now: WorldTime) {
        let interval = self.interval(view, key.1);
        let goes_on = is_heard(view, key);
        self.alarms.insert(key, Alarm { heard: now, interval, goes_on });
        if let Some(deaf) = self.deaf_losers.get_mut(&key)
            && !std::mem::replace(&mut deaf.alarmed, true)
        {
            let deaf = Deaf { began: deaf.began, alarmed: true, rule: deaf.rule };
            self.close_deaf(view, key, &deaf, now);
        }
    }

    /// So many adverts cannot be counted in less time.
    fn weigh_alarm(&mut self, view: &View, key: (Place, Place), asserts: u8, now: WorldTime) {
        let Some((began, least)) = self.counted.least(view, key, asserts) else { return };
        let (winner, loser) = key;
        let excuse = || {
            let unusual = view.unusual(&[winner, loser], began);
            unusual.or_else(|| view.stalled(&[winner], began))
        };
        let value = since(now, began);
        let what = || {
            let (winner, loser) = (view.name(winner), view.name(loser));
            format!("{winner} said after {value:?} that {loser} does not hear it")
        };
        self.score.at_least(value, least, excuse, what);
    }

    /// It is to yield at its alarm: until it is neither master nor owner. As often as it does, the
    /// one that it does not hear takes over.
    fn note_yield(&mut self, view: &View, winner: Place, now: WorldTime) {
        if view.member(winner).config.one_way_yield.is_none() || !holds_on(view, winner) {
            return;
        }
        self.yields.entry(winner).or_insert(now);
        let own = self.deaf_winners.iter_mut().filter(|((of, _), _)| *of == winner);
        own.for_each(|(_, window)| window.takeovers = 0);
    }

    fn follow_yield(&mut self, view: &View, winner: Place, now: WorldTime) {
        let Some(alarm) = self.yields.get(&winner).copied() else { return };
        // What a dead process leaves behind is not this property's.
        let is_over = !holds_on(view, winner);
        if is_over || !view.lives(winner) {
            self.yields.remove(&winner);
        }
        if is_over {
            self.close_yield(view, winner, alarm, now);
        }
    }

    fn close_yield(&mut self, view: &View, winner: Place, alarm: WorldTime, now: WorldTime) {
        let value = since(now, alarm);
        let bound = view.setting.release + view.late() + view.tolerance();
        let alone = [winner];
        let excuse = || {
            let unusual = view.too_late().or_else(|| view.stalled(&alone, alarm));
            unusual.or_else(|| view.refused(&alone, alarm))
        };
        let what = || {
            let winner = view.name(winner);
            format!("{winner} did not yield to a rival that does not hear it for {value:?}")
        };
        self.score.at_most(value, bound, excuse, what);
    }

    /// The other one is the higher by now: what is open between them is over.
    fn outranked(&mut self, view: &View, key: (Place, Place), now: WorldTime) {
        self.note_heard(view, key, now);
        self.end_deaf(view, key, now);
        self.end_window(view, key, now);
    }

    fn dual_ended(
        &mut self,
        view: &View,
        (winner, loser): (Place, Place),
        began: WorldTime,
        now: WorldTime,
    ) {
        let value = since(now, began);
        // A cut that is told one way after the other at one moment is no one-way cut.
        if value.is_zero() {
            return;
        }
        let lost = view.lost_since(winner, loser, began);
        let bound = view.pace_since(winner, began) * (1 + lost)
            + view.most_delay(winner.router)
            + view.late() * 2
            + view.tolerance();
        let both = [winner, loser];
        let excuse = || view.unusual(&both, began).or_else(|| view.stalled(&both, began));
        let what = || {
            let (winner, loser) = (view.name(winner), view.name(loser));
            format!("{loser} stayed master for {value:?} although it hears {winner}")
        };
        self.score.at_most(value, bound, excuse, what);
    }

    fn close_deaf(
        &mut self,
        view: &View,
        (winner, loser): (Place, Place),
        deaf: &Deaf,
        now: WorldTime,
    ) {
        let value = since(now, deaf.began);
        let (alarm, _) = deaf.rule;
        // Each one that is lost is one that is not counted, in a row with others or not.
        let lost = view.all_lost_since(loser, winner, deaf.began);
        // The loser asserts itself against a third master, and its timer begins anew.
        let third = |place: &Place| {
            ![winner, loser].contains(place) && view.member(*place).was_master_since(deaf.began)
        };
        let third = view.places(winner.router).filter(third).count();
        let third = u32::try_from(third).unwrap_or(u32::MAX);
        let bound = view.pace_since(loser, deaf.began) * (u32::from(alarm) + lost + third)
            + Self::waits_to_be_heard(view, (winner, loser), deaf.began)
                * u32::from(alarm).saturating_sub(1)
            + view.most_delay(winner.router) * 2
            + view.late() * 2
            + view.tolerance();
        if !deaf.alarmed && value <= bound {
            return;
        }
        let both = [winner, loser];
        let excuse = || {
            let off = (alarm == 0).then(|| "the one-way alarm is off".to_owned());
            let owner = view.member(winner).discards_as_owner();
            off.or_else(|| {
                owner.then(|| format!("{} discards adverts as owner", view.name(winner)))
            })
            .or_else(|| view.unusual(&both, deaf.began))
            .or_else(|| view.stalled(&both, deaf.began))
        };
        let what = || {
            let (winner, loser) = (view.name(winner), view.name(loser));
            format!("{winner} raised no alarm for {value:?} although {loser} does not hear it")
        };
        self.score.at_most(value, bound, excuse, what);
    }

    /// How long the winner waits at most after each advert that it counted, for its own next one
    /// and for that to be heard. Not at all if it answers at once, which it does four times per
    /// interval.
    fn waits_to_be_heard(
        view: &View,
        (winner, loser): (Place, Place),
        began: WorldTime,
    ) -> Duration {
        let own = view.pace_since(winner, began);
        let others = view.places(winner.router).filter(|place| *place != winner);
        let masters = others.filter(|place| view.member(*place).was_master_since(began));
        match view.member(winner).config.rules.lower_priority {
            LowerPriorityRule::Assert if view.answers_all(winner, masters, began) => Duration::ZERO,
            LowerPriorityRule::Assert | LowerPriorityRule::Silent => {
                own + view.pace_since(loser, began) / 2 + view.late() * 2
            }
        }
    }

    fn close_window(
        &mut self,
        view: &View,
        (winner, loser): (Place, Place),
        window: &Window,
        now: WorldTime,
    ) {
        if let Some(began) = window.dual_since {
            self.dual_ended(view, (winner, loser), began, now);
        }
        let down = view.member(winner).down_interval().max(view.member(loser).down_interval());
        if window.takeovers > 1 {
            let both = [winner, loser];
            let excuse = || view.unusual(&both, window.began);
            let takeovers = window.takeovers;
            self.score.breach(excuse, || {
                let winner = view.name(winner);
                format!("{takeovers} takeovers while {winner} did not hear its rival")
            });
        } else if since(now, window.began) >= view.up(down) + view.pace(winner) {
            self.score.held();
        }
    }
}

/// The winner hears the loser, which is master.
fn is_heard(view: &View, (winner, loser): (Place, Place)) -> bool {
    view.member(loser).master.is_some()
        && view.is_running(loser)
        && view.arrives(loser, winner)
        && mismatch::sends_to(view.member(loser), view.member(winner))
        && view.outranks(winner, loser)
}

/// It is master, or its data plane owns an address of this virtual router.
fn holds_on(view: &View, place: Place) -> bool {
    let member = view.member(place);
    let owns = |address| view.owns(place, address).is_some() && !view.has_elsewhere(place, address);
    member.master.is_some() || member.addresses.iter().any(|address| owns(*address))
}

impl Property for OneWay {
    #[inline]
    fn heeds(&self, view: &View, change: &Change) -> bool {
        !view.rearranged.is_empty()
            || self.follows_all()
            || matches!(
                change.what,
                What::News(_, News::OneWay { .. }) | What::Injected(..) | What::Lost { .. }
            )
    }

    fn after(&mut self, view: &View, change: &Change) {
        if let What::News(winner, News::OneWay { peer, asserts }) = &change.what {
            let source = |place: &Place| view.member(*place).source == Some(*peer);
            for loser in view.places(winner.router).filter(source) {
                self.weigh_alarm(view, (*winner, loser), *asserts, change.at);
                self.alarm(view, (*winner, loser), change.at);
            }
            self.note_yield(view, *winner, change.at);
        }
        if let What::MasterStarts { place, interval, .. }
        | What::Advertises { place, interval, .. } = change.what
        {
            self.intervals.insert(place, interval);
        }
        // A winner that was silent for a while, and never left the state, forgets nothing.
        if let What::MasterStarts { place, resumed: false, .. } = change.what {
            self.alarms.retain(|(winner, _), _| *winner != place);
            self.counted.forget(place);
        }
        if let What::MasterEnds(place, Ending::Resigned) = change.what {
            self.counted.resigned(place.router);
            self.takeover_is_another_s(place);
        }
        if let What::Injected(advert, by) = &change.what {
            self.forged(view, change.host, advert, by.as_deref());
        }
        if let What::Lost { pair, run, .. } = change.what {
            let place = |member| Place { router: pair.router, member };
            self.count_anew(view, (place(pair.receiver), place(pair.sender)), run, change.at);
        }
        let all = self.follows_all();
        let routers = if all { &view.touched } else { &view.rearranged };
        for &router in routers {
            for a in view.places(router) {
                self.follow_yield(view, a, change.at);
                for b in view.places(router).filter(|b| *b != a) {
                    if view.outranks(a, b) {
                        self.follow(view, change, a, b);
                    } else {
                        self.outranked(view, (a, b), change.at);
                    }
                }
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (key, deaf) in std::mem::take(&mut self.deaf_losers) {
            if !deaf.alarmed {
                self.close_deaf(view, key, &deaf, end);
            }
        }
        for (key, window) in std::mem::take(&mut self.deaf_winners) {
            self.close_window(view, key, &window, end);
        }
        for (winner, alarm) in std::mem::take(&mut self.yields) {
            self.close_yield(view, winner, alarm, end);
        }
        vec![self.score.report()]
    }
}
