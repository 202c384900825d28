//! What many seeds brought up, added together: the same whatever the number of threads and in
//! whatever order, also across machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vipd_scenarios::judge::{PropertyReport, Verdict};
use vipd_scenarios::record::whole_nanos;

use super::arena::{Arena, Played};
use super::reached::{Flavour, PairState};
use super::rows::ROWS;
use crate::faults::FaultClass;

/// The form of a tally as JSON. One more whenever older ones cannot be read.
pub const FORM: u32 = 1;

/// Violations of one property that are kept: those of the lowest seeds.
pub const CARDS: usize = 5;

/// Seeds of violations of one property that are kept by number, the lowest ones.
pub const SEEDS: usize = 1000;

/// So many of them are named beside the cards.
const ON_A_LINE: usize = 12;

/// Under what name a panic is a violation.
pub const PANIC: &str = "panic";

/// What was hunted: only equal ones can be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunted {
    /// [`FORM`].
    pub form: u32,
    /// The version of this program.
    pub version: String,
    /// How to name it on the command line.
    pub scenario: String,
    /// A hash over the topology and what the configurations mean.
    pub ground: String,
    /// Simulated time of each seed.
    pub for_ns: u64,
    /// What this program does here, in short ([`Arena::behaviour`]): builds of two commits have one
    /// version. Empty where nobody asked.
    #[serde(default)]
    pub behaviour: String,
}

/// How often a fault was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// Times.
    pub faults: u64,
    /// Seeds with at least one.
    pub seeds: u64,
    /// Why there can be none here.
    pub lacks: Option<String>,
}

/// What became of a property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyCount {
    /// Seeds in which it was put to the test and held.
    pub held: u64,
    /// Seeds in which it did not hold.
    pub violated: u64,
    /// Seeds in which it did not hold for want of another property, which nothing provides.
    pub wanting: u64,
    /// Seeds that left its conditions.
    pub not_provided: u64,
    /// Seeds that did not put it to the test.
    pub not_exercised: u64,
    /// The value that used most of its bound and kept within it.
    pub tightest: Option<Tightest>,
    /// The seeds in which it did not hold, in order, at most [`SEEDS`].
    #[serde(default)]
    pub violating: Vec<u64>,
    /// Violations of the lowest seeds.
    pub cards: Vec<Card>,
}

/// A value and its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tightest {
    /// The value.
    pub value_ns: u64,
    /// Its bound.
    pub bound_ns: u64,
    /// Where it was seen.
    pub seed: u64,
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its seed.
    pub seed: u64,
    /// What was seen.
    pub what: String,
    /// The worst value, if there is one.
    pub value_ns: Option<u64>,
    /// And its bound.
    pub bound_ns: Option<u64>,
    /// The classes of faults of that schedule.
    pub faults: Vec<u8>,
}

