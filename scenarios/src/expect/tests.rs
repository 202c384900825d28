//! Expectations against hand-written records, at their bounds and a nanosecond beyond.

use std::sync::Arc;

use vipd_engine::config::VirtualAddress;
use vipd_engine::config::director::Protocol;
use vipd_engine::{Config, InstanceConfig, InstanceName, Mismatch, Vrid, Why};

use super::*;
use crate::record::{HostSetting, PacketId, SegmentId};

const SECOND: u64 = 1_000_000_000;
const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn seen(witness: &mut Witness, at: u64, host: HostId, what: Seen) {
    witness.observe(&Observation { at: WorldTime(at), host, seen: what });
}

fn advert(witness: &mut Witness, at: u64, host: HostId, priority: u8) {
    let router = RouterKey { segment: SegmentId(0), family: Family::Ipv4, vrid: 51 };
    let address = "10.0.0.1".parse().unwrap();
    let advert = SeenAdvert {
        packet: PacketId(0),
        router,
        sender: Some(host),
        injection: None,
        src: address,
        dst: address,
        version: 2,
        priority,
        interval: Duration::from_secs(1),
    };
    seen(witness, at, host, Seen::AdvertSent(advert));
}

fn judge(witness: Witness, expect: Expect, window: (u64, u64)) -> Option<String> {
    judge_late(witness, expect, window, 0)
}

/// In a world that may be late by `tolerance`.
fn judge_late(
    witness: Witness,
    expect: Expect,
    window: (u64, u64),
    tolerance: u64,
) -> Option<String> {
    let window = (WorldTime(window.0), WorldTime(window.1));
    let expectation = Expectation { window, expect, span: 0..0 };
    let end = WorldTime(100 * SECOND);
    let tolerance = Duration::from_nanos(tolerance);
    let met = witness.judge(&[expectation], end, tolerance, &|host| format!("h{}", host.0));
    met[0].instead.clone()
}

/// A is master from 1 s to its resignation at 3.5 s, B from 4 s to its last advert at 6 s.
fn handover() -> Witness {
    let mut witness = Witness::default();
    for second in 1..=3 {
        advert(&mut witness, second * SECOND, A, 100);
    }
    advert(&mut witness, 7 * SECOND / 2, A, 0);
    for second in 4..=6 {
        advert(&mut witness, second * SECOND, B, 99);
    }
    witness
}

fn masters(hosts: &[HostId]) -> Expect {
    Expect::Masters { router: None, hosts: hosts.to_vec() }
}

#[test]
fn a_term_ends_with_priority_zero_to_the_nanosecond() {
    assert_eq!(judge(handover(), masters(&[A]), (SECOND, 7 * SECOND / 2)), None);
    assert!(judge(handover(), masters(&[A]), (SECOND, 7 * SECOND / 2 + 1)).is_some());
    assert!(judge(handover(), masters(&[A]), (SECOND - 1, 2 * SECOND)).is_some());
}

#[test]
fn a_term_that_falls_silent_ends_with_its_last_advert() {
    assert_eq!(judge(handover(), masters(&[B]), (4 * SECOND, 6 * SECOND)), None);
    assert!(judge(handover(), masters(&[B]), (4 * SECOND, 6 * SECOND + 1)).is_some());
    assert_eq!(judge(handover(), masters(&[]), (6 * SECOND + 1, 50 * SECOND)), None);
}

#[test]
fn another_master_in_the_window_is_named() {
    let instead = judge(handover(), masters(&[A]), (2 * SECOND, 3 * SECOND));
    assert_eq!(instead, None);
    let mut witness = handover();
    advert(&mut witness, 7 * SECOND, A, 100);
    let instead = judge(witness, masters(&[]), (7 * SECOND, 8 * SECOND)).unwrap();
    assert_eq!(instead, "h0 too: 7.000000000 s to 7.000000000 s");
}

#[test]
fn a_gap_reaches_from_the_last_answer_before_it_to_the_first_after_it() {
    let gap = |at_most| {
        let mut witness = Witness::default();
        let address = "10.0.0.100".parse().unwrap();
        for (sent, answered_by) in [(1, Some(A)), (2, None), (3, None), (4, Some(B))] {
            let sent = WorldTime(sent * SECOND);
            seen(&mut witness, sent.0, HostId(2), Seen::Probe { address, sent, answered_by });
        }
        let at_most = Duration::from_nanos(at_most);
        judge(witness, Expect::ClientGap { host: HostId(2), at_most }, (0, 100 * SECOND))
    };
    assert_eq!(gap(3 * SECOND), None);
    assert_eq!(gap(3 * SECOND - 1), Some("a gap of 3 s".to_string()));
}

