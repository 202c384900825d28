//! Timers, Initialize and Backup (RFC 3768, 5798 and 9568 sections 6.1 to 6.4.2), one row of
//! `requirements.toml` a case, each under drop-in and under the RFCs of its version. The times are
//! the RFCs' formulas worked out by hand.

mod driver;

use std::time::Duration;

use driver::*;
use vipd_engine::{
    Advert, Family, Frame, Input, InstanceConfig, Interval, LinkState, Output, Profile, Rules,
    StateKind, Timestamp,
};

const SECOND: u64 = 1_000_000_000;
/// 3 A + Skew_Time of priority 100 at one second.
const DOWN: u64 = 3_609_375_000;

fn at(nanoseconds: u64) -> Timestamp {
    Timestamp::from_nanos(nanoseconds)
}

fn seconds(config: &InstanceConfig, seconds: i64, own: i64) -> InstanceConfig {
    let interval = Interval::from_seconds(seconds).unwrap();
    InstanceConfig { interval, priority: priority(own), ..config.clone() }
}

fn with_priority(config: &InstanceConfig, own: i64) -> InstanceConfig {
    InstanceConfig { priority: priority(own), ..config.clone() }
}

/// An advert like the instance's own, but for its priority and its interval in centiseconds.
fn advert(driver: &Driver, heard: u8, centiseconds: i64) -> Advert {
    let config = driver.config();
    Advert {
        version: config.version,
        vrid: config.vrid,
        priority: heard,
        interval: Interval::from_centiseconds(centiseconds).unwrap(),
        password: None,
        addresses: config.addresses.iter().map(|address| address.address).collect(),
    }
}

/// Becomes master at this time and not a nanosecond before.
fn assert_master_at(driver: &mut Driver, time: Timestamp, row: &str) {
    driver.run_until(Timestamp::from_nanos(time.as_nanos() - 1));
    assert_eq!(driver.state(), StateKind::Backup, "{row}");
    driver.run_until(time);
    assert_eq!(driver.state(), StateKind::Master, "{row}");
    assert_eq!(driver.adverts().last().unwrap().0, time, "{row}");
}

#[test]
fn skew_time_is_what_the_formula_says() {
    let v2_cases =
        [(1, 100, 609_375_000), (1, 254, 7_812_500), (1, 1, 996_093_750), (10, 100, 609_375_000)];
    for (row, config) in under_each_profile("V2-6.1-SKEW", &v2()) {
        for (interval, own, skew) in v2_cases {
            let mut driver = Driver::new(seconds(&config, interval, own));
            driver.hear("10.0.0.1", 0);
            assert_master_at(&mut driver, at(skew), row);
        }
    }
    let v3_cases = [
        (100, 100, 609_375_000),
        (10, 100, 60_937_500),
        (1, 100, 6_093_750),
        (4095, 100, 24_953_906_250),
        (100, 254, 7_812_500),
    ];
    for (interval, own, skew) in v3_cases {
        for (row, config) in under_each_profile("V3-6.1-SKEW", &v3(interval)) {
            let mut driver = Driver::new(with_priority(&config, own));
            driver.hear("10.0.0.1", 0);
            assert_master_at(&mut driver, at(skew), row);
        }
    }
}

#[test]
fn master_down_interval_is_what_the_formula_says() {
    let v2_cases = [
        (1, 100, 3_609_375_000),
        (1, 254, 3_007_812_500),
        (10, 100, 30_609_375_000),
        (255, 1, 765_996_093_750),
    ];
    for (row, config) in under_each_profile("V2-6.1-MDI", &v2()) {
        for (interval, own, down) in v2_cases {
            let mut driver = Driver::new(seconds(&config, interval, own));
            assert_master_at(&mut driver, at(down), row);
        }
    }
    let v3_cases =
        [(100, 3_609_375_000), (10, 360_937_500), (200, 7_218_750_000), (4095, 147_803_906_250)];
    for (interval, down) in v3_cases {
        for (row, config) in under_each_profile("V3-6.1-MDI", &v3(interval)) {
            assert_master_at(&mut Driver::new(config), at(down), row);
        }
    }
}

/// X-RES
#[test]
fn neighbouring_priorities_differ_at_the_shortest_interval() {
    let down = |own| Driver::new(with_priority(&v3(1), own)).deadline().unwrap();
    // 39.0625 us a step, of which a nanosecond shows 39,062 or 39,063.
    let step = down(253).as_nanos() - down(254).as_nanos();
    assert_eq!(down(254), at(30_078_125));
    assert!([39_062, 39_063].contains(&step), "{step}");
}

