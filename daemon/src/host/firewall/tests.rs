//! Verdicts on rulesets as nft 1.0.6 and iptables 1.8 print them (`fixtures/`).

use std::path::Path;

use vipd_config::text::InMemory;
use vipd_config::{Loaded, Options, Places};
use vipd_engine::Family;

use super::model::{Condition, Direction, Field, Packet, Value};
use super::{Ruleset, is_within, judge, of_iptables, of_nft, tables_of_nft};

const MULTICAST: &str = "\
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        192.0.2.100
    }
}
";

fn loaded(text: &str) -> (Loaded, Places) {
    let files = InMemory::new().with("/v.conf", text);
    let read = vipd_config::locate_from(&files, Path::new("/v.conf"), &Options::default());
    read.unwrap_or_else(|report| panic!("{report}"))
}

/// Severity, code, line and message of each finding.
fn findings(ruleset: Ruleset, text: &str) -> Vec<String> {
    let (loaded, places) = loaded(text);
    let found = judge(&[ruleset], &loaded.config, &places);
    let line = |one: &vipd_config::diagnostics::Diagnostic| {
        let sources = &loaded.report.sources;
        let at = one.span.map_or(0, |span| sources.position(span).line);
        format!("{:?} {} {at} {}", one.severity, one.code, one.message)
    };
    found.iter().map(line).collect()
}

macro_rules! nft {
    ($name:literal) => {
        of_nft(
            include_str!(concat!("fixtures/", $name, ".json")),
            include_str!(concat!("fixtures/", $name, ".txt")),
        )
        .expect("nft printed it")
    };
}

#[test]
fn a_rule_that_drops_the_group_or_the_protocol_is_named_with_its_handle_and_its_text() {
    assert_eq!(
        findings(nft!("drops"), MULTICAST),
        [
            "Error firewall-drops 2 adverts that arrive on eth0 are dropped by rule 3 of chain \
             input of table inet filter (`ip daddr 224.0.0.18 drop`)",
            "Error firewall-drops 2 adverts that leave by eth0 are dropped by rule 5 of chain \
             output of table inet filter (`ip protocol { ah, vrrp } counter packets 0 bytes 0 log \
             prefix \"vrrp \" reject with icmp port-unreachable`)",
        ]
    );
}

#[test]
fn a_rule_for_the_ipv6_group_concerns_ipv6_only() {
    let ipv6 = MULTICAST.replace("192.0.2.100", "fe80::100");
    let said = findings(nft!("drops"), &ipv6);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("(`iifname \"eth*\" ip6 daddr ff02::12 drop`)"), "{said:#?}");
}

#[test]
fn a_policy_that_drops_is_no_less_and_udp_port_112_is_known_as_the_mistake_it_is() {
    assert_eq!(
        findings(nft!("article"), MULTICAST),
        [
            "Warning firewall-port 0 VRRP is IP protocol 112, rule 10 of chain input of table inet \
             filter (`udp dport 112 accept`) lets UDP port 112 through",
            "Error firewall-drops 2 adverts that arrive on eth0 are dropped by the policy of chain \
             input of table inet filter",
        ]
    );
}

#[test]
fn adverts_that_are_accepted_by_jumps_ranges_and_maps_are_nothing_to_speak_of() {
    assert_eq!(findings(nft!("right"), MULTICAST), [""; 0]);
    let elsewhere = MULTICAST.replace("eth0", "eth1");
    let said = findings(nft!("right"), &elsewhere);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("(`iifname != \"eth0\" drop`)"), "{said:#?}");
    assert!(said[1].contains("dropped by the policy of chain output"), "{said:#?}");
}

#[test]
fn what_cannot_be_decided_is_told_and_no_error() {
    let said = findings(nft!("undecided"), MULTICAST);
    let not = "applies, which is not decided here";
    let arriving = "adverts that arrive on eth0 are dropped by the policy of chain";
    let leaving = "adverts that leave by eth0 are dropped if";
    let of = |chain| format!("of chain {chain} of table ip filter");
    let meant = format!(
        "Note firewall-undecided 2 {arriving} input of table ip filter, unless rule 6 {} (`ip \
         saddr @friends ip protocol vrrp accept`) {not}",
        of("input")
    );
    let rate = format!(
        "Note firewall-undecided 2 {leaving} rule 7 {} (`ip daddr 224.0.0.0/4 limit rate over \
         5/second drop`) {not}",
        of("output")
    );
    let jump = format!(
        "Note firewall-undecided 2 {leaving} rule 8 {} (`meta mark 0x00000007 jump marked`) {not}",
        of("output")
    );
    let mark = format!(
        "Warning firewall-undecided 2 {arriving} second of table ip filter, unless rule 10 {} \
         (`meta mark 0x00000007 accept`) {not}",
        of("second")
    );
    assert_eq!(said, [meant, rate, jump, mark]);
}

