//! One router in the simulator and somebody on its link who says what a row of `requirements.toml`
//! needs, one row a case. Times are the RFCs' formulas worked out by hand, plus the delay of the
//! link.

mod rehearsal;

use rehearsal::*;
use vipd_engine::config::VirtualAddress;
use vipd_engine::{
    DropReason, Family, InstanceConfig, Interval, News, Priority, Profile, Rules, StateKind,
    Version,
};
use vipd_scenarios::record::Seen;

/// A time at which nothing else happens, for what is said.
const HEARD: u64 = 6 * SECOND + DELAY;

/// The router under test.
#[derive(Clone, Copy)]
struct Router {
    version: Version,
    profile: Profile,
    centiseconds: i64,
    priority: i64,
    preempt: bool,
}

impl Router {
    const fn v2() -> Self {
        let (version, profile) = (Version::V2, Profile::DropIn);
        Self { version, profile, centiseconds: 100, priority: 100, preempt: true }
    }

    const fn v3() -> Self {
        Self { version: Version::V3, ..Self::v2() }
    }

    fn apply(self, instance: &mut InstanceConfig) {
        instance.version = self.version;
        instance.rules = Rules::of(self.profile);
        instance.interval = Interval::from_centiseconds(self.centiseconds).expect("an interval");
        instance.priority = Priority::new(self.priority).expect("a priority");
        instance.preempt = self.preempt;
        instance.password = None;
    }

    /// Plays `steps` to it for 40 s.
    fn play(self, steps: &str) -> Played {
        Rehearsal::new(&format!("{ALONE}{steps}"), |instance| self.apply(instance)).play()
    }

    /// Somebody at `source` sends an advert, with `rest` besides.
    fn hears(self, at: &str, source: &str, priority: u8, rest: &str) -> String {
        format!(
            "[[step]]\nat = \"{at}\"\ninject = \"lan\"\nsrc = \"{source}\"\nvrid = 51\n\
             priority = {priority}\nversion = {}\naddresses = \"10.0.0.100\"\n{rest}\n",
            self.version.number()
        )
    }
}

/// Times and priorities of the router's adverts.
fn sent(played: &Played) -> Vec<(u64, u8)> {
    let sent = played.seen.iter().filter(|seen| seen.host == A);
    sent.filter_map(|seen| match seen.seen {
        Seen::AdvertSent(advert) => Some((seen.at.0, advert.priority)),
        _ => None,
    })
    .collect()
}

fn first_sent(played: &Played) -> Option<u64> {
    sent(played).first().map(|(at, _)| *at)
}

fn sent_after(played: &Played, time: u64) -> Vec<u64> {
    sent(played).into_iter().map(|(at, _)| at).filter(|at| *at >= time).collect()
}

