//! The labs that the captures were made in: who sent a packet, and the virtual router that it was
//! for. `fixtures/captures/README.md` describes them.

use std::net::IpAddr;

use vipd_engine::config::{Peer, Transport, VirtualAddress};
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::{Family, InstanceConfig, Interval, Password, Profile, Rules, Version, Vrid};
use vipd_frames::{Payload, Vrrp, decode};

use super::fixture::{Frame, frames};
use crate::driver::{ip, priority};
use crate::vector::{RECEIVER_V4, RECEIVER_V6, Vector};

/// A capture.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    pub name: &'static str,
    /// For the page.
    pub what: &'static str,
    pub version: u8,
    pub family: Family,
    pub setting: Setting,
}

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Two routers that fail over and back: VRID 51, and this advertisement interval.
    Pair { centiseconds: i64, security: Security },
    /// One router with a virtual router for each vector that was tried on it, numbered from 1. The
    /// lab made it a Backup with a valid advert of priority 200, then sent the vector.
    Tried,
    /// One router with virtual routers of several priorities, and valid adverts of the lab.
    Answers,
    /// The vectors as they stand in the fixture, without an Ethernet header.
    AsTheyStand,
}

/// How the pair speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Open,
    Password(&'static str),
    /// And each names the other one.
    UnicastPassword(&'static str),
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    Keepalived,
    Frr,
    /// The lab: a valid advert.
    Lab,
    /// The lab: the vector with this number in the fixture.
    Vector(usize),
}

const OPEN: Setting = Setting::Pair { centiseconds: 100, security: Security::Open };
const FAST: Setting = Setting::Pair { centiseconds: 10, security: Security::Open };
const PASSWORD: Setting =
    Setting::Pair { centiseconds: 100, security: Security::Password("s3cr3tpw") };
const UNICAST: Setting =
    Setting::Pair { centiseconds: 100, security: Security::UnicastPassword("s3cr3t") };

const fn capture(
    name: &'static str,
    what: &'static str,
    version: u8,
    family: Family,
    setting: Setting,
) -> Capture {
    Capture { name, what, version, family, setting }
}

pub const CAPTURES: [Capture; 27] = [
    capture("ka-v2-mcast", "v2, multicast", 2, Family::Ipv4, OPEN),
    capture("ka-v2-mcast-pass", "v2, multicast, a password", 2, Family::Ipv4, PASSWORD),
    capture("ka-v2-unicast-pass", "v2, unicast, a password", 2, Family::Ipv4, UNICAST),
    capture("ka-v3-mcast", "v3", 3, Family::Ipv4, OPEN),
    capture("ka-v3-fast", "v3, every 100 ms", 3, Family::Ipv4, FAST),
    capture("ka-v3-vmac", "v3, virtual MAC (`use_vmac`)", 3, Family::Ipv4, OPEN),
    capture("ka-v3-ipv6", "v3 over IPv6", 3, Family::Ipv6, OPEN),
    capture("frr-v2-mcast", "v2", 2, Family::Ipv4, OPEN),
    capture("frr-v3-mcast", "v3", 3, Family::Ipv4, OPEN),
    capture("frr-v3-arpfix", "v3, `arp_ignore` set", 3, Family::Ipv4, OPEN),
    capture("frr-v3-fast", "v3, every 100 ms", 3, Family::Ipv4, FAST),
    capture("frr-v3-ipv6", "v3 over IPv6", 3, Family::Ipv6, OPEN),
    capture("interop-ka-frr-v2", "v2, both daemons", 2, Family::Ipv4, OPEN),
    capture("interop-ka-frr-v3", "v3, both daemons", 3, Family::Ipv4, OPEN),
    capture("interop-ka-frr-v6", "v3 over IPv6, both daemons", 3, Family::Ipv6, OPEN),
    capture("ka-startup", "v3, nine ways to start", 3, Family::Ipv4, Setting::Answers),
    capture("mt-ka-v2", "v2, a Master and a Backup answer", 2, Family::Ipv4, Setting::Answers),
    capture("mt-ka-v3", "v3, a Master and a Backup answer", 3, Family::Ipv4, Setting::Answers),
    capture("mt-frr-v2", "v2, a Master and a Backup answer", 2, Family::Ipv4, Setting::Answers),
    capture("mt-frr-v3", "v3, a Master and a Backup answer", 3, Family::Ipv4, Setting::Answers),
    capture("inj-ka-v2", "v2, vectors", 2, Family::Ipv4, Setting::Tried),
    capture("inj-ka-v3-ipv4", "v3, vectors", 3, Family::Ipv4, Setting::Tried),
    capture("inj-ka-v3-ipv6", "v3 over IPv6, vectors", 3, Family::Ipv6, Setting::Tried),
    capture("inj-frr-v2", "v2, vectors", 2, Family::Ipv4, Setting::Tried),
    capture("inj-frr-v3-ipv4", "v3, vectors", 3, Family::Ipv4, Setting::Tried),
    capture("inj-frr-v3-ipv6", "v3 over IPv6, vectors", 3, Family::Ipv6, Setting::Tried),
    capture("vectors", "the fixture itself", 0, Family::Ipv4, Setting::AsTheyStand),
];

/// The priority of the lab's valid adverts where vectors were tried, and of the router there.
const LAB_PRIORITY: u8 = 200;
const ROUTER_PRIORITY: u8 = 50;
/// The one router (FRR has another address per VRID over IPv6; here any will do), and the lab.
const ROUTER: [&str; 2] = ["10.99.0.2", "fe80::ff:fe00:990b"];
const LAB: [&str; 2] = ["10.99.0.100", "fe80::ff:fe00:9964"];

/// One captured packet, who sent it, and the virtual router that it was for.
pub struct Packet {
    pub frame: Frame,
    pub sender: Sender,
    /// Under no profile yet.
    pub receiver: InstanceConfig,
    /// The receiver's own address.
    pub own: IpAddr,
}

impl Packet {
    /// The VRRP message and its IP fields; `None` if it is of another protocol.
    pub fn vrrp(&self) -> Option<Vrrp<'_>> {
        vrrp(&self.frame)
    }
}

