//! An address that somebody removes from a Master again and again: it steps down, says so, and
//! comes back by itself. That a single loss is repaired is in `kernel_answers` and the scenarios.

mod driver;

use driver::{Driver, ip, nanos, priority, v2};
use serde_json::{Value, json};
use std::time::Duration;
use vipd_engine::config::{GroupConfig, VirtualAddress};
use vipd_engine::vrrp::vanishing::{LOSSES, QUIET, WITHIN};
use vipd_engine::{
    Engine, GroupName, Input, InstanceConfig, InstanceName, KernelCommand, LinkState, Snapshot,
    StateKind, Timestamp, Vrid,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SECOND: Duration = Duration::from_secs(1);
const VIP: &str = "10.0.0.100";

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

/// A master since a second.
fn master(config: InstanceConfig) -> Driver {
    let mut driver = Driver::new(config);
    driver.run_until(at(M + SECOND));
    assert_eq!(driver.state(), StateKind::Master);
    driver.log.clear();
    driver
}

/// The kernel has the address that was added, and then somebody removes it.
fn lose(driver: &mut Driver, address: &str) {
    driver.address(address, true);
    driver.address(address, false);
}

fn lose_often(driver: &mut Driver, address: &str, times: usize) {
    for _ in 0..times {
        lose(driver, address);
    }
}

fn why(driver: &Driver) -> String {
    driver.engine.status().instances().next().expect("an instance").why().to_string()
}

#[test]
fn the_fifth_loss_within_ten_seconds_makes_a_master_resign_and_say_which_address_vanishes() {
    let mut driver = master(v2());
    for loss in 1..LOSSES {
        lose(&mut driver, VIP);
        assert_eq!(driver.state(), StateKind::Master);
        driver.run_for(if loss == 4 { WITHIN - SECOND * 3 } else { SECOND });
    }
    assert_eq!(driver.news().len(), LOSSES - 1, "each is told");
    driver.address(VIP, true);
    driver.log.clear();
    driver.address(VIP, false);
    let end = M + SECOND + WITHIN;
    assert_eq!(driver.now, at(end));
    let lines = driver.take_lines();
    let told = "VI_1: master -> fault: 10.0.0.100 keeps vanishing, removed 5 times within 10 s";
    assert_eq!(lines.len(), 2, "one advert, one line, and it is not added again: {lines:?}");
    assert!(lines[0].contains(" prio 0 "), "{lines:?}");
    assert!(lines[1].ends_with(told), "{lines:?}");
}

#[test]
fn a_nanosecond_more_than_ten_seconds_is_time_enough_for_five_losses() {
    let mut driver = master(v2());
    lose_often(&mut driver, VIP, LOSSES - 1);
    driver.run_for(WITHIN + nanos(1));
    driver.log.clear();
    lose(&mut driver, VIP);
    assert_eq!(driver.state(), StateKind::Master);
    assert!(matches!(driver.commands()[..], [KernelCommand::AddAddress(_)]));
    // All four before it are forgotten: it takes four more.
    lose_often(&mut driver, VIP, LOSSES - 2);
    assert_eq!(driver.state(), StateKind::Master);
    lose(&mut driver, VIP);
    assert_eq!(driver.state(), StateKind::Fault);
}

#[test]
fn losses_that_are_spread_over_a_longer_time_are_repaired_for_ever() {
    let mut driver = master(v2());
    for _ in 0..100 {
        lose(&mut driver, VIP);
        driver.run_for(WITHIN / 4 + nanos(1));
    }
    assert_eq!(driver.state(), StateKind::Master);
    assert!(driver.news().iter().all(|(_, name)| *name == "address-lost"));
}

#[test]
fn each_address_counts_for_itself() {
    let addresses = (0..20).map(|last| VirtualAddress::new([10, 0, 0, 100 + last].into()));
    let mut driver = master(InstanceConfig { addresses: addresses.collect(), ..v2() });
    for _ in 1..LOSSES {
        for last in 100..120 {
            lose(&mut driver, &format!("10.0.0.{last}"));
        }
    }
    assert_eq!(driver.state(), StateKind::Master, "an interface was emptied four times");
    driver.log.clear();
    lose(&mut driver, "10.0.0.107");
    assert!(why(&driver).starts_with("10.0.0.107 keeps vanishing"));
    let removed = driver
        .commands()
        .iter()
        .filter(|one| matches!(one, KernelCommand::RemoveAddress(_)))
        .count();
    assert_eq!(removed, 19, "the others are given back");
}

#[test]
fn it_recovers_by_itself_half_a_minute_later_to_the_nanosecond_and_counts_anew() {
    let mut driver = master(v2());
    lose_often(&mut driver, VIP, LOSSES);
    let fault = M + SECOND;
    assert_eq!(driver.deadline(), Some(at(fault + QUIET)));
    driver.run_until(at(fault + QUIET - nanos(1)));
    assert_eq!(driver.state(), StateKind::Fault);
    driver.run_until(at(fault + QUIET));
    assert_eq!((driver.state(), why(&driver).as_str()), (StateKind::Backup, "recovered"));
    driver.run_for(M);
    lose_often(&mut driver, VIP, LOSSES - 1);
    assert_eq!(driver.state(), StateKind::Master);
    lose(&mut driver, VIP);
    assert_eq!(driver.state(), StateKind::Fault);
}

#[test]
fn a_link_that_flaps_meanwhile_does_not_bring_it_back_early() {
    let mut driver = master(v2());
    lose_often(&mut driver, VIP, LOSSES);
    driver.link(LinkState::Down);
    driver.link(LinkState::Up);
    driver.configure(vec![InstanceConfig { priority: priority(101), ..v2() }], vec![]);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link(LinkState::Down);
    driver.run_for(QUIET);
    assert_eq!(driver.state(), StateKind::Fault, "for its link");
    driver.link(LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn the_owner_of_the_addresses_steps_down_and_comes_back_too() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), ..v2() });
    assert_eq!(driver.state(), StateKind::Master);
    lose_often(&mut driver, VIP, LOSSES);
    assert_eq!(driver.state(), StateKind::Fault);
    // Nobody adds it meanwhile but whoever plays with it.
    driver.log.clear();
    lose_often(&mut driver, VIP, LOSSES);
    assert_eq!((driver.state(), driver.commands().len()), (StateKind::Fault, 0));
    driver.run_for(QUIET);
    assert_eq!(driver.state(), StateKind::Master);
    assert!(matches!(driver.commands()[..], [KernelCommand::AddAddress(_)]));
}

