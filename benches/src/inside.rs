//! A kernel with IPVS: this machine's, or a user-mode Linux in which this program is run once more
//! for the same rows. That has one processor, and its system calls are slower than a real kernel's:
//! what is measured there is worth something beside what else was measured there.

use std::env;
use std::path::Path;
use std::time::Duration;

use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::uml::Inside;
use vipd_scenarios::scenario::Need;

use crate::figures::Figure;

/// The argument by which it prints rows for the program around it.
pub const ARGUMENT: &str = "--inside";

/// MiB: the largest table, two daemons that know it, and the files.
const MEMORY: u32 = 1536;

/// Whether this kernel lacks IPVS.
#[must_use]
pub fn is_needed() -> bool {
    !lacking(&[Need::Ipvs]).is_empty()
}

/// Runs this program with these arguments on a kernel that has it.
///
/// # Errors
/// What this machine lacks; what it said if it did not come to rows.
pub fn run(arguments: &[String], within: Duration) -> Result<Vec<Figure>, String> {
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let viplab = own.with_file_name("viplab");
    if !viplab.is_file() {
        let path = viplab.display();
        return Err(format!("{path} is not there: build it with `cargo build --release`"));
    }
    let text = |path: &Path| path.display().to_string();
    let command = [&[text(&own), ARGUMENT.to_string()], arguments].concat();
    let inside = Inside { command, viplab, memory: MEMORY, within, stop: || false };
    let finished = inside.run()?;
    let said = String::from_utf8_lossy(&finished.errors);
    eprint!("{said}");
    serde_json::from_slice(&finished.output).map_err(|_| {
        let last = said.lines().last().unwrap_or("it said nothing");
        format!("inside of user-mode Linux: {last}")
    })
}
