//! What stands whoever is master: `static_ipaddress`, `static_routes`, `static_rules`.

use vipd_engine::config::{StaticConfig, VirtualAddress};

use super::instance::note_items;
use super::rule::Numbering;
use super::{Draft, Line, address, route, rule};

pub(crate) fn addresses(draft: &mut Draft, line: &mut Line<'_>) {
    let read = address::list(line);
    draft.statics.addresses.extend(read.values);
    note_items(draft, line, read.places);
}

pub(crate) fn routes(draft: &mut Draft, line: &mut Line<'_>) {
    let read = route::list(line);
    draft.statics.routes.extend(read.values);
    note_items(draft, line, read.places);
}

pub(crate) fn rules(draft: &mut Draft, line: &mut Line<'_>) {
    let read = rule::list(line);
    draft.statics.rules.extend(read.values);
    note_items(draft, line, read.places);
}

/// An address that names no interface goes to `default_interface`. Rules get their numbers before
/// those of any instance.
pub(super) fn settle(draft: &Draft, numbering: &mut Numbering) -> StaticConfig {
    let statics = &draft.statics;
    let addresses = statics.addresses.iter().map(|address| {
        let interface =
            address.interface.clone().unwrap_or_else(|| draft.globals.default_interface());
        (interface, VirtualAddress { interface: None, ..address.clone() })
    });
    let rules = statics.rules.iter().map(|rule| numbering.settle(rule));
    StaticConfig {
        addresses: addresses.collect(),
        fib: statics.routes.iter().cloned().chain(rules).collect(),
    }
}
