//! What the readers write into: settings as they stand in the file, absent ones absent.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use vipd_engine::config::{Announcements, MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, Peer};
use vipd_engine::config::{FibConfig, GroupConfig, VirtualAddress};
use vipd_engine::{GroupName, InterfaceName, Password, Priority, Profile, Rules, Version, Vrid};

use super::director::draft::{
    CheckDraft, DirectorDraft, Endpoint, KindDraft, RealDraft, ServerDraft, Settings, UrlDraft,
};
use super::rule::RuleDraft;
use super::shared::Shared;
use super::track::TrackDraft;
use crate::Scope;
use crate::diagnostics::Span;
use crate::keywords::Place;
use crate::mail::{self, Mail};
use crate::notify::{Fifo, NotifyScripts};
use crate::process::Process;
use crate::trackers::{Script, ScriptUser, TrackedFile, TrackedProcess, Trackers};

/// Where a block and the values in it were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// The head of the block.
    pub block: Option<Span>,
    /// Of each keyword by the name whose value it sets, the last place.
    pub given: BTreeMap<&'static str, Span>,
    /// Of each list, the place of each of its values.
    pub items: BTreeMap<&'static str, Vec<Span>>,
}

impl Origins {
    fn at(block: Span) -> Self {
        Self { block: Some(block), ..Self::default() }
    }

    /// Where a keyword was given, or one of its values, or the block.
    pub fn place(&self, keyword: &str, index: Option<usize>) -> Option<Span> {
        let item = index.and_then(|index| self.items.get(keyword)?.get(index));
        item.or_else(|| self.given.get(keyword)).copied().or(self.block)
    }
}

/// A block with a name and where its values stand.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub value: T,
    pub origins: Origins,
}

impl<T> Placed<T> {
    pub fn new(value: T, block: Span) -> Self {
        Self { value, origins: Origins::at(block) }
    }
}

/// A whole file as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// How much of it is acted on.
    pub scope: Scope,
    /// Each value's place is kept, to be shown.
    pub explains: bool,
    pub globals: Globals,
    /// Where what stands outside any block was given.
    pub root: Origins,
    pub statics: StaticDraft,
    pub instances: Vec<Placed<InstanceDraft>>,
    pub groups: Vec<Placed<GroupDraft>>,
    pub scripts: Vec<Placed<Script>>,
    pub files: Vec<Placed<TrackedFile>>,
    pub processes: Vec<Placed<TrackedProcess>>,
    pub director: DirectorDraft,
    /// Scripts of checks, by the name that the engine has for them.
    pub check_scripts: BTreeMap<String, crate::notify::NotifyScript>,
}

/// A keyword is read inside its block only, and the block's head has made it.
const INSIDE: &str = "the head of the block was read";

impl Draft {
    pub fn new(profile: Profile, scope: Scope, explains: bool) -> Self {
        let globals = Globals { profile, ..Globals::default() };
        Self { globals, scope, explains, ..Self::default() }
    }

    pub fn instance(&mut self) -> &mut InstanceDraft {
        &mut self.instances.last_mut().expect(INSIDE).value
    }

    pub fn group(&mut self) -> &mut GroupDraft {
        &mut self.groups.last_mut().expect(INSIDE).value
    }

    pub fn script(&mut self) -> &mut Script {
        &mut self.scripts.last_mut().expect(INSIDE).value
    }

    pub fn file(&mut self) -> &mut TrackedFile {
        &mut self.files.last_mut().expect(INSIDE).value
    }

    pub fn process(&mut self) -> &mut TrackedProcess {
        &mut self.processes.last_mut().expect(INSIDE).value
    }

    pub fn server(&mut self) -> &mut ServerDraft {
        &mut self.director.servers.last_mut().expect(INSIDE).value
    }

    pub fn real(&mut self) -> &mut RealDraft {
        self.server().real_servers.last_mut().expect(INSIDE)
    }

    pub fn check(&mut self) -> &mut CheckDraft {
        self.real().checks.last_mut().expect(INSIDE)
    }

    pub fn url(&mut self) -> &mut UrlDraft {
        let KindDraft::Http(http) = &mut self.check().kind else { unreachable!("{INSIDE}") };
        http.urls.last_mut().expect(INSIDE)
    }

