//! What the engine asks of a driver, as a tree by who performs it, and the sink that collects it.
//!
//! The order in the sink is the order in which the effects must be performed: advert, then
//! address, then announcement. Each output prints as one line (a batch of commands as one each),
//! which serves log, golden timeline and report alike.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::FibEntry;
use crate::event::Event;
use crate::health::Probe;
use crate::ipvs;
use crate::names::{Ifindex, InterfaceName, MacAddress};
use crate::rules::ChecksumForm;
use crate::time::Timestamp;
use crate::vrrp::advert::Advert;

/// Names one effect that can fail. An answer to an id that is no longer waited for is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId {
    /// The instance that asked.
    pub instance: InstanceId,
    /// Counts that instance's effects.
    pub number: u64,
}

/// An instance's place in the engine. Never used again after the instance is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId(pub u32);

impl InstanceId {
    /// No instance: what stands whoever is master (`static_routes` and its like).
    pub const STATIC: Self = Self(u32::MAX);
    /// No instance: health checks and the IPVS table.
    pub const DIRECTOR: Self = Self(u32::MAX - 1);
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Put a frame on the wire. Answered by a `Done`.
    Send {
        /// The id of the answer.
        id: CommandId,
        /// The frame.
        frame: Frame,
    },
    /// Change the kernel. Answered by a `Done`.
    Kernel {
        /// The id of the answer.
        id: CommandId,
        /// The change.
        command: KernelCommand,
    },
    /// Tell people and scripts. Never answered.
    Notify(Event),
    /// Make an attempt of a health check, or drop it. Answered by a `Probe`, once; one that is
    /// dropped need not be.
    Probe(Probe),
    /// Change or read the table of IPVS. Answered by an `Ipvs`. Nothing else is asked of it before
    /// the answer, or before its time limit is over.
    Ipvs(ipvs::Request),
}

/// A frame, typed; the bytes below its payload are the driver's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Frame {
    /// A VRRP ADVERTISEMENT.
    Advert(AdvertFrame),
    /// A gratuitous ARP request (RFC 5227 section 3).
    GratuitousArp(Announcement),
    /// An unsolicited neighbour advertisement (RFC 4861 section 7.2.6).
    UnsolicitedNa(Announcement),
}

/// An advert and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AdvertFrame {
    /// Interface that sends it.
    pub interface: Ifindex,
    /// Ethernet source: the virtual router's MAC in virtual-MAC mode, else the interface's.
    pub mac: MacAddress,
    /// IP source.
    pub src: IpAddr,
    /// IP destination: the group or one peer.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// What the checksum covers in v3 over IPv4.
    pub checksum: ChecksumForm,
    /// The message.
    pub advert: Advert,
}

impl AdvertFrame {
    /// Appends the VRRP message, checksum included. All drivers call this one.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.advert.emit(self.src, self.dst, self.checksum, out);
    }
}

/// "This address is at this MAC."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Announcement {
    /// Interface that sends it.
    pub interface: Ifindex,
    /// The MAC that is announced, also the Ethernet source.
    pub mac: MacAddress,
    /// The virtual address that is announced.
    pub address: IpAddr,
    /// Target hardware address of a gratuitous ARP. A neighbour advertisement has none.
    pub arp_target: MacAddress,
}

