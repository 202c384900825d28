//! What keepalived orders of IPVS for a file, in its order: what somebody in its place has to do;
//! and that vipd orders no more than that, and for a reload only what it changes.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;
mod tap;

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tap::{REQUEST, Reader, Tap};
use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::namespaces::{Namespace, Namespaces};
use vipd_scenarios::scenario::Need;

/// One whose servers are not checked, and one whose only server refuses every connection.
const FILE: &str = "
virtual_server 10.0.0.1 80 {
  lb_algo wlc
  lb_kind DR
  persistence_timeout 600
  protocol TCP
  real_server 10.1.0.1 80 {
    weight 3
  }
  real_server 10.1.0.2 80 {
    weight 1
  }
}
virtual_server 10.0.0.2 443 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  sorry_server 10.1.0.9 443
  real_server 127.0.0.1 9 {
    weight 1
    TCP_CHECK {
      connect_timeout 1
      retry 0
    }
  }
}
";

/// The destination of a command stands on a line of its own.
const ORDERED: &str = include_str!("tap/keepalived.txt");

/// Nothing is ordered for so long: it is done.
const QUIET: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// A message of generic netlink, in the order of octets of this machine.
fn message(kind: u16, flags: u16, command: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut octets = [0; 16].to_vec();
    octets.extend([command, 1, 0, 0]);
    for (kind, value) in attributes {
        octets.extend((value.len() as u16 + 4).to_ne_bytes());
        octets.extend(kind.to_ne_bytes());
        octets.extend(*value);
        octets.resize(octets.len().next_multiple_of(4), 0);
    }
    let length = octets.len() as u32;
    octets[..4].copy_from_slice(&length.to_ne_bytes());
    octets[4..6].copy_from_slice(&kind.to_ne_bytes());
    octets[6..8].copy_from_slice(&flags.to_ne_bytes());
    octets
}

#[test]
fn a_command_is_a_line_once_the_family_is_known() {
    let mut reader = Reader::default();
    let flush = message(30, REQUEST, 17, &[]);
    assert_eq!(reader.read(&flush), Vec::<String>::new(), "30 may be anything");
    let family = message(16, 0, 1, &[(1, &30_u16.to_ne_bytes()), (2, b"IPVS\0")]);
    assert_eq!(reader.read(&family), Vec::<String>::new());
    let nested = message(0, 0, 0, &[(4, &80_u16.to_be_bytes()), (1, &2_u16.to_ne_bytes())]);
    let service = message(30, REQUEST, 3, &[(1, &nested[20..])]);
    let (question, answer) = (message(30, REQUEST, 4, &[]), message(30, 0, 17, &[]));
    let datagram = [flush, question, service, answer].concat();
    assert_eq!(reader.read(&datagram), ["flush", "del-service service af=2 port=80"]);
}

#[test]
fn keepalived_orders_what_it_is_known_to_order() {
    if again_inside::is_inside() || lacking(&[Need::Ipvs]).is_empty() {
        return keepalived_orders();
    }
    let test = "keepalived_orders_what_it_is_known_to_order";
    again_inside::run(test, "keepalived", Duration::from_secs(180));
}

/// With so many real servers behind each virtual server, which are never checked.
const SERVERS: usize = 10;
const VIRTUAL_SERVERS: usize = 1000;

#[test]
fn vipd_orders_each_entry_once_and_for_a_reload_that_changes_one_server_one_command() {
    if again_inside::is_inside() || lacking(&[Need::Ipvs]).is_empty() {
        return vipd_orders();
    }
    let test = "vipd_orders_each_entry_once_and_for_a_reload_that_changes_one_server_one_command";
    again_inside::run(test, "ipvsadm", Duration::from_secs(180));
}

/// The last real server has this weight.
fn many(weight: usize) -> String {
    let mut text = String::new();
    for service in 0..VIRTUAL_SERVERS {
        let (third, fourth) = (service / 250, service % 250);
        let _ = write!(
            text,
            "virtual_server 10.0.{third}.{fourth} 80 {{\n lb_algo wlc\n lb_kind DR\n protocol TCP\n"
        );
        for server in 1..=SERVERS {
            let last = service + 1 == VIRTUAL_SERVERS && server == SERVERS;
            let weight = if last { weight } else { 1 };
            let (second, third) = (service / 250, service % 250);
            let address = format!("10.{}.{third}.{server}", second + 1);
            let _ = write!(text, " real_server {address} 80 {{\n  weight {weight}\n }}\n");
        }
        text.push_str("}\n");
    }
    text
}

