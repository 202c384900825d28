//! What a simulated hour costs, with codec, trace and judge: a quiet pair, and a triple under
//! faults. Simulated seconds in a second of real time are 3600 divided by the time shown.

use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_sim::configurations::Configurations;
use vipd_sim::world::Simulation;

const HOUR: WorldTime = WorldTime(3_600_000_000_000);

/// Three directors on a bad link, one of them stopped, cut off or paused every minute.
fn busy_triple() -> String {
    let mut text = String::from(
        "title = \"three directors and no rest\"\nuntil = \"1h\"\n\
         [segment.lan]\ndelay = \"1ms\"\njitter = \"2ms\"\nloss = \"1%\"\nduplicate = \"1%\"\n",
    );
    for (host, number) in [("a", 1), ("b", 2), ("c", 3)] {
        text += &format!(
            "[host.{host}]\nconfig = \"triple.conf\"\n\
             interfaces.eth0 = {{ segment = \"lan\", address = \"10.0.0.{number}/24\" }}\n"
        );
    }
    let faults = [
        ("stop = \"a\"", "start = \"a\""),
        ("cut = \"a <-> others\"", "heal = \"all\""),
        ("pause = \"a\"", "resume = \"a\""),
        ("kill = \"b\"", "start = \"b\""),
    ];
    for minute in 1..59 {
        let (fault, mended) = faults[minute % faults.len()];
        text += &format!("[[step]]\nat = \"{}s\"\n{fault}\n", minute * 60);
        text += &format!("[[step]]\nat = \"{}s\"\n{mended}\n", minute * 60 + 20);
    }
    text
}

fn bench(c: &mut Criterion, name: &str, scenario: &Scenario) {
    let (configurations, findings) = Configurations::load(scenario);
    assert!(!findings.unusable, "the configurations can be used");
    c.bench_function(name, |b| {
        b.iter_batched(
            || Simulation::new(scenario, configurations.clone(), 1),
            |mut world| runner::run(scenario, &mut world, Some(HOUR), None).trace,
            BatchSize::LargeInput,
        );
    });
}

fn world(c: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let quiet = Scenario::load(&folder.join("quiet/pair.toml")).expect("the quiet pair");
    bench(c, "world: an hour of the quiet pair", &quiet);
    let place = folder.join("election/busy.toml");
    let busy = Scenario::parse(&place, &busy_triple()).expect("the busy triple");
    bench(c, "world: an hour of the busy triple", &busy);
}

criterion_group!(benches, world);
criterion_main!(benches);
