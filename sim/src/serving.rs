//! What hosts do with segments of TCP: a director sends them on to a real server by its table, a
//! real server answers with a page, a client hears that.
//!
//! A director sends on by direct routing alone: with NAT or a tunnel nothing arrives. A real server
//! keeps no connection: what it answers follows from the segment. Where the table has no
//! destination Linux sends ICMP port unreachable; a reset stands for that here.

use std::net::{IpAddr, SocketAddr};

use vipd_engine::MacAddress;
use vipd_frames::Ethernet;
use vipd_frames::tcp::{Flags, Tcp};
use vipd_scenarios::record::HostId;
use vipd_scenarios::scenario::Conduct;

use crate::host::{Host, HostPort, Outside};
use crate::ipvs::{Flow, Segment, Verdict};

/// The pages: one that is wanted, and another one.
pub(crate) const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
const FAULT: &[u8] = b"HTTP/1.0 500 Model\r\nContent-Length: 0\r\n\r\n";

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
            match self.direct(out.net.now, &flow, segment(tcp.flags)) {
                Verdict::Passed => {}
                Verdict::Forwarded { to, .. } => return self.forward(to.ip(), frame, out),
                Verdict::Refused => return self.reset(port, tcp, out),
                Verdict::Dropped => return,
            }
        }
        match out.servers.conduct(out.net.now, self.id, target) {
            Some(conduct) => self.serve(port, tcp, conduct, out),
            None if is_own => self.reset(port, tcp, out),
            // It is for somebody else, and this is no router.
            None => {}
        }
    }

    /// The frame goes on to this neighbour as it is.
    fn forward(&self, to: IpAddr, frame: &[u8], out: &mut Outside<'_>) {
        let known = self.ports.iter().find_map(|port| {
            let mac = out.net.resolve(port.segment, to);
            out.net.owner_of(mac).map(|_| (*port, mac))
        });
        let Some((port, MacAddress(dst))) = known else { return };
        let Some(MacAddress(src)) = self.kernel.interface(port.index).map(|own| own.mac) else {
            return;
        };
        self.transmit(port, out, |bytes| {
            bytes.extend([dst, src].concat());
            bytes.extend(&frame[dst.len() + src.len()..]);
        });
    }

    fn serve(&self, port: HostPort, tcp: &Tcp<'_>, conduct: Conduct, out: &mut Outside<'_>) {
        let Flags { syn, fin, rst, .. } = tcp.flags;
        let ack = Flags { ack: true, ..Flags::default() };
        let end = Flags { fin: true, ..ack };
        let page = |data: &'static [u8]| (end, data);
        let asked = !tcp.data.is_empty();
        let (flags, data) = match conduct {
            Conduct::Silent | Conduct::Unreachable => return,
            Conduct::Refuses if !rst => return self.reset(port, tcp, out),
            _ if rst => return,
            _ if syn => (Flags { syn: true, ..ack }, &b""[..]),
            _ if fin => (ack, &b""[..]),
            Conduct::Answers if asked => page(PAGE),
            Conduct::Lies if asked => page(FAULT),
            Conduct::Closes if asked => page(b""),
            Conduct::Resets if asked => return self.reset(port, tcp, out),
            // A page that comes an octet at a time is late in any case.
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
