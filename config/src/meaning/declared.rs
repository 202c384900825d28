//! Checks on declarations that no instance makes: trackers, groups.

use super::draft::{Draft, Origins, Placed};
use super::transport::at;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::trackers::TrackedProcess;

/// What a block must have, and names that stand twice. Fills in `timeout` and `quorum`.
pub(super) fn check(draft: &mut Draft, found: &mut Diagnostics) {
    for script in &mut draft.scripts {
        if script.value.timeout.is_zero() {
            script.value.timeout = script.value.interval;
        }
        needs("vrrp_script", "script", !script.value.command.is_empty(), script, found);
    }
    for file in &draft.files {
        needs("track_file", "file", !file.value.path.is_empty(), file, found);
    }
    for process in &mut draft.processes {
        let given = !process.value.program.is_empty();
        needs("vrrp_track_process", "process", given, process, found);
        quorum(process, found);
    }
    let scripts = draft.scripts.iter().map(|one| (one.value.name.as_str(), &one.origins));
    let files = draft.files.iter().map(|one| (one.value.name.as_str(), &one.origins));
    let processes = draft.processes.iter().map(|one| (one.value.name.as_str(), &one.origins));
    // The engine knows trackers by name alone, whatever kind they are.
    names_once(scripts.chain(files).chain(processes), "tracker", found);
    let groups = draft.groups.iter();
    let groups = groups.map(|one| (one.value.config.name.as_str(), &one.origins));
    names_once(groups, "vrrp_sync_group", found);
    for group in &draft.groups {
        needs("vrrp_sync_group", "group", !group.value.config.members.is_empty(), group, found);
    }
    let groups = draft.director.groups.iter();
    let groups = groups.map(|one| (one.value.name.as_str(), &one.origins));
    names_once(groups, "virtual_server_group", found);
}

fn needs<T>(block: &str, keyword: &str, given: bool, placed: &Placed<T>, found: &mut Diagnostics) {
    if !given && !placed.origins.given.contains_key(keyword) {
        let message = format!("this `{block}` has no `{keyword}`");
        found.push(at(Diagnostic::error("missing-keyword", message), &placed.origins, ""));
    }
}

/// None at all may run where the most is 0. More than the most cannot be wanted at least.
fn quorum(placed: &mut Placed<TrackedProcess>, found: &mut Diagnostics) {
    let process = &mut placed.value;
    if process.quorum_max == Some(0) && !placed.origins.given.contains_key("quorum") {
        process.quorum = 0;
    }
    if let Some(most) = process.quorum_max.filter(|most| *most < process.quorum) {
        let message = format!("`quorum_max` {most} is less than `quorum` {}", process.quorum);
        let warning = Diagnostic::warning("value-adjusted", message);
        let warning = warning.help("it is left out, as keepalived does");
        found.push(at(warning, &placed.origins, "quorum_max"));
        process.quorum_max = None;
    }
}

fn names_once<'a>(
    all: impl Iterator<Item = (&'a str, &'a Origins)>,
    what: &str,
    found: &mut Diagnostics,
) {
    let mut seen = std::collections::BTreeMap::new();
    for (name, origins) in all {
        if let Some(first) = seen.insert(name, origins) {
            let message = format!("another {what} is called `{name}`");
            let twice = at(Diagnostic::error("same-name", message), origins, "");
            found.push(match first.block {
                Some(place) => twice.also(place, "the first one"),
                None => twice,
            });
        }
    }
}
