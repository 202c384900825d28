//! The state of the run as the changes tell it: who is master, who owns, who hears whom, what is
//! in force. Always a consistent cut: it is as late as the change that was applied last.
//!
//! How a change moves it is in `update`; it decides nothing. The arithmetic on it is in
//! [`super::terms`].

mod groups;
mod holds;
mod removed;
mod resigned;
mod stalls;
mod touch;
mod update;
mod whose;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::Transport;
use vipd_engine::{GroupName, InstanceConfig, Order, StateKind};

use super::change::{Change, Ending, Pair, Place, What};
use super::excuse::Excuse;
use super::places::Places;
use crate::record::{HostId, RouterKey, SegmentId, Setting, WorldTime};
use removed::Removed;
use resigned::Forged;
use stalls::Stalls;
use whose::Whose;

/// Longest history of lost adverts that is kept for one path.
const LOSSES_KEPT: usize = 16;

/// Everything that the properties ask.
#[derive(Debug)]
pub(super) struct View {
    pub setting: Setting,
    pub now: WorldTime,
    pub hosts: Vec<Host>,
    pub routers: Vec<Router>,
    /// Whose data plane owns an address, and since when.
    pub owners: Whose<WorldTime>,
    /// What each neighbour cache says.
    pub neighbours: Whose<Option<HostId>>,
    /// The virtual routers that may feel the last change in any way.
    pub touched: Vec<usize>,
    /// The same, and those that a sync group joins to them.
    pub moved: Vec<usize>,
    /// Those of them of which a master, an owner, a rank or a connection may differ.
    pub rearranged: Vec<usize>,
    /// The last fault or step anywhere.
    disturbed_at: WorldTime,
    /// Those that were told of, see [`View::path_place`].
    paths: Places<Path>,
    holds: BTreeSet<(WorldTime, Place)>,
    /// A handler is later than the setting allows.
    pub too_late: Option<HostId>,
    /// A step made a link lose or corrupt frames.
    lossy: bool,
    /// Several virtual routers have an address.
    pub shares: bool,
    /// A sync group joins virtual routers.
    grouped: bool,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    multicast: bool,
    unicast: bool,
    changed: WorldTime,
}

/// A host.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub on: bool,
    pub frozen: bool,
    pub process: Process,
    /// When the process was started, or last resumed.
    pub running_since: WorldTime,
    /// When it was last paused or frozen, and when that ended (`None`: not yet).
    pub stalled: Option<(WorldTime, Option<WorldTime>)>,
    /// Its clock stood still meanwhile.
    clock_stood: bool,
    /// Each time that it stood still and went on.
    stalls: Stalls,
    /// Links that changed, by segment: whether they are up, and since when.
    links: Places<(bool, WorldTime)>,
    /// The last time that the kernel refused a command or an advert.
    pub refused_at: Option<WorldTime>,
    removed: Removed,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Process {
    #[default]
    None,
    Running,
    Paused,
    Stopping,
}

/// A virtual router.
#[derive(Debug)]
pub(super) struct Router {
    pub key: RouterKey,
    pub members: Vec<Member>,
    disturbed_at: WorldTime,
    /// The last time that a start-up or preempt delay ended, or a hold-down.
    hold_ended_at: WorldTime,
    pub injected_at: Option<WorldTime>,
    forged: Forged,
    /// The last time that a reload ended a mismatch between running members, and which one.
    pub odds_ended: Option<(WorldTime, Excuse)>,
    /// Who did not fit together until then.
    pub odd_pairs: Vec<[Place; 2]>,
    losses: BTreeMap<Pair, Vec<(WorldTime, u32)>>,
    pub connections: Connections,
    /// Several members are master, or several hosts own the same address.
    pub dual: bool,
    /// The virtual routers that a sync group joins to it.
    joined: Vec<usize>,
    /// The least interval that a member has in its configuration.
    pub least_interval: Option<Duration>,
}

/// Who of a virtual router runs, and who hears whom.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// The running members.
    pub running: Vec<Place>,
    /// Those that are connected, each set by itself.
    pub components: Vec<Vec<Place>>,
    /// The first two of one component of whom the second does not hear the first.
    pub deaf: Option<(Place, Place)>,
}

