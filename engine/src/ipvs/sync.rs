//! What is not a service: the time limits of connections, and the threads that exchange connections
//! with another director. Both are read before the first command about them, then in turn and after
//! an error, as services are; where the configuration says nothing of them nobody asks.

use alloc::vec::Vec;
use core::hash::Hash;
use core::mem;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::director::{SyncDaemon, Timeouts};
use crate::ipvs::building::Waiting;
use crate::ipvs::command::{Effect, IpvsCommand, Settings, SyncRole, SyncSpec};
use crate::ipvs::director::Ipvs;
use crate::ipvs::news::{FoundSetting, News};
use crate::ipvs::queue::Item;
use crate::ipvs::table::InKernel;

/// Time limits of connections.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Limits {
    wanted: Timeouts,
    /// What the kernel has, as far as we know; `None`: it must be read first.
    known: Option<Timeouts>,
}

impl Limits {
    pub(super) fn configure(&mut self, wanted: Timeouts) {
        self.wanted = wanted;
        if !self.is_wanted() {
            // Nobody looks at what nobody wants.
            self.known = None;
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        let Timeouts { tcp, tcp_fin, udp } = self.wanted;
        [tcp, tcp_fin, udp].iter().any(Option::is_some)
    }

    pub(super) fn difference(&self) -> Option<IpvsCommand> {
        let known = self.known.filter(|_| self.is_wanted())?;
        (!self.are_in(&known)).then_some(IpvsCommand::SetTimeouts(self.wanted))
    }

    /// We set them.
    pub(super) fn settle(&mut self, set: Timeouts) {
        let known = self.known.unwrap_or_default();
        self.known = Some(Timeouts {
            tcp: set.tcp.or(known.tcp),
            tcp_fin: set.tcp_fin.or(known.tcp_fin),
            udp: set.udp.or(known.udp),
        });
    }

    pub(super) const fn forget(&mut self) {
        self.known = None;
    }

    /// The kernel has these. Returns whether somebody else set them.
    fn observe(&mut self, seen: Timeouts) -> bool {
        let before = self.known.replace(seen);
        before.is_some_and(|before| self.are_in(&before)) && !self.are_in(&seen)
    }

    /// A kernel without TCP or UDP in its IPVS has no such limit, and takes none. 0 is none to it.
    fn are_in(&self, there: &Timeouts) -> bool {
        let is = |wanted: Option<Duration>, there: Option<Duration>| {
            let wanted = wanted.filter(|wanted| wanted.as_secs() > 0);
            let both = wanted.zip(there);
            both.is_none_or(|(wanted, there)| wanted.as_secs() == there.as_secs())
        };
        let Timeouts { tcp, tcp_fin, udp } = self.wanted;
        is(tcp, there.tcp) && is(tcp_fin, there.tcp_fin) && is(udp, there.udp)
    }
}

/// The threads of the synchronisation.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Sync {
    config: Option<SyncDaemon>,
    /// That of the instance which it follows.
    pub(super) role: SyncRole,
    pub(super) stopping: bool,
    /// As it was asked for, if it runs so; otherwise as it was seen.
    master: InKernel<SyncSpec>,
    backup: InKernel<SyncSpec>,
}

impl Sync {
    /// Takes over a configuration. Whoever has none leaves threads of others alone.
    pub(super) fn configure(&mut self, config: Option<&SyncDaemon>) {
        if self.config.is_none() && config.is_some() {
            for role in SyncRole::ALL {
                *self.thread_mut(role) = InKernel::Unknown;
            }
        }
        self.config = config.cloned();
    }

    pub(super) fn is_wanted(&self, role: SyncRole) -> bool {
        self.wanted(role).is_some()
    }

    fn wanted(&self, role: SyncRole) -> Option<SyncSpec> {
        let follows = |config: &&SyncDaemon| config.instance.is_none() || self.role == role;
        let config = self.config.as_ref().filter(|_| !self.stopping);
        config.filter(follows).map(SyncSpec::from)
    }

    /// Whether it must be read before anything is done about it. Whoever stops, or has no
    /// configuration any more, ends what was ours to be.
    fn is_unknown(&self, role: SyncRole) -> bool {
        self.config.is_some() && !self.stopping && *self.thread(role) == InKernel::Unknown
    }

    pub(super) fn difference(&self, role: SyncRole) -> Option<IpvsCommand> {
        match (self.wanted(role), self.thread(role)) {
            _ if self.is_unknown(role) => None,
            (Some(spec), InKernel::Present(there)) if *there == spec => None,
            (None, InKernel::Absent) => None,
            (Some(spec), InKernel::Unknown | InKernel::Absent) => {
                Some(IpvsCommand::StartSync { role, spec })
            }
            // It is started anew once it is stopped.
            (_, InKernel::Otherwise | InKernel::Present(_)) | (None, InKernel::Unknown) => {
                Some(IpvsCommand::StopSync(role))
            }
        }
    }

