//! Frames as octets: what the suite puts on the wire, and what it reads from it.
//!
//! The arithmetic is the suite's own (RFC 791, 1071, 3768, 5798, 8200). It shares no line with the
//! engine's codec, or a mistake of that codec would be blessed here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP protocol number of VRRP.
pub(super) const VRRP: u8 = 112;
/// IP protocol number of UDP.
pub(super) const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// `224.0.0.18`.
pub(super) const GROUP4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
/// `ff02::12`.
pub(super) const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
/// `ff02::1`.
pub(super) const ALL_NODES: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));

/// A MAC address.
pub(super) type Mac = [u8; 6];
pub(super) const BROADCAST: Mac = [0xff; 6];

/// Over what the checksum of an advert is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// The message alone.
    Message,
    /// The message behind the pseudo-header of its IP version.
    Pseudo,
}

/// An advert's fields.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    /// Whole seconds in version 2, centiseconds in version 3.
    pub interval: u16,
    pub addresses: Vec<IpAddr>,
    pub sum: Sum,
    /// The password of authentication type 1 of version 2.
    pub password: Option<String>,
}

impl Message {
    /// As octets, with the checksum for this source and destination.
    pub(super) fn octets(&self, src: IpAddr, dst: IpAddr) -> Vec<u8> {
        let count = self.addresses.len().min(255) as u8;
        let mut octets = vec![self.version << 4 | 1, self.vrid, self.priority, count];
        if self.version == 2 {
            octets.extend([u8::from(self.password.is_some()), self.interval as u8]);
        } else {
            octets.extend(self.interval.to_be_bytes());
        }
        octets.extend([0, 0]);
        for address in &self.addresses {
            octets.extend(raw(*address));
        }
        if self.version == 2 {
            let mut data = [0; 8];
            let text = self.password.as_deref().unwrap_or_default().as_bytes();
            data[..text.len()].copy_from_slice(text);
            octets.extend(data);
        }
        let sum = checksum(&octets, (self.sum == Sum::Pseudo).then_some((src, dst, VRRP)));
        octets[6..8].copy_from_slice(&sum.to_be_bytes());
        octets
    }
}

/// The checksum of RFC 1071 that makes these octets right, its own field taken as it stands.
pub(super) fn checksum(octets: &[u8], pseudo: Option<(IpAddr, IpAddr, u8)>) -> u16 {
    let mut whole = Vec::new();
    if let Some((src, dst, protocol)) = pseudo {
        whole.extend(raw(src));
        whole.extend(raw(dst));
        let length = octets.len() as u32;
        if src.is_ipv4() {
            whole.extend([0, protocol]);
            whole.extend((length as u16).to_be_bytes());
        } else {
            whole.extend(length.to_be_bytes());
            whole.extend([0, 0, 0, protocol]);
        }
    }
    whole.extend(octets);
    let words = whole
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An address as octets.
pub(super) fn raw(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The MAC of a multicast address (RFC 1112 6.4, RFC 2464 7).
pub(super) fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let octets = group.octets();
            [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]
        }
    }
}

/// The solicited-node group of an address (RFC 4291 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> IpAddr {
    let [.., a, b, c] = address.octets();
    let low = u16::from_be_bytes([b, c]);
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low))
}

/// An IP header that the suite sends; the rest of it is what most senders have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// TTL or Hop Limit.
    pub ttl: u8,
    pub protocol: u8,
    /// TOS or Traffic Class.
    pub class: u8,
    pub dont_fragment: bool,
    /// Four octets of no-operation options (IPv4 only).
    pub options: bool,
}

impl Header {
    pub(super) const fn new(src: IpAddr, dst: IpAddr, protocol: u8) -> Self {
        let (ttl, class, dont_fragment, options) = (255, 0xc0, false, false);
        Self { src, dst, ttl, protocol, class, dont_fragment, options }
    }

