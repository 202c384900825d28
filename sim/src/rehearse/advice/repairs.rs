//! What keeps the survivor of two masters from announcing its addresses at once.

use vipd_engine::InstanceConfig;

use super::Files;
use crate::rehearse::mute;

/// Who is like this, and how.
fn told(files: &Files<'_>, is: fn(&InstanceConfig) -> bool, does: &str) -> Vec<String> {
    let routers = files.routers().into_iter().filter(|router| router.len() > 1);
    let told = |router: Vec<super::Member<'_>>| {
        let hosts = router.iter().filter(|one| is(one.config)).map(|one| one.host);
        let hosts: Vec<_> = hosts.collect();
        (!hosts.is_empty()).then(|| {
            format!(
                "VRID {}: {}: {does}: when two were master, a neighbour goes on asking the one \
                 that yielded until the next refresh",
                router[0].config.vrid,
                hosts.join(" and ")
            )
        })
    };
    routers.filter_map(told).collect()
}

pub(super) fn owner_discards(files: &Files<'_>) -> Vec<String> {
    told(files, mute::discards_as_owner, "an owner of version 2 hears nobody")
}

pub(super) fn silent_to_lower(files: &Files<'_>) -> Vec<String> {
    told(files, mute::is_silent, "a lower master is not answered")
}

pub(super) fn yields_in_silence(files: &Files<'_>) -> Vec<String> {
    told(files, mute::yields_in_silence, "who yields sends no last advert")
}

pub(super) fn announces_nothing(files: &Files<'_>) -> Vec<String> {
    told(files, mute::announces_nothing, "a lower master calls for no announcement")
}
