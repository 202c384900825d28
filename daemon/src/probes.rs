//! The driver of the checks: performs what the engine's director asks of them, and tells how each
//! attempt ended. When a check is made, and what its outcome means, is the engine's.
//!
//! All attempts run on one thread of their own: neither a handshake of TLS nor a body that never
//! ends delays an advert. It begins with the first attempt; what waits on the way to it and back is
//! bounded. `connections` are the attempts that only want a connection. Each other one is a task:
//! `attempt` is one over the network, `tls` its certificates, `scripts` is one of a script, `plans`
//! what is prepared once per check. `socket` is what both go through.

mod attempt;
mod connections;
mod plans;
mod scripts;
mod settings;
mod socket;
mod tls;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::{io, mem, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::{error, warn};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::{
    AttemptId, Limits, LocalError, MOST_CONNECTIONS, Outcome, Probe, ProbeCommand,
};

pub use settings::Settings;

use crate::process;
use crate::scripts::Scripts;
use attempt::Attempt;
use connections::Connections;
use plans::Plans;

/// Orders that wait for the thread, at most: whatever runs may end at once, and as many begin.
pub const WAITING_ORDERS: usize = 2 * MOST_CONNECTIONS;
/// Orders that are obeyed together, at most.
const OBEYED_TOGETHER: usize = 64;
/// Outcomes that are heard of together, at most, and are told before more is obeyed.
const TOLD_TOGETHER: usize = 64;
/// So many times outcomes wait to be heard: the thread waits with the next one.
pub const WAITING_OUTCOMES: usize = 16;
/// Descriptors of the rest of the process.
const OTHER_DESCRIPTORS: u64 = 1024;
const WANTED_DESCRIPTORS: u64 = MOST_CONNECTIONS as u64 + OTHER_DESCRIPTORS;

/// The loop's end of the thread.
pub struct Probes {
    scripts: Scripts,
    settings: Settings,
    orders: Option<mpsc::Sender<Probe>>,
    outcomes: (mpsc::Sender<Vec<Told>>, mpsc::Receiver<Vec<Told>>),
    /// What is told before anything else: attempts that could not be handed over, and outcomes that
    /// came together.
    waiting: VecDeque<Told>,
    /// Attempts over the network at a time.
    connections: usize,
}

/// How an attempt ended.
type Told = (AttemptId, Outcome);

impl Probes {
    /// Nothing is started yet. Scripts are run by this helper; what else a check needs of the file
    /// is in the settings.
    #[must_use]
    pub fn new(scripts: Scripts, settings: Settings) -> Self {
        let outcomes = mpsc::channel(WAITING_OUTCOMES);
        let connections = connections_within(process::allow_descriptors(WANTED_DESCRIPTORS));
        Self { scripts, settings, orders: None, outcomes, waiting: VecDeque::new(), connections }
    }

    /// How much may be done at once: attempts leave descriptors for the rest of the process, or
    /// servers that hang would keep it from taking others out of the table.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { connections: self.connections, ..Limits::default() }
    }

    /// Begins or drops an attempt. It never waits: one that cannot begin is told as not made.
    pub fn perform(&mut self, probe: Probe) {
        let orders = match (&self.orders, &probe.command) {
            (Some(orders), _) => orders,
            (None, ProbeCommand::Cancel) => return,
            (None, ProbeCommand::Start { .. }) => match self.start() {
                Ok(orders) => self.orders.insert(orders),
                Err(error) => {
                    error!("no thread for checks: {error}");
                    let error = socket::our_fault(&error);
                    self.waiting.push_back((probe.id, Outcome::Local(error)));
                    return;
                }
            },
        };
        let Err(error) = orders.try_send(probe) else { return };
        let (TrySendError::Full(probe) | TrySendError::Closed(probe)) = &error;
        // One that was to be dropped ends by its own limit.
        if matches!(probe.command, ProbeCommand::Start { .. }) {
            self.waiting.push_back((probe.id, Outcome::Local(LocalError::Memory)));
        }
        if matches!(error, TrySendError::Closed(_)) {
            // A mistake of ours has ended it. The next attempt starts another one.
            self.orders = None;
        }
    }

