//! The two streams of a program of the command line.

use std::io::{self, ErrorKind, Stderr, StdoutLock, Write};

/// Standard output. Whoever reads may have seen enough: what is left is nobody's then, and the exit
/// status is the same as if it were read to the end.
#[derive(Debug)]
pub struct Results<W> {
    to: W,
    closed: bool,
}

impl Results<StdoutLock<'static>> {
    /// The process's own.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(io::stdout().lock())
    }
}

impl<W> Results<W> {
    const fn new(to: W) -> Self {
        Self { to, closed: false }
    }

    fn unless_closed<T>(&mut self, done: io::Result<T>, else_done: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(else_done)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Results<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(octets.len());
        }
        let written = self.to.write(octets);
        self.unless_closed(written, octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.unless_closed(flushed, ())
    }
}

/// Standard error. A result is not lost because nobody can be told how far it is.
#[derive(Debug)]
pub struct Talk<W>(W);

impl Talk<Stderr> {
    /// The process's own, which other threads may write to as well.
    #[must_use]
    pub fn stderr() -> Self {
        Self(io::stderr())
    }
}

impl<W: Write> Write for Talk<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(octets).unwrap_or(octets.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
