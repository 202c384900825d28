//! Why a frame was not understood: one variant per distinct cause.

use std::fmt;

/// Why [`crate::decode`] refused a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameFault {
    /// Fewer octets than an Ethernet header.
    TruncatedEthernet,
    /// Neither IPv4 nor IPv6 nor ARP; the EtherType.
    OtherEtherType(u16),
    /// Fewer octets than the IP header says it has.
    TruncatedIpHeader,
    /// The version nibble of the IP header does not fit the EtherType.
    BadIpVersion(u8),
    /// An IPv4 header length below 5 words, or beyond the total length.
    BadIpv4HeaderLength(u8),
    /// The IP packet is longer than the frame that carries it.
    TruncatedIpPayload,
    /// The IPv4 header checksum is wrong.
    BadIpv4Checksum,
    /// A fragment. VRRP and neighbour messages are never fragmented.
    Fragment,
    /// An IP protocol (or IPv6 next header) that is not handled here.
    NotVrrp(u8),
    /// Fewer octets than an ARP packet for IPv4 over Ethernet has.
    TruncatedArp,
    /// ARP for other hardware than Ethernet or another protocol than IPv4.
    OtherArp,
    /// An ARP operation that is neither request nor reply.
    OtherArpOperation(u16),
    /// Fewer octets than the ICMP or ICMPv6 message has.
    TruncatedIcmp,
    /// The ICMP or ICMPv6 checksum is wrong.
    BadIcmpChecksum,
    /// An ICMP or ICMPv6 type that is not handled here.
    OtherIcmpType(u8),
    /// A neighbour message from beyond the link (RFC 4861 section 7.1); its hop limit.
    NeighbourHopLimit(u8),
    /// An ICMP or neighbour message whose code is not 0.
    BadIcmpCode(u8),
    /// A neighbour option of length 0 or beyond the end of the message.
    BadNeighbourOption,
}

impl FrameFault {
    /// A stable name for counters and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruncatedEthernet => "truncated_ethernet",
            Self::OtherEtherType(_) => "other_ethertype",
            Self::TruncatedIpHeader => "truncated_ip_header",
            Self::BadIpVersion(_) => "bad_ip_version",
            Self::BadIpv4HeaderLength(_) => "bad_ipv4_header_length",
            Self::TruncatedIpPayload => "truncated_ip_payload",
            Self::BadIpv4Checksum => "bad_ipv4_checksum",
            Self::Fragment => "fragment",
            Self::NotVrrp(_) => "not_vrrp",
            Self::TruncatedArp => "truncated_arp",
            Self::OtherArp => "other_arp",
            Self::OtherArpOperation(_) => "other_arp_operation",
            Self::TruncatedIcmp => "truncated_icmp",
            Self::BadIcmpChecksum => "bad_icmp_checksum",
            Self::OtherIcmpType(_) => "other_icmp_type",
            Self::NeighbourHopLimit(_) => "neighbour_hop_limit",
            Self::BadIcmpCode(_) => "bad_icmp_code",
            Self::BadNeighbourOption => "bad_neighbour_option",
        }
    }
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TruncatedEthernet => f.write_str("frame ends within the Ethernet header"),
            Self::OtherEtherType(number) => write!(f, "EtherType {number:#06x} is not handled"),
            Self::TruncatedIpHeader => f.write_str("frame ends within the IP header"),
            Self::BadIpVersion(number) => write!(f, "IP version {number} under another EtherType"),
            Self::BadIpv4HeaderLength(words) => write!(f, "IPv4 header of {words} words"),
            Self::TruncatedIpPayload => f.write_str("IP packet is longer than its frame"),
            Self::BadIpv4Checksum => f.write_str("IPv4 header checksum is wrong"),
            Self::Fragment => f.write_str("IP fragment"),
            Self::NotVrrp(protocol) => write!(f, "IP protocol {protocol} is not VRRP (112)"),
            Self::TruncatedArp => f.write_str("frame ends within the ARP packet"),
            Self::OtherArp => f.write_str("ARP is not for IPv4 over Ethernet"),
            Self::OtherArpOperation(number) => {
                write!(f, "ARP operation {number} is neither request nor reply")
            }
            Self::TruncatedIcmp => f.write_str("ICMP message is too short"),
            Self::BadIcmpChecksum => f.write_str("ICMP checksum is wrong"),
            Self::OtherIcmpType(number) => write!(f, "ICMP type {number} is not handled"),
            Self::NeighbourHopLimit(limit) => {
                write!(f, "neighbour message with hop limit {limit} instead of 255")
            }
            Self::BadIcmpCode(code) => write!(f, "ICMP code {code} instead of 0"),
            Self::BadNeighbourOption => f.write_str("neighbour option has a bad length"),
        }
    }
}

impl std::error::Error for FrameFault {}
