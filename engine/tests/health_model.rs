//! A second scheduler of checks, written from what is promised and as simple as it can be: it looks
//! at everything each time, knows checks and real servers by value, and its times are plain
//! nanoseconds. Both are shown the same random life and must agree after every step.
//!
//! It has no limits and takes a configuration at once. What limits change is tried elsewhere.

mod health;

use health::ops::{Draft, Op, WIDE, draft, op};
use health::{World, virtual_name};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use vipd_engine::config::director::{DirectorConfig, MAX_WEIGHT, VirtualServerName};
use vipd_engine::config::health::{Check, CheckKind, PlacedCheck};
use vipd_engine::health::{Failure, Now, Outcome, Verdict};
use vipd_engine::{Timestamp, TrackerValue};

type Nanos = u64;
type Server = (VirtualServerName, IpAddr, u16);

/// What a check does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Waiting(Nanos),
    Running(Nanos),
    Told,
}

/// What a check wishes for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wish {
    Nothing,
    Exactly(i64),
    More(i64),
}

#[derive(Clone, Debug)]
struct Known {
    doing: Doing,
    phase: Nanos,
    /// `None` until it is known; then what is wrong, if anything is.
    verdict: Option<Option<Failure>>,
    wish: Wish,
    tolerated: u32,
    url: usize,
    /// Good ones in a row.
    passed: usize,
}

#[derive(Clone, Debug)]
struct Real {
    weight: u32,
    checks: Vec<Check>,
    up: bool,
    doubted: bool,
}

#[derive(Clone, Debug, Default)]
struct Model {
    checks: BTreeMap<Check, Known>,
    servers: BTreeMap<Server, Real>,
    /// Virtual servers: whether they are suspended when their address is not here, and whether it
    /// is.
    owners: BTreeMap<VirtualServerName, (bool, bool)>,
    file: Option<TrackerValue>,
}

fn nanos(time: Duration) -> Nanos {
    time.as_nanos() as Nanos
}

fn urls(check: &Check) -> usize {
    match &check.kind {
        CheckKind::Http(http) if !http.fast_recovery => http.urls.len(),
        _ => 1,
    }
}

/// The first time of its phase after `now`.
fn in_turn(check: &Check, phase: Nanos, now: Nanos) -> Nanos {
    let mut turn = phase;
    while turn <= now {
        turn += nanos(check.delay_loop);
    }
    turn
}

impl Known {
    fn new(check: &Check, phase: Nanos) -> Self {
        let told = matches!(check.kind, CheckKind::File { .. });
        Self {
            doing: if told { Doing::Told } else { Doing::Waiting(phase) },
            phase,
            verdict: None,
            wish: Wish::Nothing,
            tolerated: 0,
            url: 0,
            passed: 0,
        }
    }

    /// Of a check that asks the same at other times.
    fn inherited(&self, old: &Check, new: &Check, now: Nanos) -> Self {
        let mut phase = in_turn(old, self.phase, now);
        while phase > now + nanos(new.delay_loop) {
            phase -= nanos(new.delay_loop);
        }
        let doing = match self.doing {
            Doing::Waiting(start) => Doing::Waiting(start.min(phase)),
            Doing::Running(_) => Doing::Waiting(now),
            Doing::Told => Doing::Told,
        };
        Self { doing, phase, tolerated: self.tolerated.min(new.retry), ..self.clone() }
    }

    fn end(&mut self, check: &Check, now: Nanos, outcome: Outcome) {
        let turn = in_turn(check, self.phase, now);
        let again = now + nanos(check.delay_before_retry);
        self.doing = Doing::Waiting(match outcome {
            Outcome::Good { weight } => {
                self.tolerated = 0;
                self.passed += 1;
                self.url = (self.url + 1) % urls(check);
                if self.passed >= urls(check) {
                    self.verdict = Some(None);
                }
                self.wish = weight.map_or(Wish::Nothing, |weight| Wish::Exactly(i64::from(weight)));
                turn
            }
            Outcome::Bad(_) if self.verdict == Some(None) && self.tolerated < check.retry => {
                self.tolerated += 1;
                again
            }
            Outcome::Bad(failure) => {
                (self.tolerated, self.passed) = (0, 0);
                self.verdict = Some(Some(failure));
                turn
            }
            Outcome::Local(_) => again.max(now + 1_000_000_000),
        });
    }

    fn tell(&mut self, check: &Check, value: TrackerValue) {
        let CheckKind::File { weight, reverse, dynamic, .. } = check.kind else { return };
        let sign = if reverse { -1 } else { 1 };
        (self.verdict, self.wish) = match value {
            TrackerValue::Pending => return,
            TrackerValue::Up => (Some(None), Wish::Nothing),
            TrackerValue::Down => (Some(Some(Failure::TrackerDown)), Wish::Nothing),
            TrackerValue::Number(number) if dynamic => {
                let factor = if weight == 0 { 1 } else { i64::from(weight) };
                (Some(None), Wish::Exactly(i64::from(number) * factor * sign))
            }
            TrackerValue::Number(number) if weight == 0 => {
                let good = (number == 0) != reverse;
                (Some((!good).then_some(Failure::Number(number))), Wish::Nothing)
            }
            TrackerValue::Number(number) => {
                (Some(None), Wish::More(i64::from(number) * i64::from(weight) * sign))
            }
        };
    }
}

