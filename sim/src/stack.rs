//! What a host's kernel does with a frame: hand a datagram to the process, answer ARP, ND and
//! echo, keep the neighbour cache. Segments of TCP are for [`crate::serving`].
//!
//! An echo is answered to the MAC that it came from. No neighbour entry is made but for what this
//! host asked for; any other news changes an entry that is there (Linux with `arp_accept` 0).

use std::mem;
use std::net::IpAddr;

use vipd_engine::rules::ChecksumForm;
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::{MacAddress, Received, Version};
use vipd_frames::{
    Arp, ArpOperation, Echo, Ethernet, NeighbourAdvert, NeighbourSolicitation, Packet, Payload,
    echo, neighbour, tcp,
};
use vipd_scenarios::record::{HostId, LossReason, Seen, SeenAdvert};

use crate::host::{Host, HostPort, Outside};
use crate::network::{PortId, seen_advert};
use crate::packets::Slot;

/// TTL and hop limit of an echo reply.
const TTL: u8 = 64;

impl Host {
    /// A frame is at a port. Its place is given up.
    pub(crate) fn arrive(&mut self, at: PortId, packet: Slot, out: &mut Outside<'_>) {
        if self.frozen {
            self.hold_arrival(at, packet, out);
            return;
        }
        let port = self.ports[out.net.port(at).local];
        let lost = if !self.is_powered() {
            Some(LossReason::PoweredOff)
        } else if !self.kernel.passes(port.index) {
            Some(LossReason::LinkDown)
        } else {
            None
        };
        if let Some(reason) = lost {
            out.net.lost(at, packet, reason, out.record);
        } else {
            let bytes = mem::take(&mut out.net.packets.get_mut(packet).bytes);
            self.take_in(port, packet, &bytes, out);
            out.net.packets.get_mut(packet).bytes = bytes;
        }
        out.net.packets.release(packet);
    }

    fn take_in(&mut self, port: HostPort, packet: Slot, bytes: &[u8], out: &mut Outside<'_>) {
        let in_flight = out.net.packets.get(packet);
        let (advert, sender, corrupted) = (in_flight.advert, in_flight.sender, in_flight.corrupted);
        if let Some(capture) = &mut out.net.capture {
            if corrupted {
                capture.dropped(port.id, out.net.now, bytes, LossReason::Corrupted);
            } else {
                capture.arrived(port.id, out.net.now, bytes);
            }
        }
        if let Some((ethernet, tcp)) = tcp::decode(bytes) {
            if self.kernel.takes(port.index, ethernet.dst) {
                out.net.trace_frame(self.id, bytes);
                self.on_tcp(port, &tcp, bytes, sender, out);
            }
            return;
        }
        let decoded = vipd_frames::decode(bytes);
        let frame = decoded.as_ref().ok().filter(|frame| {
            let dst = frame.ethernet.dst;
            dst.0[0] & 1 == 1 || self.kernel.takes(port.index, dst)
        });
        if let Some(advert) = advert {
            let intact = !corrupted || frame.is_some_and(|frame| is_still(advert, frame));
            let addressed = frame.is_some() || corrupted;
            if addressed && intact {
                self.see(Seen::AdvertDelivered(advert), out);
            } else if addressed {
                self.see(Seen::AdvertLost(advert, LossReason::Corrupted), out);
            }
        }
        let Some(frame) = frame else { return };
        if let Payload::Vrrp(datagram) = frame.payload {
            let vipd_frames::Vrrp { src, dst, ttl, bytes } = datagram;
            if dst.is_multicast() || self.kernel.holds(dst) {
                let received = Received { interface: port.index, src, dst, ttl, bytes };
                self.on_datagram(packet, &received, out);
            }
            return;
        }
        out.net.trace_frame(self.id, bytes);
        self.on_frame(port, frame, sender, out);
    }

    fn on_frame(
        &mut self,
        port: HostPort,
        frame: &Packet<'_>,
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) {
        match &frame.payload {
            Payload::Vrrp(_) => {}
            Payload::Arp(arp) => self.on_arp(port, arp, sender, out),
            Payload::NeighbourSolicitation(asked) => {
                self.on_solicitation(port, frame.ethernet, asked, out);
            }
            Payload::NeighbourAdvert(advert) => self.on_neighbour(port, advert, sender, out),
            Payload::EchoRequest(request) => {
                self.on_echo_request(port, frame.ethernet, request, out);
            }
            Payload::EchoReply(reply) => self.on_echo_reply(reply, sender, out),
        }
    }