fn vrrp(frame: &Frame) -> Option<Vrrp<'_>> {
    match decode(&frame.octets).ok()?.payload {
        Payload::Vrrp(vrrp) => Some(vrrp),
        _ => None,
    }
}

fn of_family(addresses: [&str; 2], family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => ip(addresses[0]),
        Family::Ipv6 => ip(addresses[1]),
    }
}

impl Capture {
    /// Every packet, in order.
    pub fn packets(&self, vectors: &[Vector]) -> Vec<Packet> {
        let frames = frames(self.name);
        let senders: Vec<_> = frames.iter().map(|frame| self.sender(frame, vectors)).collect();
        let of = |(at, frame): (usize, &Frame)| {
            let sender = match self.setting {
                Setting::AsTheyStand => Sender::Vector(at),
                _ => senders[at],
            };
            let (receiver, own) = match self.setting {
                Setting::AsTheyStand => as_it_stands(&vectors[at]),
                Setting::Pair { centiseconds, security } => {
                    self.pair(frame, &frames, centiseconds, security)
                }
                Setting::Tried => self.tried(frame, sender, &frames, vectors),
                Setting::Answers => self.answers(frame, sender, &frames, &senders),
            };
            Packet { frame: frame.clone(), sender, receiver, own }
        };
        frames.iter().enumerate().map(of).collect()
    }

    fn router(&self, frame: &Frame) -> Sender {
        let is_frr = match self.name {
            name if name.starts_with("interop") => frame.virtual_mac_slot().is_some(),
            name => name.contains("frr"),
        };
        if is_frr { Sender::Frr } else { Sender::Keepalived }
    }

    fn sender(&self, frame: &Frame, vectors: &[Vector]) -> Sender {
        let Some(vrrp) = vrrp(frame) else { return Sender::Lab };
        let router = of_family(ROUTER, self.family);
        match (self.setting, vrrp.bytes.get(2).copied()) {
            (Setting::Tried, Some(ROUTER_PRIORITY)) => self.router(frame),
            (Setting::Tried, Some(LAB_PRIORITY)) => Sender::Lab,
            (Setting::Tried, _) => Sender::Vector(self.tried_vector(frame, vectors)),
            (Setting::Answers, _) if vrrp.src != router => Sender::Lab,
            _ => self.router(frame),
        }
    }

