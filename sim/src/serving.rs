//! What hosts do with segments of TCP: a director sends them on to a real server by its table, a
//! real server answers with a page, a client hears that.
//!
//! A director sends on by direct routing alone: with NAT or a tunnel nothing arrives. What a real
//! server answers follows from the segment: it keeps a connection only while a page drips on it
//! ([`crate::dripping`]). Where the table has no destination Linux sends ICMP port unreachable; a
//! reset stands for that here. A host that forwards says nothing of what it could not send on, and
//! leaves the hop limit as it is.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use vipd_engine::MacAddress;
use vipd_frames::tcp::{Flags, Tcp};
use vipd_frames::{Endpoints, Ethernet};
use vipd_scenarios::record::{HostId, WorldTime};
use vipd_scenarios::scenario::Conduct;

use crate::host::{Host, HostPort, Outside};
use crate::ipvs::{Flow, Segment, Verdict};
use crate::network::PortId;

/// The pages: one that is wanted, and another one.
pub(crate) const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
const FAULT: &[u8] = b"HTTP/1.0 500 Model\r\nContent-Length: 0\r\n\r\n";

/// Frames that wait for a MAC (arp(7), `unres_qlen_bytes`), and how long.
const MOST_WAITING: usize = 100;
const WAITS: Duration = Duration::from_secs(3);

/// A frame that a router would send on.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    port: PortId,
    to: IpAddr,
    since: WorldTime,
    frame: Vec<u8>,
}

impl Waiting {
    fn lives(&self, now: WorldTime) -> bool {
        now.since(self.since) < WAITS
    }
}

impl Host {
    /// A segment came in at a port; `frame` is all of it.
    pub(crate) fn on_tcp(
        &mut self,
        port: HostPort,
        tcp: &Tcp<'_>,
        frame: &[u8],
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) {
        if self.on_reply(port, tcp, sender, out) {
            return;
        }
        let target = (tcp.endpoints.dst(), tcp.ports.1);
        let is_own = self.kernel.delivers(target.0);
        if is_own {
            let client = SocketAddr::new(tcp.endpoints.src(), tcp.ports.0);
            let flow = Flow { client, target: SocketAddr::new(target.0, target.1), mark: 0 };
            match self.direct(&flow, segment(tcp.flags), out) {
                Verdict::Passed => {}
                Verdict::Forwarded { to, .. } => return self.forward(to.ip(), frame, out),
                Verdict::Refused => return self.reset(port, tcp, out),
                Verdict::Dropped => return,
            }
        }
        match out.servers.conduct(out.net.now, self.id, target) {
            Some(conduct) => self.serve(port, tcp, conduct, out),
            None if is_own => self.reset(port, tcp, out),
            None if self.forwards => self.route(port, target.0, frame, out),
            // It is for somebody else, and this is no router.
            None => {}
        }
    }

    /// A frame for a neighbour at the same port, as `ip_forward` has it. Until its MAC is known it
    /// waits here.
    fn route(&mut self, port: HostPort, to: IpAddr, frame: &[u8], out: &mut Outside<'_>) {
        if let Some(dst) = self.kernel.neighbour(port.index, to) {
            return self.send_on(port, dst, frame, out);
        }
        if self.waiting.len() < MOST_WAITING {
            let (since, frame) = (out.net.now, frame.to_vec());
            self.waiting.push(Waiting { port: port.id, to, since, frame });
        }
        let mut own = self.kernel.addresses(port.index).iter();
        if let Some(ends) = own.find_map(|own| Endpoints::new(*own, to)) {
            self.resolve(port, ends, out);
        }
    }

    /// The MAC of a neighbour is known: what waits for it leaves.
    pub(crate) fn route_resolved(&mut self, port: HostPort, to: IpAddr, out: &mut Outside<'_>) {
        let Some(dst) = self.kernel.neighbour(port.index, to) else { return };
        let is_meant = |one: &mut Waiting| one.port == port.id && one.to == to;
        let meant: Vec<_> = self.waiting.extract_if(.., is_meant).collect();
        let now = out.net.now;
        for Waiting { frame, .. } in meant.iter().filter(|one| one.lives(now)) {
            self.send_on(port, dst, frame, out);
        }
    }

