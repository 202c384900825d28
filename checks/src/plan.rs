//! What is prepared once per configured check: requests, patterns, and the refusal of what cannot
//! be asked.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use vipd_engine::config::health::{Check, CheckKind, UdpCheck};

use crate::dialogue::{Dialogue, Part, Tcp};
use crate::dns::{Dns, DnsPlan};
use crate::http::{Http, HttpPlan};
use crate::ping::Ping;
use crate::smtp::{Smtp, SmtpPlan};
use crate::udp::Udp;

/// A check that can be asked, as often as wanted. Clones share what was prepared.
#[derive(Clone, Debug)]
pub struct Plan(Prepared);

#[derive(Clone, Debug)]
enum Prepared {
    Tcp,
    Http(Arc<HttpPlan>),
    Smtp(Arc<SmtpPlan>),
    Dns(Arc<DnsPlan>),
    Udp(Arc<UdpCheck>),
    Ping(Family),
}

/// The socket that a dialogue needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with TLS where the check's configuration has it.
    Stream,
    /// UDP, connected, so that refusals are heard.
    Datagram,
    /// ICMP or ICMPv6 messages.
    Echo(Family),
}

/// Of the address that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// ICMP. The checksum is set; the kernel may set it again.
    V4,
    /// ICMPv6. The checksum is left 0: the kernel sets it, it covers addresses.
    V6,
}

/// What tells one attempt from another. There is no chance and no counter in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Which url of a check that visits one in each attempt, counted from 0. Behind the last one
    /// comes the first again.
    pub url: u32,
    /// Id of a DNS query (best one that nobody can guess), or of an echo request. Linux's own ping
    /// sockets write the port that they are bound to into each request: that is the id then.
    pub id: u16,
    /// Sequence number of an echo request: another one than the last attempt's.
    pub sequence: u16,
}

/// Why a check can never be asked. Each is a mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A script or a file: there is nobody to talk to.
    NoDialogue,
    /// An HTTP check without a page.
    NoPage,
    /// A path, virtual host or HELO name with a control character, which would end the line.
    ControlCharacter(String),
    /// The pattern cannot be read: where in it, counted from 0, and why.
    PatternSyntax {
        /// Octets before the mistake.
        at: usize,
        /// What is wrong, in the words of the regex crate.
        why: String,
    },
    /// The pattern is larger than [`crate::PATTERN_SIZE_MAX`] once it is compiled.
    PatternTooLarge,
    /// A name that DNS cannot have: an empty label, one of more than 63 octets, or more than
    /// [`crate::DNS_NAME_MAX`] in all (RFC 1035 section 2.3.4).
    DnsName(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDialogue => write!(f, "a script or a file is not asked"),
            Self::NoPage => write!(f, "no page to ask for"),
            Self::ControlCharacter(text) => write!(f, "{text:?} has a control character"),
            Self::PatternSyntax { at, why } => write!(f, "the pattern, after {at} octets: {why}"),
            Self::PatternTooLarge => {
                write!(f, "the pattern takes more than {} octets", crate::PATTERN_SIZE_MAX)
            }
            Self::DnsName(name) => write!(f, "{name:?} is no name of DNS"),
        }
    }
}

impl core::error::Error for Unusable {}

impl Plan {
    /// Prepares a check.
    ///
    /// # Errors
    /// [`Unusable`], if it can never be asked.
    pub fn new(check: &Check) -> Result<Self, Unusable> {
        Ok(Self(match &check.kind {
            CheckKind::Tcp => Prepared::Tcp,
            CheckKind::Http(http) => {
                Prepared::Http(Arc::new(HttpPlan::new(http, check.address, check.port)?))
            }
            CheckKind::Smtp { helo_name } => Prepared::Smtp(Arc::new(SmtpPlan::new(helo_name)?)),
            CheckKind::Dns { record, name } => {
                Prepared::Dns(Arc::new(DnsPlan::new(*record, name)?))
            }
            CheckKind::Udp(udp) => Prepared::Udp(Arc::new(UdpCheck::clone(udp))),
            CheckKind::Ping => Prepared::Ping(match check.address {
                IpAddr::V4(_) => Family::V4,
                IpAddr::V6(_) => Family::V6,
            }),
            CheckKind::Script { .. } | CheckKind::File { .. } => return Err(Unusable::NoDialogue),
        }))
    }

    /// The socket that it needs.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self.0 {
            Prepared::Tcp | Prepared::Http(_) | Prepared::Smtp(_) => Transport::Stream,
            Prepared::Dns(_) | Prepared::Udp(_) => Transport::Datagram,
            Prepared::Ping(family) => Transport::Echo(family),
        }
    }

    /// Begins an attempt: [`crate::Event::Opened`] comes next, or a failure.
    #[must_use]
    pub fn begin(&self, attempt: Attempt) -> Dialogue {
        Dialogue::new(match &self.0 {
            Prepared::Tcp => Part::Tcp(Tcp),
            Prepared::Http(plan) => Part::Http(Http::new(Arc::clone(plan), attempt.url)),
            Prepared::Smtp(plan) => Part::Smtp(Smtp::new(Arc::clone(plan))),
            Prepared::Dns(plan) => Part::Dns(Dns::new(Arc::clone(plan), attempt.id)),
            Prepared::Udp(check) => Part::Udp(Udp::new(Arc::clone(check))),
            Prepared::Ping(family) => Part::Ping(Ping::new(*family, attempt.id, attempt.sequence)),
        })
    }
}

/// Whether a text can stand in a line of a request.
pub(crate) fn fits_in_a_line(text: &str) -> Result<&str, Unusable> {
    if text.chars().any(char::is_control) {
        return Err(Unusable::ControlCharacter(text.into()));
    }
    Ok(text)
}
