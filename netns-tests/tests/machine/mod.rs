//! A machine with a kernel of its own: QEMU, which emulates a processor too, so that no machine is
//! without it. Its card is a TAP, and its disk an archive in memory, made of programs of this
//! machine. It obeys lines of shell on its console.
//!
//! The kernel is Debian's, unpacked by `./test --all` into `target/kernel`; otherwise this
//! machine's.

pub mod archive;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd_netns_tests::namespaces::Namespace;
use vipd_netns_tests::run::found;

use archive::Archive;

const QEMU: &str = "qemu-system-x86_64";
/// What the machine needs besides its node, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 6] = [
    ("sh", "dash"),
    ("mount", "mount"),
    ("insmod", "kmod"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("keepalived", "keepalived"),
];
/// Modules in the order in which they need each other. Kernels have some of them built in.
const MODULES: [&str; 11] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "nfnetlink",
    "libcrc32c",
    "nf_tables",
];
/// Numbers of the kernel's console (`Documentation/admin-guide/devices.txt`).
const CONSOLE: [u32; 2] = [5, 1];
const MEMORY: &str = "768";
/// QEMU answers at once; a busy machine takes longer.
const OBEYS_WITHIN: Duration = Duration::from_secs(20);

/// What a machine is made of.
pub struct Parts {
    qemu: PathBuf,
    kernel: PathBuf,
    modules: Vec<PathBuf>,
    programs: BTreeMap<&'static str, PathBuf>,
}

/// Whether the clock of a machine goes on while it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// SIGSTOP of its process: what its clock counts goes on.
    GoesOn,
    /// The monitor's `stop`, as for a machine that is suspended or moved.
    StandsStill,
}

/// A machine that runs. It ends when it is dropped.
pub struct Machine {
    child: Child,
    console: ChildStdin,
    folder: PathBuf,
    frozen: Option<Clock>,
}

impl Parts {
    /// Looks for them.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn find(vipd: PathBuf) -> Result<Self, String> {
        if !cfg!(target_arch = "x86_64") {
            return Err("the machine is made for x86-64 only".to_string());
        }
        let at = |name: &str, package: &str| {
            found(name).ok_or(format!("{name} is not installed (Debian package {package})"))
        };
        let qemu = at(QEMU, "qemu-system-x86")?;
        let mut programs = BTreeMap::from([("vipd", vipd)]);
        for (name, package) in PROGRAMS {
            programs.insert(name, at(name, package)?);
        }
        at("ldd", "libc-bin")?;
        let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("kernel");
        let roots = [unpacked, PathBuf::from("/")];
        let kernel = roots.iter().find_map(|root| kernel(root));
        let (kernel, modules) = kernel.ok_or(
            "there is no kernel in target/kernel/boot or /boot that has its modules beside it \
             (./test --all unpacks one, of the Debian package linux-image-cloud-amd64)",
        )?;
        Ok(Self { qemu, kernel, modules, programs })
    }

    /// Everything that is in the machine: programs with their libraries, modules, and `files`. It
    /// does what `prepare` says before it obeys.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn archive(&self, prepare: &str, files: &[(&str, String)]) -> Result<Vec<u8>, String> {
        let read =
            |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let mut archive = Archive::default();
        for folder in ["/proc", "/sys", "/run", "/tmp"] {
            archive.folder(Path::new(folder));
        }
        archive.device(Path::new("/dev/console"), CONSOLE);
        let mut libraries = Vec::new();
        for (name, path) in &self.programs {
            archive.program(&Path::new("/bin").join(name), &read(path)?);
            libraries.extend(libraries_of(path)?);
        }
        libraries.sort();
        libraries.dedup();
        for library in libraries {
            archive.program(&library, &read(&library)?);
        }
        for (place, path) in self.modules.iter().enumerate() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let numbered = format!("/modules/{place:02}-{name}");
            archive.file(Path::new(&numbered), &read(path)?);
        }
        for (path, text) in files {
            archive.file(Path::new(path), text.as_bytes());
        }
        archive.program(Path::new("/init"), init(prepare).as_bytes());
        Ok(archive.finish())
    }

    /// Starts the machine in the namespace of its TAP. Its console is written into `folder`.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn boot(
        &self,
        archive: &[u8],
        (namespace, tap, mac): (&Namespace, &str, &str),
        folder: &Path,
    ) -> Result<Machine, String> {
        let said = |error: std::io::Error| error.to_string();
        let disk = folder.join("disk");
        fs::write(&disk, archive).map_err(said)?;
        let console = File::create(folder.join("console")).map_err(said)?;
        let entering = namespace.entering();
        let mut command = Command::new(entering[0]);
        // It ends with us also while it stands still.
        command.args(&entering[1..]).args(["setpriv", "--pdeathsig", "KILL"]).arg(&self.qemu);
        command.args(["-accel", "tcg", "-m", MEMORY, "-nodefaults", "-display", "none"]);
        command.args(["-no-reboot", "-serial", "stdio"]);
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(disk);
        command.args(["-append", "console=ttyS0 quiet panic=-1 net.ifnames=0"]);
        let card = format!("tap,id=card,ifname={tap},script=no,downscript=no,vhost=off");
        command.args(["-netdev", &card, "-device"]);
        command.arg(format!("virtio-net-pci,netdev=card,mac={mac},romfile="));
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", monitor(folder).display()));
        command.stdin(Stdio::piped()).stdout(console.try_clone().map_err(said)?).stderr(console);
        let mut child = command.spawn().map_err(said)?;
        let console = child.stdin.take().expect("it is piped");
        Ok(Machine { child, console, folder: folder.to_path_buf(), frozen: None })
    }
}

