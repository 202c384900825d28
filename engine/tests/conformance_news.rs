//! What an instance tells of itself: equal priorities, flapping, the events of RFC 8347, one row of
//! `requirements.toml` a case.

mod driver;

use std::time::Duration;

use driver::*;
use vipd_engine::{
    Input, InstanceConfig, LastEvent, LinkState, Output, Profile, Rules, StateKind, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
/// 3 A + Skew_Time of priority 100 at one second.
const DOWN: Duration = Duration::from_nanos(3_609_375_000);

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

/// When an instance told something of this name, and how it says it.
fn told(driver: &Driver, name: &str) -> Vec<(Timestamp, String)> {
    let told = driver.log.iter().filter_map(|(at, output)| match output {
        Output::Notify(event) if event.news.name() == name => Some((*at, event.to_string())),
        Output::Notify(_)
        | Output::Send { .. }
        | Output::Kernel { .. }
        | Output::Probe(_)
        | Output::Ipvs(_) => None,
    });
    told.collect()
}

fn under(profile: Profile, config: InstanceConfig) -> InstanceConfig {
    InstanceConfig { rules: Rules::of(profile), ..config }
}

/// PRIO-8.3.2-SPREAD
#[test]
fn a_router_with_the_same_priority_is_told_once_and_counts_all_the_same() {
    for profile in [Profile::DropIn, Profile::Rfc5798, Profile::Rfc9568] {
        let mut driver = Driver::new(under(profile, v3(100)));
        for _ in 0..10 {
            driver.run_for(SECOND);
            driver.hear("10.0.0.1", 100);
            driver.hear("10.0.0.7", 101);
        }
        let line = "VI_1: 10.0.0.1 has priority 100 too: priorities should differ".to_owned();
        assert_eq!(told(&driver, "equal-priority"), [(at(SECOND), line)]);
        assert!(told(&driver, "mismatch").is_empty());
        assert_eq!(driver.state(), StateKind::Backup);
        // It counts: its last advert holds the router back for a whole down interval.
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", 100);
        driver.run_for(DOWN - nanos(1));
        assert_eq!(driver.state(), StateKind::Backup);
        driver.run_for(nanos(1));
        assert_eq!(driver.state(), StateKind::Master);
        // So it is told by a master, and of every other sender.
        driver.hear("10.0.0.9", 100);
        assert_eq!(told(&driver, "equal-priority").len(), 2);
    }
}

#[test]
fn two_owners_are_a_mismatch_and_not_two_equal_priorities() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), ..v3(100) });
    driver.hear("10.0.0.1", 255);
    assert!(told(&driver, "equal-priority").is_empty());
    assert_eq!(told(&driver, "mismatch").len(), 1);
}

/// Lets the adverts of a better router come too late, `count` times.
fn late_adverts(driver: &mut Driver, count: u32) {
    for _ in 0..count {
        driver.run_for(DOWN + SECOND / 10);
        assert_eq!(driver.state(), StateKind::Master);
        driver.hear("10.0.0.1", 150);
        assert_eq!(driver.state(), StateKind::Backup);
    }
}

/// LOG-2.5
#[test]
fn three_transitions_within_five_intervals_are_told_once_per_spell() {
    for profile in [Profile::DropIn, Profile::Rfc9568] {
        let mut driver = Driver::new(under(profile, v3(100)));
        late_adverts(&mut driver, 10);
        // Master at 3.609375 s, Backup a tenth of a second later, Master again after 3.609375 s.
        let third = at(DOWN + SECOND / 10 + DOWN);
        let line = "VI_1: flapping: 3 transitions within 5 s, adverts are late".to_owned();
        assert_eq!(told(&driver, "flapping"), [(third, line.clone())]);
        // Five quiet intervals end the spell.
        for _ in 0..6 {
            driver.run_for(SECOND);
            driver.hear("10.0.0.1", 150);
        }
        let again = driver.now + DOWN + SECOND / 10 + DOWN;
        late_adverts(&mut driver, 10);
        assert_eq!(told(&driver, "flapping"), [(third, line.clone()), (again, line)]);
    }
}

#[test]
fn resignations_and_preemptions_are_no_flapping() {
    let mut driver = Driver::new(v3(100));
    for _ in 0..10 {
        driver.hear("10.0.0.1", 150);
        driver.hear("10.0.0.1", 0);
        driver.run_for(SECOND);
        assert_eq!(driver.state(), StateKind::Master);
        driver.run_for(SECOND);
        driver.hear("10.0.0.1", 150);
        assert_eq!(driver.state(), StateKind::Backup);
    }
    assert!(told(&driver, "flapping").is_empty());
}

fn last_event(driver: &Driver) -> &'static str {
    driver.engine.status().instances().next().map_or("gone", |it| it.last_event().name())
}

