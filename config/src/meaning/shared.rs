//! Settings that `global_defs` and an instance have in common: the instance's word counts first.

use std::time::Duration;

use vipd_engine::config::Announcements;
use vipd_engine::rules::{ChecksumForm, ChecksumRule, LowerPriorityRule, OwnerRule};
use vipd_engine::{Profile, Rules, Version};

use super::{Draft, Line};

/// Absent ones are `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shared {
    pub version: Option<Version>,
    pub strict: Option<bool>,
    pub skip_check: Option<bool>,
    pub down_timer_adverts: Option<u8>,
    pub check_unicast_src: Option<bool>,
    pub v3_checksum_as_v2: Option<bool>,
    pub lower_prio_no_advert: Option<bool>,
    pub higher_prio_send_advert: Option<bool>,
    pub owner_ignore_adverts: Option<bool>,
    pub min_garp: Option<bool>,
    garp_delay: Option<Duration>,
    garp_repeat: Option<u8>,
    garp_refresh: Option<Duration>,
    garp_refresh_repeat: Option<u8>,
    garp_lower_delay: Option<Duration>,
    garp_lower_repeat: Option<u8>,
}

impl Shared {
    /// The announcements of an instance below these globals.
    ///
    /// By an RFC there is one announcement per address and no other, unless the file says
    /// otherwise. DEVIATION from keepalived: it ignores what the file says under `vrrp_strict`.
    pub fn announcements(&self, instance: &Self, profile: Profile) -> Announcements {
        let rfc = profile != Profile::DropIn || self.strict(instance);
        let mut base = Announcements::default();
        if rfc || self.min_garp == Some(true) {
            base.delay = Duration::ZERO;
            base.repeat = 1;
            base.lower_priority_delay = Duration::ZERO;
            base.lower_priority_repeat = 1;
        }
        if rfc {
            base.refresh = None;
            base.lower_priority_repeat = 0;
        }
        // The lower-priority pair follows the globals' master pair, never the instance's.
        let lower_delay = self.garp_lower_delay.or(self.garp_delay);
        let lower_repeat = self.garp_lower_repeat.or(self.garp_repeat);
        let refresh = instance.garp_refresh.or(self.garp_refresh);
        Announcements {
            delay: instance.garp_delay.or(self.garp_delay).unwrap_or(base.delay),
            repeat: instance.garp_repeat.or(self.garp_repeat).unwrap_or(base.repeat),
            refresh: refresh.map_or(base.refresh, |given| (!given.is_zero()).then_some(given)),
            refresh_repeat: instance
                .garp_refresh_repeat
                .or(self.garp_refresh_repeat)
                .unwrap_or(base.refresh_repeat),
            lower_priority_delay: instance
                .garp_lower_delay
                .or(lower_delay)
                .unwrap_or(base.lower_priority_delay),
            lower_priority_repeat: instance
                .garp_lower_repeat
                .or(lower_repeat)
                .unwrap_or(base.lower_priority_repeat),
        }
    }

    /// The rules of an instance below these globals.
    ///
    /// `vrrp_strict` picks the switches of the version's RFC, but keeps the checksum of keepalived
    /// (with the pseudo-header), which its peers demand; `v3_checksum_as_v2` changes that one.
    pub fn rules(&self, instance: &Self, profile: Profile, version: Version) -> Rules {
        let mut rules = match (profile, self.strict(instance), version) {
            (Profile::DropIn, false, _) => Rules::of(Profile::DropIn),
            (Profile::DropIn, true, Version::V2) => Rules::of(Profile::Rfc3768),
            (Profile::DropIn, true, Version::V3) => {
                let rules = Rules::of(Profile::Rfc9568);
                with_checksum(rules, ChecksumForm::PseudoHeader)
            }
            (Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568, _, _) => Rules::of(profile),
        };
        match instance.v3_checksum_as_v2.or(self.v3_checksum_as_v2) {
            Some(true) => rules = with_checksum(rules, ChecksumForm::MessageOnly),
            Some(false) => rules = with_checksum(rules, ChecksumForm::PseudoHeader),
            None => {}
        }
        if let Some(check) = instance.check_unicast_src.or(self.check_unicast_src) {
            rules.check_unicast_source = check;
        }
        if let Some(silent) = instance.lower_prio_no_advert.or(self.lower_prio_no_advert) {
            rules.lower_priority =
                if silent { LowerPriorityRule::Silent } else { LowerPriorityRule::Assert };
        }
        if let Some(send) = instance.higher_prio_send_advert.or(self.higher_prio_send_advert) {
            rules.yield_advert = send;
        }
        if let Some(ignore) = instance.owner_ignore_adverts.or(self.owner_ignore_adverts) {
            rules.owner = if ignore { OwnerRule::Discard } else { OwnerRule::Process };
        }
        rules
    }

    /// Whether an instance below these globals is strict.
    pub fn strict(&self, instance: &Self) -> bool {
        instance.strict.or(self.strict).unwrap_or(false)
    }
}

fn with_checksum(rules: Rules, form: ChecksumForm) -> Rules {
    Rules { checksum_sent: form, checksum_accepted: ChecksumRule::Only(form), ..rules }
}

pub(crate) fn version(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((version, _)) = line.choice(&[("2", Version::V2), ("3", Version::V3)]) {
        draft.shared(line.keyword.place).version = Some(version);
    }
}

/// A reader of an optional truth value.
macro_rules! flag {
    ($($name:ident => $field:ident),* $(,)?) => { $(
        pub(crate) fn $name(draft: &mut Draft, line: &mut Line<'_>) {
            if let Some(value) = line.flag() {
                draft.shared(line.keyword.place).$field = Some(value);
            }
        }
    )* };
}

flag! {
    strict => strict,
    skip_check => skip_check,
    check_unicast_src => check_unicast_src,
    v3_checksum_as_v2 => v3_checksum_as_v2,
    lower_prio_no_advert => lower_prio_no_advert,
    higher_prio_send_advert => higher_prio_send_advert,
    owner_ignore_adverts => owner_ignore_adverts,
    min_garp => min_garp,
}

/// A reader of a time in seconds.
macro_rules! time {
    ($($name:ident),*) => { $(
        pub(crate) fn $name(draft: &mut Draft, line: &mut Line<'_>) {
            if let Some((value, _)) = line.seconds() {
                draft.shared(line.keyword.place).$name = Some(value);
            }
        }
    )* };
}

time!(garp_delay, garp_refresh, garp_lower_delay);

/// A reader of a count.
macro_rules! count {
    ($($name:ident: $range:expr),*) => { $(
        pub(crate) fn $name(draft: &mut Draft, line: &mut Line<'_>) {
            if let Some(value) = line.integer_in($range) {
                draft.shared(line.keyword.place).$name = Some(value as u8);
            }
        }
    )* };
}

count!(
    garp_repeat: 0..=255,
    garp_refresh_repeat: 0..=255,
    garp_lower_repeat: 0..=255,
    down_timer_adverts: 1..=100
);
