//! The engine of VRRP, health checks and IPVS: everything that is decided, nothing that is done.
//!
//! A driver tells [`Engine::handle`] what happened and when ([`Input`], [`Timestamp`]), performs
//! what it finds in [`Outputs`] in that order, and calls again no later than
//! [`Engine::next_deadline`]. There is no I/O, no clock, no thread and no randomness here, and
//! `no_std` makes the compiler prove it. Same inputs, same outputs.
//!
//! Go on with `engine` (routing of inputs), `vrrp` (the protocol), `director` (health checks and
//! the IPVS table), `policy` (what one part's news means to another).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod config;
mod directing;
pub mod director;
mod engine;
pub mod event;
mod fingerprint;
pub mod health;
mod heap;
pub mod input;
pub mod ipvs;
pub mod names;
mod observed;
pub mod output;
mod policy;
mod routing;
pub mod rules;
mod schedule;
mod snapshot;
mod statics;
mod status;
mod tick;
mod time;
pub mod vrrp;

pub use config::{Config, Identity, InstanceConfig};
pub use engine::{Deadline, Engine};
pub use event::{Event, Fault, Mismatch, News, StateKind, Why};
pub use input::{
    EffectError, FibChange, Input, Link, LinkState, LocalAddress, Order, Received, TrackerValue,
};
pub use names::{
    Family, GroupName, Ifindex, InstanceName, InterfaceName, Interval, MacAddress, Password,
    Priority, TrackerName, Version, Vrid,
};
pub use output::{
    AddressSpec, AdvertFrame, Announcement, CommandId, Frame, InstanceId, KernelCommand, Output,
    Outputs,
};
pub use rules::{Profile, Rules};
pub use snapshot::{Snapshot, SnapshotError};
pub use status::{Counters, InstanceStatus, Status};
pub use time::Timestamp;
pub use vrrp::advert::Advert;
pub use vrrp::drop_reason::{DropCounters, DropReason};
pub use vrrp::last_event::LastEvent;
pub use vrrp::operator::Standing;
