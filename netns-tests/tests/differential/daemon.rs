//! keepalived or vipd in a namespace of its own, told to do health checks alone (`-C`).

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd_netns_tests::namespaces::Namespace;

/// Longer than a stop takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Keepalived,
    Vipd,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keepalived => "keepalived",
            Self::Vipd => "vipd",
        }
    }
}

/// One that runs, or ran.
pub struct Daemon {
    kind: Kind,
    namespace: Namespace,
    folder: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// One that does not run yet; its files are in a folder of its own.
    pub fn new(kind: Kind, namespace: Namespace, folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder of ours");
        let vipd = Path::new(env!("CARGO_BIN_EXE_viplab")).with_file_name("vipd");
        assert!(vipd.exists(), "{} is built by: cargo build -p vipd", vipd.display());
        // By this name it takes the options of the other one.
        symlink(vipd, folder.join("keepalived")).expect("a link of ours");
        Self { kind, namespace, folder, child: None }
    }

    pub fn write(&self, file: &str) {
        fs::write(self.folder.join("keepalived.conf"), file).expect("a file of ours");
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn start(&mut self) {
        let own = |name: &str| self.folder.join(name);
        let [_, words @ ..] = self.namespace.entering();
        let mut command = Command::new("ip");
        // Of keepalived only the parent gets this signal, and ends the others.
        command.args(words).args(["setpriv", "--pdeathsig", "TERM"]);
        match self.kind {
            Kind::Keepalived => command.arg("keepalived"),
            Kind::Vipd => command.arg(own("keepalived")).arg("--socket").arg(own("control.sock")),
        };
        command.args(["-n", "-l", "-G", "-D", "-C", "-f"]).arg(own("keepalived.conf"));
        command.arg("-p").arg(own("pid")).arg("-c").arg(own("checkers"));
        let log = File::options().create(true).append(true).open(own("log")).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// SIGHUP.
    pub fn reload(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// SIGTERM, until it has ended.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.wait();
    }

    /// All of its processes, before any of them can act on the end of another one.
    pub fn kill(&mut self) {
        let own = self.pid();
        self.signal(Signal::SIGSTOP);
        let listed = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children: Vec<i32> =
            listed.expect("a process").split_whitespace().map(number).collect();
        for child in children.into_iter().chain([own.as_raw()]) {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        self.wait();
        // Whoever comes next is not to take another process for this one.
        for name in ["pid", "checkers", "control.sock"] {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it was started");
        Pid::from_raw(child.id().cast_signed())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{error}: {}", self.log()));
    }

    fn wait(&mut self) {
        let began = Instant::now();
        let child = self.child.as_mut().expect("it was started");
        while child.try_wait().expect("a process of ours").is_none() {
            assert!(began.elapsed() < PATIENCE, "{} does not end", self.kind.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child = None;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn number(text: &str) -> i32 {
    text.parse().expect("a process id")
}
