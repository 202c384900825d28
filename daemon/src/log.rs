//! Where the log goes: standard error, syslog, or both. What is logged is said where it happens.
//!
//! To write a line takes longer than to make it. Where many are due at once they are [`gathered`].

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that are written at once have no more octets than this: the kernel puts so many into a
/// pipe without those of others between them (`PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// The socket of syslog(3).
pub const SYSLOG: &str = "/dev/log";

/// A part of the system by its number in syslog's protocol (RFC 5424, table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// System daemons.
    pub const DAEMON: Self = Self(3);

    /// By a name or number as keepalived's `-S` has it: `0` to `7` and `local0` to `local7`,
    /// `user`, `daemon`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self(1)),
            "daemon" => Some(Self::DAEMON),
            local => match local.strip_prefix("local").unwrap_or(local).parse() {
                Ok(number @ 0..=7) => Some(Self(16 + number)),
                Ok(_) | Err(_) => None,
            },
        }
    }
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least that is logged.
    pub level: Level,
    /// To standard error.
    pub console: bool,
    /// To syslog.
    pub syslog: Option<Facility>,
}

impl Log {
    /// To standard error alone.
    #[must_use]
    pub const fn console(level: Level) -> Self {
        Self { level, console: true, syslog: None }
    }

    /// Logs from now on. What cannot be written is lost: it is no reason to end.
    pub fn init(&self) {
        let console = self.console.then(|| plain().with_timer(Moment).with_writer(Console::new));
        let syslog = self.syslog.and_then(|facility| Syslog::new(Path::new(SYSLOG), facility).ok());
        // Whoever writes the syslog down knows the time and the level.
        let syslog =
            syslog.map(|syslog| plain().without_time().with_level(false).with_writer(syslog));
        let level = LevelFilter::from_level(self.level);
        tracing_subscriber::registry().with(level).with(console).with(syslog).init();
    }
}

fn plain<S>() -> fmt::Layer<S> {
    fmt::layer().with_ansi(false).with_target(false).log_internal_errors(false)
}

/// What this thread gathers.
struct Gathered {
    lines: Vec<u8>,
    /// When that is, once a line has said it.
    time: String,
    write: fn(&[u8]),
}

thread_local! {
    static GATHERED: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

/// What `act` logs to standard error is of one time and leaves together, when `act` ends, however
/// that is. Nothing else is to happen in it: of a process that is killed meanwhile those lines are
/// lost.
pub fn gathered<T>(act: impl FnOnce() -> T) -> T {
    gathered_for(write_out, act)
}

fn gathered_for<T>(write: fn(&[u8]), act: impl FnOnce() -> T) -> T {
    /// Writes also if `act` panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            if let Some(gathered) = GATHERED.take() {
                (gathered.write)(&gathered.lines);
            }
        }
    }
    if GATHERED.with_borrow(Option::is_some) {
        return act();
    }
    GATHERED.set(Some(Gathered { lines: Vec::new(), time: String::new(), write }));
    let _end = End;
    act()
}

/// What cannot be written is lost.
fn write_out(lines: &[u8]) {
    let _ = io::stderr().write_all(lines);
}

/// Standard error, or what is gathered for it.
struct Console;

impl Console {
    const fn new() -> Self {
        Self
    }
}

impl io::Write for Console {
    /// Is told whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        GATHERED.with_borrow_mut(|gathered| {
            let Some(Gathered { lines, write, .. }) = gathered else {
                return io::stderr().write(line);
            };
            if lines.len() + line.len() > AT_ONCE {
                write(lines);
                lines.clear();
            }
            lines.extend_from_slice(line);
            Ok(line.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time of a line.
struct Moment;

impl FormatTime for Moment {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        GATHERED.with_borrow_mut(|gathered| {
            let Some(Gathered { time, .. }) = gathered else { return SystemTime.format_time(out) };
            if time.is_empty() {
                SystemTime.format_time(&mut Writer::new(time))?;
            }
            out.write_str(time)
        })
    }
}

/// Syslog, a datagram per line. It may come and go: each datagram looks for it anew.
struct Syslog {
    socket: Arc<UnixDatagram>,
    to: Arc<PathBuf>,
    facility: Facility,
}

impl Syslog {
    fn new(to: &Path, facility: Facility) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A syslog that does not read must not delay an advert.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Arc::new(socket), to: Arc::new(to.to_path_buf()), facility })
    }

    fn at(&self, severity: u8) -> Line {
        let (socket, to) = (Arc::clone(&self.socket), Arc::clone(&self.to));
        Line { socket, to, priority: self.facility.0 * 8 + severity }
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        self.at(severity(Level::INFO))
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        self.at(severity(*meta.level()))
    }
}

