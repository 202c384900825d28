//! L1 and S4: what follows the crash of a master.

use std::collections::BTreeMap;
use std::time::Duration;

use super::change::{Change, Ending, Place, What};
use super::excuse::Excuse;
use super::score::Score;
use super::terms::since;
use super::view::View;
use super::{Property, PropertyId, PropertyReport, mismatch};
use crate::record::{MachineChange, ProcessChange, Seen, WorldTime};

/// When a member last heard each of the others, and with which priority.
type Heard = [Option<(WorldTime, u8)>];

/// A master crashed and these could follow it.
#[derive(Debug)]
struct Crash {
    master: Place,
    at: WorldTime,
    /// Its last advert was not before this: an interval earlier, and as much as it stood still.
    silent_from: WorldTime,
    heirs: Vec<Place>,
}

impl Crash {
    const fn may_be(change: &Change) -> bool {
        matches!(
            change.what,
            What::MasterEnds(_, Ending::Crashed)
                | What::Seen(
                    Seen::Process(ProcessChange::Paused)
                        | Seen::Machine(MachineChange::Frozen { .. })
                )
        )
    }

    /// The crashes that this change is, if no other master is there and somebody can follow. A
    /// master that is paused or frozen falls silent like one that crashed.
    fn of(view: &View, change: &Change) -> Vec<Self> {
        if !Self::may_be(change) {
            return Vec::new();
        }
        let crashed = |master| {
            let heirs = heirs(view, master)?;
            let host = view.host(view.member(master).host);
            // A longer interval than that of now may be over since the last advert.
            let longest = view.pace_since(master, WorldTime(0));
            let period = view.pace_since(master, change.at.earlier(longest));
            let silent_from = host.last_advert(change.at, period, view.late());
            Some(Self { master, at: change.at, silent_from, heirs })
        };
        if let What::MasterEnds(master, Ending::Crashed) = change.what {
            return crashed(master).into_iter().collect();
        }
        let places = (0..view.routers.len()).flat_map(|router| view.places(router));
        let stalled = places.filter(|place| {
            view.member(*place).host == change.host && view.is_still_master(*place)
        });
        stalled.filter_map(crashed).collect()
    }

    fn is_void(&self, view: &View) -> bool {
        view.disturbed_at(self.master.router) > self.at
    }
}

/// Who can follow a master that goes: those that heard it and are not held. `None` if nobody can,
/// or if somebody else is master already.
pub(super) fn heirs(view: &View, master: Place) -> Option<Vec<Place>> {
    let others = || view.places(master.router).filter(|place| *place != master);
    let rival = others().any(|place| view.member(place).master.is_some());
    let heard = |place: &Place| {
        view.is_eligible(*place)
            && view.leads_to(master, *place)
            && mismatch::sends_to(view.member(master), view.member(*place))
    };
    let heirs: Vec<_> = others().filter(heard).collect();
    (!rival && !heirs.is_empty()).then_some(heirs)
}

/// L1: takeover after a crash lies in (2A + Skew, 3A + Skew].
#[derive(Debug)]
pub(super) struct Takeover {
    score: Score,
    open: Vec<Crash>,
}

impl Takeover {
    pub(super) const fn new() -> Self {
        let missing = "no master crashed while a backup heard it";
        Self { score: Score::new(PropertyId::L1, missing), open: Vec::new() }
    }

    fn latest(view: &View, heir: Place) -> Duration {
        view.up(view.member(heir).down_interval())
            + view.most_delay(heir.router)
            + view.late() * 2
            + view.tolerance()
    }

    /// The timer of the heir begins with the last advert, and that was not lost.
    fn earliest(view: &View, crash: &Crash, heir: Place) -> Duration {
        let before = since(crash.at, crash.silent_from);
        (view.down(view.member(heir).down_interval_floor()) + view.least_delay(heir.router))
            .saturating_sub(before + view.tolerance())
    }

    fn taken(&mut self, view: &View, crash: &Crash, taker: Place, heard: &Heard) {
        let value = since(view.now, crash.at);
        let excuse = || excuse(view, crash.master, &[taker], crash.at);
        let what = |word: &str| {
            let (taker, master) = (view.name(taker), view.name(crash.master));
            format!("{taker} took over {value:?} after {master} crashed, {word}")
        };
        let lost = view.lost_since(crash.master, taker, crash.at_minus(view, taker));
        let latest = Self::latest(view, taker);
        self.score.at_most(value, latest, excuse, || what("too late"));
        let timer_ran_on = crash.would_preempt(view, taker, heard);
        let resigned = crash.comes_after_a_resignation(view, taker);
        let armed = crash.at_minus(view, taker);
        // Its timer runs from the last advert that it took for one.
        let cut = view.was_cut(crash.master, taker, armed, crash.at)
            || !view.leads_to(crash.master, taker);
        let odd = view.odds_since(crash.master, taker, armed);
        if !timer_ran_on && !resigned && lost == 0 && !cut && !odd {
            let earliest = Self::earliest(view, crash, taker);
            self.score.at_least(value, earliest, excuse, || what("too early"));
        }
    }