    fn octets(&self, payload: &[u8]) -> Vec<u8> {
        let mut octets = Vec::new();
        if self.src.is_ipv4() {
            let words: u8 = if self.options { 6 } else { 5 };
            let length = u16::from(words) * 4 + payload.len() as u16;
            octets.extend([0x40 | words, self.class]);
            octets.extend(length.to_be_bytes());
            octets.extend([0, 0, u8::from(self.dont_fragment) << 6, 0]);
            octets.extend([self.ttl, self.protocol, 0, 0]);
            octets.extend(raw(self.src));
            octets.extend(raw(self.dst));
            if self.options {
                octets.extend([1, 1, 1, 1]);
            }
            let sum = checksum(&octets, None);
            octets[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            octets.extend([0x60 | self.class >> 4, self.class << 4, 0, 0]);
            octets.extend((payload.len() as u16).to_be_bytes());
            octets.extend([self.protocol, self.ttl]);
            octets.extend(raw(self.src));
            octets.extend(raw(self.dst));
        }
        octets.extend(payload);
        octets
    }
}

/// A whole frame around an IP payload.
pub(super) fn packet(dst: Mac, src: Mac, header: &Header, payload: &[u8]) -> Vec<u8> {
    let kind: u16 = if header.src.is_ipv4() { 0x0800 } else { 0x86dd };
    ethernet(dst, src, kind, &header.octets(payload))
}

pub(super) fn ethernet(dst: Mac, src: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [dst.as_slice(), &src, &kind.to_be_bytes(), payload].concat();
    // The shortest frame of Ethernet, without its check sequence.
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An ARP message (RFC 826) in a frame.
pub(super) fn arp(
    (eth_dst, eth_src): (Mac, Mac),
    operation: u8,
    (sha, spa): (Mac, Ipv4Addr),
    (tha, tpa): (Mac, Ipv4Addr),
) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, operation];
    let parts = [&fixed[..], &sha, &spa.octets(), &tha, &tpa.octets()].concat();
    ethernet(eth_dst, eth_src, 0x0806, &parts)
}

/// Who has this address? Asked by broadcast.
pub(super) fn who_has((mac, own): (Mac, Ipv4Addr), wanted: Ipv4Addr) -> Vec<u8> {
    arp((BROADCAST, mac), 1, (mac, own), ([0; 6], wanted))
}

/// An echo request of a host, to whatever MAC.
pub(super) fn echo_request(dst_mac: Mac, src_mac: Mac, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let (kind, protocol) = if src.is_ipv4() { (8, ICMP) } else { (128, ICMPV6) };
    let payload = icmp(&[kind, 0, 0, 0, 0x12, 0x34, 0, 1, 1, 2, 3, 4], src, dst);
    packet(
        dst_mac,
        src_mac,
        &Header { ttl: 64, class: 0, ..Header::new(src, dst, protocol) },
        &payload,
    )
}

/// An ICMP message with its checksum.
fn icmp(message: &[u8], src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = checksum(&message, src.is_ipv6().then_some((src, dst, ICMPV6)));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A neighbour solicitation by multicast (RFC 4861 4.3).
pub(super) fn solicit(src_mac: Mac, src: IpAddr, target: Ipv6Addr) -> Vec<u8> {
    let dst = solicited_node(target);
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &src_mac].concat();
    let payload = icmp(&message, src, dst);
    packet(group_mac(dst), src_mac, &Header::new(src, dst, ICMPV6), &payload)
}

/// A neighbour advertisement (RFC 4861 4.4) with these flags.
pub(super) fn advertise(
    (dst_mac, src_mac): (Mac, Mac),
    (src, dst): (IpAddr, IpAddr),
    flags: u8,
    target: Ipv6Addr,
) -> Vec<u8> {
    let message = [&[136, 0, 0, 0, flags, 0, 0, 0][..], &target.octets(), &[2, 1], &src_mac];
    let payload = icmp(&message.concat(), src, dst);
    packet(dst_mac, src_mac, &Header::new(src, dst, ICMPV6), &payload)
}

/// A UDP datagram of four octets, without a checksum in IPv4.
pub(super) fn datagram(dst_mac: Mac, src_mac: Mac, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let mut payload = vec![0x30, 0x39, 0x30, 0x39, 0, 12, 0, 0, b'v', b'i', b'p', b'!'];
    if src.is_ipv6() {
        let sum = checksum(&payload, Some((src, dst, UDP)));
        payload[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    packet(dst_mac, src_mac, &Header { ttl: 64, class: 0, ..Header::new(src, dst, UDP) }, &payload)
}

/// A frame as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub dst: Mac,
    pub src: Mac,
    pub kind: u16,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(super) fn read(octets: &'a [u8]) -> Option<Self> {
        let (dst, rest) = octets.split_first_chunk::<6>()?;
        let (src, rest) = rest.split_first_chunk::<6>()?;
        let (kind, payload) = rest.split_first_chunk::<2>()?;
        Some(Self { dst: *dst, src: *src, kind: u16::from_be_bytes(*kind), payload })
    }

    /// Its IP packet.
    pub(super) fn ip(&self) -> Option<Packet<'a>> {
        match self.kind {
            0x0800 => Packet::v4(self.payload),
            0x86dd => Packet::v6(self.payload),
            _ => None,
        }
    }

    /// Its ARP message for IPv4 over Ethernet.
    pub(super) fn arp(&self) -> Option<Arp<'a>> {
        if self.kind != 0x0806 || self.payload.len() < 28 {
            return None;
        }
        let octets = &self.payload[..28];
        let mac = |at: usize| octets[at..at + 6].try_into().unwrap_or_default();
        let ip =
            |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
        Some(Arp {
            octets,
            operation: octets[7],
            sha: mac(8),
            spa: ip(14),
            tha: mac(18),
            tpa: ip(24),
        })
    }
}

