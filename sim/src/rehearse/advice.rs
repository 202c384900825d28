//! Where a configuration could do better: what was found in the files, what it leads to, and the
//! keyword that would change it. The table [`ADVICE`] is all of it.
//!
//! It looks at the files, not at the runs: what the runs show stands beside it on the page. What is
//! said of the stronger modes, each with its price, is in `modes`, what of tracked scripts in
//! `scripts`, what of neighbour caches in `repairs`, and what of addresses that adverts leave
//! from and go to in `sources`.

mod modes;
mod repairs;
mod scripts;
mod sources;

use std::fmt::Write as _;
use std::time::Duration;

use vipd_engine::config::{Tracked, Transport, Weight};
use vipd_engine::{Config, Family, InstanceConfig, TrackerName};

use crate::bare_files::{BareFile, accepts};

/// A piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Its stable name.
    pub code: &'static str,
    /// The keyword that would change it.
    pub keyword: &'static str,
    /// What is so, and what comes of it.
    pub what: String,
    /// What to write instead, and its price if it has one.
    pub instead: String,
}

/// How something is looked for.
#[derive(Clone, Copy, Debug)]
enum Look {
    /// What is so, once per finding, and what is better than any of them.
    One(fn(&Files<'_>) -> Vec<String>, &'static str),
    /// What is so, and what is better than that.
    Each(fn(&Files<'_>) -> Vec<(String, String)>),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its stable name.
    pub code: &'static str,
    keyword: &'static str,
    look: Look,
}

const fn row(
    code: &'static str,
    keyword: &'static str,
    look: fn(&Files<'_>) -> Vec<String>,
    instead: &'static str,
) -> Row {
    Row { code, keyword, look: Look::One(look, instead) }
}

const fn mode(
    code: &'static str,
    keyword: &'static str,
    look: fn(&Files<'_>) -> Vec<(String, String)>,
) -> Row {
    Row { code, keyword, look: Look::Each(look) }
}

const REPAIR: &str = "the defaults of it and of `garp_lower_prio_delay`, 5 and 5";
const OWN_SERVICE: &str = "checks of the own service";

/// All advice, what breaks a pair first.
pub const ADVICE: &[Row] = &[
    row("vrid-differs", "virtual_router_id", vrid_differs, "the same VRID in both files"),
    row("version-differs", "vrrp_version", version_differs, "the same version in both files"),
    row("transport-differs", "unicast_peer", transport_differs, "`unicast_peer` in all or in none"),
    row("source-twice", "unicast_src_ip", sources::source_twice, "an address of its own in each"),
    row("peer-missing", "unicast_peer", sources::peer_missing, "each host lists all the others"),
    row("interval-differs", "advert_int", interval_differs, "the same `advert_int` in both files"),
    row("password-differs", "auth_pass", password_differs, "the same `authentication` block"),
    row("two-owners", "priority", two_owners, "255 on one host at most"),
    row("addresses-differ", "virtual_ipaddress", addresses_differ, "the same list, in one order"),
    row(
        "source-is-virtual",
        "unicast_src_ip",
        sources::source_is_virtual,
        "an address that always stays",
    ),
    row("accepts-nothing", "accept", accepts_nothing, "`accept`, or no `vrrp_strict`"),
    row("alone", "vrrp_instance", alone, "an instance of this VRID in another file"),
    row("equal-priorities", "priority", equal_priorities, "priorities that differ"),
    row("nopreempt-master", "nopreempt", nopreempt_master, "`state BACKUP` in both files"),
    row("nopreempt-differs", "nopreempt", nopreempt_differs, "`nopreempt` in both files"),
    row("script-is-no-witness", "track_script", scripts::script_is_no_witness, OWN_SERVICE),
    row("script-is-opaque", "track_script", scripts::script_is_opaque, OWN_SERVICE),
    row("weight-too-small", "weight", weight_too_small, "a weight above the difference"),
    row("no-sync-group", "vrrp_sync_group", no_sync_group, "a `vrrp_sync_group` of them"),
    row("group-differs", "vrrp_sync_group", group_differs, "the same groups in both files"),
    mode("no-lease", "dead_man", modes::no_lease),
    mode("no-yield", "one_way_yield", modes::no_yield),
    row("owner-discards", "priority", repairs::owner_discards, "254 at most, or `vrrp_version 3`"),
    row("silent-to-lower", "lower_prio_no_advert", repairs::silent_to_lower, "`false`"),
    row("no-last-advert", "higher_prio_send_advert", repairs::yields_in_silence, "`true`"),
    row("no-repair", "garp_lower_prio_repeat", repairs::announces_nothing, REPAIR),
    row("no-refresh", "garp_master_refresh", no_refresh, "`garp_master_refresh 60`, or none"),
    row("slow-refresh", "garp_master_refresh", slow_refresh, "`garp_master_refresh 10`"),
    row(
        "preempts-at-once",
        "preempt_delay",
        preempts_at_once,
        "`preempt_delay 60`, or `nopreempt`",
    ),
    row("slow-interval", "advert_int", slow_interval, "`vrrp_version 3` and `advert_int 0.1`"),
];

/// What these files could do better.
#[must_use]
pub fn advise(files: &[BareFile]) -> Vec<Advice> {
    let files = Files { files };
    let mut found = Vec::new();
    for Row { code, keyword, look } in ADVICE {
        let all = match look {
            Look::One(look, instead) => {
                look(&files).into_iter().map(|what| (what, (*instead).to_owned())).collect()
            }
            Look::Each(look) => look(&files),
        };
        for (what, instead) in all {
            found.push(Advice { code, keyword, what, instead });
        }
    }
    found
}

/// The files, and the virtual routers in them.
struct Files<'a> {
    files: &'a [BareFile],
}

/// An instance in a file.
#[derive(Clone, Copy)]
struct Member<'a> {
    host: &'a str,
    config: &'a InstanceConfig,
}

impl<'a> Files<'a> {
    fn members(&self) -> impl Iterator<Item = Member<'a>> {
        self.files.iter().flat_map(|file| {
            let all = file.loaded.config.instances().iter();
            all.map(|config| Member { host: &file.name, config })
        })
    }

    /// Whether this is a `track_file` of a host.
    fn is_file(&self, host: &str, name: &TrackerName) -> bool {
        let mut of_host = self.files.iter().filter(|file| *file.name == *host);
        of_host.any(|file| file.loaded.trackers.files.iter().any(|one| one.name == *name))
    }

    /// The members of each virtual router, in the order of the files.
    fn routers(&self) -> Vec<Vec<Member<'a>>> {
        let mut routers: Vec<Vec<Member<'a>>> = Vec::new();
        for member in self.members() {
            let same = |one: &&mut Vec<Member<'_>>| is_same(one[0].config, member.config);
            match routers.iter_mut().find(same) {
                Some(router) => router.push(member),
                None => routers.push(vec![member]),
            }
        }
        routers
    }

    /// For each virtual router whose members do not agree about something: who says what.
    fn disagree<T: PartialEq>(
        &self,
        of: impl Fn(&InstanceConfig) -> T,
        words: impl Fn(&InstanceConfig) -> String,
    ) -> Vec<(Vec<Member<'a>>, String)> {
        let mut found = Vec::new();
        for router in self.routers() {
            let first = of(router[0].config);
            if router.iter().all(|member| of(member.config) == first) {
                continue;
            }
            let mut said = String::new();
            for (place, member) in router.iter().enumerate() {
                let comma = if place > 0 { ", " } else { "" };
                let _ = write!(said, "{comma}{} {}", member.host, words(member.config));
            }
            found.push((router, said));
        }
        found
    }
}

fn is_same(one: &InstanceConfig, other: &InstanceConfig) -> bool {
    one.family == other.family && one.vrid == other.vrid
}

fn seconds(instance: &InstanceConfig) -> String {
    format!("{} s", instance.interval.duration().as_secs_f64())
}

fn vrid_differs(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let members: Vec<_> = files.members().collect();
    for (place, one) in members.iter().enumerate() {
        for other in &members[place + 1..] {
            let same_family = one.config.family == other.config.family;
            if one.host == other.host || !same_family || one.config.vrid == other.config.vrid {
                continue;
            }
            let its = |address| other.config.addresses.iter().any(|held| held.address == address);
            let shared = one.config.addresses.iter().find(|held| its(held.address));
            if let Some(held) = shared {
                found.push(format!(
                    "{} serves {} as VRID {}, {} as VRID {}: both are master of it, always",
                    one.host, held.address, one.config.vrid, other.host, other.config.vrid
                ));
            }
        }
    }
    found
}

fn version_differs(files: &Files<'_>) -> Vec<String> {
    let version = |one: &InstanceConfig| one.version.number();
    let all = files.disagree(version, |one| format!("speaks version {}", one.version.number()));
    all.into_iter()
        .map(|(router, said)| {
            format!("VRID {}: {said}: each discards the other's adverts", router[0].config.vrid)
        })
        .collect()
}

const fn is_unicast(instance: &InstanceConfig) -> bool {
    matches!(instance.transport, Transport::Unicast { .. })
}

fn transport_differs(files: &Files<'_>) -> Vec<String> {
    let words = |one: &InstanceConfig| {
        (if is_unicast(one) { "sends unicast" } else { "sends multicast" }).to_owned()
    };
    let all = files.disagree(is_unicast, words);
    all.into_iter()
        .map(|(router, said)| {
            format!("VRID {}: {said}: they do not hear each other", router[0].config.vrid)
        })
        .collect()
}

fn interval_differs(files: &Files<'_>) -> Vec<String> {
    let all = files.disagree(|one| one.interval, |one| format!("every {}", seconds(one)));
    all.into_iter()
        .map(|(router, said)| {
            let v2 = router.iter().any(|member| member.config.version.number() == 2);
            let effect = if v2 {
                "version 2 discards the other's adverts"
            } else {
                "backups follow the master's, so failover differs with who is master"
            };
            format!("VRID {}: {said}: {effect}", router[0].config.vrid)
        })
        .collect()
}

fn password_differs(files: &Files<'_>) -> Vec<String> {
    // What stands in it is nobody's business here.
    let all = files.disagree(
        |one| one.password,
        |one| (if one.password.is_some() { "has a password" } else { "has none" }).to_owned(),
    );
    all.into_iter()
        .map(|(router, said)| {
            let vrid = router[0].config.vrid;
            format!("VRID {vrid}: {said}, not the same: each discards the other's adverts")
        })
        .collect()
}

fn two_owners(files: &Files<'_>) -> Vec<String> {
    let routers = files.routers().into_iter();
    routers
        .filter_map(|router| {
            let owners = router.iter().filter(|member| member.config.priority.is_owner());
            let owners: Vec<_> = owners.map(|member| member.host).collect();
            (owners.len() > 1).then(|| {
                format!(
                    "VRID {}: {} have priority 255, so each is master as soon as it starts",
                    router[0].config.vrid,
                    owners.join(" and ")
                )
            })
        })
        .collect()
}

fn addresses_differ(files: &Files<'_>) -> Vec<String> {
    let list =
        |one: &InstanceConfig| one.addresses.iter().map(|held| held.address).collect::<Vec<_>>();
    let words = |one: &InstanceConfig| {
        let all: Vec<_> = one.addresses.iter().map(|held| held.address.to_string()).collect();
        format!("has {}", if all.is_empty() { "none".to_owned() } else { all.join(" ") })
    };
    let all = files.disagree(list, words);
    all.into_iter()
        .map(|(router, said)| {
            format!(
                "VRID {}: {said}: after a failover other addresses are served",
                router[0].config.vrid
            )
        })
        .collect()
}

/// Addresses that nobody but their owner accepts packets for (RFC 9568 `Accept_Mode`).
fn accepts_nothing(files: &Files<'_>) -> Vec<String> {
    let refuses = |one: &&Member<'_>| !accepts(one.config);
    let routers = files.routers().into_iter();
    let told = |router: Vec<Member<'_>>| {
        let hosts: Vec<_> = router.iter().filter(refuses).map(|one| one.host).collect();
        (!hosts.is_empty()).then(|| {
            format!(
                "VRID {}: {} without `accept` (`vrrp_strict` or `no_accept`): users get no \
                 answer from the addresses, not even to ping, only what is forwarded passes",
                router[0].config.vrid,
                hosts.join(" and ")
            )
        })
    };
    routers.filter_map(told).collect()
}

