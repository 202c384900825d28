//! Frames of the clients and real servers that are not there, and what is read of those that IPVS
//! sends on.

use std::net::{IpAddr, SocketAddr};

use vipd_sim::ipvs::Segment;

const ETHERNET: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;

pub type Mac = [u8; 6];

/// A frame with a transport header and nothing behind it. Checksums of TCP and UDP are wrong:
/// nobody reads them on the way.
pub fn frame(macs: [Mac; 2], from: SocketAddr, to: SocketAddr, kind: Kind) -> Vec<u8> {
    let transport = transport(from.port(), to.port(), kind);
    let protocol = if let Kind::Datagram = kind { UDP } else { TCP };
    let [source, target] = macs;
    let mut octets = [target, source].concat();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            octets.extend([0x08, 0x00]);
            let length = u16::try_from(20 + transport.len()).expect("short").to_be_bytes();
            let mut head = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
            head.extend(from.octets());
            head.extend(to.octets());
            let sum = checksum(&head).to_be_bytes();
            head[10..12].copy_from_slice(&sum);
            octets.extend(head);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            octets.extend([0x86, 0xdd]);
            let length = u16::try_from(transport.len()).expect("short").to_be_bytes();
            octets.extend([0x60, 0, 0, 0, length[0], length[1], protocol, 64]);
            octets.extend(from.octets());
            octets.extend(to.octets());
        }
        _ => panic!("two families"),
    }
    octets.extend(transport);
    octets
}

/// What a packet is on the wire.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Datagram,
    /// TCP with these flags.
    Tcp(u8),
}

impl Kind {
    pub fn of_client(segment: Segment) -> Self {
        match segment {
            Segment::Datagram => Self::Datagram,
            Segment::Syn => Self::Tcp(0x02),
            Segment::Ack => Self::Tcp(0x10),
            Segment::Fin => Self::Tcp(0x11),
            Segment::Reset => Self::Tcp(0x04),
        }
    }

    pub fn of_server(segment: Segment) -> Self {
        match segment {
            Segment::Syn => Self::Tcp(0x12),
            other => Self::of_client(other),
        }
    }
}

fn transport(from: u16, to: u16, kind: Kind) -> Vec<u8> {
    let mut octets = [from.to_be_bytes(), to.to_be_bytes()].concat();
    match kind {
        Kind::Datagram => octets.extend([0, 8, 0, 0]),
        Kind::Tcp(flags) => {
            octets.extend([0; 8]);
            octets.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
        }
    }
    octets
}

fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A frame that came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub mac: Mac,
    pub from: SocketAddr,
    pub to: SocketAddr,
}

/// `None`: neither TCP nor UDP.
pub fn read(octets: &[u8]) -> Option<Sent> {
    let mac = octets.get(..6)?.try_into().ok()?;
    let packet = octets.get(ETHERNET..)?;
    let (protocol, from, to, transport) = match octets.get(12..14)? {
        [0x08, 0x00] => {
            let address = |at: usize| -> Option<IpAddr> {
                let four: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
                Some(four.into())
            };
            (*packet.get(9)?, address(12)?, address(16)?, packet.get(20..)?)
        }
        [0x86, 0xdd] => {
            let address = |at: usize| -> Option<IpAddr> {
                let sixteen: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                Some(sixteen.into())
            };
            (*packet.get(6)?, address(8)?, address(24)?, packet.get(40..)?)
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(transport.get(at..at + 2)?.try_into().ok()?));
    let is_known = matches!(protocol, TCP | UDP);
    let (from, to) = (SocketAddr::new(from, port(0)?), SocketAddr::new(to, port(2)?));
    is_known.then_some(Sent { mac, from, to })
}