    fn on_arp(&mut self, port: HostPort, arp: &Arp, sender: Option<HostId>, out: &mut Outside<'_>) {
        let announced = arp.spa == arp.tpa;
        if arp.operation == ArpOperation::Request
            && !announced
            && let Some(mac) = self.kernel.answers(port.index, IpAddr::V4(arp.tpa))
        {
            self.answer(port, IpAddr::V4(arp.tpa), mac, out, |bytes| {
                neighbour::arp_reply(arp, mac, bytes);
            });
        }
        let solicited = arp.operation == ArpOperation::Reply && !announced;
        self.learn(port, IpAddr::V4(arp.spa), arp.sha, solicited, sender, out);
    }

    fn on_solicitation(
        &mut self,
        port: HostPort,
        ethernet: Ethernet,
        asked: &NeighbourSolicitation,
        out: &mut Outside<'_>,
    ) {
        let target = IpAddr::V6(asked.target);
        if let Some(mac) = self.kernel.answers(port.index, target) {
            self.answer(port, target, mac, out, |bytes| {
                neighbour::neighbour_reply(ethernet.src, asked, mac, true, bytes);
            });
        }
    }

    fn on_neighbour(
        &mut self,
        port: HostPort,
        advert: &NeighbourAdvert,
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) {
        let target = IpAddr::V6(advert.target);
        let known = self.kernel.neighbour(port.index, target).is_some();
        if let Some(mac) = advert.link_layer.filter(|_| advert.overrides || !known) {
            self.learn(port, target, mac, advert.solicited, sender, out);
        }
    }

    fn answer(
        &self,
        port: HostPort,
        address: IpAddr,
        mac: MacAddress,
        out: &mut Outside<'_>,
        emit: impl FnOnce(&mut Vec<u8>),
    ) {
        self.see(Seen::Answered { segment: port.segment, address, mac }, out);
        self.transmit(port, out, emit);
    }

    /// Changes the neighbour entry of an address; makes one only if this host asked for it.
    fn learn(
        &mut self,
        port: HostPort,
        address: IpAddr,
        mac: MacAddress,
        solicited: bool,
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) {
        // For what waits to be sent there is an entry already, and any news completes it.
        let asked = (solicited && self.awaits(port, address))
            || self.routes_to(port, address, out.net.now)
            || self.user.as_ref().is_some_and(|user| user.awaits(self, port, address));
        if !asked && self.kernel.neighbour(port.index, address).is_none() {
            return;
        }
        // The MAC of a virtual router leads to whoever used it last: that is what a switch learns.
        let points_to = out.net.owner_of(mac).or(sender);
        let moved = self.points_to.insert((port.index, address), points_to) != Some(points_to);
        if self.kernel.learn(port.index, address, mac) || moved {
            let segment = port.segment;
            self.see(Seen::Neighbour { segment, address, mac, points_to }, out);
        }
        self.on_resolved(port, address, out);
        self.route_resolved(port, address, out);
    }

    fn on_echo_request(
        &self,
        port: HostPort,
        ethernet: Ethernet,
        request: &Echo<'_>,
        out: &mut Outside<'_>,
    ) {
        let asked = request.endpoints.dst();
        if !self.kernel.delivers(asked) {
            return;
        }
        let own = self.kernel.interface(port.index).map(|interface| interface.mac);
        let Some(src) = self.kernel.answers(port.index, asked).or(own) else { return };
        let back = Ethernet { src, dst: ethernet.src };
        let reply = Echo { endpoints: request.endpoints.reversed(), ttl: TTL, ..*request };
        self.transmit(port, out, |bytes| echo::echo_reply(back, &reply, bytes));
    }

    /// Puts a frame that is no advert on the wire.
    pub(crate) fn transmit(
        &self,
        port: HostPort,
        out: &mut Outside<'_>,
        emit: impl FnOnce(&mut Vec<u8>),
    ) {
        let packet = out.net.packets.take();
        let in_flight = out.net.packets.get_mut(packet);
        in_flight.sender = Some(self.id);
        emit(&mut in_flight.bytes);
        out.net.transmit(port.id, packet, out.record);
    }
}

/// Whether a frame in which a bit was flipped still carries the advert that was sent. Its checksum
/// tells, too: who was sent something else discards it, and has not heard it.
fn is_still(advert: SeenAdvert, frame: &Packet<'_>) -> bool {
    let Payload::Vrrp(datagram) = frame.payload else { return false };
    let ends = (datagram.src, datagram.dst);
    let (packet, segment, sender) = (advert.packet, advert.router.segment, advert.sender);
    let version = if advert.version == 2 { Version::V2 } else { Version::V3 };
    let view = AdvertView::new(version, advert.router.family, datagram.bytes);
    let fits = |form| view.is_ok_and(|view| view.checksum_fits(form, datagram.src, datagram.dst));
    let sent = SeenAdvert { injection: None, ..advert };
    seen_advert(packet, segment, sender, ends, datagram.bytes) == Some(sent)
        && (fits(ChecksumForm::MessageOnly) || fits(ChecksumForm::PseudoHeader))
}
