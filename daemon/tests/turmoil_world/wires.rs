//! What all hosts share: adverts on their way, which paths are open, and the Record.
//!
//! turmoil carries the datagrams. One of UDP has neither a TTL nor the group that it was sent to:
//! each begins with its number, by which the receiver finds what was sent. The daemon never sees
//! that number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipd_scenarios::record::{
    HostId, LossReason, Observation, PacketId, Recorder, Seen, SeenAdvert, SegmentId, WorldTime,
};

use super::Cuts;

/// The one segment.
pub const LAN: SegmentId = SegmentId(0);

/// A directed path.
pub type Path = (HostId, HostId);

/// The wires and the Record.
#[derive(Default)]
pub struct Wires {
    /// Addresses that some configuration makes virtual.
    pub virtual_addresses: Vec<IpAddr>,
    /// Everything that was seen and not handed on yet.
    seen: Vec<Observation>,
    /// By their number.
    adverts: Vec<SeenAdvert>,
    on_the_way: BTreeSet<(PacketId, HostId)>,
    /// Where a process runs, by which address, and whether its socket is open.
    listeners: BTreeMap<HostId, (IpAddr, bool)>,
    /// What does not pass, and what becomes of it.
    cut: BTreeMap<Path, Cuts>,
}

impl Wires {
    /// Writes it into the Record.
    pub fn see(&mut self, at: WorldTime, host: HostId, seen: Seen) {
        self.seen.push(Observation { at, host, seen });
    }

    /// Hands on what was seen until then, in order of time. Hosts run one after the other within a
    /// tick, so what they saw is not in order yet.
    pub fn hand_on(&mut self, until: WorldTime, record: &mut dyn Recorder) {
        self.seen.sort_by_key(|observation| observation.at);
        let known = self.seen.partition_point(|observation| observation.at <= until);
        for observation in self.seen.drain(..known) {
            record.observe(&observation);
        }
    }

    /// The number of an advert that leaves now.
    pub fn next_packet(&self) -> PacketId {
        PacketId(self.adverts.len() as u64)
    }

    /// An advert leaves, for each process that hears its destination.
    pub fn sent(&mut self, at: WorldTime, from: HostId, advert: SeenAdvert) {
        self.adverts.push(advert);
        self.see(at, from, Seen::AdvertSent(advert));
        for (to, (address, open)) in self.listeners.clone() {
            let hears = to != from && (advert.dst.is_multicast() || advert.dst == address);
            if !hears {
                continue;
            }
            match self.cut.get(&(from, to)) {
                Some(Cuts::Lose) => self.see(at, to, Seen::AdvertLost(advert, LossReason::Cut)),
                // turmoil sends it only to whoever joined the group by now.
                _ if !open => self.see(at, to, Seen::AdvertLost(advert, LossReason::Lost)),
                Some(Cuts::Hold) | None => {
                    self.on_the_way.insert((advert.packet, to));
                }
            }
        }
    }

    /// The advert of this number is at a port.
    pub fn arrived(&mut self, packet: PacketId, at: HostId) -> Option<SeenAdvert> {
        self.on_the_way.remove(&(packet, at));
        self.adverts.get(usize::try_from(packet.0).ok()?).copied()
    }

    /// A process of this host runs. It hears adverts once its socket is `open`.
    pub fn listen(&mut self, host: HostId, address: IpAddr, open: bool) {
        self.listeners.insert(host, (address, open));
    }

    /// It does so no longer: what is on its way there is lost to nobody.
    pub fn leave(&mut self, host: HostId) {
        self.listeners.remove(&host);
        self.on_the_way.retain(|(_, to)| *to != host);
    }

    /// Closes or opens a path; false if it was so.
    pub fn set_cut(&mut self, at: WorldTime, path: Path, cuts: Cuts, cut: bool) -> bool {
        let was = self.cut.contains_key(&path);
        if cut {
            self.cut.insert(path, cuts);
        } else {
            self.cut.remove(&path);
        }
        if cut && !was && cuts == Cuts::Lose {
            self.lose(at, path);
        }
        if cut != was {
            self.describe(at, path);
        }
        cut != was
    }

    /// Tells what passes on a path.
    pub fn describe(&mut self, at: WorldTime, path: Path) {
        let open = !self.cut.contains_key(&path);
        let seen = Seen::Path { segment: LAN, to: path.1, multicast: open, unicast: open };
        self.see(at, path.0, seen);
    }

    /// What is on its way here is lost.
    fn lose(&mut self, at: WorldTime, (from, to): Path) {
        for (packet, receiver) in self.on_the_way.clone() {
            let advert = self.adverts[packet.0 as usize];
            if receiver == to && advert.sender == Some(from) {
                self.on_the_way.remove(&(packet, receiver));
                self.see(at, to, Seen::AdvertLost(advert, LossReason::Cut));
            }
        }
    }
}
