//! A host that asks a virtual server for pages, through its real kernel: each request is a
//! connection of its own. It has a thread of its own, so that its times are not those of the wires.
//!
//! A request has the port that it has in the simulation. Linux by itself takes a port again after a
//! moment, while IPVS knows the connection that had it for minutes more: if its real server is gone
//! since, what comes from there is dropped (`net.ipv4.vs.expire_nodest_conn` is 0).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use vipd_scenarios::scenario::Requests;
use vipd_sim::requests::local_port;

use crate::namespaces::Namespace;

const QUESTION: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const WANTED: &[u8] = b"HTTP/1.0 200 ";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// How soon it notices that it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// A client. Its thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct User {
    /// When the run begins; then nothing more.
    begin: Sender<Instant>,
    ended: Receiver<Ended>,
}

/// A request that ended. They come in the order in which they began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) sent: Instant,
    pub(crate) ended: Instant,
    /// The page, if one came.
    pub(crate) page: Option<String>,
}

impl User {
    /// A client in this namespace, which waits for the run to begin.
    pub(crate) fn new(namespace: &Namespace, requests: Requests) -> Result<Self, String> {
        let (begin, begun) = mpsc::channel();
        let (told, ended) = mpsc::channel();
        // A thread that is started in a namespace stays in it.
        namespace.within(move || {
            thread::spawn(move || {
                let Ok(at) = begun.recv() else { return };
                let (next, open) = (at + requests.every, VecDeque::new());
                Asking { requests, next, number: 0, open, told, begun }.run();
            });
        })?;
        Ok(Self { begin, ended })
    }

    /// The run begins.
    pub(crate) fn begin(&self, at: Instant) {
        // A thread that is gone is seen when it is asked for what ended.
        let _ = self.begin.send(at);
    }

    /// What ended since it was asked last.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) fn hear(&self) -> io::Result<Vec<Ended>> {
        let mut heard = Vec::new();
        loop {
            match self.ended.try_recv() {
                Ok(ended) => heard.push(ended),
                Err(TryRecvError::Empty) => return Ok(heard),
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::new(ErrorKind::BrokenPipe, "it has ended"));
                }
            }
        }
    }
}

struct Asking {
    requests: Requests,
    /// When the next request begins, and its number.
    next: Instant,
    number: u64,
    /// In the order in which they began. One that ended waits for those before it.
    open: VecDeque<Request>,
    told: Sender<Ended>,
    begun: Receiver<Instant>,
}

struct Request {
    sent: Instant,
    state: State,
}

enum State {
    Connecting(OwnedFd),
    Asking(TcpStream, Vec<u8>),
    Ended(Instant, Option<String>),
}

impl Asking {
    /// Until nobody hears it any more.
    fn run(mut self) {
        while !matches!(self.begun.try_recv(), Err(TryRecvError::Disconnected)) {
            let now = Instant::now();
            if now >= self.next {
                self.begin();
            }
            self.open.iter_mut().for_each(Request::go_on);
            self.give_up(Instant::now());
            if !self.tell() || self.wait().is_err() {
                return;
            }
        }
    }

    fn begin(&mut self) {
        let Requests { address, port, every, patient } = self.requests;
        if patient && self.open.iter().any(Request::is_open) {
            return;
        }
        let sent = Instant::now();
        // Late by more than one is not made up for.
        self.next = if patient { sent + every } else { (self.next + every).max(sent) };
        let from = local_port(self.number);
        self.number += 1;
        let state = match begin(from, SocketAddr::new(address, port)) {
            Ok(socket) => State::Connecting(socket),
            Err(_) => State::Ended(Instant::now(), None),
        };
        self.open.push_back(Request { sent, state });
    }

    fn give_up(&mut self, now: Instant) {
        if self.requests.patient {
            return;
        }
        for request in self.open.iter_mut().filter(|request| request.is_open()) {
            if now >= request.sent + Requests::LIMIT {
                request.state = State::Ended(now, None);
            }
        }
    }

