//! Network namespaces with names of their own, which are gone when their owner is.
//!
//! A name is `viplab-PID-NUMBER` and what it is for. Whoever starts next removes what a process
//! that died left behind, and ends what still runs there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where iproute2 keeps named namespaces.
const FOLDER: &str = "/run/netns";
const PREFIX: &str = "viplab-";

/// A laboratory's namespaces and its folder.
#[derive(Debug)]
pub struct Namespaces {
    prefix: String,
    folder: PathBuf,
    made: Vec<Namespace>,
}

/// One namespace.
#[derive(Clone, Debug)]
pub struct Namespace(String);

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Namespaces {
    /// None yet, but names for them; and nothing of those who died.
    ///
    /// # Errors
    /// What this machine lacks, in words.
    pub fn new() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("network namespaces need root: try sudo".to_string());
        }
        remove_leftovers();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&prefix);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { prefix, folder, made: Vec::new() })
    }

    /// Makes one, with its loopback up and without any IPv6 address that nobody gave it.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn add(&mut self, what: &str) -> Result<Namespace, String> {
        let name = format!("{}-{what}", self.prefix);
        ip(&["netns", "add", &name], "")?;
        let namespace = Namespace(name);
        self.made.push(namespace.clone());
        namespace.within(quiet)?.map_err(|error| format!("{}: {error}", namespace.0))?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// A folder that goes with them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.made.iter().for_each(Namespace::remove);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Namespace {
    /// The words that run a program in it.
    #[must_use]
    pub fn entering(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.0]
    }

    /// Lines of `ip` in it.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn ip(&self, lines: &str) -> Result<(), String> {
        ip(&["-n", &self.0, "-batch", "-"], lines)
    }

    /// Runs a program in it, to its end.
    ///
    /// # Errors
    /// What it says, or that there is no such program.
    pub fn run(&self, words: &[&str]) -> Result<(), String> {
        ip(&[&["netns", "exec", &self.0], words].concat(), "")
    }

    /// The name that a link is moved to it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Does something on a thread that has entered it: sockets that are opened there stay there.
    ///
    /// # Errors
    /// Why it could not be entered.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T, String> {
        let file = Path::new(FOLDER).join(&self.0);
        let entered = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(File::open(&file)?, CloneFlags::CLONE_NEWNET)?;
                Ok::<T, io::Error>(act())
            });
            thread.join()
        });
        match entered {
            Ok(result) => result.map_err(|error| format!("cannot enter {}: {error}", self.0)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn remove(&self) {
        for process in self.processes() {
            let _ = kill(process, Signal::SIGKILL);
        }
        // One that is not there any more cannot be removed.
        let _ = ip(&["netns", "delete", &self.0], "");
    }

    fn processes(&self) -> Vec<Pid> {
        let listed = Command::new("ip").args(["netns", "pids", &self.0]).output();
        let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let lines = listed.unwrap_or_default();
        lines.lines().filter_map(|line| line.trim().parse().ok().map(Pid::from_raw)).collect()
    }
}

/// Runs `ip` with these words and lines.
fn ip(words: &[&str], lines: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot run ip (Debian package iproute2): {error}");
    let mut command = Command::new("ip");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(lines.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {} {}: {}", words.join(" "), lines.trim().replace('\n', "; "), said.trim()))
}

/// Before any link is there: no address is made up, none is doubted, no router is asked for.
fn quiet() -> io::Result<()> {
    for (key, value) in [("accept_dad", "0"), ("accept_ra", "0"), ("router_solicitations", "0")] {
        for scope in ["all", "default"] {
            match fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{key}"), value) {
                // A kernel without IPv6 has nothing to be quiet about.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes what those who died left: namespaces, what runs in them, folders.
fn remove_leftovers() {
    for name in left_in(Path::new(FOLDER)) {
        Namespace(name).remove();
    }
    let folders = std::env::temp_dir();
    for name in left_in(&folders) {
        let _ = fs::remove_dir_all(folders.join(name));
    }
}

fn left_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| is_left_over(name, |pid| Path::new(&format!("/proc/{pid}")).exists()))
        .collect()
}

fn is_left_over(name: &str, lives: impl FnOnce(u32) -> bool) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    owner.and_then(|pid| pid.parse().ok()).is_some_and(|pid| !lives(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_laboratory_made_is_left_over() {
        assert!(is_left_over("viplab-77-0-wires", |pid| pid != 77));
        assert!(!is_left_over("viplab-77-0-wires", |pid| pid == 77));
        for foreign in ["vipd-77-0", "viplab-x-0", "viplab-", "lab-77-0", "my-viplab-77-0"] {
            assert!(!is_left_over(foreign, |_| false), "{foreign}");
        }
    }
}
