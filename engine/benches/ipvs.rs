//! What the director costs by itself: a change of one real server, a table installed, a service
//! read back, a reload without a difference. The kernel answers at once and costs nothing.
//!
//! A change at 80,000 real servers looks at no more than one at 1,000 but for the depth of the
//! maps. It took 1 to 3.3 times as long: what it looks at is in no cache any more.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, Service,
    VirtualServer, VirtualServerName,
};
use vipd_engine::ipvs::{
    DestinationSpec, Effect, Endpoint, Health, Ipvs, Observed, READ_BACK_EVERY, Seen, ServiceSpec,
};

/// Virtual servers, and real servers of each.
const SIZES: [(u32, u32); 3] = [(100, 10), (8000, 10), (1000, 80)];
const FORWARDING: Forwarding = Forwarding::DirectRouting;
const SCHEDULING: Scheduling =
    Scheduling { scheduler: Scheduler::Wlc, flags: 0, hashed: false, one_packet: false };

fn address(net: u32, number: u32) -> IpAddr {
    IpAddr::from(((net << 24) + number).to_be_bytes())
}

fn service(pool: u32) -> Service {
    Service::Address { address: address(10, pool), port: 80, protocol: Protocol::Tcp }
}

fn name(pool: u32) -> VirtualServerName {
    VirtualServerName::Address { address: address(10, pool), port: 80, protocol: Protocol::Tcp }
}

fn endpoint(pool: u32, server: u32) -> Endpoint {
    Endpoint { address: address(11, pool * 256 + server), port: 80 }
}

fn config((pools, servers): (u32, u32)) -> DirectorConfig {
    let real = |Endpoint { address, port }| RealServer {
        address,
        port,
        weight: 1,
        forwarding: FORWARDING,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [].into(),
    };
    let pool = |pool| VirtualServer {
        name: name(pool),
        services: vec![service(pool)],
        scheduling: SCHEDULING,
        persistence: None,
        real_servers: (0..servers).map(|server| real(endpoint(pool, server))).collect(),
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    };
    let virtual_servers = (0..pools).map(|number| Arc::new(pool(number))).collect();
    DirectorConfig { virtual_servers, ..DirectorConfig::default() }
}

/// Every batch is done, and of what is read nothing is there. Returns how many commands it was.
fn answer(ipvs: &mut Ipvs, now: Timestamp, out: &mut Vec<Effect>) -> usize {
    let mut commands = 0;
    while !out.is_empty() {
        for effect in std::mem::take(out) {
            match effect {
                Effect::Batch(batch) => {
                    commands += batch.commands.len();
                    ipvs.on_done(now, batch.number, Ok(&[]), out);
                }
                Effect::Read(read) => {
                    ipvs.on_observed(now, read.number, Observed::Begin, out);
                    ipvs.on_observed(now, read.number, Observed::End, out);
                }
                Effect::Rest { .. } | Effect::InForce | Effect::News(_) => {}
            }
        }
    }
    commands
}

/// Ticks until nothing is left to do now. Returns how many commands it took.
fn install(ipvs: &mut Ipvs, config: &DirectorConfig) -> usize {
    let (now, mut out) = (Timestamp::ZERO, Vec::new());
    ipvs.configure(now, config, &mut out);
    let mut commands = answer(ipvs, now, &mut out);
    while ipvs.deadline().is_some_and(|at| at <= now) {
        ipvs.on_tick(now, &|_, _| None, &mut out);
        commands += answer(ipvs, now, &mut out);
    }
    commands
}

fn installed(size: (u32, u32)) -> Ipvs {
    let mut ipvs = Ipvs::new();
    assert_eq!(install(&mut ipvs, &config(size)) as u32, size.0 * (size.1 + 1));
    ipvs
}

/// A real server goes down and comes back, the next time another one of another virtual server.
fn change(c: &mut Criterion) {
    for (pools, servers) in SIZES {
        let (mut ipvs, mut out) = (installed((pools, servers)), Vec::new());
        let (now, mut turn, mut commands) = (Timestamp::ZERO, 0_u32, 0);
        let what = format!("down and up: one of {} real servers of {pools}", pools * servers);
        c.bench_function(&what, |b| {
            b.iter(|| {
                turn += 1;
                // A prime stride: nothing is in the cache because its neighbour was.
                let (pool, server) = (turn.wrapping_mul(7919) % pools, turn % servers);
                for health in [Health::Down, Health::Up { weight: 1 }] {
                    let (name, key) = (name(pool), endpoint(pool, server));
                    ipvs.on_server(now, &name, key, health, &mut out);
                    commands += answer(&mut ipvs, now, &mut out);
                }
            });
        });
        assert_eq!(commands as u32, turn * 2);
    }
}

fn start(c: &mut Criterion) {
    let mut group = c.benchmark_group("install");
    group.sample_size(10);
    for size in SIZES {
        let (pools, servers) = size;
        let config = config(size);
        group.throughput(Throughput::Elements(u64::from(pools * servers)));
        group.bench_function(format!("{} real servers of {pools}", pools * servers), |b| {
            b.iter_batched(
                Ipvs::new,
                |mut ipvs| {
                    install(&mut ipvs, &config);
                    ipvs
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The whole of it, in as many ticks as it takes.
fn reload(c: &mut Criterion) {
    for size in SIZES {
        let (pools, servers) = size;
        let mut ipvs = installed(size);
        // Read anew from a file, so nothing is shared.
        let again = config(size);
        let what = format!("reload: {} real servers of {pools}, no difference", pools * servers);
        c.bench_function(&what, |b| b.iter(|| assert_eq!(install(&mut ipvs, &again), 0)));
    }
}

/// The service that has its turn is as it was.
fn read_back(c: &mut Criterion) {
    for size in SIZES {
        let (pools, servers) = size;
        let (mut ipvs, mut out) = (installed(size), Vec::new());
        let spec = ServiceSpec { scheduling: SCHEDULING, persistence: None };
        let destination = DestinationSpec {
            weight: 1,
            forwarding: FORWARDING,
            upper_threshold: 0,
            lower_threshold: 0,
        };
        let seen: Vec<_> = (0..pools)
            .map(|pool| {
                let keys = (0..servers).map(|server| endpoint(pool, server));
                let destinations = keys.map(|key| (key, Some(destination))).collect();
                Seen { service: service(pool), spec: Some(spec.clone()), destinations }
            })
            .collect();
        let mut now = Timestamp::ZERO + READ_BACK_EVERY;
        let what = format!("read back: one turn of {pools} services of {servers} real servers");
        c.bench_function(&what, |b| {
            b.iter(|| {
                now = ipvs.deadline().unwrap_or(now).max(now);
                ipvs.on_tick(now, &|_, _| None, &mut out);
                for effect in std::mem::take(&mut out) {
                    let Effect::Read(read) = effect else { panic!("{effect}") };
                    ipvs.on_observed(now, read.number, Observed::Begin, &mut out);
                    for key in read.services {
                        let place = seen.binary_search_by_key(&key, |seen| seen.service);
                        let seen = seen[place.expect("one of ours")].clone();
                        ipvs.on_observed(now, read.number, Observed::Service(seen), &mut out);
                    }
                    ipvs.on_observed(now, read.number, Observed::End, &mut out);
                }
                black_box(&ipvs);
            });
        });
        assert!(out.is_empty(), "nothing differs");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = change, start, reload, read_back
}
criterion_main!(benches);
