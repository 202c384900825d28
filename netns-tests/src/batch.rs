//! Several laboratories at a time: real time is what a scenario costs.
//!
//! A batch is built before any of it starts, and removed when all of it has ended, because making
//! and removing namespaces holds up every other change of this kernel.

use std::thread;
use std::time::Duration;

use crate::world::Lab;

/// Processes that all start at once would wait for each other.
const APART: Duration = Duration::from_millis(250);

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
