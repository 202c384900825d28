//! Scenarios: the language, its one runner, the Record of what happened, the judge.

#![forbid(unsafe_code)]

pub mod judge;
pub mod record;
pub mod scenario;
pub mod wire;
pub mod world;
