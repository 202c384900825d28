//! Master (RFC 3768, 5798 and 9568 section 6.4.3), one row of `requirements.toml` a case, each
//! under the profiles in which its row holds.

mod driver;

use driver::*;
use vipd_engine::{
    Advert, Family, Frame, Input, InstanceConfig, Interval, LinkState, Output, Profile, Rules,
    StateKind, Timestamp, Version,
};

const SECOND: u64 = 1_000_000_000;
/// 3 A + Skew_Time of priority 100 at one second: when the instances here become master.
const DOWN: u64 = 3_609_375_000;
/// In the middle of the first interval.
const MIDDLE: u64 = DOWN + 400_000_000;

fn at(nanoseconds: u64) -> Timestamp {
    Timestamp::from_nanos(nanoseconds)
}

fn of(profile: Profile, config: InstanceConfig) -> InstanceConfig {
    InstanceConfig { rules: Rules::of(profile), ..config }
}

/// Master since [`DOWN`]; it is [`MIDDLE`] and the log is empty.
fn master(config: InstanceConfig) -> Driver {
    let mut driver = Driver::new(config);
    driver.run_until(at(MIDDLE));
    assert_eq!(driver.state(), StateKind::Master);
    driver.log.clear();
    driver
}

fn master_with_address(own: &str, config: InstanceConfig) -> Driver {
    let mut driver = Driver::unconfigured();
    driver.address(if Family::of(ip(own)) == Family::Ipv4 { "10.0.0.2" } else { "fe80::2" }, false);
    driver.address(own, true);
    driver.configure(vec![config], vec![]);
    driver.run_until(at(MIDDLE));
    driver.log.clear();
    driver
}

#[test]
fn a_master_that_is_shut_down_sends_priority_zero_and_falls_silent() {
    let mut cases = both("V2-6.4.3-SHUT", "V3-6.4.3-SHUT");
    cases.extend(under_each_profile("V3-6.4.3-SHUT", &v6()));
    for (row, config) in cases {
        let mut driver = Driver::new(config);
        driver.run_until(at(MIDDLE));
        let usual = driver.messages().remove(0);
        driver.log.clear();
        driver.handle(Input::Shutdown);
        driver.run_for(nanos(100 * SECOND));
        assert_eq!(driver.adverts(), [(at(MIDDLE), 0)], "{row}");
        let last = driver.messages().remove(0);
        // All but priority and checksum is as it was.
        assert_eq!((&last[..2], last[2], last[3]), (&usual[..2], 0, usual[3]), "{row}");
        assert_eq!((&last[4..6], &last[8..]), (&usual[4..6], &usual[8..]), "{row}");
        let told = driver.take_lines().into_iter().filter(|line| line.contains("master -> init"));
        assert_eq!(told.count(), 1, "{row}");
    }
}

#[test]
fn priority_zero_is_answered_at_once_and_the_next_advert_is_an_interval_later() {
    for (row, config) in both("V2-6.4.3-PRI0", "V3-6.4.3-PRI0") {
        let mut driver = master(config);
        driver.hear("10.0.0.1", 0);
        driver.run_for(nanos(SECOND));
        assert_eq!(driver.adverts(), [(at(MIDDLE), 100), (at(MIDDLE + SECOND), 100)], "{row}");
    }
}

/// V2-6.4.3-HIGHER
#[test]
fn a_master_yields_to_a_higher_priority_and_comes_back_after_its_down_interval() {
    let mut driver = master(of(Profile::Rfc3768, v2()));
    driver.hear("10.0.0.1", 101);
    assert_eq!(driver.state(), StateKind::Backup);
    assert!(driver.commands().iter().any(|it| it.to_string().starts_with("remove address")));
    driver.run_until(at(MIDDLE + DOWN - 1));
    assert!(driver.adverts().is_empty());
    driver.run_until(at(MIDDLE + DOWN));
    assert_eq!(driver.state(), StateKind::Master);
}

/// V3-6.4.3-HIGHER
#[test]
fn a_master_that_yields_learns_the_interval_of_the_higher_one() {
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let mut driver = master(of(profile, v3(100)));
        let interval = Interval::from_centiseconds(200).unwrap();
        let config = driver.config();
        driver.hear_advert(
            "10.0.0.1",
            &Advert {
                version: config.version,
                vrid: config.vrid,
                priority: 150,
                interval,
                password: None,
                addresses: [ip("10.0.0.100")].into(),
            },
        );
        assert_eq!(driver.state(), StateKind::Backup);
        driver.run_until(at(MIDDLE + 7_218_750_000 - 1));
        assert_eq!((driver.state(), driver.adverts().len()), (StateKind::Backup, 0));
        driver.run_until(at(MIDDLE + 7_218_750_000));
        assert_eq!(driver.state(), StateKind::Master);
    }
}

