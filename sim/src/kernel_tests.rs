//! The model kernel, command by command.

use std::net::Ipv4Addr;

use vipd_engine::config::VirtualAddress;
use vipd_engine::config::fib::{NextHop, Prefix, Route};
use vipd_engine::{AddressSpec, Family, InstanceId, Timestamp};

use super::*;

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const VMAC: MacAddress = MacAddress([0, 0, 0x5e, 0, 1, 51]);
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));

fn kernel() -> (Kernel, Ifindex) {
    let mut kernel = Kernel::default();
    let eth0 = kernel.add_interface(InterfaceName::new("eth0"), MAC, &[OWN]);
    (kernel, eth0)
}

fn spec(interface: &str) -> AddressSpec {
    AddressSpec { interface: InterfaceName::new(interface), address: VirtualAddress::new(VIP) }
}

fn add(interface: &str) -> KernelCommand {
    KernelCommand::AddAddress(spec(interface))
}

fn macvlan(up: bool) -> KernelCommand {
    let (name, parent) = (InterfaceName::new("vrrp.51"), InterfaceName::new("eth0"));
    KernelCommand::SetVirtualMac { name, parent, mac: VMAC, up }
}

const fn id(number: u64) -> CommandId {
    CommandId { instance: InstanceId(0), number }
}

fn perform(kernel: &mut Kernel, command: &KernelCommand) -> (Result<(), EffectError>, Vec<Change>) {
    let mut changes = Vec::new();
    (kernel.perform(command, &mut changes), changes)
}

#[test]
fn an_address_that_was_added_is_answered_for_and_adding_it_twice_is_no_error() {
    let (mut kernel, eth0) = kernel();
    assert_eq!(kernel.answers(eth0, VIP), None);
    let (result, changes) = perform(&mut kernel, &add("eth0"));
    let added = LocalAddress { interface: eth0, address: VIP, present: true };
    assert_eq!((result, changes), (Ok(()), vec![Change::Address(added)]));
    assert_eq!(kernel.answers(eth0, VIP), Some(MAC));
    assert_eq!(perform(&mut kernel, &add("eth0")), (Ok(()), vec![]));
}

#[test]
fn an_interface_that_is_not_there_is_an_error_to_add_to_and_none_to_remove_from() {
    let (mut kernel, _) = kernel();
    assert_eq!(perform(&mut kernel, &add("eth9")).0, Err(EffectError::NoInterface));
    assert_eq!(perform(&mut kernel, &KernelCommand::RemoveAddress(spec("eth9"))).0, Ok(()));
}

#[test]
fn exactly_the_next_commands_fail_and_change_nothing() {
    let (mut kernel, _) = kernel();
    kernel.fail_next(1);
    assert_eq!(perform(&mut kernel, &add("eth0")), (Err(EffectError::Refused), vec![]));
    assert!(!kernel.holds(VIP));
    assert_eq!(perform(&mut kernel, &add("eth0")).0, Ok(()));
}

#[test]
fn late_commands_are_done_in_order_and_not_before_their_time() {
    let (mut kernel, _) = kernel();
    let mut changes = Vec::new();
    kernel.set_delay(Duration::from_nanos(10));
    assert_eq!(kernel.submit(WorldTime(0), id(0), add("eth0")), WorldTime(10));
    kernel.set_delay(Duration::ZERO);
    let remove = KernelCommand::RemoveAddress(spec("eth0"));
    assert_eq!(kernel.submit(WorldTime(5), id(1), remove), WorldTime(10), "behind the first");
    assert_eq!(kernel.complete(WorldTime(9), &mut changes), None);
    for number in [0, 1] {
        let done = kernel.complete(WorldTime(10), &mut changes).unwrap();
        assert_eq!((done.id, done.result), (Some(id(number)), Ok(())));
    }
    assert!(!kernel.holds(VIP));
}

#[test]
fn a_command_of_a_process_that_died_is_done_and_answered_to_nobody() {
    let (mut kernel, _) = kernel();
    kernel.submit(WorldTime(0), id(0), add("eth0"));
    kernel.orphan_commands();
    let done = kernel.complete(WorldTime(0), &mut Vec::new()).unwrap();
    assert_eq!(done.id, None);
    assert!(kernel.holds(VIP));
}

