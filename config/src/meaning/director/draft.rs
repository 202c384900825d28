//! Virtual servers as they were written. What inherits from what is [`super::inherit`]'s.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::VirtualServer;
use vipd_engine::config::director::{AtStop, Timeouts, VirtualServerName};
use vipd_engine::config::director::{Forwarding, Protocol, RealServer, Scheduler, SyncDaemon};
use vipd_engine::config::health::{Alike, Bind, DnsRecord, HttpProtocol, UdpCheck, Url};
use vipd_engine::{Family, TrackerName};

use super::group::ServiceGroup;
use crate::diagnostics::Span;
use crate::director::ServerNotify;
use crate::keywords::Place;
use crate::meaning::draft::{Origins, Placed};
use crate::notify::{Fifo, NotifyScript};

/// Everything about virtual servers in a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirectorDraft {
    pub groups: Vec<Placed<ServiceGroup>>,
    pub servers: Vec<Placed<ServerDraft>>,
    /// The first `SSL` block.
    pub ssl: Option<Placed<SslDraft>>,
    pub globals: IpvsGlobals,
    /// What the checks so far have in common.
    pub alike: Alike,
}

/// What `global_defs` says of virtual servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct IpvsGlobals {
    pub timeouts: Timeouts,
    pub sync_daemon: Option<SyncDaemon>,
    /// Without it the number is that of the instance.
    pub sync_id: Option<u8>,
    pub flush: bool,
    pub at_stop: AtStop,
    pub log_all_failures: bool,
    pub init_notifies: bool,
    pub fifo: Fifo,
    pub smtp_alert: Option<bool>,
    pub smtp_alert_checker: Option<bool>,
    pub no_checker_emails: bool,
}

impl IpvsGlobals {
    /// Whether mail is sent of real servers, and of virtual servers, that do not say.
    pub fn mails(&self) -> (bool, bool) {
        let said = self.smtp_alert_checker.or(self.smtp_alert);
        (said.unwrap_or(true), said.unwrap_or(false))
    }
}

/// `SSL`: files of the checks that speak TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct SslDraft {
    pub authorities: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
}

/// What follows `virtual_server`.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    Address(IpAddr, u16),
    Fwmark(u32),
    Group(String),
}

/// What a check takes from its real server, and that from its virtual server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub delay_loop: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub retry: Option<u32>,
    pub delay_before_retry: Option<Duration>,
    pub warmup: Option<Duration>,
    pub alpha: Option<bool>,
    pub virtualhost: Option<String>,
    // Only as far as real servers.
    pub weight: Option<u32>,
    pub forwarding: Option<Forwarding>,
    pub inhibit_on_failure: Option<bool>,
}

/// `virtual_server` as it was written, and what was made of it when its block ended.
#[derive(Clone, Debug)]
pub(crate) struct ServerDraft {
    pub head: Head,
    pub settings: Settings,
    pub protocol: Option<Protocol>,
    pub scheduler: Option<Scheduler>,
    pub flags: u8,
    /// Those of them that only the schedulers know that hash.
    pub hash_flags: u8,
    pub hashed: bool,
    pub one_packet: bool,
    pub persistence: Option<Duration>,
    pub granularity: Option<u8>,
    pub engine: Option<String>,
    pub family: Option<Family>,
    pub ha_suspend: bool,
    pub omega: bool,
    pub quorum: Option<u32>,
    pub hysteresis: Option<u32>,
    pub sorry: Option<(IpAddr, Option<u16>)>,
    pub sorry_inhibit: bool,
    pub sorry_forwarding: Option<Forwarding>,
    pub notify: ServerNotify,
    /// Those of an open block, and all of them where values are to be shown.
    pub real_servers: Vec<RealDraft>,
    pub made: Made,
    /// Where each of its real servers stands.
    pub places: Vec<Span>,
    /// What the engine calls it.
    pub name: Option<VirtualServerName>,
    /// What it is for the engine.
    pub settled: Option<Arc<VirtualServer>>,
}

/// The real servers of a virtual server whose block has ended. Of what only the whole file tells
/// there is a note.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub real_servers: Vec<RealServer>,
    /// Where each of them stands.
    pub places: Vec<Span>,
    /// Scripts and mail of those that say anything.
    pub notify: Vec<(usize, crate::director::RealServerNotify)>,
    /// Checks, by real server and number, that say that they do not tell all failures.
    pub silent: Vec<(usize, usize)>,
    /// `FILE_CHECK`s, whose weight may be that of the file.
    pub files: Vec<(usize, usize, FileDraft)>,
}