#[test]
fn of_two_equal_masters_the_one_with_the_greater_address_stays() {
    for (row, config) in under_each_profile("V2-6.4.3-TIEHI", &v2()) {
        let mut driver = master(config);
        driver.hear("10.0.0.100", 100);
        assert_eq!(driver.state(), StateKind::Backup, "{row}");
    }
    let config = of(Profile::Rfc3768, v2());
    for (row, source) in [("V2-6.4.3-TIELO", "10.0.0.1"), ("V2-6.4.3-TIEEQ", "10.0.0.2")] {
        let mut driver = master(config.clone());
        driver.hear(source, 100);
        driver.run_for(nanos(SECOND));
        assert_eq!(driver.state(), StateKind::Master, "{row}");
        assert_eq!(driver.adverts(), [(at(DOWN + SECOND), 100)], "{row}");
    }
}

/// V3-6.4.3-TIECMP
#[test]
fn the_tie_break_is_unsigned_and_over_the_whole_address() {
    let pairs = [
        ("fe80::8000", "fe80::7fff"),
        ("192.0.2.1", "10.0.0.1"),
        ("128.0.0.1", "127.0.0.1"),
        ("10.0.1.1", "10.0.0.9"),
    ];
    for (greater, smaller) in pairs {
        let config = |own| if Family::of(ip(own)) == Family::Ipv4 { v3(100) } else { v6() };
        let mut stays = master_with_address(greater, config(greater));
        stays.hear(smaller, 100);
        assert_eq!(stays.state(), StateKind::Master, "{greater} hears {smaller}");
        let mut yields = master_with_address(smaller, config(smaller));
        yields.hear(greater, 100);
        assert_eq!(yields.state(), StateKind::Backup, "{smaller} hears {greater}");
    }
}

/// A backup takes it for an advert like those of the new master, which it heard before.
#[test]
fn the_last_advert_of_a_master_that_yields_teaches_no_shorter_interval_than_the_higher_one_s() {
    for (theirs, last) in [(200, 200), (100, 100), (20, 100)] {
        let mut driver = master(v3(100));
        let advert = Advert {
            version: Version::V3,
            vrid: vrid(),
            priority: 150,
            interval: Interval::from_centiseconds(theirs).unwrap(),
            password: None,
            addresses: [ip("10.0.0.100")].into(),
        };
        driver.hear_advert("10.0.0.1", &advert);
        assert_eq!(driver.state(), StateKind::Backup);
        let sent = driver.log.iter().filter_map(|(_, output)| match output {
            Output::Send { frame: Frame::Advert(frame), .. } => Some(frame.advert.interval),
            _ => None,
        });
        let sent: Vec<_> = sent.collect();
        assert_eq!(sent, [Interval::from_centiseconds(last).unwrap()]);
    }
}

/// V3-6.4.3-TIESRC
#[test]
fn the_tie_break_compares_the_link_local_sources_and_not_the_global_addresses() {
    // Ours are fe80::2 and a great global address: fe80::3 wins all the same, fe80::1 does not.
    for (source, state) in [("fe80::3", StateKind::Backup), ("fe80::1", StateKind::Master)] {
        let mut driver = Driver::unconfigured();
        driver.address("fd00:99::ffff", true);
        driver.configure(vec![v6()], vec![]);
        driver.run_until(at(MIDDLE));
        driver.hear(source, 100);
        assert_eq!(driver.state(), state, "{source}");
    }
}

#[test]
fn the_older_rfcs_discard_a_lower_priority_in_silence() {
    let cases = [
        ("V2-6.4.3-LOWER", of(Profile::Rfc3768, v2())),
        ("V3-6.4.3-LOWER-5798", of(Profile::Rfc5798, v3(100))),
    ];
    for (row, config) in cases {
        let mut driver = master(config);
        driver.hear("10.0.0.1", 50);
        driver.run_for(nanos(SECOND));
        assert_eq!(driver.state(), StateKind::Master, "{row}");
        assert_eq!(driver.adverts(), [(at(DOWN + SECOND), 100)], "{row}");
    }
}

/// V3-6.4.3-LOWER-9568
#[test]
fn a_lower_priority_is_answered_at_once_under_rfc_9568() {
    for profile in [Profile::DropIn, Profile::Rfc9568] {
        let mut driver = master(of(profile, v3(100)));
        driver.hear("10.0.0.1", 50);
        assert_eq!(driver.state(), StateKind::Master);
        assert_eq!(driver.adverts(), [(at(MIDDLE), 100)]);
        // The same for who loses the tie.
        driver.run_for(nanos(3 * SECOND));
        driver.log.clear();
        let tied = driver.now;
        driver.hear("10.0.0.1", 100);
        assert_eq!(driver.adverts(), [(tied, 100)]);
    }
}

#[test]
fn preempt_mode_plays_no_part_in_a_master() {
    for (row, config) in both("V2-6.4.3-PREEMPT-IGN", "V2-6.4.3-PREEMPT-IGN") {
        let mut driver = master(InstanceConfig { preempt: false, ..config });
        driver.hear("10.0.0.1", 101);
        assert_eq!(driver.state(), StateKind::Backup, "{row}");
    }
}