/// A level as syslog counts: error, warning, informational, debug.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// What is written of one event.
struct Line {
    socket: Arc<UnixDatagram>,
    to: Arc<PathBuf>,
    priority: u8,
}

impl io::Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let head = format!("<{}>vipd[{}]: ", self.priority, std::process::id());
        let lines = text.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        for line in lines {
            // Nobody listens, or too slowly.
            let _ = self.socket.send_to(&[head.as_bytes(), line].concat(), &*self.to);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    thread_local! {
        static WRITTEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn keep(lines: &[u8]) {
        WRITTEN.with_borrow_mut(|all| all.push(String::from_utf8_lossy(lines).into_owned()));
    }

    fn say(line: &str) {
        Console.write_all(line.as_bytes()).expect("it is kept");
    }

    fn time() -> String {
        let mut time = String::new();
        Moment.format_time(&mut Writer::new(&mut time)).expect("a time");
        time
    }

    #[test]
    fn what_is_gathered_is_of_one_time_and_leaves_in_its_order_in_pieces_of_whole_lines() {
        let line = |number: usize| format!("{number:>99}\n");
        let times = gathered_for(keep, || {
            (0..100).for_each(|number| say(&line(number)));
            let first = time();
            std::thread::sleep(std::time::Duration::from_millis(2));
            [first, time()]
        });
        assert_eq!(times[0], times[1]);
        assert_ne!(times[0], time(), "time goes on behind it");
        let written = WRITTEN.take();
        assert_eq!(written.len(), 3);
        assert!(written.iter().all(|one| one.len() <= AT_ONCE && one.ends_with('\n')));
        assert_eq!(written.concat(), (0..100).map(line).collect::<String>());
    }

    #[test]
    fn a_panic_loses_no_line() {
        let panics = || {
            gathered_for(keep, || {
                say("the last words\n");
                panic!("a mistake")
            })
        };
        assert!(catch_unwind(panics).is_err());
        assert_eq!(WRITTEN.take(), ["the last words\n"]);
    }

    #[test]
    fn facilities_have_the_names_that_keepalived_takes() {
        let named = |name| Facility::named(name).map(|facility| facility.0);
        let known = [("user", 1), ("daemon", 3), ("0", 16), ("local0", 16), ("local7", 23)];
        assert!(known.iter().all(|(name, number)| named(name) == Some(*number)));
        assert!(["8", "local8", "kern", ""].iter().all(|name| named(name).is_none()));
    }

    #[test]
    fn each_line_is_a_datagram_with_priority_and_process_and_nobody_listening_is_no_error() {
        let path = std::env::temp_dir().join(format!("vipd-syslog-{}", std::process::id()));
        let syslog = Syslog::new(&path, Facility::DAEMON).expect("a socket");
        let mut line = syslog.at(severity(Level::WARN));
        line.write_all(b"nobody hears this\n").expect("it is lost");
        let listener = UnixDatagram::bind(&path).expect("a socket of ours");
        line.write_all(b"first\nsecond\n").expect("it is heard");
        let mut heard = [0; 100];
        for expected in ["first", "second"] {
            let length = listener.recv(&mut heard).expect("a datagram");
            let expected = format!("<28>vipd[{}]: {expected}", std::process::id());
            assert_eq!(String::from_utf8_lossy(&heard[..length]), expected);
        }
        std::fs::remove_file(&path).expect("it is ours");
    }
}