    /// The router that vectors were tried on, as `observed` calls it.
    pub fn peer(&self) -> &'static str {
        if self.name.contains("frr") { "frr-8.4.4" } else { "keepalived-2.2.7" }
    }

    /// The vectors that were tried, by their number in the fixture. The first one has slot 1.
    pub fn tried_here(&self, vectors: &[Vector]) -> Vec<usize> {
        let is_ours = |vector: &Vector| {
            vector.receiver.version == self.version
                && vector.family() == self.family
                && vector.observed.contains_key(self.peer())
        };
        (0..vectors.len()).filter(|at| is_ours(&vectors[*at])).collect()
    }

    /// A vector was sent from the virtual MAC of its slot, whatever VRID it carries.
    fn tried_vector(&self, frame: &Frame, vectors: &[Vector]) -> usize {
        let slot = usize::from(frame.virtual_mac_slot().expect("a virtual MAC"));
        self.tried_here(vectors)[slot - 1]
    }

    fn config(&self, vrid: u8) -> InstanceConfig {
        let vrid = Vrid::new(i64::from(vrid)).expect("a VRID");
        let mut config = InstanceConfig::new("VI_1", self.family, "eth0", vrid);
        config.version = if self.version == 2 { Version::V2 } else { Version::V3 };
        config
    }

    /// The other router of the pair.
    fn pair(
        &self,
        frame: &Frame,
        frames: &[Frame],
        centiseconds: i64,
        security: Security,
    ) -> (InstanceConfig, IpAddr) {
        let source = vrrp(frame).expect("an advert").src;
        let mut sources = frames.iter().filter_map(vrrp).map(|vrrp| vrrp.src);
        let own = sources.find(|other| *other != source).expect("two routers");
        let mut config = self.config(51);
        config.interval = Interval::from_centiseconds(centiseconds).expect("an interval");
        config.addresses = match self.family {
            Family::Ipv4 => addresses([ip("10.99.0.10")]),
            Family::Ipv6 => addresses([ip("fe80::10"), ip("fd00:99::10")]),
        };
        config.password = match security {
            Security::Open => None,
            Security::Password(text) | Security::UnicastPassword(text) => {
                Password::new(text.as_bytes()).ok()
            }
        };
        if let Security::UnicastPassword(_) = security {
            config.transport = unicast(own, source);
        }
        (config, own)
    }

    /// The virtual router of the slot at the router, or the same one at the lab if the router
    /// sent. Its addresses and its password are those of the valid advert that the lab sent first.
    fn tried(
        &self,
        frame: &Frame,
        sender: Sender,
        frames: &[Frame],
        vectors: &[Vector],
    ) -> (InstanceConfig, IpAddr) {
        let vrrp = vrrp(frame).expect("an advert");
        let is_router = matches!(sender, Sender::Keepalived | Sender::Frr);
        let slot =
            if is_router { vrrp.bytes[1] } else { frame.virtual_mac_slot().expect("a slot") };
        let is_first = |other: &&Frame| {
            other.virtual_mac_slot() == Some(slot) && other.message().get(2) == Some(&LAB_PRIORITY)
        };
        let first = frames.iter().find(is_first).expect("a valid advert for each slot");
        let mut config = self.config(slot);
        let view = AdvertView::new(config.version, self.family, first.message()).expect("valid");
        config.addresses = addresses(view.addresses());
        if view.auth_type() == 1 {
            let octets = view.auth_data().split(|octet| *octet == 0).next().expect("octets");
            config.password = Some(Password::new(octets).expect("a password"));
        }
        if is_router {
            return (config, of_family(LAB, self.family));
        }
        let own = of_family(ROUTER, self.family);
        config.priority = priority(i64::from(ROUTER_PRIORITY));
        if vectors[self.tried_vector(first, vectors)].receiver.unicast {
            config.transport = unicast(own, vrrp.src);
        }
        (config, own)
    }

    /// The virtual router at the router, with the priority of its first advert (100 if it sent
    /// none), or the same one at the lab if the router sent.
    fn answers(
        &self,
        frame: &Frame,
        sender: Sender,
        frames: &[Frame],
        senders: &[Sender],
    ) -> (InstanceConfig, IpAddr) {
        let slot = frame.message()[1];
        let mut config = self.config(slot);
        config.addresses = addresses([IpAddr::from([10, 99, 10, slot])]);
        if sender != Sender::Lab {
            return (config, ip(LAB[0]));
        }
        let mut by_router = frames
            .iter()
            .zip(senders)
            .filter(|(other, sender)| **sender != Sender::Lab && other.message()[1] == slot);
        let first = by_router.next().map_or(100, |(other, _)| other.message()[2]);
        config.priority = priority(i64::from(first));
        (config, ip(ROUTER[0]))
    }
}

fn as_it_stands(vector: &Vector) -> (InstanceConfig, IpAddr) {
    (vector.config(Profile::DropIn), of_family([RECEIVER_V4, RECEIVER_V6], vector.family()))
}

fn addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<VirtualAddress> {
    addresses.into_iter().map(VirtualAddress::new).collect()
}

fn unicast(own: IpAddr, peer: IpAddr) -> Transport {
    Transport::Unicast { source: Some(own), peers: vec![Peer::new(peer)], ttl: 255 }
}

/// What is to be done with a packet: `process`, or the first fault.
pub fn expected<'a>(packet: &Packet, vectors: &'a [Vector], profile: Profile) -> &'a str {
    if let Sender::Vector(at) = packet.sender {
        return &vectors[at].under[profile.name()];
    }
    // A valid advert of its virtual router, its sum with a pseudo-header where v3 goes over IPv4.
    // RFC 9568 section 5.2.8 sums the message only.
    let receiver = &packet.receiver;
    let is_v3 = receiver.version == Version::V3;
    if is_v3 && receiver.family == Family::Ipv4 && profile == Profile::Rfc9568 {
        return "checksum";
    }
    // RFC 3768 and RFC 5798 section 7.1: an owner discards. Erratum 8298 of RFC 9568, for v3 as the
    // whole RFC is: it does not, nor does `drop-in`.
    let processes = is_v3 && [Profile::DropIn, Profile::Rfc9568].contains(&profile);
    if receiver.priority == priority(255) && !processes {
        return "owner";
    }
    "process"
}

/// The receiver under a profile.
pub fn under(packet: &Packet, profile: Profile) -> InstanceConfig {
    InstanceConfig { rules: Rules::of(profile), ..packet.receiver.clone() }
}
