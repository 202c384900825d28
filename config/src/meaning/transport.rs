//! How an instance's adverts travel, and what is wrong with what the file says about it.

use std::net::IpAddr;

use vipd_engine::Family;
use vipd_engine::config::Transport;

use super::draft::{Globals, InstanceDraft, Origins, Placed};
use crate::diagnostics::{Diagnostic, Diagnostics};

/// The family of the first address, or else of whatever has one; IPv4 if nothing has.
pub(super) fn family(draft: &InstanceDraft) -> Family {
    let addresses = draft.addresses.iter().chain(&draft.excluded).map(|one| one.address);
    let peers = draft.peers.iter().flatten().map(|peer| peer.address);
    let listed = addresses.chain(draft.source).chain(peers).chain(draft.group).next();
    let default = if draft.native_ipv6 { Family::Ipv6 } else { Family::Ipv4 };
    listed.map_or(default, Family::of)
}

pub(super) fn transport(
    placed: &Placed<InstanceDraft>,
    family: Family,
    globals: &Globals,
    found: &mut Diagnostics,
) -> Transport {
    let draft = &placed.value;
    if let Some(peers) = &draft.peers {
        let mut peers = peers.clone();
        for peer in &mut peers {
            peer.old_unicast_checksum |= draft.old_unicast_checksum;
        }
        let ttl = draft.unicast_ttl.unwrap_or(255);
        return Transport::Unicast { source: draft.source, peers, ttl };
    }
    without_peers(draft, &placed.origins, found);
    let group = draft.group.unwrap_or(match family {
        Family::Ipv4 => IpAddr::V4(globals.group_v4()),
        Family::Ipv6 => IpAddr::V6(globals.group_v6()),
    });
    Transport::Multicast { group, source: draft.source }
}

/// Keywords of unicast in an instance that has no peer.
fn without_peers(draft: &InstanceDraft, origins: &Origins, found: &mut Diagnostics) {
    const WAY_OUT: &str = "write the other routers into `unicast_peer { ... }`, or remove it";
    if draft.unicast_ttl.is_some() {
        let message = "`unicast_ttl` without `unicast_peer`: in keepalived no advert would leave \
                       the machine, and both routers would be master";
        let stray = Diagnostic::error("stray-unicast", message).help(WAY_OUT);
        found.push(at(stray, origins, "unicast_ttl"));
    }
    if draft.old_unicast_checksum {
        let message = "`old_unicast_checksum` without `unicast_peer` has no effect";
        let stray = Diagnostic::warning("stray-unicast", message).help(WAY_OUT);
        found.push(at(stray, origins, "old_unicast_checksum"));
    }
}

/// At the place where a keyword was given.
pub(super) fn at(found: Diagnostic, origins: &Origins, keyword: &str) -> Diagnostic {
    match origins.place(keyword, None) {
        Some(place) => found.at(place),
        None => found,
    }
}