/// A virtual router on one host.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub host: HostId,
    pub config: Arc<InstanceConfig>,
    pub present: bool,
    /// Since when it can wait for adverts: another virtual router may have been its own before, or
    /// it may have been in Fault.
    pub joined: WorldTime,
    /// The sync group that it is in.
    pub group: Option<GroupName>,
    pub source: Option<IpAddr>,
    /// Master by the wire, since then.
    pub master: Option<WorldTime>,
    /// When it began to be, the last time.
    pub began: Option<WorldTime>,
    /// When its engine became it, whatever silence came after that.
    pub term_began: Option<WorldTime>,
    /// It was master all the time, silent for a while.
    pub resumed: bool,
    pub ended: Option<(WorldTime, Ending)>,
    pub resigned_at: Option<WorldTime>,
    /// The last advert before its engine or its machine stopped last.
    pub last_advert: Option<WorldTime>,
    /// The engine's own column.
    pub state: Option<StateKind>,
    pub left_master_at: Option<WorldTime>,
    /// Effective priority.
    pub priority: u8,
    /// What its own adverts carry.
    pub advertised: Duration,
    /// Longer ones that they carried, each with when that was over; the longest comes first.
    longer: Vec<(WorldTime, Duration)>,
    /// What paces its Master_Down_Interval.
    pub in_force: Duration,
    /// Or its own interval does: nobody knows which of a file and an advert it read first.
    pub or_own: bool,
    /// A start-up or preempt delay runs, or a hold-down: until then at most.
    pub held: Option<WorldTime>,
    /// What holds it is the start-up delay of its process.
    pub starting: bool,
    /// When it last told that a rival does not hear it.
    alarmed_at: Option<WorldTime>,
    /// It yielded to such a rival: until then at least it preempts nobody.
    pub held_down: Option<WorldTime>,
    /// An operator keeps it from preempting, or from being master at all.
    pub ordered: Option<Order>,
    pub addresses: Vec<(SegmentId, IpAddr)>,
}

impl Member {
    /// It is master by the wire, or was at that time or later.
    pub(super) fn was_master_since(&self, since: WorldTime) -> bool {
        self.master.is_some() || self.ended.is_some_and(|(at, _)| at >= since)
    }

    /// Its adverts carry this interval from now on.
    fn advertises(&mut self, interval: Duration, now: WorldTime) {
        let before = std::mem::replace(&mut self.advertised, interval);
        if before > interval {
            self.longer.retain(|(_, longer)| *longer > before);
            self.longer.push((now, before));
        }
    }

    /// The longest interval of its adverts from that time on.
    pub(super) fn longest_interval_since(&self, since: WorldTime) -> Duration {
        let before = self.longer.iter().find(|(until, _)| *until > since);
        before.map_or(self.advertised, |(_, longer)| self.advertised.max(*longer))
    }
}

impl Host {
    fn link(&self, segment: SegmentId) -> Option<&(bool, WorldTime)> {
        self.links.get(usize::from(segment.0))
    }

    /// The process lives, is not stopped or paused, and its machine goes on.
    pub(super) fn is_running(&self) -> bool {
        self.on && !self.frozen && self.process == Process::Running
    }

    /// How long its clock stood still between two times.
    pub(super) fn clock_stood(&self, since: WorldTime, until: WorldTime) -> Duration {
        self.stalls.clock_stood(since, until)
    }

    /// The earliest that a master here that advertises each `period`, at most `late`, can have sent
    /// its last advert before `now`.
    pub(super) fn last_advert(
        &self,
        now: WorldTime,
        period: Duration,
        late: Duration,
    ) -> WorldTime {
        let until = match self.stalled {
            Some((began, None)) => began,
            Some((_, Some(_))) | None => now,
        };
        self.stalls.last_advert(until, period, late)
    }
}

impl Router {
    /// The addresses of its members; once for members in a row that have the same.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &(SegmentId, IpAddr)> {
        let mut before: &[(SegmentId, IpAddr)] = &[];
        let each = self.members.iter().map(|member| &member.addresses[..]);
        let other = each.filter(move |own| std::mem::replace(&mut before, own) != *own);
        other.flatten()
    }

    /// Whether a member has this address.
    pub(super) fn has(&self, address: (SegmentId, IpAddr)) -> bool {
        self.members.iter().any(|member| member.addresses.contains(&address))
    }
}

impl View {
    pub(super) fn new(setting: Setting) -> Self {
        let on = || Host { on: true, ..Host::default() };
        Self {
            hosts: setting.hosts.iter().map(|_| on()).collect(),
            setting,
            now: WorldTime(0),
            routers: Vec::new(),
            owners: Whose::default(),
            neighbours: Whose::default(),
            touched: Vec::new(),
            moved: Vec::new(),
            rearranged: Vec::new(),
            disturbed_at: WorldTime(0),
            paths: Places::default(),
            holds: BTreeSet::new(),
            too_late: None,
            lossy: false,
            shares: false,
            grouped: false,
        }
    }

    /// A delay that ends before `until` or at it, and was not told yet.
    pub(super) fn next_hold(&mut self, until: WorldTime) -> Option<Change> {
        let (at, place) = *self.holds.first()?;
        (at <= until).then(|| {
            self.holds.pop_first();
            let host = self.member(place).host;
            Change { at, host, what: What::HoldEnds(place) }
        })
    }

