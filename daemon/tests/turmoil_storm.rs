//! Random schedules of faults on two and three hosts of turmoil, each judged; then calm, in which
//! everything must come to rest. A seed that fails is named, and gives the same run again.

mod turmoil_world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use turmoil_world::host::Plant;
use turmoil_world::{Cuts, TICK, TurmoilWorld};
use vipd_engine::config::VirtualAddress;
use vipd_engine::{Config, Family, InstanceConfig, Interval, Priority, Version, Vrid};
use vipd_scenarios::judge::{PropertyId, Verdict};
use vipd_scenarios::record::{HostId, WorldTime};
use vipd_scenarios::report::summary;
use vipd_scenarios::runner::{self, Outcome};
use vipd_scenarios::scenario::{Paths, Scenario, Step, TimedStep};
use vipd_sim::configurations::Configurations;
use vipd_sim::random::Random;

const MILLISECOND: u64 = 1_000_000;
/// Faults until then, none afterwards.
const CALM: u64 = 6_000 * MILLISECOND;
/// Who was still stopping is started once more.
const AGAIN: u64 = 7_000 * MILLISECOND;
/// Of each of the two kinds of schedule, in a quick run.
const SEEDS: u64 = 25;
const FAULTS: u64 = 12;
/// The best is master by then.
const SETTLED: u64 = 500 * MILLISECOND;

/// How many seeds of each kind: a few in a quick run, more with many cases.
fn seeds() -> std::ops::Range<u64> {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u64>().ok());
    0..cases.map_or(SEEDS, |cases| (cases / 4).max(SEEDS))
}

/// Version 3 at 100 ms. The priorities are further apart than turmoil's tick: their skews differ by
/// 20 ms.
fn config(host: HostId) -> Arc<Config> {
    let vrid = Vrid::new(51).expect("in range");
    let mut instance = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
    instance.version = Version::V3;
    instance.interval = Interval::from_centiseconds(10).expect("in range");
    instance.priority = Priority::new(200 - 50 * i64::from(host.0)).expect("in range");
    instance.addresses = vec![VirtualAddress::new(vip())];
    Arc::new(Config::new(vec![instance], Vec::new(), Duration::ZERO).expect("it is valid"))
}

fn vip() -> std::net::IpAddr {
    "10.0.0.100".parse().expect("an address")
}

fn timed(at: u64, step: Step) -> Arc<TimedStep> {
    Arc::new(TimedStep { at: WorldTime(at), step, span: 0..0 })
}

/// Some of the hosts, and some of the others.
fn paths(random: &mut Random, hosts: u16) -> Paths {
    let one = HostId(random.below(u64::from(hosts)) as u16);
    let others: Vec<_> = (0..hosts).map(HostId).filter(|other| *other != one).collect();
    let other = others[random.below(others.len() as u64) as usize];
    match random.below(5) {
        0 => Paths::All,
        1 => Paths::Between(vec![one], others),
        2 => Paths::Between(vec![one], vec![other]),
        3 => Paths::FromTo(vec![one], others),
        _ => Paths::FromTo(vec![one], vec![other]),
    }
}

fn fault(random: &mut Random, hosts: u16) -> Step {
    let host = HostId(random.below(u64::from(hosts)) as u16);
    let interface = Arc::from("eth0");
    match random.below(18) {
        0 | 1 => Step::Start(host),
        2 => Step::Stop(host),
        3 | 4 => Step::Kill(host),
        5 | 6 => Step::Pause(host),
        7 | 8 => Step::Resume(host),
        9 => Step::PowerOff(host),
        10 => Step::PowerOn(host),
        11 | 12 => Step::Cut(paths(random, hosts)),
        13 | 14 => Step::Heal(paths(random, hosts)),
        15 => Step::LinkDown { host, interface },
        16 => Step::LinkUp { host, interface },
        _ => Step::RemoveAddress { host, address: vip() },
    }
}

/// Every fault is mended.
fn calm(hosts: u16) -> Vec<Arc<TimedStep>> {
    let mut steps = vec![timed(CALM, Step::Heal(Paths::All))];
    for host in (0..hosts).map(HostId) {
        let interface = Arc::from("eth0");
        let mended = [
            Step::PowerOn(host),
            Step::Resume(host),
            Step::LinkUp { host, interface },
            Step::Start(host),
        ];
        steps.extend(mended.map(|step| timed(CALM, step)));
    }
    // A process that was told to stop while it was paused ends only now.
    let again = (0..hosts).map(|host| timed(AGAIN, Step::Start(HostId(host))));
    steps.extend(again);
    steps
}

