//! Who is master already: adverts are listened to for a while, and the engine says of each what it
//! would make of it. Nothing is sent.
//!
//! [`listen`] reads, [`judge`] is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_config::Places;
use vipd_config::diagnostics::{Diagnostic, Diagnostics};
use vipd_engine::config::Config;
use vipd_engine::vrrp::advert::vrid_octet;
use vipd_engine::{
    DropReason, Engine, Family, Ifindex, Input, InstanceConfig, InstanceName, LocalAddress,
    Mismatch, News, Output, Outputs, Received, Timestamp,
};

use super::placed;
use crate::netlink::Seen;
use crate::seam::Socket;
use crate::sockets::Opened;

/// What a master may be late beyond three intervals.
const MORE: Duration = Duration::from_millis(500);
/// Nobody waits longer than this by default.
pub const LONGEST: Duration = Duration::from_secs(30);
/// Different adverts that are looked at: a flood of them is no reason to fill the memory.
const MOST: usize = 1024;

/// An advert that was heard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    /// Interface it arrived on.
    pub interface: Ifindex,
    /// IP source.
    pub src: IpAddr,
    /// IP destination.
    pub dst: IpAddr,
    /// TTL or hop limit on arrival.
    pub ttl: u8,
    /// The VRRP message.
    pub bytes: Vec<u8>,
}

/// How long a master of this configuration may be silent; `None` without a virtual router.
pub fn long_enough(config: &Config) -> Option<Duration> {
    let intervals = config.instances().iter().map(|one| one.interval.duration());
    intervals.max().map(|interval| (interval * 3 + MORE).min(LONGEST))
}

/// Listens this long. Needs the rights to open raw sockets. Must be called inside a runtime.
///
/// # Errors
/// Those of socket(2).
pub async fn listen(config: &Config, seen: &Seen, time: Duration) -> io::Result<BTreeSet<Heard>> {
    let mut sockets = Opened::new()?.register()?;
    seen.links.iter().for_each(|link| sockets.on_link(link));
    sockets.configure(&Arc::new(config.clone()));
    let mut heard = BTreeSet::new();
    let hearing = async {
        loop {
            sockets.readable().await;
            while let Some(Received { interface, src, dst, ttl, bytes }) = sockets.try_recv() {
                if heard.len() < MOST {
                    heard.insert(Heard { interface, src, dst, ttl, bytes: bytes.to_vec() });
                }
            }
        }
    };
    // It never ends by itself.
    let _ = tokio::time::timeout(time, hearing).await;
    Ok(heard)
}

/// What one router says of one virtual router.
#[derive(Default)]
struct Rival {
    priority: u8,
    mismatches: BTreeSet<Mismatch>,
    dropped: Option<DropReason>,
}

/// Says who advertises the file's virtual routers already.
pub fn judge(
    heard: &BTreeSet<Heard>,
    seen: &Seen,
    config: &Config,
    places: &Places,
) -> Diagnostics {
    let mut found = Diagnostics::default();
    for ((name, peer), rival) in rivals(heard, seen, config) {
        let instance = config.instances().iter().find(|one| one.name == name);
        if let Some(instance) = instance {
            let keyword = rival.mismatches.first().map_or("virtual_router_id", keyword);
            let at = places.of_instance(&name, keyword);
            found.push(placed(of_rival(instance, peer, &rival), at));
        }
    }
    found
}

/// The engine hears them all at once, as a Backup at its start.
fn rivals(
    heard: &BTreeSet<Heard>,
    seen: &Seen,
    config: &Config,
) -> BTreeMap<(InstanceName, IpAddr), Rival> {
    let (mut engine, mut out) = (Engine::new(), Outputs::new());
    let now = Timestamp::ZERO;
    engine.handle(now, Input::Configure(Arc::new(listeners(config))), &mut out);
    for link in &seen.links {
        engine.handle(now, Input::Link(link.clone()), &mut out);
    }
    for (interface, address, _) in &seen.addresses {
        let (interface, address) = (*interface, *address);
        let here = LocalAddress { interface, address, present: true };
        engine.handle(now, Input::LocalAddress(here), &mut out);
    }
    let mut rivals: BTreeMap<_, Rival> = BTreeMap::new();
    for Heard { interface, src, dst, ttl, bytes } in heard {
        let Some(instance) = claimed(*interface, *src, bytes, seen, config) else { continue };
        let before = drops(&engine, &instance.name);
        out.clear();
        let received = Received { interface: *interface, src: *src, dst: *dst, ttl: *ttl, bytes };
        engine.handle(now, Input::Advert(received), &mut out);
        let after = drops(&engine, &instance.name);
        let reason = after.into_iter().find(|dropped| !before.contains(dropped));
        let dropped = reason.map(|(reason, _)| reason);
        if dropped == Some(DropReason::OwnSource) {
            continue;
        }
        let rival = rivals.entry((instance.name.clone(), *src)).or_default();
        // In both versions the third octet of the message.
        rival.priority = rival.priority.max(bytes.get(2).copied().unwrap_or_default());
        rival.dropped = dropped.or(rival.dropped);
        for output in out.as_slice() {
            if let Output::Notify(event) = output
                && let News::Mismatch { mismatch, .. } = &event.news
            {
                rival.mismatches.insert(*mismatch);
            }
        }
    }
    rivals
}

