//! A host that asks for a virtual address at an interval, through its real kernel: that resolves
//! the address, keeps the entry and believes announcements as it does everywhere.

use std::io;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    socket,
};
use vipd_engine::MacAddress;
use vipd_frames::{Echo, Endpoints, Ethernet, echo};
use vipd_scenarios::record::{HostId, WorldTime};

/// Ethernet and IP header, which the kernel makes.
const V4_HEADERS: usize = 14 + 20;
const V6_HEADERS: usize = 14 + 40;

/// A client and the question that is open.
#[derive(Debug)]
pub(crate) struct Client {
    /// How often it asks.
    pub(crate) every: Duration,
    ends: Endpoints,
    id: u16,
    sequence: u16,
    open: Option<WorldTime>,
    socket: OwnedFd,
}

impl Client {
    /// Opens its socket in the namespace of this thread.
    pub(crate) fn open(ends: Endpoints, every: Duration, host: HostId) -> io::Result<Self> {
        let (family, protocol) = match ends {
            Endpoints::V4 { .. } => (AddressFamily::Inet, SockProtocol::Icmp),
            Endpoints::V6 { .. } => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(family, SockType::Raw, flags, protocol)?;
        Ok(Self { every, ends, id: host.0, sequence: 0, open: None, socket })
    }

    /// What it asks for.
    pub(crate) const fn address(&self) -> IpAddr {
        self.ends.dst()
    }

    /// Asks, and gives the time of the question before if that is still open.
    pub(crate) fn ask(&mut self, now: WorldTime) -> io::Result<Option<WorldTime>> {
        let lost = self.open.replace(now);
        self.sequence = self.sequence.wrapping_add(1);
        let (id, sequence) = (self.id, self.sequence);
        let request = Echo { endpoints: self.ends, ttl: 64, id, sequence, data: &[] };
        let nobody = Ethernet { src: MacAddress([0; 6]), dst: MacAddress([0; 6]) };
        let mut frame = Vec::new();
        echo::echo_request(nobody, &request, &mut frame);
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = match self.ends {
            Endpoints::V4 { dst, .. } => {
                let to = SockaddrIn::from(SocketAddrV4::new(dst, 0));
                sendto(fd, &frame[V4_HEADERS..], &to, flags)
            }
            Endpoints::V6 { dst, .. } => {
                let to = SockaddrIn6::from(SocketAddrV6::new(dst, 0, 0, 0));
                sendto(fd, &frame[V6_HEADERS..], &to, flags)
            }
        };
        match sent {
            // A question that cannot leave is a question without an answer.
            Ok(_) | Err(Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ENETDOWN) => Ok(lost),
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EADDRNOTAVAIL) => Ok(lost),
            Err(error) => Err(error.into()),
        }
    }

    /// Nobody waits for an answer any more.
    pub(crate) const fn forget(&mut self) -> Option<WorldTime> {
        self.open.take()
    }

    /// The time of the open question, if this answers it.
    pub(crate) fn answered(&mut self, reply: &Echo<'_>) -> Option<WorldTime> {
        let fits = reply.id == self.id
            && reply.sequence == self.sequence
            && reply.endpoints == self.ends.reversed();
        if fits { self.open.take() } else { None }
    }
}