impl Machine {
    /// A line of shell for its init.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.console, "{line}").expect("the machine runs");
    }

    /// It stands still.
    pub fn freeze(&mut self, clock: Clock) {
        match clock {
            Clock::GoesOn => self.signal(Signal::SIGSTOP),
            Clock::StandsStill => self.order("stop"),
        }
        self.frozen = Some(clock);
    }

    /// It goes on.
    pub fn thaw(&mut self) {
        match self.frozen.take() {
            Some(Clock::GoesOn) => self.signal(Signal::SIGCONT),
            Some(Clock::StandsStill) => self.order("cont"),
            None => {}
        }
    }

    /// What was on its console until now.
    pub fn console(&self) -> String {
        let octets = fs::read(self.folder.join("console")).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// Whether it said this, on a line of its own: what it is told shows there as well.
    pub fn has_said(&self, line: &str) -> bool {
        self.console().lines().any(|said| said.trim_end() == line)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal).expect("the machine runs");
    }

    /// Orders something of QEMU (QMP), and waits until it is done.
    fn order(&self, word: &str) {
        let mut stream = UnixStream::connect(monitor(&self.folder)).expect("its monitor");
        stream.set_read_timeout(Some(OBEYS_WITHIN)).expect("a limit");
        for word in ["qmp_capabilities", word] {
            writeln!(stream, "{{\"execute\": \"{word}\"}}").expect("its monitor");
        }
        // An answer to each. A greeting and events come too.
        let mut answers = 0;
        for line in BufReader::new(stream).lines() {
            let line = line.expect("an answer in time");
            assert!(!line.contains("\"error\""), "{line}");
            answers += usize::from(line.contains("\"return\""));
            if answers == 2 {
                return;
            }
        }
        panic!("the monitor did not answer");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn monitor(folder: &Path) -> PathBuf {
    folder.join("monitor")
}

/// The kernel below a root, and those of the modules that it has as files.
fn kernel(root: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
    let entries = fs::read_dir(root.join("boot")).ok()?.flatten();
    let mut images: Vec<_> = entries.map(|entry| entry.path()).collect();
    images.sort();
    images.into_iter().rev().find_map(|image| {
        let version = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_string();
        let folders = ["lib", "usr/lib"].map(|lib| root.join(lib).join("modules").join(&version));
        let folder = folders.into_iter().find(|folder| folder.is_dir())?;
        let known = modules_below(folder.join("kernel"));
        let modules = MODULES.iter().filter_map(|name| known.get(*name).cloned()).collect();
        Some((image, modules))
    })
}

/// Modules by their names.
fn modules_below(folder: PathBuf) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if let Some((stem, _)) = name.split_once(".ko") {
                found.insert(stem.to_string(), path);
            }
        }
    }
    found
}

/// The libraries of a program, its loader among them. One that is linked statically has none.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>, String> {
    let output = Command::new("ldd").arg(program).output();
    let output = output.map_err(|error| format!("cannot run ldd: {error}"))?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = lines.lines().filter_map(|line| {
        let path = line.split_whitespace().find(|word| word.starts_with('/'));
        path.map(PathBuf::from)
    });
    Ok(words.collect())
}

/// What the machine does first and last.
fn init(prepare: &str) -> String {
    format!(
        "#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
for module in /modules/*; do insmod $module; done
ip link set lo up
{prepare}
echo ready
while read -r line; do eval \"$line\"; done
"
    )
}
