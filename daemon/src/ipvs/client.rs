//! Commands and questions over datagrams: many commands in one. The kernel works in order and tells
//! every error, so only the last one asks to be answered if all is well: what was not answered
//! before it has succeeded. To read an answer costs more than to obey.
//!
//! Answers are found by their sequence number; what has another one is left from an exchange that
//! was given up. Where answers were lost (ENOBUFS) one more question is sent, and what is not
//! answered before it never will be.

use std::fmt;
use std::io::{self, ErrorKind};

use nix::errno::Errno;
use vipd_engine::config::director::{Service, Timeouts};

use super::codec::{self, Failure, Malformed, Question};
use super::socket::Socket;
use super::spec::{Command, ListedDestination, ListedService, SyncSpec, Version};
use crate::wire::{DONE, DUMP_INTERRUPTED, ERROR, Message, Messages, Writer};

/// Commands in one datagram: their answers, should all fail, fit into any socket's buffer.
const AT_ONCE: usize = 64;

/// Octets that an answer which is no part of a dump may have: a service has some 400.
const LONGEST_ANSWER: usize = 2048;

/// The kernel makes no datagram of a dump longer than half of this.
pub const LONGEST_DATAGRAM: usize = 65_536;

/// How often something is asked whose answer others disturb.
const ATTEMPTS: usize = 5;

/// What datagrams go through: a socket, or a made-up kernel.
pub trait Datagrams {
    /// Sends; says how many octets were taken.
    ///
    /// # Errors
    /// Those of send(2). What is interrupted is tried again.
    fn send(&mut self, octets: &[u8]) -> io::Result<usize>;

    /// Waits for a datagram; says how long it is, also if there is not room for all of it.
    ///
    /// # Errors
    /// Those of recv(2). ENOBUFS: some were lost; EAGAIN: none came in time.
    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize>;

    /// Waits for a datagram and takes what else is there, one into each part of this length, as
    /// far as there are parts; says how long each is.
    ///
    /// # Errors
    /// As [`Self::receive`].
    fn receive_several(&mut self, room: &mut [u8], part: usize) -> io::Result<Vec<usize>> {
        Ok(vec![self.receive(&mut room[..part])?])
    }
}

