//! Rules are data: where the RFCs and keepalived disagree, an instance carries the choice.
//!
//! Read only where a received advert is accepted (`vrrp::accept`), where an election is decided
//! (`vrrp::election`) and where addresses are announced (`vrrp::announce`).

use serde::{Deserialize, Serialize};

use crate::names::MacAddress;

/// Whose rules an instance follows unless a keyword says otherwise.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Profile {
    /// keepalived's defaults, with the DEVIATIONs named at the fields of [`Rules`].
    #[default]
    DropIn,
    /// VRRPv2.
    Rfc3768,
    /// VRRPv3 of 2010.
    Rfc5798,
    /// VRRPv3 of 2024 with its verified errata.
    Rfc9568,
}

impl Profile {
    /// Every profile, in the order of this type.
    pub const ALL: [Self; 4] = [Self::DropIn, Self::Rfc3768, Self::Rfc5798, Self::Rfc9568];

    /// The name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropIn => "drop-in",
            Self::Rfc3768 => "rfc3768",
            Self::Rfc5798 => "rfc5798",
            Self::Rfc9568 => "rfc9568",
        }
    }
}

/// What happens to an advert whose address list differs from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ListRule {
    /// Named and counted; the advert is processed.
    Warn,
    /// Discarded, unless it comes from the owner (RFC 3768 section 7.1).
    Discard,
}

/// What an owner (priority 255) does with an advert. It is a named alarm in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OwnerRule {
    /// Process it, so that of two owners the greater address stays (erratum 8298 of RFC 9568).
    Process,
    /// Discard it (RFC 3768 and RFC 5798 section 7.1). Always so in v2.
    Discard,
}

/// What a master does when it hears a lower priority or wins a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LowerPriorityRule {
    /// Advertise at once and announce the addresses again (RFC 9568 section 6.4.3, keepalived).
    Assert,
    /// Discard it in silence (RFC 3768 and RFC 5798 section 6.4.3, `lower_prio_no_advert`).
    Silent,
}

/// What the checksum of a v3 advert over IPv4 covers. v2 and IPv6 leave no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChecksumForm {
    /// Pseudo-header and message, as keepalived and FRR read RFC 5798 section 5.2.8.
    PseudoHeader,
    /// The message only (RFC 9568 section 5.2.8).
    MessageOnly,
}

/// Which checksum forms are accepted in a v3 advert over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChecksumRule {
    /// The one form. A peer that uses the other one is named.
    Only(ChecksumForm),
    /// Both forms.
    Either,
}

/// What happens to an IPv6 address list that does not begin with a link-local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FirstAddressRule {
    /// Named and counted; the advert is processed.
    /// DEVIATION from erratum 8300: neither keepalived nor FRR demands it, and discarding makes two
    /// masters.
    Warn,
    /// Discarded (erratum 8300 of RFC 9568).
    Discard,
}

/// How unsolicited neighbour advertisements are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NaBurst {
    /// `garp_master_repeat` of them at once, as keepalived does.
    BackToBack,
    /// One per burst: RFC 4861 section 7.2.6 wants a second between two of them.
    Single,
}

impl NaBurst {
    /// How many of `frames` wanted ones a burst has.
    #[must_use]
    pub fn limit(self, frames: u8) -> u8 {
        match self {
            Self::BackToBack => frames,
            Self::Single => frames.min(1),
        }
    }
}

/// The target hardware address of a gratuitous ARP. Receivers ignore it (RFC 826), captures and
/// switches that inspect ARP do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ArpTarget {
    /// All ones, as keepalived and FRR send it. RFC 3768 and RFC 5798 do not say.
    Broadcast,
    /// The virtual router's MAC (RFC 9568 section 6.4.1 and 6.4.2, errata 7947 and 7949).
    VirtualMac,
}

impl ArpTarget {
    /// The address that a virtual router with this MAC sends.
    #[must_use]
    pub const fn address(self, virtual_mac: MacAddress) -> MacAddress {
        match self {
            Self::Broadcast => MacAddress::BROADCAST,
            Self::VirtualMac => virtual_mac,
        }
    }
}

/// The choices of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Which profile these started from.
    pub profile: Profile,
    /// Address list differs from ours.
    pub list: ListRule,
    /// An owner hears an advert.
    pub owner: OwnerRule,
    /// A master hears a lower priority.
    pub lower_priority: LowerPriorityRule,
    /// A master that yields sends one last advert first (`higher_prio_send_advert`), with the new
    /// master's interval if that is longer.
    /// DEVIATION: on in `drop-in`, so that the survivor of a healed cut announces again.
    pub yield_advert: bool,
    /// Form of the v3 IPv4 checksum we send.
    pub checksum_sent: ChecksumForm,
    /// Forms of the v3 IPv4 checksum we accept.
    pub checksum_accepted: ChecksumRule,
    /// Unicast adverts are accepted from listed peers only (`check_unicast_src`).
    pub check_unicast_source: bool,
    /// First address of an IPv6 list is not link-local.
    pub first_address: FirstAddressRule,
    /// A master that is not the owner accepts packets addressed to a virtual address.
    pub accept: bool,
    /// Repetition of unsolicited neighbour advertisements.
    pub na_burst: NaBurst,
    /// Target hardware address of a gratuitous ARP.
    pub arp_target: ArpTarget,
    /// After a priority-0 advert, a late ordinary advert of the same sender delays the takeover by
    /// one interval at most. DEVIATION: no RFC has it; without it reordering costs a full
    /// `Master_Down_Interval`.
    pub resign_reorder: bool,
}

impl Rules {
    /// The choices of a profile.
    #[must_use]
    pub const fn of(profile: Profile) -> Self {
        let drop_in = Self {
            profile: Profile::DropIn,
            list: ListRule::Warn,
            owner: OwnerRule::Process,
            lower_priority: LowerPriorityRule::Assert,
            yield_advert: true,
            checksum_sent: ChecksumForm::PseudoHeader,
            checksum_accepted: ChecksumRule::Only(ChecksumForm::PseudoHeader),
            check_unicast_source: false,
            first_address: FirstAddressRule::Warn,
            accept: true,
            na_burst: NaBurst::BackToBack,
            arp_target: ArpTarget::Broadcast,
            resign_reorder: true,
        };
        let strict = Self {
            profile,
            owner: OwnerRule::Discard,
            lower_priority: LowerPriorityRule::Silent,
            yield_advert: false,
            check_unicast_source: true,
            accept: false,
            na_burst: NaBurst::Single,
            resign_reorder: false,
            ..drop_in
        };
        match profile {
            Profile::DropIn => drop_in,
            Profile::Rfc3768 => Self { list: ListRule::Discard, ..strict },
            Profile::Rfc5798 => strict,
            Profile::Rfc9568 => Self {
                owner: OwnerRule::Process,
                lower_priority: LowerPriorityRule::Assert,
                checksum_sent: ChecksumForm::MessageOnly,
                checksum_accepted: ChecksumRule::Only(ChecksumForm::MessageOnly),
                first_address: FirstAddressRule::Discard,
                arp_target: ArpTarget::VirtualMac,
                ..strict
            },
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(Profile::DropIn)
    }
}
