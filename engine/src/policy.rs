//! What one part's news means to another, and who may own addresses. Written here and only here.

use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::{GroupConfig, InstanceConfig};
use crate::director::{self, Director};
use crate::event::{Event, Fault, News, StateKind, Why};
use crate::ipvs::{self, SyncRole};
use crate::names::{GroupName, InstanceName};
use crate::output::{InstanceId, Output};
use crate::time::Timestamp;
use crate::vrrp::instance::{Context, Instance};
use crate::vrrp::state::{Master, State};

/// Whether an instance in this state owns its addresses: Master is not ownership by itself.
/// Addresses, announcements, accept filter and virtual MAC follow this and never the state.
pub(crate) fn owns(state: &State, now: Timestamp) -> bool {
    matches!(state, State::Master(master) if may_own(master, now))
}

/// Whether a Master may own its addresses: always, unless it has a lease (`dead_man`).
fn may_own(master: &Master, now: Timestamp) -> bool {
    master.lease.as_ref().is_none_or(|lease| lease.runs(now))
}

/// The first address of an instance that a virtual server has while the kernel has no IPVS. Who
/// cannot direct must not draw to itself what is to be directed. While a configuration is being
/// taken it is known of those virtual servers only that came by then.
pub(crate) fn undirected(director: Option<&Director>, config: &InstanceConfig) -> Option<IpAddr> {
    let director = director.filter(|director| director.is_in_fault())?;
    let addresses = config.addresses.iter().chain(&config.excluded);
    addresses.map(|one| one.address).find(|address| director.needs_ipvs(*address))
}

/// Whether instances are to be asked anew what [`undirected`] says of them.
pub(crate) const fn concerns_instances(news: &director::News) -> bool {
    match news {
        director::News::Table(ipvs::News::Fault | ipvs::News::FaultOver)
        | director::News::InForce => true,
        director::News::Table(_)
        | director::News::Health(_)
        | director::News::Ordered { .. }
        | director::News::Rest { .. } => false,
    }
}

/// Which thread of the synchronisation runs while the instance that it follows is in this state;
/// `None`: there is no such instance.
pub(crate) fn sync_role(followed: Option<StateKind>) -> SyncRole {
    match followed {
        Some(StateKind::Master) => SyncRole::Master,
        Some(StateKind::Initialize | StateKind::Backup | StateKind::Fault) | None => {
            SyncRole::Backup
        }
    }
}

/// A sync group: its members change state together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: GroupName,
    /// In their order, which is the one in which they act.
    pub(crate) members: Vec<InstanceId>,
    /// Whose news it is that the group changed: that of the first one in the file.
    speaker: InstanceName,
    /// As it was told last.
    pub(crate) state: StateKind,
}

impl Group {
    /// A group of these members that was in this state, if it was there before.
    pub(crate) fn new(
        config: &GroupConfig,
        mut members: Vec<InstanceId>,
        state: StateKind,
    ) -> Self {
        members.sort_unstable();
        let speaker = config.members.first().cloned().unwrap_or_else(|| InstanceName::new(""));
        Self { name: config.name.clone(), members, speaker, state }
    }

    /// Tells the state of the group if it is another one. While members differ there is none.
    pub(crate) fn tell(&mut self, instances: &[Option<Instance>], ctx: &mut Context<'_>) {
        let first = self.members(instances).next().map(Instance::state_kind);
        let alike = first
            .filter(|first| self.members(instances).all(|member| member.state_kind() == *first));
        let faulty = self.has(instances, StateKind::Fault);
        let state = if faulty { Some(StateKind::Fault) } else { alike };
        self.tell_state(state.unwrap_or(self.state), ctx);
    }

    /// Tells that the group is in this state, unless that is known.
    pub(crate) fn tell_state(&mut self, state: StateKind, ctx: &mut Context<'_>) {
        let from = core::mem::replace(&mut self.state, state);
        if from != state {
            let news = News::GroupState { group: self.name.clone(), from, to: state };
            ctx.out.push(Output::Notify(Event { instance: self.speaker.clone(), news }));
        }
    }

    /// Brings the members together after one of them changed.
    ///
    /// One member's fault is everybody's. One member that follows another router takes all of them
    /// along. They become master together, once each of them wants to be; who is new in a group of
    /// masters becomes one of them.
    pub(crate) fn settle(&self, instances: &mut [Option<Instance>], ctx: &mut Context<'_>) {
        self.share_faults(instances, ctx);
        let why = || Why::Group(self.name.clone());
        let wants = |member: &Instance| member.wants_master();
        if self.has(instances, StateKind::Master) {
            for member in self.members_mut(instances).filter(|member| !wants(member)) {
                member.join_masters(ctx, why());
            }
            if self.members(instances).any(follows) {
                // Each resigns for itself: its peers need not be a group and wait for nothing, and
                // a rival that never heard it learns of it and announces its addresses again. Who
                // leaves because a lease is over says nothing, as with a lease of its own.
                let resigns = !self.members(instances).any(Instance::has_lost_its_lease);
                for member in self.members_mut(instances) {
                    if resigns {
                        member.resign(ctx);
                    }
                    member.yield_with_group(ctx, why());
                }
            }
        }
        // Who is not started yet keeps the others from becoming master, not from being it.
        let waits = StateKind::Initialize;
        let held = self.members(instances).any(follows)
            || self.has(instances, StateKind::Fault)
            || (self.has(instances, waits) && !self.has(instances, StateKind::Master));
        if !held {
            for member in self.members_mut(instances).filter(|member| wants(member)) {
                member.become_master_if_wanted(ctx);
            }
        }
    }

    /// Whether one member is Master and another one not.
    pub(crate) fn is_split(&self, instances: &[Option<Instance>]) -> bool {
        self.has(instances, StateKind::Master)
            && (self.has(instances, StateKind::Backup) || self.has(instances, StateKind::Fault))
    }

    fn share_faults(&self, instances: &mut [Option<Instance>], ctx: &mut Context<'_>) {
        let faulty = self.members(instances).filter(|member| member.is_faulty()).count();
        for member in self.members_mut(instances) {
            let others = faulty - usize::from(member.is_faulty());
            let fault = (others > 0).then(|| Fault::Group(self.name.clone()));
            member.set_group_fault(ctx, fault);
        }
    }

    fn has(&self, instances: &[Option<Instance>], state: StateKind) -> bool {
        self.members(instances).any(|member| member.state_kind() == state)
    }

    fn members<'a>(
        &'a self,
        instances: &'a [Option<Instance>],
    ) -> impl Iterator<Item = &'a Instance> {
        self.members.iter().filter_map(|id| instances.get(id.0 as usize)?.as_ref())
    }

    fn members_mut<'a>(
        &'a self,
        instances: &'a mut [Option<Instance>],
    ) -> impl Iterator<Item = &'a mut Instance> {
        let first = self.members.first().map_or(0, |id| id.0 as usize);
        let last = self.members.last().map_or(0, |id| id.0 as usize + 1);
        let among = instances.get_mut(first..last).unwrap_or_default().iter_mut().zip(first..);
        among
            .filter(|(_, slot)| self.members.binary_search_by_key(slot, |id| id.0 as usize).is_ok())
            .filter_map(|(instance, _)| instance.as_mut())
    }
}

/// Backup, and it stays so: its down timer runs, or an operator holds it.
fn follows(member: &Instance) -> bool {
    member.state_kind() == StateKind::Backup && (!member.wants_master() || member.is_held())
}