    pub(super) fn host(&self, host: HostId) -> &Host {
        &self.hosts[usize::from(host.0)]
    }

    pub(super) fn member(&self, place: Place) -> &Member {
        &self.routers[place.router].members[place.member]
    }

    pub(super) fn name(&self, place: Place) -> &str {
        self.host_name(self.member(place).host)
    }

    pub(super) fn host_name(&self, host: HostId) -> &str {
        self.setting.hosts.get(usize::from(host.0)).map_or("?", |host| &host.name)
    }

    pub(super) fn places(&self, router: usize) -> impl Iterator<Item = Place> + use<> {
        (0..self.routers[router].members.len()).map(move |member| Place { router, member })
    }

    /// The last fault or step that this virtual router may feel.
    pub(super) fn disturbed_at(&self, router: usize) -> WorldTime {
        self.disturbed_at.max(self.routers[router].disturbed_at)
    }

    /// The same, the end of a delay that holds a router back included: liveness counts from here.
    pub(super) fn calm_since(&self, router: usize) -> WorldTime {
        self.disturbed_at(router).max(self.routers[router].hold_ended_at)
    }

    /// Whether adverts of the one get through to the other: paths, links and machines.
    pub(super) fn reaches(&self, from: Place, to: Place) -> bool {
        let (sender, receiver) = (self.member(from), self.member(to));
        let segment = self.routers[from.router].key.segment;
        let unicast = matches!(sender.config.transport, Transport::Unicast { .. });
        self.passes(segment, sender.host, receiver.host, unicast)
    }

    /// Whether frames pass from one host to another on a segment.
    pub(super) fn passes(
        &self,
        segment: SegmentId,
        from: HostId,
        to: HostId,
        unicast: bool,
    ) -> bool {
        let path = self.path(segment, from, to);
        path.is_none_or(|path| if unicast { path.unicast } else { path.multicast })
            && self.is_linked(segment, from)
            && self.is_linked(segment, to)
    }

    /// Whether something between the two last changed between these times, both included.
    pub(super) fn was_cut(
        &self,
        from: Place,
        to: Place,
        since: WorldTime,
        until: WorldTime,
    ) -> bool {
        let segment = self.routers[from.router].key.segment;
        let changes = self.path_changes(segment, self.member(from).host, self.member(to).host);
        changes.into_iter().flatten().any(|changed| since <= changed && changed <= until)
    }

    /// When the way from one host to another last changed: the path, and the links at its ends.
    fn path_changes(&self, segment: SegmentId, from: HostId, to: HostId) -> [Option<WorldTime>; 3] {
        let path = self.path(segment, from, to);
        let link = |host| self.host(host).link(segment).map(|(_, changed)| *changed);
        [path.map(|path| path.changed), link(from), link(to)]
    }

    /// When the way from one host to another last changed, if it ever did.
    pub(super) fn path_changed(
        &self,
        segment: SegmentId,
        from: HostId,
        to: HostId,
    ) -> Option<WorldTime> {
        self.path_changes(segment, from, to).into_iter().flatten().max()
    }

    /// The same without regard to the machine of the sender, which may stand still by now.
    pub(super) fn leads_to(&self, from: Place, to: Place) -> bool {
        let (sender, receiver) = (self.member(from), self.member(to));
        let segment = self.routers[from.router].key.segment;
        let unicast = matches!(sender.config.transport, Transport::Unicast { .. });
        let path = self.path(segment, sender.host, receiver.host);
        path.is_none_or(|path| if unicast { path.unicast } else { path.multicast })
            && self.is_linked(segment, receiver.host)
    }

    /// Whether what leaves the sender arrives at the receiver's machine, which may stand still.
    pub(super) fn arrives(&self, from: Place, to: Place) -> bool {
        let (sender, receiver) = (self.member(from), self.member(to));
        let segment = self.routers[from.router].key.segment;
        let unicast = matches!(sender.config.transport, Transport::Unicast { .. });
        let path = self.path(segment, sender.host, receiver.host);
        let there = self.host(receiver.host);
        path.is_none_or(|path| if unicast { path.unicast } else { path.multicast })
            && self.is_linked(segment, sender.host)
            && there.on
            && there.link(segment).is_none_or(|(up, _)| *up)
    }

    pub(super) fn hear_each_other(&self, a: Place, b: Place) -> bool {
        self.reaches(a, b) && self.reaches(b, a)
    }

    fn is_linked(&self, segment: SegmentId, host: HostId) -> bool {
        let host = self.host(host);
        host.on && !host.frozen && host.link(segment).is_none_or(|(up, _)| *up)
    }

    fn path(&self, segment: SegmentId, from: HostId, to: HostId) -> Option<&Path> {
        self.paths.get(self.path_place(segment, from, to))
    }

