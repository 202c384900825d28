//! One real server of one virtual server: what its checks together say of it.
//!
//! Nothing is counted: each time one of its checks has news, all of its checks are looked at.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::mem;

use serde::{Deserialize, Serialize};

use super::arena::Arena;
use super::checker::{Checker, Verdict, Wish};
use super::output::{CheckId, News, Output, ServerName, WhyDown, WhyUp};
use crate::config::director::MAX_WEIGHT;
use crate::time::Timestamp;

/// Place of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ServerId(pub(crate) u32);

/// Place of a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct VirtualId(pub(crate) u32);

/// One real server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) name: Arc<ServerName>,
    pub(crate) virtual_server: VirtualId,
    /// In the order of the file, each once.
    pub(crate) checks: Vec<CheckId>,
    /// The configured one.
    pub(crate) configured_weight: u32,
    /// It was down when its checks last changed: one that was not made yet may be why.
    pub(crate) is_doubted: bool,
    /// What was told last; `None`: nothing yet.
    told: Option<bool>,
    /// The one in force.
    weight: u32,
    /// Which configuration named it last.
    pub(crate) generation: u64,
    /// Book: since when it is what was told.
    since: Timestamp,
}

impl Server {
    /// Nothing is told of it yet.
    pub(crate) fn new(
        now: Timestamp,
        name: Arc<ServerName>,
        virtual_server: VirtualId,
        weight: u32,
    ) -> Self {
        Self {
            name,
            virtual_server,
            checks: Vec::new(),
            configured_weight: weight,
            is_doubted: false,
            told: None,
            weight: weight.min(MAX_WEIGHT),
            generation: 0,
            since: now,
        }
    }

    /// Tells what changed since it was told last.
    pub(crate) fn evaluate(
        &mut self,
        now: Timestamp,
        checks: &Arena<Checker>,
        out: &mut Vec<Output>,
    ) {
        self.is_doubted &= !self.is_tested(checks);
        let (weight, fault) = (self.wished_weight(checks), self.fault(checks));
        let before = mem::replace(&mut self.weight, weight);
        let is_up = fault.is_none();
        let server = Arc::clone(&self.name);
        if self.told == Some(is_up) {
            if is_up && before != weight {
                out.push(Output::News(News::Weight { server, weight }));
            }
            return;
        }
        let news = match fault {
            Some(why) => News::ServerDown { server, why },
            None => News::ServerUp { server, weight, why: self.why_up(checks) },
        };
        out.push(Output::News(news));
        self.told = Some(is_up);
        self.since = now;
    }

    fn why_up(&self, checks: &Arena<Checker>) -> WhyUp {
        if self.checks.is_empty() {
            WhyUp::Unchecked
        } else if self.told.is_none() && !self.is_tested(checks) {
            WhyUp::Assumed
        } else {
            WhyUp::Passed
        }
    }

    /// Why it is down: the first of its checks that is reason enough.
    fn fault(&self, checks: &Arena<Checker>) -> Option<WhyDown> {
        self.made(checks).find_map(|checker| match checker.verdict() {
            Verdict::Failed(failure) => Some(WhyDown::Failed(failure)),
            // DEVIATION: to keepalived a file that is not there says 0, which is good. One that is
            // up stays so until its file is read: that is soon, if there is one.
            Verdict::Untested if checker.is_told() && !self.is_up() => Some(WhyDown::NoNumber),
            Verdict::Untested if checker.check.alpha || self.is_doubted => Some(WhyDown::Untested),
            Verdict::Untested | Verdict::Good => None,
        })
    }

    fn is_tested(&self, checks: &Arena<Checker>) -> bool {
        self.made(checks).all(|checker| checker.verdict() != Verdict::Untested)
    }

    /// The configured weight with what its checks wish. A check that wishes for a weight of its
    /// own shifts it by the difference, so that several of them add up.
    fn wished_weight(&self, checks: &Arena<Checker>) -> u32 {
        let configured = i64::from(self.configured_weight.min(MAX_WEIGHT));
        let wished = self.made(checks).fold(configured, |weight, checker| {
            weight.saturating_add(match checker.wish() {
                Wish::None => 0,
                Wish::Weight(wished) => wished.saturating_sub(configured),
                Wish::Shift(shift) => shift,
            })
        });
        wished.clamp(0, i64::from(MAX_WEIGHT)) as u32
    }

    fn made<'a>(&'a self, checks: &'a Arena<Checker>) -> impl Iterator<Item = &'a Checker> {
        self.checks.iter().filter_map(|id| checks.get(id.0))
    }

    /// Whether it was told to be up.
    pub(crate) fn is_up(&self) -> bool {
        self.told == Some(true)
    }

    /// Whether it was told to be down.
    pub(crate) fn is_down(&self) -> bool {
        self.told == Some(false)
    }

    pub(crate) const fn weight(&self) -> u32 {
        self.weight
    }

    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    /// What was told is what its checks say.
    pub(crate) fn is_told_truly(&self, checks: &Arena<Checker>) -> bool {
        self.told == Some(self.fault(checks).is_none()) && self.weight == self.wished_weight(checks)
    }

    pub(crate) fn fold(&self, generation: u64, hasher: &mut impl Hasher) {
        (&self.name, self.virtual_server, &self.checks, self.configured_weight).hash(hasher);
        (self.is_doubted, self.told, self.weight).hash(hasher);
        (self.generation == generation).hash(hasher);
    }
}
