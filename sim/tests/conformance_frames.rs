//! What a router puts on the wire, octet by octet: the encapsulation and the message of its
//! adverts, one row of `requirements.toml` a case.

#[path = "../../engine/tests/driver/mod.rs"]
mod driver;
mod rehearsal;

use driver::*;
use rehearsal::wire::*;
use rehearsal::*;
use vipd_engine::InstanceConfig;

/// What a frame needs to cross the link.
const DELAY: u64 = 100_000;

/// A router and a machine that listens, until this time.
fn alone(config: InstanceConfig, until: &str, steps: &str) -> (Played, Capture) {
    let text = format!(
        "title = \"a router on its link\"\nuntil = \"{until}\"\n[segment.lan]\n\
         [host.a]\nconfig = \"seed/director-1.conf\"\ninterfaces.eth0 = \
         {{ segment = \"lan\", address = [\"10.0.0.2/24\", \"fe80::2/64\", \"2001:db8::2/64\"] }}\n\
         [host.witness]\ninterfaces.eth0 = {{ segment = \"lan\", address = \"10.0.0.9/24\" }}\n\
         {steps}"
    );
    Rehearsal::with_files(&text, [(A, 1, rehearsal::config(config))]).capture()
}

fn step(at: &str, what: &str) -> String {
    format!("[[step]]\nat = \"{at}\"\n{what}\n")
}

#[test]
fn every_frame_that_is_sent_arrives_octet_by_octet() {
    for config in [v2(), v3(100), v6()] {
        let (_, capture) = alone(config, "20s", &step("10s", "stop = \"a\""));
        let sent = capture.sent_by("a").into_iter();
        let sent: Vec<_> = sent.map(|frame| (frame.at + DELAY, &frame.octets)).collect();
        let arrived = capture.frames.iter().filter(|frame| frame.host() == "witness");
        let arrived: Vec<_> = arrived.map(|frame| (frame.at, &frame.octets)).collect();
        assert_eq!(sent, arrived);
        // From 3.609375 s to 9.609375 s each second, and the resignation.
        assert_eq!(capture.adverts("a").len(), 8);
        assert!(sent.len() > 8, "and announcements");
    }
}
