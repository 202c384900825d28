//! The symbols of the catalogue and the arithmetic on them: `A`, `Skew`, `M`, `D`, `d`, `L`, `r`,
//! `R`, `k`, `W`, rank. Written from RFC 3768 and RFC 9568 section 6.1, not from the engine.
//!
//! A duration that a node times itself grows to `X / (1 - r)` at most and shrinks to `X / (1 + r)`
//! at most: exact for a clock whose rate is off by `r`, and `X (1 ± r)` to the first order.

use std::cmp::Ordering;
use std::iter;
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::rules::{LowerPriorityRule, OwnerRule};
use vipd_engine::{Family, InstanceConfig, StateKind, Version};

use super::change::{Change, Ending, Place, What};
use super::excuse::Excuse;
use super::view::{Connections, Member, Process, View};
use crate::record::{SegmentId, WorldTime};

const GIGA: u128 = 1_000_000_000;

/// What a clock that is not exact may round away at either end of a duration.
const ROUNDING: Duration = Duration::from_nanos(2);

/// The time from `earlier` to `later`, zero if it is the other way round.
pub(super) fn since(later: WorldTime, earlier: WorldTime) -> Duration {
    later.since(earlier)
}

/// A time that much later.
pub(super) fn plus(at: WorldTime, duration: Duration) -> WorldTime {
    at.later(duration)
}

fn nanos(value: u128) -> Duration {
    Duration::from_nanos(u64::try_from(value).unwrap_or(u64::MAX))
}

/// `Skew_Time` at a priority: over one second in v2, over the interval in v3. `ceil` rounds a half
/// nanosecond up.
pub(super) fn skew_time(
    version: Version,
    priority: u8,
    interval: Duration,
    ceil: bool,
) -> Duration {
    let over = match version {
        Version::V2 => GIGA,
        Version::V3 => interval.as_nanos(),
    };
    let product = over * (256 - u128::from(priority));
    nanos(if ceil { product.div_ceil(256) } else { product / 256 })
}

/// Whether a backup that reads another file goes on with the interval that it learned: the rest of
/// its timer is as it was.
pub(super) fn keeps_its_timer(before: &InstanceConfig, now: &InstanceConfig) -> bool {
    before.version == now.version
        && before.interval == now.interval
        && before.down_timer_adverts == now.down_timer_adverts
}

/// The source of a member's adverts: the configured one, or the first of its family that its host
/// has there.
pub(super) fn source_of(
    own: &[(SegmentId, IpAddr)],
    segment: SegmentId,
    config: &InstanceConfig,
) -> Option<IpAddr> {
    let fits = |address: &IpAddr| match address {
        IpAddr::V4(_) => config.family == Family::Ipv4,
        IpAddr::V6(address) => config.family == Family::Ipv6 && address.is_unicast_link_local(),
    };
    let mut there = own.iter().filter(|(on, _)| *on == segment).map(|(_, address)| *address);
    config.source().or_else(|| there.find(fits))
}

/// What a virtual router is given to settle, see [`View::patience`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// `T`: M_max + 2D + 3L + E + X, with the largest down interval in force.
    pub(super) settling: Duration,
    /// From when on L4 to L6 are judged: M_max + A, with D and L as often as in `T`.
    pub(super) liveness: Duration,
}

/// What a stretch without a fault begins with, whichever property looks at it.
#[derive(Debug)]
pub(super) struct Outset {
    pub(super) patience: Patience,
    /// Running members are at odds.
    pub(super) odds: Option<Excuse>,
    /// Handlers or the network are slower than is allowed.
    pub(super) slow: Option<Excuse>,
}

impl Outset {
    pub(super) fn of(view: &View, router: usize) -> Self {
        let running = &view.routers[router].connections.running;
        Self {
            patience: view.patience(router),
            odds: Excuse::at_odds(view, running),
            slow: Excuse::too_late(view).or_else(|| Excuse::slow_network(view, router)),
        }
    }
}

impl Member {
    /// `Skew_Time` in force, rounded up.
    pub(super) fn skew(&self) -> Duration {
        skew_time(self.config.version, self.priority, self.in_force, true)
    }

