//! What a script's results mean: good after `rise` successes in a row, bad after `fall` failures.
//!
//! The first result counts at once, unless the script is to count as bad until it has succeeded
//! (`init_fail`).

use vipd_engine::TrackerValue;

/// One script's standing.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    rise: u32,
    fall: u32,
    good: Option<bool>,
    /// Results in a row that speak against it.
    against: u32,
}

impl Judgement {
    /// Nothing is known, or it is bad to begin with.
    #[must_use]
    pub const fn new(rise: u32, fall: u32, init_fail: bool) -> Self {
        Self { rise, fall, good: if init_fail { Some(false) } else { None }, against: 0 }
    }

    /// Takes in one result. Answers with the new value if it changed.
    pub fn on_result(&mut self, success: bool) -> Option<TrackerValue> {
        let Some(good) = self.good else {
            self.good = Some(success);
            return self.value();
        };
        if success == good {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if good { self.fall } else { self.rise };
        if self.against < needed {
            return None;
        }
        (self.good, self.against) = (Some(success), 0);
        self.value()
    }

    /// Its value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<TrackerValue> {
        self.good.map(|good| if good { TrackerValue::Up } else { TrackerValue::Down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrackerValue::{Down, Up};

    fn values(mut judgement: Judgement, results: &[bool]) -> Vec<Option<TrackerValue>> {
        results.iter().map(|result| judgement.on_result(*result)).collect()
    }

    #[test]
    fn the_first_result_counts_at_once_and_later_ones_need_rise_or_fall_in_a_row() {
        let results = [true, false, true, false, false, true, true, true];
        let expected = [Some(Up), None, None, None, Some(Down), None, None, Some(Up)];
        assert_eq!(values(Judgement::new(3, 2, false), &results), expected);
        assert_eq!(values(Judgement::new(3, 2, false), &[false]), [Some(Down)]);
    }

    #[test]
    fn with_init_fail_it_is_bad_until_it_has_succeeded_often_enough() {
        let judgement = Judgement::new(2, 1, true);
        assert_eq!(judgement.value(), Some(Down));
        assert_eq!(values(judgement, &[true, false, true, true]), [None, None, None, Some(Up)]);
    }
}
