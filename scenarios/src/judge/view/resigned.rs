//! Who resigned, or in whose name somebody did, and for how long what a router makes of adverts is
//! different for that (RFC 9568 section 6.4.2, and the rule of the engine that L2 needs).
//!
//! A resignation counts from when it is read: one that stood still finds it when it goes on, and a
//! datagram does not say how old it is. What it began lasts in that router's own clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::Version;

use super::View;
use crate::judge::change::Place;
use crate::judge::mismatch;
use crate::judge::terms::since;
use crate::record::{HostId, SeenAdvert, WorldTime};
use crate::scenario::Injection;

/// The last priority-0 advert that somebody forged, by who took it and in whose name it was.
#[derive(Debug)]
pub(in crate::judge) struct Forged(BTreeMap<(usize, IpAddr), WorldTime>);

impl Forged {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }
}

/// A priority-0 advert on its way to one that hears it.
#[derive(Clone, Copy, Debug)]
struct Resignation {
    sent: WorldTime,
    /// When it had arrived at the latest.
    arrived: WorldTime,
}

impl View {
    /// Somebody put an advert on the wire: whether this host takes it for one of its virtual
    /// router.
    pub(super) fn forge(
        &mut self,
        router: usize,
        host: HostId,
        advert: &SeenAdvert,
        injection: Option<&Injection>,
    ) -> bool {
        let members = &mut self.routers[router];
        let Some(receiver) = members.members.iter().position(|one| one.host == host) else {
            return false;
        };
        let member = &members.members[receiver];
        let takes = mismatch::takes(advert, injection, member.source, &member.config);
        if advert.priority == 0 && takes {
            members.forged.0.insert((receiver, advert.src), self.now);
        }
        takes
    }

    /// When a router made something of what arrived by this time: one that stood still found it
    /// waiting when it went on, and a late one had not read it as that began.
    pub(in crate::judge) fn read_at(&self, place: Place, arrived: WorldTime) -> WorldTime {
        match self.host(self.member(place).host).stalled {
            Some((began, Some(ended))) if began <= arrived.later(self.late()) => arrived.max(ended),
            Some(_) | None => arrived,
        }
    }

    /// The resignations of a router, and those that somebody forged in its name.
    fn resignations(&self, of: Place, hearer: Place) -> impl Iterator<Item = Resignation> {
        let forged = self.routers[hearer.router].forged.0.iter();
        let source = self.member(of).source;
        let forged =
            forged.filter(move |((who, name), _)| *who == hearer.member && Some(*name) == source);
        let own = self.member(of).resigned_at.map(|sent| self.resignation(hearer, sent));
        own.into_iter().chain(forged.map(|(_, at)| Resignation { sent: *at, arrived: *at }))
    }

    fn resignation(&self, hearer: Place, sent: WorldTime) -> Resignation {
        Resignation { sent, arrived: sent.later(self.most_delay(hearer.router)) }
    }

    /// Whether it waited for the hearer, which stood still.
    fn waited(&self, hearer: Place, resignation: Resignation) -> bool {
        self.read_at(hearer, resignation.arrived) > resignation.arrived
    }

    /// How long before `at` the hearer read it, by a clock that may have stood still since then.
    fn read_before(&self, hearer: Place, resignation: Resignation, at: WorldTime) -> Duration {
        let Resignation { sent, arrived } = resignation;
        let waited = self.waited(hearer, resignation);
        let read = if waited { self.read_at(hearer, arrived) } else { sent };
        let host = self.host(self.member(hearer).host);
        since(at, read).saturating_sub(host.stalls.clock_stood(read, at))
    }

    /// How long before `at` the hearer last read a resignation of this router, forged ones
    /// included.
    pub(in crate::judge) fn resigned_before(
        &self,
        of: Place,
        hearer: Place,
        at: WorldTime,
    ) -> Option<Duration> {
        self.resignations(of, hearer).map(|one| self.read_before(hearer, one, at)).min()
    }

    /// Who resigned so shortly before that `taker` may take over for that alone: a priority-0
    /// advert restarts its timer with Skew, whoever sent it (RFC 9568 section 6.4.2).
    pub(in crate::judge) fn just_resigned(&self, taker: Place) -> Option<String> {
        let skew = self.up(self.member(taker).skew());
        let period = skew + self.most_delay(taker.router) + self.late() * 2;
        let just = |one| self.read_before(taker, one, self.now) <= period;
        let router = self.places(taker.router).find(|place| {
            let resigned = self.member(*place).resigned_at;
            resigned.is_some_and(|sent| just(self.resignation(taker, sent)))
        });
        router.map(|place| self.name(place).to_owned()).or_else(|| {
            let forged = &self.routers[taker.router].forged.0;
            let mut forged = forged.iter().filter(|((who, _), _)| *who == taker.member);
            let ((_, name), _) =
                forged.find(|(_, at)| just(Resignation { sent: **at, arrived: **at }))?;
            Some(format!("somebody in the name of {name}"))
        })
    }

    /// How long the one that heard a resignation answers adverts of who resigned: A, which in v3 is
    /// that of who resigned if it was obeyed, and until what is on its way by then is read.
    fn answers_for(&self, hearer: Place, of: Place) -> Duration {
        let interval = match self.member(hearer).config.version {
            Version::V2 => self.pace(hearer),
            Version::V3 => self.pace(hearer).max(self.pace(of)),
        };
        interval + self.most_delay(hearer.router) + self.late() * 2
    }

    /// Whether `low` heard a resignation of `high` less than A + D + 2L before: it answers the next
    /// advert of `high` and obeys the one after it.
    pub(in crate::judge) fn had_resigned(&self, high: Place, low: Place, at: WorldTime) -> bool {
        let before = self.resigned_before(high, low, at);
        before.is_some_and(|before| before <= self.answers_for(low, high))
    }

    /// The same of a resignation that waited for `low`, which stood still.
    pub(in crate::judge) fn had_resigned_late(
        &self,
        high: Place,
        low: Place,
        at: WorldTime,
    ) -> bool {
        let waited = |one: &Resignation| self.waited(low, *one);
        let mut late = self.resignations(high, low).filter(waited);
        late.any(|one| self.read_before(low, one, at) <= self.answers_for(low, high))
    }
}
