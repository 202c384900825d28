//! Routes and rules on a real kernel: they follow the address, stand by themselves, come back, are
//! known after a kill, and leave alone what nobody configures.

mod netns;

use netns::{Host, INTERFACE, network};
use nix::sys::signal::Signal;

const OWN: &str = "192.0.2.1/24";
const VIP: &str = "192.0.2.9";

/// A virtual router that becomes master 0.36 s after its start, with these lists in its block.
fn instance(addresses: &str, lists: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface {INTERFACE}\n virtual_router_id 7\n priority 100\n \
         version 3\n advert_int 0.1\n virtual_ipaddress {{\n {addresses}\n }}\n {lists}\n}}\n"
    )
}

/// A route by a neighbour that has the virtual address as its source, a table of its own and a rule
/// that leads to it.
fn routed() -> String {
    let routes = format!(
        "10.1.0.0/16 via 192.0.2.254 dev {INTERFACE} src {VIP} mtu 1400\n \
         default via 192.0.2.254 table 100\n blackhole 10.2.0.0/16"
    );
    let rules = format!("from {VIP} table 100\n fwmark 0x10/0xff lookup 100 priority 900");
    instance(VIP, &format!("virtual_routes {{\n {routes}\n }}\n virtual_rules {{\n {rules}\n }}"))
}

/// The routes of protocol keepalived in every table, sorted.
fn routes(host: &Host, family: &str) -> Vec<String> {
    let shown = host.ip(&[family, "route", "show", "table", "all", "proto", "keepalived"]);
    let mut lines: Vec<_> = shown.lines().map(|line| line.trim().to_string()).collect();
    lines.sort();
    lines
}

fn rules(host: &Host, family: &str) -> Vec<String> {
    let shown = host.ip(&[family, "rule", "show"]);
    let ours = shown.lines().filter(|line| line.contains("proto keepalived"));
    ours.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

const LAST_OF_ROUTED: &str = "add rule 900: from all fwmark 0x10/0xff lookup 100: done";

#[test]
fn routes_and_rules_come_with_the_address_and_go_with_it() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let mut vipd = host.start(&host.file(&routed()));
    for done in [
        "add address 192.0.2.9/32 on ens192: done",
        "add route 10.1.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.9: done",
        "add rule 16384: from 192.0.2.9/32 lookup 100: done",
        LAST_OF_ROUTED,
    ] {
        vipd.wait_for(done);
    }
    assert_eq!(
        routes(host, "-4"),
        [
            "10.1.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.9 mtu 1400",
            "blackhole 10.2.0.0/16",
            "default via 192.0.2.254 dev ens192 table 100",
        ]
    );
    assert_eq!(
        rules(host, "-4"),
        [
            "900: from all fwmark 0x10/0xff lookup 100 proto keepalived",
            "16384: from 192.0.2.9 lookup 100 proto keepalived",
        ]
    );
    // A packet goes where they say.
    let way = host.ip(&["route", "get", "198.51.100.1", "from", VIP]);
    assert!(way.contains("via 192.0.2.254 dev ens192 table 100"), "{way}");
    let status = host.status();
    assert_eq!(status["instances"][0]["routes"].as_array().map(Vec::len), Some(3), "{status}");
    assert_eq!(status["instances"][0]["rules"][0], "16384: from 192.0.2.9/32 lookup 100");
    let text = String::from_utf8(host.vipd(&["status"]).stdout).expect("text");
    assert!(text.contains("  holds route blackhole 10.2.0.0/16\n"), "{text}");

    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    assert!(routes(host, "-4").is_empty() && rules(host, "-4").is_empty());
    let said = vipd.said();
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("no {words}:\n{said}"));
    for added in ["add route", "add rule"] {
        assert!(at("backup -> master") < at(added), "a backup has none:\n{said}");
    }
    assert!(at("remove rule 900") < at("remove route 10.1.0.0/16"));
    assert!(at("remove route 10.1.0.0/16") < at("remove address 192.0.2.9/32"));
}