    /// What a virtual server, a real server and a check have in common.
    pub fn settings(&mut self, place: Place) -> &mut Settings {
        match place {
            Place::VirtualServer => &mut self.server().settings,
            Place::RealServer => &mut self.real().settings,
            _ => &mut self.check().settings,
        }
    }

    /// What a check, or the open `host` of one, connects to.
    pub fn endpoint(&mut self, place: Place) -> &mut Endpoint {
        let check = self.check();
        match check.hosts.last_mut().filter(|_| place == Place::SmtpHost) {
            Some(host) => host,
            None => &mut check.endpoint,
        }
    }

    /// What a driver runs and watches.
    pub fn trackers(&self) -> Trackers {
        fn values<T: Clone>(blocks: &[Placed<T>]) -> Vec<T> {
            blocks.iter().map(|block| block.value.clone()).collect()
        }
        // Files are looked at by checks, too; scripts and processes by virtual routers alone.
        let has_routers = self.scope != Scope::ChecksOnly;
        Trackers {
            scripts: if has_routers { values(&self.scripts) } else { Vec::new() },
            files: values(&self.files),
            processes: if has_routers { values(&self.processes) } else { Vec::new() },
            script_user: self.globals.script_user.clone(),
            script_security: self.globals.script_security,
        }
    }

    /// The notify scripts of the open instance or sync group.
    pub fn notify(&mut self, place: Place) -> &mut NotifyScripts {
        if place == Place::SyncGroup {
            &mut self.group().notify
        } else {
            &mut self.instance().notify
        }
    }

    /// The named pipe that this keyword is about.
    pub fn fifo(&mut self, keyword: &str) -> &mut Fifo {
        &mut self.globals.fifos[usize::from(keyword.starts_with("vrrp_"))]
    }

    /// The settings that `global_defs` and an instance have in common.
    pub fn shared(&mut self, place: Place) -> &mut Shared {
        if place == Place::GlobalDefs {
            &mut self.globals.shared
        } else {
            &mut self.instance().shared
        }
    }

    /// Where the values of the innermost open block of this kind are noted.
    pub fn origins(&mut self, place: Place) -> Option<&mut Origins> {
        fn last<T>(blocks: &mut [Placed<T>]) -> Option<&mut Origins> {
            blocks.last_mut().map(|block| &mut block.origins)
        }
        match place {
            Place::Root => Some(&mut self.root),
            Place::GlobalDefs => Some(&mut self.globals.origins),
            Place::VrrpInstance | Place::Authentication => last(&mut self.instances),
            Place::SyncGroup => last(&mut self.groups),
            Place::VrrpScript => last(&mut self.scripts),
            Place::TrackFile => last(&mut self.files),
            Place::TrackProcess => last(&mut self.processes),
            Place::VirtualServer => last(&mut self.director.servers),
            Place::RealServer => Some(&mut self.real().origins),
            Place::Ssl => self.director.ssl.as_mut().map(|ssl| &mut ssl.origins),
            Place::Check
            | Place::TcpCheck
            | Place::HttpGet
            | Place::SmtpCheck
            | Place::DnsCheck
            | Place::MiscCheck
            | Place::PingCheck
            | Place::UdpCheck
            | Place::FileCheck => Some(&mut self.check().origins),
            Place::Url => Some(&mut self.url().origins),
            Place::AuthHmac
            | Place::AddressLine
            | Place::PeerLine
            | Place::TrackLine
            | Place::RouteLine
            | Place::RuleLine
            | Place::BfdInstance
            | Place::GarpGroup
            | Place::TrackGroup
            | Place::VirtualServerGroup
            | Place::SmtpHost
            | Place::BfdCheck => None,
        }
    }
}

/// `global_defs`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    /// Whose rules hold where nothing else is said.
    pub profile: Profile,
    pub origins: Origins,
    pub shared: Shared,
    pub mail: Mail,
    /// `smtp_alert_vrrp`.
    pub mails_vrrp: Option<bool>,
    pub script_user: Option<ScriptUser>,
    pub script_security: bool,
    pub group_v4: Option<Ipv4Addr>,
    pub group_v6: Option<Ipv6Addr>,
    pub startup_delay: Duration,
    pub vmac_prefix: Option<String>,
    pub process: Process,
    /// `notify_fifo` and `vrrp_notify_fifo`.
    pub fifos: [Fifo; 2],
    pub states_on_reload: bool,
    pub priority_changes: bool,
    pub default_interface: Option<InterfaceName>,
}

