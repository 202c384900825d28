//! A model real server: what an attempt of a health check gets from it, and when.
//!
//! It speaks with the very dialogues that the daemon uses (`vipd_checks`), so what counts as a good
//! answer is theirs to say. It is pure: the same attempt at the same time has the same outcome.
//! TLS is taken as agreed on, one round trip later.

mod answers;

use std::time::Duration;

use vipd_checks::{Attempt, ConnectionFailure, Dialogue, Event, Plan, Step, Transport};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::{LocalError, Outcome};
use vipd_scenarios::record::WorldTime;
use vipd_scenarios::scenario::Conduct;

/// Most events of one attempt: a page that drips for longer outlasts every time limit.
pub const MOST_EVENTS: usize = 100_000;

/// A model real server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelServer {
    /// What it does.
    pub conduct: Conduct,
    /// Since when.
    pub since: WorldTime,
    /// Its pages, for checks with a digest or a pattern.
    pub body: Vec<u8>,
    /// Exit status of its scripts while it answers; where it does not they end with 1.
    pub exit: u8,
    /// How long it thinks before each answer.
    pub thinks: Duration,
}

/// What an attempt gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// This long after its start.
    pub after: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is checked.
    pub check: &'a Check,
    /// Which url.
    pub url: u32,
    /// Counts attempts, for what must differ from one to the next.
    pub number: u64,
    /// From the director to the server and back.
    pub round_trip: Duration,
}

/// What the server says, in one go.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    octets: Vec<u8>,
    closes: bool,
}

impl ModelServer {
    /// A server of this conduct.
    #[must_use]
    pub fn new(since: WorldTime, conduct: Conduct) -> Self {
        Self { conduct, since, ..Self::default() }
    }

    /// What it does now: flapping is answering or refusing.
    #[must_use]
    pub fn conduct_at(&self, now: WorldTime) -> Conduct {
        at(self.conduct, now.since(self.since))
    }

    /// Whether an attempt gets nothing because nobody hears that a connection is to begin.
    #[must_use]
    pub fn hears_no_syn(&self, check: &Check) -> bool {
        self.conduct == Conduct::Silent
            && Plan::new(check).is_ok_and(|plan| plan.transport() == Transport::Stream)
    }

    /// What an attempt that starts now gets. `None`: nothing ends it but its time limit.
    #[must_use]
    pub fn react(&self, now: WorldTime, asked: Asked<'_>) -> Option<Reaction> {
        let conduct = self.conduct_at(now);
        let reaction = match asked.check.kind {
            CheckKind::Script { dynamic, .. } => self.script(conduct, dynamic),
            // The tracker of the file tells it.
            CheckKind::File { .. } => {
                let outcome = Outcome::Local(LocalError::Unsupported);
                Some(Reaction { after: Duration::ZERO, outcome })
            }
            _ => self.talk(conduct, asked),
        };
        reaction.filter(|reaction| reaction.after < asked.check.timeout)
    }

    fn script(&self, conduct: Conduct, dynamic: bool) -> Option<Reaction> {
        let status = match conduct {
            Conduct::Silent | Conduct::Hangs | Conduct::Drips { .. } => return None,
            Conduct::Answers | Conduct::Flaps { .. } => self.exit,
            Conduct::Refuses
            | Conduct::Unreachable
            | Conduct::Lies
            | Conduct::Resets
            | Conduct::Closes => 1,
        };
        Some(Reaction { after: self.thinks, outcome: Outcome::of_exit(status, dynamic) })
    }

