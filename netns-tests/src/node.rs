//! The VRRP process of a host: vipd, keepalived or FRR, in the host's namespace.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd_engine::{Event, Order};

use crate::namespaces::Namespace;
use crate::word::Word;

/// Which implementation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// This project's.
    #[default]
    Vipd,
    /// keepalived, as it is installed.
    Keepalived,
    /// FRR's vrrpd with its zebra, as they are installed.
    Frr,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "vipd" => Ok(Self::Vipd),
            "keepalived" => Ok(Self::Keepalived),
            "frr" => Ok(Self::Frr),
            other => Err(format!("`{other}` is none of vipd, keepalived and frr")),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vipd => "vipd",
            Self::Keepalived => "keepalived",
            Self::Frr => "frr",
        })
    }
}

/// The argument by which vipd and keepalived leave virtual servers alone.
pub(crate) const VRRP_ONLY: &str = "--vrrp";

/// The file by which the shell that becomes the program says that it waits.
const READY: &str = "ready";

/// The control socket of a vipd, in its own `/run`.
const CONTROL: &str = "/run/vipd.sock";
/// How long a node may take to obey an order. Meanwhile no frame of anybody passes.
const OBEYS_WITHIN: Duration = Duration::from_millis(200);

/// What a shell does that becomes the program: it waits for the word. What is written below /run
/// is the node's own: `ip netns exec` gives it mounts of its own.
const GATE: &str =
    "mount -t tmpfs tmpfs /run && >\"$1\" && shift && read go && exec \"$@\" </dev/null";

/// The same for FRR: zebra runs before vrrpd can. A signal to stop is vrrpd's; zebra goes after
/// it, once it has done what vrrpd asked of it last. Both give up root, and keep their files
/// where the user frr may write.
const FRR_GATE: &str = r#"
mark=$1 vrrpd=$2 file=$3 run=/run/frr
as="-u frr -g frr -P 0 --log stdout"
mount -t tmpfs tmpfs /run && install -d -o frr -g frr $run &&
  install -o frr -g frr -m 600 "$file" $run/vrrpd.conf &&
  install -o frr -g frr -m 600 /dev/null $run/zebra.conf || exit 1
daemon() {
  exec "${vrrpd%/*}/$1" -f $run/$1.conf -i $run/$1.pid -z $run/zserv --vty_socket $run $as
}
v=
trap 'if [ "$v" ]; then kill "$v"; else kill "$z"; exit 1; fi' TERM
(daemon zebra </dev/null) & z=$!
until [ -S $run/zserv ]; do kill -0 $z || exit 1; sleep 0.01; done
>"$mark"
read go || { kill $z; exit 1; }
(daemon vrrpd </dev/null) & v=$!
wait $v; status=$?
# The trap interrupts the first wait.
if [ $status -gt 128 ]; then wait $v; status=$?; fi
sleep 0.1
kill $z
wait $z
exit $status
"#;

/// A host's process, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Node {
    program: PathBuf,
    kind: Kind,
    /// The host's name, which is also the config-id.
    host: String,
    namespace: Namespace,
    /// Its own: the configuration in place, the control socket, the log.
    folder: PathBuf,
    /// What the program is told besides where its files are.
    arguments: Vec<String>,
    /// What stands there at a start.
    own_file: PathBuf,
    child: Option<Child>,
    /// What becomes the process at the next start.
    ready: Option<Child>,
    /// What it says of itself, if it is vipd and listens.
    word: Option<Word>,
    /// It was asked to stop.
    pub(crate) stopping: bool,
    /// A start came meanwhile. It waits for the end, unless a stop or a kill takes it back.
    pub(crate) start_wanted: bool,
}

