//! An engine written down and read back: what a segment of a journal begins with.
//!
//! What is derived from other things (indexes, advertised addresses) is not in it but derived
//! again. A snapshot may have been edited by anybody, so it is checked: no engine that comes out of
//! here panics or hangs, whatever is fed to it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError, FibEntry};
use crate::director::{self, Director};
use crate::engine::{Engine, file, virtual_addresses};
use crate::health::Limits;
use crate::names::{GroupName, InstanceName};
use crate::observed::{Observed, Reports};
use crate::output::InstanceId;
use crate::policy::Group;
use crate::routing::Routing;
use crate::schedule::Schedule;
use crate::statics::Statics;
use crate::status::MOST_COUNTED;
use crate::vrrp::drop_reason::DropCounters;
use crate::vrrp::instance::Instance;
use crate::vrrp::named::Named;

/// Everything that an engine knows and cannot derive, for serde. `Engine::try_from` gives the
/// engine back, if there can be such a one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    config: Arc<Config>,
    is_configured: bool,
    instances: Vec<Option<Instance>>,
    observed: Reports,
    #[serde(default)]
    fib: BTreeSet<FibEntry>,
    #[serde(default)]
    statics: Statics,
    groups: Vec<Group>,
    /// Instances that are being stopped and still hear adverts.
    hears_to_the_end: Vec<InstanceId>,
    named: Named,
    unclaimed: DropCounters,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    director: Option<director::Snapshot>,
}

/// Why a snapshot is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// An instance has the id of another place.
    Misplaced(InstanceName),
    /// The configuration of an instance breaks a rule.
    Config(ConfigError),
    /// Two interfaces have one name.
    SameInterface,
    /// A group whose members are not there, not in order, or in another group.
    Members(GroupName),
    /// An instance is grouped and no group has it, or the reverse.
    Grouped(InstanceName),
    /// What must hold between any two calls does not.
    Invariant(String),
    /// What an instance never does.
    Unsound(InstanceName, &'static str),
    /// Commands for what is static count too far.
    Statics,
    /// Datagrams that no instance claimed are counted or named too far.
    Unclaimed,
    /// Its director cannot be.
    Director(director::SnapshotError),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misplaced(name) => write!(f, "{name} has the id of another instance"),
            Self::Config(error) => error.fmt(f),
            Self::SameInterface => f.write_str("two interfaces have one name"),
            Self::Members(name) => write!(f, "{name} has members that cannot be"),
            Self::Grouped(name) => write!(f, "{name} and its group do not agree"),
            Self::Invariant(what) => f.write_str(what),
            Self::Unsound(name, what) => write!(f, "{name} {what}"),
            Self::Statics => f.write_str("commands for what is static count too far"),
            Self::Director(error) => error.fmt(f),
            Self::Unclaimed => f.write_str("unclaimed datagrams are counted too far"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Engine {
    /// What it knows now. It costs as much as a copy of each instance.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let hears = |instance: &&Instance| {
            instance.is_stopping() && self.routing.reaches(instance, &self.observed)
        };
        let stopping = self.instances.iter().flatten().filter(hears);
        Snapshot {
            config: Arc::clone(&self.config),
            is_configured: self.is_configured,
            instances: self.instances.clone(),
            observed: self.observed.reports(),
            groups: self.groups.clone(),
            hears_to_the_end: stopping.map(|instance| instance.id).collect(),
            named: self.named.clone(),
            unclaimed: self.unclaimed.clone(),
            fib: self.observed.fib().into_iter().collect(),
            statics: self.statics.clone(),
            limits: self.limits,
            director: self.director.as_ref().map(|director| director.snapshot()),
        }
    }
}

impl TryFrom<Snapshot> for Engine {
    type Error = SnapshotError;

    fn try_from(read: Snapshot) -> Result<Self, SnapshotError> {
        let Snapshot { config, is_configured, mut instances, groups, named, unclaimed, .. } = read;
        let mut statics = read.statics;
        let mut observed =
            Observed::from_reports(read.observed).ok_or(SnapshotError::SameInterface)?;
        observed.set_virtual(virtual_addresses(&config));
        observed.set_fib(read.fib);
        if !statics.fits() {
            return Err(SnapshotError::Statics);
        }
        statics.derive();
        let group_of = members(&groups, &instances)?;
        for (place, instance) in instances.iter_mut().enumerate() {
            let Some(instance) = instance else { continue };
            check(place, instance, &group_of)?;
            instance.derive();
        }
        if !named.fits() || unclaimed.iter().any(|(_, count)| count > MOST_COUNTED) {
            return Err(SnapshotError::Unclaimed);
        }
        let director = read.director.map(Director::try_from).transpose();
        let director = director.map_err(SnapshotError::Director)?.map(Box::new);
        let director_due = director.as_deref().and_then(Director::deadline);
        let mut schedule = Schedule::default();
        schedule.file(InstanceId::STATIC, statics.deadline());
        let mut leases = Schedule::default();
        for instance in instances.iter().flatten() {
            file(instance, &mut schedule, &mut leases);
        }
        let mut routing = Routing::default();
        routing.rebuild_with(&config, &instances, &observed, |instance| {
            !instance.is_stopping() || read.hears_to_the_end.contains(&instance.id)
        });
        let mut engine = Self {
            config,
            is_configured,
            instances,
            observed,
            statics,
            limits: read.limits,
            director,
            director_due,
            groups,
            group_of,
            routing,
            schedule,
            leases,
            named,
            unclaimed,
            ..Self::default()
        };
        engine.watch();
        engine.broken_invariant().map_or(Ok(engine), |what| Err(SnapshotError::Invariant(what)))
    }
}

/// The group of each instance that is in one.
fn members(
    groups: &[Group],
    instances: &[Option<Instance>],
) -> Result<BTreeMap<InstanceId, usize>, SnapshotError> {
    let mut group_of = BTreeMap::new();
    for (place, group) in groups.iter().enumerate() {
        let in_order = group.members.is_sorted_by(|one, next| one < next);
        let is_there = |id: &InstanceId| matches!(instances.get(id.0 as usize), Some(Some(_)));
        let mut ids = group.members.iter();
        let fit = ids.all(|id| is_there(id) && group_of.insert(*id, place).is_none());
        if !(in_order && fit) {
            return Err(SnapshotError::Members(group.name.clone()));
        }
    }
    Ok(group_of)
}

fn check(
    place: usize,
    instance: &Instance,
    group_of: &BTreeMap<InstanceId, usize>,
) -> Result<(), SnapshotError> {
    let name = || instance.config.name.clone();
    if instance.id.0 as usize != place {
        return Err(SnapshotError::Misplaced(name()));
    }
    if let Some(error) = instance.config.broken_rule() {
        return Err(SnapshotError::Config(error));
    }
    if instance.grouped != group_of.contains_key(&instance.id) {
        return Err(SnapshotError::Grouped(name()));
    }
    instance.unsound().map_or(Ok(()), |what| Err(SnapshotError::Unsound(name(), what)))
}
