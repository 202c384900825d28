//! A pair of routers in the simulator, one row of `requirements.toml` a case: `a` has priority 100,
//! `b` 99, unless they are twins.

mod rehearsal;

use std::net::IpAddr;
use std::time::Duration;

use rehearsal::*;
use vipd_engine::config::VirtualAddress;
use vipd_engine::{
    DropReason, Family, InstanceConfig, Mismatch, News, Profile, Rules, StateKind, Version, Vrid,
    Why,
};
use vipd_scenarios::record::{HostId, Observation, Seen};

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
        let taken = DOWN + 6 * SECOND + DELAY + 3_613_281_250;
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
    let sends = |seen: &&Observation| {
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
    assert!((0..).zip(times).all(|(count, at)| at == DOWN + count * SECOND));
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

/// Two routers of v3 that differ in their addresses alone, and so become master at the same time.
fn twins(addresses: [&str; 2]) -> Played {
    let is_ipv6 = addresses[0].contains(':');
    let (family, virtual_address) =
        if is_ipv6 { (Family::Ipv6, "fe80::100") } else { (Family::Ipv4, "10.0.0.100") };
    let vrid = Vrid::new(51).expect("a VRID");
    let mut twin = InstanceConfig::new("VI_1", family, "eth0", vrid);
    twin.version = Version::V3;
    twin.addresses = vec![VirtualAddress::new(virtual_address.parse().expect("an address"))];
    let host = |(name, own): (&str, &str)| {
        format!(
            "[host.{name}]\nconfig = \"seed/director-1.conf\"\n\
             interfaces.eth0 = {{ segment = \"lan\", address = [{own}] }}\n"
        )
    };
    let hosts: String = ["a", "b"].into_iter().zip(addresses).map(host).collect();
    let text = format!("title = \"twins\"\nuntil = \"20s\"\n[segment.lan]\n{hosts}");
    Rehearsal::with_files(&text, [A, B].map(|host| (host, 1, config(twin.clone())))).play()
}

/// Of twins, `a` stays master and `b` yields to it.
fn assert_first_stays(row: &str, addresses: [&str; 2]) {
    let played = twins(addresses);
    for host in [A, B] {
        assert_eq!(played.entered(host, StateKind::Master), [DOWN], "{row}: {addresses:?}");
    }
    assert_eq!(played.entered(A, StateKind::Backup), [0], "{row}: {addresses:?}");
    let yields = [0, DOWN + DELAY];
    assert_eq!(played.entered(B, StateKind::Backup), yields, "{row}: {addresses:?}");
}

#[test]
fn of_equal_priorities_the_greater_source_address_stays_master() {
    let rows = [
        ("V3-6.4.3-TIECMP", "\"fe80::8000/64\"", "\"fe80::7fff/64\""),
        ("V3-6.4.3-TIECMP", "\"192.0.2.1/24\"", "\"10.0.0.1/24\""),
        ("V3-6.4.3-TIECMP", "\"128.0.0.1/24\"", "\"127.0.0.1/24\""),
        // The global addresses say the contrary.
        (
            "V3-6.4.3-TIESRC",
            "\"fe80::2/64\", \"2001:db8::1/64\"",
            "\"fe80::1/64\", \"2001:db8::ffff/64\"",
        ),
        (
            "V3-6.4.3-TIESRC",
            "\"2001:db8::1/64\", \"fe80::2/64\"",
            "\"2001:db8::ffff/64\", \"fe80::1/64\"",
        ),
    ];
    for (row, greater, smaller) in rows {
        assert_first_stays(row, [greater, smaller]);
    }
}

/// MIB-6527-PRI0
#[test]
fn a_resignation_is_counted_where_it_is_sent_and_where_it_is_received() {
    // A kernel that is slow to release the address keeps the process there to be asked.
    let steps = "[[step]]\nat = \"9s\"\nkernel_late = \"a\"\nby = \"1m\"\n\
                 [[step]]\nat = \"10s\"\nstop = \"a\"\n";
    for version in [Version::V2, Version::V3] {
        let played = play(version, steps);
        let zeros = |host| {
            let counters = played.counters(host);
            (counters.sent_priority_zero, counters.received_priority_zero)
        };
        assert_eq!((zeros(A), zeros(B)), ((1, 0), (0, 1)));
        assert_eq!((played.counters(A).sent, played.counters(B).received), (8, 8));
    }
}

/// MIB-6527-REASON
#[test]
fn a_new_master_tells_resignation_preemption_and_silence_apart() {
    let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    let late = "[[step]]\nat = \"1ms\"\nstop = \"a\"\n[[step]]\nat = \"10s\"\nstart = \"a\"\n";
    let rows = [
        ("[[step]]\nat = \"10s\"\nstop = \"a\"\n", B, Why::MasterResigned(a)),
        // 3 s and 157/256 s.
        (
            "[[step]]\nat = \"10s\"\nkill = \"a\"\n",
            B,
            Why::MasterDown(Duration::from_nanos(3_613_281_250)),
        ),
        (late, A, Why::Preempts { peer: b, priority: 99 }),
    ];
    for (steps, host, expected) in rows {
        let played = play(Version::V2, steps);
        let status = played.world.status(host).expect("a process");
        let instance = status.instances().next().expect("an instance");
        assert_eq!((instance.state(), instance.why()), (StateKind::Master, &expected));
        let became_master = |seen: &Observation| {
            let Seen::Engine(event) = &seen.seen else { return false };
            let News::State { to: StateKind::Master, why, .. } = &event.news else { return false };
            seen.at.0 > 10 * SECOND && seen.host == host && *why == expected
        };
        assert_eq!(played.times(became_master).len(), 1, "{expected}");
    }
}

/// Each form of the checksum over IPv4 agrees with itself, and the other one is named.
#[test]
fn a_pair_of_one_checksum_form_agrees_and_a_mixed_one_says_why_not() {
    use Profile::{DropIn, Rfc5798, Rfc9568};
    let pair = |profiles: [Profile; 2]| {
        let change = |instance: &mut InstanceConfig| {
            let place = usize::from(instance.priority.get() == 99);
            instance.version = Version::V3;
            instance.password = None;
            instance.rules = Rules::of(profiles[place]);
        };
        Rehearsal::changed("", change).play()
    };
    for profiles in [[Rfc5798, Rfc5798], [Rfc9568, Rfc9568], [DropIn, Rfc5798]] {
        let played = pair(profiles);
        assert!(played.entered(B, StateKind::Master).is_empty(), "{profiles:?}");
        assert_eq!((played.counters(B).received, played.drops(B)), (17, vec![]), "{profiles:?}");
    }
    for profiles in [[Rfc5798, Rfc9568], [Rfc9568, DropIn]] {
        let played = pair(profiles);
        // Nobody holds `b` back, and its first advert tells `a`.
        let down_b = 3_613_281_250;
        assert_eq!(played.entered(B, StateKind::Master), [down_b], "{profiles:?}");
        assert_eq!(played.drops(B), [(DropReason::Checksum, 17)], "{profiles:?}");
        assert_eq!(played.reported(B, "mismatch"), [DOWN + DELAY], "{profiles:?}");
        assert_eq!(played.reported(A, "mismatch"), [down_b + DELAY], "{profiles:?}");
        let names = played.seen.iter().filter_map(|seen| match &seen.seen {
            Seen::Engine(event) => match event.news {
                News::Mismatch { mismatch, .. } => Some(mismatch),
                _ => None,
            },
            _ => None,
        });
        assert!(names.eq([Mismatch::ChecksumForm; 2]), "{profiles:?}");
    }
}
