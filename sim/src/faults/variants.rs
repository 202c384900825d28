//! Other files for a host, made from the one that it has: what a reload puts in place in the fault
//! classes 6, 17 and 20.
//!
//! A variant is text: each `vrrp_instance` block of the file gets one more line before its closing
//! brace, and what stands last counts. So it can be written beside the original and read by
//! anybody. A variant that cannot be used, or that means the same as the original, is none. Blocks
//! that stand in an included file, or that a macro makes, are left as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vipd_config::Options;
use vipd_config::text::{self, Disk, Files, ReadError, TextOptions};
use vipd_engine::{Config, Family, InstanceConfig, InstanceName, Version};
use vipd_scenarios::record::HostId;
use vipd_scenarios::scenario::Scenario;

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
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Priority, Self::Version, Self::Interval, Self::Password, Self::Vrid];

    /// The part of the file's name that tells it from the original.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Version => "version",
            Self::Interval => "interval",
            Self::Password => "password",
            Self::Vrid => "vrid",
        }
    }

    /// Whether routers with and without it do not fit together.
    #[must_use]
    pub const fn is_mismatch(self) -> bool {
        !matches!(self, Self::Priority)
    }

    /// The line that makes it, if this instance can have it.
    fn line(self, instance: &InstanceConfig, other_vrids: &BTreeMap<u8, u8>) -> Option<String> {
        let v2 = instance.version == Version::V2;
        match self {
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
                let other = other_vrids.get(&instance.vrid.get())?;
                Some(format!("virtual_router_id {other}"))
            }
        }
    }
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

/// The variants of a host's file.
#[must_use]
pub fn of_host(scenario: &Scenario, configurations: &Configurations, host: HostId) -> Vec<Variant> {
    let plan = &scenario.hosts[usize::from(host.0)];
    let Some(file) = &plan.config else { return Vec::new() };
    let Some(original) = configurations.get(host, file) else { return Vec::new() };
    let id = plan.name.to_string();
    let instances = configurations.iter().flat_map(|config| config.instances());
    let other_vrids = other_vrids(instances.map(|instance| instance.vrid.get()).collect());
    let make = |difference: Difference| {
        let text = altered(file, &id, original, (difference, &other_vrids))?;
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

/// For each VRID of a topology the next one that is nobody's, nor that of another one's variant: a
/// virtual router that leaves its own does not come to another one. None where all are in use.
fn other_vrids(used: BTreeSet<u8>) -> BTreeMap<u8, u8> {
    let mut taken = used.clone();
    let other = |vrid: u8| {
        let next = (vrid..u8::MAX).chain(0..vrid).map(|before| before + 1);
        let free = next.into_iter().find(|one| !taken.contains(one))?;
        taken.insert(free);
        Some((vrid, free))
    };
    used.into_iter().filter_map(other).collect()
}

/// The text of `file` with a line more in each block of a virtual router.
fn altered(
    file: &Path,
    id: &str,
    original: &Config,
    (difference, other_vrids): (Difference, &BTreeMap<u8, u8>),
) -> Option<String> {
    let options = TextOptions { config_id: Some(id.to_owned()), ..TextOptions::default() };
    let document = text::read_from(&Disk, file, &options);
    let mut lines = Vec::new();
    for statement in &document.statements {
        if statement.keyword().text != "vrrp_instance" {
            continue;
        }
        let name = InstanceName::new(&statement.arguments().first()?.text);
        let instance = original.instances().iter().find(|instance| instance.name == name)?;
        let close = statement.block.as_ref()?.close?;
        if document.sources.path(close.file) != file.display().to_string()
            || document.sources.slice(close) != "}"
        {
            return None;
        }
        lines.push((close, difference.line(instance, other_vrids)?));
    }
    let (close, _) = lines.first()?;
    let mut text = document.sources.text(close.file).to_owned();
    lines.sort_by_key(|(close, _)| std::cmp::Reverse(close.start));
    for (close, line) in lines {
        text.insert_str(close.start, &format!("\n{line}\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vrid_is_nobodys_and_no_two_get_the_same_one() {
        let others = other_vrids(BTreeSet::from([10, 11, 51, 255]));
        assert_eq!(others, BTreeMap::from([(10, 12), (11, 13), (51, 52), (255, 1)]));
        assert_eq!(other_vrids((1..=255).collect()), BTreeMap::new());
        assert_eq!(other_vrids((1..=254).collect()), BTreeMap::from([(1, 255)]));
    }
}
