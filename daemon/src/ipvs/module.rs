//! Has the kernel load its IPVS where a file needs it. That takes privileges that vipd gives up, so
//! it is done before that, and by the helper after a reload.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use tracing::{info, warn};
use vipd_config::Loaded;

use super::client::{Error, Ipvs};

/// Names the program that the kernel itself loads modules with.
const PROGRAM: &str = "/proc/sys/kernel/modprobe";
const MODULE: &str = "ip_vs";

/// Whether a file has virtual servers.
#[must_use]
pub fn is_needed(loaded: &Loaded) -> bool {
    !loaded.config.director().virtual_servers.is_empty()
}

/// Loads it, if the file has virtual servers and the kernel has no IPVS. What keeps it from being
/// loaded is a warning: whether it is there is found out by whoever uses it.
pub fn load_if_needed(loaded: &Loaded) {
    if !is_needed(loaded) || !matches!(Ipvs::open(), Err(Error::NotInKernel)) {
        return;
    }
    let program = fs::read_to_string(PROGRAM).unwrap_or_default();
    match load(program.trim()) {
        Ok(true) => info!("the module {MODULE} was loaded"),
        // A kernel without modules, or a container: there is nothing to load with.
        Ok(false) => {}
        Err(why) => warn!("the module {MODULE} is not loaded: {why}"),
    }
}

/// Whether it would be loaded, which is tried without doing it.
#[must_use]
pub fn can_be_loaded() -> bool {
    would_load(fs::read_to_string(PROGRAM).unwrap_or_default().trim())
}

fn would_load(program: &str) -> bool {
    let mut trying = Command::new(program);
    trying.args(["--dry-run", "-q", "--", MODULE]).stdin(Stdio::null());
    !program.is_empty() && trying.output().is_ok_and(|ended| ended.status.success())
}

/// Whether there is such a program.
fn load(program: &str) -> Result<bool, String> {
    if program.is_empty() {
        return Ok(false);
    }
    let loading = Command::new(program).args(["-q", "--", MODULE]).stdin(Stdio::null()).output();
    match loading {
        Ok(ended) if ended.status.success() => Ok(true),
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stderr);
            let first = said.lines().next().unwrap_or_default().trim();
            Err(format!("{program} ended with {} {first}", ended.status).trim_end().to_string())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("cannot run {program}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_no_failure_and_one_that_fails_is() {
        assert_eq!(load(""), Ok(false));
        assert_eq!(load("/nowhere/modprobe"), Ok(false));
        assert_eq!(load("/bin/true"), Ok(true));
        let why = load("/bin/false").expect_err("it fails");
        assert_eq!(why, "/bin/false ended with exit status: 1");
        let why = load("/dev/null").expect_err("no program");
        assert!(why.starts_with("cannot run /dev/null: "), "{why}");
        let would = ["", "/nowhere/modprobe", "/bin/false", "/bin/true"].map(would_load);
        assert_eq!(would, [false, false, false, true]);
    }
}