/// A client that asks at these seconds: each is answered so much later, or is not.
fn asks(requests: &[(u64, u64, Option<HostId>)]) -> Witness {
    let mut witness = Witness::default();
    for (sent, took, answered_by) in requests {
        let (sent, ended) = (WorldTime(sent * SECOND), WorldTime((sent + took) * SECOND));
        let answered_by = *answered_by;
        seen(&mut witness, 90 * SECOND, HostId(2), Seen::Request { sent, ended, answered_by });
    }
    witness
}

#[test]
fn an_outage_reaches_from_the_first_request_that_fails_to_the_first_that_does_not() {
    let outage = |at_most, window| {
        let asked = [(1, 0, Some(A)), (2, 5, None), (3, 5, None), (5, 0, Some(B)), (6, 9, None)];
        let at_most = Duration::from_nanos(at_most);
        judge(asks(&asked), Expect::Outage { host: HostId(2), at_most }, window)
    };
    assert_eq!(outage(3 * SECOND, (0, 5 * SECOND)), None);
    let too_long = Some("an outage of 3 s".to_string());
    assert_eq!(outage(3 * SECOND - 1, (0, 5 * SECOND)), too_long);
    // One that begins outside of the window does not count, one that never ends does.
    assert_eq!(outage(0, (3 * SECOND, 5 * SECOND)), None);
    assert_eq!(outage(0, (6 * SECOND, 7 * SECOND)), Some("an outage of 94 s".to_string()));
    let nobody =
        judge(asks(&[]), Expect::Outage { host: HostId(2), at_most: Duration::MAX }, (0, 1));
    assert_eq!(nobody, Some("nothing was asked".to_string()));
}

#[test]
fn limits_of_a_client_are_widened_by_the_tolerance_and_by_no_more() {
    let asked = [(1, 0, Some(A)), (2, 5, None), (3, 5, None), (5, 0, Some(B)), (6, 0, Some(B))];
    let late =
        |expect, tolerance| judge_late(asks(&asked), expect, (SECOND, 5 * SECOND), tolerance);
    let (host, at_most) = (HostId(2), Duration::from_nanos(3 * SECOND - 10));
    let outage = || Expect::Outage { host, at_most };
    assert_eq!(late(outage(), 10), None);
    assert_eq!(late(outage(), 9), Some("an outage of 3 s".to_string()));
    let gap = || Expect::ClientGap { host, at_most: at_most + Duration::from_secs(1) };
    assert_eq!(late(gap(), 10), None);
    assert_eq!(late(gap(), 9), Some("a gap of 4 s".to_string()));
}

#[test]
fn a_gap_between_requests_reaches_from_answer_to_answer() {
    let gap = |at_most| {
        // The one that began first is answered last.
        let asked =
            [(1, 0, Some(A)), (2, 6, Some(A)), (3, 1, None), (5, 0, Some(B)), (10, 0, None)];
        let at_most = Duration::from_nanos(at_most);
        judge(asks(&asked), Expect::ClientGap { host: HostId(2), at_most }, (0, 5 * SECOND))
    };
    assert_eq!(gap(4 * SECOND), None);
    assert_eq!(gap(4 * SECOND - 1), Some("a gap of 4 s".to_string()));
    let answered = |host| {
        let expect = Expect::AnsweredBy { client: HostId(2), host };
        judge(asks(&[(1, 0, Some(A)), (5, 0, Some(B))]), expect, (4 * SECOND, 6 * SECOND))
    };
    assert_eq!(answered(B), None);
    assert_eq!(answered(A), Some("nothing was answered by h0".to_string()));
}

#[test]
fn ownership_is_asked_of_the_data_plane() {
    let mut witness = Witness::default();
    let address: IpAddr = "10.0.0.100".parse().unwrap();
    let segment = SegmentId(0);
    for (at, owns) in [(1, true), (5, false)] {
        seen(&mut witness, at * SECOND, A, Seen::Owns { segment, address, owns });
    }
    let expect = Expect::Owners { address, hosts: vec![A] };
    assert_eq!(judge(witness, expect, (SECOND, 5 * SECOND)), None);
}

