//! The connections that a table remembers, and the templates by which persistence holds a client to
//! a destination. Each ends by its timer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::director::{Forwarding, Protocol};

use super::tcp::State;
use super::{Load, Name, Table};

/// A template that still has connections when its time is over lives this much longer, and from
/// then on always this long.
const TEMPLATE_WAITS: Duration = Duration::from_secs(60);

/// What a connection or template is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Flow { protocol: Protocol, client: SocketAddr, target: SocketAddr },
    Template { network: IpAddr, held: Held },
}

/// What a template holds a client's network for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    /// This address and port; port 0: all of them.
    Target { protocol: Protocol, target: SocketAddr },
    /// A service of this mark.
    Mark(u32),
}

/// Number of a connection, never used again.
pub(super) type Id = u64;

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) key: Key,
    pub(super) name: Name,
    /// How its packets reach the destination, and where.
    pub(super) forwarding: Forwarding,
    pub(super) to: SocketAddr,
    pub(super) what: What,
    pub(super) timeout: Duration,
    /// Packets of the client that went by it.
    packets: u64,
    expires: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Tcp {
        state: State,
        hears_server: bool,
        template: Option<Id>,
    },
    Udp {
        template: Option<Id>,
    },
    /// So many connections follow it.
    Template {
        followers: u32,
    },
}

impl Connection {
    const fn timer(&self, id: Id) -> Timer {
        let is_template = matches!(self.what, What::Template { .. });
        Timer { at: self.expires, is_template, id }
    }
}

impl What {
    /// Where it is counted at its destination.
    fn count(self) -> fn(&mut Load) -> &mut u32 {
        match self {
            Self::Tcp { state, .. } if state.is_active() => |load| &mut load.active,
            Self::Tcp { .. } | Self::Udp { .. } => |load| &mut load.inactive,
            Self::Template { .. } => |load| &mut load.persistent,
        }
    }

    pub(super) fn template(self) -> Option<Id> {
        match self {
            Self::Tcp { template, .. } | Self::Udp { template } => template,
            Self::Template { .. } => None,
        }
    }
}

/// When something ends. Of those that end together connections come first, so that a template ends
/// with the last one that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    at: Timestamp,
    is_template: bool,
    id: Id,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<Id, Connection>,
    by_key: BTreeMap<Key, Id>,
    timers: BTreeSet<Timer>,
    last: Id,
}

impl Connections {
    pub(super) fn find(&self, key: &Key) -> Option<(Id, &Connection)> {
        let id = *self.by_key.get(key)?;
        Some((id, self.all.get(&id)?))
    }

    pub(super) fn get(&self, id: Id) -> Option<&Connection> {
        self.all.get(&id)
    }

    /// One more packet of its client: so many were there now.
    pub(super) fn counted(&mut self, id: Id) -> Option<u64> {
        let one = self.all.get_mut(&id)?;
        one.packets += 1;
        Some(one.packets)
    }

    /// It lives; it is only not found any more.
    pub(super) fn hide(&mut self, id: Id) {
        if let Some(one) = self.all.get(&id)
            && self.by_key.get(&one.key) == Some(&id)
        {
            self.by_key.remove(&one.key);
        }
    }

    /// Its time begins anew.
    pub(super) fn restart(&mut self, now: Timestamp, id: Id) {
        let timeout = self.all.get(&id).map_or(Duration::ZERO, |one| one.timeout);
        self.expire_at(now + timeout, id);
    }

    pub(super) fn expire_at(&mut self, at: Timestamp, id: Id) {
        if let Some(one) = self.all.get_mut(&id) {
            self.timers.remove(&one.timer(id));
            one.expires = at;
            self.timers.insert(one.timer(id));
        }
    }

    /// Those of a destination, but for templates.
    fn flows_to(&self, name: Name) -> Vec<Id> {
        let is_meant =
            |one: &Connection| one.name == name && !matches!(one.what, What::Template { .. });
        self.all.iter().filter(|(_, one)| is_meant(one)).map(|(id, _)| *id).collect()
    }

    fn followers(&mut self, template: Id) -> Option<&mut u32> {
        match &mut self.all.get_mut(&template)?.what {
            What::Template { followers } => Some(followers),
            What::Tcp { .. } | What::Udp { .. } => None,
        }
    }
}

impl Table {
    /// Time passes: what ends by now ends. Every other call does the same first.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some(Timer { at, id, .. }) = self.connections.timers.first().copied() {
            if at > now {
                return;
            }
            match self.connections.followers(id).copied() {
                Some(1..) => {
                    if let Some(one) = self.connections.all.get_mut(&id) {
                        one.timeout = TEMPLATE_WAITS;
                    }
                    self.connections.restart(at, id);
                }
                Some(0) | None => self.end(id),
            }
        }
    }

    /// A new connection or template, whose time begins now.
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        key: Key,
        name: Name,
        (what, timeout): (What, Duration),
        (forwarding, to): (Forwarding, SocketAddr),
    ) -> Id {
        let all = &mut self.connections;
        all.last += 1;
        let id = all.last;
        let expires = now + timeout;
        let packets = 0;
        let one = Connection { key, name, forwarding, to, what, timeout, packets, expires };
        all.timers.insert(one.timer(id));
        all.all.insert(id, one);
        all.by_key.insert(key, id);
        if let Some(followers) = what.template().and_then(|template| all.followers(template)) {
            *followers += 1;
        }
        if let Some(one) = self.destinations.get_mut(&name) {
            one.bind(what.count());
        }
        id
    }

    /// It becomes this, and its time begins anew.
    pub(super) fn advance(&mut self, now: Timestamp, id: Id, what: What, timeout: Duration) {
        let Some(one) = self.connections.all.get_mut(&id) else { return };
        let (before, name) = (one.what, one.name);
        (one.what, one.timeout) = (what, timeout);
        self.connections.restart(now, id);
        if let Some(one) = self.destinations.get_mut(&name) {
            // Thresholds are looked at when connections begin and end, not here.
            *before.count()(&mut one.load) -= 1;
            *what.count()(&mut one.load) += 1;
        }
    }

    pub(super) fn end(&mut self, id: Id) {
        self.connections.hide(id);
        let Some(one) = self.connections.all.remove(&id) else { return };
        self.connections.timers.remove(&one.timer(id));
        let template = one.what.template();
        if let Some(followers) = template.and_then(|id| self.connections.followers(id)) {
            *followers -= 1;
        }
        if let Some(destination) = self.destinations.get_mut(&one.name) {
            destination.unbind(one.what.count());
        }
        self.forget_if_idle(one.name);
    }

    /// All connections of a destination end, and templates that nothing follows then.
    pub(super) fn end_all_of(&mut self, name: Name) {
        for id in self.connections.flows_to(name) {
            let template = self.connections.all.get(&id).and_then(|one| one.what.template());
            self.end(id);
            if let Some(template) = template
                && self.connections.followers(template) == Some(&mut 0)
            {
                self.end(template);
            }
        }
    }
}
