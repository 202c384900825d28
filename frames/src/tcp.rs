//! Segments of TCP (RFC 9293 section 3.1) in whole frames: what users of a virtual server send.
//!
//! Connections are not followed here. Options are passed over and never sent.

use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::util;

use crate::decode::{Datagram, datagram};
use crate::encode::{ETHERNET_LEN, IpHeader, ip_frame};
use crate::packet::{Endpoints, Ethernet};

/// Octets of a header without options.
const HEADER_LEN: usize = 20;
/// Where the checksum stands in a segment, and in a datagram of UDP (RFC 768).
const TCP_CHECKSUM_AT: usize = 16;
const UDP_CHECKSUM_AT: usize = 6;
/// What a sender of few octets may always be sent.
const WINDOW: u16 = 0xffff;
const TTL: u8 = 64;
/// Beyond any segment: no word is left out of the sum.
const NO_WORD: usize = usize::MAX;

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Source and destination.
    pub endpoints: Endpoints,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// Its control bits.
    pub flags: Flags,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; it counts with [`Flags::ack`].
    pub acknowledged: u32,
    /// Data.
    pub data: &'a [u8],
}

/// Control bits of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// No more data from the sender.
    pub fin: bool,
    /// A connection begins.
    pub syn: bool,
    /// A connection is ended at once, or there is none.
    pub rst: bool,
    /// The acknowledgment number counts.
    pub ack: bool,
}

impl Flags {
    const BITS: [u8; 4] = [0x01, 0x02, 0x04, 0x10];

    fn octet(self) -> u8 {
        let set = [self.fin, self.syn, self.rst, self.ack].into_iter().zip(Self::BITS);
        set.filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum()
    }

    const fn of(octet: u8) -> Self {
        let [fin, syn, rst, ack] = Self::BITS;
        Self {
            fin: octet & fin != 0,
            syn: octet & syn != 0,
            rst: octet & rst != 0,
            ack: octet & ack != 0,
        }
    }
}

impl Tcp<'_> {
    /// Appends the whole frame.
    pub fn emit(&self, ethernet: Ethernet, out: &mut Vec<u8>) {
        let ip = IpHeader {
            endpoints: self.endpoints,
            protocol: IpNextHeaderProtocols::Tcp.0,
            ttl: TTL,
            traffic_class: 0,
            identification: 0,
        };
        ip_frame(&ethernet, &ip, out, |out| {
            let start = out.len();
            out.extend_from_slice(&self.ports.0.to_be_bytes());
            out.extend_from_slice(&self.ports.1.to_be_bytes());
            out.extend_from_slice(&self.sequence.to_be_bytes());
            out.extend_from_slice(&self.acknowledged.to_be_bytes());
            out.extend_from_slice(&[(HEADER_LEN as u8 / 4) << 4, self.flags.octet()]);
            out.extend_from_slice(&WINDOW.to_be_bytes());
            // Checksum and urgent pointer.
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(self.data);
            let sum = sum(self.endpoints, IpNextHeaderProtocols::Tcp, &out[start..]);
            out[start + TCP_CHECKSUM_AT..][..2].copy_from_slice(&sum.to_be_bytes());
        });
    }

    /// How far its sequence number moves on: its data, and one each for SYN and FIN.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.data.len() as u32 + u32::from(self.flags.syn) + u32::from(self.flags.fin)
    }
}

/// Reads a frame that carries a segment whose checksum is right. `None`: it is something else.
#[must_use]
pub fn decode(frame: &[u8]) -> Option<(Ethernet, Tcp<'_>)> {
    if !may_be_tcp(frame) {
        return None;
    }
    let (ethernet, datagram) = datagram(frame).ok()?;
    let Datagram { endpoints, protocol, message, .. } = datagram;
    if protocol != IpNextHeaderProtocols::Tcp || sum(endpoints, protocol, message) != 0 {
        return None;
    }
    let header = message.first_chunk::<HEADER_LEN>()?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, ..] = *header;
    let data = message.get(usize::from(offset >> 4).max(HEADER_LEN / 4) * 4..)?;
    let tcp = Tcp {
        endpoints,
        ports: (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])),
        flags: Flags::of(flags),
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        acknowledged: u32::from_be_bytes([a0, a1, a2, a3]),
        data,
    };
    Some((ethernet, tcp))
}

/// Whether the protocol field of the IP header says so, before anything of it is checked: most
/// frames are something else.
fn may_be_tcp(frame: &[u8]) -> bool {
    let protocol_at = match frame.get(12..ETHERNET_LEN) {
        Some([0x08, 0x00]) => 9,
        Some([0x86, 0xdd]) => 6,
        _ => return false,
    };
    frame.get(ETHERNET_LEN + protocol_at) == Some(&IpNextHeaderProtocols::Tcp.0)
}

