//! The model kernel of one machine: interfaces, addresses, filters, macvlans, neighbour cache, and
//! commands that may fail or be late.
//!
//! It performs [`KernelCommand`]s for any driver, so it exists once. It neither sends nor receives
//! octets: see `stack`. It models Linux as keepalived sets it up: an address is answered
//! for on the interface that holds it and nowhere else (`arp_ignore` 1), and a neighbour entry
//! stays until another one replaces it, as in a router that keeps them for four hours.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::config::FibEntry;
use vipd_engine::{
    CommandId, EffectError, FibChange, Ifindex, InterfaceName, KernelCommand, Link, LinkState,
    LocalAddress, MacAddress,
};
use vipd_scenarios::record::WorldTime;

use crate::gates::Gates;

/// Index of the first interface that is made; 1 is the loopback's.
const FIRST_INDEX: u32 = 2;

/// One interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its index.
    pub index: Ifindex,
    /// Its name.
    pub name: InterfaceName,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// The interface below it, if it is a macvlan.
    pub parent: Option<Ifindex>,
    /// It is switched on.
    up: bool,
    /// Its cable is in. A macvlan has its parent's.
    carrier: bool,
    /// What it holds, in the order in which it came.
    addresses: Vec<IpAddr>,
    /// How many of `addresses` it has after a boot.
    fixed: Vec<IpAddr>,
}

/// A change that the kernel tells whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of an interface.
    Link(Link),
    /// Of an address.
    Address(LocalAddress),
    /// Of a route or a rule.
    Fib(FibChange),
}

/// A command that is not done yet.
#[derive(Clone, Debug)]
struct Submitted {
    due: WorldTime,
    /// `None` if the process that asked is gone.
    id: Option<CommandId>,
    command: KernelCommand,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Who asked; `None` if the process that asked is gone.
    pub id: Option<CommandId>,
    /// The result.
    pub result: Result<(), EffectError>,
}

/// The kernel of one machine.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// In order of index.
    interfaces: Vec<Interface>,
    next_index: u32,
    filters: BTreeSet<IpAddr>,
    /// What is in front of addresses.
    pub gates: Gates,
    fib: BTreeSet<FibEntry>,
    /// In order, and few.
    neighbours: Vec<((Ifindex, IpAddr), MacAddress)>,
    commands: VecDeque<Submitted>,
    delay: Duration,
    commands_to_fail: u32,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            next_index: FIRST_INDEX,
            filters: BTreeSet::new(),
            gates: Gates::default(),
            fib: BTreeSet::new(),
            neighbours: Vec::new(),
            commands: VecDeque::new(),
            delay: Duration::ZERO,
            commands_to_fail: 0,
        }
    }
}

impl Kernel {
    /// Adds an Ethernet interface that is up, with the addresses that it has after every boot.
    pub fn add_interface(
        &mut self,
        name: InterfaceName,
        mac: MacAddress,
        fixed: &[IpAddr],
    ) -> Ifindex {
        let index = self.new_index();
        self.interfaces.push(Interface {
            index,
            name,
            mac,
            parent: None,
            up: true,
            carrier: true,
            addresses: fixed.to_vec(),
            fixed: fixed.to_vec(),
        });
        index
    }

    /// How long a command takes.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// Takes in a command. Commands are done one after the other, each no earlier than the delay in
    /// force says. Returns when this one is to be asked for with [`Self::complete`].
    pub fn submit(&mut self, now: WorldTime, id: CommandId, command: KernelCommand) -> WorldTime {
        let earliest = self.commands.back().map_or(now, |last| last.due.max(now));
        let due = earliest.max(now.later(self.delay));
        self.commands.push_back(Submitted { due, id: Some(id), command });
        due
    }

    /// Does the next command that is due, and appends what changed.
    pub fn complete(&mut self, now: WorldTime, changes: &mut Vec<Change>) -> Option<Completed> {
        self.commands.front().filter(|next| next.due <= now)?;
        let Submitted { id, command, .. } = self.commands.pop_front()?;
        let result = self.perform(&command, changes);
        if let (None, KernelCommand::SetGate { instance, .. }) = (id, &command) {
            self.gates.leave(*instance);
        }
        if self.commands.is_empty() {
            self.gates.on_idle();
        }
        Some(Completed { id, result })
    }

