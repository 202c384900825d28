//! A machine with a kernel of its own that stands still while it is master, and goes on beside the
//! new one: with `dead_man` it owns nothing before it is elected again, without it (vipd or
//! keepalived) it answers for the address at once. Whose the address is shows by ARP alone.
//!
//! It takes root, QEMU, a kernel (`./test --all` brings both), iproute2, nftables, keepalived, and
//! vipd built. What is missing is a skip in plain sight, and a failure under `CI=true`.
//! `FREEZES=10` freezes each so often.

mod machine;

use std::fmt;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use machine::{Clock, Machine, Parts};
use vipd_engine::MacAddress;
use vipd_frames::{ArpOperation, Payload, decode, neighbour};
use vipd_netns_tests::namespaces::{Namespace, Namespaces};
use vipd_netns_tests::wire::Plug;

/// The machine, of priority 200, and the backup beside it, of priority 100.
const A: MacAddress = MacAddress([0x02, 0, 0, 0, 0, 1]);
const B: MacAddress = MacAddress([0x02, 0, 0, 0, 0, 2]);
/// Who asks. No interface has it.
const OBSERVER: MacAddress = MacAddress([0x02, 0xff, 0, 0, 0, 1]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const TAP: &str = "machine";
const EVERY: Duration = Duration::from_millis(10);
/// Whoever has answered alone for so long, and half of what was asked, owns the address.
const SETTLED: Duration = Duration::from_millis(500);
const HALF: usize = 25;
/// Longer than a boot or an election takes, on a machine that is busy.
const LONG: Duration = Duration::from_secs(120);
/// The machine waits 3.21875 s before it may be master again.
const WINDOW: Duration = Duration::from_secs(2);
/// By so much the gate may be late (docs/split-brain.md).
const GATE_DELAY: Duration = Duration::from_millis(10);

/// What runs on the machine, and what its console is told for it.
#[derive(Clone, Copy, Debug)]
enum Node {
    Leased,
    Bare,
    Keepalived,
}

impl Node {
    const fn command(self) -> &'static str {
        match self {
            Self::Leased => "vipd run --file /leased.conf --id a --socket /run/vipd.sock",
            Self::Bare => "vipd run --file /bare.conf --id a --socket /run/vipd.sock",
            // It passes over the line with the lease.
            Self::Keepalived => {
                "keepalived -n -l -G -f /leased.conf -i a -p /run/keepalived.pid -r /run/vrrp.pid \
                 -c /run/checkers.pid"
            }
        }
    }
}

/// An answer for the address: when, by the wall clock, and whose.
struct Answer {
    at: Duration,
    by: MacAddress,
}

/// Asks for the address, and keeps the answers.
struct Observer {
    plug: Plug,
    question: Vec<u8>,
    next: Instant,
    answers: Vec<Answer>,
    buffer: Vec<u8>,
}

/// What was seen of one freeze.
#[derive(Debug)]
struct Seen {
    /// The backup's first answer, after the freeze.
    taken_over: Duration,
    /// The backup's last answer, after the thaw.
    left: Duration,
    /// Answers of the machine, after the thaw.
    thawed: Vec<Duration>,
}

/// Everything that is made for the test. Processes end before their namespaces.
struct Place {
    machine: Machine,
    observer: Observer,
    backup: Child,
    told: u32,
    _namespaces: Namespaces,
}

#[test]
fn a_frozen_machine_owns_nothing_once_its_lease_is_over() {
    let parts = match parts() {
        Ok(parts) => parts,
        Err(reason) => {
            println!("skipped: {reason}");
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "a skip is no pass in CI: {reason}");
            return;
        }
    };
    let times = std::env::var("FREEZES").map_or(1, |times| times.parse().expect("a number"));
    let mut place = Place::new(&parts);
    for _ in 0..times {
        let seen = place.freeze(Node::Leased, Clock::GoesOn);
        assert_eq!(seen.beyond(), 0, "{seen:?}\n{}", place.machine.console());
        assert!(seen.left > WINDOW - SETTLED, "the backup has left: {seen:?}");
    }
    let why = "its own last advert is older than its lease";
    assert!(place.machine.console().contains(why), "{}", place.machine.console());
    // The monitor stops its clock as well: what was left of its lease is left still.
    let stops = (Node::Leased, Clock::StandsStill);
    let others = [(Node::Bare, Clock::GoesOn), (Node::Keepalived, Clock::GoesOn), stops];
    for (node, clock) in others.repeat(times) {
        let seen = place.freeze(node, clock);
        assert!(seen.beyond() > 0, "{seen:?}\n{}", place.machine.console());
    }
}