    /// A thread runs like this, or does not. What is to be told of it.
    fn observe(&mut self, role: SyncRole, seen: Option<SyncSpec>) -> Option<News> {
        let wanted = self.wanted(role);
        let before = mem::take(self.thread_mut(role));
        let now = seen.map_or(InKernel::Absent, |seen| {
            let mut asked = [before.present(), wanted.as_ref()].into_iter().flatten();
            let asked = asked.find(|asked| asked.runs_as(role, &seen)).cloned();
            InKernel::Present(asked.unwrap_or(seen))
        });
        let found = match (&before, &now) {
            (InKernel::Unknown, InKernel::Present(there)) if wanted.as_ref() == Some(there) => {
                Some(News::Sync { role, runs: true })
            }
            (InKernel::Absent, InKernel::Present(_)) => {
                Some(News::FoundSetting(FoundSetting::SyncStarted(role)))
            }
            (InKernel::Present(_) | InKernel::Otherwise, InKernel::Absent) => {
                Some(News::FoundSetting(FoundSetting::SyncStopped(role)))
            }
            (InKernel::Present(before), InKernel::Present(there)) if before != there => {
                Some(News::FoundSetting(FoundSetting::SyncChanged(role)))
            }
            (_, _) => None,
        };
        *self.thread_mut(role) = now;
        found
    }

    pub(super) const fn thread_mut(&mut self, role: SyncRole) -> &mut InKernel<SyncSpec> {
        match role {
            SyncRole::Master => &mut self.master,
            SyncRole::Backup => &mut self.backup,
        }
    }

    /// Whether it runs may be another way now.
    pub(super) fn forget(&mut self, role: SyncRole) {
        if self.config.is_some() || *self.thread(role) != InKernel::Absent {
            *self.thread_mut(role) = InKernel::Unknown;
        }
    }

    /// The one that is to end goes first.
    pub(super) fn in_order(&self) -> [SyncRole; 2] {
        let [one, other] = SyncRole::ALL;
        if self.is_wanted(one) { [other, one] } else { [one, other] }
    }

    /// Whether one of them is left, as far as we know.
    pub(super) fn is_busy(&self) -> bool {
        SyncRole::ALL.into_iter().any(|role| *self.thread(role) != InKernel::Absent)
    }

    const fn thread(&self, role: SyncRole) -> &InKernel<SyncSpec> {
        match role {
            SyncRole::Master => &self.master,
            SyncRole::Backup => &self.backup,
        }
    }
}

impl Ipvs {
    /// Whether the configuration says anything of what is no service.
    pub(super) fn has_settings(&self) -> bool {
        self.limits.is_wanted() || self.sync.config.is_some()
    }

    /// What is to be done about the time limits, or they are asked for.
    pub(super) fn look_at_limits(&mut self) -> Option<IpvsCommand> {
        if self.limits.is_wanted() && self.limits.known.is_none() {
            self.ask_for_settings();
        }
        self.limits.difference()
    }

    /// What is to be done about a thread, or they are asked for.
    pub(super) fn look_at_thread(&mut self, role: SyncRole) -> Option<IpvsCommand> {
        if self.sync.is_unknown(role) {
            self.ask_for_settings();
        }
        self.sync.difference(role)
    }

    pub(super) fn ask_for_settings(&mut self) {
        let is_asked = matches!(self.waiting, Some(Waiting::Read { settings: true, .. }));
        if !is_asked && !self.queue.waits(&Item::Settings) {
            self.queue.reads.push(Item::Settings);
        }
    }

    /// The kernel has these.
    pub(super) fn observe_settings(&mut self, seen: Settings, out: &mut Vec<Effect>) {
        self.queue.recover(Item::Settings);
        if !self.has_settings() || self.stopping {
            return;
        }
        let Settings { timeouts, mut sync } = seen;
        if self.limits.is_wanted() {
            if self.limits.observe(timeouts) {
                out.push(Effect::News(News::FoundSetting(FoundSetting::Timeouts(timeouts))));
            }
            self.look_again(Item::Timeouts);
        }
        if self.sync.config.is_some() {
            for role in SyncRole::ALL {
                let news = self.sync.observe(role, sync.remove(&role));
                out.extend(news.map(Effect::News));
            }
            for role in self.sync.in_order() {
                self.look_again(Item::Sync(role));
            }
        }
    }

    fn look_again(&mut self, item: Item) {
        if !self.queue.waits(&item) {
            self.queue.bulk.push(item);
        }
    }
}
