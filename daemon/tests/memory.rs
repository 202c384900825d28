//! What vipd keeps in memory for as many virtual routers as an interface can have, on real kernels.
//!
//! Its heap alone: how much of the program is resident depends on how it was built, and is measured
//! by `versus-keepalived`.

mod netns;

use std::fmt::Write;
use std::fs;

use netns::process::Process;
use nix::sys::signal::Signal;

/// Of 255 virtual routers, in octets. The whole daemon may have 8 MB.
const MOST: u64 = 4_500_000;

fn crowd() -> String {
    let mut text = String::from("global_defs {\n vrrp_version 3\n}\n");
    for vrid in 1..=255 {
        let _ = write!(
            text,
            "vrrp_instance VI_{vrid} {{\n state BACKUP\n interface {}\n virtual_router_id {vrid}\n \
             advert_int 0.5\n virtual_ipaddress {{\n 10.9.0.{vrid}/32\n }}\n}}\n",
            netns::INTERFACE
        );
    }
    text
}

/// Memory that is no file's: heap, stacks, and what the program has written to its own data.
fn heap(vipd: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vipd.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    let kilobytes = line.trim().strip_suffix(" kB").expect("a unit").parse::<u64>();
    kilobytes.expect("a number") * 1024
}

#[test]
fn a_crowd_of_virtual_routers_fits_into_a_few_megabytes_also_after_reloads() {
    let Some(network) = netns::network(&[&["10.8.0.1/24"]]) else { return };
    let vipd = network.hosts[0].start(&network.hosts[0].file(&crowd()));
    // The capture may lose some of so many frames at once.
    let added: Vec<_> = (1..=255).map(|vrid| format!("add address 10.9.0.{vrid}/32 on")).collect();
    let added: Vec<_> = added.iter().map(String::as_str).collect();
    vipd.wait_for_all(&added);
    let at_first = heap(&vipd);
    assert!(at_first <= MOST, "{at_first} octets");
    for _ in 0..3 {
        vipd.forget();
        vipd.signal(Signal::SIGHUP);
        vipd.wait_for("read anew");
        network.hosts[0].status();
        // What was freed is given back by the time at which the adverts of half a second have left.
        let seen = network.capture.mark();
        network.hosts[0].status();
        network.capture.advert(seen, 0, 100);
        let seen = network.capture.mark();
        network.capture.advert(seen, 0, 100);
    }
    let at_last = heap(&vipd);
    assert!(at_last <= MOST, "{at_first} octets at first, {at_last} after three reloads");
}
