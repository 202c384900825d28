//! Faults, trackers and sync groups: what an instance needs, and who it waits for.

mod driver;

use driver::{Answer, Driver, ETH0, ip, priority, v2};
use std::time::Duration;
use vipd_engine::config::{GroupConfig, Track, Tracked, VirtualAddress, Weight};
use vipd_engine::{
    GroupName, Ifindex, Input, InstanceConfig, InstanceName, InterfaceName, KernelCommand,
    LinkState, LocalAddress, StateKind, Timestamp, TrackerName, TrackerValue, Vrid,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SECOND: Duration = Duration::from_secs(1);

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

fn track(name: &str, weight: i16) -> Track {
    let tracked = Tracked::Tracker(TrackerName::new(name));
    Track { tracked, weight: Weight { value: weight, reverse: false } }
}

fn tracking(weight: i16) -> InstanceConfig {
    InstanceConfig { tracks: vec![track("check", weight)], ..v2() }
}

#[test]
fn a_missing_interface_is_waited_for_in_fault() {
    let mut driver = Driver::unconfigured();
    driver.link(LinkState::Absent);
    driver.configure(vec![v2()], vec![]);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link_of(Ifindex(9), "eth0", LinkState::Up);
    assert_eq!(driver.state(), StateKind::Fault, "it has no address yet");
    let address = ip("10.0.0.2");
    driver.handle(Input::LocalAddress(LocalAddress {
        interface: Ifindex(9),
        address,
        present: true,
    }));
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_master_whose_link_goes_down_tries_to_resign_and_gives_its_address_back() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(M));
    driver.log.clear();
    driver.wire = Answer::Fails;
    driver.link(LinkState::Down);
    assert_eq!(driver.state(), StateKind::Fault);
    assert_eq!(driver.adverts(), [(at(M), 0)]);
    assert!(matches!(driver.commands()[..], [KernelCommand::RemoveAddress(_)]));
    driver.wire = Answer::Ok;
    driver.link(LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(driver.deadline(), Some(at(M + M)));
}

#[test]
fn an_instance_that_does_not_track_its_link_stays_master_without_carrier() {
    let mut driver = Driver::new(InstanceConfig { ignore_primary_link: true, ..v2() });
    driver.run_until(at(M));
    driver.link(LinkState::Down);
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn adverts_never_leave_from_a_virtual_address() {
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.2", false);
    driver.address("10.0.0.100", true);
    driver.configure(vec![v2()], vec![]);
    assert_eq!(driver.state(), StateKind::Fault, "the leftover address is no source");
}

#[test]
fn a_configured_source_is_waited_for() {
    let mut config = v2();
    config.transport = vipd_engine::config::Transport::Unicast {
        source: Some(ip("10.0.0.7")),
        peers: vec![vipd_engine::config::Peer::new(ip("10.0.0.1"))],
        ttl: 255,
    };
    let mut driver = Driver::new(config);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.address("10.0.0.7", true);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_tracker_that_has_not_reported_keeps_the_instance_in_initialize() {
    let mut driver = Driver::new(tracking(0));
    assert_eq!(driver.state(), StateKind::Initialize);
    driver.tracker("check", TrackerValue::Up);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.tracker("check", TrackerValue::Down);
    assert_eq!(driver.state(), StateKind::Fault);
}

#[test]
fn a_weight_changes_the_priority_of_the_next_advert_and_shifts_a_running_down_timer() {
    let mut driver = Driver::new(tracking(-50));
    driver.run_until(at(SECOND));
    driver.tracker("check", TrackerValue::Down);
    // Fifty steps of 1/256 s.
    let shifted = at(M + Duration::from_nanos(195_312_500));
    assert_eq!(driver.deadline(), Some(shifted));
    driver.run_until(shifted);
    assert_eq!(driver.adverts(), [(shifted, 50)]);
    let told = driver.log.iter().map(|(_, output)| output.to_string());
    let why = "VI_1: backup -> master: no master heard for 3.8046875 s";
    assert!(told.into_iter().any(|line| line == why));
    driver.tracker("check", TrackerValue::Up);
    assert_eq!(driver.adverts().len(), 1, "no advert for the sake of it");
    driver.run_for(SECOND);
    assert_eq!(driver.adverts()[1], (shifted + SECOND, 100));
}

#[test]
fn the_owners_priority_is_not_lowered() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), ..tracking(-50) });
    driver.tracker("check", TrackerValue::Down);
    driver.run_for(SECOND);
    assert!(driver.adverts().iter().all(|(_, priority)| *priority == 255));
}

