//! Which destination a new connection gets: the schedulers of Linux but for those that hash or
//! remember addresses.

use vipd_engine::config::director::{Scheduler, Scheduling};
use vipd_engine::ipvs::Endpoint;

use super::hashing::{self, Buckets};
use super::locality::{Cache, Sets};
use super::{Flow, Load};
use crate::random::Random;

/// A destination as a scheduler sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) endpoint: Endpoint,
    pub(super) weight: u32,
    pub(super) last_weight: u32,
    pub(super) load: Load,
    pub(super) is_overloaded: bool,
}

/// What became of the destinations of a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Added,
    Edited,
    /// `before` stood in front of it.
    Removed {
        endpoint: Endpoint,
        before: Option<Endpoint>,
    },
}

/// What a scheduler keeps of a service.
#[derive(Clone, Debug)]
pub(super) enum Memory {
    /// Nothing.
    None,
    /// The last choice of `rr`.
    Last(Option<Endpoint>),
    Wrr(Wrr),
    /// `dh` and `sh`: a destination for each hash.
    Buckets(Buckets),
    /// `mh` likewise.
    Maglev(Buckets),
    /// `lblc`.
    Cache(Cache),
    /// `lblcr`.
    Sets(Sets),
}

/// Where `wrr` is: it goes round, and takes who weighs at least `level`, which sinks with each
/// round.
#[derive(Clone, Debug)]
pub(super) struct Wrr {
    last: Option<Endpoint>,
    level: u32,
    top: u32,
    step: u32,
}

impl Memory {
    pub(super) fn new(scheduler: Scheduler, pool: &[Candidate]) -> Self {
        match scheduler {
            Scheduler::Rr => Self::Last(None),
            Scheduler::Wrr => Self::Wrr(Wrr::new(pool)),
            Scheduler::Dh => Self::Buckets(hashing::in_turn(pool)),
            Scheduler::Sh => Self::Buckets(hashing::by_weight(pool)),
            Scheduler::Mh => Self::Maglev(hashing::maglev(pool)),
            Scheduler::Lblc => Self::Cache(Cache::default()),
            Scheduler::Lblcr => Self::Sets(Sets::default()),
            Scheduler::Lc
            | Scheduler::Wlc
            | Scheduler::Fo
            | Scheduler::Ovf
            | Scheduler::Sed
            | Scheduler::Nq
            | Scheduler::Twos => Self::None,
        }
    }

    /// The pool is what there is after it.
    pub(super) fn on_change(&mut self, scheduler: Scheduler, change: Change, pool: &[Candidate]) {
        match (self, change) {
            (Self::Last(last), Change::Removed { endpoint, before }) if *last == Some(endpoint) => {
                *last = before;
            }
            (Self::Wrr(wrr), _) => wrr.on_change(pool),
            (memory @ (Self::Buckets(_) | Self::Maglev(_)), _) => {
                *memory = Self::new(scheduler, pool);
            }
            (Self::None | Self::Last(_) | Self::Cache(_) | Self::Sets(_), _) => {}
        }
    }

    pub(super) fn pick(
        &mut self,
        scheduling: Scheduling,
        pool: &[Candidate],
        flow: &Flow,
        random: &mut Random,
    ) -> Option<Endpoint> {
        let chosen = match (self, scheduling.scheduler) {
            (Self::Last(last), _) => {
                let chosen = round_robin(*last, pool)?;
                *last = Some(chosen.endpoint);
                Some(chosen)
            }
            (Self::Wrr(wrr), _) => wrr.pick(pool),
            (Self::Buckets(buckets), Scheduler::Sh) => {
                hashing::source(buckets, scheduling.flags, pool, flow)
            }
            (Self::Buckets(buckets), _) => hashing::destination(buckets, pool, flow),
            (Self::Maglev(lookup), _) => {
                hashing::source_by_maglev(lookup, scheduling.flags, pool, flow)
            }
            (Self::Cache(cache), _) => cache.pick(pool, flow),
            (Self::Sets(sets), _) => sets.pick(pool, flow),
            (Self::None, scheduler) => stateless(scheduler, pool, random),
        };
        chosen.map(|one| one.endpoint)
    }
}

fn stateless<'a>(
    scheduler: Scheduler,
    pool: &'a [Candidate],
    random: &mut Random,
) -> Option<&'a Candidate> {
    let usable = || pool.iter().filter(|one| one.is_usable());
    match scheduler {
        Scheduler::Lc => first_least(usable(), |one| (one.overhead(), 1)),
        Scheduler::Wlc => least_loaded(pool),
        Scheduler::Sed => first_least(usable(), Candidate::delay),
        Scheduler::Nq => usable()
            .find(|one| one.load.active == 0)
            .or_else(|| first_least(usable(), Candidate::delay)),
        Scheduler::Fo => first_heaviest(usable()),
        Scheduler::Ovf => first_heaviest(usable().filter(|one| one.load.active <= one.weight)),
        Scheduler::Twos => of_two(pool, random),
        Scheduler::Rr
        | Scheduler::Wrr
        | Scheduler::Lblc
        | Scheduler::Lblcr
        | Scheduler::Sh
        | Scheduler::Mh
        | Scheduler::Dh => None,
    }
}