/// One instance, VRID 51.
fn configured(witness: &mut Witness, host: HostId, vrids: &[i64]) {
    let instances = vrids.iter().map(|vrid| {
        let vrid = Vrid::new(*vrid).unwrap();
        InstanceConfig::new(&format!("VI_{vrid}"), Family::Ipv4, &format!("eth{vrid}"), vrid)
    });
    let config = Config::new(instances.collect(), Vec::new(), Duration::ZERO).unwrap();
    seen(witness, 0, host, Seen::Configured(Arc::new(config)));
}

fn says(witness: &mut Witness, at: u64, host: HostId, from: StateKind, to: StateKind) {
    let news = News::State { from, to, why: Why::Startup };
    let instance = InstanceName::new("VI_51");
    seen(witness, at, host, Seen::Engine(Event { instance, news }));
}

#[test]
fn an_engine_that_says_it_is_master_without_advertising_is_found_out() {
    let mut witness = handover();
    configured(&mut witness, A, &[51]);
    says(&mut witness, SECOND, A, StateKind::Backup, StateKind::Master);
    says(&mut witness, 5 * SECOND, A, StateKind::Master, StateKind::Backup);
    let instead = judge(witness.clone(), masters(&[B]), (4 * SECOND, 6 * SECOND)).unwrap();
    let word = "h0 too: 1.000000000 s to 5.000000000 s by its own word, not on the wire";
    assert_eq!(instead, word);
    assert_eq!(judge(witness, masters(&[B]), (5 * SECOND + 1, 6 * SECOND)), None);
}

#[test]
fn an_engine_that_advertises_without_saying_so_is_found_out() {
    let mut witness = handover();
    configured(&mut witness, A, &[51]);
    says(&mut witness, 2 * SECOND, A, StateKind::Backup, StateKind::Master);
    assert_eq!(judge(witness.clone(), masters(&[A]), (2 * SECOND, 3 * SECOND)), None);
    assert!(judge(witness, masters(&[A]), (2 * SECOND - 1, 3 * SECOND)).is_some());
}

#[test]
fn a_paused_engine_says_nothing_and_goes_on_saying_it_afterwards() {
    let mut witness = handover();
    configured(&mut witness, A, &[51]);
    says(&mut witness, SECOND, A, StateKind::Backup, StateKind::Master);
    seen(&mut witness, 7 * SECOND / 2, A, Seen::Process(ProcessChange::Paused));
    seen(&mut witness, 6 * SECOND, A, Seen::Process(ProcessChange::Resumed));
    assert_eq!(judge(witness.clone(), masters(&[B]), (4 * SECOND, 6 * SECOND - 1)), None);
    assert!(judge(witness, masters(&[B]), (4 * SECOND, 6 * SECOND)).is_some());
}

#[test]
fn a_state_is_entered_exactly_once_in_the_window_and_its_ends_count() {
    let enters = |from, until, tolerance| {
        let mut witness = Witness::default();
        configured(&mut witness, A, &[51]);
        says(&mut witness, SECOND, A, StateKind::Backup, StateKind::Master);
        says(&mut witness, 3 * SECOND, A, StateKind::Backup, StateKind::Master);
        let expect = Expect::Enters { host: A, router: None, state: StateKind::Master };
        judge_late(witness, expect, (from, until), tolerance)
    };
    assert_eq!(enters(SECOND, SECOND, 0), None);
    assert_eq!(enters(0, SECOND, 0), None);
    assert!(enters(0, SECOND - 1, 0).is_some_and(|seen| seen.starts_with("at 1.000000000 s")));
    assert_eq!(enters(0, SECOND - 1, 1), None);
    assert!(enters(SECOND + 1, 2 * SECOND, 0).is_some());
    assert_eq!(enters(SECOND, 3 * SECOND, 0), Some("2 times".to_string()));
}

#[test]
fn news_are_counted_by_name() {
    let reports = |name: &str, times| {
        let mut witness = Witness::default();
        configured(&mut witness, A, &[51]);
        let peer: IpAddr = "10.0.0.2".parse().unwrap();
        for at in [SECOND, 2 * SECOND] {
            let news = News::Mismatch { peer, mismatch: Mismatch::Password };
            let instance = InstanceName::new("VI_51");
            seen(&mut witness, at, A, Seen::Engine(Event { instance, news }));
        }
        let expect = Expect::Event { host: A, name: name.to_string(), times };
        judge(witness, expect, (SECOND + 1, 2 * SECOND))
    };
    assert_eq!(reports("mismatch/password", Some(1)), None);
    assert_eq!(reports("mismatch", None), None);
    assert_eq!(reports("mismatch/password", Some(2)), Some("1 times".to_string()));
    assert!(reports("mismatch/ttl", None).is_some());
    assert_eq!(reports("one-way", Some(0)), None);
}