#[test]
fn a_tracked_interface_with_weight_zero_is_a_fault_while_it_is_down() {
    let tracked = Tracked::Interface(InterfaceName::new("eth1"));
    let tracks = vec![Track { tracked, weight: Weight::FAULT }];
    let mut driver = Driver::new(InstanceConfig { tracks, ..v2() });
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link_of(Ifindex(3), "eth1", LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.link_of(Ifindex(3), "eth1", LinkState::Absent);
    assert_eq!(driver.state(), StateKind::Fault);
}

/// `VI_1` watches "one", `VI_2` watches "two"; both are members of the group.
fn group() -> Driver {
    let member = |name: &str, vrid: i64, address: &str, watched: &str| {
        let mut config = v2();
        config.name = InstanceName::new(name);
        config.vrid = Vrid::new(vrid).unwrap();
        config.addresses = vec![VirtualAddress::new(ip(address))];
        config.tracks = vec![track(watched, 0)];
        config
    };
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let config = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
    let mut driver = Driver::unconfigured();
    driver.tracker("one", TrackerValue::Up);
    driver.tracker("two", TrackerValue::Up);
    let first = member("VI_1", 51, "10.0.0.100", "one");
    driver.configure(vec![first, member("VI_2", 52, "10.0.0.101", "two")], vec![config]);
    driver
}

/// An advert for the second member.
fn hear_second(driver: &mut Driver, heard: u8) {
    let advert = vipd_engine::Advert {
        version: vipd_engine::Version::V2,
        vrid: Vrid::new(52).unwrap(),
        priority: heard,
        interval: vipd_engine::Interval::DEFAULT,
        password: None,
        addresses: [ip("10.0.0.101")].into(),
    };
    driver.hear_advert("10.0.0.1", &advert);
}

/// The first member wants to be Master, and waits for the second, which follows one.
fn waiting_group() -> Driver {
    let mut driver = group();
    driver.run_until(at(SECOND));
    hear_second(&mut driver, 150);
    driver.run_until(at(M));
    driver
}

#[test]
fn members_become_master_together_and_only_when_each_of_them_wants_to() {
    let mut driver = group();
    driver.run_until(at(SECOND));
    hear_second(&mut driver, 150);
    driver.run_until(at(SECOND + M - Duration::from_nanos(1)));
    assert_eq!(driver.states(), [StateKind::Backup; 2], "the first one waits for the second");
    assert!(driver.adverts().is_empty(), "and was not Master for a moment in between");
    driver.run_until(at(SECOND + M));
    assert_eq!(driver.states(), [StateKind::Master; 2]);
}

#[test]
fn a_waiting_member_that_hears_a_master_again_waits_no_more() {
    let mut driver = waiting_group();
    driver.hear("10.0.0.1", 150);
    driver.run_until(at(SECOND + M));
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    driver.run_until(at(M + M));
    assert_eq!(driver.states(), [StateKind::Master; 2]);
}

#[test]
fn one_member_that_yields_takes_the_others_along() {
    let mut driver = group();
    driver.run_until(at(M));
    assert_eq!(driver.states(), [StateKind::Master; 2]);
    hear_second(&mut driver, 150);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
}

/// Whoever hears of it on the wires of the others need not be a group, and may be Master there.
#[test]
fn a_member_that_is_taken_along_resigns_and_the_one_that_yields_says_its_priority_once_more() {
    let mut driver = group();
    driver.run_until(at(M));
    let before = driver.adverts().len();
    hear_second(&mut driver, 150);
    let priorities: Vec<_> =
        driver.adverts()[before..].iter().map(|(_, priority)| *priority).collect();
    assert_eq!(priorities, [100, 0]);
}

/// The transition table over (own state, group state, tracked fault): what a member becomes when
/// its own tracker, the other member's tracker, or both are bad, from each state of the group.
#[test]
fn the_fault_of_one_member_is_the_fault_of_all_from_every_state() {
    use StateKind::{Backup, Fault, Master};
    let good = [TrackerValue::Up, TrackerValue::Down];
    for start in [Backup, Master, Fault] {
        for own in good {
            for other in good {
                let mut driver = group();
                match start {
                    Master => driver.run_until(at(M)),
                    Fault => driver.link(LinkState::Down),
                    Backup | StateKind::Initialize => {}
                }
                assert_eq!(driver.states(), [start; 2]);
                driver.tracker("one", own);
                driver.tracker("two", other);
                let healthy = own == TrackerValue::Up && other == TrackerValue::Up;
                let expected = if healthy { start } else { Fault };
                let case = format!("{start}, own {own:?}, other {other:?}");
                assert_eq!(driver.states(), [expected; 2], "{case}");
                driver.tracker("one", TrackerValue::Up);
                driver.tracker("two", TrackerValue::Up);
                driver.link(LinkState::Up);
                let recovered = if healthy && start == Master { Master } else { Backup };
                assert_eq!(driver.states(), [recovered; 2], "{case}, mended");
            }
        }
    }
}

#[test]
fn weights_do_not_count_in_a_group_unless_it_says_so() {
    for (tracking_weight, expected) in [(false, 100), (true, 50)] {
        let members = vec![InstanceName::new("VI_1")];
        let tracks = vec![track("check", -50)];
        let group = GroupConfig { name: GroupName::new("VG"), members, tracks, tracking_weight };
        let mut driver = Driver::unconfigured();
        driver.tracker("check", TrackerValue::Down);
        driver.configure(vec![v2()], vec![group]);
        driver.run_for(SECOND * 5);
        assert_eq!(driver.adverts()[0].1, expected, "tracking_weight {tracking_weight}");
    }
}

#[test]
fn a_reload_that_dissolves_a_group_lets_a_waiting_member_go() {
    let mut driver = waiting_group();
    let (configs, _) = grouped(&driver);
    driver.configure(configs, vec![]);
    assert_eq!(driver.states(), [StateKind::Master, StateKind::Backup]);
}

#[test]
fn a_waiting_member_that_a_reload_lets_go_with_a_fault_is_not_master_for_a_moment() {
    let mut driver = waiting_group();
    let (mut configs, _) = grouped(&driver);
    configs[0].tracks.push(track("three", 0));
    driver.tracker("three", TrackerValue::Down);
    driver.log.clear();
    driver.configure(configs, vec![]);
    assert_eq!(driver.states(), [StateKind::Fault, StateKind::Backup]);
    assert!(driver.adverts().is_empty() && driver.commands().is_empty());
}

#[test]
fn interfaces_that_come_back_under_another_index_are_the_same_interface() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(M));
    driver.link_of(ETH0, "eth0", LinkState::Absent);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link_of(Ifindex(77), "eth0", LinkState::Up);
    let address = ip("10.0.0.2");
    driver.handle(Input::LocalAddress(LocalAddress {
        interface: Ifindex(77),
        address,
        present: true,
    }));
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_tracker_that_a_reload_adds_does_not_stop_what_runs_before_it_reports() {
    for start in [Duration::ZERO, M] {
        let mut driver = Driver::new(v2());
        driver.run_until(at(start));
        let before = driver.state();
        driver.configure(vec![tracking(0)], vec![]);
        assert_eq!(driver.state(), before);
        driver.tracker("check", TrackerValue::Down);
        assert_eq!(driver.state(), StateKind::Fault);
        driver.tracker("check", TrackerValue::Pending);
        assert_eq!(driver.state(), StateKind::Fault, "it has not recovered by being started again");
    }
}

