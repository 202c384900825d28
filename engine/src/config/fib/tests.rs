//! Which entries are the same one.

use alloc::string::ToString;
use alloc::vec;
use core::net::IpAddr;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(address: &str, len: u8) -> Prefix {
    Prefix::new(ip(address), len).unwrap()
}

fn hop(via: &str, interface: Option<&str>) -> NextHop {
    let interface = interface.map(InterfaceName::new);
    NextHop { via: Some(ip(via)), interface, ..NextHop::default() }
}

fn by(via: &str, interface: Option<&str>) -> Route {
    Route { next_hops: vec![hop(via, interface)], ..Route::new(prefix("10.1.0.0", 16)) }
}

fn entry(route: Route) -> FibEntry {
    FibEntry::Route(Box::new(route))
}

#[test]
fn a_prefix_keeps_no_bit_behind_its_length_and_has_no_more_than_the_address() {
    assert_eq!(prefix("10.1.2.3", 16), prefix("10.1.0.0", 16));
    assert_eq!(prefix("2001:db8::1", 32), prefix("2001:db8::", 32));
    assert_eq!(prefix("10.1.2.3", 0), Prefix::all(Family::Ipv4));
    assert!(Prefix::new(ip("10.0.0.1"), 33).is_err());
    assert!(Prefix::new(ip("::1"), 129).is_err());
}

#[test]
fn a_route_without_an_interface_names_the_one_that_the_kernel_found_for_it() {
    let configured = entry(by("192.0.2.254", None));
    assert!(configured.names(&entry(by("192.0.2.254", Some("eth0")))));
    assert!(!configured.names(&entry(by("192.0.2.253", Some("eth0")))), "another way");
    let on_eth1 = entry(by("192.0.2.254", Some("eth1")));
    assert!(!on_eth1.names(&entry(by("192.0.2.254", Some("eth0")))));
}

#[test]
fn a_route_of_another_protocol_metric_or_table_is_somebody_elses() {
    let own = by("192.0.2.254", None);
    for other in [
        Route { protocol: 4, ..own.clone() },
        Route { metric: 5, ..own.clone() },
        Route { table: 100, ..own.clone() },
        Route { kind: RouteKind::Blackhole, next_hops: vec![], ..own.clone() },
    ] {
        assert!(!entry(own.clone()).names(&entry(other.clone())), "{other}");
    }
}

#[test]
fn the_order_of_several_next_hops_does_not_count_and_their_number_does() {
    let hops = [hop("192.0.2.1", None), hop("192.0.2.2", None)];
    let with = |next_hops| entry(Route { next_hops, ..Route::new(prefix("10.1.0.0", 16)) });
    let [one, other] = hops;
    let both = with(vec![one.clone(), other.clone()]);
    assert!(both.names(&with(vec![other, one.clone()])));
    assert!(!both.names(&with(vec![one])));
}

#[test]
fn another_source_is_the_same_route_held_otherwise() {
    let plain = by("192.0.2.254", None);
    let sourced = Route { source: Some(ip("192.0.2.9")), ..plain.clone() };
    assert!(entry(plain.clone()).names(&entry(sourced.clone())));
    assert!(!entry(plain.clone()).is_held_as(&entry(sourced.clone())));
    assert!(entry(sourced.clone()).is_held_as(&entry(sourced)));
}

#[test]
fn entries_print_as_iproute2_does() {
    let route = by("192.0.2.254", Some("eth0"));
    assert_eq!(entry(route).to_string(), "route 10.1.0.0/16 via 192.0.2.254 dev eth0");
    let drop = Route { kind: RouteKind::Blackhole, ..Route::new(Prefix::all(Family::Ipv4)) };
    assert_eq!(entry(drop).to_string(), "route blackhole default");
    let several = Route {
        next_hops: vec![hop("192.0.2.1", None), NextHop { weight: 1, ..hop("192.0.2.2", None) }],
        table: 100,
        metric: 7,
        ..Route::new(Prefix::all(Family::Ipv6))
    };
    let printed = "route default (IPv6) nexthop via 192.0.2.1 nexthop via 192.0.2.2 weight 2 \
                   table 100 metric 7";
    assert_eq!(entry(several).to_string(), printed);
    let rule = Rule {
        from: Some(prefix("192.0.2.0", 24)),
        fwmark: Some((1, u32::MAX)),
        action: RuleAction::Table(100),
        ..Rule::new(Family::Ipv4, 16384)
    };
    let printed = "rule 16384: from 192.0.2.0/24 fwmark 0x1/0xffffffff lookup 100";
    assert_eq!(FibEntry::Rule(Box::new(rule)).to_string(), printed);
}
