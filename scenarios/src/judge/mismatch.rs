//! In what two configurations do not fit together (S9), worked out from the configurations alone.
//!
//! The names are those under which [`vipd_engine::Mismatch`] is reported.

use std::net::IpAddr;

use vipd_engine::config::Transport;
use vipd_engine::rules::{ChecksumForm, ChecksumRule, ListRule, OwnerRule};
use vipd_engine::{Family, InstanceConfig, Version};

use super::view::Member;
use crate::record::SeenAdvert;
use crate::scenario::{AdvertFields, Injection, Message};

/// What `receiver` must name when it hears `sender`: any of these.
pub(super) fn named(sender: &Member, receiver: &Member) -> Vec<&'static str> {
    let mut kinds: Vec<_> = discarded(sender, receiver).collect();
    kinds.extend(tolerated(sender, receiver));
    if receiver.is_owner() {
        kinds.push("owner");
    }
    kinds
}

/// A mismatch for which one of the two misses the other's adverts.
pub(super) fn between(a: &Member, b: &Member) -> Option<&'static str> {
    let one = discarded(a, b).next();
    let apart = || (!sends_to(a, b) || !sends_to(b, a)).then_some("unlisted-peer");
    one.or_else(|| discarded(b, a).next()).or_else(|| list_differs(a, b)).or_else(apart)
}

/// Whether the receiver misses what the sender advertises: it is not sent there, or discarded.
pub(super) fn misses(receiver: &Member, sender: &Member) -> bool {
    !sends_to(sender, receiver)
        || discarded(sender, receiver).next().is_some()
        || list_differs(sender, receiver).is_some()
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
    if by_ttl(injection.ttl, Some(injection.src), receiver) != Fate::Fits {
        kinds.push("ttl");
    }
    match &receiver.transport {
        Transport::Multicast { .. } => {
            if !injection.dst.is_multicast() {
                kinds.push("transport");
            }
        }
        Transport::Unicast { peers, .. } => {
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
    // What is put on the wire is summed up with the pseudo-header.
    let only = ChecksumRule::Only(ChecksumForm::MessageOnly);
    let with_choice = receiver.family == Family::Ipv4 && receiver.version == Version::V3;
    if advert.version == 3 && with_choice && receiver.rules.checksum_accepted == only {
        kinds.push("checksum-form");
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
        "ttl" => by_ttl(injection.ttl, Some(injection.src), receiver) != Fate::Discarded,
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
    let ttl = by_ttl(sent_ttl(from), sender.source, to) == Fate::Discarded;
    let ttl = ttl.then_some("ttl");
    let transport = match (&from.transport, &to.transport) {
        (Transport::Multicast { .. }, Transport::Multicast { .. }) => None,
        (Transport::Unicast { .. }, Transport::Unicast { peers, .. }) => {
            let listed = peers.iter().any(|peer| Some(peer.address) == sender.source);
            (!listed && to.rules.check_unicast_source).then_some("unlisted-peer")
        }
        (Transport::Multicast { .. }, Transport::Unicast { .. })
        | (Transport::Unicast { .. }, Transport::Multicast { .. }) => Some("transport"),
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
    [ttl, version, transport, password, interval, checksum].into_iter().flatten()
}

/// What becomes of an advert for one thing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fits,
    /// Named, and taken all the same.
    Named,
    /// Named, and discarded.
    Discarded,
}

/// By multicast 255 alone fits; by unicast what the peer's own limits say, and without them 255,
/// while anything less is discarded only where sources are checked, too.
fn by_ttl(ttl: u8, source: Option<IpAddr>, receiver: &InstanceConfig) -> Fate {
    let Transport::Unicast { peers, .. } = &receiver.transport else {
        return if ttl == 255 { Fate::Fits } else { Fate::Discarded };
    };
    let peer = peers.iter().find(|peer| Some(peer.address) == source);
    let limits = peer.map_or((None, None), |peer| (peer.min_ttl, peer.max_ttl));
    let fits = match limits {
        (None, None) => ttl == 255,
        (min, max) => (min.unwrap_or(0)..=max.unwrap_or(255)).contains(&ttl),
    };
    match limits {
        _ if fits => Fate::Fits,
        (None, None) if !receiver.rules.check_unicast_source => Fate::Named,
        _ => Fate::Discarded,
    }
}

/// The TTL that its adverts leave with.
const fn sent_ttl(sender: &InstanceConfig) -> u8 {
    match &sender.transport {
        Transport::Multicast { .. } => 255,
        Transport::Unicast { ttl, .. } => *ttl,
    }
}

/// Accepted, and named all the same.
fn tolerated(sender: &Member, receiver: &Member) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let ttl = sent_ttl(&sender.config);
    if by_ttl(ttl, sender.source, &receiver.config) == Fate::Named {
        kinds.push("ttl");
    }
    if let (Transport::Unicast { .. }, Transport::Unicast { peers, .. }) =
        (&sender.config.transport, &receiver.config.transport)
        && !peers.iter().any(|peer| Some(peer.address) == sender.source)
    {
        kinds.push("unlisted-peer");
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use vipd_engine::Vrid;
    use vipd_engine::config::Peer;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    /// A router that hears `PEER` by unicast.
    fn receiver(min_ttl: Option<u8>, max_ttl: Option<u8>) -> InstanceConfig {
        let vrid = Vrid::new(51).expect("it is in the range");
        let mut config = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
        let peer = Peer { min_ttl, max_ttl, ..Peer::new(PEER) };
        config.transport = Transport::Unicast { source: None, peers: vec![peer], ttl: 255 };
        config
    }

    #[test]
    fn by_multicast_255_alone_fits() {
        let vrid = Vrid::new(51).expect("it is in the range");
        let config = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
        assert_eq!(by_ttl(255, Some(PEER), &config), Fate::Fits);
        assert_eq!(by_ttl(254, Some(PEER), &config), Fate::Discarded);
    }

    #[test]
    fn by_unicast_less_than_255_is_named_and_discarded_only_where_sources_are_checked() {
        let mut config = receiver(None, None);
        assert_eq!(by_ttl(255, Some(PEER), &config), Fate::Fits);
        assert_eq!(by_ttl(254, Some(PEER), &config), Fate::Named);
        config.rules.check_unicast_source = true;
        assert_eq!(by_ttl(255, Some(PEER), &config), Fate::Fits);
        assert_eq!(by_ttl(254, Some(PEER), &config), Fate::Discarded);
    }

    #[test]
    fn limits_of_a_peer_are_for_this_peer_and_instead_of_255() {
        let stranger = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
        for (min, max, fitting) in
            [(Some(250), None, 250..=255), (None, Some(64), 0..=64), (Some(63), Some(64), 63..=64)]
        {
            let config = receiver(min, max);
            for ttl in 0..=255 {
                let fits = by_ttl(ttl, Some(PEER), &config) == Fate::Fits;
                assert_eq!(fits, fitting.contains(&ttl), "{min:?} {max:?} {ttl}");
                let fate = by_ttl(ttl, Some(PEER), &config);
                assert_eq!(fate == Fate::Discarded, !fits, "{min:?} {max:?} {ttl}");
            }
            assert_eq!(by_ttl(64, Some(stranger), &config), Fate::Named);
        }
    }
}
