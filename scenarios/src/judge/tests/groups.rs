//! Sync groups: what happens to one virtual router is a fault of those that move with it, and of no
//! others, and explains no more than it does there.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{Config, GroupConfig};
use vipd_engine::{Event, GroupName, InstanceName, Interval, News, StateKind, Vrid, Why};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{RouterKey, Seen, SeenAdvert};

const A_MASTER: u64 = 3 * SECOND + skew(200);
/// When a forged advert arrives at a that takes it for a better master.
const FORGED: u64 = 10 * SECOND;
/// T with intervals of one second: b and c have the longest down interval.
const SETTLING: u64 = settling(1);
const END: u64 = 40 * SECOND;

/// T if this is the longest interval, in seconds.
const fn settling(interval: u64) -> u64 {
    3 * interval * SECOND + skew(100) + 2 * DELAY + 3 * LATE
}

/// a is master of VI_1, which b follows, and of VI_2, which c follows and whose interval is so many
/// seconds. It yields in both when somebody forges an advert of VI_1, c takes VI_2 over, and a
/// takes both back so long after that.
fn forged(groups: &[&[&str]], interval: u64, after: u64) -> PropertyReport {
    let (backup, master) = (StateKind::Backup, StateKind::Master);
    let vrid = Vrid::new(52).unwrap();
    let slow = Interval::from_centiseconds(interval as i64 * 100).unwrap();
    let mut run =
        Run::new(&[200, 100, 100]).with(2, |config| (config.vrid, config.interval) = (vrid, slow));
    run.start_all();
    let mut second = run.config(0);
    (second.name, second.vrid, second.interval) = (InstanceName::new("VI_2"), vrid, slow);
    let group = |(index, members): (usize, &&[&str])| GroupConfig {
        name: GroupName::new(if index == 0 { "VG_1" } else { "VG_2" }),
        members: members.iter().map(|name| InstanceName::new(name)).collect(),
        tracks: vec![],
        tracking_weight: false,
    };
    let groups = groups.iter().enumerate().map(group).collect();
    let config = Config::new(vec![run.config(0), second], groups, Duration::ZERO).unwrap();
    run.see(1, 0, Seen::Configured(Arc::new(config)));
    let (taken, followed) = (FORGED + after, FORGED + 3 * SECOND);
    for (at, from, to) in [(A_MASTER, backup, master), (FORGED, master, backup)]
        .into_iter()
        .chain([(taken, backup, master)])
    {
        let news = News::State { from, to, why: Why::Startup };
        run.state(at, 0, from, to);
        run.see(at, 0, Seen::Engine(Event { instance: InstanceName::new("VI_2"), news }));
    }
    let every = |seconds: u64| {
        let step = (seconds * SECOND) as usize;
        (A_MASTER..FORGED).step_by(step).chain((taken..END).step_by(step))
    };
    for at in every(1) {
        run.advert_to(at, 0, 200, &[1]);
    }
    for at in every(interval) {
        let (router, interval) = (RouterKey { vrid: 52, ..key() }, slow.duration());
        let advert = SeenAdvert { router, interval, ..run.make(0, 200) };
        run.see(at, 0, Seen::AdvertSent(advert));
        run.see(at + DELAY, 2, Seen::AdvertDelivered(advert));
    }
    let forged = SeenAdvert { sender: None, src: address(77), ..run.make(0, 255) };
    run.see(FORGED, 0, Seen::AdvertDelivered(forged));
    run.state(followed, 2, backup, master);
    run.adverts_to(followed, taken, 2, &[0]);
    run.advert_to(taken, 2, 0, &[0]);
    run.state(taken, 2, master, backup);
    run.judged(PropertyId::S7, END)
}

#[test]
fn s7_a_sync_group_settles_anew_after_a_fault_of_one_member_and_nobody_else_does() {
    let together: &[&[&str]] = &[&["VI_1", "VI_2"]];
    at_the_bound(PropertyId::S7, SETTLING, |extra| forged(together, 1, SETTLING + extra));
    for apart in [&[][..], &[&["VI_1"][..], &["VI_2"][..]][..]] {
        let report = forged(apart, 1, SETTLING);
        is(&report, Verdict::Violated, "c was master although a is better");
    }
}

#[test]
fn s7_a_member_of_a_sync_group_waits_for_the_one_with_the_longest_interval_and_nobody_else_does() {
    let together: &[&[&str]] = &[&["VI_1", "VI_2"]];
    let bound = settling(2);
    at_the_bound(PropertyId::S7, bound, |extra| forged(together, 2, bound + extra));
    is(&forged(&[&["VI_1"], &["VI_2"]], 2, bound), Verdict::Violated, "nobody was master");
}
