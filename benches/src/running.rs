//! A daemon that is measured: vipd or keepalived, in a namespace, with all of its processes.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use vipd_netns_tests::namespaces::Namespace;

/// Longer than a daemon that was asked to stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// Which one, and its program.
#[derive(Clone, Debug)]
pub enum Daemon {
    /// This project's.
    Vipd(PathBuf),
    /// keepalived, as it is installed.
    Keepalived(PathBuf),
}

/// What it is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Virtual routers alone.
    Routes,
    /// Virtual servers alone.
    Directs,
    /// Both.
    RoutesAndDirects,
}

impl Daemon {
    /// Which program that is.
    #[must_use]
    pub fn program(&self) -> &Path {
        match self {
            Self::Vipd(program) | Self::Keepalived(program) => program,
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vipd(_) => "vipd",
            Self::Keepalived(_) => "keepalived",
        })
    }
}

/// One that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// The shell before it is the program.
    program: PathBuf,
}

impl Running {
    /// Starts it with this file. What it says goes to `log`.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(
        daemon: &Daemon,
        role: Role,
        namespace: &Namespace,
        file: &Path,
        log: &Path,
    ) -> io::Result<Self> {
        let socket = log.with_extension("sock");
        let log = File::options().create(true).append(true).open(log)?;
        let [ip, words @ ..] = namespace.entering();
        let mut command = Command::new(ip);
        // What it writes below /run is its own: `ip netns exec` gives it mounts of its own.
        let gate = "mount -t tmpfs tmpfs /run && exec \"$@\"";
        command.args(words).args(["setpriv", "--pdeathsig", "TERM", "sh", "-c", gate, "sh"]);
        let program = match daemon {
            Daemon::Vipd(program) => {
                command.arg(program).args(["run", "--file"]).arg(file);
                // Without a virtual router in the file it has nothing else to do than to direct.
                command.args(["--vrrp"].iter().filter(|_| role == Role::Routes));
                command.arg("--socket").arg(socket);
                program
            }
            Daemon::Keepalived(program) => {
                // Without -G each line goes to the machine's console too, and waits for it.
                command.arg(program).args(["-n", "-l", "-G", "-f"]).arg(file);
                command.args(match role {
                    Role::Routes => &["-P"][..],
                    Role::Directs => &["-C"],
                    Role::RoutesAndDirects => &[],
                });
                command.args(["-p", "/run/keepalived.pid", "-r", "/run/vrrp.pid"]);
                command.args(["-c", "/run/checkers.pid"]);
                program
            }
        };
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { child: command.spawn()?, program: program.clone() })
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(mut self) {
        self.terminate();
        let until = Instant::now() + STOPS_WITHIN;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Has it read its file anew.
    pub fn reload(&self) {
        self.signal(Signal::SIGHUP);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, signal);
        }
    }

    /// SIGKILL to all of its processes: none lives on to start another one or to say goodbye.
    pub fn kill(&mut self) {
        let tree = self.tree();
        for process in &tree {
            let _ = kill(*process, Signal::SIGSTOP);
        }
        for process in tree.iter().rev() {
            let _ = kill(*process, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }

    /// The time that its processes have spent on a processor so far: the scheduler's count, not
    /// that of ticks, which would be a fourth of what vipd takes in the time that it is watched.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let taken = |pid: &Pid| clock_gettime(clock_getcpuclockid(*pid).ok()?).ok();
        self.tree().iter().filter_map(taken).map(Duration::from).sum()
    }

    /// `VmRSS` of its largest process, in octets. Much of what its processes have is the same.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let resident = |pid: &Pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        };
        self.tree().iter().filter_map(resident).max().unwrap_or(0) * 1024
    }

    /// Whether it is the program yet, and has not ended.
    #[must_use]
    pub fn runs(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        let program = fs::read_link(format!("/proc/{pid}/exe"));
        program.is_ok_and(|program| program.file_name() == self.program.file_name())
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().map(Pid::from_raw)
    }

    /// Parents first.
    fn tree(&self) -> Vec<Pid> {
        let mut tree: Vec<_> = self.pid().into_iter().collect();
        let mut next = 0;
        while let Some(parent) = tree.get(next).copied() {
            let path = format!("/proc/{parent}/task/{parent}/children");
            let listed = fs::read_to_string(path).unwrap_or_default();
            let children = listed.split_whitespace().filter_map(|pid| pid.parse().ok());
            tree.extend(children.map(Pid::from_raw));
            next += 1;
        }
        tree
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