impl Node {
    /// A process that does not run yet, with this file in place. The arguments are those that
    /// the program gets besides where its files are.
    pub(crate) fn new(
        (kind, program): (Kind, PathBuf),
        host: &str,
        namespace: &Namespace,
        folder: PathBuf,
        file: &Path,
        arguments: Vec<String>,
    ) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let (host, namespace) = (host.to_string(), namespace.clone());
        let (child, ready, word) = (None, None, None);
        let mut node = Self {
            program,
            kind,
            host,
            namespace,
            folder,
            arguments,
            own_file: PathBuf::new(),
            child,
            ready,
            word,
            stopping: false,
            start_wanted: false,
        };
        node.put(file)?;
        node.make_ready()?;
        Ok(node)
    }

    /// Puts this file in place, with everything beside it: it may include its neighbours.
    pub(crate) fn put(&mut self, file: &Path) -> io::Result<()> {
        self.own_file = fs::canonicalize(file)?;
        self.put_for_now(file)
    }

    /// The same, until the next start: that reads the file before it.
    pub(crate) fn put_for_now(&self, file: &Path) -> io::Result<()> {
        let file = fs::canonicalize(file)?;
        let beside = self.folder.join("conf");
        let _ = fs::remove_dir_all(&beside);
        fs::create_dir(&beside)?;
        for entry in fs::read_dir(file.parent().unwrap_or(Path::new("/")))? {
            let entry = entry?;
            symlink(entry.path(), beside.join(entry.file_name()))?;
        }
        symlink(&file, self.file())
    }

    fn file(&self) -> PathBuf {
        self.folder.join("conf").join(".in-place.conf")
    }

    /// Starts it. What a laboratory needs for that was done before: it is not to be measured.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        if fs::read_link(self.file())? != self.own_file {
            self.put_for_now(&self.own_file)?;
        }
        let mut child = match self.ready.take() {
            Some(child) => child,
            None => self.prepare()?,
        };
        if let Some(mut gate) = child.stdin.take() {
            gate.write_all(b"go\n")?;
        }
        self.child = Some(child);
        self.word = None;
        self.stopping = false;
        Ok(())
    }

    /// Makes ready for the next start.
    pub(crate) fn make_ready(&mut self) -> io::Result<()> {
        if self.ready.is_none() {
            self.ready = Some(self.prepare()?);
        }
        Ok(())
    }

    /// A shell in the namespace that becomes the program when it is told to. It ends when the
    /// laboratory does, however that ends.
    fn prepare(&self) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mark = self.folder.join(READY);
        let _ = fs::remove_file(&mark);
        let entering = self.namespace.entering();
        let mut command = Command::new(entering[0]);
        command.args(&entering[1..]).args(["setpriv", "--pdeathsig", "TERM"]);
        let gate = match self.kind {
            Kind::Vipd | Kind::Keepalived => GATE,
            Kind::Frr => FRR_GATE,
        };
        command.args(["sh", "-c", gate, "sh"]).arg(mark).arg(&self.program);
        match self.kind {
            Kind::Vipd => {
                command.args(["run", "--file"]).arg(self.file());
                command.args(["--id", &self.host, "--socket", CONTROL]);
            }
            Kind::Keepalived => {
                // With `-l` alone what no syslog daemon takes goes to the console of this machine
                // as well, and if that is a serial line the process waits for it, for seconds.
                command.args(["-n", "-l", "-G", "-D", "-f"]).arg(self.file());
                command.args(["-p", "/run/keepalived.pid", "-r", "/run/vrrp.pid"]);
                command.args(["-c", "/run/checkers.pid"]);
                command.args(["-i", &self.host]);
            }
            Kind::Frr => {
                command.arg(self.file());
            }
        }
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        command.spawn()
    }

    /// Whether the next start will be prompt.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.is_none() || self.folder.join(READY).exists()
    }

    pub(crate) const fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self) {
        if let Some(pid) = self.pid() {
            (self.stopping, self.start_wanted) = (true, false);
            let _ = kill(pid, Signal::SIGTERM);
        }
    }

    /// SIGHUP.
    pub(crate) fn reload(&self) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGHUP);
        }
    }

    /// An operator orders something, as `vipd yield` and its like do.
    pub(crate) fn order(&self, instance: &str, order: Order) -> Result<(), String> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let told = |error: io::Error| format!("{} {instance}: {error}", order.word());
        let mut stream = UnixStream::connect(control_socket(pid)).map_err(told)?;
        stream.set_read_timeout(Some(OBEYS_WITHIN)).map_err(told)?;
        stream.write_all(format!("{} {instance}\n", order.word()).as_bytes()).map_err(told)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).map_err(told)?;
        if answer.contains("\"error\"") {
            return Err(format!("{} {instance}: {}", order.word(), answer.trim_end()));
        }
        Ok(())
    }

    /// SIGKILL, to all of its processes: none lives on to start another one or to say goodbye.
    pub(crate) fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            end(child);
        }
        (self.stopping, self.start_wanted) = (false, false);
    }

    /// SIGSTOP, to all of its processes.
    pub(crate) fn pause(&self) {
        self.child.iter().for_each(|child| signal(child, Signal::SIGSTOP, false));
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.child.iter().for_each(|child| signal(child, Signal::SIGCONT, true));
    }

    /// What it said of itself since it was asked last, each with the time of the boot clock. It
    /// follows a vipd as soon as that listens.
    pub(crate) fn hear(&mut self) -> io::Result<Vec<(Duration, Event)>> {
        let mut heard = Vec::new();
        if self.word.is_none()
            && let (Kind::Vipd, Some(pid)) = (self.kind, self.pid())
        {
            self.word = Word::of(&control_socket(pid))?;
        }
        if let Some(word) = &mut self.word
            && !word.hear(&mut heard)?
            && self.child.is_none()
        {
            self.word = None;
        }
        Ok(heard)
    }

    /// Readable when it says something.
    pub(crate) fn word(&self) -> Option<&impl AsFd> {
        self.word.as_ref()
    }

    /// Whether it ended since it was asked last, and if so whether in good order.
    pub(crate) fn ended(&mut self) -> Option<bool> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(std::mem::take(&mut self.stopping) && status.success())
    }

    /// What it said last.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// /proc/PID/status of each of its processes that holds a raw or packet socket.
    pub(crate) fn statuses(&self) -> String {
        let read = |pid: Pid| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        self.pid().into_iter().flat_map(tree).filter(|pid| reads_frames(*pid)).map(read).collect()
    }

    fn pid(&self) -> Option<Pid> {
        self.child.as_ref().and_then(pid)
    }
}

