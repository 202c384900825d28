//! Named pipes that are told of every change, a line each, and the scripts that read them.
//!
//! A pipe is opened for reading too, so that lines wait in it for a reader who is not there yet,
//! and nothing blocks. Once it is full the last line of each object is kept and written when there
//! is room again: a reader that wakes up learns how things are, if not all that was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use vipd_config::Loaded;
use vipd_config::notify::Fifo;
use vipd_config::trackers::ScriptUser;

use super::command;
use crate::notify::{LOWER_PRIORITY, ONE_WAY};

/// How long a script may take to end once its pipe is closed, and again once it was told to.
const ENDS_WITHIN: Duration = Duration::from_millis(400);

/// A pipe of the file, with what the rest of the file says of its script.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    fifo: Fifo,
    hears: Hears,
    user: Option<ScriptUser>,
    only_safe: bool,
}

/// What a pipe is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hears {
    /// Of everything (`notify_fifo`).
    All,
    /// Of virtual routers and sync groups (`vrrp_notify_fifo`).
    Routers,
    /// Of virtual servers and real servers (`lvs_notify_fifo`).
    Servers,
}

impl Hears {
    fn hears(self, line: &str) -> bool {
        match self {
            Self::All => true,
            Self::Routers => !is_of_servers(line),
            Self::Servers => is_of_servers(line),
        }
    }
}

/// All pipes.
pub struct Fifos {
    pipes: Vec<Pipe>,
    /// Where what went wrong is told.
    answers: mpsc::Sender<Value>,
}

struct Pipe {
    wanted: Wanted,
    open: Option<Open>,
    /// Lines that had no room, with what each is about, oldest first.
    waiting: Vec<(String, String)>,
    reader: Option<Child>,
    /// What went wrong last and was told.
    complaint: String,
}

struct Open {
    file: File,
    inode: u64,
    /// We made it, and we remove it.
    ours: bool,
}

impl Fifos {
    /// No pipe yet.
    pub const fn new(answers: mpsc::Sender<Value>) -> Self {
        Self { pipes: Vec::new(), answers }
    }

    /// Writes to these from now on. What is as before goes on, and its script with it.
    pub async fn configure(&mut self, loaded: &Loaded) {
        let wanted = wanted(loaded);
        let pipes = self.pipes.drain(..);
        let (kept, gone): (Vec<_>, Vec<_>) = pipes.partition(|pipe| wanted.contains(&pipe.wanted));
        self.pipes = kept;
        end(gone.into_iter().filter_map(Pipe::close).collect()).await;
        for wanted in wanted {
            if self.pipes.iter().all(|pipe| pipe.wanted != wanted) {
                let mut pipe = Pipe::new(wanted);
                let made = pipe.make();
                pipe.complain(made, &self.answers);
                let started = pipe.start_reader();
                pipe.complain(started, &self.answers);
                self.pipes.push(pipe);
            }
        }
    }

    /// Writes a line into each of them, in order, or keeps it until there is room.
    pub fn write(&mut self, line: &str) {
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.wanted.hears.hears(line)) {
            pipe.hold(line);
        }
        self.try_again();
    }

    /// Whether lines wait for room.
    pub fn is_full(&self) -> bool {
        self.pipes.iter().any(|pipe| !pipe.waiting.is_empty())
    }

    /// Writes what waits, as far as there is room.
    pub fn try_again(&mut self) {
        for pipe in &mut self.pipes {
            let written = pipe.flush();
            pipe.complain(written, &self.answers);
            let reads = pipe.look_at_reader();
            pipe.complain(reads, &self.answers);
        }
    }

    /// Closes all of them and ends their scripts, which may read what is left.
    pub async fn close(&mut self) {
        end(self.pipes.drain(..).filter_map(Pipe::close).collect()).await;
    }
}

/// The pipes of a file, each path once.
fn wanted(loaded: &Loaded) -> Vec<Wanted> {
    let of_routers = loaded.notify.fifos.iter().map(|fifo| {
        let hears = if fifo.vrrp_only { Hears::Routers } else { Hears::All };
        (fifo, hears)
    });
    let of_servers = loaded.director.fifo.iter().map(|fifo| (fifo, Hears::Servers));
    let mut all = Vec::<Wanted>::new();
    for (fifo, hears) in of_routers.chain(of_servers) {
        if let Some(known) = all.iter_mut().find(|known| known.fifo.path == fifo.path) {
            known.hears = Hears::All;
            continue;
        }
        let (user, only_safe) = (&loaded.trackers.script_user, loaded.trackers.script_security);
        all.push(Wanted { fifo: fifo.clone(), hears, user: user.clone(), only_safe });
    }
    all
}

impl Pipe {
    const fn new(wanted: Wanted) -> Self {
        let (open, reader) = (None, None);
        Self { wanted, open, waiting: Vec::new(), reader, complaint: String::new() }
    }

