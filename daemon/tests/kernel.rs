//! What vipd does on a real kernel beside the seed case: reloads, what others do to its addresses
//! and interfaces, multicast in both families, the virtual MAC, the filter, the control socket.

mod netns;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use netns::{INTERFACE, TOLERANCE, network};
use nix::sys::signal::Signal;

const OWN: &str = "192.0.2.1/24";
const VIP: &str = "192.0.2.9";
const GROUP_MAC: [u8; 6] = [0x01, 0, 0x5e, 0, 0, 0x12];

/// A virtual router that becomes master 3.6 s after its start, with more lines in its block.
fn instance(family: &str, more: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface {INTERFACE}\n virtual_router_id 7\n priority 100\n \
         {more}\n virtual_ipaddress {{\n {family}\n }}\n}}\n"
    )
}

fn priority_of(text: &str, priority: u8) -> String {
    text.replace("priority 100", &format!("priority {priority}"))
}

#[test]
fn a_bad_file_changes_nothing_a_good_one_does_and_a_deleted_address_comes_back() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    let good = instance(VIP, "");
    let vipd = host.start(&host.file(&good));
    capture.announcement(0, 0, VIP);
    let before = host.status();
    assert_eq!(before["instances"][0]["state"], "master");

    // A mistake in the file: told, and nothing else.
    let mark = capture.mark();
    host.file(&priority_of(&good, 0));
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for("unusable, nothing is changed");
    let refused = host.vipd(&["reload"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("priority"), "{refused:?}");
    capture.advert(mark, 0, 100);
    assert!(host.holds(VIP));
    let after = host.status();
    let [was, is] = [&before, &after].map(|one| one["instances"][0]["for_ns"].as_u64());
    assert!(was < is, "it is master since the same time");
    assert_eq!(after["instances"][0]["counters"]["master_transitions"], 1);

    // A good one is in force at once, without a change of state.
    let mark = capture.mark();
    host.file(&priority_of(&good, 101));
    let accepted = host.vipd(&["reload"]);
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    capture.advert(mark, 0, 101);
    assert_eq!(host.status()["instances"][0]["counters"]["master_transitions"], 1);
    assert!(capture.adverts(0, 0).iter().all(|one| one.priority() != Some(0)));

    // Somebody deletes the address.
    let mark = capture.mark();
    host.ip(&["address", "del", &format!("{VIP}/32"), "dev", INTERFACE]);
    vipd.wait_for("192.0.2.9 was removed behind our back, added again");
    vipd.wait_for("add address 192.0.2.9/32 on ens192: done");
    capture.announcement(mark, 0, VIP);
    assert!(host.holds(VIP));
}

#[test]
fn an_address_that_is_deleted_again_and_again_makes_the_master_step_down_until_it_is_quiet() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let (capture, hosts) = (&network.capture, &network.hosts);
    let text = instance(VIP, "version 3\n advert_int 0.1");
    let vipd = hosts[0].start(&hosts[0].file(&text));
    capture.announcement(0, 0, VIP);
    let peer = hosts[1].start(&hosts[1].file(&priority_of(&text, 99)));
    let delete = || hosts[0].ip(&["address", "del", &format!("{VIP}/32"), "dev", INTERFACE]);
    vipd.forget();
    for _ in 0..4 {
        delete();
        vipd.wait_for("192.0.2.9 was removed behind our back, added again");
        vipd.wait_for("add address 192.0.2.9/32 on ens192: done");
        assert!(hosts[0].holds(VIP));
    }
    let mark = capture.mark();
    delete();
    vipd.wait_for("master -> fault: 192.0.2.9 keeps vanishing, removed 5 times within 10 s");
    let fault = Instant::now();
    // Its peer takes over a skew of 157/2560 s after the resignation.
    let resigned = capture.advert(mark, 0, 0);
    let taken = capture.advert(mark, 1, 99);
    let took = taken.at.duration_since(resigned.at).expect("the resignation comes first");
    assert!(took < Duration::from_micros(61_328) + TOLERANCE, "{took:?}");
    peer.wait_for("add address 192.0.2.9/32 on ens192: done");
    assert!(!hosts[0].holds(VIP) && hosts[1].holds(VIP));
    let fault_told = hosts[0].status()["instances"][0]["fault"].clone();
    assert_eq!(fault_told, "192.0.2.9 keeps vanishing, removed 5 times within 10 s");

    // Half a minute later it is as before.
    vipd.wait_for_within("fault -> backup: recovered", Duration::from_secs(40));
    let quiet = fault.elapsed();
    assert!(quiet.abs_diff(Duration::from_secs(30)) < Duration::from_secs(1), "{quiet:?}");
    vipd.wait_for("backup -> master: preempts 192.0.2.2 with priority 99");
    vipd.wait_for("add address 192.0.2.9/32 on ens192: done");
    peer.wait_for("remove address 192.0.2.9/32 on ens192: done");
    assert!(hosts[0].holds(VIP) && !hosts[1].holds(VIP));
}

