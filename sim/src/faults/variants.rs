//! Other files for a host, made from the one that it has: what a reload puts in place in the fault
//! classes 6, 17 and 20.
//!
//! A variant is text: each `vrrp_instance` block of the file gets one more line before its closing
//! brace, and what stands last counts; the peers of one that has any are written anew. So it can be
//! written beside the original and read by anybody. A variant that cannot be used, or that means
//! the same as the original, is none; nor is there one if a block cannot have the change, stands in
//! an included file, or is made by a macro.

use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vipd_config::Options;
use vipd_config::text::{self, Disk, Document, Files, ReadError, Statement, TextOptions};
use vipd_engine::config::{Peer, Transport};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{Config, Family, InstanceConfig, InstanceName, Version};
use vipd_scenarios::record::HostId;
use vipd_scenarios::scenario::Scenario;

use super::spare::Spare;
use crate::configurations::Configurations;

/// What is different in a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// Another priority: no mismatch, another election.
    Priority,
    /// Another version: classes 17 and 20.
    Version,
    /// Another interval.
    Interval,
    /// Another password, or one where there was none; v2 only.
    Password,
    /// Another VRID.
    Vrid,
    /// An address more than the others have.
    Addresses,
    /// A peer whose address is not its own, or peers where the others have a group.
    Peers,
    /// Another TTL; unicast only.
    Ttl,
    /// Another form of the checksum; v3 over IPv4 only.
    Checksum,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Priority,
        Self::Version,
        Self::Interval,
        Self::Password,
        Self::Vrid,
        Self::Addresses,
        Self::Peers,
        Self::Ttl,
        Self::Checksum,
    ];

    /// The part of the file's name that tells it from the original.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Version => "version",
            Self::Interval => "interval",
            Self::Password => "password",
            Self::Vrid => "vrid",
            Self::Addresses => "addresses",
            Self::Peers => "peers",
            Self::Ttl => "ttl",
            Self::Checksum => "checksum",
        }
    }

    /// Whether routers with and without it do not fit together.
    #[must_use]
    pub const fn is_mismatch(self) -> bool {
        !matches!(self, Self::Priority)
    }

    /// What makes it, if this instance can have it.
    fn change(self, instance: &InstanceConfig, around: &Around<'_>) -> Option<Change> {
        let v2 = instance.version == Version::V2;
        let line = match self {
            Self::Priority => {
                let own = instance.priority.get();
                // Neither an owner nor made one, and far enough to change places with others.
                (own < 255).then(|| format!("priority {}", (u16::from(own) + 100) % 254 + 1))
            }
            Self::Version => (instance.family == Family::Ipv4)
                .then(|| format!("version {}", if v2 { 3 } else { 2 })),
            Self::Interval => {
                let twice = u32::from(instance.interval.centiseconds()) * 2;
                Some(format!("advert_int {}.{:02}", twice / 100, twice % 100))
            }
            Self::Password => {
                v2.then(|| "authentication {\nauth_type PASS\nauth_pass other\n}".to_owned())
            }
            Self::Vrid => {
                let other = around.spare.vrid(instance.vrid.get())?;
                Some(format!("virtual_router_id {other}"))
            }
            Self::Addresses => {
                let last = instance.addresses.last()?;
                let more = around.spare.address(last.address)?;
                Some(format!("virtual_ipaddress {{\n{more}/{}\n}}", last.prefix_len))
            }
            Self::Peers => match &instance.transport {
                Transport::Multicast { .. } => {
                    let fellows = (around.fellows)(instance).into_iter();
                    let peers: Vec<_> = fellows.map(Peer::new).collect();
                    (!peers.is_empty()).then(|| format!("unicast_peer {{{}}}", lines(&peers)))
                }
                Transport::Unicast { peers, .. } => {
                    let mut peers = peers.clone();
                    let last = peers.last_mut()?;
                    last.address = around.spare.address(last.address)?;
                    return Some(Change::Peers(lines(&peers)));
                }
            },
            Self::Ttl => match instance.transport {
                Transport::Multicast { .. } => None,
                Transport::Unicast { ttl, .. } => {
                    Some(format!("unicast_ttl {}", if ttl > 1 { ttl - 1 } else { 255 }))
                }
            },
            Self::Checksum => (!v2 && instance.family == Family::Ipv4).then(|| {
                let as_v2 = instance.rules.checksum_sent != ChecksumForm::MessageOnly;
                format!("v3_checksum_as_v2 {as_v2}")
            }),
        };
        line.map(Change::Line)
    }
}

/// What is changed in the block of a virtual router.
enum Change {
    /// One more line.
    Line(String),
    /// What its `unicast_peer` has between its braces.
    Peers(String),
}