#[test]
fn its_sync_group_steps_down_and_comes_back_with_it() {
    let second = InstanceConfig {
        name: InstanceName::new("VI_2"),
        vrid: Vrid::new(52).expect("a vrid"),
        addresses: vec![VirtualAddress::new(ip("10.0.0.101"))],
        ..v2()
    };
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let group = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
    let mut driver = Driver::unconfigured();
    driver.configure(vec![v2(), second], vec![group]);
    driver.run_until(at(M));
    assert_eq!(driver.states(), [StateKind::Master; 2]);
    driver.log.clear();
    lose_often(&mut driver, VIP, LOSSES);
    assert_eq!(driver.states(), [StateKind::Fault; 2]);
    assert_eq!(driver.adverts(), [(at(M), 0); 2], "both resign");
    driver.run_for(QUIET - nanos(1));
    assert_eq!(driver.states(), [StateKind::Fault; 2]);
    driver.run_for(nanos(1));
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    driver.run_for(M);
    assert_eq!(driver.states(), [StateKind::Master; 2]);
}

#[test]
fn a_snapshot_keeps_what_was_lost_and_one_that_would_never_try_again_is_refused() {
    let restored = |value: &Value| {
        let read: Snapshot = serde_json::from_value(value.clone()).expect("a snapshot");
        Engine::try_from(read).map_err(|error| error.to_string())
    };
    let mut driver = master(v2());
    lose_often(&mut driver, VIP, LOSSES - 1);
    let mut value = serde_json::to_value(driver.engine.snapshot()).expect("JSON");
    driver.engine = restored(&value).expect("an engine");
    lose(&mut driver, VIP);
    assert_eq!(driver.state(), StateKind::Fault);

    let mut faulty = serde_json::to_value(driver.engine.snapshot()).expect("JSON");
    driver.engine = restored(&faulty).expect("an engine");
    driver.run_for(QUIET);
    assert_eq!(driver.state(), StateKind::Backup);
    faulty["instances"][0]["state"]["Fault"]["retry_at"] = json!(null);
    assert_eq!(restored(&faulty).err().as_deref(), Some("VI_1 never tries an address again"));
    for last in 0..17 {
        let losses = json!([1, null, null, null]);
        value["instances"][0]["vanishing"]["until"][format!("10.9.9.{last}")] = losses;
    }
    assert_eq!(restored(&value).err().as_deref(), Some("VI_1 remembers too many losses"));
    driver.handle(Input::Shutdown);
}
