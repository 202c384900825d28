//! Notify scripts: what is run when a virtual router changes its state.
//!
//! Scripts of one change begin together and are waited for by nobody, as keepalived does it; but
//! those of a stop have a second before we end.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{info, warn};
use vipd_config::notify::{Notify, NotifyScript, NotifyScripts};
use vipd_config::trackers::{ScriptUser, Trackers};
use vipd_engine::{Event, News, Priority, StateKind, Why};

use crate::scripts::{Script, Scripts};

/// A notify script may take this long.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long the scripts of a stop are waited for.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What the notifier is told.
#[derive(Debug)]
pub enum Told {
    /// Something happened to an instance, whose priority is this.
    Event(Event, Priority),
    /// Other scripts are configured.
    Configure(Settings),
    /// That was all.
    End,
}

/// A way to tell it.
pub type Teller = mpsc::UnboundedSender<Told>;

/// The task that runs the scripts.
pub struct Notifier {
    teller: Teller,
    task: JoinHandle<()>,
}

impl Notifier {
    /// Starts it without a script to run. Must be called inside a runtime.
    #[must_use]
    pub fn start(scripts: Scripts) -> Self {
        let (teller, told) = mpsc::unbounded_channel();
        Self { teller, task: tokio::spawn(serve(scripts, told)) }
    }

    /// A way to tell it.
    #[must_use]
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Ends it. The scripts that run have a second.
    pub async fn end(self) {
        let _ = self.teller.send(Told::End);
        if timeout(STOP_LIMIT, self.task).await.is_err() {
            warn!("notify scripts are still running, and are ended");
        }
    }
}

/// What is to be run, and how.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    notify: Notify,
    user: Option<ScriptUser>,
}

impl Settings {
    /// Those of a file.
    #[must_use]
    pub fn new(notify: Notify, trackers: &Trackers) -> Self {
        Self { notify, user: trackers.script_user.clone() }
    }
}

/// Runs scripts until it is told that that was all, and those that run have ended.
async fn serve(scripts: Scripts, mut told: mpsc::UnboundedReceiver<Told>) {
    let mut settings = Settings::default();
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            next = told.recv() => match next {
                Some(Told::Configure(new)) => settings = new,
                Some(Told::Event(event, priority)) => {
                    for script in due(&settings, &event, priority) {
                        running.spawn(run(scripts.clone(), script));
                    }
                }
                Some(Told::End) | None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

async fn run(scripts: Scripts, script: Script) {
    let outcome = scripts.run(&script).await;
    let words = [&[script.command][..], &script.arguments].concat().join(" ");
    if outcome.good {
        info!("notify script {words}: done");
    } else {
        warn!("notify script {words}: {}", outcome.said);
    }
}

/// The scripts of a change of state, none of any other news.
fn due(settings: &Settings, event: &Event, priority: Priority) -> Vec<Script> {
    let Some(scripts) = settings.notify.get(&event.instance) else { return Vec::new() };
    let News::State { to, why, .. } = &event.news else { return Vec::new() };
    let Some((state, own)) = of_state(scripts, *to, why) else { return Vec::new() };
    let name = event.instance.as_str();
    let arguments = ["INSTANCE", name, state, &priority.to_string()].map(str::to_string);
    let script = |script: &NotifyScript, arguments: Vec<String>| Script {
        command: script.command.clone(),
        arguments,
        user: script.user.clone().or_else(|| settings.user.clone()),
        timeout: TIMEOUT,
    };
    let own = own.iter().map(|one| script(one, Vec::new()));
    let any = scripts.any.iter().map(|one| script(one, arguments.to_vec()));
    own.chain(any).collect()
}

/// keepalived's name of a state, and the script that is for it alone. A virtual router that only
/// begins has no state to tell, and one that a reload removed is not stopped.
fn of_state<'a>(
    scripts: &'a NotifyScripts,
    to: StateKind,
    why: &Why,
) -> Option<(&'static str, &'a Option<NotifyScript>)> {
    match to {
        StateKind::Master => Some(("MASTER", &scripts.master)),
        StateKind::Backup => Some(("BACKUP", &scripts.backup)),
        StateKind::Fault => Some(("FAULT", &scripts.fault)),
        StateKind::Initialize if *why == Why::Shutdown => Some(("STOP", &scripts.stop)),
        StateKind::Initialize => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vipd_engine::InstanceName;

    fn changed(to: StateKind, why: Why) -> Vec<String> {
        let name = InstanceName::new("VI_1");
        let script = |command: &str| Some(NotifyScript { command: command.into(), user: None });
        let scripts = NotifyScripts {
            master: script("m"),
            stop: script("s"),
            any: script("any"),
            ..NotifyScripts::default()
        };
        let settings =
            Settings { notify: Notify::from([(name.clone(), scripts)]), ..Settings::default() };
        let news = News::State { from: StateKind::Backup, to, why };
        let due = due(&settings, &Event { instance: name, news }, Priority::DEFAULT);
        due.iter().map(|one| format!("{} {}", one.command, one.arguments.join(" "))).collect()
    }

    #[test]
    fn each_state_runs_its_own_script_and_the_general_one_which_hears_the_state() {
        let master = changed(StateKind::Master, Why::Recovered);
        assert_eq!(master, ["m ", "any INSTANCE VI_1 MASTER 100"]);
        assert_eq!(changed(StateKind::Backup, Why::Recovered), ["any INSTANCE VI_1 BACKUP 100"]);
        let stopped = changed(StateKind::Initialize, Why::Shutdown);
        assert_eq!(stopped, ["s ", "any INSTANCE VI_1 STOP 100"]);
        assert_eq!(changed(StateKind::Initialize, Why::Removed), [""; 0]);
    }
}