fn alone(files: &Files<'_>) -> Vec<String> {
    if files.files.len() < 2 {
        return Vec::new();
    }
    let routers = files.routers().into_iter().filter(|router| router.len() == 1);
    routers
        .map(|router| {
            let Member { host, config } = router[0];
            let (name, vrid) = (&config.name, config.vrid);
            format!("VRID {vrid} ({name}) is on {host} alone: nobody takes over from it")
        })
        .collect()
}

fn equal_priorities(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for router in files.routers() {
        for (place, one) in router.iter().enumerate() {
            let equal = router[place + 1..].iter().find(|other| {
                other.config.priority == one.config.priority && !one.config.priority.is_owner()
            });
            if let Some(other) = equal {
                found.push(format!(
                    "VRID {}: {} and {} have priority {}: at a start or after a crash both may \
                     become master at once, and the greater address stays",
                    one.config.vrid,
                    one.host,
                    other.host,
                    one.config.priority.get()
                ));
            }
        }
    }
    found
}

fn nopreempt_master(files: &Files<'_>) -> Vec<String> {
    let says_master = |file: &&BareFile| {
        file.loaded.report.records().iter().any(|record| record.code == "state-master")
    };
    let held = |config: &Config| config.instances().iter().any(|one| !one.preempt);
    let files = files.files.iter().filter(says_master);
    files
        .filter(|file| held(&file.loaded.config))
        .map(|file| {
            format!(
                "{} has `nopreempt` beside `state MASTER`: keepalived ignores `nopreempt` then, \
                 vipd ignores `state MASTER`",
                file.name
            )
        })
        .collect()
}

