//! Where the log goes: standard error, syslog, or both. What is logged is said where it happens.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
        let console = self.console.then(|| plain().with_writer(io::stderr));
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
    use std::io::Write as _;

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