#[test]
fn what_somebody_removes_replaces_or_flushes_comes_back() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let vipd = host.start(&host.file(&routed()));
    vipd.wait_for(LAST_OF_ROUTED);
    host.ip(&["route", "del", "10.1.0.0/16"]);
    vipd.wait_for("route 10.1.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.9 was removed");
    vipd.wait_for("add route 10.1.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.9: done");
    host.ip(&["rule", "del", "priority", "900"]);
    vipd.wait_for("rule 900: from all fwmark 0x10/0xff lookup 100 was removed behind our back");
    vipd.wait_for(LAST_OF_ROUTED);
    // The kernel tells of the new one only.
    host.ip(&["route", "replace", "default", "via", "192.0.2.253", "table", "100"]);
    vipd.wait_for("route default via 192.0.2.254 dev ens192 table 100 was removed behind our back");
    vipd.wait_for("add route default via 192.0.2.254 table 100: done");
    let both = host.ip(&["route", "show", "table", "100"]);
    assert!(both.contains("192.0.2.254") && both.contains("192.0.2.253"), "{both}");
    // With its source address a route goes without a word.
    host.ip(&["address", "del", &format!("{VIP}/32"), "dev", INTERFACE]);
    vipd.wait_for("add address 192.0.2.9/32 on ens192: done");
    vipd.wait_for("add route 10.1.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.9: done");
    assert_eq!(routes(host, "-4").len(), 3);
}

#[test]
fn what_a_killed_run_left_goes_before_the_election_and_what_is_not_configured_stays() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    host.ip(&["route", "add", "default", "via", "192.0.2.253"]);
    let unnamed = ["10.77.0.0/16", "via", "192.0.2.253", "proto", "keepalived"];
    host.ip(&[&["route", "add"], &unnamed[..]].concat());
    host.ip(&["rule", "add", "from", "10.77.0.0/16", "table", "77", "priority", "77"]);
    let text = instance(VIP, "virtual_routes {\n default via 192.0.2.254\n }");
    let mut vipd = host.start(&host.file(&text));
    vipd.wait_for("add route default via 192.0.2.254: done");
    // Ours is first, the other one stays behind it.
    let way = host.ip(&["route", "get", "198.51.100.1"]);
    assert!(way.contains("via 192.0.2.254"), "{way}");
    vipd.signal(Signal::SIGKILL);
    vipd.ended();
    assert_eq!(routes(host, "-4").len(), 2, "the kernel keeps what it was given");

    let lower = text.replace("advert_int 0.1", "advert_int 10");
    let mut vipd = host.launch(&host.file(&lower));
    vipd.wait_for("route default via 192.0.2.254 dev ens192 was on this machine before the elect");
    vipd.wait_for("remove route default via 192.0.2.254 dev ens192: done");
    assert_eq!(routes(host, "-4"), ["10.77.0.0/16 via 192.0.2.253 dev ens192"]);
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    let left = host.ip(&["route", "show"]);
    assert!(left.contains("default via 192.0.2.253") && left.contains("10.77.0.0/16"), "{left}");
    assert!(host.ip(&["rule", "show"]).contains("from 10.77.0.0/16 lookup 77"));
}

/// Things that stand whoever is master, and a virtual router that is none for half a minute.
fn standing(more: &str) -> String {
    let backup = instance(VIP, "").replace("advert_int 0.1", "advert_int 10");
    format!(
        "static_ipaddress {{\n 192.0.2.77/24 dev {INTERFACE}\n}}\nstatic_routes {{\n \
         10.5.0.0/16 via 192.0.2.254 src 192.0.2.77\n {more}\n}}\nstatic_rules {{\n \
         from 192.0.2.77 table 5\n}}\n{backup}"
    )
}

