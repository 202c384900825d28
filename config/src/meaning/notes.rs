//! Notes: nothing is wrong, and the reader should know.

use vipd_engine::InstanceConfig;
use vipd_engine::config::Transport;

use super::draft::Origins;
use super::transport::at;
use crate::diagnostics::{Diagnostic, Diagnostics};

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
