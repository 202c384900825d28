//! What an attempt ends with: one variant per distinct fault, and each says itself in words.

use alloc::vec::Vec;
use core::fmt;

use vipd_engine::health::TlsFailure;

/// What an attempt ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server is as it must be.
    Good,
    /// It is not.
    Bad(Fault),
}

/// Why an attempt is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There was no connection, or it broke.
    Connection(ConnectionFailure),
    /// The server closed before this came.
    Closed(Stage),
    /// The time was up before this came.
    TimedOut(Stage),
    /// The page is not as it must be.
    Http(HttpFault),
    /// The mail server does not say what it must.
    Smtp(SmtpFault),
    /// The name server does not answer as it must.
    Dns(DnsFault),
    /// The datagram that came back is not as it must be.
    Udp(UdpFault),
}

/// What a driver hears instead of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// Nobody listens there (RST, or ICMP port unreachable).
    Refused,
    /// No way there, as a router or the kernel says.
    Unreachable,
    /// The connection was reset.
    Reset,
    /// There is no TLS session.
    Tls(TlsFailure),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The connection, and TLS on it.
    Connection,
    /// The status line of HTTP.
    StatusLine,
    /// The empty line behind the head.
    Head,
    /// The end of the body, of which so many octets came.
    Body {
        /// Octets of the body so far.
        octets: u64,
    },
    /// The first reply of a mail server.
    Greeting,
    /// Its reply to HELO.
    Helo,
    /// Its reply to QUIT.
    Quit,
    /// The datagram that answers.
    Answer,
}

/// What a web server gets wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// What came does not begin with a status line (RFC 9112 section 4).
    NotHttp(Excerpt),
    /// Not a status that is wanted.
    Status {
        /// What came.
        status: u16,
        /// First and last of each range of good ones.
        wanted: Vec<(u16, u16)>,
    },
    /// A line of the head, of a chunk's size or of a trailer goes on beyond
    /// [`crate::HTTP_LINE_MAX`].
    LineTooLong,
    /// The lines of the head, or of the trailers, are more than [`crate::HTTP_HEAD_MAX`] octets.
    HeadTooLong,
    /// No number, or several different ones, in Content-Length (RFC 9112 section 6.3).
    ContentLength(Excerpt),
    /// Not a chunk where one must be (RFC 9112 section 7.1).
    Chunk(Excerpt),
    /// Not the digest that is wanted.
    Digest {
        /// MD5 of the body.
        found: [u8; 16],
        /// What it must be.
        wanted: [u8; 16],
    },
    /// The pattern matches nowhere in the body.
    PatternMissing,
    /// The pattern matches, and must not.
    PatternFound,
}

/// What a mail server gets wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmtpFault {
    /// A line that is no reply (RFC 5321 section 4.2).
    NotSmtp(Excerpt),
    /// Another status than the wanted one.
    Status {
        /// To what: [`Stage::Greeting`] or [`Stage::Helo`].
        stage: Stage,
        /// What came.
        status: u16,
        /// What was wanted.
        wanted: u16,
        /// The line.
        line: Excerpt,
    },
    /// A line of a reply with another status than its first one.
    MixedStatus {
        /// Of the first line.
        first: u16,
        /// Of this one.
        status: u16,
    },
    /// A line goes on beyond [`crate::SMTP_LINE_MAX`].
    LineTooLong,
    /// A reply has more than [`crate::SMTP_LINES_MAX`] lines.
    TooManyLines,
}

/// What a name server gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// An error of its own saying (RFC 1035 section 4.1.1).
    Rcode(u8),
    /// No error and no answer.
    NoAnswer,
    /// No answer fitted into a datagram.
    Truncated,
    /// The first answer is not whole.
    Malformed,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpFault {
    /// Fewer octets than the least, or than the wanted ones.
    TooShort {
        /// Octets that came.
        octets: usize,
        /// The least.
        least: usize,
    },
    /// More octets than the most.
    TooLong {
        /// Octets that came.
        octets: usize,
        /// The most.
        most: usize,
    },
    /// An octet that is not the wanted one.
    Differs {
        /// Octets before it.
        at: usize,
        /// What came.
        found: u8,
        /// What was wanted.
        wanted: u8,
        /// The bits that count.
        mask: u8,
    },
}

/// Most octets that are kept of what a server said, to show it.
pub const EXCERPT_MAX: usize = 64;

