//! The daemon's own loop on hosts of turmoil: the scenario files as they stand, the one runner, the
//! one judge. What the loop does to the nanosecond is in `run_loop`.

mod turmoil_world;

use std::path::Path;
use std::time::Duration;

use turmoil_world::host::Plant;
use turmoil_world::{Cuts, TurmoilWorld, without_caches};
use vipd_scenarios::judge::{PropertyId, Verdict};
use vipd_scenarios::record::{HostId, Observation, WorldTime};
use vipd_scenarios::report::summary;
use vipd_scenarios::runner::{self, Outcome, RunVerdict};
use vipd_scenarios::scenario::{Need, Scenario};
use vipd_sim::configurations::Configurations;
use vipd_sim::suite;

const B: HostId = HostId(1);

/// What a quick run plays. With many cases (`PROPTEST_CASES`) it is every scenario that this world
/// can play.
const CHOSEN: [&str; 12] = [
    "carrier/short-flap",
    "cut/loser-deaf",
    "cut/one-of-three-isolated",
    "cut/partial-triangle",
    "cut/winner-deaf",
    "election/reload",
    "election/three-together",
    "failover/kill-9",
    "failover/pause-master",
    "kernel/fails",
    "pause/ipv6-master",
    "unicast/trio",
];

/// What this world can play and does not pass, each with its reason.
const NOT_PASSED: [(&str, &str); 0] = [];

/// Longer ones are for the simulation.
const LONGEST: WorldTime = WorldTime(120 * SECOND);
const SECOND: u64 = 1_000_000_000;

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name).with_extension("toml")
}

