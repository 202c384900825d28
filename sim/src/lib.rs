//! A simulated network: hosts, links and time for scenarios.

#![forbid(unsafe_code)]

pub mod clock;
pub mod link;
pub mod queue;
pub mod random;
