//! One mode of each pairing that has vipd in it, through everything that makes a backup take over.
//!
//! It needs root, iproute2, keepalived, FRR and a vipd that is built. What is missing is a skip in
//! plain sight, and a failure under `CI=true`. `viplab matrix` plays the rest.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_netns_tests::matrix::{Mode, Pairing, Request, matrix};
use vipd_netns_tests::run::Request as One;
use vipd_scenarios::report::files::Files;
use vipd_sim::run::Ended;

fn play(only: &[&str], mode: Mode) -> (Ended, String) {
    let how = One {
        file: PathBuf::new(),
        nodes: BTreeMap::new(),
        vipd: None,
        json: false,
        capture: None,
        files: Files::default(),
        tolerance: Duration::from_millis(100),
        until: None,
        colour: Colour::Never,
        stop: || false,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let only: Vec<Pairing> = only.iter().map(|text| text.parse().expect("a pairing")).collect();
    let jobs = NonZeroUsize::new(only.len()).expect("at least one");
    let folder = root.join("scenarios");
    let request = Request { folder, only, modes: vec![mode], how, jobs };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = matrix(&request, &mut out, &mut err).expect("memory takes everything");
    out.extend(err);
    (ended, String::from_utf8(out).expect("text"))
}

/// How many cells have a verdict that begins like this.
fn count(text: &str, verdict: &str) -> usize {
    let rows = text.lines().filter(|line| line.contains("v3-ipv4"));
    rows.filter(|line| line.contains(&format!("  {verdict}"))).count()
}

#[test]
fn vipd_pairs_with_each_implementation_and_what_frr_is_known_for_is_named() {
    let pairings = ["vipd+vipd", "vipd+keepalived", "keepalived+vipd", "vipd+frr", "frr+vipd"];
    let (ended, text) = play(&pairings, Mode::V3Ipv4);
    if ended == Ended::Unusable {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "a skip is no pass in CI: {text}");
        println!("skipped: {text}");
        return;
    }
    assert_eq!(ended, Ended::Passed, "{text}");
    assert_eq!((count(&text, "pass"), count(&text, "deviation R15")), (4, 1), "{text}");
}

#[test]
fn a_mode_that_a_peer_lacks_is_no_failure_and_no_pass() {
    let (ended, text) = play(&["vipd+frr", "frr+frr"], Mode::V2UnicastPass);
    assert_eq!(ended, Ended::Skipped, "{text}");
    assert_eq!(text.matches("not applicable: VI_1: FRR has no `authentication`").count(), 2);
}