impl Candidate {
    /// Whether a new connection may go to it.
    pub(super) const fn is_usable(&self) -> bool {
        !self.is_overloaded && self.weight > 0
    }

    /// An active connection counts as much as 256 inactive ones.
    pub(super) fn overhead(&self) -> u64 {
        (u64::from(self.load.active) << 8) + u64::from(self.load.inactive)
    }

    /// What it would have with one more, and its weight.
    fn delay(&self) -> (u64, u32) {
        (u64::from(self.load.active) + 1, self.weight)
    }
}

/// The first one with the least load per weight.
pub(super) fn first_least<'a>(
    pool: impl Iterator<Item = &'a Candidate>,
    load: impl Fn(&Candidate) -> (u64, u32),
) -> Option<&'a Candidate> {
    let product = |load: u64, weight: u32| u128::from(load) * u128::from(weight);
    pool.reduce(|best, one| {
        let ((best_load, best_weight), (load, weight)) = (load(best), load(one));
        if product(load, best_weight) < product(best_load, weight) { one } else { best }
    })
}

/// The least weighted overhead of those that may get a connection.
pub(super) fn least_loaded(pool: &[Candidate]) -> Option<&Candidate> {
    let usable = pool.iter().filter(|one| one.is_usable());
    first_least(usable, |one| (one.overhead(), one.weight))
}

fn first_heaviest<'a>(pool: impl Iterator<Item = &'a Candidate>) -> Option<&'a Candidate> {
    pool.reduce(|best, one| if one.weight > best.weight { one } else { best })
}

/// The next one after the last choice.
fn round_robin(last: Option<Endpoint>, pool: &[Candidate]) -> Option<&Candidate> {
    let next = place_after(last, pool);
    let (before, after) = pool.split_at(next);
    after.iter().chain(before).find(|one| one.is_usable())
}

fn place_after(last: Option<Endpoint>, pool: &[Candidate]) -> usize {
    let place = last.and_then(|last| pool.iter().position(|one| one.endpoint == last));
    place.map_or(0, |place| place + 1)
}

/// The less loaded of two that are drawn, each as likely as it weighs.
fn of_two<'a>(pool: &'a [Candidate], random: &mut Random) -> Option<&'a Candidate> {
    let usable = || pool.iter().filter(|one| one.is_usable());
    let total: u64 = usable().map(|one| u64::from(one.weight)).sum();
    let mut draw = || {
        // The end of the range is included, as in Linux: the first one is a little more likely.
        let mut rest = random.below(total + 1);
        usable().find(|one| {
            let is_it = rest <= u64::from(one.weight);
            rest = rest.saturating_sub(u64::from(one.weight));
            is_it
        })
    };
    let (first, second) = (draw()?, draw()?);
    first_least([first, second].into_iter(), |one| (one.overhead(), one.weight))
}

impl Wrr {
    fn new(pool: &[Candidate]) -> Self {
        let mut wrr = Self { last: None, level: 0, top: 0, step: 1 };
        wrr.on_change(pool);
        wrr
    }

    fn on_change(&mut self, pool: &[Candidate]) {
        let weights = || pool.iter().map(|one| one.weight);
        self.last = None;
        self.step = weights().fold(0, greatest_common_divisor).max(1);
        // Levels are 1, 1 + step, ... up to this.
        self.top = weights().max().map_or(0, |most| most.saturating_sub(self.step - 1));
        if self.level > self.top || self.level == 0 {
            self.level = self.top;
        } else if self.step > 1 {
            self.level = self.level / self.step * self.step + 1;
        }
    }

    fn pick<'a>(&mut self, pool: &'a [Candidate]) -> Option<&'a Candidate> {
        if self.top == 0 {
            return None;
        }
        let begun = place_after(self.last, pool);
        let (mut from, mut ends) = (begun, None);
        let (mut is_lowest, mut went_round) = (false, false);
        loop {
            let until = ends.unwrap_or(pool.len());
            let fits = |one: &&Candidate| !one.is_overloaded && one.weight >= self.level;
            if let Some(chosen) = pool[from..until].iter().find(fits) {
                self.last = Some(chosen.endpoint);
                return Some(chosen);
            }
            if ends.is_some() {
                // Everybody was asked for a weight of 1 at least.
                self.last = pool[..until].last().map(|one| one.endpoint);
                return None;
            }
            self.level = self.level.saturating_sub(self.step);
            if self.level == 0 {
                self.level = self.top;
                if is_lowest || begun == 0 {
                    self.last = None;
                    return None;
                }
                went_round = true;
            }
            is_lowest = self.level <= self.step;
            ends = (is_lowest && went_round && begun > 0).then_some(begun);
            from = 0;
        }
    }
}

pub(super) const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
