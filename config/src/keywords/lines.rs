//! Rows: words inside the lines of lists. Addresses, peers, tracked names, routes, rules.

use super::Effect::{Kernel, Mastership};
use super::Standing::{ActedOn, NotBuilt};
use super::{Keyword, Place, Read, Since};
use crate::meaning::{address, peer, track};

const fn address(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: fn(&mut vipd_engine::config::VirtualAddress, &mut crate::meaning::Line<'_>),
) -> Keyword {
    let row = Keyword::new(Place::AddressLine, name, arguments, default, ActedOn);
    Keyword { read: Read::Address(read), ..row }
}

const fn unbuilt_address(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::AddressLine, name, arguments, "", NotBuilt(Kernel))
}

pub(super) const ADDRESS: &[Keyword] = &[
    address("dev", "IF", "the instance's interface", address::dev),
    address("brd", "ADDRESS|+|-", "none", address::broadcast),
    address("broadcast", "ADDRESS|+|-", "none", address::broadcast).sets("brd"),
    address("label", "NAME", "none", address::label),
    address("scope", "global|site|link|host|nowhere|N", "global", address::scope),
    unbuilt_address("use_vmac", ""),
    unbuilt_address("peer", "ADDRESS"),
    unbuilt_address("home", ""),
    unbuilt_address("-nodad", ""),
    unbuilt_address("mngtmpaddr", ""),
    unbuilt_address("noprefixroute", ""),
    unbuilt_address("autojoin", ""),
    unbuilt_address("preferred_lft", "SECONDS|forever"),
    Keyword::new(Place::AddressLine, "no_track", "", "", NotBuilt(Mastership)),
    Keyword::new(Place::AddressLine, "track_group", "NAME", "", NotBuilt(Mastership)),
];

const fn peer(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: fn(&mut vipd_engine::config::Peer, &mut crate::meaning::Line<'_>),
) -> Keyword {
    let row = Keyword::new(Place::PeerLine, name, arguments, default, ActedOn);
    Keyword { read: Read::Peer(read), ..row }
}

pub(super) const PEER: &[Keyword] = &[
    peer("min_ttl", "N", "not checked", peer::min_ttl),
    peer("max_ttl", "N", "not checked", peer::max_ttl),
    peer("old_unicast_checksum", "", "off", peer::old_unicast_checksum).since(Since::Never),
];

const fn track(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: fn(&mut crate::meaning::TrackDraft, &mut crate::meaning::Line<'_>),
) -> Keyword {
    let row = Keyword::new(Place::TrackLine, name, arguments, default, ActedOn);
    Keyword { read: Read::Track(read), ..row }
}

pub(super) const TRACK: &[Keyword] = &[
    track("weight", "N", "that of the tracker; 0 for an interface", track::weight),
    track("reverse", "", "that of the tracker", track::reverse),
    track("noreverse", "", "that of the tracker", track::no_reverse).sets("reverse"),
];

const fn route(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::RouteLine, name, arguments, "", NotBuilt(Kernel))
}

pub(super) const ROUTE: &[Keyword] = &[
    route("to", "PREFIX"),
    route("from", "PREFIX"),
    route("via", "ADDRESS"),
    route("gw", "ADDRESS").deprecated("write `via`"),
    route("or", "ADDRESS").deprecated("write `nexthop`"),
    route("dev", "IF"),
    route("oif", "IF"),
    route("src", "ADDRESS"),
    route("table", "N"),
    route("metric", "N"),
    route("priority", "N"),
    route("preference", "N"),
    route("scope", "SCOPE"),
    route("tos", "N"),
    route("dsfield", "N"),
    route("protocol", "N"),
    route("mtu", "[lock] N"),
    route("hoplimit", "N"),
    route("advmss", "[lock] N"),
    route("rtt", "[lock] TIME"),
    route("rttvar", "[lock] TIME"),
    route("reordering", "[lock] N"),
    route("window", "N"),
    route("cwnd", "[lock] N"),
    route("ssthresh", "[lock] N"),
    route("realms", "REALM"),
    route("rto_min", "[lock] TIME"),
    route("initcwnd", "N"),
    route("initrwnd", "N"),
    route("quickack", "BOOL"),
    route("congctl", "NAME"),
    route("pref", "low|medium|high"),
    route("expires", "SECONDS"),
    route("features", "NAME"),
    route("encap", "ip|ip6|ila|mpls ..."),
    route("nexthop", "..."),
    route("weight", "N"),
    route("onlink", ""),
    route("vrf", "IF"),
    route("ttl-propagate", "BOOL"),
    route("fastopen_no_cookie", "BOOL"),
    route("type", "blackhole|unreachable|prohibit|..."),
    route("add", ""),
    route("prepend", ""),
    route("append", ""),
    route("no_track", ""),
    route("track_group", "NAME"),
    route("inet", ""),
    route("inet6", ""),
];

const fn rule(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::RuleLine, name, arguments, "", NotBuilt(Kernel))
}

pub(super) const RULE: &[Keyword] = &[
    rule("from", "PREFIX"),
    rule("to", "PREFIX"),
    rule("table", "N"),
    rule("lookup", "N"),
    rule("iif", "IF"),
    rule("oif", "IF"),
    rule("fwmark", "N[/MASK]"),
    rule("tos", "N"),
    rule("dsfield", "N"),
    rule("realms", "REALM"),
    rule("preference", "N"),
    rule("order", "N"),
    rule("priority", "N"),
    rule("goto", "N"),
    rule("nop", ""),
    rule("type", "NAME"),
    rule("not", ""),
    rule("suppress_prefixlength", "N"),
    rule("suppress_ifgroup", "N"),
    rule("uidrange", "N-N"),
    rule("l3mdev", ""),
    rule("tunnel-id", "N"),
    rule("protocol", "N"),
    rule("ipproto", "N"),
    rule("sport", "N[-N]"),
    rule("dport", "N[-N]"),
    rule("no_track", ""),
    rule("track_group", "NAME"),
    rule("inet", ""),
    rule("inet6", ""),
];
