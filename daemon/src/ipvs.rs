//! The kernel's IPVS table over generic netlink (`linux/ip_vs.h`, `linux/genetlink.h`).
//!
//! [`spec`] has the types, [`codec`] is pure: commands to octets, octets to rows. [`client`] sends
//! many commands at once and finds the answer to each; it stands on [`client::Datagrams`], which is
//! [`socket::Socket`] here and a made-up kernel in tests. What is to be in the table is decided by
//! the engine; [`worker`] is the thread that performs it, [`module`] has the kernel load its IPVS.

pub mod client;
pub mod codec;
pub mod module;
pub mod orders;
pub mod socket;
pub mod spec;
pub mod worker;

pub use client::{Error, Ipvs};
pub use codec::{Failure, Malformed};
pub use spec::{
    Command, Connections, DestinationSpec, ListedDestination, ListedService, ServiceSpec, SyncRole,
    SyncSpec, Version,
};
pub use worker::Worker;