/// A change of kernel state, each "make it so": doing it twice is no error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KernelCommand {
    /// Add an address, without duplicate address detection.
    AddAddress(AddressSpec),
    /// Remove an address.
    RemoveAddress(AddressSpec),
    /// Drop packets addressed to this address, ARP and ND spared (accept mode off).
    AddFilter(IpAddr),
    /// Take that filter away.
    RemoveFilter(IpAddr),
    /// Make a macvlan with this MAC if there is none, and set it up or down.
    SetVirtualMac {
        /// Name of the macvlan.
        name: InterfaceName,
        /// The interface below it.
        parent: InterfaceName,
        /// The virtual router's MAC.
        mac: MacAddress,
        /// Whether it passes frames.
        up: bool,
    },
    /// Remove the macvlan.
    RemoveVirtualMac {
        /// Name of the macvlan.
        name: InterfaceName,
    },
    /// Add a route or a rule. One that is there already by another way stays beside it.
    AddFib(FibEntry),
    /// Remove a route or a rule, and no other one to the same destination.
    RemoveFib(FibEntry),
    /// Put a gate in front of these addresses, shut unless its lease runs: what asks for one of
    /// them or is sent to it is dropped before anything else reads it. The gate of this instance
    /// stands in front of no other ones then, and its lease goes on.
    SetGate {
        /// Whose gate: each instance has one.
        instance: InstanceId,
        /// The addresses, each with the interface whose frames pass the gate: that of the address,
        /// or the one below the virtual-MAC interface.
        places: Vec<(InterfaceName, IpAddr)>,
    },
    /// Take the gate away, with its lease.
    RemoveGate {
        /// Whose gate.
        instance: InstanceId,
    },
    /// Keep the gate open until then, by this machine's clock, and no longer, whatever becomes of
    /// the process. Refused if there is no gate, or if that time is over.
    RenewLease {
        /// Whose gate.
        instance: InstanceId,
        /// The end of the lease.
        until: Timestamp,
    },
}

/// An address as the kernel is to hold it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressSpec {
    /// The interface.
    pub interface: InterfaceName,
    /// The address and its options.
    pub address: crate::config::VirtualAddress,
}

/// The sink of [`crate::Engine::handle`]: outputs in the order in which they must be performed.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    items: Vec<Output>,
}

impl Outputs {
    /// An empty sink.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Adds one output.
    #[inline]
    pub fn push(&mut self, output: Output) {
        self.items.push(output);
    }

    /// Takes everything out, in order, keeping the memory.
    #[inline]
    pub fn drain(&mut self) -> impl Iterator<Item = Output> + '_ {
        self.items.drain(..)
    }

    /// What is in the sink.
    #[must_use]
    pub fn as_slice(&self) -> &[Output] {
        &self.items
    }

    /// Empties the sink, keeping the memory.
    pub fn clear(&mut self) {
        self.items.clear();
    }
}

impl fmt::Display for Output {
    /// One line; of a batch each command on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { frame, .. } => frame.fmt(f),
            Self::Kernel { command, .. } => command.fmt(f),
            Self::Notify(event) => event.fmt(f),
            Self::Probe(probe) => probe.fmt(f),
            Self::Ipvs(request) => request.fmt(f),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advert(frame) => {
                write!(f, "send {} {} -> {}", frame.advert, frame.src, frame.dst)
            }
            Self::GratuitousArp(announcement) => write!(f, "send gratuitous ARP {announcement}"),
            Self::UnsolicitedNa(announcement) => write!(f, "send unsolicited NA {announcement}"),
        }
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is-at {}", self.address, self.mac)
    }
}

impl fmt::Display for KernelCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddAddress(spec) => write!(f, "add address {spec}"),
            Self::RemoveAddress(spec) => write!(f, "remove address {spec}"),
            Self::AddFilter(address) => write!(f, "add filter for {address}"),
            Self::RemoveFilter(address) => write!(f, "remove filter for {address}"),
            Self::SetVirtualMac { name, parent, mac, up } => {
                let state = if *up { "up" } else { "down" };
                write!(f, "set macvlan {name} on {parent} with {mac} {state}")
            }
            Self::RemoveVirtualMac { name } => write!(f, "remove macvlan {name}"),
            Self::AddFib(entry) => write!(f, "add {entry}"),
            Self::RemoveFib(entry) => write!(f, "remove {entry}"),
            Self::SetGate { instance, places } => {
                write!(f, "set gate {} in front of", instance.0)?;
                let mut separator = " ";
                for (interface, address) in places {
                    write!(f, "{separator}{address} on {interface}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::RemoveGate { instance } => write!(f, "remove gate {}", instance.0),
            Self::RenewLease { instance, until } => {
                write!(f, "renew lease of gate {} until {until}", instance.0)
            }
        }
    }
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on {}", self.address.address, self.address.prefix_len, self.interface)
    }
}
