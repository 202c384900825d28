//! What waits to be mailed, and when what of it goes. No socket; the time is an argument.
//!
//! One mail at a time, in order. Alerts beyond the rate, and those that a server kept waiting, are
//! gathered into one mail. When too many wait the oldest are lost: what counts is how things are
//! now. The next mail says how many.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::dialogue::Outcome;

/// Alerts that wait, at most.
pub const WAITING_MAX: usize = 256;
/// Mails that are tried within [`MINUTE`], at most.
pub const PER_MINUTE: usize = 10;
/// See [`PER_MINUTE`].
pub const MINUTE: Duration = Duration::from_secs(60);
/// The wait after a failure; it doubles with each more.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest wait.
pub const RETRY_MOST: Duration = Duration::from_secs(300);
/// The wait when vipd ends, which cannot wait for long.
pub const RETRY_ENDING: Duration = Duration::from_secs(1);
/// An alert that waited this long is lost.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Mails that wait for single receivers, at most.
pub const LATER_MAX: usize = 16;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// When, for people.
    pub at: SystemTime,
    /// And for the queue.
    pub since: Instant,
    /// Keepalived's subject.
    pub subject: String,
    /// And its body.
    pub body: String,
}

/// What goes in one mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// At least one.
    pub alerts: Vec<Alert>,
    /// How many were lost that no mail told of.
    pub lost: u64,
    /// Its receivers, if not all.
    pub to: Option<Vec<String>>,
    tries: u32,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Mail this, and tell what became of it.
    Mail(Parcel),
    /// Ask again then.
    At(Instant),
    /// Nothing.
    Idle,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Alert>,
    /// What waits was kept waiting: it goes in one mail.
    gathers: bool,
    /// Lost, and no mail told of it.
    untold: u64,
    /// When mails were tried within the last minute.
    tried_at: VecDeque<Instant>,
    /// Failures in a row.
    failures: u32,
    retry_at: Option<Instant>,
    later: VecDeque<(Instant, Parcel)>,
    in_hand: usize,
    ends: bool,
    /// Mails that a server took.
    pub sent: u64,
    /// Alerts that nobody will get.
    pub lost: u64,
}

impl Queue {
    /// This is to be mailed. Whether another one was lost for it.
    pub fn add(&mut self, alert: Alert) -> bool {
        self.waiting.push_back(alert);
        self.trim()
    }

