//! Random schedules of faults: what they may contain, whatever the seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vipd_engine::InstanceConfig;
use vipd_engine::config::Transport;
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

/// What stands in the file of `one` and not in that of `other`.
fn differences(one: &InstanceConfig, other: &InstanceConfig) -> Vec<Difference> {
    let addresses = &one.addresses;
    let ttl = |instance: &InstanceConfig| match instance.transport {
        Transport::Multicast { .. } => None,
        Transport::Unicast { ttl, .. } => Some(ttl),
    };
    let unicast = ttl(one).is_some() && ttl(other).is_some();
    let other_ttl = unicast && ttl(one) != ttl(other);
    let peers = |instance: &InstanceConfig| match &instance.transport {
        Transport::Multicast { .. } => None,
        Transport::Unicast { peers, .. } => Some(peers.clone()),
    };
    // The other version has other rules of its own, and no password.
    let same_version = one.version == other.version;
    let form = |instance: &InstanceConfig| instance.rules.checksum_sent;
    let all = [
        (one.priority != other.priority, Difference::Priority),
        (!same_version, Difference::Version),
        (one.interval != other.interval, Difference::Interval),
        (one.password != other.password && same_version, Difference::Password),
        (one.vrid != other.vrid, Difference::Vrid),
        (*addresses != other.addresses, Difference::Addresses),
        (peers(one) != peers(other), Difference::Peers),
        (other_ttl, Difference::Ttl),
        (form(one) != form(other) && same_version, Difference::Checksum),
    ];
    all.into_iter().filter_map(|(differs, difference)| differs.then_some(difference)).collect()
}

#[test]
fn variants_of_a_file_are_text_that_can_be_read_back_and_each_is_different_in_one_thing() {
    use Difference::{
        Addresses, Checksum, Interval, Password, Peers, Priority, Ttl, Version, Vrid,
    };
    for (name, expected) in [
        (
            "ipvs/pair.toml",
            &[Priority, Version, Interval, Password, Vrid, Addresses, Peers, Ttl][..],
        ),
        (
            "unicast/trio.toml",
            &[Priority, Version, Interval, Vrid, Addresses, Peers, Ttl, Checksum],
        ),
        ("version/v3-1s.toml", &[Priority, Version, Interval, Vrid, Addresses, Peers, Checksum]),
        ("track/sync-group.toml", &[Priority, Version, Interval, Password, Vrid, Addresses, Peers]),
        ("unicast/drift-ipv6.toml", &[Priority, Interval, Vrid, Addresses, Peers, Ttl]),
        (
            "cut/heal-winner-first.toml",
            &[Priority, Version, Interval, Password, Vrid, Addresses, Peers],
        ),
    ] {
        let (scenario, configurations, ground) = ground(name);
        for director in &ground.directors {
            let made: Vec<_> = director.variants.iter().map(|one| one.difference).collect();
            assert_eq!(made, expected, "{name}");
            let plan = &scenario.hosts[usize::from(director.host.0)];
            let file = plan.config.as_ref().expect("a file");
            let original = configurations.get(director.host, file).expect("it was read");
            for variant in &director.variants {
                assert_eq!(variant.path.parent(), file.parent());
                assert!(!variant.path.exists(), "nothing is written");
                assert_eq!(original.instances().len(), variant.config.instances().len());
                for (ours, theirs) in original.instances().iter().zip(variant.config.instances()) {
                    assert_eq!(differences(ours, theirs), [variant.difference], "{name}");
                }
                assert_eq!(original.director(), variant.config.director(), "{name}");
            }
        }
    }
}

/// The peers and the number of addresses that a host's one virtual router has in a variant.
fn peers_and_addresses(
    ground: &Ground,
    host: usize,
    difference: Difference,
) -> (Vec<String>, usize) {
    let mut variants = ground.directors[host].variants.iter();
    let variant = variants.find(|one| one.difference == difference).expect("there is one");
    let [instance] = variant.config.instances() else { panic!("one virtual router") };
    let peers = match &instance.transport {
        Transport::Multicast { .. } => Vec::new(),
        Transport::Unicast { peers, .. } => {
            peers.iter().map(|peer| peer.address.to_string()).collect()
        }
    };
    (peers, instance.addresses.len())
}

#[test]
fn a_variant_has_its_fellows_for_peers_or_one_peer_that_is_nobody() {
    let (_, _, multicast) = ground("cut/one-of-three-isolated.toml");
    let unicast = ground("unicast/trio.toml").2;
    let peers = |ground, host| peers_and_addresses(ground, host, Difference::Peers).0;
    assert_eq!(peers(&multicast, 0), ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(peers(&multicast, 1), ["10.0.0.1", "10.0.0.3"]);
    // Instead of 10.0.0.2 and 10.0.0.3: the next two that no host has.
    assert_eq!(peers(&unicast, 2), ["10.0.0.1", "10.0.0.4"]);
    assert_eq!(peers(&unicast, 0), ["10.0.0.2", "10.0.0.5"]);
}

#[test]
fn all_hosts_get_the_same_address_more() {
    let (_, _, ground) = ground("unicast/trio.toml");
    let (peers, addresses) = peers_and_addresses(&ground, 0, Difference::Addresses);
    assert_eq!((peers.len(), addresses), (2, 2));
    let lists: Vec<_> = ground
        .variants()
        .filter(|one| one.difference == Difference::Addresses)
        .map(|one| one.config.instances()[0].addresses.clone())
        .collect();
    assert_eq!(lists.len(), 3);
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
}