#[test]
fn an_interface_that_is_missing_or_without_carrier_is_a_fault_until_it_is_there() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    let text = instance(VIP, "").replace(INTERFACE, "later");
    let vipd = host.launch(&host.file(&text));
    vipd.wait_for("init -> fault: interface is missing");
    vipd.wait_for("ready: ");
    assert_eq!(host.status()["instances"][0]["fault"], "interface is missing");

    // It is renamed to what the file says.
    host.ip(&["link", "set", INTERFACE, "down"]);
    host.ip(&["link", "set", INTERFACE, "name", "later"]);
    host.ip(&["link", "set", "later", "up"]);
    vipd.wait_for("fault -> backup: recovered");
    capture.announcement(0, 0, VIP);

    // Its cable is pulled: it says so, gives the address back, and recovers.
    network.cable(0, false);
    vipd.wait_for("master -> fault: link is down");
    vipd.wait_for("remove address 192.0.2.9/32 on later: done");
    assert!(!host.holds(VIP));
    let mark = capture.mark();
    network.cable(0, true);
    vipd.wait_for("fault -> backup: recovered");
    capture.announcement(mark, 0, VIP);
}

#[test]
fn multicast_is_heard_in_both_families_and_the_higher_priority_is_the_only_master() {
    let first = ["192.0.2.1/24", "fe80::1/64"];
    let second = ["192.0.2.2/24", "fe80::2/64"];
    let Some(network) = network(&[&first, &second]) else { return };
    let (capture, hosts) = (&network.capture, &network.hosts);
    let v4 = instance(VIP, "version 3\n advert_int 0.1");
    let v6 = instance("fe80::9\n 2001:db8::9", "advert_int 0.1").replace("VI_1", "VI_6");
    let both = format!("{v4}{v6}");
    let lower = hosts[1].start(&hosts[1].file(&priority_of(&both, 99)));
    // Three tenths of a second and the skew of 157/2560 s later it is master of both.
    for address in [VIP, "2001:db8::9"] {
        capture.announcement(0, 1, address);
    }
    let mark = capture.mark();
    let higher = hosts[0].start(&hosts[0].file(&both));
    lower.wait_for_all(&["VI_1: master -> backup", "VI_6: master -> backup"]);
    for address in [VIP, "fe80::9", "2001:db8::9"] {
        capture.announcement(mark, 0, address);
        assert!(hosts[0].holds(address), "{address}");
    }
    let heard = hosts[1].status();
    for instance in heard["instances"].as_array().expect("two") {
        assert_eq!(instance["state"], "backup");
        assert_eq!(instance["counters"]["drops"], serde_json::json!({}), "{instance}");
    }
    drop(higher);
    // Killed, not stopped: silence ends it in either family.
    let mark = capture.mark();
    for address in [VIP, "2001:db8::9"] {
        capture.announcement(mark, 1, address);
    }
}

#[test]
fn a_master_speaks_from_its_own_address_and_not_from_a_virtual_one_that_fits_better() {
    let Some(network) = network(&[&["2001:db8::1/64", "fe80::1/64"], &[]]) else { return };
    let host = &network.hosts[0];
    let text = instance("fe80::9\n 2001:db8::109", "version 3\n advert_int 0.1");
    let _vipd = host.start(&host.file(&text));
    network.capture.announcement(0, 0, "2001:db8::109");
    let route = host.ip(&["-6", "route", "get", "2001:db8::108"]);
    assert!(route.contains("src 2001:db8::1 "), "{route}");
}