    fn overdue(&mut self, view: &View, crash: &Crash, now: WorldTime) {
        let waited = since(now, crash.at);
        let latest = crash.heirs.iter().map(|heir| Self::latest(view, *heir)).max();
        let latest = latest.unwrap_or_default();
        if waited > latest {
            let excuse = || excuse(view, crash.master, &crash.heirs, crash.at);
            let what = || format!("nobody followed {} for {waited:?}", view.name(crash.master));
            self.score.at_most(waited, latest, excuse, what);
        }
    }
}

impl Crash {
    /// When the down interval of an heir began at the earliest.
    fn at_minus(&self, view: &View, heir: Place) -> WorldTime {
        let down = view.up(view.member(heir).down_interval());
        WorldTime(self.at.0.saturating_sub(u64::try_from(down.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Whether it preempts the master, so that no advert begins its timer anew. It decides by what
    /// it heard, whatever the master's priority was by then.
    fn would_preempt(&self, view: &View, taker: Place, heard: &Heard) -> bool {
        let (better, old) = (view.member(taker), view.member(self.master));
        let told = heard.get(self.master.member).copied().flatten();
        let told = told.map_or(old.priority, |(_, priority)| priority);
        better.priority > told && better.may_preempt(view.now)
    }

    /// Whether the timer of an heir may not run for M since the last advert: the adverts in the
    /// interval after it reads a resignation of the master arm it with A + Skew, and a resignation
    /// of anybody with Skew.
    fn comes_after_a_resignation(&self, view: &View, heir: Place) -> bool {
        let period = view.up(view.member(self.master).advertised * 2);
        let resigned = view.resigned_before(self.master, heir, self.at);
        resigned.is_some_and(|before| before <= period) || view.just_resigned(heir).is_some()
    }
}

fn excuse(view: &View, master: Place, heirs: &[Place], at: WorldTime) -> Option<String> {
    let mut all = heirs.to_vec();
    all.push(master);
    view.unusual(&all, at).or_else(|| view.stalled(heirs, at)).or_else(|| {
        let grouped = all.iter().find(|place| view.member(**place).is_grouped())?;
        Some(format!("{} follows its sync group", view.name(*grouped)))
    })
}

impl Property for Takeover {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        !self.open.is_empty() || Crash::may_be(change)
    }

    fn after(&mut self, view: &View, change: &Change) {
        self.open.extend(Crash::of(view, change));
        for mut crash in std::mem::take(&mut self.open) {
            // At the same instant is not later, and who is gone by then follows nobody.
            if change.at == crash.at {
                crash.heirs.retain(|heir| view.is_eligible(*heir));
            }
            if crash.heirs.is_empty() {
                continue;
            }
            if let What::MasterStarts { place, heard, .. } = &change.what
                && place.router == crash.master.router
            {
                self.taken(view, &crash, *place, heard);
            } else if crash.is_void(view) {
                self.overdue(view, &crash, change.at);
            } else {
                self.open.push(crash);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for crash in std::mem::take(&mut self.open) {
            self.overdue(view, &crash, end);
        }
        vec![self.score.report()]
    }
}

/// S4: after a crash only the best backup becomes master.
#[derive(Debug)]
pub(super) struct BestFollows {
    score: Score,
    open: Vec<Election>,
}

#[derive(Debug)]
struct Election {
    crash: Crash,
    best: Place,
    others: BTreeMap<Place, Other>,
}

/// A backup beside the best one.
#[derive(Debug)]
struct Other {
    /// Its priority is so far below that it must not become master at all.
    far: bool,
    began: Option<WorldTime>,
}

impl Election {
    /// What explains that a backup far below the best one became master.
    fn excuse(&self, view: &View, place: Place, heard: &Heard) -> Option<String> {
        let (crash, best) = (&self.crash, self.best);
        let (master, before) = (crash.master, crash.at_minus(view, place));
        if crash.would_preempt(view, place, heard) {
            let (name, master) = (view.name(place), view.name(master));
            return Some(format!("{name} was about to preempt {master}"));
        }
        let lost = view.lost_since(master, place, before) > 0
            || view.lost_since(master, best, before) > 0
            || view.lost_since(best, place, before) > 0
            || view.was_cut(master, place, before, crash.at)
            || view.was_cut(master, best, before, crash.at)
            || view.odds_since(master, place, before)
            || view.odds_since(master, best, before);
        if lost {
            return Some("adverts were lost, cut off or discarded before the crash".to_owned());
        }
        // Its timer began with its process, as it came to this virtual router, or with the end of a
        // fault, not with an advert that the other one heard too.
        let member = view.member(best);
        if view.host(member.host).running_since.max(member.joined) > before {
            return Some(format!("{} had started shortly before", view.name(best)));
        }
        if crash.comes_after_a_resignation(view, place) {
            return Some(format!("{} had read a resignation shortly before", view.name(place)));
        }
        // A forged advert begins the timer of whoever it comes to, and of nobody else.
        if let Some(injected) = Excuse::injected(view, master.router, before) {
            return Some(injected.text(view));
        }
        excuse_of(view, master, [best, place], crash.at)
    }
}

impl BestFollows {
    pub(super) const fn new() -> Self {
        let missing = "no master crashed while two backups heard it";
        Self { score: Score::new(PropertyId::S4, missing), open: Vec::new() }
    }

    fn open(view: &View, crash: Crash) -> Option<Election> {
        let router = crash.master.router;
        let best = crash.heirs.iter().copied();
        let best = best.reduce(|a, b| if view.outranks(b, a) { b } else { a })?;
        // The best one may read the last advert late, and then be late with its timer.
        let delay = view.most_delay(router) + view.delay_spread(router) + view.late() * 2;
        let other = |place: &Place| {
            let (best, other) = (view.member(best), view.member(*place));
            let drift = view.up(other.down_interval()) - other.down_interval();
            let lead = other.down_interval_floor().saturating_sub(best.down_interval());
            let far = best.priority > other.priority && lead > delay + drift * 2;
            (*place, Other { far, began: None })
        };
        let others: BTreeMap<_, _> =
            crash.heirs.iter().filter(|place| **place != best).map(other).collect();
        (!others.is_empty()).then_some(Election { crash, best, others })
    }

    fn starts(&mut self, view: &View, election: &mut Election, place: Place, heard: &Heard) {
        if place == election.best {
            self.score.at_most(Duration::ZERO, bound(view, place), || None, String::new);
        }
        let best = election.best;
        let Some(other) = election.others.get_mut(&place) else { return };
        if !other.far {
            other.began = Some(view.now);
            return;
        }
        // It crashed at the very moment of the master.
        if !view.is_running(best) {
            return;
        }
        let excuse = || election.excuse(view, place, heard);
        let what = || {
            let (place, best) = (view.name(place), view.name(best));
            format!("{place} became master although {best} is far better")
        };
        self.score.breach(excuse, what);
    }

    /// The overlap of the best one with each of the others.
    fn overlap(&mut self, view: &View, election: &mut Election, now: WorldTime) {
        let best = election.best;
        for (place, other) in &mut election.others {
            let Some(began) = other.began else { continue };
            if view.member(*place).master.is_some() {
                continue;
            }
            other.began = None;
            let best_began = view.member(best).master.unwrap_or(now);
            let overlap = since(now, began.max(best_began));
            let both = [best, *place];
            let crash = &election.crash;
            let excuse = || excuse_of(view, crash.master, both, crash.at);
            let what = || {
                let (place, best) = (view.name(*place), view.name(best));
                format!("{place} was master beside {best} for {overlap:?}")
            };
            self.score.at_most(overlap, bound(view, best), excuse, what);
        }
    }

    fn is_over(view: &View, election: &Election, now: WorldTime) -> bool {
        let router = election.best.router;
        let running = election.others.values().any(|other| other.began.is_some());
        let window = view.patience(router).liveness;
        election.crash.is_void(view) || (!running && since(now, election.crash.at) > window)
    }
}

/// D, and the handler that hears of it.
fn bound(view: &View, place: Place) -> Duration {
    view.most_delay(place.router) + view.late() + view.tolerance()
}

fn excuse_of(view: &View, master: Place, pair: [Place; 2], at: WorldTime) -> Option<String> {
    let [best, other] = pair;
    // The master that crashed may have been all that joined the two.
    let apart = || {
        let (best_name, other_name) = (view.name(best), view.name(other));
        let text = format!("a one-way or partial cut: {other_name} does not hear {best_name}");
        (!view.leads_to(best, other)).then_some(text)
    };
    excuse(view, master, &pair, at).or_else(|| view.irregular(master.router)).or_else(apart)
}

impl Property for BestFollows {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        !self.open.is_empty() || Crash::may_be(change)
    }

    fn after(&mut self, view: &View, change: &Change) {
        let crashes = Crash::of(view, change).into_iter();
        self.open.extend(crashes.filter_map(|crash| Self::open(view, crash)));
        for mut election in std::mem::take(&mut self.open) {
            if let What::MasterStarts { place, resumed: false, heard, .. } = &change.what
                && place.router == election.best.router
                && !election.crash.is_void(view)
            {
                self.starts(view, &mut election, *place, heard);
            }
            self.overlap(view, &mut election, change.at);
            if !Self::is_over(view, &election, change.at) {
                self.open.push(election);
            }
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for election in std::mem::take(&mut self.open) {
            for (place, other) in &election.others {
                let best = election.best;
                if let (Some(began), Some(best_began)) = (other.began, view.member(best).master) {
                    let overlap = since(end, began.max(best_began));
                    let both = [best, *place];
                    let crash = &election.crash;
                    let excuse = || excuse_of(view, crash.master, both, crash.at);
                    let what = || format!("{} stayed master beside it", view.name(*place));
                    self.score.at_most(overlap, bound(view, best), excuse, what);
                }
            }
        }
        vec![self.score.report()]
    }
}
