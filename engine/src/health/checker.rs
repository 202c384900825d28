//! One check: when its next attempt is, and what the last ones say of what it checks.
//!
//! Attempts have a fixed phase: they start at one time and every `delay_loop` from there, whatever
//! happened to the last one and however late it was. Only a failure that is tried again, and an
//! attempt that could not be made, are followed by one out of turn.
//!
//! What the verdict of a check means to a real server is in `server`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::outcome::{Failure, Outcome};
use super::output::{News, Output, ProbeCommand};
use super::server::ServerId;
use crate::config::health::{Check, CheckKind};
use crate::input::TrackerValue;
use crate::status::MOST_COUNTED;
use crate::time::Timestamp;

/// From one attempt to the next in turn, or to one that tries again, it is no less than this.
pub const SHORTEST_LOOP: Duration = Duration::from_millis(1);
/// An attempt that could not be made is not made again earlier than after this.
pub const LOCAL_PAUSE: Duration = Duration::from_secs(1);

/// What is known of the thing that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing yet.
    Untested,
    /// It is as it must be.
    Good,
    /// It is not.
    Failed(Failure),
}

/// What a check wishes the weight of its real servers to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// As configured.
    #[default]
    None,
    /// This one.
    Weight(i64),
    /// That much more than configured.
    Shift(i64),
}

/// What a check does now. A state owns its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Until its next attempt.
    Waits { start_at: Timestamp },
    /// For an outcome, no longer than until then.
    Runs { number: u64, until: Timestamp },
    /// It is never run: a tracker tells its value.
    IsTold,
}

/// What a check counted since it was created. All of it is a book: it decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCounters {
    /// Attempts that began.
    pub attempts: u64,
    /// Good outcomes.
    pub good: u64,
    /// Bad outcomes; also attempts that ran out of time, and those that nobody will ever make.
    pub bad: u64,
    /// Attempts that could not be made here, for the moment.
    pub local: u64,
    /// Attempts that were dropped because nobody wanted to know.
    pub dropped: u64,
}

/// One check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checker {
    pub(crate) check: Arc<Check>,
    /// Whom it concerns, in order; the other side of `Server::checks`.
    #[serde(skip)]
    pub(crate) subscribers: Vec<ServerId>,
    pub(crate) state: State,
    /// A time at which an attempt begins in turn.
    phase: Timestamp,
    verdict: Verdict,
    wish: Wish,
    /// Failures in a row that were tolerated.
    tolerated: u32,
    /// Which url is visited next.
    url: u32,
    /// How many in a row were good, up to all of them.
    passed: u32,
    local_is_told: bool,
    /// Book: since when the verdict is what it is.
    since: Timestamp,
    /// Book.
    last: Option<(Timestamp, Outcome)>,
    counters: CheckCounters,
}

impl Checker {
    /// A check that nobody made before; `place` is its number.
    pub(crate) fn new(now: Timestamp, place: u32, check: Arc<Check>) -> Self {
        let phase = now + share(check.warmup, place);
        let is_told = matches!(check.kind, CheckKind::File { .. });
        Self {
            check,
            subscribers: Vec::new(),
            state: if is_told { State::IsTold } else { State::Waits { start_at: phase } },
            phase,
            verdict: Verdict::Untested,
            wish: Wish::None,
            tolerated: 0,
            url: 0,
            passed: 0,
            local_is_told: false,
            since: now,
            last: None,
            counters: CheckCounters::default(),
        }
    }