#[test]
fn without_carrier_nothing_is_answered_and_the_addresses_stay() {
    let (mut kernel, eth0) = kernel();
    let mut changes = Vec::new();
    perform(&mut kernel, &add("eth0")).0.unwrap();
    kernel.set_carrier("eth0", false, &mut changes);
    assert!(matches!(&changes[..], [Change::Link(Link { state: LinkState::Down, .. })]));
    assert!(kernel.answers(eth0, VIP).is_none() && kernel.holds(VIP) && !kernel.passes(eth0));
}

#[test]
fn a_macvlan_answers_with_its_own_mac_and_only_while_it_is_up() {
    let (mut kernel, eth0) = kernel();
    perform(&mut kernel, &macvlan(true)).0.unwrap();
    perform(&mut kernel, &add("vrrp.51")).0.unwrap();
    assert_eq!(kernel.answers(eth0, VIP), Some(VMAC));
    assert!(kernel.takes(eth0, VMAC) && kernel.takes(eth0, MAC));
    perform(&mut kernel, &macvlan(false)).0.unwrap();
    assert!(kernel.answers(eth0, VIP).is_none() && !kernel.takes(eth0, VMAC));
    let mut changes = Vec::new();
    kernel.switch_on("vrrp.51", &mut changes);
    assert_eq!(changes.len(), 1, "it came up by itself, and says so");
    assert_eq!(kernel.answers(eth0, VIP), Some(VMAC));
}

#[test]
fn a_macvlan_follows_the_carrier_of_its_parent_and_takes_its_addresses_along_when_it_goes() {
    let (mut kernel, eth0) = kernel();
    perform(&mut kernel, &macvlan(true)).0.unwrap();
    perform(&mut kernel, &add("vrrp.51")).0.unwrap();
    let mut changes = Vec::new();
    kernel.set_carrier("eth0", false, &mut changes);
    assert_eq!(changes.len(), 2);
    kernel.set_carrier("eth0", true, &mut changes);
    let remove = KernelCommand::RemoveVirtualMac { name: InterfaceName::new("vrrp.51") };
    let (_, changes) = perform(&mut kernel, &remove);
    let gone = |change: &Change| match change {
        Change::Address(address) => !address.present,
        Change::Link(link) => link.state == LinkState::Absent,
        Change::Fib(change) => !change.present,
    };
    assert!(changes.len() == 2 && changes.iter().all(gone));
    assert!(kernel.answers(eth0, VIP).is_none() && kernel.answers(eth0, OWN).is_some());
}

#[test]
fn a_route_needs_its_interface_goes_with_it_and_is_gone_after_a_boot() {
    let (mut kernel, _) = kernel();
    let by = |name| {
        let interface = Some(InterfaceName::new(name));
        let next_hops = vec![NextHop { interface, ..NextHop::default() }];
        let route = Route { next_hops, ..Route::new(Prefix::all(Family::Ipv4)) };
        FibEntry::Route(Box::new(route))
    };
    let change = |present| Change::Fib(FibChange { entry: by("eth0"), present });
    let absent = perform(&mut kernel, &KernelCommand::AddFib(by("eth9")));
    assert_eq!(absent, (Err(EffectError::NoInterface), vec![]));
    let add = KernelCommand::AddFib(by("eth0"));
    assert_eq!(perform(&mut kernel, &add), (Ok(()), vec![change(true)]));
    assert_eq!(perform(&mut kernel, &add), (Ok(()), vec![]), "it is there");
    let mut changes = Vec::new();
    kernel.remove_entry("route default dev eth0", &mut changes);
    assert_eq!(changes, [change(false)]);
    perform(&mut kernel, &add).0.unwrap();
    changes.clear();
    kernel.set_carrier("eth0", false, &mut changes);
    assert!(changes.contains(&change(false)), "{changes:?}");
    kernel.set_carrier("eth0", true, &mut changes);
    perform(&mut kernel, &add).0.unwrap();
    kernel.reboot(&mut changes);
    assert!(!kernel.report().contains(&change(true)));
}

#[test]
fn a_filter_drops_packets_and_spares_arp() {
    let (mut kernel, eth0) = kernel();
    perform(&mut kernel, &add("eth0")).0.unwrap();
    assert!(kernel.delivers(VIP));
    perform(&mut kernel, &KernelCommand::AddFilter(VIP)).0.unwrap();
    assert!(!kernel.delivers(VIP) && kernel.answers(eth0, VIP).is_some());
    perform(&mut kernel, &KernelCommand::RemoveFilter(VIP)).0.unwrap();
    assert!(kernel.delivers(VIP));
}