fn vipd_orders() {
    let mut namespaces = Namespaces::new().expect("namespaces");
    let namespace = namespaces.add("director").expect("a namespace");
    let folder = namespaces.folder().to_path_buf();
    let mut tap = Tap::open(&namespace).expect("a tap");
    let file = folder.join("keepalived.conf");
    fs::write(&file, many(1)).expect("the file");
    let program = Path::new(env!("CARGO_BIN_EXE_viplab")).with_file_name("vipd");
    assert!(program.exists(), "{} is built by: cargo build -p vipd", program.display());
    let words = ["run", "-f"].map(PathBuf::from);
    let words = [&words[..], &[file.clone(), "--socket".into(), folder.join("socket")]].concat();
    let log = folder.join("log");
    let mut vipd = start(&namespace, &program, &words, &log);
    let ordered = heard(&mut tap, &mut vipd, false);
    let entries = VIRTUAL_SERVERS * (SERVERS + 1);
    let count = |name: &str| ordered.iter().filter(|line| line.starts_with(name)).count();
    let counts = [count("new-service "), count("new-dest "), ordered.len()];
    let said = fs::read_to_string(&log).expect("a log");
    assert_eq!(counts, [VIRTUAL_SERVERS, VIRTUAL_SERVERS * SERVERS, entries], "{said}");
    fs::write(&file, many(7)).expect("the file");
    signal(&vipd, Signal::SIGHUP);
    let changed = "set-dest service af=2 protocol=6 addr=10.0.3.249 port=80 dest addr=10.4.249.10 \
                   port=80 fwd=3 weight=7 upper=0 lower=0 af=2";
    assert_eq!(heard(&mut tap, &mut vipd, false), [changed], "of {entries} entries");
    signal(&vipd, Signal::SIGTERM);
    // No entry goes before its service.
    let removed = heard(&mut tap, &mut vipd, true);
    let gone = removed.iter().filter(|line| line.starts_with("del-service ")).count();
    assert_eq!((gone, removed.len()), (VIRTUAL_SERVERS, VIRTUAL_SERVERS));
}

fn start(namespace: &Namespace, program: &Path, words: &[PathBuf], log: &Path) -> Child {
    let log = File::create(log).expect("a log");
    let mut command = Command::new("ip");
    command.args(&namespace.entering()[1..]).args(["setpriv", "--pdeathsig", "TERM"]);
    command.arg(program).args(words).stdout(log.try_clone().expect("a log")).stderr(log);
    command.spawn().expect("it starts")
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("a signal");
}

fn keepalived_orders() {
    let mut namespaces = Namespaces::new().expect("namespaces");
    let namespace = namespaces.add("director").expect("a namespace");
    let folder = namespaces.folder().to_path_buf();
    let mut tap = Tap::open(&namespace).expect("a tap");
    let file = folder.join("keepalived.conf");
    fs::write(&file, FILE).expect("the file");
    let words = ["-n", "-l", "-G", "-C", "-f"].map(PathBuf::from);
    let own = [file, "-p".into(), folder.join("pid"), "-c".into(), folder.join("checkers")];
    let log = folder.join("log");
    let words = [&words[..], &own].concat();
    let mut keepalived = start(&namespace, Path::new("keepalived"), &words, &log);
    let mut ordered = heard(&mut tap, &mut keepalived, false);
    signal(&keepalived, Signal::SIGTERM);
    ordered.push("SIGTERM".to_string());
    ordered.extend(heard(&mut tap, &mut keepalived, true));
    let log = fs::read_to_string(log).expect("a log");
    let ordered = ordered.join("\n").replace(" dest ", "\n  dest ");
    assert_eq!(ordered, ORDERED.trim_end(), "{log}");
}

/// What is ordered until nothing more is for a while, or until it has ended.
fn heard(tap: &mut Tap, keepalived: &mut Child, ends: bool) -> Vec<String> {
    let began = Instant::now();
    let (mut ordered, mut last) = (Vec::new(), began);
    loop {
        let ended = keepalived.try_wait().expect("a process").is_some();
        let more = tap.commands();
        if !more.is_empty() {
            last = Instant::now();
        }
        ordered.extend(more);
        let quiet = !ordered.is_empty() && last.elapsed() > QUIET;
        if ended || (quiet && !ends) {
            assert_eq!(ended, ends, "keepalived ended: {ordered:#?}");
            return ordered;
        }
        assert!(began.elapsed() < PATIENCE, "{ordered:#?}");
        sleep(Duration::from_millis(20));
    }
}
