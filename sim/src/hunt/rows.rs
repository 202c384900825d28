//! Which requirement of the RFCs a [`Sight`] reaches: the rows of `requirements.toml` that are
//! about what routers do to each other over time. What stands in a frame, what real kernels answer
//! and what configurations mean is no matter of a hunt; other rings show it.

use super::reached::Flavour::{V2, V3Ipv4, V3Ipv6};
use super::reached::{Flavour, Sight, Sights};

/// A row and what reaches it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its id.
    pub id: &'static str,
    sight: Sight,
    flavours: &'static [Flavour],
}

impl Row {
    /// Whether it was reached.
    #[must_use]
    pub fn is_reached(&self, sights: Sights) -> bool {
        self.flavours.iter().any(|flavour| sights.has(self.sight, *flavour))
    }

    /// Whether any of these flavours could reach it.
    #[must_use]
    pub fn is_about(&self, flavours: &[Flavour]) -> bool {
        self.flavours.iter().any(|flavour| flavours.contains(flavour))
    }
}

const fn row(id: &'static str, sight: Sight, flavours: &'static [Flavour]) -> Row {
    Row { id, sight, flavours }
}

const V3: &[Flavour] = &[V3Ipv4, V3Ipv6];
const ANY: &[Flavour] = &[V2, V3Ipv4, V3Ipv6];

