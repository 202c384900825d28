//! The seed case on a real kernel: two vipd in namespaces of their own, their two unchanged files,
//! and what an outsider sees on the wire. Times have the tolerance of [`netns::TOLERANCE`].

mod netns;

use std::time::{Duration, SystemTime};

use netns::{Host, Network, TOLERANCE, directors, seed};
use nix::sys::signal::Signal;

const VIP: &str = "200.222.0.113";

/// Version 2, type 1; VRID 51; priority 100; one address; PASS; 1 s; checksum; 200.222.0.113;
/// "1111" and four zeros. The checksum by hand: 2133 + 6401 + 0101 + c8de + 0071 + 3131 + 3131 is
/// 1b1e6, folded b1e7, of which the complement is 4e18.
const ADVERT_OF_DIRECTOR_1: [u8; 20] =
    [0x21, 51, 100, 1, 1, 1, 0x4e, 0x18, 200, 222, 0, 113, b'1', b'1', b'1', b'1', 0, 0, 0, 0];

/// Flags and fragment offset, TTL, protocol in an IPv4 header.
const IP_FIELDS: std::ops::Range<usize> = 6..10;

/// `Skew_Time` of director-2: (256 - 99) / 256 s.
const SKEW_OF_DIRECTOR_2: Duration = Duration::from_nanos(613_281_250);
const INTERVAL: Duration = Duration::from_secs(1);

/// Asserts that `at` is `after` later than `from`, within the tolerance.
fn assert_after(from: SystemTime, at: SystemTime, after: Duration, what: &str) {
    let took = at.duration_since(from).unwrap_or_else(|error| panic!("{what}: before, {error}"));
    let off = took.abs_diff(after);
    assert!(off <= TOLERANCE, "{what} came after {took:?}, {after:?} was expected");
}

fn owners(network: &Network) -> Vec<bool> {
    network.hosts.iter().map(|host| host.holds(VIP)).collect()
}

fn state(host: &Host) -> String {
    host.status()["instances"][0]["state"].as_str().expect("a state").to_string()
}

#[test]
fn sigterm_hands_over_after_the_skew_and_a_restart_takes_back() {
    netns::measured(|| {
        let Some(network) = directors() else { return };
        let (capture, hosts) = (&network.capture, &network.hosts);
        let second = hosts[1].start(&seed("director-2.conf"));
        let mut first = hosts[0].start(&seed("director-1.conf"));

        // One owner, with the adverts that keepalived would send, one a second.
        capture.announcement(0, 0, VIP);
        let mark = capture.mark();
        let one = capture.advert(mark, 0, 100);
        assert_eq!(one.message(), Some(&ADVERT_OF_DIRECTOR_1[..]));
        assert_eq!(
            one.octets[14..34][IP_FIELDS],
            [0, 0, 255, 112],
            "no fragment flags, TTL, protocol"
        );
        let mark = capture.mark();
        let next = capture.advert(mark, 0, 100);
        assert_after(one.at, next.at, INTERVAL, "the next advert");
        assert_eq!(owners(&network), [true, false]);
        assert_eq!((state(&hosts[0]), state(&hosts[1])), ("master".into(), "backup".into()));

        // SIGTERM: the advert with priority 0 at once, then the other one after its skew.
        let mark = capture.mark();
        let told = first.signal(Signal::SIGTERM);
        let resigned = capture.advert(mark, 0, 0);
        assert_after(told, resigned.at, Duration::ZERO, "the advert with priority 0");
        let taken = capture.advert(mark, 1, 99);
        assert_after(resigned.at, taken.at, SKEW_OF_DIRECTOR_2, "director-2's first advert");
        let announced = capture.announcement(mark, 1, VIP);
        assert_after(taken.at, announced.at, Duration::ZERO, "director-2's announcement");
        assert!(taken.at <= announced.at, "the advert leaves first (RFC 3768 section 6.4.2)");
        assert_eq!(first.ended().code(), Some(0), "{}", first.said());
        assert_eq!(capture.adverts(mark, 0).len(), 1, "after its resignation it is silent");
        assert_eq!(owners(&network), [false, true]);

        // The restarted one has the higher priority and takes back.
        second.forget();
        let mark = capture.mark();
        let first = hosts[0].start(&seed("director-1.conf"));
        let back = capture.announcement(mark, 0, VIP);
        second.wait_for("master -> backup: 200.222.0.73 has priority 100");
        second.wait_for("remove address 200.222.0.113/32 on ens192: done");
        assert_eq!(owners(&network), [true, false]);
        let late = |one: &netns::capture::Frame| {
            one.at.duration_since(back.at).is_ok_and(|after| after > TOLERANCE)
        };
        let silent = capture.adverts(mark, 1).iter().filter(|one| late(one)).count();
        assert_eq!(silent, 0, "director-2 is silent once it is backup");
        drop((first, second));
    });
}