    /// `Master_Down_Interval` in force, rounded up.
    pub(super) fn down_interval(&self) -> Duration {
        self.down_interval_of(self.in_force)
    }

    /// The same with its own interval: for so long refused adverts keep it in FAULT.
    pub(super) fn configured_down_interval(&self) -> Duration {
        self.down_interval_of(self.config.interval.duration())
    }

    fn down_interval_of(&self, interval: Duration) -> Duration {
        let skew = skew_time(self.config.version, self.priority, interval, true);
        interval * u32::from(self.config.down_timer_adverts) + skew
    }

    /// The same, rounded down.
    pub(super) fn down_interval_floor(&self) -> Duration {
        let skew = skew_time(self.config.version, self.priority, self.in_force, false);
        self.in_force * u32::from(self.config.down_timer_adverts) + skew
    }

    pub(super) fn is_owner(&self) -> bool {
        self.priority == 255
    }

    /// It owns the addresses and its rules discard every advert: always so in v2.
    pub(super) fn discards_as_owner(&self) -> bool {
        let discards = self.config.rules.owner == OwnerRule::Discard;
        self.is_owner() && (discards || self.config.version == Version::V2)
    }

    /// Its settings let it take over from a lower master, and so does the operator.
    fn is_set_to_preempt(&self) -> bool {
        self.ordered.is_none() && (self.config.preempt || self.is_owner())
    }

    /// The same, and its hold-down may be over.
    pub(super) fn may_preempt(&self, now: WorldTime) -> bool {
        self.is_set_to_preempt() && self.held_down.is_none_or(|least| least <= now)
    }

    /// It would take over from a lower master now.
    pub(super) fn preempts(&self) -> bool {
        self.is_set_to_preempt() && (self.is_owner() || self.held.is_none())
    }
}

/// Delays, lateness, clocks.
impl View {
    /// The longest that a node may take for this duration.
    pub(super) fn up(&self, duration: Duration) -> Duration {
        let rate = u128::from(self.setting.rate_error_ppb);
        match rate {
            0 => duration,
            _ => nanos((duration.as_nanos() * GIGA).div_ceil(GIGA - rate)) + ROUNDING,
        }
    }

    /// The shortest.
    pub(super) fn down(&self, duration: Duration) -> Duration {
        let rate = u128::from(self.setting.rate_error_ppb);
        match rate {
            0 => duration,
            _ => nanos(duration.as_nanos() * GIGA / (GIGA + rate)).saturating_sub(ROUNDING),
        }
    }

    /// `D`.
    pub(super) fn most_delay(&self, router: usize) -> Duration {
        let segment = self.routers[router].key.segment;
        self.setting.segments.get(usize::from(segment.0)).map_or(Duration::ZERO, |s| s.max_delay)
    }

    /// `d`.
    pub(super) fn least_delay(&self, router: usize) -> Duration {
        let segment = self.routers[router].key.segment;
        self.setting.segments.get(usize::from(segment.0)).map_or(Duration::ZERO, |s| s.min_delay)
    }

    /// `dD`.
    pub(super) fn delay_spread(&self, router: usize) -> Duration {
        self.most_delay(router).saturating_sub(self.least_delay(router))
    }

    /// `L`.
    pub(super) const fn late(&self) -> Duration {
        self.setting.lateness
    }

    /// What every upper bound is widened by: nothing in a simulated world.
    pub(super) const fn tolerance(&self) -> Duration {
        self.setting.tolerance
    }

    /// The longest time between two adverts of a member as they leave.
    pub(super) fn pace(&self, place: Place) -> Duration {
        self.up(self.member(place).advertised)
    }

    /// The same from that time on, if its interval was longer for a while.
    pub(super) fn pace_since(&self, place: Place, since: WorldTime) -> Duration {
        self.up(self.member(place).longest_interval_since(since))
    }

