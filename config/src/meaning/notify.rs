//! Readers of the `notify` keywords of a `vrrp_instance`, of a `vrrp_sync_group` and of
//! `global_defs`.

use serde_json::{Value, json};
use vipd_engine::InstanceName;

use super::draft::InstanceDraft;
use super::global::account;
use super::settle::Instance;
use super::transport::at;
use super::{Draft, Line};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::notify::{Fifo, Notify, NotifyScript, NotifyScripts};

/// `COMMAND [USER [GROUP]]`: a command with arguments is one quoted word.
pub(super) fn script(line: &mut Line<'_>) -> Option<NotifyScript> {
    let command = line.word()?.text.clone();
    let user = if line.peek().is_some() { account(line) } else { None };
    Some(NotifyScript { command, user })
}

/// The scripts of the block in which the line stands.
fn scripts<'d>(draft: &'d mut Draft, line: &Line<'_>) -> &'d mut NotifyScripts {
    draft.notify(line.keyword.place)
}

pub(crate) fn master(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).master = script(line);
}

pub(crate) fn backup(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).backup = script(line);
}

pub(crate) fn fault(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).fault = script(line);
}

pub(crate) fn stop(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).stop = script(line);
}

pub(crate) fn any(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).any = script(line);
}

/// `[COMMAND [USER [GROUP]]]`: without a command it says how the end is told.
pub(crate) fn deleted(draft: &mut Draft, line: &mut Line<'_>) {
    let script = if line.peek().is_some() { script(line) } else { None };
    let scripts = scripts(draft, line);
    (scripts.says_deleted, scripts.deleted) = (true, script);
}

pub(crate) fn lower_priority(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).lower_priority = script(line);
}

pub(crate) fn one_way(draft: &mut Draft, line: &mut Line<'_>) {
    scripts(draft, line).one_way = script(line);
}

pub(crate) fn priority_changes(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(told) = line.flag() {
        scripts(draft, line).priority_changes = Some(told);
    }
}

/// `PATH [USER [GROUP]]`.
pub(crate) fn fifo(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let path = word.text.clone();
    let owner = if line.peek().is_some() { account(line) } else { None };
    let fifo = draft.fifo(line.keyword.name);
    (fifo.path, fifo.owner) = (path, owner);
}

pub(crate) fn fifo_script(draft: &mut Draft, line: &mut Line<'_>) {
    let script = script(line);
    draft.fifo(line.keyword.name).script = script;
}

pub(crate) fn states_on_reload(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.globals.states_on_reload = true;
}

pub(crate) fn all_priority_changes(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(told) = line.flag() {
        draft.globals.priority_changes = told;
    }
}

/// The command of a script, `null` if there is none.
pub(crate) fn show(script: Option<&NotifyScript>) -> Value {
    json!(script.map(|script| &script.command))
}

/// The path of a named pipe, `null` if there is none.
pub(crate) fn show_fifo(fifo: &Fifo) -> Value {
    json!(Some(&fifo.path).filter(|path| !path.is_empty()))
}

/// A script needs its pipe, and two pipes two paths.
pub(super) fn check(draft: &Draft, found: &mut Diagnostics) {
    let [general, vrrp] = &draft.globals.fifos;
    let origins = &draft.globals.origins;
    for (fifo, name, script) in [
        (general, "notify_fifo", "notify_fifo_script"),
        (vrrp, "vrrp_notify_fifo", "vrrp_notify_fifo_script"),
    ] {
        if fifo.path.is_empty() && fifo.script.is_some() {
            let message = format!("`{script}` is not run: there is no `{name}`");
            found.push(at(Diagnostic::warning("missing-keyword", message), origins, script));
        }
    }
    if !general.path.is_empty() && general.path == vrrp.path {
        let message = "`notify_fifo` and `vrrp_notify_fifo` are the same: it is written to once";
        let warning = Diagnostic::warning("same-name", message);
        found.push(at(warning, origins, "vrrp_notify_fifo"));
    }
}

/// What an instance wants to be run. Of priorities it says what its group says unless it does so
/// itself, and that says what all do.
pub(super) fn of_instance(draft: &Draft, instance: &InstanceDraft) -> NotifyScripts {
    let name = InstanceName::new(&instance.name);
    let mut groups = draft.groups.iter().map(|group| &group.value);
    let group = groups.find(|group| group.config.members.contains(&name));
    let inherited = group.and_then(|group| group.notify.priority_changes);
    let told = instance.notify.priority_changes.or(inherited);
    let told = told.unwrap_or(draft.globals.priority_changes);
    let mailed = instance.notify.mail.or(super::mail::of_all(draft)).unwrap_or(false);
    NotifyScripts {
        priority_changes: told.then_some(true),
        mail: mailed.then_some(true),
        ..instance.notify.clone()
    }
}

/// Everything that is said of notification.
pub(super) fn settled(draft: &Draft, instances: &[Instance]) -> Notify {
    let mut all = Notify { states_on_reload: draft.globals.states_on_reload, ..Notify::default() };
    let [general, vrrp] = &draft.globals.fifos;
    for (fifo, vrrp_only) in [(general, false), (vrrp, true)] {
        if !fifo.path.is_empty() && all.fifos.iter().all(|known| known.path != fifo.path) {
            all.fifos.push(Fifo { vrrp_only, ..fifo.clone() });
        }
    }
    for instance in instances.iter().filter(|instance| !instance.notify.is_empty()) {
        all.instances.insert(instance.config.name.clone(), instance.notify.clone());
    }
    for group in draft.groups.iter().map(|group| &group.value) {
        if !group.notify.is_empty() {
            all.groups.insert(group.config.name.clone(), group.notify.clone());
        }
    }
    all
}
