//! What the checks of real servers cost by themselves: an attempt with its answer, one that runs
//! out of time, one that changes its real server, a reload that changes nothing. The attempts
//! themselves are not in it.
//!
//! An attempt of 10,000 checks is to cost no more than four times what one of 100 does: what it
//! touches is no longer in the cache.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use vipd_engine::Timestamp;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, VirtualServer,
    VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::health::{AttemptId, Failure, Health, Limits, Outcome, Output, ProbeCommand};

const SECOND: Duration = Duration::from_secs(1);
const COUNTS: [u32; 2] = [100, 10_000];

fn real_server(number: u32) -> RealServer {
    let [_, b, c, d] = number.to_be_bytes();
    let address = IpAddr::from([10, b, c, d]);
    let check = Check {
        kind: CheckKind::Tcp,
        address,
        port: 80,
        bind: Bind::default(),
        timeout: SECOND * 5,
        delay_loop: SECOND * 6,
        retry: 1,
        delay_before_retry: SECOND,
        warmup: SECOND * 6,
        alpha: false,
        tells_all_failures: false,
    };
    RealServer {
        address,
        port: 80,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [check.into()].into(),
    }
}

/// So many checks, each of a real server of its own, a hundred to a virtual server.
fn config(count: u32) -> Arc<DirectorConfig> {
    let virtual_servers = (0..count.div_ceil(100)).map(|number| {
        let [_, _, c, d] = number.to_be_bytes();
        let address = IpAddr::from([192, 0, c, d]);
        let scheduling =
            Scheduling { scheduler: Scheduler::Wlc, flags: 0, hashed: false, one_packet: false };
        Arc::new(VirtualServer {
            name: VirtualServerName::Address { address, port: 80, protocol: Protocol::Tcp },
            services: Vec::new(),
            scheduling,
            persistence: None,
            real_servers: (number * 100..number * 100 + 100).map(real_server).collect(),
            sorry_server: None,
            quorum: 1,
            hysteresis: 0,
            alpha: false,
            omega: false,
            ha_suspend: false,
        })
    });
    let virtual_servers = virtual_servers.collect();
    Arc::new(DirectorConfig { virtual_servers, ..DirectorConfig::default() })
}

struct Bench {
    health: Health,
    now: Timestamp,
    out: Vec<Output>,
    begun: Vec<AttemptId>,
}

impl Bench {
    fn new(count: u32) -> Self {
        let health = Health::new(Limits::default());
        let (now, out, begun) = (Timestamp::ZERO, Vec::new(), Vec::new());
        let mut bench = Self { health, now, out, begun };
        bench.configure(config(count));
        while bench.now < Timestamp::ZERO + SECOND * 12 {
            bench.beat(Some(Outcome::GOOD));
        }
        bench
    }

    fn configure(&mut self, config: Arc<DirectorConfig>) {
        self.health.configure(self.now, config, &mut self.out);
        while self.health.is_taking() {
            self.health.tick(self.now, &mut self.out);
        }
    }

    /// What is due next is done, and what begins has this outcome, or none. Returns how many
    /// attempts began.
    fn beat(&mut self, outcome: Option<Outcome>) -> usize {
        self.now = self.now.max(self.health.next_deadline().expect("there are checks"));
        self.health.tick(self.now, &mut self.out);
        for output in self.out.drain(..) {
            if let Output::Probe(probe) = output
                && matches!(probe.command, ProbeCommand::Start { .. })
            {
                self.begun.push(probe.id);
            }
        }
        let count = self.begun.len();
        for id in self.begun.drain(..) {
            if let Some(outcome) = outcome {
                self.health.on_outcome(self.now, id, outcome, &mut self.out);
            }
        }
        count
    }

    /// So many attempts.
    fn attempts(&mut self, most: usize, mut outcome: impl FnMut() -> Option<Outcome>) {
        let mut count = 0;
        while count < most {
            count += self.beat(outcome());
        }
    }
}

fn attempt(c: &mut Criterion) {
    for count in COUNTS {
        let mut bench = Bench::new(count);
        c.bench_function(&format!("attempt: good, {count} checks"), |b| {
            b.iter(|| bench.attempts(1, || Some(Outcome::GOOD)));
        });
        let mut bench = Bench::new(count);
        c.bench_function(&format!("attempt: runs out of time, {count} checks"), |b| {
            b.iter(|| bench.attempts(1, || None));
        });
        let mut bench = Bench::new(count);
        let mut rounds = 0_u32;
        c.bench_function(&format!("attempt: three bad and three good, {count} checks"), |b| {
            b.iter(|| {
                bench.attempts(1, || {
                    rounds = rounds.wrapping_add(1);
                    let bad = (rounds / count / 3).is_multiple_of(2);
                    Some(if bad { Outcome::Bad(Failure::Refused) } else { Outcome::GOOD })
                });
            });
        });
    }
}

/// A reload that changes nothing, all its calls together, and one of its calls.
fn reload(c: &mut Criterion) {
    for count in COUNTS {
        let (mut bench, config) = (Bench::new(count), config(count));
        c.bench_function(&format!("reload: nothing changes, {count} checks"), |b| {
            b.iter(|| bench.configure(black_box(Arc::clone(&config))));
        });
        c.bench_function(&format!("reload: its first call, {count} checks"), |b| {
            b.iter(|| {
                let Bench { health, now, out, .. } = &mut bench;
                health.configure(*now, black_box(Arc::clone(&config)), out);
            });
        });
    }
}

/// Every check is due at once: what one call does of it.
fn pause(c: &mut Criterion) {
    for count in COUNTS {
        let bench = Bench::new(count);
        let now = bench.now + SECOND * 60;
        c.bench_function(&format!("tick: after a pause, {count} checks"), |b| {
            b.iter_batched(
                || (bench.health.clone(), Vec::with_capacity(256)),
                |(mut health, mut out)| {
                    health.tick(now, &mut out);
                    (health, out)
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
}

fn snapshot(c: &mut Criterion) {
    for count in COUNTS {
        let bench = Bench::new(count);
        c.bench_function(&format!("snapshot: of {count} checks"), |b| {
            b.iter_with_large_drop(|| black_box(&bench.health).snapshot());
        });
    }
}

criterion_group!(benches, attempt, reload, pause, snapshot);
criterion_main!(benches);
