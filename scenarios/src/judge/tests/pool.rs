//! L7 at its bounds.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::Config;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, Service, SorryServer,
    VirtualServer, VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind, HttpCheck, HttpProtocol, Url};
use vipd_engine::ipvs::Endpoint;

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{HostId, ProcessChange, Seen, WorldTime};
use crate::scenario::{Conduct, Step, TimedStep};

const L7: PropertyId = PropertyId::L7;
/// Hosts: the director and two real servers. The sorry server is somewhere else.
const DIRECTOR: usize = 0;
const B: usize = 1;
const C: usize = 2;
const SORRY: u8 = 200;

/// `delay_loop` 6 s, `timeout` 5 s, `retry` 1 after 1 s: six handlers and commands late by as much
/// as the setting allows.
const OUT: u64 = (6 + 5 + (1 + 5)) * SECOND + 4 * LATE + 2 * RELEASE;
const BACK: u64 = (6 + 5) * SECOND + 2 * LATE + 2 * RELEASE;

fn service() -> Service {
    Service::Address { address: vip(), port: 80, protocol: Protocol::Tcp }
}

fn endpoint(last: u8) -> Endpoint {
    Endpoint { address: address(last), port: 80 }
}

fn check(kind: CheckKind, address: IpAddr) -> Check {
    Check {
        kind,
        address,
        port: 80,
        bind: Bind::default(),
        timeout: Duration::from_secs(5),
        delay_loop: Duration::from_secs(6),
        retry: 1,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

fn two_pages() -> CheckKind {
    let url = |path: &str| Url {
        path: path.to_string(),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    };
    CheckKind::Http(Box::new(HttpCheck {
        tls: None,
        protocol: HttpProtocol::V1_0,
        virtualhost: None,
        fast_recovery: false,
        urls: vec![url("/a"), url("/b")],
    }))
}

fn server(last: u8, kind: CheckKind) -> RealServer {
    RealServer {
        address: address(last),
        port: 80,
        weight: 1,
        forwarding: Forwarding::DirectRouting,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [check(kind, address(last)).into()].into(),
    }
}

fn virtual_server(kind: &CheckKind) -> VirtualServer {
    let scheduler = Scheduler::Wlc;
    VirtualServer {
        name: VirtualServerName::Address { address: vip(), port: 80, protocol: Protocol::Tcp },
        services: vec![service()],
        scheduling: Scheduling { scheduler, flags: 0, hashed: false, one_packet: false },
        persistence: None,
        real_servers: [B, C].map(|host| server(host as u8 + 1, kind.clone())).to_vec(),
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    }
}

fn with_sorry(kind: &CheckKind) -> VirtualServer {
    let forwarding = Forwarding::DirectRouting;
    let sorry = SorryServer { address: address(SORRY), port: 80, forwarding, inhibit: false };
    VirtualServer { sorry_server: Some(sorry), ..virtual_server(kind) }
}

/// The director runs and has both servers in its table.
fn begun(virtual_server: VirtualServer) -> Run {
    let mut run = Run::new(&[200]);
    let virtual_servers = vec![Arc::new(virtual_server)];
    let director = DirectorConfig { virtual_servers, ..DirectorConfig::default() };
    let config = Config::new(Vec::new(), Vec::new(), Duration::ZERO).expect("a configuration");
    let config = config.with_director(director).expect("virtual servers");
    run.see(0, DIRECTOR, Seen::Process(ProcessChange::Started));
    run.see(0, DIRECTOR, Seen::Configured(Arc::new(config)));
    for host in [B, C] {
        put(&mut run, 0, host as u8 + 1, Some(1));
    }
    run
}

fn put(run: &mut Run, at: u64, last: u8, weight: Option<u32>) {
    let (service, endpoint) = (service(), endpoint(last));
    run.see(at, DIRECTOR, Seen::Destination { service, endpoint, weight });
}

fn does(run: &mut Run, at: u64, host: usize, conduct: Conduct) {
    let step = Step::Server { host: HostId(host as u16), conduct };
    let step = TimedStep { at: WorldTime(at), step, span: 0..0 };
    run.see(at, host, Seen::Step(Arc::new(step)));
}

fn judged(run: Run) -> PropertyReport {
    run.judged(L7, 100 * SECOND)
}

#[test]
fn l7_a_dead_server_is_out_when_its_last_try_has_failed() {
    for conduct in [Conduct::Refuses, Conduct::Silent] {
        at_the_bound(L7, OUT, |extra| {
            let mut run = begun(virtual_server(&CheckKind::Tcp));
            does(&mut run, 20 * SECOND, B, conduct);
            put(&mut run, 20 * SECOND + OUT + extra, 2, None);
            judged(run)
        });
    }
}

#[test]
fn l7_weight_0_is_out() {
    let mut run = begun(virtual_server(&CheckKind::Tcp));
    does(&mut run, 20 * SECOND, B, Conduct::Refuses);
    put(&mut run, 20 * SECOND + OUT, 2, Some(0));
    assert_eq!(judged(run).verdict, Verdict::Held);
}

#[test]
fn l7_is_violated_if_a_dead_server_stays() {
    let mut run = begun(virtual_server(&CheckKind::Tcp));
    does(&mut run, 20 * SECOND, B, Conduct::Refuses);
    is(&judged(run), Verdict::Violated, "10.0.0.2 of TCP 10.0.0.100:80 was dead");
}

#[test]
fn l7_a_live_server_is_back_after_one_loop_and_one_attempt() {
    at_the_bound(L7, BACK, |extra| {
        let mut run = begun(virtual_server(&CheckKind::Tcp));
        does(&mut run, 20 * SECOND, B, Conduct::Refuses);
        put(&mut run, 20 * SECOND + 1, 2, None);
        does(&mut run, 40 * SECOND, B, Conduct::Answers);
        put(&mut run, 40 * SECOND + BACK + extra, 2, Some(1));
        judged(run)
    });
}

#[test]
fn l7_where_one_page_is_visited_per_loop_it_takes_as_many_times_longer() {
    let bound = 2 * (OUT - 4 * LATE - 2 * RELEASE) + 4 * LATE + 2 * RELEASE;
    at_the_bound(L7, bound, |extra| {
        let mut run = begun(virtual_server(&two_pages()));
        // A connection is not enough for a page.
        does(&mut run, 20 * SECOND, B, Conduct::Hangs);
        put(&mut run, 20 * SECOND + bound + extra, 2, None);
        judged(run)
    });
}

#[test]
fn l7_a_cut_kills_a_server_as_well() {
    at_the_bound(L7, OUT, |extra| {
        let mut run = begun(virtual_server(&CheckKind::Tcp));
        run.path(20 * SECOND, B, DIRECTOR, false);
        put(&mut run, 20 * SECOND + OUT + extra, 2, None);
        judged(run)
    });
}

#[test]
fn l7_a_live_server_is_not_taken_out() {
    let mut run = begun(virtual_server(&CheckKind::Tcp));
    // With half of them dead the quorum is lost, but nobody takes their place.
    does(&mut run, 20 * SECOND, B, Conduct::Refuses);
    put(&mut run, 21 * SECOND, 2, None);
    put(&mut run, 21 * SECOND, 3, None);
    is(&judged(run), Verdict::Violated, "10.0.0.3 of TCP 10.0.0.100:80 lives and was taken out");
}

#[test]
fn l7_an_attempt_that_began_while_a_server_was_dead_may_still_take_it_out() {
    let echo = 5 * SECOND + 2 * LATE + 2 * RELEASE;
    let run = |removed: u64, back: u64| {
        let mut run = begun(virtual_server(&CheckKind::Tcp));
        does(&mut run, 20 * SECOND, B, Conduct::Silent);
        does(&mut run, 21 * SECOND, B, Conduct::Answers);
        put(&mut run, 21 * SECOND + removed, 2, None);
        put(&mut run, 21 * SECOND + back, 2, Some(1));
        judged(run)
    };
    assert_eq!(run(echo, BACK).verdict, Verdict::Held);
    is(&run(echo + 1, BACK), Verdict::Violated, "lives and was taken out");
    is(&run(echo, BACK + 1), Verdict::Violated, "lived for");
}

#[test]
fn l7_live_servers_make_room_for_the_sorry_server_when_the_quorum_is_lost() {
    let mut run = begun(VirtualServer { quorum: 2, ..with_sorry(&CheckKind::Tcp) });
    does(&mut run, 20 * SECOND, B, Conduct::Refuses);
    put(&mut run, 21 * SECOND, 2, None);
    put(&mut run, 21 * SECOND, 3, None);
    put(&mut run, 21 * SECOND, SORRY, Some(1));
    assert_eq!(judged(run).verdict, Verdict::Held);
}

#[test]
fn l7_the_pool_is_not_empty_for_longer_than_the_exchange_takes() {
    at_the_bound(L7, RELEASE, |extra| {
        let mut run = begun(with_sorry(&CheckKind::Tcp));
        for (host, last) in [(B, 2), (C, 3)] {
            does(&mut run, 20 * SECOND, host, Conduct::Refuses);
            put(&mut run, 20 * SECOND + 1, last, None);
        }
        put(&mut run, 20 * SECOND + 1 + RELEASE + extra, SORRY, Some(1));
        judged(run)
    });
}

#[test]
fn l7_promises_nothing_while_the_director_is_paused_and_counts_anew_after_it() {
    let run = |removed: u64| {
        let mut run = begun(virtual_server(&CheckKind::Tcp));
        run.process(15 * SECOND, DIRECTOR, ProcessChange::Paused);
        does(&mut run, 20 * SECOND, B, Conduct::Refuses);
        run.process(50 * SECOND, DIRECTOR, ProcessChange::Resumed);
        put(&mut run, removed, 2, None);
        judged(run)
    };
    assert_eq!(run(50 * SECOND + OUT).verdict, Verdict::Held);
    assert_eq!(run(50 * SECOND + OUT + 1).verdict, Verdict::Violated);
}

#[test]
fn l7_is_not_exercised_where_nothing_happens_or_nothing_is_promised() {
    let quiet = begun(virtual_server(&CheckKind::Tcp));
    is(&judged(quiet), Verdict::NotExercised, "no real server");
    let mut flapping = begun(virtual_server(&CheckKind::Tcp));
    let (good, bad) = (Duration::from_secs(1), Duration::from_secs(1));
    does(&mut flapping, 20 * SECOND, B, Conduct::Flaps { good, bad });
    put(&mut flapping, 30 * SECOND, 2, None);
    is(&judged(flapping), Verdict::NotExercised, "no real server");
}

#[test]
fn l7_is_not_exercised_where_tables_are_not_seen() {
    let mut run = begun(virtual_server(&CheckKind::Tcp));
    does(&mut run, 20 * SECOND, B, Conduct::Refuses);
    run.setting.tables_seen = false;
    assert_eq!(judged(run).verdict, Verdict::NotExercised);
}