fn both(v2: &'static str, v3: &'static str) -> [(&'static str, Router); 4] {
    let (old, new) = (Router::v2(), Router::v3());
    [
        (v2, old),
        (v2, Router { profile: Profile::Rfc3768, ..old }),
        (v3, new),
        (v3, Router { profile: Profile::Rfc5798, ..new }),
    ]
}

#[test]
fn alone_a_router_is_silent_for_its_down_interval() {
    let v2 =
        |seconds: i64, priority| Router { centiseconds: seconds * 100, priority, ..Router::v2() };
    let v3 = |centiseconds, priority| Router { centiseconds, priority, ..Router::v3() };
    let rows = [
        ("V2-6.1-MDI", v2(1, 100), DOWN),
        ("V2-6.1-MDI", v2(1, 254), 3_007_812_500),
        ("V2-6.1-MDI", v2(10, 100), 30_609_375_000),
        ("V2-6.4.1-BACKUP", v2(1, 100), DOWN),
        ("V2-6.4.1-BACKUP", v2(1, 1), 3_996_093_750),
        ("V3-6.1-MDI", v3(100, 100), DOWN),
        ("V3-6.1-MDI", v3(10, 100), 360_937_500),
        ("V3-6.1-MAI-INIT", v3(200, 100), 7_218_750_000),
        ("V3-6.4.1-BACKUP", v3(100, 254), 3_007_812_500),
        ("X-RES", v3(1, 254), 30_078_125),
        ("V2-6.4.1-OWNER", v2(1, 255), 0),
        ("V3-6.4.1-OWNER4", v3(100, 255), 0),
    ];
    for (row, router, down) in rows {
        let played = router.play("");
        assert_eq!(first_sent(&played), Some(down), "{row}");
        assert_eq!(played.entered(A, StateKind::Master), [down], "{row}");
        assert_eq!(played.owned(A, true), [down], "{row}");
    }
}

#[test]
fn a_master_advertises_at_each_interval_exactly() {
    let rows = [
        ("V2-6.2-ADT", Router::v2(), SECOND, DOWN),
        ("V2-6.4.3-ADV", Router { priority: 200, ..Router::v2() }, SECOND, 3_218_750_000),
        ("V3-6.4.3-ADV", Router::v3(), SECOND, DOWN),
        ("V3-6.2-TIMERS", Router { centiseconds: 10, ..Router::v3() }, SECOND / 10, 360_937_500),
        ("X-DRIFT", Router { centiseconds: 1, ..Router::v3() }, SECOND / 100, 36_093_750),
    ];
    for (row, router, interval, first) in rows {
        let times = sent_after(&router.play(""), 0);
        assert!(times.len() >= 36, "{row}");
        for (count, time) in (0..).zip(times) {
            assert_eq!(time, first + interval * count, "{row}");
        }
    }
}

#[test]
fn priority_zero_leaves_a_backup_its_skew_time() {
    let rows = [
        ("V2-6.1-SKEW", Router::v2(), 609_375_000),
        ("V2-6.4.2-PRI0", Router { priority: 254, ..Router::v2() }, 7_812_500),
        ("V2-6.4.2-PRI0", Router { priority: 1, ..Router::v2() }, 996_093_750),
        ("V3-6.1-SKEW", Router::v3(), 609_375_000),
    ];
    for (row, router, skew) in rows {
        let played = router.play(&router.hears("1s", "10.0.0.1", 0, ""));
        assert_eq!(first_sent(&played), Some(SECOND + DELAY + skew), "{row}");
    }
    let router = Router::v2();
    let again = router.hears("1s", "10.0.0.1", 0, "count = 2\nevery = \"300ms\"");
    let expected = Some(SECOND + DELAY + 300_000_000 + 609_375_000);
    assert_eq!(first_sent(&router.play(&again)), expected, "{}", "V2-6.4.2-PRI0-AGAIN");
}

#[test]
fn the_interval_of_a_v3_master_replaces_the_own_one_until_mastership() {
    let router = Router::v3();
    let slow = router.hears("1s", "10.0.0.1", 150, "interval = \"2s\"");
    for row in ["V3-6.1-MAI-LEARN", "V3-6.4.2-GE", "V3-6.1-MAI-OWN"] {
        let times = sent_after(&router.play(&slow), 0);
        let first = SECOND + DELAY + 7_218_750_000;
        assert_eq!(times[..3], [first, first + SECOND, first + 2 * SECOND], "{row}");
    }
    let resigns = slow + &router.hears("2s", "10.0.0.1", 0, "interval = \"2s\"");
    for row in ["V3-6.4.2-PRI0", "V3-6.4.2-SKEWRECALC"] {
        let first = first_sent(&router.play(&resigns));
        assert_eq!(first, Some(2 * SECOND + DELAY + 1_218_750_000), "{row}");
    }
}

#[test]
fn an_advert_that_counts_holds_a_backup_and_one_that_does_not_leaves_it() {
    // The sender's address is smaller than the router's own.
    let equal = "count = 7\nevery = \"3s\"";
    for row in ["V2-6.4.2-GE", "V2-6.4.2-NOTIE"] {
        let router = Router::v2();
        let played = router.play(&router.hears("1s", "10.0.0.1", 100, equal));
        assert_eq!(first_sent(&played), Some(19 * SECOND + DELAY + DOWN), "{row}");
    }
    let often = "count = 20\nevery = \"500ms\"";
    let router = Router { priority: 200, preempt: false, ..Router::v2() };
    let played = router.play(&router.hears("500ms", "10.0.0.1", 100, often));
    let expected = Some(10 * SECOND + DELAY + 3_218_750_000);
    assert_eq!(first_sent(&played), expected, "{}", "V2-6.4.2-NOPREEMPT");
    for (row, router) in both("V2-6.4.2-LOWER", "V3-6.4.2-LOWER") {
        let router = Router { priority: 200, ..router };
        let interval = if router.version == Version::V2 { "1s" } else { "4s" };
        let rest = format!("count = 6\nevery = \"500ms\"\ninterval = \"{interval}\"");
        let played = router.play(&router.hears("500ms", "10.0.0.1", 100, &rest));
        assert_eq!(first_sent(&played), Some(3_218_750_000), "{row}");
    }
    for (row, router) in under("V2-6.2-MDT", Router::v2()) {
        let played = router.play(&router.hears("2500ms", "10.0.0.1", 150, ""));
        assert_eq!(first_sent(&played), Some(2_500_000_000 + DELAY + DOWN), "{row}");
    }
}

fn under(row: &'static str, router: Router) -> [(&'static str, Router); 2] {
    let rfc = if router.version == Version::V2 { Profile::Rfc3768 } else { Profile::Rfc5798 };
    [(row, router), (row, Router { profile: rfc, ..router })]
}

