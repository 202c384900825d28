//! What was named already: once per cause and sender, not once per packet.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::event::Mismatch;
use crate::names::{Interval, Vrid};
use crate::vrrp::drop_reason::DropReason;

/// Most pairs of cause and sender that are remembered. Beyond it a mismatch is counted and not
/// named, so that forged senders cannot fill a log.
pub const MAX_NAMED: usize = 64;

/// What a sender is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// A mismatch, whatever value it carries: that one is 0 here.
    Mismatch(Mismatch),
    /// A virtual router that is not ours.
    ForeignVrid(Vrid),
    /// v3: this interval was learnt from it. Two masters with two intervals would otherwise be told
    /// once per packet.
    Interval(Interval),
    /// It has our priority.
    EqualPriority,
    /// An advert of it was discarded for a fault that is no disagreement.
    Discarded(DropReason),
}

impl From<Mismatch> for Cause {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(match mismatch {
            Mismatch::Version(_) => Mismatch::Version(0),
            Mismatch::Interval(_) => Mismatch::Interval(0),
            Mismatch::AuthenticationType(_) => Mismatch::AuthenticationType(0),
            Mismatch::Ttl(_) | Mismatch::PeerTtl(_) => Mismatch::Ttl(0),
            Mismatch::Owner(_) => Mismatch::Owner(0),
            Mismatch::Password
            | Mismatch::ChecksumForm
            | Mismatch::UnlistedPeer
            | Mismatch::Transport
            | Mismatch::AddressList
            | Mismatch::FirstAddress
            | Mismatch::SourceNotLinkLocal => mismatch,
        })
    }
}

/// A cause is mended after this many adverts in a row without it. Fewer would name a router that
/// sends two kinds of adverts in turn once per packet.
const MENDED_AFTER: u8 = 3;

/// Pairs of cause and sender that were named, with the adverts since that did not show it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Named(Vec<(IpAddr, Cause, u8)>);

impl Named {
    /// Whether this one is new and is to be named now.
    pub(crate) fn is_new(&mut self, sender: IpAddr, cause: Cause) -> bool {
        let known = self.0.iter_mut().find(|(who, what, _)| (*who, *what) == (sender, cause));
        if let Some((_, _, without)) = known {
            *without = 0;
            return false;
        }
        if self.0.len() >= MAX_NAMED {
            return false;
        }
        self.0.push((sender, cause, 0));
        true
    }

    /// A sender's advert counted, with these mismatches and no others: what it has mended may be
    /// named again if it comes back.
    pub(crate) fn keep_only(&mut self, sender: IpAddr, found: &[Mismatch]) {
        self.0.retain_mut(|(known, cause, without)| {
            let may_mend = matches!(cause, Cause::Mismatch(_)) && *known == sender;
            if may_mend && !found.iter().any(|mismatch| Cause::from(*mismatch) == *cause) {
                *without += 1;
            }
            *without < MENDED_AFTER
        });
    }

    /// Whether it is within its limits.
    pub(crate) fn fits(&self) -> bool {
        self.0.len() <= MAX_NAMED && self.0.iter().all(|(_, _, without)| *without < MENDED_AFTER)
    }

    pub(crate) fn fold(&self, hasher: &mut impl Hasher) {
        self.0.hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn sender(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
    }

    #[test]
    fn a_cause_is_named_once_per_sender_until_it_is_mended() {
        let mut named = Named::default();
        assert!(named.is_new(sender(1), Mismatch::Ttl(254).into()));
        assert!(!named.is_new(sender(1), Mismatch::Ttl(253).into()), "the same cause");
        assert!(named.is_new(sender(2), Mismatch::Ttl(254).into()));
        for _ in 1..MENDED_AFTER {
            named.keep_only(sender(1), &[]);
        }
        assert!(!named.is_new(sender(1), Mismatch::Ttl(254).into()), "too early to say");
        for _ in 0..MENDED_AFTER {
            named.keep_only(sender(1), &[]);
        }
        assert!(named.is_new(sender(1), Mismatch::Ttl(254).into()));
    }

    #[test]
    fn only_what_this_sender_no_longer_shows_is_mended() {
        let interval = Cause::Interval(Interval::from_centiseconds(200).unwrap());
        let mut named = Named::default();
        assert!(named.is_new(sender(1), Mismatch::Ttl(254).into()));
        assert!(named.is_new(sender(1), Mismatch::AddressList.into()));
        assert!(named.is_new(sender(1), interval));
        assert!(named.is_new(sender(2), Mismatch::Ttl(254).into()));
        for _ in 0..MENDED_AFTER {
            named.keep_only(sender(1), &[Mismatch::AddressList]);
        }
        assert!(!named.is_new(sender(1), Mismatch::AddressList.into()), "it still shows that");
        assert!(!named.is_new(sender(1), interval), "an interval is no mismatch");
        assert!(!named.is_new(sender(2), Mismatch::Ttl(254).into()), "that is another sender");
        assert!(named.is_new(sender(1), Mismatch::Ttl(254).into()));
    }

    #[test]
    fn forged_senders_reach_the_limit_and_no_further() {
        let mut named = Named::default();
        let news = (0..1000).filter(|last| named.is_new(sender(*last), Mismatch::Password.into()));
        assert_eq!(news.count(), MAX_NAMED);
    }
}