/// Everything, added together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What was hunted.
    pub hunted: Hunted,
    /// Ranges of seeds, in order and apart: the first one, and the one after the last.
    pub seeds: Vec<(u64, u64)>,
    /// How many things came due.
    pub events: u64,
    /// Real time, added over shards.
    pub wall_ns: u64,
    /// Threads, those of the last shard.
    pub jobs: u64,
    /// By the number of the class.
    pub faults: BTreeMap<u8, FaultCount>,
    /// How often two members of a virtual router came to be in two states together.
    pub pairs: BTreeMap<String, u64>,
    /// Seeds in which each row was reached. Rows that nothing here is about are left out.
    pub rows: BTreeMap<String, u64>,
    /// By id.
    pub properties: BTreeMap<String, PropertyCount>,
    /// It was told to end before its time.
    pub interrupted: bool,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(arena: &Arena, hunted: Hunted) -> Self {
        let count = |class: FaultClass| {
            let lacks = arena.ground().lacks(class).map(str::to_owned);
            (class.number(), FaultCount { lacks, ..FaultCount::default() })
        };
        let flavours = arena.flavours();
        let rows = ROWS.iter().filter(|row| row.is_about(&flavours));
        Self {
            hunted,
            seeds: Vec::new(),
            events: 0,
            wall_ns: 0,
            jobs: 1,
            faults: FaultClass::ALL.into_iter().map(count).collect(),
            pairs: all_pairs().into_iter().map(|pair| (pair_name(pair), 0)).collect(),
            rows: rows.map(|row| (row.id.to_owned(), 0)).collect(),
            properties: BTreeMap::new(),
            interrupted: false,
        }
    }

    /// How many seeds.
    #[must_use]
    pub fn played(&self) -> u64 {
        self.seeds.iter().map(|(from, until)| until - from).sum()
    }

    /// Violations that nothing explains, over all properties.
    #[must_use]
    pub fn violations(&self) -> u64 {
        let violated = self.properties.values().map(|count| count.violated);
        violated.fold(0, u64::saturating_add)
    }

    /// Adds a seed.
    ///
    /// # Panics
    /// If it was added before.
    pub fn add(&mut self, played: &Played) {
        self.add_range((played.seed, played.seed + 1));
        self.events += played.events;
        let mut classes: Vec<u8> = Vec::new();
        for class in &played.faults {
            let number = class.number();
            let count = self.faults.entry(number).or_default();
            count.faults += 1;
            if !classes.contains(&number) {
                classes.push(number);
                count.seeds += 1;
            }
        }
        classes.sort_unstable();
        for (pair, times) in &played.reached.pairs {
            *self.pairs.entry(pair_name(*pair)).or_default() += times;
        }
        for row in ROWS.iter().filter(|row| row.is_reached(played.reached.sights)) {
            *self.rows.entry(row.id.to_owned()).or_default() += 1;
        }
        match &played.judged {
            Ok(reports) => {
                for report in reports {
                    self.judge(played.seed, report, &classes);
                }
            }
            Err(words) => {
                let what = words.clone();
                let card = Card {
                    seed: played.seed,
                    what,
                    value_ns: None,
                    bound_ns: None,
                    faults: classes,
                };
                self.properties.entry(PANIC.to_owned()).or_default().violated(card);
            }
        }
    }

    fn judge(&mut self, seed: u64, report: &PropertyReport, classes: &[u8]) {
        let id = report.id.to_string();
        let count = self.properties.entry(id).or_default();
        let measured = report.worst.map(whole_nanos).zip(report.bound.map(whole_nanos));
        match report.verdict {
            Verdict::Held => {
                count.held += 1;
                if let Some((value_ns, bound_ns)) = measured {
                    count.tighten(Tightest { value_ns, bound_ns, seed });
                }
            }
            Verdict::Violated if report.for_want_of.is_some() => count.wanting += 1,
            Verdict::Violated => {
                let (value_ns, bound_ns) = measured.unzip();
                let what = report.reason.clone().unwrap_or_default();
                count.violated(Card { seed, what, value_ns, bound_ns, faults: classes.to_vec() });
            }
            Verdict::NotExercised => count.not_exercised += 1,
            Verdict::NotProvided => count.not_provided += 1,
        }
    }

    /// Adds everything of another one. What is counted by seed is at most the number of seeds, as
    /// [`merge`](super::merge) looks after; anything else stays at the most that there is.
    ///
    /// # Errors
    /// Why the two cannot be added: something else was hunted, or a seed is in both.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        if self.hunted != other.hunted {
            let what = self.hunted.difference(&other.hunted);
            return Err(format!("it hunted something else: {what}"));
        }
        let seeds = [self.seeds.as_slice(), &other.seeds].concat();
        self.seeds = joined(seeds).map_err(|(first, after)| {
            format!("the seeds {first} to {} were added already", after - 1)
        })?;
        self.events = self.events.saturating_add(other.events);
        self.wall_ns = self.wall_ns.saturating_add(other.wall_ns);
        self.jobs = self.jobs.max(other.jobs);
        self.interrupted |= other.interrupted;
        for (number, count) in other.faults {
            let own = self.faults.entry(number).or_default();
            own.faults = own.faults.saturating_add(count.faults);
            own.seeds += count.seeds;
        }
        for (pair, times) in other.pairs {
            let own = self.pairs.entry(pair).or_default();
            *own = own.saturating_add(times);
        }
        for (row, seeds) in other.rows {
            *self.rows.entry(row).or_default() += seeds;
        }
        for (id, count) in other.properties {
            self.properties.entry(id).or_default().merge(count);
        }
        Ok(())
    }

    /// Seeds between the first and the last one that were not played: those of a part that is not
    /// there.
    #[must_use]
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        self.seeds.array_windows().map(|[one, next]| (one.1, next.0)).collect()
    }

    /// Whether its seeds are as a hunt writes them: ranges that are not empty, in order and apart.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.seeds.iter().all(|(from, until)| from < until)
            && self.seeds.array_windows().all(|[one, next]| one.1 < next.0)
    }

    fn add_range(&mut self, range: (u64, u64)) {
        match self.seeds.last_mut() {
            // Mostly the next seed of the last range.
            Some(last) if last.1 == range.0 => last.1 = range.1,
            Some(last) if range.0 < last.1 => {
                self.seeds.push(range);
                let seeds = joined(std::mem::take(&mut self.seeds));
                self.seeds = seeds.expect("no seed is played twice");
            }
            Some(_) | None => self.seeds.push(range),
        }
    }
}

