//! Every frame that a host puts on the LAN, with the kernel's own time and the host that sent it.

use std::fs::File;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use vipd_frames::{Payload, decode};

use super::{PATIENCE, port};

/// ETH_P_ALL, as the wire has it.
const EVERYTHING: i32 = (3_u16.to_be()) as i32;
/// PACKET_OUTGOING: the bridge sends it on; it was seen already when it came in.
const OUTGOING: u8 = 4;

/// A frame as it left a host.
#[derive(Clone, Debug)]
pub struct Frame {
    pub at: SystemTime,
    /// Which host sent it.
    pub host: usize,
    pub octets: Vec<u8>,
}

impl Frame {
    /// Its VRRP message, if it has one.
    pub fn message(&self) -> Option<&[u8]> {
        match decode(&self.octets).ok()?.payload {
            Payload::Vrrp(vrrp) => Some(vrrp.bytes),
            _ => None,
        }
    }

    /// Where its VRRP message comes from, if it has one.
    pub fn source(&self) -> Option<IpAddr> {
        match decode(&self.octets).ok()?.payload {
            Payload::Vrrp(vrrp) => Some(vrrp.src),
            _ => None,
        }
    }

    /// The priority of its advert, if it is one.
    pub fn priority(&self) -> Option<u8> {
        self.message().map(|message| message[2])
    }

    /// The address that it announces, if it is a gratuitous ARP or an unsolicited NA.
    pub fn announces(&self) -> Option<IpAddr> {
        match decode(&self.octets).ok()?.payload {
            Payload::Arp(arp) if arp.spa == arp.tpa => Some(IpAddr::V4(arp.spa)),
            Payload::NeighbourAdvert(advert) if !advert.solicited => {
                Some(IpAddr::V6(advert.target))
            }
            _ => None,
        }
    }

    /// Its Ethernet source.
    pub fn mac(&self) -> [u8; 6] {
        self.octets[6..12].try_into().expect("an Ethernet header")
    }
}

type Frames = Arc<(Mutex<Vec<Frame>>, Condvar)>;

/// What was captured so far.
pub struct Capture {
    frames: Frames,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Where a capture is.
enum Place {
    /// At the bridge, with its ports in the order of the hosts.
    Bridge(Vec<usize>),
    /// At a host's own end of its cable.
    Host(usize),
}

impl Capture {
    /// Nothing is captured yet.
    pub fn none() -> Self {
        Self { frames: Frames::default(), stop: Arc::default(), threads: Vec::new() }
    }

    /// Captures at the ports of the bridge in this namespace.
    pub fn start(namespace: &str, hosts: usize) -> Result<Self, String> {
        let mut capture = Self::none();
        capture.add(namespace, move |socket| {
            let index = |at| Ok(nix::net::if_::if_nametoindex(port(at).as_str())? as usize);
            let ports = (0..hosts).map(index).collect::<std::io::Result<_>>();
            ports.map(|ports| (socket, Place::Bridge(ports)))
        })?;
        Ok(capture)
    }

    /// Captures what leaves these hosts, each with its namespace. Behind the cable a flood fills
    /// the kernel's queues, and a frame that left may not come as far as the bridge.
    pub fn of_leaving(hosts: &[(usize, &str)]) -> Result<Self, String> {
        let mut capture = Self::none();
        for (host, namespace) in hosts {
            let host = *host;
            capture.add(namespace, move |socket| {
                only_outgoing(&socket)?;
                Ok((socket, Place::Host(host)))
            })?;
        }
        Ok(capture)
    }

    fn add(
        &mut self,
        namespace: &str,
        place: impl FnOnce(Socket) -> std::io::Result<(Socket, Place)> + Send + 'static,
    ) -> Result<(), String> {
        let (frames, stop) = (Arc::clone(&self.frames), Arc::clone(&self.stop));
        let path = format!("/run/netns/{namespace}");
        let (ready, opened) = std::sync::mpsc::channel();
        self.threads.push(std::thread::spawn(move || match open(&path).and_then(place) {
            Ok((socket, place)) => {
                let _ = ready.send(Ok(()));
                read(&socket, &place, &frames, &stop);
            }
            Err(error) => {
                let _ = ready.send(Err(error.to_string()));
            }
        }));
        opened.recv().map_err(|error| error.to_string())?
    }

    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// How many frames there are: what is waited for after this comes later.
    pub fn mark(&self) -> usize {
        self.frames.0.lock().expect("no panic").len()
    }

