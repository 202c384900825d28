//! A storm of malformed and spoofed adverts, more than vipd can read, while a pair fails over on
//! real kernels: own adverts leave in time, nobody changes state for it, memory stays as it was,
//! and the log has one line per cause.

mod netns;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, SystemTime};

use netns::capture::{Capture, Frame};
use netns::process::Process;
use netns::{Host, INTERFACE, Network, TOLERANCE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{Advert, Interval, MacAddress, Password, Version, Vrid};
use vipd_frames::{Endpoints, Ethernet, IpHeader, encode_raw};
use vipd_sys::PacketSocket;

const VIP: &str = "10.8.0.100";
const GROUP: [u8; 4] = [224, 0, 0, 18];
const INTERVAL: Duration = Duration::from_secs(1);
/// `Skew_Time` of a priority of 99.
const SKEW: Duration = Duration::from_nanos(613_281_250);
/// `Master_Down_Interval` of the same.
const MASTER_DOWN: Duration = Duration::from_nanos(3_613_281_250);
/// Who storms.
const STRANGER: usize = 2;
/// Frames that are sent before it is seen whether they were too many.
const GUST: usize = 500;
/// What a daemon may be late by for want of a processor, beside the tolerance: others run here too.
const MOST_WAITED: Duration = Duration::from_millis(150);
/// Between two bursts.
const PAUSE: Duration = Duration::from_millis(250);
/// What the memory of a daemon may grow by, in octets.
const GROWS: u64 = 512 << 10;

fn file(host: &Host, priority: u8) -> std::path::PathBuf {
    host.file(&format!(
        "vrrp_instance VI_1 {{\n state BACKUP\n interface {INTERFACE}\n virtual_router_id 51\n \
         priority {priority}\n advert_int 1\n authentication {{\n auth_type PASS\n auth_pass \
         1111\n }}\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
    ))
}

/// A worse router's advert, with which everything is right.
fn worse() -> Advert {
    Advert {
        version: Version::V2,
        vrid: Vrid::new(51).expect("in range"),
        priority: 1,
        interval: Interval::DEFAULT,
        password: Some(Password::new(b"1111").expect("not too long")),
        addresses: [VIP.parse().expect("an address")].into(),
    }
}

/// A frame per cause, each from an address of its own.
fn storm() -> Vec<Vec<u8>> {
    let right = |advert: &Advert| {
        let mut octets = Vec::new();
        let src = [10, 8, 0, 3].into();
        advert.emit(src, GROUP.into(), ChecksumForm::PseudoHeader, &mut octets);
        octets
    };
    let with = |at: usize, octet: u8| {
        let mut octets = right(&worse());
        octets[at] = octet;
        octets
    };
    let seconds = |count| Interval::from_seconds(count).expect("in range");
    let password = |text: &[u8]| Some(Password::new(text).expect("not too long"));
    let others = [[10, 8, 0, 101].into()].into();
    let messages = [
        (255, Vec::new()),
        (255, right(&worse())[..11].to_vec()),
        (255, with(0, 0x71)),
        (255, with(0, 0x22)),
        (255, with(6, 0)),
        (254, right(&worse())),
        (255, right(&Advert { vrid: Vrid::new(52).expect("in range"), ..worse() })),
        (255, right(&Advert { password: password(b"guess"), ..worse() })),
        (255, right(&Advert { password: None, ..worse() })),
        (255, right(&Advert { interval: seconds(3), ..worse() })),
        (255, right(&Advert { addresses: others, ..worse() })),
        (255, right(&Advert { version: Version::V3, password: None, ..worse() })),
        (255, right(&worse())),
    ];
    let frame = |(last, (ttl, message)): (u8, (u8, Vec<u8>))| {
        let endpoints = Endpoints::new([10, 8, 0, last].into(), GROUP.into()).expect("a family");
        let own = MacAddress([2, 0, 0, 0, 0, last]);
        let ethernet = Ethernet::toward(own, GROUP.into(), MacAddress::BROADCAST);
        let mut frame = Vec::new();
        encode_raw(ethernet, &IpHeader::vrrp(endpoints, ttl, 0), &message, &mut frame);
        frame
    };
    (200..).zip(messages).map(frame).collect()
}

/// Storms at a victim, the process of a backup, until the other end of `stop` is gone. Answers with
/// how many frames left, and how many were thrown away unread. The victim stands still during the
/// first burst, so that it is more than can be read, whatever else this machine does.
fn flood([from, victim]: [&Host; 2], process: Pid, stop: &Receiver<()>) -> (u64, u64) {
    let (socket, index) = from.within(|| {
        let index = nix::net::if_::if_nametoindex(INTERFACE).expect("its interface");
        (PacketSocket::new().expect("a packet socket"), index)
    });
    let mut listed = victim.within(|| File::open("/proc/thread-self/net/raw")).expect("its list");
    let frames = storm();
    let (mut sent, mut lost) = (0, 0);
    kill(process, Signal::SIGSTOP).expect("it runs");
    loop {
        // A burst ends when one was thrown away unread: that is more than can be read, and the next
        // advert of the master is not meant to be lost as well.
        let calm = lost;
        while lost == calm && stop.try_recv() == Err(TryRecvError::Empty) {
            for frame in frames.iter().cycle().take(GUST) {
                sent += u64::from(socket.send(index, frame).is_ok());
            }
            lost = thrown_away(&mut listed).expect("its list");
        }
        if calm == 0 {
            kill(process, Signal::SIGCONT).expect("it runs");
        }
        if stop.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
            return (sent, lost);
        }
    }
}

