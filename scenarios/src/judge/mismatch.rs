//! In what two configurations do not fit together (S9), worked out from the configurations alone.
//!
//! The names are those under which [`vipd_engine::Mismatch`] is reported.

use std::net::IpAddr;

use vipd_engine::config::Transport;
use vipd_engine::rules::{ChecksumRule, ListRule, OwnerRule};
use vipd_engine::{Family, InstanceConfig, Version};

use super::view::Member;
use crate::record::SeenAdvert;
use crate::scenario::{AdvertFields, Injection, Message};

/// What `receiver` must name when it hears `sender`, in the order in which it would notice.
pub(super) fn named(sender: &Member, receiver: &Member) -> Vec<&'static str> {
    let mut kinds: Vec<_> = discarded(sender, receiver).collect();
    kinds.extend(tolerated(sender, receiver));
    if receiver.is_owner() {
        kinds.push("owner");
    }
    kinds
}

/// A mismatch for which one of the two discards the other's adverts.
pub(super) fn between(a: &Member, b: &Member) -> Option<&'static str> {
    let one = discarded(a, b).next();
    one.or_else(|| discarded(b, a).next()).or_else(|| list_differs(a, b))
}

/// Whether the receiver discards what the sender advertises.
pub(super) fn discards(receiver: &Member, sender: &Member) -> bool {
    discarded(sender, receiver).next().is_some() || list_differs(sender, receiver).is_some()
}

/// Whether the sender sends its adverts where the receiver is: it does not to a unicast peer that
/// its file does not list.
pub(super) fn sends_to(sender: &Member, receiver: &Member) -> bool {
    match &sender.config.transport {
        Transport::Multicast { .. } => true,
        Transport::Unicast { peers, .. } => {
            peers.iter().any(|peer| Some(peer.address) == receiver.source)
        }
    }
}

/// What a configured receiver must name in an advert that somebody put on the wire.
pub(super) fn named_in(
    injection: &Injection,
    advert: &AdvertFields,
    receiver: &InstanceConfig,
) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    if advert.version != receiver.version.number() {
        kinds.push("version");
    }
    match &receiver.transport {
        Transport::Multicast { .. } => {
            if injection.ttl != 255 {
                kinds.push("ttl");
            }
            if !injection.dst.is_multicast() {
                kinds.push("transport");
            }
        }
        Transport::Unicast { peers, .. } => {
            if injection.ttl != 255 {
                kinds.push("ttl");
            }
            if injection.dst.is_multicast() {
                kinds.push("transport");
            } else if !peers.iter().any(|peer| peer.address == injection.src) {
                kinds.push("unlisted-peer");
            }
        }
    }
    if receiver.version == Version::V2 && advert.version == 2 {
        match receiver.password {
            Some(_) if advert.auth_type != 1 => kinds.push("authentication-type"),
            Some(password) if advert.auth_data != password.octets() => kinds.push("password"),
            None if advert.auth_type != 0 => kinds.push("authentication-type"),
            Some(_) | None => {}
        }
        if u64::from(advert.interval) != receiver.interval.duration().as_secs() {
            kinds.push("interval");
        }
    }
    if receiver.priority.is_owner() {
        kinds.push("owner");
    }
    kinds
}

/// Whether a configured receiver takes an advert that somebody put on the wire for one of its
/// virtual router, rather than to discard it. What has its own source is to it an advert of its own
/// that came back.
pub(super) fn takes(
    seen: &SeenAdvert,
    injection: Option<&Injection>,
    own_source: Option<IpAddr>,
    receiver: &InstanceConfig,
) -> bool {
    if own_source == Some(seen.src) {
        return false;
    }
    let Some(injection) = injection else { return true };
    let Message::Advert(advert) = &injection.message else { return true };
    let checks_source = receiver.rules.check_unicast_source;
    let discards_as_owner =
        receiver.rules.owner == OwnerRule::Discard || receiver.version == Version::V2;
    let tolerates = |kind: &&str| match *kind {
        "ttl" => matches!(receiver.transport, Transport::Unicast { .. }),
        "unlisted-peer" => !checks_source,
        "owner" => !discards_as_owner,
        _ => false,
    };
    let kinds = named_in(injection, advert, receiver);
    advert.checksum_error == 0 && kinds.iter().all(tolerates)
}

