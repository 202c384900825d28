//! A whole vipd beside a kernel that has IPVS: it checks real servers and directs to those that are
//! well, tells of it by pipe, script and mail, obeys an operator, and leaves nothing behind. The
//! independent reader is ipvsadm.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;
mod whole_vipd;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd::ipvs::Ipvs;
use vipd_netns_tests::namespaces::Namespaces;

use whole_vipd::{LONG, Vipd, becomes, ipvsadm, says};

/// Of real servers on this machine: one that answers, and one that does not.
const WELL: &str = "127.0.0.2:8080";
/// What is told of them, and of the virtual server.
const REAL: &str = "[127.0.0.2]:tcp:8080 [10.0.0.1]:tcp:80";
const VIRTUAL: &str = "[10.0.0.1]:tcp:80";

/// Whatever is told goes to the folder: lines of the pipe `lvs`, and what the program `note` was
/// called with. Mail goes to this port.
fn file(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "\
global_defs {{
    router_id lb
    script_user root
    lvs_notify_fifo {folder}/lvs
    notification_email {{
        ops@example.org
    }}
    notification_email_from lb@example.org
    smtp_server 127.0.0.1 {port}
}}
virtual_server 10.0.0.1 80 {{
    delay_loop 1
    lb_algo wrr
    lb_kind NAT
    protocol TCP
    connect_timeout 1
    retry 1
    delay_before_retry 1
    warmup 0
    smtp_alert
    quorum_up \"{folder}/note quorum up\"
    quorum_down \"{folder}/note quorum down\"
    real_server 127.0.0.2 8080 {{
        weight 3
        notify_up \"{folder}/note real up\"
        notify_down \"{folder}/note real down\"
        TCP_CHECK {{
        }}
    }}
    real_server 127.0.0.3 8080 {{
        TCP_CHECK {{
        }}
    }}
}}
"
    )
}

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

fn on_this_kernel() {
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip");
    assert!(up.success());
    let folder = std::env::temp_dir().join(format!("vipd-directing-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder of ours");
    write_program(&folder.join("note"), &folder.join("noted"));
    let well = TcpListener::bind(WELL).expect("a port of ours");
    let (port, mails) = mail_server();
    let mut vipd = Vipd::start(&folder, &file(&folder, port));
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 3"]));
    let said = vipd.tell(&["drain", "127.0.0.2"]);
    assert_eq!(said, "127.0.0.2:8080 of TCP 10.0.0.1:80: drain\n");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 0"]));
    vipd.tell(&["weight", "7", WELL, "--of", "TCP 10.0.0.1:80"]);
    vipd.tell(&["undrain", WELL]);
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 7"]));
    vipd.tell(&["weight", "-", WELL]);
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 3"]));
    let added = Command::new("ip").args(["address", "add", "10.0.0.1/32", "dev", "lo"]).status();
    assert!(added.expect("ip").success());
    let _connection = TcpStream::connect("10.0.0.1:80").expect("a connection to the real server");
    let status = vipd.tell(&["status"]);
    assert!(status.contains("TCP 10.0.0.1:80: quorum for "), "{status}");
    assert!(status.contains("connections: 1 active, 0 inactive"), "{status}");
    assert!(status.contains("connection refused"), "{status}");
    let read = Reader::start(&folder.join("lvs"), &folder.join("lines"));
    drop(well);
    becomes(&has(&[]));
    let _well = TcpListener::bind(WELL).expect("a port of ours");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m -w 3"]));
    let lines = ["DOWN", "UP"].map(|state| format!("RS {REAL} {state}\nVS {VIRTUAL} {state}\n"));
    says(&folder.join("lines"), |text| text.ends_with(&lines.concat()));
    says(&folder.join("noted"), |text| {
        let of = |whose| -> Vec<_> {
            text.lines().filter_map(|line| line.strip_prefix(whose)).collect()
        };
        of("real ") == ["down", "up"] && of("quorum ").ends_with(&["down", "up"])
    });
    for state in ["DOWN", "UP"] {
        let subject =
            format!("Realserver {} - {state}", REAL.replacen(' ', " of virtual server ", 1));
        let is_it = |mail: String| mail.contains(&subject).then_some(());
        let began = Instant::now();
        while mails.recv_timeout(LONG).ok().and_then(is_it).is_none() {
            assert!(began.elapsed() < LONG, "no mail: {subject}");
        }
    }
    drop(read);
    kill(Pid::from_raw(vipd.child.id() as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(vipd.child.wait().expect("it ends").code(), Some(0));
    assert_eq!(ipvsadm(&["-Sn"]), [""; 0]);
    fs::remove_dir_all(&folder).expect("a folder of ours");
}

/// A program that appends what it is called with to a file.
fn write_program(program: &Path, file: &Path) {
    let text = format!("#!/bin/sh\necho \"$@\" >>{}\n", file.display());
    fs::write(program, text).expect("a file of ours");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Reads a named pipe into a file.
struct Reader(Child);

impl Reader {
    fn start(pipe: &Path, file: &Path) -> Self {
        let file = File::create(file).expect("a file of ours");
        let reader = Self(Command::new("cat").arg(pipe).stdout(file).spawn().expect("cat"));
        // What is told before somebody reads is told to nobody.
        std::thread::sleep(Duration::from_millis(200));
        reader
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes every mail. Its port, and the mails.
fn mail_server() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, mails) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that goes away has said what it had to say.
            let _ = take_mails(&stream, &sender);
        }
    });
    (port, mails)
}

fn take_mails(mut stream: &TcpStream, mails: &Sender<String>) -> io::Result<()> {
    stream.write_all(b"220 mail.example.org\r\n")?;
    let (mut text, mut is_text) = (String::new(), false);
    for line in BufReader::new(stream).lines() {
        let line = line?;
        match (is_text, line.as_str()) {
            (true, ".") => {
                is_text = false;
                let _ = mails.send(std::mem::take(&mut text));
                stream.write_all(b"250 taken\r\n")?;
            }
            (true, line) => text = text + line + "\n",
            (false, "DATA") => {
                is_text = true;
                stream.write_all(b"354 go on\r\n")?;
            }
            (false, "QUIT") => return stream.write_all(b"221 bye\r\n"),
            (false, _) => stream.write_all(b"250 well\r\n")?,
        }
    }
    Ok(())
}

/// The table with these real servers.
fn has(servers: &[&'static str]) -> Vec<&'static str> {
    [&["-A -t 10.0.0.1:80 -s wrr"], servers].concat()
}
