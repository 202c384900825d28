//! How an attempt of a check ended: what the driver of a check tells.
//!
//! A fault of the server and a fault of this machine are different things. What this machine lacks
//! for the moment never counts against a server. A check that nobody can make before somebody has
//! mended a file or the configuration holds its server down, or it would be up for good.

use core::fmt;

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The server answered as it must.
    Good {
        /// The weight that it asks for (`misc_dynamic`: exit status minus 2); `None`: no wish.
        weight: Option<u32>,
    },
    /// It did not.
    Bad(Failure),
    /// Nothing was learnt of the server: the attempt could not be made here.
    Local(LocalError),
}

impl Outcome {
    /// Good, with no wish for a weight.
    pub const GOOD: Self = Self::Good { weight: None };

    /// What the exit status of a script means. With `dynamic`, 2 to 255 is good and asks for the
    /// weight 0 to 253.
    #[must_use]
    pub const fn of_exit(status: u8, dynamic: bool) -> Self {
        match status {
            0 => Self::GOOD,
            2.. if dynamic => Self::Good { weight: Some(status as u32 - 2) },
            _ => Self::Bad(Failure::Exit(status)),
        }
    }
}

/// What was wrong with a server. One for each fault that somebody would mend differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Failure {
    /// It refused: a RST, or ICMP port unreachable.
    Refused,
    /// ICMP or the kernel said that there is no way to it.
    Unreachable,
    /// No answer, or none that was complete, within the limit. The engine finds this one by itself.
    TimedOut,
    /// It closed the connection before the answer was complete.
    Closed,
    /// It reset the connection.
    Reset,
    /// What came is not of the protocol.
    Malformed,
    /// The answer is longer than a check reads.
    TooLong,
    /// HTTP: this status is not among the good ones.
    Status(u16),
    /// HTTP: the body has another MD5 digest.
    Digest,
    /// HTTP: the body does not contain the pattern.
    PatternMissing,
    /// HTTP: the body contains what it must not contain.
    PatternFound,
    /// SMTP: this reply code where another one must stand.
    SmtpReply(u16),
    /// DNS: this response code (RFC 1035 section 4.1.1).
    DnsCode(u8),
    /// DNS: no record in the answer.
    DnsEmpty,
    /// DNS: the answer does not fit into a datagram.
    DnsTruncated,
    /// UDP: the answer does not begin as it must.
    ReplyDiffers,
    /// UDP: an answer of so many octets is too short or too long.
    ReplyLength(u16),
    /// TLS could not be agreed on.
    Tls(TlsFailure),
    /// A script ended with this status.
    Exit(u8),
    /// A script was ended by this signal.
    Signal(u8),
    /// A script is not there, or may not be run as it lies there. It is never taken as good.
    ScriptUnusable,
    /// The number in a tracked file.
    Number(i32),
    /// A tracked thing that tells no number is down.
    TrackerDown,
    /// Nothing was learnt, nor will be: one that [holds the server down](LocalError::holds_down).
    NotMade(LocalError),
}

/// Why there is no TLS session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsFailure {
    /// It sent this alert (RFC 8446 section 6).
    Alert(u8),
    /// No version or cipher in common, or what it says is no TLS.
    Handshake,
    /// Its certificate does not descend from the configured authority.
    Untrusted,
    /// Its certificate is not valid at this time.
    OutOfDate,
    /// Its certificate is for another name.
    WrongName,
}

/// Why an attempt could not be made. The server is not to blame, but two kinds hold it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LocalError {
    /// The source address, port or interface cannot be had.
    Bind,
    /// No descriptor is left.
    Descriptors,
    /// No memory, or no buffer of the kernel.
    Memory,
    /// The kernel does not permit it.
    Permission,
    /// No process could be started.
    Process,
    /// A file of ours cannot be read: certificate, key or authority.
    File,
    /// The driver has no such check.
    Unsupported,
    /// It cannot be made as it is configured.
    Configuration,
}

impl LocalError {
    /// Whether it counts against the server all the same: whoever waits does not mend it, and a
    /// server that nobody can check is not to be taken as good for good.
    ///
    /// DEVIATION: keepalived's process of checks ends where a file of `SSL` cannot be used.
    #[must_use]
    pub const fn holds_down(self) -> bool {
        match self {
            Self::File | Self::Configuration => true,
            Self::Bind
            | Self::Descriptors
            | Self::Memory
            | Self::Permission
            | Self::Process
            | Self::Unsupported => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { weight: None } => f.write_str("good"),
            Self::Good { weight: Some(weight) } => write!(f, "good, weight {weight}"),
            Self::Bad(failure) => failure.fmt(f),
            Self::Local(error) => write!(f, "not made: {error}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::TimedOut => f.write_str("no complete answer in time"),
            Self::Closed => f.write_str("closed before the answer was complete"),
            Self::Reset => f.write_str("connection reset"),
            Self::Malformed => f.write_str("the answer is not of the protocol"),
            Self::TooLong => f.write_str("the answer is too long"),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Digest => f.write_str("the body has another digest"),
            Self::PatternMissing => f.write_str("the body does not match"),
            Self::PatternFound => f.write_str("the body matches what it must not"),
            Self::SmtpReply(code) => write!(f, "SMTP reply {code}"),
            Self::DnsCode(code) => write!(f, "DNS response code {code}"),
            Self::DnsEmpty => f.write_str("DNS answer without a record"),
            Self::DnsTruncated => f.write_str("the DNS answer does not fit into a datagram"),
            Self::ReplyDiffers => f.write_str("the reply does not begin as it must"),
            Self::ReplyLength(octets) => write!(f, "a reply of {octets} octets"),
            Self::Tls(failure) => failure.fmt(f),
            Self::Exit(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::ScriptUnusable => f.write_str("the script cannot be run"),
            Self::Number(number) => write!(f, "the file says {number}"),
            Self::TrackerDown => f.write_str("the tracked thing is down"),
            Self::NotMade(error) => write!(f, "not made: {error}"),
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert(alert) => write!(f, "TLS alert {alert}"),
            Self::Handshake => f.write_str("no TLS handshake"),
            Self::Untrusted => f.write_str("the certificate is not trusted"),
            Self::OutOfDate => f.write_str("the certificate is not valid now"),
            Self::WrongName => f.write_str("the certificate is for another name"),
        }
    }
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bind => "its source cannot be had",
            Self::Descriptors => "no descriptor is left",
            Self::Memory => "no memory is left",
            Self::Permission => "not permitted",
            Self::Process => "no process could be started",
            Self::File => "a file of ours cannot be read",
            Self::Unsupported => "no such check here",
            Self::Configuration => "it cannot be made as it is configured",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_means_what_keepalived_says_it_means() {
        let table = [
            (0, false, Outcome::GOOD),
            (0, true, Outcome::GOOD),
            (1, false, Outcome::Bad(Failure::Exit(1))),
            (1, true, Outcome::Bad(Failure::Exit(1))),
            (2, false, Outcome::Bad(Failure::Exit(2))),
            (2, true, Outcome::Good { weight: Some(0) }),
            (255, true, Outcome::Good { weight: Some(253) }),
        ];
        for (status, dynamic, outcome) in table {
            assert_eq!(Outcome::of_exit(status, dynamic), outcome, "{status} {dynamic}");
        }
    }
}
