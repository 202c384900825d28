//! Adverts of one interval that are nearly due leave together: each is early once, by less than the
//! slack, and exact from then on. Everything else keeps its own time.

mod driver;

use driver::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use vipd_engine::config::VirtualAddress;
use vipd_engine::vrrp::timers::advert_slack;
use vipd_engine::{
    Advert, Frame, Input, InstanceConfig, InstanceName, Interval, LinkState, Output, StateKind,
    Timestamp, Version, Vrid,
};

const MILLISECOND: u64 = 1_000_000;

fn interval(centiseconds: i64) -> Interval {
    Interval::from_centiseconds(centiseconds).unwrap()
}

/// One that becomes master `(256 - priority) / 256` of its interval after three of them.
fn router(number: i64, centiseconds: i64, own_priority: i64) -> InstanceConfig {
    InstanceConfig {
        name: InstanceName::new(&format!("VI_{number}")),
        vrid: Vrid::new(number).unwrap(),
        priority: priority(own_priority),
        addresses: vec![VirtualAddress::new(ip(&format!("10.0.1.{number}")))],
        ..v3(centiseconds)
    }
}

/// The times of the periodic adverts of each virtual router, in nanoseconds.
fn adverts(driver: &Driver) -> BTreeMap<i64, Vec<u64>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (at, output) in &driver.log {
        if let Output::Send { frame: Frame::Advert(frame), .. } = output {
            let of = found.entry(i64::from(frame.advert.vrid.get())).or_default();
            of.push((*at - Timestamp::ZERO).as_nanos() as u64);
        }
    }
    found
}

fn apart(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn run(routers: &[InstanceConfig], time: Duration) -> Driver {
    let mut driver = Driver::unconfigured();
    driver.configure(routers.to_vec(), vec![]);
    driver.run_for(time);
    driver
}

#[test]
fn an_advert_that_is_nearly_due_is_early_once_and_exact_from_then_on() {
    // Master at 300 ms plus 22.265625 ms and 21.875 ms of skew: 390,625 ns apart.
    let driver = run(&[router(1, 10, 199), router(2, 10, 200)], Duration::from_secs(1));
    let found = adverts(&driver);
    let exact = 100 * MILLISECOND;
    assert_eq!(found[&1][..2], [322_265_625, 421_875_000], "with the other one");
    assert_eq!(apart(&found[&1])[1..], [exact; 5]);
    assert_eq!(apart(&found[&2]), [exact; 6], "the one before is not moved");
    assert_eq!(found[&1][1..], found[&2][1..]);
}

#[test]
fn one_that_is_due_later_than_the_slack_keeps_its_own_time() {
    // 25 steps of skew are 9.77 ms of the 10 ms, 26 are 10.16 ms.
    for (steps, gathered) in [(25, true), (26, false)] {
        let driver = run(&[router(1, 10, 100 - steps), router(2, 10, 100)], Duration::from_secs(1));
        let found = adverts(&driver);
        let (late, soon) = (&found[&1], &found[&2]);
        assert_eq!(late[1..] == soon[1..], gathered, "{steps} steps");
        let exact = apart(late).iter().all(|apart| *apart == 100 * MILLISECOND);
        assert_eq!(exact, !gathered, "{steps} steps");
    }
}

#[test]
fn adverts_of_another_interval_are_left_alone() {
    let routers = [router(1, 10, 200), router(2, 11, 199), router(3, 20, 200)];
    let found = adverts(&run(&routers, Duration::from_secs(3)));
    for (number, centiseconds) in [(1, 10), (2, 11), (3, 20)] {
        let exact = centiseconds * 10 * MILLISECOND;
        assert!(apart(&found[&number]).iter().all(|apart| *apart == exact), "VI_{number}");
    }
}

#[test]
fn a_down_timer_is_never_early() {
    // VI_2 hears its master, whose adverts let its down timer end 1 ms after an advert of VI_1.
    let mut driver = Driver::unconfigured();
    driver.configure(vec![router(1, 10, 200), router(2, 10, 100)], vec![]);
    // Adver_Timer of VI_1: 621.875 ms. VI_2: 360.9375 ms after it has heard.
    let heard = 621_875_000 + MILLISECOND - 360_937_500;
    driver.run_until(Timestamp::from_nanos(heard));
    let advert = Advert {
        version: Version::V3,
        vrid: Vrid::new(2).unwrap(),
        priority: 150,
        interval: interval(10),
        password: None,
        addresses: [ip("10.0.1.2")].into(),
    };
    driver.hear_advert("10.0.0.1", &advert);
    driver.run_for(Duration::from_secs(1));
    assert_eq!(adverts(&driver)[&2][0], heard + 360_937_500);
}

#[test]
fn a_stall_gathers_what_was_due_meanwhile_and_nothing_is_early_twice() {
    let mut driver = run(&[router(1, 10, 199), router(2, 10, 200)], Duration::from_millis(600));
    driver.now = driver.now + Duration::from_millis(90);
    driver.handle(Input::Tick);
    driver.log.clear();
    driver.run_for(Duration::from_secs(1));
    let found = adverts(&driver);
    assert_eq!(found[&1], found[&2]);
    assert!(apart(&found[&1]).iter().all(|apart| *apart == 100 * MILLISECOND));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_their_phases_nobody_is_late_nor_early_by_more_than_the_slack_nor_for_ever(
        routers in prop::collection::vec((1_i64..=254, 0_usize..3), 1..40),
        down in 5_000_u64..6_000,
    ) {
        let intervals = [10, 20, 100];
        let configs: Vec<_> = routers.iter().enumerate().map(|(number, (own, interval))| {
            router(number as i64 + 1, intervals[*interval], *own)
        }).collect();
        let mut driver = run(&configs, Duration::from_millis(down));
        // Everybody begins anew, somewhere else.
        driver.link(LinkState::Down);
        driver.link(LinkState::Up);
        driver.log.clear();
        driver.run_for(Duration::from_secs(6));
        let found = adverts(&driver);
        let mut phases = BTreeMap::<_, Vec<_>>::new();
        for (number, (_, place)) in routers.iter().enumerate() {
            let interval = interval(intervals[*place]);
            let (exact, slack) = (interval.duration(), advert_slack(interval));
            let times = &found[&(number as i64 + 1)];
            let apart = apart(times);
            for apart in apart.iter().copied().map(nanos) {
                prop_assert!(apart <= exact && apart >= exact.saturating_sub(slack), "{apart:?}");
            }
            // Masters come within less than two intervals of each other.
            let settled = apart.iter().skip(4).all(|apart| nanos(*apart) == exact);
            prop_assert!(settled, "{:?}", apart);
            phases.entry(interval).or_default().push(times[times.len() - 1]);
        }
        for (interval, mut phases) in phases {
            phases.sort_unstable();
            for pair in phases.windows(2) {
                let apart = nanos(pair[1] - pair[0]);
                prop_assert!(apart.is_zero() || apart > advert_slack(interval), "{:?}", apart);
            }
        }
        let all_are_masters =
            driver.engine.status().instances().all(|one| one.state() == StateKind::Master);
        prop_assert!(all_are_masters);
    }
}
