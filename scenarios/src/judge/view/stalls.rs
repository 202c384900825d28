//! When a host stood still, because its process was paused or its machine frozen: what that makes
//! late, how long before something a master may have sent its last advert, and whether a master
//! announces for that.

use std::time::Duration;

use super::View;
use crate::judge::change::Place;
use crate::record::WorldTime;

/// Those that are over, oldest first; as many as a run has.
#[derive(Debug, Default)]
pub(super) struct Stalls(Vec<Stall>);

#[derive(Clone, Copy, Debug)]
struct Stall {
    began: WorldTime,
    ended: WorldTime,
    /// Its clock stood still, too.
    clock: bool,
}

impl Stalls {
    pub(super) fn add(&mut self, began: WorldTime, ended: WorldTime, clock: bool) {
        self.0.push(Stall { began, ended, clock });
    }

    /// How long it stood still after this time: so much later does it hear of something, or is the
    /// time over that it counts itself.
    pub(super) fn stood_still(&self, since: WorldTime) -> Duration {
        self.0.iter().map(|stall| stall.ended.since(since.max(stall.began))).sum()
    }

    /// How long its clock stood still between two times.
    pub(super) fn clock_stood(&self, since: WorldTime, until: WorldTime) -> Duration {
        let stalls = self.0.iter().filter(|stall| stall.clock);
        stalls.map(|stall| stall.ended.min(until).since(since.max(stall.began))).sum()
    }

    /// The earliest that a master here can have sent its last advert before `until`, up to which it
    /// ran, if it sends one each `period` of its own clock and each is at most `late`. Where the
    /// clock went on, what was due meanwhile leaves within `late` of the end of the stall.
    pub(super) fn last_advert(
        &self,
        until: WorldTime,
        period: Duration,
        late: Duration,
    ) -> WorldTime {
        let (mut at, mut rest) = (until, period + late);
        for stall in self.0.iter().rev() {
            let ran = at.since(stall.ended);
            if stall.clock {
                if ran >= rest {
                    break;
                }
                rest -= ran;
            } else if ran > late {
                continue;
            }
            at = stall.began;
        }
        at.earlier(rest)
    }
}

/// A master that is late by less is busy.
const STOOD_STILL: Duration = Duration::from_secs(1);

impl View {
    /// When a master went on that announces its addresses for that alone, as if it had them since
    /// then: its clock went on while it stood still, and shows it that its advert was due so long
    /// ago that another router may have been master.
    pub(in crate::judge) fn announced_anew(&self, place: Place) -> Option<WorldTime> {
        let member = self.member(place);
        let host = self.host(member.host);
        let (began, ended) = host.stalled?;
        let ended = ended?;
        let interval = member.longest_interval_since(began).max(member.config.interval.duration());
        let others = u32::from(member.config.down_timer_adverts.saturating_sub(1));
        // The one that was due first left or was to leave up to an interval after it began.
        let least = self.up(interval + STOOD_STILL.max(interval * others))
            + self.late() * 2
            + self.tolerance();
        (!host.clock_stood && ended.since(began) > least).then_some(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const PERIOD: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_millis(1);

    /// The last advert before 1000 ms, in milliseconds, after stalls from, until, with the clock.
    fn last_advert(stalls: &[(u64, u64, bool)]) -> u64 {
        let mut all = Stalls::default();
        for (began, ended, clock) in stalls {
            all.add(WorldTime(began * MS), WorldTime(ended * MS), *clock);
        }
        all.last_advert(WorldTime(1000 * MS), PERIOD, LATE).0 / MS
    }

    #[test]
    fn a_clock_that_stood_still_puts_the_last_advert_back_by_as_long() {
        assert_eq!(last_advert(&[]), 899);
        assert_eq!(last_advert(&[(900, 940, true)]), 859);
        assert_eq!(last_advert(&[(870, 880, true), (900, 940, true)]), 849, "each time");
        assert_eq!(last_advert(&[(800, 899, true)]), 899, "it ran for long enough since then");
        assert_eq!(last_advert(&[(800, 900, true)]), 799);
    }

    #[test]
    fn a_clock_that_went_on_has_what_is_due_sent_at_once() {
        assert_eq!(last_advert(&[(900, 940, false)]), 899);
        assert_eq!(last_advert(&[(900, 998, false)]), 899);
        assert_eq!(last_advert(&[(900, 999, false)]), 799, "it may be late");
        assert_eq!(last_advert(&[(830, 840, true), (900, 999, false)]), 789);
    }
}
