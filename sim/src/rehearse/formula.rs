//! What each measure is bounded by in each fault class, as a formula and in time for these files.
//!
//! Its arithmetic is its own, from docs/properties.md: `A` is the advert interval, `Skew` and `M`
//! as there, the largest of all virtual routers; `D` the delay of the quiet network, `p` the time
//! between two probes of the client, `f` how long the fault lasted, `G` the time until addresses
//! are announced again: what repairs a neighbour cache that missed the announcement of a takeover;
//! `l` the lease of the addresses (S8), `R` how late its gate is shut; `S` the start-up delay.

use std::time::Duration;

use vipd_engine::rules::LowerPriorityRule;
use vipd_engine::vrrp::rivals::MAX_ASSERTS_PER_INTERVAL;
use vipd_engine::{InstanceConfig, Version};

use super::meter::Measure;
use super::mute;
use crate::faults::{FaultClass, Ground, Router};

/// `R` in S8: a tick of a kernel that counts 100 in a second (docs/split-brain.md).
pub const GATE_DELAY: Duration = Duration::from_millis(10);

/// A bound in words and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// In symbols, such as `M + D`.
    pub formula: &'static str,
    /// What is added to the length of the fault, if it is part of the formula.
    fixed: Duration,
    lasts: bool,
}

impl Bound {
    /// The bound where the fault lasted so long.
    #[must_use]
    pub fn of(&self, fault: Duration) -> Duration {
        if self.lasts { fault + self.fixed } else { self.fixed }
    }

    /// Whether it is as long as the fault lasts.
    #[must_use]
    pub const fn lasts(&self) -> bool {
        self.lasts
    }
}

/// The symbols, in the time of these files.
#[derive(Clone, Copy, Debug)]
pub struct Symbols {
    /// The longest advert interval.
    pub interval: Duration,
    /// The longest `Skew_Time`.
    pub skew: Duration,
    /// The longest `Master_Down_Interval`.
    pub down: Duration,
    /// The longest one-way delay.
    pub delay: Duration,
    /// Between two probes of a client.
    pub probe: Duration,
    /// The longest time between two announcements of a master; `None` if one never repeats them.
    pub refresh: Option<Duration>,
    /// The longest lease (`dead_man`); `None` if the addresses of one router outlive its engine.
    pub lease: Option<Duration>,
    /// The longest start-up delay (`vrrp_startup_delay`).
    pub startup: Duration,
    /// A master that is not heard yields (`one_way_yield`).
    yields: bool,
    /// The survivor of two masters may not announce its addresses before its next refresh.
    mute: bool,
    /// An owner sends from its virtual address, which it keeps whatever its state is.
    keeps: bool,
    /// The carrier of a router's own interface does not matter to it (`dont_track_primary`).
    untracked: bool,
    /// After how long each of them has yielded at the latest; `None` if one does not.
    pub alarm: Option<Duration>,
    /// The longest `Master_Down_Interval` of the variants of the files.
    any_down: Duration,
    any_interval: Duration,
}

impl Symbols {
    /// Of these files, with this start-up delay, on their network.
    #[must_use]
    pub fn of(ground: &Ground, startup: Duration, delay: Duration, probe: Duration) -> Self {
        let routers = || ground.directors.iter().flat_map(|one| &one.routers);
        let longest =
            |of: &dyn Fn(&Router) -> Duration| routers().map(of).max().unwrap_or_default();
        let in_force = |one: &Router| in_force(one, routers());
        Self {
            interval: longest(&|one| one.config.interval.duration()),
            skew: longest(&|one| skew(&one.config, in_force(one))),
            down: longest(&|one| {
                let interval = in_force(one);
                interval * u32::from(one.config.down_timer_adverts) + skew(&one.config, interval)
            }),
            delay,
            probe,
            refresh: routers()
                .map(|router| router.config.announcements.refresh())
                .try_fold(Duration::ZERO, |longest, one| Some(longest.max(one?))),
            lease: routers()
                .map(|router| router.config.dead_man)
                .try_fold(Duration::ZERO, |longest, one| Some(longest.max(one?))),
            startup,
            yields: routers().any(|router| router.config.one_way_yield.is_some()),
            mute: routers().any(|router| mute::may_be(&router.config)),
            keeps: routers().any(|router| {
                let mut own = router.config.addresses.iter();
                router.config.priority.is_owner() && own.any(|one| one.address == router.source)
            }),
            untracked: routers().any(|router| router.config.ignore_primary_link),
            alarm: alarm(ground),
            any_down: ground.pace.down,
            any_interval: ground.pace.longest,
        }
    }

