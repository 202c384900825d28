//! keepalived.conf text to a checked engine configuration, with diagnostics that point at the line.

#![forbid(unsafe_code)]

pub mod diagnostics;
pub mod text;