#[test]
fn an_instance_that_is_told_nothing_has_the_defaults_of_the_rfc() {
    let v3 = InstanceConfig { rules: Rules::of(Profile::Rfc9568), ..v6() };
    let cases = [("V2-6.1-DEF", v2(), [0, 1]), ("V3-6.1-DEF", v3, [0, 100])];
    for (row, config, interval) in cases {
        let accept = config.rules.accept;
        let mut driver = Driver::new(config);
        driver.run_until(at(SECOND));
        driver.hear(if row.starts_with("V2") { "10.0.0.1" } else { "fe80::1" }, 99);
        assert_master_at(&mut driver, at(DOWN), row);
        let message = &driver.messages()[0];
        assert_eq!((message[2], &message[4..6]), (100, &interval[..]), "{row}");
        let commands = driver.commands().into_iter().map(|command| command.to_string());
        let filters = commands.filter(|command| command.starts_with("add filter"));
        assert_eq!(filters.count(), if accept { 0 } else { 2 }, "{row}");
    }
}

#[test]
fn before_anything_is_heard_the_own_interval_counts() {
    for (row, config) in under_each_profile("V3-6.1-MAI-INIT", &v3(200)) {
        assert_master_at(&mut Driver::new(config), at(7_218_750_000), row);
    }
}

#[test]
fn the_interval_of_the_master_replaces_the_own_one_until_mastership() {
    let mut cases = under_each_profile("V3-6.1-MAI-LEARN", &v3(100));
    cases.extend(under_each_profile("V3-6.4.2-GE", &v3(100)));
    cases.extend(under_each_profile("V3-6.1-MAI-OWN", &v3(100)));
    for (row, config) in cases {
        let mut driver = Driver::new(config);
        driver.run_until(at(SECOND));
        driver.hear_advert("10.0.0.1", &advert(&driver, 150, 200));
        assert_master_at(&mut driver, at(SECOND + 7_218_750_000), row);
        driver.run_for(nanos(3 * SECOND));
        let times: Vec<_> = driver.adverts().into_iter().map(|(time, _)| time).collect();
        let first = SECOND + 7_218_750_000;
        let paced = [0, 1, 2, 3].map(|count| at(first + count * SECOND));
        assert_eq!(times, paced, "{row}");
        assert!(driver.messages().iter().all(|message| message[4..6] == [0, 100]), "{row}");
    }
}

#[test]
fn the_down_timer_counts_from_the_last_good_advert() {
    for (row, config) in under_each_profile("V2-6.2-MDT", &v2()) {
        let mut driver = Driver::new(config);
        driver.run_until(at(2_500_000_000));
        driver.hear("10.0.0.1", 150);
        assert_master_at(&mut driver, at(2_500_000_000 + DOWN), row);
    }
}

#[test]
fn a_master_advertises_once_an_interval_and_does_not_drift() {
    let mut cases = Vec::new();
    for (row, config) in both("V2-6.2-ADT", "V3-6.4.3-ADV") {
        cases.push((row, config, SECOND, 30));
    }
    for (row, config) in under_each_profile("V2-6.4.3-ADV", &v2()) {
        cases.push((row, config, SECOND, 3));
    }
    for (row, config) in under_each_profile("V3-6.2-TIMERS", &v3(10)) {
        cases.push((row, config, SECOND / 10, 300));
    }
    cases.push(("X-DRIFT", v2(), SECOND, 1000));
    for (row, config, interval, count) in cases {
        let mut driver = Driver::new(config);
        let first = driver.deadline().unwrap();
        driver.run_until(first + nanos(interval * count));
        let times: Vec<_> = driver.adverts().into_iter().map(|(time, _)| time).collect();
        let exact: Vec<_> = (0..=count).map(|n| first + nanos(interval * n)).collect();
        assert_eq!(times, exact, "{row}");
    }
}

/// V2-6.4.1-WAIT
#[test]
fn in_initialize_nothing_is_sent_and_nothing_heard_counts() {
    let mut driver = Driver::unconfigured();
    let ten = Duration::from_secs(10);
    let config = vipd_engine::Config::new(vec![v2()], vec![], ten).unwrap();
    driver.handle(Input::Configure(config.into()));
    for heard in [0, 255, 100] {
        driver.run_for(nanos(3 * SECOND));
        driver.hear("10.0.0.1", heard);
    }
    assert_eq!(driver.state(), StateKind::Initialize);
    assert!(driver.frames().is_empty() && driver.commands().is_empty());
}

#[test]
fn an_owner_advertises_and_announces_at_its_startup() {
    for (row, config) in both("V2-6.4.1-OWNER", "V3-6.4.1-OWNER4") {
        let mut config = with_priority(&config, 255);
        config.addresses.push(vipd_engine::config::VirtualAddress::new(ip("10.0.0.101")));
        let mut driver = Driver::new(config);
        assert_eq!(driver.state(), StateKind::Master, "{row}");
        assert_advert_then_announcements(&driver, 2, row);
        assert_eq!(driver.adverts(), [(Timestamp::ZERO, 255)], "{row}");
        driver.run_for(nanos(SECOND));
        assert_eq!(driver.adverts()[1], (at(SECOND), 255), "{row}");
    }
}

