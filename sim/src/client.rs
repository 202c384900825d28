//! A host that asks for a virtual address at an interval: what its users see of an outage.
//!
//! It resolves the address once, by ARP or neighbour solicitation, and believes the entry until
//! another one replaces it. A question that is not answered before the next one is lost.

use std::net::IpAddr;

use vipd_frames::{Echo, Endpoints, Ethernet, echo, neighbour};
use vipd_scenarios::record::{HostId, Seen, WorldTime};
use vipd_scenarios::scenario::Probe;

use crate::host::{Host, HostPort, Outside};
use crate::network::Due;

/// TTL and hop limit of a question.
const TTL: u8 = 64;

/// A client and the question that is open.
pub(crate) struct Client {
    pub(crate) probe: Probe,
    /// Place among its host's ports.
    pub(crate) port: usize,
    pub(crate) ends: Endpoints,
    sequence: u16,
    open: Option<Question>,
}

#[derive(Clone, Copy)]
struct Question {
    asked: WorldTime,
    /// It waits for the neighbour's MAC.
    unresolved: bool,
}

impl Client {
    /// A client at this port of its host. `ends` are its own address and the virtual one.
    pub(crate) const fn new(probe: Probe, port: usize, ends: Endpoints) -> Self {
        Self { probe, port, ends, sequence: 0, open: None }
    }

    /// Nobody waits for an answer any more.
    pub(crate) const fn reboot(&mut self) {
        self.open = None;
    }
}

impl Host {
    /// The last question is over, the next one is asked.
    pub(crate) fn on_probe(&mut self, out: &mut Outside<'_>) {
        let running = self.is_running();
        let Some(client) = &mut self.client else { return };
        let now = out.net.now;
        out.net.queue.push(now.later(client.probe.every), Due::Probe { host: self.id });
        let address = client.probe.address;
        let lost = client.open.take();
        if running {
            client.sequence = client.sequence.wrapping_add(1);
            client.open = Some(Question { asked: now, unresolved: true });
        }
        let port = self.ports[client.port];
        let ends = client.ends;
        if let Some(question) = lost {
            self.see(Seen::Probe { address, sent: question.asked, answered_by: None }, out);
        }
        if !running || !self.kernel.passes(port.index) {
            return;
        }
        if self.kernel.neighbour(port.index, address).is_some() {
            self.on_resolved(port, address, out);
        } else {
            self.resolve(port, ends, out);
        }
    }

    /// Asks for the MAC of the other end.
    pub(crate) fn resolve(&self, port: HostPort, ends: Endpoints, out: &mut Outside<'_>) {
        let Some(own) = self.kernel.interface(port.index).map(|port| port.mac) else { return };
        self.transmit(port, out, |bytes| match ends {
            Endpoints::V4 { src, dst } => neighbour::arp_request(own, src, dst, bytes),
            Endpoints::V6 { src, dst } => {
                neighbour::neighbour_solicitation(own, src, dst, bytes);
            }
        });
    }

    /// Whether this host asked for the MAC of an address.
    pub(crate) fn awaits(&self, port: HostPort, address: IpAddr) -> bool {
        let probes = self.client.as_ref().is_some_and(|client| {
            self.ports[client.port].id == port.id
                && client.probe.address == address
                && client.open.is_some_and(|question| question.unresolved)
        });
        probes || self.user.as_ref().is_some_and(|user| user.awaits(self, port, address))
    }

    /// The MAC of an address is known: the question that waits for it leaves.
    pub(crate) fn on_resolved(&mut self, port: HostPort, address: IpAddr, out: &mut Outside<'_>) {
        self.connect_resolved(port, address, out);
        let is_meant = self.client.as_ref().is_some_and(|client| {
            self.ports[client.port].id == port.id && client.probe.address == address
        });
        if !is_meant {
            return;
        }
        let own = self.kernel.interface(port.index).map(|interface| interface.mac);
        let (Some(client), Some(src), Some(dst)) =
            (&mut self.client, own, self.kernel.neighbour(port.index, address))
        else {
            return;
        };
        match &mut client.open {
            Some(question) if question.unresolved => question.unresolved = false,
            Some(_) | None => return,
        }
        let (sequence, endpoints) = (client.sequence, client.ends);
        let request = Echo { endpoints, ttl: TTL, id: self.id.0, sequence, data: &[] };
        self.transmit(port, out, |bytes| {
            echo::echo_request(Ethernet { src, dst }, &request, bytes);
        });
    }

    pub(crate) fn on_echo_reply(
        &mut self,
        reply: &Echo<'_>,
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) {
        let id = self.id.0;
        let Some(client) = &mut self.client else { return };
        if reply.id != id || reply.sequence != client.sequence {
            return;
        }
        let address = client.probe.address;
        if let Some(question) = client.open.take() {
            self.see(Seen::Probe { address, sent: question.asked, answered_by: sender }, out);
        }
    }
}
