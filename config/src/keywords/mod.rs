//! The one table of keywords: parser, "did you mean", the effective configuration with its origins
//! and `docs/keywords.md` are made from it.
//!
//! A row's reader stands in `meaning`; the rows themselves stand in the files below, one
//! per part of the language. No keyword is compared as a string anywhere else.

mod checks;
mod director;
mod fib;
mod global;
mod instance;
mod lines;
mod page;
mod root;
mod trackers;

use serde_json::Value;
use vipd_engine::config::health::Url;
use vipd_engine::config::{GroupConfig, Peer, VirtualAddress};

use crate::meaning::director::draft::{IpvsGlobals, SslDraft};
use crate::meaning::director::show::{CheckView, RealView, ServerView};
use crate::meaning::{Draft, Globals, Instance, Line, RouteDraft, RuleDraft, TrackDraft};
use crate::notify::NotifyScripts;
use crate::trackers::{Script, TrackedFile, TrackedProcess};

pub use page::page;

/// One keyword in one place.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// What is written.
    pub name: &'static str,
    /// Where it may stand.
    pub place: Place,
    /// What follows it, as people write it.
    pub arguments: &'static str,
    /// What holds without it; empty if nothing does.
    pub default: &'static str,
    /// The keepalived that first knew it.
    pub since: Since,
    /// What becomes of it here.
    pub standing: Standing,
    /// The way out, if it should not be written any more.
    pub deprecated: Option<&'static str>,
    /// It may stand there several times.
    pub many: bool,
    /// What follows it in braces.
    pub form: Form,
    /// The keyword of `global_defs` whose value holds without it.
    pub inherits: Option<&'static str>,
    /// What the block around calls it, whose value holds without it where blocks inherit.
    pub outer: &'static str,
    /// The keyword whose value it sets; itself if it has a value of its own.
    pub sets: &'static str,
    /// Its default is chosen by the profile or by `vrrp_strict`.
    pub by_profile: bool,
    /// Its default is chosen by the profile, and `vrrp_strict` leaves it alone.
    pub by_profile_alone: bool,
    pub(crate) read: Read,
    pub(crate) show: Show,
}

/// Where a keyword may stand: a block, or a line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Outside any block.
    Root,
    /// `global_defs`.
    GlobalDefs,
    /// `vrrp_instance`.
    VrrpInstance,
    /// `authentication` of an instance.
    Authentication,
    /// `auth_hmac` of an instance.
    AuthHmac,
    /// After an address in `virtual_ipaddress`, `virtual_ipaddress_excluded`, `static_ipaddress`.
    AddressLine,
    /// After an address in `unicast_peer`.
    PeerLine,
    /// After a name in `track_script` and its like.
    TrackLine,
    /// In a line of `virtual_routes` and `static_routes`.
    RouteLine,
    /// In a line of `virtual_rules` and `static_rules`.
    RuleLine,
    /// `vrrp_sync_group`.
    SyncGroup,
    /// `vrrp_script`.
    VrrpScript,
    /// `track_file` outside any block.
    TrackFile,
    /// `vrrp_track_process`.
    TrackProcess,
    /// `bfd_instance`.
    BfdInstance,
    /// `garp_group`.
    GarpGroup,
    /// `track_group`.
    TrackGroup,
    /// In a line of `virtual_server_group`.
    VirtualServerGroup,
    /// `virtual_server`.
    VirtualServer,
    /// `real_server`.
    RealServer,
    /// `SSL` of a virtual server.
    Ssl,
    /// Every check of a real server over the network.
    Check,
    /// `TCP_CHECK`.
    TcpCheck,
    /// `HTTP_GET` and `SSL_GET`.
    HttpGet,
    /// `url` of `HTTP_GET` and `SSL_GET`.
    Url,
    /// `SMTP_CHECK`.
    SmtpCheck,
    /// `host` of `SMTP_CHECK`.
    SmtpHost,
    /// `DNS_CHECK`.
    DnsCheck,
    /// `MISC_CHECK`.
    MiscCheck,
    /// `PING_CHECK`.
    PingCheck,
    /// `UDP_CHECK`.
    UdpCheck,
    /// `BFD_CHECK`.
    BfdCheck,
    /// `FILE_CHECK`.
    FileCheck,
}