/// These ranges in order, those that touch made one.
///
/// # Errors
/// The first range of seeds that is in two of them: its first seed, and the one after its last.
fn joined(mut ranges: Vec<(u64, u64)>) -> Result<Vec<(u64, u64)>, (u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.0 < last.1 => return Err((range.0, range.1.min(last.1))),
            Some(last) if range.0 == last.1 => last.1 = range.1,
            Some(_) | None => joined.push(range),
        }
    }
    Ok(joined)
}

impl PropertyCount {
    fn violated(&mut self, card: Card) {
        self.violated += 1;
        self.note(card.seed);
        self.keep(card);
    }

    fn note(&mut self, seed: u64) {
        let place = self.violating.partition_point(|other| *other < seed);
        self.violating.insert(place, seed);
        self.violating.truncate(SEEDS);
    }

    fn keep(&mut self, card: Card) {
        let place = self.cards.partition_point(|other| other.seed < card.seed);
        self.cards.insert(place, card);
        self.cards.truncate(CARDS);
    }

    fn tighten(&mut self, seen: Tightest) {
        if self.tightest.is_none_or(|own| seen.is_tighter_than(own)) {
            self.tightest = Some(seen);
        }
    }

    fn merge(&mut self, other: Self) {
        self.held += other.held;
        self.violated += other.violated;
        self.wanting += other.wanting;
        self.not_provided += other.not_provided;
        self.not_exercised += other.not_exercised;
        if let Some(tightest) = other.tightest {
            self.tighten(tightest);
        }
        for seed in other.violating {
            self.note(seed);
        }
        for card in other.cards {
            self.keep(card);
        }
    }

    /// In how many seeds it was judged; `None` if that is no number.
    #[must_use]
    pub fn seeds(&self) -> Option<u64> {
        let all = [self.violated, self.wanting, self.not_provided, self.not_exercised];
        all.into_iter().try_fold(self.held, u64::checked_add)
    }

    /// Whether no seed put it to the test under its conditions.
    #[must_use]
    pub const fn is_untested(&self) -> bool {
        self.held == 0 && self.violated == 0 && self.wanting == 0
    }

    /// Seeds of violations without a card, as many as fit on a line, and how many more there are.
    #[must_use]
    pub fn more(&self) -> Option<String> {
        let seeds = self.violating.iter().skip(self.cards.len()).take(ON_A_LINE);
        let mut named: Vec<_> = seeds.map(|seed| format!("seed {seed}")).collect();
        let others = self.violated.saturating_sub((self.cards.len() + named.len()) as u64);
        if others > 0 {
            named.push(format!("{others} others"));
        }
        (!named.is_empty()).then(|| format!("and in {}", named.join(", ")))
    }
}

impl Tightest {
    /// What held and is above its bound had to be at least that.
    #[must_use]
    pub const fn is_at_least(self) -> bool {
        self.value_ns > self.bound_ns
    }

    /// How much of the bound is used.
    fn used(self) -> (u128, u128) {
        let (value, bound) = (u128::from(self.value_ns), u128::from(self.bound_ns));
        if self.is_at_least() { (bound, value) } else { (value, bound) }
    }

    /// The same in thousandths.
    #[must_use]
    pub fn permille(self) -> u64 {
        let (top, bottom) = self.used();
        u64::try_from(top * 1000 / bottom.max(1)).unwrap_or(1000)
    }