    fn path(&self) -> &Path {
        Path::new(&self.wanted.fifo.path)
    }

    /// Opens it; makes it if there is none, for its owner alone.
    fn make(&mut self) -> io::Result<()> {
        let path = self.path();
        let ours = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(error) => return Err(error.into()),
        };
        if let Some(owner) = self.wanted.fifo.owner.as_ref().filter(|_| ours) {
            let (user, group) = command::account(owner)?;
            lchown(path, Some(user), Some(group))?;
        }
        let facts = fs::symlink_metadata(path)?;
        if !facts.file_type().is_fifo() {
            return Err(io::Error::other("is there, and is no named pipe"));
        }
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path)?;
        self.open = Some(Open { inode: file.metadata()?.ino(), file, ours });
        Ok(())
    }

    /// The path is its last argument.
    fn start_reader(&mut self) -> io::Result<()> {
        let Some(script) = self.wanted.fifo.script() else { return Ok(()) };
        let user = script.user.as_ref().or(self.wanted.user.as_ref());
        let mut command = command::prepare(&script.command, user, self.wanted.only_safe)?;
        self.reader = Some(command.arg(self.path()).spawn()?);
        Ok(())
    }

    fn look_at_reader(&mut self) -> io::Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let Some(status) = reader.try_wait()? else { return Ok(()) };
        self.reader = None;
        Err(io::Error::other(format!("its script has ended: {status}")))
    }

    /// Keeps a line, and no earlier one about the same.
    fn hold(&mut self, line: &str) {
        let about = about(line);
        self.waiting.retain(|(known, _)| *known != about);
        self.waiting.push((about, line.to_string()));
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let there = fs::symlink_metadata(self.path()).map(|facts| facts.ino()).ok();
        if self.open.as_ref().map(|open| open.inode) != there || there.is_none() {
            self.open = None;
            self.make().inspect_err(|_| self.waiting.clear())?;
        }
        let Some(Open { file, .. }) = &mut self.open else { return Ok(()) };
        while let Some((_, line)) = self.waiting.first() {
            match file.write_all(line.as_bytes()) {
                Ok(()) => drop(self.waiting.remove(0)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(io::Error::other("is full: nobody reads it"));
                }
                Err(error) => {
                    self.waiting.clear();
                    return Err(error);
                }
            }
        }
        self.complaint.clear();
        Ok(())
    }

    /// Tells what went wrong, each thing once.
    fn complain(&mut self, result: io::Result<()>, answers: &mpsc::Sender<Value>) {
        let Err(error) = result else { return };
        let complaint = format!("{}: {error}", self.wanted.fifo.path);
        if complaint != self.complaint {
            // A log that is not read is no reason to wait.
            let _ = answers.try_send(json!({ "said": complaint }));
            self.complaint = complaint;
        }
    }

    /// Closes it, which its reader sees. Answers with the script, which may still run.
    fn close(mut self) -> Option<Child> {
        // What has no room now is lost.
        let _ = self.flush();
        let there = fs::symlink_metadata(self.path()).map(|facts| facts.ino()).ok();
        if self.open.as_ref().is_some_and(|open| open.ours && Some(open.inode) == there) {
            // Whoever reads it has it open.
            let _ = fs::remove_file(self.path());
        }
        self.reader
    }
}

/// Whether a line is about a virtual server or a real server.
fn is_of_servers(line: &str) -> bool {
    line.starts_with("VS ") || line.starts_with("RS ")
}

/// What a line is about: the object, and whether it tells of its state or of something else.
fn about(line: &str) -> String {
    if is_of_servers(line) {
        let (object, _) = line.trim_end().rsplit_once(' ').unwrap_or_default();
        return object.to_string();
    }
    let mut words = line.trim_end().rsplitn(3, ' ');
    let state = words.nth(1).unwrap_or_default();
    let object = words.next().unwrap_or_default();
    let kind = if state.ends_with("_PRIORITY") {
        "priority"
    } else if state == LOWER_PRIORITY {
        "lower priority"
    } else if state == ONE_WAY {
        "one way"
    } else {
        "state"
    };
    format!("{object} {kind}")
}

