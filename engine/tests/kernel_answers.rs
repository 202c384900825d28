//! Answers of the kernel and of the wire that come late, twice, never or after the state that asked
//! for them. What happens while all goes well is in `state_machine`.

mod driver;

use driver::{Answer, Driver, ETH0, OWN_MAC, ip, nanos, priority, v2, v3};
use std::time::Duration;
use vipd_engine::config::{Announcements, Peer, Transport, VirtualAddress, VirtualMac};
use vipd_engine::{
    Config, EffectError, Family, Frame, Ifindex, Input, InstanceConfig, InterfaceName, Interval,
    KernelCommand, Link, LinkState, LocalAddress, Output, Outputs, Profile, Rules, StateKind,
    Timestamp, Version,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SECOND: Duration = Duration::from_secs(1);

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

/// A master that the kernel answers like this from the transition on.
fn master(kernel: Answer) -> Driver {
    let mut driver = Driver::new(v2());
    driver.kernel = kernel;
    driver.run_until(at(M));
    assert_eq!(driver.state(), StateKind::Master);
    driver.log.clear();
    driver
}

#[test]
fn a_retry_that_is_no_longer_needed_is_dropped() {
    let mut driver = master(Answer::Fails);
    driver.run_for(nanos(500_000_000));
    driver.hear("10.0.0.1", 200);
    driver.log.clear();
    driver.run_for(SECOND);
    assert_eq!((driver.state(), driver.commands().len()), (StateKind::Backup, 0));
    driver.handle(Input::Shutdown);
    assert!(!driver.engine.status().is_releasing());
}

#[test]
fn an_address_that_the_kernel_adds_after_the_time_limit_is_removed_at_the_stop() {
    let mut driver = master(Answer::Silent);
    driver.run_for(nanos(1_500_000_000));
    driver.address("10.0.0.100", true);
    assert_eq!(driver.announcements().len(), 5);
    driver.run_for(SECOND * 2);
    driver.kernel = Answer::Ok;
    driver.handle(Input::Shutdown);
    assert!(matches!(driver.commands()[..], [KernelCommand::RemoveAddress(_)]));
    assert!(!driver.engine.status().is_releasing());
}

/// Whether it was told that an address was left over or lost.
fn told(driver: &Driver, name: &str) -> bool {
    driver.news().iter().any(|(_, told)| *told == name)
}

#[test]
fn a_removal_that_was_ordered_is_no_loss_though_the_address_is_wanted_again_by_then() {
    let mut driver = Driver::new(v3(10));
    driver.run_until(at(SECOND));
    assert_eq!(driver.state(), StateKind::Master);
    driver.address("10.0.0.100", true);
    driver.kernel = Answer::Silent;
    driver.hear("10.0.0.1", 200);
    driver.run_for(nanos(500_000_000));
    assert_eq!(driver.state(), StateKind::Master, "its command still waits");
    driver.address("10.0.0.100", false);
    assert!(!told(&driver, "address-lost"), "{:?}", driver.news());
    driver.kernel = Answer::Ok;
    driver.run_for(SECOND * 2);
    assert!(matches!(driver.commands()[..], [.., KernelCommand::AddAddress(_)]));
}

#[test]
fn an_address_that_we_asked_for_and_that_comes_in_backup_is_no_leftover_of_somebody() {
    let mut driver = master(Answer::Silent);
    driver.hear("10.0.0.1", 200);
    driver.address("10.0.0.100", true);
    assert!(!told(&driver, "leftover-address"));
    // One that nobody here asked for is.
    let mut driver = Driver::new(v2());
    driver.kernel = Answer::Silent;
    driver.address("10.0.0.100", true);
    assert!(told(&driver, "leftover-address"));
}

#[test]
fn an_address_that_a_reload_moved_elsewhere_is_not_lost_when_it_goes() {
    // The address stands on another interface now, so its comings and goings still concern us.
    let elsewhere = VirtualAddress {
        interface: Some(InterfaceName::new("eth1")),
        ..VirtualAddress::new(ip("10.0.0.100"))
    };
    let other = || InstanceConfig { addresses: vec![elsewhere.clone()], ..v2() };
    let mut driver = Driver::new(other());
    driver.run_until(at(M));
    let asked = driver.commands().into_iter().map(|command| match command {
        KernelCommand::AddAddress(spec) => (spec.interface, spec.address.interface),
        command => panic!("{command}"),
    });
    let place = (InterfaceName::new("eth1"), None);
    assert_eq!(asked.collect::<Vec<_>>(), [place], "the interface stands in one place");
    for (reloads, lost) in [(true, false), (false, true)] {
        let mut driver = master(Answer::Ok);
        driver.address("10.0.0.100", true);
        driver.kernel = Answer::Silent;
        if reloads {
            driver.configure(vec![other()], vec![]);
        }
        driver.address("10.0.0.100", false);
        assert_eq!(told(&driver, "address-lost"), lost);
    }
}

#[test]
fn a_retry_of_the_kernel_ends_no_start_up_delay() {
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.kernel = Answer::Fails;
    let delayed = Config::new(vec![v2()], vec![], SECOND * 5).expect("a configuration");
    driver.handle(Input::Configure(delayed.into()));
    driver.run_until(at(SECOND * 5 - nanos(1)));
    assert_eq!(driver.commands().len(), 5, "it tried each second to remove the leftover");
    assert_eq!(driver.state(), StateKind::Initialize);
    driver.run_until(at(SECOND * 5));
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_retry_of_the_kernel_ends_no_fault_of_refused_adverts() {
    let mut driver = master(Answer::Ok);
    (driver.wire, driver.kernel) = (Answer::Fails, Answer::Fails);
    driver.run_for(SECOND * 3);
    assert_eq!(driver.state(), StateKind::Fault);
    // The next try comes after a whole Master_Down_Interval.
    driver.run_for(M - nanos(1));
    assert_eq!(driver.commands().len(), 4, "it tried each second to remove the address");
    assert_eq!(driver.state(), StateKind::Fault);
    driver.run_for(nanos(1));
    assert_eq!(driver.state(), StateKind::Backup);
    // It begins to count anew: the third advert of the next mastership is the third refused one.
    driver.run_for(M + SECOND * 2 - nanos(1));
    assert_eq!(driver.state(), StateKind::Master);
    driver.run_for(nanos(1));
    assert_eq!(driver.state(), StateKind::Fault);
}

fn with_macvlan() -> InstanceConfig {
    let interface = InterfaceName::new("vrrp.51");
    let virtual_mac = Some(VirtualMac { interface, transmit_from_parent: false });
    InstanceConfig { virtual_mac, ..v2() }
}

#[test]
fn an_address_waits_for_the_virtual_mac_interface_that_it_stands_on() {
    let mut driver = Driver::new(with_macvlan());
    driver.kernel = Answer::Silent;
    driver.run_until(at(M));
    assert!(matches!(driver.commands()[..], [KernelCommand::SetVirtualMac { up: true, .. }]));
}

#[test]
fn an_engine_that_stops_waits_for_what_it_asked_for_before() {
    for config in [v2(), with_macvlan()] {
        let mut driver = Driver::new(config);
        driver.kernel = Answer::Silent;
        driver.run_until(at(M));
        driver.handle(Input::Shutdown);
        assert!(driver.engine.status().is_releasing());
        driver.run_for(SECOND * 4);
        assert!(!driver.engine.status().is_releasing(), "what nobody answers has a time limit");
    }
}

#[test]
fn a_retry_comes_a_second_later_whatever_else_is_due() {
    let slow = InstanceConfig { interval: Interval::from_seconds(10).expect("10 s"), ..v2() };
    let mut driver = Driver::new(slow);
    driver.kernel = Answer::Fails;
    // Three intervals of 10 s and the skew.
    let taken = at(nanos(30_609_375_000));
    driver.run_until(taken);
    assert_eq!(driver.state(), StateKind::Master);
    assert_eq!(driver.commands().len(), 1);
    assert_eq!(driver.deadline(), Some(taken + SECOND), "before the next advert");
    driver.run_until(taken + SECOND);
    assert_eq!(driver.commands().len(), 2);
    driver.kernel = Answer::Ok;
    driver.run_until(taken + SECOND * 2);
    assert_eq!(driver.commands().len(), 3);
    assert_eq!(driver.deadline(), Some(taken + SECOND * 7), "the second burst");
}

#[test]
fn a_macvlan_is_removed_at_the_stop_if_it_is_there() {
    for (state, removed) in [(LinkState::Up, true), (LinkState::Absent, false)] {
        let mut driver = Driver::new(with_macvlan());
        driver.run_until(at(M));
        driver.link_of(Ifindex(3), "vrrp.51", LinkState::Up);
        driver.kernel = Answer::Silent;
        driver.link_of(Ifindex(3), "vrrp.51", state);
        driver.address("10.0.0.100", true);
        driver.address("10.0.0.100", false);
        driver.log.clear();
        driver.handle(Input::Shutdown);
        let removal =
            |command: &KernelCommand| matches!(command, KernelCommand::RemoveVirtualMac { .. });
        driver.kernel = Answer::Ok;
        driver.run_for(SECOND * 5);
        assert_eq!(driver.commands().iter().any(removal), removed, "{state:?}");
    }
}

#[test]
fn an_owners_address_that_was_there_before_goes_when_the_owner_yields() {
    let owner = InstanceConfig { priority: priority(255), version: Version::V3, ..v2() };
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.configure(vec![owner], vec![]);
    assert_eq!((driver.state(), driver.commands().len()), (StateKind::Master, 0));
    driver.hear("10.0.0.9", 255);
    assert_eq!(driver.state(), StateKind::Backup);
    assert!(matches!(driver.commands()[..], [KernelCommand::RemoveAddress(_)]));
}

#[test]
fn an_owners_address_that_appears_before_its_start_is_nobodys_leftover() {
    let owner = InstanceConfig { priority: priority(255), ..v2() };
    let mut driver = Driver::unconfigured();
    driver.link(LinkState::Down);
    driver.configure(vec![owner], vec![]);
    driver.address("10.0.0.100", true);
    assert!(driver.commands().is_empty() && !told(&driver, "leftover-address"));
}

#[test]
fn an_engine_that_stops_is_releasing_until_the_kernel_has_answered() {
    let mut driver = master(Answer::Ok);
    driver.kernel = Answer::Silent;
    driver.handle(Input::Shutdown);
    assert!(driver.engine.status().is_releasing());
    let removal = driver.log.iter().find_map(|(_, output)| match output {
        Output::Kernel { id, command: KernelCommand::RemoveAddress(_) } => Some(*id),
        Output::Kernel { .. }
        | Output::Send { .. }
        | Output::Notify(_)
        | Output::Probe(_)
        | Output::Ipvs(_) => None,
    });
    driver.handle(Input::Done { id: removal.expect("a removal"), result: Ok(()) });
    assert!(!driver.engine.status().is_releasing());
}

#[test]
fn a_macvlan_that_a_reload_renames_is_made_anew_and_the_old_one_removed() {
    let named = |name: &str| {
        let interface = InterfaceName::new(name);
        let macvlan = VirtualMac { interface, transmit_from_parent: false };
        InstanceConfig { virtual_mac: Some(macvlan), ..v2() }
    };
    let mut driver = Driver::new(named("vrrp.51"));
    driver.run_until(at(M));
    driver.log.clear();
    driver.configure(vec![named("vip0")], vec![]);
    driver.configure(vec![v2()], vec![]);
    driver.handle(Input::Shutdown);
    let commands: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    assert_eq!(
        commands,
        [
            "set macvlan vip0 on eth0 with 00:00:5e:00:01:33 up",
            "remove address 10.0.0.100/32 on vrrp.51",
            "add address 10.0.0.100/32 on vip0",
            "remove macvlan vrrp.51",
            "remove address 10.0.0.100/32 on vip0",
            "add address 10.0.0.100/32 on eth0",
            "remove macvlan vip0",
            "remove address 10.0.0.100/32 on eth0",
        ]
    );
    assert!(!driver.engine.status().is_releasing());
}

/// RFC 9568 section 6.4.2: a Backup does not accept packets for the virtual router MAC address.
#[test]
fn the_virtual_mac_interface_is_up_around_its_addresses_and_down_in_backup_whoever_set_it_up() {
    let interface = InterfaceName::new("vrrp.51");
    let virtual_mac = Some(VirtualMac { interface, transmit_from_parent: false });
    let mut driver = Driver::new(InstanceConfig { virtual_mac, ..v2() });
    assert!(driver.commands().is_empty(), "it was never up");
    driver.run_until(at(M));
    driver.hear("10.0.0.1", 200);
    driver.link_of(Ifindex(3), "vrrp.51", LinkState::Up);
    let commands: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    let down = "set macvlan vrrp.51 on eth0 with 00:00:5e:00:01:33 down";
    assert_eq!(
        commands,
        [
            "set macvlan vrrp.51 on eth0 with 00:00:5e:00:01:33 up",
            "add address 10.0.0.100/32 on vrrp.51",
            "remove address 10.0.0.100/32 on vrrp.51",
            down,
            down,
        ]
    );
}

#[test]
fn an_address_that_is_taken_off_an_owners_list_stays_on_the_machine() {
    let owner = InstanceConfig { priority: priority(255), ..v2() };
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.configure(vec![owner.clone()], vec![]);
    let addresses = vec![VirtualAddress::new(ip("10.0.0.101"))];
    driver.configure(vec![InstanceConfig { addresses, ..owner }], vec![]);
    let commands: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    assert_eq!(commands, ["add address 10.0.0.101/32 on eth0"]);
}

#[test]
fn an_address_of_an_owner_that_is_one_no_more_goes_with_the_stop() {
    let owner = InstanceConfig { priority: priority(255), ..v2() };
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.configure(vec![owner], vec![]);
    driver.configure(vec![v2()], vec![]);
    driver.handle(Input::Shutdown);
    assert!(matches!(driver.commands()[..], [KernelCommand::RemoveAddress(_)]));
}

#[test]
fn an_owner_that_yields_keeps_the_address_that_it_speaks_from() {
    let mut owner = InstanceConfig { priority: priority(255), ..v3(100) };
    owner.addresses.push(VirtualAddress::new(ip("10.0.0.2")));
    let mut driver = Driver::new(owner);
    driver.address("10.0.0.100", true);
    driver.hear("10.0.0.3", 255);
    assert_eq!(driver.state(), StateKind::Backup);
    let removed: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    let last = removed.last().expect("a command");
    assert_eq!(last, "remove address 10.0.0.100/32 on eth0", "{removed:?}");
    driver.run_for(Duration::from_secs(4));
    assert_eq!(driver.state(), StateKind::Master, "the other owner is gone");
}

#[test]
fn an_owners_source_that_failed_to_be_added_and_came_by_itself_is_left_alone() {
    let mut owner = InstanceConfig { priority: priority(255), ..v2() };
    owner.transport =
        Transport::Multicast { group: ip("224.0.0.18"), source: Some(ip("10.0.0.100")) };
    let mut driver = Driver::unconfigured();
    driver.kernel = Answer::Fails;
    driver.link_of(Ifindex(3), "eth1", LinkState::Up);
    let address = ip("10.0.0.100");
    let elsewhere = LocalAddress { interface: Ifindex(3), address, present: true };
    driver.handle(Input::LocalAddress(elsewhere));
    driver.configure(vec![owner], vec![]);
    assert_eq!(driver.commands().len(), 1, "it is not on eth0");
    driver.address("10.0.0.100", true);
    driver.run_for(SECOND * 10);
    assert_eq!(driver.commands().len(), 1);
}

#[test]
fn under_strict_rules_a_second_lies_between_two_neighbour_advertisements_of_an_address() {
    let mut config = InstanceConfig::new("VI_1", Family::Ipv6, "eth0", driver::vrid());
    config.addresses = vec![VirtualAddress::new(ip("fe80::100"))];
    config.rules = Rules::of(Profile::Rfc9568);
    let mut driver = Driver::new(config);
    for _ in 0..40 {
        driver.run_for(nanos(250_000_000));
        driver.hear("fe80::1", 50);
    }
    let times = driver.announcements();
    assert!(times.len() > 4, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SECOND), "{times:?}");
}

#[test]
fn an_owner_that_yields_does_not_miss_the_address_that_it_gives_back() {
    let interval = Interval::DEFAULT;
    let owner = InstanceConfig { priority: priority(255), interval, ..v3(100) };
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.configure(vec![owner], vec![]);
    driver.kernel = Answer::Silent;
    driver.hear("10.0.0.3", 255);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.address("10.0.0.100", false);
    assert!(driver.news().iter().all(|(_, name)| *name != "address-lost"));
}

#[test]
fn a_burst_of_asserted_adverts_before_the_first_answer_is_not_a_row_of_refusals() {
    let mut driver = master(Answer::Ok);
    driver.wire = Answer::Silent;
    for _ in 0..4 {
        driver.run_for(nanos(1_000_000));
        driver.hear("10.0.0.1", 50);
    }
    let last = driver.log.iter().rev().find_map(|(_, output)| match output {
        Output::Send { id, frame: Frame::Advert(_) } => Some(*id),
        Output::Send { .. }
        | Output::Kernel { .. }
        | Output::Notify(_)
        | Output::Probe(_)
        | Output::Ipvs(_) => None,
    });
    let id = last.expect("an asserted advert");
    driver.handle(Input::Done { id, result: Err(EffectError::Refused) });
    assert_eq!(driver.state(), StateKind::Master, "one refusal, not four");
}

#[test]
fn an_answer_that_comes_twice_does_not_count_for_the_other_peer() {
    let peers = ["10.0.0.1", "10.0.0.3"].map(|peer| Peer::new(ip(peer))).to_vec();
    let transport = Transport::Unicast { source: None, peers, ttl: 255 };
    let mut driver = Driver::new(InstanceConfig { transport, ..v2() });
    driver.wire = Answer::Silent;
    driver.run_until(at(M));
    let sent = driver.log.iter().find_map(|(_, output)| match output {
        Output::Send { id, frame: Frame::Advert(_) } => Some(*id),
        Output::Send { .. }
        | Output::Kernel { .. }
        | Output::Notify(_)
        | Output::Probe(_)
        | Output::Ipvs(_) => None,
    });
    let id = sent.expect("an advert");
    driver.log.clear();
    for _ in 0..600 {
        driver.handle(Input::Done { id, result: Err(EffectError::Refused) });
    }
    assert!(driver.news().is_empty(), "{:?}", driver.news());
}

#[test]
fn a_refresh_of_zero_is_never() {
    let announcements = Announcements { refresh: Some(Duration::ZERO), ..Announcements::default() };
    let mut driver = Driver::new(InstanceConfig { announcements, ..v2() });
    driver.run_for(SECOND * 200);
    assert_eq!(driver.announcements().len(), 10, "at once and after the delay");
}

#[test]
fn an_interface_that_is_renamed_keeps_its_addresses() {
    let mut driver = Driver::new(InstanceConfig { interface: InterfaceName::new("lan0"), ..v2() });
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link_of(ETH0, "lan0", LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn an_interface_that_is_made_anew_before_the_old_one_is_reported_gone_goes_on() {
    let mut driver = Driver::new(v2());
    let anew = Ifindex(9);
    driver.link_of(anew, "eth0", LinkState::Up);
    let address = ip("10.0.0.2");
    driver.handle(Input::LocalAddress(LocalAddress { interface: anew, address, present: true }));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.link_of(ETH0, "eth0", LinkState::Absent);
    assert_eq!(driver.state(), StateKind::Backup, "the new one is still there");
}

#[test]
fn an_answer_to_an_instance_that_never_was_is_ignored() {
    let mut driver = master(Answer::Ok);
    let mut out = Outputs::new();
    for (instance, number) in [(0, u64::MAX), (1, 0), (u32::MAX, u64::MAX)] {
        let instance = vipd_engine::InstanceId(instance);
        let id = vipd_engine::CommandId { instance, number };
        driver.engine.handle(driver.now, Input::Done { id, result: Ok(()) }, &mut out);
    }
    let name = InterfaceName::new("eth5");
    let link = Link { interface: Ifindex(5), name, mac: OWN_MAC, state: LinkState::Absent };
    driver.engine.handle(driver.now, Input::Link(link), &mut out);
    assert!(out.as_slice().is_empty());
}