#[test]
fn among_several_virtual_routers_an_expectation_must_name_one() {
    let mut witness = handover();
    configured(&mut witness, A, &[51, 52]);
    let window = (4 * SECOND, 6 * SECOND);
    assert_eq!(judge(witness.clone(), masters(&[B]), window), Some(AMBIGUOUS.to_string()));
    let router = Some((Family::Ipv4, 51));
    let expect = Expect::Masters { router, hosts: vec![B] };
    assert_eq!(judge(witness.clone(), expect, window), None);
    let expect = Expect::Enters { host: A, router: None, state: StateKind::Master };
    assert_eq!(judge(witness, expect, window), Some(AMBIGUOUS.to_string()));
}

#[test]
fn what_lasts_is_asked_of_the_inner_window_of_a_world_that_may_be_late() {
    let window = (SECOND - 5, 7 * SECOND / 2 + 5);
    assert_eq!(judge_late(handover(), masters(&[A]), window, 5), None);
    assert!(judge_late(handover(), masters(&[A]), window, 4).is_some());
    let instant = (2 * SECOND, 2 * SECOND);
    assert_eq!(judge_late(handover(), masters(&[A]), instant, SECOND), None);
}

#[test]
fn a_killed_process_is_no_longer_master() {
    let mut witness = Witness::default();
    advert(&mut witness, SECOND, A, 100);
    seen(&mut witness, 3 * SECOND / 2, A, Seen::Process(ProcessChange::Killed));
    let killed = 3 * SECOND / 2;
    assert_eq!(judge(witness.clone(), masters(&[A]), (SECOND, killed)), None);
    assert_eq!(judge(witness.clone(), masters(&[]), (killed + 1, 2 * killed)), None);
    assert!(judge(witness, masters(&[]), (killed, 2 * killed)).is_some());
}

#[test]
fn an_expectation_after_an_early_end_is_not_met() {
    let window = (101 * SECOND, 102 * SECOND);
    let instead = judge(handover(), masters(&[]), window).unwrap();
    assert_eq!(instead, "the run ended before the window began");
}

/// A witness who does not hear A's engine. A is master from 1 s and gives its address up at 4 s, is
/// master again from 6 s and loses its link and its address at 9 s.
fn unheard() -> Witness {
    let host = HostSetting {
        name: "h0".into(),
        addresses: Vec::new(),
        interfaces: Vec::new(),
        runs_vrrp: true,
        speaks: false,
    };
    let none = Duration::ZERO;
    let setting = Setting {
        hosts: vec![host],
        segments: Vec::new(),
        lateness: none,
        rate_error_ppb: 0,
        release: none,
        tolerance: none,
        routes_seen: false,
        tables_seen: false,
    };
    let mut witness = Witness::new(&setting);
    let address: IpAddr = "10.0.0.100".parse().unwrap();
    let mut instance = InstanceConfig::new("VI_51", Family::Ipv4, "eth0", Vrid::new(51).unwrap());
    instance.addresses.push(VirtualAddress::new(address));
    let config = Config::new(vec![instance], Vec::new(), none).unwrap();
    seen(&mut witness, 0, A, Seen::Configured(Arc::new(config)));
    let segment = SegmentId(0);
    for (from, until) in [(1, 4), (6, 9)] {
        for second in from..until {
            advert(&mut witness, second * SECOND, A, 100);
        }
        if until == 9 {
            seen(&mut witness, 9 * SECOND, A, Seen::Link { segment, up: false });
        }
        seen(&mut witness, until * SECOND, A, Seen::Owns { segment, address, owns: false });
    }
    witness
}

