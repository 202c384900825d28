//! How long a winner must have heard a loser before it may say (S10) that the loser is deaf: it
//! counts an advert only if it advertised since the one that it counted last, and half an interval
//! of the loser ago.

use std::collections::BTreeMap;
use std::time::Duration;

use vipd_engine::rules::LowerPriorityRule;

use super::change::Place;
use super::terms::since;
use super::view::View;
use crate::record::WorldTime;

/// By winner and loser: what the winner may have counted.
#[derive(Debug)]
pub(super) struct Counted(BTreeMap<(Place, Place), Hearing>);

#[derive(Debug)]
struct Hearing {
    /// Since when it hears the loser, without a silence that makes it forget.
    began: WorldTime,
    /// When it heard it last, if it hears it no longer, and with which interval.
    ended: Option<(WorldTime, Duration)>,
    /// The shortest intervals of the winner and of the loser since then.
    winner: Duration,
    loser: Duration,
    /// Somebody resigned: a master answers that at once.
    answers_more: bool,
}

impl Counted {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The winner hears the loser from now on, or no longer. `interval` is that of the loser.
    pub(super) fn note(
        &mut self,
        view: &View,
        key: (Place, Place),
        hears: bool,
        interval: Duration,
    ) {
        let (winner, _) = key;
        let own = view.member(winner).advertised;
        let new = || Hearing {
            began: view.now,
            ended: None,
            winner: own,
            loser: interval,
            answers_more: false,
        };
        if !hears {
            if let Some(hearing) = self.0.get_mut(&key) {
                hearing.ended.get_or_insert((view.now, interval));
            }
            return;
        }
        let hearing = self.0.entry(key).or_insert_with(new);
        if let Some((ended, interval)) = hearing.ended.take() {
            // By the clock of the winner.
            let stood = view.host(view.member(winner).host).clock_stood(ended, view.now);
            let silence = since(view.now, view.read_at(winner, ended)).saturating_sub(stood);
            if silence > view.memory(winner, interval) {
                *hearing = new();
            }
        }
        hearing.winner = hearing.winner.min(own);
        hearing.loser = hearing.loser.min(interval);
    }

    /// The winner hears one advert in the name of the loser, which it may hear by itself, too.
    pub(super) fn note_one(
        &mut self,
        view: &View,
        key: (Place, Place),
        hears: bool,
        interval: Duration,
    ) {
        self.note(view, key, true, interval);
        self.note(view, key, hears, interval);
    }

    /// It is master anew, and counts anew.
    pub(super) fn forget(&mut self, winner: Place) {
        self.0.retain(|(of, _), _| *of != winner);
    }

    /// A master of this virtual router resigned.
    pub(super) fn resigned(&mut self, router: usize) {
        let own = self.0.iter_mut().filter(|((winner, _), _)| winner.router == router);
        own.for_each(|(_, hearing)| hearing.answers_more = true);
    }

    /// Since when it counts, and how long it takes at least to count so many. `None` if that is not
    /// known.
    pub(super) fn least(
        &self,
        view: &View,
        key: (Place, Place),
        asserts: u8,
    ) -> Option<(WorldTime, Duration)> {
        let hearing = self.0.get(&key)?;
        let (winner, _) = key;
        let answers = u32::from(asserts.checked_sub(1).filter(|answers| *answers > 0)?);
        let half = hearing.loser / 2;
        let least = match view.member(winner).config.rules.lower_priority {
            LowerPriorityRule::Assert => half * answers,
            LowerPriorityRule::Silent if hearing.answers_more => half * answers,
            // The first of its adverts may leave at once, the others by its own timer.
            LowerPriorityRule::Silent => {
                (hearing.winner * (answers - 1)).saturating_sub(view.late()) + half
            }
        };
        Some((hearing.began, view.down(least).saturating_sub(view.tolerance())))
    }
}

impl View {
    /// How long a loser may be silent at most until a winner has forgotten it, which it does after
    /// more than four of the loser's intervals.
    pub(super) fn memory(&self, winner: Place, interval: Duration) -> Duration {
        self.up(interval * 4)
            + self.delay_spread(winner.router)
            + self.late() * 2
            + self.tolerance()
    }
}
