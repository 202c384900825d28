//! What the outside shows in both worlds, put side by side.
//!
//! Compared is who takes and gives up which address, and who resigns. What is printed of it, and
//! how the two worlds are played, is in [`crate::agree`].

use std::collections::BTreeMap;
use std::time::Duration;

use vipd_engine::event::Seconds;
use vipd_scenarios::record::{HostId, Observation, Recorder, Seen, WorldTime};

/// How the end of an ownership begins.
const NO_LONGER: &str = "no longer owns";

/// Something that the outside shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: WorldTime,
    /// Whose.
    pub host: HostId,
    /// What.
    pub what: String,
}

/// Keeps the marks of a run.
#[derive(Clone, Debug, Default)]
pub struct Marks(pub Vec<Mark>);

impl Marks {
    /// Ends of ownership that showed by silence at these times began with it, so much earlier.
    pub fn date_back(&mut self, silences: &[(WorldTime, HostId)], by: Duration) {
        for mark in &mut self.0 {
            let shown = silences.contains(&(mark.at, mark.host));
            if shown && mark.what.starts_with(NO_LONGER) {
                mark.at = mark.at.earlier(by);
            }
        }
        self.0.sort_by_key(|mark| mark.at);
    }
}

impl Recorder for Marks {
    fn observe(&mut self, observation: &Observation) {
        let what = match &observation.seen {
            Seen::Owns { address, owns: true, .. } => format!("owns {address}"),
            Seen::Owns { address, owns: false, .. } => format!("{NO_LONGER} {address}"),
            Seen::AdvertSent(advert) if advert.priority == 0 => {
                format!("resigns vrid {}", advert.router.vrid)
            }
            _ => return,
        };
        self.0.push(Mark { at: observation.at, host: observation.host, what });
    }
}

/// The same mark in both worlds, or in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Whose.
    pub host: HostId,
    /// What.
    pub what: String,
    /// When in the simulation, if there.
    pub simulated: Option<WorldTime>,
    /// When in reality, if there.
    pub real: Option<WorldTime>,
}

impl Pair {
    /// How far apart the two are, if both worlds have it.
    #[must_use]
    pub fn difference(&self) -> Option<Duration> {
        let (simulated, real) = (self.simulated?, self.real?);
        Some(simulated.since(real).max(real.since(simulated)))
    }
}

/// Puts the nth mark of a kind in one world beside the nth in the other, in the order of the
/// simulation; what is only real comes last.
#[must_use]
pub fn pair(simulated: &Marks, real: &Marks) -> Vec<Pair> {
    let mut waiting: BTreeMap<(HostId, &str), Vec<WorldTime>> = BTreeMap::new();
    for mark in real.0.iter().rev() {
        waiting.entry((mark.host, &mark.what)).or_default().push(mark.at);
    }
    let mut pairs: Vec<_> = simulated
        .0
        .iter()
        .map(|mark| {
            let times = waiting.get_mut(&(mark.host, mark.what.as_str()));
            let real = times.and_then(Vec::pop);
            let (host, what) = (mark.host, mark.what.clone());
            Pair { host, what, simulated: Some(mark.at), real }
        })
        .collect();
    for ((host, what), times) in waiting {
        let only_real = times.into_iter().rev();
        pairs.extend(only_real.map(|at| Pair {
            host,
            what: what.to_string(),
            simulated: None,
            real: Some(at),
        }));
    }
    pairs
}

/// The largest difference of the marks that both worlds have. `None` if there is none.
#[must_use]
pub fn largest_difference(pairs: &[Pair]) -> Option<Duration> {
    pairs.iter().filter_map(Pair::difference).max()
}

