//! Many virtual routers on the same machines: each interface, VRID and family elects for itself, as
//! is seen from who advertises on which wire. One row of `requirements.toml` a case.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;
mod rehearsal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driver::*;
use rehearsal::wire::*;
use rehearsal::*;
use vipd_engine::config::VirtualAddress;
use vipd_engine::vrrp::timers;
use vipd_engine::{
    Config, InstanceConfig, InstanceName, InterfaceName, Interval, Profile, Rules, Vrid,
};

fn config_of(instances: Vec<InstanceConfig>) -> Arc<Config> {
    Arc::new(Config::new(instances, vec![], Duration::ZERO).expect("a config"))
}

/// Times of a host's adverts, by their EtherType and VRID.
fn elected(capture: &Capture, host: &str) -> BTreeMap<(u16, u8), Vec<u64>> {
    let mut elected = BTreeMap::<_, Vec<u64>>::new();
    for frame in capture.adverts(host) {
        elected.entry((frame.ethertype(), frame.message()[1])).or_default().push(frame.at);
    }
    elected
}

const OVER_IPV4: u16 = 0x0800;
const OVER_IPV6: u16 = 0x86dd;

/// The priorities of `a` and `b` for a VRID: who is better in one family is worse in the other.
fn priorities(ethertype: u16, vrid: u8) -> (u8, u8) {
    let (mine, yours) = (vrid.min(254), (255 - vrid).max(1));
    if ethertype == OVER_IPV4 { (mine, yours) } else { (yours, mine) }
}

/// Every VRID in both families. The profiles take turns.
fn all_of(priority_of: impl Fn(u16, u8) -> u8) -> Arc<Config> {
    const V2: [Profile; 2] = [Profile::DropIn, Profile::Rfc3768];
    const V3: [Profile; 3] = [Profile::DropIn, Profile::Rfc5798, Profile::Rfc9568];
    let mut instances = Vec::new();
    for id in 1..=255_u8 {
        let of = |config: InstanceConfig, profile, ethertype, address: &str| InstanceConfig {
            name: InstanceName::new(&format!("{ethertype:04x}_{id}")),
            vrid: Vrid::new(id.into()).unwrap(),
            priority: priority(priority_of(ethertype, id).into()),
            rules: Rules::of(profile),
            addresses: vec![VirtualAddress::new(ip(address))],
            ..config
        };
        let turn = usize::from(id);
        instances.push(of(v2(), V2[turn % 2], OVER_IPV4, &format!("10.1.0.{id}")));
        instances.push(of(v6(), V3[turn % 3], OVER_IPV6, &format!("fe80::1:{id:x}")));
    }
    config_of(instances)
}

/// MULTI-1
#[test]
fn all_255_vrids_of_both_families_elect_independently() {
    let text = scenario("5s", &["lan"])
        + &host("a", Some(1), &[("lan", "10.0.0.1/24 fe80::a/64")])
        + &host("b", Some(2), &[("lan", "10.0.0.2/24 fe80::b/64")]);
    let a = all_of(|ethertype, id| priorities(ethertype, id).0);
    let b = all_of(|ethertype, id| priorities(ethertype, id).1);
    let (_, capture) = Rehearsal::with_files(&text, [(A, 1, a), (B, 2, b)]).capture();
    let (by_a, by_b) = (elected(&capture, "a"), elected(&capture, "b"));
    assert_eq!((by_a.len(), by_b.len()), (255, 255));
    let slack = timers::advert_slack(Interval::DEFAULT).as_nanos() as u64;
    for ethertype in [OVER_IPV4, OVER_IPV6] {
        for id in 1..=255_u8 {
            let (of_a, of_b) = priorities(ethertype, id);
            let own = if of_a > of_b { &by_a } else { &by_b };
            // 3 s and (256 - priority)/256 s after the start, and a second later, or as much
            // earlier as it takes to go with another one.
            let first = 3 * SECOND + (256 - u64::from(of_a.max(of_b))) * SECOND / 256;
            let Some(&[at, next]) = own.get(&(ethertype, id)).map(Vec::as_slice) else {
                panic!("{ethertype:04x} {id}: {:?}", own.get(&(ethertype, id)));
            };
            assert_eq!(at, first, "{ethertype:04x} {id}");
            let late = first + SECOND;
            assert!((late - slack..=late).contains(&next), "{ethertype:04x} {id}: {next}");
        }
    }
}

