//! `dead_man` (property S8): what is asked of the kernel, and when an engine that was not called in
//! time stops being Master. That the kernel shuts the gate is in `scenarios/dead-man`.

mod driver;

use driver::{Answer, Driver, ip, nanos, priority, v2, v3};
use proptest::prelude::*;
use std::time::Duration;
use vipd_engine::config::{ConfigRule, GroupConfig, VirtualAddress};
use vipd_engine::vrrp::lease::{GATE_DELAY, LATENESS};
use vipd_engine::{
    CommandId, Config, Engine, Fault, Frame, GroupName, Input, InstanceConfig, InstanceName,
    InterfaceName, KernelCommand, Output, Outputs, Snapshot, StateKind, Timestamp, Vrid,
};

/// Three intervals and the skew of priority 100.
const M: Duration = Duration::from_nanos(3_609_375_000);
const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_millis(1500);

fn leased() -> InstanceConfig {
    InstanceConfig { dead_man: Some(LEASE), ..v2() }
}

/// Master since just now, its first advert accepted and its lease renewed.
fn master(config: InstanceConfig) -> Driver {
    let mut driver = Driver::new(config);
    driver.run_until(Timestamp::ZERO + M);
    assert_eq!(driver.state(), StateKind::Master);
    driver
}

fn lease_end(driver: &Driver) -> Option<Timestamp> {
    driver.engine.status().instances().next().expect("an instance").lease_end()
}

fn why(driver: &Driver) -> String {
    driver.engine.status().instances().next().expect("an instance").why().to_string()
}

/// The renewals that were asked for.
fn renewals(driver: &Driver) -> Vec<Timestamp> {
    let commands = driver.commands().into_iter();
    commands
        .filter_map(|command| match command {
            KernelCommand::RenewLease { until, .. } => Some(until),
            _ => None,
        })
        .collect()
}

/// Time passes and nobody calls the engine.
fn stand_still(driver: &mut Driver, time: Duration) {
    driver.now = driver.now + time;
    driver.log.clear();
}

#[test]
fn the_gate_stands_before_the_first_address_comes_and_goes_after_the_last_one() {
    let mut driver = Driver::new(leased());
    let places = vec![(InterfaceName::new("eth0"), ip("10.0.0.100"))];
    let gate = driver.commands();
    assert!(matches!(&gate[..], [KernelCommand::SetGate { places: set, .. }] if *set == places));
    driver.log.clear();
    driver.run_until(Timestamp::ZERO + M);
    assert!(matches!(
        driver.commands()[..],
        [KernelCommand::AddAddress(_), KernelCommand::RenewLease { .. }]
    ));
    driver.log.clear();
    driver.handle(Input::Shutdown);
    assert!(matches!(
        driver.commands()[..],
        [KernelCommand::RemoveAddress(_), KernelCommand::RemoveGate { .. }]
    ));
    assert!(!driver.engine.status().is_releasing());
}

#[test]
fn no_address_comes_while_the_gate_is_not_there() {
    let mut driver = master(leased());
    driver.kernel = Answer::Silent;
    driver.log.clear();
    let mut config = leased();
    config.addresses.push(VirtualAddress::new(ip("10.0.0.101")));
    driver.configure(vec![config], vec![]);
    assert!(matches!(driver.commands()[..], [KernelCommand::SetGate { .. }]));
}

#[test]
fn without_dead_man_nothing_of_it_is_asked() {
    let driver = master(v2());
    assert!(matches!(driver.commands()[..], [KernelCommand::AddAddress(_)]));
    assert_eq!(lease_end(&driver), None);
}

#[test]
fn each_round_that_the_kernel_accepts_renews_the_lease_from_when_it_began() {
    let mut driver = master(leased());
    driver.log.clear();
    driver.run_for(SECOND * 3);
    let begun: Vec<_> = driver.adverts().into_iter().map(|(at, _)| at + LEASE).collect();
    assert_eq!(renewals(&driver), begun);
    assert_eq!(lease_end(&driver), begun.last().copied());
}

