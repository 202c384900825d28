//! Datagrams from anywhere, for engines with every kind of configuration: no panic, one counter per
//! datagram, and one that does not count changes nothing.

use std::net::IpAddr;

use vipd_engine::config::{MULTICAST_GROUP_V4, MULTICAST_GROUP_V6};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::vrrp::checksum;
use vipd_engine::{Engine, Ifindex, Input, Output, Received, StateKind, Timestamp, Version};

use crate::Octets;
use crate::world::{CONFIGS, Op, World};

/// The first octets say which configuration, whether its routers are masters, where the datagram
/// comes from and goes to, its TTL, and whether its checksum is made right; the rest is the
/// message. The whole is also read as a frame.
pub fn feed(octets: &[u8]) {
    // Whatever comes of it: it is read or refused.
    let _ = vipd_frames::decode(octets);
    let mut octets = Octets(octets);
    let mut world = World::new(Timestamp::ZERO, octets.next() % CONFIGS);
    let how = octets.next();
    if how & 1 != 0 {
        world.apply(&Op::Wait(5_000_000_000));
    }
    let (src, dst) = ends(how, octets.next());
    let ttl = if how & 2 != 0 { octets.next() } else { 255 };
    let mut bytes = octets.0.to_vec();
    // No fuzzer finds a checksum.
    let form = if how & 4 != 0 { ChecksumForm::PseudoHeader } else { ChecksumForm::MessageOnly };
    if how & 8 == 0 && bytes.len() >= 8 {
        seal(&mut bytes, form, src, dst);
    }
    let before = standing(&world.engine);
    world.log.clear();
    let received = Received { interface: Ifindex(2), src, dst, ttl, bytes: &bytes };
    world.handle(Input::Advert(received));
    let after = standing(&world.engine);
    if before.heard == after.heard {
        assert_eq!(
            before.states, after.states,
            "{received:?} does not count and changes something"
        );
        let sent = world.log.iter().any(|(_, output)| !matches!(output, Output::Notify(_)));
        assert!(!sent, "{received:?} does not count and something is sent");
    }
    let counted = (after.heard - before.heard) + (after.dropped - before.dropped);
    assert!(counted >= 1, "{received:?} is neither counted as heard nor as dropped");
}

/// Makes the checksum right.
fn seal(bytes: &mut [u8], form: ChecksumForm, src: IpAddr, dst: IpAddr) {
    let version = if bytes[0] >> 4 == 3 { Version::V3 } else { Version::V2 };
    bytes[6..8].fill(0);
    let sum = checksum::of_advert(version, form, src, dst, bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
}

fn ends(how: u8, last: u8) -> (IpAddr, IpAddr) {
    let own = |text: &str| text.parse().expect("an address");
    if how & 16 != 0 {
        let src = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(last)]);
        let dst = if how & 32 != 0 { own("fe80::2") } else { IpAddr::V6(MULTICAST_GROUP_V6) };
        (src, dst)
    } else {
        let dst = if how & 32 != 0 { own("10.0.0.2") } else { IpAddr::V4(MULTICAST_GROUP_V4) };
        (IpAddr::from([10, 0, 0, last]), dst)
    }
}

struct Standing {
    states: Vec<(StateKind, Option<Timestamp>)>,
    heard: u64,
    dropped: u64,
}

fn standing(engine: &Engine) -> Standing {
    let status = engine.status();
    let states = status.instances().map(|one| (one.state(), one.deadline().map(|(at, _)| at)));
    let heard = status.instances().map(|one| one.counters().received).sum();
    let drops =
        status.instances().map(|one| one.counters().drops.iter().map(|(_, n)| n).sum::<u64>());
    let unclaimed: u64 = status.unclaimed().iter().map(|(_, count)| count).sum();
    Standing { states: states.collect(), heard, dropped: drops.sum::<u64>() + unclaimed }
}
