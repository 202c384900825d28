//! Routes, rules and what stands whoever is master: every line as the kernel is to have it.

use std::path::Path;

use vipd_config::text::InMemory;
use vipd_config::{Loaded, Options, Report, explain_from, load_from};
use vipd_engine::config::fib::{RouteMetric, SCOPE_LINK};
use vipd_engine::config::{FibConfig, FibEntry};

fn load(text: &str) -> Result<Loaded, Box<Report>> {
    load_from(&InMemory::new().with("/k.conf", text), Path::new("/k.conf"), &Options::default())
}

/// An instance with these lines in one of its lists.
fn text(keyword: &str, lines: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n    interface eth0\n    virtual_router_id 51\n    \
         virtual_ipaddress {{\n        10.0.0.100\n    }}\n    {keyword} {{\n{lines}\n    }}\n}}\n"
    )
}

fn held(keyword: &str, lines: &str) -> Vec<FibConfig> {
    let loaded = load(&text(keyword, lines)).unwrap_or_else(|report| panic!("{report}"));
    loaded.config.instances()[0].fib.clone()
}

fn printed(keyword: &str, lines: &str) -> Vec<String> {
    held(keyword, lines).iter().map(|config| config.entry.to_string()).collect()
}

fn refused(keyword: &str, lines: &str) -> String {
    load(&text(keyword, lines)).expect_err("a mistake").to_string()
}

/// The shapes of keepalived's manual and samples, and of iproute2.
#[test]
fn routes_are_read_as_they_are_written_in_the_wild() {
    let table = [
        (
            "src 192.168.100.1 to 192.168.109.0/24 via 192.168.200.254 dev eth1",
            "192.168.109.0/24 via 192.168.200.254 dev eth1 src 192.168.100.1",
        ),
        (
            "src 192.168.100.1 192.168.109.0/24 via 192.168.200.254 dev eth1",
            "192.168.109.0/24 via 192.168.200.254 dev eth1 src 192.168.100.1",
        ),
        ("192.168.112.0/24 via 192.168.100.254", "192.168.112.0/24 via 192.168.100.254"),
        (
            "192.168.113.0/24 via 192.168.200.254 or 192.168.100.254 dev eth1",
            "192.168.113.0/24 nexthop via 192.168.200.254 dev eth1 nexthop via 192.168.100.254 \
             dev eth1",
        ),
        ("blackhole 192.168.114.0/24", "blackhole 192.168.114.0/24"),
        ("unreachable default metric 200", "unreachable default metric 200"),
        ("0.0.0.0/0 gw 192.168.0.1 table 100", "default via 192.168.0.1 table 100"),
        ("default via 192.168.0.1", "default via 192.168.0.1"),
        ("default via fe80::1 dev eth0", "default (IPv6) via fe80::1 dev eth0"),
        ("10.9.0.1 dev eth0", "10.9.0.1/32 dev eth0"),
        ("2001:db8:1::/48 via 2001:db8::1", "2001:db8:1::/48 via 2001:db8::1"),
        (
            "192.168.100.0/24 table 6909 nexthop via 192.168.101.1 dev wlan0 onlink weight 1 \
             nexthop via 192.168.101.2 dev wlan0 onlink weight 2",
            "192.168.100.0/24 nexthop via 192.168.101.1 dev wlan0 onlink nexthop via \
             192.168.101.2 dev wlan0 weight 2 onlink table 6909",
        ),
        (
            "192.168.200.0/24 dev p33p1.2 table 6909 tos 0x04 protocol bird scope link priority 12 \
             mtu 1000 hoplimit 100 advmss 101 rtt 102 rttvar 103 reordering 104 window 105 \
             cwnd 106 ssthresh lock 107 realms 3/0x14 rto_min 108 initcwnd 109 initrwnd 110",
            "192.168.200.0/24 dev p33p1.2 table 6909 metric 12 tos 4 proto 12",
        ),
    ];
    for (written, expected) in table {
        assert_eq!(printed("virtual_routes", written), [format!("route {expected}")], "{written}");
    }
}

#[test]
fn what_a_route_does_not_say_is_as_iproute2_and_the_kernel_have_it() {
    let route = |line: &str| match &held("virtual_routes", line)[0].entry {
        FibEntry::Route(route) => route.clone(),
        FibEntry::Rule(rule) => panic!("{rule}"),
    };
    assert_eq!(route("10.1.0.0/16 dev eth0").scope, SCOPE_LINK);
    assert_eq!(route("10.1.0.0/16 via 10.0.0.1").scope, 0);
    assert_eq!(route("10.1.0.0/16 via 10.0.0.1 scope site").scope, 200);
    assert_eq!(route("2001:db8::/32 dev eth0").metric, 1024);
    let measured = route("10.1.0.0/16 via 10.0.0.1 mtu lock 1400 rtt 2ms rttvar 1s advmss 1360");
    let metrics = [
        (RouteMetric::Mtu, 1400),
        (RouteMetric::Rtt, 16),
        (RouteMetric::RttVar, 4000),
        (RouteMetric::Advmss, 1360),
    ];
    assert_eq!(measured.metrics, metrics);
    assert_eq!(measured.locked, [RouteMetric::Mtu]);
    assert_eq!(route("10.1.0.0/16 dev eth0 realms 1/2").realms, 0x1_0002);
    assert!(held("virtual_routes", "10.1.0.0/16 dev eth0 no_track")[0].untracked);
}

