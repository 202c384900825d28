//! System calls that no crate wraps: the only package with unsafe code, each block with its reason.
//!
//! [`PacketSocket`] puts whole Ethernet frames on a wire; nix and socket2 cannot make the address
//! that it needs. [`send_burst`] sends several datagrams at once. [`allow_fragments`] sets an
//! option that they lack. [`watch`] waits for a descriptor; tokio leaves it to its caller to prove
//! that the descriptor stays open. [`process_end`] tells of the end of a process,
//! [`begin_with_no_signal_blocked`] is of its begin.
//! [`give_back_free_memory`] is of the allocator's memory, [`give_back_program`] of the program's;
//! [`lock_touched_memory`] and [`set_realtime`] are what a process wants that must not wait.
//! Nothing here knows what VRRP is.

#![deny(unsafe_code)]

mod burst;
mod fragments;
mod heap;
mod memory;
mod packet;
mod priority;
mod process;
mod program;
mod signals;
mod watch;

pub use burst::{BURST, Path, send_burst};
pub use fragments::allow_fragments;
pub use heap::give_back_free_memory;
pub use memory::{lock_touched_memory, memory_is_locked};
pub use packet::PacketSocket;
pub use priority::{set_nice, set_realtime};
pub use process::process_end;
pub use program::give_back_program;
pub use signals::begin_with_no_signal_blocked;
pub use watch::watch;
