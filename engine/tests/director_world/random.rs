//! Random configurations of a director, and what may happen to it.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use vipd_engine::config::director::{DirectorConfig, RealServer, VirtualServer};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::{Limits, Outcome};
use vipd_engine::ipvs::{IpvsError, ServerOrder};

use super::{Behaviour, GOOD, REFUSES, tcp_check};
use crate::ipvs_world::{Fate, config, real, sorry, tcp, virtual_server};

/// The first two are addresses of virtual routers of the world of `inputs`.
pub const SERVICES: [&str; 3] = ["10.0.0.100:80", "10.0.0.101:80", "10.0.0.3:80"];
pub const SERVERS: [&str; 3] = ["10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80"];
pub const SORRY: &str = "10.9.0.1:80";

/// One of the checks of a real server; two of them ask the same at other times.
fn check(server: &str, which: usize) -> Check {
    let quick = Check {
        timeout: Duration::from_secs(1),
        delay_loop: Duration::from_secs(2),
        ..tcp_check(server)
    };
    match which {
        0 => quick,
        1 => Check { retry: 2, delay_before_retry: Duration::from_millis(250), ..quick },
        2 => Check { alpha: true, warmup: Duration::from_secs(2), ..quick },
        3 => Check { kind: CheckKind::Ping, port: 0, warmup: Duration::from_secs(1), ..quick },
        _ => {
            let kind = CheckKind::Script { script: "load".into(), dynamic: true };
            Check { kind, port: 0, alpha: true, ..quick }
        }
    }
}

prop_compose! {
    fn server()(
        which in 0..SERVERS.len(),
        weight in 0..4_u32,
        checks in prop::collection::vec(0..5_usize, 0..3),
        inhibit_on_failure in prop::bool::weighted(0.3),
    ) -> RealServer {
        let server = SERVERS[which];
        let checks = checks.into_iter().map(|which| check(server, which).into()).collect();
        RealServer { weight, checks, inhibit_on_failure, ..real(server) }
    }
}

prop_compose! {
    fn pool()(
        which in 0..SERVICES.len(),
        servers in prop::collection::vec(server(), 0..4),
        has_sorry in any::<bool>(),
        quorum in 1..4_u32,
        (alpha, omega, ha_suspend) in any::<(bool, bool, bool)>(),
    ) -> VirtualServer {
        let mut seen = BTreeSet::new();
        let real_servers: Vec<_> =
            servers.into_iter().filter(|one| seen.insert(one.address)).collect();
        let sorry_server = has_sorry.then(|| sorry(SORRY));
        let empty = virtual_server(tcp(SERVICES[which]), &[]);
        let most: u32 = real_servers.iter().map(|server| server.weight).sum();
        let quorum = quorum.min(most.max(1));
        VirtualServer { real_servers, sorry_server, quorum, alpha, omega, ha_suspend, ..empty }
    }
}

pub fn director() -> impl Strategy<Value = DirectorConfig> {
    prop::collection::vec(pool(), 0..4).prop_map(|pools| {
        let mut seen = BTreeSet::new();
        let pools: Vec<_> = pools.into_iter().filter(|one| seen.insert(one.name.clone())).collect();
        config(&pools)
    })
}

pub fn behaviour() -> impl Strategy<Value = Behaviour> {
    let after = (0..3000_u64).prop_map(Duration::from_millis);
    prop_oneof![
        3 => Just(GOOD),
        3 => Just(REFUSES),
        2 => Just(Behaviour::Silent),
        1 => after.prop_map(|after| Behaviour::Answers(after, Outcome::GOOD)),
        1 => (0..4_u32).prop_map(|weight| {
            Behaviour::Answers(Duration::ZERO, Outcome::Good { weight: Some(weight) })
        }),
    ]
}

pub fn order() -> impl Strategy<Value = ServerOrder> {
    prop_oneof![
        Just(ServerOrder::Drain),
        Just(ServerOrder::Undrain),
        prop::option::of(0..4_u32).prop_map(ServerOrder::Weight),
    ]
}

pub fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Answered),
        Just(Fate::Unanswered),
        Just(Fate::Lost),
        Just(Fate::Failed(IpvsError::Refused)),
        any::<u8>().prop_map(Fate::Refused),
    ]
}

pub fn limits() -> impl Strategy<Value = Limits> {
    let narrow = Limits { connections: 2, scripts: 1, per_call: 1 };
    let few = Limits { per_call: 3, ..Limits::default() };
    prop_oneof![Just(narrow), Just(few), Just(Limits::default())]
}
