//! The wires: segments, ports, the directed paths between ports, and everything on its way.
//!
//! It knows no engine and no kernel. A frame that enters at a port leaves it as arrivals at other
//! ports, filed in the queue; whether the machine behind a port takes it in is decided there.

use std::net::IpAddr;

use vipd_engine::MacAddress;
use vipd_frames::Ethernet;
use vipd_scenarios::record::{
    HostId, LossReason, Observation, PacketId, Recorder, Seen, SeenAdvert, SegmentId, WorldTime,
};
use vipd_scenarios::scenario::Paths;

use crate::capture::Capture;
use crate::link::{Arrival, Cut, Path, Shape, Transit};
use crate::packets::{Packets, Slot};
use crate::queue::Queue;
use crate::trace::Trace;

/// A port's place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortId(pub u32);

/// What comes due in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A frame arrives at a port.
    Arrival {
        /// The port.
        port: PortId,
        /// The frame.
        packet: Slot,
    },
    /// The deadline of a process passed. Void unless `filing` is its last one.
    Timer {
        /// Whose.
        host: HostId,
        /// Counts the filings of that host.
        filing: u64,
    },
    /// A late packet handler runs.
    Read {
        /// Whose.
        host: HostId,
    },
    /// A kernel command ends.
    Command {
        /// Whose.
        host: HostId,
    },
    /// An attempt of a health check ends.
    Checked {
        /// Whose.
        host: HostId,
        /// Counts the attempts of that host.
        number: u64,
    },
    /// The kernel tells others of its connections.
    Sync {
        /// Whose.
        host: HostId,
    },
    /// The lease of a gate may be over.
    Lease {
        /// Whose kernel has it.
        host: HostId,
    },
    /// A client asks.
    Probe {
        /// Who.
        host: HostId,
    },
    /// A client asks a virtual server for a page.
    Request {
        /// Who.
        host: HostId,
    },
    /// The patience of a client with a request is over, or its TCP sends again. Void unless
    /// `filing` is the last one of that host.
    RequestTimer {
        /// Who.
        host: HostId,
        /// Which request.
        number: u64,
        /// Counts the timers of that request.
        filing: u32,
    },
    /// A real server says the next octet of a page that drips.
    Drip {
        /// Who.
        host: HostId,
        /// Counts the pages of that host that drip.
        number: u64,
    },
    /// Somebody who is no host sends an advert.
    Injection {
        /// Place in the list of injections.
        index: u32,
    },
}

/// A port and the paths that begin at it.
#[derive(Clone, Debug)]
pub struct Port {
    /// The host behind it; `None` for the one where adverts are injected.
    pub host: Option<HostId>,
    /// Place among the host's ports.
    pub local: usize,
    /// Where it is plugged in.
    pub segment: SegmentId,
    /// The MAC burnt in.
    pub mac: MacAddress,
    /// The other ports of the segment, in order.
    pub paths: Vec<(PortId, Path)>,
}

/// All wires, and what all hosts share.
pub struct Network {
    /// World time.
    pub now: WorldTime,
    /// What is due.
    pub queue: Queue<Due>,
    /// Frames on their way.
    pub packets: Packets,
    /// Hash of what engines took in and gave out, if somebody is to ask for it.
    pub trace: Option<Trace>,
    /// Where frames are written, if anywhere.
    pub capture: Option<Capture>,
    /// Addresses that some configuration makes virtual, in order of appearance.
    pub virtual_addresses: Vec<IpAddr>,
    ports: Vec<Port>,
    /// What is at the other end of each path of each port, which never changes.
    ends: Vec<Vec<End>>,
    /// Where the MAC of an address that never moves is found, by segment.
    directory: Vec<(SegmentId, IpAddr, MacAddress)>,
    next_packet: u64,
}

/// The other end of a path.
#[derive(Clone, Copy, Debug)]
struct End {
    mac: MacAddress,
    host: Option<HostId>,
}