    /// Where the path of a host to another one on a segment stands among all of them.
    fn path_place(&self, segment: SegmentId, from: HostId, to: HostId) -> usize {
        let ends = usize::from(segment.0) * self.hosts.len() + usize::from(from.0);
        ends * self.hosts.len() + usize::from(to.0)
    }

    /// Most adverts in a row that the path lost, in runs that reach into the time from `since`.
    pub(super) fn lost_since(&self, from: Place, to: Place, since: WorldTime) -> u32 {
        self.losses(from, to)
            .iter()
            .filter(|(at, _)| *at >= since)
            .map(|(_, run)| *run)
            .max()
            .unwrap_or(0)
    }

    /// All adverts that the path lost, in runs that reach into the time from `since`.
    pub(super) fn all_lost_since(&self, from: Place, to: Place, since: WorldTime) -> u32 {
        self.losses(from, to).iter().filter(|(at, _)| *at >= since).map(|(_, run)| *run).sum()
    }

    fn losses(&self, from: Place, to: Place) -> &[(WorldTime, u32)] {
        let pair = Pair { router: from.router, receiver: to.member, sender: from.member };
        self.routers[from.router].losses.get(&pair).map_or(&[], |list| list)
    }

    /// Whether frames that are no adverts may be lost too: a step said so, or an advert was lost
    /// on an open path.
    pub(super) fn is_lossy(&self, router: usize) -> bool {
        self.lossy || !self.routers[router].losses.is_empty()
    }

    /// The same, and the process has the instance.
    pub(super) fn is_running(&self, place: Place) -> bool {
        let member = self.member(place);
        member.present && self.host(member.host).is_running()
    }

    /// The same of one that is paused or frozen.
    pub(super) fn is_alive(&self, place: Place) -> bool {
        let member = self.member(place);
        let host = self.host(member.host);
        let lives = matches!(host.process, Process::Running | Process::Paused);
        member.present && host.on && lives
    }

    /// It could be master: it runs, its start-up delay is over, its link is up, its engine is not
    /// at fault, and no operator holds it.
    pub(super) fn is_eligible(&self, place: Place) -> bool {
        let member = self.member(place);
        let segment = self.routers[place.router].key.segment;
        self.is_running(place)
            && self.is_linked(segment, member.host)
            && !member.starting
            && member.ordered != Some(Order::Hold)
            && !matches!(member.state, Some(StateKind::Fault | StateKind::Initialize))
    }

    /// Whether the host was paused or frozen at any time from `since` on.
    pub(super) fn stalled_since(&self, host: HostId, since: WorldTime) -> bool {
        match self.host(host).stalled {
            None => false,
            Some((_, None)) => true,
            Some((_, Some(ended))) => ended >= since,
        }
    }

    /// Whether the data plane of the host owns any virtual address of the router, and since when.
    pub(super) fn owns(&self, place: Place, address: (SegmentId, IpAddr)) -> Option<WorldTime> {
        self.owners.get(address, self.member(place).host)
    }

    pub(super) fn is_owned_by(&self, host: HostId, address: (SegmentId, IpAddr)) -> bool {
        self.owners.get(address, host).is_some()
    }

    /// Whether it is a real address that an owner keeps although it is no master: the one that its
    /// adverts leave from, and any other one unless it yields.
    pub(super) fn keeps(&self, place: Place, address: (SegmentId, IpAddr)) -> bool {
        let member = self.member(place);
        let host = self.setting.hosts.get(usize::from(member.host.0));
        let real = member.is_owner() && host.is_some_and(|host| host.addresses.contains(&address));
        real && self.is_running(place)
            && match member.state {
                Some(StateKind::Backup) => member.source == Some(address.1),
                Some(StateKind::Fault | StateKind::Initialize) => true,
                Some(StateKind::Master) | None => false,
            }
    }

    /// Whether the host runs another virtual router that has this address.
    pub(super) fn has_elsewhere(&self, place: Place, address: (SegmentId, IpAddr)) -> bool {
        if !self.shares {
            return false;
        }
        let host = self.member(place).host;
        let others = (0..self.routers.len()).filter(|router| *router != place.router);
        let mut members = others.flat_map(|router| &self.routers[router].members);
        members.any(|one| one.host == host && one.present && one.addresses.contains(&address))
    }

    fn shares_addresses(&self) -> bool {
        let members = self.routers.iter().flat_map(|router| &router.members);
        let mut addresses = members.flat_map(|member| &member.addresses);
        addresses.any(|address| self.routers_of(*address).nth(1).is_some())
    }

    /// The virtual routers that have this address.
    pub(super) fn routers_of(&self, address: (SegmentId, IpAddr)) -> impl Iterator<Item = usize> {
        (0..self.routers.len()).filter(move |router| self.routers[*router].has(address))
    }
}