/// Seen from outside of the mounts of a process.
fn control_socket(pid: Pid) -> PathBuf {
    format!("/proc/{pid}/root{CONTROL}").into()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if let Some(ready) = self.ready.take() {
            end(ready);
        }
    }
}

/// Ends a process and all that come from it, at once.
fn end(mut child: Child) {
    signal(&child, Signal::SIGSTOP, false);
    signal(&child, Signal::SIGKILL, true);
    let _ = child.wait();
}

/// Whether it holds a socket that takes more than its own datagrams (raw(7), packet(7)).
fn reads_frames(pid: Pid) -> bool {
    let table = |name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let held = |text: String, column: usize| -> Vec<String> {
        let inode = |line: &str| line.split_whitespace().nth(column).map(str::to_string);
        text.lines().skip(1).filter_map(inode).collect()
    };
    let inodes = [held(table("raw"), 9), held(table("raw6"), 9), held(table("packet"), 8)].concat();
    let sockets = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut links = sockets.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.any(|link| inodes.iter().any(|inode| *link == *format!("socket:[{inode}]")))
}

/// A process and all that come from it, parents first.
fn tree(pid: Pid) -> Vec<Pid> {
    let mut tree = vec![pid];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(children(parent));
        next += 1;
    }
    tree
}

/// Children come after or before their parents.
fn signal(child: &Child, signal: Signal, children_first: bool) {
    let Some(pid) = pid(child) else { return };
    let mut tree = tree(pid);
    if children_first {
        tree.reverse();
    }
    for process in tree {
        let _ = kill(process, signal);
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().map(Pid::from_raw)
}

fn children(parent: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let listed = listed.unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
}
