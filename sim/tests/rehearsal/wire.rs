//! What crossed the simulated wires, octet by octet: the capture that `vipsim run --pcap` writes,
//! read by hand. Offsets are those of the RFCs; no codec of the engine or of the frames is at work.

use std::io;
use std::sync::{Arc, Mutex};

/// Offsets in an Ethernet frame.
pub const ETHERNET_DST: usize = 0;
pub const ETHERNET_SRC: usize = 6;
pub const ETHERTYPE: usize = 12;
pub const IP: usize = 14;
/// Offsets in a frame with an IPv4 header (RFC 791 section 3.1).
pub const IPV4_LENGTH: usize = IP + 2;
pub const IPV4_FRAGMENT: usize = IP + 6;
pub const IPV4_TTL: usize = IP + 8;
pub const IPV4_PROTOCOL: usize = IP + 9;
pub const IPV4_SRC: usize = IP + 12;
pub const IPV4_DST: usize = IP + 16;
/// Offsets in a frame with an IPv6 header (RFC 8200 section 3).
pub const IPV6_LENGTH: usize = IP + 4;
pub const IPV6_NEXT: usize = IP + 6;
pub const IPV6_HOPS: usize = IP + 7;
pub const IPV6_SRC: usize = IP + 8;
pub const IPV6_DST: usize = IP + 24;
pub const IPV6_PAYLOAD: usize = IP + 40;
/// The MACs of the groups of VRRP (RFC 1112 section 6.4, RFC 2464 section 7).
pub const GROUP_4: [u8; 6] = [0x01, 0, 0x5e, 0, 0, 0x12];
pub const GROUP_6: [u8; 6] = [0x33, 0x33, 0, 0, 0, 0x12];
/// Where the first field of an ARP packet is (RFC 826).
pub const ARP: usize = 14;

/// IP protocols.
pub const VRRP: u8 = 112;
pub const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Octets that stand at an offset of a frame.
pub type Place<'a> = (usize, &'a [u8]);

/// A capture in memory.
#[derive(Clone, Default)]
pub struct File(Arc<Mutex<Vec<u8>>>);

impl File {
    pub fn octets(&self) -> Vec<u8> {
        self.0.lock().expect("no panic").clone()
    }
}

impl io::Write for File {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a frame did at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Sent,
    Arrived,
    /// It did not come in, or not as it was sent.
    Lost,
}

/// A frame at a port.
#[derive(Clone, Debug)]
pub struct Frame {
    /// World time in nanoseconds.
    pub at: u64,
    /// `HOST/INTERFACE`, or `injected into SEGMENT`.
    pub port: String,
    pub passage: Passage,
    pub octets: Vec<u8>,
}

/// Everything that passed, in order.
pub struct Capture {
    pub frames: Vec<Frame>,
}

impl Capture {
    /// Reads a little-endian pcapng file.
    pub fn read(mut file: &[u8]) -> Self {
        let (mut ports, mut frames) = (Vec::new(), Vec::new());
        while !file.is_empty() {
            let length = u32_at(file, 4) as usize;
            let body = &file[8..length - 4];
            match u32_at(file, 0) {
                0x0a0d_0d0a => assert_eq!(u32_at(body, 0), 0x1a2b_3c4d, "little-endian"),
                1 => {
                    let name = option(&body[8..], 2).expect("a name");
                    ports.push(String::from_utf8(name.to_vec()).expect("text"));
                }
                6 => frames.push(frame(body, &ports)),
                other => panic!("a block of type {other}"),
            }
            file = &file[length..];
        }
        Self { frames }
    }

    /// What a host put on its wires, in order.
    pub fn sent_by(&self, host: &str) -> Vec<&Frame> {
        let own = |frame: &&Frame| frame.host() == host && frame.passage == Passage::Sent;
        self.frames.iter().filter(own).collect()
    }

    /// What a host sent to this MAC, in order.
    pub fn sent_to(&self, host: &str, mac: [u8; 6]) -> Vec<&Frame> {
        let sent = self.sent_by(host).into_iter();
        sent.filter(|frame| frame.octets[..6] == mac).collect()
    }

    /// The adverts, gratuitous ARPs and neighbour advertisements among them.
    pub fn adverts(&self, host: &str) -> Vec<&Frame> {
        self.sent_by(host).into_iter().filter(|frame| frame.is_advert()).collect()
    }

    pub fn gratuitous_arps(&self, host: &str) -> Vec<&Frame> {
        self.sent_by(host).into_iter().filter(|frame| frame.is_gratuitous_arp()).collect()
    }