#[test]
fn after_sigkill_the_other_takes_over_and_the_next_start_removes_the_address_that_stayed() {
    netns::measured(|| {
        let Some(network) = directors() else { return };
        let (capture, hosts) = (&network.capture, &network.hosts);
        let second = hosts[1].start(&seed("director-2.conf"));
        let mut first = hosts[0].start(&seed("director-1.conf"));
        capture.announcement(0, 0, VIP);

        // Nobody resigns: three intervals and the skew of silence (RFC 3768 section 6.1).
        let mark = capture.mark();
        capture.advert(mark, 0, 100);
        first.signal(Signal::SIGKILL);
        first.ended();
        let last = capture.adverts(0, 0).pop().expect("it was master");
        let mark = capture.mark();
        let taken = capture.advert(mark, 1, 99);
        let silence = 3 * INTERVAL + SKEW_OF_DIRECTOR_2;
        assert_after(last.at, taken.at, silence, "director-2's first advert");
        capture.announcement(mark, 1, VIP);
        assert_eq!(owners(&network), [true, true], "nobody could remove it from the dead one");

        // The next start removes it before the election.
        second.forget();
        let mark = capture.mark();
        let first = hosts[0].launch(&seed("director-1.conf"));
        first.wait_for("200.222.0.113 was on this machine before the election, removed");
        first.wait_for("remove address 200.222.0.113/32 on ens192: done");
        assert_eq!(owners(&network), [false, true]);
        assert_eq!(capture.adverts(mark, 0).len(), 0, "that was before its first advert");
        capture.announcement(mark, 0, VIP);
        second.wait_for("master -> backup: 200.222.0.73 has priority 100");
    });
}

#[test]
fn an_operator_moves_the_address_away_and_back_and_a_reload_changes_nothing_of_it() {
    netns::measured(|| {
        let Some(network) = directors() else { return };
        let (capture, hosts) = (&network.capture, &network.hosts);
        // The other one only now: neighbours in priority that start together are both master for a
        // moment, if the lower one is 4 ms ahead.
        let first = hosts[0].start(&seed("director-1.conf"));
        capture.announcement(0, 0, VIP);
        let second = hosts[1].start(&seed("director-2.conf"));

        let mark = capture.mark();
        let unknown = hosts[0].vipd(&["yield", "VI_7"]);
        assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
        let said = String::from_utf8_lossy(&unknown.stderr).to_string();
        assert_eq!(said, "error: there is no vrrp_instance VI_7; there is VI_1\n");
        let told = SystemTime::now();
        let ordered = hosts[0].vipd(&["hold", "VI_1"]);
        let answered = SystemTime::now();
        assert_eq!(ordered.status.code(), Some(0), "{ordered:?}");
        assert_eq!(String::from_utf8_lossy(&ordered.stdout), "VI_1: hold, it is backup\n");
        let resigned = capture.advert(mark, 0, 0);
        assert!((told..=answered).contains(&resigned.at), "an order is answered once it is obeyed");
        let taken = capture.advert(mark, 1, 99);
        assert_after(resigned.at, taken.at, SKEW_OF_DIRECTOR_2, "director-2's first advert");
        first.wait_for("remove address 200.222.0.113/32 on ens192: done");

        first.signal(Signal::SIGHUP);
        first.wait_for("read anew");
        let mark = capture.mark();
        for _ in 0..4 {
            let mark = capture.mark();
            capture.advert(mark, 1, 99);
        }
        assert_eq!(
            capture.adverts(mark, 0).len(),
            0,
            "a higher priority alone would be master now"
        );
        let status = &hosts[0].status()["instances"][0];
        let [state, why, order] = ["state", "why", "order"].map(|key| status[key].as_str());
        assert_eq!((state, order), (Some("backup"), Some("hold")));
        assert_eq!(why, Some("an operator ordered hold"));
        let shown = String::from_utf8_lossy(&hosts[0].vipd(&["status"]).stdout).to_string();
        assert!(shown.contains("  held by order of an operator, until `vipd resume`"), "{shown}");

        let resumed = hosts[0].vipd(&["resume", "VI_1"]);
        assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
        capture.announcement(mark, 0, VIP);
        second.wait_for("master -> backup: 200.222.0.73 has priority 100");
        assert!(hosts[0].status()["instances"][0]["order"].is_null());
    });
}