    fn talk(&self, conduct: Conduct, asked: Asked<'_>) -> Option<Reaction> {
        let Ok(plan) = Plan::new(asked.check) else {
            let outcome = Outcome::Local(LocalError::Configuration);
            return Some(Reaction { after: Duration::ZERO, outcome });
        };
        let low = (asked.number & 0xffff) as u16;
        let mut talk = Talk {
            model: self,
            conduct,
            asked,
            is_stream: plan.transport() == Transport::Stream,
            is_tls: matches!(&asked.check.kind, CheckKind::Http(http) if http.tls.is_some()),
            dialogue: plan.begin(Attempt { url: asked.url, id: low, sequence: low }),
            out: Vec::new(),
            after: Duration::ZERO,
            events: 0,
        };
        loop {
            match talk.connection()? {
                Step::Continue => return None,
                Step::Reopen => {}
                Step::Over(verdict) => {
                    return Some(Reaction { after: talk.after, outcome: verdict.outcome() });
                }
            }
        }
    }
}

/// An attempt under way.
struct Talk<'a> {
    model: &'a ModelServer,
    conduct: Conduct,
    asked: Asked<'a>,
    is_stream: bool,
    is_tls: bool,
    dialogue: Dialogue,
    /// What the dialogue sends.
    out: Vec<u8>,
    /// Since the start.
    after: Duration,
    events: usize,
}

impl Talk<'_> {
    fn on(&mut self, event: Event<'_>) -> Step {
        self.dialogue.on(event, &mut self.out)
    }

    /// One connection, to the step that ends it. `None`: nothing more comes.
    fn connection(&mut self) -> Option<Step> {
        if self.is_stream {
            self.after += self.asked.round_trip;
        }
        let failure = match self.conduct {
            Conduct::Refuses => Some(ConnectionFailure::Refused),
            Conduct::Unreachable => Some(ConnectionFailure::Unreachable),
            Conduct::Silent if self.is_stream => return None,
            Conduct::Hangs if self.is_tls => return None,
            _ => None,
        };
        if let Some(failure) = failure {
            if !self.is_stream {
                // Such a socket is open at once, and what it sent comes back.
                let _ = self.on(Event::Opened);
                self.after += self.asked.round_trip;
            }
            return Some(self.on(Event::Failed(failure)));
        }
        if self.is_tls {
            self.after += self.asked.round_trip;
        }
        let mut step = self.on(Event::Opened);
        if step != Step::Continue {
            return Some(step);
        }
        let Asked { check, url, .. } = self.asked;
        let mut server = answers::Server::new(check, url, self.conduct, self.model);
        let mut said = server.opened();
        while step == Step::Continue {
            let sent = std::mem::take(&mut self.out);
            if !sent.is_empty() {
                said = server.heard(&sent);
            }
            if self.conduct == Conduct::Resets && self.is_stream && !sent.is_empty() {
                self.after += self.asked.round_trip;
                return Some(self.on(Event::Failed(ConnectionFailure::Reset)));
            }
            if said == Said::default() {
                return None;
            }
            step = self.hear(std::mem::take(&mut said))?;
        }
        Some(step)
    }

    /// What the server says comes in.
    fn hear(&mut self, said: Said) -> Option<Step> {
        let Said { octets, closes } = said;
        self.after += self.asked.round_trip + self.model.thinks;
        let piece = match self.conduct {
            Conduct::Drips { .. } if self.is_stream => 1,
            _ => octets.len().max(1),
        };
        for piece in octets.chunks(piece) {
            if let Conduct::Drips { every } = self.conduct {
                self.after += every;
            }
            self.events += 1;
            match self.on(Event::Octets(piece)) {
                Step::Continue if self.events > MOST_EVENTS => return None,
                Step::Continue => {}
                step => return Some(step),
            }
        }
        Some(if closes { self.on(Event::Closed) } else { Step::Continue })
    }
}

/// What a conduct comes to this long after it began: flapping is answering or refusing.
fn at(conduct: Conduct, age: Duration) -> Conduct {
    let Conduct::Flaps { good, bad } = conduct else { return conduct };
    let into = age.as_nanos() % (good + bad).as_nanos().max(1);
    if into < good.as_nanos() { Conduct::Answers } else { Conduct::Refuses }
}
