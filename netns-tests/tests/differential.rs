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
#[path = "differential/page.rs"]
mod page;
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

#[test]
fn vipd_orders_what_keepalived_orders_save_what_is_listed() {
    if again_inside::is_inside() || lacking(&[Need::Ipvs]).is_empty() {
        return on_this_kernel();
    }
    let test = "vipd_orders_what_keepalived_orders_save_what_is_listed";
    again_inside::run(test, "keepalived", WITHIN);
}

fn on_this_kernel() {
    let mut batches = vec![cases::MOST];
    if std::env::var_os(ALL).is_some() {
        batches.push(cases::REST);
    }
    let found = batches.iter().flat_map(|cases| differences(cases)).collect();
    page::compare(&batches.concat(), &found);
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
