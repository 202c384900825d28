//! What all messages of ICMP and ICMPv6 share: type, code, checksum. The messages themselves are in
//! `echo` and `neighbour`.

use pnet_packet::icmp::{IcmpType, IcmpTypes};
use pnet_packet::icmpv6::{Icmpv6Type, Icmpv6Types};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::util;
use vipd_engine::vrrp::checksum;

use crate::packet::Endpoints;
use crate::{FrameFault, Payload, echo, neighbour};

/// Where the checksum stands in any message.
const CHECKSUM_AT: usize = 2;
/// Beyond any message: no word is left out of the sum.
const NO_WORD: usize = usize::MAX;

/// Writes the checksum into a message whose checksum field is 0. ICMPv6 covers a pseudo-header
/// (RFC 4443 section 2.3), ICMP does not. A message of less than four octets is left alone.
pub(crate) fn fill_checksum(endpoints: Endpoints, message: &mut [u8]) {
    let sum = sum(endpoints, message);
    if let Some(field) = message.get_mut(CHECKSUM_AT..CHECKSUM_AT + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Reads the message of an IP packet whose protocol is the ICMP of its family.
#[inline(always)]
pub(crate) fn parse(
    endpoints: Endpoints,
    ttl: u8,
    message: &[u8],
) -> Result<Payload<'_>, FrameFault> {
    let [kind, code, _, _, ..] = *message else { return Err(FrameFault::TruncatedIcmp) };
    if sum(endpoints, message) != 0 {
        return Err(FrameFault::BadIcmpChecksum);
    }
    if code != 0 {
        return Err(FrameFault::BadIcmpCode(code));
    }
    let echo = || echo::parse(endpoints, ttl, message);
    match endpoints {
        Endpoints::V4 { .. } => match IcmpType(kind) {
            IcmpTypes::EchoRequest => Ok(Payload::EchoRequest(echo()?)),
            IcmpTypes::EchoReply => Ok(Payload::EchoReply(echo()?)),
            other => Err(FrameFault::OtherIcmpType(other.0)),
        },
        Endpoints::V6 { src, dst } => match Icmpv6Type(kind) {
            Icmpv6Types::EchoRequest => Ok(Payload::EchoRequest(echo()?)),
            Icmpv6Types::EchoReply => Ok(Payload::EchoReply(echo()?)),
            Icmpv6Types::NeighborSolicit => {
                neighbour::check_hop_limit(ttl)?;
                let message = neighbour::parse_solicitation(src, dst, message)?;
                Ok(Payload::NeighbourSolicitation(message))
            }
            Icmpv6Types::NeighborAdvert => {
                neighbour::check_hop_limit(ttl)?;
                Ok(Payload::NeighbourAdvert(neighbour::parse_advert(src, dst, message)?))
            }
            other => Err(FrameFault::OtherIcmpType(other.0)),
        },
    }
}

/// 0 over a message whose checksum is in place and right (RFC 1071).
fn sum(endpoints: Endpoints, message: &[u8]) -> u16 {
    match endpoints {
        Endpoints::V4 { .. } => checksum::of_octets(message),
        Endpoints::V6 { src, dst } => {
            let protocol = IpNextHeaderProtocols::Icmpv6;
            util::ipv6_checksum(message, NO_WORD, &[], &src, &dst, protocol)
        }
    }
}
