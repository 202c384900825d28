//! What an attempt goes through, as its check wants it, and what it means that it fails: whether
//! the server is to blame, or this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpStream, UdpSocket};
use vipd_checks::{ConnectionFailure, Family, Transport};
use vipd_engine::config::health::Check;
use vipd_engine::health::LocalError;

/// Why there is no socket, or why it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It could not be made here.
    Ours(LocalError),
    /// The server, or the way to it.
    Theirs(ConnectionFailure),
    /// The kernel has waited long enough.
    Late,
}

impl Trouble {
    /// Of making a socket.
    pub fn ours(error: &io::Error) -> Self {
        Self::Ours(our_fault(error))
    }

    /// Of a socket that goes to a server. ICMP errors are what `icmp(7)` and the kernel's
    /// `icmp_err_convert` make of them: all but a few numbers.
    pub fn of(error: &io::Error) -> Self {
        match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::ECONNREFUSED => Self::Theirs(ConnectionFailure::Refused),
            Errno::ECONNRESET | Errno::ECONNABORTED | Errno::EPIPE => {
                Self::Theirs(ConnectionFailure::Reset)
            }
            Errno::ETIMEDOUT => Self::Late,
            Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOMEM
            | Errno::ENOBUFS
            | Errno::EPERM
            | Errno::EADDRNOTAVAIL
            | Errno::EADDRINUSE
            | Errno::EAGAIN
            | Errno::EINVAL
            | Errno::ENODEV
            | Errno::EAFNOSUPPORT => Self::ours(error),
            _ => Self::Theirs(ConnectionFailure::Unreachable),
        }
    }
}

/// What of this machine is lacking, if nothing was said to a server yet.
pub fn our_fault(error: &io::Error) -> LocalError {
    match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
        Errno::EMFILE | Errno::ENFILE => LocalError::Descriptors,
        Errno::ENOMEM | Errno::ENOBUFS => LocalError::Memory,
        Errno::EPERM | Errno::EACCES => LocalError::Permission,
        Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => LocalError::Unsupported,
        _ => LocalError::Bind,
    }
}

/// A connection.
///
/// # Errors
/// [`Trouble`].
pub async fn stream(check: &Check) -> Result<TcpStream, Trouble> {
    let ours = |error| Trouble::ours(&error);
    let stream = TcpStream::from_std(connecting(check)?.into()).map_err(ours)?;
    stream.writable().await.map_err(ours)?;
    made(stream.take_error())?;
    Ok(stream)
}

/// A socket whose connection is under way. It has succeeded or failed once it is writable.
///
/// # Errors
/// [`Trouble`].
pub fn connecting(check: &Check) -> Result<Socket, Trouble> {
    let socket = bound(check, Type::STREAM, Protocol::TCP);
    let socket = socket.map_err(|error| Trouble::ours(&error))?;
    match socket.connect(&SocketAddr::new(check.address, check.port).into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => {
            Err(Trouble::of(&error))
        }
        Ok(()) | Err(_) => Ok(socket),
    }
}

/// What it means for a connection that its socket has this error (`SO_ERROR`), or none.
///
/// # Errors
/// [`Trouble`].
pub fn made(error: io::Result<Option<io::Error>>) -> Result<(), Trouble> {
    match error.map_err(|error| Trouble::ours(&error))? {
        Some(error) => Err(Trouble::of(&error)),
        None => Ok(()),
    }
}

/// A socket that sends datagrams to the server and hears of it alone, ICMP errors included.
///
/// # Errors
/// [`Trouble`].
pub fn datagrams(check: &Check, transport: Transport) -> Result<UdpSocket, Trouble> {
    let (kind, protocol, port) = match transport {
        Transport::Stream | Transport::Datagram => (Type::DGRAM, Protocol::UDP, check.port),
        // Linux's own ping sockets are closed to everybody by default (ping_group_range).
        Transport::Echo(Family::V4) => (Type::RAW, Protocol::ICMPV4, 0),
        Transport::Echo(Family::V6) => (Type::RAW, Protocol::ICMPV6, 0),
    };
    let socket = bound(check, kind, protocol).map_err(|error| Trouble::ours(&error))?;
    let hears_all = match check.address {
        IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
        IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
    };
    hears_all.map_err(|errno| Trouble::ours(&errno.into()))?;
    let to = SocketAddr::new(check.address, port);
    socket.connect(&to.into()).map_err(|error| Trouble::of(&error))?;
    // It sends and receives, whatever the protocol is.
    UdpSocket::from_std(socket.into()).map_err(|error| Trouble::ours(&error))
}

