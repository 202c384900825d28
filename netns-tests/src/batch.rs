//! Several laboratories at a time: real time is what a scenario costs.
//!
//! A batch is built before any of it starts, and removed when all of it has ended, because making
//! and removing namespaces holds up every other change of this kernel.
//!
//! Real machines stall, and many at a time wait for each other. So what is wrong has to be wrong
//! twice, the second time alone; that there were two tries is told.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use crate::world::Lab;

/// Processes that all start at once would wait for each other.
const APART: Duration = Duration::from_millis(250);

/// What came of the last try, and of the first one if there were two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tries<R> {
    pub(crate) last: R,
    pub(crate) first: Option<R>,
}

impl<R> Tries<R> {
    pub(crate) const fn one(last: R) -> Self {
        Self { last, first: None }
    }
}

/// Plays all, `jobs` at a time, and then once more, alone, what may have failed by chance. Leaves
/// out what was not begun when it was told to stop.
pub(crate) fn play_all<T, R>(
    mut waiting: Vec<T>,
    jobs: NonZeroUsize,
    stop: fn() -> bool,
    play: impl Fn(Vec<T>) -> Vec<(T, R)>,
    may_be_chance: impl Fn(&R) -> bool,
) -> Vec<(T, Tries<R>)> {
    let mut played = Vec::new();
    while !waiting.is_empty() && !stop() {
        let rest = waiting.split_off(jobs.get().min(waiting.len()));
        played.extend(play(std::mem::replace(&mut waiting, rest)));
    }
    let mut ended = Vec::new();
    for (one, came) in played {
        if stop() || !may_be_chance(&came) {
            ended.push((one, Tries::one(came)));
            continue;
        }
        let mut first = Some(came);
        let again = play(vec![one]).into_iter();
        ended.extend(again.map(|(one, last)| (one, Tries { last, first: first.take() })));
    }
    ended
}

/// Builds a laboratory for each, plays all side by side, removes all. What could not be built has
/// its reason in the place of what came of it. The order stays.
pub(crate) fn side_by_side<T: Send, R: Send>(
    batch: Vec<T>,
    build: impl Fn(&T) -> Result<Lab, String>,
    play: impl Fn(&T, &mut Lab) -> R + Sync,
) -> Vec<(T, Result<R, String>)> {
    let built = batch.into_iter().map(|one| {
        let lab = build(&one);
        (one, lab)
    });
    let built: Vec<_> = built.collect();
    let play = &play;
    let mut labs = Vec::new();
    let played = thread::scope(|scope| {
        let start = |(number, (one, lab)): (u32, (T, Result<Lab, String>))| {
            scope.spawn(move || match lab {
                Err(reason) => (one, Err(reason), None),
                Ok(mut lab) => {
                    thread::sleep(APART * number);
                    let came = play(&one, &mut lab);
                    (one, Ok(came), Some(lab))
                }
            })
        };
        let threads: Vec<_> = (0..).zip(built).map(start).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no run panics"));
        let played = ended.map(|(one, came, lab)| {
            labs.push(lab);
            (one, came)
        });
        played.collect()
    });
    drop(labs);
    played
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_is_wrong_is_played_once_more_alone_and_only_what_is_wrong_twice_stays_so() {
        // Each is its own name and what its tries say.
        let all =
            vec![("good", vec![true]), ("stalled", vec![true, false]), ("wrong", vec![false; 2])];
        let batches = RefCell::new(Vec::new());
        let play = |batch: Vec<(&'static str, Vec<bool>)>| {
            batches.borrow_mut().push(batch.iter().map(|(name, _)| *name).collect::<Vec<_>>());
            let try_it = |(name, mut says): (&'static str, Vec<bool>)| {
                let said = says.pop().expect("no third try");
                ((name, says), said)
            };
            batch.into_iter().map(try_it).collect()
        };
        let jobs = NonZeroUsize::new(2).expect("not none");
        let ended = play_all(all, jobs, || false, play, |good| !good);
        let told: Vec<_> = ended.into_iter().map(|((name, _), tries)| (name, tries)).collect();
        let twice = |last| Tries { last, first: Some(false) };
        assert_eq!(
            told,
            [("good", Tries::one(true)), ("stalled", twice(true)), ("wrong", twice(false))]
        );
        let played = [&["good", "stalled"][..], &["wrong"], &["stalled"], &["wrong"]];
        assert_eq!(batches.into_inner(), played);
    }

    #[test]
    fn what_is_told_to_stop_begins_nothing() {
        let ended =
            play_all(vec![1], NonZeroUsize::MIN, || true, |_| Vec::<(i32, bool)>::new(), |_| true);
        assert!(ended.is_empty());
    }
}
