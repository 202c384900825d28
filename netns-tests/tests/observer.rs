//! What an observer on the wire sees that a host's own kernel does not tell. It is in a file of its
//! own: it finds its host by the number of the laboratory, which is this process's first.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_netns_tests::node::Kind;
use vipd_netns_tests::run::{Request, run};
use vipd_scenarios::report::files::Files;
use vipd_sim::run::Ended;

/// arp_ignore of ip-sysctl: the kernel answers for none of its addresses.
const DEAF: &str = "net.ipv4.conf.all.arp_ignore=8";

fn deafen(namespace: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "sysctl", "-w", DEAF]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn an_address_that_the_kernel_has_and_nobody_answers_for_is_told() {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/failover/kill-9.toml");
    let request = Request {
        file: scenario,
        nodes: ["a", "b"].map(|host| (host.to_string(), Kind::Keepalived)).into_iter().collect(),
        vipd: None,
        json: false,
        capture: None,
        files: Files::default(),
        tolerance: Duration::from_millis(100),
        until: Some(Duration::from_secs(6)),
        colour: Colour::Never,
        stop: || false,
    };
    let first = format!("viplab-{}-0-0", std::process::id());
    let (ended, text) = thread::scope(|scope| {
        let run = scope.spawn(|| play(&request));
        while !run.is_finished() && !deafen(&first) {
            thread::sleep(Duration::from_millis(10));
        }
        run.join().expect("no panic")
    });
    if ended == Ended::Unusable {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "a skip is no pass in CI: {text}");
        println!("skipped: {text}");
        return;
    }
    assert_eq!(ended, Ended::Failed, "{text}");
    let told = "a has 10.0.0.100 by its kernel, and nobody answers for it";
    assert_eq!(text.matches(told).count(), 1, "{text}");
}

fn play(request: &Request) -> (Ended, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run(request, &mut out, &mut err).expect("memory takes everything");
    out.extend(err);
    (ended, String::from_utf8(out).expect("text"))
}
