//! The stronger modes that files could have and do not (docs/split-brain.md): what each would end,
//! the line that asks for it, and its price.

use std::time::Duration;

use vipd_engine::InstanceConfig;

use super::{Files, Member, at_best};

/// A hold-down after which a cut is mostly over: each one that ends too early has its price again.
const HOLD_DOWN: u32 = 600;

/// Whoever is killed or stands still leaves its addresses in its kernel, and no lease ends that.
pub(super) fn no_lease(files: &Files<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for router in files.routers().into_iter().filter(|router| router.len() > 1) {
        let lacks = |one: &&Member<'_>| one.config.dead_man.is_none();
        // An owner has none, and below some interval there is none: no advice where none can be.
        let could = router.iter().filter(lacks);
        let could = could.filter_map(|one| Some((fitting(one.config)?, one.host)));
        // Where intervals differ the lease of one is an error in the file of another one.
        let mut leases: Vec<(Duration, Vec<&str>)> = Vec::new();
        for (lease, host) in could {
            match leases.iter_mut().find(|(other, _)| *other == lease) {
                Some((_, hosts)) => hosts.push(host),
                None => leases.push((lease, vec![host])),
            }
        }
        let vrid = router[0].config.vrid;
        found.extend(leases.iter().map(|(lease, hosts)| {
            (
                format!(
                    "VRID {vrid}: a process on {} that is killed or stands still leaves its \
                     addresses in its kernel: two hosts answer for them until somebody starts it \
                     again, or it goes on",
                    hosts.join(" or ")
                ),
                format!(
                    "`dead_man {}`; its price: a process that stands still for longer than that \
                     loses the addresses, also where nobody else could have taken them",
                    lease.as_secs_f64()
                ),
            )
        }));
    }
    found
}

/// A lease for this instance: one and a half of its intervals, or the longest one of its range.
fn fitting(config: &InstanceConfig) -> Option<Duration> {
    let (least, most) = config.dead_man_range().filter(|_| !config.priority.is_owner())?;
    let usual = config.interval.duration() * 3 / 2;
    Some(if usual > least { usual.min(most) } else { most })
}

/// Whoever ranks above another one goes on as a second master where that one does not hear it.
pub(super) fn no_yield(files: &Files<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for router in files.routers() {
        let outranks = |one: &&Member<'_>| {
            let mut others = router.iter().filter(|other| other.host != one.host);
            others.any(|other| at_best(one.config) >= at_worst(other.config))
        };
        let lacks = |one: &&Member<'_>| {
            one.config.one_way_yield.is_none() && !one.config.priority.is_owner()
        };
        let hosts: Vec<_> = router.iter().filter(lacks).filter(outranks).collect();
        let Some(first) = hosts.first() else { continue };
        // An alarm that is never raised, or by one advert, cannot have it.
        let (alarm, adverts) = match first.config.one_way_alarm {
            0 | 1 => ("`one_way_alarm 3` and ", 3),
            adverts => ("", adverts),
        };
        let hosts: Vec<_> = hosts.iter().map(|one| one.host).collect();
        found.push((
            format!(
                "VRID {}: in a cut of one direction in which {} is not heard any more both are \
                 master until it heals: who is not heard says so, and stays",
                first.config.vrid,
                hosts.join(" or ")
            ),
            format!(
                "{alarm}`one_way_yield {HOLD_DOWN}`; its price: neighbours that hear both wait for \
                 the other one's next announcement, and after each hold-down that ends before the \
                 cut there are two masters again for {adverts} adverts"
            ),
        ));
    }
    found
}

/// The priority while everything that is watched has failed and takes of it.
fn at_worst(config: &InstanceConfig) -> i32 {
    let takes = config.tracks.iter().map(|track| i32::from(track.weight.value).min(0));
    i32::from(config.priority.get()) + takes.sum::<i32>()
}
