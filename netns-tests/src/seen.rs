//! What frames on the wires and words of kernels are for the Record.

use std::net::IpAddr;

use vipd_engine::{Event, MacAddress};
use vipd_frames::{ArpOperation, Packet, Payload, tcp};
use vipd_scenarios::record::{
    HostId, LossReason, Observation, ProcessChange, Recorder, Seen, SegmentId, WorldTime,
};
use vipd_sim::network::{PortId, seen_advert};
use vipd_sim::packets::Slot;

use crate::hosts::Held;
use crate::observer::{self, Found};
use crate::watch::Word;
use crate::word::boot_clock;
use crate::world::Lab;

/// Frames that the network card of a frozen machine keeps; what comes after them is lost.
const CARD_QUEUE: usize = vipd_sim::CARD_QUEUE;

/// The number of `lo` in every namespace.
const LOOPBACK: u32 = 1;

impl Lab {
    pub(crate) fn see(&self, host: HostId, seen: Seen, record: &mut dyn Recorder) {
        record.observe(&Observation { at: self.net.now, host, seen });
    }

    /// A frame came out of a host.
    pub(crate) fn on_left(&mut self, from: PortId, bytes: &[u8], record: &mut dyn Recorder) {
        let port = self.net.port(from);
        let (Some(id), segment) = (port.host, port.segment) else { return };
        if observer::is_for_observer(bytes) {
            return self.on_answer(id, from, bytes, record);
        }
        let host = &mut self.hosts[usize::from(id.0)];
        if host.frozen {
            if host.held.len() < CARD_QUEUE {
                host.held.push(Held::Left(from, bytes.to_vec()));
            }
            return;
        }
        if !host.powered {
            return;
        }
        let packet = self.net.packets.take();
        let in_flight = self.net.packets.get_mut(packet);
        in_flight.bytes.extend_from_slice(bytes);
        in_flight.sender = Some(id);
        // There is no card that does what the kernel left to it.
        tcp::finish_checksum(&mut in_flight.bytes);
        if let Ok(frame) = vipd_frames::decode(bytes) {
            self.note_user(frame.ethernet.src, id, record);
            if let Payload::Vrrp(datagram) = frame.payload {
                let number = self.net.number_packet();
                let ends = (datagram.src, datagram.dst);
                let advert = seen_advert(number, segment, Some(id), ends, datagram.bytes);
                self.net.packets.get_mut(packet).advert = advert;
                if let Some(advert) = advert {
                    self.see(id, Seen::AdvertSent(advert), record);
                }
            }
            if let Some(seen) = self.said(segment, &frame) {
                self.see(id, seen, record);
            }
        }
        self.net.transmit(from, packet, record);
    }

    /// A host answered the observer at its port.
    fn on_answer(&mut self, id: HostId, at: PortId, bytes: &[u8], record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        let cable = host.cables.iter().position(|cable| cable.port == at);
        let (Some(cable), Some(observer)) = (cable, &mut host.observer) else { return };
        if observer.hear(cable, bytes) {
            self.tell_owned(id, record);
        }
    }

    /// Asks from outside whoever is to be asked by now, and tells what the answers show.
    pub(crate) fn observe_hosts(&mut self, record: &mut dyn Recorder) {
        let now = self.net.now;
        for place in 0..self.hosts.len() {
            let host = &mut self.hosts[place];
            let Some(mut observer) = host.observer.take() else { continue };
            let mut found = Vec::new();
            if observer.next().is_some_and(|next| next <= now) {
                let host = &*host;
                let trouble = &mut self.trouble;
                let held = |cable, address| host.holds(cable, address);
                found = observer.ask(now, held, |cable: usize, frame| {
                    let cable = &host.cables[cable];
                    if let Err(error) = cable.plug.send(frame) {
                        trouble.push(format!("a question into {}: {error}", cable.end));
                    }
                });
            }
            self.hosts[place].observer = Some(observer);
            for found in found {
                self.on_found(HostId(place as u16), found, record);
            }
        }
    }

