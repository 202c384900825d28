//! What answers a director: the model of the kernel's table, and real servers that answer, refuse
//! or keep silent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::health::{AttemptId, Failure, Outcome, Probe, ProbeCommand};
use vipd_engine::ipvs::{Answer, Batch, Failure as Failed, IpvsError, Observed, Read, Request};
use vipd_engine::{Input, Output, Timestamp};

use crate::ipvs_world::{Fate, Kernel, at};

/// What a real server does when it is checked.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// It comes to this after so long.
    Answers(Duration, Outcome),
    /// Nothing comes back.
    Silent,
}

pub const GOOD: Behaviour = Behaviour::Answers(Duration::ZERO, Outcome::GOOD);
pub const REFUSES: Behaviour = Behaviour::Answers(Duration::ZERO, Outcome::Bad(Failure::Refused));

#[derive(Clone, Debug, Default)]
pub struct Machine {
    pub kernel: Kernel,
    /// What becomes of what is asked of the kernel next; then all is answered.
    pub fates: VecDeque<Fate>,
    /// By address; the others are good.
    behaviour: BTreeMap<IpAddr, Behaviour>,
    /// Attempts under way.
    pub running: BTreeMap<AttemptId, IpAddr>,
    /// Answers on their way.
    coming: BTreeSet<(Timestamp, AttemptId, Outcome)>,
}

impl Machine {
    /// The real server does this from now on. What it was asked before is lost if it is silent.
    pub fn set(&mut self, server: &str, behaviour: Behaviour) {
        let address = at(server).address;
        self.behaviour.insert(address, behaviour);
        if let Behaviour::Silent = behaviour {
            let running = &self.running;
            self.coming.retain(|(_, id, _)| running[id] != address);
        }
    }

    pub fn behaviour(&self, address: IpAddr) -> Behaviour {
        self.behaviour.get(&address).copied().unwrap_or(GOOD)
    }

    /// What an engine is told at once about what it put out.
    pub fn perform(&mut self, now: Timestamp, output: &Output) -> Vec<Input<'static>> {
        let (number, answers) = match output {
            Output::Probe(probe) => {
                self.probe(now, probe);
                return Vec::new();
            }
            Output::Ipvs(Request::Batch(batch)) => (batch.number, self.do_batch(batch)),
            Output::Ipvs(Request::Read(read)) => (read.number, self.do_read(read)),
            Output::Send { .. } | Output::Kernel { .. } | Output::Notify(_) => return Vec::new(),
        };
        let answers = answers.into_iter();
        answers.map(|answer| Input::Ipvs { number, answer: Box::new(answer) }).collect()
    }

    /// When a real server answers next.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.coming.first().map(|(at, ..)| *at)
    }

    /// What the next real server answers.
    pub fn answers(&mut self) -> Option<Input<'static>> {
        let (_, id, outcome) = self.coming.pop_first()?;
        self.running.remove(&id);
        Some(Input::Probe { id, outcome })
    }

    fn probe(&mut self, now: Timestamp, probe: &Probe) {
        let id = probe.id;
        match &probe.command {
            ProbeCommand::Start { check, .. } => {
                assert!(self.running.insert(id, check.address).is_none(), "a number is used twice");
                if let Behaviour::Answers(after, outcome) = self.behaviour(check.address) {
                    self.coming.insert((now + after, id, outcome));
                }
            }
            ProbeCommand::Cancel => {
                assert!(self.running.remove(&id).is_some(), "nothing to cancel");
                self.coming.retain(|(_, coming, _)| *coming != id);
            }
        }
    }

    fn do_batch(&mut self, batch: &Batch) -> Vec<Answer> {
        let fate = self.fates.pop_front().unwrap_or(Fate::Answered);
        let mut failures = Vec::new();
        match fate {
            Fate::Lost | Fate::Late => return Vec::new(),
            Fate::Failed(error) => return vec![Answer::Done(Err(error))],
            Fate::Answered | Fate::Unanswered | Fate::Refused(_) => {}
        }
        for (place, command) in (0..).zip(&batch.commands) {
            let refused = matches!(fate, Fate::Refused(bits) if bits & (1 << (place % 8)) != 0);
            let result =
                if refused { Err(IpvsError::Refused) } else { self.kernel.perform(command) };
            failures.extend(result.err().map(|error| Failed { place, error }));
        }
        let is_answered = fate != Fate::Unanswered;
        is_answered.then_some(Answer::Done(Ok(failures))).into_iter().collect()
    }

    fn do_read(&mut self, read: &Read) -> Vec<Answer> {
        let fails = |error| vec![Answer::Done(Err(error))];
        match self.fates.pop_front().unwrap_or(Fate::Answered) {
            _ if self.kernel.is_bare => return fails(IpvsError::NoIpvs),
            Fate::Answered => {}
            Fate::Failed(error) => return fails(error),
            Fate::Refused(_) => return fails(IpvsError::Refused),
            Fate::Unanswered | Fate::Lost | Fate::Late => return Vec::new(),
        }
        let seen = read.services.iter().filter_map(|service| self.kernel.seen(*service));
        let seen = seen.map(Observed::Service);
        let settings = read.settings.then(|| Observed::Settings(self.kernel.settings()));
        let told = [Observed::Begin].into_iter().chain(seen).chain(settings).chain([Observed::End]);
        told.map(Answer::Observed).collect()
    }
}