/// What does not agree: a mark of one world only, one that is further apart than the tolerance, or
/// two in another order. What the simulation has closer together than the tolerance may come in
/// either order.
#[must_use]
pub fn disagreements(pairs: &[Pair], tolerance: Duration) -> Vec<String> {
    let mut found = Vec::new();
    for pair in pairs {
        match (pair.difference(), pair.simulated) {
            (Some(apart), _) if apart > tolerance => {
                found.push(format!("{} is {} s apart", pair.what, Seconds(apart)));
            }
            (Some(_), _) => {}
            (None, Some(_)) => found.push(format!("{} is simulated only", pair.what)),
            (None, None) => found.push(format!("{} is real only", pair.what)),
        }
    }
    for (place, first) in pairs.iter().enumerate() {
        for second in &pairs[place + 1..] {
            let times = (first.simulated, first.real, second.simulated, second.real);
            let (Some(before), Some(real_before), Some(after), Some(real_after)) = times else {
                continue;
            };
            if after.since(before) > tolerance && real_after < real_before {
                found.push(format!("{} comes after {}", first.what, second.what));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MARGIN: Duration = Duration::from_nanos(10);

    fn marks(of: &[(u64, u16, &str)]) -> Marks {
        let mark = |(at, host, what): &(u64, u16, &str)| Mark {
            at: WorldTime(*at),
            host: HostId(*host),
            what: (*what).to_string(),
        };
        Marks(of.iter().map(mark).collect())
    }

    fn found(simulated: &[(u64, u16, &str)], real: &[(u64, u16, &str)]) -> Vec<String> {
        disagreements(&pair(&marks(simulated), &marks(real)), MARGIN)
    }

    #[test]
    fn the_same_marks_agree_up_to_the_tolerance_and_no_further() {
        let simulated =
            [(3 * SECOND, 0, "owns"), (9 * SECOND, 1, "owns"), (20 * SECOND, 0, "owns")];
        let late = |by| simulated.map(|(at, host, what)| (at + by, host, what));
        assert_eq!(found(&simulated, &late(10)), Vec::<String>::new());
        assert_eq!(found(&simulated, &late(11)).len(), 3);
        assert_eq!(found(&late(11), &simulated)[0], "owns is 0.000000011 s apart");
    }

    #[test]
    fn an_end_that_shows_by_silence_is_dated_back_and_nothing_else_is() {
        let mut marks = marks(&[
            (SECOND, 0, "no longer owns x"),
            (SECOND, 0, "owns y"),
            (SECOND, 1, "no longer owns x"),
            (2 * SECOND, 0, "no longer owns x"),
        ]);
        marks.date_back(&[(WorldTime(SECOND), HostId(0))], Duration::from_nanos(50));
        let times: Vec<_> = marks.0.iter().map(|mark| (mark.at.0, mark.host.0)).collect();
        assert_eq!(times, [(SECOND - 50, 0), (SECOND, 0), (SECOND, 1), (2 * SECOND, 0)]);
    }

    #[test]
    fn a_mark_of_one_world_only_is_told() {
        let one = [(SECOND, 0, "owns")];
        let two = [(SECOND, 0, "owns"), (2 * SECOND, 0, "owns")];
        assert_eq!(found(&two, &one), ["owns is simulated only"]);
        assert_eq!(found(&one, &two), ["owns is real only"]);
        let elsewhere = [(SECOND, 1, "owns")];
        assert_eq!(found(&one, &elsewhere), ["owns is simulated only", "owns is real only"]);
    }

    #[test]
    fn the_largest_difference_is_that_of_what_both_have() {
        let simulated = marks(&[(100, 0, "owns"), (200, 1, "owns"), (900, 0, "resigns")]);
        let real = marks(&[(103, 0, "owns"), (193, 1, "owns")]);
        let pairs = pair(&simulated, &real);
        assert_eq!(largest_difference(&pairs), Some(Duration::from_nanos(7)));
        assert_eq!(largest_difference(&pairs[2..]), None);
    }

    #[test]
    fn what_the_simulation_has_at_one_time_may_come_in_either_order() {
        let simulated = [(100, 0, "owns"), (105, 1, "releases"), (111, 0, "resigns")];
        let swapped = [(109, 0, "owns"), (106, 1, "releases"), (112, 0, "resigns")];
        assert_eq!(found(&simulated, &swapped), Vec::<String>::new());
        let too_far = [(110, 0, "owns"), (106, 1, "releases"), (109, 0, "resigns")];
        assert_eq!(found(&simulated, &too_far), ["owns comes after resigns"]);
    }
}