/// X-LOWER-RATE
#[test]
fn a_hundred_lower_adverts_in_a_tenth_of_a_second_draw_four_at_most() {
    let mut driver = master(v3(100));
    let from = driver.now;
    for _ in 0..100 {
        driver.run_for(nanos(1_000_000));
        driver.hear("10.0.0.1", 50);
    }
    let asserted = driver.adverts().len();
    assert!((1..=4).contains(&asserted), "{asserted} adverts");
    assert_eq!(driver.now, from + nanos(100_000_000));
}

/// X-LOWER-TIMER
#[test]
fn whatever_is_asserted_two_adverts_are_never_more_than_an_interval_apart() {
    let mut driver = master(v3(100));
    for step in 0..50 {
        driver.run_for(nanos(170_000_000));
        if step % 3 == 0 {
            driver.hear("10.0.0.1", 50);
        }
    }
    let times: Vec<_> = driver.adverts().into_iter().map(|(time, _)| time).collect();
    assert!(times.len() > 8);
    for pair in times.windows(2) {
        assert!(pair[1] <= pair[0] + nanos(SECOND), "{} then {}", pair[0], pair[1]);
    }
}

/// V3-7.1-OWNER-ERR
#[test]
fn of_two_owners_the_greater_address_stays_and_both_say_so() {
    for profile in [Profile::DropIn, Profile::Rfc9568] {
        let owner = || of(profile, InstanceConfig { priority: priority(255), ..v3(100) });
        let mut driver = Driver::new(owner());
        driver.hear("10.0.0.100", 255);
        assert_eq!(driver.state(), StateKind::Backup);
        assert!(driver.news().iter().any(|(_, name)| *name == "mismatch"));
        let mut driver = Driver::new(owner());
        driver.run_until(at(SECOND / 2));
        driver.log.clear();
        driver.hear("10.0.0.1", 255);
        assert_eq!(driver.state(), StateKind::Master);
        assert_eq!(driver.adverts(), [(at(SECOND / 2), 255)]);
        assert!(driver.news().iter().any(|(_, name)| *name == "mismatch"));
    }
}

/// PRIO-8.3.2-ONE255
#[test]
fn an_owner_that_hears_another_owner_names_it() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), ..v2() });
    driver.hear("10.0.0.1", 255);
    let told = |(_, output): &(Timestamp, Output)| {
        output.to_string() == "VI_1: 10.0.0.1: advertises priority 255 for addresses that we own"
    };
    assert_eq!(driver.log.iter().filter(|entry| told(entry)).count(), 1);
}

/// TRANS-2.3
#[test]
fn an_equal_router_with_a_greater_address_does_not_take_over_from_a_working_master() {
    // This is the second one: 10.0.0.2 starts while 10.0.0.1 works.
    for (_, config) in both("", "") {
        let mut driver = Driver::new(config);
        for _ in 0..30 {
            driver.run_for(nanos(SECOND));
            driver.hear("10.0.0.1", 100);
        }
        assert_eq!((driver.state(), driver.frames().len()), (StateKind::Backup, 0));
    }
}

/// LINK-DOWN
#[test]
fn a_link_that_goes_and_comes_back_is_a_shutdown_and_a_startup() {
    let mut driver = master(v2());
    driver.link(LinkState::Down);
    assert_eq!(driver.state(), StateKind::Fault);
    driver.run_for(nanos(10 * SECOND));
    driver.log.clear();
    let up = driver.now;
    driver.link(LinkState::Up);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_until(up + nanos(DOWN - 1));
    assert!(driver.frames().is_empty());
    driver.run_until(up + nanos(DOWN));
    assert_eq!(driver.adverts(), [(up + nanos(DOWN), 100)]);
}

/// SEC-SPOOF255
#[test]
fn a_spoofed_owner_takes_the_role_for_one_down_interval() {
    let mut driver = master(v2());
    driver.hear("10.0.0.66", 255);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_until(at(MIDDLE + DOWN - 1));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_until(at(MIDDLE + DOWN));
    assert_eq!(driver.state(), StateKind::Master);
}

/// SEC-SPOOF0
#[test]
fn a_spoofed_resignation_is_answered_before_any_backup_can_take_over() {
    let mut spoofed = master(v2());
    spoofed.hear("10.0.0.66", 0);
    assert_eq!((spoofed.state(), spoofed.adverts()), (StateKind::Master, vec![(at(MIDDLE), 100)]));
    // The earliest backup, priority 254, waits for 2/256 s.
    let mut backup = Driver::new(InstanceConfig { priority: priority(254), ..v2() });
    backup.hear("10.0.0.66", 0);
    assert_eq!(backup.deadline(), Some(at(7_812_500)));
}

#[test]
fn a_backup_of_a_working_master_sends_nothing() {
    for (row, config) in under_each_profile("V2-3-ONLYMASTER", &v2()) {
        let mut driver = Driver::new(config);
        for _ in 0..60 {
            driver.run_for(nanos(SECOND));
            driver.hear("10.0.0.1", 150);
        }
        assert!(driver.frames().is_empty(), "{row}");
    }
}