    /// Does a command at once, unless it is one of those that are to fail.
    ///
    /// # Errors
    /// [`EffectError::Refused`] for a command that is to fail, [`EffectError::NoInterface`] if its
    /// interface is missing.
    pub fn perform(
        &mut self,
        command: &KernelCommand,
        changes: &mut Vec<Change>,
    ) -> Result<(), EffectError> {
        if self.commands_to_fail > 0 {
            self.commands_to_fail -= 1;
            return Err(EffectError::Refused);
        }
        match command {
            KernelCommand::AddAddress(spec) => {
                self.set_address(&spec.interface, spec.address.address, true, changes)
            }
            KernelCommand::RemoveAddress(spec) => {
                self.set_address(&spec.interface, spec.address.address, false, changes)
            }
            KernelCommand::AddFilter(address) => {
                self.filters.insert(*address);
                Ok(())
            }
            KernelCommand::RemoveFilter(address) => {
                self.filters.remove(address);
                Ok(())
            }
            KernelCommand::SetVirtualMac { name, parent, mac, up } => {
                self.set_virtual_mac(name, parent, *mac, *up, changes)
            }
            KernelCommand::RemoveVirtualMac { name } => {
                self.remove_virtual_mac(name, changes);
                Ok(())
            }
            KernelCommand::AddFib(entry) => self.add_fib(entry, changes),
            KernelCommand::RemoveFib(entry) => {
                self.remove_fib(|held| held == entry, changes);
                Ok(())
            }
            KernelCommand::SetGate { instance, places } => {
                if places.iter().any(|(name, _)| self.by_name(name.as_str()).is_none()) {
                    return Err(EffectError::NoInterface);
                }
                let addresses = places.iter().map(|(_, address)| *address).collect();
                self.gates.put(*instance, addresses);
                Ok(())
            }
            KernelCommand::RemoveGate { instance } => {
                self.gates.remove(*instance);
                Ok(())
            }
            KernelCommand::RenewLease { instance, until } => self.gates.open(*instance, *until),
        }
    }

    /// Commands take this long from now on.
    pub const fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// The next `count` commands fail.
    pub const fn fail_next(&mut self, count: u32) {
        self.commands_to_fail = count;
    }

    /// The process that asked is gone: what it asked for is done all the same.
    pub fn orphan_commands(&mut self) {
        for command in &mut self.commands {
            command.id = None;
        }
    }

    /// The cable of an interface goes in or out; its macvlans follow.
    pub fn set_carrier(&mut self, name: &str, carrier: bool, changes: &mut Vec<Change>) {
        let Some(index) = self.by_name(name).map(|interface| interface.index) else { return };
        for place in 0..self.interfaces.len() {
            let interface = &mut self.interfaces[place];
            let concerned = interface.index == index || interface.parent == Some(index);
            if concerned && interface.carrier != carrier {
                interface.carrier = carrier;
                changes.push(self.link_change(place));
                self.drop_fib(place, changes);
            }
        }
    }

    /// Somebody else removes every route or rule that is printed so.
    pub fn remove_entry(&mut self, printed: &str, changes: &mut Vec<Change>) {
        self.remove_fib(|held| held.to_string() == printed, changes);
    }

    /// An interface is switched on by somebody else.
    pub fn switch_on(&mut self, name: &str, changes: &mut Vec<Change>) {
        let found = self.interfaces.iter().position(|interface| interface.name.as_str() == name);
        if let Some(place) = found
            && !self.interfaces[place].up
        {
            self.interfaces[place].up = true;
            changes.push(self.link_change(place));
        }
    }

    /// Somebody else removes an address, wherever it is.
    pub fn remove_address(&mut self, address: IpAddr, changes: &mut Vec<Change>) {
        for interface in &mut self.interfaces {
            if interface.addresses.contains(&address) {
                interface.addresses.retain(|held| *held != address);
                let interface = interface.index;
                changes.push(Change::Address(LocalAddress { interface, address, present: false }));
            }
        }
    }

    /// Forgets what does not survive a boot, macvlans included, and appends what changed. What the
    /// machine is plugged into stays.
    pub fn reboot(&mut self, changes: &mut Vec<Change>) {
        for interface in &self.interfaces {
            let macvlan = interface.parent.is_some();
            for address in &interface.addresses {
                if macvlan || !interface.fixed.contains(address) {
                    let (interface, address) = (interface.index, *address);
                    let change = LocalAddress { interface, address, present: false };
                    changes.push(Change::Address(change));
                }
            }
        }
        self.interfaces.retain(|interface| interface.parent.is_none());
        for interface in &mut self.interfaces {
            interface.addresses.clone_from(&interface.fixed);
            interface.up = true;
        }
        self.filters.clear();
        self.gates.clear();
        self.remove_fib(|_| true, changes);
        self.neighbours.clear();
        self.commands.clear();
    }

