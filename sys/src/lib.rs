//! System calls that no crate wraps: the only package with unsafe code, each block with its reason.
//!
//! [`PacketSocket`] puts whole Ethernet frames on a wire; nix and socket2 cannot make the address
//! that it needs. [`allow_fragments`] sets an option that they lack. [`watch`] waits for a
//! descriptor; tokio leaves it to its caller to prove that the descriptor stays open. Nothing here
//! knows what VRRP is.

#![deny(unsafe_code)]

mod fragments;
mod packet;
mod watch;

pub use fragments::allow_fragments;
pub use packet::PacketSocket;
pub use watch::watch;
