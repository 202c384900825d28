//! The judge: each property of the catalogue, decided from the Record alone.
//!
//! It imports no timer, election or codec code of the engine: every property has its own
//! arithmetic, or it would bless the engine's own mistake.

mod caches;
mod calm;
mod change;
mod comeback;
mod counted;
mod crash;
mod dead_man;
mod dual;
mod excuse;
mod formula;
mod heal;
mod lasting;
mod listener;
mod mismatch;
mod mute;
mod named;
mod oneway;
mod places;
mod pool;
mod reach;
mod score;
mod stop;
mod terms;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;
use std::time::Duration;

use change::{Change, What};
use listener::Listener;
use terms::Outset;
use view::View;

use crate::record::{Observation, Recorder, Seen, Setting, WorldTime};

/// Hears a run and judges every property of the catalogue.
///
/// It keeps state, not history: a day of quiet adverts needs no more memory than a minute.
pub struct Judge {
    listener: Listener,
    view: View,
    bench: Bench,
}

/// All properties.
struct Bench {
    best_follows: crash::BestFollows,
    resignation: stop::Resignation,
    comeback: comeback::Comeback,
    takeover: crash::Takeover,
    calm: calm::Calm,
    reachable: reach::Reachable,
    caches: caches::Caches,
    mute: mute::Mute,
    pool: pool::Pool,
    masters: dual::Masters,
    owners: dual::Owners,
    preemptions: dual::Preemptions,
    lasting: lasting::Lasting,
    heal: heal::Heal,
    dead_man: dead_man::DeadMan,
    named: named::Named,
    one_way: oneway::OneWay,
}

/// A property, or a few that look at the same thing.
trait Property {
    /// Whether a change may matter to it: asked at each of them, and told by the change itself and
    /// by whether anything is open.
    fn heeds(&self, view: &View, change: &Change) -> bool;

    /// A change happened that it heeds; `view` has it already.
    fn after(&mut self, view: &View, change: &Change);

    /// The run is over.
    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport>;
}

impl Judge {
    /// A judge who knows what is known before the run.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self { listener: Listener::new(&setting), view: View::new(setting), bench: Bench::new() }
    }

    /// The verdicts at the end of the run, one for each of [`PropertyId::ALL`] in that order.
    #[must_use]
    pub fn finish(mut self, end: WorldTime) -> Vec<PropertyReport> {
        self.listener.end(end);
        self.release();
        while let Some(hold) = self.view.next_hold(end) {
            self.bench.hear(&mut self.view, &self.listener, &hold);
        }
        self.view.now = end;
        self.bench.work_out(&self.view);
        let mut reports = Vec::new();
        for property in self.bench.all() {
            reports.extend(property.finish(&self.view, end));
        }
        reports.sort_by_key(|report| report.id);
        reports
    }

    fn release(&mut self) {
        let Self { listener, view, bench } = self;
        while let Some(change) = listener.settled() {
            while let Some(hold) = view.next_hold(change.at) {
                bench.hear(view, listener, &hold);
            }
            bench.hear(view, listener, change);
            listener.drop_settled();
        }
    }
}

impl Bench {
    fn new() -> Self {
        Self {
            best_follows: crash::BestFollows::new(),
            resignation: stop::Resignation::new(),
            comeback: comeback::Comeback::new(),
            takeover: crash::Takeover::new(),
            calm: calm::Calm::new(),
            reachable: reach::Reachable::new(),
            caches: caches::Caches::new(),
            mute: mute::Mute::new(),
            pool: pool::Pool::new(),
            masters: dual::Masters::new(),
            owners: dual::Owners::new(),
            preemptions: dual::Preemptions::new(),
            lasting: lasting::Lasting::new(),
            heal: heal::Heal::new(),
            dead_man: dead_man::DeadMan::new(),
            named: named::Named::new(),
            one_way: oneway::OneWay::new(),
        }
    }

    fn all(&mut self) -> [&mut dyn Property; 17] {
        [
            &mut self.best_follows,
            &mut self.resignation,
            &mut self.comeback,
            &mut self.takeover,
            &mut self.calm,
            &mut self.reachable,
            &mut self.caches,
            &mut self.mute,
            &mut self.pool,
            &mut self.masters,
            &mut self.owners,
            &mut self.preemptions,
            &mut self.lasting,
            &mut self.heal,
            &mut self.dead_man,
            &mut self.named,
            &mut self.one_way,
        ]
    }

    fn hear(&mut self, view: &mut View, listener: &Listener, change: &Change) {
        // One fault is told by many changes, and each of those begins all stretches anew.
        if change.at > view.now || !change.what.touches_all() {
            self.work_out(view);
        }
        view.apply(change, |router| listener.key(router));
        self.tell(view, change);
    }

