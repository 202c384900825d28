//! What a file allows to be run, and as whom. The helper runs nothing else, whoever asks: a process
//! that reads the network is not to be a way to run anything as anybody.

use std::collections::BTreeSet;
use std::mem;

use vipd_config::Loaded;
use vipd_config::trackers::ScriptUser;

/// A command as it stands in the file, its user and its group.
type Entry = (String, Option<String>, Option<String>);

/// The scripts of one file, and of the one before it: what a reload takes away is told of its end
/// afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    entries: BTreeSet<Entry>,
    before: BTreeSet<Entry>,
    /// None that somebody else may change is run as root (`enable_script_security`).
    only_safe: bool,
}

impl Permitted {
    /// Those of this one from now on.
    pub fn follow(&mut self, loaded: &Loaded) {
        let trackers = &loaded.trackers;
        let tracked = trackers.scripts.iter().map(|script| (&script.command, &script.user));
        let told = loaded.notify.scripts().chain(loaded.director.scripts());
        let told = told.map(|script| (&script.command, &script.user));
        let entry = |(command, user): (&String, &Option<ScriptUser>)| {
            entry(command, user.as_ref().or(trackers.script_user.as_ref()))
        };
        let entries = tracked.chain(told).map(entry).collect();
        self.before = mem::replace(&mut self.entries, entries);
        self.only_safe = trackers.script_security;
    }

    /// Whether it must be safe from others; `None` if it is not to be run at all.
    #[must_use]
    pub fn safety(&self, command: &str, user: Option<&ScriptUser>) -> Option<bool> {
        let entry = entry(command, user);
        let known = self.entries.contains(&entry) || self.before.contains(&entry);
        known.then_some(self.only_safe)
    }
}

/// Whether a file needs somebody who runs scripts or writes to named pipes.
#[must_use]
pub fn are_needed(loaded: &Loaded) -> bool {
    let (notify, director) = (&loaded.notify, &loaded.director);
    let mut told = notify.scripts().chain(director.scripts());
    let scripts = !loaded.trackers.scripts.is_empty() || told.next().is_some();
    let pipes = !notify.fifos.is_empty() || director.fifo.is_some();
    scripts || pipes
}

fn entry(command: &str, user: Option<&ScriptUser>) -> Entry {
    let group = user.and_then(|user| user.group.clone());
    (command.to_string(), user.map(|user| user.user.clone()), group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use vipd_config::text::InMemory;
    use vipd_config::{Options, load_from};

    fn load(text: &str) -> Loaded {
        let files = InMemory::new().with("/k.conf", text);
        load_from(&files, Path::new("/k.conf"), &Options::default()).expect("it is usable")
    }

    fn account(user: &str, group: Option<&str>) -> ScriptUser {
        ScriptUser { user: user.to_string(), group: group.map(str::to_string) }
    }

    #[test]
    fn what_checks_real_servers_and_what_is_told_of_them_is_run_too() {
        let text = "virtual_server 10.0.0.9 80 {\nprotocol TCP\nquorum_up \"/bin/q up\"\n\
                    real_server 10.0.0.1 80 {\nnotify_down \"/bin/n down\" two\nMISC_CHECK {\n\
                    misc_path \"/bin/m x\"\nuser one\n}\n}\n}\n";
        let (mut permitted, loaded) = (Permitted::default(), load(text));
        assert!(are_needed(&loaded));
        permitted.follow(&loaded);
        let (one, two) = (account("one", None), account("two", None));
        assert_eq!(permitted.safety("/bin/m x", Some(&one)), Some(false));
        assert_eq!(permitted.safety("/bin/n down", Some(&two)), Some(false));
        assert_eq!(permitted.safety("/bin/q up", None), Some(false));
        assert_eq!(permitted.safety("/bin/m x", None), None, "another account");
    }

    #[test]
    fn virtual_servers_by_themselves_need_nobody_who_runs_scripts() {
        let bare = "virtual_server 10.0.0.9 80 {\nprotocol TCP\nreal_server 10.0.0.1 80 {\n";
        assert!(!are_needed(&load(&format!("{bare}}}\n}}\n"))));
        assert!(are_needed(&load(&format!("{bare}notify_up /bin/n\n}}\n}}\n"))));
    }

    #[test]
    fn a_script_is_run_as_the_file_has_it_and_not_as_anybody_else() {
        let text = "global_defs {\nscript_user one\n}\nvrrp_script s {\nscript \"/bin/a b\"\n}\n\
                    vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 7\n\
                    notify \"/bin/n x\" two three\nvirtual_ipaddress {\n10.0.0.9\n}\n}\n";
        let mut permitted = Permitted::default();
        let loaded = load(text);
        assert!(are_needed(&loaded));
        permitted.follow(&loaded);
        let (one, two) = (account("one", None), account("two", Some("three")));
        assert_eq!(permitted.safety("/bin/a b", Some(&one)), Some(false));
        assert_eq!(permitted.safety("/bin/n x", Some(&two)), Some(false));
        assert_eq!(permitted.safety("/bin/a b", Some(&two)), None, "another account");
        assert_eq!(permitted.safety("/bin/a b", None), None, "no account");
        assert_eq!(permitted.safety("/bin/a c", Some(&one)), None, "another argument");
        let empty = load("global_defs {\nenable_script_security\n}\n");
        assert!(!are_needed(&empty));
        permitted.follow(&empty);
        assert_eq!(permitted.safety("/bin/n x", Some(&two)), Some(true), "until the next reload");
        permitted.follow(&empty);
        assert_eq!(permitted.safety("/bin/n x", Some(&two)), None);
    }
}
