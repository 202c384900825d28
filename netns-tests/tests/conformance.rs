//! The conformance suite: that the ledger names what it judges, and what vipd and keepalived come
//! to on this machine.
//!
//! What needs root is skipped in plain sight without it, and that is a failure under `CI=true`.

use std::time::Duration;

use vipd_engine::Profile;
use vipd_netns_tests::conformance::requirement::{Wire, requirements};
use vipd_netns_tests::conformance::{Judged, Outcome, Request, judge, proofs};
use vipd_netns_tests::node::Kind;

/// Other tests run on the same processors.
const TOLERANCE: Duration = Duration::from_millis(100);
/// Rows that the suite is to judge of vipd.
const LEAST: usize = 220;

fn request(target: Kind) -> Request {
    Request {
        target,
        profile: Profile::DropIn,
        only: Vec::new(),
        vipd: None,
        json: false,
        html: None,
        tolerance: TOLERANCE,
        stop: || false,
    }
}

/// Says in plain sight that something cannot be tried here. In CI that is a failure.
fn skip(reason: &str) {
    println!("skipped: {reason}");
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "a skip is no pass in CI: {reason}");
}

fn told(judged: &Judged, wanted: Outcome) -> Vec<String> {
    let rows = judged.rows.iter().filter(|row| row.outcome == wanted);
    rows.map(|row| format!("{}: {:?}", row.requirement.id, row.measured)).collect()
}

#[test]
fn the_ledger_names_an_experiment_that_judges_the_row() {
    let proofs = proofs();
    let mut broken = Vec::new();
    let rows = requirements().expect("a ledger that can be read");
    assert_eq!(rows.len(), 228);
    for row in &rows {
        let judges = proofs.get(row.id.as_str()).cloned().unwrap_or_default();
        match row.wire() {
            Some(Wire::Judged(name)) if judges.iter().any(|judge| judge == name) => {}
            Some(Wire::Judged(name)) => broken.push(format!("{}: not judged by {name}", row.id)),
            Some(Wire::NotBuilt(_) | Wire::NotApplicable(_)) if judges.is_empty() => {}
            Some(Wire::NotBuilt(_) | Wire::NotApplicable(_)) => {
                broken.push(format!("{}: judged by {judges:?}", row.id));
            }
            None => broken.push(format!("{}: no proof is called `{}`", row.id, row.wire)),
        }
    }
    for row in proofs.keys().filter(|id| rows.iter().all(|row| row.id != **id)) {
        broken.push(format!("{row} is judged and stands in no ledger"));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn vipd_fails_no_row_of_its_own_profile() {
    match judge(&request(Kind::Vipd)) {
        Err(reason) => skip(&reason),
        Ok(judged) => {
            let failed = told(&judged, Outcome::Fail);
            assert!(failed.is_empty(), "\n{}", failed.join("\n"));
            let rows = judged.rows.iter().filter(|row| row.outcome <= Outcome::Deviation).count();
            assert!(rows >= LEAST, "{rows} rows judged, {LEAST} wanted");
        }
    }
}
