//! How real servers are checked. What runs a check is a driver; when it runs and what its outcome
//! means is the engine's.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{InterfaceName, TrackerName};

/// One check of a real server. Equal checks are made once, whoever asks for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Check {
    /// What is done and what must come back.
    pub kind: CheckKind,
    /// Where it goes: `connect_ip`, or the real server's address.
    pub address: IpAddr,
    /// `connect_port`, or the real server's port as the file has it. 0 where none is needed.
    pub port: u16,
    /// Where it comes from.
    pub bind: Bind,
    /// Limit of one attempt, from its start to its outcome. For a script `misc_timeout`.
    pub timeout: Duration,
    /// From the start of an attempt to that of the next one while all is well (`delay_loop`).
    pub delay_loop: Duration,
    /// Failures in a row that are tried again before they count (`retry`).
    pub retry: u32,
    /// From a failure to that next try (`delay_before_retry`).
    pub delay_before_retry: Duration,
    /// The first attempt comes within this time of the start, at a fixed phase (`warmup`).
    pub warmup: Duration,
    /// It counts as failed until it succeeded once (`alpha`).
    pub alpha: bool,
    /// Failures that are tried again are told too (`log_all_failures`).
    pub tells_all_failures: bool,
}

/// A check of a real server, as a configuration has it. Checks of one file are mostly alike but for
/// where they go: what they have in common is held once for all of them ([`Alike`]).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Check", into = "Check")]
pub struct PlacedCheck {
    address: IpAddr,
    port: u16,
    /// Goes nowhere.
    manner: Arc<Check>,
}

impl PlacedCheck {
    /// [`Check::address`].
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// [`Check::port`].
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// All of it but where it goes: its address and port say nothing.
    #[must_use]
    pub fn manner(&self) -> &Check {
        &self.manner
    }

    /// All of it.
    #[must_use]
    pub fn check(&self) -> Check {
        Check { address: self.address, port: self.port, ..Check::clone(&self.manner) }
    }
}

impl fmt::Debug for PlacedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.check().fmt(f)
    }
}

impl From<Check> for PlacedCheck {
    fn from(check: Check) -> Self {
        Alike::default().place(check)
    }
}

impl From<PlacedCheck> for Check {
    fn from(placed: PlacedCheck) -> Self {
        placed.check()
    }
}

/// What the last checks of a configuration have in common with others, while it is made.
#[derive(Clone, Debug, Default)]
pub struct Alike(Vec<Arc<Check>>);

impl Alike {
    /// Most that are remembered: a file has few kinds of checks side by side.
    const MOST: usize = 8;

    /// The check, and what it has in common with one of those before it, once.
    pub fn place(&mut self, check: Check) -> PlacedCheck {
        let (address, port) = (check.address, check.port);
        let manner = Check { address: Ipv4Addr::UNSPECIFIED.into(), port: 0, ..check };
        let known = self.0.iter().position(|known| **known == manner);
        let place = known.unwrap_or_else(|| {
            self.0.truncate(Self::MOST - 1);
            self.0.insert(0, Arc::new(manner));
            0
        });
        PlacedCheck { address, port, manner: Arc::clone(&self.0[place]) }
    }
}

/// Where a check comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bind {
    /// Source address (`bindto`).
    pub address: Option<IpAddr>,
    /// Source port (`bind_port`); 0: any.
    pub port: u16,
    /// Interface (`bind_if`).
    pub interface: Option<InterfaceName>,
    /// Mark of its packets (`fwmark`); 0: none.
    pub fwmark: u32,
}

impl CheckKind {
    /// Its keyword.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tcp => "TCP_CHECK",
            Self::Http(http) if http.tls.is_some() => "SSL_GET",
            Self::Http(_) => "HTTP_GET",
            Self::Smtp { .. } => "SMTP_CHECK",
            Self::Dns { .. } => "DNS_CHECK",
            Self::Ping => "PING_CHECK",
            Self::Udp(_) => "UDP_CHECK",
            Self::Script { .. } => "MISC_CHECK",
            Self::File { .. } => "FILE_CHECK",
        }
    }

    /// Whether it sends to a port.
    #[must_use]
    pub const fn needs_port(&self) -> bool {
        match self {
            Self::Tcp | Self::Http(_) | Self::Smtp { .. } | Self::Dns { .. } | Self::Udp(_) => true,
            Self::Ping | Self::Script { .. } | Self::File { .. } => false,
        }
    }
}

