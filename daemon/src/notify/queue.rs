//! Who runs next: scripts of one object one after the other, those of different objects side by
//! side. Of the states that come while one runs only the last one is told.

use std::mem;

use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{ByObject, Object};
use crate::scripts::{Script, Scripts};

/// What is said of an object. Each waits by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// This is its state.
    State(&'static str),
    /// It hears a lower master.
    LowerPriority,
    /// A lower master does not hear it.
    OneWay,
    /// Its priority is another one: scripts do not hear of that.
    Priority,
}

/// Scripts that wait, by object.
pub struct Queues {
    helper: Scripts,
    queues: ByObject<Queue>,
    running: JoinSet<Object>,
}

#[derive(Debug, Default)]
struct Queue {
    is_busy: bool,
    state: Option<(&'static str, Vec<Script>)>,
    lower: Vec<Script>,
    one_way: Vec<Script>,
}

impl Queues {
    /// Nothing waits.
    pub fn new(helper: Scripts) -> Self {
        Self { helper, queues: ByObject::new(), running: JoinSet::new() }
    }

    /// These are due, in this order.
    pub fn add(&mut self, object: Object, what: What, scripts: Vec<Script>) {
        let queue = self.queues.entry(object.clone()).or_default();
        if let Some(passed) = queue.add(what, scripts) {
            info!(
                "{}: its notify scripts were still running, {passed} is passed over",
                object.name
            );
        }
        self.run_next(object);
    }

    /// Waits until the scripts of any object have ended, and begins what waits for that.
    pub async fn any_ended(&mut self) {
        match self.running.join_next().await {
            Some(Ok(object)) => {
                if let Some(queue) = self.queues.get_mut(&object) {
                    queue.is_busy = false;
                }
                self.run_next(object);
            }
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// Whether any script runs or waits.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    fn run_next(&mut self, object: Object) {
        let Some(queue) = self.queues.get_mut(&object) else { return };
        let Some(scripts) = queue.next() else {
            if !queue.is_busy {
                self.queues.remove(&object);
            }
            return;
        };
        let helper = self.helper.clone();
        self.running.spawn(async move {
            for script in scripts {
                run(&helper, &script).await;
            }
            object
        });
    }
}

impl Queue {
    /// Answers with a state that nobody will hear of.
    fn add(&mut self, what: What, scripts: Vec<Script>) -> Option<&'static str> {
        match what {
            What::State(state) => {
                // What was heard in the state before is of no interest any more.
                self.lower.clear();
                self.one_way.clear();
                let passed = self.state.replace((state, scripts));
                passed.filter(|(_, scripts)| !scripts.is_empty()).map(|(state, _)| state)
            }
            What::LowerPriority => {
                self.lower = scripts;
                None
            }
            What::OneWay => {
                self.one_way = scripts;
                None
            }
            What::Priority => None,
        }
    }

    /// What is to be run now, if anything.
    fn next(&mut self) -> Option<Vec<Script>> {
        if self.is_busy {
            return None;
        }
        let state = self.state.take().map(|(_, scripts)| scripts).unwrap_or_default();
        let waiting = [&mut self.one_way, &mut self.lower];
        let heard = || waiting.into_iter().map(mem::take).find(|scripts| !scripts.is_empty());
        let scripts = if state.is_empty() { heard().unwrap_or_default() } else { state };
        self.is_busy = !scripts.is_empty();
        self.is_busy.then_some(scripts)
    }
}

async fn run(helper: &Scripts, script: &Script) {
    let outcome = helper.run(script).await;
    let words = [&[script.command.clone()][..], &script.arguments].concat().join(" ");
    if outcome.is_good() {
        info!("notify script {words}: done");
    } else {
        warn!("notify script {words}: {}", outcome.said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn scripts(command: &str) -> Vec<Script> {
        let (command, user) = (command.to_string(), None);
        vec![Script { command, arguments: Vec::new(), user, timeout: Duration::from_secs(1) }]
    }

    fn next(queue: &mut Queue) -> Option<String> {
        queue.next().map(|scripts| scripts[0].command.clone())
    }

    #[test]
    fn one_runs_at_a_time_and_the_last_state_wins() {
        let mut queue = Queue::default();
        assert_eq!(queue.add(What::State("BACKUP"), scripts("b")), None);
        assert_eq!(next(&mut queue).as_deref(), Some("b"));
        assert_eq!(queue.add(What::State("MASTER"), scripts("m")), None);
        assert_eq!(next(&mut queue), None, "one at a time");
        assert_eq!(queue.add(What::State("FAULT"), scripts("f")), Some("MASTER"));
        queue.is_busy = false;
        assert_eq!(next(&mut queue).as_deref(), Some("f"));
        queue.is_busy = false;
        assert_eq!(next(&mut queue), None);
    }

    #[test]
    fn a_lower_master_waits_for_the_script_of_the_state_and_is_forgotten_with_the_next_one() {
        let mut queue = Queue::default();
        queue.add(What::State("MASTER"), scripts("m"));
        queue.add(What::LowerPriority, scripts("lower"));
        queue.add(What::LowerPriority, scripts("lower"));
        assert_eq!(next(&mut queue).as_deref(), Some("m"));
        queue.is_busy = false;
        queue.add(What::OneWay, scripts("deaf"));
        let first = "what is told once goes before what is told again";
        assert_eq!(next(&mut queue).as_deref(), Some("deaf"), "{first}");
        queue.is_busy = false;
        assert_eq!(next(&mut queue).as_deref(), Some("lower"));
        queue.add(What::LowerPriority, scripts("lower"));
        queue.add(What::State("BACKUP"), Vec::new());
        queue.is_busy = false;
        assert_eq!(next(&mut queue), None, "it is no master any more");
    }
}
