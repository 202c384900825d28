//! S9: a mismatch is reported and named by at least one side within 2A + D, from when the sender is
//! master and its packets arrive.
//!
//! What is a mismatch is worked out from the configurations ([`super::mismatch`]). A side that has
//! named it once need not do so again as long as neither configuration changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::config::Transport;
use vipd_engine::{News, StateKind};

use super::change::{Change, Pair, Place, What};
use super::mismatch;
use super::score::Score;
use super::terms::since;
use super::view::{Member, View};
use super::{Property, PropertyId, PropertyReport};
use crate::record::{HostId, Seen, SeenAdvert, WorldTime};
use crate::scenario::{Injection, Message};

/// S9.
#[derive(Debug)]
pub(super) struct Named {
    score: Score,
    open: BTreeMap<(Side, Side), Open>,
    /// Who named whom.
    named: BTreeSet<(HostId, IpAddr)>,
}

/// A host that runs VRRP, or an address that only sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Host(HostId),
    Stranger(IpAddr),
}

#[derive(Debug)]
struct Open {
    at: WorldTime,
    bound: Duration,
    kinds: Vec<&'static str>,
    sender: IpAddr,
    /// The other side as the sender would name it.
    receiver: Option<IpAddr>,
    /// Sender and receiver, if both run this virtual router.
    between: Option<(Place, Place)>,
}

impl Named {
    pub(super) const fn new() -> Self {
        let missing = "no advert of a router that does not fit arrived";
        let score = Score::new(PropertyId::S9, missing);
        Self { score, open: BTreeMap::new(), named: BTreeSet::new() }
    }

    fn heard(&mut self, view: &View, pair: Pair) {
        let sender = Place { router: pair.router, member: pair.sender };
        let receiver = Place { router: pair.router, member: pair.receiver };
        let (from, to) = (view.member(sender), view.member(receiver));
        let kinds = mismatch::named(from, to);
        // What a router sends as it yields may have left under its old configuration, and nothing
        // follows it.
        let demanded = from.master.is_some() && listens(view, receiver) && !kinds.is_empty();
        let Some(source) = from.source.filter(|_| demanded) else { return };
        let bound = view.pace(sender) * 2;
        let key = (Side::Host(from.host), Side::Host(to.host));
        let between = Some((sender, receiver));
        let open =
            Open { at: view.now, bound, kinds, sender: source, receiver: to.source, between };
        self.demand(view, pair.router, key, open);
    }

    fn foreign(&mut self, view: &View, receiver: HostId, sender: Place, source: IpAddr) {
        let carried = || view.member(sender).config.addresses.iter().map(|own| own.address);
        for (router, members) in view.routers.iter().enumerate() {
            let key = view.routers[sender.router].key;
            let same_link = members.key.segment == key.segment && members.key.family == key.family;
            for member in members.members.iter().filter(|member| same_link && member.present) {
                if member.host != receiver
                    || !view.host(receiver).is_running()
                    || !is_given(view, view.member(sender), member)
                    || !mismatch::is_foreign(carried(), source, &member.config)
                {
                    continue;
                }
                let kinds = vec!["foreign-vrid"];
                let bound = view.pace(sender) * 2;
                let key = (Side::Host(view.member(sender).host), Side::Host(receiver));
                let (at, receiver) = (view.now, member.source);
                let open = Open { at, bound, kinds, sender: source, receiver, between: None };
                self.demand(view, router, key, open);
            }
        }
    }

    fn injected(
        &mut self,
        view: &View,
        receiver: HostId,
        advert: &SeenAdvert,
        injection: &Injection,
    ) {
        // Whether raw octets are an advert is the receiver's business: nothing is demanded of it.
        let Message::Advert(fields) = &injection.message else { return };
        if fields.checksum_error != 0 {
            return;
        }
        for (router, members) in view.routers.iter().enumerate() {
            let (key, there) = (members.key, advert.router);
            if key.segment != there.segment || key.family != there.family {
                continue;
            }
            for member in members.members.iter().filter(|member| member.host == receiver) {
                // What has its own source is to it an advert of its own that came back.
                let deaf = member.source == Some(advert.src) || is_at_rest(member);
                let kinds = if key.vrid == there.vrid {
                    if deaf {
                        vec![]
                    } else {
                        mismatch::named_in(injection, fields, &member.config)
                    }
                } else {
                    let carried = fields.addresses.iter().copied();
                    let runs = view.routers.iter().any(|other| {
                        other.key == there && other.members.iter().any(|m| m.host == receiver)
                    });
                    let foreign = mismatch::is_foreign(carried, advert.src, &member.config)
                        && mismatch::is_read(injection, advert);
                    if foreign && !runs { vec!["foreign-vrid"] } else { vec![] }
                };
                if kinds.is_empty() || !member.present || !view.host(receiver).is_running() {
                    continue;
                }
                let bound = view.up(advert.interval) * 2;
                let sides = (Side::Stranger(advert.src), Side::Host(receiver));
                let (at, sender) = (view.now, advert.src);
                let open = Open { at, bound, kinds, sender, receiver: None, between: None };
                self.demand(view, router, sides, open);
            }
        }
    }

    fn demand(&mut self, view: &View, router: usize, sides: (Side, Side), mut open: Open) {
        let Side::Host(receiver) = sides.1 else { return };
        let by_sender = match (sides.0, open.receiver) {
            (Side::Host(sender), Some(peer)) => self.named.contains(&(sender, peer)),
            (Side::Host(_), None) | (Side::Stranger(_), _) => false,
        };
        if by_sender || self.named.contains(&(receiver, open.sender)) {
            self.score.held();
            return;
        }
        open.bound += view.most_delay(router) + view.late() * 2 + view.tolerance();
        self.open.entry(sides).or_insert(open);
    }

