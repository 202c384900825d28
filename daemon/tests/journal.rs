//! The journal without a network: its folder, its limits, and that whoever hands it an input never
//! waits. What a real failover leaves behind is in `journal_failover.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::BufReader;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vipd::journal::{
    Journal, SEGMENT_OCTETS, SEGMENTS_KEPT, Unusable, WAITING_ENTRIES, Wanted, handle,
};
use vipd_engine::{Engine, Ifindex, Input, Outputs, Received, Timestamp};
use vipd_frames::journal::Head;
use vipd_frames::journal::replay::{Replay, Step};

/// A folder of a test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{name}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("it is ours");
    }
    fs::create_dir(&folder).expect("a folder");
    folder
}

fn start(folder: &Path, segment_octets: u64) -> Result<Journal, Unusable> {
    Journal::start(&Wanted { folder: folder.to_path_buf(), segment_octets })
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// What one segment tells.
struct Told {
    head: Head,
    inputs: u64,
    lost: u64,
}

fn replay(file: &Path) -> Told {
    let name = file.display();
    let opened = Replay::open(BufReader::new(File::open(file).expect("a segment")));
    let (head, mut replay) = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut told = Told { head, inputs: 0, lost: 0 };
    while let Some(step) = replay.step().unwrap_or_else(|error| panic!("{name}: {error}")) {
        match step {
            Step::Input(replayed) => {
                assert_eq!(replayed.difference, None, "{name}");
                told.inputs += 1;
            }
            Step::Lost(count) => told.lost = count,
        }
    }
    told
}

/// An engine with a journal, told the same again and again.
struct Teller {
    journal: Option<Journal>,
    engine: Engine,
    out: Outputs,
    now: Timestamp,
    inputs: u64,
}

impl Teller {
    fn new(journal: Journal) -> Self {
        let (engine, out, now) = (Engine::new(), Outputs::new(), Timestamp::from_nanos(1));
        Self { journal: Some(journal), engine, out, now, inputs: 0 }
    }

    /// A datagram of so many octets arrives. How long that took.
    fn tell(&mut self, octets: usize) -> Duration {
        let bytes = vec![0x21; octets];
        let [src, dst] = ["10.0.0.1", "224.0.0.18"].map(|one| one.parse().expect("an address"));
        let received = Received { interface: Ifindex(2), src, dst, ttl: 255, bytes: &bytes };
        self.now = self.now + Duration::from_nanos(1);
        self.inputs += 1;
        let Self { journal, engine, out, now, .. } = self;
        let began = Instant::now();
        handle(journal, engine, *now, Input::Advert(received), out);
        began.elapsed()
    }

    fn report(&self, key: &str) -> u64 {
        let report = self.journal.as_ref().expect("it goes on").report();
        report[key].as_u64().expect("a number")
    }

    /// Waits until everything that was handed over is written or lost.
    fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.report("written") + self.report("lost") < self.inputs {
            assert!(Instant::now() < deadline, "it is never written");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_segment_ends_at_its_limit_and_the_oldest_goes() {
    let folder = folder("limit");
    let mut teller = Teller::new(start(&folder, 10_000).expect("it can be used"));
    for _ in 0..1000 {
        teller.tell(100);
        // Nothing is lost and each segment ends where it should.
        teller.settle();
    }
    assert_eq!((teller.report("written"), teller.report("lost")), (1000, 0));
    teller.journal = None;
    let files = segments(&folder);
    assert_eq!(files.len(), SEGMENTS_KEPT);
    let told: Vec<_> = files.iter().map(|file| replay(file)).collect();
    let first = told[0].head.segment;
    assert!(first > 1, "the oldest are gone");
    for (number, (one, file)) in (first..).zip(told.iter().zip(&files)) {
        assert_eq!((one.head.segment, one.head.lost_before, one.lost), (number, 0, 0));
        assert!(file.ends_with(format!("segment-{number:08}.jsonl")), "{}", file.display());
        let text = fs::read_to_string(file).expect("text");
        let head = text.find('\n').expect("a head") + 1;
        let input = (text.len() - head) / one.inputs as usize;
        // The input that reaches the limit is told before the one that begins the next segment.
        let most = 10_000 + 2 * input;
        assert!(text.len() - head <= most, "{} octets, {most} at most", text.len() - head);
    }
    // The next start goes on counting.
    let last = told[told.len() - 1].head.segment;
    let mut teller = Teller::new(start(&folder, SEGMENT_OCTETS).expect("it can be used"));
    teller.tell(1);
    teller.settle();
    drop(teller);
    let newest = segments(&folder).pop().expect("a segment");
    assert_eq!(replay(&newest).head.segment, last + 1);
}

#[test]
fn what_comes_too_fast_is_lost_told_and_never_waited_for() {
    let folder = folder("flood");
    let mut teller = Teller::new(start(&folder, SEGMENT_OCTETS).expect("it can be used"));
    // Far more than the buffer takes, far faster than a disk.
    let mut worst = Duration::ZERO;
    let deadline = Instant::now() + Duration::from_secs(60);
    while teller.report("lost") < 10 || teller.inputs < 4 * WAITING_ENTRIES as u64 {
        assert!(Instant::now() < deadline, "nothing is ever lost");
        worst = worst.max(teller.tell(9000));
    }
    teller.settle();
    // After a loss it goes on.
    for _ in 0..100 {
        teller.tell(10);
        teller.settle();
    }
    let (written, lost) = (teller.report("written"), teller.report("lost"));
    assert_eq!(written + lost, teller.inputs);
    teller.journal = None;
    let told: Vec<_> = segments(&folder).iter().map(|file| replay(file)).collect();
    let sum = |of: fn(&Told) -> u64| told.iter().map(of).sum::<u64>();
    assert_eq!(told[0].head.segment, 1, "nothing was removed");
    assert_eq!((sum(|one| one.inputs), sum(|one| one.head.lost_before)), (written, lost));
    for (one, next) in told.iter().zip(&told[1..]) {
        assert_eq!(one.lost, next.head.lost_before, "segment {}", one.head.segment);
    }
    let last = told.last().expect("a segment");
    assert!(last.inputs >= 100, "the last segment is whole");
    // Two cores and other tests: a generous bound, but none that a disk would keep.
    assert!(worst < Duration::from_millis(500), "an input took {worst:?}");
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_the_way_out() {
    let place = folder("refused");
    let path = |name: &str| place.join(name);
    fs::write(path("file"), "").expect("a file");
    fs::create_dir(path("open")).expect("a folder");
    fs::set_permissions(path("open"), Permissions::from_mode(0o777)).expect("it is ours");
    let taken = start(&path("taken"), SEGMENT_OCTETS).expect("it can be used");
    let cases = BTreeMap::from([
        ("no/folder", "the folder above it is not there (make that first)"),
        ("file", "it is not a folder (name one, or one that is to be)"),
        ("open", "others may write to it (chmod 700 it)"),
        ("taken", "another vipd writes there (give each a folder of its own)"),
    ]);
    for (name, words) in cases {
        let refused = start(&path(name), SEGMENT_OCTETS).expect_err(name);
        assert_eq!(refused.to_string(), words, "{name}");
    }
    drop(taken);
    start(&path("taken"), SEGMENT_OCTETS).expect("its lock ended with it");
}

#[test]
fn only_its_owner_may_read_it_and_what_is_not_a_segment_stays() {
    let folder = folder("modes").join("journal");
    let begin = || {
        let mut teller = Teller::new(start(&folder, SEGMENT_OCTETS).expect("it can be used"));
        teller.tell(1);
        teller.settle();
    };
    begin();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("segment-00000001.jsonl"))), (0o700, 0o600));
    // A link in the place of the next segment is not followed.
    let victim = folder.join("victim");
    fs::write(&victim, "mine").expect("a file");
    symlink(&victim, folder.join("segment-00000002.jsonl")).expect("a link");
    for name in ["notes.txt", "segment-7.jsonl", "segment-00000003.jsonl.gz"] {
        fs::write(folder.join(name), name).expect("a file");
    }
    for _ in 0..SEGMENTS_KEPT + 2 {
        begin();
    }
    assert_eq!(fs::read_to_string(victim).expect("it stays"), "mine");
    for name in ["notes.txt", "segment-7.jsonl", "segment-00000003.jsonl.gz"] {
        assert_eq!(fs::read_to_string(folder.join(name)).expect("it stays"), name);
    }
}
