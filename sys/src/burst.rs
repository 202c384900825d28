//! Several datagrams by one system call (sendmmsg(2)). nix wraps it, but tells how many left only
//! by reading addresses that the kernel never wrote.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use libc::{c_int, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, msghdr, socklen_t};

/// Most datagrams of one call.
pub const BURST: usize = 64;

/// How all datagrams of a burst leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The index of the interface.
    pub interface: u32,
    /// Of the same family as `dst`.
    pub src: IpAddr,
    /// Where to.
    pub dst: IpAddr,
    /// TTL or hop limit; `None` for that of the socket, which spares the kernel an allocation for
    /// each datagram.
    pub ttl: Option<u8>,
}

/// Two control messages, laid out as `CMSG_NXTHDR` of cmsg(3) finds them: each begins aligned.
#[repr(C)]
struct Control<Info> {
    info_header: cmsghdr,
    info: Info,
    ttl_header: cmsghdr,
    ttl: c_int,
    /// Behind the octets that the kernel reads.
    length: usize,
}

impl<Info> Control<Info> {
    fn new(level: c_int, [info_kind, ttl_kind]: [c_int; 2], info: Info, ttl: Option<u8>) -> Self {
        let header = |kind, length: usize| {
            // SAFETY: `cmsghdr` is plain numbers, for which all zero is a value.
            #[allow(unsafe_code)]
            let mut header: cmsghdr = unsafe { mem::zeroed() };
            (header.cmsg_level, header.cmsg_type) = (level, kind);
            header.cmsg_len = size_of::<cmsghdr>() + length;
            header
        };
        Self {
            info_header: header(info_kind, size_of::<Info>()),
            info,
            ttl_header: header(ttl_kind, size_of::<c_int>()),
            ttl: c_int::from(ttl.unwrap_or(0)),
            length: match ttl {
                Some(_) => mem::offset_of!(Self, length),
                None => size_of::<cmsghdr>() + size_of::<Info>(),
            },
        }
    }
}

/// Sends as many as it can of the first [`BURST`] of these, in their order, and says how many.
///
/// # Errors
/// Those of sendmsg(2) for the first one; for another one they come when it is the first.
pub fn send_burst(socket: &impl AsFd, path: Path, messages: &[&[u8]]) -> io::Result<usize> {
    let Path { interface, src, dst, ttl } = path;
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let info = in_pktinfo {
                ipi_ifindex: index(interface)?,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(src.octets()) },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            let kinds = [libc::IP_PKTINFO, libc::IP_TTL];
            let control = Control::new(libc::IPPROTO_IP, kinds, info, ttl);
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: 0,
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(dst.octets()) },
                sin_zero: [0; 8],
            };
            send(socket, &address, &control, messages)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let info = in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: src.octets() },
                ipi6_ifindex: interface,
            };
            let kinds = [libc::IPV6_PKTINFO, libc::IPV6_HOPLIMIT];
            let control = Control::new(libc::IPPROTO_IPV6, kinds, info, ttl);
            // Without an interface an address of the link means nothing.
            let is_of_the_link = dst.is_multicast() || dst.is_unicast_link_local();
            let address = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: dst.octets() },
                sin6_scope_id: if is_of_the_link { interface } else { 0 },
            };
            send(socket, &address, &control, messages)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }
}

fn send<Address, Info>(
    socket: &impl AsFd,
    address: &Address,
    control: &Control<Info>,
    messages: &[&[u8]],
) -> io::Result<usize> {
    let messages = &messages[..messages.len().min(BURST)];
    let content = |message: &&[u8]| iovec {
        iov_base: message.as_ptr().cast_mut().cast(),
        iov_len: message.len(),
    };
    let mut contents: Vec<_> = messages.iter().map(content).collect();
    let header = |content: &mut iovec| {
        // SAFETY: `msghdr` is plain numbers and pointers, for which all zero is a value.
        #[allow(unsafe_code)]
        let mut header: msghdr = unsafe { mem::zeroed() };
        header.msg_name = ptr::from_ref(address).cast_mut().cast();
        header.msg_namelen = size_of::<Address>() as socklen_t;
        header.msg_iov = content;
        header.msg_iovlen = 1;
        header.msg_control = ptr::from_ref(control).cast_mut().cast();
        header.msg_controllen = control.length;
        mmsghdr { msg_hdr: header, msg_len: 0 }
    };
    let mut headers: Vec<_> = contents.iter_mut().map(header).collect();
    let (fd, count) = (socket.as_fd().as_raw_fd(), headers.len() as u32);
    // SAFETY: the headers are live for the call and as many as it is told; what they point to lives
    // as long and has the stated lengths. The kernel writes to `msg_len` of the headers alone.
    #[allow(unsafe_code)]
    let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn index(interface: u32) -> io::Result<c_int> {
    c_int::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}
