//! From octets to a [`Packet`], or to the one [`FrameFault`]. Any octets are safe to pass.
//!
//! The VRRP message itself is not read here; ARP, ND and echo are read in `neighbour` and `echo`.
//!
//! What each layer reads is inlined into the one around it, so that nothing is handed over by
//! memory: a processor stalls that copies what was written piece by piece a moment before.

use std::net::Ipv4Addr;

use pnet_packet::ethernet::{EtherType, EtherTypes};
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv6::Ipv6Packet;
use vipd_engine::MacAddress;
use vipd_engine::vrrp::advert::IP_PROTOCOL;
use vipd_engine::vrrp::checksum;

use crate::encode::{IPV4_LEN, IPV6_LEN};
use crate::packet::{Endpoints, Ethernet, Packet, Payload, Vrrp};
use crate::{FrameFault, icmp, neighbour};

/// More fragments follow, or there is an offset.
const FRAGMENT: u16 = 0x3fff;

/// Reads one Ethernet frame.
///
/// The IP length decides where a message ends, never the frame's: Ethernet pads short frames.
/// IPv4 options are passed over. IPv6 extension headers are not: no sender of these messages has
/// them.
///
/// # Errors
/// The first [`FrameFault`] from the outer header inwards.
pub fn decode(frame: &[u8]) -> Result<Packet<'_>, FrameFault> {
    let (ethernet, kind, rest) = split(frame)?;
    let payload = match kind {
        EtherTypes::Ipv4 => decode_ipv4(rest)?,
        EtherTypes::Ipv6 => decode_ipv6(rest)?,
        EtherTypes::Arp => Payload::Arp(neighbour::parse_arp(rest)?),
        other => return Err(FrameFault::OtherEtherType(other.0)),
    };
    Ok(Packet { ethernet, payload })
}

/// Reads one IPv4 packet without an Ethernet header, as a raw socket hands it over.
///
/// # Errors
/// As [`decode`], from the IP header inwards.
#[inline]
pub fn decode_ipv4(packet: &[u8]) -> Result<Payload<'_>, FrameFault> {
    let datagram = ipv4(packet)?;
    match datagram.protocol {
        IpNextHeaderProtocol(IP_PROTOCOL) => Ok(vrrp(&datagram)),
        IpNextHeaderProtocols::Icmp => {
            icmp::parse(datagram.endpoints, datagram.ttl, datagram.message)
        }
        other => Err(FrameFault::NotVrrp(other.0)),
    }
}

/// An IP packet without its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) endpoints: Endpoints,
    pub(crate) protocol: IpNextHeaderProtocol,
    pub(crate) ttl: u8,
    pub(crate) message: &'a [u8],
}

/// Reads the headers of a frame that carries IP.
pub(crate) fn datagram(frame: &[u8]) -> Result<(Ethernet, Datagram<'_>), FrameFault> {
    let (ethernet, kind, rest) = split(frame)?;
    match kind {
        EtherTypes::Ipv4 => Ok((ethernet, ipv4(rest)?)),
        EtherTypes::Ipv6 => Ok((ethernet, ipv6(rest)?)),
        other => Err(FrameFault::OtherEtherType(other.0)),
    }
}

#[inline(always)]
fn split(frame: &[u8]) -> Result<(Ethernet, EtherType, &[u8]), FrameFault> {
    let parts = frame.split_first_chunk().and_then(|(dst, rest)| {
        let (src, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let ethernet = Ethernet { src: MacAddress(*src), dst: MacAddress(*dst) };
        Some((ethernet, EtherType(u16::from_be_bytes(*kind)), rest))
    });
    parts.ok_or(FrameFault::TruncatedEthernet)
}

/// The fixed part is read as one array: field by field, through views of a slice, costs twice as
/// much.
#[inline(always)]
fn ipv4(packet: &[u8]) -> Result<Datagram<'_>, FrameFault> {
    let fixed = packet.first_chunk::<IPV4_LEN>().ok_or(FrameFault::TruncatedIpHeader)?;
    let [first, _, l0, l1, _, _, f0, f1, ttl, protocol, _, _, ends @ ..] = *fixed;
    let (version, header_words) = (first >> 4, first & 0x0f);
    if version != 4 {
        return Err(FrameFault::BadIpVersion(version));
    }
    let header_len = usize::from(header_words) * 4;
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    if header_len < IPV4_LEN || header_len > total_len {
        return Err(FrameFault::BadIpv4HeaderLength(header_words));
    }
    let header_octets = packet.get(..header_len).ok_or(FrameFault::TruncatedIpHeader)?;
    let message = packet.get(header_len..total_len).ok_or(FrameFault::TruncatedIpPayload)?;
    if checksum::of_octets(header_octets) != 0 {
        return Err(FrameFault::BadIpv4Checksum);
    }
    if u16::from_be_bytes([f0, f1]) & FRAGMENT != 0 {
        return Err(FrameFault::Fragment);
    }
    let [s0, s1, s2, s3, d0, d1, d2, d3] = ends;
    let src = Ipv4Addr::new(s0, s1, s2, s3);
    let endpoints = Endpoints::V4 { src, dst: Ipv4Addr::new(d0, d1, d2, d3) };
    Ok(Datagram { endpoints, protocol: IpNextHeaderProtocol(protocol), ttl, message })
}

fn decode_ipv6(packet: &[u8]) -> Result<Payload<'_>, FrameFault> {
    let datagram = ipv6(packet)?;
    match datagram.protocol {
        IpNextHeaderProtocol(IP_PROTOCOL) => Ok(vrrp(&datagram)),
        IpNextHeaderProtocols::Icmpv6 => {
            icmp::parse(datagram.endpoints, datagram.ttl, datagram.message)
        }
        IpNextHeaderProtocols::Ipv6Frag => Err(FrameFault::Fragment),
        other => Err(FrameFault::NotVrrp(other.0)),
    }
}

fn ipv6(packet: &[u8]) -> Result<Datagram<'_>, FrameFault> {
    let header = Ipv6Packet::new(packet).ok_or(FrameFault::TruncatedIpHeader)?;
    if header.get_version() != 6 {
        return Err(FrameFault::BadIpVersion(header.get_version()));
    }
    let end = IPV6_LEN + usize::from(header.get_payload_length());
    let message = packet.get(IPV6_LEN..end).ok_or(FrameFault::TruncatedIpPayload)?;
    let endpoints = Endpoints::V6 { src: header.get_source(), dst: header.get_destination() };
    let (protocol, ttl) = (header.get_next_header(), header.get_hop_limit());
    Ok(Datagram { endpoints, protocol, ttl, message })
}

const fn vrrp<'a>(datagram: &Datagram<'a>) -> Payload<'a> {
    let Datagram { endpoints, ttl, message, .. } = *datagram;
    Payload::Vrrp(Vrrp { src: endpoints.src(), dst: endpoints.dst(), ttl, bytes: message })
}