#[test]
fn a_router_that_is_stopped_resigns_only_if_it_is_master() {
    for (row, router) in both("V2-6.4.2-SHUT", "V3-6.4.2-SHUT") {
        assert!(sent(&router.play(&step("1s", "stop = \"a\""))).is_empty(), "{row}");
    }
    for (row, router) in both("V2-6.4.3-SHUT", "V3-6.4.3-SHUT") {
        let played = router.play(&step("6s", "stop = \"a\""));
        assert_eq!(sent(&played).last(), Some(&(6 * SECOND, 0)), "{row}");
        assert_eq!(played.owned(A, false), [6 * SECOND], "{row}");
    }
    for (row, router) in under("V2-5.3.4-PRI0", Router::v2()) {
        let zeros = sent(&router.play(&step("6s", "stop = \"a\"")));
        assert_eq!(zeros.iter().filter(|(_, priority)| *priority == 0).count(), 1, "{row}");
    }
}

#[test]
fn a_master_answers_priority_zero_and_yields_to_a_better_router() {
    for (row, router) in both("V2-6.4.3-PRI0", "V3-6.4.3-PRI0") {
        let played = router.play(&router.hears("6s", "10.0.0.1", 0, ""));
        assert_eq!(sent_after(&played, HEARD)[..2], [HEARD, HEARD + SECOND], "{row}");
    }
    for (row, router) in under("V2-6.4.3-TIEHI", Router::v2()) {
        let played = router.play(&router.hears("6s", "10.0.0.99", 100, ""));
        assert_eq!(played.entered(A, StateKind::Backup).last(), Some(&HEARD), "{row}");
    }
    for (row, router) in both("V2-6.4.3-PREEMPT-IGN", "V2-6.4.3-PREEMPT-IGN") {
        let router = Router { preempt: false, ..router };
        let played = router.play(&router.hears("6s", "10.0.0.1", 101, ""));
        assert_eq!(played.entered(A, StateKind::Backup).last(), Some(&HEARD), "{row}");
    }
    let rows = [
        ("V2-6.4.3-HIGHER", Router { profile: Profile::Rfc3768, ..Router::v2() }, "1s", DOWN),
        (
            "V3-6.4.3-HIGHER",
            Router { profile: Profile::Rfc5798, ..Router::v3() },
            "2s",
            7_218_750_000,
        ),
        ("SEC-SPOOF255", Router { profile: Profile::Rfc3768, ..Router::v2() }, "1s", DOWN),
    ];
    for (row, router, interval, down) in rows {
        let heard = if row == "SEC-SPOOF255" { 255 } else { 150 };
        let rest = format!("interval = \"{interval}\"");
        let played = router.play(&router.hears("6s", "10.0.0.1", heard, &rest));
        assert_eq!(played.owned(A, false), [HEARD], "{row}");
        assert_eq!(sent_after(&played, HEARD).first(), Some(&(HEARD + down)), "{row}");
    }
}