#[test]
fn the_outside_shows_what_an_unheard_engine_enters() {
    let enters = |state, from, until| {
        let expect = Expect::Enters { host: A, router: None, state };
        judge(unheard(), expect, (from * SECOND, until * SECOND))
    };
    assert_eq!(enters(StateKind::Master, 1, 1), None);
    assert_eq!(enters(StateKind::Master, 6, 6), None);
    assert_eq!(enters(StateKind::Backup, 4, 4), None);
    assert_eq!(enters(StateKind::Fault, 9, 9), None);
    assert_eq!(enters(StateKind::Backup, 9, 9), Some("at 4.000000000 s".to_string()));
    assert_eq!(
        enters(StateKind::Master, 2, 5),
        Some("at 1.000000000 s, 6.000000000 s".to_string())
    );
}

#[test]
fn what_only_an_unheard_engine_could_tell_is_not_judged_and_says_so() {
    let not_judged = |expect, at: u64| {
        let window = (WorldTime(at * SECOND), WorldTime(at * SECOND));
        let expectation = Expectation { window, expect, span: 0..0 };
        let names = |_| "a".to_string();
        let met = unheard().judge(&[expectation], WorldTime(100 * SECOND), Duration::ZERO, &names);
        assert!(met[0].instead.is_none() || met[0].not_judged.is_none());
        met[0].not_judged.clone()
    };
    let enters = |state, at| not_judged(Expect::Enters { host: A, router: None, state }, at);
    assert_eq!(enters(StateKind::Backup, 4), None);
    let reason = "a state that does not follow Master is the own word of a, not heard here";
    assert_eq!(enters(StateKind::Backup, 5).as_deref(), Some(reason));
    assert_eq!(enters(StateKind::Backup, 7), None, "it is master then, so it would show");
    let event = Expect::Event { host: A, name: "mismatch".to_string(), times: None };
    let reason = "what it reports is the own word of a, not heard here";
    assert_eq!(not_judged(event, 4).as_deref(), Some(reason));
    assert_eq!(not_judged(masters(&[A]), 2), None);
    let holders = Expect::Holders { entry: "10.1.0.0/16".into(), hosts: vec![A] };
    let reason = "routes and rules are not watched here";
    assert_eq!(not_judged(holders, 4).as_deref(), Some(reason));
}

/// A witness of a table: one server from 1 s on, another from 2 s to 5 s and then with weight 0.
fn balancing() -> Witness {
    let mut witness = Witness::default();
    for (second, last, weight) in [(1, 1, 1), (2, 2, 3), (5, 2, 0)] {
        let (service, endpoint) = (service(80), endpoint(last));
        let seen_it = Seen::Destination { service, endpoint, weight: Some(weight) };
        seen(&mut witness, second * SECOND, A, seen_it);
    }
    witness
}

fn service(port: u16) -> Service {
    let address = "10.0.0.100".parse().unwrap();
    Service::Address { address, port, protocol: Protocol::Tcp }
}

fn endpoint(last: u8) -> Endpoint {
    Endpoint { address: IpAddr::from([10, 0, 0, last]), port: 80 }
}

#[test]
fn exactly_the_servers_with_a_weight_must_be_in_the_pool_all_through() {
    let pool = |servers: &[u8], window| {
        let servers = servers.iter().map(|last| endpoint(*last)).collect();
        judge(balancing(), Expect::Pool { host: A, service: None, servers }, window)
    };
    let during = |from, until| (from * SECOND, until * SECOND);
    assert_eq!(pool(&[1, 2], during(3, 4)), None);
    assert_eq!(pool(&[1], during(6, 90)), None);
    assert!(pool(&[1], during(3, 4)).unwrap().starts_with("10.0.0.2:80 too"));
    assert!(pool(&[1, 2], during(4, 6)).unwrap().starts_with("10.0.0.2:80"));
    assert_eq!(pool(&[1, 3], during(6, 7)).as_deref(), Some("10.0.0.3:80 never"));
}

#[test]
fn a_pool_of_a_host_with_several_services_must_name_one() {
    let judged = |service: Option<&str>| {
        let mut witness = balancing();
        let other = self::service(443);
        let entry = Seen::Destination { service: other, endpoint: endpoint(9), weight: Some(1) };
        seen(&mut witness, SECOND, A, entry);
        let servers = vec![endpoint(9)];
        let expect = Expect::Pool { host: A, service: service.map(Into::into), servers };
        judge(witness, expect, (6 * SECOND, 7 * SECOND))
    };
    assert_eq!(judged(Some("TCP 10.0.0.100:443")), None);
    assert!(judged(None).unwrap().contains("must name one by `service`"));
}
