//! The state machine of RFC 3768 and RFC 9568 section 6.4, one sentence a test, to the nanosecond.

mod driver;

use driver::{Answer, Driver, ip, nanos, priority, v2, v3};
use std::time::Duration;
use vipd_engine::config::VirtualAddress;
use vipd_engine::rules::LowerPriorityRule;
use vipd_engine::{
    Input, InstanceConfig, Interval, KernelCommand, Profile, Rules, StateKind, Timestamp,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SKEW: Duration = Duration::from_nanos(609_375_000);
const SECOND: Duration = Duration::from_secs(1);

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

#[test]
fn a_backup_is_silent_until_its_down_timer_runs_out_and_then_advertises_first() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(M - nanos(1)));
    assert_eq!((driver.state(), driver.adverts().len()), (StateKind::Backup, 0));
    driver.take_lines();
    driver.run_until(at(M));
    let garp = "3.609375000 send gratuitous ARP 10.0.0.100 is-at 02:00:00:00:00:01";
    assert_eq!(
        driver.take_lines(),
        [
            "3.609375000 send advert v2 vrid 51 prio 100 int 1 s 10.0.0.2 -> 224.0.0.18",
            "3.609375000 VI_1: backup -> master: no master heard for 3.609375 s",
            "3.609375000 add address 10.0.0.100/32 on eth0",
            garp,
            garp,
            garp,
            garp,
            garp,
        ]
    );
}

#[test]
fn an_owner_is_master_at_once() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), ..v2() });
    assert_eq!(driver.state(), StateKind::Master);
    assert_eq!(driver.adverts(), [(Timestamp::ZERO, 255)]);
    driver.run_for(SECOND);
    assert_eq!(driver.adverts()[1], (at(SECOND), 255));
}

#[test]
fn a_thousand_adverts_do_not_drift_although_each_timer_is_late() {
    let mut driver = master(v2());
    let late = nanos(1_000_000);
    while let Some(due) = driver.deadline().filter(|due| *due <= at(M + SECOND * 1000)) {
        driver.now = due + late;
        driver.handle(Input::Tick);
    }
    let times: Vec<_> = driver.adverts().into_iter().map(|(time, _)| time).collect();
    let exact: Vec<_> = (1..=1000).map(|count| at(M + SECOND * count + late)).collect();
    assert_eq!(times, exact);
}

#[test]
fn a_late_timer_acts_once() {
    let mut driver = master(v2());
    driver.now = at(M + SECOND * 10);
    driver.handle(Input::Tick);
    assert_eq!(driver.adverts().len(), 1);
    driver.run_for(SECOND);
    assert_eq!(driver.adverts()[1].0, at(M + SECOND * 11));
}

#[test]
fn an_advert_of_equal_priority_rearms_the_backup_and_a_lower_one_does_not() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(SECOND));
    driver.hear("10.0.0.1", 100);
    assert_eq!(driver.deadline(), Some(at(SECOND + M)));
    driver.run_for(SECOND);
    driver.hear("10.0.0.1", 99);
    assert_eq!(driver.deadline(), Some(at(SECOND + M)));
}

#[test]
fn with_nopreempt_a_lower_advert_rearms_too() {
    let mut driver = Driver::new(InstanceConfig { preempt: false, ..v2() });
    driver.run_until(at(SECOND));
    driver.hear("10.0.0.1", 1);
    assert_eq!(driver.deadline(), Some(at(SECOND + M)));
}

#[test]
fn priority_zero_leaves_only_the_skew_and_each_one_begins_it_anew() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(SECOND));
    driver.hear("10.0.0.1", 0);
    assert_eq!(driver.deadline(), Some(at(SECOND + SKEW)));
    driver.run_for(nanos(300_000_000));
    driver.hear("10.0.0.1", 0);
    driver.run_until(at(SECOND + nanos(300_000_000) + SKEW - nanos(1)));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_for(nanos(1));
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn an_advert_that_was_overtaken_by_priority_zero_costs_one_interval_at_most() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(SECOND));
    driver.hear("10.0.0.1", 0);
    driver.hear("10.0.0.1", 150);
    assert_eq!(driver.deadline(), Some(at(SECOND + SECOND + SKEW)));
    driver.run_for(SECOND);
    driver.hear("10.0.0.1", 150);
    assert_eq!(driver.deadline(), Some(at(SECOND * 2 + M)), "the period is over");
}

