//! What an event is for scripts and named pipes, in keepalived's words.

use std::mem;
use std::time::Duration;

use vipd_config::notify::{NotifyScript, NotifyScripts};
use vipd_engine::{Event, GroupName, InstanceName, News, Priority, StateKind, Why};

use super::queue::What;
use super::servers::Servers;
use super::{ByObject, LOWER_PRIORITY, ONE_WAY, Object, Settings};
use crate::scripts::Script;

/// A notify script may take this long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What one event asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// What it is about.
    pub object: Object,
    /// What is said of it.
    pub what: What,
    /// To be run in this order.
    pub scripts: Vec<Script>,
    /// For named pipes, if there are any.
    pub line: Option<String>,
}

/// What is configured, and how things are.
#[derive(Debug, Default)]
pub struct Book {
    settings: Settings,
    /// Those before: what a reload takes away is told of its end afterwards.
    before: Settings,
    priorities: ByObject<Priority>,
    /// The last state of each, as a line.
    states: ByObject<String>,
    servers: Servers,
    /// The states of all were told since the start.
    has_started: bool,
}

impl Book {
    /// These settings from now on. Answers with what named pipes are to be told.
    pub fn configure(&mut self, settings: Settings) -> Vec<String> {
        let again = settings.notify.states_on_reload && mem::replace(&mut self.has_started, true);
        self.has_started = true;
        self.servers.configure(settings.servers.clone());
        self.before = mem::replace(&mut self.settings, settings);
        let lines = self.states.values().filter(|_| again && self.has_pipes());
        lines.cloned().collect()
    }

    /// What is due. Most news are for the log alone.
    pub fn due(&mut self, event: &Event, priority: Option<Priority>) -> Option<Due> {
        let instance = instance(&event.instance);
        if let Some(priority) = priority {
            self.priorities.insert(instance.clone(), priority);
        }
        let known = self.priorities.get(&instance).copied().unwrap_or(Priority::DEFAULT);
        let own = self.scripts_of(event);
        match &event.news {
            News::State { to, why, .. } => {
                let (state, script) = of_change(&own, *to, why)?;
                if *to == StateKind::Initialize {
                    self.priorities.remove(&instance);
                }
                Some(self.state(instance, state, known.get(), script, own.any))
            }
            News::GroupState { group, to, .. } => {
                let own = self.scripts_of_group(group);
                let (state, script) = of_change(&own, *to, &Why::Shutdown)?;
                Some(self.state(self::group(group), state, 0, script, own.any))
            }
            News::LowerPriority { .. } => {
                let line = self.line(&instance, LOWER_PRIORITY, known.get());
                let scripts = runs(own.lower_priority, &[]);
                Some(Due { object: instance, what: What::LowerPriority, scripts, line })
            }
            News::OneWay { .. } => {
                let line = self.line(&instance, ONE_WAY, known.get());
                let scripts = runs(own.one_way, &[]);
                Some(Due { object: instance, what: What::OneWay, scripts, line })
            }
            News::PriorityChanged { to, .. } if own.priority_changes == Some(true) => {
                let state = self.states.get(&instance).map(String::as_str).unwrap_or_default();
                let state = if state.contains(" MASTER ") { "MASTER" } else { "BACKUP" };
                let line = self.line(&instance, &format!("{state}_PRIORITY"), to.get());
                Some(Due { object: instance, what: What::Priority, scripts: Vec::new(), line })
            }
            News::Director(news) => self.servers.due(news),
            News::PriorityChanged { .. }
            | News::Mismatch { .. }
            | News::ForeignVrid { .. }
            | News::IntervalLearned { .. }
            | News::PreemptDelayed { .. }
            | News::PreemptDelayOver
            | News::EqualPriority { .. }
            | News::AdvertDiscarded { .. }
            | News::Flapping { .. }
            | News::LeftoverAddress(_)
            | News::AddressLost(_)
            | News::LeftoverEntry(_)
            | News::EntryLost { .. }
            | News::CommandFailed { .. }
            | News::SendRefused { .. }
            | News::Ordered(_)
            | News::YieldOver
            | News::HoldDownOver => None,
        }
    }

    /// A state, for the script that is for it alone and then for the general one.
    fn state(
        &mut self,
        object: Object,
        state: &'static str,
        priority: u8,
        own: Option<NotifyScript>,
        any: Option<NotifyScript>,
    ) -> Due {
        let words = [object.kind, &object.name, state, &priority.to_string()].map(str::to_string);
        let scripts = [runs(own, &[]), runs(any, &words)].concat();
        let line = self.line(&object, state, priority);
        match state {
            "STOP" | "DELETED" => drop(self.states.remove(&object)),
            _ => drop(self.states.insert(object.clone(), text(&object, state, priority))),
        }
        Due { object, what: What::State(state), scripts, line }
    }