    /// How long a virtual router may take once nothing disturbs it any more. Who decides are its
    /// running members and those of the ones that a sync group joins to it, for a member waits
    /// until all of its group want to be master.
    pub(super) fn patience(&self, router: usize) -> Patience {
        let mut longest = None;
        for router in iter::once(router).chain(self.joined_to(router).iter().copied()) {
            for place in self.places(router).filter(|place| self.is_running(*place)) {
                let member = self.member(place);
                let (down, pace) = longest.unwrap_or_default();
                longest = Some((
                    self.longest_down_interval(place).max(down),
                    member.advertised.max(pace),
                ));
            }
        }
        let (down, pace) = longest.unzip();
        let settling = self.up(down.unwrap_or_default())
            + self.most_delay(router) * 2
            + self.late() * 3
            + self.echo(router)
            + self.tie(router)
            + self.tolerance();
        let pace = pace.map_or(Duration::ZERO, |pace| self.up(pace));
        Patience { settling, liveness: settling + pace }
    }

    /// `Master_Down_Interval`, in v3 also that with the interval of a master which it obeys and of
    /// which an advert may still be on its way, or wait for it while it stands still.
    fn longest_down_interval(&self, place: Place) -> Duration {
        let member = self.member(place);
        if member.config.version == Version::V2 {
            return member.down_interval();
        }
        let on_its_way = self.most_delay(place.router) + self.late() * 2 + self.tolerance();
        let recently = self.now.earlier(on_its_way);
        let taught = |other: Place| {
            let obeys = !member.preempts() || !self.outranks(place, other);
            let teacher = self.member(other);
            let last = match teacher.ended {
                _ if teacher.master.is_some() => self.now,
                Some((ended, _)) if self.read_at(place, ended) >= recently => ended,
                Some(_) | None => return Duration::ZERO,
            };
            if obeys { teacher.longest_interval_since(last.min(recently)) } else { Duration::ZERO }
        };
        let others = self.places(place.router).filter(|other| *other != place);
        let own = if member.or_own { member.config.interval.duration() } else { Duration::ZERO };
        let in_force = member.in_force.max(own);
        member.down_interval_of(others.map(taught).fold(in_force, Duration::max))
    }

    /// `E`: how much longer last advert after last advert may begin timers anew where somebody
    /// obeys a lower router. A new master yields to the advert that a dead one left behind, the
    /// next one to that of the first, and so on, each after D + L; whoever obeys everybody waits
    /// from the last of them on.
    fn echo(&self, router: usize) -> Duration {
        let obeys = |place: &Place| self.is_running(*place) && !self.member(*place).preempts();
        let members = self.places(router).count() as u32;
        if members > 2 && self.places(router).any(|place| obeys(&place)) {
            (self.most_delay(router) + self.late()) * (members - 1)
        } else {
            Duration::ZERO
        }
    }

    /// `X`: how much longer it takes where two down intervals differ by less than the way of an
    /// advert. The lower one of the two may be master first; the higher one becomes it at the end
    /// of its own interval, and is heard D + L after that.
    fn tie(&self, router: usize) -> Duration {
        let way = self.most_delay(router) + self.late();
        let running = &self.routers[router].connections.running;
        let mut down: Vec<_> = running.iter().map(|a| self.member(*a).down_interval()).collect();
        down.sort_unstable();
        let is_close = down.array_windows().any(|[a, b]| self.down(*b) < self.up(*a) + way);
        if is_close { way } else { Duration::ZERO }
    }

    /// `W`: how long two masters that hear each other may coexist. Adverts that were lost since
    /// `since` on the way from the higher to the lower one count, and the one that a lower one
    /// answers which stood still when the higher one resigned.
    pub(super) fn coexistence(&self, high: Place, low: Place, since: WorldTime) -> Duration {
        let answered = u32::from(self.had_resigned_late(high, low, since));
        let lost = self.lost_since(high, low, since) + answered;
        let delay = self.most_delay(high.router);
        let waits = self.pace_since(high, since) * (1 + lost) + delay + self.late() * 2;
        let bound = if lost == 0 && self.asserts_itself(high, low, since) {
            waits.min(self.pace_since(low, since) + delay * 2 + self.late() * 3)
        } else {
            waits
        };
        bound + self.tolerance()
    }
}

/// Asserted adverts in one interval of whoever sends them, at most.
const MOST_ASSERTED: u128 = 4;