#[test]
fn groups_are_joined_anew_on_an_interface_that_was_made_anew() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let hosts = &network.hosts;
    let text = instance(VIP, "version 3\n advert_int 0.1");
    let higher = hosts[0].start(&hosts[0].file(&text));
    network.capture.announcement(0, 0, VIP);
    let lower = hosts[1].start(&hosts[1].file(&priority_of(&text, 99)));
    network.replace_interface(1, &["192.0.2.2/24"]);
    lower.wait_for("interface ens192 is Absent");
    lower.wait_for("fault -> backup: recovered");
    // Deaf, it would be master after 0.36 s. The other one sends ten adverts in a second.
    let heard = || hosts[1].status()["instances"][0]["counters"]["received"].as_u64();
    let before = heard().expect("a count");
    let mark = network.capture.mark();
    for _ in 0..10 {
        let seen = network.capture.mark();
        network.capture.advert(seen, 0, 100);
    }
    let after = heard().expect("a count");
    assert!(network.capture.adverts(mark, 0).len() >= 10);
    assert!(after >= before + 9, "{before} were heard, then {after}");
    assert_eq!(hosts[1].status()["instances"][0]["state"], "backup");
    drop(higher);
}

#[test]
fn a_renumbered_interface_sends_from_its_new_address_and_waits_while_it_has_none() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    let vipd = host.start(&host.file(&instance(VIP, "version 3\n advert_int 0.1")));
    capture.announcement(0, 0, VIP);
    let new = "192.0.2.77".parse().ok();

    // Another network, or the kernel would take the new one for a secondary of the old one.
    host.ip(&["address", "add", "192.0.2.77/25", "dev", INTERFACE]);
    host.ip(&["address", "del", OWN, "dev", INTERFACE]);
    // One may have been on its way while the kernel told of it.
    capture.wait(0, "an advert from the new address", |one| one.source() == new);
    let mark = capture.mark();
    for _ in 0..3 {
        let seen = capture.mark();
        capture.advert(seen, 0, 100);
    }
    let adverts = capture.adverts(mark, 0);
    assert!(adverts.iter().all(|advert| advert.source() == new), "{adverts:?}");
    assert_eq!(host.status()["instances"][0]["state"], "master");

    // None at all: it says so and gives the address back, until there is one.
    host.ip(&["address", "del", "192.0.2.77/25", "dev", INTERFACE]);
    vipd.wait_for("master -> fault: interface has no address to send from");
    vipd.wait_for("remove address 192.0.2.9/32 on ens192: done");
    let mark = capture.mark();
    host.ip(&["address", "add", OWN, "dev", INTERFACE]);
    vipd.wait_for("fault -> backup: recovered");
    capture.announcement(mark, 0, VIP);
}

#[test]
fn what_the_kernel_could_not_tell_is_found_by_reading_its_state_anew() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let (capture, host) = (&network.capture, &network.hosts[0]);
    let vipd = host.start(&host.file(&instance(VIP, "")));
    capture.announcement(0, 0, VIP);
    // While it stands still, more happens than its socket can hold, and the address goes last.
    vipd.signal(Signal::SIGSTOP);
    let mut batch: String = (0..2000)
        .map(|number| format!("address add 10.1.{}.{}/32 dev lo\n", number / 250, number % 250))
        .collect();
    batch.push_str(&format!("address del {VIP}/32 dev {INTERFACE}\n"));
    let file = network.folder.join("batch");
    std::fs::write(&file, batch).expect("a file of ours");
    host.ip(&["-batch", file.to_str().expect("plain letters")]);
    assert!(!host.holds(VIP));
    let mark = capture.mark();
    vipd.signal(Signal::SIGCONT);
    vipd.wait_for("the kernel lost messages for us, its state is read anew");
    vipd.wait_for("192.0.2.9 was removed behind our back, added again");
    vipd.wait_for("add address 192.0.2.9/32 on ens192: done");
    capture.announcement(mark, 0, VIP);
    assert!(host.holds(VIP));
}