/// The first frame is the advert, and every address is announced after it.
fn assert_advert_then_announcements(driver: &Driver, addresses: usize, row: &str) {
    let frames = driver.frames();
    assert!(matches!(frames[0].1, Frame::Advert(_)), "{row}");
    let mut announced: Vec<_> = frames
        .iter()
        .filter_map(|(_, frame)| match frame {
            Frame::GratuitousArp(announcement) | Frame::UnsolicitedNa(announcement) => {
                assert_eq!(
                    matches!(frame, Frame::UnsolicitedNa(_)),
                    Family::of(announcement.address) == Family::Ipv6
                );
                Some(announcement.address)
            }
            Frame::Advert(_) => None,
        })
        .collect();
    announced.sort();
    announced.dedup();
    assert_eq!(announced.len(), addresses, "{row}");
}

#[test]
fn the_advert_is_sent_before_the_announcements() {
    for base in [v3(100), v6()] {
        for (row, config) in under_each_profile("V3-6.4.1-ORDER", &base) {
            let addresses = config.addresses.len();
            let owner = Driver::new(with_priority(&config, 255));
            assert_advert_then_announcements(&owner, addresses, row);
            let mut driver = Driver::new(config);
            driver.run_until(at(DOWN));
            assert_advert_then_announcements(&driver, addresses, row);
        }
    }
}

#[test]
fn any_other_router_starts_as_a_silent_backup() {
    for (row, config) in both("V2-6.4.1-BACKUP", "V3-6.4.1-BACKUP") {
        for (own, down) in [(100, DOWN), (254, 3_007_812_500), (1, 3_996_093_750)] {
            let mut driver = Driver::new(with_priority(&config, own));
            assert_eq!((driver.state(), driver.frames().len()), (StateKind::Backup, 0), "{row}");
            assert_master_at(&mut driver, at(down), row);
            assert_eq!(driver.adverts().len(), 1, "{row}");
        }
    }
}

