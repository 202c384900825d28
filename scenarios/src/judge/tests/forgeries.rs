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

/// Two injections run, in one name and of one priority; the second one has a TTL of 40. It was
/// named, b reads its configuration again, and an advert of the one or the other comes.
fn looks_like_the_other(injection: u32) -> PropertyReport {
    let mut run = pair(20 * SECOND);
    let inject = |ttl: u8| Injection {
        segment: LAN,
        src: address(77),
        dst: std::net::IpAddr::V4(vipd_engine::config::MULTICAST_GROUP_V4),
        ttl,
        protocol: 112,
        message: Message::Advert(AdvertFields {
            version: 2,
            vrid: 51,
            priority: 50,
            interval: 1,
            auth_type: 0,
            auth_data: [0; 8],
            addresses: vec![vip()],
            checksum_error: 0,
        }),
        count: 2,
        every: Duration::from_secs(2),
    };
    for ttl in [255, 40] {
        let step = Step::Inject(Box::new(inject(ttl)));
        let step = TimedStep { at: WorldTime(5 * SECOND), step, span: 0..0 };
        run.see(5 * SECOND, 0, Seen::Step(Arc::new(step)));
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
