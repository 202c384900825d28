//! Mail alerts: what a virtual router or a sync group enters is mailed, and what a virtual server
//! or a real server becomes, if the file asks for it.
//!
//! What is mailed is decided in `alerts` and `servers`, when in `queue`, how it looks in `letter`,
//! what is said to the server in `dialogue`. The run loop only puts an alert into the queue; a task
//! of its own does the rest. Bounded: the queue, its waits, the replies, and the time at the end.

mod alerts;
pub mod delivery;
pub mod dialogue;
mod letter;
pub mod queue;
mod resolve;
mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};
use vipd_config::Loaded;
use vipd_config::mail::{CONNECT_TIMEOUT, Mail, PORT};
use vipd_engine::{Event, News};

use alerts::{Alerts, Rules};
use delivery::{Server, deliver};
use dialogue::{Letter, Outcome};
use queue::{Alert, Next, Parcel, Queue};
use servers::{ServerAlerts, Wanted};

/// How long what waits may take when vipd ends, the mails of the stop among it.
pub const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The task that mails.
pub struct Mailer {
    post: Post,
    task: JoinHandle<()>,
}

impl Mailer {
    /// Starts it with nobody to write to. Must be called inside a runtime.
    #[must_use]
    pub fn start() -> Self {
        let post = Post::default();
        Self { task: tokio::spawn(post.clone().serve()), post }
    }

    /// A way to tell it.
    #[must_use]
    pub fn post(&self) -> Post {
        self.post.clone()
    }

    /// Ends it: what waits is tried at once, for [`STOP_LIMIT`].
    pub async fn end(self) {
        let Self { post, mut task } = self;
        post.state().end();
        post.0.news.notify_one();
        if timeout(STOP_LIMIT, &mut task).await.is_err() {
            task.abort();
        }
        post.state().say_what_is_left();
    }
}

/// A way to tell it, and to ask how it is.
#[derive(Clone, Default)]
pub struct Post(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    mail: Mail,
    host: String,
    alerts: Alerts,
    servers: ServerAlerts,
    queue: Queue,
    /// What went wrong last, by receiver or `""` for all: it is told once.
    told: BTreeMap<String, String>,
    told_lost: bool,
    last_error: Option<String>,
    ends: bool,
}

impl Post {
    /// These settings from now on.
    pub fn configure(&self, loaded: &Loaded) {
        let rules = Rules { mail: loaded.mail.clone(), notify: loaded.notify.clone() };
        let mut state = self.state();
        state.servers.configure(Wanted::new(loaded));
        state.configure(rules);
        drop(state);
        self.0.news.notify_one();
    }

    /// This happened. It never waits.
    pub fn tell(&self, event: &Event) {
        let mut state = self.state();
        let due = match &event.news {
            News::Director(news) => state.servers.due(news),
            _ => state.alerts.due(event),
        };
        if due.is_some_and(|due| state.add(due)) {
            self.0.news.notify_one();
        }
    }

    /// How it is, for the status; `null` without a server to send to.
    #[must_use]
    pub fn report(&self) -> Value {
        let state = self.state();
        let Some(server) = state.server() else { return Value::Null };
        let retry_in =
            state.queue.retry_at().map(|at| at.saturating_duration_since(Instant::now()));
        let retry_in = retry_in.map(|wait| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        json!({
            "server": format!("{}:{}", server.host, server.port),
            "waiting": state.queue.len(),
            "sent": state.queue.sent,
            "lost": state.queue.lost,
            "last_error": state.last_error,
            "retry_in_ns": retry_in,
        })
    }

    /// It is held for a few instructions, and never across a wait.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self) {
        loop {
            let (next, ends) = {
                let mut state = self.state();
                (state.next(), state.ends)
            };
            match next {
                Task::Mail(parcel, server, letter) => {
                    let outcome = deliver(&server, letter).await;
                    self.state().done(parcel, &outcome);
                }
                Task::At(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.0.news.notified() => {}
                },
                Task::Idle if ends => return,
                Task::Idle => self.0.news.notified().await,
            }
        }
    }
}

/// What the task does next.
enum Task {
    Mail(Parcel, Server, Letter),
    At(Instant),
    Idle,
}