fn load(name: &str) -> Scenario {
    Scenario::load(&file(name)).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// A scenario that stands beside `cut/pair.conf` and `cut/triple.conf`, on as many hosts.
fn of(config: &str, hosts: &[&str], rest: &str) -> Scenario {
    let mut text = "title = \"made by a test\"\nuntil = \"40s\"\n[segment.lan]\n".to_string();
    for (number, host) in (1..).zip(hosts) {
        text += &format!(
            "[host.{host}]\nconfig = \"{config}\"\n\
             interfaces.eth0 = {{ segment = \"lan\", address = \"10.0.0.{number}/24\" }}\n"
        );
    }
    let text = text + rest;
    Scenario::parse(&file("cut/made"), &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn world(scenario: &Scenario, cuts: Cuts, seed: u64) -> Result<TurmoilWorld, String> {
    let (configurations, findings) = Configurations::load(scenario);
    assert!(!findings.unusable, "{} names an unusable configuration", scenario.name);
    TurmoilWorld::new(scenario, configurations, cuts, seed)
}

fn play(scenario: &Scenario, mut world: TurmoilWorld) -> (Outcome, Vec<Observation>) {
    let mut seen = Vec::new();
    let outcome = runner::run(scenario, &mut world, None, Some(&mut seen));
    (outcome, seen)
}

/// What is wrong with a run, if it does not pass or violates what its scenario does not name.
fn wrong(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    let surprising = outcome
        .properties
        .iter()
        .any(|judged| judged.expected.is_none() && judged.report.verdict == Verdict::Violated);
    (surprising || outcome.verdict != RunVerdict::Pass).then(|| {
        let (timeline, summary) = (outcome.timeline.text(), summary::text(scenario, outcome));
        format!("{}\n{timeline}{summary}", scenario.name)
    })
}

fn assert_passes(scenario: &Scenario, cuts: Cuts) -> Outcome {
    let world = world(scenario, cuts, scenario.seed).expect("turmoil can play it");
    let (outcome, _) = play(scenario, world);
    if let Some(wrong) = wrong(scenario, &outcome) {
        panic!("\n{wrong}");
    }
    outcome
}

fn verdict_of(outcome: &Outcome, id: PropertyId) -> Verdict {
    let judged = outcome.properties.iter().find(|judged| judged.report.id == id);
    judged.expect("a verdict for every property").report.verdict
}

/// More than a quick run.
fn many() -> bool {
    std::env::var("PROPTEST_CASES").is_ok()
}

/// Plays the scenarios of these families. What this world lacks is said.
fn families(wanted: impl Fn(&str) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut played = 0;
    for (name, file) in suite::files(&folder).expect("the scenarios") {
        let family = name.split('/').next().expect("a family");
        if !wanted(family) || !(many() || CHOSEN.contains(&name.as_str())) {
            continue;
        }
        let whole = Scenario::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        if whole.until > LONGEST {
            println!("skipped: {name} lasts longer than {LONGEST} s");
            continue;
        }
        if whole.needs.contains(&Need::Ipvs) {
            println!("skipped: {name} needs IPVS, which its machines have not");
            continue;
        }
        let scenario = without_caches(whole);
        let outcome = match world(&scenario, Cuts::Lose, scenario.seed) {
            Ok(world) => play(&scenario, world).0,
            Err(why) => runner::skip(&scenario, vec![why]),
        };
        if outcome.verdict == RunVerdict::Skip {
            println!("skipped: {name}: {}", outcome.skipped.join(", "));
            continue;
        }
        played += 1;
        let reason = NOT_PASSED.iter().find(|(known, _)| *known == name);
        match (wrong(&scenario, &outcome), reason) {
            (None, None) => {}
            (Some(_), Some((_, why))) => println!("not passed: {name}: {why}"),
            (Some(wrong), None) => panic!("\n{wrong}"),
            (None, Some(_)) => panic!("{name} passes: take it out of the list"),
        }
    }
    assert!(played > 0, "nothing was played");
}

#[test]
fn scenarios_of_stops_crashes_and_returns_pass_above_turmoil() {
    families(|family| family == "failover");
}

#[test]
fn scenarios_of_cuts_in_both_ways_and_in_one_pass_above_turmoil() {
    families(|family| family == "cut");
}

#[test]
fn scenarios_of_pauses_pass_above_turmoil() {
    families(|family| family == "pause");
}

#[test]
fn scenarios_of_elections_and_of_unicast_pass_above_turmoil() {
    families(|family| matches!(family, "election" | "unicast"));
}

#[test]
fn scenarios_of_everything_else_pass_above_turmoil() {
    // Its machines end no leases (`dead-man`).
    let elsewhere = ["failover", "cut", "pause", "election", "unicast", "dead-man"];
    families(|family| !elsewhere.contains(&family));
}

/// Two masters for as long as nothing arrives; then everything at once, in both ways.
const HELD: &str = r#"
[[step]]
at = "10.5s"
cut = "a <-> b"
[[expect]]
at = "13.828s"
host = "b"
enters = "master"
[[expect]]
during = ["13.9s", "25.5s"]
masters = ["a", "b"]
[[step]]
at = "25.5s"
heal = "a <-> b"
[[expect]]
at = "25.505s"
host = "b"
enters = "backup"
[[expect]]
during = ["25.6s", "40s"]
masters = ["a"]
[[expect]]
during = ["25.6s", "40s"]
owners = ["a"]
address = "10.0.0.100"
[[expect]]
within = ["0s", "40s"]
host = "a"
event = "one-way"
times = 0
[properties]
held = ["S1", "S2", "S6", "S7", "L4", "L5"]
"#;

#[test]
fn adverts_that_were_held_and_come_in_a_heap_end_the_second_mastership_at_once() {
    assert_passes(&of("pair.conf", &["a", "b"], HELD), Cuts::Hold);
}

#[test]
fn of_three_the_two_that_hear_each_other_agree_while_the_adverts_of_the_third_are_held() {
    let rest = r#"
[[step]]
at = "10.5s"
cut = "a <-> b, c"
[[expect]]
during = ["14s", "25.5s"]
masters = ["a", "b"]
[[expect]]
within = ["10.5s", "40s"]
host = "b"
enters = "master"
[[step]]
at = "25.5s"
heal = "a <-> b, c"
[[expect]]
during = ["25.6s", "40s"]
masters = ["a"]
[properties]
held = ["S1", "S2", "S6", "S7", "L4", "L5"]
"#;
    assert_passes(&of("triple.conf", &["a", "b", "c"], rest), Cuts::Hold);
}

#[test]
fn a_process_that_crashes_and_is_back_before_anybody_noticed_is_one_of_three_again() {
    let rest = r#"
[[step]]
at = "10.5s"
kill = "a"
[[step]]
at = "10.7s"
start = "a"
# The address that it left is taken away before the election.
[[expect]]
during = ["10.8s", "13.6s"]
owners = []
address = "10.0.0.100"
# b heard the advert of 10.219 s and waits 3.414 s, a 3.21875 s from its start on.
[[expect]]
at = "13.633s"
host = "b"
enters = "master"
[[expect]]
during = ["14.1s", "40s"]
masters = ["a"]
[[expect]]
during = ["14.1s", "40s"]
owners = ["a"]
address = "10.0.0.100"
[properties]
held = ["S1", "S2", "S7", "L4", "L5"]
"#;
    assert_passes(&of("triple.conf", &["a", "b", "c"], rest), Cuts::Lose);
}

#[test]
fn the_same_seed_gives_the_same_record_and_another_one_another() {
    let mut scenario = of("triple.conf", &["a", "b", "c"], HELD);
    scenario.segments[0].conditions.jitter = Duration::from_millis(50);
    scenario.until = WorldTime(16 * SECOND);
    let record = |seed| {
        let world = world(&scenario, Cuts::Hold, seed).expect("turmoil can play it");
        let (_, seen) = play(&scenario, world);
        assert!(seen.len() > 50, "little was seen: {seen:?}");
        seen.iter().map(|seen| format!("{seen:?}\n")).collect::<String>()
    };
    let first = record(1);
    assert!(first == record(1), "two runs of one seed differ");
    assert!(first != record(2), "delays do not depend on the seed");
}

/// The backup is paused until long after its timer, and the adverts of the master wait.
#[test]
fn a_backup_that_was_paused_reads_the_adverts_that_wait_before_it_fires_its_timer() {
    assert_passes(&without_caches(load("pause/backup")), Cuts::Lose);
}

#[test]
fn a_backup_follows_a_resignation_when_it_arrives() {
    assert_passes(&without_caches(load("failover/pkill-master")), Cuts::Lose);
}

/// Plays a scenario with a mistake below the seam of its second host.
fn with_a_mistake(name: &str, plant: Plant) -> Outcome {
    let scenario = without_caches(load(name));
    let world = world(&scenario, Cuts::Lose, scenario.seed).expect("turmoil can play it");
    world.plant(B, plant);
    let (outcome, _) = play(&scenario, world);
    assert_eq!(outcome.verdict, RunVerdict::Fail, "nobody noticed {plant:?}");
    outcome
}

#[test]
fn timers_that_fire_before_the_socket_is_read_are_noticed() {
    let outcome = with_a_mistake("pause/backup", Plant::TimersFirst);
    // It takes over although adverts wait for it. The judge excuses who was paused; the scenario
    // does not.
    assert_eq!(verdict_of(&outcome, PropertyId::S3), Verdict::NotProvided);
    let instead = outcome.expectations.iter().filter_map(|met| met.instead.as_deref());
    let instead: Vec<_> = instead.collect();
    assert_eq!(instead.len(), 2, "of masters and of owners: {instead:?}");
    assert!(instead.iter().all(|seen| seen.starts_with("b too: 20.5")), "{instead:?}");
}

#[test]
fn a_readiness_that_is_lost_is_noticed() {
    let outcome = with_a_mistake("failover/pkill-master", Plant::LostReadiness(3));
    // It reads when a timer is due and not before: it follows the resignation, and yields to who
    // returns, too late.
    for id in [PropertyId::L2, PropertyId::S5, PropertyId::S7] {
        assert_eq!(verdict_of(&outcome, id), Verdict::Violated, "{id}");
    }
}
