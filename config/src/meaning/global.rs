//! Readers of `global_defs`, other than those shared with instances.

use std::net::IpAddr;

use super::instance::interface_name;
use super::{Draft, Line};
use crate::process;
use crate::trackers::ScriptUser;

pub(crate) fn script_user(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.script_user = account(line);
}

/// `USER [GROUP]`, or `USER:GROUP` as newer keepalived writes it.
pub(super) fn account(line: &mut Line<'_>) -> Option<ScriptUser> {
    let word = line.word()?;
    let (user, group) = match word.text.split_once(':') {
        Some((user, group)) => (user.to_owned(), Some(group.to_owned())),
        None => (word.text.clone(), line.next().map(|word| word.text.clone())),
    };
    Some(ScriptUser { user, group })
}

pub(crate) fn script_security(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.globals.script_security = true;
}

pub(crate) fn group_v4(draft: &mut Draft, line: &mut Line<'_>) {
    match line.address() {
        Some((IpAddr::V4(group), _)) if group.is_multicast() => {
            draft.globals.group_v4 = Some(group);
        }
        Some((other, at)) => {
            line.error("invalid-value", at, format!("{other} is not an IPv4 multicast group"));
        }
        None => {}
    }
}

pub(crate) fn group_v6(draft: &mut Draft, line: &mut Line<'_>) {
    match line.address() {
        Some((IpAddr::V6(group), _)) if group.is_multicast() => {
            draft.globals.group_v6 = Some(group);
        }
        Some((other, at)) => {
            line.error("invalid-value", at, format!("{other} is not an IPv6 multicast group"));
        }
        None => {}
    }
}

pub(crate) fn startup_delay(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((delay, _)) = line.seconds() {
        draft.globals.startup_delay = delay;
    }
}

pub(crate) fn vmac_prefix(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.vmac_prefix = line.word().map(|word| word.text.clone());
}

/// Of static addresses that name none.
pub(crate) fn default_interface(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.default_interface = interface_name(line);
}

/// An interface may come and go in any case: its name is the identity.
pub(crate) fn dynamic(_draft: &mut Draft, line: &mut Line<'_>) {
    if line.peek().is_some() {
        line.choice(&[("allow_if_changes", ())]);
    }
}

/// Memory is locked in any case.
pub(crate) fn no_swap(_draft: &mut Draft, _line: &mut Line<'_>) {}

pub(crate) fn priority(draft: &mut Draft, line: &mut Line<'_>) {
    let nice = line.integer_in(process::NICE);
    draft.globals.process.nice = nice.and_then(|nice| nice.try_into().ok());
}

pub(crate) fn realtime(draft: &mut Draft, line: &mut Line<'_>) {
    let realtime = line.integer_in(process::REALTIME);
    draft.globals.process.realtime = realtime.and_then(|priority| priority.try_into().ok());
}

pub(crate) fn realtime_limit(draft: &mut Draft, line: &mut Line<'_>) {
    let limit = line.integer_in(process::REALTIME_LIMIT);
    draft.globals.process.realtime_limit = limit.and_then(|micros| micros.try_into().ok());
}
