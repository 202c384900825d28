//! Scenarios: the language, its one runner, the Record of what happened, the judge.

#![forbid(unsafe_code)]

pub mod expect;
pub mod judge;
pub mod language;
pub mod record;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod wire;
pub mod world;