impl Network {
    /// Wires without a frame on them.
    #[must_use]
    pub fn new(ports: Vec<Port>, directory: Vec<(SegmentId, IpAddr, MacAddress)>) -> Self {
        let end = |(to, _): &(PortId, Path)| {
            let Port { mac, host, .. } = ports[to.0 as usize];
            End { mac, host }
        };
        let ends = ports.iter().map(|port| port.paths.iter().map(end).collect()).collect();
        Self {
            now: WorldTime(0),
            queue: Queue::default(),
            packets: Packets::default(),
            trace: Some(Trace::default()),
            capture: None,
            virtual_addresses: Vec::new(),
            ports,
            ends,
            directory,
            next_packet: 0,
        }
    }

    /// The kernel of a host takes in this frame, which is not for an engine.
    pub fn trace_frame(&mut self, host: HostId, frame: &[u8]) {
        if let Some(trace) = &mut self.trace {
            trace.frame(self.now, host, frame);
        }
    }

    /// The number of a datagram that leaves now.
    pub const fn number_packet(&mut self) -> PacketId {
        let id = PacketId(self.next_packet);
        self.next_packet += 1;
        id
    }

    /// Puts a frame on the wire at a port. The frame's place is given up.
    pub fn transmit(&mut self, from: PortId, packet: Slot, record: &mut dyn Recorder) {
        let Self { now, ports, ends, packets, queue, capture, .. } = self;
        let in_flight = packets.get(packet);
        if let Some(capture) = capture {
            capture.sent(from, *now, &in_flight.bytes);
        }
        let dst = destination(&in_flight.bytes);
        let group = dst.0[0] & 1 == 1;
        let (len, advert) = (in_flight.bytes.len(), in_flight.advert.is_some());
        let shape = Shape { len, multicast: group, advert };
        let place = from.0 as usize;
        for ((to, path), end) in ports[place].paths.iter_mut().zip(&ends[place]) {
            if !group && !may_take(end, dst) {
                continue;
            }
            match path.carry(*now, shape) {
                Transit::Lost(reason) => {
                    if let Some(capture) = capture {
                        capture.dropped(*to, *now, &packets.get(packet).bytes, reason);
                    }
                    if let (Some(advert), Some(host)) = (packets.get(packet).advert, end.host) {
                        let seen = Seen::AdvertLost(advert, reason);
                        record.observe(&Observation { at: *now, host, seen });
                    }
                }
                Transit::Arrives(first, second) => {
                    let mut file = |arrival: Arrival| {
                        let packet = match arrival.flipped_bit {
                            Some(bit) => packets.corrupt(packet, bit),
                            None => {
                                packets.retain(packet);
                                packet
                            }
                        };
                        queue.push(arrival.at, Due::Arrival { port: *to, packet });
                    };
                    file(first);
                    if let Some(second) = second {
                        file(second);
                    }
                }
            }
        }
        packets.release(packet);
    }

    /// A frame came as far as a port and was lost there.
    pub fn lost(
        &mut self,
        at: PortId,
        packet: Slot,
        reason: LossReason,
        record: &mut dyn Recorder,
    ) {
        let in_flight = self.packets.get(packet);
        if let Some(capture) = &mut self.capture {
            capture.dropped(at, self.now, &in_flight.bytes, reason);
        }
        if let (Some(advert), Some(host)) = (in_flight.advert, self.port(at).host) {
            let seen = Seen::AdvertLost(advert, reason);
            record.observe(&Observation { at: self.now, host, seen });
        }
    }

    /// What an advert that leaves or arrives now is for the Record.
    pub fn observe(&self, host: HostId, seen: Seen, record: &mut dyn Recorder) {
        record.observe(&Observation { at: self.now, host, seen });
    }