/// Whether nobody else of its virtual router has this priority or a higher one.
fn outranks_all(one: &Member<'_>, router: &[Member<'_>]) -> bool {
    let mut others = router.iter().filter(|other| other.host != one.host);
    others.all(|other| other.config.priority < one.config.priority)
}

fn nopreempt_differs(files: &Files<'_>) -> Vec<String> {
    let words =
        |one: &InstanceConfig| (if one.preempt { "preempts" } else { "does not" }).to_owned();
    let all = files.disagree(|one| one.preempt, words);
    all.into_iter()
        .filter(|(router, _)| {
            // Only the best one ever preempts: what the others say does not matter.
            let best = router.iter().max_by_key(|member| member.config.priority);
            best.is_some_and(|best| best.config.preempt && outranks_all(best, router))
        })
        .map(|(router, said)| {
            format!(
                "VRID {}: {said}: the better one takes the address back all the same",
                router[0].config.vrid
            )
        })
        .collect()
}

/// The priority while everything that is watched is well.
fn at_best(config: &InstanceConfig) -> i32 {
    let raised = config.tracks.iter().map(|track| i32::from(track.weight.value).max(0));
    i32::from(config.priority.get()) + raised.sum::<i32>()
}

/// A failure that is to move the address, and does not: the better one stays above all others.
fn weight_too_small(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for router in files.routers() {
        let Some(best) = router.iter().max_by_key(|one| at_best(one.config)) else { continue };
        let others = router.iter().filter(|other| other.host != best.host);
        let Some(next) = others.max_by_key(|one| at_best(one.config)) else { continue };
        for track in best.config.tracks.iter().filter(|track| track.weight != Weight::FAULT) {
            let (loses, stays) = (i32::from(track.weight.value).abs(), at_best(best.config));
            let what = match &track.tracked {
                Tracked::Interface(name) => name.as_str(),
                // A file has a number, which may take as much as it likes.
                Tracked::Tracker(name) if files.is_file(best.host, name) => continue,
                Tracked::Tracker(name) => name.as_str(),
            };
            if stays - loses > at_best(next.config) {
                found.push(format!(
                    "VRID {}: {} has {stays} and loses {loses} when `{what}` fails; {} has {}: \
                     the failure moves nothing",
                    best.config.vrid,
                    best.host,
                    next.host,
                    at_best(next.config)
                ));
            }
        }
    }
    found
}

