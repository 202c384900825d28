//! Mail alerts.

pub mod dialogue;
