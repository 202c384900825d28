//! The netlink socket itself. Its calls block, but hardly: the kernel works a request off while it
//! is sent, and its answers are there before the call returns.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, recv, recvmmsg, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use rtnetlink::sys::protocols::NETLINK_GENERIC;
use rtnetlink::sys::{Socket as Raw, SocketAddr};

use super::client::Datagrams;

/// Starting a thread of the synchronisation waits for others' changes of interfaces.
const LONGEST_WAIT_SECONDS: i64 = 5;

/// A socket of netlink in the network namespace of the thread that opened it.
pub struct Socket(Raw);

impl Socket {
    /// Opens it for generic netlink. Only the kernel can send to it.
    ///
    /// # Errors
    /// Those of socket(2), bind(2), connect(2) and setsockopt(2).
    pub fn open() -> io::Result<Self> {
        Self::speaks(NETLINK_GENERIC)
    }

    /// Opens it for this protocol of netlink.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn speaks(protocol: isize) -> io::Result<Self> {
        let mut raw = Raw::new(protocol)?;
        raw.bind_auto()?;
        raw.connect(&SocketAddr::new(0, 0))?;
        // They came with Linux 4.3 and 4.12. Without them an answer is longer, or says less.
        let _ = raw.set_cap_ack(true);
        let _ = raw.set_ext_ack(true);
        setsockopt(&raw, sockopt::ReceiveTimeout, &TimeVal::seconds(LONGEST_WAIT_SECONDS))?;
        Ok(Self(raw))
    }
}

impl Datagrams for Socket {
    fn send(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.send(octets, 0)
    }

    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_raw_fd(), room, MsgFlags::MSG_TRUNC)?)
    }

    fn receive_several(&mut self, room: &mut [u8], part: usize) -> io::Result<Vec<usize>> {
        let mut parts: Vec<_> = room.chunks_mut(part).map(|part| [IoSliceMut::new(part)]).collect();
        let mut headers = MultiHeaders::<()>::preallocate(parts.len(), None);
        let flags = MsgFlags::MSG_WAITFORONE | MsgFlags::MSG_TRUNC;
        let fd = self.0.as_raw_fd();
        let received = recvmmsg(fd, &mut headers, parts.iter_mut(), flags, None)?;
        Ok(received.map(|datagram| datagram.bytes).collect())
    }
}
