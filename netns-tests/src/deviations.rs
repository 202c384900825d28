//! What is known of a peer and is no fault of the pair: facts that were measured, each with what it
//! explains and the evidence that it asks for.
//!
//! A scenario says what the RFCs say. Where a peer is known to do something else, the matrix must
//! neither fail the pair for it nor pass over it: what was not met is put to each fact, and one
//! that accounts for it, to the tolerance, is named.

use std::fmt;
use std::time::Duration;

use vipd_engine::{Family, StateKind};
use vipd_scenarios::judge::PropertyId;
use vipd_scenarios::record::{HostId, Observation, Recorder, Seen, WorldTime};
use vipd_scenarios::runner::Judged;
use vipd_scenarios::scenario::{Expect, Expectation, Scenario, Step};

use crate::node::Kind;

/// A fact about a peer. The names are those of docs/viplab.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// What is sent to the virtual MAC is answered by FRR's backup too.
    R3,
    /// The link-local address of FRR's macvlan is not there yet when it becomes master, so the
    /// first advert is lost.
    R12,
    /// FRR does not look at its link.
    R15,
}

impl Fact {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::R3 => "FRR answers what is sent to the virtual MAC as a backup, too",
            Self::R12 => "over IPv6 FRR's first advert comes one interval after its takeover",
            Self::R15 => "FRR does not look at its link: master again as soon as the cable is back",
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What of a run is evidence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// When, whose, and the priority.
    pub(crate) sent: Vec<(WorldTime, HostId, u8)>,
    /// When, at whom, whose.
    pub(crate) delivered: Vec<(WorldTime, HostId, HostId)>,
    /// When a client asked, and who answered.
    pub(crate) answered: Vec<(WorldTime, HostId)>,
}

impl Recorder for Evidence {
    fn observe(&mut self, observation: &Observation) {
        let Observation { at, host, seen } = observation;
        match seen {
            Seen::AdvertSent(advert) => self.sent.push((*at, *host, advert.priority)),
            Seen::AdvertDelivered(advert) => {
                self.delivered.extend(advert.sender.map(|sender| (*at, *host, sender)));
            }
            Seen::Probe { sent, answered_by: Some(host), .. } => {
                self.answered.push((*sent, *host));
            }
            _ => {}
        }
    }
}

impl Evidence {
    /// The first advert of a master that this host sent after `from` and up to `until`.
    pub(crate) fn first(
        &self,
        host: HostId,
        from: WorldTime,
        until: WorldTime,
    ) -> Option<WorldTime> {
        let mut sent = self.sent.iter();
        let asked = |(at, who, priority): &&(WorldTime, HostId, u8)| {
            *who == host && *priority > 0 && *at > from && *at <= until
        };
        sent.find(asked).map(|(at, ..)| *at)
    }
}

/// A run, to be explained.
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    /// What runs on each host, by its place.
    pub(crate) kinds: &'a [Kind],
    pub(crate) family: Family,
    /// Of the adverts.
    pub(crate) interval: Duration,
    pub(crate) tolerance: Duration,
    pub(crate) evidence: &'a Evidence,
}