    /// Takes out what is to be mailed now. Its outcome is told to [`Queue::done`], before that
    /// nothing else is taken out.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.in_hand > 0 {
            return Next::Idle;
        }
        self.drop_old(now);
        let due = self.later.iter().position(|(at, _)| *at <= now);
        if let Some((_, parcel)) = due.and_then(|number| self.later.remove(number)) {
            return self.hands_over(parcel);
        }
        let later = self.later.iter().map(|(at, _)| *at).min();
        if self.waiting.is_empty() {
            return later.map_or(Next::Idle, Next::At);
        }
        let room_at = self.room_at(now);
        self.gathers |= room_at.is_some();
        let room_at = room_at.filter(|_| !self.ends);
        if let Some(at) = room_at.max(self.retry_at.filter(|at| *at > now)) {
            return Next::At(later.map_or(at, |later| later.min(at)));
        }
        let count = if self.gathers { self.waiting.len() } else { 1 };
        self.gathers = false;
        self.tried_at.push_back(now);
        let alerts = self.waiting.drain(..count).collect();
        let lost = std::mem::take(&mut self.untold);
        self.hands_over(Parcel { alerts, lost, to: None, tries: 0 })
    }

    /// What became of a parcel that was handed over.
    pub fn done(&mut self, mut parcel: Parcel, outcome: &Outcome, now: Instant) {
        self.in_hand = 0;
        let Outcome { taken, refused, later } = outcome;
        let count = parcel.alerts.len() as u64;
        self.sent += u64::from(!taken.is_empty());
        if parcel.to.is_none() && taken.is_empty() && refused.is_empty() {
            for alert in parcel.alerts.into_iter().rev() {
                self.waiting.push_front(alert);
            }
            self.untold += parcel.lost;
            self.gathers = true;
            self.trim();
            self.retry_at = Some(now + self.wait(self.failures));
            self.failures += 1;
            return;
        }
        if parcel.to.is_none() {
            (self.failures, self.retry_at) = (0, None);
        }
        if !later.is_empty() {
            let at = now + self.wait(parcel.tries);
            parcel.to = Some(later.iter().map(|(receiver, _)| receiver.clone()).collect());
            parcel.tries += 1;
            if self.later.len() == LATER_MAX {
                self.later.pop_front();
            }
            self.later.push_back((at, parcel));
        } else if parcel.to.is_none() && taken.is_empty() {
            self.untold += count + parcel.lost;
            self.lost += count;
        }
    }

    /// vipd ends: what waits goes at once.
    pub fn end(&mut self, now: Instant) {
        (self.ends, self.retry_at) = (true, None);
        for (at, _) in &mut self.later {
            *at = now;
        }
    }

    /// The server is another one, and may be better.
    pub fn retry_now(&mut self) {
        (self.failures, self.retry_at) = (0, None);
    }

    /// Alerts that nobody has yet, and mails for single receivers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.later.len() + self.in_hand
    }

    /// Whether there is nothing to be mailed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When a failure is tried again.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    fn hands_over(&mut self, parcel: Parcel) -> Next {
        self.in_hand = parcel.alerts.len();
        Next::Mail(parcel)
    }

    /// When the rate allows a mail, if not now.
    fn room_at(&mut self, now: Instant) -> Option<Instant> {
        while self.tried_at.front().is_some_and(|at| *at + MINUTE <= now) {
            self.tried_at.pop_front();
        }
        let full = self.tried_at.len() >= PER_MINUTE;
        self.tried_at.front().filter(|_| full).map(|at| *at + MINUTE)
    }

    fn wait(&self, failures: u32) -> Duration {
        if self.ends {
            return RETRY_ENDING;
        }
        RETRY_FIRST.saturating_mul(1 << failures.min(16)).min(RETRY_MOST)
    }

    fn drop_old(&mut self, now: Instant) {
        let is_old = |alert: &Alert| now.duration_since(alert.since) >= GIVE_UP_AFTER;
        while self.waiting.front().is_some_and(is_old) {
            self.waiting.pop_front();
            self.lose(1);
        }
        self.later.retain(|(_, parcel)| !parcel.alerts.iter().all(is_old));
    }

    /// Whether any was lost.
    fn trim(&mut self) -> bool {
        let over = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..over);
        self.lose(over as u64);
        over > 0
    }

    const fn lose(&mut self, count: u64) {
        self.lost += count;
        self.untold += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alert(number: usize, since: Instant) -> Alert {
        let (subject, body) = (format!("s{number}"), String::new());
        Alert { at: SystemTime::UNIX_EPOCH, since, subject, body }
    }

    fn queue(count: usize, now: Instant) -> Queue {
        let mut queue = Queue::default();
        for number in 0..count {
            queue.add(alert(number, now));
        }
        queue
    }

    fn taken() -> Outcome {
        Outcome { taken: vec!["a".into()], ..Outcome::default() }
    }

    fn failed() -> Outcome {
        Outcome::later(&["a".to_string(), "b".to_string()], "no")
    }

    fn mail(queue: &mut Queue, now: Instant) -> Parcel {
        match queue.next(now) {
            Next::Mail(parcel) => parcel,
            other => panic!("{other:?}"),
        }
    }

    fn subjects(parcel: &Parcel) -> Vec<&str> {
        parcel.alerts.iter().map(|alert| alert.subject.as_str()).collect()
    }

    #[test]
    fn alerts_go_one_by_one_and_in_order() {
        let now = Instant::now();
        let mut queue = queue(3, now);
        for number in 0..3 {
            let parcel = mail(&mut queue, now);
            assert_eq!(subjects(&parcel), [format!("s{number}")]);
            assert_eq!(queue.next(now), Next::Idle, "one at a time");
            queue.done(parcel, &taken(), now);
        }
        assert_eq!((queue.next(now), queue.sent, queue.is_empty()), (Next::Idle, 3, true));
    }

    #[test]
    fn what_is_beyond_the_rate_waits_for_its_minute_and_goes_in_one_mail() {
        let now = Instant::now();
        let mut queue = queue(PER_MINUTE + 5, now);
        for _ in 0..PER_MINUTE {
            let parcel = mail(&mut queue, now);
            queue.done(parcel, &taken(), now);
        }
        assert_eq!(queue.next(now), Next::At(now + MINUTE));
        queue.add(alert(99, now));
        let parcel = mail(&mut queue, now + MINUTE);
        assert_eq!(subjects(&parcel), ["s10", "s11", "s12", "s13", "s14", "s99"]);
    }

    #[test]
    fn after_a_failure_all_wait_together_for_twice_as_long_each_time() {
        let now = Instant::now();
        let mut queue = queue(2, now);
        let (mut at, mut waits) = (now, Vec::new());
        for _ in 0..9 {
            let parcel = mail(&mut queue, at);
            queue.done(parcel, &failed(), at);
            let Next::At(next) = queue.next(at) else { panic!("it waits") };
            waits.push((next - at).as_secs());
            at = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        queue.add(alert(2, at));
        let parcel = mail(&mut queue, at);
        assert_eq!(subjects(&parcel), ["s0", "s1", "s2"]);
        queue.done(parcel, &taken(), at);
        queue.add(alert(3, at));
        queue.add(alert(4, at));
        assert_eq!(subjects(&mail(&mut queue, at)), ["s3"], "then one by one again");
    }

    #[test]
    fn when_too_many_wait_the_oldest_are_lost_and_the_next_mail_says_how_many() {
        let now = Instant::now();
        let mut queue = queue(1, now);
        let parcel = mail(&mut queue, now);
        for number in 1..=WAITING_MAX {
            assert!(!queue.add(alert(number, now)));
        }
        assert!(queue.add(alert(999, now)), "s1 is lost");
        queue.done(parcel, &failed(), now);
        assert_eq!((queue.len(), queue.lost), (WAITING_MAX, 2), "and s0, which came back");
        let parcel = mail(&mut queue, now + RETRY_FIRST);
        assert_eq!((parcel.lost, subjects(&parcel)[0]), (2, "s2"));
        queue.done(parcel, &failed(), now);
        let parcel = mail(&mut queue, now + RETRY_MOST);
        assert_eq!(parcel.lost, 2, "nobody was told yet");
        queue.done(parcel, &taken(), now);
        queue.add(alert(1000, now));
        assert_eq!(mail(&mut queue, now + RETRY_MOST).lost, 0);
    }

    #[test]
    fn a_mail_that_is_refused_for_good_is_lost_and_the_next_one_is_not_kept_waiting() {
        let now = Instant::now();
        let mut queue = queue(2, now);
        let refused = vec![("a".to_string(), "no".to_string())];
        let parcel = mail(&mut queue, now);
        queue.done(parcel, &Outcome { refused, ..Outcome::default() }, now);
        let parcel = mail(&mut queue, now);
        assert_eq!((subjects(&parcel), parcel.lost, queue.lost), (vec!["s1"], 1, 1));
    }

    #[test]
    fn a_receiver_for_later_gets_the_same_mail_again_and_keeps_nobody_waiting() {
        let now = Instant::now();
        let mut queue = queue(2, now);
        let later = vec![("b".to_string(), "full".to_string())];
        let outcome = Outcome { later, ..taken() };
        let parcel = mail(&mut queue, now);
        queue.done(parcel, &outcome, now);
        let second = mail(&mut queue, now);
        assert_eq!((subjects(&second), &second.to), (vec!["s1"], &None));
        queue.done(second, &taken(), now);
        assert_eq!(queue.next(now), Next::At(now + RETRY_FIRST));
        let again = mail(&mut queue, now + RETRY_FIRST);
        assert_eq!((subjects(&again), &again.to), (vec!["s0"], &Some(vec!["b".to_string()])));
        queue.done(again, &Outcome { taken: Vec::new(), ..outcome.clone() }, now);
        assert_eq!(queue.next(now), Next::At(now + 2 * RETRY_FIRST));
        assert_eq!(queue.next(now + GIVE_UP_AFTER), Next::Idle, "one day it is given up");
    }

    #[test]
    fn mails_for_single_receivers_are_bounded_too() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for number in 0..LATER_MAX + 3 {
            let now = now + MINUTE * u32::try_from(number).expect("few");
            queue.add(alert(number, now));
            let parcel = loop {
                let parcel = mail(&mut queue, now);
                if parcel.to.is_none() {
                    break parcel;
                }
                queue.done(parcel, &Outcome::later(&["b".to_string()], "full"), now);
            };
            let later = vec![("b".to_string(), "full".to_string())];
            queue.done(parcel, &Outcome { later, ..taken() }, now);
        }
        assert_eq!(queue.len(), LATER_MAX);
    }

    #[test]
    fn when_vipd_ends_nothing_waits_for_a_rate_or_for_long() {
        let now = Instant::now();
        let mut queue = queue(PER_MINUTE + 2, now);
        for _ in 0..PER_MINUTE {
            let parcel = mail(&mut queue, now);
            queue.done(parcel, &taken(), now);
        }
        queue.end(now);
        let parcel = mail(&mut queue, now);
        assert_eq!(subjects(&parcel), ["s10", "s11"]);
        queue.done(parcel, &failed(), now);
        assert_eq!(queue.next(now), Next::At(now + RETRY_ENDING));
    }

    #[test]
    fn an_alert_of_yesterday_is_lost() {
        let now = Instant::now();
        let mut queue = queue(1, now);
        queue.add(alert(1, now + Duration::from_secs(1)));
        let parcel = mail(&mut queue, now + GIVE_UP_AFTER);
        assert_eq!((subjects(&parcel), parcel.lost), (vec!["s1"], 1));
    }
    /// What happens to a queue.
    #[derive(Clone, Debug)]
    enum Happens {
        Alerts(usize),
        Passes(u64),
        /// A mail is tried, and meanwhile so many alerts come.
        Tried(Outcome, usize),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let refused = Outcome { refused: vec![("a".into(), "no".into())], ..Outcome::default() };
        let outcome = prop_oneof![Just(taken()), Just(failed()), Just(refused)];
        prop_oneof![
            (1..200_usize).prop_map(Happens::Alerts),
            (1..400_u64).prop_map(Happens::Passes),
            (outcome, 0..200_usize).prop_map(|(outcome, more)| Happens::Tried(outcome, more)),
        ]
    }

    proptest! {
        #[test]
        fn every_alert_is_mailed_in_its_turn_or_counted_as_lost(
            course in proptest::collection::vec(happens(), 0..60),
        ) {
            let (mut queue, mut now) = (Queue::default(), Instant::now());
            let (mut added, mut mailed) = (0, Vec::new());
            let mut come = |queue: &mut Queue, count: usize, now: Instant| {
                for _ in 0..count {
                    queue.add(alert(added, now));
                    added += 1;
                }
                added
            };
            for one in course {
                match one {
                    Happens::Alerts(count) => drop(come(&mut queue, count, now)),
                    Happens::Passes(seconds) => now += Duration::from_secs(seconds),
                    Happens::Tried(outcome, more) => {
                        let Next::Mail(parcel) = queue.next(now) else { continue };
                        come(&mut queue, more, now);
                        if !outcome.taken.is_empty() {
                            mailed.extend(parcel.alerts.iter().map(|one| one.subject.clone()));
                        }
                        queue.done(parcel, &outcome, now);
                    }
                }
                prop_assert!(queue.len() <= WAITING_MAX);
            }
            let added = come(&mut queue, 0, now);
            let counted = mailed.len() + queue.len() + usize::try_from(queue.lost).expect("few");
            prop_assert_eq!(counted, added);
            let numbers = mailed.iter().map(|one| one[1..].parse::<usize>().expect("a number"));
            prop_assert!(numbers.is_sorted_by(|one, next| one < next), "{:?}", mailed);
        }
    }
}
