//! Whatever happens for forty seconds, a `garp_master_refresh` later the best router is the only
//! owner and the client is on it. The engine's invariants are checked after every input.

mod rehearsal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rehearsal::*;
use vipd_scenarios::record::{HostId, Seen, WorldTime};
use vipd_scenarios::scenario::{Conditions, Paths, Step, TimedStep};
use vipd_sim::random::Random;

const STORMS: u64 = 160;
const CALM: u64 = 40 * SECOND;
/// A minute, the refresh, and what settling takes.
const END: u64 = CALM + 66 * SECOND;

fn timed(at: u64, step: Step) -> Arc<TimedStep> {
    Arc::new(TimedStep { at: WorldTime(at), step, span: 0..0 })
}

fn paths(random: &mut Random) -> Paths {
    let (one, other) = if random.chance(500_000) { (A, B) } else { (B, A) };
    match random.below(4) {
        0 => Paths::All,
        1 => Paths::Between(vec![one], vec![other]),
        2 => Paths::FromTo(vec![one], vec![other, CLIENT]),
        _ => Paths::FromTo(vec![one], vec![other]),
    }
}

fn fault(random: &mut Random) -> Step {
    let host = if random.chance(500_000) { A } else { B };
    let interface = Arc::from("eth0");
    let by = Duration::from_nanos(random.below(200_000_000));
    match random.below(24) {
        0 => Step::Start(host),
        1 => Step::Stop(host),
        2 => Step::Kill(host),
        3 => Step::Pause(host),
        4 => Step::Resume(host),
        5 => Step::Freeze { host, clock: random.chance(500_000) },
        6 => Step::Thaw(host),
        7 => Step::PowerOff(host),
        8 => Step::PowerOn(host),
        9 => Step::Cut(paths(random)),
        10 => Step::CutMulticast(paths(random)),
        11 => Step::Heal(paths(random)),
        12 => Step::Lose { paths: paths(random), count: random.below(5) as u32 },
        13 => Step::LinkDown { host, interface },
        14 => Step::LinkUp { host, interface },
        15 => Step::RemoveAddress { host, address: VIP },
        16 => Step::ClockDrift { host, ppm: random.below(2000) as i32 - 1000 },
        17 => Step::Late { host, by },
        18 => Step::KernelFails { host, count: random.below(3) as u32 },
        19 => Step::KernelLate { host, by },
        20 => Step::FlapVirtualMac { host, interface: Arc::from("vrrp.51") },
        _ => Step::Conditions {
            paths: paths(random),
            conditions: Conditions {
                jitter: by / 10,
                reorder: random.chance(300_000),
                loss_ppm: random.below(100_000) as u32,
                duplicate_ppm: random.below(100_000) as u32,
                corrupt_ppm: random.below(100_000) as u32,
                ..Conditions::default()
            },
        },
    }
}

/// Every fault is mended.
fn calm() -> Vec<Arc<TimedStep>> {
    let conditions = Conditions::default();
    let mut steps =
        vec![Step::Heal(Paths::All), Step::Conditions { paths: Paths::All, conditions }];
    steps.push(Step::Lose { paths: Paths::All, count: 0 });
    for host in [A, B] {
        let (interface, by) = (Arc::from("eth0"), Duration::ZERO);
        steps.extend([
            Step::PowerOn(host),
            Step::Thaw(host),
            Step::Resume(host),
            Step::LinkUp { host, interface },
            Step::KernelFails { host, count: 0 },
            Step::KernelLate { host, by },
            Step::Late { host, by },
            Step::Start(host),
        ]);
    }
    steps.into_iter().map(|step| timed(CALM, step)).collect()
}

fn storm(seed: u64, macvlan: bool) -> Rehearsal {
    let mut rehearsal = Rehearsal::changed("", |instance| {
        instance.virtual_mac = macvlan.then(|| vipd_engine::config::VirtualMac {
            interface: vipd_engine::InterfaceName::new("vrrp.51"),
            transmit_from_parent: false,
        });
    });
    let mut random = Random::stream(seed, "storm");
    let mut at: Vec<_> = (0..25).map(|_| random.below(CALM)).collect();
    at.sort_unstable();
    let mut steps: Vec<_> = at.into_iter().map(|at| timed(at, fault(&mut random))).collect();
    steps.extend(calm());
    // A process that was still stopping, and trying a refused command again, is started now.
    steps.extend([A, B].map(|host| timed(CALM + 5 * SECOND, Step::Start(host))));
    rehearsal.scenario.steps = steps;
    rehearsal.scenario.until = WorldTime(END);
    rehearsal
}

/// Who owns the address in the end.
fn owners(played: &Played) -> Vec<HostId> {
    let mut owns_now = BTreeMap::new();
    for seen in &played.seen {
        if let Seen::Owns { owns, .. } = seen.seen {
            owns_now.insert(seen.host, owns);
        }
    }
    owns_now.into_iter().filter(|(_, owns)| *owns).map(|(host, _)| host).collect()
}

#[test]
fn after_every_storm_the_best_router_is_the_only_owner_and_the_client_is_on_it() {
    for seed in 0..STORMS {
        let played = storm(seed, seed % 4 == 3).play_with(seed);
        assert_eq!(owners(&played), [A], "storm {seed}");
        assert_eq!(played.answered_by(END), Some(A), "storm {seed}");
    }
}

#[test]
fn a_storm_that_is_played_again_is_the_same() {
    for seed in 0..8 {
        assert_eq!(storm(seed, false).play().trace, storm(seed, false).play().trace);
    }
}