    fn report(&mut self, view: &View, host: HostId, peer: IpAddr, kind: &str) {
        let fits = |(sides, open): &(&(Side, Side), &Open)| {
            let of_receiver = sides.1 == Side::Host(host) && open.sender == peer;
            let of_sender = sides.0 == Side::Host(host) && open.receiver == Some(peer);
            (of_receiver || of_sender) && open.kinds.contains(&kind)
        };
        let closed: Vec<_> = self.open.iter().filter(fits).map(|(sides, _)| *sides).collect();
        self.named.insert((host, peer));
        for sides in closed {
            if let Some(open) = self.open.remove(&sides) {
                self.judge(view, sides, &open, view.now);
            }
        }
    }

    fn judge(&mut self, view: &View, sides: (Side, Side), open: &Open, now: WorldTime) {
        let value = since(now, open.at);
        let excuse = || {
            let hosts = [sides.0, sides.1].into_iter().filter_map(|side| match side {
                Side::Host(host) => Some(host),
                Side::Stranger(_) => None,
            });
            let mut stalled = hosts.filter(|host| view.stalled_since(*host, open.at));
            let stalled = stalled.next().map(|host| view.host_name(host).to_owned());
            stalled.map(|name| format!("{name} was paused or frozen")).or_else(|| view.too_late())
        };
        let what = || {
            let kinds = open.kinds.join(", ");
            format!("nobody named {} for {value:?} ({kinds})", open.sender)
        };
        self.score.at_most(value, open.bound, excuse, what);
    }

    /// One of the two changed: what was named before counts no more, what is open begins anew.
    fn forget(&mut self, view: &View, host: HostId) {
        self.named.retain(|(reporter, _)| *reporter != host);
        self.drop_within(view, |sides| sides.0 == Side::Host(host) || sides.1 == Side::Host(host));
    }

    fn drop_within(&mut self, view: &View, about: impl Fn(&(Side, Side)) -> bool) {
        self.drop_open(view, |sides, _| about(sides));
    }

    /// Its adverts no longer arrive, or nobody is there to make anything of them.
    fn drop_unheard(&mut self, view: &View) {
        self.drop_open(view, |_, open| {
            open.between.is_some_and(|(sender, receiver)| {
                !view.reaches(sender, receiver) || !view.is_running(receiver)
            })
        });
    }

    fn drop_open(&mut self, view: &View, about: impl Fn(&(Side, Side), &Open) -> bool) {
        if self.open.is_empty() {
            return;
        }
        let gone = self.open.iter().filter(|(sides, open)| about(sides, open));
        let gone: Vec<_> = gone.map(|(sides, _)| *sides).collect();
        for sides in gone {
            if let Some(open) = self.open.remove(&sides)
                && since(view.now, open.at) > open.bound
            {
                self.judge(view, sides, &open, view.now);
            }
        }
    }
}

/// Whether its machine gives it what the sender sends: by unicast only as long as it has the
/// address, which an owner may have lost.
fn is_given(view: &View, sender: &Member, receiver: &Member) -> bool {
    let unicast = matches!(sender.config.transport, Transport::Unicast { .. });
    let mut listed = receiver.addresses.iter();
    let own = listed.find(|(_, address)| Some(*address) == receiver.source);
    !unicast || own.is_none_or(|own| view.is_owned_by(receiver.host, *own))
}

/// Whether this router makes anything of an advert: in Initialize and Fault it takes no part, and
/// what does not fit is named once it does.
fn listens(view: &View, place: Place) -> bool {
    view.is_running(place) && !is_at_rest(view.member(place))
}

const fn is_at_rest(member: &Member) -> bool {
    member.starting || matches!(member.state, Some(StateKind::Initialize | StateKind::Fault))
}

impl Property for Named {
    #[inline]
    fn heeds(&self, _view: &View, change: &Change) -> bool {
        matches!(
            change.what,
            What::Joined { .. }
                | What::Left(_)
                | What::MasterEnds(..)
                | What::State { .. }
                | What::Heard { .. }
                | What::Foreign { .. }
                | What::Injected(..)
                | What::News(..)
                | What::Seen(
                    Seen::Path { .. } | Seen::Link { .. } | Seen::Process(_) | Seen::Machine(_)
                )
        )
    }

    fn after(&mut self, view: &View, change: &Change) {
        match &change.what {
            What::Joined { .. } | What::Left(_) => self.forget(view, change.host),
            What::MasterEnds(..) => {
                self.drop_within(view, |sides| sides.0 == Side::Host(change.host));
            }
            What::State { to: StateKind::Initialize | StateKind::Fault, .. } => {
                self.drop_within(view, |sides| sides.1 == Side::Host(change.host));
            }
            What::Seen(
                Seen::Path { .. } | Seen::Link { .. } | Seen::Process(_) | Seen::Machine(_),
            ) => self.drop_unheard(view),
            What::Heard { pair, of_before: false, .. } => self.heard(view, *pair),
            What::Foreign { sender, source } => {
                self.foreign(view, change.host, *sender, *source);
            }
            What::Injected(advert, Some(injection)) => {
                self.injected(view, change.host, advert, injection);
            }
            What::News(_, News::Mismatch { peer, mismatch }) => {
                self.report(view, change.host, *peer, mismatch.name());
            }
            What::News(_, News::ForeignVrid { peer, .. }) => {
                self.report(view, change.host, *peer, "foreign-vrid");
            }
            _ => {}
        }
    }

    fn finish(&mut self, view: &View, end: WorldTime) -> Vec<PropertyReport> {
        for (sides, open) in std::mem::take(&mut self.open) {
            if since(end, open.at) > open.bound {
                self.judge(view, sides, &open, end);
            }
        }
        vec![self.score.report()]
    }
}
