//! What the checks of real servers cost, and how late adverts are beside them: 10,000 checks every
//! 6 s, with 80,000 real servers in the table that is installed, reloaded and audited meanwhile.
//!
//! The real servers that are checked are on the machine that is measured: of the time that checks
//! cost only that of the daemon's own processes counts.

use std::thread::sleep;
use std::time::{Duration, Instant};

use vipd_netns_tests::namespaces::Namespaces;

use crate::answering::{self, Answered};
use crate::crowd::lateness;
use crate::pair::{Pair, Router, Side, of};
use crate::running::{Daemon, Role, Running};
use crate::servers::Table;

/// 10,000 of `TCP_CHECK` alone.
const CHECKED: Table = Table { services: 1000, servers: 10, checked: [10_000, 0], last_weight: 1 };
/// A tenth of the checks ask for a page over TLS.
const CROWDED: Table =
    Table { services: 1000, servers: 80, checked: [10_000, 1000], last_weight: 1 };

/// Adverts of so many virtual routers, to have many to look at.
const ROUTERS: u8 = 10;
const INTERVAL: Duration = Duration::from_millis(100);
/// Checks are spread over 6 s, and begin within the first ones.
const SETTLES: Duration = Duration::from_secs(8);

/// What was measured of checks alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// How many were answered in a second.
    pub per_second: f64,
    /// Processor time of the daemon per second.
    pub processor: Duration,
    /// Processor time of the daemon per answered check.
    pub each: Duration,
}

/// What was measured of adverts.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// An advert from the one before it plus the interval, in nanoseconds.
    pub adverts: Vec<i64>,
    /// How many adverts the backup sent: none is right.
    pub of_backup: usize,
    /// How many checks were answered in a second.
    pub per_second: f64,
}

/// Lets a daemon check the real servers, and nothing else.
///
/// # Errors
/// What did not happen.
pub fn cost(daemon: &Daemon, watch: Duration) -> Result<Cost, String> {
    let mut namespaces = Namespaces::new()?;
    let namespace = namespaces.add("checks")?;
    let answered = answering::start(&namespace)?;
    let folder = namespaces.folder();
    let (file, log) = (folder.join("keepalived.conf"), folder.join("log"));
    std::fs::write(&file, CHECKED.text()).map_err(|error| error.to_string())?;
    let running = Running::start(daemon, Role::Directs, &namespace, &file, &log);
    let running = running.map_err(|error| format!("{daemon}: {error}"))?;
    begins(daemon, &answered)?;
    sleep(SETTLES);
    let (began, taken, count) = (Instant::now(), running.processor_time(), answered.count());
    sleep(watch);
    let (taken, count) = (running.processor_time() - taken, answered.count() - count);
    let seconds = began.elapsed().as_secs_f64();
    if !running.runs() || count == 0 {
        return Err(format!("{daemon} does not check"));
    }
    Ok(Cost {
        per_second: count as f64 / seconds,
        processor: taken.div_f64(seconds),
        each: taken.div_f64(count as f64),
    })
}

/// Lets a daemon be the master of some virtual routers, has it install and reload a large table
/// and check, for this long.
///
/// # Errors
/// What did not happen.
pub fn beside(daemon: &Daemon, watch: Duration) -> Result<Beside, String> {
    let mut pair = Pair::new()?;
    let answered = answering::start(pair.namespace(Side::Master))?;
    let routers = |priority| -> Vec<_> {
        let router = |vrid| Router { vrid, priority, interval: INTERVAL, preempt: true };
        (1..=ROUTERS).map(router).collect()
    };
    let (mut table, own) = (CROWDED, routers(200));
    // It is master before it has many servers, so that its adverts are seen while it installs.
    pair.write(Side::Master, &own, &Table::unchecked(1, 1).text())?;
    let first = pair.start_as(Side::Master, daemon, Role::RoutesAndDirects)?;
    pair.wait("an advert of the master", |record| of(record, Side::Master).next().map(drop))?;
    let second = pair.start(Side::Backup, daemon, &routers(100))?;
    sleep(Duration::from_secs(2));
    pair.record()?;
    pair.write(Side::Master, &own, &table.text())?;
    first.reload();
    begins(daemon, &answered)?;
    sleep(SETTLES);
    let (began, count) = (Instant::now(), answered.count());
    // One changed weight in each half.
    for weight in [2, 3] {
        table.last_weight = weight;
        pair.write(Side::Master, &own, &table.text())?;
        first.reload();
        sleep(watch / 2);
    }
    let seconds = began.elapsed().as_secs_f64();
    if !first.runs() || !second.runs() {
        return Err(format!("{daemon} has ended"));
    }
    let adverts = pair.recorded(|record| lateness(record, INTERVAL));
    // What was not sent is not late.
    let due = usize::from(ROUTERS) * (watch.as_millis() / INTERVAL.as_millis()) as usize;
    if adverts.len() < due / 2 {
        return Err(format!("{daemon} sent {} adverts, {due} were due", adverts.len()));
    }
    Ok(Beside {
        adverts,
        of_backup: pair.recorded(|record| of(record, Side::Backup).count()),
        per_second: (answered.count() - count) as f64 / seconds,
    })
}

/// The first check may come late: nothing is checked before all is read.
fn begins(daemon: &Daemon, answered: &Answered) -> Result<(), String> {
    let began = Instant::now();
    while answered.count() == 0 {
        if began.elapsed() > Duration::from_secs(120) {
            return Err(format!("{daemon} checks nothing"));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