/// An ARP message as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arp<'a> {
    pub octets: &'a [u8],
    pub operation: u8,
    pub sha: Mac,
    pub spa: Ipv4Addr,
    pub tha: Mac,
    pub tpa: Ipv4Addr,
}

/// An IP packet as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    pub protocol: u8,
    /// It is a part of something longer, or may be followed by such a part.
    pub fragment: bool,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    fn v4(octets: &'a [u8]) -> Option<Self> {
        let first = *octets.first()?;
        let header = usize::from(first & 15) * 4;
        let length = usize::from(u16::from_be_bytes(*octets.get(2..)?.first_chunk()?));
        let fragment = u16::from_be_bytes(*octets.get(6..)?.first_chunk()?) & 0x3fff != 0;
        let src = Ipv4Addr::from(*octets.get(12..)?.first_chunk::<4>()?);
        let dst = Ipv4Addr::from(*octets.get(16..)?.first_chunk::<4>()?);
        (first >> 4 == 4).then_some(())?;
        Some(Self {
            src: src.into(),
            dst: dst.into(),
            ttl: octets[8],
            protocol: octets[9],
            fragment,
            payload: octets.get(header..length)?,
        })
    }

    fn v6(octets: &'a [u8]) -> Option<Self> {
        let length = usize::from(u16::from_be_bytes(*octets.get(4..)?.first_chunk()?));
        let src = Ipv6Addr::from(*octets.get(8..)?.first_chunk::<16>()?);
        let dst = Ipv6Addr::from(*octets.get(24..)?.first_chunk::<16>()?);
        (octets[0] >> 4 == 6).then_some(())?;
        Some(Self {
            src: src.into(),
            dst: dst.into(),
            ttl: octets[7],
            protocol: octets[6],
            fragment: octets[6] == 44,
            payload: octets.get(40..40 + length)?,
        })
    }

    /// Its ICMPv6 type and message, if it is one.
    pub(super) fn icmp6(&self) -> Option<(u8, &'a [u8])> {
        (self.protocol == ICMPV6).then_some((*self.payload.first()?, self.payload))
    }

    /// Its ICMP type, in either version.
    pub(super) fn icmp(&self) -> Option<u8> {
        matches!((self.protocol, self.src.is_ipv4()), (ICMP, true) | (ICMPV6, false))
            .then_some(*self.payload.first()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        let octet = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(octet).collect()
    }

    fn message(version: u8, sum: Sum, addresses: &[&str]) -> Message {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        let interval = if version == 2 { 1 } else { 100 };
        Message { version, vrid: 51, priority: 150, interval, addresses, sum, password: None }
    }

    /// What deployed routers put on the wire.
    #[test]
    fn adverts_are_those_that_deployed_routers_send() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (a, ours) = (ip("10.99.0.1"), ["10.99.0.10"]);
        let v2 = message(2, Sum::Message, &ours).octets(a, GROUP4);
        assert_eq!(v2, hex("21339601 00013e5d 0a63000a 00000000 00000000"));
        let v3 = message(3, Sum::Pseudo, &ours).octets(a, GROUP4);
        assert_eq!(v3, hex("31339601 00644307 0a63000a"));
        let six = message(3, Sum::Pseudo, &["fe80::10", "fd00:99::10"]);
        let six = six.octets(ip("fe80::ff:fe00:990a"), GROUP6);
        assert_eq!(six[..8], hex("31339602 0064a5f2"));
        let pass = Message {
            password: Some("s3cr3t".to_owned()),
            ..message(2, Sum::Message, &["192.0.2.10"])
        };
        let pass = pass.octets(ip("192.0.2.2"), GROUP4);
        assert_eq!(pass, hex("21339601 01017ba5 c000020a 73336372 33740000"));
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let (src, dst) = ("10.0.0.1".parse().expect("ip"), GROUP4);
        let header = Header { options: true, ..Header::new(src, dst, VRRP) };
        let frame = packet(group_mac(dst), [2; 6], &header, &[1, 2, 3, 4]);
        assert_eq!(frame.len(), 60, "short frames are padded");
        let read = Frame::read(&frame).and_then(|frame| frame.ip()).expect("an IP packet");
        assert_eq!(
            (read.src, read.dst, read.ttl, read.payload),
            (src, dst, 255, &[1, 2, 3, 4][..])
        );
        assert_eq!(frame[..6], [1, 0, 0x5e, 0, 0, 0x12]);
        assert_eq!(solicited_node("fe80::10".parse().expect("ip")).to_string(), "ff02::1:ff00:10");
    }
}
