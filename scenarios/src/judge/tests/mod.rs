//! Hand-written records: each property exactly at its bound, a nanosecond beyond it, not put to the
//! test, and outside its conditions.

mod alarms;
mod caches;
mod crash;
mod dead_man;
mod exceptions;
mod forgeries;
mod groups;
mod held_down;
mod hunted;
mod liveness;
mod pool;
mod record;
mod reloads;
mod renamed;
mod resignations;
mod runs;
mod safety;