impl View {
    /// Whether the next advert of the lower one reaches the higher one, and draws another one at
    /// once: not if others have drawn all that an interval allows, because they came as often as
    /// that, or waited while it stood still.
    fn asserts_itself(&self, high: Place, low: Place, since: WorldTime) -> bool {
        let member = self.member(high);
        let pace = self.pace_since(high, since);
        member.config.rules.lower_priority == LowerPriorityRule::Assert
            && self.lost_since(low, high, since) == 0
            && self.answers_all(high, [low], since)
            && !self.stalled_since(member.host, since.earlier(pace + self.late()))
    }

    /// Whether no more adverts of these lower masters come in one interval of the higher one than
    /// it answers.
    pub(super) fn answers_all(
        &self,
        high: Place,
        lower: impl IntoIterator<Item = Place>,
        since: WorldTime,
    ) -> bool {
        let interval = self.pace_since(high, since).as_nanos();
        let come = |low: Place| interval.div_ceil(self.pace(low).as_nanos().max(1)) + 1;
        lower.into_iter().map(come).sum::<u128>() <= MOST_ASSERTED
    }
}

/// Rank.
impl View {
    /// The higher and the lower one of two masters.
    pub(super) fn ranked(&self, a: Place, b: Place) -> (Place, Place) {
        if self.outranks(a, b) { (a, b) } else { (b, a) }
    }

    /// Of two masters: the higher priority, then the greater address.
    pub(super) fn outranks(&self, a: Place, b: Place) -> bool {
        let (a, b) = (self.member(a), self.member(b));
        let by_source = || a.source.map(octets).cmp(&b.source.map(octets));
        let rank = a.priority.cmp(&b.priority).then_with(by_source);
        rank.then_with(|| a.host.cmp(&b.host)) == Ordering::Greater
    }

    /// The members that one running member is connected to, itself included, by whoever hears whom.
    fn component(&self, of: Place) -> Vec<Place> {
        let mut found = Vec::with_capacity(self.routers[of.router].members.len());
        found.push(of);
        let mut next = 0;
        while let Some(place) = found.get(next).copied() {
            next += 1;
            for other in self.places(of.router) {
                let joins = || self.reaches(place, other) || self.reaches(other, place);
                if !found.contains(&other) && self.is_running(other) && joins() {
                    found.push(other);
                }
            }
        }
        found
    }

    /// Who runs and who hears whom now. The state of a router has what this last was.
    pub(super) fn connections(&self, router: usize) -> Connections {
        let running: Vec<_> = self.places(router).filter(|place| self.is_running(*place)).collect();
        let mut components: Vec<Vec<Place>> = Vec::new();
        for place in &running {
            if !components.iter().any(|component| component.contains(place)) {
                components.push(self.component(*place));
            }
        }
        let deaf = components.iter().find_map(|component| {
            let mut pairs = component.iter().flat_map(|a| component.iter().map(move |b| (*a, *b)));
            pairs.find(|(a, b)| a != b && !self.reaches(*a, *b))
        });
        Connections { running, components, deaf }
    }
}

/// What leaves the conditions of a property, in words.
impl View {
    /// A delay above A/5.
    pub(super) fn slow_network(&self, router: usize) -> Option<String> {
        Excuse::slow_network(self, router).map(|excuse| excuse.text(self))
    }

    /// A handler that is later than the setting allows.
    pub(super) fn too_late(&self) -> Option<String> {
        Excuse::too_late(self).map(|excuse| excuse.text(self))
    }

    /// A cut that is one-way or partial among the running members.
    pub(super) fn irregular(&self, router: usize) -> Option<String> {
        Excuse::irregular(self, router).map(|excuse| excuse.text(self))
    }

    /// What leaves the conditions of nearly every property.
    pub(super) fn unusual(&self, places: &[Place], since: WorldTime) -> Option<String> {
        let router = places.first()?.router;
        let excuse = Excuse::at_odds(self, places)
            .or_else(|| Excuse::ended_since(self, router, since))
            .or_else(|| Excuse::injected(self, router, since))
            .or_else(|| Excuse::too_late(self))
            .or_else(|| Excuse::slow_network(self, router));
        excuse.map(|excuse| excuse.text(self))
    }