#[test]
fn what_is_static_stands_in_backup_is_kept_over_a_kill_and_goes_at_the_stop() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let mut vipd = host.start(&host.file(&standing("")));
    vipd.wait_for("add rule 16384: from 192.0.2.77/32 lookup 5: done");
    assert!(host.holds("192.0.2.77"));
    let held = ["10.5.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.77"];
    assert_eq!(routes(host, "-4"), held);
    let status = host.status();
    assert_eq!(status["instances"][0]["state"], "backup");
    assert_eq!(status["static"]["addresses"][0], "192.0.2.77/24 on ens192");
    assert_eq!(status["static"]["rules"][0], "16384: from 192.0.2.77/32 lookup 5");

    // A killed run's are ours: nothing is done, and they go at the stop.
    vipd.signal(Signal::SIGKILL);
    vipd.ended();
    let mut vipd = host.start(&host.file(&standing("")));
    assert_eq!(routes(host, "-4"), held);
    assert_eq!(host.status()["static"]["routes"][0], held[0]);
    assert!(!vipd.said().contains("add route"), "{}", vipd.said());

    // A reload adds and removes what is different.
    host.file(&standing(&format!("10.6.0.0/16 dev {INTERFACE}")));
    assert_eq!(host.vipd(&["reload"]).status.code(), Some(0));
    vipd.wait_for("add route 10.6.0.0/16 dev ens192: done");
    host.file(&standing("").replace("10.5.0.0/16", "10.7.0.0/16"));
    assert_eq!(host.vipd(&["reload"]).status.code(), Some(0));
    vipd.wait_for("add route 10.7.0.0/16 via 192.0.2.254 src 192.0.2.77: done");
    assert_eq!(routes(host, "-4"), ["10.7.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.77"]);

    // An address that goes takes its route along; both come back.
    host.ip(&["address", "del", "192.0.2.77/24", "dev", INTERFACE]);
    vipd.wait_for("static: 192.0.2.77 was removed behind our back");
    vipd.wait_for("add address 192.0.2.77/24 on ens192: done");
    vipd.wait_for("add route 10.7.0.0/16 via 192.0.2.254 src 192.0.2.77: done");

    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    assert!(routes(host, "-4").is_empty() && rules(host, "-4").is_empty());
    assert!(!host.holds("192.0.2.77"));
}

#[test]
fn a_reload_that_names_the_first_route_finds_what_is_there() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    host.ip(&["route", "add", "10.6.0.0/16", "dev", INTERFACE, "proto", "keepalived"]);
    let plain = instance(VIP, "").replace("advert_int 0.1", "advert_int 10");
    let mut vipd = host.start(&host.file(&plain));
    host.file(&format!("static_routes {{\n 10.6.0.0/16 dev {INTERFACE} scope link\n}}\n{plain}"));
    assert_eq!(host.vipd(&["reload"]).status.code(), Some(0));
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
    assert!(routes(host, "-4").is_empty(), "it was ours to remove: {}", vipd.said());
}

#[test]
fn an_interface_that_goes_down_takes_its_routes_along_and_they_return_with_it() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    host.ip(&["link", "add", "far", "type", "veth", "peer", "name", "near"]);
    host.ip(&["link", "set", "near", "up"]);
    host.ip(&["address", "add", "198.51.100.1/24", "dev", "far"]);
    let text = format!(
        "static_routes {{\n 10.8.0.0/16 via 198.51.100.254 dev far\n}}\n{}",
        instance(VIP, "").replace("advert_int 0.1", "advert_int 10")
    );
    let vipd = host.start(&host.file(&text));
    assert!(routes(host, "-4").is_empty(), "it waits for its interface");
    assert!(!vipd.said().contains("add route"), "without a word: {}", vipd.said());
    host.ip(&["link", "set", "far", "up"]);
    vipd.wait_for("add route 10.8.0.0/16 via 198.51.100.254 dev far: done");
    host.ip(&["link", "set", "far", "down"]);
    vipd.wait_for("interface far is Down");
    host.ip(&["link", "set", "far", "up"]);
    vipd.wait_for("add route 10.8.0.0/16 via 198.51.100.254 dev far: done");
    assert_eq!(routes(host, "-4"), ["10.8.0.0/16 via 198.51.100.254 dev far"]);
    assert!(!vipd.said().contains("behind our back"), "{}", vipd.said());
}

