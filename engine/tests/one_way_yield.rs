//! A master that yields to a rival which does not hear it (`one_way_yield`, property S10), and how
//! long it is held down.

mod driver;

use driver::{Driver, ip, nanos, v2, v3};
use std::time::Duration;
use vipd_engine::config::{GroupConfig, VirtualAddress};
use vipd_engine::rules::LowerPriorityRule;
use vipd_engine::{
    Engine, GroupName, InstanceConfig, InstanceName, LinkState, Order, Rules, Snapshot, Standing,
    StateKind, Timestamp, Vrid,
};

const M: Duration = Duration::from_nanos(3_609_375_000);
const SKEW: Duration = Duration::from_nanos(609_375_000);
const SECOND: Duration = Duration::from_secs(1);
/// It ends between two adverts of the rival.
const HOLD_DOWN: Duration = Duration::from_millis(19_500);
const PEER: &str = "10.0.0.1";

fn yields() -> InstanceConfig {
    InstanceConfig { one_way_yield: Some(HOLD_DOWN), ..v2() }
}

/// An instance that became master after its down timer, its log emptied.
fn master(config: InstanceConfig) -> Driver {
    let mut driver = Driver::new(config);
    driver.run_until(Timestamp::ZERO + M);
    assert_eq!(driver.state(), StateKind::Master);
    driver.log.clear();
    driver
}

/// A lower router is master for this many seconds, and hears nothing.
fn rival(driver: &mut Driver, seconds: u32) {
    for _ in 0..seconds {
        driver.run_for(SECOND);
        driver.hear(PEER, 50);
    }
}

/// A master that has just yielded, its log emptied.
fn yielded(config: InstanceConfig) -> Driver {
    let mut driver = master(config);
    rival(&mut driver, 3);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.log.clear();
    driver
}

/// The advert of a lower router in version 3 with an interval of so many centiseconds.
fn lower(centiseconds: i64) -> vipd_engine::Advert {
    vipd_engine::Advert {
        version: vipd_engine::Version::V3,
        vrid: driver::vrid(),
        priority: 50,
        interval: vipd_engine::Interval::from_centiseconds(centiseconds).expect("an interval"),
        password: None,
        addresses: [ip("10.0.0.100")].into(),
    }
}

fn standing(driver: &Driver) -> Standing {
    driver.engine.status().instances().next().expect("an instance").standing()
}

fn times(driver: &Driver, name: &str) -> Vec<Timestamp> {
    let news = driver.news().into_iter().filter(|(_, told)| *told == name);
    news.map(|(at, _)| at).collect()
}

#[test]
fn at_the_alarm_a_master_resigns_instead_of_asserting_itself_and_gives_its_address_back() {
    let mut driver = master(yields());
    rival(&mut driver, 2);
    assert_eq!(driver.state(), StateKind::Master);
    driver.run_for(SECOND);
    driver.log.clear();
    driver.hear(PEER, 50);
    let lines = driver.take_lines();
    assert_eq!(
        lines,
        [
            "6.609375000 VI_1: 10.0.0.1 does not hear us: still master after 3 asserted adverts",
            "6.609375000 send advert v2 vrid 51 prio 0 int 1 s 10.0.0.2 -> 224.0.0.18",
            "6.609375000 VI_1: master -> backup: yields to 10.0.0.1, which does not hear us, held \
             down for 19.5 s",
            "6.609375000 remove address 10.0.0.100/32 on eth0",
        ]
    );
    assert_eq!(standing(&driver), Standing::HeldDown { until: driver.now + HOLD_DOWN });
}

#[test]
fn without_the_keyword_a_master_stays_beside_a_rival_that_does_not_hear_it() {
    let mut driver = master(v2());
    rival(&mut driver, 100);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Master, Standing::Free));
}

#[test]
fn a_master_that_does_not_assert_itself_yields_too_once_its_own_adverts_went_unheard() {
    let rules = Rules { lower_priority: LowerPriorityRule::Silent, ..Rules::default() };
    let mut driver = master(InstanceConfig { rules, ..yields() });
    // Both advertise at one time, so of two adverts of the rival one may have left unaware of ours.
    rival(&mut driver, 4);
    assert_eq!(driver.state(), StateKind::Master);
    rival(&mut driver, 1);
    assert_eq!(driver.state(), StateKind::Backup);
    assert!(matches!(standing(&driver), Standing::HeldDown { .. }));
}

