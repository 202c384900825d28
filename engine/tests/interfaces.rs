//! Interfaces come, go, change their names and their numbers: what an engine makes of it.

mod driver;

use driver::{Driver, ETH0, ip, v2};
use vipd_engine::config::{Track, Tracked, Weight};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, DropReason, Ifindex, Input, InstanceConfig, InstanceName, InterfaceName, Interval,
    LinkState, LocalAddress, Received, StateKind, Version, Vrid,
};

const ETH1: Ifindex = Ifindex(3);
const ETH9: Ifindex = Ifindex(9);

/// An instance on eth0 that watches eth1.
fn watching(weight: i16, reverse: bool) -> InstanceConfig {
    let tracked = Tracked::Interface(InterfaceName::new("eth1"));
    let track = Track { tracked, weight: Weight { value: weight, reverse } };
    InstanceConfig { tracks: vec![track], ..v2() }
}

fn present(driver: &mut Driver, interface: Ifindex, address: &str) {
    let address = ip(address);
    driver.handle(Input::LocalAddress(LocalAddress { interface, address, present: true }));
}

/// Whether an advert of a better router that arrives on this interface counts.
fn hears_on(driver: &mut Driver, interface: Ifindex) -> bool {
    let received = |driver: &Driver| {
        let instances = driver.engine.status();
        instances.instances().map(|instance| instance.counters().received).sum::<u64>()
    };
    let (before, unclaimed) = (received(driver), driver.drops(DropReason::Vrid));
    // 10.0.0.1, priority 200, VRID 51, one second, 10.0.0.100.
    let bytes = [0x21, 51, 200, 1, 0, 1, 0x0c, 0x66, 10, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0];
    let (src, dst) = (ip("10.0.0.1"), ip("224.0.0.18"));
    driver.handle(Input::Advert(Received { interface, src, dst, ttl: 255, bytes: &bytes }));
    let counts = received(driver) == before + 1;
    assert_eq!(driver.drops(DropReason::Vrid), unclaimed + u64::from(!counts));
    counts
}

#[test]
fn a_watched_interface_without_carrier_is_a_fault_until_it_has_carrier_again() {
    let mut driver = Driver::unconfigured();
    driver.configure(vec![watching(0, false)], vec![]);
    assert_eq!(driver.state(), StateKind::Fault, "eth1 is not there");
    driver.link_of(ETH1, "eth1", LinkState::Down);
    assert_eq!(driver.state(), StateKind::Fault, "eth1 is there and passes nothing");
    driver.link_of(ETH1, "eth1", LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.link_of(ETH1, "eth1", LinkState::Down);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link_of(ETH1, "eth1", LinkState::Up);
    driver.link_of(ETH1, "eth1", LinkState::Absent);
    assert_eq!(driver.state(), StateKind::Fault);
}

#[test]
fn the_weight_of_a_watched_interface_counts_while_it_has_no_carrier() {
    let mut driver = Driver::unconfigured();
    driver.link_of(ETH1, "eth1", LinkState::Down);
    driver.configure(vec![watching(-30, false)], vec![]);
    let priority = |driver: &Driver| {
        driver.engine.status().instances().next().expect("an instance").priority().get()
    };
    assert_eq!(priority(&driver), 70);
    driver.link_of(ETH1, "eth1", LinkState::Up);
    assert_eq!(priority(&driver), 100);
}

#[test]
fn an_interface_that_is_made_anew_is_heard_under_its_new_index_only() {
    let mut driver = Driver::new(v2());
    assert!(hears_on(&mut driver, ETH0));
    driver.link(LinkState::Absent);
    assert!(!hears_on(&mut driver, ETH0), "it is gone");
    driver.link_of(ETH9, "eth0", LinkState::Up);
    present(&mut driver, ETH9, "10.0.0.2");
    assert!(hears_on(&mut driver, ETH9));
    assert!(!hears_on(&mut driver, ETH0));
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_name_that_comes_back_under_another_index_is_a_new_interface_without_addresses() {
    let mut driver = Driver::new(v2());
    driver.link_of(ETH9, "eth0", LinkState::Up);
    assert_eq!(driver.state(), StateKind::Fault, "nobody said that it has an address");
    present(&mut driver, ETH9, "10.0.0.2");
    assert_eq!(driver.state(), StateKind::Backup);
    assert!(hears_on(&mut driver, ETH9));
    assert!(!hears_on(&mut driver, ETH0), "the one that had the name is forgotten");
}

#[test]
fn a_renamed_interface_keeps_its_addresses_and_serves_the_instance_of_its_new_name() {
    let mut driver = Driver::unconfigured();
    let other = InstanceConfig {
        vrid: Vrid::new(52).expect("a VRID"),
        name: InstanceName::new("VI_2"),
        interface: InterfaceName::new("eth7"),
        ..v2()
    };
    driver.configure(vec![v2(), other], vec![]);
    assert_eq!(driver.states(), [StateKind::Backup, StateKind::Fault]);
    driver.link_of(ETH0, "eth7", LinkState::Up);
    assert_eq!(driver.states(), [StateKind::Fault, StateKind::Backup]);
    assert!(!hears_on(&mut driver, ETH0), "VRID 51 has no interface now");
    driver.link_of(ETH0, "eth0", LinkState::Up);
    assert_eq!(driver.states(), [StateKind::Backup, StateKind::Fault]);
    assert!(hears_on(&mut driver, ETH0));
}

#[test]
fn a_vrid_of_ipv4_is_nobodys_over_ipv6() {
    let mut driver = Driver::new(v2());
    let (src, dst) = (ip("fe80::1"), ip("ff02::12"));
    let advert = Advert {
        version: Version::V3,
        vrid: driver::vrid(),
        priority: 200,
        interval: Interval::DEFAULT,
        password: None,
        addresses: [ip("fe80::10")].into(),
    };
    let mut bytes = Vec::new();
    advert.emit(src, dst, ChecksumForm::PseudoHeader, &mut bytes);
    driver.hear_bytes("fe80::1", dst, 255, &bytes);
    assert_eq!(driver.engine.status().unclaimed().get(DropReason::Vrid), 1);
}
