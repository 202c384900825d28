//! Tracked scripts, files and processes: tasks that tell the run loop of every new value.

mod files;
mod judgement;
mod processes;
mod quorum;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};
use vipd_config::trackers::{Script, TrackedFile, TrackedProcess, Trackers};
use vipd_engine::{TrackerName, TrackerValue};

use crate::driver::Request;
use crate::scripts::{self, Scripts};
use judgement::Judgement;

/// What is being tracked. A tracker that a reload leaves as it was goes on.
pub struct Tracking {
    scripts: Scripts,
    requests: mpsc::Sender<Request>,
    running: Vec<Running>,
    /// The one task for all processes, once there are any.
    processes: Option<mpsc::UnboundedSender<Vec<TrackedProcess>>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Tracker {
    Script(Script),
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
    pub const fn new(scripts: Scripts, requests: mpsc::Sender<Request>) -> Self {
        Self { scripts, requests, running: Vec::new(), processes: None }
    }

    /// Tracks these from now on and nothing else. Must be called inside a runtime.
    pub fn configure(&mut self, trackers: &Trackers) {
        self.track_processes(&trackers.processes);
        let scripts = trackers.scripts.iter().map(|script| with_account(script, trackers));
        let files = trackers.files.iter().cloned().map(Tracker::File);
        let wanted: Vec<_> = scripts.chain(files).collect();
        self.running.retain(|running| wanted.contains(&running.tracker));
        for tracker in wanted {
            if self.running.iter().all(|running| running.tracker != tracker) {
                let task = self.start(tracker.clone());
                self.running.push(Running { tracker, task });
            }
        }
    }

    fn track_processes(&mut self, processes: &[TrackedProcess]) {
        if processes.is_empty() && self.processes.is_none() {
            return;
        }
        let lists = self.processes.get_or_insert_with(|| {
            let (sender, lists) = mpsc::unbounded_channel();
            tokio::spawn(processes::watch(lists, Tell(self.requests.clone())));
            sender
        });
        // It ends only after us.
        let _ = lists.send(processes.to_vec());
    }

    fn start(&self, tracker: Tracker) -> JoinHandle<()> {
        let tell = Tell(self.requests.clone());
        match tracker {
            Tracker::Script(script) => tokio::spawn(run(script, self.scripts.clone(), tell)),
            Tracker::File(file) => tokio::spawn(files::watch(file, tell)),
        }
    }
}

fn with_account(script: &Script, trackers: &Trackers) -> Tracker {
    let mut script = script.clone();
    script.user = script.user.or_else(|| trackers.script_user.clone());
    Tracker::Script(script)
}

/// The way to the run loop.
struct Tell(mpsc::Sender<Request>);

impl Tell {
    async fn value(&self, id: &TrackerName, value: TrackerValue) {
        // The loop ends only together with us.
        let _ = self.0.send(Request::Tracker { id: id.clone(), value }).await;
    }
}

/// Runs a script again and again. A run that takes longer than the interval delays the next.
async fn run(script: Script, helper: Scripts, tell: Tell) {
    let name = &script.name;
    let run = scripts::Script {
        command: script.command.clone(),
        arguments: Vec::new(),
        user: script.user.clone(),
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
        if let Some(value) = judgement.on_result(outcome.is_good()) {
            match value {
                TrackerValue::Up => info!("vrrp_script {name} is good"),
                _ => warn!("vrrp_script {name} is bad: {}", outcome.said),
            }
            tell.value(name, value).await;
        }
    }
}
