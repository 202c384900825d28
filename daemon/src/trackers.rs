//! Tracked scripts and files: a task for each, which tells the run loop of every new value.
//!
//! Processes are not watched yet: whatever depends on one waits, and that is said.

mod judgement;

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};
use vipd_config::trackers::{Script, TrackedFile, Trackers};
use vipd_engine::{TrackerName, TrackerValue};

use crate::driver::Request;
use crate::scripts::{self, Scripts};
use judgement::Judgement;

/// How often a tracked file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Octets of a tracked file that are read: a number is shorter.
const LONGEST_NUMBER: u64 = 64;

/// What is being tracked. A tracker that a reload leaves as it was goes on.
pub struct Tracking {
    /// None if no script was configured when the helper could still be started.
    scripts: Option<Scripts>,
    requests: mpsc::Sender<Request>,
    running: Vec<Running>,
}

#[derive(Clone, Debug, PartialEq)]
enum Tracker {
    Script { script: Script, only_safe: bool },
    File(TrackedFile),
}

struct Running {
    tracker: Tracker,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tracking {
    /// Tracks nothing yet.
    #[must_use]
    pub const fn new(scripts: Option<Scripts>, requests: mpsc::Sender<Request>) -> Self {
        Self { scripts, requests, running: Vec::new() }
    }

    /// Tracks these from now on and nothing else. Must be called inside a runtime.
    pub fn configure(&mut self, trackers: &Trackers) {
        warn_of_those_not_watched(trackers);
        let scripts = trackers.scripts.iter().map(|script| self.with_account(script, trackers));
        let files = trackers.files.iter().cloned().map(Tracker::File);
        let wanted: Vec<_> = scripts.chain(files).collect();
        self.running.retain(|running| wanted.contains(&running.tracker));
        for tracker in wanted {
            if self.running.iter().all(|running| running.tracker != tracker)
                && let Some(task) = self.start(tracker.clone())
            {
                self.running.push(Running { tracker, task });
            }
        }
    }

    fn with_account(&self, script: &Script, trackers: &Trackers) -> Tracker {
        let mut script = script.clone();
        script.user = script.user.or_else(|| trackers.script_user.clone());
        Tracker::Script { script, only_safe: trackers.script_security }
    }

    fn start(&self, tracker: Tracker) -> Option<JoinHandle<()>> {
        let tell = Tell(self.requests.clone());
        match tracker {
            Tracker::Script { script, only_safe } => {
                let Some(scripts) = self.scripts.clone() else {
                    let name = &script.name;
                    warn!("vrrp_script {name} is the first one: it is run after a restart only");
                    return None;
                };
                Some(tokio::spawn(run(script, only_safe, scripts, tell)))
            }
            Tracker::File(file) => Some(tokio::spawn(watch(file, tell))),
        }
    }
}

/// The way to the run loop.
struct Tell(mpsc::Sender<Request>);

impl Tell {
    async fn value(&self, id: &TrackerName, value: TrackerValue) {
        // The loop ends only together with us.
        let _ = self.0.send(Request::Tracker { id: id.clone(), value }).await;
    }
}

fn warn_of_those_not_watched(trackers: &Trackers) {
    for process in &trackers.processes {
        let name = &process.name;
        warn!("vrrp_track_process {name} is not watched (not built): whoever tracks it waits");
    }
}

/// Runs a script again and again. A run that takes longer than the interval delays the next.
async fn run(script: Script, only_safe: bool, helper: Scripts, tell: Tell) {
    let name = &script.name;
    let run = scripts::Script {
        command: script.command.clone(),
        arguments: Vec::new(),
        user: script.user.clone(),
        only_safe,
        timeout: script.timeout,
    };
    let mut judgement = Judgement::new(script.rise, script.fall, script.init_fail);
    if let Some(value) = judgement.value() {
        tell.value(name, value).await;
    }
    let mut starts = interval(script.interval.max(Duration::from_millis(1)));
    starts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        starts.tick().await;
        let outcome = helper.run(&run).await;
        if let Some(value) = judgement.on_result(outcome.good) {
            match value {
                TrackerValue::Up => info!("vrrp_script {name} is good"),
                _ => warn!("vrrp_script {name} is bad: {}", outcome.said),
            }
            tell.value(name, value).await;
        }
    }
}

/// Reads a file again and again. As long as it is not there or has no number, it has no new value:
/// that must not look like a good one.
async fn watch(file: TrackedFile, tell: Tell) {
    let TrackedFile { name, path, init, overwrite, .. } = &file;
    let path = Path::new(path);
    if let Some(number) = init
        && (*overwrite || !path.exists())
        && let Err(error) = fs::write(path, format!("{number}\n"))
    {
        warn!("track_file {name}: cannot write {}: {error}", path.display());
    }
    let (mut known, mut complained) = (None, false);
    loop {
        match number(path) {
            Ok(number) if known != Some(number) => {
                info!("track_file {name} is {number}");
                (known, complained) = (Some(number), false);
                tell.value(name, TrackerValue::Number(number)).await;
            }
            Ok(_) => complained = false,
            Err(error) if !complained => {
                complained = true;
                warn!("track_file {name}: {}: {error}, its value stays", path.display());
            }
            Err(_) => {}
        }
        sleep(LOOK_EVERY).await;
    }
}

fn number(path: &Path) -> io::Result<i32> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST_NUMBER).read_to_string(&mut text)?;
    text.trim().parse().map_err(io::Error::other)
}
