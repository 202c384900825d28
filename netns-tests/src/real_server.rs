//! A real server: a small HTTP server in the namespace of its host, which does what the scenario
//! says. Its page is the name of the host.
//!
//! It listens on every address, the hidden one of a service included. That nothing comes back from
//! it (`silent`) is a matter of the wires, which pass no frame to its host.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};
use std::vec;

use nix::libc::linger;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use nix::sys::time::TimeSpec;
use vipd_scenarios::scenario::Conduct;

use crate::namespaces::Namespace;

/// Where a request of HTTP without a body ends.
const END: &[u8] = b"\r\n\r\n";

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct RealServer {
    orders: Sender<Conduct>,
    /// Wakes the thread; its end ends the thread.
    bell: UnixStream,
}

impl RealServer {
    /// Starts it in this namespace, at these ports.
    pub(crate) fn start(
        namespace: &Namespace,
        name: &str,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<Self, String> {
        let (orders, told) = mpsc::channel();
        let failed = |error: io::Error| format!("the real server {name}: {error}");
        let (bell, woken) = UnixStream::pair().map_err(failed)?;
        bell.set_nonblocking(true).map_err(failed)?;
        woken.set_nonblocking(true).map_err(failed)?;
        let ports: Vec<_> = ports.into_iter().collect();
        let page = format!("{name}\n");
        // A thread that is started in a namespace stays in it.
        let started = namespace.within(|| {
            let listen = |port: &u16| listen(*port).map(|open| (*port, Some(open)));
            let doors = ports.iter().map(listen).collect::<io::Result<_>>()?;
            let since = Instant::now();
            let conduct = Conduct::Answers;
            let mut server = Server { page, doors, conduct, since, guests: Vec::new() };
            thread::spawn(move || server.run(&told, &woken));
            Ok(())
        })?;
        started.map_err(failed)?;
        Ok(Self { orders, bell })
    }

    /// It does this from now on.
    pub(crate) fn order(&mut self, conduct: Conduct) -> io::Result<()> {
        let gone = |_| io::Error::new(ErrorKind::BrokenPipe, "it has ended");
        self.orders.send(conduct).map_err(gone)?;
        match self.bell.write(&[0]) {
            // It will wake for what rang before.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

struct Server {
    page: String,
    /// Ports, each open or not.
    doors: Vec<(u16, Option<TcpListener>)>,
    conduct: Conduct,
    since: Instant,
    guests: Vec<Guest>,
}

struct Guest {
    stream: TcpStream,
    /// What it gets, whatever the server does to those after it.
    conduct: Conduct,
    heard: Vec<u8>,
    /// Of a page that drips: what is still to come, and when.
    rest: Option<(vec::IntoIter<u8>, Instant)>,
}

impl Server {
    /// Until nobody can ring any more.
    fn run(&mut self, told: &Receiver<Conduct>, woken: &UnixStream) {
        let mut bell = woken;
        loop {
            let mut rings = [0; 64];
            match bell.read(&mut rings) {
                Ok(0) => return,
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            while let Ok(conduct) = told.try_recv() {
                (self.conduct, self.since) = (conduct, Instant::now());
            }
            let conduct = self.conduct_now();
            self.open_or_close(conduct);
            self.let_in(conduct);
            self.guests.retain_mut(|guest| guest.go_on(&self.page));
            if self.wait(woken).is_err() {
                return;
            }
        }
    }

    /// Flapping is answering or refusing.
    fn conduct_now(&self) -> Conduct {
        let Conduct::Flaps { good, bad } = self.conduct else { return self.conduct };
        let into = self.since.elapsed().as_nanos() % (good + bad).as_nanos().max(1);
        if into < good.as_nanos() { Conduct::Answers } else { Conduct::Refuses }
    }

    /// One who refuses is a program that has ended.
    fn open_or_close(&mut self, conduct: Conduct) {
        if conduct == Conduct::Refuses {
            self.doors.iter_mut().for_each(|(_, door)| *door = None);
            self.guests.clear();
        } else {
            for (port, door) in self.doors.iter_mut().filter(|(_, door)| door.is_none()) {
                *door = listen(*port).ok();
            }
        }
    }

    fn let_in(&mut self, conduct: Conduct) {
        for door in self.doors.iter().filter_map(|(_, door)| door.as_ref()) {
            while let Ok((stream, _)) = door.accept() {
                if conduct != Conduct::Closes && stream.set_nonblocking(true).is_ok() {
                    self.guests.push(Guest { stream, conduct, heard: Vec::new(), rest: None });
                }
            }
        }
    }

    /// Until something comes in or is due.
    fn wait(&self, woken: &UnixStream) -> io::Result<()> {
        let doors = self.doors.iter().filter_map(|(_, door)| Some(door.as_ref()?.as_fd()));
        // Of a page that drips nothing is awaited.
        let guests = self.guests.iter().filter(|guest| guest.rest.is_none());
        let fds = doors.chain(guests.map(|guest| guest.stream.as_fd())).chain([woken.as_fd()]);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let drips = self.guests.iter().filter_map(|guest| Some(guest.rest.as_ref()?.1));
        let turns = match self.conduct {
            Conduct::Flaps { good, bad } => {
                let into = self.since.elapsed().as_nanos() % (good + bad).as_nanos().max(1);
                let turn = if into < good.as_nanos() { good } else { good + bad };
                let rest = turn.as_nanos() - into;
                Some(Instant::now() + Duration::from_nanos(rest as u64))
            }
            _ => None,
        };
        let first = drips.chain(turns).min();
        let wait = first.map(|first| first.saturating_duration_since(Instant::now()));
        match ppoll(&mut fds, wait.map(TimeSpec::from), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Guest {
    /// Hears and answers. Says whether it stays.
    fn go_on(&mut self, page: &str) -> bool {
        let conduct = self.conduct;
        if let (Some((rest, at)), Conduct::Drips { every }) = (&mut self.rest, conduct) {
            if Instant::now() < *at {
                return true;
            }
            *at += every;
            return rest.next().is_some_and(|octet| self.stream.write_all(&[octet]).is_ok());
        }
        let mut octets = [0; 1024];
        loop {
            match self.stream.read(&mut octets) {
                Ok(0) => return false,
                Ok(length) => self.heard.extend_from_slice(&octets[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        if conduct == Conduct::Resets && !self.heard.is_empty() {
            // Without lingering it ends by a reset (socket(7)).
            let at_once = linger { l_onoff: 1, l_linger: 0 };
            let _ = setsockopt(&self.stream, Linger, &at_once);
            return false;
        }
        if !self.heard.ends_with(END) || conduct == Conduct::Hangs {
            return true;
        }
        let status = if conduct == Conduct::Lies { "500 Model" } else { "200 OK" };
        let length = page.len();
        let answer = format!("HTTP/1.0 {status}\r\nContent-Length: {length}\r\n\r\n{page}");
        if let Conduct::Drips { every } = conduct {
            self.rest = Some((answer.into_bytes().into_iter(), Instant::now() + every));
            return true;
        }
        let _ = self.stream.write_all(answer.as_bytes());
        false
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    // A kernel without IPv6 has no such address.
    let listener =
        TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