#[test]
fn of_unicast_each_peer_is_followed() {
    let unicast = MULTICAST.replace(
        "priority 100",
        "priority 100\nunicast_src_ip 192.0.2.11\nunicast_peer {\n192.0.2.12\n192.0.2.13\n}",
    );
    let said = findings(nft!("undecided"), &unicast);
    let about_group = said.iter().filter(|one| one.contains("224.0.0.0/4")).count();
    assert_eq!(about_group, 0, "{said:#?}");
    let saved = "*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                 -A INPUT -s 192.0.2.12/32 -p vrrp -j ACCEPT\nCOMMIT\n";
    let ruleset = of_iptables(saved, Family::Ipv4);
    let said = findings(ruleset, &unicast);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("adverts of 192.0.2.13 to eth0 are dropped"), "{said:#?}");
}

#[test]
fn what_iptables_keeps_to_itself_is_not_decided() {
    let json = |expressions: &str| {
        let head = r#"{"family": "ip", "table": "filter", "#;
        format!(
            r#"{{"nftables": [{{"chain": {head} "name": "INPUT", "handle": 1, "type": "filter",
            "hook": "input", "prio": 0, "policy": "accept"}}}},
            {{"rule": {head} "chain": "INPUT", "handle": 2, "expr": [{expressions}]}}}}]}}"#
        )
    };
    let said = |expressions| {
        let ruleset = of_nft(&json(expressions), "").expect("it is well-formed");
        findings(ruleset, MULTICAST)
    };
    let undecided = "Note firewall-undecided 2 adverts that arrive on eth0 are dropped if rule 2 \
                     of chain INPUT of table ip filter applies, which is not decided here";
    assert_eq!(said(r#"{"xt": null}"#), [undecided]);
    assert_eq!(said(r#"{"xt": null}, {"counter": null}, {"drop": null}"#), [undecided]);
    assert_eq!(said(r#"{"xt": null}, {"counter": null}, {"accept": null}"#), [""; 0]);
    let comment = r#"{"xt": {"type": "match", "name": "comment"}}, {"drop": null}"#;
    assert!(said(comment)[0].starts_with("Error firewall-drops"), "{:?}", said(comment));
}

#[test]
fn rules_of_old_iptables_are_followed_by_their_options() {
    let saved = "\
# Generated by iptables-save v1.8.9 on Fri Nov 27 04:00:00 2026
*filter
:INPUT DROP [0:0]
:OUTPUT ACCEPT [0:0]
:VRRP - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p udp -m udp --dport 112 -m comment --comment \"VRRP, -j DROP\" -j ACCEPT
-A INPUT -i eth+ -p vrrp -j VRRP
-A VRRP ! -d 224.0.0.0/4 -j RETURN
-A VRRP -j LOG --log-prefix \"vrrp \"
-A VRRP -j REJECT --reject-with icmp-port-unreachable
COMMIT
";
    let ruleset = of_iptables(saved, Family::Ipv4);
    assert_eq!(
        findings(ruleset, MULTICAST),
        [
            "Warning firewall-port 0 VRRP is IP protocol 112, rule 3 of chain INPUT of table \
             filter of iptables (`-A INPUT -p udp -m udp --dport 112 -m comment --comment \"VRRP, \
             -j DROP\" -j ACCEPT`) lets UDP port 112 through",
            "Error firewall-drops 2 adverts that arrive on eth0 are dropped by rule 3 of chain \
             VRRP of table filter of iptables (`-A VRRP -j REJECT --reject-with \
             icmp-port-unreachable`)",
        ]
    );
    assert_eq!(tables_of_nft(saved, Family::Ipv4), [""; 0]);
}

#[test]
fn what_iptables_wrote_into_nftables_is_read_by_iptables_and_undecided_without_it() {
    let saved = include_str!("fixtures/iptables.save");
    assert_eq!(tables_of_nft(saved, Family::Ipv4), ["ip filter", "ip nat"]);
    let said = findings(of_iptables(saved, Family::Ipv4), MULTICAST);
    let of = "of table filter of iptables";
    let start = |one: &String| one.split(" (`").next().map(str::to_owned);
    let starts: Vec<_> = said.iter().filter_map(start).collect();
    let [port, arriving, leaving] = [
        format!("Warning firewall-port 0 VRRP is IP protocol 112, rule 3 of chain INPUT {of}"),
        format!(
            "Error firewall-drops 2 adverts that arrive on eth0 are dropped by the policy of \
             chain INPUT {of}"
        ),
        format!(
            "Error firewall-drops 2 adverts that leave by eth0 are dropped by rule 3 of chain \
             VRRP {of}"
        ),
    ];
    assert_eq!(starts, [port, arriving, leaving]);

    let said = findings(nft!("iptables"), MULTICAST);
    let codes: Vec<_> = said.iter().map(|one| one.split(" 2 ").next().unwrap_or(one)).collect();
    assert_eq!(codes[1..], ["Warning firewall-undecided", "Note firewall-undecided"]);
    assert!(said[0].contains("lets UDP port 112 through"), "{said:#?}");
    assert!(said[1].contains("(`ct state related,established"), "{said:#?}");
    assert!(said[2].contains("(`oifname \"eth*\" fib daddr type multicast"), "{said:#?}");
}

#[test]
fn a_chain_that_was_gone_to_ends_the_one_before_it_and_a_return_only_its_own() {
    let dropped = |chains: &str| {
        let saved = format!(
            "*filter\n:INPUT ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n\
             -A INPUT ! -i eth1 -p vrrp -j A\n-A INPUT -p vrrp -j DROP\n{chains}COMMIT\n"
        );
        findings(of_iptables(&saved, Family::Ipv4), MULTICAST).len() == 1
    };
    assert!(!dropped("-A A -j ACCEPT\n"));
    assert!(!dropped("-A A -j B\n-A A -j ACCEPT\n"));
    assert!(dropped("-A A -g B\n-A A -j ACCEPT\n"));
    assert!(dropped("-A A -j RETURN\n-A A -j ACCEPT\n"));
    assert!(dropped("-A A -j LOG\n"));
}

#[test]
fn chains_that_lead_to_each_other_or_to_ever_more_of_them_come_to_an_end() {
    let ring = "*filter\n:INPUT ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n-A INPUT -p vrrp -j A\n\
                -A A -j B\n-A B -j A\nCOMMIT\n";
    let said = findings(of_iptables(ring, Family::Ipv4), MULTICAST);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("Note firewall-undecided"), "{said:#?}");
    let mut fan = "*filter\n:INPUT ACCEPT [0:0]\n".to_owned();
    let heads: Vec<_> = (0..15).map(|level| format!(":L{level} - [0:0]\n")).collect();
    fan += &heads.concat();
    fan += "-A INPUT -m time -j L0\n";
    for level in 0..14 {
        fan += &format!("-A L{level} -m time -j L{}\n", level + 1).repeat(20);
    }
    let said = findings(of_iptables(&fan, Family::Ipv4), MULTICAST);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("rule 1 of chain INPUT"), "{said:#?}");
}

#[test]
fn what_is_no_ruleset_is_an_error() {
    assert!(of_nft("no rules", "").is_err());
    assert!(of_nft("{}", "").is_err());
}

#[test]
fn connection_tracking_knows_no_answer_to_a_group() {
    let packet = |destination: &str| Packet {
        family: Family::Ipv4,
        direction: Direction::Arriving,
        source: None,
        destination: destination.parse().ok(),
        interfaces: vec!["eth0".to_owned()],
    };
    let state = |words: &[&str]| Condition {
        field: Field::State,
        negated: false,
        values: words.iter().map(|word| Value::word(word)).collect(),
    };
    let (group, peer) = (packet("224.0.0.18"), packet("192.0.2.11"));
    assert_eq!(state(&["established", "related"]).holds(&group), Some(false));
    assert_eq!(state(&["established", "related"]).holds(&peer), None);
    assert_eq!(state(&["new"]).holds(&group), None);
    assert_eq!(state(&["new", "untracked"]).holds(&group), Some(true));
    assert_eq!(state(&["invalid"]).holds(&peer), Some(false));
}

#[test]
fn an_interface_that_is_not_there_to_compare_with_decides_nothing_when_negated() {
    let packet = Packet {
        family: Family::Ipv4,
        direction: Direction::Arriving,
        source: None,
        destination: None,
        interfaces: vec!["eth0".to_owned(), "vrrp.51".to_owned()],
    };
    let by = |field, negated| Condition { negated, ..Condition::is(field, "eth0") }.holds(&packet);
    assert_eq!(by(Field::LeavesBy, false), Some(false));
    assert_eq!(by(Field::LeavesBy, true), None);
    assert_eq!(by(Field::ArrivesOn, false), None, "it may arrive on either");
}

#[test]
fn networks_are_compared_by_their_prefix() {
    let within = |address: &str, net: &str, length| {
        let parse = |text: &str| text.parse().expect("an address");
        is_within(parse(address), parse(net), length)
    };
    assert!(within("192.0.2.77", "192.0.2.1", 24));
    assert!(!within("192.0.3.77", "192.0.2.1", 24));
    assert!(within("192.0.3.77", "0.0.0.0", 0));
    assert!(!within("192.0.2.1", "192.0.2.0", 32));
    assert!(within("2001:db8::9", "2001:db8::", 64));
    assert!(!within("2001:db8::9", "0.0.0.0", 0));
}
