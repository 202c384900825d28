//! Accept mode off: packets to a virtual address are dropped for as long as the address is there,
//! ARP and ND spared (RFC 9568 section 6.4.3). The filter stands before the address comes and goes
//! after it.

mod driver;

use driver::{Answer, Driver, priority, v2};
use vipd_engine::{InstanceConfig, LinkState, StateKind, Timestamp};

const M: Timestamp = Timestamp::from_nanos(3_609_375_000);

const ADD_FILTER: &str = "add filter for 10.0.0.100";
const ADD_ADDRESS: &str = "add address 10.0.0.100/32 on eth0";
const REMOVE_ADDRESS: &str = "remove address 10.0.0.100/32 on eth0";
const REMOVE_FILTER: &str = "remove filter for 10.0.0.100";

fn instance(accept: bool) -> InstanceConfig {
    let mut config = v2();
    config.rules.accept = accept;
    config
}

fn master(accept: bool) -> Driver {
    let mut driver = Driver::new(instance(accept));
    driver.run_until(M);
    assert_eq!(driver.state(), StateKind::Master);
    driver
}

/// Takes the kernel commands given so far.
fn commands(driver: &mut Driver) -> Vec<String> {
    let commands = driver.commands().iter().map(ToString::to_string).collect();
    driver.log.clear();
    commands
}

#[test]
fn the_filter_stands_before_the_address_comes_and_goes_after_it() {
    let mut driver = master(false);
    assert_eq!(commands(&mut driver), [ADD_FILTER, ADD_ADDRESS]);
    driver.hear("10.0.0.1", 200);
    assert_eq!(commands(&mut driver), [REMOVE_ADDRESS, REMOVE_FILTER]);
}

#[test]
fn with_accept_mode_on_there_is_no_filter() {
    let mut driver = master(true);
    driver.link(LinkState::Down);
    assert_eq!(commands(&mut driver), [ADD_ADDRESS, REMOVE_ADDRESS]);
}

#[test]
fn an_owner_accepts_whatever_accept_mode_says() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), ..instance(false) });
    driver.run_until(M);
    assert_eq!(commands(&mut driver), [ADD_ADDRESS]);
}

#[test]
fn a_filter_that_the_kernel_refuses_keeps_the_address_away() {
    let mut driver = Driver::new(instance(false));
    driver.kernel = Answer::Fails;
    driver.run_until(M);
    assert_eq!(commands(&mut driver), [ADD_FILTER]);
    driver.kernel = Answer::Ok;
    driver.run_for(std::time::Duration::from_secs(1));
    assert_eq!(commands(&mut driver), [ADD_FILTER, ADD_ADDRESS]);
}

#[test]
fn a_reload_turns_accept_mode_on_and_off_under_a_master() {
    let mut driver = master(false);
    commands(&mut driver);
    driver.configure(vec![instance(true)], vec![]);
    assert_eq!(commands(&mut driver), [REMOVE_FILTER]);
    driver.configure(vec![instance(false)], vec![]);
    assert_eq!(commands(&mut driver), [ADD_FILTER]);
    assert_eq!(driver.state(), StateKind::Master);
}