    /// The same question with other times or limits: what is known stays known. What was due soon,
    /// or under way, is made again at once. Checks whose loop becomes shorter stay spread over it.
    pub(crate) fn heir(&self, now: Timestamp, check: Arc<Check>) -> Self {
        let period = period(&check).as_nanos();
        let ahead = (self.in_turn(now) - now).as_nanos();
        let ahead = ahead.saturating_sub(1) % period + 1;
        let phase = now + Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX));
        let state = match self.state {
            State::Waits { start_at } => State::Waits { start_at: start_at.min(phase) },
            State::Runs { .. } => State::Waits { start_at: now },
            State::IsTold => State::IsTold,
        };
        let tolerated = self.tolerated.min(check.retry);
        let subscribers = Vec::new();
        Self { check, subscribers, state, phase, tolerated, ..self.clone() }
    }

    /// Whether the other one asks the same of the same, however often and patiently.
    pub(crate) fn asks(&self, other: &Check) -> bool {
        let Check { kind, address, port, bind, .. } = &*self.check;
        (kind, address, port, bind) == (&other.kind, &other.address, &other.port, &other.bind)
    }

    /// It concerns this one. Whether that is new.
    pub(crate) fn subscribe(&mut self, server: ServerId) -> bool {
        let place = self.subscribers.binary_search(&server);
        if let Err(place) = place {
            self.subscribers.insert(place, server);
        }
        place.is_err()
    }

    /// It concerns this one no more.
    pub(crate) fn unsubscribe(&mut self, server: ServerId) {
        if let Ok(place) = self.subscribers.binary_search(&server) {
            self.subscribers.remove(place);
        }
    }

    /// An attempt begins, if it waits for one. Returns how late that is and what is to be done.
    pub(crate) fn start(
        &mut self,
        now: Timestamp,
        number: u64,
    ) -> Option<(Duration, ProbeCommand)> {
        let State::Waits { start_at } = self.state else { return None };
        self.state = State::Runs { number, until: now + self.check.timeout };
        self.counters.attempts += 1;
        let command = ProbeCommand::Start { check: Arc::clone(&self.check), url: self.url };
        Some((now - start_at, command))
    }

    /// Nobody wants to know: its turn passes, or what it was about is dropped.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.counters.dropped += u64::from(matches!(self.state, State::Runs { .. }));
        self.state = State::Waits { start_at: self.in_turn(now) };
    }

    /// The attempt that was under way ended. Returns whether its subscribers have to hear of it.
    ///
    /// Until all of it was good once, a failure counts at once (as in keepalived, whose counter of
    /// retries begins full); so it does while it is failed.
    pub(crate) fn conclude(
        &mut self,
        now: Timestamp,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) -> bool {
        self.last = Some((now, outcome));
        let mut start_at = self.in_turn(now);
        let judged = match outcome {
            Outcome::Local(error) if error.holds_down() => Outcome::Bad(Failure::NotMade(error)),
            Outcome::Good { .. } | Outcome::Bad(_) | Outcome::Local(_) => outcome,
        };
        let changed = match judged {
            Outcome::Local(error) => {
                self.counters.local += 1;
                start_at = now + self.check.delay_before_retry.max(LOCAL_PAUSE);
                if !core::mem::replace(&mut self.local_is_told, true) {
                    let check = Arc::clone(&self.check);
                    out.push(Output::News(News::CheckNotMade { check, error }));
                }
                false
            }
            Outcome::Good { weight } => {
                self.counters.good += 1;
                (self.local_is_told, self.tolerated) = (false, 0);
                let urls = self.check.urls();
                self.url = (self.url + 1) % urls;
                self.passed = (self.passed + 1).min(urls);
                let passed = self.passed == urls;
                let verdict = if passed { Verdict::Good } else { self.verdict };
                let wish = weight.map_or(Wish::None, |weight| Wish::Weight(weight.into()));
                self.settle(now, verdict, wish, out)
            }
            Outcome::Bad(failure) => {
                self.counters.bad += 1;
                self.local_is_told = false;
                if self.verdict == Verdict::Good && self.tolerated < self.check.retry {
                    self.tolerated += 1;
                    start_at = now + self.check.delay_before_retry.max(SHORTEST_LOOP);
                    if self.check.tells_all_failures {
                        self.tell_failure(failure, true, out);
                    }
                    false
                } else {
                    (self.tolerated, self.passed) = (0, 0);
                    self.settle(now, Verdict::Failed(failure), self.wish, out)
                }
            }
        };
        self.state = State::Waits { start_at };
        changed
    }

    /// Its tracker has this value. Returns whether its subscribers have to hear of it.
    pub(crate) fn on_value(
        &mut self,
        now: Timestamp,
        value: TrackerValue,
        out: &mut Vec<Output>,
    ) -> bool {
        let CheckKind::File { weight, reverse, dynamic, .. } = self.check.kind else {
            return false;
        };
        let sign = if reverse { -1 } else { 1 };
        let (verdict, wish) = match value {
            TrackerValue::Pending => return false,
            TrackerValue::Up => (Verdict::Good, Wish::None),
            TrackerValue::Down => (Verdict::Failed(Failure::TrackerDown), Wish::None),
            TrackerValue::Number(number) => {
                let factor = if weight == 0 { 1 } else { i64::from(weight) };
                let product = i64::from(number).saturating_mul(factor) * sign;
                match (weight, dynamic) {
                    (_, true) => (Verdict::Good, Wish::Weight(product)),
                    (0, false) if (number == 0) == reverse => {
                        (Verdict::Failed(Failure::Number(number)), Wish::None)
                    }
                    (0, false) => (Verdict::Good, Wish::None),
                    (_, false) => (Verdict::Good, Wish::Shift(product)),
                }
            }
        };
        self.settle(now, verdict, wish, out)
    }

    /// From now on this is known of it. Returns whether that is anything new.
    fn settle(
        &mut self,
        now: Timestamp,
        verdict: Verdict,
        wish: Wish,
        out: &mut Vec<Output>,
    ) -> bool {
        let before = core::mem::replace(&mut self.verdict, verdict);
        let wished = core::mem::replace(&mut self.wish, wish);
        let is_news = match (before, verdict) {
            (Verdict::Failed(_), Verdict::Failed(_)) => false,
            (Verdict::Untested | Verdict::Good, Verdict::Failed(failure)) => {
                self.tell_failure(failure, false, out);
                true
            }
            (Verdict::Failed(_), Verdict::Good | Verdict::Untested) => {
                let check = Arc::clone(&self.check);
                out.push(Output::News(News::CheckPassed { check }));
                true
            }
            (Verdict::Untested | Verdict::Good, Verdict::Untested | Verdict::Good) => {
                before != verdict
            }
        };
        if is_news {
            self.since = now;
        }
        is_news || wished != wish
    }

    fn tell_failure(&self, failure: Failure, tolerated: bool, out: &mut Vec<Output>) {
        let check = Arc::clone(&self.check);
        out.push(Output::News(News::CheckFailed { check, failure, tolerated }));
    }

    /// The first time after `now` at which an attempt begins in turn.
    pub(crate) fn in_turn(&self, now: Timestamp) -> Timestamp {
        if now < self.phase {
            return self.phase;
        }
        let period = u64::try_from(period(&self.check).as_nanos()).unwrap_or(u64::MAX);
        let (phase, gone) = (self.phase.as_nanos(), now.as_nanos() - self.phase.as_nanos());
        let ahead = (gone / period).saturating_add(1).saturating_mul(period);
        Timestamp::from_nanos(phase.saturating_add(ahead))
    }

    /// It is never run: its tracker tells it.
    pub(crate) fn is_told(&self) -> bool {
        self.state == State::IsTold
    }

    pub(crate) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(crate) const fn wish(&self) -> Wish {
        self.wish
    }

    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) const fn last(&self) -> Option<(Timestamp, Outcome)> {
        self.last
    }

    pub(crate) const fn counters(&self) -> &CheckCounters {
        &self.counters
    }

    pub(crate) const fn tolerated(&self) -> u32 {
        self.tolerated
    }

    /// What must hold and does not.
    pub(crate) fn broken_invariant(&self, next_number: u64) -> Option<&'static str> {
        let is_told = matches!(self.check.kind, CheckKind::File { .. });
        let CheckCounters { attempts, good, bad, local, dropped } = self.counters;
        let counted = [attempts, good, bad, local, dropped].into_iter().max();
        let urls = self.check.urls();
        let rules = [
            (is_told == (self.state == State::IsTold), "is run and told"),
            (
                !matches!(self.state, State::Runs { number, .. } if number >= next_number),
                "runs without a number",
            ),
            (self.url < urls && self.passed <= urls, "visits a url that is not there"),
            (self.tolerated <= self.check.retry, "tolerates too much"),
            (counted <= Some(MOST_COUNTED), "counts too far"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        (&self.check, &self.subscribers, self.verdict, self.wish).hash(hasher);
        (self.tolerated, self.url, self.passed, self.local_is_told).hash(hasher);
        (self.in_turn(now) - now).hash(hasher);
        match self.state {
            // Of those that are late the latest begins first, so it counts how late they are.
            State::Waits { start_at } => (0_u8, start_at - now, now - start_at).hash(hasher),
            State::Runs { until, .. } => (1_u8, until - now, now - until).hash(hasher),
            State::IsTold => 2_u8.hash(hasher),
        }
    }
}

