//! A configuration for an instance that goes on: what keeps running and what begins anew.

mod driver;

use driver::{Driver, ip, nanos, priority, v2, v3};
use std::time::Duration;
use vipd_engine::config::VirtualAddress;
use vipd_engine::{InstanceConfig, Interval, LinkState, StateKind, Timestamp, Version};

const SECOND: Duration = Duration::from_secs(1);
/// Three intervals and the skew of priority 100 at one second.
const M: Duration = Duration::from_nanos(3_609_375_000);

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

/// The deadline of a Backup that takes this configuration over after one second.
fn deadline_after(old: InstanceConfig, new: InstanceConfig) -> Option<Timestamp> {
    let mut driver = Driver::new(old);
    driver.run_until(at(SECOND));
    driver.configure(vec![new], vec![]);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.deadline()
}

#[test]
fn a_reload_that_changes_no_time_lets_the_down_timer_run() {
    let addresses = vec![VirtualAddress::new(ip("10.0.0.101"))];
    let other = InstanceConfig { addresses, preempt: false, ..v2() };
    assert_eq!(deadline_after(v2(), other), Some(at(M)));
}

/// Found by a hunt: the timer went on that the lower master had not re-armed.
#[test]
fn a_priority_that_falls_back_leaves_the_master_alone_that_is_no_longer_lower() {
    for priority_heard in [100, 200] {
        let mut driver = Driver::new(InstanceConfig { priority: priority(250), ..v2() });
        for _ in 0..3 {
            driver.run_for(SECOND);
            driver.hear("10.0.0.1", priority_heard);
        }
        driver.configure(vec![v2()], vec![]);
        assert_eq!(driver.deadline(), Some(driver.now + M), "{priority_heard} was heard");
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", priority_heard);
        assert_eq!(driver.state(), StateKind::Backup);
    }
}

/// The same with another Preempt_Mode. A master that is lower still is not in the way.
#[test]
fn a_reload_to_nopreempt_follows_the_lower_master_and_one_to_a_priority_above_it_does_not() {
    let lower = |config: InstanceConfig| {
        let mut driver = Driver::new(InstanceConfig { priority: priority(250), ..v2() });
        driver.run_for(SECOND * 3);
        driver.hear("10.0.0.1", 50);
        let before = driver.deadline();
        driver.configure(vec![config], vec![]);
        (before, driver.deadline(), driver.now)
    };
    let (_, after, now) = lower(InstanceConfig { preempt: false, ..v2() });
    assert_eq!(after, Some(now + M));
    let (before, after, _) = lower(v2());
    let skew = Duration::from_nanos(1_000_000_000 / 256 * 150);
    assert_eq!(after, before.map(|at| at + skew), "the change of the skew alone");
}

#[test]
fn a_reload_that_changes_a_time_arms_the_down_timer_anew() {
    let interval = Interval::from_seconds(2).expect("2 s");
    let slower = InstanceConfig { interval, ..v2() };
    assert_eq!(deadline_after(v2(), slower), Some(at(SECOND + SECOND * 3 + M)));
    let patient = InstanceConfig { down_timer_adverts: 5, ..v2() };
    assert_eq!(deadline_after(v2(), patient), Some(at(SECOND + SECOND * 2 + M)));
    assert_eq!(v3(100).version, Version::V3);
    assert_eq!(deadline_after(v2(), v3(100)), Some(at(SECOND + M)));
}

#[test]
fn a_faster_master_advertises_earlier_and_a_slower_one_when_it_would_have() {
    let seconds = |seconds| {
        let interval = Interval::from_seconds(seconds).expect("an interval");
        InstanceConfig { interval, ..v2() }
    };
    for (before, after, next) in [(5, 1, 1), (1, 5, 1), (5, 2, 2)] {
        let mut driver = Driver::new(seconds(before));
        driver.run_for(nanos(16_000_000_000));
        driver.run_until(driver.adverts().last().expect("an advert").0);
        let advertised = driver.now;
        driver.configure(vec![seconds(after)], vec![]);
        driver.log.clear();
        driver.run_for(SECOND * 5);
        let first = driver.adverts().first().map(|(time, _)| *time);
        assert_eq!(first, Some(advertised + SECOND * next), "{before} s to {after} s");
    }
}

/// Erratum 8298: of two owners the greater address stays.
#[test]
fn an_owner_that_yields_gives_its_address_back_and_takes_it_again() {
    let owner = InstanceConfig { priority: priority(255), ..v3(100) };
    let mut driver = Driver::new(owner);
    driver.log.clear();
    driver.hear("10.0.0.9", 255);
    assert_eq!(driver.state(), StateKind::Backup);
    let told: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["remove address 10.0.0.100/32 on eth0"]);
}

/// The rule for a late advert after a resignation does not outlive the instance's start.
#[test]
fn a_resignation_that_was_heard_before_a_fault_is_forgotten() {
    let mut driver = Driver::new(v2());
    driver.hear("10.0.0.1", 0);
    driver.run_for(nanos(200_000_000));
    driver.link(LinkState::Down);
    driver.link(LinkState::Up);
    driver.hear("10.0.0.1", 200);
    assert_eq!(driver.deadline(), Some(driver.now + M));
}
