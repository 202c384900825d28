//! A whole vipd beside a kernel that has IPVS: it checks real servers and directs to those that are
//! well, obeys an operator, and leaves nothing behind. ipvsadm is the independent reader.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd::ipvs::Ipvs;
use vipd_netns_tests::namespaces::Namespaces;

/// Longer than anything here takes, on a machine that is busy.
const LONG: Duration = Duration::from_secs(30);
/// Of real servers on this machine: one that answers, and one that does not.
const WELL: &str = "127.0.0.2:8080";
const FILE: &str = "\
virtual_server 10.0.0.1 80 {
    delay_loop 1
    lb_algo wrr
    lb_kind NAT
    protocol TCP
    connect_timeout 1
    retry 1
    delay_before_retry 1
    warmup 0
    real_server 127.0.0.2 8080 {
        weight 3
        TCP_CHECK {
        }
    }
    real_server 127.0.0.3 8080 {
        TCP_CHECK {
        }
    }
}
";

#[test]
fn vipd_directs_to_whoever_is_well_and_leaves_nothing_behind() {
    if Ipvs::open().is_ok() {
        let mut namespaces = Namespaces::new().expect("namespaces");
        let namespace = namespaces.add("directing").expect("a namespace");
        return namespace.within(on_this_kernel).expect("in it");
    }
    let test = "vipd_directs_to_whoever_is_well_and_leaves_nothing_behind";
    again_inside::run(test, "ipvsadm", Duration::from_secs(240));
}

/// A vipd that ends with the test.
struct Vipd {
    child: Child,
    program: PathBuf,
    socket: PathBuf,
}

impl Vipd {
    fn start(folder: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_viplab")).with_file_name("vipd");
        assert!(program.exists(), "{} is built by: cargo build -p vipd", program.display());
        let (file, socket) = (folder.join("keepalived.conf"), folder.join("control.sock"));
        fs::write(&file, FILE).expect("a file of ours");
        let mut command = Command::new(&program);
        command.arg("run").arg("-f").arg(file).arg("--socket").arg(&socket);
        Self { child: command.spawn().expect("it starts"), program, socket }
    }

    fn tell(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        let output = command.args(words).arg("--socket").arg(&self.socket).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Vipd {
    fn drop(&mut self) {
        // It is gone already, if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_this_kernel() {
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip");
    assert!(up.success());
    let folder = std::env::temp_dir().join(format!("vipd-directing-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder of ours");
    let well = TcpListener::bind(WELL).expect("a port of ours");
    let mut vipd = Vipd::start(&folder);
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 3"]));
    let said = vipd.tell(&["drain", "127.0.0.2"]);
    assert_eq!(said, "127.0.0.2:8080 of TCP 10.0.0.1:80: drain\n");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 0"]));
    vipd.tell(&["weight", "7", WELL, "--of", "TCP 10.0.0.1:80"]);
    vipd.tell(&["undrain", WELL]);
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 7"]));
    vipd.tell(&["weight", "-", WELL]);
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 3"]));
    let status = vipd.tell(&["status"]);
    assert!(status.contains("TCP 10.0.0.1:80: quorum for "), "{status}");
    assert!(status.contains("connection refused"), "{status}");
    drop(well);
    becomes(&has(&[]));
    let _well = TcpListener::bind(WELL).expect("a port of ours");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 3"]));
    kill(Pid::from_raw(vipd.child.id() as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(vipd.child.wait().expect("it ends").code(), Some(0));
    assert_eq!(ipvsadm(), [""; 0]);
    fs::remove_dir_all(&folder).expect("a folder of ours");
}

/// The table with these real servers.
fn has(servers: &[&'static str]) -> Vec<&'static str> {
    [&["-A -t 10.0.0.1:80 -s wrr"], servers].concat()
}

/// Waits until the table is this.
fn becomes(expected: &[&str]) {
    let began = Instant::now();
    loop {
        let table = ipvsadm();
        if table == expected {
            return;
        }
        assert!(began.elapsed() < LONG, "{table:?} is not {expected:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn ipvsadm() -> Vec<String> {
    let output = Command::new("ipvsadm").arg("-Sn").output().expect("ipvsadm");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.trim().to_string()).collect()
}
