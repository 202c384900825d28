//! ARP (RFC 826) and the neighbour messages of ICMPv6 (RFC 4861): emit and parse.
//!
//! Who answers what, and neighbour caches, belong to the driver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::arp::{self, ArpHardwareTypes, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::EtherTypes;
use pnet_packet::icmpv6::Icmpv6Types;
use pnet_packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOptionTypes, NeighborAdvertFlags,
    NeighborAdvertPacket, NeighborSolicitPacket,
};
use pnet_packet::ip::IpNextHeaderProtocols;
use vipd_engine::MacAddress;

use crate::encode::{IpHeader, ethernet_header, ip_frame};
use crate::packet::{
    Arp, ArpOperation, Endpoints, Ethernet, NeighbourAdvert, NeighbourSolicitation,
};
use crate::{FrameFault, icmp};

const ARP_LEN: usize = 28;
/// Octets of a solicitation or an advertisement before its options.
const MESSAGE_LEN: usize = 24;
/// Octets of a link-layer address option, also the unit of an option's length field.
const OPTION_LEN: usize = 8;
/// A neighbour message with another hop limit came from beyond the link (RFC 4861 section 7.1).
const HOP_LIMIT: u8 = 255;

/// Appends an ARP packet of any kind.
pub fn arp(ethernet: Ethernet, arp: &Arp, out: &mut Vec<u8>) {
    ethernet_header(&ethernet, EtherTypes::Arp, out);
    let start = out.len();
    out.extend_from_slice(&[0; ARP_LEN]);
    if let Some(mut packet) = MutableArpPacket::new(&mut out[start..]) {
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(6);
        packet.set_proto_addr_len(4);
        packet.set_operation(match arp.operation {
            ArpOperation::Request => arp::ArpOperations::Request,
            ArpOperation::Reply => arp::ArpOperations::Reply,
        });
        packet.set_sender_hw_addr(arp.sha.0.into());
        packet.set_sender_proto_addr(arp.spa);
        packet.set_target_hw_addr(arp.tha.0.into());
        packet.set_target_proto_addr(arp.tpa);
    }
}

/// Appends the broadcast "who has `tpa`? tell `spa`".
pub fn arp_request(sha: MacAddress, spa: Ipv4Addr, tpa: Ipv4Addr, out: &mut Vec<u8>) {
    let request = Arp { operation: ArpOperation::Request, sha, spa, tha: MacAddress([0; 6]), tpa };
    arp(Ethernet { src: sha, dst: Ethernet::BROADCAST }, &request, out);
}

/// Appends the reply to `request`: "its target is at `mac`".
pub fn arp_reply(request: &Arp, mac: MacAddress, out: &mut Vec<u8>) {
    let reply = Arp {
        operation: ArpOperation::Reply,
        sha: mac,
        spa: request.tpa,
        tha: request.sha,
        tpa: request.spa,
    };
    arp(Ethernet { src: mac, dst: request.sha }, &reply, out);
}

/// The solicited-node group of an address (RFC 4291 section 2.7.1).
#[must_use]
pub const fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0x00ff), low)
}

/// Appends the solicitation "who has `target`? tell `src` at `mac`", to the solicited-node group.
pub fn neighbour_solicitation(mac: MacAddress, src: Ipv6Addr, target: Ipv6Addr, out: &mut Vec<u8>) {
    let dst = solicited_node(target);
    let ethernet = Ethernet::toward(mac, IpAddr::V6(dst), Ethernet::BROADCAST);
    icmpv6_frame(ethernet, src, dst, out, |out| {
        let start = out.len();
        out.extend_from_slice(&[0; MESSAGE_LEN]);
        if let Some(mut message) = MutableNeighborSolicitPacket::new(&mut out[start..]) {
            message.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
            message.set_target_addr(target);
        }
        // A solicitation from the unspecified address must not carry one (RFC 4861 section 4.3).
        if !src.is_unspecified() {
            link_layer_option(NdpOptionTypes::SourceLLAddr.0, mac, out);
        }
    });
}

/// Appends the answer to `solicitation`: "its target is at `mac`". `router` is the R flag.
///
/// One without a source is answered to all nodes (RFC 4861 section 7.2.4).
pub fn neighbour_reply(
    asker: MacAddress,
    solicitation: &NeighbourSolicitation,
    mac: MacAddress,
    router: bool,
    out: &mut Vec<u8>,
) {
    let solicited = !solicitation.src.is_unspecified();
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let dst = if solicited { solicitation.src } else { all_nodes };
    let advert = NeighbourAdvert {
        src: solicitation.target,
        dst,
        target: solicitation.target,
        router,
        solicited,
        overrides: true,
        link_layer: Some(mac),
    };
    neighbour_advert(Ethernet::toward(mac, IpAddr::V6(dst), asker), &advert, out);
}