/// All of them, in the order of `requirements.toml`.
pub const ROWS: &[Row] = &[
    row("V2-5.2.3-TTLRX", Sight::DropsTtl, &[V2]),
    row("V3-5.1.1.3-TTL4RX", Sight::DropsTtl, &[V3Ipv4]),
    row("V3-5.1.2.3-HLRX", Sight::DropsTtl, &[V3Ipv6]),
    row("V2-5.3.1-VER", Sight::DropsVersion, &[V2]),
    row("V3-5.2.1-VER", Sight::DropsVersion, V3),
    row("V2-5.3.4-PRI255", Sight::AdvertisesAsOwner, &[V2]),
    row("V2-5.3.4-PRI1-254", Sight::Advertises, &[V2]),
    row("V2-5.3.4-PRI0", Sight::Resigns, &[V2]),
    row("V3-5.2.4-PRI255", Sight::AdvertisesAsOwner, V3),
    row("V3-5.2.4-PRI1-254", Sight::Advertises, V3),
    row("V2-5.3.6-AUTHUNK", Sight::DropsAuthType, &[V2]),
    row("V2-7.1-CSUMRX", Sight::DropsChecksum, &[V2]),
    row("V3-7.1-CSUMRX", Sight::DropsChecksum, V3),
    row("V2-6.1-SKEW", Sight::FollowsResigned, &[V2]),
    row("V2-6.1-MDI", Sight::MasterDown, &[V2]),
    row("V3-6.1-SKEW", Sight::FollowsResigned, V3),
    row("V3-6.1-MDI", Sight::MasterDown, V3),
    row("V3-6.1-MAI-LEARN", Sight::LearnsInterval, V3),
    row("V2-6.1-NOLEARN", Sight::DropsInterval, &[V2]),
    row("V2-6.2-MDT", Sight::MasterDown, &[V2]),
    row("V2-6.2-ADT", Sight::Advertises, &[V2]),
    row("V3-6.2-TIMERS", Sight::Advertises, V3),
    row("V2-6.4.1-OWNER", Sight::StartsAsOwner, &[V2]),
    row("V2-6.4.1-BACKUP", Sight::StartsAsBackup, &[V2]),
    row("V3-6.4.1-OWNER4", Sight::StartsAsOwner, &[V3Ipv4]),
    row("V3-6.4.1-OWNER6", Sight::StartsAsOwner, &[V3Ipv6]),
    row("V3-6.4.1-BACKUP", Sight::StartsAsBackup, V3),
    row("X-6.4.1-STARTCOND", Sight::Recovers, ANY),
    row("V2-6.4.2-SHUT", Sight::StopsAsBackup, &[V2]),
    row("V2-6.4.2-TIMER", Sight::MasterDown, &[V2]),
    row("V2-6.4.2-PRI0", Sight::HearsZeroAsBackup, &[V2]),
    row("V2-6.4.2-GE", Sight::HearsBetterAsBackup, &[V2]),
    row("V2-6.4.2-NOPREEMPT", Sight::HearsLowerPatiently, &[V2]),
    row("V2-6.4.2-LOWER", Sight::HearsLowerAsBackup, &[V2]),
    row("V3-6.4.2-SHUT", Sight::StopsAsBackup, V3),
    row("V3-6.4.2-TIMER4", Sight::MasterDown, &[V3Ipv4]),
    row("V3-6.4.2-TIMER6", Sight::MasterDown, &[V3Ipv6]),
    row("V3-6.4.2-PRI0", Sight::HearsZeroAsBackup, V3),
    row("V3-6.4.2-GE", Sight::HearsBetterAsBackup, V3),
    row("V3-6.4.2-LOWER", Sight::HearsLowerAsBackup, V3),
    row("V2-6.4.3-ARP", Sight::Answers, &[V2]),
    row("V2-6.4.3-SHUT", Sight::StopsAsMaster, &[V2]),
    row("V2-6.4.3-ADV", Sight::Advertises, &[V2]),
    row("V2-6.4.3-PRI0", Sight::HearsZeroAsMaster, &[V2]),
    row("V2-6.4.3-HIGHER", Sight::YieldsToHigher, &[V2]),
    row("V2-6.4.3-TIEHI", Sight::YieldsToGreater, &[V2]),
    row("V2-6.4.3-TIELO", Sight::HearsEqualAsMaster, &[V2]),
    row("V2-6.4.3-LOWER", Sight::HearsLowerAsMaster, &[V2]),
    row("V3-6.4.3-ARP", Sight::Answers, &[V3Ipv4]),
    row("V3-6.4.3-NS", Sight::Answers, &[V3Ipv6]),
    row("V3-6.4.3-SHUT", Sight::StopsAsMaster, V3),
    row("V3-6.4.3-ADV", Sight::Advertises, V3),
    row("V3-6.4.3-PRI0", Sight::HearsZeroAsMaster, V3),
    row("V3-6.4.3-HIGHER", Sight::YieldsToHigher, V3),
    row("V3-6.4.3-TIECMP", Sight::YieldsToGreater, V3),
    row("V3-6.4.3-LOWER-9568", Sight::HearsLowerAsMaster, V3),
    row("V2-7.1-VRID", Sight::DropsVrid, &[V2]),
    row("V3-7.1-VRID", Sight::DropsVrid, V3),
    row("V2-7.1-OWNER", Sight::DropsAsOwner, &[V2]),
    row("V2-7.1-AUTH", Sight::DropsPassword, &[V2]),
    row("V2-7.1-INT", Sight::DropsInterval, &[V2]),
    row("V2-7.1-LOG", Sight::NamesMismatch, &[V2]),
    row("GARP-ALL", Sight::Announces, &[V2, V3Ipv4]),
    row("ND-UNA-FMT", Sight::Announces, &[V3Ipv6]),
    row("TRANS-2.3", Sight::HearsBetterAsBackup, ANY),
    row("TRANS-OLDMASTER", Sight::YieldsToHigher, ANY),
    row("LINK-DOWN", Sight::Fails, ANY),
    row("CRASH-VIP", Sight::KilledAsMaster, ANY),
    row("RELOAD", Sight::ReloadsAsMaster, ANY),
    row("AUTH-2338-PASSTX", Sight::Authenticates, &[V2]),
    row("AUTH-2338-PASSRX", Sight::DropsPassword, &[V2]),
    row("AUTH-2338-MIS", Sight::DropsAuthType, &[V2]),
    row("COEX-OFF", Sight::DropsVersion, ANY),
    row("MIB-6527-PRI0", Sight::Resigns, ANY),
    row("MIB-6527-REASON", Sight::Preempts, ANY),
    row("LOG-2.5", Sight::NamesFlapping, ANY),
    row("SEC-TTL", Sight::DropsTtl, ANY),
    row("SEC-FLOOD", Sight::HearsStranger, ANY),
    row("SEC-SPOOF0", Sight::HearsZeroAsMaster, ANY),
];