/// Why there is no result at all.
#[derive(Debug)]
pub enum Error {
    /// This kernel has no IPVS, or its module is not loaded.
    NotInKernel,
    /// A question was refused.
    Refused(Failure),
    /// The kernel did not answer in time. What was ordered may be done or not.
    NoAnswer,
    /// Answers were lost or the table changed whenever it was read.
    Unsettled,
    /// The kernel's answer is not one.
    Malformed(Malformed),
    /// The socket fails.
    Socket(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInKernel => {
                f.write_str("this kernel has no IPVS, or its module is not loaded (modprobe ip_vs)")
            }
            Self::Refused(failure) => write!(f, "IPVS cannot be read: {failure}"),
            Self::NoAnswer => f.write_str("the kernel's IPVS does not answer"),
            Self::Unsettled => write!(f, "IPVS was disturbed {ATTEMPTS} times while it was read"),
            Self::Malformed(error) => write!(f, "the kernel's IPVS answers nonsense: {error}"),
            Self::Socket(error) => write!(f, "the socket to IPVS fails: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// The kernel's IPVS.
pub struct Ipvs<D = Socket> {
    datagrams: D,
    family: u16,
    sequence: u32,
    room: Vec<u8>,
}

impl Ipvs<Socket> {
    /// The table of the network namespace of this thread.
    ///
    /// # Errors
    /// [`Error::NotInKernel`], and those of the socket.
    pub fn open() -> Result<Self, Error> {
        Self::over(Socket::open().map_err(Error::Socket)?)
    }
}

impl<D: Datagrams> Ipvs<D> {
    /// Begins to speak with a kernel: asks for the number of the family.
    ///
    /// # Errors
    /// [`Error::NotInKernel`], and those of the datagrams.
    pub fn over(datagrams: D) -> Result<Self, Error> {
        let room = vec![0; LONGEST_DATAGRAM];
        let mut ipvs = Self { datagrams, family: 0, sequence: 0, room };
        ipvs.find_family()?;
        Ok(ipvs)
    }

    /// Asks for the number of the family: it is another one when the module was loaded anew.
    ///
    /// # Errors
    /// [`Error::NotInKernel`], and those of the datagrams.
    pub fn find_family(&mut self) -> Result<(), Error> {
        self.family = match self.one(Question::Family, codec::family) {
            Err(Error::Refused(Failure::NotThere)) => return Err(Error::NotInKernel),
            family => family?,
        };
        Ok(())
    }

    /// Orders all of this, in this order, whether the one before it succeeded or not. The result
    /// has an entry for each command.
    ///
    /// # Errors
    /// If it is not known what became of the commands: then the table is to be read.
    pub fn perform(&mut self, commands: &[Command]) -> Result<Vec<Result<(), Failure>>, Error> {
        let mut results = Vec::with_capacity(commands.len());
        for some in commands.chunks(AT_ONCE) {
            results.extend(self.perform_at_once(some)?);
        }
        Ok(results)
    }

    /// The version of the kernel's IPVS.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn version(&mut self) -> Result<Version, Error> {
        self.one(Question::Version, codec::version)
    }

    /// The time limits of connections.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        self.one(Question::Timeouts, codec::timeouts)
    }

    /// All services, but for those of another protocol than TCP, UDP and SCTP.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn services(&mut self) -> Result<Vec<ListedService>, Error> {
        let rows = self.rows(Question::Services, codec::service)?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The service with this key; `None` if it is not there.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn service(&mut self, service: Service) -> Result<Option<ListedService>, Error> {
        match self.one(Question::Service(service), codec::service) {
            Err(Error::Refused(Failure::NoService)) => Ok(None),
            found => found,
        }
    }

    /// The services with these keys, each in its place; `None` for one that is not there.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn find(&mut self, services: &[Service]) -> Result<Vec<Option<ListedService>>, Error> {
        let mut found = Vec::with_capacity(services.len());
        for some in services.chunks(AT_ONCE) {
            match self.find_at_once(some)? {
                Some(all) => found.extend(all),
                // Answers were lost: one after the other.
                None => {
                    for service in some {
                        found.push(self.service(*service)?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// All destinations of a service; none if it is not there.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn destinations(&mut self, service: Service) -> Result<Vec<ListedDestination>, Error> {
        let read = |row: &Message<'_>| codec::destination(row, service);
        self.rows(Question::Destinations(service), read)
    }

    /// The threads of the connection synchronisation that run.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn sync(&mut self) -> Result<Vec<SyncSpec>, Error> {
        self.rows(Question::Sync, codec::sync)
    }

    fn perform_at_once(&mut self, some: &[Command]) -> Result<Vec<Result<(), Failure>>, Error> {
        let first = self.sequence.wrapping_add(1);
        let (mut writer, mut ends) = (Writer::default(), Vec::with_capacity(some.len()));
        for (place, command) in (1..).zip(some) {
            self.sequence = self.sequence.wrapping_add(1);
            let is_last = place == some.len();
            codec::order(&mut writer, self.family, self.sequence, command, is_last);
            ends.push(writer.len());
        }
        self.send_whole(&writer.into_octets(), &ends)?;
        let mut results = vec![None; some.len()];
        let (mut fence, mut fences) = (None, 0);
        while results.last().is_some_and(Option::is_none) {
            let Some(length) = self.receive()? else {
                if fences == ATTEMPTS {
                    return Err(Error::Unsettled);
                }
                fences += 1;
                fence = Some(self.ask(Question::Version)?);
                continue;
            };
            for message in Messages(&self.room[..length]) {
                let message = message?;
                // The kernel has come to the question: whatever of it arrives is enough.
                if fence == Some(message.sequence) {
                    let known = results.into_iter();
                    return Ok(known.map(|one| one.unwrap_or(Err(Failure::Unknown))).collect());
                }
                if message.kind != ERROR {
                    continue;
                }
                let place = message.sequence.wrapping_sub(first) as usize;
                if let (Some(command), Some(result)) = (some.get(place), results.get_mut(place)) {
                    *result = Some(match message.error()? {
                        (0, _) => Ok(()),
                        (errno, text) => Err(Failure::of(errno, text, Some(command))),
                    });
                }
            }
        }
        // One that was not answered has succeeded, unless its answer may be among those lost.
        let silent = || if fence.is_none() { Ok(()) } else { Err(Failure::Unknown) };
        Ok(results.into_iter().map(|one| one.unwrap_or_else(silent)).collect())
    }

    /// `None`: answers were lost.
    fn find_at_once(
        &mut self,
        some: &[Service],
    ) -> Result<Option<Vec<Option<ListedService>>>, Error> {
        let first = self.sequence.wrapping_add(1);
        let (mut writer, mut ends) = (Writer::default(), Vec::with_capacity(some.len()));
        for service in some {
            self.sequence = self.sequence.wrapping_add(1);
            let question = Question::Service(*service);
            codec::ask(&mut writer, self.family, self.sequence, question);
            ends.push(writer.len());
        }
        self.send_whole(&writer.into_octets(), &ends)?;
        let (mut found, mut is_answered) = (vec![None; some.len()], false);
        while !is_answered {
            let Self { datagrams, room, .. } = self;
            let lengths = insist(|| datagrams.receive_several(room, LONGEST_ANSWER))?;
            let Some(lengths) = lengths else { return Ok(None) };
            for (part, length) in room.chunks(LONGEST_ANSWER).zip(lengths) {
                let Some(datagram) = part.get(..length) else { return Ok(None) };
                for message in Messages(datagram) {
                    let message = message?;
                    let place = message.sequence.wrapping_sub(first) as usize;
                    let Some(row) = found.get_mut(place) else { continue };
                    if message.kind != ERROR {
                        *row = codec::service(&message)?;
                        continue;
                    }
                    match message.error()? {
                        (0, _) => {}
                        (errno, text) => match Failure::of(errno, text, None) {
                            Failure::NoService => {}
                            failure => return Err(Error::Refused(failure)),
                        },
                    }
                    // The kernel works in order.
                    is_answered |= place + 1 == some.len();
                }
            }
        }
        Ok(Some(found))
    }

    /// What is asked and has one answer.
    fn one<T>(
        &mut self,
        question: Question,
        read: impl Fn(&Message<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let last = self.rows(question, read)?.pop();
        last.ok_or(Error::Malformed(Malformed::Missing("the answer")))
    }

    fn rows<T>(
        &mut self,
        question: Question,
        read: impl Fn(&Message<'_>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(rows) = self.undisturbed_rows(question, &read)? {
                return Ok(rows);
            }
        }
        Err(Error::Unsettled)
    }

    /// `None`: some may be missing, or come twice.
    fn undisturbed_rows<T>(
        &mut self,
        question: Question,
        read: impl Fn(&Message<'_>) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Error> {
        let sequence = self.ask(question)?;
        let (mut rows, mut disturbed) = (Vec::new(), false);
        loop {
            let Some(length) = self.receive()? else {
                // What a dump has not sent yet is not lost. The one answer to a question may be.
                if !question.is_dump() {
                    return Ok(None);
                }
                disturbed = true;
                continue;
            };
            for message in Messages(&self.room[..length]) {
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                disturbed |= message.flags & DUMP_INTERRUPTED != 0;
                // A dump ends with the one, any other answer with the other.
                if !matches!(message.kind, ERROR | DONE) {
                    rows.push(read(&message)?);
                    continue;
                }
                return match message.error()? {
                    (0, _) => Ok((!disturbed).then_some(rows)),
                    (errno, text) => Err(Error::Refused(Failure::of(errno, text, None))),
                };
            }
        }
    }

    /// Sends a question and gives its number.
    fn ask(&mut self, question: Question) -> Result<u32, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut writer = Writer::default();
        codec::ask(&mut writer, self.family, self.sequence, question);
        let octets = writer.into_octets();
        self.send_whole(&octets, &[octets.len()])?;
        Ok(self.sequence)
    }

    /// Sends messages that end at `ends`. Of one that was cut the kernel takes nothing.
    fn send_whole(&mut self, octets: &[u8], ends: &[usize]) -> Result<(), Error> {
        let mut sent = 0;
        while sent < octets.len() {
            let taken = match self.datagrams.send(&octets[sent..]) {
                Ok(taken) => sent + taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Socket(error)),
            };
            let whole = ends.iter().rev().find(|end| **end <= taken).copied().unwrap_or(0);
            if whole <= sent {
                return Err(Error::Socket(ErrorKind::WriteZero.into()));
            }
            sent = whole;
        }
        Ok(())
    }

    /// The length of the next datagram; `None`: some were lost.
    fn receive(&mut self) -> Result<Option<usize>, Error> {
        let Self { datagrams, room, .. } = self;
        match insist(|| datagrams.receive(room))? {
            Some(length) if length > room.len() => {
                Err(Error::Malformed(Malformed::Datagram(length)))
            }
            length => Ok(length),
        }
    }
}

/// What is received, whatever interrupts it; `None`: some were lost.
fn insist<T>(mut receive: impl FnMut() -> io::Result<T>) -> Result<Option<T>, Error> {
    loop {
        let error = match receive() {
            Ok(received) => return Ok(Some(received)),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Error::NoAnswer),
            _ if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => return Ok(None),
            _ => return Err(Error::Socket(error)),
        }
    }
}