/// From the start of an attempt to that of the next one in turn.
fn period(check: &Check) -> Duration {
    check.delay_loop.max(SHORTEST_LOOP)
}

/// The share of `whole` that belongs to a place: neighbours are far apart, and the first so many
/// places are spread evenly whatever so many is (multiples of the golden ratio).
fn share(whole: Duration, place: u32) -> Duration {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let part = u128::from(u64::from(place).wrapping_mul(GOLDEN));
    let nanos = whole.as_nanos().min(u128::from(u64::MAX)) * part;
    Duration::from_nanos((nanos >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_spread_over_the_warmup_however_many_there_are() {
        let whole = Duration::from_secs(6);
        for count in [10_u32, 100, 10_000] {
            let mut shares: Vec<_> = (0..count).map(|place| share(whole, place)).collect();
            shares.sort_unstable();
            let widest = shares.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(shares[0] == Duration::ZERO && shares.iter().all(|share| *share < whole));
            assert!(widest < whole / count * 3, "{widest:?} between two of {count}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_nothing_and_of_the_longest_time_no_more_than_that() {
        assert_eq!(share(Duration::ZERO, 12_345), Duration::ZERO);
        assert!(share(Duration::MAX, u32::MAX) <= Duration::from_nanos(u64::MAX));
    }
}