#[test]
fn a_master_answers_the_first_late_advert_of_one_that_resigned_and_obeys_the_second() {
    let mut driver = master(v2());
    driver.run_for(nanos(100_000_000));
    driver.hear("10.0.0.1", 0);
    driver.hear("10.0.0.1", 150);
    assert_eq!((driver.state(), driver.adverts().len()), (StateKind::Master, 2));
    driver.hear("10.0.0.1", 150);
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(driver.deadline(), Some(driver.now + M));
}

#[test]
fn a_master_that_hears_priority_zero_advertises_at_once_and_then_one_interval_later() {
    let mut driver = master(v2());
    driver.run_for(nanos(400_000_000));
    let heard = driver.now;
    driver.hear("10.0.0.1", 0);
    driver.run_for(SECOND);
    assert_eq!(driver.adverts(), [(heard, 100), (heard + SECOND, 100)]);
}

#[test]
fn a_master_yields_to_a_higher_priority_with_one_last_advert() {
    let mut driver = master(v2());
    driver.hear("10.0.0.1", 101);
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(driver.deadline(), Some(at(M + M)));
    assert_eq!(
        driver.take_lines(),
        [
            "3.609375000 send advert v2 vrid 51 prio 100 int 1 s 10.0.0.2 -> 224.0.0.18",
            "3.609375000 VI_1: master -> backup: 10.0.0.1 has priority 101",
            "3.609375000 remove address 10.0.0.100/32 on eth0",
        ]
    );
}

