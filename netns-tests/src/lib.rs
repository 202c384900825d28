//! The laboratory: the scenarios of `vipd_scenarios`, their runner and their judge, on real network
//! namespaces of this machine. Nodes are vipd, keepalived or FRR, kernels are this machine's, time
//! is real.
//!
//! Begin with [`world::Lab`], which is the world; [`run`], [`agree`] and [`matrix`] are the
//! commands that play scenarios, [`conformance`] judges an implementation by the RFCs. The wires
//! between the namespaces are `vipd_sim`'s own network on packet sockets, so a cut, a loss or a
//! delay is the same in both worlds.

#![forbid(unsafe_code)]

pub mod agree;
mod batch;
mod client;
pub mod conformance;
pub mod deviations;
mod frr;
mod held;
mod hosts;
pub mod kernel;
pub mod marks;
pub mod matrix;
pub mod namespaces;
pub mod node;
mod observer;
mod real_server;
mod requests;
pub mod run;
mod seen;
pub mod skips;
pub mod steps;
mod table;
pub mod uml;
pub mod watch;
pub mod wire;
mod word;
pub mod world;
