//! Notes: nothing is wrong, and the reader should know.

use vipd_engine::InstanceConfig;
use vipd_engine::config::Transport;

use super::draft::{Draft, Origins};
use super::transport::at;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::keywords::{Place, Standing};

/// Virtual servers that a note names; of the others it says how many there are.
const NAMED: usize = 3;

/// One note for all that is read and checked but not acted on.
pub(super) fn checked_only(draft: &Draft, found: &mut Diagnostics) {
    let globals = &draft.globals.origins;
    let given = || {
        let mut rows = Place::GlobalDefs.rows().iter();
        let row = rows.find(|row| {
            row.standing == Standing::Checked
                && row.sets == row.name
                && globals.given.contains_key(row.sets)
        })?;
        globals.place(row.sets, None)
    };
    let servers: Vec<_> = draft.director.servers.iter().filter(|_| !draft.vrrp_only).collect();
    let named = servers.iter().take(NAMED).filter_map(|server| {
        let name = server.value.name.as_ref()?;
        Some((format!("`virtual_server {name}`"), server.origins.block))
    });
    let others = servers.len().saturating_sub(NAMED);
    let others = (others > 0).then(|| (format!("{others} more"), None));
    let settings = given().filter(|_| !draft.vrrp_only);
    let settings = settings.map(|place| ("settings of virtual servers".to_owned(), Some(place)));
    let all: Vec<_> = named.chain(others).chain(settings).collect();
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