/// Whether a router of another VRID is news to this one: it carries one of its addresses or comes
/// from one of its peers.
pub(super) fn is_foreign(
    carried: impl IntoIterator<Item = IpAddr>,
    source: IpAddr,
    receiver: &InstanceConfig,
) -> bool {
    let ours = |address: IpAddr| receiver.addresses.iter().any(|own| own.address == address);
    let peer = match &receiver.transport {
        Transport::Multicast { .. } => false,
        Transport::Unicast { peers, .. } => peers.iter().any(|peer| peer.address == source),
    };
    peer || carried.into_iter().any(ours)
}

/// Whether an advert for a VRID that a host does not have is read as far as its addresses: what the
/// RFC has discarded for its TTL or its version is no news of a router (RFC 9568 section 7.1).
pub(super) fn is_read(injection: &Injection, seen: &SeenAdvert) -> bool {
    let ttl = injection.ttl == 255 || !injection.dst.is_multicast();
    let version = match seen.router.family {
        Family::Ipv4 => matches!(seen.version, 2 | 3),
        Family::Ipv6 => seen.version == 3,
    };
    ttl && version
}

/// For what the receiver discards what the sender advertises.
fn discarded(sender: &Member, receiver: &Member) -> impl Iterator<Item = &'static str> + use<> {
    let (from, to) = (&sender.config, &receiver.config);
    let version = (from.version != to.version).then_some("version");
    let transport = match (&from.transport, &to.transport) {
        (Transport::Multicast { .. }, Transport::Multicast { .. }) => [None, None],
        (Transport::Unicast { ttl, .. }, Transport::Unicast { peers, .. }) => {
            let peer = peers.iter().find(|peer| Some(peer.address) == sender.source);
            let refuses = |peer: &vipd_engine::config::Peer| {
                peer.min_ttl.is_some_and(|min| *ttl < min)
                    || peer.max_ttl.is_some_and(|max| *ttl > max)
            };
            let unlisted = peer.is_none() && to.rules.check_unicast_source;
            [peer.is_some_and(refuses).then_some("ttl"), unlisted.then_some("unlisted-peer")]
        }
        (Transport::Multicast { .. }, Transport::Unicast { .. })
        | (Transport::Unicast { .. }, Transport::Multicast { .. }) => [Some("transport"), None],
    };
    let both = |version| from.version == version && to.version == version;
    let password = match (from.password, to.password) {
        (Some(theirs), Some(ours)) if theirs != ours => Some("password"),
        (Some(_), None) | (None, Some(_)) => Some("authentication-type"),
        (Some(_), Some(_)) | (None, None) => None,
    };
    let password = password.filter(|_| both(Version::V2));
    let interval = (both(Version::V2) && from.interval != to.interval).then_some("interval");
    let checksum = both(Version::V3) && from.family == Family::Ipv4;
    let checksum = match to.rules.checksum_accepted {
        ChecksumRule::Only(form) => checksum && form != from.rules.checksum_sent,
        ChecksumRule::Either => false,
    };
    let checksum = checksum.then_some("checksum-form");
    let [ttl, peer] = transport;
    [version, ttl, peer, password, interval, checksum].into_iter().flatten()
}

/// Accepted, and named all the same.
fn tolerated(sender: &Member, receiver: &Member) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    if let (Transport::Unicast { ttl, .. }, Transport::Unicast { peers, .. }) =
        (&sender.config.transport, &receiver.config.transport)
    {
        if *ttl != 255 {
            kinds.push("ttl");
        }
        if !peers.iter().any(|peer| Some(peer.address) == sender.source) {
            kinds.push("unlisted-peer");
        }
    }
    kinds
}

/// Another address list, where that discards an advert that is not the owner's.
fn list_differs(a: &Member, b: &Member) -> Option<&'static str> {
    let list = |member: &Member| {
        let mut list: Vec<_> =
            member.config.addresses.iter().map(|address| address.address).collect();
        list.sort_unstable();
        list
    };
    let discards = |member: &Member| member.config.rules.list == ListRule::Discard;
    ((discards(a) || discards(b)) && list(a) != list(b)).then_some("address-list")
}