/// YANG-8347-EVENT
#[test]
fn each_event_of_rfc_8347_can_be_read_once_it_happened() {
    let mut driver = Driver::new(v2());
    assert_eq!(last_event(&driver), "startup");
    driver.run_until(at(DOWN));
    assert_eq!(last_event(&driver), "master-timeout");
    driver.hear("10.0.0.1", 150);
    assert_eq!(last_event(&driver), "higher-priority-backup");
    driver.link(LinkState::Down);
    assert_eq!(last_event(&driver), "interface-down");
    driver.link(LinkState::Up);
    assert_eq!(last_event(&driver), "interface-up");
    driver.address("10.0.0.2", false);
    assert_eq!(last_event(&driver), "no-primary-ip-address");
    driver.address("10.0.0.2", true);
    assert_eq!(last_event(&driver), "primary-ip-address");
    driver.hear("10.0.0.1", 50);
    assert_eq!(last_event(&driver), "lower-priority-master");
    driver.kernel = Answer::Silent;
    driver.run_for(DOWN);
    assert_eq!((driver.state(), last_event(&driver)), (StateKind::Master, "lower-priority-master"));
    driver.handle(Input::Shutdown);
    assert_eq!(last_event(&driver), "shutdown");
    let owner = Driver::new(InstanceConfig { priority: priority(255), ..v2() });
    assert_eq!(last_event(&owner), "owner-preempt");
    let mut unplugged = Driver::unconfigured();
    unplugged.link(LinkState::Down);
    unplugged.configure(vec![v2()], vec![]);
    assert_eq!(last_event(&unplugged), LastEvent::InterfaceDown.name());
}

#[test]
fn the_end_of_a_preempt_delay_is_an_event_at_its_time_and_the_takeover_leaves_it() {
    let mut driver = Driver::new(InstanceConfig { preempt_delay: SECOND * 5, ..v2() });
    driver.run_until(at(SECOND / 2));
    for _ in 0..10 {
        driver.hear("10.0.0.1", 50);
        driver.run_for(SECOND);
    }
    // Heard first at 0.5 s; the last advert that counted as a master's came at 4.5 s.
    let line = "VI_1: the preempt delay is over".to_owned();
    assert_eq!(told(&driver, "preempt-delay-over"), [(at(SECOND * 11 / 2), line)]);
    let takeover = told(&driver, "state").pop().expect("a takeover");
    let why = "VI_1: backup -> master: preempts 10.0.0.1 with priority 50".to_owned();
    assert_eq!(takeover, (at(SECOND * 9 / 2 + DOWN), why));
    assert_eq!(last_event(&driver), "preempt-hold-timeout");
    let mut held = Driver::new(InstanceConfig { preempt_delay: SECOND * 5, ..v2() });
    held.hear("10.0.0.1", 50);
    assert_eq!(last_event(&held), "lower-priority-master");
    // A better master ends the hold, and nothing is over.
    held.hear("10.0.0.7", 150);
    held.run_for(SECOND * 3);
    held.hear("10.0.0.7", 150);
    held.run_for(SECOND * 3);
    assert!(told(&held, "preempt-delay-over").is_empty());
}

#[test]
fn what_rfc_8347_has_no_name_for_leaves_the_last_event() {
    use vipd_engine::TrackerValue;
    use vipd_engine::config::{Track, Tracked, Weight};
    let tracked = Tracked::Tracker(vipd_engine::TrackerName::new("check"));
    let tracks = vec![Track { tracked, weight: Weight { value: 0, reverse: false } }];
    let mut driver = Driver::unconfigured();
    driver.tracker("check", TrackerValue::Up);
    driver.configure(vec![InstanceConfig { tracks, ..v2() }], vec![]);
    driver.run_until(at(DOWN));
    driver.tracker("check", TrackerValue::Down);
    assert_eq!((driver.state(), last_event(&driver)), (StateKind::Fault, "master-timeout"));
    driver.tracker("check", TrackerValue::Up);
    assert_eq!((driver.state(), last_event(&driver)), (StateKind::Backup, "master-timeout"));
}

/// YANG-8347-NAME
#[test]
fn active_is_another_word_for_master_and_no_other_state_has_two() {
    assert_eq!(StateKind::from_word("active"), Some(StateKind::Master));
    assert_eq!(StateKind::from_word("master"), Some(StateKind::Master));
    for (word, state) in [("init", StateKind::Initialize), ("backup", StateKind::Backup)] {
        assert_eq!(StateKind::from_word(word), Some(state));
    }
    assert_eq!(StateKind::from_word("fault"), Some(StateKind::Fault));
    for word in ["Active", "", "standby", "mast"] {
        assert_eq!(StateKind::from_word(word), None, "{word}");
    }
    assert_eq!(StateKind::words().count(), 5);
    // What is shown stays the word that timelines, MIB, YANG and peers use.
    assert_eq!(StateKind::Master.to_string(), "master");
}
