//! The receive checks, in the order of RFC 9568 section 7.1 (and RFC 3768 section 7.1 for v2).
//!
//! TTL, version, type, length, checksum, VRID and destination, owner, source, authentication,
//! address count, address list, first address, interval. The first fault is the reason. What two
//! routers do not agree on is named as a [`Mismatch`], also where the advert counts all the same.

use core::net::IpAddr;

use crate::config::{InstanceConfig, MULTICAST_GROUP_V4, Peer, Transport};
use crate::event::Mismatch;
use crate::input::Received;
use crate::names::{Family, Interval, Version, Vrid};
use crate::rules::{ChecksumForm, ChecksumRule, FirstAddressRule, ListRule, OwnerRule};
use crate::vrrp::advert::{
    AUTH_NONE, AUTH_PASS, AdvertView, LengthFault, TYPE_ADVERTISEMENT, type_nibble, version_nibble,
    vrid_octet,
};
use crate::vrrp::drop_reason::DropReason;

/// An advert that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Who sent it.
    pub(crate) source: IpAddr,
    /// Its priority, 0 if the sender resigns.
    pub(crate) priority: u8,
    /// The interval it carries.
    pub(crate) interval: Interval,
}

/// The virtual router that checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver<'a> {
    pub(crate) config: &'a InstanceConfig,
    /// The source of its own adverts.
    pub(crate) source: IpAddr,
}