    /// The bound of a measure in a class; `None` where nothing bounds it.
    #[must_use]
    pub fn bound(&self, class: FaultClass, measure: Measure) -> Option<Bound> {
        use FaultClass as C;
        let may_last = self.untracked && class == C::Carrier;
        let stays = self.keeps && matches!(class, C::Stop | C::HostCrash | C::Freeze);
        match measure {
            Measure::Failover | Measure::NoMaster if may_last => {
                Some(lasts("f + M + D", self.takeover()))
            }
            // What an owner has for real, it has without an engine, too.
            Measure::TwoOwners if stays => Some(lasts("f + A + D", self.overlap())),
            Measure::ClientGap if self.is_slow_to_repair(class) => self.until_a_refresh(),
            _ => self.plain_bound(class, measure),
        }
    }

    /// Whether a client may go on asking the loser of two masters after one fault of this class.
    const fn is_slow_to_repair(&self, class: FaultClass) -> bool {
        use FaultClass as C;
        let counts_with_it = matches!(
            class,
            C::Spoof
                | C::MidElection
                | C::AdvertsLost
                | C::RoughLink
                | C::Mismatch
                | C::Flaps
                | C::Upgrade
        );
        (self.mute || self.keeps) && !counts_with_it
    }

    /// The same where the survivor of two masters announces its addresses at once.
    fn plain_bound(&self, class: FaultClass, measure: Measure) -> Option<Bound> {
        use FaultClass as C;
        match class {
            C::Spoof => None,
            C::Stop => Some(self.after_a_stop(measure)),
            C::HostCrash | C::Freeze => Some(self.after_a_crash(measure, false)),
            C::ProcessCrash | C::Pause => Some(self.after_a_crash(measure, true)),
            C::Cut | C::Isolation | C::PartialCut | C::Carrier => {
                Some(self.in_a_cut(measure, false))
            }
            C::OneWayCut | C::MulticastLost if self.yields && measure == Measure::ClientGap => {
                self.after_a_yield()
            }
            C::OneWayCut => Some(self.in_a_cut_of_one_direction(measure)),
            C::MulticastLost => Some(self.in_a_cut(measure, true)),
            C::LateHandlers | C::Clock => Some(self.out_of_time(measure)),
            C::MidElection
            | C::AdvertsLost
            | C::RoughLink
            | C::Mismatch
            | C::Flaps
            | C::Upgrade => self.in_disorder(measure),
        }
    }

    fn takeover(&self) -> Duration {
        self.down + self.delay
    }

    fn overlap(&self) -> Duration {
        self.interval + self.delay
    }

    fn after_a_stop(&self, measure: Measure) -> Bound {
        let follows = self.skew + self.delay;
        match measure {
            Measure::Failover | Measure::NoMaster => fixed("Skew + D", follows),
            Measure::ClientGap => fixed("Skew + 2D + 2p", follows + self.delay + self.probe * 2),
            Measure::TwoMasters | Measure::TwoOwners => fixed("A + D", self.overlap()),
        }
    }

    /// `leaves`: what the dead left behind in its kernel stays as long as it is dead, or as long as
    /// its lease. A lease is longer than `A + D` here, so it covers a takeover's own overlap, too.
    fn after_a_crash(&self, measure: Measure, leaves: bool) -> Bound {
        match measure {
            Measure::Failover | Measure::NoMaster => fixed("M + D", self.takeover()),
            Measure::ClientGap => {
                fixed("M + 2D + 2p", self.takeover() + self.delay + self.probe * 2)
            }
            Measure::TwoOwners if leaves => self.lease.map_or_else(
                || lasts("f + A + D", self.overlap()),
                |lease| fixed("l + R", lease + GATE_DELAY),
            ),
            Measure::TwoMasters | Measure::TwoOwners => fixed("A + D", self.overlap()),
        }
    }

    /// `deaf`: a client may be cut off from the master for as long as it lasts.
    fn in_a_cut(&self, measure: Measure, deaf: bool) -> Bound {
        let asks = self.overlap() + self.delay + self.probe * 2;
        match measure {
            Measure::Failover | Measure::NoMaster => fixed("M + D", self.takeover()),
            Measure::ClientGap if deaf => lasts("f + A + 2D + 2p", asks),
            Measure::ClientGap => fixed("M + A + 3D + 2p", self.takeover() + asks),
            Measure::TwoMasters | Measure::TwoOwners => lasts("f + A + D", self.overlap()),
        }
    }

    /// S10: the one that is not heard yields at its alarm.
    fn in_a_cut_of_one_direction(&self, measure: Measure) -> Bound {
        match (measure, self.alarm) {
            (Measure::TwoMasters | Measure::TwoOwners, Some(alarm)) => {
                fixed("Y + 2D", alarm + self.delay * 2)
            }
            (_, _) => self.in_a_cut(measure, true),
        }
    }