#[test]
fn a_master_stays_when_it_hears_a_lesser_router() {
    // The periodic advert after 6 s is the third one.
    let tick = DOWN + 3 * SECOND;
    let old = Router { profile: Profile::Rfc3768, ..Router::v2() };
    let new = Router { profile: Profile::Rfc5798, ..Router::v3() };
    let rows = [
        ("V2-6.4.3-TIELO", old, "10.0.0.1", 100, tick),
        ("V2-6.4.3-TIEEQ", old, "10.0.0.2", 100, tick),
        ("V2-6.4.3-LOWER", old, "10.0.0.1", 50, tick),
        ("V3-6.4.3-LOWER-5798", new, "10.0.0.1", 50, tick),
        ("V3-6.4.3-LOWER-9568", Router::v3(), "10.0.0.1", 50, HEARD),
    ];
    for (row, router, source, heard, next) in rows {
        let played = router.play(&router.hears("6s", source, heard, ""));
        assert_eq!(played.entered(A, StateKind::Master), [DOWN], "{row}");
        assert!(played.owned(A, false).is_empty(), "{row}");
        assert_eq!(sent_after(&played, 6 * SECOND).first(), Some(&next), "{row}");
    }
    let router = Router::v3();
    let flood = "count = 100\nevery = \"1ms\"";
    let played = router.play(&router.hears("6s", "10.0.0.1", 50, flood));
    let times = sent_after(&played, 6 * SECOND);
    let asserted = times.iter().filter(|at| **at <= HEARD + 100_000_000).count();
    assert!((1..=4).contains(&asserted), "{}: {asserted}", "X-LOWER-RATE");
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.max() <= Some(SECOND), "{}", "X-LOWER-TIMER");
}

#[test]
fn an_advert_that_does_not_count_is_dropped_for_its_reason_and_changes_nothing() {
    let (old, new) = (Router::v2(), Router::v3());
    let rows = [
        ("V2-5.2.3-TTLRX", old, "ttl = 254", "ttl"),
        ("V3-5.1.1.3-TTL4RX", new, "ttl = 254", "ttl"),
        ("SEC-TTL", old, "ttl = 1", "ttl"),
        ("MIB-6527-TTL", new, "ttl = 1", "ttl"),
        ("V2-7.1-CSUMRX", old, "checksum_error = 1", "checksum"),
        ("V3-7.1-CSUMRX", new, "checksum_error = 1", "checksum"),
        ("MIB-6527-CSUM", old, "checksum_error = 255", "checksum"),
        ("V2-7.1-INT", old, "interval = \"2s\"", "interval"),
        ("V2-6.1-NOLEARN", old, "interval = \"4s\"", "interval"),
        ("MIB-6527-INT", old, "interval = \"3s\"", "interval"),
        ("AUTH-2338-MIS", old, "auth_pass = \"1111\"", "auth_type"),
        ("V2-5.3.6-AUTHUNK", old, "auth_type = 2", "auth_type"),
        ("V2-5.3.6-AUTHUNK", old, "auth_type = 3", "auth_type"),
        ("V2-5.3.6-AUTHUNK", old, "auth_type = 254", "auth_type"),
        ("X-7.1-DST", old, "dst = \"10.0.0.2\"", "destination"),
    ];
    for (row, router, fault, reason) in rows {
        // Each would hold a backup for good, if it counted: the router takes over in its time.
        let rest = format!("count = 8\nevery = \"400ms\"\n{fault}");
        let played = router.play(&router.hears("100ms", "10.0.0.1", 200, &rest));
        assert_eq!(dropped(&played), [reason; 8], "{row}");
        assert_eq!(played.entered(A, StateKind::Master), [DOWN], "{row}");
    }
}

/// The reasons for which the router dropped what it heard.
fn dropped(played: &Played) -> Vec<&'static str> {
    let dropped = played.seen.iter().filter_map(|seen| match seen.seen {
        Seen::Dropped(name) if seen.host == A => Some(name),
        _ => None,
    });
    dropped.collect()
}