/// The two configurations of [`group`] and the group itself.
fn grouped(driver: &Driver) -> (Vec<InstanceConfig>, GroupConfig) {
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let group =
        GroupConfig { name: GroupName::new("VG"), members, tracks: vec![], tracking_weight: false };
    let instances = driver.engine.status().instances();
    (instances.map(|instance| instance.config().clone()).collect(), group)
}

#[test]
fn who_is_new_in_a_group_of_masters_becomes_one_of_them_once_it_may_start() {
    let mut driver = group();
    let (instances, group) = grouped(&driver);
    driver.configure(instances[..1].to_vec(), vec![]);
    driver.run_until(at(M));
    driver.tracker("two", TrackerValue::Pending);
    driver.configure(instances, vec![group]);
    assert_eq!(driver.states(), [StateKind::Master, StateKind::Initialize]);
    driver.tracker("two", TrackerValue::Up);
    assert_eq!(driver.states(), [StateKind::Master; 2]);
}

#[test]
fn a_reload_that_groups_a_master_with_one_that_follows_leaves_no_master_alone() {
    let mut driver = group();
    let (instances, group) = grouped(&driver);
    driver.configure(instances.clone(), vec![]);
    driver.run_until(at(SECOND));
    hear_second(&mut driver, 150);
    driver.run_until(at(M));
    assert_eq!(driver.states(), [StateKind::Master, StateKind::Backup]);
    driver.configure(instances, vec![group]);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
}

