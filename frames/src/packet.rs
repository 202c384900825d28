//! The packets that this crate knows, as typed values. No octets are read or written here: see
//! `decode` and `encode`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vipd_engine::MacAddress;

/// Source and destination of an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ethernet {
    /// Sender.
    pub src: MacAddress,
    /// Receiver or group.
    pub dst: MacAddress,
}

impl Ethernet {
    /// All stations.
    pub const BROADCAST: MacAddress = MacAddress::BROADCAST;

    /// From `src` to the group that belongs to the IP destination (RFC 1112 section 6.4, RFC 2464
    /// section 7), or to `unicast` if that is one host's address.
    #[must_use]
    pub const fn toward(src: MacAddress, ip_dst: IpAddr, unicast: MacAddress) -> Self {
        let dst = match ip_dst {
            IpAddr::V4(group) if group.is_multicast() => {
                let [_, b, c, d] = group.octets();
                MacAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(group) if group.is_multicast() => {
                let [.., a, b, c, d] = group.octets();
                MacAddress([0x33, 0x33, a, b, c, d])
            }
            IpAddr::V4(_) | IpAddr::V6(_) => unicast,
        };
        Self { src, dst }
    }
}

/// Source and destination of an IP packet, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoints {
    /// IPv4.
    V4 {
        /// Sender.
        src: Ipv4Addr,
        /// Receiver or group.
        dst: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Sender.
        src: Ipv6Addr,
        /// Receiver or group.
        dst: Ipv6Addr,
    },
}

impl Endpoints {
    /// The two addresses, or `None` if they are of different families.
    #[must_use]
    pub const fn new(src: IpAddr, dst: IpAddr) -> Option<Self> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some(Self::V4 { src, dst }),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Some(Self::V6 { src, dst }),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// Sender.
    #[must_use]
    pub const fn src(self) -> IpAddr {
        match self {
            Self::V4 { src, .. } => IpAddr::V4(src),
            Self::V6 { src, .. } => IpAddr::V6(src),
        }
    }

    /// Receiver or group.
    #[must_use]
    pub const fn dst(self) -> IpAddr {
        match self {
            Self::V4 { dst, .. } => IpAddr::V4(dst),
            Self::V6 { dst, .. } => IpAddr::V6(dst),
        }
    }

    /// The way back.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::V4 { src, dst } => Self::V4 { src: dst, dst: src },
            Self::V6 { src, dst } => Self::V6 { src: dst, dst: src },
        }
    }
}

/// One received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its Ethernet header.
    pub ethernet: Ethernet,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A datagram of IP protocol 112.
    Vrrp(Vrrp<'a>),
    /// An ARP request or reply.
    Arp(Arp),
    /// An ICMPv6 neighbour solicitation.
    NeighbourSolicitation(NeighbourSolicitation),
    /// An ICMPv6 neighbour advertisement.
    NeighbourAdvert(NeighbourAdvert),
    /// An ICMP or ICMPv6 echo request.
    EchoRequest(Echo<'a>),
    /// An ICMP or ICMPv6 echo reply.
    EchoReply(Echo<'a>),
}

/// A VRRP message, not read yet, and what its IP header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vrrp<'a> {
    /// IP source.
    pub src: IpAddr,
    /// IP destination.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Everything from the end of the IP header to the end of the IP packet. Hostile.
    pub bytes: &'a [u8],
}

/// ARP operation (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// "Who has `tpa`?"
    Request,
    /// "`spa` is at `sha`."
    Reply,
}

/// ARP for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Operation.
    pub operation: ArpOperation,
    /// Sender hardware address.
    pub sha: MacAddress,
    /// Sender protocol address.
    pub spa: Ipv4Addr,
    /// Target hardware address.
    pub tha: MacAddress,
    /// Target protocol address.
    pub tpa: Ipv4Addr,
}

/// Neighbour solicitation (RFC 4861 section 4.3). Its hop limit is 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourSolicitation {
    /// IP source; unspecified in duplicate address detection.
    pub src: Ipv6Addr,
    /// IP destination: the solicited-node group, or the target itself.
    pub dst: Ipv6Addr,
    /// Whose link-layer address is asked for.
    pub target: Ipv6Addr,
    /// The asker's link-layer address.
    pub link_layer: Option<MacAddress>,
}

/// Neighbour advertisement (RFC 4861 section 4.4). Its hop limit is 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourAdvert {
    /// IP source.
    pub src: Ipv6Addr,
    /// IP destination: the asker, or all nodes.
    pub dst: Ipv6Addr,
    /// The address that is advertised.
    pub target: Ipv6Addr,
    /// R: the sender is a router.
    pub router: bool,
    /// S: an answer to a solicitation.
    pub solicited: bool,
    /// O: replace what the cache holds.
    pub overrides: bool,
    /// The link-layer address of the target.
    pub link_layer: Option<MacAddress>,
}

/// An echo request or reply of ICMP (RFC 792) or ICMPv6 (RFC 4443 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo<'a> {
    /// Source and destination; the family says which ICMP it is.
    pub endpoints: Endpoints,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub sequence: u16,
    /// Data, to be sent back as it is.
    pub data: &'a [u8],
}