fn no_sync_group(files: &Files<'_>) -> Vec<String> {
    let of_file = |file: &BareFile| {
        let config = &file.loaded.config;
        let free = config.instances().iter().filter(|instance| {
            !config.groups().iter().any(|group| group.members.contains(&instance.name))
        });
        let free: Vec<_> = free.collect();
        let first = free.first()?;
        // Two families on one cable fail together anyway.
        let other = free.iter().find(|one| one.interface != first.interface)?;
        Some(format!(
            "{}: {} on {} and {} on {} fail over each by itself: one host may hold one side only",
            file.name, first.name, first.interface, other.name, other.interface
        ))
    };
    files.files.iter().filter_map(of_file).collect()
}

fn group_differs(files: &Files<'_>) -> Vec<String> {
    let groups = |config: &Config| {
        let routers = |group: &vipd_engine::config::GroupConfig| {
            let named = |one: &&std::sync::Arc<InstanceConfig>| group.members.contains(&one.name);
            let members = config.instances().iter().filter(named);
            let mut members: Vec<(Family, u8)> =
                members.map(|one| (one.family, one.vrid.get())).collect();
            members.sort_unstable();
            members
        };
        let mut groups: Vec<_> = config.groups().iter().map(routers).collect();
        groups.sort();
        groups
    };
    let Some((first, others)) = files.files.split_first() else { return Vec::new() };
    let differs = |file: &&BareFile| groups(&file.loaded.config) != groups(&first.loaded.config);
    others
        .iter()
        .filter(differs)
        .map(|file| {
            format!(
                "{} and {} do not keep the same virtual routers together: after a failover each \
                 host may hold some of them",
                first.name, file.name
            )
        })
        .collect()
}