impl Place {
    /// Every place, in the order of this type.
    pub const ALL: [Self; 33] = [
        Self::Root,
        Self::GlobalDefs,
        Self::VrrpInstance,
        Self::Authentication,
        Self::AuthHmac,
        Self::AddressLine,
        Self::PeerLine,
        Self::TrackLine,
        Self::RouteLine,
        Self::RuleLine,
        Self::SyncGroup,
        Self::VrrpScript,
        Self::TrackFile,
        Self::TrackProcess,
        Self::BfdInstance,
        Self::GarpGroup,
        Self::TrackGroup,
        Self::VirtualServerGroup,
        Self::VirtualServer,
        Self::RealServer,
        Self::Ssl,
        Self::Check,
        Self::TcpCheck,
        Self::HttpGet,
        Self::Url,
        Self::SmtpCheck,
        Self::SmtpHost,
        Self::DnsCheck,
        Self::MiscCheck,
        Self::PingCheck,
        Self::UdpCheck,
        Self::BfdCheck,
        Self::FileCheck,
    ];

    /// Its rows of the table.
    #[must_use]
    pub const fn rows(self) -> &'static [Keyword] {
        match self {
            Self::Root => root::ROOT,
            Self::GlobalDefs => global::GLOBAL_DEFS,
            Self::VrrpInstance => instance::VRRP_INSTANCE,
            Self::Authentication => instance::AUTHENTICATION,
            Self::AuthHmac => instance::AUTH_HMAC,
            Self::AddressLine => lines::ADDRESS,
            Self::PeerLine => lines::PEER,
            Self::TrackLine => lines::TRACK,
            Self::RouteLine => fib::ROUTE,
            Self::RuleLine => fib::RULE,
            Self::SyncGroup => instance::SYNC_GROUP,
            Self::VrrpScript => trackers::VRRP_SCRIPT,
            Self::TrackFile => trackers::TRACK_FILE,
            Self::TrackProcess => trackers::TRACK_PROCESS,
            Self::BfdInstance => trackers::BFD_INSTANCE,
            Self::GarpGroup => root::GARP_GROUP,
            Self::TrackGroup => root::TRACK_GROUP,
            Self::VirtualServerGroup => director::VIRTUAL_SERVER_GROUP,
            Self::VirtualServer => director::VIRTUAL_SERVER,
            Self::RealServer => director::REAL_SERVER,
            Self::Ssl => checks::SSL,
            Self::Check => checks::CHECK,
            Self::TcpCheck | Self::PingCheck => &[],
            Self::HttpGet => checks::HTTP_GET,
            Self::Url => checks::URL,
            Self::SmtpCheck => checks::SMTP_CHECK,
            Self::SmtpHost => checks::SMTP_HOST,
            Self::DnsCheck => checks::DNS_CHECK,
            Self::MiscCheck => checks::MISC_CHECK,
            Self::UdpCheck => checks::UDP_CHECK,
            Self::BfdCheck => checks::BFD_CHECK,
            Self::FileCheck => checks::FILE_CHECK,
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Root => "outside any block",
            Self::GlobalDefs => "`global_defs`",
            Self::VrrpInstance => "`vrrp_instance`",
            Self::Authentication => "`authentication`",
            Self::AuthHmac => "`auth_hmac`",
            Self::AddressLine => "a line of `virtual_ipaddress`",
            Self::PeerLine => "a line of `unicast_peer`",
            Self::TrackLine => "a line of `track_script` and its like",
            Self::RouteLine => "a line of `virtual_routes`",
            Self::RuleLine => "a line of `virtual_rules`",
            Self::SyncGroup => "`vrrp_sync_group`",
            Self::VrrpScript => "`vrrp_script`",
            Self::TrackFile => "`track_file` outside any block",
            Self::TrackProcess => "`vrrp_track_process`",
            Self::BfdInstance => "`bfd_instance`",
            Self::GarpGroup => "`garp_group`",
            Self::TrackGroup => "`track_group`",
            Self::VirtualServerGroup => "a line of `virtual_server_group`",
            Self::VirtualServer => "`virtual_server`",
            Self::RealServer => "`real_server`",
            Self::Ssl => "`SSL`",
            Self::Check => "any check over the network",
            Self::TcpCheck => "`TCP_CHECK`",
            Self::HttpGet => "`HTTP_GET` and `SSL_GET`",
            Self::Url => "`url`",
            Self::SmtpCheck => "`SMTP_CHECK`",
            Self::SmtpHost => "`host` of `SMTP_CHECK`",
            Self::DnsCheck => "`DNS_CHECK`",
            Self::MiscCheck => "`MISC_CHECK`",
            Self::PingCheck => "`PING_CHECK`",
            Self::UdpCheck => "`UDP_CHECK`",
            Self::BfdCheck => "`BFD_CHECK`",
            Self::FileCheck => "`FILE_CHECK`",
        }
    }

    /// The row of a keyword that stands here.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'static Keyword> {
        self.rows_and_common().find(|row| row.name == name)
    }

    /// Its rows, and those that every check has.
    pub fn rows_and_common(self) -> impl Iterator<Item = &'static Keyword> {
        let common = match self {
            Self::TcpCheck
            | Self::HttpGet
            | Self::SmtpCheck
            | Self::DnsCheck
            | Self::PingCheck
            | Self::UdpCheck => Self::Check.rows(),
            Self::MiscCheck => &Self::Check.rows()[checks::OF_THE_NETWORK..],
            _ => &[],
        };
        self.rows().iter().chain(common)
    }

    /// A virtual server, or a part of one.
    const fn is_of_virtual_servers(self) -> bool {
        match self {
            Self::VirtualServerGroup
            | Self::VirtualServer
            | Self::RealServer
            | Self::Ssl
            | Self::Check
            | Self::TcpCheck
            | Self::HttpGet
            | Self::Url
            | Self::SmtpCheck
            | Self::SmtpHost
            | Self::DnsCheck
            | Self::MiscCheck
            | Self::PingCheck
            | Self::UdpCheck
            | Self::BfdCheck
            | Self::FileCheck => true,
            Self::Root
            | Self::GlobalDefs
            | Self::VrrpInstance
            | Self::Authentication
            | Self::AuthHmac
            | Self::AddressLine
            | Self::PeerLine
            | Self::TrackLine
            | Self::RouteLine
            | Self::RuleLine
            | Self::SyncGroup
            | Self::VrrpScript
            | Self::TrackFile
            | Self::TrackProcess
            | Self::BfdInstance
            | Self::GarpGroup
            | Self::TrackGroup => false,
        }
    }

    /// Words in a line, not keywords that open one.
    #[must_use]
    pub const fn is_line(self) -> bool {
        match self {
            Self::AddressLine
            | Self::PeerLine
            | Self::TrackLine
            | Self::RouteLine
            | Self::RuleLine
            | Self::VirtualServerGroup => true,
            Self::Root
            | Self::GlobalDefs
            | Self::VrrpInstance
            | Self::Authentication
            | Self::AuthHmac
            | Self::SyncGroup
            | Self::VrrpScript
            | Self::TrackFile
            | Self::TrackProcess
            | Self::BfdInstance
            | Self::GarpGroup
            | Self::TrackGroup
            | Self::VirtualServer
            | Self::RealServer
            | Self::Ssl
            | Self::Check
            | Self::TcpCheck
            | Self::HttpGet
            | Self::Url
            | Self::SmtpCheck
            | Self::SmtpHost
            | Self::DnsCheck
            | Self::MiscCheck
            | Self::PingCheck
            | Self::UdpCheck
            | Self::BfdCheck
            | Self::FileCheck => false,
        }
    }
}

