//! One end of a cable, as frames: a packet socket on it (packet(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg,
    sendmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;

/// Frames that wait while the laboratory is busy. It may be
/// more than `rmem_max`: root may (socket(7)).
const BUFFER: usize = 4 << 20;

/// Takes every frame that comes out of an interface, and puts frames into it.
#[derive(Debug)]
pub struct Plug(OwnedFd);

impl Plug {
    /// Opens it in the namespace of this thread.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2), and that there is no such interface.
    pub fn open(interface: &str) -> io::Result<Self> {
        let Self(fd) = Self::open_all()?;
        let mut known = getifaddrs()?.filter(|known| known.interface_name == interface);
        let address = known.find_map(|known| known.address?.as_link_addr().copied());
        let address = address.ok_or(io::Error::from(Errno::ENODEV))?;
        bind(fd.as_raw_fd(), &address)?;
        Ok(Self(fd))
    }

    /// Opens one that takes the frames of every interface in the namespace of this thread.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn open_all() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::EthAll;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)?;
        setsockopt(&fd, ReceiveTimestampns, &true)?;
        setsockopt(&fd, RcvBufForce, &BUFFER)?;
        Ok(Self(fd))
    }

    /// The next frame that waits: its octets in `buffer`, and when the kernel had it, by the wall
    /// clock. `None` if none waits.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Duration)>> {
        let mut space = cmsg_space!(TimeSpec);
        loop {
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let fd = self.0.as_raw_fd();
            let received = match recvmsg::<()>(fd, &mut parts, Some(&mut space), flags) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return Ok(None),
                // The cable was pulled; the socket goes on when it is plugged in.
                Err(Errno::EINTR | Errno::ENETDOWN) => continue,
                Err(error) => return Err(error.into()),
            };
            let stamps = received.cmsgs()?.filter_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            });
            let stamp = stamps.last().ok_or(io::Error::from(Errno::EBADMSG))?;
            return Ok(Some((received.bytes, stamp)));
        }
    }

    /// Puts a frame into the interface. One that is down takes none.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(frame)];
        match sendmsg::<()>(self.0.as_raw_fd(), &parts, &[], MsgFlags::MSG_DONTWAIT, None) {
            Ok(_) | Err(Errno::ENETDOWN | Errno::ENOBUFS | Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Plug {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
