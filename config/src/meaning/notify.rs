//! Readers of the `notify` keywords of a `vrrp_instance`.

use serde_json::{Value, json};

use super::global::account;
use super::{Draft, Line};
use crate::notify::NotifyScript;

/// `COMMAND [USER [GROUP]]`: a command with arguments is one quoted word.
fn script(line: &mut Line<'_>) -> Option<NotifyScript> {
    let command = line.word()?.text.clone();
    let user = if line.peek().is_some() { account(line) } else { None };
    Some(NotifyScript { command, user })
}

pub(crate) fn master(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().notify.master = script(line);
}

pub(crate) fn backup(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().notify.backup = script(line);
}

pub(crate) fn fault(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().notify.fault = script(line);
}

pub(crate) fn stop(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().notify.stop = script(line);
}

pub(crate) fn any(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().notify.any = script(line);
}

/// The command of a script, `null` if there is none.
pub(crate) fn show(script: Option<&NotifyScript>) -> Value {
    json!(script.map(|script| &script.command))
}