/// X-6.4.1-STARTCOND
#[test]
fn without_carrier_or_address_an_instance_waits_and_says_why() {
    let mut driver = Driver::unconfigured();
    driver.link(LinkState::Down);
    driver.configure(vec![v2()], vec![]);
    driver.run_for(nanos(10 * SECOND));
    assert!(driver.frames().is_empty());
    let why = driver.engine.status().instances().next().unwrap().fault().unwrap().to_string();
    assert_eq!(why, "link is down");
    driver.link(LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
    assert_eq!(driver.deadline(), Some(at(10 * SECOND + DOWN)));
}

#[test]
fn a_backup_that_is_shut_down_sends_nothing() {
    for (row, config) in both("V2-6.4.2-SHUT", "V3-6.4.2-SHUT") {
        let mut driver = Driver::new(config);
        driver.run_until(at(SECOND));
        driver.handle(Input::Shutdown);
        assert!(driver.frames().is_empty(), "{row}");
        driver.run_for(nanos(100 * SECOND));
        assert!(driver.frames().is_empty(), "{row}");
    }
}

#[test]
fn when_the_down_timer_fires_a_backup_advertises_and_announces() {
    let mut cases = both("V2-6.4.2-TIMER", "V3-6.4.2-TIMER4");
    // Adding the address is what makes the kernel join its solicited-node group.
    cases.extend(under_each_profile("V3-6.4.2-TIMER6", &v6()));
    for (row, config) in cases {
        let addresses = config.addresses.len();
        let mut driver = Driver::new(config);
        driver.run_until(at(DOWN));
        assert_advert_then_announcements(&driver, addresses, row);
        let added = |output: &Output| output.to_string().starts_with("add address");
        let count = driver.log.iter().filter(|(_, output)| added(output)).count();
        assert_eq!(count, addresses, "{row}");
        assert!(driver.frames().iter().all(|(time, _)| *time == at(DOWN)), "{row}");
        driver.run_for(nanos(SECOND));
        assert_eq!(driver.adverts(), [(at(DOWN), 100), (at(DOWN + SECOND), 100)], "{row}");
    }
}

#[test]
fn priority_zero_leaves_the_skew_time() {
    for (row, config) in under_each_profile("V2-6.4.2-PRI0", &v2()) {
        for (own, skew) in [(100, 609_375_000), (254, 7_812_500), (1, 996_093_750)] {
            let mut driver = Driver::new(with_priority(&config, own));
            driver.run_until(at(SECOND));
            driver.hear("10.0.0.1", 0);
            assert_eq!(driver.state(), StateKind::Backup, "{row}");
            assert_master_at(&mut driver, at(SECOND + skew), row);
        }
    }
    let mut cases = under_each_profile("V3-6.4.2-PRI0", &v3(100));
    cases.extend(under_each_profile("V3-6.4.2-SKEWRECALC", &v3(100)));
    for (row, config) in cases {
        let mut driver = Driver::new(config);
        driver.hear_advert("10.0.0.1", &advert(&driver, 150, 200));
        driver.run_until(at(SECOND));
        driver.hear_advert("10.0.0.1", &advert(&driver, 0, 200));
        assert_master_at(&mut driver, at(SECOND + 1_218_750_000), row);
    }
}

#[test]
fn each_priority_zero_begins_the_skew_time_anew() {
    for (row, config) in under_each_profile("V2-6.4.2-PRI0-AGAIN", &v2()) {
        let mut driver = Driver::new(config);
        driver.hear("10.0.0.1", 0);
        driver.run_until(at(300_000_000));
        driver.hear("10.0.0.1", 0);
        assert_master_at(&mut driver, at(909_375_000), row);
    }
}

#[test]
fn an_equal_priority_holds_a_backup_whatever_its_address() {
    let mut cases = under_each_profile("V2-6.4.2-GE", &v2());
    cases.extend(under_each_profile("V2-6.4.2-NOTIE", &v2()));
    for (row, config) in cases {
        // The own address is 10.0.0.2, greater than the sender's.
        let mut driver = Driver::new(config);
        for _ in 0..6 {
            driver.run_for(nanos(3 * SECOND));
            driver.hear("10.0.0.1", 100);
            assert_eq!(driver.deadline(), Some(driver.now + nanos(DOWN)), "{row}");
        }
        driver.run_until(at(20 * SECOND));
        assert_eq!((driver.state(), driver.adverts().len()), (StateKind::Backup, 0), "{row}");
    }
}

#[test]
fn without_preemption_any_advert_holds_a_backup() {
    for (row, config) in under_each_profile("V2-6.4.2-NOPREEMPT", &v2()) {
        let mut driver =
            Driver::new(InstanceConfig { preempt: false, ..with_priority(&config, 200) });
        for _ in 0..20 {
            driver.run_for(nanos(SECOND / 2));
            driver.hear("10.0.0.1", 100);
        }
        // 3 + 56/256 s after the last one.
        assert_master_at(&mut driver, at(10 * SECOND + 3_218_750_000), row);
    }
}

#[test]
fn with_preemption_a_lower_advert_changes_nothing() {
    for (row, config) in both("V2-6.4.2-LOWER", "V3-6.4.2-LOWER") {
        let mut driver = Driver::new(with_priority(&config, 200));
        // In v2 another interval would be discarded for itself.
        let heard = if row.starts_with("V2") { 100 } else { 400 };
        for _ in 0..6 {
            driver.run_for(nanos(SECOND / 2));
            driver.hear_advert("10.0.0.1", &advert(&driver, 100, heard));
        }
        assert_master_at(&mut driver, at(3_218_750_000), row);
    }
}

#[test]
fn an_owner_preempts_whatever_preempt_mode_says() {
    for (row, config) in both("V2-6.1-PREEMPT-OWNER", "V3-6.1-PREEMPT-OWNER") {
        let mut driver = Driver::unconfigured();
        driver.now = at(SECOND);
        let owner = InstanceConfig { preempt: false, ..with_priority(&config, 255) };
        driver.configure(vec![owner], vec![]);
        assert_eq!(driver.adverts(), [(at(SECOND), 255)], "{row}");
        driver.hear("10.0.0.1", 254);
        assert_eq!(driver.state(), StateKind::Master, "{row}");
    }
}

/// An owner is Backup only where another owner with a greater address made it yield.
#[test]
fn an_owner_that_yielded_preempts_whatever_preempt_mode_says() {
    for profile in [Profile::DropIn, Profile::Rfc9568] {
        let owner = InstanceConfig { preempt: false, ..with_priority(&v3(100), 255) };
        let mut driver = Driver::new(InstanceConfig { rules: Rules::of(profile), ..owner });
        driver.hear("10.0.0.100", 255);
        assert_eq!(driver.state(), StateKind::Backup);
        driver.log.clear();
        for _ in 0..6 {
            driver.run_for(nanos(SECOND / 2));
            driver.hear("10.0.0.1", 254);
        }
        // 3 + 1/256 s after it yielded: no lower advert re-arms its timer.
        assert_master_at(&mut driver, at(3_003_906_250), profile.name());
    }
}