    fn line(&self, object: &Object, state: &str, priority: u8) -> Option<String> {
        self.has_pipes().then(|| text(object, state, priority))
    }

    const fn has_pipes(&self) -> bool {
        !self.settings.notify.fifos.is_empty()
    }

    fn scripts_of(&self, event: &Event) -> NotifyScripts {
        let removed = matches!(event.news, News::State { why: Why::Removed, .. });
        let settings = if removed { &self.before } else { &self.settings };
        settings.of(settings.notify.instances.get(&event.instance))
    }

    fn scripts_of_group(&self, name: &GroupName) -> NotifyScripts {
        self.settings.of(self.settings.notify.groups.get(name))
    }
}

impl Settings {
    /// These scripts, each with the account that runs it.
    fn of(&self, scripts: Option<&NotifyScripts>) -> NotifyScripts {
        let mut scripts = scripts.cloned().unwrap_or_default();
        for script in scripts.all_mut() {
            script.user = script.user.take().or_else(|| self.user.clone());
        }
        scripts
    }
}

/// A script with these arguments.
pub fn runs(script: Option<NotifyScript>, arguments: &[String]) -> Vec<Script> {
    let run = |NotifyScript { command, user }| {
        let arguments = arguments.to_vec();
        Script { command, arguments, user, timeout: TIMEOUT }
    };
    script.map(run).into_iter().collect()
}

fn instance(name: &InstanceName) -> Object {
    Object { kind: "INSTANCE", name: name.as_str().to_string() }
}

fn group(name: &GroupName) -> Object {
    Object { kind: "GROUP", name: name.as_str().to_string() }
}

/// keepalived's line for a named pipe.
fn text(object: &Object, state: &str, priority: u8) -> String {
    format!("{} \"{}\" {state} {priority}", object.kind, object.name)
}

