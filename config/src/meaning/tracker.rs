//! Readers of `vrrp_script`, `track_file` and `vrrp_track_process`.

use std::time::Duration;

use vipd_engine::TrackerName;
use vipd_engine::config::Weight;

use super::draft::Placed;
use super::{Draft, Line, global, track};
use crate::trackers::{ParamMatch, Script, TrackedFile, TrackedProcess};

/// The name after a block's keyword; an empty one was reported.
fn named(line: &mut Line<'_>) -> TrackerName {
    TrackerName::new(line.word().map_or("", |word| &word.text))
}

pub(crate) fn script_block(draft: &mut Draft, line: &mut Line<'_>) {
    let script = Script {
        name: named(line),
        command: String::new(),
        interval: Duration::from_secs(1),
        timeout: Duration::ZERO,
        weight: Weight::FAULT,
        rise: 1,
        fall: 1,
        user: None,
        init_fail: false,
    };
    draft.scripts.push(Placed::new(script, line.statement.span()));
}

pub(crate) fn command(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(command) = command_of(line) {
        draft.script().command = command;
    }
}

/// All the arguments as they stand in the file, quotes resolved; an error if there is none.
pub(super) fn command_of(line: &mut Line<'_>) -> Option<String> {
    line.word()?;
    line.rest();
    let words: Vec<&str> =
        line.statement.arguments().iter().map(|word| word.text.as_str()).collect();
    Some(words.join(" "))
}

pub(crate) fn interval(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((interval, at)) = line.seconds() else { return };
    if interval.is_zero() {
        line.error("out-of-range", at, "an interval must be greater than 0".to_owned());
    }
    draft.script().interval = interval;
}

pub(crate) fn timeout(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((timeout, _)) = line.seconds() {
        draft.script().timeout = timeout;
    }
}

pub(crate) fn script_weight(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(weight) = track::own_weight(line) {
        draft.script().weight = weight;
    }
}

/// Results in a row: at least one.
fn in_a_row(line: &mut Line<'_>) -> Option<u32> {
    line.integer_in(1..=i64::from(i32::MAX)).map(|count| count as u32)
}

pub(crate) fn rise(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(rise) = in_a_row(line) {
        draft.script().rise = rise;
    }
}

pub(crate) fn fall(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(fall) = in_a_row(line) {
        draft.script().fall = fall;
    }
}

pub(crate) fn user(draft: &mut Draft, line: &mut Line<'_>) {
    draft.script().user = global::account(line);
}

pub(crate) fn init_fail(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.script().init_fail = true;
}

pub(crate) fn file_block(draft: &mut Draft, line: &mut Line<'_>) {
    let file = TrackedFile {
        name: named(line),
        path: String::new(),
        weight: Weight { value: 1, reverse: false },
        init: None,
        overwrite: false,
    };
    draft.files.push(Placed::new(file, line.statement.span()));
}

pub(crate) fn path(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(word) = line.word() {
        draft.file().path.clone_from(&word.text);
    }
}

pub(crate) fn file_weight(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(weight) = track::own_weight(line) {
        draft.file().weight = weight;
    }
}

/// `[N] [overwrite]`: without a number it is 0.
pub(crate) fn init_file(draft: &mut Draft, line: &mut Line<'_>) {
    let number = line.peek().and_then(|word| word.text.parse().ok());
    if number.is_some() {
        line.next();
    }
    let overwrite = line.peek().is_some() && line.choice(&[("overwrite", ())]).is_some();
    draft.file().init = Some(number.unwrap_or(0));
    draft.file().overwrite = overwrite;
}

pub(crate) fn process_block(draft: &mut Draft, line: &mut Line<'_>) {
    let process = TrackedProcess {
        name: named(line),
        program: String::new(),
        parameters: Vec::new(),
        param_match: None,
        weight: Weight::FAULT,
        quorum: 1,
        quorum_max: None,
        fork_delay: Duration::ZERO,
        terminate_delay: Duration::ZERO,
        full_command: false,
    };
    draft.processes.push(Placed::new(process, line.statement.span()));
}

pub(crate) fn process(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(word) = line.word() {
        draft.process().program.clone_from(&word.text);
        line.rest();
        let words = line.statement.arguments().iter().skip(1);
        draft.process().parameters = words.map(|word| word.text.clone()).collect();
    }
}

pub(crate) fn param_match(draft: &mut Draft, line: &mut Line<'_>) {
    let names = [("initial", ParamMatch::Initial), ("partial", ParamMatch::Partial)];
    if let Some((how, _)) = line.choice(&names) {
        draft.process().param_match = Some(how);
    }
}

pub(crate) fn process_weight(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(weight) = track::own_weight(line) {
        draft.process().weight = weight;
    }
}

pub(crate) fn quorum(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(quorum) = line.integer_in(1..=65535) {
        draft.process().quorum = quorum as u32;
    }
}

pub(crate) fn quorum_max(draft: &mut Draft, line: &mut Line<'_>) {
    draft.process().quorum_max = line.integer_in(0..=65535).map(|quorum| quorum as u32);
}

pub(crate) fn delay(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((delay, _)) = line.seconds() {
        draft.process().fork_delay = delay;
        draft.process().terminate_delay = delay;
    }
}

pub(crate) fn fork_delay(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((delay, _)) = line.seconds() {
        draft.process().fork_delay = delay;
    }
}

pub(crate) fn terminate_delay(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((delay, _)) = line.seconds() {
        draft.process().terminate_delay = delay;
    }
}

pub(crate) fn full_command(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.process().full_command = true;
}