#[test]
fn one_vrid_on_two_links_is_two_virtual_routers() {
    let mut cases = both("MULTI-2", "MULTI-2");
    cases.extend(under_each_profile("MULTI-2", &v6()));
    for (row, config) in cases {
        let addresses = if config.name == v6().name { ["fe80::20"] } else { ["10.2.0.100"] };
        let other = InstanceConfig {
            name: InstanceName::new("VI_2"),
            interface: InterfaceName::new("eth1"),
            addresses: addresses.map(|address| VirtualAddress::new(ip(address))).into(),
            ..config.clone()
        };
        // `b` is on the first link alone, and better.
        let better = InstanceConfig { priority: priority(200), ..config.clone() };
        let text = scenario("10s", &["lan", "other"])
            + &host("a", Some(1), &[("lan", "10.0.0.1/24 fe80::a/64"), ("other", "10.2.0.1/24")])
            + &host("b", Some(2), &[("lan", "10.0.0.2/24 fe80::b/64")])
            + &host("witness", None, &[("lan", "10.0.0.9/24"), ("other", "10.2.0.9/24")]);
        let files = [(A, 1, config_of(vec![config, other])), (B, 2, config_of(vec![better]))];
        let (_, capture) = Rehearsal::with_files(&text, files).capture();
        // 3 s and 156/256 s, 3 s and 56/256 s, and each second until 10 s.
        for (host, port, first) in [("a", "a/eth1", 3_609_375_000), ("b", "b/eth0", 3_218_750_000)]
        {
            let sent = capture.adverts(host).into_iter();
            let sent: Vec<_> = sent.map(|frame| (&*frame.port, frame.at)).collect();
            let expected: Vec<_> = (0..7).map(|count| (port, first + count * SECOND)).collect();
            assert_eq!(sent, expected, "{row}");
        }
    }
}

/// MULTI-3
#[test]
fn one_vrid_in_two_families_is_two_virtual_routers() {
    for profile in [Profile::DropIn, Profile::Rfc5798, Profile::Rfc9568] {
        let of = |over_ipv4, over_ipv6| {
            let of = |config: InstanceConfig, own| InstanceConfig {
                priority: priority(own),
                rules: Rules::of(profile),
                ..config
            };
            config_of(vec![of(v3(100), over_ipv4), of(v6(), over_ipv6)])
        };
        let text = scenario("20s", &["lan"])
            + &host("a", Some(1), &[("lan", "10.0.0.1/24 fe80::a/64")])
            + &host("b", Some(2), &[("lan", "10.0.0.2/24 fe80::b/64")])
            + &step("12s", "kill = \"a\"");
        let files = [(A, 1, of(200, 100)), (B, 2, of(100, 200))];
        let (_, capture) = Rehearsal::with_files(&text, files).capture();
        let times = |first, count| (0..count).map(|nth| first + nth * SECOND).collect::<Vec<_>>();
        // 3 s and 56/256 s after the start.
        let first = 3_218_750_000;
        let by_a = elected(&capture, "a");
        assert_eq!(by_a, BTreeMap::from([((OVER_IPV4, 51), times(first, 9))]));
        // Over IPv4 `b` follows 3 s and 156/256 s after the ninth advert; over IPv6 it goes on.
        let takes_over = first + 8 * SECOND + DELAY + 3_609_375_000;
        let expected =
            [((OVER_IPV4, 51), times(takes_over, 6)), ((OVER_IPV6, 51), times(first, 17))];
        assert_eq!(elected(&capture, "b"), BTreeMap::from(expected));
    }
}
