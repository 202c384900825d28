//! Why the survivor of two masters may say nothing before its next refresh, so that a neighbour
//! that obeyed the other one goes on asking that.

use vipd_engine::rules::{LowerPriorityRule, OwnerRule};
use vipd_engine::{InstanceConfig, Version};

/// An owner that discards every advert hears of no other master (always so in v2).
pub(super) fn discards_as_owner(one: &InstanceConfig) -> bool {
    let discards = one.rules.owner == OwnerRule::Discard || one.version == Version::V2;
    one.priority.is_owner() && discards
}

/// It discards the adverts of lower ones.
pub(super) fn is_silent(one: &InstanceConfig) -> bool {
    one.rules.lower_priority == LowerPriorityRule::Silent
}

/// It yields without an advert that tells the survivor of it.
pub(super) const fn yields_in_silence(one: &InstanceConfig) -> bool {
    !one.rules.yield_advert
}

/// It announces nothing on behalf of a lower master.
pub(super) const fn announces_nothing(one: &InstanceConfig) -> bool {
    let announcements = &one.announcements;
    announcements.lower_priority_repeat == 0 || announcements.lower_priority_delay.is_zero()
}

/// Any of these.
pub(super) fn may_be(one: &InstanceConfig) -> bool {
    discards_as_owner(one) || is_silent(one) || yields_in_silence(one) || announces_nothing(one)
}
