//! vipd under systemd: what it tells by sd_notify(3), and the unit file.

mod netns;

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use netns::{INTERFACE, PATIENCE, network, skip};
use nix::sys::signal::Signal;

/// The watchdog's limit.
const LIMIT: Duration = Duration::from_millis(600);

/// What a supervisor would be.
struct Listener(UnixDatagram);

impl Listener {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket of ours");
        Self(socket)
    }

    /// The next word within this time.
    fn next(&self, within: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(within)).expect("a time");
        let mut octets = [0; 1000];
        let length = self.0.recv(&mut octets).ok()?;
        Some(String::from_utf8_lossy(&octets[..length]).into_owned())
    }

    /// Waits for a word with these lines, and passes others over.
    fn wait_for(&self, lines: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let word = self.next(left.max(Duration::from_millis(1)));
            let word = word.unwrap_or_else(|| panic!("{lines:?} is never told"));
            if lines.iter().all(|line| word.lines().any(|one| one.starts_with(line))) {
                return word;
            }
        }
    }
}

fn instance(priority: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface {INTERFACE}\n virtual_router_id 7\n \
         priority {priority}\n virtual_ipaddress {{\n 192.0.2.9\n }}\n}}\n"
    )
}

#[test]
fn it_says_when_the_configuration_is_live_when_it_reloads_and_stops_and_that_it_lives() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let host = &network.hosts[0];
    let path = network.folder.join("notify");
    let systemd = Listener::at(&path);
    let to = format!("NOTIFY_SOCKET={}", path.display());
    let watchdog = format!("WATCHDOG_USEC={}", LIMIT.as_micros());
    let file = host.file(&instance("255"));
    let mut vipd = host.launch_with(&["env", &to, &watchdog], &file);
    systemd.wait_for(&["READY=1", "STATUS=master of 1 of 1 virtual routers"]);

    // Twice within the limit, in good time.
    for _ in 0..5 {
        let asked = Instant::now();
        systemd.wait_for(&["WATCHDOG=1"]);
        assert!(asked.elapsed() < LIMIT * 3 / 4, "after {:?}", asked.elapsed());
    }
    // A process that hangs shows no life.
    vipd.signal(Signal::SIGSTOP);
    while systemd.next(Duration::from_millis(1)).is_some() {}
    assert_eq!(systemd.next(LIMIT), None);
    vipd.signal(Signal::SIGCONT);
    systemd.wait_for(&["WATCHDOG=1"]);

    host.file(&instance("100"));
    vipd.signal(Signal::SIGHUP);
    systemd.wait_for(&["RELOADING=1", "MONOTONIC_USEC="]);
    systemd.wait_for(&["READY=1", "STATUS=master of 1 of 1"]);
    host.file(&instance("300"));
    vipd.signal(Signal::SIGHUP);
    systemd.wait_for(&["RELOADING=1"]);
    systemd.wait_for(&["READY=1", "STATUS=the file cannot be used, nothing was changed"]);

    vipd.signal(Signal::SIGTERM);
    systemd.wait_for(&["STOPPING=1"]);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

#[test]
fn without_a_supervisor_nothing_is_missing_and_one_that_is_gone_keeps_nobody() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let host = &network.hosts[0];
    let file = host.file(&instance("255"));
    let mut vipd = host.launch_with(&["env", "NOTIFY_SOCKET=/nonexistent/socket"], &file);
    vipd.wait_for("ready: ");
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

/// The unit file with this program in it, as a file of ours.
fn unit() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let text = std::fs::read_to_string(root.join("packaging/vipd.service")).expect("it is there");
    assert!(text.contains("=/usr/sbin/vipd run"), "{text}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unit");
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    let unit = folder.join("vipd.service");
    let text = text.replace("/usr/sbin/vipd", env!("CARGO_BIN_EXE_vipd"));
    std::fs::write(&unit, text.replace("man:keepalived.conf(5)", "")).expect("a file of ours");
    unit
}

#[test]
fn the_unit_file_is_one_for_systemd_and_leaves_little_open() {
    let unit = unit();
    let ask = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output();
        output.map(|output| {
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        })
    };
    let Ok((good, said)) = ask(&["verify"]) else {
        return skip("systemd-analyze is not installed");
    };
    assert!(good && !said.contains("vipd.service"), "{said}");
    // 0.0 would be shut in entirely, 9.6 is a service without a single line of this kind.
    let (good, said) = ask(&["security", "--offline=true", "--threshold=45"]).expect("it is there");
    assert!(good, "{said}");
}