    /// Enters a neighbour, whatever was there. Returns whether the entry changed.
    pub fn learn(&mut self, interface: Ifindex, address: IpAddr, mac: MacAddress) -> bool {
        let key = (interface, address);
        match self.neighbours.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(place) => std::mem::replace(&mut self.neighbours[place].1, mac) != mac,
            Err(place) => {
                self.neighbours.insert(place, (key, mac));
                true
            }
        }
    }

    /// The MAC that the neighbour cache has.
    #[must_use]
    pub fn neighbour(&self, interface: Ifindex, address: IpAddr) -> Option<MacAddress> {
        let key = (interface, address);
        let place = self.neighbours.binary_search_by_key(&key, |(known, _)| *known).ok()?;
        Some(self.neighbours[place].1)
    }

    /// Everything that a process which starts now is told: interfaces, then their addresses, then
    /// routes and rules.
    #[must_use]
    pub fn report(&self) -> Vec<Change> {
        let links = (0..self.interfaces.len()).map(|place| self.link_change(place));
        let addresses = self.interfaces.iter().flat_map(|interface| {
            interface.addresses.iter().map(|address| {
                let (interface, address) = (interface.index, *address);
                Change::Address(LocalAddress { interface, address, present: true })
            })
        });
        let fib = self.fib.iter().cloned();
        let fib = fib.map(|entry| Change::Fib(FibChange { entry, present: true }));
        links.chain(addresses).chain(fib).collect()
    }

    /// An interface by its index.
    #[must_use]
    pub fn interface(&self, index: Ifindex) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.index == index)
    }

    /// An interface by its name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name.as_str() == name)
    }

    /// Whether a frame can leave or enter here.
    #[must_use]
    pub fn passes(&self, index: Ifindex) -> bool {
        self.interface(index).is_some_and(|interface| self.state(interface) == LinkState::Up)
    }

    /// The Ethernet interface that carries this one's frames: itself, or a macvlan's parent.
    #[must_use]
    pub fn lower(&self, index: Ifindex) -> Option<Ifindex> {
        self.interface(index).map(|interface| interface.parent.unwrap_or(interface.index))
    }

    /// Who answers ARP and ND for `address` on the wire below `port`, and with which MAC.
    #[must_use]
    pub fn answers(&self, port: Ifindex, address: IpAddr) -> Option<MacAddress> {
        self.above(port)
            .find(|interface| interface.addresses.contains(&address))
            .filter(|_| !self.gates.is_shut(address))
            .map(|interface| interface.mac)
    }

    /// Whether a unicast frame to this MAC is taken in from the wire below `port`.
    #[must_use]
    pub fn takes(&self, port: Ifindex, mac: MacAddress) -> bool {
        self.above(port).any(|interface| interface.mac == mac)
    }

    /// Whether the machine has the address on any interface.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.addresses.contains(&address))
    }

    /// The addresses of an interface, those of the machine itself first.
    #[must_use]
    pub fn addresses(&self, index: Ifindex) -> &[IpAddr] {
        self.interface(index).map_or(&[], |interface| &interface.addresses)
    }

    /// Whether packets to the address reach whoever listens on this machine.
    #[must_use]
    pub fn delivers(&self, address: IpAddr) -> bool {
        self.holds(address) && !self.filters.contains(&address) && !self.gates.is_shut(address)
    }

    /// The interfaces on the wire below `port` that pass frames.
    fn above(&self, port: Ifindex) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(move |interface| {
            (interface.index == port || interface.parent == Some(port))
                && self.state(interface) == LinkState::Up
        })
    }

    fn state(&self, interface: &Interface) -> LinkState {
        let parent = interface.parent.and_then(|parent| self.interface(parent));
        let parent_up = parent.is_none_or(|parent| parent.up);
        if interface.up && interface.carrier && parent_up { LinkState::Up } else { LinkState::Down }
    }

    fn link_change(&self, place: usize) -> Change {
        let interface = &self.interfaces[place];
        Change::Link(Link {
            interface: interface.index,
            name: interface.name.clone(),
            mac: interface.mac,
            state: self.state(interface),
        })
    }

    fn set_address(
        &mut self,
        name: &InterfaceName,
        address: IpAddr,
        present: bool,
        changes: &mut Vec<Change>,
    ) -> Result<(), EffectError> {
        let found = self.interfaces.iter_mut().find(|interface| interface.name == *name);
        let Some(interface) = found else {
            // An address cannot be where no interface is.
            return if present { Err(EffectError::NoInterface) } else { Ok(()) };
        };
        if interface.addresses.contains(&address) == present {
            return Ok(());
        }
        if present {
            interface.addresses.push(address);
        } else {
            interface.addresses.retain(|held| *held != address);
        }
        let interface = interface.index;
        changes.push(Change::Address(LocalAddress { interface, address, present }));
        Ok(())
    }

    /// An interface that passes nothing takes no route.
    fn add_fib(&mut self, entry: &FibEntry, changes: &mut Vec<Change>) -> Result<(), EffectError> {
        let passes = |name: &InterfaceName| {
            self.by_name(name.as_str()).is_some_and(|one| self.state(one) == LinkState::Up)
        };
        if !next_hops(entry).all(passes) {
            return Err(EffectError::NoInterface);
        }
        if self.fib.insert(entry.clone()) {
            changes.push(Change::Fib(FibChange { entry: entry.clone(), present: true }));
        }
        Ok(())
    }

    fn remove_fib(&mut self, which: impl Fn(&FibEntry) -> bool, changes: &mut Vec<Change>) {
        self.fib.retain(|entry| {
            let goes = which(entry);
            if goes {
                changes.push(Change::Fib(FibChange { entry: entry.clone(), present: false }));
            }
            !goes
        });
    }

    /// Routes by an interface that passes nothing any more go.
    fn drop_fib(&mut self, place: usize, changes: &mut Vec<Change>) {
        let interface = &self.interfaces[place];
        if self.state(interface) != LinkState::Up {
            let name = interface.name.clone();
            self.remove_fib(|entry| next_hops(entry).any(|hop| *hop == name), changes);
        }
    }

    fn set_virtual_mac(
        &mut self,
        name: &InterfaceName,
        parent: &InterfaceName,
        mac: MacAddress,
        up: bool,
        changes: &mut Vec<Change>,
    ) -> Result<(), EffectError> {
        if let Some(place) = self.interfaces.iter().position(|known| known.name == *name) {
            let known = &mut self.interfaces[place];
            if (known.mac, known.up) != (mac, up) {
                (known.mac, known.up) = (mac, up);
                changes.push(self.link_change(place));
                self.drop_fib(place, changes);
            }
            return Ok(());
        }
        let below = self.by_name(parent.as_str()).ok_or(EffectError::NoInterface)?;
        let (below, carrier) = (below.index, below.carrier);
        let index = self.new_index();
        self.interfaces.push(Interface {
            index,
            name: name.clone(),
            mac,
            parent: Some(below),
            up,
            carrier,
            addresses: Vec::new(),
            fixed: Vec::new(),
        });
        changes.push(self.link_change(self.interfaces.len() - 1));
        Ok(())
    }

    fn remove_virtual_mac(&mut self, name: &InterfaceName, changes: &mut Vec<Change>) {
        let found =
            self.interfaces.iter().position(|known| known.name == *name && known.parent.is_some());
        let Some(place) = found else { return };
        let Interface { index: interface, name, mac, addresses, .. } =
            self.interfaces.remove(place);
        for address in addresses {
            changes.push(Change::Address(LocalAddress { interface, address, present: false }));
        }
        self.remove_fib(|entry| next_hops(entry).any(|hop| *hop == name), changes);
        changes.push(Change::Link(Link { interface, name, mac, state: LinkState::Absent }));
    }

    const fn new_index(&mut self) -> Ifindex {
        let index = self.next_index;
        self.next_index += 1;
        Ifindex(index)
    }
}

fn next_hops(entry: &FibEntry) -> impl Iterator<Item = &InterfaceName> {
    let hops = match entry {
        FibEntry::Route(route) => &route.next_hops[..],
        FibEntry::Rule(_) => &[],
    };
    hops.iter().filter_map(|hop| hop.interface.as_ref())
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