/// Hosts without a fault. `a` is master and owner from `since` on, and nobody else is.
fn hosts(hosts: u16, since: &str) -> (Scenario, Configurations) {
    let mut text = "title = \"a storm\"\nuntil = \"9s\"\n[segment.lan]\n".to_string();
    for (host, number) in ["a", "b", "c"].iter().zip(1..=hosts) {
        text += &format!(
            "[host.{host}]\nconfig = \"triple.conf\"\n\
             interfaces.eth0 = {{ segment = \"lan\", address = \"10.0.0.{number}/24\" }}\n"
        );
    }
    text += &format!(
        "[[expect]]\nduring = [\"{since}\", \"9s\"]\nmasters = [\"a\"]\n\
         [[expect]]\nduring = [\"{since}\", \"9s\"]\nowners = [\"a\"]\n\
         address = \"10.0.0.100\"\n[properties]\nheld = [\"L5\"]\n"
    );
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/cut/storm.toml");
    let scenario = Scenario::parse(&beside, &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut configurations = Configurations::default();
    // Not what stands in the file: that is for 1 s.
    for (plan, host) in scenario.hosts.iter().zip((0..).map(HostId)) {
        let file = plan.config.as_ref().expect("it runs VRRP");
        configurations.insert(host, file, config(host));
    }
    (scenario, configurations)
}

/// Times before the calm, in order.
fn times(random: &mut Random, from: u64, count: u64) -> Vec<u64> {
    let tick = TICK.as_nanos() as u64;
    let time = |_| (from + random.below(CALM - from)) / tick * tick;
    let mut times: Vec<_> = (0..count).map(time).collect();
    times.sort_unstable();
    times
}

/// Any faults, then calm.
fn storm(count: u16, seed: u64) -> (Scenario, Configurations) {
    let (mut scenario, configurations) = hosts(count, "8s");
    let mut random = Random::stream(seed, "storm above turmoil");
    let at = times(&mut random, 0, FAULTS);
    let faults = at.into_iter().map(|at| timed(at, fault(&mut random, count)));
    scenario.steps = faults.chain(calm(count)).collect();
    (scenario, configurations)
}

/// Backups that stand still now and then, and a master that does not.
fn naps(seed: u64) -> (Scenario, Configurations) {
    let (mut scenario, configurations) = hosts(3, "500ms");
    let mut random = Random::stream(seed, "naps above turmoil");
    let mut asleep = [false; 3];
    for at in times(&mut random, SETTLED, FAULTS) {
        let host = 1 + random.below(2) as usize;
        asleep[host] = !asleep[host];
        let id = HostId(host as u16);
        let step = if asleep[host] { Step::Pause(id) } else { Step::Resume(id) };
        scenario.steps.push(timed(at, step));
    }
    scenario.steps.extend([1, 2].map(|host| timed(CALM, Step::Resume(HostId(host)))));
    (scenario, configurations)
}

/// What is wrong with a run. The data plane of a process that is dead or stands still goes on, and
/// S2 says so.
fn wrong(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let stood_still =
        scenario.steps.iter().any(|timed| matches!(timed.step, Step::Kill(_) | Step::Pause(_)));
    let excused = |id| id == PropertyId::S2 && stood_still;
    let properties = outcome.properties.iter().filter(|judged| {
        !judged.is_as_expected()
            || judged.report.verdict == Verdict::Violated && !excused(judged.report.id)
    });
    let properties = properties.map(|judged| judged.report.id.to_string());
    let instead = outcome.expectations.iter().filter_map(|met| met.instead.clone());
    properties.chain(instead).collect()
}

/// Plays a schedule, with a mistake below the seam of every host. Answers with what is wrong.
fn play(seed: u64, schedule: (Scenario, Configurations), plant: Plant) -> Option<String> {
    let (scenario, configurations) = schedule;
    let world = TurmoilWorld::new(&scenario, configurations, Cuts::Lose, seed);
    let mut world = world.expect("turmoil can play it");
    for host in 0..scenario.hosts.len() {
        world.plant(HostId(host as u16), plant);
    }
    let outcome = runner::run(&scenario, &mut world, None, None);
    let wrong = wrong(&scenario, &outcome);
    (!wrong.is_empty()).then(|| {
        let (timeline, summary) = (outcome.timeline.text(), summary::text(&scenario, &outcome));
        format!("seed {seed}: {wrong:?}\n{timeline}{summary}")
    })
}

fn assert_all_hold(schedule: impl Fn(u64) -> (Scenario, Configurations)) {
    for seed in seeds() {
        if let Some(wrong) = play(seed, schedule(seed), Plant::Nothing) {
            panic!("{wrong}");
        }
    }
}

#[test]
fn two_daemons_keep_every_property_under_random_faults_and_come_to_rest() {
    assert_all_hold(|seed| storm(2, seed));
}

#[test]
fn three_daemons_keep_every_property_under_random_faults_and_come_to_rest() {
    assert_all_hold(|seed| storm(3, seed));
}

#[test]
fn backups_that_are_paused_at_random_never_take_over_from_a_master_that_lives() {
    assert_all_hold(naps);
}

#[test]
fn the_schedules_notice_timers_that_fire_too_soon_and_a_readiness_that_is_lost() {
    for seed in 0..3 {
        let noticed = play(seed, naps(seed), Plant::TimersFirst);
        assert!(noticed.is_some(), "seed {seed}: an overdue timer before waiting adverts");
    }
    let deaf = |seed: &u64| play(*seed, storm(3, *seed), Plant::LostReadiness(3)).is_some();
    let noticed = (0..6).filter(deaf).count();
    assert!(noticed >= 3, "{noticed} of 6 schedules notice a lost readiness");
}