    fn on_found(&mut self, id: HostId, found: Found, record: &mut dyn Recorder) {
        let (place, now) = (usize::from(id.0), self.net.now);
        match found {
            Found::Silent => {
                self.silences.push((now, id));
                self.tell_owned(id, record);
            }
            // Of FRR the kernel says nothing that could differ.
            Found::Differs { .. } if self.hosts[place].is_frr() => {}
            // It is out of reach without a lease.
            Found::Differs { held: true, .. } if self.hosts[place].is_seen_from_outside() => {}
            Found::Differs { address, held } => {
                let name = &self.names[place];
                self.differences.push(if held {
                    format!("{now}: {name} has {address} by its kernel, and nobody answers for it")
                } else {
                    format!("{now}: {name} answers for {address}, and its kernel has it not")
                });
            }
        }
    }

    /// A frame comes to a host.
    pub(crate) fn on_arrival(&mut self, to: PortId, packet: Slot, record: &mut dyn Recorder) {
        let Some(id) = self.net.port(to).host else {
            // Nobody listens at the port where adverts are injected.
            return self.net.packets.release(packet);
        };
        let host = &mut self.hosts[usize::from(id.0)];
        if host.frozen && host.held.len() < CARD_QUEUE {
            return host.held.push(Held::Arrived(to, packet));
        }
        let Some(cable) = host.cables.iter().find(|cable| cable.port == to) else { return };
        let lost = if host.frozen {
            Some(LossReason::Lost)
        } else if !host.powered || host.silent {
            Some(LossReason::PoweredOff)
        } else if !cable.up {
            Some(LossReason::LinkDown)
        } else {
            None
        };
        if let Some(reason) = lost {
            self.net.lost(to, packet, reason, record);
            return self.net.packets.release(packet);
        }
        let in_flight = self.net.packets.get(packet);
        let (bytes, advert, sender) = (&in_flight.bytes, in_flight.advert, in_flight.sender);
        let corrupted = in_flight.corrupted;
        if let Err(error) = cable.plug.send(bytes) {
            self.trouble.push(format!("a frame into {}: {error}", cable.end));
        }
        let reply = match vipd_frames::decode(bytes).map(|frame| frame.payload) {
            Ok(Payload::EchoReply(reply)) => {
                let client = host.client.as_mut();
                client.and_then(|client| Some((client.address(), client.answered(&reply)?)))
            }
            _ => None,
        };
        if let Some(capture) = &mut self.net.capture {
            if corrupted {
                capture.dropped(to, self.net.now, bytes, LossReason::Corrupted);
            } else {
                capture.arrived(to, self.net.now, bytes);
            }
        }
        if let Some(advert) = advert {
            let seen = if corrupted {
                Seen::AdvertLost(advert, LossReason::Corrupted)
            } else {
                Seen::AdvertDelivered(advert)
            };
            self.see(id, seen, record);
        }
        if let Some((address, sent)) = reply {
            self.see(id, Seen::Probe { address, sent, answered_by: sender }, record);
        }
        self.net.packets.release(packet);
    }

    /// A kernel said something of itself.
    pub(crate) fn on_word(&mut self, id: HostId, word: &Word, record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        host.note_link(word);
        match word {
            // What a real server has on its loopback it hides.
            Word::Link { .. } | Word::Address { index: LOOPBACK, .. } => {}
            Word::Address { index, address, present } => {
                let known = host.addresses.contains(&(*index, *address));
                // A kernel that removes an address had it, even if it had not said so yet: of a new
                // IPv6 address it tells later, from a work queue (addrconf).
                if !*present && !known {
                    self.on_address(id, (*index, *address), true, record);
                }
                if !*present || !known {
                    self.on_address(id, (*index, *address), *present, record);
                }
            }
            Word::Neighbour { index, address, mac } => {
                let Some(segment) = host.cable_of(*index).map(|cable| cable.segment) else {
                    return;
                };
                let is_virtual = self.net.virtual_addresses.contains(address);
                if is_virtual && host.neighbours.insert((segment, *address), *mac) != Some(*mac) {
                    self.tell_neighbour(id, segment, *address, *mac, record);
                }
            }
        }
    }

    fn on_address(
        &mut self,
        id: HostId,
        place: (u32, IpAddr),
        present: bool,
        record: &mut dyn Recorder,
    ) {
        let addresses = &mut self.hosts[usize::from(id.0)].addresses;
        if present {
            addresses.insert(place);
        } else {
            addresses.remove(&place);
        }
        self.see(id, Seen::Address { address: place.1, present }, record);
        self.tell_owned(id, record);
    }

