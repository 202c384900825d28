//! What the engine costs by itself: a message written and read, an advert handled by one of 1 and
//! of 1,000 virtual routers, a stop, a master's tick, a snapshot. Frames, links and kernels are not
//! in it.
//!
//! `handle` at 1,000 is to stay within twice of what it is at 1.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use vipd_engine::config::{GroupConfig, VirtualAddress};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::{
    Advert, Config, Engine, Family, GroupName, Ifindex, Input, InstanceConfig, InstanceName,
    InterfaceName, Interval, Link, LinkState, LocalAddress, MacAddress, Output, Outputs, Priority,
    Received, StateKind, Timestamp, Version, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);
/// Virtual routers of one interface.
const VRIDS: u32 = 250;

fn address(a: u8, number: u32) -> IpAddr {
    let [_, _, c, d] = number.to_be_bytes();
    IpAddr::from([10, a, c, d])
}

/// The advert of a better router for the virtual router of this number.
fn advert(number: u32) -> Advert {
    Advert {
        version: Version::V2,
        vrid: Vrid::new(i64::from(1 + number % VRIDS)).expect("a VRID"),
        priority: 200,
        interval: Interval::DEFAULT,
        password: None,
        addresses: [address(1, number)].into(),
    }
}

fn source() -> IpAddr {
    address(0, 1)
}

fn group() -> IpAddr {
    IpAddr::from([224, 0, 0, 18])
}

fn emit(advert: &Advert, bytes: &mut Vec<u8>) {
    advert.emit(source(), group(), ChecksumForm::PseudoHeader, bytes);
}

/// An engine with so many virtual routers, in one sync group or in none.
fn engine(instances: u32, grouped: bool) -> Engine {
    let (mut engine, mut out) = (Engine::new(), Outputs::new());
    for interface in 0..instances.div_ceil(VRIDS) {
        let (index, name) = (Ifindex(2 + interface), format!("eth{interface}"));
        let (name, mac) = (InterfaceName::new(&name), MacAddress([2, 0, 0, 0, 0, 1]));
        let link = Link { interface: index, name, mac, state: LinkState::Up };
        engine.handle(Timestamp::ZERO, Input::Link(link), &mut out);
        let own = LocalAddress { interface: index, address: address(2, interface), present: true };
        engine.handle(Timestamp::ZERO, Input::LocalAddress(own), &mut out);
    }
    let configs = (0..instances).map(|number| {
        let vrid = Vrid::new(i64::from(1 + number % VRIDS)).expect("a VRID");
        let (name, interface) = (format!("VI_{number}"), format!("eth{}", number / VRIDS));
        InstanceConfig {
            priority: Priority::DEFAULT,
            addresses: vec![VirtualAddress::new(address(1, number))],
            ..InstanceConfig::new(&name, Family::Ipv4, &interface, vrid)
        }
    });
    let members = (0..instances).map(|number| InstanceName::new(&format!("VI_{number}"))).collect();
    let group =
        GroupConfig { name: GroupName::new("VG"), members, tracks: vec![], tracking_weight: false };
    let groups = if grouped { vec![group] } else { vec![] };
    let config = Config::new(configs.collect(), groups, Duration::ZERO).expect("a configuration");
    engine.handle(Timestamp::ZERO, Input::Configure(Arc::new(config)), &mut out);
    engine
}

fn all_are(engine: &Engine, state: StateKind) -> bool {
    engine.status().instances().all(|instance| instance.state() == state)
}

fn codec(c: &mut Criterion) {
    let (advert, mut bytes) = (advert(0), Vec::new());
    c.bench_function("codec: emit a v2 advert of one address", |b| {
        b.iter(|| {
            bytes.clear();
            emit(black_box(&advert), &mut bytes);
            bytes.len()
        });
    });
    c.bench_function("codec: parse it, checksum and address included", |b| {
        b.iter(|| {
            let view = AdvertView::new(Version::V2, Family::Ipv4, black_box(&bytes));
            let view = view.expect("well formed");
            let fits = view.checksum_fits(ChecksumForm::PseudoHeader, source(), group());
            (fits, view.priority(), view.addresses().next())
        });
    });
}

/// Every virtual router hears its master in turn and stays a backup.
fn handle(c: &mut Criterion) {
    for (instances, grouped) in [(1, false), (1000, false), (1000, true)] {
        let mut engine = engine(instances, grouped);
        let heard: Vec<_> = (0..instances)
            .map(|number| {
                let mut bytes = Vec::new();
                emit(&advert(number), &mut bytes);
                (Ifindex(2 + number / VRIDS), bytes)
            })
            .collect();
        let (mut now, mut turn, mut out) = (Timestamp::ZERO, 0, Outputs::new());
        let name = if grouped { "instances of one group" } else { "instances" };
        c.bench_function(&format!("handle: an advert, {instances} {name}"), |b| {
            b.iter(|| {
                now = now + SECOND / instances;
                turn = (turn + 1) % heard.len();
                let (interface, bytes) = &heard[turn];
                let (src, dst) = (source(), group());
                let received = Received { interface: *interface, src, dst, ttl: 255, bytes };
                engine.handle(now, Input::Advert(received), &mut out);
            });
        });
        assert!(out.as_slice().is_empty() && all_are(&engine, StateKind::Backup));
    }
}

/// Everybody stops, and every index forgets everybody.
fn shutdown(c: &mut Criterion) {
    let engine = engine(1000, false);
    c.bench_function("shutdown: 1000 backups", |b| {
        b.iter_batched(
            || (engine.clone(), Outputs::new()),
            |(mut engine, mut out)| engine.handle(Timestamp::ZERO, Input::Shutdown, &mut out),
            BatchSize::LargeInput,
        );
    });
}

/// A master sends its periodic advert, and the advert is answered.
fn tick(c: &mut Criterion) {
    for instances in [1, 1000] {
        let (mut engine, mut out) = (engine(instances, false), Outputs::new());
        let mut beat = || {
            let now = engine.next_deadline().expect("masters have timers").at;
            engine.handle(now, Input::Tick, &mut out);
            let effects: Vec<_> = out.drain().collect();
            for effect in effects {
                match effect {
                    Output::Send { id, .. } | Output::Kernel { id, .. } => {
                        engine.handle(now, Input::Done { id, result: Ok(()) }, &mut out);
                    }
                    Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => {}
                }
            }
            now
        };
        while beat() < Timestamp::ZERO + SECOND * 10 {}
        c.bench_function(&format!("tick: {instances} masters that are due at once"), |b| {
            b.iter(&mut beat);
        });
        assert!(all_are(&engine, StateKind::Master));
    }
}

/// What the loop of a daemon spends on the journal when a segment begins.
fn snapshot(c: &mut Criterion) {
    for instances in [1, 1000] {
        let engine = engine(instances, false);
        c.bench_function(&format!("snapshot: of {instances} virtual routers"), |b| {
            b.iter_with_large_drop(|| black_box(&engine).snapshot());
        });
    }
}

criterion_group!(benches, codec, handle, shutdown, tick, snapshot);
criterion_main!(benches);