    /// Says whether somebody hears it.
    fn tell(&mut self) -> bool {
        while let Some(Request { sent, state: State::Ended(ended, page) }) = self.open.front_mut() {
            let ended = Ended { sent: *sent, ended: *ended, page: page.take() };
            if self.told.send(ended).is_err() {
                return false;
            }
            self.open.pop_front();
        }
        true
    }

    /// Until something comes in or is due.
    fn wait(&self) -> io::Result<()> {
        let open = self.open.iter().filter_map(|request| match &request.state {
            State::Connecting(socket) => Some(PollFd::new(socket.as_fd(), PollFlags::POLLOUT)),
            State::Asking(stream, _) => Some(PollFd::new(stream.as_fd(), PollFlags::POLLIN)),
            State::Ended(..) => None,
        });
        let mut fds: Vec<_> = open.collect();
        let patient = self.requests.patient;
        let next = (!patient || fds.is_empty()).then_some(self.next);
        let oldest = self.open.iter().find(|request| request.is_open()).filter(|_| !patient);
        let limit = oldest.map(|request| request.sent + Requests::LIMIT);
        let now = Instant::now();
        let first = next.into_iter().chain(limit).min();
        let wait = first.map_or(LOOK, |first| first.saturating_duration_since(now).min(LOOK));
        match ppoll(&mut fds, Some(TimeSpec::from(wait)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Request {
    const fn is_open(&self) -> bool {
        !matches!(self.state, State::Ended(..))
    }

    /// As far as it goes without waiting.
    fn go_on(&mut self) {
        let next = match &mut self.state {
            State::Connecting(socket) => match connected(socket) {
                Ok(false) => return,
                Ok(true) => ask(socket),
                Err(error) => Err(error),
            },
            State::Asking(stream, heard) => match hear(stream, heard) {
                Ok(false) => return,
                Ok(true) => Ok(State::Ended(Instant::now(), page(heard))),
                Err(error) => Err(error),
            },
            State::Ended(..) => return,
        };
        self.state = next.unwrap_or_else(|_| State::Ended(Instant::now(), None));
    }
}

fn begin(port: u16, to: SocketAddr) -> io::Result<OwnedFd> {
    let (family, any): (_, IpAddr) = match to {
        SocketAddr::V4(_) => (AddressFamily::Inet, Ipv4Addr::UNSPECIFIED.into()),
        SocketAddr::V6(_) => (AddressFamily::Inet6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(any, port)))?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Whether a connection is there.
fn connected(socket: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    if ppoll(&mut fds, Some(TimeSpec::from(Duration::ZERO)), None)? == 0 {
        return Ok(false);
    }
    match getsockopt(socket, sockopt::SocketError)? {
        0 => Ok(true),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn ask(socket: &OwnedFd) -> io::Result<State> {
    let mut stream = TcpStream::from(socket.try_clone()?);
    stream.write_all(QUESTION)?;
    Ok(State::Asking(stream, Vec::new()))
}

/// Whether all of the answer is there.
fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>) -> io::Result<bool> {
    let mut octets = [0; 1024];
    loop {
        match stream.read(&mut octets) {
            Ok(0) => return Ok(true),
            Ok(length) => heard.extend_from_slice(&octets[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// What stands below the head of a good answer.
fn page(heard: &[u8]) -> Option<String> {
    let is_end = |octets: &[u8]| octets == END_OF_HEAD;
    let end = heard.windows(END_OF_HEAD.len()).position(is_end)? + END_OF_HEAD.len();
    let page = String::from_utf8_lossy(&heard[end..]).trim().to_string();
    heard.starts_with(WANTED).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_that_is_good_has_a_page() {
        let good = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nweb1\n";
        assert_eq!(page(good), Some("web1".to_string()));
        assert_eq!(page(b"HTTP/1.0 500 Model\r\n\r\nweb1\n"), None);
        assert_eq!(page(b"HTTP/1.0 200 OK\r\n"), None);
        assert_eq!(page(b""), None);
    }
}