#[test]
fn an_advert_of_something_else_is_dropped_for_its_reason_and_changes_nothing() {
    let (old, new) = (Router::v2(), Router::v3());
    let strict = Router { profile: Profile::Rfc3768, ..old };
    let (list, other) = ("addresses = \"10.0.0.100\"", "addresses = \"10.0.0.99\"");
    let rows = [
        ("V2-5.3.1-VER", old, "version = 2", "version = 0", "version"),
        ("V2-5.3.1-VER", old, "version = 2", "version = 1", "version"),
        ("V2-5.3.1-VER", old, "version = 2", "version = 4", "version"),
        ("V2-5.3.1-VER", old, "version = 2", "version = 15", "version"),
        ("V2-5.3.1-VER", old, "version = 2", "version = 3", "version"),
        ("V3-5.2.1-VER", new, "version = 3", "version = 2", "version"),
        ("MIB-6527-VER", new, "version = 3", "version = 7", "version"),
        ("V2-7.1-VRID", old, "vrid = 51", "vrid = 52", "vrid"),
        ("V3-7.1-VRID", new, "vrid = 51", "vrid = 0", "vrid"),
        ("MIB-6527-VRID", new, "vrid = 51", "vrid = 50", "vrid"),
        ("V2-7.1-LIST-DROP", strict, list, other, "addr_list"),
        ("MIB-6527-LIST", strict, list, "addresses = \"10.0.0.101\"", "addr_list"),
    ];
    for (row, router, right, wrong, reason) in rows {
        let rest = "count = 8\nevery = \"400ms\"";
        let step = router.hears("100ms", "10.0.0.1", 200, rest).replace(right, wrong);
        let played = router.play(&step);
        assert_eq!(dropped(&played), [reason; 8], "{row}");
        assert_eq!(played.entered(A, StateKind::Master), [DOWN], "{row}");
    }
    // The owner's advert is spared.
    let owner = strict.hears("1s", "10.0.0.1", 255, "").replace(list, other);
    assert_eq!(first_sent(&strict.play(&owner)), Some(SECOND + DELAY + DOWN));
}

#[test]
fn what_differs_without_a_fault_counts_and_is_told_once() {
    let router = Router::v3();
    let rest = "count = 5\nevery = \"1s\"";
    let list = router.hears("1s", "10.0.0.1", 150, rest).replace("10.0.0.100", "10.0.0.99");
    let played = router.play(&list);
    assert_eq!(first_sent(&played), Some(5 * SECOND + DELAY + DOWN), "{}", "V3-7.1-LIST");
    assert_eq!(played.reported(A, "mismatch"), [SECOND + DELAY]);
    let rest = "count = 5\nevery = \"1s\"\ninterval = \"2s\"";
    let played = router.play(&router.hears("1s", "10.0.0.1", 150, rest));
    let expected = Some(5 * SECOND + DELAY + 7_218_750_000);
    assert_eq!(first_sent(&played), expected, "{}", "V3-7.1-INT");
    assert_eq!(played.reported(A, "interval-learned"), [SECOND + DELAY]);
    let rest = "count = 1000\nevery = \"1ms\"\nttl = 254";
    let played = router.play(&router.hears("1s", "10.0.0.1", 150, rest));
    assert_eq!(dropped(&played).len(), 1000, "{}", "V3-7.1-LOGRATE");
    assert_eq!(played.reported(A, "mismatch"), [SECOND + DELAY]);
}

#[test]
fn an_owner_discards_what_it_hears_and_names_who_says_it() {
    let rows = [
        ("V2-7.1-OWNER", Router { profile: Profile::Rfc3768, ..Router::v2() }),
        ("V3-7.1-OWNER", Router { profile: Profile::Rfc5798, ..Router::v3() }),
        ("PRIO-8.3.2-ONE255", Router::v2()),
    ];
    for (row, router) in rows {
        let router = Router { priority: 255, ..router };
        let played = router.play(&router.hears("6s", "10.0.0.99", 255, ""));
        assert_eq!(played.entered(A, StateKind::Master), [0], "{row}");
        assert!(played.owned(A, false).is_empty(), "{row}");
        assert_eq!(dropped(&played), ["owner"], "{row}");
        assert_eq!(played.reported(A, "mismatch"), [HEARD], "{row}");
    }
}

/// SEC-FLOOD
#[test]
fn a_flood_of_lower_adverts_delays_no_advert() {
    let router = Router::v2();
    let flood = "count = 50000\nevery = \"100us\"";
    let played = router.play(&router.hears("6s", "10.0.0.1", 50, flood));
    let times = sent_after(&played, 0);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= SECOND));
    assert_eq!(played.entered(A, StateKind::Master), [DOWN]);
}

#[test]
fn an_owner_preempts_whatever_preempt_mode_says() {
    for (row, router) in both("V2-6.1-PREEMPT-OWNER", "V3-6.1-PREEMPT-OWNER") {
        let router = Router { priority: 255, preempt: false, ..router };
        let rest = "count = 20\nevery = \"1s\"";
        let heard = router.hears("100ms", "10.0.0.1", 254, rest);
        let again = step("50ms", "stop = \"a\"") + &heard + &step("3s", "start = \"a\"");
        let played = router.play(&again);
        assert_eq!(played.entered(A, StateKind::Master).last(), Some(&(3 * SECOND)), "{row}");
        assert_eq!(sent_after(&played, SECOND).first(), Some(&(3 * SECOND)), "{row}");
    }
}