#[test]
fn rules_are_read_as_they_are_written_in_the_wild() {
    let table = [
        ("from 192.168.200.0/24 table 2", "16384: from 192.168.200.0/24 lookup 2"),
        ("to 192.168.2.0/24 lookup main priority 7", "7: from all to 192.168.2.0/24 lookup 254"),
        (
            "from 192.168.28.0/24 to 192.168.29.0/26 table 9 iif p33p1 oif wlan0 tos 22 \
             fwmark 24/12 preference 39",
            "39: from 192.168.28.0/24 to 192.168.29.0/26 tos 22 fwmark 0x18/0xc iif p33p1 oif \
             wlan0 lookup 9",
        ),
        ("fwmark 0x10 table 3 order 5", "5: from all fwmark 0x10/0xffffffff lookup 3"),
        ("from 10.0.0.1 blackhole", "16384: from 10.0.0.1/32 blackhole"),
        ("not from 10.0.0.1 goto 20000", "16384: not from 10.0.0.1/32 goto 20000"),
        (
            "to 1:2:3:4:5:6:7:0/112 from 7:6:5:4:3:2::/96 table 6908 uidrange 10000-19999",
            "(IPv6) 16384: from 7:6:5:4:3:2::/96 to 1:2:3:4:5:6:7:0/112 lookup 6908",
        ),
        ("inet6 table 4", "(IPv6) 16384: from all lookup 4"),
    ];
    for (written, expected) in table {
        assert_eq!(printed("virtual_rules", written), [format!("rule {expected}")], "{written}");
    }
}

#[test]
fn rules_without_a_priority_are_numbered_down_through_the_whole_file() {
    let standing = "static_rules {\n    from 10.1.0.0/16 table 1\n}\n";
    let rules = "from 10.2.0.0/16 table 2\nfrom 2001:db8::/32 table 2\nfrom 10.3.0.0/16 table 3";
    let loaded = load(&format!("{}{standing}", text("virtual_rules", rules))).unwrap();
    let priorities = loaded.config.fib().map(|entry| match entry {
        FibEntry::Rule(rule) => rule.priority,
        FibEntry::Route(route) => panic!("{route}"),
    });
    assert_eq!(priorities.collect::<Vec<_>>(), [16384, 16383, 16384, 16382]);
}

#[test]
fn what_stands_has_the_default_interface_unless_it_names_one() {
    let file = "global_defs {\n    default_interface eth7\n}\nstatic_ipaddress {\n    \
                192.168.200.16 dev eth1 scope link\n    192.168.200.18/24\n}\nstatic_routes {\n    \
                192.168.212.0/24 dev eth3 scope site\n    192.168.213.0/24 dev eth1\n}\n";
    let loaded = load(file).unwrap_or_else(|report| panic!("{report}"));
    let standing = loaded.config.statics();
    let interfaces: Vec<_> = standing.addresses.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(interfaces, ["eth1", "eth7"]);
    assert_eq!(standing.fib.len(), 2);
    let files = InMemory::new().with("/k.conf", file);
    let explained = explain_from(&files, Path::new("/k.conf"), &Options::default());
    let shown = explained.expect("it can be used").1;
    let shown = shown.as_value();
    assert_eq!(shown["static_ipaddress"]["value"][1]["dev"], "eth7");
    assert_eq!(shown["static_routes"]["value"][0]["entry"], "192.168.212.0/24 dev eth3");
    assert_eq!(shown["static_routes"]["origin"], "/k.conf:8:1");
}

#[test]
fn mistakes_in_routes_are_named_at_their_line() {
    insta::assert_snapshot!(refused(
        "virtual_routes",
        "10.1.0.0/33 via 10.0.0.1\n10.1.0.0/16\n10.2.0.0/16 via fe80::1\n\
         10.3.0.0/16 via 10.0.0.1 vrf blue\nvia 10.0.0.1\n10.4.0.0/16 via 10.0.0.1 mtru 1400\n\
         10.5.0.0/16 via 10.0.0.1 via 10.0.0.2\n10.6.0.0/16 via 10.0.0.1\n\
         10.6.0.0/16 via 10.0.0.1\n\
         blackhole 10.7.0.0/16 via 10.0.0.1\n10.8.0.1/16 via 10.0.0.1 track_group g\n\
         192.168.100./24 dev eth0\n10.9.0.0/16 via 10.0.0.1 table blue\n\
         10.10.0.0/16 via 10.0.0.1 mtu 70000"
    ));
}

#[test]
fn mistakes_in_rules_are_named_at_their_line() {
    insta::assert_snapshot!(refused(
        "virtual_rules",
        "from 10.1.0.0/16 to 2001:db8::/32 table 1\nfrom 10.1.0.0/16 goto 5\n\
         from 10.1.0.0/16 table 1 preference 9\nfrom 10.1.0.0/16 table 1 preference 9\n\
         10.2.0.0/16 table 1\nfrom 10.3.0.0/16 fwmark 1/x table 1\nfrom 10.4.0.0/16 realms 7\n\
         from 10.5.0.0/16 tabel 7"
    ));
}

#[test]
fn mistakes_in_what_stands_are_named_at_their_line() {
    let file = "static_ipaddress {\n    10.0.0.7/33\n    10.0.0.8\n    10.0.0.8\n}\n\
                static_routes {\n    10.1.0.0/16\n}\n";
    insta::assert_snapshot!(load(file).expect_err("mistakes").to_string());
}
