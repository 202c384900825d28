//! One virtual router: how far from the exact instant the backup takes over, after the master's
//! last advert and after its resignation.

use std::thread::sleep;
use std::time::Duration;

use crate::pair::{Pair, Router, Side, master_down, of, skew};
use crate::recorder::{Record, Seen, now};
use crate::running::Daemon;

const VRID: u8 = 51;
const MASTER: u8 = 200;
const BACKUP: u8 = 100;
/// How long a daemon may take from its start to its first reception.
const STARTS: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Takeovers {
    /// First advert of the backup, from the last advert plus `Master_Down_Interval`, in nanoseconds.
    pub after_last_advert: Vec<i64>,
    /// First advert of the backup, from the resignation plus `Skew_Time`, in nanoseconds.
    pub after_resignation: Vec<i64>,
    /// The resignation, from SIGTERM, in nanoseconds.
    pub resignation: Vec<i64>,
    /// Resident memory of the master with its one virtual router, in octets.
    pub resident: u64,
}

/// Lets a daemon take over from itself, `runs` times each way.
///
/// # Errors
/// What did not happen.
pub fn measure(daemon: &Daemon, runs: u32, interval: Duration) -> Result<Takeovers, String> {
    let mut pair = Pair::new()?;
    let router = |priority| Router { vrid: VRID, priority, interval, preempt: true };
    let mut found = Takeovers::default();
    let mut master = pair.start(Side::Master, daemon, &[router(MASTER)])?;
    let backup = pair.start(Side::Backup, daemon, &[router(BACKUP)])?;
    // One that has just started knows no master yet.
    sleep(STARTS + master_down(BACKUP, interval));
    if !backup.runs() {
        return Err(format!("{daemon} has ended"));
    }
    for run in 0..2 * runs {
        settle(&mut pair, interval)?;
        found.resident = found.resident.max(master.resident());
        // Somewhere else between two adverts each time.
        sleep(interval * (run % runs) / runs);
        if run < runs {
            master.kill();
            let (last, first) = taken(&pair)?;
            let exact = last.at + master_down(BACKUP, interval);
            found.after_last_advert.push(apart(first.at, exact));
        } else {
            let asked = now();
            master.terminate();
            let (last, first) = taken(&pair)?;
            if last.priority != 0 {
                return Err(format!("{daemon} did not resign"));
            }
            found.resignation.push(apart(last.at, asked));
            let exact = last.at + skew(BACKUP, interval);
            found.after_resignation.push(apart(first.at, exact));
        }
        master.stop();
        master = pair.start(Side::Master, daemon, &[router(MASTER)])?;
    }
    Ok(found)
}

/// `one - other`, in nanoseconds.
#[must_use]
pub fn apart(one: Duration, other: Duration) -> i64 {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    nanos(one) - nanos(other)
}

/// The master is master, and the backup has heard it: three adverts without one of the backup.
fn settle(pair: &mut Pair, interval: Duration) -> Result<(), String> {
    pair.record()?;
    pair.wait("a master that is alone", |record| {
        let last = record.adverts.iter().rev().take(3);
        let alone = last.clone().all(|seen| seen.src == Side::Master.address());
        (alone && last.count() == 3).then_some(())
    })?;
    // What comes at the next advert was started by this one.
    sleep(interval / 20);
    Ok(())
}

/// The master's last advert, and the first that the backup sent after it.
fn taken(pair: &Pair) -> Result<(Seen, Seen), String> {
    let find = |record: &Record| {
        let last = of(record, Side::Master).next_back()?;
        let first = of(record, Side::Backup).find(|seen| seen.at > last.at)?;
        Some((last, first))
    };
    pair.wait("the backup's first advert", find)
}