/// A socket with the options of a check, that never blocks.
fn bound(check: &Check, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let (domain, any) = match check.address {
        IpAddr::V4(_) => (Domain::IPV4, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(_) => (Domain::IPV6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    let socket = Socket::new(domain, kind.nonblocking(), Some(protocol))?;
    let bind = &check.bind;
    if bind.fwmark != 0 {
        socket.set_mark(bind.fwmark)?;
    }
    if let Some(interface) = &bind.interface {
        socket.bind_device(Some(interface.as_str().as_bytes()))?;
    }
    if bind.address.is_none() && bind.port == 0 {
        return Ok(socket);
    }
    if bind.port != 0 {
        // The last attempt's connection may still be in TIME_WAIT.
        socket.set_reuse_address(true)?;
    } else if kind == Type::STREAM {
        // The port is chosen with the connection: the same one may lead to several servers.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    }
    let port = if kind == Type::RAW { 0 } else { bind.port };
    socket.bind(&SocketAddr::new(bind.address.unwrap_or(any), port).into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_here_is_told_from_what_is_wrong_there() {
        let theirs = Trouble::Theirs;
        let table = [
            (Errno::ECONNREFUSED, theirs(ConnectionFailure::Refused)),
            (Errno::ECONNRESET, theirs(ConnectionFailure::Reset)),
            (Errno::EPIPE, theirs(ConnectionFailure::Reset)),
            (Errno::EHOSTUNREACH, theirs(ConnectionFailure::Unreachable)),
            (Errno::ENETUNREACH, theirs(ConnectionFailure::Unreachable)),
            (Errno::EHOSTDOWN, theirs(ConnectionFailure::Unreachable)),
            (Errno::ENOPROTOOPT, theirs(ConnectionFailure::Unreachable)),
            // ICMPv6 says so of what a filter rejects.
            (Errno::EACCES, theirs(ConnectionFailure::Unreachable)),
            (Errno::ETIMEDOUT, Trouble::Late),
            (Errno::EMFILE, Trouble::Ours(LocalError::Descriptors)),
            (Errno::ENFILE, Trouble::Ours(LocalError::Descriptors)),
            (Errno::ENOBUFS, Trouble::Ours(LocalError::Memory)),
            (Errno::EPERM, Trouble::Ours(LocalError::Permission)),
            (Errno::EADDRNOTAVAIL, Trouble::Ours(LocalError::Bind)),
            (Errno::EADDRINUSE, Trouble::Ours(LocalError::Bind)),
            (Errno::EAFNOSUPPORT, Trouble::Ours(LocalError::Unsupported)),
        ];
        for (errno, wanted) in table {
            assert_eq!(Trouble::of(&errno.into()), wanted, "{errno}");
        }
    }

    #[test]
    fn whatever_fails_before_something_is_said_is_no_fault_of_the_server() {
        let table = [
            (Errno::EMFILE, LocalError::Descriptors),
            (Errno::ENOMEM, LocalError::Memory),
            (Errno::EPERM, LocalError::Permission),
            (Errno::EACCES, LocalError::Permission),
            (Errno::EAFNOSUPPORT, LocalError::Unsupported),
            (Errno::EADDRNOTAVAIL, LocalError::Bind),
            (Errno::ENODEV, LocalError::Bind),
            (Errno::EINVAL, LocalError::Bind),
        ];
        for (errno, wanted) in table {
            assert_eq!(our_fault(&errno.into()), wanted, "{errno}");
        }
    }
}
