//! Random schedules of faults: what they may contain, whatever the seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vipd_scenarios::record::WorldTime;
use vipd_scenarios::scenario::{Scenario, Step};
use vipd_sim::configurations::Configurations;
use vipd_sim::faults::variants::Difference;
use vipd_sim::faults::{Classes, FaultClass, Ground, Plan, Schedule};

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn ground(name: &str) -> (Scenario, Configurations, Ground) {
    let scenario = Scenario::load(&folder().join(name)).expect("a scenario of the folder");
    let (configurations, findings) = Configurations::load(&scenario);
    assert!(!findings.unusable, "{name} can be used");
    let ground = Ground::survey(&scenario, &configurations);
    (scenario, configurations, ground)
}

fn lines(schedule: &Schedule, scenario: &Scenario) -> Vec<String> {
    let steps = schedule.steps();
    steps.iter().map(|step| format!("{} {}", step.at, step.step.line(scenario))).collect()
}

#[test]
fn the_same_seed_draws_the_same_steps_and_another_one_draws_others() {
    let (scenario, _, ground) = ground("ipvs/pair.toml");
    let plan = Plan::swarm(TEN_MINUTES);
    let draw = |seed| lines(&Schedule::draw(&ground, &plan, seed), &scenario);
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn the_pair_of_the_seed_has_every_class_once_its_real_servers_are_there() {
    let (_, _, ground) = ground("ipvs/pair.toml");
    let lacking: Vec<_> = FaultClass::ALL.iter().filter_map(|class| ground.lacks(*class)).collect();
    assert_eq!(lacking, Vec::<&str>::new());
}

#[test]
fn what_a_ground_lacks_is_said_with_its_reason() {
    let (_, _, ground) = ground("version/ipv6.toml");
    assert!(ground.lacks(FaultClass::Flaps).expect("no tracker").contains("nothing is tracked"));
    assert!(ground.lacks(FaultClass::Upgrade).expect("no v2 over IPv6").contains("version"));
}

#[test]
fn no_fault_lasts_beyond_the_first_phase_and_every_class_is_drawn() {
    for name in ["ipvs/pair.toml", "cut/one-of-three-isolated.toml", "track/fault.toml"] {
        let (scenario, configurations, ground) = ground(name);
        let configurations = ground.with_variants(&configurations);
        let mut drawn: BTreeMap<FaultClass, u32> = BTreeMap::new();
        for seed in 0..300 {
            let schedule = Schedule::draw(&ground, &Plan::swarm(TEN_MINUTES), seed);
            assert!(!schedule.faults.is_empty(), "{name}, seed {seed}: nothing happens");
            for fault in &schedule.faults {
                *drawn.entry(fault.class).or_default() += 1;
                assert!(schedule.classes.contains(&fault.class));
                assert!(fault.steps.is_sorted_by_key(|step| step.at));
                assert!(fault.steps.iter().all(|step| step.at <= schedule.quiet));
            }
            for step in schedule.steps() {
                if let Step::Reload { host, config, .. } = &step.step {
                    assert!(configurations.get(*host, config).is_some(), "{}", config.display());
                }
            }
            let over = schedule.over(&scenario);
            assert!(over.steps.is_sorted_by_key(|step| step.at));
            assert_eq!(over.until, WorldTime(0).later(TEN_MINUTES));
        }
        for class in ground.classes() {
            assert!(drawn.contains_key(&class), "{name}: {class} was never drawn");
        }
    }
}

#[test]
fn one_fault_of_one_class_can_be_asked_for() {
    let (_, _, ground) = ground("ipvs/pair.toml");
    for class in FaultClass::ALL {
        let plan = Plan {
            begin: ground.pace.down * 2,
            classes: Classes::Exactly(vec![class]),
            faults: Some(1),
            core: false,
            ..Plan::swarm(TEN_MINUTES)
        };
        let schedules = (0..20).map(|seed| Schedule::draw(&ground, &plan, seed));
        let faults: Vec<_> = schedules.flat_map(|schedule| schedule.faults).collect();
        assert!(faults.len() >= 15, "{class}: {}", faults.len());
        for fault in faults {
            assert_eq!(fault.class, class);
            assert!(fault.steps[0].at >= WorldTime(0).later(plan.begin));
        }
    }
}

#[test]
fn everybody_comes_back_unless_a_core_is_asked_for_and_never_nobody() {
    let (_, _, ground) = ground("cut/one-of-three-isolated.toml");
    let mut away = 0;
    for seed in 0..200 {
        let plan = Plan::swarm(TEN_MINUTES);
        let some = Schedule::draw(&ground, &plan, seed).away.len();
        assert!(some < ground.directors.len());
        away += some;
        let all = Plan { core: false, ..plan };
        assert_eq!(Schedule::draw(&ground, &all, seed).away, []);
    }
    assert!(away > 0);
}

#[test]
fn variants_of_a_file_are_text_that_can_be_read_back() {
    let (scenario, configurations, ground) = ground("ipvs/pair.toml");
    let director = &ground.directors[0];
    let differences: Vec<_> = director.variants.iter().map(|one| one.difference).collect();
    assert_eq!(differences, Difference::ALL);
    let file = scenario.hosts[0].config.as_ref().expect("a file");
    let original = configurations.get(director.host, file).expect("it was read");
    for variant in &director.variants {
        assert_eq!(variant.path.parent(), file.parent());
        assert!(!variant.path.exists(), "nothing is written");
        let (ours, theirs) = (&original.instances()[0], &variant.config.instances()[0]);
        let differs = [
            ours.priority != theirs.priority,
            ours.version != theirs.version,
            ours.interval != theirs.interval,
            ours.password != theirs.password && ours.version == theirs.version,
            ours.vrid != theirs.vrid,
        ];
        assert_eq!(differs.iter().filter(|one| **one).count(), 1, "{:?}", variant.difference);
        assert_eq!(original.director(), variant.config.director(), "{:?}", variant.difference);
    }
}
