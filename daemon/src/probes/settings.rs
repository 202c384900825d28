//! What checks need of the file beside what the engine says: the scripts, and whether it was read
//! anew.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vipd_config::Loaded;
use vipd_config::trackers::ScriptUser;

use crate::scripts::Script;

/// Shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct Settings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    scripts: Commands,
    /// Those of the file before: a check is asked for until its configuration is worked off.
    before: Commands,
    reloads: u64,
    /// What was last said of a script that cannot be used.
    told: BTreeMap<String, String>,
}

/// A command and who runs it, by the name that the engine has for it.
type Commands = BTreeMap<String, (String, Option<ScriptUser>)>;

impl Settings {
    /// Those of this file from now on.
    pub fn configure(&self, loaded: &Loaded) {
        let default = &loaded.trackers.script_user;
        let scripts = loaded.director.checks.iter().map(|(name, script)| {
            let user = script.user.as_ref().or(default.as_ref()).cloned();
            (name.clone(), (script.command.clone(), user))
        });
        let mut state = self.state();
        state.before = mem::replace(&mut state.scripts, scripts.collect());
        state.reloads += 1;
        state.told.clear();
    }

    /// How often it was configured: what was read of other files may be another thing since then.
    pub(super) fn reloads(&self) -> u64 {
        self.state().reloads
    }

    /// A script of this name, that may take this long.
    pub(super) fn script(&self, name: &str, timeout: Duration) -> Option<Script> {
        let state = self.state();
        let (command, user) = state.scripts.get(name).or_else(|| state.before.get(name))?.clone();
        Some(Script { command, arguments: Vec::new(), user, timeout })
    }

    /// Whether it is news that this is wrong with a script.
    pub(super) fn is_news(&self, name: &str, said: &str) -> bool {
        let last = self.state().told.insert(name.to_string(), said.to_string());
        last.as_deref() != Some(said)
    }

    /// Nothing is wrong with it.
    pub(super) fn is_usable(&self, name: &str) {
        self.state().told.remove(name);
    }

    /// It is held for a few instructions, and never across a wait.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