    /// One of these hosts was paused or frozen at `since` or later.
    pub(super) fn stalled(&self, places: &[Place], since: WorldTime) -> Option<String> {
        let stalled =
            places.iter().find(|place| self.stalled_since(self.member(**place).host, since))?;
        let host = self.host(self.member(*stalled).host);
        let how = if host.frozen { "frozen" } else { "paused or frozen" };
        Some(format!("{} was {how}", self.name(*stalled)))
    }

    /// The kernel of one of these hosts refused something at `since` or later.
    pub(super) fn refused(&self, places: &[Place], since: WorldTime) -> Option<String> {
        let refused = |place: &&Place| {
            self.host(self.member(**place).host).refused_at.is_some_and(|at| at >= since)
        };
        let place = places.iter().find(refused)?;
        Some(format!("the kernel of {} refused a command or an advert", self.name(*place)))
    }

    /// Two did not understand each other (S9) at that time or later.
    pub(super) fn odds_since(&self, a: Place, b: Place, since: WorldTime) -> bool {
        let ended = self.routers[a.router].odds_ended;
        Excuse::at_odds(self, &[a, b]).is_some() || ended.is_some_and(|(at, _)| at >= since)
    }

    /// These two do not understand each other, or did not until a reload at `at` or later.
    pub(super) fn are_odd_since(&self, a: Place, b: Place, at: WorldTime) -> bool {
        let router = &self.routers[a.router];
        let ended = router.odds_ended.is_some_and(|(ended, _)| ended >= at);
        Excuse::at_odds(self, &[a, b]).is_some() || (ended && router.odd_pairs.contains(&[a, b]))
    }

    /// An advert that arrives now may have left before the end of a mismatch between running
    /// members, and be discarded for it.
    pub(super) fn may_be_of_before(&self, router: usize) -> bool {
        let on_its_way = self.most_delay(router) + self.late() + self.tolerance();
        let ended = self.routers[router].odds_ended;
        ended.is_some_and(|(at, _)| since(self.now, at) <= on_its_way)
    }

    /// The routers that understand each other from this change on.
    pub(super) fn reconciled(&self, change: &Change) -> Option<usize> {
        let What::Joined { place, .. } = &change.what else { return None };
        let ended = self.routers[place.router].odds_ended;
        ended.is_some_and(|(at, _)| at == change.at).then_some(place.router)
    }

    /// Master by the wire, or until its last advert while the next one is not due yet and the
    /// engine's column goes on to say so. A master that yields without an advert ends like this.
    pub(super) fn is_still_master(&self, place: Place) -> bool {
        let member = self.member(place);
        let claims = matches!(member.state, None | Some(StateKind::Master));
        member.master.is_some() || (claims && self.next_advert_due(place).is_some())
    }

    /// When the next advert of a master is due that has fallen silent, if that is not over yet.
    pub(super) fn next_advert_due(&self, place: Place) -> Option<WorldTime> {
        let (at, ending) = self.member(place).ended?;
        let due = plus(at, self.pace(place) + self.late());
        let waits = self.member(place).master.is_none() && ending == Ending::Silent;
        (waits && self.now <= due).then_some(due)
    }

    /// It lives, and has not been started anew since then.
    pub(super) fn lived_since(&self, place: Place, since: WorldTime) -> bool {
        self.lives(place) && self.host(self.member(place).host).running_since <= since
    }

    /// It lives: neither killed nor without power. A paused one lives.
    pub(super) fn lives(&self, place: Place) -> bool {
        let host = self.host(self.member(place).host);
        host.on && host.process != Process::None
    }
}

/// An address as it is compared: unsigned, in network order (RFC 9568 section 6.4.3).
fn octets(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_over_a_second_in_v2_and_over_the_interval_in_v3() {
        let ten = Duration::from_millis(10);
        let skew = |version, priority| skew_time(version, priority, ten, true).as_nanos();
        assert_eq!(skew(Version::V2, 100), 609_375_000);
        assert_eq!(skew(Version::V2, 254), 7_812_500);
        assert_eq!(skew(Version::V3, 100), 6_093_750);
        assert_eq!(skew(Version::V3, 253), 117_188);
        assert_eq!(skew_time(Version::V3, 253, ten, false).as_nanos(), 117_187);
    }
}