/// Ends scripts: those that do not end with their pipe are told to, and then killed.
async fn end(mut readers: Vec<Child>) {
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGKILL)] {
        for reader in &readers {
            let group = reader.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
            let _ = group.zip(signal).map(|(group, signal)| killpg(group, signal));
        }
        let deadline = Instant::now() + ENDS_WITHIN;
        let mut left = Vec::new();
        for mut reader in readers {
            if timeout_at(deadline, reader.wait()).await.is_err() {
                left.push(reader);
            }
        }
        readers = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::path::PathBuf;

    fn pipe(name: &str) -> (Pipe, PathBuf) {
        let path = std::env::temp_dir().join(format!("vipd-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let fifo = Fifo { path: path.display().to_string(), ..Fifo::default() };
        (Pipe::new(Wanted { fifo, hears: Hears::All, user: None, only_safe: false }), path)
    }

    fn read(path: &Path) -> Vec<String> {
        let flags = OFlag::O_NONBLOCK.bits();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).expect("it is");
        let mut octets = [0; 1 << 17];
        let length = file.read(&mut octets).expect("something waits");
        let text = String::from_utf8_lossy(&octets[..length]).to_string();
        text.lines().map(str::to_string).collect()
    }

    #[test]
    fn lines_wait_for_a_reader_and_of_what_has_no_room_the_last_one_counts() {
        let (mut pipe, path) = pipe("full");
        pipe.make().expect("there is room for it");
        let mut number = 0;
        loop {
            number += 1;
            pipe.hold(&format!("INSTANCE \"VI_1\" MASTER {number}\n"));
            if pipe.flush().is_err() {
                break;
            }
        }
        for state in ["BACKUP 100", "MASTER 100", "MASTER_PRIORITY 90"] {
            pipe.hold(&format!("INSTANCE \"VI 2\" {state}\n"));
            assert!(pipe.flush().is_err(), "nobody reads, and nothing blocks");
        }
        pipe.hold("INSTANCE \"VI_1\" FAULT 100\n");
        let before = read(&path);
        assert_eq!(before.len(), number - 1, "in order, none missing until then");
        pipe.flush().expect("there is room again");
        let expected = [
            "INSTANCE \"VI 2\" MASTER 100",
            "INSTANCE \"VI 2\" MASTER_PRIORITY 90",
            "INSTANCE \"VI_1\" FAULT 100",
        ];
        assert_eq!(read(&path), expected);
        assert!(pipe.close().is_none());
        assert!(!path.exists(), "it was ours");
    }

    #[test]
    fn a_pipe_that_was_there_stays_and_one_that_is_removed_is_made_again() {
        let (mut pipe, path) = pipe("there");
        mkfifo(&path, Mode::S_IRWXU).expect("a pipe of ours");
        pipe.hold("GROUP \"VG\" MASTER 0\n");
        pipe.flush().expect("it is opened");
        fs::remove_file(&path).expect("it is ours");
        pipe.hold("GROUP \"VG\" BACKUP 0\n");
        pipe.flush().expect("it is made");
        assert_eq!(read(&path), ["GROUP \"VG\" BACKUP 0"]);
        fs::remove_file(&path).expect("it is ours");
        mkfifo(&path, Mode::S_IRWXU).expect("a pipe of ours");
        assert!(pipe.close().is_none());
        assert!(path.exists(), "that one is somebody else's");
        fs::remove_file(&path).expect("it is ours");
    }

    #[test]
    fn each_pipe_hears_of_what_it_is_for_and_of_each_server_the_last_line_counts() {
        let text = "global_defs {\nnotify_fifo /run/all\nvrrp_notify_fifo /run/vrrp\n\
                    lvs_notify_fifo /run/lvs\n}\n";
        let loaded = |text: &str| {
            let files = vipd_config::text::InMemory::new().with("/k.conf", text);
            let options = vipd_config::Options::default();
            vipd_config::load_from(&files, Path::new("/k.conf"), &options).expect("it is usable")
        };
        let pipes = wanted(&loaded(text));
        let hear = |line: &str| {
            let hears = pipes.iter().filter(|pipe| pipe.hears.hears(line));
            hears.map(|pipe| pipe.fifo.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(hear("GROUP \"VG\" MASTER 0\n"), ["/run/all", "/run/vrrp"]);
        for line in ["VS FWM 7 UP\n", "RS [10.0.0.1]:none:0 FWM 7 DOWN\n"] {
            assert_eq!(hear(line), ["/run/all", "/run/lvs"]);
        }
        let one = wanted(&loaded(&text.replace("/run/vrrp", "/run/lvs")));
        assert_eq!(one.len(), 2);
        assert_eq!(one[1].hears, Hears::All, "it is both");
        assert_eq!(about("VS FWM 7 UP\n"), about("VS FWM 7 DOWN\n"));
        assert_ne!(about("VS FWM 7 UP\n"), about("VS FWM 8 UP\n"));
        assert_ne!(about("RS [a]:tcp:1 FWM 8 UP\n"), about("RS [b]:tcp:1 FWM 8 UP\n"));
    }

    #[test]
    fn what_is_no_pipe_is_left_alone() {
        let (mut pipe, path) = pipe("file");
        fs::write(&path, "precious").expect("a file of ours");
        let error = pipe.make().expect_err("it is in the way").to_string();
        assert_eq!(error, "is there, and is no named pipe");
        pipe.hold("GROUP \"VG\" MASTER 0\n");
        assert!(pipe.flush().is_err());
        assert!(pipe.close().is_none());
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
        fs::remove_file(&path).expect("it is ours");
    }
}