    fn is_tighter_than(self, other: Self) -> bool {
        let ((top, bottom), (other_top, other_bottom)) = (self.used(), other.used());
        let (ours, theirs) = (top * other_bottom, other_top * bottom);
        ours > theirs || (ours == theirs && self.seed < other.seed)
    }
}

/// Every pair of states, the lesser one first.
pub(super) fn all_pairs() -> Vec<(PairState, PairState)> {
    let mut states: Vec<PairState> = vec![None];
    states.extend(vipd_engine::StateKind::ALL.map(Some));
    let mut pairs = Vec::new();
    for (place, one) in states.iter().enumerate() {
        pairs.extend(states[place..].iter().map(|other| (*one, *other)));
    }
    // To be in this pair nobody has to change its state.
    pairs.retain(|pair| *pair != (None, None));
    pairs
}

pub(super) fn pair_name((one, other): (PairState, PairState)) -> String {
    let name = |state: PairState| state.map_or("gone", |state| state.name());
    format!("{} + {}", name(one), name(other))
}

impl Arena {
    /// The versions and families that configurations and variants have.
    fn flavours(&self) -> Vec<Flavour> {
        let own = self.ground().directors.iter().flat_map(|director| &director.routers);
        let own = own.map(|router| &router.config);
        let other = self.ground().variants().flat_map(|variant| variant.config.instances());
        let mut flavours: Vec<_> =
            own.chain(other).map(|config| Flavour::of_instance(config)).collect();
        flavours.sort_unstable();
        flavours.dedup();
        flavours
    }
}

impl Hunted {
    /// How long each seed lasts.
    #[must_use]
    pub const fn length(&self) -> Duration {
        Duration::from_nanos(self.for_ns)
    }

    /// What is not the same in another one, each key with both values, this one's last.
    fn difference(&self, other: &Self) -> String {
        let hunted = |one: &Self| {
            let length = vipd_scenarios::language::duration_text(one.length());
            let Self { scenario, ground, version, behaviour, .. } = one.clone();
            [
                ("scenario", scenario),
                ("ground", ground),
                ("for", length),
                ("version", version),
                ("behaviour", behaviour),
            ]
        };
        let both = hunted(other).into_iter().zip(hunted(self));
        let differ = both.filter(|(its, first)| its != first);
        let differ = differ.map(|((key, its), (_, first))| format!("{key} {its}, not {first}"));
        differ.collect::<Vec<_>>().join("; ")
    }

    /// Whether the same was hunted, by a program that does something else.
    #[must_use]
    pub fn is_of_another_program(&self, other: &Self) -> bool {
        let alike = Self { behaviour: other.behaviour.clone(), ..self.clone() };
        alike == *other && self.behaviour != other.behaviour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_hunts_is_named_with_both_values() {
        let hunted = |length: u64, ground: &str| Hunted {
            form: FORM,
            version: "1".to_owned(),
            scenario: "pair.toml".to_owned(),
            ground: ground.to_owned(),
            for_ns: length * 1_000_000_000,
            behaviour: "b".to_owned(),
        };
        let first = hunted(180, "e1");
        assert_eq!(first.difference(&hunted(240, "e1")), "for 240s, not 180s");
        assert_eq!(first.difference(&hunted(180, "e2")), "ground e2, not e1");
    }

    #[test]
    fn ranges_of_seeds_that_touch_are_one_and_none_is_in_two() {
        // As two threads take them, and then the parts that they leave.
        let taken = |from: u64| (from..100).step_by(16).map(|first| (first, first + 8)).collect();
        let (one, other): (Vec<_>, Vec<_>) = (taken(0), taken(8));
        assert_eq!(joined([other.clone(), one.clone()].concat()), Ok(vec![(0, 104)]));
        assert_eq!(joined(vec![(5, 9), (1, 4)]), Ok(vec![(1, 4), (5, 9)]));
        assert_eq!(joined([one, other, vec![(20, 30)]].concat()), Err((20, 24)));
        assert_eq!(joined(vec![(0, 50), (10, 20)]), Err((10, 20)));
        assert_eq!(joined(Vec::new()), Ok(Vec::new()));
    }
}
