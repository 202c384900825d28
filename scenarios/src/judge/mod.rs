//! The judge: each property of the catalogue, decided from the Record alone.
//!
//! It imports no timer, election or codec code of the engine: every property has its own
//! arithmetic, or it would bless the engine's own mistake.

use std::fmt;
use std::time::Duration;

use crate::record::{Observation, Recorder, Setting, WorldTime};

/// Hears a run and judges every property of the catalogue.
#[derive(Debug)]
pub struct Judge {
    setting: Setting,
}

impl Judge {
    /// A judge who knows what is known before the run.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self { setting }
    }

    /// The verdicts at the end of the run, one for each of [`PropertyId::ALL`] in that order.
    #[must_use]
    pub fn finish(self, end: WorldTime) -> Vec<PropertyReport> {
        let _ = (self.setting, end);
        PropertyId::ALL
            .into_iter()
            .map(|id| PropertyReport {
                id,
                verdict: Verdict::NotExercised,
                bound: None,
                worst: None,
                reason: None,
            })
            .collect()
    }
}

impl Recorder for Judge {
    fn observe(&mut self, _observation: &Observation) {}
}

/// Names a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the catalogue in docs/properties.md says what each one is")]
pub enum PropertyId {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    S12,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
}

impl PropertyId {
    /// Every property, in the order of reports.
    pub const ALL: [Self; 18] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::S11,
        Self::S12,
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
    ];
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the judge says of one property after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It was put to the test and held each time.
    Held,
    /// It did not hold.
    Violated,
    /// Nothing in this run puts it to the test.
    NotExercised,
    /// The run leaves the conditions under which it is promised, or nothing promises it yet.
    NotProvided,
}

impl Verdict {
    /// The name in files and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::NotExercised => "not_exercised",
            Self::NotProvided => "not_provided",
        }
    }
}

/// One property, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyReport {
    /// Which.
    pub id: PropertyId,
    /// The verdict.
    pub verdict: Verdict,
    /// The bound at the tightest instance, if the property has one and was exercised.
    pub bound: Option<Duration>,
    /// The worst (tightest) value seen.
    pub worst: Option<Duration>,
    /// What was missing, which fault left the conditions, or how it was violated.
    pub reason: Option<String>,
}
