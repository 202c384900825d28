//! What it takes to read a large file and to find no fault in it: `vipd check` beside
//! `keepalived -t`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::running::Daemon;
use crate::servers::Table;

/// 80,000 real servers with a check each.
const TABLE: Table = Table { services: 1000, servers: 80, checked: [80_000, 0], last_weight: 1 };

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Processor time of each run, in nanoseconds.
    pub processor: Vec<i64>,
    /// The most memory that a run had at a time, in octets.
    pub memory: u64,
}

/// Lets each read the file this often, vipd first: a process hears of the most memory that any of
/// its children had, and vipd's is to be the less.
///
/// # Errors
/// That one found a fault, or that the memory of the second cannot be told from that of the first.
pub fn measure(daemons: &[Daemon; 2], folder: &Path, runs: u32) -> Result<[Parsed; 2], String> {
    let file = folder.join("large.conf");
    fs::write(&file, TABLE.text()).map_err(|error| error.to_string())?;
    let [vipd, keepalived] = daemons;
    let found = [read(vipd, &file, runs)?, read(keepalived, &file, runs)?];
    if found[1].memory <= found[0].memory {
        return Err(format!("keepalived took no more memory than {} octets", found[0].memory));
    }
    Ok(found)
}

fn read(daemon: &Daemon, file: &Path, runs: u32) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    for _ in 0..runs {
        let before = of_children()?.0;
        let mut command = Command::new(daemon.program());
        match daemon {
            Daemon::Vipd(_) => command.arg("check").arg(file),
            Daemon::Keepalived(_) => command.args(["-t", "-f"]).arg(file),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().map_err(|error| format!("{daemon}: {error}"))?;
        if !status.success() {
            return Err(format!("{daemon} does not take the file: {status}"));
        }
        let (taken, memory) = of_children()?;
        parsed.processor.push((taken - before).as_nanos() as i64);
        parsed.memory = memory;
    }
    Ok(parsed)
}

/// Processor time of all children so far, and the most memory of one of them.
fn of_children() -> Result<(Duration, u64), String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    let [user, system] = [usage.user_time(), usage.system_time()].map(|time| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    });
    Ok((user + system, usage.max_rss() as u64 * 1024))
}