#[test]
fn a_boot_leaves_the_fixed_addresses_and_nothing_else() {
    let (mut kernel, eth0) = kernel();
    perform(&mut kernel, &macvlan(true)).0.unwrap();
    perform(&mut kernel, &add("vrrp.51")).0.unwrap();
    kernel.learn(eth0, VIP, VMAC);
    let mut changes = Vec::new();
    kernel.remove_address(OWN, &mut changes);
    kernel.reboot(&mut changes);
    assert!(kernel.holds(OWN) && !kernel.holds(VIP));
    assert!(kernel.by_name("vrrp.51").is_none() && kernel.neighbour(eth0, VIP).is_none());
    assert_eq!(kernel.report().len(), 2, "one link, one address");
}

#[test]
fn a_neighbour_entry_stays_until_another_one_replaces_it() {
    let (mut kernel, eth0) = kernel();
    assert!(kernel.learn(eth0, VIP, MAC));
    assert!(!kernel.learn(eth0, VIP, MAC), "the same once more is no change");
    assert!(kernel.learn(eth0, VIP, VMAC));
    assert_eq!(kernel.neighbour(eth0, VIP), Some(VMAC));
}

/// A gate in front of the address, put there by an instance.
fn gate(instance: u32) -> KernelCommand {
    let places = vec![(InterfaceName::new("eth0"), VIP)];
    KernelCommand::SetGate { instance: InstanceId(instance), places }
}

/// The kernel as a killed process left it: with an address behind the gate of instance 1.
fn kernel_with_a_gate_that_was_left() -> Kernel {
    let (mut kernel, _) = kernel();
    perform(&mut kernel, &gate(1)).0.expect("a gate");
    perform(&mut kernel, &add("eth0")).0.expect("an address");
    assert!(!kernel.delivers(VIP), "there is no lease");
    kernel
}

#[test]
fn a_process_takes_away_what_gates_another_one_left_once_its_own_stand_and_all_else_is_done() {
    let mut kernel = kernel_with_a_gate_that_was_left();
    kernel.gates.begin_process(true);
    let until = Timestamp::from_nanos(1_000_000_000);
    let renew = KernelCommand::RenewLease { instance: InstanceId(0), until };
    for (number, command) in [gate(0), renew, add("eth0")].into_iter().enumerate() {
        assert!(!kernel.delivers(VIP), "{number} commands are done");
        kernel.submit(WorldTime(0), id(number as u64), command);
    }
    let mut changes = Vec::new();
    while kernel.complete(WorldTime(0), &mut changes).is_some() {
        let all_done = kernel.commands.is_empty();
        assert_eq!(kernel.delivers(VIP), all_done, "{} are left", kernel.commands.len());
    }
    assert!(kernel.delivers(VIP), "the new lease runs");
}

#[test]
fn a_process_without_gates_takes_away_at_once_what_another_one_left() {
    let mut kernel = kernel_with_a_gate_that_was_left();
    kernel.gates.begin_process(false);
    assert!(kernel.delivers(VIP));
}

#[test]
fn a_lease_of_an_earlier_process_does_not_open_the_gate_of_a_new_one() {
    let mut kernel = kernel_with_a_gate_that_was_left();
    let until = Timestamp::from_nanos(1_000_000_000);
    perform(&mut kernel, &KernelCommand::RenewLease { instance: InstanceId(1), until })
        .0
        .expect("a lease");
    assert!(kernel.delivers(VIP));
    kernel.gates.begin_process(true);
    assert!(kernel.delivers(VIP), "it runs until its end");
    perform(&mut kernel, &gate(1)).0.expect("a gate");
    assert!(!kernel.delivers(VIP));
}

#[test]
fn a_gate_that_a_killed_process_had_asked_for_is_one_that_it_left() {
    let mut kernel = kernel_with_a_gate_that_was_left();
    kernel.submit(WorldTime(0), id(0), gate(1));
    kernel.orphan_commands();
    kernel.gates.begin_process(true);
    kernel.submit(WorldTime(0), id(1), gate(0));
    let until = Timestamp::from_nanos(1_000_000_000);
    let renew = KernelCommand::RenewLease { instance: InstanceId(0), until };
    kernel.submit(WorldTime(0), id(2), renew);
    let mut changes = Vec::new();
    while kernel.complete(WorldTime(0), &mut changes).is_some() {}
    assert!(kernel.delivers(VIP), "only the new gate stands, and it is open");
}
