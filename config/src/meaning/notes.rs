//! Notes: nothing is wrong, and the reader should know.

use std::net::IpAddr;

use vipd_engine::InstanceConfig;
use vipd_engine::config::Transport;

use super::draft::{Draft, Origins};
use super::transport::at;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::keywords::{Place, Standing};

/// One note for all that is read and checked but not acted on.
pub(super) fn checked_only(draft: &Draft, found: &mut Diagnostics) {
    let globals = &draft.globals.origins;
    let mut mail_rows = Place::GlobalDefs.rows().iter();
    let mail = mail_rows
        .find(|row| row.standing == Standing::Checked && globals.given.contains_key(row.sets))
        .and_then(|row| globals.place(row.sets, None));
    let servers = draft.virtual_servers.iter().filter(|_| !draft.vrrp_only).map(|server| {
        let (address, port) = (server.value.config.address, server.value.config.port);
        let address = match address {
            IpAddr::V4(address) => format!("{address}:{port}"),
            IpAddr::V6(address) => format!("[{address}]:{port}"),
        };
        (format!("`virtual_server {address}`"), server.origins.block)
    });
    let mail = mail.map(|place| ("mail settings".to_owned(), Some(place)));
    let all: Vec<_> = servers.chain(mail).collect();
    let Some(((first, place), others)) = all.split_first() else { return };
    let verb = if first.starts_with('`') { "is" } else { "are" };
    let mut message = format!("{first} {verb} read and checked, not acted on by this version");
    if !others.is_empty() {
        let others: Vec<&str> = others.iter().map(|(what, _)| what.as_str()).collect();
        message.push_str("; the same holds for ");
        message.push_str(&others.join(", "));
    }
    let note = Diagnostic::note("not-acted-on", message);
    found.push(match place {
        Some(place) => note.at(*place),
        None => note,
    });
}

/// Unicast follows keepalived: without the keyword, adverts of any source and TTL are accepted.
pub(super) fn open_unicast(config: &InstanceConfig, origins: &Origins, found: &mut Diagnostics) {
    let Transport::Unicast { peers, .. } = &config.transport else { return };
    let checked = |peer: &vipd_engine::config::Peer| peer.min_ttl.or(peer.max_ttl).is_some();
    if config.rules.check_unicast_source || peers.iter().all(checked) {
        return;
    }
    let message = format!(
        "`vrrp_instance {}` accepts unicast adverts from any source and with any TTL; \
         `check_unicast_src` accepts those of its peers only",
        config.name
    );
    found.push(at(Diagnostic::note("open-unicast", message), origins, "unicast_peer"));
}
