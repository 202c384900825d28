//! Real namespaces for tests: a bridge in one of its own, and hosts plugged into it.
//!
//! Everything has unique names and is removed again, also after a panic. What a machine cannot
//! provide is a skip in plain sight, and under `CI=true` a failure.

#![allow(dead_code)]

pub mod capture;
pub mod process;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use capture::Capture;
use nix::sched::{CloneFlags, setns};
use process::Process;

/// What a real kernel and a real scheduler may add to an expected time.
pub const TOLERANCE: Duration = Duration::from_millis(50);
/// Longer than anything that is waited for takes: a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The interface of every host, as the seed's files name it.
pub const INTERFACE: &str = "ens192";

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// One LAN.
pub struct Network {
    /// Also the name of the bridge's namespace, and the first part of the hosts'.
    name: String,
    pub folder: PathBuf,
    pub hosts: Vec<Host>,
    pub capture: Capture,
}

/// A host with one interface on the LAN.
pub struct Host {
    namespace: String,
    /// A thing of this name in the test's folder is this host's.
    tag: String,
    folder: PathBuf,
}

/// A network in which host `i` has the addresses `addresses[i]`, or `None` with the reason told.
pub fn network(addresses: &[&[&str]]) -> Option<Network> {
    match Network::new(addresses) {
        Ok(network) => Some(network),
        Err(reason) => {
            skip(&reason);
            None
        }
    }
}

/// Says in plain sight that a test cannot be run here. In CI that is a failure.
pub fn skip(reason: &str) {
    // Not by a macro: the test harness would keep that to itself.
    let _ = writeln!(std::io::stdout(), "skipped: {reason}");
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "a skip is no pass in CI: {reason}");
}

/// Runs a test that measures times. Real machines stall: what is wrong has to be wrong twice, and
/// what was wrong the first time is said.
pub fn measured(test: impl Fn()) {
    let first = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test));
    if let Err(panic) = first {
        // A test that passes in the end shows nothing of what it said.
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        let _ = writeln!(std::io::stdout(), "failed, and is tried once more: {words}");
        test();
    }
}

/// The two directors of the seed case.
pub fn directors() -> Option<Network> {
    network(&[&["200.222.0.73/24"], &["200.222.0.74/24"]])
}

pub fn seed(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("scenarios/seed").join(name)
}

