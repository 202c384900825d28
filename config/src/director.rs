//! What a configuration says about mail and virtual servers: read and checked, not acted on yet.

use std::net::IpAddr;
use std::time::Duration;

/// `global_defs` settings of mail alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Name in the subjects; the host name if `None` (`router_id`).
    pub router_id: Option<String>,
    /// Receivers (`notification_email`).
    pub to: Vec<String>,
    /// Sender (`notification_email_from`).
    pub from: Option<String>,
    /// Host name or address of the mail server (`smtp_server`).
    pub server: Option<String>,
    /// Port of the mail server; 25 if `None`.
    pub port: Option<u16>,
    /// Time limit of the connection; 30 s if `None` (`smtp_connect_timeout`).
    pub connect_timeout: Option<Duration>,
    /// Name in HELO; the host name if `None` (`smtp_helo_name`).
    pub helo_name: Option<String>,
}

/// `virtual_server ADDRESS PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 means every port and needs persistence.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Scheduler (`lb_algo`).
    pub scheduler: Scheduler,
    /// How packets reach the real server (`lb_kind`).
    pub forwarding: Forwarding,
    /// A client stays with its real server this long (`persistence_timeout`).
    pub persistence: Option<Duration>,
    /// From one check to the next (`delay_loop`).
    pub delay_loop: Duration,
    /// The servers behind it.
    pub real_servers: Vec<RealServer>,
}

/// `real_server ADDRESS PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Share of the connections, relative to the others'.
    pub weight: u16,
    /// Its `TCP_CHECK` blocks.
    pub tcp_checks: Vec<TcpCheck>,
}

/// `TCP_CHECK`: good when a connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCheck {
    /// Time limit of the connection (5 s).
    pub connect_timeout: Duration,
}

/// Transport protocol of a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All of them by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("TCP", Self::Tcp), ("UDP", Self::Udp), ("SCTP", Self::Sctp)];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// How packets reach the real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// Addresses are translated.
    Nat,
    /// The frame is sent on unchanged.
    DirectRouting,
    /// In an IP tunnel.
    Tunnel,
}

impl Forwarding {
    /// All of them by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("NAT", Self::Nat), ("DR", Self::DirectRouting), ("TUN", Self::Tunnel)];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::DirectRouting => "DR",
            Self::Tunnel => "TUN",
        }
    }
}

/// Scheduler of the kernel, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduler(&'static str);

impl Scheduler {
    /// All the names that keepalived knows.
    pub const NAMES: [&'static str; 14] = [
        "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq",
        "twos",
    ];

    /// The scheduler of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|known| *known == name).map(Self)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}
