//! Echo requests and replies of ICMP (RFC 792) and ICMPv6 (RFC 4443 section 4): the clients' pings.
//!
//! The two share one layout and differ in type numbers and in what the checksum covers.

use pnet_packet::icmp::IcmpTypes;
use pnet_packet::icmpv6::Icmpv6Types;
use pnet_packet::ip::IpNextHeaderProtocols;

use crate::encode::{IpHeader, ip_frame};
use crate::packet::{Echo, Endpoints, Ethernet};
use crate::{FrameFault, icmp};

/// Octets before the data: type, code, checksum, identifier, sequence number.
const HEADER_LEN: usize = 8;

/// Appends an echo request.
pub fn echo_request(ethernet: Ethernet, echo: &Echo<'_>, out: &mut Vec<u8>) {
    let kind = match echo.endpoints {
        Endpoints::V4 { .. } => IcmpTypes::EchoRequest.0,
        Endpoints::V6 { .. } => Icmpv6Types::EchoRequest.0,
    };
    emit(&ethernet, kind, echo, out);
}

/// Appends an echo reply. The reply to a request has its fields with
/// [`Endpoints::reversed`] and the sender's own TTL.
pub fn echo_reply(ethernet: Ethernet, echo: &Echo<'_>, out: &mut Vec<u8>) {
    let kind = match echo.endpoints {
        Endpoints::V4 { .. } => IcmpTypes::EchoReply.0,
        Endpoints::V6 { .. } => Icmpv6Types::EchoReply.0,
    };
    emit(&ethernet, kind, echo, out);
}

fn emit(ethernet: &Ethernet, kind: u8, echo: &Echo<'_>, out: &mut Vec<u8>) {
    let protocol = match echo.endpoints {
        Endpoints::V4 { .. } => IpNextHeaderProtocols::Icmp.0,
        Endpoints::V6 { .. } => IpNextHeaderProtocols::Icmpv6.0,
    };
    let ip = IpHeader {
        endpoints: echo.endpoints,
        protocol,
        ttl: echo.ttl,
        traffic_class: 0,
        identification: echo.sequence,
    };
    ip_frame(ethernet, &ip, out, |out| {
        let start = out.len();
        // Written at once: the checksum reads it word by word.
        let ends = u64::from(echo.id) << 16 | u64::from(echo.sequence);
        let header: [u8; HEADER_LEN] = (u64::from(kind) << 56 | ends).to_be_bytes();
        out.extend_from_slice(&header);
        out.extend_from_slice(echo.data);
        icmp::fill_checksum(echo.endpoints, &mut out[start..]);
    });
}

/// Reads a message of an echo type whose checksum is right.
#[inline(always)]
pub(crate) fn parse(endpoints: Endpoints, ttl: u8, message: &[u8]) -> Result<Echo<'_>, FrameFault> {
    let Some((header, data)) = message.split_first_chunk::<HEADER_LEN>() else {
        return Err(FrameFault::TruncatedIcmp);
    };
    let [_, _, _, _, id_high, id_low, sequence_high, sequence_low] = *header;
    Ok(Echo {
        endpoints,
        ttl,
        id: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([sequence_high, sequence_low]),
        data,
    })
}