/// What is needed.
fn parts() -> Result<Parts, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("network namespaces need root: try sudo".to_string());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err("there is no /dev/net/tun".to_string());
    }
    let vipd = vipd();
    if !vipd.is_file() {
        return Err(format!("{} is not built: cargo build -p vipd", vipd.display()));
    }
    Parts::find(vipd)
}

fn vipd() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_viplab")).with_file_name("vipd")
}

/// The file of the scenarios' pair.
fn pair() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("scenarios/dead-man/pair.conf")
}

fn mac(mac: MacAddress) -> String {
    mac.0.map(|octet| format!("{octet:02x}")).join(":")
}

/// By the clock of the frames' times.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970")
}

impl Seen {
    /// Answers of the machine until the backup's last one.
    fn beside(&self) -> usize {
        self.thawed.iter().filter(|at| **at <= self.left).count()
    }

    /// Answers of the machine that no gate could be late for.
    fn beyond(&self) -> usize {
        let begun = self.thawed.first().copied().unwrap_or_default();
        self.thawed.iter().filter(|at| **at > begun + GATE_DELAY).count()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, beside, beyond) = (self.thawed.len(), self.beside(), self.beyond());
        write!(
            f,
            "taken over after {:?}; after the thaw {all} answers of the machine, ",
            self.taken_over
        )?;
        write!(f, "{beside} of them beside the backup's, {beyond} later than {GATE_DELAY:?}")
    }
}

impl Place {
    /// A segment with the machine, its backup and the observer; the machine obeys.
    fn new(parts: &Parts) -> Self {
        let mut namespaces = Namespaces::new().expect("namespaces");
        let segment = namespaces.add("segment").expect("a namespace");
        let beside = namespaces.add("backup").expect("a namespace");
        let lines = format!(
            "link add lan type bridge mcast_snooping 0\nlink set lan up
            tuntap add dev {TAP} mode tap\nlink set {TAP} master lan up
            link add backup type veth peer name eth0 address {} netns {}
            link set backup master lan up
            link add lan-observer type veth peer name observer
            link set lan-observer master lan up\nlink set observer up\n",
            mac(B),
            beside.name()
        );
        segment.ip(&lines).expect("links");
        beside.ip("link set eth0 up\naddress add 10.0.0.2/24 dev eth0\n").expect("an interface");
        let folder = namespaces.folder().to_path_buf();
        let leased = fs::read_to_string(pair()).expect("the pair's file");
        let bare: Vec<_> = leased.lines().filter(|line| !line.contains("dead_man 1.5")).collect();
        assert_eq!(bare.len() + 1, leased.lines().count());
        let bare = bare.join("\n") + "\n";
        let prepare = "ip link set eth0 up\nip address add 10.0.0.1/24 dev eth0";
        let archive = parts.archive(prepare, &[("/leased.conf", leased), ("/bare.conf", bare)]);
        let archive = archive.expect("an archive");
        let machine = parts.boot(&archive, (&segment, TAP, &mac(A)), &folder).expect("a machine");
        let observer = Observer::new(&segment);
        let backup = backup(&beside, &folder);
        let mut place = Self { machine, observer, backup, told: 0, _namespaces: namespaces };
        place.until("the machine obeys", |machine, _| machine.has_said("ready"));
        place
    }

