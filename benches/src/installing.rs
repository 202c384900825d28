//! How long it takes until the kernel's table is complete: 1,000 virtual servers with 10 real
//! servers each, from the start of the program on; and how much of that is the kernel's own.

use std::fs;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use vipd::ipvs::{Command, DestinationSpec, Ipvs};
use vipd_engine::config::director::Service;
use vipd_netns_tests::namespaces::{Namespace, Namespaces};

use crate::running::{Daemon, Role, Running};
use crate::servers::Table;

const TABLE: Table = Table::unchecked(1000, 10);
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(120);
/// In each run.
const EXCHANGES: usize = 20;
const POLL: Duration = Duration::from_millis(2);

/// What was measured, in nanoseconds, one per run.
#[derive(Clone, Debug, Default)]
pub struct Installed {
    /// From the start of the program until the table is complete.
    pub complete: Vec<i64>,
    /// The same commands ordered of the kernel by nobody who has to know what they mean, as many
    /// by one call as this daemon has.
    pub kernel: Vec<i64>,
    /// Ten real servers leave and the sorry server comes, ordered as many at a time as this daemon
    /// does: for less than this nobody is there.
    pub exchange: Vec<i64>,
}

/// Lets a daemon install the table this often.
///
/// # Errors
/// What did not happen.
pub fn measure(daemon: &Daemon, runs: usize) -> Result<Installed, String> {
    let mut namespaces = Namespaces::new()?;
    let folder = namespaces.folder().to_path_buf();
    let file = folder.join("keepalived.conf");
    fs::write(&file, TABLE.text()).map_err(|error| error.to_string())?;
    let (commands, services) = (TABLE.commands(), TABLE.services().collect::<Vec<_>>());
    let mut found = Installed::default();
    for run in 0..runs {
        let namespace = namespaces.add(&format!("{daemon}{run}"))?;
        let mut ipvs = open(&namespace)?;
        let log = folder.join(format!("{daemon}{run}.log"));
        let running = Running::start(daemon, Role::Directs, &namespace, &file, &log);
        let running = running.map_err(|error| format!("{daemon}: {error}"))?;
        let began = Instant::now();
        while !running.runs() {
            waits(began, daemon, "start")?;
        }
        let began = Instant::now();
        loop {
            let last = services.last().copied().into_iter();
            if destinations(&mut ipvs, last)? == TABLE.servers {
                let taken = began.elapsed();
                if destinations(&mut ipvs, services.iter().copied())? == TABLE.all() {
                    found.complete.push(taken.as_nanos() as i64);
                    break;
                }
            }
            waits(began, daemon, "complete the table")?;
        }
        running.stop();
        // It may have been killed at that, and what is there twice takes room.
        flush(&mut ipvs)?;
        // Where a destination was just removed the kernel looks among those first.
        let mut untouched = open(&namespaces.add(&format!("{daemon}{run}kernel"))?)?;
        found.kernel.push(bare(daemon, &mut untouched, &commands)?.as_nanos() as i64);
        flush(&mut untouched)?;
        let mut untouched = open(&namespaces.add(&format!("{daemon}{run}exchange"))?)?;
        for _ in 0..EXCHANGES {
            found.exchange.push(exchanged(daemon, &mut untouched)?.as_nanos() as i64);
        }
    }
    Ok(found)
}

/// A virtual server's ten real servers are exchanged for another one.
fn exchanged(daemon: &Daemon, ipvs: &mut Ipvs) -> Result<Duration, String> {
    let installed = Table::unchecked(1, 10).commands();
    bare(daemon, ipvs, &installed)?;
    let mut exchange = Vec::new();
    for command in installed.into_iter().rev() {
        if let Command::AddDestination(service, spec) = command {
            if exchange.is_empty() {
                let address = IpAddr::from([192, 0, 2, 1]);
                exchange
                    .push(Command::AddDestination(service, DestinationSpec { address, ..spec }));
            }
            exchange.insert(0, Command::RemoveDestination(service, spec.address, spec.port));
        }
    }
    let taken = bare(daemon, ipvs, &exchange)?;
    flush(ipvs)?;
    Ok(taken)
}

fn flush(ipvs: &mut Ipvs) -> Result<(), String> {
    let results = ipvs.perform(&[Command::Flush]).map_err(|error| error.to_string())?;
    results.into_iter().collect::<Result<(), _>>().map_err(|error| error.to_string())
}

/// What the kernel takes for the same.
fn bare(daemon: &Daemon, ipvs: &mut Ipvs, commands: &[Command]) -> Result<Duration, String> {
    let at_once = match daemon {
        Daemon::Vipd(_) => commands.len(),
        Daemon::Keepalived(_) => 1,
    };
    let began = Instant::now();
    for some in commands.chunks(at_once) {
        let results = ipvs.perform(some).map_err(|error| error.to_string())?;
        if let Some(failure) = results.into_iter().find_map(Result::err) {
            return Err(format!("the kernel does not take a command: {failure}"));
        }
    }
    Ok(began.elapsed())
}

fn open(namespace: &Namespace) -> Result<Ipvs, String> {
    namespace.within(Ipvs::open)?.map_err(|error| error.to_string())
}

fn destinations(ipvs: &mut Ipvs, services: impl Iterator<Item = Service>) -> Result<u32, String> {
    let mut count = 0;
    for service in services {
        let there = ipvs.destinations(service).map_err(|error| error.to_string())?;
        count += there.len() as u32;
    }
    Ok(count)
}

fn waits(since: Instant, daemon: &Daemon, what: &str) -> Result<(), String> {
    if since.elapsed() > PATIENCE {
        return Err(format!("{daemon} did not {what} in time"));
    }
    sleep(POLL);
    Ok(())
}