#[test]
fn a_rival_that_advertises_more_often_than_the_master_is_not_counted_before_it_can_have_heard_it() {
    let rules = Rules { lower_priority: LowerPriorityRule::Silent, ..Rules::default() };
    let mut driver = master(InstanceConfig { rules, ..v3(100) });
    let hear_until = |driver: &mut Driver, end: Duration| {
        while driver.now < Timestamp::ZERO + M + end {
            driver.run_for(SECOND / 5);
            driver.hear_advert(PEER, &lower(20));
        }
        times(driver, "one-way")
    };
    // Its first advert comes 0.2 s after ours, which it did not need to hear. The next ones of ours
    // leave at 1 s and at 2 s, and what it sends 0.1 s after them is an answer.
    assert!(hear_until(&mut driver, SECOND * 2).is_empty());
    let second = Timestamp::ZERO + M + SECOND * 2 + SECOND / 5;
    assert_eq!(hear_until(&mut driver, SECOND * 3), [second]);
}

#[test]
fn a_rival_is_followed_during_the_hold_down_and_preempted_after_it() {
    let mut driver = yielded(yields());
    let began = driver.now;
    rival(&mut driver, 22);
    assert_eq!(times(&driver, "hold-down-over"), [began + HOLD_DOWN]);
    // It was followed for the last time in the 19th second.
    driver.run_until(began + SECOND * 19 + (M - nanos(1)));
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Free));
    driver.run_for(nanos(1));
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn a_late_timer_makes_a_hold_down_no_longer_for_whoever_is_heard() {
    let mut driver = yielded(yields());
    let began = driver.now;
    rival(&mut driver, 19);
    driver.now = began + HOLD_DOWN;
    driver.hear(PEER, 50);
    assert_eq!(times(&driver, "hold-down-over"), [driver.now]);
    assert_eq!(driver.deadline(), Some(began + SECOND * 19 + M), "it is a lower one again");
}

#[test]
fn a_rival_that_falls_silent_is_followed_after_the_down_timer_in_spite_of_the_hold_down() {
    let mut driver = yielded(yields());
    rival(&mut driver, 5);
    driver.run_for(M - nanos(1));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_for(nanos(1));
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Master, Standing::Free));
    assert_eq!(times(&driver, "yield-over"), [driver.now]);
    driver.run_for(HOLD_DOWN * 2);
    assert!(times(&driver, "hold-down-over").is_empty(), "it ended when it was needed");
}

#[test]
fn a_rival_that_resigns_is_followed_after_the_skew_in_spite_of_the_hold_down() {
    let mut driver = yielded(yields());
    rival(&mut driver, 5);
    driver.hear(PEER, 0);
    driver.run_for(SKEW);
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn a_rival_that_still_does_not_hear_it_is_told_of_again_and_yielded_to_again() {
    let mut driver = yielded(yields());
    // Master again in the 23rd second, it hears the rival at its end.
    rival(&mut driver, 24);
    assert_eq!(driver.state(), StateKind::Master);
    rival(&mut driver, 1);
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(times(&driver, "one-way"), [driver.now]);
    assert_eq!(standing(&driver), Standing::HeldDown { until: driver.now + HOLD_DOWN });
}

#[test]
fn with_nopreempt_it_stays_backup_when_the_hold_down_is_over() {
    let mut driver = yielded(InstanceConfig { preempt: false, ..yields() });
    rival(&mut driver, 100);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Free));
}

#[test]
fn a_preempt_delay_begins_when_the_hold_down_is_over() {
    let preempt_delay = SECOND * 10;
    let mut driver = yielded(InstanceConfig { preempt_delay, ..yields() });
    let began = driver.now;
    rival(&mut driver, 40);
    assert_eq!(times(&driver, "preempt-delayed")[0], began + SECOND * 20);
    assert_eq!(times(&driver, "preempt-delay-over")[0], began + SECOND * 30);
}

#[test]
fn the_interval_of_the_rival_paces_the_down_timer_from_the_yield_on_in_version_3() {
    let mut driver = master(InstanceConfig { one_way_yield: Some(HOLD_DOWN), ..v3(100) });
    for _ in 0..3 {
        driver.run_for(SECOND / 2);
        driver.hear_advert(PEER, &lower(50));
    }
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(driver.deadline(), Some(driver.now + M / 2));
}

#[test]
fn an_operator_who_resumes_ends_the_hold_down() {
    let mut driver = yielded(yields());
    rival(&mut driver, 5);
    driver.order("VI_1", Order::Resume);
    assert_eq!((times(&driver, "ordered").len(), standing(&driver)), (1, Standing::Free));
    rival(&mut driver, 3);
    driver.run_for(SECOND);
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn an_order_takes_the_place_of_the_hold_down_and_outlasts_it() {
    let mut driver = yielded(yields());
    driver.order("VI_1", Order::Yield);
    rival(&mut driver, 60);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Yielding));
    driver.order("VI_1", Order::Hold);
    driver.run_for(M * 2);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, Standing::Held));
    assert!(times(&driver, "hold-down-over").is_empty());
}

