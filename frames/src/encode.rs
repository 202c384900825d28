//! From the engine's frames, and from hand-made VRRP messages, to octets. What hosts other than
//! VRRP routers send is in [`crate::neighbour`] and [`crate::echo`]; reading is in `decode`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::ethernet::{EtherType, EtherTypes};
use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_packet::ipv6::MutableIpv6Packet;
use vipd_engine::vrrp::advert::IP_PROTOCOL;
use vipd_engine::{AdvertFrame, Announcement, Frame, MacAddress};

use crate::neighbour;
use crate::packet::{Arp, ArpOperation, Endpoints, Ethernet, NeighbourAdvert};

/// Octets of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;
/// Octets of an IPv4 header without options.
pub(crate) const IPV4_LEN: usize = 20;
/// Octets of an IPv6 header.
pub(crate) const IPV6_LEN: usize = 40;
/// Class selector 6, network control, which keepalived and FRR put on their adverts. No RFC asks
/// for it.
const NETWORK_CONTROL: u8 = 0xc0;
/// ff02::1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The fields of an IP header that a sender chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Source and destination.
    pub endpoints: Endpoints,
    /// IP protocol or next header.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// IPv4 identification. Not used in IPv6.
    pub identification: u16,
}

impl IpHeader {
    /// The header of an advert, as keepalived and FRR fill it.
    #[must_use]
    pub const fn vrrp(endpoints: Endpoints, ttl: u8, identification: u16) -> Self {
        let traffic_class = NETWORK_CONTROL;
        Self { endpoints, protocol: IP_PROTOCOL, ttl, traffic_class, identification }
    }
}

/// Appends the whole Ethernet frame of an engine's output to `out`.
///
/// `dst` is the receiver's MAC and is used for a unicast IP destination only: the MAC of a group is
/// derived from it. `identification` goes into an IPv4 header. An advert whose source and
/// destination are of different families appends nothing: it cannot be sent.
pub fn encode(frame: &Frame, dst: MacAddress, identification: u16, out: &mut Vec<u8>) {
    match frame {
        Frame::Advert(frame) => advert(frame, dst, identification, out),
        Frame::GratuitousArp(announcement) | Frame::UnsolicitedNa(announcement) => {
            announce(*announcement, out);
        }
    }
}

/// Appends a frame with any message in an IP packet to `out`: a VRRP message that no engine would
/// send. Of a message beyond 65,515 octets the IP header states what it can.
pub fn encode_raw(ethernet: Ethernet, ip: &IpHeader, message: &[u8], out: &mut Vec<u8>) {
    ip_frame(&ethernet, ip, out, |out| out.extend_from_slice(message));
}

fn advert(frame: &AdvertFrame, dst: MacAddress, identification: u16, out: &mut Vec<u8>) {
    let Some(endpoints) = Endpoints::new(frame.src, frame.dst) else { return };
    let ethernet = Ethernet::toward(frame.mac, frame.dst, dst);
    let ip = IpHeader::vrrp(endpoints, frame.ttl, identification);
    ip_frame(&ethernet, &ip, out, |out| frame.emit(out));
}

/// The address decides between ARP and ND, as it does in a kernel.
fn announce(announcement: Announcement, out: &mut Vec<u8>) {
    let mac = announcement.mac;
    match announcement.address {
        IpAddr::V4(address) => {
            let arp = Arp {
                operation: ArpOperation::Request,
                sha: mac,
                spa: address,
                tha: announcement.arp_target,
                tpa: address,
            };
            neighbour::arp(Ethernet { src: mac, dst: Ethernet::BROADCAST }, &arp, out);
        }
        IpAddr::V6(address) => {
            let advert = NeighbourAdvert {
                src: address,
                dst: ALL_NODES,
                target: address,
                router: true,
                solicited: false,
                overrides: true,
                link_layer: Some(mac),
            };
            let group = IpAddr::V6(ALL_NODES);
            let ethernet = Ethernet::toward(mac, group, Ethernet::BROADCAST);
            neighbour::neighbour_advert(ethernet, &advert, out);
        }
    }
}

/// Appends an Ethernet header.
pub(crate) fn ethernet_header(ethernet: &Ethernet, kind: EtherType, out: &mut Vec<u8>) {
    let ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]) = (ethernet.dst.0, ethernet.src.0);
    let [high, low] = kind.0.to_be_bytes();
    out.extend_from_slice(&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, high, low]);
}

/// Appends an Ethernet header, an IP header and what `emit` appends. The IP length and the IPv4
/// header checksum fit what was appended.
pub(crate) fn ip_frame(
    ethernet: &Ethernet,
    ip: &IpHeader,
    out: &mut Vec<u8>,
    emit: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len() + ETHERNET_LEN;
    match ip.endpoints {
        Endpoints::V4 { src, dst } => {
            ethernet_header(ethernet, EtherTypes::Ipv4, out);
            out.extend_from_slice(&[0; IPV4_LEN]);
            emit(out);
            let total_length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
            let header = ipv4_header(ip, src, dst, total_length);
            out[start..start + IPV4_LEN].copy_from_slice(header.as_flattened());
        }
        Endpoints::V6 { src, dst } => {
            ethernet_header(ethernet, EtherTypes::Ipv6, out);
            out.extend_from_slice(&[0; IPV6_LEN]);
            emit(out);
            fill_ipv6(ip, src, dst, &mut out[start..]);
        }
    }
}

/// In words, as the checksum counts: a processor stalls that reads words right after they were
/// written octet by octet. By 32 bits, for a carry has the same weight wherever it is added (RFC
/// 1071 section 2).
fn ipv4_header(ip: &IpHeader, src: Ipv4Addr, dst: Ipv4Addr, total_length: u16) -> [[u8; 4]; 5] {
    const VERSION_AND_LENGTH: u8 = 4 << 4 | (IPV4_LEN / 4) as u8;
    let [t0, t1] = total_length.to_be_bytes();
    let first = u32::from_be_bytes([VERSION_AND_LENGTH, ip.traffic_class, t0, t1]);
    let second = u32::from(ip.identification) << 16;
    let third = u32::from_be_bytes([ip.ttl, ip.protocol, 0, 0]);
    let mut words = [first, second, third, src.to_bits(), dst.to_bits()];
    let mut sum: u64 = words.iter().map(|word| u64::from(*word)).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    words[2] |= u32::from(!(sum as u16));
    words.map(u32::to_be_bytes)
}

fn fill_ipv6(ip: &IpHeader, src: Ipv6Addr, dst: Ipv6Addr, packet: &mut [u8]) {
    let payload_length = u16::try_from(packet.len() - IPV6_LEN).unwrap_or(u16::MAX);
    if let Some(mut header) = MutableIpv6Packet::new(packet) {
        header.set_version(6);
        header.set_traffic_class(ip.traffic_class);
        header.set_payload_length(payload_length);
        header.set_next_header(IpNextHeaderProtocol(ip.protocol));
        header.set_hop_limit(ip.ttl);
        header.set_source(src);
        header.set_destination(dst);
    }
}
