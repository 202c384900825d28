//! A pair of routers in the simulator, one row of `requirements.toml` a case: `a` has priority 100,
//! `b` 99.

mod rehearsal;

use rehearsal::*;
use vipd_engine::{InstanceConfig, StateKind, Version};
use vipd_scenarios::record::{HostId, Seen};

/// What a frame needs to cross the link.
const DELAY: u64 = 100_000;
/// When `a` becomes master: 3 A + Skew_Time of priority 100.
const DOWN_A: u64 = 3_609_375_000;

fn play(version: Version, steps: &str) -> Played {
    let change = |instance: &mut InstanceConfig| {
        instance.version = version;
        instance.password = None;
    };
    Rehearsal::changed(steps, change).play()
}

/// Times of the adverts, or of the announcements, of a host.
fn adverts(played: &Played, host: HostId) -> Vec<u64> {
    played.times(|seen| seen.host == host && matches!(seen.seen, Seen::AdvertSent(_)))
}

fn announcements(played: &Played, host: HostId) -> Vec<u64> {
    played.times(|seen| seen.host == host && matches!(seen.seen, Seen::Announced { .. }))
}

#[test]
fn a_backup_whose_master_dies_advertises_and_announces_and_goes_on_each_interval() {
    for (row, version) in [("V2-6.4.2-TIMER", Version::V2), ("V3-6.4.2-TIMER4", Version::V3)] {
        let played = play(version, "[[step]]\nat = \"10s\"\nkill = \"a\"\n");
        // The last advert of `a` is the one of its sixth interval; 3 s and 157/256 s after it.
        let taken = DOWN_A + 6 * SECOND + DELAY + 3_613_281_250;
        assert_eq!(played.entered(B, StateKind::Master), [taken], "{row}");
        assert_eq!(adverts(&played, B)[..2], [taken, taken + SECOND], "{row}");
        assert_eq!(announcements(&played, B).first(), Some(&taken), "{row}");
        assert_eq!(played.owned(B, true), [taken], "{row}");
    }
}

/// V3-6.4.1-ORDER
#[test]
fn the_advert_is_seen_before_the_announcement() {
    let played = play(Version::V3, "");
    let sends = |seen: &&vipd_scenarios::record::Observation| {
        seen.host == A && matches!(seen.seen, Seen::AdvertSent(_) | Seen::Announced { .. })
    };
    let kinds = played.seen.iter().filter(sends).map(|seen| match seen.seen {
        Seen::AdvertSent(_) => "advert",
        _ => "announcement",
    });
    assert_eq!(kinds.take(2).collect::<Vec<_>>(), ["advert", "announcement"]);
}

/// V2-3-ONLYMASTER
#[test]
fn only_the_master_of_a_stable_pair_advertises() {
    let played = play(Version::V2, "");
    assert!(adverts(&played, B).is_empty());
    let times = adverts(&played, A);
    assert_eq!(times.len(), 17);
    assert!((0..).zip(times).all(|(count, at)| at == DOWN_A + count * SECOND));
}

/// SEC-SPOOF0
#[test]
fn a_spoofed_resignation_is_answered_before_the_backup_takes_over() {
    let inject = "[[step]]\nat = \"6s\"\ninject = \"lan\"\nsrc = \"10.0.0.66\"\nvrid = 51\n\
                  priority = 0\naddresses = \"10.0.0.100\"\n";
    let played = play(Version::V2, inject);
    assert!(adverts(&played, A).contains(&(6 * SECOND + DELAY)));
    assert!(played.entered(B, StateKind::Master).is_empty());
}
