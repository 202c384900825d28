//! The journal of a real failover: what vipd writes in a namespace of its own is replayed to the
//! octet, and a disk that is full keeps nobody from advertising.
//!
//! With `UPDATE_SEGMENT=1` the segment in which the takeover happens becomes the fixture of
//! `sim/tests/replay.rs`. It has to be renewed when the engine's own state has another form.

mod netns;

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use netns::process::Process;
use netns::{Host, PATIENCE, TOLERANCE, directors, seed};
use nix::sys::signal::Signal;
use serde_json::Value;
use vipd_engine::{Engine, News, Output, StateKind};
use vipd_frames::journal::Head;
use vipd_frames::journal::replay::{Replay, Step};

/// A few adverts fill a segment.
const SEGMENT_OCTETS: &str = "4000";

fn status(host: &Host) -> Value {
    host.status()["journal"].clone()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The head of a segment and everything that the engine asked for: the same as then.
fn replay(file: &Path) -> (Head, Vec<Output>) {
    let name = file.display();
    let opened = Replay::open(BufReader::new(File::open(file).expect("a segment")));
    let (head, mut replay) = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut outputs = Vec::new();
    while let Some(step) = replay.step().unwrap_or_else(|error| panic!("{name}: {error}")) {
        match step {
            Step::Input(replayed) => {
                assert_eq!(replayed.difference, None, "{name}");
                outputs.extend(replayed.outputs);
            }
            Step::Lost(count) => panic!("{name}: {count} inputs are lost"),
        }
    }
    (head, outputs)
}

fn takes_over(outputs: &[Output]) -> bool {
    let is_takeover = |output: &Output| match output {
        Output::Notify(event) => matches!(event.news, News::State { to: StateKind::Master, .. }),
        Output::Send { .. } | Output::Kernel { .. } | Output::Probe(_) | Output::Ipvs(_) => false,
    };
    outputs.iter().any(is_takeover)
}

fn keeping(host: &Host, starter: &[&str], file: &str, folder: &Path) -> Process {
    let folder = folder.display().to_string();
    let options = ["--journal", &folder, "--journal-segment", SEGMENT_OCTETS];
    let vipd = host.launch_also(starter, &seed(file), &options);
    vipd.wait_for("ready: ");
    vipd
}

#[test]
fn each_segment_of_a_real_failover_is_replayed_to_the_octet() {
    let Some(network) = directors() else { return };
    let (hosts, folder) = (&network.hosts, network.folder.join("journal"));
    let mut first = hosts[0].start(&seed("director-1.conf"));
    let mut second = keeping(&hosts[1], &[], "director-2.conf", &folder);

    // The second segment begins in the middle of following another master, who is killed then.
    wait_until("a second segment", || {
        let segment = status(&hosts[1])["segment"].as_str().map(str::to_string);
        segment.is_some_and(|segment| segment.ends_with("/segment-00000002.jsonl"))
    });
    first.signal(Signal::SIGKILL);
    first.ended();
    second.wait_for("backup -> master: no master heard");
    let first = hosts[0].start(&seed("director-1.conf"));
    second.wait_for("master -> backup: 200.222.0.73 has priority 100");
    let kept = status(&hosts[1]);
    assert_eq!(
        [&kept["lost"], &kept["failures"], &kept["error"]],
        [&0.into(), &0.into(), &Value::Null]
    );
    second.signal(Signal::SIGTERM);
    assert_eq!(second.ended().code(), Some(0), "{}", second.said());
    drop(first);

    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut takeover = None;
    for (number, file) in (1..).zip(segments(&folder)) {
        assert_eq!(mode(&file), 0o600);
        let (head, outputs) = replay(&file);
        assert_eq!((head.segment, head.lost_before), (number, 0));
        let engine = Engine::try_from(head.engine).expect("there was such an engine");
        let states: Vec<_> = engine.status().instances().map(|one| one.state()).collect();
        if states == [StateKind::Backup] && takes_over(&outputs) {
            takeover = takeover.or(Some(file));
        }
    }
    let takeover = takeover.expect("a segment in the middle of which it takes over");
    if std::env::var_os("UPDATE_SEGMENT").is_some() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        fs::copy(takeover, root.join("sim/tests/segments/takeover.jsonl")).expect("a fixture");
    }
}

#[test]
fn a_disk_that_is_full_is_told_once_and_keeps_no_advert_until_it_has_room_again() {
    netns::measured(|| {
        let Some(network) = directors() else { return };
        let (capture, host) = (&network.capture, &network.hosts[0]);
        let folder = network.folder.join("journal");
        fs::create_dir(&folder).expect("a folder");
        // `ip netns exec` gives it mounts of its own. The filler leaves room for the start, not for
        // what a master does.
        let filled = format!(
            "mount -t tmpfs -o size=64k,mode=700 none {0} && \
             head -c 57344 /dev/zero >{0}/filler && \
         exec \"$@\"",
            folder.display()
        );
        let mut vipd = keeping(host, &["sh", "-c", &filled, "sh"], "director-1.conf", &folder);
        let told = "cannot be written: No space left on device";
        vipd.wait_for(told);
        capture.announcement(0, 0, "200.222.0.113");
        let mut last = capture.advert(capture.mark(), 0, 100);
        wait_until("a second try", || {
            let next = capture.advert(capture.mark(), 0, 100);
            let took = next.at.duration_since(last.at).expect("it is later");
            assert!(took.abs_diff(Duration::from_secs(1)) <= TOLERANCE, "an advert after {took:?}");
            last = next;
            status(host)["failures"].as_u64() >= Some(2)
        });
        let kept = status(host);
        assert!(
            kept["error"].as_str().is_some_and(|error| error.starts_with("No space")),
            "{kept}"
        );
        assert!(kept["segment"].is_null() && kept["lost"].as_u64() > Some(0), "{kept}");
        assert_eq!(vipd.said().matches(told).count(), 1, "once, however often it is tried");

        let pid = vipd.id().to_string();
        let inside = |words: &[&str]| {
            let output = Command::new("nsenter").args(["-t", &pid, "-m"]).args(words).output();
            let output = output.expect("nsenter runs (util-linux)");
            assert!(output.status.success(), "{output:?}");
        };
        inside(&["rm", &folder.join("filler").display().to_string()]);
        wait_until("it is written again", || vipd.said().contains("the journal is written again"));
        wait_until("an input is written", || {
            status(host)["written"].as_u64() > kept["written"].as_u64()
        });
        assert!(status(host)["error"].is_null());
        let copy = network.folder.join("copy");
        inside(&["cp", "-r", &folder.display().to_string(), &copy.display().to_string()]);
        // What was written before it was full ends with a whole line.
        let lost: Vec<_> = segments(&copy).iter().map(|file| replay(file).0.lost_before).collect();
        assert!(lost.len() >= 2 && lost[0] == 0 && lost[lost.len() - 1] > 0, "{lost:?}");
        vipd.signal(Signal::SIGTERM);
        assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    });
}

#[test]
fn a_journal_that_cannot_be_is_an_error_at_start() {
    let Some(network) = directors() else { return };
    let options = ["--journal", "/proc/journal"];
    let mut vipd = network.hosts[0].launch_also(&[], &seed("director-1.conf"), &options);
    assert_eq!(vipd.ended().code(), Some(1));
    let said = vipd.said();
    assert!(said.contains("error: cannot keep a journal in /proc/journal: "), "{said}");
}
