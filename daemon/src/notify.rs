//! Notification: what is run and written when a virtual router or a sync group changes its state,
//! or a virtual server or a real server comes or goes.
//!
//! Scripts of one object run one after the other, in the order of its states; while one runs only
//! the last state waits. Named pipes get a line for every event, at once. What is due is decided in
//! `due` and `servers`, when it is run in `queue`.

mod due;
mod queue;
mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;
use vipd_config::Loaded;
use vipd_config::notify::Notify;
use vipd_config::trackers::ScriptUser;
use vipd_engine::{Event, Priority};

use crate::scripts::Scripts;
use due::{Book, Due};
use queue::Queues;

/// How long the scripts of a stop are waited for.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// And what reads named pipes.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// keepalived's word for a lower master that a master hears.
pub const LOWER_PRIORITY: &str = "MASTER_RX_LOWER_PRI";
/// Our own word for a lower master that does not hear the master (property S10).
pub const ONE_WAY: &str = "MASTER_ONE_WAY";

/// What the notifier is told.
#[derive(Debug)]
pub enum Told {
    /// Something happened to an instance, whose priority is this if it is still there.
    Event(Event, Option<Priority>),
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
    scripts: Scripts,
}

impl Notifier {
    /// Starts it without a script to run. Must be called inside a runtime.
    #[must_use]
    pub fn start(scripts: Scripts) -> Self {
        let (teller, told) = mpsc::unbounded_channel();
        Self { teller, task: tokio::spawn(serve(scripts.clone(), told)), scripts }
    }

    /// A way to tell it.
    #[must_use]
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Ends it. The scripts that run have a second, what reads named pipes has as long again.
    pub async fn end(self) {
        let _ = self.teller.send(Told::End);
        if timeout(STOP_LIMIT, self.task).await.is_err() {
            warn!("notify scripts are still running, and are ended");
        }
        if timeout(FINISH_LIMIT, self.scripts.finish()).await.is_err() {
            warn!("named pipes are still open, and are left behind");
        }
    }
}

/// What is to be run, and how.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    notify: Notify,
    user: Option<ScriptUser>,
    servers: servers::Wanted,
}

impl Settings {
    /// Those of a file.
    #[must_use]
    pub fn new(loaded: &Loaded) -> Self {
        let (notify, user) = (loaded.notify.clone(), loaded.trackers.script_user.clone());
        Self { notify, user, servers: servers::Wanted::new(loaded) }
    }
}

/// Runs scripts until it is told that that was all, and those that run have ended.
async fn serve(scripts: Scripts, mut told: mpsc::UnboundedReceiver<Told>) {
    let mut book = Book::default();
    let mut queues = Queues::new(scripts.clone());
    loop {
        tokio::select! {
            next = told.recv() => match next {
                Some(Told::Configure(settings)) => {
                    for line in book.configure(settings) {
                        scripts.write(&line).await;
                    }
                }
                Some(Told::Event(event, priority)) => {
                    let due = book.due(&event, priority);
                    perform(due, &scripts, &mut queues).await;
                }
                Some(Told::End) | None => break,
            },
            () = queues.any_ended() => {}
        }
    }
    while queues.is_busy() {
        queues.any_ended().await;
    }
}

async fn perform(due: Option<Due>, scripts: &Scripts, queues: &mut Queues) {
    let Some(Due { object, what, scripts: to_run, line }) = due else { return };
    if let Some(line) = line {
        scripts.write(&line).await;
    }
    queues.add(object, what, to_run);
}

/// What changes its state: a virtual router, a sync group, a virtual server or a real server, in
/// keepalived's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    kind: &'static str,
    name: String,
}

/// Things by object.
type ByObject<T> = BTreeMap<Object, T>;
