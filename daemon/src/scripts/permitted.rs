//! What a file allows to be run, and as whom. The helper runs nothing else, whoever asks: a process
//! that reads the network is not to be a way to run anything as anybody.

use std::collections::BTreeSet;

use serde_json::Value;
use vipd_config::Loaded;
use vipd_config::notify::NotifyScripts;
use vipd_config::trackers::ScriptUser;

/// A command as it stands in the file, its user and its group.
type Entry = (String, Option<String>, Option<String>);

/// The scripts of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    entries: BTreeSet<Entry>,
    /// None that somebody else may change is run as root (`enable_script_security`).
    only_safe: bool,
}

impl Permitted {
    /// Those of this one.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Self {
        let trackers = &loaded.trackers;
        let tracked = trackers.scripts.iter().map(|script| (&script.command, &script.user));
        let notified = loaded.notify.values().flat_map(NotifyScripts::all);
        let notified = notified.map(|script| (&script.command, &script.user));
        let entry = |(command, user): (&String, &Option<ScriptUser>)| {
            let user = user.as_ref().or(trackers.script_user.as_ref());
            let group = user.and_then(|user| user.group.clone());
            (command.clone(), user.map(|user| user.user.clone()), group)
        };
        let entries = tracked.chain(notified).map(entry).collect();
        Self { entries, only_safe: trackers.script_security }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether what is asked for must be safe from others; `None` if it is not to be run at all.
    #[must_use]
    pub fn safety(&self, question: &Value) -> Option<bool> {
        let text = |key: &str| question[key].as_str().map(str::to_string);
        let entry = (text("command")?, text("user"), text("group"));
        self.entries.contains(&entry).then_some(self.only_safe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;
    use vipd_config::text::InMemory;
    use vipd_config::{Options, load_from};

    #[test]
    fn a_script_is_run_as_the_file_has_it_and_not_as_anybody_else() {
        let text = "global_defs {\nscript_user one\n}\nvrrp_script s {\nscript \"/bin/a b\"\n}\n\
                    vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 7\n\
                    notify \"/bin/n x\" two three\nvirtual_ipaddress {\n10.0.0.9\n}\n}\n";
        let files = InMemory::new().with("/k.conf", text);
        let options = Options::default();
        let loaded = load_from(&files, Path::new("/k.conf"), &options).expect("it is usable");
        let permitted = Permitted::of(&loaded);
        let ask = |command: &str, user: Value, group: Value| {
            permitted.safety(&json!({ "command": command, "user": user, "group": group }))
        };
        assert_eq!(ask("/bin/a b", json!("one"), Value::Null), Some(false));
        assert_eq!(ask("/bin/n x", json!("two"), json!("three")), Some(false));
        assert_eq!(ask("/bin/a b", json!("two"), Value::Null), None, "another account");
        assert_eq!(ask("/bin/a b", Value::Null, Value::Null), None, "no account");
        assert_eq!(ask("/bin/a c", json!("one"), Value::Null), None, "another argument");
        assert!(!permitted.is_empty());
    }
}
