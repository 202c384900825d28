//! Adverts of somebody who runs no engine, for fault class 18: with the right password or a wrong
//! one, in a peer's name or a stranger's, with any priority, once or as a flood.

use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::Version;
use vipd_engine::vrrp::advert::IP_PROTOCOL;
use vipd_scenarios::scenario::{AdvertFields, Injection, Message};

use super::{Ground, Router};
use crate::random::Random;

/// Most adverts of one injection.
const MOST: u64 = 64;

/// What is sent to `router` in this time.
pub(super) fn injection(
    ground: &Ground,
    router: &Router,
    time: Duration,
    random: &mut Random,
) -> Injection {
    let config = &router.config;
    let interval = config.interval.centiseconds();
    let (version, interval) = match config.version {
        Version::V2 => (2, (interval / 100).max(1)),
        Version::V3 => (3, interval),
    };
    let priority = match random.below(4) {
        0 => 0,
        1 => 255,
        _ => 1 + random.below(254) as u8,
    };
    let password = config.password.map(vipd_engine::Password::octets);
    let knows = random.chance(750_000);
    let auth_data = password.filter(|_| knows).unwrap_or_default();
    let src = if random.chance(500_000) { a_peer(ground, router, random) } else { None };
    let count = if random.chance(500_000) { 1 } else { 1 + random.below(MOST) };
    let every = if count == 1 { Duration::ZERO } else { time / count as u32 };
    let fields = AdvertFields {
        version,
        vrid: config.vrid.get(),
        priority,
        interval,
        auth_type: u8::from(password.is_some() && knows),
        auth_data,
        addresses: config.addresses.iter().map(|address| address.address).collect(),
        checksum_error: if random.below(8) == 0 { 1 + random.below(0xfffe) as u16 } else { 0 },
    };
    Injection {
        segment: router.segment,
        src: src.unwrap_or_else(|| stranger(router.source)),
        dst: router.destination(),
        ttl: if random.below(4) == 0 { 1 + random.below(254) as u8 } else { 255 },
        protocol: IP_PROTOCOL,
        message: Message::Advert(fields),
        count: count as u32,
        every,
    }
}

/// Another member of the same virtual router, if there is one.
fn a_peer(ground: &Ground, router: &Router, random: &mut Random) -> Option<IpAddr> {
    let all = ground.directors.iter().flat_map(|director| &director.routers);
    let same = all.filter(|other| {
        other.source != router.source
            && other.segment == router.segment
            && other.config.family == router.config.family
            && other.config.vrid == router.config.vrid
    });
    let peers: Vec<_> = same.map(|other| other.source).collect();
    peers.get(random.below(peers.len() as u64) as usize).copied()
}

/// A neighbour of this address, whom nobody knows.
fn stranger(near: IpAddr) -> IpAddr {
    match near {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            IpAddr::from([a, b, c, d ^ 0xa8])
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[14] ^= 0xa8;
            IpAddr::from(octets)
        }
    }
}