impl Run<'_> {
    /// The fact that accounts for an expectation that was not met.
    pub(crate) fn explains(&self, expectation: &Expectation) -> Option<Fact> {
        let late = self.is_late_advert(expectation).then_some(Fact::R12);
        let link = || self.is_after_link_up(expectation).then_some(Fact::R15);
        late.or_else(link).or_else(|| self.is_answer_of_backup(expectation).then_some(Fact::R3))
    }

    /// The fact that accounts for a verdict that is not the expected one. A bound that is passed
    /// by no more than what the fact costs is explained only where the fact was seen.
    pub(crate) fn explains_property(&self, judged: &Judged, seen: &[Fact]) -> Option<Fact> {
        let report = &judged.report;
        let (PropertyId::S7
        | PropertyId::L1
        | PropertyId::L2
        | PropertyId::L3
        | PropertyId::L4
        | PropertyId::L5) = report.id
        else {
            return None;
        };
        let (bound, worst) = (report.bound?, report.worst?);
        let late = worst <= bound + self.interval && seen.contains(&Fact::R12);
        late.then_some(Fact::R12)
    }

    /// A takeover of FRR over IPv6 whose first advert came one interval later than expected.
    fn is_late_advert(&self, Expectation { window, expect, .. }: &Expectation) -> bool {
        let Expect::Enters { host, state: StateKind::Master, .. } = expect else { return false };
        if self.family != Family::Ipv6 || !self.is_frr(*host) {
            return false;
        }
        let from = window.0.earlier(self.tolerance);
        let until = window.1.later(self.interval + self.tolerance);
        let first = self.evidence.first(*host, from, until);
        first.is_some_and(|at| at >= window.0.later(self.interval).earlier(self.tolerance))
    }

    /// An answer that should come from one FRR and comes from the other one: they have one MAC, so
    /// both take the question.
    fn is_answer_of_backup(&self, Expectation { window, expect, .. }: &Expectation) -> bool {
        let Expect::AnsweredBy { host, .. } = expect else { return false };
        let answered = self.evidence.answered.iter();
        let mut in_time = answered.filter(|(at, _)| (window.0..=window.1).contains(at)).peekable();
        in_time.peek().is_some()
            && self.is_frr(*host)
            && in_time.all(|(_, other)| other != host && self.is_frr(*other))
    }

    /// What is expected of an FRR whose cable is back, if that advertised within an interval.
    fn is_after_link_up(&self, Expectation { window, expect, .. }: &Expectation) -> bool {
        let concerned: &[HostId] = match expect {
            Expect::Enters { host, state: StateKind::Master, .. } => std::slice::from_ref(host),
            Expect::Masters { hosts, .. } | Expect::Owners { hosts, .. } => hosts,
            Expect::Enters { .. }
            | Expect::Holders { .. }
            | Expect::Pool { .. }
            | Expect::Event { .. }
            | Expect::ClientGap { .. }
            | Expect::Outage { .. }
            | Expect::AnsweredBy { .. } => return false,
        };
        let enters = matches!(expect, Expect::Enters { .. });
        self.scenario.steps.iter().zip(1..).any(|(timed, next)| {
            let Step::LinkUp { host, .. } = timed.step else { return false };
            let rest = self.scenario.steps.get(next).map_or(self.scenario.until, |step| step.at);
            // Who is not expected to own the address does, or who is to take it has it already.
            let about = concerned.contains(&host) == enters;
            let until = timed.at.later(self.interval + self.tolerance);
            let spoke = self.evidence.first(host, timed.at, until).is_some();
            self.is_frr(host) && about && spoke && window.0 >= timed.at && window.1 <= rest
        })
    }

    fn is_frr(&self, host: HostId) -> bool {
        self.kinds.get(usize::from(host.0)) == Some(&Kind::Frr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MARGIN: Duration = Duration::from_millis(50);

    /// The scenario of a mode, and what `a` and `b` sent when.
    fn explained(mode: &str, kinds: [Kind; 2], sent: &[(u64, u16)], which: usize) -> Option<Fact> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder");
        let file = root.join("scenarios/matrix").join(mode).with_extension("toml");
        let scenario = Scenario::load(&file).expect("it is usable");
        let at = |millis: u64| WorldTime(millis * 1_000_000);
        let sent = sent.iter().map(|(millis, host)| (at(*millis), HostId(*host), 100)).collect();
        let evidence = Evidence { sent, ..Evidence::default() };
        let family = if mode == "v3-ipv6" { Family::Ipv6 } else { Family::Ipv4 };
        let run = Run {
            scenario: &scenario,
            kinds: &kinds,
            family,
            interval: SECOND,
            tolerance: MARGIN,
            evidence: &evidence,
        };
        run.explains(&scenario.expectations[which])
    }

    const FRR: [Kind; 2] = [Kind::Frr, Kind::Frr];
    /// `a` enters master at 3.21875 s.
    const FIRST: usize = 0;

    #[test]
    fn the_first_advert_of_frr_over_ipv6_may_be_one_interval_late_and_no_more() {
        let late = |millis| explained("v3-ipv6", FRR, &[(millis, 0)], FIRST);
        assert_eq!(late(4_219), Some(Fact::R12));
        assert_eq!(late(4_260), Some(Fact::R12));
        for millis in [3_219, 3_900, 4_300, 5_219] {
            assert_eq!(late(millis), None, "{millis}");
        }
        // Another implementation and another family have no such excuse.
        let other = [Kind::Keepalived, Kind::Frr];
        assert_eq!(explained("v3-ipv6", other, &[(4_219, 0)], FIRST), None);
        assert_eq!(explained("v3-ipv4", FRR, &[(4_219, 0)], FIRST), None);
    }

    #[test]
    fn what_is_expected_of_a_returning_link_is_excused_for_frr_that_speaks_at_once() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder");
        let file = root.join("scenarios/matrix/v3-ipv4.toml");
        let scenario = Scenario::load(&file).expect("it is usable");
        let after = scenario.steps.last().expect("link_up").at;
        let after = scenario.expectations.iter().position(|known| known.window.0 >= after);
        let (owners, enters) = (after.expect("owners"), after.expect("owners") + 1);
        let spoke = [(47_400, 0), (48_400, 0)];
        for which in [owners, enters] {
            assert_eq!(explained("v3-ipv4", FRR, &spoke, which), Some(Fact::R15));
            assert_eq!(explained("v3-ipv4", FRR, &[(48_400, 0)], which), None, "too late for it");
            let other = [Kind::Vipd, Kind::Frr];
            assert_eq!(explained("v3-ipv4", other, &spoke, which), None);
        }
        // That `a` owns the address in the end is expected of FRR as well.
        assert_eq!(explained("v3-ipv4", FRR, &spoke, enters + 1), None);
    }
}
