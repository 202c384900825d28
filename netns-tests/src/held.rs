//! Observations that wait a moment for what a process says later of an earlier time.

use std::time::Duration;

use vipd_scenarios::record::{Observation, Recorder, WorldTime};

/// A process tells an event after the frames of that event have left. It takes less than this, also
/// where it waits for a processor in between.
const MOMENT: Duration = Duration::from_millis(100);

/// Keeps what is observed until nothing earlier is to be expected.
#[derive(Debug)]
pub(crate) struct Held {
    /// In order of time; what is of one time in the order in which it came.
    waiting: Vec<Observation>,
    /// Everything before this has been told.
    told: WorldTime,
}

impl Held {
    pub(crate) const fn since(told: WorldTime) -> Self {
        Self { waiting: Vec::new(), told }
    }

    /// Tells what was a moment before `now`.
    pub(crate) fn tell_older(&mut self, now: WorldTime, record: &mut dyn Recorder) {
        let until = now.earlier(MOMENT);
        let ripe = self.waiting.partition_point(|observation| observation.at < until);
        self.waiting.drain(..ripe).for_each(|observation| record.observe(&observation));
        self.told = self.told.max(until);
    }

    pub(crate) fn tell_all(self, record: &mut dyn Recorder) {
        self.waiting.iter().for_each(|observation| record.observe(observation));
    }
}

impl Recorder for Held {
    fn observe(&mut self, observation: &Observation) {
        let mut observation = observation.clone();
        observation.at = observation.at.max(self.told);
        let place = self.waiting.partition_point(|other| other.at <= observation.at);
        self.waiting.insert(place, observation);
    }
}

#[cfg(test)]
mod tests {
    use vipd_scenarios::record::{HostId, ProcessChange, Seen};

    use super::*;

    fn seen(host: u16, ms: u64) -> Observation {
        let at = WorldTime(ms * 1_000_000);
        Observation { at, host: HostId(host), seen: Seen::Process(ProcessChange::Started) }
    }

    /// Which hosts are told of, and when in milliseconds.
    fn told(record: &[Observation]) -> Vec<(u16, u64)> {
        record.iter().map(|one| (one.host.0, one.at.0 / 1_000_000)).collect()
    }

    #[test]
    fn what_is_heard_a_moment_late_stands_at_its_time_and_one_time_keeps_its_order() {
        let mut held = Held::since(WorldTime(0));
        let mut record = Vec::new();
        for (host, ms) in [(1, 10), (2, 11), (3, 10), (4, 11)] {
            held.observe(&seen(host, ms));
        }
        held.tell_older(WorldTime(110_000_000), &mut record);
        assert!(record.is_empty(), "{record:?}");
        held.tell_all(&mut record);
        assert_eq!(told(&record), [(1, 10), (3, 10), (2, 11), (4, 11)]);
    }

    #[test]
    fn what_is_heard_after_that_is_told_as_early_as_the_order_allows() {
        let mut held = Held::since(WorldTime(5_000_000));
        let mut record = Vec::new();
        held.observe(&seen(1, 4));
        held.tell_older(WorldTime(108_000_000), &mut record);
        assert_eq!(told(&record), [(1, 5)]);
        held.observe(&seen(2, 6));
        held.tell_all(&mut record);
        assert_eq!(told(&record), [(1, 5), (2, 8)]);
    }
}
