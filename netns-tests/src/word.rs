//! The own word of a vipd: the events that it tells on its control socket, as `vipd events` shows
//! them. They carry the time of the boot clock, which all hosts of a laboratory share.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use vipd_engine::{Event, InstanceName, News};

/// Octets that are read at a time.
const CHUNK: usize = 1 << 14;

/// Follows the events of one process.
#[derive(Debug)]
pub(crate) struct Word {
    stream: UnixStream,
    /// The beginning of a line.
    unread: Vec<u8>,
}

/// A line. What else stands there is for people.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Event { at_ns: u64, instance: InstanceName, news: News },
    Missed { missed: u64 },
    Refused { error: String },
}

/// The boot clock now.
///
/// # Errors
/// Those of `clock_gettime(2)`.
pub(crate) fn boot_clock() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}

impl Word {
    /// Follows what listens at this path. `None` if nobody does yet.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        stream.write_all(b"events\n")?;
        stream.set_nonblocking(true)?;
        Ok(Some(Self { stream, unread: Vec::new() }))
    }

    /// What it said since it was asked last, each with the time of the boot clock. Says whether
    /// more may come.
    ///
    /// # Errors
    /// Those of the connection, and what is not an event: then not everything is known.
    pub(crate) fn hear(&mut self, heard: &mut Vec<(Duration, Event)>) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                // A process that was killed does not say goodbye.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
            while let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                heard.push(event(&line)?);
            }
        }
    }
}

impl AsFd for Word {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn event(line: &[u8]) -> io::Result<(Duration, Event)> {
    match serde_json::from_slice(line)? {
        Line::Event { at_ns, instance, news } => {
            Ok((Duration::from_nanos(at_ns), Event { instance, news }))
        }
        Line::Missed { missed } => Err(io::Error::other(format!("{missed} events were missed"))),
        Line::Refused { error } => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_is_an_error_that_says_what_it_is() {
        let refused = |line: &str| event(line.as_bytes()).expect_err("no event").to_string();
        assert_eq!(refused("{\"missed\":3}"), "3 events were missed");
        assert_eq!(refused("{\"error\":\"4 follow already\"}"), "4 follow already");
        assert!(refused("{}").contains("did not match"), "{}", refused("{}"));
    }
}