impl Receiver<'_> {
    /// Checks one datagram whose VRID octet is ours. `name` hears of each mismatch.
    pub(crate) fn check(
        &self,
        received: &Received<'_>,
        mut name: impl FnMut(Mismatch),
    ) -> Result<Accepted, DropReason> {
        let peer = self.peer(received.src);
        self.check_ttl(received, peer, &mut name)?;
        let view = self.check_message(received, peer, &mut name)?;
        if !self.is_for_us(received.dst) {
            name(Mismatch::Transport);
            return Err(DropReason::Destination);
        }
        self.check_owner(received.src, &view, &mut name)?;
        self.check_source(received, peer, &mut name)?;
        self.check_authentication(&view, &mut name)?;
        self.check_addresses(&view, &mut name)?;
        let interval = self.check_interval(&view, &mut name)?;
        Ok(Accepted { source: received.src, priority: view.priority(), interval })
    }

    /// Whether a datagram to `destination` is for this virtual router.
    pub(crate) fn is_for_us(&self, destination: IpAddr) -> bool {
        match &self.config.transport {
            Transport::Multicast { group, .. } => destination == *group,
            Transport::Unicast { .. } => destination == self.source,
        }
    }

    fn peer(&self, source: IpAddr) -> Option<&Peer> {
        match &self.config.transport {
            Transport::Multicast { .. } => None,
            Transport::Unicast { peers, .. } => peers.iter().find(|peer| peer.address == source),
        }
    }

    /// Multicast: 255, always. Unicast: the peer's own limits; without them any, named below 255,
    /// unless sources are checked.
    fn check_ttl(
        &self,
        received: &Received<'_>,
        peer: Option<&Peer>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<(), DropReason> {
        let limits = peer.map_or((None, None), |peer| (peer.min_ttl, peer.max_ttl));
        let unicast = matches!(self.config.transport, Transport::Unicast { .. });
        let (fits, mismatch) = match limits {
            (None, None) => (received.ttl == 255, Mismatch::Ttl(received.ttl)),
            (min, max) => {
                let allowed = min.unwrap_or(0)..=max.unwrap_or(255);
                (allowed.contains(&received.ttl), Mismatch::PeerTtl(received.ttl))
            }
        };
        if fits {
            return Ok(());
        }
        name(mismatch);
        if unicast && limits == (None, None) && !self.config.rules.check_unicast_source {
            return Ok(());
        }
        Err(DropReason::Ttl)
    }

    /// Version, type, length and checksum.
    fn check_message<'b>(
        &self,
        received: &Received<'b>,
        peer: Option<&Peer>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<AdvertView<'b>, DropReason> {
        let version = self.config.version;
        if let Some(theirs) = version_nibble(received.bytes)
            && theirs != version.number()
        {
            name(Mismatch::Version(theirs));
            return Err(DropReason::Version);
        }
        let view = well_formed(version, self.config.family, received.bytes)?;
        let fits = |form| view.checksum_fits(form, received.src, received.dst);
        let accepted = match self.config.rules.checksum_accepted {
            ChecksumRule::Only(form) => fits(form),
            ChecksumRule::Either => {
                fits(ChecksumForm::PseudoHeader) || fits(ChecksumForm::MessageOnly)
            }
        };
        if accepted || fits_old_unicast(&view, received.src, peer) {
            return Ok(view);
        }
        if fits(ChecksumForm::PseudoHeader) || fits(ChecksumForm::MessageOnly) {
            name(Mismatch::ChecksumForm);
        }
        Err(DropReason::Checksum)
    }

    fn check_owner(
        &self,
        source: IpAddr,
        view: &AdvertView<'_>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<(), DropReason> {
        if !self.config.priority.is_owner() {
            return Ok(());
        }
        // Our own advert, reflected, is no other owner.
        if source != self.source {
            name(Mismatch::Owner(view.priority()));
        }
        match (self.config.version, self.config.rules.owner) {
            (Version::V3, OwnerRule::Process) => Ok(()),
            (Version::V2, OwnerRule::Process | OwnerRule::Discard)
            | (Version::V3, OwnerRule::Discard) => Err(DropReason::Owner),
        }
    }

    fn check_source(
        &self,
        received: &Received<'_>,
        peer: Option<&Peer>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<(), DropReason> {
        if received.src == self.source {
            return Err(DropReason::OwnSource);
        }
        match (&self.config.transport, received.src) {
            (Transport::Multicast { .. }, IpAddr::V6(source))
                if !source.is_unicast_link_local() =>
            {
                name(Mismatch::SourceNotLinkLocal);
                Err(DropReason::SourceNotLinkLocal)
            }
            (Transport::Unicast { .. }, _) if peer.is_none() => {
                name(Mismatch::UnlistedPeer);
                if self.config.rules.check_unicast_source {
                    return Err(DropReason::UnlistedPeer);
                }
                Ok(())
            }
            (Transport::Multicast { .. } | Transport::Unicast { .. }, _) => Ok(()),
        }
    }

    fn check_authentication(
        &self,
        view: &AdvertView<'_>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<(), DropReason> {
        let wanted = if self.config.password.is_some() { AUTH_PASS } else { AUTH_NONE };
        if view.auth_type() != wanted {
            name(Mismatch::AuthenticationType(view.auth_type()));
            return Err(DropReason::AuthType);
        }
        let Some(password) = self.config.password else { return Ok(()) };
        let ours = password.octets();
        let theirs = view.auth_data().try_into().unwrap_or(ours);
        // All octets at once, so that the time taken tells nothing of the password.
        if u64::from_ne_bytes(ours) == u64::from_ne_bytes(theirs) {
            return Ok(());
        }
        name(Mismatch::Password);
        Err(DropReason::AuthData)
    }

    fn check_addresses(
        &self,
        view: &AdvertView<'_>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<(), DropReason> {
        let ours = &self.config.addresses;
        // v3: erratum 8299. v2: a pair without a virtual address is allowed, as in keepalived.
        if view.count() == 0 && !(self.config.version == Version::V2 && ours.is_empty()) {
            return Err(DropReason::AddressCount);
        }
        let same_order = usize::from(view.count()) == ours.len()
            && view.addresses().zip(ours).all(|(theirs, ours)| theirs == ours.address);
        if !same_order && !self.lists_the_same(view) {
            name(Mismatch::AddressList);
            // RFC 3768 section 7.1 spares the owner's advert.
            if self.config.rules.list == ListRule::Discard && view.priority() != 255 {
                return Err(DropReason::AddressList);
            }
        }
        match view.addresses().next() {
            Some(IpAddr::V6(first)) if !first.is_unicast_link_local() => {
                name(Mismatch::FirstAddress);
                match self.config.rules.first_address {
                    FirstAddressRule::Warn => Ok(()),
                    FirstAddressRule::Discard => Err(DropReason::FirstAddress),
                }
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The order does not matter. Quadratic in at most 255, and only where the order differs.
    fn lists_the_same(&self, view: &AdvertView<'_>) -> bool {
        let ours = &self.config.addresses;
        usize::from(view.count()) == ours.len()
            && ours.iter().all(|ours| view.addresses().any(|theirs| theirs == ours.address))
    }

    fn check_interval(
        &self,
        view: &AdvertView<'_>,
        name: &mut impl FnMut(Mismatch),
    ) -> Result<Interval, DropReason> {
        // Erratum 8301: an interval of zero is discarded.
        let interval = view
            .interval()
            .filter(|theirs| self.config.version == Version::V3 || *theirs == self.config.interval);
        if interval.is_none() && self.config.version == Version::V2 {
            name(Mismatch::Interval(view.interval_field() as u8));
        }
        interval.ok_or(DropReason::Interval)
    }
}

/// keepalived before 1.3.6 summed the multicast group into a unicast advert. Only for a peer whose
/// configuration says so.
fn fits_old_unicast(view: &AdvertView<'_>, source: IpAddr, peer: Option<&Peer>) -> bool {
    peer.is_some_and(|peer| peer.old_unicast_checksum)
        && view.checksum_fits(ChecksumForm::PseudoHeader, source, IpAddr::V4(MULTICAST_GROUP_V4))
}

/// Type and length.
fn well_formed(
    version: Version,
    family: Family,
    bytes: &[u8],
) -> Result<AdvertView<'_>, DropReason> {
    if type_nibble(bytes).is_some_and(|found| found != TYPE_ADVERTISEMENT) {
        return Err(DropReason::Type);
    }
    AdvertView::new(version, family, bytes).map_err(|fault| match fault {
        LengthFault::Short => DropReason::Length,
        LengthFault::Trailing => DropReason::Trailing,
    })
}

/// A well-formed advert for a VRID that nobody here has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unclaimed<'a> {
    pub(crate) vrid: Vrid,
    pub(crate) view: AdvertView<'a>,
}

/// The checks that need no virtual router. The reason is [`DropReason::Vrid`] if they all pass.
pub(crate) fn check_unclaimed<'a>(received: &Received<'a>) -> (DropReason, Option<Unclaimed<'a>>) {
    if received.dst.is_multicast() && received.ttl != 255 {
        return (DropReason::Ttl, None);
    }
    let family = Family::of(received.dst);
    let version = match (version_nibble(received.bytes), family) {
        (Some(3), _) => Version::V3,
        (Some(2), Family::Ipv4) => Version::V2,
        (None, _) => return (DropReason::Length, None),
        (Some(_), _) => return (DropReason::Version, None),
    };
    let view = match well_formed(version, family, received.bytes) {
        Ok(view) => view,
        Err(reason) => return (reason, None),
    };
    let fits = |form| view.checksum_fits(form, received.src, received.dst);
    if !fits(ChecksumForm::PseudoHeader) && !fits(ChecksumForm::MessageOnly) {
        return (DropReason::Checksum, None);
    }
    let vrid = vrid_octet(received.bytes).and_then(|octet| Vrid::new(i64::from(octet)).ok());
    (DropReason::Vrid, vrid.map(|vrid| Unclaimed { vrid, view }))
}