    /// How the next attempt ends, whenever that is. Nothing is lost if this is dropped.
    pub async fn next(&mut self) -> (AttemptId, Outcome) {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return told;
            }
            let (_, outcomes) = &mut self.outcomes;
            match outcomes.recv().await {
                Some(told) => self.waiting.extend(told),
                // We hold a sender ourselves.
                None => std::future::pending().await,
            }
        }
    }

    /// How the next attempt has ended, if one has.
    pub fn try_next(&mut self) -> Option<(AttemptId, Outcome)> {
        if self.waiting.is_empty() {
            let (_, outcomes) = &mut self.outcomes;
            self.waiting.extend(outcomes.try_recv().unwrap_or_default());
        }
        self.waiting.pop_front()
    }

    /// The thread ends with `self`, and whatever runs with it.
    fn start(&self) -> io::Result<mpsc::Sender<Probe>> {
        if self.connections < MOST_CONNECTIONS {
            let most = self.connections;
            warn!(
                "{most} checks over the network at a time: a hard limit of {WANTED_DESCRIPTORS} \
                   descriptors would allow {MOST_CONNECTIONS}"
            );
        }
        let (orders, due) = mpsc::channel(WAITING_ORDERS);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connections = {
            let _inside = runtime.enter();
            Connections::new()?
        };
        let prober = Prober {
            scripts: self.scripts.clone(),
            settings: self.settings.clone(),
            plans: Plans::default(),
            configs: tls::Configs::default(),
            random: RandomState::new(),
            connections,
            tasks: JoinSet::new(),
            running: HashMap::new(),
        };
        let outcomes = self.outcomes.0.clone();
        let run = move |runtime: Runtime| {
            process::give_way();
            runtime.block_on(prober.serve(due, outcomes));
        };
        thread::Builder::new().name("checks".to_string()).spawn(move || run(runtime))?;
        Ok(orders)
    }
}

/// The thread's end.
struct Prober {
    scripts: Scripts,
    settings: Settings,
    plans: Plans,
    configs: tls::Configs,
    /// Makes ids of DNS queries that nobody can guess.
    random: RandomState,
    connections: Connections,
    tasks: JoinSet<Told>,
    /// The tasks.
    running: HashMap<AttemptId, AbortHandle>,
}

impl Prober {
    async fn serve(mut self, mut due: mpsc::Receiver<Probe>, outcomes: mpsc::Sender<Vec<Told>>) {
        let (mut orders, mut told) = (Vec::with_capacity(OBEYED_TOGETHER), Vec::new());
        loop {
            told.extend(tokio::select! {
                count = due.recv_many(&mut orders, OBEYED_TOGETHER) => match count {
                    0 => return,
                    _ => self.obey(orders.drain(..)),
                },
                told = self.connections.next() => told,
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.told(ended),
            });
            // To wake the loop costs more than to tell it of another one, and what begins together
            // mostly ends together.
            let is_due = due.is_empty() || told.len() >= TOLD_TOGETHER;
            if is_due && !told.is_empty() && outcomes.send(mem::take(&mut told)).await.is_err() {
                return;
            }
        }
    }

    /// What is told of one that has ended, and of those that have ended by now.
    fn told(&mut self, ended: Result<Told, JoinError>) -> Vec<Told> {
        let (mut told, mut ended) = (Vec::new(), Some(ended));
        while let Some(one) = ended {
            // One that was dropped meanwhile is waited for by nobody.
            let one = self.on_end(one);
            told.extend(one.filter(|(id, _)| self.running.remove(id).is_some()));
            let is_full = told.len() >= TOLD_TOGETHER;
            ended = if is_full { None } else { self.tasks.try_join_next() };
        }
        told
    }