/// Appends a neighbour advertisement of any kind.
pub fn neighbour_advert(ethernet: Ethernet, advert: &NeighbourAdvert, out: &mut Vec<u8>) {
    let mut flags = 0;
    for (set, flag) in [
        (advert.router, NeighborAdvertFlags::Router),
        (advert.solicited, NeighborAdvertFlags::Solicited),
        (advert.overrides, NeighborAdvertFlags::Override),
    ] {
        if set {
            flags |= flag;
        }
    }
    icmpv6_frame(ethernet, advert.src, advert.dst, out, |out| {
        let start = out.len();
        out.extend_from_slice(&[0; MESSAGE_LEN]);
        if let Some(mut message) = MutableNeighborAdvertPacket::new(&mut out[start..]) {
            message.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
            message.set_flags(flags);
            message.set_target_addr(advert.target);
        }
        if let Some(mac) = advert.link_layer {
            link_layer_option(NdpOptionTypes::TargetLLAddr.0, mac, out);
        }
    });
}

fn link_layer_option(kind: u8, mac: MacAddress, out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind, 1]);
    out.extend_from_slice(&mac.0);
}

/// Appends a neighbour message that `emit` appends without its checksum.
fn icmpv6_frame(
    ethernet: Ethernet,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    out: &mut Vec<u8>,
    emit: impl FnOnce(&mut Vec<u8>),
) {
    let ip = IpHeader {
        endpoints: Endpoints::V6 { src, dst },
        protocol: IpNextHeaderProtocols::Icmpv6.0,
        ttl: HOP_LIMIT,
        traffic_class: 0,
        identification: 0,
    };
    ip_frame(&ethernet, &ip, out, |out| {
        let start = out.len();
        emit(out);
        icmp::fill_checksum(ip.endpoints, &mut out[start..]);
    });
}

/// Reads what follows an Ethernet header of type ARP. Padding is ignored.
pub(crate) fn parse_arp(octets: &[u8]) -> Result<Arp, FrameFault> {
    let packet = ArpPacket::new(octets).ok_or(FrameFault::TruncatedArp)?;
    let is_ipv4_over_ethernet = packet.get_hardware_type() == ArpHardwareTypes::Ethernet
        && packet.get_protocol_type() == EtherTypes::Ipv4
        && packet.get_hw_addr_len() == 6
        && packet.get_proto_addr_len() == 4;
    if !is_ipv4_over_ethernet {
        return Err(FrameFault::OtherArp);
    }
    let operation = match packet.get_operation() {
        arp::ArpOperations::Request => ArpOperation::Request,
        arp::ArpOperations::Reply => ArpOperation::Reply,
        other => return Err(FrameFault::OtherArpOperation(other.0)),
    };
    Ok(Arp {
        operation,
        sha: MacAddress(packet.get_sender_hw_addr().octets()),
        spa: packet.get_sender_proto_addr(),
        tha: MacAddress(packet.get_target_hw_addr().octets()),
        tpa: packet.get_target_proto_addr(),
    })
}

/// A neighbour message must come from the link itself (RFC 4861 section 7.1).
pub(crate) fn check_hop_limit(hop_limit: u8) -> Result<(), FrameFault> {
    if hop_limit == HOP_LIMIT { Ok(()) } else { Err(FrameFault::NeighbourHopLimit(hop_limit)) }
}

/// Reads a solicitation whose type, code and checksum are right.
pub(crate) fn parse_solicitation(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    message: &[u8],
) -> Result<NeighbourSolicitation, FrameFault> {
    let packet = NeighborSolicitPacket::new(message).ok_or(FrameFault::TruncatedIcmp)?;
    let link_layer = find_link_layer(NdpOptionTypes::SourceLLAddr.0, &message[MESSAGE_LEN..])?;
    Ok(NeighbourSolicitation { src, dst, target: packet.get_target_addr(), link_layer })
}

/// Reads an advertisement whose type, code and checksum are right.
pub(crate) fn parse_advert(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    message: &[u8],
) -> Result<NeighbourAdvert, FrameFault> {
    let packet = NeighborAdvertPacket::new(message).ok_or(FrameFault::TruncatedIcmp)?;
    let flags = packet.get_flags();
    Ok(NeighbourAdvert {
        src,
        dst,
        target: packet.get_target_addr(),
        router: flags & NeighborAdvertFlags::Router != 0,
        solicited: flags & NeighborAdvertFlags::Solicited != 0,
        overrides: flags & NeighborAdvertFlags::Override != 0,
        link_layer: find_link_layer(NdpOptionTypes::TargetLLAddr.0, &message[MESSAGE_LEN..])?,
    })
}

/// The last link-layer address option of `kind`. Unknown options are passed over.
fn find_link_layer(kind: u8, mut options: &[u8]) -> Result<Option<MacAddress>, FrameFault> {
    let mut found = None;
    while let [option_kind, units, ..] = *options {
        let len = usize::from(units) * OPTION_LEN;
        if len == 0 || len > options.len() {
            return Err(FrameFault::BadNeighbourOption);
        }
        if let (true, [_, _, a, b, c, d, e, f]) = (option_kind == kind, &options[..len]) {
            found = Some(MacAddress([*a, *b, *c, *d, *e, *f]));
        }
        options = &options[len..];
    }
    if options.is_empty() { Ok(found) } else { Err(FrameFault::BadNeighbourOption) }
}
