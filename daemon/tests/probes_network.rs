//! Attempts in a network namespace of their own: what a mark, an interface and a way that is not
//! there do, and what it is like without descriptors.

mod checked;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Uid;
use tokio::runtime::Builder;
use vipd_engine::InterfaceName;
use vipd_engine::config::health::{Bind, Check, CheckKind, UdpCheck};
use vipd_engine::health::{Failure, LocalError, Outcome};

use checked::{Checks, SHORT, check, server};

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {words}");
}

#[test]
fn what_the_way_to_a_server_does_is_told() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    // Whatever this thread starts is in it too; it goes with the last of them.
    unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut checks = Checks::new();
        let (port, _came) = server_when_up(&mut checks).await;
        a_mark_is_on_the_packets(&mut checks, port).await;
        an_interface_is_kept_to(&mut checks, port).await;
        a_host_that_is_not_there_is_unreachable(&mut checks).await;
        without_descriptors_nothing_is_learnt_of_a_server().await;
    });
}

async fn server_when_up(checks: &mut Checks) -> (u16, std::sync::mpsc::Receiver<()>) {
    let outcome = checks.outcome(check(CheckKind::Tcp, 80)).await;
    assert_eq!(outcome, Outcome::Bad(Failure::Unreachable), "there is no way at all");
    ip("link set lo up");
    let (port, came) = server(drop);
    assert_eq!(checks.outcome(check(CheckKind::Tcp, port)).await, Outcome::GOOD);
    (port, came)
}

async fn a_mark_is_on_the_packets(checks: &mut Checks, port: u16) {
    // Before the table of local addresses.
    ip("rule add pref 100 lookup local");
    ip("rule del pref 0");
    ip("rule add pref 10 fwmark 7 prohibit");
    let marked = |fwmark| {
        let bind = Bind { fwmark, ..Bind::default() };
        Check { bind, ..check(CheckKind::Tcp, port) }
    };
    assert_eq!(checks.outcome(marked(7)).await, Outcome::Bad(Failure::Unreachable));
    assert_eq!(checks.outcome(marked(8)).await, Outcome::GOOD);
    assert_eq!(checks.outcome(marked(0)).await, Outcome::GOOD);
}

async fn an_interface_is_kept_to(checks: &mut Checks, port: u16) {
    ip("link add v0 type veth peer name v1");
    ip("address add 10.9.0.1/24 dev v0");
    ip("link set v0 up");
    ip("link set v1 up");
    let on = |interface| {
        let bind = Bind { interface: Some(InterfaceName::new(interface)), ..Bind::default() };
        Check { bind, timeout: SHORT, ..check(CheckKind::Tcp, port) }
    };
    assert_eq!(checks.outcome(on("lo")).await, Outcome::GOOD);
    let elsewhere = checks.outcome(on("v0")).await;
    assert!(matches!(elsewhere, Outcome::Bad(_)), "{elsewhere:?}");
}

async fn a_host_that_is_not_there_is_unreachable(checks: &mut Checks) {
    let quick = "/proc/sys/net/ipv4/neigh/v0/retrans_time_ms";
    fs::write(quick, "50").expect("a sysctl");
    // No answer is needed of it: only this tells that nobody is there.
    let payload = b"ping".to_vec();
    let udp = CheckKind::Udp(Box::new(UdpCheck { payload, ..UdpCheck::default() }));
    for kind in [udp, CheckKind::Ping, CheckKind::Tcp] {
        let nobody = Ipv4Addr::new(10, 9, 0, 77).into();
        let asked = Check { address: nobody, ..check(kind, 80) };
        let name = asked.to_string();
        let outcome = checks.outcome(asked).await;
        assert_eq!(outcome, Outcome::Bad(Failure::Unreachable), "{name}");
    }
}

/// Last: they are gone for good.
async fn without_descriptors_nothing_is_learnt_of_a_server() {
    let mut checks = Checks::new();
    // It takes no connection: they wait in its queue.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let smtp = CheckKind::Smtp { helo_name: "director.example".into() };
    let hangs = Arc::new(check(smtp, port));
    let first = checks.start(0, &hangs, 0);
    checks.cancel(first);
    setrlimit(Resource::RLIMIT_NOFILE, 60, 60).expect("a limit");
    for place in 1..100 {
        checks.start(place, &hangs, 0);
    }
    assert_eq!(checks.next().await.1, Outcome::Local(LocalError::Descriptors));
}
