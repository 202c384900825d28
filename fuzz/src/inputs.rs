//! Sequences of inputs in any order: links, addresses, trackers, answers, adverts, reloads, orders,
//! ticks early and late. The world checks the engine's invariants after each; at the end everything
//! is given back, and a stopped engine is silent.

use std::time::Duration;

use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    EffectError, Family, Ifindex, Input, LinkState, Order, Received, Timestamp, TrackerValue,
    Version,
};

use crate::Octets;
use crate::world::{CONFIGS, Heard, Op, World};

/// More than any sequence needs, so that one that is found can be read.
const MOST: usize = 200;

/// The first octet is the configuration; each further thing that happens takes what it needs.
pub fn feed(octets: &[u8]) {
    let mut octets = Octets(octets);
    let mut world = World::new(Timestamp::ZERO, octets.next() % CONFIGS);
    for _ in 0..MOST {
        if octets.is_empty() {
            break;
        }
        match octets.next() % 16 {
            15 => hear_raw(&mut octets, &mut world),
            kind => world.apply(&op(kind, &mut octets)),
        }
    }
    world.apply(&Op::Shutdown);
    world.apply(&Op::Answers(Some(Ok(()))));
    world.run_until(world.now + Duration::from_secs(3));
    assert!(!world.engine.status().is_releasing(), "something was never given back");
    world.log.clear();
    world.run_until(world.now + Duration::from_secs(600));
    assert!(world.log.is_empty(), "a stopped engine is not silent: {:?}", world.log);
}

fn op(kind: u8, octets: &mut Octets<'_>) -> Op {
    match kind {
        0 => Op::Wait(nanos(octets)),
        1 => Op::Sleep(nanos(octets)),
        2 => Op::Stall(nanos(octets)),
        3 => Op::Tick,
        4..=6 => Op::Hear(heard(octets)),
        7 => Op::Link { interface: octets.next() % 3, state: link_state(octets.next()) },
        8 => {
            let (interface, address) = (octets.next() % 3, octets.next() % 6);
            Op::Address { interface, address, present: octets.next() & 1 == 0 }
        }
        9 => Op::Tracker { name: octets.next() % 2, value: value(octets) },
        10 => Op::Answers((octets.next() & 1 == 0).then(|| result(octets.next()))),
        11 => Op::Answer { place: octets.next(), result: result(octets.next()) },
        12 => {
            let (instance, number) = (octets.next() % 4, u64::from(octets.next() % 60));
            Op::StrayAnswer { instance, number, result: result(octets.next()) }
        }
        13 => Op::Configure(octets.next() % CONFIGS),
        _ => {
            let (instance, order) = (1 + octets.next() % 4, octets.next());
            Op::Order { instance, order: Order::ALL[usize::from(order) % Order::ALL.len()] }
        }
    }
}

/// Times that mean something, or any up to 16 s.
fn nanos(octets: &mut Octets<'_>) -> u64 {
    const TIMES: [u64; 7] =
        [0, 1, 609_375_000, 1_000_000_000, 3_609_375_000, 5_000_000_000, 15_000_000_000];
    let which = usize::from(octets.next());
    TIMES.get(which).copied().unwrap_or_else(|| u64::from(octets.number()) * 4)
}

fn heard(octets: &mut Octets<'_>) -> Heard {
    let (vrid, how) = (51 + i64::from(octets.next() % 4), octets.next());
    let plain = Heard::plain(vrid, 1 + octets.next() % 8, octets.next());
    let version = match (how & 1 == 0, plain.version) {
        (true, version) => version,
        (false, Version::V2) => Version::V3,
        (false, Version::V3) => Version::V2,
    };
    // IPv6 has version 3 only.
    let version = if plain.family == Family::Ipv6 { Version::V3 } else { version };
    // Version 2 counts in seconds.
    let centiseconds = match (how & 2, version) {
        (0, _) => 100,
        (_, Version::V2) => 100 + i64::from(octets.next() % 40) * 100,
        (_, Version::V3) => 1 + i64::from(octets.number() % 4095),
    };
    let ttl = if how & 4 == 0 { 255 } else { octets.next() };
    let form = if how & 64 == 0 { ChecksumForm::PseudoHeader } else { ChecksumForm::MessageOnly };
    let password = how & 8 != 0 && version == Version::V2;
    let (same_list, unicast) = (how & 16 == 0, how & 32 != 0);
    Heard { version, centiseconds, ttl, form, password, same_list, unicast, ..plain }
}

/// Any message at all.
fn hear_raw(octets: &mut Octets<'_>, world: &mut World) {
    let (length, last) = (octets.next() % 64, octets.next());
    let bytes = octets.take(usize::from(length));
    let (src, dst) = ([10, 0, 0, last].into(), [224, 0, 0, 18].into());
    let received = Received { interface: Ifindex(2), src, dst, ttl: 255, bytes };
    world.handle(Input::Advert(received));
}

const fn link_state(octet: u8) -> LinkState {
    match octet % 4 {
        0 | 1 => LinkState::Up,
        2 => LinkState::Down,
        _ => LinkState::Absent,
    }
}

const fn result(octet: u8) -> Result<(), EffectError> {
    match octet % 4 {
        0 | 1 => Ok(()),
        2 => Err(EffectError::Refused),
        _ => Err(EffectError::NoInterface),
    }
}

fn value(octets: &mut Octets<'_>) -> TrackerValue {
    match octets.next() % 4 {
        0 => TrackerValue::Up,
        1 => TrackerValue::Down,
        2 => TrackerValue::Pending,
        _ => TrackerValue::Number(i32::from(octets.next()) * 2 - 200),
    }
}
