//! What `viplab` does as the first process of a user-mode Linux: it mounts what programs expect,
//! runs the one command, writes down what came of it, and powers off.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc::O_SYNC;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname, sync};

use super::{ERRORS, FOLDER, MODULES, ORDER, OUTPUT, Order, STATUS};

/// Where the folder of the results is.
pub const RESULTS: &str = "/run/viplab";

/// Folders that are new and empty, in memory, and those that look as they did but keep what is
/// written in memory. The second take what is built or configured below them.
const EMPTY: [&str; 2] = ["/var/log", "/dev/shm"];
const OVERLAID: [&str; 1] = ["/tmp"];

/// Modules that no kernel loads when they are first needed; and others, since loading them then
/// takes a second, in which a director is not there: the schedulers of IPVS, and nftables, of which
/// vipd asks at its start.
const LOADED: [&str; 16] = [
    "ip_vs",
    "ip_vs_dh",
    "ip_vs_fo",
    "ip_vs_lblc",
    "ip_vs_lblcr",
    "ip_vs_lc",
    "ip_vs_mh",
    "ip_vs_nq",
    "ip_vs_ovf",
    "ip_vs_rr",
    "ip_vs_sed",
    "ip_vs_sh",
    "ip_vs_wlc",
    "ip_vs_wrr",
    "nf_tables",
    "nfnetlink",
];

/// modprobe with a folder for modules that is not in `/lib`, where nothing can be written.
const MODPROBE: &str = "/run/modprobe";
const MODULES_BELOW: &str = "/run/modules";

/// Whether this process is the first one of a user-mode Linux that viplab booted.
#[must_use]
pub fn is_asked() -> bool {
    std::process::id() == 1 && env::var_os(FOLDER).is_some()
}

/// Does it all. There is no way back from it.
pub fn run() -> ! {
    if let Err(error) = obey() {
        // To the console, which the outside reads.
        eprintln!("viplab as init: {error}");
    }
    sync();
    let _ = umount2(RESULTS, MntFlags::MNT_DETACH);
    let _ = reboot(RebootMode::RB_POWER_OFF);
    // It cannot fail for root. A first process that ends is a panic of the kernel, which ends too.
    std::process::exit(1)
}

fn obey() -> Result<(), String> {
    let folder = env::var(FOLDER).map_err(|error| error.to_string())?;
    furnish(&folder)?;
    let order = fs::read(format!("{RESULTS}/{ORDER}")).map_err(|error| error.to_string())?;
    let order: Order = serde_json::from_slice(&order).map_err(|error| error.to_string())?;
    let status = perform(&order).map_err(|error| error.to_string())?;
    fs::write(format!("{RESULTS}/{STATUS}"), status.to_string()).map_err(|error| error.to_string())
}

/// Everything that a program expects of a machine.
fn furnish(folder: &str) -> Result<(), String> {
    on("proc", "/proc", "proc", "")?;
    on("sysfs", "/sys", "sysfs", "")?;
    on("tmpfs", "/run", "tmpfs", "mode=755")?;
    made(RESULTS, |path| fs::create_dir(path))?;
    // The folder is named as the host names it, before /tmp is another.
    on("none", RESULTS, "hostfs", folder)?;
    made("/dev/pts", |path| fs::create_dir_all(path))?;
    made("/dev/shm", |path| fs::create_dir_all(path))?;
    on("devpts", "/dev/pts", "devpts", "ptmxmode=666")?;
    for (name, to) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        let _ = symlink(format!("/proc/self/{to}"), format!("/dev/{name}"));
    }
    for folder in EMPTY {
        on("tmpfs", folder, "tmpfs", "")?;
    }
    modules()?;
    for folder in OVERLAID {
        let own = format!("/run/overlay{folder}");
        for part in ["upper", "work"] {
            made(&format!("{own}/{part}"), |path| fs::create_dir_all(path))?;
        }
        let layers = format!("lowerdir={folder},upperdir={own}/upper,workdir={own}/work");
        on("overlay", folder, "overlay", &layers)?;
    }
    let _ = sethostname("uml");
    prefer_ksoftirqd();
    said(Command::new("ip").args(["link", "set", "lo", "up"]), "Debian package iproute2")
}

/// On its one processor frames wait for ksoftirqd, which would come after the laboratory and its
/// nodes: those run in real time. Without it frames are later than what their senders say of them.
fn prefer_ksoftirqd() {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.starts_with("ksoftirqd/") {
            let mut command = Command::new("chrt");
            let _ = command.args(["--rr", "--pid", "50"]).arg(entry.file_name()).output();
        }
    }
}

/// The kernel loads what it needs by itself, if it is told how.
fn modules() -> Result<(), String> {
    made(&format!("{MODULES_BELOW}/lib"), |path| fs::create_dir_all(path))?;
    made(&format!("{MODULES_BELOW}/lib/modules"), |path| symlink(MODULES, path))?;
    let script = format!("#!/bin/sh\nexec modprobe -d {MODULES_BELOW} \"$@\"\n");
    made(MODPROBE, |path| fs::write(path, script))?;
    made(MODPROBE, |path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))?;
    made("/proc/sys/kernel/modprobe", |path| fs::write(path, MODPROBE))?;
    said(Command::new(MODPROBE).arg("-a").args(LOADED), "Debian package kmod")
}

/// Runs the command and waits for its end, and meanwhile for that of whoever has no parent.
fn perform(order: &Order) -> io::Result<u8> {
    // What was written so far is there also if all of this is killed.
    let file = |name| -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).custom_flags(O_SYNC).open(format!("{RESULTS}/{name}"))
    };
    let mut errors = file(ERRORS)?;
    let Some((program, arguments)) = order.command.split_first() else {
        writeln!(errors, "viplab: there is no command")?;
        return Ok(127);
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&order.folder).env_clear();
    command.envs(order.environment.iter().map(|(key, value)| (key, value))).env("TMPDIR", "/tmp");
    command.stdin(Stdio::null()).stdout(file(OUTPUT)?).stderr(errors.try_clone()?);
    let child = match command.spawn() {
        Ok(child) => Pid::from_raw(child.id().cast_signed()),
        Err(error) => {
            writeln!(errors, "viplab: cannot run {program}: {error}")?;
            return Ok(127);
        }
    };
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                return Ok(u8::try_from(status).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(128_u8.saturating_add(u8::try_from(signal as i32).unwrap_or(0)));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn on(what: &str, place: &str, kind: &str, options: &str) -> Result<(), String> {
    mount(Some(what), place, Some(kind), MsFlags::empty(), Some(options))
        .map_err(|error| format!("cannot mount {kind} on {place}: {error}"))
}

fn made(path: &str, make: impl FnOnce(&str) -> io::Result<()>) -> Result<(), String> {
    make(path).map_err(|error| format!("{path}: {error}"))
}

fn said(command: &mut Command, package: &str) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{program} ({package}): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let signal = output.status.signal().map(|number| format!(" by signal {number}"));
    let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(format!("{program} failed{}: {words}", signal.unwrap_or_default()))
}
