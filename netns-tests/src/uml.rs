//! A kernel of its own for one command: user-mode Linux, an ordinary process, which has IPVS and
//! netem where this machine's kernel may lack them.
//!
//! It sees this machine's files and can write to none of them: what is written to /tmp, /run and
//! /var/log stays in its memory, and one folder takes the results. This program is its init, in
//! [`init`]. It needs no root.

pub(crate) mod agree;
pub mod init;
pub mod play;

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use vipd_sim::output::Output;

use crate::run::found;

/// Where Debian keeps the modules of user-mode Linux: not where modprobe looks.
const MODULES: &str = "/usr/lib/uml/modules";
/// By this variable init knows that it is one, and where the results go.
pub(crate) const FOLDER: &str = "VIPLAB_RESULTS";

/// `uml/registers.c`: without it user-mode Linux ends on a processor with AMX. Empty where no such
/// processor is.
const REGISTERS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/registers.so"));

/// Memory that every command and scenario has enough of, MiB.
pub const MEMORY: u32 = 512;

/// Files of the folder: what is to be done, and what came of it.
const ORDER: &str = "order.json";
const STATUS: &str = "status";
const OUTPUT: &str = "stdout";
const ERRORS: &str = "stderr";
const CONSOLE: &str = "console";
const LIBRARY: &str = "registers.so";

/// What it says on its console when it ends by itself is not worth more.
const CONSOLE_LINES: usize = 20;
/// How long it may take to end once it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// What is done inside, and how long it may take.
#[derive(Clone, Debug)]
pub struct Inside {
    /// The program and its arguments. It runs as root, in the current folder and with the
    /// variables of this process.
    pub command: Vec<String>,
    /// The program `viplab`, which is init there.
    pub viplab: PathBuf,
    /// Memory of the machine, MiB.
    pub memory: u32,
    /// It is ended after this long, the boot of some 3 s included.
    pub within: Duration,
    /// Asked now and then: yes ends it.
    pub stop: fn() -> bool,
}

/// What came of it. The folder of the results goes with it.
#[derive(Debug)]
pub struct Finished {
    /// Exit status of the command; 128 and the signal's number if that ended it.
    pub status: u8,
    /// What it wrote.
    pub output: Vec<u8>,
    /// What it wrote to standard error.
    pub errors: Vec<u8>,
    folder: Folder,
}

/// What init is told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    command: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What user-mode Linux needs and this machine lacks, in words.
///
/// # Errors
/// If it lacks something.
pub fn is_possible() -> Result<(), String> {
    for (program, package) in [("linux.uml", "user-mode-linux"), ("modprobe", "kmod")] {
        if found(program).is_none() {
            return Err(format!("{program} is not installed (Debian package {package})"));
        }
    }
    if !Path::new(MODULES).is_dir() {
        return Err(format!("{MODULES} is not there (Debian package user-mode-linux)"));
    }
    Ok(())
}

impl Inside {
    /// Boots, waits and gives back what came of it.
    ///
    /// # Errors
    /// What this machine lacks; what went wrong with the boot; that it took too long.
    pub fn run(&self) -> Result<Finished, String> {
        is_possible()?;
        let folder = self.hand_over().map_err(|error| format!("cannot hand over: {error}"))?;
        let mut machine = self.boot(&folder.0)?;
        let deadline = Instant::now() + self.within;
        let result = loop {
            match machine.try_wait() {
                Ok(Some(_)) => break Ok(()),
                Ok(None) if (self.stop)() => break Err("it was interrupted".to_string()),
                Ok(None) if Instant::now() >= deadline => {
                    break Err(format!("it was ended after {:?}", self.within));
                }
                Ok(None) => sleep(POLL),
                Err(error) => break Err(format!("cannot wait for user-mode Linux: {error}")),
            }
        };
        end(&mut machine);
        let read = |name| fs::read(folder.0.join(name)).unwrap_or_default();
        let status = String::from_utf8_lossy(&read(STATUS)).trim().parse();
        let (output, errors) = (read(OUTPUT), read(ERRORS));
        match (result, status) {
            (_, Ok(status)) => Ok(Finished { status, output, errors, folder }),
            (Ok(()), Err(_)) => Err(format!(
                "user-mode Linux did not come to an end; its last words:\n{}",
                tail(&read(CONSOLE))
            )),
            (Err(why), Err(_)) => Err(format!(
                "{why}; it had written:\n{}{}",
                String::from_utf8_lossy(&output),
                String::from_utf8_lossy(&errors)
            )),
        }
    }