#[test]
fn a_group_waits_for_a_member_that_has_not_started() {
    let mut driver = group();
    let (instances, group) = grouped(&driver);
    driver.configure(vec![], vec![]);
    driver.tracker("two", TrackerValue::Pending);
    driver.configure(instances, vec![group]);
    assert_eq!(driver.states(), [StateKind::Backup, StateKind::Initialize]);
    driver.run_until(at(M * 2));
    assert_eq!(driver.states(), [StateKind::Backup, StateKind::Initialize]);
    driver.tracker("two", TrackerValue::Up);
    driver.run_for(M);
    assert_eq!(driver.states(), [StateKind::Master; 2]);
}

/// What is told of groups, without the name of who tells it.
fn told_of_groups(driver: &mut Driver) -> Vec<String> {
    let lines = driver.take_lines().into_iter();
    lines.filter_map(|line| line.split_once("sync group ").map(|(_, told)| told.into())).collect()
}

#[test]
fn the_state_of_a_group_is_told_once_after_all_of_its_members_have_it() {
    let second = InstanceConfig {
        addresses: vec![VirtualAddress::new(ip("10.0.0.101"))],
        tracks: vec![track("check", 0)],
        vrid: Vrid::new(52).expect("a vrid"),
        ..v2()
    };
    let second = InstanceConfig { name: InstanceName::new("VI_2"), ..second };
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let group = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
    let mut driver = Driver::unconfigured();
    driver.configure(vec![v2(), second.clone()], vec![group.clone()]);
    assert_eq!(told_of_groups(&mut driver), [""; 0], "one member waits for its tracker");
    driver.tracker("check", TrackerValue::Up);
    assert_eq!(told_of_groups(&mut driver), ["VG: init -> backup"]);
    driver.run_for(M);
    let lines: Vec<_> = driver.log.iter().map(|(_, output)| output.to_string()).collect();
    let last = lines.iter().rposition(|line| line.contains(": backup -> master")).expect("it is");
    assert!(lines[last].starts_with("VI_1: sync group VG"), "after the members: {lines:?}");
    assert_eq!(told_of_groups(&mut driver), ["VG: backup -> master"]);
    driver.configure(vec![v2(), second.clone()], vec![group]);
    assert_eq!(told_of_groups(&mut driver), [""; 0], "a reload changes nothing of it");
    driver.tracker("check", TrackerValue::Down);
    assert_eq!(told_of_groups(&mut driver), ["VG: master -> fault"]);
    driver.tracker("check", TrackerValue::Up);
    assert_eq!(told_of_groups(&mut driver), ["VG: fault -> backup"]);
    driver.handle(Input::Shutdown);
    let lines = driver.take_lines();
    let told = lines.last().expect("it tells");
    assert!(told.ends_with("VI_1: sync group VG: backup -> init"), "{lines:?}");
}
