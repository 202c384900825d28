//! Who counts by unicast: any source and any TTL, each named, unless the configuration says which
//! (a routed pair that works today must not wake up with two masters).

mod driver;

use driver::{Driver, ip, v2};
use vipd_engine::config::{Peer, Transport};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{Advert, DropReason, InstanceConfig, InstanceName, Output};

const OWN: &str = "10.0.0.2";

fn receiver(check_unicast_source: bool, peers: Vec<Peer>) -> Driver {
    let mut config = v2();
    config.rules.check_unicast_source = check_unicast_source;
    config.transport = Transport::Unicast { source: Some(ip(OWN)), peers, ttl: 255 };
    Driver::new(config)
}

/// What becomes of an advert of this source with this TTL: the reason if it does not count, and
/// what is named.
fn hear(driver: &mut Driver, source: &str, ttl: u8) -> (Option<DropReason>, Vec<String>) {
    let InstanceConfig { version, vrid, interval, password, .. } = driver.config();
    let addresses = [ip("10.0.0.100")].into();
    let advert = Advert { version, vrid, priority: 200, interval, password, addresses };
    let mut bytes = Vec::new();
    advert.emit(ip(source), ip(OWN), ChecksumForm::MessageOnly, &mut bytes);
    driver.log.clear();
    let before = DropReason::ALL.map(|reason| driver.drops(reason));
    driver.hear_bytes(source, ip(OWN), ttl, &bytes);
    let dropped = DropReason::ALL.into_iter().zip(before);
    let dropped = dropped.filter(|(reason, before)| driver.drops(*reason) > *before);
    let named = driver.log.iter().filter_map(|(_, output)| match output {
        Output::Notify(event) if event.news.name() == "mismatch" => Some(event.news.to_string()),
        Output::Notify(_)
        | Output::Send { .. }
        | Output::Kernel { .. }
        | Output::Probe(_)
        | Output::Ipvs(_) => None,
    });
    (dropped.map(|(reason, _)| reason).next(), named.collect())
}

fn listed(address: &str) -> Peer {
    Peer::new(ip(address))
}

const NOTHING: [String; 0] = [];

#[test]
fn without_a_check_any_source_and_any_ttl_counts_and_each_is_named_once() {
    let mut driver = receiver(false, vec![listed("10.0.0.1")]);
    assert_eq!(hear(&mut driver, "10.0.0.1", 255), (None, NOTHING.into()));
    assert_eq!(
        hear(&mut driver, "10.0.0.1", 64),
        (None, vec!["10.0.0.1: TTL is 64 instead of 255".into()])
    );
    assert_eq!(hear(&mut driver, "10.0.0.1", 64), (None, NOTHING.into()));
    let unlisted = vec!["10.0.0.9: not a configured peer".into()];
    assert_eq!(hear(&mut driver, "10.0.0.9", 255), (None, unlisted));
}

#[test]
fn with_a_check_only_listed_peers_at_ttl_255_count() {
    let mut driver = receiver(true, vec![listed("10.0.0.1")]);
    assert_eq!(hear(&mut driver, "10.0.0.1", 255), (None, NOTHING.into()));
    let far = (Some(DropReason::Ttl), vec!["10.0.0.1: TTL is 254 instead of 255".into()]);
    assert_eq!(hear(&mut driver, "10.0.0.1", 254), far);
    let unlisted = vec!["10.0.0.9: not a configured peer".into()];
    assert_eq!(hear(&mut driver, "10.0.0.9", 255), (Some(DropReason::UnlistedPeer), unlisted));
}

#[test]
fn the_limits_of_a_peer_are_those_of_its_ttl_with_and_without_a_check() {
    for check in [false, true] {
        let routed = Peer { min_ttl: Some(60), max_ttl: Some(64), ..listed("10.0.0.1") };
        let mut driver = receiver(check, vec![routed]);
        for inside in [60, 64] {
            assert_eq!(hear(&mut driver, "10.0.0.1", inside), (None, NOTHING.into()));
        }
        let named = vec!["10.0.0.1: TTL is 59, beyond the limits of this peer".into()];
        assert_eq!(hear(&mut driver, "10.0.0.1", 59), (Some(DropReason::Ttl), named));
        assert_eq!(hear(&mut driver, "10.0.0.1", 65), (Some(DropReason::Ttl), NOTHING.into()));
        let near = Peer { min_ttl: Some(254), ..listed("10.0.0.1") };
        let mut driver = receiver(check, vec![near]);
        assert_eq!(hear(&mut driver, "10.0.0.1", 254), (None, NOTHING.into()));
        assert_eq!(hear(&mut driver, "10.0.0.1", 253).0, Some(DropReason::Ttl));
    }
}

#[test]
fn of_two_instances_with_one_vrid_each_hears_what_is_sent_to_it() {
    let by_unicast = InstanceConfig {
        name: InstanceName::new("VI_2"),
        transport: Transport::Unicast {
            source: Some(ip(OWN)),
            peers: vec![listed("10.0.0.1")],
            ttl: 255,
        },
        ..v2()
    };
    let received = |driver: &Driver| -> Vec<u64> {
        let status = driver.engine.status();
        status.instances().map(|instance| instance.counters().received).collect()
    };
    let mut driver = Driver::unconfigured();
    driver.configure(vec![v2(), by_unicast], vec![]);
    driver.hear("10.0.0.1", 200);
    assert_eq!(received(&driver), [1, 0]);
    assert_eq!(hear(&mut driver, "10.0.0.1", 255), (None, NOTHING.into()));
    assert_eq!(received(&driver), [1, 1]);
}
