//! keepalived and vipd with the same file on the same kernel, and the same happens to their real
//! servers: what they order of IPVS, in its order, and the table behind it. Where they differ
//! stands in `docs/keepalived.md`, each difference with its reason, and nowhere else.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;
#[path = "differential/cases.rs"]
mod cases;
#[path = "differential/daemon.rs"]
mod daemon;
#[path = "differential/kinds.rs"]
mod kinds;
#[path = "differential/page.rs"]
mod page;
#[path = "differential/server.rs"]
mod server;
#[path = "differential/stage.rs"]
mod stage;
mod tap;
#[path = "differential/words.rs"]
mod words;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use daemon::Kind;
use page::Row;
use stage::{Case, Phase, Theatre, play};
use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::namespaces::Namespaces;
use vipd_scenarios::scenario::Need;

/// Far more than it takes, on a machine that is busy.
const WITHIN: Duration = Duration::from_secs(600);
/// Set: cases that say little more are played, too; what the daemons say is shown.
const ALL: &str = "DIFFERENTIAL_ALL";
const LOGS: &str = "DIFFERENTIAL_LOGS";
/// Set: of all cases only those are played that have one of these in their name, with commas
/// between them.
const ONLY: &str = "DIFFERENTIAL_ONLY";
/// So many are played side by side at most.
const AT_ONCE: usize = 10;

#[test]
fn vipd_orders_what_keepalived_orders_save_what_is_listed() {
    if again_inside::is_inside() || lacking(&[Need::Ipvs]).is_empty() {
        return on_this_kernel();
    }
    let test = "vipd_orders_what_keepalived_orders_save_what_is_listed";
    again_inside::run(test, "keepalived", WITHIN);
}

fn on_this_kernel() {
    let only = std::env::var(ONLY).ok();
    let mut cases = cases::MOST.to_vec();
    if only.is_some() || std::env::var_os(ALL).is_some() {
        cases.extend([cases::REST, kinds::KINDS].concat());
    }
    if let Some(only) = only {
        cases.retain(|case| only.split(',').any(|word| case.name.contains(word)));
        assert!(!cases.is_empty(), "no case has a name with {only}");
    }
    let found = cases.chunks(AT_ONCE).flat_map(differences).collect();
    page::compare(&cases, &found);
}

/// Plays cases side by side: where the two differ, by their places.
fn differences(cases: &[Case]) -> BTreeMap<String, Row> {
    let began = Instant::now();
    let mut namespaces = Namespaces::new().expect("namespaces");
    let folder = namespaces.folder().to_path_buf();
    let mut stages = Vec::new();
    for (place, case) in cases.iter().enumerate() {
        for kind in [Kind::Keepalived, Kind::Vipd] {
            let name = format!("{}{place}", kind.name());
            stages.push((case, kind, namespaces.add(&name).expect("a namespace"), name));
        }
    }
    let events = cases.iter().map(|case| case.events.len()).max().expect("a case");
    let theatre = Theatre::new(stages.len());
    let played: Vec<(Vec<Phase>, String)> = thread::scope(|scope| {
        let threads: Vec<_> = stages
            .iter()
            .map(|(case, kind, namespace, name)| {
                let (place, theatre) = ((namespace, folder.join(name)), (&theatre, events));
                scope.spawn(move || play(case, *kind, place, theatre))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it is played")).collect()
    });
    println!("{} cases in {:?}", cases.len(), began.elapsed());
    let mut found = BTreeMap::new();
    for (case, pair) in cases.iter().zip(played.chunks(2)) {
        let [(theirs, _), (ours, _)] = pair else { panic!("each is played by both") };
        for (place, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
            println!("{}: {}: {theirs:?} {ours:?}", case.name, case.events[place]);
            let row = Row::of(case, place, theirs, ours);
            found.extend(row.map(|row| (row.place.clone(), row)));
        }
    }
    if std::env::var_os(LOGS).is_some() {
        for ((case, kind, ..), (_, log)) in stages.iter().zip(&played) {
            println!("== {} {}\n{log}", case.name, kind.name());
        }
    }
    found
}