/// What is done, and what must come back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CheckKind {
    /// A connection comes about (`TCP_CHECK`).
    Tcp,
    /// A page is as it must be (`HTTP_GET`, `SSL_GET`).
    Http(Box<HttpCheck>),
    /// A mail server greets (`SMTP_CHECK`).
    Smtp {
        /// Name in HELO.
        helo_name: String,
    },
    /// A name server answers (`DNS_CHECK`).
    Dns {
        /// Type of the record that is asked for.
        record: DnsRecord,
        /// Name that is asked for; `.` is the root.
        name: String,
    },
    /// An echo comes back (`PING_CHECK`).
    Ping,
    /// A datagram is answered, or at least not refused (`UDP_CHECK`).
    Udp(Box<UdpCheck>),
    /// A script ends with 0 (`MISC_CHECK`).
    Script {
        /// Name of the script among those of the configuration.
        script: String,
        /// Exit 2 to 255 is good and sets the weight to that minus 2 (`misc_dynamic`).
        dynamic: bool,
    },
    /// The number in a tracked file (`FILE_CHECK`): it is not run, it is told by the tracker.
    File {
        /// The tracked file.
        file: TrackerName,
        /// Multiplies the number; 0: any number but 0 is bad.
        weight: i32,
        /// The number is taken with the other sign.
        reverse: bool,
        /// The number is the weight of the real server (`dynamic`).
        dynamic: bool,
    },
}

/// `HTTP_GET` or `SSL_GET`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HttpCheck {
    /// TLS, and how; `None` is HTTP in plain.
    pub tls: Option<Tls>,
    /// What the request says it speaks.
    pub protocol: HttpProtocol,
    /// Host header where the url has none; the address and port if `None`.
    pub virtualhost: Option<String>,
    /// All urls are visited in one attempt; otherwise one per attempt (`fast_recovery`).
    pub fast_recovery: bool,
    /// In the order of the file, at least one.
    pub urls: Vec<Url>,
}

/// TLS of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tls {
    /// The name is sent in the handshake (`enable_sni`).
    pub sni: bool,
    /// That name; the virtual host if `None` (`sni_name`).
    pub sni_name: Option<String>,
    /// The server's certificate must descend from one of this file (`SSL { ca }`); not looked at
    /// if `None`.
    pub authorities: Option<String>,
    /// File of our own certificate.
    pub certificate: Option<String>,
    /// File of its key.
    pub key: Option<String>,
}

impl HttpProtocol {
    /// All of them by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("1.0", Self::V1_0), ("1.0C", Self::V1_0Close), ("1.1", Self::V1_1)];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_0Close => "1.0C",
            Self::V1_1 => "1.1",
        }
    }
}

/// What a request says it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HttpProtocol {
    /// HTTP/1.0 without a Connection header.
    V1_0,
    /// HTTP/1.0 with `Connection: close`.
    V1_0Close,
    /// HTTP/1.1 with `Connection: close`.
    V1_1,
}

/// One page and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Url {
    /// Path with query, begins with `/`.
    pub path: String,
    /// Host header; the check's if `None`.
    pub virtualhost: Option<String>,
    /// Good status codes, as ranges; 200 to 299 unless configured.
    pub status: Vec<(u16, u16)>,
    /// MD5 of the body.
    pub digest: Option<[u8; 16]>,
    /// What the body must contain.
    pub pattern: Option<Pattern>,
}

/// A regular expression over the body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// In the syntax of the regex crate, options in front.
    pub expression: String,
    /// The body must not contain it (`regex_no_match`).
    pub must_not_match: bool,
    /// First octet at which a match may begin.
    pub min_offset: u32,
    /// Last octet before which a match must begin; `None`: any.
    pub max_offset: Option<u32>,
}

/// `UDP_CHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UdpCheck {
    /// What is sent; 8 octets of zero unless configured, where keepalived sends random ones.
    pub payload: Vec<u8>,
    /// An answer is needed; otherwise none is as good, and only a refusal is bad.
    pub requires_reply: bool,
    /// What it must begin with: value and mask of each octet.
    pub reply: Vec<(u8, u8)>,
    /// Least octets of the answer.
    pub min_reply: u16,
    /// Most octets of the answer.
    pub max_reply: u16,
}

/// Record types of `DNS_CHECK` with their numbers (RFC 1035, 3596, 4034).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum DnsRecord {
    /// Address.
    A = 1,
    /// Name server.
    Ns = 2,
    /// Canonical name.
    Cname = 5,
    /// Start of authority.
    Soa = 6,
    /// Mail exchange.
    Mx = 15,
    /// Text.
    Txt = 16,
    /// IPv6 address.
    Aaaa = 28,
    /// Signature.
    Rrsig = 46,
    /// Key.
    Dnskey = 48,
}

impl DnsRecord {
    /// All of them by name.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("A", Self::A),
        ("NS", Self::Ns),
        ("CNAME", Self::Cname),
        ("SOA", Self::Soa),
        ("MX", Self::Mx),
        ("TXT", Self::Txt),
        ("AAAA", Self::Aaaa),
        ("RRSIG", Self::Rrsig),
        ("DNSKEY", Self::Dnskey),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(_, one)| *one == self);
        known.map_or("", |(name, _)| name)
    }
}