#[test]
fn a_hold_down_outlasts_a_fault_and_ends_in_one() {
    let mut driver = yielded(yields());
    let until = driver.now + HOLD_DOWN;
    driver.link(LinkState::Down);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.link(LinkState::Up);
    rival(&mut driver, 10);
    let held_down = Standing::HeldDown { until };
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Backup, held_down));
    driver.link(LinkState::Down);
    driver.run_for(SECOND * 20);
    assert_eq!((driver.state(), standing(&driver)), (StateKind::Fault, Standing::Free));
    assert_eq!(times(&driver, "hold-down-over"), [until]);
}

#[test]
fn a_reload_shortens_a_hold_down_and_does_not_prolong_it() {
    let mut driver = yielded(yields());
    let until = driver.now + HOLD_DOWN;
    let with = |one_way_yield| vec![InstanceConfig { one_way_yield, ..v2() }];
    driver.configure(with(Some(SECOND * 1000)), vec![]);
    assert_eq!(standing(&driver), Standing::HeldDown { until });
    driver.configure(with(Some(SECOND * 5)), vec![]);
    assert_eq!(standing(&driver), Standing::HeldDown { until: driver.now + SECOND * 5 });
}

#[test]
fn a_reload_that_takes_the_keyword_away_ends_the_hold_down() {
    let mut driver = yielded(yields());
    rival(&mut driver, 5);
    driver.configure(vec![v2()], vec![]);
    assert_eq!(times(&driver, "hold-down-over"), [driver.now]);
    rival(&mut driver, 3);
    driver.run_for(SECOND);
    assert_eq!(driver.state(), StateKind::Master);
}

#[test]
fn a_new_identity_under_the_same_name_is_not_held_down() {
    let mut driver = yielded(yields());
    let vrid = Vrid::new(52).expect("a vrid");
    driver.configure(vec![InstanceConfig { vrid, ..yields() }], vec![]);
    assert_eq!(standing(&driver), Standing::Free);
}

#[test]
fn a_reload_that_brings_the_keyword_while_an_alarm_stands_has_it_raised_anew_and_obeyed() {
    let mut driver = master(v2());
    rival(&mut driver, 300);
    assert_eq!((driver.state(), times(&driver, "one-way").len()), (StateKind::Master, 1));
    driver.configure(vec![yields()], vec![]);
    rival(&mut driver, 2);
    assert_eq!((driver.state(), times(&driver, "one-way").len()), (StateKind::Master, 1));
    rival(&mut driver, 1);
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(times(&driver, "one-way").last(), Some(&driver.now), "it is told why");
}

#[test]
fn a_reload_that_changes_nothing_of_the_alarm_goes_on_counting() {
    let mut driver = master(yields());
    rival(&mut driver, 2);
    driver.configure(vec![InstanceConfig { preempt: false, ..yields() }], vec![]);
    rival(&mut driver, 1);
    assert_eq!(driver.state(), StateKind::Backup);
}

/// Two instances in a group; the first one yields.
fn group() -> Driver {
    let second = InstanceConfig {
        addresses: vec![VirtualAddress::new(ip("10.0.0.101"))],
        vrid: Vrid::new(52).expect("a vrid"),
        ..v2()
    };
    let second = InstanceConfig { name: InstanceName::new("VI_2"), ..second };
    let members = ["VI_1", "VI_2"].map(InstanceName::new).to_vec();
    let name = GroupName::new("VG");
    let group = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
    let mut driver = Driver::unconfigured();
    driver.configure(vec![yields(), second], vec![group]);
    driver.run_until(Timestamp::ZERO + M);
    assert_eq!(driver.states(), [StateKind::Master; 2]);
    driver
}

#[test]
fn a_sync_group_yields_as_one_and_each_member_resigns_for_itself() {
    let mut driver = group();
    rival(&mut driver, 2);
    driver.run_for(SECOND);
    driver.log.clear();
    driver.hear(PEER, 50);
    assert_eq!(driver.states(), [StateKind::Backup; 2]);
    assert_eq!(driver.adverts(), [(driver.now, 0); 2]);
}

#[test]
fn a_sync_group_waits_for_the_member_that_is_held_down_and_takes_over_with_it() {
    let mut driver = group();
    rival(&mut driver, 13);
    assert_eq!(driver.states(), [StateKind::Backup; 2], "nobody is heard in the second one");
    driver.run_for(M);
    assert_eq!(driver.states(), [StateKind::Master; 2], "nor in the first one any more");
    assert!(driver.engine.status().instances().all(|one| one.standing() == Standing::Free));
}

#[test]
fn an_engine_that_is_read_back_goes_on_with_its_hold_down() {
    let mut driver = yielded(yields());
    let written = serde_json::to_string(&driver.engine.snapshot()).expect("written");
    let read: Snapshot = serde_json::from_str(&written).expect("read");
    let before = standing(&driver);
    driver.engine = Engine::try_from(read).expect("an engine");
    assert_eq!(standing(&driver), before);
    let began = driver.now;
    rival(&mut driver, 20);
    assert_eq!(times(&driver, "hold-down-over"), [began + HOLD_DOWN]);
}
