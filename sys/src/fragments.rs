//! Whether a router on the way may cut a datagram in pieces (ip(7), `IP_MTU_DISCOVER`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Datagrams of this IPv4 socket leave without the flag "don't fragment".
///
/// # Errors
/// Those of setsockopt(2).
pub fn allow_fragments(socket: &impl AsFd) -> io::Result<()> {
    let value: libc::c_int = libc::IP_PMTUDISC_DONT;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to a live value of the stated length, and the kernel only reads it
    // during the call.
    #[allow(unsafe_code)]
    let set = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const value).cast(),
            length,
        )
    };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
