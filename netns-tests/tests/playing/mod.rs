//! Scenario files played as `viplab run` plays them, alone or side by side, for the tests that
//! judge what is printed of it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_netns_tests::node::Kind;
use vipd_netns_tests::run::{Request, run};
use vipd_scenarios::report::files::Files;
use vipd_sim::run::Ended;

/// Many run on the same processors.
const TOLERANCE: Duration = Duration::from_millis(100);
/// Processes that all start at once would wait for each other.
const APART: Duration = Duration::from_millis(300);

/// The folder of all scenarios.
pub fn scenarios() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("scenarios")
}

/// A scenario file with these nodes; vipd on every other host that runs VRRP.
pub fn request(file: PathBuf, nodes: &[(&str, Kind)]) -> Request {
    let nodes = nodes.iter().map(|(host, kind)| ((*host).to_string(), *kind));
    Request {
        file,
        nodes: nodes.collect(),
        vipd: None,
        json: false,
        capture: None,
        files: Files::default(),
        tolerance: TOLERANCE,
        until: None,
        colour: Colour::Never,
        stop: || false,
    }
}

/// How it ended, and what was printed.
pub fn play(request: &Request) -> (Ended, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run(request, &mut out, &mut err).expect("memory takes everything");
    out.extend(err);
    (ended, String::from_utf8(out).expect("text"))
}

/// All of them side by side, each in its place.
pub fn play_all(requests: &[Request]) -> Vec<(Ended, String)> {
    thread::scope(|scope| {
        let play = |(place, request)| {
            scope.spawn(move || {
                thread::sleep(APART * place);
                play(request)
            })
        };
        let threads: Vec<_> = (0..).zip(requests).map(play).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// What this machine lacks for this request.
pub fn lacks(request: &Request) -> Option<String> {
    let (ended, text) = play(&Request { until: Some(Duration::from_nanos(1)), ..request.clone() });
    (ended == Ended::Unusable).then_some(text)
}

/// Says in plain sight that something cannot be tried here. In CI that is a failure.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "a skip is no pass in CI: {reason}");
}
