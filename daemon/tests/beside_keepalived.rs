//! vipd and a real keepalived as the two directors of the seed case, with their unchanged files.
//! The virtual servers are left out by an option of keepalived: not every kernel has IPVS.

mod netns;

use std::process::Command;
use std::time::Duration;

use netns::process::Process;
use netns::{Host, Network, TOLERANCE, directors, seed};
use nix::sys::signal::Signal;

const VIP: &str = "200.222.0.113";
const INTERVAL: Duration = Duration::from_secs(1);
/// `Skew_Time` of director-2: (256 - 99) / 256 s.
const SKEW_OF_DIRECTOR_2: Duration = Duration::from_nanos(613_281_250);

/// What either of them sends, but for priority and checksum.
const fn advert(priority: u8, checksum: [u8; 2]) -> [u8; 20] {
    let [high, low] = checksum;
    let (vrid, address) = (51, [200, 222, 0, 113]);
    let [a, b, c, d] = address;
    [0x21, vrid, priority, 1, 1, 1, high, low, a, b, c, d, b'1', b'1', b'1', b'1', 0, 0, 0, 0]
}

/// The network, if keepalived is installed.
fn directors_beside_keepalived() -> Option<Network> {
    if Command::new("keepalived").arg("--version").output().is_err() {
        netns::skip("keepalived is not installed (apt-get install keepalived)");
        return None;
    }
    directors()
}

fn keepalived(network: &Network, host: &Host, file: &str) -> Process {
    let file = seed(file).display().to_string();
    let in_folder = |name: &str| network.folder.join(name).display().to_string();
    let (parent, child) = (in_folder("keepalived.pid"), in_folder("vrrp.pid"));
    let only_vrrp = ["keepalived", "--vrrp", "--dont-fork", "--log-console"];
    let files = ["-f", &file, "-p", &parent, "-r", &child];
    host.run(&[&only_vrrp[..], &files].concat())
}

fn owners(network: &Network) -> Vec<bool> {
    network.hosts.iter().map(|host| host.holds(VIP)).collect()
}

/// Director-2 is silent while director-1 is master.
fn assert_only_director_1_advertises(network: &Network) {
    let capture = &network.capture;
    let two_more = || {
        for _ in 0..2 {
            let seen = capture.mark();
            capture.advert(seen, 0, 100);
        }
    };
    // When both have just started, both may be master for some milliseconds.
    two_more();
    let mark = capture.mark();
    two_more();
    assert_eq!(capture.adverts(mark, 1).len(), 0);
    assert_eq!(owners(network), [true, false]);
}

/// Stops director-1, and sees director-2 take over after its skew.
fn hand_over(network: &Network, mut first: Process) {
    let capture = &network.capture;
    let mark = capture.mark();
    first.signal(Signal::SIGTERM);
    let resigned = capture.advert(mark, 0, 0);
    let taken = capture.advert(mark, 1, 99);
    let took = taken.at.duration_since(resigned.at).expect("it comes later");
    let off = took.abs_diff(SKEW_OF_DIRECTOR_2);
    assert!(off <= TOLERANCE, "it took {took:?}, {SKEW_OF_DIRECTOR_2:?} was expected");
    assert_eq!(taken.message(), Some(&advert(99, [0x4f, 0x18])[..]));
    capture.announcement(mark, 1, VIP);
    assert!(first.ended().success(), "{}", first.said());
    assert_eq!(owners(network), [false, true]);
    let seen = capture.mark();
    let next = capture.advert(seen, 1, 99);
    let took = next.at.duration_since(taken.at).expect("it comes later");
    assert!(took.abs_diff(INTERVAL) <= TOLERANCE, "the next advert came after {took:?}");
}

#[test]
fn keepalived_takes_over_from_vipd_and_gives_back_to_it() {
    netns::measured(|| {
        let Some(network) = directors_beside_keepalived() else { return };
        let (capture, hosts) = (&network.capture, &network.hosts);
        let mut second = keepalived(&network, &hosts[1], "director-2.conf");
        let first = hosts[0].start(&seed("director-1.conf"));
        let one = capture.advert(0, 0, 100);
        assert_eq!(one.message(), Some(&advert(100, [0x4e, 0x18])[..]));
        capture.announcement(0, 0, VIP);
        assert_only_director_1_advertises(&network);
        hand_over(&network, first);

        let mark = capture.mark();
        let first = hosts[0].start(&seed("director-1.conf"));
        capture.announcement(mark, 0, VIP);
        assert_only_director_1_advertises(&network);
        let drops = &hosts[0].status()["instances"][0]["counters"]["drops"];
        assert_eq!(*drops, serde_json::json!({}), "it likes everything that keepalived sends");
        second.signal(Signal::SIGTERM);
        second.ended();
        drop(first);
    });
}

#[test]
fn vipd_takes_over_from_keepalived_and_gives_back_to_it() {
    netns::measured(|| {
        let Some(network) = directors_beside_keepalived() else { return };
        let (capture, hosts) = (&network.capture, &network.hosts);
        let second = hosts[1].start(&seed("director-2.conf"));
        let first = keepalived(&network, &hosts[0], "director-1.conf");
        let one = capture.advert(0, 0, 100);
        assert_eq!(one.message(), Some(&advert(100, [0x4e, 0x18])[..]), "what we send, it sends");
        capture.announcement(0, 0, VIP);
        assert_only_director_1_advertises(&network);
        hand_over(&network, first);

        second.forget();
        let mark = capture.mark();
        let mut first = keepalived(&network, &hosts[0], "director-1.conf");
        capture.announcement(mark, 0, VIP);
        second.wait_for("remove address 200.222.0.113/32 on ens192: done");
        assert_only_director_1_advertises(&network);
        let drops = &hosts[1].status()["instances"][0]["counters"]["drops"];
        assert_eq!(*drops, serde_json::json!({}), "it likes everything that keepalived sends");
        first.signal(Signal::SIGTERM);
        first.ended();
    });
}
