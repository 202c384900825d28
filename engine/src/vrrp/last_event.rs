//! The last event of a virtual router in the words of RFC 8347 (`last-event` of `ietf-vrrp`).
//!
//! A book: it is read by status and decides nothing. What RFC 8347 has no word for (trackers, sync
//! groups, refused adverts) leaves it as it was; the whole truth is in `event::Why`.

use serde::{Deserialize, Serialize};

use crate::event::{Fault, Why};

/// The identities below `vrrp-event-type` that a virtual router here can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastEvent {
    /// Nothing happened yet.
    #[default]
    None,
    /// It was started.
    Startup,
    /// It was stopped, or its configuration is gone.
    Shutdown,
    /// As Master it heard a router that is preferred: a higher priority, or a greater address.
    HigherPriorityBackup,
    /// `Master_Down_Timer` ran out, or `Skew_Time` after a resignation.
    MasterTimeout,
    /// Its interface is there and passes frames again.
    InterfaceUp,
    /// Its interface is gone or passes nothing.
    InterfaceDown,
    /// Its interface has no address to send from.
    NoPrimaryIpAddress,
    /// Its interface has an address to send from again.
    PrimaryIpAddress,
    /// The preempt delay is over.
    PreemptHoldTimeout,
    /// As Backup it heard a master of lower priority, which it preempts.
    LowerPriorityMaster,
    /// It owns the addresses and became Master whoever was Master before.
    OwnerPreempt,
}

impl LastEvent {
    /// The name of the identity, without the `vrrp-event-` that all of them begin with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::HigherPriorityBackup => "higher-priority-backup",
            Self::MasterTimeout => "master-timeout",
            Self::InterfaceUp => "interface-up",
            Self::InterfaceDown => "interface-down",
            Self::NoPrimaryIpAddress => "no-primary-ip-address",
            Self::PrimaryIpAddress => "primary-ip-address",
            Self::PreemptHoldTimeout => "preempt-hold-timeout",
            Self::LowerPriorityMaster => "lower-priority-master",
            Self::OwnerPreempt => "owner-preempt",
        }
    }

    /// The event behind a change of state, if it is not known from before: what happened to the
    /// interface is in [`Self::of_fault`], and a lower master is heard before it is preempted.
    pub(crate) fn of_change(why: &Why, is_owner: bool) -> Option<Self> {
        match why {
            Why::Startup => Some(Self::Startup),
            Why::OwnerStartup => Some(Self::OwnerPreempt),
            Why::MasterDown(_) | Why::MasterResigned(_) => Some(Self::MasterTimeout),
            Why::Preempts { .. } => is_owner.then_some(Self::OwnerPreempt),
            Why::HigherPriority { .. } | Why::GreaterAddress(_) => Some(Self::HigherPriorityBackup),
            Why::Shutdown | Why::Removed => Some(Self::Shutdown),
            Why::Group(_) | Why::Fault(_) | Why::Recovered | Why::Ordered(_) => None,
            Why::LeaseOver | Why::OneWay { .. } => None,
        }
    }

    /// The event behind a change of what is missing on the interface.
    pub(crate) fn of_fault(before: Option<&Fault>, now: Option<&Fault>) -> Option<Self> {
        let down = |fault: Option<&Fault>| {
            matches!(fault, Some(Fault::InterfaceMissing | Fault::LinkDown))
        };
        let bare = |fault: Option<&Fault>| fault == Some(&Fault::NoPrimaryAddress);
        match (down(before), down(now), bare(before), bare(now)) {
            (false, true, _, _) => Some(Self::InterfaceDown),
            (_, _, false, true) => Some(Self::NoPrimaryIpAddress),
            (true, false, _, _) => Some(Self::InterfaceUp),
            (_, false, true, false) => Some(Self::PrimaryIpAddress),
            (_, _, _, _) => None,
        }
    }
}
