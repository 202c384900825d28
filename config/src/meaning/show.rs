//! Values as the effective configuration shows them.

use std::time::Duration;

use serde_json::{Value, json};
use vipd_engine::config::{
    FibConfig, FibEntry, StaticConfig, Track, Tracked, Transport, VirtualAddress, Weight,
};

/// A time in seconds: whole ones as an integer.
pub(crate) fn seconds(time: Duration) -> Value {
    if time.subsec_nanos() == 0 { json!(time.as_secs()) } else { json!(time.as_secs_f64()) }
}

pub(crate) fn show_weight(weight: Weight) -> Value {
    json!({ "weight": weight.value, "reverse": weight.reverse })
}

pub(crate) fn show_addresses(addresses: &[VirtualAddress]) -> Value {
    let show = |address: &VirtualAddress| {
        json!({
            "address": format!("{}/{}", address.address, address.prefix_len),
            "dev": address.interface.as_ref().map(vipd_engine::InterfaceName::as_str),
            "brd": address.broadcast,
            "label": address.label,
            "scope": address.scope,
        })
    };
    addresses.iter().map(show).collect()
}

/// Static addresses, each with its interface.
pub(crate) fn show_static(statics: &StaticConfig) -> Value {
    let with_interface = statics.addresses.iter().map(|(interface, address)| VirtualAddress {
        interface: Some(interface.clone()),
        ..address.clone()
    });
    show_addresses(&with_interface.collect::<Vec<_>>())
}

/// The rules among routes and rules, or the routes.
pub(crate) fn show_fib(fib: &[FibConfig], rules: bool) -> Value {
    let show = |config: &FibConfig| {
        let text = match &config.entry {
            FibEntry::Route(route) if !rules => route.to_string(),
            FibEntry::Rule(rule) if rules => rule.to_string(),
            FibEntry::Route(_) | FibEntry::Rule(_) => return None,
        };
        Some(json!({ "entry": text, "no_track": config.untracked }))
    };
    fib.iter().filter_map(show).collect()
}

/// Of multicast there is nothing to show.
pub(crate) fn show_peers(transport: &Transport) -> Value {
    match transport {
        Transport::Multicast { .. } => json!([]),
        Transport::Unicast { peers, .. } => {
            let show = |peer: &vipd_engine::config::Peer| {
                json!({
                    "address": peer.address,
                    "min_ttl": peer.min_ttl,
                    "max_ttl": peer.max_ttl,
                    "old_unicast_checksum": peer.old_unicast_checksum,
                })
            };
            peers.iter().map(show).collect()
        }
    }
}

/// The interfaces among the tracked things, or all others.
pub(crate) fn show_tracks(tracks: &[Track], interfaces: bool) -> Value {
    let show = |track: &Track| {
        let (name, interface) = match &track.tracked {
            Tracked::Interface(name) => (name.as_str(), true),
            Tracked::Tracker(name) => (name.as_str(), false),
        };
        (interface == interfaces).then(|| {
            let Weight { value, reverse } = track.weight;
            json!({ "name": name, "weight": value, "reverse": reverse })
        })
    };
    tracks.iter().filter_map(show).collect()
}