/// The beginning of what a server said. Shown in quotes, with escapes for what cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    octets: Vec<u8>,
    cut: bool,
}

impl Excerpt {
    pub(crate) fn of(octets: &[u8]) -> Self {
        let kept = &octets[..octets.len().min(EXCERPT_MAX)];
        Self { octets: kept.to_vec(), cut: kept.len() < octets.len() }
    }

    /// The octets, [`EXCERPT_MAX`] at most.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.cut { "..." } else { "" };
        write!(f, "\"{}{more}\"", self.octets.escape_ascii())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => write!(f, "good"),
            Self::Bad(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(failure) => failure.fmt(f),
            Self::Closed(stage) => write!(f, "closed before {stage}"),
            Self::TimedOut(stage) => write!(f, "timed out before {stage}"),
            Self::Http(fault) => fault.fmt(f),
            Self::Smtp(fault) => fault.fmt(f),
            Self::Dns(fault) => fault.fmt(f),
            Self::Udp(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "host unreachable",
            Self::Reset => "connection reset",
            Self::Tls(failure) => return failure.fmt(f),
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => write!(f, "the connection was there"),
            Self::StatusLine => write!(f, "the status line"),
            Self::Head => write!(f, "the end of the head"),
            Self::Body { octets } => write!(f, "the end of the body, after {octets} octets of it"),
            Self::Greeting => write!(f, "the greeting"),
            Self::Helo => write!(f, "the reply to HELO"),
            Self::Quit => write!(f, "the reply to QUIT"),
            Self::Answer => write!(f, "the answer"),
        }
    }
}

/// Two digits per octet.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Ranges of status codes, as the configuration has them.
struct Ranges<'a>(&'a [(u16, u16)]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{first}")?;
            if last != first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for HttpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp(line) => write!(f, "no status line of HTTP: {line}"),
            Self::Status { status, wanted } => {
                write!(f, "status {status}, {} wanted", Ranges(wanted))
            }
            Self::LineTooLong => write!(f, "a line of more than {} octets", crate::HTTP_LINE_MAX),
            Self::HeadTooLong => write!(f, "a head of more than {} octets", crate::HTTP_HEAD_MAX),
            Self::ContentLength(value) => write!(f, "Content-Length is {value}"),
            Self::Chunk(line) => write!(f, "no chunk: {line}"),
            Self::Digest { found, wanted } => {
                write!(f, "MD5 of the body is {}, {} wanted", Hex(found), Hex(wanted))
            }
            Self::PatternMissing => write!(f, "the body does not match the pattern"),
            Self::PatternFound => write!(f, "the body matches the pattern, and must not"),
        }
    }
}

impl fmt::Display for SmtpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSmtp(line) => write!(f, "no reply of a mail server: {line}"),
            Self::Status { stage, status, wanted, line } => {
                write!(f, "status {status} in {stage}, {wanted} wanted: {line}")
            }
            Self::MixedStatus { first, status } => {
                write!(f, "status {first} and {status} in one reply")
            }
            Self::LineTooLong => write!(f, "a line of more than {} octets", crate::SMTP_LINE_MAX),
            Self::TooManyLines => write!(f, "a reply of more than {} lines", crate::SMTP_LINES_MAX),
        }
    }
}

impl fmt::Display for DnsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rcode(code) => {
                let name = match code {
                    1 => "FORMERR",
                    2 => "SERVFAIL",
                    3 => "NXDOMAIN",
                    4 => "NOTIMP",
                    5 => "REFUSED",
                    _ => return write!(f, "error {code}"),
                };
                write!(f, "error {code} ({name})")
            }
            Self::NoAnswer => write!(f, "no record in the answer"),
            Self::Truncated => write!(f, "the answer does not fit into a datagram"),
            Self::Malformed => write!(f, "the first record of the answer is not whole"),
        }
    }
}

impl fmt::Display for UdpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { octets, least } => write!(f, "{octets} octets, {least} at least"),
            Self::TooLong { octets, most } => write!(f, "{octets} octets, {most} at most"),
            Self::Differs { at, found, wanted, mask: 0xff } => {
                write!(f, "octet {at} is {found:02x}, {wanted:02x} wanted")
            }
            Self::Differs { at, found, wanted, mask } => {
                write!(f, "octet {at} is {found:02x}, {wanted:02x} under {mask:02x} wanted")
            }
        }
    }
}
