//! Telling systemd how we are (sd_notify(3)): ready, reloading, stopping, alive.
//!
//! The crate for this opens a socket for every word and waits until it is taken; a supervisor that
//! does not read would delay an advert. Here nothing waits, and a word that is not taken is lost.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Variables of the environment that are for us alone, not for what we start.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Whoever supervises us, if anybody does.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    to: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    ///
    /// # Errors
    /// Those of making a socket; an address that is none.
    pub fn of_environment() -> io::Result<Self> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let text = |name| env::var(name).ok();
        let watchdog = watchdog(text("WATCHDOG_USEC").as_deref(), text("WATCHDOG_PID").as_deref());
        Ok(Self { watchdog, ..Self::at(&name)? })
    }

    /// One that listens there; behind an `@` in the abstract namespace.
    ///
    /// # Errors
    /// As [`Self::of_environment`].
    pub fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { to: Some(Arc::new((socket, address))), watchdog: None })
    }

    /// The same one, which takes us for dead after this silence.
    #[must_use]
    pub fn with_watchdog(self, limit: Duration) -> Self {
        Self { watchdog: Some(limit), ..self }
    }

    /// After how long a silence it takes us for dead.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The configuration is live.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// Another configuration is read. [`Self::ready`] follows, whatever comes of it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
        let micros = now.map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the file"));
    }

    /// We give everything back, and end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=giving everything back");
    }

    /// The run loop runs.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// What people read of us.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={status}"));
    }

    fn tell(&self, words: &str) {
        if let Some((socket, address)) = self.to.as_deref() {
            // Nobody listens, or too slowly.
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }
}

/// The watchdog of this process, if it has one and it is not that of another.
fn watchdog(micros: Option<&str>, process: Option<&str>) -> Option<Duration> {
    let ours = process.is_none_or(|process| process.parse() == Ok(std::process::id()));
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    ours.then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_ours_unless_it_is_named_as_that_of_another_process() {
        let own = std::process::id().to_string();
        let ten = Some(Duration::from_secs(10));
        assert_eq!(watchdog(Some("10000000"), None), ten);
        assert_eq!(watchdog(Some("10000000"), Some(&own)), ten);
        assert_eq!(watchdog(Some("10000000"), Some("1")), None);
        for none in [None, Some("0"), Some("soon")] {
            assert_eq!(watchdog(none, None), None);
        }
    }

    #[test]
    fn an_abstract_socket_is_told_and_one_that_is_full_or_gone_keeps_nobody() {
        let name = format!("vipd-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = UnixDatagram::bind_addr(&address).expect("a socket of ours");
        let supervisor = Supervisor::at(OsStr::new(&format!("@{name}"))).expect("an address");
        supervisor.ready("fine");
        let mut heard = [0; 100];
        let length = listener.recv(&mut heard).expect("a datagram");
        assert_eq!(&heard[..length], b"READY=1\nSTATUS=fine");
        for _ in 0..10_000 {
            supervisor.alive();
        }
        drop(listener);
        supervisor.alive();
    }
}