    /// Waits for a frame behind `mark` that fits, and answers with the first.
    pub fn wait(&self, mark: usize, what: &str, fits: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        let mut frames = self.frames.0.lock().expect("no panic");
        loop {
            if let Some(frame) = frames[mark..].iter().find(|frame| fits(frame)) {
                return frame.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} never came");
            frames = self.frames.1.wait_timeout(frames, left).expect("no panic").0;
        }
    }

    /// The next advert of a host behind `mark`, with this priority.
    pub fn advert(&self, mark: usize, host: usize, priority: u8) -> Frame {
        let what = format!("an advert of host {host} with priority {priority}");
        self.wait(mark, &what, |one| one.host == host && one.priority() == Some(priority))
    }

    /// The next announcement of an address by a host behind `mark`.
    pub fn announcement(&self, mark: usize, host: usize, address: &str) -> Frame {
        let address: IpAddr = address.parse().expect("an address");
        let what = format!("an announcement of {address} by host {host}");
        self.wait(mark, &what, |one| one.host == host && one.announces() == Some(address))
    }

    /// All frames behind `mark` that fit.
    pub fn all(&self, mark: usize, fits: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let frames = self.frames.0.lock().expect("no panic");
        frames[mark..].iter().filter(|frame| fits(frame)).cloned().collect()
    }

    /// All adverts of a host behind `mark`.
    pub fn adverts(&self, mark: usize, host: usize) -> Vec<Frame> {
        self.all(mark, |one| one.host == host && one.priority().is_some())
    }
}

/// Only this thread enters the namespace.
fn open(namespace: &str) -> std::io::Result<Socket> {
    setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERYTHING)))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// Lets the kernel drop what comes in (the program is for packet sockets, linux/filter.h).
fn only_outgoing(socket: &Socket) -> std::io::Result<()> {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const ANSWER: u16 = 0x06;
    /// SKF_AD_OFF and behind it SKF_AD_PKTTYPE.
    const KIND: u32 = (-0x1000_i32 + 4) as u32;
    socket.attach_filter(&[
        SockFilter::new(LOAD, 0, 0, KIND),
        SockFilter::new(IF_EQUAL, 0, 1, u32::from(OUTGOING)),
        SockFilter::new(ANSWER, 0, 0, u32::MAX),
        SockFilter::new(ANSWER, 0, 0, 0),
    ])
}

fn read(socket: &Socket, place: &Place, frames: &Frames, stop: &AtomicBool) {
    let mut buffer = vec![0; 65536];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    while !stop.load(Ordering::Relaxed) {
        let mut content = [IoSliceMut::new(&mut buffer)];
        let fd = socket.as_raw_fd();
        let received = recvmsg::<LinkAddr>(fd, &mut content, Some(&mut control), MsgFlags::empty());
        let Ok(message) = received else { continue };
        let Some(from) = message.address else { continue };
        let outgoing = from.pkttype() == OUTGOING;
        let host = match place {
            Place::Bridge(_) if outgoing => None,
            Place::Bridge(ports) => ports.iter().position(|index| *index == from.ifindex()),
            Place::Host(host) => outgoing.then_some(*host),
        };
        let Some(host) = host else { continue };
        let stamp = message.cmsgs().into_iter().flatten().find_map(|item| match item {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let Some(stamp) = stamp else { continue };
        let length = message.bytes;
        let at = SystemTime::UNIX_EPOCH + stamp;
        let frame = Frame { at, host, octets: buffer[..length].to_vec() };
        frames.0.lock().expect("no panic").push(frame);
        frames.1.notify_all();
    }
}