impl Globals {
    pub fn has_fifo(&self) -> bool {
        self.fifos.iter().any(|fifo| !fifo.path.is_empty())
    }

    pub fn group_v4(&self) -> Ipv4Addr {
        self.group_v4.unwrap_or(MULTICAST_GROUP_V4)
    }

    pub fn group_v6(&self) -> Ipv6Addr {
        self.group_v6.unwrap_or(MULTICAST_GROUP_V6)
    }

    /// What the interface of a virtual router MAC is called: this and the VRID.
    pub fn vmac_prefix(&self) -> &str {
        self.vmac_prefix.as_deref().unwrap_or("vrrp")
    }

    /// The interface of static addresses that name none.
    pub fn default_interface(&self) -> InterfaceName {
        self.default_interface.clone().unwrap_or_else(|| InterfaceName::new("eth0"))
    }

    /// `HOST:PORT`, as it would be used.
    pub fn smtp_server(&self) -> Option<String> {
        let port = self.mail.port.unwrap_or(mail::PORT);
        self.mail.server.as_ref().map(|host| format!("{host}:{port}"))
    }

    /// Announcements of an instance that says nothing of them.
    pub fn announcements(&self) -> Announcements {
        self.shared.announcements(&Shared::default(), self.profile)
    }

    /// Rules of an instance that says nothing of them.
    pub fn rules(&self) -> Rules {
        self.shared.rules(&Shared::default(), self.profile, self.version())
    }

    /// Version of an IPv4 instance that does not say it.
    pub fn version(&self) -> Version {
        self.shared.version.unwrap_or(Version::V2)
    }
}

/// `static_ipaddress`, `static_routes` and `static_rules` as they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct StaticDraft {
    pub addresses: Vec<VirtualAddress>,
    pub routes: Vec<FibConfig>,
    pub rules: Vec<RuleDraft>,
}

/// What `state` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    Master,
    #[default]
    Backup,
}

impl State {
    pub const NAMES: [(&'static str, Self); 2] =
        [("MASTER", Self::Master), ("BACKUP", Self::Backup)];

    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
        }
    }
}

/// What `auth_type` says of a type that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthType {
    Pass,
    Ah,
}

impl AuthType {
    pub const NAMES: [(&'static str, Self); 2] = [("PASS", Self::Pass), ("AH", Self::Ah)];
}

/// `vrrp_instance` as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct InstanceDraft {
    pub name: String,
    pub shared: Shared,
    pub state: Option<State>,
    pub interface: Option<InterfaceName>,
    pub vrid: Option<Vrid>,
    pub priority: Option<Priority>,
    pub interval: Option<Duration>,
    pub native_ipv6: bool,
    pub auth_type: Option<AuthType>,
    pub auth_pass: Option<Password>,
    pub addresses: Vec<VirtualAddress>,
    pub excluded: Vec<VirtualAddress>,
    pub routes: Vec<FibConfig>,
    pub rules: Vec<RuleDraft>,
    pub no_address: bool,
    pub source: Option<IpAddr>,
    pub group: Option<IpAddr>,
    pub peers: Option<Vec<Peer>>,
    pub unicast_ttl: Option<u8>,
    pub old_unicast_checksum: bool,
    pub one_way_alarm: Option<u8>,
    pub one_way_yield: Option<Duration>,
    pub tracks: Vec<TrackDraft>,
    pub preempt: Option<bool>,
    pub preempt_delay: Option<Duration>,
    pub dead_man: Option<Duration>,
    pub notify: NotifyScripts,
    pub accept: Option<bool>,
    pub ignore_primary_link: bool,
    /// Of `use_vmac`: the name, if there is one.
    pub virtual_mac: Option<Option<InterfaceName>>,
    pub transmit_from_parent: bool,
    /// A mistake was reported that leaves the instance without something it needs.
    pub broken: bool,
}

/// `vrrp_sync_group` as it was written.
#[derive(Clone, Debug)]
pub(crate) struct GroupDraft {
    pub config: GroupConfig,
    pub tracks: Vec<TrackDraft>,
    pub notify: NotifyScripts,
}

impl GroupDraft {
    pub fn new(name: &str) -> Self {
        let config = GroupConfig {
            name: GroupName::new(name),
            members: Vec::new(),
            tracks: Vec::new(),
            tracking_weight: false,
        };
        Self { config, tracks: Vec::new(), notify: NotifyScripts::default() }
    }
}
