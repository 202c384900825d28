//! Scenarios on real namespaces, side by side: real time is what they cost.
//!
//! They need root, iproute2, keepalived and FRR; those with vipd need it built. What is missing is
//! a skip in plain sight, and a failure under `CI=true`.

#[path = "../../sim/tests/browser/mod.rs"]
mod browser;
mod playing;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use playing::{lacks, play, play_all, skip};
use serde_json::Value;
use vipd_netns_tests::agree::{Request as AgreeRequest, agree};
use vipd_netns_tests::kernel::Kernel;
use vipd_netns_tests::node::Kind;
use vipd_netns_tests::run::Request;
use vipd_netns_tests::uml::play as inside;
use vipd_scenarios::report::files::Files;
use vipd_sim::run::Ended;

/// A scenario, and what runs on its hosts that run VRRP.
struct Case {
    scenario: &'static str,
    nodes: [(&'static str, Kind); 2],
}

const fn pair(scenario: &'static str, hosts: [&'static str; 2], kinds: [Kind; 2]) -> Case {
    Case { scenario, nodes: [(hosts[0], kinds[0]), (hosts[1], kinds[1])] }
}

const DIRECTORS: [&str; 2] = ["director-1", "director-2"];
const AB: [&str; 2] = ["a", "b"];
const KEEPALIVED: [Kind; 2] = [Kind::Keepalived, Kind::Keepalived];
const VIPD: [Kind; 2] = [Kind::Vipd, Kind::Vipd];

const CASES: [Case; 11] = [
    pair("failover/pkill-master", DIRECTORS, KEEPALIVED),
    pair("failover/pkill-master", DIRECTORS, [Kind::Vipd, Kind::Keepalived]),
    pair("failover/pkill-master", DIRECTORS, [Kind::Keepalived, Kind::Vipd]),
    pair("failover/pkill-master", DIRECTORS, VIPD),
    // A SIGKILL that reached the parent alone would be a resignation: the child says goodbye.
    pair("failover/kill-9", AB, KEEPALIVED),
    pair("failover/kill-9", AB, VIPD),
    pair("failover/link-down", AB, VIPD),
    pair("cut/loser-deaf", AB, VIPD),
    pair("failover/kill-9-ipv6", AB, VIPD),
    // A resignation by a cable that is out must not leave when it is back.
    pair("unicast/short-flap", AB, VIPD),
    pair("operator/hold", AB, VIPD),
];

fn request(name: &str, nodes: &[(&str, Kind)]) -> Request {
    playing::request(playing::scenarios().join(format!("{name}.toml")), nodes)
}

fn namespaces() -> String {
    let listed = Command::new("ip").args(["netns", "list"]).output().expect("ip runs");
    String::from_utf8(listed.stdout).expect("text")
}

#[test]
fn scenarios_pass_with_each_implementation_on_each_side() {
    let mut playable = Vec::new();
    for case in &CASES {
        let request = request(case.scenario, &case.nodes);
        match lacks(&request) {
            Some(reason) => skip(&format!("{}: {reason}", case.scenario)),
            None => playable.push(request),
        }
    }
    let played = playable.iter().zip(play_all(&playable));
    // They wait for each other's processors and for the kernel's one lock of links. What passes
    // alone was late and not wrong; what fails alone too is a failure.
    for (request, (_, beside)) in played.filter(|(_, (ended, _))| *ended != Ended::Passed) {
        println!("{:?} failed beside the others and is played alone:\n{beside}", request.nodes);
        let (ended, alone) = play(request);
        assert_eq!(ended, Ended::Passed, "{:?}\n{alone}", request.nodes);
    }
    let own = format!("viplab-{}-", std::process::id());
    if !playable.is_empty() {
        assert!(!namespaces().contains(&own), "everything is removed: {}", namespaces());
    }
}

/// A SIGKILL of the master in both worlds: how it ended, what was printed, and the page.
fn in_both_worlds() -> Result<&'static (Ended, String, PathBuf), String> {
    static BOTH: OnceLock<Result<(Ended, String, PathBuf), String>> = OnceLock::new();
    BOTH.get_or_init(|| {
        let nodes = [("a", Kind::Vipd), ("b", Kind::Vipd)];
        let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("both.html");
        let files = Files { html: Some(page.clone()), ..Files::default() };
        let request = Request { files, ..request("failover/kill-9", &nodes) };
        if let Some(reason) = lacks(&Request { files: Files::default(), ..request.clone() }) {
            return Err(reason);
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = agree(&agreeing(request, Kernel::Host), &mut out, &mut err);
        let ended = ended.expect("memory takes everything");
        Ok((ended, String::from_utf8(out).expect("text"), page))
    })
    .as_ref()
    .map_err(Clone::clone)
}

#[test]
fn the_simulation_foresees_what_real_kernels_do() {
    let (ended, text, _) = match in_both_worlds() {
        Ok(both) => both,
        Err(reason) => return skip(&reason),
    };
    assert_eq!(*ended, Ended::Passed, "{text}");
    // Both masters, the address that stays until the restart, and the way back.
    let compared = text.lines().filter(|line| !line.contains("first try"));
    assert_eq!(compared.filter(|line| line.contains("owns 10.0.0.100")).count(), 5, "{text}");
}

#[test]
fn one_page_shows_the_simulated_and_the_real_run_with_their_faults_at_one_place() {
    let (_, _, page) = match in_both_worlds() {
        Ok(both) => both,
        Err(reason) => return skip(&reason),
    };
    let Some(runs) = browser::runs(page) else { return };
    let [simulated, real] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((&*simulated.label, &*real.label), ("simulated", "real"));
    assert_eq!(simulated.steps[0], real.steps[0], "{runs:?}");
    for run in &runs {
        assert_eq!(run.lanes, ["a", "b"], "{run:?}");
        let advert = "VRRPv2 advert, vrid 51 IPv4 on lan\n10.0.0.1 → 224.0.0.18, sent by a at ";
        assert!(run.advert.starts_with(advert), "{run:?}");
        assert!(run.advert.contains("\npriority 200, interval 1 s\n"), "{run:?}");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let wrong = Request {
        // Neither may be master at once.
        tolerance: Duration::ZERO,
        until: Some(Duration::from_secs(5)),
        ..request(
            "failover/pkill-master",
            &[("director-1", Kind::Keepalived), ("director-2", Kind::Keepalived)],
        )
    };
    if let Some(reason) = lacks(&wrong) {
        return skip(&reason);
    }
    let (ended, text) = play(&wrong);
    assert_eq!(ended, Ended::Failed, "{text}");
    assert!(text.contains("not met: 3.609375 s to 3.609375 s: director-1 enters master"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_anything_is_played() {
    let is = || Some(PathBuf::from("no/such/file"));
    let other = std::env::temp_dir().join(format!("viplab-kept-{}", std::process::id()));
    std::fs::write(&other, "what was there").expect("a file");
    let kept = || Some(other.clone());
    let files = [
        Files { html: is(), perfetto: kept(), jsonl: None },
        Files { html: kept(), perfetto: is(), jsonl: None },
        Files { html: kept(), perfetto: None, jsonl: is() },
    ];
    let plain = Request { stop: || panic!("it plays"), ..request("quiet/pair", &[]) };
    let runs = files.map(|files| Request { files, ..plain.clone() });
    let capture = Request { capture: is(), files: Files::default(), ..plain };
    let inside = runs.iter().chain([&capture]).map(|request| (request, Kernel::Uml));
    let all = runs.iter().map(|request| (request, Kernel::Host)).chain(inside);
    for (request, kernel) in all {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = inside::play(request.clone(), kernel, None, &mut out, &mut err);
        is_refused(ended.expect("memory takes everything"), &out, &err);
    }
    for kernel in [Kernel::Host, Kernel::Uml] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let request = agreeing(runs[0].clone(), kernel);
        let ended = agree(&request, &mut out, &mut err).expect("memory takes everything");
        is_refused(ended, &out, &err);
    }
    assert_eq!(std::fs::read_to_string(&other).expect("a file"), "what was there");
    std::fs::remove_file(&other).expect("it goes");
}

fn is_refused(ended: Ended, out: &[u8], err: &[u8]) {
    let said = String::from_utf8_lossy(err);
    assert_eq!((ended, out), (Ended::Unusable, &[][..]), "{said}");
    assert!(said.contains("error: cannot write no/such/file: No such file"), "{said}");
}

/// One scenario in both worlds.
fn agreeing(how: Request, kernel: Kernel) -> AgreeRequest {
    let (files, jobs) = (vec![how.file.clone()], NonZeroUsize::MIN);
    AgreeRequest { files, how, jobs, kernel, tolerance_inside: Duration::ZERO }
}

/// a is asked to stop while it stands still, and to start; it is killed before it has done either.
const START_THAT_WAITS: [(&str, &str); 6] = [
    ("1s", "pause"),
    ("1200ms", "stop"),
    ("1400ms", "start"),
    ("1600ms", "kill"),
    ("2s", "start"),
    ("3s", "stop"),
];

#[test]
fn a_start_that_waits_goes_with_a_kill_and_is_not_made_up_for_after_a_later_stop() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("start-that-waits");
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut text = format!(
        "title = \"a start that waits\"\nuntil = \"5s\"\n[segment.lan]\n[host.a]\nconfig = \"{}\"\n\
         interfaces.eth0 = {{ segment = \"lan\", address = \"10.0.0.1/24\" }}\n",
        playing::scenarios().join("failover/pair.conf").display()
    );
    for (at, what) in START_THAT_WAITS {
        text += &format!("[[step]]\nat = \"{at}\"\n{what} = \"a\"\n");
    }
    let (file, lines) = (folder.join("scenario.toml"), folder.join("lines.jsonl"));
    std::fs::write(&file, text).expect("a file");
    let request = playing::request(file, &[]);
    if let Some(reason) = lacks(&request) {
        return skip(&reason);
    }
    let files = Files { jsonl: Some(lines.clone()), ..Files::default() };
    let (_, said) = play(&Request { files, ..request });
    let lines = std::fs::read_to_string(lines).expect("lines");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let changes = lines.filter(|line| line["what"] == "process" && line["host"] == "a");
    let changes: Vec<_> = changes.map(|line| line["change"].to_string()).collect();
    let wanted = ["started", "paused", "stopping", "killed", "started", "stopping", "stopped"];
    assert_eq!(changes, wanted.map(|change| format!("\"{change}\"")), "{said}");
}

#[test]
fn a_scenario_with_a_step_that_the_real_world_lacks_is_skipped_in_plain_sight() {
    let (ended, text) = play(&request("clock/drift", &[]));
    assert_eq!(ended, Ended::Skipped, "{text}");
    assert!(text.contains("skipped: clock_drift: a real kernel's clock keeps its rate"), "{text}");
    assert!(text.ends_with("verdict: skip\n") || text.contains("verdict: skip\n"), "{text}");
}

#[test]
fn what_frr_cannot_do_ends_the_run_before_it_begins() {
    // It can be told what is missing where FRR and root are there; a step needs neither.
    let (ended, text) = play(&request("election/reload", &[("b", Kind::Frr)]));
    assert_eq!(ended, Ended::Skipped, "{text}");
    assert!(text.contains("skipped: reload: FRR only adds what a file says anew"), "{text}");
    let able = request("version/v3-1s", &[("a", Kind::Frr), ("b", Kind::Frr)]);
    if let Some(reason) = lacks(&able) {
        return skip(&reason);
    }
    let (ended, text) = play(&request("unicast/restart", &[("a", Kind::Vipd), ("b", Kind::Frr)]));
    assert_eq!(ended, Ended::Unusable, "{text}");
    assert!(text.ends_with("error: b: VI_1: FRR has no `authentication`\n"), "{text}");
}

#[test]
fn a_node_that_the_scenario_does_not_have_is_a_mistake() {
    let (ended, text) = play(&request("failover/kill-9", &[("c", Kind::Keepalived)]));
    assert_eq!(ended, Ended::Unusable);
    assert!(text.contains("error: failover/kill-9 has no host c that runs VRRP"), "{text}");
}