#[test]
fn adverts_go_from_the_primary_address_to_the_group() {
    for (v2, v3) in [("V2-5.2.1-SRC", "V3-5.1.1.1-SRC4"), ("V2-5.2.2-DST", "V3-5.1.1.2-DST4")] {
        for (row, router) in both(v2, v3) {
            let played = router.play("");
            let sent = played.seen.iter().filter_map(|seen| match seen.seen {
                Seen::AdvertSent(advert) => Some((advert.src.to_string(), advert.dst.to_string())),
                _ => None,
            });
            let (mut count, expected) = (0, ("10.0.0.2".to_owned(), "224.0.0.18".to_owned()));
            for endpoints in sent {
                assert_eq!(endpoints, expected, "{row}");
                count += 1;
            }
            assert_eq!(count, 37, "{row}");
        }
    }
}

/// A router of this family that is started at 1 s, and why it is in FAULT, with the times.
fn started(family: Family, own: &str, steps: &str) -> (Played, Vec<(u64, String)>) {
    let text =
        ALONE.replace("\"10.0.0.2/24\"", own).replace("[host.a]", "[host.a]\nstarted = false");
    let steps = step("1s", "start = \"a\"") + steps;
    let virtual_address = if family == Family::Ipv4 { "10.0.0.100" } else { "fe80::100" };
    let virtual_address = virtual_address.parse().expect("an address");
    let played = Rehearsal::new(&(text + &steps), |instance| {
        let mut fresh = InstanceConfig::new("VI_1", family, "eth0", instance.vrid);
        fresh.version = Version::V3;
        fresh.addresses = vec![VirtualAddress::new(virtual_address)];
        *instance = fresh;
    });
    let played = played.play();
    let faults = played.seen.iter().filter_map(|seen| {
        let Seen::Engine(event) = &seen.seen else { return None };
        let News::State { to: StateKind::Fault, why, .. } = &event.news else { return None };
        Some((seen.at.0, why.to_string()))
    });
    let faults = faults.collect();
    (played, faults)
}

/// X-6.4.1-STARTCOND
#[test]
fn a_router_starts_only_with_a_link_and_an_address_to_send_from() {
    let port = |at: &str, what: &str| step(at, &format!("{what} = \"a\"\ninterface = \"eth0\""));
    let steps = port("500ms", "link_down") + &port("5s", "link_up");
    for (family, own) in [(Family::Ipv4, "\"10.0.0.2/24\""), (Family::Ipv6, "\"fe80::2/64\"")] {
        let (played, faults) = started(family, own, &steps);
        assert_eq!(faults, [(SECOND, "link is down".to_owned())]);
        assert_eq!(played.entered(A, StateKind::Backup), [5 * SECOND]);
        assert_eq!(first_sent(&played), Some(5 * SECOND + DOWN));
    }
    // A global address does not make up for the link-local one.
    let removed = step("500ms", "remove_address = \"a\"\naddress = \"fe80::2\"");
    let rows = [
        (Family::Ipv4, "\"fe80::2/64\"", ""),
        (Family::Ipv6, "[\"fe80::2/64\", \"2001:db8::2/64\"]", &removed),
    ];
    for (family, own, steps) in rows {
        let (played, faults) = started(family, own, steps);
        assert_eq!(faults, [(SECOND, "interface has no address to send from".to_owned())]);
        assert!(sent(&played).is_empty(), "{own}");
    }
}

/// X-7.1-IF
#[test]
fn an_advert_on_another_interface_is_not_for_this_router() {
    for router in [Router::v2(), Router::v3()] {
        let other = "interfaces.eth1 = { segment = \"other\", address = \"10.0.1.2/24\" }\n\
                     [segment.other]\n";
        let rest = "count = 90\nevery = \"400ms\"";
        let steps = router.hears("100ms", "10.0.0.1", 200, rest);
        let played = router.play(&(other.to_owned() + &steps.replace("\"lan\"", "\"other\"")));
        assert_eq!(played.entered(A, StateKind::Master), [DOWN]);
        assert_eq!(played.entered(A, StateKind::Backup), [0]);
        assert_eq!(played.counters(A).received, 0);
        assert_eq!(played.drops(A), [(DropReason::Vrid, 90)]);
    }
}
