//! What the outside shows of an engine whose own word is not heard: another implementation, or one
//! in a process that only its packets and its kernel tell of.
//!
//! It enters Master with the first advert of a priority above 0, and leaves it when its data plane
//! gives the address up: to Fault if its link is down, to Initialize if its process was told to
//! stop, else to Backup. What begins in another state than Master does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipd_engine::{Family, StateKind};

use crate::record::{HostId, MachineChange, Observation, ProcessChange, Seen, Setting, WorldTime};
use crate::scenario::Expect;

/// Virtual router of a host, as expectations name it.
type Router = (Family, u8);

/// The hosts that do not speak, and what is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Unheard {
    hosts: BTreeSet<HostId>,
    addresses: BTreeMap<(HostId, IpAddr), Router>,
    /// Masters, each since when.
    masters: BTreeMap<(HostId, Router), WorldTime>,
    /// When each was master before.
    terms: Vec<(HostId, Router, WorldTime, WorldTime)>,
    /// The Record has no routes and rules.
    routes_unseen: bool,
    /// It has no IPVS tables.
    tables_unseen: bool,
    stopping: BTreeSet<HostId>,
    link_down: BTreeSet<HostId>,
}

impl Unheard {
    pub(super) fn new(setting: &Setting) -> Self {
        let hosts = setting.hosts.iter().zip(0..).filter(|(host, _)| !host.speaks);
        let hosts = hosts.map(|(_, id)| HostId(id)).collect();
        let (routes_unseen, tables_unseen) = (!setting.routes_seen, !setting.tables_seen);
        Self { hosts, routes_unseen, tables_unseen, ..Self::default() }
    }

    /// The state that a virtual router of the host shows to enter now.
    pub(super) fn hear(&mut self, observation: &Observation) -> Option<(Router, StateKind)> {
        let Observation { at, host, seen } = observation;
        let (at, host) = (*at, *host);
        if !self.hosts.contains(&host) {
            return None;
        }
        match seen {
            Seen::AdvertSent(advert) if advert.priority > 0 => {
                let router = (advert.router.family, advert.router.vrid);
                let begins = !self.masters.contains_key(&(host, router));
                begins.then(|| self.masters.insert((host, router), at));
                begins.then_some((router, StateKind::Master))
            }
            Seen::Owns { address, owns: false, .. } => {
                let router = *self.addresses.get(&(host, *address))?;
                let state = if self.stopping.contains(&host) {
                    StateKind::Initialize
                } else if self.link_down.contains(&host) {
                    StateKind::Fault
                } else {
                    StateKind::Backup
                };
                self.leave(at, host, router).then_some((router, state))
            }
            Seen::Configured(config) => {
                for instance in config.instances() {
                    let router = (instance.family, instance.vrid.get());
                    for held in &instance.addresses {
                        self.addresses.insert((host, held.address), router);
                    }
                }
                None
            }
            Seen::Process(change) => {
                self.on_process(at, host, *change);
                None
            }
            Seen::Machine(MachineChange::Off) => {
                self.on_process(at, host, ProcessChange::Killed);
                None
            }
            Seen::Link { up, .. } => {
                if *up {
                    self.link_down.remove(&host);
                } else {
                    self.link_down.insert(host);
                }
                None
            }
            _ => None,
        }
    }

    /// Why what is expected within the window cannot be told without the engine's own word.
    pub(super) fn cannot_judge(
        &self,
        expect: &Expect,
        window: (WorldTime, WorldTime),
        names: &dyn Fn(HostId) -> String,
    ) -> Option<String> {
        let (host, what) = match expect {
            // Of a real host no more than its wire and its addresses are watched.
            Expect::Holders { .. } => {
                let unseen = "routes and rules are not watched here".to_string();
                return self.routes_unseen.then_some(unseen);
            }
            Expect::Pool { .. } => {
                let unseen = "tables of IPVS are not watched here".to_string();
                return self.tables_unseen.then_some(unseen);
            }
            Expect::Event { host, .. } => (*host, "what it reports"),
            Expect::Enters { host, router, state } if *state != StateKind::Master => {
                if self.was_master(*host, *router, window) {
                    return None;
                }
                (*host, "a state that does not follow Master")
            }
            Expect::Enters { .. }
            | Expect::Masters { .. }
            | Expect::Owners { .. }
            | Expect::ClientGap { .. }
            | Expect::Outage { .. }
            | Expect::AnsweredBy { .. } => return None,
        };
        let unheard = self.hosts.contains(&host);
        unheard.then(|| format!("{what} is the own word of {}, not heard here", names(host)))
    }

    fn was_master(
        &self,
        host: HostId,
        router: Option<Router>,
        window: (WorldTime, WorldTime),
    ) -> bool {
        let asked =
            |who: HostId, which: Router| who == host && router.is_none_or(|router| router == which);
        let mut now = self.masters.iter();
        let mut before = self.terms.iter();
        now.any(|((who, which), since)| asked(*who, *which) && *since <= window.1)
            || before.any(|(who, which, from, until)| {
                asked(*who, *which) && *from <= window.1 && *until >= window.0
            })
    }

    /// Whether it was master until now.
    fn leave(&mut self, at: WorldTime, host: HostId, router: Router) -> bool {
        let since = self.masters.remove(&(host, router));
        self.terms.extend(since.map(|since| (host, router, since, at)));
        since.is_some()
    }

    fn on_process(&mut self, at: WorldTime, host: HostId, change: ProcessChange) {
        match change {
            ProcessChange::Stopping => {
                self.stopping.insert(host);
            }
            ProcessChange::Started => {
                self.stopping.remove(&host);
            }
            ProcessChange::Stopped | ProcessChange::Killed => {
                let own = self.masters.keys().filter(|(who, _)| *who == host);
                for (_, router) in own.copied().collect::<Vec<_>>() {
                    self.leave(at, host, router);
                }
            }
            ProcessChange::Paused | ProcessChange::Resumed => {}
        }
    }
}
