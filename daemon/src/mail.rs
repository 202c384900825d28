//! Mail alerts.

pub mod dialogue;
pub mod queue;
