//! A raw socket for IP protocol 112 of one family (raw(7), ipv6(7)).
//!
//! The kernel makes the IP header of what is sent, from control messages: interface, source, TTL.
//! The TTL of multicast is the socket's: it is always the same.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vipd_engine::vrrp::advert::IP_PROTOCOL;
use vipd_engine::{Family, Ifindex, Received};
use vipd_frames::{Payload, Vrrp, decode_ipv4};
use vipd_sys::Path;

/// More than the longest VRRP message with its IP header: 255 IPv6 addresses are 4,088 octets.
const BUFFER: usize = 8192;
/// Class selector 6, network control, as keepalived and FRR mark their adverts.
const NETWORK_CONTROL: u32 = 0xc0;
/// Octets of datagrams that may wait, by the kernel's count, which doubles it: some 5,000 adverts.
/// A burst of somebody else must not push our master's advert out.
const WAITING: usize = 2 << 20;

/// Of every multicast advert (RFC 9568 section 5.1.1.3).
pub const MULTICAST_TTL: u8 = 255;

/// A socket that wakes nobody yet.
pub struct Raw {
    socket: Socket,
    family: Family,
}

impl Raw {
    /// Opens it. Needs `CAP_NET_RAW`.
    pub fn open(family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let protocol = Protocol::from(i32::from(IP_PROTOCOL));
        let socket = Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(protocol))?;
        // Beyond what the system allows to others, as CAP_NET_ADMIN may.
        setsockopt(&socket, sockopt::RcvBufForce, &WAITING)?;
        match family {
            Family::Ipv4 => {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_multicast_ttl_v4(MULTICAST_TTL.into())?;
                // Groups that somebody else joined on this machine are none of our business.
                socket.set_multicast_all_v4(false)?;
                socket.set_tos_v4(NETWORK_CONTROL)?;
                // As keepalived's: an advert that is too long is better late than lost.
                vipd_sys::allow_fragments(&socket)?;
            }
            Family::Ipv6 => {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                socket.set_recv_hoplimit_v6(true)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_hops_v6(MULTICAST_TTL.into())?;
                socket.set_multicast_all_v6(false)?;
                socket.set_tclass_v6(NETWORK_CONTROL)?;
            }
        }
        Ok(Self { socket, family })
    }

    fn join(&self, interface: Ifindex, group: IpAddr) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => {
                let interface = InterfaceIndexOrAddress::Index(interface.0);
                self.socket.join_multicast_v4_n(&group, &interface)
            }
            IpAddr::V6(group) => self.socket.join_multicast_v6(&group, interface.0),
        }
    }

    fn leave(&self, interface: Ifindex, group: IpAddr) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => {
                let interface = InterfaceIndexOrAddress::Index(interface.0);
                self.socket.leave_multicast_v4_n(&group, &interface)
            }
            IpAddr::V6(group) => self.socket.leave_multicast_v6(&group, interface.0),
        }
    }

    /// Reads one datagram into `buffer`. `WouldBlock`: nothing waits. `None`: it cannot be handed
    /// over.
    fn recv(&self, buffer: &mut [u8]) -> io::Result<Option<Header>> {
        let mut control = cmsg_space!(in_pktinfo, in6_pktinfo, i32);
        let mut content = [IoSliceMut::new(buffer)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let message = recvmsg::<SockaddrStorage>(fd, &mut content, Some(&mut control), flags)?;
        let (mut interface, mut dst, mut hop_limit) = (None, None, None);
        for item in message.cmsgs().into_iter().flatten() {
            match item {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    interface = u32::try_from(info.ipi_ifindex).ok().map(Ifindex);
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    interface = Some(Ifindex(info.ipi6_ifindex));
                    dst = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
                // Nothing else was asked for.
                _ => {}
            }
        }
        let src = message.address.and_then(|address| Some(address.as_sockaddr_in6()?.ip()));
        let length = message.bytes;
        Ok(interface.and_then(|interface| match self.family {
            Family::Ipv4 => header_of_ipv4(interface, &buffer[..length]),
            Family::Ipv6 => {
                let (src, dst) = (IpAddr::V6(src?), IpAddr::V6(dst?));
                Some(Header { interface, src, dst, ttl: hop_limit?, message: 0..length })
            }
        }))
    }
}

/// What the IP layer says of a datagram, and where in the buffer its message is.
struct Header {
    interface: Ifindex,
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    message: Range<usize>,
}

/// Only in this family the IP header comes along.
fn header_of_ipv4(interface: Ifindex, packet: &[u8]) -> Option<Header> {
    let Ok(Payload::Vrrp(Vrrp { src, dst, ttl, bytes })) = decode_ipv4(packet) else {
        return None;
    };
    // The message ends where the packet does, as the kernel cut it.
    let start = packet.len().checked_sub(bytes.len())?;
    Some(Header { interface, src, dst, ttl, message: start..packet.len() })
}

/// A socket that wakes the runtime when a datagram comes.
pub struct RawSocket {
    raw: Raw,
    waiting: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
    /// Datagrams that could not be handed over.
    unreadable: u64,
}

impl RawSocket {
    /// Must be called inside a runtime.
    pub fn new(raw: Raw) -> io::Result<Self> {
        let waiting = vipd_sys::watch(&raw.socket)?;
        Ok(Self { raw, waiting, buffer: vec![0; BUFFER], unreadable: 0 })
    }

    /// Waits for a datagram. It stays readable until [`Self::try_recv`] found nothing.
    pub async fn readable(&self) {
        if self.waiting.readable().await.is_err() {
            // The runtime is being shut down.
            std::future::pending::<()>().await;
        }
    }

    /// The next datagram, as far as the runtime knows that one waits: what nobody has told it of
    /// costs no system call.
    pub fn try_recv(&mut self) -> Option<Received<'_>> {
        let Self { raw, waiting, buffer, unreadable } = self;
        let header = loop {
            match waiting.try_io(Interest::READABLE, |_| raw.recv(buffer)) {
                Ok(Some(header)) => break header,
                Ok(None) => *unreadable += 1,
                // Nothing waits, or an error of the socket, which is told once.
                Err(_) => return None,
            }
        };
        let Header { interface, src, dst, ttl, message } = header;
        Some(Received { interface, src, dst, ttl, bytes: &buffer[message] })
    }

    /// Datagrams that could not be handed over so far.
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Sends as many of these as it can, and says how many.
    pub fn send(&self, path: Path, messages: &[&[u8]]) -> io::Result<usize> {
        vipd_sys::send_burst(&self.raw.socket, path, messages)
    }

    pub fn join(&self, interface: Ifindex, group: IpAddr) -> io::Result<()> {
        self.raw.join(interface, group)
    }

    pub fn leave(&self, interface: Ifindex, group: IpAddr) -> io::Result<()> {
        self.raw.leave(interface, group)
    }
}
