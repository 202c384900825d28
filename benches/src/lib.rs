//! Measurements of vipd beside keepalived, on real namespaces of this machine.
//!
//! [`takeover`] is about one virtual router and how exact it is, [`crowd`] about 255 of them at
//! 100 ms and what they cost. Both stand on [`pair`], two hosts with a cable between them, and on
//! [`recorder`], which is at the backup's end of the cable.
//!
//! [`parsing`], [`installing`] and [`checking`] are about many real servers: [`servers`] has the
//! files, [`answering`] those that are checked. The last two need a kernel with IPVS: [`inside`]
//! boots one where this machine's lacks it.
//!
//! [`figures`] prints. No protocol is judged here: that is the laboratory's.

#![forbid(unsafe_code)]

pub mod answering;
pub mod checking;
pub mod crowd;
pub mod figures;
pub mod inside;
pub mod installing;
pub mod pair;
pub mod parsing;
pub mod recorder;
pub mod running;
pub mod servers;
pub mod takeover;