    /// Writes what init is to do into a new folder.
    fn hand_over(&self) -> io::Result<Folder> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Of such a name it is removed by the next laboratory if this one is killed.
        let name = format!("viplab-{}-{number}-uml", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        let folder = Folder(folder);
        let order = Order {
            command: self.command.clone(),
            folder: env::current_dir()?,
            environment: env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        };
        fs::write(folder.0.join(ORDER), serde_json::to_vec(&order)?)?;
        fs::write(folder.0.join(LIBRARY), REGISTERS)?;
        Ok(folder)
    }

    fn boot(&self, folder: &Path) -> Result<Child, String> {
        let (init, place) = (word(&self.viplab)?, word(folder)?);
        let console = File::create(folder.join(CONSOLE)).map_err(|error| error.to_string())?;
        let mut command = Command::new("setpriv");
        // It ends with us, and with it all of its processes.
        command.args(["--pdeathsig", "TERM"]);
        if let Some(processor) = processor() {
            command.args(["taskset", "--cpu-list", &processor.to_string()]);
        }
        if !REGISTERS.is_empty() {
            command.args(["env", &format!("LD_PRELOAD={place}/{LIBRARY}")]);
        }
        command.arg("linux.uml");
        command.args([&format!("mem={}M", self.memory), "rootfstype=hostfs", "rootflags=/", "ro"]);
        command.args(["quiet", "con=null", "con0=null,fd:1", "umid=viplab"]);
        command.args([&format!("uml_dir={place}"), &format!("init={init}")]);
        command.arg(format!("{FOLDER}={place}"));
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(console).process_group(0);
        command.spawn().map_err(|error| format!("cannot run setpriv: {error}"))
    }
}

impl Finished {
    /// Where a file is that the command left in [`init::RESULTS`].
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Writes what the command left in the file of this name, if it left any.
    pub(crate) fn hand_over(&self, name: &str, output: Output) -> Result<(), String> {
        let made = self.file(name);
        if !made.exists() {
            return Ok(());
        }
        let octets = fs::read(&made);
        let octets = octets.map_err(|error| format!("cannot read {}: {error}", made.display()))?;
        output.write(&octets)
    }
}

/// The processor for the next machine. It has one, but on this machine its kernel and each of its
/// processes are a process each, of which one waits for the other in every system call: to wake one
/// on another processor takes many times as long. Several machines take turns.
fn processor() -> Option<usize> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let allowed = sched_getaffinity(Pid::this()).ok()?;
    let is_allowed = |processor: &usize| allowed.is_set(*processor).unwrap_or(false);
    let all: Vec<_> = (0..CpuSet::count()).filter(is_allowed).collect();
    let next = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id());
    all.get(next as usize % all.len().max(1)).copied()
}

/// Told to, it takes its processes along. What is left of one that does not hear is of its group.
fn end(machine: &mut Child) {
    let pid = Pid::from_raw(machine.id().cast_signed());
    let told = Instant::now();
    while matches!(machine.try_wait(), Ok(None)) && told.elapsed() < ENDS_WITHIN {
        let _ = kill(pid, Signal::SIGTERM);
        sleep(POLL);
    }
    let _ = killpg(pid, Signal::SIGKILL);
    let _ = machine.wait();
    // The others of the group end when they get a processor.
    let killed = Instant::now();
    while killpg(pid, None).is_ok() && killed.elapsed() < ENDS_WITHIN {
        sleep(POLL);
    }
}

/// A path as a word of a kernel's command line.
fn word(path: &Path) -> Result<&str, String> {
    let text = path.to_str().filter(|text| !text.contains(char::is_whitespace));
    text.ok_or_else(|| format!("{} cannot be told to a kernel: it has spaces", path.display()))
}

fn tail(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_space_is_no_word() {
        assert_eq!(word(Path::new("/a/b")), Ok("/a/b"));
        assert!(word(Path::new("/a b")).is_err());
    }

    #[test]
    fn the_last_words_are_few() {
        let console: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let words = tail(console.as_bytes());
        assert!(words.starts_with("line 80\n") && words.ends_with("line 99"), "{words}");
    }
}
