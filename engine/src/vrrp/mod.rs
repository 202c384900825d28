//! VRRP: the codec, the receive checks, the election, the announcements, one state machine.

pub(crate) mod accept;
pub mod advert;
pub(crate) mod announce;
pub mod checksum;
pub mod drop_reason;
pub mod election;
pub mod fib;
pub mod flapping;
mod folding;
pub(crate) mod gate;
mod hearing;
pub mod holdings;
pub(crate) mod instance;
pub mod last_event;
pub mod lease;
pub mod named;
pub mod operator;
mod reload;
pub mod resigned;
pub mod rivals;
pub mod sending;
mod soundness;
pub(crate) mod state;
pub mod timers;
mod transmit;
pub mod vanishing;