    /// The rival hears nothing of a master that yields, and announces at its next refresh only.
    fn after_a_yield(&self) -> Option<Bound> {
        let asks = self.overlap() + self.delay + self.probe * 2;
        self.refresh.map(|refresh| lasts("f + G + A + 2D + 2p", refresh + asks))
    }

    /// It asks the loser of two masters until the survivor announces its addresses.
    fn until_a_refresh(&self) -> Option<Bound> {
        let two = self.takeover() + self.overlap() * 2 + self.probe * 2;
        self.refresh.map(|refresh| lasts("f + M + 2A + G + 3D + 2p", two + refresh))
    }

    fn out_of_time(&self, measure: Measure) -> Bound {
        match measure {
            Measure::Failover | Measure::NoMaster | Measure::ClientGap => {
                lasts("f + M + D + 2p", self.takeover() + self.probe * 2)
            }
            Measure::TwoMasters | Measure::TwoOwners => fixed("A + D", self.overlap()),
        }
    }

    /// Adverts and announcements are lost or discarded, or several things happen at once.
    fn in_disorder(&self, measure: Measure) -> Option<Bound> {
        let overlap = self.any_interval * 2 + self.delay;
        let takeover = self.startup + self.any_down + overlap;
        let either = |without: &'static str, with: &'static str| {
            if self.startup.is_zero() { without } else { with }
        };
        match measure {
            Measure::Failover | Measure::NoMaster => {
                Some(lasts(either("f + M' + 2A' + D", "f + S + M' + 2A' + D"), takeover))
            }
            Measure::ClientGap => self.refresh.map(|refresh| {
                let all = takeover + overlap + refresh + self.probe * 2;
                let with = "f + S + M' + 4A' + G + 2D + 2p";
                lasts(either("f + M' + 4A' + G + 2D + 2p", with), all)
            }),
            Measure::TwoMasters | Measure::TwoOwners => Some(lasts("f + 2A' + D", overlap)),
        }
    }
}

/// `Y`, the longest of all masters that outrank somebody; `None` if one of them does not yield.
fn alarm(ground: &Ground) -> Option<Duration> {
    let routers = || ground.directors.iter().flat_map(|one| &one.routers);
    routers().try_fold(Duration::ZERO, |longest, one| {
        let is_rival = |other: &&Router| {
            one.shares(other)
                && one.source != other.source
                && one.config.priority >= other.config.priority
        };
        let rivals = routers().filter(is_rival).map(|rival| rival.config.interval.duration());
        let rivals: Vec<_> = rivals.collect();
        if rivals.is_empty() {
            return Some(longest);
        }
        one.config.one_way_yield?;
        Some(longest.max(until_the_alarm(&one.config, &rivals)))
    })
}

/// A master that answers each advert of its rivals counts so many of them. Where it answers nobody,
/// or more come than it answers, it waits after each one that it counted for an advert of its own
/// and until the rival had the time to hear that.
fn until_the_alarm(winner: &InstanceConfig, rivals: &[Duration]) -> Duration {
    let own = winner.interval.duration();
    let heard =
        rivals.iter().map(|rival| own.as_nanos().div_ceil(rival.as_nanos()) + 1).sum::<u128>();
    let answers = winner.rules.lower_priority == LowerPriorityRule::Assert
        && heard <= u128::from(MAX_ASSERTS_PER_INTERVAL);
    let alarm = u32::from(winner.one_way_alarm);
    let until = |rival: &Duration| {
        let waits = if answers { Duration::ZERO } else { own + *rival / 2 };
        *rival * alarm + waits * alarm.saturating_sub(1)
    };
    rivals.iter().map(until).max().unwrap_or_default()
}

const fn fixed(formula: &'static str, fixed: Duration) -> Bound {
    Bound { formula, fixed, lasts: false }
}

const fn lasts(formula: &'static str, fixed: Duration) -> Bound {
    Bound { formula, fixed, lasts: true }
}

/// The longest interval that a router may wait by: in v3 a backup takes over its master's.
fn in_force<'a>(one: &Router, all: impl Iterator<Item = &'a Router>) -> Duration {
    let own = one.config.interval.duration();
    if one.config.version == Version::V2 {
        return own;
    }
    let fellows = all.filter(|other| other.shares(one));
    fellows.map(|other| other.config.interval.duration()).fold(own, Duration::max)
}

/// `Skew_Time`: of a second in v2, of the interval in v3 (RFC 3768 and RFC 9568, section 6.1).
fn skew(instance: &InstanceConfig, interval: Duration) -> Duration {
    let steps = 256 - u32::from(instance.priority.get());
    let whole = match instance.version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    whole * steps / 256
}