#[test]
fn routes_that_the_kernel_could_not_tell_of_are_found_by_reading_its_state_anew() {
    let Some(network) = network(&[&[OWN]]) else { return };
    let host = &network.hosts[0];
    let vipd = host.start(&host.file(&routed()));
    vipd.wait_for(LAST_OF_ROUTED);
    vipd.signal(Signal::SIGSTOP);
    let mut batch: String = (0..2000)
        .map(|number| format!("address add 10.9.{}.{}/32 dev lo\n", number / 250, number % 250))
        .collect();
    batch.push_str("route del 10.1.0.0/16\nrule del priority 900\n");
    let file = network.folder.join("batch");
    std::fs::write(&file, batch).expect("a file of ours");
    host.ip(&["-batch", file.to_str().expect("plain letters")]);
    vipd.signal(Signal::SIGCONT);
    vipd.wait_for("the kernel lost messages for us, its state is read anew");
    vipd.wait_for_all(&[
        "add route 10.1.0.0/16 via 192.0.2.254 dev ens192 src 192.0.2.9: done",
        LAST_OF_ROUTED,
    ]);
    assert_eq!((routes(host, "-4").len(), rules(host, "-4").len()), (3, 2));
}

#[test]
fn ipv6_several_next_hops_and_other_protocols_are_held_and_recognised() {
    let Some(network) = network(&[&["192.0.2.1/24", "fe80::1/64", "2001:db8::1/64"]]) else {
        return;
    };
    let host = &network.hosts[0];
    let lists = format!(
        "virtual_routes {{\n 2001:db8:1::/48 via 2001:db8::fe dev {INTERFACE} metric 7\n \
         default via fe80::fe dev {INTERFACE} table 100 protocol bird\n \
         unreachable 2001:db8:2::/48\n \
         2001:db8:3::/48 nexthop via 2001:db8::fe dev {INTERFACE} weight 2 nexthop via \
         2001:db8::fd dev {INTERFACE}\n \
         10.3.0.0/16 nexthop via 192.0.2.253 weight 3 nexthop via 192.0.2.254\n }}\n \
         virtual_rules {{\n from 2001:db8::9 table 100\n inet6 oif {INTERFACE} prohibit \
         priority 40000\n }}"
    );
    let text = instance("fe80::9\n 2001:db8::9", &lists);
    let mut vipd = host.start(&host.file(&text));
    vipd.wait_for("add rule (IPv6) 40000: from all oif ens192 prohibit: done");
    let six = routes(host, "-6");
    assert_eq!(six.len(), 5, "{six:?}");
    assert!(six[0].starts_with("2001:db8:1::/48 via 2001:db8::fe dev ens192 metric 7"), "{six:?}");
    assert!(six.iter().any(|line| line.starts_with("unreachable 2001:db8:2::/48")), "{six:?}");
    let bird = host.ip(&["-6", "route", "show", "table", "100", "proto", "bird"]);
    assert!(bird.contains("default via fe80::fe dev ens192"), "{bird}");
    assert_eq!(routes(host, "-4").len(), 3);
    // The kernel's own word of each is that of the configuration.
    let held = host.status()["instances"][0]["routes"].to_string();
    assert!(held.contains("10.3.0.0/16 nexthop via 192.0.2.253 dev ens192 weight 3"), "{held}");
    // All of it is known by the next run.
    vipd.signal(Signal::SIGKILL);
    vipd.ended();
    let mut vipd = host.launch(&host.file(&text.replace("advert_int 0.1", "advert_int 10")));
    // Asked for behind the routes.
    vipd.wait_for("remove address 2001:db8::9/128 on ens192: done");
    assert!(routes(host, "-6").is_empty(), "{:?}\n{}", routes(host, "-6"), vipd.said());
    assert!(routes(host, "-4").is_empty() && rules(host, "-6").is_empty());
    assert_eq!(host.ip(&["-6", "route", "show", "table", "100"]), "");
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}