impl Model {
    fn wanted(&self, check: &Check) -> bool {
        self.servers.iter().any(|((owner, ..), real)| {
            let (suspends, here) = self.owners[owner];
            real.checks.contains(check) && (!suspends || here)
        })
    }

    fn end(&mut self, check: &Check, now: Nanos, outcome: Outcome) {
        let wanted = self.wanted(check);
        let known = self.checks.get_mut(check).expect("a check");
        if wanted {
            known.end(check, now, outcome);
        } else {
            known.doing = Doing::Waiting(in_turn(check, known.phase, now));
        }
        self.judge();
    }

    fn tick(&mut self, now: Nanos) {
        for check in self.checks.keys().cloned().collect::<Vec<_>>() {
            if matches!(self.checks[&check].doing, Doing::Running(until) if until <= now) {
                self.end(&check, now, Outcome::Bad(Failure::TimedOut));
            }
        }
        for check in self.checks.keys().cloned().collect::<Vec<_>>() {
            let wanted = self.wanted(&check);
            let known = self.checks.get_mut(&check).expect("a check");
            if matches!(known.doing, Doing::Waiting(start) if start <= now) {
                known.doing = if wanted {
                    Doing::Running(now + nanos(check.timeout))
                } else {
                    Doing::Waiting(in_turn(&check, known.phase, now))
                };
            }
        }
    }

    /// Each real server is what its checks say.
    fn judge(&mut self) {
        for real in self.servers.values_mut() {
            let verdicts = |check: &Check| self.checks[check].verdict;
            if real.checks.iter().all(|check| verdicts(check).is_some()) {
                real.doubted = false;
            }
            real.up = real.checks.iter().all(|check| match verdicts(check) {
                None => {
                    let told = matches!(check.kind, CheckKind::File { .. });
                    !check.alpha && !real.doubted && (!told || real.up)
                }
                Some(wrong) => wrong.is_none(),
            });
        }
    }

    fn weight(&self, real: &Real) -> u32 {
        let own = i64::from(real.weight.min(MAX_WEIGHT));
        let wishes = real.checks.iter().map(|check| match self.checks[check].wish {
            Wish::Nothing => 0,
            Wish::Exactly(weight) => weight - own,
            Wish::More(more) => more,
        });
        (own + wishes.sum::<i64>()).clamp(0, i64::from(MAX_WEIGHT)) as u32
    }

    /// `phase_of` says when a check that is new begins.
    fn configure(
        &mut self,
        config: &DirectorConfig,
        now: Nanos,
        phase_of: impl Fn(&Check) -> Nanos,
    ) {
        let mut servers = BTreeMap::<Server, Real>::new();
        let mut owners = BTreeMap::new();
        let before = self.servers.clone();
        for named in &config.virtual_servers {
            let here = self.owners.get(&named.name).is_some_and(|(_, here)| *here);
            owners.insert(named.name.clone(), (named.ha_suspend, here));
            for real in &named.real_servers {
                let server = (named.name.clone(), real.address, real.port);
                let old = before.get(&server);
                let mut checks = Vec::new();
                for check in real.checks.iter().map(PlacedCheck::check) {
                    let check = &check;
                    let asks_the_same = |other: &&Check| {
                        (&other.kind, other.address, other.port, &other.bind)
                            == (&check.kind, check.address, check.port, &check.bind)
                    };
                    let mut known = old.map(|old| &old.checks).into_iter().flatten();
                    let heir = known.find(asks_the_same).cloned();
                    if !self.checks.contains_key(check) {
                        let mut new = match heir {
                            Some(old) => self.checks[&old].inherited(&old, check, now),
                            None => Known::new(check, phase_of(check)),
                        };
                        if let Some(value) = self.file {
                            new.tell(check, value);
                        }
                        self.checks.insert(check.clone(), new);
                    }
                    if !checks.contains(check) {
                        checks.push(check.clone());
                    }
                }
                let doubted =
                    old.is_some_and(|old| if old.checks == checks { old.doubted } else { !old.up });
                let up = old.is_some_and(|old| old.up);
                servers.insert(server, Real { weight: real.weight, checks, up, doubted });
            }
        }
        (self.servers, self.owners) = (servers, owners);
        let needed: BTreeSet<_> =
            self.servers.values().flat_map(|real| real.checks.iter().cloned()).collect();
        self.checks.retain(|check, _| needed.contains(check));
        self.judge();
    }

    fn deadline(&self) -> Option<Nanos> {
        let times = self.checks.values().filter_map(|known| match known.doing {
            Doing::Waiting(at) | Doing::Running(at) => Some(at),
            Doing::Told => None,
        });
        times.min()
    }