fn no_refresh(files: &Files<'_>) -> Vec<String> {
    let off = files.members().filter(|one| one.config.announcements.refresh().is_none());
    off.map(|one| {
        format!(
            "{}: {} never announces its addresses again: a neighbour that missed them stays wrong",
            one.host, one.config.name
        )
    })
    .collect()
}

/// A refresh up to which a neighbour is wrong for a short time only.
const SHORT_REFRESH: Duration = Duration::from_secs(10);

fn slow_refresh(files: &Files<'_>) -> Vec<String> {
    let routers = files.routers().into_iter();
    let longest = |router: Vec<Member<'_>>| {
        let all = router.iter().filter_map(|one| one.config.announcements.refresh());
        let longest = all.max().filter(|longest| *longest > SHORT_REFRESH)?;
        Some(format!(
            "VRID {}: a neighbour that missed the announcement of a takeover, as on a lossy link, \
             stays wrong for up to {} s",
            router[0].config.vrid,
            longest.as_secs_f64()
        ))
    };
    routers.filter_map(longest).collect()
}

fn preempts_at_once(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for router in files.routers().into_iter().filter(|router| router.len() > 1) {
        let best = router.iter().max_by_key(|member| member.config.priority);
        let Some(Member { host, config }) = best else { continue };
        let outranks = best.is_some_and(|best| outranks_all(best, &router));
        if outranks && config.preempt && config.preempt_delay.is_zero() {
            found.push(format!(
                "VRID {}: {host} takes the address back as soon as it returns, ready or not: a \
                 second interruption, and one more for each time that it fails again",
                config.vrid
            ));
        }
    }
    found
}

/// An interval from which on a failover takes more than three seconds.
const SLOW_CENTISECONDS: u16 = 100;

fn slow_interval(files: &Files<'_>) -> Vec<String> {
    let routers = files.routers().into_iter();
    let slow = routers.filter(|router| {
        router.iter().all(|one| one.config.interval.centiseconds() >= SLOW_CENTISECONDS)
    });
    slow.map(|router| {
        let (vrid, every) = (router[0].config.vrid, seconds(router[0].config));
        format!(
            "VRID {vrid}: an advert every {every}, so a crash is noticed after three of them and \
             more; an interval of 0.1 s makes that a third of a second"
        )
    })
    .collect()
}
