//! Renews leases: one transaction each, by this process itself. Another program could outlive us
//! and renew after our end.
//!
//! The kernel counts a lease from when it reads it. A process that is stopped between its look at
//! the clock and that moment would give more than there is, so the clock is looked at again: what
//! was written late is written once more with what is left, or taken back.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use nix::errno::Errno;
use vipd_engine::Timestamp;

use super::codec;
use crate::ipvs::client::Datagrams;

/// A lease may end so much later than it should, which is the time from our look at the clock to
/// the kernel's: within the 10 ms that the engine allows a gate. Most renewals take 20 to 110 µs.
pub const WRITE_LIMIT: Duration = Duration::from_millis(2);
/// How often a lease is written before it is taken back.
const ATTEMPTS: usize = 3;
/// More than an answer, which repeats what was refused.
const ANSWER: usize = 4096;

/// Why a lease is not renewed.
#[derive(Debug)]
pub enum Failure {
    /// Nothing of it is left.
    Over,
    /// It cannot be written within [`WRITE_LIMIT`], and was taken back.
    Late,
    /// There is no such gate.
    NoGate,
    /// The kernel refused.
    Refused(Errno),
    /// The kernel does not answer, or not with sense.
    Socket(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over => f.write_str("nothing of it is left"),
            Self::Late => {
                let limit = WRITE_LIMIT.as_millis();
                write!(f, "writing it took more than {limit} ms, {ATTEMPTS} times")
            }
            Self::NoGate => f.write_str("somebody removed its table"),
            Self::Refused(errno) => f.write_str(errno.desc()),
            Self::Socket(error) => write!(f, "the kernel does not answer: {error}"),
        }
    }
}

/// What writes them.
pub struct Leases<D> {
    datagrams: D,
    /// The number of the next message.
    sequence: u32,
}

impl<D: Datagrams> Leases<D> {
    /// Through this socket.
    pub const fn over(datagrams: D) -> Self {
        Self { datagrams, sequence: 1 }
    }

    /// The gate of this table is open until then, by the clock `now`.
    ///
    /// # Errors
    /// It is open no longer than before, or shut.
    pub fn renew(
        &mut self,
        table: &str,
        until: Timestamp,
        now: impl Fn() -> Timestamp,
    ) -> Result<(), Failure> {
        for attempt in 0..ATTEMPTS {
            let read = now();
            let Some(octets) = codec::renewal(table, self.sequence, until - read) else {
                if attempt > 0 {
                    self.end(table)?;
                }
                return Err(Failure::Over);
            };
            self.exchange(&octets)?;
            if now() - read <= WRITE_LIMIT {
                return Ok(());
            }
        }
        self.end(table)?;
        Err(Failure::Late)
    }

    /// The gate of this table is shut.
    ///
    /// # Errors
    /// It is not, or has gone.
    pub fn end(&mut self, table: &str) -> Result<(), Failure> {
        let octets = codec::end(table, self.sequence);
        self.exchange(&octets)
    }

    fn exchange(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(codec::NUMBERS);
        let sent = again(|| self.datagrams.send(octets)).map_err(Failure::Socket)?;
        if sent < octets.len() {
            return Err(Failure::Socket(ErrorKind::WriteZero.into()));
        }
        let mut room = [0; ANSWER];
        loop {
            let length = again(|| self.datagrams.receive(&mut room)).map_err(Failure::Socket)?;
            let answer = codec::outcome(&room[..length.min(ANSWER)], sequence);
            let answer =
                answer.map_err(|error| Failure::Socket(io::Error::other(format!("{error}"))));
            match answer? {
                Some(Ok(())) => return Ok(()),
                Some(Err(Errno::ENOENT)) => return Err(Failure::NoGate),
                Some(Err(errno)) => return Err(Failure::Refused(errno)),
                // Of a transaction that was given up.
                None => {}
            }
        }
    }
}

fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use crate::wire::{ERROR, Messages};

    /// A clock and a kernel that reads a transaction `delays` after it was asked.
    #[derive(Clone, Default)]
    struct World {
        nanos: Rc<Cell<u64>>,
        delays: Rc<RefCell<Vec<u64>>>,
        /// The kinds of messages of each transaction.
        read: Rc<RefCell<Vec<Vec<u16>>>>,
        errno: Rc<Cell<i32>>,
        /// The number of the message that asks for an answer.
        asks: Rc<Cell<u32>>,
    }

    impl World {
        fn now(&self) -> Timestamp {
            Timestamp::from_nanos(self.nanos.get())
        }

        fn renew(&self, until: u64) -> Result<(), Failure> {
            let clock = self.clone();
            Leases::over(self.clone()).renew("t", Timestamp::from_nanos(until), || clock.now())
        }

        fn ends(&self) -> usize {
            self.read.borrow().iter().filter(|kinds| kinds.len() == 4).count()
        }
    }

    impl Datagrams for World {
        fn send(&mut self, octets: &[u8]) -> io::Result<usize> {
            let delay = self.delays.borrow_mut().pop().unwrap_or_default();
            self.nanos.set(self.nanos.get() + delay);
            let messages: Vec<_> = Messages(octets).map(|one| one.expect("ours")).collect();
            let kinds = messages.iter().map(|message| message.kind).collect();
            self.read.borrow_mut().push(kinds);
            self.asks.set(messages[messages.len() - 2].sequence);
            Ok(octets.len())
        }

        fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let mut answer = Vec::from(36_u32.to_ne_bytes());
            answer.extend(ERROR.to_ne_bytes());
            answer.extend([0; 2]);
            answer.extend(self.asks.get().to_ne_bytes());
            answer.extend([0; 4]);
            answer.extend((-self.errno.get()).to_ne_bytes());
            answer.extend([0; 16]);
            room[..answer.len()].copy_from_slice(&answer);
            Ok(answer.len())
        }
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_lease_with_time_left_is_written_once_and_one_without_not_at_all() {
        let world = World::default();
        world.nanos.set(10 * MS);
        assert!(world.renew(40 * MS).is_ok());
        assert_eq!(world.read.borrow().len(), 1);
        for over in [9 * MS, 10 * MS, 11 * MS - 1] {
            assert!(matches!(world.renew(over), Err(Failure::Over)), "{over}");
        }
        assert_eq!(world.read.borrow().len(), 1);
    }

    #[test]
    fn what_a_stopped_process_wrote_after_it_went_on_is_taken_back_at_once() {
        let world = World::default();
        world.delays.borrow_mut().push(10_000 * MS);
        assert!(matches!(world.renew(30 * MS), Err(Failure::Over)));
        assert_eq!((world.read.borrow().len(), world.ends()), (2, 1));
    }

    #[test]
    fn a_pause_within_the_lease_has_it_written_anew_with_what_is_left() {
        let world = World::default();
        world.delays.borrow_mut().push(5 * MS);
        assert!(world.renew(30 * MS).is_ok());
        assert_eq!((world.read.borrow().len(), world.ends()), (2, 0));
        // As late as the bound allows is fine.
        let world = World::default();
        world.delays.borrow_mut().push(2 * MS);
        assert!(world.renew(30 * MS).is_ok());
        assert_eq!(world.read.borrow().len(), 1);
    }

    #[test]
    fn a_kernel_that_is_always_late_gets_the_lease_back() {
        let world = World::default();
        world.delays.borrow_mut().extend([0, 3 * MS, 3 * MS, 3 * MS]);
        assert!(matches!(world.renew(30 * MS), Err(Failure::Late)));
        assert_eq!((world.read.borrow().len(), world.ends()), (4, 1));
    }

    #[test]
    fn a_gate_that_somebody_removed_is_told_from_any_other_refusal() {
        let world = World::default();
        world.errno.set(Errno::ENOENT as i32);
        assert!(matches!(world.renew(30 * MS), Err(Failure::NoGate)));
        world.errno.set(Errno::EPERM as i32);
        assert!(matches!(world.renew(30 * MS), Err(Failure::Refused(Errno::EPERM))));
    }
}