/// keepalived's name of a state, and the script that is for it alone. A virtual router that only
/// begins has no state to tell; one that a reload removes is at fault unless `notify_deleted` says
/// otherwise.
fn of_change(
    own: &NotifyScripts,
    to: StateKind,
    why: &Why,
) -> Option<(&'static str, Option<NotifyScript>)> {
    match (to, why) {
        (StateKind::Master, _) => Some(("MASTER", own.master.clone())),
        (StateKind::Backup, _) => Some(("BACKUP", own.backup.clone())),
        (StateKind::Fault, _) => Some(("FAULT", own.fault.clone())),
        (StateKind::Initialize, Why::Shutdown) => Some(("STOP", own.stop.clone())),
        (StateKind::Initialize, Why::Removed) if own.says_deleted => {
            Some(("DELETED", own.deleted.clone()))
        }
        (StateKind::Initialize, Why::Removed) => Some(("FAULT", own.fault.clone())),
        (StateKind::Initialize, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use vipd_config::notify::{Fifo, Notify};

    fn script(command: &str) -> Option<NotifyScript> {
        Some(NotifyScript { command: command.into(), user: None })
    }

    fn scripts() -> NotifyScripts {
        NotifyScripts {
            master: script("m"),
            fault: script("f"),
            stop: script("s"),
            any: script("any"),
            lower_priority: script("lower"),
            one_way: script("deaf"),
            ..NotifyScripts::default()
        }
    }

    fn settings(own: NotifyScripts, states_on_reload: bool) -> Settings {
        let fifos = vec![Fifo { path: "/run/f".into(), ..Fifo::default() }];
        let instances = BTreeMap::from([(InstanceName::new("VI_1"), own)]);
        let groups = BTreeMap::from([(GroupName::new("VG"), scripts())]);
        let notify = Notify { instances, groups, fifos, states_on_reload };
        Settings { notify, ..Settings::default() }
    }

    fn book(own: NotifyScripts) -> Book {
        let mut book = Book::default();
        assert_eq!(book.configure(settings(own, true)), [""; 0]);
        book
    }

    /// What is run and written, in words.
    fn told(book: &mut Book, news: News, priority: Option<u8>) -> Vec<String> {
        let event = Event { instance: InstanceName::new("VI_1"), news };
        let priority = priority.map(|one| Priority::new(i64::from(one)).expect("a priority"));
        let Some(due) = book.due(&event, priority) else { return Vec::new() };
        let runs = due.scripts.iter().map(|one| {
            format!("{} {}", one.command, one.arguments.join(" ")).trim_end().to_string()
        });
        runs.chain(due.line).collect()
    }

    fn state(to: StateKind, why: Why) -> News {
        News::State { from: StateKind::Backup, to, why }
    }

    #[test]
    fn each_state_runs_its_own_script_then_the_general_one_and_is_a_line() {
        let mut book = book(scripts());
        let master = told(&mut book, state(StateKind::Master, Why::Recovered), Some(90));
        let line = "INSTANCE \"VI_1\" MASTER 90";
        assert_eq!(master, ["m", "any INSTANCE VI_1 MASTER 90", line]);
        let backup = told(&mut book, state(StateKind::Backup, Why::Recovered), Some(90));
        assert_eq!(backup[0], "any INSTANCE VI_1 BACKUP 90");
        let stop = told(&mut book, state(StateKind::Initialize, Why::Shutdown), None);
        let line = "INSTANCE \"VI_1\" STOP 90";
        assert_eq!(stop, ["s", "any INSTANCE VI_1 STOP 90", line], "it is gone by then");
    }

    #[test]
    fn a_group_has_the_priority_0_and_is_told_of_its_stop() {
        let mut book = book(scripts());
        let news = |to| News::GroupState { group: GroupName::new("VG"), from: to, to };
        let line = "GROUP \"VG\" MASTER 0";
        let master = told(&mut book, news(StateKind::Master), Some(90));
        assert_eq!(master, ["m", "any GROUP VG MASTER 0", line]);
        let stop = told(&mut book, news(StateKind::Initialize), Some(90));
        assert_eq!(stop, ["s", "any GROUP VG STOP 0", "GROUP \"VG\" STOP 0"]);
    }

    #[test]
    fn what_a_reload_removes_is_at_fault_or_deleted_and_the_file_before_says_what_is_run() {
        let gone = || state(StateKind::Initialize, Why::Removed);
        let mut fault = book(scripts());
        fault.configure(Settings::default());
        assert_eq!(told(&mut fault, gone(), Some(90)), ["f", "any INSTANCE VI_1 FAULT 90"]);
        let backup = state(StateKind::Backup, Why::Recovered);
        assert_eq!(told(&mut fault, backup, Some(90)), [""; 0], "of anything else the new one");
        let own = NotifyScripts { says_deleted: true, deleted: script("d"), ..scripts() };
        let mut deleted = book(own);
        deleted.configure(settings(scripts(), false));
        let line = "INSTANCE \"VI_1\" DELETED 90";
        assert_eq!(
            told(&mut deleted, gone(), Some(90)),
            ["d", "any INSTANCE VI_1 DELETED 90", line]
        );
    }

    #[test]
    fn lower_masters_and_changes_of_the_priority_have_words_of_their_own() {
        let own = NotifyScripts { priority_changes: Some(true), ..scripts() };
        let mut book = book(own);
        told(&mut book, state(StateKind::Master, Why::Recovered), Some(90));
        let peer = "10.0.0.1".parse().expect("an address");
        let lower = told(&mut book, News::LowerPriority { peer, priority: 50 }, Some(90));
        assert_eq!(lower, ["lower", "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 90"]);
        let deaf = told(&mut book, News::OneWay { peer, asserts: 3 }, Some(90));
        assert_eq!(deaf, ["deaf", "INSTANCE \"VI_1\" MASTER_ONE_WAY 90"]);
        let (from, to) = (Priority::DEFAULT, Priority::new(80).expect("a priority"));
        let changed = || News::PriorityChanged { from, to };
        assert_eq!(told(&mut book, changed(), None), ["INSTANCE \"VI_1\" MASTER_PRIORITY 80"]);
        told(&mut book, state(StateKind::Backup, Why::Recovered), Some(80));
        assert_eq!(told(&mut book, changed(), None), ["INSTANCE \"VI_1\" BACKUP_PRIORITY 80"]);
        book.configure(settings(scripts(), false));
        assert_eq!(told(&mut book, changed(), None), [""; 0], "nobody wants to know");
    }

    #[test]
    fn after_a_reload_every_state_is_written_again_if_the_file_says_so() {
        let mut book = book(scripts());
        told(&mut book, state(StateKind::Master, Why::Recovered), Some(90));
        let lines = book.configure(settings(scripts(), true));
        assert_eq!(lines, ["INSTANCE \"VI_1\" MASTER 90"]);
        assert_eq!(book.configure(settings(scripts(), false)), [""; 0]);
    }

    #[test]
    fn what_the_director_tells_goes_to_the_pipes_too() {
        let files = vipd_config::text::InMemory::new()
            .with("/k.conf", "global_defs {\nlvs_notify_fifo /run/lvs\n}\n");
        let options = vipd_config::Options::default();
        let loaded = vipd_config::load_from(&files, "/k.conf".as_ref(), &options);
        let mut book = Book::default();
        book.configure(Settings::new(&loaded.expect("it is usable")));
        let (mark, family) = (7, vipd_engine::Family::Ipv4);
        let name = vipd_engine::config::director::VirtualServerName::Fwmark { mark, family };
        let gained = vipd_engine::ipvs::News::Quorum { name, up: true, live: 1, limit: 1 };
        let news = News::Director(Box::new(vipd_engine::director::News::Table(gained)));
        let due = book.due(&Event { instance: InstanceName::new("any"), news }, None);
        assert_eq!(due.and_then(|due| due.line).as_deref(), Some("VS FWM 7 UP"));
    }
}
