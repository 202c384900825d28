//! Rows: words inside the lines of lists: addresses, peers, tracked names.

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