    /// Tells of every virtual address that the data plane owns now and did not, or the reverse.
    pub(crate) fn tell_owned(&mut self, id: HostId, record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        for (segment, address, owns) in host.refresh_owned(&self.net.virtual_addresses) {
            self.see(id, Seen::Owns { segment, address, owns }, record);
        }
    }

    /// What the process of a host says of itself, each at its own time.
    pub(crate) fn hear(&mut self, id: HostId) -> Vec<(WorldTime, Event)> {
        let now = self.now();
        let Some(node) = &mut self.hosts[usize::from(id.0)].node else { return Vec::new() };
        let heard = boot_clock().and_then(|clock| Ok((clock, node.hear()?)));
        match heard {
            Ok((clock, heard)) => {
                let at = |at| now.earlier(clock.saturating_sub(at));
                heard.into_iter().map(|(told, event)| (at(told), event)).collect()
            }
            Err(error) => {
                let name = &self.names[usize::from(id.0)];
                self.trouble.push(format!("the own word of {name}: {error}"));
                Vec::new()
            }
        }
    }

    /// What a process said before its end stands before that in the Record.
    pub(crate) fn hear_out(&mut self, id: HostId, record: &mut dyn Recorder) {
        for (_, event) in self.hear(id) {
            self.see(id, Seen::Engine(event), record);
        }
    }

    /// Looks whether processes ended by themselves.
    pub(crate) fn look_after(&mut self, record: &mut dyn Recorder) {
        for place in 0..self.hosts.len() {
            let host = &mut self.hosts[place];
            let id = host.id;
            let Some(node) = &mut host.node else { continue };
            let Some(in_good_order) = node.ended() else {
                if !node.runs()
                    && let Err(error) = node.make_ready()
                {
                    self.trouble.push(format!("{}: {error}", self.names[place]));
                }
                continue;
            };
            let change = if in_good_order { ProcessChange::Stopped } else { ProcessChange::Killed };
            if !in_good_order {
                let name = &self.names[place];
                let words = node.last_words();
                self.trouble.push(format!("{name}'s process ended by itself:\n{words}"));
            }
            let start_wanted = std::mem::take(&mut node.start_wanted);
            self.hear_out(id, record);
            self.see(id, Seen::Process(change), record);
            if start_wanted {
                self.start(id, record);
            }
        }
    }

    /// What a frame says of addresses.
    fn said(&self, segment: SegmentId, frame: &Packet<'_>) -> Option<Seen> {
        let announced = |address, mac| {
            let known = self.net.virtual_addresses.contains(&address);
            known.then_some(Seen::Announced { segment, address, mac })
        };
        match frame.payload {
            Payload::Arp(arp) if arp.spa == arp.tpa => announced(IpAddr::V4(arp.spa), arp.sha),
            Payload::Arp(arp) if arp.operation == ArpOperation::Reply => {
                let address = IpAddr::V4(arp.spa);
                Some(Seen::Answered { segment, address, mac: arp.sha })
            }
            Payload::NeighbourAdvert(advert) => {
                let (address, mac) = (IpAddr::V6(advert.target), advert.link_layer?);
                if advert.solicited {
                    Some(Seen::Answered { segment, address, mac })
                } else {
                    announced(address, mac)
                }
            }
            _ => None,
        }
    }

    /// The MAC of a virtual router leads to whoever used it last: that is what a switch learns.
    fn note_user(&mut self, mac: MacAddress, user: HostId, record: &mut dyn Recorder) {
        if self.net.owner_of(mac).is_some() || self.users.insert(mac, user) == Some(user) {
            return;
        }
        for place in 0..self.hosts.len() {
            let id = self.hosts[place].id;
            let entries: Vec<_> = self.hosts[place].neighbours.clone().into_iter().collect();
            for ((segment, address), _) in entries.into_iter().filter(|(_, known)| *known == mac) {
                self.tell_neighbour(id, segment, address, mac, record);
            }
        }
    }

    fn tell_neighbour(
        &self,
        id: HostId,
        segment: SegmentId,
        address: IpAddr,
        mac: MacAddress,
        record: &mut dyn Recorder,
    ) {
        let points_to = self.net.owner_of(mac).or_else(|| self.users.get(&mac).copied());
        self.see(id, Seen::Neighbour { segment, address, mac, points_to }, record);
    }
}
