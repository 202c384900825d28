//! What the kernel of a host says of its links, addresses and neighbours (rtnetlink(7)).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use nix::errno::Errno;
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket,
};
use vipd_engine::MacAddress;

/// `RTMGRP_LINK`, `RTMGRP_NEIGH`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR` of rtnetlink(7).
const GROUPS: u32 = 0x1 | 0x4 | 0x10 | 0x100;
/// Messages that wait while the laboratory is busy.
const BUFFER: usize = 16 << 20;

/// Hears one kernel.
#[derive(Debug)]
pub struct Watch(OwnedFd);

/// What a kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// An interface is there, on top of another one or not.
    Link {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
        /// The number of the one that it stands on.
        below: Option<u32>,
    },
    /// An interface has an address now, or has it no longer.
    Address {
        /// The number of the interface.
        index: u32,
        /// The address.
        address: IpAddr,
        /// Whether it came.
        present: bool,
    },
    /// A neighbour's MAC is this now.
    Neighbour {
        /// The number of the interface that it is behind.
        index: u32,
        /// Its address.
        address: IpAddr,
        /// Its MAC.
        mac: MacAddress,
    },
}

impl Watch {
    /// Opens it in the namespace of this thread.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkRoute;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        setsockopt(&fd, RcvBufForce, &BUFFER)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self(fd))
    }

    /// Everything that was said and not read yet.
    ///
    /// # Errors
    /// Those of recv(2), and a message that cannot be read.
    pub fn read(&self, buffer: &mut [u8], words: &mut Vec<Word>) -> io::Result<()> {
        loop {
            let read = match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(read) => read,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            parse(&buffer[..read], words)?;
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn parse(mut bytes: &[u8], words: &mut Vec<Word>) -> io::Result<()> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes);
        let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        // Messages are padded to four octets (netlink(7), NLMSG_ALIGN).
        let length = (message.header.length as usize).next_multiple_of(4);
        bytes = bytes.get(length.max(4)..).unwrap_or_default();
        let NetlinkPayload::InnerMessage(inner) = message.payload else { continue };
        words.extend(match inner {
            RouteNetlinkMessage::NewLink(link) => Some(link_word(link)),
            RouteNetlinkMessage::NewAddress(address) => address_word(&address, true),
            RouteNetlinkMessage::DelAddress(address) => address_word(&address, false),
            RouteNetlinkMessage::NewNeighbour(neighbour) => neighbour_word(&neighbour),
            _ => None,
        });
    }
    Ok(())
}

fn link_word(link: LinkMessage) -> Word {
    let index = link.header.index;
    let (mut name, mut below) = (String::new(), None);
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text,
            LinkAttribute::Link(parent) => below = Some(parent),
            _ => {}
        }
    }
    Word::Link { index, name, below }
}

/// The local address, which on a point-to-point link is not the one that IFA_ADDRESS says.
fn address_word(message: &AddressMessage, present: bool) -> Option<Word> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let any = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some(Word::Address { index: message.header.index, address: local.or(any)?, present })
}

fn neighbour_word(message: &NeighbourMessage) -> Option<Word> {
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(known)) => {
                address = Some(IpAddr::V4(*known));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(known)) => {
                address = Some(IpAddr::V6(*known));
            }
            NeighbourAttribute::LinkLayerAddress(octets) => {
                mac = octets.first_chunk().map(|octets| MacAddress(*octets));
            }
            _ => {}
        }
    }
    Some(Word::Neighbour { index: message.header.ifindex, address: address?, mac: mac? })
}