impl Network {
    fn new(addresses: &[&[&str]]) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("namespaces need root".to_string());
        }
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("vipd-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        ip(&["netns", "add", &name])?;
        // From here on its drop removes what there is.
        let mut hosts = Vec::new();
        let capture = Capture::none();
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        for at in 0..addresses.len() {
            let (namespace, folder) = (format!("{name}-{at}"), folder.clone());
            hosts.push(Host { namespace, tag: format!("{at}"), folder });
        }
        let mut network = Self { name, folder, hosts, capture };
        network.in_bridge(&["link", "add", "name", "lan", "type", "bridge"])?;
        network.in_bridge(&["link", "set", "lan", "up"])?;
        for (at, addresses) in addresses.iter().enumerate() {
            network.plug(at, addresses)?;
        }
        network.capture = Capture::start(&network.name, network.hosts.len())?;
        Ok(network)
    }

    fn plug(&self, at: usize, addresses: &[&str]) -> Result<(), String> {
        ip(&["netns", "add", &self.hosts[at].namespace])?;
        self.plug_in(at, addresses)
    }

    fn plug_in(&self, at: usize, addresses: &[&str]) -> Result<(), String> {
        let (host, port) = (&self.hosts[at], port(at));
        let peer = ["peer", "name", INTERFACE, "netns", &host.namespace];
        self.in_bridge(&[&["link", "add", "name", &port, "type", "veth"], &peer[..]].concat())?;
        self.in_bridge(&["link", "set", &port, "master", "lan", "up"])?;
        host.try_ip(&["link", "set", "lo", "up"])?;
        for address in addresses {
            host.try_ip(&["address", "add", address, "dev", INTERFACE, "nodad"])?;
        }
        host.try_ip(&["link", "set", INTERFACE, "up"]).map(drop)
    }

    fn in_bridge(&self, arguments: &[&str]) -> Result<String, String> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// Removes the interface of a host and makes it anew. The capture does not know its port.
    pub fn replace_interface(&self, at: usize, addresses: &[&str]) {
        self.in_bridge(&["link", "delete", &port(at)]).expect("its port");
        self.plug_in(at, addresses).expect("a new port");
    }

    /// From now on a new capture, of what leaves these hosts.
    pub fn capture_leaving(&mut self, hosts: &[usize]) {
        self.capture.stop();
        let hosts: Vec<_> = hosts.iter().map(|at| (*at, &*self.hosts[*at].namespace)).collect();
        self.capture = Capture::of_leaving(&hosts).expect("a capture");
    }

    /// Pulls the cable of a host, or plugs it in again.
    pub fn cable(&self, at: usize, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        self.in_bridge(&["link", "set", &port(at), state]).expect("its port");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.capture.stop();
        for name in self.hosts.iter().map(|host| &host.namespace).chain([&self.name]) {
            // One that was never made cannot be removed.
            let _ = ip(&["netns", "delete", name]);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Host {
    /// Starts vipd with this file, and waits until it says that it is ready.
    pub fn start(&self, file: &Path) -> Process {
        let vipd = self.launch(file);
        vipd.wait_for("ready: ");
        vipd
    }

    /// Starts vipd with this file.
    pub fn launch(&self, file: &Path) -> Process {
        self.launch_with(&[], file)
    }

    /// Starts vipd with this file by another program, such as env(1). VRRP only: the machine may
    /// have no IPVS.
    pub fn launch_with(&self, starter: &[&str], file: &Path) -> Process {
        self.launch_also(starter, file, &[])
    }

    /// The same with these options too.
    pub fn launch_also(&self, starter: &[&str], file: &Path, options: &[&str]) -> Process {
        let (file, socket) = (file.display().to_string(), self.socket());
        let program = env!("CARGO_BIN_EXE_vipd");
        let words = [program, "run", "-P", "-f", &file, "--log", "debug", "--socket", &socket];
        self.run(&[starter, &words, options].concat())
    }

    /// Starts vipd with this file and what an operator sees: no line below `info`.
    pub fn start_quiet(&self, file: &Path) -> Process {
        let (file, socket) = (file.display().to_string(), self.socket());
        let program = env!("CARGO_BIN_EXE_vipd");
        let vipd = self.run(&[program, "run", "-P", "-f", &file, "--socket", &socket]);
        vipd.wait_for("ready: ");
        vipd
    }

    /// Does something on a thread that has entered this host's namespace.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = format!("/run/netns/{}", self.namespace);
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                let file = File::open(namespace).expect("its namespace");
                setns(file, CloneFlags::CLONE_NEWNET).expect("it can be entered");
                act()
            });
            entered.join().expect("no panic")
        })
    }

    /// Starts any program in this host's namespace.
    pub fn run(&self, words: &[&str]) -> Process {
        // It replaces itself by the program, so the process id is the program's.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).args(words);
        Process::start(command)
    }

    /// What a program prints in this host's namespace.
    pub fn output(&self, words: &[&str]) -> String {
        ip(&[&["netns", "exec", &self.namespace], words].concat()).expect("it ends well")
    }

    /// A file of this host with this text.
    pub fn file(&self, text: &str) -> PathBuf {
        let file = self.folder.join(format!("{}.conf", self.tag));
        std::fs::write(&file, text).expect("a file of ours");
        file
    }

    pub fn socket(&self) -> String {
        self.folder.join(format!("{}.sock", self.tag)).display().to_string()
    }

    /// What becomes of a TCP connection from this host: nobody listens, so it is refused where it
    /// is heard, and times out where it is not.
    pub fn connect(&self, address: &str) -> ErrorKind {
        self.connect_within(address, Duration::from_millis(500))
    }

    /// The same, with another patience.
    pub fn connect_within(&self, address: &str, patience: Duration) -> ErrorKind {
        let namespace = format!("/run/netns/{}", self.namespace);
        let to = SocketAddr::new(address.parse().expect("an address"), 9);
        // Only this thread enters the namespace.
        let asked = std::thread::spawn(move || {
            setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
            TcpStream::connect_timeout(&to, patience)
        });
        asked.join().expect("no panic").expect_err("nobody listens there").kind()
    }

    /// `ip ...` in this host's namespace.
    pub fn ip(&self, arguments: &[&str]) -> String {
        self.try_ip(arguments).expect("ip does it")
    }

    fn try_ip(&self, arguments: &[&str]) -> Result<String, String> {
        ip(&[&["-n", &self.namespace], arguments].concat())
    }

    /// Whether the host has this address on any interface.
    pub fn holds(&self, address: &str) -> bool {
        let shown = self.ip(&["-o", "address", "show"]);
        let wanted: IpAddr = address.parse().expect("an address");
        shown.split_whitespace().any(|word| {
            let plain = word.split('/').next().unwrap_or_default();
            plain.parse() == Ok(wanted)
        })
    }

    /// What `vipd status --json` says.
    pub fn status(&self) -> serde_json::Value {
        let output = self.vipd(&["status", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one object")
    }

    /// A command of vipd that speaks to the one that runs here.
    pub fn vipd(&self, words: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vipd"));
        command.args(words).args(["--socket", &self.socket()]).output().expect("it was built")
    }
}

fn port(at: usize) -> String {
    format!("port{at}")
}

fn ip(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("cannot run ip (iproute2): {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("ip {}: {}", arguments.join(" "), text(&output.stderr)))
    }
}