    pub fn neighbour_advertisements(&self, host: &str) -> Vec<&Frame> {
        let sent = self.sent_by(host).into_iter();
        sent.filter(|frame| frame.is_neighbour_advertisement()).collect()
    }
}

impl Frame {
    pub fn host(&self) -> &str {
        self.port.split('/').next().unwrap_or_default()
    }

    pub fn ethertype(&self) -> u16 {
        u16_at(&self.octets, ETHERTYPE)
    }

    /// IP protocol or next header; `None` if this is no IP.
    pub fn protocol(&self) -> Option<u8> {
        match self.ethertype() {
            0x0800 => Some(self.octets[IPV4_PROTOCOL]),
            0x86dd => Some(self.octets[IPV6_NEXT]),
            _ => None,
        }
    }

    /// What the IP packet carries, as long as its header says.
    pub fn message(&self) -> &[u8] {
        match self.ethertype() {
            0x0800 => {
                let header = usize::from(self.octets[IP] & 0x0f) * 4;
                let length = usize::from(u16_at(&self.octets, IPV4_LENGTH));
                &self.octets[IP + header..IP + length]
            }
            0x86dd => {
                let length = usize::from(u16_at(&self.octets, IPV6_LENGTH));
                &self.octets[IPV6_PAYLOAD..IPV6_PAYLOAD + length]
            }
            other => panic!("no IP: {other:04x}"),
        }
    }

    pub fn is_advert(&self) -> bool {
        self.protocol() == Some(VRRP)
    }

    /// An ARP packet with the same address for both protocol addresses.
    pub fn is_gratuitous_arp(&self) -> bool {
        self.ethertype() == 0x0806 && self.octets[ARP + 14..ARP + 18] == self.octets[ARP + 24..]
    }

    pub fn is_neighbour_advertisement(&self) -> bool {
        self.protocol() == Some(ICMPV6) && self.message()[0] == NEIGHBOUR_ADVERTISEMENT
    }

    /// The target of a neighbour advertisement (RFC 4861 section 4.4).
    pub fn target(&self) -> &[u8] {
        &self.message()[8..24]
    }

    /// The ones-complement sum over the message (RFC 1071): 0xffff if its checksum is right.
    pub fn sum(&self) -> u16 {
        sum(self.message())
    }

    /// The same with the pseudo-header before it (RFC 793 section 3.1, RFC 8200 section 8.1) that
    /// says `next_header`.
    pub fn sum_with_pseudo_header(&self, next_header: u8) -> u16 {
        let ends = match self.ethertype() {
            0x0800 => &self.octets[IPV4_SRC..IPV4_SRC + 8],
            _ => &self.octets[IPV6_SRC..IPV6_SRC + 32],
        };
        let mut covered = ends.to_vec();
        covered.extend((self.message().len() as u32).to_be_bytes());
        covered.extend([0, 0, 0, next_header]);
        covered.extend(self.message());
        sum(&covered)
    }
}

/// Each frame has these octets at their offsets, and there is one at least.
pub fn assert_octets(row: &str, frames: &[&Frame], places: &[Place<'_>]) {
    assert!(!frames.is_empty(), "{row}");
    for frame in frames {
        for (at, octets) in places {
            assert_eq!(&frame.octets[*at..at + octets.len()], *octets, "{row}: offset {at}");
        }
    }
}

fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        u32::from(pair[0]) * 256 + u32::from(low)
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// An enhanced packet block: port, time in two halves, lengths, octets, options.
fn frame(block: &[u8], ports: &[String]) -> Frame {
    let length = u32_at(block, 12) as usize;
    let options = &block[20 + length.next_multiple_of(4)..];
    // The two lowest bits of the flags: 1 is inbound, 2 outbound.
    let flags = option(options, 2).expect("flags")[0] & 3;
    let passage = match (flags, option(options, 1)) {
        (2, None) => Passage::Sent,
        (1, None) => Passage::Arrived,
        (1, Some(_)) => Passage::Lost,
        other => panic!("{other:?}"),
    };
    Frame {
        at: u64::from(u32_at(block, 4)) << 32 | u64::from(u32_at(block, 8)),
        port: ports[u32_at(block, 0) as usize].clone(),
        passage,
        octets: block[20..20 + length].to_vec(),
    }
}

/// The value of an option: code and length in two octets each, and the value, filled up to four.
fn option(mut options: &[u8], wanted: u16) -> Option<&[u8]> {
    while options.len() >= 4 {
        let code = u16::from_le_bytes([options[0], options[1]]);
        let length = usize::from(u16::from_le_bytes([options[2], options[3]]));
        if code == wanted {
            return Some(&options[4..4 + length]);
        }
        options = &options[4 + length.next_multiple_of(4)..];
    }
    None
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

/// In network order.
fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}
