//! The addresses that adverts leave from and go to.

use vipd_engine::config::Transport;

use super::Files;

/// Two members that send from one address: what the one sends is to the other its own.
pub(super) fn source_twice(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for router in files.routers() {
        for (place, one) in router.iter().enumerate() {
            let Some(source) = one.config.source() else { continue };
            let same = |other: &&super::Member<'_>| other.config.source() == Some(source);
            if let Some(other) = router[place + 1..].iter().find(same) {
                found.push(format!(
                    "VRID {}: {} and {} both send from {source}: each discards the other's \
                     adverts as its own, and both are master, always",
                    one.config.vrid, one.host, other.host
                ));
            }
        }
    }
    found
}

/// A unicast member whose source another one does not list.
pub(super) fn peer_missing(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for router in files.routers() {
        for one in &router {
            let Transport::Unicast { peers, .. } = &one.config.transport else { continue };
            for other in router.iter().filter(|other| other.host != one.host) {
                let Some(source) = other.config.source() else { continue };
                if one.config.source() == Some(source) {
                    continue;
                }
                if !peers.iter().any(|peer| peer.address == source) {
                    found.push(format!(
                        "VRID {}: {} does not list {source} of {}, which never hears it as master",
                        one.config.vrid, one.host, other.host
                    ));
                }
            }
        }
    }
    found
}

/// An address that comes and goes with the master, as the one that adverts are sent from.
pub(super) fn source_is_virtual(files: &Files<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for one in files.members() {
        let Some(source) = one.config.source() else { continue };
        let of_host = files.members().filter(|other| other.host == one.host);
        let mut held = of_host
            .flat_map(|of_host| of_host.config.addresses.iter().chain(&of_host.config.excluded));
        if held.any(|held| held.address == source) {
            found.push(format!(
                "VRID {}: {} sends its adverts from {source}, a virtual address: it has that only \
                 while it is master, and cannot become master without it",
                one.config.vrid, one.host
            ));
        }
    }
    found
}
