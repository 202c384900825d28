//! What keepalived orders of IPVS for a file, in its order: what somebody in its place has to do.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;
mod tap;

use std::fs::{self, File};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tap::{REQUEST, Reader, Tap};
use vipd_netns_tests::kernel::lacking;
use vipd_netns_tests::namespaces::Namespaces;
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
        return on_this_kernel();
    }
    let test = "keepalived_orders_what_it_is_known_to_order";
    again_inside::run(test, "keepalived", Duration::from_secs(180));
}

fn on_this_kernel() {
    let mut namespaces = Namespaces::new().expect("namespaces");
    let namespace = namespaces.add("director").expect("a namespace");
    let folder = namespaces.folder().to_path_buf();
    let mut tap = Tap::open(&namespace).expect("a tap");
    let file = folder.join("keepalived.conf");
    fs::write(&file, FILE).expect("the file");
    let log = File::create(folder.join("log")).expect("a log");
    let mut command = Command::new("ip");
    command.args(&namespace.entering()[1..]).args(["setpriv", "--pdeathsig", "TERM"]);
    command.args(["keepalived", "-n", "-l", "-G", "-C", "-f"]).arg(&file);
    command.arg("-p").arg(folder.join("pid")).arg("-c").arg(folder.join("checkers"));
    let mut keepalived = command.stdout(log.try_clone().expect("a log")).stderr(log).spawn();
    let keepalived = keepalived.as_mut().expect("keepalived");
    let mut ordered = heard(&mut tap, keepalived, false);
    kill(Pid::from_raw(keepalived.id().cast_signed()), Signal::SIGTERM).expect("a signal");
    ordered.push("SIGTERM".to_string());
    ordered.extend(heard(&mut tap, keepalived, true));
    let log = fs::read_to_string(folder.join("log")).expect("a log");
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
