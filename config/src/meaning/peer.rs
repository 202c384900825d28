//! Lines of `unicast_peer`.

use vipd_engine::config::Peer;

use super::Line;
use super::address::Listed;
use super::walk::options;
use crate::keywords::{Place, Read};

pub(super) fn list(line: &mut Line<'_>) -> Listed<Peer> {
    Listed::read(line, |line| {
        let (address, _) = line.address()?;
        let mut peer = Peer::new(address);
        options(line, Place::PeerLine, |read, line| match read {
            Read::Peer(read) => read(&mut peer, line),
            Read::Nothing
            | Read::Statement(_)
            | Read::Address(_)
            | Read::Track(_)
            | Read::Route(_)
            | Read::Rule(_) => {}
        });
        Some(peer)
    })
}

pub(crate) fn min_ttl(peer: &mut Peer, line: &mut Line<'_>) {
    peer.min_ttl = line.integer_in(0..=255).map(|ttl| ttl as u8);
}

pub(crate) fn max_ttl(peer: &mut Peer, line: &mut Line<'_>) {
    peer.max_ttl = line.integer_in(0..=255).map(|ttl| ttl as u8);
}

pub(crate) fn old_unicast_checksum(peer: &mut Peer, _line: &mut Line<'_>) {
    peer.old_unicast_checksum = true;
}
