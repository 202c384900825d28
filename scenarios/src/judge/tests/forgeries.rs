//! What a million random schedules brought up about forged adverts: what the judge must
//! not blame, and beside it what it must go on to blame.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::{Mismatch, News};

use super::hunted::pair;
use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{Seen, SeenAdvert, WorldTime};
use crate::scenario::{AdvertFields, Injection, Message, Step, TimedStep};

/// Puts an advert of VRID 51 on the segment at that time, in the name of `address(77)`.
fn inject(run: &mut Run, at: u64, ttl: u8, version: u8, interval: u16) {
    let message = Message::Advert(AdvertFields {
        version,
        vrid: 51,
        priority: 150,
        interval,
        auth_type: 0,
        auth_data: [0; 8],
        addresses: vec![vip()],
        checksum_error: 0,
    });
    let injection = Injection {
        segment: LAN,
        src: address(77),
        dst: std::net::IpAddr::V4(vipd_engine::config::MULTICAST_GROUP_V4),
        ttl,
        protocol: 112,
        message,
        count: 1,
        every: Duration::from_secs(2),
    };
    let step = Step::Inject(Box::new(injection));
    let step = TimedStep { at: WorldTime(at), step, span: 0..0 };
    run.see(at, 0, Seen::Step(Arc::new(step)));
}

/// Two injections run, in one name and of one priority; the second one has a TTL of 40. It was
/// named, b reads its configuration again, and an advert of the one or the other comes.
fn looks_like_the_other(injection: u32) -> PropertyReport {
    let mut run = pair(20 * SECOND);
    for ttl in [255, 40] {
        inject(&mut run, 5 * SECOND, ttl, 2, 1);
    }
    let advert = SeenAdvert { sender: None, src: address(77), ..run.make(0, 50) };
    let arrives =
        |injection| Seen::AdvertDelivered(SeenAdvert { injection: Some(injection), ..advert });
    run.see(5 * SECOND + 1, 1, arrives(1));
    run.news(5 * SECOND + 1, 1, News::Mismatch { peer: address(77), mismatch: Mismatch::Ttl(40) });
    run.reload(6 * SECOND, 1);
    run.see(7 * SECOND, 1, arrives(injection));
    run.judged(PropertyId::S9, 20 * SECOND)
}

#[test]
fn s9_an_advert_is_of_the_step_that_injected_it_and_not_of_one_that_looks_alike() {
    assert_eq!(looks_like_the_other(0).verdict, Verdict::Held);
    is(&looks_like_the_other(1), Verdict::Violated, "nobody named 10.0.0.77");
}

/// a, of an interval of one second, is alone. It hears an advert of a better master, in whose name
/// and of which TTL is told, with an interval of a tenth of a second, and becomes master so long
/// after that.
fn teaches(ttl: u8, name: u8, after: u64) -> PropertyReport {
    let (heard, forged) = (SECOND, SECOND - DELAY);
    let mut run = Run::new(&[100]).version_3(SECOND);
    run.start_all();
    inject(&mut run, forged, ttl, 3, 10);
    let interval = Duration::from_millis(100);
    let (injection, src) = (Some(0), address(name));
    let advert = SeenAdvert { sender: None, injection, src, interval, ..run.make(0, 150) };
    run.see(heard, 0, Seen::AdvertDelivered(advert));
    run.takes_over(forged + after, 0);
    run.adverts(forged + after, 30 * SECOND, 0);
    run.judged(PropertyId::S7, 30 * SECOND)
}

#[test]
fn s7_an_advert_that_is_discarded_teaches_no_interval_and_is_no_fault() {
    let bound = 3 * SECOND + skew(100) + 2 * DELAY + 3 * LATE;
    // Another TTL, or its own address as the source: what it sent came back.
    for (ttl, name) in [(203, 77), (255, 1)] {
        at_the_bound(PropertyId::S7, bound, |extra| teaches(ttl, name, bound + extra));
    }
    is(&teaches(255, 77, bound), Verdict::Violated, "nobody was master");
}
