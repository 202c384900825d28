//! What the trackers of a configuration run or watch. The engine knows their names and weights
//! only; a driver runs these and tells it their values.

use std::time::Duration;

use vipd_engine::TrackerName;
use vipd_engine::config::Weight;

/// Every tracker that a file declares, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trackers {
    /// `vrrp_script` blocks.
    pub scripts: Vec<Script>,
    /// `track_file` blocks.
    pub files: Vec<TrackedFile>,
    /// `vrrp_track_process` blocks.
    pub processes: Vec<TrackedProcess>,
    /// Who runs scripts that do not say so themselves (`script_user`).
    pub script_user: Option<ScriptUser>,
    /// Scripts run as root that others can replace are refused (`enable_script_security`).
    pub script_security: bool,
}

/// A command that is run again and again (`vrrp_script`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Name of the block.
    pub name: TrackerName,
    /// The command and its arguments as they stand in the file.
    pub command: String,
    /// From one start to the next (1 s).
    pub interval: Duration,
    /// After this long it counts as failed (the interval).
    pub timeout: Duration,
    /// Weight where `track_script` names none.
    pub weight: Weight,
    /// Successes in a row that make it good, at least 1.
    pub rise: u32,
    /// Failures in a row that make it bad, at least 1.
    pub fall: u32,
    /// Who runs it.
    pub user: Option<ScriptUser>,
    /// It counts as bad until it has succeeded.
    pub init_fail: bool,
}

/// Account that runs a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptUser {
    /// The user's name.
    pub user: String,
    /// The group's name; the user's own if `None`.
    pub group: Option<String>,
}

/// A file whose number is the tracker's value (`track_file`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedFile {
    /// Name of the block.
    pub name: TrackerName,
    /// Path of the file.
    pub path: String,
    /// Weight where the tracking block names none; multiplies the number.
    pub weight: Weight,
    /// The file is made with this number if there is none.
    pub init: Option<i32>,
    /// It is given that number even if there is one.
    pub overwrite: bool,
}

/// Processes that must be running (`vrrp_track_process`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedProcess {
    /// Name of the block.
    pub name: TrackerName,
    /// The name of the process, or the first word of its command line.
    pub program: String,
    /// The words behind it.
    pub parameters: Vec<String>,
    /// How these are compared: all of them, exactly, if `None`. With `Some` and no parameters, a
    /// process must have none.
    pub param_match: Option<ParamMatch>,
    /// Weight where the tracking block names none.
    pub weight: Weight,
    /// At least so many must run.
    pub quorum: u32,
    /// At most so many may run.
    pub quorum_max: Option<u32>,
    /// A start is believed after this long.
    pub fork_delay: Duration,
    /// An end is believed after this long.
    pub terminate_delay: Duration,
    /// The first word of the command line is compared, not the name of the process.
    pub full_command: bool,
}

impl TrackedProcess {
    /// Whether command lines are looked at, and not only the names of processes.
    #[must_use]
    pub fn reads_command_lines(&self) -> bool {
        self.full_command || !self.parameters.is_empty() || self.param_match.is_some()
    }
}

/// How the parameters of a tracked process are compared, if not exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamMatch {
    /// Those given come first, and the last of them may be longer.
    Initial,
    /// Those given come first.
    Partial,
}

impl ParamMatch {
    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Partial => "partial",
        }
    }
}