    /// Whether frames wait for the MAC of an address.
    pub(crate) fn routes_to(&self, port: HostPort, to: IpAddr, now: WorldTime) -> bool {
        self.waiting.iter().any(|one| one.port == port.id && one.to == to && one.lives(now))
    }

    /// The frame goes on to this neighbour as it is.
    fn forward(&self, to: IpAddr, frame: &[u8], out: &mut Outside<'_>) {
        let known = self.ports.iter().find_map(|port| {
            let mac = out.net.resolve(port.segment, to);
            out.net.owner_of(mac).map(|_| (*port, mac))
        });
        if let Some((port, dst)) = known {
            self.send_on(port, dst, frame, out);
        }
    }

    fn send_on(&self, port: HostPort, dst: MacAddress, frame: &[u8], out: &mut Outside<'_>) {
        let Some(src) = self.kernel.interface(port.index).map(|own| own.mac) else { return };
        let (MacAddress(src), MacAddress(dst)) = (src, dst);
        self.transmit(port, out, |bytes| {
            bytes.extend([dst, src].concat());
            bytes.extend(&frame[dst.len() + src.len()..]);
        });
    }

    fn serve(&mut self, port: HostPort, tcp: &Tcp<'_>, conduct: Conduct, out: &mut Outside<'_>) {
        let Flags { syn, fin, rst, .. } = tcp.flags;
        let ack = Flags { ack: true, ..Flags::default() };
        let end = Flags { fin: true, ..ack };
        let page = |data: &'static [u8]| (end, data);
        let asked = !tcp.data.is_empty();
        let (flags, data) = match conduct {
            Conduct::Silent | Conduct::Unreachable => return,
            Conduct::Refuses if !rst => return self.reset(port, tcp, out),
            _ if self.drips.hear(tcp) || rst => return,
            _ if syn => (Flags { syn: true, ..ack }, &b""[..]),
            _ if fin => (ack, &b""[..]),
            Conduct::Answers if asked => page(PAGE),
            Conduct::Lies if asked => page(FAULT),
            Conduct::Closes if asked => page(b""),
            Conduct::Resets if asked => return self.reset(port, tcp, out),
            Conduct::Drips { every } if asked => {
                self.begin_drip(port, tcp, every, out);
                (ack, &b""[..])
            }
            _ => return,
        };
        self.reply(port, tcp, flags, data, out);
    }

    /// There is no such connection (RFC 9293 section 3.5.2).
    fn reset(&self, port: HostPort, tcp: &Tcp<'_>, out: &mut Outside<'_>) {
        if !tcp.flags.rst {
            let flags = Flags { rst: true, ack: true, ..Flags::default() };
            self.reply(port, tcp, flags, b"", out);
        }
    }

    fn reply(
        &self,
        port: HostPort,
        tcp: &Tcp<'_>,
        flags: Flags,
        data: &[u8],
        out: &mut Outside<'_>,
    ) {
        let reply = Tcp {
            endpoints: tcp.endpoints.reversed(),
            ports: (tcp.ports.1, tcp.ports.0),
            flags,
            sequence: tcp.acknowledged,
            acknowledged: tcp.sequence.wrapping_add(tcp.length()),
            data,
        };
        let dst = out.net.resolve(port.segment, reply.endpoints.dst());
        let Some(src) = self.kernel.interface(port.index).map(|own| own.mac) else { return };
        self.transmit(port, out, |bytes| reply.emit(Ethernet { src, dst }, bytes));
    }
}

const fn segment(flags: Flags) -> Segment {
    match flags {
        Flags { rst: true, .. } => Segment::Reset,
        Flags { syn: true, .. } => Segment::Syn,
        Flags { fin: true, .. } => Segment::Fin,
        _ => Segment::Ack,
    }
}