#[test]
fn the_virtual_mac_is_on_the_wire_and_unaccepted_packets_are_dropped_until_it_stops() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let (capture, hosts) = (&network.capture, &network.hosts);
    let text = instance(VIP, "use_vmac vrrp.7\n no_accept\n version 3\n advert_int 0.1");
    let mut vipd = hosts[0].start(&hosts[0].file(&text));
    let virtual_mac = [0, 0, 0x5e, 0, 1, 7];
    let announced = capture.announcement(0, 0, VIP);
    assert_eq!(announced.mac(), virtual_mac);
    let advert = capture.advert(0, 0, 100);
    assert_eq!(advert.mac(), virtual_mac);
    assert_eq!(advert.octets[..6], GROUP_MAC);
    let link = hosts[0].ip(&["-d", "link", "show", "vrrp.7"]);
    assert!(link.contains("00:00:5e:00:01:07") && link.contains("private"), "{link}");

    // ARP is answered, with the virtual MAC; nothing else is.
    assert_eq!(hosts[1].connect("192.0.2.1"), ErrorKind::ConnectionRefused);
    assert_eq!(hosts[1].connect(VIP), ErrorKind::TimedOut);
    let neighbour = hosts[1].ip(&["neighbour", "show", VIP]);
    assert!(neighbour.contains("00:00:5e:00:01:07"), "{neighbour}");
    let rules = hosts[0].output(&["nft", "list", "table", "inet", "vipd"]);
    assert!(rules.contains("ip daddr 192.0.2.9 drop"), "{rules}");

    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    assert!(!hosts[0].ip(&["link", "show"]).contains("vrrp.7"));
    assert_eq!(hosts[0].output(&["nft", "list", "tables"]), "");
}

#[test]
fn a_filter_that_a_killed_run_left_is_gone_with_the_next_start() {
    let Some(network) = network(&[&[OWN], &["192.0.2.2/24"]]) else { return };
    let (capture, hosts) = (&network.capture, &network.hosts);
    let accepting = instance(VIP, "version 3\n advert_int 0.1");
    let dropping = accepting.replace("version", "no_accept\n version");
    let mut vipd = hosts[0].start(&hosts[0].file(&dropping));
    capture.announcement(0, 0, VIP);
    vipd.signal(Signal::SIGKILL);
    vipd.ended();
    assert_eq!(hosts[1].connect(VIP), ErrorKind::TimedOut, "the kernel keeps what it was given");
    let vipd = hosts[0].start(&hosts[0].file(&accepting));
    vipd.wait_for("add address 192.0.2.9/32 on ens192: done");
    assert_eq!(hosts[1].connect(VIP), ErrorKind::ConnectionRefused);
}

#[test]
fn without_the_program_nft_an_address_that_should_be_unreachable_is_not_added() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let text = instance(VIP, "no_accept\n version 3\n advert_int 0.1");
    let mut vipd = host.launch_with(&["env", "PATH=/nonexistent"], &host.file(&text));
    vipd.wait_for("cannot run nft (Debian package nftables)");
    vipd.wait_for("VI_1: add filter for 192.0.2.9: refused, tried again");
    assert_eq!(host.status()["instances"][0]["state"], "master");
    assert!(!host.holds(VIP));
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}

#[test]
fn a_live_control_socket_is_never_replaced_and_a_dead_one_is() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let file = host.file(&instance(VIP, ""));
    let mut first = host.start(&file);
    let mut second = host.launch(&file);
    second.wait_for("another vipd answers there");
    assert_eq!(second.ended().code(), Some(1));
    assert_eq!(host.status()["instances"][0]["name"], "VI_1", "the first one still answers");
    // Killed, it leaves its socket file behind.
    first.signal(Signal::SIGKILL);
    first.ended();
    assert!(std::path::Path::new(&host.socket()).exists());
    assert_eq!(host.vipd(&["status"]).status.code(), Some(1), "nobody answers");
    let mut third = host.start(&file);
    assert_eq!(host.status()["instances"][0]["state"], "backup");
    third.signal(Signal::SIGINT);
    assert_eq!(third.ended().code(), Some(0));
    assert!(!std::path::Path::new(&host.socket()).exists());
}
