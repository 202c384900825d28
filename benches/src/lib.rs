//! Measurements of vipd beside keepalived, on real namespaces of this machine.
//!
//! [`takeover`] is about one virtual router and how exact it is, [`crowd`] about 255 of them at
//! 100 ms and what they cost. Both stand on [`pair`], two hosts with a cable between them, and on
//! [`recorder`], which is at the backup's end of the cable. [`figures`] prints. No protocol is
//! judged here: that is the laboratory's.

#![forbid(unsafe_code)]

pub mod crowd;
pub mod figures;
pub mod pair;
pub mod recorder;
pub mod running;
pub mod takeover;