#[test]
fn of_two_equal_masters_the_greater_address_stays() {
    let mut driver = master(v2());
    driver.hear("10.0.0.1", 100);
    assert_eq!(driver.state(), StateKind::Master);
    driver.hear("10.0.0.3", 100);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn preempt_mode_plays_no_part_in_master() {
    let mut driver = master(InstanceConfig { preempt: false, ..v2() });
    driver.hear("10.0.0.1", 101);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn a_lower_advert_is_answered_at_once_and_the_addresses_announced_twice() {
    let mut driver = master(v2());
    driver.run_for(SECOND * 6);
    driver.log.clear();
    let heard = driver.now;
    driver.hear("10.0.0.1", 50);
    assert_eq!(driver.adverts(), [(heard, 100)]);
    assert_eq!(driver.announcements(), [heard; 5]);
    driver.run_for(SECOND * 5);
    assert_eq!(driver.announcements()[5..], [heard + SECOND * 5; 5]);
}

#[test]
fn with_the_older_rules_a_lower_advert_is_ignored() {
    let lower_priority = LowerPriorityRule::Silent;
    let rules = Rules { lower_priority, ..Rules::default() };
    let mut driver = master(InstanceConfig { rules, ..v2() });
    driver.hear("10.0.0.1", 50);
    assert!(driver.adverts().is_empty());
}

#[test]
fn a_hundred_low_adverts_in_a_tenth_of_a_second_draw_four() {
    let mut driver = master(v2());
    driver.run_for(nanos(200_000_000));
    for _ in 0..100 {
        driver.run_for(nanos(1_000_000));
        driver.hear("10.0.0.1", 50);
    }
    assert_eq!(driver.adverts().len(), 4);
}

#[test]
fn the_third_assert_to_a_deaf_rival_raises_the_one_way_alarm_once() {
    let mut driver = master(v2());
    for _ in 0..6 {
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", 50);
    }
    let alarms: Vec<_> = driver.news().into_iter().filter(|(_, name)| *name == "one-way").collect();
    assert_eq!(alarms, [(at(M + SECOND * 3), "one-way")]);
    assert_eq!(deaf(&driver), ["10.0.0.1"], "as long as it goes on");
    driver.run_for(SECOND * 5);
    assert_eq!(deaf(&driver), [""; 0], "it was silent for more than four of its intervals");
}

/// Who does not hear the master, as its status says.
fn deaf(driver: &Driver) -> Vec<String> {
    let status = driver.engine.status();
    let instance = status.instances().next().expect("an instance");
    instance.deaf_rivals(driver.now).map(|peer| peer.to_string()).collect()
}

#[test]
fn v3_learns_the_interval_of_the_master_and_keeps_its_own_for_its_own_adverts() {
    let mut driver = Driver::new(v3(100));
    let two = Interval::from_centiseconds(200).unwrap();
    let advert = vipd_engine::Advert {
        version: vipd_engine::Version::V3,
        vrid: driver::vrid(),
        priority: 150,
        interval: two,
        password: None,
        addresses: [ip("10.0.0.100")].into(),
    };
    driver.hear_advert("10.0.0.1", &advert);
    assert_eq!(driver.deadline(), Some(at(nanos(7_218_750_000))));
    driver.hear_advert("10.0.0.1", &vipd_engine::Advert { priority: 0, ..advert });
    assert_eq!(driver.deadline(), Some(at(nanos(1_218_750_000))), "skew of the learnt interval");
    driver.run_until(at(nanos(1_218_750_000)));
    driver.log.clear();
    driver.run_for(SECOND * 2);
    assert_eq!(driver.adverts().len(), 2);
}

#[test]
fn a_preempt_delay_begins_with_the_first_lower_advert() {
    let preempt_delay = SECOND * 10;
    let mut driver = Driver::new(InstanceConfig { preempt_delay, ..v2() });
    for second in 1..=30 {
        driver.run_until(at(SECOND * second));
        driver.hear("10.0.0.1", 50);
        if driver.state() == StateKind::Master {
            break;
        }
    }
    // The last advert that counts comes at 10 s, the hold ends at 11 s.
    let became = driver.news().into_iter().filter(|(_, name)| *name == "state").nth(1);
    assert_eq!(became, Some((at(SECOND * 10 + M), "state")));
}

#[test]
fn a_clean_stop_sends_priority_zero_and_then_removes_the_address() {
    let mut driver = master(v2());
    driver.handle(Input::Shutdown);
    assert_eq!(
        driver.take_lines(),
        [
            "3.609375000 send advert v2 vrid 51 prio 0 int 1 s 10.0.0.2 -> 224.0.0.18",
            "3.609375000 VI_1: master -> init: stopped",
            "3.609375000 remove address 10.0.0.100/32 on eth0",
        ]
    );
    assert!(!driver.engine.status().is_releasing());
    driver.run_for(SECOND * 100);
    assert!(driver.log.is_empty());
}

#[test]
fn a_backup_stops_without_a_word_on_the_wire() {
    let mut driver = Driver::new(v2());
    driver.log.clear();
    driver.handle(Input::Shutdown);
    assert!(driver.adverts().is_empty());
}

#[test]
fn an_address_is_announced_only_once_the_kernel_has_it() {
    let mut driver = Driver::new(v2());
    driver.kernel = Answer::Silent;
    driver.run_until(at(M));
    assert!(driver.announcements().is_empty());
    driver.kernel = Answer::Ok;
    driver.run_for(SECOND * 2);
    assert_eq!(driver.announcements()[0], at(M + SECOND * 2), "a second's limit, a second's wait");
}

#[test]
fn an_address_removed_behind_our_back_is_added_again_at_once() {
    let mut driver = master(v2());
    driver.address("10.0.0.100", true);
    driver.address("10.0.0.100", false);
    assert_eq!(driver.news(), [(at(M), "address-lost")]);
    assert!(matches!(driver.commands()[..], [KernelCommand::AddAddress(_)]));
}

#[test]
fn an_address_left_over_from_a_crash_is_removed_before_the_election() {
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.configure(vec![v2()], vec![]);
    assert_eq!(driver.news()[0], (Timestamp::ZERO, "leftover-address"));
    assert!(matches!(driver.commands()[..], [KernelCommand::RemoveAddress(_)]));
}

#[test]
fn an_owners_own_address_is_neither_removed_at_the_start_nor_at_the_stop() {
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.100", true);
    driver.configure(vec![InstanceConfig { priority: priority(255), ..v2() }], vec![]);
    assert_eq!(driver.announcements().len(), 5);
    driver.handle(Input::Shutdown);
    assert!(driver.commands().is_empty(), "{:?}", driver.commands());
}

#[test]
fn without_accept_mode_the_filter_stands_before_the_address_and_goes_after_it() {
    let rules = Rules::of(Profile::Rfc3768);
    let mut driver = Driver::new(InstanceConfig { rules, ..v2() });
    driver.run_until(at(M));
    driver.handle(Input::Shutdown);
    let commands: Vec<_> = driver.commands().iter().map(ToString::to_string).collect();
    assert_eq!(
        commands,
        [
            "add filter for 10.0.0.100",
            "add address 10.0.0.100/32 on eth0",
            "remove address 10.0.0.100/32 on eth0",
            "remove filter for 10.0.0.100",
        ]
    );
}

#[test]
fn three_refused_rounds_put_the_instance_in_fault_until_a_new_try() {
    let mut driver = master(v2());
    driver.wire = Answer::Fails;
    driver.run_for(SECOND * 3);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.wire = Answer::Ok;
    driver.run_for(M);
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn adverts_that_are_never_answered_count_as_refused() {
    let mut driver = master(v2());
    driver.wire = Answer::Silent;
    driver.run_for(SECOND * 4);
    assert_eq!(driver.state(), StateKind::Fault);
}

#[test]
fn announcements_are_refreshed_each_minute_and_end_with_the_state() {
    let mut driver = master(v2());
    driver.run_for(SECOND * 120);
    let times = driver.announcements();
    assert_eq!(times[..5], [at(M + SECOND * 5); 5]);
    assert_eq!(times[5..], [at(M + SECOND * 60), at(M + SECOND * 120)]);
    driver.hear("10.0.0.1", 200);
    driver.log.clear();
    for _ in 0..120 {
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", 200);
    }
    assert!(driver.announcements().is_empty());
}

#[test]
fn a_reload_of_the_same_identity_keeps_state_and_timers_and_sends_nothing() {
    let mut driver = master(v2());
    driver.run_for(nanos(500_000_000));
    driver.log.clear();
    let mut changed = v2();
    changed.addresses.push(VirtualAddress::new(ip("10.0.0.101")));
    driver.configure(vec![changed], vec![]);
    assert_eq!(driver.state(), StateKind::Master);
    assert!(driver.adverts().is_empty());
    assert_eq!(driver.commands().len(), 1, "only the new address is added");
    assert_eq!(driver.announcements().len(), 5, "and announced");
    assert_eq!(driver.deadline(), Some(at(M + SECOND)), "the next advert is where it was");
}

#[test]
fn a_reload_that_drops_an_instance_resigns_for_it() {
    let mut driver = master(v2());
    driver.configure(vec![], vec![]);
    assert_eq!(driver.adverts(), [(at(M), 0)]);
    assert!(driver.states().is_empty());
}

#[test]
fn during_a_start_up_delay_adverts_are_ignored_and_nobody_becomes_master() {
    let mut driver = Driver::unconfigured();
    let config = vipd_engine::Config::new(vec![v2()], vec![], SECOND * 10).unwrap();
    driver.handle(Input::Configure(config.into()));
    driver.run_until(at(SECOND * 10 - nanos(1)));
    assert_eq!(driver.state(), StateKind::Initialize);
    driver.run_until(at(SECOND * 10 + M));
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn a_reload_has_no_start_up_delay_even_if_nothing_ran_before_it() {
    let mut driver = Driver::unconfigured();
    driver.configure(vec![], vec![]);
    let config = vipd_engine::Config::new(vec![v2()], vec![], SECOND * 10).unwrap();
    driver.handle(Input::Configure(config.into()));
    assert_eq!(driver.state(), StateKind::Backup);
}

#[test]
fn each_mastership_is_counted_and_nothing_else() {
    let mut driver = Driver::new(v2());
    let count = |driver: &Driver| {
        let status = driver.engine.status();
        status.instances().next().expect("an instance").counters().master_transitions
    };
    assert_eq!(count(&driver), 0);
    for mastership in 1..=2 {
        driver.run_for(nanos(5_000_000_000));
        assert_eq!((driver.state(), count(&driver)), (StateKind::Master, mastership));
        driver.hear("10.0.0.1", 200);
        assert_eq!((driver.state(), count(&driver)), (StateKind::Backup, mastership));
    }
}

#[test]
fn an_advert_that_is_late_by_a_whole_interval_is_sent_once() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(M));
    driver.log.clear();
    // The one of M + 1 s and the one of M + 2 s are due.
    driver.now = at(M) + SECOND * 2;
    driver.handle(Input::Tick);
    driver.run_until(at(M) + SECOND * 3);
    let late = at(M) + SECOND * 2;
    assert_eq!(driver.adverts(), [(late, 100), (late + SECOND, 100)]);
}

#[test]
fn a_lower_master_is_told_each_time_if_somebody_wants_to_know() {
    for (wanted, count) in [(true, 3), (false, 0)] {
        let mut driver = master(InstanceConfig { tells_lower_priority: wanted, ..v2() });
        for _ in 0..3 {
            driver.hear("10.0.0.1", 50);
            driver.hear("10.0.0.1", 50);
            driver.run_for(SECOND);
        }
        let told = driver.news().iter().filter(|(_, name)| *name == "lower-priority").count();
        assert_eq!(told, count, "of adverts that come in a heap the first");
    }
}
