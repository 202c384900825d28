//! A world plays scenarios. The runner drives any of them, so they cannot drift apart.

use std::time::Duration;

use crate::record::{Recorder, Setting, WorldTime};
use crate::scenario::{Step, TimedStep};

/// Hosts, links and time: simulated or real.
pub trait World {
    /// What is known before the run begins.
    fn setting(&self) -> Setting;

    /// Whether this world can do the step.
    ///
    /// # Errors
    /// The reason why it cannot, in words: the scenario is skipped in plain sight.
    fn supports(&self, step: &Step) -> Result<(), String>;

    /// Does the step now. The step itself is recorded by the runner, its effects by the world.
    fn apply(&mut self, step: &TimedStep, record: &mut dyn Recorder);

    /// Lets time pass until `until`, everything due at `until` included, or until `stop` says yes,
    /// which it asks now and then. Returns how far it came.
    fn advance(
        &mut self,
        until: WorldTime,
        record: &mut dyn Recorder,
        stop: &dyn Fn() -> bool,
    ) -> WorldTime;

    /// Hash over every (time, host, input octets, outputs) so far; `None` in a world that cannot
    /// be repeated.
    fn trace(&self) -> Option<u128>;

    /// What a real world may be late by; zero in a simulated one.
    fn tolerance(&self) -> Duration {
        Duration::ZERO
    }
}