    fn assert_agrees(&self, world: &World, after: &Op) -> Result<(), TestCaseError> {
        let status = world.health.status();
        let checks: BTreeMap<_, _> =
            status.checks().map(|one| (one.check().clone(), one)).collect();
        prop_assert_eq!(checks.len(), self.checks.len(), "after {:?}", after);
        for (check, known) in &self.checks {
            let found = &checks[check];
            let now = match found.now() {
                Now::Waits(at) | Now::Rests(at) => Doing::Waiting(at.as_nanos()),
                Now::Runs(until) => Doing::Running(until.as_nanos()),
                Now::IsTold => Doing::Told,
            };
            prop_assert_eq!(now, known.doing, "{} after {:?}", check, after);
            let verdict = match found.verdict() {
                Verdict::Untested => None,
                Verdict::Good => Some(None),
                Verdict::Failed(failure) => Some(Some(failure)),
            };
            prop_assert_eq!(verdict, known.verdict, "{} after {:?}", check, after);
            prop_assert_eq!(found.tolerated(), known.tolerated, "{} after {:?}", check, after);
        }
        let servers: Vec<_> = status
            .servers()
            .map(|one| {
                let name = one.name();
                let server = (name.virtual_server.clone(), name.address, name.port);
                (server, (one.is_up(), one.weight()))
            })
            .collect();
        let expected = self.servers.iter();
        let expected: BTreeMap<_, _> =
            expected.map(|(server, real)| (server.clone(), (real.up, self.weight(real)))).collect();
        prop_assert_eq!(servers.len(), expected.len());
        prop_assert_eq!(servers.into_iter().collect::<BTreeMap<_, _>>(), expected);
        let deadline = world.health.next_deadline().map(Timestamp::as_nanos);
        prop_assert_eq!(deadline, self.deadline(), "after {:?}", after);
        Ok(())
    }
}

/// Both of them, side by side.
struct Pair {
    world: World,
    model: Model,
}

impl Pair {
    fn configure(&mut self, draft: &Draft) {
        let now = self.world.now;
        let config = draft.config();
        self.world.configure(config.clone());
        // The share of the warmup is the one thing that is taken as it is, within its bounds.
        let phases: BTreeMap<_, _> = self
            .world
            .health
            .status()
            .checks()
            .map(|check| match check.now() {
                Now::Waits(at) | Now::Rests(at) => (check.check().clone(), at),
                Now::Runs(_) | Now::IsTold => (check.check().clone(), now),
            })
            .collect();
        self.model.configure(&config, now.as_nanos(), |check| {
            let phase = phases[check];
            assert!(phase >= now && phase - now <= check.warmup, "{check} beyond its warmup");
            phase.as_nanos()
        });
    }

    fn tick(&mut self) {
        self.world.tick();
        self.model.tick(self.world.now.as_nanos());
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Wait(time) => {
                let until = self.world.now + Duration::from_nanos(*time);
                while let Some(at) = self.world.health.next_deadline().filter(|at| *at <= until) {
                    self.world.now = self.world.now.max(at);
                    self.tick();
                }
                self.world.now = until;
            }
            Op::Tick => self.tick(),
            Op::Answer { which, outcome } => {
                let count = self.world.running.len().max(1);
                let Some(id) = self.world.running.iter().nth(which % count).copied() else {
                    return;
                };
                let status = self.world.health.status();
                let check = status.checks().find(|check| check.id() == id.check);
                let check = check.expect("it is under way").check().clone();
                self.world.answer(id, *outcome);
                self.model.end(&check, self.world.now.as_nanos(), *outcome);
            }
            Op::Tracker(value) => {
                self.world.apply(op);
                self.model.file = Some(*value);
                for (check, known) in &mut self.model.checks {
                    known.tell(check, *value);
                }
                self.model.judge();
            }
            Op::Presence { virtual_server, is_here } => {
                self.world.apply(op);
                if let Some((_, here)) = self.model.owners.get_mut(&virtual_name(*virtual_server)) {
                    *here = *is_here;
                }
            }
            Op::Configure(draft) => self.configure(draft),
            Op::Stall(_) | Op::Stray { .. } => self.world.apply(op),
        }
    }
}

/// A stray outcome may hit an attempt that is under way, and is an answer then.
fn plain(op: Op) -> Op {
    match op {
        Op::Stray { check, outcome, .. } => Op::Stray { check, number: u64::MAX, outcome },
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn both_are_the_same_after_every_step(
        first in draft(),
        ops in prop::collection::vec(op().prop_map(plain), 0..80),
    ) {
        let world = World::quiet(1_000_000_000, &Draft::default(), WIDE);
        let mut pair = Pair { world, model: Model::default() };
        pair.configure(&first);
        for op in &ops {
            pair.apply(op);
            pair.model.assert_agrees(&pair.world, op)?;
        }
    }
}