/// Does what a kernel left to its network card: of TCP and UDP it puts the sum of the pseudo-header
/// into the checksum field, and the card adds the rest. A frame whose field holds anything else
/// stays as it is, right or wrong.
pub fn finish_checksum(frame: &mut [u8]) {
    let Ok((_, datagram)) = datagram(frame) else { return };
    let Datagram { endpoints, protocol, message, .. } = datagram;
    let at = match protocol {
        IpNextHeaderProtocols::Tcp => TCP_CHECKSUM_AT,
        IpNextHeaderProtocols::Udp => UDP_CHECKSUM_AT,
        _ => return,
    };
    // The sum of a pseudo-header alone, for a message of as many octets.
    let left = !sum(endpoints, protocol, &vec![0; message.len()]);
    if message.get(at..at + 2) != Some(&left.to_be_bytes()) {
        return;
    }
    let mut whole = message.to_vec();
    whole[at..at + 2].fill(0);
    let sum = match sum(endpoints, protocol, &whole) {
        // In UDP zero says that there is none.
        0 if protocol == IpNextHeaderProtocols::Udp => 0xffff,
        sum => sum,
    };
    // The IP packet may be followed by padding of the frame.
    let start = message.as_ptr() as usize - frame.as_ptr() as usize;
    frame[start + at..][..2].copy_from_slice(&sum.to_be_bytes());
}

/// 0 over a message whose checksum is in place and right (RFC 1071).
fn sum(endpoints: Endpoints, protocol: IpNextHeaderProtocol, message: &[u8]) -> u16 {
    match endpoints {
        Endpoints::V4 { src, dst } => {
            util::ipv4_checksum(message, NO_WORD, &[], &src, &dst, protocol)
        }
        Endpoints::V6 { src, dst } => {
            util::ipv6_checksum(message, NO_WORD, &[], &src, &dst, protocol)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use vipd_engine::MacAddress;

    use super::*;

    const ETHERNET: Ethernet =
        Ethernet { src: MacAddress([2, 0, 0, 0, 0, 1]), dst: MacAddress([2, 0, 0, 0, 0, 2]) };

    fn segment(client: &str, server: &str, data: &'static [u8]) -> Tcp<'static> {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        Tcp {
            endpoints: Endpoints::new(address(client), address(server)).expect("one family"),
            ports: (49152, 80),
            flags: Flags { syn: true, ack: true, ..Flags::default() },
            sequence: 0x0102_0304,
            acknowledged: 7,
            data,
        }
    }

    fn both() -> [Tcp<'static>; 2] {
        [
            segment("192.0.2.10", "192.0.2.100", b"odd"),
            segment("2001:db8::10", "2001:db8::100", b"even"),
        ]
    }

    #[test]
    fn what_is_built_is_read_back_in_either_family_and_no_damaged_octet_passes() {
        for sent in both() {
            let mut frame = Vec::new();
            sent.emit(ETHERNET, &mut frame);
            assert_eq!(decode(&frame), Some((ETHERNET, sent)));
            for place in 14..frame.len() {
                let mut damaged = frame.clone();
                damaged[place] ^= 0x10;
                if let Some((_, read)) = decode(&damaged) {
                    // What no checksum covers: type of service, label, hop limit.
                    assert_eq!(read, sent, "octet {place}");
                }
            }
            assert_eq!(decode(&frame[..frame.len() - 1]), None);
        }
    }

    #[test]
    fn a_segment_of_another_maker_is_read() {
        // A SYN with options that Linux sent from 127.0.0.1:38442 to 127.0.0.1:8000.
        let frame = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 0, 0, 0x3c, 0x5b, 0x5e, 0x40, 0, 0x40,
            6, 0xe1, 0x5b, 127, 0, 0, 1, 127, 0, 0, 1, 0x96, 0x2a, 0x1f, 0x40, 0x5c, 0x2e, 0xd7,
            0x6b, 0, 0, 0, 0, 0xa0, 2, 0xff, 0xd7, 0xfe, 0x30, 0, 0, 2, 4, 0xff, 0xd7, 4, 2, 8,
            0x0a, 0x6b, 0x4b, 0xb1, 0x66, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        // Over loopback its checksum is left to a card that is not there.
        assert_eq!(decode(&frame), None);
        let mut finished = frame;
        finish_checksum(&mut finished);
        let (_, read) = decode(&finished).expect("a segment");
        assert_eq!(read.ports, (38442, 8000));
        assert_eq!(read.flags, Flags { syn: true, ..Flags::default() });
        assert_eq!((read.sequence, read.data), (0x5c2e_d76b, &b""[..]));
    }

    #[test]
    fn a_checksum_that_is_left_to_the_card_is_finished_and_no_other_is_touched() {
        for sent in both() {
            let mut whole = Vec::new();
            sent.emit(ETHERNET, &mut whole);
            let (_, found) = datagram(&whole).expect("IP");
            let start = whole.len() - found.message.len();
            let left = !sum(sent.endpoints, found.protocol, &vec![0; found.message.len()]);
            let mut frame = whole.clone();
            frame[start + TCP_CHECKSUM_AT..][..2].copy_from_slice(&left.to_be_bytes());
            // Ethernet pads short frames.
            frame.extend([0xaa; 6]);
            finish_checksum(&mut frame);
            assert_eq!(frame[..whole.len()], whole);
            let mut wrong = whole.clone();
            wrong[start + TCP_CHECKSUM_AT] ^= 1;
            let before = wrong.clone();
            finish_checksum(&mut wrong);
            assert_eq!(wrong, before);
        }
    }
}
