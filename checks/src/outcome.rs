//! What the engine is told of a verdict: what somebody would mend differently, without the words.

use vipd_engine::health::{Failure, Outcome};

use crate::verdict::{ConnectionFailure, DnsFault, Fault, HttpFault, SmtpFault, UdpFault, Verdict};

impl Verdict {
    /// As the engine takes it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Good => Outcome::GOOD,
            Self::Bad(fault) => Outcome::Bad(fault.failure()),
        }
    }
}

impl Fault {
    /// As the engine takes it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Connection(failure) => match failure {
                ConnectionFailure::Refused => Failure::Refused,
                ConnectionFailure::Unreachable => Failure::Unreachable,
                ConnectionFailure::Reset => Failure::Reset,
                ConnectionFailure::Tls(failure) => Failure::Tls(*failure),
            },
            Self::Closed(_) => Failure::Closed,
            Self::TimedOut(_) => Failure::TimedOut,
            Self::Http(fault) => http(fault),
            Self::Smtp(fault) => match fault {
                SmtpFault::NotSmtp(_) | SmtpFault::MixedStatus { .. } => Failure::Malformed,
                SmtpFault::Status { status, .. } => Failure::SmtpReply(*status),
                SmtpFault::LineTooLong | SmtpFault::TooManyLines => Failure::TooLong,
            },
            Self::Dns(fault) => match fault {
                DnsFault::Rcode(code) => Failure::DnsCode(*code),
                DnsFault::NoAnswer => Failure::DnsEmpty,
                DnsFault::Truncated => Failure::DnsTruncated,
                DnsFault::Malformed => Failure::Malformed,
            },
            Self::Udp(fault) => match fault {
                UdpFault::TooShort { octets, .. } | UdpFault::TooLong { octets, .. } => {
                    Failure::ReplyLength(u16::try_from(*octets).unwrap_or(u16::MAX))
                }
                UdpFault::Differs { .. } => Failure::ReplyDiffers,
            },
        }
    }
}

fn http(fault: &HttpFault) -> Failure {
    match fault {
        HttpFault::NotHttp(_) | HttpFault::ContentLength(_) | HttpFault::Chunk(_) => {
            Failure::Malformed
        }
        HttpFault::Status { status, .. } => Failure::Status(*status),
        HttpFault::LineTooLong | HttpFault::HeadTooLong => Failure::TooLong,
        HttpFault::Digest { .. } => Failure::Digest,
        HttpFault::PatternMissing => Failure::PatternMissing,
        HttpFault::PatternFound => Failure::PatternFound,
    }
}
