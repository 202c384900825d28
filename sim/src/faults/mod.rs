//! Fault classes and random schedules of them: from a topology and a seed to a list of the scenario
//! language's own steps.
//!
//! [`Ground`] is what of a scenario can be hit, [`Plan`] what is wanted, [`Schedule::draw`] draws.
//! The same ground, plan and seed give the same steps on every machine. Nothing here plays
//! anything: a schedule is laid over its scenario by [`Schedule::over`], and whoever plays that
//! plays an ordinary scenario. `hunt` plays thousands of them.
//!
//! ```text
//!   0          begin                            quiet                    length
//!   | first     | phase 1: faults, each with its  | phase 2: nothing any   |
//!   | election  | end; none lasts beyond `quiet`  | more: L4 to L6 are due |
//! ```
//!
//! What each class does is in `draw`, the other files that reloads put in place are in
//! [`variants`].

mod class;
mod draw;
mod ground;
mod schedule;
mod spare;
mod spoof;
pub mod variants;

pub use class::FaultClass;
pub use ground::{Director, Ground, Pace, Router};
pub use schedule::{Classes, Fault, Plan, Schedule};
