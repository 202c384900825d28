//! When a number of processes counts: as good while there are enough of them and not too many, each
//! change only after its delay. What runs at first counts at once.

use std::time::Duration;

use vipd_config::trackers::TrackedProcess;
use vipd_engine::TrackerValue;

/// One tracked process and what is believed of it. Times are those since any fixed instant.
#[derive(Clone, Debug)]
pub struct Quorum {
    process: TrackedProcess,
    /// None until it was looked at for the first time.
    good: Option<bool>,
    count: usize,
    /// When the other value is believed, if nothing changes until then.
    due: Option<Duration>,
}

impl Quorum {
    /// Nothing is known.
    #[must_use]
    pub const fn new(process: TrackedProcess) -> Self {
        Self { process, good: None, count: 0, due: None }
    }

    /// So many run now. Answers with the new value if there is one.
    pub fn on_count(&mut self, now: Duration, count: usize) -> Option<TrackerValue> {
        let rose = count > self.count;
        self.count = count;
        let met = self.is_met();
        match self.good {
            None => {
                self.good = Some(met);
                self.value()
            }
            Some(good) if good == met => {
                self.due = None;
                None
            }
            Some(_) => {
                // A fork makes more of them, also too many; an end makes fewer.
                let TrackedProcess { fork_delay, terminate_delay, .. } = self.process;
                self.due.get_or_insert(now + if rose { fork_delay } else { terminate_delay });
                self.on_time(now)
            }
        }
    }

    /// A delay may be over.
    pub fn on_time(&mut self, now: Duration) -> Option<TrackerValue> {
        self.due.take_if(|due| *due <= now)?;
        self.good = self.good.map(|good| !good);
        self.value()
    }

    /// When a delay ends.
    #[must_use]
    pub const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// What is tracked.
    #[must_use]
    pub const fn process(&self) -> &TrackedProcess {
        &self.process
    }

    /// How many ran when it was looked at last.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    fn is_met(&self) -> bool {
        let TrackedProcess { quorum, quorum_max, .. } = self.process;
        self.count >= quorum as usize && quorum_max.is_none_or(|most| self.count <= most as usize)
    }

    fn value(&self) -> Option<TrackerValue> {
        self.good.map(|good| if good { TrackerValue::Up } else { TrackerValue::Down })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use TrackerValue::{Down, Up};
    use vipd_engine::TrackerName;
    use vipd_engine::config::Weight;

    pub fn process(program: &str) -> TrackedProcess {
        TrackedProcess {
            name: TrackerName::new("p"),
            program: program.to_string(),
            parameters: Vec::new(),
            param_match: None,
            weight: Weight::FAULT,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            full_command: false,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn values(mut quorum: Quorum, counts: &[usize]) -> Vec<Option<TrackerValue>> {
        let times = (0..).map(seconds);
        times.zip(counts).map(|(now, count)| quorum.on_count(now, *count)).collect()
    }

    #[test]
    fn it_is_good_while_there_are_enough_and_not_too_many() {
        let quorum = Quorum::new(TrackedProcess { quorum: 2, ..process("a") });
        let expected = [Some(Down), None, Some(Up), None, Some(Down)];
        assert_eq!(values(quorum, &[0, 1, 2, 9, 1]), expected);
        let at_most = TrackedProcess { quorum_max: Some(1), ..process("a") };
        assert_eq!(values(Quorum::new(at_most), &[1, 2, 1]), [Some(Up), Some(Down), Some(Up)]);
        let none = TrackedProcess { quorum: 0, quorum_max: Some(0), ..process("a") };
        assert_eq!(values(Quorum::new(none), &[0, 1, 0]), [Some(Up), Some(Down), Some(Up)]);
    }

    #[test]
    fn a_change_is_believed_after_its_delay_unless_it_is_undone_before() {
        let (fork_delay, terminate_delay) = (seconds(2), seconds(5));
        let delayed = TrackedProcess { fork_delay, terminate_delay, ..process("a") };
        let mut quorum = Quorum::new(delayed);
        assert_eq!(quorum.on_count(seconds(0), 1), Some(Up), "what runs at first counts at once");
        assert_eq!(quorum.on_count(seconds(10), 0), None);
        assert_eq!(quorum.due(), Some(seconds(15)));
        assert_eq!(quorum.on_count(seconds(12), 1), None, "it was started again in time");
        assert_eq!(quorum.due(), None);
        assert_eq!(quorum.on_count(seconds(20), 0), None);
        assert_eq!(quorum.on_count(seconds(22), 0), None, "the delay does not begin anew");
        assert_eq!(quorum.on_time(seconds(24)), None);
        assert_eq!(quorum.on_time(seconds(25)), Some(Down));
        assert_eq!(quorum.on_count(seconds(30), 1), None);
        assert_eq!(quorum.on_time(seconds(32)), Some(Up));
    }

    #[test]
    fn too_many_after_a_fork_are_believed_after_the_delay_of_a_fork() {
        let fork_delay = seconds(1);
        let mut quorum =
            Quorum::new(TrackedProcess { quorum_max: Some(1), fork_delay, ..process("a") });
        quorum.on_count(seconds(0), 1);
        assert_eq!(quorum.on_count(seconds(1), 2), None);
        assert_eq!(quorum.on_time(seconds(2)), Some(Down));
        assert_eq!(quorum.on_count(seconds(3), 1), Some(Up), "an end has no delay here");
    }
}