    /// Says how those ended that have already.
    fn obey(&mut self, orders: impl Iterator<Item = Probe>) -> Vec<Told> {
        let mut connections: Vec<(AttemptId, Arc<Check>)> = Vec::new();
        for Probe { id, command } in orders {
            match command {
                ProbeCommand::Cancel if self.connections.cancel(id) => {}
                ProbeCommand::Cancel => {
                    connections.retain(|(of, _)| *of != id);
                    self.running.remove(&id).inspect(AbortHandle::abort);
                }
                ProbeCommand::Start { check, .. } if check.kind == CheckKind::Tcp => {
                    connections.push((id, check));
                }
                ProbeCommand::Start { check, url } => {
                    let task = self.start(id, check, url);
                    self.running.insert(id, task);
                }
            }
        }
        self.connections.begin(connections)
    }

    fn start(&mut self, id: AttemptId, check: Arc<Check>, url: u32) -> AbortHandle {
        match &check.kind {
            CheckKind::Script { script, dynamic } => {
                let (settings, scripts) = (self.settings.clone(), self.scripts.clone());
                let (name, dynamic, limit) = (script.clone(), *dynamic, check.timeout);
                self.tasks.spawn(async move {
                    (id, scripts::run(&scripts, &settings, &name, dynamic, limit).await)
                })
            }
            CheckKind::File { .. } => {
                // A tracker tells it.
                self.tasks.spawn(async move { (id, Outcome::Local(LocalError::Unsupported)) })
            }
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Ping
            | CheckKind::Udp(_) => match self.attempt(id, check, url) {
                Ok(attempt) => self.tasks.spawn(async move { (id, attempt.run().await) }),
                Err(error) => self.tasks.spawn(async move { (id, Outcome::Local(error)) }),
            },
        }
    }

    fn attempt(
        &mut self,
        id: AttemptId,
        check: Arc<Check>,
        url: u32,
    ) -> Result<Attempt, LocalError> {
        let plan = self.plans.of(id.check, &check)?;
        let tls = match &check.kind {
            CheckKind::Http(http) => http.tls.as_ref(),
            _ => None,
        };
        let configs = &mut self.configs;
        let tls = tls.map(|tls| configs.of(tls, self.settings.reloads())).transpose()?;
        let (id, sequence) = match &check.kind {
            CheckKind::Dns { .. } => (self.random.hash_one(id.number) as u16, 0),
            _ => (id.number as u16, (id.number >> 16) as u16),
        };
        let numbers = vipd_checks::Attempt { url, id, sequence };
        Ok(Attempt { check, plan, tls, numbers })
    }

    /// A task that was dropped has nothing to tell. One that failed by a mistake of ours does not
    /// count against its server.
    fn on_end(&self, ended: Result<Told, JoinError>) -> Option<Told> {
        let failed = match ended {
            Ok(told) => return Some(told),
            Err(failed) => failed,
        };
        let mut running = self.running.iter();
        let (id, _) = running.find(|(_, task)| task.id() == failed.id())?;
        error!("{id}: {failed}");
        Some((*id, Outcome::Local(LocalError::Unsupported)))
    }
}

/// Attempts at a time where so many descriptors may be open: of few, a quarter is for the rest.
fn connections_within(descriptors: u64) -> usize {
    let left = descriptors - OTHER_DESCRIPTORS.min(descriptors / 4);
    usize::try_from(left).map_or(MOST_CONNECTIONS, |left| left.clamp(1, MOST_CONNECTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_leave_descriptors_for_the_rest_however_few_there_are() {
        let cases = [(1 << 20, 4096), (5120, 4096), (4096, 3072), (1024, 768), (64, 48), (0, 1)];
        for (descriptors, connections) in cases {
            assert_eq!(connections_within(descriptors), connections, "{descriptors}");
        }
    }
}
