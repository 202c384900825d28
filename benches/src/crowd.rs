//! 255 virtual routers at 100 ms: what they cost the master, how late its adverts are, and when
//! each address is in the backup's kernel after the master was killed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use crate::pair::{Pair, Router, Side, master_down, of, virtual_address};
use crate::recorder::Record;
use crate::running::{Daemon, Running};
use crate::takeover::apart;

/// Every VRID that there is.
const ROUTERS: u8 = 255;
const INTERVAL: Duration = Duration::from_millis(100);
/// The backup's, of each.
const BACKUP: u8 = 100;
/// How long the backup may take to start, and a master to do what comes after it became master.
const SETTLES: Duration = Duration::from_secs(6);

/// Where the master's virtual routers are between two adverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phases {
    /// All at once: they have become master at the same instant.
    Together,
    /// Spread over the interval: each has become master after another `Skew_Time`.
    Spread,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    /// Address in the kernel, from its own exact instant, in nanoseconds, one per virtual router.
    pub addresses: Vec<i64>,
    /// From the first address to the last.
    pub first_to_last: Duration,
    /// An advert from the one before it plus the interval, in nanoseconds.
    pub adverts: Vec<i64>,
    /// The part of the interval in which the adverts of all virtual routers begin.
    pub phases: Duration,
    /// Processor time of the master per second, while nobody else is on the cable.
    pub processor: Duration,
    /// Resident memory of the master, in octets.
    pub resident: u64,
}

/// Lets a daemon be master of all, watches it for this long, kills it.
///
/// # Errors
/// What did not happen.
pub fn measure(daemon: &Daemon, phases: Phases, watch: Duration) -> Result<Crowd, String> {
    let mut pair = Pair::new()?;
    let master = |vrid: u8| match phases {
        Phases::Together => 200,
        // From 99.6 ms to 0.8 ms of skew.
        Phases::Spread => 1 + (vrid - 1) % 254,
    };
    let routers = |priority: &dyn Fn(u8) -> u8, preempt| -> Vec<_> {
        let router = |vrid| Router { vrid, priority: priority(vrid), interval: INTERVAL, preempt };
        (1..=ROUTERS).map(router).collect()
    };
    let mut first = pair.start(Side::Master, daemon, &routers(&master, true))?;
    pair.wait("an advert of each", |record| {
        (lasts(record).len() == usize::from(ROUTERS)).then_some(())
    })?;
    sleep(SETTLES);
    let processor = processor_time(&mut pair, &first, watch / 2)?;
    // It must not take over from those that are worse.
    let second = pair.start(Side::Backup, daemon, &routers(&|_| BACKUP, false))?;
    sleep(SETTLES);
    if !first.runs() || !second.runs() {
        return Err(format!("{daemon} has ended"));
    }
    pair.record()?;
    sleep(watch);
    let resident = first.resident();
    let (adverts, spread) = pair.recorded(regularity)?;
    first.kill();
    let addresses = addresses(&pair)?;
    let (lasts, mut found) = (pair.recorded(lasts), Vec::new());
    for (vrid, last) in lasts {
        let exact = last + master_down(BACKUP, INTERVAL);
        found.push(apart(addresses[&IpAddr::from(virtual_address(vrid))], exact));
    }
    let (first, last) = (addresses.values().min(), addresses.values().max());
    let first_to_last = last.zip(first).map(|(last, first)| *last - *first).unwrap_or_default();
    Ok(Crowd { addresses: found, first_to_last, adverts, phases: spread, processor, resident })
}

/// What the master takes per second while nobody hears it.
fn processor_time(pair: &mut Pair, master: &Running, watch: Duration) -> Result<Duration, String> {
    pair.be_deaf();
    let before = master.processor_time();
    sleep(watch);
    let taken = master.processor_time() - before;
    pair.record()?;
    Ok(taken.div_f64(watch.as_secs_f64()))
}

/// The master's last advert of each virtual router.
fn lasts(record: &Record) -> BTreeMap<u8, Duration> {
    of(record, Side::Master).map(|seen| (seen.vrid, seen.at)).collect()
}

/// When each virtual address came.
fn addresses(pair: &Pair) -> Result<BTreeMap<IpAddr, Duration>, String> {
    pair.wait("each virtual address", |record| {
        let virtual_addresses: BTreeMap<_, _> =
            record.addresses.iter().rev().map(|(at, address)| (*address, *at)).collect();
        (virtual_addresses.len() == usize::from(ROUTERS)).then_some(virtual_addresses)
    })
}

/// How late each advert was, and how much of the interval all of them take.
fn regularity(record: &Record) -> Result<(Vec<i64>, Duration), String> {
    if of(record, Side::Backup).next().is_some() {
        return Err("the backup has not heard the master".to_string());
    }
    Ok((lateness(record, INTERVAL), occupied(lasts(record).into_values())))
}

/// How far each advert of the master is from the one before it plus the interval.
pub(crate) fn lateness(record: &Record, interval: Duration) -> Vec<i64> {
    let (mut late, mut before) = (Vec::new(), BTreeMap::new());
    for seen in of(record, Side::Master) {
        if let Some(before) = before.insert(seen.vrid, seen.at) {
            late.push(apart(seen.at, before + interval));
        }
    }
    late
}

/// What the widest gap between two neighbouring phases leaves of the interval.
fn occupied(times: impl Iterator<Item = Duration>) -> Duration {
    let interval = INTERVAL.as_nanos();
    let phase = |time: Duration| u64::try_from(time.as_nanos() % interval).unwrap_or(0);
    let mut phases: Vec<_> = times.map(phase).collect();
    phases.sort_unstable();
    let around = phases.first().map(|first| *first + u64::try_from(interval).unwrap_or(0));
    let next = phases.iter().skip(1).copied().chain(around);
    let widest = phases.iter().zip(next).map(|(one, next)| next - one).max();
    INTERVAL - Duration::from_nanos(widest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(phases: &[u64]) -> Duration {
        occupied(phases.iter().map(|phase| Duration::from_millis(*phase)))
    }

    #[test]
    fn phases_take_what_their_widest_gap_leaves_also_across_the_end_of_the_interval() {
        assert_eq!(millis(&[5]), Duration::ZERO);
        assert_eq!(millis(&[105, 5, 205]), Duration::ZERO);
        assert_eq!(millis(&[95, 105, 1000]), Duration::from_millis(10));
        assert_eq!(millis(&[0, 25, 50, 75]), Duration::from_millis(75));
    }
}
