//! The production driver of the engine: Linux sockets, netlink, a clock, signals.
//!
//! [`startup`] is the way in, in a fixed order. [`driver`] is the loop; it stands on the traits
//! of [`seam`], below which are [`clock`], [`sockets`] and [`netlink`].

#![forbid(unsafe_code)]

pub mod clock;
pub mod control;
pub mod driver;
pub mod events;
mod executors;
mod filter;
pub mod gate;
pub mod host;
pub mod ipvs;
pub mod journal;
pub mod keepalived;
pub mod log;
mod loudness;
pub mod mail;
pub mod netlink;
pub mod notify;
pub mod orders;
pub mod pid_file;
mod privileges;
pub mod probes;
pub mod process;
pub mod reload;
pub mod scripts;
pub mod seam;
mod servers;
pub mod sockets;
pub mod startup;
pub mod status;
mod sysctl;
pub mod systemd;
mod tables;
pub mod trackers;
mod wire;
