//! A simulated network in which the real engine runs: hosts with model kernels, links that lose and
//! delay, clocks that drift, and time that jumps from event to event.
//!
//! Same scenario, same seed, same [`trace`](vipd_scenarios::world::World::trace), in every process.
//! The only randomness is [`random`]; no clock of this machine is read. What a scenario is and who
//! judges it is in `vipd_scenarios`; begin with [`world::Simulation`].

#![forbid(unsafe_code)]

mod balancing;
pub mod bare_files;
pub mod capture;
mod client;
pub mod clock;
pub mod configurations;
mod dripping;
pub mod faults;
pub mod files;
pub mod gates;
mod host;
pub mod hunt;
pub mod inject;
pub mod ipvs;
pub mod kernel;
pub mod link;
pub mod network;
pub mod output;
pub mod packets;
mod process;
pub mod prove;
pub mod queue;
pub mod random;
pub mod real_server;
pub mod rehearse;
pub mod replay;
pub mod requests;
pub mod run;
mod serving;
pub mod shrink;
mod stack;
mod steps;
pub mod suite;
mod syncing;
pub mod topology;
pub mod trace;
pub mod world;

pub use host::CARD_QUEUE;
pub use process::SOCKET_QUEUE;
