//! Sync groups: what happens to one virtual router is a fault of those that move with it, and of no
//! others, and explains no more than it does there.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{Config, GroupConfig, Peer, Transport};
use vipd_engine::{Event, GroupName, InstanceName, Interval, News, StateKind, Vrid, Why};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{HostId, RouterKey, Seen, SeenAdvert};

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
    let apart = forged(&[&["VI_1"], &["VI_2"]], 2, bound);
    is(&apart, Verdict::Violated, "c was master although a is better");
}

/// a and b run VI_1 over unicast, which passes, and VI_2 over multicast, which does not; a is
/// master of both, of VI_1 until then, and b of none. Perhaps a loses its link at last.
fn split_group(grouped: bool, priority: i64, until: u64, down: Option<u64>) -> PropertyReport {
    let (backup, master) = (StateKind::Backup, StateKind::Master);
    let peers = [address(1), address(2)].map(Peer::new);
    let mut run = Run::new(&[200, priority]);
    for (host, peer) in [(0, &peers[1]), (1, &peers[0])] {
        let peers = vec![peer.clone()];
        let unicast = Transport::Unicast { source: None, peers, ttl: 255 };
        run = run.with(host, |config| config.transport = unicast);
    }
    let multicast = Run::new(&[100]).config(0).transport;
    run.start_all();
    for (host, other) in [(0, 1), (1, 0)] {
        let mut second = run.config(host);
        (second.name, second.vrid) = (InstanceName::new("VI_2"), Vrid::new(52).unwrap());
        second.transport = multicast.clone();
        let members = [&run.config(host).name, &second.name].map(Clone::clone).to_vec();
        let name = GroupName::new("VG_1");
        let group = GroupConfig { name, members, tracks: vec![], tracking_weight: false };
        let groups = if grouped { vec![group] } else { vec![] };
        let config = Config::new(vec![run.config(host), second], groups, Duration::ZERO).unwrap();
        run.see(1, host, Seen::Configured(Arc::new(config)));
        let to = HostId(other);
        run.see(1, host, Seen::Path { segment: LAN, to, multicast: false, unicast: true });
    }
    run.state(A_MASTER, 0, backup, master);
    run.adverts(A_MASTER, until, 0);
    let news = News::State { from: backup, to: master, why: Why::Startup };
    run.see(A_MASTER, 0, Seen::Engine(Event { instance: InstanceName::new("VI_2"), news }));
    for at in (A_MASTER..END).step_by(SECOND as usize) {
        let advert = SeenAdvert { router: RouterKey { vrid: 52, ..key() }, ..run.make(0, 200) };
        run.see(at, 0, Seen::AdvertSent(advert));
    }
    let Some(down) = down else { return run.judged(PropertyId::S7, END) };
    run.see(down, 0, Seen::Link { segment: LAN, up: false });
    run.state(down, 0, master, StateKind::Fault);
    run.judged(PropertyId::S7, down + SECOND)
}

#[test]
fn s7_who_follows_a_master_in_one_member_is_none_in_the_others_of_its_sync_group() {
    assert_eq!(split_group(true, 100, END, None).verdict, Verdict::Held);
    let nobody = "nobody was master";
    // Nothing keeps it back where its instances do not move together, where the master that it
    // followed is gone, or where it would take over from that one.
    is(&split_group(false, 100, END, None), Verdict::Violated, nobody);
    is(&split_group(true, 100, 20 * SECOND, None), Verdict::Violated, nobody);
    is(&split_group(true, 250, END, None), Verdict::Violated, "although b is better");
}

#[test]
fn s7_a_master_that_falls_silent_keeps_a_sync_group_until_its_next_advert_is_due() {
    let last = A_MASTER + 16 * SECOND;
    let due = last + SECOND + LATE;
    let until = |down: u64| split_group(true, 100, last + 1, Some(down));
    assert_eq!(until(due).verdict, Verdict::Held);
    is(&until(due + 1), Verdict::Violated, "nobody was master");
}