impl State {
    fn configure(&mut self, rules: Rules) {
        let before = self.server();
        self.mail = rules.mail.clone();
        self.host = host();
        self.alerts.configure(rules);
        let server = self.server();
        if server != before {
            self.told.clear();
            self.queue.retry_now();
        }
        if server.is_none() && !self.queue.is_empty() {
            warn!("{} mail alerts are dropped: there is nobody to mail to", self.queue.len());
            self.queue = Queue::default();
        }
    }

    /// Whether there is something to be mailed.
    fn add(&mut self, (subject, body): (String, String)) -> bool {
        if self.server().is_none() {
            return false;
        }
        let alert = Alert { at: SystemTime::now(), since: Instant::now(), subject, body };
        let lost = self.queue.add(alert);
        if lost && !self.told_lost {
            warn!("more than {} mail alerts wait: the oldest are lost", queue::WAITING_MAX);
        }
        self.told_lost |= lost;
        true
    }

    fn next(&mut self) -> Task {
        let Some(server) = self.server() else { return Task::Idle };
        match self.queue.next(Instant::now()) {
            Next::Mail(parcel) => {
                let letter = letter::letter(&self.mail, &self.host, &parcel, SystemTime::now());
                Task::Mail(parcel, server, letter)
            }
            Next::At(at) => Task::At(at),
            Next::Idle => Task::Idle,
        }
    }

    fn done(&mut self, parcel: Parcel, outcome: &Outcome) {
        let Outcome { taken, refused, later } = outcome;
        let all_later = taken.is_empty() && refused.is_empty() && parcel.to.is_none();
        match later.first().filter(|_| all_later) {
            Some((_, why)) => self.tell_once("", why, "it is tried again"),
            None => {
                for (receiver, why) in refused {
                    self.tell_once(receiver, why, "it is lost");
                }
                for (receiver, why) in later {
                    self.tell_once(receiver, why, "it is tried again");
                }
                if self.told.remove("").is_some() {
                    info!("mail is delivered again");
                }
            }
        }
        for receiver in taken {
            self.told.remove(receiver);
        }
        if !taken.is_empty() {
            self.told_lost = false;
            if refused.is_empty() && later.is_empty() {
                self.last_error = None;
            }
        }
        self.queue.done(parcel, outcome, Instant::now());
    }

    /// One line per cause, not per try.
    fn tell_once(&mut self, receiver: &str, why: &str, then: &str) {
        self.last_error = Some(why.to_string());
        if self.told.get(receiver).is_none_or(|told| cause(told) != cause(why)) {
            let whose =
                if receiver.is_empty() { "mail".into() } else { format!("mail to {receiver}") };
            warn!("{whose} is not delivered: {why}; {then}");
            self.told.insert(receiver.to_string(), why.to_string());
        }
    }

    fn end(&mut self) {
        self.ends = true;
        self.queue.end(Instant::now());
    }

    fn say_what_is_left(&self) {
        if !self.queue.is_empty() {
            let why = self.last_error.as_deref().unwrap_or("the server took too long");
            warn!("{} mail alerts are left behind: {why}", self.queue.len());
        }
    }

    /// If there is one, and somebody to write to.
    fn server(&self) -> Option<Server> {
        let host = self.mail.server.clone().filter(|_| !self.mail.to.is_empty())?;
        Some(Server {
            host,
            port: self.mail.port.unwrap_or(PORT),
            patience: self.mail.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            helo_name: self.mail.helo_name.clone().unwrap_or_else(|| self.host.clone()),
        })
    }
}

/// What of an error is the same at the next try: servers put numbers and times behind the status.
fn cause(why: &str) -> &str {
    let status = why.find('"').and_then(|quote| why.get(..quote + "\"451".len()));
    status.unwrap_or(why)
}

/// The name of this machine; one that does not fit into a command is as good as none.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let fits = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic());
    if fits { name.to_string() } else { "localhost".to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_status_at_another_try_is_the_same_cause_whatever_is_behind_it() {
        let [first, second] = ["17 s", "3 s"]
            .map(|wait| format!("the reply to RCPT TO is \"450 4.2.0 greylisted for {wait}\""));
        assert_eq!(cause(&first), cause(&second));
        assert_ne!(cause(&first), cause("the reply to RCPT TO is \"550 4.2.0 no\""));
        assert_ne!(cause(&first), cause("the reply to DATA is \"450 4.2.0 no\""));
        assert_eq!(cause("no connection"), "no connection");
        assert_eq!(cause("it says \"4"), "it says \"4");
    }
}