    /// The node becomes master on the machine, that stands still until the backup has taken over,
    /// and goes on. The backup is master again afterwards, and the node is gone.
    fn freeze(&mut self, node: Node, clock: Clock) -> Seen {
        self.until("the backup is master", |_, observer| observer.is_settled(B));
        self.machine.tell(&format!("{} & node=$!", node.command()));
        self.until("the machine is master", |_, observer| observer.is_settled(A));
        let frozen = now();
        self.machine.freeze(clock);
        self.until("the backup takes over", |_, observer| observer.is_settled(B));
        let thawed = now();
        self.machine.thaw();
        self.observer.watch(WINDOW);
        let seen = self.observer.seen(frozen, thawed);
        println!("{node:?}, its clock {clock:?}: {seen}");
        self.told += 1;
        let gone = format!("gone-{}", self.told);
        self.machine.tell(&format!("kill $node; wait $node; echo {gone}"));
        self.until("the node ends", |machine, _| machine.has_said(&gone));
        seen
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Machine, &Observer) -> bool) {
        let began = Instant::now();
        while !is_so(&self.machine, &self.observer) {
            let console = || self.machine.console();
            assert!(began.elapsed() < LONG, "not within {LONG:?}: {what}\n{}", console());
            self.observer.watch(EVERY);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.backup.kill();
        let _ = self.backup.wait();
    }
}

/// A vipd beside the machine.
fn backup(namespace: &Namespace, folder: &Path) -> Child {
    let log = File::create(folder.join("backup.log")).expect("a file of ours");
    let entering = namespace.entering();
    let mut command = Command::new(entering[0]);
    command.args(&entering[1..]).args(["setpriv", "--pdeathsig", "KILL"]).arg(vipd());
    command.args(["run", "--id", "b", "--file"]).arg(pair());
    command.arg("--socket").arg(folder.join("backup.sock"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("it starts")
}

impl Observer {
    fn new(segment: &Namespace) -> Self {
        let plug = segment.within(|| Plug::open("observer")).expect("the namespace");
        let plug = plug.expect("a packet socket");
        let mut question = Vec::new();
        // A probe (RFC 5227 section 1.1): who answers it learns nothing.
        neighbour::arp_request(OBSERVER, Ipv4Addr::UNSPECIFIED, ADDRESS, &mut question);
        let (next, answers, buffer) = (Instant::now(), Vec::new(), vec![0; 1 << 16]);
        Self { plug, question, next, answers, buffer }
    }

    /// Asks and listens for so long.
    fn watch(&mut self, long: Duration) {
        let until = Instant::now() + long;
        while Instant::now() < until {
            if Instant::now() >= self.next {
                self.next = Instant::now() + EVERY;
                self.plug.send(&self.question).expect("the wire");
            }
            while let Some((length, at)) = self.plug.receive(&mut self.buffer).expect("the wire") {
                let packet = decode(&self.buffer[..length]);
                if let Ok(Payload::Arp(arp)) = packet.map(|packet| packet.payload)
                    && arp.operation == ArpOperation::Reply
                    && (arp.spa, arp.tha) == (ADDRESS, OBSERVER)
                {
                    self.answers.push(Answer { at, by: arp.sha });
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether `who` alone answers, to most of what was asked.
    fn is_settled(&self, who: MacAddress) -> bool {
        let since = now().saturating_sub(SETTLED);
        let last: Vec<_> = self.answers.iter().filter(|answer| answer.at >= since).collect();
        let lives = last.last().is_some_and(|answer| answer.at + 3 * EVERY > now());
        lives && last.len() >= HALF && last.iter().all(|answer| answer.by == who)
    }

    fn seen(&self, frozen: Duration, thawed: Duration) -> Seen {
        let of = |who| self.answers.iter().filter(move |answer| answer.by == who);
        let mut after = of(B).filter(|answer| answer.at > frozen);
        let first = after.next().expect("it has taken over");
        let last = after.next_back().unwrap_or(first);
        Seen {
            taken_over: first.at - frozen,
            left: last.at.saturating_sub(thawed),
            thawed: of(A).filter_map(|answer| answer.at.checked_sub(thawed)).collect(),
        }
    }
}
