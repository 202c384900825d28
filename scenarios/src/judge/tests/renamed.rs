//! A VRID is what a virtual router is known by: a new configuration may give its instance the name
//! of another one.

use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{Config, InstanceConfig};
use vipd_engine::{Event, InstanceName, News, StateKind, Vrid, Why};

use super::record::*;
use crate::judge::{PropertyId, PropertyReport, Verdict};
use crate::record::{RouterKey, Seen, SeenAdvert};

const RELOADED: u64 = 10 * SECOND;
const END: u64 = 20 * SECOND;

/// a is master of VI_1 (VRID 51) and of VI_2 (52). A reload gives VI_1 the VRID 52, and VI_2
/// another one; the engine says for this reason that VI_1 is master no more. What it does with
/// VRID 52 goes on.
fn moved(why: &Why) -> PropertyReport {
    let (backup, master) = (StateKind::Backup, StateKind::Master);
    let mut run = Run::new(&[200]);
    run.start_all();
    let instance = |run: &Run, name: &str, vrid: i64| InstanceConfig {
        name: InstanceName::new(name),
        vrid: Vrid::new(vrid).unwrap(),
        ..run.config(0)
    };
    let reads = |run: &mut Run, at: u64, vrids: [i64; 2]| {
        let both = vec![instance(run, "VI_1", vrids[0]), instance(run, "VI_2", vrids[1])];
        let config = Config::new(both, vec![], Duration::ZERO).unwrap();
        run.see(at, 0, Seen::Configured(Arc::new(config)));
    };
    let says = |run: &mut Run, at: u64, name: &str, (from, to, why): (_, _, &Why)| {
        let news = News::State { from, to, why: why.clone() };
        run.see(at, 0, Seen::Engine(Event { instance: InstanceName::new(name), news }));
    };
    reads(&mut run, 1, [51, 52]);
    for name in ["VI_1", "VI_2"] {
        says(&mut run, 4 * SECOND, name, (backup, master, &Why::Startup));
    }
    reads(&mut run, RELOADED, [52, 53]);
    says(&mut run, RELOADED, "VI_1", (master, StateKind::Initialize, why));
    says(&mut run, RELOADED, "VI_2", (StateKind::Initialize, backup, &Why::Startup));
    for (vrid, until) in [(51, RELOADED), (52, END)] {
        for at in (4 * SECOND..until).step_by(SECOND as usize) {
            let advert = SeenAdvert { router: RouterKey { vrid, ..key() }, ..run.make(0, 200) };
            run.see(at, 0, Seen::AdvertSent(advert));
        }
    }
    run.judged(PropertyId::S1, END)
}

#[test]
fn s1_who_is_no_longer_configured_speaks_by_the_name_that_it_had() {
    assert_eq!(moved(&Why::Removed).verdict, Verdict::NotExercised);
    let left = moved(&Why::LeaseOver);
    is(&left, Verdict::Violated, "it advertises and its engine does not say master");
}
