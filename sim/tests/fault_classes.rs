//! Every fault class of `docs/properties.md` is shown where it can differ: in both versions, over
//! both families, by multicast and by unicast. What a scenario stands for is read from its hosts'
//! configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vipd_engine::config::Transport;
use vipd_engine::{Family, InstanceConfig, Version};
use vipd_scenarios::scenario::Scenario;
use vipd_sim::configurations::Configurations;
use vipd_sim::suite;

/// v2 and v3 meet during an upgrade, and v2 knows no IPv6.
const IPV4_ONLY: u8 = 20;

const TRAITS: [&str; 6] = ["v2", "v3", "IPv4", "IPv6", "multicast", "unicast"];

/// How often a class is shown, and under what.
#[derive(Debug, Default)]
struct Shown {
    scenarios: u32,
    under: BTreeSet<&'static str>,
}

fn traits(instance: &InstanceConfig) -> [&'static str; 3] {
    let version = match instance.version {
        Version::V2 => "v2",
        Version::V3 => "v3",
    };
    let family = match instance.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    let transport = match instance.transport {
        Transport::Multicast { .. } => "multicast",
        Transport::Unicast { .. } => "unicast",
    };
    [version, family, transport]
}

fn shown() -> BTreeMap<u8, Shown> {
    let mut classes: BTreeMap<u8, Shown> = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    for (_, file) in suite::files(&folder).expect("the scenarios") {
        let scenario = Scenario::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let (configurations, _) = Configurations::load(&scenario);
        let instances = configurations.iter().flat_map(|config| config.instances());
        let under: BTreeSet<_> = instances.flat_map(|instance| traits(instance)).collect();
        for class in &scenario.fault_classes {
            let shown = classes.entry(*class).or_default();
            shown.scenarios += 1;
            shown.under.extend(&under);
        }
    }
    classes
}

#[test]
fn every_fault_class_is_shown_twice_in_each_version_family_and_transport() {
    let shown = shown();
    for class in 1..=20 {
        let Some(Shown { scenarios, under }) = shown.get(&class) else { panic!("class {class}") };
        assert!(*scenarios >= 2, "class {class}: {scenarios}");
        let wanted = TRAITS.into_iter().filter(|name| !(class == IPV4_ONLY && *name == "IPv6"));
        let missing: Vec<_> = wanted.filter(|name| !under.contains(name)).collect();
        assert!(missing.is_empty(), "class {class} is not shown under {missing:?}");
    }
}
