//! What one advert costs: the codec, the frame around it, and the engine that handles it, with one
//! virtual router and with a thousand.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use vipd_engine::config::VirtualAddress;
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, AdvertFrame, Config, Engine, Family, Frame, Ifindex, Input, InstanceConfig,
    InstanceStatus, InterfaceName, Interval, Link, LinkState, LocalAddress, MacAddress, Outputs,
    Priority, Received, StateKind, Timestamp, Version, Vrid,
};

const SRC: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const SECOND: Duration = Duration::from_secs(1);

/// Virtual routers are spread over interfaces: one carries at most 255 of them.
const VRIDS: u32 = 250;

fn vip(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + number))
}

fn advert(vrid: i64, vip: IpAddr) -> AdvertFrame {
    AdvertFrame {
        interface: Ifindex(2),
        mac: MAC,
        src: SRC,
        dst: GROUP,
        ttl: 255,
        checksum: ChecksumForm::PseudoHeader,
        advert: Advert {
            version: Version::V2,
            vrid: Vrid::new(vrid).expect("a VRID"),
            priority: 200,
            interval: Interval::DEFAULT,
            password: None,
            addresses: Arc::from([vip]),
        },
    }
}

fn codec(c: &mut Criterion) {
    let frame = Frame::Advert(advert(51, vip(0)));
    let mut bytes = Vec::new();
    c.bench_function("codec: encode an advert to a frame", |b| {
        b.iter(|| {
            bytes.clear();
            vipd_frames::encode(black_box(&frame), MAC, 7, &mut bytes);
            bytes.len()
        });
    });
    c.bench_function("codec: decode a frame", |b| {
        b.iter(|| vipd_frames::decode(black_box(&bytes)).is_ok());
    });
}

/// An engine with so many virtual routers, each of them a backup that hears its master.
fn backups(instances: u32) -> Engine {
    let (mut engine, mut out) = (Engine::new(), Outputs::new());
    let interfaces = instances.div_ceil(VRIDS);
    for interface in 0..interfaces {
        let name = InterfaceName::new(&format!("eth{interface}"));
        let index = Ifindex(2 + interface);
        let link = Link { interface: index, name, mac: MAC, state: LinkState::Up };
        engine.handle(Timestamp::ZERO, Input::Link(link), &mut out);
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, interface as u8, 2));
        let own = LocalAddress { interface: index, address, present: true };
        engine.handle(Timestamp::ZERO, Input::LocalAddress(own), &mut out);
    }
    let configs = (0..instances).map(|number| {
        let vrid = Vrid::new(i64::from(1 + number % VRIDS)).expect("a VRID");
        let (name, interface) = (format!("VI_{number}"), format!("eth{}", number / VRIDS));
        let mut config = InstanceConfig::new(&name, Family::Ipv4, &interface, vrid);
        config.priority = Priority::DEFAULT;
        config.addresses = vec![VirtualAddress::new(vip(number))];
        config
    });
    let config = Config::new(configs.collect(), vec![], Duration::ZERO).expect("a configuration");
    engine.handle(Timestamp::ZERO, Input::Configure(Arc::new(config)), &mut out);
    engine
}

fn handle(c: &mut Criterion) {
    for instances in [1, 1000] {
        let mut engine = backups(instances);
        let heard: Vec<_> = (0..instances)
            .map(|number| {
                let mut bytes = Vec::new();
                advert(i64::from(1 + number % VRIDS), vip(number)).emit(&mut bytes);
                (Ifindex(2 + number / VRIDS), bytes)
            })
            .collect();
        let (mut now, mut turn, mut out) = (Timestamp::ZERO, 0, Outputs::new());
        // Everybody hears a master all the time: time passes slowly enough for a whole round.
        let between = SECOND / instances;
        c.bench_function(&format!("handle: an advert, {instances} instances"), |b| {
            b.iter(|| {
                now = now + between;
                turn = (turn + 1) % heard.len();
                let (interface, bytes) = &heard[turn];
                let received =
                    Received { interface: *interface, src: SRC, dst: GROUP, ttl: 255, bytes };
                engine.handle(now, Input::Advert(received), &mut out);
                engine.handle(now, Input::Tick, &mut out);
                out.clear();
            });
        });
        let backup = |instance: &InstanceStatus<'_>| {
            instance.state() == StateKind::Backup && instance.counters().received > 0
        };
        assert!(engine.status().instances().all(|instance| backup(&instance)), "all are backups");
    }
}

criterion_group!(benches, codec, handle);
criterion_main!(benches);
