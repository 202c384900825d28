//! What an operator may order of a virtual router: to yield, to be held, to resume.

mod driver;

use driver::{Driver, ip, nanos, priority, v2};
use std::time::Duration;
use vipd_engine::config::{GroupConfig, VirtualAddress};
use vipd_engine::{
    GroupName, InstanceConfig, InstanceName, LinkState, Order, Standing, StateKind, Timestamp, Vrid,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SKEW: Duration = Duration::from_nanos(609_375_000);
const SECOND: Duration = Duration::from_secs(1);
const PEER: &str = "10.0.0.1";

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

/// An instance that became master at `M`, its log emptied.
fn master(config: InstanceConfig) -> Driver {
    let mut driver = Driver::new(config);
    driver.run_until(at(M));
    assert_eq!(driver.state(), StateKind::Master);
    driver.log.clear();
    driver
}

fn standing(driver: &Driver) -> Standing {
    driver.engine.status().instances().next().expect("an instance").standing()
}

/// A lower router is master for this many seconds.
fn lower_master(driver: &mut Driver, seconds: u32) {
    for _ in 0..seconds {
        driver.run_for(SECOND);
        driver.hear(PEER, 50);
    }
}

#[test]
fn a_master_that_is_to_yield_resigns_first_and_gives_its_address_back() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Yield);
    let lines = driver.take_lines();
    let resigns = "3.609375000 send advert v2 vrid 51 prio 0 int 1 s 10.0.0.2 -> 224.0.0.18";
    assert_eq!(
        lines,
        [
            "3.609375000 VI_1: an operator ordered yield",
            resigns,
            "3.609375000 VI_1: master -> backup: an operator ordered yield",
            "3.609375000 remove address 10.0.0.100/32 on eth0",
        ]
    );
}

#[test]
fn who_yields_leaves_a_lower_master_alone_until_it_is_resumed() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Yield);
    lower_master(&mut driver, 20);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Yielding));
    driver.order("VI_1", Order::Resume);
    let resumed = driver.now;
    lower_master(&mut driver, 3);
    assert_eq!(driver.state(), StateKind::Backup, "the down timer runs from the last advert");
    driver.run_for(SECOND);
    assert_eq!(driver.state(), StateKind::Master);
    let master = driver.adverts().last().expect("an advert").0;
    assert_eq!((master, standing(&driver)), (resumed + M, Standing::Free));
}

#[test]
fn a_backup_that_is_to_yield_leaves_the_lower_master_alone_that_it_was_about_to_preempt() {
    let mut driver = Driver::new(v2());
    lower_master(&mut driver, 3);
    driver.order("VI_1", Order::Yield);
    assert_eq!(driver.deadline(), Some(driver.now + M));
    lower_master(&mut driver, 20);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Yielding));
}

#[test]
fn who_yields_takes_over_when_it_is_needed_and_is_as_before() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Yield);
    lower_master(&mut driver, 5);
    driver.log.clear();
    driver.run_for(M - nanos(1));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_for(nanos(1));
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Master, Standing::Free));
    assert_eq!(driver.news()[0].1, "yield-over");
    driver.hear(PEER, 50);
    assert_eq!(driver.state(), StateKind::Master, "it obeys the election again");
}

#[test]
fn who_yields_takes_over_from_a_master_that_resigns_after_the_skew() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Yield);
    lower_master(&mut driver, 5);
    driver.hear(PEER, 0);
    driver.run_for(SKEW);
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn who_is_held_does_not_become_master_even_if_nobody_else_is() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Hold);
    assert_eq!(driver.adverts(), [(at(M), 0)]);
    driver.run_for(SECOND * 100);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Held));
    assert_eq!(driver.adverts().len(), 1);
    driver.order("VI_1", Order::Resume);
    assert_eq!(driver.state(), StateKind::Master, "its timer ran out long ago");
}

#[test]
fn who_was_held_and_hears_a_lower_master_preempts_it_after_its_resumption() {
    let mut driver = Driver::new(v2());
    driver.order("VI_1", Order::Hold);
    driver.run_for(SECOND * 10);
    lower_master(&mut driver, 10);
    driver.order("VI_1", Order::Resume);
    assert_eq!(driver.state(), StateKind::Backup, "there is a master, it was heard this instant");
    driver.run_for(M);
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn the_last_order_counts_and_one_that_is_in_force_is_no_news() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Hold);
    driver.order("VI_1", Order::Hold);
    assert_eq!(driver.news().iter().filter(|(_, name)| *name == "ordered").count(), 1);
    driver.run_for(M);
    driver.order("VI_1", Order::Yield);
    assert_eq!(driver.state(), StateKind::Master, "it may, and nobody else is there");
    driver.log.clear();
    driver.order("VI_1", Order::Resume);
    driver.order("VI_7", Order::Hold);
    assert_eq!(driver.take_lines(), [""; 0], "it is as before, and there is no VI_7");
}

#[test]
fn an_order_outlasts_a_fault_a_reload_and_a_new_identity_under_the_same_name() {
    let mut driver = master(v2());
    driver.order("VI_1", Order::Hold);
    driver.link(LinkState::Down);
    driver.link(LinkState::Up);
    driver.run_for(M * 2);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Held));
    driver.configure(vec![InstanceConfig { preempt: false, ..v2() }], vec![]);
    assert_eq!(standing(&driver), Standing::Held);
    let vrid = Vrid::new(52).expect("a vrid");
    driver.configure(vec![InstanceConfig { vrid, ..v2() }], vec![]);
    driver.run_for(M * 2);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Held));
    driver.configure(vec![InstanceConfig { priority: priority(255), vrid, ..v2() }], vec![]);
    driver.link(LinkState::Down);
    driver.link(LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup, "also an owner's");
}

/// Two instances in a group of the name `VG`.
fn group() -> (Vec<InstanceConfig>, Vec<GroupConfig>) {
    let second = InstanceConfig {
        addresses: vec![VirtualAddress::new(ip("10.0.0.101"))],
        vrid: Vrid::new(52).expect("a vrid"),
        ..v2()
    };
    let second = InstanceConfig { name: InstanceName::new("VI_2"), ..second };
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let group = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
    (vec![v2(), second], vec![group])
}

#[test]
fn a_sync_group_obeys_as_one_and_each_member_resigns_for_itself() {
    let (instances, groups) = group();
    let mut driver = Driver::unconfigured();
    driver.configure(instances, groups);
    driver.run_until(at(M));
    assert_eq!(driver.states(), [StateKind::Master; 2]);
    driver.log.clear();
    driver.order("VI_2", Order::Hold);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    assert_eq!(driver.adverts(), [(at(M), 0); 2]);
    driver.run_for(M * 3);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    driver.order("VI_1", Order::Yield);
    assert_eq!(driver.states(), [StateKind::Master; 2], "nobody else is there");
    assert!(driver.engine.status().instances().all(|one| one.standing() == Standing::Free));
}

#[test]
fn a_group_that_a_held_member_joins_is_held() {
    let (instances, groups) = group();
    let mut driver = Driver::unconfigured();
    driver.configure(instances.clone(), vec![]);
    driver.order("VI_2", Order::Hold);
    driver.run_until(at(M * 2));
    assert_eq!(driver.states(), [StateKind::Master, StateKind::Backup]);
    driver.configure(instances, groups);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    driver.run_for(M * 2);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    driver.order("VI_1", Order::Resume);
    assert_eq!(driver.states(), [StateKind::Master; 2]);
}