impl Change {
    /// What of the file is replaced by what, where `router` is the whole block.
    fn edit(self, document: &Document, router: &Statement) -> Option<(Range<usize>, String)> {
        let literal = |span, brace| document.sources.slice(span) == brace;
        let block = router.block.as_ref()?;
        let close = block.close?;
        match self {
            Self::Line(line) => {
                literal(close, "}").then(|| (close.start..close.start, format!("\n{line}\n")))
            }
            Self::Peers(lines) => {
                let mut lists =
                    block.statements.iter().filter(|one| one.keyword().text == "unicast_peer");
                let (Some(list), None) = (lists.next(), lists.next()) else { return None };
                let (open, end) = (list.block.as_ref()?.open, list.block.as_ref()?.close?);
                let here = open.file == close.file && end.file == close.file;
                let here = here && literal(open, "{") && literal(end, "}");
                here.then_some((open.end..end.start, lines))
            }
        }
    }
}

/// Lines of `unicast_peer`, between its braces.
fn lines(peers: &[Peer]) -> String {
    let limit = |name, ttl: Option<u8>| ttl.map(|ttl| format!(" {name} {ttl}")).unwrap_or_default();
    let line = |peer: &Peer| {
        let (min, max) = (limit("min_ttl", peer.min_ttl), limit("max_ttl", peer.max_ttl));
        let old = if peer.old_unicast_checksum { " old_unicast_checksum" } else { "" };
        format!("\n{}{min}{max}{old}", peer.address)
    };
    peers.iter().map(line).collect::<String>() + "\n"
}

/// Another file for a host.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Whose.
    pub host: HostId,
    /// What is different.
    pub difference: Difference,
    /// Where it would stand: beside the original. Nothing is written there.
    pub path: PathBuf,
    /// What would stand there.
    pub text: String,
    /// What it means.
    pub config: Arc<Config>,
}

/// What a variant of a file must know of its topology.
pub struct Around<'a> {
    /// What is nobody's.
    pub spare: &'a Spare,
    /// Where the adverts of the other routers of an instance come from.
    pub fellows: &'a dyn Fn(&InstanceConfig) -> Vec<IpAddr>,
}

/// The variants of a host's file.
#[must_use]
pub fn of_host(
    scenario: &Scenario,
    configurations: &Configurations,
    host: HostId,
    around: &Around<'_>,
) -> Vec<Variant> {
    let plan = &scenario.hosts[usize::from(host.0)];
    let Some(file) = &plan.config else { return Vec::new() };
    let Some(original) = configurations.get(host, file) else { return Vec::new() };
    let id = plan.name.to_string();
    let make = |difference: Difference| {
        let change = |instance: &InstanceConfig| difference.change(instance, around);
        let text = altered(file, &id, original, &change)?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let path = file.with_file_name(format!("{stem}-{id}-{}.conf", difference.name()));
        let files = Beside { path: &path, text: text.as_bytes() };
        let options = Options { config_id: Some(id.clone()), ..Options::default() };
        let loaded = vipd_config::load_from(&files, &path, &options).ok()?;
        let differs = loaded.config.instances() != original.instances();
        differs.then_some(Variant { host, difference, path, text, config: loaded.config })
    };
    Difference::ALL.into_iter().filter_map(make).collect()
}

/// The text of `file` with a change in each block of a virtual router.
fn altered(
    file: &Path,
    id: &str,
    original: &Config,
    change: &dyn Fn(&InstanceConfig) -> Option<Change>,
) -> Option<String> {
    let options = TextOptions { config_id: Some(id.to_owned()), ..TextOptions::default() };
    let document = text::read_from(&Disk, file, &options);
    let mut edits = Vec::new();
    for statement in &document.statements {
        if statement.keyword().text != "vrrp_instance" {
            continue;
        }
        let name = InstanceName::new(&statement.arguments().first()?.text);
        let instance = original.instances().iter().find(|instance| instance.name == name)?;
        let close = statement.block.as_ref()?.close?;
        if document.sources.path(close.file) != file.display().to_string() {
            return None;
        }
        edits.push((close.file, change(instance)?.edit(&document, statement)?));
    }
    let (read, _) = edits.first()?;
    let mut text = document.sources.text(*read).to_owned();
    edits.sort_by_key(|(_, (place, _))| std::cmp::Reverse(place.start));
    for (_, (place, new)) in edits {
        text.replace_range(place, &new);
    }
    Some(text)
}

/// The disk with one more file, which is not there.
struct Beside<'a> {
    path: &'a Path,
    text: &'a [u8],
}

impl Files for Beside<'_> {
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        if path != self.path {
            return Disk.read(path, limit);
        }
        if self.text.len() > limit { Err(ReadError::TooLarge) } else { Ok(self.text.to_vec()) }
    }

    fn matching(&self, pattern: &str, limit: usize) -> Result<Vec<PathBuf>, String> {
        Disk.matching(pattern, limit)
    }

    fn identity(&self, path: &Path) -> PathBuf {
        if path == self.path { path.to_path_buf() } else { Disk.identity(path) }
    }

    fn environment(&self, name: &str) -> Option<String> {
        Disk.environment(name)
    }
}