    fn tell(&mut self, view: &View, change: &Change) {
        // What these wait for ends with time, whatever happens.
        tell(&mut self.best_follows, view, change);
        tell(&mut self.resignation, view, change);
        tell(&mut self.comeback, view, change);
        match &change.what {
            // Nothing is as frequent as what users see and what masters hear of each other, and it
            // touches no virtual router.
            What::Seen(Seen::Probe { .. }) => tell(&mut self.reachable, view, change),
            What::Seen(Seen::Neighbour { .. }) => {
                tell(&mut self.reachable, view, change);
                tell(&mut self.caches, view, change);
            }
            What::Seen(Seen::Announced { .. } | Seen::Answered { .. }) => {
                tell(&mut self.mute, view, change);
            }
            What::Seen(Seen::Configured(_) | Seen::Destination { .. }) => {
                tell(&mut self.pool, view, change);
            }
            What::HeardInMaster(_) => {
                tell(&mut self.takeover, view, change);
                tell(&mut self.caches, view, change);
            }
            What::Gap { .. } => {
                tell(&mut self.takeover, view, change);
                tell(&mut self.lasting, view, change);
            }
            _ => self.tell_others(view, change),
        }
    }

    fn tell_others(&mut self, view: &View, change: &Change) {
        tell(&mut self.takeover, view, change);
        tell(&mut self.calm, view, change);
        tell(&mut self.reachable, view, change);
        tell(&mut self.caches, view, change);
        tell(&mut self.mute, view, change);
        tell(&mut self.pool, view, change);
        tell(&mut self.masters, view, change);
        tell(&mut self.owners, view, change);
        tell(&mut self.preemptions, view, change);
        tell(&mut self.lasting, view, change);
        tell(&mut self.heal, view, change);
        tell(&mut self.dead_man, view, change);
        tell(&mut self.named, view, change);
        tell(&mut self.one_way, view, change);
    }

    /// Works out to what the stretches without a fault are held that began with what was told last.
    fn work_out(&mut self, view: &View) {
        if !self.calm.begun && !self.reachable.begun {
            return;
        }
        (self.calm.begun, self.reachable.begun) = (false, false);
        for router in 0..view.routers.len() {
            let (calm, reachable) =
                (self.calm.without_terms(router), self.reachable.without_terms(router));
            if calm.is_none() && reachable.is_none() {
                continue;
            }
            let outset = Outset::of(view, router);
            if let Some(stretch) = calm {
                stretch.work_out(view, router, &outset);
            }
            if let Some(stretch) = reachable {
                stretch.work_out(view, router, &outset);
            }
        }
    }
}

#[inline]
fn tell(property: &mut impl Property, view: &View, change: &Change) {
    if property.heeds(view, change) {
        property.after(view, change);
    }
}

impl Recorder for Judge {
    #[inline]
    fn observe(&mut self, observation: &Observation) {
        if self.listener.hear(observation) {
            self.release();
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("view", &self.view).finish_non_exhaustive()
    }
}

/// Names a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the catalogue in docs/properties.md says what each one is")]
pub enum PropertyId {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    S12,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
}

impl PropertyId {
    /// Every property, in the order of reports.
    pub const ALL: [Self; 19] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::S11,
        Self::S12,
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
        Self::L7,
    ];

    /// Whether it is decided by what engines say of themselves: S9 and S10 by the names that they
    /// give, S11 and S12 by when they say that they left the state Master. The wire tells that by
    /// the last advert before, up to an interval too early.
    #[must_use]
    pub const fn needs_word(self) -> bool {
        matches!(self, Self::S9 | Self::S10 | Self::S11 | Self::S12)
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the judge says of one property after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It was put to the test and held each time.
    Held,
    /// It did not hold.
    Violated,
    /// Nothing in this run puts it to the test.
    NotExercised,
    /// The run leaves the conditions under which it is promised, or nothing promises it yet.
    NotProvided,
}

impl Verdict {
    /// The name in files and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::NotExercised => "not_exercised",
            Self::NotProvided => "not_provided",
        }
    }
}

/// One property, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyReport {
    /// Which.
    pub id: PropertyId,
    /// The verdict.
    pub verdict: Verdict,
    /// The bound at the tightest instance, if the property has one and was exercised.
    pub bound: Option<Duration>,
    /// The worst (tightest) value seen.
    pub worst: Option<Duration>,
    /// What was missing, which fault left the conditions, or how it was violated.
    pub reason: Option<String>,
    /// It was violated, and each time for want of this property, which nothing provides.
    pub for_want_of: Option<PropertyId>,
}