impl ServerDraft {
    pub fn new(head: Head) -> Self {
        Self {
            head,
            settings: Settings::default(),
            protocol: None,
            scheduler: None,
            flags: 0,
            hash_flags: 0,
            hashed: false,
            one_packet: false,
            persistence: None,
            granularity: None,
            engine: None,
            family: None,
            ha_suspend: false,
            omega: false,
            quorum: None,
            hysteresis: None,
            sorry: None,
            sorry_inhibit: false,
            sorry_forwarding: None,
            notify: ServerNotify::default(),
            real_servers: Vec::new(),
            made: Made::default(),
            places: Vec::new(),
            name: None,
            settled: None,
        }
    }

    /// Its own port; 0 of those that have none.
    pub fn port(&self) -> u16 {
        match self.head {
            Head::Address(_, port) => port,
            Head::Fwmark(_) | Head::Group(_) => 0,
        }
    }
}

/// `real_server` as it was written.
#[derive(Clone, Debug)]
pub(crate) struct RealDraft {
    pub address: IpAddr,
    pub port: Option<u16>,
    pub settings: Settings,
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    pub notify: crate::director::RealServerNotify,
    pub checks: Vec<CheckDraft>,
    pub place: Span,
    pub origins: Origins,
}

/// A check as it was written.
#[derive(Clone, Debug)]
pub(crate) struct CheckDraft {
    pub kind: KindDraft,
    pub settings: Settings,
    pub endpoint: Endpoint,
    /// `host` blocks of `SMTP_CHECK`: a check each.
    pub hosts: Vec<Endpoint>,
    pub log_all_failures: Option<bool>,
    pub origins: Origins,
}

impl CheckDraft {
    /// Where its keywords stand.
    pub fn place(&self) -> Place {
        match &self.kind {
            KindDraft::Tcp => Place::TcpCheck,
            KindDraft::Http(_) => Place::HttpGet,
            KindDraft::Smtp { .. } => Place::SmtpCheck,
            KindDraft::Dns { .. } => Place::DnsCheck,
            KindDraft::Misc(_) => Place::MiscCheck,
            KindDraft::Ping => Place::PingCheck,
            KindDraft::Udp(_) => Place::UdpCheck,
            KindDraft::File(_) => Place::FileCheck,
        }
    }

    /// Its pages, if it is one of HTTP.
    pub fn urls(&self) -> Option<&[UrlDraft]> {
        match &self.kind {
            KindDraft::Http(http) => Some(&http.urls),
            _ => None,
        }
    }
}

/// Between which addresses a check goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    pub bind: Bind,
}

/// What only one kind of check has.
#[derive(Clone, Debug)]
pub(crate) enum KindDraft {
    Tcp,
    Http(HttpDraft),
    Smtp { helo_name: Option<String> },
    Dns { record: DnsRecord, name: String },
    Misc(MiscDraft),
    Ping,
    Udp(UdpCheck),
    File(FileDraft),
}

/// `HTTP_GET`, or `SSL_GET`.
#[derive(Clone, Debug)]
pub(crate) struct HttpDraft {
    pub tls: bool,
    pub protocol: HttpProtocol,
    pub fast_recovery: bool,
    pub sni: bool,
    pub sni_name: Option<String>,
    pub urls: Vec<UrlDraft>,
}

/// `url` as it was written.
#[derive(Clone, Debug)]
pub(crate) struct UrlDraft {
    pub url: Url,
    pub pattern: PatternDraft,
    pub origins: Origins,
}

/// The keywords of a regular expression.
#[derive(Clone, Debug, Default)]
pub(crate) struct PatternDraft {
    pub expression: Option<(String, Span)>,
    pub options: super::pattern::Options,
    pub must_not_match: bool,
    pub min_offset: u32,
    pub max_offset: Option<u32>,
}

/// `MISC_CHECK`.
#[derive(Clone, Debug, Default)]
pub(crate) struct MiscDraft {
    pub command: String,
    pub user: Option<crate::trackers::ScriptUser>,
    pub timeout: Option<Duration>,
    pub dynamic: bool,
}

impl MiscDraft {
    /// What the engine calls the script, and the script.
    pub fn script(&self) -> (String, NotifyScript) {
        let mut name = self.command.clone();
        if let Some(user) = &self.user {
            let group = user.group.as_deref().map(|group| format!(":{group}"));
            name.push_str(&format!(" (as {}{})", user.user, group.unwrap_or_default()));
        }
        (name, NotifyScript { command: self.command.clone(), user: self.user.clone() })
    }
}

/// `FILE_CHECK`.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileDraft {
    pub file: Option<(TrackerName, Span)>,
    pub weight: Option<(i32, bool)>,
    pub dynamic: bool,
}