    /// Changes every path between hosts that `paths` names, and tells what passes where that
    /// changed.
    pub fn change(
        &mut self,
        paths: &Paths,
        record: &mut dyn Recorder,
        mut change: impl FnMut(&mut Path),
    ) {
        let at = self.now;
        for (port, ends) in self.ports.iter_mut().zip(&self.ends) {
            let Some(host) = port.host else { continue };
            for ((_, path), end) in port.paths.iter_mut().zip(ends) {
                let Some(other) = end.host else { continue };
                if !names(paths, host, other) {
                    continue;
                }
                let before = path.cut();
                change(path);
                if path.cut() != before {
                    let seen = path_seen(port.segment, other, path);
                    record.observe(&Observation { at, host, seen });
                }
            }
        }
    }

    /// Tells of every path between hosts what passes.
    pub fn describe_paths(&self, record: &mut dyn Recorder) {
        for port in &self.ports {
            let Some(host) = port.host else { continue };
            for (to, path) in &port.paths {
                if let Some(other) = self.port(*to).host {
                    self.observe(host, path_seen(port.segment, other, path), record);
                }
            }
        }
    }

    /// A port.
    #[must_use]
    pub fn port(&self, id: PortId) -> &Port {
        &self.ports[id.0 as usize]
    }

    /// All ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The port where adverts of nobody's are injected into a segment.
    #[must_use]
    pub fn stranger(&self, segment: SegmentId) -> Option<PortId> {
        let place =
            self.ports.iter().position(|port| port.host.is_none() && port.segment == segment)?;
        Some(PortId(place as u32))
    }

    /// The MAC of an address that belongs to a machine for good. Nobody has the MAC that is given
    /// for an unknown one: such a frame is sent in vain.
    #[must_use]
    pub fn resolve(&self, segment: SegmentId, address: IpAddr) -> MacAddress {
        const NOBODY: MacAddress = MacAddress([0x02, 0xff, 0, 0, 0, 0]);
        self.directory
            .iter()
            .find(|(at, known, _)| *known == address && *at == segment)
            .map_or(NOBODY, |(_, _, mac)| *mac)
    }

    /// The host that this MAC was burnt into.
    #[must_use]
    pub fn owner_of(&self, mac: MacAddress) -> Option<HostId> {
        self.ports.iter().find(|port| port.mac == mac)?.host
    }
}

/// A switch sends a frame to the port where its MAC is. A virtual router's MAC may be anywhere.
fn may_take(end: &End, dst: MacAddress) -> bool {
    end.mac == dst || dst.0[..4] == [0x00, 0x00, 0x5e, 0x00]
}

fn destination(frame: &[u8]) -> MacAddress {
    frame.first_chunk().map_or(Ethernet::BROADCAST, |octets| MacAddress(*octets))
}

fn names(paths: &Paths, from: HostId, to: HostId) -> bool {
    match paths {
        Paths::All => true,
        Paths::Between(left, right) => {
            (left.contains(&from) && right.contains(&to))
                || (right.contains(&from) && left.contains(&to))
        }
        Paths::FromTo(left, right) => left.contains(&from) && right.contains(&to),
    }
}

const fn path_seen(segment: SegmentId, to: HostId, path: &Path) -> Seen {
    let (multicast, unicast) = match path.cut() {
        Cut::Nothing => (true, true),
        Cut::Multicast => (false, true),
        Cut::Everything => (false, false),
    };
    Seen::Path { segment, to, multicast, unicast }
}

/// The seen form of an advert that `message` carries.
#[must_use]
pub fn seen_advert(
    packet: PacketId,
    segment: SegmentId,
    sender: Option<HostId>,
    (src, dst): (IpAddr, IpAddr),
    message: &[u8],
) -> Option<SeenAdvert> {
    let read = vipd_scenarios::wire::read_advert(message)?;
    let family = vipd_engine::Family::of(dst);
    let router = vipd_scenarios::record::RouterKey { segment, family, vrid: read.vrid };
    let (version, priority, interval) = (read.version, read.priority, read.interval);
    let injection = None;
    Some(SeenAdvert { packet, router, sender, injection, src, dst, version, priority, interval })
}
