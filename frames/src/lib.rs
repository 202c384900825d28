//! Whole Ethernet frames around the engine's inputs and outputs, and two file formats.
//!
//! - [`encode`] turns an engine's [`vipd_engine::Frame`] into octets, [`encode_raw`] puts headers
//!   around any VRRP message; [`neighbour`] and [`echo`] build what hosts send.
//! - [`decode`] reads octets from anywhere into a [`Packet`] or names the one [`FrameFault`];
//!   [`decode_ipv4`] begins at the IP header, as a raw socket does.
//! - [`tcp`] reads and builds segments of TCP, which [`decode`] leaves alone: the traffic of users.
//! - [`pcapng`] writes captures; [`journal`] is what a daemon writes down and how it is replayed.
//!
//! This is the only place that opens an Ethernet or IP header. It does not read VRRP messages:
//! that is `vipd_engine::vrrp`.

#![forbid(unsafe_code)]

mod decode;
pub mod echo;
mod encode;
mod fault;
mod icmp;
pub mod journal;
pub mod neighbour;
mod packet;
pub mod pcapng;
pub mod tcp;

pub use decode::{decode, decode_ipv4};
pub use encode::{IpHeader, encode, encode_raw};
pub use fault::FrameFault;
pub use packet::{
    Arp, ArpOperation, Echo, Endpoints, Ethernet, NeighbourAdvert, NeighbourSolicitation, Packet,
    Payload, Vrrp,
};