/// Datagrams that the kernel threw away since those before them were not read yet: the last column
/// of its list of raw sockets.
fn thrown_away(listed: &mut File) -> io::Result<u64> {
    let mut text = String::new();
    listed.rewind()?;
    listed.read_to_string(&mut text)?;
    let drops = text.lines().skip(1).filter_map(|line| line.split_whitespace().last());
    Ok(drops.filter_map(|drops| drops.parse::<u64>().ok()).sum())
}

fn heap(vipd: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vipd.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    let kilobytes = line.trim().strip_suffix(" kB").expect("a unit").parse::<u64>();
    kilobytes.expect("a number") * 1024
}

/// For how long it was ready to run while others did (/proc/PID/schedstat).
fn waited(vipd: &Process) -> Duration {
    let facts = fs::read_to_string(format!("/proc/{}/schedstat", vipd.id())).expect("it runs");
    let nanos = facts.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

/// The backup takes over after its skew, or if the storm has pushed out the resignation, when its
/// master has been silent for long enough: never earlier, and later by no more than what an advert
/// may have waited behind others.
fn assert_called_for(capture: &Capture, taken: SystemTime) {
    let due = |one: &Frame| one.at + if one.priority() == Some(0) { SKEW } else { MASTER_DOWN };
    let mut heard = capture.adverts(0, 0);
    let late = |one: &Frame| (taken + TOLERANCE).duration_since(due(one)).ok();
    heard.retain(|one| late(one).is_some_and(|late| late <= INTERVAL));
    assert!(!heard.is_empty(), "nothing called for the takeover at {taken:?}");
}

/// Waits for some adverts of the host that is master, and asserts that none of them was late: by no
/// more than the tolerance, and what it had to wait for a processor.
fn stays_in_time(network: &Network, vipd: &Process, (host, priority): (usize, u8), adverts: usize) {
    let capture = &network.capture;
    let mark = capture.mark();
    let mut last = capture.advert(mark, host, priority).at;
    for _ in 1..adverts {
        let before = waited(vipd);
        let is_next =
            |one: &Frame| one.host == host && one.priority() == Some(priority) && one.at > last;
        let next = capture.wait(mark, "the next advert", is_next).at;
        let silent = next.duration_since(last).unwrap_or_default();
        let excused = waited(vipd).saturating_sub(before).min(MOST_WAITED);
        let limit = INTERVAL + TOLERANCE + excused;
        assert!(silent <= limit, "host {host} was silent for {silent:?}, {excused:?} excused");
        last = next;
    }
}

/// The changes of state that a daemon has told of, and its other lines with how often each came.
fn said(vipd: &Process) -> (Vec<String>, BTreeMap<String, u32>) {
    let (mut changes, mut others) = (Vec::new(), BTreeMap::new());
    for line in vipd.said().lines() {
        // Behind the time.
        let words = line.split_once(' ').map_or(line, |(_, words)| words).trim();
        match words.split_once(" -> ") {
            Some((from, to)) if words.contains("VI_1: ") => {
                let from = from.rsplit(' ').next().unwrap_or_default();
                let to = to.split(':').next().unwrap_or_default();
                changes.push(format!("{from} -> {to}"));
            }
            _ => *others.entry(words.to_string()).or_default() += 1,
        }
    }
    (changes, others)
}

#[test]
fn a_storm_changes_no_state_delays_no_advert_and_fills_neither_memory_nor_the_log() {
    netns::measured(|| {
        let own: [&[&str]; 3] = [&["10.8.0.1/24"], &["10.8.0.2/24"], &["10.8.0.3/24"]];
        let Some(mut network) = netns::network(&own) else { return };
        network.capture_leaving(&[0, 1]);
        let (network, hosts) = (&network, &network.hosts);
        let mut first = hosts[0].start_quiet(&file(&hosts[0], 100));
        network.capture.announcement(0, 0, VIP);
        let second = hosts[1].start_quiet(&file(&hosts[1], 99));
        stays_in_time(network, &first, (0, 100), 2);
        let before = [heap(&first), heap(&second)];

        let (sent, lost) = std::thread::scope(|scope| {
            let (calm, stop) = channel();
            let victim = Pid::from_raw(second.id().try_into().expect("a process id"));
            let storm = scope.spawn(move || flood([&hosts[STRANGER], &hosts[1]], victim, &stop));
            stays_in_time(network, &first, (0, 100), 4);
            let after = heap(&first);
            assert!(after <= before[0] + GROWS, "the master grew from {} to {after}", before[0]);

            // The master goes, its backup takes over, and gives back when it returns.
            let mark = network.capture.mark();
            first.signal(Signal::SIGTERM);
            let resigned = network.capture.advert(mark, 0, 0);
            let taken = network.capture.advert(mark, 1, 99);
            assert!(taken.at > resigned.at, "before the resignation");
            assert_called_for(&network.capture, taken.at);
            stays_in_time(network, &second, (1, 99), 2);
            let (changes, _) = said(&first);
            assert_eq!(changes[..2], ["init -> backup", "backup -> master"]);
            first = hosts[0].start_quiet(&file(&hosts[0], 100));
            second.wait_for("master -> backup");
            stays_in_time(network, &first, (0, 100), 3);
            drop(calm);
            storm.join().expect("no panic")
        });

        assert!(lost > 0, "{sent} frames were no more than can be read");
        let after = heap(&second);
        assert!(after <= before[1] + GROWS, "the backup grew from {} to {after}", before[1]);
        assert_eq!(said(&first).0, ["init -> backup", "backup -> master"]);
        let (changes, others) = said(&second);
        assert_eq!(changes, ["init -> backup", "backup -> master", "master -> backup"]);
        let often: Vec<_> = others.iter().filter(|(_, count)| **count > 1).collect();
        assert!(often.is_empty(), "said more than once: {often:#?}");
        assert!(others.len() <= storm().len() + 12, "{others:#?}");
    });
}
