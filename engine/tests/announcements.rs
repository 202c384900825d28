//! When a Master announces its addresses, to the nanosecond and to the frame.

mod driver;

use driver::{Driver, nanos, v2, v3, v6};
use std::time::Duration;
use vipd_engine::config::Announcements;
use vipd_engine::{Input, InstanceConfig, Profile, Rules, Timestamp};

/// Three intervals and the skew of priority 100 at one second.
const M: Timestamp = Timestamp::from_nanos(3_609_375_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// No second burst and no refresh.
const ONCE: Announcements = Announcements {
    delay: Duration::ZERO,
    repeat: 1,
    refresh: None,
    refresh_repeat: 1,
    lower_priority_delay: Duration::ZERO,
    lower_priority_repeat: 1,
};

fn with(announcements: Announcements) -> InstanceConfig {
    InstanceConfig { announcements, ..v2() }
}

/// The same instance with another refresh.
fn reload(driver: &mut Driver, refresh: Option<Duration>) {
    driver.configure(vec![with(Announcements { refresh, ..ONCE })], vec![]);
}

#[test]
fn a_second_burst_comes_at_its_own_instant_between_two_adverts() {
    let mut driver = Driver::new(with(Announcements { delay: nanos(1_500_000_000), ..ONCE }));
    driver.run_until(M + SECOND * 4);
    assert_eq!(driver.announcements(), [M, M + nanos(1_500_000_000)]);
}

#[test]
fn a_burst_has_as_many_frames_per_address_as_are_configured() {
    let bursts = Announcements { repeat: 3, ..ONCE };
    let mut driver = Driver::new(with(bursts));
    driver.run_until(M + SECOND * 4);
    assert_eq!(driver.announcements(), [M; 3]);
    let mut driver = Driver::new(InstanceConfig { announcements: bursts, ..v6() });
    driver.run_until(M + SECOND * 4);
    assert_eq!(driver.announcements(), [M; 6], "two addresses");
    // RFC 4861 section 7.2.6 wants a second between two of them.
    let rules = Rules::of(Profile::Rfc5798);
    let mut driver = Driver::new(InstanceConfig { announcements: bursts, rules, ..v6() });
    driver.run_until(M + SECOND * 4);
    assert_eq!(driver.announcements(), [M; 2]);
}

#[test]
fn a_refresh_begins_comes_earlier_and_ends_with_a_reload() {
    let mut driver = Driver::new(with(ONCE));
    driver.run_until(M + SECOND);
    reload(&mut driver, Some(MINUTE));
    driver.run_until(M + SECOND * 2);
    reload(&mut driver, Some(SECOND * 3));
    driver.run_until(M + SECOND * 9);
    assert_eq!(driver.announcements(), [M, M + SECOND * 5, M + SECOND * 8]);
    reload(&mut driver, None);
    driver.run_until(M + MINUTE * 3);
    assert_eq!(driver.announcements().len(), 3);
}

#[test]
fn a_late_refresh_acts_once_and_keeps_its_period_unless_a_whole_one_was_missed() {
    let refresh = Some(MINUTE);
    // How late it is handled, and when the next one is due.
    let table = [
        (SECOND * 10, M + MINUTE * 2),
        (MINUTE - nanos(1), M + MINUTE * 2),
        (MINUTE, M + MINUTE * 3),
        (SECOND * 90, M + SECOND * 210),
    ];
    for (late, next) in table {
        let mut driver = Driver::new(with(Announcements { refresh, ..ONCE }));
        driver.run_until(M + SECOND);
        driver.log.clear();
        driver.now = M + MINUTE + late;
        driver.handle(Input::Tick);
        driver.run_until(next);
        assert_eq!(driver.announcements(), [M + MINUTE + late, next], "{late:?}");
    }
}

#[test]
fn an_asserting_master_spaces_neighbour_advertisements_by_a_second_under_an_rfc() {
    let rules = Rules::of(Profile::Rfc9568);
    for (after, announced) in [(SECOND - nanos(1), false), (SECOND, true)] {
        let mut driver = Driver::new(InstanceConfig { announcements: ONCE, rules, ..v6() });
        driver.run_until(M + after);
        driver.log.clear();
        driver.hear("fe80::1", 50);
        assert_eq!(driver.adverts().last(), Some(&(M + after, 100)), "it asserts itself");
        let frames = if announced { vec![M + after; 2] } else { vec![] };
        assert_eq!(driver.announcements(), frames);
    }
}

#[test]
fn a_master_that_stood_still_for_as_long_as_a_backup_waits_announces_again_at_once_and_later() {
    let delay = SECOND * 5;
    let announcements = Announcements { delay, ..ONCE };
    let (slow, quick) = (v3(200), v3(10));
    // The interval, how late its advert is handled, and whether it announces for that. Backups wait
    // for three adverts; a second is the least.
    let table = [
        (&slow, SECOND * 4 - nanos(1), false),
        (&slow, SECOND * 4, true),
        (&quick, SECOND - nanos(1), false),
        (&quick, SECOND, true),
    ];
    for (config, late, announces) in table {
        let mut driver = Driver::new(InstanceConfig { announcements, ..config.clone() });
        driver.run_until(M + MINUTE);
        driver.log.clear();
        let goes_on = driver.deadline().expect("an advert is due") + late;
        driver.now = goes_on;
        driver.handle(Input::Tick);
        driver.run_until(goes_on + MINUTE);
        let announced = if announces { vec![goes_on, goes_on + delay] } else { vec![] };
        assert_eq!(driver.announcements(), announced, "{late:?}");
    }
}

#[test]
fn what_waits_for_a_master_that_stood_still_is_read_before_it_announces() {
    let announced = |priority| {
        let announcements = Announcements { lower_priority_repeat: 0, ..ONCE };
        let mut driver = Driver::new(with(announcements));
        driver.run_until(M + SECOND);
        driver.log.clear();
        driver.now = M + SECOND * 4;
        driver.hear("10.0.0.1", priority);
        driver.run_until(M + SECOND * 6);
        driver.announcements()
    };
    // A rival that is lower is no reason not to, even where nothing is announced for it.
    assert_eq!(announced(50), [M + SECOND * 4]);
    assert_eq!(announced(200), []);
}