#[test]
fn an_answer_that_comes_late_does_not_move_the_end() {
    let mut driver = master(leased());
    driver.wire = Answer::Silent;
    driver.log.clear();
    driver.run_for(SECOND);
    let begun = driver.now;
    let sent = driver.log.iter().find_map(|(_, output)| match output {
        Output::Send { id, frame: Frame::Advert(_) } => Some(*id),
        _ => None,
    });
    driver.now = driver.now + Duration::from_millis(300);
    driver.handle(Input::Done { id: sent.expect("an advert"), result: Ok(()) });
    assert_eq!(renewals(&driver), [begun + LEASE]);
}

#[test]
fn a_refused_round_renews_nothing_and_the_lease_ends_before_three_are_refused() {
    let mut driver = master(leased());
    let end = driver.now + LEASE;
    driver.wire = Answer::Fails;
    driver.log.clear();
    driver.run_for(LEASE);
    assert_eq!(renewals(&driver), []);
    assert_eq!((driver.state(), driver.now), (StateKind::Backup, end));
    assert_eq!(why(&driver), "its own last advert is older than its lease");
}

#[test]
fn a_renewal_that_the_kernel_refuses_is_told_and_is_none() {
    let mut driver = master(leased());
    let end = driver.now + LEASE;
    driver.run_for(SECOND / 2);
    driver.kernel = Answer::Fails;
    driver.log.clear();
    driver.run_for(SECOND / 2);
    assert_eq!(renewals(&driver).len(), 1);
    assert_eq!(lease_end(&driver), Some(end));
    assert!(driver.news().iter().any(|(_, name)| *name == "command-failed"));
    driver.run_until(end);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn an_engine_that_stood_still_steps_down_before_it_looks_at_what_it_is_told() {
    let mut driver = master(leased());
    stand_still(&mut driver, LEASE);
    driver.hear("10.0.0.1", 50);
    let lines = driver.take_lines();
    assert!(
        lines[0].ends_with("VI_1: master -> backup: its own last advert is older than its lease")
    );
    assert!(lines[1].contains("remove address 10.0.0.100"), "{lines:?}");
    assert_eq!(lines.len(), 2, "the lower advert is not answered, nor priority 0 sent: {lines:?}");
}

#[test]
fn a_nanosecond_before_its_end_the_lease_holds() {
    let mut driver = master(leased());
    stand_still(&mut driver, LEASE - nanos(1));
    driver.handle(Input::Tick);
    assert_eq!(driver.state(), StateKind::Master);
    assert_eq!(renewals(&driver), [driver.now + LEASE], "the overdue advert leaves at once");
}

#[test]
fn whoever_stepped_down_waits_like_any_backup() {
    let mut driver = master(leased());
    stand_still(&mut driver, LEASE * 2);
    driver.handle(Input::Tick);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_for(M - nanos(1));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_for(nanos(1));
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn a_sync_group_steps_down_with_the_member_whose_lease_is_over() {
    let other = InstanceConfig {
        name: InstanceName::new("VI_2"),
        vrid: Vrid::new(52).unwrap(),
        addresses: vec![],
        ..v2()
    };
    let group = GroupConfig {
        name: GroupName::new("VG"),
        members: vec![InstanceName::new("VI_1"), InstanceName::new("VI_2")],
        tracks: vec![],
        tracking_weight: false,
    };
    for dead_man in [None, Some(LEASE)] {
        let mut driver = Driver::unconfigured();
        let other = InstanceConfig { dead_man, ..other.clone() };
        driver.configure(vec![leased(), other], vec![group.clone()]);
        driver.run_until(Timestamp::ZERO + M);
        assert_eq!(driver.states(), [StateKind::Master; 2]);
        stand_still(&mut driver, LEASE);
        driver.handle(Input::Tick);
        assert_eq!(driver.states(), [StateKind::Backup; 2]);
        assert!(driver.adverts().is_empty());
    }
}

#[test]
fn a_kernel_that_takes_no_gate_is_a_fault_until_it_takes_one() {
    let mut driver = Driver::unconfigured();
    driver.kernel = Answer::Fails;
    driver.configure(vec![leased()], vec![]);
    assert_eq!(driver.state(), StateKind::Fault);
    let status = driver.engine.status();
    assert_eq!(status.instances().next().unwrap().fault(), Some(&Fault::NoGate));
    driver.kernel = Answer::Ok;
    driver.run_for(SECOND);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_reload_of_a_master_brings_the_lease_and_takes_it_away() {
    let mut driver = master(v2());
    driver.run_for(SECOND / 2);
    driver.log.clear();
    driver.configure(vec![leased()], vec![]);
    let begun = Timestamp::ZERO + M;
    assert!(matches!(driver.commands()[0], KernelCommand::SetGate { .. }));
    assert_eq!(renewals(&driver), [begun + LEASE], "the gate is open as soon as it is there");
    driver.log.clear();
    driver.configure(vec![v2()], vec![]);
    assert!(matches!(driver.commands()[..], [KernelCommand::RemoveGate { .. }]));
    assert_eq!((driver.state(), lease_end(&driver)), (StateKind::Master, None));
}

#[test]
fn a_lease_is_part_of_a_snapshot() {
    let driver = master(leased());
    let written = serde_json::to_string(&driver.engine.snapshot()).unwrap();
    let read: Snapshot = serde_json::from_str(&written).unwrap();
    let mut engine = Engine::try_from(read).unwrap();
    engine.check_invariants();
    let mut out = Outputs::new();
    engine.handle(driver.now + LEASE, Input::Tick, &mut out);
    assert_eq!(engine.status().instances().next().unwrap().state(), StateKind::Backup);
}

/// The rule that a configuration with this breaks.
fn broken(config: InstanceConfig) -> Option<ConfigRule> {
    let errors = Config::new(vec![config], vec![], Duration::ZERO).err()?;
    errors.into_iter().next().map(|error| error.rule)
}

#[test]
fn the_range_is_open_below_and_closed_above() {
    let with = |config: InstanceConfig, lease| InstanceConfig { dead_man: Some(lease), ..config };
    let micros = Duration::from_micros;
    // 2 s + 1/256 s - 15 ms, whatever the interval; at 100 ms the skew is 100 ms / 256.
    let (v2_range, v3_range) =
        ((SECOND + LATENESS, nanos(1_988_906_250)), (micros(105_000), nanos(185_390_625)));
    for (config, (least, most)) in [(v2(), v2_range), (v3(10), v3_range)] {
        assert_eq!(config.dead_man_range(), Some((least, most)));
        let rule = Some(ConfigRule::DeadManOutOfRange(least, most));
        assert_eq!(broken(with(config.clone(), least)), rule);
        assert_eq!(broken(with(config.clone(), least + nanos(1))), None);
        assert_eq!(broken(with(config.clone(), most)), None);
        assert_eq!(broken(with(config.clone(), most + nanos(1))), rule);
    }
    assert_eq!(broken(with(v3(1), micros(15_000))), Some(ConfigRule::DeadManNeedsTime));
    let owner = InstanceConfig { priority: priority(255), ..leased() };
    assert_eq!(broken(owner), Some(ConfigRule::DeadManOfOwner));
    let patient = InstanceConfig { down_timer_adverts: 5, ..v2() };
    assert_eq!(patient.dead_man_range().map(|range| range.1), Some(v2_range.1 + SECOND * 2));
}

proptest! {
    /// What the range is for, played at its very edges: the last advert before the end is lost on
    /// the way to a backup, the one before it was as early as it can be, and the gate is late.
    #[test]
    fn no_backup_can_take_over_before_the_gate_of_a_dead_master_is_shut(
        centiseconds in 2_i64..=4095,
        adverts in 2_u8..=100,
        own in 1_i64..=255,
        late in 0_u64..=5_000_000,
    ) {
        let config = InstanceConfig { down_timer_adverts: adverts, ..v3(centiseconds) };
        prop_assume!(config.dead_man_range().is_some());
        let (least, most) = config.dead_man_range().unwrap();
        let interval = config.interval.duration();
        // A master that lives renews in time, however late it is.
        prop_assert!(interval + nanos(late) < least + nanos(1));
        let heard = Timestamp::ZERO;
        let lost = heard + interval + nanos(late);
        let shut = lost + most + GATE_DELAY;
        let skew = interval * (256 - own as u32) / 256;
        let takes_over = heard + interval * u32::from(adverts) + skew;
        prop_assert!(shut <= takes_over + nanos(1), "{shut} after {takes_over}");
    }

    /// However an engine is called, a Master is never older than its lease, and what it asks of the
    /// kernel never lasts longer than the lease from an advert that left.
    #[test]
    fn a_master_is_never_older_than_its_lease(
        steps in prop::collection::vec((0_u64..2_000, 0_u8..6, any::<bool>()), 1..200),
    ) {
        let mut driver = Driver::new(leased());
        let mut sent = Timestamp::ZERO;
        for (millis, what, accepts) in steps {
            driver.wire = if accepts { Answer::Ok } else { Answer::Fails };
            driver.now = driver.now + Duration::from_millis(millis);
            match what {
                0 => driver.hear("10.0.0.1", 50),
                1 => driver.hear("10.0.0.1", 200),
                2 => driver.hear("10.0.0.1", 0),
                3 => driver.address("10.0.0.77", true),
                _ => driver.handle(Input::Tick),
            }
            let accepted = driver.adverts().last().map(|(at, _)| *at).filter(|_| accepts);
            sent = accepted.unwrap_or(sent);
            for until in renewals(&driver) {
                prop_assert!(until <= sent + LEASE);
            }
            if driver.state() == StateKind::Master {
                prop_assert!(lease_end(&driver).is_some_and(|end| driver.now < end));
            }
            driver.log.clear();
        }
    }
}

/// An instance with a short interval and this lease.
fn quick(dead_man: Option<Duration>) -> InstanceConfig {
    InstanceConfig { dead_man, ..v3(10) }
}

const QUICK_LEASE: Duration = Duration::from_millis(150);

/// Master, told by a file of such a lease, and its gate, which the kernel has not answered for.
fn with_its_gate_asked_for() -> (Driver, CommandId) {
    let mut driver = master(quick(None));
    driver.log.clear();
    driver.kernel = Answer::Silent;
    driver.configure(vec![quick(Some(QUICK_LEASE))], vec![]);
    let gate = driver.log.iter().find_map(|(_, output)| match output {
        Output::Kernel { id, command: KernelCommand::SetGate { .. } } => Some(*id),
        _ => None,
    });
    (driver, gate.expect("a gate"))
}

#[test]
fn a_gate_that_was_refused_is_asked_for_again_also_where_one_stood_before() {
    for answer in [Answer::Fails, Answer::Silent] {
        let mut driver = master(leased());
        driver.kernel = answer;
        let mut config = leased();
        config.addresses.push(VirtualAddress::new(ip("10.0.0.101")));
        driver.configure(vec![config], vec![]);
        driver.run_for(SECOND);
        assert_eq!(driver.state(), StateKind::Fault);
        driver.kernel = Answer::Ok;
        driver.configure(vec![leased()], vec![]);
        driver.run_for(SECOND * 2);
        assert_eq!(driver.state(), StateKind::Backup, "{}", why(&driver));
    }
}

#[test]
fn a_lease_that_a_reload_brings_begins_when_its_gate_is_there() {
    let (mut driver, gate) = with_its_gate_asked_for();
    driver.run_for(QUICK_LEASE * 2);
    assert_eq!((driver.state(), lease_end(&driver)), (StateKind::Master, None));
    driver.handle(Input::Done { id: gate, result: Ok(()) });
    let end = driver.now + QUICK_LEASE;
    assert_eq!(lease_end(&driver), Some(end));
    driver.run_for(QUICK_LEASE);
    assert_eq!((driver.state(), driver.now), (StateKind::Backup, end), "no renewal was accepted");
}

#[test]
fn an_engine_that_was_not_called_until_long_after_the_gate_was_there_is_no_master() {
    let (mut driver, gate) = with_its_gate_asked_for();
    stand_still(&mut driver, QUICK_LEASE * 3);
    driver.handle(Input::Done { id: gate, result: Ok(()) });
    driver.handle(Input::Tick);
    assert_eq!((driver.state(), driver.adverts().len()), (StateKind::Backup, 0));
}

#[test]
fn a_reload_that_shortens_a_lease_shortens_the_one_that_runs() {
    let long = InstanceConfig { dead_man: Some(Duration::from_millis(1900)), ..v3(100) };
    let mut driver = master(long);
    driver.run_for(SECOND / 4);
    driver.configure(vec![quick(Some(QUICK_LEASE))], vec![]);
    assert_eq!(lease_end(&driver), Some(driver.now + QUICK_LEASE));
    driver.run_for(SECOND);
    assert_eq!(driver.state(), StateKind::Master);
    stand_still(&mut driver, QUICK_LEASE * 2);
    driver.handle(Input::Tick);
    assert_eq!(driver.state(), StateKind::Backup);
}