/// The rows of a keyword that keepalived knows, one per place where it may stand.
pub fn places_of(name: &str) -> impl Iterator<Item = &'static Keyword> {
    let places = Place::ALL.into_iter().filter(|place| !place.is_line());
    let rows = places.flat_map(Place::rows);
    rows.filter(move |row| row.name == name && row.standing != Standing::Dead)
}

/// The keepalived that first knew a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// 2.2.7 or older.
    Long,
    /// Newer than 2.2.7.
    After2_2_7,
    /// 2.4.0.
    V2_4_0,
    /// No keepalived: ours.
    Never,
}

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does what it says.
    ActedOn,
    /// keepalived knows it, this version does not do it.
    NotBuilt(Effect),
    /// keepalived itself does nothing with it any more: a warning.
    NoEffect,
    /// Neither keepalived nor this version knows it, but files in the wild have it: an error.
    Dead,
}

/// What a keyword that is not built would have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Who is master: an error.
    Mastership,
    /// What is added to the kernel or set in it: an error.
    Kernel,
    /// Neither: a warning.
    Aside,
}

/// What follows a keyword in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Line,
    /// A block of keywords.
    Block(Place),
    /// Lines that begin with a value; their further words are those of the place, if there are any.
    List(Option<Place>),
}

/// The reader of a keyword: what it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    /// It is not read.
    Nothing,
    /// A statement, or the head of a block.
    Statement(fn(&mut Draft, &mut Line<'_>)),
    /// A word after an address.
    Address(fn(&mut VirtualAddress, &mut Line<'_>)),
    /// A word after a peer.
    Peer(fn(&mut Peer, &mut Line<'_>)),
    /// A word after a tracked name.
    Track(fn(&mut TrackDraft, &mut Line<'_>)),
    /// A word in the line of a route.
    Route(fn(&mut RouteDraft, &mut Line<'_>)),
    /// A word in the line of a rule.
    Rule(fn(&mut RuleDraft, &mut Line<'_>)),
}

/// The value of a keyword in the effective configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Show {
    Nothing,
    Globals(fn(&Globals) -> Value),
    Instance(fn(&Instance) -> Value),
    Group(fn(&GroupConfig) -> Value),
    GroupNotify(fn(&NotifyScripts) -> Value),
    Script(fn(&Script) -> Value),
    File(fn(&TrackedFile) -> Value),
    Process(fn(&TrackedProcess) -> Value),
    Ipvs(fn(&IpvsGlobals) -> Value),
    VirtualServer(fn(&ServerView<'_>) -> Value),
    RealServer(fn(&RealView<'_>) -> Value),
    Check(fn(&CheckView<'_>) -> Value),
    Url(fn(&Url) -> Value),
    Ssl(fn(&SslDraft) -> Value),
    /// With the check that a `host` is.
    Host,
}

/// Rows are written as `Keyword::new(..)` and a chain of what is special about them.
impl Keyword {
    /// Whether it stands in a virtual server, or opens one or a part of one.
    pub(crate) const fn is_of_virtual_servers(&self) -> bool {
        let inside = match self.form {
            Form::Block(place) | Form::List(Some(place)) => place.is_of_virtual_servers(),
            Form::Line | Form::List(None) => false,
        };
        inside || self.place.is_of_virtual_servers()
    }

    const fn new(
        place: Place,
        name: &'static str,
        arguments: &'static str,
        default: &'static str,
        standing: Standing,
    ) -> Self {
        Self {
            name,
            place,
            arguments,
            default,
            since: Since::Long,
            standing,
            deprecated: None,
            many: false,
            form: Form::Line,
            inherits: None,
            outer: name,
            sets: name,
            by_profile: false,
            by_profile_alone: false,
            read: Read::Nothing,
            show: Show::Nothing,
        }
    }

    const fn reads(mut self, read: fn(&mut Draft, &mut Line<'_>)) -> Self {
        self.read = Read::Statement(read);
        self
    }

    const fn shows(mut self, show: Show) -> Self {
        self.show = show;
        self
    }

    const fn since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    const fn deprecated(mut self, way_out: &'static str) -> Self {
        self.deprecated = Some(way_out);
        self
    }

    const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    const fn opens(mut self, place: Place) -> Self {
        self.form = Form::Block(place);
        self
    }

    const fn lists(mut self, place: Option<Place>) -> Self {
        self.form = Form::List(place);
        self.many = true;
        self
    }

    const fn inherits(mut self, global: &'static str) -> Self {
        self.inherits = Some(global);
        self
    }

    const fn outer(mut self, name: &'static str) -> Self {
        self.outer = name;
        self
    }

    const fn sets(mut self, name: &'static str) -> Self {
        self.sets = name;
        self
    }

    const fn by_profile(mut self) -> Self {
        self.by_profile = true;
        self
    }

    const fn by_profile_alone(mut self) -> Self {
        self.by_profile_alone = true;
        self
    }
}

#[cfg(test)]
mod tests;
