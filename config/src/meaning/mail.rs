//! Readers of the mail settings, and whose states are mailed.

use super::settle::Instance;
use super::transport::at;
use super::{Draft, Line};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::mail::{self, Mail};
use crate::text::Word;

pub(crate) fn router_id(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.mail.router_id = line.word().map(|word| word.text.clone());
}

pub(crate) fn to(draft: &mut Draft, line: &mut Line<'_>) {
    let receivers = &mut draft.globals.mail.to;
    line.children(|line| {
        while let Some(word) = line.next() {
            receivers.extend(usable(word, line));
        }
    });
}

pub(crate) fn from(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.mail.from = line.word().and_then(|word| usable(word, line));
}

/// An address that a command can have.
fn usable(word: &Word, line: &mut Line<'_>) -> Option<String> {
    if mail::address(&word.text).is_some() {
        return Some(word.text.clone());
    }
    let message = format!("`{}` is no mail address, and is left out", word.text.escape_debug());
    line.report(Diagnostic::warning("invalid-value", message).at_word(word));
    None
}

pub(crate) fn server(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.mail.server = line.word().map(|word| word.text.clone());
    if line.peek().is_some() {
        draft.globals.mail.port = line.port();
    }
}

pub(crate) fn connect_timeout(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.mail.connect_timeout = line.seconds().map(|(time, _)| time);
}

pub(crate) fn helo_name(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let fits = !word.text.is_empty() && word.text.bytes().all(|octet| octet.is_ascii_graphic());
    if fits {
        draft.globals.mail.helo_name = Some(word.text.clone());
    } else {
        line.invalid(word, "is no name of a host", None);
    }
}

pub(crate) fn omits_faults(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.globals.mail.omits_faults = true;
}

pub(crate) fn of_all_vrrp(draft: &mut Draft, line: &mut Line<'_>) {
    draft.globals.mails_vrrp = line.flag();
}

/// `smtp_alert` of an instance or a sync group.
pub(crate) fn of_one(draft: &mut Draft, line: &mut Line<'_>) {
    let flag = line.flag();
    draft.notify(line.keyword.place).mail = flag;
}

/// What `global_defs` says of instances and sync groups that do not say.
pub(super) fn of_all(draft: &Draft) -> Option<bool> {
    draft.globals.mails_vrrp.or(draft.director.globals.smtp_alert)
}

/// Everything that is said of mail.
pub(super) fn settled(draft: &Draft, instances: &[Instance], found: &mut Diagnostics) -> Mail {
    let mut all = draft.globals.mail.clone();
    for instance in instances.iter().filter(|one| one.notify.mail == Some(true)) {
        all.instances.insert(instance.config.name.clone());
    }
    for group in draft.groups.iter().map(|group| &group.value) {
        if group.notify.mail.or(of_all(draft)) == Some(true) {
            all.groups.insert(group.config.name.clone());
        }
    }
    tell_what_is_missing(draft, &all, found);
    all
}

/// A block that asks for mail gets none without a server and a receiver; in keepalived neither.
fn tell_what_is_missing(draft: &Draft, mail: &Mail, found: &mut Diagnostics) {
    let missing = match (&mail.server, mail.to.is_empty()) {
        (Some(_), false) => return,
        (None, false) => "`smtp_server`",
        (Some(_), true) => "`notification_email`",
        (None, true) => "`smtp_server` and no `notification_email`",
    };
    let instances = draft.instances.iter().map(|one| (&one.value.notify, &one.origins));
    let groups = draft.groups.iter().map(|one| (&one.value.notify, &one.origins));
    let mut asking = instances.chain(groups).filter(|(notify, _)| notify.mail == Some(true));
    if let Some((_, origins)) = asking.next() {
        let message = format!("no mail is sent: there is no {missing}");
        found.push(at(Diagnostic::warning("missing-keyword", message), origins, "smtp_alert"));
    }
}