/// The same virtual routers, which only listen: nothing else of them can put one into fault.
fn listeners(config: &Config) -> Config {
    let instances = config
        .instances()
        .iter()
        .map(|instance| InstanceConfig { tracks: Vec::new(), ..(**instance).clone() });
    // What is left out leaves no rule broken; without instances nothing is heard.
    Config::new(instances.collect(), Vec::new(), Duration::ZERO).unwrap_or_default()
}

/// The virtual router that an advert is for.
fn claimed<'a>(
    interface: Ifindex,
    src: IpAddr,
    bytes: &[u8],
    seen: &Seen,
    config: &'a Config,
) -> Option<&'a InstanceConfig> {
    let name = &seen.links.iter().find(|link| link.interface == interface)?.name;
    let all = config.instances().iter().map(|instance| &**instance);
    let mut same = all.filter(|one| one.interface == *name && one.family == Family::of(src));
    same.find(|one| vrid_octet(bytes) == Some(one.vrid.get()))
}

fn drops(engine: &Engine, name: &InstanceName) -> Vec<(DropReason, u64)> {
    let status = engine.status();
    let instance = status.instances().find(|one| one.config().name == *name);
    instance.map(|one| one.counters().drops.iter().collect()).unwrap_or_default()
}

/// Where the file says what the two do not agree on.
const fn keyword(mismatch: &Mismatch) -> &'static str {
    match mismatch {
        Mismatch::Version(_) => "version",
        Mismatch::Interval(_) => "advert_int",
        Mismatch::AuthenticationType(_) => "auth_type",
        Mismatch::Password => "auth_pass",
        Mismatch::AddressList | Mismatch::FirstAddress => "virtual_ipaddress",
        Mismatch::UnlistedPeer | Mismatch::Transport | Mismatch::PeerTtl(_) => "unicast_peer",
        Mismatch::Owner(_) => "priority",
        Mismatch::ChecksumForm | Mismatch::Ttl(_) | Mismatch::SourceNotLinkLocal => {
            "virtual_router_id"
        }
    }
}

fn of_rival(instance: &InstanceConfig, peer: IpAddr, rival: &Rival) -> Diagnostic {
    let Rival { priority, mismatches, dropped } = rival;
    let who = format!("{peer} advertises VRID {} with priority {priority}", instance.vrid);
    let differs: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    let differs = differs.join(", ");
    if let Some(reason) = dropped {
        let why =
            if differs.is_empty() { reason.to_string() } else { format!("{reason}: {differs}") };
        let message = format!("{who}, and its adverts would be dropped ({why})");
        let warning = Diagnostic::warning("other-master", message);
        let warning = warning.label("both would be master");
        return warning.help("both machines need the same here; another router needs another VRID");
    }
    if !differs.is_empty() {
        let warning = Diagnostic::warning("other-master", format!("{who}, and its {differs}"));
        return warning
            .help("if it is the other machine, make them agree; if not, change the VRID");
    }
    let own = instance.priority.get();
    let then = match own.cmp(priority) {
        std::cmp::Ordering::Less => "this machine would be its backup",
        std::cmp::Ordering::Equal => "this machine has the same: addresses decide",
        std::cmp::Ordering::Greater if instance.preempt || instance.priority.is_owner() => {
            "this machine would take over"
        }
        std::cmp::Ordering::Greater => "this machine would leave it alone (nopreempt)",
    };
    Diagnostic::note("other-master", format!("{who}; {then}")).label(format!("priority {own} here"))
}
