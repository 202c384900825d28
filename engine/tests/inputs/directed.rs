//! The configurations with a virtual server, and what may happen to a director.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use vipd_engine::config::director::{
    Forwarding, Protocol, RealServer, Scheduler, Scheduling, Service, VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::config::{DirectorConfig, VirtualServer};
use vipd_engine::ipvs::{Answer, Failure, IpvsError, Observed};
use vipd_engine::{Config, TrackerName};

use super::{CONFIGS, Op, ip};

/// The configuration of this number with a virtual server at the address of one of its instances.
/// Nobody here answers it.
pub fn config(which: u8) -> Arc<Config> {
    let service = Service::Address { address: ip("10.0.0.100"), port: 80, protocol: Protocol::Tcp };
    let check = |kind| Check {
        kind,
        address: ip("10.1.0.1"),
        port: 80,
        bind: Bind::default(),
        timeout: Duration::from_secs(1),
        delay_loop: Duration::from_secs(2),
        retry: 1,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::from_secs(1),
        alpha: false,
        tells_all_failures: true,
    };
    let file = TrackerName::new("a");
    let by_file = CheckKind::File { file, weight: 1, reverse: false, dynamic: false };
    let real = |last, checks: Vec<CheckKind>| RealServer {
        address: IpAddr::from([10, 1, 0, last]),
        port: 80,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: last == 1,
        checks: checks.into_iter().map(|kind| check(kind).into()).collect(),
    };
    let (address, port, protocol) = (ip("10.0.0.100"), 80, Protocol::Tcp);
    let (scheduler, flags, hashed, one_packet) = (Scheduler::Wlc, 0, false, false);
    let pool = VirtualServer {
        name: VirtualServerName::Address { address, port, protocol },
        services: vec![service],
        scheduling: Scheduling { scheduler, flags, hashed, one_packet },
        persistence: None,
        real_servers: vec![real(1, vec![CheckKind::Tcp]), real(2, vec![CheckKind::Tcp, by_file])],
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: true,
        ha_suspend: which % 2 == 1,
    };
    let director = DirectorConfig { virtual_servers: vec![Arc::new(pool)], ..Default::default() };
    Arc::new(Config::clone(&super::config(which)).with_director(director).expect("valid"))
}

/// One thing that happens, a stop excepted, to a director too, which nobody answers but by chance.
pub fn op() -> impl Strategy<Value = Op> {
    let failure = Failure { place: 0, error: IpvsError::Refused };
    let answers = [
        Answer::Observed(Observed::Begin),
        Answer::Observed(Observed::End),
        Answer::Done(Ok(vec![])),
        Answer::Done(Ok(vec![failure])),
        Answer::Done(Err(IpvsError::NoIpvs)),
    ];
    prop_oneof![
        10 => super::op(),
        1 => (0..CONFIGS).prop_map(Op::Direct),
        2 => (0..3_u8, 0..6_u64, any::<bool>())
            .prop_map(|(check, number, good)| Op::Attempt { check, number, good }),
        2 => (0..4_u64, prop::sample::select(answers.to_vec()))
            .prop_map(|(number, answer)| Op::Table { number, answer }),
    ]
}
